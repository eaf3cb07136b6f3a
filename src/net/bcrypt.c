/*
 * The door to libcrypt. Which hashes are accepted follows Go's x/crypto/bcrypt: every minor version
 * ($2$, $2a$, $2y$, ...) is the same algorithm there, and only 72 bytes of a password count.
 */
#include <crypt.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "net/http_guard.h"

#define HASH_BYTES_MIN 59
#define PASSWORD_BYTES 72
#define SALT_BYTES 22
#define DIGEST_BYTES 31
#define COST_MIN 4
#define COST_MAX 31

/* The parts behind "$2y$": cost, salt, digest. */
static int split(Str hash, int *ret_cost, Str *ret_salt, Str *ret_digest, Problem *problem) {
    if (hash.n < HASH_BYTES_MIN) {
        return problem_set(problem, 0, 0, "hashedSecret too short to be a bcrypted password");
    }
    if (hash.p[0] != '$') {
        return problem_set(problem, 0, 0,
                           "bcrypt hashes must start with '$', but hashedSecret started with '%c'",
                           hash.p[0]);
    }
    if (hash.p[1] > '2') {
        return problem_set(problem, 0, 0,
                           "bcrypt algorithm version '%c' requested is newer than current version "
                           "'2'",
                           hash.p[1]);
    }
    Str rest = str_from(hash, hash.p[2] != '$' ? 4 : 3);
    if (rest.p[0] < '0' || rest.p[0] > '9' || rest.p[1] < '0' || rest.p[1] > '9') {
        return problem_set(problem, 0, 0, "bcrypt: the cost \"%.2s\" is not a number", rest.p);
    }
    *ret_cost = (rest.p[0] - '0') * 10 + rest.p[1] - '0';
    if (*ret_cost < COST_MIN || *ret_cost > COST_MAX) {
        return problem_set(problem, 0, 0,
                           "bcrypt: cost %d is outside allowed inclusive range 4..31", *ret_cost);
    }
    rest = str_from(rest, 3);
    *ret_salt = str_upto(rest, MIN(rest.n, (size_t)SALT_BYTES));
    *ret_digest = str_from(rest, ret_salt->n);
    return 0;
}

int bcrypt_check(Str hash, Problem *problem) {
    int cost;
    Str salt, digest;
    return split(hash, &cost, &salt, &digest, problem);
}

/* No early end: how long it takes says nothing about where they differ. */
static bool same(const char *a, const char *b, size_t n) {
    unsigned char differ = 0;
    for (size_t i = 0; i < n; i++) {
        differ |= (unsigned char)(a[i] ^ b[i]);
    }
    return differ == 0;
}

bool bcrypt_verify(Str hash, Str password) {
    int cost;
    Str salt, digest;
    if (split(hash, &cost, &salt, &digest, NULL) < 0) {
        return false;
    }
    char setting[40], text[PASSWORD_BYTES + 1];
    snprintf(setting, sizeof(setting), "$2b$%02d$%.*s", cost, SA(salt));
    size_t n = MIN(password.n, (size_t)PASSWORD_BYTES);
    memcpy(text, password.p ? password.p : "", n);
    text[n] = '\0';
    struct crypt_data *data = NEW(struct crypt_data);
    /* Not crypt_r(), which the sanitizers take the place of. */
    const char *made = crypt_rn(text, setting, data, (int)sizeof(*data));
    /* libcrypt would take a NUL for the end. */
    bool ok = !memchr(text, '\0', n) && made && strlen(made) == strlen(setting) + DIGEST_BYTES &&
              digest.n == DIGEST_BYTES && same(made + strlen(setting), digest.p, DIGEST_BYTES);
    explicit_bzero(data, sizeof(*data));
    explicit_bzero(text, sizeof(text));
    mem_free(data);
    return ok;
}
