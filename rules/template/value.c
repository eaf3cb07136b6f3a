#include "rules/template/value.h"

#include <stdlib.h>

#include "rules/template/gotime.h"

const TmplType TMPL_TYPE_STRINGS = {.name = "[]string"};
const TmplType TMPL_TYPE_STRING_MAP = {.name = "map[string]string"};
const TmplType TMPL_TYPE_ANY_MAP = {.name = "map[string]interface {}", .any = true};
const TmplType TMPL_TYPE_INT64 = {.name = "int64"};

const TmplType *tmpl_type_of(TmplValue v) {
    if (v.type) {
        return v.type;
    }
    return v.kind == TMPL_TIME       ? &GOTIME_TYPE
           : v.kind == TMPL_DURATION ? &GODURATION_TYPE
           : v.kind == TMPL_MAP      ? &TMPL_TYPE_STRING_MAP
                                     : NULL;
}

const char *tmpl_type_name(TmplValue v) {
    static const char *const NAMES[] = {
        [TMPL_NIL] = "<nil>",     [TMPL_BOOL] = "bool",     [TMPL_INT] = "int",
        [TMPL_FLOAT] = "float64", [TMPL_STRING] = "string", [TMPL_LIST] = "[]interface {}",
        [TMPL_OBJECT] = "struct"};
    const TmplType *t = tmpl_type_of(v);
    return t ? t->name : NAMES[v.kind];
}

bool tmpl_truth(TmplValue v) {
    switch (v.kind) {
    case TMPL_NIL: return false;
    case TMPL_BOOL: return v.b;
    case TMPL_INT:
    case TMPL_DURATION: return v.i != 0;
    case TMPL_FLOAT: return v.f != 0;
    case TMPL_STRING: return v.s.n > 0;
    case TMPL_LIST: return v.list.n > 0;
    case TMPL_MAP: return v.map.n > 0;
    case TMPL_OBJECT:
    case TMPL_TIME: break;
    }
    return true;
}

const TmplValue *tmpl_map_find(const TmplMap *m, Str key) {
    size_t lo = 0, hi = m->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = str_cmp(m->v[mid].key, key);
        if (c == 0) {
            return &m->v[mid].value;
        }
        if (c < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return NULL;
}

void tmpl_map_sort(TmplMap *m) {
    /* Insertion keeps the order of equal keys, so that the last one can win; maps are small. */
    for (size_t i = 1; i < m->n; i++) {
        TmplEntry e = m->v[i];
        size_t j = i;
        for (; j > 0 && str_cmp(m->v[j - 1].key, e.key) > 0; j--) {
            m->v[j] = m->v[j - 1];
        }
        m->v[j] = e;
    }
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++) {
        if (n && str_eq(m->v[n - 1].key, m->v[i].key)) {
            n--;
        }
        m->v[n++] = m->v[i];
    }
    m->n = n;
}

const TmplMember *tmpl_member(const TmplType *t, Str name) {
    for (size_t i = 0; t && i < t->n; i++) {
        if (str_eqc(name, t->members[i].name)) {
            return &t->members[i];
        }
    }
    return NULL;
}

TmplValue *tmpl_values(TmplRun *run, size_t n) {
    TmplValue *v = ARENA_ARRAY(tmpl_arena(run), TmplValue, n ? n : 1);
    if (!v) {
        (void)tmpl_fail(run, "template needs too much memory");
    }
    return v;
}

TmplEntry *tmpl_entries(TmplRun *run, size_t n) {
    TmplEntry *v = ARENA_ARRAY(tmpl_arena(run), TmplEntry, n ? n : 1);
    if (!v) {
        (void)tmpl_fail(run, "template needs too much memory");
    }
    return v;
}

int tmpl_take(TmplRun *run, Buf *b, TmplValue *ret) {
    Str s = arena_str(tmpl_arena(run), buf_str(b));
    bool failed = b->failed || !s.p;
    buf_deinit(b);
    *b = (Buf){0};
    if (failed) {
        return tmpl_fail(run, "template produces too much text");
    }
    *ret = tmpl_string(s);
    return 0;
}
