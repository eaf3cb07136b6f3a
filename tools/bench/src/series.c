#include "series.h"
#include "util.h"

#include <stdbool.h>

#define MAX_LABELS 12
#define MAX_LABEL_BYTES 1024

struct label {
    const char *name, *value;
};

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

/* Replaces the placeholders of a label value and notes where they are. */
static size_t expand_value(char *out, const char *value, size_t at, struct series *s) {
    static const struct {
        const char *name, *text;
        size_t skip; /* from the start of the text to the part that changes */
        enum patch_kind kind;
    } placeholders[] = {
        {"@HOST@", "host-00000", 5, PATCH_HOST},
        {"@DC@", "dc-0", 3, PATCH_DC},
        {"@ENV@", "prod", 0, PATCH_ENV},
        {"@GEN@", "app-00000", 4, PATCH_GENERATION},
    };
    char *p = out;

    while (*value) {
        size_t which = 0, total = sizeof placeholders / sizeof *placeholders;

        while (which < total &&
               strncmp(value, placeholders[which].name, strlen(placeholders[which].name)))
            which++;
        if (which == total) {
            *p++ = *value++;
            continue;
        }
        if (s->patch_count == MAX_PATCHES)
            die("too many placeholders in one label set");
        s->patches[s->patch_count++] = (struct patch){
            .kind = placeholders[which].kind,
            .at = (uint16_t)(at + (size_t)(p - out) + placeholders[which].skip),
        };
        strcpy(p, placeholders[which].text);
        p += strlen(p);
        value += strlen(placeholders[which].name);
    }
    *p = 0;
    return (size_t)(p - out);
}

/*
 * Adds a series. `labels` is "name=value,name=value"; every series also gets
 * the labels of its host and the job.
 */
static struct series *add(struct layout *l, const char *job, const char *metric, const char *labels,
                          struct model model) {
    struct label list[MAX_LABELS];
    char copy[256];
    unsigned char encoded[MAX_LABEL_BYTES], *p = encoded;
    size_t count = 0;

    if (l->count == l->capacity) {
        l->capacity = 2 * l->capacity + 256;
        l->series = xrealloc(l->series, l->capacity * sizeof *l->series);
    }
    struct series *s = &l->series[l->count++];
    *s = (struct series){.model = model};

    snprintf(copy, sizeof copy, "%s", labels);
    list[count++] = (struct label){"__name__", metric};
    list[count++] = (struct label){"job", job};
    list[count++] = (struct label){"instance", strcmp(job, "node") ? "@HOST@:8080" : "@HOST@:9100"};
    list[count++] = (struct label){"dc", "@DC@"};
    list[count++] = (struct label){"env", "@ENV@"};
    for (char *rest = copy, *pair; (pair = strsep(&rest, ",")) != NULL && *pair;) {
        char *name = strsep(&pair, "=");

        if (count == MAX_LABELS)
            die("%s: too many labels", metric);
        list[count++] = (struct label){name, pair};
    }
    qsort(list, count, sizeof *list, by_name);

    for (size_t i = 0; i < count; i++) {
        /* Label { name = 1, value = 2 } as field 1 of the TimeSeries. */
        char value[256];
        size_t name_length = strlen(list[i].name);
        size_t value_at = (size_t)(p - encoded) + 2 + 2 + name_length + 2;
        size_t value_length = expand_value(value, list[i].value, value_at, s);

        if (name_length > 100 || value_length > 100 || value_at + 100 > sizeof encoded)
            die("%s: a label is too long", metric);
        *p++ = 0x0a;
        *p++ = (unsigned char)(4 + name_length + value_length);
        *p++ = 0x0a;
        *p++ = (unsigned char)name_length;
        memcpy(p, list[i].name, name_length);
        p += name_length;
        *p++ = 0x12;
        *p++ = (unsigned char)value_length;
        memcpy(p, value, value_length);
        p += value_length;
    }
    s->labels_length = (uint16_t)(p - encoded);
    s->labels = xmalloc(s->labels_length);
    memcpy(s->labels, encoded, s->labels_length);
    return s;
}

static struct model constant(int64_t value) {
    return (struct model){.kind = MODEL_CONSTANT, .base = value, .quantum = 1};
}

/* Counts whole things, `rate` of them a second. */
static struct model counter(double rate) {
    return (struct model){
        .kind = MODEL_COUNTER, .base = (int64_t)(rate * 86400), .rate = rate, .quantum = 1};
}

/* Counts seconds, in steps of 10^-decimals. */
static struct model seconds_counter(double rate, unsigned decimals) {
    struct model m = counter(rate * model_divisor(decimals));

