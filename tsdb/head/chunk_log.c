/*
 * A file is a sequence of entries from offset 8 on, each aligned to 8:
 *     0  u64 previous   8  i64 min_time   16  i64 max_time
 *    24  u32 size      28  u16 n          30  u8 encoding   31  u8 zero
 *    32  u32 crc32c of bytes 0..31 and the data             36  data
 * A ref is the file's number << 32 | offset.
 */
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

#define FILES_MAX 65536
#define FILE_BYTES_FIRST (1u << 20)
#define FILE_BYTES_MAX (64u << 20)
#define ENTRY_HEADER 36
#define FILE_START 8

typedef struct LogFile {
    uint8_t *map;
    uint32_t size;
    bool in_memory;
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
    atomic_uint_fast32_t first_number;
    atomic_uint_fast64_t bytes, chunks;
};

typedef struct EntryHeader {
    uint64_t previous;
    int64_t min_time, max_time;
    uint32_t size;
    uint16_t n;
    uint8_t encoding, zero;
} EntryHeader;
_Static_assert(sizeof(EntryHeader) == 32, "written to files as it is");

static void file_path(const ChunkLog *l, uint32_t number, char path[4096]) {
    snprintf(path, 4096, "%s/%08u", l->dir, number);
}

/* Blocks are allocated before the mapping is written, so that a full disk is an error here and not
 * a signal later. */
static void *map_new_file(ChunkLog *l, uint32_t number, uint32_t size) {
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
    return map;
}

static LogFile *file_new(ChunkLog *l) {
    uint32_t number = l->next_number;
    uint32_t doublings = MIN(number - 1, 6u);
    LogFile *f = NEW(LogFile);
    f->size = MIN(FILE_BYTES_FIRST << doublings, FILE_BYTES_MAX);
    f->number = number;
    f->map = map_new_file(l, number, f->size);
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

static void file_drop(ChunkLog *l, LogFile *f) {
    if (f->in_memory) {
        mem_free(f->map);
    } else {
        char path[4096];
        file_path(l, f->number, path);
        munmap(f->map, f->size);
        (void)file_unlink(path); /* what cannot be removed now goes at the next start */
    }
    atomic_fetch_sub(&l->bytes, f->size);
    atomic_fetch_sub(&l->chunks, atomic_load(&f->chunks));
    mem_free(f);
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

int chunk_log_open(const char *dir, ChunkLog **ret) {
    int r = file_remove_tree(dir);
    if (r < 0) {
        return err_trace(r);
    }
    r = file_make_folder(dir);
    if (r < 0) {
        return err_trace(r);
    }
    ChunkLog *l = NEW(ChunkLog);
    l->dir = mem_strdup(dir);
    l->next_number = 1;
    atomic_init(&l->first_number, 1);
    pthread_mutex_init(&l->lock, NULL);
    *ret = l;
    return 0;
}

void chunk_log_close(ChunkLog *l) {
    if (!l) {
        return;
    }
    for (uint32_t i = atomic_load(&l->first_number); i < l->next_number; i++) {
        LogFile *f = atomic_load(&l->files[i % FILES_MAX]);
        if (f) {
            file_drop(l, f);
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

ChunkLogRef chunk_log_put(ChunkLog *l, ChunkLogRef previous, const Chunk *c) {
    EntryHeader h = {.previous = previous,
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
    uint32_t crc;
    memcpy(&h, p, sizeof(h));
    memcpy(&crc, p + sizeof(h), 4);
    if (h.size > room || crc32c(crc32c(0, &h, sizeof(h)), p + ENTRY_HEADER, h.size) != crc) {
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
        if (!f || f == current || atomic_load(&f->max_time) >= mint) {
            break;
        }
        atomic_store(&l->first_number, number + 1);
        atomic_store(&l->files[number % FILES_MAX], NULL);
        file_drop(l, f);
    }
    pthread_mutex_unlock(&l->lock);
}

uint64_t chunk_log_bytes(const ChunkLog *l) { return atomic_load(&l->bytes); }
uint64_t chunk_log_chunks(const ChunkLog *l) { return atomic_load(&l->chunks); }
