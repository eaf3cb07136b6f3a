#include "scrape/target.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "model/duration.h"

#define NAME_ADDRESS STR("__address__")
#define NAME_SCHEME STR("__scheme__")
#define NAME_PATH STR("__metrics_path__")
#define NAME_INTERVAL STR("__scrape_interval__")
#define NAME_TIMEOUT STR("__scrape_timeout__")
#define PREFIX_PARAM STR("__param_")
#define PREFIX_META STR("__meta_")

static Str duration_text(Arena *a, int64_t ms) {
    Buf b = BUF_INIT(0);
    duration_format(&b, ms);
    Str s = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return s;
}

static void set_missing(LabelsBuilder *b, Str name, Str value) {
    if (!labels_builder_get(b, name).n)
        labels_builder_set(b, name, value);
}

static void discovered_labels(LabelsBuilder *b, Arena *a, const ScrapeConfig *c,
                              const TargetGroup *group, Labels own) {
    labels_builder_reset(b, group->labels);
    for (size_t i = 0; i < own.n; i++)
        labels_builder_set(b, own.v[i].name, own.v[i].value);
    set_missing(b, LABEL_JOB, c->job_name);
    set_missing(b, NAME_INTERVAL, duration_text(a, c->settings.interval_ms));
    set_missing(b, NAME_TIMEOUT, duration_text(a, c->settings.timeout_ms));
    set_missing(b, NAME_PATH, c->metrics_path);
    set_missing(b, NAME_SCHEME, c->scheme);
    for (size_t i = 0; i < c->params.n; i++) {
        const ScrapeParam *p = &c->params.v[i];
        if (p->values.n)
            labels_builder_set(b, arena_printf(a, "__param_%.*s", SA(p->name)), p->values.v[0]);
    }
}

static int read_duration(LabelsBuilder *b, Str name, const char *what, int64_t *ret,
                         Problem *problem) {
    Problem why = {0};
    if (duration_parse(labels_builder_get(b, name), ret, &why) < 0)
        return problem_set(problem, 0, 0, "error parsing scrape %s: %s", what, why.text);
    if (*ret == 0)
        return problem_set(problem, 0, 0, "scrape %s cannot be 0", what);
    return 0;
}

/* As Go's ParseBool reads them; anything else makes the target invalid. */
static int check_flags(LabelsBuilder *b, Problem *problem) {
    static const char *const names[] = {"__scrape_native_histograms__",
                                        "__always_scrape_classic_histograms__",
                                        "__convert_classic_histograms_to_nhcb__"};
    static const char words[] = " 1 t T TRUE true True 0 f F FALSE false False ";
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        Str value = labels_builder_get(b, str_of(names[i]));
        char word[16];
        (void)snprintf(word, sizeof(word), " %.*s ", (int)MIN(value.n, (size_t)12),
                       value.p ? value.p : "");
        if (value.n && !strstr(words, word))
            return problem_set(problem, 0, 0, "error parsing label %s: \"%.*s\" is not a boolean",
                               names[i], SA(value));
    }
    return 0;
}

static int check(TargetSpec *t, LabelsBuilder *b, Problem *problem) {
    Str address = labels_builder_get(b, NAME_ADDRESS);
    if (!address.n)
        return problem_set(problem, 0, 0, "no address");
    if (str_find(address, '/') < address.n)
        return problem_set(problem, 0, 0, "\"%.*s\" is not a valid hostname", SA(address));
    int r = read_duration(b, NAME_INTERVAL, "interval", &t->interval_ms, problem);
    if (r == 0)
        r = read_duration(b, NAME_TIMEOUT, "timeout", &t->timeout_ms, problem);
    if (r == 0 && t->timeout_ms > t->interval_ms)
        r = problem_set(problem, 0, 0,
                        "scrape timeout cannot be greater than scrape interval (\"%.*s\" > "
                        "\"%.*s\")",
                        SA(labels_builder_get(b, NAME_TIMEOUT)),
                        SA(labels_builder_get(b, NAME_INTERVAL)));
    return r < 0 ? r : check_flags(b, problem);
}

static void without_meta(LabelsBuilder *b) {
    size_t kept = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (!str_starts(b->v[i].name, PREFIX_META))
            b->v[kept++] = b->v[i];
    }
    b->n = kept;
}

static Labels public_labels(Arena *a, Labels all) {
    Label *v = ARENA_ARRAY(a, Label, all.n ? all.n : 1);
    size_t n = 0;
    for (size_t i = 0; i < all.n; i++) {
        if (!str_starts(all.v[i].name, STR("__")))
            v[n++] = all.v[i];
    }
    return (Labels){v, n};
}

/* ---- the URL */

