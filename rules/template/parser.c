/*
 * Recursive descent over the tokens. A text may hold {{define}} and {{block}}: each is a tree of
 * its own in the set. Error texts are those of Go's text/template/parse.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/gotext.h"
#include "base/numtext.h"
#include "base/utf8.h"
#include "rules/template/ast.h"
#include "rules/template/lexer.h"

#define PARSE_DEPTH_MAX 200
#define TEXT_BYTES_MAX (8u << 20)

typedef struct Parser {
    Template *set;
    Str name, text;
    Tokens tokens;
    size_t at;
    int range_depth, depth;
    VEC(Str) vars;
    Tree **trees; /* found so far; taken over by the set when all went well */
    size_t n_trees, cap_trees;
    Problem *problem;
    bool failed;
} Parser;

static Node *parse_pipeline(Parser *p, const char *context, TokenKind end);
static Node *parse_list(Parser *p, Node **ret_end);

static Token next(Parser *p) {
    Token t = p->tokens.v[p->at];
    if (p->at + 1 < p->tokens.n) {
        p->at++;
    }
    return t;
}

static Token peek(Parser *p) { return p->tokens.v[p->at]; }

static Token peek_non_space(Parser *p) {
    while (peek(p).kind == TOKEN_SPACE) {
        p->at++;
    }
    return peek(p);
}

static Token next_non_space(Parser *p) {
    (void)peek_non_space(p);
    return next(p);
}

static Node *PRINTF_LIKE(2, 3) fail(Parser *p, const char *fmt, ...) {
    if (p->failed) {
        return NULL;
    }
    p->failed = true;
    CLEANUP(buf_deinit) Buf b = BUF_INIT(8192);
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(&b, fmt, ap);
    va_end(ap);
    int line = (int)p->tokens.v[p->at ? p->at - 1 : 0].line;
    problem_set(p->problem, line, 0, "template: %.*s:%d: %.*s", SA(p->name), line, SA(buf_str(&b)));
    return NULL;
}

static Node *unexpected(Parser *p, Token t, const char *context) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(4096);
    if (t.kind == TOKEN_ERROR) {
        return fail(p, "%.*s", SA(t.text));
    }
    if (t.kind == TOKEN_EOF) {
        buf_add_cstr(&b, "EOF");
    } else if (t.kind > TOKEN_KEYWORD) {
        buf_addf(&b, "<%.*s>", SA(t.text));
    } else {
        go_quote(&b, str_upto(t.text, MIN(t.text.n, 10)));
        buf_add_cstr(&b, t.text.n > 10 ? "..." : "");
    }
    return fail(p, "unexpected %.*s in %s", SA(buf_str(&b)), context);
}

static bool expect(Parser *p, TokenKind kind, const char *context) {
    Token t = next_non_space(p);
    if (t.kind != kind) {
        unexpected(p, t, context);
        return false;
    }
    return true;
}

static Node *node_new(Parser *p, NodeKind kind, Token t) {
    Node *n = ARENA_NEW(&p->set->arena, Node);
    if (!n) {
        return fail(p, "template is too large");
    }
    n->kind = kind;
    n->pos = t.pos;
    n->text = t.text;
    return n;
}

static void *grow(Parser *p, void *v, size_t n, size_t *cap, size_t size) {
    if (n < *cap) {
        return v;
    }
    size_t c = *cap ? *cap * 2 : 4;
    void *fresh = arena_calloc(&p->set->arena, c, size);
    if (!fresh) {
        fail(p, "template is too large");
        return NULL;
    }
    if (n) {
        memcpy(fresh, v, n * size);
    }
    *cap = c;
    return fresh;
}

static bool nodes_push(Parser *p, Nodes *list, Node *n) {
    Node **v = n ? grow(p, list->v, list->n, &list->cap, sizeof(Node *)) : NULL;
    if (!v) {
        return false;
    }
    list->v = v;
    list->v[list->n++] = n;
    return true;
}

static bool names_push(Parser *p, Node *n, Str name) {
    Str *v = ARENA_ARRAY(&p->set->arena, Str, n->n_names + 1);
    if (!v) {
        fail(p, "template is too large");
        return false;
    }
    if (n->n_names) {
        memcpy(v, n->names, n->n_names * sizeof(Str));
    }
    v[n->n_names++] = name;
    n->names = v;
    return true;
}

