/*
 * Patterns are read twice: by RE2, which decides what they mean, and by the small reader below,
 * which knows only literals, groups, alternation, small classes and .* / .+ and gives up on
 * anything else. What it does understand is matched by comparing bytes:
 *
 *     a|b|pre(x|y)    set: the finite list of strings that match
 *     a.*b.+c         glob: literals with gaps of at least 0 or 1 bytes between them
 *     abc\d+          prefix: checked before RE2 is asked
 *
 * RE2 itself is only built when it can be needed: for other patterns, and for those with groups.
 */
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <re2/re2.h>

extern "C" {
#include "base/gotext.h"
#include "base/hash.h"
#include "base/regex.h"
#include "base/utf8.h"
}

namespace {

/* Alternatives written out one by one are kept up to the first bound, products of several groups up
 * to the second. */
constexpr size_t SET_MAX = 65536;
constexpr size_t SET_PRODUCT_MAX = 1024;
constexpr int READER_DEPTH_MAX = 50;
constexpr size_t SET_LINEAR_MAX = 6;
constexpr int64_t PATTERN_LARGE_BYTES = 32768;

using Strings = std::vector<std::string>;

inline Str to_str(std::string_view v) { return Str{v.data(), v.size()}; }
inline std::string_view to_view(Str s) { return {s.p ? s.p : "", s.n}; }

/* ---- the reader of finite sets ---- */

bool escaped_literal(char c, char *ret) {
    if (c > 0x20 && c < 0x7f && !isalnum(static_cast<unsigned char>(c))) {
        *ret = c;
        return true;
    }
    static const char letters[] = "afnrtv", bytes[] = "\a\f\n\r\t\v";
    const char *at = c ? strchr(letters, c) : nullptr;
    if (!at) {
        return false;
    }
    *ret = bytes[at - letters];
    return true;
}

/* One unquoted literal byte or escape at p[i]; false when it is anything else. */
bool read_literal(std::string_view p, size_t *i, char *ret) {
    char c = p[*i];
    if (c == '\\') {
        if (*i + 1 >= p.size() || !escaped_literal(p[*i + 1], ret)) {
            return false;
        }
        *i += 2;
        return true;
    }
    if (c == '\0' || strchr(".+*?()|[]{}^$", c)) {
        return false;
    }
    *ret = c;
    ++*i;
    return true;
}

/* Length of the UTF-8 sequence that starts with c. */
size_t sequence_length(char c) {
    unsigned char u = static_cast<unsigned char>(c);
    return u < 0x80 ? 1 : u < 0xe0 ? 2 : u < 0xf0 ? 3 : 4;
}

class SetReader {
  public:
    explicit SetReader(std::string_view pattern) : p_(pattern) {}

    /* The strings that match, or false when there are too many or it cannot tell. */
    bool read(Strings *ret) { return alternation(ret, 0) && i_ == p_.size(); }

  private:
    std::string_view p_;
    size_t i_ = 0;

    bool at(char c) const { return i_ < p_.size() && p_[i_] == c; }

    bool alternation(Strings *ret, int depth) {
        for (;;) {
            Strings one;
            if (depth > READER_DEPTH_MAX || !concatenation(&one, depth) ||
                ret->size() + one.size() > SET_MAX) {
                return false;
            }
            std::move(one.begin(), one.end(), std::back_inserter(*ret));
            if (!at('|')) {
                return true;
            }
            i_++;
        }
    }

    bool concatenation(Strings *ret, int depth) {
        ret->assign(1, std::string());
        while (i_ < p_.size() && !at('|') && !at(')')) {
            Strings part;
            if (!atom(&part, depth) || !optional(&part) || !append(ret, part)) {
                return false;
            }
        }
        return true;
    }

