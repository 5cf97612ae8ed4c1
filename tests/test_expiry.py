"""Junk and Deleted Items are emptied of what has been there for long: through the front door, with a server that lives later."""

import json
import os

from eas.client import DELETED
from eas.wbxml import E
from lib.case import ServerCase
from lib.server import eventually
from test_sync import FAKETIME, delete

EVENT = "old items deleted"


class Expiry(ServerCase):
    settings = {"push.flag_wake_delay_s": "1"}

    def restart(self, days):
        if not os.path.exists(FAKETIME):
            raise AssertionError("the package faketime is missing")
        self.server.stop()
        self.server.start(env={"LD_PRELOAD": FAKETIME, "FAKETIME": f"+{days}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"})

    def setUp(self):
        self.server.write_config(mail_junk_days="0", mail_deleted_days="0")

    def configure(self, junk, deleted):
        """Takes effect with the reload, in a pass of its own."""
        self.server.write_config(mail_junk_days=str(junk), mail_deleted_days=str(deleted))
        self.server.bellhop("reload")

    def events(self):
        rows = json.loads(self.server.bellhop("log", "list", "--limit", "1000", "--json").stdout)
        return [row["result"] for row in rows if row["action"] == EVENT]

    def junk_of(self, phone):
        folders = phone.folder_sync("0").document.all("Changes/Add")
        return next(f.get("ServerId") for f in folders if f.get("DisplayName") == "Junk E-mail")

    def put(self, phone, subject, folder):
        """A message that comes in and goes to that folder."""
        self.deliver(self.owner, subject)
        (server_id,) = phone.sync().added
        if folder == phone.folders[DELETED]:
            phone.sync(commands=[delete(server_id)])
        else:
            answer = phone.post("MoveItems", E("Move:MoveItems", E("Move", E("SrcMsgId", server_id), E("SrcFldId", phone.inbox),
                                                                   E("DstFldId", folder))))
            self.assertEqual(answer.document.get("Response/Status"), "3")
            phone.sync()

    def wait_emptied(self, user):
        """No byte is left of this user's mail."""
        eventually(lambda: json.loads(self.server.bellhop("user", "show", user.address, "--json").stdout)["used_bytes"] == 0,
                   what=f"the trash of {user.login} is emptied")

    def test_what_is_old_goes(self):
        """A phone that waits is woken and told of the deletions; what came later stays; one event."""
        phone = self.phone("14.1")
        owner, junk, trash = self.owner, self.junk_of(phone), phone.folders[DELETED]
        phone.prime()
        for number in range(3):
            self.put(phone, f"trash {number}", trash)
        self.put(phone, "spam", junk)
        self.deliver(owner, "stays")
        phone.sync()
        phone.close()

        self.restart(10)
        self.put(phone, "trash of today", trash)
        self.assertEqual(len(phone.prime(trash)), 4)
        (spam,) = phone.prime(junk)
        waiting = phone.ping_send(folders=[phone.inbox, trash, junk])
        self.addCleanup(waiting.close)
        self.assert_parked(waiting)
        before = self.events()
        self.configure(junk=0, deleted=7)
        self.assert_ping(phone.receive(waiting), "2", [trash])
        answer = phone.sync(trash)
        self.assertEqual((len(answer.deleted), answer.added, answer.soft_deleted), (3, {}, []))
        self.assert_empty_sync(phone.sync())
        self.assert_empty_sync(phone.sync(junk))
        eventually(lambda: len(self.events()) == len(before) + 1, what="the event")
        self.assertEqual(self.events()[0], "3 in 1 mailbox")
        self.assertEqual(self.server.stats()["items_expired"], 3)
        # Nothing is left to be done: no other event. Then Junk, on its own.
        self.configure(junk=8, deleted=7)
        eventually(lambda: len(self.events()) == len(before) + 2, what="the event of Junk")
        self.assertEqual(phone.sync(junk).deleted, [spam])
        self.assertEqual(sorted(d.get("Email:Subject") for d in phone.prime(trash).values()), ["trash of today"])
        phone.close()

    def test_wishes_of_users(self):
        """One keeps everything, another less than the others."""
        self.restart(20)  # time never goes back
        keeper, tidy, usual = (self.user() for _ in range(3))
        phones = {}
        for user in (keeper, tidy, usual):
            phones[user] = self.phone("14.1", user=user)
            phones[user].prime()
            self.put(phones[user], "deleted", phones[user].folders[DELETED])
            phones[user].close()
        self.server.bellhop("user", "expiry", keeper.address, "--deleted", "never")
        self.server.bellhop("user", "expiry", tidy.address, "--deleted", "3", "--junk", "1")
        shown = json.loads(self.server.bellhop("user", "show", tidy.address, "--json").stdout)
        self.assertEqual((shown["deleted_days"], shown["junk_days"]), (3, 1))
        shown = json.loads(self.server.bellhop("user", "show", usual.address, "--json").stdout)
        self.assertEqual((shown["deleted_days"], shown["junk_days"]), ("default", "default"))
        self.restart(25)
        self.configure(junk=0, deleted=30)
        self.wait_emptied(tidy)
        self.restart(60)
        self.configure(junk=0, deleted=29)
        self.wait_emptied(usual)
        self.assertEqual(len(phones[keeper].prime(phones[keeper].folders[DELETED])), 1)

    def test_wrong_arguments(self):
        user = self.user()
        for arguments in ((), ("--junk", "often"), ("--deleted", "-1"), ("--deleted", "36501"), ("--junk", "1.5")):
            done = self.server.bellhop("user", "expiry", user.address, *arguments, check=False)
            self.assertNotEqual(done.returncode, 0, arguments)
            self.assertRegex(done.stdout + done.stderr, "days|needs")
        self.assertNotEqual(self.server.bellhop("user", "expiry", "nobody@example.org", "--junk", "1", check=False).returncode, 0)
