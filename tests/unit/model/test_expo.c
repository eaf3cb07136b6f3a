/*
 * Exposition pages. Each case is a page and what it reads as: one entry a line, errors last. Every
 * good page is then cut at each byte, and read a second time against its own texts.
 */
#include <dirent.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "base/vec.h"
#include "model/expo.h"
#include "support/test.h"

static void write_labels(ExpoFormat format, const ExpoParser *p, Buf *out) {
    CLEANUP(arena_deinit) Arena a = ARENA_INIT(1 << 20);
    Label *v;
    size_t n;
    CHECK(expo_series_labels(format, p->type, p->series, &a, &v, &n));
    for (size_t i = 0; i < n; i++) {
        buf_addf(out, "%s%.*s=%.*s", i ? "," : "", SA(v[i].name), SA(v[i].value));
    }
}

static void write_sample(ExpoFormat format, const ExpoParser *p, Buf *out) {
    write_labels(format, p, out);
    buf_addf(out, " %g", p->value);
    if (p->has_t) {
        buf_addf(out, " @%lld", (long long)p->t);
    }
    if (p->exemplar.p) {
        CLEANUP(arena_deinit) Arena a = ARENA_INIT(1 << 20);
        ExpoExemplar e;
        CHECK(expo_exemplar(p->exemplar, &a, &e));
        buf_add_cstr(out, " #");
        for (size_t i = 0; i < e.n_labels; i++) {
            buf_addf(out, " %.*s=%.*s", SA(e.labels[i].name), SA(e.labels[i].value));
        }
        buf_addf(out, " %g", e.value);
        if (e.has_t) {
            buf_addf(out, " @%lld", (long long)e.t);
        }
    }
    buf_add_char(out, '\n');
}

static void read_page(ExpoFormat format, Str page, Buf *out) {
    ExpoParser p;
    CLEANUP(arena_deinit) Arena a = ARENA_INIT(1 << 20);
    int r;
    expo_init(&p, format, page);
    while ((r = expo_next(&p)) > 0) {
        switch ((ExpoEntry)r) {
        case EXPO_SAMPLE: write_sample(format, &p, out); break;
        case EXPO_TYPE: buf_addf(out, "type %.*s %d\n", SA(p.family), p.type); break;
        case EXPO_HELP: {
            Str help = expo_unescape(p.help, format == EXPO_OPENMETRICS, &a);
            buf_addf(out, "help %.*s [%.*s]\n", SA(p.family), SA(help));
            break;
        }
        case EXPO_UNIT: buf_addf(out, "unit %.*s %.*s\n", SA(p.family), SA(p.unit)); break;
        case EXPO_COMMENT: buf_add_cstr(out, "comment\n"); break;
        case EXPO_END: break;
        }
    }
    if (r < 0) {
        CHECK(p.problem.line > 0);
        CHECK_INT(expo_next(&p), -EBADMSG); /* and stays so */
        char text[1300];
        buf_addf(out, "%s", problem_format(&p.problem, text, sizeof(text)));
    }
}

/* Read again with what the first reading left, as a scraper does. */
static size_t read_expected(ExpoFormat format, Str page, Str again, Buf *out) {
    VEC(ExpoExpected) all = {0};
    ExpoParser p;
    size_t hits = 0, i = 0;
    int r;
    expo_init(&p, format, page);
    while ((r = expo_next(&p)) > 0) {
        if (r == EXPO_SAMPLE) {
            vec_push(&all, (ExpoExpected){.text = p.text,
                                          .lead = (uint32_t)(p.series.p - p.text.p),
                                          .type = p.type,
                                          .typed = p.typed});
        }
    }
    expo_init(&p, format, again);
    do {
        bool hit = false;
        r = i < all.n ? expo_next_expect(&p, &all.v[i], &hit) : expo_next(&p);
        hits += hit;
        if (r == EXPO_SAMPLE) {
            i++;
            write_sample(format, &p, out);
        }
    } while (r > 0);
    vec_free(&all);
    return hits;
}

/* In a block of exactly its size, so that a sanitizer sees one byte too many. */
static void check_truncated(ExpoFormat format, Str page) {
    for (size_t n = 0; n < page.n; n++) {
        CLEANUP(buf_deinit) Buf out = BUF_INIT(0);
        char *part = mem_alloc(n ? n : 1);
        memcpy(part, page.p, n);
        read_page(format, (Str){part, n}, &out);
        mem_free(part);
    }
}

