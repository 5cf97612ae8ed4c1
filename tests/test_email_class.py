"""The Email class property by property, in every version: what a phone is told of a message (docs/MAIL.md)."""

import base64
import email
import email.policy
import unittest

from eas import email_order
from eas.client import SENT
from eas.wbxml import E, VERSIONS
from lib import mail
from lib.case import ServerCase, forms

every_version = forms(*VERSIONS)
FROM_12_0, FROM_14_0 = VERSIONS[1:], VERSIONS[3:]


def raw(*lines, body="text"):
    """A message of header lines and a body, with CRLF."""
    return "\r\n".join((*lines, "", body, "")).encode()


class EmailCase(ServerCase):
    def deliver_raw(self, *lines, body="text"):
        message = raw(*lines, body=body)
        self.server.deliver(self.owner, message)
        return message

    def listed(self, device, **options):
        """{subject: ApplicationData} of the inbox."""
        options.setdefault("body", [("1",)])
        items = device.prime(options=device.options(**options))
        for data in items.values():
            email_order.check(data, device.version)
        return {data.get("Email:Subject"): data for data in items.values()}

    def only(self, device, **options):
        (data,) = self.listed(device, **options).values()
        return data


class Versions(EmailCase):
    """Which properties there are in which version."""

    ALWAYS = {"To", "Cc", "From", "Subject", "ReplyTo", "DateReceived", "DisplayTo", "ThreadTopic", "Importance", "Read", "MessageClass",
              "InternetCPID", "Attachments"}
    ONLY_25 = {"Body", "BodySize", "BodyTruncated"}
    SINCE = {"12.0": {"Body", "NativeBodyType", "ContentClass", "Flag"},
             "14.0": {"Sender", "ReceivedAsBcc", "ConversationId", "ConversationIndex", "Categories", "LastVerbExecuted",
                      "LastVerbExecutionTime"},
             "16.0": {"IsDraft"}}

    @every_version
    def test_sets_of_properties(self, version, form):
        """A message that has all of them shows those of the version, and no other."""
        device = self.phone(version, form)
        message = mail.message("Re: all", Cc="c@example.net", Reply_To="r@example.net", Sender="s@example.net",
                               attachments=[("a.txt", "text/plain", b"x")])
        self.server.deliver(self.owner, message)
        helper = self.phone("14.1", user=self.owner)
        (server_id,) = helper.prime()
        helper.sync(commands=[E("Change", E("ServerId", server_id), E(
            "ApplicationData", E("Email:Categories", E("Category", "blue"))))])
        helper.post("SmartReply", E("ComposeMail:SmartReply", E("ClientId", "versions-1"), E(
            "Source", E("FolderId", helper.inbox), E("ItemId", server_id)), E("Mime", raw("To: " + self.owner.address, "Subject: x"))))
        data = self.listed(device)["Re: all"]
        wanted = set(self.ALWAYS) | (self.ONLY_25 if version == "2.5" else set())
        for first, names in self.SINCE.items():
            wanted |= names if device.since(first) else set()
        self.assertEqual(set(data.names()), wanted)
        self.assertEqual(data.has("Email:Body"), version == "2.5")
        self.assertEqual(data.has("AirSyncBase:Body"), version != "2.5")
        self.assertEqual(data.has("Email:Attachments"), version == "2.5")
        self.assertEqual(data.get("Email2:LastVerbExecuted"), "1" if device.since("14.0") else None)


