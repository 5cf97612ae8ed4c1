"""bellhop device check and device repair: a phone's state against the store, put right over the wire without key 0."""

import json
import os
import sqlite3

from eas.wbxml import E
from lib.case import ServerCase, retry
from lib.server import eventually

COUNT = 37


def runs(*pairs):
    """An inventory as states have it: in line; the number of runs; gap and length of each, less one."""
    octets, before = bytes([0, len(pairs)]), 0
    for first, last in pairs:
        octets += bytes([first - before, last - first])
        before = last
    return octets


class Repairs(ServerCase):
    def change(self, function):
        database = sqlite3.connect(os.path.join(self.server.data, "bellhop.db"), timeout=20)
        try:
            with database:
                return function(database)
        finally:
            database.close()

    def alter_inventory(self, device, before, after):
        """In every state of the phone's Inbox that has this inventory."""
        def alter(database):
            rows = database.execute(
                "SELECT s.owner, s.device, s.folder, s.generation, s.state FROM sync_states s JOIN devices d ON d.id = s.device"
                " WHERE d.device_id = ? AND s.folder = ?", (device.device_id, int(device.inbox))).fetchall()
            changed = 0
            for row in rows:
                if row[4].count(before) == 1:
                    database.execute("UPDATE sync_states SET state = ? WHERE owner = ? AND device = ? AND folder = ?"
                                     " AND generation = ?", (row[4].replace(before, after), *row[:4]))
                    changed += 1
            return changed
        self.assertGreater(self.change(alter), 0)

    def check(self, *arguments):
        done = self.server.bellhop("device", "check", "--json", *arguments, check=False)
        answer = json.loads(done.stdout)
        self.assertEqual(done.returncode, 1 if answer["findings"] else 0, done.stderr)
        return answer

    def inbox_of(self, answer):
        return next(row for row in answer["collections"] if row["name"] == "Inbox")

    def filled(self):
        """A phone that holds 1 to 37 without 5, which was deleted; the server knows it."""
        phone, other = self.phone(), self.phone(user=self.owner)
        for n in range(COUNT):
            self.deliver(self.owner, f"message {n + 1}")
        phone.prime()
        other.prime()
        gone = f"{phone.inbox}:5"
        self.delete(other, gone)
        self.assertEqual(phone.sync().deleted, [gone])
        phone.sync()
        return phone

    def delete(self, device, server_id):
        answer = device.sync(deletes_as_moves="0", commands=[E("Delete", E("ServerId", server_id))])
        self.assertEqual(answer.collection_status, "1")

    def damaged(self):
        """The state says that it holds 5, which is gone, and not 11, which is there."""
        phone = self.filled()
        self.assertEqual(self.check(phone.device_id)["findings"], [])
        self.alter_inventory(phone, runs((1, 4), (6, COUNT)), runs((1, 10), (12, COUNT)))
        return phone

    def test_what_is_shown(self):
        phone = self.filled()
        answer = self.check(phone.device_id)
        self.assertEqual(answer["address"], self.owner.address)
        inbox = self.inbox_of(answer)
        self.assertEqual((inbox["held"], inbox["pending"], inbox["withheld"], inbox["comparing"]),
                         (COUNT - 1, 0, 0, False))
        self.assertLess(inbox["state_bytes"], 1024)
        self.deliver(self.owner, "pending")
        self.deliver(self.owner, "pending, too")
        inbox = self.inbox_of(self.check(self.owner.address, phone.device_id))
        self.assertEqual((inbox["held"], inbox["pending"]), (COUNT - 1, 2))
        self.assertGreater(inbox["behind"], 0)
        text = self.server.bellhop("device", "check", phone.device_id).stdout
        self.assertIn("\nnothing found\n", text)
        self.assertIn("Inbox", text)
        # In the middle of a listing, and with a filter.
        phone.prime(options=phone.options(filter_type="3"), window="10")
        self.deliver(self.owner, "new")
        phone.sync(key="0")
        phone.sync(window="3")
        answer = self.check(phone.device_id)
        self.assertTrue(self.inbox_of(answer)["comparing"])
        self.assertEqual(answer["findings"], [])

    def test_found_and_put_right(self):
        phone = self.damaged()
        answer = self.check(phone.device_id)
        folder = f"device {phone.device_id} folder {phone.inbox}: "
        found = [line for line in answer["findings"] if "state" not in line]
        self.assertEqual(found, [f"{folder}1 in the folder are neither held nor pending: 11",
                                 f"{folder}1 held are gone, and no deletion is pending: 5"])
        # It does not heal by itself, also not while the phone waits.
        self.assert_empty_sync(phone.sync())
        connection = phone.ping_send()
        repaired = json.loads(self.server.bellhop("device", "repair", phone.device_id, "inbox", "--json").stdout)
        self.assertEqual(repaired["repaired"], ["Inbox"])
        woken = phone.receive(connection)
        self.assertEqual((woken.status, woken.document.get("Folders/Folder")), ("2", phone.inbox))
        key = phone.keys[phone.inbox]
        answer = phone.sync()
        self.assertEqual((answer.collection_status, list(answer.added), answer.deleted),
                         ("1", [f"{phone.inbox}:11"], [f"{phone.inbox}:5"]))
        self.assertNotEqual(phone.keys[phone.inbox], key)
        # The same with the key before, as if that answer had been lost: then all is well.
        again = phone.sync(key=key)
        self.assertEqual((list(again.added), again.deleted), ([f"{phone.inbox}:11"], [f"{phone.inbox}:5"]))
        self.assertEqual(self.check(phone.device_id)["findings"], [])
        self.assertEqual(phone.sync_rest(), {})
        self.deliver(self.owner, "afterwards")
        self.assertEqual(phone.sync().subjects(), ["afterwards"])
        log = json.loads(self.server.bellhop("log", "list", "--user", self.owner.address, "--json").stdout)
        self.assertEqual((log[0]["action"], log[0]["device"], log[0]["result"]),
                         ("device repair", phone.device_id, f"{phone.inbox} (Inbox)"))

    def parked(self, phone):
        before = self.server.stats()["parked"]
        connection = phone.ping_send(heartbeat=600)
        self.addCleanup(connection.close)
        eventually(lambda: self.server.stats()["parked"] > before, what="a parked phone")
        return connection

    def test_engine_dies_behind_it(self):
        """kill -9 between the commit of a repair and the wake of the phone that waits: the next engine finds it."""
        for _ in range(3):
            phone = self.damaged()
            connection = self.parked(phone)
            self.server.bellhop("device", "repair", phone.device_id, "inbox")
            self.server.kill_engine()
            woken = phone.receive(connection)
            self.assertEqual((woken.status, woken.document.get("Folders/Folder")), ("2", phone.inbox))
            phone.close()
            answer = retry(phone.sync)
            self.assertEqual((list(answer.added), answer.deleted), ([f"{phone.inbox}:11"], [f"{phone.inbox}:5"]))

    def test_engine_dies_before_it(self):
        """The same with a repair that the next engine hears of first."""
        phone = self.damaged()
        connection = self.parked(phone)
        self.server.kill_engine()
        self.server.bellhop("device", "repair", phone.device_id, "inbox")
        woken = phone.receive(connection)
        self.assertEqual((woken.status, woken.document.get("Folders/Folder")), ("2", phone.inbox))

    def test_all_folders(self):
        phone = self.damaged()
        phone.prime(phone.folders["5"])
        repaired = json.loads(self.server.bellhop("device", "repair", self.owner.address, phone.device_id, "--all",
                                                  "--json").stdout)["repaired"]
        self.assertEqual(len(repaired), 2)
        log = json.loads(self.server.bellhop("log", "list", "--user", self.owner.address, "--json").stdout)
        self.assertEqual(sorted(log[0]["result"].split(", ")),
                         sorted([f"{phone.inbox} (Inbox)", f"{phone.folders['5']} (Sent Items)"]))
        answer = phone.sync()
        self.assertEqual((list(answer.added), answer.deleted), ([f"{phone.inbox}:11"], [f"{phone.inbox}:5"]))
        sent = phone.sync(phone.folders["5"])
        self.assertFalse(sent.added)
        self.assertEqual(self.check(phone.device_id)["findings"], [])

    def test_nothing_to_put_right(self):
        """A phone that was right hears nothing of a repair, and goes on waiting."""
        phone = self.filled()
        connection = phone.ping_send()
        self.server.bellhop("device", "repair", phone.device_id, phone.inbox)
        self.deliver(self.owner, "the only reason")
        self.assertEqual(phone.receive(connection).status, "2")
        answer = phone.sync()
        self.assertEqual((answer.subjects(), answer.deleted, answer.changed), (["the only reason"], [], {}))

    def test_list_of_folders(self):
        phone = self.filled()
        self.alter_hierarchy(phone)
        found = self.check(phone.device_id)["findings"]
        self.assertTrue(any(line.endswith(f": 1 folders are neither held nor pending: {phone.inbox}") for line in found), found)
        self.server.bellhop("device", "repair", phone.device_id, "0")
        answer = phone.folder_sync()
        self.assertEqual(answer.status, "1")
        self.assertEqual([add.get("ServerId") for add in answer.document.all("Changes/Add")], [phone.inbox])
        self.assertEqual(self.check(phone.device_id)["findings"], [])
        self.assertEqual(phone.sync().collection_status or "1", "1")

    def alter_hierarchy(self, phone):
        """As if the phone had never been sent its Inbox."""
        def alter(database):
            rows = database.execute(
                "SELECT s.rowid_, s.state FROM (SELECT s.owner || ' ' || s.device || ' ' || s.generation AS rowid_, s.state AS state"
                " FROM sync_states s JOIN devices d ON d.id = s.device WHERE d.device_id = ? AND s.folder = 0) s",
                (phone.device_id,)).fetchall()
            folders = [id_ for (id_,) in database.execute(
                "SELECT f.id FROM folders f JOIN devices d ON d.owner = f.owner WHERE d.device_id = ? ORDER BY f.id",
                (phone.device_id,))]
            last, inbox = folders[-1], int(phone.inbox)
            self.assertEqual(folders, list(range(1, last + 1)))
            parts = [pair for pair in ((1, inbox - 1), (inbox + 1, last)) if pair[0] <= pair[1]]
            changed = 0
            for name, state in rows:
                owner, device, generation = name.split()
                if state.count(runs((1, last))) == 1:
                    database.execute(
                        "UPDATE sync_states SET state = ? WHERE owner = ? AND device = ? AND folder = 0 AND generation = ?",
                        (state.replace(runs((1, last)), runs(*parts)), owner, device, generation))
                    changed += 1
            return changed
        self.assertGreater(self.change(alter), 0)

    def test_folder_sync_with_key_0_resets_only_the_hierarchy(self):
        """Gmail sends it on every manual refresh."""
        phone = self.filled()
        key = phone.keys[phone.inbox]
        old = phone.hierarchy_key
        self.assertEqual(phone.folder_sync("0").status, "1")
        self.assertNotEqual(phone.hierarchy_key, old)
        connection = phone.ping_send()
        self.deliver(self.owner, "after the refresh")
        self.assertEqual(phone.receive(connection).status, "2")
        answer = phone.sync(key=key)
        self.assertEqual((answer.collection_status, answer.subjects()), ("1", ["after the refresh"]))
        self.assertEqual(self.inbox_of(self.check(phone.device_id))["held"], COUNT)

    def test_refused(self):
        phone = self.filled()
        cases = [
            (("device", "check", "nobody"), "there is no phone"),
            (("device", "check", self.owner.address, "nobody"), "has no phone"),
            (("device", "repair", phone.device_id, "Nowhere"), "has not synchronized a folder Nowhere"),
            (("device", "repair", phone.device_id, "4711"), "has not synchronized a folder 4711"),
        ]
        for arguments, word in cases:
            done = self.server.bellhop(*arguments, check=False)
            self.assertEqual(done.returncode, 1, arguments)
            self.assertIn(word, done.stderr)

    def test_wrong_command_lines(self):
        for arguments, words in [
                (("PHONE",), "needs a folder, its name or its number, or --all"),
                (("anna@example.org", "PHONE"), "needs a folder, its name or its number, or --all"),
                (("PHONE", "Inbox", "--all"), "takes a folder or --all, not both"),
                (("anna@example.org", "PHONE", "2", "--all"), "takes a folder or --all, not both")]:
            done = self.server.bellhop("device", "repair", *arguments, check=False)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertIn(words, done.stderr)

    def test_phone_that_synchronized_nothing(self):
        phone = self.server.add_user().device()
        self.addCleanup(phone.close)
        phone.provision()
        self.assertEqual(self.check(phone.device_id)["collections"], [])
        lines = self.server.bellhop("device", "check", phone.device_id).stdout.splitlines()
        self.assertEqual(lines[2:], ["collections: none", "nothing found"])

    def test_the_same_device_id_twice(self):
        self.filled()
        owner, other = self.owner, self.server.add_user()
        first = owner.device(device_id="TWIN").ready()
        second = other.device(device_id="TWIN").ready()
        self.addCleanup(first.close)
        self.addCleanup(second.close)
        done = self.server.bellhop("device", "check", "TWIN", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("name the user", done.stderr)
        self.assertEqual(self.check(other.address, "TWIN")["address"], other.address)
