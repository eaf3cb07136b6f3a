/* A tombstones file behind its checksum: what is accepted is accepted again after writing it anew,
 * and then stays the same bytes. */
#include <assert.h>
#include <stdint.h>

#include "base/crc32c.h"
#include "tsdb/delete/tombstones.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int decode_framed(const uint8_t *data, size_t size, Tombstones **ret) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_add(&b, "NTHXTOMB", 8);
    buf_add_u32(&b, 1);
    buf_add_u32(&b, crc32c(0, data, size));
    buf_add(&b, data, size);
    return tombstones_decode(buf_str(&b), ret);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Tombstones *t = NULL, *again = NULL;
    if (tombstones_decode((Str){(const char *)data, size}, &t) == 0) {
        tombstones_unref(t);
    }
    if (decode_framed(data, size, &t) < 0) {
        return 0;
    }
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    CLEANUP(buf_deinit) Buf c = BUF_INIT(0);
    tombstones_encode(t, &b);
    assert(tombstones_decode(buf_str(&b), &again) == 0);
    tombstones_encode(again, &c);
    assert(str_eq(buf_str(&b), buf_str(&c)));
    tombstones_unref(t);
    tombstones_unref(again);
    return 0;
}
