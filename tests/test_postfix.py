"""
Mail that no one here wrote: the samples of Python's own email tests (Debian's libpython3.11-testsuite) are handed to a real Postfix, which
hands them over by LMTP; they come out by Sync in body types 1, 2 and 4. What must come out is what Python's email package reads.
"""

import base64
import email
import email.policy
import glob
import os
import unittest

from eas.wbxml import E
from lib import mail
from lib.case import ServerCase, forms
from lib.postfix import Postfix
from lib.server import ServerError
from test_bodies import visible

SAMPLES = "/usr/lib/python3.11/test/test_email/data/msg_*.txt"


def parse(octets):
    return email.message_from_bytes(octets, policy=email.policy.default)


def words(text):
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return text.split()


def contains(haystack, needle):
    """The words of the one stand in the other, in a row."""
    haystack, needle = words(haystack), words(needle)
    return not needle or f" {' '.join(needle)} " in f" {' '.join(haystack)} "


class Leaf:
    """A part that is not a multipart, as Python reads it; an embedded message is one leaf."""

    def __init__(self, part):
        self.type = part.get_content_type()
        self.name = part.get_filename()
        self.is_attachment = part.get_content_disposition() == "attachment"
        if self.type.startswith("message/"):
            inner = part.get_payload()
            self.octets = b"\n".join(one.as_bytes() for one in inner) if isinstance(inner, list) else inner.encode()
        else:
            self.octets = part.get_payload(decode=True) or b""
        self.text = None
        if self.type.startswith("text/"):
            try:
                self.text = part.get_content()
            except (LookupError, KeyError, AttributeError):
                self.text = self.octets.decode("latin-1")


def leaves(message):
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        return [leaf for part in message.iter_parts() for leaf in leaves(part)]
    return [Leaf(message)]


