/* Prometheus' template functions (reference, section 6.5). */
#include <arpa/inet.h>
#include <math.h>

#include "base/mem.h"
#include "base/numtext.h"
#include "model/duration.h"
#include "rules/template/gotime.h"
#include "rules/template/prom_template.h"
#include "rules/template/text_funcs.h"

/* ---- query results */

static int sample_labels(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    const TmplSample *s = a[0].object;
    return run ? tmpl_labels(run, tmpl_arena(run), s->labels, &TMPL_TYPE_STRING_MAP, ret) : -EINVAL;
}

static int sample_value(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = ((const TmplSample *)a[0].object)->value;
    return 0;
}

static const TmplMember SAMPLE_MEMBERS[] = {{"Labels", NULL, sample_labels},
                                            {"Value", NULL, sample_value}};
static const TmplType SAMPLE_TYPE = {.name = "*template.sample",
                                     .members = SAMPLE_MEMBERS,
                                     .n = ARRAY_LEN(SAMPLE_MEMBERS),
                                     .pointer = true};
static const TmplType RESULT_TYPE = {.name = "template.queryResult"};

static const TmplSample *as_sample(TmplRun *run, TmplValue v) {
    if (v.kind == TMPL_OBJECT && v.type == &SAMPLE_TYPE) {
        return v.object;
    }
    (void)tmpl_fail(run, "wrong type for value; expected *template.sample; got %s",
                    tmpl_type_name(v));
    return NULL;
}

static int fn_query(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    const PromTemplateData *d = tmpl_user(run);
    TmplSample *samples;
    size_t count;
    Str error = STR_NULL;
    if (!d->query) {
        return tmpl_fail(run, "queries are not possible here");
    }
    if (d->query(d->query_arg, a[0].s, d->time_ms, tmpl_arena(run), &samples, &count, &error) < 0) {
        return tmpl_fail(run, "%.*s", SA(error));
    }
    TmplValue *v = tmpl_values(run, count);
    for (size_t i = 0; v && i < count; i++) {
        v[i] = tmpl_object(&samples[i], &SAMPLE_TYPE);
    }
    *ret = tmpl_list(v, count, &RESULT_TYPE);
    return v ? 0 : -EINVAL;
}

static int fn_first(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    if (a[0].kind != TMPL_LIST || !a[0].list.n) {
        return tmpl_fail(run, "first() called on vector with no elements");
    }
    *ret = a[0].list.v[0];
    return 0;
}

static int fn_label(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    const TmplSample *s = as_sample(run, a[1]);
    if (s) {
        Str v = labels_get(s->labels, a[0].s);
        *ret = tmpl_string(v.p ? v : STR(""));
    }
    return s ? 0 : -EINVAL;
}

static int fn_value(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    const TmplSample *s = as_sample(run, a[0]);
    if (s) {
        *ret = s->value;
    }
    return s ? 0 : -EINVAL;
}

static int fn_strvalue(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    const TmplValue args[] = {tmpl_string(STR("__value__")), a[0]};
    return fn_label(run, args, 2, ret);
}

/* Stable, by insertion into a copy. */
static int fn_sort_by_label(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    if (a[1].kind != TMPL_LIST || a[1].type != &RESULT_TYPE) {
        return tmpl_fail(run, "wrong type for value; expected template.queryResult; got %s",
                         tmpl_type_name(a[1]));
    }
    size_t count = a[1].list.n;
    TmplValue *v = tmpl_values(run, count);
    if (!v || count > 100000) {
        return tmpl_fail(run, "too many samples to sort");
    }
    for (size_t i = 0; i < count; i++) {
        TmplValue x = a[1].list.v[i];
        Str key = labels_get(((const TmplSample *)x.object)->labels, a[0].s);
        size_t j = i;
        for (; j &&
               str_cmp(labels_get(((const TmplSample *)v[j - 1].object)->labels, a[0].s), key) > 0;
             j--) {
            v[j] = v[j - 1];
        }
        v[j] = x;
    }
    *ret = tmpl_list(v, count, &RESULT_TYPE);
    return 0;
}

/* ---- numbers for people */

static int float_arg(TmplRun *run, const TmplValue *a, double *v) {
    return text_to_float(run, a[0], v);
}

static void add_g4(Buf *b, double v) {
    if (isnan(v)) {
        buf_add_cstr(b, "NaN");
    } else if (isinf(v)) {
        buf_add_cstr(b, v < 0 ? "-Inf" : "+Inf");
    } else {
        buf_addf(b, "%.4g", v);
    }
}