/* ---- operands */

static Node *parse_string(Parser *p, Token t) {
    Node *n = node_new(p, NODE_STRING, t);
    CLEANUP(buf_deinit) Buf b = BUF_INIT(TEXT_BYTES_MAX);
    if (n && !go_unquote(t.text, &b)) {
        return fail(p, "invalid syntax");
    }
    if (n) {
        n->quoted = t.text;
        n->text = arena_str(&p->set->arena, buf_str(&b));
    }
    return n;
}

static Node *parse_char(Parser *p, Token t) {
    Node *n = node_new(p, NODE_NUMBER, t);
    CLEANUP(buf_deinit) Buf b = BUF_INIT(64);
    if (n && (!go_unquote(t.text, &b) || utf8_count(buf_str(&b)) != 1)) {
        return fail(p, "malformed character constant: %.*s", SA(t.text));
    }
    if (n) {
        size_t size;
        n->i = utf8_decode(buf_str(&b), &size);
        n->f = (double)n->i;
        n->is_int = n->is_float = true;
    }
    return n;
}

/* Go's ParseInt(s, 0, 64): 0x, 0o, 0b, a leading 0 for octal, underscores between digits. */
static bool int_parse_go(Str s, int64_t *ret) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(128);
    bool negative = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
        s = str_from(s, 1);
    }
    int base = 10;
    if (s.n > 1 && s.p[0] == '0') {
        char c = s.p[1] | 0x20;
        base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
        s = str_from(s, c == 'x' || c == 'b' || c == 'o' ? 2 : 1);
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '_') {
            buf_add_char(&b, s.p[i]);
        }
    }
    const char *text = buf_cstr(&b);
    char *end;
    if (!text || !b.n || !strchr("0123456789abcdefABCDEF", text[0])) {
        return false;
    }
    errno = 0;
    unsigned long long v = strtoull(text, &end, base);
    if (*end || errno || v > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *ret = (int64_t)(negative ? 0 - v : v);
    return true;
}

static Node *parse_number(Parser *p, Token t) {
    Node *n = node_new(p, NODE_NUMBER, t);
    if (!n) {
        return NULL;
    }
    n->is_int = int_parse_go(t.text, &n->i);
    if (n->is_int) {
        n->f = (double)n->i;
        n->is_float = true;
        return n;
    }
    n->is_float = number_parse_go(t.text, &n->f);
    if (!n->is_float) {
        return fail(p, "bad number syntax: \"%.*s\"", SA(t.text));
    }
    bool written_float = false;
    for (size_t i = 0; i < t.text.n; i++) {
        written_float |= strchr(".eEpP", t.text.p[i]) != NULL;
    }
    if (!written_float) {
        return fail(p, "integer overflow: \"%.*s\"", SA(t.text));
    }
    /* A whole float constant may stand where an integer is wanted. */
    if (fabs(n->f) < 0x1p63 && n->f == floor(n->f)) {
        n->is_int = true;
        n->i = (int64_t)n->f;
    }
    return n;
}

static Node *parse_identifier(Parser *p, Token t) {
    Node *n = node_new(p, NODE_IDENTIFIER, t);
    if (!n) {
        return NULL;
    }
    n->fn = template_function(p->set, t.text);
    if (!n->fn) {
        return fail(p, "function \"%.*s\" not defined", SA(t.text));
    }
    return n;
}

static Node *parse_variable(Parser *p, Token t) {
    for (size_t i = p->vars.n; i-- > 0;) {
        if (str_eq(p->vars.v[i], t.text)) {
            return node_new(p, NODE_VARIABLE, t);
        }
    }
    return fail(p, "undefined variable \"%.*s\"", SA(t.text));
}

static Node *parse_field(Parser *p, Token t) {
    Node *n = node_new(p, NODE_FIELD, t);
    return n && names_push(p, n, str_from(t.text, 1)) ? n : NULL;
}

static Node *parse_bool(Parser *p, Token t) {
    Node *n = node_new(p, NODE_BOOL, t);
    if (n) {
        n->b = str_eqc(t.text, "true");
    }
    return n;
}

