/*
 * Pictures for terminals. A plot is a grid of cells with 2 by 4 dots each (Unicode's braille
 * patterns, U+2800 + a bit a dot); where UTF-8 is not shown a cell has one letter of its series.
 *
 *   bits of a cell:  0 3      a line: 1.2k ┤⠀⠀⢀⡠⠔⠒⠉
 *                    1 4              600 ┤⡠⠊⠁
 *                    2 5                0 ┼────────
 *                    6 7                   12:00    12:05
 */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/vec.h"
#include "model/duration.h"
#include "nartool/result.h"
#include "nartool/screen.h"

#define LABEL_WIDTH 8
#define SPARK_WIDTH 40
#define LEGEND_MAX 16
#define MINUTE 60000

typedef struct Grid {
    unsigned width, height; /* cells */
    uint8_t *dots;          /* a cell */
    uint8_t *series;        /* a cell: 1 + the last one that drew there */
    int64_t t0, t1;
    double low, high;
} Grid;

static const char *const markers = "*+ox#@%&";

/* ---- bounds */

static void bound_series(const Json *values, Grid *g) {
    for (size_t i = 0; i < json_count(values); i++) {
        const Json *point = json_item(values, i);
        double v = result_number(point);
        int64_t t = result_time(point);
        g->t0 = MIN(g->t0, t);
        g->t1 = MAX(g->t1, t);
        if (isfinite(v)) {
            g->low = fmin(g->low, v);
            g->high = fmax(g->high, v);
        }
    }
}

/* Zero belongs to the picture unless all values are far from it. */
static bool find_bounds(const Json *result, Grid *g) {
    g->t0 = INT64_MAX, g->t1 = INT64_MIN;
    g->low = INFINITY, g->high = -INFINITY;
    for (size_t i = 0; i < json_count(result); i++) {
        bound_series(json_member(json_item(result, i), "values"), g);
    }
    if (g->low > g->high) {
        return false;
    }
    double span = g->high - g->low;
    if (g->low > 0 && g->low < span) {
        g->low = 0;
    } else if (g->high < 0 && -g->high < span) {
        g->high = 0;
    }
    if (!(span > 0)) {
        g->low -= g->low ? fabs(g->low) / 2 : 1;
        g->high += g->high ? fabs(g->high) / 2 : 1;
    }
    g->t1 += g->t1 == g->t0;
    return true;
}

/* ---- drawing */

static void dot(Grid *g, int x, int y, size_t series) {
    static const uint8_t bits[4][2] = {{0, 3}, {1, 4}, {2, 5}, {6, 7}};
    if (x < 0 || y < 0 || x >= (int)g->width * 2 || y >= (int)g->height * 4) {
        return;
    }
    size_t cell = (size_t)(y / 4) * g->width + (size_t)(x / 2);
    g->dots[cell] |= (uint8_t)(1u << bits[y % 4][x % 2]);
    g->series[cell] = (uint8_t)(1 + series % SCREEN_SERIES);
}

/* Bresenham's. */
static void line(Grid *g, int x0, int y0, int x1, int y1, size_t series) {
    int dx = abs(x1 - x0), dy = -abs(y1 - y0), sx = x0 < x1 ? 1 : -1, sy = y0 < y1 ? 1 : -1;
    for (int err = dx + dy;;) {
        dot(g, x0, y0, series);
        if (x0 == x1 && y0 == y1) {
            return;
        }
        int twice = 2 * err;
        if (twice >= dy) {
            err += dy;
            x0 += sx;
        }
        if (twice <= dx) {
            err += dx;
            y0 += sy;
        }
    }
}

/* Points further apart than twice the usual step are not joined: something is missing there. */
static int64_t usual_step(const Json *values) {
    int64_t least = INT64_MAX;
    for (size_t i = 1; i < json_count(values); i++) {
        least =
            MIN(least, result_time(json_item(values, i)) - result_time(json_item(values, i - 1)));
    }
    return least;
}

static void draw_series(Grid *g, const Json *values, size_t series) {
    int64_t step = usual_step(values), last_t = 0;
    int last_x = 0, last_y = 0;
    bool joined = false;
    for (size_t i = 0; i < json_count(values); i++) {
        const Json *point = json_item(values, i);
        double v = result_number(point);
        int64_t t = result_time(point);
        if (!isfinite(v)) {
            joined = false;
            continue;
        }
        int x = (int)((double)(t - g->t0) / (double)(g->t1 - g->t0) * (g->width * 2 - 1) + 0.5);
        int y = (int)((g->high - v) / (g->high - g->low) * (g->height * 4 - 1) + 0.5);
        joined = joined && t - last_t <= 2 * step;
        line(g, joined ? last_x : x, joined ? last_y : y, x, y, series);
        last_x = x, last_y = y, last_t = t, joined = true;
    }
}

/* ---- printing */

static void print_cell(const Grid *g, size_t at, FILE *out) {
    uint8_t dots = g->dots[at], series = g->series[at];
    if (!dots) {
        fputc(' ', out);
        return;
    }
    fputs(screen_series(series - 1u), out);
    if (screen()->utf8) {
        /* U+2800 + dots in UTF-8 */
        fprintf(out, "\xe2%c%c", 0xa0 | dots >> 6, 0x80 | (dots & 0x3f));
    } else {
        fputc(markers[(series - 1u) % SCREEN_SERIES], out);
    }
    fputs(screen_plain(), out);
}

