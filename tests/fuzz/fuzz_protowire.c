/* Any bytes as a message, each of its byte fields as a message and as packed numbers again. */
#include <stddef.h>

#include "format/protowire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_message(Str s, int depth) {
    ProtoReader r = PROTO_READER(s);
    ProtoField f;
    while (proto_next(&r, &f) == 1) {
        const uint8_t *at = NULL;
        uint64_t v;
        double d;
        while (proto_packed_varint(&f, &at, &v) == 1) {
        }
        at = NULL;
        while (proto_packed_double(&f, &at, &d) == 1) {
        }
        if (proto_is_bytes(&f) && depth < 4) {
            read_message(f.bytes, depth + 1);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_message(str_n((const char *)data, size), 0);
    return 0;
}
