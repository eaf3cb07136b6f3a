/* A topic of the event stream: differences between any two ticks, and what a reader makes of them.
 */
#include "api/live_rows.h"
#include "base/random.h"
#include "format/json.h"
#include "support/test.h"

static const char *text(const LiveRows *r, uint64_t since) {
    static Buf b;
    buf_reset(&b);
    return live_rows_write(r, since, &b) ? buf_cstr(&b) : "-";
}

/* A walk over rows given as "key=text" words. */
static bool walk(LiveRows *r, const char *rows, uint64_t tick) {
    Str rest = str_of(rows), one;
    live_rows_begin(r);
    while (str_split_next(&rest, ' ', &one)) {
        size_t eq = str_find(one, '=');
        if (one.n) {
            live_rows_set(r, str_upto(one, eq), str_from(one, eq + 1), tick);
        }
    }
    return live_rows_end(r, tick);
}

TEST (nothing_is_told_before_the_first_walk) {
    LiveRows r = {0};
    CHECK_CSTR(text(&r, 0), "-");
    CHECK(walk(&r, "", 1)); /* to be empty is news too */
    CHECK_CSTR(text(&r, 0), "{\"full\":{}}");
    CHECK(!walk(&r, "", 2));
    CHECK_CSTR(text(&r, 1), "-");
    live_rows_deinit(&r);
}

TEST (differences_are_told_since_any_tick) {
    LiveRows r = {0};
    CHECK(walk(&r, "a=1", 1));
    CHECK(walk(&r, "a=1 b=1", 2));
    CHECK(!walk(&r, "a=1 b=1", 3));
    CHECK(walk(&r, "a=2", 3));
    CHECK_CSTR(text(&r, 3), "-");
    CHECK_CSTR(text(&r, 2), "{\"set\":{\"a\":2},\"del\":[\"b\"]}");
    CHECK_CSTR(text(&r, 1), "{\"set\":{\"a\":2},\"del\":[\"b\"]}");
    CHECK_CSTR(text(&r, 0), "{\"full\":{\"a\":2}}");
    live_rows_deinit(&r);
}

TEST (what_came_back_is_not_told_as_gone) {
    LiveRows r = {0};
    walk(&r, "a=1 b=1", 1);
    walk(&r, "b=1", 2);
    walk(&r, "a=3 b=1", 3);
    CHECK_CSTR(text(&r, 1), "{\"set\":{\"a\":3},\"del\":[]}");
    walk(&r, "b=1", 4);
    CHECK_CSTR(text(&r, 3), "{\"set\":{},\"del\":[\"a\"]}");
    live_rows_deinit(&r);
}

TEST (a_reader_from_before_the_first_walk_gets_everything) {
    LiveRows r = {0};
    walk(&r, "a=1", 7);
    CHECK_CSTR(text(&r, 6), "{\"full\":{\"a\":1}}");
    CHECK_CSTR(text(&r, 7), "-");
    live_rows_deinit(&r);
}

TEST (rows_with_the_same_stamp_need_no_text) {
    LiveRows r = {0};
    live_rows_begin(&r);
    CHECK_INT(live_rows_mark(&r, STR("a"), 5), LIVE_CHANGED);
    live_rows_set(&r, STR("a"), STR("1"), 1);
    CHECK_INT(live_rows_mark(&r, STR("a"), 5), LIVE_TWICE);
    CHECK(live_rows_end(&r, 1));
    live_rows_begin(&r);
    CHECK_INT(live_rows_mark(&r, STR("a"), 5), LIVE_SAME);
    CHECK(!live_rows_end(&r, 2));
    live_rows_begin(&r);
    CHECK_INT(live_rows_mark(&r, STR("a"), 6), LIVE_CHANGED);
    live_rows_set(&r, STR("a"), STR("1"), 2);
    CHECK(!live_rows_end(&r, 2)); /* the text is what it was */
    CHECK_CSTR(text(&r, 1), "-");
    live_rows_deinit(&r);
}

TEST (a_whole_topic_is_always_told_whole) {
    LiveRows r = {.whole = true};
    walk(&r, "={\"x\":1}", 1);
    walk(&r, "={\"x\":2}", 2);
    CHECK_CSTR(text(&r, 1), "{\"full\":{\"x\":2}}");
    CHECK_CSTR(text(&r, 2), "-");
    live_rows_deinit(&r);
}

TEST (too_many_deletions_lead_to_everything_again) {
    LiveRows r = {0};
    CLEANUP(buf_deinit) Buf rows = BUF_INIT(0);
    walk(&r, "stays=1", 1);
    for (uint64_t tick = 2; tick < 40; tick++) {
        buf_reset(&rows);
        buf_add_cstr(&rows, "stays=1");
        for (unsigned i = 0; i < 1000; i++) {
            buf_addf(&rows, " k%llu_%u=1", (unsigned long long)tick, i);
        }
        walk(&r, buf_cstr(&rows), tick);
    }
    CHECK(str_starts(str_of(text(&r, 2)), STR("{\"full\":{")));
    CHECK(str_starts(str_of(text(&r, 38)), STR("{\"set\":{")));
    CHECK(r.gone.n <= 16384);
    live_rows_deinit(&r);
}

/* ---- a reader that misses ticks ends up with the rows that there are */

typedef struct Reader {
    uint64_t at;
    int rows[16]; /* -1: none */
} Reader;

static void take(Reader *reader, Str event) {
    Problem p = {0};
    CLEANUP(json_freep) Json *data = json_parse(event, &p);
    CHECK(data != NULL);
    const Json *full = json_member(data, "full"), *set = full ? full : json_member(data, "set");
    Str key;
    for (int i = 0; full && i < 16; i++) {
        reader->rows[i] = -1;
    }
    const Json *value;
    for (void *at = NULL; (value = json_next_member(set, &at, &key));) {
        reader->rows[key.p[0] - 'a'] = (int)json_to_int(value, -2);
    }
    const Json *del = json_member(data, "del");
    for (size_t i = 0; i < json_count(del); i++) {
        reader->rows[json_to_str(json_item(del, i)).p[0] - 'a'] = -1;
    }
}

TEST (readers_that_miss_ticks_hold_the_same_rows) {
    LiveRows r = {0};
    Rng rng;
    Reader readers[4] = {0};
    int rows[16];
    uint64_t tick = 0;
    rng_init(&rng, 42);
    for (int i = 0; i < 16; i++) {
        rows[i] = -1;
    }
    for (int round = 0; round < 2000; round++) {
        live_rows_begin(&r);
        for (int i = 0; i < 16; i++) {
            if (rng_below(&rng, 5) == 0) {
                rows[i] = (int)rng_below(&rng, 4) - 1;
            }
            char key = (char)('a' + i), value[16];
            snprintf(value, sizeof(value), "%d", rows[i]);
            if (rows[i] >= 0) {
                live_rows_set(&r, str_n(&key, 1), str_of(value), tick + 1);
            }
        }
        tick += live_rows_end(&r, tick + 1);
        for (size_t k = 0; k < ARRAY_LEN(readers); k++) {
            if (rng_below(&rng, k + 1)) {
                continue;
            }
            CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
            if (live_rows_write(&r, readers[k].at, &b)) {
                take(&readers[k], buf_str(&b));
            }
            readers[k].at = tick;
            CHECK(memcmp(readers[k].rows, rows, sizeof(rows)) == 0);
        }
    }
    live_rows_deinit(&r);
}
