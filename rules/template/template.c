/* The set of named templates. */
#include "base/mem.h"
#include "rules/template/ast.h"

#define SET_BYTES_MAX (256u << 20)

Template *template_new(const TmplFuncTable *tables, size_t n_tables, const Template *parent) {
    Template *t = NEW(Template);
    t->arena = ARENA_INIT(SET_BYTES_MAX);
    t->parent = parent;
    t->tables = tables;
    t->n_tables = n_tables;
    return t;
}

void template_free(Template *t) {
    if (t) {
        arena_deinit(&t->arena);
        mem_free(t->trees);
        mem_free(t);
    }
}

const Tree *template_find(const Template *t, Str name) {
    for (; t; t = t->parent) {
        for (size_t i = 0; i < t->n_trees; i++) {
            if (str_eq(t->trees[i]->name, name)) {
                return t->trees[i];
            }
        }
    }
    return NULL;
}

static const TmplFunc *table_find(const TmplFuncTable *t, Str name) {
    for (size_t i = 0; i < t->n; i++) {
        if (str_eqc(name, t->v[i].name)) {
            return &t->v[i];
        }
    }
    return NULL;
}

const TmplFunc *template_function(const Template *t, Str name) {
    for (size_t i = 0; i < t->n_tables; i++) {
        const TmplFunc *fn = table_find(&t->tables[i], name);
        if (fn) {
            return fn;
        }
    }
    return table_find(&TMPL_BUILTINS, name);
}
