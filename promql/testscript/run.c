/* Runs one eval command: the query itself, for instant ones also with @ on every selector at other
 * times, and each of these as the middle step of a range query. */
#include "promql/parser/ast.h"
#include "promql/testscript/script.h"

bool eval_expects(const EvalCommand *c, ExpectKind kind) {
    for (size_t i = 0; i < c->expect.n; i++) {
        if (c->expect.v[i].kind == kind)
            return true;
    }
    return false;
}

static bool text_matches(const Expectation *e, Str text) {
    if (e->pattern)
        return regex_match(e->pattern, text);
    return !e->message.n || str_eq(e->message, text);
}

/* ---- errors and annotations ---- */

static char *check_error(const EvalCommand *c, const PromqlResult *r) {
    for (size_t i = 0; i < c->expect.n; i++) {
        if (c->expect.v[i].kind == EXPECT_FAIL && !text_matches(&c->expect.v[i], str_of(r->error)))
            return mem_printf("failed with another error: %s", r->error);
    }
    return NULL;
}

static bool is_expected(const EvalCommand *c, ExpectKind kind, Str text) {
    for (size_t i = 0; i < c->expect.n; i++) {
        if (c->expect.v[i].kind == kind && text_matches(&c->expect.v[i], text))
            return true;
    }
    return false;
}

/* Each expectation must be met, and then each text must be expected. */
static char *check_texts(const EvalCommand *c, ExpectKind kind, const char *name, const Str *texts,
                         size_t n) {
    for (size_t i = 0; i < c->expect.n; i++) {
        const Expectation *e = &c->expect.v[i];
        bool met = e->kind != kind;
        for (size_t k = 0; k < n && !met; k++)
            met = text_matches(e, texts[k]);
        if (!met)
            return mem_printf("missing %s \"%.*s\"; the first of %zu is \"%.*s\"", name,
                              SA(e->pattern ? regex_pattern(e->pattern) : e->message), n,
                              SA(n ? texts[0] : STR("")));
    }
    for (size_t k = 0; k < n && eval_expects(c, kind); k++) {
        if (!is_expected(c, kind, texts[k]))
            return mem_printf("unexpected %s \"%.*s\"", name, SA(texts[k]));
    }
    return NULL;
}

static char *check_annotations(const EvalCommand *c, const PromqlResult *r) {
    if (c->must_warn && !r->n_warnings)
        return mem_strdup("expected a warning");
    if (c->must_inform && !r->n_infos)
        return mem_strdup("expected an info");
    if (eval_expects(c, EXPECT_NO_WARN) && r->n_warnings)
        return mem_printf("unexpected warning \"%.*s\"", SA(r->warnings[0]));
    if (eval_expects(c, EXPECT_NO_INFO) && r->n_infos)
        return mem_printf("unexpected info \"%.*s\"", SA(r->infos[0]));
    char *failure = check_texts(c, EXPECT_WARN, "warning", r->warnings, r->n_warnings);
    return failure ? failure : check_texts(c, EXPECT_INFO, "info", r->infos, r->n_infos);
}

/* NULL or the failure; an error that was expected ends the checks with *ret_ended. */
static char *check_outcome(const EvalCommand *c, const PromqlResult *r, bool *ret_ended) {
    *ret_ended = r->outcome != PROMQL_OK;
    if (r->outcome != PROMQL_OK)
        return eval_expects(c, EXPECT_FAIL) ? check_error(c, r)
                                            : mem_printf("failed: %s", r->error);
    if (eval_expects(c, EXPECT_FAIL))
        return mem_strdup("expected an error");
    return check_annotations(c, r);
}

/* ---- @ ---- */

/* What gives another value at another time although its arguments are the same. */
static bool depends_on_time(const PromqlFunction *f) {
    switch (f->id) {
    case FN_DAYS_IN_MONTH:
    case FN_DAY_OF_MONTH:
    case FN_DAY_OF_WEEK:
    case FN_DAY_OF_YEAR:
    case FN_END:
    case FN_HOUR:
    case FN_MINUTE:
    case FN_MONTH:
    case FN_YEAR:
    case FN_PREDICT_LINEAR:
    case FN_RANGE:
    case FN_START:
    case FN_STEP:
    case FN_TIME:
    case FN_TIMESTAMP: return true;
    default: return false;
    }
}

static void pin(TimeShift *shift, int64_t t) {
    if (shift->at != AT_TIME) {
        shift->at = AT_TIME;
        shift->at_ms = t;
    }
}

