"""bellhop import and bellhop export: every kind of mailbox, flags, dates, going on after an interruption, the way there and back."""

import json
import mailbox
import os
import select
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time

from lib import mail
from lib.case import ServerCase
from lib.server import Server, program

FROM = "From anna@example.net Mon Jan  1 10:00:00 2024\n"
NEW_YEAR = 1704103200
RECEIVED = "Received: from a by b; Tue, 2 Jan 2024 10:00:00 +0000"
DAY = 86400


def text(subject, *fields, body="Hello.\n"):
    return "".join(f"{line}\n" for line in (*fields, f"Subject: {subject}", "From: anna@example.net", "To: bob@example.org",
                                            f"Message-ID: <{subject}@example.net>")) + "\n" + body


class BulkCase(ServerCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="bellhop-test-")
        self.addCleanup(self.folder.cleanup)
        self.owner = self.server.add_user()

    def path(self, *names):
        path = os.path.join(self.folder.name, *names)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def write(self, name, content, at=None):
        path = self.path(*name.split("/"))
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        if at is not None:
            os.utime(path, (at, at))
        return path

    def bring(self, path, *options, user=None, code=0):
        done = self.server.bellhop("import", (user or self.owner).address, path, "--json", *options, check=False)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        return json.loads(done.stdout) if done.stdout else done.stderr

    def counts(self, answer):
        return answer["added"], answer["known"], answer["failed"]

    def export(self, *options, user=None, name="out"):
        path = os.path.join(self.folder.name, name)
        done = self.server.bellhop("export", (user or self.owner).address, path, *options)
        self.assertIn("exported", done.stdout)
        return path

    def rows(self, user=None):
        """(folder, date, read, flag, verb, bytes) of all mail of a user."""
        database = sqlite3.connect(f"file:{self.server.data}/bellhop.db?mode=ro", uri=True, timeout=20)
        try:
            return sorted((*row[:5], row[5].encode() if isinstance(row[5], str) else row[5]) for row in database.execute(
                "SELECT f.name, i.date_at, i.is_read, i.flag_status, i.last_verb, COALESCE(b.bytes, b.file) FROM items i JOIN folders f"
                " ON f.owner = i.owner AND f.id = i.folder JOIN bodies b ON b.owner = i.owner AND b.id = i.body_id"
                " JOIN addresses a ON a.owner = i.owner AND a.position = 0 WHERE a.address = ?", ((user or self.owner).address,)))
        finally:
            database.close()


class Mbox(BulkCase):
    def test_whole(self):
        """Flags, dates, quoted lines; the same again brings nothing, even when somebody has read it meanwhile."""
        first = text("one", "Status: RO", "X-Status: AF", body="\n>From here\n>>From there\n")
        path = self.write("mbox", FROM + first + "\n" + FROM + text("two", RECEIVED))
        self.assertEqual(self.counts(self.bring(path)), (2, 0, 0))
        self.assertEqual(self.rows(), [
            ("Inbox", NEW_YEAR, 1, 2, 1, text("one", body="\nFrom here\n>From there\n").encode()),
            ("Inbox", NEW_YEAR + DAY, 0, 0, 0, text("two", RECEIVED).encode())])
        path = self.write("mbox", FROM + first + "\n" + FROM + text("two", RECEIVED, "Status: RO"))
        self.assertEqual(self.counts(self.bring(path)), (0, 2, 0))
        self.assertEqual(len(self.rows()), 2)
        # Another folder is another matter.
        self.assertEqual(self.counts(self.bring(path, "--folder", "Archive/2024")), (2, 0, 0))
        self.assertEqual([row[0] for row in self.rows()], ["2024", "2024", "Inbox", "Inbox"])

    def test_variants(self):
        body = "x\n" + FROM + "y\n>From z\n"
        mail_ = text("counted", f"Content-Length: {len(body)}", body=body)
        path = self.write("mboxcl2", FROM + mail_ + "\n" + FROM + text("next"))
        self.assertEqual(self.counts(self.bring(path)), (2, 0, 0))
        self.assertIn(text("counted", body=body).encode(), [row[5] for row in self.rows()])
        path = self.write("mboxo", FROM + text("o", body=">From a\n>>From b\n"))
        self.assertEqual(self.counts(self.bring(path, "--format", "mboxo")), (1, 0, 0))
        self.assertIn(text("o", body="From a\n>>From b\n").encode(), [row[5] for row in self.rows()])

    def test_of_python(self):
        """What Python's mailbox wrote."""
        path = self.path("box")
        box = mailbox.mbox(path)
        for n in range(5):
            message = mailbox.mboxMessage(text(f"python {n}", body="From me\nto you\n").encode())
            message.set_flags("RF" if n % 2 else "")
            box.add(message)
        box.close()
        self.assertEqual(self.counts(self.bring(path)), (5, 0, 0))
        rows = self.rows()
        self.assertEqual(sorted(row[5] for row in rows), sorted(text(f"python {n}", body="From me\nto you\n").encode() for n in range(5)))
        self.assertEqual(sorted(row[2:4] for row in rows), [(0, 0)] * 3 + [(1, 2)] * 2)

    def test_wrong(self):
        self.assertIn("neither", self.server.bellhop("import", self.owner.address, self.write("x", "no mail\n"), check=False).stderr)
        self.assertIn("format", self.server.bellhop("import", self.owner.address, "x", "--format", "pst", check=False).stderr)
        done = self.server.bellhop("import", "nobody@example.org", self.write("y", FROM), check=False)
        self.assertEqual((done.returncode, "no user" in done.stderr), (1, True))
        done = self.server.bellhop("import", self.owner.address, self.path("missing"), check=False)
        self.assertEqual((done.returncode, "missing" in done.stderr), (1, True))
        done = self.server.bellhop("import", "batch", "x", check=False)
        self.assertEqual(done.returncode, 1, "import batch is no verb for people")
        self.assertNotIn("import batch", self.server.bellhop("--help").stdout)


