"""Sync's options for mail: conflicts, refusals, sticky Options, Supported, windows, GetChanges, where each status stands."""

import datetime
import email.utils
import unittest

from eas.client import CALENDAR, CONTACTS, DELETED, DRAFTS, NOTES, SENT, SyncAnswer
from eas.wbxml import E
from lib import mail
from lib.case import ServerCase, forms

# Bodies do not depend on the form of the query: one version in base64 is enough.
every_version = forms("2.5", "12.0", "12.1", "14.0", "14.1", ("14.1", "base64"), "16.0", "16.1")
FROM_12_1 = ("12.1", "14.0", "14.1", "16.0", "16.1", ("14.1", "base64"))
FROM_14_0 = ("14.0", "14.1", "16.0", "16.1", ("16.1", "base64"))


def change(server_id, *properties):
    return E("Change", E("ServerId", server_id), E("ApplicationData", list(properties)))


def delete(server_id):
    return E("Delete", E("ServerId", server_id))


def read(value):
    return E("Email:Read", value)


def flag(status="2", type_="for Follow Up"):
    return E("Email:Flag") if status == "0" else E("Email:Flag", E("Status", status), E("FlagType", type_))


def categories(*names):
    return E("Email:Categories", [E("Category", name) for name in names])


class OptionsCase(ServerCase):
    def deliver_many(self, owner, count, prefix="", **kwargs):
        with self.server.lmtp() as lmtp:
            for number in range(1, count + 1):
                answer = lmtp.deliver(owner.address, mail.message(f"{prefix}{number}", **kwargs))
                self.assertTrue(answer[0].startswith("250"), answer)

    def statuses(self, answer, name="Change"):
        return [(r.get("ServerId"), r.get("Status")) for r in answer.responses(name)]

    def several(self, device, *collections, **kwargs):
        """One request for several collections; the answer of each, keys remembered."""
        answer = device.post("Sync", device.sync_request(*collections, **kwargs))
        found = {}
        for collection in collections:
            one = SyncAnswer(answer, collection.get("CollectionId"))
            if one.collection is not None:
                found[collection.get("CollectionId")] = one
                if one.collection_status == "1":
                    device.keys[collection.get("CollectionId")] = one.key
        return answer, found