    m.decimals = decimals;
    return m;
}

static struct model gauge(double middle, double span, unsigned decimals, int64_t quantum) {
    double unit = model_divisor(decimals);

    return (struct model){.kind = MODEL_GAUGE,
                          .decimals = decimals,
                          .base = (int64_t)(middle * unit),
                          .span = span * unit,
                          .quantum = quantum};
}

static void add_cpus(struct layout *l) {
    static const struct {
        const char *mode;
        double rate;
    } modes[] = {{"idle", 0.80},     {"iowait", 0.01},  {"irq", 0},       {"nice", 0},
                 {"softirq", 0.004}, {"steal", 0.0005}, {"system", 0.04}, {"user", 0.14}};

    for (int cpu = 0; cpu < 8; cpu++) {
        for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
            char labels[64];
            struct model m = modes[i].rate > 0 ? seconds_counter(modes[i].rate, 2) : constant(0);

            snprintf(labels, sizeof labels, "cpu=%d,mode=%s", cpu, modes[i].mode);
            add(l, "node", "node_cpu_seconds_total", labels, m)->unscaled = 1;
        }
    }
}

static void add_memory(struct layout *l) {
    static const struct {
        const char *name;
        double megabytes; /* negative = does not move */
    } kinds[] = {{"MemTotal", -64000},    {"MemFree", 9000},      {"MemAvailable", 38000},
                 {"Buffers", 900},        {"Cached", 27000},      {"SwapTotal", -8000},
                 {"SwapFree", -8000},     {"SwapCached", -0},     {"Active", 21000},
                 {"Inactive", 18000},     {"Dirty", 12},          {"Writeback", -0},
                 {"AnonPages", 15000},    {"Mapped", 2100},       {"Shmem", 300},
                 {"Slab", 2400},          {"SReclaimable", 1900}, {"SUnreclaim", 500},
                 {"KernelStack", 22},     {"PageTables", 90},     {"CommitLimit", -40000},
                 {"Committed_AS", 26000}, {"VmallocUsed", 110},   {"HugePages_Total", -0}};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char name[64];
        double bytes = kinds[i].megabytes * 1048576;

        snprintf(name, sizeof name, "node_memory_%s_bytes", kinds[i].name);
        add(l, "node", name, "",
            bytes > 0 ? gauge(bytes, 0.2 * bytes, 0, 4096) : constant((int64_t)-bytes));
    }
}

static void add_filesystems(struct layout *l) {
    static const char *const mounts[] = {"/", "/boot", "/home", "/var", "/srv/data"};

    for (int i = 0; i < 5; i++) {
        double size = (20 + 200.0 * i) * 1e9;
        char labels[96];

        snprintf(labels, sizeof labels, "device=/dev/sda%d,fstype=ext4,mountpoint=%s", i + 1,
                 mounts[i]);
        add(l, "node", "node_filesystem_size_bytes", labels, constant((int64_t)size));
        add(l, "node", "node_filesystem_free_bytes", labels,
            gauge(0.4 * size, 0.02 * size, 0, 4096));
        add(l, "node", "node_filesystem_avail_bytes", labels,
            gauge(0.35 * size, 0.02 * size, 0, 4096));
        add(l, "node", "node_filesystem_files_free", labels, gauge(1.2e7, 4e4, 0, 1));
        add(l, "node", "node_filesystem_readonly", labels, constant(0));
    }
}

static void add_networks(struct layout *l) {
    static const struct {
        const char *what;
        double rate;
    } counts[] = {{"receive_bytes", 2.5e6},   {"transmit_bytes", 1.8e6}, {"receive_packets", 2900},
                  {"transmit_packets", 2400}, {"receive_errs", 0},       {"receive_drop", 0.02},
                  {"transmit_errs", 0},       {"transmit_drop", 0}};
    static const char *const devices[] = {"lo", "eth0", "eth1", "docker0"};

    for (int d = 0; d < 4; d++) {
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            char name[64], labels[32];
            double rate = counts[i].rate * (d == 1 ? 1 : 0.1);

            snprintf(name, sizeof name, "node_network_%s_total", counts[i].what);
            snprintf(labels, sizeof labels, "device=%s", devices[d]);
            add(l, "node", name, labels, rate > 0 ? counter(rate) : constant(0));
        }
    }
}

