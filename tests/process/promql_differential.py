#!/usr/bin/env python3
"""Random PromQL asked of Narthex and of a real Prometheus 3, over the same samples (promql_data.py), compared digit by digit.

    NARTHEX_BUILD=build python3 tests/process/promql_differential.py --prometheus PATH [--seed N] [--count N] [--seeds N]
        [--minutes N] [--delayed] [--show N]

A seed gives always the same queries. Every difference is printed with its seed, so that it can be asked again. Accepted
as equal: answers that Prometheus itself gives when asked again (it folds some sums in the random order of its maps); of
equal candidates of topk and the like, any; and the last digits of functions of the C library (docs/decisions/0010).
"""

import argparse
import http.client
import json
import math
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse

import promql_data
from harness import Narthex, Process, free_port, request, wait_for
from remote_write import HEADERS, literal_snappy

FEATURES = ["promql-experimental-functions", "promql-per-step-stats"]
METRICS = {
    "requests_total": ["job", "instance", "path", "code"],
    "temperature": ["job", "instance"],
    "odd": ["job", "instance"],
    "up": ["job", "instance"],
    "build_info": ["job", "instance", "version"],
    "target_info": ["job", "instance", "region"],
    "latency_bucket": ["job", "instance", "le"],
    "latency_sum": ["job", "instance"],
    "latency_count": ["job", "instance"],
    "limit": ["job"],
    "rare": [],
    "absent_metric": [],
}
HISTOGRAMS = {name: ["job", "instance"] for name in ("duration_seconds", "size", "wait_seconds", "mixed")}
VALUES = {"job": ["api", "db"], "instance": ["a", "b", "c"], "path": ["/", "/x"], "code": ["200", "500"],
          "version": ["1.0", "1.1"], "region": ["eu", "us"], "le": promql_data.BOUNDS}
LABELS = ["job", "instance", "path", "code", "version", "region", "le", "none"]
ELEMENTWISE = """abs acos acosh asin asinh atan atanh ceil cos cosh deg exp floor ln log10 log2 rad sgn sin sinh sqrt tan
tanh timestamp absent day_of_month day_of_week day_of_year days_in_month hour minute month year sort sort_desc""".split()
OVER_TIME = """avg_over_time min_over_time max_over_time sum_over_time count_over_time stddev_over_time stdvar_over_time
last_over_time present_over_time absent_over_time mad_over_time changes delta deriv idelta increase irate rate resets
ts_of_max_over_time ts_of_min_over_time ts_of_last_over_time first_over_time ts_of_first_over_time""".split()
NATIVE = "histogram_avg histogram_count histogram_stddev histogram_stdvar histogram_sum".split()
AGGREGATORS = "sum avg min max count group stddev stdvar".split()
ARITHMETIC, COMPARISON, SETS = "+ - * / % ^ atan2".split(), "== != > < >= <=".split(), "and or unless".split()
LIBM = re.compile(r"\b(a?cosh?|a?sinh?|a?tanh?|atan2|exp|ln|log2|log10|histogram_(quantiles?|fraction|stddev|stdvar)|stdvar|stddev|"
                  r"stddev_over_time|stdvar_over_time)\b|\^")
# Texts that Prometheus changed after 3.5 and that we have as they are now.
OTHER_TEXT = re.compile(r' for metric name "(?:[^"\\]|\\.)*"|, from buckets \S+ to \S+, with a max diff of \S+, over \d+ samples from '
                        r'\S+ to \S+')
NUMBER = re.compile(r"-?[0-9][0-9.]*(e[-+][0-9]+)?")
PLACE = re.compile(r" \(\d+:\d+\)$")
NEWER_NOTES = ("PromQL warning: sort is ineffective for range queries", "PromQL warning: conflicting counter resets during")
CHOOSES = re.compile(r"\b(topk|bottomk|limitk)\b")


