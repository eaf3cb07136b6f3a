#include "loop/loop_private.h"

static bool before(const LoopTimer *a, const LoopTimer *b) {
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void set(TimerHeap *h, uint32_t slot, LoopTimer *t) {
    h->v[slot] = t;
    t->slot = slot;
}

static void move_up(TimerHeap *h, uint32_t slot, LoopTimer *t) {
    for (; slot > 1 && before(t, h->v[slot / 2]); slot /= 2) {
        set(h, slot, h->v[slot / 2]);
    }
    set(h, slot, t);
}

static void move_down(TimerHeap *h, uint32_t slot, LoopTimer *t) {
    for (;;) {
        uint32_t child = slot * 2;
        if (child + 1 < h->n && before(h->v[child + 1], h->v[child])) {
            child++;
        }
        if (child >= h->n || !before(h->v[child], t)) {
            break;
        }
        set(h, slot, h->v[child]);
        slot = child;
    }
    set(h, slot, t);
}

void timer_heap_put(TimerHeap *h, LoopTimer *t) {
    if (h->n + 1 >= h->cap) {
        h->cap = h->cap ? h->cap * 2 : 64;
        h->v = mem_recalloc(h->v, h->cap, sizeof(*h->v));
    }
    h->n = h->n ? h->n : 1;
    move_up(h, h->n++, t);
}

void timer_heap_remove(TimerHeap *h, LoopTimer *t) {
    uint32_t slot = t->slot;
    LoopTimer *last = h->v[--h->n];
    t->slot = 0;
    if (last == t) {
        return;
    }
    if (slot > 1 && before(last, h->v[slot / 2])) {
        move_up(h, slot, last);
    } else {
        move_down(h, slot, last);
    }
}

LoopTimer *timer_heap_first(const TimerHeap *h) { return h->n > 1 ? h->v[1] : NULL; }

void timer_heap_deinit(TimerHeap *h) {
    mem_free(h->v);
    *h = (TimerHeap){0};
}
