/*
 * Records of samples that came out of order (kind 32), and the marks of their cut (33, 34). They
 * refer to nothing that was written before, since they are rare and their values follow no order.
 * docs/formats/journal.md is the specification. No state: any thread.
 */
#pragma once

#include "tsdb/journal/journal_record.h"

/* In as many records as needed; none when n is 0. */
void journal_put_late(JournalEncoder *e, Buf *out, const JournalSample *v, size_t n);
void journal_put_late_mark(JournalEncoder *e, Buf *out, bool done);

typedef struct JournalLate {
    const uint8_t *p, *end;
    uint32_t slot;
    int64_t t, max_time; /* of the sample before; of all */
} JournalLate;
/* 0 or -EBADMSG. */
int journal_late_init(JournalLate *it, Str payload);
/* 1 and a sample, 0 at the end, -EBADMSG. */
int journal_late_next(JournalLate *it, JournalSample *ret);
