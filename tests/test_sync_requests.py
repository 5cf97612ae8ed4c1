"""Requests that come empty, Partial, twice, late or without end; held ones; items that are set aside."""

import contextlib
import json
import sqlite3
import unittest

from eas.client import CALENDAR, DELETED, SENT, SyncAnswer
from eas.wbxml import E
from lib import mail
from lib.case import ServerCase, forms

# Bodies do not depend on the form of the query: one version in base64 is enough.
every_version = forms("2.5", "12.0", "12.1", "14.0", "14.1", ("14.1", "base64"), "16.0", "16.1")
FROM_12_1 = ("12.1", "14.0", "14.1", "16.0", "16.1", ("14.1", "base64"))


def change(server_id, *properties):
    return E("Change", E("ServerId", server_id), E("ApplicationData", list(properties)))


def read(value):
    return E("Email:Read", value)


def delete(server_id):
    return E("Delete", E("ServerId", server_id))


class RequestCase(ServerCase):
    def deliver_many(self, owner, count, prefix=""):
        with self.server.lmtp() as lmtp:
            for number in range(1, count + 1):
                answer = lmtp.deliver(owner.address, mail.message(f"{prefix}{number}"))
                self.assertTrue(answer[0].startswith("250"), answer)

    def ask(self, device, *collections, **kwargs):
        return device.post("Sync", device.sync_request(*collections, **kwargs))

    def part(self, device, answer, folder, keep_key=False):
        """What an answer says of one folder; None: nothing."""
        found = SyncAnswer(answer, folder)
        if found.collection is None:
            return None
        if found.collection_status == "1" and not keep_key:
            device.keys[folder] = found.key
        return found

    def events(self, user):
        return self.server.bellhop("log", "list", "--user", user.address).stdout


