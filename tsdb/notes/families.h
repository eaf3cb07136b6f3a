/*
 * What senders have said of metrics: type, unit and help by metric name. Memory only; the head
 * journals what changes. Any thread: one mutex.
 */
#pragma once

#include "storage/storage.h"

/* Further names are not taken: what a peer sends must not grow without end. */
#define FAMILIES_MAX 100000
#define FAMILY_TEXT_MAX 65536 /* of unit or help; longer ones are cut */

typedef struct Families Families;

typedef struct Family {
    Str name;
    Metadata metadata;
} Family;

Families *families_new(void);
void families_free(Families *f);
/* Whether it says the same already, or will not be taken. */
bool families_same(Families *f, Str name, const Metadata *m);
void families_put(Families *f, Str name, const Metadata *m);
/* All, or the one of that name; copies in the arena. */
int families_list(Families *f, Str name, Arena *a, Family **ret, size_t *ret_n);
