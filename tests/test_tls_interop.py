"""Detached TLS with other people's libraries. On one connection each client waits, renews its Ping a hundred times from the
front's memory, changes keys where it can, is woken by mail, talks on, and takes its leave; with both versions and each suite.
The clock of the front runs faster (clock/fastclock.c), so that a heartbeat of a second is short."""

import concurrent.futures
import os
import shutil
import ssl
import subprocess
import tempfile
import threading
import unittest

from eas import query, wbxml
from eas.client import WBXML_TYPE
from eas.http import tls_client_context
from lib import mail, tls_clients
from lib.case import ServerCase
from lib.server import eventually
from lib.tls_clients import Curl, GnuTLS, OpenSSL, Ordered, Python, Tap, compiled, program

ROUNDS = 100
QUICK = 40
UPDATE_EVERY = 10
SUITES = ("AES-128-GCM", "AES-256-GCM", "CHACHA20-POLY1305", "CBC")  # the last is never detached
NUMBERS = {("1.3", "AES-128-GCM"): 0x1301, ("1.3", "AES-256-GCM"): 0x1302, ("1.3", "CHACHA20-POLY1305"): 0x1303,
           ("1.2", "AES-128-GCM"): 0xC02B, ("1.2", "AES-256-GCM"): 0xC02C, ("1.2", "CHACHA20-POLY1305"): 0xCCA9,
           ("1.2", "CBC"): 0xC023}
NAMES_13 = {"AES-128-GCM": "TLS_AES_128_GCM_SHA256", "AES-256-GCM": "TLS_AES_256_GCM_SHA384",
            "CHACHA20-POLY1305": "TLS_CHACHA20_POLY1305_SHA256"}
OPENSSL_12 = {"AES-128-GCM": "ECDHE-ECDSA-AES128-GCM-SHA256", "AES-256-GCM": "ECDHE-ECDSA-AES256-GCM-SHA384",
              "CHACHA20-POLY1305": "ECDHE-ECDSA-CHACHA20-POLY1305", "CBC": "ECDHE-ECDSA-AES128-SHA256"}
WOLFSSL_13 = {"AES-128-GCM": "TLS13-AES128-GCM-SHA256", "AES-256-GCM": "TLS13-AES256-GCM-SHA384",
              "CHACHA20-POLY1305": "TLS13-CHACHA20-POLY1305-SHA256"}
