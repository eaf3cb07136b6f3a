#include "rules/notify/inbox.h"

#include <stdatomic.h>

#include "base/mem.h"

struct AlertInbox {
    Loop *loop;
    void (*take)(void *arg, AlertBatch *batch); /* NULL: closed. Loop thread only */
    void *arg;
    atomic_uint refs; /* the owner, and each posted batch */
};

typedef struct Posted {
    AlertInbox *inbox;
    AlertBatch *batch;
} Posted;

AlertInbox *alert_inbox_new(Loop *l, void (*take)(void *arg, AlertBatch *batch), void *arg) {
    AlertInbox *i = NEW(AlertInbox);
    i->loop = l;
    i->take = take;
    i->arg = arg;
    atomic_init(&i->refs, 1);
    return i;
}

static void inbox_unref(AlertInbox *i) {
    if (atomic_fetch_sub(&i->refs, 1) == 1) {
        mem_free(i);
    }
}

static void arrived(void *arg) {
    Posted *p = arg;
    if (p->inbox->take) {
        p->inbox->take(p->inbox->arg, p->batch);
    }
    alert_batch_unref(p->batch);
    inbox_unref(p->inbox);
    mem_free(p);
}

void alert_inbox_send(AlertInbox *i, AlertBatch *batch) {
    Posted *p = NEW(Posted);
    *p = (Posted){i, alert_batch_ref(batch)};
    atomic_fetch_add(&i->refs, 1);
    loop_post(i->loop, arrived, p);
}

void alert_inbox_close(AlertInbox *i) { i->take = NULL; }

void alert_inbox_free(AlertInbox *i) {
    if (i) {
        alert_inbox_close(i);
        inbox_unref(i);
    }
}
