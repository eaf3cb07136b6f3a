#include "api/live.h"

#include <stdio.h>

#include "api/event_stream.h"
#include "api/live_topics.h"
#include "api/reply.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/numtext.h"
#include "base/random.h"

#define TICK_MS 1000
/* The rows are kept this long for streams that come back. */
#define FORGET_MS 60000
/* What all streams together may leave unread: beyond it nobody is sent more. */
#define UNSENT_BYTES_MAX ((uint64_t)64 << 20)

typedef struct Stream {
    HttpExchange *x;
    unsigned topics, begun; /* bits: wanted, and those whose full state has been sent */
    uint64_t at;            /* the tick it stands at; 0 = nothing sent yet */
    bool served;            /* by the job under way */
    int64_t spoke_ns;
} Stream;

/* The texts for streams that stand at one tick. */
typedef struct Want {
    uint64_t since;
    unsigned topics;
    Buf data[LIVE_TOPICS];
} Want;

struct Live {
    Api *api;
    WorkPool *pool; /* one worker; NULL until the first stream */
    VEC(Stream *) streams;
    char epoch[17];
    uint64_t tick;
    LoopTimer timer;
    int64_t looked_ms;
    bool busy, again, stopped;
    Metric *gauge;
    /* The job's while busy. */
    LiveTopics topics;
    LiveLook look;
    VEC(Want) wants;
    uint64_t job_tick;
};

/* ---- streams */

static void stream_end(Stream *s) {
    HttpExchange *x = s->x;
    mem_free(s);
    http_stream_end(x);
}

static void drop_gone(Live *l) {
    size_t kept = 0;
    for (size_t i = 0; i < l->streams.n; i++) {
        Stream *s = l->streams.v[i];
        if (atomic_load(&s->x->gone)) {
            stream_end(s);
        } else {
            l->streams.v[kept++] = s;
        }
    }
    l->streams.n = kept;
    metric_set(l->gauge, (double)kept);
}

static uint64_t stream_since(const Stream *s, LiveTopic t) {
    return s->begun & 1u << t ? s->at : 0;
}

static const Want *want_of(const Live *l, uint64_t since) {
    for (size_t i = 0; i < l->wants.n; i++) {
        if (l->wants.v[i].since == since) {
            return &l->wants.v[i];
        }
    }
    return NULL;
}

/* The last of them moves the reader on. */
static void stream_send(const Live *l, Stream *s) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    const Buf *data[LIVE_TOPICS] = {NULL};
    LiveTopic last = LIVE_TOPICS;
    for (LiveTopic t = 0; t < LIVE_TOPICS; t++) {
        const Want *w = s->topics & 1u << t ? want_of(l, stream_since(s, t)) : NULL;
        if (w && w->data[t].n) {
            data[t] = &w->data[t];
            last = t;
        }
    }
    for (LiveTopic t = 0; t < LIVE_TOPICS; t++) {
        if (data[t]) {
            buf_addf(&b, "id: %s-%llu\nevent: %s\ndata: ", l->epoch,
                     (unsigned long long)(t == last ? l->tick : s->at), live_topic_name(t));
            buf_add_str(&b, buf_str(data[t]));
            buf_add_cstr(&b, "\n\n");
            s->begun |= 1u << t;
        }
    }
    s->at = s->begun ? l->tick : 0;
    int64_t now = clock_mono_ns();
    if (!b.n && now - s->spoke_ns >= EVENT_STREAM_HEARTBEAT_MS * 1000000LL) {
        buf_add_cstr(&b, ":\n\n");
    }
    if (b.n) {
        s->spoke_ns = now;
        event_stream_send(s->x, &b);
    }
}

/* ---- ticks */

static void run(void *arg) {
    Live *l = arg;
    bool changed = live_apply(&l->topics, &l->look, l->tick + 1);
    l->job_tick = l->tick + changed;
    for (size_t i = 0; i < l->wants.n; i++) {
        Want *w = &l->wants.v[i];
        for (LiveTopic t = 0; t < LIVE_TOPICS; t++) {
            if (w->topics & 1u << t) {
                (void)live_rows_write(&l->topics.rows[t], w->since, &w->data[t]);
            }
        }
    }
}

static void clear_wants(Live *l) {
    for (size_t i = 0; i < l->wants.n; i++) {
        for (LiveTopic t = 0; t < LIVE_TOPICS; t++) {
            buf_deinit(&l->wants.v[i].data[t]);
        }
    }
    vec_free(&l->wants);
}

static void look(void *arg);

static void done(void *arg) {
    Live *l = arg;
    l->busy = false;
    l->tick = l->job_tick;
    for (size_t i = 0; i < l->streams.n; i++) {
        Stream *s = l->streams.v[i];
        if (s->served && !atomic_load(&s->x->gone)) {
            stream_send(l, s);
        }
        s->served = false;
    }
    clear_wants(l);
    if (l->stopped) {
        return;
    }
    loop_timer_at(&l->timer, l->again ? clock_wall_ms() : l->looked_ms + TICK_MS);
    l->again = false;
}

