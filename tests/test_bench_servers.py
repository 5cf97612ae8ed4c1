"""bellhop-bench against a server that is not ours, which knows one phone."""

import json
import os
import subprocess
import tempfile
import unittest

from eas.wbxml import E
from lib.fake_eas import FakeServer
from lib.server import program


class OtherServer(unittest.TestCase):
    def setUp(self):
        self.server = FakeServer()
        self.addCleanup(self.server.close)
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def run_phone(self, version, more=""):
        paths = [os.path.join(self.folder.name, name) for name in ("scenario", "password", "result")]
        with open(paths[0], "w", encoding="ascii") as file:
            file.write(f"[fleet]\nphones = 1\nduration = 2s\n[group one]\nversion = {version}\nheartbeat = 5m\n{more}\n")
        with open(paths[1], "w", encoding="ascii") as file:
            file.write("secret\n")
        run = subprocess.run(
            [program("bellhop-bench"), "run", paths[0], "--url", self.server.url, "--user", "user%u", "--password-file", paths[1],
             "--json", paths[2], "--quiet"], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(run.stderr, "")
        with open(paths[2], encoding="ascii") as file:
            counts = json.load(file)["counts"]
        for name in ("wrong", "dropped", "false_wakes", "timed_out"):
            self.assertEqual(counts[name], 0, name)
        return counts

    def test_news(self):
        for version in ("2.5", "16.1"):
            with self.subTest(version=version):
                self.server.on("Ping", lambda server, document: self.server.add("1", f"news {version}", b"Subject: x\r\n\r\nx\r\n"))
                counts = self.run_phone(version)
                self.assertEqual(counts["woken"], 1)
                self.assertGreaterEqual(counts["news"], 1)
                self.assertEqual(counts["parked"], 1)

    def test_short_thoughts(self):
        """Hundredths of a second are no seconds: two of these hold far more than two rounds."""
        self.server.do_Ping = lambda document: E("Ping:Ping", E("Status", "1"))
        self.assertGreater(self.run_phone("14.1", "think = 10ms..30ms")["expired"], 6)


if __name__ == "__main__":
    unittest.main()
