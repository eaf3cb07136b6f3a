/* A native histogram in answers:
 * {"count":"..","sum":"..","buckets":[[rule,"lower","upper","count"]]}. */
#include "api/reply.h"
#include "base/numtext.h"
#include "promql/promql.h"

/* Which ends belong to a bucket; the numbers are the API's. */
typedef enum Ends { ENDS_UPPER = 0, ENDS_LOWER = 1, ENDS_BOTH = 3 } Ends;

typedef struct Buckets {
    Buf *b;
    const FloatHistogram *h;
    bool any;
} Buckets;

static void add_number(Buf *b, const char *lead, double v) {
    buf_add_cstr(b, lead);
    number_format_json(b, v);
    buf_add_char(b, '"');
}

static void add_bucket(Buckets *k, Ends ends, double lower, double upper, double count) {
    if (count == 0) {
        return;
    }
    buf_addf(k->b, "%s[%d", k->any ? "," : ",\"buckets\":[", ends);
    add_number(k->b, ",\"", lower);
    add_number(k->b, ",\"", upper);
    add_number(k->b, ",\"", count);
    buf_add_char(k->b, ']');
    k->any = true;
}

/* A bucket that reaches into the zero bucket is shown from where that ends. */
static void add_at(Buckets *k, bool negative, int64_t at, double count) {
    double inner = promql_histogram_bound(k->h, at - 1), outer = promql_histogram_bound(k->h, at);
    if (inner > 0 && inner < k->h->zero_threshold) {
        inner = k->h->zero_threshold;
    }
    if (negative) {
        add_bucket(k, ENDS_LOWER, -outer, -inner, count);
    } else {
        bool lowest = k->h->schema == HISTOGRAM_SCHEMA_CUSTOM && at == 0;
        add_bucket(k, lowest ? ENDS_BOTH : ENDS_UPPER, inner, outer, count);
    }
}

static void add_positive(Buckets *k) {
    const FloatHistogram *h = k->h;
    int64_t at = 0;
    uint32_t n = 0;
    for (uint32_t s = 0; s < h->n_positive_spans; s++) {
        at += h->positive_spans[s].offset;
        for (uint32_t i = 0; i < h->positive_spans[s].length && n < h->n_positive; i++) {
            add_at(k, false, at++, h->positive[n++]);
        }
    }
}

/* From the farthest one: backwards over the spans. */
static void add_negative(Buckets *k) {
    const FloatHistogram *h = k->h;
    int64_t at = 0;
    uint32_t n = h->n_negative;
    for (uint32_t s = 0; s < h->n_negative_spans; s++) {
        at += h->negative_spans[s].offset + (int64_t)h->negative_spans[s].length;
    }
    for (uint32_t s = h->n_negative_spans; s-- > 0;) {
        for (uint32_t i = 0; i < h->negative_spans[s].length && n > 0; i++) {
            add_at(k, true, --at, h->negative[--n]);
        }
        at -= h->negative_spans[s].offset;
    }
}

void reply_histogram(Buf *b, const FloatHistogram *h) {
    Buckets k = {b, h, false};
    add_number(b, "{\"count\":\"", h->count);
    add_number(b, ",\"sum\":\"", h->sum);
    add_negative(&k);
    if (h->zero_count > 0) {
        add_bucket(&k, ENDS_BOTH, -h->zero_threshold, h->zero_threshold, h->zero_count);
    }
    add_positive(&k);
    buf_add_cstr(b, k.any ? "]}" : "}");
}
