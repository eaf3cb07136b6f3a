#include "api/live_rows.h"

#include <string.h>

#include "base/mem.h"
#include "format/json.h"

/* Guessed: ten minutes of a fleet in which thirty targets a second are replaced. */
#define GONE_MAX 16384

typedef struct LiveRow {
    Str key, text; /* owned; no text: not set yet */
    uint64_t changed, walk, stamp;
} LiveRow;

static void row_free(LiveRow *row) {
    mem_free((void *)row->key.p);
    mem_free((void *)row->text.p);
    mem_free(row);
}

void live_rows_deinit(LiveRows *r) {
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&r->rows, &i));) {
        row_free(e->value);
    }
    str_map_deinit(&r->rows);
    for (size_t i = 0; i < r->gone.n; i++) {
        mem_free((void *)r->gone.v[i].key.p);
    }
    vec_free(&r->gone);
    *r = (LiveRows){.whole = r->whole};
}

void live_rows_begin(LiveRows *r) {
    r->walk++;
    r->changed = false;
}

static Str own(Str s) { return str_n(str_dup(s), s.n); }

static LiveRow *row_of(LiveRows *r, Str key, bool *ret_new) {
    LiveRow *row = str_map_get(&r->rows, key);
    *ret_new = !row;
    if (!row) {
        row = NEW(LiveRow);
        row->key = own(key);
        *str_map_put(&r->rows, row->key, NULL) = row;
    }
    return row;
}

LiveMark live_rows_mark(LiveRows *r, Str key, uint64_t stamp) {
    bool fresh;
    LiveRow *row = row_of(r, key, &fresh);
    if (row->walk == r->walk) {
        return LIVE_TWICE;
    }
    bool same = !fresh && row->stamp == stamp;
    row->walk = r->walk;
    row->stamp = stamp;
    return same ? LIVE_SAME : LIVE_CHANGED;
}

void live_rows_set(LiveRows *r, Str key, Str text, uint64_t tick) {
    bool fresh;
    LiveRow *row = row_of(r, key, &fresh);
    row->walk = r->walk;
    if (row->text.p && str_eq(row->text, text)) {
        return;
    }
    mem_free((void *)row->text.p);
    row->text = own(text);
    row->changed = tick;
    r->changed = true;
}

/* The older half goes: whoever has not seen it gets everything. */
static void forget_gone(LiveRows *r) {
    size_t n = r->gone.n / 2;
    for (size_t i = 0; i < n; i++) {
        r->since_min = r->gone.v[i].tick;
        mem_free((void *)r->gone.v[i].key.p);
    }
    memmove(r->gone.v, r->gone.v + n, (r->gone.n - n) * sizeof(*r->gone.v));
    r->gone.n -= n;
}

static void row_gone(LiveRows *r, LiveRow *row, uint64_t tick) {
    (void)str_map_del(&r->rows, row->key);
    if (r->gone.n == GONE_MAX) {
        forget_gone(r);
    }
    vec_push(&r->gone, (LiveGone){row->key, tick});
    row->key = STR_NULL;
    row_free(row);
    r->changed = true;
}

bool live_rows_end(LiveRows *r, uint64_t tick) {
    VEC(LiveRow *) old = {0};
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&r->rows, &i));) {
        LiveRow *row = e->value;
        if (row->walk != r->walk) {
            vec_push(&old, row);
        }
    }
    for (size_t i = 0; i < old.n; i++) {
        row_gone(r, old.v[i], tick);
    }
    vec_free(&old);
    if (!r->known) {
        r->known = r->changed = true;
        r->since_min = tick; /* before it there was nothing to be different from */
    }
    return r->changed;
}

/* ---- writing */

static bool write_whole(const LiveRows *r, uint64_t since, Buf *b) {
    const LiveRow *row = str_map_get(&r->rows, STR(""));
    if (!row || row->changed <= since) {
        return false;
    }
    buf_add_cstr(b, "{\"full\":");
    buf_add_str(b, row->text);
    buf_add_char(b, '}');
    return true;
}

static size_t write_rows(const LiveRows *r, uint64_t since, Buf *b) {
    StrMapEntry *e;
    size_t n = 0;
    buf_add_char(b, '{');
    for (size_t i = 0; (e = str_map_next(&r->rows, &i));) {
        const LiveRow *row = e->value;
        if (row->changed > since) {
            if (n++) {
                buf_add_char(b, ',');
            }
            json_quote(b, e->key);
            buf_add_char(b, ':');
            buf_add_str(b, row->text);
        }
    }
    buf_add_char(b, '}');
    return n;
}

/* What came back since is a row again, and not told as gone. */
static size_t write_gone(const LiveRows *r, uint64_t since, Buf *b) {
    size_t n = 0, first = r->gone.n;
    while (first > 0 && r->gone.v[first - 1].tick > since) {
        first--;
    }
    buf_add_char(b, '[');
    for (size_t i = first; i < r->gone.n; i++) {
        Str key = r->gone.v[i].key;
        if (!str_map_get(&r->rows, key)) {
            if (n++) {
                buf_add_char(b, ',');
            }
            json_quote(b, key);
        }
    }
    buf_add_char(b, ']');
    return n;
}

bool live_rows_write(const LiveRows *r, uint64_t since, Buf *b) {
    if (!r->known) {
        return false;
    }
    if (r->whole) {
        return write_whole(r, since, b);
    }
    if (since < r->since_min || since == 0) {
        buf_add_cstr(b, "{\"full\":");
        (void)write_rows(r, 0, b);
        buf_add_char(b, '}');
        return true;
    }
    size_t start = b->n;
    buf_add_cstr(b, "{\"set\":");
    size_t n = write_rows(r, since, b);
    buf_add_cstr(b, ",\"del\":");
    n += write_gone(r, since, b);
    buf_add_char(b, '}');
    if (n == 0) {
        b->n = start;
    }
    return n > 0;
}
