#include "tsdb/journal/journal.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "tsdb/journal/journal_files.h"

#define SEGMENT_BYTES_DEFAULT (UINT64_C(128) << 20)
#define SYNC_INTERVAL_DEFAULT_MS 1000
#define BATCH_BYTES_MAX (8u << 20)
#define SAMPLE_BYTES 8           /* more than one takes, most often */
#define OUT_KEPT_MAX (16u << 20) /* a larger buffer is not kept */
#define QUIET_NS INT64_C(1000000000)

struct JournalCommit {
    const JournalBatch *batch;
    int result;
    bool done;
    JournalCommit *next;
};

void journal_segment_path(const Journal *j, uint64_t number, char path[JOURNAL_PATH_MAX]) {
    snprintf(path, JOURNAL_PATH_MAX, "%s/%08llu", j->dir, (unsigned long long)number);
}

void journal_checkpoint_path(const Journal *j, uint64_t number, char path[JOURNAL_PATH_MAX]) {
    snprintf(path, JOURNAL_PATH_MAX, "%s/checkpoint.%08llu", j->dir, (unsigned long long)number);
}

static uint64_t bytes_locked(const Journal *j) {
    uint64_t sum = j->current.size;
    for (size_t i = 0; i < j->closed.n; i++) {
        sum += j->closed.v[i].size;
    }
    return sum;
}

/* ---- segments */

/* Header in place and the file's name on disk; the descriptor is ret's. */
static int segment_make(Journal *j, SegmentHeader h, int *ret_fd) {
    char path[JOURNAL_PATH_MAX];
    journal_segment_path(j, h.number, path);
    CLEANUP(file_closep) int fd = -1;
    int r = file_open(path, O_RDWR | O_CREAT | O_TRUNC, 0666, &fd);
    if (r < 0) {
        return err_trace(r);
    }
    CLEANUP(buf_deinit) Buf header = {0};
    journal_put_segment_header(&header, h);
    /* Room in advance makes fdatasync cheaper; without it the journal works as well. */
    (void)!file_allocate(fd, j->segment_bytes, false);
    r = file_pwrite(fd, header.p, header.n, 0);
    if (r == 0) {
        r = file_sync_folder(j->dir);
    }
    if (r < 0) {
        (void)file_unlink(path); /* else it would stand there empty, which replay understands too */
        return err_trace(r);
    }
    *ret_fd = fd;
    fd = -1;
    return 0;
}

/* The caller holds no lock but is the only writer; j->current is the writer's. */
static int rotate(Journal *j) {
    int fd;
    Segment old = j->current;
    SegmentHeader h = {old.number + 1, old.number ? old.size : 0, j->base};
    int r = segment_make(j, h, &fd);
    if (r < 0) {
        return err_trace(r);
    }
    if (j->fd >= 0) {
        /* Gives back what was allocated ahead; what cannot be cut is void by the next header. */
        (void)!file_truncate(j->fd, old.size);
    }
    pthread_mutex_lock(&j->lock);
    if (j->fd >= 0) {
        vec_push(&j->to_sync, j->fd);
        vec_push(&j->closed, old);
    }
    j->fd = fd;
    j->current = (Segment){h.number, JOURNAL_SEGMENT_HEADER, INT64_MIN};
    atomic_store(&j->must_rotate, false);
    j->told_base = h.base;
    pthread_mutex_unlock(&j->lock);
    journal_encoder_reset(&j->encoder, false);
    metric_set(j->segment_current, (double)h.number);
    return 0;
}

/* ---- commits */

static void tell_write_failure(Journal *j, int r) {
    metric_inc(j->writes_failed);
    j->failed_ns = clock_mono_ns();
    if (!j->full_disk_logged) {
        j->full_disk_logged = true;
        log_error("tsdb",
                  r == -ENOSPC
                      ? "Journal: the disk is full, samples are refused until there is room"
                      : "Journal: writing failed, samples are refused",
                  L_CSTR("dir", j->dir), L_INT("segment", j->current.number), L_ERR(r));
    }
}

/* A disk that is nearly full takes small writes between refused ones: it works again once nothing
 * was refused for a while. */
static void tell_write_success(Journal *j) {
    if (j->full_disk_logged && clock_mono_ns() - j->failed_ns > QUIET_NS) {
        j->full_disk_logged = false;
        log_info("tsdb", "Journal: writing works again", L_CSTR("dir", j->dir));
    }
}

/* One or more commits in one go. Their bytes depend on what was written before them, so that they
 * are made here, in the order of the file. */
