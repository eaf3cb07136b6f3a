#include "promql/engine/query_log.h"

#include <fcntl.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "format/json.h"
#include "model/duration.h"
#include "promql/engine/engine_metrics.h"

void query_log_init(QueryLog *l) {
    *l = (QueryLog){.fd = -1};
    pthread_mutex_init(&l->mutex, NULL);
}

void query_log_deinit(QueryLog *l) {
    file_close(l->fd);
    pthread_mutex_destroy(&l->mutex);
}

int query_log_open(QueryLog *l, Str path, Problem *problem) {
    int fd = -1;
    if (path.n) {
        char *name = str_dup(path);
        int r = file_open(name, O_WRONLY | O_APPEND | O_CREAT, 0644, &fd);
        mem_free(name);
        if (r < 0)
            return problem_set(problem, 0, 0, "query_log_file: opening %.*s: %s", SA(path),
                               strerror(-r));
    }
    pthread_mutex_lock(&l->mutex);
    file_close(l->fd);
    l->fd = fd;
    pthread_mutex_unlock(&l->mutex);
    atomic_store(&l->on, fd >= 0);
    engine_metrics_log_enabled(fd >= 0);
    return 0;
}

/* Always three digits behind the second. */
static void member_time(JsonWriter *w, Str key, int64_t ms) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    int64_t part = ((ms % 1000) + 1000) % 1000;
    time_format_rfc3339(&b, ms - part);
    b.n--; /* the Z */
    buf_addf(&b, ".%03dZ", (int)part);
    json_key(w, key);
    json_add_str(w, buf_str(&b));
}

static void member_text(JsonWriter *w, Str key, Str value) {
    json_key(w, key);
    json_add_str(w, value);
}

static void add_params(JsonWriter *w, const PromqlRequest *r) {
    json_key(w, STR("params"));
    json_begin_object(w);
    member_time(w, STR("end"), r->step_ms > 0 ? r->end_ms : r->start_ms);
    member_text(w, STR("query"), r->query);
    member_time(w, STR("start"), r->start_ms);
    json_key(w, STR("step"));
    json_add_int(w, r->step_ms > 0 ? r->step_ms / 1000 : 0);
    json_end_object(w);
}

static void add_timings(JsonWriter *w, const PromqlStats *s) {
    const struct {
        Str key;
        double seconds;
    } all[] = {{STR("evalTotalTime"), s->eval_total_s},
               {STR("resultSortTime"), s->result_sort_s},
               {STR("queryPreparationTime"), s->preparation_s},
               {STR("innerEvalTime"), s->inner_eval_s},
               {STR("execQueueTime"), s->queue_s},
               {STR("execTotalTime"), s->exec_total_s}};
    json_key(w, STR("timings"));
    json_begin_object(w);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        json_key(w, all[i].key);
        json_add_double(w, all[i].seconds);
    }
    json_end_object(w);
}

static void add_per_step(JsonWriter *w, const PromqlRequest *r, const PromqlStats *s) {
    json_key(w, STR("totalQueryableSamplesPerStep"));
    json_begin_array(w);
    for (size_t i = 0; i < s->n_steps; i++) {
        json_begin_array(w);
        json_add_double(w, (double)(r->start_ms + (int64_t)i * r->step_ms) / 1000);
        json_add_uint(w, s->per_step[i]);
        json_end_array(w);
    }
    json_end_array(w);
}

static void add_stats(JsonWriter *w, const PromqlRequest *r, const PromqlStats *s) {
    json_key(w, STR("stats"));
    json_begin_object(w);
    add_timings(w, s);
    json_key(w, STR("samples"));
    json_begin_object(w);
    if (s->per_step)
        add_per_step(w, r, s);
    json_key(w, STR("totalQueryableSamples"));
    json_add_uint(w, s->total_samples);
    json_key(w, STR("samplesRead"));
    json_add_uint(w, s->samples_read);
    json_key(w, STR("peakSamples"));
    json_add_uint(w, s->peak_samples);
    json_end_object(w);
    json_end_object(w);
}

/* "127.0.0.1:5000" or "[::1]:5000" without the port. */
static Str client_host(Str client) {
    for (size_t i = client.n; i-- > 0;) {
        if (client.p[i] != ':')
            continue;
        Str host = str_upto(client, i);
        if (host.n > 1 && host.p[0] == '[')
            host = str_n(host.p + 1, host.n - 2);
        return host;
    }
    return client;
}

static void add_origin(JsonWriter *w, const PromqlOrigin *o) {
    if (o->rule_group.n) {
        json_key(w, STR("ruleGroup"));
        json_begin_object(w);
        member_text(w, STR("file"), o->rule_file);
        member_text(w, STR("name"), o->rule_group);
        json_end_object(w);
    } else if (o->path.n) {
        json_key(w, STR("httpRequest"));
        json_begin_object(w);
        member_text(w, STR("clientIP"), client_host(o->client));
        member_text(w, STR("method"), o->method);
        member_text(w, STR("path"), o->path);
        json_end_object(w);
    }
}

static void write_line(Buf *b, const PromqlRequest *r, const PromqlResult *res) {
    JsonWriter w = JSON_WRITER(b);
    json_begin_object(&w);
    member_time(&w, STR("time"), clock_wall_ms());
    member_text(&w, STR("level"), STR("INFO"));
    member_text(&w, STR("source"), STR("query_log.c"));
    member_text(&w, STR("msg"), STR("promql query logged"));
    add_params(&w, r);
    if (res->error)
        member_text(&w, STR("error"), str_of(res->error));
    add_stats(&w, r, &res->stats);
    member_text(&w, STR("spanID"), STR("0000000000000000"));
    if (r->origin)
        add_origin(&w, r->origin);
    json_end_object(&w);
    buf_add_char(b, '\n');
}

void query_log_add(QueryLog *l, const PromqlRequest *r, const PromqlResult *res) {
    if (!atomic_load_explicit(&l->on, memory_order_relaxed))
        return;
    CLEANUP(buf_deinit) Buf b = BUF_INIT((size_t)64 << 20);
    write_line(&b, r, res);
    int result = b.failed ? -ENOMEM : 0;
    pthread_mutex_lock(&l->mutex);
    if (l->fd >= 0 && result == 0)
        result = file_write(l->fd, b.p, b.n);
    pthread_mutex_unlock(&l->mutex);
    if (result < 0)
        engine_metrics_log_failed();
}
