/*
 * Memory a series and cost a sample of the head: bench_head [series [rounds]]. Series have 10
 * labels as a scrape of many targets gives them; each round appends one sample to every series,
 * 1000 to a transaction, by known refs, through the journal.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "tsdb/tsdb.h"

#define BATCH 1000

/* Anonymous memory: pages of mapped files are the system's to take back. */
static double resident_mib(const char *which) {
    double kib = 0;
    char bytes[8192];
    size_t n = 0;
    int fd;
    if (file_open("/proc/self/status", 0, 0, &fd) == 0) {
        if (file_read(fd, bytes, sizeof(bytes) - 1, &n) == 0) {
            bytes[n] = 0;
            const char *at = strstr(bytes, which);
            kib = at ? atof(at + strlen(which)) : 0;
        }
        file_close(fd);
    }
    return kib / 1024;
}

static Labels labels_of(size_t i, Label l[10], char text[10][32]) {
    static const char *const names[] = {"__name__", "cluster", "cpu", "device", "env",
                                        "instance", "job",     "le",  "mode",   "zone"};
    size_t of_target = i % 1000, target = i / 1000;
    size_t values[] = {of_target / 10, 0,          of_target % 8,  of_target % 10, 1,
                       target,         target % 5, of_target % 13, of_target % 7,  target % 3};
    for (size_t k = 0; k < 10; k++) {
        int n = snprintf(text[k], sizeof(text[k]), "%s_value_%zu", names[k], values[k]);
        l[k] = (Label){str_of(names[k]), str_n(text[k], (size_t)n)};
    }
    snprintf(text[3], sizeof(text[3]), "dev%zu", of_target); /* makes it unique within the target */
    l[3].value = str_of(text[3]);
    return (Labels){l, 10};
}

static double value_of(size_t i, int round) {
    switch (i % 4) {
    case 0: return 17;
    case 1: return (double)round * 15 + (double)(i % 1000);
    case 2: return (double)((i * 31 + (size_t)round * 7) % 1000) / 10;
    default: return (double)(1000000 + (size_t)round * (i % 977));
    }
}

int main(int argc, char **argv) {
    size_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    int rounds = argc > 2 ? atoi(argv[2]) : 10;
    char dir[] = "/tmp/narthex-bench-XXXXXX";
    Tsdb *db;
    Problem problem = {0};
    if (!mkdtemp(dir)) {
        return 2;
    }
    log_setup(LOG_LEVEL_WARN, LOG_FORMAT_LOGFMT);
    TsdbOptions o = {.dir = dir};
    if (tsdb_open(&o, &db, &problem) < 0) {
        printf("%s\n", problem.text);
        return 1;
    }
    SeriesRef *refs = NEW_ARRAY(SeriesRef, n);
    Label l[10];
    char text[10][32];
    double before = resident_mib("RssAnon:");
    for (int round = 0; round < rounds; round++) {
        int64_t wall = clock_mono_ns(), cpu = clock_thread_cpu_ns();
        for (size_t at = 0; at < n; at += BATCH) {
            Appender *a;
            if (storage_appender(tsdb_storage(db), &a) < 0) {
                return 1;
            }
            for (size_t i = at; i < n && i < at + BATCH; i++) {
                Labels labels = round ? LABELS_EMPTY : labels_of(i, l, text);
                if (appender_append(a, &refs[i], labels, (int64_t)(round + 1) * 15000,
                                    value_of(i, round)) != 0) {
                    return 1;
                }
            }
            if (appender_commit(a) < 0) {
                return 1;
            }
        }
        TsdbStats st;
        tsdb_stats(db, &st);
        printf("round %d: %.1f ns CPU, %.1f ns a sample; %.0f MiB = %.0f B a series; journal %.2f "
               "B a sample\n",
               round, (double)(clock_thread_cpu_ns() - cpu) / (double)n,
               (double)(clock_mono_ns() - wall) / (double)n, resident_mib("RssAnon:") - before,
               (resident_mib("RssAnon:") - before) * 1048576 / (double)n,
               (double)st.journal_bytes / (double)st.samples_appended);
        fflush(stdout);
    }
    tsdb_close(db);
    int64_t start = clock_mono_ns();
    if (tsdb_open(&o, &db, &problem) < 0) {
        printf("%s\n", problem.text);
        return 1;
    }
    printf("replay: %.2f s, %.0f MiB\n", (double)(clock_mono_ns() - start) / 1e9,
           resident_mib("RssAnon:") - before);
    tsdb_close(db);
    mem_free(refs);
    return file_remove_tree(dir) < 0;
}
