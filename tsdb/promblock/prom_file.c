#include "tsdb/promblock/prom_file.h"

#include <fcntl.h>

#include "base/err.h"
#include "base/file.h"

#define FLUSH_BYTES (1u << 20)

int prom_file_open(PromFile *f, const char *path) {
    *f = (PromFile){.fd = -1};
    return file_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666, &f->fd);
}

static void flush(PromFile *f) {
    if (f->error == 0 && f->buf.n) {
        f->error = file_write(f->fd, f->buf.p, f->buf.n);
    }
    f->written += f->buf.n;
    buf_reset(&f->buf);
}

void prom_file_add(PromFile *f, const void *p, size_t n) {
    buf_add(&f->buf, p, n);
    if (f->buf.n >= FLUSH_BYTES) {
        flush(f);
    }
}

void prom_file_align(PromFile *f, unsigned to) {
    while (prom_file_at(f) % to) {
        prom_file_add(f, "", 1);
    }
}

int prom_file_close(PromFile *f) {
    if (f->fd < 0) {
        return f->error;
    }
    flush(f);
    if (f->error == 0) {
        f->error = file_sync(f->fd);
    }
    int r = file_close(f->fd);
    f->fd = -1;
    buf_deinit(&f->buf);
    return f->error ? f->error : r;
}
