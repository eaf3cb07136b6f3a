/*
 * Arena: memory that is dropped as a whole, named for its lifetime (config, query, request,
 * scrape). With a ceiling, arena_alloc() returns NULL once it is passed and `failed` stays true;
 * without one it never returns NULL. Not for two threads at a time.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

#include "base/compiler.h"
#include "base/str.h"

typedef struct ArenaBlock ArenaBlock;

typedef struct Arena {
    ArenaBlock *head;
    char *at, *end;
    size_t used; /* bytes taken from the heap */
    size_t max;  /* ceiling on `used`; 0 = none */
    bool failed;
} Arena;

#define ARENA_INIT(ceiling) ((Arena){.max = (ceiling)})

void arena_deinit(Arena *a);
/* Drops everything but keeps one block for the next round. */
void arena_reset(Arena *a);
/* 16-byte aligned, not cleared. */
void *arena_alloc(Arena *a, size_t size) NODISCARD;
void *arena_zalloc(Arena *a, size_t size) NODISCARD;
void *arena_calloc(Arena *a, size_t n, size_t size) NODISCARD;
/* Unaligned bytes (strings). */
void *arena_alloc_bytes(Arena *a, size_t size) NODISCARD;
void *arena_dup(Arena *a, const void *p, size_t size) NODISCARD;
/* Terminated copies; STR_NULL when the ceiling refuses. */
Str arena_str(Arena *a, Str s);
char *arena_cstr(Arena *a, Str s);
Str arena_printf(Arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define ARENA_NEW(a, T) ((T *)arena_zalloc((a), sizeof(T)))
#define ARENA_ARRAY(a, T, n) ((T *)arena_calloc((a), (n), sizeof(T)))