class Partial(RequestCase):
    def two_folders(self, version, form):
        device = self.phone(version, form)
        device.prime()
        device.prime(device.folders[DELETED])
        return device, device.inbox, device.folders[DELETED]

    @forms(*FROM_12_1)
    def test_unnamed_collections(self, version, form):
        """They are as in the request before: key, Options, window, GetChanges."""
        device, inbox, deleted = self.two_folders(version, form)
        self.assertIsNone(self.ask(device, device.collection(inbox, window=2), device.collection(deleted)).document)
        self.deliver_many(self.owner, 3)
        answer = self.ask(device, device.collection(deleted), partial=True)
        first = self.part(device, answer, inbox)
        self.assertEqual((len(first.added), first.more), (2, True))
        self.assertIsNone(self.part(device, answer, deleted))

    @forms(*FROM_12_1)
    def test_changed_collection(self, version, form):
        """The named one with its new key and settings, the others as they were; then nothing is new."""
        device, inbox, deleted = self.two_folders(version, form)
        self.ask(device, device.collection(inbox), device.collection(deleted))
        self.deliver(self.owner, "first")
        answer = self.ask(device, device.collection(inbox), device.collection(deleted))
        self.assertEqual(self.part(device, answer, inbox).subjects(), ["first"])
        self.deliver(self.owner, "second")
        answer = self.ask(device, device.collection(inbox), partial=True)
        self.assertEqual(self.part(device, answer, inbox).subjects(), ["second"])
        answer = self.ask(device, device.collection(inbox), partial=True)
        self.assertIsNone(answer.document)
        # And the empty request repeats all of it.
        self.assertIsNone(device.post("Sync").document)
        self.deliver(self.owner, "third")
        self.assertEqual(self.part(device, device.post("Sync"), inbox).subjects(), ["third"])

    @forms(*FROM_12_1)
    def test_lost_answer(self, version, form):
        """The answer with both keys got lost; the phone names one of them again: nothing of the other is lost."""
        device, inbox, deleted = self.two_folders(version, form)
        self.deliver(self.owner, "to be deleted")
        (server_id,) = device.sync().added
        device.sync(commands=[delete(server_id)])
        self.deliver(self.owner, "in the inbox")
        lost = self.ask(device, device.collection(inbox), device.collection(deleted))
        self.assertEqual(SyncAnswer(lost, deleted).subjects(), ["to be deleted"])
        answer = self.ask(device, device.collection(inbox), partial=True)
        self.assertEqual(self.part(device, answer, inbox).subjects(), ["in the inbox"])
        arrived = self.part(device, answer, deleted)
        self.assertEqual(arrived.subjects() if arrived else None, ["to be deleted"])

    @forms(*FROM_12_1)
    def test_only_the_rest(self, version, form):
        """Partial beside Wait, HeartbeatInterval or WindowSize alone is a request; alone it is none."""
        device, inbox, deleted = self.two_folders(version, form)
        self.ask(device, device.collection(inbox), device.collection(deleted))
        self.assertEqual(device.post("Sync", E("AirSync:Sync", E("Partial"))).status, "4")
        self.deliver_many(self.owner, 3)
        answer = self.ask(device, window=2, partial=True)
        self.assertEqual(len(self.part(device, answer, inbox).added), 2)
        device.sync()
        device.sync()
        self.ask(device, device.collection(inbox), device.collection(deleted))
        kwargs = {"heartbeat": "300"} if device.since("14.0") else {"wait": "5"}
        device.send("Sync", device.sync_request(partial=True, **kwargs))
        self.assert_parked(device.connection)
        self.deliver(self.owner, "news")
        self.assertEqual(SyncAnswer(device.receive(), inbox).subjects(), ["news"])

    @forms(*FROM_12_1)
    def test_nothing_is_remembered(self, version, form):
        """13 where there was no request, and after one with changes in it; a whole request helps."""
        device, inbox, deleted = self.two_folders(version, form)
        self.ask(device, device.collection(inbox), device.collection(deleted))
        self.deliver(self.owner, "one")
        (server_id,) = device.sync().added
        device.sync(commands=[change(server_id, read("1"))])
        for document in (None, device.sync_request(device.collection(deleted), partial=True)):
            answer = device.post("Sync", document)
            self.assertEqual((answer.code, answer.status), (200, "13"))
            self.assertEqual(answer.document.names(), ["Status"])
        self.assertIsNone(self.ask(device, device.collection(inbox), device.collection(deleted)).document)
        self.assertIsNone(device.post("Sync").document)

    @forms("2.5", "12.0")
    def test_not_before_12_1(self, version, form):
        device = self.phone(version, form)
        device.prime()
        for document in (device.sync_request(device.collection(device.inbox), partial=True),
                         device.sync_request(device.collection(device.inbox), window=5)):
            self.assertEqual(device.post("Sync", document).status, "4")
        answer = device.post("Sync")
        self.assertTrue(answer.code == 400 or answer.status == "13", answer)

    @forms("12.1", "14.1", "16.1")
    def test_too_many_together(self, version, form):
        """Named and remembered ones count together."""
        device, inbox, deleted = self.two_folders(version, form)
        self.server.write_config(sync_collections_max=3)
        self.server.bellhop("reload")
        try:
            self.ask(device, device.collection(inbox), device.collection(deleted))
            extra = [device.collection(device.folders[f], "0") for f in (SENT, CALENDAR)]
            answer = self.ask(device, *extra, partial=True)
            self.assertEqual((answer.status, answer.document.get("Limit")), ("15", "3"))
            answer = self.ask(device, extra[0], partial=True)
            self.assertEqual(self.part(device, answer, device.folders[SENT]).collection_status, "1")
        finally:
            self.server.write_config(sync_collections_max=1000)
            self.server.bellhop("reload")


