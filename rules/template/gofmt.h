/*
 * Go's package fmt for template values: Sprint, Sprintln, Sprintf. fmt_printf stops adding at
 * the ceiling of out. Any thread.
 */
#pragma once

#include "rules/template/value.h"

/* One value as %v prints it. */
void gofmt_value(Buf *out, TmplValue v);
void gofmt_print(Buf *out, const TmplValue *v, size_t n);
void gofmt_println(Buf *out, const TmplValue *v, size_t n);
void gofmt_printf(Buf *out, Str format, const TmplValue *v, size_t n);
