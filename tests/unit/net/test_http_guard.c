/* Users, headers and the rate limit before the routes of a real server. */
#include "net/http_client.h"
#include "net/http_guard.h"
#include <sys/un.h>

#include "unit/net/server_fixture.h"

/* Of "a", "abc" and "" in the vectors that bcrypt's implementations share. */
#define HASH_A STR("$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe")
#define HASH_ABC STR("$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i")
#define HASH_EMPTY STR("$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.")

TEST (bcrypt_hashes_verify_their_passwords_only) {
    CHECK(bcrypt_verify(HASH_A, STR("a")));
    CHECK(bcrypt_verify(HASH_ABC, STR("abc")));
    CHECK(bcrypt_verify(HASH_EMPTY, STR("")));
    CHECK(bcrypt_verify(HASH_EMPTY, STR_NULL));
    CHECK(!bcrypt_verify(HASH_A, STR("b")));
    CHECK(!bcrypt_verify(HASH_A, STR("")));
    CHECK(!bcrypt_verify(HASH_ABC, STR("abcd")));
    CHECK(!bcrypt_verify(HASH_ABC, STR("abc\0x")));
    CHECK(!bcrypt_verify(HASH_EMPTY, STR("\0")));
}

TEST (the_minor_version_of_a_hash_does_not_matter) {
    char hash[61];
    snprintf(hash, sizeof(hash), "%s", HASH_A.p);
    for (const char *minor = "abxyz1"; *minor; minor++) {
        hash[2] = *minor;
        CHECK(bcrypt_verify(str_of(hash), STR("a")));
    }
}

TEST (only_72_bytes_of_a_password_count) {
    char a[200], b[200];
    memset(a, 'x', sizeof(a));
    memset(b, 'x', sizeof(b));
    b[72] = 'y';
    CHECK(!bcrypt_verify(HASH_A, str_n(a, sizeof(a))));
    CHECK(bcrypt_verify(HASH_A, str_n("a", 1)));
    CHECK_INT(memcmp(a, b, 72), 0);
}

TEST (what_is_no_hash_is_refused_at_every_length) {
    Problem p = {0};
    CHECK_INT(bcrypt_check(HASH_A, &p), 0);
    for (size_t n = 0; n < 59; n++) {
        CHECK(bcrypt_check(str_upto(HASH_A, n), &p) < 0);
        CHECK(!bcrypt_verify(str_upto(HASH_A, n), STR("a")));
    }
    CHECK(!bcrypt_verify(str_upto(HASH_A, 59), STR("a")));
}

typedef struct Guarded {
    Fixture f;
    HttpClient *client;
    HttpGuard *guard;
    WorkPool *pool;
    int left, status;
    char body[256], url[64];
} Guarded;

static void begin(Guarded *t, const HttpGuardConfig *c) {
    *t = (Guarded){0};
    /* The guard needs the loop, the loop is the fixture's: its server is made again. */
    fixture_begin(&t->f, (HttpServerOptions){0});
    http_server_free(t->f.server);
    CHECK_INT(work_pool_new(t->f.loop, "password", 1, &t->pool), 0);
    t->guard = http_guard_new(t->f.loop, t->pool);
    http_guard_apply(t->guard, c);
    HttpServerOptions o = {.routes = fixture_routes,
                           .n_routes = ARRAY_LEN(fixture_routes),
                           .arg = &t->f,
                           .admit = http_guard_admit,
                           .admit_arg = t->guard};
    CHECK_INT(http_server_new(t->f.loop, &o, &t->f.server), 0);
    CHECK_INT(http_server_listen(t->f.server, "127.0.0.1:0", &t->f.port, NULL), 0);
    CHECK_INT(http_client_new(t->f.loop, &t->client), 0);
}

static void end(Guarded *t) {
    http_client_free(t->client);
    work_pool_free(t->pool);
    fixture_end(&t->f);
    http_guard_free(t->guard);
}

static void on_answer(void *arg, HttpCallResult *r) {
    Guarded *t = arg;
    t->status = r->status;
    snprintf(t->body, sizeof(t->body), "%.*s", SA(buf_str(r->body)));
    if (--t->left == 0) {
        loop_stop(t->f.loop);
    }
}

