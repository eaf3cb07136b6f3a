#include "rules/notify/alert_store.h"

#include "base/crc32c.h"
#include "base/mem.h"
#include "base/varint.h"

static Str labels_as_key(Arena *a, Labels l) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    for (size_t i = 0; i < l.n; i++) {
        buf_add_str(&b, l.v[i].name);
        buf_add_char(&b, (char)0xff);
        buf_add_str(&b, l.v[i].value);
        buf_add_char(&b, (char)0xff);
    }
    return arena_str(a, buf_str(&b));
}

StoredAlert *stored_alert_new(const NotifyAlert *from, int64_t now_ms) {
    StoredAlert *a = NEW(StoredAlert);
    a->refs = 1;
    a->labels = labels_copy(&a->arena, from->labels);
    a->annotations = labels_copy(&a->arena, from->annotations);
    a->generator_url = arena_str(&a->arena, from->generator_url);
    a->starts_at_ms = from->starts_at_ms;
    a->ends_at_ms = from->ends_at_ms;
    a->updated_at_ms = now_ms;
    a->hash = labels_hash(a->labels);
    a->fingerprint = labels_fingerprint(a->labels);
    a->key = labels_as_key(&a->arena, a->labels);
    return a;
}

StoredAlert *stored_alert_ref(StoredAlert *a) {
    a->refs++;
    return a;
}

void stored_alert_unref(StoredAlert *a) {
    if (a && --a->refs == 0) {
        arena_deinit(&a->arena);
        mem_free(a);
    }
}

void stored_alert_merge(StoredAlert *a, const StoredAlert *old) {
    bool overlap = (a->ends_at_ms > old->starts_at_ms && a->ends_at_ms < old->ends_at_ms) ||
                   (a->starts_at_ms > old->starts_at_ms && a->starts_at_ms < old->ends_at_ms);
    if (!overlap) {
        return;
    }
    bool resolved = stored_alert_resolved(a, a->updated_at_ms);
    a->starts_at_ms = MIN(a->starts_at_ms, old->starts_at_ms);
    if (!resolved || stored_alert_resolved(old, a->updated_at_ms)) {
        a->ends_at_ms = MAX(a->ends_at_ms, old->ends_at_ms);
    }
}

/* LabelSet.Before: fewer labels first, then the first name or value that differs. */
static int label_set_cmp(Labels a, Labels b) {
    if (a.n != b.n) {
        return a.n < b.n ? -1 : 1;
    }
    for (size_t i = 0; i < a.n; i++) {
        int c = str_cmp(a.v[i].name, b.v[i].name);
        if (c) {
            return c > 0 ? -1 : 1; /* the one that lacks the smaller name comes first */
        }
        c = str_cmp(a.v[i].value, b.v[i].value);
        if (c) {
            return c;
        }
    }
    return 0;
}

int stored_alert_cmp(const void *pa, const void *pb) {
    const StoredAlert *a = *(StoredAlert *const *)pa, *b = *(StoredAlert *const *)pb;
    const Str names[] = {STR("job"), STR("instance")};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        Str va = labels_get(a->labels, names[i]), vb = labels_get(b->labels, names[i]);
        if (!va.p != !vb.p) {
            return va.p ? -1 : 1;
        }
        int c = va.p ? str_cmp(va, vb) : 0;
        if (c) {
            return c;
        }
    }
    return label_set_cmp(a->labels, b->labels);
}

/*
 * Stored form: version 1; starts, ends, updated (zigzag ms); generator URL; labels; annotations
 * (count, then name and value each); CRC32C of all before it (4 bytes). Strings carry their length.
 */
static void add_string(Buf *b, Str s) {
    buf_add_uvarint(b, s.n);
    buf_add_str(b, s);
}

static void add_labels(Buf *b, Labels l) {
    buf_add_uvarint(b, l.n);
    for (size_t i = 0; i < l.n; i++) {
        add_string(b, l.v[i].name);
        add_string(b, l.v[i].value);
    }
}

void stored_alert_encode(const StoredAlert *a, Buf *b) {
    size_t start = b->n;
    buf_add_char(b, 1);
    buf_add_varint(b, a->starts_at_ms);
    buf_add_varint(b, a->ends_at_ms);
    buf_add_varint(b, a->updated_at_ms);
    add_string(b, a->generator_url);
    add_labels(b, a->labels);
    add_labels(b, a->annotations);
    buf_add_u32(b, crc32c(0, b->p + start, b->n - start));
}

static bool get_string(const uint8_t **p, const uint8_t *end, Str *ret) {
    uint64_t n;
    if (!uvarint_get(p, end, &n) || n > (uint64_t)(end - *p)) {
        return false;
    }
    *ret = str_n((const char *)*p, (size_t)n);
    *p += n;
    return true;
}

static bool get_labels(const uint8_t **p, const uint8_t *end, Arena *a, Labels *ret) {
    uint64_t n;
    if (!uvarint_get(p, end, &n) || n > (uint64_t)(end - *p) / 2 + 1) {
        return false;
    }
    Label *v = ARENA_ARRAY(a, Label, n + 1);
    for (uint64_t i = 0; i < n; i++) {
        if (!get_string(p, end, &v[i].name) || !get_string(p, end, &v[i].value)) {
            return false;
        }
    }
    *ret = (Labels){v, (size_t)n};
    return true;
}

StoredAlert *stored_alert_decode(Str s) {
    if (s.n < 5 || s.p[0] != 1) {
        return NULL;
    }
    const uint8_t *p = (const uint8_t *)s.p + 1, *end = (const uint8_t *)s.p + s.n - 4;
    uint32_t crc =
        (uint32_t)end[0] | (uint32_t)end[1] << 8 | (uint32_t)end[2] << 16 | (uint32_t)end[3] << 24;
    NotifyAlert a = {0};
    int64_t updated;
    Arena scratch = ARENA_INIT(0);
    bool ok = crc == crc32c(0, s.p, s.n - 4) && varint_get(&p, end, &a.starts_at_ms) &&
              varint_get(&p, end, &a.ends_at_ms) && varint_get(&p, end, &updated) &&
              get_string(&p, end, &a.generator_url) && get_labels(&p, end, &scratch, &a.labels) &&
              get_labels(&p, end, &scratch, &a.annotations) && p == end;
    StoredAlert *ret = ok ? stored_alert_new(&a, updated) : NULL;
    arena_deinit(&scratch);
    return ret;
}
