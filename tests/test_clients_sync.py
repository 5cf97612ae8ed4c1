"""Habits of clients in Sync, Ping, FolderSync and mail (docs/CLIENTS.md): lines 8 to 14, 17 and 19."""

import re

from eas import wbxml
from eas.client import DELETED, OUTBOX, SENT
from eas.wbxml import E
from lib.case import ServerCase, every_form, forms
from lib.habits import CLIENTS, Client, check_answer
from test_sync import change, delete, read

SINCE_12_1 = ["12.1", "14.0", "14.1", "16.0", "16.1", ("12.1", "base64"), ("14.0", "base64"), ("14.1", "base64"), ("16.1", "base64")]


class SyncHabits(ServerCase):
    @forms(*SINCE_12_1)
    def test_empty_sync_after_an_empty_reply(self, version, form):
        """The last request is kept, over other commands and a restart of the engine: no Status 13."""
        device = self.phone(version, form)
        device.prime()
        self.assert_empty_sync(device.sync())
        steps = [lambda: None, device.folder_sync, lambda: device.receive(device.ping_send(heartbeat=1))]
        if (version, form) == ("14.1", "base64"):
            steps.append(self.server.kill_engine)
        for step in steps:
            step()
            self.deliver(self.owner, "news")
            device.close()
            answer = device.post("Sync")
            self.assertEqual((answer.code, answer.document is not None), (200, True), answer)
            collection = answer.document.find("Collections/Collection")
            self.assertEqual((collection.get("Status"), len(collection.all("Commands/Add"))), ("1", 1))
            device.keys[device.inbox] = collection.get("SyncKey")
            self.assert_empty_sync(device.sync())

    @every_form
    def test_nothing_changed(self, version, form):
        """Empty 200 from 12.1 on, a full reply before; no empty element in it."""
        device = self.phone(version, form)
        device.prime()
        key = device.keys[device.inbox]
        answer = device.sync()
        self.assertEqual(answer.code, 200)
        if device.since("12.1"):
            self.assertEqual((answer.http.body, answer.http.header("Content-Length")), (b"", "0"))
        else:
            self.assertEqual(answer.collection.names(), ["Class", "SyncKey", "CollectionId", "Status"])
            self.assertEqual(answer.key, key)

    @every_form
    def test_no_empty_collections_or_responses(self, version, form):
        """Through a whole life with changes both ways, refusals and several collections."""
        user = self.user()
        client = Client(self.server, user, {"version": version, "form": form, "agent": "x"}).ready()
        for number in range(3):
            self.deliver(user, str(number), html="<p>long</p>" * 300)
        short = client.options(body=[("1", 50)], truncation="1" if version == "2.5" else None)
        first, second, third = client.prime(options=short)
        client.prime(client.folders[DELETED])
        client.prime(client.folders[SENT])
        client.sync(commands=[change(first, read("1"))])
        client.sync(commands=[change(first, read("1")), delete(second)])
        client.sync(commands=[change("1:999", read("1")), delete("1:998"), E("Fetch", E("ServerId", third)),
                              E("Fetch", E("ServerId", "1:997"))])
        client.sync(key="987654321")
        collections = [client.collection(client.folders[type_]) for type_ in (DELETED, SENT)] + [client.collection(client.inbox)]
        client.post("Sync", client.sync_request(*collections))
        client.post("Sync", client.sync_request(*collections[:2]))
        client.sync("999", key="0")
        self.deliver(user, "whole", text="short")
        client.sync(options=client.options(body=[("1",)]))
        client.sync(options=client.options(body=[("2", 5)]))

    @forms("12.0", "12.1", "14.0", "14.1", "16.0", "16.1")
    def test_no_truncated_0(self, version, form):
        """Windows Phone 8: the element is there when it is 1, and else it is not."""
        device = self.phone(version, form)
        self.deliver(self.owner, "text", text="0123456789" * 20)
        for size, truncated in ((10, True), (100000, False)):
            (data,) = device.prime(options=device.options(body=[("1", size)])).values()
            self.assertEqual(data.get("AirSyncBase:Body/Truncated"), "1" if truncated else None)

    @forms(*SINCE_12_1)
    def test_ios6_gets_a_fresh_key_after_a_ping(self, version, form):
        """A Ping told of a change that was undone before the Sync: a full reply with a new key, once."""
        one = self.phone(version, form)
        other = self.phone(version, form, user=self.owner)
        self.deliver(self.owner, "shared")
        one.prime(), other.prime()
        connection = one.ping_send()
        self.addCleanup(connection.close)
        self.assert_parked(connection)
        self.deliver(self.owner, "short-lived")
        self.assert_ping(one.receive(connection), "2", [one.inbox])
        (server_id,) = other.sync().added
        other.sync(commands=[delete(server_id)], deletes_as_moves="0")
        key = one.keys[one.inbox]
        answer = one.sync()
        self.assertEqual(answer.collection_status, "1", answer)
        self.assertNotEqual(answer.key, key)
        self.assertEqual((answer.added, answer.changed, answer.deleted), ({}, {}, []))
        check_answer(answer)
        self.assertTrue(one.sync().is_empty, "only once")
        # The old key is still good, as that of an answer that got lost.
        self.assertEqual(one.sync(key=key).collection_status, "1")

    @forms("14.1")
    def test_ios6_fresh_key_only_in_the_folder_told(self, version, form):
        one = self.phone(version, form)
        one.prime(), one.prime(one.folders[SENT])
        connection = one.ping_send(folders=[one.inbox, one.folders[SENT]])
        self.assert_parked(connection)
        self.deliver(self.owner, "x")
        self.assert_ping(one.receive(connection), "2", [one.inbox])
        self.assertTrue(one.sync(one.folders[SENT]).is_empty)
        self.assertEqual(one.sync().subjects(), ["x"])
        self.assertTrue(one.sync().is_empty)
        connection.close()

    @every_form
    def test_windows_mobile_more_available_before_commands(self, version, form):
        device = self.phone(version, form)
        for number in range(3):
            self.deliver(self.owner, str(number))
        device.sync(key="0")
        answer = device.sync(window="1")
        names = answer.collection.names()
        self.assertEqual(names[names.index("Status"):], ["Status", "MoreAvailable", "Commands"])
        self.assertEqual(answer.collection.find("MoreAvailable").children, [])

    @every_form
    def test_windows_mobile_sends_a_class_first(self, version, form):
        """Up to 12.1 with every collection, before the key; from 14.0 on without."""
        device = self.phone(version, form)
        answer = device.sync(key="0")
        self.assertEqual(answer.collection.names()[0], "SyncKey" if device.since("14.0") else "Class")

    @every_form
    def test_unknown_sync_key_is_status_3(self, version, form):
        device = self.phone(version, form)
        device.prime()
        for key in ("1", "4711", "{12345678-1234-1234-1234-123456789012}2", "x" * 60):
            answer = device.sync(key=key)
            self.assertEqual((answer.code, answer.collection_status), (200, "3"), key)
        self.assert_empty_sync(device.sync())


