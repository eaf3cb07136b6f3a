#include "base/buf.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/varint.h"

void buf_deinit(Buf *b) {
    mem_free(b->p);
    *b = BUF_INIT(b->max);
}

void buf_reset(Buf *b) {
    b->n = 0;
    b->failed = false;
}

/* Makes room for `more` bytes behind the end; false (and failed) at the ceiling. */
static bool grow(Buf *b, size_t more) {
    size_t want;
    if (b->failed || __builtin_add_overflow(b->n, more, &want) || (b->max && want > b->max)) {
        b->failed = true;
        return false;
    }
    if (want > b->cap) {
        size_t cap = MAX(want, MAX(b->cap * 2, (size_t)64));
        if (b->max && cap > b->max) {
            cap = b->max;
        }
        b->p = mem_realloc(b->p, cap);
        b->cap = cap;
    }
    return true;
}

char *buf_reserve(Buf *b, size_t more) { return grow(b, more) ? b->p + b->n : NULL; }

void buf_add(Buf *b, const void *p, size_t n) {
    if (n && grow(b, n)) {
        memcpy(b->p + b->n, p, n);
        b->n += n;
    }
}

void buf_add_str(Buf *b, Str s) { buf_add(b, s.p, s.n); }

void buf_add_cstr(Buf *b, const char *s) { buf_add(b, s, strlen(s)); }

void buf_vaddf(Buf *b, const char *fmt, va_list ap) {
    va_list again;
    va_copy(again, ap);
    char small[256];
    int n = vsnprintf(small, sizeof(small), fmt, ap);
    if (n >= 0 && (size_t)n < sizeof(small)) {
        buf_add(b, small, (size_t)n);
    } else if (n >= 0) {
        CLEANUP(mem_freep) char *big = mem_alloc((size_t)n + 1);
        vsnprintf(big, (size_t)n + 1, fmt, again);
        buf_add(b, big, (size_t)n);
    }
    va_end(again);
}

void buf_addf(Buf *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(b, fmt, ap);
    va_end(ap);
}

void buf_add_u32(Buf *b, uint32_t v) {
    uint8_t d[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
    buf_add(b, d, sizeof(d));
}

void buf_add_u64(Buf *b, uint64_t v) {
    buf_add_u32(b, (uint32_t)v);
    buf_add_u32(b, (uint32_t)(v >> 32));
}

void buf_add_uvarint(Buf *b, uint64_t v) {
    uint8_t d[UVARINT_BYTES_MAX];
    buf_add(b, d, uvarint_put(d, v));
}

void buf_add_varint(Buf *b, int64_t v) { buf_add_uvarint(b, zigzag_encode(v)); }

const char *buf_cstr(Buf *b) {
    char *end = buf_reserve(b, 1);
    if (!end) {
        return NULL;
    }
    *end = '\0';
    return b->p;
}
