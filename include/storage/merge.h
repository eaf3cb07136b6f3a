/*
 * Several queriers as one (blocks and head): series with equal labels become one whose samples are
 * merged by time, the first querier winning at equal times. Takes the queriers; closes them with
 * itself.
 */
#pragma once

#include "storage/storage.h"

Querier *merge_querier_new(Querier **queriers, size_t n);
