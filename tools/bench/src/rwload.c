/*
 * rwload: a remote-write 1.0 load generator.
 *
 * Sends HOSTS x SERIES series from --start to --end, every --step seconds, in
 * the order of time, over several connections that never run ahead of one
 * another by more than one round. The samples depend on the options alone, so
 * every server that is given the same options gets the same bytes.
 */
#include "series.h"
#include "snappy.h"
#include "util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_RETRIES 6

static struct {
    int port;
    char path[256];
    size_t hosts, first_host, connections, samples_per_series, samples_per_request;
    int64_t start_ms, end_ms, step_ms, epoch_ms;
    unsigned generations;
    int64_t churn_ms;
    double rate;
} options = {
    .hosts = 10,
    .connections = 4,
    .samples_per_series = 1,
    .samples_per_request = 2000,
    .step_ms = 15000,
    .churn_ms = 60000,
    .path = "/api/v1/write",
};

static struct layout layout;
static pthread_barrier_t round_barrier;
static double started;

struct worker {
    pthread_t thread;
    size_t index;
    int fd;
    unsigned char *body, *packed;
    size_t body_length, body_capacity;
    size_t samples_in_body;
    double *values;
    int64_t *sums;

    uint64_t samples, requests, retries, failed_requests, failed_samples;
    uint64_t raw_bytes, sent_bytes;
    float *latencies;
    size_t latency_capacity;
    char first_error[512];
};

/* ---- HTTP ------------------------------------------------------------ */

static bool connect_worker(struct worker *w) {
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)options.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct timeval limit = {.tv_sec = 120};
    int one = 1;

    w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(w->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (!connect(w->fd, (struct sockaddr *)&to, sizeof to))
        return true;
    close(w->fd);
    w->fd = -1;
    return false;
}

static bool send_all(int fd, const void *data, size_t length, int flags) {
    const char *p = data;

    while (length) {
        ssize_t n = send(fd, p, length, MSG_NOSIGNAL | flags);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        length -= (size_t)n;
    }
    return true;
}

/* Reads one response; returns its status, or 0 when the connection broke. */
static int read_response(struct worker *w, char *text, size_t capacity) {
    char in[8192];
    size_t have = 0;
    char *body = NULL;

    while (!body) {
        ssize_t n = have < sizeof in - 1 ? recv(w->fd, in + have, sizeof in - 1 - have, 0) : 0;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        have += (size_t)n;
        in[have] = 0;
        body = strstr(in, "\r\n\r\n");
    }
    *body = 0;
    body += 4;

    int status = 0;
    bool keep = true;
    long long length = -1;
    sscanf(in, "HTTP/%*s %d", &status);
    for (char *h = in; (h = strstr(h, "\r\n")) != NULL;) {
        h += 2;
        if (!strncasecmp(h, "content-length:", 15))
            length = atoll(h + 15);
        else if (!strncasecmp(h, "connection: close", 17))
            keep = false;
    }
    if (status == 204)
        length = 0;
    if (length < 0) { /* chunked or until the end: not worth decoding */
        keep = false;
        length = 0;
    }

    size_t got = have - (size_t)(body - in);
    snprintf(text, capacity, "%.*s", (int)got, body);
    while ((long long)got < length) {
        char rest[4096];
        ssize_t n = recv(w->fd, rest, sizeof rest, 0);

        if (n <= 0)
            return 0;
        got += (size_t)n;
    }
    if (!keep) {
        close(w->fd);
        w->fd = -1;
    }
    return status;
}

static int post(struct worker *w, size_t length, char *text, size_t capacity) {
    char head[512];
    int n = snprintf(head, sizeof head,
                     "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: rwload/1\r\n"
                     "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n"
                     "X-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: %zu\r\n\r\n",
                     options.path, options.port, length);

    *text = 0;
    if (w->fd < 0 && !connect_worker(w))
        return 0;
    if (send_all(w->fd, head, (size_t)n, MSG_MORE) && send_all(w->fd, w->packed, length, 0)) {
        int status = read_response(w, text, capacity);

        if (status)
            return status;
    }
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
    return 0;
}

