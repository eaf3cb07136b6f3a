/* Histogram chunks of Prometheus' blocks. First byte: float counts or not. Any bytes decode or are
 * refused; valid histograms that fit together are written again as bytes that decode to the same.
 */
#include <stdint.h>
#include <stdlib.h>

#include "tsdb/promblock/prom_histogram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const HistogramSamples *h, bool floats) {
    HistogramSample v[64];
    HistogramSamples again = {0};
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    uint32_t n = h->n < 64 ? h->n : 64;
    for (uint32_t i = 0; i < n; i++) {
        v[i] = histogram_samples_at(h, i);
        bool valid =
            histogram_sample_is_stale(&v[i]) ||
            (v[i].h ? histogram_validate(v[i].h, NULL) : float_histogram_validate(v[i].fh, NULL));
        if (!valid || (i && !prom_histogram_fits(&v[i - 1], &v[i]))) {
            n = i;
        }
    }
    if (n == 0) {
        return;
    }
    prom_histogram_encode(&b, v, n, RESET_UNKNOWN);
    if (prom_histogram_decode((uint8_t *)b.p, b.n, floats, &again) != 0 || again.n != n) {
        abort();
    }
    for (uint32_t i = 0; i < n; i++) {
        v[i] = histogram_samples_at(&again, i);
    }
    CLEANUP(buf_deinit) Buf twice = BUF_INIT(0);
    prom_histogram_encode(&twice, v, n, RESET_UNKNOWN);
    if (!str_eq(buf_str(&b), buf_str(&twice))) {
        abort();
    }
    histogram_samples_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    HistogramSamples h = {0};
    if (size > 0) {
        bool floats = data[0] & 1;
        if (prom_histogram_decode(data + 1, size - 1, floats, &h) == 0) {
            check_again(&h, floats);
        }
        histogram_samples_deinit(&h);
    }
    return 0;
}
