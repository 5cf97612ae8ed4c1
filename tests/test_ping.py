"""Ping: every status that can be provoked, the stored request, what wakes a phone and what does not."""

import contextlib
import datetime
import os
import resource
import sqlite3
import unittest

from eas import wbxml
from eas.client import DELETED, OUTBOX, SENT
from eas.wbxml import E
from lib import mail
from lib.case import ServerCase, every_form, forms
from test_sync import FAKETIME, change, delete, flag, read


class PingCase(ServerCase):
    def waiting(self, device, **kwargs):
        """A parked Ping of the device on its own connection, closed at the end of the test."""
        connection = device.ping_send(**kwargs)
        self.addCleanup(connection.close)
        self.assert_parked(connection)
        return connection


    def repeating(self, device):
        """A parked Ping without a body. Until the server has read the one before there is nothing that it could repeat."""
        for _ in range(100):
            connection = device.ping_send(body=b"")
            self.addCleanup(connection.close)
            if connection.is_silent(0.15):
                return connection
            self.assert_ping(device.receive(connection), "3")
        raise AssertionError("nothing is repeated")


class Statuses(PingCase):
    settings = {"push.folders_max": "5"}

    @every_form
    def test_changes(self, version, form):
        device = self.phone(version, form)
        device.prime()
        connection = self.waiting(device)
        self.deliver(self.owner, "wake up")
        answer = device.receive(connection)
        self.assert_ping(answer, "2", [device.inbox])
        self.assertEqual(answer.document.names(), ["Status", "Folders"])
        self.assertEqual(device.sync().subjects(), ["wake up"])
        # The same connection serves the next Ping.
        device.ping_send(connection)
        self.assert_parked(connection)
        self.deliver(self.owner, "again")
        self.assert_ping(device.receive(connection), "2", [device.inbox])

    @every_form
    def test_pending_changes(self, version, form):
        """What waits already is told at once: after a first Sync only, and after a partial one."""
        device = self.phone(version, form)
        for number in range(3):
            self.deliver(self.owner, str(number))
        device.sync(key="0")
        self.assert_ping(device.ping(), "2", [device.inbox])
        device.sync(window="2")
        self.assert_ping(device.ping(), "2", [device.inbox])
        device.sync(window="2")
        self.waiting(device)

    @every_form
    def test_missing_parameters(self, version, form):
        device = self.phone(version, form)
        device.prime()
        for body in (b"", wbxml.encode(device.ping_request(heartbeat=60)),
                     wbxml.encode(device.ping_request([device.inbox]))):
            fresh = device.clone(device_id=device.device_id + "fresh" + str(len(body)), policy_key="0").ready()
            answer = fresh.receive(fresh.ping_send(body=body))
            self.assert_ping(answer, "3")

    @every_form
    def test_syntax_errors(self, version, form):
        device = self.phone(version, form)
        device.prime()
        inbox = device.inbox
        folder = E("Folder", E("Id", inbox), E("Class", "Email"))
        for document in (
                E("Ping:Ping"), E("Ping:Ping", E("HeartbeatInterval", "60"), E("Folders", E("Folder", E("Id", inbox)))),
                E("Ping:Ping", E("HeartbeatInterval", "60"), E("Folders", E("Folder", E("Class", "Email")))),
                E("Ping:Ping", E("HeartbeatInterval", "60"), E("Folders", folder, folder)),
                E("Ping:Ping", E("HeartbeatInterval", "60"), E("Folders", E("Folder", E("Id", inbox), E("Class", "Nonsense")))),
                E("Ping:Ping", E("HeartbeatInterval", "abc"), E("Folders", folder)),
                E("Ping:Ping", E("HeartbeatInterval", ""), E("Folders", folder)),
                E("Ping:Ping", E("HeartbeatInterval", "60"), E("HeartbeatInterval", "60"), E("Folders", folder)),
                E("Ping:Ping", E("HeartbeatInterval", "60"), E("Folders", folder), E("Email:Subject", "x")),
                E("Ping:Ping", E("Status", "1"), E("HeartbeatInterval", "60"), E("Folders", folder)),
                E("AirSync:Sync", E("Collections"))):
            with self.subTest(document):
                self.assert_ping(device.receive(device.ping_send(device.connection, body=wbxml.encode(document))), "4")
        for garbage in (b"\0", b"garbage", b"\x03\x01\x6a\x00", wbxml.encode(device.ping_request([inbox], 60))[:-1],
                        b"\x03\x01\x6a\x00\x00\x63\x45", b"\x02\x01\x6a\x00\x00\x0d\x45\x01", b"\xff" * 1000):
            with self.subTest(garbage):
                answer = device.receive(device.ping_send(device.connection, body=garbage))
                if device.since("14.0"):
                    self.assertIn(answer.status, ("4", "102"), garbage)
                else:
                    self.assertTrue(answer.code == 400 or answer.status == "4", answer)

    @forms("12.1")
    def test_notes_from_14(self, version, form):
        device = self.phone(version, form)
        body = E("Ping:Ping", E("HeartbeatInterval", "60"), E("Folders", E("Folder", E("Id", device.inbox), E("Class", "Notes"))))
        self.assert_ping(device.receive(device.ping_send(body=wbxml.encode(body))), "4")

    @every_form
    def test_heartbeat_bounds(self, version, form):
        """The nearest bound is told; a bad value is not stored."""
        device = self.phone(version, form)
        device.prime()
        for value, bound in (("59", "60"), ("1", "60"), ("0", "60"), ("3541", "3540"), ("99999", "3540"),
                             ("4294967296", "3540")):
            answer = device.ping(heartbeat=value, connection=device.connection)
            self.assert_ping(answer, "5")
            self.assertEqual(answer.document.get("HeartbeatInterval"), bound, value)
            self.assertFalse(answer.document.has("Folders"))
        self.assert_ping(device.receive(device.ping_send(device.connection, body=b"")), "3")
        for value in ("60", "3540"):
            self.waiting(device, heartbeat=value)

    @every_form
    def test_too_many_folders(self, version, form):
        device = self.phone(version, form)
        device.prime()
        answer = device.ping([device.inbox] + [str(n) for n in range(900, 905)])
        self.assert_ping(answer, "6")
        self.assertEqual(answer.document.get("MaxFolders"), "5")

    @every_form
    def test_unknown_folder(self, version, form):
        device = self.phone(version, form)
        device.prime()
        for bad in ("99999", "nonsense", "0"):
            self.assert_ping(device.ping([device.inbox, bad]), "7")
        self.waiting(device)

    @every_form
    def test_empty_body_uses_the_last_request(self, version, form):
        device = self.phone(version, form)
        device.prime()
        first = self.waiting(device, heartbeat=600)
        second = self.repeating(device)
        self.deliver(self.owner, "for the empty one")
        self.assert_ping(device.receive(second), "2", [device.inbox])
        # The newer Ping had ended the older one, somehow.
        if not first.is_silent(0.05):
            answer = device.receive(first)
            self.assertIn(answer.code, (200, 503))
        device.sync()
        # Only one of the two: the other is the stored one.
        self.waiting(device, body=wbxml.encode(device.ping_request(heartbeat=700)))
        third = self.waiting(device, body=wbxml.encode(device.ping_request([device.inbox])))
        self.deliver(self.owner, "and this")
        self.assert_ping(device.receive(third), "2", [device.inbox])

    @every_form
    def test_ignored_folders(self, version, form):
        """The Outbox, and folders never synced (iOS names them), hinder nobody."""
        device = self.phone(version, form)
        device.prime()
        connection = device.ping_send(folders=[device.inbox, device.folders[OUTBOX]])
        self.addCleanup(connection.close)
        self.assert_parked(connection)
        self.deliver(self.owner, "x")
        answer = device.receive(connection)
        self.assert_ping(answer, "2", [device.inbox])

    def test_needs_no_policy_key(self):
        device = self.phone("14.1")
        device.prime()
        device.policy_key = None
        self.waiting(device)

    def test_connection_close(self):
        """An Android Ping says Connection: close."""
        device = self.phone("14.1")
        device.prime()
        connection = device.connect()
        device.send("Ping", device.ping_request([device.inbox], 60), connection=connection,
                    headers={"Connection": "close"})
        self.assert_parked(connection)
        self.deliver(self.owner, "x")
        self.assert_ping(device.receive(connection), "2", [device.inbox])
        self.assertTrue(connection.is_closed())

    def test_other_commands_while_waiting(self):
        """The mailbox is not locked by a waiting Ping."""
        device = self.phone("14.1")
        device.prime()
        connection = self.waiting(device)
        self.assertEqual(device.folder_sync().status, "1")
        self.assert_empty_sync(device.sync())
        self.assert_parked(connection)
        self.deliver(self.owner, "x")
        self.assert_ping(device.receive(connection), "2", [device.inbox])


