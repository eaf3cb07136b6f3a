"""The event stream of the pages (/api/v1/live), live queries, and where alerts stand on their way out."""

import base64
import http.client
import json
import os
import socket
import ssl
import threading
import time
import urllib.parse

import harness
import tls_files
from harness import Exporter, Narthex, Webhook, request, run, scrape_config, wait_for

RULES = """groups:
  - name: g
    interval: 200ms
    rules:
      - alert: Hot
        expr: temperature > 30
        for: 0s
        labels: {severity: page}
      - alert: Cold
        expr: temperature < 0
        for: 1h
      - record: doubled
        expr: temperature * 2
"""

ALERTMANAGER = """route:
  receiver: other
  group_by: [alertname]
  group_wait: 200ms
  group_interval: 1s
  repeat_interval: 1h
  routes:
    - receiver: pager
      matchers: ['severity="page"']
receivers:
  - name: other
  - name: pager
    webhook_configs:
      - url: {url}/hook
"""


class Stream:
    """A reader of server-sent events: `state` is what a page would hold, `events` all that came."""

    def __init__(self, url, last_event_id=None, connect=None):
        host, path = url.removeprefix("http://").split("/", 1)
        self.conn = connect() if connect else http.client.HTTPConnection(host, timeout=60 * harness.SLOW)
        headers = {"Accept": "text/event-stream"}
        if last_event_id:
            headers["Last-Event-ID"] = last_event_id
        self.conn.request("GET", "/" + path, headers=headers)
        self.answer = self.conn.getresponse()
        self.events, self.state, self.last_id, self.ended = [], {}, None, False
        self.comments = 0
        if self.answer.status == 200:
            threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        event = {}
        try:
            for line in self.answer:
                line = line.decode().rstrip("\n")
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    name, value = line.split(": ", 1)
                    event[name] = value
                elif "data" in event:
                    self.take(event)
                    event = {}
                else:
                    event = {}
        except (OSError, ValueError, http.client.HTTPException, AttributeError):
            pass
        self.ended = True

    def take(self, event):
        data = json.loads(event["data"])
        topic = event.get("event")
        if "full" in data:
            self.state[topic] = data["full"]
        elif "set" in data:
            rows = dict(self.state.get(topic, {}))
            rows.update(data["set"])
            for key in data["del"]:
                del rows[key]  # only what was there may go
            self.state[topic] = rows
        self.last_id = event.get("id", self.last_id)
        self.events.append((topic, data, event.get("id")))

    def topic(self, name):
        return self.state.get(name, {})

    def stop(self, *_):
        try:
            if self.conn.sock:
                self.conn.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.conn.close()


def with_alerts(folder, running, flags=()):
    exporter = Exporter("temperature 20\n")
    hook = Webhook()
    extra = f"rule_files: ['{folder}/rules.yml']\n"
    server = Narthex(folder, scrape_config(exporter.target, extra=extra),
                     ["--alertmanager.config.file=" + os.path.join(folder, "alertmanager.yml"), *flags],
                     files={"rules.yml": RULES, "alertmanager.yml": ALERTMANAGER.replace("{url}", hook.url)})
    running += [exporter, hook, server]
    return exporter, hook, server


def listen(running, server, query="", **kwargs):
    s = Stream(f"{server.url}/api/v1/live{query}", **kwargs)
    running.append(s)
    return s


def alert(stream, rule):
    rows = [r for r in stream.topic("alerts").values() if r["rule"] == rule]
    return rows[0] if rows else None