static void print_scale(const Grid *g, unsigned row, FILE *out) {
    bool named = row % 4 == 0 || row + 1 == g->height;
    CLEANUP(buf_deinit) Buf b = BUF_INIT(64);
    if (named) {
        number_format_si(&b, g->high - (g->high - g->low) * row / (g->height - 1));
    }
    const char *axis = !screen()->utf8 ? (named ? " +" : " |") : named ? " ┤" : " │";
    fprintf(out, "%*.*s%s", LABEL_WIDTH, SA(buf_str(&b)), axis);
}

static void time_short(Buf *b, int64_t t, int64_t span) {
    CLEANUP(buf_deinit) Buf full = BUF_INIT(64);
    time_format_rfc3339(&full, t - t % 1000);
    /* 2026-01-02T03:04:05Z */
    Str s = buf_str(&full);
    if (s.n < 19) {
        buf_add_str(b, s);
    } else if (span > INT64_C(2) * 24 * 60 * MINUTE) {
        buf_addf(b, "%.*s", 10, s.p);
    } else {
        buf_addf(b, "%.*s", span > 120 * MINUTE ? 5 : 8, s.p + 11);
    }
}

static void print_times(const Grid *g, FILE *out) {
    fprintf(out, "%*s  ", LABEL_WIDTH, "");
    unsigned at = 0;
    for (unsigned i = 0; i <= 4; i++) {
        CLEANUP(buf_deinit) Buf b = BUF_INIT(64);
        time_short(&b, g->t0 + (g->t1 - g->t0) * i / 4, g->t1 - g->t0);
        unsigned want = g->width * i / 4, n = (unsigned)b.n;
        want = i == 4 ? g->width - MIN(n, g->width) : want - MIN(want, i ? n / 2 : 0);
        bool room = i == 0 || i == 4 || want + 2 * n < g->width;
        if (room && (i == 0 || want > at)) {
            fprintf(out, "%*s%.*s", (int)(want - MIN(at, want)), "", SA(buf_str(&b)));
            at = want + n;
        }
    }
    fprintf(out, " UTC\n");
}

static void print_grid(const Grid *g, FILE *out) {
    for (unsigned row = 0; row < g->height; row++) {
        print_scale(g, row, out);
        unsigned last = g->width;
        while (last > 0 && !g->dots[row * g->width + last - 1]) {
            last--;
        }
        for (unsigned x = 0; x < last; x++) {
            print_cell(g, (size_t)row * g->width + x, out);
        }
        fputc('\n', out);
    }
    print_times(g, out);
}

/* What a person should not see raw: control characters. */
static void print_name(const Json *series, unsigned width, FILE *out) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    result_add_metric(&b, json_member(series, "metric"), ", ");
    for (size_t i = 0; i < b.n; i++) {
        b.p[i] = (unsigned char)b.p[i] < 0x20 || b.p[i] == 0x7f ? '?' : b.p[i];
    }
    size_t n = MIN(b.n, (size_t)width);
    while (n < b.n && n > 0 && ((unsigned char)b.p[n] & 0xc0) == 0x80) {
        n--;
    }
    fprintf(out, "%.*s%s", (int)n, b.p, n < b.n ? "..." : "");
}

static void print_legend(const Json *result, FILE *out) {
    size_t n = json_count(result);
    for (size_t i = 0; i < MIN(n, (size_t)LEGEND_MAX); i++) {
        const Json *values = json_member(json_item(result, i), "values");
        if (screen()->color && screen()->utf8) {
            fprintf(out, "  %s━━%s ", screen_series(i), screen_plain());
        } else {
            fprintf(out, "  %c  ", markers[i % SCREEN_SERIES]);
        }
        print_name(json_item(result, i), screen()->width > 40 ? screen()->width - 25 : 20, out);
        if (json_count(values)) {
            CLEANUP(buf_deinit) Buf b = BUF_INIT(64);
            number_format_si(&b, result_number(json_item(values, json_count(values) - 1)));
            fprintf(out, "  %s%.*s%s", screen_style(STYLE_BOLD), SA(buf_str(&b)), screen_plain());
        }
        fputc('\n', out);
    }
    if (n > LEGEND_MAX) {
        fprintf(out, "  and %zu more\n", n - LEGEND_MAX);
    }
}

static void plot_lines(const Json *result, FILE *out) {
    unsigned width = screen()->width, height = screen()->height;
    Grid g = {.width = width > LABEL_WIDTH + 20 ? width - LABEL_WIDTH - 7 : 20,
              .height = MAX(MIN(height / 2, 20u), 8u)};
    if (!find_bounds(result, &g)) {
        fprintf(stderr, "no number to draw\n");
        return;
    }
    size_t cells = (size_t)g.width * g.height;
    g.dots = NEW_ARRAY(uint8_t, cells);
    g.series = NEW_ARRAY(uint8_t, cells);
    for (size_t i = json_count(result); i-- > 0;) {
        draw_series(&g, json_member(json_item(result, i), "values"), i);
    }
    print_grid(&g, out);
    print_legend(result, out);
    mem_free(g.dots);
    mem_free(g.series);
}

