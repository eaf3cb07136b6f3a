#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/random.h"

#define TREE_DEPTH_MAX 64

/* ---- faults ---- */

static _Atomic(FileFaultFn) fault_fn;
static _Atomic(void *) fault_arg;

void file_fault_set(FileFaultFn fn, void *arg) {
    atomic_store(&fault_arg, arg);
    atomic_store(&fault_fn, fn);
}

static int fault(FileOp op, size_t *n) {
    FileFaultFn fn = atomic_load_explicit(&fault_fn, memory_order_relaxed);
    size_t none = 0;
    return UNLIKELY(fn) ? fn(atomic_load(&fault_arg), op, n ? n : &none) : 0;
}

int file_fault_plan(void *arg, FileOp op, size_t *n) {
    FileFaultPlan *plan = arg;
    if (op != plan->op) {
        return 0;
    }
    unsigned seen = atomic_fetch_add(&plan->seen, 1) + 1;
    if (seen == plan->nth || (plan->forever && seen > plan->nth)) {
        /* A short write that is no error must write something, or it would be asked for forever. */
        size_t bytes = plan->error ? plan->bytes : MAX(plan->bytes, (size_t)1);
        *n = MIN(*n, bytes);
        return plan->error;
    }
    return 0;
}

/* ---- one file ---- */

int file_open(const char *path, int flags, mode_t mode, int *ret_fd) {
    int r = fault(FILE_OP_OPEN, NULL);
    if (r < 0) {
        return r;
    }
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        return -errno;
    }
    *ret_fd = fd;
    return 0;
}

int file_close(int fd) {
    /* After EINTR the descriptor is gone on Linux, so it is not tried again. */
    return fd >= 0 && close(fd) < 0 && errno != EINTR ? -errno : 0;
}

void file_closep(int *fd) {
    (void)file_close(*fd);
    *fd = -1;
}

