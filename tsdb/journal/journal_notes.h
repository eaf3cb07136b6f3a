/*
 * Records of what is kept beside samples: exemplars (kind 17) and metadata of metrics (kind 18) of
 * docs/formats/journal.md. Any thread; one owner a reader.
 */
#pragma once

#include "storage/storage.h"
#include "tsdb/journal/journal_record.h"

typedef struct JournalExemplar {
    uint32_t slot;
    Exemplar exemplar;
} JournalExemplar;

typedef struct JournalFamily {
    Str name;
    Metadata metadata;
} JournalFamily;

/* In as many records as needed. */
void journal_put_exemplars(JournalEncoder *e, Buf *out, const JournalExemplar *v, size_t n);
void journal_put_families(JournalEncoder *e, Buf *out, const JournalFamily *v, size_t n);

typedef struct JournalNotes {
    const uint8_t *p, *end;
    int64_t t; /* of the exemplar before */
    VEC(Label) labels;
} JournalNotes;

#define JOURNAL_NOTES(payload)                                                                     \
    ((JournalNotes){.p = (const uint8_t *)(payload).p,                                             \
                    .end = (const uint8_t *)(payload).p + (payload).n})
void journal_notes_deinit(JournalNotes *it);
/* 1 and one (labels are the reader's, strings the payload's), 0 at the end, -EBADMSG. */
int journal_exemplars_next(JournalNotes *it, JournalExemplar *ret);
int journal_families_next(JournalNotes *it, JournalFamily *ret);
