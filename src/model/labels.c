#include "model/labels.h"

#include <stdlib.h>

#include "base/gotext.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"

/* Stands between name and value: no byte of valid UTF-8. */
#define SEPARATOR '\xff'

Str labels_get(Labels l, Str name) {
    for (size_t i = 0; i < l.n; i++) {
        if (str_eq(l.v[i].name, name)) {
            return l.v[i].value;
        }
    }
    return STR_NULL;
}

bool labels_has(Labels l, Str name) {
    for (size_t i = 0; i < l.n; i++) {
        if (str_eq(l.v[i].name, name)) {
            return true;
        }
    }
    return false;
}

bool labels_eq(Labels a, Labels b) {
    if (a.n != b.n) {
        return false;
    }
    for (size_t i = 0; i < a.n; i++) {
        if (!str_eq(a.v[i].name, b.v[i].name) || !str_eq(a.v[i].value, b.v[i].value)) {
            return false;
        }
    }
    return true;
}

int labels_cmp(Labels a, Labels b) {
    size_t n = MIN(a.n, b.n);
    for (size_t i = 0; i < n; i++) {
        int r = str_cmp(a.v[i].name, b.v[i].name);
        if (r == 0) {
            r = str_cmp(a.v[i].value, b.v[i].value);
        }
        if (r != 0) {
            return r;
        }
    }
    return (a.n > b.n) - (a.n < b.n);
}

static char *put_str(char *at, Str s) {
    if (s.n) {
        memcpy(at, s.p, s.n);
    }
    at[s.n] = SEPARATOR;
    return at + s.n + 1;
}

uint64_t labels_hash(Labels l) {
    char small[1024];
    small[0] = '\0'; /* gcc cannot see that every byte below `size` is written */
    size_t size = 2 * l.n;
    for (size_t i = 0; i < l.n; i++) {
        size += l.v[i].name.n + l.v[i].value.n;
    }
    char *bytes = size <= sizeof(small) ? small : mem_alloc(size), *at = bytes;
    for (size_t i = 0; i < l.n; i++) {
        at = put_str(put_str(at, l.v[i].name), l.v[i].value);
    }
    uint64_t hash = hash_xxh64(bytes, size);
    if (bytes != small) {
        mem_free(bytes);
    }
    return hash;
}

static uint64_t fnv_add(uint64_t hash, Str s) {
    const uint64_t prime = UINT64_C(1099511628211);
    for (size_t i = 0; i < s.n; i++) {
        hash = (hash ^ (unsigned char)s.p[i]) * prime;
    }
    return (hash ^ (unsigned char)SEPARATOR) * prime;
}

uint64_t labels_fingerprint(Labels l) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < l.n; i++) {
        hash = fnv_add(fnv_add(hash, l.v[i].name), l.v[i].value);
    }
    return hash;
}

static char *copy_bytes(char *at, Str s, Str *ret) {
    if (s.n) {
        memcpy(at, s.p, s.n);
    }
    *ret = (Str){at, s.n};
    return at + s.n;
}

Labels labels_copy(Arena *a, Labels l) {
    size_t size = 0;
    for (size_t i = 0; i < l.n; i++) {
        size += l.v[i].name.n + l.v[i].value.n;
    }
    if (l.n == 0) {
        return LABELS_EMPTY;
    }
    Label *v = arena_alloc(a, l.n * sizeof(*v) + size);
    if (!v) {
        return LABELS_EMPTY;
    }
    char *at = (char *)(v + l.n);
    for (size_t i = 0; i < l.n; i++) {
        at = copy_bytes(at, l.v[i].name, &v[i].name);
        at = copy_bytes(at, l.v[i].value, &v[i].value);
    }
    return (Labels){v, l.n};
}

static bool listed(Str name, const Str *names, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (str_eq(name, names[i])) {
            return true;
        }
    }
    return false;
}

Labels labels_keep(Arena *a, Labels l, const Str *names, size_t n) {
    Label *v = l.n ? arena_alloc(a, l.n * sizeof(*v)) : NULL;
    size_t kept = 0;
    for (size_t i = 0; v && i < l.n; i++) {
        if (listed(l.v[i].name, names, n)) {
            v[kept++] = l.v[i];
        }
    }
    return (Labels){v, kept};
}

Labels labels_drop(Arena *a, Labels l, const Str *names, size_t n) {
    Label *v = l.n ? arena_alloc(a, l.n * sizeof(*v)) : NULL;
    size_t kept = 0;
    for (size_t i = 0; v && i < l.n; i++) {
        if (!str_eq(l.v[i].name, LABEL_NAME) && !listed(l.v[i].name, names, n)) {
            v[kept++] = l.v[i];
        }
    }
    return (Labels){v, kept};
}