class Maildir(BulkCase):
    def fill(self):
        self.write("m/cur/1:2,S", text("read"), NEW_YEAR)
        self.write("m/cur/2:2,FRS", text("answered"), NEW_YEAR)
        self.write("m/cur/3:2,P", text("forwarded", RECEIVED), NEW_YEAR)
        self.write("m/cur/4:2,ST", text("trashed"), NEW_YEAR)
        self.write("m/new/5", text("new"), NEW_YEAR)
        self.write("m/tmp/6", text("unfinished"))
        self.write("m/.Sent/cur/7:2,S", text("sent"), NEW_YEAR)
        self.write("m/.Entw&APw-rfe.2019/cur/8:2,D", text("draft"), NEW_YEAR)
        self.write("m/.Calendar/cur/9:2,", text("named as a calendar"), NEW_YEAR)
        os.makedirs(self.path("m", ".Empty", "cur"))
        return self.path("m")

    def test_whole(self):
        self.assertEqual(self.counts(self.bring(self.fill())), (8, 0, 0))
        shown = {row[5].split(b"Subject: ")[1].split(b"\n")[0].decode(): row[:5] for row in self.rows()}
        self.assertEqual(shown, {
            "read": ("Inbox", NEW_YEAR, 1, 0, 0), "answered": ("Inbox", NEW_YEAR, 1, 2, 1),
            "forwarded": ("Inbox", NEW_YEAR + DAY, 0, 0, 3), "trashed": ("Deleted Items", NEW_YEAR, 1, 0, 0),
            "new": ("Inbox", NEW_YEAR, 0, 0, 0), "sent": ("Sent Items", NEW_YEAR, 1, 0, 0),
            "draft": ("2019", NEW_YEAR, 0, 0, 0), "named as a calendar": ("Calendar (mail)", NEW_YEAR, 0, 0, 0)})
        # Read meanwhile, moved from new/ to cur/: still known.
        os.rename(self.path("m", "new", "5"), self.path("m", "cur", "5:2,S"))
        self.assertEqual(self.counts(self.bring(self.path("m"))), (0, 8, 0))

    def test_phone(self):
        """What a phone is shown of it: flags, verbs, and the folders."""
        self.bring(self.fill())
        phone = self.owner.device("14.1").ready()
        items = phone.prime()
        shown = {d.get("Email:Subject"): (d.get("Email:Read"), d.get("Email:Flag/Status"), d.get("Email2:LastVerbExecuted"),
                                          d.get("Email:DateReceived")) for d in items.values()}
        self.assertEqual(shown["answered"], ("1", "2", "1", "2024-01-01T10:00:00.000Z"))
        self.assertEqual(shown["forwarded"], ("0", None, "3", "2024-01-02T10:00:00.000Z"))
        self.assertEqual(set(shown), {"read", "answered", "forwarded", "new"})

    def test_there_and_back(self):
        """Import, export, import into another mailbox: the same mail, flags, dates and folders; by mbox too."""
        self.bring(self.fill())
        crlf = mail.message("by LMTP", text="From me\r\n.\r\n\r\n\r\n")
        self.server.deliver(self.owner, crlf)
        large = mail.message("large", text="x" * 70 + "\r\n", attachments=[("a.bin", "application/octet-stream", os.urandom(300000))])
        self.server.deliver(self.owner, large)
        for form in ("maildir", "mbox"):
            out = self.export("--format", form, name=form)
            other = self.server.add_user()
            answer = self.bring(out, user=other)
            self.assertEqual(self.counts(answer), (10, 0, 0))
            self.assertEqual(self.rows(other), self.rows())
            self.assertEqual(self.counts(self.bring(out, user=other)), (0, 10, 0))
            database = sqlite3.connect(f"file:{self.server.data}/bellhop.db?mode=ro", uri=True)
            folders = [database.execute("SELECT f.name, p.name FROM folders f LEFT JOIN folders p ON p.owner = f.owner AND p.id = f.parent"
                                        " JOIN addresses a ON a.owner = f.owner AND a.position = 0 WHERE a.address = ? ORDER BY 1, 2",
                                        (user.address,)).fetchall() for user in (self.owner, other)]
            database.close()
            self.assertEqual(folders[0], folders[1])

    def test_names_of_export(self):
        self.bring(self.fill())
        out = self.export()
        self.assertEqual(sorted(os.path.basename(n).partition(":2,")[2] for n in os.listdir(os.path.join(out, "cur"))),
                         ["", "FRS", "P", "S"])
        self.assertEqual(sorted(n for n in os.listdir(out) if n.startswith(".") and "2019" in n), [".Entw&APw-rfe.2019"])
        python = mailbox.Maildir(out, create=False)
        self.assertEqual(len(python), 4)
        self.assertEqual({int(os.stat(os.path.join(out, "cur", n)).st_mtime) for n in os.listdir(os.path.join(out, "cur"))},
                         {NEW_YEAR, NEW_YEAR + DAY})
        only = self.export("--folder", "entw\u00fcrfe/2019", name="only")
        self.assertEqual(len(os.listdir(os.path.join(only, "cur"))), 1)
        done = self.server.bellhop("export", self.owner.address, out, check=False)
        self.assertEqual((done.returncode, "not empty" in done.stderr), (1, True))
        done = self.server.bellhop("export", self.owner.address, self.path("none"), "--folder", "Nowhere", check=False)
        self.assertEqual((done.returncode, "Nowhere" in done.stderr), (1, True))


