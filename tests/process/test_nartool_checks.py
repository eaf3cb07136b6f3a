#!/usr/bin/env python3
"""nartool's checks, promql, push, explain and live: the same verdicts and texts as promtool's where it has them."""

import json
import os
import subprocess

from harness import BUILD, Exporter, Narthex, peer, run, scrape_config, wait_for

TOOL = os.path.join(BUILD, "tools/nartool")


def tool(*args, stdin=None):
    r = subprocess.run([TOOL, *args], capture_output=True, input=stdin, text=True, timeout=120)
    return r.returncode, r.stdout, r.stderr


def promtool(*args, stdin=None):
    """What the real one says, or None where there is none that is new enough."""
    real = peer("promtool")
    help_text = real and subprocess.run([real, "--help"], capture_output=True, text=True, timeout=60)
    if not real or "label-matchers" not in help_text.stdout + help_text.stderr:
        return None
    r = subprocess.run([real, *args], capture_output=True, input=stdin, text=True, timeout=120)
    return r.returncode, r.stdout, r.stderr


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


LINTS = """# HELP foo_total a
# TYPE foo_total gauge
foo_total 1
# TYPE bar counter
bar{a="b"} 2
# HELP baz_milliseconds x
# TYPE baz_milliseconds gauge
baz_milliseconds 1
# HELP h x
# TYPE h histogram
h_bucket{le="1"} 1
h_bucket{le="+Inf"} 1
h_sum 1
h_count 1
# HELP camelCase x
# TYPE camelCase gauge
camelCase{fooBar="x"} 1
camelCase{fooBar="y"} 1
# HELP x_gauge_bytes x
# TYPE x_gauge_bytes gauge
x_gauge_bytes 1
# HELP a:b x
# TYPE a:b gauge
a:b 1
# HELP metric_bucket x
# TYPE metric_bucket gauge
metric_bucket{le="1",quantile="2"} 1
# HELP x_count x
# TYPE x_count gauge
x_count 1
# HELP x_ms x
# TYPE x_ms gauge
x_ms 1
x_ms 2
x_kilokelvins 1
x_bits_total_sum 1
# TYPE g_counter_x gauge
g_counter_x 1
nohelp 3
"""
ADVICE = """a:b metric names should not contain ':'
bar counter metrics should have "_total" suffix
bar no help text
baz_milliseconds use base unit "seconds" instead of "milliseconds"
camelCase label names should be written in 'snake_case' not 'camelCase'
camelCase label names should be written in 'snake_case' not 'camelCase'
camelCase metric names should be written in 'snake_case' not 'camelCase'
foo_total non-counter metrics should not have "_total" suffix
g_counter_x no help text
metric_bucket non-histogram metrics should not have "_bucket" suffix
metric_bucket non-histogram metrics should not have "le" label
metric_bucket non-summary metrics should not have "quantile" label
nohelp no help text
x_bits_total_sum no help text
x_bits_total_sum use base unit "bytes" instead of "bits"
x_count non-histogram and non-summary metrics should not have "_count" suffix
x_gauge_bytes metric name should not include type 'gauge'
x_kilokelvins no help text
x_kilokelvins use base unit "kelvin" instead of "kilokelvins"
x_ms metric names should not contain abbreviated units
x_ms metric not unique
"""
CLEAN = """# HELP a_total x
# TYPE a_total counter
a_total{x="1"} 1
a_total{x="2"} 1
a_total{x="3"} 1
# HELP h x
# TYPE h histogram
h_bucket{le="1"} 1
h_bucket{le="+Inf"} 1
h_sum 1
h_count 1
# HELP u x
u 1
"""


