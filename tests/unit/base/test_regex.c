#include "base/regex.h"
#include "support/test.h"

static Regex *compiled(const char *pattern, unsigned flags) {
    Problem p = {0};
    Regex *re = regex_new(str_of(pattern), flags, &p);
    if (!re) {
        test_fail(__FILE__, __LINE__, "%s: %s", pattern, p.text);
    }
    return re;
}

/* Optimised and plain way must agree: a do-nothing (?:...){1} sends the same pattern to RE2. */
TEST (fast_paths_agree_with_the_automaton) {
    static const char *patterns[] = {
        "",        "a",          "abc",         "a|b",     "a|b|",      "ab|cd|ef|gh|ij|kl|mn|op",
        "(a|b)",   "x(?:a|b)y",  "(?P<n>a|b)c", "[abc]x",  "ab?c",      "a(b|c)?d",
        ".*",      ".+",         "(.*)",        "(.+)",    "a.*",       "a.+",
        ".*c",     ".+c",        "a.*c",        ".*b.*",   ".+b.+",     "a.*b.*c",
        "a.*.+c",  ".*.*",       "a\\.b",       "a\\.b.*", "a.c",       "a\\d+",
        "abc*",    "abc+d",      "abé?",        "é|à",     "aé.*",      "(?i:ABC)",
        "(?i)abc", "a{2}",       "[^a]",        "a|b.*",   "\\Qa|b\\E", "x\\Q.*\\E",
        "^abc$",   "^a|b$",      "a\\nb",       "a.*?c",   "[.]x",      "a||b",
        "()",      "(a|b)(c|d)", "(?:a|b)+",    "a[]|]b",  "ab(c|d).*"};
    static const char *texts[] = {
        "",    "a",   "b",    "c",   "abc",    "ab",    "ac",   "ad",   "abd",  "xay",
        "xby", "xx",  "ax",   "bx",  "abcabc", "aXbYc", "a\nb", "a\nc", "aa",   "é",
        "à",   "aé",  "abé",  "aéz", "ABC",    "a.b",   "a.bz", "a12",  "a|b",  "x.*",
        "cd",  "op",  "mn",   "mno", ".x",     "bd",    "ac",   "bc",   "abcd", "a|b",
        "a]b", "abb", "abbb", "cc",  "abcz",   "abdz",  "ccc",  "bcb",  "\n",   "éé"};
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        char slow[128];
        snprintf(slow, sizeof(slow), "(?:%s){1}", patterns[i]);
        Regex *a = compiled(patterns[i], 0), *b = compiled(slow, 0);
        for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++) {
            Str s = str_of(texts[k]);
            if (regex_match(a, s) != regex_match(b, s)) {
                test_fail(__FILE__, __LINE__, "/%s/ on '%s': fast way says %d", patterns[i],
                          texts[k], regex_match(a, s));
            }
            if (regex_match(a, s) && !str_starts(s, regex_prefix(a))) {
                test_fail(__FILE__, __LINE__, "/%s/: wrong prefix", patterns[i]);
            }
        }
        regex_free(a);
        regex_free(b);
    }
}

static void check_set(const char *pattern, const char *want) {
    Regex *re = compiled(pattern, 0);
    const Str *set = NULL;
    size_t n = regex_set(re, &set);
    Buf b = BUF_INIT(0);
    for (size_t i = 0; i < n; i++) {
        buf_addf(&b, "%s%.*s", i ? "," : "", SA(set[i]));
    }
    CHECK_STR(buf_str(&b), str_of(want));
    buf_deinit(&b);
    regex_free(re);
}

TEST (finite_sets_are_listed) {
    check_set("abc", "abc");
    check_set("b|a|b", "a,b");
    check_set("x(a|b)", "xa,xb");
    check_set("x[ab]y", "xay,xby");
    check_set("ab?", "a,ab");
    check_set("a\\.b|c\\|d", "a.b,c|d");
    check_set("a.", "");
    check_set("(?i)a", "");
    check_set("a|b+", "");
}

TEST (sets_of_thousands_are_found_by_hash) {
    Buf b = BUF_INIT(0);
    for (int i = 0; i < 5000; i++) {
        buf_addf(&b, "%shost-%d\\.example", i ? "|" : "", i);
    }
    Regex *re = compiled(buf_cstr(&b), 0);
    const Str *set;
    CHECK_INT(regex_set(re, &set), 5000);
    CHECK(regex_match(re, STR("host-4999.example")) && regex_match(re, STR("host-0.example")));
    CHECK(!regex_match(re, STR("host-5000.example")) && !regex_match(re, STR("host-0xexample")));
    CHECK_STR(regex_prefix(re), STR("host-"));
    regex_free(re);
    buf_deinit(&b);
}

static void check_prefix(const char *pattern, const char *want) {
    Regex *re = compiled(pattern, 0);
    CHECK_STR(regex_prefix(re), str_of(want));
    regex_free(re);
}

