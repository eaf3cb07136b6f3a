/* Chunks of Prometheus' blocks: any bytes decode or are refused; what decodes is written again as
 * bytes that decode to the same. */
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tsdb/promblock/prom_xor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int n = prom_xor_count(data, size);
    if (n <= 0 || (size_t)n > 8 * size) {
        return 0; /* each sample after the first takes two bits at least */
    }
    int64_t *t = NEW_ARRAY(int64_t, n), *t2 = NEW_ARRAY(int64_t, n);
    double *v = NEW_ARRAY(double, n), *v2 = NEW_ARRAY(double, n);
    if (prom_xor_decode(data, size, t, v) == 0) {
        bool rising = true;
        for (int i = 1; i < n; i++) {
            rising = rising && t[i] > t[i - 1] && (uint64_t)t[i] - (uint64_t)t[i - 1] < INT64_MAX;
        }
        CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
        if (rising) {
            prom_xor_encode(&b, t, v, (size_t)n);
            if (prom_xor_decode((uint8_t *)b.p, b.n, t2, v2) != 0 ||
                memcmp(t, t2, (size_t)n * sizeof(*t)) != 0 ||
                memcmp(v, v2, (size_t)n * sizeof(*v)) != 0) {
                abort();
            }
        }
    }
    mem_free(t);
    mem_free(t2);
    mem_free(v);
    mem_free(v2);
    return 0;
}
