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

/* A reader's side: predictors and working space. */
typedef struct Decoder {
    JournalPredictors predictors;
    ZstdCodec *zstd;
    Buf scratch;
} Decoder;

static void decoder_init(Decoder *d) {
    *d = (Decoder){.zstd = zstd_codec_new(0)};
    journal_predictors_init(&d->predictors);
}

static void decoder_deinit(Decoder *d) {
    journal_predictors_deinit(&d->predictors);
    zstd_codec_free(d->zstd);
    buf_deinit(&d->scratch);
}

static void check_samples(Decoder *d, const JournalRecord *rec, const JournalSample *want,
                          size_t n) {
    Str payload;
    JournalSamples it;
    uint32_t slot, min, max, low = UINT32_MAX, high = 0;
    int64_t t, newest = INT64_MIN;
    double v;
    if (rec->reset) {
        journal_predictors_reset(&d->predictors);
    }
    CHECK_INT(journal_record_payload(rec, d->zstd, &d->scratch, &payload), 0);
    CHECK_INT(journal_samples_slots(payload, &min, &max), 0);
    CHECK_INT(journal_samples_init(&it, payload), 0);
    const uint8_t *skip = it.values;
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(journal_samples_next(&it, &slot, &t), 1);
        CHECK_INT(slot, want[i].slot);
        CHECK_INT(t, want[i].t);
        JournalPredictor *p = journal_predictor(&d->predictors, slot);
        CHECK(journal_value_skip(&skip, it.values_end));
        CHECK(journal_value_get(&it.values, it.values_end, p, &v));
        CHECK(skip == it.values);
        CHECK(double_bits(v) == double_bits(want[i].v));
        newest = MAX(newest, t);
        low = MIN(low, slot);
        high = MAX(high, slot);
    }
    CHECK_INT(journal_samples_next(&it, &slot, &t), 0);
    CHECK_INT(it.max_time, newest);
    CHECK_INT(min, low);
    CHECK_INT(max, high);
    CHECK(it.values == it.values_end);
}

/* Several records, the later ones told by the earlier ones. */
static void round_trip(const JournalSample *v, size_t n, size_t record) {
    CLEANUP(buf_deinit) Buf b = {0};
    JournalEncoder e;
    Decoder d;
    JournalReader r;
    SegmentHeader h;
    JournalRecord rec;
    journal_encoder_init(&e);
    decoder_init(&d);
    journal_put_segment_header(&b, (SegmentHeader){3, 77, -5});
    for (size_t at = 0; at < n; at += record) {
        size_t start = b.n;
        journal_put_samples(&e, &b, v + at, MIN(record, n - at));
        journal_seal(&b, start);
        if (at / record == 2) {
            journal_encoder_reset(&e, true);
        }
    }
    CHECK_INT(journal_reader_init(&r, b.p, b.n, &h), JOURNAL_RECORD);
    CHECK_INT(h.number, 3);
    CHECK_INT(h.previous_size, 77);
    CHECK_INT(h.base, -5);
    for (size_t at = 0; at < n; at += record) {
        CHECK_INT(journal_reader_next(&r, &rec), JOURNAL_RECORD);
        CHECK(!rec.more);
        CHECK(rec.reset == (at / record == 3));
        check_samples(&d, &rec, v + at, MIN(record, n - at));
    }
    CHECK_INT(journal_reader_next(&r, &rec), JOURNAL_END);
    decoder_deinit(&d);
    journal_encoder_deinit(&e);
}

TEST (samples_round_trip_bit_for_bit) {
    JournalSample v[300];
    for (size_t n = 1; n < 300; n += 1 + n / 10) {
        for (int timed = 0; timed < 2; timed++) {
            make_samples(v, n, timed);
            round_trip(v, n, n);
            round_trip(v, n, 1 + n / 6);
        }
    }
}

/* What a series does: stands still, counts up evenly and unevenly, has decimals now and then more
 * of them, turns into something that is no decimal and back. */
static double behaviour(int kind, int i, Rng *rng) {
    switch (kind) {
    case 0: return 17;
    case 1: return 1e6 + i * 1500;
    case 2: return 1e6 + i * 1500 + (double)rng_below(rng, 100);
    case 3: return (double)rng_below(rng, 10000) / 100;
    case 4: return i % 10 == 5 ? 0.12345 : (double)i / 10;
    case 5: return i % 50 < 25 ? (double)i / 7 : i;
    case 6: return double_of_bits(rng_u64(rng));
    case 7: return i % 3 ? value_at((size_t)i) : 9007199254740993.0 * (i % 5 - 2);
    case 8: return i % 9 == 8 ? stale_nan() : -1.5 * i;
    default: return i % 4 ? 5e-324 * i : -0.0;
    }
}

