#include "remote/remote_write.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/metrics.h"
#include "base/utf8.h"
#include "format/compress.h"
#include "remote/remote_receiver.h"

/* Tags of a TimeSeries' fields, all of them messages. */
enum { SERIES_LABEL = 1, SERIES_SAMPLE, SERIES_EXEMPLAR, SERIES_HISTOGRAM };

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

RemoteReceiver *remote_receiver_new(const RemoteReceiverOptions *o) {
    RemoteReceiver *r = NEW(RemoteReceiver);
    r->storage = o->storage;
    r->options = *o;
    r->refs = remote_refs_new();
    r->invalid_labels = metric_counter(
        "prometheus_api_remote_write_invalid_labels_samples_total",
        "The total number of received remote write samples and histogram samples which were "
        "rejected due to invalid labels.",
        NULL);
    r->without_metadata = metric_counter(
        "prometheus_api_remote_write_without_metadata_appended_samples_total",
        "The total number of received remote write samples (and histogram samples) which were "
        "ingested without corresponding metadata.",
        NULL);
    return r;
}

void remote_receiver_free(RemoteReceiver *r) {
    if (r) {
        remote_refs_free(r->refs);
        mem_free(r);
    }
}

int remote_answer(RemoteWriteResult *result, int status, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(result->text, sizeof(result->text), fmt, ap);
    va_end(ap);
    result->status = status;
    return -ECANCELED;
}

static int broken(RemoteRequest *q, const char *what) {
    return remote_answer(q->result, 400, "the body is not a remote-write 1.0 request: bad %s",
                         what);
}

/* ---- labels */

static int cmp_name(const void *a, const void *b) {
    return str_cmp(((const Label *)a)->name, ((const Label *)b)->name);
}

void remote_sort_labels(Label *v, size_t n) {
    for (size_t i = 1; i < n; i++) {
        if (str_cmp(v[i - 1].name, v[i].name) > 0) {
            qsort(v, n, sizeof(*v), cmp_name);
            return;
        }
    }
}

bool remote_labels_valid(const Label *v, size_t n) {
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

size_t remote_drop_empty(Label *v, size_t n) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (v[i].value.n > 0) {
            v[kept++] = v[i];
        }
    }
    return kept;
}

static int decode_labels(RemoteRequest *q, Target *target) {
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
    size_t n = q->scratch.labels.n;
    remote_sort_labels(v, n);
    target->skip = !remote_labels_valid(v, n);
    target->labels = (Labels){v, remote_drop_empty(v, n)};
    target->decoded = true;
    return 0;
}

/* For an error text. Exemplars reuse the scratch, so the labels are read anew. */
static void name_series(RemoteRequest *q, Target *target, Buf *out) {
    if (decode_labels(q, target) == 0) {
        labels_format_metric(target->labels, out);
    }
}

/* ---- samples */

int remote_append(RemoteRequest *q, SeriesRef *ref, Labels labels, const RemoteItem *item) {
    Appender *a = q->appender;
    if (item->st && q->receiver->options.start_as_zero) {
        int r = appender_append_zero(a, ref, labels, item->t, item->st, item->h, item->fh);
        if (r < 0 || r == APPEND_UNKNOWN_REF) {
            return r;
        }
        labels = *ref ? LABELS_EMPTY : labels;
    }
    if (item->h || item->fh) {
        return a->ops->append_histogram(a, ref, labels, item->t, item->h, item->fh, item->st);
    }
    return a->ops->append(a, ref, labels, item->t, item->v, item->st);
}

static int append_once(RemoteRequest *q, Target *target, const RemoteItem *item) {
    return remote_append(q, &target->ref, target->ref ? LABELS_EMPTY : target->labels, item);
}

