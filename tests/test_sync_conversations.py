"""ConversationMode: older members of a conversation come, stay and go with a recent one."""

import datetime
import email.utils
import itertools
import os
import unittest

from eas.client import CALENDAR, DELETED, SENT, SyncAnswer
from eas.wbxml import E
from lib import mail
from lib.case import ServerCase, forms
from lib.server import FAKETIME

FROM_14_0 = ("14.0", "14.1", "16.0", "16.1", ("16.1", "base64"))

THREE_DAYS = "2"

_threads = itertools.count(1)


class ConversationCase(ServerCase):
    def thread(self):
        return f"<root{next(_threads)}@example.net>"

    def send(self, subject, days, thread, owner=None, **kwargs):
        """Mail that was received so many days ago."""
        age = datetime.timedelta(days=days)
        when = datetime.datetime.now(datetime.timezone.utc) - age
        message = mail.message(subject, text=f"Body of {subject}.\r\n", age=age, References=thread,
                               Received="from a.example by b.example; " + email.utils.format_datetime(when), **kwargs)
        self.server.deliver(owner or self.owner, message)

    def options(self, device, filter_type=THREE_DAYS):
        return device.options(filter_type=filter_type, body=[("1", "1000", None, "50")])

    def primed(self, version, form, mode="1", **kwargs):
        """A phone with a filter of three days, and what it lists."""
        device = self.phone(version, form, **kwargs)
        return device, self.listed(device, mode)

    def listed(self, device, mode="1"):
        device.sync(key="0", conversation_mode=mode, options=self.options(device))
        return device.sync_rest()

    def names(self, items):
        return sorted(data.get("Email:Subject") for data in items.values())

    def ids(self, items):
        return {data.get("Email:Subject"): server_id for server_id, data in items.items()}


