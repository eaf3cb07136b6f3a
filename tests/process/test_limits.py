#!/usr/bin/env python3
"""Ceilings on what a target or a client chooses, and ends at bad moments: each is refused or survived, and the server
answers afterwards."""

import os
import random
import signal
import socket
import threading
import time
import urllib.parse

from harness import SLOW, Exporter, Narthex, request, run, scrape_config, wait_for
from remote_write import HEADERS, varint, write_request

EMPTY = "global: {}\n"


def well(n):
    assert n.alive(), n.child.returncode
    assert n.get("/-/healthy").status == 200
    assert n.query("1 + 1")[1] == "2"


def raw(port, data, seconds=20):
    """What comes back for these bytes until the server closes."""
    heard = b""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds * SLOW) as s:
        try:
            s.sendall(data)
        except OSError:
            pass  # it may answer and close before it has read all
        try:
            while part := s.recv(65536):
                heard += part
        except ConnectionError:
            pass
    return heard


def assert_status(answer, *status):
    assert any(answer.startswith(b"HTTP/1.1 %d " % s) for s in status), (answer[:200], status)


def scrape_limits_fail_the_scrape_and_say_which(folder, running):
    limits = {
        "label_limit: 4": ('a{one="1",two="2",three="3"} 1\n', "label_limit"),
        "label_name_length_limit: 20": ('a{a_name_of_more_than_twenty="1"} 1\n', "label_name_length_limit"),
        "label_value_length_limit: 30": ('a{one="' + "x" * 31 + '"} 1\n', "label_value_length_limit"),
        "sample_limit: 2": ("a 1\nb 1\nc 1\n", "sample limit exceeded"),
        "body_size_limit: 100B": ("a 1\n" * 50, "body size limit exceeded"),
    }
    config = "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nscrape_configs:\n"
    for number, (limit, (page, _)) in enumerate(limits.items()):
        exporter = Exporter(page)
        running.append(exporter)
        config += f"- job_name: j{number}\n  {limit}\n  static_configs: [{{targets: ['{exporter.target}']}}]\n"
    n = Narthex(folder, config)
    running.append(n)
    wait_for("scrapes", lambda: len(n.query("up == 0")) == len(limits))
    targets = {t["scrapePool"]: t for t in n.get("/api/v1/targets").json()["data"]["activeTargets"]}
    for number, (limit, (_, text)) in enumerate(limits.items()):
        target = targets[f"j{number}"]
        assert target["health"] == "down" and text in target["lastError"], (limit, target["lastError"])
    assert n.query('{__name__=~"a|b|c"}') == []
    well(n)


def oversized_requests_get_their_status(folder, running):
    n = Narthex(folder, EMPTY, ["--web.enable-remote-write-receiver"])
    running.append(n)
    end = b"Host: a\r\nConnection: close\r\n\r\n"
    long = b"x" * 100_000
    assert_status(raw(n.port, b"GET /" + long + b" HTTP/1.1\r\n" + end), 414, 431)
    assert_status(raw(n.port, b"GET /api/v1/query?query=" + long + b" HTTP/1.1\r\n" + end), 414, 431)
    assert_status(raw(n.port, b"GET / HTTP/1.1\r\nX-Long: " + long + b"\r\n" + end), 431)
    many = b"".join(b"X-%d: y\r\n" % i for i in range(10_000))
    assert_status(raw(n.port, b"GET / HTTP/1.1\r\n" + many + end), 431)
    assert_status(raw(n.port, b"POST /api/v1/query HTTP/1.1\r\nContent-Length: 99999999999\r\n" + end), 413)
    form = urllib.parse.urlencode({"query": "1+" * 1_000_000 + "1"}).encode()
    assert request(n.url + "/api/v1/query", form).status == 413
    # A claim of 99 GB behind a header of a few bytes, and a body that is larger than what it may decode to.
    assert request(n.url + "/api/v1/write", varint(99 << 30) + b"\x00a", headers=HEADERS).status == 400
    assert request(n.url + "/api/v1/write", b"x" * (33 << 20), headers=HEADERS).status == 413
    well(n)


