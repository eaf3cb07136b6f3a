/*
 * How errors travel. 0 is success. A negative errno is what nobody planned for: return err_trace(r)
 * passes it up unchanged (and logs its way at debug level). A positive code is an outcome that the
 * function's own header documents; the caller handles it and never forwards it. Bytes that do not
 * decode are -EBADMSG. A user's mistake (query, configuration, rule) is data: a Problem.
 */
#pragma once

#include <errno.h>

#include "base/compiler.h"
#include "base/str.h"

#define err_trace(r) err_trace_at((r), __FILE__, __LINE__, __func__)
int err_trace_at(int r, const char *file, int line, const char *func);

/* What went wrong in something a person wrote, ready to show. Plain value; zero-initialise it. */
typedef struct Problem {
    char file[256];
    int line;   /* from 1; 0 = unknown */
    int column; /* from 1; 0 = unknown */
    char text[1024];
} Problem;

/* Sets text and position; keeps the file. A NULL problem is allowed. Returns -EINVAL for `return
 * problem_set(..)`. */
int problem_set(Problem *p, int line, int column, const char *fmt, ...) PRINTF_LIKE(4, 5);
void problem_set_file(Problem *p, Str file);
/* "file:line:column: text" with what is known, into dst; returns dst. */
const char *problem_format(const Problem *p, char *dst, size_t size);
