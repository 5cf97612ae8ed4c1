"""What people see of every verb that only reads: on a terminal of 80 columns, and as JSON."""

import fcntl
import json
import os
import pty
import re
import shlex
import struct
import subprocess
import termios

from eas.wbxml import E
from lib import relay
from lib.case import ServerCase
from lib.server import eventually, free_port, program

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WIDTH = 80
# DeviceIds of iPhones and of Android's Gmail are as long as that.
DEVICE = "androidc0123456789abcdef01234567"
ANNA = "anna@example.org"

# Command lines by verb. Where nothing is laid down yet, those without arguments have an empty table.
READING = {
    "user list": ["", "--search anna"],
    "user show": [ANNA],
    "app-password list": [ANNA],
    "oof show": [ANNA],
    "session list": [ANNA],
    "token list": [""],
    "alias list": [""],
    "domain list": [""],
    "group list": [""],
    "group show": ["sales"],
    "device list": ["", ANNA],
    "device show": [f"{ANNA} {DEVICE}"],
    "device wipes": [""],
    "device check": [DEVICE],
    "device folders": [DEVICE],
    "device waits": [DEVICE],
    "device errors": [DEVICE],
    "access list": [""],
    "access rules": [""],
    "access test": [f"{ANNA} --device {DEVICE}"],
    "access message": [""],
    "service list": ["", "--group sales"],
    "service show": ["sync"],
    "item list": [""],
    "queue list": [""],
    "policy list": [""],
    "policy show": ["", "strict"],
    "policy settings": [""],
    "policy assignments": [""],
    "policy exceptions": [""],
    "policy effective": [ANNA, f"{ANNA} {DEVICE}", f"{ANNA} {DEVICE} --all"],
    "log list": [""],
    "log actions": [""],
    "status": [""],
    "stats": [""],
    "overview": [""],
    "check": [""],
    "doctor": [""],
}
# Not tables: a trace is as deep as the request was, the others are files for programs.
OTHERS = {"trace", "log export", "metrics", "import batch", "backup", "restore", "import", "export"}


def verbs():
    """Those of the table that change nothing."""
    with open(os.path.join(ROOT, "src", "admin", "verbs.c"), encoding="utf-8") as file:
        return {name for name, changes in re.findall(r'\] = \{"([^"]+)", "(?:[^"\\]|\\.)*",\s*(true|false)', file.read()) if changes == "false"}


