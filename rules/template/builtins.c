/* The functions every template has (Go, package text/template, "Functions"). */
#include "rules/template/ast.h"
#include "rules/template/gofmt.h"
#include "rules/template/text_funcs.h"

/* and, or with everything piped in; the short-circuit form is the executor's. */
static int fn_and(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    size_t i = 0;
    while (i + 1 < n && tmpl_truth(a[i])) {
        i++;
    }
    *ret = a[i];
    return 0;
}

static int fn_or(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    size_t i = 0;
    while (i + 1 < n && !tmpl_truth(a[i])) {
        i++;
    }
    *ret = a[i];
    return 0;
}

static int fn_not(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = tmpl_bool(!tmpl_truth(a[0]));
    return 0;
}

static int fn_len(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    switch (a[0].kind) {
    case TMPL_STRING: *ret = tmpl_int((int64_t)a[0].s.n); return 0;
    case TMPL_LIST: *ret = tmpl_int((int64_t)a[0].list.n); return 0;
    case TMPL_MAP: *ret = tmpl_int((int64_t)a[0].map.n); return 0;
    case TMPL_NIL: return tmpl_fail(run, "len of nil pointer");
    default: return tmpl_fail(run, "len of type %s", tmpl_type_name(a[0]));
    }
}

static int index_at(TmplRun *run, TmplValue i, size_t n, bool end, size_t *ret) {
    if (i.kind == TMPL_NIL) {
        return tmpl_fail(run, "cannot index slice/array with nil");
    }
    if (i.kind != TMPL_INT) {
        return tmpl_fail(run, "cannot index slice/array with type %s", tmpl_type_name(i));
    }
    if (i.i < 0 || (size_t)i.i > n || (!end && (size_t)i.i == n)) {
        return tmpl_fail(run, "index out of range: %lld", (long long)i.i);
    }
    *ret = (size_t)i.i;
    return 0;
}

static int index_one(TmplRun *run, TmplValue from, TmplValue key, TmplValue *ret) {
    size_t i = 0;
    int r;
    switch (from.kind) {
    case TMPL_LIST:
        r = index_at(run, key, from.list.n, false, &i);
        if (r == 0) {
            *ret = from.list.v[i];
        }
        return r;
    case TMPL_STRING:
        r = index_at(run, key, from.s.n, false, &i);
        if (r == 0) {
            *ret = tmpl_int((unsigned char)from.s.p[i]);
        }
        return r;
    case TMPL_MAP: {
        if (key.kind != TMPL_STRING) {
            return tmpl_fail(run, "value has type %s; should be string", tmpl_type_name(key));
        }
        const TmplValue *found = tmpl_map_find(&from.map, key.s);
        const TmplType *type = tmpl_type_of(from);
        *ret = found ? *found : type && type->any ? TMPL_NONE : tmpl_string(STR(""));
        return 0;
    }
    case TMPL_NIL: return tmpl_fail(run, "index of untyped nil");
    default: return tmpl_fail(run, "can't index item of type %s", tmpl_type_name(from));
    }
}

static int fn_index(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    TmplValue at = a[0];
    if (at.kind == TMPL_NIL) {
        return tmpl_fail(run, "index of untyped nil");
    }
    for (size_t i = 1; i < n; i++) {
        if (index_one(run, at, a[i], &at) < 0) {
            return -EINVAL;
        }
    }
    *ret = at;
    return 0;
}

static int fn_slice(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    if (n > 4 || (n == 4 && a[0].kind == TMPL_STRING)) {
        return n > 4 ? tmpl_fail(run, "too many slice indexes: %zu", n - 1)
                     : tmpl_fail(run, "cannot 3-index slice a string");
    }
    if (a[0].kind != TMPL_STRING && a[0].kind != TMPL_LIST) {
        return a[0].kind == TMPL_NIL
                   ? tmpl_fail(run, "slice of untyped nil")
                   : tmpl_fail(run, "can't slice item of type %s", tmpl_type_name(a[0]));
    }
    size_t len = a[0].kind == TMPL_STRING ? a[0].s.n : a[0].list.n, at[2] = {0, len};
    for (size_t i = 1; i < n && i < 3; i++) {
        if (index_at(run, a[i], len, true, &at[i - 1]) < 0) {
            return -EINVAL;
        }
    }
    if (at[0] > at[1]) {
        return tmpl_fail(run, "invalid slice index: %zu > %zu", at[0], at[1]);
    }
    *ret = a[0];
    if (a[0].kind == TMPL_STRING) {
        ret->s = str_n(a[0].s.p + at[0], at[1] - at[0]);
    } else {
        ret->list = (TmplList){a[0].list.v + at[0], at[1] - at[0]};
    }
    return 0;
}

static int fn_print(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    gofmt_print(&b, a, n);
    return tmpl_take(run, &b, ret);
}

static int fn_println(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    gofmt_println(&b, a, n);
    return tmpl_take(run, &b, ret);
}

static int fn_printf(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    gofmt_printf(&b, a[0].s, a + 1, n - 1);
    return tmpl_take(run, &b, ret);
}

