#include "base/clock.h"
#include "format/compress.h"
#include "unit/net/server_fixture.h"

static int dial(int port) {
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval t = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
    return fd;
}

/* Sends bytes, perhaps slowly, and reads until the server closes. */
typedef struct Talk {
    Fixture *f;
    Str say;
    size_t step; /* bytes at once; 0 = all */
    Buf heard;
    _Atomic int *left; /* talks that must end before the loop stops; NULL = only this one */
} Talk;

static void *talk_thread(void *arg) {
    Talk *t = arg;
    int fd = dial(t->f->port);
    for (size_t at = 0; at < t->say.n;) {
        size_t n = t->step && t->say.n - at > t->step ? t->step : t->say.n - at;
        ssize_t sent = send(fd, t->say.p + at, n, MSG_NOSIGNAL);
        if (sent < 0) {
            break;
        }
        at += (size_t)sent;
        if (t->step) {
            usleep(500);
        }
    }
    char b[65536];
    ssize_t n;
    while ((n = recv(fd, b, sizeof(b), 0)) > 0) {
        buf_add(&t->heard, b, (size_t)n);
    }
    close(fd);
    if (!t->left || atomic_fetch_sub(t->left, 1) == 1) {
        loop_post(t->f->loop, stop_now, t->f->loop);
    }
    return NULL;
}

static Buf talk(Fixture *f, Str say, size_t step) {
    Talk t = {f, say, step, BUF_INIT(0), NULL};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, talk_thread, &t) == 0);
    loop_run(f->loop);
    pthread_join(thread, NULL);
    CHECK(buf_cstr(&t.heard) || t.heard.n == 0);
    return t.heard;
}

static void check_talk(Fixture *f, const char *say, const char *want_start, const char *want_in) {
    CLEANUP(buf_deinit) Buf heard = talk(f, str_of(say), 0);
    Str got = buf_str(&heard);
    if (!str_starts(got, str_of(want_start)) ||
        (want_in[0] && str_find_str(got, str_of(want_in)) == got.n)) {
        test_fail(__FILE__, __LINE__, "%s\n# got: %.*s", say, SA(got));
    }
}

#define END "Host: a\r\nConnection: close\r\n\r\n"

TEST (plain_requests_are_answered) {
    Fixture f;
    fixture_begin(&f, (HttpServerOptions){0});
    check_talk(&f, "GET /hello HTTP/1.1\r\n" END, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n",
               "Content-Length: 5\r\nConnection: close\r\n\r\nhello");
    check_talk(&f, "HEAD /hello HTTP/1.1\r\n" END, "HTTP/1.1 200 OK\r\n", "Content-Length: 5\r\n");
    check_talk(&f, "GET /nope HTTP/1.1\r\n" END, "HTTP/1.1 404 Not Found\r\n",
               "\r\n\r\n404 page not found\n");
    check_talk(&f, "DELETE /echo HTTP/1.1\r\n" END, "HTTP/1.1 405 Method Not Allowed\r\n",
               "Allow: GET, HEAD, OPTIONS, POST, PUT\r\n");
    check_talk(&f, "GET /hello HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\nhello");
    check_talk(&f, "GET http://x:1/hello HTTP/1.1\r\n" END, "HTTP/1.1 200 OK\r\n", "hello");
    check_talk(&f, "GET /later HTTP/1.1\r\n" END, "HTTP/1.1 200 OK\r\n", "\r\n\r\nlater\n");
    CLEANUP(buf_deinit) Buf head = talk(&f, STR("HEAD /hello HTTP/1.1\r\n" END), 0);
    CHECK(str_ends(buf_str(&head), STR("\r\n\r\n")));
    fixture_end(&f);
}

