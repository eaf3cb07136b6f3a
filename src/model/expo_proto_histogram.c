/* Histogram messages: native, classic, or both. */
#include <math.h>
#include <stdlib.h>

#include "model/expo_proto.h"

enum {
    HISTOGRAM_COUNT = 1,
    HISTOGRAM_SUM,
    HISTOGRAM_BUCKET,
    HISTOGRAM_COUNT_FLOAT,
    HISTOGRAM_SCHEMA,
    HISTOGRAM_ZERO_THRESHOLD,
    HISTOGRAM_ZERO_COUNT,
    HISTOGRAM_ZERO_COUNT_FLOAT,
    HISTOGRAM_NEGATIVE_SPAN,
    HISTOGRAM_NEGATIVE_DELTA,
    HISTOGRAM_NEGATIVE_COUNT,
    HISTOGRAM_POSITIVE_SPAN,
    HISTOGRAM_POSITIVE_DELTA,
    HISTOGRAM_POSITIVE_COUNT,
    HISTOGRAM_START,
    HISTOGRAM_EXEMPLAR,
};

void expo_proto_histogram_deinit(ProtoHistogram *h) {
    vec_free(&h->positive_spans);
    vec_free(&h->negative_spans);
    vec_free(&h->positive);
    vec_free(&h->negative);
    vec_free(&h->positive_counts);
    vec_free(&h->negative_counts);
}

static void histogram_clear(ProtoHistogram *h) {
    h->positive_spans.n = h->negative_spans.n = h->positive.n = h->negative.n = 0;
    h->positive_counts.n = h->negative_counts.n = 0;
    h->count = h->sum = h->zero_count_float = h->zero_threshold = 0;
    h->count_int = h->zero_count_int = 0;
    h->schema = 0;
}

static bool take_span(Str message, BucketSpan *ret) {
    ProtoReader r = PROTO_READER(message);
    ProtoField f;
    int e;
    *ret = (BucketSpan){0};
    while ((e = proto_next(&r, &f)) == 1) {
        if (f.number == 1 && proto_is_varint(&f)) {
            ret->offset = (int32_t)zigzag_decode((uint32_t)f.value);
        } else if (f.number == 2 && proto_is_varint(&f)) {
            ret->length = (uint32_t)f.value;
        }
    }
    return e == 0;
}

#define TAKE_SPAN(list, field)                                                                     \
    __extension__({                                                                                \
        BucketSpan span_;                                                                          \
        bool good_ = proto_is_bytes(field) && take_span((field)->bytes, &span_);                   \
        if (good_)                                                                                 \
            vec_push(list, span_);                                                                 \
        good_;                                                                                     \
    })

#define TAKE_DELTAS(list, field)                                                                   \
    __extension__({                                                                                \
        const uint8_t *at_ = NULL;                                                                 \
        uint64_t v_;                                                                               \
        int e_;                                                                                    \
        while ((e_ = proto_packed_varint(field, &at_, &v_)) == 1)                                  \
            vec_push(list, zigzag_decode(v_));                                                     \
        e_ == 0;                                                                                   \
    })

#define TAKE_COUNTS(list, field)                                                                   \
    __extension__({                                                                                \
        const uint8_t *at_ = NULL;                                                                 \
        double v_;                                                                                 \
        int e_;                                                                                    \
        while ((e_ = proto_packed_double(field, &at_, &v_)) == 1)                                  \
            vec_push(list, v_);                                                                    \
        e_ == 0;                                                                                   \
    })

/* A classic bucket becomes a row. */
static bool take_bucket(struct ExpoProto *s, Str message) {
    ProtoReader r = PROTO_READER(message);
    ProtoField f;
    ProtoRow row = {.suffix = "_bucket", .label = "le", .exemplar = (uint32_t)s->exemplars.n};
    double count_float = 0;
    int e;
    while ((e = proto_next(&r, &f)) == 1) {
        if (f.number == 1 && proto_is_varint(&f)) {
            row.value = (double)f.value;
        } else if (f.number == 2 && f.type == PROTO_FIXED64) {
            row.bound = proto_double(&f);
        } else if (f.number == 3 && proto_is_bytes(&f)) {
            if (!expo_proto_exemplar(s, f.bytes)) {
                return false;
            }
        } else if (f.number == 4 && f.type == PROTO_FIXED64) {
            count_float = proto_double(&f);
        }
    }
    row.value = count_float > 0 ? count_float : row.value;
    row.n_exemplars = (uint32_t)s->exemplars.n - row.exemplar;
    vec_push(&s->rows, row);
    return e == 0;
}

