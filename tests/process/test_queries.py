#!/usr/bin/env python3
"""The life of queries: queue, list, kill, clients that go away, timeouts, budgets, the log, the slow ones."""

import http.client
import json
import os
import threading
import time
import urllib.parse

from harness import Exporter, Narthex, request, run, scrape_config, wait_for

CONFIG = "global: {scrape_interval: 1h}\n"
# Runs for hours unless somebody ends it, and holds little.
LONG = "sum_over_time(sum_over_time(timestamp(vector(time()))[1d:1s])[2d:1s])"


def start(folder, running, *flags, config=CONFIG, files=None):
    n = Narthex(folder, config, flags, files)
    running.append(n)
    return n


class Asker(threading.Thread):
    """Asks a query in the background; `answer` is what came."""

    def __init__(self, n, query, **params):
        super().__init__(daemon=True)
        self.n, self.params, self.answer = n, {"query": query, **params}, None
        self.start()

    def run(self):
        self.answer = request(self.n.url + "/api/v1/query?" + urllib.parse.urlencode(self.params), timeout=120)

    def error(self):
        self.join(60)
        return self.answer.status, self.answer.json()["error"]


def active(n):
    return n.get("/api/v1/status/active_queries").json()["data"]


def wait_states(n, running, queued):
    return wait_for(f"{running} running, {queued} queued",
                    lambda: (lambda d: d if (d["running"], d["queued"]) == (running, queued) else None)(active(n)))


def kill(n, number):
    return request(f"{n.url}/api/v1/status/active_queries/kill?id={number}", method="POST")


def queries_wait_in_a_queue_and_can_be_killed(folder, running):
    n = start(folder, running, "--query.max-concurrency=1")
    first = Asker(n, LONG)
    wait_states(n, 1, 0)
    second = Asker(n, LONG + " + 1")
    wait_states(n, 1, 1)
    third = Asker(n, "1 + 1")
    data = wait_states(n, 1, 2)
    a, b, c = data["queries"]
    assert (a["state"], b["state"], c["query"]) == ("running", "queued", "1 + 1"), data
    assert a["query"] == LONG and a["source"] == "api" and a["client"].startswith("127.0.0.1:"), a
    assert data["maxConcurrency"] == 1 and a["durationSeconds"] > 0 and a["start"] > 1e9, data
    assert kill(n, b["id"]).json()["data"] == {"killed": True}
    assert second.error() == (499, "query was killed"), second.answer.body
    assert kill(n, a["id"]).status == 200
    assert first.error() == (499, "query was killed"), first.answer.body
    third.join(60)
    assert third.answer.json()["data"]["result"][1] == "2", third.answer.body
    wait_states(n, 0, 0)
    gone = kill(n, a["id"])
    assert gone.status == 404 and gone.json()["errorType"] == "not_found", gone.body
    assert kill(n, "x").status == 400
    slow = n.get("/api/v1/status/slow_queries").json()["data"]["queries"]
    assert slow[0]["query"] == LONG and slow[0]["count"] == 1, slow
    assert slow[0]["lastError"] == "query was killed" and slow[0]["totalSeconds"] > 0, slow


def time_in_the_queue_counts(folder, running):
    n = start(folder, running, "--query.max-concurrency=1", "--query.timeout=1h")
    first = Asker(n, LONG)
    number = wait_states(n, 1, 0)["queries"][0]["id"]
    late = Asker(n, "1", timeout="300ms")
    assert late.error() == (503, "query timed out in query queue"), late.answer.body
    assert late.answer.json()["errorType"] == "timeout"
    late = Asker(n, LONG, timeout="0")
    assert late.error()[0] == 503
    kill(n, number)
    first.join(60)
    late = Asker(n, LONG, timeout="200ms")
    assert late.error() == (503, "query timed out in expression evaluation"), late.answer.body


def a_client_that_goes_away_ends_its_query(folder, running):
    n = start(folder, running, "--query.max-concurrency=1")
    path = "/api/v1/query?" + urllib.parse.urlencode({"query": LONG})
    connections = []
    for i in range(2):  # one runs, one waits
        c = http.client.HTTPConnection("127.0.0.1", n.port)
        c.request("GET", path)
        connections.append(c)
        wait_states(n, 1, i)
    for c, states in zip(reversed(connections), ((1, 0), (0, 0))):
        c.close()
        wait_states(n, *states)


