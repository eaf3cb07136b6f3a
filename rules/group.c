#include "rules/group.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

static const char COMPONENT[] = "rule manager";

/* ---- metrics */

static char *metrics_label(const RuleFile *f, const RuleGroupDef *d) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_add_cstr(&b, "rule_group=\"");
    const Str parts[] = {f->path, STR(";"), d->name};
    for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
        for (size_t i = 0; i < parts[p].n; i++) {
            char c = parts[p].p[i];
            if (c == '"' || c == '\\' || c == '\n') {
                buf_add_char(&b, '\\');
                c = c == '\n' ? 'n' : c;
            }
            buf_add_char(&b, c);
        }
    }
    buf_add_char(&b, '"');
    return str_dup(buf_str(&b));
}

static void metrics_init(GroupMetrics *m) {
    const char *l = m->label;
    m->evaluations = metric_counter("prometheus_rule_evaluations_total",
                                    "The total number of rule evaluations.", l);
    m->failures = metric_counter("prometheus_rule_evaluation_failures_total",
                                 "The total number of rule evaluation failures.", l);
    m->iterations = metric_counter("prometheus_rule_group_iterations_total",
                                   "The total number of scheduled rule group evaluations, whether "
                                   "executed or missed.",
                                   l);
    m->missed = metric_counter("prometheus_rule_group_iterations_missed_total",
                               "The total number of rule group evaluations missed due to slow rule "
                               "group evaluation.",
                               l);
    m->rules = metric_gauge("prometheus_rule_group_rules", "The number of rules.", l);
    m->interval =
        metric_gauge("prometheus_rule_group_interval_seconds", "The interval of a rule group.", l);
    m->last_duration = metric_gauge("prometheus_rule_group_last_duration_seconds",
                                    "The duration of the last rule group evaluation.", l);
    m->last_rule_sum = metric_gauge("prometheus_rule_group_last_rule_duration_sum_seconds",
                                    "The sum of time in seconds it took to evaluate each rule in "
                                    "the group regardless of concurrency. This should be higher "
                                    "than the group duration if rules are evaluated concurrently.",
                                    l);
    m->last_evaluation =
        metric_gauge("prometheus_rule_group_last_evaluation_timestamp_seconds",
                     "The timestamp of the last rule group evaluation in seconds.", l);
    m->last_samples = metric_gauge("prometheus_rule_group_last_evaluation_samples",
                                   "The number of samples returned during the last rule group "
                                   "evaluation.",
                                   l);
    m->restore_duration = metric_gauge("prometheus_rule_group_last_restore_duration_seconds",
                                       "The duration of the last alert rules alerts restoration "
                                       "using the `ALERTS_FOR_STATE` series.",
                                       l);
    static const double QUANTILES[] = {0.5, 0.9, 0.99},
                        GROUP_QUANTILES[] = {0.01, 0.05, 0.5, 0.9, 0.99};
    m->rule_duration = metric_summary("prometheus_rule_evaluation_duration_seconds",
                                      "The duration for a rule to execute.", NULL, QUANTILES, 3);
    m->group_duration =
        metric_summary("prometheus_rule_group_duration_seconds",
                       "The duration of rule group evaluations.", NULL, GROUP_QUANTILES, 5);
}

static GroupMetrics *metrics_get(GroupMetrics **registry, const RuleFile *f,
                                 const RuleGroupDef *d) {
    char *label = metrics_label(f, d);
    for (GroupMetrics *m = *registry; m; m = m->next) {
        if (strcmp(m->label, label) == 0) {
            mem_free(label);
            m->refs++;
            return m;
        }
    }
    GroupMetrics *m = NEW(GroupMetrics);
    *m = (GroupMetrics){.label = label, .refs = 1, .next = *registry, .registry = registry};
    *registry = m;
    metrics_init(m);
    return m;
}

static void metrics_unref(GroupMetrics *m) {
    if (--m->refs) {
        return;
    }
    GroupMetrics **at = m->registry;
    while (*at != m) {
        at = &(*at)->next;
    }
    *at = m->next;
    Metric *own[] = {m->evaluations,  m->failures,         m->iterations,    m->missed,
                     m->rules,        m->interval,         m->last_duration, m->last_evaluation,
                     m->last_samples, m->restore_duration, m->last_rule_sum};
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        metric_remove(own[i]);
    }
    mem_free(m->label);
    mem_free(m);
}

/* ---- life */

