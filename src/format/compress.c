#include "format/compress.h"

#include <errno.h>
#include <limits.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"

/* windowBits of zlib: 15 is the format's maximum; 16 more means gzip, negative means bare. */
#define BITS_ZLIB 15
#define BITS_GZIP (15 + 16)
#define BITS_BARE (-15)
#define STEP_BYTES_MIN ((size_t)16384)
#define STEP_BYTES_MAX ((size_t)1 << 20)
#define ZSTD_WINDOW_LOG_MAX 23

/* How many bytes more may come, growing with what is there already; one more than the ceiling, to
 * see that it is passed. */
static size_t next_step(size_t done, size_t max) {
    size_t step = MIN(MAX(done, STEP_BYTES_MIN), STEP_BYTES_MAX);
    return MIN(step, max - done + 1);
}

static int inflate_members(z_stream *z, Str src, size_t max, bool gzip, Buf *out) {
    size_t start = out->n;
    z->next_in = (Bytef *)src.p;
    z->avail_in = (uInt)src.n;
    for (;;) {
        size_t step = next_step(out->n - start, max);
        char *at = buf_reserve(out, step);
        if (!at) {
            return -EFBIG;
        }
        z->next_out = (Bytef *)at;
        z->avail_out = (uInt)step;
        int r = inflate(z, Z_NO_FLUSH);
        out->n += step - z->avail_out;
        if (out->n - start > max) {
            return -EFBIG;
        }
        if (r == Z_STREAM_END) {
            if (!gzip || z->avail_in == 0) {
                return z->avail_in == 0 ? 0 : -EBADMSG;
            }
            inflateReset(z);
        } else if (r != Z_OK || (z->avail_in == 0 && z->avail_out != 0)) {
            return r == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
        }
    }
}

static int inflate_with(int bits, Str src, size_t max, Buf *out) {
    if (src.n > UINT_MAX) {
        return -EFBIG;
    }
    z_stream z = {0};
    if (inflateInit2(&z, bits) != Z_OK) {
        return -ENOMEM;
    }
    size_t start = out->n;
    int r = inflate_members(&z, src, max, bits == BITS_GZIP, out);
    inflateEnd(&z);
    if (r < 0) {
        out->n = start;
    }
    return r;
}

int gzip_decode(Str src, size_t max, Buf *out) { return inflate_with(BITS_GZIP, src, max, out); }

int deflate_decode(Str src, size_t max, Buf *out) {
    int r = inflate_with(BITS_ZLIB, src, max, out);
    return r == -EBADMSG ? inflate_with(BITS_BARE, src, max, out) : r;
}

static int zstd_stream(ZSTD_DCtx *d, Str src, size_t max, Buf *out) {
    size_t start = out->n;
    ZSTD_inBuffer in = {src.p, src.n, 0};
    for (;;) {
        size_t step = next_step(out->n - start, max);
        char *at = buf_reserve(out, step);
        if (!at) {
            return -EFBIG;
        }
        ZSTD_outBuffer o = {at, step, 0};
        size_t r = ZSTD_decompressStream(d, &o, &in);
        out->n += o.pos;
        if (ZSTD_isError(r)) {
            return -EBADMSG;
        }
        if (out->n - start > max) {
            return -EFBIG;
        }
        if (in.pos == in.size && (r == 0 || o.pos < step)) {
            return r == 0 ? 0 : -EBADMSG;
        }
    }
}

int zstd_decode(Str src, size_t max, Buf *out) {
    ZSTD_DCtx *d = ZSTD_createDCtx();
    if (!d) {
        return -ENOMEM;
    }
    ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    size_t start = out->n;
    int r = src.n ? zstd_stream(d, src, max, out) : -EBADMSG;
    ZSTD_freeDCtx(d);
    if (r < 0) {
        out->n = start;
    }
    return r;
}

int snappy_decode(Str src, size_t max, Buf *out) {
    size_t size;
    if (!src.n || snappy_uncompressed_length(src.p, src.n, &size) != SNAPPY_OK) {
        return -EBADMSG;
    }
    /* No element of the format gives more than 64 bytes for 3, so a larger claim is a lie and not
     * worth the memory. */
    if (size > max) {
        return -EFBIG;
    }
    if (size / 32 > src.n) {
        return -EBADMSG;
    }
    char *at = buf_reserve(out, size + 1);
    if (!at) {
        return -EFBIG;
    }
    if (snappy_uncompress(src.p, src.n, at, &size) != SNAPPY_OK) {
        return -EBADMSG;
    }
    out->n += size;
    return 0;
}

int content_decode(Str encoding, Str src, size_t max, Buf *out) {
    static const struct {
        const char *name;
        int (*decode)(Str src, size_t max, Buf *out);
    } known[] = {{"gzip", gzip_decode},
                 {"x-gzip", gzip_decode},
                 {"deflate", deflate_decode},
                 {"zstd", zstd_decode},
                 {"snappy", snappy_decode}};
    encoding = str_trim(encoding);
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_eq_nocase(encoding, str_of(known[i].name))) {
            return known[i].decode(src, max, out);
        }
    }
    if (encoding.n && !str_eq_nocase(encoding, STR("identity"))) {
        return -ENOTSUP;
    }
    if (src.n > max) {
        return -EFBIG;
    }
    buf_add_str(out, src);
    return out->failed ? -EFBIG : 0;
}

/* ---- encoding ---- */

struct DeflateStream {
    z_stream z;
};