def a_stream_begins_full_and_goes_on_with_differences(folder, running):
    exporter, hook, server = with_alerts(folder, running)
    s = listen(running, server)
    assert s.answer.status == 200
    assert s.answer.getheader("Content-Type") == "text/event-stream"
    assert s.answer.getheader("Cache-Control") == "no-cache"
    assert s.answer.getheader("Content-Encoding") is None
    topics = {"alerts", "summary", "targets", "rules", "queries"}
    wait_for("every topic", lambda: set(s.state) == topics)
    for name in topics:
        first = next(data for topic, data, _ in s.events if topic == name)
        assert "full" in first, (name, first)
    (key, target), = s.topic("targets").items()
    assert key == target["scrapePool"] + "\x01" + target["scrapeUrl"], key
    assert "discoveredLabels" not in target
    wait_for("a scrape told", lambda: list(s.topic("targets").values())[0]["health"] == "up")
    assert set(s.topic("rules")) == {f"{folder}/rules.yml\x01g\x01{i}" for i in range(3)}, s.topic("rules")
    assert s.topic("alerts") == {}
    exporter.body = "temperature 40\n"
    row = wait_for("the alert", lambda: alert(s, "Hot"))
    shown, = server.get("/api/v1/alerts").json()["data"]["alerts"]
    assert {k: row[k] for k in shown if k != "value"} == {k: v for k, v in shown.items() if k != "value"}
    assert row["group"] == "g" and row["file"].endswith("rules.yml") and row["holdSeconds"] == 0
    assert len(row["fingerprint"]) == 16 and s.topic("alerts")[row["fingerprint"]] is row
    exporter.body = "temperature -4\n"
    wait_for("the other alert", lambda: alert(s, "Cold") and not alert(s, "Hot"))
    assert alert(s, "Cold")["state"] == "pending" and alert(s, "Cold")["holdSeconds"] == 3600
    assert [d for t, d, _ in s.events if t == "alerts" and "full" in d] == [{"full": {}}]
    assert s.topic("summary")["targets"]["up"] == 1


def a_stream_tells_only_the_topics_it_was_asked_for(folder, running):
    server = Narthex(folder, scrape_config())
    running.append(server)
    s = listen(running, server, "?topics=summary,rules")
    wait_for("both", lambda: set(s.state) == {"summary", "rules"})
    a = server.get("/api/v1/live", topics="summary,weather")
    assert a.status == 400 and "weather" in a.json()["error"], a.body
    a = request(server.url + "/api/v1/live", method="HEAD")
    assert a.status == 200 and a.headers["Content-Type"] == "text/event-stream"
    time.sleep(1)
    assert set(s.state) == {"summary", "rules"}


def a_reader_that_comes_back_gets_what_is_new(folder, running):
    exporter, hook, server = with_alerts(folder, running)
    s = listen(running, server, "?topics=alerts,targets")
    wait_for("the first state", lambda: len(s.state) == 2 and not s.last_id.endswith("-0"))
    s.stop()
    last = s.last_id
    exporter.body = "temperature 40\n"
    wait_for("the alert", lambda: server.get("/api/v1/alerts").json()["data"]["alerts"])
    again = listen(running, server, "?topics=alerts,targets", last_event_id=last)
    again.state = dict(s.state)
    wait_for("the news", lambda: alert(again, "Hot"))
    assert not any("full" in data for _, data, _ in again.events), again.events
    # An id of another process, of the future, or no id at all: everything.
    for strange in ("0123456789abcdef-3", last.split("-")[0] + "-99999999", "nonsense", last.split("-")[0] + "-0"):
        other = listen(running, server, "?topics=alerts,targets", last_event_id=strange)
        wait_for("everything", lambda: len(other.state) == 2)
        assert all("full" in data for _, data, _ in other.events[:2]), other.events[:2]
        other.stop()
    # The same by parameter, for clients that cannot set the header.
    by_param = listen(running, server, "?topics=alerts,targets&lastEventId=" + again.last_id)
    by_param.state = dict(again.state)
    exporter.body = "temperature -4\n"
    wait_for("the news", lambda: alert(by_param, "Cold"))
    assert not any("full" in data for _, data, _ in by_param.events)


def silent_streams_get_heartbeats(folder, running):
    server = Narthex(folder, scrape_config())
    running.append(server)
    s = listen(running, server, "?topics=rules")
    wait_for("a comment", lambda: s.comments, 60)
    assert len(s.events) == 1


