#include "server/query_watch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

/* A query ends well within 100 ms after it was killed, abandoned or late. */
#define WATCH_INTERVAL_MS 20

static void look(void *arg) {
    QueryWatch *w = arg;
    promql_engine_watch(w->engine);
    if (promql_engine_busy(w->engine)) {
        loop_timer_after(&w->timer, WATCH_INTERVAL_MS);
    }
}

static void begin(void *arg) {
    QueryWatch *w = arg;
    loop_timer_after(&w->timer, WATCH_INTERVAL_MS);
}

/* Any thread. */
static void on_busy(void *arg) {
    QueryWatch *w = arg;
    loop_post(w->loop, begin, w);
}

static void end(void *arg) {
    QueryWatch *w = arg;
    promql_engine_stop(w->engine);
}

void query_watch_end(QueryWatch *w, int64_t patience_ms) {
    loop_timer_after(&w->end_timer, patience_ms);
}

void query_watch_start(QueryWatch *w, Loop *l, PromqlEngine *e) {
    *w = (QueryWatch){.loop = l, .engine = e};
    loop_timer_init(&w->timer, l, look, w);
    loop_timer_init(&w->end_timer, l, end, w);
    promql_engine_on_busy(e, on_busy, w);
}

void query_watch_stop(QueryWatch *w) {
    if (w->loop) {
        loop_timer_stop(&w->timer);
        loop_timer_stop(&w->end_timer);
    }
}

/* ---- memory */

/* The ceiling of the control group; UINT64_MAX when there is none. */
static uint64_t group_memory(void) {
    static const char *const files[] = {"/sys/fs/cgroup/memory.max",
                                        "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        CLEANUP(buf_deinit) Buf text = BUF_INIT(4096);
        char *end;
        if (file_read_whole(files[i], 1024, &text) == 0) {
            uint64_t n = strtoull(buf_cstr(&text), &end, 10);
            return end != text.p && n ? n : UINT64_MAX;
        }
    }
    return UINT64_MAX;
}

uint64_t query_memory_total(uint64_t wanted) {
    if (wanted) {
        return wanted;
    }
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    return MIN(machine, group_memory()) / 2;
}

/* ---- log */

int query_log_check(Str path, Problem *problem) {
    CLEANUP(file_closep) int fd = -1;
    if (!path.n) {
        return 0;
    }
    char *name = str_dup(path);
    int r = file_open(name, O_WRONLY | O_APPEND | O_CREAT, 0644, &fd);
    mem_free(name);
    return r < 0 ? problem_set(problem, 0, 0, "query_log_file: opening %.*s: %s", SA(path),
                               strerror(-r))
                 : 0;
}

void query_log_apply(PromqlEngine *e, Str path) {
    Problem p = {0};
    if (promql_engine_set_log(e, path, &p) < 0) {
        log_error(NULL, "Query log", L_CSTR("err", p.text));
    }
}
