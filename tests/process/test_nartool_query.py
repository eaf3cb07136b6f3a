#!/usr/bin/env python3
"""nartool's queries: every format, what a script can ask for, contexts, help made from the table of commands."""

import base64
import csv
import http.server
import io
import json
import os
import subprocess
import threading

from harness import BUILD, Exporter, Narthex, peer, run, scrape_config, wait_for

TOOL = os.path.join(BUILD, "tools/nartool")
PAGE = """# TYPE requests_total counter
requests_total{code="200"} 10
requests_total{code="500"} 5
"""


def tool(*args, stdin=None, **env):
    plain = {k: v for k, v in os.environ.items() if k not in ("NARTOOL_URL", "NO_COLOR", "COLUMNS", "LINES")}
    r = subprocess.run([TOOL, *args], capture_output=True, input=stdin, text=True, timeout=120,
                       env={**plain, "LC_ALL": "C.UTF-8", **env})
    return r.returncode, r.stdout, r.stderr


def server(folder, running):
    exporter = Exporter(PAGE)
    running.append(exporter)
    n = Narthex(folder, scrape_config(exporter.target))
    running.append(n)
    wait_for("samples", lambda: len(n.query("requests_total")) == 2)
    return n


def formats(folder, running):
    n = server(folder, running)
    expr = 'sum by (code) (requests_total)'
    code, out, err = tool("query", "instant", "-o", "csv", n.url, "label_replace(%s, 'x', 'a\"b,c', '', '')" % expr)
    rows = list(csv.reader(io.StringIO(out)))
    assert code == 0 and rows[0] == ["code", "x", "value"] and rows[1][1] == 'a"b,c', (out, err)
    code, out, err = tool("query", "instant", "-o", "ndjson", n.url, expr)
    assert {json.loads(line)["value"][1] for line in out.splitlines()} == {"10", "5"}, out
    code, out, err = tool("query", "instant", "--format=promql", "--time=now", n.url, expr)
    assert out.splitlines()[0].startswith('{code="200"} => 10 @['), out
    code, out, err = tool("query", "instant", "-opromql", n.url, "1")
    assert out.startswith("scalar: 1 @["), out
    code, out, err = tool("query", "instant", "-o", "openmetrics", n.url, 'requests_total or vector(1)')
    lines = out.splitlines()
    assert lines[0] == "# TYPE requests_total unknown" and "# TYPE result unknown" in lines, out
    assert lines[-1] == "# EOF" and lines[1].startswith('requests_total{code="200",instance="'), out
    code, out, err = tool("query", "instant", "-o", "plot", n.url, expr, COLUMNS="80")
    assert code == 0 and "10 " + "█" * 40 + "\n" in out and "5 " + "█" * 20 + "\n" in out, out
    assert tool("query", "labels", "-o", "json", n.url, "code")[1] == '["200","500"]\n'
    code, out, err = tool("query", "series", "-o", "promql", "--match=requests_total", n.url)
    assert out.startswith('{__name__="requests_total", code="200", instance="'), out


def plots(folder, running):
    n = server(folder, running)
    ramp = ["query", "range", "--start=1000", "--end=1100", "--step=1", "-o"]
    code, out, err = tool(*ramp, "plot", n.url, "vector(time())", COLUMNS="60", LINES="24")
    lines = out.splitlines()
    assert code == 0 and lines[0].startswith("    1.1k ┤") and lines[11].startswith("      1k ┤⣀⠤"), out
    assert lines[12].strip().startswith("00:16:40") and lines[12].endswith("00:18:20 UTC"), out
    assert lines[13].split()[-1] == "1.1k", out
    code, out, err = tool(*ramp, "plot", n.url, "vector(time())", COLUMNS="60", LINES="24", LC_ALL="C")
    assert out.isascii() and "**" in out, out
    code, out, err = tool(*ramp, "plot", "--color=always", n.url, "vector(time())")
    assert "\033[38;5;" in out, out
    code, out, err = tool(*ramp, "spark", n.url, "vector(time())")
    assert "▁▁▁▁▁▂▂▂▂▂▃▃▃▃▃▄▄▄▄▄▅▅▅▅▅▆▆▆▆▆▇▇▇▇▇█████" in out, out
    assert tool(*ramp, "plot", n.url, "nothing")[2] == "no series match\nthere is no metric nothing\n"


