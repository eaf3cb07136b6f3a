/*
 * A chunk is a run of consecutive samples of one series in few bytes. Its bytes alone do not say
 * how many samples they hold, from when, or in which encoding: whoever stores them (head, journal,
 * block) keeps that beside them, as Chunk does. docs/formats/chunk.md is the format.
 *
 * Encodings are rows of a table (chunk.c): id, name, functions. An id is stored for ever; an
 * unknown one is refused by number. All encodings give every double back bit for bit.
 *
 * Decoding reads only, and allocates nothing. A ChunkWriter with its bytes and a ChunkEncoder
 * belong to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/sample.h"

typedef enum ChunkEncoding {
    CHUNK_XOR = 1,       /* floats: Gorilla, with times as deltas of deltas; what the head writes */
    CHUNK_COLUMNS = 2,   /* floats: times and values apart, each as small as may be; stands alone */
    CHUNK_HISTOGRAM = 3, /* histogram_chunk.h */
    CHUNK_FLOAT_HISTOGRAM = 4, /* histogram_chunk.h */
    CHUNK_LINKED = 5,          /* floats: values alone, maybe as a difference; in blocks */
} ChunkEncoding;

/* Ids are smaller. */
#define CHUNK_ENCODINGS_MAX 64

/* An open chunk of the head is closed at whichever comes first. */
#define CHUNK_OPEN_SAMPLES_MAX 120
#define CHUNK_OPEN_BYTES_MAX 1024
/* No chunk anywhere is longer: readers size their arrays by it. */
#define CHUNK_SAMPLES_MAX 8192

typedef struct Chunk {
    int64_t min_time, max_time; /* of the first and the last sample */
    const uint8_t *data;
    uint32_t size; /* bytes */
    uint32_t n;    /* samples, 1..CHUNK_SAMPLES_MAX */
    uint8_t encoding;
    /* Only of a chunk whose bytes hold no times: these, n of them. And the values of the chunk that
     * its link names, if it has one (chunk_link()). Both are borrowed. */
    const int64_t *times;
    const double *base;
} Chunk;

/*
 * An open chunk: 40 bytes of state over bytes that the caller owns, grows and passes in again each
 * time. Zero-initialise it. Before each append there must be CHUNK_APPEND_ROOM bytes of room behind
 * chunk_writer_size(); they need not be cleared. Appending costs about 10 ns.
 *
 *     if (cap < chunk_writer_size(&w) + CHUNK_APPEND_ROOM)
 *         data = mem_realloc(data, cap *= 2);
 *     chunk_append(&w, data, t, v);
 */
typedef struct ChunkWriter {
    int64_t min_time; /* of the first sample */
    int64_t t;        /* last time */
    int64_t delta;    /* last step of time */
    uint64_t v;       /* bits of the last value */
    uint32_t bits;    /* written so far */
    uint16_t n;       /* samples */
    uint8_t leading;  /* window of the last value that stated one: zero bits above */
    uint8_t width;    /* and its length, 0 = none yet */
} ChunkWriter;

#define CHUNK_APPEND_ROOM 32

/* t must be greater than the last. The caller watches n and size. */
void chunk_append(ChunkWriter *w, uint8_t *data, int64_t t, double v);
static inline uint32_t chunk_writer_size(const ChunkWriter *w) { return (w->bits + 7) / 8; }
static inline double chunk_writer_last(const ChunkWriter *w) { return double_of_bits(w->v); }
/* True when the next append would pass a limit (0 = the constants above). */
static inline bool chunk_writer_full(const ChunkWriter *w, uint32_t samples_max) {
    return w->n >= (samples_max ? samples_max : CHUNK_OPEN_SAMPLES_MAX) ||
           chunk_writer_size(w) + CHUNK_APPEND_ROOM > CHUNK_OPEN_BYTES_MAX;
}
/* The chunk as it stands; borrows data. n must be > 0. */
static inline Chunk chunk_writer_view(const ChunkWriter *w, const uint8_t *data) {
    return (Chunk){.min_time = w->min_time,
                   .max_time = w->t,
                   .data = data,
                   .size = chunk_writer_size(w),
                   .n = w->n,
                   .encoding = CHUNK_XOR};
}
/*
 * Makes the state with which appending goes on from a chunk read back (journal replay, head
 * snapshot). 0 or as chunk_decode().
 */
int chunk_writer_resume(ChunkWriter *w, const Chunk *c);

/*
 * Makes a chunk of samples that lie there already: tries several ways and takes the smallest, about
 * 25 ns a sample. Times must rise, n is 1..CHUNK_SAMPLES_MAX. The bytes of *ret are the encoder's
 * and stay until its next use. An encoder is a megabyte of scratch space.
 */
typedef struct ChunkEncoder ChunkEncoder;
ChunkEncoder *chunk_encoder_new(void);
void chunk_encoder_free(ChunkEncoder *e);
void chunk_encode(ChunkEncoder *e, const int64_t *t, const double *v, uint32_t n, Chunk *ret);

/*
 * Chunks without times, CHUNK_LINKED; those of *ret are left to the caller. Values may be kept as
 * what they differ from those of another chunk, base, which link will find again: true when that
 * was smaller. base may be NULL. Or they are the very values of another chunk.
 */
typedef struct ChunkLink {
    uint32_t bundle, offset, size; /* where a chunk lies in its block: block_format.h */
} ChunkLink;
bool chunk_encode_linked(ChunkEncoder *e, const double *v, uint32_t n, const double *base,
                         const ChunkLink *link, Chunk *ret);
void chunk_encode_same(ChunkEncoder *e, uint32_t n, const ChunkLink *link, Chunk *ret);
/* Which other chunk's values are needed: 0 = none, or one of these and the link; -EBADMSG. */
enum { CHUNK_SAME = 1, CHUNK_DIFFERENCE = 2 };
int chunk_link(const Chunk *c, ChunkLink *ret);
/* Values from..to-1 of a CHUNK_LINKED; base: those of its link, from..to-1 too, else NULL. As
 * chunk_decode(). */
int chunk_decode_values(const Chunk *c, uint32_t from, uint32_t to, const double *base, double *v);

/*
 * All samples of a float chunk to t[0..n) and v[0..n). 0, -EBADMSG when the bytes are not exactly
 * such a chunk, -ENOTSUP for an unknown encoding. Never reads outside data[0..size) or writes past
 * n, whatever the bytes are; the content of t and v is undefined after a failure.
 */
int chunk_decode(const Chunk *c, int64_t *t, double *v);
/*
 * At least the samples with from <= t <= to, those around them as it comes; always one or more. A
 * long chunk is not decoded as a whole then, so that damage elsewhere in it is not noticed. t and v
 * need room for all n samples.
 */
int chunk_decode_range(const Chunk *c, int64_t from, int64_t to, int64_t *t, double *v,
                       uint32_t *ret_n);
/* chunk_decode(), one bit at a time: slow, plain, for tests to hold the fast one against. */
int chunk_decode_plain(const Chunk *c, int64_t *t, double *v);

/* What an encoding holds; SAMPLE_NONE when it is unknown. */
SampleKind chunk_encoding_kind(uint8_t encoding);
const char *chunk_encoding_name(uint8_t encoding); /* NULL when unknown */
