/* check service-discovery: the targets of a job as they are found, and what relabelling makes of
 * them. */
#include <stdio.h>

#include "config/config.h"
#include "format/json.h"
#include "nartool/nartool.h"
#include "nartool/query.h"
#include "scrape/target.h"

#define TIMEOUT_MS 30000

typedef struct Finding {
    Loop *loop;
    const ScrapeConfig *job;
    Buf out;
    size_t n;
    bool found;
} Finding;

static void add_labels(Buf *b, const char *key, Labels l, bool comma) {
    buf_addf(b, "    \"%s\": {", key);
    for (size_t i = 0; i < l.n; i++) {
        buf_add_cstr(b, i ? ",\n      " : "\n      ");
        json_quote(b, l.v[i].name);
        buf_add_cstr(b, ": ");
        json_quote(b, l.v[i].value);
    }
    buf_addf(b, "%s}%s\n", l.n ? "\n    " : "", comma ? "," : "");
}

static void add_target(Finding *f, const TargetGroup *group, Labels own) {
    TargetSpec t = {0};
    Problem p = {0};
    TargetOutcome outcome = target_spec_init(&t, f->job, group, own, &p);
    buf_addf(&f->out, "%s  {\n", f->n++ ? ",\n" : "");
    add_labels(&f->out, "discoveredLabels", t.discovered, true);
    add_labels(&f->out, "labels", outcome == TARGET_OK ? t.all : LABELS_EMPTY,
               outcome == TARGET_INVALID);
    if (outcome == TARGET_INVALID) {
        buf_add_cstr(&f->out, "    \"error\": ");
        json_quote(&f->out, str_of(p.text));
        buf_add_char(&f->out, '\n');
    }
    buf_add_cstr(&f->out, "  }");
    target_spec_deinit(&t);
}

static void on_groups(void *arg, Str set, TargetGroup *const *groups, size_t n) {
    Finding *f = arg;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < groups[i]->n; k++) {
            add_target(f, groups[i], groups[i]->targets[k]);
        }
    }
    f->found = true;
    loop_stop(f->loop);
}

static void on_timeout(void *arg) { loop_stop(arg); }

static int discover(Finding *f, int64_t timeout_ms) {
    WorkPool *pool = NULL;
    HttpClient *client = NULL;
    LoopTimer timer;
    int r = work_pool_new(f->loop, "discovery", 1, &pool);
    if (r == 0) {
        r = http_client_new(f->loop, &client);
    }
    if (r == 0) {
        Discovery *d = discovery_new(&(DiscoveryOptions){.loop = f->loop,
                                                         .pool = pool,
                                                         .client = client,
                                                         .name = "scrape",
                                                         .on_groups = on_groups,
                                                         .arg = f});
        DiscoverySet set = {f->job->job_name, &f->job->sd};
        loop_timer_init(&timer, f->loop, on_timeout, f->loop);
        loop_timer_after(&timer, timeout_ms);
        discovery_apply(d, &set, 1);
        loop_run(f->loop);
        loop_timer_stop(&timer);
        discovery_free(d);
    }
    http_client_free(client);
    work_pool_free(pool);
    return r;
}

static int print_targets(const ScrapeConfig *job, int64_t timeout_ms) {
    Finding f = {.job = job};
    int r = loop_new(&f.loop);
    if (r < 0) {
        return fail("starting: %s", strerror(-r));
    }
    r = discover(&f, timeout_ms);
    loop_free(f.loop);
    if (r == 0) {
        printf(f.n ? "[\n%.*s\n]\n" : "[]\n%.*s", SA(buf_str(&f.out)));
    }
    buf_deinit(&f.out);
    return r < 0     ? fail("starting: %s", strerror(-r))
           : f.found ? EXIT_OK
                     : fail("no target group was found within the timeout");
}

static const ScrapeConfig *find_job(const Config *c, Str name) {
    for (size_t i = 0; i < c->n_scrape; i++) {
        if (str_eq(c->scrape[i]->job_name, name)) {
            return c->scrape[i];
        }
    }
    fprintf(stderr, "Job %.*s not found. Select one of:\n", SA(name));
    for (size_t i = 0; i < c->n_scrape; i++) {
        fprintf(stderr, "\t%.*s\n", SA(c->scrape[i]->job_name));
    }
    return NULL;
}

int cmd_check_discovery(Args *a) {
    int64_t timeout;
    Config *c = NULL;
    Problem p = {0};
    char text[2048];
    if (!query_take_step(a, "--timeout", &timeout)) {
        return EXIT_USAGE;
    }
    if (config_load_file(a->v[0].p, 0, &c, &p) < 0) {
        return fail("cannot load config: %s", problem_format(&p, text, sizeof(text)));
    }
    const ScrapeConfig *job = find_job(c, a->v[1]);
    int code = job ? print_targets(job, timeout ? timeout : TIMEOUT_MS) : EXIT_FAILED;
    config_unref(c);
    return code;
}