/* NULL without failure: no operand here. */
static Node *parse_term(Parser *p) {
    Token t = next_non_space(p);
    switch (t.kind) {
    case TOKEN_IDENTIFIER: return parse_identifier(p, t);
    case TOKEN_DOT: return node_new(p, NODE_DOT, t);
    case TOKEN_NIL: return node_new(p, NODE_NIL, t);
    case TOKEN_VARIABLE: return parse_variable(p, t);
    case TOKEN_FIELD: return parse_field(p, t);
    case TOKEN_BOOL: return parse_bool(p, t);
    case TOKEN_CHAR_CONSTANT: return parse_char(p, t);
    case TOKEN_NUMBER: return parse_number(p, t);
    case TOKEN_LEFT_PAREN: return parse_pipeline(p, "parenthesized pipeline", TOKEN_RIGHT_PAREN);
    case TOKEN_STRING:
    case TOKEN_RAW_STRING: return parse_string(p, t);
    case TOKEN_ERROR: return unexpected(p, t, "operand");
    default:
        if (t.kind != TOKEN_EOF || p->at + 1 < p->tokens.n) {
            p->at--;
        }
        return NULL;
    }
}

static Node *parse_chain(Parser *p, Node *base) {
    Node *n = base;
    if (base->kind == NODE_BOOL || base->kind == NODE_STRING || base->kind == NODE_NUMBER ||
        base->kind == NODE_NIL || base->kind == NODE_DOT) {
        CLEANUP(buf_deinit) Buf b = BUF_INIT(4096);
        node_format(base, &b);
        CLEANUP(buf_deinit) Buf q = BUF_INIT(8192);
        go_quote(&q, buf_str(&b));
        return fail(p, "unexpected . after term %.*s", SA(buf_str(&q)));
    }
    if (base->kind != NODE_FIELD && base->kind != NODE_VARIABLE) {
        n = node_new(p, NODE_CHAIN, peek(p));
        if (!n) {
            return NULL;
        }
        n->pipe = base;
    }
    if (base->kind == NODE_FIELD || base->kind == NODE_VARIABLE) {
        n->pos = peek(p).pos;
    }
    while (peek(p).kind == TOKEN_FIELD) {
        if (!names_push(p, n, str_from(next(p).text, 1))) {
            return NULL;
        }
    }
    return n;
}

static Node *parse_operand(Parser *p) {
    Node *n = parse_term(p);
    return n && peek(p).kind == TOKEN_FIELD ? parse_chain(p, n) : n;
}

/* ---- pipelines */

static Node *parse_command(Parser *p) {
    Node *cmd = node_new(p, NODE_COMMAND, peek_non_space(p));
    while (cmd) {
        (void)peek_non_space(p);
        Node *operand = parse_operand(p);
        if (p->failed || (operand && !nodes_push(p, &cmd->kids, operand))) {
            return NULL;
        }
        Token t = next(p);
        if (t.kind == TOKEN_SPACE) {
            continue;
        }
        if (t.kind == TOKEN_RIGHT_DELIM || t.kind == TOKEN_RIGHT_PAREN) {
            p->at--;
        } else if (t.kind != TOKEN_PIPE) {
            return unexpected(p, t, "operand");
        }
        return cmd->kids.n ? cmd : fail(p, "empty command");
    }
    return NULL;
}

static Node *check_pipeline(Parser *p, Node *pipe, const char *context) {
    if (!pipe->kids.n) {
        return fail(p, "missing value for %s", context);
    }
    for (size_t i = 1; i < pipe->kids.n; i++) {
        NodeKind k = pipe->kids.v[i]->kids.v[0]->kind;
        if (k == NODE_BOOL || k == NODE_DOT || k == NODE_NIL || k == NODE_NUMBER ||
            k == NODE_STRING) {
            return fail(p, "non executable command in pipeline stage %zu", i + 1);
        }
    }
    return pipe;
}

static bool declare(Parser *p, Node *pipe, Token var) {
    Node *v = node_new(p, NODE_VARIABLE, var);
    vec_push(&p->vars, var.text);
    return nodes_push(p, &pipe->decl, v);
}