class Conflicts(OptionsCase):
    def pair(self, version, form, conflict):
        """Two phones; the first has marked the message read, the second does not know yet."""
        one = self.phone(version, form)
        other = self.phone(version, form, user=self.owner)
        self.deliver(self.owner, "shared")
        (server_id,) = one.prime()
        options = None if conflict is None else other.options(conflict=conflict)
        other.prime(options=options)
        one.sync(commands=[change(server_id, read("1"))])
        return one, other, server_id

    @every_version
    def test_server_wins(self, version, form):
        """Conflict 1, and where nothing is said: Status 7, and the server's version follows."""
        for conflict in ("1", None):
            one, other, server_id = self.pair(version, form, conflict)
            answer = other.sync(commands=[change(server_id, read("0"))])
            self.assertEqual(self.statuses(answer), [(server_id, "7")])
            self.assertEqual(answer.changed[server_id].names(), ["Read"])
            self.assertEqual(answer.changed[server_id].get("Email:Read"), "1")
            self.assert_empty_sync(other.sync())
            self.assert_empty_sync(one.sync())
            # It has the server's version now, and may change that.
            answer = other.sync(commands=[change(server_id, read("0"))])
            self.assertEqual((self.statuses(answer), answer.changed), ([], {}))
            self.assertEqual(one.sync().changed[server_id].get("Email:Read"), "0")

    @every_version
    def test_client_wins(self, version, form):
        one, other, server_id = self.pair(version, form, "0")
        answer = other.sync(commands=[change(server_id, read("0"))])
        self.assertEqual((self.statuses(answer), answer.changed), ([], {}))
        self.assert_empty_sync(other.sync())
        self.assertEqual(one.sync().changed[server_id].get("Email:Read"), "0")
        self.assert_empty_sync(one.sync())

    @every_version
    def test_changed_on_both_sides_without_conflict(self, version, form):
        """Different properties: both are kept, and each phone hears of the other's."""
        one, other, server_id = self.pair(version, form, "1")
        if not one.since("12.0"):
            return
        answer = other.sync(commands=[change(server_id, flag())])
        self.assertEqual(self.statuses(answer), [])
        self.assertEqual(answer.changed[server_id].names(), ["Read"])
        self.assertEqual(one.sync().changed[server_id].names(), ["Flag"])

    @every_version
    def test_what_did_not_conflict_is_put_right_too(self, version, form):
        """The whole command was refused, so the server's version of all that was in it follows."""
        one, other, server_id = self.pair(version, form, "1")
        if not one.since("12.0"):
            return
        properties, names = [read("0"), flag()], {"Read", "Flag"}
        if one.since("14.0"):
            properties.append(categories("Red"))
            names.add("Categories")
        answer = other.sync(commands=[change(server_id, *properties)])
        self.assertEqual(self.statuses(answer), [(server_id, "7")])
        data = answer.changed[server_id]
        self.assertEqual(set(data.names()), names)
        self.assertEqual((data.get("Email:Read"), data.get("Email:Flag/Status"), data.get("Email:Categories/Category")),
                         ("1", None, None))
        self.assert_empty_sync(other.sync())
        self.assert_empty_sync(one.sync())

    @every_version
    def test_put_right_later(self, version, form):
        """Without GetChanges nothing is lost: the server's version comes with the next Sync, as does its Ping."""
        one, other, server_id = self.pair(version, form, "1")
        answer = other.sync(commands=[change(server_id, read("0"))], get_changes="0")
        self.assertEqual((self.statuses(answer), answer.changed), ([(server_id, "7")], {}))
        self.assert_ping(other.ping(), "2", [other.inbox])
        self.assertEqual(other.sync().changed[server_id].get("Email:Read"), "1")
        connection = other.ping_send()
        self.addCleanup(connection.close)
        self.assert_parked(connection)

    @every_version
    def test_only_the_conflicting_one_of_many(self, version, form):
        one = self.phone(version, form)
        other = self.phone(version, form, user=self.owner)
        self.deliver_many(self.owner, 3)
        ids = {d.get("Email:Subject"): i for i, d in one.prime().items()}
        other.prime()
        one.sync(commands=[change(ids["2"], read("1"))])
        answer = other.sync(commands=[change(ids["1"], read("1")), change(ids["2"], read("0")), delete(ids["3"])])
        self.assertEqual((self.statuses(answer), self.statuses(answer, "Delete")), ([(ids["2"], "7")], []))
        self.assertEqual((list(answer.changed), answer.deleted), ([ids["2"]], []))
        answer = one.sync()
        self.assertEqual((list(answer.changed), answer.deleted), ([ids["1"]], [ids["3"]]))

    @every_version
    def test_delete_beats_change(self, version, form):
        """Whoever deletes wins, with either setting."""
        for conflict in ("0", "1"):
            one, other, server_id = self.pair(version, form, conflict)
            answer = other.sync(commands=[delete(server_id)])
            self.assertEqual((self.statuses(answer, "Delete"), answer.changed, answer.deleted), ([], {}, []))
            self.assertEqual(one.sync().deleted, [server_id])
            one, other, server_id = self.pair(version, form, conflict)
            one.sync(commands=[delete(server_id)])
            answer = other.sync(commands=[change(server_id, read("0"))])
            self.assertIn(self.statuses(answer), ([(server_id, "8")], [(server_id, "7")]))
            self.assertEqual(answer.deleted, [server_id])
            self.assert_empty_sync(other.sync())

    @every_version
    def test_sticky(self, version, form):
        """The setting stays until another Options block comes, which replaces it as a whole."""
        one, other, server_id = self.pair(version, form, "0")
        other.sync(commands=[change(server_id, read("0"))])
        one.sync()
        one.sync(commands=[change(server_id, read("1"))])
        self.assertEqual(self.statuses(other.sync(commands=[change(server_id, read("0"))])), [], "still the client")
        one.sync()
        other.sync(options=other.options(filter_type="0"))
        one.sync(commands=[change(server_id, read("1"))])
        answer = other.sync(commands=[change(server_id, read("0"))])
        self.assertEqual(self.statuses(answer), [(server_id, "7")], "the default again")


