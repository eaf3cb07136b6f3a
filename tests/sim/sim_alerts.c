/*
 * A day of alerts in virtual time: targets that flap, rules with for and keep_firing_for, a
 * dispatcher and a receiver that fails at times, reloads, restarts and crashes (all is dropped but
 * the storage and state.mdb), all from one seed. Beside it runs a model of what an operator is
 * promised:
 *
 *   - the rules are in the state that the samples they saw call for;
 *   - who fires for long enough is known to the receiver as firing, whoever has ended as resolved
 *     (where send_resolved is on; else never);
 *   - a notification says something new, or repeat_interval has passed;
 *   - nothing is sent for what has not fired.
 *
 * sim_alerts [SEED...] runs each seed as one TAP test; without one, a random one.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "rules/dispatcher.h"
#include "rules/rule_manager.h"
#include "storage/mem_storage.h"

#define START INT64_C(1700000000000)
#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define TICK (15 * SECOND)
#define TARGETS 8
#define GROUP_WAIT (30 * SECOND)
#define GROUP_INTERVAL (2 * MINUTE)
#define REPEAT HOUR
#define RESOLVE_TIMEOUT (5 * MINUTE)
/* How long a state must hold until the receiver has to know it: the group's next flush, retries of
 * one that began during an outage, and an answer that is slow. */
#define SETTLE (GROUP_WAIT + 2 * GROUP_INTERVAL + MINUTE)

static const char RULES[] =
    "groups:\n- name: g\n  interval: 30s\n  rules:\n"
    "  - {alert: Fast, expr: metric > 5, annotations: {summary: 'at %d'}}\n"
    "  - {alert: Slow, expr: metric > 5, for: 5m}\n"
    "  - {alert: Sticky, expr: metric > 5, for: 1m, keep_firing_for: 10m}\n";
static const char CONFIG[] = "route:\n  receiver: all\n  group_by: [alertname]\n"
                             "  group_wait: 30s\n  group_interval: 2m\n  repeat_interval: 1h\n"
                             "  routes:\n  - {receiver: quiet, matchers: [alertname=Slow]}\n"
                             "receivers:\n"
                             "- {name: all, webhook_configs: [{url: 'http://h/'}]}\n"
                             "- {name: quiet, webhook_configs: [{url: 'http://h/', "
                             "send_resolved: false}]}\n";

enum { FAST, SLOW, STICKY, RULE_COUNT };
static const char *const RULE_NAMES[RULE_COUNT] = {"Fast", "Slow", "Sticky"};
static const int64_t FOR_MS[RULE_COUNT] = {0, 5 * MINUTE, MINUTE};
static const int64_t KEEP_MS[RULE_COUNT] = {0, 0, 10 * MINUTE};

/* One alert as the model has it. */
typedef struct ModelAlert {
    AlertState state;
    int64_t active_since, keep_since;
    int64_t firing_since; /* of the model's firing, or of its not firing */
    int64_t last_fired;
    bool known_firing; /* to the receiver */
    bool in_firing, in_resolved;
} ModelAlert;

/* What the last notification of a group said. */
typedef struct ModelGroup {
    bool firing[TARGETS], resolved[TARGETS];
    int64_t at, answer_at; /* 0 = none yet */
    bool uncertain;        /* the sender ended before it had the answer */
    bool ended;            /* none has fired for a while since */
} ModelGroup;

typedef struct Sim {
    uint64_t seed;
    Rng rng;
    bool failed;
    char dir[64], state_path[128];
    Storage *storage; /* survives everything */
    PromqlEngine *engine;
    Loop *loop;
    WorkPool *queries, *background;
    RuleManager *rules;
    Dispatcher *dispatcher;
    LoopTimer tick;
    double value[TARGETS];
    int64_t flips_at[TARGETS];
    int64_t outage_from, outage_until; /* of the receiver */
    int64_t disturbed;                 /* when delivery last could not do its work */
    int64_t seen_evaluation;
    ModelAlert alerts[RULE_COUNT][TARGETS];
    ModelGroup groups[RULE_COUNT];
    unsigned notifications, reloads, crashes, restarts, refused;
} Sim;

