#!/usr/bin/env python3
"""Measures servers that speak the Prometheus protocols, side by side.

    bench.py run --servers prometheus,victoria-metrics --bin-dir DIR --out results/today
    bench.py run --servers narthex,prometheus,victoria-metrics --bin narthex=PATH ...
    bench.py report --out results/today
    bench.py blocks --promtool PATH --out DIR

See README.md.
"""

import argparse
import contextlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import procfs  # noqa: E402
from harness.results import Results  # noqa: E402
from harness.results import table  # noqa: E402
from harness.scenarios import query, remote_write  # noqa: E402
from harness.server import EMPTY_CONFIG, FAILURES, Adapter, Server  # noqa: E402

ROOT = os.path.dirname(os.path.abspath(__file__))
SCENARIOS = ["ingest", "remote-write", "query", "start-up", "cardinality", "rules"]
MODULES = {"remote-write": "remote_write", "start-up": "startup"}


class Bench:
    """What every scenario needs: where things are, who is measured, and where results go."""

    def __init__(self, args):
        self.root = ROOT
        self.build = args.build
        self.work = args.work
        self.patience = args.patience
        self.wrk = shutil.which("wrk") or "wrk"
        self.cores = os.cpu_count()
        self.epoch = int(time.time()) // 3600 * 3600
        self.began = time.monotonic()
        self.paths = dict(entry.split("=", 1) for entry in args.bin)
        self.bin_dir = args.bin_dir
        self.adapters = []
        for name in args.servers.split(","):
            path = os.path.join(ROOT, "adapters", f"{name}.json")
            if not os.path.exists(path):
                sys.exit(f"no such adapter: {path}")
            self.adapters.append(Adapter(name, path, self.find_binary))
        self.results = Results(os.path.join(args.out, "results.json"))

    def find_binary(self, name, server=None):
        """--bin SERVER=PATH or --bin BINARY=PATH, BENCH_BIN_<BINARY>, --bin-dir, then PATH."""
        variable = "BENCH_BIN_" + name.upper().replace("-", "_")
        for candidate in (self.paths.get(server), self.paths.get(name), os.environ.get(variable)):
            if candidate:
                return os.path.abspath(candidate)
        if self.bin_dir and os.path.exists(os.path.join(self.bin_dir, name)):
            return os.path.abspath(os.path.join(self.bin_dir, name))
        found = shutil.which(name)
        if not found:
            sys.exit(f"no binary for {name}: use --bin {name}=PATH, --bin-dir or {variable}")
        return found

    def tool(self, name):
        path = os.path.join(self.build, name)
        if not os.path.exists(path):
            sys.exit(f"{path} is missing; build it first: meson setup build && ninja -C build")
        return path

    def folder(self, adapter, purpose):
        return os.path.join(self.work, f"{adapter.name}-{purpose}")

    def now_on_grid(self, step):
        return int(time.time()) // step * step

    def progress(self, scenario, adapter, text):
        minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
        print(f"[{minutes:3d}:{seconds:02d}] {scenario}: {adapter.name} {text}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def attempt(self, scenario, adapter, text):
        """Announces a step; when the server fails in it, that becomes a note and the run goes on."""
        self.wait_for_quiet_machine()
        self.progress(scenario, adapter, text)
        try:
            yield
        except (*FAILURES, subprocess.SubprocessError, ArithmeticError) as error:
            reason = f"{text}: failed: {type(error).__name__}: {error}"
            self.progress(scenario, adapter, reason)
            self.results.note(scenario, adapter.name, " ".join(reason.split())[:600])

    def wait_for_quiet_machine(self):
        """Waits, but not for ever, while others use a tenth of the machine."""
        end = time.monotonic() + self.patience
        while time.monotonic() < end:
            began, (busy, stolen) = time.monotonic(), procfs.machine_cpu()
            time.sleep(2)
            busy_now, stolen_now = procfs.machine_cpu()
            used = busy_now - busy + stolen_now - stolen
            if used < 0.1 * self.cores * (time.monotonic() - began):
                return

    def take_notes(self, scenario, server):
        for text in server.notes:
            self.results.note(scenario, server.adapter.name, text)
        server.notes.clear()


def load_profile(name):
    path = name if os.path.exists(name) else os.path.join(ROOT, "profiles", f"{name}.json")
    with open(path) as f:
        return json.load(f)


def run(args):
    os.makedirs(args.out, exist_ok=True)
    own_work = args.work is None
    args.work = tempfile.mkdtemp(prefix="promlab-") if own_work else os.path.abspath(args.work)
    os.makedirs(args.work, exist_ok=True)
    bench = Bench(args)
    profile = load_profile(args.profile)
    labels = dict(entry.split("=", 1) for entry in args.label)
    wanted = args.scenarios.split(",") if args.scenarios else SCENARIOS
    results = bench.results
    results.meta.setdefault("machine", procfs.machine())
    results.meta.setdefault("started", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()))
    results.meta.setdefault("profile", {}).update({s: profile[s] for s in wanted})
    results.meta.setdefault("minutes", {})
    versions = results.meta.setdefault("versions", {})
    try:
        for adapter in bench.adapters:
            with Server(adapter, bench.folder(adapter, "version"), EMPTY_CONFIG) as server:
                server.start(60)
                version = labels.get(adapter.name) or server.version()
                versions[adapter.name] = f"{adapter.title}: {version}"
        names = [a.name for a in bench.adapters]
        results.meta["servers"] = list(dict.fromkeys(results.meta.get("servers", []) + names))
        for scenario in wanted:
            module = importlib.import_module("harness.scenarios." + MODULES.get(scenario, scenario))
            results.forget(scenario, names)
            start = time.monotonic()
            module.run(bench, profile[scenario])
            results.meta["minutes"][scenario] = round((time.monotonic() - start) / 60, 1)
            results.save()
            write_report(args, results)
    finally:
        if own_work and not args.keep_data:
            shutil.rmtree(args.work, ignore_errors=True)
    print(os.path.join(args.out, "report.md"))


