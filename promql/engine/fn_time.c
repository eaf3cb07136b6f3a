/* Parts of dates in UTC, and the time of samples. */
#include "promql/engine/call.h"

typedef struct Date {
    int64_t year;
    int month, day; /* from 1 */
} Date;

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

/* Days since 1970 to a date; eras of 400 years begin in March (Howard Hinnant, "chrono-Compatible
 * Low-Level Date Algorithms"). */
static Date date_of_days(int64_t days) {
    int64_t z = days + 719468, era = floor_div(z, 146097), doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    Date d = {yoe + era * 400, (int)(mp < 10 ? mp + 3 : mp - 9),
              (int)(doy - (153 * mp + 2) / 5 + 1)};
    d.year += d.month <= 2;
    return d;
}

static bool is_leap(int64_t y) { return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0; }

static int day_of_year(Date d) {
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    return before[d.month - 1] + d.day + (d.month > 2 && is_leap(d.year));
}

static int days_in_month(Date d) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[d.month - 1] + (d.month == 2 && is_leap(d.year));
}

typedef struct Instant {
    int64_t days, second; /* since 1970, of the day */
} Instant;

static Instant instant_of(int64_t t) {
    int64_t days = floor_div(t, 86400);
    return (Instant){days, t - days * 86400};
}

static double date_part(FunctionId id, Instant t) {
    switch (id) {
    case FN_HOUR: return (double)(t.second / 3600);
    case FN_MINUTE: return (double)(t.second / 60 % 60);
    case FN_DAY_OF_WEEK: return (double)(((t.days + 4) % 7 + 7) % 7); /* 1970 began on a Thursday */
    default: break;
    }
    Date d = date_of_days(t.days);
    switch (id) {
    case FN_YEAR: return (double)d.year;
    case FN_MONTH: return d.month;
    case FN_DAY_OF_MONTH: return d.day;
    case FN_DAY_OF_YEAR: return day_of_year(d);
    default: return days_in_month(d);
    }
}

/* What 64 bits of seconds cannot hold, NaN too, is second 2^63: so Go's conversion on amd64 and its
 * calendar come together. */
static Instant instant_of_value(double v) {
    if (v >= -0x1p63 && v < 0x1p63)
        return instant_of((int64_t)v);
    uint64_t t = UINT64_C(1) << 63;
    return (Instant){(int64_t)(t / 86400), (int64_t)(t % 86400)};
}

static void change_date(MapSink *m, Column *c) {
    FunctionId id = m->call->call.function->id;
    for (size_t i = 0; i < c->n; i++)
        if (c->kind[i])
            c->v[i] = date_part(id, instant_of_value(c->v[i]));
}

static int date_of_evaluation(Eval *ev, const Node *call, const Grid *g, Sink *out) {
    Scope scope;
    scope_init(&scope, ev);
    Column *c = column_new(&scope, g->n);
    int r = c ? 0 : -EINVAL;
    for (size_t i = 0; c && i < g->n; i++) {
        c->kind[i] = CELL_FLOAT;
        c->v[i] = date_part(call->call.function->id, instant_of(grid_time(g, i) / 1000));
    }
    if (c)
        r = out->push(out, c);
    scope_deinit(&scope);
    return r;
}

int call_date(Eval *ev, const Node *call, const Grid *g, Sink *out) {
    if (!call->call.n_args)
        return date_of_evaluation(ev, call, g, out);
    MapSink m = {.ev = ev, .call = call, .next = out, .change = change_date};
    return eval_map(&m, call->call.args[0], g);
}

/* ---- timestamp() */

typedef struct TimestampSink {
    Sink sink;
    Eval *ev;
    const Grid *grid;
    Sink *next;
    DupCheck dup;
    bool check_dup, of_samples;
} TimestampSink;

static int timestamp_push(Sink *s, Column *c) {
    TimestampSink *k = (TimestampSink *)s;
    for (size_t i = 0; i < c->n && !k->of_samples; i++) {
        c->v[i] = (double)grid_time(k->grid, i) / 1000;
        c->kind[i] = c->kind[i] ? CELL_FLOAT : CELL_NONE;
    }
    c->h = NULL;
    if (column_drop_name(k->ev, c) < 0 ||
        (k->check_dup && dup_check_add(&k->dup, c, 0, false, SAME_LABELSET) < 0))
        return -EINVAL;
    return k->next->push(k->next, c);
}

/* Takes the values of an expression: it may still fail. */
static int ignore_push(Sink *s, Column *c) {
    (void)s;
    (void)c;
    return 0;
}

static int times_of(Eval *ev, const Node *arg, const Grid *g, SelectorCells what, Sink *out) {
    Scope scope;
    scope_init(&scope, ev);
    TimestampSink k = {.sink = {timestamp_push}, .ev = ev, .grid = g, .next = out};
    k.of_samples = arg->kind == NODE_VECTOR_SELECTOR && !arg->vector.smoothed;
    k.check_dup = !ev->o->delayed_name_removal && !name_is_pinned(ev, arg);
    dup_check_init(&k.dup, &scope);
    int r = k.of_samples ? selector_columns(ev, arg, g, what, &k.sink)
                         : eval_vector(ev, arg, g, &k.sink);
    dup_check_deinit(&k.dup);
    scope_deinit(&scope);
    return r;
}

int call_timestamp(Eval *ev, const Node *call, const Grid *g, Sink *out) {
    return times_of(ev, call->call.args[0], g, SELECTOR_TIMES, out);
}

/* Only samples as they are stored have one. */
int call_start_timestamp(Eval *ev, const Node *call, const Grid *g, Sink *out) {
    const Node *arg = call->call.args[0];
    Sink ignore = {ignore_push};
    if (!ev->o->start_timestamps || arg->kind != NODE_VECTOR_SELECTOR || arg->vector.smoothed)
        return eval_vector(ev, arg, g, &ignore);
    return times_of(ev, arg, g, SELECTOR_STARTS, out);
}