static void PRINTF_LIKE(2, 3) complain(Sim *s, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    printf("# seed %" PRIu64 ", %.3f min: ", s->seed, (double)(clock_wall_ms() - START) / 60000);
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    s->failed = true;
    loop_stop(s->loop);
}

static int64_t between(Sim *s, int64_t low, int64_t high) {
    return low + (int64_t)rng_below(&s->rng, (uint64_t)(high - low + 1));
}

/* ---- the receiver */

typedef struct Call {
    Sim *sim;
    void (*done)(void *arg, HttpCallResult *r);
    void *done_arg;
    int status, rule; /* rule: of what was received; -1: nothing was */
    LoopTimer timer;
} Call;

static void answer(void *arg) {
    Call *c = arg;
    HttpCallResult r = {.outcome = c->status ? HTTP_CALL_OK : HTTP_CALL_FAILED,
                        .error = "connection refused",
                        .status = c->status};
    c->done(c->done_arg, &r);
    mem_free(c);
}

static void note_alert(Sim *s, int rule, int target, bool firing) {
    ModelAlert *a = &s->alerts[rule][target];
    int64_t now = clock_wall_ms();
    if (firing && !a->last_fired) {
        complain(s, "%s %d is sent and has never fired", RULE_NAMES[rule], target);
    }
    if (firing && now - a->last_fired > RESOLVE_TIMEOUT + SETTLE &&
        now - s->disturbed > RESOLVE_TIMEOUT + SETTLE) {
        complain(s, "%s %d is sent long after it fired", RULE_NAMES[rule], target);
    }
    if (!firing && rule == SLOW) {
        complain(s, "a resolution is sent that nobody wants");
    }
    a->known_firing = firing;
    a->in_firing = firing;
    a->in_resolved = !firing;
}

/* True when the notification has something that the one before had not. */
static bool note_group(Sim *s, int rule, int64_t answer_at) {
    ModelGroup *g = &s->groups[rule];
    bool news = !g->at, any = false, had = false; /* had, and now none fires */
    for (int i = 0; i < TARGETS; i++) {
        const ModelAlert *a = &s->alerts[rule][i];
        news |= (a->in_firing && !g->firing[i]) || (a->in_resolved && !g->resolved[i]);
        any |= a->in_firing;
        had |= g->firing[i];
    }
    news |= had && !any;
    news |= g->uncertain || (rule == SLOW && g->ended) || clock_wall_ms() - g->at >= REPEAT;
    *g = (ModelGroup){.at = clock_wall_ms(), .answer_at = answer_at};
    for (int i = 0; i < TARGETS; i++) {
        g->firing[i] = s->alerts[rule][i].in_firing;
        g->resolved[i] = s->alerts[rule][i].in_resolved;
    }
    return news;
}

static void check_rules(Sim *s);

/* The payload's alerts, found by its fixed order of keys. */
static int note_notification(Sim *s, const char *body, int64_t answer_at) {
    static const char MARK[] = "{\"status\":\"";
    int rule = -1;
    check_rules(s); /* the model is up to now */
    for (int r = 0; r < RULE_COUNT; r++) {
        for (int i = 0; i < TARGETS; i++) {
            s->alerts[r][i].in_firing = s->alerts[r][i].in_resolved = false;
        }
    }
    for (const char *p = body; (p = strstr(p, MARK)); p++) {
        char status[16], name[16];
        int target;
        if (sscanf(p + strlen(MARK),
                   "%15[a-z]\",\"labels\":{\"alertname\":\"%15[A-Za-z]\",\"i\":\"%d", status, name,
                   &target) != 3) {
            complain(s, "payload not understood: %s", body);
            return rule;
        }
        for (int r = 0; r < RULE_COUNT; r++) {
            rule = strcmp(name, RULE_NAMES[r]) == 0 ? r : rule;
        }
        note_alert(s, rule, target, strcmp(status, "firing") == 0);
    }
    if (rule < 0) {
        complain(s, "a notification without alerts");
    } else if (!note_group(s, rule, answer_at)) {
        complain(s, "%s is notified again with nothing new", RULE_NAMES[rule]);
    }
    s->notifications++;
    return rule;
}

