/* Two answers of one instant query, side by side. */
#pragma once

#include "nartool/result.h"

/* Columns value, before and difference, a line a series of either. */
void result_print_difference(const Json *now, const Json *then, Format format, FILE *out);