static void add_disks(struct layout *l) {
    for (int d = 0; d < 3; d++) {
        double busy = d == 0 ? 1 : 0.3 * d;
        char labels[32];

        snprintf(labels, sizeof labels, "device=sd%c", 'a' + d);
        add(l, "node", "node_disk_reads_completed_total", labels, counter(35 * busy));
        add(l, "node", "node_disk_writes_completed_total", labels, counter(80 * busy));
        add(l, "node", "node_disk_read_bytes_total", labels, counter(6e5 * busy));
        add(l, "node", "node_disk_written_bytes_total", labels, counter(1.4e6 * busy));
        add(l, "node", "node_disk_io_time_seconds_total", labels, seconds_counter(0.05 * busy, 3));
        add(l, "node", "node_disk_read_time_seconds_total", labels,
            seconds_counter(0.02 * busy, 3));
        add(l, "node", "node_disk_write_time_seconds_total", labels,
            seconds_counter(0.09 * busy, 3));
        add(l, "node", "node_disk_io_now", labels, gauge(2, 2, 0, 1));
    }
}

static void add_requests(struct layout *l) {
    static const char *const handlers[] = {"/",
                                           "/login",
                                           "/logout",
                                           "/search",
                                           "/api/v1/items",
                                           "/api/v1/orders",
                                           "/api/v1/users",
                                           "/static"};
    static const char *const methods[] = {"GET", "POST"};
    static const struct {
        const char *code;
        double share;
    } codes[] = {{"200", 0.95}, {"404", 0.045}, {"500", 0.005}};
    static const char *const bounds[] = {"0.005", "0.01", "0.025", "0.05", "0.1", "0.25",
                                         "0.5",   "1",    "2.5",   "5",    "10",  "+Inf"};
    static const double shares[] = {0.05, 0.11, 0.22,  0.26,  0.18,   0.1,
                                    0.05, 0.02, 0.006, 0.002, 0.0015, 0.0005};
    char labels[96];

    for (int h = 0; h < 8; h++) {
        double rate = 40.0 / (h + 1);

        for (int m = 0; m < 2; m++) {
            for (int c = 0; c < 3; c++) {
                snprintf(labels, sizeof labels, "handler=%s,method=%s,code=%s", handlers[h],
                         methods[m], codes[c].code);
                add(l, "api", "http_requests_total", labels,
                    counter(rate * codes[c].share * (m ? 0.2 : 0.8)));
            }
        }
        for (int b = 0; b < 12; b++) {
            snprintf(labels, sizeof labels, "handler=%s,le=%s", handlers[h], bounds[b]);
            add(l, "api", "http_request_duration_seconds_bucket", labels, counter(rate * shares[b]))
                ->summing = b ? SUM_NEXT : SUM_FIRST;
        }
        snprintf(labels, sizeof labels, "handler=%s", handlers[h]);
        add(l, "api", "http_request_duration_seconds_count", labels, constant(0))->summing =
            SUM_TOTAL;
        add(l, "api", "http_request_duration_seconds_sum", labels, seconds_counter(0.09 * rate, 6));
    }
}

static void add_rest(struct layout *l) {
    static const struct {
        const char *job, *name;
        double rate;
    } counters[] = {{"node", "node_context_switches_total", 9000},
                    {"node", "node_intr_total", 6000},
                    {"node", "node_forks_total", 12},
                    {"node", "node_netstat_Tcp_InSegs", 3000},
                    {"node", "node_netstat_Tcp_OutSegs", 2900},
                    {"node", "node_netstat_Tcp_RetransSegs", 0.7},
                    {"node", "node_netstat_Tcp_ActiveOpens", 4},
                    {"node", "node_netstat_Tcp_PassiveOpens", 9},
                    {"node", "node_netstat_Udp_InDatagrams", 25},
                    {"node", "node_vmstat_pgfault", 8000},
                    {"node", "node_vmstat_pgmajfault", 0.05},
                    {"node", "node_vmstat_pgpgin", 700},
                    {"api", "go_gc_duration_seconds_count", 0.03},
                    {"api", "go_memstats_alloc_bytes_total", 5e6},
                    {"api", "process_network_receive_bytes_total", 2e5}};
    static const struct {
        const char *job, *name;
        double middle, span;
        unsigned decimals;
    } gauges[] = {{"node", "node_load1", 2.4, 1.8, 2},
                  {"node", "node_load5", 2.4, 1.1, 2},
                  {"node", "node_load15", 2.4, 0.6, 2},
                  {"node", "node_procs_running", 4, 3, 0},
                  {"node", "node_procs_blocked", 0.3, 1, 0},
                  {"node", "node_netstat_Tcp_CurrEstab", 420, 80, 0},
                  {"node", "node_sockstat_TCP_alloc", 480, 90, 0},
                  {"api", "go_goroutines", 180, 60, 0},
                  {"api", "process_open_fds", 210, 40, 0},
                  {"api", "go_memstats_heap_inuse_bytes", 9e7, 3e7, 0},
                  {"api", "process_resident_memory_bytes", 1.6e8, 2e7, 0}};

    add(l, "node", "up", "", constant(1));
    add(l, "api", "up", "", constant(1));
    add(l, "node", "node_uname_info",
        "nodename=@HOST@,machine=x86_64,release=6.1.0-18-amd64,sysname=Linux", constant(1));
    add(l, "node", "node_boot_time_seconds", "", constant(1790000000));
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        add(l, counters[i].job, counters[i].name, "", counter(counters[i].rate));
    for (size_t i = 0; i < sizeof gauges / sizeof *gauges; i++)
        add(l, gauges[i].job, gauges[i].name, "",
            gauge(gauges[i].middle, gauges[i].span, gauges[i].decimals, 1));
    add(l, "api", "process_cpu_seconds_total", "", seconds_counter(0.3, 2));
}

