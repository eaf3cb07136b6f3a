/*
 * VEC(T) is a typed growing array in three members. Heap memory, no ceiling: only for counts of our
 * own choosing or already checked. VEC(int) v = {0}; vec_push(&v, 3); vec_free(&v);
 */
#pragma once

#include "base/mem.h"

#define VEC(T)                                                                                     \
    struct {                                                                                       \
        T *v;                                                                                      \
        size_t n;                                                                                  \
        size_t cap;                                                                                \
    }

#define vec_reserve(vec, want)                                                                     \
    do {                                                                                           \
        if ((vec)->cap < (want)) {                                                                 \
            size_t c_ = (vec)->cap ? (vec)->cap * 2 : 8;                                           \
            if (c_ < (want))                                                                       \
                c_ = (want);                                                                       \
            (vec)->v = mem_recalloc((vec)->v, c_, sizeof(*(vec)->v));                              \
            (vec)->cap = c_;                                                                       \
        }                                                                                          \
    } while (0)

#define vec_push(vec, ...)                                                                         \
    do {                                                                                           \
        vec_reserve((vec), (vec)->n + 1);                                                          \
        (vec)->v[(vec)->n++] = (__VA_ARGS__);                                                      \
    } while (0)

#define vec_free(vec)                                                                              \
    do {                                                                                           \
        mem_free((vec)->v);                                                                        \
        (vec)->v = NULL;                                                                           \
        (vec)->n = (vec)->cap = 0;                                                                 \
    } while (0)
