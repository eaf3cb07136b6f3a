#!/usr/bin/env python3
"""What clients rely on at the edges of the HTTP interface: hostile labels, odd parameters, redirects, prefixes, federation.

Every expectation was read off Prometheus 3.5 with the same configuration, unless docs/compatibility.md says otherwise.
"""

import time
import urllib.error
import urllib.parse
import urllib.request

from harness import Exporter, Narthex, request, run, scrape_config, wait_for

PAGE = r'''# HELP weird Labels <of> "every" kind & more.
# TYPE weird gauge
weird{a="quote\"back\\slash\nnl",b="<b>&amp;</b>"} 1
weird{a="ünï🙂",b="inf"} +Inf
weird{a="x",b="nan"} NaN
weird{a="x",b="tiny"} 1e-7
# HELP "http.status" A name of today.
# TYPE "http.status" counter
{"http.status","http.code"="200"} 7
# TYPE lat_seconds histogram
lat_seconds_bucket{le="1"} 1
lat_seconds_bucket{le="+Inf"} 2
lat_seconds_sum 3
lat_seconds_count 2
'''
RULES = """
groups:
  - name: g1
    rules:
      - {record: one, expr: vector(1), labels: {x: "<y>"}}
      - {alert: Always, expr: vector(1) > 0, annotations: {summary: "a < b"}}
  - name: g2
    rules: [{record: two, expr: vector(2)}]
"""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
UTF8 = {"Accept": "text/plain;version=1.0.0;escaping=allow-utf-8"}


def server(folder, running, *flags, extra="rule_files: [rules.yml]\n"):
    exporter = Exporter(PAGE, "text/plain; version=1.0.0; escaping=allow-utf-8")
    running.append(exporter)
    config = scrape_config(exporter.target, extra=extra).replace(
        "global:\n", "global:\n  external_labels: {dc: 'a<b', prometheus: p1}\n")
    n = Narthex(folder, config, flags, files={"rules.yml": RULES}, wait="--web.route-prefix=/prom" not in flags)
    running.append(n)
    if n.url and not any(f.startswith("--web.route-prefix") for f in flags):
        wait_for("samples", lambda: len(n.query("weird")) == 4)
    return n


def error(answer, status, kind="bad_data"):
    e = answer.json()
    assert (answer.status, e["status"], e["errorType"]) == (status, "error", kind), (answer.status, answer.body)
    return e["error"]


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def without_following(url, method="GET"):
    opener = urllib.request.build_opener(NoRedirect)
    try:
        with opener.open(urllib.request.Request(url, method=method)) as f:
            return f.status, f.headers
    except urllib.error.HTTPError as e:
        return e.code, e.headers


def strings_are_escaped_where_prometheus_escapes_them(folder, running):
    n = server(folder, running)
    a = n.get("/api/v1/query", query='weird{b="<b>&amp;</b>"}')
    assert '"a":"quote\\"back\\\\slash\\nnl","b":"<b>&amp;</b>"'.encode() in a.body, a.body
    a = n.get("/api/v1/label/b/values")
    assert rb'"\u003cb\u003e\u0026amp;\u003c/b\u003e"' in a.body, a.body
    a = n.get("/api/v1/query", query='"<&>"', time=1.5)
    assert a.body == rb'{"status":"success","data":{"resultType":"string","result":[1.5,"\u003c\u0026\u003e"]}}', a.body
    assert n.query('{"http.status"}')[0]["metric"]["http.code"] == "200"
    assert n.get("/api/v1/label/U__http_2e_code/values").json()["data"] == ["200"]
    meta = n.get("/api/v1/metadata", metric="http.status").json()["data"]
    assert meta == {"http.status": [{"type": "counter", "unit": "", "help": "A name of today."}]}, meta


def times_of_scalars_are_plain_and_of_series_have_three_digits(folder, running):
    n = server(folder, running)
    assert b'"result":[1.5,"1"]' in n.get("/api/v1/query", query="1", time="1.5").body
    assert b'"value":[1.500,"1"]' in n.get("/api/v1/query", query="vector(1)", time="1.5").body
    assert b'[1795250440,"1"]' in n.get("/api/v1/query", query="1", time="1795250440.0005").body
    assert b'"result":[1709078400,"1"]' in n.get("/api/v1/query", query="1", time="2024-02-28T01:00:00+01:00").body


