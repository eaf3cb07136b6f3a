#include "model/sha256.h"

#include <stdio.h>

#include <openssl/sha.h>

void sha256_hex(Str s, char ret[65]) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)s.p, s.n, digest);
    for (size_t i = 0; i < sizeof(digest); i++) {
        snprintf(ret + 2 * i, 3, "%02x", digest[i]);
    }
}
