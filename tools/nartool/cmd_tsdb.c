/* tsdb list|analyze|verify: looking at the blocks of a folder, beside a running server too. */
#include <inttypes.h>
#include <stdio.h>

#include "base/numtext.h"
#include "model/duration.h"
#include "nartool/tsdb_folder.h"

#define DEFAULT_DIR "data"

static const char *folder_of(const Args *a) { return a->n ? a->v[0].p : DEFAULT_DIR; }

/* The blocks of a folder; false when it cannot be listed (told). */
static bool list_blocks(const char *dir, Arena *arena, TsdbBlockInfo **ret, size_t *ret_n,
                        size_t *ret_bad) {
    int r = tsdb_folder_blocks(dir, arena, ret, ret_n, tell_bad_block, ret_bad);
    if (r < 0) {
        fail("%s: %s", dir, strerror(-r));
    }
    return r >= 0;
}

int cmd_tsdb_list(Args *a) {
    bool readable = args_switch(a, "--human-readable");
    Arena arena = ARENA_INIT(0);
    TsdbBlockInfo *blocks;
    size_t n, bad = 0;
    int code = EXIT_FAILED;
    if (list_blocks(folder_of(a), &arena, &blocks, &n, &bad)) {
        print_block_head(readable);
        for (size_t i = 0; i < n; i++) {
            print_block(&blocks[i], readable);
        }
        code = bad ? EXIT_FAILED : EXIT_OK;
    }
    arena_deinit(&arena);
    return code;
}

/* ---- verify */

static int verify_blocks(const char *dir, const Args *a, const TsdbBlockInfo *blocks, size_t n) {
    size_t checked = 0, damaged = 0;
    Progress progress = {.what = "verifying"};
    for (size_t i = 0; i < n && !atomic_load(&interrupted); i++) {
        if (a->n > 1 && !str_eqc(a->v[1], blocks[i].id)) {
            continue;
        }
        Problem p = {0};
        progress_show(&progress, i, n);
        int r = tsdb_folder_verify(dir, blocks[i].id, &interrupted, &p);
        if (r == -ECANCELED) {
            break;
        }
        progress_end(&progress);
        printf("%s  %s\n", blocks[i].id, r == 0 ? "ok" : "DAMAGED");
        if (r < 0) {
            char text[2048];
            fflush(stdout);
            fprintf(stderr, "error: %s\n", problem_format(&p, text, sizeof(text)));
            damaged++;
        }
        checked++;
    }
    progress_end(&progress);
    if (atomic_load(&interrupted)) {
        return fail("interrupted after %zu of %zu blocks", checked, n);
    }
    if (a->n > 1 && checked == 0) {
        return fail("%s: there is no block \"%.*s\"", dir, SA(a->v[1]));
    }
    printf("%zu blocks, %zu damaged\n", checked, damaged);
    return damaged ? EXIT_FAILED : EXIT_OK;
}

int cmd_tsdb_verify(Args *a) {
    watch_interrupt();
    Arena arena = ARENA_INIT(0);
    TsdbBlockInfo *blocks;
    size_t n, bad = 0;
    int code = EXIT_FAILED;
    if (list_blocks(folder_of(a), &arena, &blocks, &n, &bad)) {
        code = verify_blocks(folder_of(a), a, blocks, n);
        code = bad ? EXIT_FAILED : code;
    }
    arena_deinit(&arena);
    return code;
}

/* ---- analyze */

static void print_counts(const char *title, const TsdbCount *v, size_t n) {
    printf("\n%s:\n", title);
    for (size_t i = 0; i < n; i++) {
        printf("%" PRIu64 " %.*s\n", v[i].value, SA(v[i].name));
    }
}

static void print_churn(const char *title, const TsdbChurn *v, size_t n) {
    printf("\n%s:\n", title);
    for (size_t i = 0; i < n; i++) {
        printf("%.0f %.*s\n", v[i].uncovered, SA(v[i].name));
    }
}

static void print_analysis(const TsdbAnalysis *x) {
    const TsdbCardinality *c = &x->cardinality;
    CLEANUP(buf_deinit) Buf d = BUF_INIT(64);
    duration_format(&d, x->block.max_time - x->block.min_time);
    printf("Block ID: %s\nDuration: %s\nTotal Series: %" PRIu64 "\nLabel names: %" PRIu64
           "\nPostings (unique label pairs): %" PRIu64
           "\nPostings entries (total label pairs): %" PRIu64 "\n",
           x->block.id, buf_cstr(&d), x->block.series, x->label_names, x->label_pairs, x->entries);
    printf("Samples: %" PRIu64 "\nChunks: %" PRIu64 "\nBytes: %" PRIu64 " (%.3f a sample)\n",
           x->block.samples, x->block.chunks, x->block.bytes,
           x->block.samples ? (double)x->block.bytes / (double)x->block.samples : 0);
    print_churn("Label pairs most involved in churning", x->pairs, x->n_pairs);
    print_churn("Label names most involved in churning", x->names, x->n_names);
    print_counts("Most common label pairs", c->series_by_pair, c->n_series_by_pair);
    print_counts("Label names with highest cumulative label value length", c->bytes_by_label,
                 c->n_bytes_by_label);
    print_counts("Highest cardinality labels", c->values_by_label, c->n_values_by_label);
    print_counts("Highest cardinality metric names", c->series_by_metric, c->n_series_by_metric);
}

static int analyze(const char *dir, const char *id, size_t limit) {
    Arena arena = ARENA_INIT(0);
    TsdbAnalysis x;
    Problem p = {0};
    char text[2048];
    int r = tsdb_folder_analyze(dir, id, limit, &arena, &x, &p);
    if (r == 0) {
        print_analysis(&x);
    }
    arena_deinit(&arena);
    return r < 0 ? fail("%s", problem_format(&p, text, sizeof(text))) : EXIT_OK;
}

int cmd_tsdb_analyze(Args *a) {
    Str text = args_flag(a, "--limit");
    uint64_t limit = 20;
    if (text.p && !uint_parse(text, &limit)) {
        fail("--limit: expected a number, got \"%.*s\"", SA(text));
        return EXIT_USAGE;
    }
    if (a->n == 2) {
        return analyze(folder_of(a), a->v[1].p, limit);
    }
    Arena arena = ARENA_INIT(0);
    TsdbBlockInfo *blocks;
    size_t n, bad = 0;
    int code = EXIT_FAILED;
    if (list_blocks(folder_of(a), &arena, &blocks, &n, &bad)) {
        code = n ? analyze(folder_of(a), blocks[n - 1].id, limit)
                 : fail("%s: there is no block yet", folder_of(a));
    }
    arena_deinit(&arena);
    return code;
}
