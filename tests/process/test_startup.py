#!/usr/bin/env python3
"""While the journal is read: what blocks hold is answered, what is not there yet is told."""

import os
import shutil
import threading
import time

from harness import Exporter, Narthex, request, run, scrape_config, wait_for

EMPTY = "global: {}\n"


def blocks_answer_before_the_journal_is_read(folder, running):
    exporter = Exporter("a 1\n")
    running.append(exporter)
    n = Narthex(folder, scrape_config(exporter.target), ["--web.enable-admin-api"])
    running.append(n)
    wait_for("samples", lambda: (n.value("count_over_time(a[1m])") or 0) >= 5)
    at = time.time()
    time.sleep(2)
    name = request(n.url + "/api/v1/admin/tsdb/snapshot", method="POST").json()["data"]["name"]
    assert n.stop() == 0
    # A copy of blocks only; its head cannot be read before somebody opens the pipe's other end.
    other = os.path.join(folder, "other")
    os.mkdir(other)
    shutil.copytree(os.path.join(folder, "data", "snapshots", name), os.path.join(other, "data"))
    os.mkdir(os.path.join(other, "data", "head_chunks"))
    pipe = os.path.join(other, "data", "head_chunks", "00000001")
    os.mkfifo(pipe)
    again = Narthex(other, EMPTY, wait=False)
    running.append(again)
    wait_for("blocks", lambda: again.get("/api/v1/query?query=a&time=%f" % at).status == 200)
    answer = again.get("/api/v1/query?query=a&time=%f" % at).json()
    assert len(answer["data"]["result"]) == 1 and not answer.get("warnings"), answer
    answer = again.get("/api/v1/query_range?query=a&start=%f&end=%f&step=1" % (at - 60, at + 600)).json()
    assert answer["data"]["result"] and "journal" in answer["warnings"][0], answer
    answer = again.get("/api/v1/labels").json()
    assert "__name__" in answer["data"] and answer["warnings"], answer
    answer = again.get("/api/v1/query?query=a&time=%f" % (at + 100000))
    assert answer.status == 503 and answer.json()["errorType"] == "unavailable", answer.body
    assert again.get("/-/ready").status == 503
    assert again.get("/-/healthy").status == 200
    assert again.get("/api/v1/targets").status == 503
    assert again.get("/api/v1/status/summary").json()["data"]["ready"] is False
    threading.Thread(target=lambda: open(pipe, "w").close(), daemon=True).start()
    wait_for("the end of replay", lambda: again.get("/-/ready").status == 200)
    answer = again.get("/api/v1/query_range?query=a&start=%f&end=%f&step=1" % (at - 60, at + 600)).json()
    assert answer["data"]["result"] and not answer.get("warnings"), answer


if __name__ == "__main__":
    run(blocks_answer_before_the_journal_is_read)
