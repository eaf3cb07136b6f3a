/*
 * fleet: a farm of HTTP exporters in one small process.
 *
 * Serves /t/<number>/metrics for every target on one port. A page is made from
 * a template (see tools/make_template.py): constant text is copied, and only
 * the numbers that move are computed, from (target, series, time) alone.
 *
 *   /t/0001/metrics  the page of target 1 (the zeros are optional)
 *   /stats           what was served, as JSON; /stats?reset also starts anew
 *   /targets         every target, in the form of http_sd
 */
#include "model.h"
#include "util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

#define CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define MAX_HEADER 8192
#define HOST_DIGITS 4

enum slot_kind { SLOT_VALUE, SLOT_HOST, SLOT_GENERATION, SLOT_END };

/* Constant text, and then something that has to be written afresh. */
struct slot {
    enum slot_kind kind;
    uint32_t text_at, text_length;
    uint32_t series; /* tells series of a target apart */
    struct model model;
};

struct page {
    char *text;
    size_t text_length, text_capacity;
    struct slot *slots;
    size_t slot_count, slot_capacity;
    size_t open_at; /* where the text of the next slot begins */
    size_t series_count;
    size_t max_length;
};

struct target {
    double scale;
    uint64_t seed;
    int64_t last_ms; /* when it was last scraped, 0 = never */
    uint64_t scrapes;
};

struct connection {
    int fd;
    char in[MAX_HEADER];
    size_t in_length;
    char *out; /* what the socket would not take yet */
    size_t out_at, out_length;
    bool closing;
};

static struct {
    size_t targets;
    int64_t epoch_ms;
    int64_t interval_ms;
    unsigned generations; /* series are replaced in so many groups; 0 = never */
    int64_t churn_ms;
    bool gzip;
} options = {.targets = 1};

static struct page page;
static struct target *targets;
static int poller;
static volatile sig_atomic_t stopping;

static struct {
    int64_t since_ms;
    uint64_t scrapes, bytes, gzipped, late, other;
    int64_t longest_gap_ms;
    double cpu_at_reset;
} stats;

/* ---- template -------------------------------------------------------- */

static void add_text(const char *text, size_t length) {
    if (page.text_length + length > page.text_capacity) {
        page.text_capacity = 2 * (page.text_length + length) + 4096;
        page.text = xrealloc(page.text, page.text_capacity);
    }
    memcpy(page.text + page.text_length, text, length);
    page.text_length += length;
}

static struct slot *add_slot(enum slot_kind kind) {
    if (page.slot_count == page.slot_capacity) {
        page.slot_capacity = 2 * page.slot_capacity + 256;
        page.slots = xrealloc(page.slots, page.slot_capacity * sizeof *page.slots);
    }
    struct slot *s = &page.slots[page.slot_count++];

    *s = (struct slot){
        .kind = kind,
        .text_at = (uint32_t)page.open_at,
        .text_length = (uint32_t)(page.text_length - page.open_at),
        .series = (uint32_t)page.series_count,
    };
    page.open_at = page.text_length;
    return s;
}

/* Adds a series' name and labels, turning the placeholders into slots. */
static void add_series_text(const char *s) {
    while (*s) {
        const char *at = strchr(s, '@');

        if (!at) {
            add_text(s, strlen(s));
            return;
        }
        add_text(s, (size_t)(at - s));
        if (!strncmp(at, "@HOST@", 6)) {
            add_slot(SLOT_HOST);
            s = at + 6;
        } else if (!strncmp(at, "@GEN@", 5)) {
            add_slot(SLOT_GENERATION);
            s = at + 5;
        } else {
            add_text("@", 1);
            s = at + 1;
        }
    }
}

static double field_number(char **rest, size_t line_number) {
    char *field = strsep(rest, "\t");
    char *end;

    if (!field)
        die("template line %zu: a field is missing", line_number);
    double v = strtod(field, &end);
    if (end == field || *end)
        die("template line %zu: '%s' is not a number", line_number, field);
    return v;
}

