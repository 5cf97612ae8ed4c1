"""The life of a mail collection under Sync, in every version: keys, windows, filters, changes both ways, lost answers."""

import datetime
import os
import unittest

from eas.client import DELETED, DRAFTS, SENT, SyncAnswer
from eas.wbxml import E
from lib import mail
from lib.case import ServerCase, every_form, forms
from lib.server import FAKETIME


def change(server_id, *properties):
    return E("Change", E("ServerId", server_id), E("ApplicationData", list(properties)))


def read(value):
    return E("Email:Read", value)


def flag(status="2"):
    if status == "0":
        return E("Email:Flag")
    return E("Email:Flag", E("Status", status), E("FlagType", "for Follow Up"))


def delete(server_id):
    return E("Delete", E("ServerId", server_id))


class SyncCase(ServerCase):
    def deliver_many(self, owner, count, **kwargs):
        """Messages named 1..count on one LMTP connection."""
        with self.server.lmtp() as lmtp:
            for number in range(1, count + 1):
                answer = lmtp.deliver(owner.address, mail.message(str(number), **kwargs))
                self.assertTrue(answer[0].startswith("250"), answer)

    def two_phones(self, version, form):
        """Two devices of one user; both know one message. Returns them and its id."""
        one = self.phone(version, form)
        other = self.phone(version, form, user=self.owner)
        self.deliver(self.owner, "shared")
        (server_id,) = one.prime()
        self.assertEqual(list(other.prime()), [server_id])
        return one, other, server_id


