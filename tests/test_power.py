"""
Power loss: a server works under a recorder (tests/power), which writes down what it does to its files and what it says; for a thousand moments
of the run, what was not synced by then is dropped, torn or reordered, the store is opened from the rest, and compared with what had been acknowledged.
"""

import hashlib
import os
import random
import re
import shutil
import struct
import subprocess
import tempfile
import threading
import unittest

from eas.client import SyncAnswer
from eas.wbxml import E
from lib.server import BUILD, DEFAULTS, Server

CUTS = int(os.environ.get("BELLHOP_POWER_CUTS", "1000"))
SEED = int(os.environ.get("BELLHOP_POWER_SEED", "1"))
# Records of the log (power/log.h).
ROOT, MKDIR, MARK = 1, 10, 13
# Small ones lie in the database, large ones in files.
SETTINGS = {"store.body_inline_max": "4096", "server.fronts": "1", "server.workers": "6"}
SIZES = (200, 1500, 6000, 30000)


def program(name):
    return os.path.join(BUILD, "tests", "power", name)


class Book:
    """What was done, and the marks in the log that say when."""

    def __init__(self, log, facts):
        self.log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.facts = facts
        self.lock = threading.Lock()
        self.lines = []
        self.number = 0

    def record(self, kind, path=b"", octets=b"", inode=0):
        record = struct.pack("<IIIIQQ", kind, len(path), 0, len(octets), inode, 0) + path + octets
        os.write(self.log, record + bytes(-len(record) % 8))

    def mark(self, text):
        self.record(MARK, octets=text.encode())

    def begin(self, kind, *fields):
        """Before it is asked for. The fields may be completed until write()."""
        with self.lock:
            self.number += 1
            act = [kind, str(self.number), *fields]
            self.lines.append(act)
        self.mark(f"begin {act[1]}")
        return act

    def ack(self, act, port=None, token=None):
        """The answer has come; token is what it had in it, as the server said it (to that port)."""
        said = "" if token is None else f" {port or 0} {token.encode().hex()}"
        self.mark(f"ack {act[1]}{said}")

    def more(self, act, *fields):
        act.append("\n" + "\t".join(fields))

    def write(self):
        with open(self.facts, "w", encoding="utf-8") as file:
            for act in self.lines:
                head = [field for field in act if not field.startswith("\n")]
                file.write("\t".join(head) + "".join(field for field in act if field.startswith("\n")) + "\n")


