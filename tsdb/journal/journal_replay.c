/*
 * Reading the journal back. Damage is told from an ordinary end thus: the header of each segment
 * says how much of the one before is valid, so that only the last segment may be cut off.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "tsdb/journal/journal_files.h"

enum { SEGMENT_STOP = 1 };

typedef struct Replay {
    Journal *j;
    const JournalReplay *how;
    Problem *problem;
    VEC(JournalRecord) commit; /* records of a commit that is not complete yet */
} Replay;

static int refuse_format(Replay *r, const char *path, const char *what) {
    problem_set(r->problem, 0, 0, "%s: %s; use the version of the program that wrote it", path,
                what);
    return -ENOTSUP;
}

static int deliver(Replay *r, Segment *s) {
    for (size_t i = 0; i < r->commit.n; i++) {
        const JournalRecord *rec = &r->commit.v[i];
        if (journal_type_name(rec->type)) {
            int e = r->how->record(r->how->arg, rec, &s->max_time);
            if (e < 0) {
                return e;
            }
        }
    }
    r->commit.n = 0;
    return 0;
}

/* The offset up to which the bytes are good in s->size, and what stands there as the result. */
static int read_records(Replay *r, JournalReader *reader, Segment *s, const char *path) {
    JournalRecord rec;
    int outcome;
    s->size = reader->at;
    r->commit.n = 0;
    r->how->begin(r->how->arg);
    while ((outcome = journal_reader_next(reader, &rec)) == JOURNAL_RECORD) {
        if (!journal_type_name(rec.type) && !(rec.type & JOURNAL_TYPE_OPTIONAL)) {
            char what[96];
            snprintf(what, sizeof(what), "record of kind %d, which this version does not know",
                     rec.type);
            return refuse_format(r, path, what);
        }
        vec_push(&r->commit, rec);
        if (!rec.more) {
            int e = deliver(r, s);
            if (e < 0) {
                return e == -EBADMSG ? JOURNAL_BAD : e;
            }
            s->size = reader->at;
        }
    }
    return outcome == JOURNAL_END && r->commit.n > 0 ? JOURNAL_TORN : outcome;
}

/* `limit`: valid bytes as the next segment's header tells, UINT64_MAX when there is none. */
static int read_segment(Replay *r, Segment *s, const char *path, uint64_t limit) {
    CLEANUP(file_closep) int fd = -1;
    uint64_t size;
    int e = file_open(path, O_RDONLY, 0, &fd);
    if (e == 0) {
        e = file_size(fd, &size);
    }
    FileMap map = {0};
    if (e == 0) {
        e = file_map(fd, MIN(size, limit), &map);
    }
    if (e < 0) {
        return err_trace(e);
    }
    JournalReader reader;
    SegmentHeader h;
    s->size = 0;
    int outcome = journal_reader_init(&reader, map.p, map.n, &h);
    if (outcome == JOURNAL_NEWER_FORMAT) {
        outcome = refuse_format(r, path, "journal of a format this version does not know");
    } else if (outcome == JOURNAL_RECORD) {
        outcome = h.number == s->number ? read_records(r, &reader, s, path) : JOURNAL_BAD;
    }
    file_unmap(&map);
    /* Short of what the next header promised is a loss, not an ordinary end. */
    return outcome == JOURNAL_TORN && limit != UINT64_MAX ? JOURNAL_BAD : outcome;
}

static uint64_t valid_bytes_of(const Journal *j, size_t i) {
    char path[JOURNAL_PATH_MAX];
    uint8_t bytes[JOURNAL_SEGMENT_HEADER];
    size_t n = 0;
    JournalReader reader;
    SegmentHeader h;
    if (i + 1 >= j->closed.n || j->closed.v[i + 1].number != j->closed.v[i].number + 1) {
        return UINT64_MAX;
    }
    journal_segment_path(j, j->closed.v[i + 1].number, path);
    CLEANUP(file_closep) int fd = -1;
    if (file_open(path, O_RDONLY, 0, &fd) < 0 || file_pread(fd, bytes, sizeof(bytes), 0, &n) < 0 ||
        journal_reader_init(&reader, bytes, n, &h) != JOURNAL_RECORD) {
        return UINT64_MAX;
    }
    return h.previous_size;
}

/* ---- setting aside */

static void bad_path(const char *path, char dst[JOURNAL_PATH_MAX + 32]) {
    unsigned n = 1;
    do {
        snprintf(dst, JOURNAL_PATH_MAX + 32, "%s.bad-%u", path, n++);
    } while (file_exists(dst));
}

static int copy_tail(int from, uint64_t at, const char *to) {
    char bytes[65536];
    CLEANUP(file_closep) int fd = -1;
    int r = file_open(to, O_WRONLY | O_CREAT | O_EXCL, 0666, &fd);
    uint64_t written = 0;
    while (r == 0) {
        size_t n;
        r = file_pread(from, bytes, sizeof(bytes), at + written, &n);
        if (r < 0 || n == 0) {
            break;
        }
        r = file_pwrite(fd, bytes, n, written);
        written += n;
    }
    return r < 0 ? r : file_sync(fd);
}

/* Keeps the good beginning, and a copy of the rest under another name. */
static int set_tail_aside(const char *path, uint64_t good) {
    char bad[JOURNAL_PATH_MAX + 32];
    bad_path(path, bad);
    CLEANUP(file_closep) int fd = -1;
    int r = file_open(path, O_RDWR, 0, &fd);
    if (r == 0) {
        r = copy_tail(fd, good, bad);
    }
    if (r == 0) {
        r = file_truncate(fd, good);
    }
    return r;
}

