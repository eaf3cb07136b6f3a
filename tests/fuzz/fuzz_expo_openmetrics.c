/* Any bytes as a page of this format: it ends or is refused, labels of what was given can be read,
 * and reading it against itself gives the same samples. */
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "model/expo.h"

#define FORMAT EXPO_OPENMETRICS

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_closer(const ExpoParser *p, Arena *a) {
    Label *v;
    size_t n;
    ExpoExemplar e;
    Labels l;
    Str duplicate;
    if (!expo_series_labels(FORMAT, p->type, p->series, a, &v, &n)) {
        abort();
    }
    (void)labels_from_pairs(v, n, &l, &duplicate);
    if (p->exemplar.p && !expo_exemplar(p->exemplar, a, &e)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ExpoParser p;
    Arena a = ARENA_INIT(0);
    VEC(ExpoExpected) all = {0};
    int r;
    expo_init(&p, FORMAT, (Str){(const char *)data, size});
    while ((r = expo_next(&p)) > 0) {
        if (r == EXPO_SAMPLE) {
            look_closer(&p, &a);
            vec_push(&all,
                     (ExpoExpected){p.text, (uint32_t)(p.series.p - p.text.p), p.type, p.typed});
        }
    }
    expo_init(&p, FORMAT, (Str){(const char *)data, size});
    for (size_t i = 0; i < all.n; i++) {
        bool hit;
        int again;
        while ((again = expo_next_expect(&p, &all.v[i], &hit)) > EXPO_SAMPLE) {
        }
        if (again != EXPO_SAMPLE || p.text.n != all.v[i].text.n || p.type != all.v[i].type) {
            abort();
        }
    }
    vec_free(&all);
    arena_deinit(&a);
    return 0;
}
