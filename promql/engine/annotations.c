#include "promql/engine/annotations.h"

#include "base/compiler.h"
#include "base/mem.h"
#include "base/numtext.h"
#include "model/duration.h"
#include "promql/parser/ast.h"

void annotations_deinit(Annotations *a) {
    str_map_deinit(&a->by_text);
    vec_free(&a->list);
    arena_deinit(&a->arena);
    *a = (Annotations){0};
}

static Annotation *entry(Annotations *a, Str text, bool *is_new) {
    Annotation *x = str_map_get(&a->by_text, text);
    a->added++;
    *is_new = !x;
    if (x)
        return x;
    x = ARENA_NEW(&a->arena, Annotation);
    x->text = arena_str(&a->arena, text);
    bool fresh;
    *str_map_put(&a->by_text, x->text, &fresh) = x;
    vec_push(&a->list, x);
    return x;
}

static Annotation *add(Annotations *a, AnnotationKind kind, uint32_t pos, Str text) {
    bool is_new;
    Annotation *x = entry(a, text, &is_new);
    x->kind = kind;
    x->pos = is_new ? pos : MAX(x->pos, pos);
    return x;
}

void annotations_add(Annotations *a, AnnotationKind kind, uint32_t pos, Str text) {
    (void)add(a, kind, pos, text);
}

void annotations_add_counted(Annotations *a, AnnotationKind kind, uint32_t pos, Str text) {
    add(a, kind, pos, text)->occurrences++;
}

void annotations_add_fix(Annotations *a, uint32_t pos, Str text, const MonotonicityFix *fix) {
    bool is_new;
    Annotation *x = entry(a, text, &is_new);
    x->kind = ANNOTATION_INFO;
    x->is_fix = true;
    if (is_new) {
        x->pos = pos;
        x->fix = *fix;
        return;
    }
    MonotonicityFix *f = &x->fix;
    f->t_min = MIN(f->t_min, fix->t_min);
    f->t_max = MAX(f->t_max, fix->t_max);
    f->bucket_min = MIN(f->bucket_min, fix->bucket_min);
    f->bucket_max = MAX(f->bucket_max, fix->bucket_max);
    f->diff_max = MAX(f->diff_max, fix->diff_max);
    f->count += fix->count;
}

void annotations_move(Annotations *to, Annotations *from) {
    for (size_t i = 0; i < from->list.n; i++) {
        const Annotation *x = from->list.v[i];
        if (x->is_fix)
            annotations_add_fix(to, x->pos, x->text, &x->fix);
        else
            add(to, x->kind, x->pos, x->text)->occurrences += x->occurrences;
    }
    annotations_deinit(from);
}

static void add_whole_seconds(Buf *b, int64_t ms) { time_format_rfc3339(b, ms / 1000 * 1000); }

void annotation_format(const Annotation *a, Str query, Buf *b) {
    buf_add_str(b, a->kind == ANNOTATION_WARNING ? STR("PromQL warning: ") : STR("PromQL info: "));
    buf_add_str(b, a->text);
    if (a->is_fix) {
        buf_add_cstr(b, ", from buckets ");
        number_format_g(b, a->fix.bucket_min);
        buf_add_cstr(b, " to ");
        number_format_g(b, a->fix.bucket_max);
        buf_add_cstr(b, ", with a max diff of ");
        number_format_precision(b, a->fix.diff_max, 2);
        buf_addf(b, ", over %llu samples from ", (unsigned long long)a->fix.count);
        add_whole_seconds(b, a->fix.t_min);
        buf_add_cstr(b, " to ");
        add_whole_seconds(b, a->fix.t_max);
    }
    if (a->occurrences > 1)
        buf_addf(b, " (%llu occurrences)", (unsigned long long)a->occurrences);
    int line, column;
    promql_position(query, a->pos, &line, &column);
    buf_addf(b, " (%d:%d)", line, column);
}
