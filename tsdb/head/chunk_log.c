/* docs/formats/head_chunks.md draws the files. A ref is the file's number << 32 | offset. */
#include "tsdb/head/chunk_log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/crc32c.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"

#define FILES_MAX 65536
#define FILE_BYTES_FIRST (1u << 20)
#define FILE_BYTES_MAX (64u << 20)
#define ENTRY_HEADER 44
#define FILE_START 8
#define FILE_MAGIC "NTHXCHK1"

typedef struct LogFile {
    uint8_t *map;
    uint32_t size;
    bool in_memory;
    bool synced; /* wholly, and full */
    bool lost;   /* a sync failed: what it holds may not be on disk, whatever is said later */
    int fd;      /* -1: closed */
    uint32_t number;
    atomic_uint_fast64_t used; /* may pass size: who gets such a place opens the next file */
    _Atomic int64_t max_time;
    atomic_uint chunks;
} LogFile;

struct ChunkLog {
    char *dir;
    pthread_mutex_t lock; /* opening and trimming files */
    _Atomic(LogFile *) current;
    _Atomic(LogFile *) files[FILES_MAX]; /* by number % FILES_MAX */
    uint32_t next_number;
    unsigned made; /* by this process */
    atomic_uint_fast32_t first_number;
    atomic_uint_fast64_t bytes, chunks;
};

typedef struct EntryHeader {
    uint64_t previous;
    int64_t min_time, max_time;
    ChunkLogOwner owner;
    uint32_t size;
    uint16_t n;
    uint8_t encoding, zero;
} EntryHeader;
_Static_assert(sizeof(EntryHeader) == 40, "written to files as it is");

static void file_path(const ChunkLog *l, uint32_t number, char path[4096]) {
    snprintf(path, 4096, "%s/%08u", l->dir, number);
}

/* Blocks are allocated before the mapping is written, so that a full disk is an error here and not
 * a signal later. */
static void *map_new_file(ChunkLog *l, uint32_t number, uint32_t size, int *ret_fd) {
    char path[4096];
    file_path(l, number, path);
    CLEANUP(file_closep) int fd = -1;
    int r = file_open(path, O_RDWR | O_CREAT | O_TRUNC, 0666, &fd);
    if (r == 0) {
        r = file_allocate(fd, size, true);
    }
    void *map = r < 0 ? NULL : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        map = NULL;
        r = -errno;
    }
    if (r < 0) {
        (void)file_unlink(path); /* an empty file does no harm */
        log_warn("tsdb", "Full chunks of the head stay in memory", L_CSTR("file", path), L_ERR(r));
        return NULL;
    }
    memcpy(map, FILE_MAGIC, FILE_START);
    *ret_fd = fd;
    fd = -1;
    return map;
}

static LogFile *file_new(ChunkLog *l) {
    uint32_t number = l->next_number;
    uint32_t doublings = MIN(l->made++, 6u);
    LogFile *f = NEW(LogFile);
    f->fd = -1;
    f->size = MIN(FILE_BYTES_FIRST << doublings, FILE_BYTES_MAX);
    f->number = number;
    f->map = map_new_file(l, number, f->size, &f->fd);
    if (!f->map) {
        f->in_memory = true;
        f->map = mem_zalloc(f->size);
    }
    atomic_init(&f->used, FILE_START);
    atomic_init(&f->max_time, INT64_MIN);
    atomic_fetch_add(&l->bytes, f->size);
    l->next_number++;
    return f;
}

static void file_free(ChunkLog *l, LogFile *f) {
    if (f->in_memory) {
        mem_free(f->map);
    } else {
        munmap(f->map, f->size);
    }
    file_close(f->fd);
    atomic_fetch_sub(&l->bytes, f->size);
    atomic_fetch_sub(&l->chunks, atomic_load(&f->chunks));
    mem_free(f);
}

