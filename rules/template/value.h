/*
 * Values of the template language: what a pipeline carries. They mirror the kinds that Go's
 * text/template sees through reflection, as far as Prometheus and Alertmanager hand them out.
 * Everything a value points to lives in the arena of the run (or longer); values are copied freely.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

typedef struct TmplRun TmplRun;
typedef struct TmplValue TmplValue;

typedef enum TmplKind {
    TMPL_NIL, /* no value: an absent key of a map of anything, a nil pointer */
    TMPL_BOOL,
    TMPL_INT,
    TMPL_FLOAT,
    TMPL_STRING,
    TMPL_LIST,
    TMPL_MAP,    /* keys are strings, sorted */
    TMPL_OBJECT, /* a struct: its members are its type's */
    TMPL_TIME,
    TMPL_DURATION, /* i: nanoseconds */
} TmplKind;

/* A function or method. args[0] of a method is its object. Returns 0, or tmpl_fail(...). */
typedef int (*TmplFn)(TmplRun *run, const TmplValue *args, size_t n, TmplValue *ret);

/*
 * sig: one letter an argument (without the object of a method): s string, i int, f float64, a any,
 * l list, m map, t time; '+' behind the last letter: zero or more of it.
 */
typedef struct TmplFunc {
    const char *name;
    const char *sig;
    TmplFn fn;
} TmplFunc;

typedef struct TmplMember {
    const char *name;
    const char *sig; /* NULL: a field */
    TmplFn fn;
} TmplMember;

typedef struct TmplType {
    const char *name; /* as %T prints it */
    const TmplMember *members;
    size_t n;
    bool any; /* a map of anything: an absent key is nil instead of "" */
    bool pointer;
    bool json_lower; /* members are written in JSON with a small first letter */
    void (*string)(Buf *b, const TmplValue *v); /* its String() method; NULL: none */
} TmplType;

typedef struct TmplList {
    TmplValue *v;
    size_t n;
} TmplList;

typedef struct TmplEntry TmplEntry;
typedef struct TmplMap {
    TmplEntry *v; /* sorted by key */
    size_t n;
} TmplMap;

/* An instant with its zone; the zero time is year 1. */
typedef struct TmplTime {
    int64_t sec; /* since 1970 */
    int32_t nsec;
    int32_t offset; /* seconds east of UTC */
    Str zone;
} TmplTime;
#define TMPL_TIME_ZERO_SEC INT64_C(-62135596800)

struct TmplValue {
    TmplKind kind;
    const TmplType *type; /* NULL: the kind's own */
    union {
        bool b;
        int64_t i;
        double f;
        Str s;
        TmplList list;
        TmplMap map;
        const void *object;
        const TmplTime *time;
    };
};

struct TmplEntry {
    Str key;
    TmplValue value;
};

#define TMPL_NONE ((TmplValue){.kind = TMPL_NIL})

static inline TmplValue tmpl_bool(bool b) { return (TmplValue){.kind = TMPL_BOOL, .b = b}; }
static inline TmplValue tmpl_int(int64_t i) { return (TmplValue){.kind = TMPL_INT, .i = i}; }
static inline TmplValue tmpl_float(double f) { return (TmplValue){.kind = TMPL_FLOAT, .f = f}; }
static inline TmplValue tmpl_string(Str s) { return (TmplValue){.kind = TMPL_STRING, .s = s}; }
static inline TmplValue tmpl_list(TmplValue *v, size_t n, const TmplType *type) {
    return (TmplValue){.kind = TMPL_LIST, .type = type, .list = {v, n}};
}
static inline TmplValue tmpl_map(TmplEntry *v, size_t n, const TmplType *type) {
    return (TmplValue){.kind = TMPL_MAP, .type = type, .map = {v, n}};
}
static inline TmplValue tmpl_object(const void *o, const TmplType *type) {
    return (TmplValue){.kind = TMPL_OBJECT, .type = type, .object = o};
}
static inline TmplValue tmpl_time(const TmplTime *t) {
    return (TmplValue){.kind = TMPL_TIME, .time = t};
}
static inline TmplValue tmpl_duration(int64_t ns) {
    return (TmplValue){.kind = TMPL_DURATION, .i = ns};
}

/* The types that several function sets hand out. */
extern const TmplType TMPL_TYPE_STRINGS; /* []string */
extern const TmplType TMPL_TYPE_STRING_MAP;
extern const TmplType TMPL_TYPE_ANY_MAP; /* map[string]interface {} */
extern const TmplType TMPL_TYPE_INT64;

const char *tmpl_type_name(TmplValue v);
bool tmpl_truth(TmplValue v);
/* The value under key, or NULL. */
const TmplValue *tmpl_map_find(const TmplMap *m, Str key);
/* Sorts by key, keeping the last of equal ones. */
void tmpl_map_sort(TmplMap *m);
const TmplMember *tmpl_member(const TmplType *t, Str name);
/* The members of the kinds that have methods of their own (time, duration). */
const TmplType *tmpl_type_of(TmplValue v);

/* Ends the run with an error; always -EINVAL. */
int tmpl_fail(TmplRun *run, const char *fmt, ...) PRINTF_LIKE(2, 3);
Arena *tmpl_arena(TmplRun *run);
/* What the caller of template_exec() gave along. */
void *tmpl_user(TmplRun *run);
/* n zeroed values or entries within the run's memory; NULL (and the error set) at the ceiling. */
TmplValue *tmpl_values(TmplRun *run, size_t n);
TmplEntry *tmpl_entries(TmplRun *run, size_t n);
/* Takes what b holds as a string of the run, and frees b. 0 or an error. */
int tmpl_take(TmplRun *run, Buf *b, TmplValue *ret);
/* The ceiling of anything a single function may produce. */
#define TMPL_BYTES_MAX (4u << 20)
