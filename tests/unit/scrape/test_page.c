/*
 * The cached way against the plain one. Pages are changed at random (the seed is printed): lines
 * inserted, taken out, moved, doubled, values and comments changed. After each the cached reading
 * must append exactly what a reading without a cache appends, and mark stale exactly what was there
 * before and is not now.
 */
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "scrape/scrape_page.h"
#include "support/test.h"

enum { LINES_MAX = 60 };

/* Takes samples and remembers, a series, the value of this round. */
typedef struct Recorder {
    Appender base;
    StrMap refs; /* labels as text -> ref */
    Arena arena;
    double value[4096];
    bool has[4096], stale[4096];
    uint64_t n, forget_below; /* refs up to this one are not known any more */
    int answer;               /* instead of APPEND_OK */
} Recorder;

static int record(Appender *a, SeriesRef *ref, Labels labels, int64_t t, double v, int64_t st) {
    Recorder *r = (Recorder *)a;
    if (*ref && *ref <= r->forget_below)
        return APPEND_UNKNOWN_REF;
    if (!*ref) {
        Buf text = BUF_INIT(0);
        labels_format(labels, &text);
        Str key = arena_str(&r->arena, buf_str(&text));
        uintptr_t known = (uintptr_t)str_map_get(&r->refs, key);
        if (!known || known <= r->forget_below) {
            known = ++r->n;
            *str_map_put(&r->refs, key, NULL) = (void *)known;
        }
        *ref = known;
        buf_deinit(&text);
    }
    if (r->answer)
        return r->answer;
    if (is_stale_nan(v))
        r->stale[*ref] = true;
    else if (r->has[*ref])
        return APPEND_DUPLICATE;
    else
        r->value[*ref] = v;
    r->has[*ref] |= !is_stale_nan(v);
    return APPEND_OK;
}

static const AppenderOps record_ops = {.append = record};

static uint64_t random_state;
static unsigned rnd(unsigned n) {
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(random_state >> 33) % n;
}

typedef struct Page {
    int series[LINES_MAX];
    int n;
} Page;

static void mutate(Page *p) {
    for (unsigned k = rnd(4); k > 0; k--) {
        int at = p->n ? (int)rnd((unsigned)p->n) : 0;
        switch (rnd(4)) {
        case 0: /* insert, maybe a double */
            if (p->n < LINES_MAX) {
                memmove(&p->series[at + 1], &p->series[at], sizeof(int) * (size_t)(p->n++ - at));
                p->series[at] = (int)rnd(40);
            }
            break;
        case 1:
            if (p->n)
                memmove(&p->series[at], &p->series[at + 1], sizeof(int) * (size_t)(--p->n - at));
            break;
        case 2:
            if (p->n) {
                int other = (int)rnd((unsigned)p->n), was = p->series[at];
                p->series[at] = p->series[other];
                p->series[other] = was;
            }
            break;
        default: p->n = rnd(30) ? p->n : 0;
        }
    }
}

static void write_page(const Page *p, Buf *b, unsigned round) {
    buf_reset(b);
    for (int i = 0; i < p->n; i++) {
        int s = p->series[i];
        if (s % 5 == 0)
            buf_addf(b, "# HELP m%d text %u\n# TYPE m%d %s\n", s, rnd(9) ? 0 : round, s,
                     s % 10 ? "counter" : "histogram");
        if (s % 7 == 3) /* the same series in two spellings */
            buf_addf(b, rnd(2) ? "m%d{a=\"1\",b=\"2\"} " : "m%d{b=\"2\", a=\"1\"} ", s);
        else
            buf_addf(b, s % 10 ? "m%d " : "m%d_bucket{le=\"1\"} ", s);
        buf_addf(b, "%u\n", s * 1000 + round % 1000);
    }
}

static int read_into(Recorder *r, ScrapeCache *cache, const ScrapeConfig *config, Str body) {
    ScrapePage page = {.config = config, .cache = cache, .appender = &r->base, .t = 1000};
    memset(r->has, 0, sizeof(r->has));
    memset(r->stale, 0, sizeof(r->stale));
    int e = scrape_page_read(&page, EXPO_TEXT, body);
    if (e == 0)
        scrape_page_commit(&page);
    scrape_page_deinit(&page);
    return e;
}

