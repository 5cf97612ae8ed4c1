"""What a message is: its class, S/MIME untouched, voice mail, reports, the conversation that it belongs to."""

import base64
import unittest

from eas.wbxml import VERSIONS
from lib.case import forms
from lib.email_case import EmailCase

every_version = forms(*VERSIONS)
FROM_14_0 = VERSIONS[3:]


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