static void check_page(ExpoFormat format, Str page, const char *want) {
    CLEANUP(buf_deinit) Buf out = BUF_INIT(0);
    read_page(format, page, &out);
    CHECK_STR(buf_str(&out), str_of(want));
    check_truncated(format, page);
}

#define TEXT(page, want) check_page(EXPO_TEXT, STR(page), want)
#define OM(page, want) check_page(EXPO_OPENMETRICS, STR(page), want)

TEST (text_samples) {
    TEXT("a 1\n", "__name__=a 1\n");
    TEXT("a 1", "__name__=a 1\n");
    TEXT("a:b_9{} 1 5\n", "__name__=a:b_9 1 @5\n");
    TEXT("a{x=\"y\",z=\"\",} +Inf\n", "__name__=a,x=y,z= inf\n");
    TEXT(" \t a\t{ x = \"y\" z=\"w\" , }\t 1e3\t77 \n\n \n b 2\n",
         "__name__=a,x=y,z=w 1000 @77\n__name__=b 2\n");
    TEXT("a{x=\"y\"}1\nb-2\nc+Inf\n", "__name__=a,x=y 1\n__name__=b -2\n__name__=c inf\n");
    TEXT("a nan\nb NaN\n", "__name__=a nan\n__name__=b nan\n");
    TEXT("a{x=\"q\\\"\\\\\\n\\t\"} 1\n", "__name__=a,x=q\"\\\n\\t 1\n");
    TEXT("a{x=\"1\n2\"} 1\n", "__name__=a,x=1\n2 1\n");
    TEXT("", "");
    TEXT("\n\n", "");
    TEXT("a 1\n\0b 2\n", "__name__=a 1\n");
    TEXT("#x\0\nb 2\n", "");
    TEXT("# x\0\nb 2\n", "comment\n__name__=b 2\n");
}

TEST (text_names_in_quotes) {
    TEXT("{\"a.b\"} 1\n", "__name__=a.b 1\n");
    TEXT("{\"a.b\",x=\"1\",\"y z\"=\"2\"} 1\n", "__name__=a.b,x=1,y z=2 1\n");
    TEXT("{x=\"1\",\"a.b\"} 1\n", "x=1,__name__=a.b 1\n");
    TEXT("{\"a\\\"b\",} 1\n", "__name__=a\"b 1\n");
    TEXT("# TYPE \"a.b\" gauge\n{\"a.b\"} 1\n", "type a.b 2\n__name__=a.b 1\n");
    TEXT("a{\"b\"} 1\n", "1:4: the metric name is already set, got another: \"b\"");
    TEXT("{x=\"1\"} 1\n", "1:7: expected a metric name before or inside {}");
    TEXT("{} 1\n", "1:2: expected a metric name before or inside {}");
}

TEST (text_metadata) {
    TEXT("# HELP a some \\\\ \\n \\\" text\n", "help a [some \\ \n \\\" text]\n");
    TEXT("# HELP a\n# HELP b  \n# HELP c  x\n", "help a []\nhelp b []\nhelp c [ x]\n");
    TEXT("#\tTYPE\ta\tcounter\n", "type a 1\n");
    TEXT("# TYPE a untyped\n# TYPE b summary\n# TYPE c histogram\n",
         "type a 0\ntype b 5\ntype c 3\n");
    TEXT("#\n# \n#HELP a b\n# HELPER x\n# HELP\n# UNIT a b\n# EOF\n",
         "comment\ncomment\ncomment\ncomment\ncomment\ncomment\ncomment\n");
    TEXT("# TYPE a\n", "1:9: expected counter, gauge, histogram, summary or untyped, got \"\"");
    TEXT("# TYPE a  gauge\n",
         "1:10: expected counter, gauge, histogram, summary or untyped, got \" gauge\"");
    TEXT("# TYPE a info\n",
         "1:10: expected counter, gauge, histogram, summary or untyped, got \"info\"");
    TEXT("# HELP \n", "1:8: expected a metric name after HELP, got the end of the line");
    TEXT("# HELP 9 x\n", "1:8: expected a metric name after HELP, got \"9\"");
    TEXT("# HELP a \xff\n", "1:10: expected a help text in valid UTF-8");
}

