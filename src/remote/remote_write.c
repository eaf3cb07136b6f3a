#include "remote/remote_write.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/metrics.h"
#include "base/utf8.h"
#include "format/compress.h"
#include "remote/remote_message.h"
#include "remote/remote_refs.h"

/* Tags of a TimeSeries' fields, all of them messages. */
enum { SERIES_LABEL = 1, SERIES_SAMPLE, SERIES_EXEMPLAR, SERIES_HISTOGRAM };

struct RemoteReceiver {
    Storage *storage;
    RemoteRefs *refs;
    Metric *invalid_labels;
};

/* One request on its way. */
typedef struct Request {
    RemoteReceiver *receiver;
    Appender *appender;
    RemoteWriteResult *result;
    RemoteScratch scratch;
    int64_t t_max;
} Request;

/* The series being stored. */
typedef struct Target {
    Str message;
    SeriesRef ref;
    RemoteKey key;
    bool keyed; /* the labels are one run of bytes, which the key is of */
    Labels labels;
    bool decoded; /* labels is set */
    bool skip;    /* its labels are not valid */
} Target;

RemoteReceiver *remote_receiver_new(Storage *storage) {
    RemoteReceiver *r = NEW(RemoteReceiver);
    r->storage = storage;
    r->refs = remote_refs_new();
    r->invalid_labels = metric_counter(
        "prometheus_api_remote_write_invalid_labels_samples_total",
        "The total number of received remote write samples and histogram samples which were "
        "rejected due to invalid labels.",
        NULL);
    return r;
}

void remote_receiver_free(RemoteReceiver *r) {
    if (r) {
        remote_refs_free(r->refs);
        mem_free(r);
    }
}

/* Sets the answer; what it returns ends the request. */
static int PRINTF_LIKE(3, 4) answer(RemoteWriteResult *result, int status, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(result->text, sizeof(result->text), fmt, ap);
    va_end(ap);
    result->status = status;
    return -ECANCELED;
}

static int broken(Request *q, const char *what) {
    return answer(q->result, 400, "the body is not a remote-write 1.0 request: bad %s", what);
}

/* ---- labels */

static int cmp_name(const void *a, const void *b) {
    return str_cmp(((const Label *)a)->name, ((const Label *)b)->name);
}

static void sort_by_name(Label *v, size_t n) {
    for (size_t i = 1; i < n; i++) {
        if (str_cmp(v[i - 1].name, v[i].name) > 0) {
            qsort(v, n, sizeof(*v), cmp_name);
            return;
        }
    }
}

/* v is sorted. What Prometheus takes: a name, everything UTF-8, no label twice. */
static bool labels_valid(const Label *v, size_t n) {
    bool named = false;
    for (size_t i = 0; i < n; i++) {
        bool is_name = str_eq(v[i].name, LABEL_NAME);
        if (!label_name_valid_utf8(v[i].name) || !utf8_valid(v[i].value) ||
            (is_name && v[i].value.n == 0) || (i > 0 && str_eq(v[i - 1].name, v[i].name))) {
            return false;
        }
        named |= is_name;
    }
    return named;
}

static int decode_labels(Request *q, Target *target) {
    ProtoReader r = PROTO_READER(target->message);
    ProtoField f;
    q->scratch.labels.n = 0;
    while (proto_next(&r, &f) == 1) {
        Label label;
        if (f.number != SERIES_LABEL) {
            continue;
        }
        if (remote_decode_label(f.bytes, &label) < 0) {
            return broken(q, "label");
        }
        vec_push(&q->scratch.labels, label);
    }
    Label *v = q->scratch.labels.v;
    size_t n = q->scratch.labels.n, kept = 0;
    sort_by_name(v, n);
    target->skip = !labels_valid(v, n);
    for (size_t i = 0; i < n; i++) {
        if (v[i].value.n > 0) {
            v[kept++] = v[i];
        }
    }
    target->labels = (Labels){v, kept};
    target->decoded = true;
    return 0;
}

/* For an error text. Exemplars reuse the scratch, so the labels are read anew. */
static void name_series(Request *q, Target *target, Buf *out) {
    if (decode_labels(q, target) == 0) {
        labels_format_metric(target->labels, out);
    }
}

/* ---- samples */

typedef struct Item {
    int64_t t;
    double v;
    const Histogram *h; /* or */
    const FloatHistogram *fh;
} Item;

static int append_once(Request *q, Target *target, const Item *item) {
    Appender *a = q->appender;
    Labels labels = target->ref ? LABELS_EMPTY : target->labels;
    if (item->h || item->fh) {
        return a->ops->append_histogram(a, &target->ref, labels, item->t, item->h, item->fh, 0);
    }
    return a->ops->append(a, &target->ref, labels, item->t, item->v, 0);
}

