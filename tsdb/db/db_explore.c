/* Where the head's series come from, and how that has changed: the maintenance remembers every few
 * minutes how many each of the largest metrics had. */
#include "base/clock.h"
#include "base/map.h"
#include "tsdb/db/db.h"

#define MINUTE_NS (60 * INT64_C(1000000000))
#define HOUR_NS (60 * MINUTE_NS)
#define REMEMBER_EVERY_NS (5 * MINUTE_NS)
/* Metrics of a moment that are remembered; a smaller one counts as 0 then. */
#define METRICS_REMEMBERED 2000

static void forget(DbMetricCounts *c) {
    arena_deinit(&c->arena);
    *c = (DbMetricCounts){0};
}

void db_explore_deinit(Tsdb *db) {
    for (size_t i = 0; i < DB_METRIC_COUNTS; i++) {
        forget(&db->metric_counts[i]);
    }
    pthread_mutex_destroy(&db->metric_counts_lock);
}

void db_explore_remember(Tsdb *db) {
    int64_t now = clock_mono_ns();
    DbMetricCounts c = {.at_ns = now, .arena = ARENA_INIT(0)}, *newest;
    TsdbCardinality all;
    pthread_mutex_lock(&db->metric_counts_lock);
    newest = db->n_metric_counts ? &db->metric_counts[(db->n_metric_counts - 1) % DB_METRIC_COUNTS]
                                 : NULL;
    bool due = !newest || now - newest->at_ns >= REMEMBER_EVERY_NS;
    pthread_mutex_unlock(&db->metric_counts_lock);
    if (!due || head_cardinality(db->head, METRICS_REMEMBERED, &c.arena, &all) < 0) {
        arena_deinit(&c.arena);
        return;
    }
    c.v = all.series_by_metric;
    c.n = all.n_series_by_metric;
    pthread_mutex_lock(&db->metric_counts_lock);
    DbMetricCounts *oldest = &db->metric_counts[db->n_metric_counts++ % DB_METRIC_COUNTS];
    forget(oldest);
    *oldest = c;
    pthread_mutex_unlock(&db->metric_counts_lock);
}

/* What was remembered an hour ago; of a younger server the oldest. */
static const DbMetricCounts *hour_ago(const Tsdb *db) {
    const DbMetricCounts *best = NULL;
    int64_t then = clock_mono_ns() - HOUR_NS;
    for (size_t i = 0; i < DB_METRIC_COUNTS; i++) {
        const DbMetricCounts *c = &db->metric_counts[i];
        if (!c->v) {
            continue;
        }
        bool older = best && c->at_ns < best->at_ns;
        if (!best || (older && best->at_ns > then) || (!older && c->at_ns <= then)) {
            best = c;
        }
    }
    return best;
}

static void add_growth(const Tsdb *db, TsdbExplored *ret) {
    const DbMetricCounts *then = hour_ago(db);
    if (!then) {
        return;
    }
    StrMap map = {0};
    for (size_t i = 0; i < then->n; i++) {
        *str_map_put(&map, then->v[i].name, NULL) = &then->v[i];
    }
    ret->growth_seconds = (double)(clock_mono_ns() - then->at_ns) / 1e9;
    for (size_t i = 0; i < ret->n_metrics; i++) {
        const TsdbCount *c = str_map_get(&map, ret->metrics[i].name);
        ret->metrics[i].growth = (int64_t)ret->metrics[i].series - (c ? (int64_t)c->value : 0);
    }
    str_map_deinit(&map);
}

int tsdb_explore(Tsdb *db, const TsdbSelector *sets, size_t n, size_t limit, Arena *a,
                 TsdbExplored *ret) {
    int r = head_explore(db->head, sets, n, limit, a, ret);
    if (r == 0 && n == 0) {
        pthread_mutex_lock(&db->metric_counts_lock);
        add_growth(db, ret);
        pthread_mutex_unlock(&db->metric_counts_lock);
    }
    return r;
}
