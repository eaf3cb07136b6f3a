/* The journal: records round-trip, every cut and every flipped bit is noticed, files survive
 * faults. */
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "model/sample.h"
#include "support/test.h"
#include "tsdb/journal/journal.h"

static const double odd_values[] = {
    0, -0.0, 1, -1, 1e300, 0.1, 0.5, 12345678901234567.0, 5e-324, INFINITY, -INFINITY};

static double value_at(size_t i) {
    if (i % 13 == 12) {
        return i % 2 ? stale_nan() : double_of_bits(0x7ff8dead00000001);
    }
    return i % 3 ? (double)i : odd_values[i % ARRAY_LEN(odd_values)];
}

static void make_samples(JournalSample *v, size_t n, bool timed) {
    for (size_t i = 0; i < n; i++) {
        uint32_t slot = (uint32_t)(i % 7 == 6 ? i * 1000 : i * 2 / 2);
        v[i] = (JournalSample){
            .slot = slot, .t = 1000 + (timed ? (int64_t)(i * 37 % 91) : 0), .v = value_at(i)};
    }
}

static void check_samples(const JournalRecord *rec, const JournalSample *want, size_t n) {
    CLEANUP(buf_deinit) Buf scratch = {0};
    Str payload;
    JournalSamples it;
    JournalSample got;
    int64_t max = INT64_MIN;
    CHECK_INT(journal_record_payload(rec, &scratch, &payload), 0);
    CHECK_INT(journal_samples_init(&it, rec->type, payload), 0);
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(journal_samples_next(&it, &got), 1);
        CHECK_INT(got.slot, want[i].slot);
        CHECK_INT(got.t, want[i].t);
        CHECK(double_bits(got.v) == double_bits(want[i].v));
        max = MAX(max, want[i].t);
    }
    CHECK_INT(journal_samples_next(&it, &got), 0);
    CHECK_INT(it.max_time, max);
}

static void round_trip(size_t n, bool timed) {
    CLEANUP(buf_deinit) Buf b = {0};
    CLEANUP(buf_deinit) Buf scratch = {0};
    JournalSample *v = mem_calloc(n, sizeof(*v));
    make_samples(v, n, timed);
    journal_put_segment_header(&b, (SegmentHeader){3, 77});
    journal_put_samples(&b, &scratch, v, n);
    journal_seal(&b, JOURNAL_SEGMENT_HEADER);
    JournalReader r;
    SegmentHeader h;
    JournalRecord rec;
    CHECK_INT(journal_reader_init(&r, b.p, b.n, &h), JOURNAL_RECORD);
    CHECK_INT(h.number, 3);
    CHECK_INT(h.previous_size, 77);
    CHECK_INT(journal_reader_next(&r, &rec), JOURNAL_RECORD);
    CHECK(!rec.more);
    check_samples(&rec, v, n);
    CHECK_INT(journal_reader_next(&r, &rec), JOURNAL_END);
    mem_free(v);
}

TEST (samples_round_trip_bit_for_bit) {
    for (size_t n = 1; n < 300; n += 1 + n / 10) {
        round_trip(n, false);
        round_trip(n, true);
    }
}

static Labels example(Label v[2], const char *value) {
    v[0] = (Label){STR("__name__"), STR("up")};
    v[1] = (Label){STR("instance"), str_of(value)};
    return (Labels){v, 2};
}

/* A commit of a series and two samples. */
static void put_commit(Buf *b, uint32_t slot, int64_t t) {
    CLEANUP(buf_deinit) Buf scratch = {0};
    Label l[2];
    char value[32];
    size_t start = b->n;
    JournalSeriesWriter w;
    JournalSample s[2] = {{slot, t, (double)t}, {slot + 1, t, 0.1}};
    snprintf(value, sizeof(value), "host-%u", slot);
    journal_series_begin(&w, b);
    journal_series_add(&w, slot, example(l, value));
    journal_series_end(&w);
    journal_put_samples(b, &scratch, s, 2);
    journal_seal(b, start);
}

/* Everything that can be read, fully decoded; how many records. */
static int read_through(const char *p, size_t n, int *ret_outcome) {
    JournalReader r;
    SegmentHeader h;
    JournalRecord rec;
    int count = 0;
    *ret_outcome = journal_reader_init(&r, p, n, &h);
    if (*ret_outcome != JOURNAL_RECORD) {
        return 0;
    }
    while ((*ret_outcome = journal_reader_next(&r, &rec)) == JOURNAL_RECORD) {
        count++;
    }
    return count;
}