def pages_of_metrics(folder, running):
    assert tool("check", "metrics", stdin=LINTS) == (3, "", ADVICE)
    assert tool("check", "metrics", "--lint=none", stdin=LINTS) == (0, "", "")
    assert tool("check", "metrics", stdin="") == (0, "", "")
    code, out, err = tool("check", "metrics", stdin="a{")
    assert (code, out) == (1, "") and err.startswith("error while linting: text format parsing error in line 1: "), err
    code, out, err = tool("check", "metrics", "--extended", stdin=CLEAN)
    assert code == 0 and [line.split() for line in out.splitlines()] == [
        ["Metric", "Cardinality", "Percentage"], ["h", "4", "50.00%"], ["a_total", "3", "37.50%"],
        ["u", "1", "12.50%"], ["Total", "8", "100%"]], out
    for page in (LINTS, CLEAN):
        theirs = promtool("check", "metrics", stdin=page)
        assert theirs is None or theirs == tool("check", "metrics", stdin=page), theirs
    theirs = promtool("check", "metrics", "--extended", stdin=CLEAN)
    assert theirs is None or theirs[1] == out, (theirs, out)


def expressions(folder, running):
    cases = [
        (("format", "sum(up)by(x)"), "sum by (x) (up)\n"),
        (("label-matchers", "set", 'up+sum(x{a="b"})', "a", "c"), 'up{a="c"} + sum(x{a="c"})\n'),
        (("label-matchers", "set", "-t", "=~", 'up+sum_over_time(x{a="b"}[5m:1m])', "a", "c.*"), None),
        (("label-matchers", "set", "--type=!=", "rate({x='y'}[5m])", "b", ""), None),
        (("label-matchers", "set", "up", "__name__", "down"), None),
        (("label-matchers", "delete", 'up{z="1"}+sum(x{a="b",z="2"})', "z"), 'up + sum(x{a="b"})\n'),
    ]
    for args, wanted in cases:
        code, out, err = tool("promql", *args)
        assert code == 0 and wanted in (None, out), (args, out, err)
        theirs = promtool("--experimental", "promql", *args)
        if "__name__" in args:
            assert out == '{__name__="down"}\n', out  # theirs keeps the name, which then does not parse
        else:
            assert theirs is None or theirs[:2] == (0, out), (args, out, theirs)
    assert tool("promtool", "promql", "format", "up") == (
        1, "", "This command is experimental and requires the --experimental flag to be set.\n")
    assert tool("promtool", "--experimental", "promql", "format", "up") == (0, "up\n", "")
    code, out, err = tool("promql", "format", "sum(")
    assert code == 1 and "1:5: parse error" in err and err.splitlines()[2] == "      ^", err
    code, out, err = tool("promql", "label-matchers", "set", "-t", "=~", "up", "a", "(")
    assert code == 1 and out == "" and err, err


def configurations(folder, running):
    slow = write(folder, "slow.yml", "scrape_configs: [{job_name: x, scrape_interval: 10m}]\n")
    text = ("  FAILED: too long scrape interval found, data point will be marked as stale "
            "- job: x, interval: 10m\n")
    assert tool("check", "config", slow)[::2] == (0, "")
    assert tool("check", "config", "--lint=all", slow)[::2] == (0, text)
    assert tool("check", "config", "--lint=too-long-scrape-interval", "--lint-fatal", slow)[::2] == (3, text)
    assert tool("check", "config", "--lint=all", "--lint-fatal", "--query.lookback-delta=20m", slow)[0] == 0
    assert tool("promtool", "check", "config", "--lint=zz", slow)[::2] == (0, 'WARNING: unknown lint option: "zz"\n')
    agent = write(folder, "agent.yml", "rule_files: [x.yml]\n")
    mine = tool("promtool", "check", "config", "--agent", agent)
    theirs = promtool("check", "config", "--agent", agent)
    assert mine[0] == 1 and (theirs is None or theirs[0] == 1), (mine, theirs)
    rules = write(folder, "rules.yml", "groups: [{name: g, owner: me, rules: [{record: a, expr: up}]}]\n")
    with_rules = write(folder, "with.yml", "rule_files: [rules.yml]\n")
    for args in (("check", "rules", rules), ("check", "config", with_rules)):
        assert tool(*args)[0] == 1
        assert tool(*args, "--ignore-unknown-fields")[0] == 0
    with open(rules, encoding="utf-8") as f:
        assert tool("check", "rules", "--ignore-unknown-fields", stdin=f.read())[0] == 0


