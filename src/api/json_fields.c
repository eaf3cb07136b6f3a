#include "api/json_fields.h"

#include "model/duration.h"

void json_field_text(JsonWriter *w, const char *key, Str value) {
    json_key(w, str_of(key));
    json_add_str(w, value);
}

void json_field_labels(JsonWriter *w, const char *key, Labels l) {
    json_key(w, str_of(key));
    json_begin_object(w);
    for (size_t i = 0; i < l.n; i++) {
        json_label_key(w, l.v[i].name);
        json_add_label(w, l.v[i].value);
    }
    json_end_object(w);
}

void json_field_time(JsonWriter *w, const char *key, int64_t ms) {
    CLEANUP(buf_deinit) Buf text = BUF_INIT(64);
    if (ms) {
        time_format_rfc3339(&text, ms);
    } else {
        buf_add_cstr(&text, "0001-01-01T00:00:00Z");
    }
    json_field_text(w, key, buf_str(&text));
}