class Phone:
    """Syncs, marks, flags and deletes messages which no other phone touches."""

    def __init__(self, book, user, number, rng):
        self.book, self.random = book, rng
        self.device = user.device(device_id=f"power{number}")
        self.number, self.user = number, user
        self.items = {}  # server id -> [subject, read, flag]

    def options(self):
        # As the checker's client asks, so that going on does not change the Options.
        return E("AirSync:Options", E("FilterType", "0"), E("AirSyncBase:BodyPreference", E("Type", "1"), E("TruncationSize", "512")),
                 E("Conflict", "1"), E("MIMESupport", "0"))

    def begin(self, kind, *fields):
        return self.book.begin(kind, self.device.device_id, self.user.address, *fields)

    def set_up(self):
        act = self.begin("policy", "?")
        self.device.provision()
        act[4] = self.device.policy_key
        self.book.ack(act)
        act = self.begin("folders", "?", "?")
        answer = self.device.folder_sync("0")
        assert answer.status == "1", answer
        act[4:6] = [self.device.hierarchy_key, self.device.inbox]
        self.book.ack(act)
        self.sync([], [])

    def mine(self, subject):
        return int(subject.rsplit(" ", 1)[1]) % 2 == self.number % 2

    def changes(self):
        commands, effects = [], []
        held = sorted(server_id for server_id, item in self.items.items() if self.mine(item[0]))
        for server_id in self.random.sample(held, min(len(held), self.random.choice((0, 1, 1, 2, 4)))):
            kind = self.random.choice(("read", "read", "flag", "gone"))
            value = self.random.choice("01")
            if kind == "gone":
                commands.append(E("Delete", E("ServerId", server_id)))
            elif kind == "read":
                commands.append(E("Change", E("ServerId", server_id), E("ApplicationData", E("Email:Read", value))))
            else:
                flag = E("Email:Flag", E("Status", "2"), E("FlagType", "for Follow Up")) if value == "1" else E("Email:Flag")
                commands.append(E("Change", E("ServerId", server_id), E("ApplicationData", flag)))
            effects.append((server_id, kind, value))
        return commands, effects

    def take(self, act, server_id, subject, read, flag):
        if subject is None:
            item = self.items[server_id]
            item[1], item[2] = item[1] if read == "-" else read, item[2] if flag == "-" else flag
            self.book.more(act, "~", server_id, read, flag)
        else:
            assert server_id not in self.items
            self.items[server_id] = [subject, read, flag]
            self.book.more(act, "+", server_id, read, flag, subject)

    def sync(self, commands, effects):
        """One request; True when it brought something."""
        device = self.device
        key = device.keys.get(device.inbox, "0")
        acts = [self.book.begin(kind, self.user.address, self.items[server_id][0], *([value] if kind != "gone" else []))
                for server_id, kind, value in effects]
        act = self.begin("sync", "?")
        document = device.sync_request(device.collection(
            device.inbox, key, window=40, deletes_as_moves=None if key == "0" else "0", options=self.options(), commands=commands))
        answer = SyncAnswer(device.post("Sync", document), device.inbox)
        assert answer.code == 200, answer
        if answer.is_empty:
            self.book.lines.remove(act)
            return False
        assert answer.collection_status == "1" and not answer.responses("Change") and not answer.responses("Delete"), answer
        device.keys[device.inbox] = act[4] = answer.key
        for server_id, kind, value in effects:
            if kind == "gone":
                del self.items[server_id]
                self.book.more(act, "-", server_id)
            else:
                self.take(act, server_id, None, value if kind == "read" else "-", value if kind == "flag" else "-")
        for server_id, data in answer.added.items():
            flag = "1" if data.get("Email:Flag/Status") == "2" else "0"
            self.take(act, server_id, data.get("Email:Subject"), data.get("Email:Read"), flag)
        for server_id, data in answer.changed.items():
            flag = "-" if not data.has("Email:Flag") else "1" if data.get("Email:Flag/Status") == "2" else "0"
            self.take(act, server_id, None, data.get("Email:Read") or "-", flag)
        for server_id in answer.deleted:
            del self.items[server_id]
            self.book.more(act, "-", server_id)
        for one in [*acts, act]:
            self.book.ack(one, token=answer.key)
        return bool(answer.added or answer.changed or answer.deleted)

    def work(self, rounds):
        for _ in range(rounds):
            self.sync(*self.changes())
        self.device.close()


