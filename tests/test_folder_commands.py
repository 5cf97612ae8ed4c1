"""FolderCreate, FolderUpdate, FolderDelete: statuses, keys, lost answers, what other phones and the next Syncs are told."""

import unittest

from eas.client import CONTACTS, DELETED, INBOX, SENT
from eas.wbxml import E
from lib.case import ServerCase, forms, retry

MAIL, CALENDAR = "12", "13"


# Bodies do not depend on the form of the query: one version in base64 is enough.
VERSIONS = forms("2.5", "12.0", "12.1", "14.0", "14.1", ("14.1", "base64"), "16.0", "16.1")
SOME = forms("2.5", "12.1", "14.0", "16.1")


class FolderCase(ServerCase):
    def create(self, device, name, parent="0", type_=MAIL, key=None, keep_key=False):
        return self.change(device, "FolderCreate", E("ParentId", parent), E("DisplayName", name), E("Type", type_),
                           key=key, keep_key=keep_key)

    def update(self, device, folder, name, parent="0", key=None, keep_key=False):
        return self.change(device, "FolderUpdate", E("ServerId", folder), E("ParentId", parent), E("DisplayName", name),
                           key=key, keep_key=keep_key)

    def delete(self, device, folder, key=None, keep_key=False):
        return self.change(device, "FolderDelete", E("ServerId", folder), key=key, keep_key=keep_key)

    def change(self, device, command, *children, key=None, keep_key=False):
        answer = device.post(command, E("FolderHierarchy:" + command, E(
            "SyncKey", device.hierarchy_key if key is None else key), *children))
        if answer.code == 200 and answer.status == "1" and not keep_key:
            device.hierarchy_key = answer.document.get("SyncKey")
        return answer

    def made(self, answer):
        self.assertEqual((answer.code, answer.status), (200, "1"), answer)
        self.assertEqual(answer.document.names(), ["Status", "SyncKey", "ServerId"])
        return answer.document.get("ServerId")

    def done(self, answer):
        self.assertEqual((answer.code, answer.status), (200, "1"), answer)
        self.assertEqual(answer.document.names(), ["Status", "SyncKey"])

    def refused(self, answer, status):
        self.assertEqual((answer.code, answer.status), (200, status), answer)
        self.assertEqual(answer.document.names(), ["Status"])

    def told(self, device):
        """What FolderSync tells now: ({id: (parent, name, type)} added, the same updated, [deleted])."""
        answer = device.folder_sync()
        self.assertEqual(answer.status, "1", answer)
        changes = answer.document.find("Changes")
        added, updated = ({f.get("ServerId"): (f.get("ParentId"), f.get("DisplayName"), f.get("Type"))
                           for f in changes.all(kind)} for kind in ("Add", "Update"))
        deleted = [f.get("ServerId") for f in changes.all("Delete")]
        self.assertEqual(changes.get("Count"), str(len(added) + len(updated) + len(deleted)))
        return added, updated, deleted

    def nothing_told(self, device):
        self.assertEqual(self.told(device), ({}, {}, []))


class Changes(FolderCase):
    @VERSIONS
    def test_life_of_a_folder(self, version, form):
        """Made, renamed, moved, deleted by one phone, and told to another; the own changes are not echoed."""
        device = self.phone(version, form)
        other = self.owner.device("14.1").ready()
        folder = self.made(self.create(device, "Projekte ü"))
        self.assertTrue(0 < len(folder) <= 64)
        child = self.made(self.create(device, "Child", parent=folder))
        self.nothing_told(device)
        self.assertEqual(self.told(other), ({folder: ("0", "Projekte ü", MAIL), child: (folder, "Child", MAIL)}, {}, []))

        self.done(self.update(device, folder, "Projects"))
        self.nothing_told(device)
        self.assertEqual(self.told(other), ({}, {folder: ("0", "Projects", MAIL)}, []))
        self.done(self.update(device, child, "Child", parent=device.folders[INBOX]))
        self.nothing_told(device)
        self.assertEqual(self.told(other), ({}, {child: (device.folders[INBOX], "Child", MAIL)}, []))
        self.done(self.update(device, child, "Child", parent=folder))
        # Nothing changes: fine all the same.
        self.done(self.update(device, child, "Child", parent=folder))
        self.told(other)

        self.done(self.delete(device, folder))
        self.nothing_told(device)
        self.assertEqual(self.told(other), ({}, {}, [child, folder]))
        self.refused(self.delete(device, folder), "4")
        self.refused(self.delete(device, child), "4")

    @SOME
    def test_sync_of_it(self, version, form):
        """A new folder is synced like any other; once it is deleted, with Status 12."""
        device = self.phone(version, form)
        folder = self.made(self.create(device, "Holds mail"))
        self.assertEqual(device.prime(folder), {})
        self.done(self.delete(device, folder))
        for key in (device.keys[folder], "0"):
            answer = device.sync(folder, key=key)
            self.assertEqual((answer.code, answer.status), (200, "12"), answer)

    @SOME
    def test_others_changes_stay_to_be_told(self, version, form):
        device = self.phone(version, form)
        other = self.owner.device("16.1").ready()
        theirs = self.made(self.create(other, "Theirs"))
        mine = self.made(self.create(device, "Mine"))
        self.refused(self.create(device, "Theirs"), "2")
        self.assertEqual(self.told(device), ({theirs: ("0", "Theirs", MAIL)}, {}, []))
        self.assertEqual(self.told(other), ({mine: ("0", "Mine", MAIL)}, {}, []))
        # The other one's later word on the own folder is news.
        self.done(self.update(device, mine, "Mine 2"))
        self.done(self.update(other, mine, "Mine 3"))
        self.assertEqual(self.told(device), ({}, {mine: ("0", "Mine 3", MAIL)}, []))
        self.done(self.delete(other, mine))
        self.assertEqual(self.told(device), ({}, {}, [mine]))
        self.refused(self.update(device, mine, "Mine 4"), "4")

    def test_below_a_younger_one(self):
        """Parents come before their children, whichever is older."""
        device = self.phone()
        child = self.made(self.create(device, "older"))
        parent = self.made(self.create(device, "younger"))
        deep = self.made(self.create(device, "deep", parent=child))
        self.done(self.update(device, child, "older", parent=parent))
        fresh = self.owner.device("14.1").provision()
        answer = fresh.folder_sync("0")
        ids = [f.get("ServerId") for f in answer.document.all("Changes/Add")]
        self.assertLess(ids.index(parent), ids.index(child))
        self.assertLess(ids.index(child), ids.index(deep))
        self.refused(self.update(device, parent, "x", parent=deep), "10")
        self.refused(self.update(device, parent, "x", parent=parent), "10")
        self.done(self.delete(device, parent))
        self.assertEqual(self.told(fresh)[2], [deep, child, parent])


