/* Operators: cells of two columns against each other, and the join of two vectors. */
#pragma once

#include "promql/engine/eval.h"

bool op_is_comparison(BinaryOp op);
/* Arithmetic changes what a metric means, so its name goes. */
bool op_drops_name(BinaryOp op);

typedef struct BinaryCells {
    Eval *ev;
    const Node *node;
    size_t n;
    bool keep_right; /* a comparison that filters keeps the right value: scalar < vector */
} BinaryCells;

/* out may be either side's column. Histogram cells never come out. */
int binary_cells(const BinaryCells *b, const uint8_t *lk, const double *l, const uint8_t *rk,
                 const double *r, Column *out);

/* Vector and vector, but for set operators. */
int eval_join(Eval *ev, const Node *n, const Grid *g, Sink *out);
