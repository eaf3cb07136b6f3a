/* tsdb import prometheus|openmetrics, create-blocks-from openmetrics|rules: samples from elsewhere
 * as blocks of a folder. */
#include <inttypes.h>
#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/numtext.h"
#include "model/duration.h"
#include "model/expo.h"
#include "nartool/rule_backfill.h"
#include "nartool/tsdb_folder.h"

#define RANGE_MS (2 * 3600 * 1000)
#define FILE_BYTES_MAX (UINT64_C(64) << 30)
/* A block is gathered in memory: one of two hours, or as many of them as stay below this. */
#define SAMPLES_A_BLOCK 4000000
#define RANGE_MAX_MS (INT64_C(31) * 24 * 3600 * 1000)
#define LABELS_MAX 64

/* ---- Prometheus */

static int import_one(const char *block, const char *dir, bool readable, size_t *ret_known) {
    Problem p = {0};
    Progress progress = {.what = "importing"};
    Transfer how = {progress_show, &progress, &interrupted};
    TransferReport report;
    char text[2048];
    int r = tsdb_import_prometheus(block, dir, &how, &report, &p);
    progress_end(&progress);
    if (r == TRANSFER_DONE) {
        print_report(&report, readable);
        fflush(stdout);
    } else if (r == TRANSFER_KNOWN) {
        (*ret_known)++;
    } else if (r == -ECANCELED) {
        return fail("interrupted; run it again to go on");
    } else if (r < 0) {
        return fail("%s", problem_format(&p, text, sizeof(text)));
    }
    return EXIT_OK;
}

static int import_all(const char *from, const char *dir, bool readable) {
    Arena arena = ARENA_INIT(0);
    StrVec blocks = {0};
    size_t known = 0;
    int code = EXIT_OK;
    int r = tsdb_folder_prometheus(from, &arena, &blocks);
    if (r < 0 || blocks.n == 0) {
        code = fail("%s: %s", from, r < 0 ? strerror(-r) : "no block of Prometheus is there");
    }
    for (size_t i = 0; i < blocks.n && code == EXIT_OK; i++) {
        CLEANUP(mem_freep) char *path = str_dup(blocks.v[i]);
        code = import_one(path, dir, readable, &known);
    }
    if (known) {
        printf("%zu of %zu blocks were there already\n", known, blocks.n);
    }
    vec_free(&blocks);
    arena_deinit(&arena);
    return code;
}

static bool make_folder(const char *dir) {
    int r = file_make_folder(dir);
    if (r < 0) {
        fail("%s: %s", dir, strerror(-r));
    }
    return r == 0;
}

int cmd_tsdb_import_prometheus(Args *a) {
    bool readable = args_switch(a, "--human-readable");
    watch_interrupt();
    return make_folder(a->v[1].p) ? import_all(a->v[0].p, a->v[1].p, readable) : EXIT_FAILED;
}

/* ---- OpenMetrics */

typedef struct Page {
    const char *name;
    Str body;
    ExpoFormat format;
    Label added[LABELS_MAX]; /* --label */
    size_t n_added;
    int64_t min_time, max_time;
    uint64_t samples;
} Page;

/* An exposition without its end is taken as the text format, whose times are milliseconds. */
static ExpoFormat format_of(Str body) {
    return str_ends(str_trim(body), STR("# EOF")) ? EXPO_OPENMETRICS : EXPO_TEXT;
}

static bool page_failed(const Page *p, const Problem *problem) {
    fail("%s:%d:%d: %s", p->name, problem->line, problem->column, problem->text);
    return false;
}

/* First pass: which times there are. */
static bool scan_page(Page *page) {
    ExpoParser p;
    int r;
    page->min_time = INT64_MAX;
    page->max_time = INT64_MIN;
    expo_init(&p, page->format, page->body);
    while ((r = expo_next(&p)) > 0) {
        if (r != EXPO_SAMPLE) {
            continue;
        }
        if (!p.has_t) {
            fail("%s: the sample \"%.*s\" has no time; a back-fill needs one for each", page->name,
                 SA(p.series));
            return false;
        }
        page->min_time = MIN(page->min_time, p.t);
        page->max_time = MAX(page->max_time, p.t);
        page->samples++;
    }
    return r == 0 || page_failed(page, &p.problem);
}

static bool sample_labels(const Page *page, const ExpoParser *p, Arena *a, Labels *ret) {
    Label *found, *v;
    size_t n;
    Str duplicate;
    if (!expo_series_labels(page->format, p->type, p->series, a, &found, &n)) {
        return false;
    }
    v = ARENA_ARRAY(a, Label, n + page->n_added + 1);
    memcpy(v, page->added, page->n_added * sizeof(Label));
    memcpy(v + page->n_added, found, n * sizeof(Label));
    if (labels_from_pairs(v, n + page->n_added, ret, &duplicate)) {
        return true;
    }
    fail("%s: \"%.*s\": the label %.*s is there twice", page->name, SA(p->series), SA(duplicate));
    return false;
}

