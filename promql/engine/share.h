/*
 * Parts of a query that stand in it more than once, word for word, are evaluated once: the columns
 * of the first evaluation are kept for the others, up to a ceiling of memory; beyond it each is
 * evaluated for itself. So it is too where the times differ (in a subquery) or where there was
 * something to warn of, as warnings tell their places. Owned by the query's own thread.
 */
#pragma once

#include "promql/engine/eval.h"

typedef struct Shares Shares;

/* Marks the parts of a planned tree that repeat. NULL when there are none, or on failure, which the
 * query has noted. */
Shares *shares_find(Eval *ev, Node *root);
void shares_free(Shares *s);
/* A marked node: `evaluate` is how it is done without sharing. */
int shares_eval(Eval *ev, const Node *n, const Grid *g, Sink *out,
                int (*evaluate)(Eval *ev, const Node *n, const Grid *g, Sink *out));
