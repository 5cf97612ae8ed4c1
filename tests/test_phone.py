"""bellhop-phone: one full sync into a Maildir, push with events, sending; in every version."""

import email
import email.policy
import json
import os
import queue
import subprocess
import tempfile
import threading
import unittest

from eas.wbxml import E
from lib import mail
from lib.case import ServerCase, every_form
from lib.server import ServerError, eventually, program, wait_exit


class PhoneCase(ServerCase):
    https = True

    def command(self, user, folder, *options, version=None, form="plain", tls=False):
        path = os.path.join(folder, "password")
        with open(path, "w", encoding="utf-8") as file:
            file.write(user.password + "\n")
        url = f"https://127.0.0.1:{self.server.https_port}" if tls else f"http://127.0.0.1:{self.server.http_port}"
        command = [program("bellhop-phone"), "--server", url, "--user", user.address, "--password-file", path,
                   "--data", os.path.join(folder, "data"), "--insecure", *options]
        if version:
            command += ["--version-eas", version]
        if form == "base64":
            command.append("--base64")
        return command

    def run_phone(self, user, folder, *options, status=0, input=None, **kwargs):
        done = subprocess.run(self.command(user, folder, *options, **kwargs), capture_output=True, check=False,
                              timeout=60, input=input)
        self.assertEqual(done.returncode, status, (done.stdout[-2000:], done.stderr[-2000:]))
        return done

    def folder(self):
        folder = tempfile.TemporaryDirectory(prefix="bellhop-phone-")
        self.addCleanup(folder.cleanup)
        return folder.name

    def messages(self, folder):
        """Every message of the Maildir, by subject, wherever it lies."""
        found = {}
        for root, _, names in os.walk(os.path.join(folder, "data", "Maildir")):
            if os.path.basename(root) in ("cur", "new"):
                for name in names:
                    with open(os.path.join(root, name), "rb") as file:
                        message = email.message_from_bytes(file.read(), policy=email.policy.default)
                    found[message["Subject"]] = (os.path.join(root, name), message)
        return found


class Once(PhoneCase):
    @every_form
    def test_once(self, version, form):
        """Full sync into a Maildir; the second run brings only what is new and takes away what is gone."""
        user, folder = self.user(), self.folder()
        for number in range(3):
            self.deliver(user, f"number {number}", text=f"Text of {number}: äöü\r\n")
        self.run_phone(user, folder, "--once", version=version, form=form, tls=form == "base64")
        found = self.messages(folder)
        self.assertEqual(set(found), {"number 0", "number 1", "number 2"})
        self.assertIn("Text of 1: äöü", found["number 1"][1].get_content())
        # Meanwhile another phone deletes one and marks one.
        device = user.device("14.1").ready()
        ids = {d.get("Email:Subject"): i for i, d in device.prime().items()}
        device.sync(commands=[E("Delete", E("ServerId", ids["number 0"])), E("Change", E("ServerId", ids["number 1"]), E(
            "ApplicationData", E("Email:Read", "1")))], deletes_as_moves="0")
        device.close()
        self.deliver(user, "number 3")
        self.run_phone(user, folder, "--once", version=version, form=form)
        found = self.messages(folder)
        self.assertEqual(set(found), {"number 1", "number 2", "number 3"})
        self.assertRegex(os.path.basename(found["number 1"][0]), r":2,[A-Z]*S")
        self.assertNotRegex(os.path.basename(found["number 2"][0]), r":2,[A-Z]*S")

    def test_many(self):
        user, folder = self.user(), self.folder()
        with self.server.lmtp() as lmtp:
            for number in range(150):
                lmtp.deliver(user.address, mail.message(f"m{number}"))
        self.run_phone(user, folder, "--once", "--window", "20")
        self.assertEqual(len(self.messages(folder)), 150)

    def test_wrong_password(self):
        user, folder = self.user(), self.folder()
        user.password = "wrong"
        done = self.run_phone(user, folder, "--once", status=3)
        self.assertTrue(done.stderr)

    def test_send(self):
        user, other = self.user(), self.user()
        for version in ("2.5", "12.1", "14.1", "16.1"):
            message = f"From: {user.address}\r\nTo: {other.address}\r\nSubject: by phone {version}\r\n\r\nhello\r\n".encode()
            self.run_phone(user, self.folder(), "--send", input=message, version=version)
        device = other.device("14.1").ready()
        self.assertEqual(sorted(d.get("Email:Subject") for d in device.prime().values()),
                         [f"by phone {v}" for v in ("12.1", "14.1", "16.1", "2.5")])
        device.close()

    def test_wipe(self):
        """Obeyed: mail and state are erased, exit status 4."""
        user, folder = self.user(), self.folder()
        self.deliver(user, "secret")
        self.run_phone(user, folder, "--once", "--device-id", "wipeme1")
        self.assertEqual(len(self.messages(folder)), 1)
        self.server.bellhop("device", "wipe", user.address, "wipeme1", "--yes")
        self.run_phone(user, folder, "--once", "--device-id", "wipeme1", status=4)
        self.assertEqual(self.messages(folder), {})

    def test_wrong_usage(self):
        for arguments in ((), ("--server", "x"), ("--nonsense",)):
            done = subprocess.run([program("bellhop-phone"), *arguments], capture_output=True, check=False, timeout=20)
            self.assertEqual(done.returncode, 2)
            self.assertTrue(done.stderr)


