/* Alertmanager's template functions and types (reference, section 8.14). */
#include "rules/template/am_funcs.h"

#include "base/clock.h"
#include "base/numtext.h"
#include "model/labels.h"
#include "rules/template/gotime.h"
#include "rules/template/text_funcs.h"

/* ---- KV: a label set; Pairs: its pairs in order */

typedef struct KvPair {
    Str name, value;
} KvPair;

static int pair_name(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = tmpl_string(((const KvPair *)a[0].object)->name);
    return 0;
}

static int pair_value(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = tmpl_string(((const KvPair *)a[0].object)->value);
    return 0;
}

static const TmplMember PAIR_MEMBERS[] = {{"Name", NULL, pair_name}, {"Value", NULL, pair_value}};
static const TmplType PAIR_TYPE = {
    .name = "template.Pair", .members = PAIR_MEMBERS, .n = ARRAY_LEN(PAIR_MEMBERS)};

static int strings_of(TmplRun *run, const TmplValue *list, bool values, TmplValue *ret) {
    TmplValue *v = tmpl_values(run, list->list.n);
    for (size_t i = 0; v && i < list->list.n; i++) {
        const KvPair *p = list->list.v[i].object;
        v[i] = tmpl_string(values ? p->value : p->name);
    }
    *ret = tmpl_list(v, list->list.n, &TMPL_TYPE_STRINGS);
    return v ? 0 : -EINVAL;
}

static int pairs_names(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    return strings_of(run, a, false, ret);
}

static int pairs_values(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    return strings_of(run, a, true, ret);
}

static void pairs_string(Buf *b, const TmplValue *v) {
    for (size_t i = 0; i < v->list.n; i++) {
        const KvPair *p = v->list.v[i].object;
        buf_addf(b, "%s%.*s=%.*s", i ? ", " : "", SA(p->name), SA(p->value));
    }
}

static const TmplMember PAIRS_MEMBERS[] = {{"Names", "", pairs_names},
                                           {"Values", "", pairs_values}};
static const TmplType PAIRS_TYPE = {.name = "template.Pairs",
                                    .members = PAIRS_MEMBERS,
                                    .n = ARRAY_LEN(PAIRS_MEMBERS),
                                    .string = pairs_string};

/* alertname first, the others by name. */
static size_t kv_order(const TmplMap *m, size_t i) {
    size_t at = m->n;
    for (size_t k = 0; k < m->n; k++) {
        if (str_eqc(m->v[k].key, "alertname")) {
            at = k;
        }
    }
    return at == m->n || i > at ? i : i == 0 ? at : i - 1;
}

static int kv_sorted_pairs(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    TmplValue *v = tmpl_values(run, a[0].map.n);
    KvPair *pairs = ARENA_ARRAY(tmpl_arena(run), KvPair, a[0].map.n + 1);
    if (!v || !pairs) {
        return tmpl_fail(run, "template needs too much memory");
    }
    for (size_t i = 0; i < a[0].map.n; i++) {
        const TmplEntry *e = &a[0].map.v[kv_order(&a[0].map, i)];
        pairs[i] = (KvPair){e->key, e->value.s};
        v[i] = tmpl_object(&pairs[i], &PAIR_TYPE);
    }
    *ret = tmpl_list(v, a[0].map.n, &PAIRS_TYPE);
    return 0;
}

static int kv_remove(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    TmplEntry *v = tmpl_entries(run, a[0].map.n);
    size_t count = 0;
    for (size_t i = 0; v && i < a[0].map.n; i++) {
        bool drop = false;
        for (size_t k = 0; a[1].kind == TMPL_LIST && k < a[1].list.n; k++) {
            drop |= str_eq(a[1].list.v[k].s, a[0].map.v[i].key);
        }
        if (!drop) {
            v[count++] = a[0].map.v[i];
        }
    }
    *ret = tmpl_map(v, count, &AM_KV_TYPE);
    return v ? 0 : -EINVAL;
}