TEST (text_bounds_are_normalised_by_the_type_in_force) {
    TEXT("# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"0.50\"} 1\na_bucket{le=\"+Inf\"} "
         "1\n"
         "a_bucket{le=\"x\"} 1\na_bucket{le=\"1e6\",quantile=\"1\"} 2\n",
         "type a 3\n__name__=a_bucket,le=1.0 1\n__name__=a_bucket,le=0.5 1\n"
         "__name__=a_bucket,le=+Inf 1\n__name__=a_bucket,le=x 1\n"
         "__name__=a_bucket,le=1e+06,quantile=1 2\n");
    TEXT("# TYPE a summary\na{quantile=\"0\",le=\"1\"} 1\n",
         "type a 5\n__name__=a,quantile=0.0,le=1 1\n");
    TEXT("# TYPE a histogram\na{le=\"-0\"} 1\n", "type a 3\n__name__=a,le=0.0 1\n");
    TEXT("a{le=\"1\"} 1\n", "__name__=a,le=1 1\n");
}

TEST (text_errors_say_what_was_expected_and_where) {
    TEXT("a 1\n\nfoo\n",
         "__name__=a 1\n3:4: expected a value after the metric, got the end of the line");
    TEXT("a 1\nfoo bar\n",
         "__name__=a 1\n2:5: expected a number as the value of the metric, got \"bar\"");
    TEXT("a\n", "1:2: expected a value after the metric, got the end of the line");
    TEXT("a", "1:2: expected a value after the metric, got the end of the page");
    TEXT("a 0x1p3\n", "1:3: expected a number as the value of the metric, got \"0x1p3\"");
    TEXT("a 1_0\n", "1:3: expected a number as the value of the metric, got \"1_0\"");
    TEXT("a 1e999\n", "1:3: expected a number as the value of the metric, got \"1e999\"");
    TEXT("a 1\r\n", "1:3: expected a number as the value of the metric, got \"1\\r\"");
    TEXT("a 1 -5\n",
         "1:5: expected a timestamp (milliseconds, digits only) or the end of the line, "
         "got \"-5\"");
    TEXT("a 1 5 6\n", "1:7: expected the end of the line after the timestamp, got \"6\"");
    TEXT("a 1 5.5\n", "1:6: expected the end of the line after the timestamp, got \".5\"");
    TEXT("a 1 9999999999999999999\n", "1:5: the timestamp 9999999999999999999 is out of range");
    TEXT("a{x=\"\xff\"} 1\n", "1:5: expected a label value in valid UTF-8, got \"\\\"\\xff\\\"}\"");
    TEXT("a{x=1} 1\n", "1:5: expected a quoted label value after \"=\", got \"1}\"");
    TEXT("a{x} 1\n", "1:4: expected \"=\" after the label name, got \"}\"");
    TEXT("a{,} 1\n", "1:3: expected a label name or \"}\", got \",}\"");
    TEXT("a{x=\"1\",,} 1\n", "1:9: expected a label name or \"}\", got \",}\"");
    TEXT("a{x=\"1} 1\n", "1:5: expected a label value that ends with a quote, got \"\\\"1}\"");
    TEXT("a{x=\"1\"\n", "1:8: expected a label name or \"}\", got the end of the line");
    TEXT("a{}{} 1\n", "1:4: expected a value after the metric, got \"{}\"");
    TEXT("9a 1\n",
         "1:1: expected a metric name, \"{\" or \"#\" at the start of the line, got \"9a\"");
    TEXT("\r\n",
         "1:1: expected a metric name, \"{\" or \"#\" at the start of the line, got \"\\r\"");
}

TEST (openmetrics_samples) {
    OM("# EOF\n", "");
    OM("# EOF", "");
    OM("a 1\nb{x=\"y\"} 2.5 1.5\nc 3 -1.2345\n# EOF\n",
       "__name__=a 1\n__name__=b,x=y 2.5 @1500\n__name__=c 3 @-1234\n");
    OM("{\"a.b\",x=\"1\"} 1\n# EOF\n", "__name__=a.b,x=1 1\n");
    OM("a_created 1.5e9\n# EOF\n", "__name__=a_created 1.5e+09\n");
    OM("a 1 1e30\n# EOF\n", "__name__=a 1 @-9223372036854775808\n");
}

TEST (openmetrics_metadata) {
    OM("# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds x\\\"\\\\\\n\n# EOF\n",
       "type a_seconds 1\nunit a_seconds seconds\nhelp a_seconds [x\"\\\n]\n");
    OM("# TYPE a stateset\n# TYPE b gaugehistogram\n# TYPE c info\n# TYPE d unknown\n# UNIT d \n# "
       "EOF\n",
       "type a 7\ntype b 4\ntype c 6\ntype d 0\nunit d \n");
    OM("# TYPE a untyped\n# EOF\n",
       "1:10: expected counter, gauge, histogram, gaugehistogram, summary, info, stateset or "
       "unknown, got \"untyped\"");
    OM("# UNIT a_seconds second\n# EOF\n",
       "1:18: unit \"second\" is not a suffix of metric \"a_seconds\"");
    OM("# UNIT seconds seconds\n# EOF\n",
       "1:16: unit \"seconds\" is not a suffix of metric \"seconds\"");
    OM("# HELP a\n# EOF\n",
       "1:9: expected a space and a text after the metric name, got the end of "
       "the line");
    OM("# TYPE a_bucket histogram\na_bucket{le=\"1\"} 1\n# EOF\n",
       "type a_bucket 3\n__name__=a_bucket,le=1.0 1\n");
}

