#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"

int err_trace_at(int r, const char *file, int line, const char *func) {
    if (r < 0 && log_enabled(LOG_LEVEL_DEBUG)) {
        LogField fields[] = {L_CSTR("func", func), L_ERR(r)};
        log_emit(LOG_LEVEL_DEBUG, file, line, "err", "Error passes", fields, ARRAY_LEN(fields));
    }
    return r;
}

int problem_set(Problem *p, int line, int column, const char *fmt, ...) {
    if (p) {
        p->line = line;
        p->column = column;
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(p->text, sizeof(p->text), fmt, ap);
        va_end(ap);
    }
    return -EINVAL;
}

void problem_set_file(Problem *p, Str file) {
    if (p) {
        snprintf(p->file, sizeof(p->file), "%.*s", SA(file));
    }
}

const char *problem_format(const Problem *p, char *dst, size_t size) {
    size_t n = 0;
    dst[0] = '\0';
    if (p->file[0]) {
        n += (size_t)snprintf(dst, size, "%s:", p->file);
    }
    if (p->line && n < size) {
        n += (size_t)snprintf(dst + n, size - n, "%d:", p->line);
    }
    if (p->line && p->column && n < size) {
        n += (size_t)snprintf(dst + n, size - n, "%d:", p->column);
    }
    if (n < size) {
        snprintf(dst + n, size - n, "%s%s", n ? " " : "", p->text);
    }
    return dst;
}
