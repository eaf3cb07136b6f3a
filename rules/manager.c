/*
 * When groups run. A timer a group, at its slot; the evaluation itself is a job of the query pool.
 * While it is under way the group is left alone: a reload marks it stopped and lets its successor
 * wait for it.
 */
#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "rules/group.h"

struct RuleManager {
    RuleManagerOptions o;
    char *external_url;
    RuleEnv *env;
    RuleGroup **groups; /* in the order of the snapshot */
    size_t n_groups;
    RuleGroup *retired; /* stopped ones: waiting for their evaluation or their stale markers */
    GroupMetrics *metrics;
    atomic_bool cancel;
    bool started, stopped;
    pthread_mutex_t mutex; /* guards `groups` (the list) and their `snapshot` */
};

/* ---- environment */

static RuleEnv *env_new(const RuleManager *m, Labels external_labels) {
    RuleEnv *e = NEW(RuleEnv);
    e->refs = 1;
    rule_env_init(e, external_labels, m->o.external_url);
    return e;
}

static void env_unref(RuleEnv *e) {
    if (e && --e->refs == 0) {
        arena_deinit(&e->arena);
        mem_free(e);
    }
}

/* ---- evaluation */

typedef struct EvalJob {
    RuleGroup *group;
    EvalContext cx;
    GroupSnapshot *snapshot;
    bool stale_only;
} EvalJob;

static void group_due(void *arg);

static void job_run(void *arg) {
    EvalJob *j = arg;
    if (j->stale_only) {
        group_mark_all_stale(j->group, j->cx.o->storage, j->cx.ts);
        return;
    }
    group_evaluate(j->group, &j->cx);
    j->snapshot = group_snapshot_new(j->group);
}

static void group_start(RuleGroup *g) {
    if (g->manager->stopped || g->stopped) {
        return;
    }
    g->due_ms = group_slot(g, clock_wall_ms()) + g->interval_ms;
    loop_timer_init(&g->timer, g->manager->o.loop, group_due, g);
    loop_timer_at(&g->timer, g->due_ms);
}

static void retired_remove(RuleManager *m, RuleGroup *g) {
    for (RuleGroup **at = &m->retired; *at; at = &(*at)->next) {
        if (*at == g) {
            *at = g->next;
            break;
        }
    }
    group_free(g);
}

static void retired_done(void *arg) {
    EvalJob *j = arg;
    RuleGroup *g = j->group;
    g->running = false;
    arena_deinit(&j->cx.arena);
    mem_free(j);
    retired_remove(g->manager, g);
}

/* The group is gone for good: its series end once its last samples are surely in the past. */
static void retired_due(void *arg) {
    RuleGroup *g = arg;
    RuleManager *m = g->manager;
    EvalJob *j = NEW(EvalJob);
    j->group = g;
    j->stale_only = true;
    j->cx = (EvalContext){.o = &m->o, .cancel = &m->cancel, .ts = clock_wall_ms()};
    g->running = true;
    work_submit(m->o.pool, job_run, retired_done, j);
}

static void snapshot_replace(RuleGroup *g, GroupSnapshot *fresh) {
    pthread_mutex_lock(&g->manager->mutex);
    GroupSnapshot *old = g->snapshot;
    g->snapshot = fresh;
    pthread_mutex_unlock(&g->manager->mutex);
    group_snapshot_unref(old);
}

/* A stopped group whose evaluation has ended hands over, or waits to mark its series. */
static void group_retire(RuleGroup *g) {
    RuleManager *m = g->manager;
    if (g->successor) {
        group_inherit(g->successor, g);
        snapshot_replace(g->successor, group_snapshot_new(g->successor));
        group_start(g->successor);
        retired_remove(m, g);
    } else if (m->stopped) {
        retired_remove(m, g);
    } else {
        loop_timer_init(&g->timer, m->o.loop, retired_due, g);
        loop_timer_after(&g->timer, 2 * g->interval_ms);
    }
}

static void schedule_next(RuleGroup *g) {
    int64_t missed = (clock_wall_ms() - g->due_ms) / g->interval_ms - 1;
    if (missed > 0) {
        metric_add(g->metrics->missed, (double)missed);
        metric_add(g->metrics->iterations, (double)missed);
    }
    g->due_ms += (MAX(missed, 0) + 1) * g->interval_ms;
    loop_timer_at(&g->timer, g->due_ms);
}

static void job_done(void *arg) {
    EvalJob *j = arg;
    RuleGroup *g = j->group;
    RuleManager *m = g->manager;
    g->running = false;
    env_unref(g->env);
    g->env = NULL;
    snapshot_replace(g, j->snapshot);
    arena_deinit(&j->cx.arena);
    mem_free(j);
    if (g->stopped) {
        group_retire(g);
    } else if (!m->stopped) {
        schedule_next(g);
    }
}

static void group_due(void *arg) {
    RuleGroup *g = arg;
    RuleManager *m = g->manager;
    EvalJob *j = NEW(EvalJob);
    j->group = g;
    g->env = m->env;
    g->env->refs++;
    j->cx = (EvalContext){.o = &m->o,
                          .env = g->env,
                          .cancel = &m->cancel,
                          .origin = {.source = PROMQL_SOURCE_RULE,
                                     .rule_file = g->file->path,
                                     .rule_group = g->def->name},
                          .ts = g->due_ms,
                          .query_offset_ms = g->query_offset_ms,
                          .interval_ms = g->interval_ms,
                          .limit = g->def->limit};
    g->running = true;
    metric_inc(g->metrics->iterations);
    work_submit(m->o.pool, job_run, job_done, j);
}

/* ---- life */

