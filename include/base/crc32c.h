/* CRC-32C (Castagnoli, RFC 3720), by the processor's instruction where it has one. Any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Start with crc = 0; feed the last result to go on. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);
