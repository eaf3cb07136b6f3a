/* /labels, /label/NAME/values, /series: from the index, on a query worker. */
#include <stdlib.h>

#include "api/handlers.h"
#include "api/params.h"
#include "api/reply.h"
#include "base/utf8.h"

#define LIST_BYTES_MAX (UINT64_C(1) << 30)

typedef struct SeriesJob {
    Api *api;
    HttpExchange *x;
    int64_t start, end;
    uint64_t limit;
    MatcherSets sets;
    Str label; /* of label values */
    void (*answer)(struct SeriesJob *job, Querier *q, Arena *arena, Warnings *w);
} SeriesJob;

static void run_job(void *arg) {
    SeriesJob *job = arg;
    Querier *q;
    int r = storage_querier(job->api->storage, job->start, job->end, &q);
    if (r == -EAGAIN) {
        reply_error(job->x, API_BUSY,
                    "the server is starting: the newest series are still being read from the "
                    "journal");
    } else if (r < 0) {
        reply_error(job->x, API_INTERNAL, "opening the storage: %s", strerror(-r));
    } else {
        Arena arena = ARENA_INIT(LIST_BYTES_MAX);
        Warnings w = {.arena = &arena};
        MatcherSets sets =
            job->sets; /* the job lies in the exchange's arena, which goes with the answer */
        job->answer(job, q, &arena, &w);
        matcher_sets_deinit(&sets);
        querier_close(q);
        warnings_free(&w);
        arena_deinit(&arena);
    }
}

/* Reads what the three have in common and hands over to a worker. */
static SeriesJob *read_job(Api *api, HttpExchange *x) {
    SeriesJob *job = ARENA_NEW(&x->arena, SeriesJob);
    job->api = api;
    job->x = x;
    if (!param_time(x, "start", TIME_MIN_MS, &job->start) ||
        !param_time(x, "end", TIME_MAX_MS, &job->end) || !param_limit(x, "limit", &job->limit) ||
        !param_matchers(x, "match[]", &job->sets)) {
        return NULL;
    }
    return job;
}

static void reply_failure(HttpExchange *x, int r, const Arena *arena) {
    if (r == -ECANCELED) {
        reply_error(x, API_CANCELED, "the client has gone");
    } else if (arena->failed) {
        reply_error(x, API_EXECUTION,
                    "the answer would take more than %llu MiB; narrow it with "
                    "match[], start, end or limit",
                    (unsigned long long)(LIST_BYTES_MAX >> 20));
    } else {
        reply_error(x, API_INTERNAL, "reading the index: %s", strerror(-r));
    }
}

static void sort_unique(StrVec *v) {
    if (v->n < 2) {
        return;
    }
    qsort(v->v, v->n, sizeof(*v->v), str_qsort_cmp);
    size_t n = 1;
    for (size_t i = 1; i < v->n; i++) {
        if (!str_eq(v->v[i], v->v[n - 1])) {
            v->v[n++] = v->v[i];
        }
    }
    v->n = n;
}

/* Label names, or values when job->label is set, of one selector or of everything. */
static int list_of(SeriesJob *job, Querier *q, const struct MatcherSet *set, Arena *arena,
                   Warnings *w, StrVec *ret) {
    const Matcher *m = set ? set->v : NULL;
    size_t n = set ? set->n : 0;
    return job->label.n ? q->ops->label_values(q, job->label, m, n, job->limit, arena, w, ret)
                        : q->ops->label_names(q, m, n, job->limit, arena, w, ret);
}

static void answer_list(SeriesJob *job, Querier *q, Arena *arena, Warnings *w) {
    StrVec all = {0};
    int r = 0;
    if (job->sets.n == 0) {
        r = list_of(job, q, NULL, arena, w, &all);
    }
    for (size_t i = 0; i < job->sets.n && r == 0; i++) {
        StrVec some = {0};
        r = list_of(job, q, &job->sets.sets[i], arena, w, &some);
        for (size_t k = 0; k < some.n; k++) {
            vec_push(&all, some.v[k]);
        }
        vec_free(&some);
    }
    if (r < 0) {
        reply_failure(job->x, r, arena);
    } else {
        sort_unique(&all);
        if (job->limit && all.n > job->limit) {
            all.n = (size_t)job->limit;
            if (w->list.n == 0) {
                warnings_add(w, "results truncated due to limit");
            }
        }
        Reply reply;
        reply_begin(&reply, job->x);
        reply_strings(&reply, all.v, all.n);
        reply_end_warnings(&reply, w);
    }
    vec_free(&all);
}