class OnTerminal(ServerCase):
    settings = {"relay.host": "127.0.0.1", "relay.port": str(free_port()), "relay.tls": "none"}

    def terminal(self, *words):
        """The lines that somebody sees whose terminal has 80 columns, and the exit status."""
        mine, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, WIDTH, 0, 0))
        with subprocess.Popen([program("bellhop"), "-c", self.server.config, *words], stdin=subprocess.DEVNULL, stdout=its, stderr=its) as process:
            os.close(its)
            said = b""
            with open(mine, "rb", buffering=0) as reader:
                while True:
                    try:
                        piece = reader.read(65536)
                    except OSError:  # how a terminal says that nobody writes any more
                        break
                    if not piece:
                        break
                    said += piece
        return said.decode().replace("\r\n", "\n").splitlines(), process.returncode

    def answer(self, *words):
        return json.loads(self.server.bellhop(*words, "--json", check=words[0] != "doctor").stdout)

    def test_every_verb_is_here(self):
        self.assertEqual(set(READING) | OTHERS, verbs())

    def test_ordinary(self):
        """With an ordinary server no line is wider than the terminal, and nothing that one looks for is missing."""
        bellhop = self.server.bellhop
        anna, bert = self.user(login="anna"), self.user(login="bert")
        self.user(login="christina.wintersberger")
        bellhop("group", "add", "sales")
        bellhop("group", "join", "sales", anna.address)
        bellhop("policy", "create", "strict", '{"DevicePasswordEnabled": true, "MinDevicePasswordLength": 6}',
                "--description", "For those who travel with what is not for everybody")
        bellhop("policy", "assign", "strict", "--group", "sales")
        bellhop("policy", "except", bert.address)
        bellhop("alias", "add", "info@example.org", anna.address)
        bellhop("app-password", "add", anna.address, "Anna's tablet")
        bellhop("token", "add", "everything", "read users devices wipe policies access queue server metrics self")
        bellhop("access", "add", "block", 'type = iPhone and os = "iOS 12*" and agent = "Apple-iPhone*/1604.*"', "--note", "too old to be mended")
        bellhop("access", "set", "block", "--address", bert.address, "--device", "FUTURE")
        bellhop("service", "set", "devices_per_user", "10", "--group", "sales")
        bellhop("oof", "set", anna.address, json.dumps({"state": "on", "internal": {"enabled": True, "text": "I am back on Monday. " * 9}}))
        phone = self.phone(user=anna, device_id=DEVICE)
        self.addCleanup(phone.close)
        self.deliver(anna, subject="hello")
        phone.sync_rest()
        phone.sync(key="99")
        lost = self.phone("12.1", user=bert)
        lost.close()
        bellhop("device", "wipe", bert.address, lost.device_id, "--yes")
        sent = phone.post("SendMail", E("ComposeMail:SendMail", E("ClientId", "1"), E("Mime", relay.message("someone.else@far.example"))))
        self.assertEqual((sent.code, sent.http.body), (200, b""))
        eventually(lambda: self.answer("queue", "list")[0]["answer"], what="an attempt")

        for verb, lines in READING.items():
            for line in lines:
                words = [*verb.split(), *shlex.split(line)]
                with self.subTest(" ".join(words)):
                    shown, status = self.terminal(*words)
                    self.assertIn(status, (0, 1) if verb == "doctor" else (0,), shown)
                    self.assertTrue(shown)
                    self.assertEqual([text for text in shown if len(text) > WIDTH], [])
                    self.assertFalse(any(text != text.rstrip() for text in shown), shown)
                    rows = self.answer(*words)
                    self.assertIsInstance(rows, (dict, list))
                    if isinstance(rows, list):
                        self.assertEqual(shown[1] == "(none)", rows == [], shown)
                        self.assertFalse(any("\u2026" in text for text in shown[:1]), "a heading is cut")

        def whole(*words):
            return " ".join(" ".join(self.terminal(*words)[0]).split())

        # What each of these is asked for.
        for words, columns in ((("log", "list"), ("ID", "AT", "ACTOR", "ACTION", "RESULT", "USER")),
                               (("policy", "list"), ("POLICY", "DEVICES", "FULL", "PARTIAL", "REFUSED", "OTHER", "WAITING")),
                               (("policy", "settings"), ("SETTING", "DEFAULT", "TEXT")),
                               (("queue", "list"), ("MAIL", "RECIPIENT", "STATE", "ANSWER")),
                               (("device", "list"), ("ADDRESS", "DEVICE", "MODEL", "STATE")),
                               (("device", "wipes"), ("ADDRESS", "DEVICE", "WIPE")),
                               (("token", "list"), ("NAME", "SCOPES")),
                               (("device", "errors", DEVICE), ("AT", "COMMAND", "STATUS", "TEXT"))):
            heading = self.terminal(*words)[0][0].split()
            self.assertEqual([column for column in columns if column not in heading], [], heading)
        self.assertRegex(self.terminal("log", "list")[0][1], r"^\d+ +\d{4}-\d\d-\d\dT\d\d:\d\d")
        self.assertIn("someone.else@far.example", whole("queue", "list"))
        self.assertIn("sent as 16 there", whole("policy", "settings").replace("are ", ""))

    def test_nothing_there(self):
        """An empty table says so, on a terminal and elsewhere."""
        for verb in ("token list", "device wipes", "item list", "queue list", "policy assignments", "policy exceptions", "access rules"):
            if self.answer(*verb.split()) == []:
                self.assertEqual(self.terminal(*verb.split())[0][1:], ["(none)"])
        shown = self.server.bellhop("log", "list", "--user", "nobody@example.net")
        self.assertEqual(shown.stdout.splitlines()[1:], ["(none)"])
        shown, _ = self.terminal("log", "list", "--user", "nobody@example.net")
        self.assertEqual(shown[1:], ["(none)"])
        self.assertEqual(self.answer("log", "list", "--user", "nobody@example.net"), [])


if __name__ == "__main__":
    import unittest
    unittest.main()
