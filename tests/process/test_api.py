#!/usr/bin/env python3
"""The HTTP interface as clients see it: envelopes, errors, forms, and what Grafana asks."""

import gzip
import time
import urllib.parse

from harness import Exporter, Narthex, free_port, request, run, scrape_config, wait_for

PAGE = "".join(f'requests_total{{code="{c}",path="/p{i}"}} {c * i}\n' for c in (200, 500) for i in range(5))


def server(folder, running, *flags):
    exporter = Exporter("# TYPE requests_total counter\n# HELP requests_total How many.\n" + PAGE)
    running.append(exporter)
    n = Narthex(folder, scrape_config(exporter.target), flags)
    running.append(n)
    wait_for("samples", lambda: len(n.query("requests_total")) == 10)
    return n


def grafana_save_and_test(folder, running):
    n = server(folder, running)
    a = request(n.url + "/api/v1/query", b"query=1%2B1&time=4",
                headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert a.status == 200 and a.json() == {"status": "success",
                                            "data": {"resultType": "scalar", "result": [4, "2"]}}, a.body
    info = n.get("/api/v1/status/buildinfo").json()["data"]
    assert info["version"] and "features" not in info, info


def grafana_label_completion(folder, running):
    n = server(folder, running)
    now = time.time()
    window = {"start": int(now - 3600), "end": int(now + 60), "limit": 40000}
    names = n.get("/api/v1/label/__name__/values", **window).json()["data"]
    assert "requests_total" in names and names == sorted(names), names
    body = urllib.parse.urlencode({**window, "match[]": "requests_total"}).encode()
    labels = request(n.url + "/api/v1/labels", body).json()["data"]
    assert labels == ["__name__", "code", "instance", "job", "path"], labels
    values = n.get("/api/v1/label/path/values", **{**window, "match[]": 'requests_total{code="500"}'}).json()["data"]
    assert values == [f"/p{i}" for i in range(5)], values
    assert n.get("/api/v1/label/U__pa_74_h/values").json()["data"] == values
    series = request(n.url + "/api/v1/series", b"match[]=requests_total").json()["data"]
    assert len(series) == 10 and series[0]["__name__"] == "requests_total"
    cut = n.get("/api/v1/series", **{"match[]": "requests_total", "limit": 3}).json()
    assert len(cut["data"]) == 3 and cut["warnings"] == ["results truncated due to limit"], cut
    meta = n.get("/api/v1/metadata", limit=40000).json()["data"]
    assert meta["requests_total"] == [{"type": "counter", "unit": "", "help": "How many."}], meta
    # The probe whose milliseconds are read as seconds, a year far in the future.
    a = request(n.url + "/api/v1/query_exemplars", b"query=test&start=1795221540000&end=1795221640000")
    assert a.status == 200 and a.json() == {"status": "success", "data": []}, a.body


def range_queries_and_their_errors(folder, running):
    n = server(folder, running)
    now = int(time.time())
    a = n.get("/api/v1/query_range", query="up", start=now - 60, end=now, step=15)
    data = a.json()["data"]
    assert data["resultType"] == "matrix"
    assert a.body.index(b'"resultType"') < a.body.index(b'"result":')
    cases = [
        (dict(query="up", start=now, end=now - 1, step=1), 400, "end timestamp must not be before start time"),
        (dict(query="up", start=now, end=now, step=0), 400, "zero or negative query resolution step widths"),
        (dict(query="up", start=now - 11001, end=now, step=1), 400, "exceeded maximum resolution of 11,000 points"),
        (dict(query="up", start="soon", end=now, step=1), 400, 'invalid parameter "start"'),
        (dict(query="up", start=now, end=now, step="x"), 400, 'invalid parameter "step"'),
        (dict(query="sum(", start=now, end=now, step=1), 400, "parse error"),
        (dict(query="up[5m]", start=now, end=now, step=1), 400, "invalid expression type"),
    ]
    for params, status, text in cases:
        a = n.get("/api/v1/query_range", **params)
        e = a.json()
        assert a.status == status and e["status"] == "error" and e["errorType"] == "bad_data", (params, a.body)
        assert text in e["error"], (params, e)
    assert n.get("/api/v1/query_range", query="up", start=now - 11000, end=now, step=1).status == 200
    e = n.get("/api/v1/query", query='up * on(x) group_left() {__name__="requests_total"}')
    assert e.status == 422 and e.json()["errorType"] == "execution", e.body


def numbers_print_as_prometheus_prints_them(folder, running):
    n = server(folder, running)
    for expr, text in [("vector(1e21)", "1e+21"), ("vector(1e-7)", "1e-07"), ("vector(123456789)", "123456789"),
                       ("vector(0.1)", "0.1"), ("vector(-Inf)", "-Inf"), ("vector(NaN)", "NaN"),
                       ("vector(1/3)", "0.3333333333333333")]:
        assert n.query(expr, at=1.5)[0]["value"] == [1.5, text], (expr, n.query(expr, at=1.5))
    a = n.get("/api/v1/query", query="1e21", time="1.5")
    assert b'[1.5,"1000000000000000000000"]' in a.body, a.body


def unknown_paths_are_plain_404_and_wrong_methods_405(folder, running):
    n = server(folder, running)
    for path in ("/nothing", "/api/v1/nothing", "/alertmanager/api/v2/status"):
        a = n.get(path)
        assert a.status == 404 and a.body.strip() == b"404 page not found", (path, a.status, a.body)
    assert request(n.url + "/api/v1/rules", b"").status == 405
    assert n.get("/").status == 200


def answers_are_compressed_for_those_who_ask(folder, running):
    n = server(folder, running)
    a = request(n.url + "/metrics", headers={"Accept-Encoding": "gzip"})
    assert a.headers["Content-Encoding"] == "gzip"
    assert b"prometheus_tsdb_head_series" in gzip.decompress(a.body)
    a = request(n.url + "/metrics", headers={"Accept-Encoding": "zstd, br"})
    assert "Content-Encoding" not in a.headers


def federation_gives_what_is_newest(folder, running):
    n = server(folder, running)
    text = n.get("/federate", **{"match[]": 'requests_total{code="500"}'}).body.decode()
    assert text.startswith("# TYPE requests_total untyped\n"), text
    assert text.count("\nrequests_total{") == 5, text
    second = Narthex(folder + "/second", f"""
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - job_name: fed
    honor_labels: true
    metrics_path: /federate
    params: {{"match[]": ['{{__name__="requests_total"}}']}}
    static_configs: [{{targets: ["127.0.0.1:{n.port}"]}}]
""")
    running.append(second)
    wait_for("federated series", lambda: len(second.query('requests_total{job="test"}')) == 10)


def status_pages_and_lifecycle(folder, running):
    n = server(folder, running, "--web.enable-lifecycle")
    for path in ("config", "flags", "runtimeinfo", "tsdb", "walreplay", "tsdb/blocks"):
        a = n.get("/api/v1/status/" + path)
        assert a.status == 200 and a.json()["status"] == "success", (path, a.body)
    assert n.get("/api/v1/status/flags").json()["data"]["web.enable-lifecycle"] == "true"
    assert n.get("/api/v1/status/tsdb").json()["data"]["headStats"]["numSeries"] >= 10
    counts = n.get("/api/v1/status/cardinality", limit=3).json()["data"]
    assert counts["headSeries"] >= 10 and 0 < len(counts["metrics"]) <= 3, counts
    assert {"name", "series", "growth1h"} == set(counts["metrics"][0]), counts
    assert {"job", "instance", "series"} == set(counts["targets"][0]), counts
    some = n.get("/api/v1/status/cardinality", **{"match[]": "up"}).json()["data"]
    assert some["headSeries"] == sum(t["series"] for t in some["targets"]) and some["metricCount"] == 1, some
    assert n.get("/api/v1/status/cardinality", limit=0).status == 400
    features = n.get("/api/v1/features").json()["data"]
    assert features["promql_functions"]["rate"] and features["api"]["lifecycle"], features
    assert not features["promql_functions"]["info"] and features["promql_operators"]["sum"], features
    assert features["templating_functions"]["humanize"] and features["service_discovery_providers"]["file"], features
    tree = n.get("/api/v1/parse_query", query="sum(up)").json()["data"]
    assert tree["type"] == "aggregation" and tree["expr"]["name"] == "up", tree
    assert n.get("/-/healthy").status == 200 and n.get("/-/reload").status == 405
    old = n.get("/api/v1/status/config").json()["data"]["yaml"]
    n.write("prometheus.yml", "global:\n  scrape_intervall: 1s\n")
    a = request(n.url + "/-/reload", b"")
    assert a.status == 500 and b"scrape_intervall" in a.body and b"scrape_interval" in a.body, a.body
    assert n.get("/api/v1/status/config").json()["data"]["yaml"] == old
    assert n.value("up") == 1
    text = n.get("/metrics").body.decode()
    assert "prometheus_config_last_reload_successful 0" in text
    assert request(n.url + "/-/quit", b"").status == 200
    wait_for("the end", lambda: not n.alive())
    assert n.child.returncode == 0


def lifecycle_is_off_by_default(folder, running):
    n = server(folder, running)
    a = request(n.url + "/-/reload", b"")
    assert a.status == 403 and a.body.strip() == b"Lifecycle API is not enabled.", a.body
    assert request(n.url + "/-/quit", b"").status == 403
    assert request(n.url + "/api/v1/write", b"").status == 404


run(grafana_save_and_test, grafana_label_completion, range_queries_and_their_errors,
    numbers_print_as_prometheus_prints_them, unknown_paths_are_plain_404_and_wrong_methods_405,
    answers_are_compressed_for_those_who_ask, federation_gives_what_is_newest, status_pages_and_lifecycle,
    lifecycle_is_off_by_default)
