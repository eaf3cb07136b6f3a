"""Remote-write 1.0 requests, without a library."""

import struct

HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def write_request(series):
    """A remote-write 1.0 body: snappy literals around the protobuf message."""
    message = b""
    for labels, samples in series:
        ts = b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(labels.items()))
        ts += b"".join(field(2, varint(1 << 3 | 1) + struct.pack("<d", v) + varint(2 << 3) + varint(t))
                       for t, v in samples)
        message += field(1, ts)
    return literal_snappy(message)


def literal_snappy(message):
    """Snappy without compression."""
    parts = [varint(len(message))]
    for i in range(0, len(message), 60):
        part = message[i:i + 60]
        parts += [bytes([(len(part) - 1) << 2]), part]
    return b"".join(parts)
