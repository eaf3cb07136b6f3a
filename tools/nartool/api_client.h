/* One blocking request to a server of Prometheus' API. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "format/json.h"

/* Answers "GET base + path"; 0 and the status and body, or negative and a Problem that names the
 * address. */
int api_get(Str base, const char *path, Buf *body, int *ret_status, Problem *problem);
/* POSTs a form to base + path and gives the "data" of the envelope (owned by *ret_root). Warnings
 * go to stderr. */
int api_call(Str base, const char *path, Str form, Json **ret_root, const Json **ret_data,
             Problem *problem);
/* The same with GET and the form as query string (for what does not take POST). */
int api_call_get(Str base, const char *path, Str form, Json **ret_root, const Json **ret_data,
                 Problem *problem);
/* Adds "name=value" with escapes to a form. */
void form_add(Buf *form, const char *name, Str value);
