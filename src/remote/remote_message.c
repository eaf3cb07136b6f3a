#include "remote/remote_message.h"

#include "base/err.h"

void remote_scratch_deinit(RemoteScratch *s) {
    vec_free(&s->labels);
    vec_free(&s->positive_spans);
    vec_free(&s->negative_spans);
    vec_free(&s->positive);
    vec_free(&s->negative);
    vec_free(&s->positive_counts);
    vec_free(&s->negative_counts);
    vec_free(&s->custom_values);
}

int remote_decode_label(Str message, Label *ret) {
    ProtoReader r = PROTO_READER(message);
    ProtoField f;
    int e;
    *ret = (Label){STR(""), STR("")};
    while ((e = proto_next(&r, &f)) == 1) {
        if (f.number != 1 && f.number != 2) {
            continue;
        }
        if (!proto_is_bytes(&f)) {
            return -EBADMSG;
        }
        *(f.number == 1 ? &ret->name : &ret->value) = f.bytes;
    }
    return e;
}

int remote_decode_sample(Str message, RemoteSample *ret) {
    ProtoReader r = PROTO_READER(message);
    ProtoField f;
    int e;
    *ret = (RemoteSample){0};
    while ((e = proto_next(&r, &f)) == 1) {
        if (f.number == 1 && f.type == PROTO_FIXED64) {
            ret->v = proto_double(&f);
        } else if (f.number == 2 && proto_is_varint(&f)) {
            ret->t = (int64_t)f.value;
        } else if (f.number == 3 && proto_is_varint(&f)) {
            ret->st = (int64_t)f.value;
        } else if (f.number <= 2) {
            return -EBADMSG;
        }
    }
    return e;
}

static int decode_span(Str message, BucketSpan *ret) {
    ProtoReader r = PROTO_READER(message);
    ProtoField f;
    int e;
    *ret = (BucketSpan){0};
    while ((e = proto_next(&r, &f)) == 1) {
        if (f.number > 2) {
            continue;
        }
        if (!proto_is_varint(&f)) {
            return -EBADMSG;
        }
        if (f.number == 1) {
            /* sint32: the upper half of a longer varint is cut off, as protobuf says. */
            ret->offset = (int32_t)zigzag_decode((uint32_t)f.value);
        } else {
            ret->length = (uint32_t)f.value;
        }
    }
    return e;
}

#define ADD_SPAN(list, field)                                                                      \
    __extension__({                                                                                \
        BucketSpan span_;                                                                          \
        int e_ = proto_is_bytes(field) ? decode_span((field)->bytes, &span_) : -EBADMSG;           \
        if (e_ == 0)                                                                               \
            vec_push(list, span_);                                                                 \
        e_;                                                                                        \
    })

#define ADD_DELTAS(list, field)                                                                    \
    __extension__({                                                                                \
        const uint8_t *at_ = NULL;                                                                 \
        uint64_t v_;                                                                               \
        int e_;                                                                                    \
        while ((e_ = proto_packed_varint(field, &at_, &v_)) == 1)                                  \
            vec_push(list, zigzag_decode(v_));                                                     \
        e_;                                                                                        \
    })

#define ADD_COUNTS(list, field)                                                                    \
    __extension__({                                                                                \
        const uint8_t *at_ = NULL;                                                                 \
        double v_;                                                                                 \
        int e_;                                                                                    \
        while ((e_ = proto_packed_double(field, &at_, &v_)) == 1)                                  \
            vec_push(list, v_);                                                                    \
        e_;                                                                                        \
    })

/* What is not a list. */
typedef struct HistogramHead {
    bool count_is_float, zero_is_float;
    uint64_t count, zero_count;
    double count_float, zero_count_float, sum, zero_threshold;
    int32_t schema;
    CounterResetHint hint;
    int64_t t, st;
} HistogramHead;

static int histogram_number(const ProtoField *f, HistogramHead *h) {
    /* Fields 2, 3, 5 and 7 are doubles, the others varints. */
    const unsigned doubles = 1u << 2 | 1u << 3 | 1u << 5 | 1u << 7;
    if (f->type != (doubles >> f->number & 1 ? PROTO_FIXED64 : PROTO_VARINT)) {
        return -EBADMSG;
    }
    switch (f->number) {
    case 1:
        h->count = f->value;
        h->count_is_float = false;
        break;
    case 2:
        h->count_float = proto_double(f);
        h->count_is_float = true;
        break;
    case 3: h->sum = proto_double(f); break;
    case 4: h->schema = (int32_t)zigzag_decode((uint32_t)f->value); break;
    case 5: h->zero_threshold = proto_double(f); break;
    case 6:
        h->zero_count = f->value;
        h->zero_is_float = false;
        break;
    case 7:
        h->zero_count_float = proto_double(f);
        h->zero_is_float = true;
        break;
    case 14: h->hint = f->value <= RESET_GAUGE ? (CounterResetHint)f->value : RESET_UNKNOWN; break;
    case 15: h->t = (int64_t)f->value; break;
    }
    return 0;
}

