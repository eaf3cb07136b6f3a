#include "nartool/rule_test_text.h"

#include <math.h>
#include <stdlib.h>

#include "base/numtext.h"
#include "promql/testscript/histogram_desc.h"

/* ---- alerts */

void alert_list_add(AlertList *l, Arena *a, Labels labels, Labels annotations) {
    vec_push(&l->list, (ListedAlert){.labels = labels_copy(a, labels),
                                     .annotations = labels_copy(a, annotations)});
}

void alert_list_deinit(AlertList *l) { vec_free(&l->list); }

static int alert_cmp(const void *a, const void *b) {
    const ListedAlert *x = a, *y = b;
    int r = labels_cmp(x->labels, y->labels);
    return r ? r : labels_cmp(x->annotations, y->annotations);
}

void alert_list_sort(AlertList *l) {
    if (l->list.n) {
        qsort(l->list.v, l->list.n, sizeof(ListedAlert), alert_cmp);
    }
}

bool alert_list_eq(const AlertList *a, const AlertList *b) {
    bool same = a->list.n == b->list.n;
    for (size_t i = 0; same && i < a->list.n; i++) {
        same = alert_cmp(&a->list.v[i], &b->list.v[i]) == 0;
    }
    return same;
}

void alert_list_print(const AlertList *l, Buf *b) {
    if (!l->list.n) {
        buf_add_cstr(b, "[]");
        return;
    }
    buf_add_cstr(b, "[");
    for (size_t i = 0; i < l->list.n; i++) {
        buf_addf(b, "%s\n            %zu:\n              Labels:", i ? "," : "", i);
        labels_format(l->list.v[i].labels, b);
        buf_add_cstr(b, "\n              Annotations:");
        labels_format(l->list.v[i].annotations, b);
    }
    buf_add_cstr(b, "\n            ]");
}

static void print_pairs(const char *mark, const char *what, Labels l, Labels other, Buf *b) {
    for (size_t i = 0; i < l.n; i++) {
        bool same = str_eq(labels_get(other, l.v[i].name), l.v[i].value);
        buf_addf(b, "        %s   %s %.*s=", same ? " " : mark, what, SA(l.v[i].name));
        json_quote(b, l.v[i].value);
        buf_add_char(b, '\n');
    }
}

static void print_side(const char *mark, const ListedAlert *a, const ListedAlert *other, Buf *b) {
    print_pairs(mark, "label", a->labels, other->labels, b);
    print_pairs(mark, "annotation", a->annotations, other->annotations, b);
}

void alert_list_print_diff(const AlertList *want, const AlertList *got, Buf *b) {
    static const ListedAlert none;
    for (size_t i = 0; i < MAX(want->list.n, got->list.n); i++) {
        const ListedAlert *w = i < want->list.n ? &want->list.v[i] : NULL;
        const ListedAlert *g = i < got->list.n ? &got->list.v[i] : NULL;
        if (w && g && alert_cmp(w, g) == 0) {
            continue;
        }
        buf_addf(b, "        alert %zu: %s\n", i,
                 !g   ? "expected, did not fire"
                 : !w ? "fired, not expected"
                      : "differs");
        if (w) {
            print_side("-", w, g ? g : &none, b);
        }
        if (g) {
            print_side("+", g, w ? w : &none, b);
        }
    }
}

/* ---- samples */

void sample_list_add(SampleList *l, Labels labels, double value, const FloatHistogram *h) {
    vec_push(&l->list, (ListedSample){labels, value, h});
}

void sample_list_deinit(SampleList *l) { vec_free(&l->list); }

static int sample_cmp(const void *a, const void *b) {
    return labels_cmp(((const ListedSample *)a)->labels, ((const ListedSample *)b)->labels);
}

void sample_list_sort(SampleList *l) {
    if (l->list.n) {
        qsort(l->list.v, l->list.n, sizeof(ListedSample), sample_cmp);
    }
}

static bool value_eq(double a, double b, bool fuzzy) {
    return a == b || (isnan(a) && isnan(b)) ||
           (fuzzy && (nextafter(a, -INFINITY) == b || nextafter(a, INFINITY) == b));
}

static bool histogram_eq(const FloatHistogram *a, const FloatHistogram *b) {
    CLEANUP(buf_deinit) Buf x = BUF_INIT(0);
    CLEANUP(buf_deinit) Buf y = BUF_INIT(0);
    histogram_desc_print(a, &x);
    histogram_desc_print(b, &y);
    return str_eq(buf_str(&x), buf_str(&y));
}

static bool sample_eq(const ListedSample *a, const ListedSample *b, bool fuzzy) {
    if (!labels_eq(a->labels, b->labels) || !a->histogram != !b->histogram) {
        return false;
    }
    return a->histogram ? histogram_eq(a->histogram, b->histogram)
                        : value_eq(a->value, b->value, fuzzy);
}

bool sample_list_eq(const SampleList *a, const SampleList *b, bool fuzzy) {
    bool same = a->list.n == b->list.n;
    for (size_t i = 0; same && i < a->list.n; i++) {
        same = sample_eq(&a->list.v[i], &b->list.v[i], fuzzy);
    }
    return same;
}

static void print_sample(const ListedSample *s, Buf *b) {
    labels_format(s->labels, b);
    buf_add_char(b, ' ');
    if (s->histogram) {
        histogram_desc_print(s->histogram, b);
        return;
    }
    size_t at = b->n;
    number_format_e(b, s->value);
    for (size_t i = at; i < b->n && isfinite(s->value); i++) {
        b->p[i] = b->p[i] == 'e' ? 'E' : b->p[i];
    }
}

void sample_list_print(const SampleList *l, Buf *b) {
    if (!l->list.n) {
        buf_add_cstr(b, "nil");
    }
    for (size_t i = 0; i < l->list.n; i++) {
        buf_add_cstr(b, i ? ", " : "");
        print_sample(&l->list.v[i], b);
    }
}

void sample_list_print_lines(const SampleList *l, Buf *b) {
    for (size_t i = 0; i < l->list.n; i++) {
        print_sample(&l->list.v[i], b);
        buf_add_char(b, '\n');
    }
}
