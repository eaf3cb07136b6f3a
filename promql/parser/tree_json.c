/* The tree as JSON, as Prometheus' parse_query gives it: keys in alphabetic order. */
#include "base/mem.h"
#include "base/numtext.h"
#include "format/json.h"
#include "promql/parser/ast.h"

static void add_node(JsonWriter *w, const Node *n);

static void key_str(JsonWriter *w, const char *key, Str value) {
    json_key(w, str_of(key));
    json_add_str(w, value);
}

static void key_cstr(JsonWriter *w, const char *key, const char *value) {
    key_str(w, key, str_of(value));
}

static void key_int(JsonWriter *w, const char *key, int64_t value) {
    json_key(w, str_of(key));
    json_add_int(w, value);
}

static void key_bool(JsonWriter *w, const char *key, bool value) {
    json_key(w, str_of(key));
    json_add_bool(w, value);
}

static void key_node(JsonWriter *w, const char *key, const Node *n) {
    json_key(w, str_of(key));
    if (n)
        add_node(w, n);
    else
        json_add_null(w);
}

static void key_strings(JsonWriter *w, const char *key, const Str *v, size_t n) {
    json_key(w, str_of(key));
    json_begin_array(w);
    for (size_t i = 0; i < n; i++)
        json_add_str(w, v[i]);
    json_end_array(w);
}

/* Never with an exponent. */
static void key_number(JsonWriter *w, const char *key, double v) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    number_format_plain(&b, v);
    key_str(w, key, buf_str(&b));
}

/* ---- durations */

static void add_duration(JsonWriter *w, const DurExpr *d, bool wrapped) {
    static const char *const ops[] = {
        [DUR_ADD] = "+",       [DUR_SUB] = "-",         [DUR_MUL] = "*",        [DUR_DIV] = "/",
        [DUR_MOD] = "%",       [DUR_POW] = "^",         [DUR_NEG] = "-",        [DUR_STEP] = "step",
        [DUR_RANGE] = "range", [DUR_MIN_OF] = "min_of", [DUR_MAX_OF] = "max_of"};
    if (!d) {
        json_add_null(w);
        return;
    }
    if (d->kind == DUR_PAREN) {
        add_duration(w, d->lhs, true);
        return;
    }
    json_begin_object(w);
    if (d->kind == DUR_NUMBER) {
        key_bool(w, "duration", d->duration_text);
        key_cstr(w, "type", "numberLiteral");
        key_number(w, "val", d->number);
    } else {
        bool negative = d->kind == DUR_NEG;
        json_key(w, STR("lhs"));
        add_duration(w, negative ? NULL : d->lhs, false);
        key_cstr(w, "op", ops[d->kind]);
        json_key(w, STR("rhs"));
        add_duration(w, negative ? d->lhs : d->rhs, false);
        key_cstr(w, "type", "durationExpr");
        key_bool(w, "wrapped", wrapped);
    }
    json_end_object(w);
}

static void key_duration(JsonWriter *w, const char *key, const DurExpr *d) {
    json_key(w, str_of(key));
    add_duration(w, d, false);
}

static void add_offset(JsonWriter *w, const TimeShift *s) {
    key_int(w, "offset", s->offset_ms);
    key_duration(w, "offsetExpr", s->offset_expr);
}

static void key_start_or_end(JsonWriter *w, const TimeShift *s) {
    json_key(w, STR("startOrEnd"));
    if (s->at == AT_START || s->at == AT_END)
        json_add_str(w, s->at == AT_START ? STR("start") : STR("end"));
    else
        json_add_null(w);
}

static void key_timestamp(JsonWriter *w, const TimeShift *s) {
    json_key(w, STR("timestamp"));
    if (s->at == AT_TIME)
        json_add_int(w, s->at_ms);
    else
        json_add_null(w);
}

/* ---- nodes: each writes the members of its object but the last, its type */

static const char *type_name(PromqlType t) {
    static const char *const names[] = {[PROMQL_NONE] = "none",
                                        [PROMQL_SCALAR] = "scalar",
                                        [PROMQL_VECTOR] = "vector",
                                        [PROMQL_MATRIX] = "matrix",
                                        [PROMQL_STRING] = "string"};
    return names[t];
}

static void key_matchers(JsonWriter *w, const Node *selector) {
    static const char *const types[] = {
        [MATCH_EQ] = "=", [MATCH_NE] = "!=", [MATCH_RE] = "=~", [MATCH_NRE] = "!~"};
    json_key(w, STR("matchers"));
    json_begin_array(w);
    for (size_t i = 0; i < selector->vector.n_matchers; i++) {
        const Matcher *m = &selector->vector.matchers[i];
        json_begin_object(w);
        key_str(w, "name", m->name);
        key_cstr(w, "type", types[m->type]);
        key_str(w, "value", m->value);
        json_end_object(w);
    }
    json_end_array(w);
}

/* A matrix selector is a vector selector with a range. */
static void add_selector(JsonWriter *w, const Node *s, const Node *matrix) {
    key_bool(w, "anchored", s->vector.anchored);
    key_matchers(w, s);
    key_str(w, "name", s->vector.name);
    add_offset(w, &s->vector.shift);
    if (matrix) {
        key_int(w, "range", matrix->matrix.range_ms);
        key_duration(w, "rangeExpr", matrix->matrix.range_expr);
    }
    key_bool(w, "smoothed", s->vector.smoothed);
    key_start_or_end(w, &s->vector.shift);
    key_timestamp(w, &s->vector.shift);
}

