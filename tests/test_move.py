"""MoveItems: statuses item by item, lost answers, what the next Syncs tell, the room in a deleted folder."""

import json
import unittest

from eas.client import CALENDAR, CONTACTS, DELETED, SENT
from eas.wbxml import E
from lib import mail
from lib.case import ServerCase, forms, retry

# Bodies do not depend on the form of the query: one version in base64 is enough.
VERSIONS = forms("2.5", "12.0", "12.1", "14.0", "14.1", ("14.1", "base64"), "16.0", "16.1")


class MoveCase(ServerCase):
    def move(self, *triples):
        return [E("Move:Move", E("SrcMsgId", item), E("SrcFldId", source), E("DstFldId", target))
                for item, source, target in triples]

    def post(self, device, *moves):
        return device.post("MoveItems", E("Move:MoveItems", list(moves)))

    def results(self, answer):
        """[(SrcMsgId, Status, DstMsgId or None)]"""
        self.assertEqual(answer.code, 200, answer)
        self.assertEqual(set(answer.document.names()), {"Response"}, answer)
        for response in answer.document.all("Response"):
            names = ["SrcMsgId", "Status"] + (["DstMsgId"] if response.get("Status") == "3" else [])
            self.assertEqual(response.names(), names)
        return [(r.get("SrcMsgId"), r.get("Status"), r.get("DstMsgId")) for r in answer.document.all("Response")]

    def folder(self, device, name, type_="12"):
        answer = device.post("FolderCreate", E("FolderHierarchy:FolderCreate", E("SyncKey", device.hierarchy_key),
                                               E("ParentId", "0"), E("DisplayName", name), E("Type", type_)))
        self.assertEqual(answer.status, "1", answer)
        device.hierarchy_key = answer.document.get("SyncKey")
        return answer.document.get("ServerId")

    def with_mail(self, version, form, *subjects):
        """A phone that holds these; {subject: server id}."""
        device = self.phone(version, form)
        with self.server.lmtp() as lmtp:
            for subject in subjects:
                lmtp.deliver(self.owner.address, mail.message(subject))
        return device, {data.get("Email:Subject"): item for item, data in device.prime().items()}


class Moves(MoveCase):
    @VERSIONS
    def test_move(self, version, form):
        """Moved, answered with the new id; Sync tells the Delete in the source and the Add in the target."""
        device, ids = self.with_mail(version, form, "one", "two", "three")
        folder = self.folder(device, "Target")
        device.prime(folder)
        (one, two) = self.results(self.post(device, *self.move(
            (ids["one"], device.inbox, folder), (ids["two"], device.inbox, folder))))
        self.assertEqual((one[:2], two[:2]), ((ids["one"], "3"), (ids["two"], "3")))
        gone = device.sync()
        self.assertEqual(sorted(gone.deleted), sorted([ids["one"], ids["two"]]))
        self.assertEqual(gone.added, {})
        came = device.sync(folder)
        self.assertEqual({i: d.get("Email:Subject") for i, d in came.added.items()}, {one[2]: "one", two[2]: "two"})
        # And on, with its properties.
        (again,) = self.results(self.post(device, *self.move((one[2], folder, device.folders[DELETED]))))
        self.assertEqual(again[1], "3")
        self.assertEqual(device.sync(folder).deleted, [one[2]])
        self.assertEqual(list(device.prime(device.folders[DELETED])), [again[2]])
        self.assert_empty_sync(device.sync())

    @VERSIONS
    def test_statuses(self, version, form):
        """Each item has its own Status, in the order of the request."""
        device, ids = self.with_mail(version, form, "one", "two")
        inbox, sent = device.inbox, device.folders[SENT]
        answer = self.post(device, *self.move(
            (inbox + ":99999", inbox, sent), ("nonsense", inbox, sent), (ids["one"], "99999", sent),
            (ids["one"], sent, inbox), (ids["one"], inbox, "99999"), (ids["one"], inbox, "nonsense"),
            (ids["one"], inbox, inbox), (ids["one"], inbox, device.folders[CALENDAR]),
            (ids["one"], inbox, device.folders[CONTACTS])),
            E("Move:Move", E("SrcMsgId", ids["one"]), E("SrcFldId", inbox), E("DstFldId", sent),
              E("DstFldId", device.folders[DELETED])),
            *self.move((ids["two"], inbox, sent), (ids["two"], inbox, device.folders[DELETED])))
        results = self.results(answer)
        self.assertEqual([status for _, status, _ in results],
                         ["1", "1", "1", "1", "2", "2", "4", "5", "5", "5", "3", "1"])
        self.assertEqual(results[0][0], inbox + ":99999")
        # Only the one that was moved is told.
        answer = device.sync()
        self.assertEqual((answer.deleted, answer.changed, answer.added), ([ids["two"]], {}, {}))

    @VERSIONS
    def test_malformed(self, version, form):
        device = self.phone(version, form)
        moves = self.move(("1:1", "1", "2"))
        for document in (E("Move:MoveItems"), E("Move:MoveItems", E("SrcMsgId", "1")), E("AirSync:Sync"),
                         E("Move:MoveItems", moves * 1001)):
            answer = device.post("MoveItems", document)
            if device.since("14.0"):
                self.assertEqual((answer.code, answer.status), (200, "103"), answer)
            else:
                self.assertEqual((answer.code, answer.http.body), (400, b""), answer)

    def test_other_users_mail(self):
        device, ids = self.with_mail("14.1", "plain", "private")
        thief = self.phone("14.1")
        answer = self.post(thief, *self.move((ids["private"], device.inbox, thief.folders[SENT])))
        self.assertEqual(self.results(answer)[0][1], "1")
        self.assertEqual(len(device.prime()), 1)

    def test_many(self):
        """The largest request: several transactions, one answer."""
        device = self.phone("16.1")
        folder = self.folder(device, "Many")
        with self.server.lmtp() as lmtp:
            for _ in range(250):
                lmtp.deliver(self.owner.address, mail.message())
        items = list(device.prime(window="512"))
        moves = self.move(*[(item, device.inbox, folder) for item in items * 4])
        first = self.results(self.post(device, *moves))
        self.assertEqual([status for _, status, _ in first], ["3"] * 1000)
        self.assertEqual(len({new for _, _, new in first}), 250)
        # The answer was lost: the same ids, nothing moved twice.
        self.assertEqual(self.results(self.post(device, *moves)), first)
        self.assertEqual(len(device.prime(folder, window="512")), 250)
        self.assertEqual(device.prime(), {})


