/*
 * The receiver of remote write 2.0 (io.prometheus.write.v2.Request). Strings lie in a table that
 * series refer to; what is good is stored and what is bad is told of, in one answer. Source:
 * "Prometheus Remote-Write 2.0 specification".
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"
#include "remote/remote_receiver.h"

enum { REQUEST_SYMBOL = 4, REQUEST_SERIES = 5 };
enum { SERIES_LABELS = 1, SERIES_SAMPLE, SERIES_HISTOGRAM, SERIES_EXEMPLAR, SERIES_METADATA };

typedef struct RequestV2 {
    RemoteRequest *q;
    VEC(Str) symbols;
    VEC(uint64_t) refs; /* labels of a series or an exemplar, as sent */
    Buf key;
} RequestV2;

typedef struct SeriesV2 {
    Str message;
    Labels labels; /* the scratch's */
    SeriesRef ref;
    RemoteKey key;
    uint64_t samples; /* of any kind, in the message */
    bool exemplars;
    Metadata metadata;
    bool has_metadata;
} SeriesV2;

/* ---- telling what was refused */

/* One line each, as many as fit. */
static void refuse_part(RequestV2 *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void refuse_part(RequestV2 *r, const char *fmt, ...) {
    RemoteWriteResult *result = r->q->result;
    size_t n = strlen(result->text);
    va_list ap;
    result->status = 400;
    if (n + 2 < sizeof(result->text)) {
        if (n > 0) {
            result->text[n++] = '\n';
        }
        va_start(ap, fmt);
        (void)vsnprintf(result->text + n, sizeof(result->text) - n, fmt, ap);
        va_end(ap);
    }
}

static void refuse_series(RequestV2 *r, const SeriesV2 *s, const char *why) {
    CLEANUP(buf_deinit) Buf text = BUF_INIT(512);
    labels_format_metric(s->labels, &text);
    refuse_part(r, "%s for series %.*s", why, SA(buf_str(&text)));
}

static int broken(RequestV2 *r, const char *what) {
    return remote_answer(r->q->result, 400, "the body is not a remote-write 2.0 request: bad %s",
                         what);
}

/* ---- labels */

static int take_refs(RequestV2 *r, const ProtoField *f) {
    const uint8_t *at = NULL;
    uint64_t v;
    int e;
    while ((e = proto_packed_varint(f, &at, &v)) == 1) {
        vec_push(&r->refs, v);
    }
    return e;
}

/* The pairs that refs name, into the scratch; NULL or what is wrong with them. */
static const char *resolve_refs(RequestV2 *r) {
    RemoteScratch *s = &r->q->scratch;
    s->labels.n = 0;
    if (r->refs.n % 2 != 0) {
        return "the number of label references is odd";
    }
    for (size_t i = 0; i < r->refs.n; i += 2) {
        uint64_t name = r->refs.v[i], value = r->refs.v[i + 1];
        if (name >= r->symbols.n || value >= r->symbols.n) {
            return "a label reference lies outside of the symbols";
        }
        vec_push(&s->labels, (Label){r->symbols.v[name], r->symbols.v[value]});
    }
    return NULL;
}

/* The bytes of all labels, so that a series seen before is found without looking at its labels. */
static RemoteKey key_of(RequestV2 *r) {
    const RemoteScratch *s = &r->q->scratch;
    buf_reset(&r->key);
    for (size_t i = 0; i < s->labels.n; i++) {
        buf_add_uvarint(&r->key, s->labels.v[i].name.n);
        buf_add_str(&r->key, s->labels.v[i].name);
        buf_add_uvarint(&r->key, s->labels.v[i].value.n);
        buf_add_str(&r->key, s->labels.v[i].value);
    }
    return remote_refs_key(buf_str(&r->key));
}

static bool check_labels(RequestV2 *r, SeriesV2 *s) {
    Label *v = r->q->scratch.labels.v;
    size_t n = r->q->scratch.labels.n;
    remote_sort_labels(v, n);
    bool valid = remote_labels_valid(v, n);
    s->labels = (Labels){v, remote_drop_empty(v, n)};
    if (valid) {
        return true;
    }
    CLEANUP(buf_deinit) Buf text = BUF_INIT(512);
    labels_format_metric(s->labels, &text);
    refuse_part(r, "invalid metric name or labels, got %.*s", SA(buf_str(&text)));
    r->q->result->series_invalid++;
    metric_add(r->q->receiver->invalid_labels, (double)s->samples);
    return false;
}

/* Exemplars and other series use the scratch: the labels are made again where they are needed. */
static void relabel(RequestV2 *r, SeriesV2 *s) {
    ProtoReader reader = PROTO_READER(s->message);
    ProtoField f;
    r->refs.n = 0;
    while (proto_next(&reader, &f) == 1) {
        if (f.number == SERIES_LABELS) {
            (void)take_refs(r, &f); /* it could be read before */
        }
    }
    (void)resolve_refs(r);
    Label *v = r->q->scratch.labels.v;
    remote_sort_labels(v, r->q->scratch.labels.n);
    s->labels = (Labels){v, remote_drop_empty(v, r->q->scratch.labels.n)};
}

/* ---- samples */

static int append(RequestV2 *r, SeriesV2 *s, const RemoteItem *item) {
    int e = s->ref ? remote_append(r->q, &s->ref, LABELS_EMPTY, item) : APPEND_UNKNOWN_REF;
    if (e != APPEND_UNKNOWN_REF) {
        return e;
    }
    s->ref = 0;
    e = remote_append(r->q, &s->ref, s->labels, item);
    if (s->ref) {
        remote_refs_put(r->q->receiver->refs, s->key, s->ref);
    }
    return e;
}

/* 0 also when the sample was refused. */
static int store(RequestV2 *r, SeriesV2 *s, const RemoteItem *item) {
    bool histogram = item->h || item->fh;
    int e = APPEND_UNSUPPORTED;
    if (item->t > r->q->t_max) {
        e = APPEND_OUT_OF_BOUNDS;
    } else if (!histogram || r->q->appender->ops->append_histogram) {
        e = append(r, s, item);
    }
    if (e == APPEND_OK) {
        *(histogram ? &r->q->result->histograms : &r->q->result->samples) += 1;
    } else if (e > 0) {
        Problem problem = {0};
        refuse_series(r, s, remote_refusal(e, item, &problem));
    }
    return MIN(e, 0);
}

static int store_sample(RequestV2 *r, SeriesV2 *s, Str message) {
    RemoteSample v;
    if (remote_decode_sample(message, &v) < 0) {
        return broken(r, "sample");
    }
    return store(r, s, &(RemoteItem){.t = v.t, .st = v.st, .v = v.v});
}

static int store_histogram(RequestV2 *r, SeriesV2 *s, Str message) {
    RemoteHistogram v;
    if (remote_decode_histogram(message, &r->q->scratch, &v) < 0) {
        return broken(r, "histogram");
    }
    return store(
        r, s,
        &(RemoteItem){
            .t = v.t, .st = v.st, .h = v.is_float ? NULL : &v.h, .fh = v.is_float ? &v.fh : NULL});
}

static int decode_exemplar(RequestV2 *r, Str message, Exemplar *ret) {
    ProtoReader reader = PROTO_READER(message);
    ProtoField f;
    int e;
    *ret = (Exemplar){0};
    r->refs.n = 0;
    while ((e = proto_next(&reader, &f)) == 1) {
        if (f.number == 1 && take_refs(r, &f) < 0) {
            return -EBADMSG;
        }
        if (f.number == 2 && f.type == PROTO_FIXED64) {
            ret->value = proto_double(&f);
        } else if (f.number == 3 && proto_is_varint(&f)) {
            ret->t = (int64_t)f.value;
        }
    }
    ret->has_t = ret->t != 0;
    return e;
}

static int store_exemplar(RequestV2 *r, SeriesV2 *s, Str message) {
    Exemplar e;
    if (decode_exemplar(r, message, &e) < 0) {
        return broken(r, "exemplar");
    }
    const char *wrong = resolve_refs(r);
    if (wrong) {
        refuse_part(r, "parsing exemplar labels: %s", wrong);
    } else {
        bool taken = s->ref && remote_append_exemplar(r->q, s->ref, &e);
        *(taken ? &r->q->result->exemplars : &r->q->result->exemplars_dropped) += 1;
    }
    return 0;
}

static int decode_metadata(RequestV2 *r, SeriesV2 *s, Str message) {
    ProtoReader reader = PROTO_READER(message);
    ProtoField f;
    int e;
    s->has_metadata = true;
    s->metadata = (Metadata){.unit = STR(""), .help = STR("")};
    while ((e = proto_next(&reader, &f)) == 1) {
        bool known = f.number == 1 || f.number == 3 || f.number == 4;
        if (known && (!proto_is_varint(&f) || (f.number > 1 && f.value >= r->symbols.n))) {
            return -EBADMSG;
        }
        switch (f.number) {
        case 1: s->metadata.type = f.value <= METRIC_STATESET ? (MetricType)f.value : 0; break;
        case 3: s->metadata.help = r->symbols.v[f.value]; break;
        case 4: s->metadata.unit = r->symbols.v[f.value]; break;
        }
    }
    return e;
}

/* ---- one series */

static int look_through(RequestV2 *r, SeriesV2 *s) {
    ProtoReader reader = PROTO_READER(s->message);
    ProtoField f;
    int e;
    r->refs.n = 0;
    while ((e = proto_next(&reader, &f)) == 1) {
        if (f.number == SERIES_LABELS) {
            if (take_refs(r, &f) < 0) {
                return broken(r, "label references");
            }
        } else if (f.number <= SERIES_METADATA && !proto_is_bytes(&f)) {
            return broken(r, "series");
        }
        s->samples += f.number == SERIES_SAMPLE || f.number == SERIES_HISTOGRAM;
        s->exemplars |= f.number == SERIES_EXEMPLAR;
        if (f.number == SERIES_METADATA && decode_metadata(r, s, f.bytes) < 0) {
            return broken(r, "metadata");
        }
    }
    return e < 0 ? broken(r, "series") : 0;
}

static int store_fields(RequestV2 *r, SeriesV2 *s, uint32_t number,
                        int (*fn)(RequestV2 *, SeriesV2 *, Str)) {
    ProtoReader reader = PROTO_READER(s->message);
    ProtoField f;
    while (proto_next(&reader, &f) == 1) {
        int e = f.number == number ? fn(r, s, f.bytes) : 0;
        if (e < 0) {
            return e;
        }
    }
    return 0;
}

static void keep_metadata(RequestV2 *r, SeriesV2 *s) {
    const Metadata *m = &s->metadata;
    if (s->has_metadata && (m->type != METRIC_UNKNOWN || m->unit.n || m->help.n)) {
        relabel(r, s);
        remote_keep_metadata(r->q, labels_get(s->labels, LABEL_NAME), m);
    } else {
        metric_add(r->q->receiver->without_metadata, (double)s->samples);
    }
}

static int store_series(RequestV2 *r, Str message) {
    SeriesV2 s = {.message = message};
    int e = look_through(r, &s);
    if (e < 0) {
        return e;
    }
    const char *wrong = resolve_refs(r);
    if (wrong) {
        refuse_part(r, "parsing labels for series: %s", wrong);
        metric_add(r->q->receiver->invalid_labels, (double)s.samples);
        return 0;
    }
    s.key = key_of(r);
    s.ref = remote_refs_get(r->q->receiver->refs, s.key);
    if (!check_labels(r, &s)) {
        return 0;
    }
    /* Prometheus' sender puts exemplars into series of their own, though the specification does not
     * have that. */
    if (s.samples == 0 && !s.exemplars) {
        refuse_series(r, &s, "TimeSeries must contain at least one sample or histogram");
        return 0;
    }
    e = store_fields(r, &s, SERIES_SAMPLE, store_sample);
    e = e < 0 ? e : store_fields(r, &s, SERIES_HISTOGRAM, store_histogram);
    e = e < 0 ? e : store_fields(r, &s, SERIES_EXEMPLAR, store_exemplar);
    if (e == 0) {
        keep_metadata(r, &s);
    }
    return e;
}

/* ---- the request */

static int take_symbols(RequestV2 *r, Str request) {
    ProtoReader reader = PROTO_READER(request);
    ProtoField f;
    int e;
    while ((e = proto_next(&reader, &f)) == 1) {
        if ((f.number == REQUEST_SYMBOL || f.number == REQUEST_SERIES) && !proto_is_bytes(&f)) {
            return broken(r, "field type");
        }
        if (f.number == REQUEST_SYMBOL) {
            vec_push(&r->symbols, f.bytes);
        }
    }
    return e < 0 ? broken(r, "protobuf encoding") : 0;
}

int remote_store_v2(RemoteRequest *q, Str request) {
    RequestV2 r = {.q = q};
    ProtoReader reader = PROTO_READER(request);
    ProtoField f;
    int e = take_symbols(&r, request);
    while (e == 0 && proto_next(&reader, &f) == 1) {
        e = f.number == REQUEST_SERIES ? store_series(&r, f.bytes) : 0;
    }
    vec_free(&r.symbols);
    vec_free(&r.refs);
    buf_deinit(&r.key);
    return e;
}