class FolderHabits(ServerCase):
    def add_folder(self, device, name):
        answer = device.post("FolderCreate", E("FolderHierarchy:FolderCreate", E("SyncKey", device.hierarchy_key), E("ParentId", "0"),
                                               E("DisplayName", name), E("Type", "12")))
        self.assertEqual(answer.status, "1")
        device.hierarchy_key = answer.document.get("SyncKey")
        return answer.document.get("ServerId")

    @every_form
    def test_windows_phone_no_repeated_folder_delete(self, version, form):
        """Deleted by another phone: told once. By the phone itself: not at all."""
        one = self.phone(version, form)
        other = self.phone(version, form, user=self.owner)
        number = self.add_folder(one, "short-lived")
        other.folder_sync()
        deleted = one.post("FolderDelete", E("FolderHierarchy:FolderDelete", E("SyncKey", one.hierarchy_key), E("ServerId", number)))
        one.hierarchy_key = deleted.document.get("SyncKey")
        self.assertEqual(one.folder_sync().document.get("Changes/Count"), "0")
        answer = other.folder_sync()
        self.assertEqual([d.get("ServerId") for d in answer.document.all("Changes/Delete")], [number])
        for key in (None, None, "0"):
            self.assertEqual(other.folder_sync(key).document.all("Changes/Delete"), [])

    @every_form
    def test_gmail_folder_sync_key_0_keeps_collections(self, version, form):
        """A manual refresh in the Gmail app starts the hierarchy over; keys of collections and the Ping go on."""
        user = self.user()
        gmail = Client(self.server, user, dict(CLIENTS["gmail"], version=version, form=form)).ready()
        self.deliver(user, "one")
        gmail.prime()
        for subject in ("two", "three"):
            connection = gmail.ping_send()
            self.assert_parked(connection)
            answer = gmail.folder_sync("0")
            self.assertEqual(answer.status, "1")
            self.assertGreater(len(answer.document.all("Changes/Add")), 5)
            self.assert_parked(connection)
            self.deliver(user, subject)
            self.assert_ping(gmail.receive(connection), "2", [gmail.inbox])
            self.assertEqual(gmail.sync().subjects(), [subject])

    @every_form
    def test_short_numeric_collection_ids(self, version, form):
        device = self.phone(version, form)
        self.add_folder(device, "one more")
        for folder in device.folder_sync("0").document.all("Changes/Add"):
            self.assertRegex(folder.get("ServerId"), r"^[1-9][0-9]{0,3}$")
            self.assertRegex(folder.get("ParentId"), r"^(0|[1-9][0-9]{0,3})$")


