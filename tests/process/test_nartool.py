#!/usr/bin/env python3
"""nartool as an operator and as a script use it: commands, formats, mistakes, exit codes."""

import json
import os
import pty
import subprocess

from harness import BUILD, Exporter, Narthex, free_port, run, scrape_config, wait_for

TOOL = os.path.join(BUILD, "tools/nartool")
PAGE = r'''# TYPE weird gauge
weird{a="quote\"back\\slash\nnl"} 1
weird{a="ünï"} NaN
# TYPE http.status counter
{"http.status","http.code"="200"} 7
'''.replace("# TYPE http.status", '# TYPE "http.status"')


def tool(*args, stdin=None):
    r = subprocess.run([TOOL, *args], capture_output=True, input=stdin, text=True, timeout=120)
    return r.returncode, r.stdout, r.stderr


def on_terminal(*args):
    """What it draws when standard output is a terminal."""
    master, slave = pty.openpty()
    env = dict(os.environ, NO_COLOR="1", LC_ALL="C.UTF-8")
    child = subprocess.Popen([TOOL, *args], stdout=slave, stderr=subprocess.PIPE, env=env)
    err = child.communicate(timeout=120)[1].decode()
    os.close(slave)
    out = b""
    try:
        while part := os.read(master, 65536):
            out += part
    except OSError:
        pass  # the other end is closed
    os.close(master)
    return child.returncode, out.decode().replace("\r\n", "\n"), err


def server(folder, running):
    exporter = Exporter(PAGE, "text/plain; version=1.0.0; escaping=allow-utf-8")
    running.append(exporter)
    n = Narthex(folder, scrape_config(exporter.target))
    running.append(n)
    wait_for("samples", lambda: len(n.query("weird")) == 2)
    return n


def queries_in_every_format(folder, running):
    n = server(folder, running)
    code, out, err = tool("query", "instant", n.url, "sort_desc(sum by (a) (weird))")
    assert (code, err) == (0, "") and out.splitlines()[0] == "a\tvalue", (code, out, err)
    assert 'quote"back\\slash\\nnl\t1' in out.splitlines(), out
    code, out, err = tool("query", "instant", "-o", "json", n.url, 'weird{a="ünï"}')
    assert code == 0 and json.loads(out)[0]["value"][1] == "NaN", out
    code, out, err = on_terminal("query", "instant", n.url, "weird")
    assert code == 0 and out.startswith('__name__="weird", instance="'), out
    assert out.splitlines()[1].split() == ["a", "value"], out
    assert tool("query", "instant", n.url, "1+1")[1] == "2\n"
    assert tool("query", "instant", n.url, "-1")[1] == "-1\n"
    code, out, err = tool("query", "range", "--start=-1s", "--step=0.5", n.url, "vector(7)")
    assert code == 0 and len(out.splitlines()) == 4 and out.endswith("\t7\n"), out
    code, out, err = tool("query", "series", "--match=weird", n.url)
    assert code == 0 and len(out.splitlines()) == 3, out
    assert tool("query", "labels", n.url, "http.code") == (0, "200\n", "")
    assert tool("query", "labels", n.url, "a label / that is not there") == (0, "", "")
    assert tool("check", "healthy", "--url=" + n.url)[0] == 0
    assert tool("check", "ready", "--url", n.url + "/")[0] == 0


def nothing_found_is_said_to_people_only(folder, running):
    n = server(folder, running)
    assert tool("query", "instant", n.url, "nothing") == (0, "", "")
    assert on_terminal("query", "instant", n.url, "nothing") == (
        0, "", "no series match\nthere is no metric nothing\n")


def what_goes_wrong_is_said_and_fails(folder, running):
    n = server(folder, running)
    code, out, err = tool("query", "instant", n.url, "sum(")
    assert (code, out) == (1, "") and "1:5: parse error: unclosed left parenthesis" in err, err
    code, out, err = tool("query", "instant", f"http://127.0.0.1:{free_port()}", "up")
    assert (code, out) == (1, "") and "connection refused" in err, err
    exporter = running[0]
    code, out, err = tool("query", "instant", f"http://{exporter.target}", "up")
    assert code == 1 and "the server answered with status" in err, err
    assert tool("check", "ready", f"--url=http://127.0.0.1:{free_port()}")[0] == 1


