/*
 * Stored value: version 1; time, expiry (zigzag ms); number of firing, of resolved; the hashes
 * (8 bytes each, little-endian); CRC32C of all before it. The key is XXH3 of the group and receiver
 * key when that is longer than LMDB takes; the value carries it in full.
 */
#include "rules/notify/nflog.h"

#include <errno.h>

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/varint.h"
#include "rules/notify/state.h"

void nflog_entry_free(NflogEntry *e) {
    if (e) {
        mem_free(e->firing);
        mem_free(e->resolved);
        mem_free(e->key);
        mem_free(e);
    }
}

static uint64_t *hashes_dup(const uint64_t *v, size_t n) {
    return n ? mem_dup(v, n * sizeof(*v)) : NULL;
}

static void entry_put(Nflog *l, NflogEntry *e) {
    nflog_entry_free(str_map_del(&l->entries, str_of(e->key)));
    *str_map_put(&l->entries, str_of(e->key), NULL) = e;
}

/* ---- stored form */

static void entry_encode(const NflogEntry *e, Str key, Buf *b) {
    buf_add_char(b, 1);
    buf_add_uvarint(b, key.n);
    buf_add_str(b, key);
    buf_add_varint(b, e->at_ms);
    buf_add_varint(b, e->expires_ms);
    buf_add_uvarint(b, e->n_firing);
    buf_add_uvarint(b, e->n_resolved);
    for (size_t i = 0; i < e->n_firing; i++) {
        buf_add_u64(b, e->firing[i]);
    }
    for (size_t i = 0; i < e->n_resolved; i++) {
        buf_add_u64(b, e->resolved[i]);
    }
    buf_add_u32(b, crc32c(0, b->p, b->n));
}

static uint64_t get_u64(const uint8_t *p) {
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--) {
        v = v << 8 | p[i];
    }
    return v;
}

static uint64_t *get_hashes(const uint8_t **p, uint64_t n) {
    uint64_t *v = n ? mem_calloc((size_t)n, sizeof(*v)) : NULL;
    for (uint64_t i = 0; i < n; i++, *p += 8) {
        v[i] = get_u64(*p);
    }
    return v;
}

NflogEntry *nflog_entry_decode(Str s) {
    if (s.n < 6 || s.p[0] != 1) {
        return NULL;
    }
    const uint8_t *p = (const uint8_t *)s.p + 1, *end = (const uint8_t *)s.p + s.n - 4;
    uint32_t crc = (uint32_t)(end[0] | end[1] << 8 | end[2] << 16) | (uint32_t)end[3] << 24;
    uint64_t key_n, firing, resolved;
    NflogEntry e = {0};
    if (crc != crc32c(0, s.p, s.n - 4) || !uvarint_get(&p, end, &key_n) ||
        key_n > (uint64_t)(end - p)) {
        return NULL;
    }
    Str key = str_n((const char *)p, (size_t)key_n);
    p += key_n;
    if (!varint_get(&p, end, &e.at_ms) || !varint_get(&p, end, &e.expires_ms) ||
        !uvarint_get(&p, end, &firing) || !uvarint_get(&p, end, &resolved) || firing > s.n ||
        resolved > s.n || (firing + resolved) * 8 != (uint64_t)(end - p)) {
        return NULL;
    }
    e.n_firing = (size_t)firing;
    e.n_resolved = (size_t)resolved;
    e.firing = get_hashes(&p, firing);
    e.resolved = get_hashes(&p, resolved);
    e.key = str_dup(key);
    return mem_dup(&e, sizeof(e));
}

static Str table_key(Str key, uint64_t *hash) {
    if (key.n <= LMDB_KEY_MAX) {
        return key;
    }
    *hash = hash_xxh3(key.p, key.n);
    return str_n((const char *)hash, sizeof(*hash));
}

static void store(const Nflog *l, const NflogEntry *e) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(64u << 20);
    Str key = str_of(e->key);
    uint64_t hash;
    entry_encode(e, key, &b);
    if (b.failed) {
        log_error("dispatcher", "Notification log cannot be stored", L_STR("group", key),
                  L_ERR(-EFBIG));
        return;
    }
    state_put(l->state, STATE_NFLOG, table_key(key, &hash), buf_str(&b));
}

void nflog_init(Nflog *l, DispatcherState *state) {
    *l = (Nflog){.state = state};
    for (size_t i = 0; state && i < state->entries.n; i++) {
        entry_put(l, state->entries.v[i]);
    }
    if (state) {
        vec_free(&state->entries);
    }
}

void nflog_deinit(Nflog *l) {
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&l->entries, &i));) {
        nflog_entry_free(e->value);
    }
    str_map_deinit(&l->entries);
}

const NflogEntry *nflog_get(const Nflog *l, Str key) { return str_map_get(&l->entries, key); }

void nflog_put(Nflog *l, Str key, int64_t at_ms, int64_t expires_ms, const uint64_t *firing,
               size_t n_firing, const uint64_t *resolved, size_t n_resolved) {
    NflogEntry *e = NEW(NflogEntry);
    *e = (NflogEntry){.at_ms = at_ms,
                      .expires_ms = expires_ms,
                      .firing = hashes_dup(firing, n_firing),
                      .resolved = hashes_dup(resolved, n_resolved),
                      .n_firing = n_firing,
                      .n_resolved = n_resolved,
                      .key = str_dup(key)};
    entry_put(l, e);
    if (l->state) {
        store(l, e);
    }
}

void nflog_clean(Nflog *l, int64_t now_ms) {
    NflogEntries old = {0};
    StrMapEntry *at;
    for (size_t i = 0; (at = str_map_next(&l->entries, &i));) {
        NflogEntry *e = at->value;
        if (e->expires_ms <= now_ms) {
            vec_push(&old, e);
        }
    }
    for (size_t i = 0; i < old.n; i++) {
        Str key = str_of(old.v[i]->key);
        uint64_t hash;
        state_del(l->state, STATE_NFLOG, table_key(key, &hash));
        (void)str_map_del(&l->entries, key);
        nflog_entry_free(old.v[i]);
    }
    vec_free(&old);
}

/* ---- deduplication */

/* a and b sorted. */
static bool subset(const uint64_t *a, size_t n, const uint64_t *of, size_t n_of) {
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        while (k < n_of && of[k] < a[i]) {
            k++;
        }
        if (k == n_of || of[k] != a[i]) {
            return false;
        }
    }
    return true;
}

const char *nflog_reason(const NflogEntry *e, const uint64_t *firing, size_t n_firing,
                         const uint64_t *resolved, size_t n_resolved, bool send_resolved,
                         int64_t now_ms, int64_t repeat_ms) {
    if (!e) {
        return n_firing ? "first notification" : NULL;
    }
    if (!subset(firing, n_firing, e->firing, e->n_firing)) {
        return "new alerts added";
    }
    if (!n_firing) {
        return e->n_firing ? "all alerts resolved" : NULL;
    }
    if (send_resolved && !subset(resolved, n_resolved, e->resolved, e->n_resolved)) {
        return "some alerts resolved";
    }
    return e->at_ms < now_ms - repeat_ms ? "repeat interval elapsed" : NULL;
}
