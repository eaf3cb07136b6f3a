/* Doing something again and again, in place on a terminal, until it is interrupted. */
#pragma once

#include <stdio.h>

#include "nartool/nartool.h"

/* The exit code of the last time; 0 after an interrupt that came while waiting. */
int watch_run(int64_t every_ms, int (*print)(void *arg, FILE *out), void *arg);