static int kv_names(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    TmplValue pairs;
    int r = kv_sorted_pairs(run, a, n, &pairs);
    return r < 0 ? r : strings_of(run, &pairs, false, ret);
}

static int kv_values(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    TmplValue pairs;
    int r = kv_sorted_pairs(run, a, n, &pairs);
    return r < 0 ? r : strings_of(run, &pairs, true, ret);
}

static void kv_string(Buf *b, const TmplValue *v) {
    for (size_t i = 0; i < v->map.n; i++) {
        const TmplEntry *e = &v->map.v[kv_order(&v->map, i)];
        buf_addf(b, "%s%.*s=%.*s", i ? ", " : "", SA(e->key), SA(e->value.s));
    }
}

static const TmplMember KV_MEMBERS[] = {{"SortedPairs", "", kv_sorted_pairs},
                                        {"Remove", "l", kv_remove},
                                        {"Names", "", kv_names},
                                        {"Values", "", kv_values}};
const TmplType AM_KV_TYPE = {
    .name = "template.KV", .members = KV_MEMBERS, .n = ARRAY_LEN(KV_MEMBERS), .string = kv_string};

/* ---- functions */

static int fn_title(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    text_title(&b, a[0].s, true);
    return tmpl_take(run, &b, ret);
}

static int fn_trim_space(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = tmpl_string(str_trim(a[0].s));
    return 0;
}

static int fn_join(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    for (size_t i = 0; a[1].kind == TMPL_LIST && i < a[1].list.n; i++) {
        if (a[1].list.v[i].kind != TMPL_STRING) {
            buf_deinit(&b);
            return tmpl_fail(run, "wrong type for value; expected []string; got %s",
                             tmpl_type_name(a[1]));
        }
        buf_add_str(&b, i ? a[0].s : STR(""));
        buf_add_str(&b, a[1].list.v[i].s);
    }
    return tmpl_take(run, &b, ret);
}

static int copy_list(TmplRun *run, const TmplValue *a, size_t n, const TmplType *type,
                     TmplValue *ret) {
    TmplValue *v = tmpl_values(run, n);
    if (!v) {
        return -EINVAL;
    }
    if (n) {
        memcpy(v, a, n * sizeof(*v));
    }
    *ret = tmpl_list(v, n, type);
    return 0;
}

static int fn_string_slice(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    return copy_list(run, a, n, &TMPL_TYPE_STRINGS, ret);
}

static int fn_list(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    return copy_list(run, a, n, NULL, ret);
}

static int fn_append(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    size_t have = a[0].kind == TMPL_LIST ? a[0].list.n : 0;
    TmplValue *v = tmpl_values(run, have + n - 1);
    if (!v) {
        return -EINVAL;
    }
    if (have) {
        memcpy(v, a[0].list.v, have * sizeof(*v));
    }
    if (n > 1) {
        memcpy(v + have, a + 1, (n - 1) * sizeof(*v));
    }
    *ret = tmpl_list(v, have + n - 1, NULL);
    return 0;
}

static int fn_dict(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    if (n % 2) {
        return tmpl_fail(run, "invalid dict call: requires even number of arguments");
    }
    TmplEntry *v = tmpl_entries(run, n / 2);
    for (size_t i = 0; v && i < n; i += 2) {
        if (a[i].kind != TMPL_STRING) {
            return tmpl_fail(run, "dict keys must be strings");
        }
        v[i / 2] = (TmplEntry){a[i].s, a[i + 1]};
    }
    *ret = tmpl_map(v, n / 2, &TMPL_TYPE_ANY_MAP);
    if (v) {
        tmpl_map_sort(&ret->map);
    }
    return v ? 0 : -EINVAL;
}

static int fn_url_unescape(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    if (!text_query_unescape(&b, a[0].s)) {
        buf_deinit(&b);
        return tmpl_fail(run, "invalid URL escape in \"%.*s\"", SA(a[0].s));
    }
    return tmpl_take(run, &b, ret);
}