static void *receive(void *arg, const HttpCallRequest *r,
                     void (*done)(void *arg, HttpCallResult *r), void *done_arg) {
    Sim *s = arg;
    int64_t now = clock_wall_ms(), delay = between(s, 1, 2000);
    bool outage = now >= s->outage_from && now < s->outage_until;
    Call *c = NEW(Call);
    *c = (Call){.sim = s, .done = done, .done_arg = done_arg, .status = 200, .rule = -1};
    if (outage || rng_below(&s->rng, 20) == 0) {
        c->status = rng_below(&s->rng, 2) ? 503 : 0;
        s->refused++;
        s->disturbed = now;
    } else {
        char *body = str_dup(r->body);
        c->rule = note_notification(s, body, now + delay);
        mem_free(body);
    }
    loop_timer_init(&c->timer, s->loop, answer, c);
    loop_timer_after(&c->timer, delay);
    return c;
}

static void receive_cancel(void *call) {
    Call *c = call;
    if (c->rule >= 0) { /* such as at the end of the flush's time */
        c->sim->groups[c->rule].uncertain = true;
    }
    loop_timer_stop(&c->timer);
    mem_free(c);
}

/* The sender forgets what is under way. */
static void disturb(Sim *s) {
    s->disturbed = clock_wall_ms();
    for (int r = 0; r < RULE_COUNT; r++) {
        s->groups[r].uncertain |= s->groups[r].answer_at >= s->disturbed;
    }
}

/* ---- the model of the rules */

static void model_step(ModelAlert *a, int rule, bool high, int64_t ts) {
    bool was = a->state == ALERT_FIRING;
    if (high) {
        a->keep_since = 0;
        if (a->state == ALERT_INACTIVE) {
            a->state = ALERT_PENDING;
            a->active_since = ts;
        }
        if (ts - a->active_since >= FOR_MS[rule]) {
            a->state = ALERT_FIRING;
        }
    } else if (was && KEEP_MS[rule]) {
        a->keep_since = a->keep_since ? a->keep_since : ts;
        a->state = ts - a->keep_since < KEEP_MS[rule] ? ALERT_FIRING : ALERT_INACTIVE;
    } else {
        a->state = ALERT_INACTIVE;
    }
    bool is = a->state == ALERT_FIRING;
    a->firing_since = is == was && a->firing_since ? a->firing_since : ts;
    a->last_fired = is ? ts : a->last_fired;
}

static AlertState state_in(const RuleInfo *r, int target) {
    for (size_t i = 0; i < r->n_alerts; i++) {
        Str at = labels_get(r->alerts[i].labels, STR("i"));
        if (at.n == 1 && at.p[0] - '0' == target) {
            return r->alerts[i].state;
        }
    }
    return ALERT_INACTIVE;
}

/* The rules saw the samples of the last tick. */
static void check_rules(Sim *s) {
    RulesSnapshot *snap = rule_manager_snapshot(s->rules);
    int64_t at = snap->n_groups ? snap->groups[0]->last_evaluation_ms : 0;
    for (int r = 0; at && at != s->seen_evaluation && r < RULE_COUNT; r++) {
        bool any = false;
        for (int i = 0; i < TARGETS; i++) {
            ModelAlert *a = &s->alerts[r][i];
            model_step(a, r, s->value[i] > 5, at);
            AlertState got = state_in(&snap->groups[0]->rules[r], i);
            if (got != a->state) {
                complain(s, "%s %d is %s, must be %s", RULE_NAMES[r], i, alert_state_text(got),
                         alert_state_text(a->state));
            }
            any |= got == ALERT_FIRING;
        }
        s->groups[r].ended |= !any;
    }
    s->seen_evaluation = at ? at : s->seen_evaluation;
    rules_snapshot_unref(snap);
}