static void note_latency(struct worker *w, double seconds) {
    if (w->requests == w->latency_capacity) {
        w->latency_capacity = 2 * w->latency_capacity + 1024;
        w->latencies = xrealloc(w->latencies, w->latency_capacity * sizeof *w->latencies);
    }
    w->latencies[w->requests++] = (float)seconds;
}

static void flush_body(struct worker *w) {
    char text[512];
    int status = 0;

    if (!w->samples_in_body)
        return;
    size_t length = snappy_compress(w->packed, w->body, w->body_length);
    double before = clock_seconds(CLOCK_MONOTONIC);
    for (int attempt = 0; attempt <= MAX_RETRIES; attempt++) {
        if (attempt) {
            w->retries++;
            usleep(50000u << attempt);
        }
        status = post(w, length, text, sizeof text);
        if (status && status != 429 && status < 500)
            break;
    }
    note_latency(w, clock_seconds(CLOCK_MONOTONIC) - before);
    w->raw_bytes += w->body_length;
    w->sent_bytes += length;
    if (status / 100 == 2) {
        w->samples += w->samples_in_body;
    } else {
        w->failed_requests++;
        w->failed_samples += w->samples_in_body;
        if (!*w->first_error)
            snprintf(w->first_error, sizeof w->first_error, "status %d: %.400s", status, text);
    }
    w->body_length = 0;
    w->samples_in_body = 0;
    if (options.rate > 0) {
        double due = started + (double)w->samples * (double)options.connections / options.rate;
        double ahead = due - clock_seconds(CLOCK_MONOTONIC);

        if (ahead > 0)
            usleep((useconds_t)(1e6 * ahead));
    }
}

/* ---- remote write ---------------------------------------------------- */

static size_t varint_length(uint64_t v) { return v ? (70 - (size_t)__builtin_clzll(v)) / 7 : 1; }

static unsigned char *put_varint(unsigned char *p, uint64_t v) {
    for (; v >= 128; v >>= 7)
        *p++ = (unsigned char)(v | 128);
    *p++ = (unsigned char)v;
    return p;
}

static unsigned generation_of(size_t index, size_t host, int64_t age_ms) {
    if (!options.generations)
        return 0;
    return (unsigned)((uint64_t)(age_ms / options.churn_ms) +
                      (index + host) % options.generations) /
           options.generations;
}

static void add_series(struct worker *w, size_t index, unsigned host, int64_t first_ms,
                       size_t count) {
    const struct series *s = &layout.series[index];
    int64_t age_ms = first_ms - options.epoch_ms;
    size_t timestamp_length = varint_length((uint64_t)first_ms);
    size_t sample_length = 1 + 8 + 1 + timestamp_length;
    size_t length = s->labels_length + count * (2 + sample_length);

    series_values(s, index, host, options.epoch_ms, age_ms, options.step_ms, count, w->sums,
                  w->values);

    unsigned char *p = w->body + w->body_length;
    *p++ = 0x0a; /* WriteRequest.timeseries */
    p = put_varint(p, length);
    p += write_labels(p, s, host, generation_of(index, host, age_ms));
    for (size_t k = 0; k < count; k++) {
        *p++ = 0x12; /* TimeSeries.samples */
        *p++ = (unsigned char)sample_length;
        *p++ = 0x09; /* Sample.value */
        memcpy(p, &w->values[k], 8);
        p += 8;
        *p++ = 0x10; /* Sample.timestamp */
        p = put_varint(p, (uint64_t)(first_ms + (int64_t)k * options.step_ms));
    }
    w->body_length = (size_t)(p - w->body);
    w->samples_in_body += count;
}