class Keys(SyncCase):
    @every_form
    def test_life(self, version, form):
        """Key 0, first batch, nothing new, a new message."""
        device = self.phone(version, form)
        self.deliver(self.owner, "first", text="Hello first.\r\n")
        answer = device.sync(key="0")
        self.assertEqual(answer.collection_status, "1")
        self.assertFalse(answer.collection.has("Commands"))
        self.assertNotIn(answer.key, ("0", None))
        self.assertEqual(answer.collection.has("Class"), not device.since("14.0"))
        answer = device.sync()
        self.assertEqual(answer.subjects(), ["first"])
        (data,) = answer.added.values()
        self.assertEqual(data.get("Email:From"), '"Anna Sender" <anna@example.net>')
        self.assertEqual(data.get("Email:Read"), "0")
        self.assertEqual(data.get("Email:MessageClass"), "IPM.Note")
        self.assertRegex(data.get("Email:DateReceived"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$")
        self.assertTrue(data.get("Email:InternetCPID"))
        for name, first in (("Email:ContentClass", "12.0"), ("AirSyncBase:NativeBodyType", "12.0"),
                            ("Email2:ConversationId", "14.0")):
            self.assertEqual(data.has(name), device.since(first), name)
        key = device.keys[device.inbox]
        self.assert_empty_sync(device.sync())
        if device.since("12.1"):
            self.assertEqual(device.keys[device.inbox], key)
        self.deliver(self.owner, "second")
        self.assertEqual(device.sync().subjects(), ["second"])
        self.assert_empty_sync(device.sync())

    @every_form
    def test_unknown_keys(self, version, form):
        device = self.phone(version, form)
        device.prime()
        other = self.phone(version, form, user=self.owner)
        other.prime()
        sent_key = device.sync(device.folders[SENT], key="0").key
        for bad in ("1", "12345678", "abc", "-1", "x" * 64, other.keys[other.inbox], sent_key):
            answer = device.sync(key=bad)
            self.assertEqual((answer.code, answer.collection_status), (200, "3"), bad)
            self.assertFalse(answer.collection.has("Commands"))
        # The good key goes on as if nothing had been.
        self.deliver(self.owner, "goes on")
        self.assertEqual(device.sync().subjects(), ["goes on"])

    @every_form
    def test_unknown_collection(self, version, form):
        device = self.phone(version, form)
        for bad in ("99999", "abc", "0"):
            answer = device.sync(bad, key="0")
            self.assertEqual(answer.code, 200)
            self.assertIn("12", (answer.status, answer.collection_status), bad)
        # Beside a good one: both in use, the good one goes on.
        both = device.sync_request(device.collection("99999", "0"), device.collection(device.inbox, "0"))
        answer = device.post("Sync", both)
        self.assertIn("12", [answer.status] + [c.get("Status") for c in answer.document.all("Collections/Collection")])

    @every_form
    def test_lost_answer(self, version, form):
        """The previous key again: the same changes come again, nothing is lost or doubled afterwards."""
        device = self.phone(version, form)
        self.deliver_many(self.owner, 5)
        device.sync(key="0")
        key = device.keys[device.inbox]
        lost = device.sync(window=3, keep_key=True)
        self.assertEqual(len(lost.added), 3)
        again = device.sync(window=3)
        self.assertEqual(again.added.keys(), lost.added.keys())
        self.assertTrue(again.more)
        # And once more, after a change in between.
        device.keys[device.inbox] = key
        self.deliver(self.owner, "6")
        items = device.sync_rest(window=2)
        self.assertEqual(sorted(d.get("Email:Subject") for d in items.values()), list("123456"))
        self.assert_empty_sync(device.sync())
        # The key before the previous one is gone.
        self.assertEqual(device.sync(key=key).collection_status, "3")

    @every_form
    def test_lost_answer_to_key_zero(self, version, form):
        device = self.phone(version, form)
        self.deliver_many(self.owner, 2)
        device.sync(key="0", keep_key=True)
        self.assertEqual(len(device.prime()), 2)

    @every_form
    def test_lost_answer_to_changes(self, version, form):
        """Changes repeated with the previous key are done once; the other phone sees them once."""
        one, other, server_id = self.two_phones(version, form)
        key = one.keys[one.inbox]
        commands = [change(server_id, read("1"))]
        one.sync(commands=commands, keep_key=True)
        # Meanwhile the other one marks it unread again: the repetition must not undo that.
        self.assertEqual(other.sync().changed[server_id].get("Email:Read"), "1")
        other.sync(commands=[change(server_id, read("0"))])
        again = one.sync(key=key, commands=commands)
        self.assertEqual(again.collection_status, "1")
        seen = dict(again.changed)
        seen.update(one.sync().changed)
        self.assertEqual(seen[server_id].get("Email:Read"), "0")
        self.assert_empty_sync(other.sync())

    @every_form
    def test_lost_answer_to_delete(self, version, form):
        device = self.phone(version, form)
        self.deliver_many(self.owner, 2)
        items = device.prime()
        key = device.keys[device.inbox]
        first = next(iter(items))
        device.sync(commands=[delete(first)], keep_key=True)
        again = device.sync(key=key, commands=[delete(first)])
        self.assertEqual(again.collection_status, "1")
        self.assertEqual(again.responses("Delete"), [])
        self.assertEqual(len(device.prime(device.folders[DELETED])), 1)
        self.assert_empty_sync(device.sync())

    @every_form
    def test_key_zero_again_starts_over(self, version, form):
        device = self.phone(version, form)
        self.deliver_many(self.owner, 3)
        first = device.prime()
        old = device.keys[device.inbox]
        second = device.prime()
        self.assertEqual(first.keys(), second.keys())
        self.assertEqual(device.sync(key=old).collection_status, "3")

    def test_another_version_restarts(self):
        device = self.phone("12.1")
        device.prime()
        newer = device.clone(version="14.1")
        newer.provision()
        self.assertEqual(newer.sync().collection_status, "3")


class Windows(SyncCase):
    @every_form
    def test_windows(self, version, form):
        device = self.phone(version, form)
        self.deliver_many(self.owner, 7)
        device.sync(key="0")
        sizes, seen = [], []
        while True:
            answer = device.sync(window=3)
            if answer.is_empty:
                break
            names = answer.collection.names()
            if answer.more:
                self.assertLess(names.index("Status"), names.index("MoreAvailable"))
                self.assertLess(names.index("MoreAvailable"), names.index("Commands"))
            sizes.append(len(answer.added))
            seen += answer.subjects()
            if not answer.more:
                break
        self.assertEqual(sizes, [3, 3, 1])
        self.assertEqual(sorted(seen), list("1234567"))
        self.assertEqual(seen[0], "7", "newest first")

    def test_default_and_largest(self):
        """100 where none is named; 0 and more than 512 count as 512."""
        device = self.phone("14.1")
        self.deliver_many(self.owner, 530)
        for window, expected in ((None, 100), ("0", 512), ("1000", 512), ("512", 512), ("1", 1)):
            device.sync(key="0")
            answer = device.sync(window=window)
            self.assertEqual(len(answer.added), expected, window)
            self.assertTrue(answer.more)
        rest = device.sync_rest(window="512")
        self.assertEqual(len(rest), 529)

    @forms("12.1", "14.1", ("16.1", "base64"))
    def test_window_of_the_whole_answer(self, version, form):
        device = self.phone(version, form)
        sent = device.folders[SENT]
        self.deliver_many(self.owner, 4)
        device.sync(key="0")
        device.sync(sent, key="0")
        document = device.sync_request(device.collection(device.inbox, window=10), device.collection(sent), window=3)
        answer = SyncAnswer(device.post("Sync", document), device.inbox)
        self.assertEqual(len(answer.added), 3)
        self.assertTrue(answer.more)

    @every_form
    def test_get_changes(self, version, form):
        device = self.phone(version, form)
        self.deliver(self.owner, "waiting")
        answer = device.sync(key="0", get_changes="0")
        self.assertEqual(answer.collection_status, "1")
        first = device.sync(get_changes="0")
        if not first.is_empty:
            self.assertEqual(first.added, {})
            self.assertFalse(first.more)
        self.assertEqual(device.sync(get_changes="").subjects(), ["waiting"])

    @forms("12.1", "14.1")
    def test_two_collections(self, version, form):
        """Changes of both in one answer; one without changes is left out."""
        device = self.phone(version, form)
        sent = device.folders[SENT]
        device.prime()
        device.prime(sent)
        self.deliver(self.owner, "news")
        answer = device.post("Sync", device.sync_request(device.collection(device.inbox), device.collection(sent)))
        collections = answer.document.all("Collections/Collection")
        self.assertEqual([c.get("CollectionId") for c in collections if c.has("Commands")], [device.inbox])


class Filters(SyncCase):
    """Messages of several ages: they are delivered while the server lives in the past."""

    AGES = (0, 2, 5, 10, 20, 50)  # days

    @classmethod
    def prepare(cls):
        cls.aged = cls.server.add_user("aged")
        for days in cls.AGES:
            cls.live(-days)
            cls.server.deliver(cls.aged, mail.message(f"{days} days", age=datetime.timedelta(days=days)))
        cls.live(0)

    @classmethod
    def live(cls, days):
        if not os.path.exists(FAKETIME):
            raise AssertionError("the package faketime is missing")
        cls.server.stop()
        environment = {} if days == 0 else {
            "LD_PRELOAD": FAKETIME, "FAKETIME": f"{days:+d}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        cls.server.start(env=environment)

    def expected(self, days):
        return sorted(f"{age} days" for age in self.AGES if age < days)

    def subjects(self, items):
        return sorted(d.get("Email:Subject") for d in items.values())

    @every_form
    def test_filter_types(self, version, form):
        device = self.phone(version, form, user=self.aged)
        for value, days in (("0", 9999), ("1", 1), ("2", 3), ("3", 7), ("4", 14), ("5", 31)):
            items = device.prime(options=device.options(filter_type=value))
            self.assertEqual(self.subjects(items), self.expected(days), f"FilterType {value}")

    @every_form
    def test_filter_types_not_for_mail(self, version, form):
        device = self.phone(version, form, user=self.aged)
        for value in ("6", "7", "8", "9", "-1", "abc"):
            answer = device.sync(key="0", options=device.options(filter_type=value))
            self.assertEqual(answer.code, 200)
            self.assertIn("4", (answer.status, answer.collection_status), value)

    @every_form
    def test_filter_is_changed(self, version, form):
        """Wider: Adds; narrower: SoftDeletes; key 0 is not needed. Absent options: the stored ones."""
        device = self.phone(version, form, user=self.aged)
        items = device.prime(options=device.options(filter_type="3"))
        self.assertEqual(self.subjects(items), self.expected(7))
        wider = device.sync(options=device.options(filter_type="5"))
        self.assertEqual(sorted(wider.subjects()), sorted(set(self.expected(31)) - set(self.expected(7))))
        items.update(wider.added)
        self.assert_empty_sync(device.sync())
        narrower = device.sync(options=device.options(filter_type="1"))
        gone = {i for i, d in items.items() if d.get("Email:Subject") not in self.expected(1)}
        self.assertEqual(set(narrower.soft_deleted), gone)
        self.assertEqual((narrower.added, narrower.deleted), ({}, []))
        self.assert_empty_sync(device.sync())

    def test_zz_items_age(self):
        """Two weeks later the last ones leave the window: SoftDelete. (Last: it moves the server's clock.)"""
        device = self.phone("14.1", user=self.aged)
        items = device.prime(options=device.options(filter_type="3"))
        device.close()
        self.live(4)
        try:
            gone = {i for i, d in items.items() if d.get("Email:Subject") == "5 days"}
            self.assertEqual(set(device.sync().soft_deleted), gone)
            self.assert_empty_sync(device.sync())
        finally:
            device.close()
            self.live(0)


class Changes(SyncCase):
    @every_form
    def test_read(self, version, form):
        """Marked on one phone, seen by the other, not echoed; and back."""
        one, other, server_id = self.two_phones(version, form)
        for value in ("1", "0"):
            answer = one.sync(commands=[change(server_id, read(value))])
            self.assertEqual(answer.collection_status, "1")
            self.assertEqual(answer.responses("Change"), [], "success is silent")
            self.assertEqual(answer.changed, {}, "no echo")
            seen = other.sync()
            self.assertEqual(list(seen.changed), [server_id])
            self.assertEqual(seen.changed[server_id].names(), ["Read"], "only what moved")
            self.assertEqual(seen.changed[server_id].get("Email:Read"), value)
            self.assertEqual((seen.added, seen.deleted), ({}, []))
            self.assert_empty_sync(one.sync())
            self.assert_empty_sync(other.sync())

    @every_form
    def test_flag(self, version, form):
        one, other, server_id = self.two_phones(version, form)
        if not one.since("12.0"):
            answer = one.sync(commands=[change(server_id, flag())])
            self.assertIn("4", (answer.status, answer.collection_status) + tuple(
                r.get("Status").replace("6", "4") for r in answer.responses("Change")), "no Flag in 2.5")
            return
        one.sync(commands=[change(server_id, flag())])
        seen = other.sync().changed[server_id]
        self.assertEqual(seen.names(), ["Flag"])
        self.assertEqual((seen.get("Email:Flag/Status"), seen.get("Email:Flag/FlagType")), ("2", "for Follow Up"))
        other.sync(commands=[change(server_id, flag("0"))])
        seen = one.sync().changed[server_id]
        self.assertEqual(seen.names(), ["Flag"])
        self.assertIn(seen.get("Email:Flag/Status"), (None, "0"))
        self.assert_empty_sync(one.sync())
        self.assert_empty_sync(other.sync())

    @every_form
    def test_flag_with_dates_survives(self, version, form):
        one, other, server_id = self.two_phones(version, form)
        if not one.since("12.0"):
            return
        whole = E("Email:Flag", E("Status", "2"), E("FlagType", "for Follow Up"),
                  E("Tasks:StartDate", "2026-01-05T08:00:00.000Z"), E("Tasks:UtcStartDate", "2026-01-05T07:00:00.000Z"),
                  E("Tasks:DueDate", "2026-01-06T08:00:00.000Z"), E("Tasks:UtcDueDate", "2026-01-06T07:00:00.000Z"),
                  E("Tasks:ReminderSet", "1"), E("Tasks:ReminderTime", "2026-01-05T07:00:00.000Z"),
                  E("Tasks:Subject", "follow me"))
        answer = one.sync(commands=[change(server_id, whole)])
        self.assertEqual(answer.responses("Change"), [], answer)
        seen = other.sync().changed[server_id].find("Email:Flag")
        self.assertEqual({(e.name, e.text) for e in seen.elements}, {(e.name, e.text) for e in whole.elements})

    @every_form
    def test_read_and_flag_together(self, version, form):
        one, other, server_id = self.two_phones(version, form)
        if not one.since("12.0"):
            return
        one.sync(commands=[change(server_id, read("1"), flag())])
        self.assertEqual(set(other.sync().changed[server_id].names()), {"Read", "Flag"})

    @forms("14.0", "14.1", ("16.1", "base64"))
    def test_categories(self, version, form):
        one, other, server_id = self.two_phones(version, form)
        one.sync(commands=[change(server_id, E("Email:Categories", E("Category", "Red"), E("Category", "Blau ü")))])
        seen = other.sync().changed[server_id]
        self.assertEqual(seen.names(), ["Categories"])
        self.assertEqual([c.text for c in seen.all("Email:Categories/Category")], ["Red", "Blau ü"])

    @every_form
    def test_bad_flags(self, version, form):
        """Item Status 6: unknown status, half of the dates, a reminder without time; the rest of the request is done."""
        one, other, server_id = self.two_phones(version, form)
        if not one.since("12.0"):
            return
        for bad in (E("Email:Flag", E("Status", "7"), E("FlagType", "x")),
                    E("Email:Flag", E("Status", "2"), E("FlagType", "x"), E("Tasks:StartDate", "2026-01-05T08:00:00.000Z")),
                    E("Email:Flag", E("Status", "2"), E("FlagType", "x"), E("Tasks:ReminderSet", "1"))):
            answer = one.sync(commands=[change(server_id, bad)])
            self.assertEqual([r.get("Status") for r in answer.responses("Change")], ["6"], bad)
        self.assert_empty_sync(other.sync())

    @every_form
    def test_unknown_items(self, version, form):
        device = self.phone(version, form)
        self.deliver(self.owner, "one")
        (server_id,) = device.prime()
        answer = device.sync(commands=[change("999:999", read("1")), change(device.inbox + ":777", read("1")),
                                       change("nonsense", read("1")), delete(device.inbox + ":778"),
                                       change(server_id, read("1"))])
        self.assertEqual(answer.collection_status, "1")
        self.assertEqual([r.get("Status") for r in answer.responses("Change")], ["8", "8", "8"])
        for response in answer.responses("Delete"):
            self.assertEqual(response.get("Status"), "8")
        check = device.prime()
        self.assertEqual(check[server_id].get("Email:Read"), "1")

    @every_form
    def test_delete(self, version, form):
        """DeletesAsMoves: by default and 1: to Deleted Items; 0: for good; from Deleted Items: for good."""
        one, other, _ = self.two_phones(version, form)
        self.deliver_many(self.owner, 3)
        items = one.sync_rest()
        other.sync_rest()
        ids = {d.get("Email:Subject"): i for i, d in items.items()}
        deleted = one.folders[DELETED]
        one.prime(deleted)
        for subject, setting, arrives in (("1", None, True), ("2", "1", True), ("3", "0", False)):
            answer = one.sync(commands=[delete(ids[subject])], deletes_as_moves=setting)
            self.assertEqual(answer.collection_status, "1")
            self.assertEqual(answer.responses("Delete"), [], "success is silent")
            self.assertEqual(answer.deleted, [], "no echo")
            self.assertEqual(other.sync().deleted, [ids[subject]])
            arrived = one.sync(deleted).subjects()
            self.assertEqual(arrived, [subject] if arrives else [])
        trash = one.prime(deleted)
        one.sync(deleted, commands=[delete(i) for i in trash], deletes_as_moves="1")
        self.assertEqual(one.prime(deleted), {})
        self.assert_empty_sync(one.sync())

    @every_form
    def test_change_of_a_deleted_item(self, version, form):
        one, other, server_id = self.two_phones(version, form)
        one.sync(commands=[delete(server_id)])
        answer = other.sync(commands=[change(server_id, read("1"))])
        statuses = [r.get("Status") for r in answer.responses("Change")]
        self.assertTrue(set(statuses) <= {"8", "7"} and statuses, answer)
        deleted = answer.deleted or other.sync().deleted
        self.assertEqual(deleted, [server_id])

    @every_form
    def test_conflict(self, version, form):
        """Both change Read: with Conflict 1 the server's wins and is said so, with 0 the client's."""
        for conflict in ("1", "0"):
            one, other, server_id = self.two_phones(version, form)
            options = other.options(conflict=conflict)
            other.sync(options=options)
            one.sync(commands=[change(server_id, read("1"))])
            one.sync(commands=[change(server_id, read("0"))])
            one.sync(commands=[change(server_id, read("1"))])
            answer = other.sync(commands=[change(server_id, read("0"))])
            final = [d.get("Email:Read") for d in one.prime().values()]
            if conflict == "1":
                if final == ["1"]:
                    self.assertEqual([r.get("Status") for r in answer.responses("Change")], ["7"], answer)
                    self.assertEqual(answer.changed[server_id].get("Email:Read"), "1")
            else:
                self.assertEqual(final, ["0"])
                self.assertEqual(answer.responses("Change"), [])

    @every_form
    def test_fetch(self, version, form):
        device = self.phone(version, form)
        text = "".join(f"line {n}\r\n" for n in range(2000))
        self.deliver(self.owner, "long one", text=text)
        options = device.options(body=[("1", "100")], truncation="1" if version == "2.5" else None)
        (server_id,) = device.prime(options=options)
        answer = device.sync(commands=[E("Fetch", E("ServerId", server_id)), E("Fetch", E("ServerId", "999:9"))])
        fetched = answer.responses("Fetch")
        self.assertEqual([f.get("Status") for f in fetched], ["1", "8"])
        data = fetched[0].find("ApplicationData")
        self.assertEqual(data.get("Email:Subject"), "long one")
        body = data.get("AirSyncBase:Body/Data") if device.since("12.0") else data.get("Email:Body")
        self.assertEqual(body, text)

    @every_form
    def test_add_of_mail_is_refused(self, version, form):
        device = self.phone(version, form)
        device.prime()
        add = E("Add", E("ClientId", "c1"), E("ApplicationData", E("Email:Subject", "made here")))
        answer = device.sync(commands=[add])
        self.assertEqual([(r.get("ClientId"), r.get("Status")) for r in answer.responses("Add")], [("c1", "6")], answer)

    def test_seen_before_the_change_arrives(self):
        """A message delivered and deleted by another phone before this one synced is never shown."""
        one = self.phone("14.1")
        other = self.phone("14.1", user=self.owner)
        one.prime()
        other.prime()
        self.deliver(self.owner, "short life")
        (server_id,) = one.sync().added
        one.sync(commands=[delete(server_id)])
        answer = other.sync()
        self.assertEqual(answer.added, {})
        self.assert_empty_sync(other.sync())


class Requests(SyncCase):
    @every_form
    def test_wrong_order(self, version, form):
        """Strict from 12.1 on; liberal with 2.5 and 12.0, whose clients send WindowSize and GetChanges in any order."""
        device = self.phone(version, form)
        device.prime()
        key, inbox = device.keys[device.inbox], device.inbox
        class_ = None if device.since("14.0") else E("Class", "Email")
        misordered = [
            [class_, E("CollectionId", inbox), E("SyncKey", key)],
            [class_, E("SyncKey", key), E("CollectionId", inbox), E("Commands", delete(inbox + ":1")), E("WindowSize", "5")],
        ] if device.since("12.1") else []
        for children in (
                *misordered,
                [class_, E("SyncKey", key)] if device.since("12.1") else [class_, E("CollectionId", inbox)],
                [class_, E("SyncKey", key), E("SyncKey", key), E("CollectionId", inbox)],
                [class_, E("SyncKey", key), E("CollectionId", inbox), E("MoreAvailable")],
                [class_, E("SyncKey", key), E("CollectionId", inbox), E("Commands", E("SoftDelete", E("ServerId", "1")))],
                [class_, E("SyncKey", key), E("CollectionId", inbox), E("Options", E("FilterType", "1")),
                 E("Options", E("FilterType", "2"))]):
            document = E("AirSync:Sync", E("Collections", E("Collection", children)))
            answer = device.post("Sync", document)
            self.assertEqual(answer.code, 200, document)
            statuses = [answer.status] + [c.get("Status") for c in answer.document.all("Collections/Collection")]
            self.assertIn("4", statuses, document)
        swapped = E("AirSync:Sync", E("Collections", E("Collection", class_, E("SyncKey", key), E(
            "CollectionId", inbox), E("WindowSize", "5"), E("GetChanges"))))
        answer = SyncAnswer(device.post("Sync", swapped), inbox)
        self.assertEqual("4" in (answer.status, answer.collection_status), device.since("12.1"), answer)

    @every_form
    def test_protocol_errors(self, version, form):
        device = self.phone(version, form)
        device.prime()
        inbox = device.inbox
        many = [delete(f"{inbox}:{n}") for n in range(1, 202)]
        good = device.collection(inbox)
        for document in (
                E("AirSync:Sync"), E("AirSync:Sync", E("Collections")),
                device.sync_request(device.collection(inbox, commands=many)),
                device.sync_request(device.collection(inbox, key="0", get_changes="1")),
                device.sync_request(device.collection(inbox, key="0", commands=[delete(inbox + ":1")])),
                device.sync_request(device.collection(inbox, options=E("Options", E("Email:Subject", "x")))),
                device.sync_request(device.collection(inbox, window="abc")),
                device.sync_request(good, partial=True, wait="5", heartbeat="60") if device.since("14.0") else
                E("AirSync:Sync", E("Collections", E("Collection", E("SyncKey", "0"), E("Status", "1"))))):
            answer = device.post("Sync", document)
            self.assertEqual(answer.code, 200, document)
            statuses = [answer.status] + [c.get("Status") for c in answer.document.all("Collections/Collection")]
            self.assertIn("4", statuses, document)
        self.assert_empty_sync(device.sync())

    @every_form
    def test_body_preference_errors(self, version, form):
        device = self.phone(version, form)
        if not device.since("12.0"):
            return
        for preference in (
                E("AirSyncBase:BodyPreference", E("TruncationSize", "5"), E("Type", "1")),
                [device.preference("1"), device.preference("1")],
                E("AirSyncBase:BodyPreference", E("Type", "1"), E("TruncationSize", "5"), E("AllOrNone", "2")),
                E("AirSyncBase:BodyPreference", E("Type", "1"), E("AllOrNone", "1"), E("AllOrNone", "1"))):
            answer = device.sync(key="0", options=E("AirSync:Options", preference))
            self.assertIn("4", (answer.status, answer.collection_status), preference)

    @every_form
    def test_elements_of_later_versions(self, version, form):
        """A request holding elements which its version does not know is no valid request."""
        device = self.phone(version, form)
        device.prime()
        later = {"2.5": E("Options", device.preference("1")), "12.0": None, "12.1": None,
                 "14.0": E("Options", E("AirSyncBase:BodyPartPreference", E("Type", "2")))}.get(version)
        if later is not None:
            answer = device.sync(options=later)
            self.assertTrue({"4", "6", "103"} & {answer.status, answer.collection_status}, answer)
        if version in ("2.5", "12.0"):
            answer = device.sync(wait="5")
            self.assertIn("4", (answer.status, answer.collection_status))
        if version == "12.1":
            answer = device.sync(heartbeat="60")
            self.assertIn("4", (answer.status, answer.collection_status))

    @every_form
    def test_empty_request(self, version, form):
        """From 12.1 on the last request is repeated; without one: 13."""
        device = self.phone(version, form)
        answer = device.post("Sync")
        if not device.since("12.1"):
            self.assertTrue(answer.code == 400 or answer.status == "13", answer)
            return
        self.assertEqual((answer.code, answer.status), (200, "13"), answer)
        device.prime()
        self.assert_empty_sync(device.sync())
        answer = device.post("Sync")
        self.assertEqual((answer.code, answer.http.body), (200, b""))
        self.deliver(self.owner, "for the empty one")
        answer = SyncAnswer(device.post("Sync"), device.inbox)
        self.assertEqual(answer.subjects(), ["for the empty one"])

    @every_form
    def test_partial_request(self, version, form):
        device = self.phone(version, form)
        if not device.since("12.1"):
            return
        answer = device.post("Sync", E("AirSync:Sync", E("Partial")))
        self.assertEqual(answer.status, "4")
        answer = device.post("Sync", device.sync_request(wait="5", partial=True))
        self.assertEqual(answer.status, "13")

    @every_form
    def test_wait_out_of_range(self, version, form):
        device = self.phone(version, form)
        device.prime()
        cases = []
        if device.since("12.1"):
            cases += [({"wait": "0"}, "1"), ({"wait": "60"}, "59")]
        if device.since("14.0"):
            cases += [({"heartbeat": "59"}, "60"), ({"heartbeat": "3541"}, "3540")]
        for kwargs, limit in cases:
            answer = device.post("Sync", device.sync_request(device.collection(device.inbox), **kwargs))
            self.assertEqual(answer.status, "14", kwargs)
            self.assertEqual(answer.document.get("Limit"), limit)
            self.assertFalse(answer.document.has("Collections"))

    @forms("12.1", "14.1")
    def test_too_many_collections(self, version, form):
        device = self.phone(version, form)
        document = device.sync_request([device.collection(str(n), "0") for n in range(1001)])
        answer = device.post("Sync", document)
        self.assertEqual((answer.status, answer.document.get("Limit")), ("15", "1000"))

    @every_form
    def test_drafts_and_others(self, version, form):
        """Every mail folder can be synced."""
        device = self.phone(version, form)
        for folder in (DRAFTS, DELETED, SENT):
            self.assertEqual(device.prime(device.folders[folder]), {})

    @forms("2.5")
    def test_class_without_collection_id(self, version, form):
        """Old clients name the default folder by its class."""
        device = self.phone(version, form)
        answer = device.post("Sync", E("AirSync:Sync", E("Collections", E("Collection", E("Class", "Email"), E(
            "SyncKey", "0")))))
        collection = answer.document.find("Collections/Collection")
        self.assertEqual(collection.get("Status"), "1")
        self.assertNotEqual(collection.get("SyncKey"), "0")


class LongPoll(SyncCase):
    @forms("12.1", "14.0", "14.1", "16.0", "16.1", ("14.1", "base64"))
    def test_wait(self, version, form):
        """A Sync with Wait is parked, and brings the message itself."""
        device = self.phone(version, form)
        device.prime()
        document = device.sync_request(device.collection(device.inbox), wait="5")
        device.send("Sync", document)
        self.assertTrue(device.connection.is_silent())
        self.deliver(self.owner, "brought along")
        answer = SyncAnswer(device.receive(), device.inbox)
        self.assertEqual(answer.subjects(), ["brought along"])

    def test_newer_request_ends_the_older(self):
        device = self.phone("14.1")
        device.prime()
        document = device.sync_request(device.collection(device.inbox), heartbeat="300")
        device.send("Sync", document)
        self.assertTrue(device.connection.is_silent())
        other = device.clone()
        other.send("Sync", document)
        answer = device.receive()
        self.assertEqual((answer.code, answer.http.body), (200, b""))
        self.deliver(self.owner, "to the newer")
        self.assertEqual(SyncAnswer(other.receive(), device.inbox).subjects(), ["to the newer"])


class LongPollExpiry(SyncCase):
    settings = {"push.heartbeat_min_s": "1"}

    def test_expiry(self):
        device = self.phone("14.1")
        device.prime()
        key = device.keys[device.inbox]
        document = device.sync_request(device.collection(device.inbox), heartbeat="1")
        answer = device.post("Sync", document)
        self.assertEqual((answer.code, answer.http.body), (200, b""))
        answer = device.post("Sync")
        self.assertEqual((answer.code, answer.http.body), (200, b""))
        self.deliver(self.owner, "afterwards")
        answer = SyncAnswer(device.post("Sync"), device.inbox)
        self.assertEqual(answer.subjects(), ["afterwards"])
        self.assertEqual(device.keys[device.inbox], key)


if __name__ == "__main__":
    unittest.main()