static void check_receiver(Sim *s) {
    int64_t now = clock_wall_ms();
    for (int r = 0; r < RULE_COUNT; r++) {
        for (int i = 0; i < TARGETS; i++) {
            const ModelAlert *a = &s->alerts[r][i];
            int64_t settled = now - MAX(a->firing_since, s->disturbed);
            bool firing = a->state == ALERT_FIRING;
            if (firing && !a->known_firing && settled > SETTLE) {
                complain(s, "%s %d fires and nobody was told", RULE_NAMES[r], i);
            }
            if (!firing && a->known_firing && r != SLOW && settled > SETTLE + RESOLVE_TIMEOUT) {
                complain(s, "%s %d has ended and nobody was told", RULE_NAMES[r], i);
            }
        }
    }
}

/* ---- the targets */

static void feed(Sim *s, int64_t now) {
    Appender *app;
    if (storage_appender(s->storage, &app) < 0) {
        complain(s, "no appender");
        return;
    }
    for (int i = 0; i < TARGETS; i++) {
        if (now >= s->flips_at[i]) {
            bool high = s->value[i] > 5;
            /* Mostly long states, sometimes a flap. */
            int64_t longest = rng_below(&s->rng, 3) ? 90 * MINUTE : 3 * MINUTE;
            s->value[i] = high ? 1 : 10;
            s->flips_at[i] = now + between(s, TICK, longest);
        }
        const char digit[] = {(char)('0' + i)};
        const Label l[] = {{LABEL_NAME, STR("metric")}, {STR("i"), str_n(digit, 1)}};
        SeriesRef ref = 0;
        (void)appender_append(app, &ref, (Labels){l, 2}, now, s->value[i]);
    }
    if (appender_commit(app) < 0) {
        complain(s, "commit");
    }
}

static void tick(void *arg) {
    Sim *s = arg;
    check_rules(s);
    check_receiver(s);
    feed(s, clock_wall_ms());
    loop_timer_after(&s->tick, TICK);
}

/* ---- the process: start, reload, stop, crash */

static AmConfig *read_config(Sim *s) {
    AmConfig *c = NULL;
    Problem p = {0};
    if (am_config_parse(str_of(CONFIG), STR("am.yml"), &c, &p) < 0) {
        complain(s, "%s", p.text);
    }
    return c;
}

static void load_rules(Sim *s, bool changed) {
    char text[1024];
    RuleFile *f;
    Problem p = {0};
    snprintf(text, sizeof(text), RULES, changed ? (int)rng_below(&s->rng, 1000) : 0);
    if (rule_file_parse(str_of(text), STR("r.yml"), s->engine, &f, &p) < 0) {
        complain(s, "%s", p.text);
        return;
    }
    rule_manager_update(s->rules, &(RuleManagerConfig){.files = &f, .n_files = 1});
    rule_file_unref(f);
}

static void process_start(Sim *s, int64_t now) {
    DispatcherState *state = NULL;
    Problem p = {0};
    (void)loop_new_virtual(now, &s->loop);
    (void)work_pool_new(s->loop, "query", 1, &s->queries);
    (void)work_pool_new(s->loop, "background", 1, &s->background);
    if (dispatcher_state_open(s->state_path, &state, &p) < 0) {
        complain(s, "%s", p.text);
    }
    s->dispatcher = dispatcher_new(&(DispatcherOptions){.loop = s->loop,
                                                        .background = s->background,
                                                        .transport = {receive, receive_cancel, s},
                                                        .state = state},
                                   read_config(s));
    s->rules = rule_manager_new(&(RuleManagerOptions){.loop = s->loop,
                                                      .pool = s->queries,
                                                      .engine = s->engine,
                                                      .storage = s->storage,
                                                      .sink = dispatcher_sink(s->dispatcher)});
    for (int r = 0; r < RULE_COUNT; r++) { /* for is shorter than the grace period: begins anew */
        for (int i = 0; i < TARGETS; i++) {
            s->alerts[r][i].state = ALERT_INACTIVE;
            s->alerts[r][i].firing_since = s->alerts[r][i].keep_since = 0;
        }
    }
    s->seen_evaluation = 0;
    s->disturbed = now;
    loop_timer_init(&s->tick, s->loop, tick, s);
    feed(s, now);
    loop_timer_after(&s->tick, TICK);
    load_rules(s, false);
}

