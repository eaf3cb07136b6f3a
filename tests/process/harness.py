"""What the process tests share: servers on free ports, started and ended by the test that needs them.

Each test file is a program: it calls run(cases) with functions, prints TAP, and leaves nothing running. Everything
talks to 127.0.0.1 only.
"""

import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request

BUILD = os.path.abspath(os.environ.get("NARTHEX_BUILD", "build"))
PEERS = os.environ.get("NARTHEX_PEERS", "")
SLOW = float(os.environ.get("NARTHEX_SLOW", "1"))  # patience factor, for sanitizer builds


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def peer(name):
    """The path of another project's program (Debian's packages unpacked by tools/fetch-peers), or None."""
    for folder in (os.path.join(PEERS, "usr/bin"), PEERS):
        path = os.path.join(folder, name)
        if PEERS and os.access(path, os.X_OK):
            return path
    return shutil.which(name)


def wait_for(what, condition, seconds=30):
    """Polls until condition() is true and returns its value; an exception of the network counts as not yet."""
    end = time.monotonic() + seconds * SLOW
    last = None
    while time.monotonic() < end:
        try:
            value = condition()
            if value:
                return value
            last = value
        except (OSError, urllib.error.URLError, ValueError, KeyError, IndexError) as e:
            last = e
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds * SLOW:.0f} s for {what}; last: {last!r}")


def excerpt(log):
    """What matters of a long log: its end, and a sanitizer's report whole."""
    report = min((log.find(mark) for mark in ("ERROR: ", "WARNING: ThreadSanitizer", "runtime error:") if mark in log),
                 default=len(log))
    return log[max(0, min(report - 500, len(log) - 4000)):][:12000]


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


def request(url, data=None, method=None, headers=None, timeout=30):
    """An HTTP exchange; error statuses are answers too."""
    r = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(r, timeout=timeout * SLOW) as f:
            return Answer(f.status, f.headers, f.read())
    except urllib.error.HTTPError as e:
        return Answer(e.code, e.headers, e.read())


class Process:
    """A child that ends with the test."""

    def __init__(self, args, log, env=None):
        self.log_path = log
        with open(log, "ab") as f:
            self.child = subprocess.Popen(args, stdout=f, stderr=f, env=env)

    def alive(self):
        return self.child.poll() is None

    def stop(self, sig=signal.SIGTERM, seconds=30):
        """Ends it and gives its exit code. A server asked to end by SIGTERM must end with 0: a sanitizer's findings, leaks
        among them, are exit codes too."""
        was_alive = self.alive()
        if was_alive:
            self.child.send_signal(sig)
            try:
                self.child.wait(seconds * SLOW)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
                raise AssertionError(f"did not end within {seconds * SLOW:.0f} s of signal {sig}")
        code = self.child.returncode
        fine = (0,) if was_alive else (0, -signal.SIGKILL)  # a test may have killed it
        if sig == signal.SIGTERM and code not in fine:
            raise AssertionError(f"ended with {code}" + ("" if was_alive else " before it was asked to"))
        return code

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()


class Narthex(Process):
    """The server under test in a folder of its own."""

    def __init__(self, folder, config, flags=(), files=None, port=None, wait=True):
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = os.path.join(folder, "prometheus.yml")
        for name, text in {**(files or {}), "prometheus.yml": config}.items():
            self.write(name, text)
        args = [os.path.join(BUILD, "src/server/narthex"), f"--config.file={self.config}",
                f"--storage.tsdb.path={os.path.join(folder, 'data')}",
                f"--web.listen-address=127.0.0.1:{self.port}", *flags]
        super().__init__(args, os.path.join(folder, "narthex.log"))
        if wait:
            self.wait_ready()

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as f:
            f.write(text)

    def wait_ready(self):
        def ready():
            if not self.alive():
                raise AssertionError(f"ended with {self.child.returncode}:\n{self.log()[-3000:]}")
            return request(self.url + "/-/ready").status == 200
        wait_for("the server to be ready", ready, 60)

    def get(self, path, **params):
        query = urllib.parse.urlencode(params, doseq=True)
        return request(self.url + path + ("?" + query if query else ""))

    def query(self, expr, at=None):
        params = {"query": expr}
        if at is not None:
            params["time"] = at
        a = self.get("/api/v1/query", **params)
        assert a.status == 200, (a.status, a.body)
        return a.json()["data"]["result"]

    def value(self, expr):
        """The only value of a vector, or None."""
        result = self.query(expr)
        return float(result[0]["value"][1]) if len(result) == 1 else None


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """A server that was stopped or killed hangs up; that is no finding."""


class Exporter:
    """Serves `body` at /metrics; what is asked is kept in `requests`."""

    def __init__(self, body="", content_type="text/plain; version=0.0.4"):
        self.body, self.content_type, self.status, self.requests = body, content_type, 200, []
        self.delay = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.requests.append((self.path, dict(self.headers)))
                time.sleep(outer.delay)
                body = outer.body() if callable(outer.body) else outer.body
                data = body if isinstance(body, bytes) else body.encode()
                self.send_response(outer.status)
                self.send_header("Content-Type", outer.content_type)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = Listener(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.target = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Webhook:
    """Collects what is POSTed; `status` is what it answers."""

    def __init__(self):
        self.got, self.status = [], 200
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.got.append((self.path, dict(self.headers), json.loads(data)))
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = Listener(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.target = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def scrape_config(*targets, interval="200ms", extra=""):
    listed = ", ".join(f"'{t}'" for t in targets)
    return (f"global:\n  scrape_interval: {interval}\n  scrape_timeout: {interval}\n  evaluation_interval: {interval}\n"
            f"{extra}scrape_configs:\n  - job_name: test\n    static_configs:\n      - targets: [{listed}]\n")


def run(*cases):
    """Runs each case with a temporary folder and a list of things to stop; prints TAP."""
    print(f"1..{len(cases)}")
    failed = False
    for number, case in enumerate(cases, 1):
        folder = tempfile.mkdtemp(prefix="narthex-process-")
        running = []
        name = case.__name__.replace("_", " ")
        try:
            case(folder, running)
            for p in reversed(running):
                p.stop()
            print(f"ok {number} - {name}", flush=True)
        except Exception:  # the report is what this is for
            failed = True
            # Meson shows what a failed test wrote to stderr.
            print(f"== {name}\n{traceback.format_exc()}", file=sys.stderr)
            for p in reversed(running):
                if isinstance(p, Process):
                    print(f"-- {os.path.basename(p.log_path)}\n{excerpt(p.log())}", file=sys.stderr, flush=True)
            print(f"not ok {number} - {name}", flush=True)
        finally:
            for p in reversed(running):
                try:
                    p.stop(signal.SIGKILL) if isinstance(p, Process) else p.stop()
                except Exception as e:  # the next case must run all the same
                    print("# while ending:", e)
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if failed else 0)
