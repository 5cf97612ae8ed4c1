"""bellhop upgrade: engine, fronts and supervisor are replaced, and no phone notices; also when something dies in the middle."""

import contextlib
import os
import signal
import sqlite3
import threading

from eas.http import Closed
from eas.query import PATH
from lib import mail
from lib.case import retry
from lib.server import ServerError, eventually, wait_exit
from lib.upgrade import CopyCase, UpgradeCase


class Upgrade(UpgradeCase):
    def test_everything_is_replaced(self):
        phones = self.fleet()
        for number in range(2):
            supervisor, engine, fronts = self.server.process.pid, self.server.engine_pid(), set(self.server.front_pids())
            self.server.bellhop("upgrade", timeout=60)
            self.settle([engine, *fronts])
            self.assertEqual(self.server.process.pid, supervisor)
            self.assertNotEqual(self.server.engine_pid(), engine)
            eventually(lambda: len(self.server.front_pids()) == 2, what="two fronts")
            self.assertFalse(fronts & set(self.server.front_pids()))
            self.assertEqual(self.server.stats()["parked"], len(phones))
            self.assert_reached(phones, f"after upgrade {number}")
        self.assertIsNone(self.server.process.poll())
        # What the new supervisor knows: reload, restart, and who its children are.
        self.server.bellhop("reload")
        self.server.bellhop("restart", "engine")
        self.assert_reached(phones, "after all")
        front = self.server.front_pids()[0]
        os.kill(front, signal.SIGKILL)
        self.assertTrue(wait_exit(front, 10))
        eventually(lambda: len(self.server.front_pids()) == 2, what="the front is back")

    def test_renewed_from_memory_afterwards(self):
        """The lease goes along: a phone whose watch nothing touched is renewed without the engine's help."""
        phone = self.phone()
        phone.prime()
        phone.waiting = phone.ping_send(heartbeat=60)
        self.addCleanup(phone.waiting.close)
        self.assert_parked(phone.waiting, 0.05)
        old = self.server.front_pids()
        self.server.bellhop("upgrade", timeout=60)
        self.settle(old)
        self.assertGreaterEqual(self.server.stats()["adopted"], 1)
        self.assertEqual(self.server.stats()["adopt_lost"], 0)
        self.assert_parked(phone.waiting, 0.05)

    def test_nobody_is_refused(self):
        """Phones connect and ask all the time while everything is replaced: each gets its answer, none a 503."""
        phone = self.phone()
        phone.prime()
        over, wrong, served = threading.Event(), [], [0]

        def connect_and_ask():
            while not over.is_set():
                try:
                    connection = self.server.connect(timeout=20)
                    connection.request("OPTIONS", PATH, {"Authorization": phone.authorization})
                    status = connection.response().status
                    connection.close()
                    served[0] += 1
                    if status != 200:
                        wrong.append(status)
                except (Closed, OSError, AssertionError) as error:
                    wrong.append(repr(error))

        threads = [threading.Thread(target=connect_and_ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            self.server.bellhop("upgrade", timeout=60)
            before = served[0]
            eventually(lambda: served[0] > before + 20, what="connections to the new fronts")
        finally:
            over.set()
            for thread in threads:
                thread.join()
        self.assertEqual(wrong, [])
        self.assertGreater(served[0], 50)


class Kept(UpgradeCase):
    """tls.park = keep: such connections cannot be handed over, and what phones see is clean all the same."""

    settings = {**UpgradeCase.settings, "tls.park": "keep", "server.drain_s": "4"}

    def test_answers_are_whole(self):
        woken = self.phone(tls=True)
        woken.owner = self.owner
        waits = self.phone(tls=True)
        old = self.server.front_pids()
        for phone in (woken, waits):
            phone.prime()
            phone.waiting = phone.ping_send(heartbeat=600)
            self.addCleanup(phone.waiting.close)
            self.assert_parked(phone.waiting, 0.05)
        self.server.bellhop("upgrade", timeout=60)
        for phone in (woken, waits):
            self.assert_parked(phone.waiting, 0.02)
        # Mail reaches who is still with the old process; the end of that process is the end of a heartbeat.
        self.server.deliver(woken.owner, mail.message("to the old process"))
        for phone, status in ((woken, "2"), (waits, "1")):
            answer = phone.receive(phone.waiting)
            self.assert_ping(answer, status)
            with self.assertRaises(Closed):
                phone.waiting.response()
            phone.close()
        self.settle(old)
        self.assertEqual(woken.sync().subjects(), ["to the old process"])
        waits.ping_send(heartbeat=600).close()


class Refused(CopyCase):
    """A program that cannot take over is found out before anything happens."""

    def replace(self, text):
        os.rename(self.copy, self.copy + ".old")
        with open(self.copy, "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(self.copy, 0o755)

    def test_broken_program(self):
        phones = self.fleet()
        pids = self.server.pids()
        self.replace("#!/bin/sh\nexit 7\n")
        with self.assertRaisesRegex(ServerError, "exit status 7"):
            self.server.bellhop("upgrade", timeout=60)
        self.assertEqual(self.server.pids(), pids)
        self.assert_reached(phones, "nothing happened")
        os.unlink(self.copy)
        with self.assertRaisesRegex(ServerError, "exit status 127"):
            self.server.bellhop("upgrade", timeout=60)
        # The true one again.
        os.rename(self.copy + ".old", self.copy)
        self.server.bellhop("upgrade", timeout=60)
        self.assert_reached(phones, "and now")

    def set_schema(self, version):
        """Writes it beside the running server; what it was before."""
        with contextlib.closing(sqlite3.connect(os.path.join(self.server.folder, "data", "bellhop.db"), timeout=20)) as store, store:
            (before,) = store.execute("SELECT version FROM schema_version").fetchone()
            store.execute("UPDATE schema_version SET version = ?", (version,))
        return before

    def test_older_than_the_store(self):
        """A program that goes back behind the store's tables: refused, and the command says why."""
        phones = self.fleet()
        pids = self.server.pids()
        version = self.set_schema(9999)
        with self.assertRaisesRegex(ServerError, f"does not take over: .*schema version 9999, .*up to {version}"):
            self.server.bellhop("upgrade", timeout=60)
        self.assertEqual(self.server.pids(), pids)
        self.assert_reached(phones, "nothing happened")
        self.set_schema(version)
        self.server.bellhop("upgrade", timeout=60)
        self.assert_reached(phones, "and now")


class Deaths(UpgradeCase):
    def test_engine_dies_meanwhile(self):
        phones = self.fleet()
        upgrade = threading.Thread(target=lambda: self.server.bellhop("upgrade", timeout=60, check=False))
        mark = self.server.log_mark()
        upgrade.start()
        self.server.wait_log("upgrade_begun", since=mark)
        eventually(lambda: self.server.engine_pid() is not None, what="an engine")
        self.server.kill_engine()
        upgrade.join()
        eventually(lambda: self.server.engine_pid() is not None, what="an engine")
        eventually(lambda: self.server.stats().get("upgrading") == 0, what="the end of the upgrade")
        self.assert_reached(phones, "all the same")

    def test_new_front_dies(self):
        """kill -9 of the process that is to take over: the old front goes on, and the upgrade says so."""
        phones = self.fleet()
        old = set(self.server.front_pids())
        stopped = []

        def kill_successor():
            def found():
                for pid in self.server.front_pids():
                    if pid not in old:
                        os.kill(pid, signal.SIGKILL)
                        stopped.append(pid)
                        return True
                return False
            eventually(found, what="a successor")

        killer = threading.Thread(target=kill_successor)
        killer.start()
        answer = self.server.bellhop("upgrade", timeout=60, check=False)
        killer.join()
        self.assertTrue(stopped)
        # Killed before it took anything, it is a failure; after that, just another front that died.
        self.assertIn(answer.returncode, (0, 1, 2, 4))
        eventually(lambda: len(set(self.server.front_pids())) >= 2, what="fronts")
        for phone in phones:
            retry(phone.sync)