def a_slow_reader_holds_nobody_up_and_catches_up(folder, running):
    exporter = Exporter("x 1\n")
    running.append(exporter)
    label = "x" * 400
    jobs = "".join(f"      - targets: ['{exporter.target}']\n        labels: {{i: '{i}', pad: '{label}'}}\n" for i in range(400))
    config = ("global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n  - job_name: many\n"
              "    relabel_configs:\n      - {source_labels: [i], target_label: __metrics_path__, replacement: /m/$1}\n"
              f"    static_configs:\n{jobs}")
    server = Narthex(folder, config)
    running.append(server)
    slow = socket.create_connection(("127.0.0.1", server.port))
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    slow.sendall(b"GET /api/v1/live?topics=targets HTTP/1.0\r\n\r\n")
    quick = listen(running, server, "?topics=targets")
    wait_for("all targets", lambda: len(quick.topic("targets")) == 400)
    wait_for("many events", lambda: len(quick.events) > 15, 60)
    # The slow one now reads all it has missed: whole events, a state equal to the quick one's.
    state, lines = {}, slow.makefile("rb")
    slow.settimeout(60 * harness.SLOW)

    def caught_up():
        for line in lines:
            if line.startswith(b"data: "):
                data = json.loads(line[6:])
                state.update(data.get("full", {}))
                state.update(data.get("set", {}))
                oldest = min(t["lastScrape"] for t in quick.topic("targets").values())
                if len(state) == 400 and max(t["lastScrape"] for t in state.values()) >= oldest:
                    return True
        raise AssertionError("the stream ended")
    wait_for("the slow one to catch up", caught_up, 60)
    slow.close()


def streams_have_a_ceiling_and_places_come_free(folder, running):
    server = Narthex(folder, scrape_config())
    running.append(server)
    socks = []
    for _ in range(256):
        c = socket.create_connection(("127.0.0.1", server.port))
        c.sendall(b"GET /api/v1/live?topics=summary HTTP/1.1\r\nHost: x\r\n\r\n")
        socks.append(c)
    wait_for("all to be open", lambda: server.get("/metrics").body.find(b"narthex_live_streams 256") >= 0)
    a = server.get("/api/v1/live")
    assert a.status == 503 and a.json()["errorType"] == "unavailable", (a.status, a.body)
    for c in socks:
        c.settimeout(30 * harness.SLOW)
        assert c.recv(100).startswith(b"HTTP/1.1 200")
    socks.pop().close()
    wait_for("a free place", lambda: listen(running, server, "?topics=summary").answer.status == 200)
    for c in socks:
        c.close()
    wait_for("none to be left", lambda: server.get("/metrics").body.find(b"narthex_live_streams 1\n") >= 0)


def streams_end_with_the_server(folder, running):
    server = Narthex(folder, scrape_config())
    running.append(server)
    streams = [listen(running, server) for _ in range(5)]
    wait_for("the first events", lambda: all(s.events for s in streams))
    assert server.stop(seconds=20) == 0
    wait_for("the ends", lambda: all(s.ended for s in streams))


def streams_need_tls_and_a_password_where_others_do(folder, running):
    tls_files.make_ca(folder, "ca")
    tls_files.make_cert(folder, "server", "ca")
    web = ("tls_server_config: {cert_file: server.pem, key_file: server.key}\n"
           f"basic_auth_users: {{ann: {tls_files.hash_of('secret', 4)}}}\n")
    server = Narthex(folder, scrape_config(), [f"--web.config.file={folder}/web.yml"], files={"web.yml": web}, wait=False)
    running.append(server)
    context = ssl.create_default_context(cafile=os.path.join(folder, "ca.pem"))

    def connect(password):
        c = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=60 * harness.SLOW)
        ask = c.request
        auth = {"Authorization": "Basic " + base64.b64encode(f"ann:{password}".encode()).decode()}
        c.request = lambda method, url, headers: ask(method, url, headers={**headers, **auth})
        return c
    wait_for("the server", lambda: listen(running, server, connect=lambda: connect("secret")).answer.status == 200)
    assert listen(running, server, connect=lambda: connect("wrong")).answer.status == 401
    s = listen(running, server, connect=lambda: connect("secret"))
    wait_for("all topics", lambda: len(s.state) == 5)


