/*
 * The alert state machine (reference, section 6.3), and its restoration after a restart (6.4).
 *
 *               result              for has passed
 *   (nothing) ---------> pending ------------------> firing
 *                           | no result                 | no result, keep_firing_for has passed
 *                           v                           v
 *                        (nothing)                  inactive: kept 15 min to be sent as resolved
 */
#include <math.h>

#include "base/mem.h"
#include "rules/rule.h"

/* ---- templates */

/* The query function of templates: samples at the time of the evaluation. */
static int template_query(void *arg, Str query, int64_t time_ms, Arena *arena, TmplSample **ret,
                          size_t *ret_n, Str *ret_error) {
    const EvalContext *cx = arg;
    PromqlResult *res = rule_query(cx, query);
    int r = 0;
    if (res->outcome != PROMQL_OK) {
        *ret_error = arena_str(arena, str_of(res->error));
        r = -EINVAL;
    } else if (res->type != PROMQL_VECTOR && res->type != PROMQL_SCALAR) {
        *ret_error = STR("rule result is not a vector or scalar");
        r = -EINVAL;
    } else {
        TmplSample *v = ARENA_ARRAY(arena, TmplSample, res->n_series + 1);
        for (size_t i = 0; v && i < res->n_series; i++) {
            const PromqlSeries *s = &res->series[i];
            v[i].labels = labels_copy(arena, s->labels);
            v[i].value = tmpl_float(s->n_floats ? s->floats[s->n_floats - 1] : 0);
        }
        *ret = v;
        *ret_n = res->n_series;
        if (arena->failed) {
            *ret_error = STR("query result is too large for a template");
            r = -EINVAL;
        }
    }
    promql_result_free(res);
    return r;
}

static Str expand(EvalContext *cx, const PromTemplate *t, const PromTemplateData *data) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(4u << 20);
    Arena scratch = ARENA_INIT(64u << 20);
    Str error;
    if (prom_template_expand(t, data, &scratch, &b, &error) < 0) {
        buf_reset(&b);
        buf_addf(&b, "<error expanding template: %.*s>", SA(error));
    }
    arena_deinit(&scratch);
    return arena_str(&cx->arena, buf_str(&b));
}

static Labels alert_labels(const Rule *r, EvalContext *cx, Labels from,
                           const PromTemplateData *data) {
    LabelsBuilder b = {0};
    labels_builder_reset(&b, from);
    labels_builder_del(&b, LABEL_NAME);
    for (size_t i = 0; i < r->def->labels.n; i++) {
        labels_builder_set(&b, r->def->labels.v[i].name, expand(cx, r->label_templates[i], data));
    }
    labels_builder_set(&b, STR("alertname"), r->def->alert);
    Labels l = labels_copy(&cx->arena, labels_builder_view(&b));
    labels_builder_deinit(&b);
    return l;
}

static Labels alert_annotations(const Rule *r, EvalContext *cx, const PromTemplateData *data) {
    size_t n = r->def->annotations.n;
    Label *v = ARENA_ARRAY(&cx->arena, Label, n + 1);
    for (size_t i = 0; i < n; i++) {
        v[i] = (Label){r->def->annotations.v[i].name, expand(cx, r->annotation_templates[i], data)};
    }
    return (Labels){v, n};
}

/* ---- transitions */

static Alert *alert_new(Labels l, Labels annotations, double value, int64_t ts, char *key) {
    Alert *a = NEW(Alert);
    a->info = (AlertInfo){.state = ALERT_PENDING,
                          .labels = labels_dup(l),
                          .annotations = labels_dup(annotations),
                          .value = value,
                          .active_at_ms = ts};
    a->key = key;
    a->in_result = true;
    return a;
}

static void alert_free(Alert *a) {
    mem_free((void *)a->info.labels.v);
    mem_free((void *)a->info.annotations.v);
    mem_free(a->key);
    mem_free(a);
}

/* One element of the result: refreshes the alert it belongs to, or begins one. False: another
 * element had the same labels. */
