#!/usr/bin/env python3
"""Scraping real HTTP targets and asking for what came back."""

import gzip
import json
import time

from harness import Exporter, Narthex, request, run, scrape_config, wait_for

PAGE = """# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code="200"} 10
requests_total{code="500"} 2
# TYPE temperature gauge
temperature -3.5
"""


def samples_come_back_with_target_labels(folder, running):
    exporter = Exporter(PAGE)
    running.append(exporter)
    n = Narthex(folder, scrape_config(exporter.target))
    running.append(n)
    wait_for("samples", lambda: n.value("temperature") == -3.5)
    result = n.query('requests_total{code="500"}')
    assert result[0]["metric"] == {"__name__": "requests_total", "code": "500", "instance": exporter.target,
                                   "job": "test"}, result
    assert result[0]["value"][1] == "2"
    assert n.value("up") == 1
    assert n.value("scrape_samples_scraped") == 3


def a_series_that_vanishes_is_stale_at_once(folder, running):
    exporter = Exporter(PAGE)
    running.append(exporter)
    n = Narthex(folder, scrape_config(exporter.target))
    running.append(n)
    wait_for("samples", lambda: n.value("temperature") is not None)
    exporter.body = PAGE.split("# TYPE temp")[0]
    wait_for("staleness", lambda: n.value("temperature") is None)
    assert len(n.query("requests_total")) == 2


def a_target_that_fails_is_down_and_its_series_stale(folder, running):
    exporter = Exporter(PAGE)
    running.append(exporter)
    n = Narthex(folder, scrape_config(exporter.target))
    running.append(n)
    wait_for("samples", lambda: n.value("temperature") is not None)
    exporter.status = 500
    wait_for("up 0", lambda: n.value("up") == 0)
    assert n.value("temperature") is None
    target = n.get("/api/v1/targets").json()["data"]["activeTargets"][0]
    assert target["health"] == "down", target
    assert "500" in target["lastError"], target


def a_malformed_line_fails_the_scrape_and_stores_nothing_of_it(folder, running):
    exporter = Exporter("good 1\nbad line here {\ngood2 2\n")
    running.append(exporter)
    n = Narthex(folder, scrape_config(exporter.target))
    running.append(n)
    wait_for("up 0", lambda: n.value("up") == 0)
    target = n.get("/api/v1/targets").json()["data"]["activeTargets"][0]
    assert "line 2" in target["lastError"], target["lastError"]
    assert n.query("good") == [] and n.query("good2") == []


def an_oversized_body_is_refused_at_its_limit(folder, running):
    exporter = Exporter("a 1\n" * 1000)
    running.append(exporter)
    config = scrape_config(exporter.target).replace("scrape_configs:\n  - job_name: test\n",
                                                    "scrape_configs:\n  - job_name: test\n    body_size_limit: 1KB\n")
    n = Narthex(folder, config)
    running.append(n)
    wait_for("up 0", lambda: n.value("up") == 0)
    assert n.query("a") == []
    assert "body size limit" in n.get("/api/v1/targets").json()["data"]["activeTargets"][0]["lastError"]


def params_headers_and_basic_auth_reach_the_target(folder, running):
    exporter = Exporter("a 1\n")
    running.append(exporter)
    config = f"""
global: {{scrape_interval: 200ms, scrape_timeout: 150ms}}
scrape_configs:
  - job_name: probe
    metrics_path: /probe
    params: {{module: [http_2xx], target: ["x y"]}}
    basic_auth: {{username: ann, password: secret}}
    static_configs: [{{targets: ["{exporter.target}"], labels: {{team: net}}}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: addr}}
    metric_relabel_configs:
      - {{target_label: extra, replacement: yes}}
"""
    n = Narthex(folder, config)
    running.append(n)
    wait_for("samples", lambda: n.value("a") == 1)
    metric = n.query("a")[0]["metric"]
    assert metric["team"] == "net" and metric["addr"] == exporter.target and metric["extra"] == "yes", metric
    path, headers = exporter.requests[0]
    assert path in ("/probe?module=http_2xx&target=x+y", "/probe?module=http_2xx&target=x%20y"), path
    assert headers["Authorization"] == "Basic YW5uOnNlY3JldA==", headers
    assert headers["X-Prometheus-Scrape-Timeout-Seconds"] == "0.15", headers
    assert "application/openmetrics-text" in headers["Accept"], headers
    shown = json.dumps(n.get("/api/v1/status/config").json())
    assert "secret" not in shown.replace("<secret>", "").replace("\\u003csecret\\u003e", ""), shown


def file_sd_is_watched(folder, running):
    one, two = Exporter("a 1\n"), Exporter("a 2\n")
    running += [one, two]
    config = """
global: {scrape_interval: 200ms, scrape_timeout: 200ms}
scrape_configs:
  - job_name: files
    file_sd_configs: [{files: ["targets/*.json"]}]
"""
    import os
    os.makedirs(os.path.join(folder, "targets"))
    def put(*targets):
        path = os.path.join(folder, "targets", "a.json")
        with open(path + ".new", "w") as f:
            json.dump([{"targets": list(targets), "labels": {"from": "file"}}], f)
        os.rename(path + ".new", path)
    put(one.target)
    n = Narthex(folder, config)
    running.append(n)
    wait_for("the first target", lambda: [r["value"][1] for r in n.query("a")] == ["1"])
    assert n.query("a")[0]["metric"]["from"] == "file"
    put(two.target)
    wait_for("the second target instead", lambda: [r["value"][1] for r in n.query("a")] == ["2"], 40)


def openmetrics_and_gzip(folder, running):
    text = '# TYPE a counter\na_total{le="1"} 3 # {trace_id="x"} 1\n# EOF\n'
    exporter = Exporter(text, "application/openmetrics-text; version=1.0.0; charset=utf-8")
    running.append(exporter)
    n = Narthex(folder, scrape_config(exporter.target))
    running.append(n)
    wait_for("samples", lambda: n.value("a_total") == 3)


run(samples_come_back_with_target_labels, a_series_that_vanishes_is_stale_at_once,
    a_target_that_fails_is_down_and_its_series_stale, a_malformed_line_fails_the_scrape_and_stores_nothing_of_it,
    an_oversized_body_is_refused_at_its_limit, params_headers_and_basic_auth_reach_the_target, file_sd_is_watched,
    openmetrics_and_gzip)