static int fn_date(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    gotime_format(&b, a[1].time, a[0].s);
    return tmpl_take(run, &b, ret);
}

static int fn_tz(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    TmplTime *t = ARENA_NEW(tmpl_arena(run), TmplTime);
    if (!t) {
        return tmpl_fail(run, "template needs too much memory");
    }
    if (!gotime_in_zone(a[1].time, a[0].s, tmpl_arena(run), t)) {
        return tmpl_fail(run, "unknown time zone %.*s", SA(a[0].s));
    }
    *ret = tmpl_time(t);
    return 0;
}

static int fn_now(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    TmplTime now = gotime_of_ms(clock_wall_ms());
    TmplTime *t = arena_dup(tmpl_arena(run), &now, sizeof(now));
    *ret = tmpl_time(t);
    return t ? 0 : tmpl_fail(run, "template needs too much memory");
}

static int fn_since(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    TmplTime now = gotime_of_ms(clock_wall_ms());
    __int128 d = ((__int128)now.sec - a[0].time->sec) * 1000000000 + now.nsec - a[0].time->nsec;
    *ret = tmpl_duration(d > INT64_MAX ? INT64_MAX : d < INT64_MIN ? INT64_MIN : (int64_t)d);
    return 0;
}

static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int fn_base64_encode(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    const unsigned char *p = (const unsigned char *)a[0].s.p;
    for (size_t i = 0; i < a[0].s.n; i += 3) {
        size_t left = a[0].s.n - i;
        uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                     (left > 2 ? p[i + 2] : 0);
        buf_add_char(&b, BASE64[v >> 18]);
        buf_add_char(&b, BASE64[v >> 12 & 63]);
        buf_add_char(&b, left > 1 ? BASE64[v >> 6 & 63] : '=');
        buf_add_char(&b, left > 2 ? BASE64[v & 63] : '=');
    }
    return tmpl_take(run, &b, ret);
}

static int fn_base64_decode(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    uint32_t v = 0;
    Str s = a[0].s;
    bool bad = s.n % 4 != 0;
    size_t end = s.n;
    while (end && s.n - end < 2 && s.p[end - 1] == '=') {
        end--;
    }
    for (size_t i = 0; i < s.n && !bad; i++) {
        const char *at = i < end ? memchr(BASE64, s.p[i], 64) : BASE64;
        bad = !at;
        v = v << 6 | (uint32_t)(bad ? 0 : at - BASE64);
        if (i % 4 == 3) {
            size_t keep = i + 1 > end ? 3 - (i + 1 - end) : 3;
            for (size_t k = 0; k < keep; k++) {
                buf_add_char(&b, (char)(v >> (16 - 8 * k)));
            }
            v = 0;
        }
    }
    if (bad) {
        buf_deinit(&b);
        return tmpl_fail(run, "illegal base64 data");
    }
    return tmpl_take(run, &b, ret);
}

/* ---- JSON as Go's encoder writes it, with < > & escaped */

void am_json_string(Buf *b, Str s) {
    buf_add_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\') {
            buf_addf(b, "\\%c", c);
        } else if (c == '\n' || c == '\r' || c == '\t' || c == '\b' || c == '\f') {
            buf_addf(b, "\\%c",
                     c == '\n'   ? 'n'
                     : c == '\r' ? 'r'
                     : c == '\t' ? 't'
                     : c == '\b' ? 'b'
                                 : 'f');
        } else if (c < 0x20 || c == '<' || c == '>' || c == '&') {
            buf_addf(b, "\\u%04x", c);
        } else if (c == 0xe2 && i + 2 < s.n && (unsigned char)s.p[i + 1] == 0x80 &&
                   ((unsigned char)s.p[i + 2] | 1) == 0xa9) {
            buf_addf(b, "\\u202%x", (unsigned char)s.p[i + 2] & 15);
            i += 2;
        } else {
            buf_add_char(b, (char)c);
        }
    }
    buf_add_char(b, '"');
}

