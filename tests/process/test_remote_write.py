#!/usr/bin/env python3
"""Debian's Prometheus remote-writes into Narthex, promtool queries it, and what comes back is what was sent."""

import subprocess

from harness import Exporter, Narthex, Process, free_port, peer, request, run, wait_for

PAGE = """# TYPE steps counter
steps_total{path="/a b",quote="x\\"y"} 0.1
special NaN
special2 +Inf
tiny 5e-324
big 1.7976931348623157e308
"""


def prometheus_writes_and_promtool_reads(folder, running):
    prometheus, promtool = peer("prometheus"), peer("promtool")
    assert prometheus and promtool, "prometheus is not there: tools/fetch-peers brings it"
    exporter = Exporter(PAGE)
    running.append(exporter)
    n = Narthex(folder, "global: {}\n", ["--web.enable-remote-write-receiver"])
    running.append(n)
    port = free_port()
    with open(f"{folder}/source.yml", "w") as f:
        f.write(f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: source
    static_configs: [{{targets: ["{exporter.target}"]}}]
remote_write:
  - url: {n.url}/api/v1/write
    queue_config: {{batch_send_deadline: 100ms}}
""")
    source = Process([prometheus, f"--config.file={folder}/source.yml", f"--storage.tsdb.path={folder}/source",
                      f"--web.listen-address=127.0.0.1:{port}"], f"{folder}/source.log")
    running.append(source)
    wait_for("samples", lambda: (n.value('count_over_time(tiny[1m])') or 0) >= 5, 60)
    exporter.status = 500
    wait_for("stale markers", lambda: n.query("tiny") == [], 60)
    # Up to the newest sample that has arrived: the source always has one more on its way.
    now = n.value('timestamp(up{job="source"})')
    for expr in ('{job="source"}[2m]', "rate(up[1m])", "tiny", "big"):
        theirs = request(f"http://127.0.0.1:{port}/api/v1/query?" + __import__("urllib.parse").parse.urlencode(
            {"query": expr, "time": now})).json()["data"]["result"]
        ours = n.query(expr, at=now)
        key = lambda s: sorted(s["metric"].items())
        assert sorted(ours, key=key) == sorted(theirs, key=key), (expr, ours, theirs)
    assert len(n.query('{job="source"}[2m]', at=now)) >= 10
    out = subprocess.run([promtool, "query", "instant", n.url, "count(up)"], capture_output=True, text=True)
    assert out.returncode == 0, out
    out = subprocess.run([promtool, "query", "labels", n.url, "job"], capture_output=True, text=True)
    assert out.returncode == 0 and "source" in out.stdout, out
    out = subprocess.run([promtool, "query", "series", n.url, "--match=tiny"], capture_output=True, text=True)
    assert out.returncode == 0 and "tiny" in out.stdout, out


def bad_requests_get_prometheus_answers(folder, running):
    n = Narthex(folder, "global: {}\n", ["--web.enable-remote-write-receiver"])
    running.append(n)
    good = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
    url = n.url + "/api/v1/write"
    assert request(url, b"not snappy", headers=good).status == 400
    assert request(url, b"\x00", headers={**good, "Content-Type": "text/plain"}).status == 415
    assert request(url, b"\x00", headers={**good, "Content-Encoding": "gzip"}).status == 415
    assert request(url, b"\x00", headers=good).status == 204
    assert request(url).status == 405
    bomb = b"\xff\xff\xff\xff\x0f" + b"\x00" * 100  # announces 4 GiB
    assert request(url, bomb, headers=good).status == 400


run(prometheus_writes_and_promtool_reads, bad_requests_get_prometheus_answers)