def parameters_are_read_as_prometheus_reads_them(folder, running):
    n = server(folder, running)
    lead = 'invalid parameter "query": '
    assert error(n.get("/api/v1/query", query=""), 400) == (
        lead + "unknown position: parse error: no expression found in input")
    assert error(n.get("/api/v1/format_query", query="1+"), 400) == (
        lead + "1:3: parse error: unexpected end of input")
    assert error(n.get("/api/v1/query", query="1", time="x"), 400) == (
        "invalid parameter \"time\": invalid time value for 'time': cannot parse \"x\" to a valid timestamp")
    assert error(n.get("/api/v1/query_range", query="up", start="x"), 400) == (
        'invalid parameter "start": cannot parse "x" to a valid timestamp')
    assert error(n.get("/api/v1/query_range", query="up", start=2, end=1, step="x"), 400) == (
        'invalid parameter "end": end timestamp must not be before start time')
    error(n.get("/api/v1/query", query="up", timeout="0"), 503, "timeout")
    error(n.get("/api/v1/query", query="up", limit="-1"), 400)
    assert len(n.get("/api/v1/query", query="weird", lookback_delta="-1").json()["data"]["result"]) == 4
    everything = {"start": "-292273086-05-16T16:47:06Z", "end": "292277025-08-18T07:12:54.999999999Z"}
    assert len(n.get("/api/v1/series", **{"match[]": "weird", **everything}).json()["data"]) == 4
    assert len(n.get("/api/v1/series", **{"match[]": "weird", "limit": 2**62}).json()["data"]) == 4
    # vmalert: parameters in the URL, another content type, no body.
    a = request(n.url + "/api/v1/query?query=weird%7Bb=\"tiny\"%7D&step=300s", b"", headers={"Content-Type": "application/json"})
    assert a.status == 200 and len(a.json()["data"]["result"]) == 1, a.body
    # A form body wins over the URL.
    assert request(n.url + "/api/v1/query?query=1", b"query=2", headers=FORM).json()["data"]["result"][1] == "2"


