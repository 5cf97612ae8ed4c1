"""Phones stay parked whatever happens to the engine: kill -9, restart, reload. What was acknowledged is never lost."""

import os
import signal
import socket
import threading
import unittest

from eas.client import SyncAnswer
from eas.http import Closed
from lib import mail
from lib.case import FORMS, ServerCase, retry
from lib.lmtp import LmtpError
from lib.server import ServerError, eventually, wait_exit
from lib.upgrade import UpgradeCase


class CrashCase(UpgradeCase):
    settings = {"server.fronts": "2"}
    forms = FORMS

    def hand_over(self, owner, message):
        """As a mail server would: again until it is taken."""
        def once():
            try:
                self.server.deliver(owner, message)
                return True
            except (LmtpError, OSError, ServerError):
                return False
        eventually(once, what="delivery")

    def wait_new_engine(self, old):
        def new():
            pid = self.server.engine_pid()
            return pid if pid not in (None, old) else None
        return eventually(new, what="a new engine")


class Engine(CrashCase):
    def test_kill_reload_restart(self):
        phones = self.fleet()
        for number in range(3):
            old = self.server.kill_engine()
            self.wait_new_engine(old)
            self.assert_reached(phones, f"after kill {number}")
        old = self.server.engine_pid()
        self.server.bellhop("restart", "engine")
        self.wait_new_engine(old)
        self.assert_reached(phones, "after restart")
        self.server.bellhop("reload")
        self.assert_reached(phones, "after reload")

    def test_delivery_while_the_engine_is_away(self):
        """The message is taken by the new engine at its start, maybe before the phones are registered again."""
        phones = self.fleet()
        for number in range(3):
            self.server.kill_engine()
            for phone in phones:
                self.hand_over(phone.owner, mail.message(f"early {number}"))
            for phone in phones:
                self.assert_ping(phone.receive(phone.waiting), "2", [phone.inbox])
                phone.close()
                self.assertEqual(retry(phone.sync).subjects(), [f"early {number}"])
                phone.close()
                retry(lambda: self.park(phone))

    def park(self, phone):
        """A Ping which is parked counts as a good answer here; while the engine is away it is 503."""
        phone.ping_send(phone.waiting, heartbeat=600)
        if phone.waiting.is_silent(0.05):
            class Parked:
                code = 200
            return Parked
        answer = phone.receive(phone.waiting)
        self.assertEqual(answer.code, 503)
        return answer

    def test_requests_in_flight(self):
        """Commands get 503 with Retry-After while the engine is away; afterwards everything works."""
        device = self.phone("14.1")
        device.prime()
        old = self.server.kill_engine()
        seen = []
        def attempt():
            try:
                answer = device.folder_sync("0")
            except (Closed, OSError):
                device.connection = None
                return None
            if answer.code == 503:
                seen.append(answer.http.header("Retry-After"))
                return None
            return answer
        answer = eventually(attempt, what="an answer")
        self.assertEqual(answer.status, "1")
        self.assertTrue(all(s and s.isdigit() for s in seen), seen)
        self.wait_new_engine(old)

    def test_held_sync_survives(self):
        device = self.phone("14.1")
        device.prime()
        device.send("Sync", device.sync_request(device.collection(device.inbox), heartbeat="600"))
        self.assert_parked(device.connection)
        old = self.server.kill_engine()
        self.wait_new_engine(old)
        self.assert_parked(device.connection)
        self.hand_over(self.owner, mail.message("for the held one"))
        answer = SyncAnswer(device.receive(), device.inbox)
        if answer.is_empty:
            answer = retry(device.sync)
        self.assertEqual(answer.subjects(), ["for the held one"])

    def test_events_while_the_engine_is_away(self):
        """A password changed right after the new start ends the old Ping's renewal."""
        device = self.phone("14.1")
        device.prime()
        waiting = device.ping_send(heartbeat=600)
        self.addCleanup(waiting.close)
        self.assert_parked(waiting)
        old = self.server.kill_engine()
        self.wait_new_engine(old)
        path = self.server.password_file("changed")
        eventually(lambda: self.server.bellhop(
            "user", "passwd", device.user, "--password-file", path, check=False).returncode == 0, what="passwd")
        self.hand_over(self.owner, mail.message("secret"))
        answer = device.receive(waiting)
        if answer.code == 200:
            waiting.close()
            waiting = device.ping_send(heartbeat=600)
            answer = device.receive(waiting)
        self.assertEqual(answer.code, 401)

    def test_nothing_acknowledged_is_lost(self):
        """Deliveries go on while the engine is killed again and again: each 250 is one message in the inbox."""
        device = self.phone("14.1")
        device.prime()
        acknowledged, stop = [], threading.Event()

        def deliver():
            number = 0
            while not stop.is_set():
                number += 1
                try:
                    with self.server.lmtp() as lmtp:
                        answer = lmtp.deliver(self.owner.address, mail.message(f"n{number}"))
                    if answer[0].startswith("250"):
                        acknowledged.append(f"n{number}")
                except (LmtpError, OSError):
                    pass
        worker = threading.Thread(target=deliver)
        worker.start()
        try:
            for _ in range(4):
                mark = len(acknowledged)
                eventually(lambda: len(acknowledged) > mark + 20, what="deliveries go on")
                self.server.kill_engine()
        finally:
            mark = len(acknowledged)
            eventually(lambda: len(acknowledged) > mark, what="deliveries go on")
            stop.set()
            worker.join()
        device.close()
        items = {}
        def rest():
            device.close()
            answer = retry(lambda: device.sync(window="512"))
            items.update(answer.added)
            return answer.is_empty or not answer.more
        eventually(rest, what="all is synced")
        subjects = [d.get("Email:Subject") for d in items.values()]
        self.assertEqual(len(subjects), len(set(subjects)), "doubled")
        self.assertLessEqual(set(acknowledged), set(subjects))


