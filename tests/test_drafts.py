"""Drafts that phones write ([MS-ASEMAIL], [MS-ASAIRS], 16.0 and later): added, changed, sent; below 16.0 they are plain mail."""

import contextlib
import email
import email.policy
import json
import sqlite3
import threading
import unittest

from eas.client import DRAFTS, SENT
from eas.wbxml import E
from lib.case import ServerCase, forms, retry

FROM_16_0 = ("16.0", "16.1", ("16.1", "base64"))
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
BODIES = (("1",), ("2",))


def body(text, type_="1"):
    return E("AirSyncBase:Body", E("Type", type_), E("Data", text))


def attach(client_id, name="notes.bin", content=b"\0\1\2\xff", type_=None, content_id=None, inline=False, method="1"):
    return E("AirSyncBase:Add", E("ClientId", client_id), E("Method", method),
             None if type_ is None else E("ContentType", type_), E("Content", content), E("DisplayName", name),
             None if content_id is None else E("ContentId", content_id), E("IsInline") if inline else None)


def attachments(*changes):
    return E("AirSyncBase:Attachments", list(changes))


def detach(reference):
    return E("AirSyncBase:Delete", E("FileReference", reference))


def properties(values):
    return [E(("Email2:" if name == "Bcc" else "Email:") + name, *([value] if value else []))
            for name, value in values.items() if value is not None]


def add(client_id, *more, send=False, **values):
    return E("AirSync:Add", E("ClientId", client_id), E("ApplicationData", properties(values), list(more)),
             E("Email2:Send") if send else None)


def change(server_id, *more, send=False, **values):
    return E("AirSync:Change", E("ServerId", server_id), E("ApplicationData", properties(values), list(more)),
             E("Email2:Send") if send else None)


class DraftCase(ServerCase):
    def writer(self, version="16.1", form="plain", user=None, conflict=None, **kwargs):
        """A phone with its Drafts folder synchronized."""
        device = self.phone(version, form, user=user, **kwargs)
        device.drafts = device.folders[DRAFTS]
        options = device.options(body=BODIES, conflict=conflict) if device.since("12.0") else None
        device.seen = device.prime(device.drafts, options=options)
        return device

    def pair(self, version="16.1", form="plain", **kwargs):
        one = self.writer(version, form, **kwargs)
        return one, self.writer(version, form, user=self.owner, **kwargs)

    def sync(self, device, *commands, **kwargs):
        answer = device.sync(device.drafts, commands=list(commands), **kwargs)
        self.assertEqual(answer.collection_status, "1", answer)
        return answer

    def added(self, device, *more, client_id="d1", **values):
        """Adds one draft; its ServerId. No echo."""
        answer = self.sync(device, add(client_id, *more, **values))
        (response,) = answer.responses("Add")
        self.assertEqual((response.get("ClientId"), response.get("Status")), (client_id, "1"), answer)
        self.assertEqual((answer.added, answer.changed, answer.deleted), ({}, {}, []), "echo")
        return response.get("ServerId")

    def references(self, response):
        """ClientId -> FileReference."""
        found = response.all("ApplicationData/AirSyncBase:Attachments/Attachment")
        return {a.get("ClientId"): a.get("FileReference") for a in found}

    def assert_silent(self, answer):
        """A Change that was taken and added nothing."""
        self.assertEqual((answer.responses("Change"), answer.added, answer.changed, answer.deleted), ([], {}, {}, []), answer)

    def refused(self, answer, status, name="Change"):
        (response,) = answer.responses(name)
        self.assertEqual(response.get("Status"), status, answer)

    def shown(self, data, name):
        return data.get(("Email2:" if name == "Bcc" else "Email:") + name)

    def assert_shows(self, data, text=None, **values):
        self.assertEqual({name: self.shown(data, name) for name in values}, values)
        if text is not None:
            self.assertEqual(data.get("AirSyncBase:Body/Data"), text)

    def files(self, data):
        """DisplayName -> the Attachment."""
        return {a.get("DisplayName"): a for a in data.all("AirSyncBase:Attachments/Attachment")}

    def fetch_file(self, device, reference):
        answer = device.post("ItemOperations", E("ItemOperations:ItemOperations", E(
            "Fetch", E("Store", "Mailbox"), E("AirSyncBase:FileReference", reference))))
        (fetched,) = answer.document.all("Response/Fetch")
        if fetched.get("Status") != "1":
            return None
        return fetched

    def set_quota(self, user, octets):
        with contextlib.closing(sqlite3.connect(self.server.data + "/bellhop.db", timeout=30)) as db, db:
            db.execute("UPDATE owners SET quota_bytes = ? WHERE id = (SELECT owner FROM users WHERE login = ?)", (octets, user.login))

    def used(self, user):
        return json.loads(self.server.bellhop("user", "show", user.address, "--json").stdout)["used_bytes"]

    def mime(self, user, folder=None):
        """All mail of a folder (the Inbox) as messages."""
        device = user.device("14.1").ready()
        items = device.prime(device.folders[folder] if folder else None, options=device.options(body=[("4",)], mime_support="2"))
        return [email.message_from_bytes(data.find("AirSyncBase:Body/Data").data, policy=email.policy.default)
                for data in items.values()]


