/* What the client says when there is no answer. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http_client.h"
#include "support/test.h"

typedef struct Fetch {
    Loop *loop;
    HttpClient *client;
    int calls;
    HttpCallOutcome outcome;
    char error[512];
} Fetch;

static void begin(Fetch *f) {
    *f = (Fetch){0};
    CHECK_INT(loop_new(&f->loop), 0);
    CHECK_INT(http_client_new(f->loop, &f->client), 0);
}

static void end(Fetch *f) {
    http_client_free(f->client);
    loop_free(f->loop);
}

static void on_done(void *arg, HttpCallResult *r) {
    Fetch *f = arg;
    f->calls++;
    f->outcome = r->outcome;
    snprintf(f->error, sizeof(f->error), "%s", r->error ? r->error : "");
    loop_stop(f->loop);
}

static void fetch(Fetch *f, const HttpCallRequest *r, HttpCallOutcome outcome, const char *error) {
    f->calls = 0;
    CHECK(http_call(f->client, r, on_done, f));
    CHECK_INT(f->calls, 0);
    loop_run(f->loop);
    CHECK_INT(f->calls, 1);
    CHECK_CSTR(f->error, error);
    CHECK_INT(f->outcome, outcome);
}

TEST (failures_are_worded_as_go_does) {
    Fetch f;
    begin(&f);
    HttpCallRequest r = {.method = "GET", .timeout_ms = 5000, .url = STR("http://127.0.0.1:1/m")};
    fetch(&f, &r, HTTP_CALL_FAILED,
          "Get \"http://127.0.0.1:1/m\": dial tcp 127.0.0.1:1: connect: connection refused");
    r.url = STR("http://user:secret@[::1]:1/m");
    r.method = "POST";
    fetch(&f, &r, HTTP_CALL_FAILED,
          "Post \"http://user:***@[::1]:1/m\": dial tcp [::1]:1: connect: connection refused");
    r.url = STR("ftp://x/");
    fetch(&f, &r, HTTP_CALL_FAILED, "Post \"ftp://x/\": unsupported protocol scheme \"ftp\"");
    HttpClientConfig c = {.has_basic_auth = true, .basic_password_file = STR("/nonexistent/p")};
    r.config = &c;
    r.url = STR("http://127.0.0.1:1/");
    fetch(&f, &r, HTTP_CALL_FAILED,
          "Post \"http://127.0.0.1:1/\": unable to read password: unable to read file "
          "/nonexistent/p: open /nonexistent/p: no such file or directory");
    end(&f);
}

/* A socket that takes connections into its backlog and never speaks. */
static int silent_port(int *fd) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    *fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(*fd, (struct sockaddr *)&a, n) == 0 && listen(*fd, 16) == 0);
    CHECK(getsockname(*fd, (struct sockaddr *)&a, &n) == 0);
    return ntohs(a.sin_port);
}

TEST (silence_ends_in_a_timeout) {
    Fetch f;
    begin(&f);
    int fd;
    char url[64], want[128];
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", silent_port(&fd));
    snprintf(want, sizeof(want), "Get \"%s\": context deadline exceeded", url);
    HttpCallRequest r = {.method = "GET", .url = str_of(url), .timeout_ms = 30};
    fetch(&f, &r, HTTP_CALL_TIMEOUT, want);
    close(fd);
    end(&f);
}

TEST (cancelled_calls_do_not_report) {
    Fetch f;
    begin(&f);
    int fd;
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", silent_port(&fd));
    HttpCallRequest r = {.method = "GET", .url = str_of(url), .timeout_ms = 30};
    HttpCall *calls[5];
    for (int i = 0; i < 5; i++) {
        calls[i] = http_call(f.client, &r, on_done, &f);
    }
    for (int i = 0; i < 4; i++) {
        http_call_cancel(calls[i]);
    }
    loop_run(f.loop);
    CHECK_INT(f.calls, 1);
    http_call(f.client, &r, on_done, &f);
    close(fd);
    end(&f);
    CHECK_INT(f.calls, 1);
}
