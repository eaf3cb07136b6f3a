/*
 * Walks a tree. Every node costs a step; every {{template}} a level of depth; memory is the run's
 * arena, output the caller's Buf, both with ceilings. An error remembers the node it happened at.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/gotext.h"
#include "base/vec.h"
#include "rules/template/ast.h"
#include "rules/template/gofmt.h"

#define STEPS_MAX 10000000
/* Go allows 100000 levels; ours are C stack frames. */
#define DEPTH_MAX 200
/* Nested lists and pipelines, over all templates: about 4 MiB of stack at worst. */
#define LEVELS_MAX 2000

typedef struct Variable {
    Str name;
    TmplValue value;
} Variable;

typedef enum Flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE } Flow;

struct TmplRun {
    const Template *set;
    const Tree *tree;
    const TmplExec *x;
    const Node *node; /* where an error would be */
    Buf *out;
    size_t out_start;
    VEC(Variable) vars;
    uint64_t steps;
    int depth, levels;
    Str error;
};

Arena *tmpl_arena(TmplRun *run) { return run->x->arena; }

void *tmpl_user(TmplRun *run) { return run->x->user; }

int tmpl_fail(TmplRun *run, const char *fmt, ...) {
    if (run && !run->error.p) {
        CLEANUP(buf_deinit) Buf b = BUF_INIT(16384);
        va_list ap;
        va_start(ap, fmt);
        buf_vaddf(&b, fmt, ap);
        va_end(ap);
        run->error = arena_str(run->x->arena, buf_str(&b));
        if (!run->error.p) {
            run->error = STR("template needs too much memory");
        }
    }
    return -EINVAL;
}

/* "template: name:line:column: executing "name" at <node>: what" */
static void error_locate(TmplRun *run) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(65536);
    const Tree *t = run->tree;
    size_t pos = MIN(run->node->pos, t->text.n), line = 1, begin = 0;
    for (size_t i = 0; i < pos; i++) {
        if (t->text.p[i] == '\n') {
            line++;
            begin = i + 1;
        }
    }
    buf_addf(&b, "template: %.*s:%zu:%zu: executing ", SA(t->parse_name), line, pos - begin);
    go_quote(&b, t->name);
    buf_add_cstr(&b, " at <");
    node_format(run->node, &b);
    buf_addf(&b, ">: %.*s", SA(run->error));
    Str located = arena_str(run->x->arena, buf_str(&b));
    run->error = located.p ? located : run->error;
}

static int eval_pipe(TmplRun *run, TmplValue dot, const Node *pipe, TmplValue *ret);
static int walk(TmplRun *run, TmplValue dot, const Node *n, Flow *flow);

/* Arguments as the nodes of a command plus the value piped in. */
typedef struct Call {
    const Node *const *args; /* args[0] is the function, method or field itself */
    size_t n;
    const TmplValue *final;
    const Node *cmd; /* what an error of the call names; NULL: the function itself */
} Call;

static bool has_args(const Call *c) { return c->n > 1 || c->final; }

static const char *node_text(TmplRun *run, const Node *n) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(4096);
    node_format(n, &b);
    const char *s = arena_cstr(run->x->arena, buf_str(&b));
    return s ? s : "";
}

/* ---- fields, variables, functions */

static const char *sig_name(char c) {
    switch (c) {
    case 's': return "string";
    case 'i': return "int";
    case 'f': return "float64";
    case 't': return "time.Time";
    case 'd': return "time.Duration";
    case 'l': return "[]string";
    case 'm': return "map[string]string";
    default: return "interface {}";
    }
}

static bool sig_takes(char c, TmplKind k) {
    switch (c) {
    case 's': return k == TMPL_STRING;
    case 'i': return k == TMPL_INT;
    case 'f': return k == TMPL_FLOAT;
    case 't': return k == TMPL_TIME;
    case 'd': return k == TMPL_DURATION;
    case 'l': return k == TMPL_LIST;
    case 'm': return k == TMPL_MAP;
    default: return true;
    }
}