NATIVES = re.compile(r"\b(duration_seconds|size|wait_seconds|mixed)\b|__name__")
FIXED = "input to histogram_quantile needed to be fixed for monotonicity"


def only_there(kind, text, ours, theirs):
    return re.search(kind, text) and ours.kind == theirs.kind


# Why answers differ where they do (docs/decisions/0010): what Prometheus mended after 3.5 and is here as it is now, what
# it does wrong, what it decides by chance.
EXPLAINED = [
    ("newer: matches are counted before a comparison drops them",
     lambda text, ours, theirs: ours.error.startswith("multiple matches for labels") and theirs.kind[0] == 200
     and (re.search("==|!=|[<>]", text) or any("incompatible" in n for n in theirs.notes))),
    ("newer: mad_over_time of NaN is NaN", lambda text, ours, theirs: only_there("mad_over_time", text, ours, theirs)),
    ("newer: series that become equal but never at one time are put together",
     lambda text, ours, theirs: theirs.error.endswith("same labelset") and ours.kind[0] == 200
     and (ours.delayed or re.search("label_replace|label_join|-\\(", text))),
    ("newer: removal of names is delayed through last_over_time",
     lambda text, ours, theirs: ours.delayed and re.search("(last|first)_over_time", text)),
    ("newer: monotonicity is told of too where nothing was counted",
     lambda text, ours, theirs: ours.same_rows(theirs)
     and [n for n in ours.placeless if FIXED not in n] == [n for n in theirs.placeless if FIXED not in n]),
    ("wrong there: a parameter that is fixed by @ is overwritten at later steps",
     lambda text, ours, theirs: only_there(r"(quantile|topk|bottomk|limitk|limit_ratio|count_values).*@", text, ours, theirs)),
    ("wrong there: timestamp() with @ forgets the offset",
     lambda text, ours, theirs: re.search(r"timestamp\(.*(@ \S+ offset|offset \S+ @)", text)),
    ("wrong there: a subquery with @ over a selector with @ finds nothing",
     lambda text, ours, theirs: only_there(r"@.*\[[^\]]*:[^\]]*\].*@", text, ours, theirs)),
    ("wrong there: logarithms of denormals",
     lambda text, ours, theirs: only_there(r"(\b(ln|log2|log10)\(|\^).*(odd|__name__)|(odd|__name__).*\^", text, ours, theirs)),
    ("newer: rates of native histograms begin no earlier than at zero",
     lambda text, ours, theirs: only_there(r"\b(rate|increase)\(", text, ours, theirs) and NATIVES.search(text)),
    ("newer: sums of native histograms are compensated",
     lambda text, ours, theirs: NATIVES.search(text) and close(ours.rows, theirs.rows)),
    ("newer: sums of native histograms are compensated, and a label is made of one",
     lambda text, ours, theirs: NATIVES.search(text) and "count_values" in text and ours.kind == theirs.kind),
    ("wrong there: what lies at the edge of a zero bucket that grows is counted twice",
     lambda text, ours, theirs: NATIVES.search(text) and re.search(r"\b(sum|avg|sum_over_time|avg_over_time|delta|increase)\b| [-+] ", text)
     and (close(without_buckets(ours.rows), without_buckets(theirs.rows)) or "histogram_" in text)),
    ("wrong there at times: points of histograms in a range are overwritten",
     lambda text, ours, theirs: NATIVES.search(text) and only_there(r"_over_time\(.*\[", text, ours, theirs)),
    ("wrong there: text of custom buckets whose missing zero bucket became NaN",
     lambda text, ours, theirs: theirs.error.startswith("histograms with custom buckets have no zero bucket")),
    ("unsteady there: empty buckets, which depend on chunks, times NaN or infinity",
     lambda text, ours, theirs: NATIVES.search(text) and "NaN" in json.dumps(values_of(theirs))
     and close(without_buckets(ours.rows), without_buckets(theirs.rows))),
    ("newer: custom buckets that differ are reconciled",
     lambda text, ours, theirs: NATIVES.search(text) and any("custom buckets" in n or "incompatible bucket layout" in n
                                                             for n in ours.notes + theirs.notes)),
    ("wrong there: a counter reset between histograms of different resolution goes unseen; equal ones differ in empty buckets",
     lambda text, ours, theirs: NATIVES.search(text) and only_there(r"\b(changes|resets|irate)\(", text, ours, theirs)),
    ("unsteady there: limitk", lambda text, ours, theirs: only_there("limitk", text, ours, theirs)),
    ("unsteady there: the order of what limit_ratio keeps",
     lambda text, ours, theirs: "limit_ratio" in text and close(ours.rows, theirs.rows)),
    ("last digits, grown",
     lambda text, ours, theirs: ours.kind == theirs.kind and (len(LIBM.findall(text)) > 1 or (LIBM.search(text) and "%" in text)
                                                              or re.search(r"\b(sinh|cosh|exp)\(|\^", text))),
]


