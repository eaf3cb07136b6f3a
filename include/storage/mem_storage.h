/*
 * A small storage in memory for tests and for scripts (PromQL tests, rule tests): everything the
 * seam has, floats and histograms, nothing durable. Any order of times per series is taken; equal
 * times: the later wins. Guarded by one mutex.
 */
#pragma once

#include "storage/storage.h"

Storage *mem_storage_new(void);
void mem_storage_free(Storage *s);
