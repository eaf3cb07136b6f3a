/* Any text as the template of an annotation: parsed, and run within small limits. */
#include "rules/template/prom_template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const Label LABELS[] = {{STR("instance"), STR("a:1")}, {STR("job"), STR("j")}};
    if (size > 4096) {
        return 0;
    }
    Problem p = {0};
    PromTemplate *t = prom_template_new(STR("__alert_F"), str_n((const char *)data, size), &p);
    if (!t) {
        return 0;
    }
    PromTemplateData d = {.labels = {LABELS, 2},
                          .external_url = STR("http://h/p"),
                          .path_prefix = STR("/p"),
                          .value = tmpl_float(1.5),
                          .time_ms = 1000};
    Arena arena = ARENA_INIT(1 << 20);
    Buf out = BUF_INIT(1 << 20);
    Str error;
    (void)prom_template_expand(t, &d, &arena, &out, &error);
    buf_deinit(&out);
    arena_deinit(&arena);
    prom_template_free(t);
    return 0;
}