static int set_file_aside(const char *path) {
    char bad[JOURNAL_PATH_MAX + 32];
    bad_path(path, bad);
    return file_rename(path, bad);
}

/* Damage at segment i: the journal ends there. */
static int set_rest_aside(Journal *j, size_t i) {
    char path[JOURNAL_PATH_MAX];
    journal_segment_path(j, j->closed.v[i].number, path);
    log_error("tsdb", "Journal is damaged: what follows is set aside as *.bad-<n>, not deleted",
              L_CSTR("segment", path), L_INT("offset", j->closed.v[i].size),
              L_INT("segments_after", j->closed.n - i - 1));
    metric_inc(j->corruptions);
    size_t keep = j->closed.v[i].size > 0 ? i + 1 : i;
    int r = keep > i ? set_tail_aside(path, j->closed.v[i].size) : 0;
    for (size_t k = keep; r == 0 && k < j->closed.n; k++) {
        journal_segment_path(j, j->closed.v[k].number, path);
        r = set_file_aside(path);
    }
    j->closed.n = keep;
    return r < 0 ? r : file_sync_folder(j->dir);
}

/* A cut-off end is dropped, so that the next header's count is right. */
static int cut_torn_end(Journal *j, size_t i) {
    char path[JOURNAL_PATH_MAX];
    Segment *s = &j->closed.v[i];
    journal_segment_path(j, s->number, path);
    log_debug("tsdb", "Journal ends in the middle of a record, as after a crash",
              L_CSTR("segment", path), L_INT("offset", s->size));
    if (s->size == 0) {
        j->closed.n = i;
        return file_unlink(path);
    }
    CLEANUP(file_closep) int fd = -1;
    int r = file_open(path, O_RDWR, 0, &fd);
    return r < 0 ? r : file_truncate(fd, s->size);
}

/* ---- the whole */

static int replay_segment(Replay *r, size_t i) {
    char path[JOURNAL_PATH_MAX];
    Journal *j = r->j;
    bool last = i + 1 == j->closed.n;
    journal_segment_path(j, j->closed.v[i].number, path);
    int outcome = read_segment(r, &j->closed.v[i], path, valid_bytes_of(j, i));
    if (outcome < 0) {
        return err_trace(outcome);
    }
    if (outcome == JOURNAL_TORN && last) {
        return cut_torn_end(j, i);
    }
    bool gap = !last && j->closed.v[i + 1].number != j->closed.v[i].number + 1;
    if (outcome == JOURNAL_END && !gap) {
        return 0;
    }
    int e = set_rest_aside(j, i);
    return e < 0 ? err_trace(e) : SEGMENT_STOP;
}

static int replay_checkpoint(Replay *r) {
    char path[JOURNAL_PATH_MAX];
    Journal *j = r->j;
    Segment s = {.number = j->checkpoint, .max_time = INT64_MIN};
    journal_checkpoint_path(j, s.number, path);
    int outcome = read_segment(r, &s, path, UINT64_MAX);
    if (outcome < 0) {
        return err_trace(outcome);
    }
    j->checkpoint_bytes = s.size;
    if (outcome != JOURNAL_END) {
        metric_inc(j->corruptions);
        log_error("tsdb", "Journal checkpoint is damaged: series behind the damage are lost",
                  L_CSTR("file", path), L_INT("offset", s.size));
        return s.size > 0 ? set_tail_aside(path, s.size) : set_file_aside(path);
    }
    return 0;
}

/* What a crash between checkpoint and removal left behind. */
static void drop_covered(Journal *j) {
    char path[JOURNAL_PATH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < j->closed.n; i++) {
        if (j->has_checkpoint && j->closed.v[i].number <= j->checkpoint) {
            journal_segment_path(j, j->closed.v[i].number, path);
            (void)file_unlink(path); /* tried again at the next start */
        } else {
            j->closed.v[n++] = j->closed.v[i];
        }
    }
    j->closed.n = n;
}

static int drop_old_checkpoint(void *arg, const char *name) {
    Journal *j = arg;
    unsigned long long number;
    int end = 0;
    char path[JOURNAL_PATH_MAX];
    if (sscanf(name, "checkpoint.%8llu%n", &number, &end) == 1 && !name[end] &&
        number < j->checkpoint) {
        journal_checkpoint_path(j, number, path);
        (void)file_unlink(path); /* tried again at the next start */
    }
    return 0;
}

int journal_replay(Journal *j, const JournalReplay *how, Problem *problem) {
    Replay r = {.j = j, .how = how, .problem = problem};
    int e = 0;
    if (j->has_checkpoint) {
        e = replay_checkpoint(&r);
    }
    if (e == 0) {
        drop_covered(j);
        (void)file_each_name(j->dir, drop_old_checkpoint, j); /* only tidying */
    }
    for (size_t i = 0; e == 0 && i < j->closed.n; i++) {
        if (how->progress) {
            how->progress(how->arg, j->closed.v[0].number, j->closed.v[j->closed.n - 1].number,
                          j->closed.v[i].number);
        }
        e = replay_segment(&r, i);
    }
    vec_free(&r.commit);
    return e < 0 ? err_trace(e) : 0;
}