static void file_drop(ChunkLog *l, LogFile *f) {
    char path[4096];
    file_path(l, f->number, path);
    if (!f->in_memory) {
        (void)file_unlink(path); /* what cannot be removed now goes at a later trim */
    }
    file_free(l, f);
}

static LogFile *next_file(ChunkLog *l, LogFile *full) {
    pthread_mutex_lock(&l->lock);
    LogFile *f = atomic_load(&l->current);
    if (f == full) {
        f = file_new(l);
        atomic_store(&l->files[f->number % FILES_MAX], f);
        atomic_store(&l->current, f);
    }
    pthread_mutex_unlock(&l->lock);
    return f;
}

typedef struct Names {
    VEC(uint32_t) v;
} Names;

static int note_name(void *arg, const char *name) {
    Names *names = arg;
    unsigned number;
    int end = 0;
    if (sscanf(name, "%8u%n", &number, &end) == 1 && !name[end] && number > 0) {
        vec_push(&names->v, number);
    }
    return 0;
}

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int read_names(const char *dir, Names *names) {
    int r = file_each_name(dir, note_name, names);
    if (names->v.n > 0) {
        qsort(names->v.v, names->v.n, sizeof(*names->v.v), by_number);
    }
    return r;
}

int chunk_log_open(const char *dir, ChunkLog **ret) {
    Names names = {0};
    int r = file_make_folder(dir);
    r = r < 0 ? r : read_names(dir, &names);
    if (r < 0) {
        vec_free(&names.v);
        return err_trace(r);
    }
    ChunkLog *l = NEW(ChunkLog);
    l->dir = mem_strdup(dir);
    l->next_number = names.v.n ? names.v.v[names.v.n - 1] + 1 : 1;
    atomic_init(&l->first_number, l->next_number);
    pthread_mutex_init(&l->lock, NULL);
    vec_free(&names.v);
    *ret = l;
    return 0;
}

void chunk_log_close(ChunkLog *l) {
    if (!l) {
        return;
    }
    for (uint32_t i = (uint32_t)atomic_load(&l->first_number); i < l->next_number; i++) {
        LogFile *f = atomic_load(&l->files[i % FILES_MAX]);
        if (f) {
            if (f->fd >= 0 && atomic_load(&f->used) < f->size) {
                (void)!file_truncate(f->fd, atomic_load(&f->used)); /* else it is only larger */
            }
            file_free(l, f);
        }
    }
    pthread_mutex_destroy(&l->lock);
    mem_free(l->dir);
    mem_free(l);
}

/* A place of `size` bytes: one atomic addition unless the file is full. */
static LogFile *reserve(ChunkLog *l, uint32_t size, uint64_t *ret_at) {
    LogFile *f = atomic_load(&l->current);
    for (;;) {
        if (f) {
            uint64_t at = atomic_fetch_add(&f->used, size);
            if (at + size <= f->size) {
                *ret_at = at;
                return f;
            }
        }
        f = next_file(l, f);
    }
}

static void raise_max(_Atomic int64_t *max, int64_t t) {
    int64_t have = atomic_load_explicit(max, memory_order_relaxed);
    while (have < t && !atomic_compare_exchange_weak(max, &have, t)) {
    }
}

ChunkLogRef chunk_log_put(ChunkLog *l, ChunkLogOwner owner, ChunkLogRef previous, const Chunk *c) {
    EntryHeader h = {.previous = previous,
                     .owner = owner,
                     .min_time = c->min_time,
                     .max_time = c->max_time,
                     .size = c->size,
                     .n = (uint16_t)c->n,
                     .encoding = c->encoding};
    uint64_t at;
    LogFile *f = reserve(l, (ENTRY_HEADER + c->size + 7) & ~7u, &at);
    uint8_t *p = f->map + at;
    uint32_t crc = crc32c(crc32c(0, &h, sizeof(h)), c->data, c->size);
    memcpy(p, &h, sizeof(h));
    memcpy(p + sizeof(h), &crc, 4);
    memcpy(p + ENTRY_HEADER, c->data, c->size);
    raise_max(&f->max_time, c->max_time);
    atomic_fetch_add(&f->chunks, 1);
    atomic_fetch_add(&l->chunks, 1);
    return (uint64_t)f->number << 32 | at;
}