/* A further pass for each block: what falls into it. */
static bool gather(const Page *page, TsdbBackfill *fill) {
    ExpoParser p;
    Arena arena = ARENA_INIT(0);
    bool fine = true;
    expo_init(&p, page->format, page->body);
    for (int r; fine && (r = expo_next(&p)) > 0;) {
        if (r != EXPO_SAMPLE) {
            continue;
        }
        Labels l;
        fine = sample_labels(page, &p, &arena, &l);
        if (fine) {
            tsdb_backfill_add(fill, l, p.t, p.value);
        }
        arena_reset(&arena);
    }
    arena_deinit(&arena);
    return fine;
}

/* Long ranges for thin data, so that a year of few samples is neither thousands of passes nor of
 * blocks. */
static int64_t range_for(const Page *page) {
    int64_t range = RANGE_MS, span = page->max_time - page->min_time + 1;
    while (range * 3 <= RANGE_MAX_MS && span > range * 3 &&
           (double)page->samples * (double)(range * 3) / (double)span < SAMPLES_A_BLOCK) {
        range *= 3;
    }
    return range;
}

static int fill_blocks(const Page *page, const char *dir, bool readable, bool quiet) {
    int64_t range = range_for(page);
    Progress progress = {.what = "importing"};
    for (int64_t t = range_start(page->min_time, range); t <= page->max_time; t += range) {
        if (atomic_load(&interrupted)) {
            return fail("interrupted; the blocks listed above are complete");
        }
        progress_show(&progress, (uint64_t)(t - page->min_time + range) / (uint64_t)range,
                      (uint64_t)(page->max_time - page->min_time) / (uint64_t)range + 1);
        TsdbBackfill *fill = tsdb_backfill_new(t, t + range);
        TransferReport report;
        bool fine = gather(page, fill);
        int r = fine ? tsdb_backfill_write(fill, dir, &report) : 0;
        tsdb_backfill_free(fill);
        progress_end(&progress);
        if (!fine) {
            return EXIT_FAILED;
        }
        if (r < 0) {
            return fail("%s: %s", dir, strerror(-r));
        }
        if (r == TRANSFER_DONE && !quiet) {
            print_report(&report, readable);
            fflush(stdout);
        }
    }
    return EXIT_OK;
}

static bool take_labels(Args *a, Page *page) {
    for (Str text; (text = args_flag(a, "--label")).p;) {
        size_t at = str_find(text, '=');
        Str name = str_upto(text, at);
        if (at == text.n || !label_name_valid_utf8(name) || page->n_added == LABELS_MAX) {
            fail("--label: expected NAME=VALUE, at most %d times, got \"%.*s\"", LABELS_MAX,
                 SA(text));
            return false;
        }
        page->added[page->n_added++] = (Label){name, str_from(text, at + 1)};
    }
    return true;
}

static int import_page(Page *page, const char *dir, bool readable, bool quiet) {
    CLEANUP(buf_deinit) Buf text = BUF_INIT(FILE_BYTES_MAX);
    int r = file_read_whole(page->name, FILE_BYTES_MAX, &text);
    if (r < 0) {
        return fail("%s: %s", page->name, strerror(-r));
    }
    page->body = buf_str(&text);
    page->format = format_of(page->body);
    if (!scan_page(page)) {
        return EXIT_FAILED;
    }
    if (page->samples == 0) {
        return fail("%s: there is no sample", page->name);
    }
    return make_folder(dir) ? fill_blocks(page, dir, readable, quiet) : EXIT_FAILED;
}

int cmd_tsdb_import_openmetrics(Args *a) {
    Page page = {0};
    bool readable = args_switch(a, "--human-readable"), quiet = args_switch(a, "--quiet");
    if (!take_labels(a, &page)) {
        return EXIT_USAGE;
    }
    watch_interrupt();
    page.name = a->v[0].p;
    return import_page(&page, a->n > 1 ? a->v[1].p : "data", readable, quiet);
}

/* ---- rules */

int cmd_tsdb_create_from_rules(Args *a) {
    RuleBackfill b = {.readable = args_switch(a, "--human-readable"),
                      .quiet = args_switch(a, "--quiet"),
                      .step_ms = 60000,
                      .dir = "data"};
    Str url = args_flag(a, "--url"), dir = args_flag(a, "--output-dir");
    b.url = url.p ? url : STR("http://localhost:9090");
    b.dir = dir.p ? dir.p : b.dir;
    if (!take_time_ms(a, "--start", INT64_MIN, &b.start_ms) ||
        !take_time_ms(a, "--end", INT64_MIN, &b.end_ms) ||
        !take_duration(a, "--eval-interval", b.step_ms, &b.step_ms)) {
        return EXIT_USAGE;
    }
    if (b.start_ms == INT64_MIN) {
        fail("--start is missing");
        return EXIT_USAGE;
    }
    watch_interrupt();
    return make_folder(b.dir) ? rule_backfill_run(&b, a) : EXIT_FAILED;
}