static void want(Live *l, uint64_t since, LiveTopic t) {
    Want *w = (Want *)want_of(l, since);
    if (!w) {
        vec_push(&l->wants, (Want){.since = since});
        w = &l->wants.v[l->wants.n - 1];
    }
    w->topics |= 1u << t;
}

/* Who gets something this time, and what has to be written for them; all topics anybody wants. */
static unsigned choose(Live *l) {
    unsigned topics = 0;
    uint64_t unsent = 0;
    for (size_t i = 0; i < l->streams.n; i++) {
        unsent += http_stream_unsent(l->streams.v[i]->x);
    }
    for (size_t i = 0; i < l->streams.n; i++) {
        Stream *s = l->streams.v[i];
        s->served = unsent <= UNSENT_BYTES_MAX && !event_stream_slow(s->x);
        topics |= s->topics;
        for (LiveTopic t = 0; t < LIVE_TOPICS && s->served; t++) {
            if (s->topics & 1u << t) {
                want(l, stream_since(s, t), t);
            }
        }
    }
    return topics;
}

static void forget(Live *l) {
    live_topics_deinit(&l->topics);
    live_topics_init(&l->topics);
}

static void look(void *arg) {
    Live *l = arg;
    int64_t now = clock_wall_ms();
    drop_gone(l);
    if (!l->streams.n) {
        if (now - l->looked_ms >= FORGET_MS) {
            forget(l);
        } else {
            loop_timer_at(&l->timer, l->looked_ms + FORGET_MS);
        }
        return;
    }
    l->looked_ms = now;
    l->busy = true;
    live_look(l->api, &l->topics, choose(l), &l->look);
    work_submit(l->pool, run, done, l);
}

/* ---- requests */

/* The tick of "<epoch>-<tick>" when it is one of this process. */
static uint64_t resume_tick(const Live *l, HttpExchange *x) {
    Str id = http_header(x, "last-event-id");
    id = id.n ? id : http_param(x, "lastEventId");
    size_t dash = str_find(id, '-');
    uint64_t tick;
    if (dash == id.n || !str_eqc(str_upto(id, dash), l->epoch) ||
        !uint_parse(str_from(id, dash + 1), &tick) || tick > l->tick) {
        return 0;
    }
    return tick;
}

static bool refuse(const Live *l, HttpExchange *x) {
    if (l->stopped) {
        reply_error(x, API_BUSY, "the server is stopping");
    } else if (l->streams.n >= LIVE_STREAMS_MAX) {
        reply_error(x, API_BUSY, "too many event streams: %d are open", LIVE_STREAMS_MAX);
    } else {
        return false;
    }
    return true;
}

static int start_pool(Live *l) {
    return l->pool ? 0 : work_pool_new(l->api->loop, "live", 1, &l->pool);
}

void live_add(Live *l, HttpExchange *x) {
    unsigned topics;
    Str unknown;
    if (!live_topics_parse(http_param(x, "topics"), &topics, &unknown)) {
        reply_error(x, API_BAD_DATA, "invalid parameter \"topics\": there is no topic \"%.*s\"",
                    SA(unknown));
        return;
    }
    drop_gone(l);
    if (refuse(l, x)) {
        return;
    }
    int r = start_pool(l);
    if (r < 0) {
        reply_error(x, API_BUSY, "no thread for event streams: %s", strerror(-r));
        return;
    }
    uint64_t at = resume_tick(l, x);
    if (!event_stream_begin(x)) {
        return;
    }
    Stream *s = NEW(Stream);
    *s = (Stream){
        .x = x, .topics = topics, .at = at, .begun = at ? topics : 0, .spoke_ns = clock_mono_ns()};
    vec_push(&l->streams, s);
    metric_set(l->gauge, (double)l->streams.n);
    if (l->busy) {
        l->again = true;
    } else {
        loop_timer_at(&l->timer, clock_wall_ms());
    }
}

/* ---- life */

Live *live_new(Api *api) {
    Live *l = NEW(Live);
    l->api = api;
    (void)snprintf(l->epoch, sizeof(l->epoch), "%016llx", (unsigned long long)random_u64());
    l->gauge = metric_gauge("narthex_live_streams", "Event streams that are open.", NULL);
    live_topics_init(&l->topics);
    loop_timer_init(&l->timer, api->loop, look, l);
    return l;
}

void live_stop(Live *l) {
    l->stopped = true;
    loop_timer_stop(&l->timer);
    for (size_t i = 0; i < l->streams.n; i++) {
        stream_end(l->streams.v[i]);
    }
    l->streams.n = 0;
    metric_set(l->gauge, 0);
}

void live_free(Live *l) {
    if (!l) {
        return;
    }
    live_stop(l);
    if (l->pool) {
        work_pool_free(l->pool);
    }
    clear_wants(l);
    live_topics_deinit(&l->topics);
    vec_free(&l->streams);
    mem_free(l);
}
