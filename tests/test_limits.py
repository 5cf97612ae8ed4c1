"""Limits over several fronts, by HTTP and HTTPS at once: exact, seen in the status, the log and the metrics, changed by a reload."""

import base64
import concurrent.futures
import time

from eas.http import Closed, Connection
from eas.query import PATH
from lib.case import ServerCase
from lib.prometheus import Metrics
from lib.server import eventually


class LimitsCase(ServerCase):
    settings = {**ServerCase.settings, "server.fronts": "4"}
    https = True

    def setUp(self):
        self.mark = self.server.log_mark()
        self.before = self.metrics()

    def tearDown(self):
        self.doCleanups()
        eventually(lambda: self.server.stats()["connections"] == 0, what="all are gone")

    def metrics(self):
        return Metrics(self.server.bellhop("metrics").stdout)

    def reload(self, **changes):
        """In force in all fronts: each says so."""
        mark = self.server.log_mark()
        self.server.write_config(**changes)
        self.server.bellhop("reload")
        for front in range(4):
            self.server.wait_log(rf'reload_finished .*process="front {front}".*result=ok', since=mark)

    def connect(self, source="127.0.0.1", tls=False):
        """None: it was closed."""
        try:
            connection = Connection(self.server.https_port if tls else self.server.http_port, tls, source=source, timeout=10)
        except OSError:
            return None
        self.addCleanup(connection.close)
        return connection

    def ask(self, connection, user=None, query=""):
        """The answer; None: the connection was closed."""
        fields = {}
        if user:
            fields["Authorization"] = "Basic " + base64.b64encode(f"{user.address}:{user.password}".encode()).decode()
        try:
            connection.request("OPTIONS", PATH + query, fields)
            return connection.response()
        except (Closed, OSError, AttributeError):
            return None

    def crowd(self, count, ask, **kwargs):
        """So many at the same moment, every other one by TLS: connections that were served, and the answers of the others."""
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            connections = list(pool.map(lambda i: self.connect(tls=i % 2 == 0, **kwargs), range(count)))
            answers = list(pool.map(ask, connections))
        served = [c for c, a in zip(connections, answers) if a is not None and a.status in (200, 401)]
        return served, [a for a in answers if a is None or a.status not in (200, 401)]

    def refused(self, metric, reason, count):
        """So many were, say the metric and the log."""
        eventually(lambda: self.metrics().sum(metric) - self.before.sum(metric) == count, what=f"{metric} rises by {count}")
        self.server.wait_log(rf"(request|connection)_refused .*reason={reason}", since=self.mark)

    def assert_sent_away(self, answer):
        self.assertEqual(answer.status, 503)
        self.assertGreaterEqual(int(answer.header("Retry-After")), 5)


class User(LimitsCase):
    settings = {**LimitsCase.settings, "http.connections_per_user": "5"}

    def test_connections(self):
        user, other = self.user(), self.user()
        served, others = self.crowd(24, lambda c: self.ask(c, user))
        # Of some that race for the last place all may be told no; who asks again gets it.
        while len(served) < 5:
            connection = self.connect()
            self.assertEqual(self.ask(connection, user).status, 200)
            served.append(connection)
        self.assertEqual(len(served), 5)
        for answer in others:
            self.assert_sent_away(answer)
        one = self.connect()
        self.assert_sent_away(self.ask(one, user))
        self.refused("bellhop_refused_user_total", "connections_per_user", len(others) + 1)
        # Those which are in go on, others are not touched, and a place that is given up is had by who was sent away.
        self.assertEqual({self.ask(c, user).status for c in served}, {200})
        self.assertEqual(self.ask(self.connect(), other).status, 200)
        self.assertEqual(self.ask(served.pop(), other).status, 200)
        self.assertEqual(self.ask(one, user).status, 200)

    def test_reload(self):
        user = self.user()
        served, _ = self.crowd(5, lambda c: self.ask(c, user))
        self.reload(http_connections_per_user=7)
        more = [self.ask(self.connect(), user).status for _ in range(9 - len(served))]
        self.assertEqual(more, [200] * (7 - len(served)) + [503] * 2)
        self.reload(http_connections_per_user=2)
        self.assertEqual({self.ask(c, user).status for c in served}, {200})
        self.assert_sent_away(self.ask(self.connect(), user))
        self.reload(http_connections_per_user=0)
        self.assertEqual(len(self.crowd(16, lambda c: self.ask(c, user))[0]), 16)
        self.reload(http_connections_per_user=5)


