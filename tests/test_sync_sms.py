"""Text messages beside the mail ([MS-ASMS], from 14.0 on): added by a phone, shown to others that ask for them, never twice."""

import contextlib
import datetime
import email
import email.policy
import sqlite3
import unittest

from eas.client import CALENDAR, DELETED, SENT, SyncAnswer
from eas.wbxml import E
from lib.case import ServerCase, forms

FROM_14_0 = ("14.0", "14.1", "16.0", "16.1", ("16.1", "base64"))

FROM = '"Jörg Müller" [MOBILE:+491701234567]'
TO = '"Me, myself" [MOBILE:+491709999999]; "Other" [MOBILE:+15551234]'
TEXT = "Grüße\nund mehr 🎉"
DATE = "2026-03-01T12:34:56.000Z"


def sms(client_id="c1", text=TEXT, class_="SMS", properties=(), **changes):
    values = {"From": FROM, "To": TO, "DateReceived": DATE, "Importance": "2", "Read": "0", "InternetCPID": "28591"}
    values.update(changes)
    body = None if text is None else E("AirSyncBase:Body", E("Type", "1"), E("Data", text))
    return E("Add", None if class_ is None else E("Class", class_), E("ClientId", client_id), E(
        "ApplicationData", [E("Email:" + name, value) for name, value in values.items() if value is not None],
        list(properties), body))


def mail_block(device, **kwargs):
    return E("AirSync:Options", E("Class", "Email"), *device.options(**kwargs).elements)


def sms_block(device=None, filter_type=None, body=()):
    return E("AirSync:Options", E("Class", "SMS"), None if filter_type is None else E("FilterType", filter_type),
             [device.preference(*one) for one in body])


class SmsCase(ServerCase):
    def texter(self, version, form, user=None, folder=None):
        """A phone which synchronizes text messages in a folder (the Inbox)."""
        device = self.phone(version, form, user=user)
        device.prime(folder, options=[mail_block(device), sms_block()])
        return device

    def add(self, device, *commands, folder=None, **kwargs):
        """Sends Adds; the server ids which they were given."""
        answer = device.sync(folder, commands=list(commands), **kwargs)
        self.assertEqual(answer.collection_status, "1", answer)
        responses = answer.responses("Add")
        self.assertEqual([r.get("ClientId") for r in responses], [c.get("ClientId") for c in commands])
        for response in responses:
            self.assertEqual((response.get("Status"), response.get("Class")), ("1", "SMS"), answer)
            self.assertEqual(response.names(), ["Class", "ClientId", "ServerId", "Status"])
        self.assertEqual((answer.added, answer.changed, answer.deleted, answer.soft_deleted), ({}, {}, [], []), "echo")
        return [r.get("ServerId") for r in responses]

    def classes(self, answer, name="Add"):
        return {e.get("ServerId"): e.get("Class") for e in answer.collection.all("Commands/" + name)}

    def assert_same(self, data, text=TEXT, **changes):
        values = {"From": FROM, "To": TO, "DateReceived": DATE, "Importance": "2", "Read": "0", "InternetCPID": "28591"}
        values.update(changes)
        self.assertEqual({name: data.get("Email:" + name) for name in values}, values)
        self.assertEqual(data.get("AirSyncBase:Body/Type"), "1")
        self.assertEqual(data.get("AirSyncBase:Body/Data"), text)
        self.assertEqual(data.get("AirSyncBase:Body/EstimatedDataSize"), str(len((text or "").encode())))


