"""
Scripts of the model (docs/TESTING.md), played over sockets: the program says what happens by a seed, the independent client does it, and
where the script ends the process the engine is killed with kill -9. Each phone believes what it is told and nothing else; nothing comes
twice, nothing is lost, and in the end each holds what its filter shows. A failing seed is printed and can be played alone:
BELLHOP_SEED=n (or n-m) tests/run ... model
"""

import datetime
import json
import os
import random
import subprocess
import threading
import unittest
from email.utils import format_datetime

from eas.client import DELETED, INBOX, SENT, SyncAnswer
from eas.http import Closed
from eas.wbxml import E
from lib import mail
from lib.lmtp import LmtpError
from lib.script_commands import PhoneCommands
from lib.server import BUILD, Server, eventually

FIRST, _, LAST = os.environ.get("BELLHOP_SEED", "1-10").partition("-")
SEEDS = range(int(FIRST), int(LAST or FIRST) + 1)
FOLDERS = (INBOX, DELETED, SENT)
FILTER_DAYS = (None, 1, 3, 7, 14, 31)
OPTIONS, NO_CHANGES, FINAL_DELETE, PERMUTE, OLD = 1, 2, 4, 16, 32  # bits of an action
KILLS_MAX = 3


def read_script(seed):
    done = subprocess.run([os.path.join(BUILD, "tests/model/test_model"), "--script", str(seed)], capture_output=True, text=True, check=True)
    first, *actions = map(json.loads, done.stdout.splitlines())
    return first, actions


class Copy:
    """One item as a phone knows it."""

    def __init__(self, subject):
        self.subject = subject
        self.values = {"read": "0", "flag": None, "category": None}

    def take(self, data):
        if data.has("Email:Read"):
            self.values["read"] = data.get("Email:Read")
        if data.has("Email:Flag"):
            self.values["flag"] = data.get("Email:Flag/FlagType")
        if data.has("Email:Categories"):
            names = data.all("Email:Categories/Category")
            self.values["category"] = names[0].text if names else None


class Folder:
    def __init__(self, filter_type, conflict):
        self.filter, self.conflict = filter_type, conflict
        self.begin()

    def begin(self):
        self.key = "0"
        self.items = {}
        self.pending = {}  # server id -> {property: value}, or None for a deletion
        self.options_known = False


