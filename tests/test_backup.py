"""bellhop backup, restore and check: with the server running and without, while mail comes in, and when things are broken."""

import hashlib
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import unittest

from lib import mail
from lib.server import Server, program, wait_exit

BIG = "A line of a longer message, over and over again.\r\n" * 60  # beyond store.body_inline_max: a file
SETTINGS = {"store.body_inline_max": "1024"}


def load(text):
    return json.loads(text)


def rows(path, sql):
    """From a backup's database, which needs no log beside it."""
    database = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    try:
        return database.execute(sql).fetchall()
    finally:
        database.close()


def body_files(folder):
    found = {}
    for where, _, names in os.walk(os.path.join(folder, "bodies")):
        for name in names:
            with open(os.path.join(where, name), "rb") as file:
                found[name] = hashlib.sha256(file.read()).hexdigest()
    return found


def kill(server):
    """As a power cut: every process at once."""
    for pid in server.pids():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        wait_exit(pid, 10)
    server.process.wait()
    server.process = None
    server.notify.close()


class Case(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="bellhop-test-backup-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.server = Server(settings=SETTINGS)
        self.addCleanup(self.server.close)
        self.server.start()
        self.server.add_domain("example.org")
        self.user = self.server.add_user("anna")
        self.backup = os.path.join(self.folder, "backup")

    def deliver(self, subject, text="Hello.\r\n"):
        self.server.deliver(self.user, mail.message(subject, text))

    def assertNothingLeft(self):
        self.assertEqual(os.listdir(self.folder), [])

    def assertWhole(self, folder):
        """The backup by itself: each message has its body, and each body its content."""
        manifest = load(open(os.path.join(folder, "manifest.json"), encoding="utf-8").read())
        path = os.path.join(folder, "bellhop.db")
        with open(path, "rb") as file:
            self.assertEqual(hashlib.sha256(file.read()).hexdigest(), manifest["database"]["sha256"])
        self.assertEqual(rows(path, "PRAGMA integrity_check"), [("ok",)])
        self.assertEqual(rows(path, "SELECT COUNT(*) FROM items")[0][0], manifest["counts"]["items"])
        self.assertEqual(rows(path, "SELECT COUNT(*) FROM items i LEFT JOIN bodies b ON b.owner = i.owner AND"
                                    " b.id = i.body_id WHERE b.id IS NULL"), [(0,)])
        files = body_files(folder)
        for name, content in files.items():
            self.assertEqual(name, content)
        named = {name for (name,) in rows(path, "SELECT DISTINCT file FROM bodies WHERE file IS NOT NULL")}
        self.assertEqual(set(files), named)
        self.assertEqual(len(files), manifest["body_files"]["files"])
        return manifest


class Backups(Case):
    def test_while_the_server_runs(self):
        self.deliver("small")
        self.deliver("large", BIG)
        answer = load(self.server.bellhop("backup", self.backup, "--json").stdout)
        self.assertEqual((answer["users"], answer["items"], answer["body_files"]), (1, 2, 1))
        manifest = self.assertWhole(self.backup)
        self.assertEqual(manifest["format"], 1)
        self.assertEqual(sorted(os.listdir(self.backup)), ["bellhop.db", "bodies", "manifest.json"])
        self.assertEqual(os.stat(self.backup).st_mode & 0o777, 0o700)
        self.assertEqual(os.stat(os.path.join(self.backup, "bellhop.db")).st_mode & 0o777, 0o600)
        self.assertEqual(load(self.server.bellhop("backup", self.backup, "--verify", "--json").stdout), answer)
        # The server has gone on, and there is nothing wrong with it.
        self.deliver("afterwards")
        self.assertEqual(load(self.server.bellhop("check", "--json").stdout)["findings"], [])

    def test_without_a_server_and_into_an_empty_folder(self):
        self.deliver("large", BIG)
        self.server.stop()
        os.mkdir(self.backup)
        self.server.bellhop("backup", self.backup + "/")
        self.assertWhole(self.backup)
        self.assertEqual(os.listdir(self.folder), ["backup"])

    def test_after_a_crash(self):
        """What the log holds and nobody has moved into the database is in the backup."""
        self.deliver("large", BIG)
        self.deliver("small")
        kill(self.server)
        self.assertGreater(os.path.getsize(os.path.join(self.server.data, "bellhop.db-wal")), 0)
        self.assertEqual(load(self.server.bellhop("check", "--json").stdout)["items"], 2)
        self.server.bellhop("backup", self.backup)
        self.assertEqual(self.assertWhole(self.backup)["counts"]["items"], 2)

    def test_never_over_something(self):
        self.server.bellhop("backup", self.backup)
        before = open(os.path.join(self.backup, "manifest.json"), encoding="utf-8").read()
        again = self.server.bellhop("backup", self.backup, check=False)
        self.assertEqual(again.returncode, 1)
        self.assertIn("already", again.stderr)
        self.assertEqual(open(os.path.join(self.backup, "manifest.json"), encoding="utf-8").read(), before)
        self.assertEqual(os.listdir(self.folder), ["backup"])
        other = os.path.join(self.folder, "other")
        with open(other, "w", encoding="utf-8") as file:
            file.write("mine")
        self.assertEqual(self.server.bellhop("backup", other, check=False).returncode, 1)
        self.assertEqual(open(other, encoding="utf-8").read(), "mine")

    def test_during_heavy_delivery(self):
        """Each message in the backup has its body, and deliveries wait for nobody."""
        stop = threading.Event()
        sent = []

        def send(number):
            while not stop.is_set():
                self.deliver(f"{number} {len(sent)}", BIG + f"{number} {len(sent)}\r\n")
                sent.append(1)

        threads = [threading.Thread(target=send, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        try:
            for n in range(5):
                before = len(sent)
                self.server.bellhop("backup", f"{self.backup}{n}")
                manifest = self.assertWhole(f"{self.backup}{n}")
                self.assertGreaterEqual(manifest["counts"]["items"], before)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(load(self.server.bellhop("check", "--json").stdout)["findings"], [])

    def test_where_nothing_can_be_written(self):
        for place in ("/proc/bellhop-backup", os.path.join(self.folder, "not", "there"),
                      os.path.join(self.server.config, "backup")):
            done = self.server.bellhop("backup", place, check=False)
            self.assertEqual(done.returncode, 1, place)
            self.assertTrue(done.stderr.startswith("bellhop: "), done.stderr)
        self.assertNothingLeft()

    def limited(self, size, *arguments):
        """As on a disk that fills up: no file may grow beyond this."""
        return subprocess.run(
            [program("bellhop"), "-c", self.server.config, *arguments], capture_output=True, text=True, timeout=30, check=False,
            restore_signals=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))

    def test_without_room(self):
        for n in range(20):
            self.deliver(f"message {n}", BIG)
        self.server.bellhop("backup", self.backup)
        database = os.path.getsize(os.path.join(self.backup, "bellhop.db"))
        shutil.rmtree(self.backup)
        for size in (100, 1000, 20000, database - 1):
            done = self.limited(size, "backup", self.backup)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertNothingLeft()
        self.assertEqual(self.limited(database * 8, "backup", self.backup).returncode, 0)

    def test_ended_early(self):
        for n in range(300):
            self.deliver(f"message {n}", BIG + str(n))
        process = subprocess.Popen([program("bellhop"), "-c", self.server.config, "backup", self.backup],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while process.poll() is None and not os.listdir(self.folder):
            pass
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=30)[1].decode()
        # It may have come too late; then there is a whole backup.
        if process.returncode == 0:
            self.assertWhole(self.backup)
        else:
            self.assertEqual(process.returncode, 1, errors)
            self.assertNothingLeft()

    def test_damaged_bodies(self):
        self.deliver("good", BIG + "good")
        self.deliver("bad", BIG + "bad")
        self.deliver("lost", BIG + "lost")
        bad, lost, _ = sorted(body_files(self.server.data))
        place = os.path.join(self.server.data, "bodies", "{}", "{}")
        with open(place.format(bad[:2], bad), "r+b") as file:
            file.write(b"\0\0\0\0")
        os.unlink(place.format(lost[:2], lost))
        done = self.server.bellhop("backup", self.backup, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertNothingLeft()
        answer = load(self.server.bellhop("backup", self.backup, "--damaged", "--json").stdout)
        self.assertEqual(answer["damaged"], [bad, lost])
        self.assertEqual(answer["body_files"], 1)
        self.server.bellhop("backup", self.backup, "--verify")
        done = self.server.bellhop("check", "--json", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(load(done.stdout)["findings"], [
            f"body file {bad}: its content is damaged", f"body file {lost}: it is not there"])
        quick = self.server.bellhop("check", "--quick", check=False)
        self.assertEqual(quick.returncode, 1)
        self.assertIn(f"\nbody file {lost}: it is not there\n", quick.stdout)
        self.assertNotIn(bad, quick.stdout)
        self.server.stop()
        self.server.bellhop("restore", self.backup)

    def test_backup_of_nothing(self):
        self.server.stop()
        shutil.rmtree(self.server.data)
        done = self.server.bellhop("backup", self.backup, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no store", done.stderr)
        self.assertNothingLeft()
        self.assertFalse(os.path.exists(self.server.data))
        self.assertEqual(self.server.bellhop("check", check=False).returncode, 1)


class Restores(Case):
    def phone(self, **kwargs):
        device = self.user.device(**kwargs)
        self.addCleanup(device.close)
        return device

    def test_a_phone_goes_on_with_its_old_key(self):
        """Old items keep their ids, nothing comes twice, and no id that was ever seen gets a new meaning."""
        self.deliver("one", BIG + "one")
        self.deliver("two")
        phone, other = self.phone().ready(), self.phone().ready()
        old = phone.prime()
        other.prime()
        self.server.bellhop("backup", self.backup)
        self.deliver("after the backup")
        lost = phone.sync().added
        self.assertEqual(len(lost), 1)
        # A folder's worth of ids and a device that the backup has never heard of.
        late = self.phone().ready()
        late.prime()
        kill(self.server)
        answer = load(self.server.bellhop("restore", self.backup, "--json").stdout)
        self.assertTrue(answer["put_aside"].startswith(self.server.data + ".before-restore-"), answer)
        self.assertTrue(os.path.exists(os.path.join(answer["put_aside"], "bellhop.db")))
        self.server.start()
        self.assertEqual(load(self.server.bellhop("check", "--json").stdout)["findings"], [])
        phone.close()
        self.deliver("after the restore")
        # The old key is not known any more, in the hierarchy and in the folder.
        self.assertEqual(phone.folder_sync().status, "9")
        self.assertEqual(phone.folder_sync("0").status, "1")
        self.assertEqual(phone.sync().collection_status, "3")
        self.assertEqual(other.clone(connection=None).sync().collection_status, "3")
        new = phone.prime()
        self.assertEqual({id_: data.get("Email:Subject") for id_, data in new.items() if id_ in old},
                         {id_: data.get("Email:Subject") for id_, data in old.items()})
        fresh = set(new) - set(old)
        self.assertEqual([new[id_].get("Email:Subject") for id_ in fresh], ["after the restore"])
        self.assertFalse(fresh & set(lost), "an id was given out twice")
        self.assertGreater(min(int(id_.split(":")[1]) for id_ in fresh), 1 << 32)
        self.assertEqual(phone.sync_rest(), {})
        # Push goes on.
        connection = phone.ping_send()
        self.deliver("pushed")
        self.assertEqual(phone.receive(connection).status, "2")
        self.assertEqual(phone.sync().subjects(), ["pushed"])
        # The device that came later is met anew: its policy key is not known, then its folders.
        late.close()
        self.assertEqual(late.folder_sync().status, "142")
        late.ready()
        self.assertEqual(len(late.prime()), 4)
        log = load(self.server.bellhop("log", "list", "--json").stdout)
        restored = [row for row in log if row["action"] == "restore"]
        self.assertEqual(len(restored), 1)
        self.assertTrue(restored[0]["result"].startswith("ok, a backup of "), restored)

    def test_ping_parameters_are_forgotten(self):
        phone = self.phone().ready()
        phone.prime()
        connection = phone.ping_send(heartbeat=60)
        self.deliver("wakes it")
        self.assertEqual(phone.receive(connection).status, "2")
        self.server.bellhop("backup", self.backup)
        self.server.stop()
        self.server.bellhop("restore", self.backup)
        self.server.start()
        phone.close()
        # It has to ask for its folders, of which the server knows nothing any more, before it may wait for them.
        self.assertEqual(phone.ping(heartbeat=60).status, "7")
        phone.folder_sync("0")
        # Without parameters, and none remembered.
        answer = phone.receive(phone.send("Ping", connection=phone.connect()))
        self.assertEqual(answer.status, "3")

    def test_twice_and_back(self):
        """Each restore skips ids again; what was put aside is a data folder that works."""
        self.deliver("first")
        self.server.bellhop("backup", self.backup)
        self.deliver("second")
        seen = set()
        for _ in range(2):
            self.server.stop()
            aside = load(self.server.bellhop("restore", self.backup, "--json").stdout)["put_aside"]
            self.server.start()
            self.deliver("new")
            phone = self.phone().ready()
            new = {id_ for id_, data in phone.prime().items() if data.get("Email:Subject") == "new"}
            self.assertEqual(len(new), 1)
            self.assertFalse(new & seen)
            seen |= new
            phone.close()
        self.server.stop()
        shutil.rmtree(self.server.data)
        os.rename(aside, self.server.data)
        self.server.start()
        self.assertEqual(load(self.server.bellhop("check", "--json").stdout)["findings"], [])

    def test_inside(self):
        """Where the data folder cannot be renamed. A log that nobody brought in belongs to the old database."""
        self.deliver("kept", BIG + "kept")
        self.server.bellhop("backup", self.backup)
        self.deliver("later", BIG + "later")
        kill(self.server)
        with open(os.path.join(self.server.data, "self-signed.pem"), "w", encoding="utf-8") as file:
            file.write("certificate")
        inode = os.stat(self.server.data).st_ino
        answer = load(self.server.bellhop("restore", self.backup, "--inside", "--json").stdout)
        self.assertEqual(os.stat(self.server.data).st_ino, inode)
        aside = answer["put_aside"]
        self.assertTrue(aside.startswith(os.path.join(self.server.data, "before-restore-")), aside)
        self.assertEqual(sorted(os.listdir(self.server.data)), sorted(
            [os.path.basename(aside), "bellhop.db", "bellhopd.lock", "bodies", "self-signed.pem"]))
        self.server.start()
        phone = self.phone().ready()
        self.assertEqual([data.get("Email:Subject") for data in phone.prime().values()], ["kept"])
        phone.close()
        self.assertEqual(load(self.server.bellhop("check", "--json").stdout)["findings"], [])
        # And the old one is whole.
        self.server.stop()
        other = Server(settings=dict(self.server.settings, **{"server.data_dir": aside}))
        self.addCleanup(other.close)
        self.assertEqual(load(other.bellhop("check", "--json").stdout)["items"], 2)

    def test_inside_twice_and_into_nothing(self):
        self.deliver("kept", BIG)
        self.server.bellhop("backup", self.backup)
        self.server.stop()
        asides = {load(self.server.bellhop("restore", self.backup, "--inside", "--json").stdout)["put_aside"]
                  for _ in range(3)}
        self.assertEqual(len(asides), 3)
        for name in os.listdir(self.server.data):
            path = os.path.join(self.server.data, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        self.server.bellhop("restore", self.backup, "--inside")
        self.server.start()
        self.assertEqual(len(self.phone().ready().prime()), 1)

    def test_on_a_fresh_machine(self):
        self.deliver("large", BIG)
        self.server.bellhop("backup", self.backup)
        self.server.stop()
        shutil.rmtree(self.server.data)
        answer = load(self.server.bellhop("restore", self.backup, "--json").stdout)
        self.assertEqual(answer["put_aside"], "")
        self.server.start()
        self.assertEqual(len(self.phone().ready().prime()), 1)

    def test_only_with_the_server_stopped(self):
        self.server.bellhop("backup", self.backup)
        done = self.server.bellhop("restore", self.backup, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("the server is running", done.stderr)
        self.deliver("it still is")
        self.assertFalse([n for n in os.listdir(self.server.folder) if "restore" in n])

    def test_certificate_is_carried_over(self):
        self.server.stop()
        with open(os.path.join(self.server.data, "self-signed.pem"), "w", encoding="utf-8") as file:
            file.write("certificate")
        self.server.bellhop("backup", self.backup)
        self.assertFalse(os.path.exists(os.path.join(self.backup, "self-signed.pem")))
        answer = load(self.server.bellhop("restore", self.backup, "--json").stdout)
        self.assertEqual(answer["carried"], ["self-signed.pem"])
        with open(os.path.join(self.server.data, "self-signed.pem"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "certificate")

    def test_what_a_restore_says(self):
        """For people: nothing that was not there, and no riddles."""
        self.server.stop()
        self.server.bellhop("backup", self.backup)
        shutil.rmtree(self.server.data)
        lines = self.server.bellhop("restore", self.backup).stdout.splitlines()
        said = dict((line.split(":", 1)[0], line.split(":", 1)[1].strip()) for line in lines)
        self.assertEqual((said["put_aside"], said["carried"]), ("-", "none"))

    def assertRefused(self, *words):
        before = sorted(os.listdir(self.server.folder))
        done = self.server.bellhop("restore", self.backup, check=False)
        self.assertEqual(done.returncode, 1, done.stdout)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertEqual(sorted(os.listdir(self.server.folder)), before)

    def test_a_damaged_backup_changes_nothing(self):
        self.deliver("large", BIG)
        self.server.bellhop("backup", self.backup)
        self.server.stop()
        whole = os.path.join(self.folder, "whole")
        os.rename(self.backup, whole)
        name = next(iter(body_files(whole)))

        def damage(what):
            shutil.rmtree(self.backup, ignore_errors=True)
            shutil.copytree(whole, self.backup)
            what()

        def patch(path, at, octets):
            with open(os.path.join(self.backup, path), "r+b") as file:
                file.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
                file.write(octets)

        def change_manifest(change):
            path = os.path.join(self.backup, "manifest.json")
            manifest = load(open(path, encoding="utf-8").read())
            change(manifest)
            with open(path, "w", encoding="utf-8") as file:
                json.dump(manifest, file)

        body = f"bodies/{name[:2]}/{name}"
        cases = [
            (lambda: patch("bellhop.db", -100, b"\xff" * 8), "damaged"),
            (lambda: os.truncate(os.path.join(self.backup, "bellhop.db"), 8192), "damaged"),
            (lambda: os.unlink(os.path.join(self.backup, "bellhop.db")), "bellhop.db"),
            (lambda: patch(body, 5, b"XX"), "damaged"),
            (lambda: os.unlink(os.path.join(self.backup, body)), name),
            (lambda: os.unlink(os.path.join(self.backup, "manifest.json")), "is no backup"),
            (lambda: os.truncate(os.path.join(self.backup, "manifest.json"), 100), "manifest.json"),
            (lambda: change_manifest(lambda m: m.pop("database")), "manifest.json"),
            (lambda: change_manifest(lambda m: m["counts"].update(items=7)), "numbers"),
            (lambda: change_manifest(lambda m: m.update(format=2)), "use the newer program"),
            (lambda: change_manifest(lambda m: m["database"].update(schema=4711)), "use the newer program"),
        ]
        for what, word in cases:
            damage(what)
            self.assertRefused(word)
            self.assertEqual(self.server.bellhop("backup", self.backup, "--verify", check=False).returncode, 1)
        damage(lambda: None)
        self.server.bellhop("restore", self.backup)
        self.server.start()
        self.assertEqual(len(self.phone().ready().prime()), 1)

    def test_what_is_no_backup(self):
        self.server.stop()
        self.assertRefused("is no backup")
        os.mkdir(self.backup)
        self.assertRefused("is no backup")


class Checks(Case):
    def findings(self, *arguments):
        done = self.server.bellhop("check", "--json", *arguments, check=False)
        answer = load(done.stdout)
        self.assertEqual(done.returncode, 1 if answer["findings"] else 0, done.stderr)
        return answer["findings"]

    def change(self, *statements):
        database = sqlite3.connect(os.path.join(self.server.data, "bellhop.db"))
        for statement in statements:
            database.execute(statement)
        database.commit()
        database.close()

    def test_each_kind_of_damage_is_named(self):
        phone = self.user.device().ready()
        self.addCleanup(phone.close)
        for n in range(6):
            self.deliver(f"message {n}")
        phone.prime()
        inbox = phone.inbox
        self.server.stop()
        whole = self.server.data + ".whole"
        shutil.copytree(self.server.data, whole)
        self.assertEqual(self.findings(), [])
        anna = "anna@example.org"
        item = f"{anna} folder {inbox} item 3"
        cases = [
            ("DELETE FROM bodies WHERE id = 3", [f"{item}: its body is not there",
                                                 f"{anna}: the bytes in use are counted wrongly"]),
            ("UPDATE items SET body_bytes = 1 WHERE id = 3", [f"{item}: it has another size than its body"]),
            ("UPDATE bodies SET bytes = x'00' WHERE id = 3",
             [f"{anna} body 3: it has another size than its row says"]),
            ("DELETE FROM items WHERE id = 3", [f"{anna} body 3: no item has it"]),
            ("UPDATE items SET body_id = 2, body_bytes = (SELECT body_bytes FROM bodies WHERE id = 2) WHERE id = 3",
             [f"{anna} body 2: several items have it", f"{anna} body 3: no item has it"]),
            ("UPDATE owners SET used_bytes = 5", [f"{anna}: the bytes in use are counted wrongly"]),
            (f"UPDATE folders SET last_item = 2 WHERE id = {inbox}",
             [f"{anna} folder {inbox}: an id in it is above the last one given out"]),
            ("UPDATE owners SET last_folder = 1", [f"{anna}: a folder's id is above the last one given out"]),
            ("UPDATE owners SET last_body = 1", [f"{anna}: a body's id is above the last one given out"]),
            ("UPDATE items SET read_seq = 999, changed_seq = 999 WHERE id = 3",
             [f"{anna} folder {inbox}: a change of an item is newer than the folder's newest",
              f"{item}: its change numbers contradict each other"]),
            ("UPDATE items SET changed_seq = changed_seq - 1 WHERE id = 3",
             [f"{item}: its change numbers contradict each other"]),
            (f"INSERT INTO tombstones (owner, folder, seq, id, created_seq, date_at, item_class, deleted_at)"
             f" SELECT owner, folder, changed_seq, id, created_seq, date_at, item_class, 0"
             f" FROM items WHERE id = 3", [f"{item}: it is there and has a tombstone"]),
            ("UPDATE items SET folder = 4711 WHERE id = 3", [f"{anna} folder 4711 item 3: its folder is not there"]),
            ("DELETE FROM addresses", ["anna@example.org: the user's own address is missing or another one"]),
            ("DELETE FROM domains", ["anna@example.org: the user's domain is not there",
                                     "anna@example.org: the address is in a domain that is not there"]),
            (f"DELETE FROM folders WHERE id = {inbox}", None),
            ("DELETE FROM devices", None),
            ("UPDATE sync_states SET state = x'0102' WHERE folder <> 0 AND generation = 0", None),
            ("UPDATE counters SET value = 0 WHERE name = 'device'", ["devices: an id in use is above the counter"]),
            ("UPDATE owners SET seq = 1", None),
        ]
        for statement, expected in cases:
            shutil.rmtree(self.server.data)
            shutil.copytree(whole, self.server.data)
            self.change(statement)
            found = self.findings()
            if expected is None:
                self.assertTrue(found, statement)
            else:
                self.assertEqual(sorted(found), sorted(expected), statement)

    def test_repair_counts_anew(self):
        for n in range(3):
            self.deliver(f"message {n}")
        self.server.stop()
        self.change("UPDATE owners SET used_bytes = 5, last_body = 1", "UPDATE folders SET last_item = 0")
        self.assertEqual(len(self.findings()), 3)
        done = self.server.bellhop("check", "--repair", "--json")
        self.assertEqual(load(done.stdout)["findings"], [])
        self.assertEqual(load(done.stdout)["repaired"], 3)
        self.assertEqual(self.findings(), [])
        self.server.start()
        self.assertEqual(self.server.bellhop("check", "--repair", check=False).returncode, 1)
        self.deliver("goes on")
        self.assertEqual(self.findings(), [])

    def test_what_is_left_of_phones(self):
        """States of phones and folders that are gone are found and removed; those of others stay as they are."""
        phone, gone = self.user.device().ready(), self.user.device().ready()
        for device in (phone, gone):
            self.addCleanup(device.close)
            self.deliver("message")
            device.prime()
            device.prime(device.folders["5"])
        sent = phone.folders["5"]
        self.server.stop()
        self.change("INSERT INTO sync_chunks SELECT owner, device, folder, 4711, x'00' FROM sync_states WHERE generation = 0",
                    f"DELETE FROM devices WHERE device_id = '{gone.device_id}'",
                    f"DELETE FROM folders WHERE id = {sent}")
        found = self.findings()
        self.assertEqual(sorted(found), sorted(
            ["device 2: sync states of a device that is not there", "device 2: pieces of sync states of a device that is not there"]
            + [f"anna@example.org device {n} folder {sent}: {what} of a folder that is not there"
               for n in (1, 2) for what in ("sync states", "pieces of sync states")]))
        self.server.bellhop("check", "--repair")
        self.assertEqual(self.findings(), [])
        self.server.start()
        phone.close()
        self.deliver("goes on")
        self.assertEqual(phone.sync().subjects()[-1:], ["goes on"])

    def test_a_damaged_database(self):
        for n in range(30):
            self.deliver(f"message {n}")
        self.server.stop()
        path = os.path.join(self.server.data, "bellhop.db")
        with open(path, "r+b") as file:
            file.seek(os.path.getsize(path) // 2)
            file.write(os.urandom(8192))
        done = self.server.bellhop("check", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stderr or "database: " in done.stdout)
        self.assertEqual(self.server.bellhop("backup", self.backup, check=False).returncode, 1)
        self.assertNothingLeft()

    def test_while_mail_comes_in(self):
        """A running server never looks inconsistent."""
        stop = threading.Event()

        def send():
            while not stop.is_set():
                self.deliver("busy", BIG)

        thread = threading.Thread(target=send)
        thread.start()
        try:
            for _ in range(10):
                self.assertEqual(self.findings(), [])
        finally:
            stop.set()
            thread.join()
