"""
The web pages in Chromium, by Playwright, with bellhop-phones in the background. The tests themselves are tests/pages/*.test.mjs: node runs
them all in one process and says of each what came of it; here each is a test of its own.

BELLHOP_SHOTS=DIR puts pictures of all pages, in both themes and two sizes, into that folder.
"""

import json
import os
import re
import shutil
import subprocess
import unittest

from lib import stranger
from lib.server import BUILD, Server, free_port, program
from lib.smtp_sink import Sink

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "pages")
PASSWORD = "correct horse battery"
ADMIN = "admin@example.org"
ONLY = [name for name in os.environ.get("BELLHOP_PAGES_ONLY", "").split("|") if name]
SETTINGS = {"wipe.device": "yes", "wipe.users_device": "yes", "relay.host": "localhost", "relay.tls": "none"}


def names():
    found = []
    for name in sorted(os.listdir(FOLDER)):
        if name.endswith(".test.mjs"):
            with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
                found += re.findall(r'^test\("([^"]+)"', file.read(), re.M)
    return found


class Pages(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        packages = os.path.join(os.path.abspath(BUILD), "pages-tests")
        done = subprocess.run([os.path.join(HERE, "..", "tools", "npm-packages"), FOLDER, packages], capture_output=True, text=True,
                              timeout=300, check=False)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        cls.packages = packages
        relay = Sink()
        relay.final = stranger.ANSWER
        cls.server = Server(settings=dict(SETTINGS, **{"relay.port": str(relay.port)}))
        try:
            cls.server.start()
            cls.results, cls.rest = cls.run_node(packages)
        finally:
            cls.server.close()
            relay.close()

    @classmethod
    def run_node(cls, packages):
        server = cls.server
        password_file = server.password_file(PASSWORD)
        server.bellhop("user", "add", ADMIN, "--name", "Ada Administrator", "--password-file", password_file)
        server.bellhop("user", "admin", ADMIN, "--on")
        chromium = shutil.which("chromium")
        if chromium is None:
            raise AssertionError("chromium is not installed (tools/packages)")
        house = {"url": f"http://127.0.0.1:{server.http_port}", "lmtp": server.lmtp_port, "config": server.config,
                 "folder": server.folder, "bellhop": program("bellhop"), "bellhopd": program("bellhopd"), "spare": free_port(), "phone": program("bellhop-phone"), "chromium": chromium,
                 "packages": packages, "admin": ADMIN, "password": PASSWORD, "passwordFile": password_file, "stranger": stranger.lay_down(server, password_file),
                 "shots": os.environ.get("BELLHOP_SHOTS", "")}
        try:
            done = subprocess.run(["node", os.path.join(FOLDER, "all.mjs"), *ONLY], capture_output=True, text=True, timeout=240,
                                  env=dict(os.environ, BELLHOP_PAGES=json.dumps(house)), check=False)
            output, rest = done.stdout, done.stderr
        except subprocess.TimeoutExpired as late:
            output, rest = (late.stdout or b"").decode(), "node was stopped: it took too long"
        results = {}
        for line in output.splitlines():
            result = json.loads(line)
            results[result["name"]] = result
        return results, rest + "\nthe server said:\n" + server.log_text()[-3000:]

    def check(self, name):
        result = self.results.get(name)
        if result is None:
            self.fail(f"node did not come to this test:\n{self.rest}")
        if result["error"]:
            self.fail(result["error"] + "\n" + self.rest)

    def test_types(self):
        """The sources of the pages pass the TypeScript compiler."""
        work = os.path.join(os.path.abspath(BUILD), "src", "web", "work")
        project = os.path.join(work, "tsconfig.json")
        with open(project, "w", encoding="utf-8") as file:
            json.dump({"extends": os.path.join(FOLDER, "tsconfig.json"), "include": ["app"]}, file)
        done = subprocess.run(["node", os.path.join(self.packages, "node_modules/typescript/bin/tsc"), "-p", project], capture_output=True, text=True, timeout=120,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


def method(name):
    return lambda self: self.check(name)


for _name in ONLY or names():
    setattr(Pages, "test_" + re.sub(r"\W+", "_", _name), method(_name))
