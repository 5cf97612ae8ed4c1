"""Wipes, end to end: with the independent client and with bellhop-phone, after passwords were changed, and over kills of the engine."""

import base64
import itertools
import json
import os
import pty
import re
import subprocess
import tempfile
import unittest

from eas.query import PATH
from eas.wbxml import E
from lib.case import ServerCase, forms, retry
from lib.server import eventually, program
from lib.web import Web

VERSIONS = ("2.5", "12.1", "14.1", "16.1")
ENQUIRY = E("Provision:Provision")


def report(status, element="RemoteWipe"):
    return E("Provision:Provision", E(element, E("Status", status)))


class WipeCase(ServerCase):
    def bellhop(self, *arguments, refused=False):
        done = self.server.bellhop(*arguments, check=not refused)
        if refused:
            self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stderr if refused else done.stdout

    def verb(self, verb, device, *options, **kwargs):
        return self.bellhop("device", verb, device.user, device.device_id, *options, **kwargs)

    def wipe(self, device, *options, **kwargs):
        return self.verb("wipe", device, "--yes", *options, **kwargs)

    def shown(self, device):
        return json.loads(self.verb("show", device, "--json"))

    def steps(self, device):
        """What the event log has of the device's wipes, oldest first."""
        rows = json.loads(self.bellhop("log", "list", "--user", device.user, "--json"))
        return [row["result"] for row in reversed(rows)
                if row.get("device") == device.device_id and row["action"].split()[-1] in ("wipe", "cancel", "clear")]

    def set_password(self, device, password):
        self.bellhop("user", "passwd", device.user, "--password-file", self.server.password_file(password))

    def folder_sync(self, device):
        return device.post("FolderSync", E("FolderHierarchy:FolderSync", E("SyncKey", "0")))

    def assert_told(self, answer):
        """That a wipe waits, and nothing else."""
        if answer.code == 200:
            self.assertEqual(answer.status, "140", answer)
            self.assertEqual([child.name for child in answer.document.children], ["Status"], answer)
        else:
            self.assertEqual((answer.code, answer.http.body), (449, b""), answer)

    def assert_out(self, answer):
        self.assertIn((answer.code, answer.status if answer.code == 200 else None), ((403, None), (200, "129")), answer)

    def assert_ordered(self, device, element="RemoteWipe"):
        answer = device.post("Provision", ENQUIRY)
        self.assertEqual((answer.code, answer.status), (200, "1"), answer)
        self.assertEqual(answer.document.names(), ["Status", element], answer)