def alerts_tell_where_their_notifications_stand(folder, running):
    exporter, hook, server = with_alerts(folder, running)
    s = listen(running, server, "?topics=alerts")
    hook.status = 503
    exporter.body = "temperature 40\n"

    def state(*wanted):
        row = alert(s, "Hot")
        d = row and row["delivery"]
        return d and d[0]["state"] in wanted and d[0]
    d = wait_for("a failed attempt", lambda: state("retrying", "failed"))
    assert d["lastError"] == "HTTP 503" and d["attempts"] >= 1 and d["at"] > 0 and d["nextAt"] > 0, d
    assert d["receiver"] == "pager" and d["integration"] == "webhook[0]", d
    assert d["route"] == '{severity="page"}', d
    hook.status = 200
    d = wait_for("a notification", lambda: state("sent"))
    assert d["lastError"] == "" and d["nextAt"] > d["at"] + 3500, d
    fingerprint = alert(s, "Hot")["fingerprint"]
    asked = server.get("/api/v1/alerts/delivery").json()["data"]
    assert asked == {fingerprint: [d]}, asked
    # Prometheus' own answer has no such member.
    assert "delivery" not in server.get("/api/v1/alerts").json()["data"]["alerts"][0]


def alerts_that_go_nowhere_say_so(folder, running):
    exporter = Exporter("temperature 40\n")
    server = Narthex(folder, scrape_config(exporter.target, extra=f"rule_files: ['{folder}/rules.yml']\n"),
                     files={"rules.yml": RULES})
    running += [exporter, server]
    s = listen(running, server, "?topics=alerts")
    row = wait_for("the alert", lambda: alert(s, "Hot"))
    assert [d["state"] for d in row["delivery"]] == ["unrouted"], row
    assert "no Alertmanager" in row["delivery"][0]["lastError"]


def what_alertmanagers_answered_is_told(folder, running):
    exporter, hook = Exporter("temperature 40\n"), Webhook()
    hook.status = 500
    extra = (f"rule_files: ['{folder}/rules.yml']\nalerting:\n  alertmanagers:\n    - static_configs:\n"
             f"        - targets: ['{hook.target}']\n")
    server = Narthex(folder, scrape_config(exporter.target, extra=extra), ["--rules.alert.resend-delay=300ms"],
                     files={"rules.yml": RULES})
    running += [exporter, hook, server]
    s = listen(running, server, "?topics=alerts")

    def state(wanted):
        row = alert(s, "Hot")
        d = row and row["delivery"]
        return d and d[0]["state"] == wanted and d[0]
    d = wait_for("the failure", lambda: state("failed"))
    assert d["lastError"] == "HTTP 500" and d["integration"] == f"alertmanager http://{hook.target}/api/v2/alerts", d
    hook.status = 200
    d = wait_for("success", lambda: state("sent"))
    assert d["lastError"] == "" and d["at"] > 0, d


def the_summary_is_told_while_the_rest_is_not_ready(folder, running):
    server = Narthex(folder, scrape_config())
    running.append(server)
    s = listen(running, server, "?topics=summary,alerts")
    wait_for("both", lambda: len(s.state) == 2)
    assert s.topic("summary")["ready"] is True and s.topic("summary")["nowMs"] > 0


def live_query(running, server, **params):
    s = Stream(f"{server.url}/api/v1/query_live?{urllib.parse.urlencode(params)}")
    running.append(s)
    return s


