/* Exemplars and metadata: the ring's rules, records, and that both are there after reopening, also
 * when the journal was trimmed meanwhile. */
#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "support/test.h"
#include "tsdb/journal/journal_notes.h"
#include "tsdb/notes/exemplars.h"
#include "tsdb/notes/families.h"
#include "tsdb/tsdb.h"

#define RANGE INT64_C(60000)

static Labels series(Label l[2], const char *value) {
    l[0] = (Label){LABEL_NAME, STR("m")};
    l[1] = (Label){STR("s"), str_of(value)};
    return (Labels){l, 2};
}

static Exemplar exemplar(Label l[1], const char *trace, double v, int64_t t) {
    l[0] = (Label){STR("trace_id"), str_of(trace)};
    return (Exemplar){.labels = {l, 1}, .value = v, .t = t, .has_t = true};
}

static int add(Exemplars *e, const char *s, const char *trace, double v, int64_t t) {
    Label a[2], b[1];
    Exemplar x = exemplar(b, trace, v, t);
    return exemplars_add(e, series(a, s), &x);
}

/* "a:t1@5 t2@6;b:..." of everything in the range. */
static void dump(const SeriesExemplarsVec *rows, Buf *out) {
    for (size_t i = 0; i < rows->n; i++) {
        buf_add_str(out, labels_get(rows->v[i].labels, STR("s")));
        for (size_t k = 0; k < rows->v[i].n; k++) {
            const Exemplar *x = &rows->v[i].v[k];
            buf_addf(out, " %.*s@%lld", SA(labels_get(x->labels, STR("trace_id"))),
                     (long long)x->t);
        }
        buf_add_char(out, ';');
    }
}

static void check_select(Exemplars *e, int64_t mint, int64_t maxt, const char *want) {
    CLEANUP(buf_deinit) Buf text = {0};
    Arena a = {0};
    SeriesExemplarsVec rows = {0};
    Matcher m;
    CHECK_INT(matcher_init(&m, MATCH_EQ, LABEL_NAME, STR("m"), NULL), 0);
    Selector list = {&m, 1};
    CHECK_INT(exemplars_select(e, &list, 1, mint, maxt, &a, &rows), 0);
    dump(&rows, &text);
    CHECK_STR(buf_str(&text), str_of(want));
    vec_free(&rows);
    arena_deinit(&a);
    matcher_deinit(&m);
}

TEST (the_ring_keeps_the_newest_of_all_series) {
    Exemplars *e = exemplars_new();
    CHECK_INT(add(e, "a", "x", 1, 1), APPEND_UNSUPPORTED);
    exemplars_resize(e, 4);
    CHECK_INT(add(e, "a", "t1", 1, 10), APPEND_OK);
    CHECK_INT(add(e, "b", "t2", 1, 20), APPEND_OK);
    CHECK_INT(add(e, "a", "t3", 1, 30), APPEND_OK);
    check_select(e, 0, 100, "a t1@10 t3@30;b t2@20;");
    check_select(e, 15, 25, "b t2@20;");
    CHECK_INT(add(e, "c", "t4", 1, 40), APPEND_OK);
    CHECK_INT(add(e, "c", "t5", 1, 50), APPEND_OK);
    check_select(e, 0, 100, "a t3@30;b t2@20;c t4@40 t5@50;");
    CHECK_INT(add(e, "b", "t6", 1, 60), APPEND_OK); /* takes the place of its own only one */
    check_select(e, 0, 100, "a t3@30;b t6@60;c t4@40 t5@50;");
    exemplars_resize(e, 2);
    check_select(e, 0, 100, "b t6@60;c t5@50;");
    exemplars_resize(e, 3);
    CHECK_INT(add(e, "a", "t7", 1, 70), APPEND_OK);
    check_select(e, 0, 100, "a t7@70;b t6@60;c t5@50;");
    CHECK_INT(add(e, "a", "t8", 1, 80), APPEND_OK);
    check_select(e, 0, 100, "a t7@70 t8@80;b t6@60;");
    exemplars_resize(e, 0);
    check_select(e, 0, 100, "");
    exemplars_free(e);
}

TEST (duplicates_and_late_ones_are_told_as_prometheus_does) {
    Exemplars *e = exemplars_new();
    exemplars_resize(e, 10);
    CHECK_INT(add(e, "a", "t1", 5, 10), APPEND_OK);
    CHECK_INT(add(e, "a", "t1", 5, 10), APPEND_DUPLICATE);
    CHECK_INT(add(e, "a", "t1", 5, 9), APPEND_OUT_OF_ORDER);
    CHECK_INT(add(e, "a", "t1", 4, 10), APPEND_OUT_OF_ORDER);
    CHECK_INT(add(e, "a", "t2", 6, 10), APPEND_OK);
    char longer[140] = {0};
    memset(longer, 'x', 130);
    CHECK_INT(add(e, "a", longer, 6, 20), APPEND_INVALID);
    longer[120] = '\0'; /* trace_id and this: 128 */
    CHECK_INT(add(e, "a", longer, 6, 20), APPEND_OK);
    Label l[2], x[1];
    Exemplar timeless = exemplar(x, "t9", 1, 30);
    timeless.has_t = false;
    CHECK_INT(exemplars_add(e, series(l, "b"), &timeless), APPEND_OK);
    timeless.t = 40; /* the next scrape shows the same one */
    CHECK_INT(exemplars_add(e, series(l, "b"), &timeless), APPEND_DUPLICATE);
    exemplars_free(e);
}

