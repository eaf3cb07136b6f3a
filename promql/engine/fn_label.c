/* label_replace and label_join: once a series, whatever the number of steps. */
#include "promql/engine/call.h"

typedef struct Relabel {
    Sink sink;
    Eval *ev;
    Scope scope;
    Str dst, src, replacement, separator;
    Regex *re;
    Str *groups;
    size_t n_groups;
    Str *sources;
    size_t n_sources;
    Buf text;
    DupCheck dup;
    Sink *next;
} Relabel;

static int set_label(Relabel *k, Column *c) {
    Str value = scope_str(&k->ev->scope, buf_str(&k->text));
    if (!value.p)
        return -EINVAL;
    if (str_eq(k->dst, LABEL_NAME))
        c->drop_name = false;
    return labels_with(&k->ev->scope, c->labels, k->dst, value, &c->labels);
}

static int pass_on(Relabel *k, Column *c) {
    if (dup_check_add(&k->dup, c, 0, false, SAME_LABELSET) < 0)
        return -EINVAL;
    return k->next->push(k->next, c);
}

static int replace_push(Sink *s, Column *c) {
    Relabel *k = (Relabel *)s;
    Str value = labels_get(c->labels, k->src);
    if (!value.p)
        value = STR("");
    if (regex_match_groups(k->re, value, k->groups, k->n_groups)) {
        buf_reset(&k->text);
        regex_expand(k->re, k->replacement, k->groups, k->n_groups, &k->text);
        if (k->text.failed)
            return eval_fail(k->ev, PROMQL_EXECUTION,
                             "label_replace() makes a label longer than %zu bytes", k->text.max);
        if (set_label(k, c) < 0)
            return -EINVAL;
    }
    return pass_on(k, c);
}

static int join_push(Sink *s, Column *c) {
    Relabel *k = (Relabel *)s;
    buf_reset(&k->text);
    for (size_t i = 0; i < k->n_sources; i++) {
        if (i)
            buf_add_str(&k->text, k->separator);
        buf_add_str(&k->text, labels_get(c->labels, k->sources[i]));
    }
    if (k->text.failed)
        return eval_fail(k->ev, PROMQL_EXECUTION,
                         "label_join() makes a label longer than %zu bytes", k->text.max);
    return set_label(k, c) < 0 ? -EINVAL : pass_on(k, c);
}

#define LABEL_BYTES_MAX ((size_t)1 << 20)

static int check_name(Eval *ev, const char *role, const char *function, Str name) {
    if (label_name_valid_utf8(name))
        return 0;
    return eval_fail(ev, PROMQL_EXECUTION, "invalid %s label name in %s(): %.*s", role, function,
                     SA(name));
}

static int relabel_run(Relabel *k, const Node *call, const Grid *g) {
    scope_init(&k->scope, k->ev);
    dup_check_init(&k->dup, &k->scope);
    k->text = BUF_INIT(LABEL_BYTES_MAX);
    int r = eval_vector(k->ev, call->call.args[0], g, &k->sink);
    buf_deinit(&k->text);
    dup_check_deinit(&k->dup);
    scope_deinit(&k->scope);
    return r;
}

int call_label_replace(Eval *ev, const Node *call, const Grid *g, Sink *out) {
    Node *const *a = call->call.args;
    Relabel k = {.sink = {replace_push}, .ev = ev, .next = out};
    k.dst = node_string(a[1]);
    k.replacement = node_string(a[2]);
    k.src = node_string(a[3]);
    Str pattern = node_string(a[4]);
    k.re = regex_new(pattern, 0, NULL);
    if (!k.re)
        return eval_fail(ev, PROMQL_EXECUTION,
                         "invalid regular expression in label_replace(): %.*s", SA(pattern));
    int r = check_name(ev, "destination", "label_replace", k.dst);
    k.n_groups = (size_t)regex_groups(k.re) + 1;
    k.groups = mem_calloc(k.n_groups, sizeof(Str));
    if (r == 0)
        r = relabel_run(&k, call, g);
    mem_free(k.groups);
    regex_free(k.re);
    return r;
}

int call_label_join(Eval *ev, const Node *call, const Grid *g, Sink *out) {
    Node *const *a = call->call.args;
    Relabel k = {.sink = {join_push}, .ev = ev, .next = out};
    k.dst = node_string(a[1]);
    k.separator = node_string(a[2]);
    k.n_sources = call->call.n_args - 3;
    k.sources = mem_calloc(k.n_sources + 1, sizeof(Str));
    int r = 0;
    for (size_t i = 0; i < k.n_sources && r == 0; i++) {
        k.sources[i] = node_string(a[i + 3]);
        r = check_name(ev, "source", "label_join", k.sources[i]);
    }
    if (r == 0)
        r = check_name(ev, "destination", "label_join", k.dst);
    if (r == 0)
        r = relabel_run(&k, call, g);
    mem_free(k.sources);
    return r;
}
