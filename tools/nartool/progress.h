/* A line on standard error that says how far long work has come: only on a terminal, at most ten
 * times a second. One thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct Progress {
    const char *what; /* shown before the bar */
    int64_t last_ns;
    bool shown;
} Progress;

/* As Transfer.progress: arg is a Progress. total 0 = unknown. */
void progress_show(void *progress, uint64_t done, uint64_t total);
/* Takes the line away. */
void progress_end(Progress *p);
