#include "net/http_client.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <uv.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/http_call.h"

/* Connections kept open: enough for one to every target of a large server. */
#define CONNECTIONS_KEPT 20000L
#define IDLE_CALLS_MAX 256
#define IDLE_BODY_BYTES_MAX ((size_t)1 << 20)

struct HttpClient {
    Loop *loop;
    CURLM *multi;
    uv_timer_t timer;
    unsigned handles_open; /* libuv handles that must close before the memory goes */
    bool ending;
    HttpCall *calls; /* under way */
    HttpCall *idle;  /* finished, kept with their easy handle */
    unsigned n_idle;
    LoopTimer failed; /* reports calls that could not be started */
};

/* One socket of libcurl's under libuv's watch. */
typedef struct Watch {
    uv_poll_t poll;
    HttpClient *client;
    curl_socket_t fd;
} Watch;

static void release_handle(HttpClient *c) {
    if (--c->handles_open == 0 && c->ending) {
        mem_free(c);
    }
}

/* ---- calls ---- */

static HttpCall *new_call(HttpClient *c) {
    HttpCall *call = c->idle;
    if (call) {
        c->idle = call->next;
        c->n_idle--;
        return call;
    }
    call = NEW(HttpCall);
    call->easy = curl_easy_init();
    call->client = c;
    call->arena = ARENA_INIT(0);
    return call;
}

static void free_call(HttpCall *call) {
    curl_easy_cleanup(call->easy);
    arena_deinit(&call->arena);
    buf_deinit(&call->body);
    mem_free(call);
}

static void unlink_call(HttpCall *call) {
    HttpClient *c = call->client;
    *(call->prev ? &call->prev->next : &c->calls) = call->next;
    if (call->next) {
        call->next->prev = call->prev;
    }
}

/* Ends a call for good: kept for the next one, connection and all. */
static void recycle(HttpCall *call) {
    HttpClient *c = call->client;
    unlink_call(call);
    http_call_forget_secrets(call);
    if (call->added) {
        curl_multi_remove_handle(c->multi, call->easy);
    }
    curl_easy_reset(call->easy);
    curl_slist_free_all(call->headers);
    curl_slist_free_all(call->connect_to);
    mem_free(call->setup_error);
    arena_reset(&call->arena);
    if (call->body.cap > IDLE_BODY_BYTES_MAX) {
        buf_deinit(&call->body);
    }
    buf_reset(&call->body);
    *call = (HttpCall){.client = c, .easy = call->easy, .arena = call->arena, .body = call->body};
    if (c->n_idle >= IDLE_CALLS_MAX || c->ending) {
        free_call(call);
        return;
    }
    call->next = c->idle;
    c->idle = call;
    c->n_idle++;
}

static HttpCallOutcome outcome_of(const HttpCall *call, CURLcode code) {
    if (call->too_large) {
        return HTTP_CALL_TOO_LARGE;
    }
    return code == CURLE_OK                   ? HTTP_CALL_OK
           : code == CURLE_OPERATION_TIMEDOUT ? HTTP_CALL_TIMEOUT
                                              : HTTP_CALL_FAILED;
}

static void finish(HttpCall *call, CURLcode code) {
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    HttpCallResult r = {
        .outcome = call->setup_error ? HTTP_CALL_FAILED : outcome_of(call, code),
        .status = (int)status,
        .status_text = call->status_text.p ? call->status_text.p : "",
        .content_type = call->content_type,
        .content_encoding = call->content_encoding,
        .retry_after = call->retry_after,
        .body = &call->body,
        .duration_ns = clock_mono_ns() - call->start_ns,
    };
    if (r.outcome == HTTP_CALL_TOO_LARGE) {
        r.error = "body size limit exceeded";
    } else if (r.outcome != HTTP_CALL_OK) {
        r.error = http_call_error(call, code);
    }
    call->finishing = true;
    call->fn(call->arg, &r);
    recycle(call);
}

static void report_finished(HttpClient *c) {
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(c->multi, &left))) {
        HttpCall *call = NULL;
        if (m->msg == CURLMSG_DONE) {
            CURLcode code = m->data.result;
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &call);
            finish(call, code);
        }
    }
}

static void on_failed(void *arg) {
    HttpClient *c = arg;
    for (HttpCall *call = c->calls; call;) {
        HttpCall *next = call->next;
        if (call->setup_error && !call->finishing) {
            finish(call, CURLE_FAILED_INIT);
            next = c->calls; /* the callback may have changed the list */
        }
        call = next;
    }
}

