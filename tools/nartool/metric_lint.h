/* Advice on names and labels of metrics, in the words of promtool's `check metrics` (the naming
 * practices of Prometheus' documentation). */
#pragma once

#include "base/arena.h"
#include "base/vec.h"
#include "model/labels.h"
#include "model/sample.h"

typedef struct MetricFamily {
    Str name;
    bool has_help, typed; /* typed: a TYPE other than untyped */
    MetricType type;
    VEC(Labels) metrics;
} MetricFamily;

typedef VEC(Str) MetricAdvice;

/* Adds "name what is wrong" texts to *ret; they live in the arena. */
void metric_lint(const MetricFamily *f, Arena *a, MetricAdvice *ret);
