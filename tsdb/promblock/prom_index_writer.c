#include "tsdb/promblock/prom_index_writer.h"

#include <stdlib.h>

#include "base/crc32c.h"
#include "base/varint.h"
#include "tsdb/promblock/prom_format.h"

enum { TOC_SYMBOLS, TOC_SERIES, TOC_LABELS, TOC_LABELS_TABLE, TOC_POSTINGS, TOC_POSTINGS_TABLE };

int prom_index_open(PromIndexWriter *w, const char *path) {
    *w = (PromIndexWriter){.arena = ARENA_INIT(0)};
    int r = prom_file_open(&w->file, path);
    if (r == 0) {
        Buf head = BUF_INIT(0);
        prom_add_u32(&head, PROM_INDEX_MAGIC);
        buf_add_char(&head, PROM_INDEX_VERSION);
        prom_file_add(&w->file, head.p, head.n);
        buf_deinit(&head);
    }
    return r;
}

void prom_index_deinit(PromIndexWriter *w) {
    (void)prom_file_close(&w->file);
    str_map_deinit(&w->known);
    vec_free(&w->symbols);
    vec_free(&w->pairs);
    vec_free(&w->all);
    buf_deinit(&w->scratch);
    arena_deinit(&w->arena);
}

/* ---- sections: length, content, checksum */

static void write_section(PromIndexWriter *w, const Buf *content) {
    Buf frame = BUF_INIT(0);
    prom_add_u32(&frame, (uint32_t)content->n);
    prom_file_add(&w->file, frame.p, frame.n);
    prom_file_add(&w->file, content->p, content->n);
    buf_reset(&frame);
    prom_add_u32(&frame, crc32c(0, content->p, content->n));
    prom_file_add(&w->file, frame.p, frame.n);
    buf_deinit(&frame);
}

static void add_string(Buf *b, Str s) {
    buf_add_uvarint(b, s.n);
    buf_add_str(b, s);
}

/* ---- symbols */

void prom_index_symbol(PromIndexWriter *w, Str s) {
    if (!str_map_get(&w->known, s)) {
        Str kept = arena_str(&w->arena, s);
        *str_map_put(&w->known, kept, NULL) = (void *)1;
        vec_push(&w->symbols, kept);
    }
}

void prom_index_begin(PromIndexWriter *w) {
    if (w->symbols.n) {
        qsort(w->symbols.v, w->symbols.n, sizeof(Str), str_qsort_cmp);
    }
    w->toc[TOC_SYMBOLS] = prom_file_at(&w->file);
    Buf *b = &w->scratch;
    buf_reset(b);
    prom_add_u32(b, (uint32_t)w->symbols.n);
    for (size_t i = 0; i < w->symbols.n; i++) {
        *str_map_put(&w->known, w->symbols.v[i], NULL) = (void *)(uintptr_t)(i + 1);
        add_string(b, w->symbols.v[i]);
    }
    write_section(w, b);
    prom_file_align(&w->file, PROM_SERIES_ALIGN);
    w->toc[TOC_SERIES] = prom_file_at(&w->file);
}

static bool symbol_number(const PromIndexWriter *w, Str s, uint32_t *ret) {
    uintptr_t n = (uintptr_t)str_map_get(&w->known, s);
    *ret = (uint32_t)(n - 1);
    return n != 0;
}

/* ---- series */

static void add_chunks(Buf *b, const PromChunkMeta *c, size_t n) {
    buf_add_uvarint(b, n);
    for (size_t i = 0; i < n; i++) {
        if (i == 0) {
            buf_add_varint(b, c[0].min_time);
        } else {
            buf_add_uvarint(b, (uint64_t)c[i].min_time - (uint64_t)c[i - 1].max_time);
        }
        buf_add_uvarint(b, (uint64_t)c[i].max_time - (uint64_t)c[i].min_time);
        if (i == 0) {
            buf_add_uvarint(b, c[0].ref);
        } else {
            buf_add_varint(b, (int64_t)(c[i].ref - c[i - 1].ref));
        }
    }
}

