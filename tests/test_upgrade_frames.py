"""
Old fronts with a new engine, and the reverse: two releases whose frames have different versions serve the same phones, which
are woken, renewed and found out about as ever, and go on when everything is of one release again.
"""

import os

from lib import mail
from lib.case import retry
from lib.server import eventually
from lib.upgrade import CopyCase

OLD, NEW = "bellhopd-frames", "bellhopd"


class Mixed(CopyCase):
    settings = {**CopyCase.settings, "push.heartbeat_min_s": "1", "push.jitter_percent": "0"}

    def engine_becomes(self, name):
        """The engine dies, and the one that the supervisor starts is of the other release; the fronts stay."""
        fronts = self.server.front_pids()
        self.install(name)
        self.server.kill_engine()
        return fronts

    def engine_is_back(self, fronts, count):
        eventually(lambda: self.server.engine_pid() is not None, what="the engine")
        eventually(lambda: self.server.stats().get("parked", 0) >= count, what="an engine that knows the phones")
        self.assertEqual(self.server.front_pids(), fronts)
        self.assertTrue(all(self.is_of_the_first(pid) for pid in fronts))
        self.assertFalse(self.is_of_the_first(self.server.engine_pid()))

    def is_of_the_first(self, pid):
        return os.readlink(f"/proc/{pid}/exe").endswith("(deleted)")

    def assert_renewed(self):
        """A heartbeat ends, and the same request on the same connection waits again without the engine; over TLS and without."""
        phones = [self.phone(tls=tls) for tls in (False, True)]
        for phone in phones:
            phone.prime()
        before = self.server.stats()["renewals_memory"]
        for phone in phones:
            phone.waiting = phone.ping_send(heartbeat=1)
            self.addCleanup(phone.waiting.close)
        for phone in phones:
            self.assert_ping(phone.receive(phone.waiting), "1")
            phone.ping_send(phone.waiting, heartbeat=1)
        eventually(lambda: self.server.stats()["renewals_memory"] >= before + 2, what="renewals")
        for phone in phones:
            phone.waiting.close()
            phone.close()

    def mix(self, other):
        phones = self.fleet()
        fronts = self.engine_becomes(other)
        self.engine_is_back(fronts, len(phones))
        self.assert_reached(phones, "to the other release")
        self.assert_renewed()
        # What is committed while the engine is away is found when the watches are registered again.
        lost = phones[0]
        self.server.deliver(lost.owner, mail.message("just before"))
        self.server.kill_engine()
        self.engine_is_back(fronts, len(phones) - 1)
        self.assert_ping(lost.receive(lost.waiting), "2", [lost.inbox])
        lost.close()
        self.assertEqual(retry(lost.sync).subjects(), ["just before"])
        lost.close()
        lost.ping_send(lost.waiting, heartbeat=600)
        # All of the other release, and none of the phones has noticed.
        old = [self.server.engine_pid(), *fronts]
        self.server.bellhop("upgrade", timeout=60)
        self.settle(old)
        self.assert_reached(phones, "all of one release")
        self.assertEqual(self.server.stats()["adopt_lost"], 0)


class OldFronts(Mixed):
    first = OLD

    def test_new_engine(self):
        self.mix(NEW)


class NewFronts(Mixed):
    def test_old_engine(self):
        self.mix(OLD)


del Mixed, CopyCase  # they have no tests
