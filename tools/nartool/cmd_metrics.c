/* check metrics: a page of standard input, its advice and its cardinality. */
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "model/expo.h"
#include "nartool/metric_lint.h"
#include "nartool/nartool.h"
#include "nartool/standard_input.h"

typedef struct Page {
    Arena arena;
    StrMap by_name;
    VEC(MetricFamily *) families;
    size_t samples;
} Page;

static MetricFamily *family_of(Page *p, Str name) {
    bool new;
    void **at = str_map_put(&p->by_name, name, &new);
    if (new) {
        MetricFamily *f = NEW(MetricFamily);
        f->name = name;
        *at = f;
        vec_push(&p->families, f);
    }
    return *at;
}

/* Samples of a histogram or summary belong to what was declared, without their ending. */
static MetricFamily *family_of_sample(Page *p, Str name) {
    static const char *const endings[] = {"_bucket", "_count", "_sum"};
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        Str ending = str_of(endings[i]);
        MetricFamily *f = str_ends(name, ending)
                              ? str_map_get(&p->by_name, str_upto(name, name.n - ending.n))
                              : NULL;
        if (f && (f->type == METRIC_HISTOGRAM || (f->type == METRIC_SUMMARY && i > 0))) {
            return f;
        }
    }
    return family_of(p, name);
}

/* The name stays among the labels of a histogram's series: they are told apart by it. */
static bool add_sample(Page *p, const ExpoParser *x) {
    Label *pairs;
    size_t n;
    Labels labels;
    Str duplicate;
    if (!expo_series_labels(x->format, x->type, x->series, &p->arena, &pairs, &n) ||
        !labels_from_pairs(pairs, n, &labels, &duplicate)) {
        return false;
    }
    MetricFamily *f = family_of_sample(p, labels_get(labels, LABEL_NAME));
    vec_push(&f->metrics, labels);
    p->samples++;
    return true;
}

static int read_page(Page *p, Str text) {
    ExpoParser x;
    expo_init(&x, EXPO_TEXT, text);
    int entry;
    while ((entry = expo_next(&x)) > EXPO_END) {
        if (entry == EXPO_TYPE) {
            MetricFamily *f = family_of(p, x.family);
            f->type = x.type;
            f->typed = x.type != METRIC_UNKNOWN;
        } else if (entry == EXPO_HELP) {
            family_of(p, x.family)->has_help = x.help.n > 0;
        } else if (entry == EXPO_SAMPLE && !add_sample(p, &x)) {
            return fail("error while linting: line %d: labels", x.problem.line);
        }
    }
    if (entry < 0) {
        fprintf(stderr, "error while linting: text format parsing error in line %d: %s\n",
                x.problem.line, x.problem.text);
        return EXIT_FAILED;
    }
    return EXIT_OK;
}

static int lint(Page *p) {
    MetricAdvice advice = {0};
    for (size_t i = 0; i < p->families.n; i++) {
        if (p->families.v[i]->metrics.n) {
            metric_lint(p->families.v[i], &p->arena, &advice);
        }
    }
    size_t n = advice.n;
    if (n) {
        qsort(advice.v, n, sizeof(*advice.v), str_qsort_cmp);
    }
    for (size_t i = 0; i < n; i++) {
        fprintf(stderr, "%.*s\n", SA(advice.v[i]));
    }
    vec_free(&advice);
    return n ? EXIT_LINT : EXIT_OK;
}

/* ---- --extended */

static int by_size(const void *a, const void *b) {
    const MetricFamily *x = *(MetricFamily *const *)a, *y = *(MetricFamily *const *)b;
    int r = (x->metrics.n < y->metrics.n) - (x->metrics.n > y->metrics.n);
    return r ? r : str_cmp(x->name, y->name);
}

/* As wide as promtool's columns: four blanks between. */
static void print_cardinalities(Page *p) {
    size_t width = sizeof("Metric") - 1;
    for (size_t i = 0; i < p->families.n; i++) {
        width = MAX(width, p->families.v[i]->name.n);
    }
    if (p->families.n) {
        qsort(p->families.v, p->families.n, sizeof(*p->families.v), by_size);
    }
    printf("%-*s    Cardinality    Percentage    \n", (int)width, "Metric");
    for (size_t i = 0; i < p->families.n; i++) {
        const MetricFamily *f = p->families.v[i];
        char percent[32];
        snprintf(percent, sizeof(percent), "%.2f%%",
                 100.0 * (double)f->metrics.n / (double)MAX(p->samples, 1u));
        printf("%.*s%*s    %-11zu    %-10s    \n", SA(f->name), (int)(width - f->name.n), "",
               f->metrics.n, percent);
    }
    printf("%-*s    %-11zu    %-10s    \n", (int)width, "Total", p->samples, "100%");
}

int cmd_check_metrics(Args *a) {
    bool extended = args_switch(a, "--extended");
    bool quiet = str_eqc(args_flag(a, "--lint"), "none");
    CLEANUP(buf_deinit) Buf text = {0};
    Page p = {.arena = ARENA_INIT(0)};
    int code = read_standard_input(&text);
    if (!code) {
        code = read_page(&p, buf_str(&text));
    }
    if (!code && !quiet) {
        code = lint(&p);
    }
    if (!code && extended) {
        print_cardinalities(&p);
    }
    for (size_t i = 0; i < p.families.n; i++) {
        vec_free(&p.families.v[i]->metrics);
        mem_free(p.families.v[i]);
    }
    vec_free(&p.families);
    str_map_deinit(&p.by_name);
    arena_deinit(&p.arena);
    return code;
}
