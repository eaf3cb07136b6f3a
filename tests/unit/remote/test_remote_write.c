/*
 * Requests made by the encoder, taken by the receiver, into a storage that writes down what it is
 * given and refuses what the test says.
 */
#include "base/clock.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "format/compress.h"
#include "format/protowire.h"
#include "remote/remote_refs.h"
#include "remote/remote_write.h"
#include "storage/mem_storage.h"
#include "support/test.h"

#define NOW INT64_C(1700000000000)

typedef struct Recorder {
    Storage storage;
    Appender appender;
    Buf log;
    int64_t refuse_t; /* samples at this time get the outcome */
    int outcome;
    SeriesRef forgotten; /* answers APPEND_UNKNOWN_REF */
    SeriesRef last;
    bool no_histograms;
    int commit_result;
} Recorder;

static Recorder *of(Appender *a) { return CONTAINER_OF(a, Recorder, appender); }

static int take(Recorder *r, SeriesRef *ref, Labels labels, int64_t t) {
    if (*ref && *ref == r->forgotten) {
        return APPEND_UNKNOWN_REF;
    }
    if (r->outcome && t == r->refuse_t) {
        return r->outcome;
    }
    if (*ref == 0) {
        *ref = ++r->last;
        labels_format_metric(labels, &r->log);
        buf_add_char(&r->log, ' ');
    }
    buf_addf(&r->log, "#%llu @%lld ", (unsigned long long)*ref, (long long)(t - NOW));
    return APPEND_OK;
}

static int rec_append(Appender *a, SeriesRef *ref, Labels labels, int64_t t, double v, int64_t st) {
    int r = take(of(a), ref, labels, t);
    if (r == APPEND_OK) {
        buf_addf(&of(a)->log, "%g\n", v);
    }
    return r;
}

static int rec_histogram(Appender *a, SeriesRef *ref, Labels labels, int64_t t, const Histogram *h,
                         const FloatHistogram *fh, int64_t st) {
    int r = h && !histogram_validate(h, NULL) ? APPEND_INVALID : take(of(a), ref, labels, t);
    if (r == APPEND_OK && h) {
        buf_addf(&of(a)->log,
                 "h count %llu zero %llu sum %g schema %d hint %d buckets %u/%u %lld\n",
                 (unsigned long long)h->count, (unsigned long long)h->zero_count, h->sum, h->schema,
                 h->reset_hint, h->n_positive, h->n_negative,
                 h->n_positive ? (long long)h->positive[h->n_positive - 1] : 0);
    } else if (r == APPEND_OK) {
        buf_addf(&of(a)->log, "fh count %g zero %g custom %u buckets %u\n", fh->count,
                 fh->zero_count, fh->n_custom, fh->n_positive);
    }
    return r;
}

static int rec_exemplar(Appender *a, SeriesRef ref, const Exemplar *e) {
    buf_addf(&of(a)->log, "exemplar #%llu %g ", (unsigned long long)ref, e->value);
    labels_format(e->labels, &of(a)->log);
    buf_add_char(&of(a)->log, '\n');
    return e->value < 0 ? APPEND_OUT_OF_ORDER : APPEND_OK;
}

static int rec_commit(Appender *a) {
    buf_add_cstr(&of(a)->log, "commit\n");
    return of(a)->commit_result;
}

static void rec_rollback(Appender *a) { buf_add_cstr(&of(a)->log, "rollback\n"); }

static const AppenderOps rec_ops = {rec_append, rec_histogram, rec_exemplar,
                                    NULL,       rec_commit,    rec_rollback};
static const AppenderOps rec_float_ops = {rec_append, NULL, NULL, NULL, rec_commit, rec_rollback};

static int rec_appender(Storage *s, Appender **ret) {
    Recorder *r = CONTAINER_OF(s, Recorder, storage);
    r->appender.ops = r->no_histograms ? &rec_float_ops : &rec_ops;
    *ret = &r->appender;
    return 0;
}

static const StorageOps rec_storage_ops = {NULL, rec_appender};

#define RECORDER() ((Recorder){.storage.ops = &rec_storage_ops})

static const Label up[] = {{LABEL_NAME, STR("up")}, {STR("job"), STR("x")}};
static const Label down[] = {{LABEL_NAME, STR("down")}};

static void add_series(Buf *b, Labels labels, int64_t t, double v) {
    size_t mark = remote_write_series_begin(b, labels);
    remote_write_add_sample(b, t, v);
    remote_write_series_end(b, mark);
}

