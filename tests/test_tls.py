"""What is left of the keys of TLS connections in a front: of the dead ones nothing, of the living ones no more than they need,
and none of either in its core. And sessions that resume after a detached close."""

import glob
import hashlib
import hmac
import os
import resource
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import unittest

from eas.http import tls_client_context
from lib import tls_clients
from lib.case import ServerCase
from lib.server import eventually, program, wait_exit
from lib.tls_clients import OpenSSL, Tap

HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
PAGE = 4096
SUITES_13 = {"TLS_AES_128_GCM_SHA256": ("sha256", 16), "TLS_AES_256_GCM_SHA384": ("sha384", 32),
             "TLS_CHACHA20_POLY1305_SHA256": ("sha256", 32)}
# hash, bytes of key and of IV
SUITES_12 = {"ECDHE-ECDSA-AES128-GCM-SHA256": ("sha256", 16, 4), "ECDHE-ECDSA-AES256-GCM-SHA384": ("sha384", 32, 4),
             "ECDHE-ECDSA-CHACHA20-POLY1305": ("sha256", 32, 12)}


def expand_label(name, secret, label, length):
    """HKDF-Expand-Label of RFC 8446, 7.1; no result here is longer than a hash."""
    label = b"tls13 " + label
    info = struct.pack(">HB", length, len(label)) + label + b"\0"
    return hmac.digest(secret, info + b"\1", name)[:length]


def of_13(suite, label, secret, generations=3):
    """{name: octets} of a traffic secret and of those that follow from it; of each the key and the IV."""
    name, key_bytes = SUITES_13[suite]
    found = {}
    for number in range(generations):
        found[f"{label} {number}"] = secret
        found[f"{label} {number} key"] = expand_label(name, secret, b"key", key_bytes)
        found[f"{label} {number} iv"] = expand_label(name, secret, b"iv", 12)
        secret = expand_label(name, secret, b"traffic upd", hashlib.new(name).digest_size)
    return found


def of_12(suite, master, client_random, server_random):
    """{name: octets} of a master secret, and of the key block (RFC 5246, 6.3) that it gives."""
    name, key_bytes, iv_bytes = SUITES_12[suite]
    seed = b"key expansion" + server_random + client_random
    block, at = b"", seed
    while len(block) < 2 * (key_bytes + iv_bytes):
        at = hmac.digest(master, at, name)
        block += hmac.digest(master, at + seed, name)
    found = {"master": master, "client key": block[:key_bytes], "server key": block[key_bytes:2 * key_bytes]}
    if iv_bytes == 12:  # the four bytes of GCM are too few to look for
        found["client iv"] = block[2 * key_bytes:2 * key_bytes + 12]
        found["server iv"] = block[2 * key_bytes + 12:2 * key_bytes + 24]
    return found


class Talk:
    """A connection whose secrets we know."""

    def __init__(self, folder, name):
        self.name = name
        self.path = os.path.join(folder, name.replace(" ", "_"))

    def lines(self):
        with open(self.path) as log:
            return [line.split() for line in log if not line.startswith("#")]

    def secrets(self):
        """{(name of the connection, name of the secret): octets}"""
        found = {}
        for label, client_random, secret in self.lines():
            if label == "CLIENT_RANDOM":
                found.update(of_12(self.suite, bytes.fromhex(secret), bytes.fromhex(client_random), self.wire.random))
            elif label.endswith("TRAFFIC_SECRET_0") or "HANDSHAKE_TRAFFIC" in label:
                found.update(of_13(self.suite, label, bytes.fromhex(secret)))
            elif not label.endswith("_N"):  # those that follow are among of_13()'s
                found[label] = bytes.fromhex(secret)
        return {(self.name, name): octets for name, octets in found.items()}


class InPython(Talk):
    """Either version; suite is for 1.2."""

    def __init__(self, folder, name, port, wire, suite=None):
        super().__init__(folder, name)
        self.wire, self.suite = wire, suite or "TLS_AES_256_GCM_SHA384"
        self.context = tls_client_context(ssl.TLSVersion.TLSv1_2 if suite else ssl.TLSVersion.TLSv1_3)
        self.context.keylog_filename = self.path
        if suite:
            self.context.set_ciphers(suite)
        self.raw = socket.create_connection(("127.0.0.1", port), timeout=30)

    def ask(self):
        self.socket = self.context.wrap_socket(self.raw)
        self.socket.sendall(HEALTHZ)
        assert b" 200 " in self.socket.recv(4096)
        return self

    def give_up(self):
        """The server has sent its part of the handshake; ours never comes."""
        sent, came = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(came, sent)
        while not (os.path.exists(self.path) and self.lines()):
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
            if not self.lines():
                self.raw.sendall(sent.read())
                came.write(self.raw.recv(65536))
        self.raw.close()
        return self

    def close(self):
        self.socket.unwrap().close()

    def drop(self):
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class InOpenSSL(Talk):
    """TLS 1.3 with a suite of choice, and with new keys on both sides as often as wanted."""

    def __init__(self, folder, name, port, wire, suite, updates=0):
        super().__init__(folder, name)
        self.wire, self.suite, self.updates = wire, suite, updates
        self.client = OpenSSL(port, "-tls1_3", "-ciphersuites", suite, "-keylogfile", self.path)

    def ask(self):
        for number in range(self.updates + 1):
            self.client.send(HEALTHZ)
            assert self.client.answer()[0] == 200
            if number < self.updates:
                self.client.update(0)
                self.client.expect(rb"KEYUPDATE\n")
        return self

    def close(self):
        self.client.end()
        self.client.close()

    def drop(self):
        self.client.close()


