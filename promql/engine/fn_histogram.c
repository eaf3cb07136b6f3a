/*
 * Classic histograms: columns that differ only in le are the buckets of one. Bounds are parsed and
 * sorted once; each step then takes the counts that are there.
 */
#include "promql/engine/call.h"
#include "promql/engine/fn_native.h"

/* Relative differences between buckets that are rounding, not data. */
#define SMALL_DELTA 1e-12

typedef struct Bucket {
    double bound;
    size_t at; /* in order of arrival */
    Column *column;
} Bucket;

typedef struct Classic {
    Labels labels; /* without le, with the name */
    bool drop_name;
    VEC(Bucket) buckets;
} Classic;

typedef struct Filled {
    double bound, count;
} Filled;

typedef struct Classics {
    Sink sink;
    Eval *ev;
    const Node *arg;
    Scope scope;
    StrMap map;
    Buf key;
    VEC(Classic *) list;
    VEC(Column *) natives; /* columns with native histograms */
    Scope per_step;
    Filled *work;
    DupCheck dup;
    bool check_dup;
} Classics;

static Str name_for_text(Classics *k, Labels l) {
    return k->ev->o->delayed_name_removal ? labels_metric_name(l) : STR_NULL;
}

static void add_name(Buf *b, Str name) {
    if (!name.n)
        return;
    buf_add_cstr(b, " for metric name ");
    buf_add_quoted(b, name);
}

static void annotate_bad_bucket(Classics *k, Labels l) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_add_cstr(&b, "bucket label \"le\" is missing or has a malformed value of ");
    buf_add_quoted(&b, labels_get(l, LABEL_BUCKET));
    add_name(&b, name_for_text(k, l));
    annotate(k->ev, ANNOTATION_WARNING, k->arg, "%.*s", SA(buf_str(&b)));
}

static Classic *classic_of(Classics *k, const Column *c) {
    Labels l;
    if (labels_with(&k->ev->scope, c->labels, LABEL_BUCKET, STR_NULL, &l) < 0)
        return NULL;
    buf_reset(&k->key);
    labels_key_all(&k->key, l);
    Str key = buf_str(&k->key);
    if (!key.p)
        key = STR("");
    Classic *h = str_map_get(&k->map, key);
    if (h)
        return h;
    key = scope_str(&k->scope, key);
    h = key.p ? SCOPE_NEW(&k->scope, Classic) : NULL;
    if (!h)
        return NULL;
    h->labels = l;
    bool is_new;
    *str_map_put(&k->map, key, &is_new) = h;
    vec_push(&k->list, h);
    return h;
}

static int classics_push(Sink *s, Column *c) {
    Classics *k = (Classics *)s;
    if (c->h) {
        Column *copy = column_copy(&k->scope, c);
        if (!copy)
            return -EINVAL;
        vec_push(&k->natives, copy);
        column_drop_histograms(c);
        if (!column_count(c))
            return 0;
    }
    double bound;
    Str le = labels_get(c->labels, LABEL_BUCKET);
    if (!number_parse_go(le, &bound)) {
        annotate_bad_bucket(k, c->labels);
        return 0;
    }
    Classic *h = classic_of(k, c);
    Column *copy = h ? column_copy(&k->scope, c) : NULL;
    if (!copy)
        return -EINVAL;
    h->drop_name |= c->drop_name;
    vec_push(&h->buckets, (Bucket){bound, h->buckets.n, copy});
    return 0;
}

static int bucket_cmp(const void *a, const void *b) {
    const Bucket *x = a, *y = b;
    int r = (x->bound > y->bound) - (x->bound < y->bound);
    return r ? r : (x->at > y->at) - (x->at < y->at);
}

