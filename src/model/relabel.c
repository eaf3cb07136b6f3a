#include "model/relabel.h"

#include <locale.h>
#include <pthread.h>
#include <wctype.h>

#include "base/compiler.h"
#include "base/gotext.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "model/md5.h"

#define SEPARATOR_DEFAULT STR(";")
#define REGEX_DEFAULT STR("(.*)")
#define REPLACEMENT_DEFAULT STR("$1")
/* A replacement that writes more than this is a mistake or an attack. */
#define EXPANSION_BYTES_MAX ((size_t)16 << 20)
#define GROUPS_MAX 64

static const char *const action_texts[] = {
    [RELABEL_REPLACE] = "replace",     [RELABEL_KEEP] = "keep",
    [RELABEL_DROP] = "drop",           [RELABEL_KEEPEQUAL] = "keepequal",
    [RELABEL_DROPEQUAL] = "dropequal", [RELABEL_HASHMOD] = "hashmod",
    [RELABEL_LABELMAP] = "labelmap",   [RELABEL_LABELDROP] = "labeldrop",
    [RELABEL_LABELKEEP] = "labelkeep", [RELABEL_LOWERCASE] = "lowercase",
    [RELABEL_UPPERCASE] = "uppercase",
};

const char *relabel_action_text(RelabelAction a) { return action_texts[a]; }

bool relabel_action_parse(Str s, RelabelAction *ret) {
    for (size_t i = 0; i < ARRAY_LEN(action_texts); i++) {
        if (str_eq_nocase(s, str_of(action_texts[i]))) {
            *ret = (RelabelAction)i;
            return true;
        }
    }
    return false;
}

/* ---- validation */

static bool has_variable(Str s) { return str_find(s, '$') < s.n; }

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static size_t word_length(Str s) {
    size_t n = 0;
    while (n < s.n && is_word(s.p[n])) {
        n++;
    }
    return n;
}

/* A classic label name in which $name and ${name} may stand for letters. */
static bool template_valid_legacy(Str s) {
    if (s.n == 0 || (s.p[0] >= '0' && s.p[0] <= '9')) {
        return false;
    }
    while (s.n > 0) {
        if (s.p[0] != '$') {
            if (!is_word(s.p[0])) {
                return false;
            }
            s = str_from(s, 1);
            continue;
        }
        bool braces = s.n > 1 && s.p[1] == '{';
        Str name = str_from(s, braces ? 2 : 1);
        size_t n = word_length(name);
        if (n == 0 || (braces && (n == name.n || name.p[n] != '}'))) {
            return false;
        }
        s = str_from(name, n + braces);
    }
    return true;
}

static bool name_valid(const RelabelConfig *c, Str name) {
    return c->utf8_names ? label_name_valid_utf8(name) : label_name_valid_legacy(name);
}

static bool template_valid(const RelabelConfig *c, Str s) {
    return c->utf8_names ? label_name_valid_utf8(s) : template_valid_legacy(s);
}

static int bad_name(const RelabelConfig *c, Str name, const char *key, Problem *problem) {
    CLEANUP(buf_deinit) Buf quoted = BUF_INIT(0);
    go_quote(&quoted, name);
    return problem_set(problem, 0, 0, "%.*s is invalid '%s' for %s action", SA(buf_str(&quoted)),
                       key, relabel_action_text(c->action));
}

static bool needs_target(RelabelAction a) {
    return a == RELABEL_REPLACE || a == RELABEL_HASHMOD || a == RELABEL_LOWERCASE ||
           a == RELABEL_UPPERCASE || a == RELABEL_KEEPEQUAL || a == RELABEL_DROPEQUAL;
}

static bool settings_default(const RelabelConfig *c) {
    return c->modulus == 0 && str_eq(c->separator, SEPARATOR_DEFAULT) &&
           str_eq(c->replacement, REPLACEMENT_DEFAULT);
}

static int check_target(const RelabelConfig *c, Problem *problem) {
    bool dynamic = c->action == RELABEL_REPLACE && has_variable(c->target_label);
    if (c->target_label.n == 0) {
        return problem_set(problem, 0, 0,
                           "relabel configuration for %s action requires 'target_label' value",
                           relabel_action_text(c->action));
    }
    if (dynamic ? !template_valid(c, c->target_label) : !name_valid(c, c->target_label)) {
        return bad_name(c, c->target_label, "target_label", problem);
    }
    bool fixed = c->action != RELABEL_REPLACE && c->action != RELABEL_HASHMOD;
    if (fixed && !str_eq(c->replacement, REPLACEMENT_DEFAULT)) {
        return problem_set(problem, 0, 0, "'replacement' can not be set for %s action",
                           relabel_action_text(c->action));
    }
    return 0;
}