def a_query_goes_on(folder, running):
    exporter = Exporter("temperature 20\n")
    server = Narthex(folder, scrape_config(exporter.target))
    running += [exporter, server]
    s = live_query(running, server, query="temperature", step="1s")
    assert s.answer.getheader("Content-Type") == "text/event-stream"

    def last():
        return s.events and s.events[-1][0] == "sample" and s.events[-1][1]
    d = wait_for("a value", lambda: last() and last()["result"] and last())
    assert d["resultType"] == "vector" and d["result"][0]["metric"]["__name__"] == "temperature", d
    assert abs(d["time"] - time.time()) < 60 and d["result"][0]["value"][0] == d["time"], d
    exporter.body = "temperature 21.5\n"
    wait_for("the new value", lambda: last()["result"][0]["value"][1] == "21.5")
    times = [e[1]["time"] for e in s.events]
    assert all(b - a > 0.9 for a, b in zip(times, times[1:])), times
    bad = live_query(running, server, query="temperature + on(instance) group_left() {job=~'.+'}")
    wait_for("the error", lambda: bad.events and bad.events[0][0] == "error")
    assert bad.events[0][1]["errorType"] == "execution", bad.events[0]
    scalar = live_query(running, server, query="time()")
    wait_for("a scalar", lambda: scalar.events and scalar.events[0][1]["resultType"] == "scalar")


def live_queries_are_checked_and_have_ceilings(folder, running):
    server = Narthex(folder, scrape_config())
    running.append(server)
    for params, text in (({"query": "sum("}, "parse error"), ({}, "parse error"), ({"query": "1", "step": "100ms"}, "1s"),
                         ({"query": "1", "step": "2h"}, "1h"), ({"query": "1", "lookback": "x"}, "lookback")):
        a = server.get("/api/v1/query_live", **params)
        assert a.status == 400 and text in a.json()["error"], (params, a.status, a.body)
    streams = [live_query(running, server, query="1") for _ in range(16)]
    wait_for("all to answer", lambda: all(s.events for s in streams))
    a = server.get("/api/v1/query_live", query="1")
    assert a.status == 503 and "16" in a.json()["error"], a.body
    streams[0].stop()
    wait_for("a free place", lambda: live_query(running, server, query="2").answer.status == 200)
    assert server.stop(seconds=20) == 0
    wait_for("the ends", lambda: all(s.ended for s in streams[1:]))


def running_queries_are_a_topic(folder, running):
    exporter = Exporter("".join(f"m{{i=\"{i}\"}} 1\n" for i in range(200)))
    server = Narthex(folder, scrape_config(exporter.target))
    running += [exporter, server]
    s = listen(running, server, "?topics=queries")
    wait_for("the list", lambda: "queries" in s.state)
    wait_for("samples", lambda: server.query("m"))
    heavy = "count_values('x', sum by (i) (rate(m[1h])) + on() group_left sum(m))"

    def ask():
        while not s.ended and not seen:
            server.get("/api/v1/query_range", query=heavy, start=time.time() - 10900, end=time.time(), step="1s")
    seen = []
    threading.Thread(target=ask, daemon=True).start()
    row = wait_for("the query", lambda: next((d for t, e, _ in s.events for d in {**e.get("full", {}), **e.get("set", {})}.values()
                                             if "count_values" in d["query"]), None), 60)
    seen.append(row)
    assert row["source"] == "api" and row["state"] in ("running", "queued") and row["client"].startswith("127.0.0.1"), row
    wait_for("its end", lambda: s.topic("queries") == {}, 60)


