/*
 * Warnings and infos of one query: each text once, with the place in the query it is about. Those
 * on repaired histograms gather how many samples and which buckets over the query. One thread.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"

typedef enum AnnotationKind { ANNOTATION_WARNING, ANNOTATION_INFO } AnnotationKind;

typedef struct MonotonicityFix {
    int64_t t_min, t_max;
    double bucket_min, bucket_max, diff_max;
    uint64_t count;
} MonotonicityFix;

typedef struct Annotation {
    AnnotationKind kind;
    Str text;     /* without lead and position: "quantile value should be ..." */
    uint32_t pos; /* byte offset in the query */
    bool is_fix;
    MonotonicityFix fix;
    uint64_t occurrences; /* 0: not counted */
} Annotation;

typedef struct Annotations {
    Arena arena;
    StrMap by_text;
    VEC(Annotation *) list;
    uint64_t added; /* calls, known texts included */
} Annotations;

void annotations_deinit(Annotations *a);
void annotations_add(Annotations *a, AnnotationKind kind, uint32_t pos, Str text);
/* Told with how often it was met. */
void annotations_add_counted(Annotations *a, AnnotationKind kind, uint32_t pos, Str text);
void annotations_add_fix(Annotations *a, uint32_t pos, Str text, const MonotonicityFix *fix);
/* Adds all of `from`, in its order, which is empty then. */
void annotations_move(Annotations *to, Annotations *from);
/* The whole text as Prometheus words it, position at its end. */
void annotation_format(const Annotation *a, Str query, Buf *b);