RFC_12 = {"AES-128-GCM": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "AES-256-GCM": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
          "CHACHA20-POLY1305": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"}
JAVA = ("-Xshare:auto", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx64m")
JAVA_KEY_LIMIT = 2048  # bytes under one key


class Life:
    """One client from its first request to its last."""

    def __init__(self, name, version, suite, begin, wire, port):
        self.name, self.version, self.suite, self.begin, self.wire, self.port = name, version, suite, begin, wire, port
        self.client = self.device = None

    def __repr__(self):
        return f"{self.name}, TLS {self.version}, {self.suite}"


BUILT = {}


def setUpModule():
    BUILT["folder"] = folder = tempfile.mkdtemp()
    unittest.addModuleCleanup(shutil.rmtree, folder)
    nss = subprocess.run(["pkg-config", "--cflags", "--libs", "nss"], capture_output=True, text=True, check=True)
    for name, flags in (("gnutls", ["-lgnutls"]), ("wolfssl", ["-lwolfssl"]), ("nss", nss.stdout.split()),
                        ("mbedtls", ["-lmbedtls", "-lmbedx509", "-lmbedcrypto"])):
        BUILT[name] = compiled(folder, os.path.join(tls_clients.SOURCES, f"{name}.c"), *flags)
    subprocess.run([program("javac"), "-d", folder, os.path.join(tls_clients.SOURCES, "Client.java")], check=True)


class Interop(ServerCase):
    https = True
    park = "detach"
    suites = SUITES
    clock = {"rate": QUICK, "role": "front"}
    settings = {"tls.park": park, "server.fronts": 1, "push.heartbeat_min_s": 1, "http.renew_gap_s": 3600,
                "http.keepalive_timeout_s": 3600, "http.request_timeout_s": 600,
                "tls.handshake_timeout_s": 300, "push.renew_lease_s": 86400}

    # How each library is told its version and suite; None: it has not got them.

    def openssl(self, life):
        if life.version == "1.3":
            return OpenSSL(life.port, "-tls1_3", "-ciphersuites", NAMES_13[life.suite], updates=True)
        return OpenSSL(life.port, "-tls1_2", "-cipher", OPENSSL_12[life.suite])

    def gnutls_cli(self, life):
        return GnuTLS(life.port, self.priority(life))

    def gnutls_library(self, life):
        return Ordered(BUILT["gnutls"], str(life.port), life.version, self.priority(life), updates=life.version == "1.3")

    def priority(self, life):
        return f"NORMAL:-VERS-ALL:+VERS-TLS{life.version}:-CIPHER-ALL:+{life.suite}"

    def wolf(self, life):
        name = WOLFSSL_13 if life.version == "1.3" else OPENSSL_12
        return Ordered(BUILT["wolfssl"], str(life.port), life.version, name[life.suite], updates=life.version == "1.3")

    def mbed(self, life):
        return Ordered(BUILT["mbedtls"], str(life.port), "1.2", RFC_12[life.suite].replace("_", "-"))

    def netscape(self, life):
        return Ordered(BUILT["nss"], str(life.port), life.version, f"{NUMBERS[life.version, life.suite]:x}",
                       updates=life.version == "1.3")

    def node(self, life):
        name = NAMES_13 if life.version == "1.3" else OPENSSL_12
        return Ordered(program("node"), os.path.join(tls_clients.SOURCES, "node.js"), str(life.port), life.version,
                       name[life.suite])

    def java(self, life):
        name = NAMES_13 if life.version == "1.3" else RFC_12
        return Ordered(program("java"), *JAVA, "-cp", BUILT["folder"], "Client", str(life.port), life.version, name[life.suite],
                       str(JAVA_KEY_LIMIT))

    def python(self, life):
        context = tls_client_context(ssl.TLSVersion.TLSv1_3 if life.version == "1.3" else ssl.TLSVersion.TLSv1_2)
        if life.version == "1.2":
            context.set_ciphers(OPENSSL_12[life.suite])
        return Python(life.port, context)

    def curl(self, life):
        options = (["--tlsv1.3", "--tls13-ciphers", NAMES_13[life.suite]] if life.version == "1.3" else
                   ["--tlsv1.2", "--tls-max", "1.2", "--ciphers", OPENSSL_12[life.suite]])
        requests = []
        for number, (method, target, headers, body, times) in enumerate(self.requests(life)):
            path = os.path.join(BUILT["folder"], f"body{life.port}.{number}") if body else None
            if path:
                with open(path, "wb") as file:
                    file.write(body)
            requests.append((method, target, headers, path, times))
        return Curl(life.port, options, requests)

    def requests(self, life):
        """What the client says in its life: (method, target, header lines, body, times)."""
        device = life.device
        headers = [f"{name}: {value}" for name, value in device.headers("Ping", WBXML_TYPE).items()]
        login = f"Authorization: {device.authorization}"

        def ping(heartbeat, times):
            body = wbxml.encode(device.ping_request([device.inbox], heartbeat))
            return ("POST", device.target("Ping"), headers, body, times)

        return [("OPTIONS", query.PATH, [login], b"", 1), ping(1, ROUNDS + 1), ping(3540, 1),
                ("OPTIONS", query.PATH, [login], b"", 1)]

    def octets(self, request):
        method, target, headers, body, _ = request
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *headers, f"Content-Length: {len(body)}"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + body

    # One life.

    def ping_status(self, answer):
        code, body = answer
        self.assertEqual(code, 200)
        return wbxml.decode(body, "14.1")

    def live(self, life, ready, mail_is_there):
        """Runs in a thread of its own."""
        client = life.client
        options, renewal, last, _ = (self.octets(request) for request in self.requests(life))
        client.send(options)
        self.assertEqual(client.answer(), (200, b""))
        for number in range(ROUNDS + 1):
            before = life.wire.carried("client")
            client.send(renewal)
            if client.updates and number % UPDATE_EVERY == 5:  # while the front waits
                life.wire.wait(lambda: life.wire.carried("client") >= before + len(renewal), "the request")
                self.update(life, number)
            self.assertEqual(self.ping_status(client.answer()).get("Status"), "1")
        client.send(last)
        ready.release()
        woken = self.ping_status(client.answer())
        self.assertEqual((woken.get("Status"), [f.text for f in woken.all("Folders/Folder")]), ("2", [life.device.inbox]))
        self.assertTrue(mail_is_there.is_set())
        client.send(options)
        self.assertEqual(client.answer(), (200, b""))
        client.end()

    def update(self, life, number):
        before = life.wire.key_updates("client")
        life.client.update(number)
        life.wire.wait(lambda: life.wire.key_updates("client") > before, "KeyUpdate")

    def check_wire(self, life):
        wire = life.wire
        wire.wait(lambda: wire.ended["server"], "the server's end")
        self.assertFalse(wire.reset, "the server has reset it")
        self.assertTrue(wire.said_goodbye("server"), wire.records["server"][-3:])
        self.assertEqual(wire.suite, NUMBERS[life.version, life.suite])
        if life.version == "1.3" and (life.client.updates or life.name == "java"):
            self.assertGreaterEqual(wire.key_updates("client"), ROUNDS // UPDATE_EVERY)
            self.assertGreaterEqual(wire.key_updates("server"), ROUNDS // UPDATE_EVERY // 2)

    def lives(self, tap):
        """All that there are. Python cannot choose a suite of TLS 1.3; mbedTLS has 1.2 only."""
        for begin in (self.openssl, self.gnutls_cli, self.gnutls_library, self.wolf, self.mbed, self.netscape, self.node,
                      self.java, self.python, self.curl):
            for (version, suite) in NUMBERS:
                if suite not in self.suites or suite == "CBC" and begin != self.openssl or version == "1.3" and (
                        begin == self.mbed or begin == self.python and suite != "AES-256-GCM"):
                    continue
                port, wire = tap.wire()
                yield Life(begin.__name__, version, suite, begin, wire, port)

    def grown(self, before, names):
        after = self.server.stats()
        return {name: after[name] - before[name] for name in names}

    def test_all(self):
        tap = Tap(self.server.https_port)
        self.addCleanup(tap.close)
        lives = list(self.lives(tap))
        tap.start()
        owner = self.user()
        mail_is_there, ready = threading.Event(), threading.Semaphore(0)
        for life in lives:
            life.device = owner.device("14.1").ready()
            life.device.prime()
        before = self.server.stats()

        def run(life):
            life.client = life.begin(life)
            try:
                self.live(life, ready, mail_is_there)
            finally:
                life.client.close()

        with concurrent.futures.ThreadPoolExecutor(len(lives)) as pool:
            runs = {life: pool.submit(run, life) for life in lives}
            for one in runs.values():  # who fails is ready, too
                one.add_done_callback(lambda one: ready.release())
            for _ in lives:
                ready.acquire()
            if not any(one.done() for one in runs.values()):
                eventually(lambda: self.server.stats()["parked"] == len(lives), what="all parked")
            mail_is_there.set()
            self.server.deliver(owner, mail.message("wake up"))
        for life, one in runs.items():
            with self.subTest(life=life):
                one.result()
                self.check_wire(life)
        detached = sum(self.park == "detach" and life.suite != "CBC" for life in lives)
        wanted = {"renewals_memory": ROUNDS * len(lives), "wakes": len(lives), "tls_detached": detached,
                  "tls_kept": len(lives) - detached}
        eventually(lambda: self.grown(before, wanted) == wanted, what=f"{wanted}, not {self.grown(before, wanted)}")


class Kept(Interop):
    """The same with connections that stay with OpenSSL."""

    park = "keep"
    suites = ("AES-256-GCM",)
    settings = {**Interop.settings, "tls.park": park}


if __name__ == "__main__":
    unittest.main()
