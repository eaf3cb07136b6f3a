/*
 * A damaged block is refused or reads right: never a crash, never a wrong value. Method: a small
 * block's file is read, then written again with one byte changed, for each byte in turn; and cut
 * off at each size. What still opens must give every series and sample as they were, or an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "support/block_build.h"
#include "tsdb/block/block_format.h"
#include "tsdb/block/block_scrub.h"
#include "tsdb/block/block_seal.h"
#include "tsdb/block/bundle_writer.h"

static BlockShape tiny(void) {
    return (BlockShape){.dir = test_tmpdir(),
                        .metrics = 2,
                        .hosts = 3,
                        .min_time = 1000000,
                        .max_time = 1000000 + 600000,
                        .step = 5000,
                        .noise = true}; /* a bundle of several pages, beside those of the trees */
}

/* 0 when everything read and was right, the error else; a wrong value fails the test. */
static int read_all(Block *b, const BlockShape *shape) {
    Querier *q;
    SeriesSet *set = NULL;
    Series s;
    Matcher m;
    Problem p = {0};
    Arena a = ARENA_INIT(0);
    Warnings w = {.arena = &a};
    CHECK_INT(matcher_init(&m, MATCH_RE, STR("job"), STR("job.*"), &p), 0);
    CHECK_INT(block_querier(b, INT64_MIN, INT64_MAX, &q), 0);
    int r = querier_select(q, &m, 1, NULL, &w, &set);
    unsigned i = 0;
    SampleIter *it = NULL;
    while (r == 0 && (r = series_set_next(set, &s)) > 0) {
        unsigned metric = i / shape->hosts, host = i % shape->hosts;
        ShapeSeries want;
        CHECK(labels_eq(s.labels, shape_labels(metric, host, &want)));
        it = series_set_iter(set, &s, it);
        SampleRun run;
        int64_t t = shape->min_time;
        while ((r = sample_iter_next(it, &run)) > 0) {
            for (uint32_t k = 0; k < run.n; k++, t += shape->step) {
                CHECK_INT(run.t[k], t);
                CHECK_DOUBLE(run.f[k], shape_value(shape, metric, host, t));
            }
        }
        CHECK(r < 0 || t == shape->max_time);
        i++;
    }
    if (w.list.n) {
        CHECK(i == 0 && r == 0 && block_is_bad(b));
        r = -EBADMSG;
    }
    CHECK(r < 0 || i == shape->metrics * shape->hosts);
    warnings_free(&w);
    arena_deinit(&a);
    sample_iter_free(it);
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m);
    return r;
}

static void read_labels(Block *b) {
    Arena a = ARENA_INIT(0);
    Querier *q;
    StrVec v = {0};
    TsdbCardinality c;
    CHECK_INT(block_querier(b, INT64_MIN, INT64_MAX, &q), 0);
    int r = q->ops->label_values(q, STR("instance"), NULL, 0, 0, &a, NULL, &v);
    CHECK(r < 0 || v.n == 3);
    for (size_t i = 0; r == 0 && i < v.n; i++) {
        ShapeSeries s;
        CHECK_STR(v.v[i], shape_labels(0, (unsigned)i, &s).v[1].value);
    }
    r = block_cardinality(b, 10, &a, &c);
    CHECK(r < 0 || (c.n_series_by_metric == 2 && c.series_by_metric[0].value == 3));
    vec_free(&v);
    querier_close(q);
    arena_deinit(&a);
}

typedef struct Damaged {
    BlockShape shape;
    char id[BLOCK_ID_SIZE];
    char folder[512], file[600];
    Buf good;
} Damaged;

static void damaged_init(Damaged *d) {
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    d->shape = tiny();
    shape_write(&d->shape, d->id);
    snprintf(d->folder, sizeof(d->folder), "%s/%s", d->shape.dir, d->id);
    snprintf(d->file, sizeof(d->file), "%s/%s", d->folder, BLOCK_FILE);
    d->good = BUF_INIT(0);
    CHECK_INT(file_read_whole(d->file, 1 << 24, &d->good), 0);
}

