/* Nodes back to source, for error texts. */
#include "rules/template/ast.h"

static void format_names(const Node *n, Buf *out) {
    for (size_t i = 0; i < n->n_names; i++) {
        buf_add_char(out, '.');
        buf_add_str(out, n->names[i]);
    }
}

static void format_pipe(const Node *n, Buf *out) {
    for (size_t i = 0; i < n->decl.n; i++) {
        buf_add_cstr(out, i ? ", " : "");
        node_format(n->decl.v[i], out);
    }
    if (n->decl.n) {
        buf_add_cstr(out, n->b ? " = " : " := ");
    }
    for (size_t i = 0; i < n->kids.n; i++) {
        buf_add_cstr(out, i ? " | " : "");
        node_format(n->kids.v[i], out);
    }
}

static void format_command(const Node *n, Buf *out) {
    for (size_t i = 0; i < n->kids.n; i++) {
        bool paren = n->kids.v[i]->kind == NODE_PIPE;
        buf_add_cstr(out, i ? " " : "");
        buf_add_cstr(out, paren ? "(" : "");
        node_format(n->kids.v[i], out);
        buf_add_cstr(out, paren ? ")" : "");
    }
}

static void format_chain(const Node *n, Buf *out) {
    bool paren = n->pipe->kind == NODE_PIPE;
    buf_add_cstr(out, paren ? "(" : "");
    node_format(n->pipe, out);
    buf_add_cstr(out, paren ? ")" : "");
    format_names(n, out);
}

static void format_branch(const Node *n, const char *word, Buf *out) {
    buf_addf(out, "{{%s ", word);
    node_format(n->pipe, out);
    buf_add_cstr(out, "}}");
    node_format(n->list, out);
    if (n->other) {
        buf_add_cstr(out, "{{else}}");
        node_format(n->other, out);
    }
    buf_add_cstr(out, "{{end}}");
}

static void format_call(const Node *n, Buf *out) {
    buf_addf(out, "{{template \"%.*s\"", SA(n->text));
    if (n->pipe) {
        buf_add_char(out, ' ');
        node_format(n->pipe, out);
    }
    buf_add_cstr(out, "}}");
}

void node_format(const Node *n, Buf *out) {
    switch (n->kind) {
    case NODE_TEXT:
    case NODE_IDENTIFIER:
    case NODE_NUMBER:
    case NODE_BOOL: buf_add_str(out, n->text); break;
    case NODE_STRING: buf_add_str(out, n->quoted); break;
    case NODE_VARIABLE:
        buf_add_str(out, n->text);
        format_names(n, out);
        break;
    case NODE_FIELD: format_names(n, out); break;
    case NODE_CHAIN: format_chain(n, out); break;
    case NODE_DOT: buf_add_char(out, '.'); break;
    case NODE_NIL: buf_add_cstr(out, "nil"); break;
    case NODE_PIPE: format_pipe(n, out); break;
    case NODE_COMMAND: format_command(n, out); break;
    case NODE_ACTION:
        buf_add_cstr(out, "{{");
        format_pipe(n->pipe, out);
        buf_add_cstr(out, "}}");
        break;
    case NODE_LIST:
        for (size_t i = 0; i < n->kids.n; i++) {
            node_format(n->kids.v[i], out);
        }
        break;
    case NODE_IF: format_branch(n, "if", out); break;
    case NODE_RANGE: format_branch(n, "range", out); break;
    case NODE_WITH: format_branch(n, "with", out); break;
    case NODE_TEMPLATE: format_call(n, out); break;
    case NODE_BREAK: buf_add_cstr(out, "{{break}}"); break;
    case NODE_CONTINUE: buf_add_cstr(out, "{{continue}}"); break;
    case NODE_ELSE: buf_add_cstr(out, "{{else}}"); break;
    case NODE_END: buf_add_cstr(out, "{{end}}"); break;
    }
}
