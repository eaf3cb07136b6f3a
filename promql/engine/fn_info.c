/*
 * info(v, {selector}): adds to each series the labels of the info series (target_info unless the
 * selector names others) with the same instance and job. The newest info series of a name wins at
 * each step, so a series may come out in parts with different labels.
 */
#include "promql/engine/call.h"

#define ID_LABELS 2
static const Str id_labels[ID_LABELS] = {{"instance", 8}, {"job", 3}};

/* The info series of one name, instance and job. */
typedef struct InfoGroup {
    uint32_t *winner; /* per step: index of the newest + 1, 0 = none */
} InfoGroup;

typedef struct Info {
    Eval *ev;
    const Grid *grid;
    Scope scope;
    Collector base;
    const Matcher *matchers; /* of the second argument */
    size_t n_matchers;
    Matcher synthetic; /* the name matcher when none is given that selects */
    bool has_synthetic;
    VEC(Matcher) names, select;
    bool has_data;
    StrMap id_values[ID_LABELS];
    Selection selection;
    VEC(Str) metric_names;
    VEC(int64_t *) times; /* per info series and step: time of its sample, INT64_MIN = none */
    StrMap by_key;
    Buf key;
    DupCheck dup;
    Sink *next;
} Info;

bool info_reference(const Node *n, int64_t *at, int64_t *offset) {
    const TimeShift *s = NULL;
    switch (n->kind) {
    case NODE_VECTOR_SELECTOR:
        *at = n->vector.shift.at == AT_TIME ? n->vector.shift.at_ms : INT64_MIN;
        *offset = n->vector.shift.offset_ms;
        return true;
    case NODE_MATRIX_SELECTOR: return info_reference(n->matrix.vector, at, offset);
    case NODE_PAREN:
    case NODE_STEP_INVARIANT: return info_reference(n->paren.expr, at, offset);
    case NODE_UNARY: return info_reference(n->unary.expr, at, offset);
    case NODE_AGGREGATE: return info_reference(n->aggregate.expr, at, offset);
    case NODE_BINARY:
        return info_reference(n->binary.lhs, at, offset) ||
               info_reference(n->binary.rhs, at, offset);
    case NODE_CALL:
        for (size_t i = 0; i < n->call.n_args; i++)
            if (info_reference(n->call.args[i], at, offset))
                return true;
        return false;
    case NODE_SUBQUERY:
        if (!info_reference(n->subquery.expr, at, offset))
            return false;
        s = &n->subquery.shift;
        if (*at == INT64_MIN) { /* what lies further out shifts until a time is fixed */
            *offset += s->offset_ms;
            *at = s->at == AT_TIME ? s->at_ms : INT64_MIN;
        }
        return true;
    default: return false;
    }
}

/* The matchers on the name that select: as given, or target_info, or all that end in _info. */
static int name_matchers(Info *k) {
    bool positive = false;
    for (size_t i = 0; i < k->n_matchers; i++) {
        const Matcher *m = &k->matchers[i];
        if (!str_eq(m->name, LABEL_NAME)) {
            k->has_data = true;
            continue;
        }
        vec_push(&k->names, *m);
        positive |= m->type == MATCH_EQ || m->type == MATCH_RE;
    }
    if (positive)
        return 0;
    bool any = k->names.n;
    int r = matcher_init(&k->synthetic, any ? MATCH_RE : MATCH_EQ, LABEL_NAME,
                         any ? STR(".+_info") : STR("target_info"), NULL);
    if (r < 0)
        return eval_fail(k->ev, PROMQL_INTERNAL, "info() could not select");
    k->has_synthetic = true;
    vec_push(&k->names, k->synthetic);
    return 0;
}

static bool is_info_series(const Info *k, Labels l) {
    Str name = labels_metric_name(l);
    for (size_t i = 0; i < k->names.n; i++)
        if (!matcher_matches(&k->names.v[i], name.p ? name : STR("")))
            return false;
    return true;
}

static size_t note_id_values(Info *k) {
    size_t n = 0;
    for (size_t i = 0; i < k->base.columns.n; i++) {
        Labels l = k->base.columns.v[i]->labels;
        if (is_info_series(k, l))
            continue;
        for (int q = 0; q < ID_LABELS; q++) {
            Str v = labels_get(l, id_labels[q]);
            bool is_new;
            if (v.n && ++n)
                *str_map_put(&k->id_values[q], v, &is_new) = k;
        }
    }
    return n;
}

/* Only those that could meet a series. */
static bool could_meet(const Info *k, Labels l) {
    for (int q = 0; q < ID_LABELS; q++)
        if (k->id_values[q].n) {
            Str v = labels_get(l, id_labels[q]);
            if (!str_map_get(&k->id_values[q], v.p ? v : STR("")))
                return false;
        }
    return true;
}

