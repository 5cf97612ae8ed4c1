"""
bellhop upgrade between two programs whose fronts share memory that is laid out differently: there and back again. Phones
stay, limits are exact again, and what was learnt and counted goes along.
"""

import socket

from eas.http import Closed, tls_client_context
from lib.server import eventually
from lib.upgrade import CopyCase

LIMIT = 40


class Layout(CopyCase):
    settings = {**CopyCase.settings, "http.connections_per_address": str(LIMIT), "http.connections_per_user": "3"}

    def upgrade_to(self, name):
        mark = self.server.log_mark()
        super().upgrade_to(name)
        self.server.wait_log("shared_memory_made_anew", since=mark)
        self.assertNotIn("knowledge_lost", "\n".join(self.server.lines[mark:]))

    def connect_to_the_limit(self, already):
        """Connections up to the limit of the address; the next one is closed."""
        more = []
        for _ in range(LIMIT - already):
            connection = self.server.connect()
            self.addCleanup(connection.close)
            connection.request("OPTIONS", "/Microsoft-Server-ActiveSync")
            self.assertEqual(connection.response().status, 401)
            more.append(connection)
        for _ in range(3):
            with self.assertRaises((Closed, OSError)):
                one_too_many = self.server.connect()
                self.addCleanup(one_too_many.close)
                one_too_many.request("OPTIONS", "/Microsoft-Server-ActiveSync")
                one_too_many.response()
        return more

    def resume(self, context, session=None):
        """The session of a new TLS connection, and whether it continued the one before."""
        plain = socket.create_connection(("127.0.0.1", self.server.https_port), timeout=20)
        with context.wrap_socket(plain, server_hostname="localhost", session=session) as tls:
            tls.sendall(b"OPTIONS / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            while tls.recv(4096):  # the ticket comes with the answer
                pass
            return tls.session, tls.session_reused

    def test_there_and_back(self):
        phones = self.fleet()
        before = self.server.stats()
        self.upgrade_to("bellhopd-layout")
        after = self.server.stats()
        self.assertEqual(after["parked"], len(phones))
        self.assertGreaterEqual(after["adopted"] - before["adopted"], len(phones))
        self.assertEqual(after["adopt_lost"], 0)
        for name in ("requests", "accepted", "passed"):
            self.assertGreaterEqual(after[name], before[name], name)
            self.assertGreater(after[name], 0, name)
        self.assertEqual(after["all_heartbeat_average_s"], before["all_heartbeat_average_s"])
        self.assertEqual(after["all_connections"], before["all_connections"])
        self.assert_reached(phones, "in the other memory")
        self.upgrade_to("bellhopd")
        self.assertEqual(self.server.stats()["parked"], len(phones))
        self.assert_reached(phones, "back again")

    def test_limit_of_an_address(self):
        """Exact again when all have come over: not one more, and what leaves makes room."""
        idle = self.connect_to_the_limit(self.server.stats()["all_connections"])
        self.upgrade_to("bellhopd-layout")
        self.connect_to_the_limit(LIMIT)
        for connection in idle[:5]:
            connection.close()
        eventually(lambda: self.server.stats()["all_connections"] == LIMIT - 5, what="five are gone")
        idle = idle[5:] + self.connect_to_the_limit(LIMIT - 5)
        self.upgrade_to("bellhopd")
        self.connect_to_the_limit(LIMIT)
        for connection in idle:
            connection.close()
        eventually(lambda: self.server.stats()["all_connections"] == 0, what="all are gone")

    def test_tickets(self):
        context = tls_client_context()
        session, resumed = self.resume(context)
        self.assertFalse(resumed)
        self.upgrade_to("bellhopd-layout")
        session, resumed = self.resume(context, session)
        self.assertTrue(resumed)
        self.upgrade_to("bellhopd")
        self.assertTrue(self.resume(context, session)[1])