static int fn_humanize(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    static const char *const LARGE[] = {"k", "M", "G", "T", "P", "E", "Z", "Y"};
    static const char *const SMALL[] = {"m", "u", "n", "p", "f", "a", "z", "y"};
    double v;
    if (float_arg(run, a, &v) < 0) {
        return -EINVAL;
    }
    Buf b = BUF_INIT(1024);
    const char *prefix = "";
    if (v != 0 && isfinite(v)) {
        bool large = fabs(v) >= 1;
        for (size_t i = 0; i < 8 && (large ? fabs(v) >= 1000 : fabs(v) < 1); i++) {
            prefix = large ? LARGE[i] : SMALL[i];
            v = large ? v / 1000 : v * 1000;
        }
    }
    add_g4(&b, v);
    buf_add_cstr(&b, prefix);
    return tmpl_take(run, &b, ret);
}

static int fn_humanize1024(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    static const char *const PREFIX[] = {"ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"};
    double v;
    if (float_arg(run, a, &v) < 0) {
        return -EINVAL;
    }
    Buf b = BUF_INIT(1024);
    const char *prefix = "";
    for (size_t i = 0; i < 8 && isfinite(v) && fabs(v) >= 1024; i++) {
        prefix = PREFIX[i];
        v /= 1024;
    }
    add_g4(&b, v);
    buf_add_cstr(&b, prefix);
    return tmpl_take(run, &b, ret);
}

static int fn_humanize_percentage(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    double v;
    if (float_arg(run, a, &v) < 0) {
        return -EINVAL;
    }
    Buf b = BUF_INIT(1024);
    add_g4(&b, v * 100);
    buf_add_char(&b, '%');
    return tmpl_take(run, &b, ret);
}

/* Seconds to an instant of millisecond precision; what does not fit in nanoseconds is refused. */
static int float_time(TmplRun *run, double v, TmplTime *ret) {
    double ns = v * 1e9;
    if (ns > 0x1p63 || ns < -0x1p63) {
        CLEANUP(buf_deinit) Buf b = BUF_INIT(64);
        number_format_g(&b, v);
        return tmpl_fail(run,
                         "%.*s cannot be represented as a nanoseconds timestamp since it "
                         "overflows int64",
                         SA(buf_str(&b)));
    }
    *ret = gotime_of_ms(ns >= 0x1p63 ? INT64_MAX / 1000000 : (int64_t)ns / 1000000);
    return 0;
}

static int fn_humanize_timestamp(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    double v;
    TmplTime t;
    if (float_arg(run, a, &v) < 0 || (isfinite(v) && float_time(run, v, &t) < 0)) {
        return -EINVAL;
    }
    Buf b = BUF_INIT(1024);
    if (isfinite(v)) {
        gotime_string(&b, &t);
    } else {
        add_g4(&b, v);
    }
    return tmpl_take(run, &b, ret);
}

static int fn_to_time(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    double v;
    TmplTime t;
    if (float_arg(run, a, &v) < 0) {
        return -EINVAL;
    }
    if (!isfinite(v)) {
        return tmpl_fail(run, "value is NaN or Inf");
    }
    if (float_time(run, v, &t) < 0) {
        return -EINVAL;
    }
    TmplTime *p = arena_dup(tmpl_arena(run), &t, sizeof(t));
    *ret = tmpl_time(p);
    return p ? 0 : tmpl_fail(run, "template needs too much memory");
}

static int fn_to_duration(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    double v;
    if (float_arg(run, a, &v) < 0) {
        return -EINVAL;
    }
    if (!isfinite(v)) {
        return tmpl_fail(run, "value is NaN or Inf");
    }
    v *= 1e9;
    if (v >= 0x1p63 || v <= -0x1p63) {
        CLEANUP(buf_deinit) Buf b = BUF_INIT(64);
        number_format_g(&b, v / 1e9);
        return tmpl_fail(run, "%.*s cannot be represented as a duration since it overflows int64",
                         SA(buf_str(&b)));
    }
    *ret = tmpl_duration((int64_t)v);
    return 0;
}

static int fn_now(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = tmpl_float((double)((const PromTemplateData *)tmpl_user(run))->time_ms / 1000);
    return 0;
}

static int fn_parse_duration(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    bool negative = a[0].s.n > 1 && a[0].s.p[0] == '-';
    Problem p = {0};
    int64_t ms;
    if (duration_parse(negative ? str_from(a[0].s, 1) : a[0].s, &ms, &p) < 0) {
        return tmpl_fail(run, "%s", p.text);
    }
    *ret = tmpl_float((double)(negative ? -ms : ms) / 1000);
    return 0;
}

/* ---- text */

static int fn_title(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    text_title(&b, a[0].s, false);
    return tmpl_take(run, &b, ret);
}