static void add_subquery(JsonWriter *w, const Node *n) {
    key_node(w, "expr", n->subquery.expr);
    add_offset(w, &n->subquery.shift);
    key_int(w, "range", n->subquery.range_ms);
    key_duration(w, "rangeExpr", n->subquery.range_expr);
    key_start_or_end(w, &n->subquery.shift);
    key_int(w, "step", n->subquery.step_ms);
    key_duration(w, "stepExpr", n->subquery.step_expr);
    key_timestamp(w, &n->subquery.shift);
}

static void key_fill(JsonWriter *w, const char *key, bool has, double v) {
    json_key(w, str_of(key));
    if (has)
        json_add_double(w, v);
    else
        json_add_null(w);
}

static void add_matching(JsonWriter *w, const VectorMatching *m) {
    static const char *const cards[] = {[CARD_ONE_TO_ONE] = "one-to-one",
                                        [CARD_MANY_TO_ONE] = "many-to-one",
                                        [CARD_ONE_TO_MANY] = "one-to-many",
                                        [CARD_MANY_TO_MANY] = "many-to-many"};
    if (!m) {
        json_add_null(w);
        return;
    }
    json_begin_object(w);
    key_cstr(w, "card", cards[m->card]);
    json_key(w, STR("fillValues"));
    json_begin_object(w);
    key_fill(w, "lhs", m->has_fill_lhs, m->fill_lhs);
    key_fill(w, "rhs", m->has_fill_rhs, m->fill_rhs);
    json_end_object(w);
    key_strings(w, "include", m->include, m->n_include);
    key_strings(w, "labels", m->labels_written, m->n_labels);
    key_bool(w, "on", m->on);
    json_end_object(w);
}

static void add_binary(JsonWriter *w, const Node *n) {
    key_bool(w, "bool", n->binary.return_bool);
    key_node(w, "lhs", n->binary.lhs);
    json_key(w, STR("matching"));
    add_matching(w, n->binary.matching);
    key_cstr(w, "op", binary_op_text(n->binary.op));
    key_node(w, "rhs", n->binary.rhs);
}

static void add_aggregate(JsonWriter *w, const Node *n) {
    key_node(w, "expr", n->aggregate.expr);
    key_strings(w, "grouping", n->aggregate.grouping_written, n->aggregate.n_grouping);
    key_cstr(w, "op", aggregate_op_text(n->aggregate.op));
    key_node(w, "param", n->aggregate.param);
}

static void key_function(JsonWriter *w, const PromqlFunction *f) {
    json_key(w, STR("func"));
    json_begin_object(w);
    json_key(w, STR("argTypes"));
    json_begin_array(w);
    for (const char *c = f->args; *c; c++)
        json_add_str(w, str_of(type_name(*c == 'v'   ? PROMQL_VECTOR
                                         : *c == 'm' ? PROMQL_MATRIX
                                         : *c == 's' ? PROMQL_SCALAR
                                                     : PROMQL_STRING)));
    json_end_array(w);
    key_cstr(w, "name", f->name);
    key_cstr(w, "returnType", type_name(f->returns));
    key_int(w, "variadic", f->variadic);
    json_end_object(w);
}

static void add_call(JsonWriter *w, const Node *n) {
    json_key(w, STR("args"));
    json_begin_array(w);
    for (size_t i = 0; i < n->call.n_args; i++)
        add_node(w, n->call.args[i]);
    json_end_array(w);
    key_function(w, n->call.function);
}

static void add_unary(JsonWriter *w, const Node *n) {
    key_node(w, "expr", n->unary.expr);
    key_cstr(w, "op", n->unary.minus ? "-" : "+");
}

static void add_members(JsonWriter *w, const Node *n) {
    switch (n->kind) {
    case NODE_VECTOR_SELECTOR: add_selector(w, n, NULL); break;
    case NODE_MATRIX_SELECTOR: add_selector(w, n->matrix.vector, n); break;
    case NODE_SUBQUERY: add_subquery(w, n); break;
    case NODE_UNARY: add_unary(w, n); break;
    case NODE_BINARY: add_binary(w, n); break;
    case NODE_AGGREGATE: add_aggregate(w, n); break;
    case NODE_CALL: add_call(w, n); break;
    case NODE_PAREN:
    case NODE_STEP_INVARIANT: key_node(w, "expr", n->paren.expr); break;
    case NODE_NUMBER:
    case NODE_STRING: break; /* their value comes behind the type */
    }
}

static void add_node(JsonWriter *w, const Node *n) {
    static const char *const types[] = {[NODE_NUMBER] = "numberLiteral",
                                        [NODE_STRING] = "stringLiteral",
                                        [NODE_VECTOR_SELECTOR] = "vectorSelector",
                                        [NODE_MATRIX_SELECTOR] = "matrixSelector",
                                        [NODE_SUBQUERY] = "subquery",
                                        [NODE_PAREN] = "parenExpr",
                                        [NODE_UNARY] = "unaryExpr",
                                        [NODE_BINARY] = "binaryExpr",
                                        [NODE_AGGREGATE] = "aggregation",
                                        [NODE_CALL] = "call",
                                        [NODE_STEP_INVARIANT] = "parenExpr"};
    json_begin_object(w);
    add_members(w, n);
    key_cstr(w, "type", types[n->kind]);
    if (n->kind == NODE_NUMBER)
        key_number(w, "val", n->number.value);
    else if (n->kind == NODE_STRING)
        key_str(w, "val", n->string.value);
    else if (n->kind == NODE_AGGREGATE)
        key_bool(w, "without", n->aggregate.without);
    json_end_object(w);
}

void promql_print_json(const Node *n, Buf *out) {
    JsonWriter w = JSON_WRITER(out);
    add_node(&w, n);
}
