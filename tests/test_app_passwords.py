"""
App passwords: made once, shown once, for any phone, one phone or the first that uses it; revoked at once, also under a parked Ping;
auth.app_passwords = required and off.
"""

import json
import unittest

from eas.client import basic
from lib.case import ServerCase, forms


class AppCase(ServerCase):
    def make(self, user, name, *options):
        made = json.loads(self.server.bellhop("app-password", "add", user.address, name, *options, "--json").stdout)
        self.assertEqual(made["name"], name)
        return made

    def list(self, user):
        rows = json.loads(self.server.bellhop("app-password", "list", user.address, "--json").stdout)
        return {row["name"]: row for row in rows}

    def with_app(self, user, made, version="14.1", form="plain", **kwargs):
        device = user.device(version, form, **kwargs)
        device.authorization = basic(device.user, made["password"])
        return device

    def log(self, *options):
        return json.loads(self.server.bellhop("log", "list", *options, "--json").stdout)


class Allowed(AppCase):
    @forms("2.5", "16.1", ("14.1", "base64"))
    def test_phone_with_one(self, version, form):
        """It does what the user's own does, and the list says which phone used it."""
        user = self.user()
        made = self.make(user, "Phone")
        device = self.with_app(user, made, version, form).ready()
        self.deliver(user, "for the app password")
        device.prime()
        self.assertEqual(device.sync().code, 200)
        row = self.list(user)["Phone"]
        self.assertEqual((row["binding"], row["last_device"]), ("any", device.device_id))
        self.assertGreater(row["last_used_at"], 0)
        self.assertNotIn("password", row)
        # The user's own still works, too.
        user.device(version, form).ready()

    def test_typed_on_a_phone(self):
        """Capital letters, blanks and no hyphens are the same password."""
        user = self.user()
        made = self.make(user, "Phone")
        device = user.device()
        for text in (made["password"].upper(), made["password"].replace("-", ""), " " + made["password"].replace("-", " ")):
            device.authorization = basic(device.user, text)
            device.ready()

    @forms("12.1", "16.1")
    def test_revoked_under_a_parked_ping(self, version, form):
        """Only the phone that came with it is cut off; the others wait on."""
        user = self.user()
        made = self.make(user, "Lost phone")
        lost = self.with_app(user, made, version, form).ready()
        kept = user.device(version, form).ready()
        for device in (lost, kept):
            device.prime()
            device.waiting = device.ping_send(heartbeat=900)
            self.addCleanup(device.waiting.close)
            self.assert_parked(device.waiting, 0.1)
        self.server.bellhop("app-password", "revoke", user.address, str(made["id"]))
        self.assertEqual(lost.receive(lost.waiting, timeout=10).code, 401)
        self.assert_parked(kept.waiting)
        self.assertEqual(lost.clone().folder_sync().code, 401)
        self.assertEqual(self.list(user), {})

    def test_bound_at_first_use(self):
        user = self.user()
        made = self.make(user, "First", "--first_use")
        first = self.with_app(user, made).ready()
        row = self.list(user)["First"]
        self.assertEqual((row["binding"], row["device"]), ("bound", first.device_id))
        other = self.with_app(user, made)
        self.assertEqual(other.folder_sync().code, 401)
        self.assertEqual(first.folder_sync().code, 200)
        bound, = self.log("--action", "app password bound", "--user", user.address)
        self.assertEqual((bound["device"], bound["result"]), (first.device_id, "First"))
        failed = self.log("--action", "login_failed", "--user", user.address)
        self.assertEqual([row["result"] for row in failed], ["other_device"])

    def test_bound_by_id(self):
        user = self.user()
        phone = user.device()
        made = self.make(user, "Mine", "--bind", phone.device_id)
        phone.authorization = basic(phone.user, made["password"])
        phone.ready()
        self.assertEqual(self.with_app(user, made).folder_sync().code, 401)

    def test_names_and_limits(self):
        user = self.user()
        self.make(user, "Phone")
        again = self.server.bellhop("app-password", "add", user.address, "Phone", check=False)
        self.assertEqual(again.returncode, 1)
        self.assertIn("already", again.stderr)
        nobody = self.server.bellhop("app-password", "revoke", user.address, "999999", check=False)
        self.assertIn("has no app password", nobody.stderr)

    def test_never_shown_again(self):
        """Neither the log, nor the event log, nor the lists have it."""
        user = self.user()
        made = self.make(user, "Secret")
        self.with_app(user, made).ready()
        letters = made["password"].replace("-", "")
        export = self.server.bellhop("log", "export", "--format", "jsonl").stdout
        for text in (self.server.log_text(), export, json.dumps(self.list(user))):
            self.assertNotIn(made["password"], text)
            self.assertNotIn(letters, text)


class Required(AppCase):
    def test_required_and_off(self):
        """The setting counts from the reload on, for phones that the server knows, too."""
        user = self.user()
        own = user.device().ready()
        made = self.make(user, "Phone")
        app = self.with_app(user, made).ready()
        self.addCleanup(self.server.write_config, auth_app_passwords="allowed")
        for setting, works, refused in (("required", app, own), ("off", own, app)):
            self.server.write_config(auth_app_passwords=setting)
            self.server.bellhop("reload")
            self.assertEqual(refused.clone().folder_sync().code, 401)
            self.assertEqual(works.folder_sync().code, 200)


if __name__ == "__main__":
    unittest.main()