class Envelope(EmailCase):
    @every_version
    def test_addresses(self, version, form):
        """Lists as they stand in the header, decoded; names in quotes where they need them."""
        device = self.phone(version, form)
        self.deliver_raw("From: =?iso-8859-1?q?J=FCrgen?= <j@example.net>", "To: Team: a@example.org, \"B, C\" <b@example.org>;",
                         "Cc: undisclosed-recipients:;", "Subject: =?utf-8?B?w7xiZXI=?= alles")
        data = self.only(device)
        self.assertEqual(data.get("Email:From"), '"Jürgen" <j@example.net>')
        self.assertEqual(data.get("Email:To"), 'a@example.org, "B, C" <b@example.org>')
        self.assertEqual(data.get("Email:DisplayTo"), "a@example.org;B, C")
        self.assertEqual(data.get("Email:Cc"), "undisclosed-recipients:;")
        self.assertEqual(data.get("Email:Subject"), "über alles")

    @every_version
    def test_long_lists(self, version, form):
        """At most 32,768 characters, whole addresses and names."""
        device = self.phone(version, form)
        some = [f"{'recipient ' * 3}{n} <r{n:04d}@example.net>" for n in range(2000)]
        self.deliver_raw("To: " + ",\r\n ".join(some), "Cc: " + ",\r\n ".join(some), "Subject: many")
        data = self.only(device)
        for name in ("Email:To", "Email:Cc"):
            text = data.get(name)
            self.assertTrue(32700 < len(text) <= 32768, len(text))
            addresses = text.split(", ")
            self.assertTrue(all(a.endswith(f"<r{n:04d}@example.net>") for n, a in enumerate(addresses)))
        text = data.get("Email:DisplayTo")
        self.assertTrue(32700 < len(text) <= 32768, len(text))
        self.assertEqual(text.split(";")[-1], "recipient " * 3 + str(text.count(";")))

    @every_version
    def test_reply_to(self, version, form):
        device = self.phone(version, form)
        self.deliver_raw("From: a@example.net", "Reply-To: \"One\" <one@example.net>, two@example.net", "Subject: x")
        self.assertEqual(self.only(device).get("Email:ReplyTo"), '"One" <one@example.net>;two@example.net')

    @every_version
    def test_date_received(self, version, form):
        """When the site took it in; the sender's own date is not believed."""
        device = self.phone(version, form)
        self.deliver_raw("Received: from b by mx.example.org; Wed, 4 Mar 2026 12:00:01 +0100",
                         "Received: from a by b; Wed, 4 Mar 2026 11:00:00 +0100", "Date: Thu, 1 Jan 2032 00:00:00 +0000", "Subject: x")
        self.assertEqual(self.only(device).get("Email:DateReceived"), "2026-03-04T11:00:01.000Z")

    @every_version
    def test_thread_topic(self, version, form):
        device = self.phone(version, form)
        for subject, topic in (("AW: Fwd: Re[2]: plan", "plan"), ("Regen: morgen", "Regen: morgen"), ("plain", "plain")):
            self.deliver_raw("Subject: " + subject)
            self.assertEqual(self.listed(device)[subject].get("Email:ThreadTopic"), topic)
        self.deliver_raw("Subject: own", "Thread-Topic: given by the sender")
        self.assertEqual(self.listed(device)["own"].get("Email:ThreadTopic"), "given by the sender")

    @every_version
    def test_importance(self, version, form):
        device = self.phone(version, form)
        wanted = {}
        for number, (line, value) in enumerate((
                ("X-A: b", "1"), ("Importance: High", "2"), ("Importance: low", "0"), ("Importance: normal\r\nX-Priority: 1", "1"),
                ("X-Priority: 1 (Highest)", "2"), ("X-Priority: 5", "0"), ("X-Priority: 3", "1"), ("Priority: urgent", "2"),
                ("Priority: non-urgent", "0"))):
            self.deliver_raw(line, f"Subject: {number}")
            wanted[str(number)] = value
        self.assertEqual({k: d.get("Email:Importance") for k, d in self.listed(device).items()}, wanted)

    @every_version
    def test_code_page(self, version, form):
        device = self.phone(version, form)
        pages = {"us-ascii": "20127", "utf-8": "65001", "iso-8859-1": "28591", "iso-8859-15": "28605", "windows-1252": "1252",
                 "shift_jis": "932", "iso-2022-jp": "50220", "gb2312": "936", "gb18030": "54936", "euc-kr": "51949", "big5": "950",
                 "koi8-r": "20866", "windows-1251": "1251", "x-nobody": "20127"}
        for charset in pages:
            self.deliver_raw(f"Subject: {charset}", f"Content-Type: text/plain; charset={charset}")
        self.assertEqual({k: d.get("Email:InternetCPID") for k, d in self.listed(device).items()}, pages)

    @every_version
    def test_read(self, version, form):
        device = self.phone(version, form)
        self.deliver_raw("Subject: x")
        (server_id,) = device.prime()
        device.sync(commands=[E("Change", E("ServerId", server_id), E("ApplicationData", E("Email:Read", "1")))])
        self.assertEqual(self.only(self.phone(version, form, user=self.owner)).get("Email:Read"), "1")

    @every_version
    def test_sender(self, version, form):
        """Who sent it for somebody else, from 14.0 on; left out when it is the same mailbox."""
        device = self.phone(version, form)
        self.deliver_raw("From: Boss <boss@example.net>", "Sender: Secretary <sec@example.net>", "Subject: for another")
        self.deliver_raw("From: Boss <boss@example.net>", "Sender: BOSS@example.net", "Subject: the same")
        listed = self.listed(device)
        self.assertEqual(listed["for another"].get("Email2:Sender"),
                         '"Secretary" <sec@example.net>' if device.since("14.0") else None)
        self.assertFalse(listed["the same"].has("Email2:Sender"))

    @every_version
    def test_bcc(self, version, form):
        """Of what oneself sent, from 16.0 on; at most 1,024 characters, whole addresses."""
        device = self.phone(version, form)
        helper = self.phone("14.1", user=self.owner)
        answer = helper.post("SendMail", E("ComposeMail:SendMail", E("ClientId", "bcc-1"), E("SaveInSentItems"), E("Mime", raw(
            "To: " + self.owner.address, "Bcc: \"Blind, Q\" <" + self.owner.address + ">", "Subject: blind"))))
        self.assertEqual((answer.code, answer.http.body), (200, b""), answer)
        (data,) = device.prime(device.folders[SENT]).values()
        self.assertEqual(data.get("Email2:Bcc"), f'"Blind, Q" <{self.owner.address}>' if device.since("16.0") else None)
        self.assertFalse(self.listed(device)["blind"].has("Email2:Bcc"), "not of what came in")