/* $x := ..., $x = ..., and for range also $i, $e := ... */
static bool parse_declarations(Parser *p, Node *pipe, const char *context) {
    while (peek_non_space(p).kind == TOKEN_VARIABLE) {
        size_t back = p->at;
        Token var = next(p);
        Token t = peek_non_space(p);
        if (t.kind == TOKEN_ASSIGN || t.kind == TOKEN_DECLARE) {
            pipe->b = t.kind == TOKEN_ASSIGN;
            (void)next(p);
            return declare(p, pipe, var);
        }
        if (t.kind != TOKEN_CHAR || !str_eqc(t.text, ",")) {
            p->at = back;
            return true;
        }
        (void)next(p);
        if (!declare(p, pipe, var)) {
            return false;
        }
        if (strcmp(context, "range") != 0 || pipe->decl.n > 1) {
            fail(p, "too many declarations in %s", context);
            return false;
        }
        TokenKind k = peek_non_space(p).kind;
        if (k != TOKEN_VARIABLE && k != TOKEN_RIGHT_DELIM && k != TOKEN_RIGHT_PAREN) {
            fail(p, "range can only initialize variables");
            return false;
        }
    }
    return true;
}

static Node *parse_pipeline_body(Parser *p, const char *context, TokenKind end) {
    Node *pipe = node_new(p, NODE_PIPE, peek_non_space(p));
    if (!pipe || !parse_declarations(p, pipe, context)) {
        return NULL;
    }
    for (;;) {
        Token t = next_non_space(p);
        if (t.kind == end) {
            return check_pipeline(p, pipe, context);
        }
        switch (t.kind) {
        case TOKEN_BOOL:
        case TOKEN_CHAR_CONSTANT:
        case TOKEN_DOT:
        case TOKEN_FIELD:
        case TOKEN_IDENTIFIER:
        case TOKEN_NUMBER:
        case TOKEN_NIL:
        case TOKEN_RAW_STRING:
        case TOKEN_STRING:
        case TOKEN_VARIABLE:
        case TOKEN_LEFT_PAREN: p->at--; break;
        default: return unexpected(p, t, context);
        }
        if (!nodes_push(p, &pipe->kids, parse_command(p))) {
            return NULL;
        }
    }
}

static Node *parse_pipeline(Parser *p, const char *context, TokenKind end) {
    if (++p->depth > PARSE_DEPTH_MAX) {
        return fail(p, "nested too deeply");
    }
    Node *n = parse_pipeline_body(p, context, end);
    p->depth--;
    return n;
}

/* ---- actions */

static Node *parse_control(Parser *p, NodeKind kind, Token t, const char *context);

/* {{else if ...}} and {{else with ...}}: the rest of the chain is the only node of the else list
 * and takes the one {{end}}. */
static bool parse_else_chain(Parser *p, Node *n, NodeKind kind, const char *context) {
    Token t = peek(p);
    TokenKind want = kind == NODE_IF ? TOKEN_IF : kind == NODE_WITH ? TOKEN_WITH : TOKEN_EOF;
    if (t.kind == want) {
        (void)next(p);
        n->other = node_new(p, NODE_LIST, t);
        return n->other && nodes_push(p, &n->other->kids, parse_control(p, kind, t, context));
    }
    Node *end;
    n->other = parse_list(p, &end);
    if (!n->other) {
        return false;
    }
    if (end->kind != NODE_END) {
        fail(p, "expected end; found {{else}}");
        return false;
    }
    return true;
}

static Node *parse_control_body(Parser *p, NodeKind kind, Token t, const char *context) {
    Node *n = node_new(p, kind, t), *end;
    if (!n || !(n->pipe = parse_pipeline(p, context, TOKEN_RIGHT_DELIM))) {
        return NULL;
    }
    p->range_depth += kind == NODE_RANGE;
    n->list = parse_list(p, &end);
    p->range_depth -= kind == NODE_RANGE;
    if (!n->list || (end->kind == NODE_ELSE && !parse_else_chain(p, n, kind, context))) {
        return NULL;
    }
    return n;
}

static Node *parse_control(Parser *p, NodeKind kind, Token t, const char *context) {
    if (++p->depth > PARSE_DEPTH_MAX) {
        return fail(p, "nested too deeply");
    }
    size_t vars = p->vars.n;
    Node *n = parse_control_body(p, kind, t, context);
    p->vars.n = vars;
    p->depth--;
    return n;
}

static Node *parse_else(Parser *p, Token t) {
    TokenKind k = peek_non_space(p).kind;
    if (k != TOKEN_IF && k != TOKEN_WITH && !expect(p, TOKEN_RIGHT_DELIM, "else")) {
        return NULL;
    }
    return node_new(p, NODE_ELSE, t);
}

