/*
 * What a query's nodes cost, for EXPLAIN: a stopwatch that always runs for one node of the tree. It
 * is handed over when a node begins to evaluate another, when it gives a column on to whoever asked
 * for it, and back. So a node's own time is what its own work took, also where columns are pushed
 * through many nodes at once. The query's own thread only; what helpers did is not counted as time.
 *
 * Off (ev->profile NULL) it costs a comparison a column.
 */
#pragma once

#include "promql/engine/eval.h"

typedef struct NodeProfile {
    uint64_t series;             /* given on */
    uint64_t samples;            /* read by this node */
    unsigned threads;            /* that took part; 0 and 1: one */
    unsigned evaluations_shared; /* taken over from one of so many equal parts */
    unsigned sharing;            /* selectors that share this one's selection */
    int64_t self_ns;
} NodeProfile;

typedef struct Profile {
    Arena arena;
    StrMap nodes; /* by address -> NodeProfile */
    NodeProfile *current;
    int64_t since_ns;
} Profile;

/* For all nodes of a planned tree. */
Profile *profile_new(const Node *root);
void profile_free(Profile *p);
/* The plan with what was measured, in the arena; NULL when that is full. */
const PromqlPlanNode *profile_plan(const Profile *p, const Node *root, Str query, Arena *a);

/* Of the node, or of the selector around it; NULL when nothing is measured. */
NodeProfile *profile_of(Eval *ev, const Node *n);
/* The stopwatch runs for `to` from now on; returns for whom it ran. */
NodeProfile *profile_hand(Eval *ev, NodeProfile *to);
static inline NodeProfile *profile_enter(Eval *ev, const Node *n) {
    return ev->profile ? profile_hand(ev, profile_of(ev, n)) : NULL;
}
static inline void profile_leave(Eval *ev, NodeProfile *outer) {
    if (ev->profile)
        (void)profile_hand(ev, outer);
}
/* A column is given on to `outer`: between the two calls its time is measured. */
static inline NodeProfile *profile_give(Eval *ev, NodeProfile *outer) {
    return ev->profile ? profile_hand(ev, outer) : NULL;
}
