#include "rules/template/prom_template.h"

#include "base/mem.h"

/* Stands in front of every text, so columns in messages count it, as Prometheus' do. */
#define DEFS                                                                                       \
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}"                                 \
    "{{$externalURL := .ExternalURL}}{{$value := .Value}}"

struct PromTemplate {
    Template *set; /* NULL: plain text */
    Str name, text;
    Arena arena;
};

PromTemplate *prom_template_new(Str name, Str text, Problem *problem) {
    PromTemplate *t = NEW(PromTemplate);
    t->arena = ARENA_INIT(0);
    t->name = arena_str(&t->arena, name);
    t->text = arena_str(&t->arena, text);
    if (str_find_str(text, STR("{{")) == text.n) {
        return t;
    }
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_add_cstr(&b, DEFS);
    buf_add_str(&b, text);
    t->set = template_new(&PROM_FUNCS, 1, NULL);
    if (template_parse(t->set, name, buf_str(&b), problem) < 0) {
        prom_template_free(t);
        return NULL;
    }
    return t;
}

void prom_template_free(PromTemplate *t) {
    if (t) {
        template_free(t->set);
        arena_deinit(&t->arena);
        mem_free(t);
    }
}

int tmpl_labels(TmplRun *run, Arena *arena, Labels l, const TmplType *type, TmplValue *ret) {
    TmplEntry *v = ARENA_ARRAY(arena, TmplEntry, l.n ? l.n : 1);
    if (!v) {
        return tmpl_fail(run, "template needs too much memory");
    }
    for (size_t i = 0; i < l.n; i++) {
        v[i] = (TmplEntry){l.v[i].name, tmpl_string(l.v[i].value)};
    }
    *ret = tmpl_map(v, l.n, type);
    return 0;
}

/* ---- the data: .Labels .ExternalLabels .ExternalURL .Value */

typedef struct RootData {
    const PromTemplateData *data;
    TmplValue labels, external_labels;
} RootData;

static int root_labels(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = ((const RootData *)a[0].object)->labels;
    return 0;
}

static int root_external_labels(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = ((const RootData *)a[0].object)->external_labels;
    return 0;
}

static int root_external_url(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = tmpl_string(((const RootData *)a[0].object)->data->external_url);
    return 0;
}

static int root_value(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = ((const RootData *)a[0].object)->data->value;
    return 0;
}

static const TmplMember ROOT_MEMBERS[] = {
    {"Labels", NULL, root_labels},
    {"ExternalLabels", NULL, root_external_labels},
    {"ExternalURL", NULL, root_external_url},
    {"Value", NULL, root_value},
};
static const TmplType ROOT_TYPE = {.name = "struct { Labels map[string]string; ExternalLabels "
                                           "map[string]string; ExternalURL string; Value interface "
                                           "{} }",
                                   .members = ROOT_MEMBERS,
                                   .n = ARRAY_LEN(ROOT_MEMBERS)};

int prom_template_expand(const PromTemplate *t, const PromTemplateData *data, Arena *arena,
                         Buf *out, Str *ret_error) {
    if (!t->set) {
        buf_add_str(out, t->text);
        return 0;
    }
    RootData root = {.data = data};
    if (tmpl_labels(NULL, arena, data->labels, &TMPL_TYPE_STRING_MAP, &root.labels) < 0 ||
        tmpl_labels(NULL, arena, data->external_labels, &TMPL_TYPE_STRING_MAP,
                    &root.external_labels) < 0) {
        *ret_error = STR("template needs too much memory");
        return -EINVAL;
    }
    size_t start = out->n;
    TmplExec x = {.data = tmpl_object(&root, &ROOT_TYPE), .user = (void *)data, .arena = arena};
    Str error;
    int r = template_exec(t->set, t->name, &x, out, &error);
    if (r < 0) {
        out->n = start;
        Str full =
            arena_printf(arena, "error executing template %.*s: %.*s", SA(t->name), SA(error));
        *ret_error = full.p ? full : error;
    }
    return r;
}
