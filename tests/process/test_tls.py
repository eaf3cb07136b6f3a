"""--web.config.file: TLS, client certificates, passwords, and what goes wrong with them. Keys are made by openssl here."""

import base64
import concurrent.futures
import os
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

from harness import BUILD, SLOW, Narthex, Process, free_port, peer, run, wait_for
from tls_files import hash_of, make_ca, make_cert

EMPTY = "global: {scrape_interval: 1s}\n"


SECRET = hash_of("secret")


class Secured(Narthex):
    """A server with a web configuration; asked through context() and auth."""

    def __init__(self, folder, web, running, flags=(), config=EMPTY, auth=None, client=None, wait=True):
        self.auth = auth
        super().__init__(folder, config, flags=("--web.config.file=" + os.path.join(folder, "web.yml"), *flags),
                         files={"web.yml": web}, wait=False)
        running.append(self)
        self.tls = "tls_server_config" in web
        self.client = client
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"
        if wait:
            wait_for("the server to be ready", lambda: self.ask("/-/ready").status == 200, 60)

    def context(self, client=None, **kw):
        c = ssl.create_default_context(cafile=os.path.join(self.folder, "ca.pem"))
        client = client or self.client
        if client:
            c.load_cert_chain(os.path.join(self.folder, client + ".pem"), os.path.join(self.folder, client + ".key"))
        for k, v in kw.items():
            setattr(c, k, v)
        return c

    def ask(self, path, auth=None, client=None, headers=None, **kw):
        h = dict(headers or {})
        auth = auth or self.auth
        if auth:
            h["Authorization"] = "Basic " + base64.b64encode(":".join(auth).encode()).decode()
        r = urllib.request.Request(self.url + path, headers=h)
        try:
            with urllib.request.urlopen(r, timeout=30 * SLOW, context=self.context(client, **kw) if self.tls else None) as f:
                f.body = f.read()
                return f
        except urllib.error.HTTPError as e:
            e.body = e.read()
            return e

    def refused(self, **kw):
        """The handshake, or the first bytes after it (TLS 1.3 tells late), end with an alert."""
        try:
            self.ask("/-/healthy", **kw)
            return False
        except (ssl.SSLError, ConnectionError):
            return True
        except urllib.error.URLError as e:
            return isinstance(e.reason, (ssl.SSLError, ConnectionError))


TLS = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"


def make_all(folder):
    make_ca(folder, "ca")
    make_ca(folder, "otherca")
    make_cert(folder, "server", "ca", serial=11)
    make_cert(folder, "client", "ca", san="DNS:client.example,IP:10.0.0.1,URI:spiffe://a/b")
    make_cert(folder, "stranger", "otherca", san="DNS:client.example")


def tls_is_served_with_the_headers_of_the_file(folder, running):
    make_all(folder)
    n = Secured(folder, TLS + "http_server_config:\n  http2: true\n  headers:\n    Strict-Transport-Security: max-age=5\n"
                "    X-Frame-Options: deny\n    X-Content-Type-Options: nosniff\n", running)
    a = n.ask("/api/v1/query?query=1")
    assert a.status == 200 and b"success" in a.body
    assert a.headers["Strict-Transport-Security"] == "max-age=5" and a.headers["X-Frame-Options"] == "deny", a.headers
    a = n.ask("/nowhere")
    assert a.status == 404 and a.headers.get_all("X-Content-Type-Options") == ["nosniff"], a.headers
    # a large answer, and TLS 1.3 with ALPN
    c = n.context()
    c.set_alpn_protocols(["h2", "http/1.1"])
    with c.wrap_socket(socket.create_connection(("127.0.0.1", n.port)), server_hostname="localhost") as s:
        assert s.version() == "TLSv1.3" and s.selected_alpn_protocol() == "http/1.1"
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = b""
        while part := s.recv(65536):
            got += part
        assert got.startswith(b"HTTP/1.1 200") and b"narthex_build_info" in got or b"prometheus_build_info" in got
    c.set_alpn_protocols(["h2"])
    try:
        c.wrap_socket(socket.create_connection(("127.0.0.1", n.port)), server_hostname="localhost")
        raise AssertionError("a client that only speaks HTTP/2 was accepted")
    except ssl.SSLError as e:
        assert "alert" in str(e).lower(), e