def queries_are_refused_at_their_limits(folder, running):
    n = Narthex(folder, EMPTY, ["--query.max-samples=1000"])
    running.append(n)
    deep = "(" * 100_000 + "1" + ")" * 100_000
    a = request(n.url + "/api/v1/query", urllib.parse.urlencode({"query": deep}).encode())
    assert a.status == 400 and a.json()["errorType"] == "bad_data", a.body[:300]
    chain = "-" * 200_000 + "1"
    assert request(n.url + "/api/v1/query", urllib.parse.urlencode({"query": chain}).encode()).status == 400
    a = n.get("/api/v1/query_range", query="1", start=0, end=100_000, step=1)
    assert a.status == 400 and b"11,000 points" in a.body, a.body
    a = n.get("/api/v1/query_range", query="vector(1)", start=0, end=10_000, step=1)
    assert a.status == 422 and b"too many samples" in a.body, a.body[:300]
    well(n)


def labels_of_remote_write_have_a_ceiling(folder, running):
    n = Narthex(folder, EMPTY, ["--web.enable-remote-write-receiver"])
    running.append(n)
    now = int(time.time() * 1000)
    for labels in ({"__name__": "m", "long": "x" * (20 << 20)},
                   {"__name__": "m", **{f"l{i:06}": "v" for i in range(200_000)}}):
        a = request(n.url + "/api/v1/write", write_request([(labels, [(now, 1.0)])]), headers=HEADERS)
        assert a.status in (204, 400, 413), (a.status, a.body[:200])
        well(n)
    a = request(n.url + "/api/v1/write", write_request([({"__name__": "fine"}, [(now, 1.0)])]), headers=HEADERS)
    assert a.status == 204 and n.value("fine") == 1, a.body


def bodies_together_have_a_ceiling(folder, running):
    n = Narthex(folder, EMPTY, ["--web.enable-remote-write-receiver", "--web.max-body-memory=8MB"])
    running.append(n)

    def head(size):
        return (f"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n").encode()

    first = socket.create_connection(("127.0.0.1", n.port))
    first.sendall(head(6 << 20) + b"x" * 1000)  # the rest does not come
    wait_for("the second to be refused", lambda: b" 503 " in raw(n.port, head(6 << 20)).split(b"\r\n")[0])
    answer = raw(n.port, head(6 << 20)).lower()
    assert b"retry-after: 1" in answer, answer
    chunks = b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"100000\r\n" + b"y" * 0x100000 + b"\r\n"
    assert b" 503 " in raw(n.port, chunks + (b"100000\r\n" + b"y" * 0x100000 + b"\r\n") * 4), "chunks have the same ceiling"
    body = write_request([({"__name__": "m"}, [(int(time.time() * 1000), 1.0)])])
    assert request(n.url + "/api/v1/write", body, headers=HEADERS).status == 204  # a small one has room
    first.close()
    big = b"x" * (6 << 20)
    wait_for("room again", lambda: request(n.url + "/api/v1/write", big, headers=HEADERS).status == 400)
    well(n)


def a_client_that_dribbles_is_closed(folder, running):
    n = Narthex(folder, EMPTY, ["--web.read-timeout=1s"])
    running.append(n)
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", n.port), timeout=60) as s:
        s.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n")
        s.settimeout(0.1)
        closed = False
        while not closed and time.monotonic() - begin < 30 * SLOW:
            try:
                s.sendall(b"X")
                closed = s.recv(100) == b""
            except TimeoutError:
                continue
            except OSError:
                closed = True
    assert closed and time.monotonic() - begin >= 0.9, (closed, time.monotonic() - begin)
    well(n)


def idle_connections_do_not_starve_a_query(folder, running):
    n = Narthex(folder, EMPTY)
    running.append(n)
    idle = []
    try:
        for _ in range(600):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", n.port))
            idle.append(s)
        assert n.query("1 + 1")[1] == "2"
    finally:
        for s in idle:
            s.close()
    well(n)