class Copies(EmailCase):
    """ReceivedAsBcc: the user is named in neither To nor Cc, and it is no mailing list."""

    @every_version
    def test_received_as_bcc(self, version, form):
        device = self.phone(version, form)
        me = self.owner.address
        alias = "also-" + me
        self.server.bellhop("alias", "add", alias, me)
        local, domain = me.split("@")
        cases = {"to": f"To: x@example.net, {me.upper()}", "cc": f"To: x@example.net\r\nCc: \"Me\" <{me}>", "alias": f"To: <{alias}>",
                 "tag": f"To: {local}+shop@{domain}", "list": "To: list@example.net\r\nList-Id: <list.example.net>",
                 "bulk": "To: list@example.net\r\nPrecedence: bulk", "resent": "To: x@example.net\r\nResent-To: " + me, "own": "From: " + me,
                 "nobody": "To: undisclosed-recipients:;", "another": "To: x@example.net", "in a name": f"To: \"{me}\" <x@example.net>",
                 "longer": f"To: y{me}, {me}.example.net"}
        for subject, lines in cases.items():
            self.deliver_raw(*lines.split("\r\n"), "Subject: " + subject)
        blind = {"nobody", "another", "in a name", "longer"} if device.since("14.0") else set()
        listed = self.listed(device)
        self.assertEqual({k for k, d in listed.items() if d.has("Email2:ReceivedAsBcc")}, blind)
        self.assertTrue(all(listed[k].get("Email2:ReceivedAsBcc") == "1" for k in blind))


def report(kind, fields, original=""):
    return ("Content-Type: multipart/report; report-type=x; boundary=b", "\r\n".join((
        "--b", "Content-Type: text/plain", "", "for people", "--b", f"Content-Type: message/{kind}", "", "Reporting-MTA: dns; x", "",
        fields, "--b", original, "--b--")))


def returned(*lines):
    return "\r\n".join(("Content-Type: message/rfc822", "", "Subject: o", *lines, "", "x"))


CALENDAR = "\r\n".join(("BEGIN:VCALENDAR", "METHOD:{}", "BEGIN:VEVENT", "ATTENDEE;PARTSTAT={}:mailto:a@example.net", "END:VEVENT",
                        "END:VCALENDAR"))


