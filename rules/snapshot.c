/* Copies of the state of groups for those who show it. */
#include <stdlib.h>

#include "base/mem.h"
#include "rules/group.h"

static int alert_cmp(const void *a, const void *b) {
    return labels_cmp(((const AlertInfo *)a)->labels, ((const AlertInfo *)b)->labels);
}

static void snapshot_alerts(const Rule *r, Arena *a, RuleInfo *info) {
    AlertInfo *v = ARENA_ARRAY(a, AlertInfo, r->alerts.n + 1);
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&r->alerts, &i));) {
        const AlertInfo *from = &((const Alert *)e->value)->info;
        if (from->state == ALERT_INACTIVE) {
            continue;
        }
        AlertInfo *to = &v[info->n_alerts++];
        *to = *from;
        to->labels = labels_copy(a, from->labels);
        to->annotations = labels_copy(a, from->annotations);
    }
    qsort(v, info->n_alerts, sizeof(*v), alert_cmp);
    info->alerts = v;
}

/* Names and texts stay in the rule file, which the snapshot does not hold: they are copied. */
static RuleInfo snapshot_rule(const Rule *r, Arena *a) {
    const RuleDef *d = r->def;
    RuleInfo info = {
        .alerting = d->alert.n > 0,
        .evaluated = r->evaluated,
        .state = rule_state(r),
        .name = arena_str(a, d->alert.n ? d->alert : d->record),
        .query = arena_str(a, d->query),
        .for_s = (double)d->for_ms / 1000,
        .keep_firing_for_s = (double)d->keep_firing_for_ms / 1000,
        .labels = labels_copy(a, d->labels),
        .annotations = labels_copy(a, d->annotations),
        .health = r->health,
        .last_error = r->last_error ? arena_str(a, str_of(r->last_error)) : STR(""),
        .evaluation_time_s = r->evaluation_s,
        .last_evaluation_ms = r->last_evaluation_ms,
    };
    snapshot_alerts(r, a, &info);
    return info;
}

GroupSnapshot *group_snapshot_new(const RuleGroup *g) {
    GroupSnapshot *s = NEW(GroupSnapshot);
    atomic_init(&s->refs, 1);
    RuleInfo *rules = ARENA_ARRAY(&s->arena, RuleInfo, g->def->n_rules + 1);
    for (size_t i = 0; i < g->def->n_rules; i++) {
        rules[i] = snapshot_rule(&g->rules[i], &s->arena);
    }
    s->info = (RuleGroupInfo){
        .name = arena_str(&s->arena, g->def->name),
        .file = arena_str(&s->arena, g->file->path),
        .interval_s = (double)g->interval_ms / 1000,
        .limit = g->def->limit,
        .rules = rules,
        .n_rules = g->def->n_rules,
        .evaluation_time_s = g->evaluation_s,
        .last_evaluation_ms = g->last_evaluation_ms,
    };
    return s;
}

void group_snapshot_unref(GroupSnapshot *s) {
    if (s && atomic_fetch_sub(&s->refs, 1) == 1) {
        arena_deinit(&s->arena);
        mem_free(s);
    }
}

typedef struct CountedSnapshot {
    RulesSnapshot snapshot;
    GroupSnapshot **groups;
} CountedSnapshot;

RulesSnapshot *rules_snapshot_new(GroupSnapshot *const *groups, size_t n) {
    CountedSnapshot *s = NEW(CountedSnapshot);
    s->groups = NEW_ARRAY(GroupSnapshot *, n + 1);
    const RuleGroupInfo **v = NEW_ARRAY(const RuleGroupInfo *, n + 1);
    for (size_t i = 0; i < n; i++) {
        atomic_fetch_add(&groups[i]->refs, 1);
        s->groups[i] = groups[i];
        v[i] = &groups[i]->info;
    }
    s->snapshot = (RulesSnapshot){v, n};
    return &s->snapshot;
}

void rules_snapshot_unref(RulesSnapshot *snapshot) {
    if (!snapshot) {
        return;
    }
    CountedSnapshot *s = CONTAINER_OF(snapshot, CountedSnapshot, snapshot);
    for (size_t i = 0; i < s->snapshot.n_groups; i++) {
        group_snapshot_unref(s->groups[i]);
    }
    mem_free((void *)s->snapshot.groups);
    mem_free(s->groups);
    mem_free(s);
}
