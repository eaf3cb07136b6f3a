/*
 * Heap memory for small things of our own making. These never return NULL: when the system has no
 * memory left the process says so and aborts. A size that a peer, a file or a query chooses must
 * not come here but from an Arena or Buf with a ceiling, which can refuse. Any thread.
 */
#pragma once

#include <stddef.h>

#include "base/compiler.h"

void *mem_alloc(size_t size) NODISCARD;
void *mem_zalloc(size_t size) NODISCARD;
void *mem_realloc(void *p, size_t size) NODISCARD;
/* n elements of size each; aborts on overflow of the product. */
void *mem_calloc(size_t n, size_t size) NODISCARD;
void *mem_recalloc(void *p, size_t n, size_t size) NODISCARD;
void *mem_dup(const void *p, size_t size) NODISCARD;
char *mem_strdup(const char *s) NODISCARD;
/* printf into a fresh string; caller frees. */
char *mem_printf(const char *fmt, ...) PRINTF_LIKE(1, 2) NODISCARD;
void mem_free(void *p);

/* For CLEANUP(mem_freep): frees what the local points to. */
void mem_freep(void *local);

#define NEW(T) ((T *)mem_zalloc(sizeof(T)))
#define NEW_ARRAY(T, n) ((T *)mem_calloc((n), sizeof(T)))
