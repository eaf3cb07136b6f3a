#include "server/feature_flags.h"

#include "base/log.h"
#include "server/flags.h"

typedef enum State { HAVE, ALWAYS, LACK } State;

static const struct {
    const char *name;
    State state;
} table[] = {
#define FEATURE(id, name_, state_) {name_, state_},
#include "server/feature_flags.def"
#undef FEATURE
};

/* for (it = {0}; next_name(&it, &name);) over all values of the flag, split at commas. */
typedef struct NameIter {
    size_t value;
    Str rest;
} NameIter;

static bool next_name(NameIter *it, Str *ret) {
    const Flag *f = flag("enable-feature");
    while (!str_split_next(&it->rest, ',', ret)) {
        if (it->value == f->n_list) {
            return false;
        }
        it->rest = f->list[it->value++];
    }
    return true;
}

bool feature_on(Feature wanted) {
    NameIter it = {0};
    Str name;
    if (table[wanted].state == ALWAYS) {
        return true;
    }
    while (next_name(&it, &name)) {
        if (str_eqc(name, table[wanted].name)) {
            return table[wanted].state == HAVE;
        }
    }
    return false;
}

static void log_one(Str name) {
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (!str_eqc(name, table[i].name)) {
            continue;
        }
        if (table[i].state == LACK) {
            log_warn(NULL, "Feature is not in this version", L_STR("option", name));
        } else {
            log_info(NULL, "Feature enabled", L_STR("option", name));
        }
        return;
    }
    log_warn(NULL, "Unknown option for --enable-feature", L_STR("option", name));
}

void features_log(void) {
    NameIter it = {0};
    Str name;
    while (next_name(&it, &name)) {
        if (name.n) {
            log_one(name);
        }
    }
}
