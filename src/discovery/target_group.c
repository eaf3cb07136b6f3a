#include "base/mem.h"
#include "discovery/discovery.h"

#define LABEL_ADDRESS STR("__address__")

static void copy_targets(TargetGroup *g, const SchemaStrs *targets) {
    Labels *v = ARENA_ARRAY(&g->arena, Labels, targets->n ? targets->n : 1);
    Label *each = ARENA_ARRAY(&g->arena, Label, targets->n ? targets->n : 1);
    for (size_t i = 0; i < targets->n; i++) {
        each[i] = (Label){LABEL_ADDRESS, arena_str(&g->arena, targets->v[i])};
        v[i] = (Labels){&each[i], 1};
    }
    g->targets = v;
    g->n = targets->n;
}

TargetGroup *target_group_new(const SdStaticConfig *from, Str source, Label more) {
    TargetGroup *g = NEW(TargetGroup);
    atomic_init(&g->refs, 1);
    g->source = arena_str(&g->arena, source);
    copy_targets(g, &from->targets);
    LabelsBuilder b = {0};
    labels_builder_reset(&b, LABELS_EMPTY);
    for (size_t i = 0; i < from->labels.n; i++)
        labels_builder_set(&b, from->labels.v[i].name, from->labels.v[i].value);
    if (more.name.n)
        labels_builder_set(&b, more.name, more.value);
    g->labels = labels_copy(&g->arena, labels_builder_view(&b));
    labels_builder_deinit(&b);
    return g;
}

TargetGroup *target_group_ref(TargetGroup *g) {
    atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    return g;
}

void target_group_unref(TargetGroup *g) {
    if (!g || atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1)
        return;
    arena_deinit(&g->arena);
    mem_free(g);
}