void api_labels(HttpExchange *x, void *arg) {
    SeriesJob *job = read_job(arg, x);
    if (job) {
        job->answer = answer_list;
        work_submit(job->api->queries, run_job, NULL, job);
    }
}

/* Undoes the "values" escaping: U__http_2e_status -> http.status; anything else stays as it is. */
static Str unescape_name(Str name, Arena *a) {
    if (!str_starts(name, STR("U__"))) {
        return name;
    }
    Str rest = str_from(name, 3);
    char *out = arena_alloc_bytes(a, rest.n + 1);
    size_t n = 0;
    while (rest.n) {
        if (rest.p[0] != '_') {
            out[n++] = rest.p[0];
            rest = str_from(rest, 1);
        } else if (str_starts(rest, STR("__"))) {
            out[n++] = '_';
            rest = str_from(rest, 2);
        } else {
            Str hex = str_from(rest, 1);
            size_t end = str_find(hex, '_');
            char digits[9] = {0}, *stop;
            if (end == 0 || end == hex.n || end > 6) {
                return name;
            }
            memcpy(digits, hex.p, end);
            unsigned long rune = strtoul(digits, &stop, 16);
            char utf8[4];
            size_t size = utf8_encode((uint32_t)rune, utf8);
            if (*stop || size > end + 2) {
                return name;
            }
            memcpy(out + n, utf8, size);
            n += size;
            rest = str_from(hex, end + 1);
        }
    }
    return (Str){out, n};
}

void api_label_values(HttpExchange *x, void *arg) {
    Str name = unescape_name(x->wildcard, &x->arena);
    if (!label_name_valid_utf8(name)) {
        reply_error(x, API_BAD_DATA, "invalid label name: \"%.*s\"", SA(name));
        return;
    }
    SeriesJob *job = read_job(arg, x);
    if (job) {
        job->label = name;
        job->answer = answer_list;
        work_submit(job->api->queries, run_job, NULL, job);
    }
}

static int labels_qsort_cmp(const void *a, const void *b) {
    return labels_cmp(*(const Labels *)a, *(const Labels *)b);
}

typedef VEC(Labels) LabelsVec;

static int collect_series(SeriesJob *job, Querier *q, const struct MatcherSet *m, Arena *arena,
                          Warnings *w, LabelsVec *all) {
    SelectHints hints = {.mint = job->start,
                         .maxt = job->end,
                         .series_only = true,
                         .func = STR("series"),
                         .sorted = job->sets.n > 1,
                         .cancel = &job->x->gone,
                         .limit = job->limit ? job->limit + 1 : 0};
    SeriesSet *set;
    int r = querier_select(q, m->v, m->n, &hints, w, &set);
    if (r < 0) {
        return r;
    }
    Series s;
    while ((r = series_set_next(set, &s)) > 0) {
        Labels copy = labels_copy(arena, s.labels);
        if (arena->failed) {
            r = -ENOMEM;
            break;
        }
        vec_push(all, copy);
    }
    series_set_free(set);
    return r;
}

static void answer_series(SeriesJob *job, Querier *q, Arena *arena, Warnings *w) {
    LabelsVec all = {0};
    int r = 0;
    for (size_t i = 0; i < job->sets.n && r == 0; i++) {
        r = collect_series(job, q, &job->sets.sets[i], arena, w, &all);
    }
    if (r < 0) {
        reply_failure(job->x, r, arena);
        vec_free(&all);
        return;
    }
    if (all.n) {
        qsort(all.v, all.n, sizeof(*all.v), labels_qsort_cmp);
    }
    Reply reply;
    reply_begin(&reply, job->x);
    buf_add_char(&reply.b, '[');
    uint64_t given = 0;
    for (size_t i = 0; i < all.n && reply_room(&reply); i++) {
        if (i && labels_eq(all.v[i], all.v[i - 1])) {
            continue;
        }
        if (job->limit && given == job->limit) {
            warnings_add(w, "results truncated due to limit");
            break;
        }
        if (given++) {
            buf_add_char(&reply.b, ',');
        }
        reply_labels(&reply.b, all.v[i]);
    }
    buf_add_char(&reply.b, ']');
    reply_end_warnings(&reply, w);
    vec_free(&all);
}

void api_series(HttpExchange *x, void *arg) {
    SeriesJob *job = read_job(arg, x);
    if (job && job->sets.n == 0) {
        reply_error(x, API_BAD_DATA, "no match[] parameter provided");
    } else if (job) {
        job->answer = answer_series;
        work_submit(job->api->queries, run_job, NULL, job);
    }
}
