/*
 * Answers of the query API in every format of -o. An answer is the JSON of "data": resultType
 * vector, matrix, scalar or string, and result.
 */
#pragma once

#include <stdio.h>

#include "format/json.h"
#include "nartool/nartool.h"
#include "nartool/table.h"

typedef enum Format {
    FORMAT_TABLE,
    FORMAT_PLOT,
    FORMAT_SPARK,
    FORMAT_JSON,
    FORMAT_NDJSON,
    FORMAT_CSV,
    FORMAT_TSV,
    FORMAT_OPENMETRICS,
    FORMAT_PROMQL,
} Format;

/* -o, or what suits where standard output goes; promql under promtool's name. Sets up the screen.
 */
Format take_format(Args *a);
void result_print(const Json *data, Format format, FILE *out);
/* Series found; 1 for a scalar or string. */
size_t result_count(const Json *data);
/* A table for people, tsv or csv: what else is asked for is a table. */
TableForm result_table_form(Format format);

/* A list of label sets (/api/v1/series) or of strings. */
void result_print_series(const Json *list, Format format, FILE *out);
void result_print_strings(const Json *list, Format format, FILE *out);

/* For the formats. The value of a point: a number as it came, a native histogram as count and sum.
 */
Str result_value(Arena *a, const Json *point);
double result_number(const Json *point); /* NaN for a histogram */
int64_t result_time(const Json *point);
bool result_is_matrix(const Json *data);
/* name{a="b", c="d"}, with this between two labels. */
void result_add_metric(Buf *b, const Json *labels, const char *comma);
void result_print_json(const Json *v, FILE *out);
/* 1.2k, 3.4M, 5.6m */
void number_format_si(Buf *b, double v);

void plot_print(const Json *data, FILE *out);  /* lines of dots; bars for a vector */
void spark_print(const Json *data, FILE *out); /* a line a series */
void result_print_openmetrics(const Json *data, FILE *out);
void result_print_promql(const Json *data, FILE *out);
