/*
 * A tree back to text: on one line as Prometheus' Expr.String(), or broken where a part is longer
 * than a line, as its Prettify. Printing stops early once the buffer's ceiling is reached.
 */
#include <stdlib.h>

#include "base/gotext.h"
#include "base/numtext.h"
#include "base/vec.h"
#include "model/duration.h"
#include "promql/parser/ast.h"

/* ---- durations ---- */

static void print_milliseconds(int64_t ms, Buf *out) {
    if (ms < 0)
        buf_add_char(out, '-');
    duration_format(out, ms < 0 ? -ms : ms);
}

static void print_seconds(double v, bool as_duration, Buf *out) {
    if (as_duration)
        print_milliseconds((int64_t)(v * 1e9) / 1000000, out);
    else
        number_format_plain(out, v);
}

static const char *duration_op_text(DurKind k) {
    static const char *const texts[] = {
        [DUR_ADD] = "+", [DUR_SUB] = "-", [DUR_MUL] = "*",
        [DUR_DIV] = "/", [DUR_MOD] = "%", [DUR_POW] = "^",
    };
    return texts[k];
}

static void print_duration(const DurExpr *d, Buf *out) {
    switch (d->kind) {
    case DUR_NUMBER: print_seconds(d->number, d->duration_text, out); break;
    case DUR_STEP: buf_add_cstr(out, "step()"); break;
    case DUR_RANGE: buf_add_cstr(out, "range()"); break;
    case DUR_NEG:
        buf_add_char(out, '-');
        print_duration(d->lhs, out);
        break;
    case DUR_PAREN:
        buf_add_char(out, '(');
        print_duration(d->lhs, out);
        buf_add_char(out, ')');
        break;
    case DUR_MIN_OF:
    case DUR_MAX_OF:
        buf_add_cstr(out, d->kind == DUR_MIN_OF ? "min_of(" : "max_of(");
        print_duration(d->lhs, out);
        buf_add_cstr(out, ", ");
        print_duration(d->rhs, out);
        buf_add_char(out, ')');
        break;
    default:
        print_duration(d->lhs, out);
        buf_addf(out, " %s ", duration_op_text(d->kind));
        print_duration(d->rhs, out);
        break;
    }
}

static void print_range(int64_t ms, const DurExpr *expr, Buf *out) {
    if (expr)
        print_duration(expr, out);
    else
        print_milliseconds(ms, out);
}

static void print_at(const TimeShift *s, Buf *out) {
    if (s->at == AT_TIME)
        buf_addf(out, " @ %.3f", (double)s->at_ms / 1000.0);
    else if (s->at != AT_NONE)
        buf_add_cstr(out, s->at == AT_START ? " @ start()" : " @ end()");
}

static void print_offset(const TimeShift *s, Buf *out) {
    if (!s->offset_expr && s->offset_ms == 0)
        return;
    buf_add_cstr(out, " offset ");
    print_range(s->offset_ms, s->offset_expr, out);
}

/* ---- selectors ---- */

static void print_extended(const Node *n, Buf *out) {
    if (n->vector.anchored)
        buf_add_cstr(out, " anchored");
    else if (n->vector.smoothed)
        buf_add_cstr(out, " smoothed");
}

/* The matcher that stands for the name written before the braces. */
static bool is_name(const Node *n, const Matcher *m) {
    return m->type == MATCH_EQ && str_eq(m->name, LABEL_NAME) && m->value.n &&
           str_eq(m->value, n->vector.name);
}

/* {..}: matchers sorted as texts. */
static void print_matchers(const Node *n, Buf *out) {
    Buf texts = BUF_INIT(0);
    VEC(size_t) ends = {0};
    for (size_t i = 0; i < n->vector.n_matchers; i++) {
        if (is_name(n, &n->vector.matchers[i]))
            continue;
        matcher_format(&n->vector.matchers[i], &texts);
        vec_push(&ends, texts.n);
    }
    Str *sorted = NEW_ARRAY(Str, ends.n + 1);
    for (size_t i = 0; i < ends.n; i++) {
        size_t begin = i ? ends.v[i - 1] : 0;
        sorted[i] = str_n(texts.p + begin, ends.v[i] - begin);
    }
    qsort(sorted, ends.n, sizeof(*sorted), str_qsort_cmp);
    for (size_t i = 0; i < ends.n; i++) {
        buf_add_char(out, i ? ',' : '{');
        buf_add_str(out, sorted[i]);
    }
    if (ends.n)
        buf_add_char(out, '}');
    mem_free(sorted);
    vec_free(&ends);
    buf_deinit(&texts);
}

static void print_selector(const Node *n, Buf *out) {
    buf_add_str(out, n->vector.name);
    print_matchers(n, out);
}

