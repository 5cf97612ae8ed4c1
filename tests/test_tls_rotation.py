"""Certificates and the keys of session tickets change while phones wait: the phones hear nothing of it, those that come meet the new ones."""

import os
import ssl
import subprocess
import tempfile
import unittest

from eas.http import tls_client_context
from lib.case import ServerCase
from lib.server import eventually

TLS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
FRONTS = 4
HEALTHZ = ("GET", "/healthz")


class Rotation(ServerCase):
    https = True
    park = None

    @classmethod
    def setUpClass(cls):
        if cls.park is None:
            raise AssertionError("the classes below say which")
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.certificate, cls.key = (os.path.join(cls.folder.name, name) for name in ("cert.pem", "key.pem"))
        cls.make_certificate()
        cls.settings = {"tls.park": cls.park, "server.fronts": FRONTS, "tls.certificate": cls.certificate, "tls.key": cls.key,
                        "tls.ticket_rotate_s": 60}
        super().setUpClass()

    @classmethod
    def make_certificate(cls):
        """In the place of the one before; what clients see of it."""
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-keyout", cls.key, "-out", cls.certificate], check=True, capture_output=True)
        with open(cls.certificate, encoding="ascii") as file:
            return ssl.PEM_cert_to_DER_cert(file.read())

    def connect(self, version):
        connection = self.server.connect(context=tls_client_context(version))
        self.addCleanup(connection.close)
        return connection

    def resume(self, session):
        """With a ticket that (context, session) have."""
        context, ticket = session
        wrap = context.wrap_socket
        context.wrap_socket = lambda *args, **kwargs: wrap(*args, session=ticket, **kwargs)
        try:
            return self.server.connect(context=context)
        finally:
            context.wrap_socket = wrap

    def ask(self, connection):
        connection.request(*HEALTHZ)
        self.assertEqual(connection.response(method="GET").status, 200)

    def waiting(self):
        """Phones of one user that wait, some on each front; [(device, connection)]"""
        owner, phones = self.user(), []
        before = self.server.stats()
        for version in TLS:
            for _ in range(2 * FRONTS):
                device = owner.device("14.1").ready()
                device.prime()
                connection = self.connect(version)
                device.ping_send(heartbeat=3540, connection=connection)
                phones.append((device, connection))
        kind = {"detach": "tls_detached", "keep": "tls_kept"}[self.park]
        eventually(lambda: self.server.stats()["parked"] == before["parked"] + len(phones), what="all parked")
        self.assertEqual(self.server.stats()[kind] - before[kind], len(phones))
        return owner, phones

    def check_untouched(self, owner, phones, before):
        """Nobody was dropped or woken; news reach everybody, and the connections go on."""
        after = self.server.stats()
        self.assertEqual([after[name] - before[name] for name in ("parked", "wakes", "tls_broken")], [0, 0, 0])
        for _, connection in phones:
            self.assert_parked(connection, 0.01)
        self.deliver(owner, "news")
        for device, connection in phones:
            self.assert_ping(device.receive(connection), "2")
            self.ask(connection)


class Certificates(Rotation):
    def test_certificate(self):
        old = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", self.server.https_port)))
        owner, phones = self.waiting()
        self.assertEqual({connection.socket.getpeercert(True) for _, connection in phones}, {old})
        before = self.server.stats()
        new = self.make_certificate()
        self.server.bellhop("reload")

        def seen(version=ssl.TLSVersion.TLSv1_3):
            with self.connect(version) as connection:
                return connection.socket.getpeercert(True)
        # Each front takes it by itself.
        eventually(lambda: {seen() for _ in range(4 * FRONTS)} == {new}, what="the new certificate everywhere")
        self.assertEqual(seen(ssl.TLSVersion.TLSv1_2), new)
        # One that cannot be used changes nothing.
        with open(self.certificate, "w", encoding="ascii") as file:
            file.write("no certificate\n")
        refused = self.server.bellhop("reload", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn(self.certificate, refused.stderr)
        self.assertEqual({seen() for _ in range(2 * FRONTS)}, {new})
        self.check_untouched(owner, phones, before)
        self.make_certificate()
        self.server.bellhop("reload")


class Detached(Certificates):
    park = "detach"


class Kept(Certificates):
    park = "keep"


class Tickets(Rotation):
    """A minute is three seconds."""

    park = "detach"
    clock = {"rate": 20}

    def session(self, version):
        context = tls_client_context(version)
        with self.server.connect(context=context) as connection:
            self.ask(connection)
            return context, connection.socket.session

    def resumes(self, session):
        with self.resume(session) as connection:
            self.ask(connection)
            return connection.socket.session_reused

    def rotations(self):
        with self.server.changed:
            return sum(" ticket_keys_rotated " in line for line in self.server.lines)

    def test_ticket_keys(self):
        owner, phones = self.waiting()
        before = self.server.stats()
        for version in TLS:
            with self.subTest(version=version):
                self.check_key_after_key(version)
        self.check_untouched(owner, phones, before)

    def check_key_after_key(self, version):
        for _ in range(10):
            count, session = self.rotations(), self.session(version)
            # Whichever front made it, all of them take it.
            resumed = [self.resumes(session) for _ in range(4 * FRONTS)]
            if self.rotations() == count:
                break
        self.assertEqual(self.rotations(), count, "each attempt took longer than a key is new")
        self.assertTrue(all(resumed), resumed)
        # With a new key before it, it is still good; with three it is not.
        for _ in range(10):
            count, session = self.rotations(), self.session(version)
            eventually(lambda: self.rotations() > count, what="a new key", timeout=60)
            resumed = self.resumes(session)
            if self.rotations() == count + 1:
                break
        self.assertEqual(self.rotations(), count + 1, "each attempt took longer than a key is new")
        self.assertTrue(resumed)
        eventually(lambda: self.rotations() >= count + 3, what="the third key", timeout=60)
        self.assertFalse(any(self.resumes(session) for _ in range(2 * FRONTS)))


del Rotation, Certificates


if __name__ == "__main__":
    unittest.main()