class Statuses(FolderCase):
    settings = {"eas.folders_max": "20", "eas.folder_depth_max": "3"}

    @VERSIONS
    def test_statuses(self, version, form):
        device = self.phone(version, form)
        folder = self.made(self.create(device, "Taken"))
        # FolderCreate.
        self.refused(self.create(device, "Taken"), "2")
        self.refused(self.create(device, "Inbox"), "2")
        self.refused(self.create(device, "x", parent="99999"), "5")
        self.refused(self.create(device, "x", parent="nonsense"), "5")
        for type_ in ("2", "3", "6", "9", "11", "18", "19", "0", "20", "x"):
            self.refused(self.create(device, "x", type_=type_), "10")
        self.refused(self.create(device, ""), "10")
        self.refused(self.create(device, "n" * 257), "10")
        self.made(self.create(device, "ü" * 256))
        # The same name elsewhere is another name.
        child = self.made(self.create(device, "Taken", parent=folder, type_=CALENDAR))
        # FolderUpdate.
        self.refused(self.update(device, "99999", "x"), "4")
        self.refused(self.update(device, "nonsense", "x"), "4")
        self.refused(self.update(device, folder, "x", parent="99999"), "5")
        self.refused(self.update(device, folder, "Inbox"), "2")
        self.refused(self.update(device, child, "Taken"), "2")
        self.refused(self.update(device, folder, "x", parent=child), "10")
        for type_ in (INBOX, SENT, DELETED, CONTACTS):
            self.refused(self.update(device, device.folders[type_], "x"), "2")
        junk = next(f.get("ServerId") for f in device.folder_sync("0").document.all("Changes/Add")
                    if "Junk" in f.get("DisplayName"))
        self.refused(self.update(device, junk, "x"), "2")
        self.refused(self.delete(device, junk), "3")
        # FolderDelete.
        for type_ in (INBOX, SENT, DELETED, CONTACTS):
            self.refused(self.delete(device, device.folders[type_]), "3")
        self.refused(self.delete(device, "99999"), "4")
        self.refused(self.delete(device, "nonsense"), "4")
        # None of this has moved the key or changed anything.
        self.nothing_told(device)

    @VERSIONS
    def test_keys(self, version, form):
        device = self.phone(version, form)
        folder = self.made(self.create(device, "F"))
        old = device.hierarchy_key
        self.done(self.update(device, folder, "G"))
        for key in ("0", "99999999", "abc", "0123456789abcdef", old):
            self.refused(self.create(device, "New", key=key), "9")
            self.refused(self.update(device, folder, "New", key=key), "9")
            self.refused(self.delete(device, folder, key=key), "9")
        self.done(self.delete(device, folder))

    @SOME
    def test_malformed(self, version, form):
        device = self.phone(version, form)
        key = E("SyncKey", device.hierarchy_key)
        for command, children in (
                ("FolderCreate", [key, E("ParentId", "0"), E("DisplayName", "x")]),
                ("FolderCreate", [E("ParentId", "0"), E("DisplayName", "x"), E("Type", MAIL)]),
                ("FolderCreate", [key, E("DisplayName", "x"), E("Type", MAIL)]),
                ("FolderUpdate", [E("ServerId", "1"), E("ParentId", "0"), E("DisplayName", "x")]),
                ("FolderUpdate", [key, E("ServerId", "1"), E("ParentId", "0")]),
                ("FolderDelete", [key]), ("FolderDelete", [E("ServerId", "1")]), ("FolderDelete", [])):
            self.refused(device.post(command, E("FolderHierarchy:" + command, children)), "10")

    @forms("12.1", "14.1")
    def test_bounds(self, version, form):
        device = self.phone(version, form)
        one = self.made(self.create(device, "1"))
        two = self.made(self.create(device, "2", parent=one))
        three = self.made(self.create(device, "3", parent=two))
        self.refused(self.create(device, "4", parent=three), "10")
        apart = self.made(self.create(device, "a"))
        self.done(self.update(device, apart, "a", parent=two))
        self.refused(self.update(device, apart, "a", parent=three), "10")
        self.done(self.update(device, apart, "a"))
        # Moving a tree counts with what hangs below.
        self.refused(self.update(device, one, "1", parent=apart), "10")
        answer = None
        for n in range(20):
            answer = self.create(device, f"many {n}")
            if answer.status != "1":
                break
        self.refused(answer, "151" if device.since("14.0") else "6")
        self.done(self.delete(device, apart))
        self.made(self.create(device, "room again"))