class Adding(SmsCase):
    @forms(*FROM_14_0)
    def test_add(self, version, form):
        """The adding phone gets the id and no echo; another one gets the message as it was sent."""
        one = self.texter(version, form)
        other = self.texter(version, form, user=self.owner)
        (server_id,) = self.add(one, sms())
        self.assert_empty_sync(one.sync())
        seen = other.sync()
        self.assertEqual(self.classes(seen), {server_id: "SMS"})
        self.assert_same(seen.added[server_id])
        self.assertFalse({"Subject", "MessageClass", "ContentClass"} & set(seen.added[server_id].names()))
        self.assert_empty_sync(other.sync())
        # Both hold it: a new start lists it for either.
        one.sync(key="0", options=[mail_block(one), sms_block()])
        listed = one.sync()
        self.assertEqual(self.classes(listed), {server_id: "SMS"})
        self.assert_same(listed.added[server_id])


    @forms(*FROM_14_0)
    def test_several_with_little_in_them(self, version, form):
        device = self.texter(version, form, folder=None)
        sent = device.folders[SENT]
        device.prime(sent, options=[sms_block()])
        bare = E("Add", E("Class", "SMS"), E("ClientId", "bare"), E("ApplicationData", E("Email:Read", "1")))
        first, second, third = self.add(
            device, sms("a", From=None, To=None, InternetCPID=None, DateReceived=None, Read="1"), sms("b", text=None), bare,
            folder=sent)
        listed = device.prime(sent, options=[sms_block()])
        self.assertEqual(set(listed), {first, second, third})
        self.assert_same(listed[first], From=None, To=None, InternetCPID="65001", Read="1",
                         DateReceived=listed[first].get("Email:DateReceived"))
        self.assert_same(listed[second], text=None)
        self.assertEqual(listed[third].get("Email:Read"), "1")
        self.assertEqual(listed[third].get("Email:Importance"), "1")

    @forms("14.1")
    def test_odd_texts(self, version, form):
        """What is sent comes back byte for byte, and does not become another header or another message."""
        one = self.texter(version, form)
        other = self.texter(version, form, user=self.owner)
        odd = ["\r\nX-Evil: 1\r\n\r\nbody", "=?utf-8?Q?no=20word?=", "a" * 300, "日本語" * 40, "[MOBILE:]", '"', ";,;", "+491701234567"]
        ids = self.add(one, *[sms(f"odd{n}", From=text, To=text, text=text) for n, text in enumerate(odd)])
        added = other.sync().added
        for server_id, text in zip(ids, odd):
            self.assertEqual(added[server_id].get("AirSyncBase:Body/Data"), text)
            if "\n" not in text:
                self.assertEqual((added[server_id].get("Email:From"), added[server_id].get("Email:To")), (text, text))
        many = sms("long", To="".join(f'"N{n}" [MOBILE:+{n}]; ' for n in range(600)))
        (server_id,) = self.add(one, many)
        self.assertEqual(other.sync().added[server_id].get("Email:To"), many.get("ApplicationData/Email:To"))

    @forms(*FROM_14_0)
    def test_flag_and_categories(self, version, form):
        one = self.texter(version, form)
        other = self.texter(version, form, user=self.owner)
        flag = E("Email:Flag", E("Status", "2"), E("FlagType", "for Follow Up"))
        categories = E("Email:Categories", E("Category", "Red"))
        (server_id,) = self.add(one, sms(properties=[flag, categories]))
        self.assert_empty_sync(one.sync())
        data = other.sync().added[server_id]
        self.assertEqual(data.get("Email:Flag/Status"), "2")
        self.assertEqual(data.get("Email:Categories/Category"), "Red")

    @forms(*FROM_14_0)
    def test_repeated_request(self, version, form):
        """The answer got lost: the same ServerIds, and no second message."""
        one = self.texter(version, form)
        other = self.texter(version, form, user=self.owner)
        key = one.keys[one.inbox]
        commands = [sms("a"), sms("b", text="second")]
        ids = self.add(one, *commands)
        for _ in range(3):
            self.assertEqual(self.add(one, *commands, key=key), ids)
        # One more in it than before.
        again = self.add(one, *commands, sms("c", text="third"), key=key)
        self.assertEqual(again[:2], ids)
        self.assert_empty_sync(one.sync())
        self.assertEqual(set(other.sync().added), set(again))
        self.assertEqual(set(one.prime(options=[sms_block()])), set(again))

    @forms(*FROM_14_0)
    def test_same_message_later(self, version, form):
        """A phone that forgot: the same Add with a newer key, and after a new start."""
        one = self.texter(version, form)
        other = self.texter(version, form, user=self.owner)
        (server_id,) = self.add(one, sms())
        self.assertEqual(list(other.sync().added), [server_id])
        self.assertEqual(self.add(one, sms()), [server_id])
        self.assert_empty_sync(one.sync())
        one.sync(key="0", options=[mail_block(one), sms_block()])
        answer = one.sync(commands=[sms()])
        self.assertEqual([r.get("ServerId") for r in answer.responses("Add")], [server_id])
        self.assertEqual(answer.added, {})
        self.assert_empty_sync(other.sync())
        # The same ClientId with another text is another message; so is one of another phone.
        (second,) = self.add(one, sms(text="another"))
        self.assertNotEqual(second, server_id)
        self.assertEqual(list(other.sync().added), [second])
        (third,) = self.add(other, sms())
        self.assertNotIn(third, (server_id, second))

    @forms(*FROM_14_0)
    def test_same_message_after_its_deletion(self, version, form):
        """It does not come back to life, and the phone is told so."""
        one = self.texter(version, form)
        other = self.texter(version, form, user=self.owner)
        (server_id,) = self.add(one, sms())
        other.sync()
        other.sync(commands=[E("Delete", E("ServerId", server_id))])
        self.assertEqual(one.sync().deleted, [server_id])
        answer = one.sync(commands=[sms()])
        self.assertEqual([(r.get("Status"), r.get("ServerId")) for r in answer.responses("Add")], [("1", server_id)])
        self.assertEqual(answer.deleted or one.sync().deleted, [server_id])
        self.assert_empty_sync(one.sync())
        self.assert_empty_sync(other.sync())

    @forms("14.1")
    def test_stored_as_a_message(self, version, form):
        device = self.texter(version, form)
        (server_id,) = self.add(device, sms())
        raw = self.raw_message(self.owner, server_id)
        parsed = email.message_from_bytes(raw, policy=email.policy.default)
        self.assertEqual(parsed["X-Bellhop-Class"], "SMS")
        self.assertEqual(str(parsed["From"].addresses[0].addr_spec), "+491701234567@sms.invalid")
        self.assertEqual(parsed["From"].addresses[0].display_name, "Jörg Müller")
        self.assertEqual([a.addr_spec for a in parsed["To"].addresses], ["+491709999999@sms.invalid", "+15551234@sms.invalid"])
        self.assertEqual(parsed["X-Bellhop-SMS-From"], FROM)
        self.assertEqual(parsed["X-Bellhop-SMS-CPID"], "28591")
        self.assertEqual(parsed["Importance"], "high")
        self.assertEqual(parsed["Date"].datetime.strftime("%Y-%m-%dT%H:%M:%S.000Z"), DATE)
        self.assertEqual(parsed.get_payload(decode=True).decode(), TEXT)

    def raw_message(self, user, server_id):
        folder, item = server_id.split(":")
        with contextlib.closing(sqlite3.connect(f"file:{self.server.data}/bellhop.db?mode=ro", uri=True)) as db:
            return db.execute(
                "SELECT bytes FROM bodies b JOIN items i ON b.owner = i.owner AND b.id = i.body_id JOIN users u ON u.owner = i.owner"
                " WHERE u.login = ? AND i.folder = ? AND i.id = ?", (user.login, folder, item)).fetchone()[0]

    @forms(*FROM_14_0)
    def test_refused(self, version, form):
        """One by one with 6; the good one among them is added. Mail cannot be added at all."""
        device = self.texter(version, form)
        html = E("Add", E("Class", "SMS"), E("ClientId", "html"), E("ApplicationData", E("Email:To", TO), E(
            "AirSyncBase:Body", E("Type", "2"), E("Data", "<b>x</b>"))))
        mail_like = E("ApplicationData", E("Email:To", TO), E("Email:Subject", "x"))
        answer = device.sync(commands=[
            html, sms("date", DateReceived="yesterday"), sms("importance", Importance="9"), sms("endless", To="x" * 20000),
            E("Add", E("Class", "Email"), E("ClientId", "mail"), mail_like), E("Add", E("ClientId", "none"), mail_like), sms("good")])
        self.assertEqual({r.get("ClientId"): r.get("Status") for r in answer.responses("Add")}, {
            "html": "6", "date": "6", "importance": "6", "endless": "6", "mail": "6", "none": "6", "good": "1"})
        self.assertEqual(len(device.prime(options=[mail_block(device), sms_block()])), 1)

    @forms("14.0", "14.1", "16.1")
    def test_client_id_twice(self, version, form):
        """In one request a ClientId names one message."""
        device = self.texter(version, form)
        answer = device.sync(commands=[sms("x", text="one"), sms("x", text="two"), sms("x", text="one")])
        self.assertEqual([r.get("Status") for r in answer.responses("Add")], ["1", "6", "1"])
        self.assertEqual(len({r.get("ServerId") for r in answer.responses("Add")} - {None}), 1)
        self.assertEqual(len(device.prime(options=[sms_block()])), 1)

    @forms(*FROM_14_0)
    def test_only_into_mail_folders(self, version, form):
        device = self.phone(version, form)
        calendar = device.folders[CALENDAR]
        device.prime(calendar)
        answer = device.sync(calendar, commands=[sms()])
        self.assertEqual([r.get("Status") for r in answer.responses("Add")], ["6"])
        self.assertEqual(device.prime(calendar), {})

    @forms("2.5", "12.0", "12.1", ("12.1", "base64"))
    def test_not_before_14_0(self, version, form):
        """Neither the class nor the messages exist for older phones."""
        texter = self.texter("14.1", "plain")
        old = self.phone(version, form, user=self.owner)
        old.prime()
        for commands in ([sms()], [sms(class_=None)]):
            answer = old.sync(commands=commands)
            statuses = {answer.status, answer.collection_status} | {r.get("Status") for r in answer.responses("Add")}
            self.assertTrue(statuses & {"4", "6"}, answer)
            self.assertFalse({"Class", "ServerId"} & {n for r in answer.responses("Add") for n in r.names()}, answer)
        self.assertEqual(old.sync(options=[sms_block()]).status, "4")
        self.add(texter, sms())
        self.assertEqual(old.prime(), {})

    @forms("14.1", "16.1")
    def test_mailbox_is_full(self, version, form):
        device = self.texter(version, form)
        with contextlib.closing(sqlite3.connect(f"{self.server.data}/bellhop.db", timeout=20)) as db, db:
            db.execute("UPDATE owners SET quota_bytes = 4096 WHERE id = (SELECT owner FROM users WHERE login = ?)",
                       (self.owner.login,))
        answer = device.sync(commands=[sms("big", text="x" * 8000)])
        self.assertEqual([r.get("Status") for r in answer.responses("Add")], ["9"], answer)
        self.add(device, sms("small", text="fits"))

    @forms(*FROM_14_0)
    def test_added_by_a_phone_that_does_not_want_them(self, version, form):
        """It is kept, and leaves that phone."""
        one = self.phone(version, form)
        one.prime()
        answer = one.sync(commands=[sms()])
        (response,) = answer.responses("Add")
        self.assertEqual(response.get("Status"), "1")
        self.assertEqual(answer.soft_deleted or one.sync().soft_deleted, [response.get("ServerId")])
        self.assert_empty_sync(one.sync())
        self.assertEqual(list(one.sync(options=[sms_block()]).added), [response.get("ServerId")])