class Statuses(RequestCase):
    @every_version
    def test_each_collection_has_its_own(self, version, form):
        """A bad key or an unknown folder beside good ones: those go on."""
        device = self.phone(version, form)
        device.prime()
        self.deliver(self.owner, "goes on")
        calendar = device.folders[CALENDAR]
        answer = self.ask(
            device, device.collection(device.folders[SENT], "123456789"), device.collection("99999", "0"),
            device.collection(calendar, "0", class_="Calendar"), device.collection(device.inbox))
        self.assertIsNone(answer.status)
        found = {c.get("CollectionId"): c for c in answer.document.all("Collections/Collection")}
        self.assertEqual({i: c.get("Status") for i, c in found.items()}, {
            device.folders[SENT]: "3", "99999": "12", calendar: "1", device.inbox: "1"})
        self.assertEqual(found[device.folders[SENT]].get("SyncKey"), "0")
        self.assertEqual(self.part(device, answer, device.inbox).subjects(), ["goes on"])

    @every_version
    def test_unknown_folder_alone(self, version, form):
        device = self.phone(version, form)
        device.prime()
        answer = device.sync("99999", key="0")
        self.assertEqual((answer.status, answer.document.names()), ("12", ["Status"]))
        # The folders of another user are unknown, too, whatever their number.
        answer = device.sync("424242", key=device.keys[device.inbox])
        self.assertEqual(answer.status, "12")

    @every_version
    def test_failed_collection_keeps_its_key(self, version, form):
        device = self.phone(version, form)
        self.deliver(self.owner, "one")
        device.sync(key="0")
        key = device.keys[device.inbox]
        for bad in (device.options(filter_type="7"), device.options(filter_type="8")):
            answer = device.sync(options=bad)
            self.assertIn("4", (answer.status, answer.collection_status))
        self.assertEqual(device.keys[device.inbox], key)
        self.assertEqual(device.sync().subjects(), ["one"])

    @every_version
    def test_named_twice(self, version, form):
        """One answer cannot have two keys for a collection."""
        device = self.phone(version, form)
        device.prime()
        answer = self.ask(device, device.collection(device.inbox), device.collection(device.inbox))
        self.assertEqual(answer.status, "4")
        self.assert_empty_sync(device.sync())

    @forms(*FROM_12_1)
    def test_wait_out_of_range(self, version, form):
        """14 with the nearest value in the unit that was sent. What the phone changed is done, once."""
        device = self.phone(version, form)
        other = self.phone(version, form, user=self.owner)
        self.deliver_many(self.owner, 2)
        first, second = device.prime()
        other.prime()
        key = device.keys[device.inbox]
        waits = [({"wait": "0"}, "1"), ({"wait": "60"}, "59"), ({"wait": "99999999999999999999"}, "59"), ({"wait": "-1"}, "1")]
        if device.since("14.0"):
            waits += [({"heartbeat": "59"}, "60"), ({"heartbeat": "3541"}, "3540"), ({"heartbeat": "0"}, "60")]
        for kwargs, limit in waits:
            for commands in ((), [change(first, read("1")), delete(second)]):
                answer = self.ask(device, device.collection(device.inbox, key, commands=commands), **kwargs)
                self.assertEqual((answer.status, answer.document.get("Limit")), ("14", limit), kwargs)
                self.assertEqual(answer.document.names(), ["Status", "Limit"])
        seen = other.sync()
        self.assertEqual((seen.changed[first].get("Email:Read"), seen.deleted), ("1", [second]))
        # The same with a good value is answered as if it were new.
        answer = device.sync(commands=[change(first, read("1")), delete(second)])
        self.assertEqual((answer.collection_status, answer.responses("Change"), answer.responses("Delete")), ("1", [], []))
        self.assertEqual(answer.deleted, [])
        self.assert_empty_sync(other.sync())
        self.assertEqual(len(other.prime(device.folders[DELETED])), 1)

    @forms("14.0", "14.1", "16.0", "16.1")
    def test_wait_and_heartbeat(self, version, form):
        device = self.phone(version, form)
        device.prime()
        self.assertEqual(self.ask(device, device.collection(device.inbox), wait="5", heartbeat="60").status, "4")