class Refusals(OptionsCase):
    @every_version
    def test_bad_change_is_put_right(self, version, form):
        """Item Status 6: nothing of the command was done, and the phone gets the server's version."""
        device = self.phone(version, form)
        if not device.since("12.0"):
            return
        self.deliver(self.owner, "one")
        (server_id,) = device.prime()
        answer = device.sync(commands=[change(server_id, read("1"), flag("7"))])
        self.assertEqual(self.statuses(answer), [(server_id, "6")])
        data = answer.changed[server_id]
        self.assertEqual(set(data.names()), {"Read", "Flag"})
        self.assertEqual((data.get("Email:Read"), data.get("Email:Flag/Status")), ("0", None))
        self.assert_empty_sync(device.sync())

    @forms("16.0", "16.1", ("16.1", "base64"))
    def test_bad_delete_brings_the_item_back(self, version, form):
        device = self.phone(version, form)
        self.deliver(self.owner, "one")
        (server_id,) = device.prime()
        # No date; and one occurrence of what has none.
        for instance in ("tomorrow", "20260301T120000Z"):
            bad = E("Delete", E("ServerId", server_id), E("AirSyncBase:InstanceId", instance))
            answer = device.sync(commands=[bad])
            self.assertEqual(self.statuses(answer, "Delete"), [(server_id, "6")])
            added = answer.added or device.sync().added
            self.assertEqual(list(added), [server_id])
            self.assert_empty_sync(device.sync())

    @every_version
    def test_lost_answer_to_a_refusal(self, version, form):
        """The same refusal again, and what puts it right."""
        one = self.phone(version, form)
        other = self.phone(version, form, user=self.owner)
        self.deliver(self.owner, "one")
        (server_id,) = one.prime()
        other.prime()
        one.sync(commands=[change(server_id, read("1"))])
        key = other.keys[other.inbox]
        for _ in range(3):
            answer = other.sync(key=key, commands=[change(server_id, read("0"))])
            self.assertEqual(self.statuses(answer), [(server_id, "7")])
            self.assertEqual(answer.changed[server_id].get("Email:Read"), "1")
        self.assert_empty_sync(other.sync())

    @every_version
    def test_add_of_mail(self, version, form):
        """Refused in mail folders of every kind but the Drafts of 16.0; other Adds in the request are answered one by one."""
        device = self.phone(version, form)
        class_ = E("Class", "Email") if device.since("14.0") else None
        folders = [None, device.folders[SENT]] + ([] if device.since("16.0") else [device.folders[DRAFTS]])
        for folder in folders:
            device.prime(folder)
            commands = [E("Add", c, E("ClientId", f"c{n}"), E("ApplicationData", E("Email:Subject", "x")))
                        for n, c in enumerate([None, class_])]
            answer = device.sync(folder, commands=commands)
            self.assertEqual([(r.get("ClientId"), r.get("Status"), r.has("ServerId")) for r in answer.responses("Add")],
                             [("c0", "6", False), ("c1", "6", False)])
            self.assertEqual(device.prime(folder), {})