static char sig_at(const char *sig, size_t i) {
    size_t n = strlen(sig);
    bool more = n && sig[n - 1] == '+';
    size_t fixed = more ? n - 1 : n;
    return i < fixed ? sig[i] : more ? sig[fixed - 1] : 'a';
}

static int check_count(TmplRun *run, const char *name, const char *sig, size_t n) {
    size_t len = strlen(sig);
    bool more = len && sig[len - 1] == '+';
    if (more && n < len - 2) {
        return tmpl_fail(run, "wrong number of args for %s: want at least %zu got %zu", name,
                         len - 2, n);
    }
    if (!more && n != len) {
        return tmpl_fail(run, "wrong number of args for %s: want %zu got %zu", name, len, n);
    }
    return 0;
}

static int eval_arg(TmplRun *run, TmplValue dot, const Node *n, char want, TmplValue *ret);

/* One argument that is already a value. */
static int check_value(TmplRun *run, char want, TmplValue *v) {
    if (sig_takes(want, v->kind)) {
        return 0;
    }
    if (v->kind == TMPL_NIL) {
        return want == 'l' || want == 'm'
                   ? 0
                   : tmpl_fail(run, "invalid value; expected %s", sig_name(want));
    }
    return tmpl_fail(run, "wrong type for value; expected %s; got %s", sig_name(want),
                     tmpl_type_name(*v));
}

static bool is_and_or(const TmplFunc *fn) {
    return strcmp(fn->name, "and") == 0 || strcmp(fn->name, "or") == 0;
}

/* and, or: arguments are evaluated only until one decides. */
static int call_and_or(TmplRun *run, TmplValue dot, const Call *c, bool is_and, TmplValue *ret) {
    for (size_t i = 1; i < c->n; i++) {
        int r = eval_arg(run, dot, c->args[i], 'a', ret);
        if (r < 0 || tmpl_truth(*ret) != is_and) {
            return r;
        }
    }
    if (c->final) {
        *ret = *c->final;
    }
    return 0;
}

static int call(TmplRun *run, TmplValue dot, const char *name, const char *sig, TmplFn fn,
                const TmplValue *self, const Call *c, const Node *at, TmplValue *ret) {
    size_t n = c->n - 1 + (c->final != NULL), k = self != NULL;
    run->node = at;
    if (check_count(run, name, sig, n) < 0) {
        return -EINVAL;
    }
    TmplValue *v = tmpl_values(run, n + k);
    if (!v) {
        return -EINVAL;
    }
    if (self) {
        v[0] = *self;
    }
    for (size_t i = 1; i < c->n; i++) {
        if (eval_arg(run, dot, c->args[i], sig_at(sig, i - 1), &v[k + i - 1]) < 0) {
            return -EINVAL;
        }
    }
    if (c->final) {
        v[k + n - 1] = *c->final;
        if (check_value(run, sig_at(sig, n - 1), &v[k + n - 1]) < 0) {
            return -EINVAL;
        }
    }
    *ret = TMPL_NONE;
    int r = fn(run, v, n + k, ret);
    if (r < 0) {
        run->node = c->cmd ? c->cmd : at;
    }
    if (r < 0 && !run->error.p) {
        return tmpl_fail(run, "error calling %s", name);
    }
    if (r < 0) {
        Str text = run->error;
        run->error = STR_NULL;
        return tmpl_fail(run, "error calling %s: %.*s", name, SA(text));
    }
    return 0;
}

static int eval_function(TmplRun *run, TmplValue dot, const Node *n, const Call *c,
                         TmplValue *ret) {
    run->node = n;
    if (is_and_or(n->fn) && c->n > 1) {
        return call_and_or(run, dot, c, n->fn->name[0] == 'a', ret);
    }
    return call(run, dot, n->fn->name, n->fn->sig, n->fn->fn, NULL, c, n, ret);
}

static int field_of_map(TmplRun *run, TmplValue from, Str name, const Call *c, TmplValue *ret) {
    if (has_args(c)) {
        return tmpl_fail(run, "%.*s is not a method but has arguments", SA(name));
    }
    const TmplValue *found = tmpl_map_find(&from.map, name);
    const TmplType *type = tmpl_type_of(from);
    *ret = found ? *found : type && type->any ? TMPL_NONE : tmpl_string(STR(""));
    return 0;
}

