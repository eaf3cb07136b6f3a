#include "base/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/numtext.h"
#include "base/vec.h"

/*
 * A summary's sketch: counts in buckets of equal ratio, 8 to a doubling (so a quantile is within
 * 4.5 % of the true one), for each of five ages of two minutes; together they are the last 8 to 10
 * minutes. Counting is one atomic addition.
 */
#define AGES 5
#define AGE_NS (INT64_C(120) * 1000000000)
#define PER_DOUBLING 8
#define EXPONENT_MIN (-30) /* 2^-30 s is a nanosecond */
#define EXPONENT_MAX 34
#define SKETCH_BUCKETS ((EXPONENT_MAX - EXPONENT_MIN) * PER_DOUBLING + 1)

typedef struct Age {
    _Atomic int64_t number; /* which two minutes since the clock's start; -1 = none yet */
    _Atomic uint32_t counts[SKETCH_BUCKETS];
} Age;

typedef enum Kind { KIND_COUNTER, KIND_GAUGE, KIND_SUMMARY, KIND_HISTOGRAM } Kind;
static const char *const kind_names[] = {"counter", "gauge", "summary", "histogram"};

typedef struct Family Family;

struct Metric {
    Family *family;
    char *labels; /* "" when there are none */
    _Atomic uint64_t value_bits;
    /* summary and histogram */
    _Atomic uint64_t sum_bits;
    _Atomic uint64_t count;
    double *points; /* quantiles or bounds */
    size_t n_points;
    _Atomic uint64_t *buckets; /* n_points + 1, not cumulative */
    Age *ages;
};

struct Family {
    const char *name, *help;
    Kind kind;
    VEC(Metric *) metrics; /* sorted by labels */
};

typedef struct Hook {
    void (*fn)(void *arg);
    void *arg;
} Hook;

/* Guards everything but the values. Never freed: the registry lives as long as the process. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static VEC(Family *) families; /* sorted by name */
static VEC(Hook) hooks;

/* ---- values ---- */

static double load(const _Atomic uint64_t *at) {
    uint64_t bits = atomic_load_explicit(at, memory_order_relaxed);
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static void store(_Atomic uint64_t *at, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof(v));
    atomic_store_explicit(at, bits, memory_order_relaxed);
}

static void add(_Atomic uint64_t *at, double by) {
    uint64_t old = atomic_load_explicit(at, memory_order_relaxed), new;
    do {
        double v;
        memcpy(&v, &old, sizeof(v));
        v += by;
        memcpy(&new, &v, sizeof(v));
    } while (!atomic_compare_exchange_weak_explicit(at, &old, new, memory_order_relaxed,
                                                    memory_order_relaxed));
}

void metric_add(Metric *m, double by) { add(&m->value_bits, by); }

void metric_set(Metric *m, double value) { store(&m->value_bits, value); }

double metric_get(const Metric *m) {
    return m->family->kind < KIND_SUMMARY ? load(&m->value_bits)
                                          : (double)atomic_load(&((Metric *)m)->count);
}

/* ---- the sketch ---- */

static size_t sketch_bucket(double v) {
    if (!(v > 0)) {
        return 0;
    }
    double place = (log2(v) - EXPONENT_MIN) * PER_DOUBLING;
    return place < 0 ? 0 : place >= SKETCH_BUCKETS - 1 ? SKETCH_BUCKETS - 1 : (size_t)place + 1;
}

/* The geometric middle of a bucket. */
static double sketch_value(size_t bucket) {
    return bucket == 0 ? 0 : exp2(EXPONENT_MIN + ((double)bucket - 0.5) / PER_DOUBLING);
}

/* The age of now; the first to come into a new one empties it. A count that slips in meanwhile may
 * get lost, which a sketch can bear. */
static Age *age_now(Metric *m) {
    int64_t number = clock_mono_ns() / AGE_NS;
    Age *a = &m->ages[number % AGES];
    int64_t had = atomic_load(&a->number);
    if (had != number && atomic_compare_exchange_strong(&a->number, &had, number)) {
        for (size_t i = 0; i < SKETCH_BUCKETS; i++) {
            atomic_store_explicit(&a->counts[i], 0, memory_order_relaxed);
        }
    }
    return a;
}