RuleGroup *group_new(RuleManager *m, GroupMetrics **registry, RuleFile *file,
                     const RuleGroupDef *def, int64_t interval_ms, int64_t query_offset_ms,
                     bool restore) {
    RuleGroup *g = NEW(RuleGroup);
    g->manager = m;
    g->file = rule_file_ref(file);
    g->def = def;
    g->interval_ms = interval_ms;
    g->query_offset_ms = query_offset_ms;
    g->restore = restore;
    g->rules = NEW_ARRAY(Rule, def->n_rules + 1);
    for (size_t i = 0; i < def->n_rules; i++) {
        rule_init(&g->rules[i], &def->rules[i], !restore);
    }
    g->metrics = metrics_get(registry, file, def);
    metric_set(g->metrics->rules, (double)def->n_rules);
    metric_set(g->metrics->interval, (double)interval_ms / 1000);
    g->snapshot = group_snapshot_new(g);
    return g;
}

static void stale_free(StrMap *m) {
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(m, &i));) {
        RuleSeries *s = e->value;
        mem_free((void *)s->labels.v);
        mem_free(s->key);
        mem_free(s);
    }
    str_map_deinit(m);
}

void group_free(RuleGroup *g) {
    if (!g) {
        return;
    }
    loop_timer_stop(&g->timer);
    for (size_t i = 0; i < g->def->n_rules; i++) {
        rule_deinit(&g->rules[i]);
    }
    stale_free(&g->stale);
    mem_free(g->rules);
    metrics_unref(g->metrics);
    group_snapshot_unref(g->snapshot);
    rule_file_unref(g->file);
    mem_free(g);
}

static bool rule_same(const RuleDef *a, const RuleDef *b) {
    return str_eq(a->record, b->record) && str_eq(a->alert, b->alert) && str_eq(a->expr, b->expr) &&
           a->for_ms == b->for_ms && a->keep_firing_for_ms == b->keep_firing_for_ms &&
           labels_eq(a->labels, b->labels) && labels_eq(a->annotations, b->annotations);
}

bool group_same(const RuleGroup *g, const RuleFile *file, const RuleGroupDef *def,
                int64_t interval_ms, int64_t query_offset_ms) {
    bool same = str_eq(g->file->path, file->path) && str_eq(g->def->name, def->name) &&
                g->interval_ms == interval_ms && g->query_offset_ms == query_offset_ms &&
                g->def->limit == def->limit && g->def->n_rules == def->n_rules;
    for (size_t i = 0; same && i < def->n_rules; i++) {
        same = rule_same(&g->def->rules[i], &def->rules[i]);
    }
    return same;
}

static void stale_take(StrMap *to, StrMap *from) {
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(from, &i));) {
        RuleSeries *s = e->value;
        bool fresh;
        void **slot = str_map_put(to, e->key, &fresh);
        if (fresh) {
            *slot = s;
        } else {
            mem_free((void *)s->labels.v);
            mem_free(s->key);
            mem_free(s);
        }
    }
    str_map_deinit(from);
    *from = (StrMap){0};
}

void group_inherit(RuleGroup *g, RuleGroup *old) {
    bool *taken = NEW_ARRAY(bool, old->def->n_rules + 1);
    for (size_t i = 0; i < g->def->n_rules; i++) {
        const RuleDef *d = g->rules[i].def;
        for (size_t k = 0; k < old->def->n_rules; k++) {
            const RuleDef *o = old->rules[k].def;
            if (!taken[k] && str_eq(d->record, o->record) && str_eq(d->alert, o->alert) &&
                labels_eq(d->labels, o->labels)) {
                taken[k] = true;
                rule_inherit(&g->rules[i], &old->rules[k]);
                break;
            }
        }
    }
    for (size_t k = 0; k < old->def->n_rules; k++) {
        stale_take(&g->stale, &old->rules[k].series);
    }
    stale_take(&g->stale, &old->stale);
    mem_free(taken);
    g->restore = old->restore;
    g->evaluations = old->evaluations;
}

/*
 * Groups are spread over their interval by their hash, so that they do not all start at once, and
 * stay at the same place after a restart.
 */
int64_t group_slot(const RuleGroup *g, int64_t now_ms) {
    const Label pair[] = {{STR("file"), g->file->path}, {STR("name"), g->def->name}};
    uint64_t interval_ns = (uint64_t)g->interval_ms * 1000000;
    int64_t offset = (int64_t)(labels_hash((Labels){pair, 2}) % interval_ns / 1000000);
    int64_t base = now_ms - offset;
    return base - base % g->interval_ms + offset;
}

/* ---- writing results */

typedef struct Writer {
    Appender *app;
    int64_t t;
    uint64_t written, out_of_order, too_old, duplicate, other;
} Writer;

