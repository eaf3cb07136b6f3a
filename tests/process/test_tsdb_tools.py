#!/usr/bin/env python3
"""nartool tsdb: folders are listed, verified, dumped, filled and exchanged with a real Prometheus."""

import json
import os
import subprocess
import urllib.parse

from harness import BUILD, Narthex, Process, free_port, peer, request, run, wait_for

TOOL = os.path.join(BUILD, "tools/nartool")
T0 = 1700000000
PAGE = f"""# TYPE requests counter
requests_total{{job="web",path="/"}} 5 {T0}
requests_total{{job="web",path="/"}} 7.5 {T0 + 15}
requests_total{{job="web",path="/"}} 2 {T0 + 30}
requests_total{{job="api",path="/a b"}} NaN {T0 + 15.5}
# TYPE level gauge
level 1e300 {T0}
level -0 {T0 - 86400 * 40}
level 5e-324 {T0 + 7200}
# EOF
"""


def tool(*args, program=TOOL):
    r = subprocess.run([program, "tsdb", *args], capture_output=True, text=True, timeout=120)
    return r.returncode, r.stdout, r.stderr


def good(*args, program=TOOL):
    code, out, err = tool(*args, program=program)
    assert code == 0, (args, code, out, err)
    return out


def page(folder, text=PAGE):
    path = f"{folder}/page.txt"
    with open(path, "w") as f:
        f.write(text)
    return path


def openmetrics_becomes_blocks(folder, running):
    db = f"{folder}/db"
    made = good("import", "openmetrics", "--label=origin=test", page(folder), db).splitlines()
    assert len(made) == 2, made  # forty days apart, thin: two long blocks
    assert len(good("list", db).splitlines()) == 3
    assert good("verify", db).endswith("2 blocks, 0 damaged\n")
    lines = good("dump", db).splitlines()
    assert lines[0] == '{__name__="level", origin="test"} -0 ' + str((T0 - 86400 * 40) * 1000), lines
    assert len(lines) == 7 and any("NaN" in line for line in lines), lines
    assert len(good("dump", "--match={job=\"api\"}", "--match=level", db).splitlines()) == 4
    assert len(good("dump", f"--min-time={T0 * 1000}", f"--max-time={T0 * 1000 + 15000}", db).splitlines()) == 3
    series = [json.loads(line) for line in good("dump", "--format=seriesjson", db).splitlines()]
    assert {"__name__": "level", "origin": "test"} in series and len(series) == 3, series
    again = good("dump-openmetrics", db)
    assert again.endswith("# EOF\n") and f"level{{origin=\"test\"}} 5e-324 {T0 + 7200}.000\n" in again, again
    other = f"{folder}/other"  # what was dumped is taken in again, and is the same
    good("import", "openmetrics", "-q", page(folder, again), other)
    assert good("dump", other) == good("dump", db)
    analysis = good("analyze", db)
    assert "Total Series: 3" in analysis and "\n3 origin=test\n" in analysis, analysis


def a_server_serves_them(folder, running):
    db = f"{folder}/data"
    good("create-blocks-from", "openmetrics", page(folder), db)
    n = Narthex(folder, "global: {}\n", ["--storage.tsdb.retention.time=100y"])
    running.append(n)
    assert n.query('requests_total{job="web"}', at=T0 + 45)[0]["value"][1] == "2"
    assert n.query("level", at=T0 + 7200)[0]["value"][1] == "5e-324"
    code, _, err = tool("dump", db)
    assert code == 1 and "held by another process" in err and "snapshot" in err, err
    assert len(good("list", db).splitlines()) >= 3  # looking is allowed
    assert "0 damaged" in good("verify", db)


