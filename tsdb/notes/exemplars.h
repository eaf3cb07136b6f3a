/*
 * Exemplars of series: a ring of so many, the newest of all series, each series' in the order of
 * time. What is asked of them and what is refused is as Prometheus' circular storage does. Memory
 * only; the head journals them. Any thread: one mutex, held for moments.
 */
#pragma once

#include "storage/storage.h"

typedef struct Exemplars Exemplars;

/* Holds none until it is given a size. */
Exemplars *exemplars_new(void);
void exemplars_free(Exemplars *e);
/* How many are kept; fewer drop the oldest, 0 drops all and takes none. */
void exemplars_resize(Exemplars *e, size_t max);
bool exemplars_enabled(const Exemplars *e);

/* APPEND_OK: would be taken; APPEND_DUPLICATE: the series' newest again; APPEND_OUT_OF_ORDER;
 * APPEND_INVALID: its labels are longer than 128 characters, or not UTF-8. */
int exemplars_check(Exemplars *e, Labels series, const Exemplar *x);
/* The same, and takes it. */
int exemplars_add(Exemplars *e, Labels series, const Exemplar *x);

/* Those in [mint, maxt] of series that match a list, by series; in the arena. */
int exemplars_select(Exemplars *e, const Selector *lists, size_t n, int64_t mint, int64_t maxt,
                     Arena *a, SeriesExemplarsVec *ret);
/* All of them, oldest first, one a row; in the arena. */
int exemplars_all(Exemplars *e, Arena *a, SeriesExemplarsVec *ret);
