"""Attachments of mail in every version: names, kinds, what is inline, what is fetched; broken mark-up; bodies that are none."""

import base64
import email
import unittest

from eas import email_order
from eas.wbxml import E, VERSIONS
from lib.case import ServerCase, forms

every_version = forms(*VERSIONS)
FROM_12_0 = VERSIONS[1:]


def part(*lines, body="x"):
    return "\r\n".join(("--b", *lines, "", body, ""))


def mixed(*parts, kind="mixed"):
    return "\r\n".join(("From: a@example.net", "Subject: s", "MIME-Version: 1.0", f"Content-Type: multipart/{kind}; boundary=b", "",
                        "".join(parts) + "--b--", "")).encode()


class AttachmentCase(ServerCase):
    def list_one(self, device, message, **options):
        self.server.deliver(self.owner, message)
        options.setdefault("body", [("2",), ("1",)])
        (data,) = device.prime(options=device.options(**options)).values()
        email_order.check(data, device.version)
        return data

    def attachments(self, device, data):
        """(name, method, size, content id, reference) of each."""
        if device.since("12.0"):
            names = ("DisplayName", "Method", "EstimatedDataSize", "ContentId", "FileReference")
            found = data.all("AirSyncBase:Attachments/Attachment")
        else:
            names = ("DisplayName", "AttMethod", "AttSize", "AttOid", "AttName")
            found = data.all("Email:Attachments/Attachment")
        return [tuple(a.get(name) for name in names) for a in found]

    def fetch(self, device, reference):
        if not device.since("12.0"):
            answer = device.post("GetAttachment", params={"AttachmentName": reference})
            self.assertEqual(answer.code, 200, answer)
            return answer.http.body
        answer = device.post("ItemOperations", E("ItemOperations:ItemOperations", E(
            "Fetch", E("Store", "Mailbox"), E("AirSyncBase:FileReference", reference))))
        return base64.b64decode(answer.document.get("Response/Fetch/Properties/Data"))


class Attachments(AttachmentCase):
    @every_version
    def test_names(self, version, form):
        """RFC 2231 with its pieces, RFC 2047 though forbidden there, raw bytes, none at all, paths."""
        device = self.phone(version, form)
        cases = {
            "Content-Disposition: attachment; filename*=utf-8''%C3%9Cber%20uns.txt": "Über uns.txt",
            "Content-Disposition: attachment; filename*0*=iso-8859-1''%DCber; filename*1=\" \"; filename*2*=%FCber.txt": "Über über.txt",
            "Content-Disposition: attachment; filename=\"=?utf-8?q?caf=C3=A9=2Epdf?=\"": "café.pdf",
            "Content-Disposition: attachment\r\nContent-Type: text/plain; name=\"=?iso-8859-1?B?5C50eHQ=?=\"": "ä.txt",
            "Content-Disposition: attachment; filename=\"../../etc/passwd\"": ".._.._etc_passwd",
            "Content-Disposition: attachment; filename=\"a;b \\\"c\\\".txt\"": "a;b \"c\".txt",
            "Content-Type: application/pdf": "document-7.pdf",
        }
        data = self.list_one(device, mixed(part("Content-Type: text/plain"), *(part(*line.split("\r\n")) for line in cases)))
        self.assertEqual([a[0] for a in self.attachments(device, data)], list(cases.values()))

    @every_version
    def test_inline(self, version, form):
        """By disposition or by a cid: link; id and location as the header has them."""
        device = self.phone(version, form)
        png = base64.b64encode(bytes(range(200))).decode()
        data = self.list_one(device, mixed(
            part("Content-Type: text/html", body="<img src=\"cid:linked@x\">"),
            part("Content-Type: image/png", "Content-ID: <linked@x>", "Content-Transfer-Encoding: base64", body=png),
            part("Content-Type: image/png", "Content-Disposition: inline; filename=i.png", "Content-Location: http://x/i.png"),
            part("Content-Type: image/png", "Content-ID: <other@x>", "Content-Disposition: attachment; filename=o.png"), kind="related"))
        found = self.attachments(device, data)
        self.assertEqual([a[:4] for a in found], [("image-1.png", "1", "200", "linked@x"), ("i.png", "1", "1", None),
                                                  ("o.png", "1", "1", "other@x")])
        if device.since("12.0"):
            more = [(a.get("IsInline"), a.get("ContentLocation")) for a in data.all("AirSyncBase:Attachments/Attachment")]
            self.assertEqual(more, [("1", None), ("1", "http://x/i.png"), (None, None)])
        self.assertEqual(self.fetch(device, found[0][4]), bytes(range(200)))

    @every_version
    def test_embedded_messages(self, version, form):
        """Method 5, called as its subject; fetched it is the message itself, also out of an encoding."""
        device = self.phone(version, form)
        inner = "Subject: =?utf-8?q?d=C3=A4?= inside\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\ndeep\r\n--c--"
        data = self.list_one(device, mixed(
            part("Content-Type: text/plain"), part("Content-Type: message/rfc822", body=inner),
            part("Content-Type: message/rfc822", "Content-Transfer-Encoding: base64", body=base64.b64encode(inner.encode()).decode()),
            part("Content-Type: message/rfc822", "Content-Disposition: attachment; filename=given.eml", body="X: y\r\n\r\n"),
            part("Content-Type: message/rfc822", body="X: y\r\n\r\n")))
        found = self.attachments(device, data)
        self.assertEqual([a[:2] for a in found], [("dä inside.eml", "5"), ("dä inside.eml", "5"), ("given.eml", "5"), ("message-4.eml", "5")])
        for one in found[:2]:
            fetched = self.fetch(device, one[4])
            self.assertEqual((fetched, int(one[2])), (inner.encode(), len(inner)))
            self.assertEqual(email.message_from_bytes(fetched).get_payload(0).get_payload(), "deep")

    @every_version
    def test_tnef(self, version, form):
        """Left as it is: one attachment, byte for byte."""
        device = self.phone(version, form)
        tnef = b"\x78\x9f\x3e\x22" + bytes(range(256)) * 3
        data = self.list_one(device, mixed(
            part("Content-Type: text/plain", body="the text"),
            part("Content-Type: application/ms-tnef; name=\"winmail.dat\"", "Content-Transfer-Encoding: base64",
                 body=base64.encodebytes(tnef).decode().replace("\n", "\r\n"))))
        (one,) = self.attachments(device, data)
        self.assertEqual(one[:3], ("winmail.dat", "1", str(len(tnef))))
        self.assertEqual(self.fetch(device, one[4]), tnef)

    @every_version
    def test_reports_keep_their_parts(self, version, form):
        """What a report tells to programs, and what came back, is listed beside its text."""
        device = self.phone(version, form)
        data = self.list_one(device, mixed(
            part("Content-Type: text/plain", body="it did not arrive"),
            part("Content-Type: message/delivery-status", body="Reporting-MTA: dns; x\r\n\r\nAction: failed"),
            part("Content-Type: message/rfc822", body="Subject: lost\r\n\r\nx"), kind="report; report-type=delivery-status"))
        self.assertEqual(data.get("Email:MessageClass"), "REPORT.IPM.NOTE.NDR")
        text = data.get("AirSyncBase:Body/Data") if device.since("12.0") else data.get("Email:Body")
        self.assertIn("it did not arrive", text)
        self.assertEqual([a[:2] for a in self.attachments(device, data)], [("delivery-status-1.txt", "1"), ("lost.eml", "5")])

    @every_version
    def test_no_attachments(self, version, form):
        """The other form of the body is none; nor is the body itself."""
        device = self.phone(version, form)
        data = self.list_one(device, mixed(
            part("Content-Type: text/plain", body="plain"), part("Content-Type: text/html", body="<p>rich"),
            part("Content-Type: text/x-amp-html", body="<p>other"), kind="alternative"))
        self.assertFalse(data.has("AirSyncBase:Attachments") or data.has("Email:Attachments"))