static bool take_number(ProtoHistogram *h, const ProtoField *f) {
    if (proto_is_varint(f)) {
        switch (f->number) {
        case HISTOGRAM_COUNT: h->count_int = f->value; return true;
        case HISTOGRAM_ZERO_COUNT: h->zero_count_int = f->value; return true;
        case HISTOGRAM_SCHEMA: h->schema = (int32_t)zigzag_decode((uint32_t)f->value); return true;
        default: return false;
        }
    }
    if (f->type != PROTO_FIXED64) {
        return false;
    }
    switch (f->number) {
    case HISTOGRAM_SUM: h->sum = proto_double(f); return true;
    case HISTOGRAM_COUNT_FLOAT: h->count = proto_double(f); return true;
    case HISTOGRAM_ZERO_THRESHOLD: h->zero_threshold = proto_double(f); return true;
    case HISTOGRAM_ZERO_COUNT_FLOAT: h->zero_count_float = proto_double(f); return true;
    default: return false;
    }
}

/* Everything but classic buckets and exemplars, which are taken when it is known where they go. */
static bool take_field(struct ExpoProto *s, const ProtoField *f) {
    ProtoHistogram *h = &s->histogram;
    switch (f->number) {
    case HISTOGRAM_NEGATIVE_SPAN: return TAKE_SPAN(&h->negative_spans, f);
    case HISTOGRAM_POSITIVE_SPAN: return TAKE_SPAN(&h->positive_spans, f);
    case HISTOGRAM_NEGATIVE_DELTA: return TAKE_DELTAS(&h->negative, f);
    case HISTOGRAM_POSITIVE_DELTA: return TAKE_DELTAS(&h->positive, f);
    case HISTOGRAM_NEGATIVE_COUNT: return TAKE_COUNTS(&h->negative_counts, f);
    case HISTOGRAM_POSITIVE_COUNT: return TAKE_COUNTS(&h->positive_counts, f);
    case HISTOGRAM_START: return proto_is_bytes(f) && expo_proto_time(f->bytes, &s->st);
    case HISTOGRAM_BUCKET:
    case HISTOGRAM_EXEMPLAR: return proto_is_bytes(f);
    default: return f->number > HISTOGRAM_EXEMPLAR || take_number(h, f);
    }
}

#define FILL_COMMON(out, s, pos, neg)                                                              \
    do {                                                                                           \
        (out)->schema = (s)->schema;                                                               \
        (out)->zero_threshold = (s)->zero_threshold;                                               \
        (out)->sum = (s)->sum;                                                                     \
        (out)->positive_spans = (s)->positive_spans.v;                                             \
        (out)->n_positive_spans = (uint32_t)(s)->positive_spans.n;                                 \
        (out)->negative_spans = (s)->negative_spans.v;                                             \
        (out)->n_negative_spans = (uint32_t)(s)->negative_spans.n;                                 \
        (out)->positive = (pos).v;                                                                 \
        (out)->n_positive = (uint32_t)(pos).n;                                                     \
        (out)->negative = (neg).v;                                                                 \
        (out)->n_negative = (uint32_t)(neg).n;                                                     \
    } while (0)

static void fill(struct ExpoProto *s) {
    ProtoHistogram *h = &s->histogram;
    CounterResetHint hint = s->type == METRIC_GAUGE_HISTOGRAM ? RESET_GAUGE : RESET_UNKNOWN;
    if (h->is_float) {
        h->fh = (FloatHistogram){
            .reset_hint = hint, .count = h->count, .zero_count = h->zero_count_float};
        FILL_COMMON(&h->fh, h, h->positive_counts, h->negative_counts);
    } else {
        h->h =
            (Histogram){.reset_hint = hint, .count = h->count_int, .zero_count = h->zero_count_int};
        FILL_COMMON(&h->h, h, h->positive, h->negative);
    }
}