class Held(RequestCase):
    def hold(self, device, *collections, **kwargs):
        connection = device.connect()
        self.addCleanup(connection.close)
        if not kwargs:
            kwargs = {"heartbeat": "300"} if device.since("14.0") else {"wait": "5"}
        device.send("Sync", device.sync_request(*(collections or [device.collection(device.inbox)]), **kwargs),
                    connection=connection)
        self.assert_parked(connection)
        return connection

    def assert_ended(self, device, connection):
        answer = device.receive(connection)
        self.assertEqual((answer.code, answer.http.body), (200, b""))

    @forms(*FROM_12_1)
    def test_newer_request_ends_it(self, version, form):
        """Held or answered at once, with changes, or empty: the older one gets the empty answer."""
        device = self.phone(version, form)
        self.deliver(self.owner, "one")
        (server_id,) = device.prime()
        first = self.hold(device)
        second = self.hold(device)
        self.assert_ended(device, first)
        self.assert_empty_sync(device.sync())
        self.assert_ended(device, second)
        third = self.hold(device)
        answer = device.sync(commands=[change(server_id, read("1"))])
        self.assertEqual(answer.collection_status, "1")
        self.assert_ended(device, third)
        fourth = self.hold(device)
        device.send("Sync")
        self.assert_ended(device, fourth)
        self.assert_parked(device.connection)
        self.deliver(self.owner, "news")
        self.assertEqual(SyncAnswer(device.receive(), device.inbox).subjects(), ["news"])

    @forms(*FROM_12_1)
    def test_not_by_other_devices(self, version, form):
        device = self.phone(version, form)
        device.prime()
        connection = self.hold(device)
        other = self.phone(version, form, user=self.owner)
        other.prime()
        self.assert_parked(connection)
        self.deliver(self.owner, "news")
        self.assertEqual(SyncAnswer(device.receive(connection), device.inbox).subjects(), ["news"])

    @forms(*FROM_12_1)
    def test_commands_are_answered_at_once(self, version, form):
        device = self.phone(version, form)
        self.deliver(self.owner, "one")
        (server_id,) = device.prime()
        for commands in ([change(server_id, read("1"))], [E("Fetch", E("ServerId", server_id))], [delete(server_id)]):
            answer = device.sync(commands=commands, wait="5")
            self.assertEqual(answer.collection_status, "1", commands)

    @forms("12.1", "14.1", "16.1")
    def test_several_collections(self, version, form):
        """Woken by any of them; the others are left out of the answer, and keep their keys."""
        device = self.phone(version, form)
        inbox, deleted = device.inbox, device.folders[DELETED]
        device.prime()
        device.prime(deleted)
        connection = self.hold(device, device.collection(deleted), device.collection(inbox))
        self.deliver(self.owner, "news")
        answer = device.receive(connection)
        self.assertEqual([c.get("CollectionId") for c in answer.document.all("Collections/Collection")], [inbox])
        self.part(device, answer, inbox)
        self.assertIsNone(self.ask(device, device.collection(deleted), device.collection(inbox)).document)

    @forms(*FROM_12_1)
    def test_hierarchy_changes(self, version, form):
        """Another phone makes a folder: 12, the phone is to look at its folders. So does the next Sync of a deleted one."""
        device = self.phone(version, form)
        device.prime()
        connection = self.hold(device)
        other = self.phone("14.1", user=self.owner)
        made = other.post("FolderCreate", E("FolderHierarchy:FolderCreate", E("SyncKey", other.hierarchy_key), E(
            "ParentId", "0"), E("DisplayName", "New"), E("Type", "12")))
        answer = device.receive(connection)
        self.assertEqual((answer.code, answer.status, answer.document.names()), (200, "12", ["Status"]))
        device.folder_sync()
        folder = made.document.get("ServerId")
        device.prime(folder)
        connection = self.hold(device, device.collection(folder), device.collection(device.inbox))
        other.post("FolderDelete", E("FolderHierarchy:FolderDelete", E("SyncKey", made.document.get("SyncKey")), E("ServerId", folder)))
        self.assertEqual(device.receive(connection).status, "12")
        self.assertEqual(device.sync(folder).status, "12")
        device.folder_sync()
        self.deliver(self.owner, "goes on")
        self.assertEqual(device.sync().subjects(), ["goes on"])

    @forms("12.1", "14.1", "16.1")
    def test_collection_without_get_changes(self, version, form):
        """It does not wake the phone."""
        device = self.phone(version, form)
        device.prime()
        device.prime(device.folders[DELETED])
        connection = self.hold(device, device.collection(device.inbox, get_changes="0"), device.collection(device.folders[DELETED]))
        self.deliver(self.owner, "not asked for")
        self.assert_parked(connection)

    @forms("12.1", "14.1", "16.1")
    def test_nothing_it_cannot_see(self, version, form):
        """Mail outside the filter, and properties that the version does not know, wake nobody."""
        device = self.phone(version, form)
        device.prime(options=device.options(filter_type="1"))
        other = self.phone("14.1", user=self.owner)
        old = "from a.example by b.example; Mon, 05 Jan 2026 10:00:00 +0000"
        self.deliver(self.owner, "recent")
        (recent,) = device.sync().added
        held = self.hold(device)
        ping = self.phone(version, form, user=self.owner)
        ping.prime(options=ping.options(filter_type="1"))
        pinging = ping.ping_send()
        self.addCleanup(pinging.close)
        self.assert_parked(pinging)
        self.deliver(self.owner, "old", Received=old)
        ids = {d.get("Email:Subject"): i for i, d in other.prime().items()}
        other.sync(commands=[change(ids["old"], read("1")), change(ids["old"], E("Email:Categories", E("Category", "Red")))])
        if not device.since("14.0"):
            other.sync(commands=[change(recent, E("Email:Categories", E("Category", "Red")))])
        for connection in (held, pinging):
            self.assert_parked(connection)
        self.deliver(self.owner, "news")
        self.assertEqual(SyncAnswer(device.receive(held), device.inbox).subjects(), ["news"])
        self.assert_ping(ping.receive(pinging), "2", [ping.inbox])