/* Sets @ t where no time is set; below a subquery nothing. false: the value would still change. */
static bool pin_selectors(Node *n, int64_t t) {
    bool r = true;
    switch (n->kind) {
    case NODE_NUMBER:
    case NODE_STRING: return true;
    case NODE_VECTOR_SELECTOR: pin(&n->vector.shift, t); return true;
    case NODE_MATRIX_SELECTOR: return pin_selectors(n->matrix.vector, t);
    case NODE_SUBQUERY: pin(&n->subquery.shift, t); return true;
    case NODE_PAREN: return pin_selectors(n->paren.expr, t);
    case NODE_STEP_INVARIANT: return pin_selectors(n->invariant.expr, t);
    case NODE_UNARY: return pin_selectors(n->unary.expr, t);
    case NODE_BINARY:
        r = pin_selectors(n->binary.lhs, t);
        return pin_selectors(n->binary.rhs, t) && r;
    case NODE_AGGREGATE:
        r = !n->aggregate.param || pin_selectors(n->aggregate.param, t);
        return pin_selectors(n->aggregate.expr, t) && r;
    case NODE_CALL:
        r = !depends_on_time(n->call.function);
        for (size_t i = 0; i < n->call.n_args; i++)
            r &= pin_selectors(n->call.args[i], t);
        return r;
    }
    return r;
}

/* The query with @ on its selectors, or false when that does not make it constant. */
static bool pinned_query(Script *s, const EvalCommand *c, Buf *out) {
    Arena a = ARENA_INIT(0);
    Node *n;
    bool r = promql_parse(promql_engine_options(s->engine), c->query, &a, &n, NULL) == 0;
    if (r) {
        r = pin_selectors(n, c->end_ms);
        promql_print(n, out);
    }
    ast_free_matchers(n);
    arena_deinit(&a);
    return r;
}

/* ---- runs ---- */

static char *run_range(Script *s, const EvalCommand *c) {
    bool ended;
    PromqlRequest q = {
        .query = c->query, .start_ms = c->start_ms, .end_ms = c->end_ms, .step_ms = c->step_ms};
    PromqlResult *r = promql_exec(s->engine, s->storage, &q);
    char *failure = check_outcome(c, r, &ended);
    if (!failure && !ended)
        failure = eval_compare(c, r);
    promql_result_free(r);
    return failure;
}

/* start(), step() ... mean something else in a range query. */
static bool asks_for_range(Str query) {
    static const char *const words[] = {"start()", "end()", "range()", "step()"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_find_str(query, str_of(words[i])) < query.n)
            return true;
    }
    return false;
}

static char *run_as_range(Script *s, const EvalCommand *c, Str query, int64_t t) {
    const int64_t minute = 60000;
    PromqlRequest q = {
        .query = query, .start_ms = t - minute, .end_ms = t + minute, .step_ms = minute};
    PromqlResult *r = promql_exec(s->engine, s->storage, &q);
    char *failure = NULL;
    if (r->outcome != PROMQL_OK)
        failure = mem_printf("failed as a range query: %s", r->error);
    else if (!eval_expects(c, EXPECT_ORDERED))
        failure = matrix_sorted(r) ? eval_compare_vector(c, r, t)
                                   : mem_strdup("the series of a range query are not sorted");
    promql_result_free(r);
    return failure;
}

static char *run_instant(Script *s, const EvalCommand *c, Str query, int64_t t) {
    bool ended;
    PromqlRequest q = {.query = query, .start_ms = t, .end_ms = t};
    PromqlResult *r = promql_exec(s->engine, s->storage, &q);
    char *failure = check_outcome(c, r, &ended);
    if (!failure && !ended)
        failure = eval_compare(c, r);
    promql_result_free(r);
    if (failure || ended || c->range_vector || c->has_string || asks_for_range(query))
        return failure;
    failure = run_as_range(s, c, query, t);
    char *longer = failure ? mem_printf("as a range query: %s", failure) : NULL;
    mem_free(failure);
    return longer;
}

static char *run_pinned(Script *s, const EvalCommand *c) {
    int64_t t = c->end_ms;
    int64_t at_zero[] = {-1000, 0, 1000}, later[] = {-10 * t, 0, t / 5, t, 10 * t};
    const int64_t *times = t ? later : at_zero;
    size_t n = t ? ARRAY_LEN(later) : ARRAY_LEN(at_zero);
    char *failure = NULL;
    CLEANUP(buf_deinit) Buf query = BUF_INIT(1 << 20);
    if (!pinned_query(s, c, &query))
        return NULL;
    for (size_t i = 0; i < n && !failure; i++) {
        char *f = run_instant(s, c, buf_str(&query), times[i]);
        if (f)
            failure =
                mem_printf("as %.*s at %.3f: %s", SA(buf_str(&query)), (double)times[i] / 1000, f);
        mem_free(f);
    }
    return failure;
}

char *eval_run(Script *s, const EvalCommand *c) {
    if (c->range)
        return run_range(s, c);
    char *failure = run_instant(s, c, c->query, c->end_ms);
    return failure ? failure : run_pinned(s, c);
}