/* The buckets of one step in order, equal bounds added up. */
static size_t fill_step(Classics *k, const Classic *h, size_t step) {
    size_t n = 0;
    for (size_t i = 0; i < h->buckets.n; i++) {
        const Bucket *b = &h->buckets.v[i];
        if (!b->column->kind[step])
            continue;
        double count = b->column->v[step];
        if (n && k->work[n - 1].bound == b->bound)
            k->work[n - 1].count += count;
        else
            k->work[n++] = (Filled){b->bound, count};
    }
    return n;
}

static bool almost_equal(double a, double b, double tolerance) {
    if (isnan(a) && isnan(b))
        return true;
    if (a == b)
        return true;
    double sum = fabs(a) + fabs(b), diff = fabs(a - b);
    if (a == 0 || b == 0 || sum < 0x1p-1022)
        return diff < tolerance * 0x1p-1022;
    return diff / fmin(sum, __DBL_MAX__) < tolerance;
}

static bool make_monotonic(Filled *b, size_t n, MonotonicityFix *fix) {
    bool forced = false;
    double prev = b[0].count;
    *fix = (MonotonicityFix){.bucket_min = INFINITY, .bucket_max = -INFINITY, .count = 1};
    for (size_t i = 1; i < n; i++) {
        double now = b[i].count;
        if (now == prev)
            continue;
        if (almost_equal(prev, now, SMALL_DELTA)) {
            b[i].count = prev;
        } else if (now < prev) {
            b[i].count = prev;
            forced = true;
            fix->bucket_min = MIN(fix->bucket_min, b[i].bound);
            fix->bucket_max = MAX(fix->bucket_max, b[i].bound);
            fix->diff_max = MAX(fix->diff_max, prev - now);
        } else {
            prev = now;
        }
    }
    return forced;
}

static double interpolated(double phi, const Filled *b, size_t n) {
    double observations = b[n - 1].count, rank = phi * observations;
    if (n < 2 || observations == 0)
        return normal_nan();
    size_t lo = 0, hi = n - 1;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (b[mid].count >= rank)
            hi = mid;
        else
            lo = mid + 1;
    }
    if (lo == n - 1)
        return b[n - 2].bound;
    if (lo == 0 && b[0].bound <= 0)
        return b[0].bound;
    double start = 0, count = b[lo].count;
    if (lo > 0) {
        start = b[lo - 1].bound;
        count -= b[lo - 1].count;
        rank -= b[lo - 1].count;
    }
    return start + (b[lo].bound - start) * (rank / count);
}

static double classic_quantile(double phi, Filled *b, size_t n, bool *ret_forced,
                               MonotonicityFix *fix) {
    *ret_forced = false;
    if (isnan(phi))
        return normal_nan();
    if (phi < 0 || phi > 1)
        return phi < 0 ? -INFINITY : INFINITY;
    if (!(isinf(b[n - 1].bound) && b[n - 1].bound > 0))
        return normal_nan();
    *ret_forced = make_monotonic(b, n, fix);
    return interpolated(phi, b, n);
}

static void annotate_fix(Classics *k, const Classic *h, MonotonicityFix *fix, int64_t t) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_add_cstr(&b, "input to histogram_quantile needed to be fixed for monotonicity (see "
                     "https://prometheus.io/docs/prometheus/latest/querying/functions/"
                     "#histogram_quantile)");
    add_name(&b, name_for_text(k, h->labels));
    fix->t_min = fix->t_max = t;
    annotations_add_fix(&k->ev->annotations, k->arg->start, buf_str(&b), fix);
}

/* ---- collecting and giving out */

static void drop_conflict(Classics *k, Column *n, const Classic *h) {
    bool any = false;
    for (size_t i = 0; i < n->n; i++) {
        bool there = false;
        for (size_t q = 0; n->kind[i] == CELL_HISTOGRAM && q < h->buckets.n; q++)
            there |= h->buckets.v[q].column->kind[i] != CELL_NONE;
        if (!there)
            continue;
        any = true;
        n->kind[i] = CELL_NONE;
        for (size_t q = 0; q < h->buckets.n; q++)
            h->buckets.v[q].column->kind[i] = CELL_NONE;
    }
    if (!any)
        return;
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_add_cstr(&b, "vector contains a mix of classic and native histograms");
    add_name(&b, name_for_text(k, n->labels));
    annotate(k->ev, ANNOTATION_WARNING, k->arg, "%.*s", SA(buf_str(&b)));
}

