"""ItemOperations beyond the simple Fetch (tests/test_items.py): EmptyFolderContents, Move, LongId, Schema, order, bounds."""

import base64
import threading
import unittest

from eas.client import CONTACTS, DELETED, DRAFTS, OUTBOX, SENT
from eas.wbxml import E
from lib import mail
from lib.case import ServerCase, forms, retry

# Bodies do not depend on the form of the query: one version in base64 is enough.
FROM_12_0 = forms("12.0", "12.1", "14.0", ("14.1", "base64"), "16.1")
FROM_14_0 = forms("14.0", ("14.1", "base64"), "16.1")


class OperationsCase(ServerCase):
    def operations(self, device, *operations, **kwargs):
        return device.post("ItemOperations", E("ItemOperations:ItemOperations", list(operations)), **kwargs)

    def fetch(self, server_id, collection_id, *options):
        return E("ItemOperations:Fetch", E("Store", "Mailbox"), E("AirSync:CollectionId", collection_id),
                 E("AirSync:ServerId", server_id), E("Options", list(options)) if options else None)

    def fetch_long(self, long_id):
        return E("ItemOperations:Fetch", E("Store", "Mailbox"), E("Search:LongId", long_id))

    def fetch_file(self, reference, range_=None):
        return E("ItemOperations:Fetch", E("Store", "Mailbox"), E("AirSyncBase:FileReference", reference),
                 E("Options", E("Range", range_)) if range_ else None)

    def empty(self, collection_id, subfolders=False):
        return E("ItemOperations:EmptyFolderContents", E("AirSync:CollectionId", collection_id),
                 E("Options", E("DeleteSubFolders")) if subfolders else None)

    def move(self, conversation_id, target, always=True):
        return E("ItemOperations:Move", E("ConversationId", conversation_id), E("DstFldId", target),
                 E("Options", E("MoveAlways")) if always else None)

    def results(self, answer):
        """[(name of the operation, its Status)], in order."""
        self.assertEqual((answer.code, answer.status), (200, "1"), answer)
        self.assertEqual(answer.document.names(), ["Status", "Response"])
        return [(e.name, e.get("Status")) for e in answer.document.find("Response").elements]

    def folder(self, device, name, parent="0"):
        answer = device.post("FolderCreate", E("FolderHierarchy:FolderCreate", E("SyncKey", device.hierarchy_key),
                                               E("ParentId", parent), E("DisplayName", name), E("Type", "12")))
        self.assertEqual(answer.status, "1", answer)
        device.hierarchy_key = answer.document.get("SyncKey")
        return answer.document.get("ServerId")

    def move_items(self, device, items, source, target):
        answer = device.post("MoveItems", E("Move:MoveItems", [E("Move", E("SrcMsgId", item), E(
            "SrcFldId", source), E("DstFldId", target)) for item in items]))
        self.assertEqual({r.get("Status") for r in answer.document.all("Response")}, {"3"}, answer)
        return [r.get("DstMsgId") for r in answer.document.all("Response")]

    def bring(self, *subjects, **kwargs):
        with self.server.lmtp() as lmtp:
            for subject in subjects:
                self.assertEqual(lmtp.deliver(self.owner.address, mail.message(subject, **kwargs))[0][:3], "250")