static void add_template_line(char *line, size_t line_number) {
    if (line[0] == '#' || !line[0]) {
        add_text(line, strlen(line));
        add_text("\n", 1);
        return;
    }

    char *rest = line;
    char *kind = strsep(&rest, "\t");
    char *series = strsep(&rest, "\t");

    if (!series || strlen(kind) != 1 || !strchr("kcgjt", kind[0]))
        die("template line %zu: neither a comment nor a series", line_number);
    add_series_text(series);
    add_text(" ", 1);
    if (kind[0] == 'k') {
        char *value = strsep(&rest, "\t");

        if (!value)
            die("template line %zu: no value", line_number);
        add_text(value, strlen(value));
    } else {
        struct slot *s = add_slot(SLOT_VALUE);

        s->model.quantum = 1;
        if (kind[0] == 't') {
            s->model.kind = MODEL_CLOCK;
            s->model.decimals = 7;
        } else {
            double decimals = field_number(&rest, line_number);

            if (decimals < 0 || decimals > 9)
                die("template line %zu: decimals must be 0 to 9", line_number);
            s->model.decimals = (unsigned)decimals;
            s->model.base = (int64_t)field_number(&rest, line_number);
            if (kind[0] == 'c') {
                s->model.kind = MODEL_COUNTER;
                s->model.rate = field_number(&rest, line_number);
            } else {
                s->model.kind = kind[0] == 'g' ? MODEL_GAUGE : MODEL_JITTER;
                s->model.span = field_number(&rest, line_number);
                s->model.quantum = (int64_t)field_number(&rest, line_number);
                if (s->model.quantum < 1)
                    die("template line %zu: quantum must be positive", line_number);
            }
        }
    }
    add_text("\n", 1);
    page.series_count++;
}

static void read_template(const char *path) {
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t capacity = 0, number = 0;
    ssize_t n;

    if (!f)
        die("%s: %s", path, strerror(errno));
    while ((n = getline(&line, &capacity, f)) > 0) {
        if (line[n - 1] == '\n')
            line[n - 1] = 0;
        add_template_line(line, ++number);
    }
    free(line);
    fclose(f);
}

/* A page of plain application metrics, for when only the number of series matters. */
static void make_synthetic_template(size_t series, bool churn) {
    const size_t per_family = 50;
    char line[256];

    for (size_t i = 0; i < series; i++) {
        size_t family = i / per_family;
        const char *gen = churn ? ",pod=\"app-@GEN@\"" : "";
        char labels[160];

        snprintf(labels, sizeof labels,
                 "{item=\"%04zu\",path=\"/api/v1/items/%zu\",shard=\"s%02zu\"%s}", i,
                 i % per_family, i % 16, gen);
        if (i % per_family == 0) {
            snprintf(line, sizeof line, "# TYPE bench_family_%03zu %s", family,
                     family % 2 ? "gauge" : "counter");
            add_template_line(line, i);
        }
        if (i % 4 == 3)
            snprintf(line, sizeof line, "k\tbench_family_%03zu%s\t%zu", family, labels, i);
        else if (family % 2)
            snprintf(line, sizeof line, "g\tbench_family_%03zu%s\t2\t%zu\t%zu\t1", family, labels,
                     5000 + 37 * i, 400 + 3 * i);
        else
            snprintf(line, sizeof line, "c\tbench_family_%03zu%s\t0\t%zu\t%.3f", family, labels,
                     1000 + 91 * i, 0.05 + (double)(i % 97) * 3.1);
        add_template_line(line, i);
    }
}

static void finish_template(void) {
    if (page.series_count == 0)
        die("the template has no series");
    add_slot(SLOT_END);
    page.max_length = page.text_length + 32 * page.slot_count;
}

/* ---- pages ----------------------------------------------------------- */

static size_t render(char *out, size_t target, int64_t age_ms) {
    const struct target *t = &targets[target];
    char *p = out;
    unsigned period = 0;

    if (options.generations)
        period = (unsigned)(age_ms / options.churn_ms);
    for (const struct slot *s = page.slots;; s++) {
        memcpy(p, page.text + s->text_at, s->text_length);
        p += s->text_length;
        switch (s->kind) {
        case SLOT_VALUE:
            p += format_units(p,
                              model_units(&s->model, mix64(t->seed ^ s->series), t->scale,
                                          options.epoch_ms, age_ms),
                              s->model.decimals);
            break;
        case SLOT_HOST: {
            unsigned number = (unsigned)target + 1;

            memcpy(p, "host-", 5);
            p += 5 + HOST_DIGITS;
            for (int i = 1; i <= HOST_DIGITS; i++, number /= 10)
                p[-i] = (char)('0' + number % 10);
            break;
        }
        case SLOT_GENERATION: {
            unsigned group = (unsigned)((s->series + target) % options.generations);

            p += format_uint(p, (period + group) / options.generations);
            break;
        }
        case SLOT_END: return (size_t)(p - out);
        }
    }
}

