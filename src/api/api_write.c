/* /write: the remote write receiver; decoding, appending and the journal's write on an ingest
 * worker. */
#include <stdio.h>

#include "api/handlers.h"
#include "api/reply.h"
#include "base/log.h"
#include "base/metrics.h"

typedef struct WriteJob {
    Api *api;
    HttpExchange *x;
    RemoteWriteVersion version;
} WriteJob;

/* Senders of 2.0 look at these, on failures too. */
static void answer_with_counts(HttpExchange *x, const RemoteWriteResult *r) {
    char numbers[3][24];
    const uint64_t counts[3] = {r->samples, r->histograms, r->exemplars};
    HttpHeader headers[3] = {{STR("X-Prometheus-Remote-Write-Samples-Written"), STR("")},
                             {STR("X-Prometheus-Remote-Write-Histograms-Written"), STR("")},
                             {STR("X-Prometheus-Remote-Write-Exemplars-Written"), STR("")}};
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(numbers[i], sizeof(numbers[i]), "%llu", (unsigned long long)counts[i]);
        headers[i].value = str_of(numbers[i]);
    }
    HttpAnswer a = {.status = r->status, .headers = headers, .n_headers = 3};
    if (r->status == 204) {
        http_respond(x, &a, STR(""));
        return;
    }
    CLEANUP(buf_deinit) Buf text = BUF_INIT(4096);
    buf_addf(&text, "%s\n", r->text);
    a.content_type = "text/plain; charset=utf-8";
    http_respond(x, &a, buf_str(&text));
}

static void run_write(void *arg) {
    WriteJob *job = arg;
    RemoteWriteResult result;
    remote_receiver_write(job->api->receiver, job->version, job->x->body, &result);
    if (result.series_invalid) {
        metric_add(metric_counter("prometheus_api_remote_write_invalid_labels_samples_total",
                                  "The total number of received remote write samples and histogram "
                                  "samples which contain invalid labels.",
                                  NULL),
                   (double)result.series_invalid);
    }
    if (result.status == 204 && job->version == REMOTE_WRITE_2) {
        answer_with_counts(job->x, &result);
        return;
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
    if (job->version == REMOTE_WRITE_2) {
        answer_with_counts(job->x, &result);
    } else {
        http_respond_text(job->x, result.status, "%s", result.text);
    }
}

/*
 * Which message a content type means: "application/x-protobuf;
 * proto=io.prometheus.write.v2.Request". Without a proto parameter, or without a type at all, it
 * is 1.0, as in Prometheus. False: none.
 */
static bool version_of(Str type, RemoteWriteVersion *ret) {
    Str rest = type, part;
    *ret = REMOTE_WRITE_1;
    if (!type.n) {
        return true;
    }
    if (!str_split_next(&rest, ';', &part) ||
        !str_eq_nocase(str_trim(part), STR("application/x-protobuf"))) {
        return false;
    }
    while (str_split_next(&rest, ';', &part)) {
        part = str_trim(part);
        if (!str_starts(part, STR("proto="))) {
            continue;
        }
        if (str_eqc(str_from(part, 6), "io.prometheus.write.v2.Request")) {
            *ret = REMOTE_WRITE_2;
        } else if (!str_eqc(str_from(part, 6), "prometheus.WriteRequest")) {
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
    RemoteWriteVersion version;
    if (!version_of(type, &version) || !(api->write_versions & 1u << version)) {
        http_respond_text(x, 415, "%.*s content type is not accepted by this server; accepted:%s%s",
                          SA(type),
                          api->write_versions & 1u << REMOTE_WRITE_1
                              ? " application/x-protobuf;proto=prometheus.WriteRequest"
                              : "",
                          api->write_versions & 1u << REMOTE_WRITE_2
                              ? " application/x-protobuf;proto=io.prometheus.write.v2.Request"
                              : "");
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
    *job = (WriteJob){api, x, version};
    work_submit(api->ingest, run_write, NULL, job);
}
