#!/usr/bin/env python3
"""Starting with good and bad flags and files; reload by signal; ending."""

import os
import signal
import subprocess

from harness import BUILD, Exporter, Narthex, request, run, scrape_config, wait_for

BINARY = os.path.join(BUILD, "src/server/narthex")
EMPTY = "global: {}\n"


def start(folder, *args):
    return subprocess.run([BINARY, *args], cwd=folder, capture_output=True, text=True, timeout=60)


def unknown_flags_end_with_2_and_the_nearest_name(folder, running):
    r = start(folder, "--config.fil=x")
    assert r.returncode == 2 and "--config.file" in r.stderr, r


def version_and_help(folder, running):
    r = start(folder, "--version")
    assert r.returncode == 0 and r.stdout.startswith("narthex, version "), r
    r = start(folder, "--help")
    assert r.returncode == 0 and "--storage.tsdb.retention.time" in r.stdout, r


def configuration_errors_name_file_line_key(folder, running):
    def config(text, **files):
        for name, content in {"prometheus.yml": text, **files}.items():
            with open(os.path.join(folder, name.replace("__", ".")), "w") as f:
                f.write(content)
        r = start(folder, "--config.file=prometheus.yml", "--web.listen-address=127.0.0.1:0")
        assert r.returncode == 2, r
        return r.stderr

    e = config("global:\n  scrape_interval: 15s\n  scrape_intervall: 15s\n")
    assert "prometheus.yml:3" in e and "scrape_intervall" in e and "scrape_interval" in e, e
    e = config("scrape_configs:\n  - job_name: a\n    scrape_interval: soon\n")
    assert "prometheus.yml:3" in e and "scrape_interval" in e, e
    e = config("rule_files: [rules.yml]\n", rules__yml="groups:\n- name: g\n  rules:\n  - alert: A\n    expr: sum(\n")
    assert "rules.yml" in e and "5" in e, e
    e = config("global: [\n")
    assert "prometheus.yml" in e, e
    r = start(folder, "--config.file=missing.yml")
    assert r.returncode == 2 and "missing.yml" in r.stderr, r
    assert not os.path.exists(os.path.join(folder, "data")), "a bad configuration starts nothing"


def every_public_prometheus_flag_is_accepted(folder, running):
    flags = ["--auto-gomaxprocs", "--auto-gomemlimit", "--auto-gomemlimit.ratio=0.8", "--web.read-timeout=1m",
             "--web.max-connections=100", "--web.console.templates=consoles", "--web.console.libraries=libs",
             "--web.page-title=Mine", "--web.cors.origin=.*", "--storage.tsdb.retention.time=15d",
             "--storage.tsdb.retention.size=10GB", "--storage.tsdb.wal-compression",
             "--storage.tsdb.head-chunks-write-queue-size=0", "--storage.remote.flush-deadline=10s",
             "--rules.alert.for-outage-tolerance=1h", "--rules.alert.for-grace-period=10m",
             "--rules.alert.resend-delay=1m", "--alertmanager.notification-queue-capacity=100",
             "--query.lookback-delta=5m", "--query.timeout=1m", "--query.max-concurrency=4",
             "--query.max-samples=1000000", "--enable-feature=exemplar-storage,no-such-feature",
             "--log.level=info", "--log.format=json", "--web.enable-otlp-receiver", "--web.search.max-limit=10"]
    n = Narthex(folder, EMPTY, flags)
    running.append(n)
    log = n.log()
    assert "no-such-feature" in log and '"level":"WARN"' in log, log
    assert log.count("storage.tsdb.head-chunks-write-queue-size") == 1, log


def sighup_applies_a_good_configuration_and_keeps_the_old_for_a_bad_one(folder, running):
    one, two = Exporter("a 1\n"), Exporter("a 2\n")
    running += [one, two]
    n = Narthex(folder, scrape_config(one.target))
    running.append(n)
    wait_for("samples", lambda: n.value("a") == 1)
    n.write("prometheus.yml", "nonsense: 1\n")
    n.child.send_signal(signal.SIGHUP)
    wait_for("the failed reload", lambda: n.value("prometheus_config_last_reload_successful") is None and
             "prometheus_config_last_reload_successful 0" in n.get("/metrics").body.decode())
    assert "nonsense" in n.log()
    wait_for("scraping to go on", lambda: n.value("a") == 1)
    n.write("prometheus.yml", scrape_config(two.target))
    n.child.send_signal(signal.SIGHUP)
    wait_for("the new target", lambda: n.value("a") == 2)


def sigterm_ends_with_0_and_a_restart_serves_everything(folder, running):
    exporter = Exporter("a 1\n")
    running.append(exporter)
    n = Narthex(folder, scrape_config(exporter.target))
    running.append(n)
    wait_for("samples", lambda: (n.value("count_over_time(a[1m])") or 0) >= 5)
    before = n.query("a[1m]")[0]["values"]
    assert n.stop() == 0
    again = Narthex(folder, EMPTY)
    running.append(again)
    values = again.query("a[5m]")[0]["values"]
    assert values[:len(before)] == before, (before, values)


def a_second_server_on_the_same_folder_is_refused(folder, running):
    n = Narthex(folder, EMPTY)
    running.append(n)
    r = start(folder, f"--config.file={n.config}", f"--storage.tsdb.path={folder}/data", "--web.listen-address=127.0.0.1:0")
    assert r.returncode == 1 and "lock" in r.stderr, r
    r = start(folder, f"--config.file={n.config}", f"--storage.tsdb.path={folder}/other",
              f"--web.listen-address=127.0.0.1:{n.port}")
    assert r.returncode == 1 and str(n.port) in r.stderr, r


def a_wrong_web_configuration_stops_the_start(folder, running):
    with open(os.path.join(folder, "web.yml"), "w") as f:
        f.write("basic_auth_users:\n  ann: $2y$10$x\n")
    with open(os.path.join(folder, "prometheus.yml"), "w") as f:
        f.write(EMPTY)
    r = start(folder, "--web.config.file=web.yml", "--web.listen-address=127.0.0.1:0")
    assert r.returncode == 1 and "web.yml:2" in r.stderr and "ann" in r.stderr, r


run(unknown_flags_end_with_2_and_the_nearest_name, version_and_help, configuration_errors_name_file_line_key,
    every_public_prometheus_flag_is_accepted, sighup_applies_a_good_configuration_and_keeps_the_old_for_a_bad_one,
    sigterm_ends_with_0_and_a_restart_serves_everything, a_second_server_on_the_same_folder_is_refused,
    a_wrong_web_configuration_stops_the_start)