static int append_one(Writer *w, SeriesRef *ref, Labels l, double v, const FloatHistogram *h) {
    int r = h ? (w->app->ops->append_histogram
                     ? w->app->ops->append_histogram(w->app, ref, l, w->t, NULL, h, 0)
                     : APPEND_UNSUPPORTED)
              : appender_append(w->app, ref, l, w->t, v);
    if (r == APPEND_UNKNOWN_REF && *ref) {
        *ref = 0;
        return append_one(w, ref, l, v, h);
    }
    w->written += r == APPEND_OK;
    w->out_of_order += r == APPEND_OUT_OF_ORDER;
    w->too_old += r == APPEND_TOO_OLD || r == APPEND_OUT_OF_BOUNDS;
    w->duplicate += r == APPEND_DUPLICATE;
    w->other += r > APPEND_DUPLICATE;
    return r;
}

/* The remembered series of the labels, made if new. */
static RuleSeries *rule_series(Rule *r, Labels l) {
    Str key;
    char *owned = rule_labels_key(l, &key);
    RuleSeries *s = str_map_get(&r->series, key);
    if (s) {
        mem_free(owned);
        return s;
    }
    s = NEW(RuleSeries);
    s->labels = labels_dup(l);
    s->key = owned;
    *str_map_put(&r->series, key, NULL) = s;
    return s;
}

/* Series of the last evaluation that are not in this one end here. */
static int write_stale(Writer *w, Rule *r) {
    VEC(RuleSeries *) gone = {0};
    StrMapEntry *e;
    int err = 0;
    for (size_t i = 0; (e = str_map_next(&r->series, &i));) {
        RuleSeries *s = e->value;
        if (s->seen != r->generation) {
            vec_push(&gone, s);
        }
    }
    for (size_t i = 0; i < gone.n; i++) {
        RuleSeries *s = gone.v[i];
        if (err >= 0) {
            uint64_t before = w->written;
            err = append_one(w, &s->ref, s->labels, stale_nan(), NULL);
            w->written = before;
        }
        Str key;
        char *owned = rule_labels_key(s->labels, &key);
        (void)str_map_del(&r->series, key);
        mem_free(owned);
        mem_free((void *)s->labels.v);
        mem_free(s->key);
        mem_free(s);
    }
    vec_free(&gone);
    return MIN(err, 0);
}

static int write_samples(Writer *w, Rule *r, const RuleSamples *samples) {
    r->generation++;
    int err = 0;
    for (size_t i = 0; i < samples->n && err >= 0; i++) {
        const RuleSample *s = &samples->v[i];
        RuleSeries *series = rule_series(r, s->labels);
        err = append_one(w, &series->ref, s->labels, s->v, s->histogram);
        series->seen = r->generation;
    }
    return err < 0 ? err : write_stale(w, r);
}

static void warn_counts(const RuleGroup *g, const Rule *r, const Writer *w) {
    Str name = r->def->record.n ? r->def->record : r->def->alert;
    const struct {
        uint64_t n;
        const char *text;
    } counts[] = {
        {w->out_of_order, "Error on ingesting out-of-order result from rule evaluation"},
        {w->too_old, "Error on ingesting too old result from rule evaluation"},
        {w->duplicate, "Error on ingesting results from rule evaluation with different value but "
                       "same timestamp"},
        {w->other, "Error on ingesting results from rule evaluation"},
    };
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        if (counts[i].n) {
            log_warn(COMPONENT, counts[i].text, L_STR("file", g->file->path),
                     L_STR("group", g->def->name), L_STR("name", name),
                     L_INT("num_dropped", counts[i].n));
        }
    }
}

static int write_results(RuleGroup *g, Rule *r, EvalContext *cx, const RuleSamples *samples,
                         uint64_t *ret_written) {
    Writer w = {.t = cx->ts - cx->query_offset_ms};
    int err = storage_appender(cx->o->storage, &w.app);
    if (err < 0) {
        return err;
    }
    err = write_samples(&w, r, samples);
    if (err < 0) {
        appender_rollback(w.app);
        return err;
    }
    err = appender_commit(w.app);
    warn_counts(g, r, &w);
    *ret_written += w.written;
    return err;
}