class Front(CrashCase):
    def test_a_front_dies(self):
        """Its phones come back by new connections; those of the other front notice nothing."""
        phones = [self.phone("14.1") for _ in range(8)]
        for phone in phones:
            phone.owner = phone.user
            phone.prime()
            phone.waiting = phone.ping_send(heartbeat=600)
            self.assert_parked(phone.waiting, 0.05)
        victim = self.server.front_pids()[0]
        os.kill(victim, signal.SIGKILL)
        self.assertTrue(wait_exit(victim, 5))
        lost = [p for p in phones if not p.waiting.is_silent(0.05)]
        kept = [p for p in phones if p not in lost]
        eventually(lambda: len(self.server.front_pids()) == 2, what="a new front")
        for phone in lost:
            phone.waiting.close()
            phone.close()

            def park():
                try:
                    phone.waiting = phone.ping_send(heartbeat=600)
                    return phone.waiting.is_silent(0.1)
                except (OSError, Closed):
                    return False
            eventually(park, what="parked again")
        for phone in phones:
            self.server.deliver(phone.owner, mail.message("to all"))
        for phone in lost + kept:
            self.assert_ping(phone.receive(phone.waiting), "2", [phone.inbox])
            phone.waiting.close()


class Client(ServerCase):
    def test_phones_that_vanish(self):
        """Connections which end while parked are forgotten: the count of waiting phones goes back to where it was."""
        device = self.phone("14.1")
        device.prime()
        def parked():
            return self.server.status()["parked"]
        before = parked()
        connections = []
        for number in range(20):
            other = device.clone(device_id=f"vanish{number}", policy_key="0").ready()
            other.prime()
            connections.append(other.ping_send(heartbeat=600))
            self.assert_parked(connections[-1], 0.02)
            other.close()
        eventually(lambda: parked() == before + 20, what="20 more are parked")
        for number, connection in enumerate(connections):
            if number % 2:
                connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # RST
            connection.close()
        eventually(lambda: parked() == before, what="they are forgotten")


if __name__ == "__main__":
    unittest.main()