class Classes(EmailCase):
    CASES = {
        "plain": ("IPM.Note", "Content-Type: text/plain", "x"),
        "enveloped": ("IPM.Note.SMIME", "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m", "MIIB"),
        "opaque": ("IPM.Note.SMIME", "Content-Type: application/x-pkcs7-mime; smime-type=signed-data", "MIIB"),
        "typeless": ("IPM.Note.SMIME", "Content-Type: application/octet-stream; name=smime.p7m", "MIIB"),
        "receipt": ("IPM.Note.Receipt.SMIME", "Content-Type: application/pkcs7-mime; smime-type=signed-receipt", "MIIB"),
        "signed": ("IPM.Note.SMIME.MultipartSigned", "Content-Type: multipart/signed; boundary=b; "
                   "protocol=\"application/pkcs7-signature\"", "--b\r\n\r\nx\r\n--b\r\nContent-Type: application/pkcs7-signature\r\n\r\nMIIB\r\n--b--"),
        "request": ("IPM.Schedule.Meeting.Request", "Content-Type: text/calendar; method=REQUEST", CALENDAR.format("REQUEST", "x")),
        "cancel": ("IPM.Schedule.Meeting.Canceled", "Content-Type: text/calendar", CALENDAR.format("CANCEL", "x")),
        "accept": ("IPM.Schedule.Meeting.Resp.Pos", "Content-Type: text/calendar; method=REPLY", CALENDAR.format("REPLY", "ACCEPTED")),
        "decline": ("IPM.Schedule.Meeting.Resp.Neg", "Content-Type: text/calendar; method=REPLY", CALENDAR.format("REPLY", "DECLINED")),
        "perhaps": ("IPM.Schedule.Meeting.Resp.Tent", "Content-Type: text/calendar; method=REPLY", CALENDAR.format("REPLY", "TENTATIVE")),
        "counter": ("IPM.Schedule.Meeting.Resp.Tent", "Content-Type: text/calendar; method=COUNTER", CALENDAR.format("COUNTER", "x")),
        "publish": ("IPM.Note", "Content-Type: text/calendar; method=PUBLISH", CALENDAR.format("PUBLISH", "x")),
        "voice": ("IPM.Note.Microsoft.Voicemail.UM.CA", "Content-Class: voice-ca", "x"),
        "missed": ("IPM.Note.Microsoft.Missed.Voice", "Content-Class: missedcall", "x"),
        "ndr": ("REPORT.IPM.NOTE.NDR", *report("delivery-status", "Action: failed")),
        "dr": ("REPORT.IPM.NOTE.DR", *report("delivery-status", "Action: delivered")),
        "delayed": ("REPORT.IPM.NOTE.DELAYED", *report("delivery-status", "Action: delayed")),
        "some failed": ("REPORT.IPM.NOTE.NDR", *report("delivery-status", "Action: delivered\r\n\r\nAction: failed")),
        "signed came back": ("REPORT.IPM.NOTE.SMIME.MULTIPARTSIGNED.NDR", *report("delivery-status", "Action: failed", returned(
            "Content-Type: multipart/signed; boundary=c"))),
        "invitation came back": ("REPORT.IPM.SCHEDULE.MEETING.REQUEST.NDR", *report("delivery-status", "Action: failed", returned(
            "Content-Type: text/calendar; method=REQUEST"))),
        "read": ("REPORT.IPM.NOTE.IPNRN", *report("disposition-notification", "Disposition: manual-action/MDN-sent-manually; displayed")),
        "unread": ("REPORT.IPM.NOTE.IPNNRN", *report("disposition-notification", "Disposition: automatic-action/MDN-sent-automatically; "
                                                    "deleted")),
    }

    @every_version
    def test_message_classes(self, version, form):
        device = self.phone(version, form)
        for subject, (_, line, body) in self.CASES.items():
            self.deliver_raw(line, "MIME-Version: 1.0", "Subject: " + subject, body=body)
        listed = self.listed(device)
        self.assertEqual({k: d.get("Email:MessageClass") for k, d in listed.items()}, {k: v[0] for k, v in self.CASES.items()})
        for subject, data in listed.items():
            meeting = data.get("Email:MessageClass").startswith("IPM.Schedule.")
            self.assertEqual(data.get("Email:ContentClass"), None if version == "2.5" else
                             "urn:content-classes:" + ("calendarmessage" if meeting else "message"), subject)

    @every_version
    def test_smime_untouched(self, version, form):
        """Signed, opaque and encrypted mail reaches a phone that asks for it byte for byte."""
        device = self.phone(version, form)
        sent = {}
        for subject in ("signed", "opaque", "enveloped"):
            _, line, body = self.CASES[subject]
            body = body.replace("MIIB", base64.b64encode(bytes(range(256))).decode())
            sent[subject] = self.deliver_raw("X-Odd:  two  blanks\t", line, "MIME-Version: 1.0", "Subject: " + subject, body=body)
        for subject, data in self.listed(device, body=[("2",), ("4",)], mime_support="1").items():
            found = data.find("AirSyncBase:Body/Data" if device.since("12.0") else "Email:MIMEData")
            self.assertTrue(found.data.endswith(sent[subject]), subject)

    @forms(*FROM_14_0)
    def test_voice_mail(self, version, form):
        """Caller, order and length, of voice mail alone."""
        device = self.phone(version, form)
        parts = "".join(f"--b\r\nContent-Type: {t}\r\nContent-Disposition: attachment; filename={n}\r\n\r\nx\r\n" for t, n in (
            ("audio/wav", "old.wav"), ("image/png", "p.png"), ("audio/wav", "new.wav")))
        for subject, line in (("voice", "Content-Class: voice-um"), ("none", "X-A: b")):
            self.deliver_raw(line, "X-CallingTelephoneNumber: +15551234", "X-VoiceMessageDuration: 17", "MIME-Version: 1.0",
                             "Content-Type: multipart/mixed; boundary=b", "Subject: " + subject, body=parts + "--b--")
        listed = self.listed(device)
        data = listed["voice"]
        self.assertEqual(data.get("Email2:UmCallerID"), "+15551234")
        found = {a.get("DisplayName"): (a.get("Email2:UmAttOrder"), a.get("Email2:UmAttDuration"))
                 for a in data.all("AirSyncBase:Attachments/Attachment")}
        self.assertEqual(found, {"old.wav": ("2", None), "p.png": (None, None), "new.wav": ("1", "17")})
        data = listed["none"]
        self.assertFalse(data.has("Email2:UmCallerID"))
        self.assertFalse(any(a.has("Email2:UmAttOrder") for a in data.all("AirSyncBase:Attachments/Attachment")))