class Life(WipeCase):
    @forms(*VERSIONS)
    def test_from_order_to_clearing(self, version, form):
        device = self.phone(version, form)
        waiting = device.ping_send(folders=[device.inbox])
        self.assert_parked(waiting)
        self.assertIn("pending", self.wipe(device))
        self.assert_ping(device.receive(waiting), "7")
        self.assert_told(self.folder_sync(device))
        self.assert_ping(device.ping(folders=[device.inbox]), "7")
        self.assert_ordered(device)
        failed = device.post("Provision", report("2"))
        self.assertEqual((failed.status, failed.document.has("RemoteWipe")), ("2", True), failed)
        self.assertEqual(self.shown(device)["wipe"], "failed")
        self.assert_ordered(device)
        for _ in range(2):  # its answer may be lost
            done = device.post("Provision", report("1"))
            self.assertEqual((done.code, done.status, done.document.names()), (200, "1", ["Status"]), done)
        for answer in (self.folder_sync(device), device.post("Provision", device.provision_request()),
                       device.ping(folders=[device.inbox])):
            self.assert_out(answer)
        shown = self.shown(device)
        self.assertEqual((shown["wipe"], shown["state"], shown["wipe_kind"]), ("acknowledged", "wiped", "device"))
        self.assertTrue(0 < shown["wipe_asked_at"] <= shown["wipe_sent_at"] <= shown["wipe_answered_at"])
        self.assertIn("stays out", self.wipe(device, refused=True))
        self.verb("clear", device)
        self.assertEqual(self.steps(device), ["pending, whole device", "sent", "failed", "acknowledged", "cleared"])
        device.policy_key = "0"
        device.ready()

    @forms("12.1", "14.1")
    def test_cancelled(self, version, form):
        device = self.phone(version, form)
        self.wipe(device)
        self.assert_told(self.folder_sync(device))
        self.verb("cancel", device)
        self.assertEqual(self.folder_sync(device).status, "1")
        self.wipe(device)
        self.assert_ordered(device)
        self.assertIn("may erase itself all the same", self.verb("cancel", device))
        self.assertEqual(self.folder_sync(device).status, "1")
        # Too late for the server; the phone's word is worth nothing without an order.
        self.assertEqual(device.post("Provision", report("1")).status, "2")
        self.assertEqual(self.shown(device)["wipe"], "cancelled")

    def test_account_alone(self):
        device = self.phone("16.1")
        self.wipe(device, "--account")
        self.assert_told(self.folder_sync(device))
        self.assert_ordered(device, "AccountOnlyRemoteWipe")
        # With an earlier version it is kept out, and never told to erase more.
        older = device.clone(version="14.1")
        for answer in (self.folder_sync(older), older.post("Provision", ENQUIRY)):
            self.assert_out(answer)
        self.assertEqual(self.shown(device)["wipe_reach"], "no")
        done = device.post("Provision", report("1", "AccountOnlyRemoteWipe"))
        self.assertEqual((done.status, done.document.names()), ("1", ["Status"]), done)
        self.assert_out(self.folder_sync(device))
        older.close()
        self.assertIn("impossible", self.wipe(self.phone("16.0"), "--account", refused=True))

    def test_the_right_phone(self):
        """Neither another phone of the user nor another user's phone of that name; nor is a wipe lost by deleting."""
        device = self.phone("14.1")
        others = [self.phone("14.1", user=self.owner), self.phone("14.1", device_id=device.device_id)]
        self.assertIn("--yes", self.verb("wipe", device, refused=True))
        self.wipe(device)
        for other in others:
            self.assertEqual(self.folder_sync(other).status, "1")
            self.assertFalse(other.post("Provision", ENQUIRY).document.has("RemoteWipe"))
        self.assertIn("never hear", self.verb("del", device, "--yes", refused=True))
        self.assertIn("never hear", self.bellhop("user", "del", device.user, "--yes", refused=True))
        self.assert_ordered(device)

    @forms("12.1", "16.1")
    def test_stays_out_whoever_has_the_address(self, version, form):
        """The user is deleted and made anew: what was wiped and not cleared is out still, all else begins anew."""
        device, account = self.phone(version, form), version == "16.1"
        others = [self.phone(version, form, user=self.owner) for _ in range(2)]
        for one in (device, others[0]):
            self.wipe(one, *["--account"] * account)
            self.assertEqual(one.post("Provision", report("1", "AccountOnlyRemoteWipe" if account else "RemoteWipe")).status, "1")
        self.verb("clear", others[0])
        for _ in range(2):
            self.bellhop("user", "del", device.user, "--yes")
            self.bellhop("user", "add", device.user, "--password-file", self.server.password_file(device.password))
            for answer in (self.folder_sync(device), device.post("Provision", device.provision_request()),
                           device.ping(folders=[device.inbox])):
                self.assert_out(answer)
        shown = self.shown(device)
        self.assertEqual((shown["wipe"], shown["state"], shown["wipe_kind"]),
                         ("acknowledged", "wiped", "account" if account else "device"))
        self.assertTrue(0 < shown["wipe_asked_at"] <= shown["wipe_answered_at"])
        for one in others:
            one.policy_key = "0"
            one.ready()
        self.verb("clear", device)
        self.assertEqual(self.shown(device)["wipe"], "cleared")
        device.policy_key = "0"
        device.ready()

    def test_asked_on_a_terminal(self):
        """Whose phone it is, is said by the server alone: what the phone calls itself writes no line of it."""
        device = self.phone("14.1")
        told = "Safe\n  user       nobody@example.org\u009b2J\u202e"
        device.post("Settings", E("Settings:Settings", E("DeviceInformation", E("Set", E("Model", told)))))
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        os.write(ours, b"n\n")
        done = subprocess.run([program("bellhop"), "-c", self.server.config, "device", "wipe", device.user, device.device_id],
                              stdin=theirs, capture_output=True, text=True, check=False, timeout=30)
        os.close(theirs)
        self.assertIn("nothing was done", done.stderr)
        self.assertEqual(re.findall(r"^  user +(.*)$", done.stderr, re.M), [device.user])
        self.assertIn("model      Safe   user       nobody@example.org?2J?", done.stderr)
        self.assertEqual(self.shown(device)["wipe"], "none")

    def test_asking_again_and_again(self):
        """A phone that never provisions is left to wait, and hears of no mail."""
        device = self.phone("14.1")
        self.wipe(device)
        for _ in range(3):
            self.assert_ping(device.ping(folders=[device.inbox]), "7")
        waiting = device.ping_send(folders=[device.inbox])
        self.assert_parked(waiting)
        self.deliver(self.owner, "secret")
        self.assert_parked(waiting)
        self.verb("cancel", device)