def mistakes_are_told(folder, running):
    def refused(text, *parts):
        code, out, err = tool("import", "openmetrics", page(folder, text), f"{folder}/db")
        assert code == 1 and all(p in err for p in parts), (code, out, err)
    refused("a 1\n# EOF\n", "page.txt", '"a"', "no time")
    refused("a 1 5\nb{ 2 3\n# EOF\n", "page.txt:2:")
    refused("# EOF\n", "no sample")
    refused('a{x="1",x="2"} 1 5\n# EOF\n', "twice")
    assert tool("dump", folder)[0] == 1 and "not a database" in tool("dump", folder)[2]
    assert tool("list", f"{folder}/nowhere")[0] == 1
    assert tool("import", "prometheus", folder, f"{folder}/db")[0] == 1
    code, _, err = tool("dump", "--match=a{", f"{folder}/db")
    assert code == 2 and "parse error" in err, (code, err)
    assert tool("export", f"{folder}/db")[0] == 2
    good("import", "openmetrics", page(folder), f"{folder}/db")
    block = [name for name in os.listdir(f"{folder}/db") if len(name) == 26][0]
    path = [f"{folder}/db/{block}/{f}" for f in os.listdir(f"{folder}/db/{block}")][0]
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        f.seek(size // 2)
        byte = f.read(1)
        f.seek(size // 2)
        f.write(bytes([byte[0] ^ 1]))
    code, out, err = tool("verify", f"{folder}/db")
    assert code == 1 and block in out + err, (code, out, err)


def ask(url, path, **form):
    return request(f"{url}/api/v1/{path}?" + urllib.parse.urlencode(form)).json()["data"]


def prometheus_and_back(folder, running):
    prometheus, promtool = peer("prometheus"), peer("promtool")
    assert prometheus and promtool, "prometheus is not there: tools/fetch-peers brings it"
    good("import", "openmetrics", page(folder), f"{folder}/db")
    ours = good("dump", f"{folder}/db")
    good("export", f"{folder}/db", f"{folder}/theirs")
    listed = good("list", f"{folder}/theirs", program=promtool)
    assert len(listed.splitlines()) == 4, listed  # blocks of two hours
    assert good("dump", f"{folder}/theirs", program=promtool).replace("NaN", "nan") == ours.replace("NaN", "nan")
    assert "Block ID:" in good("analyze", f"{folder}/theirs", program=promtool)
    with open(f"{folder}/p.yml", "w") as f:
        f.write("global: {}\n")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = Process([prometheus, f"--config.file={folder}/p.yml", f"--storage.tsdb.path={folder}/theirs",
                      f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=100y",
                      "--web.enable-admin-api"], f"{folder}/prometheus.log")
    running.append(server)
    wait_for("prometheus", lambda: request(f"{url}/-/ready").status == 200, 60)
    good("import", "openmetrics", "-q", page(folder), f"{folder}/ours/data")
    n = Narthex(f"{folder}/ours", "global: {}\n", ["--storage.tsdb.retention.time=100y"])
    running.append(n)
    for expr, at in (("rate(requests_total[1m])", T0 + 45), ("level", T0 + 7200), ('{job="web"}[1h]', T0 + 60)):
        theirs = ask(url, "query", query=expr, time=at)["result"]
        assert theirs and theirs == n.query(expr, at=at), (expr, theirs, n.query(expr, at=at))
    # What Prometheus deletes stays deleted when its blocks come back to us.
    form = urllib.parse.urlencode({"match[]": 'requests_total{job="web"}', "start": T0 + 10, "end": T0 + 20})
    assert request(f"{url}/api/v1/admin/tsdb/delete_series?{form}", method="POST").status == 204
    server.stop()
    good("import", "prometheus", f"{folder}/theirs", f"{folder}/back")
    want = [line for line in ours.splitlines() if f" {T0 * 1000 + 15000}" not in line]
    assert good("dump", f"{folder}/back").splitlines() == want
    assert "3 of 3 blocks were there already" in good("import", "prometheus", f"{folder}/theirs", f"{folder}/back")


def rules_over_the_past(folder, running):
    db = f"{folder}/data"
    good("create-blocks-from", "openmetrics", page(folder), db)
    n = Narthex(folder, "global: {}\n", ["--storage.tsdb.retention.time=100y"])
    running.append(n)
    rules = f"{folder}/rules.yml"
    with open(rules, "w") as f:
        f.write("groups: [{name: g, interval: 15s, rules: [{record: 'job:level', expr: 'level * 2', labels: {by: rule}}, "
                "{alert: A, expr: level}]}]\n")
    out = good("create-blocks-from", "rules", f"--url={n.url}", f"--start={T0 * 1000}", f"--end={(T0 + 60) * 1000}",
               f"--output-dir={folder}/made", rules)
    assert len(out.splitlines()) == 1, out
    lines = good("dump", f"{folder}/made").splitlines()
    assert lines == ['{__name__="job:level", by="rule"} 2e+300 %d' % ((T0 + k * 15) * 1000) for k in range(5)], lines
    code, _, err = tool("create-blocks-from", "rules", rules)
    assert code == 2 and "--start" in err


run(openmetrics_becomes_blocks, a_server_serves_them, mistakes_are_told, prometheus_and_back, rules_over_the_past)
