"""FolderSync: the hierarchy, its key, replay of the key before it."""

import unittest

from eas.wbxml import E
from lib.case import ServerCase, every_form

DEFAULT_TYPES = {"2", "3", "4", "5", "6", "7", "8", "9"}


class FolderSync(ServerCase):
    @every_form
    def test_hierarchy(self, version, form):
        device = self.user().device(version, form).provision()
        answer = device.folder_sync("0")
        self.assertEqual((answer.code, answer.status), (200, "1"))
        self.assertEqual(answer.document.names(), ["Status", "SyncKey", "Changes"])
        self.assertNotEqual(answer.document.get("SyncKey"), "0")
        folders = answer.document.all("Changes/Add")
        self.assertEqual(answer.document.get("Changes/Count"), str(len(folders)))
        self.assertEqual(answer.document.find("Changes").names()[0], "Count")
        by_type = {}
        ids = {"0"}
        for folder in folders:
            self.assertEqual(set(folder.names()), {"ServerId", "ParentId", "DisplayName", "Type"})
            self.assertIn(folder.get("ParentId"), ids, "parents come before their children")
            self.assertNotIn(folder.get("ServerId"), ids)
            self.assertTrue(0 < len(folder.get("ServerId")) <= 64)
            self.assertTrue(folder.get("DisplayName"))
            ids.add(folder.get("ServerId"))
            by_type.setdefault(folder.get("Type"), []).append(folder)
        self.assertLessEqual(DEFAULT_TYPES, set(by_type))
        for type_ in DEFAULT_TYPES:
            self.assertEqual(len(by_type[type_]), 1, type_)
        self.assertIn("Junk", " ".join(f.get("DisplayName") for f in by_type.get("12", [])))

    @every_form
    def test_no_change(self, version, form):
        device = self.phone(version, form)
        answer = device.folder_sync()
        self.assertEqual(answer.status, "1")
        self.assertEqual(answer.document.get("Changes/Count"), "0")
        self.assertEqual(answer.document.all("Changes/Add"), [])

    @every_form
    def test_keys(self, version, form):
        """Key 0 starts over, ids stay; the key before the newest is answered again; others get 9 without a key."""
        device = self.user().device(version, form).provision()
        first = device.folder_sync("0")
        key = first.document.get("SyncKey")
        ids = sorted(f.get("ServerId") for f in first.document.all("Changes/Add"))
        # The answer was lost: key 0 again.
        second = device.folder_sync("0")
        self.assertEqual(sorted(f.get("ServerId") for f in second.document.all("Changes/Add")), ids)
        newest = second.document.get("SyncKey")
        answer = device.folder_sync(newest)
        self.assertEqual(answer.status, "1")
        # A lost answer: the key that went before works again.
        self.assertEqual(device.folder_sync(newest).status, "1")
        for bad in ("99999999", str(int(newest) ^ 1) if newest.isdigit() else newest + "x", "abc", "-1", "x" * 64,
                    "00", "18446744073709551616"):
            answer = device.folder_sync(bad)
            self.assertEqual((answer.code, answer.status), (200, "9"), bad)
            self.assertFalse(answer.document.has("SyncKey"))
            self.assertFalse(answer.document.has("Changes"))
        self.assertNotEqual(key, "0")
        self.assertEqual(device.folder_sync("0").status, "1")

    @every_form
    def test_key_zero_keeps_the_collections(self, version, form):
        """Gmail refreshes so: the hierarchy starts over, the collections' states must not."""
        device = self.phone(version, form)
        self.deliver(self.owner, "before")
        device.prime()
        device.folder_sync("0")
        self.deliver(self.owner, "after")
        answer = device.sync()
        self.assertEqual(answer.collection_status, "1")
        self.assertEqual(answer.subjects(), ["after"])

    @every_form
    def test_malformed(self, version, form):
        device = self.phone(version, form)
        for document in (E("FolderHierarchy:FolderSync"), E("FolderHierarchy:FolderSync", E("ServerId", "1")),
                         E("FolderHierarchy:FolderSync", E("SyncKey", "0"), E("SyncKey", "0")),
                         E("FolderHierarchy:FolderSync", E("SyncKey", "x" * 65)),
                         E("FolderHierarchy:FolderSync", E("SyncKey", "0"), E("Email:Subject", "x")),
                         E("FolderHierarchy:FolderSync", E("SyncKey", E("SyncKey", "0"))),
                         E("FolderHierarchy:Folders", E("SyncKey", "0")), E("Ping:Ping")):
            answer = device.post("FolderSync", document)
            self.assertEqual(answer.code, 200, document)
            self.assertIn(answer.status, ("10", "9") if "x" * 65 in repr(document) else ("10",), document)
        self.assertEqual(device.folder_sync("0").status, "1")

    def test_other_users_devices(self):
        one, other = self.phone("14.1"), self.phone("14.1")
        self.assertEqual(one.folder_sync(other.hierarchy_key).status, "9")


if __name__ == "__main__":
    unittest.main()