class Rate(LimitsCase):
    settings = {**LimitsCase.settings, "http.requests_per_device": "1", "http.requests_burst": "10"}

    def burst(self, user, query, count=40):
        """The answers, and how many more than the burst time allows at most."""
        began = time.monotonic()
        answers = [self.ask(self.connect(tls=i % 4 == 0), user, query) for i in range(count)]
        return answers, int(time.monotonic() - began) + 1

    def test_device(self):
        """On whichever front it comes: its burst, then one a second; other devices of the same user are not touched."""
        user = self.user()
        answers, later = self.burst(user, "?DeviceId=A")
        served = [a for a in answers if a.status == 200]
        self.assertGreaterEqual(len(served), 10)
        self.assertLessEqual(len(served), 10 + later)
        self.assertEqual([a.status for a in answers[:10]], [200] * 10)
        refused = [a for a in answers if a.status != 200]
        for answer in refused:
            self.assert_sent_away(answer)
        self.refused("bellhop_refused_rate_total", "requests_per_device", len(refused))
        self.assertEqual(self.ask(self.connect(), user, "?DeviceId=B").status, 200)
        self.assertEqual(self.ask(self.connect(), self.user(), "?DeviceId=A").status, 200)

    def test_reload(self):
        user = self.user()
        self.reload(http_requests_per_device=0)
        self.assertEqual({a.status for a in self.burst(user, "?DeviceId=A")[0]}, {200})
        self.reload(http_requests_per_device=1, http_requests_burst=3)
        answers, later = self.burst(user, "?DeviceId=A", 20)
        self.assertEqual([a.status for a in answers[:3]], [200] * 3)
        self.assertLessEqual([a.status for a in answers].count(200), 3 + later)
        self.reload(http_requests_burst=10)


class Address(LimitsCase):
    settings = {**LimitsCase.settings, "http.connections_per_address": "12", "http.address_exceptions": "127.0.1.0/24"}

    def test_exceptions(self):
        """Beyond the limit connections are closed, but not from these nets; a reload changes them."""
        served, others = self.crowd(40, self.ask, source="127.0.0.2")
        while len(served) < 12:
            served.append(connection := self.connect("127.0.0.2"))
            self.assertEqual(self.ask(connection).status, 401)
        self.assertEqual(len(served), 12)
        self.assertEqual(set(others), {None})
        self.refused("bellhop_refused_address_total", "connections_per_address", len(others))
        self.server.wait_log(r"connection_refused .*address=127\.0\.0\.2 ", since=self.mark)
        self.assertEqual(len(self.crowd(40, self.ask, source="127.0.1.9")[0]), 40)
        self.assertEqual(len(self.crowd(12, self.ask, source="127.0.2.1")[0]), 12)
        self.assertIsNone(self.ask(self.connect("127.0.2.1")))
        self.reload(http_address_exceptions="127.0.0.2 2001:db8::/32")
        self.assertEqual(len(self.crowd(10, self.ask, source="127.0.0.2")[0]), 10)
        # Those of the former exception stay, and no more come.
        self.assertIsNone(self.ask(self.connect("127.0.1.9")))
        self.assertIsNone(self.ask(self.connect("127.0.2.1")))
        self.reload(http_address_exceptions="127.0.1.0/24")
        self.assertIsNone(self.ask(self.connect("127.0.0.2")))