def what_scripts_ask_for(folder, running):
    n = server(folder, running)
    assert tool("query", "instant", "--fail-empty", n.url, "nothing")[0] == 4
    assert tool("query", "instant", "--fail-empty", n.url, "requests_total")[0] == 0
    code, out, err = tool("query", "instant", "--fail-if=requests_total > 7", n.url, "1")
    assert (code, out, err) == (5, "1\n", "--fail-if: requests_total > 7 holds\n")
    assert tool("query", "instant", "--fail-if=requests_total > 70", n.url, "1")[0] == 0
    assert tool("query", "series", "--fail-empty", "--match=nothing", n.url)[0] == 4
    code, out, err = tool("query", "instant", "--diff=1h", "--time=10000", n.url, "vector(time())")
    assert (code, out) == (0, "value\tbefore\tdifference\n10000\t6400\t+3600\n"), (out, err)
    assert tool("query", "instant", "--diff=1h", "-o", "json", n.url, "1")[0] == 2
    child = subprocess.Popen([TOOL, "query", "instant", "--watch=100ms", n.url, "time()"], stdout=subprocess.PIPE)
    values = [float(child.stdout.readline()) for _ in range(3)]
    child.send_signal(2)
    assert child.wait(30) == 0 and values[0] < values[1] < values[2], values


def mistakes_are_pointed_at(folder, running):
    n = server(folder, running)
    code, out, err = tool("query", "instant", n.url, "sum(rat(requests_total[5m]))")
    assert code == 1 and err.splitlines()[1:] == ["  sum(rat(requests_total[5m]))", "      ^", "did you mean rate?"], err
    code, out, err = tool("query", "instant", n.url, "up +\n  ö + sum(")
    assert err.splitlines()[1][2:] in ("  ö + sum(", "up +") and err.splitlines()[2].endswith("^"), err
    code, out, err = tool("query", "instant", "-o", "table", n.url, "sum by (code) (request_total{a='b'})")
    assert code == 0 and err.endswith("there is no metric request_total; did you mean requests_total?\n"), err
    code, out, err = tool("query", "instant", "--fromat=json", n.url, "1")
    assert code == 2 and "did you mean --format?" in err, err


class Guarded(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.seen.append(dict(self.headers))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b'{"status":"success","data":{"resultType":"scalar","result":[1,"42"]}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Recorder:
    def __init__(self):
        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Guarded)
        self.httpd.seen = self.seen = []
        self.url = "http://127.0.0.1:%d" % self.httpd.server_address[1]
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()

    def stop(self):
        self.httpd.shutdown()
        self.httpd.server_close()


def contexts_name_servers_and_their_credentials(folder, running):
    lab, other = Recorder(), Recorder()
    running += [lab, other]
    os.makedirs(os.path.join(folder, "nartool"))

    def write(name, text):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    password, token = write("password", "geheim"), write("token", "abc")
    write("nartool/config.yml", f"""current: lab
contexts:
  - name: lab
    url: {lab.url}
    user: me
    password_file: {password}
  - {{name: other, url: "{other.url}", token_file: {token}, http_headers: {{X-Scope: {{values: [a]}}}}}}
""")
    env = {"XDG_CONFIG_HOME": folder}
    assert tool("query", "instant", "up", **env) == (0, "42\n", "")
    basic = "Basic " + base64.b64encode(b"me:geheim").decode()
    assert lab.seen[-1]["Authorization"] == basic, lab.seen
    assert tool("query", "instant", "--context=other", "up", **env)[0] == 0
    assert other.seen[-1]["Authorization"] == "Bearer abc" and other.seen[-1]["X-Scope"] == "a", other.seen
    assert tool("query", "instant", other.url, "up", **env)[0] == 0
    assert "Authorization" not in other.seen[-1], "credentials of a context go to its own server only"
    assert tool("query", "instant", "up", NARTOOL_URL=other.url, **env)[0] == 0 and len(other.seen) == 3
    assert "Authorization" not in other.seen[-1]
    code, out, err = tool("query", "instant", "--context=lap", "up", **env)
    assert code == 1 and "did you mean lab?" in err, err
    options = write("http.yml", "basic_auth: {username: a, password: b}\n")
    assert tool("query", "instant", "--http.config.file", options, "--header=X-A=1", "--header", "X-B: 2", lab.url, "1")[0] == 0
    assert lab.seen[-1]["Authorization"].startswith("Basic YTpi") and lab.seen[-1]["X-A"] == "1", lab.seen[-1]
    assert lab.seen[-1]["X-B"] == "2"
    code, out, err = tool("query", "instant", "--http.config.file", write("bad.yml", "basic_aut: {}\n"), lab.url, "1")
    assert code == 1 and "bad.yml:1:1" in err, err
    code, out, err = tool("query", "instant", "up", XDG_CONFIG_HOME=folder + "/none")
    assert code == 2 and "too few arguments: EXPR is missing" in err, err