static void group_key(Info *k, Str name, Labels l) {
    buf_reset(&k->key);
    buf_add_str(&k->key, name);
    buf_add_char(&k->key, 0);
    labels_key(&k->key, l, id_labels, ID_LABELS, true);
}

static InfoGroup *group_make(Info *k, Labels l) {
    Str name = labels_metric_name(l);
    bool known = false, is_new;
    for (size_t i = 0; i < k->metric_names.n; i++)
        known |= str_eq(k->metric_names.v[i], name);
    if (!known)
        vec_push(&k->metric_names, name);
    group_key(k, name, l);
    InfoGroup *g = str_map_get(&k->by_key, buf_str(&k->key));
    if (g)
        return g;
    Str key = scope_str(&k->scope, buf_str(&k->key));
    g = key.p ? SCOPE_NEW(&k->scope, InfoGroup) : NULL;
    if (!g || !(g->winner = SCOPE_ZARRAY(&k->scope, uint32_t, k->grid->n)))
        return NULL;
    *str_map_put(&k->by_key, key, &is_new) = g;
    return g;
}

static int fail_duplicate(Info *k, size_t a, size_t b, int64_t t) {
    CLEANUP(buf_deinit) Buf x = BUF_INIT(0), y = BUF_INIT(0);
    labels_format(k->selection.series[a].labels, &x);
    labels_format(k->selection.series[b].labels, &y);
    return eval_fail(k->ev, PROMQL_EXECUTION,
                     "found duplicate series for info metric: existing %.*s @ %lld, new %.*s @ "
                     "%lld",
                     SA(buf_str(&x)), (long long)t, SA(buf_str(&y)), (long long)t);
}

static int compete(Info *k, InfoGroup *g, size_t series) {
    const int64_t *t = k->times.v[series];
    for (size_t i = 0; i < k->grid->n; i++) {
        if (t[i] == INT64_MIN)
            continue;
        uint32_t w = g->winner[i];
        if (w && k->times.v[w - 1][i] == t[i])
            return fail_duplicate(k, w - 1, series, t[i]);
        if (!w || k->times.v[w - 1][i] < t[i])
            g->winner[i] = (uint32_t)series + 1;
    }
    return 0;
}

static int read_info(Info *k, const Node *arg) {
    int64_t at = INT64_MIN, offset = 0;
    (void)info_reference(arg, &at, &offset); /* without a selector: the evaluation times */
    Selection *s = &k->selection;
    for (size_t i = 0; i < k->n_matchers; i++)
        if (!str_eq(k->matchers[i].name, LABEL_NAME))
            vec_push(&k->select, k->matchers[i]);
    for (size_t i = 0; i < k->names.n; i++)
        vec_push(&k->select, k->names.v[i]);
    s->matchers = k->select.v;
    s->n_matchers = k->select.n;
    int64_t first = at != INT64_MIN ? at : k->grid->start;
    int64_t last = at != INT64_MIN ? at : grid_time(k->grid, k->grid->n - 1);
    s->hints = (SelectHints){.mint = first - offset - k->ev->lookback_ms + 1,
                             .maxt = last - offset,
                             .step_ms = k->grid->step,
                             .func = STR("info"),
                             .sorted = true,
                             .cancel = k->ev->cancel};
    int r = selection_expand(k->ev, s);
    for (size_t i = 0; i < s->n && r == 0; i++) {
        int64_t *t = SCOPE_ARRAY(&k->scope, int64_t, k->grid->n);
        if (!t)
            return -EINVAL;
        vec_push(&k->times, t);
        for (size_t q = 0; q < k->grid->n; q++)
            t[q] = INT64_MIN;
        if (!could_meet(k, s->series[i].labels))
            continue;
        Grid g = at != INT64_MIN ? (Grid){at, 0, k->grid->n} : *k->grid;
        r = sample_times(k->ev, s, i, &g, offset, t);
        InfoGroup *group = r == 0 ? group_make(k, s->series[i].labels) : NULL;
        r = r == 0 && !group ? -EINVAL : r;
        if (r == 0)
            r = compete(k, group, i);
    }
    return r;
}

static bool is_data_label(const Info *k, Str name) {
    if (!k->has_data)
        return true;
    for (size_t i = 0; i < k->n_matchers; i++)
        if (str_eq(k->matchers[i].name, name) && !str_eq(name, LABEL_NAME))
            return true;
    return false;
}

static bool must_match(const Info *k) {
    for (size_t i = 0; i < k->n_matchers; i++)
        if (!str_eq(k->matchers[i].name, LABEL_NAME) && !matcher_matches(&k->matchers[i], STR("")))
            return true;
    return false;
}

