/* Real time, real sockets: a page over HTTP, compressed, into a storage. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/config.h"
#include "format/compress.h"
#include "scrape/scrape_manager.h"
#include "storage/mem_storage.h"
#include "support/test.h"

typedef struct Exporter {
    int fd;
    int port;
    pthread_t thread;
    atomic_int requests;
    atomic_bool compressed;
} Exporter;

static void answer(Exporter *e, int fd) {
    char request[4096];
    ssize_t n = recv(fd, request, sizeof(request) - 1, 0);
    if (n <= 0)
        return;
    request[n] = '\0';
    bool gzip = strstr(request, "Accept-Encoding: gzip") != NULL;
    Buf body = BUF_INIT(0), out = BUF_INIT(0);
    if (!gzip || gzip_encode(STR("# TYPE a counter\na{x=\"y\"} 42\n"), 0, &body) < 0)
        buf_add_cstr(&body, "wrong 1\n");
    buf_addf(&out,
             "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Encoding: "
             "gzip\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
             body.n);
    buf_add_str(&out, buf_str(&body));
    (void)!send(fd, out.p, out.n, MSG_NOSIGNAL); /* a scraper that went away is its own business */
    buf_deinit(&out);
    buf_deinit(&body);
    e->compressed = gzip;
    e->requests++;
}

static void *serve(void *arg) {
    Exporter *e = arg;
    for (int fd; (fd = accept(e->fd, NULL, NULL)) >= 0; close(fd))
        answer(e, fd);
    return NULL;
}

static void exporter_start(Exporter *e) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(at);
    *e = (Exporter){.fd = socket(AF_INET, SOCK_STREAM, 0)};
    CHECK(e->fd >= 0 && bind(e->fd, (struct sockaddr *)&at, sizeof(at)) == 0);
    CHECK(listen(e->fd, 8) == 0 && getsockname(e->fd, (struct sockaddr *)&at, &n) == 0);
    e->port = ntohs(at.sin_port);
    CHECK_INT(pthread_create(&e->thread, NULL, serve, e), 0);
}

static void exporter_stop(Exporter *e) {
    shutdown(e->fd, SHUT_RDWR);
    pthread_join(e->thread, NULL);
    close(e->fd);
}

typedef struct World {
    Loop *loop;
    ScrapeManager *manager;
    LoopTimer poll;
    unsigned polls;
    TargetHealth health;
    char last_error[200];
    Arena arena;
} World;

static int note(void *arg, const TargetView *t) {
    World *w = arg;
    w->health = t->health;
    (void)snprintf(w->last_error, sizeof(w->last_error), "%.*s", SA(t->last_error));
    return 0;
}

/* Ends the loop once a scrape has gone well, or after ten seconds. */
static void look(void *arg) {
    World *w = arg;
    (void)scrape_manager_each_active(w->manager, STR_NULL, note, w);
    if (w->health != TARGET_UNKNOWN || ++w->polls > 200) {
        scrape_manager_stop(w->manager);
        loop_stop(w->loop);
    } else {
        loop_timer_after(&w->poll, 50);
    }
}

TEST (a_compressed_page_is_scraped_over_the_loopback) {
    Exporter exporter;
    World w = {0};
    WorkPool *pool;
    HttpClient *client;
    Config *config = NULL;
    Problem problem = {0};
    char yaml[300];
    exporter_start(&exporter);
    CHECK_INT(loop_new(&w.loop), 0);
    CHECK_INT(work_pool_new(w.loop, "ingest", 2, &pool), 0);
    CHECK_INT(http_client_new(w.loop, &client), 0);
    Storage *storage = mem_storage_new();
    (void)snprintf(yaml, sizeof(yaml),
                   "scrape_configs:\n- job_name: j\n  scrape_interval: 1s\n"
                   "  static_configs: [{targets: ['127.0.0.1:%d']}]\n",
                   exporter.port);
    CHECK_INT(config_load(str_of(yaml), STR("t.yml"), 0, &config, &problem), 0);
    w.manager = scrape_manager_new(&(ScrapeManagerOptions){.loop = w.loop,
                                                           .client = client,
                                                           .pool = pool,
                                                           .storage = storage,
                                                           .owner_ref = config_ref_owner,
                                                           .owner_unref = config_unref_owner});
    scrape_manager_apply(w.manager, config->scrape, config->n_scrape, config, 0);
    TargetGroup *g = target_group_new(config->scrape[0]->sd.of[SD_STATIC].v, STR("0"), (Label){0});
    scrape_manager_on_groups(w.manager, STR("j"), &g, 1);
    target_group_unref(g);
    config_unref(config);
    loop_timer_init(&w.poll, w.loop, look, &w);
    loop_timer_after(&w.poll, 50);
    loop_run(w.loop);
    CHECK_CSTR(w.last_error, "");
    CHECK(w.health == TARGET_UP);
    CHECK(exporter.requests > 0 && exporter.compressed);
    work_pool_free(pool);
    scrape_manager_free(w.manager);
    http_client_free(client);
    loop_free(w.loop);
    exporter_stop(&exporter);

    Querier *q;
    StrVec names = {0};
    Warnings warnings = {.arena = &w.arena};
    CHECK_INT(storage_querier(storage, 0, INT64_MAX / 2, &q), 0);
    CHECK_INT(q->ops->label_values(q, LABEL_NAME, NULL, 0, 0, &w.arena, &warnings, &names), 0);
    CHECK_INT(names.n, 6);
    CHECK_STR(names.v[0], STR("a"));
    CHECK_STR(names.v[5], STR("up"));
    vec_free(&names);
    querier_close(q);
    warnings_free(&warnings);
    mem_storage_free(storage);
    arena_deinit(&w.arena);
}