static void *work(void *argument) {
    struct worker *w = argument;
    int64_t round_ms = options.step_ms * (int64_t)options.samples_per_series;

    for (int64_t t = options.start_ms; t < options.end_ms; t += round_ms) {
        int64_t left = (options.end_ms - t + options.step_ms - 1) / options.step_ms;
        size_t count =
            left < (int64_t)options.samples_per_series ? (size_t)left : options.samples_per_series;

        for (size_t h = w->index; h < options.hosts; h += options.connections) {
            for (size_t i = 0; i < layout.count; i++) {
                if (w->samples_in_body + count > options.samples_per_request)
                    flush_body(w);
                add_series(w, i, (unsigned)(options.first_host + h), t, count);
            }
        }
        flush_body(w);
        pthread_barrier_wait(&round_barrier);
    }
    return NULL;
}

/* ---- OpenMetrics ----------------------------------------------------- */

/* The same samples as text, for `promtool tsdb create-blocks-from openmetrics`. */
static void dump_openmetrics(const char *path) {
    FILE *f = strcmp(path, "-") ? fopen(path, "w") : stdout;
    size_t count =
        (size_t)((options.end_ms - options.start_ms + options.step_ms - 1) / options.step_ms);
    double *values = xmalloc(count * sizeof *values);
    int64_t *sums = xmalloc(count * sizeof *sums);
    uint64_t written = 0;

    if (!f)
        die("%s: %s", path, strerror(errno));
    if (options.generations)
        die("--openmetrics: not with churn");
    for (size_t h = 0; h < options.hosts; h++) {
        unsigned host = (unsigned)(options.first_host + h);

        for (size_t i = 0; i < layout.count; i++) {
            unsigned char labels[1024];
            char text[2048], *p = text;
            const unsigned char *in = labels;
            size_t length = write_labels(labels, &layout.series[i], host, 0);
            bool first = true;

            /* The encoded labels are in order, and the name is the first. */
            while (in < labels + length) {
                const unsigned char *name = in + 4, *value = name + in[3] + 2;

                if (in == labels)
                    p += sprintf(p, "%.*s{", value[-1], value);
                else
                    p += sprintf(p, "%s%.*s=\"%.*s\"", first ? "" : ",", in[3], name, value[-1],
                                 value);
                first = first && in == labels;
                in = value + value[-1];
            }
            series_values(&layout.series[i], i, host, options.epoch_ms,
                          options.start_ms - options.epoch_ms, options.step_ms, count, sums,
                          values);
            for (size_t k = 0; k < count; k++) {
                int64_t ms = options.start_ms + (int64_t)k * options.step_ms;

                fprintf(f, "%s} %.17g %lld.%03d\n", text, values[k], (long long)(ms / 1000),
                        (int)(ms % 1000));
            }
            written += count;
        }
    }
    fputs("# EOF\n", f);
    if (fclose(f))
        die("%s: %s", path, strerror(errno));
    fprintf(stderr, "%llu samples\n", (unsigned long long)written);
}

