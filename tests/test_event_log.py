"""
The event log: what stands in it, searching and paging, export as CSV and JSON lines, retention, and that no password and no content is
ever in it.
"""

import csv
import fcntl
import http.client
import io
import json
import os
import re
import sqlite3
import struct
import subprocess
import termios
import unittest

from eas.client import basic
from lib import mail
from lib.case import ServerCase
from lib.server import eventually, program
from lib.web import Web

SOURCES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src")
MARK = "xyzzyMARK"


class LogCase(ServerCase):
    def log(self, *options):
        return json.loads(self.server.bellhop("log", "list", *options, "--json").stdout)

    def export(self, *options):
        return self.server.bellhop("log", "export", *options).stdout


class EventLog(LogCase):
    def test_what_was_changed(self):
        """A change names what it changed, also where that is neither a user nor a phone; never anybody's words."""
        user = self.user(login="changed")
        address, device = user.address, user.device().ready()
        told = [("domain add two.example", "two.example"), ("group add sales", "sales"), ("group rank sales 5", "sales, 5"),
                (f"alias add info@two.example {address}", "info@two.example"), (f"user quota {address} 500M", "500M"),
                (f"user expiry {address} --junk 30 --deleted never", "junk 30, deleted never"),
                (f"policy except {address}", f"user {address}: exempt"), (f"policy unexcept {address}", f"user {address}"),
                ("access set quarantine --group sales", "quarantine for group sales"), ("access set none --group sales", "none for group sales"),
                ("access set allow", "allow for organisation"), (f"access set block --address {address}", "block"),
                ("access set-message --subject WORDS --text WORDS", "ok"), (f"device ceiling {address} {device.device_id} 14.1", "14.1"),
                (f"user disable {address}", "ok"), ("alias del info@two.example", "ok"), ("group del sales --yes", "sales"),
                ("domain del two.example", "two.example")]
        self.server.bellhop("access", "add", "block", "type = Nothing")
        rule = json.loads(self.server.bellhop("access", "rules", "--json").stdout)[0]["id"]
        for command, _ in told:
            self.server.bellhop(*command.split())
        self.server.bellhop("access", "del", str(rule), "--yes")
        self.server.bellhop("access", "set-message", "--subject", "", "--text", "")
        rows = self.log("--limit", str(len(told) + 2))[:0:-1]
        for (command, result), row in zip([*told, ("access del", "block: type = Nothing")], rows):
            self.assertTrue(command.startswith(row["action"]), (command, row))
            self.assertEqual(row["result"], result, command)

    def test_search(self):
        """By each column, by time, by text; pages that join without a gap."""
        user = self.user(login="searched")
        device = user.device().ready()
        self.server.bellhop("device", "block", user.address, device.device_id)
        self.server.bellhop("device", "unblock", user.address, device.device_id)
        wrong = user.device()
        wrong.authorization = basic(wrong.user, "no such password")
        self.assertEqual(wrong.folder_sync().code, 401)
        mine = ("--user", user.address)
        rows = self.log(*mine)
        self.assertEqual([row["action"] for row in rows], ["login_failed", "device unblock", "device block", "user add"])
        self.assertEqual((rows[0]["result"], rows[0]["address"], rows[0]["actor"]), ("password", "127.0.0.1", "device"))
        self.assertEqual({row["actor"] for row in rows[1:]}, {f"admin:uid={os.geteuid()}"})
        self.assertEqual(self.log("--device", device.device_id), rows[1:3])
        self.assertEqual(self.log(*mine, "--action", "device block"), rows[2:3])
        self.assertEqual(self.log(*mine, "--result", "password"), rows[:1])
        self.assertEqual(self.log(*mine, "--actor", "device"), rows[:1])
        self.assertEqual(self.log(*mine, "--text", "UNBLOCK"), rows[1:2])
        self.assertEqual(self.log(*mine, "--since", str(rows[-1]["at"]), "--until", str(rows[0]["at"] + 1)), rows)
        self.assertEqual(self.log(*mine, "--until", "2001-01-01"), [])
        paged, before = [], []
        while page := self.log(*mine, "--limit", "1", *before):
            paged += page
            before = ["--before", str(page[-1]["id"])]
        self.assertEqual(paged, rows)
        for no_time in ("yesterday", "2026-02-31"):
            self.assertIn("is no time", self.server.bellhop("log", "list", "--since", no_time, check=False).stderr)

    def test_whom_it_is_about(self):
        """The user is named as the server has him, and the type of the phone, however the verb named them; and so is he found."""
        user = self.user(login="named")
        device = user.device().ready()
        self.server.bellhop("alias", "add", "also-named@example.org", user.address)
        before = len(self.log("--user", user.address))
        self.server.bellhop("device", "block", user.address.upper(), device.device_id)
        self.server.bellhop("device", "unblock", "also-named@example.org", device.device_id)
        self.server.bellhop("access", "set", "allow", "--address", user.address.title(), "--device", device.device_id)
        rows = self.log("--user", user.address.upper())[:-before]
        self.assertEqual([row["action"] for row in rows], ["access set", "device unblock", "device block"])
        self.assertEqual({(row["user"], row["device"], row["device_type"]) for row in rows},
                         {(user.address, device.device_id, device.device_type)})
        self.assertEqual(self.log("--user", user.address, "--text", device.device_type.upper()), rows)

    def test_which_phone_fails(self):
        """A failed login names the phone when the user has it; what anybody else calls himself is not kept."""
        for known in (True, False):
            user = self.user()
            device = user.device(device_type="Gadget").ready() if known else user.device(device_id=MARK)
            device.authorization = basic(user.address, "wrong")
            self.assertEqual(device.folder_sync().code, 401)
            row, = self.log("--user", user.address, "--action", "login_failed")
            self.assertEqual((row["device"], row["device_type"]), (device.device_id, "Gadget") if known else ("", ""))

    def test_export(self):
        """Every row once, in both formats, over several pages; what a spreadsheet would calculate is text."""
        evil = '=HYPERLINK("http://x","y")'
        self.user(login="exported")
        for number in range(3):
            self.server.bellhop("app-password", "add", "exported@example.org", evil + str(number))
        rows = list(csv.DictReader(io.StringIO(self.export("--user", "exported@example.org"), newline="")))
        self.assertEqual([row["result"] for row in rows], ["'" + evil + "2", "'" + evil + "1", "'" + evil + "0", "ok"])
        self.assertEqual(rows[0]["action"], "app-password add")
        self.assertRegex(rows[0]["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        raw = self.server.bellhop("log", "export", "--format", "csv").stdout
        self.assertTrue(raw.startswith("id,at,time,actor,"))
        lines = self.export("--format", "jsonl", "--user", "exported@example.org").splitlines()
        self.assertEqual([json.loads(line)["result"] for line in lines], [evil + "2", evil + "1", evil + "0", "ok"])
        self.assertEqual([json.loads(line)["id"] for line in lines], [int(row["id"]) for row in rows])
        bad = self.server.bellhop("log", "export", "--format", "xml", check=False)
        self.assertIn("is no format", bad.stderr)

    def test_terminal(self):
        """On a terminal of 80 columns nothing is wider; with --wide, and when it is no terminal, nothing is cut."""
        self.user(login="somebody-with-quite-a-long-name")

        def lines(*options):
            ours, theirs = os.openpty()
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
            with os.fdopen(ours, "rb", buffering=0) as reader, subprocess.Popen(
                    [program("bellhop"), "-c", self.server.config, "log", "list", *options], stdout=theirs) as process:
                os.close(theirs)
                text = b""
                try:
                    while piece := reader.read(65536):
                        text += piece
                except OSError:  # the other end is closed
                    pass
                self.assertEqual(process.wait(), 0)
            return text.decode().splitlines()

        cut = lines()
        self.assertLessEqual(max(map(len, cut)), 80)
        self.assertIn("--wide", cut[-1])
        whole = self.server.bellhop("log", "list").stdout.splitlines()
        self.assertEqual(lines("--wide"), whole)
        self.assertGreater(max(map(len, whole)), 80)

    def test_nothing_secret(self):
        """Passwords, contents, tokens and cookies of a whole scenario, all marked: none is in the log."""
        user = self.user(login="secretive", password=MARK + "password")
        device = user.device().ready()
        self.server.deliver(user, mail.message(MARK + "subject", MARK + "body"))
        device.prime()
        device.sync()
        wrong = user.device()
        for name, password in ((user.address, MARK + "wrong"), (MARK + "typed-as-a-name", "x"), (MARK + "p@ssword", "x"), (user.address, "bcdf" + MARK)):
            wrong.authorization = basic(name, password)
            self.assertEqual(wrong.folder_sync().code, 401)
        self.server.bellhop("user", "passwd", user.address, "--password-file", self.server.password_file(MARK + "new"))
        self.server.bellhop("oof", "set", user.address, json.dumps(
            {"state": "on", "internal": {"enabled": True, "text": MARK + " is away"}}))
        secrets = [json.loads(self.server.bellhop("app-password", "add", user.address, "one", "--json").stdout)["password"],
                   json.loads(self.server.bellhop("token", "add", "log test", "read", "--json").stdout)["token"]]
        export = self.export("--format", "jsonl")
        for action in ("login_failed", "user passwd", "oof set", "app-password add", "token add"):
            self.assertIn(f'"action":"{action}"', export)
        for secret in [MARK, secrets[0], secrets[0].replace("-", ""), secrets[1]]:
            self.assertNotIn(secret, export)

    def test_actions_are_described(self):
        """`log actions` has each action that the code writes."""
        listed = json.loads(self.server.bellhop("log", "actions", "--json").stdout)
        known = {row["action"]: row["text"] for row in listed}
        self.assertEqual(len(listed), len(known))  # each once
        self.assertTrue(all(known.values()))
        self.assertIn("user passwd", known)
        for folder, _, names in os.walk(SOURCES):
            for name in names:
                if not name.endswith(".c") or name.startswith("test_"):
                    continue
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    text = file.read()
                if "struct log_row" not in text:
                    continue
                for action in re.findall(r'(?:\.|->)action = ([^;,}]*)', text):
                    for word in re.findall(r'"([^"\n]+)"', action):
                        self.assertIn(word, known, f"{folder}/{name}")


class Retention(LogCase):
    settings = {"log.keep_days": "1"}

    def test_old_rows_go(self):
        """What is older than log.keep_days is swept, nothing else."""
        self.user(login="young")
        self.server.stop()
        database = sqlite3.connect(os.path.join(self.server.data, "bellhop.db"))
        with database:
            database.execute("UPDATE event_log SET logged_at = logged_at - 90000 WHERE action = 'domain add'")
        database.close()
        self.server.start()
        self.server.bellhop("reload")  # which also begins a sweep
        eventually(lambda: not self.log("--action", "domain add"), what="the sweep of old rows")
        self.assertEqual(len(self.log("--action", "user add")), 1)


class Large(LogCase):
    """An export of a log that is far larger than what the server may keep of it in memory."""

    settings = {"web.exports_max": "2"}
    ROWS = 200_000

    @classmethod
    def prepare(cls):
        root = cls.server.add_user("root")
        cls.server.bellhop("user", "admin", root.address, "--on")
        cls.server.stop()
        database = sqlite3.connect(os.path.join(cls.server.data, "bellhop.db"))
        with database:
            at, last = database.execute("SELECT MAX(logged_at), MAX(id) FROM event_log").fetchone()
            database.execute(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
                " INSERT INTO event_log (id, logged_at, actor, user_name, address, device_id, device_type, action, result)"
                " SELECT ? + i, ? + i / 300, 'device', 'user' || (i % 1000) || '@example.org', '192.0.2.1', 'DEVICE' || (i % 1000), 'phone',"
                " 'login_failed', 'password' FROM n", (cls.ROWS, last, at - cls.ROWS // 300))
            database.execute("UPDATE counters SET value = ? WHERE name = 'event_log'", (last + cls.ROWS,))
        database.close()
        # A build with ASan keeps what is freed, up to 256 MB, which would pass for memory that the server keeps.
        small = "quarantine_size_mb=1:thread_local_quarantine_size_kb=16"
        cls.server.start(env={"ASAN_OPTIONS": ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), small)))})
        cls.web = Web(cls.server)
        cls.web.sign_in(root)

    def engine_bytes(self, field):
        with open(f"/proc/{self.server.engine_pid()}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field + ":"))

    def open_export(self, name, version=11):
        """The connection, when the head of the answer is here and nothing else was read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.http_port, timeout=30)
        connection._http_vsn, connection._http_vsn_str = version, f"HTTP/1.{version % 10}"
        cookie = "; ".join(f"{key}={value}" for key, value in self.web.cookies.items())
        connection.request("GET", f"/api/v1/{name}", headers={"Cookie": cookie})
        return connection, connection.getresponse()

    @staticmethod
    def hang_up(pair):
        for end in reversed(pair):
            end.close()

    def test_whole_while_rows_are_added(self):
        """Each row once, in the order of the log, though others are logged meanwhile; the server keeps little of it."""
        before = {row["id"] for row in self.log("--limit", "10000")}
        at_first = peak = self.engine_bytes("RssAnon")
        connection, answer = self.open_export("log.jsonl")
        self.assertEqual((answer.status, answer.getheader("Transfer-Encoding"), answer.getheader("Content-Length")), (200, "chunked", None))
        ids = []
        for count, line in enumerate(answer):
            ids.append(json.loads(line)["id"])
            if count % 20_000 == 0:
                peak = max(peak, self.engine_bytes("RssAnon"))
                self.user()
        self.hang_up((connection, answer))
        self.assertEqual(len(ids), len(set(ids)))
        self.assertTrue(set(range(1, self.ROWS + 1)) | before <= set(ids))
        self.assertLess(peak - at_first, 8 << 20)  # the answer has some 40 MB

    def test_csv_by_http_1_0(self):
        """Until the end of the connection, which is an orderly one."""
        connection, answer = self.open_export("log.csv", version=10)
        self.assertEqual((answer.getheader("Transfer-Encoding"), answer.getheader("Connection")), (None, "close"))
        self.assertGreater(sum(1 for _ in csv.reader(line.decode() for line in answer)), self.ROWS)
        self.hang_up((connection, answer))

    def test_nobody_waits_for_a_reader_that_does_not_read(self):
        """It keeps no thread and no snapshot: pages, phones and the store's own housekeeping go on. One too many is told to come back."""
        waiting = [self.open_export("log.csv") for _ in range(2)]
        self.assertEqual([answer.status for _, answer in waiting], [200, 200])
        refused = self.web.get("/log.jsonl")
        self.assertEqual((refused.status, refused.header("Retry-After") is not None), (503, True))
        for _ in range(5):
            self.assertEqual(self.web.get("/me").status, 200)
        self.assertEqual(self.user().device().ready().folder_sync().code, 200)
        database = sqlite3.connect(os.path.join(self.server.data, "bellhop.db"), timeout=10)
        self.assertEqual(database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0], 0)
        database.close()
        for pair in waiting:
            self.hang_up(pair)

        def works():
            pair = self.open_export("log.jsonl")
            self.hang_up(pair)
            return pair[1].status == 200
        eventually(works, what="the exports that nobody reads are forgotten")

    def test_cut_is_seen(self):
        """The engine dies in the middle: nobody takes the half for the whole."""
        connection, answer = self.open_export("log.csv")
        self.assertTrue(answer.readline().startswith(b"id,at,"))
        self.server.kill_engine()
        with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
            answer.read()
        self.hang_up((connection, answer))

    def test_command_line(self):
        ids = [json.loads(line)["id"] for line in self.export("--format", "jsonl", "--until", "2100-01-01").splitlines()]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertLessEqual(set(range(1, self.ROWS + 1)), set(ids))

    def test_head_and_limit(self):
        answer = self.web.raw("HEAD", "/api/v1/log.csv")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(self.web.get("/log.csv", user="user1@example.org").body.count(b"\n"), self.ROWS // 1000 + 1)
        self.assertEqual(self.web.get("/me").status, 200)


if __name__ == "__main__":
    unittest.main()