def targets_of_a_job(folder, running):
    config = write(folder, "sd.yml", """scrape_configs:
- job_name: a
  static_configs: [{targets: ['x:1', 'y:2'], labels: {l: v}}]
  relabel_configs: [{source_labels: [__address__], regex: 'y.*', action: drop}]
- job_name: file
  file_sd_configs: [{files: [t.json]}]
""")
    write(folder, "t.json", '[{"targets": ["f:1"]}]')
    code, out, err = tool("check", "service-discovery", config, "a")
    assert (code, err) == (0, ""), err
    found = json.loads(out)
    assert [t["discoveredLabels"]["__address__"] for t in found] == ["x:1", "y:2"], found
    assert found[0]["labels"]["instance"] == "x:1" and found[1]["labels"] == {}, found
    theirs = promtool("check", "service-discovery", config, "a")
    assert theirs is None or json.loads(theirs[1]) == found, (theirs, found)
    code, out, err = tool("check", "service-discovery", "--timeout=20s", config, "file")
    assert json.loads(out)[0]["labels"]["instance"] == "f:1", (out, err)
    assert tool("check", "service-discovery", config, "b") == (1, "", "Job b not found. Select one of:\n\ta\n\tfile\n")


def pages_are_pushed(folder, running):
    n = Narthex(folder, "scrape_configs: []\n", flags=["--web.enable-remote-write-receiver"])
    running.append(n)
    url = n.url + "/api/v1/write"
    code, out, err = tool("push", "metrics", "--label=team=x", "--label", "job=y", url, write(folder, "p", CLEAN))
    assert code == 0 and "SUCCESS" in out, (out, err)
    wait_for("samples", lambda: len(n.query('a_total{team="x",job="y"}')) == 3)
    assert tool("push", "metrics", url, stdin="b 2\n")[0] == 0
    wait_for("samples", lambda: len(n.query('b{job="promtool"}')) == 1)
    assert tool("push", "metrics", url, stdin="b{")[0] == 1
    code, out, err = tool("push", "metrics", n.url + "/nowhere", stdin="b 2\n")
    assert code == 1 and "404" in err, err


def plans_and_live_values(folder, running):
    exporter = Exporter('# TYPE c counter\nc{x="1"} 1\n')
    running.append(exporter)
    n = Narthex(folder, scrape_config(exporter.target))
    running.append(n)
    wait_for("samples", lambda: n.query("c"))
    code, out, err = tool("query", "explain", n.url, "sum by (x) (rate(c[1m])) * 2")
    lines = out.splitlines()
    assert code == 0 and lines[0].startswith("sum by (x) (rate(c[1m])) * 2"), (out, err)
    assert any("sum by (x)" in line for line in lines[3:]) and any("c[1m]" in line for line in lines[3:]), out
    assert " series, " in lines[-1] and "1 steps" in lines[-1], out
    assert "plan" in json.loads(tool("query", "explain", "-o", "json", "--step=1s", n.url, "c")[1])
    assert tool("query", "explain", n.url, "sum(")[0] == 1
    code, out, err = tool("query", "live", "--count=2", "--step=1s", "-o", "ndjson", n.url, "time()")
    first, second = [json.loads(line)["time"] for line in out.splitlines()]
    assert code == 0 and second > first, (out, err)
    code, out, err = tool("query", "live", n.url, "sum(")
    assert code == 1 and "parse error" in err and "^" in err, err


run(pages_of_metrics, expressions, configurations, targets_of_a_job, pages_are_pushed, plans_and_live_values)