class Writing(DraftCase):
    @forms(*FROM_16_0)
    def test_add(self, version, form):
        """What one phone writes another sees, and nobody twice; 14.1 and 2.5 see a message."""
        one, other = self.pair(version, form)
        waiting = other.ping_send(folders=[other.drafts])
        values = {"To": '"Bert, der Zweite" <bert@example.org>, carl@example.net', "Cc": "dora@example.net",
                  "Bcc": "geheim@example.net", "Subject": "Grüße 🎉", "Importance": "2", "ReplyTo": "antwort@example.org"}
        server_id = self.added(one, body("Erste Zeile\r\nzweite, schöner\r\n"), **values)
        self.assert_ping(other.receive(waiting), "2", [other.drafts])
        seen = self.sync(other).added
        self.assertEqual(list(seen), [server_id])
        self.assert_shows(seen[server_id], "Erste Zeile\r\nzweite, schöner\r\n", Read="1", **values)
        self.assertEqual(seen[server_id].get("Email2:IsDraft"), "1")
        self.assertIn(self.owner.address, seen[server_id].get("Email:From"))
        self.assertTrue(seen[server_id].find("Email2:ConversationId").data)
        self.assert_empty_sync(one.sync(one.drafts))
        self.assert_empty_sync(other.sync(other.drafts))
        for old in ("14.1", "12.1", "2.5"):
            plain = self.writer(old, user=self.owner)
            (data,) = plain.seen.values()
            self.assertEqual(data.get("Email:To"), values["To"])
            self.assertIsNone(data.get("Email2:Bcc"))
            text = data.get("Email:Body") if old == "2.5" else data.get("AirSyncBase:Body/Data")
            self.assertEqual(text, "Erste Zeile\r\nzweite, schöner\r\n")

    @forms("16.0", "16.1")
    def test_change(self, version, form):
        """Only what is named changes; an empty element takes away."""
        one, other = self.pair(version, form)
        server_id = self.added(one, body("old"), To="a@example.net", Cc="b@example.net", Bcc="c@example.net", Subject="one")
        self.sync(other)
        steps = [({"Subject": "two"}, []), ({"To": "x@example.net, y@example.net"}, []), ({"Bcc": "", "Cc": ""}, []),
                 ({"Importance": "0"}, []), ({}, [body("new text")]), ({"ReplyTo": "r@example.net", "Subject": ""}, [])]
        want = {"Subject": "one", "To": "a@example.net", "Cc": "b@example.net", "Bcc": "c@example.net", "Importance": "1"}
        text = "old"
        for values, more in steps:
            self.assert_silent(self.sync(one, change(server_id, *more, **values)))
            want.update({name: value or None for name, value in values.items()})
            text = "new text" if more else text
            seen = self.sync(other).changed
            self.assertEqual(list(seen), [server_id])
            self.assert_shows(seen[server_id], text, **want)
        # Read, Flag and Categories travel alone, or with the rest.
        flag = E("Email:Flag", E("Status", "2"), E("FlagType", "Flag for follow up"))
        categories = E("Email:Categories", E("Category", "Red"))
        self.assert_silent(self.sync(one, change(server_id, flag, categories, Read="0", Subject="three")))
        data = self.sync(other).changed[server_id]
        self.assert_shows(data, "new text", Subject="three", Read="0")
        self.assertEqual((data.get("Email:Flag/Status"), data.get("Email:Categories/Category")), ("2", "Red"))
        self.assert_silent(self.sync(one, change(server_id, Read="1")))
        self.assertEqual(self.sync(other).changed[server_id].names(), ["Read"])
        self.assert_empty_sync(one.sync(one.drafts))

    @forms("16.1")
    def test_kinds_of_bodies(self, version, form):
        """Plain text, HTML, a whole message; no RTF."""
        one, other = self.pair(version, form)
        html = "<html><body><p>Größe &amp; <b>mehr</b></p></body></html>"
        server_id = self.added(one, body(html, "2"), Subject="html")
        data = self.sync(other).added[server_id]
        self.assertEqual((data.get("AirSyncBase:Body/Type"), data.get("AirSyncBase:Body/Data")), ("2", html))
        self.assertEqual(data.get("AirSyncBase:NativeBodyType"), "2")
        self.sync(one, change(server_id, body("plain now\r\n")))
        data = self.sync(other).changed[server_id]
        self.assertEqual((data.get("AirSyncBase:Body/Type"), data.get("AirSyncBase:Body/Data")), ("1", "plain now\r\n"))
        whole = ("From: x@example.org\r\nTo: m@example.net\r\nSubject: whole\r\nMIME-Version: 1.0\r\n"
                 "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext in it\r\n--b\r\n"
                 "Content-Type: application/pdf; name=a.pdf\r\n\r\n%PDF\r\n--b--\r\n")
        self.assert_silent(self.sync(one, change(server_id, body(whole, "4"))))
        data = self.sync(other).changed[server_id]
        self.assert_shows(data, "text in it", To="m@example.net", Subject="whole")
        self.assertEqual(list(self.files(data)), ["a.pdf"])
        # And that one goes on as any other.
        self.assert_silent(self.sync(one, change(server_id, Subject="more", To="")))
        data = self.sync(other).changed[server_id]
        self.assert_shows(data, "text in it", To=None, Subject="more")
        for wrong in (body("e1xydGYx", "3"), body("\r\nno header", "4")):
            answer = self.sync(one, change(server_id, wrong))
            self.refused(answer, "6")
            self.assert_shows(answer.changed[server_id], Subject="more")
        self.refused(self.sync(one, add("bad", body("x", "3"))), "6", "Add")
        self.assert_silent(self.sync(one, change(server_id, body(""))))
        self.assertIn(self.sync(other).changed[server_id].get("AirSyncBase:Body/Data"), (None, ""))

    @forms("16.1")
    def test_what_is_no_address(self, version, form):
        """Half-written recipients stay as they were written, and cannot be sent to."""
        one, other = self.pair(version, form)
        server_id = self.added(one, To="Bert, bert@example.org, <nobody", Cc="Zoë", Subject="half")
        self.assert_shows(self.sync(other).added[server_id], To="Bert, bert@example.org, <nobody", Cc="Zoë")
        answer = self.sync(one, change(server_id, send=True))
        self.refused(answer, "183")
        self.assertEqual((list(answer.changed), answer.deleted), ([server_id], []))
        self.assert_silent(self.sync(one, change(server_id, To="bert@example.org", Cc="")))
        self.assert_shows(self.sync(other).changed[server_id], To="bert@example.org", Cc=None)

    @forms("16.1")
    def test_odd_values(self, version, form):
        """What is written comes back, and never becomes another header."""
        one, other = self.pair(version, form)
        odd = ["=?utf-8?Q?no=20word?=", "a" * 1000, "日本語" * 60, "=?utf-8?B?x", '"quoted\\" <x>', "a=?b?=c", "Re: Re: x"]
        for number, subject in enumerate(odd):
            server_id = self.added(one, client_id=f"o{number}", Subject=subject)
            self.assert_shows(self.sync(other).added[server_id], Subject=subject)
        server_id = self.added(one, body("text"), client_id="crlf", Subject="x\r\nBcc: evil@example.net\r\n\r\nboo",
                               To="a@example.net\r\nBcc: evil@example.net")
        data = self.sync(other).added[server_id]
        self.assertIsNone(data.get("Email2:Bcc"))
        self.assertEqual(data.get("AirSyncBase:Body/Data"), "text")
        self.refused(self.sync(one, add("long", Subject="s" * 40000)), "6", "Add")
        self.refused(self.sync(one, add("draft", E("Email2:IsDraft", "1"))), "6", "Add")


