/* The counts that a block keeps about itself. */
#include <stdlib.h>

#include "base/varint.h"
#include "tsdb/block/block_index.h"

typedef VEC(TsdbCount) Counts;

/* Numbers of a value in the table stats, one behind the other. */
typedef struct StatsReader {
    Block *block;
    const uint8_t *p, *end;
} StatsReader;

static int stats_begin(Block *b, LmdbTxn *txn, Str key, StatsReader *ret) {
    Str value, payload;
    int r = lmdb_get(txn, b->tables[TABLE_STATS], key, &value);
    if (r == LMDB_NOT_FOUND) {
        return block_damaged(b, TABLE_STATS, "%.*s is missing", SA(key));
    }
    if (r == 0) {
        r = block_checked_value(b, TABLE_STATS, key, value, &payload);
    }
    if (r == 0) {
        *ret = (StatsReader){b, (const uint8_t *)payload.p, (const uint8_t *)payload.p + payload.n};
    }
    return r;
}

static int stats_numbers(StatsReader *s, uint64_t *ret, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!uvarint_get(&s->p, s->end, &ret[i])) {
            return block_damaged(s->block, TABLE_STATS, "a list is cut off");
        }
    }
    return 0;
}

static int symbol_text(Block *b, uint64_t number, Str *ret) {
    return number > UINT32_MAX ? block_damaged(b, TABLE_STATS, "a symbol is out of range")
                               : block_symbol(b, (uint32_t)number, ret);
}

static int by_value(const void *a, const void *b) {
    const TsdbCount *x = a, *y = b;
    return x->value != y->value ? (x->value < y->value) - (x->value > y->value)
                                : str_cmp(x->name, y->name);
}

/* The `limit` largest as a list in the arena. */
static int give(Counts *c, size_t limit, Arena *a, TsdbCount **ret, size_t *ret_n) {
    qsort(c->v, c->n, sizeof(*c->v), by_value);
    size_t n = MIN(c->n, limit);
    TsdbCount *v = ARENA_ARRAY(a, TsdbCount, n + 1);
    for (size_t i = 0; v && i < n; i++) {
        v[i] = (TsdbCount){arena_str(a, c->v[i].name), c->v[i].value};
    }
    if (a->failed) {
        return -ENOMEM;
    }
    *ret = v;
    *ret_n = n;
    return 0;
}

static int read_labels(Block *b, StatsReader s, Counts *values, Counts *bytes) {
    while (s.p < s.end) {
        uint64_t v[4]; /* name, values, bytes, series */
        Str name;
        int r = stats_numbers(&s, v, ARRAY_LEN(v));
        if (r == 0) {
            r = symbol_text(b, v[0], &name);
        }
        if (r < 0) {
            return r;
        }
        vec_push(values, (TsdbCount){name, v[1]});
        vec_push(bytes, (TsdbCount){name, v[2]});
    }
    return 0;
}

static int read_top(Block *b, StatsReader s, size_t limit, Arena *a, bool pair_names, Counts *ret) {
    while (s.p < s.end && ret->n < limit) {
        uint64_t v[3]; /* name, value, series */
        Str name, value;
        int r = stats_numbers(&s, v, ARRAY_LEN(v));
        if (r == 0) {
            r = symbol_text(b, v[0], &name);
        }
        if (r == 0) {
            r = symbol_text(b, v[1], &value);
        }
        if (r < 0) {
            return r;
        }
        if (pair_names) {
            value = arena_printf(a, "%.*s=%.*s", SA(name), SA(value));
        }
        vec_push(ret, (TsdbCount){value, v[2]});
    }
    return 0;
}

static int give_labels(Block *b, LmdbTxn *txn, size_t limit, Arena *a, TsdbCardinality *ret) {
    StatsReader s = {0};
    Counts values = {0}, bytes = {0};
    int r = stats_begin(b, txn, STATS_LABELS, &s);
    if (r == 0) {
        r = read_labels(b, s, &values, &bytes);
    }
    if (r == 0) {
        r = give(&values, limit, a, &ret->values_by_label, &ret->n_values_by_label);
    }
    if (r == 0) {
        r = give(&bytes, limit, a, &ret->bytes_by_label, &ret->n_bytes_by_label);
    }
    vec_free(&values);
    vec_free(&bytes);
    return r;
}

static int give_top(Block *b, LmdbTxn *txn, Str key, bool pair_names, size_t limit, Arena *a,
                    TsdbCount **ret, size_t *ret_n) {
    StatsReader s = {0};
    Counts c = {0};
    int r = stats_begin(b, txn, key, &s);
    if (r == 0) {
        r = read_top(b, s, limit, a, pair_names, &c);
    }
    if (r == 0) {
        r = give(&c, limit, a, ret, ret_n);
    }
    vec_free(&c);
    return r;
}

int block_cardinality(Block *b, size_t limit, Arena *a, TsdbCardinality *ret) {
    LmdbTxn *txn;
    TsdbCardinality c = {0};
    int r = lmdb_begin(b->env, false, &txn);
    if (r < 0) {
        return r;
    }
    r = give_labels(b, txn, limit, a, &c);
    if (r == 0) {
        r = give_top(b, txn, STATS_METRICS, false, limit, a, &c.series_by_metric,
                     &c.n_series_by_metric);
    }
    if (r == 0) {
        r = give_top(b, txn, STATS_PAIRS, true, limit, a, &c.series_by_pair, &c.n_series_by_pair);
    }
    lmdb_abort(txn);
    if (r == 0) {
        *ret = c;
    }
    return r;
}