TEST (openmetrics_exemplars) {
    OM("a_total 1 # {id=\"x\"} 0.5\n# EOF\n", "__name__=a_total 1 # id=x 0.5\n");
    OM("a_total 1 2 # {id=\"x\",\"a.b\"=\"y\\\"\"} 0.5 7.5\n# EOF\n",
       "__name__=a_total 1 @2000 # id=x a.b=y\" 0.5 @7500\n");
    OM("a_total 1 # {} 3\n# EOF\n", "__name__=a_total 1 # 3\n");
    OM("a_total 1 # {\"x\"} 3\n# EOF\n", "1:17: expected \"=\" after the label name, got \"}\"");
    OM("a_total 1 # {} 3 NaN\n# EOF\n", "1:18: expected a finite timestamp, got \"NaN\"");
    OM("a_total 1 # {}\n# EOF\n",
       "1:15: expected a space and a number after the exemplar's labels, "
       "got the end of the line");
    OM("a_total 1 # {x=\"y\"} 1 2 3\n# EOF\n", "1:24: expected the end of the line, got \" \"");
}

TEST (openmetrics_is_strict) {
    OM("a 1\n", "__name__=a 1\n2:1: the page does not end with # EOF");
    OM("", "1:1: the page does not end with # EOF");
    OM("a 1", "1:4: the page does not end with # EOF");
    OM("# EOF\na 1\n", "2:1: expected nothing after # EOF, got \"a\"");
    OM("# EOFx\n", "1:6: expected nothing after # EOF, got \"x\"");
    OM("\n# EOF\n",
       "1:1: expected a metric name, \"{\" or \"# \" at the start of the line, got the end "
       "of the line");
    OM("# comment\n# EOF\n", "1:3: expected HELP, TYPE, UNIT or EOF after \"# \", got \"comment\"");
    OM(" a 1\n# EOF\n",
       "1:1: expected a metric name, \"{\" or \"# \" at the start of the line, got \" \"");
    OM("a  1\n# EOF\n", "1:3: expected a space and a number after the metric, got \" \"");
    OM("a {x=\"y\"} 1\n# EOF\n",
       "1:3: expected a space and a number after the metric, got \"{x=\\\"y\\\"}\"");
    OM("a\t1\n# EOF\n", "1:2: expected a space and a number after the metric, got \"\\t\"");
    OM("a{x=\"y\" ,z=\"1\"} 1\n# EOF\n",
       "1:8: expected \",\" or \"}\" after the label value, got \" \"");
    OM("a{x=\"y\"z=\"1\"} 1\n# EOF\n",
       "1:8: expected \",\" or \"}\" after the label value, got \"z=\\\"1\\\"}\"");
    OM("a{x=\"y\nz\"} 1\n# EOF\n",
       "1:5: expected a label value that ends with a quote, got \"\\\"y\"");
    OM("a 1 \n# EOF\n", "1:5: expected a timestamp in seconds, an exemplar or the end of the line, "
                        "got the end of the line");
    OM("a{x=\"y\",} 1\n# EOF\n", "__name__=a,x=y 1\n");
}

TEST (short_numbers_equal_the_slow_way) {
    const struct {
        Str page;
        double want;
    } cases[] = {
        {STR("a 0.1\n"), 0.1},
        {STR("a -0\n"), -0.0},
        {STR("a 123456.789\n"), 123456.789},
        {STR("a 2.0054016e+07\n"), 2.0054016e+07},
        {STR("a 1e-7\n"), 1e-7},
        {STR("a 9007199254740993\n"), 9007199254740992.0},
        {STR("a 1.7976931348623157e308\n"), 1.7976931348623157e308},
        {STR("a 5e-324\n"), 5e-324},
        {STR("a 0.30000000000000004\n"), 0.30000000000000004},
        {STR("a .5\n"), 0.5},
        {STR("a 5.\n"), 5},
        {STR("a +7\n"), 7},
        {STR("a 1e22\n"), 1e22},
        {STR("a 1e23\n"), 1e23},
        {STR("a 3.14e-10 5\n"), 3.14e-10},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ExpoParser p;
        expo_init(&p, EXPO_TEXT, cases[i].page);
        CHECK_INT(expo_next(&p), EXPO_SAMPLE);
        CHECK_DOUBLE(p.value, cases[i].want);
    }
}

