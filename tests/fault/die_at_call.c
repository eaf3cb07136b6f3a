/*
 * Preloaded into a process, ends it with SIGKILL at its n-th call that changes a file
 * (DIE_AT_CALL=n), before the call is made, or with DIE_HALF=1 after half of what it was to write.
 * Without n it only counts; where the count goes is a mapped file (DIE_COUNT=path, 8 bytes).
 */
#undef _FILE_OFFSET_BITS /* else the names with and without 64 are the same */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_ulong own_count;
static _Atomic uint64_t *shared_count;
static unsigned long nth;
static int half;

__attribute__((constructor)) static void setup(void) {
    const char *n = getenv("DIE_AT_CALL"), *path = getenv("DIE_COUNT"), *h = getenv("DIE_HALF");
    nth = n ? strtoul(n, NULL, 10) : 0;
    half = h && h[0] == '1';
    int fd = path ? open(path, O_RDWR) : -1;
    if (fd >= 0) {
        void *p = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        shared_count = p == MAP_FAILED ? NULL : p;
        close(fd);
    }
}

/* 0: go on; 1: this is the one, and it is a write that may be cut in half. */
static int count_call(int is_write) {
    unsigned long now = atomic_fetch_add(&own_count, 1) + 1;
    if (shared_count) {
        atomic_store(shared_count, now);
    }
    if (nth == 0 || now != nth) {
        return 0;
    }
    if (!half || !is_write) {
        kill(getpid(), SIGKILL);
    }
    return 1;
}

static void die(void) { kill(getpid(), SIGKILL); }

#define REAL(type, name) type real = (type)(uintptr_t)dlsym(RTLD_NEXT, name)

typedef ssize_t (*PwriteFn)(int, const void *, size_t, off_t);
typedef ssize_t (*PwritevFn)(int, const struct iovec *, int, off_t);
typedef int (*FdFn)(int);
typedef int (*TwoPathsFn)(const char *, const char *);
typedef int (*PathFn)(const char *);
typedef int (*FdSizeFn)(int, off_t);
typedef int (*FallocateFn)(int, int, off_t, off_t);

ssize_t pwrite(int fd, const void *p, size_t n, off_t at) {
    REAL(PwriteFn, "pwrite");
    if (count_call(1)) {
        (void)!real(fd, p, n / 2, at);
        die();
    }
    return real(fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at) { return pwrite(fd, p, n, at); }

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at) {
    REAL(PwritevFn, "pwritev");
    if (count_call(1)) {
        (void)!real(fd, v, (n + 1) / 2, at);
        die();
    }
    return real(fd, v, n, at);
}

ssize_t pwritev64(int fd, const struct iovec *v, int n, off_t at) { return pwritev(fd, v, n, at); }

int fsync(int fd) {
    REAL(FdFn, "fsync");
    (void)count_call(0);
    return real(fd);
}

int fdatasync(int fd) {
    REAL(FdFn, "fdatasync");
    (void)count_call(0);
    return real(fd);
}

int rename(const char *from, const char *to) {
    REAL(TwoPathsFn, "rename");
    (void)count_call(0);
    return real(from, to);
}

int link(const char *from, const char *to) {
    REAL(TwoPathsFn, "link");
    (void)count_call(0);
    return real(from, to);
}

int unlink(const char *path) {
    REAL(PathFn, "unlink");
    (void)count_call(0);
    return real(path);
}

int rmdir(const char *path) {
    REAL(PathFn, "rmdir");
    (void)count_call(0);
    return real(path);
}

int ftruncate(int fd, off_t n) {
    REAL(FdSizeFn, "ftruncate");
    (void)count_call(0);
    return real(fd, n);
}

int ftruncate64(int fd, off_t n) { return ftruncate(fd, n); }

int fallocate(int fd, int mode, off_t at, off_t n) {
    REAL(FallocateFn, "fallocate");
    (void)count_call(0);
    return real(fd, mode, at, n);
}

int fallocate64(int fd, int mode, off_t at, off_t n) { return fallocate(fd, mode, at, n); }