/* ---- bars: eighths of a cell */

static void print_bar(double part, unsigned width, size_t series, FILE *out) {
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    unsigned n = (unsigned)(fmin(fmax(part, 0), 1) * width * 8 + 0.5);
    fputs(screen_series(series), out);
    for (unsigned i = 0; i < n / 8; i++) {
        fputs(screen()->utf8 ? "█" : "#", out);
    }
    fprintf(out, "%s%s\n", screen()->utf8 ? eighths[n % 8] : "", screen_plain());
}

static void plot_bars(const Json *result, FILE *out) {
    double most = 0;
    unsigned width = MAX(screen()->width, 60u) / 2;
    for (size_t i = 0; i < json_count(result); i++) {
        double v = result_number(json_member(json_item(result, i), "value"));
        most = isfinite(v) ? fmax(most, fabs(v)) : most;
    }
    for (size_t i = 0; i < json_count(result); i++) {
        double v = result_number(json_member(json_item(result, i), "value"));
        CLEANUP(buf_deinit) Buf b = BUF_INIT(64);
        number_format_si(&b, v);
        print_name(json_item(result, i), screen()->width - 3, out);
        fprintf(out, "\n%*.*s ", LABEL_WIDTH, SA(buf_str(&b)));
        print_bar(most > 0 && !isnan(v) ? fabs(v) / most : 0, width, i, out);
    }
}

void plot_print(const Json *data, FILE *out) {
    const Json *result = json_member(data, "result");
    if (json_count(result)) {
        (result_is_matrix(data) ? plot_lines : plot_bars)(result, out);
    }
}

/* ---- sparklines */

/* The mean of the points that fall into a column. */
static void spark_columns(const Json *values, double *ret, size_t n) {
    size_t points = json_count(values);
    for (size_t c = 0; c < n; c++) {
        double sum = 0;
        size_t from = c * points / n, to = MAX((c + 1) * points / n, from + 1), used = 0;
        for (size_t i = from; i < to; i++) {
            double v = result_number(json_item(values, i));
            sum += isfinite(v) ? v : 0;
            used += isfinite(v);
        }
        ret[c] = used ? sum / (double)used : NAN;
    }
}

static Str spark_text(Arena *a, const Json *values, double *ret_low, double *ret_high) {
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char ascii[] = "_.-=+*%#";
    double v[SPARK_WIDTH], low = INFINITY, high = -INFINITY;
    size_t n = MIN(json_count(values), (size_t)SPARK_WIDTH);
    spark_columns(values, v, n);
    for (size_t i = 0; i < n; i++) {
        low = isnan(v[i]) ? low : fmin(low, v[i]);
        high = isnan(v[i]) ? high : fmax(high, v[i]);
    }
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    for (size_t i = 0; i < n; i++) {
        unsigned level =
            high > low && !isnan(v[i]) ? (unsigned)((v[i] - low) / (high - low) * 7.99) : 0;
        buf_addf(&b, "%.*s", isnan(v[i]) || !screen()->utf8 ? 1 : 3,
                 isnan(v[i])      ? " "
                 : screen()->utf8 ? blocks[level]
                                  : &ascii[level]);
    }
    *ret_low = low;
    *ret_high = high;
    return arena_str(a, buf_str(&b));
}

static Str si_text(Arena *a, double v) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(64);
    if (isfinite(v)) {
        number_format_si(&b, v);
    }
    return arena_str(a, buf_str(&b));
}

static void spark_row(Table *t, const Json *series) {
    const Json *values = json_member(series, "values");
    size_t n = json_count(values);
    double low, high;
    Str *row = table_row(t), spark = spark_text(t->arena, values, &low, &high);
    table_set_labels(t, row, json_member(series, "metric"));
    row[table_column(t, STR("trend"))] = spark;
    row[table_column(t, STR("min"))] = si_text(t->arena, low);
    row[table_column(t, STR("max"))] = si_text(t->arena, high);
    row[table_column(t, STR("last"))] =
        n ? si_text(t->arena, result_number(json_item(values, n - 1))) : STR_NULL;
}

void spark_print(const Json *data, FILE *out) {
    const Json *result = json_member(data, "result");
    if (!result_is_matrix(data)) {
        plot_print(data, out);
        return;
    }
    static const char *const columns[] = {"trend", "min", "max", "last"};
    Arena arena = ARENA_INIT(0);
    Table t = {.arena = &arena, .value_columns = ARRAY_LEN(columns)};
    for (size_t i = 0; i < json_count(result); i++) {
        table_add_label_columns(&t, json_member(json_item(result, i), "metric"));
    }
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        table_column(&t, str_of(columns[i]));
    }
    for (size_t i = 0; i < json_count(result); i++) {
        spark_row(&t, json_item(result, i));
    }
    table_print(&t, TABLE_ALIGNED, out);
    table_deinit(&t);
    arena_deinit(&arena);
}