static int eval_field(TmplRun *run, TmplValue dot, TmplValue from, Str name, const Node *n,
                      const Call *c, TmplValue *ret) {
    if (from.kind == TMPL_NIL) {
        if (from.type) {
            return tmpl_fail(run, "nil pointer evaluating %s.%.*s", from.type->name, SA(name));
        }
        *ret = TMPL_NONE;
        return 0;
    }
    const TmplMember *m = tmpl_member(tmpl_type_of(from), name);
    if (m && m->sig) {
        return call(run, dot, m->name, m->sig, m->fn, &from, c, n, ret);
    }
    if (m) {
        if (has_args(c)) {
            return tmpl_fail(run, "%.*s has arguments but cannot be invoked as function", SA(name));
        }
        return m->fn(run, &from, 1, ret);
    }
    if (from.kind == TMPL_MAP) {
        return field_of_map(run, from, name, c, ret);
    }
    return tmpl_fail(run, "can't evaluate field %.*s in type %s", SA(name), tmpl_type_name(from));
}

/* .A.B.C: only the last takes arguments. */
static int eval_names(TmplRun *run, TmplValue dot, TmplValue from, const Node *n, const Call *c,
                      TmplValue *ret) {
    static const Call NONE = {.n = 1};
    for (size_t i = 0; i < n->n_names; i++) {
        int r = eval_field(run, dot, from, n->names[i], n, i + 1 == n->n_names ? c : &NONE, &from);
        if (r < 0) {
            return r;
        }
    }
    *ret = from;
    return 0;
}

static TmplValue variable(const TmplRun *run, Str name) {
    for (size_t i = run->vars.n; i-- > 0;) {
        if (str_eq(run->vars.v[i].name, name)) {
            return run->vars.v[i].value;
        }
    }
    return TMPL_NONE;
}

static int not_function(TmplRun *run, const Node *n, const Call *c) {
    if (has_args(c)) {
        return tmpl_fail(run, "can't give argument to non-function %s", node_text(run, n));
    }
    return 0;
}

static int eval_variable(TmplRun *run, TmplValue dot, const Node *n, const Call *c,
                         TmplValue *ret) {
    run->node = n;
    TmplValue v = variable(run, n->text);
    if (!n->n_names) {
        *ret = v;
        return not_function(run, n, c);
    }
    return eval_names(run, dot, v, n, c, ret);
}

static int eval_chain(TmplRun *run, TmplValue dot, const Node *n, const Call *c, TmplValue *ret) {
    static const Call NONE = {.n = 1};
    TmplValue base;
    run->node = n;
    int r;
    if (n->pipe->kind == NODE_NIL) {
        return tmpl_fail(run, "indirection through explicit nil in %s", node_text(run, n));
    }
    if (n->pipe->kind == NODE_PIPE) {
        r = eval_pipe(run, dot, n->pipe, &base);
    } else if (n->pipe->kind == NODE_IDENTIFIER) {
        r = eval_function(run, dot, n->pipe, &NONE, &base);
    } else {
        r = eval_arg(run, dot, n->pipe, 'a', &base);
    }
    return r < 0 ? r : eval_names(run, dot, base, n, c, ret);
}

static TmplValue number_value(const Node *n) {
    bool as_float =
        n->text.p[0] != '\'' && !str_starts(n->text, STR("0x")) && !str_starts(n->text, STR("0X"));
    bool marked = false;
    for (size_t i = 0; i < n->text.n; i++) {
        marked |= strchr(".eEpP", n->text.p[i]) != NULL;
    }
    return !n->is_int || (as_float && marked) ? tmpl_float(n->f) : tmpl_int(n->i);
}

