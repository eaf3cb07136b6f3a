/* Checksums of LMDB's tree pages; the layout is drawn in block_seal.h. */
#include "tsdb/block/block_seal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/map_guard.h"
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

/* The list of tree pages. Pages that were given to LMDB but never written are holes of zeros. */
static void list_tree_pages(const FileMap *m, Buf *list) {
    for (uint64_t i = 0; (i + 1) * LMDB_PAGE_BYTES <= m->n;) {
        const uint8_t *page = m->p + i * LMDB_PAGE_BYTES;
        PageHeader h;
        memcpy(&h, page, sizeof(h));
        if ((h.flags & PAGE_FLAG_OVERFLOW) && h.number == i && h.pages > 0) {
            i += h.pages;
            continue;
        }
        if (h.flags && (h.number == i || (h.flags & PAGE_FLAG_META))) {
            buf_add_u32(list, (uint32_t)i);
            buf_add_u32(list, crc32c(0, page, LMDB_PAGE_BYTES));
        }
        i++;
    }
}

static void add_footer(Buf *b, uint64_t tree_bytes) {
    uint32_t crc = crc32c(0, b->p, b->n);
    size_t at = b->n;
    buf_add(b, SEAL_MAGIC, 8);
    buf_add_u32(b, BLOCK_FORMAT_VERSION);
    buf_add_u32(b, (uint32_t)(at / ENTRY_BYTES));
    buf_add_u64(b, tree_bytes);
    buf_add_u32(b, crc);
    buf_add_u32(b, crc32c(0, b->p + at, b->n - at));
}

int block_seal_write(const char *file, uint64_t tree_bytes) {
    CLEANUP(file_closep) int fd = -1;
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    FileMap m = {0};
    uint64_t size = 0;
    int r = file_open(file, O_RDWR, 0, &fd);
    if (r == 0) {
        r = file_size(fd, &size);
    }
    if (r == 0) {
        r = file_map(fd, (size_t)MIN(size, tree_bytes), &m);
    }
    if (r < 0) {
        return err_trace(r);
    }
    list_tree_pages(&m, &b);
    file_unmap(&m);
    add_footer(&b, tree_bytes);
    r = file_pwrite(fd, b.p, b.n, tree_bytes);
    if (r == 0) {
        r = file_sync(fd);
    }
    return r < 0 ? err_trace(r) : 0;
}

typedef struct Seal {
    uint32_t version, pages, list_crc;
    uint64_t tree_bytes;
} Seal;

static int refuse(Problem *p, const char *what) {
    (void)problem_set(p, 0, 0, "damaged block: %s", what);
    return -EBADMSG;
}

static int read_seal(const FileMap *m, Seal *ret, Problem *p) {
    if (m->n < SEAL_BYTES) {
        return refuse(p, "the file is too short for its seal");
    }
    const char *b = (const char *)m->p + m->n - SEAL_BYTES;
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
    if (tree_bytes % LMDB_PAGE_BYTES != 0 || tree_bytes > m->n ||
        m->n - tree_bytes != (uint64_t)ret->pages * ENTRY_BYTES + SEAL_BYTES) {
        return refuse(p, "the file has not the size that its seal states");
    }
    return 0;
}

static int check_pages(const FileMap *m, const Seal *s, Problem *p) {
    const char *list = (const char *)m->p + s->tree_bytes;
    if (crc32c(0, list, (size_t)s->pages * ENTRY_BYTES) != s->list_crc) {
        return refuse(p, "wrong checksum of the list of tree pages");
    }
    for (uint32_t i = 0; i < s->pages; i++, list += ENTRY_BYTES) {
        uint32_t number = block_read_le32(list);
        if (number >= s->tree_bytes / LMDB_PAGE_BYTES) {
            return refuse(p, "its seal lists a page behind the end");
        }
        const uint8_t *page = m->p + (uint64_t)number * LMDB_PAGE_BYTES;
        if (crc32c(0, page, LMDB_PAGE_BYTES) != block_read_le32(list + 4)) {
            (void)problem_set(p, 0, 0, "damaged block: wrong checksum of tree page %" PRIu32,
                              number);
            return -EBADMSG;
        }
    }
    return 0;
}

static int map_file(const char *file, FileMap *ret) {
    CLEANUP(file_closep) int fd = -1;
    uint64_t size;
    int r = file_open(file, O_RDONLY, 0, &fd);
    if (r == 0) {
        r = file_size(fd, &size);
    }
    return r < 0 ? r : file_map(fd, (size_t)size, ret);
}

int block_seal_check(const char *file, uint64_t *ret_bytes, Problem *problem) {
    problem_set_file(problem, str_of(file));
    FileMap m;
    int r = map_file(file, &m);
    if (r < 0) {
        (void)problem_set(problem, 0, 0, "%s", strerror(-r));
        return err_trace(r);
    }
    Seal s;
    atomic_bool lost = false;
    map_guard_add(m.p, m.n, &lost);
    r = read_seal(&m, &s, problem);
    if (r == 0) {
        r = check_pages(&m, &s, problem);
    }
    *ret_bytes = m.n;
    map_guard_remove(m.p);
    file_unmap(&m);
    if (r == 0 && atomic_load(&lost)) {
        r = refuse(problem, "the file cannot be read to its end");
    }
    return r < 0 ? err_trace(r) : 0;
}
