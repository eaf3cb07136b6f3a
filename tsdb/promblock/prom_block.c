#include "tsdb/promblock/prom_block.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/file.h"
#include "base/varint.h"
#include "base/vec.h"
#include "format/json.h"
#include "tsdb/promblock/prom_format.h"

#define META_BYTES_MAX (16u << 20)
#define TOMBSTONES_BYTES_MAX (256u << 20)
#define SEGMENTS_MAX 100000

struct PromBlock {
    char *path;
    PromBlockMeta meta;
    FileMap index;
    int version;
    uint64_t series_begin, series_end;
    VEC(uint32_t) symbols; /* where each begins in the index */
    VEC(FileMap) segments;
    VEC(PromDeleted) deleted; /* by series, then time */
    uint64_t at;              /* of the next series */
    VEC(Label) labels;
    VEC(PromChunkMeta) chunks;
};

static int bad(const PromBlock *b, Problem *problem, const char *file, const char *what) {
    problem_set(problem, 0, 0, "%s/%s: %s", b->path, file, what);
    return -EBADMSG;
}

/* ---- files of the folder */

static int map_file(const PromBlock *b, const char *name, FileMap *ret, Problem *problem) {
    CLEANUP(mem_freep) char *path = mem_printf("%s/%s", b->path, name);
    CLEANUP(file_closep) int fd = -1;
    uint64_t size = 0;
    int r = file_open(path, O_RDONLY, 0, &fd);
    if (r == 0) {
        r = file_size(fd, &size);
    }
    if (r == 0) {
        r = file_map(fd, size, ret);
    }
    if (r < 0) {
        problem_set(problem, 0, 0, "%s: %s", path, strerror(-r));
    }
    return r;
}

static int read_meta(PromBlock *b, Problem *problem) {
    CLEANUP(mem_freep) char *path = mem_printf("%s/meta.json", b->path);
    CLEANUP(buf_deinit) Buf text = BUF_INIT(META_BYTES_MAX);
    int r = file_read_whole(path, META_BYTES_MAX, &text);
    if (r < 0) {
        return problem_set(problem, 0, 0, "%s: %s", path, strerror(-r));
    }
    problem_set_file(problem, str_of(path));
    Json *root = json_parse(buf_str(&text), problem);
    if (!root) {
        return -EINVAL;
    }
    problem_set_file(problem, STR(""));
    const Json *stats = json_member(root, "stats");
    Str id = json_to_str(json_member(root, "ulid"));
    snprintf(b->meta.id, sizeof(b->meta.id), "%.*s", SA(id));
    b->meta.min_time = json_to_int(json_member(root, "minTime"), 0);
    b->meta.max_time = json_to_int(json_member(root, "maxTime"), 0);
    b->meta.samples = (uint64_t)json_to_int(json_member(stats, "numSamples"), 0);
    b->meta.series = (uint64_t)json_to_int(json_member(stats, "numSeries"), 0);
    b->meta.chunks = (uint64_t)json_to_int(json_member(stats, "numChunks"), 0);
    b->meta.level = (int)json_to_int(json_member(json_member(root, "compaction"), "level"), 1);
    int64_t version = json_to_int(json_member(root, "version"), 0);
    json_free(root);
    if (version != PROM_META_VERSION) {
        return problem_set(problem, 0, 0, "%s: version %lld, expected %d", path, (long long)version,
                           PROM_META_VERSION);
    }
    if (!block_id_valid(b->meta.id) || b->meta.max_time <= b->meta.min_time) {
        return problem_set(problem, 0, 0, "%s: not the description of a block", path);
    }
    return 0;
}

/* ---- index */

