/* The handler of SIGBUS: only atomics and one system call, as is allowed in it. */
#include "base/map_guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/compiler.h"

#define PAGE_BYTES ((uintptr_t)4096)

/* start is set last and cleared first; 0 = free. */
typedef struct Guard {
    atomic_uintptr_t start, end;
    _Atomic(atomic_bool *) lost;
} Guard;

static Guard guards[MAP_GUARDS_MAX];
static atomic_size_t guards_used; /* none behind was ever taken */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static Guard *guard_of(uintptr_t at) {
    size_t n = atomic_load(&guards_used);
    for (size_t i = 0; i < n; i++) {
        Guard *g = &guards[i];
        uintptr_t start = atomic_load(&g->start);
        if (start && at >= start && at < atomic_load(&g->end)) {
            return g;
        }
    }
    return NULL;
}

/* A page of zeros in place of the one that cannot be read. */
static bool put_zeros(uintptr_t at) {
    long r = syscall(SYS_mmap, at & ~(PAGE_BYTES - 1), PAGE_BYTES, PROT_READ,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    return r != -1;
}

static void on_bus_error(int sig, siginfo_t *info, void *context) {
    int saved = errno;
    uintptr_t at = (uintptr_t)info->si_addr;
    Guard *g = guard_of(at);
    (void)context;
    if (g && put_zeros(at)) {
        atomic_store(atomic_load(&g->lost), true);
    } else {
        signal(sig, SIG_DFL); /* comes again at once, and ends the program */
    }
    errno = saved;
}

static void take_over(void) {
    struct sigaction a = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigemptyset(&a.sa_mask);
    (void)sigaction(SIGBUS, &a, NULL); /* cannot fail with these arguments */
}

void map_guard_add(const void *p, size_t size, atomic_bool *lost) {
    (void)pthread_once(&once, take_over);
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < MAP_GUARDS_MAX; i++) {
        Guard *g = &guards[i];
        if (atomic_load(&g->start)) {
            continue;
        }
        atomic_store(&g->end, (uintptr_t)p + size);
        atomic_store(&g->lost, lost);
        atomic_store(&g->start, (uintptr_t)p);
        atomic_store(&guards_used, MAX(atomic_load(&guards_used), i + 1));
        break;
    }
    pthread_mutex_unlock(&lock);
}

void map_guard_remove(const void *p) {
    pthread_mutex_lock(&lock);
    for (size_t i = 0; p && i < MAP_GUARDS_MAX; i++) {
        if (atomic_load(&guards[i].start) == (uintptr_t)p) {
            atomic_store(&guards[i].start, 0);
            break;
        }
    }
    pthread_mutex_unlock(&lock);
}
