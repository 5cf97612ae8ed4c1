"""bellhop-bench compare: the bytes of each exchange, measured against a real server with and without TLS, and the month made of them."""

import json
import os
import subprocess
import unittest

from lib.case import ServerCase
from lib.server import program

WAYS = ["SMS trigger", "poll 5 min", "poll 15 min", "poll 60 min", "push 8 min", "push 15 min", "push 30 min", "push 59 min"]


def compare(folder, *options):
    result = os.path.join(folder, "compare.json")
    done = subprocess.run([program("bellhop-bench"), "compare", "--json", result, "--plots", folder, *options],
                          capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    with open(result, encoding="ascii") as file:
        return json.load(file), done.stdout


class Compare(ServerCase):
    https = True
    settings = {"push.heartbeat_min_s": "1"}

    @classmethod
    def prepare(cls):
        cls.server.add_user(login="meter", password="secret")

    def test_measured(self):
        folder = self.server.folder
        password = self.server.password_file("secret")
        result, table = compare(
            folder, "--url", f"https://127.0.0.1:{self.server.https_port}", "--plain-url", f"http://127.0.0.1:{self.server.http_port}",
            "--user", "meter@example.org", "--password-file", password, "--lmtp", f"127.0.0.1:{self.server.lmtp_port}", "--heartbeat", "1")
        plain, tls = result["plain_bytes"], result["tls_bytes"]
        # The known figure for Exchange is 600 bytes; what our own side adds to a phone's must stay below it.
        self.assertLess(plain["heartbeat"], 600)
        self.assertLess(tls["heartbeat"], 660)
        for name in ("heartbeat", "wake", "sync_empty", "sync_news"):
            self.assertGreater(plain[name], 208, name)
            self.assertGreater(tls[name], plain[name], name)
        self.assertGreater(tls["connect"], plain["connect"])
        self.assertGreater(plain["per_news"], 2000)
        self.assertEqual([way["way"] for way in result["ways"]], WAYS)
        self.assertEqual(table.count("poll "), 3)
        for name in ("push-delay", "push-data", "push-wakeups"):
            with open(os.path.join(folder, f"{name}.svg"), encoding="utf-8") as file:
                self.assertIn("push 59 min", file.read())

    def test_built_in(self):
        """Without a server: the same month, a fixed result."""
        first, _ = compare(self.server.folder)
        second, _ = compare(self.server.folder)
        self.assertEqual(first, second)
        other, _ = compare(self.server.folder, "--seed", "2", "--days", "7")
        self.assertNotEqual(first["news"], other["news"])

    def test_measuring_needs_an_account(self):
        done = subprocess.run([program("bellhop-bench"), "compare", "--url", "https://127.0.0.1:1"], capture_output=True, text=True,
                              timeout=20, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--lmtp", done.stderr)


if __name__ == "__main__":
    unittest.main()