class Empty(OperationsCase):
    @FROM_12_0
    def test_empty(self, version, form):
        """What is in the folder goes, the phone itself hears of it by Sync; the folders below stay unless they shall go."""
        device = self.phone(version, form)
        other = self.owner.device("14.1").ready()
        trash = device.folders[DELETED]
        below = self.folder(device, "Below", trash)
        deep = self.folder(device, "Deep", below)
        other.folder_sync()
        self.bring("one", "two", "three")
        ids = list(device.prime())
        in_trash = self.move_items(device, ids[:2], device.inbox, trash)
        (in_deep,) = self.move_items(device, ids[2:], device.inbox, deep)
        for folder in (trash, deep):
            device.prime(folder)
        self.assertEqual(self.results(self.operations(device, self.empty(trash))), [("EmptyFolderContents", "1")])
        self.assertEqual(sorted(device.sync(trash).deleted), sorted(in_trash))
        self.assert_empty_sync(device.sync(deep))
        # An empty folder can be emptied, too.
        answer = self.operations(device, self.empty(trash, subfolders=True))
        self.assertEqual(self.results(answer), [("EmptyFolderContents", "1")])
        self.assertEqual(answer.document.find("Response/EmptyFolderContents").names(), ["Status", "CollectionId"])
        self.assertEqual(answer.document.get("Response/EmptyFolderContents/CollectionId"), trash)
        for phone in (device, other):
            told = phone.folder_sync()
            self.assertEqual([d.get("ServerId") for d in told.document.all("Changes/Delete")], [deep, below])
        self.assertEqual(device.sync(deep).status, "12")
        found = self.operations(device, self.fetch(in_deep, deep))
        self.assertEqual(self.results(found), [("Fetch", "6")])

    @FROM_12_0
    def test_statuses(self, version, form):
        device = self.phone(version, form)
        self.bring("one")
        (item,) = device.prime()
        answer = self.operations(device, self.empty("99999"), self.empty("nonsense"), self.empty("0"),
                                 self.fetch(item, device.inbox), self.empty(device.inbox), self.fetch(item, device.inbox))
        self.assertEqual(self.results(answer), [("EmptyFolderContents", "6")] * 3 + [
            ("Fetch", "1"), ("EmptyFolderContents", "1"), ("Fetch", "6")], "one sees what those before it did")
        for bad in (E("ItemOperations:EmptyFolderContents"),
                    E("ItemOperations:EmptyFolderContents", E("Options", E("DeleteSubFolders")))):
            answer = self.operations(device, bad)
            statuses = [answer.status] + [e.get("Status") for e in answer.document.all("Response/EmptyFolderContents")]
            self.assertIn("2", statuses)
        self.assertEqual(device.sync().deleted, [item])

    def test_many(self):
        """More than one transaction; mail that comes meanwhile stays."""
        device = self.phone("16.1")
        self.bring(*[f"old {n}" for n in range(1100)])
        device.prime(window="512")
        self.assertEqual(self.results(self.operations(device, self.empty(device.inbox))), [("EmptyFolderContents", "1")])
        self.bring("new")
        added, deleted = {}, []
        for _ in range(20):
            answer = device.sync(window="512")
            if answer.is_empty:
                break
            added.update(answer.added)
            deleted += answer.deleted
        self.assertEqual([d.get("Email:Subject") for d in added.values()], ["new"])
        self.assertEqual((len(deleted), len(set(deleted))), (1100, 1100))

    def test_engine_dies(self):
        """Killed in the middle of it: the same request goes on, and nothing that came later is lost."""
        device = self.phone("14.1")
        self.bring(*[f"old {n}" for n in range(600)])
        device.prime(window="512")
        connection = device.connect()
        device.send("ItemOperations", E("ItemOperations:ItemOperations", self.empty(device.inbox)), connection=connection)
        killer = threading.Thread(target=self.server.kill_engine)
        killer.start()
        killer.join()
        connection.close()
        device.close()
        answer = retry(lambda: self.operations(device, self.empty(device.inbox)))
        self.assertEqual(self.results(answer), [("EmptyFolderContents", "1")])
        deleted = []
        for _ in range(20):
            answer = device.sync(window="512")
            if answer.is_empty:
                break
            deleted += answer.deleted
        self.assertEqual(len(set(deleted)), 600)


