/* The first byte has the options, the rest is a page of delimited protobuf messages: it ends or is
 * refused, the labels of what was given can be read, and read against itself it gives the same. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/vec.h"
#include "model/expo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ExpoParser open_page(const uint8_t *data, size_t size) {
    ExpoParser p;
    expo_init(&p, EXPO_PROTO, (Str){(const char *)data + 1, size - 1});
    p.native = data[0] & 1;
    p.classic = data[0] & 2;
    return p;
}

static void look_closer(const ExpoParser *p, Arena *a) {
    Label *v;
    size_t n;
    Labels l;
    Str duplicate;
    if (expo_series_labels(EXPO_PROTO, p->type, p->series, a, &v, &n)) {
        (void)labels_from_pairs(v, n, &l, &duplicate);
    }
    if (p->h && histogram_validate(p->h, NULL)) {
        (void)!histogram_reduce(a, p->h, HISTOGRAM_SCHEMA_MIN);
    }
    arena_reset(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = ARENA_INIT((size_t)1 << 28);
    VEC(char *) texts = {0};
    if (size == 0) {
        return 0;
    }
    ExpoParser p = open_page(data, size);
    while (expo_next(&p) > 0) {
        look_closer(&p, &a);
        char *copy = mem_alloc(p.text.n + 1);
        memcpy(copy, p.text.p, p.text.n);
        copy[p.text.n] = '\0';
        vec_push(&texts, copy);
    }
    expo_deinit(&p);
    p = open_page(data, size);
    for (size_t i = 0; i < texts.n; i++) {
        if (expo_next(&p) <= 0 || memcmp(p.text.p, texts.v[i], p.text.n) != 0) {
            abort();
        }
        mem_free(texts.v[i]);
    }
    expo_deinit(&p);
    vec_free(&texts);
    arena_deinit(&a);
    return 0;
}