/* A constant in a place with a type. */
static int eval_number_arg(TmplRun *run, const Node *n, char want, TmplValue *ret) {
    if (want == 'i' && n->is_int) {
        *ret = tmpl_int(n->i);
    } else if (want == 'd' && n->is_int) {
        *ret = tmpl_duration(n->i);
    } else if (want == 'f') {
        *ret = tmpl_float(n->f);
    } else if (want == 'a') {
        *ret = number_value(n);
    } else if (want == 's') {
        return tmpl_fail(run, "expected %s; found %.*s", sig_name(want), SA(n->text));
    } else {
        return tmpl_fail(run, "can't handle %.*s for arg of type %s", SA(n->text), sig_name(want));
    }
    return 0;
}

static int expect_kind(TmplRun *run, const Node *n, char want, TmplKind kind) {
    if (sig_takes(want, kind)) {
        return 0;
    }
    return tmpl_fail(run, "expected %s; found %s", sig_name(want), node_text(run, n));
}

static int eval_arg(TmplRun *run, TmplValue dot, const Node *n, char want, TmplValue *ret) {
    const Call c = {.args = (const Node *const *)&n, .n = 1};
    int r = 0;
    run->node = n;
    switch (n->kind) {
    case NODE_DOT: *ret = dot; break;
    case NODE_NIL:
        if (want != 'a' && want != 'l' && want != 'm') {
            return tmpl_fail(run, "cannot assign nil to %s", sig_name(want));
        }
        *ret = TMPL_NONE;
        return 0;
    case NODE_BOOL: *ret = tmpl_bool(n->b); return expect_kind(run, n, want, TMPL_BOOL);
    case NODE_STRING: *ret = tmpl_string(n->text); return expect_kind(run, n, want, TMPL_STRING);
    case NODE_NUMBER: return eval_number_arg(run, n, want, ret);
    case NODE_FIELD: r = eval_names(run, dot, dot, n, &c, ret); break;
    case NODE_VARIABLE: r = eval_variable(run, dot, n, &c, ret); break;
    case NODE_CHAIN: r = eval_chain(run, dot, n, &c, ret); break;
    case NODE_IDENTIFIER: r = eval_function(run, dot, n, &c, ret); break;
    case NODE_PIPE: r = eval_pipe(run, dot, n, ret); break;
    default: return tmpl_fail(run, "can't handle %s", node_text(run, n));
    }
    if (r < 0) {
        return r;
    }
    run->node = n;
    return check_value(run, want, ret);
}

static int eval_command(TmplRun *run, TmplValue dot, const Node *cmd, const TmplValue *final,
                        TmplValue *ret) {
    const Node *first = cmd->kids.v[0];
    const Call c = {
        .args = (const Node *const *)cmd->kids.v, .n = cmd->kids.n, .final = final, .cmd = cmd};
    switch (first->kind) {
    case NODE_FIELD: run->node = first; return eval_names(run, dot, dot, first, &c, ret);
    case NODE_CHAIN: return eval_chain(run, dot, first, &c, ret);
    case NODE_IDENTIFIER: return eval_function(run, dot, first, &c, ret);
    case NODE_VARIABLE: return eval_variable(run, dot, first, &c, ret);
    default: break;
    }
    run->node = first;
    if (not_function(run, first, &c) < 0) {
        return -EINVAL;
    }
    if (first->kind == NODE_NIL) {
        return tmpl_fail(run, "nil is not a command");
    }
    return eval_arg(run, dot, first, 'a', ret);
}

static void variable_assign(TmplRun *run, Str name, TmplValue v) {
    for (size_t i = run->vars.n; i-- > 0;) {
        if (str_eq(run->vars.v[i].name, name)) {
            run->vars.v[i].value = v;
            return;
        }
    }
}

static void variables_store(TmplRun *run, const Node *pipe, TmplValue v) {
    for (size_t i = 0; i < pipe->decl.n; i++) {
        Str name = pipe->decl.v[i]->text;
        if (pipe->b) {
            variable_assign(run, name, v);
        } else {
            vec_push(&run->vars, (Variable){name, v});
        }
    }
}