class Sticky(OptionsCase):
    @every_version
    def test_body_options(self, version, form):
        """Without a block the stored one is used; a block replaces it whole; key 0 begins with the defaults."""
        device = self.phone(version, form)
        text = "0123456789" * 100 + "\r\n"
        short = {"2.5": {"truncation": "1"}}.get(version, {"body": [("1", "10")]})

        def cut():
            self.deliver(self.owner, text=text)
            (data,) = device.sync().added.values()
            if device.since("12.0"):
                return data.get("AirSyncBase:Body/Truncated") == "1"
            return data.get("Email:BodyTruncated") == "1"

        device.prime(options=device.options(**short))
        self.assertTrue(cut())
        self.assertTrue(cut(), "no block: as before")
        device.sync(options=device.options(conflict="1", body=[("1",)]))
        self.assertFalse(cut(), "the block without a limit")
        device.sync(options=device.options(**short))
        self.assertTrue(cut())
        device.prime()
        self.assertFalse(cut(), "a new start")

    @forms(*FROM_12_1)
    def test_empty_and_partial_requests(self, version, form):
        """Options of earlier requests hold for requests without any."""
        device = self.phone(version, form)
        device.prime(options=device.options(body=[("1", "5")]))
        device.sync()
        for document in (None, device.sync_request(window=50, partial=True)):
            self.deliver(self.owner, text="0123456789\r\n")
            answer = SyncAnswer(device.post("Sync", document), device.inbox)
            (data,) = answer.added.values()
            self.assertEqual(data.get("AirSyncBase:Body/Data"), "01234")
            device.keys[device.inbox] = answer.key
            device.sync()

    @every_version
    def test_filter(self, version, form):
        device = self.phone(version, form)
        device.prime(options=device.options(filter_type="1"))
        old = "from a.example by b.example; Mon, 05 Jan 2026 10:00:00 +0000"
        self.deliver(self.owner, "old", Received=old)
        self.assert_empty_sync(device.sync())
        self.assertEqual(device.sync(options=device.options(conflict="0")).subjects(), ["old"], "no FilterType is no filter")

    @every_version
    def test_repeated_elements_in_a_block(self, version, form):
        """Undefined by the documents: the last one counts."""
        device = self.phone(version, form)
        self.deliver(self.owner, "one")
        options = E("AirSync:Options", E("FilterType", "5"), E("FilterType", "0"), E("Conflict", "1"), E("Conflict", "0"))
        self.assertEqual(len(device.prime(options=options)), 1)


class Supported(OptionsCase):
    def begin(self, device, folder, supported, key="0"):
        class_ = None if device.since("14.0") else E("Class", {
            device.folders[CONTACTS]: "Contacts", device.folders[CALENDAR]: "Calendar"}.get(folder, "Email"))
        document = E("AirSync:Sync", E("Collections", E("Collection", class_, E("SyncKey", key), E("CollectionId", folder), supported)))
        return SyncAnswer(device.post("Sync", document), folder)

    @every_version
    def test_taken_with_key_0(self, version, form):
        device = self.phone(version, form)
        for folder, supported in ((device.folders[CONTACTS], E("Supported", E("Contacts:FirstName"), E("Contacts2:NickName"))),
                                  (device.folders[CONTACTS], E("Supported")), (device.inbox, E("Supported", E("Email:Subject")))):
            answer = self.begin(device, folder, supported)
            self.assertEqual(answer.collection_status, "1", supported)
            device.keys[folder] = answer.key
            # Later it is ignored, without an error.
            answer = self.begin(device, folder, E("Supported", E("Contacts:LastName")), key=answer.key)
            self.assertIn(answer.collection_status, (None, "1"))
            self.assertIsNone(answer.status)

    @every_version
    def test_wrong(self, version, form):
        device = self.phone(version, form)
        for supported in (E("Supported", E("Contacts:FirstName", "text")), E("Supported", E("Status"))):
            answer = self.begin(device, device.folders[CONTACTS], supported)
            self.assertIn("4", (answer.status, answer.collection_status), supported)

    @forms(*FROM_14_0)
    def test_not_for_notes(self, version, form):
        device = self.phone(version, form)
        notes = device.folders[NOTES]
        answer = self.begin(device, notes, E("Supported", E("Notes:Subject")))
        self.assertIn("4", (answer.status, answer.collection_status))
        self.assertEqual(self.begin(device, notes, None).collection_status, "1")


