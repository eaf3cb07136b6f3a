#include "nartool/tsdb_folder.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/numtext.h"
#include "model/duration.h"
#include "promql/promql.h"

#define SETS_MAX 64

atomic_bool interrupted;

static void on_interrupt(int signal) { atomic_store(&interrupted, true); }

void watch_interrupt(void) {
    struct sigaction act = {.sa_handler = on_interrupt, .sa_flags = SA_RESETHAND};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
}

/* ---- flags */

bool take_time_ms(Args *a, const char *name, int64_t otherwise, int64_t *ret) {
    Str text = args_flag(a, name);
    Problem p = {0};
    *ret = otherwise;
    if (!text.p || int_parse(text, ret) || time_parse(text, ret, &p) == 0) {
        return true;
    }
    if (text.p[0] == '-' && duration_parse(str_from(text, 1), ret, &p) == 0) {
        *ret = clock_wall_ms() - *ret;
        return true;
    }
    fail("%s: expected milliseconds since 1970, RFC3339 or a time before now such as -30d, got "
         "\"%.*s\"",
         name, SA(text));
    return false;
}

bool take_duration(Args *a, const char *name, int64_t otherwise, int64_t *ret) {
    Str text = args_flag(a, name);
    Problem p = {0};
    *ret = otherwise;
    if (!text.p || (duration_parse(text, ret, &p) == 0 && *ret > 0)) {
        return true;
    }
    fail("%s: expected a duration such as 2h, got \"%.*s\"", name, SA(text));
    return false;
}

static bool add_selector(Selection *s, Str text) {
    Problem p = {0};
    Matcher *m;
    size_t n;
    if (s->n_sets == SETS_MAX) {
        fail("--match: more than %d", SETS_MAX);
        return false;
    }
    if (promql_parse_selector(text, &s->arena, &m, &n, &p) < 0) {
        CLEANUP(buf_deinit) Buf b = BUF_INIT(4096);
        promql_problem_print(&p, &b);
        fail("--match: \"%.*s\": %s", SA(text), buf_cstr(&b));
        return false;
    }
    s->sets[s->n_sets++] = (TsdbSelector){m, n};
    return true;
}

bool take_selection(Args *a, Selection *ret) {
    *ret = (Selection){.arena = ARENA_INIT(0)};
    ret->sets = ARENA_ARRAY(&ret->arena, TsdbSelector, SETS_MAX);
    if (!take_time_ms(a, "--min-time", TIME_MIN_MS, &ret->min_time) ||
        !take_time_ms(a, "--max-time", TIME_MAX_MS, &ret->max_time)) {
        return false;
    }
    for (Str text; (text = args_flag(a, "--match")).p;) {
        if (!add_selector(ret, text)) {
            return false;
        }
    }
    return ret->n_sets || add_selector(ret, STR("{__name__=~\"(?s:.*)\"}"));
}

void selection_deinit(Selection *s) {
    for (size_t i = 0; i < s->n_sets; i++) {
        for (size_t k = 0; k < s->sets[i].n; k++) {
            matcher_deinit((Matcher *)&s->sets[i].v[k]);
        }
    }
    arena_deinit(&s->arena);
}

int64_t range_start(int64_t t, int64_t range_ms) {
    int64_t r = t % range_ms;
    return t - (r < 0 ? r + range_ms : r);
}

/* ---- folders */

static void pass_over(void *arg, const Problem *p) {}

/* A folder of imported blocks that no server has opened yet has no `format` of its own. */
static bool is_database(const char *dir) {
    CLEANUP(mem_freep) char *format = mem_printf("%s/format", dir);
    Arena arena = ARENA_INIT(0);
    TsdbBlockInfo *blocks;
    size_t n = 0;
    bool found = file_exists(format) ||
                 (tsdb_folder_blocks(dir, &arena, &blocks, &n, pass_over, NULL) == 0 && n > 0);
    arena_deinit(&arena);
    return found;
}

Tsdb *open_database(const char *dir) {
    Problem p = {0};
    Tsdb *db;
    char text[2048];
    if (!is_database(dir)) {
        fail("%s: not a database of Narthex", dir);
        return NULL;
    }
    int r = tsdb_open(&(TsdbOptions){.dir = dir}, &db, &p);
    if (r < 0) {
        fail("%s%s", p.text[0] ? problem_format(&p, text, sizeof(text)) : strerror(-r),
             r == -EWOULDBLOCK ? "; take a snapshot and use that, or stop the server" : "");
        return NULL;
    }
    return db;
}

void tell_bad_block(void *count, const Problem *p) {
    char text[2048];
    fprintf(stderr, "error: %s\n", problem_format(p, text, sizeof(text)));
    (*(size_t *)count)++;
}

/* ---- tables */

static void print_time(int64_t ms, bool readable) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(64);
    if (readable) {
        time_format_rfc3339(&b, ms);
    } else {
        buf_addf(&b, "%" PRId64, ms);
    }
    printf("%-*s  ", readable ? 24 : 14, buf_cstr(&b));
}

static void print_size(uint64_t bytes, bool readable) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double v = (double)bytes;
    size_t u = 0;
    while (readable && v >= 1024 && u + 1 < ARRAY_LEN(units)) {
        v /= 1024;
        u++;
    }
    if (readable) {
        printf("%.*f %s\n", u ? 1 : 0, v, units[u]);
    } else {
        printf("%" PRIu64 "\n", bytes);
    }
}

void print_block_head(bool readable) {
    int w = readable ? 24 : 14;
    printf("%-26s  %-*s  %-*s  %-9s  %5s  %12s  %10s  %9s  %s\n", "BLOCK ULID", w, "MIN TIME", w,
           "MAX TIME", "DURATION", "LEVEL", "NUM SAMPLES", "NUM CHUNKS", "NUM SERIES", "SIZE");
}

void print_block(const TsdbBlockInfo *b, bool readable) {
    CLEANUP(buf_deinit) Buf d = BUF_INIT(64);
    duration_format(&d, b->max_time - b->min_time);
    printf("%-26s  ", b->id);
    print_time(b->min_time, readable);
    print_time(b->max_time, readable);
    printf("%-9s  %5d  %12" PRIu64 "  %10" PRIu64 "  %9" PRIu64 "  ", buf_cstr(&d), b->level,
           b->samples, b->chunks, b->series);
    print_size(b->bytes, readable);
}

void print_report(const TransferReport *r, bool readable) {
    printf("%s  ", r->id);
    print_time(r->min_time, readable);
    print_time(r->max_time, readable);
    printf("%12" PRIu64 " samples  %9" PRIu64 " series  ", r->samples, r->series);
    print_size(r->bytes, readable);
}
