"""What the differential test asks about: series with counter resets, gaps, stale markers, NaN, infinities, denormals,
classic and native histograms. All of it follows from one seed; times are fixed."""

import math
import random
import struct

from remote_write import field, varint

START = 1_700_000_400_000  # ms
STEP = 15_000
MINUTES = 190
END = START + MINUTES * 60_000
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
NAN = struct.unpack("<d", struct.pack("<Q", 0x7FF8000000000001))[0]
ODD = [NAN, math.inf, -math.inf, 5e-324, -5e-324, 0.0, -0.0, 1e308, -1e308, 1e-300, 1e16, 0.1, 4503599627370497.5]


def double(number, v):
    return varint(number << 3 | 1) + struct.pack("<d", v)


def integer(number, v):
    return varint(number << 3) + varint(v & (1 << 64) - 1)


def zigzag(v):
    return (v << 1) ^ (v >> 63)


def packed(number, values):
    return field(number, b"".join(varint(zigzag(v)) for v in values))


def spans(number, runs):
    return b"".join(field(number, integer(1, zigzag(offset)) + integer(2, length)) for offset, length in runs)


class Histogram:
    """An integer histogram of remote write: runs of (offset, [counts])."""

    def __init__(self, schema, zero_threshold=0.001, reset_hint=0):
        self.schema, self.zero_threshold, self.reset_hint = schema, zero_threshold, reset_hint
        self.zero, self.sum = 0, 0.0
        self.positive, self.negative, self.custom = {}, {}, []

    def count(self):
        return self.zero + sum(self.positive.values()) + sum(self.negative.values())

    @staticmethod
    def side(buckets):
        runs, deltas, last, before = [], [], 0, None
        for i in sorted(buckets):
            if before is not None and i == before + 1:
                runs[-1][1] += 1
            else:
                runs.append([i if before is None else i - before - 1, 1])
            deltas.append(buckets[i] - last)
            last, before = buckets[i], i
        return runs, deltas

    def encode(self, t):
        out = integer(1, self.count()) + double(3, self.sum) + integer(4, zigzag(self.schema))
        out += double(5, self.zero_threshold) + integer(6, self.zero)
        if self.negative:
            runs, deltas = self.side(self.negative)
            out += spans(8, runs) + packed(9, deltas)
        if self.positive:
            runs, deltas = self.side(self.positive)
            out += spans(11, runs) + packed(12, deltas)
        out += integer(14, self.reset_hint) + integer(15, t)
        if self.custom:
            out += field(16, b"".join(struct.pack("<d", v) for v in self.custom))
        return out


def stale_histogram(t):
    return double(3, STALE) + integer(15, t)


class Series:
    def __init__(self, name, **labels):
        self.labels = {"__name__": name, **labels}
        self.floats, self.histograms = [], []  # (t, v), (t, bytes)

    def key(self):
        return sorted(self.labels.items())

    def encode(self, first, last):
        """The part with first <= t < last of a remote write request, or nothing."""
        floats = b"".join(field(2, double(1, v) + integer(2, t)) for t, v in self.floats if first <= t < last)
        histograms = b"".join(field(4, h) for t, h in self.histograms if first <= t < last)
        if not floats and not histograms:
            return b""
        labels = b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in self.key())
        return field(1, labels + floats + histograms)


def times(r, jitter, gaps):
    """Scrape times with jitter; now and then some are missing."""
    t, missing = START, 0
    while t < END:
        if missing:
            missing -= 1
        else:
            yield t + (r.randrange(-jitter, jitter) if jitter and t > START else 0)
            if gaps and r.random() < 0.01:
                missing = r.choice([1, 3, 8, 25, 45])
        t += STEP