/* A step that has both forms of one histogram gives nothing. */
static void drop_conflicts(Classics *k) {
    for (size_t i = 0; i < k->natives.n; i++) {
        Column *n = k->natives.v[i];
        buf_reset(&k->key);
        labels_key_all(&k->key, n->labels);
        Str key = buf_str(&k->key);
        const Classic *h = str_map_get(&k->map, key.p ? key : STR(""));
        if (h)
            drop_conflict(k, n, h);
    }
}

static void annotate_nan(Classics *k, const char *text, Labels l) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_add_cstr(&b, text);
    add_name(&b, name_for_text(k, l));
    annotate(k->ev, ANNOTATION_INFO, k->arg, "%.*s", SA(buf_str(&b)));
}

/* phi of each step's native histogram. */
static int native_column(Classics *k, const Column *from, const double *phi, Column *to) {
    column_clear(to);
    for (size_t i = 0; i < from->n; i++) {
        Native n;
        size_t count;
        NativeNaN nan;
        if (from->kind[i] != CELL_HISTOGRAM)
            continue;
        scope_reset(&k->per_step);
        NativeBucket *b = native_of(&k->per_step, from->h[i], &n) < 0
                              ? NULL
                              : native_clipped_buckets(&k->per_step, &n, &count);
        if (!b)
            return -EINVAL;
        to->kind[i] = CELL_FLOAT;
        to->v[i] = native_quantile(phi[i], &n, b, count, &nan);
        if (nan == NATIVE_NAN_RESULT)
            annotate_nan(k, "input to histogram_quantile has NaN observations, result is NaN",
                         from->labels);
        else if (nan == NATIVE_NAN_SKEW)
            annotate_nan(
                k, "input to histogram_quantile has NaN observations, result is skewed higher",
                from->labels);
    }
    return 0;
}

static int classics_collect(Classics *k, const Grid *g) {
    k->sink.push = classics_push;
    scope_init(&k->scope, k->ev);
    scope_init(&k->per_step, k->ev);
    dup_check_init(&k->dup, &k->scope);
    k->key = BUF_INIT(0);
    int r = eval_vector(k->ev, k->arg, g, &k->sink);
    k->check_dup = !k->ev->o->delayed_name_removal && !name_is_pinned(k->ev, k->arg);
    size_t most = 0;
    for (size_t i = 0; i < k->list.n; i++) {
        Classic *h = k->list.v[i];
        qsort(h->buckets.v, h->buckets.n, sizeof(*h->buckets.v), bucket_cmp);
        most = MAX(most, h->buckets.n);
    }
    k->work = SCOPE_ARRAY(&k->scope, Filled, most + 1);
    drop_conflicts(k);
    return r == 0 && !k->work ? -EINVAL : r;
}

static void classics_deinit(Classics *k) {
    for (size_t i = 0; i < k->list.n; i++)
        vec_free(&k->list.v[i]->buckets);
    vec_free(&k->list);
    vec_free(&k->natives);
    scope_deinit(&k->per_step);
    str_map_deinit(&k->map);
    buf_deinit(&k->key);
    dup_check_deinit(&k->dup);
    scope_deinit(&k->scope);
}

static int push_result(Classics *k, Column *c, Labels labels, Str label, Str value, Sink *out) {
    if (!column_count(c))
        return 0;
    c->labels = labels;
    c->h = NULL;
    c->drop_name = false;
    if (column_drop_name(k->ev, c) < 0 ||
        (label.n && labels_with(&k->ev->scope, c->labels, label, value, &c->labels) < 0))
        return -EINVAL;
    if (k->check_dup && dup_check_add(&k->dup, c, 0, false, SAME_LABELSET) < 0)
        return -EINVAL;
    return out->push(out, c);
}

