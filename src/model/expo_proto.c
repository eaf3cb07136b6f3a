/* The protobuf exposition format: frames, families, metrics. Source: metrics.proto of Prometheus'
 * client model. */
#include "model/expo_proto.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/numtext.h"
#include "base/utf8.h"
#include "model/expo_scan.h"

enum { FAMILY_NAME = 1, FAMILY_HELP, FAMILY_TYPE, FAMILY_METRIC, FAMILY_UNIT };
enum {
    METRIC_LABEL = 1,
    METRIC_FIELD_GAUGE,
    METRIC_FIELD_COUNTER,
    METRIC_FIELD_SUMMARY,
    METRIC_FIELD_UNTYPED,
    METRIC_TIMESTAMP,
    METRIC_FIELD_HISTOGRAM,
};

/* A metric with more samples or text than this is none. */
#define METRIC_BYTES_MAX ((size_t)64 << 20)

static int refuse(ExpoParser *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int refuse(ExpoParser *p, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(p->problem.text, sizeof(p->problem.text), fmt, ap);
    va_end(ap);
    return -EBADMSG;
}

void expo_proto_begin(ExpoParser *p) {
    struct ExpoProto *s = NEW(struct ExpoProto);
    s->body = (ProtoReader){(const uint8_t *)p->at, (const uint8_t *)p->end};
    s->lead = s->labels = s->text = BUF_INIT(METRIC_BYTES_MAX);
    s->arena = ARENA_INIT(METRIC_BYTES_MAX);
    p->proto = s;
}

void expo_proto_end(ExpoParser *p) {
    struct ExpoProto *s = p->proto;
    if (!s) {
        return;
    }
    vec_free(&s->rows);
    vec_free(&s->exemplars);
    expo_proto_histogram_deinit(&s->histogram);
    buf_deinit(&s->lead);
    buf_deinit(&s->labels);
    buf_deinit(&s->text);
    arena_deinit(&s->arena);
    mem_free(s);
    p->proto = NULL;
}

/* ---- parts */

bool expo_proto_time(Str message, int64_t *ret_ms) {
    ProtoReader r = PROTO_READER(message);
    ProtoField f;
    int64_t seconds = 0, nanos = 0;
    int e;
    while ((e = proto_next(&r, &f)) == 1) {
        if (f.number == 1 && proto_is_varint(&f)) {
            seconds = (int64_t)f.value;
        } else if (f.number == 2 && proto_is_varint(&f)) {
            nanos = (int32_t)f.value;
        }
    }
    bool sane = seconds < INT64_MAX / 1000 && seconds > INT64_MIN / 1000;
    *ret_ms = sane ? seconds * 1000 + nanos / 1000000 : 0;
    return e == 0 && sane;
}

static bool take_label(Str message, Label *ret) {
    ProtoReader r = PROTO_READER(message);
    ProtoField f;
    int e;
    *ret = (Label){STR(""), STR("")};
    while ((e = proto_next(&r, &f)) == 1) {
        if ((f.number == 1 || f.number == 2) && !proto_is_bytes(&f)) {
            return false;
        }
        if (f.number == 1) {
            ret->name = f.bytes;
        } else if (f.number == 2) {
            ret->value = f.bytes;
        }
    }
    return e == 0 && utf8_valid(ret->name) && utf8_valid(ret->value);
}

bool expo_proto_exemplar(struct ExpoProto *s, Str message) {
    ProtoReader r = PROTO_READER(message);
    ProtoField f;
    ExpoExemplar x = {0};
    size_t room = 0;
    while (proto_next(&r, &f) == 1) {
        room += f.number == 1;
    }
    x.labels = ARENA_ARRAY(&s->arena, Label, room);
    if (s->arena.failed) {
        return false;
    }
    r = PROTO_READER(message);
    int e;
    while ((e = proto_next(&r, &f)) == 1) {
        if (f.number == 1) {
            if (!proto_is_bytes(&f) || !take_label(f.bytes, &x.labels[x.n_labels++])) {
                return false;
            }
        } else if (f.number == 2 && f.type == PROTO_FIXED64) {
            x.value = proto_double(&f);
        } else if (f.number == 3 && proto_is_bytes(&f)) {
            x.has_t = true;
            if (!expo_proto_time(f.bytes, &x.t)) {
                return false;
            }
        }
    }
    vec_push(&s->exemplars, x);
    return e == 0;
}

/* ---- texts */

static void put_label(Buf *b, Str name, Str value) {
    if (b->n > 0) {
        buf_add_char(b, ',');
    }
    if (label_name_valid_legacy(name)) {
        buf_add_str(b, name);
    } else {
        expo_write_quoted(b, name);
    }
    buf_add_char(b, '=');
    expo_write_quoted(b, value);
}

static void put_name(Buf *b, Str name) {
    if (metric_name_valid_legacy(name)) {
        buf_add_str(b, name);
    } else {
        expo_write_quoted(b, name);
    }
}

static void put_comment(Buf *b, const char *kind, Str name, Str text) {
    buf_addf(b, "# %s ", kind);
    put_name(b, name);
    buf_add_char(b, ' ');
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\\' || c == '\n' || c == '"') {
            buf_add_char(b, '\\');
            c = c == '\n' ? 'n' : c;
        }
        buf_add_char(b, c);
    }
    buf_add_char(b, '\n');
}