TEST (every_prefix_of_a_segment_reads_as_torn_or_ended) {
    CLEANUP(buf_deinit) Buf b = {0};
    int outcome;
    journal_put_segment_header(&b, (SegmentHeader){1, 0});
    for (uint32_t i = 0; i < 5; i++) {
        put_commit(&b, i * 2, 1000 + i);
    }
    CHECK_INT(read_through(b.p, b.n, &outcome), 10);
    CHECK_INT(outcome, JOURNAL_END);
    for (size_t n = 0; n < b.n; n++) {
        char *copy = mem_dup(b.p, n ? n : 1); /* so that the address sanitizer sees the end */
        int count = read_through(copy, n, &outcome);
        CHECK(outcome == JOURNAL_TORN || outcome == JOURNAL_END);
        CHECK(count < 10);
        mem_free(copy);
    }
}

TEST (every_flipped_bit_is_noticed) {
    CLEANUP(buf_deinit) Buf b = {0};
    int outcome;
    journal_put_segment_header(&b, (SegmentHeader){1, 0});
    put_commit(&b, 0, 1000);
    for (size_t bit = 0; bit < b.n * 8; bit++) {
        b.p[bit / 8] ^= (char)(1 << bit % 8);
        int count = read_through(b.p, b.n, &outcome);
        CHECK(count < 2);
        CHECK(outcome != JOURNAL_END);
        b.p[bit / 8] ^= (char)(1 << bit % 8);
    }
}

/* ---- files */

typedef struct Seen {
    int series, samples;
    int64_t last;
} Seen;

static int see(void *arg, const JournalRecord *rec, int64_t *max_time) {
    Seen *s = arg;
    CLEANUP(buf_deinit) Buf scratch = {0};
    Str payload;
    CHECK_INT(journal_record_payload(rec, &scratch, &payload), 0);
    if (rec->type == JOURNAL_SAMPLES) {
        JournalSamples it;
        JournalSample x;
        CHECK_INT(journal_samples_init(&it, rec->type, payload), 0);
        while (journal_samples_next(&it, &x) > 0) {
            s->samples++;
            s->last = x.t;
        }
        *max_time = MAX(*max_time, it.max_time);
    }
    s->series += rec->type == JOURNAL_SERIES;
    return 0;
}

static Journal *open_journal(Seen *seen, uint64_t segment_bytes) {
    Journal *j;
    JournalOptions o = {
        .dir = test_tmpdir(), .segment_bytes = segment_bytes, .sync_interval_ms = 5};
    JournalReplay how = {.arg = seen, .record = see};
    *seen = (Seen){0};
    CHECK_INT(journal_open(&o, &j, NULL), 0);
    CHECK_INT(journal_replay(j, &how, NULL), 0);
    CHECK_INT(journal_start(j), 0);
    return j;
}

static int commit_one(Journal *j, uint32_t slot, int64_t t) {
    CLEANUP(buf_deinit) Buf b = {0};
    put_commit(&b, slot, t);
    return journal_commit(j, &b, t);
}

static char *file_at(const char *name) { return mem_printf("%s/%s", test_tmpdir(), name); }

TEST (commits_come_back_over_segments_and_openings) {
    Seen seen;
    for (int round = 0; round < 3; round++) {
        Journal *j = open_journal(&seen, 1024);
        CHECK_INT(seen.samples, round * 100);
        for (int i = 0; i < 50; i++) {
            CHECK_INT(commit_one(j, (uint32_t)i * 2, 1000 + i), 0);
        }
        journal_close(j);
    }
}

TEST (a_torn_end_is_quiet_and_what_was_before_stays) {
    Seen seen;
    Journal *j = open_journal(&seen, 0);
    CHECK_INT(commit_one(j, 0, 1), 0);
    CHECK_INT(commit_one(j, 2, 2), 0);
    journal_close(j);
    char *path = file_at("00000001");
    int fd;
    uint64_t size;
    CHECK_INT(file_open(path, O_RDWR, 0, &fd), 0);
    CHECK_INT(file_size(fd, &size), 0);
    CHECK_INT(file_truncate(fd, size - 5), 0);
    file_close(fd);
    journal_close(open_journal(&seen, 0));
    CHECK_INT(seen.samples, 2);
    journal_close(open_journal(&seen, 0));
    CHECK_INT(seen.samples, 2);
    char *bad = mem_printf("%s.bad-1", path);
    CHECK(!file_exists(bad));
    mem_free(bad);
    mem_free(path);
}

TEST (damage_in_the_middle_sets_the_rest_aside) {
    Seen seen;
    Journal *j = open_journal(&seen, 1024);
    for (int i = 0; i < 50; i++) {
        CHECK_INT(commit_one(j, (uint32_t)i * 2, 1000 + i), 0);
    }
    journal_close(j);
    char *path = file_at("00000002"), *bad = file_at("00000002.bad-1"),
         *bad3 = file_at("00000003.bad-1");
    int fd;
    CHECK_INT(file_open(path, O_RDWR, 0, &fd), 0);
    CHECK_INT(file_pwrite(fd, "x", 1, 300), 0);
    file_close(fd);
    log_set_fd(open("/dev/null", O_WRONLY));
    journal_close(open_journal(&seen, 1024));
    int left = seen.samples;
    CHECK(left > 0 && left < 100);
    CHECK(file_exists(bad) && file_exists(bad3));
    journal_close(open_journal(&seen, 1024));
    CHECK_INT(seen.samples, left);
    mem_free(path);
    mem_free(bad);
    mem_free(bad3);
}