class Bodies(AttachmentCase):
    BROKEN = ("<html><p>one<b>two</p></div></b>&#0;&#x1;&nosuch;&lt three<table><td>four<!-- <![CDATA[ ]]> <script>bad()</scrip "
              "\u0001\u000b\ufffe five<a href='x\" y>six</a")

    @every_version
    def test_broken_markup(self, version, form):
        """It reaches the phone as it is, but for what no document can carry; as text it is read all the same."""
        device = self.phone(version, form)
        message = mixed(part("Content-Type: text/html; charset=utf-8", "Content-Transfer-Encoding: 8bit", body=self.BROKEN))
        data = self.list_one(device, message, body=[("2",)])
        if device.since("12.0"):
            markup = data.get("AirSyncBase:Body/Data")
            self.assertEqual(markup.rstrip("\r\n"), self.BROKEN.translate({1: "\ufffd", 0xb: "\ufffd", 0xfffe: "\ufffd" * 3}))
            (data,) = device.prime(options=device.options(body=[("1",)])).values()
        text = data.get("AirSyncBase:Body/Data") if device.since("12.0") else data.get("Email:Body")
        for word in ("one", "two", "three", "four"):
            self.assertIn(word, text)
        self.assertNotIn("<", text.replace("< three", ""))

    @forms(*FROM_12_0)
    def test_native_type(self, version, form):
        """What the message itself has, whatever it is turned into."""
        device = self.phone(version, form)
        for kind, native in (("plain", "1"), ("html", "2")):
            self.owner = self.user()
            device = self.phone(version, form, user=self.owner)
            data = self.list_one(device, mixed(part(f"Content-Type: text/{kind}", body="words")), body=[("1",)])
            self.assertEqual((data.get("AirSyncBase:NativeBodyType"), data.get("AirSyncBase:Body/Type")), (native, "1"))
            (data,) = device.prime(options=device.options(body=[("2",)])).values()
            self.assertEqual((data.get("AirSyncBase:NativeBodyType"), data.get("AirSyncBase:Body/Type")), (native, "2"))

    @forms(*FROM_12_0)
    def test_choice_of_preference(self, version, form):
        """The native type unless it may not be cut and does not fit; then the next that fits; else the first, without data."""
        device = self.phone(version, form)
        self.server.deliver(self.owner, mixed(part("Content-Type: text/html", body="<p>" + "<b></b>" * 100 + "short")))
        for body, wanted in (
                ((("1",), ("2",)), ("2", None, True)), ((("1", "50"), ("2", "50")), ("2", "1", True)),
                ((("2", "50", "1"), ("1", "50", "1")), ("1", None, True)), ((("1", "2", "1"), ("2", "50", "1")), ("1", "1", False)),
                ((("2", "50", "0"), ("1",)), ("2", "1", True)), ((("2", None, "1"),), ("2", None, True)),
                ((("3",), ("1",)), ("1", None, True)), ((("4",), ("1",)), ("1", None, True)), ((("4",),), ("4", None, True))):
            (data,) = device.prime(options=device.options(body=body)).values()
            found = data.find("AirSyncBase:Body")
            self.assertEqual((found.get("Type"), found.get("Truncated"), found.has("Data")), wanted, body)


if __name__ == "__main__":
    unittest.main()
