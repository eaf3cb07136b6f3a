#include "rules/notify/am_data.h"

#include <inttypes.h>

#include "rules/template/gotime.h"

/* ---- collecting */

static Labels common(Arena *a, Labels have, Labels other) {
    Label *v = ARENA_ARRAY(a, Label, have.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < have.n; i++) {
        if (labels_has(other, have.v[i].name) &&
            str_eq(labels_get(other, have.v[i].name), have.v[i].value)) {
            v[n++] = have.v[i];
        }
    }
    return (Labels){v, n};
}

void am_data_fill(AmData *d, StoredAlert *const *alerts, size_t n, int64_t now_ms) {
    d->alerts = ARENA_ARRAY(d->arena, AmAlertData, n + 1);
    d->n_alerts = n;
    d->status = STR("resolved");
    for (size_t i = 0; i < n; i++) {
        const StoredAlert *a = alerts[i];
        bool resolved = stored_alert_resolved(a, now_ms);
        d->alerts[i] = (AmAlertData){
            .resolved = resolved,
            .labels = a->labels,
            .annotations = a->annotations,
            .starts = gotime_of_ms(a->starts_at_ms),
            .ends = resolved ? gotime_of_ms(a->ends_at_ms) : gotime_zero(),
            .generator_url = a->generator_url,
            .fingerprint = arena_printf(d->arena, "%016" PRIx64, a->fingerprint),
        };
        if (!resolved) {
            d->status = STR("firing");
        }
        d->common_labels = i ? common(d->arena, d->common_labels, a->labels) : a->labels;
        d->common_annotations =
            i ? common(d->arena, d->common_annotations, a->annotations) : a->annotations;
    }
}

/* ---- as template values */

static int kv(TmplRun *run, Labels l, TmplValue *ret) {
    if (!run) {
        return -EINVAL;
    }
    TmplEntry *v = tmpl_entries(run, l.n);
    for (size_t i = 0; v && i < l.n; i++) {
        v[i] = (TmplEntry){l.v[i].name, tmpl_string(l.v[i].value)};
    }
    *ret = tmpl_map(v, l.n, &AM_KV_TYPE);
    return v ? 0 : -EINVAL;
}

#define MEMBER(name) static int name(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret)
#define ALERT ((const AmAlertData *)a[0].object)
#define DATA ((const AmData *)a[0].object)

MEMBER(alert_status) {
    *ret = tmpl_string(ALERT->resolved ? STR("resolved") : STR("firing"));
    return 0;
}
MEMBER(alert_labels) { return kv(run, ALERT->labels, ret); }
MEMBER(alert_annotations) { return kv(run, ALERT->annotations, ret); }
MEMBER(alert_starts) {
    *ret = tmpl_time(&ALERT->starts);
    return 0;
}
MEMBER(alert_ends) {
    *ret = tmpl_time(&ALERT->ends);
    return 0;
}
MEMBER(alert_url) {
    *ret = tmpl_string(ALERT->generator_url);
    return 0;
}
MEMBER(alert_fingerprint) {
    *ret = tmpl_string(ALERT->fingerprint);
    return 0;
}

static const TmplMember ALERT_MEMBERS[] = {
    {"Status", NULL, alert_status},
    {"Labels", NULL, alert_labels},
    {"Annotations", NULL, alert_annotations},
    {"StartsAt", NULL, alert_starts},
    {"EndsAt", NULL, alert_ends},
    {"GeneratorURL", NULL, alert_url},
    {"Fingerprint", NULL, alert_fingerprint},
};
static const TmplType ALERT_TYPE = {.name = "template.Alert",
                                    .members = ALERT_MEMBERS,
                                    .n = ARRAY_LEN(ALERT_MEMBERS),
                                    .json_lower = true};

static int filter(TmplRun *run, const TmplValue *a, bool resolved, TmplValue *ret) {
    TmplValue *v = tmpl_values(run, a[0].list.n);
    size_t count = 0;
    for (size_t i = 0; v && i < a[0].list.n; i++) {
        if (((const AmAlertData *)a[0].list.v[i].object)->resolved == resolved) {
            v[count++] = a[0].list.v[i];
        }
    }
    *ret = tmpl_list(v, count, a[0].type);
    return v ? 0 : -EINVAL;
}
MEMBER(alerts_firing) { return filter(run, a, false, ret); }
MEMBER(alerts_resolved) { return filter(run, a, true, ret); }

static const TmplMember ALERTS_MEMBERS[] = {{"Firing", "", alerts_firing},
                                            {"Resolved", "", alerts_resolved}};
static const TmplType ALERTS_TYPE = {
    .name = "template.Alerts", .members = ALERTS_MEMBERS, .n = ARRAY_LEN(ALERTS_MEMBERS)};