TEST (an_unknown_required_kind_is_refused_and_an_optional_one_skipped) {
    for (int optional = 0; optional < 2; optional++) {
        Seen seen;
        Journal *j = open_journal(&seen, 0);
        CLEANUP(buf_deinit) Buf b = {0};
        put_commit(&b, 0, 5);
        b.p[4] = (char)(optional ? 0x85 : 0x45); /* the kind of the first record */
        journal_seal(&b, 0);
        CHECK_INT(journal_commit(j, &b, 5), 0);
        journal_close(j);
        Problem problem = {0};
        JournalOptions o = {.dir = test_tmpdir()};
        JournalReplay how = {.arg = &seen, .record = see};
        CHECK_INT(journal_open(&o, &j, &problem), 0);
        int r = journal_replay(j, &how, &problem);
        CHECK_INT(r, optional ? 0 : -ENOTSUP);
        if (!optional) {
            CHECK(strstr(problem.text, "kind 69"));
        }
        journal_close(j);
        file_remove_tree(test_tmpdir());
    }
}

static int full_disk(void *arg, FileOp op, size_t *n) {
    bool *full = arg;
    if (op == FILE_OP_WRITE && *full) {
        *n = *n / 2;
        return -ENOSPC;
    }
    return 0;
}

TEST (a_full_disk_refuses_the_commit_whole_and_goes_on_when_there_is_room) {
    Seen seen;
    bool full = false;
    log_set_fd(open("/dev/null", O_WRONLY));
    Journal *j = open_journal(&seen, 0);
    CHECK_INT(commit_one(j, 0, 1), 0);
    file_fault_set(full_disk, &full);
    full = true;
    CHECK_INT(commit_one(j, 2, 2), -ENOSPC);
    CHECK_INT(commit_one(j, 2, 2), -ENOSPC);
    full = false;
    CHECK_INT(commit_one(j, 4, 3), 0);
    file_fault_set(NULL, NULL);
    journal_close(j);
    journal_close(open_journal(&seen, 0));
    CHECK_INT(seen.samples, 4);
    CHECK_INT(seen.last, 3);
}

static int fail_first_sync(void *arg, FileOp op, size_t *n) {
    atomic_int *syncs = arg;
    (void)n;
    return op == FILE_OP_SYNC && atomic_fetch_add(syncs, 1) == 0 ? -EIO : 0;
}

TEST (a_failed_fsync_begins_a_new_segment) {
    Seen seen;
    uint64_t first, last;
    log_set_fd(open("/dev/null", O_WRONLY));
    Journal *j = open_journal(&seen, 0);
    atomic_int syncs = 0;
    file_fault_set(fail_first_sync, &syncs);
    CHECK_INT(commit_one(j, 0, 1), 0);
    for (int i = 0; i < 2000 && atomic_load(&syncs) < 1; i++) {
        usleep(1000);
    }
    usleep(20000);
    CHECK_INT(commit_one(j, 2, 2), 0);
    file_fault_set(NULL, NULL);
    journal_segments(j, &first, &last);
    CHECK_INT(last, 2);
    journal_close(j);
    journal_close(open_journal(&seen, 0));
    CHECK_INT(seen.samples, 4);
}

static bool fill_one(void *arg, Buf *out) {
    Label l[2];
    size_t start = out->n;
    JournalSeriesWriter w;
    (void)arg;
    journal_series_begin(&w, out);
    journal_series_add(&w, 7, example(l, "kept"));
    journal_series_end(&w);
    journal_seal(out, start);
    return false;
}

TEST (a_trim_leaves_the_series_and_the_later_samples) {
    Seen seen;
    Journal *j = open_journal(&seen, 1024);
    for (int i = 0; i < 50; i++) {
        CHECK_INT(commit_one(j, (uint32_t)i * 2, 1000 + i), 0);
    }
    uint64_t before = journal_bytes(j), first, last;
    CHECK_INT(journal_trim(j, 1025, fill_one, NULL), 0);
    CHECK(journal_bytes(j) < before);
    journal_segments(j, &first, &last);
    CHECK(first > 1);
    journal_close(j);
    journal_close(open_journal(&seen, 1024));
    CHECK(seen.samples >= 50 && seen.samples < 80);
    CHECK_INT(seen.last, 1049);
}