static int by_time(const void *a, const void *b) {
    int64_t x = ((const ExpoExemplar *)a)->t, y = ((const ExpoExemplar *)b)->t;
    return (x > y) - (x < y);
}

/* Exemplars of field `number`, or of the classic buckets; those of a native histogram need times,
 * and come by them. */
static bool take_native_exemplars(struct ExpoProto *s, Str message) {
    ProtoReader r = PROTO_READER(message);
    ProtoField f;
    while (proto_next(&r, &f) == 1) {
        if (f.number == HISTOGRAM_EXEMPLAR && proto_is_bytes(&f) &&
            !expo_proto_exemplar(s, f.bytes)) {
            return false;
        }
    }
    r = PROTO_READER(message);
    bool classic = s->exemplars.n == 0;
    while (classic && proto_next(&r, &f) == 1) {
        bool is_bucket = f.number == HISTOGRAM_BUCKET && proto_is_bytes(&f);
        ProtoReader bucket = PROTO_READER(is_bucket ? f.bytes : STR_NULL);
        ProtoField inner;
        while (proto_next(&bucket, &inner) == 1) {
            if (inner.number == 3 && proto_is_bytes(&inner) &&
                !expo_proto_exemplar(s, inner.bytes)) {
                return false;
            }
        }
    }
    size_t n = 0;
    for (size_t i = 0; i < s->exemplars.n; i++) {
        if (s->exemplars.v[i].has_t) {
            s->exemplars.v[n++] = s->exemplars.v[i];
        }
    }
    s->exemplars.n = n;
    if (n > 1) {
        qsort(s->exemplars.v, n, sizeof(*s->exemplars.v), by_time);
    }
    return true;
}

static bool take_classic(struct ExpoProto *s, Str message) {
    ProtoReader r = PROTO_READER(message);
    ProtoField f;
    const ProtoHistogram *h = &s->histogram;
    double count = h->is_float ? h->count : (double)h->count_int;
    vec_push(&s->rows, (ProtoRow){.suffix = "_count", .value = count});
    vec_push(&s->rows, (ProtoRow){.suffix = "_sum", .value = h->sum});
    bool infinite = false;
    while (proto_next(&r, &f) == 1) {
        if (f.number != HISTOGRAM_BUCKET) {
            continue;
        }
        if (!take_bucket(s, f.bytes)) {
            return false;
        }
        infinite |= isinf(s->rows.v[s->rows.n - 1].bound);
    }
    if (!infinite) {
        vec_push(&s->rows,
                 (ProtoRow){.suffix = "_bucket", .label = "le", .bound = INFINITY, .value = count});
    }
    return true;
}

bool expo_proto_histogram(const ExpoParser *p, struct ExpoProto *s, Str message) {
    ProtoReader r = PROTO_READER(message);
    ProtoHistogram *h = &s->histogram;
    ProtoField f;
    int e;
    histogram_clear(h);
    while ((e = proto_next(&r, &f)) == 1) {
        if (!take_field(s, &f)) {
            return false;
        }
    }
    if (e < 0) {
        return false;
    }
    h->is_float = h->count > 0 || h->zero_count_float > 0;
    bool native = h->positive_spans.n > 0 || h->negative_spans.n > 0 || h->zero_threshold > 0 ||
                  h->zero_count_int > 0 || h->zero_count_float > 0;
    if (native && p->native) {
        fill(s);
        if (!take_native_exemplars(s, message)) {
            return false;
        }
        vec_push(&s->rows,
                 (ProtoRow){.suffix = "", .native = true, .n_exemplars = (uint32_t)s->exemplars.n});
        bool buckets = false;
        r = PROTO_READER(message);
        while (!buckets && proto_next(&r, &f) == 1) {
            buckets = f.number == HISTOGRAM_BUCKET;
        }
        return !p->classic || !buckets || take_classic(s, message);
    }
    return take_classic(s, message);
}
