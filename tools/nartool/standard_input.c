#include "nartool/standard_input.h"

#include <stdio.h>

#define STDIN_BYTES_MAX (64u << 20)

int read_standard_input(Buf *ret) {
    char part[4096];
    size_t n;
    ret->max = STDIN_BYTES_MAX;
    while ((n = fread(part, 1, sizeof(part), stdin)) > 0) {
        buf_add(ret, part, n);
    }
    return ret->failed ? fail("standard input is larger than %u MiB", STDIN_BYTES_MAX >> 20)
                       : EXIT_OK;
}
