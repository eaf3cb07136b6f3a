#include "rules/notify/matcher_text.h"

#include "base/gotext.h"
#include "base/utf8.h"
#include "base/vec.h"

typedef struct RawMatcher {
    MatcherType type;
    Str name, value;
} RawMatcher;

typedef VEC(RawMatcher) RawMatchers;

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static Str skip_space(Str s) {
    while (s.n && is_space(s.p[0])) {
        s = str_from(s, 1);
    }
    return s;
}

static bool take_operator(Str *s, MatcherType *ret) {
    static const struct {
        const char *text;
        MatcherType type;
    } OPS[] = {{"=~", MATCH_RE}, {"!~", MATCH_NRE}, {"!=", MATCH_NE}, {"=", MATCH_EQ}};
    for (size_t i = 0; i < ARRAY_LEN(OPS); i++) {
        if (str_starts(*s, str_of(OPS[i].text))) {
            *s = str_from(*s, strlen(OPS[i].text));
            *ret = OPS[i].type;
            return true;
        }
    }
    return false;
}

/* ---- UTF-8 grammar: name op value, each quoted or a run without reserved characters */

static bool is_reserved(char c) { return is_space(c) || (c && strchr("{}!=~,\\\"'`", c) != NULL); }

static int take_word(Str *s, Arena *arena, Str *ret, const char *what, Problem *p) {
    *s = skip_space(*s);
    if (s->n && s->p[0] == '"') {
        size_t i = 1;
        while (i < s->n && s->p[i] != '"') {
            i += s->p[i] == '\\' ? 2 : 1;
        }
        CLEANUP(buf_deinit) Buf b = BUF_INIT(1u << 20);
        if (i >= s->n || !go_unquote(str_upto(*s, i + 1), &b)) {
            return problem_set(p, 0, 0, "%.*s: missing or bad end \" of the %s", SA(*s), what);
        }
        *s = str_from(*s, i + 1);
        *ret = arena_str(arena, buf_str(&b));
        return utf8_valid(*ret) ? 0 : problem_set(p, 0, 0, "invalid UTF-8 in the %s", what);
    }
    size_t n = 0;
    while (n < s->n && !is_reserved(s->p[n])) {
        n++;
    }
    if (!n) {
        return problem_set(p, 0, 0, "%.*s: expected a %s", SA(*s), what);
    }
    *ret = str_upto(*s, n);
    *s = str_from(*s, n);
    return utf8_valid(*ret) ? 0 : problem_set(p, 0, 0, "invalid UTF-8 in the %s", what);
}

static int utf8_one(Str *s, Arena *arena, RawMatcher *m, Problem *p) {
    int r = take_word(s, arena, &m->name, "label name", p);
    if (r < 0) {
        return r;
    }
    *s = skip_space(*s);
    if (!take_operator(s, &m->type)) {
        return problem_set(p, 0, 0, "%.*s: expected an operator such as '=', '!=', '=~' or '!~'",
                           SA(*s));
    }
    return take_word(s, arena, &m->value, "label value", p);
}

static int utf8_parse(Str s, Arena *arena, RawMatchers *ret, Problem *p) {
    s = str_trim(s);
    bool brace = s.n && s.p[0] == '{';
    if (brace != (s.n && s.p[s.n - 1] == '}') || (brace && s.n < 2)) {
        return problem_set(p, 0, 0, "expected %s brace", brace ? "closing" : "opening");
    }
    s = brace ? str_trim(str_n(s.p + 1, s.n - 2)) : s;
    while (s.n) {
        RawMatcher m;
        int r = utf8_one(&s, arena, &m, p);
        if (r < 0) {
            return r;
        }
        vec_push(ret, m);
        s = skip_space(s);
        if (s.n && s.p[0] != ',') {
            return problem_set(p, 0, 0, "%.*s: expected a comma or close brace", SA(s));
        }
        s = s.n ? skip_space(str_from(s, 1)) : s;
    }
    return 0;
}

/* ---- classic grammar: name op "value" or value up to the comma; \" \n \\ escapes */

static int classic_value(Str raw, Arena *arena, Str *ret, Problem *p) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(1u << 20);
    bool quoted = raw.n && raw.p[0] == '"', closed = false;
    if (!utf8_valid(raw)) {
        return problem_set(p, 0, 0, "matcher value not valid UTF-8: %.*s", SA(raw));
    }
    for (size_t i = quoted; i < raw.n; i++) {
        char c = raw.p[i];
        if (c == '\\' && i + 1 < raw.n && strchr("\"\\n", raw.p[i + 1])) {
            i++;
            buf_add_char(&b, raw.p[i] == 'n' ? '\n' : raw.p[i]);
        } else if (c == '"') {
            if (!quoted || i + 1 != raw.n) {
                return problem_set(p, 0, 0, "matcher value contains unescaped double quote: %.*s",
                                   SA(raw));
            }
            closed = true;
        } else {
            buf_add_char(&b, c);
        }
    }
    if (quoted && !closed) {
        return problem_set(p, 0, 0, "matcher value contains unescaped double quote: %.*s", SA(raw));
    }
    *ret = arena_str(arena, buf_str(&b));
    return 0;
}

