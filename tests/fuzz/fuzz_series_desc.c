/* Any text as a series of a rule test: refused, or labels and values. */
#include "promql/testscript.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = ARENA_INIT(16 << 20);
    SeriesDesc d = {0};
    Problem p = {0};
    volatile double sum = 0;
    if (series_desc_parse(str_n((const char *)data, size), &a, &d, &p) == 0) {
        for (size_t i = 0; i < d.n; i++)
            sum += d.values[i].histogram ? d.values[i].histogram->sum : d.values[i].value;
    }
    arena_deinit(&a);
    (void)sum; /* every value was read, which is what matters */
    return 0;
}
