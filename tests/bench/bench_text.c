/*
 * Number text and patterns, the inner loops of scraping and of selecting: what the exact shortcut
 * of number_parse() saves against strtod(), and the byte-comparing patterns against RE2 proper.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/numtext.h"
#include "base/regex.h"

#define ROUNDS 2000000

static void report(const char *what, int64_t start) {
    printf("%-34s %7.1f ns\n", what, (double)(clock_mono_ns() - start) / ROUNDS);
}

static void bench_parse(const char *text) {
    Str s = str_of(text);
    double sum = 0, v = 0;
    char name[64];
    int64_t start = clock_mono_ns();
    for (int i = 0; i < ROUNDS; i++) {
        (void)number_parse(s, &v);
        sum += v;
    }
    snprintf(name, sizeof(name), "number_parse %s", text);
    report(name, start);
    start = clock_mono_ns();
    for (int i = 0; i < ROUNDS; i++) {
        sum += strtod(text, NULL);
    }
    snprintf(name, sizeof(name), "strtod       %s", text);
    report(name, start);
    if (sum == 1) {
        printf("\n"); /* the sum is used */
    }
}

static void bench_format(double v) {
    Buf b = BUF_INIT(0);
    char name[64];
    int64_t start = clock_mono_ns();
    for (int i = 0; i < ROUNDS; i++) {
        buf_reset(&b);
        number_format_json(&b, v);
    }
    snprintf(name, sizeof(name), "number_format_json %.*s", SA(buf_str(&b)));
    report(name, start);
    buf_deinit(&b);
}

static void bench_regex(const char *pattern, const char *text) {
    Regex *re = regex_new(str_of(pattern), 0, NULL);
    Str s = str_of(text);
    unsigned n = 0;
    char name[64];
    int64_t start = clock_mono_ns();
    for (int i = 0; i < ROUNDS; i++) {
        n += regex_match(re, s);
    }
    snprintf(name, sizeof(name), "/%s/ %s", pattern, n ? "matches" : "does not");
    report(name, start);
    regex_free(re);
}

int main(void) {
    static const char *numbers[] = {"1",       "1234567",       "0.25",
                                    "1.7e+09", "4.1568456e+07", "0.30000000000000004"};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        bench_parse(numbers[i]);
    }
    bench_format(123456);
    bench_format(0.123);
    bench_format(0.30000000000000004);
    bench_regex("web-1|web-2|web-3", "web-2");
    bench_regex("(?:web-1|web-2|web-3){1}", "web-2");
    bench_regex("web.*", "web-server-2");
    bench_regex("web[-].*", "web-server-2");
    return 0;
}