static int write_commits(Journal *j, const JournalCommit *c, uint64_t *ret_size) {
    if (atomic_load(&j->must_rotate) || j->current.size >= j->segment_bytes) {
        int r = rotate(j);
        if (r < 0) {
            return r;
        }
    }
    buf_reset(&j->out);
    for (; c; c = c->next) {
        size_t start = j->out.n;
        c->batch->put(c->batch->arg, &j->encoder, &j->out);
        journal_seal(&j->out, start);
    }
    int r = file_pwrite(j->fd, j->out.p, j->out.n, j->current.size);
    if (r < 0) {
        /* A part of it may be there: cut it off, or give the segment up. */
        if (file_truncate(j->fd, j->current.size) < 0) {
            atomic_store(&j->must_rotate, true);
        }
        journal_encoder_reset(&j->encoder, true);
    }
    *ret_size = j->out.n;
    if (j->out.cap > OUT_KEPT_MAX) {
        buf_deinit(&j->out);
    }
    return r;
}

/* The waiting commits up to a limit; the last one's next is NULL. */
static JournalCommit *take_batch(Journal *j) {
    JournalCommit *first = j->first, *c = first;
    uint64_t size = c->batch->size;
    while (c->next && size + c->next->batch->size <= BATCH_BYTES_MAX) {
        c = c->next;
        size += c->batch->size;
    }
    j->first = c->next;
    if (!j->first) {
        j->last = &j->first;
    }
    c->next = NULL;
    return first;
}

static void finish_batch(Journal *j, JournalCommit *c, int r, uint64_t size) {
    if (r == 0) {
        j->current.size += size;
        metric_inc(j->page_flushes);
        if (!j->dirty) {
            j->dirty = true;
            (void)!eventfd_write(j->wake_fd, 1);
        }
    }
    while (c) {
        JournalCommit *next = c->next; /* c is its owner's again once it is done */
        if (r == 0) {
            j->current.max_time = MAX(j->current.max_time, c->batch->max_time);
        }
        c->result = r;
        c->done = true;
        c = next;
    }
    pthread_cond_broadcast(&j->written);
}

/* Until all that wait are written: the caller does it for everybody. Called and left with the lock
 * held. */
static void write_waiting(Journal *j) {
    j->writing = true;
    while (j->first) {
        uint64_t size = 0;
        JournalCommit *batch = take_batch(j);
        pthread_mutex_unlock(&j->lock);
        int r = write_commits(j, batch, &size);
        pthread_mutex_lock(&j->lock);
        if (r < 0) {
            tell_write_failure(j, r);
        } else {
            tell_write_success(j);
        }
        finish_batch(j, batch, r, size);
    }
    j->writing = false;
    pthread_cond_broadcast(&j->written);
}

int journal_commit(Journal *j, const JournalBatch *b) {
    if (atomic_load(&j->held)) {
        return err_trace(-ENOSPC);
    }
    JournalCommit c = {.batch = b};
    pthread_mutex_lock(&j->lock);
    *j->last = &c;
    j->last = &c.next;
    while (!c.done && j->writing) {
        pthread_cond_wait(&j->written, &j->lock);
    }
    if (!c.done) {
        write_waiting(j);
    }
    pthread_mutex_unlock(&j->lock);
    return c.result;
}

/* ---- syncing */

static int sync_one(Journal *j, int fd) {
    int64_t start = clock_mono_ns();
    int r = file_sync_data(fd);
    metric_observe(j->fsync_seconds, (double)(clock_mono_ns() - start) / 1e9);
    return r;
}

/*
 * After a failed fdatasync the system may have dropped the pages and report success next time, so
 * the file is not asked again: writing goes on in a new segment.
 */
static void sync_failed(Journal *j, int r) {
    log_error(
        "tsdb",
        "Journal: syncing failed; a power loss now may lose the last samples, writing goes on "
        "in a new segment",
        L_CSTR("dir", j->dir), L_ERR(r));
    metric_inc(j->writes_failed);
}

/* What was written so far; by the syncing thread, or after it ended. */
static int journal_sync(Journal *j) {
    pthread_mutex_lock(&j->lock);
    int fd = j->fd;
    uint64_t number = j->current.number;
    bool was_dirty = j->dirty;
    VEC(int) old = {j->to_sync.v, j->to_sync.n, j->to_sync.cap};
    j->to_sync.v = NULL;
    j->to_sync.n = j->to_sync.cap = 0;
    j->dirty = false;
    pthread_mutex_unlock(&j->lock);
    int result = 0;
    for (size_t i = 0; i < old.n; i++) {
        int r = sync_one(j, old.v[i]);
        if (r < 0) {
            sync_failed(j, r);
            result = r;
        }
        file_close(old.v[i]);
    }
    vec_free(&old);
    int r = was_dirty && fd >= 0 ? sync_one(j, fd) : 0;
    if (r < 0) {
        sync_failed(j, r);
        pthread_mutex_lock(&j->lock);
        if (j->current.number == number) {
            atomic_store(&j->must_rotate, true);
        }
        pthread_mutex_unlock(&j->lock);
        result = r;
    }
    return result;
}

