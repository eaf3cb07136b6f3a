/*
 * The door to RE2, with Prometheus' dialect: Go's RE2 syntax, matched against the whole string with
 * a dot that matches newline, unless REGEX_PARTIAL. (?<n>..) is accepted, \C is refused. What needs
 * no automaton (a literal, a set of alternatives, prefix.*, .*suffix, .*part.*, .*, .+) is
 * recognised when compiled and matched by comparing bytes. A compiled Regex is immutable: any
 * thread.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

typedef struct Regex Regex;

enum {
    REGEX_PARTIAL = 1 /* anywhere in the string, dot stops at newline: plain regexp.MustCompile, as
                         reReplaceAll and match of the template language use it */
};

/* NULL and a Problem whose text is the library's reason (as Go words it where we can). */
Regex *regex_new(Str pattern, unsigned flags, Problem *problem);
void regex_free(Regex *re);
Str regex_pattern(const Regex *re);
bool regex_match(const Regex *re, Str s);
/* When exactly these strings match (case-sensitive), their number and list (borrowed, sorted, each
 * once), else 0. */
size_t regex_set(const Regex *re, const Str **ret_set);
/* A literal every match begins with; empty when unknown. */
Str regex_prefix(const Regex *re);
/* Number of capturing groups, and the number of a named one (-1: none). */
int regex_groups(const Regex *re);
int regex_group_index(const Regex *re, Str name);
/* If s matches: ret_groups[0..n) get group 0 (all), 1, ...; an unset group is STR_NULL. n may be
 * less than the groups + 1. */
bool regex_match_groups(const Regex *re, Str s, Str *ret_groups, size_t n);
/* Go's Regexp.Expand: $1, ${1}, $name, ${name}, $$; unknown groups are empty. groups as from
 * regex_match_groups(). */
void regex_expand(const Regex *re, Str replacement, const Str *groups, size_t n, Buf *out);
/* Go's ReplaceAllString (REGEX_PARTIAL). */
void regex_replace_all(const Regex *re, Str s, Str replacement, Buf *out);