class Attachments(DraftCase):
    settings = {"mail.draft_attachments_max": "4", "mail.draft_max_bytes": "300000"}

    @forms("16.0", "16.1")
    def test_add_and_delete(self, version, form):
        """Each gets a FileReference, which stays its own whatever goes and comes beside it."""
        one, other = self.pair(version, form)
        answer = self.sync(one, add("d1", body("see there"), attachments(
            attach("c1", "eins.bin", b"1" * 100), attach("c2", "Zweites Stück.pdf", b"%PDF", "application/pdf")), Subject="with"))
        (response,) = answer.responses("Add")
        self.assertEqual(response.names(), ["ClientId", "ServerId", "Status", "ApplicationData"])
        server_id, first = response.get("ServerId"), self.references(response)
        self.assertEqual(set(first), {"c1", "c2"})
        data = self.sync(other).added[server_id]
        self.assertEqual({name: a.get("FileReference") for name, a in self.files(data).items()},
                         {"eins.bin": first["c1"], "Zweites Stück.pdf": first["c2"]})
        fetched = self.fetch_file(other, first["c2"])
        self.assertEqual(fetched.get("Properties/AirSyncBase:ContentType"), "application/pdf")
        answer = self.sync(one, change(server_id, attachments(detach(first["c1"]), attach("c3", "drei.bin", b"333"))))
        (response,) = answer.responses("Change")
        self.assertEqual((response.get("ServerId"), response.get("Status")), (server_id, "1"))
        third = self.references(response)
        self.assertEqual(list(third), ["c3"])
        self.assertEqual(len({*first.values(), *third.values()}), 3, "a reference was used again")
        self.assertEqual(answer.changed, {})
        data = self.sync(other).changed[server_id]
        self.assertEqual({name: a.get("FileReference") for name, a in self.files(data).items()},
                         {"Zweites Stück.pdf": first["c2"], "drei.bin": third["c3"]})
        self.assert_shows(data, "see there", Subject="with")
        self.assertIsNone(self.fetch_file(one, first["c1"]))
        # A new body leaves them, and their names.
        self.assert_silent(self.sync(one, change(server_id, body("<p>other</p>", "2"))))
        data = self.sync(other).changed[server_id]
        self.assertEqual({a.get("FileReference") for a in self.files(data).values()}, {first["c2"], third["c3"]})
        for gone in (first["c1"], "junk", "1:1:1"):
            self.refused(self.sync(one, change(server_id, attachments(detach(gone)))), "6")
        self.assert_empty_sync(other.sync(other.drafts))
        self.assert_silent(self.sync(one, change(server_id, attachments(detach(first["c2"]), detach(third["c3"])))))
        data = self.sync(other).changed[server_id]
        self.assertEqual(self.files(data), {})
        self.assertIn("other", data.get("AirSyncBase:Body/Data"))

    @forms("16.1")
    def test_kinds(self, version, form):
        """Pictures in the HTML, embedded messages, empty files, odd names; what goes out is right."""
        one, other = self.pair(version, form)
        friend = self.user()
        inner = b"From: i@example.net\r\nSubject: inside\r\n\r\ninner text\r\n"
        html = '<html><body>look <img src="cid:pic1@x"></body></html>'
        answer = self.sync(one, add("d1", body(html, "2"), attachments(
            attach("c1", "pic.png", PICTURE, "image/png", "pic1@x", inline=True),
            attach("c2", "inside.eml", inner, method="5"), attach("c3", 'a"b/c\r\nX: y.txt', b"", "text/plain; x=y")),
            To=friend.address, Subject="kinds"))
        server_id = answer.responses("Add")[0].get("ServerId")
        files = self.files(self.sync(other).added[server_id])
        self.assertEqual({name: (a.get("Method"), a.get("IsInline"), a.get("ContentId")) for name, a in files.items()}, {
            "pic.png": ("1", "1", "pic1@x"), "inside.eml": ("5", None, None), 'a"b_c__X: y.txt': ("1", None, None)})
        self.sync(one, change(server_id, send=True))
        (message,) = self.mime(friend)
        self.assertEqual([p.get_content_type() for p in message.walk()], [
            "multipart/mixed", "multipart/related", "text/html", "image/png", "message/rfc822", "text/plain", "text/plain"])
        parts = list(message.walk())
        self.assertEqual((parts[3].get_content(), parts[3]["Content-ID"]), (PICTURE, "<pic1@x>"))
        self.assertEqual(parts[5]["Subject"] or parts[4].get_content()["Subject"], "inside")
        self.assertEqual(parts[2].get_content().strip(), html)
        self.assertFalse([name for name in message.keys() if name.lower().startswith("x-bellhop")])

    @forms("16.1")
    def test_limits(self, version, form):
        one = self.writer(version, form)
        many = [attach(f"c{n}", f"{n}.bin") for n in range(5)]
        self.refused(self.sync(one, add("d1", attachments(*many))), "122", "Add")
        answer = self.sync(one, add("d2", attachments(*many[:4]), Subject="four"))
        (response,) = answer.responses("Add")
        server_id, references = response.get("ServerId"), self.references(response)
        self.assertEqual(len(references), 4)
        answer = self.sync(one, change(server_id, attachments(many[4])))
        self.refused(answer, "122")
        self.assert_shows(answer.changed[server_id], Subject="four")
        answer = self.sync(one, change(server_id, attachments(detach(references["c0"]), many[4])))
        self.refused(answer, "1")
        self.refused(self.sync(one, add("d3", attachments(attach("big", content=b"x" * 250000)))), "122", "Add")
        self.refused(self.sync(one, add("d4", attachments(attach("big", content=b"x" * 200000)))), "1", "Add")

    @forms("16.1")
    def test_quota(self, version, form):
        one = self.writer(version, form)
        self.set_quota(self.owner, 100000)
        self.refused(self.sync(one, add("d1", attachments(attach("big", content=b"x" * 200000)))), "9", "Add")
        server_id = self.added(one, Subject="small", client_id="d2")
        answer = self.sync(one, change(server_id, attachments(attach("big", content=b"x" * 200000))))
        self.refused(answer, "9")
        self.assert_shows(answer.changed[server_id], Subject="small")
        self.assert_silent(self.sync(one, change(server_id, Subject="still")))


