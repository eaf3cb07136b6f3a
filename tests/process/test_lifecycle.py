#!/usr/bin/env python3
"""Deleting series over the API, and samples that come out of order: seen at once, and after a restart."""

import time
import urllib.parse

from harness import Narthex, request, run, wait_for
from remote_write import write_request

FLAGS = ["--web.enable-remote-write-receiver", "--web.enable-admin-api"]


def send(n, *series):
    a = request(n.url + "/api/v1/write", data=write_request(series), method="POST",
                headers={"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"})
    return a


def post(n, path, **params):
    return request(n.url + path + "?" + urllib.parse.urlencode(params, doseq=True), data=b"", method="POST")


def names(n, **params):
    return sorted(s["__name__"] + s.get("i", "") for s in n.get("/api/v1/series", **{"match[]": '{__name__=~".+"}', **params}).json()["data"])


def a_deleted_series_is_gone_at_once_and_after_a_restart(folder, running):
    n = Narthex(folder, "global: {}\n", FLAGS)
    running.append(n)
    now = int(time.time()) * 1000
    for k in range(10):
        t = now - (10 - k) * 10000
        a = send(n, *[({"__name__": "m", "i": str(i)}, [(t, k)]) for i in range(3)], ({"__name__": "other"}, [(t, k)]))
        assert a.status == 204, (a.status, a.body)
    whole = lambda name: int(n.value(f"count_over_time({name}[5m])") or 0)
    assert whole('m{i="1"}') == 10
    a = post(n, "/api/v1/admin/tsdb/delete_series", **{"match[]": 'm{i="1"}'})
    assert a.status == 204 and a.body == b"", (a.status, a.body)
    a = post(n, "/api/v1/admin/tsdb/delete_series", **{"match[]": ['m{i="2"}', "nothing"], "start": (now - 60000) / 1000, "end": (now - 30000) / 1000})
    assert a.status == 204, a.body

    def check():
        assert names(n) == ["m0", "m2", "other"], names(n)
        assert [whole('m{i="0"}'), whole('m{i="1"}'), whole('m{i="2"}'), whole("other")] == [10, 0, 6, 10]
    check()
    n.stop()
    running.remove(n)
    n = Narthex(folder, "global: {}\n", FLAGS)
    running.append(n)
    check()
    assert send(n, ({"__name__": "m", "i": "1"}, [(now, 7)])).status == 204
    assert whole('m{i="1"}') == 1, "what comes after a deletion stays"
    assert post(n, "/api/v1/admin/tsdb/clean_tombstones").status == 204


def late_samples_are_taken_within_the_window(folder, running):
    config = "storage:\n  tsdb:\n    out_of_order_time_window: 30m\n"
    n = Narthex(folder, config, FLAGS + ["--web.enable-lifecycle"])
    running.append(n)
    now = int(time.time()) * 1000
    minutes = lambda k: now - k * 60000
    count = lambda: int(n.value("count_over_time(m[2h])") or 0)
    metric = lambda name: next(float(line.split()[-1]) for line in n.get("/metrics").body.decode().splitlines() if line.startswith(name))
    assert send(n, ({"__name__": "m"}, [(minutes(0), 100)])).status == 204
    for k in (20, 5, 10, 29):
        a = send(n, ({"__name__": "m"}, [(minutes(k), k)]))
        assert a.status == 204, a.body
    assert [float(v[1]) for v in n.query("m[2h]", at=now / 1000)[0]["values"]] == [29, 20, 10, 5, 100]
    a = send(n, ({"__name__": "m"}, [(minutes(31), 1)]))
    assert a.status == 400 and b"too old sample" in a.body, (a.status, a.body)
    assert metric("prometheus_tsdb_head_out_of_order_samples_appended_total") == 4
    assert metric("prometheus_tsdb_too_old_samples_total") == 1
    assert metric("prometheus_tsdb_sample_ooo_delta_count") == 5
    assert send(n, ({"__name__": "only_late"}, [(minutes(25), 1)])).status == 204
    a = post(n, "/api/v1/admin/tsdb/delete_series", **{"match[]": "m", "start": minutes(12) / 1000, "end": minutes(3) / 1000})
    assert a.status == 204, a.body
    assert count() == 3
    n.stop()
    running.remove(n)
    n = Narthex(folder, config, FLAGS + ["--web.enable-lifecycle"])
    running.append(n)
    assert count() == 3 and names(n) == ["m", "only_late"]
    n.write("prometheus.yml", "global: {}\n")
    assert post(n, "/-/reload").status == 200
    a = send(n, ({"__name__": "m"}, [(minutes(1), 1)]))
    assert a.status == 400 and b"out of order sample" in a.body, (a.status, a.body)
    assert count() == 3