/* Goes above the next sample, whose ever it is. */
static void put_lead(struct ExpoProto *s) {
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter",     [METRIC_GAUGE] = "gauge",
        [METRIC_SUMMARY] = "summary",     [METRIC_UNKNOWN] = "unknown",
        [METRIC_HISTOGRAM] = "histogram", [METRIC_GAUGE_HISTOGRAM] = "gaugehistogram",
    };
    if (s->help.n > 0) {
        put_comment(&s->lead, "HELP", s->name, s->help);
    }
    put_comment(&s->lead, "TYPE", s->name, str_of(types[s->type]));
    if (s->unit.n > 0) {
        put_comment(&s->lead, "UNIT", s->name, s->unit);
    }
}

/* As OpenMetrics writes bounds: with a point or an exponent. */
static void put_bound(Buf *b, double v) {
    size_t start = b->n;
    number_format_g(b, v == 0 ? 0 : v);
    bool whole = isfinite(v);
    for (size_t i = start; i < b->n; i++) {
        whole &= b->p[i] != '.' && b->p[i] != 'e';
    }
    if (whole) {
        buf_add_cstr(b, ".0");
    }
}

static void put_row_label(Buf *b, const ProtoRow *row, bool first) {
    if (row->label) {
        buf_addf(b, "%s%s=\"", first ? "" : ",", row->label);
        put_bound(b, row->bound);
        buf_add_char(b, '"');
    }
}

/* Lead, name and labels of a row into s->text; how long the lead is. */
static size_t put_text(struct ExpoProto *s, const ProtoRow *row) {
    Buf *b = &s->text;
    buf_reset(b);
    buf_add_str(b, buf_str(&s->lead));
    size_t lead = b->n;
    bool legacy = metric_name_valid_legacy(s->name), labels = s->labels.n > 0 || row->label;
    if (legacy) {
        buf_add_str(b, s->name);
        buf_add_cstr(b, row->suffix);
    } else {
        CLEANUP(buf_deinit) Buf name = {0};
        buf_add_str(&name, s->name);
        buf_add_cstr(&name, row->suffix);
        buf_add_char(b, '{');
        expo_write_quoted(b, buf_str(&name));
    }
    if (labels) {
        buf_add_char(b, legacy ? '{' : ',');
        buf_add_str(b, buf_str(&s->labels));
        put_row_label(b, row, s->labels.n == 0);
    }
    if (labels || !legacy) {
        buf_add_char(b, '}');
    }
    buf_reset(&s->lead);
    return lead;
}

/* ---- metrics */

/* Counter, gauge and untyped: value 1; a counter also exemplar 2 and start 3. */
static bool take_simple(struct ExpoProto *s, Str message, bool counter) {
    ProtoReader r = PROTO_READER(message);
    ProtoField f;
    ProtoRow row = {.suffix = ""};
    int e;
    while ((e = proto_next(&r, &f)) == 1) {
        if (f.number == 1 && f.type == PROTO_FIXED64) {
            row.value = proto_double(&f);
        } else if (counter && f.number == 2 && proto_is_bytes(&f)) {
            if (!expo_proto_exemplar(s, f.bytes)) {
                return false;
            }
        } else if (counter && f.number == 3 && proto_is_bytes(&f)) {
            if (!expo_proto_time(f.bytes, &s->st)) {
                return false;
            }
        }
    }
    row.n_exemplars = (uint32_t)s->exemplars.n;
    vec_push(&s->rows, row);
    return e == 0;
}

