#include <stdatomic.h>

#include "base/mem.h"
#include "rules/alert.h"

typedef struct CountedBatch {
    AlertBatch batch;
    atomic_uint refs;
} CountedBatch;

AlertBatch *alert_batch_new(size_t n) {
    CountedBatch *c = NEW(CountedBatch);
    atomic_init(&c->refs, 1);
    c->batch.v = ARENA_ARRAY(&c->batch.arena, NotifyAlert, n + 1);
    return &c->batch;
}

AlertBatch *alert_batch_ref(AlertBatch *b) {
    atomic_fetch_add(&CONTAINER_OF(b, CountedBatch, batch)->refs, 1);
    return b;
}

void alert_batch_unref(AlertBatch *b) {
    if (b && atomic_fetch_sub(&CONTAINER_OF(b, CountedBatch, batch)->refs, 1) == 1) {
        arena_deinit(&b->arena);
        mem_free(CONTAINER_OF(b, CountedBatch, batch));
    }
}
