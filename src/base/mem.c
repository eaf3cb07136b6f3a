#include "base/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void out_of_memory(size_t size) {
    fprintf(stderr, "out of memory: %zu bytes asked for\n", size);
    abort();
}

static size_t product(size_t n, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(n, size, &total)) {
        out_of_memory(SIZE_MAX);
    }
    return total;
}

void *mem_alloc(size_t size) {
    void *p = malloc(size ? size : 1);
    if (UNLIKELY(!p)) {
        out_of_memory(size);
    }
    return p;
}

void *mem_zalloc(size_t size) {
    void *p = calloc(1, size ? size : 1);
    if (UNLIKELY(!p)) {
        out_of_memory(size);
    }
    return p;
}

void *mem_realloc(void *p, size_t size) {
    void *q = realloc(p, size ? size : 1);
    if (UNLIKELY(!q)) {
        out_of_memory(size);
    }
    return q;
}

void *mem_calloc(size_t n, size_t size) { return mem_zalloc(product(n, size)); }

void *mem_recalloc(void *p, size_t n, size_t size) { return mem_realloc(p, product(n, size)); }

void *mem_dup(const void *p, size_t size) {
    void *q = mem_alloc(size);
    if (size) {
        memcpy(q, p, size);
    }
    return q;
}

char *mem_strdup(const char *s) { return mem_dup(s, strlen(s) + 1); }

char *mem_printf(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    assert(fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *s = mem_alloc((size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(s, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return s;
}

void mem_free(void *p) { free(p); }

void mem_freep(void *local) { free(*(void **)local); }
