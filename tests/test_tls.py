"""Detached TLS with other people's clients: OpenSSL, GnuTLS, wolfSSL, mbedTLS, NSS, Node.js, curl and Python talk, park,
are woken, change keys, resume and leave. And what is left of their keys in the memory of a front: nothing."""

import base64
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import unittest

from eas import query
from eas.http import Connection, tls_client_context
from lib.case import ServerCase
from lib.server import eventually

ROUNDS = 100
SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tls-clients")
HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
SUITES = (("-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"), ("-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"),
          ("-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"),
          ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"),
          ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"),
          ("-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"), ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"))


class Pipe:
    """A TLS client as a program: what we write goes to the server, what it says comes back."""

    def __init__(self, *argv):
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, bufsize=0)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text = b""

    def send(self, octets):
        self.process.stdin.write(octets)

    def seen(self, pattern):
        """Takes everything up to the end of the pattern."""
        self.text += self.process.stdout.read() or b""
        found = re.search(pattern, self.text, re.DOTALL)
        if found:
            self.text = self.text[found.end():]
        return found

    def expect(self, pattern):
        return eventually(lambda: self.seen(pattern), what=f"{pattern} in {self.text[-300:]}")

    def end(self):
        """Our clients (tls-clients/) say so when the server has answered their close_notify."""
        self.process.stdin.close()
        self.expect(rb"closed\n")
        if self.process.wait() != 0:
            raise AssertionError(f"exit status {self.process.returncode}")

    def close(self):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


class Clients(ServerCase):
    https = True
    settings = {"tls.park": "detach"}

    def program(self, name):
        path = shutil.which(name)
        self.assertIsNotNone(path, f"{name} is not installed (tools/packages)")
        return path

    def head(self, device, verb, command="", length=0, kind=""):
        login = base64.b64encode(f"{device.user}:{device.password}".encode()).decode()
        lines = [f"{verb} {device.target(command) if command else query.PATH} HTTP/1.1", "Host: localhost",
                 f"Authorization: Basic {login}", f"Content-Length: {length}"]
        if command:
            lines += [f"{name}: {value}" for name, value in device.headers(command).items()
                      if name.lower() not in ("authorization", "content-length", "host")]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def talk(self, client, after=lambda client, round: None, rounds=ROUNDS):
        """Many requests, and a wait that mail ends, on one connection."""
        device = self.phone("14.1")
        device.prime()
        device.ping_send(heartbeat=600).close()  # so that the server knows what to watch: an empty Ping repeats it
        for number in range(rounds):
            after(client, number)
            client.send(self.head(device, "OPTIONS"))
            client.expect(rb"HTTP/1\.1 200 .*?\r\n\r\n")
        client.send(self.head(device, "POST", "Ping"))
        self.deliver(self.owner, subject="wake up")
        client.expect(rb"HTTP/1\.1 200 .*?application/vnd.ms-sync.wbxml.*?\r\n\r\n")

    def test_openssl(self):
        """Each suite; new keys on both sides, where the version has them; one that stays with OpenSSL."""
        program = self.program("openssl")
        for suite in SUITES:
            with self.subTest(suite=suite):
                client = Pipe(program, "s_client", "-connect", f"127.0.0.1:{self.server.https_port}", *suite)
                self.addCleanup(client.close)

                def update(client, number):
                    if suite[0] == "-tls1_3" and number % 10 == 5:
                        client.send(b"K\n" if number % 20 == 5 else b"k\n")
                        client.expect(rb"KEYUPDATE")

                self.talk(client, update)

    def test_gnutls(self):
        program = self.program("gnutls-cli")
        for version in ("TLS1.3", "TLS1.2"):
            with self.subTest(version=version):
                client = Pipe(program, "--no-ca-verification", "--port", str(self.server.https_port),
                              "--priority", f"NORMAL:-VERS-ALL:+VERS-{version}", "localhost")
                self.addCleanup(client.close)
                client.expect(rb"Simple Client Mode:\s*")
                self.talk(client)

    def compiled(self, name, *libraries):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, name)
        subprocess.run([self.program("cc"), "-o", path, os.path.join(SOURCES, f"{name}.c"), *libraries], check=True)
        return path

    def client(self, *argv):
        client = Pipe(*argv)
        self.addCleanup(client.close)
        return client

    def test_wolfssl(self):
        program = self.compiled("wolfssl", "-lwolfssl")

        def update(client, number):
            if number % 10 == 5:
                client.send(b"\x01")

        for version in ("tls1.2", "tls1.3"):
            with self.subTest(version=version):
                client = self.client(program, str(self.server.https_port), version)
                self.talk(client, *([update] if version == "tls1.3" else []))
                client.end()

    def test_mbedtls(self):
        client = self.client(self.compiled("mbedtls", "-lmbedtls", "-lmbedx509", "-lmbedcrypto"), str(self.server.https_port))
        self.talk(client)
        client.end()

    def test_node(self):
        program = self.program("node")
        for version in ("TLSv1.2", "TLSv1.3"):
            with self.subTest(version=version):
                client = self.client(program, os.path.join(SOURCES, "node.js"), str(self.server.https_port), version)
                self.talk(client)
                client.end()

    def test_nss(self):
        program = self.program("tstclnt")
        for version in ("tls1.2", "tls1.3"):
            with self.subTest(version=version):
                self.talk(self.client(program, "-h", "127.0.0.1", "-p", str(self.server.https_port), "-o", "-D", "-V",
                                      f"{version}:{version}"))

    def test_python(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version=version):
                context = tls_client_context(version)
                device = self.phone("14.1", tls=True)
                device.prime()
                session = None
                for _ in range(3):
                    with Connection(self.server.https_port, context=context) as connection:
                        connection.socket.close()
                    raw = Connection(self.server.https_port)
                    sock = context.wrap_socket(raw.socket, server_hostname="localhost", session=session)
                    sock.sendall(self.head(device, "OPTIONS"))
                    self.assertIn(b" 200 ", sock.recv(4096))
                    self.assertEqual(sock.session_reused, session is not None)
                    session = sock.session
                    plain = sock.unwrap()  # our close_notify for theirs
                    plain.close()

    def test_curl(self):
        program = self.program("curl")
        device = self.phone("14.1")
        url = f"https://127.0.0.1:{self.server.https_port}{query.PATH}"
        done = subprocess.run([program, "-sk", "-X", "OPTIONS", "-u", f"{device.user}:{device.password}", "-w",
                               "%{http_code} %{num_connects}\n", *[url] * 50], capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout.split(), ["200", "1"] + ["200", "0"] * 49)


