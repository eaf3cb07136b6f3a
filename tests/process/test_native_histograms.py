#!/usr/bin/env python3
"""Native histograms from end to end: a real Prometheus scrapes them and writes them on, in each version of remote write it
speaks; queries give what it gives itself, also after a restart."""

import subprocess
import urllib.parse

import protobuf_page as pb
from harness import Exporter, Narthex, Process, free_port, peer, request, run, wait_for


class Page:
    """Grows at each scrape; its counters begin again once."""

    def __init__(self):
        self.n = 0

    def __call__(self):
        self.n += 1
        n = self.n if self.n < 8 else self.n - 7
        a, b, c = 3 * n, n // 2, n * n
        buckets = (((-2, 2), (3, 1)), (a, b - a, c - b))
        native = [pb.histogram(a + b + c + n, 1.5 * n, schema=3, zero_threshold=2.938735877055719e-39, zero_count=n,
                               positive=buckets, pairs={"path": "/"}),
                  pb.histogram(2 * (a + b + c), -0.5 * n, schema=-1, zero_threshold=0.001, positive=buckets,
                               negative=buckets, pairs={"path": "/both"})]
        fl = [pb.histogram(n * 0.75, n * 0.1, schema=0, zero_threshold=0.25, zero_count=n * 0.25, floats=True,
                           positive=(((1, 2),), (n * 0.125, n * 0.375)))]
        ga = [pb.histogram(6, n, schema=1, zero_threshold=0.001, positive=(((0, 2),), (n % 5 + 1, 4 - 2 * (n % 5))))]
        plain = pb.exemplar(2, {"trace_id": f"t{self.n}"}, n)
        return (pb.family("rpc_seconds", pb.HISTOGRAM, native, "Durations.", "seconds") +
                pb.family("float_seconds", pb.HISTOGRAM, fl) + pb.family("gauge_seconds", pb.GAUGE_HISTOGRAM, ga) +
                pb.family("steps", pb.COUNTER, [pb.counter(n, exemplar=plain)], "Steps taken.") +
                pb.family("level", pb.GAUGE, [pb.gauge(n % 4)]))


def version_of(prometheus):
    text = subprocess.run([prometheus, "--version"], capture_output=True, text=True)
    words = (text.stdout + text.stderr).split()
    return tuple(int(n) for n in words[words.index("version") + 1].split("+")[0].split("-")[0].split(".")[:2])


# What every version has right; and what only later ones have (2.42 mixes up histograms of one answer). The words of rate
# have changed since, so it is not here.
INSTANT = ("rpc_seconds", "float_seconds", "steps_total or steps", "level", "histogram_count(rpc_seconds)",
           "histogram_sum(rpc_seconds)")
LATER = ("histogram_quantile(0.9, sum(rpc_seconds))", "histogram_fraction(0, 1, rpc_seconds)",
         '{__name__=~"rpc_seconds|float_seconds|gauge_seconds|steps|steps_total|level"}[8500ms]', "gauge_seconds",
         "histogram_avg(float_seconds)", "resets(rpc_seconds[8500ms])", "avg_over_time(gauge_seconds[8500ms])",
         "sum_over_time(rpc_seconds[8500ms])")


def difference(a, b):
    """The first place where two values of JSON differ, to keep the report short."""
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return next((i, *difference(x, y)) for i, (x, y) in enumerate(zip(a, b)) if x != y)
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return next((k, *difference(a[k], b[k])) for k in a if a[k] != b[k])
    return ("ours", a, "theirs", b)


def compare(theirs_url, ours, now, version):
    key = lambda s: sorted(s["metric"].items())
    for expr in INSTANT + (LATER if version >= (3, 0) else ()):
        theirs = request(f"{theirs_url}/api/v1/query?" + urllib.parse.urlencode({"query": expr, "time": now})).json()
        a, b = sorted(ours.query(expr, at=now), key=key), sorted(theirs["data"]["result"], key=key)
        assert a and a == b, (expr, difference(a, b))


def notes(theirs_url, ours, at):
    """Exemplars and metadata that came along."""
    params = {"query": '{__name__=~"steps|steps_total"}', "start": at - 5, "end": at}
    theirs = request(f"{theirs_url}/api/v1/query_exemplars?" + urllib.parse.urlencode(params)).json()["data"]
    mine = ours.get("/api/v1/query_exemplars", **params).json()["data"]
    assert len(mine[0]["exemplars"]) >= 4 and mine == theirs, (mine, theirs)
    told = ours.get("/api/v1/metadata", metric="rpc_seconds").json()["data"]
    assert told["rpc_seconds"][0]["type"] == "histogram" and told["rpc_seconds"][0]["help"] == "Durations.", told


def forward(folder, running, message):
    prometheus = peer("prometheus")
    assert prometheus, "prometheus is not there: tools/fetch-peers brings it"
    version = version_of(prometheus)
    exporter = Exporter(Page(), pb.CONTENT_TYPE)
    running.append(exporter)
    flags = ["--web.enable-remote-write-receiver", "--enable-feature=exemplar-storage"]
    n = Narthex(folder, "global: {}\n", flags)
    running.append(n)
    port = free_port()
    options = "send_native_histograms: true, send_exemplars: true"
    if message:
        if version < (3, 0):
            return
        options += f", protobuf_message: {message}"
    with open(f"{folder}/source.yml", "w") as f:
        f.write(f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: source
    static_configs: [{{targets: ["{exporter.target}"]}}]
remote_write:
  - {{url: "{n.url}/api/v1/write", {options}, queue_config: {{batch_send_deadline: 100ms}},
     metadata_config: {{send: true, send_interval: 1s}}}}
""")
    source = Process([prometheus, f"--config.file={folder}/source.yml", f"--storage.tsdb.path={folder}/source",
                      f"--web.listen-address=127.0.0.1:{port}",
                      "--enable-feature=native-histograms,exemplar-storage,metadata-wal-records"], f"{folder}/source.log")
    running.append(source)
    theirs = f"http://127.0.0.1:{port}"
    wait_for("samples", lambda: (n.value('count_over_time(rpc_seconds{path="/"}[5m])') or 0) >= 12, 90)
    middle = n.value('timestamp(rpc_seconds{path="/"})') - 1  # shards may be a sample apart
    exporter.status = 500
    wait_for("stale markers", lambda: n.query("rpc_seconds") == [], 60)
    compare(theirs, n, middle, version)
    compare(theirs, n, middle - 3, version)
    log = source.log()
    assert "non-recoverable" not in log and "Failed to send batch" not in log, log[-3000:]
    n.stop()
    again = Narthex(folder, "global: {}\n", flags, port=n.port)
    running.append(again)
    compare(theirs, again, middle, version)
    notes(theirs, again, middle)


def prometheus_writes_histograms_by_version_1(folder, running):
    forward(folder, running, None)


def prometheus_writes_histograms_by_version_2(folder, running):
    forward(folder, running, "io.prometheus.write.v2.Request")


if __name__ == "__main__":
    run(prometheus_writes_histograms_by_version_1, prometheus_writes_histograms_by_version_2)