class Conversations(OperationsCase):
    def thread(self, subject, first=None):
        """A message of a conversation; first: the Message-ID that it answers."""
        kwargs = {"References": first, "In_Reply_To": first} if first else {}
        text = mail.message(subject, **kwargs)
        self.server.deliver(self.owner, text)
        return next(line.split(b":", 1)[1].strip().decode() for line in text.split(b"\r\n")
                    if line.lower().startswith(b"message-id:"))

    def subjects(self, device, folder):
        return sorted(d.get("Email:Subject") for d in device.prime(folder).values())

    @FROM_14_0
    def test_move(self, version, form):
        """The conversation's mail moves, now and in future, from wherever but Sent Items."""
        device = self.phone(version, form)
        target, elsewhere = self.folder(device, "Target"), self.folder(device, "Elsewhere")
        first = self.thread("Topic")
        for _ in range(3):
            self.thread("Re: Topic", first)
        self.bring("Other")
        items = device.prime()
        ids = {d.find("Email2:ConversationId").data for d in items.values() if "Topic" in d.get("Email:Subject")}
        self.assertEqual(len(ids), 1)
        (conversation,) = ids
        answers = [i for i, d in items.items() if d.get("Email:Subject").startswith("Re")]
        self.move_items(device, answers[:1], device.inbox, device.folders[SENT])
        self.move_items(device, answers[1:2], device.inbox, elsewhere)
        device.prime()
        answer = self.operations(device, self.move(conversation, target))
        self.assertEqual(self.results(answer), [("Move", "1")])
        self.assertEqual(answer.document.find("Response/Move/ConversationId").data, conversation)
        self.assertEqual(self.subjects(device, target), ["Re: Topic", "Re: Topic", "Topic"])
        self.assertEqual(self.subjects(device, device.folders[SENT]), ["Re: Topic"])
        self.assertEqual(self.subjects(device, elsewhere), [])
        gone = device.sync()
        self.assertEqual((len(gone.deleted), gone.added), (2, {}))
        # From now on.
        self.thread("Re: Topic, later", first)
        self.bring("Other 2")
        self.assertEqual(device.sync(target).subjects(), ["Re: Topic, later"])
        self.assertEqual(device.sync().subjects(), ["Other 2"])
        # The same once more changes nothing; to the Inbox ends it.
        self.assertEqual(self.results(self.operations(device, self.move(conversation, target))), [("Move", "1")])
        self.assertEqual(self.results(self.operations(device, self.move(conversation, device.inbox))), [("Move", "1")])
        self.assertEqual(len(device.sync().added), 4)
        self.thread("Re: Topic, last", first)
        self.assertEqual(device.sync().subjects(), ["Re: Topic, last"])
        # A deleted folder takes nothing.
        self.operations(device, self.move(conversation, elsewhere))
        device.sync()
        device.post("FolderDelete", E("FolderHierarchy:FolderDelete", E("SyncKey", device.hierarchy_key),
                                      E("ServerId", elsewhere)))
        self.thread("Re: Topic, after all", first)
        self.assertEqual(device.sync().subjects(), ["Re: Topic, after all"])

    @FROM_14_0
    def test_statuses(self, version, form):
        device = self.phone(version, form)
        self.thread("Topic")
        (data,) = device.prime().values()
        conversation = data.find("Email2:ConversationId").data
        bad = (self.move(b"x" * 16, device.folders[DELETED]), self.move(b"short", device.folders[DELETED]),
               self.move(conversation, "99999"), self.move(conversation, "nonsense"),
               self.move(conversation, device.folders[CONTACTS]), self.move(conversation, device.folders[OUTBOX]),
               self.move(conversation, device.folders[DRAFTS]), self.move(conversation, device.folders[DELETED], False))
        answer = self.operations(device, *bad)
        self.assertEqual([s for _, s in self.results(answer)], ["6", "6", "6", "6", "156", "156", "156", "155"])
        self.assertEqual(answer.document.all("Response/Move")[2].find("ConversationId").data, conversation)
        self.assert_empty_sync(device.sync())

    @forms("12.0", "12.1")
    def test_not_before_14_0(self, version, form):
        device = self.phone(version, form)
        answer = self.operations(device, self.move(b"x" * 16, device.folders[DELETED]))
        self.assertEqual((answer.code, answer.status), (200, "2"))

    def test_many(self):
        """More than one transaction."""
        device = self.phone("16.1")
        first = self.thread("Topic")
        self.bring(*[f"Re: Topic {n}" for n in range(230)], References=first, In_Reply_To=first)
        items = device.prime(window="512")
        (conversation,) = {d.find("Email2:ConversationId").data for d in items.values()}
        self.assertEqual(self.results(self.operations(device, self.move(conversation, device.folders[DELETED]))),
                         [("Move", "1")])
        self.assertEqual(len(device.prime(device.folders[DELETED], window="512")), 231)
        self.assertEqual(device.prime(), {})