class Handling(SmsCase):
    def shared(self, version, form):
        """Two phones which hold one text message."""
        one = self.texter(version, form)
        other = self.texter(version, form, user=self.owner)
        (server_id,) = self.add(one, sms())
        self.assertEqual(list(other.sync().added), [server_id])
        return one, other, server_id

    @forms(*FROM_14_0)
    def test_change(self, version, form):
        one, other, server_id = self.shared(version, form)
        for properties, names in (([E("Email:Read", "1")], ["Read"]),
                                  ([E("Email:Flag", E("Status", "2"), E("FlagType", "x"))], ["Flag"]),
                                  ([E("Email:Categories", E("Category", "Red"))], ["Categories"])):
            answer = one.sync(commands=[E("Change", E("ServerId", server_id), E("ApplicationData", properties))])
            self.assertEqual((answer.responses("Change"), answer.changed), ([], {}))
            seen = other.sync()
            self.assertEqual(seen.changed[server_id].names(), names)
            self.assertEqual(self.classes(seen, "Change"), {server_id: "SMS"})
            self.assert_empty_sync(one.sync())

    @forms(*FROM_14_0)
    def test_delete(self, version, form):
        """It goes to Deleted Items as what it is; 14.0 does not name the class of a deletion."""
        one, other, server_id = self.shared(version, form)
        deleted = one.folders[DELETED]
        one.prime(deleted, options=[sms_block()])
        answer = one.sync(commands=[E("Delete", E("ServerId", server_id))])
        self.assertEqual((answer.responses("Delete"), answer.deleted), ([], []))
        seen = other.sync()
        self.assertEqual(seen.deleted, [server_id])
        self.assertEqual(self.classes(seen, "Delete"), {server_id: None if version == "14.0" else "SMS"})
        arrived = one.sync(deleted)
        self.assertEqual(list(self.classes(arrived).values()), ["SMS"])
        for data in arrived.added.values():
            self.assert_same(data)

    @forms(*FROM_14_0)
    def test_move(self, version, form):
        """From folder to folder it stays what it is."""
        one, other, server_id = self.shared(version, form)
        sent = one.folders[SENT]
        one.prime(sent, options=[sms_block()])
        answer = one.post("MoveItems", E("Move:MoveItems", E(
            "Move", E("SrcMsgId", server_id), E("SrcFldId", one.inbox), E("DstFldId", sent))))
        self.assertEqual(answer.document.get("Response/Status"), "3")
        moved = answer.document.get("Response/DstMsgId")
        for device in (one, other):
            gone = device.sync()
            self.assertEqual((gone.deleted, self.classes(gone, "Delete")), (
                [server_id], {server_id: None if version == "14.0" else "SMS"}))
        arrived = one.sync(sent)
        self.assertEqual(self.classes(arrived), {moved: "SMS"})
        self.assert_same(arrived.added[moved])

    @forms(*FROM_14_0)
    def test_failures_name_the_class(self, version, form):
        """14.0: no answer to a deletion, not even to one that came too late."""
        one, other, server_id = self.shared(version, form)
        mail_id, = self.delivered(one, other)
        one.sync(commands=[E("Change", E("ServerId", server_id), E("ApplicationData", E("Email:Read", "1")))])
        answer = other.sync(commands=[E("Change", E("ServerId", server_id), E("ApplicationData", E("Email:Read", "0")))])
        self.assertEqual([(r.get("Status"), r.get("Class")) for r in answer.responses("Change")], [("7", "SMS")])
        one.sync(commands=[E("Delete", E("ServerId", i)) for i in (server_id, mail_id)])
        answer = other.sync(commands=[E("Delete", E("ServerId", server_id))])
        expected = [] if version == "14.0" else [("8", "SMS")]
        self.assertEqual([(r.get("Status"), r.get("Class")) for r in answer.responses("Delete")], expected)
        self.assertEqual(answer.collection.has("Responses"), bool(expected))
        self.assertEqual(answer.deleted, [mail_id], "that of the phone's own wish is no news")

    def delivered(self, *devices):
        self.deliver(self.owner, "mail beside it")
        return [list(device.sync().added)[0] for device in devices][:1]

    @forms(*FROM_14_0)
    def test_fetch(self, version, form):
        one, _, server_id = self.shared(version, form)
        answer = one.sync(options=[mail_block(one), sms_block(one, body=[("1", "5")])],
                          commands=[E("Fetch", E("ServerId", server_id))])
        (found,) = answer.responses("Fetch")
        self.assertEqual(found.get("Status"), "1")
        self.assert_same(found.find("ApplicationData"))
        answer = one.post("ItemOperations", E("ItemOperations:ItemOperations", E(
            "Fetch", E("Store", "Mailbox"), E("AirSync:CollectionId", one.inbox), E("AirSync:ServerId", server_id))))
        found = answer.document.find("Response/Fetch")
        self.assertEqual((found.get("Status"), found.get("AirSync:Class")), ("1", "SMS"))
        self.assert_same(found.find("Properties"))

    @forms(*FROM_14_0)
    def test_body_of_its_own_options(self, version, form):
        """Always plain text; cut as the block of the class says, not as that of the mail."""
        one, other, server_id = self.shared(version, form)
        blocks = [mail_block(one, body=[("2", "1")]), sms_block(one, body=[("1", "3", None, "50")])]
        body = one.prime(options=blocks)[server_id].find("AirSyncBase:Body")
        self.assertEqual((body.get("Data"), body.get("Truncated"), body.get("Type")), ("Gr", "1", "1"))
        body = one.prime(options=[sms_block(one, body=[("1", "0", None, "50")])])[server_id].find("AirSyncBase:Body")
        self.assertEqual((body.get("Data"), body.get("Preview")), (None, "Grüße und mehr 🎉"))
        body = one.prime(options=[sms_block(one, body=[("1", "3", "1")])])[server_id].find("AirSyncBase:Body")
        self.assertEqual((body.get("Data"), body.get("Truncated")), (None, "1"))
        body = other.prime(options=[sms_block(other, body=[("2",)])])[server_id].find("AirSyncBase:Body")
        self.assertEqual((body.get("Data"), body.get("Type")), (TEXT, "1"))


