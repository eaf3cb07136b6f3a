/* promql format, promql label-matchers set|delete. */
#include <stdio.h>

#include "nartool/nartool.h"
#include "nartool/query.h"
#include "promql/parser/ast.h"

#define EXPR_BYTES_MAX (64u << 20)

/* A word for a matcher: =, !=, =~, !~. */
static MatcherType type_of(Str text) {
    for (int t = MATCH_EQ; t <= MATCH_NRE; t++) {
        if (str_eqc(text, match_type_text((MatcherType)t))) {
            return (MatcherType)t;
        }
    }
    return MATCH_EQ;
}

/* Under promtool's name it is as guarded as there. */
static bool is_allowed(Args *a) {
    if (args_switch(a, "--experimental") || !a->as_promtool) {
        return true;
    }
    fprintf(stderr,
            "This command is experimental and requires the --experimental flag to be set.\n");
    return false;
}

static int tell(Str expr, const Problem *p) {
    CLEANUP(buf_deinit) Buf text = BUF_INIT(0);
    promql_problem_print(p, &text);
    return query_tell_error(expr, buf_cstr(&text));
}

int cmd_promql_format(Args *a) {
    if (!is_allowed(a)) {
        return EXIT_FAILED;
    }
    PromqlEngine *engine = engine_for_checks();
    CLEANUP(buf_deinit) Buf out = BUF_INIT(EXPR_BYTES_MAX);
    Problem p = {0};
    int r = promql_format(engine, a->v[0], &out, &p);
    promql_engine_free(engine);
    if (r < 0) {
        return tell(a->v[0], &p);
    }
    printf("%.*s\n", SA(buf_str(&out)));
    return EXIT_OK;
}

typedef struct MatcherEdit {
    Str name, value;
    MatcherType type;
    bool remove;
    Arena *arena;
    Problem problem;
    int r;
} MatcherEdit;

static void remove_at(Node *n, size_t at) {
    matcher_deinit(&n->vector.matchers[at]);
    memmove(&n->vector.matchers[at], &n->vector.matchers[at + 1],
            (n->vector.n_matchers - at - 1) * sizeof(Matcher));
    n->vector.n_matchers--;
}

/* The name before the braces stands for its matcher: it is printed instead. */
static void forget_name(Node *n, const MatcherEdit *e) {
    if (str_eqc(e->name, "__name__")) {
        n->vector.name = STR_NULL;
    }
}

/* In front of the one of the name, which is the last. */
static void add_matcher(Node *n, MatcherEdit *e) {
    size_t at = n->vector.n_matchers - (n->vector.name.n > 0);
    Matcher *all = ARENA_ARRAY(e->arena, Matcher, n->vector.n_matchers + 1);
    memcpy(all, n->vector.matchers, at * sizeof(Matcher));
    memcpy(all + at + 1, n->vector.matchers + at, (n->vector.n_matchers - at) * sizeof(Matcher));
    e->r = matcher_init(&all[at], e->type, e->name, e->value, &e->problem);
    if (e->r == 0) {
        n->vector.matchers = all;
        n->vector.n_matchers++;
    }
}

/* The first matcher of the label is changed where it stands. */
static void edit_selector(Node *n, MatcherEdit *e) {
    forget_name(n, e);
    for (size_t i = 0; i < n->vector.n_matchers; i++) {
        if (!str_eq(n->vector.matchers[i].name, e->name)) {
            continue;
        }
        if (!e->remove) {
            matcher_deinit(&n->vector.matchers[i]);
            n->vector.matchers[i] = (Matcher){0};
            e->r = matcher_init(&n->vector.matchers[i], e->type, e->name, e->value, &e->problem);
            return;
        }
        remove_at(n, i--);
    }
    if (!e->remove) {
        add_matcher(n, e);
    }
}

static void edit(Node *n, MatcherEdit *e);

static void edit_both(Node *a, Node *b, MatcherEdit *e) {
    edit(a, e);
    edit(b, e);
}

/* The depth of trees has a ceiling: AST_DEPTH_MAX. */
static void edit(Node *n, MatcherEdit *e) {
    if (!n || e->r < 0) {
        return;
    }
    switch (n->kind) {
    case NODE_VECTOR_SELECTOR: edit_selector(n, e); break;
    case NODE_MATRIX_SELECTOR: edit(n->matrix.vector, e); break;
    case NODE_SUBQUERY: edit(n->subquery.expr, e); break;
    case NODE_PAREN: edit(n->paren.expr, e); break;
    case NODE_STEP_INVARIANT: edit(n->invariant.expr, e); break;
    case NODE_UNARY: edit(n->unary.expr, e); break;
    case NODE_BINARY: edit_both(n->binary.lhs, n->binary.rhs, e); break;
    case NODE_AGGREGATE: edit_both(n->aggregate.expr, n->aggregate.param, e); break;
    case NODE_CALL:
        for (size_t i = 0; i < n->call.n_args; i++) {
            edit(n->call.args[i], e);
        }
        break;
    case NODE_NUMBER:
    case NODE_STRING: break;
    }
}

static int edit_query(Str expr, MatcherEdit *e) {
    Arena arena = ARENA_INIT(EXPR_BYTES_MAX);
    PromqlEngine *engine = engine_for_checks();
    Node *n = NULL;
    e->arena = &arena;
    int code = EXIT_OK;
    if (promql_parse(promql_engine_options(engine), expr, &arena, &n, &e->problem) < 0) {
        code = tell(expr, &e->problem);
    } else {
        edit(n, e);
        code = e->r < 0 ? fail("%s", e->problem.text) : EXIT_OK;
    }
    if (!code) {
        CLEANUP(buf_deinit) Buf out = BUF_INIT(EXPR_BYTES_MAX);
        promql_print_pretty(n, &out);
        printf("%.*s\n", SA(buf_str(&out)));
    }
    ast_free_matchers(n);
    promql_engine_free(engine);
    arena_deinit(&arena);
    return code;
}

int cmd_promql_matchers_set(Args *a) {
    MatcherEdit e = {.name = a->v[1], .value = a->v[2], .type = type_of(args_flag(a, "--type"))};
    return is_allowed(a) ? edit_query(a->v[0], &e) : EXIT_FAILED;
}

int cmd_promql_matchers_delete(Args *a) {
    MatcherEdit e = {.name = a->v[1], .remove = true};
    return is_allowed(a) ? edit_query(a->v[0], &e) : EXIT_FAILED;
}