class Fetches(OperationsCase):
    settings = {"eas.operations_max_bytes": "1048576"}

    @FROM_12_0
    def test_long_id(self, version, form):
        """A LongId is what names the item here, too."""
        device = self.phone(version, form)
        self.bring("long")
        (item,) = device.prime()
        answer = self.operations(device, *[self.fetch_long(i) for i in (item, item + "9", "x", ":", "1:", "9" * 40 + ":1")])
        self.assertEqual([s for _, s in self.results(answer)], ["1", "6", "6", "6", "6", "6"])
        found = answer.document.find("Response/Fetch")
        self.assertEqual(found.names(), ["Status", "LongId", "Class", "Properties"])
        self.assertEqual((found.get("LongId"), found.get("Properties/Email:Subject")), (item, "long"))

    @FROM_12_0
    def test_schema(self, version, form):
        """Only the properties that are named."""
        device = self.phone(version, form)
        self.bring("chosen", attachments=[("a.txt", "text/plain", b"x")])
        (item,) = device.prime()
        schema = E("ItemOperations:Schema", E("Email:Subject"), E("Email:From"), E("AirSyncBase:Attachments"))
        for extra, expected in (([], []), ([E("AirSyncBase:Body")], ["Body"])):
            options = [E("ItemOperations:Schema", *schema.children, *extra), device.preference("1")]
            answer = self.operations(device, self.fetch(item, device.inbox, *options))
            properties = answer.document.find("Response/Fetch/Properties")
            self.assertEqual(sorted(properties.names()), sorted(["Subject", "From", "Attachments"] + expected))
            self.assertEqual(properties.get("AirSyncBase:Attachments/Attachment/DisplayName"), "a.txt")
        self.assertEqual(properties.get("AirSyncBase:Body/Data"), "Hello.\r\n")

    @FROM_12_0
    def test_size(self, version, form):
        """An answer has a bound; what goes beyond it says so, and comes in ranges."""
        device = self.phone(version, form)
        octets = bytes(range(256)) * 2400  # 614,400 bytes, 819,200 in base64
        self.bring("large", attachments=[("a.bin", "application/octet-stream", octets)])
        ((item, data),) = device.prime(options=device.options(body=[("1",)])).items()
        reference = data.get("AirSyncBase:Attachments/Attachment/FileReference")
        both = self.operations(device, self.fetch_file(reference), self.fetch_file(reference), self.fetch(item, device.inbox))
        self.assertEqual([s for _, s in self.results(both)], ["1", "11", "1"])
        got = b""
        for first in range(0, len(octets), 200000):
            answer = self.operations(device, self.fetch_file(reference, f"{first}-{first + 199999}"))
            got += base64.b64decode(answer.document.get("Response/Fetch/Properties/Data"))
        self.assertEqual(got, octets)

    @forms("2.5", "12.1")
    def test_size_of_an_attachment(self, version, form):
        """GetAttachment has the same bound, and HTTP 500 for what is beyond it."""
        device = self.phone(version, form)
        for size, code in ((1048576, 200), (1048577, 500)):
            octets = bytes(size)
            self.bring("large", attachments=[("a.bin", "application/octet-stream", octets)])
            (data,) = (device.prime() if size == 1048576 else device.sync_rest()).values()
            name = data.get("Email:Attachments/Attachment/AttName") or data.get("AirSyncBase:Attachments/Attachment/FileReference")
            answer = device.post("GetAttachment", params={"AttachmentName": name})
            self.assertEqual(answer.code, code)
            self.assertEqual(answer.http.body, octets if code == 200 else b"")

    @FROM_12_0
    def test_in_a_deleted_folder(self, version, form):
        device = self.phone(version, form)
        folder = self.folder(device, "Soon gone")
        self.bring("file", attachments=[("a.txt", "text/plain", b"x")])
        (moved,) = self.move_items(device, list(device.prime()), device.inbox, folder)
        (data,) = device.prime(folder, options=device.options(body=[("1",)])).values()
        reference = data.get("AirSyncBase:Attachments/Attachment/FileReference")
        fetches = (self.fetch(moved, folder), self.fetch_file(reference), self.fetch_long(moved))
        self.assertEqual([s for _, s in self.results(self.operations(device, *fetches))], ["1", "1", "1"])
        device.post("FolderDelete", E("FolderHierarchy:FolderDelete", E("SyncKey", device.hierarchy_key),
                                      E("ServerId", folder)))
        self.assertEqual([s for _, s in self.results(self.operations(device, *fetches))], ["6", "15", "6"])


if __name__ == "__main__":
    unittest.main()