class PingHabits(ServerCase):
    @every_form
    def test_android_no_empty_folders_no_doubled_status(self, version, form):
        """In any answer to a Ping."""
        device = self.phone(version, form)
        device.prime()
        connection = device.ping_send()
        self.assert_parked(connection)
        self.deliver(self.owner, "x")
        answers = [device.receive(connection), device.ping(heartbeat=5), device.ping(heartbeat=99999), device.ping(folders=["4321"]),
                   device.receive(device.ping_send(connection, body=wbxml.encode(E("Ping:Ping"))))]
        for answer, names in zip(answers, (["Status", "Folders"], ["Status", "HeartbeatInterval"], ["Status", "HeartbeatInterval"],
                                           ["Status"], ["Status"])):
            self.assertEqual(answer.document.names(), names, answer)
        connection.close()

    @every_form
    def test_ios_unsynced_folders_are_ignored(self, version, form):
        device = self.phone(version, form)
        device.prime()
        connection = device.ping_send(folders=[device.inbox, device.folders[SENT], device.folders[DELETED]])
        self.addCleanup(connection.close)
        self.assert_parked(connection)
        self.deliver(self.owner, "x")
        self.assert_ping(device.receive(connection), "2", [device.inbox])

    @every_form
    def test_android_outbox_is_ignored(self, version, form):
        """Also when it was synchronized and something lies in it."""
        device = self.phone(version, form)
        other = self.phone(version, form, user=self.owner)
        self.deliver(self.owner, "x")
        device.prime(), device.prime(device.folders[OUTBOX])
        (server_id,) = other.prime()
        connection = device.ping_send(folders=[device.folders[OUTBOX]])
        self.addCleanup(connection.close)
        self.assert_parked(connection)
        other.post("MoveItems", E("Move:MoveItems", E("Move", E("SrcMsgId", server_id), E("SrcFldId", other.inbox),
                                                      E("DstFldId", other.folders[OUTBOX]))))
        self.assert_parked(connection)
        again = device.ping_send(folders=[device.folders[OUTBOX]])
        self.addCleanup(again.close)
        self.assert_parked(again)

    @every_form
    def test_empty_ping_reuses_the_last(self, version, form):
        """Also in another version, from another connection, and after the engine was started anew."""
        device = self.phone(version, form)
        device.prime()
        first = device.ping_send(heartbeat=700)
        self.assert_parked(first)
        first.close()
        second = device.ping_send(body=b"")
        self.addCleanup(second.close)
        self.assert_parked(second)
        self.deliver(self.owner, "x")
        self.assert_ping(device.receive(second), "2", [device.inbox])


class MailHabits(ServerCase):
    @every_form
    def test_dashed_dates_in_mail(self, version, form):
        device = self.phone(version, form)
        self.deliver(self.owner, "x")
        (server_id,) = device.prime()
        device.sync(commands=[change(server_id, E("Email:Flag", E("Status", "2"), E("FlagType", "x"),
                                                  E("Tasks:StartDate", "2026-11-22T00:00:00.000Z"),
                                                  E("Tasks:UtcStartDate", "2026-11-22T00:00:00.000Z"),
                                                  E("Tasks:DueDate", "2026-11-23T00:00:00.000Z"),
                                                  E("Tasks:UtcDueDate", "2026-11-23T00:00:00.000Z"))) if device.since("12.0")
                              else change(server_id, read("1"))])
        other = self.phone(version, form, user=self.owner)
        (data,) = other.prime().values()
        dates = [e.text for e in data.walk() if e.name.endswith("Date") or e.name == "DateReceived"]
        self.assertGreaterEqual(len(dates), 5 if device.since("12.0") else 1)
        for date in dates:
            self.assertRegex(date, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$")

    @every_form
    def test_no_slash_in_a_file_reference(self, version, form):
        """It goes into query strings and paths of clients: digits and colons only; and it can be fetched as it is."""
        device = self.phone(version, form)
        self.deliver(self.owner, "x", attachments=[("a/b c.txt", "text/plain", b"attached"), ("ü.bin", "application/x-a", b"\0\1")])
        (data,) = device.prime().values()
        name = "AirSyncBase:FileReference" if device.since("12.0") else "Email:AttName"
        references = [e.text for e in data.walk() if f"{e.namespace}:{e.name}" == name]
        self.assertEqual(len(references), 2)
        for reference in references:
            self.assertTrue(re.fullmatch(r"[0-9:]{1,40}", reference), reference)
        if not device.since("14.0"):
            answer = device.post("GetAttachment", params={"AttachmentName": references[0]})
            self.assertEqual((answer.code, answer.http.body), (200, b"attached"))
