/*
 * Instants and durations as Go's package time prints them: layouts by the reference time
 * (Mon Jan 2 15:04:05 MST 2006), String(), zones from the system's database. Any thread.
 */
#pragma once

#include "rules/template/value.h"

extern const TmplType GOTIME_TYPE, GODURATION_TYPE;

TmplTime gotime_of_ms(int64_t ms);
TmplTime gotime_zero(void);
/* 2006-01-02 15:04:05.999999999 -0700 MST */
void gotime_string(Buf *b, const TmplTime *t);
/* RFC3339 with as many digits of the fraction as there are. */
void gotime_rfc3339(Buf *b, const TmplTime *t);
void gotime_format(Buf *b, const TmplTime *t, Str layout);
/* The same instant in the named zone; false when there is no such zone. The zone's short name goes
 * to the arena. */
bool gotime_in_zone(const TmplTime *t, Str name, Arena *arena, TmplTime *ret);
/* 1h2m3.5s */
void goduration_format(Buf *b, int64_t ns);
/* Days since 1970 of a date, and back. */
int64_t gotime_days(int64_t year, int month, int day);
