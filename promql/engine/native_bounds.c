/* Where the buckets of native histograms end. */
#include <pthread.h>

#include "promql/engine/native.h"

#define FINEST_SCHEMA 8
#define FINEST (1 << FINEST_SCHEMA)

/*
 * Prometheus has the bounds between two powers of two in a table, and every answer with buckets
 * shows them. Its numbers lie up to four places of the last binary digit below the nearest double
 * of 2^(i/256), two of them one above: how many, for each i.
 */
static const char below[] = "00000010001000000012001111111111001000100111001100110+1100110011"
                            "0000001111221021001000100001000000010+00102200110111001010221111"
                            "1010112211211011111111212122212200110010112210221122101121221121"
                            "1132112122322232222222333344324311211222213311222132112222432233";

static double fractions[FINEST]; /* 2^(i/256) less that */

static void fill_fractions(void) {
    for (int i = 0; i < FINEST; i++) {
        double nearest = (double)exp2l((long double)i / FINEST);
        int places = below[i] == '+' ? -1 : below[i] - '0';
        fractions[i] = nearest - places * __DBL_EPSILON__;
    }
}

/* The last bucket ends at the greatest number; behind it is one more, for infinities. */
double native_exponential_bound(int32_t schema, int64_t at) {
    if (schema <= 0) {
        int64_t e = at * ((int64_t)1 << -schema);
        return e == 1024 ? __DBL_MAX__ : ldexp(1, (int)MAX(MIN(e, 2000), -2000));
    }
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill_fractions);
    int64_t per = (int64_t)1 << schema, frac = at & (per - 1), e = at >> schema;
    if (frac == 0 && e == 1024)
        return __DBL_MAX__;
    return ldexp(fractions[frac << (FINEST_SCHEMA - schema)], (int)MAX(MIN(e, 2000), -2000));
}

double native_bound(const Native *n, int64_t at) {
    if (!native_is_custom(n->schema))
        return native_exponential_bound(n->schema, at);
    return at < 0 ? -INFINITY : at < n->n_custom ? n->custom[at] : INFINITY;
}

double promql_histogram_bound(const FloatHistogram *h, int64_t at) {
    const Native n = {.schema = h->schema, .custom = h->custom_values, .n_custom = h->n_custom};
    return native_bound(&n, at);
}
