/* The handlers of routes.def, by file. `arg` is the Api. */
#pragma once

#include "api/api.h"

#define ROUTE(methods, pattern, handler, body_max) void handler(HttpExchange *x, void *arg);
#include "api/routes.def"
#undef ROUTE
