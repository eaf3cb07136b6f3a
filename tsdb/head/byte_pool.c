#include "tsdb/head/byte_pool.h"

#include <sys/mman.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "base/vec.h"
#include "tsdb/head/spin.h"

#define SLAB_BYTES (64u << 10)
#define REGION_SLABS 64
#define STEP 16

/* Steps of at most a fifth keep the waste of rounding near a tenth. */
static const uint16_t class_sizes[] = {16,  32,  48,  64,  80,  96,  112, 128, 160, 192, 224,
                                       256, 304, 352, 416, 480, 560, 672, 800, 944, 1088};
#define CLASSES ARRAY_LEN(class_sizes)
#define SIZE_MAX_POOLED 1088

typedef struct Slab {
    struct Slab *next, *prev; /* among the slabs of its class that have free pieces */
    void *free;               /* pieces given back, linked through their first word */
    uint32_t used, carved, total;
    uint8_t class;
    bool listed;
} Slab;

typedef struct Class {
    Spin lock;
    Slab *open; /* slabs with room */
} Class;

/* A piece too large for a slab: allocated by itself, and listed so that it ends with the pool. */
typedef struct Large {
    struct Large *next, *prev;
} Large;

struct BytePool {
    Class classes[CLASSES];
    Spin lock; /* of what follows */
    Large *large;
    Slab *empty;
    VEC(void *) regions;
    atomic_size_t bytes;
};

static uint8_t class_of[SIZE_MAX_POOLED / STEP + 1];

__attribute__((constructor)) static void fill_class_of(void) {
    unsigned c = 0;
    for (unsigned i = 0; i < ARRAY_LEN(class_of); i++) {
        while (class_sizes[c] < i * STEP) {
            c++;
        }
        class_of[i] = (uint8_t)c;
    }
}

static unsigned class_for(size_t size) { return class_of[(size + STEP - 1) / STEP]; }

BytePool *byte_pool_new(void) { return NEW(BytePool); }

void byte_pool_free(BytePool *p) {
    if (!p) {
        return;
    }
    for (Large *l = p->large; l;) {
        Large *next = l->next;
        mem_free(l);
        l = next;
    }
    for (size_t i = 0; i < p->regions.n; i++) {
        munmap(p->regions.v[i], (REGION_SLABS + 1) * SLAB_BYTES);
    }
    vec_free(&p->regions);
    mem_free(p);
}

size_t byte_pool_bytes(const BytePool *p) { return atomic_load(&p->bytes); }

uint32_t byte_pool_cap(size_t size) {
    return size <= SIZE_MAX_POOLED ? class_sizes[class_for(size)] : (uint32_t)size;
}

/* A region is one slab larger than needed so that slabs can be aligned to their size. */
static void add_region(BytePool *p) {
    void *m = mmap(NULL, (REGION_SLABS + 1) * SLAB_BYTES, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m == MAP_FAILED) {
        /* As mem_alloc() would: a request that no system can satisfy ends the process with a
         * message. */
        mem_free(mem_alloc(SIZE_MAX / 2));
        return;
    }
    vec_push(&p->regions, m);
    uintptr_t at = ((uintptr_t)m + SLAB_BYTES - 1) & ~(uintptr_t)(SLAB_BYTES - 1);
    for (unsigned i = 0; i < REGION_SLABS; i++, at += SLAB_BYTES) {
        Slab *s = (Slab *)at;
        s->next = p->empty;
        p->empty = s;
    }
    atomic_fetch_add(&p->bytes, REGION_SLABS * SLAB_BYTES);
}

static Slab *slab_take(BytePool *p, unsigned class) {
    spin_lock(&p->lock);
    if (!p->empty) {
        add_region(p);
    }
    Slab *s = p->empty;
    p->empty = s->next;
    spin_unlock(&p->lock);
    uint32_t header = (sizeof(Slab) + STEP - 1) / STEP * STEP;
    *s = (Slab){.class = (uint8_t) class, .total = (SLAB_BYTES - header) / class_sizes[class]};
    return s;
}

static void slab_give_back(BytePool *p, Slab *s) {
    spin_lock(&p->lock);
    s->next = p->empty;
    p->empty = s;
    spin_unlock(&p->lock);
}

static void slab_list(Class *c, Slab *s) {
    s->prev = NULL;
    s->next = c->open;
    if (c->open) {
        c->open->prev = s;
    }
    c->open = s;
    s->listed = true;
}

static void slab_unlist(Class *c, Slab *s) {
    *(s->prev ? &s->prev->next : &c->open) = s->next;
    if (s->next) {
        s->next->prev = s->prev;
    }
    s->listed = false;
}

static void *slab_piece(Slab *s) {
    s->used++;
    if (s->free) {
        void *piece = s->free;
        s->free = *(void **)piece;
        return piece;
    }
    uint32_t header = (sizeof(Slab) + STEP - 1) / STEP * STEP;
    return (char *)s + header + (size_t)s->carved++ * class_sizes[s->class];
}

static void *large_get(BytePool *p, size_t size) {
    Large *l = mem_alloc(sizeof(Large) + size);
    l->prev = NULL;
    spin_lock(&p->lock);
    l->next = p->large;
    if (l->next) {
        l->next->prev = l;
    }
    p->large = l;
    spin_unlock(&p->lock);
    return l + 1;
}

static void large_put(BytePool *p, void *piece) {
    Large *l = (Large *)piece - 1;
    spin_lock(&p->lock);
    *(l->prev ? &l->prev->next : &p->large) = l->next;
    if (l->next) {
        l->next->prev = l->prev;
    }
    spin_unlock(&p->lock);
    mem_free(l);
}

void *byte_pool_get(BytePool *p, size_t size, uint32_t *ret_cap) {
    *ret_cap = byte_pool_cap(size);
    if (size > SIZE_MAX_POOLED) {
        return large_get(p, size);
    }
    unsigned class = class_for(size);
    Class *c = &p->classes[class];
    spin_lock(&c->lock);
    if (!c->open) {
        slab_list(c, slab_take(p, class));
    }
    Slab *s = c->open;
    void *piece = slab_piece(s);
    if (s->used == s->total) {
        slab_unlist(c, s);
    }
    spin_unlock(&c->lock);
    return piece;
}

void byte_pool_put(BytePool *p, void *piece, uint32_t cap) {
    if (!piece) {
        return;
    }
    if (cap > SIZE_MAX_POOLED) {
        large_put(p, piece);
        return;
    }
    Slab *s = (Slab *)((uintptr_t)piece & ~(uintptr_t)(SLAB_BYTES - 1));
    Class *c = &p->classes[class_for(cap)];
    spin_lock(&c->lock);
    *(void **)piece = s->free;
    s->free = piece;
    s->used--;
    if (!s->listed) {
        slab_list(c, s);
    }
    /* One slab stays with its class, else a piece taken and given in turn would move slabs. */
    bool empty = s->used == 0 && (s->prev || s->next);
    if (empty) {
        slab_unlist(c, s);
    }
    spin_unlock(&c->lock);
    if (empty) {
        slab_give_back(p, s);
    }
}
