/* Our client against our server, on one loop. */
#include "format/compress.h"
#include "net/http_client.h"
#include "unit/net/server_fixture.h"

typedef struct Answer {
    Fixture f;
    HttpClient *client;
    char url[128];
    int left;
    HttpCallOutcome outcome;
    int status;
    Buf body;
    char error[512], status_text[64], encoding[32];
} Answer;

static void begin(Answer *a) {
    *a = (Answer){0};
    fixture_begin(&a->f, (HttpServerOptions){0});
    CHECK_INT(http_client_new(a->f.loop, &a->client), 0);
}

static void end(Answer *a) {
    http_client_free(a->client);
    fixture_end(&a->f);
    buf_deinit(&a->body);
}

static void on_answer(void *arg, HttpCallResult *r) {
    Answer *a = arg;
    a->outcome = r->outcome;
    a->status = r->status;
    buf_deinit(&a->body);
    a->body = *r->body;
    *r->body = (Buf){0};
    snprintf(a->error, sizeof(a->error), "%s", r->error ? r->error : "");
    snprintf(a->status_text, sizeof(a->status_text), "%s", r->status_text);
    snprintf(a->encoding, sizeof(a->encoding), "%.*s", SA(r->content_encoding));
    if (--a->left == 0) {
        loop_stop(a->f.loop);
    }
}

static void get(Answer *a, const char *path, HttpCallRequest r) {
    snprintf(a->url, sizeof(a->url), "http://127.0.0.1:%d%s", a->f.port, path);
    r.method = r.method ? r.method : "GET";
    r.url = str_of(a->url);
    r.timeout_ms = r.timeout_ms ? r.timeout_ms : 10000;
    a->left = 1;
    http_call(a->client, &r, on_answer, a);
    loop_run(a->f.loop);
}

TEST (answers_arrive_with_status_and_body) {
    Answer a;
    begin(&a);
    get(&a, "/hello", (HttpCallRequest){0});
    CHECK(a.outcome == HTTP_CALL_OK && a.status == 200);
    CHECK_STR(buf_str(&a.body), STR("hello"));
    CHECK_CSTR(a.status_text, "200 OK");
    get(&a, "/nope", (HttpCallRequest){0});
    CHECK(a.outcome == HTTP_CALL_OK && a.status == 404);
    CHECK_CSTR(a.status_text, "404 Not Found");
    get(&a, "/hello", (HttpCallRequest){.method = "HEAD"});
    CHECK(a.status == 200 && a.body.n == 0);
    get(&a, "/echo?x=1", (HttpCallRequest){.method = "PUT", .body = STR("text")});
    CHECK_STR(buf_str(&a.body), STR("8 /echo [] text x=1 auth="));
    end(&a);
}

TEST (redirects_are_followed_if_wanted_and_not_forever) {
    Answer a;
    begin(&a);
    get(&a, "/redirect", (HttpCallRequest){0});
    CHECK_INT(a.status, 200);
    CHECK_STR(buf_str(&a.body), STR("hello"));
    HttpClientConfig no = {.follow_redirects = false};
    get(&a, "/redirect", (HttpCallRequest){.config = &no});
    CHECK_INT(a.status, 302);
    get(&a, "/loop", (HttpCallRequest){0});
    CHECK_INT(a.outcome, HTTP_CALL_FAILED);
    CHECK(strstr(a.error, "stopped after 10 redirects"));
    end(&a);
}

TEST (credentials_and_headers_are_sent) {
    Answer a;
    begin(&a);
    HttpClientConfig basic = {
        .has_basic_auth = true, .basic_username = STR("u"), .basic_password = STR("p:w")};
    get(&a, "/echo", (HttpCallRequest){.config = &basic});
    CHECK(str_ends(buf_str(&a.body), STR("auth=Basic dTpwOnc=")));
    HttpHeader h = {STR("X-None"), STR("")};
    HttpClientConfig bearer = {.has_authorization = true,
                               .authorization_credentials = STR("tok"),
                               .headers = &h,
                               .n_headers = 1};
    get(&a, "/echo", (HttpCallRequest){.config = &bearer});
    CHECK(str_ends(buf_str(&a.body), STR("auth=Bearer tok")));
    HttpHeader own = {STR("authorization"), STR("Own x")};
    get(&a, "/echo", (HttpCallRequest){.headers = &own, .n_headers = 1});
    CHECK(str_ends(buf_str(&a.body), STR("auth=Own x")));
    end(&a);
}

TEST (bodies_have_a_ceiling_and_calls_a_timeout) {
    Answer a;
    begin(&a);
    get(&a, "/big", (HttpCallRequest){.body_bytes_max = 1000});
    CHECK_INT(a.outcome, HTTP_CALL_TOO_LARGE);
    get(&a, "/hello", (HttpCallRequest){.body_bytes_max = 5});
    CHECK_INT(a.outcome, HTTP_CALL_TOO_LARGE);
    get(&a, "/hello", (HttpCallRequest){.body_bytes_max = 6});
    CHECK_INT(a.outcome, HTTP_CALL_OK);
    get(&a, "/wait", (HttpCallRequest){.timeout_ms = 50});
    CHECK_INT(a.outcome, HTTP_CALL_TIMEOUT);
    CHECK(strstr(a.error, ": context deadline exceeded"));
    end(&a);
}

TEST (compressed_bodies_come_as_sent) {
    Answer a;
    begin(&a);
    HttpHeader h = {STR("Accept-Encoding"), STR("gzip")};
    for (int i = 0; i < 2; i++) {
        get(&a, i ? "/stream" : "/big", (HttpCallRequest){.headers = &h, .n_headers = 1});
        CHECK_CSTR(a.encoding, "gzip");
        CLEANUP(buf_deinit) Buf plain = BUF_INIT(0);
        CHECK_INT(content_decode(str_of(a.encoding), buf_str(&a.body), 1 << 22, &plain), 0);
        CHECK_INT(plain.n, i ? 1000000 : 138890);
    }
    end(&a);
}

TEST (large_posts_go_through) {
    Answer a;
    begin(&a);
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    while (b.n < 5 << 20) {
        buf_add_cstr(&b, "0123456789abcdef");
    }
    get(&a, "/large", (HttpCallRequest){.method = "POST", .body = buf_str(&b)});
    CHECK_INT(a.status, 200);
    CHECK(a.body.n > b.n);
    get(&a, "/echo", (HttpCallRequest){.method = "POST", .body = buf_str(&b)});
    CHECK(a.status == 413 || a.outcome == HTTP_CALL_FAILED);
    end(&a);
}

TEST (many_calls_share_few_connections) {
    Answer a;
    begin(&a);
    snprintf(a.url, sizeof(a.url), "http://127.0.0.1:%d/hello", a.f.port);
    HttpCallRequest r = {.method = "GET", .url = str_of(a.url), .timeout_ms = 10000};
    for (int round = 0; round < 5; round++) {
        a.left = 40;
        for (int i = 0; i < 40; i++) {
            http_call(a.client, &r, on_answer, &a);
        }
        loop_run(a.f.loop);
        CHECK_INT(a.status, 200);
    }
    CHECK(http_server_connections(a.f.server) <= 40);
    end(&a);
}
