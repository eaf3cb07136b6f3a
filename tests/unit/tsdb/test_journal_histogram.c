/* Records of histograms: what goes in comes out, cut-off payloads are refused. */
#include <errno.h>

#include "base/mem.h"
#include "support/test.h"
#include "tsdb/journal/journal_histogram.h"

static const BucketSpan spans[] = {{-3, 2}, {4, 1}};
static const int64_t deltas[] = {7, -2, 1000000};
static const double counts[] = {1.5, 0, 1e300}, bounds[] = {0.1, 2.5, 10};

static const Histogram integer = {.reset_hint = RESET_NO,
                                  .schema = -4,
                                  .zero_threshold = 0.25,
                                  .zero_count = 3,
                                  .count = 1000020,
                                  .sum = -7.25,
                                  .n_positive_spans = 2,
                                  .n_positive = 3,
                                  .positive_spans = spans,
                                  .positive = deltas};
static const FloatHistogram floats = {.reset_hint = RESET_GAUGE,
                                      .schema = 8,
                                      .zero_threshold = 0x1p-128,
                                      .zero_count = 0.5,
                                      .count = 1e301,
                                      .sum = 12,
                                      .n_negative_spans = 2,
                                      .n_negative = 3,
                                      .negative_spans = spans,
                                      .negative = counts};
static const BucketSpan custom_spans[] = {{1, 3}};
static const Histogram custom = {.schema = HISTOGRAM_SCHEMA_CUSTOM,
                                 .count = 1000017,
                                 .n_positive_spans = 1,
                                 .n_positive = 3,
                                 .n_custom = 3,
                                 .positive_spans = custom_spans,
                                 .positive = deltas,
                                 .custom_values = bounds};

#define N 7
static void make(JournalHistogram v[N]) {
    v[0] = (JournalHistogram){5, {.t = 1000, .h = &integer}};
    v[1] = (JournalHistogram){6, {.t = 1000, .h = &integer}};
    v[2] = (JournalHistogram){UINT32_MAX, {.t = 999, .st = 500, .h = &integer}};
    v[3] = (JournalHistogram){0, {.t = 1000, .fh = &floats}};
    v[4] = (JournalHistogram){1, {.t = INT64_MAX, .h = &custom}};
    v[5] = (JournalHistogram){1, {.t = -5, .h = &custom}};
    v[6] = (JournalHistogram){2, {.t = 0, .st = -1, .fh = &floats}};
}

/* The payload of the one record. */
static Str payload_of(const JournalHistogram *v, size_t n, Buf *b, Buf *scratch) {
    JournalReader r;
    SegmentHeader h;
    JournalRecord rec;
    Str payload;
    JournalEncoder e;
    ZstdCodec *zstd = zstd_codec_new(0);
    journal_encoder_init(&e);
    journal_put_segment_header(b, (SegmentHeader){1, 0, 0});
    journal_put_histograms(&e, b, v, n);
    journal_encoder_deinit(&e);
    journal_seal(b, JOURNAL_SEGMENT_HEADER);
    CHECK_INT(journal_reader_init(&r, b->p, b->n, &h), JOURNAL_RECORD);
    CHECK_INT(journal_reader_next(&r, &rec), JOURNAL_RECORD);
    CHECK_INT(rec.type, JOURNAL_HISTOGRAMS);
    CHECK_INT(journal_record_payload(&rec, zstd, scratch, &payload), 0);
    zstd_codec_free(zstd);
    return payload;
}

TEST (histograms_round_trip) {
    CLEANUP(buf_deinit) Buf b = {0};
    CLEANUP(buf_deinit) Buf scratch = {0};
    Arena arena = {0};
    JournalHistogram v[N], got;
    JournalHistograms it;
    make(v);
    CHECK_INT(journal_histograms_init(&it, payload_of(v, N, &b, &scratch), &arena), 0);
    CHECK_INT(it.max_time, INT64_MAX);
    for (size_t i = 0; i < N; i++) {
        CHECK_INT(journal_histograms_next(&it, &got), 1);
        CHECK_INT(got.slot, v[i].slot);
        CHECK_INT(got.sample.t, v[i].sample.t);
        CHECK_INT(got.sample.st, v[i].sample.st);
        CHECK(histogram_sample_same(&got.sample, &v[i].sample));
        CHECK_INT(got.sample.h ? got.sample.h->reset_hint : got.sample.fh->reset_hint,
                  v[i].sample.h ? v[i].sample.h->reset_hint : v[i].sample.fh->reset_hint);
    }
    CHECK_INT(journal_histograms_next(&it, &got), 0);
    arena_deinit(&arena);
}

TEST (a_cut_off_payload_ends_early_or_is_refused) {
    CLEANUP(buf_deinit) Buf b = {0};
    CLEANUP(buf_deinit) Buf scratch = {0};
    Arena arena = {0};
    JournalHistogram v[N], got;
    make(v);
    Str whole = payload_of(v, N, &b, &scratch);
    for (size_t n = 0; n < whole.n; n++) {
        char *copy = mem_dup(whole.p, n);
        JournalHistograms it;
        int seen = 0, r = journal_histograms_init(&it, str_n(copy, n), &arena);
        while (r == 0 && (r = journal_histograms_next(&it, &got)) > 0) {
            seen++;
            r = 0;
        }
        CHECK(seen < N);
        CHECK(r == 0 || r == -EBADMSG);
        mem_free(copy);
        arena_reset(&arena);
    }
    arena_deinit(&arena);
}

TEST (a_large_commit_is_split) {
    CLEANUP(buf_deinit) Buf b = {0};
    CLEANUP(buf_deinit) Buf scratch = {0};
    JournalHistogram *v = NEW_ARRAY(JournalHistogram, 60000);
    for (uint32_t i = 0; i < 60000; i++) {
        v[i] = (JournalHistogram){i, {.t = 1000, .h = i % 2 ? &integer : &custom}};
    }
    JournalEncoder e;
    ZstdCodec *zstd = zstd_codec_new(0);
    journal_encoder_init(&e);
    journal_put_segment_header(&b, (SegmentHeader){1, 0, 0});
    journal_put_histograms(&e, &b, v, 60000);
    journal_encoder_deinit(&e);
    journal_seal(&b, JOURNAL_SEGMENT_HEADER);
    JournalReader r;
    SegmentHeader h;
    JournalRecord rec;
    Arena arena = {0};
    uint32_t records = 0, seen = 0;
    CHECK_INT(journal_reader_init(&r, b.p, b.n, &h), JOURNAL_RECORD);
    while (journal_reader_next(&r, &rec) == JOURNAL_RECORD) {
        JournalHistograms it;
        JournalHistogram got;
        Str payload;
        CHECK_INT(journal_record_payload(&rec, zstd, &scratch, &payload), 0);
        CHECK_INT(journal_histograms_init(&it, payload, &arena), 0);
        while (journal_histograms_next(&it, &got) > 0) {
            CHECK_INT(got.slot, seen);
            seen++;
        }
        records++;
        arena_reset(&arena);
    }
    zstd_codec_free(zstd);
    CHECK_INT(seen, 60000);
    CHECK(records > 1);
    arena_deinit(&arena);
    mem_free(v);
}
