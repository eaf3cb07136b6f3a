/* The table of encodings, and the checks that all of them share. */
#include "tsdb/codec/chunk.h"

#include "base/compiler.h"
#include "base/err.h"
#include "tsdb/codec/columns.h"
#include "tsdb/codec/linked.h"
#include "tsdb/codec/xor.h"

typedef struct EncodingRow {
    uint8_t id;
    const char *name;
    SampleKind kind;
    /* Of floats only; histogram_chunk_decode() reads the others. */
    int (*decode)(const Chunk *c, int64_t *t, double *v);
    int (*decode_plain)(const Chunk *c, int64_t *t, double *v);
    /* NULL: the whole chunk is decoded. */
    int (*decode_range)(const Chunk *c, int64_t from, int64_t to, int64_t *t, double *v,
                        uint32_t *ret_n);
} EncodingRow;

/* Ids are stored: never given twice. */
static const EncodingRow encodings[] = {
    {CHUNK_XOR, "xor", SAMPLE_FLOAT, xor_decode, xor_decode_plain, NULL},
    {CHUNK_COLUMNS, "columns", SAMPLE_FLOAT, columns_decode, columns_decode_plain,
     columns_decode_range},
    {CHUNK_HISTOGRAM, "histogram", SAMPLE_HISTOGRAM, NULL, NULL, NULL},
    {CHUNK_FLOAT_HISTOGRAM, "float histogram", SAMPLE_FLOAT_HISTOGRAM, NULL, NULL, NULL},
    {CHUNK_LINKED, "linked", SAMPLE_FLOAT, linked_decode, linked_decode_plain, linked_decode_range},
};

static const EncodingRow *row_of(uint8_t id) {
    for (size_t i = 0; i < ARRAY_LEN(encodings); i++) {
        if (encodings[i].id == id) {
            return &encodings[i];
        }
    }
    return NULL;
}

static int check_frame(const Chunk *c) {
    bool sane = c->n > 0 && c->n <= CHUNK_SAMPLES_MAX && c->size > 0 && c->size < (1u << 24) &&
                c->min_time <= c->max_time;
    return sane ? 0 : -EBADMSG;
}

void chunk_append(ChunkWriter *w, uint8_t *data, int64_t t, double v) { xor_append(w, data, t, v); }

int chunk_decode(const Chunk *c, int64_t *t, double *v) {
    const EncodingRow *row = row_of(c->encoding);
    if (!row || row->kind != SAMPLE_FLOAT) {
        return -ENOTSUP;
    }
    int r = check_frame(c);
    return r ? r : row->decode(c, t, v);
}

int chunk_decode_range(const Chunk *c, int64_t from, int64_t to, int64_t *t, double *v,
                       uint32_t *ret_n) {
    const EncodingRow *row = row_of(c->encoding);
    if (!row || row->kind != SAMPLE_FLOAT) {
        return -ENOTSUP;
    }
    int r = check_frame(c);
    if (r < 0) {
        return r;
    }
    if (row->decode_range) {
        return row->decode_range(c, from, to, t, v, ret_n);
    }
    *ret_n = c->n;
    return row->decode(c, t, v);
}

int chunk_decode_plain(const Chunk *c, int64_t *t, double *v) {
    const EncodingRow *row = row_of(c->encoding);
    if (!row || row->kind != SAMPLE_FLOAT) {
        return -ENOTSUP;
    }
    int r = check_frame(c);
    return r ? r : row->decode_plain(c, t, v);
}

int chunk_writer_resume(ChunkWriter *w, const Chunk *c) {
    if (c->encoding != CHUNK_XOR) {
        return -ENOTSUP;
    }
    int r = check_frame(c);
    return r ? r : xor_decode_state(c, NULL, NULL, w);
}

SampleKind chunk_encoding_kind(uint8_t encoding) {
    const EncodingRow *row = row_of(encoding);
    return row ? row->kind : SAMPLE_NONE;
}

const char *chunk_encoding_name(uint8_t encoding) {
    const EncodingRow *row = row_of(encoding);
    return row ? row->name : NULL;
}