class Wakes(PingCase):
    settings = {"push.flag_wake_delay_s": "1"}

    def test_only_those_concerned(self):
        """No wake for other users, other folders, one's own changes."""
        device = self.phone("14.1")
        owner = self.owner
        sibling = self.phone("14.1", user=owner)
        stranger = self.phone("14.1")
        for one in (device, sibling, stranger):
            one.prime()
            one.prime(one.folders[SENT])
        mine = self.waiting(device)
        sent = self.waiting(sibling, folders=[sibling.folders[SENT]])
        other = self.waiting(stranger)
        self.deliver(owner, "mine alone")
        self.assert_ping(device.receive(mine), "2", [device.inbox])
        self.assert_parked(sent)
        self.assert_parked(other)
        # One's own change does not come back.
        (server_id,) = device.sync().added
        mine = self.waiting(device)
        device.sync(commands=[change(server_id, read("1"))])
        self.assert_parked(mine, 1.5)

    @forms("2.5", "12.1", "14.1", ("16.1", "base64"))
    def test_changes_of_another_phone(self, version, form):
        """Read and Flag alone are gathered; a deletion is told; each Sync brings what the wake promised."""
        one = self.phone(version, form)
        other = self.phone(version, form, user=self.owner)
        self.deliver(self.owner, "shared")
        (server_id,) = one.prime()
        other.prime()
        connection = self.waiting(one)
        other.sync(commands=[change(server_id, read("1"))])
        self.assert_ping(one.receive(connection), "2", [one.inbox])
        self.assertEqual(one.sync().changed[server_id].get("Email:Read"), "1")
        one.ping_send(connection)
        self.assert_parked(connection)
        other.sync(commands=[delete(server_id)])
        self.assert_ping(one.receive(connection), "2", [one.inbox])
        self.assertEqual(one.sync().deleted, [server_id])

    def test_several_folders(self):
        """All that changed are named."""
        device = self.phone("14.1")
        other = self.phone("14.1", user=self.owner)
        for one in (device, other):
            one.prime()
            one.prime(one.folders[DELETED])
        self.deliver(self.owner, "to be moved")
        (server_id,) = other.sync().added
        device.sync()
        connection = self.waiting(device, folders=[device.inbox, device.folders[DELETED]])
        other.sync(commands=[delete(server_id)])
        answer = device.receive(connection)
        self.assert_ping(answer, "2")
        folders = {f.text for f in answer.document.all("Folders/Folder")}
        self.assertTrue(folders and folders <= {device.inbox, device.folders[DELETED]})
        for folder in folders:
            found = device.sync(folder)
            self.assertTrue(found.added or found.deleted, "no false wakes")

    def test_change_that_is_undone_wakes_nobody(self):
        one = self.phone("14.1")
        other = self.phone("14.1", user=self.owner)
        self.deliver(self.owner, "shared")
        (server_id,) = one.prime()
        other.prime()
        connection = self.waiting(one)
        other.sync(commands=[change(server_id, flag())])
        self.assert_ping(one.receive(connection), "2", [one.inbox])
        self.assertIn(server_id, one.sync().changed)


