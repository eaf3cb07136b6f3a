/*
 * JSON both ways. JsonWriter adds text to a Buf as it goes, with the commas; nothing is kept, so an
 * answer of any size costs only its Buf, which may be emptied in between. Json is a parsed value: a
 * small tree behind the door to jansson. Neither is for two threads at a time.
 *
 * Two escapings exist because Prometheus' API has two: label names and values keep their bytes
 * (only ", \ and control characters are escaped), every other string is escaped as Go's
 * encoding/json does it (<, >, &, U+2028, U+2029 as \u...., bad UTF-8 as \ufffd).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

typedef struct JsonWriter {
    Buf *b;
    bool comma; /* the next value or key needs one before it */
} JsonWriter;

#define JSON_WRITER(buf) ((JsonWriter){.b = (buf)})

void json_begin_object(JsonWriter *w);
void json_end_object(JsonWriter *w);
void json_begin_array(JsonWriter *w);
void json_end_array(JsonWriter *w);

/* The key of the value that follows; HTML-escaped, and with a label's escaping. */
void json_key(JsonWriter *w, Str key);
void json_label_key(JsonWriter *w, Str key);

void json_add_str(JsonWriter *w, Str s);
void json_add_label(JsonWriter *w, Str s);
void json_add_int(JsonWriter *w, int64_t v);
void json_add_uint(JsonWriter *w, uint64_t v);
/* A bare number as encoding/json writes it; null for NaN and infinities, which JSON has not. */
void json_add_double(JsonWriter *w, double v);
/* A sample's value: the number in quotes ("+Inf", "NaN" included). */
void json_add_sample_value(JsonWriter *w, double v);
/* A sample's time: seconds, with three fraction digits unless whole. */
void json_add_time(JsonWriter *w, int64_t ms);
void json_add_bool(JsonWriter *w, bool v);
void json_add_null(JsonWriter *w);
/* Text that is JSON already. */
void json_add_raw(JsonWriter *w, Str json);

/* Only the quoted string, for other writers. */
void json_quote(Buf *b, Str s);
void json_quote_label(Buf *b, Str s);

/* ---- reading ---- */

typedef struct Json Json;

typedef enum JsonKind {
    JSON_KIND_NULL,
    JSON_KIND_BOOL,
    JSON_KIND_NUMBER,
    JSON_KIND_STRING,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT,
} JsonKind;

/* The caller frees the root with json_free(); NULL and a Problem with position when it does not
 * parse. Nesting is limited to 2048. Of equal keys the last counts. */
Json *json_parse(Str text, Problem *problem);
void json_free(Json *root);
/* CLEANUP(json_freep) */
void json_freep(Json **root);

/* All of these take NULL (an absent value), which is of kind null. */
JsonKind json_kind(const Json *v);
/* A member of an object; NULL when absent or no object. */
const Json *json_member(const Json *v, const char *key);
/* Follows several keys, "a.b.c". */
const Json *json_path(const Json *v, const char *dotted);
/* Elements of an array or members of an object, else 0. */
size_t json_count(const Json *v);
const Json *json_item(const Json *v, size_t i);
/* for (void *at = NULL; (value = json_next_member(v, &at, &key));) in the order of the text. */
const Json *json_next_member(const Json *v, void **at, Str *ret_key);

/* Borrowed from the tree; STR_NULL unless a string. */
Str json_to_str(const Json *v);
/* `otherwise` unless it is of the kind (to_int: a number without a fraction). */
double json_to_double(const Json *v, double otherwise);
int64_t json_to_int(const Json *v, int64_t otherwise);
bool json_to_bool(const Json *v, bool otherwise);
/* Adds the value as text again, keys in their order. */
void json_write(Buf *b, const Json *v);
