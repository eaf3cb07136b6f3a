/* Members of JSON objects as several answers of the API write them. */
#pragma once

#include "format/json.h"
#include "model/labels.h"

void json_field_text(JsonWriter *w, const char *key, Str value);
/* An object of the labels, bytes as they are. */
void json_field_labels(JsonWriter *w, const char *key, Labels l);
/* RFC3339; 0 is Go's zero time. */
void json_field_time(JsonWriter *w, const char *key, int64_t ms);
