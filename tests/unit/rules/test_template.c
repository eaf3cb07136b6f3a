/*
 * The template language, by tables in testdata/template: a template and its output a line, as the
 * tools of Prometheus and Alertmanager print it.
 */
#include "base/file.h"
#include "base/mem.h"
#include "rules/notify/am_data.h"
#include "rules/template/gotime.h"
#include "rules/template/prom_template.h"
#include "support/test.h"

static void unescape(Buf *b, Str s) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n) {
            i++;
            buf_add_char(b, s.p[i] == 'n' ? '\n' : s.p[i] == 't' ? '\t' : s.p[i]);
        } else {
            buf_add_char(b, s.p[i]);
        }
    }
}

/* Calls fn for each line; it gives back the output, or "!! error". */
static void run_table(const char *name, void (*fn)(Str in, Buf *out)) {
    CLEANUP(buf_deinit) Buf file = BUF_INIT(0);
    CHECK_INT(file_read_whole(test_data(name), 1 << 20, &file), 0);
    Str rest = buf_str(&file), line;
    int bad = 0;
    while (str_split_next(&rest, '\n', &line)) {
        size_t tab = str_find(line, '\t');
        if (!line.n || line.p[0] == '#' || tab == line.n) {
            continue;
        }
        CLEANUP(buf_deinit) Buf in = BUF_INIT(0), want = BUF_INIT(0), got = BUF_INIT(0);
        unescape(&in, str_upto(line, tab));
        unescape(&want, str_from(line, tab + 1));
        fn(buf_str(&in), &got);
        if (!str_eq(buf_str(&got), buf_str(&want))) {
            printf("# %.*s\n#    got: %.*s\n#   want: %.*s\n", SA(buf_str(&in)), SA(buf_str(&got)),
                   SA(buf_str(&want)));
            bad++;
        }
    }
    CHECK_INT(bad, 0);
}

static const Label METRIC[] = {
    {STR("__name__"), STR("metric")}, {STR("instance"), STR("a:1")}, {STR("job"), STR("j")}};
static const Label UP_A[] = {
    {STR("__name__"), STR("up")}, {STR("instance"), STR("a:1")}, {STR("job"), STR("j")}};
static const Label UP_B[] = {
    {STR("__name__"), STR("up")}, {STR("instance"), STR("b:2")}, {STR("job"), STR("k")}};
static const Label REGION[] = {{STR("region"), STR("eu")}};

/* Answers the few queries of the table. */
static int fake_query(void *arg, Str q, int64_t t, Arena *a, TmplSample **ret, size_t *ret_n,
                      Str *ret_error) {
    TmplSample *s = ARENA_ARRAY(a, TmplSample, 2);
    s[0] = (TmplSample){{UP_A, 3}, tmpl_float(1)};
    s[1] = (TmplSample){{UP_B, 3}, tmpl_float(2)};
    *ret = s;
    *ret_n = str_eqc(q, "nothere") ? 0 : 2;
    if (str_eqc(q, "bad{")) {
        *ret_error = STR("1:5: parse error: unexpected end of input inside braces");
        return -EINVAL;
    }
    if (str_eqc(q, "'text'")) {
        *ret_error = STR("rule result is not a vector or scalar");
        return -EINVAL;
    }
    if (str_find_str(q, STR("b:2")) < q.n) {
        s[0] = s[1];
        *ret_n = 1;
    }
    if (str_starts(q, STR("sort_desc"))) {
        TmplSample x = s[0];
        s[0] = s[1];
        s[1] = x;
    }
    return 0;
}

static void run_prometheus(Str in, Buf *out) {
    Problem p = {0};
    PromTemplate *t = prom_template_new(STR("__alert_A"), in, &p);
    if (!t) {
        buf_addf(out, "!! %s", p.text);
        return;
    }
    PromTemplateData d = {.labels = {METRIC, 3},
                          .external_labels = {REGION, 1},
                          .external_url = STR("http://prom.example/prefix"),
                          .path_prefix = STR("/prefix"),
                          .value = tmpl_float(1.5),
                          .time_ms = 60000,
                          .query = fake_query};
    Arena arena = ARENA_INIT(16 << 20);
    Str error;
    if (prom_template_expand(t, &d, &arena, out, &error) < 0) {
        Str lead = STR("error executing template __alert_A: ");
        buf_addf(out, "!! %.*s", SA(str_from(error, str_starts(error, lead) ? lead.n : 0)));
    }
    arena_deinit(&arena);
    prom_template_free(t);
}