/* Waits for fds[0..n) or the interval; true: it is time to end. */
static bool wait_for(struct pollfd *fds, nfds_t n, int timeout_ms) {
    int r;
    do {
        r = poll(fds, n, timeout_ms);
    } while (r < 0 && errno == EINTR);
    return fds[0].revents != 0;
}

static void *sync_thread(void *arg) {
    Journal *j = arg;
    struct pollfd fds[2] = {{.fd = j->stop_fd, .events = POLLIN},
                            {.fd = j->wake_fd, .events = POLLIN}};
    while (!wait_for(fds, 2, -1)) {
        eventfd_t count;
        (void)!eventfd_read(j->wake_fd, &count);
        (void)journal_sync(j); /* it has told what went wrong */
        if (wait_for(fds, 1, (int)j->sync_interval_ms)) {
            break;
        }
    }
    return NULL;
}

/* ---- checkpoint and trim */

/* Segments from the oldest on whose samples are all before mint; 0 = none. */
static uint64_t last_obsolete(const Journal *j, uint64_t last, int64_t mint) {
    uint64_t number = 0;
    for (size_t i = 0;
         i < j->closed.n && j->closed.v[i].number <= last && j->closed.v[i].max_time < mint; i++) {
        number = j->closed.v[i].number;
    }
    return number;
}

static int write_checkpoint_file(int fd, SegmentHeader h, JournalFillFn fill, void *arg,
                                 uint64_t *ret_size) {
    CLEANUP(buf_deinit) Buf b = {0};
    JournalEncoder e;
    uint64_t at = 0;
    int r = 0;
    journal_encoder_init(&e);
    journal_put_segment_header(&b, h);
    bool more = true;
    while (r == 0 && (b.n > 0 || more)) {
        r = file_pwrite(fd, b.p, b.n, at);
        at += b.n;
        buf_reset(&b);
        more = more && r == 0 && fill(arg, &e, &b);
        journal_seal(&b, 0);
    }
    journal_encoder_deinit(&e);
    *ret_size = at;
    return r < 0 ? err_trace(r) : file_sync(fd);
}

static int write_checkpoint(Journal *j, uint64_t number, int64_t base, JournalFillFn fill,
                            void *arg, uint64_t *ret_size) {
    char path[JOURNAL_PATH_MAX], tmp[JOURNAL_PATH_MAX];
    journal_checkpoint_path(j, number, path);
    snprintf(tmp, sizeof(tmp), "%s/checkpoint.tmp", j->dir);
    int fd;
    int r = file_open(tmp, O_RDWR | O_CREAT | O_TRUNC, 0666, &fd);
    if (r < 0) {
        return err_trace(r);
    }
    r = write_checkpoint_file(fd, (SegmentHeader){number, 0, base}, fill, arg, ret_size);
    int closed = file_close(fd);
    r = r < 0 ? r : closed;
    if (r == 0) {
        r = file_rename(tmp, path);
    }
    if (r == 0) {
        r = file_sync_folder(j->dir);
    }
    if (r < 0) {
        (void)file_unlink(tmp); /* the next one overwrites it */
    }
    return r;
}

/* The files that the checkpoint stands for. What cannot be removed is removed by the next start. */
static void drop_obsolete(Journal *j, uint64_t number, uint64_t size) {
    char path[JOURNAL_PATH_MAX];
    pthread_mutex_lock(&j->lock);
    bool had = j->has_checkpoint;
    uint64_t old = j->checkpoint;
    j->has_checkpoint = true;
    j->checkpoint = number;
    j->checkpoint_bytes = size;
    size_t n = 0;
    while (n < j->closed.n && j->closed.v[n].number <= number) {
        journal_segment_path(j, j->closed.v[n++].number, path);
        (void)file_unlink(path);
    }
    memmove(j->closed.v, j->closed.v + n, (j->closed.n - n) * sizeof(*j->closed.v));
    j->closed.n -= n;
    pthread_mutex_unlock(&j->lock);
    if (had && old != number) {
        journal_checkpoint_path(j, old, path);
        (void)file_unlink(path);
    }
}

