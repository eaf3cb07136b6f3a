/* query explain: the executed plan as a tree, with what each part cost. */
#include <inttypes.h>
#include <stdio.h>

#include "nartool/api_client.h"
#include "nartool/query.h"
#include "nartool/screen.h"

#define LABEL_MAX 60
#define DEPTH_MAX 400

typedef struct Tree {
    double total_ms;
    Buf lead; /* the lines on the left of what is below */
} Tree;

static const char *branch(bool last) {
    if (!screen()->utf8) {
        return last ? "`- " : "|- ";
    }
    return last ? "└─ " : "├─ ";
}

static const char *trunk(bool last) { return last ? "   " : screen()->utf8 ? "│  " : "|  "; }

/* What takes the time is to be seen at once. */
static const char *heat(const Tree *t, double self_ms) {
    double part = t->total_ms > 0 ? self_ms / t->total_ms : 0;
    return screen_style(part > 0.5 ? STYLE_RED : part > 0.2 ? STYLE_YELLOW : STYLE_DIM);
}

static void print_line(const Tree *t, const Json *n, const char *joint) {
    double self = json_to_double(json_member(n, "selfMs"), 0);
    Str label = json_to_str(json_member(n, "label"));
    CLEANUP(buf_deinit) Buf samples = BUF_INIT(64);
    number_format_si(&samples, json_to_double(json_member(n, "samples"), 0));
    printf("%s%8.2f ms %3.0f%%%s %8" PRId64 " %8.*s  %.*s%s%s%.*s%s\n", heat(t, self),
           json_to_double(json_member(n, "timeMs"), 0),
           t->total_ms > 0 ? 100 * self / t->total_ms : 0, screen_plain(),
           json_to_int(json_member(n, "series"), 0), SA(buf_str(&samples)), SA(buf_str(&t->lead)),
           joint, screen_style(STYLE_BOLD), (int)MIN(label.n, (size_t)LABEL_MAX), label.p,
           screen_plain());
}

static void print_notes(const Tree *t, const Json *notes) {
    for (size_t i = 0; i < json_count(notes); i++) {
        printf("%36s%.*s%s  %.*s%s\n", "", SA(buf_str(&t->lead)), screen_style(STYLE_DIM),
               SA(json_to_str(json_item(notes, i))), screen_plain());
    }
}

static void print_node(Tree *t, const Json *n, bool root, bool last, int depth) {
    print_line(t, n, root ? "" : branch(last));
    size_t before = t->lead.n;
    buf_add_cstr(&t->lead, root ? "" : trunk(last));
    print_notes(t, json_member(n, "notes"));
    const Json *children = json_member(n, "children");
    size_t count = depth < DEPTH_MAX ? json_count(children) : 0;
    for (size_t i = 0; i < count; i++) {
        print_node(t, json_item(children, i), false, i + 1 == count, depth + 1);
    }
    t->lead.n = before;
}

static void print_plan(const Json *data) {
    const Json *totals = json_member(data, "totals");
    Tree t = {.total_ms = json_to_double(json_member(totals, "timeMs"), 0)};
    CLEANUP(buf_deinit) Buf samples = BUF_INIT(64);
    CLEANUP(buf_deinit) Buf bytes = BUF_INIT(64);
    number_format_si(&samples, json_to_double(json_member(totals, "samples"), 0));
    number_format_si(&bytes, json_to_double(json_member(totals, "peakBytes"), 0));
    printf("%.*s\n\n", SA(json_to_str(json_member(data, "query"))));
    printf("%s%11s %4s %8s %8s  part of the query%s\n", screen_style(STYLE_DIM), "time", "self",
           "series", "samples", screen_plain());
    print_node(&t, json_member(data, "plan"), true, true, 0);
    printf("\n%" PRId64 " series, %.*s samples read, %" PRId64 " steps, %.*sB memory, %.2f ms "
           "(%.2f ms of it planning)\n",
           json_to_int(json_member(totals, "series"), 0), SA(buf_str(&samples)),
           json_to_int(json_member(totals, "steps"), 0), SA(buf_str(&bytes)), t.total_ms,
           json_to_double(json_member(totals, "planMs"), 0));
    buf_deinit(&t.lead);
}

static int explain(const Query *q, Format format) {
    CLEANUP(buf_deinit) Buf form = BUF_INIT(0);
    CLEANUP(json_freep) Json *root = NULL;
    const Json *data;
    Problem p = {0};
    form_add(&form, "query", q->expr);
    if (q->range) {
        form_add_time(&form, "start", q->start_ms);
        form_add_time(&form, "end", q->end_ms);
        form_add_time(&form, "step", q->step_ms);
    } else {
        form_add_time(&form, "time", q->end_ms);
    }
    if (api_call(q->server, "/api/v1/query_explain", buf_str(&form), &root, &data, &p) < 0) {
        return query_tell_error(q->expr, p.text);
    }
    if (format == FORMAT_JSON) {
        result_print_json(data, stdout);
    } else {
        print_plan(data);
    }
    return EXIT_OK;
}

int cmd_query_explain(Args *a) {
    Query q = {.server = a->v[0], .expr = a->v[1]};
    Format format = take_format(a);
    if (!query_take_step(a, "--step", &q.step_ms) ||
        !query_take_time(a, "--end", query_now_ms(), &q.end_ms) ||
        !query_take_time(a, "--start", q.end_ms - 5 * 60000, &q.start_ms) ||
        !query_take_time(a, "--time", q.end_ms, &q.end_ms)) {
        return EXIT_USAGE;
    }
    q.range = q.step_ms > 0;
    return explain(&q, format);
}
