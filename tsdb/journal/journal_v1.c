/* Records of format version 1: only read. docs/formats/journal.md. */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/varint.h"
#include "model/sample.h"
#include "tsdb/journal/journal_record.h"

/*
 * A value of format version 1: an integer as uvarint(zigzag << 1); else a byte (n << 1) | 1 and the
 * n upper bytes of the float; n = 0 is the stale marker.
 */
static bool value_get(const uint8_t **p, const uint8_t *end, double *ret) {
    if (*p >= end) {
        return false;
    }
    if (**p & 1) {
        unsigned n = **p >> 1;
        if (n > 8 || (size_t)(end - *p) < 1 + n) {
            return false;
        }
        uint64_t bits = 0;
        memcpy(&bits, *p + 1, n);
        *p += 1 + n;
        *ret = n ? double_of_bits(bits << (8 * (8 - n))) : stale_nan();
        return true;
    }
    uint64_t u;
    if (!uvarint_get(p, end, &u)) {
        return false;
    }
    *ret = (double)zigzag_decode(u >> 1);
    return true;
}

static bool take_column(const uint8_t **p, const uint8_t *end, const uint8_t **from,
                        const uint8_t **to) {
    uint64_t n;
    if (!uvarint_get(p, end, &n) || n > (uint64_t)(end - *p)) {
        return false;
    }
    *from = *p;
    *to = *p += n;
    return true;
}

int journal_samples_1_init(JournalSamples1 *it, uint8_t type, Str payload) {
    *it = (JournalSamples1){.timed = type == JOURNAL_SAMPLES_TIMED_1};
    const uint8_t *p = (const uint8_t *)payload.p, *end = p + payload.n;
    uint64_t later = 0;
    if (!varint_get(&p, end, &it->t) || !uvarint_get(&p, end, &it->left) ||
        !take_column(&p, end, &it->refs, &it->refs_end) ||
        (it->timed &&
         (!uvarint_get(&p, end, &later) || !take_column(&p, end, &it->times, &it->times_end)))) {
        return -EBADMSG;
    }
    it->max_time = (int64_t)((uint64_t)it->t + later);
    it->values = p;
    it->values_end = end;
    return 0;
}

/* slot: the one this sample is of; in runs, `run` more follow it directly. */
static bool next_slot(JournalSamples1 *it) {
    int64_t gap;
    if (it->run > 0) {
        it->run--;
        it->slot++;
        return true;
    }
    if (!varint_get(&it->refs, it->refs_end, &gap)) {
        return false;
    }
    it->slot = (uint32_t)((int64_t)it->slot + gap);
    return it->timed || uvarint_get(&it->refs, it->refs_end, &it->run);
}

int journal_samples_1_next(JournalSamples1 *it, JournalSample *ret) {
    if (it->left == 0) {
        return 0;
    }
    if (!next_slot(it) || !value_get(&it->values, it->values_end, &ret->v)) {
        return -EBADMSG;
    }
    ret->slot = it->slot;
    if (it->timed) {
        int64_t delta;
        if (!varint_get(&it->times, it->times_end, &delta)) {
            return -EBADMSG;
        }
        it->t = (int64_t)((uint64_t)it->t + (uint64_t)delta);
    } else if (it->run == 0) {
        it->slot++; /* gaps count from the slot behind the run */
    }
    ret->t = it->t;
    it->left--;
    return 1;
}

void journal_series_1_init(JournalSeries1 *it, Str payload) {
    it->p = (const uint8_t *)payload.p;
    it->end = it->p + payload.n;
}

void journal_series_1_deinit(JournalSeries1 *it) {
    mem_free(it->labels);
    *it = (JournalSeries1){0};
}

static bool take_str(JournalSeries1 *it, Str *ret) {
    const uint8_t *from, *to;
    if (!take_column(&it->p, it->end, &from, &to)) {
        return false;
    }
    *ret = str_n((const char *)from, (size_t)(to - from));
    return true;
}

int journal_series_1_next(JournalSeries1 *it, uint32_t *ret_slot, Labels *ret) {
    uint64_t slot, n;
    if (it->p == it->end) {
        return 0;
    }
    if (!uvarint_get(&it->p, it->end, &slot) || slot > UINT32_MAX ||
        !uvarint_get(&it->p, it->end, &n) || n > (uint64_t)(it->end - it->p) / 2) {
        return -EBADMSG;
    }
    if (it->cap < n) {
        it->cap = n;
        it->labels = mem_recalloc(it->labels, it->cap, sizeof(*it->labels));
    }
    for (size_t i = 0; i < n; i++) {
        if (!take_str(it, &it->labels[i].name) || !take_str(it, &it->labels[i].value) ||
            (i > 0 && str_cmp(it->labels[i - 1].name, it->labels[i].name) >= 0)) {
            return -EBADMSG;
        }
    }
    *ret_slot = (uint32_t)slot;
    *ret = (Labels){it->labels, n};
    return 1;
}

int journal_base_decode(Str payload, int64_t *ret_mint) {
    const uint8_t *p = (const uint8_t *)payload.p;
    return varint_get(&p, p + payload.n, ret_mint) ? 0 : -EBADMSG;
}
