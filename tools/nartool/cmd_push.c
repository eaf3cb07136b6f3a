/* push metrics: pages in the text format to a server, by remote write 1.0. */
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "model/expo.h"
#include "nartool/api_client.h"
#include "nartool/query.h"
#include "nartool/standard_input.h"
#include "remote/remote_write.h"

#define FILE_BYTES_MAX (256u << 20)
#define LABELS_MAX 32

typedef struct Push {
    Str url;
    int64_t timeout_ms, now_ms;
    Label added[LABELS_MAX];
    size_t n_added;
} Push;

static bool take_labels(Args *a, Push *p) {
    for (Str text; (text = args_flag(a, "--label")).p;) {
        size_t at = str_find(text, '=');
        Str name = str_upto(text, at);
        if (at == text.n || !label_name_valid_utf8(name) || p->n_added == LABELS_MAX) {
            fail("--label: expected NAME=VALUE, at most %d times, got \"%.*s\"", LABELS_MAX,
                 SA(text));
            return false;
        }
        p->added[p->n_added++] = (Label){name, str_from(text, at + 1)};
    }
    if (!p->n_added) {
        p->added[p->n_added++] = (Label){STR("job"), STR("promtool")};
    }
    return true;
}

static bool add_sample(const Push *p, const ExpoParser *x, Arena *a, Buf *out) {
    Label *pairs;
    size_t n;
    Labels labels;
    Str duplicate;
    if (!expo_series_labels(x->format, x->type, x->series, a, &pairs, &n) ||
        !labels_from_pairs(pairs, n, &labels, &duplicate)) {
        return false;
    }
    LabelsBuilder b = {0};
    labels_builder_reset(&b, labels);
    for (size_t i = 0; i < p->n_added; i++) {
        labels_builder_set(&b, p->added[i].name, p->added[i].value);
    }
    size_t mark = remote_write_series_begin(out, labels_builder_view(&b));
    remote_write_add_sample(out, x->has_t ? x->t : p->now_ms, x->value);
    remote_write_series_end(out, mark);
    labels_builder_deinit(&b);
    return true;
}

static int add_page(const Push *p, const char *name, Str text, Buf *out) {
    CLEANUP(arena_deinit) Arena arena = ARENA_INIT(0);
    ExpoParser x;
    expo_init(&x, EXPO_TEXT, text);
    int entry;
    while ((entry = expo_next(&x)) > EXPO_END) {
        if (entry == EXPO_SAMPLE && !add_sample(p, &x, &arena, out)) {
            return fail("%s: the labels of %.*s are not valid", name, SA(x.series));
        }
    }
    return entry < 0 ? fail("%s:%d:%d: %s", name, x.problem.line, x.problem.column, x.problem.text)
                     : EXIT_OK;
}

static int send(const Push *p, const Buf *series) {
    CLEANUP(buf_deinit) Buf body = BUF_INIT(REMOTE_WRITE_BYTES_MAX);
    CLEANUP(buf_deinit) Buf answer = {0};
    Problem problem = {0};
    int status;
    if (remote_write_finish(series, &body) < 0) {
        return fail("the pages are too large for one request");
    }
    static const HttpHeader headers[] = {
        {{"Content-Encoding", sizeof("Content-Encoding") - 1}, {"snappy", sizeof("snappy") - 1}},
        {{"Content-Type", sizeof("Content-Type") - 1},
         {"application/x-protobuf", sizeof("application/x-protobuf") - 1}},
        {{"X-Prometheus-Remote-Write-Version", sizeof("X-Prometheus-Remote-Write-Version") - 1},
         {"0.1.0", sizeof("0.1.0") - 1}},
    };
    ApiRequest q = {.base = p->url,
                    .method = "POST",
                    .path = "",
                    .form = buf_str(&body),
                    .headers = headers,
                    .n_headers = ARRAY_LEN(headers),
                    .timeout_ms = p->timeout_ms};
    if (api_exchange(&q, &answer, &status, &problem) < 0) {
        return fail("%s", problem.text);
    }
    if (status / 100 != 2) {
        return fail("server returned HTTP status %d: %.*s", status, SA(str_trim(buf_str(&answer))));
    }
    return EXIT_OK;
}

static int push_page(const Push *p, const char *name, Str text) {
    CLEANUP(buf_deinit) Buf series = BUF_INIT(REMOTE_WRITE_BYTES_MAX * 2);
    int code = add_page(p, name, text, &series);
    if (!code) {
        code = series.failed ? fail("%s: too large for one request", name) : send(p, &series);
    }
    printf(code ? "  FAILED: %s\n" : "  SUCCESS: metrics pushed to remote write. %s\n", name);
    return code;
}

static int push_file(const Push *p, const char *name) {
    CLEANUP(buf_deinit) Buf text = BUF_INIT(0);
    int r = file_read_whole(name, FILE_BYTES_MAX, &text);
    return r < 0 ? fail("%s: %s", name, strerror(-r)) : push_page(p, name, buf_str(&text));
}

int cmd_push_metrics(Args *a) {
    Push p = {.url = a->v[0], .now_ms = clock_wall_ms()};
    if (!take_labels(a, &p) || !query_take_step(a, "--timeout", &p.timeout_ms)) {
        return EXIT_USAGE;
    }
    p.timeout_ms = p.timeout_ms ? p.timeout_ms : 30000;
    int worst = EXIT_OK;
    for (size_t i = 1; i < a->n; i++) {
        int code = push_file(&p, a->v[i].p);
        worst = code ? code : worst;
    }
    if (a->n == 1) {
        CLEANUP(buf_deinit) Buf text = {0};
        worst = read_standard_input(&text);
        return worst ? worst : push_page(&p, "standard input", buf_str(&text));
    }
    return worst;
}