RuleManager *rule_manager_new(const RuleManagerOptions *o) {
    RuleManager *m = NEW(RuleManager);
    m->o = *o;
    m->external_url = str_dup(o->external_url);
    m->o.external_url = str_of(m->external_url);
    m->o.resend_delay_ms = o->resend_delay_ms ? o->resend_delay_ms : MINUTE_MS;
    m->o.outage_tolerance_ms = o->outage_tolerance_ms ? o->outage_tolerance_ms : HOUR_MS;
    m->o.for_grace_period_ms = o->for_grace_period_ms ? o->for_grace_period_ms : 10 * MINUTE_MS;
    m->env = env_new(m, LABELS_EMPTY);
    /* Recursive: a reload hands over under it what the end of an evaluation hands over without. */
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&m->mutex, &attr);
    pthread_mutexattr_destroy(&attr);
    return m;
}

static RuleGroup *take_old(RuleManager *m, const RuleFile *f, const RuleGroupDef *d) {
    for (size_t i = 0; i < m->n_groups; i++) {
        RuleGroup *g = m->groups[i];
        if (g && str_eq(g->file->path, f->path) && str_eq(g->def->name, d->name)) {
            m->groups[i] = NULL;
            return g;
        }
    }
    return NULL;
}

/* A group that still waits for the one before it never ran: its place in line goes on. */
static bool pass_on(RuleManager *m, RuleGroup *old, RuleGroup *successor) {
    for (RuleGroup *p = m->retired; p; p = p->next) {
        if (p->successor == old) {
            p->successor = successor;
            group_free(old);
            return true;
        }
    }
    return false;
}

static void group_stop(RuleManager *m, RuleGroup *old, RuleGroup *successor) {
    loop_timer_stop(&old->timer);
    if (pass_on(m, old, successor)) {
        return;
    }
    old->stopped = true;
    old->successor = successor;
    old->next = m->retired;
    m->retired = old;
    if (!old->running) {
        group_retire(old);
    }
}

static RuleGroup *update_group(RuleManager *m, const RuleManagerConfig *c, RuleFile *f,
                               const RuleGroupDef *d) {
    int64_t interval = d->interval_ms              ? d->interval_ms
                       : c->evaluation_interval_ms ? c->evaluation_interval_ms
                                                   : MINUTE_MS;
    int64_t offset = d->has_query_offset ? d->query_offset_ms : c->query_offset_ms;
    RuleGroup *old = take_old(m, f, d);
    if (old && group_same(old, f, d, interval, offset)) {
        return old;
    }
    RuleGroup *g = group_new(m, &m->metrics, f, d, interval, offset, !m->started);
    if (old) {
        group_stop(m, old, g);
    } else {
        group_start(g);
    }
    return g;
}

/* Files in order of their path, so that the snapshot is. */
static void sort_files(RuleFile **v, size_t n) {
    for (size_t i = 1; i < n; i++) {
        RuleFile *f = v[i];
        size_t k = i;
        for (; k && str_cmp(v[k - 1]->path, f->path) > 0; k--) {
            v[k] = v[k - 1];
        }
        v[k] = f;
    }
}

void rule_manager_update(RuleManager *m, const RuleManagerConfig *c) {
    env_unref(m->env);
    m->env = env_new(m, c->external_labels);
    RuleFile **files = NEW_ARRAY(RuleFile *, c->n_files + 1);
    size_t n = 0;
    for (size_t i = 0; i < c->n_files; i++) {
        files[i] = c->files[i];
        n += files[i]->n_groups;
    }
    sort_files(files, c->n_files);
    RuleGroup **groups = NEW_ARRAY(RuleGroup *, n + 1);
    n = 0;
    pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; i < c->n_files; i++) {
        for (size_t k = 0; k < files[i]->n_groups; k++) {
            groups[n++] = update_group(m, c, files[i], &files[i]->groups[k]);
        }
    }
    RuleGroup **old = m->groups;
    size_t n_old = m->n_groups;
    m->groups = groups;
    m->n_groups = n;
    pthread_mutex_unlock(&m->mutex);
    for (size_t i = 0; i < n_old; i++) {
        if (old[i]) {
            group_stop(m, old[i], NULL);
        }
    }
    mem_free(old);
    mem_free(files);
    m->started = true;
}

void rule_manager_stop(RuleManager *m) {
    m->stopped = true;
    atomic_store(&m->cancel, true);
    for (size_t i = 0; i < m->n_groups; i++) {
        loop_timer_stop(&m->groups[i]->timer);
    }
    for (RuleGroup *g = m->retired, *next; g; g = next) {
        next = g->next;
        loop_timer_stop(&g->timer);
        if (!g->running) {
            g->successor = NULL;
            retired_remove(m, g);
        }
    }
}

void rule_manager_free(RuleManager *m) {
    if (!m) {
        return;
    }
    while (m->retired) {
        retired_remove(m, m->retired);
    }
    for (size_t i = 0; i < m->n_groups; i++) {
        group_free(m->groups[i]);
    }
    mem_free(m->groups);
    env_unref(m->env);
    pthread_mutex_destroy(&m->mutex);
    mem_free(m->external_url);
    mem_free(m);
}

RulesSnapshot *rule_manager_snapshot(RuleManager *m) {
    pthread_mutex_lock(&m->mutex);
    GroupSnapshot **v = NEW_ARRAY(GroupSnapshot *, m->n_groups + 1);
    for (size_t i = 0; i < m->n_groups; i++) {
        v[i] = m->groups[i]->snapshot;
    }
    RulesSnapshot *s = rules_snapshot_new(v, m->n_groups);
    pthread_mutex_unlock(&m->mutex);
    mem_free(v);
    return s;
}
