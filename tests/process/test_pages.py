#!/usr/bin/env python3
"""The web pages: their addresses and headers; and, where node and a browser are there, each page on live data."""

import gzip
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request

from harness import BUILD, SLOW, Exporter, Narthex, Process, Webhook, free_port, peer, request, run, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
UI = os.path.join(ROOT, "src/web/ui")
ASSETS = os.path.join(ROOT, "src/web/assets")
PAGES = ["/", "/query", "/alerts", "/rules", "/targets", "/service-discovery", "/queries", "/status", "/tsdb-status", "/flags",
         "/config", "/alertmanager-discovery"]
FIRST_PAGE_BYTES_MAX, ALL_BYTES_MAX = 60_000, 220_000

HOSTILE = '<img src=x onerror=alert(1)><script>document.title="owned"</script>'
RULES = """
groups:
  - name: machines
    interval: 500ms
    rules:
      - record: job:load:max
        expr: max by (job) (load)
      - alert: HighLoad
        expr: load > 5
        labels: {severity: critical, team: infra}
        annotations:
          summary: 'load of {{ $labels.shard }} is {{ $value }}'
          runbook_url: https://runbooks.example/high-load
          note: 'javascript:alert(1)'
      - alert: TargetDown
        expr: up == 0
        for: 5m
        labels: {severity: warning}
        annotations: {summary: '{{ $labels.instance }} does not answer'}
      - alert: Never
        expr: vector(0) > 1
      - record: broken
        expr: load * on (job) group_left () load
"""


ALERTMANAGER = """
route:
  receiver: log
  group_by: [alertname]
  group_wait: 300ms
  group_interval: 1s
  routes:
    - receiver: pager
      matchers: ['severity="critical"']
      continue: true
    - receiver: tickets
      matchers: ['severity=~"critical|warning"']
receivers:
  - name: log
  - name: pager
    webhook_configs: [{url: '%s/page'}]
  - name: tickets
    webhook_configs: [{url: '%s/ticket'}]
"""


def config(targets, rules=True):
    listed = "".join(f"  - job_name: {job}\n    static_configs: [{{targets: ['{t}']}}]\n" for job, t in targets)
    dropped = "    relabel_configs: [{source_labels: [__address__], regex: '.*:9', action: drop}]\n"
    return ("global: {scrape_interval: 500ms, scrape_timeout: 400ms, evaluation_interval: 500ms}\n"
            + ("rule_files: [rules.yml]\n" if rules else "") + "scrape_configs:\n" + listed
            + "  - job_name: partly\n    static_configs: [{targets: ['127.0.0.1:9']}]\n" + dropped)


def page_body(i):
    escaped = HOSTILE.replace("\\", "\\\\").replace('"', '\\"')
    return (f"# HELP load Load <b>of</b> {HOSTILE}\n# TYPE load gauge\n"
            + "".join(f'load{{shard="{s}"}} {v}\n' for s, v in (("eu-1", 7.25), ("eu-2", 2), ("us-1", 9)))
            + f'load{{shard="{escaped}"}} {6 + i % 3}\n'
            + "# HELP wait_seconds Time in the queue\n# TYPE wait_seconds histogram\n"
            + "".join(f'wait_seconds_bucket{{le="{le}"}} {i * n}\n' for le, n in BUCKETS)
            + f"wait_seconds_count {i * 20}\nwait_seconds_sum {i * 7}\n")


BUCKETS = (("0.01", 1), ("0.05", 3), ("0.1", 9), ("0.5", 16), ("1", 19), ("+Inf", 20))


class NodeExporter(Process):
    """Real data of this machine; it ends by the signal, not with 0."""

    program = peer("prometheus-node-exporter") or peer("node_exporter")

    def __init__(self, folder):
        self.port = free_port()
        super().__init__([self.program, f"--web.listen-address=127.0.0.1:{self.port}", "--no-collector.systemd"],
                         f"{folder}/node.log")

    def stop(self, sig=signal.SIGKILL, seconds=30):
        return super().stop(signal.SIGKILL, seconds)