#ifdef HAVE_ZLIB
static size_t compress_page(char *out, size_t capacity, char *in, size_t length) {
    static z_stream z;
    static bool ready;

    if (!ready) {
        if (deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK)
            die("zlib does not start");
        ready = true;
    }
    deflateReset(&z);
    z.next_in = (Bytef *)in;
    z.avail_in = (uInt)length;
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)capacity;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END)
        die("a page did not fit its buffer when compressed");
    return capacity - z.avail_out;
}
#endif

static void note_scrape(size_t target, int64_t now_ms) {
    struct target *t = &targets[target];

    if (t->last_ms) {
        int64_t gap = now_ms - t->last_ms;

        if (gap > stats.longest_gap_ms)
            stats.longest_gap_ms = gap;
        if (options.interval_ms && 2 * gap > 3 * options.interval_ms)
            stats.late++;
    }
    t->last_ms = now_ms;
    t->scrapes++;
    stats.scrapes++;
}

static size_t write_stats(char *out, size_t capacity) {
    uint64_t least = UINT64_MAX, most = 0;
    double seconds = (double)(clock_ms(CLOCK_MONOTONIC) - stats.since_ms) / 1000;

    for (size_t i = 0; i < options.targets; i++) {
        least = targets[i].scrapes < least ? targets[i].scrapes : least;
        most = targets[i].scrapes > most ? targets[i].scrapes : most;
    }
    return (size_t)snprintf(out, capacity,
                            "{\"targets\":%zu,\"series_per_target\":%zu,\"seconds\":%.3f,"
                            "\"scrapes\":%llu,\"bytes\":%llu,\"gzipped\":%llu,"
                            "\"fewest_scrapes\":%llu,\"most_scrapes\":%llu,"
                            "\"late\":%llu,\"longest_gap_ms\":%lld,\"other_requests\":%llu,"
                            "\"cpu_seconds\":%.3f}\n",
                            options.targets, page.series_count, seconds,
                            (unsigned long long)stats.scrapes, (unsigned long long)stats.bytes,
                            (unsigned long long)stats.gzipped, (unsigned long long)least,
                            (unsigned long long)most, (unsigned long long)stats.late,
                            (long long)stats.longest_gap_ms, (unsigned long long)stats.other,
                            own_cpu_seconds() - stats.cpu_at_reset);
}

static void reset_stats(void) {
    memset(&stats, 0, sizeof stats);
    stats.since_ms = clock_ms(CLOCK_MONOTONIC);
    stats.cpu_at_reset = own_cpu_seconds();
    for (size_t i = 0; i < options.targets; i++)
        targets[i].scrapes = 0;
}

/* ---- HTTP ------------------------------------------------------------ */

static void close_connection(struct connection *c) {
    close(c->fd);
    free(c->out);
    free(c);
}

static void watch(struct connection *c, uint32_t events) {
    struct epoll_event ev = {.events = events, .data.ptr = c};

    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &ev);
}

/* Sends, or keeps what the socket does not take. False = the peer is gone. */
static bool send_bytes(struct connection *c, const char *data, size_t length) {
    size_t sent = 0;

    while (sent < length) {
        ssize_t n = send(c->fd, data + sent, length - sent, MSG_NOSIGNAL);

        if (n > 0) {
            sent += (size_t)n;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
            return false;
        c->out_length = length - sent;
        c->out_at = 0;
        c->out = xmalloc(c->out_length);
        memcpy(c->out, data + sent, c->out_length);
        watch(c, EPOLLOUT);
        return true;
    }
    return true;
}

static bool flush_rest(struct connection *c) {
    while (c->out_at < c->out_length) {
        ssize_t n = send(c->fd, c->out + c->out_at, c->out_length - c->out_at, MSG_NOSIGNAL);

        if (n > 0)
            c->out_at += (size_t)n;
        else if (n < 0 && errno == EINTR)
            continue;
        else
            return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }
    free(c->out);
    c->out = NULL;
    watch(c, EPOLLIN);
    return true;
}

/* Room for the head in front of the body, so that both go out in one call. */
#define HEAD_ROOM 256

static bool respond(struct connection *c, int status, const char *type, const char *encoding,
                    char *body, size_t length) {
    char head[HEAD_ROOM];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n%sContent-Length: %zu\r\n%s\r\n",
                     status, status == 200 ? "OK" : "Not Found", type, encoding, length,
                     c->closing ? "Connection: close\r\n" : "");

    memcpy(body - n, head, (size_t)n);
    return send_bytes(c, body - n, (size_t)n + length);
}

