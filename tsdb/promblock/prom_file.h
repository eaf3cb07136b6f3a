/* A file written from front to back through a buffer; the first error sticks. One thread. */
#pragma once

#include "base/buf.h"

typedef struct PromFile {
    int fd;
    Buf buf;
    uint64_t written; /* before what buf holds */
    int error;
} PromFile;

int prom_file_open(PromFile *f, const char *path);
/* Where the next byte goes. */
static inline uint64_t prom_file_at(const PromFile *f) { return f->written + f->buf.n; }
void prom_file_add(PromFile *f, const void *p, size_t n);
/* Zeros up to a multiple. */
void prom_file_align(PromFile *f, unsigned to);
/* Writes, syncs and closes: 0 or the first error. Also the way to give up. */
int prom_file_close(PromFile *f);
