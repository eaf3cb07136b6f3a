#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t fake_wall_ms;
static atomic_bool fake;

static int64_t read_ns(clockid_t id) {
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t clock_wall_ms(void) {
    return atomic_load(&fake) ? atomic_load(&fake_wall_ms) : read_ns(CLOCK_REALTIME) / 1000000;
}

int64_t clock_mono_ns(void) {
    return atomic_load(&fake) ? atomic_load(&fake_wall_ms) * 1000000 : read_ns(CLOCK_MONOTONIC);
}

int64_t clock_thread_cpu_ns(void) { return read_ns(CLOCK_THREAD_CPUTIME_ID); }

void clock_fake_set(int64_t wall_ms) {
    atomic_store(&fake_wall_ms, wall_ms);
    atomic_store(&fake, true);
}

void clock_real(void) { atomic_store(&fake, false); }
