"""A phone's own changes while answers get lost and windows are unfinished: it never conflicts with itself, and its last word stands; and bounds of responses."""

import unittest

from eas.client import SENT, SyncAnswer
from eas.wbxml import E
from lib.case import forms
from test_sync import SyncCase, change, flag, read

SOME = ("12.1", "14.1", "16.1")


def statuses(answer):
    return [e.get("Status") for e in answer.responses("Change")]


class OwnChanges(SyncCase):
    def one_item(self, version, form):
        device = self.phone(version, form)
        self.deliver(self.owner, "first")
        (server_id,) = device.prime()
        return device, server_id

    def reads(self, device, server_id):
        """What a second phone is told."""
        other = self.phone(device.version, device.form, user=self.owner)
        return other.prime()[server_id].get("Email:Read")

    @forms(*SOME)
    def test_twice_while_catching_up(self, version, form):
        """In an unfinished run of changes the phone touches the same message twice, in two groups."""
        device = self.phone(version, form)
        device.prime()
        for number in range(6):
            self.deliver(self.owner, f"message {number}")
        (server_id,) = device.sync(window=1).added
        self.assertEqual(statuses(device.sync(window=1, commands=[change(server_id, read("1"))])), [])
        answer = device.sync(window=1, commands=[change(server_id, flag("2"))])
        self.assertEqual((statuses(answer), list(answer.changed)), ([], []))
        self.assertNotIn(server_id, device.sync(window=50).changed)

    @forms(*SOME)
    def test_other_value_after_a_lost_answer(self, version, form):
        device, server_id = self.one_item(version, form)
        self.deliver(self.owner, "news")
        device.sync(commands=[change(server_id, read("1"))], keep_key=True)
        answer = device.sync(commands=[change(server_id, read("0"))])
        self.assertEqual((statuses(answer), list(answer.changed)), ([], []))
        self.assertEqual(self.reads(device, server_id), "0")

    @forms(*SOME)
    def test_back_and_forth_over_lost_answers(self, version, form):
        """1 lost, 0 lost, 1 again: 1 is the last word, also when other mail arrives between."""
        for news in (False, True):
            with self.subTest(news=news):
                device, server_id = self.one_item(version, form)
                for value in "101":
                    if news:
                        self.deliver(self.owner, "news")
                    answer = device.sync(commands=[change(server_id, read(value))], keep_key=True)
                    self.assertEqual((statuses(answer), list(answer.changed)), ([], []))
                device.keys[device.inbox] = answer.key
                self.assertNotIn(server_id, device.sync().changed)
                self.assertEqual(self.reads(device, server_id), "1")

    @forms(*SOME)
    def test_two_values_in_one_request_twice(self, version, form):
        device, server_id = self.one_item(version, form)
        commands = [change(server_id, read("1")), change(server_id, read("0"))]
        device.sync(commands=commands, keep_key=True)
        device.sync(commands=[change(server_id, read("1"))], keep_key=True)
        self.assertEqual(statuses(device.sync(commands=commands)), [])
        self.assertEqual(self.reads(device, server_id), "0")

    @forms(*SOME)
    def test_somebody_else_after_the_lost_answer(self, version, form):
        """What was done once is not done again over a later change of another phone."""
        device, server_id = self.one_item(version, form)
        other = self.phone(version, form, user=self.owner)
        other.prime()
        device.sync(commands=[change(server_id, read("1"))], keep_key=True)
        other.sync()
        self.assertEqual(statuses(other.sync(commands=[change(server_id, read("0"))])), [])
        answer = device.sync(commands=[change(server_id, read("1"))])
        self.assertEqual(statuses(answer), [])
        told = dict(answer.changed)
        told.update(device.sync().changed)
        self.assertEqual(told[server_id].get("Email:Read"), "0")
        self.assertEqual(self.reads(device, server_id), "0")

    @forms(*SOME)
    def test_the_same_wish_is_no_conflict(self, version, form):
        device, server_id = self.one_item(version, form)
        other = self.phone(version, form, user=self.owner)
        other.prime()
        device.sync(commands=[change(server_id, read("1"))])
        self.assertEqual(statuses(other.sync(commands=[change(server_id, read("1"))])), [])

    def test_one_spelling_of_a_folder(self):
        device = self.phone("14.1")
        for alias in ("0" + device.inbox, "+" + device.inbox, device.inbox + " "):
            answer = device.post("Sync", device.sync_request(device.collection(device.inbox, "0"), device.collection(alias, "0")))
            self.assertEqual(SyncAnswer(answer, alias).collection_status, "12")


