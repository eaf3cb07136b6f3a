/* Sets of ids against a plain model: an array of flags. */
#include <errno.h>

#include "base/random.h"
#include "support/test.h"
#include "tsdb/index/postings.h"
#include "tsdb/index/postings_pack.h"

#define IDS_MAX 3000

typedef struct Model {
    bool has[IDS_MAX];
} Model;

static Ids random_ids(Rng *r, unsigned per_mille, Model *m) {
    Ids v = {0};
    for (uint32_t i = 0; i < IDS_MAX; i++) {
        m->has[i] = rng_below(r, 1000) < per_mille;
        if (m->has[i]) {
            vec_push(&v, i);
        }
    }
    return v;
}

static void check_ids(const Ids *v, const Model *m) {
    size_t at = 0;
    for (uint32_t i = 0; i < IDS_MAX; i++) {
        if (m->has[i]) {
            CHECK(at < v->n && v->v[at] == i);
            at++;
        }
        CHECK(ids_has(v->v, v->n, i) == m->has[i]);
    }
    CHECK_INT(v->n, at);
}

TEST (set_operations_agree_with_the_model) {
    static const unsigned densities[] = {0, 1, 20, 300, 1000};
    Rng r;
    rng_init(&r, 7);
    for (size_t i = 0; i < 25; i++) {
        Model a, b, want;
        Ids x = random_ids(&r, densities[i / 5], &a), y = random_ids(&r, densities[i % 5], &b);
        Ids z = {0};
        ids_append(&z, x.v, x.n);
        ids_intersect(&z, y.v, y.n);
        for (size_t k = 0; k < IDS_MAX; k++) {
            want.has[k] = a.has[k] && b.has[k];
        }
        check_ids(&z, &want);
        z.n = 0;
        ids_append(&z, x.v, x.n);
        ids_subtract(&z, y.v, y.n);
        for (size_t k = 0; k < IDS_MAX; k++) {
            want.has[k] = a.has[k] && !b.has[k];
        }
        check_ids(&z, &want);
        for (int known = 0; known < 2; known++) {
            z.n = 0;
            ids_append(&z, x.v, x.n);
            ids_append(&z, y.v, y.n);
            ids_sort_unique(&z, known ? IDS_MAX : 0);
            for (size_t k = 0; k < IDS_MAX; k++) {
                want.has[k] = a.has[k] || b.has[k];
            }
            check_ids(&z, &want);
        }
        vec_free(&x);
        vec_free(&y);
        vec_free(&z);
    }
}

static bool is_odd(void *arg, uint32_t id) { return id % 2 == 1; }

TEST (postings_grow_shrink_and_stay_sorted) {
    Rng r;
    rng_init(&r, 11);
    Postings p = {0};
    Model m = {0};
    for (int i = 0; i < 20000; i++) {
        uint32_t id = (uint32_t)rng_below(&r, IDS_MAX);
        bool grow = i % 5000 < 2500;
        if (grow) {
            CHECK(postings_add(&p, id) == !m.has[id]);
        } else {
            CHECK(postings_del(&p, id) == m.has[id]);
        }
        m.has[id] = grow;
    }
    Ids view = {(uint32_t *)(uintptr_t)postings_ids(&p), p.n, p.n};
    check_ids(&view, &m);
    uint32_t before = p.n;
    CHECK_INT(before - postings_filter(&p, is_odd, NULL), p.n);
    for (uint32_t i = 0; i < p.n; i++) {
        CHECK(postings_ids(&p)[i] % 2 == 1);
    }
    for (uint32_t i = 0; i < IDS_MAX; i++) {
        postings_del(&p, i);
    }
    CHECK_INT(p.n, 0);
    CHECK_INT(postings_heap_bytes(&p), 0);
    postings_deinit(&p);
}

static void pack(const Ids *v, Buf *out) {
    PostingsPacker k = {0};
    for (size_t i = 0; i < v->n; i++) {
        postings_packer_add(&k, v->v[i]);
    }
    postings_packer_finish(&k, out);
    postings_packer_deinit(&k);
}

TEST (packed_lists_come_back_and_every_prefix_is_refused) {
    static const unsigned densities[] = {0, 1, 20, 300, 990, 1000};
    Rng r;
    rng_init(&r, 3);
    for (size_t i = 0; i < 6; i++) {
        Model m;
        Ids v = random_ids(&r, densities[i], &m), back = {0};
        CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
        pack(&v, &b);
        CHECK_INT(postings_unpack(buf_str(&b), IDS_MAX, &back), 0);
        check_ids(&back, &m);
        uint32_t n;
        CHECK(postings_pack_count(buf_str(&b), &n) && n == v.n);
        for (size_t size = 0; size < b.n; size++) {
            char *part = mem_dup(b.p, size ? size : 1);
            back.n = 0;
            CHECK_INT(postings_unpack(str_n(part, size), IDS_MAX, &back), -EBADMSG);
            mem_free(part);
        }
        if (v.n) {
            back.n = 0;
            CHECK_INT(postings_unpack(buf_str(&b), v.v[v.n - 1], &back), -EBADMSG);
        }
        vec_free(&v);
        vec_free(&back);
    }
}

TEST (a_run_of_neighbours_is_a_few_bytes) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    PostingsPacker k = {0};
    for (uint32_t i = 1000; i < 900000; i++) {
        postings_packer_add(&k, i);
    }
    postings_packer_finish(&k, &b);
    postings_packer_deinit(&k);
    CHECK(b.n < 12);
}
