/*
 * Aggregations. Groups are found by the bytes of their labels, once a series. This header is what
 * the foldings (aggregate.c), the selections of series (aggregate_select.c) and the counts of
 * values (aggregate_values.c) share.
 */
#pragma once

#include "promql/engine/eval.h"

typedef struct Grouping {
    Eval *ev;
    const Node *node;
    Scope *scope;
    StrMap map; /* key -> index + 1 */
    Buf key;
    size_t n;
} Grouping;

void grouping_init(Grouping *g, Eval *ev, const Node *node, Scope *scope);
void grouping_deinit(Grouping *g);
/* Index of the group these labels belong to, made if new. */
int grouping_index(Grouping *g, Labels l, size_t *ret, bool *ret_new);
/* Labels of the group. */
int grouping_labels(Grouping *g, Labels l, Labels *ret);

/* The same result in whatever order the series of the storage come: they need not be sorted for it.
 * So it is for counts of a selector's series, filtered by a scalar or not. */
bool aggregate_takes_any_order(const Node *aggregate);
int eval_aggregate_select(Eval *ev, const Node *n, const Grid *g, Sink *out);
int eval_limit(Eval *ev, const Node *n, const Grid *g, Sink *out);
int eval_count_values(Eval *ev, const Node *n, const Grid *g, Sink *out);
void annotate_ignored_in(Eval *ev, const Node *at, AggregateOp op);
