#include "rules/rule_run.h"

#include "base/mem.h"
#include "rules/group.h"

#define INTERVAL_MS 60000

struct RuleRun {
    RuleManagerOptions o;
    RuleEnv env;
    RuleGroup **groups;
    size_t n;
    GroupMetrics *metrics;
    atomic_bool cancel;
};

static size_t count_groups(const RuleRunOptions *o) {
    size_t n = 0;
    for (size_t i = 0; i < o->n_files; i++) {
        n += o->files[i]->n_groups;
    }
    return n;
}

static void add_group(RuleRun *r, const RuleRunOptions *o, RuleFile *file, const RuleGroupDef *d) {
    int64_t interval = o->evaluation_interval_ms ? o->evaluation_interval_ms : INTERVAL_MS;
    r->groups[r->n++] =
        group_new(NULL, &r->metrics, file, d, d->interval_ms ? d->interval_ms : interval, 0, false);
}

static size_t place(const RuleRunOptions *o, Str group) {
    size_t i = 0;
    while (i < o->n_order && !str_eq(o->order[i], group)) {
        i++;
    }
    return i;
}

/* Those that the order names come first; the others keep theirs. */
static void add_groups(RuleRun *r, const RuleRunOptions *o) {
    for (size_t at = 0; at <= o->n_order; at++) {
        for (size_t f = 0; f < o->n_files; f++) {
            for (size_t g = 0; g < o->files[f]->n_groups; g++) {
                const RuleGroupDef *d = &o->files[f]->groups[g];
                if (place(o, d->name) == at) {
                    add_group(r, o, o->files[f], d);
                }
            }
        }
    }
}

RuleRun *rule_run_new(const RuleRunOptions *o) {
    RuleRun *r = NEW(RuleRun);
    r->o = (RuleManagerOptions){
        .engine = o->engine, .storage = o->storage, .resend_delay_ms = INTERVAL_MS};
    rule_env_init(&r->env, o->external_labels, o->external_url);
    r->groups = NEW_ARRAY(RuleGroup *, count_groups(o) + 1);
    add_groups(r, o);
    return r;
}

void rule_run_free(RuleRun *r) {
    if (!r) {
        return;
    }
    for (size_t i = 0; i < r->n; i++) {
        group_free(r->groups[i]);
    }
    mem_free(r->groups);
    arena_deinit(&r->env.arena);
    mem_free(r);
}

size_t rule_run_evaluate(RuleRun *r, int64_t t) {
    size_t failed = 0;
    for (size_t i = 0; i < r->n; i++) {
        RuleGroup *g = r->groups[i];
        EvalContext cx = {.o = &r->o,
                          .env = &r->env,
                          .cancel = &r->cancel,
                          .ts = t,
                          .interval_ms = g->interval_ms,
                          .limit = g->def->limit};
        group_evaluate(g, &cx);
        arena_deinit(&cx.arena);
        for (size_t k = 0; k < g->def->n_rules; k++) {
            failed += g->rules[k].last_error != NULL;
        }
    }
    return failed;
}

RulesSnapshot *rule_run_snapshot(const RuleRun *r) {
    GroupSnapshot **v = NEW_ARRAY(GroupSnapshot *, r->n + 1);
    for (size_t i = 0; i < r->n; i++) {
        v[i] = group_snapshot_new(r->groups[i]);
    }
    RulesSnapshot *s = rules_snapshot_new(v, r->n);
    for (size_t i = 0; i < r->n; i++) {
        group_snapshot_unref(v[i]);
    }
    mem_free(v);
    return s;
}