static const uint8_t *entry_at(const ChunkLog *l, ChunkLogRef ref, uint32_t *ret_room) {
    uint32_t number = (uint32_t)(ref >> 32);
    if (ref == 0 || number < atomic_load(&l->first_number)) {
        return NULL;
    }
    const LogFile *f = atomic_load(&l->files[number % FILES_MAX]);
    if (!f || (uint32_t)ref > f->size - ENTRY_HEADER) {
        return NULL;
    }
    *ret_room = f->size - ENTRY_HEADER - (uint32_t)ref;
    return f->map + (uint32_t)ref;
}

/* `room`: bytes behind the header. */
static bool entry_check(const uint8_t *p, uint32_t room, EntryHeader *ret) {
    uint32_t crc;
    memcpy(ret, p, sizeof(*ret));
    memcpy(&crc, p + sizeof(*ret), 4);
    return ret->size <= room &&
           crc32c(crc32c(0, ret, sizeof(*ret)), p + ENTRY_HEADER, ret->size) == crc;
}

bool chunk_log_entry(const ChunkLog *l, ChunkLogRef ref, ChunkLogEntry *ret) {
    uint32_t room;
    const uint8_t *p = entry_at(l, ref, &room);
    if (!p) {
        return false;
    }
    EntryHeader h;
    memcpy(&h, p, sizeof(h));
    *ret = (ChunkLogEntry){h.previous, h.min_time, h.max_time};
    return true;
}

int chunk_log_get(const ChunkLog *l, ChunkLogRef ref, Chunk *ret) {
    uint32_t room;
    const uint8_t *p = entry_at(l, ref, &room);
    if (!p) {
        return -EBADMSG;
    }
    EntryHeader h;
    if (!entry_check(p, room, &h)) {
        return -EBADMSG;
    }
    *ret = (Chunk){.min_time = h.min_time,
                   .max_time = h.max_time,
                   .data = p + ENTRY_HEADER,
                   .size = h.size,
                   .n = h.n,
                   .encoding = h.encoding};
    return 0;
}

void chunk_log_trim(ChunkLog *l, int64_t mint) {
    pthread_mutex_lock(&l->lock);
    LogFile *current = atomic_load(&l->current);
    for (;;) {
        uint32_t number = (uint32_t)atomic_load(&l->first_number);
        LogFile *f = number < l->next_number ? atomic_load(&l->files[number % FILES_MAX]) : NULL;
        if (number >= l->next_number ||
            (f && (f == current || atomic_load(&f->max_time) >= mint))) {
            break;
        }
        atomic_store(&l->first_number, number + 1);
        if (f) {
            atomic_store(&l->files[number % FILES_MAX], NULL);
            file_drop(l, f);
        }
    }
    pthread_mutex_unlock(&l->lock);
}

/* ---- what an earlier process left */

typedef struct Recovery {
    ChunkLog *log;
    void (*found)(void *arg, const ChunkLogFound *f);
    void *arg;
} Recovery;

/* Entries up to the first that does not check: what a crash cut off, or a place that was taken but
 * not filled. */
static void walk_entries(Recovery *r, LogFile *f) {
    uint32_t at = FILE_START, first = (uint32_t)atomic_load(&r->log->first_number);
    EntryHeader h;
    while (f->size - at >= ENTRY_HEADER &&
           entry_check(f->map + at, f->size - at - ENTRY_HEADER, &h) && h.n > 0) {
        ChunkLogFound found = {.ref = (uint64_t)f->number << 32 | at,
                               .previous = h.previous,
                               .first = h.previous >> 32 < first,
                               .owner = h.owner,
                               .min_time = h.min_time,
                               .max_time = h.max_time,
                               .n = h.n,
                               .encoding = h.encoding};
        atomic_fetch_add(&f->chunks, 1);
        raise_max(&f->max_time, h.max_time);
        r->found(r->arg, &found);
        at += (ENTRY_HEADER + h.size + 7) & ~7u;
        if (at > f->size) {
            break;
        }
    }
    atomic_store(&f->used, at);
    atomic_fetch_add(&r->log->chunks, atomic_load(&f->chunks));
}