TEST (values_of_every_behaviour_round_trip_bit_for_bit) {
    enum { KINDS = 10, ROUNDS = 400 };
    JournalSample *v = NEW_ARRAY(JournalSample, KINDS * ROUNDS);
    Rng rng;
    rng_init(&rng, 7);
    for (size_t i = 0; i < KINDS * ROUNDS; i++) {
        v[i] = (JournalSample){.slot = 4090 + (uint32_t)(i % KINDS),
                               .t = 1000 * (int64_t)(i / KINDS),
                               .v = behaviour((int)(i % KINDS), (int)(i / KINDS), &rng)};
    }
    round_trip(v, KINDS * ROUNDS, KINDS);
    round_trip(v, KINDS * ROUNDS, 997);
    mem_free(v);
}

TEST (many_moments_of_one_series_and_strange_times_round_trip) {
    JournalSample v[120];
    for (size_t i = 0; i < 120; i++) {
        v[i] = (JournalSample){.slot = (uint32_t)(i / 40), .t = (int64_t)(i % 40) * 15000, .v = 1};
    }
    round_trip(v, 120, 120);
    round_trip(v, 120, 7);
    v[3].t = INT64_MAX;
    v[4].t = INT64_MIN;
    v[50].slot = UINT32_MAX - 2;
    JournalSample few[] = {v[0], v[1], v[50], v[51]};
    round_trip(few, 4, 4);
}

/* One decoded value a time is told from what came before: a cut payload must be noticed. */
TEST (every_prefix_of_a_samples_payload_is_refused_or_shorter) {
    JournalSample v[60];
    JournalEncoder e;
    JournalPredictors predictors;
    journal_encoder_init(&e);
    journal_predictors_init(&predictors);
    make_samples(v, 60, true);
    CLEANUP(buf_deinit) Buf b = {0};
    journal_put_samples(&e, &b, v, 60);
    Str whole = buf_str(&e.payload);
    for (size_t n = 0; n < whole.n; n++) {
        char *copy = mem_dup(whole.p, n ? n : 1);
        JournalSamples it;
        uint32_t slot;
        int64_t t;
        double x;
        int count = 0;
        if (journal_samples_init(&it, str_n(copy, n)) == 0) {
            while (journal_samples_next(&it, &slot, &t) > 0 &&
                   journal_value_get(&it.values, it.values_end,
                                     journal_predictor(&predictors, slot), &x)) {
                count++;
            }
        }
        CHECK(count < 60);
        journal_predictors_reset(&predictors);
        mem_free(copy);
    }
    journal_predictors_deinit(&predictors);
    journal_encoder_deinit(&e);
}

TEST (series_round_trip_by_their_pairs) {
    CLEANUP(buf_deinit) Buf b = {0};
    JournalEncoder e;
    Decoder d;
    JournalReader r = {0};
    JournalRecord rec;
    JournalSeries it;
    Label pair;
    Str payload;
    uint32_t slot, numbers[3];
    const uint32_t *got;
    size_t n;
    journal_encoder_init(&e);
    decoder_init(&d);
    journal_series_begin(&e);
    for (uint32_t i = 0; i < 3; i++) {
        char text[16];
        snprintf(text, sizeof(text), "value-%u", i);
        numbers[i] = journal_series_pair(&e, (Label){STR("name"), str_of(text)});
        CHECK_INT(numbers[i], i);
        journal_series_add(&e, 1000 - i * 3, numbers, i + 1, &b);
    }
    journal_series_end(&e, &b);
    journal_seal(&b, 0);
    r.p = (const uint8_t *)b.p;
    r.n = b.n;
    CHECK_INT(journal_reader_next(&r, &rec), JOURNAL_RECORD);
    CHECK_INT(rec.type, JOURNAL_SERIES);
    CHECK_INT(journal_record_payload(&rec, d.zstd, &d.scratch, &payload), 0);
    CHECK_INT(journal_series_init(&it, payload), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(journal_series_next_pair(&it, &pair), 1);
        CHECK_STR(pair.name, STR("name"));
        CHECK_INT(pair.value.p[6], '0' + i);
    }
    CHECK_INT(journal_series_next_pair(&it, &pair), 0);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_INT(journal_series_next(&it, &slot, &got, &n), 1);
        CHECK_INT(slot, 1000 - i * 3);
        CHECK_INT(n, i + 1);
        CHECK(memcmp(got, numbers, n * sizeof(*got)) == 0);
    }
    CHECK_INT(journal_series_next(&it, &slot, &got, &n), 0);
    journal_series_deinit(&it);
    decoder_deinit(&d);
    journal_encoder_deinit(&e);
}

/* A series and two samples. */
typedef struct Commit {
    uint32_t slot;
    JournalSample samples[2];
} Commit;

static void put_series(void *arg, JournalEncoder *e, Buf *out) {
    const Commit *c = arg;
    char value[32];
    uint32_t numbers[2];
    snprintf(value, sizeof(value), "host-%u", c->slot);
    journal_series_begin(e);
    numbers[0] = journal_series_pair(e, (Label){STR("__name__"), STR("up")});
    numbers[1] = journal_series_pair(e, (Label){STR("instance"), str_of(value)});
    journal_series_add(e, c->slot, numbers, 2, out);
    journal_series_end(e, out);
}

