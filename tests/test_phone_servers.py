"""bellhop-phone with servers that are not ours: what they may answer, and what goes wrong on the way."""

import base64
import email
import hashlib
import json
import os
import queue
import subprocess
import tempfile
import threading
import unittest

from eas.wbxml import E, VERSIONS
from lib.fake_eas import FakeServer
from lib.server import program, wait_exit

MIME = "From: a@example.net\r\nTo: u@example.org\r\nSubject: {}\r\n\r\nText of {}\r\n"


class FakeCase(unittest.TestCase):
    def setUp(self):
        self.server = FakeServer()
        self.addCleanup(self.server.close)
        folder = tempfile.TemporaryDirectory(prefix="bellhop-phone-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.maildir = os.path.join(self.folder, "data", "Maildir")
        with open(os.path.join(self.folder, "password"), "w", encoding="utf-8") as file:
            file.write("secret\n")

    def command(self, *options):
        return [program("bellhop-phone"), "--server", self.server.url, "--user", "u", "--password-file",
                os.path.join(self.folder, "password"), "--data", os.path.join(self.folder, "data"), *options]

    def run_phone(self, *options, status=0, **kwargs):
        done = subprocess.run(self.command(*options), capture_output=True, timeout=60, check=False, **kwargs)
        self.assertEqual(done.returncode, status, (done.stdout[-3000:], done.stderr[-3000:]))
        return done

    def events(self, *options, **kwargs):
        return [json.loads(line) for line in self.run_phone("--json", *options, **kwargs).stdout.splitlines()]

    def add(self, *names, folder="1", read=False):
        for name in names:
            self.server.add(folder, f"{folder}:{name}", MIME.format(name, name), read)

    def files(self, folder=""):
        """{subject: path below the folder}"""
        found = {}
        for part in ("new", "cur"):
            path = os.path.join(self.maildir, folder, part)
            for name in os.listdir(path) if os.path.isdir(path) else ():
                with open(os.path.join(path, name), "rb") as file:
                    found[email.message_from_binary_file(file)["Subject"]] = f"{part}/{name}"
        return found

    def rename(self, subject, flags):
        old = self.files()[subject]
        base = os.path.basename(old).split(":")[0]
        os.rename(os.path.join(self.maildir, old), os.path.join(self.maildir, "cur", f"{base}:2,{flags}"))


class Syncs(FakeCase):
    def test_every_version(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                self.setUp()
                self.add("one", "two")
                self.run_phone("--once", "--version-eas", version)
                self.assertEqual(set(self.files()), {"one", "two"})
                self.assertTrue(os.path.isdir(os.path.join(self.maildir, ".Entw&APw-rfe &- mehr", "cur")))
                self.assertFalse(os.path.exists(os.path.join(self.maildir, ".Calendar")))

    def test_base64(self):
        self.add("one")
        self.run_phone("--once", "--base64")
        self.assertEqual(set(self.files()), {"one"})

    def test_highest_common_version(self):
        self.server.versions = "1.0,2.5,12.0,12.1"
        self.run_phone("--once")
        self.assertEqual(self.server.requests[-1][2]["MS-ASProtocolVersion"], "12.1")
        self.server.versions = "1.0,99.9"
        self.run_phone("--once", status=1)

    def test_windows(self):
        self.add(*[f"m{n}" for n in range(25)])
        events = self.events("--once", "--window", "7")
        self.assertEqual(len(self.files()), 25)
        synced = [e for e in events if e["ev"] == "synced" and e["folder"] == "Inbox"]
        self.assertEqual(synced[0]["added"], 25)
        self.assertEqual(len([e for e in events if e["ev"] == "message"]), 25)

    def test_one_folder(self):
        self.add("in", folder="1")
        self.add("sent", folder="2")
        self.run_phone("--once", "--folder", "sent items")
        self.assertEqual(set(self.files()), set())
        self.assertEqual(set(self.files(".Sent Items")), {"sent"})
        done = self.run_phone("--once", "--folder", "nowhere", status=1)
        self.assertIn(b"nowhere", done.stderr)

    def test_flags_both_ways(self):
        self.add("one", "two", "three")
        self.run_phone("--once")
        self.rename("one", "S")
        os.unlink(os.path.join(self.maildir, self.files()["two"]))
        self.server.messages["1"]["1:three"]["read"] = True
        self.run_phone("--once")
        self.assertTrue(self.server.messages["1"]["1:one"]["read"])
        self.assertEqual(set(self.server.messages["1"]), {"1:one", "1:three"})
        self.assertRegex(self.files()["three"], r"^cur/.*:2,S$")
        count = len(self.server.requests)
        self.run_phone("--once")  # and nothing is said twice
        self.assertFalse([d for c, d, _ in self.server.requests[count:] if c == "Sync" and d.find(
            "Collections/Collection/Commands")])

    def test_server_deletes(self):
        self.add("one", "two")
        self.run_phone("--once")
        del self.server.messages["1"]["1:one"]
        self.run_phone("--once")
        self.assertEqual(set(self.files()), {"two"})

    def test_cut_bodies_are_fetched(self):
        self.server.cut_at = 20
        for version in ("2.5", "12.0", "14.1"):
            with self.subTest(version=version):
                self.setUp()
                self.server.cut_at = 20
                self.add("long")
                self.run_phone("--once", "--version-eas", version)
                with open(os.path.join(self.maildir, self.files()["long"]), "rb") as file:
                    self.assertTrue(file.read().endswith(b"Text of long\n"))

    def test_lost_maildir_deletes_nothing(self):
        self.add("one", "two")
        self.run_phone("--once")
        os.rename(self.maildir, self.maildir + ".lost")
        self.run_phone("--once")
        self.assertEqual(set(self.server.messages["1"]), {"1:one", "1:two"})
        self.assertEqual(set(self.files()), {"one", "two"})

    def test_other_account_in_the_folder(self):
        self.run_phone("--once")
        command = self.command("--once")
        command[command.index("u")] = "other"
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"belongs to the account u", done.stderr)


class Troubles(FakeCase):
    def test_lost_answer(self):
        """The server has worked, the answer is lost: the same key again, and nothing twice."""
        self.add("one")
        self.run_phone("--once")
        self.add("two")

        def lose(server, document):
            server.do_Sync(document)
            return "cut"
        self.server.on("Sync", lose)
        self.run_phone("--once", "--folder", "Inbox")
        self.assertEqual(set(self.files()), {"one", "two"})
        keys = [d.get("Collections/Collection/SyncKey") for c, d, _ in self.server.requests if c == "Sync"]
        self.assertEqual(keys[-1], keys[-2])

    def test_lost_state(self):
        """State without mail, mail without state: both end complete and without copies."""
        self.add("one", "two")
        self.run_phone("--once")
        for name in os.listdir(os.path.join(self.folder, "data", "state")):
            os.unlink(os.path.join(self.folder, "data", "state", name))
        self.run_phone("--once")
        self.assertEqual(sorted(self.files()), ["one", "two"])
        self.assertEqual(sum(len(os.listdir(os.path.join(self.maildir, p))) for p in ("new", "cur")), 2)

    def test_damaged_state(self):
        self.add("one")
        self.run_phone("--once")
        state = os.path.join(self.folder, "data", "state")
        for name in os.listdir(state):
            if name.startswith("mailbox-"):
                os.truncate(os.path.join(state, name), 30)
        self.run_phone("--once")
        self.assertEqual(set(self.files()), {"one"})

    def test_invalid_key(self):
        """Status 3: from the start; what is gone meanwhile goes."""
        self.add("one", "two")
        self.run_phone("--once")
        self.server.keys.clear()
        self.server.sent.clear()
        del self.server.messages["1"]["1:one"]
        self.run_phone("--once")
        self.assertEqual(set(self.files()), {"two"})

    def test_hierarchy_changed(self):
        self.run_phone("--once")
        self.server.on("Sync", lambda s, d: E("AirSync:Sync", E("Status", "12")))
        self.run_phone("--once")
        self.assertEqual(self.server.commands().count("FolderSync"), 3)

    def test_folder_key_refused(self):
        self.run_phone("--once")
        self.server.on("FolderSync", lambda s, d: E("FolderHierarchy:FolderSync", E("Status", "9")))
        self.run_phone("--once")
        keys = [d.get("SyncKey") for c, d, _ in self.server.requests if c == "FolderSync"]
        self.assertEqual(keys, ["0", "f1", "0"])

    def test_provision_when_asked(self):
        for version in ("2.5", "12.1", "14.0", "16.1"):
            with self.subTest(version=version):
                self.setUp()
                self.run_phone("--once", "--version-eas", version)
                self.server.policy_key = "other"  # the policy changed
                self.run_phone("--once", "--version-eas", version)
                self.assertEqual(self.server.commands().count("Provision"), 4)

    def test_endless_provisioning_ends(self):
        self.server.on("FolderSync", *[lambda s, d: (449, {}, b"")] * 20)
        done = self.run_phone("--once", "--version-eas", "12.1", status=1)
        self.assertIn(b"again and again", done.stderr)

    def test_redirect(self):
        other = FakeServer()
        self.addCleanup(other.close)
        other.add("1", "1:x", MIME.format("moved", "x"))
        self.server.on("Provision", lambda s, d: (451, {"X-MS-Location": other.url + "/Microsoft-Server-ActiveSync"}, b""))
        self.run_phone("--once")
        self.assertEqual(set(self.files()), {"moved"})
        self.assertEqual(self.server.commands(), ["Provision"])

    def test_refusals(self):
        for status, code, words in ((401, 3, b"password"), (403, 1, b"403"), (507, 1, b"full")):
            with self.subTest(status=status):
                self.server.on("FolderSync", lambda s, d, status=status: (status, {}, b""))
                self.assertIn(words, self.run_phone("--once", status=code).stderr)

    def test_busy(self):
        self.server.on("FolderSync", lambda s, d: (503, {"Retry-After": "1"}, b""))
        self.run_phone("--once")

    def test_garbage(self):
        for body in (b"<html>502</html>", b"\x03\x01\x6a\x00\x45", b"\x03\x01\x6a\x00" + b"\x45" * 200):
            self.server.on("FolderSync", lambda s, d, body=body: (200, {}, body))
            self.assertTrue(self.run_phone("--once", status=1).stderr)

    def test_wipe(self):
        self.add("one")
        self.run_phone("--once")
        self.server.on("FolderSync", lambda s, d: E("FolderHierarchy:FolderSync", E("Status", "140")))
        self.server.on("Provision", lambda s, d: E("Provision:Provision", E("Status", "1"), E("RemoteWipe")),
                       lambda s, d: E("Provision:Provision", E("Status", "1")))
        self.run_phone("--once", status=4)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "data")))
        self.assertEqual(self.server.requests[-1][1].get("RemoteWipe/Status"), "1")

    def test_policy_beyond_us(self):
        def demand(server, document):
            return E("Provision:Provision", E("Status", "1"), E("Policies", E("Policy", E("PolicyType", "MS-EAS-Provisioning-WBXML"), E(
                "Status", "1"), E("PolicyKey", "100"), E("Data", E("EASProvisionDoc", E("DevicePasswordEnabled", "1"))))))

        self.server.on("Provision", demand)
        self.run_phone("--once")
        self.assertEqual(self.server.requests[1][1].get("Policies/Policy/Status"), "2")
        self.server.policy_key = "other"
        self.server.on("Provision", demand, lambda s, d: E("Provision:Provision", E("Status", "139")))
        self.assertIn(b"device password", self.run_phone("--once", status=1).stderr)
        self.server.on("Provision", demand)
        self.run_phone("--once", "--claim-policy")

    def test_send_again_after_lost_answer(self):
        def lose(server, document):
            server.do_SendMail(document)
            return "cut"
        self.server.on("SendMail", lose, lambda s, d: E("ComposeMail:SendMail", E("Status", "118")))
        self.run_phone("--send", input=b"To: a@example.org\nSubject: x\n\nhi\n")
        ids = [d.get("ClientId") for c, d, _ in self.server.requests if c == "SendMail"]
        self.assertEqual(len(ids), 2)
        self.assertEqual(ids[0], ids[1])
        self.assertEqual(self.server.mail[0], b"To: a@example.org\r\nSubject: x\r\n\r\nhi\r\n")