static bool take_element(Rule *r, EvalContext *cx, const PromqlSeries *s) {
    double value = s->n_floats ? s->floats[s->n_floats - 1] : 0;
    PromTemplateData data = {.labels = s->labels,
                             .external_labels = cx->env->external_labels,
                             .external_url = cx->env->external_url,
                             .path_prefix = cx->env->path_prefix,
                             .value = tmpl_float(value),
                             .time_ms = cx->ts,
                             .query = template_query,
                             .query_arg = cx};
    Labels l = alert_labels(r, cx, s->labels, &data);
    Labels annotations = alert_annotations(r, cx, &data);
    Str key;
    char *owned = rule_labels_key(l, &key);
    Alert *a = str_map_get(&r->alerts, key);
    if (a && a->in_result) {
        mem_free(owned);
        return false;
    }
    if (a && a->info.state != ALERT_INACTIVE) {
        mem_free(owned);
        mem_free((void *)a->info.annotations.v);
        a->info.annotations = labels_dup(annotations);
        a->info.value = value;
        a->in_result = true;
        return true;
    }
    if (a) {
        (void)str_map_del(&r->alerts, key);
        alert_free(a);
    }
    *str_map_put(&r->alerts, str_n(owned, key.n), NULL) =
        alert_new(l, annotations, value, cx->ts, owned);
    return true;
}

static bool keeps_firing(const Rule *r, AlertInfo *i, int64_t ts) {
    if (i->state != ALERT_FIRING || r->def->keep_firing_for_ms <= 0) {
        return false;
    }
    if (!i->keep_firing_since_ms) {
        i->keep_firing_since_ms = ts;
    }
    return ts - i->keep_firing_since_ms < r->def->keep_firing_for_ms;
}

/* What happens to an alert without result; true: it is to be forgotten. */
static bool step_without_result(AlertInfo *i, int64_t ts) {
    bool forget = i->state == ALERT_PENDING ||
                  (i->resolved_at_ms && ts - i->resolved_at_ms > RESOLVED_RETENTION_MS);
    if (i->state != ALERT_INACTIVE) {
        i->state = ALERT_INACTIVE;
        i->resolved_at_ms = ts;
    }
    return forget;
}

static void step_active(const Rule *r, AlertInfo *i, int64_t ts) {
    bool held = ts - i->active_at_ms >= r->def->for_ms;
    if (i->state == ALERT_PENDING && held) {
        i->state = ALERT_FIRING;
        i->fired_at_ms = ts;
    } else if (i->state == ALERT_FIRING && !held) {
        i->state = ALERT_PENDING; /* `for` was raised by a reload */
        i->fired_at_ms = 0;
    }
}

static Labels with_labels(EvalContext *cx, Labels from, Str name, Str state) {
    LabelsBuilder b = {0};
    labels_builder_reset(&b, from);
    labels_builder_set(&b, LABEL_NAME, name);
    if (state.p) {
        labels_builder_set(&b, STR("alertstate"), state);
    }
    Labels l = labels_copy(&cx->arena, labels_builder_view(&b));
    labels_builder_deinit(&b);
    return l;
}

static void add_samples(const AlertInfo *i, EvalContext *cx, RuleSamples *out) {
    Str state = str_of(alert_state_text(i->state));
    RuleSample active = {.labels = with_labels(cx, i->labels, STR("ALERTS"), state), .v = 1};
    RuleSample since = {.labels = with_labels(cx, i->labels, STR("ALERTS_FOR_STATE"), STR_NULL),
                        .v = floor((double)i->active_at_ms / 1000)};
    vec_push(out, active);
    vec_push(out, since);
}

static void alerts_remove(Rule *r, Alert *const *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        Str key;
        char *owned = rule_labels_key(v[i]->info.labels, &key);
        (void)str_map_del(&r->alerts, key);
        mem_free(owned);
        alert_free(v[i]);
    }
}

static size_t step_all(Rule *r, EvalContext *cx, RuleSamples *out) {
    VEC(Alert *) gone = {0};
    size_t active = 0;
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&r->alerts, &i));) {
        Alert *a = e->value;
        if (a->in_result) {
            a->info.keep_firing_since_ms = 0;
            step_active(r, &a->info, cx->ts);
        } else if (!keeps_firing(r, &a->info, cx->ts)) {
            if (step_without_result(&a->info, cx->ts)) {
                vec_push(&gone, a);
            }
            continue;
        }
        a->in_result = false;
        active++;
        if (r->restored) {
            add_samples(&a->info, cx, out);
        }
    }
    alerts_remove(r, gone.v, gone.n);
    vec_free(&gone);
    return active;
}

static void alerts_drop(Rule *r) {
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&r->alerts, &i));) {
        alert_free(e->value);
    }
    str_map_clear(&r->alerts);
}

