#include "rules/rule.h"

#include "base/clock.h"
#include "base/mem.h"

const char *alert_state_text(AlertState s) {
    return s == ALERT_FIRING ? "firing" : s == ALERT_PENDING ? "pending" : "inactive";
}

const char *rule_health_text(RuleHealth h) {
    return h == RULE_OK ? "ok" : h == RULE_ERR ? "err" : "unknown";
}

void rule_env_init(RuleEnv *e, Labels external_labels, Str external_url) {
    e->external_labels = labels_copy(&e->arena, external_labels);
    e->external_url = arena_str(&e->arena, external_url);
    Str rest = e->external_url;
    size_t scheme = str_find_str(rest, STR("://"));
    rest = scheme < rest.n ? str_from(rest, scheme + 3) : rest;
    e->path_prefix = str_from(rest, str_find(rest, '/'));
}

char *rule_labels_key(Labels l, Str *ret_key) {
    size_t n = 0;
    for (size_t i = 0; i < l.n; i++) {
        n += l.v[i].name.n + l.v[i].value.n + 2;
    }
    char *key = mem_alloc(n + 1), *p = key;
    for (size_t i = 0; i < l.n; i++) {
        p = mempcpy(p, l.v[i].name.p, l.v[i].name.n);
        *p++ = (char)0xff;
        p = mempcpy(p, l.v[i].value.p, l.v[i].value.n);
        *p++ = (char)0xff;
    }
    *ret_key = str_n(key, n);
    return key;
}

Labels labels_dup(Labels l) {
    size_t bytes = 0;
    for (size_t i = 0; i < l.n; i++) {
        bytes += l.v[i].name.n + l.v[i].value.n;
    }
    Label *v = mem_alloc(l.n * sizeof(Label) + bytes + 1);
    char *p = (char *)(v + l.n);
    for (size_t i = 0; i < l.n; i++) {
        v[i].name = str_n(p, l.v[i].name.n);
        p = mempcpy(p, l.v[i].name.p, l.v[i].name.n);
        v[i].value = str_n(p, l.v[i].value.n);
        p = mempcpy(p, l.v[i].value.p ? l.v[i].value.p : "", l.v[i].value.n);
    }
    return (Labels){v, l.n};
}

static PromTemplate **templates_new(const RuleDef *d, Labels l) {
    PromTemplate **v = NEW_ARRAY(PromTemplate *, l.n + 1);
    CLEANUP(buf_deinit) Buf name = BUF_INIT(0);
    buf_addf(&name, "__alert_%.*s", SA(d->alert));
    for (size_t i = 0; i < l.n; i++) {
        Problem p = {0};
        v[i] = prom_template_new(buf_str(&name), l.v[i].value, &p); /* parsed before, at load */
    }
    return v;
}

static void templates_free(PromTemplate **v, Labels l) {
    for (size_t i = 0; v && i < l.n; i++) {
        prom_template_free(v[i]);
    }
    mem_free(v);
}

void rule_init(Rule *r, const RuleDef *def, bool restored) {
    *r = (Rule){.def = def, .restored = restored};
    if (def->alert.n) {
        r->label_templates = templates_new(def, def->labels);
        r->annotation_templates = templates_new(def, def->annotations);
    }
}

static void alert_free(Alert *a) {
    mem_free((void *)a->info.labels.v);
    mem_free((void *)a->info.annotations.v);
    mem_free(a->key);
    mem_free(a);
}

static void alerts_free(StrMap *m) {
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(m, &i));) {
        alert_free(e->value);
    }
    str_map_deinit(m);
}

static void series_free(StrMap *m) {
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(m, &i));) {
        RuleSeries *s = e->value;
        mem_free((void *)s->labels.v);
        mem_free(s->key);
        mem_free(s);
    }
    str_map_deinit(m);
}

void rule_deinit(Rule *r) {
    if (r->label_templates) {
        templates_free(r->label_templates, r->def->labels);
        templates_free(r->annotation_templates, r->def->annotations);
    }
    alerts_free(&r->alerts);
    series_free(&r->series);
    mem_free(r->last_error);
    *r = (Rule){0};
}

void rule_inherit(Rule *r, Rule *old) {
    r->alerts = old->alerts;
    r->series = old->series;
    r->generation = old->generation;
    r->restored = old->restored;
    r->evaluated = old->evaluated;
    r->health = old->health;
    r->last_error = old->last_error;
    r->evaluation_s = old->evaluation_s;
    r->last_evaluation_ms = old->last_evaluation_ms;
    old->alerts = old->series = (StrMap){0};
    old->last_error = NULL;
}

AlertState rule_state(const Rule *r) {
    AlertState max = ALERT_INACTIVE;
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&r->alerts, &i));) {
        const Alert *a = e->value;
        max = MAX(max, a->info.state);
    }
    return max;
}

/* ---- evaluation */

