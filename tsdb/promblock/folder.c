/* Looking at database folders from outside. */
#include <stdlib.h>

#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "tsdb/block/block.h"
#include "tsdb/block/block_folder.h"
#include "tsdb/transfer.h"

/* ---- listing */

typedef struct Listing {
    const char *dir;
    Arena *arena;
    VEC(TsdbBlockInfo) blocks;
    void (*bad)(void *arg, const Problem *p);
    void *arg;
} Listing;

static int list_block(void *arg, const char *name) {
    Listing *l = arg;
    if (!block_id_valid(name)) {
        return 0;
    }
    Problem p = {0};
    Block *b;
    CLEANUP(mem_freep) char *path = block_folder_path(l->dir, name, "");
    CLEANUP(mem_freep) char *foreign = block_folder_path(l->dir, name, "/meta.json");
    if (file_exists(foreign)) {
        return 0; /* of Prometheus */
    }
    if (block_open(path, &b, &p) < 0) {
        l->bad(l->arg, &p);
        return 0;
    }
    TsdbBlockInfo info;
    block_info(b, &info);
    vec_push(&l->blocks, info);
    block_unref(b);
    return 0;
}

static int info_cmp(const void *a, const void *b) {
    const TsdbBlockInfo *x = a, *y = b;
    if (x->min_time != y->min_time) {
        return x->min_time < y->min_time ? -1 : 1;
    }
    return strcmp(x->id, y->id);
}

int tsdb_folder_blocks(const char *dir, Arena *a, TsdbBlockInfo **ret, size_t *ret_n,
                       void (*bad)(void *arg, const Problem *p), void *arg) {
    Listing l = {.dir = dir, .arena = a, .bad = bad, .arg = arg};
    int r = file_each_name(dir, list_block, &l);
    *ret_n = l.blocks.n;
    *ret = ARENA_ARRAY(a, TsdbBlockInfo, l.blocks.n + 1);
    if (l.blocks.n) {
        qsort(l.blocks.v, l.blocks.n, sizeof(*l.blocks.v), info_cmp);
        memcpy(*ret, l.blocks.v, l.blocks.n * sizeof(*l.blocks.v));
    }
    vec_free(&l.blocks);
    return r;
}

typedef struct Foreign {
    const char *dir;
    Arena *arena;
    StrVec *ret;
} Foreign;

static int list_foreign(void *arg, const char *name) {
    Foreign *f = arg;
    CLEANUP(mem_freep) char *meta = mem_printf("%s/%s/meta.json", f->dir, name);
    if (block_id_valid(name) && file_exists(meta)) {
        vec_push(f->ret, arena_printf(f->arena, "%s/%s", f->dir, name));
    }
    return 0;
}

int tsdb_folder_prometheus(const char *dir, Arena *a, StrVec *ret) {
    CLEANUP(mem_freep) char *meta = mem_printf("%s/meta.json", dir);
    if (file_exists(meta)) {
        vec_push(ret, arena_str(a, str_of(dir)));
        return 0;
    }
    Foreign f = {dir, a, ret};
    int r = file_each_name(dir, list_foreign, &f);
    if (ret->n) {
        qsort(ret->v, ret->n, sizeof(Str), str_qsort_cmp);
    }
    return r;
}

static int open_block(const char *dir, const char *id, Block **ret, Problem *problem) {
    CLEANUP(mem_freep) char *path = block_folder_path(dir, id, "");
    if (!block_id_valid(id) || !file_exists(path)) {
        problem_set(problem, 0, 0, "%s: there is no block \"%s\"", dir, id);
        return -ENOENT;
    }
    return block_open(path, ret, problem);
}

int tsdb_folder_verify(const char *dir, const char *id, const atomic_bool *cancel,
                       Problem *problem) {
    Block *b;
    int r = open_block(dir, id, &b, problem);
    if (r == 0) {
        r = block_verify(b, cancel, problem);
        block_unref(b);
    }
    return r;
}

/* ---- analysis */

typedef struct Tally {
    StrMap map; /* name -> TsdbChurn */
    Arena *arena;
    VEC(TsdbChurn *) list;
} Tally;

static void tally_add(Tally *t, Str name, double uncovered) {
    TsdbChurn *c = str_map_get(&t->map, name);
    if (!c) {
        c = ARENA_NEW(t->arena, TsdbChurn);
        c->name = arena_str(t->arena, name);
        *str_map_put(&t->map, c->name, NULL) = c;
        vec_push(&t->list, c);
    }
    c->uncovered += uncovered;
}

static int churn_cmp(const void *a, const void *b) {
    const TsdbChurn *x = *(TsdbChurn *const *)a, *y = *(TsdbChurn *const *)b;
    if (x->uncovered != y->uncovered) {
        return x->uncovered > y->uncovered ? -1 : 1;
    }
    return str_cmp(x->name, y->name);
}

static void tally_end(Tally *t, size_t limit, TsdbChurn **ret, size_t *ret_n) {
    if (t->list.n) {
        qsort(t->list.v, t->list.n, sizeof(*t->list.v), churn_cmp);
    }
    size_t n = MIN(t->list.n, limit);
    *ret = ARENA_ARRAY(t->arena, TsdbChurn, n + 1);
    for (size_t i = 0; i < n && t->list.v[i]->uncovered > 0; i++) {
        (*ret)[(*ret_n)++] = *t->list.v[i];
    }
    vec_free(&t->list);
    str_map_deinit(&t->map);
}

static int walk_series(Block *b, Arena *a, size_t limit, TsdbAnalysis *ret) {
    const BlockMeta *m = block_meta(b);
    Tally pairs = {.arena = a}, names = {.arena = a};
    CLEANUP(buf_deinit) Buf pair = BUF_INIT(0);
    BlockCursor *c = block_cursor_new(b);
    BlockSeries s;
    int r;
    while ((r = block_cursor_next(c, &s)) > 0) {
        double span = (double)(m->max_time - m->min_time);
        double covered = (double)(s.v[s.n - 1].max_time - s.v[0].min_time);
        ret->entries += s.labels.n;
        for (size_t i = 0; i < s.labels.n; i++) {
            buf_reset(&pair);
            buf_addf(&pair, "%.*s=%.*s", SA(s.labels.v[i].name), SA(s.labels.v[i].value));
            tally_add(&pairs, buf_str(&pair), 1 - covered / span);
            tally_add(&names, s.labels.v[i].name, 1 - covered / span);
        }
    }
    block_cursor_free(c);
    ret->label_names = names.list.n;
    ret->label_pairs = pairs.list.n;
    tally_end(&pairs, limit, &ret->pairs, &ret->n_pairs);
    tally_end(&names, limit, &ret->names, &ret->n_names);
    return r;
}

int tsdb_folder_analyze(const char *dir, const char *id, size_t limit, Arena *a, TsdbAnalysis *ret,
                        Problem *problem) {
    Block *b;
    *ret = (TsdbAnalysis){0};
    int r = open_block(dir, id, &b, problem);
    if (r < 0) {
        return r;
    }
    block_info(b, &ret->block);
    r = block_cardinality(b, limit, a, &ret->cardinality);
    if (r == 0) {
        r = walk_series(b, a, limit, ret);
    }
    if (r < 0) {
        problem_set(problem, 0, 0, "block %s: %s", id,
                    r == -EBADMSG ? "damaged; see tsdb verify" : strerror(-r));
    }
    block_unref(b);
    return r;
}
