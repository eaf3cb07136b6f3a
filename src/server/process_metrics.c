#include "server/process_metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/metrics.h"
#include "base/version.h"

static Metric *cpu, *resident, *virtual_size, *open_fds, *max_fds, *threads;

static double cpu_seconds(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double count_fds(void) {
    DIR *d = opendir("/proc/self/fd");
    double n = -3; /* ".", ".." and the folder's own */
    while (d && readdir(d)) {
        n++;
    }
    if (d) {
        closedir(d);
    }
    return n < 0 ? 0 : n;
}

static void read_memory(void) {
    unsigned long size = 0, rss = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%lu %lu", &size, &rss) == 2) {
        double page = (double)sysconf(_SC_PAGESIZE);
        metric_set(virtual_size, (double)size * page);
        metric_set(resident, (double)rss * page);
    }
    if (f) {
        fclose(f);
    }
}

static void read_threads(void) {
    char line[256];
    unsigned n;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "Threads: %u", &n) == 1) {
            metric_set(threads, n);
        }
    }
    if (f) {
        fclose(f);
    }
}

static void gather(void *arg) {
    struct rlimit limit;
    (void)arg;
    metric_set(cpu, cpu_seconds());
    metric_set(open_fds, count_fds());
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        metric_set(max_fds, (double)limit.rlim_cur);
    }
    read_memory();
    read_threads();
}

void process_metrics_start(int64_t start_ms) {
    cpu = metric_counter("process_cpu_seconds_total",
                         "Total user and system CPU time spent in seconds.", NULL);
    resident =
        metric_gauge("process_resident_memory_bytes", "Resident memory size in bytes.", NULL);
    virtual_size =
        metric_gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", NULL);
    open_fds = metric_gauge("process_open_fds", "Number of open file descriptors.", NULL);
    max_fds = metric_gauge("process_max_fds", "Maximum number of open file descriptors.", NULL);
    threads = metric_gauge("process_threads", "Number of threads of the process.", NULL);
    metric_set(metric_gauge("process_start_time_seconds",
                            "Start time of the process since unix epoch in seconds.", NULL),
               (double)start_ms / 1000);
    metric_set(
        metric_gauge("prometheus_build_info",
                     "A metric with a constant '1' value labeled by version, revision, branch, "
                     "goversion, goos, goarch and tags.",
                     "version=\"" VERSION_PROMETHEUS "\",revision=\"narthex-" VERSION_NARTHEX
                     "\",branch=\"main\",goversion=\"none\",goos=\"linux\",goarch=\"\",tags=\"\""),
        1);
    metrics_on_gather(gather, NULL);
}
