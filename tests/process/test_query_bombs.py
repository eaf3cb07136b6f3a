#!/usr/bin/env python3
"""Queries made to hurt: each ends in an answer or a clear error within its budgets, while scraping goes on undisturbed."""

import json
import os
import threading
import time
import urllib.parse

from harness import SLOW, Exporter, Narthex, request, run, scrape_config, wait_for
from remote_write import HEADERS, write_request

SERIES = 20000
NOW = int(time.time() * 1000) // 60000 * 60000
TIMEOUT = 4
MEMORY = 192 << 20
FLAGS = ["--web.enable-remote-write-receiver", f"--query.timeout={TIMEOUT}s", "--query.max-samples=3000000",
         f"--query.max-memory-per-query={MEMORY >> 20}MB", f"--query.max-memory-total={2 * MEMORY >> 20}MB",
         "--enable-feature=promql-experimental-functions,promql-extended-range-selectors"]
# Budgets, the data itself, and what the allocator keeps.
RSS_MAX = 2 * MEMORY + (500 << 20)
CLEAR = ("timed out", "too many samples", "byte budget", "parse error", "maximum resolution", "many-to-many", "many-to-one",
         "grouping labels", "labelset", "deep", "too long", "too large", "nesting", "int64", "invalid", "limit", "duplicate",
         "repetition", "regular expression", "cannot", "expected", "not allowed", "more than")


def nested(inner, depth):
    for _ in range(depth):
        inner = f"sum_over_time({inner}[1h:1s])"
    return inner


def grown(depth):
    q = 'label_replace(up, "a", "xxxxxxxx", "", "")'
    for _ in range(depth):
        q = f'label_join({q}, "a", "$", "a", "a", "a", "a")'
    return q


def replaced(depth):
    q = 'label_replace(up, "a", "xxxxxxxx", "", "")'
    for _ in range(depth):
        q = f'label_replace({q}, "a", "$1$1$1$1$1$1$1$1", "a", "(.*)")'
    return q


INSTANT = [
    # regexes
    'm{j=~"(.*)*(.*)*(.*)*x"}', 'm{j=~"' + "(a|b|c|d|e|f|g)?" * 500 + '"}', 'm{j=~"' + "|".join(f"v{i}" for i in range(20000)) + '"}',
    'm{j!~"' + ".*" * 2000 + '"}', 'm{j=~"((a{1,100}){1,100}){1,100}"}', 'm{j=~"' + "(" * 5000 + ")" * 5000 + '"}',
    '{__name__=~".+",j=~".*[0-9].*[0-9].*"}', 'count({j!~"x.*"})', 'label_replace(m, "k", "$1$1$1$1", "j", "((.*)*)*")',
    # subqueries
    nested("m", 1), nested("m", 2), nested("m", 5), nested("vector(time())", 2), nested("vector(time())", 20),
    "max_over_time(rate(m[5m])[30d:1s])", "count_over_time(vector(time())[1000y:1s])", "count_over_time(vector(1)[1000y:1ms])",
    "quantile_over_time(0.5, m[1h:1ms])", "sum(sum_over_time(sum_over_time(m[1h:1s])[1d:1m]))", "m[365d:1s]",
    # joins
    "m * on() group_left m", "m + on(i) group_left() m", "sum(m * on(k) group_left(j) m)", "m and on() m", "m or m or m or m or m",
    " or ".join(f'label_replace(m, "n", "{i}", "", "")' for i in range(200)), "m unless on(j) m", "m == on(j, i) m",
    "count(m * on(k) group_left() (m > 0))",
    # values and labels
    'count_values("v", m)', 'count_values("v", {__name__=~".+"})', 'count_values("v", m + on(j, i) rand_absent or m / 3)',
    grown(30), replaced(15), 'label_join(m, "big", ",", ' + ", ".join(['"j"'] * 5000) + ")",
    'sum by (' + ", ".join(f"l{i}" for i in range(20000)) + ") (m)",
    # shape of the text
    "(" * 100000 + "m" + ")" * 100000, "-" * 100000 + "1", "+".join(["1"] * 200000), "sum(" * 10000 + "m" + ")" * 10000,
    "m{" + ",".join(f'a{i}="b"' for i in range(50000)) + "}", "[" * 500000, '"' + "x" * 1000000 + '"',
    " + ".join(["m"] * 300), "m" * 1000000,
    # times
    "m @ 9223372036854775", "m offset 100y", "m offset -100y", "sum_over_time(m[100y])", "m @ -9223372036854775.807",
    "rate(m[292y] offset -292y)",
    # what keeps much
    "topk(1000000, m)", "bottomk(1e18, m)", "sort(m)", "sort_by_label(m, \"j\", \"i\")", "quantile(0.5, m)", "absent({j=~\".+\"})",
    'info(m, {__name__=~".+"})', 'histogram_quantile(0.5, label_replace(m, "le", "$1", "i", "(.*)"))',
    'histogram_quantiles(label_replace(m, "le", "$1", "i", "(.*)"), "q", 0.1, 0.5, 0.9)', "limit_ratio(0.5, m)",
    "stddev without (i) (m)", "predict_linear(m[1h:1s], 1e18)",
]
RANGE = [("m", 1, 10999), ("sum_over_time(m[1d])", 1, 10999), ("topk(10, m)", 1, 10999), ("m * on(j, i) m", 1, 10999),
         ('count_values("v", m + time())', 1, 10999), ("quantile(0.9, m)", 1, 10999), ("sort(m)", 1, 10999),
         ("max_over_time(m[1h:1s])", 60, 1000), ("m", 0.001, 10), ("m", 1, 1e9), ("vector(time())", 1e-9, 5), ("m or m", 1, 5000)]