static int push_quantile(Classics *k, const Grid *g, const Classic *h, const double *phi, Column *c,
                         Str label, Str value, Sink *out) {
    column_clear(c);
    for (size_t i = 0; i < g->n; i++) {
        size_t n = fill_step(k, h, i);
        if (!n)
            continue;
        bool forced;
        MonotonicityFix fix;
        c->kind[i] = CELL_FLOAT;
        c->v[i] = classic_quantile(phi[i], k->work, n, &forced, &fix);
        if (forced)
            annotate_fix(k, h, &fix, grid_time(g, i));
    }
    return push_result(k, c, h->labels, label, value, out);
}

static void check_phi(Eval *ev, const Node *at, const double *phi, size_t n) {
    double last = 0.5;
    for (size_t i = 0; i < n; i++) {
        if (phi[i] >= 0 && phi[i] <= 1)
            continue;
        if (i == 0 || double_bits(phi[i]) != double_bits(last))
            annotate_quantile(ev, at, phi[i]);
        last = phi[i];
    }
}

int call_histogram_quantile(Eval *ev, const Node *call, const Grid *g, Sink *out) {
    Classics k = {.ev = ev, .arg = call->call.args[1]};
    int r = classics_collect(&k, g);
    const double *phi = r == 0 ? eval_scalar_column(ev, &k.scope, call->call.args[0], g) : NULL;
    Column *c = phi ? column_new(&k.scope, g->n) : NULL;
    if (!c)
        r = -EINVAL;
    else
        check_phi(ev, call->call.args[0], phi, g->n);
    for (size_t i = 0; i < k.natives.n && r == 0; i++) {
        r = native_column(&k, k.natives.v[i], phi, c);
        if (r == 0)
            r = push_result(&k, c, k.natives.v[i]->labels, STR_NULL, STR_NULL, out);
    }
    for (size_t i = 0; i < k.list.n && r == 0; i++)
        r = push_quantile(&k, g, k.list.v[i], phi, c, STR_NULL, STR_NULL, out);
    classics_deinit(&k);
    return r;
}

/* 0.5 stays, 1 becomes 1.0: a number as OpenMetrics writes it. */
static int phi_text(Eval *ev, double phi, Str *ret) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    number_format_g(&b, phi);
    Str s = buf_str(&b);
    bool plain = isfinite(phi) && str_find(s, 'e') == s.n && str_find(s, '.') == s.n;
    if (plain)
        buf_add_cstr(&b, ".0");
    *ret = scope_str(&ev->scope, buf_str(&b));
    return ret->p ? 0 : -EINVAL;
}

static int push_steps_of_phi(Classics *k, const Grid *g, const double *phi, Str label, Sink *out) {
    Column *c = column_new(&k->scope, g->n);
    double *one = SCOPE_ARRAY(&k->scope, double, g->n);
    int r = c && one ? 0 : -EINVAL;
    Str text = STR_NULL;
    /* phi may change from step to step, and with it the label: each stretch is a part. */
    for (size_t from = 0, to; from < g->n && r == 0; from = to) {
        for (to = from + 1; to < g->n && double_bits(phi[to]) == double_bits(phi[from]); to++) {
        }
        r = phi_text(k->ev, phi[from], &text);
        for (size_t i = 0; i < k->natives.n && r == 0; i++) {
            r = native_column(k, k->natives.v[i], phi, c);
            for (size_t s = 0; s < g->n; s++)
                if (s < from || s >= to)
                    c->kind[s] = CELL_NONE;
            if (r == 0)
                r = push_result(k, c, k->natives.v[i]->labels, label, text, out);
        }
        for (size_t i = 0; i < k->list.n && r == 0; i++) {
            Classic part = *k->list.v[i];
            column_clear(c);
            for (size_t s = from; s < to; s++) {
                size_t n = fill_step(k, &part, s);
                bool forced;
                MonotonicityFix fix;
                if (!n)
                    continue;
                c->kind[s] = CELL_FLOAT;
                c->v[s] = classic_quantile(phi[s], k->work, n, &forced, &fix);
                if (forced)
                    annotate_fix(k, &part, &fix, grid_time(g, s));
            }
            r = push_result(k, c, part.labels, label, text, out);
        }
    }
    return r;
}