def garbage_on_a_tls_port_is_refused_cleanly(folder, running):
    make_all(folder)
    n = Secured(folder, TLS, running)
    for junk in (b"\x00" * 500, b"\x16\x03\x01\xff\xff" + b"x" * 70000, os.urandom(3000), b"\x16\x03\x01\x00\x05abc",
                 b"SSH-2.0-x\r\n"):
        with socket.create_connection(("127.0.0.1", n.port)) as s:
            s.settimeout(30 * SLOW)
            try:
                s.sendall(junk)
                s.shutdown(socket.SHUT_WR)
                while s.recv(4096):
                    pass
            except ConnectionError:
                pass
    with socket.create_connection(("127.0.0.1", n.port)) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        got = s.recv(4096)
        assert got.startswith(b"HTTP/1.0 400") and b"HTTP request to an HTTPS server" in got, got
    assert n.ask("/-/healthy").status == 200


def each_client_auth_type(folder, running):
    make_all(folder)
    want = {  # none, ours, a stranger's
        "NoClientCert": (True, True, True), "RequestClientCert": (True, True, True),
        "RequireAnyClientCert": (False, True, True), "VerifyClientCertIfGiven": (True, True, False),
        "RequireAndVerifyClientCert": (False, True, False)}
    for kind, expected in want.items():
        ca = "" if kind == "NoClientCert" else "  client_ca_file: ca.pem\n"
        n = Secured(os.path.join(folder), TLS + f"  client_auth_type: {kind}\n{ca}", running, client="client")
        got = []
        for client in (None, "client", "stranger"):
            n.client = client
            got.append(not n.refused())
        assert tuple(got) == expected, (kind, got)
        n.client = "client"
        running.remove(n)
        assert n.stop() == 0


def only_allowed_names_may_connect(folder, running):
    make_all(folder)
    make_cert(folder, "other", "ca", san="DNS:other.example")
    web = TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  client_allowed_sans: [{}]\n"
    for name in ("client.example", "10.0.0.1", "spiffe://a/b"):
        n = Secured(folder, web.format(f"'{name}'"), running, client="client")
        assert n.refused(client="other"), name
        running.remove(n)
        assert n.stop() == 0


def versions_and_suites_have_a_floor(folder, running):
    make_all(folder)
    n = Secured(folder, TLS + "  min_version: TLS13\n", running)
    assert n.refused(maximum_version=ssl.TLSVersion.TLSv1_2)
    running.remove(n)
    n.stop()
    n = Secured(folder, TLS + "  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n"
                "  curve_preferences: [CurveP384]\n", running)
    with n.context().wrap_socket(socket.create_connection(("127.0.0.1", n.port)), server_hostname="localhost") as s:
        assert s.version() == "TLSv1.2" and s.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384", s.cipher()
    assert n.refused(minimum_version=ssl.TLSVersion.TLSv1_3)


def serial_of(n):
    with n.context().wrap_socket(socket.create_connection(("127.0.0.1", n.port)), server_hostname="localhost") as s:
        return int(s.getpeercert()["serialNumber"], 16)


def a_renewed_certificate_is_taken_under_load(folder, running):
    make_all(folder)
    n = Secured(folder, TLS, running)
    assert serial_of(n) == 11
    stop, errors, count = threading.Event(), [], [0]

    def load():
        while not stop.is_set():
            try:
                assert n.ask("/-/healthy").status == 200
                count[0] += 1
            except Exception as e:
                errors.append(e)

    workers = [threading.Thread(target=load) for _ in range(3)]
    for w in workers:
        w.start()
    try:
        make_cert(folder, "server", "ca", serial=22, out="new")
        os.rename(os.path.join(folder, "new.key"), os.path.join(folder, "server.key"))  # key and certificate differ now
        time.sleep(3.5)
        assert serial_of(n) == 11
        os.rename(os.path.join(folder, "new.pem"), os.path.join(folder, "server.pem"))
        wait_for("the new certificate", lambda: serial_of(n) == 22, 20)
    finally:
        stop.set()
        for w in workers:
            w.join()
    assert not errors and count[0] > 10, (errors[:3], count)
    assert n.log().count("Error reloading the web configuration") == 1, n.log()


USERS = f"basic_auth_users:\n  ann: {SECRET}\n  bob: {SECRET}\n"