class Members(ConversationCase):
    @forms(*FROM_14_0)
    def test_listing(self, version, form):
        """All members where one is recent; without body, with preview, those which the filter leaves out."""
        device = self.phone(version, form)
        recent, old = self.thread(), self.thread()
        for subject, days, thread in (("a1", 40, recent), ("b1", 10, old), ("a2", 20, recent), ("a3", 1, recent), ("b2", 5, old)):
            self.send(subject, days, thread)
        self.assertEqual(self.names(self.listed(device, "0")), ["a3"])
        self.assertEqual(self.names(self.listed(device, None)), ["a3"])
        items = self.listed(device)
        self.assertEqual(self.names(items), ["a1", "a2", "a3"])
        self.assertEqual(len({d.find("Email2:ConversationId").data for d in items.values()}), 1)
        for data in items.values():
            body, subject = data.find("AirSyncBase:Body"), data.get("Email:Subject")
            if subject == "a3":
                self.assertEqual(body.get("Data"), "Body of a3.\r\n")
            else:
                self.assertEqual((body.get("Data"), body.get("Truncated")), (None, "1"))
                self.assertEqual(body.get("Preview"), f"Body of {subject}.")
                self.assertEqual(body.get("EstimatedDataSize"), str(len(f"Body of {subject}.\r\n")))
        self.assert_empty_sync(device.sync())

    @forms("14.1", "16.1")
    def test_no_preview_unless_asked(self, version, form):
        device = self.phone(version, form)
        thread = self.thread()
        self.send("old", 20, thread)
        self.send("new", 0, thread)
        device.sync(key="0", conversation_mode="1", options=device.options(filter_type="1", body=[("2",)]))
        items = device.sync_rest()
        body = items[self.ids(items)["old"]].find("AirSyncBase:Body")
        self.assertEqual((body.get("Type"), body.has("Data"), body.has("Preview")), ("2", False, False))

    @forms(*FROM_14_0)
    def test_come_and_go_with_a_recent_one(self, version, form):
        device = self.phone(version, form)
        thread = self.thread()
        self.send("old", 20, thread)
        self.send("older", 30, thread)
        self.assertEqual(self.listed(device), {})
        self.send("new", 0, thread)
        added = device.sync()
        self.assertEqual(sorted(added.subjects()), ["new", "old", "older"])
        ids = self.ids(added.added)
        self.assert_empty_sync(device.sync())
        # Another recent one; the first may go then, and nothing else does.
        self.send("newer", 0, thread)
        self.assertEqual(device.sync().subjects(), ["newer"])
        answer = device.sync(commands=[E("Delete", E("ServerId", ids["new"]))])
        self.assertEqual((answer.deleted, answer.soft_deleted), ([], []))
        self.assert_empty_sync(device.sync())
        # With the last recent one the old ones leave. Another phone deletes it.
        other = self.phone(version, form, user=self.owner)
        newer = self.ids(other.prime())["newer"]
        other.sync(commands=[E("Delete", E("ServerId", newer))])
        answer = device.sync()
        self.assertEqual((answer.deleted, sorted(answer.soft_deleted)), ([newer], sorted([ids["old"], ids["older"]])))
        self.assert_empty_sync(device.sync())
        # And come back.
        self.send("newest", 0, thread)
        self.assertEqual(sorted(device.sync().subjects()), ["newest", "old", "older"])

    @forms("14.0", "14.1", "16.1")
    def test_own_deletion_of_the_recent_one(self, version, form):
        device = self.phone(version, form)
        thread = self.thread()
        self.send("old", 20, thread)
        self.send("new", 0, thread)
        ids = self.ids(self.listed(device))
        answer = device.sync(commands=[E("Delete", E("ServerId", ids["new"]))])
        self.assertEqual((answer.deleted, answer.soft_deleted or device.sync().soft_deleted), ([], [ids["old"]]))
        self.assert_empty_sync(device.sync())

    @forms("14.0", "14.1", "16.1")
    def test_recent_one_moves(self, version, form):
        """Out of the folder: the old ones leave; back again: they come."""
        device = self.phone(version, form)
        thread = self.thread()
        self.send("old", 20, thread)
        self.send("new", 0, thread)
        ids = self.ids(self.listed(device))
        inbox, sent = device.inbox, device.folders[SENT]

        def move(item, source, target):
            answer = device.post("MoveItems", E("Move:MoveItems", E(
                "Move", E("SrcMsgId", item), E("SrcFldId", source), E("DstFldId", target))))
            self.assertEqual(answer.document.get("Response/Status"), "3")
            return answer.document.get("Response/DstMsgId")

        moved = move(ids["new"], inbox, sent)
        answer = device.sync()
        self.assertEqual((answer.deleted, answer.soft_deleted), ([ids["new"]], [ids["old"]]))
        back = move(moved, sent, inbox)
        self.assertEqual(set(device.sync().added), {back, ids["old"]})
        self.assert_empty_sync(device.sync())

    @forms("14.0", "14.1", "16.1")
    def test_late_arrivals(self, version, form):
        """Old mail that is delivered now: with a recent member it comes, else not."""
        device = self.phone(version, form)
        recent, old = self.thread(), self.thread()
        self.send("new", 0, recent)
        self.listed(device)
        self.send("late", 20, recent)
        self.send("too late", 20, old)
        answer = device.sync()
        self.assertEqual(answer.subjects(), ["late"])
        (data,) = answer.added.values()
        self.assertFalse(data.has("AirSyncBase:Body/Data"))
        self.assert_empty_sync(device.sync())

    @forms("14.0", "14.1", "16.1")
    def test_only_in_its_collection(self, version, form):
        """A recent member in another folder does not count."""
        device = self.phone(version, form)
        thread = self.thread()
        self.send("old", 20, thread)
        self.send("new", 0, thread)
        ids = self.ids(self.listed(device))
        deleted = device.folders[DELETED]
        device.sync(deleted, key="0", conversation_mode="1", options=self.options(device))
        device.sync(commands=[E("Delete", E("ServerId", ids["new"]))])
        self.assertEqual(self.names(device.sync_rest(deleted)), ["new"])
        self.assertEqual(self.listed(device), {})

    @forms("14.0", "14.1", "16.1")
    def test_changes_and_fetch(self, version, form):
        one = self.phone(version, form)
        thread = self.thread()
        self.send("old", 20, thread)
        self.send("new", 0, thread)
        ids = self.ids(self.listed(one))
        other = self.phone(version, form, user=self.owner)
        self.listed(other)
        one.sync(commands=[E("Change", E("ServerId", ids["old"]), E("ApplicationData", E("Email:Read", "1")))])
        self.assertEqual(other.sync().changed[ids["old"]].names(), ["Read"])
        answer = one.sync(commands=[E("Fetch", E("ServerId", ids["old"]))])
        self.assertEqual(answer.responses("Fetch")[0].get("ApplicationData/AirSyncBase:Body/Data"), "Body of old.\r\n")

    @forms("14.0", "14.1", "16.1")
    def test_windows(self, version, form):
        """A long conversation comes in windows, each member once."""
        device = self.phone(version, form)
        thread = self.thread()
        for number in range(9):
            self.send(f"old{number}", 10 + number, thread)
        self.send("new", 0, thread)
        device.sync(key="0", conversation_mode="1", options=self.options(device))
        self.assertEqual(len(device.sync_rest(window=4)), 10)
        gone, answer = [], device.sync(conversation_mode="0", window=4)
        while not answer.is_empty:
            gone += answer.soft_deleted
            self.assertLessEqual(len(answer.soft_deleted), 4)
            answer = device.sync(window=4)
        self.assertEqual(len(gone), 9)
        self.assertEqual(len(set(gone)), 9)
        # On again, and off in the middle of the listing.
        answer = device.sync(conversation_mode="1", window=4)
        self.assertEqual((len(answer.added), answer.more), (4, True))
        back, gone = set(answer.added), []
        answer = device.sync(conversation_mode="0", window=4)
        while not answer.is_empty:
            self.assertEqual(answer.added, {})
            gone += answer.soft_deleted
            answer = device.sync(window=4)
        self.assertEqual(sorted(gone), sorted(back))


