/*
 * Which series match a list of matchers: the one algorithm over any index (head, block). As
 * Prometheus defines it, a missing label counts as the empty string, so that a matcher which
 * accepts "" excludes what it does not accept, and any other one intersects with what it accepts.
 *
 * An index is a PostingsSource: embed it first and fill ops.
 */
#pragma once

#include <stdatomic.h>

#include "model/matcher.h"
#include "tsdb/index/postings.h"

/* Called for a value of a label; `token` is the source's name for its postings, good during this
 * call. Negative stops. */
typedef int (*PostingsValueFn)(void *arg, Str value, uint64_t token);

typedef struct PostingsSource PostingsSource;
typedef struct PostingsSourceOps {
    /* Appends the ids of the series with this pair; none is fine. */
    int (*pair)(PostingsSource *s, Str name, Str value, Ids *ret);
    /* Each value of the name that starts with prefix, any order; what fn returned if negative. */
    int (*values)(PostingsSource *s, Str name, Str prefix, PostingsValueFn fn, void *arg);
    /* Appends the ids behind a token. */
    int (*list)(PostingsSource *s, uint64_t token, Ids *ret);
    /* Appends every series, sorted. */
    int (*all)(PostingsSource *s, Ids *ret);
    /* The value of one series' label, empty when it has none; good until the next call. May be
     * NULL: then a matcher always goes by postings, also where looking at a few series would be
     * less work.
     */
    int (*value)(PostingsSource *s, uint32_t id, Str name, Str *ret);
} PostingsSourceOps;
struct PostingsSource {
    const PostingsSourceOps *ops;
    uint32_t limit; /* every id is below it */
};

/*
 * The ids of the series that match all n matchers, sorted; ret must be empty. n = 0: every series.
 * 0, -ECANCELED, or what the source said.
 */
int postings_select(PostingsSource *s, const Matcher *m, size_t n, const atomic_bool *cancel,
                    Ids *ret);