class OldPassword(WipeCase):
    def disable(self, device):
        self.bellhop("user", "disable", device.user)

    def change(self, device):
        self.set_password(device, "another one")

    @forms(*VERSIONS)
    def test_disable_change_wipe(self, version, form):
        """In any order, it reaches the phone; and the old password is good for nothing else."""
        for order in itertools.permutations((self.disable, self.change, self.wipe)):
            device = self.phone(version, form)
            for step in order:
                step(device)
            self.assert_told(self.folder_sync(device))
            self.assert_ping(device.ping(folders=[device.inbox]), "7")
            self.assert_ordered(device)
            self.assertEqual(device.post("Provision", report("1")).status, "1")
            self.assertEqual(self.folder_sync(device).code, 401)
            device.close()

    @forms("12.1", "14.1")
    def test_nothing_else(self, version, form):
        device = self.phone(version, form)
        self.deliver(self.owner, "secret")
        self.change(device)
        self.assertEqual(self.folder_sync(device).code, 401)
        self.wipe(device)
        settings = E("Settings:Settings", E("UserInformation", E("Get")))
        sync = device.sync_request(device.collection(device.inbox, key="0"))
        for answer in (device.post("Sync", sync), device.post("Settings", settings), device.post("SendMail", body=b"x"),
                       self.folder_sync(device)):
            self.assert_told(answer)
        attachment = device.post("GetAttachment", params={"AttachmentName": "1:1:1"})
        self.assertNotEqual((attachment.code, attachment.http.body != b""), (200, True), attachment)
        # Not another phone, not a wrong password, not the pages.
        stranger = device.clone(device_id=device.device_id + "x")
        self.assertEqual(self.folder_sync(stranger).code, 401)
        wrong = device.clone(authorization="Basic " + base64.b64encode(f"{device.user}:wrong".encode()).decode())
        self.assertEqual(wrong.post("Provision", ENQUIRY).code, 401)
        web = Web(self.server)
        body = json.dumps({"address": device.user, "password": device.password}).encode()
        self.assertEqual(web.raw("POST", "/api/v1/session", {"Content-Type": "application/json"}, body).status, 401)
        web.close()
        # Provision brings the wipe and no policy.
        answer = device.post("Provision", device.provision_request())
        self.assertFalse(answer.document.has("Policies"), answer)
        self.verb("cancel", device)
        for answer in (device.post("Provision", ENQUIRY), self.folder_sync(device)):
            self.assertEqual(answer.code, 401)

    def test_revoke_disable_wipe(self):
        """The same of an app password, the user's own being none of the phone's."""
        for order in itertools.permutations(("revoke", "disable", "wipe")):
            user = self.user()
            made = json.loads(self.bellhop("app-password", "add", user.address, "phone", "--first_use", "--json"))
            device = user.device("14.1")
            device.authorization = "Basic " + base64.b64encode(f"{user.address}:{made['password']}".encode()).decode()
            device.ready()
            waiting = device.ping_send(folders=[device.inbox])
            self.assert_parked(waiting)
            for step in order:
                if step == "revoke":
                    self.bellhop("app-password", "revoke", user.address, str(made["id"]))
                elif step == "disable":
                    self.disable(device)
                else:
                    self.wipe(device)
            device.receive(waiting)
            self.assert_told(self.folder_sync(device))
            self.assert_ordered(device)
            self.verb("cancel", device)
            self.assertEqual(self.folder_sync(device).code, 401)
            self.wipe(device)
            self.assertEqual(device.post("Provision", report("1")).status, "1")
            self.bellhop("user", "enable", user.address)
            self.assertEqual(self.folder_sync(device).code, 401)
            device.close()

    def test_blocked(self):
        device = self.phone("14.1")
        self.verb("block", device)
        self.assert_out(self.folder_sync(device))
        self.wipe(device)
        self.assert_told(self.folder_sync(device))
        self.assert_ordered(device)


    def test_in_quarantine_and_switched_off(self):
        """Also with a password that is old by then; the phone gets nothing else."""
        device = self.phone("14.1")
        self.verb("quarantine", device)
        self.bellhop("service", "set", "sync", "off", "--address", device.user)
        self.change(device)
        self.wipe(device)
        self.assert_told(self.folder_sync(device))
        self.assert_ping(device.ping(folders=[device.inbox]), "7")
        self.assert_ordered(device)
        self.assertEqual(device.post("Provision", report("1")).status, "1")
        self.assertEqual(self.folder_sync(device).code, 401)


    def options(self, device, named):
        connection = device.connect()
        target = device.target("OPTIONS") if named else PATH
        connection.request("OPTIONS", target, {"Authorization": device.authorization, "User-Agent": "BellhopTest/1.0"}, b"")
        answer = connection.response()
        connection.close()
        return answer.status

    def test_options(self):
        """A phone that asks what is spoken here before it goes on is told so, whatever keeps others out; until it is wiped."""
        for keep_out in (lambda d: None, self.disable, self.change, lambda d: (self.change(d), self.disable(d)),
                         lambda d: self.bellhop("service", "set", "sync", "off", "--address", d.user),
                         lambda d: self.bellhop("service", "set", "plain_http", "off", "--address", d.user)):
            device = self.phone("14.1")
            keep_out(device)
            self.wipe(device)
            self.assertEqual([self.options(device, named) for named in (False, True)], [200, 200])
            self.assert_ordered(device)
            self.assertEqual(device.post("Provision", report("1")).status, "1")
            self.assertIn(self.options(device, True), (401, 403))
        self.assertEqual(self.options(device, False), 403)