static double sketch_quantile(const Metric *m, double q) {
    uint64_t counts[SKETCH_BUCKETS] = {0}, total = 0;
    int64_t number = clock_mono_ns() / AGE_NS;
    for (size_t k = 0; k < AGES; k++) {
        Age *a = &m->ages[k];
        if (atomic_load(&a->number) < 0 || atomic_load(&a->number) <= number - AGES) {
            continue;
        }
        for (size_t i = 0; i < SKETCH_BUCKETS; i++) {
            uint32_t c = atomic_load_explicit(&a->counts[i], memory_order_relaxed);
            counts[i] += c;
            total += c;
        }
    }
    if (total == 0) {
        return NAN;
    }
    uint64_t rank = (uint64_t)ceil(q * (double)total), seen = 0;
    size_t i = 0;
    for (; i < SKETCH_BUCKETS - 1; i++) {
        seen += counts[i];
        if (seen >= MAX(rank, (uint64_t)1)) {
            break;
        }
    }
    return sketch_value(i);
}

void metric_observe(Metric *m, double value) {
    add(&m->sum_bits, value);
    atomic_fetch_add_explicit(&m->count, 1, memory_order_relaxed);
    if (m->buckets) {
        size_t i = 0;
        while (i < m->n_points && !(value <= m->points[i])) {
            i++;
        }
        atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
    } else if (m->ages) {
        atomic_fetch_add_explicit(&age_now(m)->counts[sketch_bucket(value)], 1,
                                  memory_order_relaxed);
    }
}

/* ---- registry ---- */

static Family *family_of(const char *name, const char *help, Kind kind) {
    size_t i = 0;
    while (i < families.n && strcmp(families.v[i]->name, name) < 0) {
        i++;
    }
    if (i < families.n && strcmp(families.v[i]->name, name) == 0) {
        return families.v[i];
    }
    Family *f = NEW(Family);
    *f = (Family){.name = name, .help = help, .kind = kind};
    vec_push(&families, f);
    memmove(families.v + i + 1, families.v + i, (families.n - 1 - i) * sizeof(*families.v));
    families.v[i] = f;
    return f;
}

static Metric *new_metric(Family *f, const char *labels, const double *points, size_t n) {
    Metric *m = NEW(Metric);
    m->family = f;
    m->labels = mem_strdup(labels);
    m->n_points = n;
    if (n) {
        m->points = mem_dup(points, n * sizeof(*points));
    }
    if (f->kind == KIND_HISTOGRAM) {
        m->buckets = mem_calloc(n + 1, sizeof(*m->buckets));
    } else if (f->kind == KIND_SUMMARY && n) {
        m->ages = NEW_ARRAY(Age, AGES);
        for (size_t k = 0; k < AGES; k++) {
            atomic_store(&m->ages[k].number, -1);
        }
    }
    return m;
}

static Metric *metric_of(Kind kind, const char *name, const char *help, const char *labels,
                         const double *points, size_t n) {
    labels = labels ? labels : "";
    pthread_mutex_lock(&mutex);
    Family *f = family_of(name, help, kind);
    size_t i = 0;
    while (i < f->metrics.n && strcmp(f->metrics.v[i]->labels, labels) < 0) {
        i++;
    }
    Metric *m =
        i < f->metrics.n && strcmp(f->metrics.v[i]->labels, labels) == 0 ? f->metrics.v[i] : NULL;
    if (!m) {
        m = new_metric(f, labels, points, n);
        vec_push(&f->metrics, m);
        memmove(f->metrics.v + i + 1, f->metrics.v + i,
                (f->metrics.n - 1 - i) * sizeof(*f->metrics.v));
        f->metrics.v[i] = m;
    }
    pthread_mutex_unlock(&mutex);
    return m;
}

Metric *metric_counter(const char *name, const char *help, const char *labels) {
    return metric_of(KIND_COUNTER, name, help, labels, NULL, 0);
}

Metric *metric_gauge(const char *name, const char *help, const char *labels) {
    return metric_of(KIND_GAUGE, name, help, labels, NULL, 0);
}

Metric *metric_summary(const char *name, const char *help, const char *labels,
                       const double *quantiles, size_t n) {
    return metric_of(KIND_SUMMARY, name, help, labels, quantiles, n);
}

Metric *metric_histogram(const char *name, const char *help, const char *labels,
                         const double *bounds, size_t n) {
    return metric_of(KIND_HISTOGRAM, name, help, labels, bounds, n);
}

