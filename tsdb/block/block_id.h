/* Names of blocks: ULIDs, 26 characters of Crockford's base 32: 48 bits of wall time in ms, 80
 * random bits (https://github.com/ulid/spec). Later ones sort behind earlier ones. Any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BLOCK_ID_SIZE 27 /* with the NUL */

void block_id_new(char ret[BLOCK_ID_SIZE]);
/* Exactly the 26 characters of a ULID. */
bool block_id_valid(const char *id);