/* With the known ref, else with the labels; the ref is remembered. */
static int append(RemoteRequest *q, Target *target, const RemoteItem *item) {
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

const char *remote_refusal(int r, const RemoteItem *item, Problem *problem) {
    if (r == APPEND_INVALID && item->h && !histogram_validate(item->h, problem)) {
        return problem->text;
    }
    if (r == APPEND_INVALID && item->fh && !float_histogram_validate(item->fh, problem)) {
        return problem->text;
    }
    return append_outcome_text((AppendOutcome)r);
}

static int store(RemoteRequest *q, Target *target, const RemoteItem *item) {
    bool histogram = item->h || item->fh;
    if (histogram && !q->appender->ops->append_histogram) {
        return remote_answer(q->result, 400, "%s", append_outcome_text(APPEND_UNSUPPORTED));
    }
    int r = item->t > q->t_max ? APPEND_OUT_OF_BOUNDS : append(q, target, item);
    if (r < 0) {
        return r;
    }
    if (r != APPEND_OK) {
        Problem problem = {0};
        CLEANUP(buf_deinit) Buf series = BUF_INIT(512);
        name_series(q, target, &series);
        return remote_answer(q->result, 400, "%s%s for series %.*s at timestamp %lld",
                             remote_refusal(r, item, &problem),
                             item->t > q->t_max ? ": timestamp is too far in the future" : "",
                             SA(buf_str(&series)), (long long)item->t);
    }
    if (!target->skip) {
        *(histogram ? &q->result->histograms : &q->result->samples) += 1;
    }
    return 0;
}

bool remote_append_exemplar(RemoteRequest *q, SeriesRef ref, Exemplar *e) {
    Appender *a = q->appender;
    Str duplicate;
    return a->ops->append_exemplar &&
           labels_from_pairs(q->scratch.labels.v, q->scratch.labels.n, &e->labels, &duplicate) &&
           a->ops->append_exemplar(a, ref, e) == APPEND_OK;
}

void remote_keep_metadata(RemoteRequest *q, Str metric, const Metadata *m) {
    static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
    Appender *a = q->appender;
    bool parts = m->type == METRIC_HISTOGRAM || m->type == METRIC_GAUGE_HISTOGRAM ||
                 m->type == METRIC_SUMMARY;
    for (size_t i = 0; parts && i < ARRAY_LEN(suffixes); i++) {
        if (str_ends(metric, str_of(suffixes[i]))) {
            metric.n -= strlen(suffixes[i]);
            break;
        }
    }
    if (metric.n > 0 && a->ops->family_metadata) {
        a->ops->family_metadata(a, metric, m);
    }
}

static int store_exemplar(RemoteRequest *q, Target *target, Str message) {
    Exemplar e;
    if (remote_decode_exemplar(message, &q->scratch, &e) < 0) {
        return broken(q, "exemplar");
    }
    /* Its labels took the place of the series' labels. */
    target->decoded = false;
    bool taken = target->ref && remote_append_exemplar(q, target->ref, &e);
    *(taken ? &q->result->exemplars : &q->result->exemplars_dropped) += 1;
    return 0;
}

static int store_field(RemoteRequest *q, Target *target, const ProtoField *f) {
    RemoteSample sample;
    RemoteHistogram h;
    switch (f->number) {
    case SERIES_SAMPLE:
        if (remote_decode_sample(f->bytes, &sample) < 0) {
            return broken(q, "sample");
        }
        return store(q, target, &(RemoteItem){.t = sample.t, .v = sample.v});
    case SERIES_HISTOGRAM:
        if (remote_decode_histogram(f->bytes, &q->scratch, &h) < 0) {
            return broken(q, "histogram");
        }
        return store(q, target,
                     &(RemoteItem){
                         .t = h.t, .h = h.is_float ? NULL : &h.h, .fh = h.is_float ? &h.fh : NULL});
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

static int look_through(RemoteRequest *q, Str rest, Contents *ret) {
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

static int store_fields(RemoteRequest *q, Target *target, Str rest, uint32_t number) {
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

static int store_series(RemoteRequest *q, Str message) {
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

static int store_metadata(RemoteRequest *q, Str message) {
    Str family;
    Metadata m;
    if (remote_decode_metadata(message, &family, &m) < 0) {
        return broken(q, "metadata");
    }
    if (family.n > 0 && q->appender->ops->family_metadata) {
        q->appender->ops->family_metadata(q->appender, family, &m);
    }
    return 0;
}

static int store_request(RemoteRequest *q, Str request) {
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
        int stored = f.number == 1 ? store_series(q, f.bytes) : store_metadata(q, f.bytes);
        if (stored < 0) {
            return stored;
        }
    }
    return e < 0 ? broken(q, "protobuf encoding") : 0;
}

/* A failure that has set no answer is the storage's. */
static void failed(RemoteWriteResult *result, int r, const char *what) {
    if (result->status == 204 || r != -ECANCELED) {
        remote_answer(result, 500, "%s: %s", what, strerror(-r));
    }
    result->samples = result->histograms = result->exemplars = 0;
}

static void write_decoded(RemoteReceiver *r, RemoteWriteVersion version, Str request,
                          RemoteWriteResult *ret) {
    RemoteRequest q = {
        .receiver = r, .result = ret, .t_max = clock_wall_ms() + REMOTE_WRITE_AHEAD_MS};
    int e = storage_appender(r->storage, &q.appender);
    if (e < 0) {
        failed(ret, e, "the storage takes no samples");
        return;
    }
    e = version == REMOTE_WRITE_2 ? remote_store_v2(&q, request) : store_request(&q, request);
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

void remote_receiver_write(RemoteReceiver *r, RemoteWriteVersion version, Str body,
                           RemoteWriteResult *ret) {
    CLEANUP(buf_deinit) Buf request = BUF_INIT(REMOTE_WRITE_BYTES_MAX);
    *ret = (RemoteWriteResult){.status = 204};
    if (body.n > REMOTE_WRITE_BYTES_MAX) {
        remote_answer(ret, 413, "the request is larger than %zu bytes", REMOTE_WRITE_BYTES_MAX);
        return;
    }
    int e = snappy_decode(body, REMOTE_WRITE_BYTES_MAX, &request);
    if (e == -EFBIG) {
        remote_answer(ret, 400, "the decoded request is larger than %zu bytes",
                      REMOTE_WRITE_BYTES_MAX);
    } else if (e < 0) {
        remote_answer(ret, 400, "the body is not compressed with snappy (block format)");
    } else {
        write_decoded(r, version, buf_str(&request), ret);
    }
}
