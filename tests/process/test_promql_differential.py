#!/usr/bin/env python3
"""A few seeds of promql_differential.py, where a Prometheus 3.5 or later is there (NARTHEX_PEERS)."""

import json

import promql_data
import promql_differential
from harness import SLOW, peer, run

SEEDS, COUNT = range(7001, 7009), 250


def compare(folder, running, delayed):
    program = peer("prometheus")
    if not promql_differential.is_new_enough(program):
        print("# skipped: no Prometheus 3.5 or later")
        return
    pair = promql_differential.Pair(program, folder, running, delayed)
    counts = {}
    for seed in SEEDS:
        pair.compare(seed, COUNT if SLOW == 1 else COUNT // 5, counts, 10)
    print(f"# {counts}")
    assert not counts.get("different"), counts
    assert counts["of them not empty"] > 0.4 * counts["equal"], counts


def random_queries_are_answered_as_prometheus_does(folder, running):
    compare(folder, running, False)


def and_with_delayed_name_removal(folder, running):
    compare(folder, running, True)


NEWER_MEMBERS = {"anchored", "smoothed", "rangeExpr", "offsetExpr", "stepExpr", "fillValues"}
ODD_QUERIES = """-1|+1|--1|-up|+up|-(1)|"x"|'y'|(((1)))|1 > bool 2|1_000 + 0x1F|5m + 1|Inf|-Inf|NaN|1e400
up[5m] @ end()|up[5m:] offset 1h|up[5m:1m] @ 12.345 offset -3s|up offset 1m @ start()|up @ 0|up @ -1.5
sum(up)|sum by () (up)|sum without () (up)|sum(up) by (job, a, job)|topk(3, up)|quantile without (b, a) (0.5, up)
a and b|a or on() b|a unless ignoring(x) b|a / on(x, y) group_left(z, w) b|a ^ b ^ c|a * b + c % d|-a ^ 2|a == bool on() b
{"a.b"}|{"a.b",c="d"}|{a="b"}|{__name__=~"x.*"}|up{a!="b",c=~"d",e!~"f",g=""}|up{"quoted é"="v"}|up{}|up{a="<&>\\u2028"}
label_join(up, "a", "b", "c", "d")|round(up, 5)|round(up)|day_of_week()|time()|vector(1)|absent(up{a="b"})|info(up, {a="b"})
sort_by_label(up, "a", "b")|histogram_quantile(0.9, up)|count_values("x", up)|limit_ratio(0.5, up)|a +|)|up[5|foo(1)|sum(|1 and 2
up{a=b}|up offset|"x" + 1|rate(up)|up[5m][5m]|sum by (1) (up)|{}|up @ x|a on(b) c|topk(up)|label_replace(up,1,2,3,4)|""|bool""".replace("\n", "|")


def without_newer(tree):
    if isinstance(tree, dict):
        return {k: without_newer(v) for k, v in tree.items() if k not in NEWER_MEMBERS}
    return [without_newer(v) for v in tree] if isinstance(tree, list) else tree


def trees_and_formatted_queries_are_those_of_prometheus(folder, running):
    program = peer("prometheus")
    if not promql_differential.is_new_enough(program):
        print("# skipped: no Prometheus 3.5 or later")
        return
    pair = promql_differential.Pair(program, folder, running, data=False)
    g = promql_differential.Generator(1, pair.known, True)
    queries = ODD_QUERIES.split("|") + [g.query()[1]["query"] for _ in range(1000)]
    wrong = []
    for query in queries:
        # 3.5 forgets "ignoring ()" before group_left where it formats.
        for path in ("parse_query",) + (() if "ignoring () group" in query else ("format_query",)):
            ours, theirs = (json.loads(a.body) for a in (s.get(f"/api/v1/{path}", query=query) for s in (pair.own, pair.peer)))
            ours = without_newer(ours) if path == "parse_query" else ours
            for key in ("data", "errorType"):
                if ours.get(key) != theirs.get(key):
                    wrong.append(f"{path} of {query}\n  {ours}\n  {theirs}")
    assert not wrong, "\n".join(wrong)


def samples_of_steps_are_counted_as_prometheus_does(folder, running):
    program = peer("prometheus")
    if not promql_differential.is_new_enough(program):
        print("# skipped: no Prometheus 3.5 or later")
        return
    pair = promql_differential.Pair(program, folder, running)
    start = promql_data.START / 1000 + 1800
    queries = """up|sum(up)|rate(requests_total[5m])|sum by (job) (rate(requests_total[5m]))|up + up|up + on(job, instance) odd
        max_over_time(up[10m])|max_over_time(up[10m:1m])|absent(up)|count_over_time(up[5m] @ start())|up @ end()|topk(1, up)
        sum_over_time(rate(requests_total[1m])[5m:30s])|histogram_quantile(0.9, rate(latency_bucket[5m]))|timestamp(up)|1|time()
        label_replace(up, "a", "$1", "job", "(.*)")|up offset 5m|scalar(limit{job="api"})|quantile(0.5, odd)|(up)|-up|up > 0
        up and odd|vector(1)|absent_over_time(nothing[5m])|requests_total[5m]|avg_over_time((up > 0)[5m:15s])"""
    wrong = []
    for query in queries.replace("\n", "|").split("|"):
        query = query.strip()
        asked = [("query", {"query": query, "time": start})]
        if not query.endswith("]"):
            asked.append(("query_range", {"query": query, "start": start, "end": start + 600, "step": 60}))
        for path, params in asked:
            stats = [json.loads(s.get(f"/api/v1/{path}", stats="all", **params).body)["data"]["stats"]["samples"]
                     for s in (pair.own, pair.peer)]
            for key in ("totalQueryableSamples", "totalQueryableSamplesPerStep"):
                if stats[0][key] != stats[1][key]:
                    wrong.append(f"{path} {query}: {key}\n  {stats[0][key]}\n  {stats[1][key]}")
    assert not wrong, "\n".join(wrong)


if __name__ == "__main__":
    run(random_queries_are_answered_as_prometheus_does, and_with_delayed_name_removal,
        trees_and_formatted_queries_are_those_of_prometheus, samples_of_steps_are_counted_as_prometheus_does)