class Memory(ServerCase):
    https = True
    settings = {"server.front_core": "yes", "server.fronts": 1, "tls.park": "detach"}

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.tap = Tap(self.server.https_port)
        self.addCleanup(self.tap.close)

    @classmethod
    def prepare(cls):
        """Again, where the kernel may write cores, and in a folder of ours."""
        cls.server.stop()
        cls.server.start(cwd=cls.server.folder, executable=os.path.abspath(program("bellhopd")),
                         preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)))

    def core(self):
        """What a core of the front has: the kernel's, and the front is gone; gdb's where the kernel gives cores to a program."""
        pid = self.server.front_pids()[0]
        with open("/proc/sys/kernel/core_pattern", encoding="ascii") as file:
            pattern = file.read().strip()
        if pattern[0] in "|/":
            path = os.path.join(self.folder.name, f"core.{pid}")
            done = subprocess.run([tls_clients.program("gcore"), "-o", path[:-len(f".{pid}")], str(pid)], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        else:
            os.kill(pid, signal.SIGABRT)
            self.assertTrue(wait_exit(pid, 20))
            eventually(lambda: self.server.front_pids() not in ([], [pid]), what="another front")
            (path,) = glob.glob(os.path.join(self.server.folder, "core*"))
        with open(path, "rb") as file:
            octets = file.read()
        self.assertTrue(octets.startswith(b"\x7fELF"))
        return octets

    def memory(self):
        """All that the front has written in, core or not, without pages of zeros."""
        pid, pages, empty = self.server.front_pids()[0], [], bytes(PAGE)
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in maps:
                span, mode = line.split()[:2]
                start, end = (int(x, 16) for x in span.split("-"))
                if mode.startswith("rw"):
                    try:
                        octets = os.pread(memory.fileno(), end - start, start)
                    except OSError:
                        continue  # not to be read, by nobody
                    pages += [page for at in range(0, len(octets), PAGE) if (page := octets[at:at + PAGE]) != empty]
        return b"".join(pages)

    def found(self, octets, talks):
        return {name for talk in talks for name, secret in talk.secrets().items() if secret in octets}

    def talks(self, kind):
        """One of each suite, and one whose keys have changed twice since; they have had their answers."""
        one = [InOpenSSL(self.folder.name, f"{kind} {suite}", *self.tap.wire(), suite) for suite in SUITES_13]
        one += [InPython(self.folder.name, f"{kind} {suite}", *self.tap.wire(), suite) for suite in SUITES_12]
        one += [InOpenSSL(self.folder.name, f"{kind} updated", *self.tap.wire(), "TLS_AES_128_GCM_SHA256", updates=2)]
        return [talk.ask() for talk in one]

    def test_core(self):
        """Some live, some have ended in each of the ways that there are."""
        self.tap.start()
        living, dead = self.talks("living"), self.talks("closed")
        for talk in living:
            self.addCleanup(talk.drop)
        for talk in dead:
            talk.close()
        for suite in (None, *SUITES_12):
            dead.append(InPython(self.folder.name, f"reset {suite}", *self.tap.wire(), suite).ask())
            dead[-1].reset()
        dead.append(InPython(self.folder.name, "given up", *self.tap.wire()).give_up())
        eventually(lambda: self.server.stats()["connections"] == len(living), what="only those that live")

        octets = self.memory()
        self.assertEqual(self.found(octets, dead), set())
        wanted = set()
        for talk in living:
            if talk.suite in SUITES_12:
                wanted |= {(talk.name, name) for _, name in talk.secrets() if name != "master"}
            else:
                now = 2 if "updated" in talk.name else 0
                wanted |= {(talk.name, f"{side}_TRAFFIC_SECRET_0 {now}{what}") for side in ("CLIENT", "SERVER")
                           for what in ("", " key", " iv")}
        self.assertEqual(self.found(octets, living), wanted)

        octets = self.core()
        self.assertIn(self.server.data.encode(), octets, "a core with what is no secret")
        self.assertEqual(self.found(octets, living + dead), set())

    def test_locked(self):
        """Keys are not swapped out; or the log has said that they may be."""
        connection = InPython(self.folder.name, "locked", self.server.https_port, None).ask()
        self.addCleanup(connection.drop)
        marks = []  # of the memory that is left out of cores and wiped in children, which is where they are
        with open(f"/proc/{self.server.front_pids()[0]}/smaps") as maps:
            for line in maps:
                if line.startswith("VmFlags:") and {"dd", "wf"} <= set(line.split()):
                    marks.append("lo" in line.split())
        self.assertTrue(marks and all(marks) or "tls_keys_not_locked" in self.server.log_text(), marks)


class SelfTest(ServerCase):
    """An OpenSSL that does otherwise than we think: here its configuration allows no tickets, so nothing resumes."""

    https = True
    settings = {"server.fronts": 1, "tls.park": "detach"}

    @classmethod
    def prepare(cls):
        cls.server.stop()
        path = os.path.join(cls.server.folder, "openssl.cnf")
        with open(path, "w") as file:
            file.write("openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = ours\n"
                       "[ours]\nOptions = -SessionTicket\n")
        cls.mark = cls.server.log_mark()
        cls.server.start(env={"OPENSSL_CONF": path})

    def test_kept(self):
        """Connections stay with OpenSSL, phones wait all the same, and the log says it once."""
        before = self.server.stats()
        device = self.phone("14.1", tls=True)
        device.prime()
        connection = device.ping_send()
        eventually(lambda: self.server.stats()["parked"] == 1, what="parked")
        self.deliver(self.owner, "wake up")
        self.assertEqual(device.receive(connection).status, "2")
        connection.close()
        after = self.server.stats()
        self.assertEqual(after["tls_detached"], before["tls_detached"])
        self.assertGreater(after["tls_kept"], 0)
        self.assertEqual(len([line for line in self.server.lines[self.mark:] if "tls_park_kept" in line]), 1)


class Ends(ServerCase):
    https = True
    settings = {"tls.park": "detach"}

    def test_fronts_dump_no_core(self):
        """Without server.front_core."""
        for pid in self.server.front_pids():
            self.assertEqual(resource.prlimit(pid, resource.RLIMIT_CORE), (0, 0))

    def test_finished_and_request_in_one_segment(self):
        """The front is told only once that there is something to read."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context, session = tls_client_context(version), None
            for _ in range(2):  # in 1.2 our Finished is the last message of a resumed handshake only
                with self.subTest(version=version), socket.create_connection(("127.0.0.1", self.server.https_port), 30) as raw:
                    sent, came = ssl.MemoryBIO(), ssl.MemoryBIO()
                    tls = context.wrap_bio(came, sent, server_hostname="localhost", session=session)
                    while not self.shaken(tls):
                        raw.sendall(sent.read())
                        came.write(raw.recv(65536))
                    tls.write(HEALTHZ)
                    raw.sendall(sent.read())
                    answer = b""
                    while not answer:
                        came.write(raw.recv(65536))
                        try:
                            answer = tls.read(4096)
                        except ssl.SSLWantReadError:
                            pass  # a ticket
                    self.assertIn(b" 200 ", answer)
                    session = tls.session

    def shaken(self, tls):
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def test_broken_records_are_counted(self):
        before = self.server.stats()["tls_broken"]
        raw = socket.create_connection(("127.0.0.1", self.server.https_port), timeout=30)
        with tls_client_context().wrap_socket(raw, server_hostname="localhost") as sock:
            sock.sendall(HEALTHZ)
            self.assertIn(b" 200 ", sock.recv(4096))
            os.write(sock.fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
            with self.assertRaisesRegex(ssl.SSLError, "(?i)bad.record.mac"):
                sock.recv(1)
        eventually(lambda: self.server.stats()["tls_broken"] == before + 1, what="counted")

    def test_after_a_detached_close(self):
        before = self.server.stats()["tls_resumed"]
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version=version):
                context, session = tls_client_context(version), None
                for _ in range(3):
                    raw = socket.create_connection(("127.0.0.1", self.server.https_port), timeout=30)
                    sock = context.wrap_socket(raw, server_hostname="localhost", session=session)
                    sock.sendall(HEALTHZ)
                    self.assertIn(b" 200 ", sock.recv(4096))
                    self.assertEqual(sock.session_reused, session is not None)
                    session = sock.session
                    sock.unwrap().close()  # our close_notify for theirs
        eventually(lambda: self.server.stats()["tls_resumed"] == before + 4, what="counted")


if __name__ == "__main__":
    unittest.main()
