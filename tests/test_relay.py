"""Mail to other domains: what leaves, and what phones and senders are told."""

import email
import email.policy
import json
import unittest

from eas.client import SENT
from eas.wbxml import E
from lib.case import ServerCase, every_form
from lib.relay import FAR, RelayCase, message
from lib.server import eventually


class Relay(RelayCase):
    @every_form
    def test_leaves(self, version, form):
        device = self.phone(version, form)
        local = self.user()
        mime = message(f"{FAR}, {local.address}", "leaves", Cc="two@far.example", Bcc="three@far.example")
        self.assert_sent(self.send(device, mime, save=True))
        (sent,) = self.sink.wait()
        self.assertEqual(sent.sender, self.owner.address)
        self.assertEqual(sent.recipients, [FAR, "two@far.example", "three@far.example"])
        self.assertIn("SIZE=", sent.parameters)
        mail = email.message_from_bytes(sent.octets, policy=email.policy.default)
        self.assertIsNone(mail["Bcc"])
        self.assertNotIn(b"three@", sent.octets)
        self.assertTrue(mail["Received"] and mail["Message-ID"] and mail["Date"])
        self.assertIn(self.owner.address, mail["From"])
        self.assertEqual(mail.get_content().strip(), "Hello.")
        self.assert_queue_empty()
        # Local people got it at once; Sent has the blind copies.
        self.assertEqual(len(self.inbox(local.device("14.1").ready())), 1)
        other = self.owner.device("14.1").ready()
        (copy,) = other.prime(other.folders[SENT], options=other.options(body=[("4",)], mime_support="2")).values()
        kept = self.raw(copy)
        self.assertEqual(kept["Bcc"], "three@far.example")
        self.assertEqual(kept["Message-ID"], mail["Message-ID"])

    def test_dots_and_large(self):
        device = self.phone("14.1")
        text = ".\r\n..two\r\n" + "".join(f".{n:070d}\r\n" for n in range(5000))
        self.assert_sent(self.send(device, message(FAR, text=text)))
        (sent,) = self.sink.wait()
        self.assertTrue(sent.octets.endswith(text.encode()))

    def test_repeated_once(self):
        device = self.phone("16.1")
        self.assert_sent(self.send(device, message(FAR), client_id="same"))
        self.assertEqual(self.send(device, message(FAR), client_id="same").status, "118")
        self.sink.wait()
        self.assert_queue_empty()
        self.assertEqual(len(self.sink.messages), 1)

    def test_later(self):
        """4xx to one of two: the other is served, this one by the schedule."""
        device = self.phone()
        self.sink.rcpt["two@far.example"] = "451 4.7.1 greylisted"
        self.assert_sent(self.send(device, message(f"{FAR}, two@far.example")))
        (first,) = self.sink.wait()
        self.assertEqual(first.recipients, [FAR])
        (row,) = eventually(lambda: [r for r in self.queue() if r["attempts"]])
        self.assertEqual((row["recipient"], row["state"], row["answer"]), ("two@far.example", "waiting", "451 4.7.1 greylisted"))
        self.sink.rcpt.clear()
        self.assertEqual(self.sink.wait(2)[1].recipients, ["two@far.example"])
        self.assert_queue_empty()

    def test_refused_recipient(self):
        device = self.phone()
        self.sink.rcpt[FAR] = "550-5.1.1 nobody\r\n550 5.1.1 here"
        self.assert_sent(self.send(device, message(f"{FAR}, two@far.example", "hopeless")))
        self.assertEqual(self.sink.wait()[0].recipients, ["two@far.example"])
        report = self.refused(device, ["5.1.1 nobody", "Status: 5.1.1", "Action: failed"])
        self.assertIn("hopeless", report.as_string())
        events = json.loads(self.server.bellhop("log", "list", "--user", self.owner.address, "--json").stdout)
        self.assertIn("mail returned", [event["action"] for event in events])

    def test_refused_message(self):
        device = self.phone()
        for name, answer in (("mail", "552 5.3.4 too big"), ("data", "554 5.7.1 no"), ("final", "550 5.7.1 spam")):
            with self.subTest(name):
                other = self.phone()
                setattr(self.sink, name, answer)
                self.assert_sent(self.send(other, message(FAR)))
                self.refused(other, [answer[4:]])
                setattr(self.sink, name, None)
        self.assertEqual(self.sink.messages, [])
        self.assertEqual(self.inbox(device), [])

    def test_refused_at_once(self):
        device = self.phone("14.1")
        for to, status in ((f"{FAR}, nobody@example.org", "116"), ("junk", "116"), (f"{FAR}, <a b@c>", "116")):
            self.assertEqual(self.send(device, message(to)).status, status, to)
        loop = b"".join(b"Received: by x; Mon, 1 Jan 2024 00:00:00 +0000\r\n" for _ in range(51)) + message(FAR)
        self.assertEqual(self.send(device, loop).status, "120")
        self.assertEqual(self.queue(), [])
        self.assertEqual(self.sink.attempts, [])

    def test_limits(self):
        device = self.phone("14.1")
        self.sink.mail = "451 4.0.0 not now"
        self.server.write_config(relay_queue_per_user="1", relay_message_max_bytes="65536")
        self.server.bellhop("reload")
        try:
            self.assertEqual(self.send(device, message(FAR, text="x" * 70000)).status, "122")
            self.assertEqual(self.send(device, message(", ".join(f"u{n}@far.example" for n in range(1001)))).status, "115")
            self.assert_sent(self.send(device, message(FAR)))
            self.assertEqual(self.send(device, message(FAR)).status, "115")
            self.server.write_config(relay_queue_max="1")
            self.server.bellhop("reload")
            self.assertEqual(self.send(self.phone("14.1"), message(FAR)).status, "111")
            self.assertEqual(self.send(self.phone("12.1"), message(FAR)).code, 503)
        finally:
            self.server.write_config(relay_queue_per_user="1000", relay_message_max_bytes="52428800", relay_queue_max="10000")
            self.server.bellhop("reload")


class NoRelay(ServerCase):
    def test_refused(self):
        device = self.phone("14.1")
        answer = device.post("SendMail", E("ComposeMail:SendMail", E("ClientId", "x"), E("Mime", message(FAR))))
        self.assertEqual(answer.status, "116")


if __name__ == "__main__":
    unittest.main()