/* A section: length, content, checksum over the content. */
static int section(const PromBlock *b, uint64_t at, const uint8_t **ret, const uint8_t **ret_end,
                   Problem *problem) {
    if (at + 8 > b->index.n) {
        return bad(b, problem, "index", "a section lies outside the file");
    }
    uint64_t n = prom_u32(b->index.p + at);
    const uint8_t *p = b->index.p + at + 4;
    if (at + 8 + n > b->index.n) {
        return bad(b, problem, "index", "a section is cut off");
    }
    if (crc32c(0, p, n) != prom_u32(p + n)) {
        return bad(b, problem, "index", "the checksum of a section is wrong");
    }
    *ret = p;
    *ret_end = p + n;
    return 0;
}

static int read_symbols(PromBlock *b, uint64_t at, Problem *problem) {
    const uint8_t *p, *end;
    int r = section(b, at, &p, &end, problem);
    if (r < 0) {
        return r;
    }
    if (end - p < 4 || b->index.n > UINT32_MAX) {
        return bad(b, problem, "index", "the symbol table is unreadable");
    }
    uint32_t n = prom_u32(p);
    p += 4;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t length;
        vec_push(&b->symbols, (uint32_t)(p - b->index.p));
        if (!uvarint_get(&p, end, &length) || length > (uint64_t)(end - p)) {
            return bad(b, problem, "index", "the symbol table is cut off");
        }
        p += length;
    }
    return 0;
}

static int read_index(PromBlock *b, Problem *problem) {
    int r = map_file(b, "index", &b->index, problem);
    if (r < 0) {
        return r;
    }
    if (b->index.n < 5 + PROM_INDEX_TOC_SIZE || prom_u32(b->index.p) != PROM_INDEX_MAGIC) {
        return bad(b, problem, "index", "not an index of Prometheus");
    }
    b->version = b->index.p[4];
    if (b->version != 1 && b->version != PROM_INDEX_VERSION) {
        return bad(b, problem, "index", "expected version 1 or 2");
    }
    const uint8_t *toc = b->index.p + b->index.n - PROM_INDEX_TOC_SIZE;
    if (crc32c(0, toc, PROM_INDEX_TOC_SIZE - 4) != prom_u32(toc + PROM_INDEX_TOC_SIZE - 4)) {
        return bad(b, problem, "index", "the checksum of the table of contents is wrong");
    }
    b->series_begin = prom_u64(toc + 8);
    b->series_end = (uint64_t)(toc - b->index.p);
    for (int i = 2; i < 6; i++) { /* whichever section comes next */
        uint64_t next = prom_u64(toc + 8 * i);
        if (next > b->series_begin && next < b->series_end) {
            b->series_end = next;
        }
    }
    if (b->series_begin < 5 || b->series_begin > b->series_end) {
        return bad(b, problem, "index", "the table of contents is wrong");
    }
    b->at = b->series_begin;
    return read_symbols(b, prom_u64(toc), problem);
}

size_t prom_block_symbols(const PromBlock *b) { return b->symbols.n; }

int prom_block_symbol(const PromBlock *b, size_t i, Str *ret) {
    if (i >= b->symbols.n) {
        return -EBADMSG;
    }
    const uint8_t *p = b->index.p + b->symbols.v[i], *end = b->index.p + b->index.n;
    uint64_t n = 0;
    (void)uvarint_get(&p, end, &n); /* checked when the table was read */
    *ret = str_n((const char *)p, n);
    return 0;
}

/* Version 1 refers to symbols by their place in the file. */
static int symbol_at(const PromBlock *b, uint64_t ref, Str *ret) {
    if (b->version != 1) {
        return prom_block_symbol(b, ref, ret);
    }
    size_t low = 0, high = b->symbols.n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (b->symbols.v[mid] < ref) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < b->symbols.n && b->symbols.v[low] == ref ? prom_block_symbol(b, low, ret)
                                                          : -EBADMSG;
}

/* ---- tombstones */

static int deleted_cmp(const void *a, const void *b) {
    const PromDeleted *x = a, *y = b;
    if (x->series != y->series) {
        return x->series < y->series ? -1 : 1;
    }
    return x->min_time < y->min_time ? -1 : x->min_time > y->min_time;
}