static RemoteWriteResult post(RemoteReceiver *receiver, const Buf *request) {
    CLEANUP(buf_deinit) Buf body = BUF_INIT(0);
    RemoteWriteResult result;
    clock_fake_set(NOW);
    CHECK_INT(remote_write_finish(request, &body), 0);
    remote_receiver_write(receiver, REMOTE_WRITE_1, buf_str(&body), &result);
    return result;
}

TEST (samples_are_stored_and_known_series_go_by_ref) {
    Recorder rec = RECORDER();
    RemoteReceiver *receiver =
        remote_receiver_new(&(RemoteReceiverOptions){.storage = &rec.storage});
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    add_series(&b, (Labels){up, 2}, NOW, 1);
    size_t mark = remote_write_series_begin(&b, (Labels){down, 1});
    remote_write_add_sample(&b, NOW - 5, 0);
    remote_write_add_sample(&b, 0, -1.5);
    remote_write_series_end(&b, mark);
    remote_write_add_metadata(&b, STR("up"), &(Metadata){METRIC_GAUGE, STR(""), STR("help")});
    RemoteWriteResult result = post(receiver, &b);
    CHECK_INT(result.status, 204);
    CHECK_INT(result.samples, 3);
    result = post(receiver, &b);
    CHECK_INT(result.status, 204);
    CHECK_STR(buf_str(&rec.log),
              STR("up{job=\"x\"} #1 @0 1\ndown #2 @-5 0\n#2 @-1700000000000 -1.5\n"
                  "commit\n#1 @0 1\n#2 @-5 0\n#2 @-1700000000000 -1.5\ncommit\n"));
    buf_reset(&rec.log);
    rec.forgotten = 1;
    CHECK_INT(post(receiver, &b).status, 204);
    CHECK(str_starts(buf_str(&rec.log), STR("up{job=\"x\"} #3 @0 1\n#2")));
    buf_reset(&rec.log);
    CHECK_INT(post(receiver, &b).status, 204);
    CHECK(str_starts(buf_str(&rec.log), STR("#3 @0 1\n#2")));
    remote_receiver_free(receiver);
    buf_deinit(&rec.log);
}

TEST (the_first_refused_sample_undoes_the_request) {
    Recorder rec = RECORDER();
    rec.refuse_t = NOW - 5;
    rec.outcome = APPEND_OUT_OF_ORDER;
    RemoteReceiver *receiver =
        remote_receiver_new(&(RemoteReceiverOptions){.storage = &rec.storage});
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    add_series(&b, (Labels){up, 2}, NOW, 1);
    add_series(&b, (Labels){down, 1}, NOW - 5, 1);
    add_series(&b, (Labels){down, 1}, NOW, 1);
    RemoteWriteResult result = post(receiver, &b);
    CHECK_INT(result.status, 400);
    CHECK_INT(result.samples, 0);
    CHECK_CSTR(result.text, "out of order sample for series down at timestamp 1699999999995");
    CHECK_STR(buf_str(&rec.log), STR("up{job=\"x\"} #1 @0 1\nrollback\n"));
    rec.outcome = -EIO;
    CHECK_INT(post(receiver, &b).status, 500);
    rec.outcome = 0;
    rec.commit_result = -ENOSPC;
    result = post(receiver, &b);
    CHECK_INT(result.status, 500);
    CHECK(strstr(result.text, "No space left"));
    remote_receiver_free(receiver);
    buf_deinit(&rec.log);
}

TEST (samples_far_in_the_future_are_out_of_bounds) {
    Recorder rec = RECORDER();
    RemoteReceiver *receiver =
        remote_receiver_new(&(RemoteReceiverOptions){.storage = &rec.storage});
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    add_series(&b, (Labels){down, 1}, NOW + REMOTE_WRITE_AHEAD_MS, 1);
    CHECK_INT(post(receiver, &b).status, 204);
    add_series(&b, (Labels){down, 1}, NOW + REMOTE_WRITE_AHEAD_MS + 1, 1);
    RemoteWriteResult result = post(receiver, &b);
    CHECK_INT(result.status, 400);
    CHECK_CSTR(result.text, "out of bounds: timestamp is too far in the future for series down at "
                            "timestamp 1700000600001");
    remote_receiver_free(receiver);
    buf_deinit(&rec.log);
}

