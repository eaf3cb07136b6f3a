/* Functions of each value by itself. */
#include "promql/engine/call.h"

#define MAP(name, expr)                                                                            \
    void map_##name(double *v, size_t n) {                                                         \
        for (size_t i = 0; i < n; i++) {                                                           \
            double x = v[i];                                                                       \
            v[i] = (expr);                                                                         \
        }                                                                                          \
    }

MAP(abs, fabs(x))
MAP(ceil, ceil(x))
MAP(floor, floor(x))
MAP(exp, exp(x))
MAP(ln, log(x))
MAP(log2, log2(x))
MAP(log10, log10(x))
MAP(sqrt, sqrt(x))
MAP(sgn, x<0 ? -1 : x> 0 ? 1 : x)
MAP(deg, x * 180 / M_PI)
MAP(rad, x *M_PI / 180)
MAP(sin, sin(x))
MAP(cos, cos(x))
MAP(tan, tan(x))
MAP(asin, asin(x))
MAP(acos, acos(x))
MAP(atan, atan(x))
MAP(sinh, sinh(x))
MAP(cosh, cosh(x))
MAP(tanh, tanh(x))
MAP(asinh, asinh(x))
MAP(acosh, acosh(x))
MAP(atanh, atanh(x))

/* Ties go up; the inverse loses fewer digits. */
static void change_round(MapSink *m, Column *c) {
    for (size_t i = 0; i < c->n; i++) {
        double inverse = 1.0 / (m->args[0] ? m->args[0][i] : 1);
        c->v[i] = floor(c->v[i] * inverse + 0.5) / inverse;
    }
}

static void change_clamp(MapSink *m, Column *c) {
    for (size_t i = 0; i < c->n; i++) {
        double min = m->args[0] ? m->args[0][i] : -INFINITY;
        double max = m->args[1] ? m->args[1][i] : INFINITY;
        if (max < min)
            c->kind[i] = CELL_NONE;
        else
            c->v[i] = go_max(min, go_min(max, c->v[i]));
    }
}

static int map_with_args(MapSink *m, const Grid *g, const int *slots) {
    const Node *call = m->call;
    Scope scope;
    scope_init(&scope, m->ev);
    int r = 0;
    for (size_t i = 1; i < call->call.n_args && r == 0; i++) {
        m->args[slots[i - 1]] = eval_scalar_column(m->ev, &scope, call->call.args[i], g);
        r = m->args[slots[i - 1]] ? 0 : -EINVAL;
    }
    if (r == 0)
        r = eval_map(m, call->call.args[0], g);
    scope_deinit(&scope);
    return r;
}

int call_round(Eval *ev, const Node *call, const Grid *g, Sink *out) {
    MapSink m = {.ev = ev, .call = call, .next = out, .change = change_round};
    return map_with_args(&m, g, (const int[]){0});
}

int call_clamp(Eval *ev, const Node *call, const Grid *g, Sink *out) {
    MapSink m = {.ev = ev, .call = call, .next = out, .change = change_clamp};
    bool max = call->call.function->id == FN_CLAMP_MAX;
    return map_with_args(&m, g, max ? (const int[]){1, 0} : (const int[]){0, 1});
}