static void json_value(Buf *b, TmplRun *run, TmplValue v, int depth);

static void json_object(Buf *b, TmplRun *run, TmplValue v, int depth) {
    bool first = true;
    buf_add_char(b, '{');
    for (size_t i = 0; i < v.type->n; i++) {
        const TmplMember *m = &v.type->members[i];
        TmplValue field;
        if (m->sig || m->fn(run, &v, 1, &field) < 0) {
            continue;
        }
        CLEANUP(buf_deinit) Buf name = BUF_INIT(256);
        buf_add_cstr(&name, m->name);
        if (v.type->json_lower) {
            name.p[0] |= 0x20;
        }
        buf_add_cstr(b, first ? "" : ",");
        am_json_string(b, buf_str(&name));
        buf_add_char(b, ':');
        json_value(b, run, field, depth + 1);
        first = false;
    }
    buf_add_char(b, '}');
}

static void json_map(Buf *b, TmplRun *run, TmplValue v, int depth) {
    buf_add_char(b, '{');
    for (size_t i = 0; i < v.map.n; i++) {
        buf_add_cstr(b, i ? "," : "");
        am_json_string(b, v.map.v[i].key);
        buf_add_char(b, ':');
        json_value(b, run, v.map.v[i].value, depth + 1);
    }
    buf_add_char(b, '}');
}

static void json_list(Buf *b, TmplRun *run, TmplValue v, int depth) {
    buf_add_char(b, '[');
    for (size_t i = 0; i < v.list.n; i++) {
        buf_add_cstr(b, i ? "," : "");
        json_value(b, run, v.list.v[i], depth + 1);
    }
    buf_add_char(b, ']');
}

static void json_value(Buf *b, TmplRun *run, TmplValue v, int depth) {
    if (depth > 50) {
        b->failed = true;
        return;
    }
    switch (v.kind) {
    case TMPL_NIL: buf_add_cstr(b, "null"); break;
    case TMPL_BOOL: buf_add_cstr(b, v.b ? "true" : "false"); break;
    case TMPL_INT:
    case TMPL_DURATION: buf_addf(b, "%lld", (long long)v.i); break;
    case TMPL_FLOAT: number_format_json(b, v.f); break;
    case TMPL_STRING: am_json_string(b, v.s); break;
    case TMPL_LIST: json_list(b, run, v, depth); break;
    case TMPL_MAP: json_map(b, run, v, depth); break;
    case TMPL_OBJECT: json_object(b, run, v, depth); break;
    case TMPL_TIME:
        buf_add_char(b, '"');
        gotime_rfc3339(b, v.time);
        buf_add_char(b, '"');
        break;
    }
}

static int fn_to_json(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    json_value(&b, run, a[0], 0);
    return tmpl_take(run, &b, ret);
}

static const TmplFunc FUNCS[] = {
    {"toUpper", "s", fn_to_upper},
    {"toLower", "s", fn_to_lower},
    {"title", "s", fn_title},
    {"trimSpace", "s", fn_trim_space},
    {"join", "sl", fn_join},
    {"match", "ss", fn_match},
    {"safeHtml", "s", fn_same},
    {"safeUrl", "s", fn_same},
    {"urlUnescape", "s", fn_url_unescape},
    {"reReplaceAll", "sss", fn_re_replace_all},
    {"stringSlice", "s+", fn_string_slice},
    {"date", "st", fn_date},
    {"tz", "st", fn_tz},
    {"now", "", fn_now},
    {"since", "t", fn_since},
    {"humanizeDuration", "a", fn_humanize_duration},
    {"toJson", "a", fn_to_json},
    {"base64encode", "s", fn_base64_encode},
    {"base64decode", "s", fn_base64_decode},
    {"list", "a+", fn_list},
    {"append", "la+", fn_append},
    {"dict", "a+", fn_dict},
};
const TmplFuncTable AM_FUNCS = {FUNCS, ARRAY_LEN(FUNCS)};
