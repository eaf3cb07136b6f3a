/* Requests of remote write 2.0, written field by field, into a storage that remembers. */
#include "base/clock.h"
#include "base/mem.h"
#include "format/compress.h"
#include "format/protowire.h"
#include "remote/remote_write.h"
#include "storage/mem_storage.h"
#include "support/test.h"

#define NOW INT64_C(1700000000000)

static const char *const symbols[] = {"",   "__name__",        "up",   "job",
                                      "x",  "requests_bucket", "help", "unit",
                                      "le", "trace_id",        "abc",  "\xff"};

static void add_symbols(Buf *b) {
    for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
        proto_add_bytes(b, 4, str_of(symbols[i]));
    }
}

static void add_refs(Buf *b, const uint8_t *refs, size_t n) {
    size_t mark = proto_begin(b, 1);
    buf_add(b, refs, n); /* all below 128 */
    proto_end(b, mark);
}

static void add_sample(Buf *b, int64_t t, double v, int64_t st) {
    size_t mark = proto_begin(b, 2);
    proto_add_double(b, 1, v);
    proto_add_int(b, 2, t);
    if (st) {
        proto_add_int(b, 3, st);
    }
    proto_end(b, mark);
}

static void add_exemplar(Buf *b) {
    static const uint8_t refs[] = {9, 10};
    size_t mark = proto_begin(b, 4);
    add_refs(b, refs, 2);
    proto_add_double(b, 2, 0.5);
    proto_add_int(b, 3, NOW);
    proto_end(b, mark);
}

static void add_histogram(Buf *b, int64_t t, uint64_t count, int64_t st) {
    size_t mark = proto_begin(b, 3);
    proto_add_uint(b, 1, count);
    proto_add_double(b, 3, 2.5);
    proto_add_sint(b, 4, 3);
    proto_add_double(b, 5, 0.25);
    proto_add_uint(b, 6, count);
    proto_add_int(b, 15, t);
    if (st) {
        proto_add_int(b, 17, st);
    }
    proto_end(b, mark);
}

static void add_metadata(Buf *b) {
    size_t mark = proto_begin(b, 5);
    proto_add_uint(b, 1, METRIC_HISTOGRAM);
    proto_add_uint(b, 3, 6);
    proto_add_uint(b, 4, 7);
    proto_end(b, mark);
}

static const uint8_t up[] = {1, 2, 3, 4}, bucket[] = {3, 4, 1, 5}, nameless[] = {3, 4},
                     twice[] = {1, 2, 3, 4, 3, 2}, outside[] = {1, 100}, odd[] = {1, 2, 3},
                     bad_utf8[] = {1, 2, 3, 11};

static void add_series(Buf *b, const uint8_t *refs, size_t n, int64_t t, double v) {
    size_t mark = proto_begin(b, 5);
    add_refs(b, refs, n);
    add_sample(b, t, v, 0);
    proto_end(b, mark);
}

static RemoteWriteResult post(RemoteReceiver *receiver, const Buf *request) {
    CLEANUP(buf_deinit) Buf body = BUF_INIT(0);
    RemoteWriteResult result;
    clock_fake_set(NOW);
    CHECK_INT(remote_write_finish(request, &body), 0);
    remote_receiver_write(receiver, REMOTE_WRITE_2, buf_str(&body), &result);
    return result;
}

/* All samples of the storage as text. */
static void dump(Storage *s, Buf *out) {
    Querier *q;
    SeriesSet *set;
    Series series;
    SampleRun run;
    Matcher m;
    CHECK_INT(matcher_init(&m, MATCH_NE, LABEL_NAME, STR(""), NULL), 0);
    CHECK_INT(storage_querier(s, TIME_MIN_MS, TIME_MAX_MS, &q), 0);
    SelectHints hints = {.mint = TIME_MIN_MS, .maxt = TIME_MAX_MS, .sorted = true};
    CHECK_INT(querier_select(q, &m, 1, &hints, NULL, &set), 0);
    while (series_set_next(set, &series) > 0) {
        labels_format_metric(series.labels, out);
        SampleIter *it = series_set_iter(set, &series, NULL);
        while (sample_iter_next(it, &run) > 0) {
            for (uint32_t i = 0; i < run.n; i++) {
                buf_addf(out, " @%lld ", (long long)(run.t[i] - NOW));
                if (run.kind == SAMPLE_FLOAT) {
                    buf_addf(out, "%g", run.f[i]);
                } else {
                    buf_addf(out, "h%llu/%d", (unsigned long long)run.h[i]->count,
                             run.h[i]->schema);
                }
            }
        }
        buf_add_char(out, '\n');
        sample_iter_free(it);
    }
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m);
}

static void check_dump(Storage *s, const char *want) {
    CLEANUP(buf_deinit) Buf text = {0};
    dump(s, &text);
    CHECK_STR(buf_str(&text), str_of(want));
}