class ScriptPhone:
    def __init__(self, device, filter_type, conflict):
        self.device = device
        self.ids = [device.folders[f] for f in FOLDERS]
        self.folders = [Folder(filter_type, conflict) for _ in FOLDERS]
        self.may_restart = set()  # folders whose key may be refused
        self.late = []  # documents that are still under way, and what they name
        self.backup = None
        self.history = []
        self.commands = PhoneCommands(device)
        device.hierarchy_key, device.may_restart_folders = "0", False

    def visible(self):
        names = ["read"]
        if self.device.since("12.0"):
            names.append("flag")
        if self.device.since("14.0"):
            names.append("category")
        return names

    # What it wants.

    def change(self, folder, picks, number):
        held = sorted(i for i in folder.items if folder.pending.get(i, {}) is not None)
        if not held:
            return
        server_id = held[picks[0] % len(held)]
        if picks[1] % 6 == 0:
            folder.pending[server_id] = None
            del folder.items[server_id]
            return
        copy = folder.items[server_id]
        wanted = folder.pending.setdefault(server_id, {})
        for bit, name in enumerate(("read", "flag", "category")):
            if (1 + picks[1] // 6 % 7) & 1 << bit == 0 or name not in self.visible():
                continue
            if name == "read":
                value = "0" if copy.values["read"] == "1" else "1"
            else:
                value = None if picks[2] % 4 == 0 else f"{name}{number}"
            wanted[name] = copy.values[name] = value
        if not wanted:
            del folder.pending[server_id]

    def command(self, server_id, wanted):
        if wanted is None:
            return E("Delete", E("ServerId", server_id))
        data = []
        if "read" in wanted:
            data.append(E("Email:Read", wanted["read"]))
        if "flag" in wanted:
            data.append(E("Email:Flag", *([E("Status", "2"), E("FlagType", wanted["flag"])] if wanted["flag"] else [])))
        if "category" in wanted:
            data.append(E("Email:Categories", *([E("Category", wanted["category"])] if wanted["category"] else [])))
        return E("Change", E("ServerId", server_id), E("ApplicationData", data))

    # What it says.

    def write(self, chosen, window=None, bits=0, shuffle=None):
        collections = []
        for number in chosen:
            folder = self.folders[number]
            begins = folder.key == "0"
            order = [] if begins else list(folder.pending)
            if shuffle is not None:
                random.Random(shuffle).shuffle(order)
            options = None
            if not folder.options_known or bits & OPTIONS:
                options = self.device.options(str(folder.filter), conflict=str(folder.conflict))
            collections.append(self.device.collection(
                self.ids[number], folder.key, window=str(window) if window else None, options=options,
                deletes_as_moves="0" if bits & FINAL_DELETE and not begins else None,
                get_changes="0" if bits & NO_CHANGES and not begins else None,
                commands=[self.command(i, folder.pending[i]) for i in order]))
        return self.device.sync_request(*collections)

    def post(self, document, connection=None):
        """None: no answer that could be used."""
        try:
            answer = self.device.post("Sync", document, connection=connection) if connection is None else self.device.receive(connection)
        except (Closed, OSError):
            if connection is None:
                self.device.close()
            return None
        if answer.code == 503:
            return None
        assert answer.code == 200, answer
        return answer

    def send_unheard(self, document, waits):
        """Nobody takes the answer; the phone is gone before it comes, or after."""
        connection = self.device.connect()
        try:
            self.device.send("Sync", document, connection=connection)
            if waits:
                connection.response()
        except (Closed, OSError):
            pass
        connection.close()

    # What it believes.

    def take(self, answer, chosen):
        for number in chosen:
            folder = self.folders[number]
            part = SyncAnswer(answer, self.ids[number])
            if part.collection is None:
                assert not folder.pending or folder.key == "0", "changes were not answered"
                folder.options_known = True
                continue
            if part.collection_status == "3":
                assert number in self.may_restart, f"the key {folder.key} of folder {number} is refused"
                folder.begin()
                continue
            assert part.collection_status == "1", answer
            self.may_restart.discard(number)
            self.take_responses(folder, part)
            self.take_commands(folder, part)
            folder.options_known = True
            folder.key = part.key

    def take_responses(self, folder, part):
        if folder.key == "0":
            return
        refused = {e.get("ServerId"): e.get("Status") for e in part.responses("Change") + part.responses("Delete")}
        for server_id, status in refused.items():
            assert status in ("7", "8"), f"Status {status} for {server_id}"
            assert status != "7" or folder.conflict == 1, "the phone wins, but its change is refused"
        folder.pending = {}

    def take_commands(self, folder, part):
        for server_id in part.deleted + part.soft_deleted:
            assert server_id in folder.items, f"deletion of {server_id}, which it does not hold"
            del folder.items[server_id]
        for server_id, data in part.added.items():
            assert server_id not in folder.items, f"{server_id} is added twice"
            folder.items[server_id] = Copy(data.get("Email:Subject"))
            folder.items[server_id].take(data)
        for server_id, data in part.changed.items():
            assert server_id in folder.items, f"change of {server_id}, which it does not hold"
            folder.items[server_id].take(data)

    def sync_until(self, chosen, rounds=60):
        """Quiet Syncs until nothing more comes."""
        for _ in range(rounds):
            before = repr([(f.key, sorted(f.items), bool(f.pending)) for f in self.folders])
            document = self.write(chosen, 512, OPTIONS)
            answer = eventually(lambda document=document: self.post(document), what="an answer")
            self.take(answer, chosen)
            self.history.append(("quiet", repr(answer)[:700]))
            if before == repr([(f.key, sorted(f.items), bool(f.pending)) for f in self.folders]):
                return
        raise AssertionError("it never comes to rest")


class Player:
    """One script."""

    def __init__(self, case, server, seed):
        self.case, self.server = case, server
        self.first, self.actions = read_script(seed)
        self.user, self.bob = server.add_user(), server.add_user()
        self.ages = {}  # subject -> days when it came
        self.numbers = 0
        self.kills = 0
        self.sent = []  # subjects of what phones have sent, or tried to
        self.phones = [self.new_phone(p["version"], p["filter"], p["conflict"]) for p in self.first["phones"]]
        self.client = self.new_phone("16.1", 0, 0)
        rng = random.Random(seed)
        for _ in range(self.first["initial"] // 3):
            self.deliver_one(rng.randrange(40))

    def new_phone(self, version, filter_type, conflict):
        form = "plain" if version in ("2.5", "12.0") or len(self.ages) % 2 else "base64"
        return ScriptPhone(self.user.device(version, form).ready(), filter_type, conflict)

    def deliver_one(self, days):
        subject = f"m{len(self.ages)}"
        # A little off the bounds of all filters, which are whole days.
        when = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=days, hours=6 if days else 0)
        message = mail.message(subject)
        if days:
            message = f"Received: from a.example.net by b.example.net; {format_datetime(when)}\r\n".encode() + message

        def once():
            try:
                with self.server.lmtp() as lmtp:
                    return lmtp.deliver(self.user.address, message)[0].startswith("250")
            except (LmtpError, OSError):
                return False
        eventually(once, what="delivery")
        self.ages[subject] = days

    # Actions.

    def do_sync(self, a):
        phone = self.phones[a["phone"]]
        chosen = [f for f in range(len(FOLDERS)) if a["folders"] & 1 << f]
        for number in chosen:
            folder = phone.folders[number]
            if folder.key == "0":
                continue
            if a["filter"] >= 0 or a["conflict"] >= 0:
                folder.filter = a["filter"] if a["filter"] >= 0 else folder.filter
                folder.conflict = a["conflict"] if a["conflict"] >= 0 else folder.conflict
                folder.options_known = False
            for i in range(a["changes"]):
                self.numbers += 1
                phone.change(folder, (a["pick"][0] + i * 7, a["pick"][1] + i * 5, a["pick"][2] + i), self.numbers)
        document = phone.write(chosen, a["window"], a["bits"], a["pick"][4] if a["bits"] & PERMUTE else None)
        phone.history.append((a["fate"], repr(document)[:500]))
        names = {number: phone.folders[number].key for number in chosen}
        self.send(phone, document, chosen, names, a)

    def send(self, phone, document, chosen, names, a):
        if a["fate"] in ("request lost", "copied"):
            phone.late.append((document, names))
        if a["fate"] == "request lost":
            return
        if a["fate"] == "answer lost":
            phone.send_unheard(document, a["pick"][5] % 3 > 0)
            self.note_copy(phone, names)
            return
        if a["fate"] == "twice":
            other = threading.Thread(target=phone.send_unheard, args=(document, True))
            other.start()
            answer = phone.post(document)
            other.join()
            self.note_copy(phone, names)
        else:
            answer = phone.post(document)
        phone.history.append(repr(answer)[:700])
        if answer is not None:
            phone.take(answer, chosen)

    @staticmethod
    def note_copy(phone, names):
        """A copy that names key 0, or a key from before the last key 0, may end the phone's own line."""
        for number, key in names.items():
            if key == "0" or phone.folders[number].key == "0":
                phone.may_restart.add(number)

    def do_late(self, a):
        phone = self.phones[a["phone"]]
        if phone.late:
            document, names = phone.late.pop(a["pick"][0] % len(phone.late))
            phone.history.append("a copy arrives")
            phone.may_restart.update(names)
            phone.send_unheard(document, True)

    def do_deliver(self, a):
        for i in range(min(a["amount"], 3)):
            self.deliver_one(a["pick"][i] % 40 if a["bits"] & OLD else 0)

    def do_client(self, a):
        self.client.sync_until(range(len(FOLDERS)))
        folder = self.client.folders[0]
        for i in range(min(a["amount"], 4)):
            self.numbers += 1
            self.client.change(folder, (a["pick"][0] + i, a["pick"][1] + i * 5, a["pick"][2] + i), self.numbers)
        self.client.sync_until(range(len(FOLDERS)))

    def do_restart(self, a):
        phone, number = self.phones[a["phone"]], a["pick"][0] % len(FOLDERS)
        phone.folders[number].begin()

    def do_version(self, a):
        phone = self.phones[a["phone"]]
        versions = ("2.5", "12.0", "12.1", "14.0", "14.1", "16.0", "16.1")
        phone.device.version = versions[a["pick"][0] % len(versions)]
        phone.may_restart.update(range(len(FOLDERS)))
        self.change_lives(phone)
        # What the new version cannot say, the phone forgets with its folder.
        for folder in phone.folders:
            if folder.pending:
                folder.begin()

    @staticmethod
    def change_lives(phone):
        """What it had not heard of it forgets; its folders may be refused to it. Another version may have another form of the policy."""
        phone.device.form = "plain"
        phone.device.provision()
        phone.commands.pending = {}
        phone.device.may_restart_folders = True

    def do_backup(self, a):
        phone = self.phones[a["phone"]]
        phone.backup = (phone.device.version, [
            (f.key, {i: (c.subject, dict(c.values)) for i, c in f.items.items()}, {i: None if w is None else dict(w) for i, w in f.pending.items()},
             f.filter, f.conflict) for f in phone.folders])

    def do_restore(self, a):
        phone = self.phones[a["phone"]]
        if phone.backup is None:
            return
        phone.device.version, folders = phone.backup
        self.change_lives(phone)
        for folder, (key, items, pending, filter_type, conflict) in zip(phone.folders, folders):
            folder.key, folder.filter, folder.conflict, folder.options_known = key, filter_type, conflict, False
            folder.items, folder.pending = {}, {i: None if w is None else dict(w) for i, w in pending.items()}
            for server_id, (subject, values) in items.items():
                folder.items[server_id] = Copy(subject)
                folder.items[server_id].values = dict(values)
        phone.may_restart.update(range(len(FOLDERS)))

    def do_command(self, a, begin):
        phone, kind = self.phones[a["phone"]], a["do"]
        commands = phone.commands
        if kind not in commands.pending:
            commands.pending[kind] = begin(phone, commands)
        if commands.pending[kind] is None:
            del commands.pending[kind]
            return
        phone.history.append((kind, a["fate"], repr(commands.pending[kind])[:300]))
        commands.say(kind, a["fate"])

    def do_move(self, a):
        self.do_command(a, lambda phone, commands: commands.new_move(phone, a["pick"]))

    def do_send(self, a):
        def begin(_, commands):
            subject = f"m{len(self.ages)}"
            self.ages[subject] = 0
            self.sent.append(subject)
            return commands.new_send(self.bob.address, subject)
        self.do_command(a, begin)

    def do_folder(self, a):
        self.numbers += 1
        self.do_command(a, lambda _, commands: commands.new_folder(a["pick"], f"n{self.numbers}"))

    def do_draft(self, a):
        """test_drafts.py has that over sockets."""

    def do_clock(self, a):
        """Time cannot be moved here."""

    do_sweep = do_clock

    # The whole.

    def play(self):
        at = 0
        while at < len(self.actions):
            number = self.actions[at]["round"]
            actions = []
            while at < len(self.actions) and self.actions[at]["round"] == number:
                actions.append(self.actions[at])
                at += 1
            killer = None
            if actions[0]["kill"] and self.kills < KILLS_MAX:
                self.kills += 1
                killer = threading.Thread(target=self.server.kill_engine)
                killer.start()
            for action in actions:
                getattr(self, "do_" + action["do"])(action)
            if killer:
                killer.join()

    def settle(self):
        for phone in self.phones:
            while phone.late:
                self.do_late({"phone": self.phones.index(phone), "pick": [0]})
        for phone in self.phones:
            for kind in list(phone.commands.pending):
                eventually(lambda phone=phone, kind=kind: phone.commands.say(kind, "answered") or kind not in phone.commands.pending,
                           what="an answer")
        for _ in range(2):
            for phone in [*self.phones, self.client]:
                phone.sync_until(range(len(FOLDERS)))
        fresh = self.new_phone("16.1", 0, 0)
        fresh.sync_until(range(len(FOLDERS)))
        for phone in [*self.phones, self.client]:
            self.compare(phone, fresh)
        subjects = [c.subject for f in fresh.folders for c in f.items.values()]
        if self.kills == 0:  # else a mail server may have had to deliver twice
            self.case.assertEqual(len(subjects), len(set(subjects)), "doubled")
        self.check_sent(subjects)
        self.check_folders()
        for phone in [*self.phones, self.client, fresh]:
            phone.device.close()

    def check_sent(self, subjects):
        """Bob has each mail once, and what is in Sent he has."""
        bob = self.bob.device("16.1").ready()
        received = [data.get("Email:Subject") for data in bob.prime().values()]
        bob.close()
        heard = set().union(*(phone.commands.heard for phone in self.phones))
        self.case.assertEqual(len(received), len(set(received)), "sent twice")
        self.case.assertLessEqual(heard, set(received), "sent, and lost")
        kept = [s for s in subjects if s in self.sent]
        self.case.assertEqual(len(kept), len(set(kept)), "kept twice")
        self.case.assertLessEqual(set(kept), set(received))

    def check_folders(self):
        """All phones come to know the same ones."""
        for phone in self.phones:
            phone.commands.pending["folder"] = phone.commands.new_folder([0], "")
            eventually(lambda phone=phone: phone.commands.say("folder", "answered") or "folder" not in phone.commands.pending,
                       what="an answer")
            if phone.commands.folders is None:
                phone.commands.pending["folder"] = phone.commands.new_folder([0], "")
                phone.commands.say("folder", "answered")
        first, *others = [phone.commands.folders for phone in self.phones]
        for folders in others:
            self.case.assertEqual(folders, first)

    def compare(self, phone, fresh):
        for number, folder in enumerate(phone.folders):
            days = FILTER_DAYS[folder.filter]
            shown = {i: c for i, c in fresh.folders[number].items.items() if days is None or self.ages[c.subject] < days}
            names = phone.visible()
            self.case.assertEqual(
                {i: (c.subject, [c.values[n] for n in names]) for i, c in folder.items.items()},
                {i: (c.subject, [c.values[n] for n in names]) for i, c in shown.items()},
                f"folder {number} of a phone with {phone.device.version} and filter {folder.filter}:\n" + "\n".join(map(str, phone.history[-8:])))


class Model(unittest.TestCase):
    maxDiff = 4000

    def run_seed(self, seed):
        # A server of its own: one whose engine ends again and again takes its time to start it.
        server = Server(settings={"server.log_level": "warn"})
        try:
            server.start()
            server.add_domain("example.org")
            player = Player(self, server, seed)
            player.play()
            player.settle()
        finally:
            server.close()

    def test_scripts(self):
        for seed in SEEDS:
            with self.subTest(seed=seed):
                self.run_seed(seed)


if __name__ == "__main__":
    unittest.main()