class Trouble(BulkCase):
    settings = {"lmtp.message_max_bytes": "100000"}

    def test_some_fail(self):
        """Too large, empty, unreadable, over the quota: each is named, the others are in, the status is 1."""
        self.write("t/good.eml", text("good"))
        self.write("t/large.eml", text("large", body="x" * 100000))
        self.write("t/empty.eml", "")
        self.write("t/sub/other.eml", text("other"))
        answer = self.bring(self.path("t"), code=1)
        self.assertEqual(self.counts(answer), (2, 0, 2))
        self.assertEqual(sorted((os.path.basename(f["source"]), f["text"]) for f in answer["failures"]),
                         [("empty.eml", "the message is empty"),
                          ("large.eml", f"{len(text('large')) - 7 + 100000} bytes are more than the limit of 100000")])
        self.assertEqual([row[0] for row in self.rows()], ["Inbox", "sub"])
        done = self.server.bellhop("import", self.owner.address, self.path("t"), "--quiet", check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 2))

    def test_quota(self):
        for n in range(6):
            self.write(f"q/{n}.eml", text(f"quota {n}", body="x" * 1000))
        database = sqlite3.connect(f"{self.server.data}/bellhop.db", timeout=20)
        with database:
            database.execute("UPDATE owners SET quota_bytes = 4000 WHERE id = (SELECT owner FROM addresses WHERE address = ?)",
                             (self.owner.address,))
        database.close()
        answer = self.bring(self.path("q"), code=1)
        self.assertEqual(self.counts(answer), (3, 0, 3))
        self.assertEqual({f["text"] for f in answer["failures"]}, {"the mailbox is full"})

    def start_import(self, path, **popen):
        return subprocess.Popen([program("bellhop"), "-c", self.server.config, "import", self.owner.address, path, "--json"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **popen)

    def many(self, count):
        with open(self.path("many"), "w", encoding="utf-8") as file:
            for n in range(count):
                file.write(FROM + text(f"number {n}", body="x" * 500 + "\n") + "\n")
        return self.path("many")

    def wait_rows(self, at_least):
        deadline = time.monotonic() + 20
        while len(self.rows()) < at_least:
            self.assertLess(time.monotonic(), deadline)

    def test_interrupted(self):
        """Killed, then stopped by Ctrl-C, then run to its end: every message once."""
        path = self.many(3000)
        first = self.start_import(path)
        self.wait_rows(100)
        first.kill()
        first.communicate()
        before = len(self.rows())
        second = self.start_import(path)
        self.wait_rows(min(before + 300, 3000))
        second.send_signal(signal.SIGINT)
        out, err = second.communicate()
        if second.returncode != 0:  # it may have been done already
            self.assertEqual(second.returncode, 1, err)
            self.assertTrue(json.loads(out)["interrupted"])
        answer = self.bring(path)
        self.assertEqual(answer["added"] + answer["known"], 3000)
        rows = self.rows()
        self.assertEqual((len(rows), len({row[5] for row in rows})), (3000, 3000))

    def test_engine_dies(self):
        """kill -9 of the engine in the middle: the import waits and goes on."""
        path = self.many(2000)
        process = self.start_import(path)
        self.wait_rows(100)
        self.server.kill_engine()
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, err)
        self.assertEqual(json.loads(out)["added"] + json.loads(out)["known"], 2000)
        rows = self.rows()
        self.assertEqual((len(rows), len({row[5] for row in rows})), (2000, 2000))

    def test_bytes_of_a_request_are_bounded(self):
        """The engine keeps no more than a message and some, for no more than a few connections."""
        def connect(line):
            connection = socket.socket(socket.AF_UNIX)
            self.addCleanup(connection.close)
            connection.settimeout(20)
            connection.connect(os.path.join(self.server.runtime, "admin.sock"))
            connection.sendall(line)
            return connection
        self.assertEqual(connect(b'{"body": 2000000, "verb": "import batch"}\n').recv(1), b"")
        self.assertEqual(connect(b'{"body": 99999999999999999999999, "verb": "import batch"}\n').recv(1), b"")
        waiting = [connect(b'{"body": 1000, "verb": "import batch"}\n') for _ in range(5)]
        self.assertEqual(len([c for c in waiting if select.select([c], [], [], 5 if c is waiting[4] else 0)[0]]), 1)
        self.assertEqual(self.server.status()["engine_pid"], self.server.engine_pid())

    def test_phones_wait(self):
        """Old mail outside its filter wakes nobody; new mail wakes once, and deliveries go on."""
        phone = self.owner.device("14.1").ready()
        phone.prime(options=phone.options(filter_type="3"))
        waiting = phone.ping_send()
        self.assert_parked(waiting)
        self.bring(self.many(500))
        self.assert_parked(waiting)
        self.write("now.eml", text("now"))
        self.bring(self.path("now.eml"))
        self.assert_ping(phone.receive(waiting), "2")
        self.assertEqual(phone.sync().subjects(), ["now"])


class Poison(BulkCase):
    """A server that crashes on a word in a message: the import goes on behind it, and the message comes in unread."""

    @classmethod
    def setUpClass(cls):
        start = Server.start
        Server.start = lambda self, *args, **kwargs: start(self, *args, **dict(kwargs, executable=program("bellhopd-crash")))
        try:
            super().setUpClass()
        finally:
            Server.start = start

    def test_crash(self):
        for n in range(10):
            self.write(f"m/cur/{n}:2,S", text(f"poison {n}", body="bellhop-crash-parser\n" if n == 5 else "well\n"))
        mark = self.server.log_mark()
        self.assertEqual(self.counts(self.bring(self.path("m"))), (10, 0, 0))
        self.server.wait_log("message_taken_unread", mark)
        self.assertEqual(len(self.rows()), 10)
        phone = self.owner.device("14.1").ready()
        subjects = [d.get("Email:Subject") for d in phone.prime().values()]
        self.assertEqual(len(subjects), 10)
        self.assertNotIn("poison 5", subjects)
        self.assertEqual(self.counts(self.bring(self.path("m"))), (0, 10, 0))