/* Takes the writer's place for a rotation. A segment that has nothing to tell yet stays. */
static int rotate_exclusively(Journal *j, int64_t base) {
    pthread_mutex_lock(&j->lock);
    while (j->writing) {
        pthread_cond_wait(&j->written, &j->lock);
    }
    j->writing = true;
    j->base = MAX(j->base, base);
    pthread_mutex_unlock(&j->lock);
    bool same = j->current.max_time == INT64_MIN && j->told_base == j->base;
    int r = same ? 0 : rotate(j);
    pthread_mutex_lock(&j->lock);
    write_waiting(j);
    pthread_mutex_unlock(&j->lock);
    return r;
}

int journal_cut(Journal *j, int64_t base, uint64_t *ret_last) {
    int r = rotate_exclusively(j, base);
    if (r < 0) {
        metric_inc(j->truncations_failed);
        return err_trace(r);
    }
    pthread_mutex_lock(&j->lock);
    *ret_last = j->current.number - 1;
    pthread_mutex_unlock(&j->lock);
    return 0;
}

int journal_trim(Journal *j, uint64_t last, int64_t floor, JournalFillFn fill, void *arg) {
    pthread_mutex_lock(&j->lock);
    uint64_t number = last_obsolete(j, last, floor);
    pthread_mutex_unlock(&j->lock);
    if (number == 0) {
        return 0;
    }
    uint64_t size;
    metric_inc(j->checkpoints);
    int r = write_checkpoint(j, number, j->base, fill, arg, &size);
    if (r < 0) {
        metric_inc(j->checkpoints_failed);
        metric_inc(j->truncations_failed);
        return err_trace(r);
    }
    drop_obsolete(j, number, size);
    metric_inc(j->truncations);
    return 0;
}

/* ---- life */

static void make_metrics(Journal *j) {
    static const double quantiles[] = {0.5, 0.9, 0.99};
    j->fsync_seconds = metric_summary("prometheus_tsdb_wal_fsync_duration_seconds",
                                      "Duration of write log fsync.", NULL, quantiles, 3);
    j->writes_failed = metric_counter("prometheus_tsdb_wal_writes_failed_total",
                                      "Total number of write log writes that failed.", NULL);
    j->page_flushes = metric_counter("prometheus_tsdb_wal_page_flushes_total",
                                     "Total number of writes to the write log.", NULL);
    j->truncations = metric_counter("prometheus_tsdb_wal_truncations_total",
                                    "Total number of write log truncations.", NULL);
    j->truncations_failed =
        metric_counter("prometheus_tsdb_wal_truncations_failed_total",
                       "Total number of write log truncations that failed.", NULL);
    j->corruptions = metric_counter("prometheus_tsdb_wal_corruptions_total",
                                    "Total number of write log corruptions.", NULL);
    j->segment_current = metric_gauge("prometheus_tsdb_wal_segment_current",
                                      "Write log segment that is being written to.", NULL);
    j->storage_bytes = metric_gauge("prometheus_tsdb_wal_storage_size_bytes",
                                    "Size of the write log directory.", NULL);
    j->checkpoints = metric_counter("prometheus_tsdb_checkpoint_creations_total",
                                    "Total number of checkpoint creations attempted.", NULL);
    j->checkpoints_failed =
        metric_counter("prometheus_tsdb_checkpoint_creations_failed_total",
                       "Total number of checkpoint creations that failed.", NULL);
}

static int note_file(void *arg, const char *name) {
    Journal *j = arg;
    unsigned long long number;
    int end = 0;
    if (sscanf(name, "checkpoint.%8llu%n", &number, &end) == 1 && !name[end]) {
        if (!j->has_checkpoint || number > j->checkpoint) {
            j->checkpoint = number;
        }
        j->has_checkpoint = true;
    } else if (sscanf(name, "%llu%n", &number, &end) == 1 && !name[end] && strlen(name) >= 8) {
        vec_push(&j->closed, (Segment){number, 0, INT64_MIN});
    }
    return 0;
}

/* What the headers tell; one that does not read is replay's business. */
static void note_base(Journal *j, const char *path) {
    uint8_t bytes[JOURNAL_SEGMENT_HEADER];
    size_t n = 0;
    JournalReader reader;
    SegmentHeader h;
    CLEANUP(file_closep) int fd = -1;
    if (file_open(path, O_RDONLY, 0, &fd) == 0 &&
        file_pread(fd, bytes, sizeof(bytes), 0, &n) == 0 &&
        journal_reader_init(&reader, bytes, n, &h) == JOURNAL_RECORD) {
        j->base = MAX(j->base, h.base);
    }
}