/* True when the block opened and read without an error. */
static bool survives(Damaged *d) {
    Block *b;
    Problem p = {0};
    if (block_open(d->folder, &b, &p) < 0) {
        CHECK(p.text[0] && strstr(p.file, d->id));
        return false;
    }
    int r = read_all(b, &d->shape);
    read_labels(b);
    CHECK(r == 0 || block_is_bad(b));
    int v = block_verify(b, NULL, &p);
    CHECK(r == 0 || v < 0);
    block_unref(b);
    return r == 0 && v == 0;
}

static void put_byte(int fd, size_t at, char c) { CHECK_INT(file_pwrite(fd, &c, 1, at), 0); }

TEST (a_changed_byte_is_refused_or_harmless) {
    Damaged d;
    damaged_init(&d);
    CHECK(survives(&d));
    int fd, null;
    CHECK_INT(file_open("/dev/null", O_WRONLY, 0, &null), 0);
    log_set_fd(null);
    CHECK_INT(file_open(d.file, O_RDWR, 0, &fd), 0);
    size_t refused = 0;
    for (size_t at = 0; at < d.good.n; at++) {
        unsigned bit = at % 8;
        put_byte(fd, at, (char)(d.good.p[at] ^ (1 << bit)));
        refused += !survives(&d);
        put_byte(fd, at, d.good.p[at]);
    }
    CHECK(survives(&d));
    CHECK(refused > d.good.n / 2);
    file_close(fd);
    file_close(null);
    buf_deinit(&d.good);
}

TEST (a_file_cut_off_anywhere_is_refused) {
    Damaged d;
    damaged_init(&d);
    for (size_t size = 0; size < d.good.n; size += size < d.good.n - 200 ? 97 : 1) {
        CHECK_INT(file_write_durable(d.file, d.good.p, size, 0644), 0);
        CHECK(!survives(&d));
    }
    buf_deinit(&d.good);
}

TEST (a_damaged_block_answers_empty_with_a_warning) {
    Damaged d;
    damaged_init(&d);
    /* The first bundle's bytes: found by its checksum, kind and first chunk. */
    Block *b = shape_open(d.shape.dir, d.id);
    BlockCursor *c = block_cursor_new(b);
    BlockSeries s;
    Chunk chunk;
    CHECK_INT(block_cursor_next(c, &s), 1);
    CHECK_INT(block_cursor_chunk(c, 0, &chunk), 0);
    Str bundle = str_n((const char *)chunk.data - BUNDLE_HEADER, BUNDLE_HEADER + chunk.size);
    size_t at = str_find_str(buf_str(&d.good), bundle);
    CHECK(at < d.good.n);
    at += BUNDLE_HEADER;
    block_cursor_free(c);
    block_unref(b);
    int fd;
    CHECK_INT(file_open(d.file, O_RDWR, 0, &fd), 0);
    put_byte(fd, at, (char)(d.good.p[at] + 1));
    file_close(fd);
    b = shape_open(d.shape.dir, d.id);
    CHECK_INT(read_all(b, &d.shape), -EBADMSG); /* found while reading */
    CHECK(block_is_bad(b));
    Arena a = ARENA_INIT(0);
    Warnings w = {.arena = &a};
    StrVec v = {0};
    Querier *q;
    CHECK_INT(block_querier(b, INT64_MIN, INT64_MAX, &q), 0);
    CHECK_INT(q->ops->label_names(q, NULL, 0, 0, &a, &w, &v), 0);
    CHECK_INT(v.n, 0);
    CHECK_INT(w.list.n, 1);
    CHECK(str_find_str(w.list.v[0], STR("is damaged and was set aside")) < w.list.v[0].n);
    CHECK_INT(q->ops->label_names(q, NULL, 0, 0, &a, NULL, &v), -EBADMSG);
    querier_close(q);
    warnings_free(&w);
    arena_deinit(&a);
    block_unref(b);
    buf_deinit(&d.good);
}

