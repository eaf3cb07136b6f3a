#include "rules/notify_status.h"

#include <stdlib.h>

const char *notify_state_text(NotifyState s) {
    static const char *const texts[] = {
        [NOTIFY_WAITING] = "waiting",   [NOTIFY_SENT] = "sent",
        [NOTIFY_RETRYING] = "retrying", [NOTIFY_FAILED] = "failed",
        [NOTIFY_UNROUTED] = "unrouted",
    };
    return texts[s];
}

static int by_alert(const void *pa, const void *pb) {
    const NotifyStatus *a = pa, *b = pb;
    int c = (a->fingerprint > b->fingerprint) - (a->fingerprint < b->fingerprint);
    c = c ? c : str_cmp(a->receiver, b->receiver);
    c = c ? c : str_cmp(a->route, b->route);
    return c ? c : str_cmp(a->integration, b->integration);
}

void notify_statuses_sort(NotifyStatuses *s) {
    if (s->list.n) {
        qsort(s->list.v, s->list.n, sizeof(*s->list.v), by_alert);
    }
}

const NotifyStatus *notify_statuses_find(const NotifyStatuses *s, uint64_t fingerprint,
                                         size_t *ret_n) {
    size_t low = 0, high = s->list.n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->list.v[mid].fingerprint < fingerprint) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    size_t end = low;
    while (end < s->list.n && s->list.v[end].fingerprint == fingerprint) {
        end++;
    }
    *ret_n = end - low;
    return s->list.v ? s->list.v + low : NULL;
}
