/* A query whose answer is a range vector: the samples themselves, of a selector or a subquery. */
#include "promql/engine/profile.h"
#include "promql/engine/range_window.h"
#include "promql/engine/samples.h"

typedef struct Matrix {
    Sink sink; /* columns of a subquery */
    Eval *ev;
    Scope *result; /* where the answer goes */
    Scope per_series;
    SampleBuf buf;
    const Grid *grid; /* of the subquery */
    int64_t from, to;
    bool anchored, smoothed;
    VEC(PromqlSeries) list;
    NodeProfile *profile, *outer; /* of the selector or subquery, of who asked */
} Matrix;

/* The samples with the edges put in: what an anchored or smoothed range selector shows. */
static int extend(Matrix *m) {
    SampleBuf *b = &m->buf;
    ExtendedWindow w;
    if (b->ht.n)
        return eval_fail(m->ev, PROMQL_EXECUTION, "%s modifier is not supported with histograms",
                         m->anchored ? "anchored" : "smoothed");
    if (!b->t.n ||
        !extended_window(&w, b->t.v, b->v.v, b->t.n, m->from, m->to, m->smoothed, false)) {
        samples_clear(b);
        return 0;
    }
    size_t n = w.inner_hi > w.inner_lo ? w.inner_hi - w.inner_lo : 0;
    vec_reserve(&b->t, n + 2);
    vec_reserve(&b->v, n + 2);
    memmove(b->t.v + 1, b->t.v + w.inner_lo, n * sizeof(*b->t.v));
    memmove(b->v.v + 1, b->v.v + w.inner_lo, n * sizeof(*b->v.v));
    b->t.v[0] = m->from;
    b->v.v[0] = w.left;
    b->t.v[n + 1] = m->to;
    b->v.v[n + 1] = w.right;
    b->t.n = b->v.n = n + 2;
    return samples_charge(b);
}

static int copy_samples(Scope *s, const SampleBuf *b, PromqlSeries *ret) {
    int64_t *t = SCOPE_ARRAY(s, int64_t, b->t.n + 1), *ht = SCOPE_ARRAY(s, int64_t, b->ht.n + 1);
    double *v = SCOPE_ARRAY(s, double, b->t.n + 1);
    const FloatHistogram **h = SCOPE_ARRAY(s, const FloatHistogram *, b->ht.n + 1);
    if (!t || !ht || !v || !h)
        return -EINVAL;
    if (b->t.n) {
        memcpy(t, b->t.v, b->t.n * sizeof(*t));
        memcpy(v, b->v.v, b->t.n * sizeof(*v));
    }
    for (size_t i = 0; i < b->ht.n; i++) {
        ht[i] = b->ht.v[i];
        if (!(h[i] = scope_histogram(s, b->h.v[i])))
            return -EINVAL;
    }
    ret->n_floats = b->t.n;
    ret->float_t = t;
    ret->floats = v;
    ret->n_histograms = b->ht.n;
    ret->histogram_t = ht;
    ret->histograms = h;
    return 0;
}

static int add_series(Matrix *m, Labels labels) {
    PromqlSeries s = {.labels = labels};
    if ((m->anchored || m->smoothed) && extend(m) < 0)
        return -EINVAL;
    if (!m->buf.t.n && !m->buf.ht.n)
        return 0;
    if (copy_samples(m->result, &m->buf, &s) < 0)
        return -EINVAL;
    uint64_t n = s.n_floats;
    for (size_t i = 0; i < s.n_histograms; i++)
        n += histogram_weight(s.histograms[i]);
    if (!m->grid) { /* a subquery's samples were counted as it read them */
        stats_add(m->ev, 0, n);
        m->ev->stats->read += n;
        if (m->profile)
            m->profile->samples += n;
    }
    if (m->profile)
        m->profile->series++;
    vec_push(&m->list, s);
    return eval_samples_add(m->ev, n);
}

static int of_selector(Matrix *m, const Node *n) {
    Selection *sel;
    const Node *v = n->matrix.vector;
    const TimeShift *s = &v->vector.shift;
    m->anchored = v->vector.anchored;
    m->smoothed = v->vector.smoothed;
    m->to = (s->at == AT_TIME ? s->at_ms : m->ev->grid.start) - s->offset_ms;
    m->from = m->to - n->matrix.range_ms;
    int64_t before = m->anchored || m->smoothed ? m->ev->lookback_ms : 0;
    int64_t behind = m->smoothed ? m->ev->lookback_ms : 0;
    int r = selection_of(m->ev, v, &sel);
    SampleIter *it = NULL;
    for (size_t k = 0; r == 0 && k < sel->n; k++) {
        scope_reset(&m->per_series);
        samples_clear(&m->buf);
        it = series_set_iter(sel->set, &sel->series[k], it);
        r = samples_read(&m->buf, it, m->from - before, m->to + behind);
        if (r == 0)
            r = add_series(m, sel->series[k].labels);
        if (r == 0)
            r = eval_check(m->ev);
    }
    sample_iter_free(it);
    return r;
}

static int matrix_push(Sink *sink, Column *c) {
    Matrix *m = (Matrix *)sink;
    scope_reset(&m->per_series);
    samples_clear(&m->buf);
    Labels labels = c->labels;
    if (samples_add_column(&m->buf, m->grid, c) < 0 ||
        (c->drop_name && labels_drop_metadata(&m->ev->scope, labels, &labels) < 0))
        return -EINVAL;
    return add_series(m, labels);
}

static int of_subquery(Matrix *m, const Node *n) {
    Grid child;
    if (subquery_grid(m->ev, n, &m->ev->grid, &child) < 0)
        return -EINVAL;
    if (!child.n)
        return 0;
    m->grid = &child;
    StatsFrame inner = {0}, *outer = m->ev->stats;
    m->ev->stats = &inner;
    int r = eval_vector_whole(m->ev, n->subquery.expr, &child, &m->sink);
    m->ev->stats = outer;
    stats_add(m->ev, 0, inner.total);
    m->ev->stats->read += inner.read;
    return r;
}

int eval_matrix(Eval *ev, const Node *n, Scope *s, PromqlSeries **ret, size_t *ret_n) {
    Matrix m = {.sink = {matrix_push}, .ev = ev, .result = s};
    const Node *arg = node_unwrap(n);
    scope_init(&m.per_series, ev);
    samples_init(&m.buf, ev, &m.per_series);
    m.profile = profile_of(ev, arg);
    m.outer = profile_enter(ev, arg);
    int r = arg->kind == NODE_SUBQUERY ? of_subquery(&m, arg) : of_selector(&m, arg);
    profile_leave(ev, m.outer);
    *ret = SCOPE_ARRAY(s, PromqlSeries, m.list.n + 1);
    if (*ret && m.list.n)
        memcpy(*ret, m.list.v, m.list.n * sizeof(**ret));
    *ret_n = m.list.n;
    vec_free(&m.list);
    samples_deinit(&m.buf);
    scope_deinit(&m.per_series);
    return r == 0 && !*ret ? -EINVAL : r;
}