void metric_remove(Metric *m) {
    if (!m) {
        return;
    }
    pthread_mutex_lock(&mutex);
    Family *f = m->family;
    for (size_t i = 0; i < f->metrics.n; i++) {
        if (f->metrics.v[i] == m) {
            memmove(f->metrics.v + i, f->metrics.v + i + 1,
                    (f->metrics.n - 1 - i) * sizeof(*f->metrics.v));
            f->metrics.n--;
            break;
        }
    }
    pthread_mutex_unlock(&mutex);
    mem_free(m->labels);
    mem_free(m->points);
    mem_free((void *)m->buckets);
    mem_free(m->ages);
    mem_free(m);
}

void metrics_on_gather(void (*fn)(void *arg), void *arg) {
    pthread_mutex_lock(&mutex);
    vec_push(&hooks, (Hook){fn, arg});
    pthread_mutex_unlock(&mutex);
}

void metrics_off_gather(void (*fn)(void *arg), void *arg) {
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < hooks.n; i++) {
        if (hooks.v[i].fn == fn && hooks.v[i].arg == arg) {
            hooks.v[i] = hooks.v[--hooks.n];
            break;
        }
    }
    pthread_mutex_unlock(&mutex);
}

/* ---- text format 0.0.4 ---- */

/* name suffix {labels, key="point"} value; key may be NULL. */
static void write_line(Buf *b, const Metric *m, const char *suffix, const char *key, double point,
                       double value) {
    buf_add_cstr(b, m->family->name);
    buf_add_cstr(b, suffix);
    if (*m->labels || key) {
        buf_add_char(b, '{');
        buf_add_cstr(b, m->labels);
        if (key) {
            buf_addf(b, "%s%s=\"", *m->labels ? "," : "", key);
            number_format_g(b, point);
            buf_add_char(b, '"');
        }
        buf_add_char(b, '}');
    }
    buf_add_char(b, ' ');
    number_format_g(b, value);
    buf_add_char(b, '\n');
}

static void write_metric(Buf *b, Metric *m) {
    if (m->family->kind < KIND_SUMMARY) {
        write_line(b, m, "", NULL, 0, load(&m->value_bits));
        return;
    }
    uint64_t count = atomic_load(&m->count);
    if (m->family->kind == KIND_HISTOGRAM) {
        uint64_t below = 0;
        for (size_t i = 0; i <= m->n_points; i++) {
            below += atomic_load(&m->buckets[i]);
            write_line(b, m, "_bucket", "le", i < m->n_points ? m->points[i] : INFINITY,
                       (double)below);
        }
        count = below;
    } else {
        for (size_t i = 0; i < m->n_points; i++) {
            write_line(b, m, "", "quantile", m->points[i], sketch_quantile(m, m->points[i]));
        }
    }
    write_line(b, m, "_sum", NULL, 0, load(&m->sum_bits));
    write_line(b, m, "_count", NULL, 0, (double)count);
}

static void write_help(Buf *b, const Family *f) {
    buf_addf(b, "# HELP %s ", f->name);
    for (const char *p = f->help ? f->help : ""; *p; p++) {
        if (*p == '\\' || *p == '\n') {
            buf_add_char(b, '\\');
        }
        buf_add_char(b, *p == '\n' ? 'n' : *p);
    }
    buf_addf(b, "\n# TYPE %s %s\n", f->name, kind_names[f->kind]);
}

static bool is_wanted(const Family *f, const Str *only, size_t n) {
    for (size_t i = 0; only && i < n; i++) {
        if (str_eqc(only[i], f->name)) {
            return true;
        }
    }
    return !only;
}

/* The hooks run without the lock, since they may make metrics. */
static void run_hooks(void) {
    pthread_mutex_lock(&mutex);
    size_t n = hooks.n;
    CLEANUP(mem_freep) Hook *copy = n ? mem_dup(hooks.v, n * sizeof(*hooks.v)) : NULL;
    pthread_mutex_unlock(&mutex);
    for (size_t i = 0; i < n; i++) {
        copy[i].fn(copy[i].arg);
    }
}

void metrics_write(Buf *b, const Str *only, size_t n_only) {
    run_hooks();
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < families.n; i++) {
        Family *f = families.v[i];
        if (f->metrics.n == 0 || !is_wanted(f, only, n_only)) {
            continue;
        }
        write_help(b, f);
        for (size_t k = 0; k < f->metrics.n; k++) {
            write_metric(b, f->metrics.v[k]);
        }
    }
    pthread_mutex_unlock(&mutex);
}