class Generator:
    def __init__(self, seed, known, histograms):
        self.r = random.Random(seed)
        self.known = known
        self.metrics = {**METRICS, **(HISTOGRAMS if histograms else {})}
        self.histograms = histograms

    def one_of(self, *choices):
        """(weight, function) pairs."""
        fns = [f for _, f in choices]
        return self.r.choices(fns, [w for w, _ in choices])[0]()

    def chance(self, p):
        return self.r.random() < p

    # ---- pieces

    def duration(self, low, high):
        seconds = self.r.choice([15, 20, 30, 37, 45, 60, 90, 120, 300, 450, 600, 900, 1800, 3600])
        seconds = max(low, min(high, seconds))
        return self.r.choice([f"{seconds}s", f"{seconds * 1000}ms", f"{seconds // 60}m{seconds % 60}s"
                              if seconds >= 60 and seconds % 60 else f"{seconds}s"])

    def number(self):
        return self.r.choice(["0", "1", "2", "-1", "0.5", "3.7", "10", "100", "1e3", "1e-9", "NaN", "Inf", "-Inf", "0x1F",
                              "1_000", "0.95", "-0.1", "1.1", "5m", "1e300"])

    def matcher(self, label):
        op = self.r.choice(["=", "=", "!=", "=~", "!~"])
        values = VALUES.get(label, ["x"])
        if op in ("=", "!="):
            return f'{label}{op}"{self.r.choice(values + [""])}"'
        return label + op + '"' + self.r.choice(["|".join(self.r.sample(values, min(2, len(values)))).replace("+", "\\\\+"),
                                                 ".*", ".+", self.r.choice(values)[:1].replace("+", "\\\\+") + ".*", ""]) + '"'

    def shift(self):
        def offset():
            return " offset " + self.r.choice(["", "", "-"]) + self.duration(15, 1800)

        def at():
            return " @ " + self.r.choice(["start()", "end()", f"{self.moment() / 1000:.3f}"])
        return self.one_of((14, str), (3, offset), (2, at), (1, lambda: at() + offset()), (1, lambda: offset() + at()))

    def name(self):
        if self.histograms and self.chance(0.35):
            return self.r.choice(list(HISTOGRAMS))
        return self.r.choice(list(self.metrics))

    def plain_selector(self, name=None):
        if name is None and self.chance(0.04):
            return self.r.choice(['{"größe.bytes"}', '{"größe.bytes","einheit.ort"="hier"}', '{__name__=~"lat.*"}',
                                  '{__name__=~"temperature|odd",job="api"}', '{job="api",__name__!~"latency.*|.*info"}'])
        name = name or self.name()
        labels = self.metrics.get(name, ["job"])
        chosen = [self.matcher(self.r.choice(labels)) for _ in range(self.r.choice([0, 0, 0, 1, 1, 2]))] if labels else []
        return name + ("{" + ",".join(chosen) + "}" if chosen else "")

    def selector(self, name=None):
        return self.plain_selector(name) + self.shift()

    def matrix(self, depth, name=None):
        if depth > 0 and self.chance(0.2):
            before, self.in_range = self.in_range, True
            inner = self.vector(depth - 1)
            self.in_range = before
            step = self.r.choice(["", "30s", "1m", "45s", "2m"])
            return f"({inner})[{self.duration(60, 1800)}:{step}]{self.shift()}"
        return f"{self.plain_selector(name)}[{self.duration(15, 3600)}]{self.shift()}"

    def labels(self, most=3):
        return ", ".join(self.r.sample(LABELS, self.r.randrange(most + 1)))

    # ---- expressions

    def scalar(self, depth):
        if depth <= 0:
            return self.number()
        return self.one_of((5, self.number), (1, lambda: "time()"), (1, lambda: "pi()"),
                           (2, lambda: f"scalar({self.vector(depth - 1)})"),
                           (1, lambda: f"{self.scalar(depth - 1)} {self.r.choice(ARITHMETIC)} {self.scalar(depth - 1)}"),
                           (1, lambda: f"{self.scalar(depth - 1)} {self.r.choice(COMPARISON)} bool {self.scalar(depth - 1)}"),
                           (1, lambda: f"-({self.scalar(depth - 1)})"))

    def call(self, depth):
        def elementwise():
            return f"{self.r.choice(ELEMENTWISE)}({self.vector(depth - 1)})"

        def over_time():
            return f"{self.r.choice([f for f in OVER_TIME if f in self.known])}({self.matrix(depth - 1)})"

        def quantile():
            return f"quantile_over_time({self.scalar(0)}, {self.matrix(depth - 1)})"

        def clamp():
            f = self.r.choice(["clamp_min", "clamp_max", "round", "clamp"])
            more = f", {self.scalar(depth - 1)}" if f == "clamp" else ""
            return f"{f}({self.vector(depth - 1)}, {self.scalar(depth - 1)}{more})"

        def smoothing():
            return self.r.choice([f"double_exponential_smoothing({self.matrix(depth - 1)}, 0.{self.r.randrange(1, 10)}, 0.3)",
                                  f"predict_linear({self.matrix(depth - 1)}, {self.scalar(0)})"])

        def replace():
            regex = self.r.choice(["(.*)", "(.)(.*)", "a(.+)", "", "([a-z]+).*", "(?P<x>.*)", "/?"])
            to = self.r.choice(["$1", "x-$1", "", "$2$1", "${x}", "$$", "fixed", "$9"])
            return (f'label_replace({self.vector(depth - 1)}, "{self.r.choice([*LABELS, "new", "__name__"])}", "{to}", '
                    f'"{self.r.choice(LABELS)}", "{regex}")')

        def join():
            sources = "".join(f', "{label}"' for label in self.r.sample(LABELS, self.r.randrange(4)))
            return (f'label_join({self.vector(depth - 1)}, "{self.r.choice([*LABELS, "new"])}", '
                    f'"{self.r.choice(["", "-", ","])}"{sources})')

        def by_label():
            names = "".join(f', "{label}"' for label in self.r.sample(LABELS, self.r.randrange(1, 3)))
            return f"{self.r.choice(['sort_by_label', 'sort_by_label_desc'])}({self.vector(depth - 1)}{names})"

        def info():
            # What 3.5 does with gaps in ranges, with offset, @ and other info metrics was mended later.
            if self.in_range:
                return self.selector()
            picks = self.r.choice(["", ', {region=~".+"}', ', {region="eu"}'])
            return f"info({self.plain_selector('temperature')}{picks})"

        def histogram_quantile():
            inner = self.r.choice([
                lambda: f"rate(latency_bucket[{self.duration(60, 1800)}])", lambda: self.selector("latency_bucket"),
                lambda: f"sum by (le, {self.labels()}) (rate(latency_bucket[{self.duration(60, 900)}]))".replace(", )", ")"),
                lambda: self.native(depth - 1), lambda: self.vector(depth - 1)])()
            if self.chance(0.3) and self.histograms:  # of classic ones it was mended after 3.5
                return f"histogram_fraction({self.scalar(0)}, {self.scalar(0)}, {self.native(0)})"
            return f"histogram_quantile({self.r.choice(['0', '0.5', '0.9', '0.99', '1', '-1', '2', 'NaN', '0.001'])}, {inner})"

        def native():
            return f"{self.r.choice(NATIVE)}({self.native(depth - 1)})"

        def constant():
            return self.r.choice([f"vector({self.scalar(depth - 1)})", f"{self.r.choice(['hour', 'month', 'year'])}()"])
        return self.one_of((4, elementwise), (8, over_time), (1, quantile), (2, clamp), (1, smoothing), (2, replace), (1, join),
                           (1, by_label), (1, info), (3, histogram_quantile), (2 if self.histograms else 0, native),
                           (1, constant))

    def native(self, depth):
        name = self.r.choice(list(HISTOGRAMS) if self.histograms else ["latency_bucket"])
        return self.one_of((3, lambda: self.selector(name)),
                           (3, lambda: f"{self.r.choice(['rate', 'increase', 'delta', 'irate', 'idelta'])}"
                                       f"({self.matrix(0, name)})"),
                           (2, lambda: f"{self.r.choice(['sum_over_time', 'avg_over_time', 'last_over_time'])}"
                                       f"({self.matrix(0, name)})"),
                           (2, lambda: f"{self.r.choice(['sum', 'avg'])} by ({self.labels()}) ({self.selector(name)})"),
                           (1, lambda: f"{self.selector(name)} {self.r.choice('+-')} {self.selector(name)}"),
                           (1, lambda: f"{self.selector(name)} {self.r.choice('*/')} {self.scalar(0)}"))

    def aggregate(self, depth):
        inner = self.vector(depth - 1)
        group = self.r.choice(["", f" by ({self.labels()})", f" without ({self.labels()})"])

        def param(op, value):
            return f"{op}{group} ({value}, {inner})"
        return self.one_of((10, lambda: f"{self.r.choice(AGGREGATORS)}{group} ({inner})"),
                           (1, lambda: param("quantile", self.scalar(depth - 1))),
                           (1, lambda: param("count_values", '"value"')),
                           (2, lambda: param(self.r.choice(["topk", "bottomk"]), self.r.choice(["1", "2", "3", "0", "100"]))),
                           (1, lambda: param("limitk", self.r.choice(["1", "3", "100"]))),
                           (1, lambda: param("limit_ratio", self.r.choice(["0.5", "-0.5", "0.1", "1", "2"]))))

    def matching(self, sets):
        kind = self.one_of((4, str), (5, lambda: f" on ({self.r.choice(['job, instance', 'job', 'instance', self.labels()])})"),
                           (3, lambda: f" ignoring ({self.labels()})"))
        if kind and not sets and self.chance(0.4):
            side = self.r.choice(["group_left", "group_right"])
            kind += f" {side}" + self.r.choice(["", f" ({self.labels(2)})"])
        return kind

    def binary(self, depth):
        def vectors():
            op = self.r.choice(ARITHMETIC * 2 + COMPARISON)
            boolean = " bool" if op in COMPARISON and self.chance(0.4) else ""
            return f"{self.operand(depth)} {op}{boolean}{self.matching(False)} {self.operand(depth)}"

        def sets():
            return f"{self.operand(depth)} {self.r.choice(SETS)}{self.matching(True)} {self.operand(depth)}"

        def with_scalar():
            op = self.r.choice(ARITHMETIC + COMPARISON)
            boolean = " bool" if op in COMPARISON and self.chance(0.4) else ""
            sides = [self.operand(depth), f"({self.scalar(depth - 1)})"]
            self.r.shuffle(sides)
            return f"{sides[0]} {op}{boolean} {sides[1]}"
        return self.one_of((4, vectors), (2, sets), (4, with_scalar))

    def operand(self, depth):
        text = self.vector(depth - 1)
        return f"({text})" if self.chance(0.7) else text

    def vector(self, depth):
        if depth <= 0:
            return self.selector()
        return self.one_of((3, self.selector), (7, lambda: self.call(depth)), (4, lambda: self.aggregate(depth)),
                           (5, lambda: self.binary(depth)), (0.3, lambda: f"-({self.vector(depth - 1)})"),
                           (1 if self.histograms else 0, lambda: self.native(depth)))

    def moment(self):
        span = promql_data.END - promql_data.START
        t = promql_data.START + self.r.randrange(-600_000, span + 600_000)
        unit = self.r.choice([1, 1000, 15000, 15000, 15000, 60000])
        return t // unit * unit

    def query(self):
        depth = self.r.choices([1, 2, 3, 4], [2, 5, 4, 1])[0]
        self.in_range = self.chance(0.45)
        text = self.one_of((20, lambda: self.vector(depth)), (1, lambda: self.scalar(depth)), (1, lambda: self.matrix(depth)))
        if not self.in_range:
            return "query", {"query": text, "time": f"{self.moment() / 1000:.3f}"}
        step = self.r.choice([15, 17, 30, 60, 60, 120, 300, 7.5])
        start = self.moment()
        return "query_range", {"query": text, "start": f"{start / 1000:.3f}",
                               "end": f"{start / 1000 + step * self.r.randrange(0, 40):.3f}", "step": str(step)}


