/* The only file that includes jansson. A Json is a json_t under another name. */
#include <jansson.h>

#include "base/mem.h"
#include "format/json.h"

static json_t *inner(const Json *v) { return (json_t *)v; }
static const Json *outer(const json_t *v) { return (const Json *)v; }

Json *json_parse(Str text, Problem *problem) {
    json_error_t e;
    json_t *v = json_loadb(text.p ? text.p : "", text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    if (!v) {
        problem_set(problem, e.line > 0 ? e.line : 0, e.column > 0 ? e.column : 0, "%s", e.text);
    }
    return (Json *)v;
}

void json_free(Json *root) { json_decref(inner(root)); }

void json_freep(Json **root) {
    json_free(*root);
    *root = NULL;
}

JsonKind json_kind(const Json *v) {
    switch (v ? json_typeof(inner(v)) : JSON_NULL) {
    case JSON_OBJECT: return JSON_KIND_OBJECT;
    case JSON_ARRAY: return JSON_KIND_ARRAY;
    case JSON_STRING: return JSON_KIND_STRING;
    case JSON_INTEGER:
    case JSON_REAL: return JSON_KIND_NUMBER;
    case JSON_TRUE:
    case JSON_FALSE: return JSON_KIND_BOOL;
    case JSON_NULL: break;
    }
    return JSON_KIND_NULL;
}

const Json *json_member(const Json *v, const char *key) {
    return outer(json_object_get(inner(v), key));
}

const Json *json_path(const Json *v, const char *dotted) {
    Str rest = str_of(dotted), part;
    while (v && str_split_next(&rest, '.', &part)) {
        char *key = str_dup(part);
        v = json_member(v, key);
        mem_free(key);
    }
    return v;
}

size_t json_count(const Json *v) {
    return json_is_array(inner(v)) ? json_array_size(inner(v)) : json_object_size(inner(v));
}

const Json *json_item(const Json *v, size_t i) { return outer(json_array_get(inner(v), i)); }

const Json *json_next_member(const Json *v, void **at, Str *ret_key) {
    *at = *at ? json_object_iter_next(inner(v), *at) : json_object_iter(inner(v));
    if (!*at) {
        return NULL;
    }
    *ret_key = str_of(json_object_iter_key(*at));
    return outer(json_object_iter_value(*at));
}

Str json_to_str(const Json *v) {
    return json_is_string(inner(v))
               ? str_n(json_string_value(inner(v)), json_string_length(inner(v)))
               : STR_NULL;
}

double json_to_double(const Json *v, double otherwise) {
    return json_is_number(inner(v)) ? json_number_value(inner(v)) : otherwise;
}

int64_t json_to_int(const Json *v, int64_t otherwise) {
    if (json_is_integer(inner(v))) {
        return json_integer_value(inner(v));
    }
    double d = json_to_double(v, 0.5);
    bool whole = d >= -9.2e18 && d <= 9.2e18 && d == (double)(int64_t)d;
    return whole ? (int64_t)d : otherwise;
}

bool json_to_bool(const Json *v, bool otherwise) {
    return json_is_boolean(inner(v)) ? json_is_true(inner(v)) : otherwise;
}

static void write_value(JsonWriter *w, const Json *v) {
    Str key;
    const Json *part;
    switch (json_kind(v)) {
    case JSON_KIND_NULL: json_add_null(w); break;
    case JSON_KIND_BOOL: json_add_bool(w, json_to_bool(v, false)); break;
    case JSON_KIND_STRING: json_add_str(w, json_to_str(v)); break;
    case JSON_KIND_NUMBER:
        if (json_is_integer(inner(v))) {
            json_add_int(w, json_integer_value(inner(v)));
        } else {
            json_add_double(w, json_real_value(inner(v)));
        }
        break;
    case JSON_KIND_ARRAY:
        json_begin_array(w);
        for (size_t i = 0; i < json_count(v); i++) {
            write_value(w, json_item(v, i)); /* as deep as the parser let it be */
        }
        json_end_array(w);
        break;
    case JSON_KIND_OBJECT:
        json_begin_object(w);
        for (void *at = NULL; (part = json_next_member(v, &at, &key));) {
            json_key(w, key);
            write_value(w, part);
        }
        json_end_object(w);
        break;
    }
}

void json_write(Buf *b, const Json *v) {
    JsonWriter w = JSON_WRITER(b);
    write_value(&w, v);
}
