#include "format/compress.h"

#include <errno.h>
#include <snappy-c.h>

int compress_snappy(Str src, Buf *dst) {
    size_t n = snappy_max_compressed_length(src.n);
    char *p = buf_reserve(dst, n);
    if (!p) {
        return -ENOMEM;
    }
    if (snappy_compress(src.p, src.n, p, &n) != SNAPPY_OK) {
        return -ENOMEM;
    }
    dst->n += n;
    return 0;
}

int decompress_snappy(Str src, Buf *dst) {
    size_t n;
    if (snappy_uncompressed_length(src.p, src.n, &n) != SNAPPY_OK || n > src.n * 64 + 64) {
        return -EBADMSG;
    }
    char *p = buf_reserve(dst, n ? n : 1);
    if (!p) {
        return -ENOMEM;
    }
    if (snappy_uncompress(src.p, src.n, p, &n) != SNAPPY_OK) {
        return -EBADMSG;
    }
    dst->n += n;
    return 0;
}
