#!/usr/bin/env python3
"""Reads a block from docs/formats/block.md and chunk.md alone, slowly and plainly: Python's standard library only.

    blockread.py BLOCK          writes each series with its samples: labels, then "time bits value" a line

It shares no line with the program, so that what it reads shows that the documents are enough to read a block. Floats of all
encodings; a chunk of native histograms is named and left out.
"""

import mmap
import os
import struct
import sys

PAGE = 4096
WIDTHS = list(range(23)) + [24, 26, 28, 32, 36, 40, 48, 56, 64]
M64 = (1 << 64) - 1


class Damaged(Exception):
    pass


def check(good, what):
    if not good:
        raise Damaged(what)


# ---- CRC32C, bit by bit into a table

def crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


CRC = crc_table()


def crc32c(*parts):
    crc = 0xFFFFFFFF
    for part in parts:
        for byte in part:
            crc = crc >> 8 ^ CRC[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


# ---- numbers

class Bytes:
    """A run of bytes being read."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def byte(self):
        check(self.at < len(self.data), "cut off")
        self.at += 1
        return self.data[self.at - 1]

    def take(self, n):
        check(self.at + n <= len(self.data), "cut off")
        self.at += n
        return self.data[self.at - n:self.at]

    def uvarint(self):
        value = shift = 0
        while True:
            b = self.byte()
            value |= (b & 127) << shift
            shift += 7
            if b < 128:
                check(value <= M64, "number too long")
                return value

    def varint(self):
        u = self.uvarint()
        return u >> 1 ^ -(u & 1)

    def u32(self):
        return struct.unpack("<I", self.take(4))[0]

    def left(self):
        return len(self.data) - self.at


def signed(v):
    v &= M64
    return v - (1 << 64) if v >> 63 else v


def double(bits):
    return struct.unpack("<d", struct.pack("<Q", bits & M64))[0]


def bits_of(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


# ---- LMDB: a walk over the pages of a finished file

class Lmdb:
    def __init__(self, data):
        self.data = data
        metas = [m for m in (self.meta(0), self.meta(1)) if m]
        check(metas, "no LMDB meta page")
        self.main = max(metas)[1]

    def meta(self, page):
        base = page * PAGE
        magic, version = struct.unpack_from("<II", self.data, base + 16)
        if magic != 0xBEEFC0DE or version != 1:
            return None
        root = struct.unpack_from("<Q", self.data, base + 88 + 40)[0]
        return struct.unpack_from("<Q", self.data, base + 144)[0], root

    def items(self, root):
        """Keys and values below a page, in order; a sub-database is the number of its root."""
        if root == M64:
            return
        base = root * PAGE
        flags, lower = struct.unpack_from("<HH", self.data, base + 10)
        for i in range((lower - 16) // 2):
            node = base + struct.unpack_from("<H", self.data, base + 16 + 2 * i)[0]
            low, high, node_flags, key_size = struct.unpack_from("<HHHH", self.data, node)
            if flags & 1:  # a branch
                yield from self.items(low | high << 16 | node_flags << 32)
                continue
            key = self.data[node + 8:node + 8 + key_size]
            at, size = node + 8 + key_size, low | high << 16
            if node_flags & 1:  # on pages of its own
                at = struct.unpack_from("<Q", self.data, at)[0] * PAGE + 16
            value = self.data[at:at + size]
            yield key, (struct.unpack_from("<Q", value, 40)[0] if node_flags & 2 else value)


# ---- columns of integers

def line(slope, i):
    return signed(slope * i) >> 12


def packed_numbers(data, n):
    """chunk.md, "A column of integers"."""
    b = Bytes(data)
    divisor, slope = b.uvarint(), b.varint()
    check(divisor, "divisor 0")
    y, last, stated = [], 0, 0
    while len(y) < n:
        if len(y) % 512 == 0:
            last, stated = line(slope, len(y)), slope
        count = min(128, n - len(y))
        head = b.byte()
        guess, width, base = head & 3, WIDTHS[head >> 3], b.varint()
        if guess == 3:
            stated = b.varint()
        patches = {}
        if head & 4:
            positions = list(b.take(b.byte()))
            check(1 <= len(positions) <= 16, "patches")
            for at in positions:
                patches[at] = b.varint()
        packed = int.from_bytes(b.take((count * width + 7) // 8), "little")
        start = last
        for i in range(count):
            u = patches.get(i, packed >> i * width & (1 << width) - 1)
            before = {0: start, 1: last}.get(guess, start + line(stated, i + 1))
            last = signed(before + base + u)
            y.append(signed(last * divisor))
    check(b.left() == 0, "more than a column")
    return y


def frequencies(b, symbols):
    bits = int.from_bytes(b.data[b.at:], "little")
    at = 0

    def take(count):
        nonlocal at
        at += count
        return bits >> at - count & (1 << count) - 1
    k, before, result = take(3), 1024 // symbols, []
    for _ in range(symbols):
        ones = 0
        while ones < 12 and take(1):
            ones += 1
        z = take(12) if ones == 12 else ones << k | take(k)
        before += z >> 1 ^ -(z & 1)
        check(before >= 0, "frequency")
        result.append(before)
    check(sum(result) == 1024, "frequencies")
    b.take((at + 7) // 8)
    return result


def coded_numbers(data, n):
    """chunk.md, "A coded column of integers"."""
    b = Bytes(data)
    divisor, head, low_bits, symbols = b.uvarint(), b.byte(), b.byte(), b.byte()
    length = (n + 3) // 4
    delta = head & 1
    anchors, slope = [0], 0
    if delta:
        for _ in range(3):
            anchors.append(anchors[-1] + b.varint())
    else:
        slope = b.varint()
    base = b.varint()
    patches, at = {}, 0
    if head & 2:
        for _ in range(b.uvarint()):
            at += b.uvarint()
            patches[at] = b.varint()
    freq = frequencies(b, symbols)
    slots = [(s, i) for s, f in enumerate(freq) for i in range(f)]
    states = [b.u32() for _ in range(4)]
    words = [b.uvarint() for _ in range(3)]
    low = int.from_bytes(b.take((n * low_bits + 7) // 8), "little")
    check(b.left() % 2 == 0 and b.left() // 2 >= sum(words), "words")
    words.append(b.left() // 2 - sum(words))
    coded = []
    for stream in range(4):
        x, mine = states[stream], Bytes(b.take(2 * words[stream]))
        for _ in range(min(length, n - len(coded))):
            s, place = slots[x % 1024]
            x = freq[s] * (x >> 10) + place
            if x < 65536:
                x = x << 16 | mine.byte() | mine.byte() << 8
            coded.append(s)
        check(x == 65536 and mine.left() == 0, "a stream does not end where it should")
    y, before = [], 0
    for i, s in enumerate(coded):
        u = patches.get(i, s << low_bits | low >> i * low_bits & (1 << low_bits) - 1)
        if delta:
            before = anchors[i // length] if i % length == 0 else before
            before = signed(before + base + u) if i else 0
        else:
            before = signed(u + base + line(slope, i))
        y.append(signed(before * divisor))
    return y


# ---- chunks

class Bits:
    """Bits from the highest of each byte down."""

    def __init__(self, data):
        self.text = "".join(f"{b:08b}" for b in data)
        self.at = 0

    def take(self, n):
        check(self.at + n <= len(self.text), "cut off")
        self.at += n
        return int(self.text[self.at - n:self.at], 2) if n else 0

    def ones(self, most):
        """Ones before a zero, at most so many."""
        n = 0
        while n < most and self.take(1):
            n += 1
        return n


def xor_value(b, window, before):
    if not b.take(1):
        return before
    if b.take(1):
        window[:] = [b.take(5), b.take(6) + 1]
    leading, length = window
    check(0 < length and leading + length <= 64, "window")
    return before ^ b.take(length) << 64 - leading - length


def read_xor(data, n, min_time):
    b, window, v, t, step = Bits(data), [0, 0], 0, min_time, 0
    times, values = [], []
    for i in range(n):
        if i:
            width = [0, 6, 12, 20, 64][b.ones(4)]
            change = b.take(width)
            step += change - (1 << width) if width and change >> width - 1 else change
            t = signed(t + step)
        v = xor_value(b, window, v)
        times.append(t)
        values.append(v)
    return times, values


def read_times(way, data, n, min_time, max_time):
    if way == 0:
        step = (max_time - min_time) // max(n - 1, 1)
        times = [min_time + step * i for i in range(n)]
    else:
        check(way == 1, "a way of times that is not known")
        times = [signed(min_time + y) for y in packed_numbers(data, n)]
    check(times[0] == min_time and times[-1] == max_time, "times")
    check(all(a < b for a, b in zip(times, times[1:])), "times do not rise")
    return times


def usable(bits):
    value = double(bits)
    return value if abs(value) <= 2.0 ** 53 else 0.0


def read_scaled(data, n, coded, base):
    b = Bytes(data)
    head = b.byte()
    e = head & 31
    if e == 31:
        divisor = 2.0 ** struct.unpack("<b", b.take(1))[0]
    else:
        check(e <= 15, "digits")
        divisor = float(10 ** e)
    first, exceptions, at = b.varint(), {}, 0
    if head & 128:
        for _ in range(b.uvarint()):
            at += b.uvarint()
            exceptions[at] = struct.unpack("<Q", b.take(8))[0]
    numbers = (coded_numbers if coded else packed_numbers)(b.take(b.left()), n)
    values = []
    for i, y in enumerate(numbers):
        value = float(signed(first + y)) / divisor
        if base:
            value += usable(base[i])
        values.append(exceptions.get(i, bits_of(value)))
    return values


def read_values(way, data, n, base=None):
    """The bits of each value."""
    if way == 0:
        value = double(int.from_bytes(Bytes(data).uvarint().to_bytes(8, "big"), "little"))
        return [bits_of(value + usable(b)) for b in base] if base else [bits_of(value)] * n
    if way in (1, 4):
        return read_scaled(data, n, way == 4, base)
    check(not base, "a difference kept in another way")
    if way == 2:
        b, window, v, values = Bits(data), [0, 0], 0, []
        for _ in range(n):
            v = xor_value(b, window, v)
            values.append(v)
        return values
    check(way == 3 and len(data) == 8 * n, "values")
    return list(struct.unpack(f"<{n}Q", data))


# ---- the block

class Chunk:
    encoding = n = size = bundle = offset = min_time = max_time = 0
    column = first = None
    missed = ()


class Block:
    def __init__(self, path):
        with open(os.path.join(path, "block.mdb"), "rb") as f:
            self.file = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
        self.check_seal()
        lmdb = Lmdb(self.file)
        self.tables = {}
        for name, root in lmdb.items(lmdb.main):
            self.tables[name.decode()] = {bytes(k): self.payload(k, v) for k, v in lmdb.items(root)}
        self.read_meta()
        self.symbols = self.read_symbols()
        self.bundles = self.pages("chunks")
        self.columns = [c for page in self.pages("times") for c in self.columns_of(page)]

    def check_seal(self):
        seal = self.file[-32:]
        magic, version, pages, tree, list_crc, crc = struct.unpack("<8sIIQII", seal)
        check(magic == b"NTXBLOCK" and version == 1, "no seal")
        check(crc == crc32c(seal[:28]) and len(self.file) == tree + 8 * pages + 32, "seal")
        entries = self.file[tree:tree + 8 * pages]
        check(list_crc == crc32c(entries), "list of tree pages")
        for number, page_crc in struct.iter_unpack("<II", entries):
            check(crc32c(self.file[number * PAGE:(number + 1) * PAGE]) == page_crc, f"page {number}")

    @staticmethod
    def payload(key, value):
        check(struct.unpack_from("<I", value)[0] == crc32c(key, value[4:]), f"checksum of {key!r}")
        return value[4:]

    def pages(self, table):
        values = self.tables.get(table, {})
        return [values[struct.pack(">I", i)] for i in range(len(values))]

    def read_meta(self):
        meta = self.tables["meta"]
        for key in meta:
            check(not key.startswith(b"!") or key in (b"!block", b"!encodings", b"!records"), f"needs {key!r}")
        m = meta[b"!block"]
        self.id = m[:26].decode()
        (self.min_time, self.max_time, self.level, self.samples, self.n_series, self.n_chunks, self.n_symbols,
         self.n_pairs) = struct.unpack_from("<qqIQQQQQ", m, 26)
        self.form = meta[b"!records"][0] if b"!records" in meta else 1

    def read_symbols(self):
        symbols = []
        for page in self.pages("symbols"):
            n = min(1024, self.n_symbols - len(symbols))
            ends = struct.unpack_from(f"<{n}I", page)
            symbols += [page[4 * n + a:4 * n + b].decode() for a, b in zip((0,) + ends, ends)]
        return symbols

    def columns_of(self, page):
        n = struct.unpack_from("<I", page)[0]
        ends = struct.unpack_from(f"<{n}I", page, 4)
        for a, end in zip((0,) + ends, ends):
            b = Bytes(page[4 + 4 * n + a:4 + 4 * n + end])
            way, count, min_time = b.byte(), b.uvarint(), self.min_time + b.uvarint()
            max_time = min_time + b.uvarint()
            yield read_times(way, b.take(b.left()), count, min_time, max_time)

    def series(self):
        """Labels and chunks of each, in order."""
        seen = 0
        for page in self.pages("series"):
            n = min(256, self.n_series - seen)
            b = Bytes(page, 4 * ((n + 15) // 16))
            for i in range(n):
                record = Bytes(b.take(b.uvarint()))
                if i % 16 == 0:
                    first = None
                labels = self.labels(record, first)
                first = first or labels
                yield [(self.symbols[a], self.symbols[v]) for a, v in labels], list(self.chunks(record))
                check(record.left() == 0, "a record is longer than it should be")
            seen += n

    def labels(self, b, first):
        head = b.uvarint()
        if self.form == 1:
            return [(b.uvarint(), b.uvarint()) for _ in range(head)]
        if not head & 1:
            return [(b.uvarint(), b.uvarint()) for _ in range(head >> 1)]
        changed = b.uvarint()
        return [(name, b.uvarint() if changed >> i & 1 else value) for i, (name, value) in enumerate(first)]

    def chunks(self, b):
        count = b.uvarint()
        bundle, offset, before = (b.uvarint(), b.uvarint(), self.min_time) if count else (0, 0, 0)
        for _ in range(count):
            c = Chunk()
            head = b.byte()
            c.encoding = head & 63
            partial = True
            if head & 64:
                column = b.uvarint()
                c.column, partial = column >> 1, column & 1
            if partial:
                c.min_time = before + b.uvarint()
                c.max_time = c.min_time + b.uvarint()
                c.n = b.uvarint()
                if head & 64:
                    self.read_part(b, c)
            else:
                times = self.columns[c.column]
                c.min_time, c.max_time, c.n = times[0], times[-1], len(times)
            c.size = b.uvarint()
            if head & 128:
                bundle, offset = bundle + 1, 0
            c.bundle, c.offset = bundle, offset
            offset += c.size
            before = c.max_time
            yield c

    @staticmethod
    def read_part(b, c):
        c.first, at, missed = b.uvarint(), 0, []
        for _ in range(b.uvarint()):
            at += b.uvarint()
            missed.append(at)
        c.missed = set(missed)

    def bytes_of(self, bundle, offset, size):
        check(self.bundles[bundle][0] == 0, "a bundle kept in a way that is not known")
        return self.bundles[bundle][1 + offset:1 + offset + size]

    def times_of(self, c):
        times = self.columns[c.column]
        if c.first is not None:
            part = times[c.first:c.first + c.n + len(c.missed)]
            times = [t for i, t in enumerate(part) if i not in c.missed]
        check(len(times) == c.n and times[0] == c.min_time and times[-1] == c.max_time, "times of a chunk")
        return times

    def linked_values(self, bundle, offset, size, n):
        b = Bytes(self.bytes_of(bundle, offset, size))
        head = b.byte()
        base = None
        if head & 16 or head & 15 == 15:
            other = b.uvarint(), b.uvarint()
            check(other < (bundle, offset), "a link forwards")
            base = self.linked_values(*other, b.uvarint(), n)
        return base if head & 15 == 15 else read_values(head & 15, b.take(b.left()), n, base)

    def read(self, c):
        """Times and bits of values; None for what is not floats."""
        data = self.bytes_of(c.bundle, c.offset, c.size)
        if c.encoding == 1:
            return read_xor(data, c.n, c.min_time)
        if c.encoding == 2:
            b = Bytes(data)
            head = b.byte()
            times = b.take(b.uvarint()) if head & 15 == 1 else b""
            return read_times(head & 15, times, c.n, c.min_time, c.max_time), read_values(head >> 4, b.take(b.left()), c.n)
        if c.encoding == 5:
            return self.times_of(c), self.linked_values(c.bundle, c.offset, c.size, c.n)
        return None


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    block = Block(sys.argv[1])
    samples = 0
    for labels, chunks in block.series():
        print("{" + ",".join(f'{name}="{value}"' for name, value in labels) + "}")
        for c in chunks:
            samples += c.n
            read = block.read(c)
            if read is None:
                print(f"# {c.n} histograms")
                continue
            for t, bits in zip(*read):
                print(t, f"{bits:016x}", repr(double(bits)))
    check(samples == block.samples, "not as many samples as the block states")


if __name__ == "__main__":
    try:
        main()
    except Damaged as e:
        sys.exit(f"damaged: {e}")