int prom_index_series(PromIndexWriter *w, Labels l, const PromChunkMeta *chunks, size_t n) {
    prom_file_align(&w->file, PROM_SERIES_ALIGN);
    uint64_t ref = prom_file_at(&w->file) / PROM_SERIES_ALIGN;
    if (ref > UINT32_MAX) {
        return -ERANGE;
    }
    Buf *b = &w->scratch;
    buf_reset(b);
    buf_add_uvarint(b, l.n);
    for (size_t i = 0; i < l.n; i++) {
        PromPair p = {.series = (uint32_t)ref};
        if (!symbol_number(w, l.v[i].name, &p.name) || !symbol_number(w, l.v[i].value, &p.value)) {
            return -EINVAL;
        }
        buf_add_uvarint(b, p.name);
        buf_add_uvarint(b, p.value);
        vec_push(&w->pairs, p);
    }
    vec_push(&w->all, (uint32_t)ref);
    add_chunks(b, chunks, n);
    uint8_t length[UVARINT_BYTES_MAX];
    prom_file_add(&w->file, length, uvarint_put(length, b->n));
    uint32_t crc = crc32c(0, b->p, b->n);
    prom_add_u32(b, crc);
    prom_file_add(&w->file, b->p, b->n);
    w->series++;
    return 0;
}

/* ---- postings */

static int pair_cmp(const void *a, const void *b) {
    const PromPair *x = a, *y = b;
    if (x->name != y->name) {
        return x->name < y->name ? -1 : 1;
    }
    if (x->value != y->value) {
        return x->value < y->value ? -1 : 1;
    }
    return x->series < y->series ? -1 : x->series > y->series;
}

/* One list, and its row in the table. */
static void write_postings(PromIndexWriter *w, Buf *table, Str name, Str value,
                           const PromPair *pairs, size_t n) {
    prom_file_align(&w->file, 4);
    buf_add_char(table, 2);
    add_string(table, name);
    add_string(table, value);
    buf_add_uvarint(table, prom_file_at(&w->file));
    Buf *b = &w->scratch;
    buf_reset(b);
    prom_add_u32(b, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        prom_add_u32(b, pairs ? pairs[i].series : w->all.v[i]);
    }
    write_section(w, b);
}

static uint32_t write_all_postings(PromIndexWriter *w, Buf *table) {
    uint32_t lists = 1;
    write_postings(w, table, STR(""), STR(""), NULL, w->all.n);
    if (w->pairs.n) {
        qsort(w->pairs.v, w->pairs.n, sizeof(PromPair), pair_cmp);
    }
    for (size_t i = 0, k; i < w->pairs.n; i = k) {
        const PromPair *p = &w->pairs.v[i];
        for (k = i;
             k < w->pairs.n && w->pairs.v[k].name == p->name && w->pairs.v[k].value == p->value;
             k++) {
        }
        write_postings(w, table, w->symbols.v[p->name], w->symbols.v[p->value], p, k - i);
        lists++;
    }
    return lists;
}

int prom_index_finish(PromIndexWriter *w, uint64_t *bytes) {
    w->toc[TOC_POSTINGS] = prom_file_at(&w->file);
    Buf rows = BUF_INIT(0), table = BUF_INIT(0), toc = BUF_INIT(0);
    uint32_t lists = write_all_postings(w, &rows);
    w->toc[TOC_POSTINGS_TABLE] = prom_file_at(&w->file);
    prom_add_u32(&table, lists);
    buf_add_str(&table, buf_str(&rows));
    write_section(w, &table);
    for (size_t i = 0; i < ARRAY_LEN(w->toc); i++) {
        prom_add_u64(&toc, w->toc[i]);
    }
    prom_add_u32(&toc, crc32c(0, toc.p, toc.n));
    prom_file_add(&w->file, toc.p, toc.n);
    buf_deinit(&rows);
    buf_deinit(&table);
    buf_deinit(&toc);
    *bytes += prom_file_at(&w->file);
    return prom_file_close(&w->file);
}
