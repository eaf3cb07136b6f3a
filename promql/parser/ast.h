/*
 * The tree the parser makes: every node with its place in the text (byte offsets) and, after the
 * type check, its type. Everything lives in the query's arena; matchers' regexes are released by
 * ast_free_matchers().
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "model/matcher.h"
#include "promql/promql.h"

typedef struct Node Node;

/* How deep a tree may be; deeper ones are refused, so that walks may recurse. */
#define AST_DEPTH_MAX 2000

typedef enum NodeKind {
    NODE_NUMBER,
    NODE_STRING,
    NODE_VECTOR_SELECTOR,
    NODE_MATRIX_SELECTOR,
    NODE_SUBQUERY,
    NODE_PAREN,
    NODE_UNARY,
    NODE_BINARY,
    NODE_AGGREGATE,
    NODE_CALL,
    NODE_STEP_INVARIANT, /* the last: put by preprocessing around constant parts */
} NodeKind;

typedef enum BinaryOp {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_POW,
    OP_ATAN2,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_TRIM_UPPER /* </ */,
    OP_TRIM_LOWER /* >/ */,
    OP_AND,
    OP_OR,
    OP_UNLESS,
} BinaryOp;

typedef enum AggregateOp {
    AGG_SUM,
    AGG_AVG,
    AGG_MIN,
    AGG_MAX,
    AGG_COUNT,
    AGG_GROUP,
    AGG_STDDEV,
    AGG_STDVAR,
    AGG_TOPK,
    AGG_BOTTOMK,
    AGG_QUANTILE,
    AGG_COUNT_VALUES,
    AGG_LIMITK,
    AGG_LIMIT_RATIO,
} AggregateOp;

typedef enum AtKind { AT_NONE, AT_TIME, AT_START, AT_END } AtKind;

/* A duration expression: [5m + step()], offset -(1h); a plain number is kind DUR_NUMBER. Seconds.
 */
typedef enum DurKind {
    DUR_NUMBER,
    DUR_ADD,
    DUR_SUB,
    DUR_MUL,
    DUR_DIV,
    DUR_MOD,
    DUR_POW,
    DUR_NEG,
    DUR_STEP,
    DUR_RANGE,
    DUR_MIN_OF,
    DUR_MAX_OF,
    DUR_PAREN,
} DurKind;
typedef struct DurExpr {
    DurKind kind;
    uint32_t start, end;
    double number;
    bool duration_text; /* number was written as 5m: printed so */
    struct DurExpr *lhs, *rhs;
} DurExpr;

/* Common to vector selectors (matrix selectors wrap one) and subqueries. */
typedef struct TimeShift {
    int64_t offset_ms;    /* as written; evaluation at t looks at t - offset */
    DurExpr *offset_expr; /* when it is not a plain literal: evaluated before use */
    AtKind at;
    int64_t at_ms; /* AT_TIME */
} TimeShift;

typedef enum MatchCard {
    CARD_ONE_TO_ONE,
    CARD_MANY_TO_ONE,
    CARD_ONE_TO_MANY,
    CARD_MANY_TO_MANY
} MatchCard;

typedef struct VectorMatching {
    MatchCard card;
    bool on;     /* labels are on(...), else ignoring(...) */
    Str *labels; /* sorted */
    size_t n_labels;
    const Str *labels_written; /* the same in the order of the text */
    Str *include;              /* of group_left / group_right, as written */
    size_t n_include;
    bool has_fill_lhs, has_fill_rhs;
    double fill_lhs, fill_rhs;
} VectorMatching;

struct Node {
    NodeKind kind;
    PromqlType type;
    uint32_t start, end; /* bytes of the text: [start, end) */
    uint32_t shared;     /* the plan's: number of a text that repeats, from 1 */
    uint32_t depth;      /* of the tree from here down; at most AST_DEPTH_MAX */
    union {
        struct {
            double value;
            bool duration_text;
            bool folded; /* the plan's: stood for a call */
        } number;
        struct {
            Str value;
        } string;
        struct {
            Str name;          /* written before the braces; empty: none, or as {"name"} */
            Matcher *matchers; /* with the __name__ matcher, which is the last one if name is set */
            size_t n_matchers;
            TimeShift shift;
            bool anchored, smoothed;
            bool detect_resets; /* the plan's: look for resets the storage does not tell of */
        } vector;
        struct {
            Node *vector;
            int64_t range_ms;
            DurExpr *range_expr;
        } matrix;
        struct {
            Node *expr;
            int64_t range_ms, step_ms; /* step 0 = default */
            DurExpr *range_expr, *step_expr;
            TimeShift shift;
        } subquery;
        struct {
            Node *expr;
        } paren, invariant;
        struct {
            bool minus;
            Node *expr;
        } unary;
        struct {
            BinaryOp op;
            bool return_bool;
            Node *lhs, *rhs;
            VectorMatching *matching; /* NULL unless both sides are vectors */
            uint32_t op_start, op_end;
        } binary;
        struct {
            AggregateOp op;
            Node *expr, *param; /* param NULL unless the operator has one */
            Str *grouping;      /* sorted */
            size_t n_grouping;
            const Str *grouping_written; /* the same in the order of the text */
            bool without, has_grouping;
        } aggregate;
        struct {
            const struct PromqlFunction *function;
            Node **args;
            size_t n_args;
        } call;
    };
};

/* ORDER FUNCTIONS: the rows of functions.def. */
typedef enum FunctionId {
#define FUNCTION(id, ...) FN_##id,
#include "promql/functions.def"
#undef FUNCTION
    FN_COUNT,
} FunctionId;

/* A row of functions.def: args has one letter an argument: v vector, m matrix, s scalar, t string.
 * variadic: 0 = exactly these; n > 0: the last is optional and may stand up to n times; -1: the
 * last may repeat (and be absent). */
typedef struct PromqlFunction {
    FunctionId id;
    const char *name;
    PromqlType returns;
    int variadic;
    bool experimental;
    const char *args;
} PromqlFunction;

const PromqlFunction *promql_function_find(Str name);

/* Parses and type-checks. The text must outlive the tree. */
int promql_parse(const PromqlOptions *o, Str text, Arena *a, Node **ret, Problem *problem);
void ast_free_matchers(Node *n);
/* Its selectors, in the order of the text; the matchers stay the tree's. */
typedef VEC(Selector) Selectors;
void ast_selectors(const Node *n, Selectors *ret);
/* line:column of a byte offset, both from 1; columns count bytes. */
void promql_position(Str text, uint32_t offset, int *ret_line, int *ret_column);
/* The options an engine was made with (the engine's to define). */
const PromqlOptions *promql_engine_options(const PromqlEngine *e);
/* As Prometheus' Expr.String(): one line, canonical. */
void promql_print(const Node *n, Buf *out);
/* As Prometheus' Prettify: broken at 100 columns. */
void promql_print_pretty(const Node *n, Buf *out);
/* As Prometheus' parse_query shows it. */
void promql_print_json(const Node *n, Buf *out);
/* What a node is, in a few words, without what is below it: "sum by (job)", "rate", "up". */
void promql_print_label(const Node *n, Buf *out);
/* s in Go's quotes, cut to the size; returns dst. */
const char *promql_quote(Str s, char *dst, size_t size);
const char *binary_op_text(BinaryOp op);
const char *aggregate_op_text(AggregateOp op);
