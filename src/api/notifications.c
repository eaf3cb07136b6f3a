#include "api/notifications.h"

#include <time.h>

#include "api/event_stream.h"
#include "base/clock.h"
#include "base/vec.h"
#include "format/json.h"

#define LOOK_MS 1000

static const char *const texts[] = {
    [NOTIFICATION_RELOAD_FAILED] = "Configuration reload has failed.",
    [NOTIFICATION_STARTING] = "Prometheus is starting and replaying the write-ahead log (WAL).",
    [NOTIFICATION_STOPPING] = "Prometheus is shutting down and gracefully stopping all operations.",
};

typedef struct Listener {
    HttpExchange *x;
    int64_t spoke_ns;
} Listener;

struct Notifications {
    size_t streams_max;
    int64_t since_ms[NOTIFICATION_COUNT]; /* 0 = not active */
    VEC(Listener) streams;
    LoopTimer timer; /* while there are streams */
    bool stopped;
};

static void add_one(Buf *b, Notification what, int64_t since_ms, bool active) {
    char date[32];
    time_t seconds = (time_t)(since_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    buf_addf(b, "{\"text\":\"%s\",\"date\":\"%s.%03dZ\",\"active\":%s}", texts[what], date,
             (int)(since_ms % 1000), active ? "true" : "false");
}

static void add_event(Buf *b, Notification what, int64_t since_ms, bool active) {
    buf_add_cstr(b, "data: ");
    add_one(b, what, since_ms, active);
    buf_add_cstr(b, "\n\n");
}

static void tell(Notifications *n, Notification what, bool active) {
    for (size_t i = 0; i < n->streams.n; i++) {
        CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
        add_event(&b, what, n->since_ms[what], active);
        n->streams.v[i].spoke_ns = clock_mono_ns();
        event_stream_send(n->streams.v[i].x, &b);
    }
}

void notifications_set(Notifications *n, Notification what, bool active) {
    if (active == (n->since_ms[what] != 0)) {
        return;
    }
    if (active) {
        n->since_ms[what] = clock_wall_ms();
    }
    tell(n, what, active);
    if (!active) {
        n->since_ms[what] = 0;
    }
}

/* The active one that began next after those written, by time and then by kind. */
static Notification next_active(const Notifications *n, const bool *written) {
    Notification best = NOTIFICATION_COUNT;
    for (Notification i = 0; i < NOTIFICATION_COUNT; i++) {
        if (n->since_ms[i] && !written[i] &&
            (best == NOTIFICATION_COUNT || n->since_ms[i] < n->since_ms[best])) {
            best = i;
        }
    }
    return best;
}

void notifications_write(const Notifications *n, Buf *b) {
    bool written[NOTIFICATION_COUNT] = {false};
    Notification i;
    buf_add_char(b, '[');
    for (bool first = true; (i = next_active(n, written)) < NOTIFICATION_COUNT; first = false) {
        if (!first) {
            buf_add_char(b, ',');
        }
        add_one(b, i, n->since_ms[i], true);
        written[i] = true;
    }
    buf_add_char(b, ']');
}

/* ---- streams */

static void look(void *arg) {
    Notifications *n = arg;
    int64_t now = clock_mono_ns();
    size_t kept = 0;
    for (size_t i = 0; i < n->streams.n; i++) {
        Listener *s = &n->streams.v[i];
        if (atomic_load(&s->x->gone)) {
            http_stream_end(s->x);
            continue;
        }
        if (now - s->spoke_ns >= EVENT_STREAM_HEARTBEAT_MS * 1000000LL) {
            CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
            buf_add_cstr(&b, ":\n\n");
            s->spoke_ns = now;
            event_stream_send(s->x, &b);
        }
        n->streams.v[kept++] = *s;
    }
    n->streams.n = kept;
    if (kept) {
        loop_timer_after(&n->timer, LOOK_MS);
    }
}

void notifications_add(Notifications *n, HttpExchange *x) {
    look(n);
    if (n->stopped || n->streams.n >= n->streams_max) {
        http_respond(x, &(HttpAnswer){.status = 204}, STR(""));
        return;
    }
    if (!event_stream_begin(x)) {
        return;
    }
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    for (Notification i = 0; i < NOTIFICATION_COUNT; i++) {
        if (n->since_ms[i]) {
            add_event(&b, i, n->since_ms[i], true);
        }
    }
    if (b.n) {
        event_stream_send(x, &b);
    }
    vec_push(&n->streams, (Listener){x, clock_mono_ns()});
    loop_timer_after(&n->timer, LOOK_MS);
}

/* ---- life */

Notifications *notifications_new(Loop *loop, size_t streams_max) {
    Notifications *n = NEW(Notifications);
    n->streams_max = streams_max;
    loop_timer_init(&n->timer, loop, look, n);
    return n;
}

void notifications_stop(Notifications *n) {
    n->stopped = true;
    loop_timer_stop(&n->timer);
    for (size_t i = 0; i < n->streams.n; i++) {
        http_stream_end(n->streams.v[i].x);
    }
    n->streams.n = 0;
}

void notifications_free(Notifications *n) {
    if (n) {
        notifications_stop(n);
        vec_free(&n->streams);
        mem_free(n);
    }
}