POLICIES = """
retention:
  - {match: '{__name__="brief"}', keep: 6h}
downsampling:
  - {after: 5h, resolution: 5m}
  - {after: 12h, resolution: 1h}
"""


def old_samples_are_kept_as_the_policies_say(folder, running):
    flags = FLAGS + [f"--storage.tsdb.policy-file={folder}/policies.yml", "--web.enable-lifecycle"]
    n = Narthex(folder, "global: {}\n", flags, files={"policies.yml": POLICIES})
    running.append(n)
    end = int(time.time()) // 7200 * 7200 * 1000
    start, step = end - 26 * 3600000, 30000
    times = [t + 7 for t in range(start, end, step)]
    gauge = lambda t: t // step * 37 % 101
    counter = lambda t: (t - start) // step % 500 * 3
    for i in range(0, len(times), 120):
        some = times[i:i + 120]
        a = send(n, ({"__name__": "gauge"}, [(t, gauge(t)) for t in some]), ({"__name__": "counter"}, [(t, counter(t)) for t in some]),
                 ({"__name__": "brief"}, [(t, 1) for t in some]))
        assert a.status == 204, a.body
    exprs = ["max_over_time(gauge[2h])", "min_over_time(gauge[1h])", "avg_over_time(gauge[3h])", "count_over_time(gauge[2h])", "gauge",
             "sum_over_time(gauge[2h])", "max by (x) (gauge)"]
    # One millisecond before the hour: there the windows end, and no sample lies on the edge.
    ask = lambda expr: n.get("/api/v1/query_range", query=expr, start=(start + 4 * 3600000 - 1) / 1000, end=(end - 1) / 1000, step=3600).json()["data"]["result"]
    numbers = lambda expr: [(v[0], float(v[1])) for s in ask(expr) for v in s["values"]]
    close = lambda a, b: len(a) == len(b) and all(x[0] == y[0] and abs(x[1] - y[1]) <= 1e-9 * abs(x[1]) for x, y in zip(a, b))
    before = {e: numbers(e) for e in exprs}
    grown = {e: numbers(e) for e in ["increase(counter[4h])", "rate(counter[10m])"]}
    blocks = lambda: n.get("/api/v1/status/tsdb/blocks").json()["data"]["blocks"]
    wait_for("blocks of all resolutions", lambda: {0, 300000, 3600000} <= {b["resolution"] for b in blocks()}, 200)
    for e in exprs:
        assert close(before[e], numbers(e)), (e, before[e], numbers(e))
    for e, tolerance in (("increase(counter[4h])", 0.02), ("rate(counter[10m])", 0.6)):
        then = numbers(e)
        assert len(then) == len(grown[e]), (e, then)
        off = [abs(a[1] - b[1]) / max(a[1], 1e-9) for a, b in zip(grown[e], then)]
        assert sum(off) / len(off) < tolerance, (e, grown[e], then)
    oldest = min(v[0] for s in n.query("brief[30h]", at=end / 1000) for v in s["values"])
    assert end / 1000 - oldest < 13 * 3600, "kept 6h, gone with its block"
    assert "\x00" not in n.get("/api/v1/labels").json()["data"]
    n.write("policies.yml", "downsampling:\n  - {after: 5h, resolution: 7m}\n")
    a = post(n, "/-/reload")
    assert a.status == 500 and b"divide 2h" in a.body and b"policies.yml:2" in a.body, a.body


def refusals_are_prometheus_own(folder, running):
    n = Narthex(folder, "global: {}\n", FLAGS)
    running.append(n)
    path = "/api/v1/admin/tsdb/delete_series"
    a = post(n, path)
    assert a.status == 400 and a.json()["error"] == "no match[] parameter provided", a.body
    a = post(n, path, **{"match[]": "m{"})
    assert a.status == 400 and a.json()["errorType"] == "bad_data", a.body
    a = post(n, path, **{"match[]": "m", "start": "yesterday"})
    assert a.status == 400 and 'invalid parameter "start"' in a.json()["error"], a.body
    assert n.get(path, **{"match[]": "m"}).status == 405
    off = Narthex(folder + "/off", "global: {}\n")
    running.append(off)
    for p in (path, "/api/v1/admin/tsdb/clean_tombstones"):
        a = post(off, p, **{"match[]": "m"})
        assert a.status == 500 and a.json() == {"status": "error", "errorType": "unavailable", "error": "admin APIs disabled"}, a.body


run(a_deleted_series_is_gone_at_once_and_after_a_restart, late_samples_are_taken_within_the_window, old_samples_are_kept_as_the_policies_say,
    refusals_are_prometheus_own)
