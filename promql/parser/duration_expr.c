/*
 * Arithmetic on durations: in brackets (range and step) and behind offset. There a plain literal
 * ends the offset (foo offset -2^2 is (foo offset -2)^2); more needs parentheses.
 */
#include "promql/parser/parser.h"

typedef struct Place {
    const char *context, *expected;
} Place;

static DurExpr *parse_binary(Parser *p, const Place *place, int min);

static DurExpr *new_expr(Parser *p, DurKind kind, uint32_t start, uint32_t end) {
    DurExpr *d = parse_alloc(p, sizeof(*d));
    if (d)
        *d = (DurExpr){.kind = kind, .start = start, .end = end};
    return d;
}

static bool out_of_range(double seconds) {
    return seconds > 9223372036.854775808 || seconds < -9223372036.854775808;
}

static void *not_enabled(Parser *p, const DurExpr *at) {
    return parse_fail(p, at->start, "experimental duration expression is not enabled");
}

static DurExpr *parse_literal(Parser *p) {
    Token t = take_token(p);
    double v;
    if (!parse_number_text(p, &t, &v))
        return NULL;
    if (out_of_range(v))
        return parse_fail(p, t.at, "duration out of range");
    DurExpr *d = new_expr(p, DUR_NUMBER, t.at, t.at + (uint32_t)t.text.n);
    if (d) {
        d->number = v;
        d->duration_text = t.kind == TOK_DURATION;
    }
    return d;
}

static bool expect(Parser *p, const Place *place, TokenKind kind, Token *ret) {
    if (take_if(p, kind, ret))
        return true;
    parse_unexpected(p, place->context, place->expected);
    return false;
}

/* step(), range(), max_of(a, b), min_of(a, b) */
static DurExpr *parse_call(Parser *p, const Place *place) {
    static const DurKind kinds[] = {DUR_STEP, DUR_RANGE, DUR_MAX_OF, DUR_MIN_OF};
    Token name = take_token(p), t;
    DurExpr *d = new_expr(p, kinds[name.kind - TOK_STEP], name.at, 0);
    if (!d || !expect(p, place, TOK_LEFT_PAREN, &t))
        return NULL;
    if (d->kind == DUR_MAX_OF || d->kind == DUR_MIN_OF) {
        if (!(d->lhs = parse_binary(p, place, 1)) || !expect(p, place, TOK_COMMA, &t) ||
            !(d->rhs = parse_binary(p, place, 1)))
            return NULL;
    }
    if (!expect(p, place, TOK_RIGHT_PAREN, &t))
        return NULL;
    d->end = t.at + 1;
    return p->options->duration_expr ? d : not_enabled(p, d);
}

static DurExpr *parse_paren(Parser *p, const Place *place) {
    Token open = take_token(p), close;
    DurExpr *inner = parse_binary(p, place, 1);
    if (!inner || !expect(p, place, TOK_RIGHT_PAREN, &close))
        return NULL;
    if (!p->options->duration_expr)
        return not_enabled(p, inner);
    DurExpr *d = new_expr(p, DUR_PAREN, open.at, close.at + 1);
    if (d)
        d->lhs = inner;
    return d;
}

/* A sign in front of a literal becomes part of it; plus says nothing in front of anything else. */
static DurExpr *apply_sign(Parser *p, const Token *sign, DurExpr *d) {
    if (!d)
        return NULL;
    if (d->kind == DUR_NUMBER) {
        d->number = sign->kind == TOK_SUB ? -d->number : d->number;
        if (out_of_range(d->number))
            return parse_fail(p, sign->at, "duration out of range");
        d->start = sign->at;
        return d;
    }
    if (sign->kind == TOK_ADD)
        return d;
    DurExpr *neg = new_expr(p, DUR_NEG, sign->at, d->end);
    if (neg)
        neg->lhs = d;
    return neg;
}

static DurExpr *parse_operand(Parser *p, const Place *place) {
    DurExpr *d;
    Token sign;
    if (p->depth > AST_DEPTH_MAX)
        return parse_fail(p, peek_token(p)->at, "the query is nested more than %d levels deep",
                          AST_DEPTH_MAX);
    p->depth++;
    switch (peek_kind(p)) {
    case TOK_NUMBER:
    case TOK_DURATION: d = parse_literal(p); break;
    case TOK_STEP:
    case TOK_RANGE:
    case TOK_MAX_OF:
    case TOK_MIN_OF: d = parse_call(p, place); break;
    case TOK_LEFT_PAREN: d = parse_paren(p, place); break;
    case TOK_ADD:
    case TOK_SUB:
        sign = take_token(p);
        d = apply_sign(p, &sign, parse_binary(p, place, 3));
        break;
    default: d = parse_unexpected(p, place->context, place->expected); break;
    }
    p->depth--;
    return d;
}

static int precedence(TokenKind k) {
    switch (k) {
    case TOK_ADD:
    case TOK_SUB: return 1;
    case TOK_MUL:
    case TOK_DIV:
    case TOK_MOD: return 2;
    case TOK_POW: return 3;
    default: return 0;
    }
}

static DurExpr *make_binary(Parser *p, const Token *op, DurExpr *lhs, DurExpr *rhs) {
    static const DurKind kinds[] = {DUR_ADD, DUR_SUB, DUR_MUL, DUR_DIV, DUR_MOD, DUR_POW};
    if (!p->options->duration_expr)
        return not_enabled(p, lhs);
    if (rhs->kind == DUR_NUMBER && rhs->number == 0 && op->kind == TOK_DIV)
        return parse_fail(p, op->at, "division by zero");
    if (rhs->kind == DUR_NUMBER && rhs->number == 0 && op->kind == TOK_MOD)
        return parse_fail(p, op->at, "modulo by zero");
    DurExpr *d = new_expr(p, kinds[op->kind - TOK_ADD], lhs->start, rhs->end);
    if (d) {
        d->lhs = lhs;
        d->rhs = rhs;
    }
    return d;
}

static DurExpr *parse_binary(Parser *p, const Place *place, int min) {
    DurExpr *lhs = parse_operand(p, place);
    int chain = 0;
    while (lhs) {
        int prec = precedence(peek_kind(p));
        if (prec == 0 || prec < min)
            return lhs;
        if (++chain > AST_DEPTH_MAX)
            return parse_fail(p, peek_token(p)->at, "the query is nested more than %d levels deep",
                              AST_DEPTH_MAX);
        Token op = take_token(p);
        DurExpr *rhs = parse_binary(p, place, op.kind == TOK_POW ? prec : prec + 1);
        lhs = rhs ? make_binary(p, &op, lhs, rhs) : NULL;
    }
    return NULL;
}

DurExpr *parse_duration_expr(Parser *p, const char *context, const char *expected) {
    return parse_binary(p, &(Place){context, expected}, 1);
}

DurExpr *parse_offset_duration(Parser *p) {
    const Place place = {"offset", "number, duration, step(), or range()"};
    TokenKind k = peek_kind(p);
    Token sign;
    if (k != TOK_ADD && k != TOK_SUB)
        return k == TOK_LEFT_PAREN ? parse_binary(p, &place, 1) : parse_operand(p, &place);
    sign = take_token(p);
    k = peek_kind(p);
    /* Two signs are an expression, which goes on. */
    if (k == TOK_ADD || k == TOK_SUB)
        return apply_sign(p, &sign, parse_binary(p, &place, 3));
    return apply_sign(p, &sign, parse_operand(p, &place));
}