TEST (a_cached_reading_appends_what_a_plain_one_does) {
    static Recorder r = {.base = {&record_ops}};
    static bool before[4096], want[4096];
    ScrapeConfig config = {.honor_timestamps = true};
    ScrapeCache cache = {0};
    Page page = {.n = 0};
    Buf body = BUF_INIT(0);
    random_state = (uint64_t)getpid() * 2654435761u;
    printf("# seed %llu\n", (unsigned long long)random_state);
    for (unsigned round = 0; round < 3000; round++) {
        mutate(&page);
        write_page(&page, &body, round);
        ScrapeCache none = {0};
        CHECK_INT(read_into(&r, &none, &config, buf_str(&body)), 0);
        static double values[4096];
        memcpy(want, r.has, sizeof(want));
        memcpy(values, r.value, sizeof(values));
        scrape_cache_deinit(&none);
        CHECK_INT(read_into(&r, &cache, &config, buf_str(&body)), 0);
        for (uint64_t i = 1; i <= r.n; i++) {
            if (r.has[i] != want[i] || (want[i] && r.value[i] != values[i]) ||
                r.stale[i] != (before[i] && !want[i]))
                test_fail(__FILE__, __LINE__, "round %u: series %llu: %d %d, stale %d", round,
                          (unsigned long long)i, r.has[i], want[i], r.stale[i]);
        }
        memcpy(before, want, sizeof(before));
    }
    scrape_cache_deinit(&cache);
    buf_deinit(&body);
    str_map_deinit(&r.refs);
    arena_deinit(&r.arena);
}

TEST (series_that_left_the_head_are_made_again_and_remembered) {
    static Recorder r = {.base = {&record_ops}};
    ScrapeConfig config = {.honor_timestamps = true};
    ScrapeCache cache = {0};
    Str body = STR("a 1\nb{x=\"y\"} 2\n");
    CHECK_INT(read_into(&r, &cache, &config, body), 0);
    r.forget_below = r.n;
    CHECK_INT(read_into(&r, &cache, &config, body), 0);
    CHECK_INT(r.n, 4);
    CHECK(r.has[3] && r.has[4] && cache.lines[0].ref == 3 && cache.lines[1].ref == 4);
    CHECK_INT(read_into(&r, &cache, &config, body), 0);
    CHECK_INT(r.n, 4);
    scrape_cache_deinit(&cache);
    str_map_deinit(&r.refs);
    arena_deinit(&r.arena);
}

TEST (samples_the_storage_does_not_take_are_counted_and_the_scrape_goes_on) {
    static Recorder r = {.base = {&record_ops}, .answer = APPEND_OUT_OF_ORDER};
    ScrapeConfig config = {.honor_timestamps = true};
    ScrapeCache cache = {0};
    ScrapePage page = {.config = &config, .cache = &cache, .appender = &r.base, .t = 1000};
    CHECK_INT(scrape_page_read(&page, EXPO_TEXT, STR("a 1\nb 2\nc 3 99999999999999\n")), 0);
    CHECK_INT(page.counts.out_of_order, 2);
    CHECK_INT(page.counts.out_of_bounds, 1);
    CHECK_INT(page.counts.total, 3);
    CHECK_INT(page.counts.series_added, 0);
    scrape_page_deinit(&page);
    r.answer = -EIO;
    ScrapePage failing = {.config = &config, .cache = &cache, .appender = &r.base, .t = 1000};
    CHECK_INT(scrape_page_read(&failing, EXPO_TEXT, STR("a 1\n")), -EIO);
    scrape_page_deinit(&failing);
    scrape_cache_deinit(&cache);
    str_map_deinit(&r.refs);
    arena_deinit(&r.arena);
}

TEST (legacy_names_and_missing_names_fail_the_scrape) {
    static Recorder r = {.base = {&record_ops}};
    ScrapeConfig config = {.settings = {.validation_scheme = STR("legacy")}};
    ScrapeCache cache = {0};
    ScrapePage page = {.config = &config, .cache = &cache, .appender = &r.base, .t = 1000};
    CHECK_INT(scrape_page_read(&page, EXPO_TEXT, STR("{\"a.b\"} 1\n")), -EINVAL);
    CHECK(strstr(page.error, "invalid metric name or label names: a.b") != NULL);
    scrape_page_deinit(&page);
    scrape_cache_deinit(&cache);
    str_map_deinit(&r.refs);
    arena_deinit(&r.arena);
}