int call_histogram_quantiles(Eval *ev, const Node *call, const Grid *g, Sink *out) {
    Classics k = {.ev = ev, .arg = call->call.args[0]};
    Str label = node_string(call->call.args[1]);
    int r = classics_collect(&k, g);
    for (size_t i = 2; i < call->call.n_args && r == 0; i++) {
        const double *phi = eval_scalar_column(ev, &k.scope, call->call.args[i], g);
        if (!phi)
            r = -EINVAL;
        else
            check_phi(ev, call->call.args[i], phi, g->n);
        if (r == 0)
            r = push_steps_of_phi(&k, g, phi, label, out);
    }
    classics_deinit(&k);
    return r;
}

/* ---- fraction between two values */

typedef struct Rank {
    double at, rank;
    bool set;
} Rank;

static void rank_in_bucket(Rank *r, double lower, const Filled *b, double below, bool edge) {
    if (r->set)
        return;
    if (edge) {
        if (lower >= r->at)
            *r = (Rank){r->at, below, true};
        return;
    }
    if (!(lower < r->at && b->bound > r->at))
        return;
    double rank =
        isinf(lower) ? b->count : below + (b->count - below) * (r->at - lower) / (b->bound - lower);
    *r = (Rank){r->at, rank, true};
}

static double classic_fraction(double lower, double upper, const Filled *b, size_t n) {
    if (!(isinf(b[n - 1].bound) && b[n - 1].bound > 0))
        return normal_nan();
    double count = b[n - 1].count, below = 0;
    if (count == 0 || isnan(lower) || isnan(upper))
        return normal_nan();
    if (lower >= upper)
        return 0;
    Rank lo = {.at = lower}, hi = {.at = upper};
    for (size_t i = 0; i < n && !(lo.set && hi.set); i++) {
        double from = i ? b[i - 1].bound : b[0].bound <= 0 ? -INFINITY : 0;
        for (int edge = 1; edge >= 0; edge--) {
            rank_in_bucket(&lo, from, &b[i], below, edge);
            rank_in_bucket(&hi, from, &b[i], below, edge);
        }
        below = b[i].count;
    }
    double l = !lo.set || lo.rank > count ? count : lo.rank;
    double u = !hi.set || hi.rank > count ? count : hi.rank;
    return (u - l) / count;
}

static int native_fractions(Classics *k, const Column *from, const double *lo, const double *hi,
                            Column *to) {
    column_clear(to);
    for (size_t i = 0; i < from->n; i++) {
        Native n;
        size_t count;
        bool nan;
        if (from->kind[i] != CELL_HISTOGRAM)
            continue;
        scope_reset(&k->per_step);
        NativeBucket *b = native_of(&k->per_step, from->h[i], &n) < 0
                              ? NULL
                              : native_clipped_buckets(&k->per_step, &n, &count);
        if (!b)
            return -EINVAL;
        to->kind[i] = CELL_FLOAT;
        to->v[i] = native_fraction(lo[i], hi[i], &n, b, count, &nan);
        if (nan)
            annotate_nan(k,
                         "input to histogram_fraction has NaN observations, which are excluded "
                         "from all fractions",
                         from->labels);
    }
    return 0;
}

