#include "model/md5.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "base/log.h"

void md5_sum(Str s, uint8_t ret[MD5_BYTES]) {
    unsigned size = 0;
    if (!EVP_Digest(s.p ? s.p : "", s.n, ret, &size, EVP_md5(), NULL) || size != MD5_BYTES) {
        /* Another distribution of targets than before would be worse than none. */
        log_error("relabel", "The crypto library refuses MD5, which hashmod needs");
        abort();
    }
}
