/* Parameters of queries, and their results as members of a JSON object: for /query, /query_range,
 * /query_explain and live queries. */
#pragma once

#include "api/reply.h"
#include "promql/promql.h"

/* "resultType":..,"result":.. of the first n series, without the braces. */
void query_json_result(Reply *r, const PromqlResult *q, size_t n);
/* "vector", "matrix" ... */
const char *query_json_type(PromqlType t);
/* The errorType of an outcome. */
const char *query_json_error_type(PromqlOutcome o);
void query_reply_error(HttpExchange *x, PromqlOutcome outcome, const char *error);

/* start, end, step; timeout and lookback_delta. False: answered with what is wrong. */
bool query_range_params(HttpExchange *x, PromqlRequest *q);
bool query_option_params(HttpExchange *x, PromqlRequest *q);
