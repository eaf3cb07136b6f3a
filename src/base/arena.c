#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"

#define ALIGNMENT 16
#define BLOCK_BYTES_FIRST 4096
#define BLOCK_BYTES_MAX ((size_t)1 << 20)

struct ArenaBlock {
    ArenaBlock *next;
    size_t size; /* of the whole block, header included */
    _Alignas(ALIGNMENT) char data[];
};

static void free_blocks(ArenaBlock *b) {
    while (b) {
        ArenaBlock *next = b->next;
        mem_free(b);
        b = next;
    }
}

void arena_deinit(Arena *a) {
    free_blocks(a->head);
    *a = ARENA_INIT(a->max);
}

void arena_reset(Arena *a) {
    a->failed = false;
    if (!a->head) {
        return;
    }
    free_blocks(a->head->next);
    a->head->next = NULL;
    a->used = a->head->size;
    a->at = a->head->data;
}

static bool add_block(Arena *a, size_t need) {
    size_t size = a->head ? MIN(a->head->size * 2, BLOCK_BYTES_MAX) : BLOCK_BYTES_FIRST;
    size_t least;
    if (__builtin_add_overflow(need, sizeof(ArenaBlock) + ALIGNMENT, &least)) {
        a->failed = true;
        return false;
    }
    size = MAX(size, least);
    if (a->max && (a->used + size > a->max || a->used + size < size)) {
        size = least;
        if (a->used + size > a->max || a->used + size < size) {
            a->failed = true;
            return false;
        }
    }
    ArenaBlock *b = mem_alloc(size);
    b->size = size;
    b->next = a->head;
    a->head = b;
    a->used += size;
    a->at = b->data;
    a->end = (char *)b + size;
    return true;
}

static void *take(Arena *a, size_t size, size_t align) {
    char *p = (char *)(((uintptr_t)a->at + align - 1) & ~(uintptr_t)(align - 1));
    if (UNLIKELY(!a->at || p > a->end || (size_t)(a->end - p) < size)) {
        if (a->failed || !add_block(a, size)) {
            return NULL;
        }
        p = a->at;
    }
    a->at = p + size;
    return p;
}

void *arena_alloc(Arena *a, size_t size) { return take(a, size, ALIGNMENT); }

void *arena_alloc_bytes(Arena *a, size_t size) { return take(a, size, 1); }

void *arena_zalloc(Arena *a, size_t size) {
    void *p = arena_alloc(a, size);
    return p ? memset(p, 0, size) : NULL;
}

void *arena_calloc(Arena *a, size_t n, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(n, size, &total)) {
        a->failed = true;
        return NULL;
    }
    return arena_zalloc(a, total);
}

void *arena_dup(Arena *a, const void *p, size_t size) {
    void *q = arena_alloc(a, size);
    return q && size ? memcpy(q, p, size) : q;
}

Str arena_str(Arena *a, Str s) {
    char *p = arena_cstr(a, s);
    return p ? (Str){p, s.n} : STR_NULL;
}

char *arena_cstr(Arena *a, Str s) {
    char *p = arena_alloc_bytes(a, s.n + 1);
    if (!p) {
        return NULL;
    }
    if (s.n) {
        memcpy(p, s.p, s.n);
    }
    p[s.n] = '\0';
    return p;
}

Str arena_printf(Arena *a, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n >= 0 ? arena_alloc_bytes(a, (size_t)n + 1) : NULL;
    if (!p) {
        return STR_NULL;
    }
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return (Str){p, (size_t)n};
}