class Lost(FolderCase):
    """The answer got lost: the same request again."""

    @VERSIONS
    def test_repeats(self, version, form):
        device = self.phone(version, form)
        other = self.owner.device("14.1").ready()
        first = self.create(device, "Once", keep_key=True)
        folder = self.made(first)
        again = self.create(device, "Once")
        self.assertEqual(self.made(again), folder)
        self.assertEqual(again.document.get("SyncKey"), first.document.get("SyncKey"))
        self.nothing_told(device)
        self.assertEqual(list(self.told(other)[0]), [folder])
        # Another request with the old key is no repetition.
        self.refused(self.create(device, "Twice", key="0"), "9")

        first = self.update(device, folder, "Renamed", keep_key=True)
        again = self.update(device, folder, "Renamed")
        self.done(again)
        self.assertEqual(again.document.get("SyncKey"), first.document.get("SyncKey"))
        self.nothing_told(device)
        self.assertEqual(self.told(other), ({}, {folder: ("0", "Renamed", MAIL)}, []))

        child = self.made(self.create(device, "Child", parent=folder))
        self.told(other)
        first = self.delete(device, folder, keep_key=True)
        again = self.delete(device, folder)
        self.done(again)
        self.assertEqual(again.document.get("SyncKey"), first.document.get("SyncKey"))
        self.nothing_told(device)
        self.assertEqual(self.told(other), ({}, {}, [child, folder]))

    @SOME
    def test_folder_sync_instead(self, version, form):
        """The phone does not repeat it but asks: then it is told what it has made."""
        device = self.phone(version, form)
        folder = self.made(self.create(device, "Unknown", keep_key=True))
        self.assertEqual(self.told(device), ({folder: ("0", "Unknown", MAIL)}, {}, []))
        self.nothing_told(device)
        self.done(self.delete(device, folder, keep_key=True))
        self.assertEqual(self.told(device), ({}, {}, [folder]))
        self.nothing_told(device)
        # Or it starts over.
        folder = self.made(self.create(device, "Once more", keep_key=True))
        answer = device.folder_sync("0")
        self.assertIn(folder, [f.get("ServerId") for f in answer.document.all("Changes/Add")])

    def test_engine_dies(self):
        """What was answered is on disk, and is answered again by the next engine."""
        device = self.phone("14.1")
        first = self.create(device, "Kept", keep_key=True)
        self.server.kill_engine()
        device.close()
        again = retry(lambda: self.create(device, "Kept"))
        self.assertEqual(self.made(again), self.made(first))
        self.assertEqual(again.document.get("SyncKey"), first.document.get("SyncKey"))


class Waiting(FolderCase):
    @VERSIONS
    def test_ping(self, version, form):
        """A waiting phone hears of another one's change of the folders, and nothing of its own."""
        device = self.phone(version, form)
        device.prime()
        waiting = device.ping_send()
        self.assert_parked(waiting)
        mine = self.made(self.create(device, "Own"))
        self.assert_parked(waiting)
        other = self.owner.device("14.1").ready()
        self.made(self.create(other, "News"))
        self.assert_ping(device.receive(waiting), "7")
        self.assertEqual(len(self.told(device)[0]), 1)
        # Its own deletion of a folder that it watches.
        device.prime(mine)
        waiting = device.ping_send(folders=[device.inbox, mine])
        self.assert_parked(waiting)
        self.done(self.delete(device, mine))
        self.assert_ping(device.receive(waiting), "7")
        self.nothing_told(device)

    @forms("12.1", "14.1", "16.1")
    def test_held_sync(self, version, form):
        device = self.phone(version, form)
        other = self.owner.device("14.1").ready()
        folder = self.made(self.create(other, "Watched"))
        self.told(device)
        device.prime(folder)
        waiting = device.connect()
        device.send("Sync", device.sync_request(device.collection(folder), wait="5"), connection=waiting)
        self.assert_parked(waiting)
        self.done(self.delete(other, folder))
        answer = device.receive(waiting)
        self.assertEqual((answer.code, answer.status), (200, "12"), answer)


if __name__ == "__main__":
    unittest.main()
