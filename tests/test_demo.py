"""What `make run` starts once everything is built: a live server, one message seen being pushed, an orderly end."""

import os
import pathlib
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

    def command(self):
        return [os.path.join(ROOT, "tools", "run-demo"), "--build-dir", BUILD, "--folder", self.folder]

    def read(self, name):
        with open(os.path.join(self.folder, name), encoding="utf-8") as file:
            return file.read()

    def start(self):
        """Until it says that it stays up; what it printed."""
        process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
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
        before = {name: self.read(name) for name in ("bellhop.conf", "bellhopd.log")}
        other = subprocess.run([*self.command(), "--once"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((other.returncode, other.stdout), (1, ""))
        self.assertIn(f"another one runs on {self.folder}", other.stderr)
        self.assertEqual({name: self.read(name) for name in before}, before, "the second one touched nothing")
        self.end(process, signal.SIGINT)
        # Who looks into the log for what is wrong finds the certificate, and under root that.
        warnings = set(re.findall(r"(?m)^\S+ (?:warn|error) (\S+)", self.read("bellhopd.log")))
        self.assertLessEqual(warnings, {"certificate_self_signed", "running_as_root", "tls_keys_not_locked"})
        process, said = self.start()
        self.assertRegex(said, r"(?m)^pushed in \d+ ms, synced in \d+ ms$")
        self.assertEqual(re.search(r"bert@example\.org, password (\S+)", said)[1], first_password)
        self.end(process, signal.SIGHUP)


class Pages(unittest.TestCase):
    def test_depfile_of_a_folder_with_blanks(self):
        """What ninja is told to watch is there under that name; else each `make` builds the pages anew."""
        with tempfile.TemporaryDirectory(prefix="bellhop demo \u00fc ") as folder:
            root = pathlib.Path(folder)
            for name in ("tools", "src/app", "src/public", "work/node_modules/vite/bin", "out"):
                (root / name).mkdir(parents=True)
            shutil.copy(os.path.join(ROOT, "tools", "build-web"), root / "tools")
            (root / "tools" / "npm-packages").write_text("#!/bin/sh\n", encoding="ascii")
            (root / "tools" / "npm-packages").chmod(0o755)
            for name in ("app/one.js", "package.json", "package-lock.json", ".npmrc", "vite.config.js", "index.html"):
                (root / "src" / name).touch()
            (root / "work/node_modules/vite/bin/vite.js").write_text(
                'require("fs").mkdirSync("dist"); require("fs").writeFileSync("dist/app.js", "");', encoding="ascii")
            made = root / "out" / "app.js"
            subprocess.run([root / "tools" / "build-web", root / "src", root / "work", root / "out", root / "web.d", "app.js"], check=True)
            self.assertTrue(made.exists())
            target, needs = (root / "web.d").read_text(encoding="utf-8").split(":", 1)
            self.assertEqual(target, "app.js")
            needs = [pathlib.Path(word.replace("\\ ", " ")) for word in re.split(r"(?<!\\) |\n", needs) if word]
            self.assertEqual([str(path) for path in needs if not path.exists()], [])
            self.assertIn(root / "src" / "app" / "one.js", needs)
            self.assertIn(root / "src" / "index.html", needs)


if __name__ == "__main__":
    unittest.main()
