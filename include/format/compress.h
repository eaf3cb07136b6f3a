/*
 * The doors to zlib, zstd and snappy. Decoders stop at a ceiling on the decoded size, so that a
 * small body cannot become a large one: -EFBIG past it, -EBADMSG for bytes that do not decode
 * (which includes cut-off input). Output goes behind what the Buf holds; on failure the Buf is put
 * back to its former length. Any thread.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

/* One or more gzip members (RFC 1952). */
int gzip_decode(Str src, size_t max, Buf *out) NODISCARD;
/* HTTP's "deflate": the zlib format, or bare deflate as some senders do it. */
int deflate_decode(Str src, size_t max, Buf *out) NODISCARD;
/* Windows up to 8 MiB, as HTTP allows. */
int zstd_decode(Str src, size_t max, Buf *out) NODISCARD;
/* Snappy's block format (remote write and read, journal); not its framing format. */
int snappy_decode(Str src, size_t max, Buf *out) NODISCARD;
/* By the name of a Content-Encoding: "" and identity (copied), gzip, x-gzip, deflate, zstd, snappy.
 * -ENOTSUP for any other. */
int content_decode(Str encoding, Str src, size_t max, Buf *out) NODISCARD;

/* These fail only if out has a ceiling and reaches it: -EFBIG. level: the library's (zlib 1..9,
 * zstd 1..19; 0 = its default). */
int gzip_encode(Str src, int level, Buf *out) NODISCARD;
int deflate_encode(Str src, int level, Buf *out) NODISCARD;
int zstd_encode(Str src, int level, Buf *out) NODISCARD;
int snappy_encode(Str src, Buf *out) NODISCARD;

/* For many small pieces: zstd whose working memory is kept from one to the next, each piece a frame
 * that tells its size. Level: also the library's negative, faster ones. One owner. */
typedef struct ZstdCodec ZstdCodec;
ZstdCodec *zstd_codec_new(int level);
void zstd_codec_free(ZstdCodec *z); /* NULL is fine */
int zstd_codec_encode(ZstdCodec *z, Str src, Buf *out) NODISCARD;
int zstd_codec_decode(ZstdCodec *z, Str src, size_t max, Buf *out) NODISCARD;

/* A gzip or deflate (zlib) encoder fed piece by piece, for answers that are streamed. One owner. */
typedef struct DeflateStream DeflateStream;

typedef enum DeflateFormat { DEFLATE_FORMAT_GZIP, DEFLATE_FORMAT_ZLIB } DeflateFormat;

DeflateStream *deflate_stream_new(DeflateFormat format, int level);
void deflate_stream_free(DeflateStream *s);
/* Adds what the encoder gives up so far, which may be nothing. */
int deflate_stream_write(DeflateStream *s, Str src, Buf *out) NODISCARD;
/* All written so far can be decoded from what was added. */
int deflate_stream_flush(DeflateStream *s, Buf *out) NODISCARD;
/* Adds the end; then only free is left. */
int deflate_stream_finish(DeflateStream *s, Buf *out) NODISCARD;