static void process_drop(Sim *s) {
    loop_timer_stop(&s->tick);
    rule_manager_stop(s->rules);
    work_pool_free(s->queries);
    work_pool_free(s->background);
    rule_manager_free(s->rules);
    dispatcher_free(s->dispatcher);
    loop_free(s->loop);
}

static void nothing(void *arg) {}

static void process_stop(Sim *s) {
    rule_manager_stop(s->rules);
    dispatcher_stop(s->dispatcher, nothing, NULL);
    loop_virtual_run_until(s->loop, clock_wall_ms());
    process_drop(s);
}

static void happening(Sim *s) {
    int64_t now = clock_wall_ms();
    check_rules(s);
    switch (rng_below(&s->rng, 5)) {
    case 0:
        disturb(s);
        process_drop(s);
        s->crashes++;
        process_start(s, now + between(s, 100, 12 * MINUTE));
        break;
    case 1:
        disturb(s);
        process_stop(s);
        s->restarts++;
        process_start(s, now + between(s, 100, 2 * MINUTE));
        break;
    case 2:
        s->outage_from = now;
        s->outage_until = now + between(s, MINUTE, 20 * MINUTE);
        break;
    case 3:
        load_rules(s, true);
        s->reloads++;
        break;
    default:
        disturb(s);
        dispatcher_reload(s->dispatcher, read_config(s));
        load_rules(s, false);
        s->reloads++;
        break;
    }
}

static bool simulate(uint64_t seed) {
    Sim *s = NEW(Sim);
    s->seed = seed;
    rng_init(&s->rng, seed);
    /* In memory where there is such a folder: the disk's syncs would be most of the time. */
    snprintf(s->dir, sizeof(s->dir), "%s/sim_alerts.XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(s->dir)) {
        printf("# no temporary folder\n");
        return false;
    }
    snprintf(s->state_path, sizeof(s->state_path), "%s/state.mdb", s->dir);
    s->storage = mem_storage_new();
    s->engine = promql_engine_new(&(PromqlOptions){0});
    process_start(s, START);
    while (!s->failed && clock_wall_ms() < START + DAY) {
        loop_virtual_run_until(s->loop, clock_wall_ms() + between(s, SECOND, 90 * MINUTE));
        if (!s->failed) {
            happening(s);
        }
    }
    process_stop(s);
    promql_engine_free(s->engine);
    mem_storage_free(s->storage);
    file_remove_tree(s->dir);
    printf("# seed %" PRIu64
           ": %u notifications, %u refused, %u crashes, %u restarts, %u reloads\n",
           seed, s->notifications, s->refused, s->crashes, s->restarts, s->reloads);
    bool ok = !s->failed && s->notifications > 0;
    mem_free(s);
    return ok;
}

int main(int argc, char **argv) {
    int failed = 0, n = argc > 1 ? argc - 1 : 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("1..%d\n", n);
    for (int i = 0; i < n; i++) {
        uint64_t seed = argc > 1 ? strtoull(argv[i + 1], NULL, 10) : random_below(1000000);
        bool ok = simulate(seed);
        printf("%sok %d - seed %" PRIu64 "\n", ok ? "" : "not ", i + 1, seed);
        failed += !ok;
    }
    return failed != 0;
}