DeflateStream *deflate_stream_new(DeflateFormat format, int level) {
    DeflateStream *s = NEW(DeflateStream);
    int bits = format == DEFLATE_FORMAT_GZIP ? BITS_GZIP : BITS_ZLIB;
    int r = deflateInit2(&s->z, level ? level : Z_DEFAULT_COMPRESSION, Z_DEFLATED, bits, 8,
                         Z_DEFAULT_STRATEGY);
    if (r != Z_OK) {
        mem_free(s);
        return NULL;
    }
    return s;
}

void deflate_stream_free(DeflateStream *s) {
    if (s) {
        deflateEnd(&s->z);
        mem_free(s);
    }
}

static int deflate_some(DeflateStream *s, Str src, int flush, Buf *out) {
    z_stream *z = &s->z;
    z->next_in = (Bytef *)src.p;
    z->avail_in = (uInt)src.n;
    int r;
    do {
        size_t step = MAX(STEP_BYTES_MIN / 4, MIN(src.n / 4, STEP_BYTES_MAX));
        char *at = buf_reserve(out, step);
        if (!at) {
            return -EFBIG;
        }
        z->next_out = (Bytef *)at;
        z->avail_out = (uInt)step;
        r = deflate(z, flush);
        out->n += step - z->avail_out;
    } while (z->avail_out == 0 && r == Z_OK);
    return r == Z_STREAM_ERROR ? -EINVAL : 0;
}

int deflate_stream_write(DeflateStream *s, Str src, Buf *out) {
    while (src.n > 0) {
        size_t n = MIN(src.n, (size_t)1 << 30);
        int r = deflate_some(s, str_upto(src, n), Z_NO_FLUSH, out);
        if (r < 0) {
            return r;
        }
        src = str_from(src, n);
    }
    return 0;
}

int deflate_stream_flush(DeflateStream *s, Buf *out) {
    return deflate_some(s, STR(""), Z_SYNC_FLUSH, out);
}

int deflate_stream_finish(DeflateStream *s, Buf *out) {
    return deflate_some(s, STR(""), Z_FINISH, out);
}

static int deflate_whole(DeflateFormat format, Str src, int level, Buf *out) {
    DeflateStream *s = deflate_stream_new(format, level);
    if (!s) {
        return -EINVAL;
    }
    size_t start = out->n;
    int r = deflate_stream_write(s, src, out);
    if (r == 0) {
        r = deflate_stream_finish(s, out);
    }
    deflate_stream_free(s);
    if (r < 0) {
        out->n = start;
    }
    return r;
}

int gzip_encode(Str src, int level, Buf *out) {
    return deflate_whole(DEFLATE_FORMAT_GZIP, src, level, out);
}

int deflate_encode(Str src, int level, Buf *out) {
    return deflate_whole(DEFLATE_FORMAT_ZLIB, src, level, out);
}

int zstd_encode(Str src, int level, Buf *out) {
    size_t bound = ZSTD_compressBound(src.n);
    char *at = buf_reserve(out, bound);
    if (!at) {
        return -EFBIG;
    }
    size_t n = ZSTD_compress(at, bound, src.p ? src.p : "", src.n, level);
    if (ZSTD_isError(n)) {
        return -EINVAL;
    }
    out->n += n;
    return 0;
}

struct ZstdCodec {
    ZSTD_CCtx *c;
    ZSTD_DCtx *d;
};

ZstdCodec *zstd_codec_new(int level) {
    ZstdCodec *z = NEW(ZstdCodec);
    z->c = ZSTD_createCCtx();
    z->d = ZSTD_createDCtx();
    if (z->c) {
        ZSTD_CCtx_setParameter(z->c, ZSTD_c_compressionLevel, level);
    }
    return z;
}

void zstd_codec_free(ZstdCodec *z) {
    if (z) {
        ZSTD_freeCCtx(z->c);
        ZSTD_freeDCtx(z->d);
        mem_free(z);
    }
}

int zstd_codec_encode(ZstdCodec *z, Str src, Buf *out) {
    size_t bound = ZSTD_compressBound(src.n);
    char *at = z->c ? buf_reserve(out, bound) : NULL;
    if (!at) {
        return -EFBIG;
    }
    size_t n = ZSTD_compress2(z->c, at, bound, src.p, src.n);
    if (ZSTD_isError(n)) {
        return -EINVAL;
    }
    out->n += n;
    return 0;
}

int zstd_codec_decode(ZstdCodec *z, Str src, size_t max, Buf *out) {
    unsigned long long size = ZSTD_getFrameContentSize(src.p, src.n);
    if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR) {
        return -EBADMSG;
    }
    if (size > max) {
        return -EFBIG;
    }
    char *at = z->d ? buf_reserve(out, (size_t)size + 1) : NULL;
    if (!at) {
        return -EFBIG;
    }
    size_t n = ZSTD_decompressDCtx(z->d, at, (size_t)size, src.p, src.n);
    if (ZSTD_isError(n) || n != size) {
        return -EBADMSG;
    }
    out->n += n;
    return 0;
}

int snappy_encode(Str src, Buf *out) {
    size_t n = snappy_max_compressed_length(src.n);
    char *at = buf_reserve(out, n);
    if (!at) {
        return -EFBIG;
    }
    if (snappy_compress(src.p ? src.p : "", src.n, at, &n) != SNAPPY_OK) {
        return -EINVAL;
    }
    out->n += n;
    return 0;
}
