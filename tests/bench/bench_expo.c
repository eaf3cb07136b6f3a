/*
 * How fast is a page read? The page is made here: 1,256 series in 290 families with the lengths,
 * label counts and kinds of numbers that a node exporter's page has. Three readings: every line in
 * full with its labels, every line in full, and by comparing with the page before whose values
 * differed.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "base/vec.h"
#include "model/expo.h"

#define SERIES 1256
#define FAMILIES 290
#define ROUNDS 2000

typedef VEC(ExpoExpected) Expectations;

static void write_value(Buf *b, unsigned family, unsigned series, unsigned version) {
    unsigned long long n = (series * 2654435761u) % 100000u + version * 17u;
    switch (family % 5) {
    case 0: buf_addf(b, "%llu", n % 3); break;
    case 1: buf_addf(b, "%llu", n * 7919); break;
    case 2: buf_addf(b, "%llu.%02llu", n, n % 97); break;
    case 3: buf_addf(b, "%llu.%06llue+09", n % 9 + 1, (n * 131) % 1000000); break;
    default: buf_addf(b, "0.%09llu", n * 4093 % 1000000000); break;
    }
}

static void write_page(Buf *b, unsigned version) {
    unsigned series = 0;
    for (unsigned family = 0; family < FAMILIES; family++) {
        buf_addf(
            b,
            "# HELP node_subsystem%u_things_total Number of things of kind %u seen since boot.\n"
            "# TYPE node_subsystem%u_things_total counter\n",
            family, family, family);
        unsigned n = (family + 1) * SERIES / FAMILIES - series;
        for (unsigned i = 0; i < n; i++, series++) {
            buf_addf(b, "node_subsystem%u_things_total", family);
            if (n > 1) {
                buf_addf(b, "{device=\"dev%u\",mode=\"%s\"}", i, i % 2 ? "idle" : "iowait");
            }
            buf_add_char(b, ' ');
            write_value(b, family, series, version);
            buf_add_char(b, '\n');
        }
    }
}

static double read_full(Str page, Arena *labels) {
    ExpoParser p;
    double sum = 0;
    int r;
    expo_init(&p, EXPO_TEXT, page);
    while ((r = expo_next(&p)) > 0) {
        if (r != EXPO_SAMPLE) {
            continue;
        }
        sum += p.value;
        Label *v;
        size_t n;
        if (labels && expo_series_labels(EXPO_TEXT, p.type, p.series, labels, &v, &n)) {
            sum += (double)n;
        }
    }
    return sum;
}

static double read_expected(Str page, const Expectations *all) {
    ExpoParser p;
    double sum = 0;
    bool hit;
    size_t i = 0;
    expo_init(&p, EXPO_TEXT, page);
    while (i < all->n && expo_next_expect(&p, &all->v[i], &hit) == EXPO_SAMPLE && hit) {
        sum += p.value;
        i++;
    }
    if (i != all->n) {
        printf("missed at sample %zu\n", i);
    }
    return sum;
}

static void learn(Str page, Expectations *all) {
    ExpoParser p;
    int r;
    expo_init(&p, EXPO_TEXT, page);
    while ((r = expo_next(&p)) > 0) {
        if (r == EXPO_SAMPLE) {
            vec_push(all,
                     (ExpoExpected){p.text, (uint32_t)(p.series.p - p.text.p), p.type, p.typed});
        }
    }
}

static void report(const char *what, int64_t ns, size_t bytes, double sum) {
    printf("%-28s %6.2f GB/s  %6.1f ns a sample  (sum %g)\n", what,
           (double)bytes * ROUNDS / (double)ns, (double)ns / ROUNDS / SERIES, sum);
}

int main(void) {
    CLEANUP(buf_deinit) Buf one = BUF_INIT(0), two = BUF_INIT(0);
    CLEANUP(arena_deinit) Arena labels = ARENA_INIT(0);
    Expectations all = {0};
    double sum = 0;
    write_page(&one, 1);
    write_page(&two, 2);
    learn(buf_str(&one), &all);
    printf("page of %zu bytes, %zu samples\n", two.n, all.n);

    int64_t start = clock_mono_ns();
    for (int i = 0; i < ROUNDS; i++) {
        arena_reset(&labels);
        sum += read_full(buf_str(&two), &labels);
    }
    report("in full, with labels", clock_mono_ns() - start, two.n, sum);

    start = clock_mono_ns();
    for (int i = 0; i < ROUNDS; i++) {
        sum += read_full(buf_str(&two), NULL);
    }
    report("in full", clock_mono_ns() - start, two.n, sum);

    start = clock_mono_ns();
    for (int i = 0; i < ROUNDS; i++) {
        sum += read_expected(buf_str(&two), &all);
    }
    report("against the page before", clock_mono_ns() - start, two.n, sum);
    vec_free(&all);
    return 0;
}