static void add_escaped(Buf *b, Str s, const char *safe) {
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        bool plain = (ch >= '0' && ch <= '9') || (ch >= 'A' && ch <= 'Z') ||
                     (ch >= 'a' && ch <= 'z') || (ch && strchr(safe, ch));
        if (plain)
            buf_add_char(b, (char)ch);
        else if (ch == ' ' && !strchr(safe, '/'))
            buf_add_char(b, '+');
        else
            buf_addf(b, "%%%02X", ch);
    }
}

typedef struct Param {
    Str name, value;
    size_t order;
} Param;

static int by_param(const void *a, const void *b) {
    const Param *x = a, *y = b;
    int r = str_cmp(x->name, y->name);
    return r ? r : (x->order > y->order) - (x->order < y->order);
}

/* The job's parameters with the first value of each as relabelling left it, sorted by name. */
static size_t collect_params(Arena *a, const ScrapeConfig *c, Labels all, Param **ret) {
    size_t max = all.n, n = 0;
    for (size_t i = 0; i < c->params.n; i++)
        max += c->params.v[i].values.n;
    Param *v = ARENA_ARRAY(a, Param, max ? max : 1);
    for (size_t i = 0; i < c->params.n; i++) {
        const ScrapeParam *p = &c->params.v[i];
        Str label = arena_printf(a, "__param_%.*s", SA(p->name));
        for (size_t k = 0; k < p->values.n; k++) {
            bool relabelled = k == 0 && labels_has(all, label);
            if (!relabelled)
                v[n++] = (Param){p->name, p->values.v[k], k};
        }
    }
    for (size_t i = 0; i < all.n; i++) {
        if (str_starts(all.v[i].name, PREFIX_PARAM))
            v[n++] = (Param){str_from(all.v[i].name, PREFIX_PARAM.n), all.v[i].value, 0};
    }
    qsort(v, n, sizeof(*v), by_param);
    *ret = v;
    return n;
}

static Str make_url(Arena *a, const ScrapeConfig *c, Labels all) {
    Buf b = BUF_INIT(0);
    Param *params;
    Str path = labels_get(all, NAME_PATH);
    buf_addf(&b, "%.*s://%.*s%s", SA(labels_get(all, NAME_SCHEME)),
             SA(labels_get(all, NAME_ADDRESS)), path.n && !str_starts(path, STR("/")) ? "/" : "");
    add_escaped(&b, path, "-_.~/$&+,:;=@!*'()");
    size_t n = collect_params(a, c, all, &params);
    for (size_t i = 0; i < n; i++) {
        buf_add_char(&b, i ? '&' : '?');
        add_escaped(&b, params[i].name, "-_.~");
        buf_add_char(&b, '=');
        add_escaped(&b, params[i].value, "-_.~");
    }
    Str url = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return url;
}

static void finish(TargetSpec *t, const ScrapeConfig *c, LabelsBuilder *b) {
    without_meta(b);
    set_missing(b, LABEL_INSTANCE, labels_builder_get(b, NAME_ADDRESS));
    t->all = labels_copy(&t->arena, labels_builder_view(b));
    t->labels = public_labels(&t->arena, t->all);
    t->url = make_url(&t->arena, c, t->all);
    t->unix_socket = labels_get(t->all, STR("__unix_socket__"));
    t->interval_text = labels_get(t->all, NAME_INTERVAL);
    t->hash = labels_hash(t->all) ^ hash_xxh64(t->url.p, t->url.n);
}

TargetOutcome target_spec_init(TargetSpec *t, const ScrapeConfig *c, const TargetGroup *group,
                               Labels own, Problem *problem) {
    *t = (TargetSpec){0};
    LabelsBuilder b = {0};
    Arena scratch = ARENA_INIT(0);
    TargetOutcome outcome = TARGET_OK;
    discovered_labels(&b, &scratch, c, group, own);
    t->discovered = labels_copy(&t->arena, labels_builder_view(&b));
    if (!relabel_apply(c->relabel.v, c->relabel.n, &b, &scratch))
        outcome = TARGET_DROPPED;
    else if (check(t, &b, problem) < 0)
        outcome = TARGET_INVALID;
    else
        finish(t, c, &b);
    labels_builder_deinit(&b);
    arena_deinit(&scratch);
    return outcome;
}

void target_spec_deinit(TargetSpec *t) { arena_deinit(&t->arena); }

int64_t target_next_tick(const TargetSpec *t, uint64_t seed, int64_t now_ms) {
    int64_t offset = (int64_t)((t->hash ^ seed) % (uint64_t)t->interval_ms);
    int64_t base = now_ms - now_ms % t->interval_ms + offset;
    while (base <= now_ms)
        base += t->interval_ms;
    while (base - t->interval_ms > now_ms)
        base -= t->interval_ms;
    return base;
}