def start(folder, running, flags=()):
    n = [0]

    def body():
        n[0] += 1
        return page_body(n[0])
    exporter = Exporter(body)
    running.append(exporter)
    targets = [("app", exporter.target), ("gone", f"127.0.0.1:{free_port()}")]
    if NodeExporter.program:
        running.append(NodeExporter(folder))
        targets.append(("node", f"127.0.0.1:{running[-1].port}"))
    pager, tickets = Webhook(), Webhook()
    tickets.status = 503
    server = Narthex(folder, config(targets), [f"--alertmanager.config.file={folder}/alertmanager.yml", *flags],
                     {"rules.yml": RULES, "alertmanager.yml": ALERTMANAGER % (pager.url, tickets.url)})
    running += [pager, tickets, server]
    wait_for("a firing alert", lambda: server.query('ALERTS{alertstate="firing"}'))
    wait_for("a pending alert", lambda: server.query('ALERTS{alertstate="pending"}'))
    return server


def addresses_headers_and_sizes(folder, running):
    n = Narthex(folder, config([], rules=False))
    running.append(n)
    for path in PAGES:
        a = n.get(path)
        assert a.status == 200 and a.headers["Content-Type"] == "text/html; charset=utf-8", (path, a.status)
        policy = a.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "require-trusted-types-for 'script'" in policy, policy
        assert "unsafe" not in policy and a.headers["Cache-Control"] == "no-cache", a.headers
        again = request(n.url + path, headers={"If-None-Match": a.headers["ETag"]})
        assert again.status == 304 and not again.body, (path, again.status)
    for path in ("/nothing", "/query/x", "/assets/", "/assets/index.html", "/assets/nothing.js", "/static/x"):
        a = n.get(path)
        assert (a.status, a.body) == (404, b"404 page not found\n"), (path, a.status, a.body)
    sizes = {}
    for name in re.findall(r'"(assets/[^"]+)"', n.get("/").body.decode()):
        a = request(f"{n.url}/{name}", headers={"Accept-Encoding": "gzip"})
        assert a.status == 200 and "immutable" in a.headers["Cache-Control"], (name, a.headers)
        assert a.headers["Content-Encoding"] == "gzip", a.headers
        sizes[name] = len(a.body)
        plain = n.get("/" + name)
        assert "Content-Encoding" not in plain.headers and plain.body == gzip.decompress(a.body), name
    assert len(sizes) == 2 and sum(sizes.values()) < FIRST_PAGE_BYTES_MAX, sizes
    total = sum(os.path.getsize(os.path.join(ASSETS, f)) for f in os.listdir(ASSETS) if f != "meson.build")
    assert total < ALL_BYTES_MAX, total


def old_links_lead_on(folder, running):
    n = Narthex(folder, config([], rules=False), ["--web.external-url=http://example.org/prom/"], wait=False)
    running.append(n)
    wait_for("the server", lambda: request(n.url + "/prom/-/ready").status == 200)

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None
    def leads_to(path):
        try:
            return urllib.request.build_opener(Stay).open(n.url + path).status, None
        except urllib.error.HTTPError as e:
            return e.code, e.headers["Location"]
    assert leads_to("/prom/graph?g0.expr=up&g0.tab=1") == (302, "query?g0.expr=up&g0.tab=1")
    assert leads_to("/prom/graph") == (302, "query")
    assert leads_to("/prom/classic/graph?g0.expr=up") == (302, "../query?g0.expr=up")
    assert leads_to("/prom/classic/targets") == (302, "../targets")
    assert leads_to("/prom/new/alerts") == (302, "../alerts")
    assert leads_to("/prom") == (301, "/prom/"), leads_to("/prom")
    assert leads_to("/prom/") == (200, None)
    assert n.get("/prom/targets").status == 200
    text = n.get("/prom/").body.decode()
    assert not re.search(r'(?:src|href)="/', text), "an absolute address would lose the prefix"