TEST (series_with_invalid_labels_are_skipped_and_counted) {
    const Label nameless[] = {{STR("a"), STR("b")}};
    const Label empty_name[] = {{LABEL_NAME, STR("")}, {STR("a"), STR("b")}};
    const Label twice[] = {{LABEL_NAME, STR("a")}, {STR("b"), STR("1")}, {STR("b"), STR("2")}};
    const Label bad_utf8[] = {{LABEL_NAME, STR("a")}, {STR("b"), STR("\xff")}};
    const Label no_label_name[] = {{STR(""), STR("x")}, {LABEL_NAME, STR("a")}};
    const Label unsorted[] = {{STR("z"), STR("1")}, {STR("e"), STR("")}, {LABEL_NAME, STR("a")}};
    Recorder rec = RECORDER();
    RemoteReceiver *receiver =
        remote_receiver_new(&(RemoteReceiverOptions){.storage = &rec.storage});
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    add_series(&b, (Labels){nameless, 1}, NOW, 1);
    add_series(&b, (Labels){empty_name, 2}, NOW, 1);
    add_series(&b, (Labels){twice, 3}, NOW, 1);
    add_series(&b, (Labels){bad_utf8, 2}, NOW, 1);
    add_series(&b, (Labels){no_label_name, 2}, NOW, 1);
    add_series(&b, LABELS_EMPTY, NOW, 1);
    add_series(&b, (Labels){unsorted, 3}, NOW, 1);
    RemoteWriteResult result = post(receiver, &b);
    CHECK_INT(result.status, 204);
    CHECK_INT(result.series_invalid, 6);
    CHECK_INT(result.samples, 1);
    CHECK_STR(buf_str(&rec.log), STR("a{z=\"1\"} #1 @0 1\ncommit\n"));
    remote_receiver_free(receiver);
    buf_deinit(&rec.log);
}

static const BucketSpan spans[] = {{-2, 2}, {3, 1}};
static const int64_t deltas[] = {1, 1, -1};
static const Histogram int_histogram = {.reset_hint = RESET_NO,
                                        .schema = 3,
                                        .zero_threshold = 1e-128,
                                        .sum = 2.5,
                                        .zero_count = 2,
                                        .count = 10,
                                        .n_positive_spans = 2,
                                        .positive_spans = spans,
                                        .n_negative_spans = 2,
                                        .negative_spans = spans,
                                        .n_positive = 3,
                                        .positive = deltas,
                                        .n_negative = 3,
                                        .negative = deltas};

static void add_histograms(Buf *b) {
    const BucketSpan span = {0, 3};
    const double counts[] = {1, 2.5, 3}, bounds[] = {0.5, 1};
    FloatHistogram fh = {.schema = HISTOGRAM_SCHEMA_CUSTOM,
                         .sum = 1,
                         .count = 6.5,
                         .n_positive_spans = 1,
                         .positive_spans = &span,
                         .n_positive = 3,
                         .positive = counts,
                         .n_custom = 2,
                         .custom_values = bounds};
    const Label id[] = {{STR("trace"), STR("abc")}};
    Exemplar e = {.labels = {id, 1}, .value = 0.5, .t = NOW, .has_t = true};
    size_t mark = remote_write_series_begin(b, (Labels){up, 2});
    remote_write_add_histogram(b, NOW, &int_histogram, NULL);
    remote_write_add_exemplar(b, &e);
    e.value = -1;
    remote_write_add_exemplar(b, &e);
    remote_write_add_histogram(b, NOW + 1, NULL, &fh);
    remote_write_add_sample(b, NOW + 2, 7);
    remote_write_series_end(b, mark);
}

TEST (histograms_and_exemplars_come_through_whole) {
    Recorder rec = RECORDER();
    RemoteReceiver *receiver =
        remote_receiver_new(&(RemoteReceiverOptions){.storage = &rec.storage});
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    add_histograms(&b);
    RemoteWriteResult result = post(receiver, &b);
    CHECK_INT(result.status, 204);
    CHECK_INT(result.samples, 1);
    CHECK_INT(result.histograms, 2);
    CHECK_INT(result.exemplars, 1);
    CHECK_INT(result.exemplars_dropped, 1);
    CHECK_STR(buf_str(&rec.log),
              STR("up{job=\"x\"} #1 @2 7\nexemplar #1 0.5 {trace=\"abc\"}\n"
                  "exemplar #1 -1 {trace=\"abc\"}\n"
                  "#1 @0 h count 10 zero 2 sum 2.5 schema 3 hint 2 buckets 3/3 -1\n"
                  "#1 @1 fh count 6.5 zero 0 custom 2 buckets 3\ncommit\n"));
    remote_receiver_free(receiver);
    buf_deinit(&rec.log);
}

