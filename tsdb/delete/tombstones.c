#include "tsdb/delete/tombstones.h"

#include <stdlib.h>

#include "base/crc32c.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/varint.h"

#define MAGIC "NTHXTOMB"
#define VERSION 1
#define HEADER_BYTES 16
#define FILE_BYTES_MAX (UINT64_C(1) << 30)

typedef struct SeriesEntry {
    SeriesKey key;
    uint32_t first, n; /* intervals */
} SeriesEntry;

struct Tombstones {
    atomic_uint refs;
    VEC(SeriesEntry) series; /* by key */
    VEC(TimeInterval) intervals;
};

SeriesKey series_key(Labels l) { return (SeriesKey){labels_hash(l), labels_fingerprint(l)}; }

static int key_cmp(SeriesKey x, SeriesKey y) {
    if (x.a != y.a) {
        return x.a < y.a ? -1 : 1;
    }
    return (x.b > y.b) - (x.b < y.b);
}

Tombstones *tombstones_ref(Tombstones *t) {
    if (t) {
        atomic_fetch_add(&t->refs, 1);
    }
    return t;
}

void tombstones_unref(Tombstones *t) {
    if (t && atomic_fetch_sub(&t->refs, 1) == 1) {
        vec_free(&t->series);
        vec_free(&t->intervals);
        mem_free(t);
    }
}

/* ---- making */

static int tombstone_cmp(const void *a, const void *b) {
    const Tombstone *x = a, *y = b;
    int c = key_cmp(x->key, y->key);
    if (c) {
        return c;
    }
    return (x->interval.mint > y->interval.mint) - (x->interval.mint < y->interval.mint);
}

/* Sorted by key, then by beginning. */
static void push(Tombstones *t, const Tombstone *x) {
    SeriesEntry *s = t->series.n ? &t->series.v[t->series.n - 1] : NULL;
    if (!s || key_cmp(s->key, x->key) != 0) {
        vec_push(&t->series, (SeriesEntry){x->key, (uint32_t)t->intervals.n, 0});
        s = &t->series.v[t->series.n - 1];
    }
    TimeInterval *last = s->n ? &t->intervals.v[t->intervals.n - 1] : NULL;
    if (last && (last->maxt == INT64_MAX || x->interval.mint <= last->maxt + 1)) {
        last->maxt = MAX(last->maxt, x->interval.maxt);
    } else {
        vec_push(&t->intervals, x->interval);
        s->n++;
    }
}

/* Takes the list. */
static Tombstones *make(TombstoneVec *v) {
    Tombstones *t = NULL;
    if (v->n > 0) {
        qsort(v->v, v->n, sizeof(*v->v), tombstone_cmp);
        t = NEW(Tombstones);
        atomic_init(&t->refs, 1);
    }
    for (size_t i = 0; i < v->n; i++) {
        push(t, &v->v[i]);
    }
    vec_free(v);
    return t;
}

static void list(const Tombstones *t, TombstoneVec *ret) {
    for (size_t i = 0; t && i < t->series.n; i++) {
        const SeriesEntry *s = &t->series.v[i];
        for (uint32_t k = 0; k < s->n; k++) {
            vec_push(ret, (Tombstone){s->key, t->intervals.v[s->first + k]});
        }
    }
}

Tombstones *tombstones_add(const Tombstones *t, const Tombstone *v, size_t n) {
    TombstoneVec all = {0};
    list(t, &all);
    for (size_t i = 0; i < n; i++) {
        if (v[i].interval.mint <= v[i].interval.maxt) {
            vec_push(&all, v[i]);
        }
    }
    return make(&all);
}

Tombstones *tombstones_union(const Tombstones *x, const Tombstones *y) {
    TombstoneVec all = {0};
    list(x, &all);
    list(y, &all);
    return make(&all);
}

Tombstones *tombstones_clip(const Tombstones *t, int64_t mint, int64_t maxt) {
    TombstoneVec all = {0};
    list(t, &all);
    size_t n = 0;
    for (size_t i = 0; i < all.n; i++) {
        TimeInterval x = all.v[i].interval;
        if (x.mint <= maxt && x.maxt >= mint) {
            all.v[n++] = (Tombstone){all.v[i].key, {MAX(x.mint, mint), MIN(x.maxt, maxt)}};
        }
    }
    all.n = n;
    return make(&all);
}

/* ---- asking */

static int entry_cmp(const void *key, const void *entry) {
    return key_cmp(*(const SeriesKey *)key, ((const SeriesEntry *)entry)->key);
}