static int escape(TmplRun *run, const TmplValue *a, size_t n, void (*fn)(Buf *, Str),
                  TmplValue *ret) {
    CLEANUP(buf_deinit) Buf text = BUF_INIT(TMPL_BYTES_MAX);
    gofmt_print(&text, a, n);
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    fn(&b, buf_str(&text));
    b.failed |= text.failed;
    return tmpl_take(run, &b, ret);
}

static int fn_html(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    return escape(run, a, n, text_html_escape, ret);
}

static int fn_js(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    return escape(run, a, n, text_js_escape, ret);
}

static int fn_urlquery(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    return escape(run, a, n, text_query_escape, ret);
}

/* There are no function values among the data: whatever it is given is not one. */
static int fn_call(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    if (a[0].kind == TMPL_NIL) {
        return tmpl_fail(run, "call of nil");
    }
    CLEANUP(buf_deinit) Buf b = BUF_INIT(1024);
    gofmt_value(&b, a[0]);
    return tmpl_fail(run, "non-function %.*s of type %s", SA(buf_str(&b)), tmpl_type_name(a[0]));
}

/* ---- comparison: only values of the same basic kind can be compared */

typedef enum Basic { BASIC_NONE, BASIC_BOOL, BASIC_INT, BASIC_FLOAT, BASIC_STRING } Basic;

static Basic basic(TmplValue v) {
    switch (v.kind) {
    case TMPL_BOOL: return BASIC_BOOL;
    case TMPL_INT:
    case TMPL_DURATION: return BASIC_INT;
    case TMPL_FLOAT: return BASIC_FLOAT;
    case TMPL_STRING: return BASIC_STRING;
    default: return BASIC_NONE;
    }
}

static bool equal(TmplValue a, TmplValue b) {
    switch (basic(a)) {
    case BASIC_BOOL: return a.b == b.b;
    case BASIC_INT: return a.i == b.i;
    case BASIC_FLOAT: return a.f == b.f;
    case BASIC_STRING: return str_eq(a.s, b.s);
    case BASIC_NONE: break;
    }
    if (a.kind == TMPL_TIME && b.kind == TMPL_TIME) {
        return a.time->sec == b.time->sec && a.time->nsec == b.time->nsec;
    }
    return a.kind == TMPL_NIL && b.kind == TMPL_NIL;
}

static int fn_eq(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    if (n == 1) {
        return tmpl_fail(run, "missing argument for comparison");
    }
    *ret = tmpl_bool(false);
    for (size_t i = 1; i < n; i++) {
        bool valid = a[0].kind != TMPL_NIL && a[i].kind != TMPL_NIL;
        if (valid && basic(a[0]) != basic(a[i])) {
            return tmpl_fail(run, "incompatible types for comparison: %s and %s",
                             tmpl_type_name(a[0]), tmpl_type_name(a[i]));
        }
        if (a[0].kind == TMPL_LIST || a[0].kind == TMPL_MAP) {
            return tmpl_fail(run, "non-comparable type %s", tmpl_type_name(a[0]));
        }
        if ((valid || a[0].kind == a[i].kind) && equal(a[0], a[i])) {
            *ret = tmpl_bool(true);
            return 0;
        }
    }
    return 0;
}

static int fn_ne(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    int r = fn_eq(run, a, n, ret);
    ret->b = !ret->b;
    return r;
}

static int less(TmplRun *run, TmplValue a, TmplValue b, bool *ret) {
    Basic k = basic(a);
    if (k == BASIC_NONE || basic(b) == BASIC_NONE || (k == BASIC_BOOL && basic(b) == k)) {
        return tmpl_fail(run, "invalid type for comparison");
    }
    if (k != basic(b)) {
        return tmpl_fail(run, "incompatible types for comparison: %s and %s", tmpl_type_name(a),
                         tmpl_type_name(b));
    }
    *ret = k == BASIC_INT ? a.i < b.i : k == BASIC_FLOAT ? a.f < b.f : str_cmp(a.s, b.s) < 0;
    return 0;
}

static int fn_lt(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = tmpl_bool(false);
    return less(run, a[0], a[1], &ret->b);
}

static int fn_le(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = tmpl_bool(false);
    int r = less(run, a[0], a[1], &ret->b);
    ret->b = ret->b || (r == 0 && equal(a[0], a[1]));
    return r;
}

static int fn_gt(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    int r = fn_le(run, a, n, ret);
    ret->b = !ret->b;
    return r;
}

static int fn_ge(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    int r = fn_lt(run, a, n, ret);
    ret->b = !ret->b;
    return r;
}

static const TmplFunc FUNCS[] = {
    {"and", "aa+", fn_and},    {"or", "aa+", fn_or},          {"not", "a", fn_not},
    {"len", "a", fn_len},      {"index", "aa+", fn_index},    {"slice", "aa+", fn_slice},
    {"print", "a+", fn_print}, {"println", "a+", fn_println}, {"printf", "sa+", fn_printf},
    {"html", "a+", fn_html},   {"js", "a+", fn_js},           {"urlquery", "a+", fn_urlquery},
    {"call", "aa+", fn_call},  {"eq", "aa+", fn_eq},          {"ne", "aa", fn_ne},
    {"lt", "aa", fn_lt},       {"le", "aa", fn_le},           {"gt", "aa", fn_gt},
    {"ge", "aa", fn_ge},
};
const TmplFuncTable TMPL_BUILTINS = {FUNCS, ARRAY_LEN(FUNCS)};
