/* First byte: which decoder; the rest: its input. What decodes is within the ceiling. */
#include <assert.h>
#include <stddef.h>

#include "format/compress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *names[] = {"gzip", "deflate", "zstd", "snappy"};
    if (size == 0) {
        return 0;
    }
    Buf out = BUF_INIT(0);
    int r = content_decode(str_of(names[data[0] % 4]), str_n((const char *)data + 1, size - 1),
                           100000, &out);
    assert(out.n <= 100000 && (r == 0 || out.n == 0));
    buf_deinit(&out);
    return 0;
}