static Node *parse_end(Parser *p, Token t) {
    return expect(p, TOKEN_RIGHT_DELIM, "end") ? node_new(p, NODE_END, t) : NULL;
}

static Node *parse_leave(Parser *p, NodeKind kind, Token t, const char *text) {
    Token end = next_non_space(p);
    if (end.kind != TOKEN_RIGHT_DELIM) {
        return unexpected(p, end, text);
    }
    if (!p->range_depth) {
        return fail(p, "%s outside {{range}}", text);
    }
    return node_new(p, kind, t);
}

static bool parse_name(Parser *p, Token t, const char *context, Str *ret) {
    if (t.kind != TOKEN_STRING && t.kind != TOKEN_RAW_STRING) {
        unexpected(p, t, context);
        return false;
    }
    Node *n = parse_string(p, t);
    if (n) {
        *ret = n->text;
    }
    return n != NULL;
}

static Node *parse_call_template(Parser *p, Token t) {
    Node *n = node_new(p, NODE_TEMPLATE, t);
    Token name = next_non_space(p);
    if (!n || !parse_name(p, name, "template clause", &n->text)) {
        return NULL;
    }
    n->pos = name.pos;
    if (peek_non_space(p).kind == TOKEN_RIGHT_DELIM) {
        (void)next(p);
    } else if (!(n->pipe = parse_pipeline(p, "template clause", TOKEN_RIGHT_DELIM))) {
        return NULL;
    }
    return n;
}

static bool tree_add(Parser *p, Str name, Node *root) {
    Tree *t = ARENA_NEW(&p->set->arena, Tree);
    Tree **v = grow(p, p->trees, p->n_trees, &p->cap_trees, sizeof(Tree *));
    if (!t || !v) {
        fail(p, "template is too large");
        return false;
    }
    *t = (Tree){.name = name, .text = p->text, .parse_name = p->name, .root = root};
    p->trees = v;
    p->trees[p->n_trees++] = t;
    return true;
}

/* The body of {{define}} or {{block}}: variables of its own. */
static bool parse_named_body(Parser *p, Str name, const char *context) {
    Str *saved = mem_dup(p->vars.v, p->vars.n * sizeof(Str));
    size_t n_saved = p->vars.n;
    int range_depth = p->range_depth;
    p->vars.n = 0;
    p->range_depth = 0;
    vec_push(&p->vars, STR("$"));
    Node *end, *list = parse_list(p, &end);
    p->vars.n = 0;
    for (size_t i = 0; i < n_saved; i++) {
        vec_push(&p->vars, saved[i]);
    }
    mem_free(saved);
    p->range_depth = range_depth;
    if (list && end->kind != NODE_END) {
        fail(p, "unexpected {{else}} in %s", context);
        return false;
    }
    return list && tree_add(p, name, list);
}

static Node *parse_block(Parser *p, Token t) {
    Node *n = node_new(p, NODE_TEMPLATE, t);
    Token name = next_non_space(p);
    if (!n || !parse_name(p, name, "block clause", &n->text) ||
        !(n->pipe = parse_pipeline(p, "block clause", TOKEN_RIGHT_DELIM)) ||
        !parse_named_body(p, n->text, "block clause")) {
        return NULL;
    }
    n->pos = name.pos;
    return n;
}

static Node *parse_plain_action(Parser *p) {
    Node *n = node_new(p, NODE_ACTION, peek_non_space(p));
    if (!n || !(n->pipe = parse_pipeline(p, "command", TOKEN_RIGHT_DELIM))) {
        return NULL;
    }
    return n;
}

static Node *parse_action(Parser *p) {
    Token t = next_non_space(p);
    switch (t.kind) {
    case TOKEN_BLOCK: return parse_block(p, t);
    case TOKEN_BREAK: return parse_leave(p, NODE_BREAK, t, "{{break}}");
    case TOKEN_CONTINUE: return parse_leave(p, NODE_CONTINUE, t, "{{continue}}");
    case TOKEN_ELSE: return parse_else(p, t);
    case TOKEN_END: return parse_end(p, t);
    case TOKEN_IF: return parse_control(p, NODE_IF, t, "if");
    case TOKEN_RANGE: return parse_control(p, NODE_RANGE, t, "range");
    case TOKEN_TEMPLATE: return parse_call_template(p, t);
    case TOKEN_WITH: return parse_control(p, NODE_WITH, t, "with");
    case TOKEN_ERROR: return unexpected(p, t, "command");
    default: p->at--; return parse_plain_action(p);
    }
}