static void print_vector(const Node *n, Buf *out) {
    print_selector(n, out);
    print_at(&n->vector.shift, out);
    print_extended(n, out);
    print_offset(&n->vector.shift, out);
}

static void print_matrix(const Node *n, Buf *out) {
    const Node *v = n->matrix.vector;
    print_selector(v, out);
    buf_add_char(out, '[');
    print_range(n->matrix.range_ms, n->matrix.range_expr, out);
    buf_add_char(out, ']');
    print_extended(v, out);
    print_at(&v->vector.shift, out);
    print_offset(&v->vector.shift, out);
}

/* [range:step] and what follows */
static void print_subquery_suffix(const Node *n, Buf *out) {
    buf_add_char(out, '[');
    print_range(n->subquery.range_ms, n->subquery.range_expr, out);
    buf_add_char(out, ':');
    if (n->subquery.step_ms || n->subquery.step_expr)
        print_range(n->subquery.step_ms, n->subquery.step_expr, out);
    buf_add_char(out, ']');
    print_at(&n->subquery.shift, out);
    print_offset(&n->subquery.shift, out);
}

/* ---- operators, aggregations, calls ---- */

static void print_labels(const Str *labels, size_t n, Buf *out) {
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_add_cstr(out, ", ");
        if (label_name_valid_legacy(labels[i]))
            buf_add_str(out, labels[i]);
        else
            go_quote(out, labels[i]);
    }
}

static void print_fill(const char *word, double v, Buf *out) {
    buf_addf(out, " %s (", word);
    number_format_g(out, v);
    buf_add_char(out, ')');
}

static void print_matching(const VectorMatching *m, Buf *out) {
    bool grouped = m->card == CARD_MANY_TO_ONE || m->card == CARD_ONE_TO_MANY;
    if (m->n_labels || m->on || grouped) {
        buf_add_cstr(out, m->on ? " on (" : " ignoring (");
        print_labels(m->labels_written, m->n_labels, out);
        buf_add_char(out, ')');
    }
    if (grouped) {
        buf_add_cstr(out, m->card == CARD_MANY_TO_ONE ? " group_left (" : " group_right (");
        print_labels(m->include, m->n_include, out);
        buf_add_char(out, ')');
    }
    if (m->has_fill_lhs && m->has_fill_rhs && m->fill_lhs == m->fill_rhs) {
        print_fill("fill", m->fill_lhs, out);
        return;
    }
    if (m->has_fill_lhs)
        print_fill("fill_left", m->fill_lhs, out);
    if (m->has_fill_rhs)
        print_fill("fill_right", m->fill_rhs, out);
}

static void print_operator(const Node *n, Buf *out) {
    buf_add_cstr(out, binary_op_text(n->binary.op));
    if (n->binary.return_bool)
        buf_add_cstr(out, " bool");
    if (n->binary.matching)
        print_matching(n->binary.matching, out);
}

static void print_aggregate_head(const Node *n, Buf *out) {
    buf_add_cstr(out, aggregate_op_text(n->aggregate.op));
    if (!n->aggregate.without && !n->aggregate.n_grouping)
        return;
    buf_add_cstr(out, n->aggregate.without ? " without (" : " by (");
    print_labels(n->aggregate.grouping_written, n->aggregate.n_grouping, out);
    buf_add_cstr(out, ") ");
}

static void print_aggregate(const Node *n, Buf *out) {
    print_aggregate_head(n, out);
    buf_add_char(out, '(');
    if (n->aggregate.param) {
        promql_print(n->aggregate.param, out);
        buf_add_cstr(out, ", ");
    }
    promql_print(n->aggregate.expr, out);
    buf_add_char(out, ')');
}

static void print_call(const Node *n, Buf *out) {
    buf_addf(out, "%s(", n->call.function->name);
    for (size_t i = 0; i < n->call.n_args; i++) {
        if (i)
            buf_add_cstr(out, ", ");
        promql_print(n->call.args[i], out);
    }
    buf_add_char(out, ')');
}

void promql_print(const Node *n, Buf *out) {
    if (out->failed)
        return;
    switch (n->kind) {
    case NODE_NUMBER: print_seconds(n->number.value, n->number.duration_text, out); break;
    case NODE_STRING: go_quote(out, n->string.value); break;
    case NODE_VECTOR_SELECTOR: print_vector(n, out); break;
    case NODE_MATRIX_SELECTOR: print_matrix(n, out); break;
    case NODE_SUBQUERY:
        promql_print(n->subquery.expr, out);
        print_subquery_suffix(n, out);
        break;
    case NODE_PAREN:
        buf_add_char(out, '(');
        promql_print(n->paren.expr, out);
        buf_add_char(out, ')');
        break;
    case NODE_UNARY:
        buf_add_char(out, n->unary.minus ? '-' : '+');
        promql_print(n->unary.expr, out);
        break;
    case NODE_BINARY:
        promql_print(n->binary.lhs, out);
        buf_add_char(out, ' ');
        print_operator(n, out);
        buf_add_char(out, ' ');
        promql_print(n->binary.rhs, out);
        break;
    case NODE_AGGREGATE: print_aggregate(n, out); break;
    case NODE_CALL: print_call(n, out); break;
    case NODE_STEP_INVARIANT: promql_print(n->invariant.expr, out); break;
    }
}

