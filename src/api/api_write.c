/* /write: the remote write receiver; decoding, appending and the journal's write on an ingest
 * worker. */
#include "api/handlers.h"
#include "api/reply.h"
#include "base/log.h"
#include "base/metrics.h"

typedef struct WriteJob {
    Api *api;
    HttpExchange *x;
} WriteJob;

static void run_write(void *arg) {
    WriteJob *job = arg;
    RemoteWriteResult result;
    remote_receiver_write(job->api->receiver, job->x->body, &result);
    if (result.series_invalid) {
        metric_add(metric_counter("prometheus_api_remote_write_invalid_labels_samples_total",
                                  "The total number of received remote write samples and histogram "
                                  "samples which contain invalid labels.",
                                  NULL),
                   (double)result.series_invalid);
    }
    if (result.status == 204) {
        reply_no_content(job->x);
        return;
    }
    /* A sender tries a request again and again while the storage fails. */
    static LogPause pause;
    if (result.status < 500 || log_pause_over(&pause)) {
        log_warn("web", "Remote write request refused", L_STR("client", job->x->peer),
                 L_INT("status", result.status), L_CSTR("err", result.text));
    }
    http_respond_text(job->x, result.status, "%s", result.text);
}

/* "application/x-protobuf; proto=prometheus.WriteRequest"; nothing at all is taken for that too, as
 * Prometheus does. */
static bool type_accepted(Str type) {
    Str rest = type, part;
    if (!type.n) {
        return true;
    }
    if (!str_split_next(&rest, ';', &part) ||
        !str_eq_nocase(str_trim(part), STR("application/x-protobuf"))) {
        return false;
    }
    while (str_split_next(&rest, ';', &part)) {
        part = str_trim(part);
        if (str_starts(part, STR("proto=")) &&
            !str_eqc(str_from(part, 6), "prometheus.WriteRequest")) {
            return false;
        }
    }
    return true;
}

void api_write(HttpExchange *x, void *arg) {
    Api *api = arg;
    Str type = http_header(x, "Content-Type"), encoding = http_header(x, "Content-Encoding");
    if (!api->receiver) {
        http_respond_text(x, 404,
                          "remote write receiver needs to be enabled with "
                          "--web.enable-remote-write-receiver");
        return;
    }
    if (!type_accepted(type)) {
        http_respond_text(x, 415,
                          "expected application/x-protobuf;proto=prometheus.WriteRequest as the "
                          "content type, got \"%.*s\"",
                          SA(type));
        return;
    }
    if (encoding.n && !str_eq_nocase(encoding, STR("snappy"))) {
        http_respond_text(x, 415,
                          "%.*s encoding (compression) is not accepted by this server; only snappy "
                          "is acceptable",
                          SA(encoding));
        return;
    }
    WriteJob *job = ARENA_NEW(&x->arena, WriteJob);
    *job = (WriteJob){api, x};
    work_submit(api->ingest, run_write, NULL, job);
}
