/* What a notification's templates and payload are made of (Alertmanager's template.Data). Lives in
 * the given arena. */
#pragma once

#include "rules/am_config.h"
#include "rules/notify/alert_store.h"
#include "rules/template/am_funcs.h"

typedef struct AmAlertData {
    bool resolved;
    Labels labels, annotations;
    TmplTime starts, ends;
    Str generator_url, fingerprint;
} AmAlertData;

typedef struct AmData {
    Str receiver, status, external_url, reason;
    AmAlertData *alerts;
    size_t n_alerts;
    Labels group_labels, common_labels, common_annotations, route_labels;
    Arena *arena;
} AmData;

/* Alerts in order; resolved_at_ms decides which are resolved. */
void am_data_fill(AmData *d, StoredAlert *const *alerts, size_t n, int64_t now_ms);
TmplValue am_data_value(const AmData *d);
/* Expands text with the functions of Alertmanager over d. */
int am_data_expand(const AmData *d, const Template *templates, Str text, Buf *out, Str *ret_error);
/* The webhook's body (reference, section 8.13). */
void am_data_payload(const AmData *d, Str group_key, uint64_t truncated, Buf *b);