void layout_hosts(struct layout *l, size_t series_per_host) {
    add_rest(l);
    add_requests(l);
    add_cpus(l);
    add_memory(l);
    add_networks(l);
    add_disks(l);
    add_filesystems(l);

    /* The application's own metrics fill up: half never move, as is usual. */
    for (size_t i = 0; l->count < series_per_host; i++) {
        char labels[48];

        snprintf(labels, sizeof labels, "kind=kind-%04zu", i);
        if (i % 2)
            add(l, "api", "app_events_total", labels, constant((int64_t)(17 * i)));
        else if (i % 4)
            add(l, "api", "app_queue_length", labels, gauge(40 + (double)(i % 50), 30, 0, 1));
        else
            add(l, "api", "app_events_total", labels, counter(0.01 * (double)(1 + i % 300)));
    }
    if (l->count > series_per_host)
        l->count = series_per_host;
}

void layout_flat(struct layout *l, size_t series_per_host, int churn) {
    for (size_t i = 0; i < series_per_host; i++) {
        char name[32], labels[64];

        snprintf(name, sizeof name, "bench_family_%03zu", i / 50);
        snprintf(labels, sizeof labels, "item=%04zu,path=/api/v1/items/%zu%s", i, i % 50,
                 churn ? ",pod=@GEN@" : "");
        if (i % 4 == 3)
            add(l, "flat", name, labels, constant((int64_t)i));
        else if (i % 4 == 2)
            add(l, "flat", name, labels, gauge(50 + 0.37 * (double)i, 4, 2, 1));
        else
            add(l, "flat", name, labels, counter(0.05 + 3.1 * (double)(i % 97)));
    }
}

static void put_digits(unsigned char *at, int digits, unsigned number) {
    for (int i = digits - 1; i >= 0; i--, number /= 10)
        at[i] = (unsigned char)('0' + number % 10);
}

size_t write_labels(unsigned char *out, const struct series *s, unsigned host,
                    unsigned generation) {
    memcpy(out, s->labels, s->labels_length);
    for (unsigned i = 0; i < s->patch_count; i++) {
        unsigned char *at = out + s->patches[i].at;

        switch (s->patches[i].kind) {
        case PATCH_HOST: put_digits(at, HOST_DIGITS, host); break;
        case PATCH_DC: put_digits(at, 1, 1 + host % 4); break;
        case PATCH_ENV: memcpy(at, host % 10 < 7 ? "prod" : "test", 4); break;
        case PATCH_GENERATION: put_digits(at, GENERATION_DIGITS, generation); break;
        }
    }
    return s->labels_length;
}

void series_values(const struct series *s, size_t index, unsigned host, int64_t epoch_ms,
                   int64_t first_age_ms, int64_t step_ms, size_t count, int64_t *sums,
                   double *values) {
    uint64_t host_seed = mix64(host + 1);
    uint64_t seed = mix64(host_seed ^ (uint64_t)index);
    double scale = s->unscaled ? 1 : 0.5 + 1.5 * unit_interval(host_seed);
    double divisor = model_divisor(s->model.decimals);

    for (size_t k = 0; k < count; k++) {
        int64_t units = s->summing == SUM_TOTAL ? 0
                                                : model_units(&s->model, seed, scale, epoch_ms,
                                                              first_age_ms + (int64_t)k * step_ms);

        switch (s->summing) {
        case SUM_NONE: break;
        case SUM_FIRST: sums[k] = units; break;
        case SUM_NEXT: units = sums[k] += units; break;
        case SUM_TOTAL: units = sums[k]; break;
        }
        values[k] = (double)units / divisor;
    }
}