/* ---- report ---------------------------------------------------------- */

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static int report(struct worker *workers, double wall) {
    struct worker sum = {0};
    const char *error = "";

    for (size_t i = 0; i < options.connections; i++) {
        struct worker *w = &workers[i];

        sum.samples += w->samples;
        sum.requests += w->requests;
        sum.retries += w->retries;
        sum.failed_requests += w->failed_requests;
        sum.failed_samples += w->failed_samples;
        sum.raw_bytes += w->raw_bytes;
        sum.sent_bytes += w->sent_bytes;
        if (*w->first_error && !*error)
            error = w->first_error;
    }
    float *all = xmalloc(sum.requests * sizeof *all);
    size_t n = 0;
    for (size_t i = 0; i < options.connections; i++) {
        memcpy(all + n, workers[i].latencies, workers[i].requests * sizeof *all);
        n += workers[i].requests;
    }
    qsort(all, n, sizeof *all, by_value);
    printf(
        "{\"samples\":%llu,\"series\":%zu,\"requests\":%llu,\"retries\":%llu,"
        "\"failed_requests\":%llu,\"failed_samples\":%llu,\"raw_bytes\":%llu,\"sent_bytes\":%llu,"
        "\"wall_seconds\":%.3f,\"samples_per_second\":%.0f,\"client_cpu_seconds\":%.3f,"
        "\"latency_p50_ms\":%.3f,\"latency_p99_ms\":%.3f,\"latency_max_ms\":%.3f,\"first_error\":"
        "\"",
        (unsigned long long)sum.samples, options.hosts * layout.count,
        (unsigned long long)sum.requests, (unsigned long long)sum.retries,
        (unsigned long long)sum.failed_requests, (unsigned long long)sum.failed_samples,
        (unsigned long long)sum.raw_bytes, (unsigned long long)sum.sent_bytes, wall,
        (double)sum.samples / wall, own_cpu_seconds(), n ? 1e3 * (double)all[n / 2] : 0,
        n ? 1e3 * (double)all[n * 99 / 100] : 0, n ? 1e3 * (double)all[n - 1] : 0);
    for (; *error; error++) {
        if (*error == '"' || *error == '\\')
            putchar('\\');
        putchar((unsigned char)*error < ' ' ? ' ' : *error);
    }
    printf("\"}\n");
    free(all);
    return sum.failed_requests ? 1 : 0;
}

static const char usage[] =
    "usage: rwload --port PORT --start SECONDS --end SECONDS [options]\n"
    "  --port PORT               the server, on 127.0.0.1\n"
    "  --path PATH               of its write endpoint (/api/v1/write)\n"
    "  --start, --end SECONDS    Unix time of the first sample, and of the first no longer sent\n"
    "  --step SECONDS            between two samples of a series (15)\n"
    "  --epoch SECONDS           Unix time at which the counters start (--start)\n"
    "  --hosts N                 how many hosts (10)\n"
    "  --first-host N            the number of the first of them (0)\n"
    "  --series N                per host (500)\n"
    "  --flat                    plain series instead of a machine and its application\n"
    "  --churn-percent P         with --flat: replace P% of the series (divides 100)\n"
    "  --churn-seconds S         ... every S seconds (60)\n"
    "  --samples-per-series N    consecutive samples of a series in one request (1)\n"
    "  --samples-per-request N   at most (2000)\n"
    "  --connections N           (4)\n"
    "  --rate N                  at most so many samples a second (no limit)\n"
    "  --openmetrics FILE        write the samples as text instead of sending them\n";

