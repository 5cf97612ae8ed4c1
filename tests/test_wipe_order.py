"""
Wipes against all that could come between: what else is laid down for the phone, in every order; two kinds of wipe, cancelling and
the phone's own word at the same moment; kills; and the question which the command asks at a terminal.
"""

import json
import os
import pty
import random
import select
import subprocess
import threading
import unittest

from lib.case import retry
from lib.server import program
from lib.web import Web, at
from test_wipe import ENQUIRY, VERSIONS, WipeCase as Wipes, report

OBSTACLES = ("disabled", "off", "blocked", "quarantined")
KINDS = {"RemoteWipe": "device", "AccountOnlyRemoteWipe": "account"}


class Precedence(Wipes):
    """Every obstacle alone, before and after the order, and all of them in every rotation, in four versions at once."""

    @classmethod
    def prepare(cls):
        cls.token = json.loads(cls.server.bellhop("token", "add", "t", "users devices wipe access", "--json").stdout)["token"]

    def step(self, web, device, step):
        phone = at("users", device.user, "devices", device.device_id)
        answer = {
            "disabled": lambda: web.post(at("users", device.user, "disable")),
            "off": lambda: web.put(at("services", "sync"), value="off", address=device.user),
            "blocked": lambda: web.post(phone + "/block"),
            "quarantined": lambda: web.post(phone + "/quarantine"),
            "wipe": lambda: web.post(phone + "/wipe", yes=True),
        }[step]()
        self.assertIn(answer.status, (200, 201, 204), (step, answer))

    def reaches(self, version, order, users):
        web, device = Web(self.server, token=self.token), next(users).device(version).ready()
        for step in order:
            self.step(web, device, step)
        self.assert_told(self.folder_sync(device))
        self.assert_ping(device.ping(folders=[device.inbox]), "7")
        sync = device.post("Sync", device.sync_request(device.collection(device.inbox, key="0")))
        self.assert_told(sync)
        self.assert_ordered(device)
        done = device.post("Provision", report("1"))
        self.assertEqual((done.status, done.document.names()), ("1", ["Status"]), done)
        self.assertNotEqual(self.folder_sync(device).status, "1")
        device.close()
        web.close()

    def test_in_every_order(self):
        whole = [*OBSTACLES, "wipe"]
        orders = [*((one, "wipe") for one in OBSTACLES), *(("wipe", one) for one in OBSTACLES),
                  *(whole[n:] + whole[:n] for n in range(len(whole)))]
        users = iter([self.user() for _ in range(len(orders) * len(VERSIONS))])
        errors = []

        def run(version):
            for order in orders:
                try:
                    self.reaches(version, order, users)
                except BaseException as error:  # noqa: BLE001 - shown below
                    errors.append(f"{version} {order}: {error!r}")

        threads = [threading.Thread(target=run, args=(version,)) for version in VERSIONS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(errors, [])
        self.assertIsNone(next(users, None), "each order was tried in each version")


class Races(Wipes):
    ROUNDS = 30
    # What may follow what, by the words of the event log.
    NEXT = {"": {"pending"}, "pending": {"sent", "cancelled", "acknowledged", "failed", "pending"},
            "sent": {"cancelled", "acknowledged", "failed", "pending"}, "failed": {"sent", "cancelled", "acknowledged", "failed", "pending"},
            "cancelled": {"pending"}, "acknowledged": {"cleared"}, "cleared": {"pending"}}

    def orders(self, device, chance, stop):
        """Of both kinds, and taken back, in any order; refusals are allowed."""
        while not stop.is_set():
            verb = chance.choice((("wipe", "--yes"), ("wipe", "--yes", "--account"), ("cancel",)))
            self.server.bellhop("device", verb[0], device.user, device.device_id, *verb[1:], check=False)

    def obeys(self, device, heard, chance):
        """As a phone that is told to erase itself: it asks, and says that it cannot, or confirms what it was told."""
        for _ in range(self.ROUNDS):
            answer = device.post("Provision", ENQUIRY)
            told = [name for name in KINDS if answer.document is not None and answer.document.has(name)]
            self.assertLessEqual(len(told), 1)
            if told:
                heard.append(KINDS[told[0]])
                device.post("Provision", report(chance.choice("2221"), told[0]))

    def log_of(self, device):
        rows = json.loads(self.bellhop("log", "list", "--user", device.user, "--limit", "1000", "--json"))
        return [(row["action"], row["result"].split(",")[0]) for row in reversed(rows)
                if row.get("device") == device.device_id and row["action"].split()[-1] in ("wipe", "cancel", "clear")
                and not row["result"].startswith(("refused", "error", "conflict", "denied"))]

    def check(self, device, heard):
        """The log is a way through the states; the phone heard nothing that was not ordered and sent."""
        state, kind, sent = "", None, []
        rows = self.log_of(device)
        for action, result in rows:
            if result not in self.NEXT:
                continue
            self.assertIn(result, self.NEXT[state], rows)
            if result == "pending":
                kind = None
            if result in ("sent", "acknowledged"):
                of = "account" if action.startswith("account") else "device"
                if result == "sent":
                    sent.append(of)
                    kind = of
                elif kind is not None:
                    self.assertEqual(of, kind, "acknowledged as what it was told to do")
            state = result
        self.assertLessEqual(set(heard), set(sent), rows)
        shown = self.shown(device)
        self.assertEqual(shown["wipe"] or "", {"": "", "cleared": shown["wipe"] or ""}.get(state, state), rows)
        out = self.folder_sync(device)
        if state == "acknowledged":
            self.assert_out(out)
        elif state in ("pending", "sent", "failed"):
            self.assert_told(out)
        else:
            self.assertEqual(out.status, "1", rows)

    def test_two_kinds_cancelling_and_acknowledging(self):
        for seed in range(8):
            device, stop, heard, errors = self.phone("16.1"), threading.Event(), [], []
            other = self.phone("16.1", user=self.owner)
            threads = [threading.Thread(target=self.orders, args=(device, random.Random(seed * 10 + n), stop)) for n in range(2)]
            for thread in threads:
                thread.start()
            try:
                self.obeys(device, heard, random.Random(seed))
            except BaseException as error:  # noqa: BLE001 - after the threads
                errors.append(error)
            stop.set()
            for thread in threads:
                thread.join(30)
            self.assertEqual(errors, [], f"seed {seed}")
            self.check(device, heard)
            self.assertEqual(self.folder_sync(other).status, "1", "the user's other phone heard of nothing")


class Storm(Wipes):
    def test_killed_while_it_does_it(self):
        """
        kill -9 while order, enquiry and acknowledgment are under way: what the administrator was told of is kept, the phone is asked
        again until it has acknowledged, and nobody else ever hears of it.
        """
        chance = random.Random(7)
        for again in range(3):
            if again:  # which is at once there again; after many crashes in a row it would wait
                self.server.stop()
                self.server.start()
            device = self.phone("14.1")
            neighbour = self.phone("14.1", user=self.owner)
            ordering = subprocess.Popen([program("bellhop"), "-c", self.server.config, "device", "wipe", device.user, device.device_id, "--yes"],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            select.select([ordering.stdout], [], [], chance.uniform(0, 0.02))
            self.server.kill_engine()
            ordering.stdout.close()
            accepted = ordering.wait(20) == 0
            answer = retry(lambda: self.folder_sync(device), good=lambda answer: answer.code != 503)  # noqa: B023
            ordered = answer.status == "140"
            self.assertTrue(ordered or not accepted, "an order that was accepted is kept")
            if not ordered:
                retry(lambda: self.folder_sync(device))  # noqa: B023
                self.wipe(device)
            for document in (ENQUIRY, report("1")):
                device.send("Provision", document)
                select.select([device.connection.socket], [], [], chance.uniform(0, 0.01))
                self.server.kill_engine()
                device.close()
                retry(lambda: neighbour.folder_sync("0"))  # noqa: B023
                self.assertFalse(neighbour.post("Provision", ENQUIRY).document.has("RemoteWipe"))
                neighbour.close()
            answer = retry(lambda: device.post("Provision", report("1")))  # noqa: B023
            self.assertEqual(answer.status, "1", answer)
            self.assertEqual(self.shown(device)["wipe"], "acknowledged")
            self.assertEqual(self.folder_sync(neighbour).status, "1")


class Question(Wipes):
    """At a terminal: whose phone, which, seen when; and only a clear yes does it."""

    def ask(self, device_id, address, answer):
        """Runs the command at a terminal of its own; returns its status and what it wrote."""
        master, slave = pty.openpty()
        command = subprocess.Popen([program("bellhop"), "-c", self.server.config, "device", "wipe", address, device_id],
                                   stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        text = b""
        try:
            while True:
                ready, _, _ = select.select([master], [], [], 20)
                if not ready:
                    command.kill()
                    self.fail(f"it waits for ever: {text}")
                try:
                    octets = os.read(master, 4096)
                except OSError:  # the other end is closed
                    break
                if not octets:
                    break
                text += octets
                if b"[y/N] " in text and answer is not None:
                    os.write(master, answer)
                    answer = None
            return command.wait(20), text.decode()
        finally:
            os.close(master)

    def test_answers(self):
        device = self.phone("14.1")
        for answer in (b"n\n", b"\n", b"\x04", b"yesterday\n", b"wipe\n"):
            status, text = self.ask(device.device_id, device.user, answer)
            self.assertNotEqual(status, 0, (answer, text))
            self.assertIn("nothing was done", text)
            self.assertEqual(self.folder_sync(device).status, "1", answer)
        for word in (device.user, device.device_id, "Tester", "last seen", "cannot be taken back"):
            self.assertIn(word, text)
        self.assertRegex(text, r"last seen +20\d\d-\d\d-\d\d \d\d:\d\d:\d\d")
        status, text = self.ask(device.device_id, device.user, b"y\n")
        self.assertEqual(status, 0, text)
        self.assert_told(self.folder_sync(device))
        other = self.phone("14.1")
        self.assertEqual(self.ask(other.device_id, other.user, b"yes\n")[0], 0)
        self.assert_told(self.folder_sync(other))

    def test_wrong_id(self):
        """Nothing is asked about a phone that is not there, nor about another user's."""
        device, other = self.phone("14.1"), self.phone("14.1")
        for device_id, address in (("nosuchphone", device.user), (other.device_id, device.user), (device.device_id, "nobody@example.org")):
            status, text = self.ask(device_id, address, b"y\n")
            self.assertNotEqual(status, 0)
            self.assertNotIn("[y/N]", text)
        for one in (device, other):
            self.assertEqual(self.folder_sync(one).status, "1")


if __name__ == "__main__":
    unittest.main()
