"""Pages of io.prometheus.client.MetricFamily messages, length-delimited, as exporters with native histograms serve them.

Only what tests need of protobuf: varints, doubles, messages. Field numbers are those of Prometheus' metrics.proto.
"""

import struct

CONTENT_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM = range(6)


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def zigzag(n):
    return (n << 1) ^ (n >> 63)


def uint(number, n):
    return varint(number << 3) + varint(n)


def sint(number, n):
    return uint(number, zigzag(n))


def double(number, v):
    return varint(number << 3 | 1) + struct.pack("<d", v)


def message(number, data):
    if isinstance(data, str):
        data = data.encode()
    return varint(number << 3 | 2) + varint(len(data)) + data


def timestamp(number, seconds):
    whole = int(seconds)
    return message(number, uint(1, whole) + uint(2, round((seconds - whole) * 1e9)))


def labels(number, pairs):
    return b"".join(message(number, message(1, k) + message(2, v)) for k, v in (pairs or {}).items())


def exemplar(number, pairs, value, at=None):
    return message(number, labels(1, pairs) + double(2, value) + (timestamp(3, at) if at is not None else b""))


def counter(value, pairs=None, exemplar=b"", created=None, at_ms=None):
    data = double(1, value) + exemplar + (timestamp(3, created) if created is not None else b"")
    return labels(1, pairs) + message(3, data) + (uint(6, at_ms) if at_ms else b"")


def gauge(value, pairs=None):
    return labels(1, pairs) + message(2, double(1, value))


def untyped(value, pairs=None):
    return labels(1, pairs) + message(5, double(1, value))


def summary(count, total, quantiles, pairs=None):
    data = uint(1, count) + double(2, total)
    data += b"".join(message(3, double(1, q) + double(2, v)) for q, v in quantiles)
    return labels(1, pairs) + message(4, data)


def spans(number, list_of):
    return b"".join(message(number, sint(1, offset) + uint(2, length)) for offset, length in list_of)


def histogram(count, total, classic=(), pairs=None, schema=None, zero_threshold=0.0, zero_count=0, positive=((), ()),
              negative=((), ()), exemplars=b"", created=None, floats=False):
    """positive and negative: (spans, deltas), or (spans, counts) with floats; classic: (bound, cumulative, exemplar?)."""
    data = double(4, count) if floats else uint(1, count)
    data += double(2, total)
    for bucket in classic:
        inner = (double(4, bucket[1]) if floats else uint(1, bucket[1])) + double(2, bucket[0])
        data += message(3, inner + (bucket[2] if len(bucket) > 2 else b""))
    if schema is not None:
        data += sint(5, schema) + double(6, zero_threshold)
        data += double(8, zero_count) if floats else uint(7, zero_count)
        data += spans(9, negative[0]) + spans(12, positive[0])
        for span_number, (_, numbers) in ((9, negative), (12, positive)):
            if not numbers:
                continue
            if floats:
                data += message(span_number + 2, b"".join(struct.pack("<d", v) for v in numbers))
            else:
                data += message(span_number + 1, b"".join(varint(zigzag(v)) for v in numbers))
    if created is not None:
        data += timestamp(15, created)
    return labels(1, pairs) + message(7, data + exemplars)


def family(name, kind, metrics, help_text="", unit=""):
    data = message(1, name) + (message(2, help_text) if help_text else b"") + (uint(3, kind) if kind else b"")
    data += b"".join(message(4, m) for m in metrics) + (message(5, unit) if unit else b"")
    return varint(len(data)) + data