class Run:
    """A server, what it was asked, and its log."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="bellhop-power-")
        self.log = os.path.join(self.folder, "log")
        self.facts = os.path.join(self.folder, "facts")
        self.server = Server(settings=SETTINGS)
        self.book = Book(self.log, self.facts)
        self.subjects = 0
        self.troubles = []
        self.lock = threading.Lock()

    def subject(self):
        with self.lock:
            self.subjects += 1
            return f"number {self.subjects}"

    def message(self, user, size, sender="anna@example.net"):
        subject = self.subject()
        body = "".join(f"line {n} of {subject}\r\n" for n in range(size // 20))
        return subject, (f"From: {sender}\r\nTo: {user.address}\r\nSubject: {subject}\r\nContent-Type: text/plain\r\n\r\n" + body).encode()

    def deliver_all(self, users, count, seed):
        rng = random.Random(seed)
        with self.server.lmtp() as lmtp:
            port = lmtp.socket.getsockname()[1]
            for _ in range(count):
                user = rng.choice(users)
                subject, message = self.message(user, rng.choice(SIZES))
                act = self.book.begin("mail", user.address, subject, hashlib.sha256(message).hexdigest(), str(len(message)))
                answer = lmtp.deliver(user.address, message)[0]
                assert answer.startswith("250"), answer
                self.book.ack(act, port, answer)

    def send_all(self, phone, users, count):
        """SendMail: accepted when the answer has come."""
        for _ in range(count):
            for user in users:
                subject, message = self.message(user, 300, users[0].address)
                act = self.book.begin("mail", user.address, subject, "-", "0")
                answer = phone.post("SendMail", E("ComposeMail:SendMail", E("ClientId", f"c{subject}"), E("Mime", message)))
                assert answer.code == 200 and answer.document is None, answer
                self.book.ack(act)
        phone.close()

    def administer(self, users):
        for number, user in enumerate(users):
            act = self.book.begin("alias", user.address, f"other{number}@example.org")
            self.server.bellhop("alias", "add", f"other{number}@example.org", user.address)
            self.book.ack(act)
        self.add_user("late")

    def add_user(self, login):
        act = self.book.begin("user", f"{login}@example.org")
        user = self.server.add_user(login)
        self.book.ack(act)
        return user

    def at_once(self, *jobs):
        def run(function, arguments):
            try:
                function(*arguments)
            except BaseException as error:  # pylint: disable=broad-except
                self.troubles.append(error)
        threads = [threading.Thread(target=run, args=(function, arguments)) for function, *arguments in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.troubles:
            raise self.troubles[0]

    def start(self):
        self.server.start(env={"LD_PRELOAD": os.path.abspath(program("power-recorder.so")), "POWER_FOLDER": self.server.data, "POWER_LOG": self.log})

    def leave_folders(self):
        """As a server would that was killed before it synced the folders that it had made."""
        self.book.record(ROOT, inode=os.stat(self.server.data).st_ino)
        for name in ["bodies", *[f"bodies/{number:02x}" for number in range(0, 256, 2)]]:
            path = os.path.join(self.server.data, name)
            os.mkdir(path, 0o700)
            self.book.record(MKDIR, name.encode(), inode=os.stat(path).st_ino)

    def work(self):
        self.leave_folders()
        self.start()
        self.server.add_domain("example.org")
        users = [self.add_user(login) for login in ("anna", "bert")]
        phones = [Phone(self.book, users[number // 2], number, random.Random(number)) for number in range(4)]
        for phone in phones:
            phone.set_up()
        sender = users[0].device(device_id="powersends").ready()
        self.at_once((self.deliver_all, users, 35, 1), (self.deliver_all, users, 35, 2), (self.send_all, sender, users, 10),
                     (self.administer, users), *[(phone.work, 30) for phone in phones])
        # An orderly stop empties SQLite's log and removes it.
        self.server.stop()
        self.start()
        self.at_once((self.deliver_all, users, 15, 3), (self.deliver_all, users, 15, 4), *[(phone.work, 15) for phone in phones])
        self.server.stop()
        self.book.write()

    def check(self, *arguments, name="work"):
        # In memory: what is read after a loss needs no disk.
        where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        work = tempfile.mkdtemp(prefix=f"bellhop-power-{name}-", dir=where)
        config = os.path.join(self.folder, "check.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"[server]\ndata_dir = {work}/data\nruntime_dir = {work}/run\n[auth]\ndefault_domain = {DEFAULTS['auth.default_domain']}\n")
        done = subprocess.run(
            [program("power-check"), "--log", self.log, "--facts", self.facts, "--work", work, "--config", config, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=390)
        shutil.rmtree(work, ignore_errors=True)
        return done.returncode, done.stdout

    def close(self):
        self.server.close()
        os.close(self.book.log)
        if os.environ.get("BELLHOP_POWER_KEEP"):
            print(f"kept: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


class PowerLoss(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.run_ = Run()
        try:
            cls.run_.work()
        except BaseException:
            cls.run_.close()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.run_.close()

    def test_the_log_has_everything(self):
        """Replayed without a loss it gives the files that the server left."""
        status, output = self.run_.check("--whole", self.run_.server.data, name="whole")
        self.assertEqual(status, 0, output)

    def test_nothing_acknowledged_is_lost(self):
        status, output = self.run_.check("--cuts", str(CUTS), "--seed", str(SEED), name="cuts")
        self.assertEqual((status, output.splitlines()[-1]), (0, f"{CUTS} cuts, 0 failed"), output)

    def missing_sync(self, path, expected):
        """A server that left these syncs out is found out."""
        status, output = self.run_.check("--cuts", "400", "--until-failure", "--skip-sync", path, name="skip")
        self.assertEqual(status, 1, output)
        self.assertTrue(re.search(expected, output), output)

    def test_without_the_sync_of_the_log_it_fails(self):
        self.missing_sync("bellhop.db-wal", "acknowledged|Status|not a? ?|user|integrity|malformed")

    def test_without_the_sync_of_body_files_it_fails(self):
        self.missing_sync("bodies/incoming", "bodies/")

    def test_without_the_sync_of_body_folders_it_fails(self):
        self.missing_sync("bodies/", "bodies/")


if __name__ == "__main__":
    unittest.main()
