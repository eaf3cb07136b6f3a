/* The files that a configuration names: `check config` says which of them are not there, as
 * promtool does. */
#pragma once

#include "config/config.h"

/* 0, or -ENOENT and the Problem that names the first file that is missing. */
int check_files(const Config *c, Problem *problem);