class Windows(OptionsCase):
    @forms(*FROM_12_1)
    def test_global_below_the_sum(self, version, form):
        """In the order of the request until the whole is full; what did not fit comes next time, with its old key."""
        device = self.phone(version, form)
        inbox, deleted = device.inbox, device.folders[DELETED]
        self.deliver_many(self.owner, 4, "d")
        ids = device.prime()
        device.prime(deleted)
        device.sync(commands=[delete(i) for i in ids])
        self.deliver_many(self.owner, 4, "i")
        seen, sizes = {inbox: [], deleted: []}, []
        while True:
            answer, found = self.several(
                device, device.collection(inbox, window=3), device.collection(deleted, window=3), window=5)
            if answer.document is None:
                break
            sizes.append([len(found[f].added) if f in found else 0 for f in (inbox, deleted)])
            self.assertLess(len(sizes), 10)
            for folder, one in found.items():
                self.assertEqual(one.collection_status, "1")
                seen[folder] += one.subjects()
        self.assertEqual(sizes, [[3, 2], [1, 2]])
        self.assertEqual({f: sorted(s) for f, s in seen.items()}, {
            inbox: ["i1", "i2", "i3", "i4"], deleted: ["d1", "d2", "d3", "d4"]})

    @forms(*FROM_12_1)
    def test_collection_that_did_not_fit(self, version, form):
        """It says so or is left out; its key stays good and nothing of it is lost."""
        device = self.phone(version, form)
        inbox, sent = device.inbox, device.folders[SENT]
        self.deliver_many(self.owner, 2)
        device.sync(key="0")
        device.sync(sent, key="0")
        key = device.keys[sent]
        _, found = self.several(device, device.collection(inbox), device.collection(sent), window=1)
        self.assertTrue(found[inbox].more)
        if sent in found:
            self.assertEqual((found[sent].collection_status, found[sent].added), ("1", {}))
        # Nothing is in it: the next answer may have its window.
        _, found = self.several(device, device.collection(sent, key), device.collection(inbox), window=1)
        self.assertEqual((len(found[inbox].added), found[inbox].more), (1, False))

    @forms(*FROM_12_1)
    def test_answers_do_not_count(self, version, form):
        """The window is for the server's changes; all commands are done and answered."""
        device = self.phone(version, form)
        other = self.phone(version, form, user=self.owner)
        self.deliver_many(self.owner, 4, "old")
        items = device.prime()
        other.prime()
        other.sync(commands=[change(i, read("1")) for i in items])
        self.deliver_many(self.owner, 3, "new")
        commands = [change(i, read("0")) for i in items] + [E("Fetch", E("ServerId", i)) for i in items]
        answer = device.sync(commands=commands, window=2)
        self.assertEqual(self.statuses(answer), [(i, "7") for i in items])
        self.assertEqual(self.statuses(answer, "Fetch"), [(i, "1") for i in items])
        self.assertEqual(len(answer.changed) + len(answer.added), 2)
        self.assertTrue(answer.more)
        changed, added = dict(answer.changed), dict(answer.added)
        while answer.more:
            answer = device.sync(window=2)
            self.assertLessEqual(len(answer.changed) + len(answer.added), 2)
            changed.update(answer.changed)
            added.update(answer.added)
        self.assertEqual((set(changed), len(added)), (set(items), 3))
        self.assertEqual({d.get("Email:Read") for d in changed.values()}, {"1"})

    @every_version
    def test_all_kinds_count(self, version, form):
        """Adds, Changes, Deletes and SoftDeletes share the window."""
        device = self.phone(version, form)
        other = self.phone(version, form, user=self.owner)
        self.deliver_many(self.owner, 4)
        device.prime()
        ids = list(other.prime())
        other.sync(commands=[delete(ids[0]), delete(ids[1]), change(ids[2], read("1")), change(ids[3], read("1"))])
        self.deliver_many(self.owner, 2, "new")
        total, answer = 0, None
        while answer is None or answer.more:
            answer = device.sync(window=2)
            count = len(answer.added) + len(answer.changed) + len(answer.deleted)
            self.assertLessEqual(count, 2)
            total += count
        self.assertEqual(total, 6)

    @every_version
    def test_filter_is_changed_in_mid_listing(self, version, form):
        """Narrowed and widened before the list is through: in the end the phone has what the last filter shows."""
        device = self.phone(version, form)
        ages = [0, 2, 5, 10, 20] * 2
        for number, days in enumerate(ages):
            self.deliver(self.owner, f"{number}", Received=self.received(days))

        def expected(days):
            return sorted(str(n) for n, age in enumerate(ages) if age < days)

        device.sync(key="0", options=device.options(filter_type="0"))
        held = {}
        for filter_type, rounds, days in (("0", 2, None), ("1", 1, None), ("3", 1, None), ("2", 2, None), ("4", 1, None),
                                          ("2", 20, 3), ("0", 1, None), ("4", 20, 14)):
            options = device.options(filter_type=filter_type)
            for _ in range(rounds):
                answer = device.sync(options=options, window=2)
                options = None
                self.assertFalse(set(held) & set(answer.added), "added twice")
                held.update({i: d.get("Email:Subject") for i, d in answer.added.items()})
                for gone in answer.soft_deleted:
                    del held[gone]
                self.assertEqual(answer.deleted, [])
            if days:
                self.assertEqual(sorted(held.values()), expected(days))
                self.assert_empty_sync(device.sync())

    def received(self, days):
        when = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=days)
        return "from a.example by b.example; " + email.utils.format_datetime(when)


