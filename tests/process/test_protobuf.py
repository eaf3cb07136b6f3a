#!/usr/bin/env python3
"""Exporters that serve protobuf: what is asked of them, what becomes of it, beside a real Prometheus where it is there."""

import urllib.parse

import protobuf_page as pb
from harness import Exporter, Narthex, Process, free_port, peer, request, run, wait_for
from test_native_histograms import difference, version_of

SPANS = (((-2, 2), (3, 1)), (3, -1, 5))


def page():
    classic = ((0.5, 4, pb.exemplar(3, {"trace_id": "b"}, 0.4)), (1, 6), (2.5, 7))
    both = pb.histogram(14, 1.5, classic=classic, schema=3, zero_threshold=2.938735877055719e-39, zero_count=2,
                        positive=SPANS, pairs={"path": "/"}, exemplars=pb.exemplar(16, {"trace_id": "n"}, 0.3, 1000.5))
    floats = pb.histogram(1.5, 9.25, schema=0, zero_threshold=0.25, zero_count=0.25, floats=True,
                          positive=(((1, 2),), (0.5, 0.75)))
    return (pb.family("steps", pb.COUNTER, [pb.counter(7, {"a": 'x"\\\n'}, pb.exemplar(2, {"trace_id": "c"}, 1, 2000.25))],
                      'Steps "taken".\nOf all.') +
            pb.family("level", pb.GAUGE, [pb.gauge(1.5), pb.gauge(-2, {"side": "left"})]) +
            pb.family("took_seconds", pb.SUMMARY, [pb.summary(3, 9, ((0.5, 2), (1, 5)))], unit="seconds") +
            pb.family("odd.name", pb.UNTYPED, [pb.untyped(5, {"odd.label": "v"})]) +
            pb.family("old_seconds", pb.HISTOGRAM, [pb.histogram(7, 1.5, classic=classic)]) +
            pb.family("both_seconds", pb.HISTOGRAM, [both]) + pb.family("float_seconds", pb.HISTOGRAM, [floats]) +
            pb.family("gauge_seconds", pb.GAUGE_HISTOGRAM, [pb.histogram(6, 1, schema=1, zero_threshold=0.001,
                                                                        positive=(((0, 2),), (2, 2)))]))


def job(name, target, extra=""):
    return (f"  - job_name: {name}\n    scrape_interval: 1s\n    scrape_timeout: 1s\n    scrape_protocols: [PrometheusProto, "
            f"OpenMetricsText1.0.0]\n{extra}    static_configs: [{{targets: ['{target}']}}]\n")


def values(result):
    """Labels but for the instance, and values; by labels."""
    return sorted((sorted((k, v) for k, v in s["metric"].items() if k != "instance"),
                   s.get("value", s.get("histogram"))[1]) for s in result)


