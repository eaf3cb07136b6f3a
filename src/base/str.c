#include "base/str.h"

#include "base/compiler.h"
#include "base/mem.h"

int str_qsort_cmp(const void *a, const void *b) {
    return str_cmp(*(const Str *)a, *(const Str *)b);
}

size_t str_find(Str s, char c) {
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? (size_t)(at - s.p) : s.n;
}

size_t str_find_str(Str s, Str needle) {
    if (needle.n == 0) {
        return 0;
    }
    const char *at = s.n >= needle.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return at ? (size_t)(at - s.p) : s.n;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

bool str_eq_nocase(Str a, Str b) {
    if (a.n != b.n) {
        return false;
    }
    for (size_t i = 0; i < a.n; i++) {
        if (lower(a.p[i]) != lower(b.p[i])) {
            return false;
        }
    }
    return true;
}

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

Str str_trim(Str s) {
    while (s.n && is_space(s.p[0])) {
        s = str_from(s, 1);
    }
    while (s.n && is_space(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

bool str_split_next(Str *rest, char sep, Str *ret_part) {
    if (!rest->p) {
        return false;
    }
    size_t at = str_find(*rest, sep);
    *ret_part = str_upto(*rest, at);
    *rest = at < rest->n ? str_from(*rest, at + 1) : STR_NULL;
    return true;
}

char *str_dup(Str s) {
    char *p = mem_alloc(s.n + 1);
    if (s.n) {
        memcpy(p, s.p, s.n);
    }
    p[s.n] = '\0';
    return p;
}

size_t str_distance(Str a, Str b, size_t limit) {
    enum { LONGEST = 128 };
    size_t row[LONGEST + 1];
    if (a.n > LONGEST || b.n > LONGEST) {
        return limit + 1;
    }
    for (size_t j = 0; j <= b.n; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t replace = diagonal + (lower(a.p[i - 1]) != lower(b.p[j - 1]));
            diagonal = row[j];
            row[j] = MIN(replace, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return MIN(row[b.n], limit + 1);
}

Str str_nearest(Str s, const Str *names, size_t n) {
    size_t best = MAX(s.n / 3, (size_t)1) + 1;
    Str found = STR_NULL;
    for (size_t i = 0; i < n; i++) {
        size_t d = str_distance(s, names[i], best);
        if (d < best) {
            best = d;
            found = names[i];
        }
    }
    return found;
}