    /* x? is x or nothing; any other repetition has no end. */
    bool optional(Strings *part) {
        if (i_ < p_.size() && strchr("*+{", p_[i_])) {
            return false;
        }
        if (at('?')) {
            i_++;
            part->push_back(std::string());
            return i_ == p_.size() || !strchr("?*+{", p_[i_]);
        }
        return true;
    }

    static bool append(Strings *all, const Strings &part) {
        if (part.size() == 1) {
            for (std::string &s : *all) {
                s += part[0];
            }
            return true;
        }
        if (all->size() > 1 && all->size() * part.size() > SET_PRODUCT_MAX) {
            return false;
        }
        Strings product;
        for (const std::string &a : *all) {
            for (const std::string &b : part) {
                product.push_back(a + b);
            }
        }
        *all = std::move(product);
        return true;
    }

    bool atom(Strings *ret, int depth) {
        if (at('(')) {
            return group(ret, depth);
        }
        if (at('[')) {
            return small_class(ret);
        }
        std::string s;
        size_t want = sequence_length(p_[i_]);
        char c;
        while (s.size() < want) {
            if (i_ >= p_.size() || !read_literal(p_, &i_, &c)) {
                return false;
            }
            s.push_back(c);
        }
        ret->push_back(std::move(s));
        return true;
    }

    bool group(Strings *ret, int depth) {
        i_++;
        if (at('?')) {
            if (p_.compare(i_, 2, "?:") == 0) {
                i_ += 2;
            } else if (p_.compare(i_, 3, "?P<") == 0) {
                i_ = std::min(p_.find('>', i_), p_.size() - 1) + 1;
            } else {
                return false;
            }
        }
        if (!alternation(ret, depth + 1) || !at(')')) {
            return false;
        }
        i_++;
        return true;
    }