static Node *parse_text_or_action(Parser *p) {
    Token t = next_non_space(p);
    if (t.kind == TOKEN_TEXT) {
        return node_new(p, NODE_TEXT, t);
    }
    if (t.kind == TOKEN_LEFT_DELIM) {
        return parse_action(p);
    }
    return unexpected(p, t, "input");
}

/* Up to {{end}} or {{else}}, which is given back. */
static Node *parse_list(Parser *p, Node **ret_end) {
    Node *list = node_new(p, NODE_LIST, peek_non_space(p));
    while (list && peek_non_space(p).kind != TOKEN_EOF) {
        Node *n = parse_text_or_action(p);
        if (!n) {
            return NULL;
        }
        if (n->kind == NODE_END || n->kind == NODE_ELSE) {
            *ret_end = n;
            return list;
        }
        if (!nodes_push(p, &list->kids, n)) {
            return NULL;
        }
    }
    return list ? fail(p, "unexpected EOF") : NULL;
}

static bool parse_define(Parser *p) {
    Str name;
    Token t = next_non_space(p);
    return parse_name(p, t, "define clause", &name) &&
           expect(p, TOKEN_RIGHT_DELIM, "define clause") &&
           parse_named_body(p, name, "define clause");
}

static bool parse_all(Parser *p, Node *root) {
    while (peek(p).kind != TOKEN_EOF) {
        if (peek(p).kind == TOKEN_LEFT_DELIM) {
            size_t back = p->at;
            (void)next(p);
            if (next_non_space(p).kind == TOKEN_DEFINE) {
                if (!parse_define(p)) {
                    return false;
                }
                continue;
            }
            p->at = back;
        }
        Node *n = parse_text_or_action(p);
        if (n && (n->kind == NODE_END || n->kind == NODE_ELSE)) {
            n = fail(p, "unexpected %s", n->kind == NODE_END ? "{{end}}" : "{{else}}");
        }
        if (!n || !nodes_push(p, &root->kids, n)) {
            return false;
        }
    }
    return true;
}

static bool blank(const Node *root) {
    for (size_t i = 0; i < root->kids.n; i++) {
        if (root->kids.v[i]->kind != NODE_TEXT || str_trim(root->kids.v[i]->text).n) {
            return false;
        }
    }
    return true;
}

/* A later definition takes the place of an earlier one, unless it is blank. */
static void template_put(Template *t, Tree *tree) {
    for (size_t i = 0; i < t->n_trees; i++) {
        if (str_eq(t->trees[i]->name, tree->name)) {
            if (!blank(tree->root) || blank(t->trees[i]->root)) {
                t->trees[i] = tree;
            }
            return;
        }
    }
    if (t->n_trees == t->cap_trees) {
        t->cap_trees = t->cap_trees ? 2 * t->cap_trees : 8;
        t->trees = mem_recalloc(t->trees, t->cap_trees, sizeof(Tree *));
    }
    t->trees[t->n_trees++] = tree;
}

int template_parse(Template *t, Str name, Str text, Problem *problem) {
    if (text.n > TEXT_BYTES_MAX) {
        return problem_set(problem, 0, 0, "template %.*s is longer than %u bytes", SA(name),
                           TEXT_BYTES_MAX);
    }
    Parser p = {.set = t, .problem = problem};
    p.name = arena_str(&t->arena, name);
    p.text = arena_str(&t->arena, text);
    lex_template(p.text, &t->arena, &p.tokens);
    vec_push(&p.vars, STR("$"));
    Node *root = node_new(&p, NODE_LIST, p.tokens.v[0]);
    bool ok = root && parse_all(&p, root) && tree_add(&p, p.name, root);
    for (size_t i = 0; ok && i < p.n_trees; i++) {
        template_put(t, p.trees[i]);
    }
    vec_free(&p.vars);
    vec_free(&p.tokens);
    return ok ? 0 : -EINVAL;
}
