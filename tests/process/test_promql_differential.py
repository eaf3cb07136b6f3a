#!/usr/bin/env python3
"""A few seeds of promql_differential.py, where a Prometheus 3.5 or later is there (NARTHEX_PEERS)."""

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


if __name__ == "__main__":
    run(random_queries_are_answered_as_prometheus_does, and_with_delayed_name_removal)
