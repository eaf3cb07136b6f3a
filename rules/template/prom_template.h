/*
 * Templates of alerting rules: one label or annotation text with Prometheus' functions and
 * $labels, $externalLabels, $externalURL and $value. Made once a rule, immutable, run by any
 * thread.
 */
#pragma once

#include "model/histogram.h"
#include "model/labels.h"
#include "rules/template/template.h"

typedef struct PromTemplate PromTemplate;

/* What `query` of a template gives back: samples in the run's memory. */
typedef struct TmplSample {
    Labels labels;
    TmplValue value;
} TmplSample;

typedef struct PromTemplateData {
    Labels labels, external_labels;
    Str external_url; /* complete */
    Str path_prefix;  /* its path */
    TmplValue value;
    int64_t time_ms;
    /* 0 and samples in the arena, or -EINVAL and *ret_error. NULL: queries fail. */
    int (*query)(void *arg, Str query, int64_t time_ms, Arena *arena, TmplSample **ret,
                 size_t *ret_n, Str *ret_error);
    void *query_arg;
} PromTemplateData;

/* name: that of the template in messages, "__alert_" and the alert. */
PromTemplate *prom_template_new(Str name, Str text, Problem *problem);
void prom_template_free(PromTemplate *t);
/* Appends to out; on failure -EINVAL, out as it was and *ret_error (in the arena). */
int prom_template_expand(const PromTemplate *t, const PromTemplateData *data, Arena *arena,
                         Buf *out, Str *ret_error);

/* A label set as a map value; NULL entries at the ceiling. */
int tmpl_labels(TmplRun *run, Arena *arena, Labels l, const TmplType *type, TmplValue *ret);
/* The graph link of an expression: /graph?g0.expr=...&g0.tab=N */
void prom_graph_link(Buf *b, Str expr, int tab);
extern const TmplFuncTable PROM_FUNCS;