/* A block that says it needs an encoding of a later version. */
static void write_foreign_block(const char *file) {
    BundleWriter w;
    Buf value = BUF_INIT(0);
    uint64_t tree_bytes;
    CHECK_INT(bundle_writer_init(&w, file), 0);
    value_begin(&value);
    buf_add_char(&value, CHUNK_XOR);
    buf_add_char(&value, 99);
    CHECK_INT(bundle_writer_value(&w, TABLE_META, META_ENCODINGS, &value), 0);
    CHECK_INT(bundle_writer_finish(&w, &tree_bytes), 0);
    CHECK_INT(block_seal_write(file, tree_bytes), 0);
    bundle_writer_deinit(&w);
    buf_deinit(&value);
}

TEST (an_unknown_encoding_is_refused_by_its_number) {
    Block *b;
    Problem p = {0};
    char *file = mem_printf("%s/%s", test_tmpdir(), BLOCK_FILE);
    write_foreign_block(file);
    CHECK_INT(block_open(test_tmpdir(), &b, &p), -EPROTONOSUPPORT);
    CHECK_CSTR(p.text, "block has chunks of encoding 99, which this program does not know");
    mem_free(file);
}

TEST (a_missing_block_is_told_by_its_name) {
    Block *b;
    Problem p = {0};
    CHECK_INT(block_open("/nowhere/at/all", &b, &p), -ENOENT);
    CHECK_CSTR(p.file, "/nowhere/at/all/block.mdb");
    CHECK_CSTR(p.text, "No such file or directory");
}

/* Each write, sync and rename of the writer fails in turn: an error, and nothing is left behind. */
TEST (a_failing_disk_makes_no_block) {
    for (FileOp op = FILE_OP_WRITE; op <= FILE_OP_RENAME; op++) {
        for (unsigned nth = 1; nth < 4; nth++) {
            FileFaultPlan plan = {.op = op, .nth = nth, .error = -EIO};
            BlockWriter *w;
            char id[BLOCK_ID_SIZE];
            Label l[] = {{STR("a"), STR("b")}};
            int64_t t = 1;
            double v = 1;
            CHECK_INT(
                block_writer_new(
                    &(BlockWriterOptions){.dir = test_tmpdir(), .min_time = 0, .max_time = 10}, &w),
                0);
            block_writer_symbols(w, (Labels){l, 1});
            CHECK_INT(block_writer_series(w, (Labels){l, 1}), 0);
            CHECK_INT(block_writer_samples(w, &t, &v, 1), 0);
            file_fault_set(file_fault_plan, &plan);
            int r = block_writer_finish(w, id);
            file_fault_set(NULL, NULL);
            CHECK(plan.seen >= nth ? r == -EIO : r == 0);
            block_writer_free(w);
        }
    }
}

/* LMDB writes without our files' hooks, so the limit is the system's: no file may grow past it. */
TEST (a_full_disk_makes_no_block) {
    BlockShape shape = tiny();
    shape.hosts = 2000;
    shape.noise = true;
    struct rlimit limit = {1 << 20, 1 << 20};
    signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
    BlockWriter *w;
    CHECK_INT(block_writer_new(&(BlockWriterOptions){.dir = shape.dir,
                                                     .min_time = shape.min_time,
                                                     .max_time = shape.max_time},
                               &w),
              0);
    ShapeSeries s;
    int r = 0;
    char id[BLOCK_ID_SIZE];
    for (unsigned i = 0; i < shape.hosts; i++) {
        block_writer_symbols(w, shape_labels(0, i, &s));
    }
    for (unsigned i = 0; i < shape.hosts && r == 0; i++) {
        r = block_writer_series(w, shape_labels(0, i, &s));
        for (int64_t t = shape.min_time; r == 0 && t < shape.max_time; t += 100) {
            double v = shape_value(&shape, 0, i, t);
            r = block_writer_samples(w, &t, &v, 1);
        }
    }
    r = r ? r : block_writer_finish(w, id);
    CHECK(r == -EFBIG || r == -EIO); /* LMDB calls a write that was cut short EIO */
    block_writer_free(w);
    CHECK_INT(rmdir(shape.dir), 0); /* nothing is left behind */
    CHECK_INT(mkdir(shape.dir, 0755), 0);
}

