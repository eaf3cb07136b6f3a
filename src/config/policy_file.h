/*
 * The policy file (--storage.tsdb.policy-file): which series are kept how long, and from which age
 * on samples are kept in a coarser resolution. A file of its own, since Prometheus and promtool
 * refuse keys that they do not know in prometheus.yml (docs/policies.md, docs/decisions/).
 */
#pragma once

#include "base/err.h"
#include "tsdb/policies.h"

/* 0 and one reference, or -EINVAL and the Problem. Any thread. */
int policy_file_load(const char *path, TsdbPolicies **ret, Problem *problem);
int policy_file_parse(Str text, Str file, TsdbPolicies **ret, Problem *problem);
