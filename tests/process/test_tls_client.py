"""Outgoing TLS, proxies and secrets in files: scrapes of servers that are made here, each with its own demands."""

import base64
import http.server
import os
import select
import socket
import ssl
import threading
import time

from harness import Narthex, request, run, wait_for
from tls_files import make_ca, make_cert


class Target:
    """An HTTPS exporter; `names` collects the server names asked for, `auth` the Authorization headers."""

    def __init__(self, folder, cert, client_ca=None, maximum=None):
        self.names, self.auth, self.hosts = [], [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.auth.append(self.headers.get("Authorization"))
                outer.hosts.append(self.headers.get("Host"))
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", "4")
                self.end_headers()
                self.wfile.write(b"a 1\n")

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

            def finish_request(self, sock, address):
                sock.settimeout(10)
                with context.wrap_socket(sock, server_side=True) as s:
                    Handler(s, address, self)

        if cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(f"{folder}/{cert}.pem", f"{folder}/{cert}.key")
            context.sni_callback = lambda s, name, c: self.names.append(name)
            if client_ca:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(f"{folder}/{client_ca}.pem")
            if maximum:
                context.maximum_version = maximum
        else:
            Server = http.server.ThreadingHTTPServer
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.target = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Proxy:
    """CONNECT and nothing else; `asked` are the places it was asked for."""

    def __init__(self):
        self.asked = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        head = b""
        while b"\r\n\r\n" not in head:
            part = s.recv(4096)
            if not part:
                return
            head += part
        method, place, _ = head.split(b"\r\n")[0].decode().split(" ")
        self.asked.append((method, place))
        if method != "CONNECT":
            s.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
            s.close()
            return
        host, port = place.rsplit(":", 1)
        with s, socket.create_connection((host, int(port))) as to:
            s.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            while True:
                for one in select.select([s, to], [], [], 30)[0]:
                    data = one.recv(65536)
                    if not data:
                        return
                    (to if one is s else s).sendall(data)

    def stop(self):
        self.listener.close()


def configuration(jobs):
    text = "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\nscrape_configs:\n"
    for name, (target, extra) in jobs.items():
        scheme = "" if "scheme:" in extra else "    scheme: https\n"
        text += f"  - job_name: {name}\n{scheme}    static_configs: [{{targets: ['{target.target}']}}]\n"
        text += "".join(f"    {line}\n" for line in extra.splitlines())
    return text


def outcomes(n, jobs):
    """Whether each job's target is up, once all have been scraped."""
    def all_scraped():
        got = {r["metric"]["job"]: float(r["value"][1]) == 1 for r in n.query("up")}
        return got if len(got) == len(jobs) else None
    wait_for("all targets to be scraped", all_scraped, 30)
    time.sleep(1.5)
    return all_scraped()


def tls_options_do_what_they_say(folder, running):
    make_ca(folder, "ca")
    make_ca(folder, "otherca")
    make_cert(folder, "server", "ca")
    make_cert(folder, "named", "ca", san="DNS:db.example")
    make_cert(folder, "client", "ca")
    make_cert(folder, "stranger", "otherca")
    plain, named = Target(folder, "server"), Target(folder, "named")
    strict, old = Target(folder, "server", client_ca="ca"), Target(folder, "server", maximum=ssl.TLSVersion.TLSv1_2)
    running.extend([plain, named, strict, old])
    ca = f"ca_file: {folder}/ca.pem"
    with open(f"{folder}/ca.pem") as f:
        inline = "\n".join("    " + line for line in f.read().splitlines())
    open(f"{folder}/empty.pem", "w").close()

    def client(name):
        return f"tls_config: {{{ca}, cert_file: {folder}/{name}.pem, key_file: {folder}/{name}.key}}"
    jobs = {
        "ca": (plain, f"tls_config: {{{ca}}}"), "no_ca": (plain, ""),
        "inline_ca": (plain, "tls_config:\n  ca: |\n" + inline),
        "other_ca": (plain, f"tls_config: {{ca_file: {folder}/otherca.pem}}"),
        "empty_ca": (plain, f"tls_config: {{ca_file: {folder}/empty.pem}}"),
        "missing_ca": (plain, f"tls_config: {{ca_file: {folder}/nowhere.pem}}"),
        "insecure": (plain, "tls_config: {insecure_skip_verify: true}"),
        "wrong_name": (named, f"tls_config: {{{ca}}}"),
        "server_name": (named, f"tls_config: {{{ca}, server_name: db.example}}"),
        "client": (strict, client("client")), "no_client": (strict, f"tls_config: {{{ca}}}"),
        "stranger": (strict, client("stranger")),
        "min12": (old, f"tls_config: {{{ca}, min_version: TLS12}}"),
        "min13": (old, f"tls_config: {{{ca}, min_version: TLS13}}"),
    }
    n = Narthex(folder, configuration(jobs))
    running.append(n)
    got = outcomes(n, jobs)
    good = {"ca", "inline_ca", "insecure", "server_name", "client", "min12"}
    assert {name for name, up in got.items() if up} == good, got
    assert "db.example" in named.names and named.target in named.hosts, (named.names, named.hosts)
    targets = n.get("/api/v1/targets").body.decode()
    assert "unable to read CA cert: unable to read file" in targets and "empty" in targets, targets


def https_goes_through_a_proxy_by_connect(folder, running):
    make_ca(folder, "ca")
    make_cert(folder, "server", "ca")
    target, spared, proxy = Target(folder, "server"), Target(folder, "server"), Proxy()
    running.extend([target, spared, proxy])
    tls = f"tls_config: {{ca_file: {folder}/ca.pem}}\nproxy_url: {proxy.url}\n"
    jobs = {"proxied": (target, tls), "spared": (spared, tls + "no_proxy: 127.0.0.1")}
    n = Narthex(folder, configuration(jobs))
    running.append(n)
    assert outcomes(n, jobs) == {"proxied": True, "spared": True}
    assert ("CONNECT", target.target) in proxy.asked and ("CONNECT", spared.target) not in proxy.asked, proxy.asked


def secrets_in_files_are_read_anew_and_never_hold_up_the_server(folder, running):
    target, slow = Target(folder, None), Target(folder, None)
    running.extend([target, slow])
    token, fifo = f"{folder}/token", f"{folder}/fifo"
    with open(token, "w") as f:
        f.write("one\n")
    os.mkfifo(fifo)
    jobs = {"token": (target, f"scheme: http\nauthorization: {{credentials_file: {token}}}"),
            "slow": (slow, f"scheme: http\nbasic_auth: {{username: ann, password_file: {fifo}}}")}
    n = Narthex(folder, configuration(jobs))
    running.append(n)
    wait_for("the first token", lambda: "Bearer one" in target.auth)
    with open(token, "w") as f:
        f.write("two\n")
    wait_for("the second token", lambda: "Bearer two" in target.auth)
    # a file that does not answer holds up its own scrape only
    assert not slow.auth
    for _ in range(20):
        start = time.monotonic()
        assert request(n.url + "/-/healthy").status == 200 and time.monotonic() - start < 2
    wanted = "Basic " + base64.b64encode(b"ann:secret").decode()

    def feed():
        fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        os.write(fd, b"secret\n")
        os.close(fd)
        time.sleep(0.2)
        return wanted in slow.auth
    wait_for("the slow secret", feed)
    # Whoever waits in the file at the end is let go, so that the server can stop.
    done = threading.Event()

    def release():
        while not done.wait(0.05):
            try:
                os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
            except OSError:
                pass
    threading.Thread(target=release, daemon=True).start()
    try:
        assert n.stop() == 0
    finally:
        done.set()


run(tls_options_do_what_they_say, https_goes_through_a_proxy_by_connect,
    secrets_in_files_are_read_anew_and_never_hold_up_the_server)