class Waiting(SyncCase):
    settings = {"push.heartbeat_min_s": "60"}

    @forms("14.1", "16.1")
    def test_partial_after_news_waits(self, version, form):
        """Held, news, Partial with the new key, empty: each of them waits."""
        device = self.phone(version, form)
        device.prime()
        device.prime(device.folders[SENT])
        device.send("Sync", device.sync_request(device.collection(device.inbox), device.collection(device.folders[SENT]),
                                                heartbeat="600"))
        self.assert_parked(device.connection)
        self.deliver(self.owner, "news")
        device.keys[device.inbox] = SyncAnswer(device.receive(), device.inbox).key
        device.send("Sync", device.sync_request(device.collection(device.inbox), partial=True))
        self.assert_parked(device.connection)
        device.close()
        device.send("Sync", None)
        self.assert_parked(device.connection)
        device.close()


class TwoBadOnes(SyncCase):
    settings = {"sync.repeats_max": "6"}

    def test_both_are_set_aside(self):
        """A phone that takes no answer with one of two messages in it gets on all the same."""
        device = self.phone("14.1")
        for number in range(4):
            self.deliver(self.owner, f"message {number}")
        device.sync(key="0")
        key = device.keys[device.inbox]
        bad = set(list(device.sync(key=key, keep_key=True).added)[:2])
        for _ in range(40):
            answer = device.sync(key=key, keep_key=True)
            if not bad & set(answer.added):
                break
        else:
            self.fail("it never gets past them")
        device.keys[device.inbox] = answer.key
        self.assertEqual(len(answer.added) + len(device.sync_rest()), 2)
        events = self.server.bellhop("log", "list", "--user", self.owner.address).stdout
        self.assertEqual(events.count("item withheld"), 2)


class Bounds(SyncCase):
    settings = {"sync.response_max_bytes": "100000", "eas.operations_max_bytes": "1048576"}

    def big(self, subject, size):
        self.deliver(self.owner, subject, text=("y" * 70 + "\r\n") * (size // 72))

    def create_folder(self, device, name):
        answer = device.post("FolderCreate", E("FolderHierarchy:FolderCreate", E("SyncKey", device.hierarchy_key), E("ParentId", "0"),
                                               E("DisplayName", name), E("Type", "12")))
        device.hierarchy_key = answer.document.get("SyncKey")
        return answer.document.get("ServerId")

    @forms("14.1")
    def test_of_all_collections_together(self, version, form):
        """The bound is the response's: at least one item, but not one for each folder."""
        device = self.phone(version, form)
        folders = [device.inbox] + [self.create_folder(device, f"F{n}") for n in range(3)]
        for number in range(4):
            self.big(f"big {number}", 150000)
        items = list(device.prime())
        for folder, item in zip(folders[1:], items):
            device.post("MoveItems", E("Move:MoveItems", E("Move", E("SrcMsgId", item), E("SrcFldId", device.inbox), E("DstFldId", folder))))
        keys = [device.sync(f, key="0").key for f in folders]
        total, rounds = 0, 0
        while rounds < 10:
            answer = device.post("Sync", device.sync_request(*[device.collection(f, k) for f, k in zip(folders, keys)]))
            if answer.document is None:
                break
            added = 0
            for at, folder in enumerate(folders):
                part = SyncAnswer(answer, folder)
                if part.collection is not None:
                    added += len(part.added)
                    keys[at] = part.key
            self.assertLessEqual(added, 1)
            total, rounds = total + added, rounds + 1
        self.assertEqual(total, 4)

    @forms("2.5", "14.1")
    def test_of_fetches(self, version, form):
        """What does not fit any more is refused with a status; the first always comes."""
        device = self.phone(version, form)
        self.big("big", 400000)
        (server_id,) = device.prime()
        answer = device.sync(commands=[E("Fetch", E("ServerId", server_id))] * 5)
        found = [e.get("Status") for e in answer.responses("Fetch")]
        self.assertEqual(found[0], "1")
        self.assertEqual(found[-1], "16" if device.since("12.1") else "5")
        self.assertLessEqual(found.count("1"), 3)


if __name__ == "__main__":
    unittest.main()