static bool answer(struct connection *c, const char *path, bool accepts_gzip) {
    static char *buffer, *packed;
    static size_t capacity;

    if (!buffer) {
        capacity = page.max_length + 128 * options.targets + 4096;
        buffer = xmalloc(HEAD_ROOM + capacity);
        packed = xmalloc(HEAD_ROOM + capacity);
    }
    char *body = buffer + HEAD_ROOM;

    if (!strncmp(path, "/t/", 3)) {
        char *end;
        unsigned long number = strtoul(path + 3, &end, 10);

        if (number >= 1 && number <= options.targets && !strcmp(end, "/metrics")) {
            int64_t now = clock_ms(CLOCK_REALTIME);
            int64_t age = now > options.epoch_ms ? now - options.epoch_ms : 0;
            size_t length = render(body, number - 1, age);
            const char *encoding = "";

            note_scrape(number - 1, clock_ms(CLOCK_MONOTONIC));
#ifdef HAVE_ZLIB
            if (options.gzip && accepts_gzip) {
                length = compress_page(packed + HEAD_ROOM, capacity, body, length);
                body = packed + HEAD_ROOM;
                encoding = "Content-Encoding: gzip\r\n";
                stats.gzipped++;
            }
#else
            (void)accepts_gzip;
#endif
            stats.bytes += length;
            return respond(c, 200, CONTENT_TYPE, encoding, body, length);
        }
    } else if (!strncmp(path, "/stats", 6)) {
        size_t length = write_stats(body, capacity);

        if (!strcmp(path + 6, "?reset"))
            reset_stats();
        return respond(c, 200, "application/json", "", body, length);
    } else if (!strcmp(path, "/targets")) {
        char *p = body;
        struct sockaddr_in self;
        socklen_t size = sizeof self;

        getsockname(c->fd, (struct sockaddr *)&self, &size);
        for (size_t i = 0; i < options.targets; i++)
            p += sprintf(p,
                         "%c{\"targets\":[\"127.0.0.1:%d\"],\"labels\":{\"__metrics_path__\":"
                         "\"/t/%04zu/metrics\",\"instance\":\"host-%04zu:9100\"}}",
                         i ? ',' : '[', ntohs(self.sin_port), i + 1, i + 1);
        *p++ = ']';
        return respond(c, 200, "application/json", "", body, (size_t)(p - body));
    }
    stats.other++;
    return respond(c, 404, "text/plain", "", body, (size_t)sprintf(body, "not found\n"));
}

/* One request head, already cut off with a zero. */
static bool handle_request(struct connection *c, char *head) {
    char *line_end = strstr(head, "\r\n");
    char *headers = line_end ? line_end : head + strlen(head);
    bool accepts_gzip = false;

    for (char *h = headers; (h = strstr(h, "\r\n")) != NULL;) {
        h += 2;
        if (!strncasecmp(h, "connection:", 11))
            c->closing = strncasecmp(h + 11 + strspn(h + 11, " "), "close", 5) == 0;
        else if (!strncasecmp(h, "accept-encoding:", 16)) {
            char *end = strstr(h, "\r\n");
            char *gzip = strstr(h, "gzip");

            accepts_gzip = gzip && (!end || gzip < end);
        }
    }
    if (line_end)
        *line_end = 0;
    char *path = strchr(head, ' ');
    if (!path)
        return false;
    path++;
    path[strcspn(path, " ")] = 0;
    return answer(c, path, accepts_gzip);
}

static bool read_requests(struct connection *c) {
    ssize_t n = recv(c->fd, c->in + c->in_length, sizeof c->in - 1 - c->in_length, 0);

    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    c->in_length += (size_t)n;
    c->in[c->in_length] = 0;
    while (!c->out) {
        char *end = strstr(c->in, "\r\n\r\n");

        if (!end)
            return c->in_length < sizeof c->in - 1;
        end[2] = 0;
        size_t used = (size_t)(end + 4 - c->in);
        if (!handle_request(c, c->in))
            return false;
        memmove(c->in, c->in + used, c->in_length - used + 1);
        c->in_length -= used;
        if (c->closing && !c->out)
            return false;
    }
    return true;
}

static void accept_connections(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        int one = 1, room = 1 << 20;

        if (fd < 0)
            return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);

        struct connection *c = xmalloc(sizeof *c);
        *c = (struct connection){.fd = fd};
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &ev);
    }
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;
    struct sockaddr_in at = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 4096))
        die("port %d: %s", port, strerror(errno));
    return fd;
}

static void stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
}

