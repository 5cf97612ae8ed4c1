"""
Many phones of one user do what they like: mark, flag, delete, lose answers, repeat requests, start over; mail arrives and the engine is
killed meanwhile (by some seeds). Each phone believes what it is told and nothing else; whatever happened, nothing is sent twice, nothing is lost, and in the end all
of them see the same mailbox. A failing seed is printed and can be run alone: BELLHOP_SEED=n (or n-m) tests/run ... model
"""

import os
import random
import unittest

from eas.client import SyncAnswer
from eas.http import Closed
from eas.wbxml import E
from lib import mail
from lib.case import ServerCase
from lib.lmtp import LmtpError
from lib.server import eventually

FIRST, _, LAST = os.environ.get("BELLHOP_SEED", "1-24").partition("-")
SEEDS = range(int(FIRST), int(LAST or FIRST) + 1)
STEPS = 120


class ModelPhone:
    """What one phone holds: server id -> [subject, read]; and the request whose answer it never saw."""

    def __init__(self, device, rng):
        self.device = device
        self.random = rng
        self.items = {}
        self.lost = None  # (key, commands, effects) of a request without answer
        self.history = []

    def start_over(self):
        answer = self.request("0", [], None)
        assert answer.collection_status == "1", answer
        self.device.keys[self.device.inbox] = answer.key
        self.items, self.lost = {}, None

    def request(self, key, commands, window, lose=False):
        device = self.device
        document = device.sync_request(device.collection(device.inbox, key, window=window, commands=commands))
        if lose:
            connection = device.connect()
            device.send("Sync", document, connection=connection)
            if self.random.random() < 0.7:  # else it goes before the server has done anything
                try:
                    connection.response()
                except (Closed, OSError):
                    pass
            connection.close()
            return None

        def once():
            try:
                answer = device.post("Sync", document)
            except (Closed, OSError):
                device.connection = None
                return None
            if answer.code == 503:
                device.close()
                return None
            return answer
        return SyncAnswer(eventually(once, what="an answer"), device.inbox)

    def commands(self):
        """Some changes of what is held, and what they will have done here."""
        chosen = self.random.sample(sorted(self.items), min(len(self.items), self.random.choice((0, 0, 1, 1, 2, 5))))
        commands, effects = [], []
        for server_id in chosen:
            if self.random.random() < 0.3:
                commands.append(E("Delete", E("ServerId", server_id)))
                effects.append((server_id, None))
            else:
                value = self.random.choice("01")
                commands.append(E("Change", E("ServerId", server_id), E("ApplicationData", E("Email:Read", value))))
                effects.append((server_id, value))
        return commands, effects

    def step(self):
        key = self.device.keys[self.device.inbox]
        window = self.random.choice((None, "1", "2", "5", "512"))
        if self.lost:
            # The same request again; now and then with something more.
            commands, effects = self.lost
        else:
            commands, effects = self.commands()
        if self.random.random() < 0.15:
            self.lost = (commands, effects)
            self.history.append(("lost", key, effects))
            self.request(key, commands, window, lose=True)
            return
        answer = self.request(key, commands, window)
        self.history.append(("sync", key, effects, repr(answer)[:600]))
        if self.random.random() < 0.1:
            self.lost = (commands, effects)  # it arrived, but the phone went off before it was stored
            return
        self.lost = None
        try:
            self.take(answer, effects)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.device.version} {self.device.form}, its last requests:\n"
                                 + "\n".join(map(repr, self.history[-6:]))) from None

    def take(self, answer, effects):
        if answer.is_empty:
            assert not effects, "changes were not answered"
            return
        assert answer.collection_status == "1", answer
        refused = {e.get("ServerId"): e.get("Status") for e in answer.responses("Change") + answer.responses("Delete")}
        for server_id, value in effects:
            if server_id not in self.items:
                continue
            if value is None:
                del self.items[server_id]
            elif server_id not in refused:
                self.items[server_id][1] = value
        for server_id in answer.deleted + answer.soft_deleted:
            gone_by_us = any(i == server_id and v is None for i, v in effects)
            assert server_id in self.items or gone_by_us, f"deletion of {server_id}, which it does not hold"
            self.items.pop(server_id, None)
        for server_id, data in answer.added.items():
            assert server_id not in self.items, f"{server_id} is added twice"
            self.items[server_id] = [data.get("Email:Subject"), data.get("Email:Read")]
        for server_id, data in answer.changed.items():
            assert server_id in self.items, f"change of {server_id}, which it does not hold"
            if data.has("Email:Read"):
                self.items[server_id][1] = data.get("Email:Read")
        self.device.keys[self.device.inbox] = answer.key

    def settle(self):
        """Until nothing more comes."""
        for _ in range(1000):
            commands, effects = self.lost or ([], [])
            self.lost = None
            answer = self.request(self.device.keys[self.device.inbox], commands, "512")
            self.history.append(("settle", self.device.keys[self.device.inbox], effects, repr(answer)[:600]))
            before = {i: list(v) for i, v in self.items.items()}
            self.take(answer, effects)
            if answer.is_empty or (before == self.items and not answer.more and not effects):
                return
        raise AssertionError("it never settles")


class Model(ServerCase):
    settings = {"server.log_level": "warn"}

    def run_seed(self, seed):
        rng = random.Random(seed)
        user = self.user()
        forms = [("2.5", "plain"), ("12.1", "base64"), ("14.1", "plain"), ("16.1", "base64")]
        phones = []
        for version, form in forms:
            phone = ModelPhone(user.device(version, form).ready(), rng)
            phone.start_over()
            phones.append(phone)
        delivered = []
        kills = set(rng.sample(range(STEPS), 2)) if seed % 8 == 1 else set()
        for step in range(STEPS):
            if step in kills:
                self.server.kill_engine()
            chance = rng.random()
            if chance < 0.25:
                self.deliver_some(user, delivered, rng.choice((1, 1, 2, 6)))
            elif chance < 0.27:
                phones[0].device.close()
                rng.choice(phones).start_over()
            else:
                rng.choice(phones).step()
        # In the middle of everything no state is wrong, and afterwards nothing in the store.
        self.check("device", "check", user.address, rng.choice(phones).device.device_id)
        for _ in range(2):
            for phone in phones:
                phone.settle()
        fresh = ModelPhone(user.device("14.1").ready(), rng)
        fresh.start_over()
        fresh.settle()
        subjects = sorted(s for s, _ in fresh.items.values())
        if not kills:  # else a mail server may have had to deliver twice
            self.assertEqual(len(subjects), len(set(subjects)), "doubled")
        for phone in phones:
            self.assertEqual(phone.items, fresh.items, f"{phone.device.version} {phone.device.form}\n" + "\n".join(
                map(repr, phone.history[-8:])))
        for phone in phones + [fresh]:
            phone.device.close()
        return delivered, subjects

    def check(self, *words):
        done = self.server.bellhop(*words, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def deliver_some(self, user, delivered, count):
        for _ in range(count):
            subject = f"m{len(delivered)}"

            def once():
                try:
                    with self.server.lmtp() as lmtp:
                        return lmtp.deliver(user.address, mail.message(subject))[0].startswith("250")
                except (LmtpError, OSError):
                    return False
            eventually(once, what="delivery")
            delivered.append(subject)

    def test_convergence(self):
        for seed in SEEDS:
            with self.subTest(seed=seed):
                self.run_seed(seed)
        self.check("check")


if __name__ == "__main__":
    unittest.main()
