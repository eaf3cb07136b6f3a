/* ULIDs. */
#include "tsdb/block/block_id.h"

#include <string.h>

#include "base/clock.h"
#include "base/random.h"

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

#define TIME_DIGITS 10
#define RANDOM_DIGITS 16

void block_id_new(char ret[BLOCK_ID_SIZE]) {
    uint64_t time = (uint64_t)clock_wall_ms();
    for (int i = TIME_DIGITS - 1; i >= 0; i--) {
        ret[i] = digits[time & 31];
        time >>= 5;
    }
    uint8_t random[RANDOM_DIGITS];
    random_bytes(random, sizeof(random));
    for (int i = 0; i < RANDOM_DIGITS; i++) {
        ret[TIME_DIGITS + i] = digits[random[i] & 31];
    }
    ret[BLOCK_ID_SIZE - 1] = '\0';
}

bool block_id_valid(const char *id) {
    return strlen(id) == BLOCK_ID_SIZE - 1 && strspn(id, digits) == BLOCK_ID_SIZE - 1 &&
           id[0] <= '7';
}
