#include "tsdb/db/block_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/vec.h"
#include "tsdb/block/block_writer.h"
#include "tsdb/policy/downsample.h"

static int by_time(const void *a, const void *b) {
    const BlockMeta *x = block_meta(((const BlockEntry *)a)->block);
    const BlockMeta *y = block_meta(((const BlockEntry *)b)->block);
    if (x->min_time != y->min_time) {
        return x->min_time < y->min_time ? -1 : 1;
    }
    return strcmp(x->id, y->id);
}

BlockList *block_list_new(const BlockEntry *v, size_t n, Tombstones *head) {
    BlockList *l = mem_alloc(sizeof(*l) + n * sizeof(*l->v));
    atomic_init(&l->refs, 1);
    l->n = n;
    l->head = head;
    if (n > 0) {
        memcpy(l->v, v, n * sizeof(*v));
        qsort(l->v, n, sizeof(*l->v), by_time);
    }
    return l;
}

BlockList *block_list_ref(BlockList *l) {
    atomic_fetch_add(&l->refs, 1);
    return l;
}

void block_list_unref(BlockList *l) {
    if (!l || atomic_fetch_sub(&l->refs, 1) > 1) {
        return;
    }
    for (size_t i = 0; i < l->n; i++) {
        block_unref(l->v[i].block);
        tombstones_unref(l->v[i].tombstones);
    }
    tombstones_unref(l->head);
    mem_free(l);
}

static BlockEntry entry_ref(const BlockEntry *e) {
    return (BlockEntry){block_ref(e->block), tombstones_ref(e->tombstones)};
}

static bool is_among(const Block *b, Block *const *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (v[i] == b) {
            return true;
        }
    }
    return false;
}

BlockList *block_list_change(const BlockList *l, Block *const *drop, size_t n_drop,
                             const BlockEntry *add) {
    VEC(BlockEntry) v = {0};
    for (size_t i = 0; i < l->n; i++) {
        if (!is_among(l->v[i].block, drop, n_drop)) {
            vec_push(&v, entry_ref(&l->v[i]));
        }
    }
    if (add) {
        vec_push(&v, *add);
    }
    BlockList *ret = block_list_new(v.v, v.n, tombstones_ref(l->head));
    vec_free(&v);
    return ret;
}

BlockList *block_list_delete(const BlockList *l, Tombstones *const *tombstones, Tombstones *head) {
    VEC(BlockEntry) v = {0};
    for (size_t i = 0; i < l->n; i++) {
        vec_push(&v, (BlockEntry){block_ref(l->v[i].block), tombstones[i]});
    }
    BlockList *ret = block_list_new(v.v, v.n, head);
    vec_free(&v);
    return ret;
}

BlockList *block_list_delete_head(const BlockList *l, Tombstones *head) {
    BlockList *ret = block_list_change(l, NULL, 0, NULL);
    tombstones_unref(ret->head);
    ret->head = head;
    return ret;
}

const BlockEntry *block_list_find(const BlockList *l, const Block *b) {
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].block == b) {
            return &l->v[i];
        }
    }
    return NULL;
}

const BlockMeta **block_list_metas(const BlockList *l) {
    const BlockMeta **metas = mem_calloc(l->n + 1, sizeof(*metas));
    for (size_t i = 0; i < l->n; i++) {
        metas[i] = block_meta(l->v[i].block);
    }
    return metas;
}

uint64_t block_list_bytes(const BlockList *l) {
    uint64_t sum = 0;
    for (size_t i = 0; i < l->n; i++) {
        sum += block_meta(l->v[i].block)->bytes;
    }
    return sum;
}

int block_entry_querier(const BlockEntry *e, int64_t mint, int64_t maxt, Querier **ret) {
    int64_t resolution = block_meta(e->block)->resolution_ms;
    /* A window that reaches into the range may be told by its end or by the one before. */
    int64_t from = mint < INT64_MIN + 3 * resolution ? mint : mint - 2 * resolution;
    int64_t to = maxt > INT64_MAX - 3 * resolution ? maxt : maxt + resolution;
    int r = block_entry_columns(e, from, to, ret);
    if (r == 0 && resolution > 0) {
        *ret = downsample_querier_new(*ret, resolution, mint, maxt);
    }
    return r;
}

int block_entry_columns(const BlockEntry *e, int64_t mint, int64_t maxt, Querier **ret) {
    Querier *q;
    int r = block_querier(e->block, mint, maxt, &q);
    if (r == 0) {
        *ret = tombstone_querier_new(q, tombstones_ref(e->tombstones));
    }
    return r;
}

