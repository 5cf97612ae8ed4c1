"""Bodies: types 1, 2 and 4, truncation, MIMESupport, the forms of 2.5, attachments in a listing."""

import base64
import email
import email.policy
import html
import re
import unittest

from eas.wbxml import E
from lib import mail
from lib.case import ServerCase, every_form, forms

TEXT = "Grüße aus Köln.\r\nSecond line: 5 < 6 & 7 > 3.\r\n\r\nThe end. €\r\n"
HTML = ("<html><head><style>p {color: red}</style><title>t</title></head><body><p>Grüße aus <b>Köln</b>.</p>"
        "<p>See <a href=\"https://example.org/\">this page</a></p><script>alert(1)</script></body></html>\r\n")


def visible(markup):
    """The text of HTML, roughly: tags out, entities resolved, white space folded."""
    markup = re.sub(r"(?is)<(style|script|title).*?</\1>", " ", markup)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())


class BodyCase(ServerCase):
    def only(self, device, **options):
        """The one message of the inbox under these options."""
        items = device.prime(options=device.options(**options))
        self.assertEqual(len(items), 1)
        return next(iter(items.values()))

    def body(self, device, **options):
        return self.only(device, **options).find("AirSyncBase:Body")


class Text(BodyCase):
    @every_form
    def test_plain_message(self, version, form):
        device = self.phone(version, form)
        raw = self.deliver(self.owner, "Überschrift: grüß Gott", text=TEXT)
        if not device.since("12.0"):
            data = self.only(device)
            self.assertEqual(data.get("Email:Subject"), "Überschrift: grüß Gott")
            self.assertEqual(data.get("Email:Body"), TEXT)
            self.assertIn(data.get("Email:BodyTruncated", "0"), ("0", ""))
            self.assertFalse(data.has("AirSyncBase:Body"))
            return
        body = self.body(device, body=[("1",)])
        self.assertEqual((body.get("Type"), body.get("Data")), ("1", TEXT))
        self.assertEqual(body.get("EstimatedDataSize"), str(len(TEXT.encode())))
        self.assertIn(body.get("Truncated", "0"), ("0",))
        order = [n for n in ("Type", "EstimatedDataSize", "Truncated", "Data", "Preview") if n in body.names()]
        self.assertEqual(body.names(), order)
        body = self.body(device, body=[("2",)])
        self.assertEqual(body.get("Type"), "2")
        self.assertEqual(visible(body.get("Data")), " ".join(TEXT.split()))
        body = self.body(device, body=[("4",)], mime_support="2")
        self.assertEqual(body.get("Type"), "4")
        parsed = email.message_from_bytes(body.find("Data").data, policy=email.policy.default)
        self.assertEqual(parsed.get_content().replace("\r\n", "\n"), TEXT.replace("\r\n", "\n"))
        self.assertTrue(body.find("Data").data.endswith(raw.split(b"\r\n\r\n", 1)[1]))

    @every_form
    def test_alternatives(self, version, form):
        device = self.phone(version, form)
        self.deliver(self.owner, "both", text=TEXT, html=HTML)
        if not device.since("12.0"):
            self.assertEqual(self.only(device).get("Email:Body"), TEXT)
            return
        self.assertEqual(self.body(device, body=[("1",)]).get("Data"), TEXT)
        data = self.only(device, body=[("2",)])
        markup = data.get("AirSyncBase:Body/Data")
        self.assertIn("Köln", markup)
        self.assertIn("https://example.org/", markup)
        self.assertEqual(data.get("AirSyncBase:NativeBodyType"), "2")
        self.assertEqual(self.body(device, body=[("1",), ("2",)]).get("Type"), "2", "the native type first")

    @every_form
    def test_html_only_as_text(self, version, form):
        device = self.phone(version, form)
        message = (b"From: a@example.net\r\nTo: b@example.org\r\nSubject: h\r\nMIME-Version: 1.0\r\n"
                   b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + HTML.encode())
        self.server.deliver(self.owner, message)
        if device.since("12.0"):
            text = self.body(device, body=[("1",)]).get("Data")
        else:
            text = self.only(device).get("Email:Body")
        self.assertIn("Grüße aus Köln", " ".join(text.split()))
        self.assertIn("this page", text)
        for bad in ("<", "color", "alert"):
            self.assertNotIn(bad, text)

    @every_form
    def test_truncation(self, version, form):
        """At a number of bytes, never inside a character; 0: no data; all or none."""
        device = self.phone(version, form)
        self.deliver(self.owner, "cut", text="ä€" * 300 + "\r\n")
        whole = "ä€" * 300 + "\r\n"
        if not device.since("12.0"):
            data = self.only(device, truncation="1")
            self.assertEqual(data.get("Email:BodyTruncated"), "1")
            self.assertTrue(whole.startswith(data.get("Email:Body")))
            self.assertLessEqual(len(data.get("Email:Body")), 512)
            self.assertEqual(self.only(device, truncation="9").get("Email:Body"), whole)
            data = self.only(device, truncation="0")
            self.assertEqual(data.get("Email:Body", ""), "")
            self.assertEqual(data.get("Email:BodyTruncated"), "1")
            return
        for size in (1, 2, 3, 4, 5, 6, 7, 100, 101, 102, 103):
            body = self.body(device, body=[("1", str(size))])
            self.assertEqual(body.get("Truncated"), "1")
            cut = body.get("Data", "")
            self.assertLessEqual(len(cut.encode()), size)
            self.assertGreaterEqual(len(cut.encode()), size - 2)
            self.assertTrue(whole.startswith(cut))
            self.assertEqual(body.get("EstimatedDataSize"), str(len(whole.encode())))
        body = self.body(device, body=[("1", "0")])
        self.assertEqual((body.get("Truncated"), body.has("Data")), ("1", False))
        body = self.body(device, body=[("1", "100000")])
        self.assertEqual((body.get("Truncated", "0"), body.get("Data")), ("0", whole))
        body = self.body(device, body=[("1", "10", "1")])
        self.assertEqual((body.get("Type"), body.get("Truncated"), body.has("Data")), ("1", "1", False))
        body = self.body(device, body=[("1", "10", "0")])
        self.assertEqual(body.get("Data"), "ä€ä€")

    @forms("14.0", "14.1", ("16.1", "base64"))
    def test_preview(self, version, form):
        device = self.phone(version, form)
        self.deliver(self.owner, "preview", text="One  two\r\nthree. " + "four " * 100, html=HTML)
        body = self.body(device, body=[("2", None, None, "20")])
        preview = body.get("Preview")
        self.assertTrue(preview and len(preview) <= 20, preview)
        self.assertTrue(preview.startswith("One two three."), preview)

    @every_form
    def test_no_body(self, version, form):
        device = self.phone(version, form)
        self.server.deliver(self.owner, b"Subject: nothing below\r\n\r\n")
        data = self.only(device, body=[("1",)])
        self.assertEqual(data.get("Email:Subject"), "nothing below")
        if device.since("12.0"):
            body = data.find("AirSyncBase:Body")
            self.assertEqual((body.get("Type"), body.get("EstimatedDataSize")), ("1", "0"))
            self.assertIn(body.get("Data", ""), ("", "\r\n"))

    @every_form
    def test_no_preference(self, version, form):
        device = self.phone(version, form)
        self.deliver(self.owner, "none asked", text=TEXT)
        data = next(iter(device.prime().values()))
        if device.since("12.0"):
            self.assertEqual(data.get("AirSyncBase:Body/Type"), "1")

    def test_charsets(self):
        device = self.phone("14.1")
        samples = (("iso-8859-1", "Grüße"), ("windows-1252", "„Anführung“ €"), ("koi8-r", "Привет"),
                   ("iso-2022-jp", "こんにちは"), ("shift_jis", "日本語"), ("gb18030", "中文"), ("euc-kr", "한국어"),
                   ("utf-16", "breit"), ("x-unknown", "plain"), ("utf-8", "ünïcödé 😀"))
        for charset, text in samples:
            octets = text.encode("ascii" if charset == "x-unknown" else charset)
            message = (f"From: a@example.net\r\nSubject: {charset}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; "
                       f"charset={charset}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                       + base64.b64encode(octets).decode() + "\r\n").encode()
            self.server.deliver(self.owner, message)
        items = device.prime(options=device.options(body=[("1",)]))
        got = {d.get("Email:Subject"): d.get("AirSyncBase:Body/Data").strip() for d in items.values()}
        self.assertEqual(got, {charset: text for charset, text in samples})

    def test_format_flowed(self):
        device = self.phone("14.1")
        message = (b"From: a@example.net\r\nSubject: flowed\r\nMIME-Version: 1.0\r\n"
                   b"Content-Type: text/plain; charset=us-ascii; format=flowed\r\n\r\n"
                   b"One long \r\nparagraph.\r\n\r\n-- \r\nsignature\r\n")
        self.server.deliver(self.owner, message)
        text = self.body(device, body=[("1",)]).get("Data")
        self.assertIn("One long paragraph.\r\n", text)


class Mime(BodyCase):
    @every_form
    def test_mime_support(self, version, form):
        """0: never; 1: S/MIME messages only; 2: all."""
        device = self.phone(version, form)
        self.deliver(self.owner, "ordinary", text=TEXT)
        signed = (b"From: a@example.net\r\nSubject: signed\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; "
                  b"protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain"
                  b"\r\n\r\nsigned text\r\n--b\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n"
                  b"Content-Transfer-Encoding: base64\r\n\r\nMIIB\r\n--b--\r\n")
        self.server.deliver(self.owner, signed)
        for support, mime in (("0", set()), ("1", {"signed"}), ("2", {"signed", "ordinary"}), (None, set())):
            body = [("1",), ("4",)]
            items = device.prime(options=device.options(body=body, mime_support=support))
            if device.since("12.0"):
                got = {d.get("Email:Subject") for d in items.values() if d.get("AirSyncBase:Body/Type") == "4"}
            else:
                got = {d.get("Email:Subject") for d in items.values() if d.has("Email:MIMEData")}
            self.assertEqual(got, mime, f"MIMESupport {support}")
        classes = {d.get("Email:Subject"): d.get("Email:MessageClass") for d in items.values()}
        self.assertEqual(classes, {"ordinary": "IPM.Note", "signed": "IPM.Note.SMIME.MultipartSigned"})

    @every_form
    def test_mime_truncation(self, version, form):
        device = self.phone(version, form)
        self.deliver(self.owner, "long mime", text="x" * 70 + "\r\n" + ("line of text\r\n" * 1000))
        for value, limit in (("1", 4096), ("2", 5120), ("7", 102400), ("8", None)):
            data = self.only(device, body=[("4",)], mime_support="2", mime_truncation=value)
            if device.since("12.0"):
                octets = data.find("AirSyncBase:Body/Data").data
                truncated = data.get("AirSyncBase:Body/Truncated", "0")
            else:
                octets = data.find("Email:MIMEData").data
                truncated = data.get("Email:MIMETruncated", "0")
                self.assertGreater(int(data.get("Email:MIMESize")), 13000)
            cut = limit is not None and limit < 13000
            self.assertEqual(truncated, "1" if cut else "0", f"MIMETruncation {value}")
            if cut:
                self.assertLessEqual(len(octets), limit)
                self.assertGreater(len(octets), limit - 100)

    def test_eight_bit_message(self):
        """MIME text must be clean UTF-8 in a string: 8-bit messages of other charsets arrive readable."""
        device = self.phone("14.1")
        message = (b"From: a@example.net\r\nSubject: latin\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; "
                   b"charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xfc\xdfe\r\n")
        self.server.deliver(self.owner, message)
        self.assertEqual(self.body(device, body=[("1",)]).get("Data"), "Grüße\r\n")
        body = self.body(device, body=[("4",)], mime_support="2")
        self.assertEqual(body.get("Type"), "4")
        self.assertIn(b"Subject: latin", body.find("Data").data)


class Properties(BodyCase):
    @every_form
    def test_headers(self, version, form):
        device = self.phone(version, form)
        message = mail.message(
            "=?utf-8?q?Re=3A_Re=3A_caf=C3=A9?=", sender='"Müller, Jürgen" <jm@example.net>',
            to="Bob <bob@example.org>, anna@example.org", Cc="Carol <carol@example.org>",
            Reply_To="answers@example.net", Importance="high")
        self.server.deliver(self.owner, message)
        data = self.only(device, body=[("1",)])
        self.assertEqual(data.get("Email:From"), '"Müller, Jürgen" <jm@example.net>')
        self.assertIn("bob@example.org", data.get("Email:To"))
        self.assertIn("anna@example.org", data.get("Email:To"))
        self.assertIn("carol@example.org", data.get("Email:Cc"))
        self.assertIn("answers@example.net", data.get("Email:ReplyTo"))
        self.assertEqual(data.get("Email:DisplayTo"), "Bob;anna@example.org")
        self.assertEqual(data.get("Email:Importance"), "2")
        self.assertEqual(data.get("Email:ThreadTopic"), "café")

    @every_form
    def test_attachments(self, version, form):
        device = self.phone(version, form)
        octets = bytes(range(256)) * 20
        self.deliver(self.owner, "with files", attachments=[
            ("Übersicht 2026.pdf", "application/pdf", octets), ("b.txt", "text/plain", b"attached text")])
        data = self.only(device, body=[("1",)])
        if device.since("12.0"):
            found = data.all("AirSyncBase:Attachments/Attachment")
            names = [a.get("DisplayName") for a in found]
            sizes = [int(a.get("EstimatedDataSize")) for a in found]
            self.assertTrue(all(a.get("Method") == "1" and a.get("FileReference") for a in found))
            self.assertTrue(all("/" not in a.get("FileReference") for a in found))
        else:
            found = data.all("Email:Attachments/Attachment")
            names = [a.get("DisplayName") for a in found]
            sizes = [int(a.get("AttSize")) for a in found]
            self.assertTrue(all(a.get("AttMethod") == "1" and a.get("AttName") for a in found))
        self.assertEqual(names, ["Übersicht 2026.pdf", "b.txt"])
        self.assertEqual(sizes, [len(octets), len(b"attached text")])

    def test_embedded_message(self):
        device = self.phone("14.1")
        inner = mail.message("the inner one", text="inside")
        outer = (b"From: a@example.net\r\nSubject: outer\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x"
                 b"\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nsee below\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n"
                 + inner + b"\r\n--x--\r\n")
        self.server.deliver(self.owner, outer)
        data = self.only(device, body=[("1",)])
        (attachment,) = data.all("AirSyncBase:Attachments/Attachment")
        self.assertEqual(attachment.get("Method"), "5")
        self.assertTrue(attachment.get("DisplayName"))

    def test_conversations(self):
        device = self.phone("14.1")
        first = mail.message("topic")
        message_id = email.message_from_bytes(first)["Message-ID"]
        reply = mail.message("Re: topic", In_Reply_To=message_id, References=message_id)
        other = mail.message("topic of another")
        for message in (first, reply, other):
            self.server.deliver(self.owner, message)
        items = device.prime()
        ids = {d.get("Email:Subject"): d.find("Email2:ConversationId").data for d in items.values()}
        self.assertEqual(ids["topic"], ids["Re: topic"])
        self.assertNotEqual(ids["topic"], ids["topic of another"])
        for data in items.values():
            self.assertEqual(len(data.find("Email2:ConversationIndex").data) % 5, 0)


if __name__ == "__main__":
    unittest.main()
