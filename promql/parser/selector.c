/* Selectors: names, matchers in braces, and what may follow them: [range], offset, @ and the
 * extended range modifiers. */
#include <math.h>
#include <stdlib.h>

#include "promql/parser/parser.h"

/* ---- label lists: by (a, "b.c") ---- */

/* Which words the grammar takes as a label's name outside of braces. */
static bool is_label_word(TokenKind k) {
    return k == TOK_IDENTIFIER || k == TOK_METRIC_IDENTIFIER || token_is_aggregate(k) ||
           (token_is_keyword(k) && k != TOK_WITHOUT) || k == TOK_LAND || k == TOK_LOR ||
           k == TOK_LUNLESS || k == TOK_ATAN2 || (k >= TOK_START && k <= TOK_MIN_OF);
}

static bool parse_grouping_label(Parser *p, Str *ret) {
    TokenKind k = peek_kind(p);
    if (k != TOK_STRING && !is_label_word(k)) {
        parse_unexpected(p, "grouping opts", "label");
        return false;
    }
    Token t = take_token(p);
    *ret = t.text;
    if (k == TOK_STRING && !parse_string_text(p, &t, ret))
        return false;
    if (label_name_valid_utf8(*ret))
        return true;
    char quoted[300];
    parse_fail(p, t.at, "invalid label name for grouping: %s",
               promql_quote(*ret, quoted, sizeof(quoted)));
    return false;
}

bool parse_label_list(Parser *p, Str **ret, size_t *ret_n) {
    Token t;
    Str *list = NULL;
    size_t n = 0, cap = 0;
    if (!take_if(p, TOK_LEFT_PAREN, &t)) {
        parse_unexpected(p, "grouping opts", "\"(\"");
        return false;
    }
    while (!take_if(p, TOK_RIGHT_PAREN, &t)) {
        list = parse_grow(p, list, n, &cap, sizeof(*list));
        if (!list || !parse_grouping_label(p, &list[n]))
            return false;
        n++;
        if (take_if(p, TOK_COMMA, &t))
            continue;
        if (peek_kind(p) != TOK_RIGHT_PAREN) {
            parse_unexpected(p, "grouping opts", "\",\" or \")\"");
            return false;
        }
    }
    *ret = list;
    *ret_n = n;
    return true;
}

/* Sorts in place after keeping the written order, which is returned. */
const Str *written_order(Parser *p, Str *labels, size_t n) {
    if (n < 2)
        return labels;
    Str *written = parse_alloc(p, n * sizeof(*written));
    if (!written)
        return NULL;
    memcpy(written, labels, n * sizeof(*written));
    qsort(labels, n, sizeof(*labels), str_qsort_cmp);
    return written;
}

/* ---- matchers ---- */

typedef struct MatcherList {
    Matcher *v;
    size_t n, cap;
} MatcherList;

static bool add_matcher(Parser *p, MatcherList *list, uint32_t at, MatcherType type, Str name,
                        Str value) {
    Problem problem = {0};
    list->v = parse_grow(p, list->v, list->n, &list->cap, sizeof(*list->v));
    if (!list->v)
        return false;
    Matcher *m = &list->v[list->n];
    if (matcher_init(m, type, name, value, &problem) < 0)
        return parse_fail(p, at, "%s", problem.text);
    list->n++;
    if (m->re)
        vec_push(&p->regexes, m->re);
    return true;
}

static bool match_type(TokenKind k, MatcherType *ret) {
    switch (k) {
    case TOK_EQL: *ret = MATCH_EQ; return true;
    case TOK_NEQ: *ret = MATCH_NE; return true;
    case TOK_EQL_REGEX: *ret = MATCH_RE; return true;
    case TOK_NEQ_REGEX: *ret = MATCH_NRE; return true;
    default: return false;
    }
}

/* name="value", "quoted name"="value" or just "metric name" */
static bool parse_matcher(Parser *p, MatcherList *list) {
    MatcherType type;
    TokenKind k = peek_kind(p);
    if (k != TOK_IDENTIFIER && k != TOK_STRING)
        return parse_unexpected(p, "label matching", "identifier or \"}\"");
    Token name = take_token(p);
    Str text = name.text, value;
    if (k == TOK_STRING && !parse_string_text(p, &name, &text))
        return false;
    if (!match_type(peek_kind(p), &type)) {
        if (k == TOK_STRING)
            return add_matcher(p, list, name.at, MATCH_EQ, LABEL_NAME, text);
        return parse_unexpected(p, "label matching", "label matching operator");
    }
    take_token(p);
    if (peek_kind(p) != TOK_STRING)
        return parse_unexpected(p, "label matching", "string");
    Token v = take_token(p);
    return parse_string_text(p, &v, &value) && add_matcher(p, list, name.at, type, text, value);
}

