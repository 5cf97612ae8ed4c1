"""What `make run` starts once everything is built: a live server, one message seen being pushed, an orderly end."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from lib.server import BUILD, descendants, wait_exit

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Demo(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="bellhop-demo-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def start(self):
        """Until it says that it stays up; what it printed."""
        process = subprocess.Popen([os.path.join(ROOT, "tools", "run-demo"), "--build-dir", BUILD, "--folder", self.folder],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "stays up" in line:
                break
        return process, "".join(lines)

    def end(self, process, signo):
        """Everybody is gone, and it says nothing is wrong."""
        children = descendants(process.pid)
        self.assertGreaterEqual(len(children), 4, "bellhopd, engine, front, phone")
        process.send_signal(signo)
        self.assertEqual(process.wait(60), 0)
        for pid in children:
            self.assertTrue(wait_exit(pid, 10), f"{pid} lives on")

    def test_twice(self):
        process, said = self.start()
        self.assertRegex(said, r"(?m)^pushed in \d+ ms, synced in \d+ ms$")
        first_password = re.search(r"bert@example\.org, password (\S+)", said)[1]
        command = re.search(r"tools/deliver --lmtp (\S+) --to anna@example\.org", said)
        more = subprocess.run([os.path.join(ROOT, "tools", "deliver"), "--lmtp", command[1], "--to", "anna@example.org", "--subject", "More"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(more.returncode, 0, more)
        for line in process.stdout:
            if "told and synced 1 change" in line:
                break
        self.assertIsNone(process.poll())
        self.end(process, signal.SIGINT)
        process, said = self.start()
        self.assertRegex(said, r"(?m)^pushed in \d+ ms, synced in \d+ ms$")
        self.assertEqual(re.search(r"bert@example\.org, password (\S+)", said)[1], first_password)
        self.end(process, signal.SIGHUP)


if __name__ == "__main__":
    unittest.main()