char *block_tombstones_path(const Block *b) {
    return mem_printf("%s/" TOMBSTONES_FILE, block_path(b));
}

/* ---- opening */

typedef struct Opening {
    const char *dir;
    VEC(BlockEntry) blocks;
    size_t bad;
} Opening;

/* A block of which nobody knows what was deleted from it is as bad as a damaged one. */
static int open_entry(const char *path, BlockEntry *ret, Problem *problem) {
    *ret = (BlockEntry){0};
    int r = block_open(path, &ret->block, problem);
    if (r < 0) {
        return r;
    }
    char *file = block_tombstones_path(ret->block);
    r = tombstones_read(file, &ret->tombstones);
    if (r < 0) {
        (void)problem_set(problem, 0, 0, "its file \"%s\" cannot be read: %s", TOMBSTONES_FILE,
                          strerror(-r));
        block_unref(ret->block);
    }
    mem_free(file);
    return r;
}

static int open_one(void *arg, const char *name) {
    Opening *o = arg;
    if (!block_id_valid(name)) {
        return 0;
    }
    BlockEntry e;
    Problem problem = {0};
    char *path = mem_printf("%s/%s", o->dir, name);
    int r = open_entry(path, &e, &problem);
    if (r == 0) {
        vec_push(&o->blocks, e);
    } else {
        char text[1400];
        o->bad++;
        log_error("tsdb", "A block cannot be read and is left out", L_CSTR("block", name),
                  L_CSTR("reason", problem_format(&problem, text, sizeof(text))), L_ERR(r));
    }
    mem_free(path);
    return 0;
}

/* The block that names this one as its parent; NULL when there is none. */
static BlockEntry *child_of(Opening *o, const char *id) {
    for (size_t i = 0; i < o->blocks.n; i++) {
        const BlockMeta *m = block_meta(o->blocks.v[i].block);
        for (size_t k = 0; k < m->n_parents; k++) {
            if (strcmp(m->parents[k], id) == 0) {
                return &o->blocks.v[i];
            }
        }
    }
    return NULL;
}

/* In memory and on disk. */
static int add_tombstones(BlockEntry *e, const Tombstones *more) {
    if (tombstones_series(more) == 0) {
        return 0;
    }
    Tombstones *all = tombstones_union(e->tombstones, more);
    char *path = block_tombstones_path(e->block);
    int r = tombstones_write(path, all);
    mem_free(path);
    tombstones_unref(e->tombstones);
    e->tombstones = all;
    return r;
}

/* True: it goes. What was deleted from it while the child was being made must not come back. */
static bool is_obsolete(Opening *o, const BlockEntry *e) {
    BlockEntry *child = child_of(o, block_meta(e->block)->id);
    return child && add_tombstones(child, e->tombstones) == 0;
}

static void drop_parents(Opening *o) {
    bool *obsolete = NEW_ARRAY(bool, o->blocks.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < o->blocks.n; i++) {
        obsolete[i] = is_obsolete(o, &o->blocks.v[i]);
    }
    for (size_t i = 0; i < o->blocks.n; i++) {
        if (obsolete[i]) {
            (void)block_delete(block_path(o->blocks.v[i].block)); /* again at the next start */
            block_unref(o->blocks.v[i].block);
            tombstones_unref(o->blocks.v[i].tombstones);
        } else {
            o->blocks.v[n++] = o->blocks.v[i];
        }
    }
    o->blocks.n = n;
    mem_free(obsolete);
}

/* A crash may have come between a cut and the block's own tombstones. */
static int delete_as_head(Opening *o, const Tombstones *head) {
    int r = 0;
    for (size_t i = 0; r == 0 && i < o->blocks.n && head; i++) {
        const BlockMeta *m = block_meta(o->blocks.v[i].block);
        Tombstones *part = tombstones_clip(head, m->min_time, m->max_time - 1);
        r = add_tombstones(&o->blocks.v[i], part);
        tombstones_unref(part);
    }
    return r;
}

int block_list_open(const char *dir, Tombstones *head, BlockList **ret, size_t *ret_bad) {
    Opening o = {.dir = dir};
    int r = block_writer_clean(dir);
    if (r == 0) {
        r = file_each_name(dir, open_one, &o);
    }
    drop_parents(&o);
    int e = delete_as_head(&o, head);
    *ret = block_list_new(o.blocks.v, o.blocks.n, head);
    *ret_bad = o.bad;
    vec_free(&o.blocks);
    r = r < 0 ? r : e;
    return r < 0 ? err_trace(r) : 0;
}