TEST (parameters_come_from_body_then_query) {
    Fixture f;
    fixture_begin(&f, (HttpServerOptions){0});
    check_talk(&f, "GET /echo?match[]=a%20b&match%5B%5D=c+d&x HTTP/1.1\r\n" END, "HTTP/1.1 200",
               "1 /echo []  match[]=a b match[]=c d x= auth=");
    check_talk(&f,
               "POST /echo?q=2 HTTP/1.1\r\nContent-Length: 11\r\n"
               "Content-Type: application/x-www-form-urlencoded; charset=x\r\n" END "q=1&r=%2B%3",
               "HTTP/1.1 200", "4 /echo [] q=1&r=%2B%3 q=1 q=2 auth=");
    check_talk(&f, "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n" END "q=1", "HTTP/1.1 200",
               "[] q=1 auth=");
    check_talk(&f, "GET /api/v1/label/a%2Fb/values HTTP/1.1\r\n" END, "HTTP/1.1 200",
               "/api/v1/label/a/b/values [a/b]");
    check_talk(&f, "GET /static/x/y.js HTTP/1.1\r\n" END, "HTTP/1.1 200", "[x/y.js]");
    check_talk(&f, "GET /static/%zz HTTP/1.1\r\n" END, "HTTP/1.1 400", "");
    fixture_end(&f);
}

TEST (malformed_and_oversized_requests_are_refused) {
    Fixture f;
    fixture_begin(&f, (HttpServerOptions){.header_bytes_max = 2000});
    check_talk(&f, "GET /hello HTTP/1.1\r\nHost : a\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n",
               "400");
    check_talk(&f, "GET /hello HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", "HTTP/1.1 400", "");
    check_talk(&f,
               "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: "
               "chunked\r\n\r\n0\r\n\r\nGET /hello HTTP/1.1\r\n" END,
               "HTTP/1.1 400", "Connection: close\r\n");
    check_talk(&f, "POST /echo HTTP/1.1\r\nContent-Length: 2000000\r\n" END, "HTTP/1.1 413", "");
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_add_cstr(&b, "GET /");
    for (int i = 0; i < 300; i++) {
        buf_add_cstr(&b, "xxxxxxxxxx");
    }
    check_talk(&f, buf_cstr(&b), "HTTP/1.1 414", "");
    buf_reset(&b);
    buf_add_cstr(&b, "GET /hello HTTP/1.1\r\n");
    for (int i = 0; i < 300; i++) {
        buf_add_cstr(&b, "xxxxxxxxxx: y\r\n");
    }
    check_talk(&f, buf_cstr(&b), "HTTP/1.1 431", "");
    buf_reset(&b);
    buf_add_cstr(&b, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 20; i++) {
        buf_add_cstr(&b, "10000\r\n");
        for (int k = 0; k < 0x10000; k++) {
            buf_add_char(&b, 'a');
        }
        buf_add_cstr(&b, "\r\n");
    }
    check_talk(&f, buf_cstr(&b), "HTTP/1.1 413 Request Entity Too Large", "");
    fixture_end(&f);
}

TEST (pipelined_requests_are_answered_in_order) {
    Fixture f;
    fixture_begin(&f, (HttpServerOptions){0});
    static const char say[] = "GET /later HTTP/1.1\r\nHost: a\r\n\r\n"
                              "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none"
                              "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
                              "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"
                              "GET /echo?last HTTP/1.1\r\n" END;
    f.stream_bytes = 8000;
    for (size_t step = 0; step < 12; step += 11) {
        CLEANUP(buf_deinit) Buf heard = talk(&f, str_of(say), step);
        static const char *parts[] = {"later", "one auth", "hello", "000000000000499", "last="};
        Str rest = buf_str(&heard);
        for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
            size_t at = str_find_str(rest, str_of(parts[i]));
            if (at == rest.n) {
                test_fail(__FILE__, __LINE__, "no %s: %.*s", parts[i], SA(buf_str(&heard)));
            }
            rest = str_from(rest, at);
        }
    }
    fixture_end(&f);
}

TEST (expect_continue_is_answered_before_the_body) {
    Fixture f;
    fixture_begin(&f, (HttpServerOptions){0});
    check_talk(&f, "POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n" END "ab",
               "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", "[] ab");
    fixture_end(&f);
}