static Labels record_labels(const Rule *r, EvalContext *cx, Labels from) {
    LabelsBuilder b = {0};
    labels_builder_reset(&b, from);
    labels_builder_set(&b, LABEL_NAME, r->def->record);
    for (size_t i = 0; i < r->def->labels.n; i++) {
        labels_builder_set(&b, r->def->labels.v[i].name, r->def->labels.v[i].value);
    }
    Labels l = labels_copy(&cx->arena, labels_builder_view(&b));
    labels_builder_deinit(&b);
    return l;
}

static bool has_duplicates(const RuleSamples *s) {
    StrMap seen = {0};
    VEC(char *) keys = {0};
    bool found = false;
    for (size_t i = 0; i < s->n && !found; i++) {
        Str key;
        vec_push(&keys, rule_labels_key(s->v[i].labels, &key));
        bool fresh;
        *str_map_put(&seen, key, &fresh) = keys.v;
        found = !fresh;
    }
    for (size_t i = 0; i < keys.n; i++) {
        mem_free(keys.v[i]);
    }
    vec_free(&keys);
    str_map_deinit(&seen);
    return found;
}

static int recording_eval(Rule *r, EvalContext *cx, const PromqlResult *res, RuleSamples *out,
                          Str *ret_error) {
    for (size_t i = 0; i < res->n_series; i++) {
        const PromqlSeries *s = &res->series[i];
        RuleSample sample = {.labels = record_labels(r, cx, s->labels)};
        if (s->n_histograms) {
            sample.histogram = s->histograms[s->n_histograms - 1];
        } else if (s->n_floats) {
            sample.v = s->floats[s->n_floats - 1];
        }
        vec_push(out, sample);
    }
    if (has_duplicates(out)) {
        *ret_error = STR("vector contains metrics with the same labelset after applying rule "
                         "labels");
        return -EINVAL;
    }
    if (cx->limit > 0 && out->n > (size_t)cx->limit) {
        *ret_error = arena_printf(&cx->arena, "exceeded limit of %lld with %zu series",
                                  (long long)cx->limit, out->n);
        return -EINVAL;
    }
    return 0;
}

PromqlResult *rule_query(const EvalContext *cx, Str query) {
    int64_t t = cx->ts - cx->query_offset_ms;
    return promql_exec(cx->o->engine, cx->o->storage,
                       &(PromqlRequest){.query = query,
                                        .start_ms = t,
                                        .end_ms = t,
                                        .cancel = cx->cancel,
                                        .origin = &cx->origin});
}

int rule_eval(Rule *r, EvalContext *cx, PromqlResult **ret_result, RuleSamples *out,
              Str *ret_error) {
    PromqlResult *res = rule_query(cx, r->def->expr);
    *ret_result = res;
    if (res->outcome != PROMQL_OK) {
        *ret_error = str_of(res->error ? res->error : "query failed");
        return -EINVAL;
    }
    if (res->type != PROMQL_VECTOR && res->type != PROMQL_SCALAR) {
        *ret_error = STR("rule result is not a vector or scalar");
        return -EINVAL;
    }
    return r->def->alert.n ? alerting_eval(r, cx, res, out, ret_error)
                           : recording_eval(r, cx, res, out, ret_error);
}

/* ---- sending */

static bool needs_sending(const Alert *a, int64_t ts, int64_t resend_delay_ms) {
    const AlertInfo *i = &a->info;
    if (i->state == ALERT_PENDING) {
        return false;
    }
    return i->resolved_at_ms > i->last_sent_ms || i->last_sent_ms + resend_delay_ms < ts;
}

AlertBatch *rule_alerts_to_send(Rule *r, const EvalContext *cx) {
    VEC(Alert *) due = {0};
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&r->alerts, &i));) {
        Alert *a = e->value;
        if (needs_sending(a, cx->ts, cx->o->resend_delay_ms)) {
            vec_push(&due, a);
        }
    }
    if (!due.n) {
        vec_free(&due);
        return NULL;
    }
    AlertBatch *b = alert_batch_new(due.n);
    CLEANUP(buf_deinit) Buf url = BUF_INIT(1 << 20);
    buf_add_str(&url, cx->env->external_url);
    prom_graph_link(&url, r->def->query, 1);
    Str generator = arena_str(&b->arena, buf_str(&url));
    for (size_t i = 0; i < due.n; i++) {
        Alert *a = due.v[i];
        a->info.last_sent_ms = cx->ts;
        a->valid_until_ms = cx->ts + 4 * MAX(cx->interval_ms, cx->o->resend_delay_ms);
        b->v[b->n++] = (NotifyAlert){
            .labels = labels_copy(&b->arena, a->info.labels),
            .annotations = labels_copy(&b->arena, a->info.annotations),
            .starts_at_ms = a->info.fired_at_ms,
            .ends_at_ms = a->info.resolved_at_ms ? a->info.resolved_at_ms : a->valid_until_ms,
            .generator_url = generator,
        };
    }
    vec_free(&due);
    return b;
}

const char *rule_template_function(size_t i) {
    return i < PROM_FUNCS.n ? PROM_FUNCS.v[i].name : NULL;
}
