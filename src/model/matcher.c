#include "model/matcher.h"

#include "base/gotext.h"

int matcher_init(Matcher *m, MatcherType type, Str name, Str value, Problem *problem) {
    Regex *re = NULL;
    if (type == MATCH_RE || type == MATCH_NRE) {
        re = regex_new(value, 0, problem);
        if (!re) {
            return -EINVAL;
        }
    }
    *m = (Matcher){.type = type, .name = name, .value = value, .re = re};
    return 0;
}

void matcher_deinit(Matcher *m) {
    if (m) {
        regex_free(m->re);
        m->re = NULL;
    }
}

bool matcher_matches(const Matcher *m, Str value) {
    switch (m->type) {
    case MATCH_EQ: return str_eq(m->value, value);
    case MATCH_NE: return !str_eq(m->value, value);
    case MATCH_RE: return regex_match(m->re, value);
    case MATCH_NRE: return !regex_match(m->re, value);
    }
    return false;
}

bool matchers_match(const Matcher *m, size_t n, Labels l) {
    for (size_t i = 0; i < n; i++) {
        if (!matcher_matches(&m[i], labels_get(l, m[i].name))) {
            return false;
        }
    }
    return true;
}

void matcher_format(const Matcher *m, Buf *b) {
    if (label_name_valid_legacy(m->name)) {
        buf_add_str(b, m->name);
    } else {
        go_quote(b, m->name);
    }
    buf_add_cstr(b, match_type_text(m->type));
    go_quote(b, m->value);
}

const char *match_type_text(MatcherType type) {
    switch (type) {
    case MATCH_EQ: return "=";
    case MATCH_NE: return "!=";
    case MATCH_RE: return "=~";
    case MATCH_NRE: return "!~";
    }
    return "?";
}
