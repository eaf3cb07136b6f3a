/*
 * The implementations of functions, by family. A vector function pushes its columns; a scalar
 * function fills one value a step; a map changes floats one by one; a range kernel fills the column
 * of one series from its windows.
 */
#pragma once

#include "promql/engine/range_window.h"

typedef int (*VectorFunction)(Eval *ev, const Node *call, const Grid *g, Sink *out);
typedef int (*ScalarFunction)(Eval *ev, const Node *call, const Grid *g, double *ret);
typedef void (*MapFunction)(double *v, size_t n);

/* fn_math.c */
#define MATH_FUNCTIONS(X)                                                                          \
    X(ABS, abs)                                                                                    \
    X(CEIL, ceil)                                                                                  \
    X(FLOOR, floor)                                                                                \
    X(EXP, exp)                                                                                    \
    X(LN, ln)                                                                                      \
    X(LOG2, log2)                                                                                  \
    X(LOG10, log10)                                                                                \
    X(SQRT, sqrt)                                                                                  \
    X(SGN, sgn)                                                                                    \
    X(DEG, deg)                                                                                    \
    X(RAD, rad)                                                                                    \
    X(SIN, sin)                                                                                    \
    X(COS, cos)                                                                                    \
    X(TAN, tan)                                                                                    \
    X(ASIN, asin)                                                                                  \
    X(ACOS, acos)                                                                                  \
    X(ATAN, atan)                                                                                  \
    X(SINH, sinh)                                                                                  \
    X(COSH, cosh)                                                                                  \
    X(TANH, tanh)                                                                                  \
    X(ASINH, asinh)                                                                                \
    X(ACOSH, acosh)                                                                                \
    X(ATANH, atanh)
#define X(id, name) void map_##name(double *v, size_t n);
MATH_FUNCTIONS(X)
#undef X
int call_round(Eval *ev, const Node *call, const Grid *g, Sink *out);
int call_clamp(Eval *ev, const Node *call, const Grid *g, Sink *out);

/* fn_time.c */
int call_date(Eval *ev, const Node *call, const Grid *g, Sink *out);
int call_start_timestamp(Eval *ev, const Node *call, const Grid *g, Sink *out);
int call_timestamp(Eval *ev, const Node *call, const Grid *g, Sink *out);

/* fn_vector.c */
int call_absent(Eval *ev, const Node *call, const Grid *g, Sink *out);
int call_absent_over_time(Eval *ev, const Node *call, const Grid *g, Sink *out);
int call_vector(Eval *ev, const Node *call, const Grid *g, Sink *out);
int call_sort(Eval *ev, const Node *call, const Grid *g, Sink *out);
int call_sort_by_label(Eval *ev, const Node *call, const Grid *g, Sink *out);
int scalar_scalar(Eval *ev, const Node *call, const Grid *g, double *ret);
int scalar_time(Eval *ev, const Node *call, const Grid *g, double *ret);
int scalar_pi(Eval *ev, const Node *call, const Grid *g, double *ret);
int scalar_extreme(Eval *ev, const Node *call, const Grid *g, double *ret);

/* fn_label.c */
int call_label_replace(Eval *ev, const Node *call, const Grid *g, Sink *out);
int call_label_join(Eval *ev, const Node *call, const Grid *g, Sink *out);

/* fn_info.c */
int call_info(Eval *ev, const Node *call, const Grid *g, Sink *out);

/* fn_histogram.c */
int call_histogram_quantile(Eval *ev, const Node *call, const Grid *g, Sink *out);
int call_histogram_quantiles(Eval *ev, const Node *call, const Grid *g, Sink *out);
int call_histogram_fraction(Eval *ev, const Node *call, const Grid *g, Sink *out);
int call_histogram_value(Eval *ev, const Node *call, const Grid *g, Sink *out);

/*
 * Floats changed in place, histograms dropped, the name dropped: what most functions of an instant
 * vector do. change() gets each column before it goes on.
 */
typedef struct MapSink MapSink;
struct MapSink {
    Sink sink;
    Eval *ev;
    const Node *call;
    Sink *next;
    void (*change)(MapSink *m, Column *c);
    DupCheck dup;
    bool check_dup;
    MapFunction map;
    const double *args[2];
};
int eval_map(MapSink *m, const Node *vector, const Grid *g);