    /* [abc] of plain ASCII characters: no ranges, no negation, no named classes. */
    bool small_class(Strings *ret) {
        i_++;
        size_t start = i_;
        for (; i_ < p_.size() && p_[i_] != ']'; i_++) {
            if (!isalnum(static_cast<unsigned char>(p_[i_])) && !strchr("_., :/", p_[i_])) {
                return false;
            }
            if (std::find(p_.begin() + static_cast<long>(start), p_.begin() + static_cast<long>(i_),
                          p_[i_]) == p_.begin() + static_cast<long>(i_)) {
                ret->emplace_back(1, p_[i_]);
            }
        }
        if (i_ == start || i_ >= p_.size()) {
            return false;
        }
        i_++;
        return true;
    }
};

/* ---- the reader of globs ---- */

/* literals[0] gap[0] literals[1] gap[1] ... literals[n]; a gap is the least number of bytes. */
struct Glob {
    Strings literals;
    std::vector<unsigned> gaps;
};

bool read_glob(std::string_view p, Glob *ret) {
    ret->literals.assign(1, std::string());
    for (size_t i = 0; i < p.size();) {
        if (p[i] == '.') {
            if (i + 1 >= p.size() || (p[i + 1] != '*' && p[i + 1] != '+')) {
                return false;
            }
            unsigned least = p[i + 1] == '+';
            i += 2;
            i += i < p.size() && p[i] == '?';
            if (i < p.size() && strchr("?*+{", p[i])) {
                return false;
            }
            if (ret->literals.back().empty() && !ret->gaps.empty()) {
                /* .+.+ would count characters, not bytes */
                if (least && ret->gaps.back()) {
                    return false;
                }
                ret->gaps.back() |= least;
                continue;
            }
            ret->gaps.push_back(least);
            ret->literals.emplace_back();
            continue;
        }
        char c;
        if (!read_literal(p, &i, &c) || (i < p.size() && strchr("?*+{", p[i]))) {
            return false;
        }
        ret->literals.back().push_back(c);
    }
    return !ret->gaps.empty();
}

bool glob_match(const Glob &g, std::string_view s) {
    const std::string &first = g.literals.front(), &last = g.literals.back();
    if (s.size() < first.size() + last.size() || s.compare(0, first.size(), first) != 0 ||
        s.compare(s.size() - last.size(), last.size(), last) != 0) {
        return false;
    }
    size_t at = first.size(), end = s.size() - last.size();
    for (size_t k = 0; k + 1 < g.gaps.size(); k++) {
        const std::string &lit = g.literals[k + 1];
        at += g.gaps[k];
        size_t found = at <= end ? s.find(lit, at) : std::string_view::npos;
        if (found == std::string_view::npos || found + lit.size() > end) {
            return false;
        }
        at = found + lit.size();
    }
    return at + g.gaps.back() <= end;
}

/* ---- the reader of literal prefixes ---- */

/* Position behind the class that starts at p[i] == '['. */
size_t skip_class(std::string_view p, size_t i) {
    i++;
    i += i < p.size() && p[i] == '^';
    i += i < p.size() && p[i] == ']';
    while (i < p.size() && p[i] != ']') {
        if (p[i] == '\\') {
            i++;
        } else if (p.compare(i, 2, "[:") == 0) {
            size_t close = p.find(":]", i + 2);
            i = close == p.npos ? i : close + 1;
        }
        i++;
    }
    return std::min(i + 1, p.size());
}

/* Calls fn(position) for every byte that is syntax: outside of escapes, \Q..\E and classes. */
template <typename F> void walk_syntax(std::string_view p, F fn) {
    for (size_t i = 0; i < p.size();) {
        if (p.compare(i, 2, "\\Q") == 0) {
            size_t close = p.find("\\E", i + 2);
            i = close == p.npos ? p.size() : close + 2;
        } else if (p[i] == '\\') {
            fn(i);
            i += 2;
        } else if (p[i] == '[') {
            i = skip_class(p, i);
        } else {
            fn(i++);
        }
    }
}

bool has_outer_alternation(std::string_view p) {
    int depth = 0;
    bool found = false;
    walk_syntax(p, [&](size_t i) {
        depth += (p[i] == '(') - (p[i] == ')');
        found |= p[i] == '|' && depth == 0;
    });
    return found;
}

std::string read_prefix(std::string_view p) {
    std::string prefix;
    if (has_outer_alternation(p)) {
        return prefix;
    }
    size_t last = 0; /* where the last whole character of the prefix starts */
    for (size_t i = 0; i < p.size();) {
        char c;
        if (!read_literal(p, &i, &c)) {
            if (strchr("?*+{", p[i])) {
                prefix.resize(last);
            }
            break;
        }
        if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) {
            last = prefix.size();
        }
        prefix.push_back(c);
    }
    return prefix;
}

/* ---- dialect ---- */

/* Go also writes a named group as (?<name>...); this RE2 knows only (?P<name>...). */
std::string with_named_groups(std::string_view p) {
    std::string out;
    size_t from = 0;
    walk_syntax(p, [&](size_t i) {
        if (p.compare(i, 3, "(?<") == 0 && p.compare(i, 4, "(?<=") != 0 &&
            p.compare(i, 4, "(?<!") != 0) {
            out.append(p.substr(from, i + 2 - from)).append("P");
            from = i + 2;
        }
    });
    return out.append(p.substr(from));
}

bool has_any_byte_escape(std::string_view p) {
    bool found = false;
    walk_syntax(p, [&](size_t i) { found |= p.compare(i, 2, "\\C") == 0; });
    return found;
}