static int ask(Guarded *t, const char *user, const char *password, int times) {
    snprintf(t->url, sizeof(t->url), "http://127.0.0.1:%d/hello", t->f.port);
    HttpClientConfig c = {.has_basic_auth = user != NULL,
                          .basic_username = str_of(user),
                          .basic_password = str_of(password)};
    HttpCallRequest r = {.method = "GET", .url = str_of(t->url), .timeout_ms = 30000, .config = &c};
    t->left = times;
    for (int i = 0; i < times; i++) {
        http_call(t->client, &r, on_answer, t);
    }
    loop_run(t->f.loop);
    return t->status;
}

TEST (users_are_checked_once_and_then_known) {
    Guarded t;
    HttpUser users[] = {{STR("ann"), HASH_A}, {STR("bob"), HASH_ABC}};
    begin(&t, &(HttpGuardConfig){.users = users, .n_users = 2});
    CHECK_INT(ask(&t, NULL, NULL, 1), 401);
    CHECK_INT(http_guard_checks(t.guard), 0);
    CHECK_INT(ask(&t, "ann", "a", 20), 200);
    CHECK_CSTR(t.body, "hello");
    CHECK_INT(http_guard_checks(t.guard), 1);
    CHECK_INT(ask(&t, "ann", "b", 1), 401);
    CHECK_CSTR(t.body, "Unauthorized\n");
    CHECK_INT(ask(&t, "eve", "a", 1), 401);
    CHECK_INT(http_guard_checks(t.guard), 3); /* unknown names cost a check too */
    CHECK_INT(ask(&t, "bob", "abc", 1), 200);
    CHECK_INT(ask(&t, "bob", "a", 1), 401);
    end(&t);
}

TEST (a_changed_password_shuts_out_the_old_one) {
    Guarded t;
    HttpUser before = {STR("ann"), HASH_A}, after = {STR("ann"), HASH_ABC};
    begin(&t, &(HttpGuardConfig){.users = &before, .n_users = 1});
    CHECK_INT(ask(&t, "ann", "a", 1), 200);
    http_guard_apply(t.guard, &(HttpGuardConfig){.users = &after, .n_users = 1});
    CHECK_INT(ask(&t, "ann", "a", 1), 401);
    CHECK_INT(ask(&t, "ann", "abc", 1), 200);
    end(&t);
}

TEST (a_burst_is_let_through_and_no_more) {
    Guarded t;
    begin(&t, &(HttpGuardConfig){.rate_interval_ns = INT64_C(3600) * 1000000000, .rate_burst = 2});
    CHECK_INT(ask(&t, NULL, NULL, 1), 200);
    CHECK_INT(ask(&t, NULL, NULL, 1), 200);
    CHECK_INT(ask(&t, NULL, NULL, 1), 429);
    CHECK_CSTR(t.body, "Too Many Requests\n");
    end(&t);
}

/* Answers one request on a Unix socket. */
static void *serve_unix(void *arg) {
    char got[1000];
    int fd = accept(*(int *)arg, NULL, NULL);
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nunix";
    if (recv(fd, got, sizeof(got), 0) > 0) {
        (void)!write(fd, answer, sizeof(answer) - 1);
    }
    close(fd);
    return NULL;
}

TEST (requests_go_to_unix_sockets) {
    Guarded t;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "/tmp/narthex-unit-%d.sock", (int)getpid());
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_INT(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
    CHECK_INT(listen(listener, 1), 0);
    pthread_t thread;
    pthread_create(&thread, NULL, serve_unix, &listener);
    begin(&t, &(HttpGuardConfig){0});
    t.left = 1;
    http_call(t.client,
              &(HttpCallRequest){.method = "GET",
                                 .url = STR("http://localhost/x"),
                                 .unix_socket = str_of(a.sun_path),
                                 .timeout_ms = 10000},
              on_answer, &t);
    loop_run(t.f.loop);
    CHECK_INT(t.status, 200);
    CHECK_CSTR(t.body, "unix");
    end(&t);
    pthread_join(thread, NULL);
    close(listener);
    unlink(a.sun_path);
}
