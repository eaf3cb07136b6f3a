/*
 * Str is a borrowed run of bytes: pointer and length, not terminated, never owning. Absent is
 * {NULL, 0}; empty may have any pointer. Bytes are compared as unsigned (Prometheus' label order).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct Str {
    const char *p;
    size_t n;
} Str;

#define STR(literal) ((Str){"" literal, sizeof(literal) - 1})
#define STR_NULL ((Str){NULL, 0})
/* printf("%.*s", SA(s)) */
#define SA(s) (int)(s).n, (s).p ? (s).p : ""

static inline Str str_of(const char *cstr) { return (Str){cstr, cstr ? strlen(cstr) : 0}; }
static inline Str str_n(const char *p, size_t n) { return (Str){p, n}; }
static inline bool str_eq(Str a, Str b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool str_eqc(Str a, const char *cstr) { return str_eq(a, str_of(cstr)); }
static inline int str_cmp(Str a, Str b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int r = n ? memcmp(a.p, b.p, n) : 0;
    return r ? r : (a.n > b.n) - (a.n < b.n);
}
/* For qsort over an array of Str. */
int str_qsort_cmp(const void *a, const void *b);

static inline bool str_starts(Str s, Str prefix) {
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}
static inline bool str_ends(Str s, Str suffix) {
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}
static inline Str str_from(Str s, size_t at) { return (Str){s.p + at, s.n - at}; }
static inline Str str_upto(Str s, size_t n) { return (Str){s.p, n}; }
/* First position of c, or s.n when there is none. */
size_t str_find(Str s, char c);
/* First position of needle, or s.n when there is none (an empty needle is found at 0). */
size_t str_find_str(Str s, Str needle);
/* ASCII only. */
bool str_eq_nocase(Str a, Str b);
Str str_trim(Str s);
/* Cuts the part before sep off *rest and returns it; false when *rest was used up. */
bool str_split_next(Str *rest, char sep, Str *ret_part);
/* A fresh terminated copy; caller frees with mem_free(). */
char *str_dup(Str s);
/* Levenshtein distance, at most `limit` + 1; for "did you mean" hints on short names. */
size_t str_distance(Str a, Str b, size_t limit);
/* The entry of names nearest to s if close enough to suggest, else STR_NULL. */
Str str_nearest(Str s, const Str *names, size_t n);
