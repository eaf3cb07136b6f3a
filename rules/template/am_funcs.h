/* Alertmanager's function set and label-set type. Static, any thread. */
#pragma once

#include "rules/template/template.h"

extern const TmplFuncTable AM_FUNCS;
/* A map of strings with SortedPairs, Remove, Names and Values. */
extern const TmplType AM_KV_TYPE;

/* A string as Go's JSON encoder writes it, HTML characters escaped. */
void am_json_string(Buf *b, Str s);
