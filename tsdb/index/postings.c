/* Sets of series ids as sorted arrays. */
#include "tsdb/index/postings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

/* One side this many times longer than the other: search in it instead of walking it. */
#define GALLOP_FACTOR 16
/* From this many ids on, sorting goes over a bitmap if that is not much larger than the ids. */
#define BITMAP_IDS_MIN 64
#define BITMAP_LIMIT_FACTOR 64

/* First position in v[from..n) whose id is not below `id`: doubling steps, then halving. */
static size_t lower_bound_from(const uint32_t *v, size_t from, size_t n, uint32_t id) {
    size_t step = 1, low = from, high = from;
    while (high < n && v[high] < id) {
        low = high + 1;
        high += step;
        step *= 2;
    }
    high = MIN(high, n);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (v[mid] < id) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

bool ids_has(const uint32_t *v, size_t n, uint32_t id) {
    size_t at = lower_bound_from(v, 0, n, id);
    return at < n && v[at] == id;
}

void postings_deinit(Postings *p) {
    if (p->cap) {
        mem_free(p->v);
    }
    *p = (Postings){0};
}

static uint32_t *make_room(Postings *p) {
    uint32_t cap = p->cap ? p->cap : POSTINGS_INLINE;
    if (p->n < cap) {
        return p->cap ? p->v : p->in;
    }
    /* By half: most lists stay short, and a million of them are kept. */
    uint32_t more = cap + MAX(cap / 2, 2);
    if (p->cap) {
        p->v = mem_recalloc(p->v, more, sizeof(*p->v));
    } else {
        uint32_t *v = mem_calloc(more, sizeof(*v));
        memcpy(v, p->in, sizeof(p->in));
        p->v = v;
    }
    p->cap = more;
    return p->v;
}

bool postings_add(Postings *p, uint32_t id) {
    const uint32_t *old = postings_ids(p);
    size_t at = p->n;
    if (p->n && old[p->n - 1] >= id) {
        at = lower_bound_from(old, 0, p->n, id);
        if (old[at] == id) {
            return false;
        }
    }
    uint32_t *v = make_room(p);
    memmove(v + at + 1, v + at, (p->n - at) * sizeof(*v));
    v[at] = id;
    p->n++;
    return true;
}

/* Goes back to the inline form, or gives half of the array back, when few ids are left. */
static void shrink(Postings *p) {
    if (p->cap && p->n <= POSTINGS_INLINE) {
        uint32_t *v = p->v;
        uint32_t n = p->n;
        *p = (Postings){.n = n};
        memcpy(p->in, v, n * sizeof(*v));
        mem_free(v);
    } else if (p->cap > 16 && p->n < p->cap / 4) {
        p->cap /= 2;
        p->v = mem_recalloc(p->v, p->cap, sizeof(*p->v));
    }
}

bool postings_del(Postings *p, uint32_t id) {
    uint32_t *v = p->cap ? p->v : p->in;
    size_t at = lower_bound_from(v, 0, p->n, id);
    if (at == p->n || v[at] != id) {
        return false;
    }
    memmove(v + at, v + at + 1, (p->n - at - 1) * sizeof(*v));
    p->n--;
    shrink(p);
    return true;
}

uint32_t postings_filter(Postings *p, bool (*keep)(void *arg, uint32_t id), void *arg) {
    uint32_t *v = p->cap ? p->v : p->in;
    uint32_t kept = 0, before = p->n;
    for (uint32_t i = 0; i < before; i++) {
        if (keep(arg, v[i])) {
            v[kept++] = v[i];
        }
    }
    p->n = kept;
    shrink(p);
    return before - kept;
}

size_t postings_heap_bytes(const Postings *p) { return (size_t)p->cap * sizeof(uint32_t); }

void ids_append(Ids *a, const uint32_t *b, size_t n) {
    vec_reserve(a, a->n + n);
    if (n) {
        memcpy(a->v + a->n, b, n * sizeof(*b));
    }
    a->n += n;
}

/* Walks both; an id of a is written back when its presence in b is `want`. */
static void keep_by_walk(Ids *a, const uint32_t *b, size_t n, bool want) {
    size_t out = 0, j = 0;
    for (size_t i = 0; i < a->n; i++) {
        uint32_t id = a->v[i];
        while (j < n && b[j] < id) {
            j++;
        }
        if ((j < n && b[j] == id) == want) {
            a->v[out++] = id;
        }
    }
    a->n = out;
}

static void keep_by_search(Ids *a, const uint32_t *b, size_t n, bool want) {
    size_t out = 0, j = 0;
    for (size_t i = 0; i < a->n; i++) {
        uint32_t id = a->v[i];
        j = lower_bound_from(b, j, n, id);
        if ((j < n && b[j] == id) == want) {
            a->v[out++] = id;
        }
    }
    a->n = out;
}

/* The long side is a, the short one b. */
static void intersect_long(Ids *a, const uint32_t *b, size_t n) {
    size_t out = 0, at = 0;
    for (size_t j = 0; j < n && at < a->n; j++) {
        at = lower_bound_from(a->v, at, a->n, b[j]);
        if (at < a->n && a->v[at] == b[j]) {
            a->v[out++] = b[j];
            at++;
        }
    }
    a->n = out;
}

void ids_intersect(Ids *a, const uint32_t *b, size_t n) {
    if (n > a->n * GALLOP_FACTOR) {
        keep_by_search(a, b, n, true);
    } else if (a->n > n * GALLOP_FACTOR) {
        intersect_long(a, b, n);
    } else {
        keep_by_walk(a, b, n, true);
    }
}

void ids_subtract(Ids *a, const uint32_t *b, size_t n) {
    if (n > a->n * GALLOP_FACTOR) {
        keep_by_search(a, b, n, false);
    } else {
        keep_by_walk(a, b, n, false);
    }
}

static int id_cmp(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void sort_by_bitmap(Ids *a, uint32_t limit) {
    uint64_t *bits = mem_calloc((size_t)limit / 64 + 1, sizeof(*bits));
    for (size_t i = 0; i < a->n; i++) {
        assert(a->v[i] < limit);
        bits[a->v[i] / 64] |= UINT64_C(1) << a->v[i] % 64;
    }
    size_t out = 0;
    for (size_t w = 0; w <= limit / 64; w++) {
        for (uint64_t left = bits[w]; left; left &= left - 1) {
            a->v[out++] = (uint32_t)(w * 64 + (size_t)__builtin_ctzll(left));
        }
    }
    a->n = out;
    mem_free(bits);
}

static bool is_sorted_unique(const Ids *a) {
    for (size_t i = 1; i < a->n; i++) {
        if (a->v[i - 1] >= a->v[i]) {
            return false;
        }
    }
    return true;
}

void ids_sort_unique(Ids *a, uint32_t limit) {
    if (is_sorted_unique(a)) {
        return;
    }
    if (limit && a->n >= BITMAP_IDS_MIN && limit / BITMAP_LIMIT_FACTOR <= a->n) {
        sort_by_bitmap(a, limit);
        return;
    }
    qsort(a->v, a->n, sizeof(*a->v), id_cmp);
    size_t out = 0;
    for (size_t i = 0; i < a->n; i++) {
        if (out == 0 || a->v[out - 1] != a->v[i]) {
            a->v[out++] = a->v[i];
        }
    }
    a->n = out;
}