def killed_during_reloads_it_starts_again(folder, running):
    exporter = Exporter("a 1\n")
    running.append(exporter)
    config = scrape_config(exporter.target, extra="rule_files: [rules.yml]\n")
    rules = "groups:\n- name: g\n  rules:\n  - {record: b, expr: a}\n"
    rng = random.Random(11)
    for _ in range(4):
        n = Narthex(folder, config, files={"rules.yml": rules})
        running.append(n)
        wait_for("a rule", lambda: n.value("b") == 1)
        end = time.monotonic() + rng.uniform(0.02, 0.3)
        while time.monotonic() < end:
            n.child.send_signal(signal.SIGHUP)
            time.sleep(0.005)
        n.child.send_signal(signal.SIGKILL)
        n.child.wait()
        running.remove(n)
    n = Narthex(folder, config, files={"rules.yml": rules})
    running.append(n)
    wait_for("a rule", lambda: n.value("b") == 1)
    well(n)


def reloads_under_load_lose_nothing(folder, running):
    exporters = [Exporter("a 1\n") for _ in range(3)]
    running += exporters
    rules = "groups:\n- name: g\n  rules:\n  - {record: b, expr: sum(a)}\n  - {alert: A, expr: a > 0}\n"
    config = scrape_config(*(e.target for e in exporters), interval="50ms", extra="rule_files: [rules.yml]\n")
    n = Narthex(folder, config, ["--web.enable-lifecycle"], files={"rules.yml": rules})
    running.append(n)
    stop = threading.Event()
    failures = []

    def ask():
        while not stop.is_set():
            for path in ("/api/v1/targets", "/api/v1/rules", "/api/v1/alerts", "/metrics", "/api/v1/query?query=sum(a)"):
                a = request(n.url + path)
                if a.status != 200:
                    failures.append((path, a.status, a.body[:200]))
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for t in threads:
        t.start()
    for i in range(20):
        n.write("rules.yml", rules if i % 2 else rules.replace("record: b", "record: c"))
        n.write("prometheus.yml", config if i % 3 else scrape_config(exporters[0].target, interval="50ms",
                                                                      extra="rule_files: [rules.yml]\n"))
        a = request(n.url + "/-/reload", b"")
        assert a.status == 200, a.body
    stop.set()
    for t in threads:
        t.join()
    assert failures == [], failures[:3]
    wait_for("the last rules", lambda: n.value("b") is not None)
    well(n)


def sigterm_under_load_ends_soon(folder, running):
    page = "".join(f'a{{i="{i}"}} {i}\n' for i in range(2000))
    exporters = [Exporter(page) for _ in range(5)]
    slow = Exporter("late 1\n")
    slow.delay = 20  # a scrape that is under way for as long as it may
    running += exporters
    config = scrape_config(*(e.target for e in exporters), interval="100ms")
    config += (f"  - job_name: late\n    scrape_interval: 60s\n    scrape_timeout: 60s\n"
               f"    static_configs: [{{targets: ['{slow.target}']}}]\n")
    n = Narthex(folder, config)
    running.append(n)
    wait_for("samples", lambda: len(n.query('a{i="7"}')) == len(exporters))
    begin = time.monotonic()
    assert n.stop() == 0
    seconds = time.monotonic() - begin
    assert seconds < 5 * SLOW, seconds
    again = Narthex(folder, EMPTY)
    running.append(again)
    assert len(again.query('count_over_time(a{i="7"}[5m])')) == len(exporters)


def sigterm_while_starting_ends_with_0(folder, running):
    for delay in (0.0, 0.01, 0.05, 0.1, 0.2):
        n = Narthex(os.path.join(folder, str(delay)), EMPTY, wait=False)
        running.append(n)
        wait_for("the first line", lambda: "Listening on" in n.log() or not n.alive())
        time.sleep(delay)
        assert n.stop() == 0, n.log()
        running.remove(n)


run(scrape_limits_fail_the_scrape_and_say_which, oversized_requests_get_their_status,
    queries_are_refused_at_their_limits, labels_of_remote_write_have_a_ceiling,
    bodies_together_have_a_ceiling, a_client_that_dribbles_is_closed, idle_connections_do_not_starve_a_query, killed_during_reloads_it_starts_again, reloads_under_load_lose_nothing,
    sigterm_under_load_ends_soon, sigterm_while_starting_ends_with_0)
