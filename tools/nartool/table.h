/*
 * Rows and columns of text for people and for programs: aligned columns on a terminal, with the
 * labels that are the same in every row said once above the table; tab-separated values with a
 * heading line, or RFC 4180's comma-separated ones, otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/vec.h"
#include "format/json.h"

typedef struct Table {
    Arena *arena;
    VEC(Str) columns;
    VEC(Str *) rows;      /* each with room for columns_max cells */
    size_t value_columns; /* at the right: never folded, aligned right */
} Table;

#define TABLE_COLUMNS_MAX 128

void table_deinit(Table *t);
/* A new row; cells are empty. */
Str *table_row(Table *t);
/* The column of that name, made at the end of the label columns if it is new; TABLE_COLUMNS_MAX
 * when there are too many. */
size_t table_column(Table *t, Str name);
typedef enum TableForm { TABLE_ALIGNED, TABLE_TSV, TABLE_CSV } TableForm;
void table_print(const Table *t, TableForm form, FILE *out);
/* A column for each label of a JSON object. */
void table_add_label_columns(Table *t, const Json *labels);
/* Sets a cell per label of a JSON object of strings. */
void table_set_labels(Table *t, Str *row, const Json *labels);
