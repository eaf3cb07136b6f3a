/* What a dashboard asks of any process: CPU, memory, descriptors, start; from /proc when metrics
 * are gathered. */
#pragma once

#include <stdint.h>

void process_metrics_start(int64_t start_ms);
