#include "tsdb/db/block_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/vec.h"
#include "tsdb/block/block_writer.h"

static int by_time(const void *a, const void *b) {
    const BlockMeta *x = block_meta(*(Block *const *)a), *y = block_meta(*(Block *const *)b);
    if (x->min_time != y->min_time) {
        return x->min_time < y->min_time ? -1 : 1;
    }
    return strcmp(x->id, y->id);
}

BlockList *block_list_new(Block **v, size_t n) {
    BlockList *l = mem_alloc(sizeof(*l) + n * sizeof(*l->v));
    atomic_init(&l->refs, 1);
    l->n = n;
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
        block_unref(l->v[i]);
    }
    mem_free(l);
}

static bool is_among(const Block *b, Block *const *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (v[i] == b) {
            return true;
        }
    }
    return false;
}

BlockList *block_list_change(const BlockList *l, Block *const *drop, size_t n_drop, Block *add) {
    VEC(Block *) v = {0};
    for (size_t i = 0; i < l->n; i++) {
        if (!is_among(l->v[i], drop, n_drop)) {
            vec_push(&v, block_ref(l->v[i]));
        }
    }
    if (add) {
        vec_push(&v, add);
    }
    BlockList *ret = block_list_new(v.v, v.n);
    vec_free(&v);
    return ret;
}

const BlockMeta **block_list_metas(const BlockList *l) {
    const BlockMeta **metas = mem_calloc(l->n + 1, sizeof(*metas));
    for (size_t i = 0; i < l->n; i++) {
        metas[i] = block_meta(l->v[i]);
    }
    return metas;
}

uint64_t block_list_bytes(const BlockList *l) {
    uint64_t sum = 0;
    for (size_t i = 0; i < l->n; i++) {
        sum += block_meta(l->v[i])->bytes;
    }
    return sum;
}

typedef struct Opening {
    const char *dir;
    VEC(Block *) blocks;
    size_t bad;
} Opening;

static int open_one(void *arg, const char *name) {
    Opening *o = arg;
    if (!block_id_valid(name)) {
        return 0;
    }
    Block *b;
    Problem problem = {0};
    char *path = mem_printf("%s/%s", o->dir, name);
    int r = block_open(path, &b, &problem);
    if (r == 0) {
        vec_push(&o->blocks, b);
    } else {
        char text[1400];
        o->bad++;
        log_error("tsdb", "A block cannot be read and is left out", L_CSTR("block", name),
                  L_CSTR("reason", problem_format(&problem, text, sizeof(text))), L_ERR(r));
    }
    mem_free(path);
    return 0;
}

static bool is_parent(const Opening *o, const char *id) {
    for (size_t i = 0; i < o->blocks.n; i++) {
        const BlockMeta *m = block_meta(o->blocks.v[i]);
        for (size_t k = 0; k < m->n_parents; k++) {
            if (strcmp(m->parents[k], id) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void drop_parents(Opening *o) {
    bool *obsolete = NEW_ARRAY(bool, o->blocks.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < o->blocks.n; i++) {
        obsolete[i] = is_parent(o, block_meta(o->blocks.v[i])->id);
    }
    for (size_t i = 0; i < o->blocks.n; i++) {
        if (obsolete[i]) {
            (void)block_delete(block_path(o->blocks.v[i])); /* tried again at the next start */
            block_unref(o->blocks.v[i]);
        } else {
            o->blocks.v[n++] = o->blocks.v[i];
        }
    }
    o->blocks.n = n;
    mem_free(obsolete);
}

int block_list_open(const char *dir, BlockList **ret, size_t *ret_bad) {
    Opening o = {.dir = dir};
    int r = block_writer_clean(dir);
    if (r == 0) {
        r = file_each_name(dir, open_one, &o);
    }
    drop_parents(&o);
    *ret = block_list_new(o.blocks.v, o.blocks.n);
    *ret_bad = o.bad;
    vec_free(&o.blocks);
    return r < 0 ? err_trace(r) : 0;
}
