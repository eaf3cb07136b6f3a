#include "base/log.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

#define LINE_BYTES_MAX 16384

static _Atomic int level_least = LOG_LEVEL_INFO;
static _Atomic int format_used = LOG_FORMAT_LOGFMT;
static _Atomic int log_fd = STDERR_FILENO;

void log_setup(LogLevel level, LogFormat format) {
    atomic_store(&level_least, (int)level);
    atomic_store(&format_used, (int)format);
}

void log_set_fd(int fd) { atomic_store(&log_fd, fd); }

bool log_enabled(LogLevel level) {
    return (int)level >= atomic_load_explicit(&level_least, memory_order_relaxed);
}

static void add_quoted(Buf *b, Str s) {
    buf_add_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\') {
            buf_add_char(b, '\\');
            buf_add_char(b, (char)c);
        } else if (c == '\n') {
            buf_add_cstr(b, "\\n");
        } else if (c == '\t') {
            buf_add_cstr(b, "\\t");
        } else if (c == '\r') {
            buf_add_cstr(b, "\\r");
        } else if (c < 0x20) {
            buf_addf(b, "\\u%04x", c);
        } else {
            buf_add_char(b, (char)c);
        }
    }
    buf_add_char(b, '"');
}

static bool needs_quotes(Str s) {
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= ' ' || c == '=' || c == '"' || c == 0x7f) {
            return true;
        }
    }
    return s.n == 0;
}

static void add_pair(Buf *b, bool json, const char *key, Str value, bool number) {
    if (json) {
        buf_addf(b, "%s\"%s\":", b->n > 1 ? "," : "", key);
    } else {
        buf_addf(b, "%s%s=", b->n ? " " : "", key);
    }
    if (number || (!json && !needs_quotes(value))) {
        buf_add_str(b, value);
    } else {
        add_quoted(b, value);
    }
}

static void add_field(Buf *b, bool json, const LogField *f) {
    char text[64];
    switch (f->kind) {
    case LOG_FIELD_STR: add_pair(b, json, f->key, f->s, false); break;
    case LOG_FIELD_INT:
        snprintf(text, sizeof(text), "%" PRId64, f->i);
        add_pair(b, json, f->key, str_of(text), true);
        break;
    case LOG_FIELD_FLOAT:
        snprintf(text, sizeof(text), "%g", f->f);
        add_pair(b, json, f->key, str_of(text), true);
        break;
    case LOG_FIELD_ERRNO: add_pair(b, json, f->key, str_of(strerror((int)-f->i)), false); break;
    }
}

void log_emit(LogLevel level, const char *file, int line, const char *component, const char *msg,
              const LogField *fields, size_t n) {
    static const char *const names[] = {"DEBUG", "INFO", "WARN", "ERROR"};
    bool json = atomic_load(&format_used) == LOG_FORMAT_JSON;
    CLEANUP(buf_deinit) Buf b = BUF_INIT(LINE_BYTES_MAX);
    if (json) {
        buf_add_char(&b, '{');
    }
    int64_t now = clock_wall_ms();
    time_t seconds = (time_t)(now / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    char text[64];
    size_t len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + len, sizeof(text) - len, ".%03dZ", (int)(now % 1000));
    add_pair(&b, json, "time", str_of(text), false);
    add_pair(&b, json, "level", str_of(names[level]), false);
    const char *base = strrchr(file, '/');
    snprintf(text, sizeof(text), "%s:%d", base ? base + 1 : file, line);
    add_pair(&b, json, "source", str_of(text), false);
    add_pair(&b, json, "msg", str_of(msg), false);
    if (component) {
        add_pair(&b, json, "component", str_of(component), false);
    }
    for (size_t i = 0; i < n; i++) {
        add_field(&b, json, &fields[i]);
    }
    buf_add_cstr(&b, json ? "}\n" : "\n");
    /* One write a line keeps lines whole; a log that cannot be written has nowhere to complain. */
    (void)!write(atomic_load(&log_fd), b.p, b.n);
}

bool log_pause_over(LogPause *p) {
    int64_t now = clock_mono_ns(), until = atomic_load(&p->until_ns);
    return (until == 0 || now >= until) &&
           atomic_compare_exchange_strong(&p->until_ns, &until, now + INT64_C(60000000000));
}
