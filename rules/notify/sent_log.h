/*
 * What became of each alert at one Alertmanager: the last state, by the fingerprint of the labels
 * that the rule gave it (relabelling for the Alertmanager may change them). Forgets alerts that
 * ended. Loop thread only; some 100 bytes an alert.
 */
#pragma once

#include "base/map.h"
#include "rules/notify_status.h"

typedef struct SentAlert {
    uint64_t fingerprint;
    NotifyState state;
    int64_t at_ms, sent_at_ms, ends_at_ms;
    unsigned failures; /* in a row */
    char error[64];
} SentAlert;

typedef struct SentLog {
    U64Map places; /* fingerprint -> place in list */
    VEC(SentAlert) list;
    int64_t cleaned_ms;
} SentLog;

void sent_log_deinit(SentLog *l);
/* The entry of an alert that is good until ends_at_ms; made as `waiting` when there was none. Good
 * until the next call. */
SentAlert *sent_log_put(SentLog *l, uint64_t fingerprint, int64_t now_ms, int64_t ends_at_ms);
/* After a POST that carried it; error is NULL when it arrived. */
void sent_log_answer(SentLog *l, uint64_t fingerprint, int64_t now_ms, const char *error);
void sent_log_status(const SentLog *l, Str integration, int64_t now_ms, NotifyStatuses *ret);
