/* What the commands that ask a server have in common: times of flags, asking, and telling what is
 * wrong with an expression. */
#pragma once

#include "format/json.h"
#include "nartool/nartool.h"
#include "nartool/result.h"

/* A question to the query API. */
typedef struct Query {
    Str server, expr;
    bool range;
    int64_t start_ms, end_ms; /* an instant query is at end_ms */
    int64_t step_ms;
} Query;

/* The moment of the command: all relative times of one command line count from it. */
int64_t query_now_ms(void);
/* A later moment, for commands that ask again. */
void query_set_now(int64_t ms);
/* Unix seconds, RFC3339, "now", or "-1h"; false when it is told what is wrong. */
bool query_parse_time(const char *name, Str text, int64_t fallback_ms, int64_t *ret_ms);
bool query_take_time(Args *a, const char *name, int64_t fallback_ms, int64_t *ret_ms);
/* Seconds or "15s"; 0 when absent. */
bool query_take_step(Args *a, const char *name, int64_t *ret_ms);

/* Asks; what is wrong is told. An exit code. */
int query_ask(const Query *q, Json **ret_root, const Json **ret_data);
/* The same without telling: a negative errno and the Problem. */
int query_try(const Query *q, Json **ret_root, const Json **ret_data, Problem *problem);

/* "error: ..." with the line of the expression and a caret where it is wrong, and what may have
 * been meant. EXIT_FAILED. */
int query_tell_error(Str expr, const char *text);
/* For people: metrics of the expression that the server does not have, and their nearest names. */
void query_tell_unknown_metrics(Str server, Str expr);
/* Names of PromQL's functions, aggregations and keywords. */
const Str *query_words(size_t *ret_n);