def blocks(args):
    """Makes Prometheus blocks of the same samples as remote write sends, with promtool."""
    args.work, args.servers, args.bin, args.bin_dir, args.patience = args.out, "prometheus", [], None, 0
    os.makedirs(args.out, exist_ok=True)
    case = {"hosts": args.hosts, "series": args.series, "hours": args.hours, "step": args.step}
    print(remote_write.openmetrics_blocks(Bench(args), args.promtool, args.out, case))


def write_report(args, results):
    servers = results.meta["servers"]
    subject = args.subject or servers[-1]
    meta = results.meta
    machine = meta["machine"]
    out = [
        "# Benchmark report",
        "",
        f"Started {meta['started']} on {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB, {machine['kernel']}. "
        f"Minutes taken: {', '.join(f'{k} {v}' for k, v in meta['minutes'].items())}.",
        "",
        *(f"- {text}" for text in meta["versions"].values()),
        "",
        "Cells are medians, with the lowest and the highest of the repetitions in brackets. "
        f"Ratios are {subject} ÷ the other server; *better* says whether less or more is better.",
    ]
    lines = query.summary(results, servers)
    if lines:
        others = [s for s in servers if s != subject]
        out += ["", "### query, all together", ""]
        out += ["| | queries | " + " | ".join(servers) + " | " + " | ".join(f"{subject} ÷ {s}" for s in others) + " |"]
        out += ["|---|" + "---:|" * (1 + len(servers) + len(others))]
        for title, count, means, totals in lines:
            for what, values in (("geometric mean", means), ("sum", totals)):
                cells = [f"{title} latency, {what}, ms", str(count)]
                cells += [f"{1e3 * values[s]:,.2f}" for s in servers]
                cells += [f"{values[subject] / values[s]:.2f}×" for s in others]
                out.append("| " + " | ".join(cells) + " |")
    out.append(table(results, servers, subject, SCENARIOS, query.is_latency))
    latencies = query.latency_table(results, servers, subject)
    if latencies:
        out += ["### query, latency of each in ms", "", latencies]
    if "query equality" in results.details:
        details = results.details["query equality"]
        out += [f"### query, equality of results with {details['reference']}", "", query.equality_table(details)]
    if results.notes:
        out += ["### Notes of the harness", ""]
        out += [f"- {n['scenario']}, {n['server']}: {n['text']}" for n in results.notes]
    with open(os.path.join(args.out, "report.md"), "w") as f:
        f.write("\n".join(out).rstrip() + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="measure")
    runner.add_argument("--servers", required=True, help="adapter names, with commas between")
    runner.add_argument("--scenarios", help=f"some of {','.join(SCENARIOS)} (all)")
    runner.add_argument("--profile", default="standard", help="smoke, standard, or a JSON file")
    runner.add_argument("--bin", action="append", default=[], metavar="NAME=PATH", help="the binary of a server")
    runner.add_argument("--label", action="append", default=[], metavar="NAME=TEXT", help="its version, if it won't say")
    runner.add_argument("--bin-dir", default=os.environ.get("BENCH_BIN_DIR"), help="where binaries are")
    runner.add_argument("--build", default=os.path.join(ROOT, "../../build/release/tools/bench"), help="where fleet and rwload were built")
    runner.add_argument("--patience", type=int, default=120, help="seconds to wait for a quiet machine (120)")
    runner.add_argument("--work", help="folder for data directories (a temporary one)")
    runner.add_argument("--keep-data", action="store_true", help="keep the temporary folder")
    block_maker = commands.add_parser("blocks", help="make Prometheus blocks with promtool")
    block_maker.add_argument("--promtool", default="promtool")
    block_maker.add_argument("--build", default=os.path.join(ROOT, "../../build/release/tools/bench"))
    block_maker.add_argument("--out", required=True, help="folder for the text and the blocks")
    for option, default in (("hosts", 4), ("series", 500), ("hours", 4), ("step", 15)):
        block_maker.add_argument(f"--{option}", type=int, default=default)
    for command in (runner, commands.add_parser("report", help="write the table again")):
        command.add_argument("--out", required=True, help="folder for results.json and report.md")
        command.add_argument("--subject", help="the server whose ratio to the others is shown (the last)")
    args = parser.parse_args()
    if args.command == "run":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that servers are stopped too
        run(args)
    elif args.command == "blocks":
        blocks(args)
    else:
        results = Results(os.path.join(args.out, "results.json"))
        if not results.meta:
            sys.exit("nothing measured there yet")
        write_report(args, results)


if __name__ == "__main__":
    main()
