#include "promql/engine/eval.h"

bool is_metadata_label(Str name) {
    return str_eq(name, LABEL_NAME) || str_eq(name, STR("__type__")) ||
           str_eq(name, STR("__unit__"));
}

Str labels_metric_name(Labels l) { return labels_get(l, LABEL_NAME); }

int labels_drop_metadata(Scope *s, Labels l, Labels *ret) {
    size_t n = 0, at = 0;
    for (size_t i = 0; i < l.n; i++) {
        if (!is_metadata_label(l.v[i].name))
            continue;
        n++;
        at = i;
    }
    if (!n) {
        *ret = l;
        return 0;
    }
    if (n == 1 && at == 0) { /* the name comes first unless a label begins with a capital */
        *ret = (Labels){l.v + 1, l.n - 1};
        return 0;
    }
    Label *v = SCOPE_ARRAY(s, Label, l.n - n + 1);
    if (!v)
        return -EINVAL;
    size_t k = 0;
    for (size_t i = 0; i < l.n; i++)
        if (!is_metadata_label(l.v[i].name))
            v[k++] = l.v[i];
    *ret = (Labels){v, k};
    return 0;
}

int column_drop_name(Eval *ev, Column *c) {
    if (ev->o->delayed_name_removal) {
        c->drop_name = true;
        return 0;
    }
    return labels_drop_metadata(&ev->scope, c->labels, &c->labels);
}

static bool among(Str name, const Str *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (str_eq(names[i], name))
            return true;
    return false;
}

static bool picked(Str name, const Str *names, size_t n, bool on) {
    return on ? among(name, names, n) : !str_eq(name, LABEL_NAME) && !among(name, names, n);
}

static void key_add(Buf *b, const Label *l) {
    uint32_t sizes[2] = {(uint32_t)l->name.n, (uint32_t)l->value.n};
    buf_add(b, sizes, sizeof(sizes));
    buf_add(b, l->name.p, l->name.n);
    buf_add(b, l->value.p, l->value.n);
}

void labels_key(Buf *b, Labels l, const Str *names, size_t n, bool on) {
    for (size_t i = 0; i < l.n; i++)
        if (picked(l.v[i].name, names, n, on))
            key_add(b, &l.v[i]);
}

void labels_key_all(Buf *b, Labels l) {
    for (size_t i = 0; i < l.n; i++)
        key_add(b, &l.v[i]);
}

int labels_match(Scope *s, Labels l, const Str *names, size_t n, bool on, Labels *ret) {
    Label *v = SCOPE_ARRAY(s, Label, l.n + 1);
    if (!v)
        return -EINVAL;
    size_t k = 0;
    for (size_t i = 0; i < l.n; i++)
        if (picked(l.v[i].name, names, n, on))
            v[k++] = l.v[i];
    *ret = (Labels){v, k};
    return 0;
}

int labels_with(Scope *s, Labels l, Str name, Str value, Labels *ret) {
    Label *v = SCOPE_ARRAY(s, Label, l.n + 1);
    if (!v)
        return -EINVAL;
    size_t k = 0, i = 0;
    for (; i < l.n && str_cmp(l.v[i].name, name) < 0; i++)
        v[k++] = l.v[i];
    if (i < l.n && str_eq(l.v[i].name, name))
        i++;
    if (value.n)
        v[k++] = (Label){name, value};
    for (; i < l.n; i++)
        v[k++] = l.v[i];
    *ret = (Labels){v, k};
    return 0;
}