class Blocks(SmsCase):
    @forms(*FROM_14_0)
    def test_the_block_decides(self, version, form):
        """With it: Add. Without it: SoftDelete. No Options at all: as before."""
        one = self.texter(version, form)
        self.deliver(self.owner, "mail")
        one.sync()
        (server_id,) = self.add(one, sms())
        plain = self.phone(version, form, user=self.owner)
        self.assertEqual([d.get("Email:Subject") for d in plain.prime().values()], ["mail"])
        added = plain.sync(options=[sms_block()])
        self.assertEqual(self.classes(added), {server_id: "SMS"}, "only what is new to it")
        self.assert_empty_sync(plain.sync())
        dropped = plain.sync(options=[mail_block(plain)])
        self.assertEqual((dropped.soft_deleted, dropped.deleted, dropped.added), ([server_id], [], {}))
        self.assertEqual(self.classes(dropped, "SoftDelete"), {server_id: None})
        self.assert_empty_sync(plain.sync())
        self.assertEqual(list(plain.sync(options=[mail_block(plain), sms_block()]).added), [server_id])

    @forms("14.0", "14.1", "16.1")
    def test_filters_apart(self, version, form):
        now = datetime.datetime.now(datetime.timezone.utc)
        one = self.texter(version, form)
        dates = {name: (now - datetime.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
                 for name, days in (("new", 0), ("old", 10))}
        ids = dict(zip(dates, self.add(one, *[sms(n, text=n, DateReceived=d) for n, d in dates.items()])))
        device = self.phone(version, form, user=self.owner)
        items = device.prime(options=[mail_block(device, filter_type="5"), sms_block(filter_type="2")])
        self.assertEqual(set(items), {ids["new"]})
        wider = device.sync(options=[mail_block(device, filter_type="5"), sms_block(filter_type="4")])
        self.assertEqual(set(wider.added), {ids["old"]})
        self.assert_empty_sync(device.sync(options=[mail_block(device, filter_type="1"), sms_block(filter_type="4")]))
        narrower = device.sync(options=[sms_block(filter_type="1")])
        self.assertEqual(narrower.soft_deleted, [ids["old"]])
        answer = device.sync(options=[sms_block(filter_type="6")])
        self.assertIn("4", (answer.status, answer.collection_status))

    @forms(*FROM_14_0)
    def test_wrong_blocks(self, version, form):
        device = self.phone(version, form)
        device.prime()
        device.prime(device.folders[CALENDAR])
        contacts = E("AirSync:Options", E("Class", "Contacts"), E("FilterType", "0"))
        for folder, blocks in ((None, [sms_block(), sms_block()]), (None, [mail_block(device), contacts]),
                               (None, [sms_block(), contacts]), (None, [mail_block(device), mail_block(device)]),
                               (device.folders[CALENDAR], [sms_block()])):
            answer = device.sync(folder, options=blocks)
            self.assertIn("4", (answer.status, answer.collection_status), blocks)
        self.assert_empty_sync(device.sync())

    @forms(*FROM_14_0)
    def test_estimate(self, version, form):
        one = self.texter(version, form)
        other = self.phone(version, form, user=self.owner)
        other.prime()
        self.add(one, sms("a"), sms("b", text="b"))
        self.deliver(self.owner, "mail")

        def estimate(*blocks):
            answer = other.post("GetItemEstimate", E("GetItemEstimate:GetItemEstimate", E("Collections", E(
                "Collection", E("AirSync:SyncKey", other.keys[other.inbox]), E("CollectionId", other.inbox), list(blocks)))))
            return answer.document.get("Response/Status"), answer.document.get("Response/Collection/Estimate")

        email_block = E("AirSync:Options", E("Class", "Email"), E("FilterType", "0"))
        self.assertEqual(estimate(email_block), ("1", "1"))
        self.assertEqual(estimate(email_block, E("AirSync:Options", E("Class", "SMS"))), ("1", "3"))
        self.assertEqual(estimate(email_block, E("AirSync:Options", E("Class", "Calendar"))), ("4", None))
        self.assertEqual(estimate(email_block, email_block), ("4", None))


class Waking(SmsCase):
    settings = {"push.flag_wake_delay_s": "0"}

    @forms(*FROM_14_0)
    def test_ping(self, version, form):
        """A phone that asked for them is woken; the one that sent it and one that did not ask are not."""
        one = self.texter(version, form)
        other = self.texter(version, form, user=self.owner)
        plain = self.phone(version, form, user=self.owner)
        plain.prime()
        waits = {device: device.ping_send() for device in (one, other, plain)}
        for device, connection in waits.items():
            self.addCleanup(connection.close)
            self.assert_parked(connection)
        (server_id,) = self.add(one.clone(), sms())
        self.assert_ping(other.receive(waits[other]), "2", [other.inbox])
        self.assertEqual(list(other.sync().added), [server_id])
        for device in (one, plain):
            self.assert_parked(waits[device])
        # Read on one of them: the same.
        again = other.ping_send()
        self.addCleanup(again.close)
        self.assert_parked(again)
        other.clone().sync(commands=[E("Change", E("ServerId", server_id), E("ApplicationData", E("Email:Read", "1")))])
        self.assert_parked(waits[plain])
        self.assert_parked(again)
        # And mail wakes it all the same.
        self.deliver(self.owner, "mail")
        self.assert_ping(plain.receive(waits[plain]), "2", [plain.inbox])

    @forms("14.0", "14.1", "16.1")
    def test_held_sync(self, version, form):
        one = self.texter(version, form)
        other = self.texter(version, form, user=self.owner)
        plain = self.phone(version, form, user=self.owner)
        plain.prime()
        for device in (other, plain):
            device.send("Sync", device.sync_request(device.collection(device.inbox), heartbeat="300"))
            self.assert_parked(device.connection)
        (server_id,) = self.add(one, sms())
        answer = SyncAnswer(other.receive(), other.inbox)
        self.assertEqual(self.classes(answer), {server_id: "SMS"})
        self.assert_parked(plain.connection)
        self.deliver(self.owner, "mail")
        self.assertEqual(SyncAnswer(plain.receive(), plain.inbox).subjects(), ["mail"])


if __name__ == "__main__":
    unittest.main()