static void format_pair(Label l, Buf *b) {
    if (label_name_valid_legacy(l.name)) {
        buf_add_str(b, l.name);
    } else {
        go_quote(b, l.name);
    }
    buf_add_char(b, '=');
    go_quote(b, l.value);
}

void labels_format(Labels l, Buf *b) {
    buf_add_char(b, '{');
    for (size_t i = 0; i < l.n; i++) {
        if (i > 0) {
            buf_add_cstr(b, ", ");
        }
        format_pair(l.v[i], b);
    }
    buf_add_char(b, '}');
}

void labels_format_metric(Labels l, Buf *b) {
    Str name = labels_get(l, LABEL_NAME);
    bool classic = name.p && metric_name_valid_legacy(name);
    bool open = !classic;
    if (classic) {
        buf_add_str(b, name);
    } else {
        buf_add_char(b, '{');
    }
    size_t listed_n = 0;
    if (name.p && !classic) {
        go_quote(b, name);
        listed_n++;
    }
    for (size_t i = 0; i < l.n; i++) {
        if (str_eq(l.v[i].name, LABEL_NAME)) {
            continue;
        }
        if (!open) {
            buf_add_char(b, '{');
            open = true;
        }
        if (listed_n++) {
            buf_add_cstr(b, ", ");
        }
        format_pair(l.v[i], b);
    }
    if (open) {
        buf_add_char(b, '}');
    }
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool label_name_valid_legacy(Str name) {
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!is_letter(c) && !(i > 0 && c >= '0' && c <= '9')) {
            return false;
        }
    }
    return name.n > 0;
}

bool metric_name_valid_legacy(Str name) {
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!is_letter(c) && c != ':' && !(i > 0 && c >= '0' && c <= '9')) {
            return false;
        }
    }
    return name.n > 0;
}

bool label_name_valid_utf8(Str name) { return name.n > 0 && utf8_valid(name); }

void labels_builder_deinit(LabelsBuilder *b) {
    mem_free(b->v);
    *b = (LabelsBuilder){0};
}

static void builder_room(LabelsBuilder *b, size_t want) {
    if (b->cap < want) {
        b->cap = MAX(want, MAX(b->cap * 2, (size_t)16));
        b->v = mem_recalloc(b->v, b->cap, sizeof(*b->v));
    }
}

void labels_builder_reset(LabelsBuilder *b, Labels base) {
    builder_room(b, base.n);
    if (base.n) {
        memmove(b->v, base.v, base.n * sizeof(*b->v));
    }
    b->n = base.n;
}

/* Where name is, or belongs. */
static size_t builder_find(const LabelsBuilder *b, Str name, bool *ret_found) {
    size_t low = 0, high = b->n;
    *ret_found = false;
    while (low < high) {
        size_t mid = (low + high) / 2;
        int r = str_cmp(b->v[mid].name, name);
        if (r == 0) {
            *ret_found = true;
            return mid;
        }
        if (r < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

void labels_builder_set(LabelsBuilder *b, Str name, Str value) {
    if (value.n == 0) {
        labels_builder_del(b, name);
        return;
    }
    bool found;
    size_t at = builder_find(b, name, &found);
    if (!found) {
        builder_room(b, b->n + 1);
        memmove(&b->v[at + 1], &b->v[at], (b->n - at) * sizeof(*b->v));
        b->n++;
        b->v[at].name = name;
    }
    b->v[at].value = value;
}

void labels_builder_del(LabelsBuilder *b, Str name) {
    bool found;
    size_t at = builder_find(b, name, &found);
    if (found) {
        b->n--;
        memmove(&b->v[at], &b->v[at + 1], (b->n - at) * sizeof(*b->v));
    }
}

Str labels_builder_get(const LabelsBuilder *b, Str name) {
    bool found;
    size_t at = builder_find(b, name, &found);
    return found ? b->v[at].value : STR_NULL;
}

static int cmp_name(const void *a, const void *b) {
    return str_cmp(((const Label *)a)->name, ((const Label *)b)->name);
}

/* Nearly always sorted already or a handful of labels. */
static void sort_labels(Label *v, size_t n) {
    if (n > 32) {
        qsort(v, n, sizeof(*v), cmp_name);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        Label l = v[i];
        size_t at = i;
        for (; at > 0 && str_cmp(v[at - 1].name, l.name) > 0; at--) {
            v[at] = v[at - 1];
        }
        v[at] = l;
    }
}

bool labels_from_pairs(Label *v, size_t n, Labels *ret, Str *ret_duplicate) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (v[i].value.n > 0) {
            v[kept++] = v[i];
        }
    }
    sort_labels(v, kept);
    for (size_t i = 1; i < kept; i++) {
        if (str_eq(v[i - 1].name, v[i].name)) {
            *ret_duplicate = v[i].name;
            return false;
        }
    }
    *ret = (Labels){v, kept};
    return true;
}