const char *go_words(RE2::ErrorCode code) {
    switch (code) {
    case RE2::ErrorBadEscape: return "invalid escape sequence";
    case RE2::ErrorBadCharClass: return "invalid character class";
    case RE2::ErrorBadCharRange: return "invalid character class range";
    case RE2::ErrorMissingBracket: return "missing closing ]";
    case RE2::ErrorMissingParen: return "missing closing )";
    case RE2::ErrorUnexpectedParen: return "unexpected )";
    case RE2::ErrorTrailingBackslash: return "trailing backslash at end of expression";
    case RE2::ErrorRepeatArgument: return "missing argument to repetition operator";
    case RE2::ErrorRepeatSize: return "invalid repeat count";
    case RE2::ErrorRepeatOp: return "invalid nested repetition operator";
    case RE2::ErrorBadPerlOp: return "invalid or unsupported Perl syntax";
    case RE2::ErrorBadUTF8: return "invalid UTF-8";
    case RE2::ErrorBadNamedCapture: return "invalid named capture";
    case RE2::ErrorPatternTooLarge: return "expression too large";
    case RE2::NoError:
    case RE2::ErrorInternal: break;
    }
    return "regexp/syntax: internal error";
}

void refuse(Problem *problem, const char *words, std::string_view part) {
    problem_set(problem, 0, 0, "error parsing regexp: %s: `%.*s`", words,
                static_cast<int>(part.size()), part.data());
}

} // namespace

struct Regex {
    enum class Kind { AUTOMATON, SET, GLOB };

    std::string pattern;
    Kind kind = Kind::AUTOMATON;
    bool partial = false;
    Strings set; /* sorted, each once */
    std::vector<Str> set_strs;
    std::vector<uint32_t> table; /* open addressing over set: index + 1 */
    Glob glob;
    std::string prefix;
    std::unique_ptr<RE2> re; /* unset when bytes alone decide and there are no groups */

    bool set_match(Str s) const;
    bool matches(Str s) const;
    void finish_set();
};

void Regex::finish_set() {
    std::sort(set.begin(), set.end());
    set.erase(std::unique(set.begin(), set.end()), set.end());
    for (const std::string &s : set) {
        set_strs.push_back(to_str(s));
    }
    const std::string &a = set.front(), &z = set.back();
    size_t n = static_cast<size_t>(
        std::mismatch(a.begin(), a.begin() + static_cast<long>(std::min(a.size(), z.size())),
                      z.begin())
            .first -
        a.begin());
    prefix = a.substr(0, n);
    if (set.size() <= SET_LINEAR_MAX) {
        return;
    }
    size_t cap = 16;
    while (cap < set.size() * 2) {
        cap *= 2;
    }
    table.assign(cap, 0);
    for (size_t i = 0; i < set.size(); i++) {
        size_t at = hash_str(set_strs[i]) & (cap - 1);
        while (table[at]) {
            at = (at + 1) & (cap - 1);
        }
        table[at] = static_cast<uint32_t>(i + 1);
    }
}

bool Regex::set_match(Str s) const {
    if (table.empty()) {
        for (const Str &one : set_strs) {
            if (str_eq(one, s)) {
                return true;
            }
        }
        return false;
    }
    if (!str_starts(s, to_str(prefix))) {
        return false;
    }
    size_t mask = table.size() - 1;
    for (size_t at = hash_str(s) & mask; table[at]; at = (at + 1) & mask) {
        if (str_eq(set_strs[table[at] - 1], s)) {
            return true;
        }
    }
    return false;
}

bool Regex::matches(Str s) const {
    switch (kind) {
    case Kind::SET: return set_match(s);
    case Kind::GLOB: return glob_match(glob, to_view(s));
    case Kind::AUTOMATON: break;
    }
    if (!prefix.empty() && !str_starts(s, to_str(prefix))) {
        return false;
    }
    return re->Match(re2::StringPiece(s.p ? s.p : "", s.n), 0, s.n,
                     partial ? RE2::UNANCHORED : RE2::ANCHOR_BOTH, nullptr, 0);
}