TEST (answers_are_compressed_when_asked_for) {
    Fixture f;
    fixture_begin(&f, (HttpServerOptions){0});
    static const char *asks[] = {"br, gzip;q=0.5, deflate", "deflate", "gzip;q=0, br"};
    static const char *codings[] = {"gzip", "deflate", NULL};
    for (int i = 0; i < 3; i++) {
        CLEANUP(buf_deinit) Buf say = BUF_INIT(0);
        buf_addf(&say, "GET /big HTTP/1.1\r\nAccept-Encoding: %s\r\n" END, asks[i]);
        CLEANUP(buf_deinit) Buf heard = talk(&f, buf_str(&say), 0);
        size_t end = str_find_str(buf_str(&heard), STR("\r\n\r\n"));
        Str head = str_upto(buf_str(&heard), end), body = str_from(buf_str(&heard), end + 4);
        CLEANUP(buf_deinit) Buf plain = BUF_INIT(0);
        CHECK(!codings[i] == (str_find_str(head, STR("Content-Encoding")) == head.n));
        CHECK(!codings[i] == (str_find_str(head, STR("Vary: Accept-Encoding")) == head.n));
        CHECK_INT(content_decode(str_of(codings[i]), body, 1 << 20, &plain), 0);
        CHECK(str_ends(buf_str(&plain), STR("metric_9999 1\n")));
        CHECK(!codings[i] || body.n < plain.n / 3);
    }
    check_talk(&f, "GET /hello HTTP/1.1\r\nAccept-Encoding: gzip\r\n" END, "HTTP/1.1 200",
               "\r\n\r\nhello");
    fixture_end(&f);
}

TEST (cors_follows_the_configured_origins) {
    Fixture f;
    fixture_begin(&f, (HttpServerOptions){.cors_origin = STR("https?://good.*")});
    const char *path = "GET /api/v1/label/a/values HTTP/1.1\r\nOrigin: %s\r\n" END;
    char say[256];
    snprintf(say, sizeof(say), path, "http://good.x");
    check_talk(&f, say, "HTTP/1.1 200", "Access-Control-Allow-Origin: http://good.x\r\n");
    snprintf(say, sizeof(say), path, "http://bad.x");
    CLEANUP(buf_deinit) Buf heard = talk(&f, str_of(say), 0);
    CHECK(strstr(heard.p, "Vary: Origin\r\n") && !strstr(heard.p, "Access-Control"));
    check_talk(&f, "OPTIONS /api/v1/whatever HTTP/1.1\r\n" END, "HTTP/1.1 204 No Content\r\n",
               "Vary: Origin\r\n");
    fixture_end(&f);
}

TEST (route_prefix_is_required) {
    Fixture f;
    fixture_begin(&f, (HttpServerOptions){.route_prefix = STR("/prom")});
    check_talk(&f, "GET /prom/hello HTTP/1.1\r\n" END, "HTTP/1.1 200", "hello");
    check_talk(&f, "GET /hello HTTP/1.1\r\n" END, "HTTP/1.1 404", "");
    fixture_end(&f);
}

static bool always_starting(HttpExchange *x, void *arg) {
    http_respond_text(x, 503, "Service Unavailable");
    return false;
}

TEST (a_hook_may_answer_first) {
    Fixture f;
    fixture_begin(&f, (HttpServerOptions){.before = always_starting});
    check_talk(&f, "GET /hello HTTP/1.1\r\n" END, "HTTP/1.1 503 Service Unavailable\r\n", "");
    fixture_end(&f);
}

TEST (a_request_that_dribbles_in_is_cut_off) {
    Fixture f;
    fixture_begin(&f, (HttpServerOptions){.read_timeout_ms = 100});
    static const char say[] =
        "GET /hello HTTP/1.1\r\nHost: a\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    CLEANUP(buf_deinit) Buf heard = talk(&f, str_of(say), 1);
    CHECK_INT(heard.n, 0);
    CLEANUP(buf_deinit) Buf silence = talk(&f, STR(""), 0);
    CHECK_INT(silence.n, 0);
    fixture_end(&f);
}

