"""
The event log: what stands in it, searching and paging, export as CSV and JSON lines, retention, and that no password and no content is
ever in it.
"""

import csv
import io
import json
import os
import re
import sqlite3
import unittest

from eas.client import basic
from lib import mail
from lib.case import ServerCase
from lib.server import eventually

SOURCES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src")
MARK = "xyzzyMARK"


class LogCase(ServerCase):
    def log(self, *options):
        return json.loads(self.server.bellhop("log", "list", *options, "--json").stdout)

    def export(self, *options):
        return self.server.bellhop("log", "export", *options).stdout


class EventLog(LogCase):
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
        bad = self.server.bellhop("log", "list", "--since", "yesterday", check=False)
        self.assertIn("is no time", bad.stderr)

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

    def test_nothing_secret(self):
        """Passwords, contents, tokens and cookies of a whole scenario, all marked: none is in the log."""
        user = self.user(login="secretive", password=MARK + "password")
        device = user.device().ready()
        self.server.deliver(user, mail.message(MARK + "subject", MARK + "body"))
        device.prime()
        device.sync()
        wrong = user.device()
        for name, password in ((user.address, MARK + "wrong"), (MARK + "typed-as-a-name", "x"), (user.address, "bcdf" + MARK)):
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
        known = {row["action"]: row["text"] for row in json.loads(self.server.bellhop("log", "actions", "--json").stdout)}
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


if __name__ == "__main__":
    unittest.main()
