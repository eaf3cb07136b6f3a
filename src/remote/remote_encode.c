/* Making WriteRequests. Fields with their zero value are left out where the proto3 encoders of
 * other senders leave them out. */
#include "base/err.h"
#include "format/compress.h"
#include "format/protowire.h"
#include "remote/remote_write.h"

static void add_label(Buf *b, Label l) {
    size_t mark = proto_begin(b, 1);
    proto_add_bytes(b, 1, l.name);
    proto_add_bytes(b, 2, l.value);
    proto_end(b, mark);
}

size_t remote_write_series_begin(Buf *b, Labels labels) {
    size_t mark = proto_begin(b, 1);
    for (size_t i = 0; i < labels.n; i++) {
        add_label(b, labels.v[i]);
    }
    return mark;
}

void remote_write_series_end(Buf *b, size_t mark) { proto_end(b, mark); }

static void add_double(Buf *b, uint32_t number, double v) {
    if (double_bits(v) != 0) {
        proto_add_double(b, number, v);
    }
}

static void add_int(Buf *b, uint32_t number, int64_t v) {
    if (v != 0) {
        proto_add_int(b, number, v);
    }
}

void remote_write_add_sample(Buf *b, int64_t t, double v) {
    size_t mark = proto_begin(b, 2);
    add_double(b, 1, v);
    add_int(b, 2, t);
    proto_end(b, mark);
}

void remote_write_add_exemplar(Buf *b, const Exemplar *e) {
    size_t mark = proto_begin(b, 3);
    for (size_t i = 0; i < e->labels.n; i++) {
        add_label(b, e->labels.v[i]);
    }
    add_double(b, 2, e->value);
    add_int(b, 3, e->has_t ? e->t : 0);
    proto_end(b, mark);
}

static void add_spans(Buf *b, uint32_t number, const BucketSpan *spans, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        size_t mark = proto_begin(b, number);
        if (spans[i].offset) {
            proto_add_sint(b, 1, spans[i].offset);
        }
        add_int(b, 2, spans[i].length);
        proto_end(b, mark);
    }
}

static void add_deltas(Buf *b, uint32_t number, const int64_t *v, uint32_t n) {
    size_t mark = n ? proto_begin(b, number) : 0;
    for (uint32_t i = 0; i < n; i++) {
        buf_add_varint(b, v[i]);
    }
    if (n) {
        proto_end(b, mark);
    }
}

static void add_doubles(Buf *b, uint32_t number, const double *v, uint32_t n) {
    size_t mark = n ? proto_begin(b, number) : 0;
    for (uint32_t i = 0; i < n; i++) {
        buf_add_u64(b, double_bits(v[i]));
    }
    if (n) {
        proto_end(b, mark);
    }
}

#define ADD_SHARED(b, h)                                                                           \
    do {                                                                                           \
        add_double(b, 3, (h)->sum);                                                                \
        if ((h)->schema)                                                                           \
            proto_add_sint(b, 4, (h)->schema);                                                     \
        add_double(b, 5, (h)->zero_threshold);                                                     \
        add_spans(b, 8, (h)->negative_spans, (h)->n_negative_spans);                               \
        add_spans(b, 11, (h)->positive_spans, (h)->n_positive_spans);                              \
        add_int(b, 14, (h)->reset_hint);                                                           \
        add_doubles(b, 16, (h)->custom_values, (h)->n_custom);                                     \
    } while (0)

void remote_write_add_histogram(Buf *b, int64_t t, const Histogram *h, const FloatHistogram *fh) {
    size_t mark = proto_begin(b, 4);
    if (h) {
        /* Which of the two counts is present tells the kinds apart, so zero is written too. */
        proto_add_uint(b, 1, h->count);
        proto_add_uint(b, 6, h->zero_count);
        ADD_SHARED(b, h);
        add_deltas(b, 9, h->negative, h->n_negative);
        add_deltas(b, 12, h->positive, h->n_positive);
    } else {
        proto_add_double(b, 2, fh->count);
        proto_add_double(b, 7, fh->zero_count);
        ADD_SHARED(b, fh);
        add_doubles(b, 10, fh->negative, fh->n_negative);
        add_doubles(b, 13, fh->positive, fh->n_positive);
    }
    add_int(b, 15, t);
    proto_end(b, mark);
}

void remote_write_add_metadata(Buf *b, Str family, const Metadata *m) {
    static const unsigned char numbers[] = {
        [METRIC_UNKNOWN] = 0,   [METRIC_COUNTER] = 1,         [METRIC_GAUGE] = 2,
        [METRIC_HISTOGRAM] = 3, [METRIC_GAUGE_HISTOGRAM] = 4, [METRIC_SUMMARY] = 5,
        [METRIC_INFO] = 6,      [METRIC_STATESET] = 7,
    };
    size_t mark = proto_begin(b, 3);
    add_int(b, 1, numbers[m->type]);
    proto_add_bytes(b, 2, family);
    proto_add_bytes(b, 4, m->help);
    proto_add_bytes(b, 5, m->unit);
    proto_end(b, mark);
}

int remote_write_finish(const Buf *b, Buf *out) {
    if (b->failed) {
        return -EFBIG;
    }
    return snappy_encode(buf_str(b), out);
}
