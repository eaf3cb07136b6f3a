#!/usr/bin/env python3
"""A block's file that is cut off under a running server: it serves on, and says what is missing."""

import glob
import os
import random
import shutil
import time

from harness import Narthex, request, run
from remote_write import HEADERS, write_request


def make_block(folder, running):
    """A database whose only content is a block: a snapshot of a head."""
    n = Narthex(folder, "global: {}\n", ["--web.enable-remote-write-receiver", "--web.enable-admin-api"])
    running.append(n)
    rng = random.Random(1)
    end = int(time.time() * 1000) // 60000 * 60000
    for host in range(40):
        series = [({"__name__": "m", "host": f"h{host}"},
                   [(end - 3_000_000 + i * 5000, rng.random() * 1e6) for i in range(600)])]
        a = request(n.url + "/api/v1/write", write_request(series), headers=HEADERS)
        assert a.status == 204, (a.status, a.body)
    a = request(n.url + "/api/v1/admin/tsdb/snapshot", b"", method="POST")
    assert a.status == 200, (a.status, a.body)
    name = a.json()["data"]["name"]
    n.stop()
    running.remove(n)
    again = os.path.join(folder, "again")
    os.makedirs(again)
    shutil.copytree(os.path.join(folder, "data", "snapshots", name), os.path.join(again, "data"))
    n = Narthex(again, "global: {}\n")
    running.append(n)
    return n, end / 1000


def block_file(n):
    files = glob.glob(os.path.join(n.folder, "data", "*", "block.mdb"))
    assert len(files) == 1, files
    return files[0]


def ask(n, end):
    a = n.get("/api/v1/query", query="count(count_over_time(m[1h]))", time=end)
    body = a.json()
    told = a.status != 200 or "damaged" in str(body.get("warnings"))
    return body, told


def cut_off_file_does_not_end_the_server(folder, running):
    n, end = make_block(folder, running)
    body, told = ask(n, end)
    assert not told and body["data"]["result"][0]["value"][1] == "40", body
    os.truncate(block_file(n), 50_000)
    body, told = ask(n, end)
    assert told, body
    body, told = ask(n, end)
    assert told and n.alive(), body
    assert n.get("/api/v1/labels").status == 200
    assert n.get("/api/v1/label/host/values").status == 200
    assert n.get("/-/ready").status == 200
    assert "damaged" in n.log()


run(cut_off_file_does_not_end_the_server)