def notifications_tell_of_failed_reloads_and_of_the_end(folder, running):
    server = Narthex(folder, scrape_config(), ["--web.enable-lifecycle", "--web.max-notifications-subscribers=2"])
    running.append(server)
    assert server.get("/api/v1/notifications").json() == {"status": "success", "data": []}
    s = Stream(f"{server.url}/api/v1/notifications/live")
    running.append(s)
    assert s.answer.getheader("Content-Type") == "text/event-stream"
    good = scrape_config()
    server.write("prometheus.yml", "bad: [")
    assert request(server.url + "/-/reload", method="POST").status == 500
    told, = server.get("/api/v1/notifications").json()["data"]
    assert told["text"] == "Configuration reload has failed." and told["active"] is True and told["date"][:2] == "20"
    wait_for("the banner", lambda: s.events and s.events[0][1] == told)
    late = Stream(f"{server.url}/api/v1/notifications/live")
    running.append(late)
    wait_for("the banner, again", lambda: late.events and late.events[0][1] == told)
    assert server.get("/api/v1/notifications/live").status == 204
    server.write("prometheus.yml", good)
    assert request(server.url + "/-/reload", method="POST").status == 200
    wait_for("its end", lambda: len(s.events) == 2)
    assert s.events[1][1] == {**told, "active": False}
    assert server.get("/api/v1/notifications").json()["data"] == []
    assert server.stop() == 0
    wait_for("the last word", lambda: s.ended and "shutting down" in s.events[-1][1]["text"])


def relabelling_is_shown_step_by_step(folder, running):
    config = """scrape_configs:
  - job_name: j
    static_configs: [{targets: ['127.0.0.1:1']}]
    relabel_configs:
      - {source_labels: [__address__], target_label: instance, replacement: 'x-$1'}
      - {source_labels: [instance], regex: 'x-b.*', action: drop}
      - {regex: kind, action: labeldrop}
"""
    server = Narthex(folder, config)
    running.append(server)

    def steps(labels):
        a = server.get("/api/v1/targets/relabel_steps", scrapePool="j", labels=json.dumps(labels))
        assert a.status == 200, a.body
        return a.json()["data"]["steps"]
    first, second, third = steps({"__address__": "a:1", "kind": "k"})
    assert first == {"rule": {"source_labels": ["__address__"], "separator": ";", "regex": "(.*)", "target_label": "instance",
                              "replacement": "x-$1", "action": "replace"},
                     "output": {"__address__": "a:1", "instance": "x-a:1", "kind": "k"}, "keep": True}, first
    assert second["keep"] is True and third["output"] == {"__address__": "a:1", "instance": "x-a:1"}, third
    first, second, third = steps({"__address__": "b:1"})
    assert first["keep"] and not second["keep"] and second["output"] == {} and not third["keep"]
    for params, text in (({}, "no scrapePool"), ({"scrapePool": "j"}, "no labels"),
                         ({"scrapePool": "j", "labels": "{"}, "error parsing labels"),
                         ({"scrapePool": "j", "labels": '{"a":1}'}, "error parsing labels"),
                         ({"scrapePool": "z", "labels": "{}"}, 'scrape pool "z" not found')):
        a = server.get("/api/v1/targets/relabel_steps", **params)
        assert a.status == 400 and text in a.json()["error"], (params, a.body)
    yaml = server.get("/api/v1/scrape_pools/config", scrapePool="j").json()["data"]["yaml"]
    assert yaml.startswith("job_name: j\n") and "action: labeldrop" in yaml and "scrape_interval: 1m" in yaml, yaml
    assert server.get("/api/v1/scrape_pools/config").status == 400
    assert server.get("/api/v1/scrape_pools/config", scrapePool="z").status == 400


run(a_stream_begins_full_and_goes_on_with_differences, a_stream_tells_only_the_topics_it_was_asked_for,
    a_reader_that_comes_back_gets_what_is_new, silent_streams_get_heartbeats,
    a_slow_reader_holds_nobody_up_and_catches_up, streams_have_a_ceiling_and_places_come_free,
    streams_end_with_the_server, streams_need_tls_and_a_password_where_others_do,
    alerts_tell_where_their_notifications_stand, alerts_that_go_nowhere_say_so, what_alertmanagers_answered_is_told,
    the_summary_is_told_while_the_rest_is_not_ready, a_query_goes_on, live_queries_are_checked_and_have_ceilings,
    running_queries_are_a_topic, notifications_tell_of_failed_reloads_and_of_the_end, relabelling_is_shown_step_by_step)