class Sending(DraftCase):
    @forms(*FROM_16_0)
    def test_send_a_draft(self, version, form):
        """It leaves as SendMail's does, a copy is in Sent, the draft goes from every phone."""
        one, other = self.pair(version, form)
        friend, hidden = self.user(), self.user()
        server_id = self.added(one, body("the text\r\n"), To=friend.address, Bcc=hidden.address, Subject="old")
        self.assertEqual(list(self.sync(other).added), [server_id])
        answer = self.sync(one, change(server_id, Subject="Último", send=True))
        self.assertEqual((answer.responses("Change"), answer.deleted), ([], [server_id]), answer)
        self.assertEqual(self.sync(other).deleted, [server_id])
        self.assert_empty_sync(one.sync(one.drafts))
        (message,), (copy,), (sent,) = self.mime(friend), self.mime(hidden), self.mime(self.owner, SENT)
        self.assertEqual((message["Subject"], message.get_content()), ("Último", "the text\r\n"))
        self.assertEqual((message["Bcc"], copy["Bcc"], sent["Bcc"]), (None, None, hidden.address))
        self.assertEqual(message["Message-ID"], sent["Message-ID"])
        self.assertIn(self.owner.address, message["From"])
        self.assertEqual(len(message.get_all("Date")), 1)

    @forms("16.0", "16.1")
    def test_send_at_once(self, version, form):
        one, other = self.pair(version, form)
        friend = self.user()
        answer = self.sync(one, add("s1", body("now"), attachments(attach("c1", "a.bin")), To=friend.address, Subject="now", send=True))
        (response,) = answer.responses("Add")
        self.assertEqual((response.get("ClientId"), response.get("Status"), response.get("ServerId")), ("s1", "1", None))
        self.assertEqual((answer.added, answer.deleted), ({}, []))
        self.assertEqual([m["Subject"] for m in self.mime(friend)], ["now"])
        self.assertEqual([m["Subject"] for m in self.mime(self.owner, SENT)], ["now"])
        self.assert_empty_sync(other.sync(other.drafts))

    @forms("16.1")
    def test_refusals(self, version, form):
        """The phone learns why, and what it wrote is kept."""
        one, other = self.pair(version, form)
        self.refused(self.sync(one, add("s1", Subject="nobody", send=True)), "183", "Add")
        self.refused(self.sync(one, add("s2", To="x@nowhere.example", send=True)), "183", "Add")
        self.assert_empty_sync(other.sync(other.drafts))
        server_id = self.added(one, Subject="kept")
        self.sync(other)
        answer = self.sync(one, change(server_id, body("my words"), To="x@nowhere.example", send=True))
        self.refused(answer, "183")
        self.assert_shows(answer.changed[server_id], "my words", To="x@nowhere.example")
        self.assert_shows(self.sync(other).changed[server_id], "my words", Subject="kept")
        friend = self.user()
        # The copy in Sent does not fit beside the draft, which goes only with it.
        words = "my words " * 1000
        self.sync(one, change(server_id, body(words)))
        self.set_quota(self.owner, self.used(self.owner) + 2000)
        answer = self.sync(one, change(server_id, To=friend.address, send=True))
        self.refused(answer, "9")
        self.assert_shows(self.sync(other).changed[server_id], words, To=friend.address)
        self.assertEqual(self.mime(self.owner, SENT), [])
        whole = "From: somebody@example.net\r\nTo: " + friend.address + "\r\nSubject: not mine\r\n\r\nx\r\n"
        self.refused(self.sync(one, add("s3", body(whole, "4"), send=True)), "120", "Add")
        # The others of the request are done all the same.
        answer = self.sync(one, add("s4", Subject="good"), change(server_id, send=True),
                           add("s5", body(words), To=friend.address, send=True))
        self.assertEqual([r.get("Status") for r in answer.responses("Add")], ["1", "9"])
        self.refused(answer, "9")
        self.assertEqual(self.mime(friend), [])

    @forms("16.1")
    def test_no_drafts(self, version, form):
        """Mail elsewhere is not written, nor sent."""
        device = self.writer(version, form)
        friend = self.user()
        self.deliver(self.owner, subject="mail")
        (server_id,) = device.prime()
        for commands in ([add("i1", Subject="x")], [add("i2", To=friend.address, send=True)]):
            self.refused(device.sync(commands=commands), "6", "Add")
        for command in (change(server_id, send=True), change(server_id, Subject="other"),
                        change(server_id, attachments(attach("c1")))):
            answer = device.sync(commands=[command])
            self.refused(answer, "6")
        device.sync(commands=[change(server_id, Read="1")])
        self.assertEqual(self.mime(friend), [])
        self.assertEqual([m["Subject"] for m in self.mime(self.owner)], ["mail"])

    @forms("2.5", "12.1", "14.0", "14.1")
    def test_old_versions(self, version, form):
        """Below 16.0 there are no drafts to write."""
        device = self.writer(version, form)
        answer = device.sync(device.drafts, commands=[add("d1", Subject="x")])
        self.refused(answer, "6", "Add")
        self.assertEqual(device.prime(device.drafts), {})
        new = self.writer("16.1", user=self.owner)
        server_id = self.added(new, Subject="kept", To="a@example.net")
        (mine,) = device.sync(device.drafts).added
        self.assertEqual(mine, server_id)
        device.sync(device.drafts, commands=[change(server_id, Subject="not", Read="0")])
        self.assert_shows(self.sync(new).changed[server_id], Read="0")
        self.assert_shows(self.writer("16.1", user=self.owner).seen[server_id], Subject="kept")


