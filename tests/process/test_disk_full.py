#!/usr/bin/env python3
"""A full disk: samples are refused with one clear line, everything else goes on, and storing resumes with room.

As root the data folder is a small tmpfs, full for real. Without, the limit of file sizes (prlimit) stands in: the
server's writes fail in the same way, with EFBIG.
"""

import glob
import os
import resource
import signal
import subprocess
import time
import urllib.error

from harness import Exporter, Narthex, request, run, scrape_config, wait_for
from remote_write import HEADERS, write_request


class SmallDisk:
    """A data folder whose disk can be made full and empty again."""

    def __init__(self, folder):
        self.data = os.path.join(folder, "data")
        self.filler = os.path.join(self.data, "filler")
        self.mounted = False
        os.makedirs(self.data)
        if os.geteuid() == 0:
            r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", self.data], capture_output=True)
            self.mounted = r.returncode == 0
        print("# a tmpfs of 12 MiB" if self.mounted else "# a limit of file sizes", flush=True)

    def fill(self, server):
        if not self.mounted:
            largest = max(map(os.path.getsize, glob.glob(os.path.join(self.data, "**/*"), recursive=True)))
            resource.prlimit(server.child.pid, resource.RLIMIT_FSIZE, (min(largest, 4096), resource.RLIM_INFINITY))
            return
        with open(self.filler, "wb", buffering=0) as f:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        f.write(b"x" * size)
                except OSError:
                    pass

    def make_room(self, server):
        if self.mounted:
            os.unlink(self.filler)
        else:
            resource.prlimit(server.child.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)

    def stop(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.data], check=True)
            self.mounted = False


class Writer:
    """Remote-writes one sample after the other and remembers which were acknowledged."""

    def __init__(self):
        self.acknowledged, self.refused, self.last = [], 0, None
        self.at = int(time.time() * 1000) - 300_000

    def write(self, n):
        sample = (self.at, float(len(self.acknowledged)))
        self.at += 100
        self.last = request(n.url + "/api/v1/write", write_request([({"__name__": "written"}, [sample])]),
                            headers=HEADERS)
        if self.last.status == 204:
            self.acknowledged.append(sample)
        else:
            self.refused += 1
        return self.last.status == 204

    def missing(self, n):
        series = n.query("written[15m]")
        got = {(round(t * 1000), float(v)) for t, v in series[0]["values"]} if series else set()
        return [s for s in self.acknowledged if s not in got]


def goes_on(n, exporter):
    """Scraped, healthy, and answering."""
    before = len(exporter.requests)
    wait_for("scrapes", lambda: len(exporter.requests) > before + 5)
    assert n.get("/-/healthy").status == 200
    assert n.get("/-/ready").status == 200
    assert n.query("1 + 1")[1] == "2"
    assert n.query("count_over_time(a[10m])"), "what was stored before is still there"


def a_full_disk_refuses_samples_until_there_is_room(folder, running):
    exporter = Exporter(lambda: f"a {len(exporter.requests)}\n")
    running.append(exporter)
    disk = SmallDisk(folder)
    running.append(disk)
    writer = Writer()
    n = Narthex(folder, scrape_config(exporter.target, interval="100ms"), ["--web.enable-remote-write-receiver"])
    running.append(n)
    wait_for("samples", lambda: n.value("a") is not None)
    assert all(writer.write(n) for _ in range(20)), writer.last.body

    disk.fill(n)
    # What was allocated ahead may still take some.
    wait_for("a refused write", lambda: not writer.write(n))
    assert writer.last.status >= 500, "the sender has to try again: " + str(writer.last.status)
    goes_on(n, exporter)
    for _ in range(20):
        writer.write(n)
    assert writer.refused > 10, writer.refused
    refusals = [line for line in n.log().splitlines() if "samples are refused" in line]
    assert len(refusals) == 1 and "level=ERROR" in refusals[0], refusals
    assert ("disk is full" in refusals[0] or not disk.mounted), refusals
    flood = [line for line in n.log().splitlines() if "level=ERROR" in line or "level=WARN" in line]
    assert len(flood) < 20, (len(flood), flood[:25])
    assert writer.missing(n) == []

    disk.make_room(n)
    wait_for("storing again", lambda: writer.write(n))
    seen = n.value("a") or 0
    wait_for("fresh samples", lambda: (n.value("a") or 0) > seen)
    assert all(writer.write(n) for _ in range(20)), writer.last.body
    wait_for("word of it", lambda: "writing works again" in n.log())

    n.child.send_signal(signal.SIGKILL)
    n.child.wait()
    again = Narthex(folder, "global: {}\n")
    running.append(again)
    assert writer.missing(again) == [], writer.missing(again)[:5]
    assert len(again.query("a[10m]")[0]["values"]) > 5
    again.stop()


def a_full_disk_at_the_start_is_named(folder, running):
    disk = SmallDisk(folder)
    running.append(disk)
    n = Narthex(folder, "global: {}\n", ["--web.enable-remote-write-receiver"])
    running.append(n)
    writer = Writer()
    assert writer.write(n), writer.last.body
    n.stop()
    if not disk.mounted:
        return  # the limit belongs to a process
    disk.fill(None)
    n = Narthex(folder, "global: {}\n", wait=False)
    running.append(n)

    def ready_or_ended():
        try:
            return not n.alive() or request(n.url + "/-/ready").status == 200
        except urllib.error.URLError:
            return False
    wait_for("readiness or the end", ready_or_ended)
    assert "No space left" in n.log() or "disk is full" in n.log() or n.alive(), n.log()
    if n.alive():
        assert writer.missing(n) == []
    else:
        running.remove(n)
    disk.make_room(None)


run(a_full_disk_refuses_samples_until_there_is_room, a_full_disk_at_the_start_is_named)