/* With the known ref, else with the labels; the ref is remembered. */
static int append(Request *q, Target *target, const Item *item) {
    int r = target->ref ? append_once(q, target, item) : APPEND_UNKNOWN_REF;
    if (r != APPEND_UNKNOWN_REF) {
        return r;
    }
    target->ref = 0;
    int e = target->decoded ? 0 : decode_labels(q, target);
    if (e < 0 || target->skip) {
        return e;
    }
    r = append_once(q, target, item);
    if (target->keyed && target->ref) {
        remote_refs_put(q->receiver->refs, target->key, target->ref);
    }
    return r;
}

static const char *refusal(int r, const Item *item, Problem *problem) {
    if (r == APPEND_INVALID && item->h && !histogram_validate(item->h, problem)) {
        return problem->text;
    }
    if (r == APPEND_INVALID && item->fh && !float_histogram_validate(item->fh, problem)) {
        return problem->text;
    }
    return append_outcome_text((AppendOutcome)r);
}

static int store(Request *q, Target *target, const Item *item) {
    bool histogram = item->h || item->fh;
    if (histogram && !q->appender->ops->append_histogram) {
        return answer(q->result, 400, "%s", append_outcome_text(APPEND_UNSUPPORTED));
    }
    int r = item->t > q->t_max ? APPEND_OUT_OF_BOUNDS : append(q, target, item);
    if (r < 0) {
        return r;
    }
    if (r != APPEND_OK) {
        Problem problem = {0};
        CLEANUP(buf_deinit) Buf series = BUF_INIT(512);
        name_series(q, target, &series);
        return answer(q->result, 400, "%s%s for series %.*s at timestamp %lld",
                      refusal(r, item, &problem),
                      item->t > q->t_max ? ": timestamp is too far in the future" : "",
                      SA(buf_str(&series)), (long long)item->t);
    }
    if (!target->skip) {
        *(histogram ? &q->result->histograms : &q->result->samples) += 1;
    }
    return 0;
}

static int store_exemplar(Request *q, Target *target, Str message) {
    Exemplar e;
    Str duplicate;
    if (remote_decode_exemplar(message, &q->scratch, &e) < 0) {
        return broken(q, "exemplar");
    }
    /* Its labels took the place of the series' labels. */
    target->decoded = false;
    Appender *a = q->appender;
    bool taken =
        a->ops->append_exemplar && target->ref &&
        labels_from_pairs(q->scratch.labels.v, q->scratch.labels.n, &e.labels, &duplicate) &&
        a->ops->append_exemplar(a, target->ref, &e) == APPEND_OK;
    *(taken ? &q->result->exemplars : &q->result->exemplars_dropped) += 1;
    return 0;
}

static int store_field(Request *q, Target *target, const ProtoField *f) {
    RemoteSample sample;
    RemoteHistogram h;
    switch (f->number) {
    case SERIES_SAMPLE:
        if (remote_decode_sample(f->bytes, &sample) < 0) {
            return broken(q, "sample");
        }
        return store(q, target, &(Item){.t = sample.t, .v = sample.v});
    case SERIES_HISTOGRAM:
        if (remote_decode_histogram(f->bytes, &q->scratch, &h) < 0) {
            return broken(q, "histogram");
        }
        return store(
            q, target,
            &(Item){.t = h.t, .h = h.is_float ? NULL : &h.h, .fh = h.is_float ? &h.fh : NULL});
    default: return store_exemplar(q, target, f->bytes);
    }
}

/* ---- one series */

/* Senders write the labels first: a run of bytes that can be stepped over without decoding. */
static size_t label_run(Str message) {
    const uint8_t *start = (const uint8_t *)message.p, *p = start, *end = p + message.n;
    while (end - p >= 2 && p[0] == (SERIES_LABEL << 3 | PROTO_BYTES)) {
        uint64_t n;
        const uint8_t *at = p + 1;
        if (!uvarint_get(&at, end, &n) || n > (uint64_t)(end - at)) {
            break;
        }
        p = at + n;
    }
    return (size_t)(p - start);
}

/* What a series holds besides labels. */
typedef struct Contents {
    bool more_labels, exemplars;
    uint64_t samples;
} Contents;