def summary_counts_what_is_wrong(folder, running):
    n = start(folder, running)
    s = n.get("/api/v1/status/summary").json()["data"]
    assert s["ready"] and s["targets"]["down"] == 1 and s["targets"]["up"] >= 1, s
    assert s["rules"]["firing"] == 3 and s["rules"]["pending"] == 1 and s["rules"]["rules"] == 5, s
    assert s["tsdb"]["series"] > 4 and s["tsdb"]["samplesAppended"] > 0, s


def changes_are_same_origin_only(folder, running):
    n = Narthex(folder, config([], rules=False), ["--web.enable-lifecycle", "--web.enable-admin-api"])
    running.append(n)
    kill, reload = "/api/v1/status/active_queries/kill?id=1", "/-/reload"
    def post(path, **headers):
        return request(n.url + path, method="POST", data=b"", headers={k.replace("_", "-"): v for k, v in headers.items()}).status
    for path, done in ((kill, 404), (reload, 200)):
        assert post(path) == done, "a program that is no browser"
        assert post(path, Sec_Fetch_Site="same-origin", Origin="http://other") == done
        assert post(path, Origin=n.url) == done
        for headers in ({"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}, {"Origin": "https://evil.example"},
                        {"Origin": "null"}):
            assert post(path, **headers) == 403, (path, headers)
    assert post("/api/v1/query?query=1", Origin="https://grafana.example") == 200, "reading is not changing"
    assert post("/api/v1/admin/tsdb/snapshot", Origin="https://evil.example") == 403


def browser():
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if shutil.which(name):
            return shutil.which(name)
    return None


def has_module(name):
    return os.path.isdir(os.path.join(UI, "node_modules", name))


def every_page_in_a_browser(folder, running):
    assert browser(), "no Chromium is installed"
    n = start(folder, running)
    quiet = Narthex(f"{folder}/quiet", config([], rules=False), ["--web.route-prefix=/prom"], wait=False)
    running.append(quiet)
    wait_for("the second server", lambda: request(quiet.url + "/prom/-/ready").status == 200)
    time.sleep(3)
    env = {**os.environ, "NARTHEX_URL": n.url, "NARTHEX_QUIET_URL": quiet.url + "/prom",
           "NARTHEX_BROWSER": browser(),
           "NARTHEX_SCREENSHOTS": os.environ.get("NARTHEX_SCREENSHOTS", os.path.join(BUILD, "screenshots")),
           "NARTHEX_PROFILE": f"{folder}/profile"}
    r = subprocess.run(["node", os.path.join(UI, "test/pages.mjs")], env=env, capture_output=True, text=True,
                       timeout=400 * SLOW, check=False)
    for line in (r.stdout + r.stderr).splitlines():
        print("#", line)
    assert r.returncode == 0, f"ended with {r.returncode}"


def built_assets_are_those_of_the_sources(folder, running):
    out = os.path.join(folder, "assets")
    r = subprocess.run([os.path.join(ROOT, "tools/build-ui"), out], capture_output=True, text=True, timeout=120, check=False)
    assert r.returncode == 0, r.stdout + r.stderr
    assert sorted(os.listdir(out)) == sorted(os.listdir(ASSETS)), "run tools/build-ui"
    for name in os.listdir(out):
        with open(os.path.join(out, name), "rb") as a, open(os.path.join(ASSETS, name), "rb") as b:
            new, old = a.read(), b.read()
        if name.endswith(".gz"):
            new, old = gzip.decompress(new), gzip.decompress(old)
        assert new == old, f"{name} differs: run tools/build-ui"


# NARTHEX_PAGES: all = what is missing is a failure, none = leave out what needs node; else what can be run is.
WANTED = os.environ.get("NARTHEX_PAGES")


def runs(*modules):
    return WANTED == "all" or (WANTED != "none" and shutil.which("node") and all(map(has_module, modules)))


cases = [addresses_headers_and_sizes, old_links_lead_on, changes_are_same_origin_only, summary_counts_what_is_wrong]
if runs("esbuild"):
    cases.append(built_assets_are_those_of_the_sources)
if runs("playwright-core", "axe-core") and (browser() or WANTED == "all"):
    cases.append(every_page_in_a_browser)
run(*cases)
