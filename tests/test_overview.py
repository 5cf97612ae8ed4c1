"""The overview's warning of paths that cut silent connections, behind a proxy that does so; the server's clock runs 200 times as fast."""

import json
import re
import select
import socket
import unittest

from lib.case import ServerCase
from lib.idle_proxy import FORWARDED, IdleProxy
from lib.server import eventually

SPEED = 200
IDLE = 1.5
PHONES = 6


class CutCase(ServerCase):
    settings = {**ServerCase.settings, "http.proxy_protocol": "optional", "push.heartbeat_max_s": "3540"}
    clock = {"rate": SPEED}

    def warnings(self):
        rows = json.loads(self.server.bellhop("overview", "--json").stdout)["warnings"]
        return [row for row in rows if row["code"] == "connections_cut"]

    def cut_phones(self, idle_s, **kwargs):
        """So many phones wait, each as its owner, until the proxy has enough of their silence."""
        proxy = IdleProxy(self.server, idle_s, **kwargs)
        self.addCleanup(proxy.close)
        self.phones = [owner.device() for owner in self.owners]
        for phone in self.phones:
            phone.ready().prime()
            phone.server = proxy
            self.addCleanup(phone.ping_send(heartbeat=3000).close)
            self.addCleanup(phone.close)
        proxy.wait_cuts(len(self.owners))

    def setUp(self):
        """The engine remembers nothing of the test before."""
        self.server.kill_engine()
        self.owners = [self.user() for _ in range(PHONES)]
        eventually(lambda: self.server.bellhop("overview", "--json", check=False).returncode == 0, what="the engine is back")
        self.assertEqual(self.warnings(), [])

    def warned(self):
        row = eventually(self.warnings, what="the warning")[0]
        match = re.fullmatch(r"(\d+) phones lose their connection after (\d+) s", row["text"])
        self.assertIsNotNone(match, row)
        # On a busy machine some of them hear late that their time is over.
        self.assertTrue(row["severity"] == "warning" and 3 <= int(match[1]) <= PHONES, row)
        return int(match[2]), row["remedy"]

    def check(self, proxy, **kwargs):
        self.cut_phones(IDLE, **kwargs)
        seconds, remedy = self.warned()
        self.assertTrue(0.9 * IDLE * SPEED <= seconds <= 1.5 * IDLE * SPEED, seconds)
        if proxy:
            self.assertIn(f"raise the idle time-out of the proxy at {proxy} to 30 minutes", remedy)
        else:
            # Nothing that would send the administrator to a proxy which is not there.
            self.assertNotIn("127.0.0.1", remedy)
            self.assertNotIn("proxy at", remedy)
            self.assertIn("30 minutes", remedy)


class Cut(CutCase):
    def test_reverse_proxy(self):
        self.check("127.0.0.1")

    def test_proxy_protocol(self):
        self.check("127.0.0.1", header=b"", first=b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n")

    def test_something_that_nobody_knows_of(self):
        self.check(None, header=b"")


class Untrusted(CutCase):
    """Whatever it says of phones: its word counts for nothing."""

    settings = {**CutCase.settings, "http.trusted_proxies": "192.0.2.1"}

    def test_reverse_proxy(self):
        self.check(None, header=FORWARDED)

    def test_few(self):
        """What may be chance is none."""
        self.owners = self.owners[:2]
        self.cut_phones(0.5)
        for phone in self.phones:
            (row,) = eventually(lambda: json.loads(
                self.server.bellhop("device", "waits", phone.user, phone.device_id, "--json").stdout), what="the end of the wait")
            self.assertIn(row["end"], ("closed", "cut"))
        self.assertEqual(self.warnings(), [])


class Short(ServerCase):
    """A phone that still finds out how long it may wait is no sign of anything; one that stays with short waits is."""

    settings = {**ServerCase.settings, "push.heartbeat_min_s": "1", "push.short_window": "3"}
    clock = {"rate": 4}  # heartbeats end in it

    def warning(self):
        rows = json.loads(self.server.bellhop("overview", "--json").stdout)["warnings"]
        return next((row for row in rows if row["code"] == "heartbeats_short"), None)

    def wait_out(self, phone, heartbeats):
        for heartbeat in heartbeats:
            self.assertEqual(phone.ping(heartbeat=heartbeat).status, "1")

    def test_short(self):
        phone = self.user().device().ready()
        phone.prime()
        self.wait_out(phone, (2, 3, 4))
        row = eventually(self.warning, what="the note")
        self.assertEqual(row["severity"], "info", row)
        self.assertIn("find out", row["text"])
        self.wait_out(phone, (4, 4))
        row = eventually(lambda: (now := self.warning()) and now["severity"] == "warning" and now, what="the warning")
        self.assertIn("cuts idle connections", row["text"])


class TurnedAway(ServerCase):
    """Who was turned away is told with since when, and not for ever; nor anew because the engine is another one."""

    settings = {**ServerCase.settings, "http.connections_per_address": "3"}
    clock = {"rate": 600, "role": "engine"}  # an hour is six seconds

    def rows(self, code="address_full"):
        return [row for row in json.loads(self.server.bellhop("overview", "--json").stdout)["warnings"] if row["code"] == code]

    def warned_by_status(self):
        return "warning_addresses" in json.loads(self.server.bellhop("status", "--json").stdout)

    def test_it_goes_away(self):
        self.assertEqual(self.rows(), [])
        # The fronts have told their counts of before: what follows is news.
        eventually(lambda: json.loads(self.server.bellhop("overview", "--json").stdout)["series"]["hour"]["at"], what="the series begins")
        connections = [socket.create_connection(("127.0.0.1", self.server.http_port), timeout=30) for _ in range(4)]
        for connection in connections:
            self.addCleanup(connection.close)
        # Which of them it is lies with the fronts.
        refused, _, _ = select.select(connections, [], [], 30)
        self.assertEqual([connection.recv(1) for connection in refused], [b""])
        row = eventually(self.rows, what="the warning")[0]
        self.assertEqual(row["severity"], "warning")
        self.assertRegex(row["text"], r"^1 connection was refused by http\.connections_per_address, in the last \d+ minutes?; the last (just now|\d+ minutes? ago)$")
        self.assertTrue(self.warned_by_status())
        eventually(lambda: not self.rows(), what="the end of the warning")
        self.assertFalse(self.warned_by_status())
        self.assertEqual(self.server.stats()["refused_address"], 1)
        # The next engine hears of the same counts, and takes them for what they are.
        self.server.kill_engine()
        eventually(lambda: (two := self.server.bellhop("overview", "--json", check=False)).returncode == 0 and
                   len(json.loads(two.stdout)["series"]["hour"]["at"]) > 1, what="the next engine has two counts")
        self.assertEqual(self.server.stats()["refused_address"], 1)
        self.assertEqual(self.rows(), [])


if __name__ == "__main__":
    unittest.main()