TEST (a_broken_histogram_is_refused_with_its_rule) {
    Recorder rec = RECORDER();
    RemoteReceiver *receiver =
        remote_receiver_new(&(RemoteReceiverOptions){.storage = &rec.storage});
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    Histogram h = int_histogram;
    h.count = 3;
    size_t mark = remote_write_series_begin(&b, (Labels){down, 1});
    remote_write_add_histogram(&b, NOW, &h, NULL);
    remote_write_series_end(&b, mark);
    RemoteWriteResult result = post(receiver, &b);
    CHECK_INT(result.status, 400);
    CHECK(strstr(result.text, "10 observations found in buckets, but the Count field is 3"));
    rec.no_histograms = true;
    result = post(receiver, &b);
    CHECK_INT(result.status, 400);
    CHECK_CSTR(result.text, "this storage does not keep native histograms");
    remote_receiver_free(receiver);
    buf_deinit(&rec.log);
}

TEST (labels_after_the_samples_are_found_too) {
    Recorder rec = RECORDER();
    RemoteReceiver *receiver =
        remote_receiver_new(&(RemoteReceiverOptions){.storage = &rec.storage});
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    size_t mark = remote_write_series_begin(&b, LABELS_EMPTY);
    remote_write_add_sample(&b, NOW, 3);
    size_t label = proto_begin(&b, 1);
    proto_add_bytes(&b, 1, LABEL_NAME);
    proto_add_bytes(&b, 2, STR("late"));
    proto_end(&b, label);
    remote_write_series_end(&b, mark);
    CHECK_INT(post(receiver, &b).status, 204);
    CHECK_STR(buf_str(&rec.log), STR("late #1 @0 3\ncommit\n"));
    remote_receiver_free(receiver);
    buf_deinit(&rec.log);
}

TEST (bytes_that_do_not_decode_are_refused) {
    Recorder rec = RECORDER();
    RemoteReceiver *receiver =
        remote_receiver_new(&(RemoteReceiverOptions){.storage = &rec.storage});
    RemoteWriteResult result;
    remote_receiver_write(receiver, REMOTE_WRITE_1, STR("not snappy at all"), &result);
    CHECK_INT(result.status, 400);
    remote_receiver_write(receiver, REMOTE_WRITE_1, (Str){"", REMOTE_WRITE_BYTES_MAX + 1}, &result);
    CHECK_INT(result.status, 413);
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    proto_add_uint(&b, 1, 5);
    result = post(receiver, &b);
    CHECK_INT(result.status, 400);
    CHECK(strstr(result.text, "not a remote-write 1.0 request"));
    buf_reset(&b);
    size_t mark = remote_write_series_begin(&b, (Labels){up, 2});
    proto_add_uint(&b, 2, 5);
    remote_write_series_end(&b, mark);
    CHECK_INT(post(receiver, &b).status, 400);
    remote_receiver_free(receiver);
    buf_deinit(&rec.log);
}

TEST (every_prefix_of_a_request_is_stored_or_refused) {
    Storage *storage = mem_storage_new();
    RemoteReceiver *receiver = remote_receiver_new(&(RemoteReceiverOptions){.storage = storage});
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0), body = BUF_INIT(0);
    add_series(&b, (Labels){up, 2}, NOW, 1);
    add_histograms(&b);
    remote_write_add_metadata(&b, STR("up"), &(Metadata){METRIC_GAUGE, STR("s"), STR("help")});
    for (size_t n = 0; n <= b.n; n++) {
        char *part = mem_alloc(n ? n : 1);
        memcpy(part, b.p, n);
        Buf cut = {.p = part, .n = n, .cap = n};
        int status = post(receiver, &cut).status;
        CHECK(status == 204 || status == 400);
        CHECK(n != b.n || status == 204);
        mem_free(part);
    }
    CHECK_INT(remote_write_finish(&b, &body), 0);
    for (size_t n = 0; n < body.n; n++) {
        RemoteWriteResult result;
        char *part = mem_alloc(n ? n : 1);
        memcpy(part, body.p, n);
        remote_receiver_write(receiver, REMOTE_WRITE_1, (Str){part, n}, &result);
        CHECK_INT(result.status, 400);
        mem_free(part);
    }
    remote_receiver_free(receiver);
    mem_storage_free(storage);
}

TEST (refs_are_found_again_while_the_cache_grows) {
    RemoteRefs *refs = remote_refs_new();
    size_t found = 0;
    for (uint64_t i = 1; i <= 20000; i++) {
        remote_refs_put(refs, remote_refs_key((Str){(const char *)&i, sizeof(i)}), i);
    }
    for (uint64_t i = 1; i <= 20000; i++) {
        SeriesRef ref = remote_refs_get(refs, remote_refs_key((Str){(const char *)&i, sizeof(i)}));
        CHECK(ref == 0 || ref == i);
        found += ref != 0;
    }
    CHECK(found > 15000); /* a full set of four loses entries */
    remote_refs_free(refs);
}