static int check(const RelabelConfig *c, unsigned set, Problem *problem) {
    RelabelAction a = c->action;
    if (a == RELABEL_HASHMOD && c->modulus == 0) {
        return problem_set(problem, 0, 0,
                           "relabel configuration for hashmod requires non-zero modulus");
    }
    int r = needs_target(a) ? check_target(c, problem) : 0;
    if (r < 0) {
        return r;
    }
    if (a == RELABEL_LABELMAP && !template_valid(c, c->replacement)) {
        return bad_name(c, c->replacement, "replacement", problem);
    }
    bool equal = a == RELABEL_KEEPEQUAL || a == RELABEL_DROPEQUAL;
    if (equal && ((set & RELABEL_SET_REGEX) || !settings_default(c))) {
        return problem_set(
            problem, 0, 0,
            "%s action requires only 'source_labels' and `target_label`, and no other fields",
            relabel_action_text(a));
    }
    bool names = a == RELABEL_LABELDROP || a == RELABEL_LABELKEEP;
    if (names && ((set & RELABEL_SET_SOURCE) || c->target_label.n > 0 || !settings_default(c))) {
        return problem_set(problem, 0, 0, "%s action requires only 'regex', and no other fields",
                           relabel_action_text(a));
    }
    return 0;
}

int relabel_config_init(RelabelConfig *c, unsigned set, Problem *problem) {
    if (!(set & RELABEL_SET_SEPARATOR)) {
        c->separator = SEPARATOR_DEFAULT;
    }
    if (!(set & RELABEL_SET_REGEX)) {
        c->regex_text = REGEX_DEFAULT;
    }
    if (!(set & RELABEL_SET_REPLACEMENT)) {
        c->replacement = REPLACEMENT_DEFAULT;
    }
    if (!(set & RELABEL_SET_ACTION)) {
        c->action = RELABEL_REPLACE;
    }
    int r = check(c, set, problem);
    if (r < 0) {
        return r;
    }
    c->regex = regex_new(c->regex_text, 0, problem);
    if (c->regex && regex_groups(c->regex) >= GROUPS_MAX) {
        regex_free(steal(&c->regex));
        return problem_set(problem, 0, 0, "the regex has more than %d groups", GROUPS_MAX - 1);
    }
    return c->regex ? 0 : -EINVAL;
}

void relabel_config_deinit(RelabelConfig *c) {
    if (c) {
        regex_free(c->regex);
        c->regex = NULL;
    }
}

/* ---- the actions */

/* The source labels' values with the separator between them. */
static Str joined_value(const RelabelConfig *c, const LabelsBuilder *b, Arena *a) {
    if (c->n_source_labels == 0) {
        return STR("");
    }
    if (c->n_source_labels == 1) {
        Str only = labels_builder_get(b, c->source_labels[0]);
        return only.p ? only : STR("");
    }
    size_t size = (c->n_source_labels - 1) * c->separator.n;
    for (size_t i = 0; i < c->n_source_labels; i++) {
        size += labels_builder_get(b, c->source_labels[i]).n;
    }
    char *p = arena_alloc_bytes(a, size), *at = p;
    for (size_t i = 0; p && i < c->n_source_labels; i++) {
        Str value = labels_builder_get(b, c->source_labels[i]);
        if (i > 0 && c->separator.n) {
            at = mempcpy(at, c->separator.p, c->separator.n);
        }
        if (value.n) {
            at = mempcpy(at, value.p, value.n);
        }
    }
    return p ? (Str){p, size} : STR("");
}

/* What the template becomes; most are plain text or one whole group. */
static Str expand(const RelabelConfig *c, Str template, const Str *groups, size_t n, Arena *a) {
    if (!has_variable(template)) {
        return template;
    }
    if (n > 1 && str_eq(template, REPLACEMENT_DEFAULT)) {
        return groups[1].p ? groups[1] : STR("");
    }
    CLEANUP(buf_deinit) Buf out = BUF_INIT(EXPANSION_BYTES_MAX);
    regex_expand(c->regex, template, groups, n, &out);
    if (out.failed) {
        a->failed = true;
        return STR("");
    }
    return arena_str(a, buf_str(&out));
}