/* It begins when libcurl's timer says so, that is from the loop. */
static void begin(HttpCall *call, const HttpClientConfig *f) {
    HttpClient *c = call->client;
    if (!call->setup_error) {
        http_call_setup_secrets(call, f);
        CURLMcode m = curl_multi_add_handle(c->multi, call->easy);
        call->added = m == CURLM_OK;
        if (m != CURLM_OK) {
            call->setup_error = mem_strdup(curl_multi_strerror(m));
        }
    }
    if (call->setup_error) {
        loop_timer_after(&c->failed, 0);
    }
}

static void begin_with_secrets(HttpCall *call) { begin(call, &call->config); }

HttpCall *http_call(HttpClient *c, const HttpCallRequest *r,
                    void (*fn)(void *arg, HttpCallResult *r), void *arg) {
    HttpCall *call = new_call(c);
    call->fn = fn;
    call->arg = arg;
    call->start_ns = clock_mono_ns();
    call->url = arena_str(&call->arena, r->url);
    snprintf(call->method, sizeof(call->method), "%s", r->method);
    call->next = c->calls;
    if (c->calls) {
        c->calls->prev = call;
    }
    c->calls = call;
    http_call_setup(call, r);
    if (http_call_read_secrets(call, r->config, loop_uv(c->loop), begin_with_secrets)) {
        http_call_keep_config(call, r->config);
    } else {
        begin(call, r->config);
    }
    return call;
}

void http_call_cancel(HttpCall *call) {
    if (call && !call->finishing) {
        recycle(call);
    }
}

/* ---- libcurl under libuv ---- */

static void on_watch_closed(uv_handle_t *h) {
    Watch *w = h->data;
    HttpClient *c = w->client;
    mem_free(w);
    release_handle(c);
}

static void on_socket_ready(uv_poll_t *h, int status, int events) {
    Watch *w = h->data;
    HttpClient *c = w->client;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    flags |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    int running;
    curl_multi_socket_action(c->multi, w->fd, flags, &running);
    report_finished(c);
}

static Watch *new_watch(HttpClient *c, curl_socket_t fd) {
    Watch *w = NEW(Watch);
    w->client = c;
    w->fd = fd;
    w->poll.data = w;
    if (uv_poll_init_socket(loop_uv(c->loop), &w->poll, fd) < 0) {
        mem_free(w);
        return NULL;
    }
    c->handles_open++;
    return w;
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket) {
    HttpClient *c = arg;
    Watch *w = of_socket;
    if (what == CURL_POLL_REMOVE) {
        if (w) {
            uv_poll_stop(&w->poll);
            uv_close((uv_handle_t *)&w->poll, on_watch_closed);
            curl_multi_assign(c->multi, fd, NULL);
        }
        return 0;
    }
    if (!w) {
        w = new_watch(c, fd);
        if (!w) {
            return -1;
        }
        curl_multi_assign(c->multi, fd, w);
    }
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    uv_poll_start(&w->poll, events, on_socket_ready);
    return 0;
}

static void on_timer(uv_timer_t *t) {
    HttpClient *c = t->data;
    int running;
    curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    report_finished(c);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *arg) {
    HttpClient *c = arg;
    if (timeout_ms < 0) {
        uv_timer_stop(&c->timer);
    } else {
        uv_timer_start(&c->timer, on_timer, (uint64_t)timeout_ms, 0);
    }
    return 0;
}

static void init_curl(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    /* TLS writes to a connection the peer has closed; the error code is enough. */
    signal(SIGPIPE, SIG_IGN);
}

int http_client_new(Loop *l, HttpClient **ret) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (loop_is_virtual(l)) {
        return -ENOTSUP;
    }
    pthread_once(&once, init_curl);
    HttpClient *c = NEW(HttpClient);
    c->loop = l;
    c->multi = curl_multi_init();
    if (!c->multi) {
        mem_free(c);
        return err_trace(-ENOMEM);
    }
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
    curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    uv_timer_init(loop_uv(l), &c->timer);
    c->timer.data = c;
    c->handles_open = 1;
    loop_timer_init(&c->failed, l, on_failed, c);
    *ret = c;
    return 0;
}

static void on_timer_closed(uv_handle_t *h) { release_handle(h->data); }

void http_client_free(HttpClient *c) {
    if (!c) {
        return;
    }
    c->ending = true;
    loop_timer_stop(&c->failed);
    while (c->calls) {
        assert(!c->calls->finishing); /* not from within a callback */
        recycle(c->calls);
    }
    while (c->idle) {
        HttpCall *next = c->idle->next;
        free_call(c->idle);
        c->idle = next;
    }
    curl_multi_cleanup(c->multi);
    uv_timer_stop(&c->timer);
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}
