/* Series and samples out of records, as journal_encode.c put them in. */
#include <errno.h>

#include "base/varint.h"
#include "tsdb/journal/journal_record.h"

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

/* ---- samples */

int journal_samples_init(JournalSamples *it, Str payload) {
    *it = (JournalSamples){0};
    const uint8_t *p = (const uint8_t *)payload.p, *end = p + payload.n;
    uint64_t later;
    if (!varint_get(&p, end, &it->t) || !uvarint_get(&p, end, &it->left) ||
        !uvarint_get(&p, end, &later) || !take_column(&p, end, &it->runs, &it->runs_end) ||
        !take_column(&p, end, &it->times, &it->times_end)) {
        return -EBADMSG;
    }
    it->max_time = (int64_t)((uint64_t)it->t + later);
    it->values = p;
    it->values_end = end;
    return 0;
}

static bool next_run(JournalSamples *it) {
    uint64_t head;
    int64_t gap, later = 0;
    if (!uvarint_get(&it->runs, it->runs_end, &head) ||
        !varint_get(&it->runs, it->runs_end, &gap) ||
        (head & 1 && !varint_get(&it->runs, it->runs_end, &later))) {
        return false;
    }
    it->run = head >> 2;
    it->same_slot = head & 2;
    it->slot = (uint32_t)((int64_t)it->next + gap);
    it->next = it->slot + 1 + (it->same_slot ? 0 : (uint32_t)it->run);
    it->t = (int64_t)((uint64_t)it->t + (uint64_t)later);
    return true;
}

static bool next_in_run(JournalSamples *it) {
    int64_t change;
    it->run--;
    if (!it->same_slot) {
        it->slot++;
        return true;
    }
    if (!varint_get(&it->times, it->times_end, &change)) {
        return false;
    }
    it->delta = (int64_t)((uint64_t)it->delta + (uint64_t)change);
    it->t = (int64_t)((uint64_t)it->t + (uint64_t)it->delta);
    return true;
}

int journal_samples_next(JournalSamples *it, uint32_t *ret_slot, int64_t *ret_t) {
    if (it->left == 0) {
        return 0;
    }
    if (!(it->run > 0 ? next_in_run(it) : next_run(it))) {
        return -EBADMSG;
    }
    it->left--;
    *ret_slot = it->slot;
    *ret_t = it->t;
    return 1;
}

int journal_samples_slots(Str payload, uint32_t *ret_min, uint32_t *ret_max) {
    JournalSamples it;
    int r = journal_samples_init(&it, payload);
    *ret_min = UINT32_MAX;
    *ret_max = 0;
    while (r == 0 && it.left > 0) {
        if (!next_run(&it) || it.run >= it.left || it.next <= it.slot) {
            return -EBADMSG;
        }
        it.left -= it.run + 1;
        it.run = 0;
        *ret_min = MIN(*ret_min, it.slot);
        *ret_max = MAX(*ret_max, it.next - 1);
    }
    return r;
}

/* ---- series */

int journal_series_init(JournalSeries *it, Str payload) {
    *it = (JournalSeries){0};
    it->p = (const uint8_t *)payload.p;
    it->end = it->p + payload.n;
    if (!uvarint_get(&it->p, it->end, &it->pairs_left) ||
        !take_column(&it->p, it->end, &it->pairs, &it->pairs_end)) {
        return -EBADMSG;
    }
    return 0;
}

void journal_series_deinit(JournalSeries *it) { vec_free(&it->last); }

static bool take_str(JournalSeries *it, Str *ret) {
    const uint8_t *from, *to;
    if (!take_column(&it->pairs, it->pairs_end, &from, &to)) {
        return false;
    }
    *ret = str_n((const char *)from, (size_t)(to - from));
    return true;
}

int journal_series_next_pair(JournalSeries *it, Label *ret) {
    if (it->pairs_left == 0) {
        return it->pairs == it->pairs_end ? 0 : -EBADMSG;
    }
    it->pairs_left--;
    return take_str(it, &ret->name) && take_str(it, &ret->value) ? 1 : -EBADMSG;
}

int journal_series_next(JournalSeries *it, uint32_t *ret_slot, const uint32_t **ret,
                        size_t *ret_n) {
    int64_t gap, difference;
    uint64_t n;
    if (it->p == it->end) {
        return 0;
    }
    if (!varint_get(&it->p, it->end, &gap) || !uvarint_get(&it->p, it->end, &n) ||
        n > (uint64_t)(it->end - it->p)) {
        return -EBADMSG;
    }
    vec_reserve(&it->last, n);
    while (it->last.n < n) {
        it->last.v[it->last.n++] = 0;
    }
    for (size_t i = 0; i < n; i++) {
        if (!varint_get(&it->p, it->end, &difference)) {
            return -EBADMSG;
        }
        it->last.v[i] = (uint32_t)((int64_t)it->last.v[i] + difference);
    }
    *ret_slot = (uint32_t)((int64_t)it->next_slot + gap);
    it->next_slot = *ret_slot + 1;
    *ret = it->last.v;
    *ret_n = n;
    return 1;
}
