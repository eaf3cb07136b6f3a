/*
 * Log lines on stderr in logfmt or JSON with Prometheus' keys: time, level, source, msg, component,
 * then fields. Libraries return errors; the owner of a task logs once. Any thread.
 *
 *     log_warn("scrape manager", "Target limit exceeded", L_STR("pool", name), L_INT("limit", n));
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

typedef enum LogLevel { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR } LogLevel;
typedef enum LogFormat { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON } LogFormat;

typedef struct LogField {
    const char *key; /* NULL ends the list */
    enum { LOG_FIELD_STR, LOG_FIELD_INT, LOG_FIELD_FLOAT, LOG_FIELD_ERRNO } kind;
    Str s;
    int64_t i;
    double f;
} LogField;

#define L_STR(k, v) ((LogField){.key = (k), .kind = LOG_FIELD_STR, .s = (v)})
#define L_CSTR(k, v) ((LogField){.key = (k), .kind = LOG_FIELD_STR, .s = str_of(v)})
#define L_INT(k, v) ((LogField){.key = (k), .kind = LOG_FIELD_INT, .i = (int64_t)(v)})
#define L_FLOAT(k, v) ((LogField){.key = (k), .kind = LOG_FIELD_FLOAT, .f = (v)})
/* A negative errno, shown as its text under the key "err". */
#define L_ERR(r) ((LogField){.key = "err", .kind = LOG_FIELD_ERRNO, .i = (r)})

void log_setup(LogLevel level, LogFormat format);
/* Where lines go: stderr (2) unless a test says otherwise. */
void log_set_fd(int fd);
bool log_enabled(LogLevel level);
void log_emit(LogLevel level, const char *file, int line, const char *component, const char *msg,
              const LogField *fields, size_t n);

/* For what would be said for every scrape or request while it lasts: true at first, then once a
 * minute. Any thread. */
typedef struct LogPause {
    _Atomic int64_t until_ns;
} LogPause;
bool log_pause_over(LogPause *p);

#define LOG_AT(level, component, msg, ...)                                                         \
    do {                                                                                           \
        if (log_enabled(level)) {                                                                  \
            const LogField f_[] = {{.key = NULL}, ##__VA_ARGS__};                                  \
            log_emit((level), __FILE__, __LINE__, (component), (msg), f_ + 1,                      \
                     sizeof(f_) / sizeof(f_[0]) - 1);                                              \
        }                                                                                          \
    } while (0)

#define log_debug(component, ...) LOG_AT(LOG_LEVEL_DEBUG, component, __VA_ARGS__)
#define log_info(component, ...) LOG_AT(LOG_LEVEL_INFO, component, __VA_ARGS__)
#define log_warn(component, ...) LOG_AT(LOG_LEVEL_WARN, component, __VA_ARGS__)
#define log_error(component, ...) LOG_AT(LOG_LEVEL_ERROR, component, __VA_ARGS__)
