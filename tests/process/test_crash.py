#!/usr/bin/env python3
"""kill -9 while scraping and while receiving: what was acknowledged or seen is there after the restart.

The database's own crash test (tests/fault) does 200 rounds; here the whole server goes through a few.
"""

import random
import signal
import threading
import time
import urllib.error

from harness import Exporter, Narthex, request, run, scrape_config, wait_for
from remote_write import HEADERS, write_request


def acknowledged_writes_survive_kill_9(folder, running):
    rng = random.Random(7)
    acknowledged = []
    base = int(time.time() * 1000) - 600_000
    step = 0
    for round_number in range(8):
        n = Narthex(folder, "global: {}\n", ["--web.enable-remote-write-receiver"])
        running.append(n)
        if acknowledged:
            values = n.query("m[20m]")[0]["values"]
            got = {(round(t * 1000), float(v)) for t, v in values}
            missing = [s for s in acknowledged if s not in got]
            assert not missing, (round_number, len(missing), missing[:5])
        kill_at = time.monotonic() + rng.uniform(0.05, 0.4)
        killer = threading.Timer(kill_at - time.monotonic(), lambda: n.child.send_signal(signal.SIGKILL))
        killer.start()
        while True:
            sample = (base + step * 100, float(step))
            step += 1
            try:
                a = request(n.url + "/api/v1/write", write_request([({"__name__": "m"}, [sample])]), headers=HEADERS)
            except (urllib.error.URLError, OSError):
                break
            assert a.status == 204, (a.status, a.body)
            acknowledged.append(sample)
        n.child.wait()
        killer.join()
        running.remove(n)
    assert len(acknowledged) > 50, len(acknowledged)


def scraped_samples_survive_kill_9(folder, running):
    exporter = Exporter("a 1\nb 2\n")
    running.append(exporter)
    for _ in range(3):
        n = Narthex(folder, scrape_config(exporter.target, interval="100ms"))
        running.append(n)
        wait_for("samples", lambda: (n.value("count_over_time(a[30s])") or 0) >= 5)
        seen = n.query("a[5m]")[0]["values"]
        n.child.send_signal(signal.SIGKILL)
        n.child.wait()
        again = Narthex(folder, "global: {}\n")
        running.append(again)
        values = again.query("a[5m]")[0]["values"]
        assert [v for v in seen if v not in values] == [], (seen, values)
        again.stop()


run(acknowledged_writes_survive_kill_9, scraped_samples_survive_kill_9)