static int level_enter(TmplRun *run, const Node *n) {
    if (++run->levels <= LEVELS_MAX) {
        return 0;
    }
    run->node = n;
    return tmpl_fail(run, "template is nested too deeply");
}

static int eval_pipe(TmplRun *run, TmplValue dot, const Node *pipe, TmplValue *ret) {
    if (level_enter(run, pipe) < 0) {
        return -EINVAL;
    }
    if (++run->steps > (run->x->steps_max ? run->x->steps_max : STEPS_MAX)) {
        run->node = pipe;
        return tmpl_fail(run, "template takes too many steps");
    }
    TmplValue v = TMPL_NONE;
    for (size_t i = 0; i < pipe->kids.n; i++) {
        TmplValue final = v;
        run->node = pipe;
        int r = eval_command(run, dot, pipe->kids.v[i], i ? &final : NULL, &v);
        if (r < 0) {
            return r;
        }
    }
    variables_store(run, pipe, v);
    run->levels--;
    *ret = v;
    return 0;
}

/* ---- actions */

static int output_check(TmplRun *run) {
    if (run->out->failed || run->out->n - run->out_start > run->x->bytes_max) {
        return tmpl_fail(run, "template writes more than %zu bytes", run->x->bytes_max);
    }
    return 0;
}

static int walk_action(TmplRun *run, TmplValue dot, const Node *n) {
    TmplValue v;
    int r = eval_pipe(run, dot, n->pipe, &v);
    if (r < 0 || n->pipe->decl.n) {
        return r;
    }
    run->node = n;
    if (v.kind == TMPL_NIL) {
        buf_add_cstr(run->out, "<no value>");
    } else {
        gofmt_value(run->out, v);
    }
    return output_check(run);
}

static int walk_if_with(TmplRun *run, TmplValue dot, const Node *n, Flow *flow) {
    size_t mark = run->vars.n;
    TmplValue v;
    int r = eval_pipe(run, dot, n->pipe, &v);
    if (r == 0 && tmpl_truth(v)) {
        r = walk(run, n->kind == NODE_WITH ? v : dot, n->list, flow);
    } else if (r == 0 && n->other) {
        r = walk(run, dot, n->other, flow);
    }
    run->vars.n = mark;
    return r;
}

static int range_once(TmplRun *run, const Node *n, size_t mark, TmplValue key, TmplValue item,
                      bool *ret_stop) {
    const Nodes *decl = &n->pipe->decl;
    const TmplValue two[] = {decl->n > 1 ? key : item, item};
    for (size_t i = 0; i < decl->n; i++) {
        if (n->pipe->b) {
            variable_assign(run, decl->v[i]->text, two[i]);
        } else if (mark + i < run->vars.n) {
            run->vars.v[mark + i].value = two[i];
        }
    }
    size_t inner = run->vars.n;
    Flow flow = FLOW_ON;
    int r = walk(run, item, n->list, &flow);
    run->vars.n = inner;
    *ret_stop = flow == FLOW_BREAK;
    if (r == 0 && ++run->steps > (run->x->steps_max ? run->x->steps_max : STEPS_MAX)) {
        run->node = n;
        r = tmpl_fail(run, "template takes too many steps");
    }
    return r;
}