TEST (records_round_trip_and_every_prefix_is_harmless) {
    CLEANUP(buf_deinit) Buf out = {0};
    CLEANUP(buf_deinit) Buf scratch = {0};
    Label l[1];
    JournalEncoder e;
    JournalReader r;
    SegmentHeader h;
    JournalRecord rec;
    Str payload;
    JournalExemplar v[2] = {{7, exemplar(l, "abc", -0.5, 1000)},
                            {UINT32_MAX, {.value = 2, .t = -5}}};
    JournalFamily f[2] = {{STR("up"), {METRIC_GAUGE, STR(""), STR("help")}},
                          {STR("s"), {METRIC_STATESET, STR("u"), STR("")}}};
    journal_encoder_init(&e);
    journal_put_segment_header(&out, (SegmentHeader){.number = 1});
    journal_put_exemplars(&e, &out, v, 2);
    journal_put_families(&e, &out, f, 2);
    journal_seal(&out, JOURNAL_SEGMENT_HEADER);
    CHECK_INT(journal_reader_init(&r, out.p, out.n, &h), JOURNAL_RECORD);
    for (int kind = 0; kind < 2; kind++) {
        CHECK_INT(journal_reader_next(&r, &rec), JOURNAL_RECORD);
        CHECK_INT(rec.type, kind ? JOURNAL_FAMILIES : JOURNAL_EXEMPLARS);
        CHECK_INT(journal_record_payload(&rec, NULL, &scratch, &payload), 0);
        for (size_t n = 0; n <= payload.n; n++) {
            char *copy = mem_dup(payload.p, n);
            Str part = str_n(copy, n);
            JournalNotes it = JOURNAL_NOTES(part);
            JournalExemplar x;
            JournalFamily g;
            size_t seen = 0;
            while ((kind ? journal_families_next(&it, &g) : journal_exemplars_next(&it, &x)) > 0) {
                if (kind) {
                    CHECK_STR(g.name, f[seen].name);
                    CHECK_INT(g.metadata.type, f[seen].metadata.type);
                    CHECK_STR(g.metadata.help, f[seen].metadata.help);
                } else {
                    CHECK_INT(x.slot, v[seen].slot);
                    CHECK_INT(x.exemplar.t, v[seen].exemplar.t);
                    CHECK_INT(x.exemplar.has_t, v[seen].exemplar.has_t);
                    CHECK_DOUBLE(x.exemplar.value, v[seen].exemplar.value);
                    CHECK(labels_eq(x.exemplar.labels, v[seen].exemplar.labels));
                }
                seen++;
            }
            CHECK(n == payload.n ? seen == 2 : seen < 2);
            journal_notes_deinit(&it);
            mem_free(copy);
        }
    }
    journal_encoder_deinit(&e);
}

static Tsdb *open_db(void) {
    Tsdb *db;
    Problem problem = {0};
    TsdbOptions o = {.dir = test_tmpdir(),
                     .block_range_ms = RANGE,
                     .sync_interval_ms = 20,
                     .journal_segment_bytes = 4096,
                     .exemplars_max = 100,
                     .replay_threads = 2};
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    CHECK_INT(tsdb_open(&o, &db, &problem), 0);
    return db;
}

static void append_step(Tsdb *db, int64_t t, bool noted) {
    Appender *a;
    Label l[2], x[1];
    SeriesRef ref = 0;
    CHECK_INT(storage_appender(tsdb_storage(db), &a), 0);
    CHECK_INT(appender_append(a, &ref, series(l, "a"), t, (double)t), APPEND_OK);
    if (noted) {
        Exemplar e = exemplar(x, "tr", 1, t);
        CHECK_INT(a->ops->append_exemplar(a, ref, &e), APPEND_OK);
        a->ops->family_metadata(a, STR("m"), &(Metadata){METRIC_COUNTER, STR("s"), STR("Help.")});
    }
    CHECK_INT(appender_commit(a), 0);
}

static void check_notes(Tsdb *db, const char *want) {
    CLEANUP(buf_deinit) Buf text = {0};
    Arena a = {0};
    SeriesExemplarsVec rows = {0};
    Matcher m;
    TsdbFamily *f;
    size_t n;
    Storage *s = tsdb_storage(db);
    CHECK_INT(matcher_init(&m, MATCH_EQ, STR("s"), STR("a"), NULL), 0);
    CHECK_INT(s->ops->exemplars(s, &(Selector){&m, 1}, 1, TIME_MIN_MS, TIME_MAX_MS, &a, &rows), 0);
    dump(&rows, &text);
    CHECK_STR(buf_str(&text), str_of(want));
    CHECK_INT(tsdb_metadata(db, STR_NULL, &a, &f, &n), 0);
    CHECK_INT(n, 1);
    CHECK_STR(f[0].metric, STR("m"));
    CHECK_INT(f[0].metadata.type, METRIC_COUNTER);
    CHECK_STR(f[0].metadata.help, STR("Help."));
    vec_free(&rows);
    arena_deinit(&a);
    matcher_deinit(&m);
}

TEST (both_are_there_after_reopening_and_after_a_trim) {
    Tsdb *db = open_db();
    append_step(db, 1000, true);
    append_step(db, 2000, true);
    check_notes(db, "a tr@1000 tr@2000;");
    tsdb_close(db);
    db = open_db();
    check_notes(db, "a tr@1000 tr@2000;");
    for (int64_t t = 3000; t < 5 * RANGE; t += 100) {
        append_step(db, t, false);
    }
    CHECK_INT(tsdb_maintain(db), 0);
    tsdb_close(db);
    db = open_db();
    check_notes(db, "a tr@1000 tr@2000;");
    tsdb_close(db);
}