class Conflicts(DraftCase):
    @forms("16.0", "16.1")
    def test_server_wins(self, version, form):
        one, other = self.pair(version, form, conflict="1")
        server_id = self.added(one, body("base"), Subject="base")
        self.sync(other)
        self.assert_silent(self.sync(one, change(server_id, Subject="mine")))
        answer = self.sync(other, change(server_id, Subject="theirs"))
        self.refused(answer, "7")
        self.assert_shows(answer.changed[server_id], Subject="mine")
        self.assert_empty_sync(one.sync(one.drafts))
        # A draft that somebody else has written meanwhile is not sent.
        friend = self.user()
        self.assert_silent(self.sync(one, change(server_id, To=friend.address)))
        answer = self.sync(other, change(server_id, send=True))
        self.refused(answer, "7")
        self.assertEqual(self.mime(friend), [])
        self.assertEqual(self.sync(other, change(server_id, send=True)).deleted, [server_id])
        self.assertEqual([m["Subject"] for m in self.mime(friend)], ["mine"])
        self.refused(self.sync(one, change(server_id, Subject="late")), "8")

    @forms("16.1")
    def test_client_wins(self, version, form):
        """What the other phone wrote elsewhere in the draft stays, and both end with the same."""
        one, other = self.pair(version, form, conflict="0")
        server_id = self.added(one, body("base"), Subject="base")
        self.sync(other)
        self.assert_silent(self.sync(one, change(server_id, body("mine"), Subject="mine")))
        answer = self.sync(other, change(server_id, Subject="theirs"))
        self.assertEqual(answer.responses("Change"), [])
        self.assert_shows(answer.changed[server_id], "mine", Subject="theirs")
        self.assert_shows(self.sync(one).changed[server_id], "mine", Subject="theirs")
        self.assert_empty_sync(other.sync(other.drafts))

    @forms("16.1")
    def test_twice_in_a_request(self, version, form):
        one, other = self.pair(version, form)
        server_id = self.added(one, Subject="0")
        self.assert_silent(self.sync(one, change(server_id, Subject="1"), change(server_id, body("2")), change(server_id, To="3@example.net")))
        self.assert_shows(self.sync(other).added[server_id], "2", Subject="1", To="3@example.net")
        friend = self.user()
        answer = self.sync(one, change(server_id, To=friend.address), change(server_id, send=True), change(server_id, Subject="late"))
        self.refused(answer, "8")
        self.assertEqual([m["Subject"] for m in self.mime(friend)], ["1"])


    @forms("16.1")
    def test_at_the_same_time(self, version, form):
        """Two phones write one draft at once, again and again: each Change is in it, in the end both have the same."""
        one, other = self.pair(version, form, conflict="0")
        server_id = self.added(one, Subject="base")
        self.sync(other)
        answers = []

        def work(device, name):
            for number in range(8):
                answers.append(self.sync(device, change(server_id, attachments(attach(f"{name}{number}", f"{name}{number}")))))

        threads = [threading.Thread(target=work, args=pair) for pair in ((one, "a"), (other, "b"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([r.get("Status") for a in answers for r in a.responses("Change")], ["1"] * 16)
        names = {f"{name}{number}" for name in "ab" for number in range(8)}
        for device in (one, other):
            device.sync_rest(device.drafts)
        data = self.writer(version, form, user=self.owner).seen[server_id]
        self.assertEqual(set(self.files(data)), names)
        self.assertEqual(len({a.get("FileReference") for a in self.files(data).values()}), 16)


class Repeats(DraftCase):
    def again(self, device, *commands):
        """The same request with the key before, its answer lost."""
        key = device.keys[device.drafts]
        first = self.sync(device, *commands)
        return first, self.sync(device, *commands, key=key)

    @forms("16.0", "16.1")
    def test_add(self, version, form):
        one, other = self.pair(version, form)
        first, second = self.again(one, add("d1", attachments(attach("c1", "a.bin")), Subject="once"))
        (a,), (b,) = first.responses("Add"), second.responses("Add")
        self.assertEqual((a.get("ServerId"), self.references(a)), (b.get("ServerId"), self.references(b)))
        self.assertEqual(list(self.sync(other).added), [a.get("ServerId")])
        # Also when the phone has begun anew since.
        one.prime(one.drafts)
        third = self.sync(one, add("d1", attachments(attach("c1", "a.bin")), Subject="once"))
        self.assertEqual(third.responses("Add")[0].get("ServerId"), a.get("ServerId"))
        self.assert_empty_sync(other.sync(other.drafts))

    @forms("16.1")
    def test_change(self, version, form):
        one, other = self.pair(version, form)
        server_id = self.added(one, Subject="x")
        self.sync(other)
        one.sync(one.drafts)
        first, second = self.again(one, change(server_id, attachments(attach("c1", "a.bin"))))
        self.assertEqual(self.references(first.responses("Change")[0]), self.references(second.responses("Change")[0]))
        data = self.sync(other).changed[server_id]
        self.assertEqual(list(self.files(data)), ["a.bin"])
        # With another command beside it, so that it is not the same request.
        key = one.keys[one.drafts]
        self.sync(one, change(server_id, attachments(attach("c2", "b.bin"))))
        self.sync(one, change(server_id, attachments(attach("c2", "b.bin"))), change(server_id, Subject="y"), key=key)
        self.assertEqual(sorted(self.files(self.sync(other).changed[server_id])), ["a.bin", "b.bin"])
        key = one.keys[one.drafts]
        self.sync(one, change(server_id, attachments(attach("c3", "c.bin"))))
        self.sync(one, change(server_id, attachments(attach("c3", "c.bin")), Subject="z"), key=key)
        data = self.sync(other).changed[server_id]
        self.assertEqual((sorted(self.files(data)), data.get("Email:Subject")), (["a.bin", "b.bin", "c.bin"], "z"))

    @forms("16.0", "16.1")
    def test_send(self, version, form):
        one = self.writer(version, form)
        friend = self.user()
        first, second = self.again(one, add("s1", To=friend.address, Subject="once", send=True))
        self.assertEqual([r.get("Status") for a in (first, second) for r in a.responses("Add")], ["1", "1"])
        one.prime(one.drafts)
        third = self.sync(one, add("s1", To=friend.address, Subject="once", send=True))
        self.refused(third, "1", "Add")
        server_id = self.added(one, To=friend.address, Subject="draft")
        first, second = self.again(one, change(server_id, send=True))
        self.assertEqual((second.responses("Change"), second.deleted), ([], [server_id]), second)
        one.sync(one.drafts)
        self.refused(self.sync(one, change(server_id, send=True)), "8")
        self.assertEqual(sorted(m["Subject"] for m in self.mime(friend)), ["draft", "once"])
        self.assertEqual(len(self.mime(self.owner, SENT)), 2)

    @forms("16.1")
    def test_killed(self, version, form):
        """The engine dies with the request in its hands: it is done once, whether the phone hears of it or not."""
        one = self.writer(version, form)
        friend = self.user()
        for number in range(3):
            document = one.sync_request(one.collection(one.drafts, commands=[
                add(f"k{number}", To=friend.address, Subject=f"sent {number}", send=True),
                add(f"l{number}", attachments(attach("c1")), Subject=f"kept {number}")]))
            connection = one.connect()
            one.send("Sync", document, connection=connection)
            self.server.kill_engine()
            connection.close()
            answer = retry(lambda: one.post("Sync", document))
            collection = answer.document.find("Collections/Collection")
            self.assertEqual([r.get("Status") for r in collection.all("Responses/Add")], ["1", "1"], answer)
            one.keys[one.drafts] = collection.get("SyncKey")
        self.assertEqual(sorted(m["Subject"] for m in self.mime(friend)), ["sent 0", "sent 1", "sent 2"])
        seen = self.writer(version, form, user=self.owner).seen
        self.assertEqual(sorted(d.get("Email:Subject") for d in seen.values()), ["kept 0", "kept 1", "kept 2"])
        for data in seen.values():
            self.assertEqual(len(self.files(data)), 1)


if __name__ == "__main__":
    unittest.main()
