#include "promql/engine/samples.h"

#include "promql/engine/native.h"

void samples_init(SampleBuf *b, Eval *ev, Scope *scope) {
    *b = (SampleBuf){.ev = ev, .scope = scope};
}

void samples_deinit(SampleBuf *b) {
    budget_count(b->ev->bytes, b->bytes_held, 0);
    vec_free(&b->t);
    vec_free(&b->v);
    vec_free(&b->ht);
    vec_free(&b->h);
    vec_free(&b->st);
    vec_free(&b->hst);
}

/* The arrays are the heap's, so what they hold is counted here. */
int samples_charge(SampleBuf *b) {
    uint64_t now =
        8 * ((uint64_t)b->t.cap + b->v.cap + b->ht.cap + b->h.cap + b->st.cap + b->hst.cap);
    if (now == b->bytes_held)
        return 0;
    Budget *bytes = b->ev->bytes;
    budget_count(bytes, b->bytes_held, now);
    b->bytes_held = now;
    if (budget_used(bytes) <= bytes->max)
        return 0;
    return scope_alloc(b->scope, 1, bytes->max) ? 0 : -EINVAL; /* says what is exceeded */
}

static size_t first_after(const int64_t *t, size_t n, int64_t x) {
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (t[mid] <= x)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void pad(TimeVec *v, size_t n) {
    while (v->n < n)
        vec_push(v, 0);
}

/* Start times of the samples of the run that are kept: they are numbers `before` and on. */
static void add_starts(TimeVec *v, const SampleRun *r, size_t from, size_t to, size_t before) {
    if (!r->st)
        return;
    pad(v, before);
    for (size_t i = from; i < to; i++) {
        bool stale = r->kind == SAMPLE_FLOAT
                         ? is_stale_nan(r->f[i])
                         : is_stale_nan(r->kind == SAMPLE_HISTOGRAM ? r->h[i]->sum : r->fh[i]->sum);
        if (!stale)
            vec_push(v, r->st[i]);
    }
}

/* Stale markers are NaN: mostly there is none, and two numbers are compared with themselves at
 * once. */
static bool any_nan(const double *v, size_t n) {
    typedef double Pair __attribute__((vector_size(16)));
    typedef int64_t Mask __attribute__((vector_size(16)));
    Mask a = {0}, b = {0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        Pair x, y;
        memcpy(&x, v + i, sizeof(x));
        memcpy(&y, v + i + 2, sizeof(y));
        a |= x != x;
        b |= y != y;
    }
    a |= b;
    bool any = (a[0] | a[1]) != 0;
    for (; i < n; i++)
        any |= isnan(v[i]);
    return any;
}

static void add_floats(SampleBuf *b, const SampleRun *r, size_t from, size_t to) {
    size_t n = to - from, k = b->t.n;
    vec_reserve(&b->t, k + n);
    vec_reserve(&b->v, k + n);
    if (!any_nan(r->f + from, n)) {
        memcpy(b->t.v + k, r->t + from, n * sizeof(*r->t));
        memcpy(b->v.v + k, r->f + from, n * sizeof(*r->f));
        k += n;
    } else {
        for (size_t i = from; i < to; i++) {
            if (is_stale_nan(r->f[i]))
                continue;
            b->t.v[k] = r->t[i];
            b->v.v[k++] = r->f[i];
        }
    }
    b->t.n = b->v.n = k;
}

static int add_histograms(SampleBuf *b, const SampleRun *r, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        bool fh = r->kind == SAMPLE_FLOAT_HISTOGRAM;
        if (is_stale_nan(fh ? r->fh[i]->sum : r->h[i]->sum))
            continue;
        FloatHistogram *h =
            fh ? scope_histogram(b->scope, r->fh[i]) : scope_histogram_float(b->scope, r->h[i]);
        if (!h)
            return -EINVAL;
        if (b->detect_resets && b->h.n && native_find_reset(b->scope, b->h.v[b->h.n - 1], h) < 0)
            return -EINVAL;
        vec_push(&b->ht, r->t[i]);
        vec_push(&b->h, h);
    }
    return 0;
}

void samples_clear(SampleBuf *b) { b->t.n = b->v.n = b->ht.n = b->h.n = b->st.n = b->hst.n = 0; }

int samples_read(SampleBuf *b, SampleIter *it, int64_t after, int64_t upto) {
    SampleRun r;
    int e;
    sample_iter_seek(it, after + 1);
    while ((e = sample_iter_next(it, &r)) > 0) {
        size_t from = r.t[0] > after ? 0 : first_after(r.t, r.n, after);
        size_t to = r.t[r.n - 1] <= upto ? r.n : first_after(r.t, r.n, upto);
        if (from < to) {
            if (b->keep_starts && r.kind == SAMPLE_FLOAT)
                add_starts(&b->st, &r, from, to, b->t.n);
            else if (b->keep_starts)
                add_starts(&b->hst, &r, from, to, b->ht.n);
            if (r.kind == SAMPLE_FLOAT)
                add_floats(b, &r, from, to);
            else if (add_histograms(b, &r, from, to) < 0)
                return -EINVAL;
            if (samples_charge(b) < 0)
                return -EINVAL;
        }
        if (to < r.n)
            break;
    }
    if (e < 0)
        return eval_fail(b->ev, e == -ECANCELED ? PROMQL_CANCELED : PROMQL_INTERNAL,
                         "expanding series: %s", strerror(-e));
    if (b->st.n)
        pad(&b->st, b->t.n);
    if (b->hst.n)
        pad(&b->hst, b->ht.n);
    return 0;
}

int samples_add_column(SampleBuf *b, const Grid *g, const Column *c) {
    for (size_t i = 0; i < c->n; i++) {
        int64_t t = grid_time(g, i);
        if (c->kind[i] == CELL_FLOAT) {
            vec_push(&b->t, t);
            vec_push(&b->v, c->v[i]);
        } else if (c->kind[i] == CELL_HISTOGRAM) {
            FloatHistogram *h = scope_histogram(b->scope, c->h[i]);
            if (!h)
                return -EINVAL;
            if (h->reset_hint != RESET_GAUGE)
                h->reset_hint = RESET_UNKNOWN;
            vec_push(&b->ht, t);
            vec_push(&b->h, h);
        }
    }
    return samples_charge(b);
}
