/*
 * What a remote-write request costs before the storage: 5,000 series of ten labels with one sample
 * each, into a storage that only counts. First with labels to decode, then with series known.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "remote/remote_write.h"

#define SERIES 5000
#define ROUNDS 200

typedef struct Counter {
    Storage storage;
    Appender appender;
    SeriesRef refs;
    bool forgetful; /* knows no ref */
    double sum;
} Counter;

static int count_append(Appender *a, SeriesRef *ref, Labels labels, int64_t t, double v,
                        int64_t st) {
    Counter *c = CONTAINER_OF(a, Counter, appender);
    if (*ref && c->forgetful) {
        return APPEND_UNKNOWN_REF;
    }
    if (!*ref) {
        *ref = ++c->refs;
    }
    c->sum += v;
    return APPEND_OK;
}

static int count_commit(Appender *a) { return 0; }
static void count_rollback(Appender *a) {}
static const AppenderOps count_ops = {
    .append = count_append, .commit = count_commit, .rollback = count_rollback};

static int count_appender(Storage *s, Appender **ret) {
    Counter *c = CONTAINER_OF(s, Counter, storage);
    c->appender.ops = &count_ops;
    *ret = &c->appender;
    return 0;
}

static const StorageOps count_storage = {.appender = count_appender};

static void make_request(Buf *body, int64_t now) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    for (int i = 0; i < SERIES; i++) {
        char id[32], instance[32];
        snprintf(id, sizeof(id), "dev-%d", i);
        snprintf(instance, sizeof(instance), "10.0.%d.%d:9100", i / 250, i % 250);
        const Label labels[] = {
            {LABEL_NAME, STR("node_disk_written_bytes_total")},
            {STR("availability_zone"), STR("eu-central-1a")},
            {STR("cluster"), STR("production-main")},
            {STR("device"), str_of(id)},
            {STR("environment"), STR("production")},
            {STR("instance"), str_of(instance)},
            {STR("job"), STR("node-exporter")},
            {STR("namespace"), STR("monitoring")},
            {STR("pod"), STR("node-exporter-x7k2p")},
            {STR("region"), STR("eu-central-1")},
        };
        size_t mark = remote_write_series_begin(&b, (Labels){labels, ARRAY_LEN(labels)});
        remote_write_add_sample(&b, now, i * 1.5);
        remote_write_series_end(&b, mark);
    }
    (void)remote_write_finish(&b, body);
}

static void measure(Counter *c, Str body, const char *what) {
    RemoteReceiver *r = remote_receiver_new(&(RemoteReceiverOptions){.storage = &c->storage});
    RemoteWriteResult result;
    remote_receiver_write(r, REMOTE_WRITE_1, body, &result);
    int64_t start = clock_mono_ns();
    for (int i = 0; i < ROUNDS; i++) {
        remote_receiver_write(r, REMOTE_WRITE_1, body, &result);
    }
    int64_t ns = clock_mono_ns() - start;
    printf("%-20s %6.1f ns a sample, %.2f M samples/s (status %d, sum %g)\n", what,
           (double)ns / ROUNDS / SERIES, 1e3 * ROUNDS * SERIES / (double)ns, result.status, c->sum);
    remote_receiver_free(r);
}

int main(void) {
    CLEANUP(buf_deinit) Buf body = BUF_INIT(0);
    make_request(&body, clock_wall_ms());
    Counter c = {.storage.ops = &count_storage, .forgetful = true};
    measure(&c, buf_str(&body), "labels decoded");
    c.forgetful = false;
    measure(&c, buf_str(&body), "series known");
    return 0;
}