static const char usage[] =
    "usage: fleet --port PORT [--targets N] (--template FILE | --synthetic SERIES)\n"
    "  --port PORT            listen on 127.0.0.1:PORT\n"
    "  --targets N            serve /t/1/metrics to /t/N/metrics, at most 9999 (1)\n"
    "  --template FILE        the page, made by tools/make_template.py\n"
    "  --synthetic SERIES     instead: a made-up page of so many series\n"
    "  --churn-percent P      with --synthetic: replace P% of the series (divides 100)\n"
    "  --churn-seconds S      ... every S seconds (60)\n"
    "  --epoch SECONDS        Unix time at which counters start (now)\n"
    "  --interval-ms MS       count a scrape as late after 1.5 times this gap\n"
    "  --gzip                 compress for clients that accept it\n"
    "  --print N              write the page of target N once, and end\n";

int main(int argc, char **argv) {
    static const struct option longs[] = {
        {"port", required_argument, 0, 'p'},
        {"targets", required_argument, 0, 'n'},
        {"template", required_argument, 0, 't'},
        {"synthetic", required_argument, 0, 's'},
        {"churn-percent", required_argument, 0, 'c'},
        {"churn-seconds", required_argument, 0, 'd'},
        {"epoch", required_argument, 0, 'e'},
        {"interval-ms", required_argument, 0, 'i'},
        {"gzip", no_argument, 0, 'z'},
        {"print", required_argument, 0, 'P'},
        {"help", no_argument, 0, 'h'},
        {0, 0, 0, 0},
    };
    const char *template = NULL;
    int64_t port = 0, synthetic = 0, churn_percent = 0, print = 0;
    int option;

    options.epoch_ms = clock_ms(CLOCK_REALTIME);
    options.churn_ms = 60000;
    while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (option) {
        case 'p': port = parse_count("port", optarg); break;
        case 'n': options.targets = (size_t)parse_count("targets", optarg); break;
        case 't': template = optarg; break;
        case 's': synthetic = parse_count("synthetic", optarg); break;
        case 'c': churn_percent = parse_count("churn-percent", optarg); break;
        case 'd': options.churn_ms = 1000 * parse_count("churn-seconds", optarg); break;
        case 'e': options.epoch_ms = 1000 * parse_count("epoch", optarg); break;
        case 'i': options.interval_ms = parse_count("interval-ms", optarg); break;
        case 'z': options.gzip = true; break;
        case 'P': print = parse_count("print", optarg); break;
        case 'h': fputs(usage, stdout); return 0;
        default: fputs(usage, stderr); return 2;
        }
    }
    if (optind != argc || (!port && !print) || (!template) == (!synthetic) || port > 65535 ||
        options.targets < 1 || options.targets > 9999 || options.churn_ms < 1000 ||
        churn_percent > 100 || (churn_percent && 100 % churn_percent)) {
        fputs(usage, stderr);
        return 2;
    }
#ifndef HAVE_ZLIB
    if (options.gzip)
        die("--gzip: built without zlib");
#endif
    if (churn_percent)
        options.generations = (unsigned)(100 / churn_percent);
    if (template)
        read_template(template);
    else
        make_synthetic_template((size_t)synthetic, churn_percent > 0);
    finish_template();
    targets = xmalloc(options.targets * sizeof *targets);
    for (size_t i = 0; i < options.targets; i++) {
        uint64_t seed = mix64(i + 1);

        /* From half to twice as busy as the machine of the template. */
        targets[i] = (struct target){.seed = seed, .scale = 0.5 + 1.5 * unit_interval(seed)};
    }
    reset_stats();

    if (print) {
        char *out = xmalloc(page.max_length);
        int64_t age = clock_ms(CLOCK_REALTIME) - options.epoch_ms;

        if ((size_t)print > options.targets)
            die("--print: there are only %zu targets", options.targets);
        fwrite(out, 1, render(out, (size_t)print - 1, age > 0 ? age : 0), stdout);
        free(out);
        return 0;
    }

    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = stop}, NULL);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = stop}, NULL);

    int listener = listen_on((int)port);
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &ev);

    while (!stopping) {
        struct epoll_event events[256];
        int n = epoll_wait(poller, events, 256, -1);

        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            bool alive = true;

            if (!c) {
                accept_connections(listener);
                continue;
            }
            if (events[i].events & EPOLLOUT) {
                alive = flush_rest(c);
                if (alive && c->closing && !c->out)
                    alive = false;
            } else if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
                alive = read_requests(c);
            }
            if (!alive)
                close_connection(c);
        }
    }
    return 0;
}