/* The result is refused as a whole: what it began is taken back. */
static void take_back(Rule *r, int64_t ts) {
    VEC(Alert *) begun = {0};
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&r->alerts, &i));) {
        Alert *a = e->value;
        a->in_result = false;
        if (a->info.state == ALERT_PENDING && a->info.active_at_ms == ts) {
            vec_push(&begun, a);
        }
    }
    alerts_remove(r, begun.v, begun.n);
    vec_free(&begun);
}

int alerting_eval(Rule *r, EvalContext *cx, const PromqlResult *res, RuleSamples *out,
                  Str *ret_error) {
    for (size_t i = 0; i < res->n_series; i++) {
        if (!take_element(r, cx, &res->series[i])) {
            take_back(r, cx->ts);
            *ret_error = STR("vector contains metrics with the same labelset after applying alert "
                             "labels");
            return -EINVAL;
        }
    }
    size_t active = step_all(r, cx, out);
    if (cx->limit > 0 && active > (size_t)cx->limit) {
        alerts_drop(r);
        out->n = 0;
        *ret_error = arena_printf(&cx->arena, "exceeded limit of %lld with %zu alerts",
                                  (long long)cx->limit, active);
        return -EINVAL;
    }
    return 0;
}

/* ---- restoration */

/* The time and value of the newest sample; false when there is none or it is a stale marker. */
static int last_sample(SeriesSet *set, const Series *series, int64_t *ret_t, double *ret_v) {
    SampleIter *it = series_set_iter(set, series, NULL);
    SampleRun run;
    int found = 0, n;
    while ((n = sample_iter_next(it, &run)) > 0) {
        if (run.kind == SAMPLE_FLOAT) {
            *ret_t = run.t[run.n - 1];
            *ret_v = run.f[run.n - 1];
            found = 1;
        }
    }
    sample_iter_free(it);
    return n < 0 ? n : found && !is_stale_nan(*ret_v);
}

static void restore_alert(const Rule *r, const EvalContext *cx, AlertInfo *i, int64_t down_at,
                          double since, int64_t now) {
    int64_t active_at = (int64_t)(since * 1000);
    int64_t remaining = r->def->for_ms - (down_at - active_at);
    if (remaining > 0 && remaining < cx->o->for_grace_period_ms) {
        active_at = now + cx->o->for_grace_period_ms - r->def->for_ms;
    } else if (remaining > 0) {
        active_at += now - down_at;
    }
    i->active_at_ms = active_at;
}

static int restore_from(Rule *r, const EvalContext *cx, SeriesSet *set, int64_t now) {
    Series series;
    int n;
    while ((n = series_set_next(set, &series)) > 0) {
        LabelsBuilder b = {0};
        labels_builder_reset(&b, series.labels);
        labels_builder_del(&b, LABEL_NAME);
        Str key;
        char *owned = rule_labels_key(labels_builder_view(&b), &key);
        Alert *a = str_map_get(&r->alerts, key);
        int64_t t = 0;
        double v = 0;
        int found = a ? last_sample(set, &series, &t, &v) : 0;
        if (found > 0) {
            restore_alert(r, cx, &a->info, t / 1000 * 1000, v, now);
        }
        mem_free(owned);
        labels_builder_deinit(&b);
        if (found < 0) {
            return found;
        }
    }
    return n;
}

int rule_restore(Rule *r, const EvalContext *cx, int64_t now_ms) {
    Querier *q;
    int64_t mint = now_ms - cx->o->outage_tolerance_ms;
    int e = storage_querier(cx->o->storage, mint, now_ms, &q);
    if (e < 0) {
        return err_trace(e);
    }
    Matcher m[2];
    (void)matcher_init(&m[0], MATCH_EQ, LABEL_NAME, STR("ALERTS_FOR_STATE"), NULL);
    (void)matcher_init(&m[1], MATCH_EQ, STR("alertname"), r->def->alert, NULL);
    Arena arena = ARENA_INIT(1u << 20);
    Warnings w = {.arena = &arena};
    SelectHints hints = {.mint = mint, .maxt = now_ms};
    SeriesSet *set;
    e = querier_select(q, m, 2, &hints, &w, &set);
    if (e == 0) {
        e = restore_from(r, cx, set, now_ms);
        series_set_free(set);
    }
    warnings_free(&w);
    arena_deinit(&arena);
    matcher_deinit(&m[0]);
    matcher_deinit(&m[1]);
    querier_close(q);
    return e;
}
