/* A condition on one label's value; a missing label counts as the empty string. Immutable once
 * made: any thread. */
#pragma once

#include "base/regex.h"
#include "model/labels.h"

typedef enum MatcherType { MATCH_EQ, MATCH_NE, MATCH_RE, MATCH_NRE } MatcherType;

typedef struct Matcher {
    MatcherType type;
    Str name, value;
    Regex *re; /* for MATCH_RE and MATCH_NRE; owned */
} Matcher;

/* All of them together: a selector. */
typedef struct Selector {
    const Matcher *v;
    size_t n;
} Selector;

/* Borrows name and value. 0, or -EINVAL and a Problem for a bad regex. */
int matcher_init(Matcher *m, MatcherType type, Str name, Str value, Problem *problem);
void matcher_deinit(Matcher *m);
bool matcher_matches(const Matcher *m, Str value);
bool matchers_match(const Matcher *m, size_t n, Labels l);
/* name="value" with Go quoting; the name quoted when it is not a classic one. */
void matcher_format(const Matcher *m, Buf *b);
const char *match_type_text(MatcherType type);
