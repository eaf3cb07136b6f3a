#include "discovery/sd_group_file.h"

#include "base/mem.h"
#include "format/json.h"

static int json_targets(const Json *list, Arena *a, SchemaStrs *ret, Problem *problem) {
    size_t n = json_count(list);
    if (json_kind(list) != JSON_KIND_ARRAY && json_kind(list) != JSON_KIND_NULL)
        return problem_set(problem, 0, 0, "\"targets\": expected a list of addresses");
    Str *v = ARENA_ARRAY(a, Str, n ? n : 1);
    for (size_t i = 0; v && i < n; i++) {
        if (json_kind(json_item(list, i)) != JSON_KIND_STRING)
            return problem_set(problem, 0, 0, "\"targets\": expected strings");
        v[i] = arena_str(a, json_to_str(json_item(list, i)));
    }
    *ret = (SchemaStrs){v, v ? n : 0, true};
    return v ? 0 : problem_set(problem, 0, 0, "the file needs more memory than it may take");
}

static int json_labels(const Json *map, Arena *a, Labels *ret, Problem *problem) {
    size_t n = 0;
    if (json_kind(map) != JSON_KIND_OBJECT && json_kind(map) != JSON_KIND_NULL)
        return problem_set(problem, 0, 0, "\"labels\": expected an object of names to values");
    Label *v = ARENA_ARRAY(a, Label, json_count(map) + 1);
    if (!v)
        return problem_set(problem, 0, 0, "the file needs more memory than it may take");
    Str key, duplicate;
    const Json *value;
    for (void *at = NULL; (value = json_next_member(map, &at, &key));) {
        if (json_kind(value) != JSON_KIND_STRING)
            return problem_set(problem, 0, 0, "label \"%.*s\": expected a string", SA(key));
        if (!label_name_valid_utf8(key))
            return problem_set(problem, 0, 0, "\"%.*s\" is not a valid label name", SA(key));
        v[n++] = (Label){arena_str(a, key), arena_str(a, json_to_str(value))};
    }
    if (!labels_from_pairs(v, n, ret, &duplicate))
        return problem_set(problem, 0, 0, "label \"%.*s\" is given twice", SA(duplicate));
    return 0;
}

static int json_group(const Json *item, Arena *a, SdStaticConfig *ret, Problem *problem) {
    Str key;
    if (json_kind(item) == JSON_KIND_NULL)
        return problem_set(problem, 0, 0, "nil target group item found");
    if (json_kind(item) != JSON_KIND_OBJECT)
        return problem_set(problem, 0, 0, "expected target groups with \"targets\" and \"labels\"");
    for (void *at = NULL; json_next_member(item, &at, &key);) {
        if (!str_eqc(key, "targets") && !str_eqc(key, "labels"))
            return problem_set(problem, 0, 0, "unknown key \"%.*s\" in a target group", SA(key));
    }
    int r = json_targets(json_member(item, "targets"), a, &ret->targets, problem);
    return r < 0 ? r : json_labels(json_member(item, "labels"), a, &ret->labels, problem);
}

static int json_groups(Str text, Arena *a, SchemaList *ret, Problem *problem) {
    CLEANUP(json_freep) Json *root = json_parse(text, problem);
    if (!root)
        return -EINVAL;
    if (json_kind(root) != JSON_KIND_ARRAY)
        return problem_set(problem, 1, 1, "expected a list of target groups");
    size_t n = json_count(root);
    SdStaticConfig *v = ARENA_ARRAY(a, SdStaticConfig, n ? n : 1);
    int r = v ? 0 : problem_set(problem, 0, 0, "the file needs more memory than it may take");
    for (size_t i = 0; r == 0 && i < n; i++)
        r = json_group(json_item(root, i), a, &v[i], problem);
    *ret = (SchemaList){v, n, true};
    return r;
}

int sd_group_file_parse(Str path, Str text, Arena *a, SchemaList *ret, Problem *problem) {
    problem_set_file(problem, path);
    if (str_ends(path, STR(".json")) || str_ends(path, STR(".JSON")))
        return json_groups(text, a, ret, problem);
    return schema_load_list(&sd_static_schema, text, path, a, NULL, ret, problem);
}