def wrong_usage_exits_with_2(folder, running):
    cases = [
        ((), "usage: nartool COMMAND"),
        (("nope",), 'there is no command "nope"'),
        (("query", "nope"), 'there is no command "query nope"'),
        (("query", "instant", "http://x"), "too few arguments"),
        (("query", "instant", "http://x", "up", "down"), "too many arguments"),
        (("query", "instant", "--foo", "http://x", "up"), '"--foo"'),
        (("query", "instant", "http://x", "up", "--time"), "'--time'"),
        (("query", "instant", "--time=soon", "http://x", "up"), "RFC3339"),
        (("query", "instant", "-o", "xml", "http://x", "up"), "expected one of table|plot"),
        (("query", "range", "--step=5x", "http://x", "up"), "--step"),
        (("query", "range", "--start=2", "--end=1", "http://x", "up"), "before"),
        (("query", "series", "http://x"), "--match is required"),
        (("check", "config"), "usage"),
        (("check", "config", "--lint=nope", "x"), "--lint"),
        (("check", "config", "--nope", "x"), '"--nope"'),
    ]
    for args, text in cases:
        code, out, err = tool(*args)
        assert (code, out) == (2, "") and text in err, (args, code, out, err)
    assert tool("--help")[0] == 0 and "query range" in tool("--help")[1]
    assert tool("query", "range", "--help")[1].startswith("usage: nartool query range ")
    assert tool("--version")[1].startswith("nartool, version ")


RULE = "groups: [{name: g, rules: [{record: a, expr: up}%s]}]\n"


def configurations_and_rules_are_checked(folder, running):
    def write(name, text):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    config = write("prometheus.yml", "rule_files: [rules.yml, 'more/*.yml']\nscrape_configs: [{job_name: x}]\n")
    code, out, err = tool("check", "config", config)
    assert code == 1 and 'rules.yml" does not point to an existing file' in err, (code, out, err)
    assert tool("check", "config", "--syntax-only", config)[0] == 0
    rules = write("rules.yml", RULE % "")
    code, out, err = tool("check", "config", config)
    assert (code, err) == (0, "") and "1 rule files found" in out and "1 rules found" in out, (out, err)
    write("rules.yml", RULE % ", {record: a, expr: up}")
    assert tool("check", "rules", rules)[0] == 0 and "duplicate rule" in tool("check", "rules", rules)[1]
    assert tool("check", "rules", "--lint-fatal", rules)[0] == 3
    assert tool("check", "rules", "--lint=none", "--lint-fatal", rules)[0] == 0
    write("rules.yml", RULE % ", {record: b, expr: 'sum('}")
    code, out, err = tool("check", "config", config)
    assert code == 1 and "rules.yml:1:" in err and "unclosed left parenthesis" in err, err
    code, out, err = tool("check", "rules", stdin=RULE % "")
    assert (code, err) == (0, "") and "1 rules found" in out, (out, err)
    bad = write("bad.yml", "global:\n  scrape_intervall: 1s\n")
    code, out, err = tool("check", "config", bad)
    assert code == 1 and "bad.yml:2:3" in err and "scrape_interval" in err, err
    secret = write("secret.yml", "scrape_configs:\n  - job_name: x\n    authorization: {credentials_file: gone}\n")
    code, out, err = tool("check", "config", secret)
    assert code == 1 and 'bearer token file "' in err and 'gone"' in err, err
    code, out, err = tool("check", "config", os.path.join(folder, "gone.yml"))
    assert code == 1 and "No such file" in err, err


run(queries_in_every_format, nothing_found_is_said_to_people_only, what_goes_wrong_is_said_and_fails,
    wrong_usage_exits_with_2, configurations_and_rules_are_checked)