class Certificates(FakeCase):
    def setUp(self):
        super().setUp()
        pem = os.path.join(self.folder, "server.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", pem, "-out",
                        pem + ".crt"], check=True, capture_output=True)
        with open(pem, "a", encoding="ascii") as file, open(pem + ".crt", encoding="ascii") as certificate:
            file.write(certificate.read())
        self.certificate = pem + ".crt"
        self.server = FakeServer(pem)
        self.addCleanup(self.server.close)
        self.add("one")

    def pin(self, certificate):
        key = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"], check=True, capture_output=True).stdout
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=key, check=True, capture_output=True).stdout
        return "sha256//" + base64.b64encode(hashlib.sha256(der).digest()).decode()

    def test_untrusted(self):
        done = self.run_phone("--once", status=1)
        self.assertIn(b"--pin", done.stderr)
        self.assertEqual(self.server.requests, [])  # the password was not sent

    def test_trusted(self):
        for options in (["--cacert", self.certificate], ["--pin", self.pin(self.certificate)], ["--insecure"]):
            self.run_phone("--once", *options)
        self.assertEqual(set(self.files()), {"one"})

    def test_another_key(self):
        pin = "sha256//" + base64.b64encode(bytes(32)).decode()
        self.assertIn(b"pinned", self.run_phone("--once", "--pin", pin, status=1).stderr)
        self.assertEqual(self.server.requests, [])


