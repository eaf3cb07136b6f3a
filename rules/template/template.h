/*
 * The template language of alerts and notifications: Go's text/template, as Prometheus and
 * Alertmanager use it (missing keys give the zero value). A Template is a set of named templates
 * over tables of functions; a set may stand on a parent set whose templates it can call. Parsing
 * belongs to one thread; a parsed set is immutable and may run on any number of threads at a time.
 *
 * A run is bounded: bytes written, memory, steps and depth. Language: the documentation of Go's
 * package text/template.
 */
#pragma once

#include "base/err.h"
#include "rules/template/value.h"

typedef struct Template Template;

typedef struct TmplFuncTable {
    const TmplFunc *v;
    size_t n;
} TmplFuncTable;

/* Tables are borrowed (static); the built-in functions are always there. `parent` may be NULL and
 * must outlive the set. */
Template *template_new(const TmplFuncTable *tables, size_t n_tables, const Template *parent);
void template_free(Template *t);

/* Parses text as the template `name`, with those it defines. 0 or a Problem in Go's words:
 * template: name:line: what. */
int template_parse(Template *t, Str name, Str text, Problem *problem);

typedef struct TmplExec {
    TmplValue data;
    void *user;         /* for functions: tmpl_user() */
    Arena *arena;       /* scratch of the run, dropped by the caller; its ceiling binds */
    uint64_t steps_max; /* 0 = 10 million */
    size_t bytes_max;   /* of output; 0 = 4 MiB */
} TmplExec;

/* Appends the output of `name` to out. 0 or -EINVAL with *ret_error (in the arena) saying where and
 * why. */
int template_exec(const Template *t, Str name, const TmplExec *x, Buf *out, Str *ret_error);
