#include "tsdb/journal/journal_notes.h"

#include <errno.h>
#include <string.h>

#include "base/varint.h"

#define PAYLOAD_SPLIT (1u << 20)

enum { FLAG_HAS_TIME = 1 };

/* ---- writing */

static void put_str(Buf *b, Str s) {
    buf_add_uvarint(b, s.n);
    buf_add_str(b, s);
}

static void put_exemplar(Buf *b, const JournalExemplar *v, int64_t before) {
    const Exemplar *x = &v->exemplar;
    buf_add_uvarint(b, v->slot);
    buf_add_varint(b, (int64_t)((uint64_t)x->t - (uint64_t)before));
    buf_add_char(b, x->has_t ? FLAG_HAS_TIME : 0);
    buf_add_u64(b, double_bits(x->value));
    buf_add_uvarint(b, x->labels.n);
    for (size_t i = 0; i < x->labels.n; i++) {
        put_str(b, x->labels.v[i].name);
        put_str(b, x->labels.v[i].value);
    }
}

void journal_put_exemplars(JournalEncoder *e, Buf *out, const JournalExemplar *v, size_t n) {
    for (size_t i = 0; i < n;) {
        CLEANUP(buf_deinit) Buf payload = {0};
        int64_t before = 0;
        for (; i < n && payload.n < PAYLOAD_SPLIT; i++) {
            put_exemplar(&payload, &v[i], before);
            before = v[i].exemplar.t;
        }
        journal_encoder_put(e, out, JOURNAL_EXEMPLARS, buf_str(&payload));
    }
}

void journal_put_families(JournalEncoder *e, Buf *out, const JournalFamily *v, size_t n) {
    for (size_t i = 0; i < n;) {
        CLEANUP(buf_deinit) Buf payload = {0};
        for (; i < n && payload.n < PAYLOAD_SPLIT; i++) {
            put_str(&payload, v[i].name);
            buf_add_char(&payload, (char)v[i].metadata.type);
            put_str(&payload, v[i].metadata.unit);
            put_str(&payload, v[i].metadata.help);
        }
        journal_encoder_put(e, out, JOURNAL_FAMILIES, buf_str(&payload));
    }
}

/* ---- reading */

void journal_notes_deinit(JournalNotes *it) { vec_free(&it->labels); }

static bool take_str(JournalNotes *it, Str *ret) {
    uint64_t n;
    if (!uvarint_get(&it->p, it->end, &n) || n > (uint64_t)(it->end - it->p)) {
        return false;
    }
    *ret = str_n((const char *)it->p, n);
    it->p += n;
    return true;
}

static bool take_labels(JournalNotes *it, Labels *ret) {
    uint64_t n;
    if (!uvarint_get(&it->p, it->end, &n) || n > (uint64_t)(it->end - it->p) / 2) {
        return false;
    }
    it->labels.n = 0;
    for (uint64_t i = 0; i < n; i++) {
        Label l;
        if (!take_str(it, &l.name) || !take_str(it, &l.value) ||
            (i > 0 && str_cmp(it->labels.v[i - 1].name, l.name) >= 0)) {
            return false;
        }
        vec_push(&it->labels, l);
    }
    *ret = (Labels){it->labels.v, it->labels.n};
    return true;
}

int journal_exemplars_next(JournalNotes *it, JournalExemplar *ret) {
    uint64_t slot, bits;
    int64_t delta;
    if (it->p == it->end) {
        return 0;
    }
    if (!uvarint_get(&it->p, it->end, &slot) || slot > UINT32_MAX ||
        !varint_get(&it->p, it->end, &delta) || it->end - it->p < 9) {
        return -EBADMSG;
    }
    it->t = (int64_t)((uint64_t)it->t + (uint64_t)delta);
    *ret = (JournalExemplar){.slot = (uint32_t)slot,
                             .exemplar = {.t = it->t, .has_t = *it->p++ & FLAG_HAS_TIME}};
    memcpy(&bits, it->p, 8);
    it->p += 8;
    ret->exemplar.value = double_of_bits(bits);
    return take_labels(it, &ret->exemplar.labels) ? 1 : -EBADMSG;
}

int journal_families_next(JournalNotes *it, JournalFamily *ret) {
    if (it->p == it->end) {
        return 0;
    }
    if (!take_str(it, &ret->name) || ret->name.n == 0 || it->p == it->end ||
        *it->p > METRIC_STATESET) {
        return -EBADMSG;
    }
    ret->metadata.type = (MetricType)*it->p++;
    return take_str(it, &ret->metadata.unit) && take_str(it, &ret->metadata.help) ? 1 : -EBADMSG;
}