TEST (prefixes_are_literal_and_certain) {
    check_prefix("abc\\d", "abc");
    check_prefix("abc*", "ab");
    check_prefix("abé?x[yz]{3}", "ab");
    check_prefix("abc\\d|x", "");
    check_prefix("abc(\\d|x)", "abc");
    check_prefix("(?i)abc", "");
    check_prefix("a.*b", "a");
    check_prefix("a\\d[|]", "a");
}

static void check_refused(const char *pattern, const char *want) {
    Problem p = {0};
    Regex *re = regex_new(str_of(pattern), 0, &p);
    if (re) {
        test_fail(__FILE__, __LINE__, "taken: %s", pattern);
    }
    CHECK_CSTR(p.text, want);
}

TEST (errors_use_the_words_of_go) {
    check_refused("a(", "error parsing regexp: missing closing ): `a(`");
    check_refused("a)", "error parsing regexp: unexpected ): `a)`");
    check_refused("[a", "error parsing regexp: missing closing ]: `[a`");
    check_refused("*", "error parsing regexp: missing argument to repetition operator: `*`");
    check_refused("a**", "error parsing regexp: invalid nested repetition operator: `**`");
    check_refused("a\\", "error parsing regexp: trailing backslash at end of expression: ``");
    check_refused("\\C", "error parsing regexp: invalid escape sequence: `\\C`");
    check_refused("(?=a)", "error parsing regexp: invalid or unsupported Perl syntax: `(?=`");
    check_refused("[z-a]", "error parsing regexp: invalid character class range: `z-a`");
    check_refused("(?<n", "error parsing regexp: invalid named capture: `(?<n`");
    check_refused("(?i", "error parsing regexp: invalid or unsupported Perl syntax: `(?i`");
    check_refused("\xff", "error parsing regexp: invalid UTF-8: `\xff`");
    check_refused("a{1001}", "error parsing regexp: invalid repeat count: `{1001}`");
}

TEST (groups_and_names) {
    Regex *re = compiled("(?<host>[^:]+):(?P<port>\\d+)(x)?", 0);
    CHECK_INT(regex_groups(re), 3);
    CHECK_INT(regex_group_index(re, STR("port")), 2);
    CHECK_INT(regex_group_index(re, STR("nope")), -1);
    Str g[5];
    CHECK(regex_match_groups(re, STR("db:80"), g, 5));
    CHECK_STR(g[0], STR("db:80"));
    CHECK_STR(g[1], STR("db"));
    CHECK_STR(g[2], STR("80"));
    CHECK(!g[3].p && !g[4].p);
    Buf b = BUF_INIT(0);
    regex_expand(re, STR("$1 ${2}x $2x $host-${port}$$ $ ${ ${9} ${no"), g, 4, &b);
    CHECK_STR(buf_str(&b), STR("db 80x  db-80$ $ ${  ${no"));
    buf_deinit(&b);
    CHECK(!regex_match_groups(re, STR("db:"), g, 5));
    regex_free(re);
}

TEST (the_default_relabel_pattern_captures_all) {
    Regex *re = compiled("(.*)", 0);
    Str g[2];
    CHECK(regex_match_groups(re, STR("a\nb"), g, 2));
    CHECK_STR(g[1], STR("a\nb"));
    CHECK(regex_match_groups(re, STR_NULL, g, 2));
    CHECK(g[1].p && g[1].n == 0);
    regex_free(re);
}

static void check_replace(const char *pattern, const char *s, const char *by, const char *want) {
    Regex *re = compiled(pattern, REGEX_PARTIAL);
    Buf b = BUF_INIT(0);
    regex_replace_all(re, str_of(s), str_of(by), &b);
    CHECK_STR(buf_str(&b), str_of(want));
    buf_deinit(&b);
    regex_free(re);
}

/* Expected values follow from the rules in Go's regexp documentation and tests of our own. */
TEST (replacement_goes_on_as_in_go) {
    check_replace("a+", "baaac", "x", "bxc");
    check_replace("a*", "baaac", "x", "xbxcx");
    check_replace("", "éa", "-", "-é-a-");
    check_replace("^a", "aaa", "x", "xaa");
    check_replace("(.)(.)", "abcd", "$2$1", "badc");
    check_replace("a.b", "a\nb", "x", "a\nb");
    check_replace("b", "aaa", "x", "aaa");
    check_replace("", "", "x", "x");
}

TEST (partial_matches_anywhere) {
    Regex *re = compiled("b+", REGEX_PARTIAL);
    CHECK(regex_match(re, STR("abbc")) && !regex_match(re, STR("ac")));
    Str g[1];
    CHECK(regex_match_groups(re, STR("abbc"), g, 1));
    CHECK_STR(g[0], STR("bb"));
    regex_free(re);
}
