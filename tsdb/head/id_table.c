#include "tsdb/head/id_table.h"

#include "base/mem.h"

void id_table_deinit(IdTable *t) {
    mem_free(t->v);
    *t = (IdTable){0};
}

static void place(IdTable *t, IdSlot s) {
    uint32_t at = s.hash & (t->cap - 1);
    while (t->v[at].id) {
        at = (at + 1) & (t->cap - 1);
    }
    t->v[at] = s;
}

static void grow(IdTable *t) {
    IdTable old = *t;
    t->cap = old.cap ? old.cap * 2 : 64;
    t->v = NEW_ARRAY(IdSlot, t->cap);
    for (uint32_t i = 0; i < old.cap; i++) {
        if (old.v[i].id) {
            place(t, old.v[i]);
        }
    }
    mem_free(old.v);
}

void id_table_add(IdTable *t, uint32_t hash, uint32_t id) {
    if ((uint64_t)(t->n + 1) * 4 > (uint64_t)t->cap * 3) {
        grow(t);
    }
    place(t, (IdSlot){hash, id + 1});
    t->n++;
}

/* Closes the gap: what follows moves up unless that would put it before its own place. */
static void close_gap(IdTable *t, uint32_t gap) {
    uint32_t mask = t->cap - 1;
    for (uint32_t at = (gap + 1) & mask; t->v[at].id; at = (at + 1) & mask) {
        uint32_t home = t->v[at].hash & mask;
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            t->v[gap] = t->v[at];
            gap = at;
        }
    }
    t->v[gap] = (IdSlot){0, 0};
}

bool id_table_del(IdTable *t, uint32_t hash, uint32_t id) {
    if (!t->cap) {
        return false;
    }
    for (uint32_t at = hash & (t->cap - 1); t->v[at].id; at = (at + 1) & (t->cap - 1)) {
        if (t->v[at].id == id + 1) {
            close_gap(t, at);
            t->n--;
            return true;
        }
    }
    return false;
}