TEST (samples_and_histograms_are_stored_and_counted) {
    Storage *s = mem_storage_new();
    RemoteReceiver *receiver = remote_receiver_new(&(RemoteReceiverOptions){.storage = s});
    CLEANUP(buf_deinit) Buf b = {0};
    add_series(&b, up, sizeof(up), NOW, 1);
    size_t mark = proto_begin(&b, 5);
    add_refs(&b, bucket, sizeof(bucket));
    add_histogram(&b, NOW, 7, 0);
    add_exemplar(&b);
    add_metadata(&b);
    proto_end(&b, mark);
    add_symbols(&b); /* the table may follow */
    for (int round = 0; round < 2; round++) {
        RemoteWriteResult r = post(receiver, &b);
        CHECK_INT(r.status, 204);
        CHECK_INT(r.samples, 1);
        CHECK_INT(r.histograms, 1);
        CHECK_INT(r.exemplars_dropped, 1); /* this storage has none */
    }
    check_dump(s, "requests_bucket{job=\"x\"} @0 h7/3\nup{job=\"x\"} @0 1\n");
    remote_receiver_free(receiver);
    mem_storage_free(s);
}

TEST (what_is_bad_is_told_and_the_rest_is_stored) {
    Storage *s = mem_storage_new();
    RemoteReceiver *receiver = remote_receiver_new(&(RemoteReceiverOptions){.storage = s});
    CLEANUP(buf_deinit) Buf b = {0};
    add_symbols(&b);
    add_series(&b, nameless, sizeof(nameless), NOW, 1);
    add_series(&b, twice, sizeof(twice), NOW, 1);
    add_series(&b, outside, sizeof(outside), NOW, 1);
    add_series(&b, odd, sizeof(odd), NOW, 1);
    add_series(&b, bad_utf8, sizeof(bad_utf8), NOW, 1);
    add_series(&b, up, sizeof(up), NOW + REMOTE_WRITE_AHEAD_MS + 1, 1);
    size_t mark = proto_begin(&b, 5);
    add_refs(&b, up, sizeof(up));
    proto_end(&b, mark);
    mark = proto_begin(&b, 5);
    add_refs(&b, bucket, sizeof(bucket));
    add_histogram(&b, NOW, 7, 0);
    proto_end(&b, mark);
    add_series(&b, up, sizeof(up), NOW, 1);
    RemoteWriteResult r = post(receiver, &b);
    CHECK_INT(r.status, 400);
    CHECK_INT(r.samples, 1);
    CHECK_INT(r.histograms, 1);
    CHECK_INT(r.series_invalid, 3);
    CHECK_CSTR(r.text,
               "invalid metric name or labels, got {job=\"x\"}\n"
               "invalid metric name or labels, got up{job=\"x\", job=\"up\"}\n"
               "parsing labels for series: a label reference lies outside of the symbols\n"
               "parsing labels for series: the number of label references is odd\n"
               "invalid metric name or labels, got up{job=\"\\xff\"}\n"
               "out of bounds for series up{job=\"x\"}\n"
               "TimeSeries must contain at least one sample or histogram for series up{job=\"x\"}");
    check_dump(s, "requests_bucket{job=\"x\"} @0 h7/3\nup{job=\"x\"} @0 1\n");
    remote_receiver_free(receiver);
    mem_storage_free(s);
}

TEST (start_timestamps_become_zeros_when_asked) {
    Storage *s = mem_storage_new();
    RemoteReceiver *receiver =
        remote_receiver_new(&(RemoteReceiverOptions){.storage = s, .start_as_zero = true});
    CLEANUP(buf_deinit) Buf b = {0};
    add_symbols(&b);
    size_t mark = proto_begin(&b, 5);
    add_refs(&b, up, sizeof(up));
    add_sample(&b, NOW, 5, NOW - 1000);
    proto_end(&b, mark);
    mark = proto_begin(&b, 5);
    add_refs(&b, bucket, sizeof(bucket));
    add_histogram(&b, NOW, 7, NOW - 2000);
    proto_end(&b, mark);
    RemoteWriteResult r = post(receiver, &b);
    CHECK_INT(r.status, 204);
    CHECK_INT(r.samples, 1);
    check_dump(s, "requests_bucket{job=\"x\"} @-2000 h0/3 @0 h7/3\nup{job=\"x\"} @-1000 0 @0 5\n");
    remote_receiver_free(receiver);
    mem_storage_free(s);
}

TEST (every_prefix_is_answered) {
    Storage *s = mem_storage_new();
    RemoteReceiver *receiver = remote_receiver_new(&(RemoteReceiverOptions){.storage = s});
    CLEANUP(buf_deinit) Buf b = {0};
    add_symbols(&b);
    size_t mark = proto_begin(&b, 5);
    add_refs(&b, bucket, sizeof(bucket));
    add_sample(&b, NOW, 5, NOW - 1000);
    add_histogram(&b, NOW + 1, 7, NOW - 2000);
    add_exemplar(&b);
    add_metadata(&b);
    proto_end(&b, mark);
    for (size_t n = 0; n <= b.n; n++) {
        char *copy = mem_dup(b.p, n);
        Buf part = {.p = copy, .n = n, .cap = n};
        RemoteWriteResult r = post(receiver, &part);
        CHECK(r.status == 204 || r.status == 400);
        CHECK(n == b.n ? r.status == 204 : true);
        mem_free(copy);
    }
    remote_receiver_free(receiver);
    mem_storage_free(s);
}
