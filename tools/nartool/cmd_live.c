/* query live: the events of /api/v1/query_live as they come (docs/live.md). */
#include <stdio.h>

#include "base/numtext.h"
#include "model/duration.h"
#include "nartool/api_client.h"
#include "nartool/query.h"
#include "nartool/screen.h"

typedef struct Live {
    const Query *query;
    Format format;
    int64_t left; /* events to show; -1 = all */
} Live;

static void show(Live *l, const Json *data) {
    if (output_is_terminal() && l->format <= FORMAT_SPARK) {
        CLEANUP(buf_deinit) Buf t = BUF_INIT(64);
        time_format_rfc3339(&t, (int64_t)(json_to_double(json_member(data, "time"), 0) * 1000));
        printf("\033[H\033[2J%s%.*s  %.*s%s\n", screen_style(STYLE_DIM), SA(buf_str(&t)),
               SA(l->query->expr), screen_plain());
    }
    if (l->format == FORMAT_NDJSON || l->format == FORMAT_JSON) {
        result_print_json(data, stdout);
    } else {
        result_print(data, l->format, stdout);
    }
    fflush(stdout);
}

/* "event: x\ndata: y" */
static void take_event(Live *l, Str event) {
    Str line, name = STR_NULL, text = STR_NULL;
    while (str_split_next(&event, '\n', &line)) {
        name = str_starts(line, STR("event: ")) ? str_trim(str_from(line, 7)) : name;
        text = str_starts(line, STR("data: ")) ? str_from(line, 6) : text;
    }
    if (!text.n) {
        return;
    }
    Problem p = {0};
    Json *data = json_parse(text, &p);
    if (str_eqc(name, "error")) {
        query_tell_error(l->query->expr, json_to_str(json_member(data, "error")).p);
    } else if (data) {
        show(l, data);
        l->left -= l->left > 0;
    }
    json_free(data);
}

static bool on_part(void *arg, Buf *body) {
    Live *l = arg;
    Str all = buf_str(body), mark = STR("\n\n");
    size_t at;
    while (l->left != 0 && (at = str_find_str(all, mark)) < all.n) {
        take_event(l, str_upto(all, at));
        all = str_from(all, at + mark.n);
    }
    memmove(body->p, all.p, all.n);
    body->n = all.n;
    return l->left != 0;
}

static int follow(Live *l, int64_t step_ms) {
    CLEANUP(buf_deinit) Buf form = BUF_INIT(0);
    CLEANUP(buf_deinit) Buf body = {0};
    CLEANUP(json_freep) Json *root = NULL;
    Problem p = {0};
    int status;
    form_add(&form, "query", l->query->expr);
    if (step_ms) {
        form_add_time(&form, "step", step_ms);
    }
    ApiRequest q = {.base = l->query->server,
                    .method = "GET",
                    .path = "/api/v1/query_live",
                    .form = buf_str(&form),
                    .timeout_ms = -1,
                    .on_part = on_part,
                    .arg = l};
    int r = api_exchange(&q, &body, &status, &p);
    if (l->left == 0) {
        return EXIT_OK;
    }
    if (r < 0) {
        return fail("%s", p.text);
    }
    if (status != 200) {
        Problem parse = {0};
        root = json_parse(buf_str(&body), &parse);
        api_problem(root, buf_str(&body), status, &p);
        return query_tell_error(l->query->expr, p.text);
    }
    return fail("the server ended the stream");
}

int cmd_query_live(Args *a) {
    Query q = {.server = a->v[0], .expr = a->v[1]};
    Live l = {.query = &q, .format = take_format(a), .left = -1};
    int64_t step;
    Str count = args_flag(a, "--count");
    if (count.p && (!int_parse(count, &l.left) || l.left < 1)) {
        fail("--count: expected a number from 1, got \"%.*s\"", SA(count));
        return EXIT_USAGE;
    }
    return query_take_step(a, "--step", &step) ? follow(&l, step) : EXIT_USAGE;
}