TEST (the_same_page_again_is_taken_by_comparing) {
    CLEANUP(buf_deinit) Buf out = BUF_INIT(0);
    Str first =
        STR("# HELP a x\n# TYPE a histogram\na{le=\"1\"} 1\na{le=\"2\"} 2\n# TYPE b gauge\nb 1\n");
    Str again = STR(
        "# HELP a x\n# TYPE a histogram\na{le=\"1\"} 10\na{le=\"2\"} 20 7\n# TYPE b gauge\nb 5");
    CHECK_INT(read_expected(EXPO_TEXT, first, again, &out), 3);
    CHECK_STR(buf_str(&out), STR("__name__=a,le=1.0 10\n__name__=a,le=2.0 20 @7\n__name__=b 5\n"));
}

TEST (a_changed_page_falls_back) {
    CLEANUP(buf_deinit) Buf out = BUF_INIT(0);
    Str first = STR("a 1\nb 2\nc 3\n");
    CHECK_INT(read_expected(EXPO_TEXT, first, STR("a 1\nbb 2\nc 4\nd 5\n"), &out), 2);
    CHECK_STR(buf_str(&out), STR("__name__=a 1\n__name__=bb 2\n__name__=c 4\n__name__=d 5\n"));
    buf_reset(&out);
    CHECK_INT(read_expected(EXPO_TEXT, STR("a 1\n"), STR("a{x=\"1\"} 1\n"), &out), 0);
    CHECK_STR(buf_str(&out), STR("__name__=a,x=1 1\n"));
}

TEST (written_samples_read_back) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    Label a[] = {{LABEL_NAME, STR("up")}, {STR("x"), STR("q\"\\\n")}};
    Label odd[] = {{LABEL_NAME, STR("a.b")}, {STR("y z"), STR("1")}};
    Label bare[] = {{LABEL_NAME, STR("up")}};
    int64_t t = 1700000000000;
    expo_write_type(&b, STR("up"), METRIC_UNKNOWN);
    expo_write_sample(&b, (Labels){a, 2}, 1, &t);
    expo_write_sample(&b, (Labels){odd, 2}, INFINITY, NULL);
    expo_write_sample(&b, (Labels){bare, 1}, 1e21, NULL);
    CHECK_STR(buf_str(&b), STR("# TYPE up untyped\nup{x=\"q\\\"\\\\\\n\"} 1 1700000000000\n"
                               "{\"a.b\",\"y z\"=\"1\"} +Inf\nup 1e+21\n"));
    CLEANUP(buf_deinit) Buf out = BUF_INIT(0);
    read_page(EXPO_TEXT, buf_str(&b), &out);
    CHECK_STR(buf_str(&out), STR("type up 0\n__name__=up,x=q\"\\\n 1 @1700000000000\n"
                                 "__name__=a.b,y z=1 inf\n__name__=up 1e+21\n"));
}

TEST (pages_of_others_parse_completely) {
    const char *root = getenv("NARTHEX_CONFORMANCE");
    if (!root || !root[0]) {
        return;
    }
    char path[4096];
    snprintf(path, sizeof(path), "%s/expo", root);
    DIR *dir = opendir(path);
    struct dirent *e;
    size_t pages = 0;
    while (dir && (e = readdir(dir))) {
        if (e->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof(path), "%s/expo/%s", root, e->d_name);
        FILE *f = fopen(path, "rb");
        CLEANUP(mem_freep) char *page = mem_alloc(1 << 20);
        CHECK(f != NULL);
        size_t n = fread(page, 1, 1 << 20, f);
        fclose(f);
        bool om = strstr(e->d_name, ".om.") != NULL;
        CLEANUP(buf_deinit) Buf again = BUF_INIT(0);
        ExpoParser p;
        size_t samples = 0;
        int r;
        expo_init(&p, om ? EXPO_OPENMETRICS : EXPO_TEXT, (Str){page, n});
        while ((r = expo_next(&p)) > 0) {
            samples += r == EXPO_SAMPLE;
        }
        CHECK_INT(r, 0);
        CHECK(samples > 0);
        CHECK_INT(read_expected(p.format, (Str){page, n}, (Str){page, n}, &again), samples);
        pages++;
    }
    closedir(dir);
    CHECK(pages > 0);
}