def only_users_with_their_password_get_in(folder, running):
    n = Secured(folder, USERS, running, auth=("ann", "secret"))
    for path in ("/-/healthy", "/metrics", "/nowhere", "/api/v1/query?query=1"):
        a = n.ask(path, auth=("ann", "wrong"))
        assert a.status == 401 and a.headers["WWW-Authenticate"] == "Basic" and a.body == b"Unauthorized\n", (path, a.status)
    n.auth = None
    assert n.ask("/-/healthy").status == 401
    for value in ("Basic", "Basic ", "Basic !!!!", "Basic " + base64.b64encode(b"ann").decode(), "Bearer x",
                  "Basic " + base64.b64encode(b"ann:secret\0x").decode(), "Basic " + "A" * 8000):
        assert n.ask("/-/healthy", headers={"Authorization": value}).status == 401, value
    assert n.ask("/-/healthy", auth=("bob", "secret")).status == 200
    assert n.ask("/-/healthy", auth=("eve", "secret")).status == 401
    assert n.ask("/-/healthy", auth=("", "")).status == 401


def passwords_cost_the_same_for_unknown_names_and_little_once_known(folder, running):
    n = Secured(folder, USERS, running, auth=("ann", "secret"))

    def cost(user, password):
        times = []
        for i in range(7):
            t = time.monotonic()
            n.ask("/-/healthy", auth=(user, password.format(i)))
            times.append(time.monotonic() - t)
        return sorted(times)[3]

    wrong, unknown, known = cost("ann", "wrong{}"), cost("eve", "wrong{}"), cost("ann", "secret")
    assert 0.5 < wrong / unknown < 2, (wrong, unknown)
    assert known < wrong / 3, (known, wrong)
    # while passwords are guessed, those who are known do not wait
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        guesses = [pool.submit(n.ask, "/-/healthy", ("ann", f"guess{i}")) for i in range(40)]
        assert cost("ann", "secret") < 10 * wrong
        assert {g.result().status for g in guesses} == {401}


def users_change_without_a_restart_and_a_bad_file_changes_nothing(folder, running):
    n = Secured(folder, USERS, running, auth=("ann", "secret"))
    n.write("web.yml", "basic_auth_users:\n  ann: nonsense\n")
    wait_for("the complaint", lambda: "hashedSecret too short" in n.log(), 20)
    time.sleep(3)
    assert n.log().count("hashedSecret too short") == 1 and n.ask("/-/healthy").status == 200
    n.write("web.yml", f"basic_auth_users:\n  ann: {hash_of('rotated', 4)}\n")
    wait_for("the new password", lambda: n.ask("/-/healthy", auth=("ann", "rotated")).status == 200, 20)
    assert n.ask("/-/healthy", auth=("ann", "secret")).status == 401
    assert n.ask("/-/healthy", auth=("bob", "secret")).status == 401


def requests_over_the_rate_get_429(folder, running):
    n = Secured(folder, "rate_limit: {interval: 1h, burst: 5}\n", running, wait=False)
    wait_for("the server", lambda: n.ask("/-/healthy").status == 200)
    got = [n.ask("/-/healthy").status for _ in range(6)]
    assert got[-1] == 429 and got.count(200) <= 4, got


def slow_handshakes_time_out(folder, running):
    make_all(folder)
    n = Secured(folder, TLS, running, flags=("--web.read-timeout=1s",))
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", n.port)) as silent, socket.create_connection(("127.0.0.1", n.port)) as slow:
        silent.settimeout(10 * SLOW)
        for b in b"\x16\x03\x01\x02\x00":
            slow.sendall(bytes([b]))
            time.sleep(0.1)
        assert silent.recv(1) == b""
        slow.settimeout(10 * SLOW)
        try:
            assert slow.recv(1) == b""
        except ConnectionError:
            pass
    assert time.monotonic() - start < 5 * SLOW
    assert n.ask("/-/healthy").status == 200


def a_thousand_handshakes(folder, running):
    """Whether memory leaks is seen by the sanitizer's build; here that all of them work."""
    make_all(folder)
    n = Secured(folder, TLS, running)
    c = n.context()
    for i in range(1000):
        s = c.wrap_socket(socket.create_connection(("127.0.0.1", n.port)), server_hostname="localhost")
        if i % 3 == 0:
            s.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            assert s.recv(100).startswith(b"HTTP/1.1 200")
        s.close()
    assert n.stop() == 0
    running.remove(n)