TEST (prometheus_functions_print_what_promtool_prints) {
    run_table("template/prometheus.tsv", run_prometheus);
}

#define PAIR(n, v)                                                                                 \
    { STR(n), STR(v) }
static const Label ALERT_1[] = {PAIR("alertname", "A"), PAIR("i", "1"), PAIR("job", "z")};
static const Label ALERT_2[] = {PAIR("alertname", "A"), PAIR("i", "2"), PAIR("job", "z")};
static const Label COMMON[] = {PAIR("Zed", "q"), PAIR("alertname", "A"), PAIR("job", "z")};
static const Label GROUP[] = {PAIR("alertname", "A")}, ANNOTATIONS[] = {PAIR("x", "y")};

static void run_alertmanager(Str in, Buf *out) {
    Arena arena = ARENA_INIT(16 << 20);
    AmAlertData alerts[] = {{.labels = {ALERT_1, 3},
                             .annotations = {ANNOTATIONS, 1},
                             .starts = gotime_of_ms(INT64_C(1767323045678)),
                             .ends = gotime_zero(),
                             .generator_url = STR("http://g"),
                             .fingerprint = STR("abc")},
                            {.resolved = true,
                             .labels = {ALERT_2, 3},
                             .annotations = {ANNOTATIONS, 1},
                             .starts = gotime_of_ms(INT64_C(1767323045000)),
                             .ends = gotime_of_ms(INT64_C(1767326706000)),
                             .generator_url = STR(""),
                             .fingerprint = STR("def")}};
    AmData d = {.receiver = STR("team"),
                .status = STR("firing"),
                .alerts = alerts,
                .n_alerts = 2,
                .group_labels = {GROUP, 1},
                .common_labels = {COMMON, 3},
                .common_annotations = {ANNOTATIONS, 1},
                .external_url = STR("http://am"),
                .arena = &arena};
    Str error = STR("");
    if (am_data_expand(&d, NULL, in, out, &error) < 0) {
        buf_reset(out);
        buf_addf(out, "!! %.*s", SA(error));
    }
    arena_deinit(&arena);
}

TEST (alertmanagers_functions_print_what_amtool_prints) {
    run_table("template/alertmanager.tsv", run_alertmanager);
}

static void check_fails(Str text, const char *part) {
    CLEANUP(buf_deinit) Buf out = BUF_INIT(0);
    run_prometheus(text, &out);
    CHECK(str_starts(buf_str(&out), STR("!! ")));
    if (str_find_str(buf_str(&out), str_of(part)) == out.n) {
        test_fail(__FILE__, __LINE__, "%.*s: no %s", SA(buf_str(&out)), part);
    }
}

TEST (a_template_that_never_ends_is_stopped) {
    check_fails(STR("{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}"),
                "maximum template depth");
    check_fails(STR("{{ range 100000 }}{{ range 100000 }}{{ end }}{{ end }}"), "too many steps");
    check_fails(STR("{{ range 10000 }}{{ printf \"%1000d\" 1 }}{{ end }}"), "writes more than");
    check_fails(
        STR("{{ printf \"%1000000d\" 1 | printf \"%s%s%s%s%s%s\" \"\" | len }}"
            "{{ $x := \"aaaaaaaaaaaaaaaa\" }}{{ range 64 }}{{ $x = print $x $x }}{{ end }}"),
        "too much");
}

TEST (every_prefix_of_a_template_is_refused_or_runs) {
    Str text = STR("{{- if and .Value (gt $value 1.0) -}}{{ range $i, $e := query \"up\" }}"
                   "{{ $e.Labels.x | printf `%q` }}{{ else }}{{/* c */}}{{ end }}{{ end }}");
    for (size_t n = 0; n <= text.n; n++) {
        char *exact = mem_dup(text.p, n ? n : 1);
        CLEANUP(buf_deinit) Buf out = BUF_INIT(0);
        run_prometheus(str_n(exact, n), &out);
        mem_free(exact);
    }
}