class Corpus(ServerCase):
    @classmethod
    def prepare(cls):
        paths = sorted(glob.glob(SAMPLES))
        if len(paths) < 40:
            raise ServerError("the package libpython3.11-testsuite is missing")
        cls.owner = cls.server.add_user("reader")
        cls.postfix = Postfix(f"lmtp:inet:127.0.0.1:{cls.server.lmtp_port}")
        cls.addClassCleanup(cls.postfix.stop)
        cls.postfix.start()
        cls.samples = {}  # server id -> (file name, octets as sent)
        device = cls.owner.device("14.1").ready()
        device.prime()
        waiting = device.connect()
        for path in paths:
            with open(path, "rb") as file:
                octets = file.read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            device.ping_send(waiting, heartbeat=600)
            cls.postfix.send("anna@example.net", ["reader@example.org"], octets)
            try:
                answer = device.receive(waiting, timeout=30)
            except TimeoutError:
                raise AssertionError(f"{path} did not arrive: {cls.postfix.log()}") from None
            if answer.status != "2":
                raise AssertionError(f"{path}: {answer}")
            (server_id,) = device.sync().added
            cls.samples[server_id] = (os.path.basename(path), octets)
        waiting.close()
        device.close()

    def listing(self, version, form, type_, **kwargs):
        device = self.phone(version, form, user=self.owner)
        options = device.options(body=[(type_,)] if version != "2.5" else (),
                                 mime_support="2" if type_ == "4" else None)
        items = device.prime(options=options)
        self.assertEqual(items.keys(), self.samples.keys())
        return device, items

    def each(self, items, check):
        for server_id, data in items.items():
            name, octets = self.samples[server_id]
            with self.subTest(name):
                check(name, octets, data)

    @forms("2.5", "12.0", "12.1", "14.0", "14.1", "16.0", "16.1", ("12.1", "base64"), ("16.1", "base64"))
    def test_mime(self, version, form):
        """Type 4 is the message: the header lines as sent (new ones above), the body octet by octet."""
        _, items = self.listing(version, form, "4")
        def check(name, octets, data):
            if version == "2.5":
                got = data.find("Email:MIMEData").data
            else:
                self.assertEqual(data.get("AirSyncBase:Body/Type"), "4")
                got = data.find("AirSyncBase:Body/Data").data
            sent, arrived = parse(octets), parse(got)
            if b"\r\n\r\n" in octets and not sent.defects:
                self.assertEqual(got.split(b"\r\n\r\n", 1)[1].rstrip(), octets.split(b"\r\n\r\n", 1)[1].rstrip())
            for header in ("Subject", "From", "To", "Cc", "Date", "Content-Type", "MIME-Version", "Message-ID"):
                self.assertEqual(header_text(arrived, header), header_text(sent, header))

        self.each(items, check)

    @forms("2.5", "12.0", "12.1", "14.0", "14.1", "16.0", "16.1", ("12.1", "base64"), ("16.1", "base64"))
    def test_text(self, version, form):
        """Type 1: subject, addresses and text."""
        _, items = self.listing(version, form, "1")
        def check(name, octets, data):
            message = parse(octets)
            text = data.get("Email:Body", "") if version == "2.5" else data.get("AirSyncBase:Body/Data", "")
            self.check_envelope(message, data)
            self.check_text(name, message, text)

        self.each(items, check)

    @forms("12.0", "12.1", "14.0", "14.1", "16.0", "16.1", ("12.1", "base64"), ("16.1", "base64"))
    def test_html(self, version, form):
        """Type 2 shows the same words."""
        _, items = self.listing(version, form, "2")
        def check(name, octets, data):
            message = parse(octets)
            body = data.find("AirSyncBase:Body")
            if body.get("Type") == "2":
                self.check_text(name, message, visible(body.get("Data", "")))
            else:
                self.assertEqual(body.get("Data", "").strip(), "", "only an empty body may come as another type")

        self.each(items, check)

    @forms("12.0", "14.1", "16.1", ("12.1", "base64"))
    def test_attachments(self, version, form):
        """Every part is in the body or among the attachments, with its name and its octets."""
        _, marked_up = self.listing(version, form, "2")
        markup = {self.samples[i][0]: d.get("AirSyncBase:Body/Data", "") for i, d in marked_up.items()}
        device, items = self.listing(version, form, "1")
        def check(name, octets, data):
            message = parse(octets)
            body = data.get("AirSyncBase:Body/Data", "") + "\n" + visible(markup[name])
            files = [(a.get("DisplayName"), a.get("AirSyncBase:Method") or a.get("Method"),
                      self.fetch(device, a.get("FileReference")))
                     for a in data.all("AirSyncBase:Attachments/Attachment")]
            parts = leaves(message)
            for leaf in parts:
                self.assertTrue(self.is_found(leaf, body, files), f"{leaf.type} {leaf.name} is lost: {files}")
            for display_name, _, got in files:
                self.assertTrue(display_name)
                # msg_15 has one boundary for two levels: Python stops at the first end and never sees the picture.
                self.assertTrue(name == "msg_15.txt" or any(self.same(leaf, got) for leaf in parts),
                                f"{display_name} is no part")

        self.each(items, check)

    def fetch(self, device, reference):
        answer = device.post("ItemOperations", E("ItemOperations:ItemOperations", E(
            "Fetch", E("Store", "Mailbox"), E("AirSyncBase:FileReference", reference))))
        found = answer.document.find("Response/Fetch")
        if found.get("Status") == "10":
            return b""
        self.assertEqual(found.get("Status"), "1", answer)
        return base64.b64decode(found.get("Properties/Data", ""), validate=True)

    def same(self, leaf, octets):
        if leaf.type == "message/rfc822":
            return words(leaf.octets) == words(parse(octets).as_bytes())
        if leaf.type.startswith(("text/", "message/", "multipart/")):
            return words(leaf.octets) == words(octets)
        return leaf.octets == octets

    def is_found(self, leaf, body, files):
        for display_name, _, octets in files:
            if self.same(leaf, octets) and (leaf.name is None or display_name == leaf.name):
                return True
        if leaf.is_attachment:
            return False
        text = leaf.text if leaf.text is not None else leaf.octets
        if leaf.type == "text/html":
            text = visible(text)
        if leaf.type.startswith(("text/", "multipart/")) or leaf.type == "message/delivery-status":
            return contains(body, text)
        return not leaf.octets

    def check_envelope(self, message, data):
        self.assertEqual(words(data.get("Email:Subject", "")), words(header_text(message, "Subject")))
        for header, element in (("From", "Email:From"), ("To", "Email:To"), ("Cc", "Email:Cc")):
            text = data.get(element, "")
            for address in addresses(message, header):
                if address.addr_spec and "@" in address.addr_spec:
                    self.assertIn(address.addr_spec.lower(), text.lower())
                if address.display_name:
                    self.assertTrue(contains(text.replace('"', " ").replace("\\", ""),
                                             address.display_name.replace('"', " ")), (address, text))

    def check_text(self, name, message, text):
        """The part that Python takes for the body, as text or as HTML, is there, whole."""
        bodies = []
        for kind in ("plain", "html"):
            try:
                bodies.append(message.get_body((kind,)))
            except (KeyError, AttributeError):
                pass
        expected = [visible(leaf.text) if leaf.type == "text/html" else leaf.text
                    for leaf in (Leaf(body) for body in bodies if body is not None)]
        if not expected and message.get_content_maintype() in ("text", "multipart") and not message.is_multipart():
            expected = [str(message.get_payload())]
        self.assertTrue(not expected or any(contains(text, one) for one in expected),
                        f"{name}: none of {expected!r} is in {text!r}")