def budgets_are_named_when_they_refuse(folder, running):
    n = start(folder, running, "--query.max-memory-per-query=4MB", "--query.max-memory-total=200MB")
    q = 'count_values("v", {__name__=~".+"}) or label_replace(vector(1), "x", "$1", "y", "(.*)")'
    wide = "sum by (a) (" + " or ".join(f'label_replace(vector({i}), "a", "{i}", "", "")' for i in range(50)) + ")"
    assert n.get("/api/v1/query", query=q).status == 200
    a = n.get("/api/v1/query_range", query=wide, start=0, end=10000, step=1)
    assert a.status == 422 and "--query.max-memory-per-query" in a.json()["error"], a.body[:500]
    n.stop()
    n = start(folder, running, "--query.max-memory-total=4MB")
    a = n.get("/api/v1/query_range", query=wide, start=0, end=10000, step=1)
    assert a.status == 422 and "--query.max-memory-total" in a.json()["error"], a.body[:500]
    assert n.get("/api/v1/query", query="1").status == 200


def queries_are_logged(folder, running):
    exporter = Exporter("m 1\n")
    running.append(exporter)
    rules = "groups: [{name: g, rules: [{record: 'm:sum', expr: sum(m)}]}]\n"
    config = scrape_config(exporter.target, extra="  query_log_file: q.log\nrule_files: [r.yml]\n")
    n = start(folder, running, "--web.enable-lifecycle", config=config, files={"r.yml": rules})
    path = os.path.join(folder, "q.log")

    def lines():
        with open(path, encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    rule = wait_for("a rule's line", lambda: [x for x in lines() if "ruleGroup" in x])[0]
    assert rule["ruleGroup"] == {"file": rule["ruleGroup"]["file"], "name": "g"} and "r.yml" in rule["ruleGroup"]["file"]
    assert rule["params"]["query"] == "sum(m)" and rule["msg"] == "promql query logged", rule
    n.get("/api/v1/query", query="m + 1", time=1000.5)
    n.get("/api/v1/query", query="m +")
    n.get("/federate", **{"match[]": "m"})
    own = [x for x in lines() if "httpRequest" in x]
    assert own[0]["params"] == {"end": "1970-01-01T00:16:40.500Z", "query": "m + 1",
                                "start": "1970-01-01T00:16:40.500Z", "step": 0}, own
    assert own[0]["httpRequest"] == {"clientIP": "127.0.0.1", "method": "GET", "path": "/api/v1/query"}, own
    assert [x["params"]["query"] for x in own] == ["m + 1", "m"], own
    assert list(own[0]) == ["time", "level", "source", "msg", "params", "stats", "spanID", "httpRequest"], own
    metrics = n.get("/metrics").body.decode()
    assert "\nprometheus_engine_query_log_enabled 1\n" in metrics
    # A moved file is left at a reload, as log rotation needs it; a file that cannot be written refuses the reload.
    os.rename(path, path + ".1")
    assert request(n.url + "/-/reload", method="POST").status == 200
    wait_for("a line in the new file", lines)
    n.write("prometheus.yml", config.replace("q.log", "no/such/folder/q.log"))
    refused = request(n.url + "/-/reload", method="POST")
    assert refused.status == 500 and b"query_log_file" in refused.body, refused.body
    n.write("prometheus.yml", config.replace("  query_log_file: q.log\n", ""))
    assert request(n.url + "/-/reload", method="POST").status == 200
    count = len(lines())
    n.get("/api/v1/query", query="m + 2")
    assert all(x["params"]["query"] != "m + 2" for x in lines()[count - 1:])
    assert "\nprometheus_engine_query_log_enabled 0\n" in n.get("/metrics").body.decode()


def the_server_ends_while_queries_run(folder, running):
    n = start(folder, running, "--query.max-concurrency=1")
    for _ in range(2):
        c = http.client.HTTPConnection("127.0.0.1", n.port)
        c.request("GET", "/api/v1/query?" + urllib.parse.urlencode({"query": LONG}))
    wait_for("both queries", lambda: len(active(n)["queries"]) == 2)
    n.stop()


if __name__ == "__main__":
    run(queries_wait_in_a_queue_and_can_be_killed, time_in_the_queue_counts, a_client_that_goes_away_ends_its_query,
        budgets_are_named_when_they_refuse, queries_are_logged, the_server_ends_while_queries_run)
