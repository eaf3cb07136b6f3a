#!/usr/bin/env python3
"""/api/v1/query_explain: a query is executed, and its nodes tell what they cost."""

import urllib.parse

from harness import Exporter, Narthex, request, run, scrape_config, wait_for


def start(folder, running):
    exporter = Exporter("".join(f'hits_total{{path="/{i}",code="{200 + i % 3}"}} {i * 7}\n' for i in range(9)))
    running.append(exporter)
    n = Narthex(folder, scrape_config(exporter.target))
    running.append(n)
    wait_for("some scrapes", lambda: value(n, "min(count_over_time(hits_total[1m]))") >= 3)
    return n


def value(n, query):
    result = n.get("/api/v1/query?" + urllib.parse.urlencode({"query": query})).json()["data"]["result"]
    return float(result[0]["value"][1]) if result else 0


def explain(n, query, **params):
    return request(n.url + "/api/v1/query_explain?" + urllib.parse.urlencode({"query": query, **params}))


def nodes(plan):
    yield plan
    for child in plan["children"]:
        yield from nodes(child)


def a_plan_tells_series_samples_and_time(folder, running):
    n = start(folder, running)
    query = "sum by (code)(rate(hits_total[1m]))"
    answer = explain(n, query)
    assert answer.status == 200, answer.body
    data = answer.json()["data"]
    assert data["query"] == "sum by (code) (rate(hits_total[1m]))", data
    assert data["resultType"] == "vector" and data["totals"]["series"] == 3 and data["totals"]["steps"] == 1, data
    plan = list(nodes(data["plan"]))
    assert [(p["op"], p["label"], p["series"]) for p in plan] == [
        ("aggregation", "sum by (code)", 3), ("call", "rate", 9), ("selector", "hits_total[1m]", 9)], plan
    assert plan[2]["samples"] == data["totals"]["samples"] >= 27, plan
    assert query[plan[1]["start"]:plan[1]["end"]] == plan[1]["expr"] == "rate(hits_total[1m])", plan
    assert abs(plan[0]["timeMs"] - sum(p["selfMs"] for p in plan)) < 1e-3, plan
    assert data["totals"]["timeMs"] >= plan[0]["timeMs"] and data["totals"]["peakBytes"] > 0, data


def a_range_has_its_steps(folder, running):
    n = start(folder, running)
    data = explain(n, "hits_total", start=1000, end=1060, step=30).json()["data"]
    assert data["resultType"] == "matrix" and data["totals"]["steps"] == 3, data
    answer = explain(n, "hits_total", start=1000, end=1060)
    assert answer.status == 400 and "step" in answer.json()["error"], answer.body


def mistakes_are_told_as_for_a_query(folder, running):
    n = start(folder, running)
    answer = explain(n, "sum(")
    assert answer.status == 400 and answer.json()["errorType"] == "bad_data", answer.body
    assert 'invalid parameter "query"' in answer.json()["error"], answer.body
    answer = explain(n, "hits_total * on() hits_total")
    assert answer.status == 422 and answer.json()["errorType"] == "execution", answer.body


if __name__ == "__main__":
    run(a_plan_tells_series_samples_and_time, a_range_has_its_steps, mistakes_are_told_as_for_a_query)