typedef struct Watcher {
    LoopTimer timer;
    HttpServer *server;
    uint64_t most;
} Watcher;

static void look(void *arg) {
    Watcher *w = arg;
    uint64_t n = http_server_connections(w->server);
    w->most = n > w->most ? n : w->most;
    loop_timer_after(&w->timer, 2);
}

TEST (more_connections_than_allowed_wait_for_their_turn) {
    enum { N = 8 };
    Fixture f;
    fixture_begin(&f, (HttpServerOptions){.connections_max = 2});
    Talk t[N];
    pthread_t thread[N];
    _Atomic int left = N;
    Watcher w = {.server = f.server};
    loop_timer_init(&w.timer, f.loop, look, &w);
    look(&w);
    for (int i = 0; i < N; i++) {
        t[i] = (Talk){&f, STR("GET /later HTTP/1.1\r\n" END), 0, BUF_INIT(0), &left};
        CHECK(pthread_create(&thread[i], NULL, talk_thread, &t[i]) == 0);
    }
    loop_run(f.loop);
    for (int i = 0; i < N; i++) {
        pthread_join(thread[i], NULL);
        CHECK(str_ends(buf_str(&t[i].heard), STR("later\n")));
        buf_deinit(&t[i].heard);
    }
    CHECK_INT(w.most, 2);
    loop_timer_stop(&w.timer);
    fixture_end(&f);
}

TEST (silent_connections_make_room_for_a_request) {
    Fixture f;
    fixture_begin(&f, (HttpServerOptions){.connections_max = 3});
    int silent[8];
    for (size_t i = 0; i < ARRAY_LEN(silent); i++) {
        silent[i] = dial(f.port);
    }
    CLEANUP(buf_deinit) Buf heard = talk(&f, STR("GET /hello HTTP/1.1\r\n" END), 0);
    CHECK(str_ends(buf_str(&heard), STR("hello")));
    CHECK(http_server_connections(f.server) <= 3);
    for (size_t i = 0; i < ARRAY_LEN(silent); i++) {
        close(silent[i]);
    }
    fixture_end(&f);
}

/* ---- streams ---- */

TEST (streamed_answers_arrive_whole) {
    Fixture f;
    fixture_begin(&f, (HttpServerOptions){0});
    f.stream_bytes = 5000000;
    CLEANUP(buf_deinit) Buf plain = talk(&f, STR("GET /stream HTTP/1.0\r\n\r\n"), 0);
    size_t end = str_find_str(buf_str(&plain), STR("\r\n\r\n"));
    CHECK_INT(plain.n - end - 4, (5000000 + 7999) / 8000 * 8000);
    CLEANUP(buf_deinit) Buf chunked = talk(&f, STR("GET /stream HTTP/1.1\r\n" END), 0);
    CHECK(strstr(chunked.p, "Transfer-Encoding: chunked\r\n"));
    CHECK(str_ends(buf_str(&chunked), STR("\r\n0\r\n\r\n")));
    CLEANUP(buf_deinit) Buf head = talk(&f, STR("HEAD /stream HTTP/1.1\r\n" END), 0);
    CHECK(str_ends(buf_str(&head), STR("\r\n\r\n")) && head.n < 500);
    CLEANUP(buf_deinit)
    Buf packed = talk(&f, STR("GET /stream HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n"), 0);
    end = str_find_str(buf_str(&packed), STR("\r\n\r\n"));
    CLEANUP(buf_deinit) Buf text = BUF_INIT(0);
    CHECK_INT(gzip_decode(str_from(buf_str(&packed), end + 4), 6000000, &text), 0);
    CHECK_INT(text.n, (5000000 + 7999) / 8000 * 8000);
    fixture_end(&f);
}

