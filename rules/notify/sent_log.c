#include "rules/notify/sent_log.h"

#include <stdio.h>

#include "base/clock.h"

void sent_log_deinit(SentLog *l) {
    u64_map_deinit(&l->places);
    vec_free(&l->list);
}

static SentAlert *find(const SentLog *l, uint64_t fingerprint) {
    uint64_t at;
    return u64_map_get(&l->places, fingerprint, &at) ? &l->list.v[at] : NULL;
}

/* Once a minute: whoever fires still is sent again before its end. */
static void forget_ended(SentLog *l, int64_t now) {
    if (now - l->cleaned_ms < MINUTE_MS) {
        return;
    }
    l->cleaned_ms = now;
    u64_map_deinit(&l->places);
    l->places = (U64Map){0};
    size_t kept = 0;
    for (size_t i = 0; i < l->list.n; i++) {
        if (l->list.v[i].ends_at_ms > now) {
            u64_map_put(&l->places, l->list.v[i].fingerprint, kept);
            l->list.v[kept++] = l->list.v[i];
        }
    }
    l->list.n = kept;
}

SentAlert *sent_log_put(SentLog *l, uint64_t fingerprint, int64_t now, int64_t ends_at_ms) {
    forget_ended(l, now);
    SentAlert *a = find(l, fingerprint);
    if (!a) {
        u64_map_put(&l->places, fingerprint, l->list.n);
        vec_push(&l->list, (SentAlert){.fingerprint = fingerprint, .at_ms = now});
        a = &l->list.v[l->list.n - 1];
    }
    a->ends_at_ms = ends_at_ms;
    return a;
}

void sent_log_answer(SentLog *l, uint64_t fingerprint, int64_t now, const char *error) {
    SentAlert *a = find(l, fingerprint);
    if (!a) {
        return;
    }
    a->at_ms = now;
    a->state = error ? NOTIFY_FAILED : NOTIFY_SENT;
    a->failures = error ? a->failures + 1 : 0;
    a->sent_at_ms = error ? a->sent_at_ms : now;
    (void)snprintf(a->error, sizeof(a->error), "%s", error ? error : "");
}

void sent_log_status(const SentLog *l, Str integration, int64_t now, NotifyStatuses *ret) {
    for (size_t i = 0; i < l->list.n; i++) {
        const SentAlert *a = &l->list.v[i];
        if (a->ends_at_ms > now) {
            NotifyStatus s = {.fingerprint = a->fingerprint,
                              .receiver = STR(""),
                              .route = STR(""),
                              .integration = integration,
                              .state = a->state,
                              .at_ms = a->at_ms,
                              .sent_at_ms = a->sent_at_ms,
                              .attempts = a->failures,
                              .last_error = arena_str(ret->arena, str_of(a->error))};
            vec_push(&ret->list, s);
        }
    }
}
