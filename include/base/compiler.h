/* Small wrappers around what gcc and clang offer beyond C11; the only place that spells attributes.
 */
#pragma once

#include <stddef.h>

#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#define NODISCARD __attribute__((warn_unused_result))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* A local that owns: CLEANUP(buf_deinit) Buf b = ...; the function gets the local's address. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Hands ownership on: return steal(&local); the local becomes NULL. */
#define steal(p)                                                                                   \
    __extension__({                                                                                \
        __typeof__(*(p)) s_ = *(p);                                                                \
        *(p) = NULL;                                                                               \
        s_;                                                                                        \
    })

/* <sys/param.h>, which libuv's header brings, has the same two. */
#undef MIN
#undef MAX
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