def others_scrape_and_query_us_over_tls_with_a_password(folder, running):
    make_all(folder)
    n = Secured(folder, TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n" + USERS, running,
                auth=("ann", "secret"), client="client")
    with open(os.path.join(folder, "password"), "w") as f:
        f.write("secret\n")
    tls = (f"tls_config: {{ca_file: {folder}/ca.pem, cert_file: {folder}/client.pem, key_file: {folder}/client.key, "
           "server_name: localhost, min_version: TLS12}")
    http = f"basic_auth: {{username: ann, password_file: {folder}/password}}\n"
    config = ("global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n  - job_name: tls\n    scheme: https\n"
              f"    {http}    {tls}\n    static_configs: [{{targets: ['127.0.0.1:{n.port}']}}]\n")
    # ourselves, as a client
    other = Narthex(os.path.join(folder, "other"), config)
    running.append(other)
    wait_for("our own scrape", lambda: other.value("up{job='tls'}") == 1, 20)
    os.rename(os.path.join(folder, "password"), os.path.join(folder, "gone"))
    wait_for("a scrape without a password", lambda: other.value("up{job='tls'}") == 0, 20)
    assert "unable to read password" in other.get("/api/v1/targets").body.decode()
    os.rename(os.path.join(folder, "gone"), os.path.join(folder, "password"))
    wait_for("our own scrape again", lambda: other.value("up{job='tls'}") == 1, 20)
    promtool, prometheus = peer("promtool"), peer("prometheus")
    if promtool:
        path = os.path.join(folder, "client.yml")
        with open(path, "w") as f:
            f.write(http + tls + "\n")
        r = subprocess.run([promtool, "query", "instant", f"--http.config.file={path}", n.url, "1+1"],
                           capture_output=True, text=True)
        # Debian's promtool is older than the flag
        assert "unknown long flag" in r.stderr or r.returncode == 0 and "2" in r.stdout, r
    if prometheus:
        with open(os.path.join(folder, "peer.yml"), "w") as f:
            f.write(config)
        port = free_port()
        p = Process([prometheus, f"--config.file={folder}/peer.yml", f"--storage.tsdb.path={folder}/peer",
                     f"--web.listen-address=127.0.0.1:{port}"], os.path.join(folder, "peer.log"))
        running.append(p)

        def up():
            import json
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?query=up") as f:
                return json.load(f)["data"]["result"][0]["value"][1] == "1"
        wait_for("Prometheus to scrape us", up, 30)