void promql_print_label(const Node *n, Buf *out) {
    switch (n->kind) {
    case NODE_SUBQUERY: print_subquery_suffix(n, out); break;
    case NODE_PAREN: buf_add_cstr(out, "()"); break;
    case NODE_UNARY: buf_add_char(out, n->unary.minus ? '-' : '+'); break;
    case NODE_BINARY: print_operator(n, out); break;
    case NODE_AGGREGATE: print_aggregate_head(n, out); break;
    case NODE_CALL: buf_add_cstr(out, n->call.function->name); break;
    default: promql_print(n, out); break;
    }
}

/* ---- pretty ---- */

enum { LINE_MAX_BYTES = 100 };

static void pretty(const Node *n, int level, Buf *out);

static void indent(int level, Buf *out) {
    for (int i = 0; i < level && !out->failed; i++)
        buf_add_cstr(out, "  ");
}

static bool needs_split(const Node *n) {
    Buf line = BUF_INIT(LINE_MAX_BYTES);
    promql_print(n, &line);
    bool r = line.failed;
    buf_deinit(&line);
    return r;
}

static void pretty_close(int level, Buf *out) {
    buf_add_char(out, '\n');
    indent(level, out);
    buf_add_char(out, ')');
}

static void pretty_aggregate(const Node *n, int level, Buf *out) {
    print_aggregate_head(n, out);
    buf_add_cstr(out, "(\n");
    if (n->aggregate.param) {
        pretty(n->aggregate.param, level + 1, out);
        buf_add_cstr(out, ",\n");
    }
    pretty(n->aggregate.expr, level + 1, out);
    pretty_close(level, out);
}

static void pretty_call(const Node *n, int level, Buf *out) {
    buf_addf(out, "%s(\n", n->call.function->name);
    for (size_t i = 0; i < n->call.n_args; i++) {
        if (i)
            buf_add_cstr(out, ",\n");
        pretty(n->call.args[i], level + 1, out);
    }
    pretty_close(level, out);
}

static void pretty_binary(const Node *n, int level, Buf *out) {
    pretty(n->binary.lhs, level + 1, out);
    buf_add_char(out, '\n');
    indent(level, out);
    print_operator(n, out);
    buf_add_char(out, '\n');
    pretty(n->binary.rhs, level + 1, out);
}

/* The sign stands right before the first word of what it applies to. */
static void pretty_unary(const Node *n, int level, Buf *out) {
    Buf inner = BUF_INIT(out->max);
    pretty(n->unary.expr, level, &inner);
    indent(level, out);
    buf_add_char(out, n->unary.minus ? '-' : '+');
    buf_add_str(out, str_trim(buf_str(&inner)));
    out->failed |= inner.failed;
    buf_deinit(&inner);
}

/* A level above 0 means that a line was begun for this node. */
static void pretty(const Node *n, int level, Buf *out) {
    if (out->failed)
        return;
    switch (n->kind) {
    case NODE_STEP_INVARIANT: pretty(n->invariant.expr, level, out); return;
    case NODE_UNARY: pretty_unary(n, level, out); return;
    case NODE_SUBQUERY:
        if (!needs_split(n)) {
            promql_print(n, out);
        } else {
            pretty(n->subquery.expr, level, out);
            print_subquery_suffix(n, out);
        }
        return;
    case NODE_BINARY:
        if (needs_split(n)) {
            pretty_binary(n, level, out);
            return;
        }
        break;
    default: break;
    }
    indent(level, out);
    if (n->kind == NODE_AGGREGATE && needs_split(n)) {
        pretty_aggregate(n, level, out);
    } else if (n->kind == NODE_CALL && needs_split(n)) {
        pretty_call(n, level, out);
    } else if (n->kind == NODE_PAREN && needs_split(n)) {
        buf_add_cstr(out, "(\n");
        pretty(n->paren.expr, level + 1, out);
        pretty_close(level, out);
    } else {
        promql_print(n, out);
    }
}

void promql_print_pretty(const Node *n, Buf *out) { pretty(n, 0, out); }