class Memory(ServerCase):
    """A scan of what a core of a front would hold."""

    https = True
    settings = {"server.front_core": "yes", "server.fronts": 1, "tls.park": "detach"}

    def in_core(self, secrets):
        """Names of those that a core would hold: the kernel leaves out what is marked so."""
        pid, left_out, start = self.server.front_pids()[0], set(), None
        with open(f"/proc/{pid}/smaps") as maps:
            for line in maps:
                words = line.split()
                if re.fullmatch(r"[0-9a-f]+-[0-9a-f]+", words[0]):
                    start = words[0]
                elif words[0] == "VmFlags:" and "dd" in words:
                    left_out.add(start)
        return self.scan(secrets, left_out)

    def scan(self, secrets, left_out=()):
        """Names of those secrets that lie anywhere in the front's memory."""
        pid, found = self.server.front_pids()[0], set()
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in maps:
                span, mode = line.split()[:2]
                if not mode.startswith("rw") or span in left_out:
                    continue
                start, end = (int(x, 16) for x in span.split("-"))
                try:
                    octets = os.pread(memory.fileno(), end - start, start)
                except OSError:
                    continue
                found |= {name for name, secret in secrets.items() if secret in octets}
        return found

    def secrets(self, path):
        with open(path) as log:
            return {line.split()[0]: bytes.fromhex(line.split()[2]) for line in log if not line.startswith("#")}

    def test_closed(self):
        """While it lives its two secrets are there, though in no core, and none of the handshake's; afterwards nothing."""
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            with self.subTest(version=version), tempfile.TemporaryDirectory() as folder:
                context = tls_client_context(version)
                context.keylog_filename = os.path.join(folder, "keys")
                with Connection(self.server.https_port, context=context) as connection:
                    connection.request("GET", "/healthz")
                    self.assertEqual(connection.response().status, 200)
                    secrets = self.secrets(context.keylog_filename)
                    alive = {name for name in secrets if "TRAFFIC_SECRET_0" in name}
                    self.assertEqual(self.scan(secrets), alive)
                    self.assertEqual(self.in_core(secrets), set())
                eventually(lambda: not self.scan(secrets), what=f"no secret of a closed connection: {self.scan(secrets)}")

    def test_after_new_keys(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "keys")
            client = Pipe(shutil.which("openssl"), "s_client", "-connect", f"127.0.0.1:{self.server.https_port}",
                          "-tls1_3", "-keylogfile", path)
            self.addCleanup(client.close)
            client.send(HEALTHZ)
            client.expect(rb"HTTP/1\.1 200 .*?ok")
            secrets = self.secrets(path)
            self.assertEqual(self.scan(secrets), {"CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"})
            client.send(b"K\n")
            client.expect(rb"KEYUPDATE")
            client.send(HEALTHZ)
            client.expect(rb"HTTP/1\.1 200 .*?ok")
            self.assertEqual(self.scan(secrets), set())


if __name__ == "__main__":
    unittest.main()