/* offset < 0: the descriptor's own position. */
static int read_all(int fd, char *dst, size_t n, int64_t offset, size_t *ret_n) {
    size_t done = 0;
    while (done < n) {
        size_t ask = n - done;
        int r = fault(FILE_OP_READ, &ask);
        if (r < 0) {
            return r;
        }
        ssize_t got = offset < 0 ? read(fd, dst + done, ask)
                                 : pread(fd, dst + done, ask, (off_t)(offset + (int64_t)done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    *ret_n = done;
    return 0;
}

int file_pread(int fd, void *dst, size_t n, uint64_t offset, size_t *ret_n) {
    return read_all(fd, dst, n, (int64_t)offset, ret_n);
}

int file_read(int fd, void *dst, size_t n, size_t *ret_n) {
    return read_all(fd, dst, n, -1, ret_n);
}

static int write_all(int fd, const char *src, size_t n, int64_t offset) {
    size_t done = 0;
    while (done < n) {
        size_t ask = n - done;
        int r = fault(FILE_OP_WRITE, &ask);
        if (r < 0 && (ask == 0 || ask == n - done)) {
            return r;
        }
        ssize_t got = offset < 0 ? write(fd, src + done, ask)
                                 : pwrite(fd, src + done, ask, (off_t)(offset + (int64_t)done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 || r < 0) {
            return r < 0 ? r : -errno;
        }
        done += (size_t)got;
    }
    return 0;
}

int file_pwrite(int fd, const void *src, size_t n, uint64_t offset) {
    return write_all(fd, src, n, (int64_t)offset);
}

int file_write(int fd, const void *src, size_t n) { return write_all(fd, src, n, -1); }

int file_sync(int fd) {
    int r = fault(FILE_OP_SYNC, NULL);
    return r < 0 ? r : fsync(fd) < 0 ? -errno : 0;
}

int file_sync_data(int fd) {
    int r = fault(FILE_OP_SYNC, NULL);
    return r < 0 ? r : fdatasync(fd) < 0 ? -errno : 0;
}

int file_sync_folder(const char *path) {
    CLEANUP(file_closep) int fd = -1;
    int r = file_open(path, O_RDONLY | O_DIRECTORY, 0, &fd);
    return r < 0 ? r : file_sync(fd);
}

int file_allocate(int fd, uint64_t size, bool extend) {
    int r = fault(FILE_OP_ALLOCATE, NULL);
    if (r < 0) {
        return r;
    }
    do {
        r = fallocate(fd, extend ? 0 : FALLOC_FL_KEEP_SIZE, 0, (off_t)size);
    } while (r < 0 && errno == EINTR);
    if (r == 0) {
        return 0;
    }
    if (errno != EOPNOTSUPP) {
        return -errno;
    }
    uint64_t now;
    r = file_size(fd, &now);
    return r < 0 || !extend || now >= size ? r : file_truncate(fd, size);
}

int file_truncate(int fd, uint64_t size) {
    int r;
    do {
        r = ftruncate(fd, (off_t)size);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

int file_size(int fd, uint64_t *ret) {
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    *ret = (uint64_t)st.st_size;
    return 0;
}

int file_map(int fd, size_t size, FileMap *ret) {
    *ret = (FileMap){0};
    if (size == 0) {
        return 0;
    }
    void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        return -errno;
    }
    *ret = (FileMap){p, size};
    return 0;
}

void file_unmap(FileMap *m) {
    if (m->p) {
        munmap((void *)m->p, m->n);
    }
    *m = (FileMap){0};
}

/* ---- names ---- */

int file_rename(const char *from, const char *to) {
    int r = fault(FILE_OP_RENAME, NULL);
    return r < 0 ? r : rename(from, to) < 0 ? -errno : 0;
}

int file_unlink(const char *path) {
    int r = fault(FILE_OP_UNLINK, NULL);
    return r < 0 ? r : unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

bool file_exists(const char *path) { return access(path, F_OK) == 0; }

int file_make_folder(const char *path) {
    CLEANUP(mem_freep) char *copy = mem_strdup(path);
    for (char *p = copy + 1; *copy && *p; p++) {
        if (*p == '/') {
            *p = '\0';
            if (mkdir(copy, 0777) < 0 && errno != EEXIST) {
                return -errno;
            }
            *p = '/';
        }
    }
    if (mkdir(path, 0777) == 0) {
        return 0;
    }
    struct stat st;
    if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        return 0;
    }
    return errno == EEXIST ? -ENOTDIR : -errno;
}

int file_each_name(const char *path, int (*fn)(void *arg, const char *name), void *arg) {
    DIR *d = opendir(path);
    if (!d) {
        return -errno;
    }
    int r = 0;
    struct dirent *e;
    while (r == 0 && (errno = 0, e = readdir(d))) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            r = fn(arg, e->d_name);
        }
    }
    if (r == 0 && errno) {
        r = -errno;
    }
    closedir(d);
    return r;
}

typedef struct Walk {
    const char *path;
    uint64_t size;
    int depth;
} Walk;

static int remove_tree(const char *path, int depth);

static int remove_entry(void *arg, const char *name) {
    Walk *w = arg;
    CLEANUP(mem_freep) char *path = mem_printf("%s/%s", w->path, name);
    return remove_tree(path, w->depth + 1);
}

static int remove_tree(const char *path, int depth) {
    struct stat st;
    if (lstat(path, &st) < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (!S_ISDIR(st.st_mode)) {
        return file_unlink(path);
    }
    if (depth > TREE_DEPTH_MAX) {
        return -ELOOP;
    }
    Walk w = {.path = path, .depth = depth};
    int r = file_each_name(path, remove_entry, &w);
    return r < 0 ? r : rmdir(path) < 0 && errno != ENOENT ? -errno : 0;
}

int file_remove_tree(const char *path) { return remove_tree(path, 0); }

static int add_entry_size(void *arg, const char *name) {
    Walk *w = arg;
    CLEANUP(mem_freep) char *path = mem_printf("%s/%s", w->path, name);
    struct stat st;
    if (lstat(path, &st) < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (!S_ISDIR(st.st_mode)) {
        w->size += (uint64_t)st.st_blocks * 512;
        return 0;
    }
    if (w->depth > TREE_DEPTH_MAX) {
        return -ELOOP;
    }
    Walk below = {.path = path, .depth = w->depth + 1};
    int r = file_each_name(path, add_entry_size, &below);
    w->size += below.size;
    return r == -ENOENT ? 0 : r;
}

int file_tree_size(const char *path, uint64_t *ret) {
    Walk w = {.path = path};
    int r = file_each_name(path, add_entry_size, &w);
    if (r == 0) {
        *ret = w.size;
    }
    return r;
}

/* ---- whole files ---- */

int file_read_whole(const char *path, size_t max, Buf *ret) {
    CLEANUP(file_closep) int fd = -1;
    int r = file_open(path, O_RDONLY, 0, &fd);
    uint64_t size = 0;
    if (r < 0 || (r = file_size(fd, &size)) < 0) {
        return r;
    }
    if (size > max) {
        return -EFBIG;
    }
    /* The size is a hint: files in /proc say 0, and others may grow meanwhile. */
    size_t start = ret->n, step = (size_t)size + 1;
    for (;;) {
        char *at = buf_reserve(ret, step);
        size_t got;
        if (!at) {
            return -EFBIG;
        }
        r = file_read(fd, at, step, &got);
        if (r < 0) {
            return r;
        }
        ret->n += got;
        if (ret->n - start > max) {
            return -EFBIG;
        }
        if (got < step) {
            return 0;
        }
        step = 65536;
    }
}

static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) {
        return mem_strdup(".");
    }
    return mem_printf("%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static int write_synced(const char *path, const void *src, size_t n, mode_t mode) {
    CLEANUP(file_closep) int fd = -1;
    int r = file_open(path, O_WRONLY | O_CREAT | O_EXCL, mode, &fd);
    if (r < 0 || (r = file_write(fd, src, n)) < 0 || (r = file_sync(fd)) < 0) {
        return r;
    }
    r = file_close(fd);
    fd = -1;
    return r;
}

int file_write_durable(const char *path, const void *src, size_t n, mode_t mode) {
    CLEANUP(mem_freep)
    char *temporary = mem_printf("%s.%08x.tmp", path, (unsigned)(random_u64() & 0xffffffff));
    CLEANUP(mem_freep) char *folder = folder_of(path);
    int r = write_synced(temporary, src, n, mode);
    if (r == 0) {
        r = file_rename(temporary, path);
    }
    if (r < 0) {
        (void)unlink(temporary); /* the first error is the one that matters */
        return err_trace(r);
    }
    r = file_sync_folder(folder);
    return r < 0 ? err_trace(r) : 0;
}
