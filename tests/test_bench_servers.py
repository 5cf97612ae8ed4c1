"""bellhop-bench against a server that is not ours, which knows one phone."""

import gzip
import json
import os
import re
import subprocess
import tempfile
import threading
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

    def run_phones(self, version, until, more="", phones=1):
        """Plays them until its progress says all these words."""
        paths = [os.path.join(self.folder.name, name) for name in ("scenario", "password", "result")]
        with open(paths[0], "w", encoding="ascii") as file:
            file.write(f"[fleet]\nphones = {phones}\nduration = 1m\n[group one]\nversion = {version}\nheartbeat = 5m\n{more}\n")
        with open(paths[1], "w", encoding="ascii") as file:
            file.write("secret\n")
        with subprocess.Popen(
                [program("bellhop-bench"), "run", paths[0], "--url", self.server.url, "--user", "user%u", "--password-file", paths[1],
                 "--json", paths[2]], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
            said = b""
            while not all(word.encode() in said for word in until):
                more_said = os.read(run.stderr.fileno(), 65536)
                self.assertTrue(more_said, said)
                said += more_said
            run.terminate()
            out, _ = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 0, said)
        self.progress, self.table = said.decode(), out.decode()
        with open(paths[2], encoding="ascii") as file:
            return json.load(file)

    def run_phone(self, version, until="1 parked of 1", more=""):
        result = self.run_phones(version, [until], more=more)
        self.assertEqual(result["troubles"], [])
        for name in ("wrong", "dropped", "false_wakes", "timed_out"):
            self.assertEqual(result["counts"][name], 0, name)
        return result["counts"]

    def test_news(self):
        for version in ("2.5", "16.1"):
            with self.subTest(version=version):
                self.server.on("Ping", lambda server, document: self.server.add("1", f"news {version}", b"Subject: x\r\n\r\nx\r\n"))
                counts = self.run_phone(version, "1 woken, ")
                self.assertEqual(counts["woken"], 1)
                self.assertGreaterEqual(counts["news"], 1)
                self.assertEqual(counts["parked"], 1)

    def test_short_thoughts(self):
        """Hundredths of a second are no seconds: two of these hold far more than two rounds."""
        self.server.do_Ping = lambda document: E("Ping:Ping", E("Status", "1"))
        self.assertGreater(self.run_phone("14.1", " 2 s: ", "think = 10ms..30ms")["expired"], 6)

    def test_odd_answers(self):
        """Each phone meets another one; all are named, as they happen and at the end, and who is told to come back comes back."""
        answers = {
            "HTTP 401: user or password are wrong": (401, {"WWW-Authenticate": "Basic"}, b""),
            "HTTP 302, to be asked at https://login.example.com/?a=\"b\" (give that as --url)":
                (302, {"Location": "https://login.example.com/?a=\"b\""}, b""),
            "HTTP 451, to be asked at https://eas2.example.com/ (give that as --url)":
                (451, {"X-MS-Location": "https://eas2.example.com/"}, b""),
            "HTTP 500": (500, {}, b"<html>"),
            "the body is no WBXML (Content-Type text/html)": (200, {"Content-Type": "text/html"}, b"<html>"),
            "Content-Encoding gzip, which nobody asked for": (200, {"Content-Encoding": "gzip"}, gzip.compress(b"x")),
        }
        self.server.on("Provision", *(lambda server, document, answer=answer: answer for answer in answers.values()),
                       lambda server, document: (503, {"Retry-After": "1"}, b""))
        result = self.run_phones("14.1", phones=len(answers) + 1, until=["1 parked of 1", "5 wrong", *(f"Provision: {text} " for text in answers)])
        self.assertEqual({trouble["what"]: trouble["count"] for trouble in result["troubles"]}, {f"Provision: {text}": 1 for text in answers})
        for text in answers:
            self.assertRegex(self.table, rf"(?m)^ +1  Provision: {re.escape(text)}$")
        counts = result["counts"]
        self.assertEqual((counts["refused"], counts["unauthorized"], counts["wrong"], counts["parked"]), (1, 1, len(answers) - 1, 1))
        self.assertIn("1 answered 401, 5 wrong", self.progress)

    def test_the_same_over_and_over(self):
        """A server that always demands a new beginning is not asked without end."""
        for version, command, answer, text in (
                ("14.1", "Ping", E("Ping:Ping", E("Status", "7")), "Ping: Status 7"),
                ("14.1", "Ping", E("Ping:Ping", E("Status", "5"), E("HeartbeatInterval", "300")), "Ping: Status 5"),
                ("12.1", "FolderSync", (449, {}, b""), "FolderSync: HTTP 449")):
            with self.subTest(text):
                server = self.server = FakeServer()
                self.addCleanup(server.close)
                setattr(server, f"do_{command}", lambda document, answer=answer: answer)
                result = self.run_phones(version, [text])
                self.assertEqual(result["troubles"], [{"count": 1, "what": f"{text}, again and again"}])
                self.assertEqual(server.commands().count(command), 6)

    def test_woken_for_nothing(self):
        """News whose Sync brings none are counted, of a Ping and of a held Sync."""
        self.server.on("Ping", lambda server, document: E("Ping:Ping", E("Status", "2"), E("Folders", E("Folder", "1"))))
        result = self.run_phones("14.1", ["1 parked of 1", ", 1 woken"])
        self.assertEqual((result["counts"]["woken"], result["counts"]["false_wakes"], result["counts"]["news"]), (1, 1, 0))

        server = self.server = FakeServer()
        self.addCleanup(server.close)
        held = []

        def answer(document):
            if not document.has("Wait") and not document.has("HeartbeatInterval"):
                return FakeServer.do_Sync(server, document)
            held.append(document)
            if len(held) == 1:
                return FakeServer.do_Sync(server, document)
            server.http_closed.wait()
            return (200, {}, b"")
        server.http_closed = threading.Event()
        self.addCleanup(server.http_closed.set)
        server.do_Sync = answer
        result = self.run_phones("14.1", ["1 parked of 1", ", 1 woken"], more="wait_with = sync")
        self.assertEqual((result["counts"]["woken"], result["counts"]["false_wakes"], result["counts"]["news"]), (1, 1, 0))

    def test_refused_again(self):
        """Only who is refused a second time before it is in counts as refused twice."""
        for times, expected in ((1, 0), (2, 1)):
            with self.subTest(times=times):
                self.server.on("FolderSync", *[lambda server, document: (503, {"Retry-After": "1"}, b"")] * times)
                counts = self.run_phones("14.1", ["1 parked of 1"])["counts"]
                self.assertEqual((counts["refused"], counts["refused_again"]), (times, expected))

    def test_an_answer_that_only_announces(self):
        hurry = self.server.answer
        self.server.answer = lambda handler, reply: (handler.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n"), hurry(handler, reply))
        self.assertEqual(self.run_phone("14.1")["parked"], 1)

    def test_connections_that_end_unsaid(self):
        """After each answer: a phone asks again on a new one, at once."""
        keep = self.server.answer

        def close(handler, reply):
            keep(handler, reply)
            handler.close_connection = True
        self.server.answer = close
        result = self.run_phones("14.1", ["connection of a wait"])
        self.assertEqual(result["counts"]["wrong"], 0)
        self.assertIn("Sync", self.server.commands())


if __name__ == "__main__":
    unittest.main()
