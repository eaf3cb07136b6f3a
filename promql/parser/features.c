/* What the language has and what is switched on, in the names of Prometheus' /features. */
#include "promql/parser/ast.h"

static const char PROMQL[] = "promql", OPERATORS[] = "promql_operators";

static void tell_operators(const PromqlOptions *o, PromqlFeatureFn each, void *arg) {
    static const char *const more[] = {"=~", "!~", "@"};
    for (int op = OP_ADD; op <= OP_UNLESS; op++)
        each(arg, OPERATORS, binary_op_text((BinaryOp)op), true);
    for (size_t i = 0; i < ARRAY_LEN(more); i++)
        each(arg, OPERATORS, more[i], true);
    for (int op = AGG_SUM; op <= AGG_LIMIT_RATIO; op++)
        each(arg, OPERATORS, aggregate_op_text((AggregateOp)op),
             op < AGG_LIMITK || o->experimental_functions);
}

static void tell_language(const PromqlOptions *o, PromqlFeatureFn each, void *arg) {
    static const char *const always[] = {"bool",        "by",
                                         "group_left",  "group_right",
                                         "ignoring",    "offset",
                                         "on",          "without",
                                         "at_modifier", "negative_offset",
                                         "subqueries",  "per_query_lookback_delta"};
    for (size_t i = 0; i < ARRAY_LEN(always); i++)
        each(arg, PROMQL, always[i], true);
    const struct {
        const char *name;
        bool on;
    } options[] = {{"anchored", o->extended_selectors},
                   {"smoothed", o->extended_selectors},
                   {"fill", o->fill_modifiers},
                   {"fill_left", o->fill_modifiers},
                   {"fill_right", o->fill_modifiers},
                   {"duration_expr", o->duration_expr},
                   {"per_step_stats", o->per_step_stats},
                   {"delayed_name_removal", o->delayed_name_removal},
                   {"type_and_unit_labels", o->type_and_unit_labels}};
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        each(arg, PROMQL, options[i].name, options[i].on);
}

void promql_features(const PromqlEngine *e, PromqlFeatureFn each, void *arg) {
    const PromqlOptions *o = promql_engine_options(e);
    static const struct {
        const char *name;
        bool experimental;
    } functions[] = {
#define FUNCTION(id, name, returns, variadic, experimental, args) {name, experimental},
#include "promql/functions.def"
#undef FUNCTION
    };
    tell_language(o, each, arg);
    tell_operators(o, each, arg);
    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        each(arg, "promql_functions", functions[i].name,
             !functions[i].experimental || o->experimental_functions);
}