class SmallAnswers(OptionsCase):
    settings = {"sync.response_max_bytes": "65536"}

    @every_version
    def test_bytes(self, version, form):
        """An answer ends at its size, though the window has room; a larger item goes alone."""
        device = self.phone(version, form)
        options = device.options(body=[("1",)])
        for number, size in enumerate((20000, 20000, 20000, 20000, 200000, 20000)):
            self.deliver(self.owner, str(number), text=("x" * 78 + "\r\n") * (size // 80))
        device.sync(key="0", options=options)
        sizes, subjects = [], []
        while True:
            answer = device.sync(window=100)
            if answer.is_empty or not answer.added:
                break
            sizes.append(len(answer.http.body))
            subjects += answer.subjects()
            if len(answer.added) > 1:
                self.assertLess(sizes[-1], 65536 + 1000)
            self.assertLess(len(sizes), 10)
            if not answer.more:
                break
        self.assertEqual(subjects, ["5", "4", "3", "2", "1", "0"])
        self.assertEqual(len(sizes), 4)

    @forms(*FROM_12_1)
    def test_bytes_of_several_collections(self, version, form):
        """All share it; each may send one item at least, and nothing is lost."""
        device = self.phone(version, form)
        options = device.options(body=[("1",)])
        inbox, deleted = device.inbox, device.folders[DELETED]
        text = ("x" * 78 + "\r\n") * 400
        self.deliver_many(self.owner, 3, "d", text=text)
        ids = device.prime()
        device.sync(commands=[delete(i) for i in ids])
        self.deliver_many(self.owner, 3, "i", text=text)
        device.sync(key="0", options=options)
        device.sync(deleted, key="0", options=options)
        seen = []
        for _ in range(10):
            answer, found = self.several(device, device.collection(inbox), device.collection(deleted))
            if answer.document is None:
                break
            for one in found.values():
                seen += one.subjects()
        self.assertEqual(sorted(seen), ["d1", "d2", "d3", "i1", "i2", "i3"])


class GetChanges(OptionsCase):
    @every_version
    def test_with_commands(self, version, form):
        """0: the commands are done and answered with a new key; the server's changes wait, and are not announced."""
        device = self.phone(version, form)
        self.deliver(self.owner, "first")
        (server_id,) = device.prime()
        self.deliver_many(self.owner, 3)
        key = device.keys[device.inbox]
        answer = device.sync(commands=[change(server_id, read("1"))], get_changes="0", window=1)
        self.assertEqual((answer.collection_status, answer.added, answer.more), ("1", {}, False))
        self.assertNotEqual(answer.key, key)
        self.assertEqual(len(device.sync(get_changes="1", window=2).added), 2)
        self.assertEqual(len(device.sync(window=2).added), 1)

    @every_version
    def test_with_key_0(self, version, form):
        device = self.phone(version, form)
        for value in ("", "1"):
            answer = device.sync(key="0", get_changes=value)
            self.assertIn("4", (answer.status, answer.collection_status))
        answer = device.sync(key="0", get_changes="0")
        self.assertEqual((answer.collection_status, answer.more, answer.added), ("1", False, {}))

    @every_version
    def test_options_are_taken_all_the_same(self, version, form):
        device = self.phone(version, form)
        old = "from a.example by b.example; Mon, 05 Jan 2026 10:00:00 +0000"
        self.deliver(self.owner, "old", Received=old)
        device.prime(options=device.options(filter_type="1"))
        device.sync(get_changes="0", options=device.options(filter_type="0"))
        self.assertEqual(device.sync().subjects(), ["old"])


if __name__ == "__main__":
    unittest.main()