class Pushes(FakeCase):
    def start(self, *options):
        self.process = subprocess.Popen(self.command("--json", *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.stop)
        self.queue = queue.Queue()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.queue.put(json.loads(line))
        self.queue.put({"ev": "end"})

    def stop(self):
        self.process.terminate()
        wait_exit(self.process.pid, 10)
        self.process.wait(10)
        self.reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()

    def wait(self, name, **fields):
        while True:
            event = self.queue.get(timeout=20)
            if event["ev"] == name and all(event.get(k) == v for k, v in fields.items()):
                return event
            self.assertNotEqual(event["ev"], "end")

    def test_pushed(self):
        self.start()
        self.assertEqual(self.wait("ping_parked")["heartbeat_s"], 480)
        self.add("one")
        self.wait("ping_answered", status=2)
        self.wait("pushed", changes=1)
        self.assertEqual(set(self.files()), {"one"})
        self.wait("ping_parked")

    def test_wait_one(self):
        self.start("--wait-one")
        self.wait("ping_parked")
        self.add("one")
        self.wait("pushed", changes=1)
        self.wait_end()

    def wait_end(self):
        self.assertTrue(wait_exit(self.process.pid, 10))
        self.assertEqual(self.process.wait(5), 0)

    def test_stops_at_once(self):
        self.start()
        self.wait("ping_parked")
        self.process.terminate()
        self.wait_end()

    def test_statuses(self):
        """Expired: longer. Bound: taken up. Too many folders: fewer. Hierarchy: listed again."""
        ping = lambda *children: (lambda s, d: E("Ping:Ping", *children))  # noqa: E731
        self.server.on("Ping", ping(E("Status", "5"), E("HeartbeatInterval", "100")),
                       ping(E("Status", "6"), E("MaxFolders", "1")), ping(E("Status", "7")),
                       ping(E("Status", "8")))
        self.start()
        self.wait("ping_answered", status=5)
        self.wait("ping_answered", status=6)
        self.wait("ping_answered", status=7)
        self.wait("folders")
        self.wait("error")
        self.wait("ping_parked", heartbeat_s=100)
        pings = [d for c, d, _ in self.server.requests if c == "Ping"]
        self.assertEqual([p.get("HeartbeatInterval") for p in pings], ["480"] + ["100"] * (len(pings) - 1))
        last = pings[-1]
        self.assertEqual([f.get("Id") for f in last.all("Folders/Folder")], ["1"])

    def test_changes_at_home_go_up_while_parked(self):
        self.add("one")
        self.start()
        self.wait("ping_parked")
        self.rename("one", "S")
        self.wait("synced", sent=1)
        self.assertTrue(self.server.messages["1"]["1:one"]["read"])
        self.wait("ping_parked")

    def test_idle_connection_closed(self):
        """A kept connection that is dead at once was closed while idle: nobody need know."""
        self.server.on("Ping", lambda s, d: "cut")
        self.start()
        self.wait("ping_parked", heartbeat_s=480)
        self.assertEqual(self.server.commands().count("Ping"), 2)
        self.add("one")
        self.wait("pushed", changes=1)

    def test_cut_while_waiting(self):
        """A connection that breaks while a Ping is held is not repeated unseen: the heartbeat learns from it."""
        def cut(server, document):
            threading.Event().wait(2.2)
            return "cut"
        self.server.on("Ping", lambda s, d: E("Ping:Ping", E("Status", "1")), cut)
        self.start("--heartbeat", "4")
        self.wait("ping_answered", status=1)
        self.wait("ping_cut")
        self.wait("ping_parked")
        self.add("one")
        self.wait("pushed", changes=1)

    def test_empty_pushes_are_slowed_down(self):
        """A server that calls for nothing does not make us spin."""
        wake = lambda s, d: E("Ping:Ping", E("Status", "2"), E("Folders", E("Folder", "1")))  # noqa: E731
        self.server.on("Ping", *[wake] * 1000)
        self.start()
        for _ in range(3):
            self.wait("pushed", changes=0)
        self.process.terminate()
        self.wait_end()
        self.assertLess(self.server.commands().count("Ping"), 10)


if __name__ == "__main__":
    unittest.main()