class Repetitions(RequestCase):
    @every_version
    def test_three_late_duplicates(self, version, form):
        """The phone went on with the answer to the first; the other three are only late. No key is taken from it."""
        device = self.phone(version, form)
        self.deliver_many(self.owner, 4)
        device.sync(key="0")
        old = device.keys[device.inbox]
        first = device.sync(window=2)
        for _ in range(3):
            late = device.sync(key=old, keep_key=True, window=2)
            self.assertEqual(set(late.added), set(first.added))
        self.deliver(self.owner, "news")
        for _ in range(3):
            device.sync(key=old, keep_key=True, window=2)
        rest = device.sync_rest(window=2)
        self.assertFalse(set(rest) & set(first.added))
        self.assertEqual(len(rest), 3)
        self.assert_empty_sync(device.sync())

    @every_version
    def test_any_of_the_answers(self, version, form):
        """Whichever answer to the same request arrived, the phone goes on with its key."""
        device = self.phone(version, form)
        self.deliver_many(self.owner, 6)
        for chosen in range(4):
            device.sync(key="0")
            old, answers = device.keys[device.inbox], []
            for number in range(4):
                answers.append(device.sync(key=old, keep_key=True, window=2 + number))
            self.assertEqual([len(a.added) for a in answers], [2, 3, 4, 5])
            device.keys[device.inbox] = answers[chosen].key
            rest = device.sync_rest()
            self.assertFalse(set(rest) & set(answers[chosen].added))
            self.assertEqual(len(rest) + len(answers[chosen].added), 6)
            self.assertEqual(device.sync(key=old).collection_status, "3")

    @every_version
    def test_late_key_0(self, version, form):
        """An old request with key 0 arrives after the phone went on: its newer key stays good."""
        device = self.phone(version, form)
        self.deliver_many(self.owner, 3)
        device.prime()
        device.sync(key="0", keep_key=True)
        self.deliver(self.owner, "news")
        self.assertEqual(device.sync().subjects(), ["news"])
        self.assert_empty_sync(device.sync())

    @every_version
    def test_late_duplicate_with_commands(self, version, form):
        """Its changes were done, and undone by somebody since: they are not done again."""
        device = self.phone(version, form)
        other = self.phone(version, form, user=self.owner)
        self.deliver(self.owner, "one")
        (server_id,) = device.prime()
        other.prime()
        key = device.keys[device.inbox]
        commands = [change(server_id, read("1"))]
        device.sync(commands=commands)
        other.sync()
        other.sync(commands=[change(server_id, read("0"))])
        for _ in range(3):
            device.sync(key=key, commands=commands, keep_key=True)
        self.assertEqual(device.sync().changed[server_id].get("Email:Read"), "0")
        self.assert_empty_sync(other.sync())
        self.assertEqual(other.prime()[server_id].get("Email:Read"), "0")