/* ---- a file that is cut off, or a disk that fails, under an open block ---- */

static char *file_of(const Block *b) { return mem_printf("%s/block.mdb", block_path(b)); }

TEST (a_file_cut_off_under_an_open_block_sets_it_aside) {
    for (int keep = 0; keep < 3; keep++) {
        BlockShape shape = {.dir = test_tmpdir(),
                            .metrics = 20,
                            .hosts = 30,
                            .min_time = 0,
                            .max_time = 7200000,
                            .step = 15000,
                            .noise = true};
        Block *b = shape_make(&shape);
        char *file = file_of(b);
        CHECK_INT(truncate(file, keep * (off_t)(block_meta(b)->bytes / 3)), 0);
        mem_free(file);
        Querier *q;
        SeriesSet *set = NULL;
        Matcher m;
        Problem p = {0};
        Arena a = ARENA_INIT(0);
        Warnings w = {.arena = &a};
        Series s;
        SampleRun run;
        int r = 0;
        CHECK_INT(matcher_init(&m, MATCH_RE, STR("instance"), STR("host-.*"), &p), 0);
        CHECK_INT(block_querier(b, INT64_MIN, INT64_MAX, &q), 0);
        CHECK_INT(querier_select(q, &m, 1, NULL, &w, &set), 0);
        while (r >= 0 && (r = series_set_next(set, &s)) > 0) {
            SampleIter *it = series_set_iter(set, &s, NULL);
            while ((r = sample_iter_next(it, &run)) > 0) {
                CHECK(run.n > 0);
            }
            sample_iter_free(it);
        }
        CHECK(r == -EBADMSG || w.list.n > 0);
        CHECK(block_is_bad(b));
        series_set_free(set);
        StrVec names = {0};
        CHECK_INT(q->ops->label_names(q, NULL, 0, 0, &a, &w, &names), 0);
        CHECK_INT(names.n, 0);
        CHECK(w.list.n > 0);
        querier_close(q);
        matcher_deinit(&m);
        CHECK_INT(block_verify(b, NULL, &p), -EBADMSG);
        warnings_free(&w);
        arena_deinit(&a);
        block_unref(b);
    }
}

TEST (a_scrub_reads_all_in_parts_and_finds_damage) {
    BlockShape shape = {.dir = test_tmpdir(),
                        .metrics = 20,
                        .hosts = 30,
                        .min_time = 0,
                        .max_time = 7200000,
                        .step = 15000,
                        .noise = true};
    Block *b = shape_make(&shape);
    BlockScrub s = {0};
    int calls = 0, r = 0;
    while (r == 0) {
        uint64_t budget = 100000;
        r = block_scrub(b, &s, &budget, NULL);
        calls++;
    }
    CHECK_INT(r, SCRUB_DONE);
    CHECK(calls > (int)(block_meta(b)->bytes / 100000 / 2) && calls < 200);
    char *file = file_of(b);
    int fd = open(file, O_WRONLY);
    CHECK(fd >= 0);
    CHECK_INT(pwrite(fd, "damage", 6, (off_t)(block_meta(b)->bytes / 2)), 6);
    close(fd);
    s = (BlockScrub){0};
    uint64_t budget = UINT64_MAX;
    CHECK_INT(block_scrub(b, &s, &budget, NULL), -EBADMSG);
    CHECK(block_is_bad(b));
    mem_free(file);
    block_unref(b);
}