static int read_tombstones(PromBlock *b, Problem *problem) {
    CLEANUP(mem_freep) char *path = mem_printf("%s/tombstones", b->path);
    CLEANUP(buf_deinit) Buf text = BUF_INIT(TOMBSTONES_BYTES_MAX);
    int r = file_read_whole(path, TOMBSTONES_BYTES_MAX, &text);
    if (r == -ENOENT) {
        return 0;
    }
    const uint8_t *p = (const uint8_t *)text.p, *end = p + text.n - 4;
    if (r < 0 || text.n < 9 || prom_u32(p) != PROM_TOMBSTONES_MAGIC ||
        p[4] != PROM_TOMBSTONES_VERSION) {
        return bad(b, problem, "tombstones", "not readable as tombstones of version 1");
    }
    p += 5;
    if (crc32c(0, p, (size_t)(end - p)) != prom_u32(end)) {
        return bad(b, problem, "tombstones", "the checksum is wrong");
    }
    while (p < end) {
        PromDeleted d;
        if (!uvarint_get(&p, end, &d.series) || !varint_get(&p, end, &d.min_time) ||
            !varint_get(&p, end, &d.max_time)) {
            return bad(b, problem, "tombstones", "an entry is cut off");
        }
        vec_push(&b->deleted, d);
    }
    if (b->deleted.n) {
        qsort(b->deleted.v, b->deleted.n, sizeof(PromDeleted), deleted_cmp);
    }
    return 0;
}

static void find_deleted(PromBlock *b, uint64_t series, PromSeries *ret) {
    size_t low = 0, high = b->deleted.n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (b->deleted.v[mid].series < series) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    for (high = low; high < b->deleted.n && b->deleted.v[high].series == series; high++) {
    }
    ret->deleted = b->deleted.v ? b->deleted.v + low : NULL;
    ret->n_deleted = high - low;
}

/* ---- opening */

static int map_segments(PromBlock *b, Problem *problem) {
    for (unsigned i = 1; i <= SEGMENTS_MAX; i++) {
        char name[32];
        snprintf(name, sizeof(name), "chunks/%06u", i);
        CLEANUP(mem_freep) char *path = mem_printf("%s/%s", b->path, name);
        if (!file_exists(path)) {
            break;
        }
        FileMap map;
        int r = map_file(b, name, &map, problem);
        if (r < 0) {
            return r;
        }
        vec_push(&b->segments, map);
        if (map.n < PROM_CHUNKS_HEADER || prom_u32(map.p) != PROM_CHUNKS_MAGIC ||
            map.p[4] != PROM_CHUNKS_VERSION) {
            return bad(b, problem, name, "not a file of chunks, version 1");
        }
    }
    return 0;
}

int prom_block_open(const char *path, PromBlock **ret, Problem *problem) {
    PromBlock *b = NEW(PromBlock);
    b->path = str_dup(str_of(path));
    int r = read_meta(b, problem);
    if (r == 0) {
        r = read_index(b, problem);
    }
    if (r == 0) {
        r = map_segments(b, problem);
    }
    if (r == 0) {
        r = read_tombstones(b, problem);
    }
    if (r < 0) {
        prom_block_close(b);
        return r;
    }
    *ret = b;
    return 0;
}

void prom_block_close(PromBlock *b) {
    if (!b) {
        return;
    }
    file_unmap(&b->index);
    for (size_t i = 0; i < b->segments.n; i++) {
        file_unmap(&b->segments.v[i]);
    }
    vec_free(&b->symbols);
    vec_free(&b->segments);
    vec_free(&b->deleted);
    vec_free(&b->labels);
    vec_free(&b->chunks);
    mem_free(b->path);
    mem_free(b);
}

const PromBlockMeta *prom_block_meta(const PromBlock *b) { return &b->meta; }

/* ---- series */

