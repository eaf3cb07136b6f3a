/* Matchers to series, by set operations on postings. */
#include "tsdb/index/postings_select.h"

#include <stdlib.h>

#include "base/err.h"

#define ANY STR(".*")

typedef struct Scan {
    PostingsSource *source;
    const Matcher *m;
    const atomic_bool *cancel;
    bool want; /* take the values for which the matcher says this */
    Ids *ret;
} Scan;

static int scan_value(void *arg, Str value, uint64_t token) {
    Scan *s = arg;
    if (s->cancel && atomic_load_explicit(s->cancel, memory_order_relaxed)) {
        return -ECANCELED;
    }
    return matcher_matches(s->m, value) == s->want ? s->source->ops->list(s->source, token, s->ret)
                                                   : 0;
}

/* Goes through the label's values; those outside a known prefix of the regex need not be seen. */
static int scan_values(Scan *s) {
    bool positive = s->m->type == MATCH_RE || s->m->type == MATCH_NRE;
    bool accepted = (s->m->type == MATCH_RE) == s->want;
    Str prefix = positive && accepted ? regex_prefix(s->m->re) : STR_NULL;
    return s->source->ops->values(s->source, s->m->name, prefix, scan_value, s);
}

/* The values on which the matcher turns, when they can be listed: those it accepts (EQ, RE) or
 * those it refuses (NE, NRE). */
static size_t listed_values(const Matcher *m, const Str **ret) {
    if (m->type == MATCH_EQ || m->type == MATCH_NE) {
        *ret = &m->value;
        return 1;
    }
    return regex_set(m->re, ret);
}

/*
 * The series whose label has a value (not empty) that the matcher accepts (want) or refuses
 * (!want).
 */
static int collect(PostingsSource *s, const Matcher *m, bool want, const atomic_bool *cancel,
                   Ids *ret) {
    const Str *list;
    size_t n = listed_values(m, &list);
    bool lists_accepted = m->type == MATCH_EQ || m->type == MATCH_RE;
    int r = 0;
    if (n > 0 && lists_accepted == want) {
        for (size_t i = 0; i < n && r == 0; i++) {
            r = list[i].n ? s->ops->pair(s, m->name, list[i], ret) : 0;
        }
    } else {
        r = scan_values(&(Scan){s, m, cancel, want, ret});
    }
    if (r == 0) {
        ids_sort_unique(ret, s->limit);
    }
    return r;
}

typedef struct Selection {
    Ids *in; /* one a matcher that must be met by a value */
    size_t n_in;
    Ids out; /* series that some other matcher refuses */
    bool none;
} Selection;

static int gather(PostingsSource *s, const Matcher *m, size_t n, const atomic_bool *cancel,
                  Selection *sel) {
    for (size_t i = 0; i < n; i++) {
        bool is_regex = m[i].type == MATCH_RE || m[i].type == MATCH_NRE;
        if (is_regex && str_eq(m[i].value, ANY)) {
            if (m[i].type == MATCH_NRE) {
                sel->none = true;
                return 0;
            }
            continue;
        }
        bool accepts_missing = matcher_matches(&m[i], STR(""));
        Ids *to = accepts_missing ? &sel->out : &sel->in[sel->n_in++];
        int r = collect(s, &m[i], !accepts_missing, cancel, to);
        if (r < 0) {
            return r;
        }
        if (!accepts_missing && to->n == 0) {
            sel->none = true;
            return 0;
        }
    }
    return 0;
}

static int by_length(const void *a, const void *b) {
    size_t x = ((const Ids *)a)->n, y = ((const Ids *)b)->n;
    return (x > y) - (x < y);
}

static int combine(PostingsSource *s, Selection *sel, Ids *ret) {
    if (sel->none) {
        return 0;
    }
    if (sel->n_in == 0) {
        int r = s->ops->all(s, ret);
        if (r < 0) {
            return r;
        }
    } else {
        qsort(sel->in, sel->n_in, sizeof(*sel->in), by_length);
        *ret = sel->in[0];
        sel->in[0] = (Ids){0};
        for (size_t i = 1; i < sel->n_in; i++) {
            ids_intersect(ret, sel->in[i].v, sel->in[i].n);
        }
    }
    ids_subtract(ret, sel->out.v, sel->out.n);
    return 0;
}

int postings_select(PostingsSource *s, const Matcher *m, size_t n, const atomic_bool *cancel,
                    Ids *ret) {
    Selection sel = {.in = NEW_ARRAY(Ids, n ? n : 1)};
    int r = gather(s, m, n, cancel, &sel);
    if (r == 0) {
        ids_sort_unique(&sel.out, s->limit);
        vec_free(ret);
        r = combine(s, &sel, ret);
    }
    for (size_t i = 0; i < sel.n_in; i++) {
        vec_free(&sel.in[i]);
    }
    vec_free(&sel.out);
    mem_free(sel.in);
    return r;
}
