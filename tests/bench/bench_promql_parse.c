/* Queries parsed and type-checked a second, one core: short ones as dashboards send them, and one
 * text of a megabyte. */
#include <stdio.h>

#include "base/clock.h"
#include "promql/parser/ast.h"

static const PromqlOptions options = {.duration_expr = true};

static const char *const queries[] = {
    "up",
    "rate(http_requests_total[5m])",
    "sum by (job) (rate(http_requests_total[5m]))",
    "node_load1{instance=\"a:9100\",job=\"node\"} > 2",
    "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
    "100 * (1 - avg by (instance) (irate(node_cpu_seconds_total{mode=\"idle\"}[5m])))",
};

static double now_s(void) { return (double)clock_mono_ns() / 1e9; }

static void parse(Arena *a, Str query) {
    Node *n;
    Problem p = {0};
    if (promql_parse(&options, query, a, &n, &p) == 0)
        ast_free_matchers(n);
    arena_reset(a);
}

static void bench_short(Arena *a) {
    const int rounds = 200000;
    double start = now_s();
    for (int i = 0; i < rounds; i++)
        parse(a, str_of(queries[(size_t)i % ARRAY_LEN(queries)]));
    printf("short queries: %.0f a second\n", rounds / (now_s() - start));
}

static void bench_long(Arena *a, const char *what, const char *begin, const char *part) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_add_cstr(&b, begin);
    while (b.n < 1 << 20)
        buf_add_cstr(&b, part);
    double start = now_s();
    parse(a, buf_str(&b));
    printf("1 MB of %s: %.1f ms\n", what, (now_s() - start) * 1000);
}

int main(void) {
    Arena a = ARENA_INIT(0);
    bench_short(&a);
    bench_long(&a, "sums", "", "up + ");
    bench_long(&a, "parentheses", "", "(");
    bench_long(&a, "signs", "", "- ");
    bench_long(&a, "arguments", "label_join(", "\"a\", ");
    bench_long(&a, "matchers", "up{", "a!=\"b\",");
    arena_deinit(&a);
    return 0;
}