static void put_all(void *arg, JournalEncoder *e, Buf *out) {
    const Commit *c = arg;
    put_series(arg, e, out);
    journal_put_samples(e, out, c->samples, 2);
}

static Commit commit_at(uint32_t slot, int64_t t) {
    return (Commit){slot, {{slot, t, (double)t}, {slot + 1, t, 0.1}}};
}

static void put_commit(JournalEncoder *e, Buf *b, uint32_t slot, int64_t t) {
    Commit c = commit_at(slot, t);
    size_t start = b->n;
    put_all(&c, e, b);
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
    JournalEncoder e;
    journal_encoder_init(&e);
    journal_put_segment_header(&b, (SegmentHeader){1, 0, 0});
    for (uint32_t i = 0; i < 5; i++) {
        put_commit(&e, &b, i * 2, 1000 + i);
    }
    journal_encoder_deinit(&e);
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
    JournalEncoder e;
    journal_encoder_init(&e);
    journal_put_segment_header(&b, (SegmentHeader){1, 0, 0});
    put_commit(&e, &b, 0, 1000);
    journal_encoder_deinit(&e);
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

static void see_begin(void *arg) { (void)arg; }

static int see(void *arg, const JournalRecord *rec, int64_t *max_time) {
    Seen *s = arg;
    CLEANUP(buf_deinit) Buf scratch = {0};
    ZstdCodec *zstd = zstd_codec_new(0);
    Str payload;
    CHECK_INT(journal_record_payload(rec, zstd, &scratch, &payload), 0);
    if (rec->type == JOURNAL_SAMPLES) {
        JournalSamples it;
        uint32_t slot;
        CHECK_INT(journal_samples_init(&it, payload), 0);
        while (journal_samples_next(&it, &slot, &s->last) > 0) {
            CHECK(journal_value_skip(&it.values, it.values_end));
            s->samples++;
        }
        *max_time = MAX(*max_time, it.max_time);
    }
    s->series += rec->type == JOURNAL_SERIES;
    zstd_codec_free(zstd);
    return 0;
}

static Journal *open_journal(Seen *seen, uint64_t segment_bytes) {
    Journal *j;
    JournalOptions o = {
        .dir = test_tmpdir(), .segment_bytes = segment_bytes, .sync_interval_ms = 5};
    JournalReplay how = {.arg = seen, .record = see, .begin = see_begin};
    *seen = (Seen){0};
    CHECK_INT(journal_open(&o, &j, NULL), 0);
    CHECK_INT(journal_replay(j, &how, NULL), 0);
    CHECK_INT(journal_start(j), 0);
    return j;
}

static int commit_one(Journal *j, uint32_t slot, int64_t t) {
    Commit c = commit_at(slot, t);
    return journal_commit(j, &(JournalBatch){.put = put_all, .arg = &c, .max_time = t});
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

static void put_unknown(void *arg, JournalEncoder *e, Buf *out) {
    const int *optional = arg;
    (void)e;
    journal_put_record(out, NULL, *optional ? 0x85 : 0x45, false, STR("something"));
}

TEST (an_unknown_required_kind_is_refused_and_an_optional_one_skipped) {
    for (int optional = 0; optional < 2; optional++) {
        Seen seen;
        Journal *j = open_journal(&seen, 0);
        CHECK_INT(journal_commit(j, &(JournalBatch){.put = put_unknown, .arg = &optional}), 0);
        journal_close(j);
        Problem problem = {0};
        JournalOptions o = {.dir = test_tmpdir()};
        JournalReplay how = {.arg = &seen, .record = see, .begin = see_begin};
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

static bool fill_one(void *arg, JournalEncoder *e, Buf *out) {
    Commit c = {.slot = 7};
    (void)arg;
    put_series(&c, e, out);
    return false;
}

TEST (a_trim_leaves_the_series_and_the_later_samples) {
    Seen seen;
    Journal *j = open_journal(&seen, 1024);
    for (int i = 0; i < 50; i++) {
        CHECK_INT(commit_one(j, (uint32_t)i * 2, 1000 + i), 0);
    }
    uint64_t before = journal_bytes(j), first, last;
    uint64_t number;
    CHECK_INT(journal_cut(j, 1020, &number), 0);
    CHECK_INT(journal_trim(j, number, 1025, fill_one, NULL), 0);
    CHECK(journal_bytes(j) < before);
    journal_segments(j, &first, &last);
    CHECK(first > 1);
    journal_close(j);
    j = open_journal(&seen, 1024);
    CHECK_INT(journal_base(j), 1020);
    journal_close(j);
    CHECK(seen.samples >= 50 && seen.samples < 80);
    CHECK_INT(seen.last, 1049);
}
