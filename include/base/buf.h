/*
 * Buf is a growing run of bytes with a ceiling. When an addition would pass the ceiling nothing is
 * added, `failed` becomes true and stays so: write much, check once. Memory is the heap's. One
 * owner.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

typedef struct Buf {
    char *p;
    size_t n;
    size_t cap;
    size_t max; /* ceiling in bytes; 0 = none (only for sizes of our own choosing) */
    bool failed;
} Buf;

#define BUF_INIT(ceiling) ((Buf){.max = (ceiling)})

void buf_deinit(Buf *b);
/* Empties, keeps the memory and clears `failed`. */
void buf_reset(Buf *b);
/* Room for `more` bytes behind the end: pointer to it, or NULL at the ceiling (and failed). */
char *buf_reserve(Buf *b, size_t more);
void buf_add(Buf *b, const void *p, size_t n);
void buf_add_str(Buf *b, Str s);
void buf_add_cstr(Buf *b, const char *s);
void buf_addf(Buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vaddf(Buf *b, const char *fmt, va_list ap);
static inline void buf_add_char(Buf *b, char c) {
    if (LIKELY(b->n < b->cap && !b->failed)) {
        b->p[b->n++] = c;
    } else {
        buf_add(b, &c, 1);
    }
}
/* Little-endian fixed-width integers, and LEB128. */
void buf_add_u32(Buf *b, uint32_t v);
void buf_add_u64(Buf *b, uint64_t v);
void buf_add_uvarint(Buf *b, uint64_t v);
void buf_add_varint(Buf *b, int64_t v); /* zigzag */
/* Puts a NUL behind the end without counting it; NULL at the ceiling. */
const char *buf_cstr(Buf *b);
static inline Str buf_str(const Buf *b) { return (Str){b->p, b->n}; }