TLS13 = "TLS_AES_128_GCM_SHA256"
VERDICTS = [  # what promtool says of it
    ("", True), ("{}", True), ("foo: 1\n", False), (TLS, True), ("[]\n", False),
    ("tls_server_config:\n  cert_file: server.pem\n", False), ("tls_server_config:\n  key_file: server.key\n", False),
    ("tls_server_config: {}\n", True), ("tls_server_config: {min_version: TLS12}\n", True),
    ("tls_server_config: {client_ca_file: ca.pem}\n", False), ("tls_server_config: {client_auth_type: NoClientCert}\n", False),
    ("tls_server_config: {cert: x, key: y}\n", False), ("tls_server_config: {cert_file: nope, key_file: server.key}\n", False),
    ("tls_server_config: {cert_file: server.pem, key_file: ca.key}\n", False),
    ("tls_server_config: {cert_file: server.pem, key_file: server.pem}\n", False),
    (TLS + "  cert: x\n", True), (TLS + "  client_auth_type: Foo\n", False),
    *[(TLS + f"  client_auth_type: {t}\n", True) for t in (
        "NoClientCert", "RequestClientCert", "RequireAnyClientCert", "RequireClientCert", "VerifyClientCertIfGiven",
        "RequireAndVerifyClientCert")],
    (TLS + "  client_ca_file: ca.pem\n", False), (TLS + "  client_ca_file: nope\n  client_auth_type: RequestClientCert\n", False),
    (TLS + "  client_ca_file: server.key\n  client_auth_type: RequireAndVerifyClientCert\n", True),
    (TLS + "  client_ca: x\n", False), (TLS + "  min_version: TLS09\n", False), (TLS + "  max_version: TLS11\n", True),
    (TLS + "  min_version: TLS10\n", True), (TLS + "  min_version: TLS13\n  max_version: TLS12\n", True),
    (TLS + "  cipher_suites: [FOO]\n", False), (TLS + f"  cipher_suites: [{TLS13}]\n", True),
    (TLS + "  cipher_suites: []\n", True), (TLS + "  cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]\n", False),
    (TLS + "  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n", False),
    *[(TLS + f"  cipher_suites: [TLS_{c}]\n", True) for c in (
        "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256", "ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        "ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE_RSA_WITH_AES_256_CBC_SHA",
        "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256")],
    (TLS + "  cipher_suites: [TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305]\n", False),
    (TLS + "  curve_preferences: [FOO]\n", False), (TLS + "  curve_preferences: [X25519, CurveP256, CurveP384, CurveP521]\n", True),
    (TLS + "  prefer_server_cipher_suites: false\n", True), (TLS + "  client_allowed_sans: [a]\n", True),
    ("http_server_config: {http2: true}\n", True), ("http_server_config: {http2: maybe}\n", False),
    *[("http_server_config: {headers: {%s: %s}}\n" % h, ok) for h, ok in (
        (("X-Foo", "a"), False), (("X-Frame-Options", "foo"), False), (("X-Frame-Options", "deny"), True),
        (("X-Frame-Options", "sameorigin"), True), (("x-frame-options", "deny"), False),
        (("X-Content-Type-Options", "foo"), False), (("X-Content-Type-Options", "nosniff"), True),
        (("X-XSS-Protection", "foo"), True), (("Strict-Transport-Security", "foo"), True),
        (("Content-Security-Policy", "foo"), True))],
    *[(f"basic_auth_users: {{a: {h}}}\n", ok) for h, ok in (
        ("b", False), ("", False), (SECRET, True), (SECRET.replace("$2b", "$2y"), True), (SECRET.replace("$2b", "$1b"), True),
        (SECRET.replace("$2b", "$3b"), False), (SECRET.replace("$10$", "$99$"), False), (SECRET.replace("$10$", "$02$"), False),
        (SECRET.replace("$10$", "$x0$"), False), ("x" + SECRET[1:], False))],
    ("basic_auth_users: {}\nbasic_auth_users: {}\n", False), ("rate_limit: {burst: 1}\n", True), ("rate_limit: {burst: x}\n", False),
    *[(f"rate_limit: {{interval: {v}}}\n", ok) for v, ok in (
        ("1s", True), ("1x", False), ("1d", False), ("1h30m", True), ("1.5s", True), ("5", True), ("-5s", True), ("''", False))],
]


def nartool_judges_web_configurations_as_promtool_does(folder, running):
    make_all(folder)
    path = os.path.join(folder, "w.yml")
    nartool, promtool = os.path.join(BUILD, "tools/nartool"), peer("promtool")
    if promtool and " 3." not in (lambda r: r.stdout + r.stderr)(
            subprocess.run([promtool, "--version"], capture_output=True, text=True)).splitlines()[0]:
        promtool = None  # older ones know other suites
    wrong = []
    for text, ok in VERDICTS:
        with open(path, "w") as f:
            f.write(text)
        for program in filter(None, (nartool, promtool)):
            r = subprocess.run([program, "check", "web-config", path], capture_output=True, text=True)
            says = (r.returncode, (path + (" SUCCESS" if ok else " FAILED: ")) in r.stderr, r.stdout)
            if says != (0 if ok else 1, True, ""):
                wrong.append((text, program, r))
    assert not wrong, wrong
    with open(path, "w") as f:
        f.write("tls_server_config:\n  cert_fil: a\n")
    r = subprocess.run([nartool, "check", "web-config", path], capture_output=True, text=True)
    assert f"{path}:2:3: unknown key" in r.stderr and "cert_file" in r.stderr, r
    r = subprocess.run([nartool, "check", "web-config", folder + "/nope"], capture_output=True, text=True)
    assert r.returncode == 1 and "does not exist" in r.stderr, r


run(tls_is_served_with_the_headers_of_the_file, garbage_on_a_tls_port_is_refused_cleanly, each_client_auth_type,
    only_allowed_names_may_connect, versions_and_suites_have_a_floor, a_renewed_certificate_is_taken_under_load,
    only_users_with_their_password_get_in, passwords_cost_the_same_for_unknown_names_and_little_once_known,
    users_change_without_a_restart_and_a_bad_file_changes_nothing, requests_over_the_rate_get_429,
    slow_handshakes_time_out, a_thousand_handshakes, others_scrape_and_query_us_over_tls_with_a_password,
    nartool_judges_web_configurations_as_promtool_does)