const TimeInterval *tombstones_find(const Tombstones *t, SeriesKey key, size_t *ret_n) {
    const SeriesEntry *s =
        t ? bsearch(&key, t->series.v, t->series.n, sizeof(*t->series.v), entry_cmp) : NULL;
    *ret_n = s ? s->n : 0;
    return s ? &t->intervals.v[s->first] : NULL;
}

size_t tombstones_series(const Tombstones *t) { return t ? t->series.n : 0; }

bool tombstone_filter_next(TombstoneFilter *f, const int64_t *t, uint32_t n, uint32_t *from,
                           uint32_t *ret_first, uint32_t *ret_n) {
    uint32_t i = *from;
    for (; i < n; i++) {
        while (f->at < f->n && f->v[f->at].maxt < t[i]) {
            f->at++;
        }
        if (f->at == f->n || t[i] < f->v[f->at].mint) {
            break;
        }
    }
    uint32_t first = i;
    if (f->at == f->n) {
        i = n;
    }
    while (i < n && t[i] < f->v[f->at].mint) {
        i++;
    }
    *from = i;
    *ret_first = first;
    *ret_n = i - first;
    return i > first;
}

/* ---- as bytes */

void tombstones_encode(const Tombstones *t, Buf *b) {
    CLEANUP(buf_deinit) Buf body = BUF_INIT(0);
    buf_add_uvarint(&body, tombstones_series(t));
    for (size_t i = 0; t && i < t->series.n; i++) {
        const SeriesEntry *s = &t->series.v[i];
        buf_add_u64(&body, s->key.a);
        buf_add_u64(&body, s->key.b);
        buf_add_uvarint(&body, s->n);
        for (uint32_t k = 0; k < s->n; k++) {
            TimeInterval x = t->intervals.v[s->first + k];
            buf_add_varint(&body, x.mint);
            buf_add_uvarint(&body, (uint64_t)x.maxt - (uint64_t)x.mint);
        }
    }
    buf_add(b, MAGIC, 8);
    buf_add_u32(b, VERSION);
    buf_add_u32(b, crc32c(0, body.p, body.n));
    buf_add_str(b, buf_str(&body));
}

static bool take_u64(const uint8_t **p, const uint8_t *end, uint64_t *ret) {
    if (end - *p < 8) {
        return false;
    }
    memcpy(ret, *p, 8);
    *ret = le64toh(*ret);
    *p += 8;
    return true;
}

static uint32_t load_u32(const char *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return le32toh(v);
}

static bool take_series(const uint8_t **p, const uint8_t *end, TombstoneVec *v) {
    Tombstone x;
    uint64_t n, length;
    if (!take_u64(p, end, &x.key.a) || !take_u64(p, end, &x.key.b) || !uvarint_get(p, end, &n)) {
        return false;
    }
    for (; n > 0; n--) {
        if (!varint_get(p, end, &x.interval.mint) || !uvarint_get(p, end, &length) ||
            length > (uint64_t)INT64_MAX - (uint64_t)x.interval.mint) {
            return false;
        }
        x.interval.maxt = (int64_t)((uint64_t)x.interval.mint + length);
        vec_push(v, x);
    }
    return true;
}

int tombstones_decode(Str bytes, Tombstones **ret) {
    if (bytes.n < HEADER_BYTES || memcmp(bytes.p, MAGIC, 8) != 0) {
        return -EBADMSG;
    }
    if (load_u32(bytes.p + 8) != VERSION) {
        return -EPROTONOSUPPORT;
    }
    Str body = str_from(bytes, HEADER_BYTES);
    if (load_u32(bytes.p + 12) != crc32c(0, body.p, body.n)) {
        return -EBADMSG;
    }
    const uint8_t *p = (const uint8_t *)body.p, *end = p + body.n;
    TombstoneVec v = {0};
    uint64_t n;
    bool ok = uvarint_get(&p, end, &n);
    for (; ok && n > 0; n--) {
        ok = take_series(&p, end, &v);
    }
    if (!ok || p != end) {
        vec_free(&v);
        return -EBADMSG;
    }
    *ret = make(&v);
    return 0;
}

int tombstones_write(const char *path, const Tombstones *t) {
    if (tombstones_series(t) == 0) {
        return file_exists(path) ? file_unlink(path) : 0;
    }
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    tombstones_encode(t, &b);
    int r = file_write_durable(path, b.p, b.n, 0666);
    return r < 0 ? err_trace(r) : 0;
}

int tombstones_read(const char *path, Tombstones **ret) {
    *ret = NULL;
    if (!file_exists(path)) {
        return 0;
    }
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    int r = file_read_whole(path, FILE_BYTES_MAX, &b);
    if (r == 0) {
        r = tombstones_decode(buf_str(&b), ret);
    }
    return r < 0 ? err_trace(r) : 0;
}
