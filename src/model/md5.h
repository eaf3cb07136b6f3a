/* The door to OpenSSL for the one hash of the label model: MD5 (RFC 1321), by which hashmod
 * spreads targets exactly as Prometheus does. Any thread. */
#pragma once

#include <stdint.h>

#include "base/str.h"

#define MD5_BYTES 16

void md5_sum(Str s, uint8_t ret[MD5_BYTES]);
