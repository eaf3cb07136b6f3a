/* The fast reader of times, and their writer. */
#include "tsdb/codec/times.h"

#include "base/compiler.h"
#include "base/err.h"

static int regular_times(const Times *c, uint64_t *ret_step) {
    uint64_t span = (uint64_t)c->max_time - (uint64_t)c->min_time;
    uint64_t steps = c->n - 1;
    *ret_step = steps ? span / steps : 0;
    bool even = steps ? span % steps == 0 && *ret_step > 0 : span == 0;
    return even ? 0 : -EBADMSG;
}

static void fill_regular(const Times *c, uint64_t step, uint32_t from, uint32_t to, int64_t *t) {
    uint64_t at = (uint64_t)c->min_time + step * from;
    for (uint32_t i = from; i < to; i++) {
        t[i - from] = (int64_t)at;
        at += step;
    }
}

/* The next block's times to t; they must rise from *before on. */
static int next_times(const Times *c, IntsReader *r, int64_t *before, int64_t *t) {
    int64_t y[INTS_BLOCK];
    uint32_t at = r->at;
    if (!ints_next(r, y)) {
        return -EBADMSG;
    }
    for (uint32_t i = 0; i < r->at - at; i++) {
        t[i] = (int64_t)((uint64_t)c->min_time + (uint64_t)y[i]);
        if (t[i] <= *before && at + i > 0) {
            return -EBADMSG;
        }
        *before = t[i];
    }
    return 0;
}

static int read_packed(const Times *c, int64_t *t) {
    IntsReader r;
    int64_t before = INT64_MIN;
    if (!ints_open(&r, c->p, c->end, c->n)) {
        return -EBADMSG;
    }
    while (r.at < c->n) {
        if (next_times(c, &r, &before, t + r.at) < 0) {
            return -EBADMSG;
        }
    }
    return ints_ended(&r) && t[0] == c->min_time && before == c->max_time ? 0 : -EBADMSG;
}

/* Leaves r where the segment begins that `from` lies in, the first one at the least. */
static int find_segment(const Times *c, IntsReader *r, int64_t from) {
    IntsReader at = *r;
    int64_t t[INTS_BLOCK];
    while (at.at < c->n) {
        IntsReader segment = at;
        int64_t before = INT64_MIN;
        if (next_times(c, &at, &before, t) < 0) {
            return -EBADMSG;
        }
        if (segment.at > 0 && t[0] > from) {
            return 0;
        }
        *r = segment;
        if (!ints_skip_to(&at, MIN(segment.at + INTS_SEGMENT, c->n))) {
            return -EBADMSG;
        }
    }
    return 0;
}

int times_read(const Times *c, int64_t *t) {
    uint64_t step;
    if (c->way == TIMES_PACKED) {
        return read_packed(c, t);
    }
    int r = c->way == TIMES_REGULAR ? regular_times(c, &step) : -ENOTSUP;
    if (r == 0) {
        fill_regular(c, step, 0, c->n, t);
    }
    return r;
}

/* ---- a part of them ---- */

/* How many of the times are smaller than `than`. */
static uint32_t count_before(const int64_t *t, uint32_t n, int64_t than) {
    uint32_t low = 0, high = n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t[middle] < than) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint32_t regular_before(const Times *c, uint64_t step, int64_t than) {
    if (than <= c->min_time || step == 0) {
        return than > c->min_time;
    }
    uint64_t n = ((uint64_t)than - (uint64_t)c->min_time - 1) / step + 1;
    return (uint32_t)MIN(n, (uint64_t)c->n);
}

static int range_regular(const Times *c, int64_t from, int64_t to, int64_t *t, uint32_t *ret_first,
                         uint32_t *ret_n) {
    uint64_t step;
    int r = regular_times(c, &step);
    if (r < 0) {
        return r;
    }
    uint32_t end = to == INT64_MAX ? c->n : regular_before(c, step, to + 1);
    *ret_first = MIN(regular_before(c, step, from), c->n - 1) / INTS_SEGMENT * INTS_SEGMENT;
    end = MAX(end, *ret_first + 1);
    *ret_n = end - *ret_first;
    fill_regular(c, step, *ret_first, end, t);
    return 0;
}

static int range_packed(const Times *c, int64_t from, int64_t to, int64_t *t, uint32_t *ret_first,
                        uint32_t *ret_n) {
    IntsReader r;
    int64_t last = INT64_MIN;
    if (!ints_open(&r, c->p, c->end, c->n) || find_segment(c, &r, from) < 0) {
        return -EBADMSG;
    }
    uint32_t first = r.at;
    while (r.at < c->n && (r.at == first || last <= to)) {
        if (next_times(c, &r, &last, t + (r.at - first)) < 0) {
            return -EBADMSG;
        }
    }
    uint32_t n = to == INT64_MAX ? r.at - first : count_before(t, r.at - first, to + 1);
    *ret_first = first;
    *ret_n = MAX(n, 1u);
    return 0;
}

int times_read_range(const Times *c, int64_t from, int64_t to, int64_t *t, uint32_t *ret_first,
                     uint32_t *ret_n) {
    switch (c->way) {
    case TIMES_REGULAR: return range_regular(c, from, to, t, ret_first, ret_n);
    case TIMES_PACKED: return range_packed(c, from, to, t, ret_first, ret_n);
    }
    return -ENOTSUP;
}

/* ---- the plain reader ---- */

int times_read_plain(const Times *c, int64_t *t) {
    bool packed = c->way == TIMES_PACKED;
    uint64_t span = (uint64_t)c->max_time - (uint64_t)c->min_time;
    if (c->way > TIMES_PACKED) {
        return -ENOTSUP;
    }
    if (packed && !ints_read_plain(c->p, c->end, c->n, t)) {
        return -EBADMSG;
    }
    if (!packed && c->n > 1 && span % (c->n - 1) != 0) {
        return -EBADMSG;
    }
    for (uint32_t i = 0; i < c->n; i++) {
        uint64_t gone = packed ? (uint64_t)t[i] : c->n > 1 ? span / (c->n - 1) * i : 0;
        t[i] = (int64_t)((uint64_t)c->min_time + gone);
        if (i > 0 && t[i] <= t[i - 1]) {
            return -EBADMSG;
        }
    }
    return t[0] == c->min_time && t[c->n - 1] == c->max_time ? 0 : -EBADMSG;
}

/* ---- the writer ---- */

static bool is_regular(const int64_t *t, uint32_t n) {
    for (uint32_t i = 2; i < n; i++) {
        if ((uint64_t)t[i] - (uint64_t)t[i - 1] != (uint64_t)t[1] - (uint64_t)t[0]) {
            return false;
        }
    }
    return true;
}

size_t times_write(uint8_t *dst, const int64_t *t, uint32_t n, int64_t *scratch, TimesWay *ret) {
    *ret = is_regular(t, n) ? TIMES_REGULAR : TIMES_PACKED;
    if (*ret == TIMES_REGULAR) {
        return 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        scratch[i] = (int64_t)((uint64_t)t[i] - (uint64_t)t[0]);
    }
    return ints_write(dst, scratch, n);
}
