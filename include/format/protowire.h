/*
 * Protocol buffers' wire format (developers.google.com/protocol-buffers/docs/encoding): a reader
 * that points into the message, and a writer into a Buf. Messages are described by the code that
 * reads them, in a switch over field numbers:
 *
 *     ProtoReader r = PROTO_READER(bytes);
 *     ProtoField f;
 *     while ((e = proto_next(&r, &f)) == 1)
 *         switch (f.number) {
 *         case 1: if (proto_is_bytes(&f)) name = f.bytes; break;
 *
 * No allocation, no recursion. One owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/varint.h"

typedef enum ProtoType {
    PROTO_VARINT = 0,
    PROTO_FIXED64 = 1,
    PROTO_BYTES = 2,
    PROTO_FIXED32 = 5,
} ProtoType;

typedef struct ProtoReader {
    const uint8_t *p, *end;
} ProtoReader;

typedef struct ProtoField {
    uint32_t number;
    ProtoType type;
    uint64_t value; /* of varint and fixed types */
    Str bytes;      /* of PROTO_BYTES: string, message, packed numbers */
} ProtoField;

static inline ProtoReader proto_reader(Str s) {
    const uint8_t *p = (const uint8_t *)s.p;
    return (ProtoReader){p, p ? p + s.n : p}; /* a message without bytes may have no address */
}
#define PROTO_READER(str) proto_reader(str)

/* 1 and a field, 0 at the end, -EBADMSG. Groups (long deprecated) are skipped. */
int proto_next(ProtoReader *r, ProtoField *ret);

static inline bool proto_is_bytes(const ProtoField *f) { return f->type == PROTO_BYTES; }
static inline bool proto_is_varint(const ProtoField *f) { return f->type == PROTO_VARINT; }
static inline double proto_double(const ProtoField *f) {
    double v;
    memcpy(&v, &f->value, sizeof(v));
    return v;
}
static inline float proto_float(const ProtoField *f) {
    float v;
    uint32_t bits = (uint32_t)f->value;
    memcpy(&v, &bits, sizeof(v));
    return v;
}
static inline int64_t proto_sint(const ProtoField *f) { return zigzag_decode(f->value); }

/* Repeated numbers come packed in one field or one by one; these take both. The first call needs
 * *at == NULL. 1 and a number, 0 when the field is used up, -EBADMSG. */
int proto_packed_varint(const ProtoField *f, const uint8_t **at, uint64_t *ret);
int proto_packed_double(const ProtoField *f, const uint8_t **at, double *ret);

/* Writers. Fields with proto3's zero value are written too: leaving them out is the caller's. */
void proto_add_uint(Buf *b, uint32_t number, uint64_t v);
void proto_add_int(Buf *b, uint32_t number, int64_t v); /* int32, int64, enum, bool */
void proto_add_sint(Buf *b, uint32_t number, int64_t v);
void proto_add_double(Buf *b, uint32_t number, double v);
void proto_add_fixed64(Buf *b, uint32_t number, uint64_t v);
void proto_add_bytes(Buf *b, uint32_t number, Str v);
/* A message within: what is added between begin and end is its content. */
size_t proto_begin(Buf *b, uint32_t number);
void proto_end(Buf *b, size_t mark);