def help_and_shells(folder, running):
    assert "query instant [FLAGS] SERVER EXPR" in tool("--help")[1]
    assert "--fail-empty" in tool("help", "query", "instant")[1]
    assert "query range" in tool("query", "--help")[1] and "check config" not in tool("query", "--help")[1]
    manual = tool("man")[1]
    assert manual.startswith(".TH NARTOOL 1") and "\\-\\-fail\\-empty" in manual
    for shell in ("bash", "zsh", "fish"):
        assert "fail-empty" in tool("completion", shell)[1], shell
    assert tool("completion", "tcsh")[0] == 2
    script = tool("completion", "bash")[1] + """
compopt() { :; }
COMP_WORDS=(nartool query instant --form); COMP_CWORD=3; _nartool; echo "${COMPREPLY[@]}"
COMP_WORDS=(nartool query i); COMP_CWORD=2; _nartool; echo "${COMPREPLY[@]}"
COMP_WORDS=(nartool query instant --format = o); COMP_CWORD=5; _nartool; echo "${COMPREPLY[@]}"
"""
    out = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert out.stdout == "--format=\ninstant\nopenmetrics\n" and not out.stderr, out


def called_as_promtool(folder, running):
    n = server(folder, running)
    link = os.path.join(folder, "promtool")
    os.symlink(os.path.abspath(TOOL), link)
    real = peer("promtool")
    cases = [
        (),
        ("nope",),
        ("check", "config"),
        ("check", "config", "--nope", "x"),
        ("check", "rules", "--lint-fatal", "--no-lint-fatal", "/nonexistent"),
        ("query", "instant", "http://x"),
        ("query", "instant", "http://x", "up", "down"),
        ("query", "instant", "http://x", "-1"),
        ("query", "instant", "--time=1", n.url, "vector(1)"),
        ("query", "instant", "--time", "1.5", n.url, "1"),
        ("query", "-o", "json", "instant", "--time=1", n.url, "vector(1)"),
        ("query", "range", "--start=1", "--end=3", "--step=1s", n.url, "vector(time())"),
        ("query", "series", "--match=requests_total", n.url),
        ("query", "labels", n.url, "code"),
        ("check", "healthy", "--url=" + n.url),
    ]
    for args in cases:
        mine = subprocess.run([link, *args], capture_output=True, text=True, timeout=60)
        assert tool("promtool", *args)[0] == mine.returncode, args
        if real:
            theirs = subprocess.run([real, *args], capture_output=True, text=True, timeout=60)
            if 'expected command but got "healthy"' in theirs.stderr:
                continue  # older than the command
            assert mine.returncode == theirs.returncode or not args, (args, mine, theirs)
            if args[:1] == ("query",):
                assert mine.stdout == theirs.stdout, (args, mine.stdout, theirs.stdout)
            if args[:2] == ("check", "config"):
                assert mine.stderr.split("'")[0] == theirs.stderr.split("'")[0], (mine.stderr, theirs.stderr)


run(formats, plots, what_scripts_ask_for, mistakes_are_pointed_at, contexts_name_servers_and_their_credentials,
    help_and_shells, called_as_promtool)