static bool take_quantile(struct ExpoProto *s, Str message) {
    ProtoReader r = PROTO_READER(message);
    ProtoField f;
    ProtoRow row = {.suffix = "", .label = "quantile"};
    int e;
    while ((e = proto_next(&r, &f)) == 1) {
        if (f.number <= 2 && f.type != PROTO_FIXED64) {
            return false;
        }
        if (f.number == 1) {
            row.bound = proto_double(&f);
        } else if (f.number == 2) {
            row.value = proto_double(&f);
        }
    }
    vec_push(&s->rows, row);
    return e == 0;
}

static bool take_summary(struct ExpoProto *s, Str message) {
    ProtoReader r = PROTO_READER(message);
    ProtoField f;
    double count = 0, sum = 0;
    int e;
    while ((e = proto_next(&r, &f)) == 1) {
        if (f.number == 1 && proto_is_varint(&f)) {
            count = (double)f.value;
        } else if (f.number == 2 && f.type == PROTO_FIXED64) {
            sum = proto_double(&f);
        } else if (f.number == 3 && (!proto_is_bytes(&f) || !take_quantile(s, f.bytes))) {
            return false;
        } else if (f.number == 4 && proto_is_bytes(&f) && !expo_proto_time(f.bytes, &s->st)) {
            return false;
        }
    }
    vec_push(&s->rows, (ProtoRow){.suffix = "_sum", .value = sum});
    vec_push(&s->rows, (ProtoRow){.suffix = "_count", .value = count});
    return e == 0;
}

static bool take_value(const ExpoParser *p, struct ExpoProto *s, const ProtoField *f) {
    switch (f->number) {
    case METRIC_FIELD_GAUGE: return s->type != METRIC_GAUGE || take_simple(s, f->bytes, false);
    case METRIC_FIELD_COUNTER: return s->type != METRIC_COUNTER || take_simple(s, f->bytes, true);
    case METRIC_FIELD_SUMMARY: return s->type != METRIC_SUMMARY || take_summary(s, f->bytes);
    case METRIC_FIELD_UNTYPED: return s->type != METRIC_UNKNOWN || take_simple(s, f->bytes, false);
    case METRIC_FIELD_HISTOGRAM:
        return (s->type != METRIC_HISTOGRAM && s->type != METRIC_GAUGE_HISTOGRAM) ||
               expo_proto_histogram(p, s, f->bytes);
    default: return true;
    }
}

static bool take_metric(const ExpoParser *p, struct ExpoProto *s, Str message) {
    ProtoReader r = PROTO_READER(message);
    ProtoField f;
    int e;
    s->rows.n = s->at = s->exemplars.n = 0;
    s->t = s->st = 0;
    buf_reset(&s->labels);
    arena_reset(&s->arena);
    while ((e = proto_next(&r, &f)) == 1) {
        if (f.number == METRIC_TIMESTAMP) {
            s->t = proto_is_varint(&f) ? (int64_t)f.value : 0;
            continue;
        }
        if (f.number > METRIC_FIELD_HISTOGRAM) {
            continue;
        }
        Label label;
        if (!proto_is_bytes(&f) || (f.number == METRIC_LABEL && !take_label(f.bytes, &label)) ||
            !take_value(p, s, &f)) {
            return false;
        }
        if (f.number == METRIC_LABEL) {
            put_label(&s->labels, label.name, label.value);
        }
    }
    return e == 0 && !s->labels.failed && !s->arena.failed;
}

/* ---- families */

static bool type_of(uint64_t v, MetricType *ret) {
    static const MetricType types[] = {METRIC_COUNTER, METRIC_GAUGE,     METRIC_SUMMARY,
                                       METRIC_UNKNOWN, METRIC_HISTOGRAM, METRIC_GAUGE_HISTOGRAM};
    if (v < ARRAY_LEN(types)) {
        *ret = types[v];
    }
    return v < ARRAY_LEN(types);
}

