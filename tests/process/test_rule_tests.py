#!/usr/bin/env python3
"""nartool test rules: what passes, what fails and how it is told, beside promtool where it is there."""

import os
import subprocess
import xml.etree.ElementTree

from harness import BUILD, peer, run

TOOL = os.path.join(BUILD, "tools/nartool")
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
OWN = os.path.join(ROOT, "testdata/rule_tests")
CASES = os.environ.get("NARTHEX_CONFORMANCE")
# Exit codes that the cases of others must give (their own project's tests say so).
VERDICTS = {"unittest": 0, "long-period": 0, "start-time-test": 0, "at-modifier-test": 0, "negative-offset-test": 0,
            "no-test-group-interval": 0, "failing": 1, "rules_run": 1, "rules_run_fuzzy": 1, "rules_run_no_fuzzy": 1,
            "bad-promql": 1, "bad-input-series": 1, "bad-rules-error-test": 1, "bad-rules-syntax-test": 1,
            "rules_run_extrafields": 1}


def command(program, *args):
    r = subprocess.run([program, "test", "rules", *args], capture_output=True, text=True, timeout=120)
    return r.returncode, r.stdout, r.stderr


def own_cases(folder, running):
    code, out, err = command(TOOL, f"{OWN}/passing.yml")
    assert (code, err) == (0, "") and "SUCCESS" in out, (code, out, err)
    code, out, err = command(TOOL, f"{OWN}/failing.yml")
    assert code == 1 and "SUCCESS" not in out, (code, out)
    assert 'exp: {__name__="requests_total", job="web"} 6E+00\n        got: {__name__="requests_total", job="web"} 5E+00' in err, err
    assert 'Labels:{alertname="NoRequests", job="web", severity="page"}' in err, err
    code, out, err = command(TOOL, "--diff", f"{OWN}/failing.yml")
    assert code == 1 and '-   label severity="ticket"' in err and '+   label severity="page"' in err, err
    assert 'label alertname="NoRequests"' in err and '-   label alertname' not in err, err


def reports_and_selection(folder, running):
    report = f"{folder}/junit.xml"
    code, _, _ = command(TOOL, f"--junit={report}", f"{OWN}/failing.yml", f"{OWN}/passing.yml")
    suites = xml.etree.ElementTree.parse(report).getroot()
    assert code == 1 and [(s.get("tests"), s.get("failures")) for s in suites] == [("2", "2"), ("2", "0")]
    assert suites[0][0].get("name") == "one wrong alert <&> one wrong value"
    assert suites[0][0][0].text.startswith("    name: one wrong alert <&> one wrong value,\n"), suites[0][0][0].text
    assert command(TOOL, "--run=^fine$", f"{OWN}/failing.yml")[0] == 0
    assert command(TOOL, "--run=^fine$", "--run=wrong", f"{OWN}/failing.yml")[0] == 1
    code, _, err = command(TOOL, "--run=(", f"{OWN}/failing.yml")
    assert code == 2 and "--run" in err, (code, err)
    assert 'DEBUG: All series at the end of test "fine"' in command(TOOL, "--debug", "--run=fine", f"{OWN}/failing.yml")[1]


def mistakes(folder, running):
    def refused(text, *parts, args=()):
        with open(f"{folder}/t.yml", "w") as f:
            f.write(text)
        code, out, err = command(TOOL, *args, f"{folder}/t.yml")
        assert code == 1 and all(p in err for p in parts), (code, out, err)
    refused("tests:\n- nam: x\n", "t.yml:2:3", 'unknown key "nam"', 'did you mean "name"')
    refused("tests:\n- input_series: [{series: 'a{', values: '1'}]\n  promql_expr_test: [{expr: a, eval_time: 1m}]\n", "line 2")
    refused("tests:\n- promql_expr_test: [{expr: 'a[', eval_time: 1m}]\n", "time: 1m", "parse error")
    refused("evaluation_interval: 0s\ntests: [{name: x}]\n", "evaluation_interval")
    with open(f"{folder}/r.yml", "w") as f:
        f.write("groups: [{name: g, owner: me, rules: [{record: a, expr: '1'}]}]\n")
    refused("rule_files: [r.yml]\n", "r.yml:1", 'unknown key "owner"')
    with open(f"{folder}/t.yml", "w") as f:
        f.write("rule_files: [r.yml, none*.yml]\ntests: [{promql_expr_test: [{expr: a, eval_time: 1m, exp_samples: [{labels: a, value: 1}]}]}]\n")
    code, _, err = command(TOOL, "--ignore-unknown-fields", f"{folder}/t.yml")
    assert code == 0 and "none*.yml" in err, (code, err)
    code, _, err = command(TOOL, f"{folder}/missing.yml")
    assert code == 1 and "does not exist" in err, (code, err)
    assert command(TOOL)[0] == 2


def cases_of_others(folder, running):
    for name, verdict in VERDICTS.items() if CASES else ():
        code, out, err = command(TOOL, f"{CASES}/promtool/{name}.yml")
        assert code == verdict, (name, code, out, err)


def promtool_says_the_same(folder, running):
    promtool = peer("promtool")
    assert promtool, "promtool is not there: tools/fetch-peers brings it"
    _, _, ours = command(TOOL, f"{OWN}/failing.yml")
    _, _, theirs = command(promtool, f"{OWN}/failing.yml")
    assert ours.split() == theirs.split(), (ours, theirs)


run(own_cases, reports_and_selection, mistakes, cases_of_others, promtool_says_the_same)