static bool read_labels(PromBlock *b, const uint8_t **p, const uint8_t *end) {
    uint64_t n, name, value;
    if (!uvarint_get(p, end, &n) || n > (uint64_t)(end - *p)) {
        return false;
    }
    b->labels.n = 0;
    for (uint64_t i = 0; i < n; i++) {
        Label l;
        if (!uvarint_get(p, end, &name) || !uvarint_get(p, end, &value) ||
            symbol_at(b, name, &l.name) < 0 || symbol_at(b, value, &l.value) < 0) {
            return false;
        }
        vec_push(&b->labels, l);
    }
    return true;
}

static bool read_chunks(PromBlock *b, const uint8_t **p, const uint8_t *end) {
    uint64_t n, gap = 0, length, ref = 0;
    int64_t change, begin = 0;
    if (!uvarint_get(p, end, &n) || n > (uint64_t)(end - *p)) {
        return false;
    }
    b->chunks.n = 0;
    for (uint64_t i = 0; i < n; i++) {
        bool fine = i == 0 ? varint_get(p, end, &begin) : uvarint_get(p, end, &gap);
        fine = fine && uvarint_get(p, end, &length) &&
               (i == 0 ? uvarint_get(p, end, &ref) : varint_get(p, end, &change));
        if (!fine) {
            return false;
        }
        PromChunkMeta c = {.ref = i == 0 ? ref : b->chunks.v[i - 1].ref + (uint64_t)change};
        c.min_time = i == 0 ? begin : (int64_t)((uint64_t)b->chunks.v[i - 1].max_time + gap);
        c.max_time = (int64_t)((uint64_t)c.min_time + length);
        vec_push(&b->chunks, c);
    }
    return true;
}

int prom_block_next(PromBlock *b, PromSeries *ret, Problem *problem) {
    uint64_t align = b->version == 1 ? 1 : PROM_SERIES_ALIGN;
    uint64_t at = (b->at + align - 1) / align * align;
    const uint8_t *p = b->index.p + at, *end = b->index.p + b->series_end;
    uint64_t n;
    if (at >= b->series_end) {
        b->at = b->series_begin;
        return 0;
    }
    if (!uvarint_get(&p, end, &n) || n + 4 > (uint64_t)(end - p)) {
        return bad(b, problem, "index", "a series is cut off");
    }
    if (n == 0) { /* only padding is left */
        b->at = b->series_begin;
        return 0;
    }
    if (crc32c(0, p, n) != prom_u32(p + n)) {
        return bad(b, problem, "index", "the checksum of a series is wrong");
    }
    b->at = (uint64_t)(p - b->index.p) + n + 4;
    end = p + n;
    if (!read_labels(b, &p, end) || !read_chunks(b, &p, end)) {
        return bad(b, problem, "index", "a series does not decode");
    }
    *ret =
        (PromSeries){.labels = {b->labels.v, b->labels.n}, .chunks = b->chunks.v, .n = b->chunks.n};
    find_deleted(b, b->version == 1 ? at : at / PROM_SERIES_ALIGN, ret);
    return 1;
}

int prom_block_chunk(PromBlock *b, uint64_t ref, PromChunk *ret, Problem *problem) {
    uint64_t segment = ref >> 32, offset = ref & UINT32_MAX;
    if (segment >= b->segments.n || offset >= b->segments.v[segment].n) {
        return bad(b, problem, "chunks", "a chunk lies outside the files");
    }
    const FileMap *m = &b->segments.v[segment];
    const uint8_t *p = m->p + offset, *end = m->p + m->n;
    uint64_t n;
    if (!uvarint_get(&p, end, &n) || n + 5 > (uint64_t)(end - p)) {
        return bad(b, problem, "chunks", "a chunk is cut off");
    }
    if (crc32c(0, p, n + 1) != prom_u32(p + n + 1)) {
        return bad(b, problem, "chunks", "the checksum of a chunk is wrong");
    }
    *ret = (PromChunk){.encoding = p[0], .data = p + 1, .size = n};
    return 0;
}