class Mode(ConversationCase):
    @forms(*FROM_14_0)
    def test_switched(self, version, form):
        """On: Adds; off: SoftDeletes; absent: what was in force, with empty and Partial requests, too."""
        device = self.phone(version, form)
        thread = self.thread()
        self.send("old", 20, thread)
        self.send("new", 0, thread)
        items = self.listed(device, None)
        self.assertEqual(self.names(items), ["new"])
        on = device.sync(conversation_mode="1")
        self.assertEqual(on.subjects(), ["old"])
        (old_id,) = on.added
        self.assert_empty_sync(device.sync())
        self.assert_empty_sync(SyncAnswer(device.post("Sync"), device.inbox))
        self.assert_empty_sync(SyncAnswer(device.post("Sync", device.sync_request(window=20, partial=True)), device.inbox))
        self.send("late", 15, thread)
        answer = SyncAnswer(device.post("Sync"), device.inbox)
        self.assertEqual(answer.subjects(), ["late"])
        (late_id,) = answer.added
        device.keys[device.inbox] = answer.key
        self.assert_empty_sync(device.sync(options=self.options(device)), )
        off = device.sync(conversation_mode="0")
        self.assertEqual((sorted(off.soft_deleted), off.deleted), (sorted([old_id, late_id]), []))
        self.assert_empty_sync(device.sync())
        on = device.sync(conversation_mode="")
        self.assertEqual(sorted(on.added), sorted([old_id, late_id]))

    @forms(*FROM_14_0)
    def test_filter_is_changed(self, version, form):
        device = self.phone(version, form)
        thread, other = self.thread(), self.thread()
        for subject, days, conversation in (("a old", 60, thread), ("a new", 1, thread), ("b old", 60, other), ("b mid", 10, other)):
            self.send(subject, days, conversation)
        ids = self.ids(self.listed(device))
        self.assertEqual(sorted(ids), ["a new", "a old"])
        wider = device.sync(options=self.options(device, "4"))
        self.assertEqual(sorted(wider.subjects()), ["b mid", "b old"])
        ids.update(self.ids(wider.added))
        narrower = device.sync(options=self.options(device))
        self.assertEqual(sorted(narrower.soft_deleted), sorted([ids["b mid"], ids["b old"]]))
        everything = device.sync(options=self.options(device, "0"))
        self.assertEqual(sorted(everything.subjects()), ["b mid", "b old"])
        for data in everything.added.values():
            self.assertTrue(data.has("AirSyncBase:Body/Data"), "nothing is outside of no filter")

    @forms(*FROM_14_0)
    def test_only_for_mail(self, version, form):
        device = self.phone(version, form)
        calendar = device.folders[CALENDAR]
        for value in ("1", "0"):
            answer = device.sync(calendar, key="0", conversation_mode=value)
            self.assertIn("4", (answer.status, answer.collection_status))
        device.prime(calendar)
        answer = device.post("GetItemEstimate", E("GetItemEstimate:GetItemEstimate", E("Collections", E(
            "Collection", E("AirSync:SyncKey", device.keys[calendar]), E("CollectionId", calendar), E("AirSync:ConversationMode", "1")))))
        self.assertEqual(answer.status, "103")

    @forms("2.5", "12.0", "12.1", ("12.1", "base64"))
    def test_not_before_14_0(self, version, form):
        device = self.phone(version, form)
        device.prime()
        answer = device.sync(conversation_mode="1")
        self.assertIn("4", (answer.status, answer.collection_status))
        self.assert_empty_sync(device.sync())

    @forms(*FROM_14_0)
    def test_estimate(self, version, form):
        device = self.phone(version, form)
        thread = self.thread()
        for number in range(4):
            self.send(f"old{number}", 20, thread)
        self.send("new", 0, thread)
        device.sync(key="0", options=self.options(device))

        def estimate(mode):
            answer = device.post("GetItemEstimate", E("GetItemEstimate:GetItemEstimate", E("Collections", E(
                "Collection", E("AirSync:SyncKey", device.keys[device.inbox]), E("CollectionId", device.inbox),
                None if mode is None else E("AirSync:ConversationMode", mode),
                E("AirSync:Options", E("FilterType", THREE_DAYS))))))
            return answer.document.get("Response/Collection/Estimate")

        self.assertEqual((estimate(None), estimate("0"), estimate("1")), ("1", "1", "5"))
        device.sync_rest(conversation_mode="1")
        self.assertEqual((estimate(None), estimate("0"), estimate("1")), ("0", "4", "0"))


