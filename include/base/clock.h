/*
 * The only source of time. Wall time is milliseconds since 1970 (what samples carry), monotonic
 * time is nanoseconds (what durations are measured with). A test can put a fake in place of both.
 * Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

int64_t clock_wall_ms(void);
int64_t clock_mono_ns(void);
/* CPU time of the calling thread. */
int64_t clock_thread_cpu_ns(void);

/* From here on time stands still at wall_ms until it is set again; clock_real() undoes it. */
void clock_fake_set(int64_t wall_ms);
void clock_real(void);
