/*
 * All access to files goes through here: every function returns 0 (or what it says) and negative
 * errno, repeats after EINTR, and finishes short reads and writes. Tests put faults in its way.
 * Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

/* flags as for open(2); O_CLOEXEC is added. */
int file_open(const char *path, int flags, mode_t mode, int *ret_fd) NODISCARD;
/* Takes the descriptor; -1 is allowed. The result tells of write errors that came late (NFS). */
int file_close(int fd);
/* CLEANUP(file_closep) int fd = -1; */
void file_closep(int *fd);

/* Up to n bytes; *ret_n is less only at the end of the file. */
int file_pread(int fd, void *dst, size_t n, uint64_t offset, size_t *ret_n) NODISCARD;
/* From the descriptor's own position (pipes, sockets, /proc). */
int file_read(int fd, void *dst, size_t n, size_t *ret_n) NODISCARD;
/* All n bytes or an error; after an error the file may hold a part of them. */
int file_pwrite(int fd, const void *src, size_t n, uint64_t offset) NODISCARD;
int file_write(int fd, const void *src, size_t n) NODISCARD;

/* fsync, fdatasync, and fsync of a folder (after a rename or unlink in it). */
int file_sync(int fd) NODISCARD;
int file_sync_data(int fd) NODISCARD;
int file_sync_folder(const char *path) NODISCARD;
/* Reserves blocks for [0, size) without changing what is read; 0 as well where the file system
 * cannot. The file's size becomes at least `size` only with `extend`. */
int file_allocate(int fd, uint64_t size, bool extend) NODISCARD;
int file_truncate(int fd, uint64_t size) NODISCARD;
int file_size(int fd, uint64_t *ret) NODISCARD;

int file_rename(const char *from, const char *to) NODISCARD;
/* A file that is not there is no error. */
int file_unlink(const char *path);
bool file_exists(const char *path);
/* The folder and those above it, with mode 0777 less umask; an existing one is fine. */
int file_make_folder(const char *path) NODISCARD;
/* A file, or a folder with all it holds; what is not there is no error. */
int file_remove_tree(const char *path);
/* Bytes of all files below a folder (allocated blocks, so holes do not count). */
int file_tree_size(const char *path, uint64_t *ret) NODISCARD;
/* Calls fn for every name in a folder except . and .., in no order; a result other than 0 stops
 * and is returned. */
int file_each_name(const char *path, int (*fn)(void *arg, const char *name), void *arg);

/* The whole file behind what *ret holds; -EFBIG when it has more than `max` bytes. */
int file_read_whole(const char *path, size_t max, Buf *ret) NODISCARD;
/* Afterwards the path has either the old or exactly the new content, whatever happens: temporary
 * name beside it, write, fsync, rename, fsync of the folder. */
int file_write_durable(const char *path, const void *src, size_t n, mode_t mode) NODISCARD;

/* A read-only shared mapping of the first `size` bytes; size 0 gives a NULL map. */
typedef struct FileMap {
    const uint8_t *p;
    size_t n;
} FileMap;
int file_map(int fd, size_t size, FileMap *ret) NODISCARD;
void file_unmap(FileMap *m);

/* ---- faults, for tests only ---- */

typedef enum FileOp {
    FILE_OP_OPEN,
    FILE_OP_READ,
    FILE_OP_WRITE,
    FILE_OP_SYNC, /* of files and folders */
    FILE_OP_RENAME,
    FILE_OP_ALLOCATE,
    FILE_OP_UNLINK,
} FileOp;

/*
 * Asked before each operation: 0 lets it happen, a negative errno is its result. For reads and
 * writes *n is how many bytes the system would be asked for and may be lowered: with 0 it is a
 * short write (the rest follows), with an error a torn one (*n bytes are written, then the error;
 * set 0 for none). NULL takes the hook away.
 */
typedef int (*FileFaultFn)(void *arg, FileOp op, size_t *n);
void file_fault_set(FileFaultFn fn, void *arg);

/* The fault most tests want: the `nth` operation (from 1) of this kind goes wrong, and with
 * `forever` all after it too. file_fault_set(file_fault_plan, &plan). */
typedef struct FileFaultPlan {
    FileOp op;
    unsigned nth;
    int error;    /* negative errno; 0 = only short */
    size_t bytes; /* of a write, how many still get through */
    bool forever;
    _Atomic unsigned seen; /* operations of this kind so far, of all threads */
} FileFaultPlan;
int file_fault_plan(void *plan, FileOp op, size_t *n);
