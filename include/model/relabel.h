/* Relabelling: Prometheus' eleven actions (reference, section 2.4). Configurations are immutable:
 * any thread. */
#pragma once

#include "base/regex.h"
#include "model/labels.h"

typedef enum RelabelAction {
    RELABEL_REPLACE,
    RELABEL_KEEP,
    RELABEL_DROP,
    RELABEL_KEEPEQUAL,
    RELABEL_DROPEQUAL,
    RELABEL_HASHMOD,
    RELABEL_LABELMAP,
    RELABEL_LABELDROP,
    RELABEL_LABELKEEP,
    RELABEL_LOWERCASE,
    RELABEL_UPPERCASE,
} RelabelAction;

typedef struct RelabelConfig {
    RelabelAction action;
    const Str *source_labels;
    size_t n_source_labels;
    Str separator;
    Str regex_text;
    Regex *regex;
    uint64_t modulus;
    Str target_label, replacement;
    bool utf8_names; /* validation scheme */
} RelabelConfig;

/* Fills defaults (separator ";", regex (.*), replacement $1), compiles, validates. "set" bits say
 * which keys were given. */
enum {
    RELABEL_SET_SEPARATOR = 1,
    RELABEL_SET_REGEX = 2,
    RELABEL_SET_REPLACEMENT = 4,
    RELABEL_SET_ACTION = 8,
    RELABEL_SET_TARGET = 16,
    RELABEL_SET_MODULUS = 32,
    RELABEL_SET_SOURCE = 64
};
int relabel_config_init(RelabelConfig *c, unsigned set, Problem *problem);
void relabel_config_deinit(RelabelConfig *c);
bool relabel_action_parse(Str s, RelabelAction *ret);
const char *relabel_action_text(RelabelAction a);

/* Applies in order; false when the item is dropped. New strings go to the arena, which must outlive
 * the builder's view. */
bool relabel_apply(const RelabelConfig *const *configs, size_t n, LabelsBuilder *b, Arena *a);