class Conversations(EmailCase):
    @every_version
    def test_thread_index(self, version, form):
        """The sender's own index: its time and levels, and its id; in both readings of the time."""
        device = self.phone(version, form)
        guid, level = bytes(range(16)), b"\x12\x34\x56\x78\x9a"
        for subject, head in (("old", b"\x01\xdc\x11\x22\x33\x44"), ("new", b"\x01\x01\xdc\x11\x22\x33")):
            self.deliver_raw("Subject: " + subject, "Thread-Index: " + base64.b64encode(head + guid + level).decode())
        for data in self.listed(device).values():
            if not device.since("14.0"):
                self.assertFalse(data.has("Email2:ConversationId") or data.has("Email2:ConversationIndex"))
                continue
            self.assertEqual(data.find("Email2:ConversationId").data, guid)
            index = data.find("Email2:ConversationIndex").data
            self.assertEqual((len(index), index[5:]), (10, level))
            self.assertIn(b"\xdc\x11\x22", index[:5])

    @forms(*FROM_14_0)
    def test_references(self, version, form):
        """Without one: the first message of References names the conversation."""
        device = self.phone(version, form)
        self.deliver_raw("Subject: a", "Message-ID: <root@x>")
        self.deliver_raw("Subject: b", "Message-ID: <2@x>", "References: <root@x> <1@x>")
        self.deliver_raw("Subject: c", "Message-ID: <3@x>", "In-Reply-To: <root@x>")
        self.deliver_raw("Subject: d", "Message-ID: <4@x>")
        self.deliver_raw("X-Nothing: at all")
        ids = {k: d.find("Email2:ConversationId") and d.find("Email2:ConversationId").data for k, d in self.listed(device).items()}
        self.assertEqual((len(ids["a"]), ids["a"], ids["a"]), (16, ids["b"], ids["c"]))
        self.assertNotEqual(ids["a"], ids["d"])
        self.assertIsNone(ids[None], "in none")


if __name__ == "__main__":
    unittest.main()