static bool parse_matchers(Parser *p, MatcherList *list, uint32_t *ret_end) {
    Token t = take_token(p);
    while (!take_if(p, TOK_RIGHT_BRACE, &t)) {
        if (!parse_matcher(p, list))
            return false;
        if (!take_if(p, TOK_COMMA, &t) && peek_kind(p) != TOK_RIGHT_BRACE)
            return parse_unexpected(p, "label matching", "\",\" or \"}\"");
    }
    *ret_end = t.at + 1;
    return true;
}

Node *parse_selector(Parser *p, const Token *name) {
    MatcherList list = {0};
    uint32_t start = name ? name->at : peek_token(p)->at;
    uint32_t end = name ? start + (uint32_t)name->text.n : start;
    if (peek_kind(p) == TOK_LEFT_BRACE && !parse_matchers(p, &list, &end))
        return NULL;
    /* The type check relies on this one being the last. */
    if (name && !add_matcher(p, &list, start, MATCH_EQ, LABEL_NAME, name->text))
        return NULL;
    Node *n = parse_node(p, NODE_VECTOR_SELECTOR, start, end);
    if (n) {
        n->vector.name = name ? name->text : STR_NULL;
        n->vector.matchers = list.v;
        n->vector.n_matchers = list.n;
    }
    return n;
}

/* ---- modifiers ---- */

/* Where a node keeps offset and @; NULL: it takes none. */
static TimeShift *shift_of(Node *n) {
    switch (n->kind) {
    case NODE_VECTOR_SELECTOR: return &n->vector.shift;
    case NODE_MATRIX_SELECTOR: return &n->matrix.vector->vector.shift;
    case NODE_SUBQUERY: return &n->subquery.shift;
    default: return NULL;
    }
}

static Node *parse_offset(Parser *p, Node *n) {
    take_token(p);
    DurExpr *d = parse_offset_duration(p);
    if (!d)
        return NULL;
    TimeShift *shift = shift_of(n);
    if (!shift)
        return parse_fail(p, n->start,
                          "offset modifier must be preceded by an instant vector selector or range "
                          "vector selector or a subquery");
    if (shift->offset_ms != 0 || shift->offset_expr)
        return parse_fail(p, n->start, "offset may not be set multiple times");
    if (d->kind == DUR_NUMBER)
        shift->offset_ms = seconds_to_ms(d->number);
    else
        shift->offset_expr = d;
    n->end = p->last_closing;
    return n;
}

static bool at_is_free(Parser *p, Node *n, TimeShift *shift) {
    if (!shift)
        return parse_fail(p, n->start,
                          "@ modifier must be preceded by an instant vector selector or range "
                          "vector selector or a subquery");
    if (shift->at != AT_NONE)
        return parse_fail(p, n->start, "@ <timestamp> may not be set multiple times");
    return true;
}

static Node *parse_at_word(Parser *p, Node *n) {
    Token word = take_token(p), t;
    if (!take_if(p, TOK_LEFT_PAREN, &t) || !take_if(p, TOK_RIGHT_PAREN, &t))
        return parse_unexpected(p, "@", "timestamp");
    TimeShift *shift = shift_of(n);
    if (!at_is_free(p, n, shift))
        return NULL;
    shift->at = word.kind == TOK_START ? AT_START : AT_END;
    n->end = p->last_closing;
    return n;
}

static Node *at_out_of_bounds(Parser *p, const Node *n, double seconds) {
    if (isnan(seconds))
        return parse_fail(p, n->start, "timestamp out of bounds for @ modifier: NaN");
    if (isinf(seconds))
        return parse_fail(p, n->start, "timestamp out of bounds for @ modifier: %cInf",
                          seconds > 0 ? '+' : '-');
    return parse_fail(p, n->start, "timestamp out of bounds for @ modifier: %f", seconds);
}

static Node *parse_at(Parser *p, Node *n) {
    Token t = take_token(p);
    bool minus = false;
    double seconds;
    if (peek_kind(p) == TOK_START || peek_kind(p) == TOK_END)
        return parse_at_word(p, n);
    if (take_if(p, TOK_ADD, &t) || take_if(p, TOK_SUB, &t))
        minus = t.kind == TOK_SUB;
    if (peek_kind(p) != TOK_NUMBER && peek_kind(p) != TOK_DURATION)
        return parse_unexpected(p, "@", "timestamp");
    t = take_token(p);
    if (!parse_number_text(p, &t, &seconds))
        return NULL;
    seconds = minus ? -seconds : seconds;
    if (!(seconds < 9223372036854775807.0 && seconds > -9223372036854775808.0))
        return at_out_of_bounds(p, n, seconds);
    TimeShift *shift = shift_of(n);
    if (!at_is_free(p, n, shift))
        return NULL;
    double ms = round(seconds * 1000);
    shift->at = AT_TIME;
    shift->at_ms = ms >= 9223372036854775807.0    ? INT64_MAX
                   : ms <= -9223372036854775808.0 ? INT64_MIN
                                                  : (int64_t)ms;
    n->end = p->last_closing;
    return n;
}

