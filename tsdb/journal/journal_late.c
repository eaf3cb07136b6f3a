#include "tsdb/journal/journal_late.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/varint.h"
#include "model/sample.h"

#define SAMPLES_PER_RECORD 65536

static void put_record(JournalEncoder *e, Buf *out, const JournalSample *v, size_t n) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    int64_t t = v[0].t, max = t;
    uint32_t slot = 0;
    for (size_t i = 1; i < n; i++) {
        max = MAX(max, v[i].t);
    }
    buf_add_varint(&b, t);
    buf_add_uvarint(&b, (uint64_t)max - (uint64_t)t);
    for (size_t i = 0; i < n; i++) {
        buf_add_varint(&b, (int64_t)v[i].slot - slot);
        buf_add_varint(&b, (int64_t)((uint64_t)v[i].t - (uint64_t)t));
        buf_add_u64(&b, double_bits(v[i].v));
        slot = v[i].slot;
        t = v[i].t;
    }
    journal_encoder_put(e, out, JOURNAL_LATE, buf_str(&b));
}

void journal_put_late(JournalEncoder *e, Buf *out, const JournalSample *v, size_t n) {
    for (size_t at = 0; at < n; at += SAMPLES_PER_RECORD) {
        put_record(e, out, v + at, MIN(n - at, (size_t)SAMPLES_PER_RECORD));
    }
}

void journal_put_late_mark(JournalEncoder *e, Buf *out, bool done) {
    journal_encoder_put(e, out, done ? JOURNAL_LATE_DONE : JOURNAL_LATE_CUT, (Str){"", 1});
}

int journal_late_init(JournalLate *it, Str payload) {
    uint64_t later;
    *it = (JournalLate){.p = (const uint8_t *)payload.p};
    it->end = it->p + payload.n;
    if (!varint_get(&it->p, it->end, &it->t) || !uvarint_get(&it->p, it->end, &later)) {
        return -EBADMSG;
    }
    it->max_time = (int64_t)((uint64_t)it->t + later);
    return 0;
}

int journal_late_next(JournalLate *it, JournalSample *ret) {
    int64_t slot, t;
    uint64_t bits;
    if (it->p == it->end) {
        return 0;
    }
    if (!varint_get(&it->p, it->end, &slot) || !varint_get(&it->p, it->end, &t) ||
        it->end - it->p < 8) {
        return -EBADMSG;
    }
    memcpy(&bits, it->p, 8);
    it->p += 8;
    it->slot = (uint32_t)((int64_t)it->slot + slot);
    it->t = (int64_t)((uint64_t)it->t + (uint64_t)t);
    *ret = (JournalSample){it->slot, it->t, double_of_bits(le64toh(bits))};
    return 1;
}