def exemplars_metadata_and_targets(folder, running):
    n = server(folder, running)
    assert n.get("/api/v1/query_exemplars", query="1+1").status == 204
    assert n.get("/api/v1/query_exemplars", query="weird").json() == {"status": "success", "data": []}
    for params in ({"metric": "nope"}, {"match_target": '{job="nope"}'}):
        assert n.get("/api/v1/targets/metadata", **params).json() == {"status": "success", "data": []}
    one = n.get("/api/v1/targets/metadata", match_target="{}", metric="weird", limit=-1).json()["data"]
    assert len(one) == 1 and one[0]["help"] == 'Labels <of> "every" kind & more.', one
    assert n.get("/api/v1/metadata", limit=-1, limit_per_metric=-1).json()["data"]["weird"]
    counts = n.get("/api/v1/targets", scrapePool="nope").json()["data"]
    assert counts == {"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {"test": 0}}, counts
    flags = list(n.get("/api/v1/status/flags").json()["data"])
    assert flags == sorted(flags), flags


def stats_come_when_asked_for_and_by_step_with_the_feature(folder, running):
    n = server(folder, running)
    assert "stats" not in n.get("/api/v1/query", query="weird").json()["data"]
    stats = n.get("/api/v1/query", query="weird", stats="all").json()["data"]["stats"]
    assert stats["samples"]["totalQueryableSamples"] == 4 and "totalQueryableSamplesPerStep" not in stats["samples"]
    assert set(stats["timings"]) == {"evalTotalTime", "resultSortTime", "queryPreparationTime", "innerEvalTime",
                                     "execQueueTime", "execTotalTime"}, stats
    second = server(folder + "/second", running, "--enable-feature=promql-per-step-stats")
    now = int(time.time())
    stats = second.get("/api/v1/query_range", query="weird", start=now - 2, end=now, step=1,
                       stats="all").json()["data"]["stats"]
    assert len(stats["samples"]["totalQueryableSamplesPerStep"]) == 3, stats


def rules_are_paged_and_filtered(folder, running):
    n = server(folder, running)
    wait_for("an evaluation", lambda: n.query("two"))
    page = n.get("/api/v1/rules", group_limit=1).json()["data"]
    assert [g["name"] for g in page["groups"]] == ["g1"] and len(page["groupNextToken"]) == 64
    rest = n.get("/api/v1/rules", group_limit=1, group_next_token=page["groupNextToken"]).json()["data"]
    assert [g["name"] for g in rest["groups"]] == ["g2"] and "groupNextToken" not in rest
    assert "greater than 0" in error(n.get("/api/v1/rules", group_limit=0), 400)
    assert "were rule groups changed" in error(n.get("/api/v1/rules", group_limit=1, group_next_token="x"), 400)
    alert = n.get("/api/v1/rules", type="alert", exclude_alerts="T").json()["data"]["groups"][0]["rules"][0]
    assert alert["alerts"] is None, alert
    # Grafana sends both spellings; only those with brackets count.
    both = n.get("/api/v1/rules", **{"rule_name": "nope", "rule_name[]": "one"}).json()["data"]["groups"]
    assert [r["name"] for g in both for r in g["rules"]] == ["one"], both


def federation_escapes_names_for_those_who_do_not_know_better(folder, running):
    n = server(folder, running)
    match = urllib.parse.urlencode({"match[]": '{__name__="http.status"}'})
    a = request(n.url + "/federate?" + match)
    assert a.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
    text = a.body.decode()
    assert text.startswith('# TYPE http_status untyped\nhttp_status{http_code="200",instance="'), text
    assert ',job="test",dc="a<b",prometheus="p1"} 7 ' in text, text
    a = request(n.url + "/federate?" + match, headers=UTF8)
    assert a.headers["Content-Type"].endswith("escaping=allow-utf-8"), a.headers
    assert a.body.decode().startswith('# TYPE "http.status" untyped\n{"http.status","http.code"="200",'), a.body
    wait_for("the rule", lambda: n.query("one"))
    text = n.get("/federate", **{"match[]": "one"}).body.decode()
    assert 'one{x="<y>",dc="a<b",instance="",prometheus="p1"} 1 ' in text, text
    a = n.get("/federate", **{"match[]": "{"})
    assert a.status == 400 and a.body == b"1:2: parse error: unexpected end of input inside braces\n", a.body
    assert n.get("/federate", **{"match[]": "{}"}).body == b""
    assert n.get("/federate").body == b""


def headers_methods_and_redirects(folder, running):
    n = server(folder, running)
    api = n.url + "/api/v1/query?query=1"
    assert request(api).headers["Content-Type"] == "application/json"
    assert request(api).headers["Vary"] == "Origin"
    a = request(api, headers={"Origin": "http://x"})
    assert a.headers["Access-Control-Allow-Origin"] in ("*", "http://x")
    assert a.headers["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS"
    a = request(n.url + "/api/v1/anything", method="OPTIONS")
    assert a.status == 204 and a.body == b"", (a.status, a.body)
    a = request(api, method="DELETE")
    assert a.status == 405 and "POST" in a.headers["Allow"], a.headers
    a = n.get("/-/reload")
    assert a.status == 405 and a.body == b"Only POST or PUT requests allowed", a.body
    assert n.get("/-/healthy").body == b"Prometheus Server is Healthy.\n"
    assert n.get("/-/ready").body == b"Prometheus Server is Ready.\n"
    status, headers = without_following(n.url + "//api/v1/query?query=1")
    assert (status, headers["Location"]) == (301, "/api/v1/query?query=1"), (status, headers)
    status, headers = without_following(n.url + "/metrics/")
    assert (status, headers["Location"]) == (301, "/metrics")
    assert b"<html" in request(n.url + "/graph?g0.expr=" + urllib.parse.quote('weird{b="<b>&amp;</b>"}')).body
    a = n.get("/")
    assert a.headers["Content-Type"].startswith("text/html") and "default-src 'none'" in (
        a.headers["Content-Security-Policy"]), a.headers


def the_engine_counts_its_queries(folder, running):
    n = server(folder, running)
    before = n.get("/metrics").body.decode()
    assert "prometheus_engine_queries_concurrent_max 20\n" in before and "prometheus_engine_queries 0\n" in before
    for part in ("queue_time", "prepare_time", "inner_eval", "result_sort"):
        assert f'prometheus_engine_query_duration_seconds_count{{slice="{part}"}} ' in before, part
        assert f'prometheus_engine_query_duration_seconds{{slice="{part}",quantile="0.9"}} ' in before, part

    def samples(text):
        return float(next(line for line in text.splitlines()
                          if line.startswith("prometheus_engine_query_samples_total ")).split()[1])

    n.query("weird")
    assert samples(n.get("/metrics").body.decode()) >= samples(before) + 4


def a_route_prefix_moves_everything(folder, running):
    n = server(folder, running, "--web.route-prefix=/prom", "--web.external-url=http://example.org/prom/")
    wait_for("the server", lambda: request(n.url + "/prom/-/ready").status == 200)
    assert without_following(n.url + "/")[1]["Location"].rstrip("/") == "/prom"
    for path in ("/prom", "/prom/", "/prom/metrics", "/prom/api/v1/query?query=1"):
        assert request(n.url + path).status == 200, path
    for path in ("/metrics", "/api/v1/query?query=1", "/promx/metrics"):
        a = request(n.url + path)
        assert a.status == 404 and a.body == b"404 page not found\n", (path, a.status, a.body)
    assert without_following(n.url + "/prom//metrics")[1]["Location"] == "/prom/metrics"


run(strings_are_escaped_where_prometheus_escapes_them, times_of_scalars_are_plain_and_of_series_have_three_digits,
    parameters_are_read_as_prometheus_reads_them, exemplars_metadata_and_targets,
    stats_come_when_asked_for_and_by_step_with_the_feature, rules_are_paged_and_filtered,
    federation_escapes_names_for_those_who_do_not_know_better, headers_methods_and_redirects,
    the_engine_counts_its_queries, a_route_prefix_moves_everything)