/* The number of groups when the whole of value matches, else 0. */
static size_t match(const RelabelConfig *c, Str value, Str *groups) {
    size_t n = (size_t)regex_groups(c->regex) + 1;
    if (str_eq(c->regex_text, REGEX_DEFAULT)) {
        groups[0] = groups[1] = value;
        return n;
    }
    return regex_match_groups(c->regex, value, groups, n) ? n : 0;
}

static void replace(const RelabelConfig *c, LabelsBuilder *b, Str value, Arena *a) {
    Str groups[GROUPS_MAX];
    size_t n = match(c, value, groups);
    if (n == 0) {
        return;
    }
    Str target = c->target_label;
    if (has_variable(target)) {
        target = expand(c, target, groups, n, a);
        if (!name_valid(c, target)) {
            return;
        }
    }
    labels_builder_set(b, target, expand(c, c->replacement, groups, n, a));
}

static void hashmod(const RelabelConfig *c, LabelsBuilder *b, Str value, Arena *a) {
    uint8_t sum[MD5_BYTES];
    uint64_t last = 0;
    md5_sum(value, sum);
    for (size_t i = MD5_BYTES - 8; i < MD5_BYTES; i++) {
        last = last << 8 | sum[i];
    }
    labels_builder_set(b, c->target_label,
                       arena_printf(a, "%llu", (unsigned long long)(last % c->modulus)));
}

static void labelmap(const RelabelConfig *c, LabelsBuilder *b, Arena *a) {
    Str groups[GROUPS_MAX];
    size_t n_before = b->n;
    Label *before = arena_dup(a, b->v, n_before * sizeof(*before));
    for (size_t i = 0; before && i < n_before; i++) {
        size_t n = match(c, before[i].name, groups);
        if (n > 0) {
            labels_builder_set(b, expand(c, c->replacement, groups, n, a), before[i].value);
        }
    }
}

static void filter_names(const RelabelConfig *c, LabelsBuilder *b, bool keep) {
    size_t kept = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (regex_match(c->regex, b->v[i].name) == keep) {
            b->v[kept++] = b->v[i];
        }
    }
    b->n = kept;
}

/* ---- letters */

static locale_t unicode;

static void unicode_init(void) { unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0); }

/* Code point by code point, whatever locale the process runs in; without the table only ASCII. */
static uint32_t map_rune(uint32_t rune, bool upper) {
    if (rune < 0x80) {
        if (upper) {
            return rune >= 'a' && rune <= 'z' ? rune - 32 : rune;
        }
        return rune >= 'A' && rune <= 'Z' ? rune + 32 : rune;
    }
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, unicode_init);
    if (!unicode) {
        return rune;
    }
    return (uint32_t)(upper ? towupper_l(rune, unicode) : towlower_l(rune, unicode));
}

static Str map_letters(Str s, bool upper, Arena *a) {
    /* A mapped code point may be longer than its source; a bad byte becomes U+FFFD. */
    char *p = arena_alloc_bytes(a, s.n * 4 + 1);
    size_t n = 0;
    if (!p) {
        return STR("");
    }
    for (size_t i = 0; i < s.n;) {
        size_t size;
        uint32_t rune = utf8_decode(str_from(s, i), &size);
        n += utf8_encode(map_rune(rune, upper), p + n);
        i += size;
    }
    return (Str){p, n};
}

static bool apply(const RelabelConfig *c, LabelsBuilder *b, Arena *a) {
    Str value = joined_value(c, b, a);
    switch (c->action) {
    case RELABEL_REPLACE: replace(c, b, value, a); return true;
    case RELABEL_KEEP: return regex_match(c->regex, value);
    case RELABEL_DROP: return !regex_match(c->regex, value);
    case RELABEL_KEEPEQUAL: return str_eq(labels_builder_get(b, c->target_label), value);
    case RELABEL_DROPEQUAL: return !str_eq(labels_builder_get(b, c->target_label), value);
    case RELABEL_HASHMOD: hashmod(c, b, value, a); return true;
    case RELABEL_LABELMAP: labelmap(c, b, a); return true;
    case RELABEL_LABELDROP: filter_names(c, b, false); return true;
    case RELABEL_LABELKEEP: filter_names(c, b, true); return true;
    case RELABEL_LOWERCASE:
    case RELABEL_UPPERCASE:
        labels_builder_set(b, c->target_label,
                           map_letters(value, c->action == RELABEL_UPPERCASE, a));
        return true;
    }
    return true;
}

bool relabel_apply(const RelabelConfig *const *configs, size_t n, LabelsBuilder *b, Arena *a) {
    for (size_t i = 0; i < n; i++) {
        if (!apply(configs[i], b, a)) {
            return false;
        }
    }
    return true;
}