static int histogram_field(const ProtoField *f, RemoteScratch *s, HistogramHead *h) {
    switch (f->number) {
    case 8: return ADD_SPAN(&s->negative_spans, f);
    case 9: return ADD_DELTAS(&s->negative, f);
    case 10: return ADD_COUNTS(&s->negative_counts, f);
    case 11: return ADD_SPAN(&s->positive_spans, f);
    case 12: return ADD_DELTAS(&s->positive, f);
    case 13: return ADD_COUNTS(&s->positive_counts, f);
    case 16: return ADD_COUNTS(&s->custom_values, f);
    case 17: h->st = proto_is_varint(f) ? (int64_t)f->value : 0; return 0;
    default: return f->number <= 15 ? histogram_number(f, h) : 0;
    }
}

#define FILL_LISTS(out, s, pos, neg)                                                               \
    do {                                                                                           \
        (out)->positive_spans = (s)->positive_spans.v;                                             \
        (out)->n_positive_spans = (uint32_t)(s)->positive_spans.n;                                 \
        (out)->negative_spans = (s)->negative_spans.v;                                             \
        (out)->n_negative_spans = (uint32_t)(s)->negative_spans.n;                                 \
        (out)->positive = (pos).v;                                                                 \
        (out)->n_positive = (uint32_t)(pos).n;                                                     \
        (out)->negative = (neg).v;                                                                 \
        (out)->n_negative = (uint32_t)(neg).n;                                                     \
        (out)->custom_values = (s)->custom_values.v;                                               \
        (out)->n_custom = (uint32_t)(s)->custom_values.n;                                          \
    } while (0)

static void fill(const HistogramHead *head, const RemoteScratch *s, RemoteHistogram *ret) {
    *ret = (RemoteHistogram){.is_float = head->count_is_float, .t = head->t, .st = head->st};
    if (ret->is_float) {
        ret->fh = (FloatHistogram){.reset_hint = head->hint,
                                   .schema = head->schema,
                                   .zero_threshold = head->zero_threshold,
                                   .sum = head->sum,
                                   .count = head->count_float,
                                   .zero_count = head->zero_is_float ? head->zero_count_float : 0};
        FILL_LISTS(&ret->fh, s, s->positive_counts, s->negative_counts);
    } else {
        ret->h = (Histogram){.reset_hint = head->hint,
                             .schema = head->schema,
                             .zero_threshold = head->zero_threshold,
                             .sum = head->sum,
                             .count = head->count,
                             .zero_count = head->zero_is_float ? 0 : head->zero_count};
        FILL_LISTS(&ret->h, s, s->positive, s->negative);
    }
}

int remote_decode_histogram(Str message, RemoteScratch *s, RemoteHistogram *ret) {
    ProtoReader r = PROTO_READER(message);
    HistogramHead head = {0};
    ProtoField f;
    int e;
    s->positive_spans.n = s->negative_spans.n = s->positive.n = s->negative.n = 0;
    s->positive_counts.n = s->negative_counts.n = s->custom_values.n = 0;
    while ((e = proto_next(&r, &f)) == 1) {
        if (histogram_field(&f, s, &head) < 0) {
            return -EBADMSG;
        }
    }
    fill(&head, s, ret);
    return e;
}

int remote_decode_exemplar(Str message, RemoteScratch *s, Exemplar *ret) {
    ProtoReader r = PROTO_READER(message);
    ProtoField f;
    Label label;
    int e;
    *ret = (Exemplar){0};
    s->labels.n = 0;
    while ((e = proto_next(&r, &f)) == 1) {
        if (f.number == 1 && proto_is_bytes(&f)) {
            if (remote_decode_label(f.bytes, &label) < 0) {
                return -EBADMSG;
            }
            vec_push(&s->labels, label);
        } else if (f.number == 2 && f.type == PROTO_FIXED64) {
            ret->value = proto_double(&f);
        } else if (f.number == 3 && proto_is_varint(&f)) {
            ret->t = (int64_t)f.value;
        } else if (f.number <= 3) {
            return -EBADMSG;
        }
    }
    ret->has_t = ret->t != 0;
    ret->labels = (Labels){s->labels.v, s->labels.n};
    return e;
}

int remote_decode_metadata(Str message, Str *ret_family, Metadata *ret) {
    ProtoReader r = PROTO_READER(message);
    ProtoField f;
    int e;
    *ret_family = STR("");
    *ret = (Metadata){.unit = STR(""), .help = STR("")};
    while ((e = proto_next(&r, &f)) == 1) {
        bool text = f.number == 2 || f.number == 4 || f.number == 5;
        if ((f.number == 1 && !proto_is_varint(&f)) || (text && !proto_is_bytes(&f))) {
            return -EBADMSG;
        }
        switch (f.number) {
        case 1: ret->type = f.value <= METRIC_STATESET ? (MetricType)f.value : 0; break;
        case 2: *ret_family = f.bytes; break;
        case 4: ret->help = f.bytes; break;
        case 5: ret->unit = f.bytes; break;
        }
    }
    return e;
}
