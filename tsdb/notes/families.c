#include "tsdb/notes/families.h"

#include <pthread.h>

#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"

typedef struct Entry {
    Family family; /* its strings lie behind this */
    char text[];
} Entry;

struct Families {
    pthread_mutex_t mutex;
    StrMap by_name;
};

Families *families_new(void) {
    Families *f = NEW(Families);
    pthread_mutex_init(&f->mutex, NULL);
    return f;
}

void families_free(Families *f) {
    if (!f) {
        return;
    }
    const StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&f->by_name, &i));) {
        mem_free(e->value);
    }
    str_map_deinit(&f->by_name);
    pthread_mutex_destroy(&f->mutex);
    mem_free(f);
}

static Str cut(Str s) { return (Str){s.p, MIN(s.n, (size_t)FAMILY_TEXT_MAX)}; }

bool families_same(Families *f, Str name, const Metadata *m) {
    pthread_mutex_lock(&f->mutex);
    const Entry *e = str_map_get(&f->by_name, name);
    bool same = e ? e->family.metadata.type == m->type &&
                        str_eq(e->family.metadata.unit, cut(m->unit)) &&
                        str_eq(e->family.metadata.help, cut(m->help))
                  : f->by_name.n >= FAMILIES_MAX;
    pthread_mutex_unlock(&f->mutex);
    return same;
}

static Str put_str(char **at, Str s) {
    Str copy = {*at, s.n};
    if (s.n) {
        memcpy(*at, s.p, s.n);
    }
    *at += s.n;
    return copy;
}

void families_put(Families *f, Str name, const Metadata *m) {
    Str unit = cut(m->unit), help = cut(m->help);
    Entry *fresh = mem_alloc(sizeof(*fresh) + name.n + unit.n + help.n);
    char *at = fresh->text;
    fresh->family.name = put_str(&at, name);
    fresh->family.metadata = (Metadata){m->type, put_str(&at, unit), put_str(&at, help)};
    pthread_mutex_lock(&f->mutex);
    Entry *old = str_map_del(&f->by_name, name);
    if (f->by_name.n < FAMILIES_MAX) {
        *str_map_put(&f->by_name, fresh->family.name, NULL) = fresh;
        fresh = NULL;
    }
    pthread_mutex_unlock(&f->mutex);
    mem_free(old);
    mem_free(fresh);
}

static Family family_copy(Arena *a, const Family *f) {
    return (Family){
        arena_str(a, f->name),
        {f->metadata.type, arena_str(a, f->metadata.unit), arena_str(a, f->metadata.help)}};
}

int families_list(Families *f, Str name, Arena *a, Family **ret, size_t *ret_n) {
    const StrMapEntry *e;
    *ret_n = 0;
    pthread_mutex_lock(&f->mutex);
    *ret = ARENA_ARRAY(a, Family, f->by_name.n + 1);
    for (size_t i = 0; *ret && (e = str_map_next(&f->by_name, &i));) {
        const Entry *entry = e->value;
        if (!name.n || str_eq(name, entry->family.name)) {
            (*ret)[(*ret_n)++] = family_copy(a, &entry->family);
        }
    }
    pthread_mutex_unlock(&f->mutex);
    return a->failed ? -ENOMEM : 0;
}
