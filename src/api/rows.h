/* Rows that an endpoint and the event stream show alike. */
#pragma once

#include "api/api.h"
#include "format/json.h"

/* The members of an alert as in /alerts, of an active target as in /targets (all but its
 * discovered labels), without the braces. Any thread. */
void row_alert(JsonWriter *w, const AlertInfo *a);
void row_target(JsonWriter *w, const TargetView *t, Arena *a);
/* A whole /status/summary; loop thread. */
void row_summary(Api *api, bool with_now, Buf *b);
/* A query under way, as in /status/active_queries: a whole object. Any thread. */
void row_query(JsonWriter *w, const PromqlQueryInfo *q);
/* Where a notification stands: a whole object. Any thread. */
void row_notify_status(JsonWriter *w, const NotifyStatus *s);