class EndlessRepetitions(RequestCase):
    settings = {"sync.repeats_max": "6"}

    @every_version
    def test_one_by_one_then_without_it(self, version, form):
        """A phone that stumbles over one message: the others arrive, the administrator is told."""
        device = self.phone(version, form)
        self.deliver_many(self.owner, 4)
        device.sync(key="0")
        key = device.keys[device.inbox]
        sizes, first = [], None
        for _ in range(20):
            answer = device.sync(key=key, keep_key=True)
            if first is None:
                first = next(iter(answer.added))
            sizes.append(len(answer.added))
            if first not in answer.added:
                break
        else:
            self.fail(f"the first one is never left out: {sizes}")
        self.assertEqual(sizes[:3], [4, 4, 4])
        self.assertIn(1, sizes)
        self.assertLessEqual(len(sizes), 8)
        device.keys[device.inbox] = answer.key
        rest = device.sync_rest()
        self.assertEqual(len(set(rest) | set(answer.added)), 3)
        self.assertNotIn(first, rest)
        self.assert_empty_sync(device.sync())
        events = self.events(self.owner)
        self.assertIn("item withheld", events)
        self.assertIn(first, events)
        # Nobody else misses it, and the phone gets it after a new start.
        self.assertEqual(len(self.phone(version, form, user=self.owner).prime()), 4)
        self.assertEqual(len(device.prime()), 4)

    def left_out(self, version, form):
        """A phone without one message; (phone, the key it repeated, what was left out)."""
        device = self.phone(version, form)
        self.deliver_many(self.owner, 3)
        device.sync(key="0")
        key = device.keys[device.inbox]
        first = next(iter(device.sync(key=key, keep_key=True).added))
        for _ in range(20):
            answer = device.sync(key=key, keep_key=True)
            if first not in answer.added:
                break
        device.keys[device.inbox] = answer.key
        return device, key, first

    def release(self, item):
        return json.loads(self.server.bellhop("item", "release", self.owner.address, item, "--json").stdout)

    @every_version
    def test_released(self, version, form):
        """The phone has gone on without it, and gets it after all."""
        device, _, first = self.left_out(version, form)
        self.assertEqual(len(device.sync_rest()), 1)
        self.assertEqual(self.release(first)["phones"], 1)
        self.assertEqual(list(device.sync().added), [first])
        self.assert_empty_sync(device.sync())

    @every_version
    def test_released_to_one_that_still_repeats(self, version, form):
        """It is tried again with all attempts, not left out at the next one: also with the key before."""
        device, key, first = self.left_out(version, form)
        self.assertEqual(self.release(first)["phones"], 1)
        for _ in range(3):
            self.assertIn(first, device.sync(key=key, keep_key=True).added)
        answer = device.sync(key=key)
        self.assertIn(first, answer.added)
        self.assertEqual(len(set(device.sync_rest()) | set(answer.added)), 3)
        self.assert_empty_sync(device.sync())

    @every_version
    def test_released_and_not_taken_again(self, version, form):
        """Then it is left out once more."""
        device, key, first = self.left_out(version, form)
        self.release(first)
        for _ in range(20):
            answer = device.sync(key=key, keep_key=True)
            if first not in answer.added:
                break
        else:
            self.fail("never left out")
        device.keys[device.inbox] = answer.key
        self.assertNotIn(first, device.sync_rest())

    @forms("14.1")
    def test_phone_that_goes_on_in_time(self, version, form):
        device = self.phone(version, form)
        self.deliver_many(self.owner, 3)
        device.sync(key="0")
        key = device.keys[device.inbox]
        for _ in range(3):
            device.sync(key=key, keep_key=True)
        self.assertEqual(len(device.sync_rest()), 3)
        self.assertNotIn("item withheld", self.events(self.owner))


class Damaged(RequestCase):
    def damage(self, user, server_id):
        """The summary of that item in the database is nonsense from now on."""
        folder, item = server_id.split(":")
        self.server.stop()
        with contextlib.closing(sqlite3.connect(f"{self.server.data}/bellhop.db")) as db, db:
            done = db.execute(
                "UPDATE items SET summary = x'ff00ff' WHERE folder = ? AND id = ? AND owner ="
                " (SELECT owner FROM users WHERE login = ?)", (folder, item, user.login))
            self.assertEqual(done.rowcount, 1)
        self.server.start()

    @every_version
    def test_everything_else_arrives(self, version, form):
        """It is withheld from the phone, with one event; nothing else is, and nobody is woken for it."""
        device = self.phone(version, form)
        self.deliver_many(self.owner, 3)
        ids = {d.get("Email:Subject"): i for i, d in device.prime().items()}
        device.close()
        self.damage(self.owner, ids["2"])
        other = self.phone(version, form, user=self.owner)
        items = other.prime()
        self.assertEqual(sorted(items), sorted([ids["1"], ids["3"]]))
        self.assert_empty_sync(other.sync())
        events = self.events(self.owner)
        self.assertEqual(events.count("item withheld"), 1, events)
        self.assertIn(ids["2"], events)
        connection = other.ping_send()
        self.addCleanup(connection.close)
        self.assert_parked(connection)
        self.deliver(self.owner, "4")
        self.assert_ping(other.receive(connection), "2", [other.inbox])
        self.assertEqual(other.sync().subjects(), ["4"])
        # It can still be deleted by the phone that has it.
        self.assertEqual(device.sync(commands=[delete(ids["2"])]).responses("Delete"), [])
        self.assert_empty_sync(other.sync())


if __name__ == "__main__":
    unittest.main()