namespace {

/* Sorts the pattern into one of the kinds; the pattern is known to be good UTF-8. */
void classify(Regex *r) {
    if (r->partial) {
        return;
    }
    if (SetReader(r->pattern).read(&r->set) && !r->set.empty()) {
        r->kind = Regex::Kind::SET;
        r->finish_set();
        return;
    }
    r->set.clear();
    std::string_view p = r->pattern;
    bool grouped = p == "(.*)" || p == "(.+)" || p == "(?:.*)" || p == "(?:.+)";
    if (grouped) {
        p = p.substr(p.size() - 3, 2);
    }
    if (read_glob(p, &r->glob)) {
        r->kind = Regex::Kind::GLOB;
        r->prefix = r->glob.literals.front();
    } else {
        r->prefix = read_prefix(p);
    }
}

bool build_automaton(Regex *r, Problem *problem) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_dot_nl(!r->partial);
    if (r->pattern.size() > PATTERN_LARGE_BYTES) {
        options.set_max_mem(64 << 20);
    }
    std::string p = with_named_groups(r->pattern);
    r->re = std::make_unique<RE2>(p, options);
    if (!r->re->ok()) {
        std::string part = r->re->error_arg();
        if (r->re->error_code() == RE2::ErrorPatternTooLarge || part == p) {
            part = r->pattern;
        }
        /* The P was ours if the user did not write that part. */
        size_t named = part.find("(?P<");
        if (named != part.npos && r->pattern.find(part) == std::string::npos) {
            part.erase(named + 2, 1);
        }
        refuse(problem, go_words(r->re->error_code()), part);
        return false;
    }
    return true;
}

/* A match's groups; from in the string is where the search starts. */
bool match_at(const Regex *re, Str s, size_t from, RE2::Anchor anchor,
              std::vector<re2::StringPiece> *groups) {
    return re->re->Match(re2::StringPiece(s.p ? s.p : "", s.n), from, s.n, anchor, groups->data(),
                         static_cast<int>(groups->size()));
}

void fill_groups(const std::vector<re2::StringPiece> &from, Str *ret, size_t n) {
    for (size_t i = 0; i < n; i++) {
        bool set = i < from.size() && from[i].data();
        ret[i] = set ? Str{from[i].data(), from[i].size()} : STR_NULL;
    }
}

/* ---- Regexp.Expand ---- */

/* name or {name} behind a dollar sign. */
bool read_reference(Str *rest, Str *ret_name) {
    Str s = *rest;
    bool brace = s.n && s.p[0] == '{';
    s = str_from(s, brace);
    size_t n = 0, size;
    while (n < s.n && rune_is_word(utf8_decode(str_from(s, n), &size))) {
        n += size;
    }
    if (!n || (brace && (n >= s.n || s.p[n] != '}'))) {
        return false;
    }
    *ret_name = str_upto(s, n);
    *rest = str_from(s, n + brace);
    return true;
}

/* A group's number if the name is one (no leading zeros), else -1. */
int group_number(Str name) {
    if (name.p[0] == '0' && name.n > 1) {
        return -1;
    }
    int v = 0;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] < '0' || name.p[i] > '9' || v >= 100000000) {
            return -1;
        }
        v = v * 10 + (name.p[i] - '0');
    }
    return v;
}

size_t rune_length_at(Str s, size_t at) {
    size_t size = 0;
    if (at < s.n) {
        utf8_decode(str_from(s, at), &size);
    }
    return size;
}

} // namespace

