"""SendMail in both forms, to local recipients."""

import email
import email.policy
import unittest

from eas.client import SENT
from eas.wbxml import E
from lib.case import ServerCase, every_form, forms, retry


def message(to, subject="sent", sender=None, text="Hello from the phone.\r\n", **headers):
    lines = [f"From: {sender}"] if sender else []
    lines += [f"To: {to}"] if to else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"Subject: {subject}", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8",
              "Content-Transfer-Encoding: 8bit", "", text]
    return "\r\n".join(lines).encode()


class Send(ServerCase):
    numbers = 0

    def send(self, device, mime, client_id=None, save=False, **kwargs):
        """SendMail as the version wants it."""
        if not device.since("14.0"):
            return device.post("SendMail", body=mime, content_type="message/rfc822",
                               params={"SaveInSent": "T"} if save else {}, **kwargs)
        if client_id is None:
            Send.numbers += 1
            client_id = f"client-{Send.numbers}"
        return device.post("SendMail", E("ComposeMail:SendMail", E("ClientId", client_id),
                                         E("SaveInSentItems") if save else None, E("Mime", mime)), **kwargs)

    def assert_sent(self, answer):
        self.assertEqual((answer.code, answer.http.body), (200, b""), answer)

    def assert_refused(self, device, answer, status):
        """The common status from 14.0 on; before that an HTTP error."""
        if device.since("14.0"):
            self.assertEqual((answer.code, answer.status), (200, status), answer)
            self.assertEqual(answer.document.name, "SendMail")
        else:
            self.assertIn(answer.code, (400, 500), answer)
            self.assertEqual(answer.http.body, b"")

    def inbox(self, device):
        options = device.options(body=[("4",)], mime_support="2")
        return list(device.prime(options=options).values())

    def raw(self, device, data):
        found = data.find("AirSyncBase:Body/Data") if device.since("12.0") else data.find("Email:MIMEData")
        return email.message_from_bytes(found.data, policy=email.policy.default)

    @every_form
    def test_arrives(self, version, form):
        """At the recipient's phone, which is told; From is the sender's own address."""
        device = self.phone(version, form)
        sender = self.owner
        other = self.phone(version, form)
        recipient = self.owner
        other.prime()
        waiting = other.ping_send()
        self.assert_parked(waiting)
        self.assert_sent(self.send(device, message(recipient.address, "Grüße", text="Schöne Grüße.\r\n")))
        self.assert_ping(other.receive(waiting), "2", [other.inbox])
        (data,) = self.inbox(other)
        self.assertEqual(data.get("Email:Subject"), "Grüße")
        self.assertIn(sender.address, data.get("Email:From"))
        raw = self.raw(other, data)
        self.assertEqual(raw.get_content().strip(), "Schöne Grüße.")
        self.assertTrue(raw["Message-ID"] and raw["Date"])
        self.assertEqual(device.prime(device.folders[SENT]), {})
        waiting.close()

    @forms("2.5", "12.1", "14.0", "14.1", "16.1", ("16.1", "base64"))
    def test_from(self, version, form):
        """Any address of the user's own, an alias too; nobody else's, also not as one of several or as Sender."""
        device = self.phone(version, form)
        own = self.owner.address
        other = self.phone(version, form)
        alias = f"alias-{own}"
        self.server.bellhop("alias", "add", alias, own)
        for sender in (own.upper(), f'"Somebody else" <{alias}>', f"{own}, {alias}"):
            self.assert_sent(self.send(device, message(other.user, sender, sender=sender)))
        self.assertEqual(sorted(d.get("Email:Subject") for d in self.inbox(other)), sorted([own.upper(), f'"Somebody else" <{alias}>', f"{own}, {alias}"]))
        for sender, extra in (("someone@elsewhere.example", {}), (other.user, {}), (f"{own}, {other.user}", {}), (own, {"Sender": other.user}),
                              ("boss(at)bank.example", {}), ("boss:;", {}), (own, {"Sender": "boss"})):
            self.assert_refused(device, self.send(device, message(other.user, "not mine", sender=sender, **extra), save=True), "120")
        self.assertEqual(len(self.inbox(other)), 3)
        self.assertEqual(device.prime(device.folders[SENT]), {})
        # An empty field is filled in.
        reader = self.phone(version, form)
        self.assert_sent(self.send(device, b"From:\r\n" + message(reader.user, "empty")))
        (data,) = self.inbox(reader)
        self.assertIn(own, data.get("Email:From"))

    @every_form
    def test_saved(self, version, form):
        device = self.phone(version, form)
        recipient = self.user()
        self.assert_sent(self.send(device, message(recipient.address, "kept"), save=True))
        (data,) = device.prime(device.folders[SENT]).values()
        self.assertEqual(data.get("Email:Subject"), "kept")
        self.assertEqual(data.get("Email:Read"), "1")

    @every_form
    def test_recipients(self, version, form):
        """To, Cc and Bcc, aliases; each one copy; Bcc does not show."""
        device = self.phone(version, form)
        phones = [self.phone(version, form) for _ in range(3)]
        addresses = [p.user for p in phones]
        alias = f"alias-{addresses[2]}"
        self.server.bellhop("alias", "add", alias, addresses[2])
        mime = message(f"Bob <{addresses[0]}>, {addresses[0].upper()}", "many", Cc=addresses[1], Bcc=alias)
        self.assert_sent(self.send(device, mime))
        for phone in phones:
            (data,) = self.inbox(phone)
            self.assertEqual(data.get("Email:Subject"), "many")
            raw = self.raw(phone, data)
            self.assertIsNone(raw["Bcc"])
            self.assertNotIn("alias-", str(raw))

    @every_form
    def test_to_oneself(self, version, form):
        device = self.phone(version, form)
        device.prime()
        self.assert_sent(self.send(device, message(self.owner.address, "note")))
        self.assertEqual(device.sync().subjects(), ["note"])

    @forms("14.0", "14.1", "16.0", "16.1", ("14.1", "base64"), ("16.1", "base64"))
    def test_repeated(self, version, form):
        """The same ClientId again: 118, and only one message."""
        device = self.phone(version, form)
        other = self.phone(version, form)
        mime = message(self.owner.address, "once")
        self.assert_sent(self.send(device, mime, "the-same"))
        self.assert_refused(device, self.send(device, mime, "the-same"), "118")
        self.assertEqual(len(self.inbox(other)), 1)
        # Another device may use the same ClientId.
        third = self.phone(version, form)
        self.assert_sent(self.send(third, message(other.user, "another"), "the-same"))
        self.assertEqual(len(self.inbox(other)), 2)
        # The answer is the same when it could not be sent any more.
        self.server.bellhop("user", "del", other.user, "--yes")
        self.assert_refused(device, self.send(device, mime, "the-same"), "118")
        self.assert_refused(device, self.send(device, b"\0 no message", "the-same"), "118")
        self.assert_refused(device, self.send(device, mime, "another"), "116")

    @forms("2.5", "12.0", "12.1", ("12.1", "base64"))
    def test_repeated_without_client_id(self, version, form):
        """There is no ClientId before 14.0: the request itself tells that it is repeated."""
        device = self.phone(version, form)
        other = self.phone(version, form)
        mime = message(self.owner.address, "once")
        self.assert_sent(self.send(device, mime))
        self.assert_sent(self.send(device, mime))
        self.assertEqual(len(self.inbox(other)), 1)
        self.server.bellhop("user", "del", other.user, "--yes")
        self.assert_sent(self.send(device, mime))
        self.assert_refused(device, self.send(device, mime + b"more"), "116")

    @every_form
    def test_refusals(self, version, form):
        device = self.phone(version, form)
        other = self.phone(version, form)
        good = self.owner.address
        self.assert_refused(device, self.send(device, message(None)), "119")
        self.assert_refused(device, self.send(device, message("nobody@example.org")), "116")
        self.assert_refused(device, self.send(device, message(f"{good}, nobody@example.org")), "116")
        self.assert_refused(device, self.send(device, b"\0\1\2\3 this is no message \xff\xff"), "107")
        self.assertEqual(self.inbox(other), [], "all or none")
        self.assertEqual(device.prime(device.folders[SENT]), {})
        # Refused ClientIds are not remembered as sent.
        if device.since("14.0"):
            self.assert_refused(device, self.send(device, message("nobody@example.org"), "again"), "116")
            self.assert_sent(self.send(device, message(good), "again"))

    @forms("14.0", "14.1", "16.1")
    def test_malformed(self, version, form):
        device = self.phone(version, form)
        mime = message(self.owner.address)
        for document in (E("ComposeMail:SendMail"), E("ComposeMail:SendMail", E("ClientId", "x")),
                         E("ComposeMail:SendMail", E("Mime", mime)), E("AirSync:Sync"),
                         E("ComposeMail:SendMail", E("ClientId", "x" * 41), E("Mime", mime)),
                         E("ComposeMail:SendMail", E("ClientId", "a"), E("ClientId", "b"), E("Mime", mime))):
            answer = device.post("SendMail", document)
            self.assertEqual((answer.code, answer.status), (200, "103"), document)
        answer = device.post("SendMail", body=mime, content_type="message/rfc822")
        self.assertIn(answer.status, ("101", "102", "103"), answer)

    @forms("14.1")
    def test_account_id(self, version, form):
        device = self.phone(version, form)
        document = E("ComposeMail:SendMail", E("ClientId", "x"), E("AccountId", "unknown"),
                     E("Mime", message(self.owner.address)))
        answer = device.post("SendMail", document)
        self.assertEqual(answer.status, "166")

    @every_form
    def test_large(self, version, form):
        """More than fits into one frame between the processes."""
        device = self.phone(version, form)
        text = "".join(f"{n:070d}\r\n" for n in range(20000))
        self.assert_sent(self.send(device, message(self.owner.address, "large", text=text)))
        data = list(device.prime(options=device.options(body=[("1",)])).values())[0]
        got = data.get("AirSyncBase:Body/Data") if device.since("12.0") else data.get("Email:Body")
        self.assertEqual(got.strip(), text.strip())

    def test_bare_line_feeds(self):
        device = self.phone("12.1")
        mime = message(self.owner.address, "bare").replace(b"\r\n", b"\n")
        self.assert_sent(self.send(device, mime))
        (data,) = self.inbox(device)
        octets = data.find("AirSyncBase:Body/Data").data
        self.assertNotIn(b"\n", octets.replace(b"\r\n", b""))

    def test_survives_a_killed_engine(self):
        """What was answered with 200 is there after kill -9."""
        device = self.phone("14.1")
        self.assert_sent(self.send(device, message(self.owner.address, "durable"), "durable", save=True))
        self.server.kill_engine()
        retry(lambda: device.folder_sync("0"))
        self.assertEqual([d.get("Email:Subject") for d in self.inbox(device)], ["durable"])
        self.assert_refused(device, self.send(device, message(self.owner.address), "durable"), "118")


if __name__ == "__main__":
    unittest.main()
