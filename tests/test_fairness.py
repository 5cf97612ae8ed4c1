"""When very many connections come, no address keeps the others out."""

import socket
import ssl

from eas.http import tls_client_context
from eas.query import PATH
from lib.case import ServerCase
from lib.server import eventually

REQUEST = b"OPTIONS " + PATH.encode() + b" HTTP/1.1\r\nHost: h\r\n\r\n"


class Handshakes(ServerCase):
    """Each of two fronts has room for 32 unfinished handshakes; an address may have 8 of them in a crowd."""

    settings = {**ServerCase.settings, "server.fronts": "2", "tls.handshakes_max": "64", "tls.handshake_timeout_s": "300",
                "tls.handshakes_address_percent": "25"}
    https = True

    def raw(self, host):
        s = socket.create_connection(("127.0.0.1", self.server.https_port), timeout=15, source_address=(host, 0))
        self.addCleanup(s.close)
        return s

    @staticmethod
    def served(raw):
        with tls_client_context().wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(REQUEST)
            return tls.recv(100)

    def hello(self, raw):
        """Says the first word, and waits for an answer."""
        out = ssl.MemoryBIO()
        tls = tls_client_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
        with self.assertRaises(ssl.SSLWantReadError):
            tls.do_handshake()
        raw.sendall(out.read())

    def test_silent_crowd(self):
        """An address holds more connections than there is room for, and says nothing; another comes in at once."""
        silent = [self.raw("127.0.0.2") for _ in range(200)]
        for host in ("127.0.0.1", "127.0.0.3", "127.0.0.4"):
            self.assertIn(b" 401 ", self.served(self.raw(host)))
        stats = self.server.stats()
        self.assertLessEqual(stats["handshakes"], 2 * 17)
        self.assertGreaterEqual(stats["handshakes_held"], 200 - 2 * 17)
        for s in silent:
            s.close()
        self.assertIn(b" 401 ", self.served(self.raw("127.0.0.2")))
        self.settle()

    def test_half_begun_crowd(self):
        """The same of clients that begin, and leave it at that; those which wait have their turn when others go."""
        begun = [self.raw("127.0.0.2") for _ in range(120)]
        for s in begun:
            self.hello(s)
        self.assertIn(b" 401 ", self.served(self.raw("127.0.0.1")))
        waiting = self.raw("127.0.0.2")
        for s in begun:
            s.close()
        self.assertIn(b" 401 ", self.served(waiting))
        self.settle()

    def settle(self):
        eventually(lambda: self.server.stats()["handshakes"] == 0, what="no handshake is left")