class Running:
    """A phone that runs until it is stopped; its events are read as they come."""

    def __init__(self, case, command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        case.addCleanup(self.stop)
        self.events = queue.Queue()
        self.seen = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))
        self.events.put(None)

    def wait(self, name, timeout=20, **fields):
        while True:
            try:
                event = self.events.get(timeout=timeout)
            except queue.Empty:
                raise ServerError(f"no event {name} {fields}; seen: {self.seen[-10:]}") from None
            if event is None:
                raise ServerError(f"the phone ended: {self.process.stderr.read()}; seen: {self.seen[-10:]}")
            self.seen.append(event)
            if event["ev"] == name and all(event.get(k) == v for k, v in fields.items()):
                return event

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            if not wait_exit(self.process.pid, 10):
                self.process.kill()
        self.process.wait(10)
        self.reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()


class Push(PhoneCase):
    @every_form
    def test_push(self, version, form):
        """Parked, told, synced: the message lies in the Maildir at once."""
        user, folder = self.user(), self.folder()
        phone = Running(self, self.command(user, folder, "--json", version=version, form=form, tls=form == "plain"))
        phone.wait("ping_parked")
        for number in range(3):
            self.deliver(user, f"pushed {number}")
            answered = phone.wait("ping_answered", status=2)
            self.assertTrue(answered["mono_us"] > 0 and answered["at_us"] > 0)
            phone.wait("pushed")
            self.assertIn(f"pushed {number}", self.messages(folder))
            phone.wait("ping_parked")

    def test_heartbeat_starts_at_480(self):
        user, folder = self.user(), self.folder()
        phone = Running(self, self.command(user, folder, "--json"))
        event = phone.wait("ping_parked")
        self.assertIn(480, event.values())

    def test_engine_killed(self):
        """The phone notices nothing and is reached by the next delivery."""
        user, folder = self.user(), self.folder()
        phone = Running(self, self.command(user, folder, "--json"))
        phone.wait("ping_parked")
        old = self.server.kill_engine()
        eventually(lambda: self.server.engine_pid() not in (None, old), what="a new engine")

        def delivered():
            try:
                self.deliver(user, "after the kill")
                return True
            except Exception:  # noqa: BLE001 - while it starts
                return False
        eventually(delivered, what="delivery")
        phone.wait("pushed")
        self.assertIn("after the kill", self.messages(folder))

    def test_local_changes_go_up(self):
        """A message read in the Maildir (flag S) is read at the server; another phone sees it."""
        user, folder = self.user(), self.folder()
        self.deliver(user, "to be read")
        self.run_phone(user, folder, "--once")
        path, _ = self.messages(folder)["to be read"]
        base = os.path.basename(path).split(":")[0]
        maildir = os.path.dirname(os.path.dirname(path))
        os.rename(path, os.path.join(maildir, "cur", base + ":2,S"))
        self.run_phone(user, folder, "--once")
        device = user.device("14.1").ready()
        (data,) = device.prime().values()
        self.assertEqual(data.get("Email:Read"), "1")
        device.close()


if __name__ == "__main__":
    unittest.main()