int main(int argc, char **argv) {
    static const struct option longs[] = {
        {"port", required_argument, 0, 'p'},
        {"path", required_argument, 0, 'u'},
        {"start", required_argument, 0, 'a'},
        {"end", required_argument, 0, 'z'},
        {"step", required_argument, 0, 's'},
        {"epoch", required_argument, 0, 'e'},
        {"hosts", required_argument, 0, 'h'},
        {"first-host", required_argument, 0, 'f'},
        {"series", required_argument, 0, 'm'},
        {"flat", no_argument, 0, 'F'},
        {"churn-percent", required_argument, 0, 'c'},
        {"churn-seconds", required_argument, 0, 'd'},
        {"samples-per-series", required_argument, 0, 'k'},
        {"samples-per-request", required_argument, 0, 'r'},
        {"connections", required_argument, 0, 'n'},
        {"rate", required_argument, 0, 'R'},
        {"openmetrics", required_argument, 0, 'o'},
        {"help", no_argument, 0, '?'},
        {0, 0, 0, 0},
    };
    const char *openmetrics = NULL;
    size_t series = 500;
    int64_t churn_percent = 0;
    bool flat = false;
    int option;

    options.epoch_ms = -1;
    while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (option) {
        case 'p': options.port = (int)parse_count("port", optarg); break;
        case 'u': snprintf(options.path, sizeof options.path, "%s", optarg); break;
        case 'a': options.start_ms = 1000 * parse_count("start", optarg); break;
        case 'z': options.end_ms = 1000 * parse_count("end", optarg); break;
        case 's': options.step_ms = 1000 * parse_count("step", optarg); break;
        case 'e': options.epoch_ms = 1000 * parse_count("epoch", optarg); break;
        case 'h': options.hosts = (size_t)parse_count("hosts", optarg); break;
        case 'f': options.first_host = (size_t)parse_count("first-host", optarg); break;
        case 'm': series = (size_t)parse_count("series", optarg); break;
        case 'F': flat = true; break;
        case 'c': churn_percent = parse_count("churn-percent", optarg); break;
        case 'd': options.churn_ms = 1000 * parse_count("churn-seconds", optarg); break;
        case 'k':
            options.samples_per_series = (size_t)parse_count("samples-per-series", optarg);
            break;
        case 'r':
            options.samples_per_request = (size_t)parse_count("samples-per-request", optarg);
            break;
        case 'n': options.connections = (size_t)parse_count("connections", optarg); break;
        case 'R': options.rate = (double)parse_count("rate", optarg); break;
        case 'o': openmetrics = optarg; break;
        default: fputs(usage, stderr); return 2;
        }
    }
    if (optind != argc || (!options.port && !openmetrics) || options.port > 65535 ||
        !options.hosts || !series || options.end_ms <= options.start_ms || options.step_ms <= 0 ||
        options.churn_ms <= 0 || !options.connections || !options.samples_per_series ||
        !options.samples_per_request || churn_percent > 100 ||
        (churn_percent && (!flat || 100 % churn_percent))) {
        fputs(usage, stderr);
        return 2;
    }
    if (options.epoch_ms < 0)
        options.epoch_ms = options.start_ms;
    if (options.epoch_ms > options.start_ms)
        die("--epoch must not be after --start");
    if (options.samples_per_request < options.samples_per_series)
        options.samples_per_request = options.samples_per_series;
    if (options.connections > options.hosts)
        options.connections = options.hosts;
    if (churn_percent)
        options.generations = (unsigned)(100 / churn_percent);
    if (flat)
        layout_flat(&layout, series, churn_percent > 0);
    else
        layout_hosts(&layout, series);
    if (openmetrics) {
        dump_openmetrics(openmetrics);
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);

    struct worker *workers = xmalloc(options.connections * sizeof *workers);
    size_t body_capacity = 4096;
    for (size_t i = 0; i < layout.count; i++) {
        size_t one = layout.series[i].labels_length + 16 + 24 * options.samples_per_series;

        if (one * (options.samples_per_request / options.samples_per_series + 1) + 4096 >
            body_capacity)
            body_capacity =
                one * (options.samples_per_request / options.samples_per_series + 1) + 4096;
    }
    pthread_barrier_init(&round_barrier, NULL, (unsigned)options.connections);
    started = clock_seconds(CLOCK_MONOTONIC);
    for (size_t i = 0; i < options.connections; i++) {
        workers[i] = (struct worker){
            .index = i,
            .fd = -1,
            .body = xmalloc(body_capacity),
            .packed = xmalloc(snappy_bound(body_capacity)),
            .values = xmalloc(options.samples_per_series * sizeof(double)),
            .sums = xmalloc(options.samples_per_series * sizeof(int64_t)),
        };
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
            die("no thread: %s", strerror(errno));
    }
    for (size_t i = 0; i < options.connections; i++)
        pthread_join(workers[i].thread, NULL);
    int code = report(workers, clock_seconds(CLOCK_MONOTONIC) - started);
    for (size_t i = 0; i < options.connections; i++) {
        free(workers[i].body);
        free(workers[i].packed);
        free(workers[i].values);
        free(workers[i].sums);
        free(workers[i].latencies);
    }
    free(workers);
    return code;
}
