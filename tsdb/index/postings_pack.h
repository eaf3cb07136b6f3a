/*
 * Postings as bytes: how a block stores them. Runs of neighbouring ids cost one number, because
 * series are numbered in label order and so a metric's series, and often a job's, are neighbours.
 * docs/formats/block.md, "Postings".
 *
 *     uvarint  number of ids
 *     then runs until that many ids are given:
 *     uvarint  (first id of the run - end of the run before) * 2 + (1 if longer than one id)
 *     uvarint  length - 2, only of those
 */
#pragma once

#include "base/buf.h"
#include "tsdb/index/postings.h"

/* Packs while ids come in rising order. Zero-initialise; deinit when done. 40 bytes and its heap.
 */
typedef struct PostingsPacker {
    uint8_t *p;
    uint32_t size, cap;
    uint32_t n;     /* ids so far */
    uint32_t start; /* of the run that is not written yet */
    uint32_t end;   /* behind it */
    uint32_t last;  /* end of the run before */
} PostingsPacker;

void postings_packer_add(PostingsPacker *k, uint32_t id);
/* The whole list to out; nothing can be added after it. */
void postings_packer_finish(PostingsPacker *k, Buf *out);
void postings_packer_deinit(PostingsPacker *k);

/* Appends the ids to ret. -EBADMSG unless the bytes are exactly one list of rising ids below
 * limit. */
int postings_unpack(Str packed, uint32_t limit, Ids *ret);
/* Number of ids, without reading them; false when not even that is there. */
bool postings_pack_count(Str packed, uint32_t *ret);