class Lost(MoveCase):
    @VERSIONS
    def test_repeated(self, version, form):
        device, ids = self.with_mail(version, form, "one", "two", "three")
        folder, inbox = self.folder(device, "Target"), device.inbox
        device.prime(folder)
        both = self.move((ids["one"], inbox, folder), (ids["two"], inbox, folder))
        first = self.results(self.post(device, *both))
        self.assertEqual(self.results(self.post(device, *both)), first)
        # Together with more than before, and once more.
        more = both + self.move((ids["three"], inbox, folder), (inbox + ":777", inbox, folder))
        second = self.results(self.post(device, *more))
        self.assertEqual(second[:2], first)
        self.assertEqual([status for _, status, _ in second], ["3", "3", "3", "1"])
        self.assertEqual(self.results(self.post(device, *more)), second)
        self.assertEqual(len(device.sync(folder).added), 3)
        self.assertEqual(len(device.sync().deleted), 3)
        # Another target was not answered before; another phone has not moved it.
        (other,) = self.results(self.post(device, *self.move((ids["one"], inbox, device.folders[SENT]))))
        self.assertEqual(other[1], "1")
        stranger = self.owner.device("14.1").ready()
        self.assertEqual([s for _, s, _ in self.results(self.post(stranger, *both))], ["1", "1"])
        # Moved on since: the memory knows nothing better.
        self.post(stranger, *self.move((first[0][2], folder, inbox)))
        self.assertEqual([s for _, s, _ in self.results(self.post(device, *both))], ["1", "3"])

    def test_engine_dies(self):
        device, ids = self.with_mail("14.1", "plain", "kept")
        moves = self.move((ids["kept"], device.inbox, device.folders[SENT]))
        first = self.results(self.post(device, *moves))
        self.server.kill_engine()
        device.close()
        self.assertEqual(self.results(retry(lambda: self.post(device, *moves))), first)

    def test_ping(self):
        """A move wakes whoever has not heard of it, the phone itself for the Add."""
        device, ids = self.with_mail("14.1", "plain", "one")
        sent = device.folders[SENT]
        device.prime(sent)
        waiting = device.ping_send(folders=[sent])
        self.assert_parked(waiting)
        self.post(device, *self.move((ids["one"], device.inbox, sent)))
        self.assert_ping(device.receive(waiting), "2", [sent])
        self.assertEqual(device.sync(sent).subjects(), ["one"])


class Room(MoveCase):
    def used(self):
        users = json.loads(self.server.bellhop("user", "list", "--json").stdout)
        rows = users if isinstance(users, list) else users["users"]
        return next(row["used_bytes"] for row in rows if row["address"] == self.owner.address)

    def test_deleted_folder(self):
        """What a deleted folder held counts no more."""
        device = self.phone("14.1")
        folder = self.folder(device, "Large")
        with self.server.lmtp() as lmtp:
            for _ in range(3):
                lmtp.deliver(self.owner.address, mail.message(text="x" * 300000))
        self.assertGreater(self.used(), 900000)
        self.results(self.post(device, *self.move(*[(item, device.inbox, folder) for item in device.prime()])))
        answer = device.post("FolderDelete", E("FolderHierarchy:FolderDelete", E(
            "SyncKey", device.hierarchy_key), E("ServerId", folder)))
        self.assertEqual(answer.status, "1")
        self.assertEqual(self.used(), 0)


if __name__ == "__main__":
    unittest.main()