/* net.SplitHostPort: host:port, [v6]:port; false for anything else. */
static bool split_host_port(Str s, Str *host, Str *port) {
    size_t colon = s.n;
    for (size_t i = 0; i < s.n; i++) {
        colon = s.p[i] == ':' ? i : colon;
    }
    if (colon == s.n) {
        return false;
    }
    *port = str_from(s, colon + 1);
    if (s.p[0] == '[') {
        size_t end = str_find(s, ']');
        *host = end + 1 == colon ? str_n(s.p + 1, end - 1) : STR_NULL;
        return host->p != NULL && str_find(*host, '[') == host->n;
    }
    *host = str_upto(s, colon);
    return str_find(*host, ':') == host->n && str_find(s, ']') == s.n && str_find(s, '[') == s.n;
}

static int fn_strip_port(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Str host, port;
    *ret = tmpl_string(split_host_port(a[0].s, &host, &port) ? host : a[0].s);
    return 0;
}

static bool is_ip(Str s) {
    char text[64];
    unsigned char addr[16];
    if (s.n >= sizeof(text)) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    return inet_pton(AF_INET, text, addr) == 1 || inet_pton(AF_INET6, text, addr) == 1;
}

static int fn_strip_domain(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Str host = a[0].s, port = STR("");
    if (!split_host_port(a[0].s, &host, &port)) {
        host = a[0].s;
        port = STR("");
    }
    if (is_ip(host)) {
        *ret = a[0];
        return 0;
    }
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    buf_add_str(&b, str_upto(host, str_find(host, '.')));
    if (port.n) {
        buf_addf(&b, ":%.*s", SA(port));
    }
    return tmpl_take(run, &b, ret);
}

void prom_graph_link(Buf *b, Str expr, int tab) {
    buf_add_cstr(b, "/graph?g0.expr=");
    text_query_escape(b, expr);
    buf_addf(b, "&g0.tab=%d", tab);
}

static int fn_graph_link(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    prom_graph_link(&b, a[0].s, 0);
    return tmpl_take(run, &b, ret);
}

static int fn_table_link(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    prom_graph_link(&b, a[0].s, 1);
    return tmpl_take(run, &b, ret);
}

static int fn_path_prefix(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = tmpl_string(((const PromTemplateData *)tmpl_user(run))->path_prefix);
    return 0;
}

static int fn_external_url(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = tmpl_string(((const PromTemplateData *)tmpl_user(run))->external_url);
    return 0;
}

static int fn_url_query_escape(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    text_query_escape(&b, a[0].s);
    return tmpl_take(run, &b, ret);
}

static int fn_args(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    TmplEntry *v = tmpl_entries(run, n);
    for (size_t i = 0; v && i < n; i++) {
        Str key = arena_printf(tmpl_arena(run), "arg%zu", i);
        v[i] = (TmplEntry){key, a[i]};
    }
    if (!v || tmpl_arena(run)->failed) {
        return tmpl_fail(run, "template needs too much memory");
    }
    *ret = tmpl_map(v, n, &TMPL_TYPE_ANY_MAP);
    tmpl_map_sort(&ret->map);
    return 0;
}

static const TmplFunc FUNCS[] = {
    {"query", "s", fn_query},
    {"first", "a", fn_first},
    {"label", "sa", fn_label},
    {"value", "a", fn_value},
    {"strvalue", "a", fn_strvalue},
    {"sortByLabel", "sa", fn_sort_by_label},
    {"args", "a+", fn_args},
    {"reReplaceAll", "sss", fn_re_replace_all},
    {"safeHtml", "s", fn_same},
    {"match", "ss", fn_match},
    {"title", "s", fn_title},
    {"toUpper", "s", fn_to_upper},
    {"toLower", "s", fn_to_lower},
    {"graphLink", "s", fn_graph_link},
    {"tableLink", "s", fn_table_link},
    {"stripPort", "s", fn_strip_port},
    {"stripDomain", "s", fn_strip_domain},
    {"humanize", "a", fn_humanize},
    {"humanize1024", "a", fn_humanize1024},
    {"humanizeDuration", "a", fn_humanize_duration},
    {"humanizePercentage", "a", fn_humanize_percentage},
    {"humanizeTimestamp", "a", fn_humanize_timestamp},
    {"toTime", "a", fn_to_time},
    {"toDuration", "a", fn_to_duration},
    {"now", "", fn_now},
    {"pathPrefix", "", fn_path_prefix},
    {"externalURL", "", fn_external_url},
    {"parseDuration", "s", fn_parse_duration},
    {"urlQueryEscape", "s", fn_url_query_escape},
};
const TmplFuncTable PROM_FUNCS = {FUNCS, ARRAY_LEN(FUNCS)};