# ---- servers

class Peer(Process):
    get = Narthex.get

    def __init__(self, program, folder, features):
        os.makedirs(folder)
        config = os.path.join(folder, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write("global: {scrape_interval: 1h, evaluation_interval: 1m}\n")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__([program, f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                          f"--web.listen-address=127.0.0.1:{self.port}", "--web.enable-remote-write-receiver",
                          "--storage.tsdb.retention.time=100y", f"--enable-feature={','.join([*features, 'native-histograms'])}"],
                         os.path.join(folder, "prometheus.log"))
        wait_for("Prometheus", lambda: request(self.url + "/-/ready").status == 200, 60)


class Asker:
    """One connection to a server, kept open."""

    def __init__(self, port, delayed=False):
        self.delayed = delayed
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def ask(self, kind, params):
        body = urllib.parse.urlencode(params)
        self.connection.request("POST", f"/api/v1/{kind}", body, {"Content-Type": "application/x-www-form-urlencoded"})
        a = self.connection.getresponse()
        return Reply(a.status, a.read(), self.delayed)


class Reply:
    def __init__(self, status, body, delayed):
        self.delayed = delayed
        # Numbers stay texts: times are compared as written too.
        j = json.loads(body, parse_float=str, parse_int=str)
        self.kind = (status, j.get("errorType"))
        self.error = j.get("error", "")
        data = j.get("data") if isinstance(j.get("data"), dict) else {}
        self.type = data.get("resultType")
        result = data.get("result") or []
        self.in_order = result
        self.rows = result
        if self.type in ("vector", "matrix"):
            self.rows = {tuple(sorted(row["metric"].items())): {k: v for k, v in row.items() if k != "metric"}
                         for row in result}
            if len(self.rows) != len(result):
                self.rows = "two rows with equal labels"
        notes = sorted(j.get("warnings", [])) + sorted(j.get("infos", []))
        self.notes = sorted({OTHER_TEXT.sub("", n) for n in notes if not n.startswith(NEWER_NOTES)})
        self.placeless = sorted({PLACE.sub("", n) for n in self.notes})

    def same(self, other):
        return self.notes == other.notes and self.same_rows(other)

    def same_rows(self, other):
        return (self.kind, self.type, self.rows) == (other.kind, other.type, other.rows)


def close(a, b):
    """Equal but for the last digits of numbers: what functions of two C libraries may give."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(close(x, y) for x, y in zip(a, b))
    if a == b:
        return True
    try:
        x, y = float(a), float(b)
    except (TypeError, ValueError):
        return False
    return math.isclose(x, y, rel_tol=1e-10, abs_tol=1e-280)


def without_buckets(v):
    if isinstance(v, dict):
        return {k: without_buckets(x) for k, x in v.items() if k != "buckets"}
    return [without_buckets(x) for x in v] if isinstance(v, list) else v


def notes_alike(text, ours, theirs):
    """A number in a note may come from the C library too."""
    a, b = ours.placeless, theirs.placeless
    return a == b or (LIBM.search(text) and [NUMBER.sub("", n) for n in a] == [NUMBER.sub("", n) for n in b])


def values_of(reply):
    """Without labels, step by step: enough where equal candidates may be chosen at will."""
    if not isinstance(reply.rows, dict):
        return reply.rows
    steps = {}
    for row in reply.rows.values():
        points = [row[k] for k in ("value", "histogram") if k in row] + row.get("values", []) + row.get("histograms", [])
        for t, v in points:
            steps.setdefault(t, []).append(v if isinstance(v, str) else json.dumps(v))
    return {t: sorted(v) for t, v in steps.items()}


def verdict(text, ours, theirs, ask_again):
    if ours.same(theirs):
        return "equal"
    if ours.same_rows(theirs) and ours.placeless == theirs.placeless:
        # Prometheus says 1:1 of every subquery, and of several places with one text it keeps one.
        return "place of a note"
    others = [ask_again() for _ in range(20)]
    if any(ours.same(o) for o in others):
        return "unsteady in Prometheus"
    if (ours.kind, ours.type) == (theirs.kind, theirs.type) and notes_alike(text, ours, theirs):
        if any(o.rows != theirs.rows for o in others) and close(ours.rows, theirs.rows):
            return "unsteady in Prometheus"
        if LIBM.search(text) and (close(ours.rows, theirs.rows) or
                                  ("count_values" in text and len(ours.rows) == len(theirs.rows))):
            return "last digits"
        if CHOOSES.search(text) and (values_of(ours) == values_of(theirs) or
                                     (LIBM.search(text) and close(values_of(ours), values_of(theirs)))):
            return "chosen among equals"
    return next((why for why, applies in EXPLAINED if applies(text, ours, theirs)), "different")


def describe(ours, theirs):
    lines = []
    if ours.kind != theirs.kind or ours.error != theirs.error:
        lines.append(f"    ours {ours.kind} {ours.error}\n    peer {theirs.kind} {theirs.error}")
    if ours.placeless != theirs.placeless:
        lines.append(f"    ours {[n for n in ours.notes if n not in theirs.notes]}\n"
                     f"    peer {[n for n in theirs.notes if n not in ours.notes]}")
    if isinstance(ours.rows, dict) and isinstance(theirs.rows, dict):
        for key in sorted(set(ours.rows) | set(theirs.rows)):
            a, b = ours.rows.get(key), theirs.rows.get(key)
            if a == b:
                continue
            if a and b and "values" in a and "values" in b and len(a["values"]) == len(b["values"]):
                a, b = next((x, y) for x, y in zip(a["values"], b["values"]) if x != y)
            a, b = json.dumps(a), json.dumps(b)
            at = max(0, next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), 0) - 60)
            lines.append(f"    {dict(key)} at {at}\n      ours {a[at:at + 200]}\n      peer {b[at:at + 200]}")
            if len(lines) > 3:
                break
    elif ours.rows != theirs.rows:
        lines.append(f"    ours {ours.rows!r:.300}\n    peer {theirs.rows!r:.300}")
    return "\n".join(lines)


# ---- the comparison

class Pair:
    """Both servers with the data."""

    def __init__(self, prometheus, folder, running, delayed=False, data=True):
        features = FEATURES + (["promql-delayed-name-removal"] if delayed else [])
        self.peer = Peer(prometheus, os.path.join(folder, "peer"), features)
        running.append(self.peer)
        self.own = Narthex(os.path.join(folder, "own"), "global: {scrape_interval: 1h, evaluation_interval: 1m}\n",
                           ["--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=100y",
                            f"--enable-feature={','.join(features)}"])
        running.append(self.own)
        self.histograms = self.takes_histograms()
        if data:
            self.write(promql_data.floats() + (promql_data.histograms() if self.histograms else []))
        self.ours, self.theirs = Asker(self.own.port, delayed), Asker(self.peer.port, delayed)
        self.known = {f for f in OVER_TIME if self.theirs.ask("format_query", {"query": f"{f}(x[1m])"}).kind[0] == 200}

    def send(self, server, body):
        return request(server.url + "/api/v1/write", literal_snappy(body), headers=HEADERS)

    def write(self, series):
        for body in promql_data.requests(series):
            for server in (self.own, self.peer):
                a = self.send(server, body)
                assert a.status in (200, 204), (server.log_path, a.status, a.body[:500])

    def takes_histograms(self):
        one = promql_data.Series("probe")
        one.histograms.append((promql_data.START, promql_data.Histogram(0).encode(promql_data.START)))
        body = one.encode(promql_data.START, promql_data.END)
        return self.send(self.own, body).status in (200, 204) and self.send(self.peer, body).status in (200, 204)

    def compare(self, seed, count, counts, show):
        g = Generator(seed, self.known, self.histograms)
        for number in range(count):
            kind, params = g.query()
            ours, theirs = self.ours.ask(kind, params), self.theirs.ask(kind, params)
            v = verdict(params["query"], ours, theirs, lambda: self.theirs.ask(kind, params))
            counts[v] = counts.get(v, 0) + 1
            if theirs.kind[0] != 200:
                counts["of them errors"] = counts.get("of them errors", 0) + 1
            elif theirs.rows:
                counts["of them not empty"] = counts.get("of them not empty", 0) + 1
            if v == "different" and counts[v] <= show:
                print(f"# seed {seed} query {number}: {kind} {json.dumps(params, ensure_ascii=False)}\n{describe(ours, theirs)}",
                      flush=True)


def is_new_enough(program):
    """Prometheus 3.5 or later."""
    if not program:
        return False
    out = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    m = re.search(r"version (\d+)\.(\d+)", out.stdout + out.stderr)
    return bool(m) and (int(m[1]), int(m[2])) >= (3, 5)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--prometheus", required=True)
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--seeds", type=int, default=1)
    p.add_argument("--count", type=int, default=500)
    p.add_argument("--minutes", type=float, default=None)
    p.add_argument("--show", type=int, default=20)
    p.add_argument("--delayed", action="store_true")
    o = p.parse_args()
    seed = o.seed if o.seed is not None else random.randrange(1 << 30)
    counts, running = {}, []
    with tempfile.TemporaryDirectory(prefix="narthex-differential-") as folder:
        try:
            pair = Pair(o.prometheus, folder, running, o.delayed)
            print(f"# first seed {seed}, native histograms: {pair.histograms}", flush=True)
            end = time.monotonic() + o.minutes * 60 if o.minutes else None
            n = 0
            while (time.monotonic() < end) if end else (n < o.seeds):
                pair.compare(seed + n, o.count, counts, o.show)
                n += 1
                if n % 20 == 0:
                    print(f"# {n} seeds: {counts}", flush=True)
            print(f"# {n} seeds of {o.count} queries: {counts}")
        finally:
            for process in reversed(running):
                process.stop()
    sys.exit(1 if counts.get("different") else 0)


if __name__ == "__main__":
    main()