int call_histogram_fraction(Eval *ev, const Node *call, const Grid *g, Sink *out) {
    Classics k = {.ev = ev, .arg = call->call.args[2]};
    int r = classics_collect(&k, g);
    const double *lo = r == 0 ? eval_scalar_column(ev, &k.scope, call->call.args[0], g) : NULL;
    const double *hi = lo ? eval_scalar_column(ev, &k.scope, call->call.args[1], g) : NULL;
    Column *c = hi ? column_new(&k.scope, g->n) : NULL;
    if (!c)
        r = -EINVAL;
    for (size_t i = 0; i < k.natives.n && r == 0; i++) {
        r = native_fractions(&k, k.natives.v[i], lo, hi, c);
        if (r == 0)
            r = push_result(&k, c, k.natives.v[i]->labels, STR_NULL, STR_NULL, out);
    }
    for (size_t q = 0; q < k.list.n && r == 0; q++) {
        column_clear(c);
        for (size_t i = 0; i < g->n; i++) {
            size_t n = fill_step(&k, k.list.v[q], i);
            if (!n)
                continue;
            c->kind[i] = CELL_FLOAT;
            c->v[i] = classic_fraction(lo[i], hi[i], k.work, n);
        }
        r = push_result(&k, c, k.list.v[q]->labels, STR_NULL, STR_NULL, out);
    }
    classics_deinit(&k);
    return r;
}

/* ---- what a native histogram says of itself */

typedef struct ValueSink {
    Sink sink;
    Eval *ev;
    const Node *call;
    DupCheck dup;
    bool check_dup;
    Sink *next;
} ValueSink;

static int variance_of(ValueSink *k, const FloatHistogram *h, double *ret) {
    Scope scope;
    Native n;
    size_t count;
    scope_init(&scope, k->ev);
    NativeBucket *b =
        native_of(&scope, h, &n) < 0 ? NULL : native_clipped_buckets(&scope, &n, &count);
    if (b)
        *ret = native_variance(&n, b, count);
    scope_deinit(&scope);
    return b ? 0 : -EINVAL;
}

static int value_push(Sink *s, Column *c) {
    ValueSink *k = (ValueSink *)s;
    FunctionId id = k->call->call.function->id;
    for (size_t i = 0; i < c->n; i++) {
        if (c->kind[i] != CELL_HISTOGRAM) {
            c->kind[i] = CELL_NONE;
            continue;
        }
        const FloatHistogram *h = c->h[i];
        if (id == FN_HISTOGRAM_STDDEV || id == FN_HISTOGRAM_STDVAR) {
            double v;
            if (variance_of(k, h, &v) < 0)
                return -EINVAL;
            c->kind[i] = CELL_FLOAT;
            c->v[i] = id == FN_HISTOGRAM_STDDEV ? sqrt(v) : v;
            continue;
        }
        c->kind[i] = CELL_FLOAT;
        c->v[i] = id == FN_HISTOGRAM_COUNT ? h->count
                  : id == FN_HISTOGRAM_SUM ? h->sum
                                           : h->sum / h->count;
    }
    c->h = NULL;
    if (!column_count(c))
        return 0;
    if (column_drop_name(k->ev, c) < 0 ||
        (k->check_dup && dup_check_add(&k->dup, c, 0, false, SAME_LABELSET) < 0))
        return -EINVAL;
    return k->next->push(k->next, c);
}

int call_histogram_value(Eval *ev, const Node *call, const Grid *g, Sink *out) {
    Scope scope;
    scope_init(&scope, ev);
    ValueSink k = {.sink = {value_push}, .ev = ev, .call = call, .next = out};
    k.check_dup = !ev->o->delayed_name_removal && !name_is_pinned(ev, call->call.args[0]);
    dup_check_init(&k.dup, &scope);
    int r = eval_vector(ev, call->call.args[0], g, &k.sink);
    dup_check_deinit(&k.dup);
    scope_deinit(&scope);
    return r;
}