MEMBER(data_receiver) {
    *ret = tmpl_string(DATA->receiver);
    return 0;
}
MEMBER(data_status) {
    *ret = tmpl_string(DATA->status);
    return 0;
}
MEMBER(data_alerts) {
    TmplValue *v = run ? tmpl_values(run, DATA->n_alerts) : NULL;
    for (size_t i = 0; v && i < DATA->n_alerts; i++) {
        v[i] = tmpl_object(&DATA->alerts[i], &ALERT_TYPE);
    }
    *ret = tmpl_list(v, DATA->n_alerts, &ALERTS_TYPE);
    return v ? 0 : -EINVAL;
}
MEMBER(data_group_labels) { return kv(run, DATA->group_labels, ret); }
MEMBER(data_common_labels) { return kv(run, DATA->common_labels, ret); }
MEMBER(data_common_annotations) { return kv(run, DATA->common_annotations, ret); }
MEMBER(data_route_labels) { return kv(run, DATA->route_labels, ret); }
MEMBER(data_external_url) {
    *ret = tmpl_string(DATA->external_url);
    return 0;
}
MEMBER(data_reason) {
    *ret = tmpl_string(DATA->reason);
    return 0;
}

static const TmplMember DATA_MEMBERS[] = {
    {"Receiver", NULL, data_receiver},
    {"Status", NULL, data_status},
    {"Alerts", NULL, data_alerts},
    {"GroupLabels", NULL, data_group_labels},
    {"CommonLabels", NULL, data_common_labels},
    {"CommonAnnotations", NULL, data_common_annotations},
    {"RouteLabels", NULL, data_route_labels},
    {"ExternalURL", NULL, data_external_url},
    {"NotificationReason", NULL, data_reason},
};
static const TmplType DATA_TYPE = {.name = "*template.Data",
                                   .members = DATA_MEMBERS,
                                   .n = ARRAY_LEN(DATA_MEMBERS),
                                   .pointer = true,
                                   .json_lower = true};

TmplValue am_data_value(const AmData *d) { return tmpl_object(d, &DATA_TYPE); }

int am_data_expand(const AmData *d, const Template *templates, Str text, Buf *out, Str *ret_error) {
    if (str_find_str(text, STR("{{")) == text.n) {
        buf_add_str(out, text);
        return 0;
    }
    Template *t = template_new(&AM_FUNCS, 1, templates);
    Problem p = {0};
    int r = template_parse(t, STR(""), text, &p);
    if (r < 0) {
        *ret_error = arena_str(d->arena, str_of(p.text));
    } else {
        TmplExec x = {.data = am_data_value(d), .arena = d->arena};
        r = template_exec(t, STR(""), &x, out, ret_error);
    }
    template_free(t);
    return r;
}

/* ---- as JSON */

static void json_pair(Buf *b, const char *key, Str value) {
    buf_addf(b, "\"%s\":", key);
    am_json_string(b, value);
}

static void json_labels(Buf *b, const char *key, Labels l) {
    buf_addf(b, "\"%s\":{", key);
    for (size_t i = 0; i < l.n; i++) {
        buf_add_cstr(b, i ? "," : "");
        am_json_string(b, l.v[i].name);
        buf_add_char(b, ':');
        am_json_string(b, l.v[i].value);
    }
    buf_add_char(b, '}');
}

static void json_alert(Buf *b, const AmAlertData *a) {
    buf_add_char(b, '{');
    json_pair(b, "status", a->resolved ? STR("resolved") : STR("firing"));
    buf_add_char(b, ',');
    json_labels(b, "labels", a->labels);
    buf_add_char(b, ',');
    json_labels(b, "annotations", a->annotations);
    buf_add_cstr(b, ",\"startsAt\":\"");
    gotime_rfc3339(b, &a->starts);
    buf_add_cstr(b, "\",\"endsAt\":\"");
    gotime_rfc3339(b, &a->ends);
    buf_add_cstr(b, "\",");
    json_pair(b, "generatorURL", a->generator_url);
    buf_add_char(b, ',');
    json_pair(b, "fingerprint", a->fingerprint);
    buf_add_char(b, '}');
}

void am_data_payload(const AmData *d, Str group_key, uint64_t truncated, Buf *b) {
    buf_add_char(b, '{');
    json_pair(b, "receiver", d->receiver);
    buf_add_char(b, ',');
    json_pair(b, "status", d->status);
    buf_add_cstr(b, ",\"alerts\":[");
    for (size_t i = 0; i < d->n_alerts; i++) {
        buf_add_cstr(b, i ? "," : "");
        json_alert(b, &d->alerts[i]);
    }
    buf_add_cstr(b, "],");
    json_pair(b, "notification_reason", d->reason);
    buf_add_char(b, ',');
    json_labels(b, "groupLabels", d->group_labels);
    buf_add_char(b, ',');
    json_labels(b, "commonLabels", d->common_labels);
    buf_add_char(b, ',');
    json_labels(b, "commonAnnotations", d->common_annotations);
    buf_add_char(b, ',');
    json_labels(b, "routeLabels", d->route_labels);
    buf_add_char(b, ',');
    json_pair(b, "externalURL", d->external_url);
    buf_add_cstr(b, ",\"version\":\"4\",");
    json_pair(b, "groupKey", group_key);
    buf_addf(b, ",\"truncatedAlerts\":%" PRIu64 "}\n", truncated);
}