static void note_bases(Journal *j) {
    char path[JOURNAL_PATH_MAX];
    if (j->has_checkpoint) {
        journal_checkpoint_path(j, j->checkpoint, path);
        note_base(j, path);
    }
    for (size_t i = 0; i < j->closed.n; i++) {
        journal_segment_path(j, j->closed.v[i].number, path);
        note_base(j, path);
    }
}

int64_t journal_base(const Journal *j) { return j->base; }

void journal_set_base(Journal *j, int64_t base) { j->base = base; }

static int by_number(const void *a, const void *b) {
    uint64_t x = ((const Segment *)a)->number, y = ((const Segment *)b)->number;
    return (x > y) - (x < y);
}

int journal_open(const JournalOptions *o, Journal **ret, Problem *problem) {
    int r = file_make_folder(o->dir);
    if (r < 0) {
        problem_set(problem, 0, 0, "journal folder %s: %s", o->dir, strerror(-r));
        return err_trace(r);
    }
    Journal *j = NEW(Journal);
    j->dir = mem_strdup(o->dir);
    j->segment_bytes = o->segment_bytes ? o->segment_bytes : SEGMENT_BYTES_DEFAULT;
    j->sync_interval_ms = o->sync_interval_ms ? o->sync_interval_ms : SYNC_INTERVAL_DEFAULT_MS;
    j->fd = j->wake_fd = j->stop_fd = -1;
    j->last = &j->first;
    j->current.max_time = INT64_MIN;
    j->base = j->told_base = INT64_MIN;
    journal_encoder_init(&j->encoder);
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->written, NULL);
    make_metrics(j);
    r = file_each_name(j->dir, note_file, j);
    if (r < 0) {
        problem_set(problem, 0, 0, "journal folder %s: %s", o->dir, strerror(-r));
        journal_close(j);
        return err_trace(r);
    }
    if (j->closed.n > 0) {
        qsort(j->closed.v, j->closed.n, sizeof(*j->closed.v), by_number);
    }
    note_bases(j);
    *ret = j;
    return 0;
}

int journal_start(Journal *j) {
    Segment *newest = j->closed.n ? &j->closed.v[j->closed.n - 1] : NULL;
    j->current = (Segment){newest ? newest->number : j->checkpoint, newest ? newest->size : 0, 0};
    int r = rotate(j);
    if (r < 0) {
        return err_trace(r);
    }
    j->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    j->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (j->wake_fd < 0 || j->stop_fd < 0) {
        return err_trace(-errno);
    }
    r = pthread_create(&j->thread, NULL, sync_thread, j);
    if (r != 0) {
        return err_trace(-r);
    }
    j->thread_runs = true;
    return 0;
}

void journal_close(Journal *j) {
    if (!j) {
        return;
    }
    if (j->thread_runs) {
        (void)!eventfd_write(j->stop_fd, 1);
        pthread_join(j->thread, NULL);
    }
    if (j->fd >= 0) {
        (void)journal_sync(j); /* it has told what went wrong */
        (void)!file_truncate(j->fd, j->current.size);
        file_close(j->fd);
    }
    file_close(j->wake_fd);
    file_close(j->stop_fd);
    vec_free(&j->to_sync);
    vec_free(&j->closed);
    journal_encoder_deinit(&j->encoder);
    buf_deinit(&j->out);
    pthread_cond_destroy(&j->written);
    pthread_mutex_destroy(&j->lock);
    mem_free(j->dir);
    mem_free(j);
}

void journal_hold(Journal *j, bool hold) { atomic_store(&j->held, hold); }

uint64_t journal_bytes(Journal *j) {
    pthread_mutex_lock(&j->lock);
    uint64_t n = bytes_locked(j) + j->checkpoint_bytes;
    pthread_mutex_unlock(&j->lock);
    metric_set(j->storage_bytes, (double)n);
    return n;
}

uint64_t journal_segments_bytes(Journal *j) {
    pthread_mutex_lock(&j->lock);
    uint64_t n = bytes_locked(j);
    pthread_mutex_unlock(&j->lock);
    return n;
}

void journal_segments(Journal *j, uint64_t *ret_first, uint64_t *ret_last) {
    pthread_mutex_lock(&j->lock);
    *ret_first = j->closed.n ? j->closed.v[0].number : j->current.number;
    *ret_last = j->current.number;
    pthread_mutex_unlock(&j->lock);
}
