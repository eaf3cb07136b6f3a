/* SHA-256 as hexadecimal text (FIPS 180-4), for tokens and keys that others compute too. Any
 * thread. */
#pragma once

#include "base/str.h"

/* 64 digits and a NUL. */
void sha256_hex(Str s, char ret[65]);
