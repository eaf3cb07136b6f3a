/*
 * The times of a run of samples, without their values: evenly from the first to the last, or a
 * column of integers. In chunks of columns, and once for many series in the table `times` of a
 * block. docs/formats/chunk.md, "Times".
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "tsdb/codec/ints.h"

typedef enum TimesWay {
    TIMES_REGULAR = 0, /* evenly from min_time to max_time: no bytes */
    TIMES_PACKED = 1,  /* a column of integers */
} TimesWay;

typedef struct Times {
    int64_t min_time, max_time; /* the first and the last */
    uint32_t n;
    TimesWay way;
    const uint8_t *p, *end;
} Times;

/* All to t[0..n). 0, -EBADMSG when the bytes are not exactly such times, -ENOTSUP for an unknown
 * way. */
int times_read(const Times *c, int64_t *t);
/* At least those with from <= time <= to, one or more, to t[0..*ret_n); the first of them is number
 * *ret_first, a multiple of INTS_SEGMENT. */
int times_read_range(const Times *c, int64_t from, int64_t to, int64_t *t, uint32_t *ret_first,
                     uint32_t *ret_n);
/* Plain and slow, for tests. */
int times_read_plain(const Times *c, int64_t *t);

/* The bytes of t[0..n) to dst (INTS_ROOM(n) bytes); returns how many. scratch: n numbers. */
size_t times_write(uint8_t *dst, const int64_t *t, uint32_t n, int64_t *scratch, TimesWay *ret);
