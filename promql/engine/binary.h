/* Operators: cells of two columns against each other, and the join of two vectors. */
#pragma once

#include "promql/engine/eval.h"

bool op_is_comparison(BinaryOp op);
/* Arithmetic changes what a metric means, so its name goes. */
bool op_drops_name(BinaryOp op);

typedef struct BinaryCells {
    Eval *ev;
    const Node *node;
    Scope *scope;    /* for histograms that come out */
    bool keep_right; /* a comparison that filters keeps the right value: scalar < vector */
} BinaryCells;

/* out may be either side. */
int binary_cells(const BinaryCells *b, const Column *l, const Column *r, Column *out);

/* One pair with a histogram in it (or float operands of a trim operator): the cell that comes out,
 * with its value. */
typedef struct BinaryValue {
    uint8_t kind;
    double v;
    const FloatHistogram *h;
} BinaryValue;
int native_pair(const BinaryCells *b, const BinaryValue *l, const BinaryValue *r, BinaryValue *ret);

/* Vector and vector, but for set operators. */
int eval_join(Eval *ev, const Node *n, const Grid *g, Sink *out);
