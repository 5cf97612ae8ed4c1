"""A real Postfix as the relay, which hands over to another of our servers: from phone to phone across two sites."""

import email
import email.policy
import unittest

from eas.wbxml import E
from lib.case import ServerCase
from lib.postfix import Postfix
from lib.server import Server, eventually


class ThroughPostfix(ServerCase):
    @classmethod
    def setUpClass(cls):
        cls.other = cls.postfix = None
        try:
            cls.other = Server().start()
            cls.other.add_domain("far.example")
            cls.postfix = Postfix(f"lmtp:inet:127.0.0.1:{cls.other.lmtp_port}", domain="far.example").start()
            cls.settings = {"relay.host": "127.0.0.1", "relay.port": str(cls.postfix.port), "relay.tls": "none", "relay.retry_min_s": "1"}
            super().setUpClass()
        except BaseException:
            cls.close_others()
            raise

    @classmethod
    def close_others(cls):
        if cls.postfix:
            cls.postfix.stop()
        if cls.other:
            cls.other.close()

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.close_others()

    def send(self, device, number, mime):
        answer = device.post("SendMail", E("ComposeMail:SendMail", E("ClientId", f"postfix-{number}"), E("Mime", mime)))
        self.assertEqual((answer.code, answer.http.body), (200, b""), answer)

    def test_from_site_to_site(self):
        device = self.phone()
        friends = [self.other.add_user(domain="far.example") for _ in range(3)]
        octets = bytes(range(256)) * 4000
        message = email.message.EmailMessage()
        message["To"] = ", ".join(friend.address for friend in friends[:2])
        message["Bcc"] = friends[2].address
        message["Subject"] = "Schöne Grüße"
        message.set_content(".\r\n..\r\nZwölf Boxkämpfer\r\n" + "x" * 5000 + "\r\n", cte="8bit")
        message.add_attachment(octets, maintype="application", subtype="octet-stream", filename="blob")
        self.send(device, 1, message.as_bytes(policy=email.policy.SMTP.clone(max_line_length=900)))
        for friend in friends:
            phone = friend.device("14.1").ready()
            options = phone.options(body=[("4",)], mime_support="2")
            (data,) = eventually(lambda: list(phone.prime(options=options).values()), what="the message")
            got = email.message_from_bytes(data.find("AirSyncBase:Body/Data").data, policy=email.policy.default)
            self.assertEqual(got["Subject"], "Schöne Grüße")
            self.assertIsNone(got["Bcc"])
            self.assertIn(device.user, got["From"])
            self.assertEqual(len(got.get_all("Received")), 3, "ours, Postfix's, LMTP's")
            self.assertIn("\n..\n", got.get_body().get_content().replace("\r\n", "\n"))
            self.assertIn("Zwölf", got.get_body().get_content())
            (blob,) = got.iter_attachments()
            self.assertEqual(blob.get_content(), octets)


if __name__ == "__main__":
    unittest.main()
