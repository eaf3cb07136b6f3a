#!/usr/bin/env python3
"""An alert's way from a scraped value to a webhook, directly and through an Alertmanager, and its end."""

import os
import time

from harness import Exporter, Narthex, Process, Webhook, free_port, peer, request, run, scrape_config, wait_for

RULES = """
groups:
  - name: g
    interval: 200ms
    rules:
      - record: job:load:sum
        expr: sum by (job) (load)
        labels: {kind: recorded}
      - alert: HighLoad
        expr: load > 5
        for: 400ms
        labels: {severity: page, where: "{{ $labels.instance }}"}
        annotations: {summary: "load is {{ $value | humanize }} on {{ $labels.job }}"}
"""
ALERTMANAGER = """
route:
  receiver: hook
  group_by: [alertname]
  group_wait: 100ms
  group_interval: 300ms
  repeat_interval: 1h
receivers:
  - name: hook
    webhook_configs: [{url: "%s/hook", send_resolved: true}]
"""


def config(target, extra=""):
    return scrape_config(target, extra="rule_files: [rules.yml]\n" + extra)


def fires_and_resolves_at_a_webhook(folder, running):
    exporter, hook = Exporter("load 1\n"), Webhook()
    running += [exporter, hook]
    n = Narthex(folder, config(exporter.target), [f"--alertmanager.config.file={folder}/am.yml"],
                {"rules.yml": RULES, "am.yml": ALERTMANAGER % hook.url})
    running.append(n)
    wait_for("the recording rule", lambda: n.value("job:load:sum") == 1)
    assert n.query("job:load:sum")[0]["metric"] == {"__name__": "job:load:sum", "job": "test", "kind": "recorded"}
    exporter.body = "load 1234\n"
    wait_for("pending or firing", lambda: n.query("ALERTS"))
    path, headers, first = wait_for("the notification", lambda: hook.got and hook.got[0])
    assert path == "/hook" and headers["Content-Type"] == "application/json", (path, headers)
    assert first["version"] == "4" and first["status"] == "firing" and first["receiver"] == "hook", first
    assert first["groupLabels"] == {"alertname": "HighLoad"}, first
    alert = first["alerts"][0]
    assert alert["labels"] == {"alertname": "HighLoad", "instance": exporter.target, "job": "test", "severity": "page",
                               "where": exporter.target}, alert
    assert alert["annotations"] == {"summary": "load is 1.234k on test"}, alert
    assert alert["endsAt"] == "0001-01-01T00:00:00Z" and len(alert["fingerprint"]) == 16, alert
    firing = n.get("/api/v1/alerts").json()["data"]["alerts"]
    assert firing[0]["state"] == "firing" and firing[0]["value"] == "1.234e+03", firing
    rules = n.get("/api/v1/rules").json()["data"]["groups"][0]
    assert rules["name"] == "g" and [r["type"] for r in rules["rules"]] == ["recording", "alerting"], rules
    assert rules["rules"][1]["state"] == "firing" and rules["rules"][1]["health"] == "ok", rules
    assert len(hook.got) == 1, "sent once while nothing changes"
    exporter.body = "load 1\n"
    resolved = wait_for("the end", lambda: [g for _, _, g in hook.got if g["status"] == "resolved"])
    assert resolved[0]["alerts"][0]["status"] == "resolved", resolved
    assert n.query("ALERTS") == []


def a_restart_keeps_the_alert_and_does_not_repeat_the_notification(folder, running):
    exporter, hook = Exporter("load 9\n"), Webhook()
    running += [exporter, hook]
    files = {"rules.yml": RULES, "am.yml": ALERTMANAGER % hook.url}
    flags = [f"--alertmanager.config.file={folder}/am.yml"]
    n = Narthex(folder, config(exporter.target), flags, files)
    running.append(n)
    wait_for("the notification", lambda: hook.got)
    n.stop()
    n = Narthex(folder, config(exporter.target), flags, files)
    running.append(n)
    wait_for("firing again", lambda: n.query('ALERTS{alertstate="firing"}'))
    time.sleep(1.5)
    assert len(hook.got) == 1, [g for _, _, g in hook.got]


def a_missing_alertmanager_file_ends_the_start_and_says_so(folder, running):
    n = Narthex(folder, "global: {}\n", [f"--alertmanager.config.file={folder}/am.yml"], wait=False)
    running.append(n)
    wait_for("the end", lambda: not n.alive())
    assert n.child.returncode == 2, n.child.returncode
    assert f"{folder}/am.yml: --alertmanager.config.file: cannot be read: No such file" in n.log(), n.log()
    running.remove(n)