def with_stale(r, samples, chance=0.004):
    """After some samples the series ends for a while, with a marker."""
    out, skip = [], 0
    for t, v in samples:
        if skip:
            skip -= 1
        else:
            out.append((t, v))
            if r.random() < chance:
                out.append((t + STEP // 3, STALE))
                skip = r.randrange(1, 30)
    return out


def counter(r, ts, scale):
    v, out = 0.0, []
    for t in ts:
        v = 0.0 if r.random() < 0.005 else v + r.choice([0, 1, scale, r.random() * scale])
        out.append((t, v))
    return out


def gauge(r, ts, scale, odd):
    v, out = r.uniform(-scale, scale), []
    for t in ts:
        v += r.gauss(0, scale / 20)
        out.append((t, r.choice(ODD) if r.random() < odd else v))
    return out


BOUNDS = ["0.05", "0.1", "0.5", "1", "5", "+Inf"]


def classic(r, ts, labels):
    series = [Series("latency_bucket", le=b, **labels) for b in BOUNDS]
    total, count = Series("latency_sum", **labels), Series("latency_count", **labels)
    buckets, s = [0.0] * len(BOUNDS), 0.0
    for t in ts:
        if r.random() < 0.004:
            buckets, s = [0.0] * len(BOUNDS), 0.0
        for _ in range(r.randrange(12)):
            v = r.expovariate(2)
            s += v
            for i, b in enumerate(BOUNDS):
                if v <= float(b.replace("+Inf", "inf")):
                    buckets[i] += 1
        for i, one in enumerate(series):
            # Scraped apart: now and then a bucket is behind the one below it.
            one.floats.append((t, buckets[i] - (1 if i == 3 and r.random() < 0.02 and buckets[i] > 1 else 0)))
        total.floats.append((t, s))
        count.floats.append((t, buckets[-1]))
    return [*series, total, count]


def bucket_of(v, schema):
    return math.ceil(math.log2(v) * 2.0 ** schema)


def native(r, ts, name, labels, schema, gauge_like=False):
    s = Series(name, **labels)
    h = Histogram(schema, reset_hint=3 if gauge_like else 0)
    for t in ts:
        if gauge_like or r.random() < 0.004:
            h = Histogram(r.choice([schema, schema, schema - 1]), r.choice([0.001, 0.001, 0.01]),
                          reset_hint=3 if gauge_like else 0)
        for _ in range(r.randrange(10)):
            v = r.gauss(0.3, 1)
            h.sum += v
            if abs(v) <= h.zero_threshold:
                h.zero += 1
            else:
                side = h.positive if v > 0 else h.negative
                i = bucket_of(abs(v), h.schema)
                side[i] = side.get(i, 0) + 1
        s.histograms.append((t, h.encode(t)))
        if r.random() < 0.003:
            s.histograms.append((t + 5000, stale_histogram(t + 5000)))
    return s


def custom(r, ts, name, labels, bounds):
    s = Series(name, **labels)
    h = Histogram(-53, 0.0)
    h.custom = bounds
    for t in ts:
        if r.random() < 0.004:
            h = Histogram(-53, 0.0)
            h.custom = bounds
        for _ in range(r.randrange(10)):
            v = r.expovariate(2)
            h.sum += v
            i = next((k for k, b in enumerate(bounds) if v <= b), len(bounds))
            h.positive[i] = h.positive.get(i, 0) + 1
        s.histograms.append((t, h.encode(t)))
    return s


def floats():
    r = random.Random(1)
    out = []
    for job in ("api", "db"):
        for instance in ("a", "b", "c"):
            labels = {"job": job, "instance": instance}
            ts = list(times(r, r.choice([0, 0, 3000]), instance != "a"))
            for path in ("/", "/x"):
                s = Series("requests_total", path=path, code=r.choice(["200", "500"]), **labels)
                s.floats = with_stale(r, counter(r, ts, r.choice([1, 10, 0.37])))
                out.append(s)
            s = Series("temperature", **labels)
            s.floats = with_stale(r, gauge(r, ts, r.choice([1, 30, 1e6]), 0))
            out.append(s)
            s = Series("odd", **labels)
            s.floats = gauge(r, ts, 10, 0.15)
            out.append(s)
            s = Series("up", **labels)
            s.floats = [(t, float(r.random() < 0.9)) for t in ts]
            out.append(s)
            s = Series("build_info", version=r.choice(["1.0", "1.1"]), **labels)
            s.floats = [(t, 1.0) for t in ts]
            out.append(s)
            s = Series("target_info", region=r.choice(["eu", "us"]), **labels)
            s.floats = with_stale(r, [(t, 1.0) for t in ts], 0.002)
            out.append(s)
        out += classic(r, list(times(r, 0, True)), {"job": job, "instance": "a"})
        s = Series("limit", job=job)
        s.floats = [(t, 10.0 if job == "api" else 2.5) for t in times(r, 0, False)]
        out.append(s)
    s = Series("latency_bucket", le="many", job="api", instance="a")
    s.floats = [(t, 1.0) for t in times(r, 0, False)]
    out.append(s)
    for name, labels in (("größe.bytes", {"einheit.ort": "hier"}), ("größe.bytes", {"einheit.ort": "dort"})):
        s = Series(name, job="api", **labels)
        s.floats = gauge(r, list(times(r, 0, True)), 1000, 0.01)
        out.append(s)
    s = Series("rare")
    s.floats = [(START + i * 600_000, float(i)) for i in range(19)]
    out.append(s)
    return out


def histograms():
    r = random.Random(2)
    out = []
    for job in ("api", "db"):
        for instance in ("a", "b"):
            labels = {"job": job, "instance": instance}
            ts = list(times(r, 0, instance == "b"))
            out.append(native(r, ts, "duration_seconds", labels, r.choice([0, 2, 3])))
            out.append(native(r, ts, "size", labels, 1, gauge_like=True))
            out.append(custom(r, ts, "wait_seconds", labels, [0.05, 0.1, 0.5, 1.0, 5.0] if instance == "a"
                              else [0.1, 0.5, 1.0]))
    # Changes its kind: floats first, then histograms.
    s = native(r, [t for t in times(r, 0, False) if t > START + 90 * 60_000], "mixed", {"job": "api"}, 2)
    s.floats = [(t, float(i)) for i, t in enumerate(times(r, 0, False)) if t <= START + 90 * 60_000]
    out.append(s)
    return out


def requests(series, minutes=10):
    """Bodies of remote write 1.0, not compressed yet, in the order of time; series in the order of their labels, so that
    all servers number them alike."""
    series = sorted(series, key=Series.key)
    for first in range(START, END + 60_000, minutes * 60_000):
        body = b"".join(s.encode(first, first + minutes * 60_000) for s in series)
        if body:
            yield body
