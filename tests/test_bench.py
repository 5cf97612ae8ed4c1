"""
bellhop-bench: fleets of simulated phones against a real server, plain and over TLS. What they do is checked, never how fast.
"""

import json
import os
import re
import subprocess
import unittest

from lib.case import ServerCase
from lib.server import program

SCENARIO = """
[fleet]
phones = {phones}
users = 4
duration = {seconds}s
connect_rate = 1000
mail_rate = {mail}

[group all]
version = {version}
heartbeat = 1s
heartbeat_max = 1s
folders = 2
{more}
"""


class BenchCase(ServerCase):
    settings = {"push.heartbeat_min_s": "1"}

    def fleet(self, *options, phones=8, seconds=3, version="14.1", mail=0, more=""):
        """Runs a scenario to its end; its results."""
        scenario = os.path.join(self.server.folder, "scenario.txt")
        result = os.path.join(self.server.folder, "result.json")
        password = os.path.join(self.server.folder, "fleet-password")
        with open(scenario, "w", encoding="ascii") as file:
            file.write(SCENARIO.format(phones=phones, seconds=seconds, version=version, mail=mail, more=more))
        with open(password, "w", encoding="ascii") as file:
            file.write("secret%u\n")
        run = subprocess.run(
            [program("bellhop-bench"), "run", scenario, "--url", self.url(), "--user", "bench%u@example.org", "--password-file", password,
             "--json", result, *options], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.progress = run.stderr
        self.table = run.stdout
        with open(result, encoding="ascii") as file:
            return json.load(file)

    def url(self):
        return f"http://127.0.0.1:{self.server.http_port}"

    @classmethod
    def prepare(cls):
        for number in range(4):
            cls.server.add_user(login=f"bench{number}", password=f"secret{number}")

    def assert_quiet(self, counts):
        for name in ("dropped", "wrong", "unauthorized", "connect_failed", "timed_out", "false_wakes", "refused"):
            self.assertEqual(counts[name], 0, name)


class Plain(BenchCase):
    def test_kinds_of_phones(self):
        """Every version and kind of phone sets itself up, waits, and waits again, on connections that stay and on new ones."""
        more = """
[group old]
version = 2.5
behaviour = windows-mobile
heartbeat = 1s
[group held]
version = 16.1
wait_with = sync
heartbeat = 1s
folders = 3
[group android]
version = 12.1
behaviour = android
connection = new
heartbeat = 1s
"""
        folder = os.path.join(self.server.folder, "plots")  # it is made
        result = self.fleet("--worker-phones", "9", "--plots", folder, "--server-pid", str(self.server.process.pid), phones=24, more=more)
        counts = result["counts"]
        self.assert_quiet(counts)
        self.assertEqual(counts["started"], 24)
        self.assertGreaterEqual(counts["expired"], 20)
        self.assertGreaterEqual(counts["pings"], counts["expired"])
        self.assertGreater(counts["connects"], 24)
        self.assertIn("parked of", self.progress)
        self.assertRegex(self.table, r"(?m)^  parked +\d+ ")
        self.assertGreater(len(result["samples"]), 2)
        for name in ("parked", "latency", "memory"):
            with open(os.path.join(folder, f"{name}.svg"), encoding="utf-8") as file:
                text = file.read()
            self.assertTrue(text.startswith("<svg ") and text.rstrip().endswith("</svg>"), name)
            self.assertGreater(len(re.findall(r"<path fill=\"none\"", text)), 0, name)
            self.assertNotIn("nan", text)

    def test_mail_wakes_and_is_synced(self):
        counts = self.fleet("--lmtp", f"127.0.0.1:{self.server.lmtp_port}", mail=10)["counts"]
        self.assert_quiet(counts)
        self.assertGreater(counts["mail_sent"], 10)
        self.assertGreater(counts["woken"], 0)
        self.assertGreater(counts["news"], 0)

    def test_paths_and_losses(self):
        counts = self.fleet(more="path = 1s:1\npath_end = reset\nloss = 20%")["counts"]
        self.assertGreater(counts["path_cut"] + counts["lost"], 0)
        self.assertEqual(counts["wrong"], 0)


class Tls(BenchCase):
    https = True

    def url(self):
        return f"https://127.0.0.1:{self.server.https_port}"

    def test_sessions_are_resumed(self):
        counts = self.fleet(more="connection = new")["counts"]
        self.assert_quiet(counts)
        self.assertEqual(counts["handshakes"], counts["connects"])
        self.assertGreater(counts["resumed"], counts["handshakes"] // 2)


class CommandLine(unittest.TestCase):
    def test_errors_say_what_is_wrong(self):
        for arguments, words in (
                (["walk"], "none of run, check, compare"),
                (["run"], "name a scenario"),
                (["run", "x", "--url"], "--url needs a value"),
                (["run", "x", "--phones", "0"], "--phones"),
                (["run", "x", "--fones", "1"], "--fones"),
                (["run", "x", "--url", "http://x"], "--user is missing"),
                (["check", "/nonexistent"], "/nonexistent")):
            with self.subTest(arguments=arguments):
                done = subprocess.run([program("bellhop-bench"), *arguments], capture_output=True, text=True, timeout=20, check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main()