def a_failing_webhook_is_tried_again(folder, running):
    exporter, hook = Exporter("load 9\n"), Webhook()
    running += [exporter, hook]
    hook.status = 503
    n = Narthex(folder, config(exporter.target), [f"--alertmanager.config.file={folder}/am.yml"],
                {"rules.yml": RULES, "am.yml": ALERTMANAGER % hook.url})
    running.append(n)
    wait_for("two tries", lambda: len(hook.got) >= 2)
    hook.status = 200
    count = len(hook.got)
    wait_for("a third", lambda: len(hook.got) > count)
    time.sleep(1)
    assert len(hook.got) == count + 1, "no repeat after success"


def alerts_are_posted_to_each_alertmanager(folder, running):
    exporter, one, two = Exporter("load 9\n"), Webhook(), Webhook()
    running += [exporter, one, two]
    extra = f"""alerting:
  alert_relabel_configs: [{{target_label: relabelled, replacement: "yes"}}]
  alertmanagers:
    - static_configs: [{{targets: ["{one.target}"]}}]
    - path_prefix: /am
      static_configs: [{{targets: ["{two.target}"]}}]
"""
    n = Narthex(folder, config(exporter.target, extra), (), {"rules.yml": RULES})
    running.append(n)
    for hook, path in ((one, "/api/v2/alerts"), (two, "/am/api/v2/alerts")):
        got_path, headers, alerts = wait_for("the alert", lambda: hook.got and hook.got[0])
        assert got_path == path and headers["Content-Type"] == "application/json", (got_path, headers)
        assert alerts[0]["labels"]["alertname"] == "HighLoad" and alerts[0]["labels"]["relabelled"] == "yes", alerts
        assert alerts[0]["startsAt"].endswith("Z") and "/graph?g0.expr=" in alerts[0]["generatorURL"], alerts
    text = n.get("/metrics").body.decode()
    assert f'prometheus_notifications_sent_total{{alertmanager="http://{one.target}/api/v2/alerts"}}' in text, text
    exporter.body = "load 0\n"
    def resolved():
        last = one.got[-1][2][0]
        return last["endsAt"] < time.strftime("%Y-%m-%dT%H:%M:%S.999Z", time.gmtime())
    wait_for("the end", resolved)


def alerts_reach_a_real_alertmanager(folder, running):
    program = peer("prometheus-alertmanager")
    exporter, hook = Exporter("load 9\n"), Webhook()
    running += [exporter, hook]
    with open(f"{folder}/am.yml", "w") as f:
        f.write(ALERTMANAGER % hook.url)
    port = free_port()
    am = Process([program, f"--config.file={folder}/am.yml", f"--storage.path={folder}/am",
                  f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="], f"{folder}/am.log")
    running.append(am)
    wait_for("alertmanager", lambda: request(f"http://127.0.0.1:{port}/-/ready").status == 200)
    extra = f"alerting:\n  alertmanagers:\n    - static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
    n = Narthex(folder, config(exporter.target, extra), (), {"rules.yml": RULES})
    running.append(n)
    _, _, first = wait_for("the notification", lambda: hook.got and hook.got[0])
    assert first["alerts"][0]["labels"]["alertname"] == "HighLoad", first
    active = n.get("/api/v1/alertmanagers").json()["data"]["activeAlertmanagers"]
    assert active == [{"url": f"http://127.0.0.1:{port}/api/v2/alerts"}], active
    exporter.body = "load 0\n"
    wait_for("the end", lambda: [g for _, _, g in hook.got if g["status"] == "resolved"])


cases = [fires_and_resolves_at_a_webhook, a_restart_keeps_the_alert_and_does_not_repeat_the_notification,
         a_missing_alertmanager_file_ends_the_start_and_says_so, a_failing_webhook_is_tried_again,
         alerts_are_posted_to_each_alertmanager]
# Debian's Alertmanager reads its templates from where its package installs them.
if os.path.exists("/usr/share/prometheus/alertmanager/default.tmpl") and peer("prometheus-alertmanager"):
    cases.append(alerts_reach_a_real_alertmanager)
else:
    print("# package prometheus-alertmanager is not installed: the case with a real Alertmanager does not run")
run(*cases)