class Waking(ConversationCase):
    settings = {"push.flag_wake_delay_s": "0"}

    @forms("14.0", "14.1", "16.1")
    def test_ping(self, version, form):
        """Woken for what the next Sync brings, and for nothing else."""
        device = self.phone(version, form)
        recent, old = self.thread(), self.thread()
        self.send("new", 0, recent)
        self.send("b old", 20, old)
        self.listed(device)
        other = self.phone(version, form, user=self.owner)
        everything = self.ids(other.prime())
        connection = device.ping_send()
        self.addCleanup(connection.close)
        self.assert_parked(connection)
        # Out of sight: a change of the other conversation, and an old newcomer to it.
        other.sync(commands=[E("Change", E("ServerId", everything["b old"]), E("ApplicationData", E("Email:Read", "1")))])
        self.send("b older", 30, old)
        self.assert_parked(connection)
        self.send("late", 20, recent)
        self.assert_ping(device.receive(connection), "2", [device.inbox])
        self.assertEqual(device.sync().subjects(), ["late"])

    @forms("14.0", "14.1", "16.1")
    def test_held_sync(self, version, form):
        device = self.phone(version, form)
        thread = self.thread()
        self.send("old", 20, thread)
        self.listed(device)
        device.send("Sync", device.sync_request(device.collection(device.inbox), heartbeat="300"))
        self.assert_parked(device.connection)
        self.send("older", 30, thread)
        self.assert_parked(device.connection)
        self.send("new", 0, thread)
        answer = SyncAnswer(device.receive(), device.inbox)
        self.assertEqual(sorted(answer.subjects()), ["new", "old", "older"])
        device.keys[device.inbox] = answer.key
        self.assert_empty_sync(device.sync())


class Ageing(ConversationCase):
    def live(self, days):
        if not os.path.exists(FAKETIME):
            raise AssertionError("the package faketime is missing")
        self.server.stop()
        environment = {} if days == 0 else {
            "LD_PRELOAD": FAKETIME, "FAKETIME": f"{days:+d}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        self.server.start(env=environment)

    def test_all_age_out_with_the_last_recent_one(self):
        device = self.phone("14.1")
        thread, young = self.thread(), self.thread()
        for subject, days, conversation in (("old", 20, thread), ("mid", 2, thread), ("young old", 20, young), ("young", 0, young)):
            self.send(subject, days, conversation)
        ids = self.ids(self.listed(device))
        self.assertEqual(len(ids), 4)
        device.close()
        self.live(2)
        try:
            answer = device.sync()
            self.assertEqual((sorted(answer.soft_deleted), answer.deleted), (sorted([ids["old"], ids["mid"]]), []))
            self.assert_empty_sync(device.sync())
        finally:
            device.close()
            self.live(0)


if __name__ == "__main__":
    unittest.main()
