/* Checksums of LMDB's tree pages; the layout is drawn in block_seal.h. */
#include "tsdb/block/block_seal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "storage/lmdb.h"
#include "tsdb/block/block_format.h"

#define SEAL_MAGIC "NTXBLOCK"
#define SEAL_BYTES 32
#define ENTRY_BYTES 8

/* LMDB's page header: number u64, pad u16, flags u16, then for values on pages of their own the
 * count of these pages u32. In the byte order of the machine, as all of LMDB's own. */
#define PAGE_FLAG_OVERFLOW 0x04
#define PAGE_FLAG_META 0x08

typedef struct PageHeader {
    uint64_t number;
    uint16_t pad, flags;
    uint32_t pages;
} PageHeader;

static int read_at(int fd, void *p, size_t n, uint64_t at) {
    char *to = p;
    while (n > 0) {
        ssize_t got = pread(fd, to, n, (off_t)at);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? -errno : -EBADMSG;
        }
        to += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

static int write_at(int fd, const void *p, size_t n, uint64_t at) {
    const char *from = p;
    while (n > 0) {
        ssize_t put = pwrite(fd, from, n, (off_t)at);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return put < 0 ? -errno : -EIO;
        }
        from += put;
        at += (uint64_t)put;
        n -= (size_t)put;
    }
    return 0;
}

/* The list of tree pages. Pages that were given to LMDB but never written stay holes of zeros. */
static int list_tree_pages(int fd, uint64_t pages, Buf *list) {
    char page[LMDB_PAGE_BYTES];
    for (uint64_t i = 0; i < pages;) {
        int r = read_at(fd, page, sizeof(page), i * LMDB_PAGE_BYTES);
        if (r == -EBADMSG) {
            return 0; /* the file ends before its last page, which nothing used */
        }
        if (r < 0) {
            return r;
        }
        PageHeader h;
        memcpy(&h, page, sizeof(h));
        if ((h.flags & PAGE_FLAG_OVERFLOW) && h.number == i && h.pages > 0) {
            i += h.pages;
            continue;
        }
        if (h.flags && (h.number == i || (h.flags & PAGE_FLAG_META))) {
            buf_add_u32(list, (uint32_t)i);
            buf_add_u32(list, crc32c(0, page, sizeof(page)));
        }
        i++;
    }
    return 0;
}

static int write_seal(int fd, uint64_t tree_bytes) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    int r = list_tree_pages(fd, tree_bytes / LMDB_PAGE_BYTES, &b);
    if (r < 0) {
        return err_trace(r);
    }
    uint32_t crc = crc32c(0, b.p, b.n);
    size_t at = b.n;
    buf_add(&b, SEAL_MAGIC, 8);
    buf_add_u32(&b, BLOCK_FORMAT_VERSION);
    buf_add_u32(&b, (uint32_t)(at / ENTRY_BYTES));
    buf_add_u64(&b, tree_bytes);
    buf_add_u32(&b, crc);
    buf_add_u32(&b, crc32c(0, b.p + at, b.n - at));
    r = write_at(fd, b.p, b.n, tree_bytes);
    if (r == 0 && fsync(fd) < 0) {
        r = -errno;
    }
    return r < 0 ? err_trace(r) : 0;
}

int block_seal_write(const char *file, uint64_t tree_bytes) {
    int fd = open(file, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return err_trace(-errno);
    }
    int r = write_seal(fd, tree_bytes);
    if (close(fd) < 0 && r == 0) {
        r = err_trace(-errno);
    }
    return r;
}

typedef struct Seal {
    uint32_t version, pages, list_crc;
    uint64_t tree_bytes;
} Seal;

static int refuse(Problem *p, const char *what) {
    (void)problem_set(p, 0, 0, "damaged block: %s", what);
    return -EBADMSG;
}

static int read_seal(int fd, uint64_t bytes, Seal *ret, Problem *p) {
    char b[SEAL_BYTES];
    if (bytes < SEAL_BYTES) {
        return refuse(p, "the file is too short for its seal");
    }
    int r = read_at(fd, b, sizeof(b), bytes - SEAL_BYTES);
    if (r < 0) {
        return r;
    }
    if (memcmp(b, SEAL_MAGIC, 8) != 0) {
        return refuse(p, "no seal at the end of the file (cut off, or not a block)");
    }
    if (block_read_le32(b + 28) != crc32c(0, b, 28)) {
        return refuse(p, "wrong checksum of the seal");
    }
    uint64_t tree_bytes = block_read_le32(b + 16) | (uint64_t)block_read_le32(b + 20) << 32;
    *ret = (Seal){block_read_le32(b + 8), block_read_le32(b + 12), block_read_le32(b + 24),
                  tree_bytes};
    if (ret->version != BLOCK_FORMAT_VERSION) {
        (void)problem_set(p, 0, 0,
                          "block of format version %" PRIu32 ", this program reads version %d",
                          ret->version, BLOCK_FORMAT_VERSION);
        return -EPROTONOSUPPORT;
    }
    if (tree_bytes % LMDB_PAGE_BYTES != 0 || tree_bytes > bytes ||
        bytes - tree_bytes != (uint64_t)ret->pages * ENTRY_BYTES + SEAL_BYTES) {
        return refuse(p, "the file has not the size that its seal states");
    }
    return 0;
}

static int check_pages(int fd, const Seal *s, const char *list, Problem *p) {
    char page[LMDB_PAGE_BYTES];
    uint64_t last = s->tree_bytes / LMDB_PAGE_BYTES;
    for (uint32_t i = 0; i < s->pages; i++) {
        uint32_t number = block_read_le32(list + (size_t)i * ENTRY_BYTES);
        if (number >= last) {
            return refuse(p, "its seal lists a page behind the end");
        }
        int r = read_at(fd, page, sizeof(page), (uint64_t)number * LMDB_PAGE_BYTES);
        if (r < 0) {
            return r;
        }
        if (crc32c(0, page, sizeof(page)) != block_read_le32(list + (size_t)i * ENTRY_BYTES + 4)) {
            (void)problem_set(p, 0, 0, "damaged block: wrong checksum of tree page %" PRIu32,
                              number);
            return -EBADMSG;
        }
    }
    return 0;
}

static int check_file(int fd, uint64_t *ret_bytes, Problem *p) {
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    Seal s;
    int r = read_seal(fd, (uint64_t)st.st_size, &s, p);
    if (r < 0) {
        return r;
    }
    size_t size = (size_t)s.pages * ENTRY_BYTES;
    char *list = mem_alloc(size + 1);
    r = read_at(fd, list, size, s.tree_bytes);
    if (r == 0 && crc32c(0, list, size) != s.list_crc) {
        r = refuse(p, "wrong checksum of the list of tree pages");
    }
    if (r == 0) {
        r = check_pages(fd, &s, list, p);
    }
    mem_free(list);
    *ret_bytes = (uint64_t)st.st_size;
    return r;
}

int block_seal_check(const char *file, uint64_t *ret_bytes, Problem *problem) {
    problem_set_file(problem, str_of(file));
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    int r = fd < 0 ? -errno : check_file(fd, ret_bytes, problem);
    if (r < 0 && r != -EBADMSG && r != -EPROTONOSUPPORT) {
        (void)problem_set(problem, 0, 0, "%s", strerror(-r));
    }
    if (fd >= 0) {
        (void)close(fd); /* nothing was written */
    }
    return r < 0 ? err_trace(r) : 0;
}