static bool take_family(struct ExpoProto *s, Str message) {
    ProtoReader r = PROTO_READER(message);
    ProtoField f;
    int e;
    s->name = s->help = s->unit = STR("");
    s->type = METRIC_COUNTER;
    s->metrics = r;
    while ((e = proto_next(&r, &f)) == 1) {
        bool bytes = f.number == FAMILY_NAME || f.number == FAMILY_HELP ||
                     f.number == FAMILY_METRIC || f.number == FAMILY_UNIT;
        if (bytes && !proto_is_bytes(&f)) {
            return false;
        }
        switch (f.number) {
        case FAMILY_NAME: s->name = f.bytes; break;
        case FAMILY_HELP: s->help = f.bytes; break;
        case FAMILY_UNIT: s->unit = f.bytes; break;
        case FAMILY_TYPE:
            if (!proto_is_varint(&f) || !type_of(f.value, &s->type)) {
                return false;
            }
            break;
        }
    }
    s->in_family = e == 0 && s->name.n > 0 && utf8_valid(s->name) && utf8_valid(s->help) &&
                   utf8_valid(s->unit);
    return s->in_family;
}

/* 1 and the next frame's message, 0 at the end, -EBADMSG. */
static int next_frame(struct ExpoProto *s, Str *ret) {
    uint64_t n;
    if (s->body.p == s->body.end) {
        return 0;
    }
    if (!uvarint_get(&s->body.p, s->body.end, &n) || n > (uint64_t)(s->body.end - s->body.p)) {
        return -EBADMSG;
    }
    *ret = str_n((const char *)s->body.p, n);
    s->body.p += n;
    return 1;
}

/* A metric with rows becomes the one at hand; false at the end of the family. */
static int next_metric(ExpoParser *p, struct ExpoProto *s) {
    ProtoField f;
    while (proto_next(&s->metrics, &f) == 1) {
        if (f.number != FAMILY_METRIC) {
            continue;
        }
        if (!take_metric(p, s, f.bytes)) {
            return refuse(p, "a metric of \"%.*s\" does not decode",
                          (int)MIN(s->name.n, (size_t)200), s->name.p);
        }
        if (s->rows.n > 0) {
            return 1;
        }
    }
    return 0;
}

static int next_rows(ExpoParser *p, struct ExpoProto *s) {
    for (;;) {
        int r = s->in_family ? next_metric(p, s) : 0;
        if (r != 0) {
            return r;
        }
        Str message;
        s->in_family = false;
        r = next_frame(s, &message);
        if (r < 0) {
            return refuse(p, "a message is longer than the page");
        }
        if (r == 0) {
            return 0;
        }
        if (!take_family(s, message)) {
            return refuse(p, "a metric family does not decode, or has no valid name");
        }
        put_lead(s);
    }
}

static void give(ExpoParser *p, struct ExpoProto *s, const ProtoRow *row) {
    size_t lead = put_text(s, row);
    p->text = buf_str(&s->text);
    p->series = str_from(p->text, lead);
    p->value = isnan(row->value) ? normal_nan() : row->value;
    p->h = row->native && !s->histogram.is_float ? &s->histogram.h : NULL;
    p->fh = row->native && s->histogram.is_float ? &s->histogram.fh : NULL;
    p->t = s->t;
    p->has_t = s->t != 0;
    p->st = s->st;
    p->exemplars = s->exemplars.v ? s->exemplars.v + row->exemplar : NULL;
    p->n_exemplars = row->n_exemplars;
    p->type = s->type;
    p->typed = true;
}

int expo_proto_entry(ExpoParser *p) {
    struct ExpoProto *s = p->proto;
    if (s->at == s->rows.n) {
        s->rows.n = s->at = 0;
        int r = next_rows(p, s);
        if (r <= 0) {
            return r < 0 ? r : EXPO_END;
        }
    }
    give(p, s, &s->rows.v[s->at++]);
    return s->text.failed ? refuse(p, "the names of a metric are too long") : EXPO_SAMPLE;
}