def header_text(message, name):
    try:
        return str(message[name] or "")
    except Exception:  # noqa: BLE001 - Python's own parser gives up on some of the samples
        return str(message.get(name, ""))


def addresses(message, name):
    found = []
    for value in message.get_all(name, []):
        found += list(getattr(value, "addresses", ()))
    return found


class Handing(ServerCase):
    """The conversation between Postfix and us."""

    @classmethod
    def prepare(cls):
        os.chmod(cls.server.folder, 0o755)
        os.chmod(cls.server.runtime, 0o755)
        cls.postfix = Postfix(f"lmtp:inet:127.0.0.1:{cls.server.lmtp_port}")
        cls.addClassCleanup(cls.postfix.stop)
        cls.postfix.start()

    def wait_for(self, device, count):
        """Pings and syncs until so many messages came."""
        items = {}
        waiting = device.connect()
        self.addCleanup(waiting.close)
        while len(items) < count:
            device.ping_send(waiting, heartbeat=600)
            try:
                answer = device.receive(waiting, timeout=30)
            except TimeoutError:
                raise AssertionError(f"{len(items)} of {count}: {self.postfix.log()}") from None
            self.assert_ping(answer, "2")
            items.update(device.sync_rest())
        return items

    def test_many_recipients_and_one_unknown(self):
        """One message for two known users and an unknown one: two copies, one bounce to the sender."""
        one, other, sender = (self.phone("14.1") for _ in range(3))
        for device in (one, other, sender):
            device.prime()
        self.postfix.send(sender.user, [one.user, "nobody@example.org", other.user], mail.message("three of you"))
        for device in (one, other):
            (data,) = self.wait_for(device, 1).values()
            self.assertEqual(data.get("Email:Subject"), "three of you")
        (bounce,) = self.wait_for(sender, 1).values()
        self.assertIn("Undelivered", bounce.get("Email:Subject"))
        self.assertEqual(bounce.get("Email:MessageClass"), "REPORT.IPM.NOTE.NDR")

    def test_burst(self):
        device = self.phone("14.1")
        device.prime()
        for number in range(40):
            self.postfix.send("a@example.net", [device.user], mail.message(f"burst {number}"))
        items = self.wait_for(device, 40)
        subjects = sorted(d.get("Email:Subject") for d in items.values())
        self.assertEqual(subjects, sorted(f"burst {n}" for n in range(40)))

    def test_utf8(self):
        user = self.server.add_user("grüße")
        device = user.device("14.1").ready()
        device.prime()
        message = "From: Ł <ł@example.net>\r\nTo: grüße@example.org\r\nSubject: Ünïcode\r\n\r\nTéxt\r\n".encode()
        self.postfix.send("ł@example.net", ["grüße@example.org"], message, options=("SMTPUTF8", "BODY=8BITMIME"))
        (data,) = self.wait_for(device, 1).values()
        self.assertEqual(data.get("Email:Subject"), "Ünïcode")

    def test_large(self):
        device = self.phone("14.1")
        device.prime()
        octets = os.urandom(10_000_000)
        self.postfix.send("a@example.net", [device.user], mail.message(
            "large", attachments=[("random.bin", "application/octet-stream", octets)]))
        (data,) = self.wait_for(device, 1).values()
        reference = data.get("AirSyncBase:Attachments/Attachment/FileReference")
        self.assertEqual(Corpus.fetch(self, device, reference), octets)

    def test_while_the_engine_is_away(self):
        """Postfix keeps what it could not hand over, and tries again."""
        device = self.phone("14.1")
        device.prime()
        self.server.kill_engine()
        self.postfix.send("a@example.net", [device.user], mail.message("patience"))
        device.close()
        waiting = device.connect()
        self.addCleanup(waiting.close)
        while True:
            device.ping_send(waiting, heartbeat=600)
            answer = device.receive(waiting, timeout=30)
            if answer.code != 503:
                break
        self.assert_ping(answer, "2")
        self.assertEqual(device.sync().subjects(), ["patience"])


if __name__ == "__main__":
    unittest.main()