def fill(n):
    """Four samples of every series, a minute apart."""
    for first in range(0, SERIES, 2000):
        body = write_request([({"__name__": "m", "i": str(i % 100), "j": f"v{i}", "k": "one"},
                               [(NOW - (4 - t) * 60000, float(i * t)) for t in range(4)]) for i in range(first, first + 2000)])
        a = request(n.url + "/api/v1/write", body, headers=HEADERS)
        assert a.status in (200, 204), a.body


def rss(n):
    with open(f"/proc/{n.child.pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


class Watch(threading.Thread):
    """Asks for health all the time; keeps the longest wait and the largest size."""

    def __init__(self, n):
        super().__init__(daemon=True)
        self.n, self.ending, self.longest, self.largest, self.failed = n, False, 0, 0, []
        self.start()

    def run(self):
        while not self.ending:
            began = time.monotonic()
            try:
                a = request(self.n.url + "/-/healthy")
                if a.status != 200:
                    self.failed.append(a.status)
            except OSError as e:
                self.failed.append(e)
            self.longest = max(self.longest, time.monotonic() - began)
            try:
                self.largest = max(self.largest, rss(self.n))
            except OSError:
                return
            time.sleep(0.05)


def ask(n, path, params):
    data = urllib.parse.urlencode(params).encode()
    return request(f"{n.url}/api/v1/{path}", data, headers={"Content-Type": "application/x-www-form-urlencoded"},
                   timeout=TIMEOUT + 60)


def drop(n, path, params, wrong):
    query = str(params["query"])
    a = ask(n, path, params)
    if a.status == 200:
        return "answer"
    if a.status == 413:  # too large a request
        return "error"
    try:
        text = a.json()["error"]
    except (ValueError, KeyError):
        text = a.body.decode(errors="replace")
    if a.status not in (400, 422, 503) or not any(word in text for word in CLEAR):
        wrong.append(f"{path} {query[:100]}: {a.status} {text[:300]}")
    return "error"


def bombs_end_within_their_budget_while_scraping_goes_on(folder, running):
    exporter = Exporter("scraped 1\n")
    running.append(exporter)
    n = Narthex(folder, scrape_config(exporter.target, interval="500ms"), FLAGS)
    running.append(n)
    fill(n)
    wait_for("a scrape", lambda: n.value("up") == 1)
    watch = Watch(n)
    began = time.time()
    wrong, counts = [], {}
    at = NOW / 1000 - 30
    bombs = [("query", {"query": q, "time": at}) for q in INSTANT]
    bombs += [("query_range", {"query": q, "start": at - step * steps, "end": at, "step": step}) for q, step, steps in RANGE]
    assert len(bombs) >= 50
    # Two at a time, so that they share the total budget.
    def work(share):
        for path, params in share:
            kind = drop(n, path, params, wrong)
            counts[kind] = counts.get(kind, 0) + 1
    threads = [threading.Thread(target=work, args=(bombs[i::2],)) for i in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    watch.ending = True
    watch.join()
    elapsed = time.time() - began
    print(f"# {len(bombs)} bombs, {counts}, {elapsed:.0f} s, largest {watch.largest >> 20} MiB, "
          f"longest wait for health {watch.longest * 1000:.0f} ms")
    assert not wrong, "\n".join(wrong)
    assert not watch.failed, watch.failed
    assert watch.longest < 10 * SLOW, watch.longest
    if SLOW == 1:  # a sanitizer's own memory is not counted
        assert watch.largest < RSS_MAX, watch.largest
    # Every scrape of that time came and succeeded.
    end = time.time()
    scrapes = n.query(f"count_over_time(up[{int(end - began)}s])", end)[0]["value"][1]
    assert int(scrapes) >= (end - began) / 0.5 * 0.9 - 2, (scrapes, end - began)
    assert float(n.query(f"min_over_time(up[{int(end - began)}s])", end)[0]["value"][1]) == 1
    data = n.get("/api/v1/status/active_queries").json()["data"]
    assert data["running"] == 0 and data["queued"] == 0, json.dumps(data)


if __name__ == "__main__":
    run(bombs_end_within_their_budget_while_scraping_goes_on)
