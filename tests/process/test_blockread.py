#!/usr/bin/env python3
"""A block read by tools/blockread.py, which knows the documents of docs/formats only, has what was written, bit for bit;
and what the program reads of it."""

import os
import random
import re
import struct
import subprocess
import sys
import time

from harness import BUILD, Narthex, request, run
from remote_write import HEADERS, write_request

HERE = os.path.dirname(os.path.abspath(__file__))
READER = os.path.join(HERE, "..", "..", "tools", "blockread.py")
STALE = 0x7FF0000000000002
N = 700  # samples a series: enough for coding by entropy


def bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def make_series(end):
    """Labels -> samples: each kind of values, for targets scraped on the dot and with jitter."""
    rng = random.Random(5)
    series = {}
    for target in range(3):
        times = [end - (N - i) * 4000 + (rng.randrange(9) if target else 0) for i in range(N)]
        who = (("instance", f"h{target}"), ("job", "j"))
        kinds = {
            "constant": lambda i: 42.5,
            "counter": lambda i: float(i * 7 + rng.randrange(20) + rng.randrange(20)),
            "walk": lambda i: walk.append(walk[-1] + rng.randrange(-9, 10)) or walk[-1],
            "cents": lambda i: rng.randrange(100000) / 100,
            "random": lambda i: rng.random() * 10 ** rng.randrange(-200, 200),
            "halves": lambda i: rng.randrange(1 << 40) / 1024,
            "spikes": lambda i: 1e15 if i % 40 == 7 else float(rng.randrange(8)),
        }
        for kind, value in kinds.items():
            walk = [0.0]
            values = [(t, value(i)) for i, t in enumerate(times)]
            if kind == "counter":
                values[300] = (times[300], struct.unpack("<d", struct.pack("<Q", STALE))[0])
            if kind == "walk":
                values = values[N // 3:]
            if kind == "cents":
                values = [v for i, v in enumerate(values) if i % 97 != 5]
            series[(("__name__", kind),) + who] = values
        total = [0.0] * 12
        buckets = [[] for _ in total]
        for t in times:
            for k in range(12):
                total[k] += rng.randrange(2 + k)
                buckets[k].append((t, sum(total[:k + 1])))
        for k, samples in enumerate(buckets):
            le = "+Inf" if k == 11 else str(2.0 ** k)
            series[(("__name__", "h_bucket"),) + who + (("le", le),)] = samples
        series[(("__name__", "h_count"),) + who] = buckets[11]
    return series


def write_block(folder, running, series):
    n = Narthex(folder, "global: {}\n", ["--web.enable-remote-write-receiver", "--web.enable-admin-api"])
    running.append(n)
    for labels, samples in series.items():
        a = request(n.url + "/api/v1/write", write_request([(dict(labels), samples)]), headers=HEADERS)
        assert a.status == 204, (a.status, a.body)
    a = request(n.url + "/api/v1/admin/tsdb/snapshot", b"", method="POST")
    assert a.status == 200, (a.status, a.body)
    return os.path.join(folder, "data", "snapshots", a.json()["data"]["name"])


def labels_of(text):
    return tuple(re.findall(r'([a-zA-Z_]+)="([^"]*)"', text))


def read_plainly(snapshot):
    series = {}
    for name in os.listdir(snapshot):
        if not os.path.exists(os.path.join(snapshot, name, "block.mdb")):
            continue
        text = subprocess.run([sys.executable, READER, os.path.join(snapshot, name)], check=True, capture_output=True,
                              text=True).stdout
        for line in text.splitlines():
            if line.startswith("{"):
                here = series.setdefault(labels_of(line), {})
            else:
                t, value_bits, _ = line.split()
                here[int(t)] = int(value_bits, 16)
    return series


def both_readers_give_what_was_written(folder, running):
    series = make_series(int(time.time() * 1000) // 60000 * 60000)
    snapshot = write_block(folder, running, series)
    have = read_plainly(snapshot)
    assert set(have) == set(series), set(have) ^ set(series)
    for labels, samples in series.items():
        want = {t: bits(v) for t, v in samples}
        assert have[labels] == want, labels
    dump = subprocess.run([os.path.join(BUILD, "tools", "nartool"), "tsdb", "dump", snapshot], check=True,
                          capture_output=True, text=True).stdout
    lines = 0
    for line in dump.splitlines():
        labels, value, t = re.fullmatch(r"(.*) (\S+) (\d+)", line).groups()
        found = have[labels_of(labels)][int(t)]
        assert found == bits(float(value)) or value == "NaN" and found == STALE, line
        lines += 1
    assert lines == sum(len(s) for s in series.values()), lines


def a_block_of_an_earlier_version_is_read(folder, running):
    old = os.path.join(HERE, "..", "..", "testdata", "blocks")
    series = read_plainly(old)
    assert len(series) == 20 and all(len(s) == 120 for s in series.values()), {k: len(v) for k, v in series.items()}


run(both_readers_give_what_was_written, a_block_of_an_earlier_version_is_read)
