/* The bytes as a packed list: what decodes is sorted and packs to something that decodes to the
 * same. */
#include <assert.h>
#include <stddef.h>

#include "tsdb/index/postings_pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT 100000

static void pack_again(const Ids *ids) {
    PostingsPacker k = {0};
    Ids back = {0};
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    for (size_t i = 0; i < ids->n; i++) {
        assert(ids->v[i] < LIMIT && (i == 0 || ids->v[i - 1] < ids->v[i]));
        postings_packer_add(&k, ids->v[i]);
    }
    postings_packer_finish(&k, &b);
    postings_packer_deinit(&k);
    assert(postings_unpack(buf_str(&b), LIMIT, &back) == 0 && back.n == ids->n);
    assert(ids->n == 0 || memcmp(back.v, ids->v, ids->n * sizeof(*ids->v)) == 0);
    vec_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Ids ids = {0};
    if (postings_unpack(str_n((const char *)data, size), LIMIT, &ids) == 0) {
        pack_again(&ids);
    }
    vec_free(&ids);
    return 0;
}