extern "C" {

Regex *regex_new(Str pattern, unsigned flags, Problem *problem) {
    auto r = std::make_unique<Regex>();
    r->pattern.assign(pattern.p ? pattern.p : "", pattern.n);
    r->partial = flags & REGEX_PARTIAL;
    if (!utf8_valid(pattern)) {
        refuse(problem, "invalid UTF-8", r->pattern);
        return nullptr;
    }
    if (has_any_byte_escape(r->pattern)) {
        refuse(problem, "invalid escape sequence", "\\C");
        return nullptr;
    }
    classify(r.get());
    bool may_capture = r->pattern.find('(') != std::string::npos;
    if (r->kind == Regex::Kind::AUTOMATON || may_capture) {
        if (!build_automaton(r.get(), problem)) {
            return nullptr;
        }
    }
    return r.release();
}

void regex_free(Regex *re) { delete re; }

Str regex_pattern(const Regex *re) { return to_str(re->pattern); }

bool regex_match(const Regex *re, Str s) { return re->matches(s); }

size_t regex_set(const Regex *re, const Str **ret_set) {
    if (re->kind != Regex::Kind::SET) {
        return 0;
    }
    *ret_set = re->set_strs.data();
    return re->set_strs.size();
}

Str regex_prefix(const Regex *re) { return re->partial ? Str{"", 0} : to_str(re->prefix); }

int regex_groups(const Regex *re) { return re->re ? re->re->NumberOfCapturingGroups() : 0; }

int regex_group_index(const Regex *re, Str name) {
    if (!re->re) {
        return -1;
    }
    const auto &names = re->re->NamedCapturingGroups();
    auto it = names.find(std::string(to_view(name)));
    return it == names.end() ? -1 : it->second;
}

bool regex_match_groups(const Regex *re, Str s, Str *ret_groups, size_t n) {
    s.p = s.p ? s.p : "";
    size_t captures = static_cast<size_t>(regex_groups(re));
    if (!re->partial && (n <= 1 || captures == 0 || re->pattern == "(.*)")) {
        if (!re->matches(s)) {
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            ret_groups[i] = i <= captures ? s : STR_NULL;
        }
        return true;
    }
    if (!re->partial && re->kind != Regex::Kind::AUTOMATON && !re->matches(s)) {
        return false;
    }
    std::vector<re2::StringPiece> groups(std::min(n, captures + 1));
    if (!match_at(re, s, 0, re->partial ? RE2::UNANCHORED : RE2::ANCHOR_BOTH, &groups)) {
        return false;
    }
    fill_groups(groups, ret_groups, n);
    return true;
}

void regex_expand(const Regex *re, Str replacement, const Str *groups, size_t n, Buf *out) {
    Str rest = replacement;
    for (;;) {
        size_t dollar = str_find(rest, '$');
        buf_add_str(out, str_upto(rest, dollar));
        if (dollar == rest.n) {
            return;
        }
        rest = str_from(rest, dollar + 1);
        Str name;
        if (rest.n && rest.p[0] == '$') {
            buf_add_char(out, '$');
            rest = str_from(rest, 1);
        } else if (read_reference(&rest, &name)) {
            int number = group_number(name);
            number = number < 0 ? regex_group_index(re, name) : number;
            if (number >= 0 && static_cast<size_t>(number) < n) {
                buf_add_str(out, groups[number]);
            }
        } else {
            buf_add_char(out, '$');
        }
    }
}

void regex_replace_all(const Regex *re, Str s, Str replacement, Buf *out) {
    s.p = s.p ? s.p : "";
    if (!re->re) {
        if (re->matches(s)) {
            regex_expand(re, replacement, &s, 1, out);
        } else {
            buf_add_str(out, s);
        }
        return;
    }
    std::vector<re2::StringPiece> groups(static_cast<size_t>(regex_groups(re)) + 1);
    std::vector<Str> strs(groups.size());
    RE2::Anchor anchor = re->partial ? RE2::UNANCHORED : RE2::ANCHOR_BOTH;
    size_t copied = 0, from = 0;
    while (from <= s.n && match_at(re, s, from, anchor, &groups)) {
        size_t start = static_cast<size_t>(groups[0].data() - s.p), end = start + groups[0].size();
        buf_add(out, s.p + copied, start - copied);
        /* An empty match right behind another match is not replaced again. */
        if (end > copied || start == 0) {
            fill_groups(groups, strs.data(), strs.size());
            regex_expand(re, replacement, strs.data(), strs.size(), out);
        }
        copied = end;
        size_t width = rune_length_at(s, from);
        from = from + width > end ? from + width : from + 1 > end ? from + 1 : end;
    }
    buf_add(out, s.p + copied, s.n - copied);
}

} // extern "C"