static int look_through(Request *q, Str rest, Contents *ret) {
    ProtoReader r = PROTO_READER(rest);
    ProtoField f;
    int e;
    *ret = (Contents){0};
    while ((e = proto_next(&r, &f)) == 1) {
        if (f.number > SERIES_HISTOGRAM) {
            continue;
        }
        if (!proto_is_bytes(&f)) {
            return broken(q, "series");
        }
        ret->more_labels |= f.number == SERIES_LABEL;
        ret->exemplars |= f.number == SERIES_EXEMPLAR;
        ret->samples += f.number == SERIES_SAMPLE || f.number == SERIES_HISTOGRAM;
    }
    return e < 0 ? broken(q, "series") : 0;
}

static int store_fields(Request *q, Target *target, Str rest, uint32_t number) {
    ProtoReader r = PROTO_READER(rest);
    ProtoField f;
    while (!target->skip && proto_next(&r, &f) == 1) {
        int e = f.number == number ? store_field(q, target, &f) : 0;
        if (e < 0) {
            return e;
        }
    }
    return 0;
}

static int store_series(Request *q, Str message) {
    Target target = {.message = message};
    Contents contents;
    size_t run = label_run(message);
    Str rest = str_from(message, run);
    int e = look_through(q, rest, &contents);
    if (e < 0) {
        return e;
    }
    target.keyed = !contents.more_labels;
    if (target.keyed) {
        target.key = remote_refs_key(str_upto(message, run));
        target.ref = remote_refs_get(q->receiver->refs, target.key);
    }
    if (!target.ref && (e = decode_labels(q, &target)) < 0) {
        return e;
    }
    if (target.skip) {
        q->result->series_invalid++;
        metric_add(q->receiver->invalid_labels, (double)contents.samples);
        return 0;
    }
    if ((e = store_fields(q, &target, rest, SERIES_SAMPLE)) < 0 ||
        (contents.exemplars && (e = store_fields(q, &target, rest, SERIES_EXEMPLAR)) < 0)) {
        return e;
    }
    return contents.samples ? store_fields(q, &target, rest, SERIES_HISTOGRAM) : 0;
}

/* ---- the request */

static int store_request(Request *q, Str request) {
    ProtoReader r = PROTO_READER(request);
    ProtoField f;
    int e;
    while ((e = proto_next(&r, &f)) == 1) {
        if (f.number != 1 && f.number != 3) {
            continue;
        }
        if (!proto_is_bytes(&f)) {
            return broken(q, "field type");
        }
        if (f.number == 3 && remote_check_metadata(f.bytes) < 0) {
            return broken(q, "metadata");
        }
        int stored = f.number == 1 ? store_series(q, f.bytes) : 0;
        if (stored < 0) {
            return stored;
        }
    }
    return e < 0 ? broken(q, "protobuf encoding") : 0;
}

/* A failure that has set no answer is the storage's. */
static void failed(RemoteWriteResult *result, int r, const char *what) {
    if (result->status == 204) {
        answer(result, 500, "%s: %s", what, strerror(-r));
    }
    result->samples = result->histograms = result->exemplars = 0;
}

static void write_decoded(RemoteReceiver *r, Str request, RemoteWriteResult *ret) {
    Request q = {.receiver = r, .result = ret, .t_max = clock_wall_ms() + REMOTE_WRITE_AHEAD_MS};
    int e = storage_appender(r->storage, &q.appender);
    if (e < 0) {
        failed(ret, e, "the storage takes no samples");
        return;
    }
    e = store_request(&q, request);
    remote_scratch_deinit(&q.scratch);
    if (e < 0) {
        appender_rollback(q.appender);
        failed(ret, e, "the storage failed to take a sample");
        return;
    }
    e = appender_commit(q.appender);
    if (e < 0) {
        failed(ret, e, "the storage failed to write the request");
    }
}

void remote_receiver_write(RemoteReceiver *r, Str body, RemoteWriteResult *ret) {
    CLEANUP(buf_deinit) Buf request = BUF_INIT(REMOTE_WRITE_BYTES_MAX);
    *ret = (RemoteWriteResult){.status = 204};
    if (body.n > REMOTE_WRITE_BYTES_MAX) {
        answer(ret, 413, "the request is larger than %zu bytes", REMOTE_WRITE_BYTES_MAX);
        return;
    }
    int e = snappy_decode(body, REMOTE_WRITE_BYTES_MAX, &request);
    if (e == -EFBIG) {
        answer(ret, 400, "the decoded request is larger than %zu bytes", REMOTE_WRITE_BYTES_MAX);
    } else if (e < 0) {
        answer(ret, 400, "the body is not compressed with snappy (block format)");
    } else {
        write_decoded(r, buf_str(&request), ret);
    }
}