class Throttled(WipeCase):
    """A phone that has knocked with its old password for long."""

    settings = {**WipeCase.settings, "auth.fail_limit_user": "3", "auth.fail_limit_address": "5"}

    def test_is_heard_all_the_same(self):
        device = self.phone("14.1")
        self.set_password(device, "another one")
        codes = {self.folder_sync(device).code for _ in range(8)}
        self.assertEqual(codes, {401, 503})
        self.wipe(device)
        self.assert_told(self.folder_sync(device))
        self.assert_ordered(device)

    def test_others_behind_the_address(self):
        """They fail and fail, and the server remembers nothing of the phone; somebody guesses at the wiped phone's own password, too."""
        device, other = self.phone("14.1"), self.phone("14.1")
        self.set_password(device, "another one")
        self.wipe(device)
        self.server.kill_engine()
        retry(lambda: self.folder_sync(other))
        codes = [self.folder_sync(self.stranger(device, f"nobody{n}@example.org", "x")).code for n in range(7)]
        self.assertEqual((codes[0], codes[-1]), (401, 503))
        guesser = self.stranger(device, device.user, "a guess")
        self.assertEqual({self.folder_sync(guesser).code for _ in range(6)}, {503})
        self.assert_told(self.folder_sync(device))
        self.assert_ordered(device)

    def stranger(self, device, name, password):
        other = device.clone(authorization="Basic " + base64.b64encode(f"{name}:{password}".encode()).decode())
        other.policy_key = "0"
        return other