static void write_stale_list(StrMap *list, Storage *storage, int64_t t) {
    if (!list->n) {
        return;
    }
    Writer w = {.t = t};
    int err = storage_appender(storage, &w.app);
    if (err < 0) {
        log_error(COMPONENT, "Stale markers of removed rules cannot be written", L_ERR(err));
        return;
    }
    StrMapEntry *e;
    for (size_t i = 0; err >= 0 && (e = str_map_next(list, &i));) {
        RuleSeries *s = e->value;
        err = append_one(&w, &s->ref, s->labels, stale_nan(), NULL);
    }
    if (err < 0) {
        appender_rollback(w.app);
    } else {
        err = appender_commit(w.app);
    }
    if (err < 0) {
        log_error(COMPONENT, "Stale markers of removed rules cannot be written", L_ERR(err));
    }
    stale_free(list);
    *list = (StrMap){0};
}

void group_mark_all_stale(RuleGroup *g, Storage *s, int64_t t) {
    for (size_t i = 0; i < g->def->n_rules; i++) {
        stale_take(&g->stale, &g->rules[i].series);
    }
    write_stale_list(&g->stale, s, t);
}

/* ---- evaluation */

static void rule_result(RuleGroup *g, Rule *r, int64_t ts, Str error) {
    mem_free(r->last_error);
    r->last_error = error.p ? str_dup(error) : NULL;
    r->health = error.p ? RULE_ERR : RULE_OK;
    r->evaluated = true;
    r->last_evaluation_ms = ts;
    if (error.p) {
        metric_inc(g->metrics->failures);
        log_warn(COMPONENT, "Evaluating rule failed", L_STR("file", g->file->path),
                 L_STR("group", g->def->name),
                 L_STR("name", r->def->record.n ? r->def->record : r->def->alert),
                 L_STR("err", error));
    }
}

static void send_alerts(Rule *r, EvalContext *cx) {
    AlertBatch *b = r->def->alert.n ? rule_alerts_to_send(r, cx) : NULL;
    if (b && cx->o->sink.send) {
        cx->o->sink.send(cx->o->sink.arg, b);
    }
    alert_batch_unref(b);
}

static void evaluate_rule(RuleGroup *g, Rule *r, EvalContext *cx, uint64_t *ret_written) {
    int64_t start = clock_mono_ns();
    RuleSamples samples = {0};
    PromqlResult *res = NULL;
    Str error = STR_NULL;
    metric_inc(g->metrics->evaluations);
    int e = rule_eval(r, cx, &res, &samples, &error);
    if (e == 0) {
        send_alerts(r, cx);
        e = write_results(g, r, cx, &samples, ret_written);
        if (e < 0) {
            error = arena_printf(&cx->arena, "results cannot be stored: %s", strerror(-e));
        }
    }
    if (!atomic_load(cx->cancel)) {
        rule_result(g, r, cx->ts, error);
    }
    promql_result_free(res);
    vec_free(&samples);
    arena_reset(&cx->arena);
    r->evaluation_s = (double)(clock_mono_ns() - start) / 1e9;
    metric_observe(g->metrics->rule_duration, r->evaluation_s);
}

static void restore_all(RuleGroup *g, EvalContext *cx) {
    int64_t start = clock_mono_ns(), now = clock_wall_ms();
    for (size_t i = 0; i < g->def->n_rules; i++) {
        Rule *r = &g->rules[i];
        if (r->restored || !r->def->alert.n) {
            continue;
        }
        int e = r->def->for_ms < cx->o->for_grace_period_ms ? 0 : rule_restore(r, cx, now);
        if (e < 0) {
            log_error(COMPONENT, "Failed to restore 'for' state", L_STR("alert", r->def->alert),
                      L_ERR(e));
        }
        r->restored = true;
    }
    metric_set(g->metrics->restore_duration, (double)(clock_mono_ns() - start) / 1e9);
    g->restore = false;
}

void group_evaluate(RuleGroup *g, EvalContext *cx) {
    int64_t start = clock_mono_ns();
    uint64_t written = 0;
    double sum = 0;
    for (size_t i = 0; i < g->def->n_rules && !atomic_load(cx->cancel); i++) {
        evaluate_rule(g, &g->rules[i], cx, &written);
        sum += g->rules[i].evaluation_s;
    }
    write_stale_list(&g->stale, cx->o->storage, cx->ts - cx->query_offset_ms);
    g->evaluations++;
    if (g->restore && g->evaluations >= 2) {
        restore_all(g, cx);
    }
    g->evaluation_s = (double)(clock_mono_ns() - start) / 1e9;
    g->last_evaluation_ms = cx->ts;
    metric_set(g->metrics->last_duration, g->evaluation_s);
    metric_set(g->metrics->last_rule_sum, sum);
    metric_observe(g->metrics->group_duration, g->evaluation_s);
    metric_set(g->metrics->last_evaluation, (double)cx->ts / 1000);
    metric_set(g->metrics->last_samples, (double)written);
}
