/*
 * A page of 10,000 series scraped again and again into the head: CPU per million samples for what
 * is unchanged, for one that moves a line each time, and the bytes the line cache takes a series.
 * The storage is one that takes and forgets, so that only scraping is measured.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "scrape/scrape_page.h"

enum { SERIES = 10000, ROUNDS = 200 };

typedef struct Sink {
    Appender base;
    uint64_t n, refs;
} Sink;

static int sink_append(Appender *a, SeriesRef *ref, Labels labels, int64_t t, double v,
                       int64_t st) {
    Sink *s = (Sink *)a;
    if (!*ref)
        *ref = ++s->refs;
    s->n++;
    return APPEND_OK;
}

static const AppenderOps sink_ops = {.append = sink_append};

static void write_page(Buf *b, int round, bool moving) {
    buf_reset(b);
    for (int i = 0; i < SERIES; i++) {
        if (i % 10 == 0)
            buf_addf(b,
                     "# HELP http_requests_%d_total Number of requests.\n"
                     "# TYPE http_requests_%d_total counter\n",
                     i / 10, i / 10);
        if (moving && i == round % SERIES)
            buf_addf(b, "extra{round=\"%d\"} 1\n", round);
        buf_addf(b, "http_requests_%d_total{handler=\"/api/v1/query\",code=\"%d\"} %d\n", i / 10,
                 200 + i % 10, i * 13 + round);
    }
}

static void run(const char *name, bool moving) {
    static ScrapeConfig config; /* no relabelling, no limits */
    static const Label target[] = {{STR("instance"), STR("host.example:9100")},
                                   {STR("job"), STR("node")}};
    config.honor_timestamps = true;
    ScrapeCache cache = {0};
    Sink sink = {.base = {&sink_ops}};
    Buf body = BUF_INIT(0);
    int64_t cpu = 0;
    uint64_t samples = 0;
    for (int i = 0; i < ROUNDS; i++) {
        write_page(&body, i, moving);
        ScrapePage page = {.config = &config,
                           .target = {target, 2},
                           .cache = &cache,
                           .appender = &sink.base,
                           .t = 1000 + i};
        int64_t from = clock_thread_cpu_ns();
        int r = scrape_page_read(&page, EXPO_TEXT, buf_str(&body));
        if (r == 0)
            scrape_page_commit(&page);
        if (i > 0) {
            cpu += clock_thread_cpu_ns() - from;
            samples += page.counts.total;
        }
        scrape_page_deinit(&page);
    }
    printf("%-10s %.3f CPU s per million samples, cache %.1f B a series\n", name,
           (double)cpu / (double)samples / 1000.0,
           (double)(cache.n_text + cache.n * sizeof(CacheLine)) / (double)cache.n);
    scrape_cache_deinit(&cache);
    buf_deinit(&body);
}

int main(void) {
    run("unchanged", false);
    run("moving", true);
    return 0;
}
