/* Results of queries as members of a JSON object: for /query, /query_range and live queries. */
#pragma once

#include "api/reply.h"
#include "promql/promql.h"

/* "resultType":..,"result":.. of the first n series, without the braces. */
void query_json_result(Reply *r, const PromqlResult *q, size_t n);
/* The errorType of an outcome. */
const char *query_json_error_type(PromqlOutcome o);