/* NULL: not a file of this kind. */
static LogFile *map_old_file(ChunkLog *l, uint32_t number) {
    char path[4096];
    file_path(l, number, path);
    CLEANUP(file_closep) int fd = -1;
    uint64_t size = 0;
    int r = file_open(path, O_RDONLY, 0, &fd);
    r = r < 0 ? r : file_size(fd, &size);
    void *map = MAP_FAILED;
    if (r == 0 && size >= FILE_START && size <= FILE_BYTES_MAX) {
        map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    }
    if (map != MAP_FAILED && memcmp(map, FILE_MAGIC, FILE_START) != 0) {
        bool older = memcmp(map, "\0\0\0\0\0\0\0", FILE_START) == 0;
        munmap(map, size);
        map = MAP_FAILED;
        if (older) { /* before there was a format, when all came from the journal */
            (void)file_unlink(path);
            return NULL;
        }
    }
    if (map == MAP_FAILED) {
        char bad[4096 + 8];
        snprintf(bad, sizeof(bad), "%s.bad", path);
        log_warn("tsdb", "A file of the head's chunks cannot be read and is set aside",
                 L_CSTR("file", path), L_ERR(r));
        (void)!file_rename(path, bad); /* else it is met again at the next start */
        return NULL;
    }
    (void)!madvise(map, size, MADV_WILLNEED); /* only sooner */
    LogFile *f = NEW(LogFile);
    f->map = map;
    f->size = (uint32_t)size;
    f->number = number;
    f->fd = fd;
    fd = -1;
    atomic_init(&f->max_time, INT64_MIN);
    atomic_fetch_add(&l->bytes, size);
    return f;
}

int chunk_log_recover(ChunkLog *l, void (*found)(void *arg, const ChunkLogFound *f), void *arg) {
    Names names = {0};
    Recovery recovery = {l, found, arg};
    int r = read_names(l->dir, &names);
    if (r == 0 && names.v.n > 0) {
        atomic_store(&l->first_number, names.v.v[0]);
    }
    for (size_t i = 0; r == 0 && i < names.v.n; i++) {
        LogFile *f = map_old_file(l, names.v.v[i]);
        if (f) {
            atomic_store(&l->files[f->number % FILES_MAX], f);
            walk_entries(&recovery, f);
        }
    }
    vec_free(&names.v);
    return r < 0 ? err_trace(r) : 0;
}

/* A file on which fsync failed is not asked again: the system may have dropped the pages and report
 * success. */
bool chunk_log_sync(ChunkLog *l) {
    bool all = true;
    pthread_mutex_lock(&l->lock);
    uint32_t last = l->next_number;
    LogFile *current = atomic_load(&l->current);
    pthread_mutex_unlock(&l->lock);
    for (uint32_t i = (uint32_t)atomic_load(&l->first_number); i < last; i++) {
        LogFile *f = atomic_load(&l->files[i % FILES_MAX]);
        if (!f) {
            continue;
        }
        if (f->fd >= 0 && !f->lost) {
            f->lost = file_sync(f->fd) < 0;
            if (f != current && !f->lost) {
                file_close(f->fd);
                f->fd = -1;
                f->synced = true;
            }
        }
        all &= !f->in_memory && !f->lost && (f->fd >= 0 || f->synced);
    }
    return all;
}

uint64_t chunk_log_bytes(const ChunkLog *l) { return atomic_load(&l->bytes); }
uint64_t chunk_log_chunks(const ChunkLog *l) { return atomic_load(&l->chunks); }
