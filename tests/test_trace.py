"""What is remembered of a phone: its last requests without what people wrote, its waits, its errors, its folders; and starting over."""

import json
import subprocess
import time

from eas.client import SENT, basic
from eas.wbxml import E
from lib.case import ServerCase, forms
from lib.server import eventually, program


class Remembered(ServerCase):
    settings = {**ServerCase.settings, "trace.requests_per_device": "6"}

    def ask(self, *words):
        return json.loads(self.server.bellhop(*words, "--json").stdout)

    @forms("2.5", "12.1", "14.1", "16.1")
    def test_trace(self, version, form):
        """The last requests, decoded, with nothing of anybody's words."""
        owner = self.server.add_user(login=f"geheimowner{version.replace('.', '')}")
        device = self.phone(version, form, user=owner)
        self.deliver(owner, "Geheimsubject", text="Geheimtext in the body", sender="geheimsender@example.net")
        device.prime()
        trace = self.ask("trace", device.device_id)
        self.assertEqual(trace["device"], device.device_id)
        self.assertLessEqual(len(trace["traces"]), 6)
        numbers = [row["number"] for row in trace["traces"]]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(trace["last"], numbers[-1])
        last = trace["traces"][-1]
        self.assertEqual((last["command"], last["version"], last["http"]), ("Sync", version, 200))
        self.assertIn("<AirSync:SyncKey>", last["request"])
        self.assertIn("<AirSync:Status>1</AirSync:Status>", last["answer"])
        self.assertRegex(last["answer"], r"<Email:Subject>\[\d+ bytes\]</Email:Subject>")
        text = self.server.bellhop("trace", device.device_id).stdout
        self.assertIn("  < ", text)
        for said in (json.dumps(trace), text):
            self.assertNotIn("Geheim", said)
            self.assertNotIn("geheimsender", said)
            self.assertNotIn("secret of", said)
        self.assertEqual(self.ask("trace", device.device_id, "--after", str(trace["last"]))["traces"], [])

    def test_follow(self):
        device = self.phone()
        follower = subprocess.Popen(
            [program("bellhop"), "-c", self.server.config, "trace", device.device_id, "--follow", "--json"],
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(follower.wait)
        self.addCleanup(follower.stdout.close)
        self.addCleanup(follower.terminate)
        depth = 0
        while True:  # what was there already, as one object
            line = follower.stdout.readline()
            depth += line.count("{") - line.count("}")
            if depth == 0:
                break
        device.post("Settings", E("Settings:Settings", E("UserInformation", E("Get"))))
        row = json.loads(follower.stdout.readline())
        self.assertEqual(row["command"], "Settings")

    def test_waits(self):
        """How long they were to be and were, and how they ended."""
        device = self.phone()
        device.prime()
        first = device.connect()
        device.ping_send(first, folders=[device.inbox], heartbeat=300)
        self.assert_parked(first)
        self.deliver(self.owner, "news")
        self.assertEqual(device.receive(first).status, "2")
        device.sync()
        device.ping_send(first, folders=[device.inbox], heartbeat=600)
        self.assert_parked(first)
        first.close()
        waits = []
        eventually(lambda: waits.append(self.ask("device", "waits", device.device_id)) or len(waits[-1]) == 2,
                   what="both waits are remembered")
        newest, oldest = waits[-1]
        self.assertEqual((oldest["asked_s"], oldest["end"]), (300, "woken"))
        self.assertEqual((newest["asked_s"], newest["end"]), (600, "closed"))
        self.assertLess(newest["lasted_s"], 60)
        self.assertLessEqual(abs(newest["ended_at"] - time.time()), 60)
        self.assertEqual(len(self.ask("device", "waits", device.device_id, "--limit", "1")), 1)

    def test_errors(self):
        device = self.phone()
        device.prime()
        device.sync(key="4711")
        device.post("FolderSync", body=b"\x03\x01j\x00no WBXML")
        newest, *older = self.ask("device", "errors", device.device_id)
        self.assertEqual((newest["command"], newest["status"]), ("FolderSync", 102))
        self.assertTrue(newest["text"])
        self.assertEqual(newest["from"], "127.0.0.1")
        self.assertEqual((older[0]["command"], older[0]["status"]), ("Sync", 3))
        self.assertIn("starts the folder over", older[0]["text"])
        self.assertIn("FolderSync", self.server.bellhop("device", "errors", device.device_id).stdout)

    def test_errors_before_and_within(self):
        """Also of requests that did not get as far as their device, and what Provision says within its document."""
        device = self.phone()
        other = self.owner.device().ready()
        wrong = device.clone(authorization=basic(device.user, "wrong"))
        for _ in range(2):
            self.assertEqual(wrong.folder_sync().code, 401)
        request = device.provision_request(policy_type="Nonsense")
        self.assertEqual(device.post("Provision", request).document.get("Policies/Policy/Status"), "3")
        self.assertEqual(device.post("Provision", device.provision_acknowledgment("4711")).document.get("Policies/Policy/Status"), "5")
        device.post("Provision", E("Provision:Provision", E("RemoteWipe", E("Status", "1"))))
        self.server.bellhop("user", "disable", device.user)
        self.assertEqual(device.folder_sync().status, "126")
        rows = self.ask("device", "errors", device.device_id)
        self.assertEqual([(row["command"], row["http"], row["status"]) for row in reversed(rows)], [
            ("FolderSync", 401, 0), ("FolderSync", 401, 0), ("Provision", 200, 3), ("Provision", 200, 5), ("Provision", 200, 2),
            ("FolderSync", 200, 126)])
        texts = [row["text"] for row in reversed(rows)]
        for text, word in zip(texts, ("password", "password", "another type", "policy key", "nobody ordered", "may not synchronize")):
            self.assertIn(word, text)
        # Nothing of it stands with the user's other phone.
        self.assertEqual(self.ask("device", "errors", other.device_id), [])

    def test_guesses_push_out_nothing(self):
        """Whoever guesses on and on fills one line."""
        device = self.phone()
        wrong = device.clone(authorization=basic(device.user, "wrong"))
        codes = [wrong.folder_sync().code for _ in range(16)]
        self.assertEqual(sorted(set(codes)), [401, 503])
        rows = self.ask("device", "errors", device.device_id)
        self.assertEqual([row["http"] for row in rows], [503] + [401] * codes.count(401))

    def test_folders(self):
        device = self.phone()
        for number in range(3):
            self.deliver(self.owner, f"mail {number}")
        device.prime()
        device.sync_rest()
        self.deliver(self.owner, "one more")
        (row,) = [row for row in self.ask("device", "folders", device.device_id) if row["name"] == "Inbox"]
        self.assertEqual((row["held"], row["pending"], row["items"], row["class"]), (3, 1, 4, "Email"))

    def test_resync(self):
        """The phone is woken, starts over with key 0 and has everything; other folders go on."""
        device = self.phone()
        self.deliver(self.owner, "one")
        device.prime()
        device.sync_rest()
        device.prime(device.folders[SENT])
        connection = device.connect()
        self.addCleanup(connection.close)
        device.ping_send(connection, folders=[device.inbox, device.folders[SENT]], heartbeat=600)
        self.assert_parked(connection)
        done = self.ask("device", "resync", device.device_id, "Inbox")
        self.assertEqual(done["resynced"], ["Inbox"])
        self.assert_ping(device.receive(connection), "2", [device.inbox])
        self.assertEqual(device.sync().collection_status, "3")
        self.assertEqual(device.sync(device.folders[SENT]).code, 200)
        device.keys[device.inbox] = "0"
        device.prime()
        (held,) = [row["held"] for row in self.ask("device", "folders", device.device_id) if row["name"] == "Inbox"]
        self.assertEqual(held, 1)
        done = self.ask("device", "resync", device.device_id, "--all")
        self.assertEqual(set(done["resynced"]), {"Inbox", "Sent Items"})
        self.assertEqual(self.ask("device", "folders", device.device_id), [])
        self.assertIn("device resync", self.server.bellhop("log", "list").stdout)
        refused = self.server.bellhop("device", "resync", device.device_id, "Inbox", check=False)
        self.assertIn("has not synchronized", refused.stderr)
