/* A lock of one byte for sections of some nanoseconds; a waiter gives up the processor after a
 * while, since the holder may have been preempted. */
#pragma once

#include <sched.h>
#include <stdatomic.h>

typedef atomic_uchar Spin;

static inline void spin_lock(Spin *l) {
    while (atomic_exchange_explicit(l, 1, memory_order_acquire)) {
        for (unsigned n = 0; atomic_load_explicit(l, memory_order_relaxed); n++) {
            if (n > 100) {
                sched_yield();
            }
        }
    }
}
static inline void spin_unlock(Spin *l) { atomic_store_explicit(l, 0, memory_order_release); }