class Filter(PingCase):
    @classmethod
    def prepare(cls):
        """A message from 50 days ago, delivered while the server lived then."""
        if not os.path.exists(FAKETIME):
            raise AssertionError("the package faketime is missing")
        cls.aged = cls.server.add_user("aged")
        cls.server.stop()
        cls.server.start(env={"LD_PRELOAD": FAKETIME, "FAKETIME": "-50d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
        for number in range(2):
            cls.server.deliver(cls.aged, mail.message(f"old {number}", age=datetime.timedelta(days=50)))
        cls.server.stop()
        cls.server.start()

    def test_older_than_the_filter(self):
        """An old message moved into a folder with a filter wakes nobody; a new one does."""
        device = self.phone("14.1", user=self.aged)
        other = self.phone("14.1", user=self.aged)
        items = other.prime()
        self.assertEqual(len(items), 2)
        trash = device.folders[DELETED]
        device.prime(trash, options=device.options(filter_type="3"))
        connection = self.waiting(device, folders=[trash])
        other.sync(commands=[delete(next(iter(items)))])
        self.assert_parked(connection, 0.5)
        self.deliver(self.aged, "new")
        (server_id,) = other.sync().added
        other.sync(commands=[delete(server_id)])
        self.assert_ping(device.receive(connection), "2", [trash])
        self.assertEqual(device.sync(trash).subjects(), ["new"])


class Expiry(PingCase):
    clock = {"rate": 4}
    settings = {"push.heartbeat_min_s": "1", "push.heartbeat_max_s": "5"}

    @every_form
    def test_expiry(self, version, form):
        device = self.phone(version, form)
        device.prime()
        connection = device.ping_send(heartbeat=1)
        self.addCleanup(connection.close)
        # A look, no more: the heartbeat is a quarter of a second, and this process may have to wait for its turn.
        self.assert_parked(connection, 0.02)
        answer = device.receive(connection, timeout=4)
        self.assert_ping(answer, "1")
        self.assertEqual(answer.document.names(), ["Status"])

    def test_configured_bounds(self):
        device = self.phone("14.1")
        device.prime()
        answer = device.ping(heartbeat=6)
        self.assert_ping(answer, "5")
        self.assertEqual(answer.document.get("HeartbeatInterval"), "5")


class StoreTrouble(PingCase):
    def test_server_trouble(self):
        """The engine cannot write: 8 (or a common status), no crash; with room again all is well."""
        device = self.phone("14.1")
        device.prime()
        engine = self.server.engine_pid()
        limits = resource.prlimit(engine, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        try:
            answer = device.ping(heartbeat=777, timeout=10)  # new parameters have to be stored
            self.assertTrue(answer.code == 503 or answer.status in ("8", "110", "111"), answer)
        finally:
            resource.prlimit(engine, resource.RLIMIT_FSIZE, (limits[1], limits[1]))
        connection = self.waiting(device)
        self.deliver(self.owner, "well again")
        self.assert_ping(device.receive(connection), "2", [device.inbox])
        self.assertEqual(self.server.engine_pid(), engine)


class Hierarchy(PingCase):
    """
    No command of ours changes the hierarchy yet, so the tests add folders to the database behind the server's back, as a migration from
    another server would.
    """

    def add_folder(self, user, name, type_=12):
        with contextlib.closing(sqlite3.connect(os.path.join(self.server.data, "bellhop.db"), timeout=20)) as db:
            db.isolation_level = None
            db.execute("BEGIN IMMEDIATE")
            (owner,) = db.execute("SELECT owner FROM users WHERE login = ?", (user.login,)).fetchone()
            db.execute("UPDATE owners SET seq = seq + 1, last_folder = last_folder + 1 WHERE id = ?", (owner,))
            seq, number = db.execute("SELECT seq, last_folder FROM owners WHERE id = ?", (owner,)).fetchone()
            db.execute("INSERT INTO folders (owner, id, parent, name, type, role, created_seq, changed_seq, items_seq,"
                       " last_item, deleted) VALUES (?, ?, 0, ?, ?, 0, ?, ?, ?, 0, 0)",
                       (owner, number, name, type_, seq, seq, seq))
            db.execute("COMMIT")
        return str(number)

    @every_form
    def test_device_that_was_deleted(self, version, form):
        """The server knows nothing of what it has: a Ping of it alone would wait for folders that were never synced."""
        user = self.server.add_user()
        device = user.device(version, form).ready()
        device.prime()
        self.assertEqual(device.ping(heartbeat=60, folders=["999"]).status, "7")
        self.server.bellhop("device", "del", user.address, device.device_id, "--yes")
        self.assertEqual(device.ping(heartbeat=60).status, "7")
        device.ready()
        device.prime()
        waiting = device.ping_send(heartbeat=60)
        self.assert_parked(waiting)
        waiting.close()

    @every_form
    def test_changed_since_the_last_folder_sync(self, version, form):
        device = self.phone(version, form)
        owner = self.owner
        device.prime()
        number = self.add_folder(owner, "Projects")
        self.assert_ping(device.ping(heartbeat=70), "7")
        answer = device.folder_sync()
        self.assertEqual(answer.document.get("Changes/Count"), "1")
        (added,) = answer.document.all("Changes/Add")
        self.assertEqual((added.get("ServerId"), added.get("DisplayName"), added.get("Type"), added.get("ParentId")),
                         (number, "Projects", "12", "0"))
        self.waiting(device, heartbeat=70)
        # The answer was lost: the key before it brings the folder again.
        self.assertEqual(device.folder_sync().document.get("Changes/Count"), "0")
        self.assertEqual(device.prime(number), {})

    def test_lost_answer(self):
        device = self.phone("14.1")
        key = device.hierarchy_key
        self.add_folder(self.owner, "Lost")
        for _ in range(3):
            answer = device.folder_sync(key)
            self.assertEqual(answer.document.get("Changes/Count"), "1")
        self.assertEqual(device.folder_sync().document.get("Changes/Count"), "0")

    def test_while_parked_and_the_engine_away(self):
        """The new engine compares and finds the difference: 7."""
        device = self.phone("14.1")
        owner = self.owner
        device.prime()
        connection = self.waiting(device, heartbeat=600)
        self.add_folder(owner, "New")
        self.server.kill_engine()
        self.assert_ping(device.receive(connection), "7")

    def test_sync_of_a_removed_folder(self):
        """12 for its Sync, 7 for a Ping that names it, Delete by FolderSync."""
        device = self.phone("14.1")
        owner = self.owner
        number = self.add_folder(owner, "Short-lived")
        device.folder_sync()
        device.prime(number)
        with contextlib.closing(sqlite3.connect(os.path.join(self.server.data, "bellhop.db"), timeout=20)) as db:
            db.isolation_level = None
            db.execute("BEGIN IMMEDIATE")
            (who,) = db.execute("SELECT owner FROM users WHERE login = ?", (owner.login,)).fetchone()
            db.execute("UPDATE owners SET seq = seq + 1 WHERE id = ?", (who,))
            db.execute("UPDATE folders SET deleted = 1, changed_seq = (SELECT seq FROM owners WHERE id = ?) "
                       "WHERE owner = ? AND id = ?", (who, who, int(number)))
            db.execute("COMMIT")
        answer = device.sync(number)
        self.assertIn("12", (answer.status, answer.collection_status))
        self.assert_ping(device.ping([device.inbox, number]), "7")
        answer = device.folder_sync()
        self.assertEqual([d.get("ServerId") for d in answer.document.all("Changes/Delete")], [number])


class Shutdown(ServerCase):
    def test_server_stops(self):
        """A waiting phone is told, or its connection ends; it is not left hanging."""
        device = self.phone("14.1")
        device.prime()
        connection = device.ping_send()
        self.assert_parked(connection)
        self.server.stop()
        try:
            answer = device.receive(connection, timeout=5)
        except Exception as error:  # noqa: BLE001 - any end of the connection will do, a time-out will not
            self.assertNotIsInstance(error, TimeoutError)
        else:
            self.assertTrue(answer.code == 503 or answer.status == "8", answer)
        connection.close()
        device.close()
        self.server.start()
        self.assertEqual(device.folder_sync("0").status, "1")


if __name__ == "__main__":
    unittest.main()