/* anchored and smoothed; what they may be applied to depends on the function, which the evaluator
 * knows. */
static Node *parse_extended(Parser *p, Node *n) {
    Token t = take_token(p);
    bool smoothed = t.kind == TOK_SMOOTHED;
    const char *word = smoothed ? "smoothed" : "anchored";
    if (!p->options->extended_selectors)
        return parse_fail(p, n->start, "%s modifier is experimental and not enabled", word);
    if (n->kind == NODE_SUBQUERY)
        return parse_fail(p, n->start, "%s modifier is not supported for subqueries", word);
    if (n->kind != NODE_VECTOR_SELECTOR && n->kind != NODE_MATRIX_SELECTOR)
        return parse_fail(p, n->start, "%s modifier not implemented", word);
    Node *v = n->kind == NODE_MATRIX_SELECTOR ? n->matrix.vector : n;
    if (smoothed ? v->vector.anchored : v->vector.smoothed)
        return parse_fail(p, n->start, "anchored and smoothed modifiers cannot be used together");
    if (smoothed)
        v->vector.smoothed = true;
    else
        v->vector.anchored = true;
    return n;
}

/* ---- brackets ---- */

static DurExpr *positive(Parser *p, DurExpr *d) {
    if (d && d->kind == DUR_NUMBER && !(d->number > 0))
        return parse_fail(p, d->start, "duration must be greater than 0");
    return d;
}

static Node *make_range(Parser *p, Node *n, DurExpr *range, uint32_t bracket) {
    const TimeShift *shift = n->kind == NODE_VECTOR_SELECTOR ? &n->vector.shift : NULL;
    if (!shift)
        return parse_fail(p, bracket, "ranges only allowed for vector selectors");
    if (shift->offset_ms != 0 || shift->offset_expr)
        return parse_fail(p, bracket, "no offset modifiers allowed before range");
    if (shift->at != AT_NONE)
        return parse_fail(p, bracket, "no @ modifiers allowed before range");
    Node *m = parse_node(p, NODE_MATRIX_SELECTOR, n->start, p->last_closing);
    if (!m)
        return NULL;
    m->matrix.vector = n;
    if (range->kind == DUR_NUMBER)
        m->matrix.range_ms = seconds_to_ms(range->number);
    else
        m->matrix.range_expr = range;
    return parse_adopt(p, m, n);
}

static Node *make_subquery(Parser *p, Node *n, DurExpr *range, DurExpr *step, uint32_t end) {
    Node *s = parse_node(p, NODE_SUBQUERY, n->start, end);
    if (!s)
        return NULL;
    s->subquery.expr = n;
    if (range->kind == DUR_NUMBER)
        s->subquery.range_ms = seconds_to_ms(range->number);
    else
        s->subquery.range_expr = range;
    if (step && step->kind == DUR_NUMBER)
        s->subquery.step_ms = seconds_to_ms(step->number);
    else
        s->subquery.step_expr = step;
    return parse_adopt(p, s, n);
}

/* Behind the colon. */
static Node *parse_subquery_rest(Parser *p, Node *n, DurExpr *range) {
    Token t;
    DurExpr *step = NULL;
    if (!take_if(p, TOK_RIGHT_BRACKET, &t)) {
        step = parse_duration_expr(p, "subquery selector",
                                   "number, duration, step(), range(), or \"]\"");
        if (!(step = positive(p, step)))
            return NULL;
        if (!take_if(p, TOK_RIGHT_BRACKET, &t))
            return parse_unexpected(p, "subquery selector", "\"]\"");
    }
    return make_subquery(p, n, range, step, t.at + 1);
}

static Node *parse_bracket(Parser *p, Node *n) {
    Token bracket = take_token(p), t;
    DurExpr *range = parse_duration_expr(p, "subquery or range selector",
                                         "number, duration, step(), or range()");
    if (!(range = positive(p, range)))
        return NULL;
    if (take_if(p, TOK_COLON, &t))
        return parse_subquery_rest(p, n, range);
    if (take_if(p, TOK_RIGHT_BRACKET, &t))
        return make_range(p, n, range, bracket.at);
    return parse_unexpected(p, "subquery or range", "\":\" or \"]\"");
}

Node *parse_modifiers(Parser *p, Node *n) {
    while (n) {
        switch (peek_kind(p)) {
        case TOK_OFFSET: n = parse_offset(p, n); break;
        case TOK_AT: n = parse_at(p, n); break;
        case TOK_ANCHORED:
        case TOK_SMOOTHED: n = parse_extended(p, n); break;
        case TOK_LEFT_BRACKET: n = parse_bracket(p, n); break;
        default: return n;
        }
    }
    return NULL;
}
