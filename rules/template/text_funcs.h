/* Text helpers that the function sets share; each follows the Go function it is named after. */
#pragma once

#include "rules/template/value.h"

void text_html_escape(Buf *b, Str s);
void text_js_escape(Buf *b, Str s);
/* url.QueryEscape: space becomes '+'. */
void text_query_escape(Buf *b, Str s);
bool text_query_unescape(Buf *b, Str s);
/* ASCII, Latin-1, Greek and Cyrillic letters change case; other scripts stay. */
void text_upper(Buf *b, Str s);
void text_lower(Buf *b, Str s);
/* The first letter of each word in upper case; the rest in lower case if `lower`. */
void text_title(Buf *b, Str s, bool lower);
void text_humanize_duration(Buf *b, double seconds);
/* Strings are parsed, numbers taken, durations in seconds; else fails. */
int text_to_float(TmplRun *run, TmplValue v, double *ret);

/* Template functions used as they are by both sets. */
int fn_to_upper(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret);
int fn_to_lower(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret);
int fn_match(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret);
int fn_re_replace_all(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret);
int fn_humanize_duration(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret);
int fn_same(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret);