typedef struct Rude {
    Fixture *f;
    const char *say;
    uint64_t at_most; /* produced while nobody reads */
} Rude;

/* Asks, does not read, looks how much was produced, and hangs up. */
static void *rude_thread(void *arg) {
    Rude *r = arg;
    int fd = dial(r->f->port);
    CHECK(send(fd, r->say, strlen(r->say), MSG_NOSIGNAL) > 0);
    uint64_t last = 0;
    for (int same = 0; same < 10;) {
        usleep(20000);
        uint64_t now = atomic_load(&r->f->produced);
        same = now == last ? same + 1 : 0;
        last = now;
    }
    r->at_most = last;
    close(fd);
    for (int i = 0; i < 500 && atomic_load(&r->f->cancelled) == 0; i++) {
        usleep(10000);
    }
    loop_post(r->f->loop, stop_now, r->f->loop);
    return NULL;
}

static void be_rude(Fixture *f, Rude *r) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, rude_thread, r) == 0);
    loop_run(f->loop);
    pthread_join(thread, NULL);
}

TEST (a_slow_reader_holds_up_only_its_own_worker) {
    Fixture f;
    fixture_begin(&f, (HttpServerOptions){0});
    f.stream_bytes = (uint64_t)1 << 30;
    Rude r = {&f, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n", 0};
    be_rude(&f, &r);
    CHECK(r.at_most > 1 << 20 && r.at_most < 64 << 20);
    CHECK_INT(atomic_load(&f.cancelled), 1);
    fixture_end(&f);
}

TEST (a_hung_up_client_cancels_its_query) {
    Fixture f;
    fixture_begin(&f, (HttpServerOptions){0});
    Rude r = {&f, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n", 0};
    be_rude(&f, &r);
    CHECK_INT(atomic_load(&f.cancelled), 1);
    fixture_end(&f);
}

/* ---- the end ---- */

static void *stop_while_busy(void *arg) {
    Fixture *f = arg;
    int fd = dial(f->port);
    static const char say[] = "GET /later HTTP/1.1\r\nHost: a\r\n\r\n";
    CHECK(send(fd, say, sizeof(say) - 1, MSG_NOSIGNAL) > 0);
    usleep(5000);
    loop_post(f->loop, stop_now, f->loop);
    char b[1000];
    ssize_t n, all = 0;
    while ((n = recv(fd, b + all, sizeof(b) - (size_t)all, 0)) > 0) {
        all += n;
    }
    close(fd);
    CHECK(all > 0 && str_find_str(str_n(b, (size_t)all), STR("later")) < (size_t)all);
    return NULL;
}

TEST (a_running_request_is_finished_before_the_end) {
    Fixture f;
    fixture_begin(&f, (HttpServerOptions){0});
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, stop_while_busy, &f) == 0);
    loop_run(f.loop);
    http_server_stop(f.server, 5000, stop_now, f.loop);
    loop_run(f.loop);
    pthread_join(thread, NULL);
    http_server_free(f.server);
    work_pool_free(f.pool);
    loop_free(f.loop);
}

TEST (addresses_that_cannot_be_used_are_named) {
    Fixture f;
    fixture_begin(&f, (HttpServerOptions){0});
    Problem p = {0};
    char address[64];
    snprintf(address, sizeof(address), "127.0.0.1:%d", f.port);
    CHECK_INT(http_server_listen(f.server, address, NULL, &p), -EADDRINUSE);
    CHECK(strstr(p.text, address) && strstr(p.text, "address already in use"));
    CHECK(http_server_listen(f.server, "localhost", NULL, &p) < 0);
    CHECK(strstr(p.text, "missing port"));
    CHECK(http_server_listen(f.server, "127.0.0.1:x", NULL, &p) < 0);
    int port = 0;
    CHECK_INT(http_server_listen(f.server, ":0", &port, &p), 0);
    CHECK(port > 0);
    CHECK_INT(http_server_listen(f.server, "[::1]:0", &port, &p), 0);
    fixture_end(&f);
}
