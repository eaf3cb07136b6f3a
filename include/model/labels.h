/*
 * A label set: names sorted as bytes, each once, no empty values. Labels is borrowed and immutable:
 * whoever made it says what it lives in. The metric's name is the label __name__.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#define LABEL_NAME STR("__name__")
#define LABEL_BUCKET STR("le")
#define LABEL_INSTANCE STR("instance")
#define LABEL_JOB STR("job")

typedef struct Label {
    Str name, value;
} Label;

typedef struct Labels {
    const Label *v;
    size_t n;
} Labels;

#define LABELS_EMPTY ((Labels){NULL, 0})

/* The value, STR_NULL if there is no such label. */
Str labels_get(Labels l, Str name);
bool labels_has(Labels l, Str name);
bool labels_eq(Labels a, Labels b);
/* Prometheus' order: label by label, name before value; a prefix comes first. */
int labels_cmp(Labels a, Labels b);
/* XXH64 over name 0xff value 0xff of each label: Prometheus' Labels.Hash(). */
uint64_t labels_hash(Labels l);
/* FNV-1a as Alertmanager's and model.Fingerprint: name 0xff value 0xff. */
uint64_t labels_fingerprint(Labels l);
/* Copies list and bytes. {NULL,0} and a->failed at the ceiling. */
Labels labels_copy(Arena *a, Labels l);
/* Only / all but the named ones (and, for without, never __name__); the list is new, the bytes are
 * shared. */
Labels labels_keep(Arena *a, Labels l, const Str *names, size_t n);
Labels labels_drop(Arena *a, Labels l, const Str *names, size_t n);
/* {a="b", c="d"}: as Prometheus' Labels.String(), Go-quoted values. */
void labels_format(Labels l, Buf *b);
/* name{a="b"}: as a metric in a query answer or an error text; quoted form where a name is not a
 * classic one. */
void labels_format_metric(Labels l, Buf *b);

/* [a-zA-Z_][a-zA-Z0-9_]* ; metric names may have ':' ; UTF-8 scheme: any non-empty valid UTF-8. */
bool label_name_valid_legacy(Str name);
bool metric_name_valid_legacy(Str name);
bool label_name_valid_utf8(Str name);

/* Collects changes to a base set. set() with an empty value deletes. Bytes are borrowed until
 * labels are taken. */
typedef struct LabelsBuilder {
    Label *v; /* sorted */
    size_t n, cap;
} LabelsBuilder;

void labels_builder_deinit(LabelsBuilder *b);
void labels_builder_reset(LabelsBuilder *b, Labels base);
void labels_builder_set(LabelsBuilder *b, Str name, Str value);
void labels_builder_del(LabelsBuilder *b, Str name);
Str labels_builder_get(const LabelsBuilder *b, Str name);
/* The set as it stands, borrowed from the builder until its next change. */
static inline Labels labels_builder_view(const LabelsBuilder *b) { return (Labels){b->v, b->n}; }
/* Sorts, drops empty values; for duplicates returns the name in ret_duplicate and false. In place.
 */
bool labels_from_pairs(Label *v, size_t n, Labels *ret, Str *ret_duplicate);