static int range_over(TmplRun *run, const Node *n, size_t mark, TmplValue v, size_t count) {
    bool stop = false;
    for (size_t i = 0; i < count && !stop; i++) {
        TmplValue key = tmpl_int((int64_t)i), item = key;
        if (v.kind == TMPL_LIST) {
            item = v.list.v[i];
        } else if (v.kind == TMPL_MAP) {
            key = tmpl_string(v.map.v[i].key);
            item = v.map.v[i].value;
        }
        int r = range_once(run, n, mark, key, item, &stop);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int walk_range(TmplRun *run, TmplValue dot, const Node *n, Flow *flow) {
    size_t mark = run->vars.n;
    TmplValue v;
    int r = eval_pipe(run, dot, n->pipe, &v);
    if (r < 0) {
        return r;
    }
    size_t count = v.kind == TMPL_LIST             ? v.list.n
                   : v.kind == TMPL_MAP            ? v.map.n
                   : v.kind == TMPL_INT && v.i > 0 ? (size_t)v.i
                                                   : 0;
    if (v.kind != TMPL_LIST && v.kind != TMPL_MAP && v.kind != TMPL_INT && v.kind != TMPL_NIL) {
        CLEANUP(buf_deinit) Buf b = BUF_INIT(1024);
        gofmt_value(&b, v);
        r = tmpl_fail(run, "range can't iterate over %.*s", SA(buf_str(&b)));
    } else if (count) {
        r = range_over(run, n, mark, v, count);
    } else if (n->other) {
        r = walk(run, dot, n->other, flow);
    }
    run->vars.n = mark;
    return r;
}

static int walk_call(TmplRun *run, TmplValue dot, const Node *n) {
    const Tree *t = template_find(run->set, n->text);
    run->node = n;
    if (!t) {
        return tmpl_fail(run, "template \"%.*s\" not defined", SA(n->text));
    }
    if (run->depth >= DEPTH_MAX) {
        return tmpl_fail(run, "exceeded maximum template depth (%d)", DEPTH_MAX);
    }
    TmplValue data = TMPL_NONE;
    int r = n->pipe ? eval_pipe(run, dot, n->pipe, &data) : 0;
    if (r < 0) {
        return r;
    }
    /* The body sees none of the caller's variables. */
    __typeof__(run->vars) saved = run->vars;
    const Tree *caller = run->tree;
    run->vars = (__typeof__(run->vars)){0};
    vec_push(&run->vars, (Variable){STR("$"), data});
    run->tree = t;
    run->depth++;
    Flow flow = FLOW_ON;
    r = walk(run, data, t->root, &flow);
    run->depth--;
    vec_free(&run->vars);
    run->vars = saved;
    if (r == 0) {
        run->tree = caller;
    }
    return r;
}

static int walk_list(TmplRun *run, TmplValue dot, const Node *n, Flow *flow) {
    int r = level_enter(run, n);
    for (size_t i = 0; r == 0 && *flow == FLOW_ON && i < n->kids.n; i++) {
        r = walk(run, dot, n->kids.v[i], flow);
    }
    run->levels--;
    return r;
}

static int walk(TmplRun *run, TmplValue dot, const Node *n, Flow *flow) {
    run->node = n;
    switch (n->kind) {
    case NODE_LIST: return walk_list(run, dot, n, flow);
    case NODE_TEXT: buf_add_str(run->out, n->text); return output_check(run);
    case NODE_ACTION: return walk_action(run, dot, n);
    case NODE_IF:
    case NODE_WITH: return walk_if_with(run, dot, n, flow);
    case NODE_RANGE: return walk_range(run, dot, n, flow);
    case NODE_TEMPLATE: return walk_call(run, dot, n);
    case NODE_BREAK: *flow = FLOW_BREAK; return 0;
    case NODE_CONTINUE: *flow = FLOW_CONTINUE; return 0;
    default: return tmpl_fail(run, "unknown node: %s", node_text(run, n));
    }
}

int template_exec(const Template *t, Str name, const TmplExec *x, Buf *out, Str *ret_error) {
    TmplExec limits = *x;
    limits.bytes_max = x->bytes_max ? x->bytes_max : TMPL_BYTES_MAX;
    const Tree *tree = template_find(t, name);
    if (!tree) {
        CLEANUP(buf_deinit) Buf b = BUF_INIT(4096);
        buf_addf(&b, "template: no template \"%.*s\" associated with template", SA(name));
        *ret_error = arena_str(x->arena, buf_str(&b));
        return -EINVAL;
    }
    TmplRun run = {.set = t, .tree = tree, .x = &limits, .node = tree->root, .out = out};
    run.out_start = out->n;
    vec_push(&run.vars, (Variable){STR("$"), x->data});
    Flow flow = FLOW_ON;
    int r = walk(&run, x->data, tree->root, &flow);
    if (r < 0) {
        error_locate(&run);
        *ret_error = run.error;
    }
    vec_free(&run.vars);
    return r;
}