class Kills(WipeCase):
    def test_at_each_step(self):
        """kill -9 behind each step: nothing is lost, nothing begins anew."""
        device = self.phone("14.1")
        self.wipe(device)
        self.server.kill_engine()
        answer = retry(lambda: self.folder_sync(device))
        self.assert_told(answer)
        self.assert_ordered(device)
        self.server.kill_engine()
        answer = retry(lambda: device.post("Provision", ENQUIRY))
        self.assertTrue(answer.document.has("RemoteWipe"))
        # In the middle of one: sent or not, it is repeated.
        device.send("Provision", report("1"))
        self.server.kill_engine()
        device.close()
        answer = retry(lambda: device.post("Provision", report("1")))
        self.assertEqual(answer.status, "1")
        self.server.kill_engine()
        answer = retry(lambda: self.folder_sync(device))
        self.assert_out(answer)
        self.assertEqual([step for step in self.steps(device) if step != "failed"],
                         ["pending, whole device", "sent", "acknowledged"])


    def kill_and_repeat(self, *arguments, kills=1):
        """A verb with kill -9 in the middle of it, and right behind it; again until it was done, as an administrator would."""
        with subprocess.Popen([program("bellhop"), "-c", self.server.config, *arguments], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as first:
            for _ in range(kills):
                self.server.kill_engine()
                eventually(lambda: self.server.engine_pid() is not None, what="an engine")
        if first.returncode != 0:
            eventually(lambda: self.server.bellhop(*arguments, check=False).returncode == 0, what=arguments)
        self.server.kill_engine()

    def test_waiting_phones(self):
        """The order to wipe, or a policy, comes to phones that wait, whatever dies between its commit and their wake."""
        for number, version in enumerate(("2.5", "12.1", "14.1", "16.1")):
            device = self.phone(version)
            device.prime()
            before = self.server.stats()["parked"]
            device.waiting = device.ping_send(heartbeat=600)
            self.addCleanup(device.waiting.close)
            eventually(lambda b=before: self.server.stats()["parked"] > b, what="a parked phone")
            if number % 2 == 0:
                self.kill_and_repeat("device", "wipe", device.user, device.device_id, "--yes", kills=number // 2)
            else:
                self.kill_and_repeat("policy", "set", '{"DevicePasswordEnabled": 1, "MinDevicePasswordLength": %d}' % (4 + number),
                                     kills=number // 2)
            self.assert_ping(device.receive(device.waiting), "7")
            device.close()
            if number % 2 == 0:
                self.assert_told(retry(lambda d=device: self.folder_sync(d), lambda answer: answer.code != 503))


class Off(WipeCase):
    settings = {"wipe.device": "no"}

    def test_refused(self):
        device = self.phone("16.1")
        self.assertIn("wipe.device = yes", self.wipe(device, refused=True))
        self.assertEqual(self.folder_sync(device).status, "1")
        self.wipe(device, "--account")
        self.assert_told(self.folder_sync(device))


class BellhopPhone(WipeCase):
    def run_phone(self, user, folder, version, device_id, status):
        command = [program("bellhop-phone"), "--server", f"http://127.0.0.1:{self.server.http_port}", "--user", user.address,
                   "--password-file", self.server.password_file(user.password), "--data", os.path.join(folder, "data"),
                   "--insecure", "--version-eas", version, "--once", "--json"]
        if device_id:
            command += ["--device-id", device_id]
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        self.assertEqual(done.returncode, status, (done.stdout[-1000:], done.stderr[-1000:]))

    def obeys(self, version, *options):
        user = self.user()
        device = user.device(version, device_id="PHONE1")
        with tempfile.TemporaryDirectory(prefix="bellhop-wipe-") as folder:
            self.deliver(user, "secret")
            self.run_phone(user, folder, version, "PHONE1", 0)
            kept = os.path.join(folder, "data", "mine.txt")
            with open(kept, "w", encoding="ascii") as file:
                file.write("not of this account")
            self.assertTrue(os.listdir(os.path.join(folder, "data", "Maildir", "new")) or
                            os.listdir(os.path.join(folder, "data", "Maildir", "cur")))
            self.wipe(device, *options)
            self.set_password(device, "another one")
            self.run_phone(user, folder, version, None, 4)
            self.assertEqual(os.listdir(os.path.join(folder, "data")), ["mine.txt"])
            self.assertEqual(self.shown(device)["wipe"], "acknowledged")

    @forms(*VERSIONS)
    def test_whole(self, version, form):
        self.obeys(version)

    def test_account_alone(self):
        self.obeys("16.1", "--account")

    def test_killed_in_the_middle(self):
        """It goes on at its next start, before anything else, and tells by its old name."""
        user = self.user()
        device = user.device("14.1", device_id="PHONE1")
        with tempfile.TemporaryDirectory(prefix="bellhop-wipe-") as folder:
            data = os.path.join(folder, "data")
            self.deliver(user, "secret")
            self.run_phone(user, folder, "14.1", "PHONE1", 0)
            self.wipe(device)
            os.mkdir(os.path.join(data, "wiping"))
            os.rename(os.path.join(data, "state", "account.json"), os.path.join(data, "wiping", "account.json"))
            self.run_phone(user, folder, "14.1", None, 4)
            self.assertFalse(os.path.exists(data))
            self.assertEqual(self.shown(device)["wipe"], "acknowledged")


if __name__ == "__main__":
    unittest.main()