static int classic_one(Str s, Arena *arena, RawMatcher *m, Problem *p) {
    s = str_trim(s);
    size_t n = 0;
    while (n < s.n && !is_space(s.p[n]) && s.p[n] != '=' && s.p[n] != '!') {
        n++;
    }
    m->name = str_upto(s, n);
    Str rest = skip_space(str_from(s, n));
    if (!label_name_valid_legacy(m->name) || !take_operator(&rest, &m->type)) {
        return problem_set(p, 0, 0, "bad matcher format: %.*s", SA(s));
    }
    return classic_value(str_trim(rest), arena, &m->value, p);
}

static int classic_parse(Str s, Arena *arena, RawMatchers *ret, Problem *p) {
    s = str_trim(s);
    if (s.n && s.p[0] == '{') {
        s = str_from(s, 1);
    }
    if (s.n && s.p[s.n - 1] == '}') {
        s = str_upto(s, s.n - 1);
    }
    bool quoted = false;
    size_t start = 0;
    for (size_t i = 0; i <= s.n; i++) {
        if (i < s.n && s.p[i] == '\\') {
            i++;
        } else if (i < s.n && s.p[i] == '"') {
            quoted = !quoted;
        } else if (i == s.n || (s.p[i] == ',' && !quoted)) {
            Str one = str_trim(str_n(s.p + start, MIN(i, s.n) - start));
            start = i + 1;
            if (!one.n && i >= s.n) {
                break; /* a trailing comma */
            }
            RawMatcher m;
            int r = classic_one(one, arena, &m, p);
            if (r < 0) {
                return r;
            }
            vec_push(ret, m);
        }
    }
    return 0;
}

/* ---- both */

int matcher_list_add(MatcherList *list, Arena *arena, MatcherType type, Str name, Str value,
                     Problem *problem) {
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 4;
        Matcher *v = ARENA_ARRAY(arena, Matcher, cap);
        if (list->n) {
            memcpy(v, list->v, list->n * sizeof(*v));
        }
        list->v = v;
        list->cap = cap;
    }
    int r = matcher_init(&list->v[list->n], type, arena_str(arena, name), arena_str(arena, value),
                         problem);
    list->n += r == 0;
    return r;
}

static bool same_raw(const RawMatchers *a, const RawMatchers *b) {
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++) {
        same = a->v[i].type == b->v[i].type && str_eq(a->v[i].name, b->v[i].name) &&
               str_eq(a->v[i].value, b->v[i].value);
    }
    return same;
}

int matcher_text_parse(Str text, Arena *arena, MatcherList *ret, Problem *problem) {
    RawMatchers utf8 = {0}, classic = {0};
    Problem ignored = {0};
    int u = utf8_parse(text, arena, &utf8, problem);
    int c = classic_parse(text, arena, &classic, &ignored);
    bool use_classic = c == 0 && (u < 0 || !same_raw(&utf8, &classic));
    const RawMatchers *use = use_classic ? &classic : &utf8;
    int r = use_classic ? 0 : u;
    for (size_t i = 0; r == 0 && i < use->n; i++) {
        r = matcher_list_add(ret, arena, use->v[i].type, use->v[i].name, use->v[i].value, problem);
    }
    vec_free(&utf8);
    vec_free(&classic);
    return r;
}

static int matcher_cmp(const Matcher *a, const Matcher *b) {
    int c = str_cmp(a->name, b->name);
    c = c ? c : str_cmp(a->value, b->value);
    return c ? c : (int)a->type - (int)b->type;
}

void matcher_list_sort(MatcherList *l) {
    for (size_t i = 1; i < l->n; i++) {
        Matcher m = l->v[i];
        size_t k = i;
        for (; k && matcher_cmp(&l->v[k - 1], &m) > 0; k--) {
            l->v[k] = l->v[k - 1];
        }
        l->v[k] = m;
    }
}

static void format_value(Str v, Buf *b) {
    buf_add_char(b, '"');
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] == '\n') {
            buf_add_cstr(b, "\\n");
            continue;
        }
        if (v.p[i] == '"' || v.p[i] == '\\') {
            buf_add_char(b, '\\');
        }
        buf_add_char(b, v.p[i]);
    }
    buf_add_char(b, '"');
}

void matcher_list_format(const MatcherList *l, Buf *b) {
    buf_add_char(b, '{');
    for (size_t i = 0; i < l->n; i++) {
        bool plain = true;
        for (size_t k = 0; k < l->v[i].name.n; k++) {
            plain = plain && !is_reserved(l->v[i].name.p[k]);
        }
        buf_add_cstr(b, i ? "," : "");
        if (plain) {
            buf_add_str(b, l->v[i].name);
        } else {
            go_quote(b, l->v[i].name);
        }
        buf_add_cstr(b, match_type_text(l->v[i].type));
        if (plain) {
            format_value(l->v[i].value, b);
        } else {
            go_quote(b, l->v[i].value);
        }
    }
    buf_add_char(b, '}');
}

void matcher_list_deinit(MatcherList *l) {
    for (size_t i = 0; i < l->n; i++) {
        matcher_deinit(&l->v[i]);
    }
    l->n = 0;
}
