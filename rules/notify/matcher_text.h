/*
 * Alertmanager's matcher syntax (reference, section 8.5): a list such as {foo="bar", baz=~"q.*"},
 * by the UTF-8 grammar with the classic one as fallback: what only the classic one takes, and what
 * both take differently, is read the classic way. Any thread.
 */
#pragma once

#include "model/matcher.h"

/* Appends to *ret (memory of the arena; regular expressions are the caller's to deinit). 0 or a
 * Problem's -EINVAL. */
typedef struct MatcherList {
    Matcher *v;
    size_t n, cap;
} MatcherList;

int matcher_text_parse(Str text, Arena *arena, MatcherList *ret, Problem *problem);
int matcher_list_add(MatcherList *list, Arena *arena, MatcherType type, Str name, Str value,
                     Problem *problem);
/* By name, value, type. */
void matcher_list_sort(MatcherList *list);
/* {a="b",c=~"d"} as route and group keys show it. */
void matcher_list_format(const MatcherList *list, Buf *b);
void matcher_list_deinit(MatcherList *list);
