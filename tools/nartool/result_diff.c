#include "nartool/result_diff.h"

#include <math.h>

#include "base/map.h"
#include "base/numtext.h"

/* Labels as text: servers give them in order, so equal ones have equal text. */
static Str key_of(Arena *a, const Json *series) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    result_add_metric(&b, json_member(series, "metric"), ", ");
    return arena_str(a, buf_str(&b));
}

static Str number_text(Arena *a, double v) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(64);
    buf_addf(&b, v > 0 ? "+" : "");
    number_format_plain(&b, v);
    return arena_str(a, buf_str(&b));
}

static void add_row(Table *t, const Json *labels, const Json *now, const Json *then) {
    Str *row = table_row(t);
    table_set_labels(t, row, labels);
    if (now) {
        row[table_column(t, STR("value"))] = result_value(t->arena, now);
    }
    if (then) {
        row[table_column(t, STR("before"))] = result_value(t->arena, then);
    }
    if (now && then) {
        row[table_column(t, STR("difference"))] =
            number_text(t->arena, result_number(now) - result_number(then));
    }
}

static void index_series(const Json *list, Arena *a, StrMap *ret) {
    for (size_t i = 0; i < json_count(list); i++) {
        bool new;
        *str_map_put(ret, key_of(a, json_item(list, i)), &new) = (void *)json_item(list, i);
    }
}

static const Json *point_of(const Json *series) {
    const Json *value = json_member(series, "value");
    return value ? value : json_member(series, "histogram");
}

static void add_rows(Table *t, const Json *now, const Json *then) {
    StrMap before = {0};
    index_series(then, t->arena, &before);
    for (size_t i = 0; i < json_count(now); i++) {
        const Json *series = json_item(now, i);
        add_row(t, json_member(series, "metric"), point_of(series),
                point_of(str_map_del(&before, key_of(t->arena, series))));
    }
    /* What is gone, in its order. */
    for (size_t i = 0; i < json_count(then); i++) {
        const Json *series = json_item(then, i);
        if (str_map_get(&before, key_of(t->arena, series))) {
            add_row(t, json_member(series, "metric"), NULL, point_of(series));
        }
    }
    str_map_deinit(&before);
}

static void add_columns(Table *t, const Json *list) {
    for (size_t i = 0; i < json_count(list); i++) {
        table_add_label_columns(t, json_member(json_item(list, i), "metric"));
    }
}

static bool is_vector(const Json *data) {
    return str_eqc(json_to_str(json_member(data, "resultType")), "vector");
}

void result_print_difference(const Json *now, const Json *then, Format format, FILE *out) {
    static const char *const columns[] = {"value", "before", "difference"};
    Arena arena = ARENA_INIT(0);
    Table t = {.arena = &arena, .value_columns = ARRAY_LEN(columns)};
    const Json *a = json_member(now, "result"), *b = json_member(then, "result");
    if (is_vector(now)) {
        add_columns(&t, a);
        add_columns(&t, b);
    }
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        table_column(&t, str_of(columns[i]));
    }
    if (is_vector(now)) {
        add_rows(&t, a, b);
    } else {
        add_row(&t, NULL, a, b);
    }
    table_print(&t, result_table_form(format), out);
    table_deinit(&t);
    arena_deinit(&arena);
}