/* Labels of a series with these winners; *drop when nothing matched but something had to. */
static int part_labels(Info *k, Labels base, const uint32_t *winners, Labels *ret, bool *drop) {
    CLEANUP(labels_builder_deinit) LabelsBuilder b = {0};
    bool any = false;
    for (size_t q = 0; q < k->metric_names.n; q++) {
        if (!winners[q])
            continue;
        any = true;
        Labels l = k->selection.series[winners[q] - 1].labels;
        for (size_t i = 0; i < l.n; i++) {
            Str name = l.v[i].name, had = labels_builder_get(&b, name);
            if (str_eq(name, LABEL_NAME) || !is_data_label(k, name))
                continue;
            if (had.n && !str_eq(had, l.v[i].value))
                return eval_fail(k->ev, PROMQL_EXECUTION, "conflicting label: %.*s", SA(name));
            if (!labels_has(base, name))
                labels_builder_set(&b, name, l.v[i].value);
        }
    }
    *drop = !any && must_match(k);
    Labels add = labels_builder_view(&b);
    for (size_t i = 0; i < add.n; i++)
        if (labels_with(&k->ev->scope, base, add.v[i].name, add.v[i].value, &base) < 0)
            return -EINVAL;
    *ret = base;
    return 0;
}

static int push_part(Info *k, Column *part) {
    if (dup_check_add(&k->dup, part, 0, false, SAME_LABELSET) < 0)
        return -EINVAL;
    return k->next->push(k->next, part);
}

static int enrich(Info *k, const Column *c) {
    size_t n_names = k->metric_names.n, n = c->n;
    InfoGroup **groups = SCOPE_ZARRAY(&k->scope, InfoGroup *, n_names + 1);
    uint32_t *winners = SCOPE_ZARRAY(&k->scope, uint32_t, n_names + 1);
    Column *part = column_copy(&k->scope, c), *rest = column_copy(&k->scope, c);
    if (!groups || !winners || !part || !rest)
        return -EINVAL;
    for (size_t q = 0; q < n_names; q++) {
        group_key(k, k->metric_names.v[q], c->labels);
        groups[q] = str_map_get(&k->by_key, buf_str(&k->key));
    }
    for (size_t from = 0; from < n; from++) {
        if (!rest->kind[from])
            continue;
        for (size_t q = 0; q < n_names; q++)
            winners[q] = groups[q] ? groups[q]->winner[from] : 0;
        memset(part->kind, CELL_NONE, n);
        for (size_t i = from; i < n; i++) {
            bool same = rest->kind[i];
            for (size_t q = 0; q < n_names && same; q++)
                same = winners[q] == (groups[q] ? groups[q]->winner[i] : 0);
            if (!same)
                continue;
            part->kind[i] = rest->kind[i];
            part->v[i] = c->v[i];
            rest->kind[i] = CELL_NONE;
        }
        bool drop = false;
        if (part_labels(k, c->labels, winners, &part->labels, &drop) < 0 ||
            (!drop && push_part(k, part) < 0))
            return -EINVAL;
    }
    return 0;
}

static int info_run(Info *k, const Node *call) {
    int r = name_matchers(k);
    if (r == 0)
        r = eval_vector(k->ev, call->call.args[0], k->grid, &k->base.sink);
    if (r == 0 && note_id_values(k))
        r = read_info(k, call->call.args[0]);
    for (size_t i = 0; i < k->base.columns.n && r == 0; i++) {
        Column *c = k->base.columns.v[i];
        r = is_info_series(k, c->labels) ? push_part(k, c) : enrich(k, c);
    }
    return r;
}

int call_info(Eval *ev, const Node *call, const Grid *g, Sink *out) {
    Info k = {.ev = ev, .grid = g, .key = BUF_INIT(0), .next = out};
    if (call->call.n_args > 1) {
        const Node *selector = node_unwrap(call->call.args[1]);
        k.matchers = selector->vector.matchers;
        k.n_matchers = selector->vector.n_matchers;
    }
    scope_init(&k.scope, ev);
    collector_init(&k.base, &k.scope);
    dup_check_init(&k.dup, &k.scope);
    int r = info_run(&k, call);
    /* Label bytes of the info series stand in the results: their set lives on with the query. */
    selection_keep(ev, &k.selection);
    if (k.has_synthetic)
        matcher_deinit(&k.synthetic);
    for (int q = 0; q < ID_LABELS; q++)
        str_map_deinit(&k.id_values[q]);
    vec_free(&k.names);
    vec_free(&k.select);
    vec_free(&k.metric_names);
    vec_free(&k.times);
    str_map_deinit(&k.by_key);
    buf_deinit(&k.key);
    dup_check_deinit(&k.dup);
    collector_deinit(&k.base);
    scope_deinit(&k.scope);
    return r;
}