def what_is_read_is_what_prometheus_reads(folder, running):
    exporter = Exporter(page(), pb.CONTENT_TYPE)
    running.append(exporter)
    native = "    scrape_native_histograms: true\n"
    classic = "    always_scrape_classic_histograms: true\n"
    config = "scrape_configs:\n" + job("native", exporter.target, native) + job("all", exporter.target, native + classic)
    n = Narthex(folder, config + job("none", exporter.target), ["--enable-feature=exemplar-storage"])
    running.append(n)
    for name in ("native", "all", "none"):
        wait_for(f"job {name}", lambda: n.value(f'count_over_time(up{{job="{name}"}}[1m])') and n.query(
            f'level{{job="{name}",side="left"}}'))
    accept = exporter.requests[0][1]["Accept"]
    assert accept.startswith("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q="), accept
    # Without scrape_native_histograms there are only classic ones.
    assert n.query('both_seconds{job="none"}') == [] and len(n.query('both_seconds_bucket{job="none"}')) == 4
    assert n.query('both_seconds_bucket{job="native"}') == [] and len(n.query('both_seconds_bucket{job="all"}')) == 4
    told = n.get("/api/v1/metadata", metric="steps").json()["data"]["steps"]
    assert told == [{"type": "counter", "unit": "", "help": 'Steps "taken".\nOf all.'}], told
    told = n.get("/api/v1/metadata", metric="took_seconds").json()["data"]["took_seconds"]
    assert told[0]["unit"] == "seconds" and told[0]["type"] == "summary", told
    prometheus = peer("prometheus")
    if not prometheus or version_of(prometheus) < (3, 0):
        return
    port = free_port()
    with open(f"{folder}/theirs.yml", "w") as f:
        f.write("scrape_configs:\n" + job("native", exporter.target) + job("all", exporter.target, classic))
    running.append(Process([prometheus, f"--config.file={folder}/theirs.yml", f"--storage.tsdb.path={folder}/theirs",
                            f"--web.listen-address=127.0.0.1:{port}",
                            "--enable-feature=native-histograms,exemplar-storage"], f"{folder}/theirs.log"))
    theirs = f"http://127.0.0.1:{port}/api/v1/"
    ask = lambda path, **p: request(theirs + path + "?" + urllib.parse.urlencode(p)).json()["data"]
    for name in ("native", "all"):
        expr = f'{{job="{name}",__name__!~"scrape_.*|up"}}'
        b = wait_for("their samples", lambda: ask("query", query=expr)["result"], 60)
        a, b = values(n.query(expr)), values(b)
        assert a == b, difference(a, b)
        for metric in ("steps", "both_seconds"):
            params = {"query": f'{metric}{{job="{name}"}}', "start": 0, "end": 3000}
            a = n.get("/api/v1/query_exemplars", **params).json()["data"]
            b = ask("query_exemplars", **params)
            assert a and a == b, (a, b)


def limits_of_buckets(folder, running):
    exporter = Exporter(page(), pb.CONTENT_TYPE)
    running.append(exporter)
    native = "    scrape_native_histograms: true\n"
    config = ("scrape_configs:\n" + job("fits", exporter.target, native + "    native_histogram_bucket_limit: 2\n") +
              job("factor", exporter.target, native + "    native_histogram_min_bucket_factor: 4\n") +
              job("never", exporter.target, native + "    native_histogram_bucket_limit: 1\n"))
    n = Narthex(folder, config)
    running.append(n)
    wait_for("a sample", lambda: n.query('both_seconds{job="fits"}'))
    wait_for("another", lambda: n.query('both_seconds{job="factor"}'))
    assert n.value('histogram_count(both_seconds{job="fits"})') == 14
    buckets = n.query('both_seconds{job="fits"}')[0]["histogram"][1]["buckets"]
    assert len(buckets) <= 3, buckets
    bounds = n.query('both_seconds{job="factor"}')[0]["histogram"][1]["buckets"]
    assert all(float(b[2]) / float(b[1]) >= 4 for b in bounds if float(b[1]) > 0), bounds
    wait_for("the failure", lambda: n.query('up{job="never"} == 0'))
    text = n.get("/api/v1/targets").json()["data"]["activeTargets"]
    assert any("histogram bucket limit exceeded" in t["lastError"] for t in text), text


def start_times_become_zeros(folder, running):
    import time
    begun = time.time() - 5
    body = (pb.family("steps", pb.COUNTER, [pb.counter(7, created=begun)]) +
            pb.family("rpc", pb.HISTOGRAM, [pb.histogram(9, 1, schema=0, zero_threshold=0.5, created=begun,
                                                         positive=(((0, 1),), (9,)))]))
    exporter = Exporter(body, pb.CONTENT_TYPE)
    running.append(exporter)
    config = "scrape_configs:\n" + job("test", exporter.target, "    scrape_native_histograms: true\n")
    n = Narthex(folder, config, ["--enable-feature=created-timestamp-zero-ingestion"])
    running.append(n)
    wait_for("three samples", lambda: (n.value("count_over_time(steps[1m])") or 0) >= 3)
    first = n.query("steps[1m]")[0]["values"][0]
    assert abs(first[0] - begun) < 0.01 and first[1] == "0", first
    assert n.value("histogram_count(increase(rpc[1m])) > bool 0") == 1
    assert n.query("rpc[1m]")[0]["histograms"][0][1]["count"] == "0"


if __name__ == "__main__":
    run(what_is_read_is_what_prometheus_reads, limits_of_buckets, start_times_become_zeros)
