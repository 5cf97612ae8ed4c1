"""What tests of the relay share: a server with a sink as its relay, messages to it, the queue."""

import email
import email.policy
import json

from eas.wbxml import E
from lib.case import ServerCase
from lib.server import eventually
from lib.smtp_sink import Authority, Sink

FAR = "someone@far.example"


def message(to, subject="far", text="Hello.\r\n", **headers):
    lines = [f"To: {to}"] + [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines + [f"Subject: {subject}", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8",
                                "", text]).encode()


class RelayCase(ServerCase):
    numbers = 0
    mode, users = "none", None
    settings = {"relay.host": "localhost", "relay.retry_min_s": "1", "relay.retry_max_s": "1", "relay.give_up_s": "3600"}

    @classmethod
    def setUpClass(cls):
        cls.authority = Authority() if cls.mode != "none" else None
        cls.sink = Sink(cls.mode, cls.authority and cls.authority.context, cls.users)
        cls.settings = dict(cls.settings, **{"relay.port": str(cls.sink.port), "relay.tls": cls.mode})
        if cls.authority:
            cls.settings["relay.ca_file"] = cls.authority.ca
        if cls.users:
            cls.settings["relay.user"] = next(iter(cls.users))
            cls.settings["relay.password_file"] = cls.authority.path("password")
            with open(cls.authority.path("password"), "w", encoding="utf-8") as file:
                file.write(next(iter(cls.users.values())) + "\n")
        try:
            super().setUpClass()
        except BaseException:
            cls.close_relay()
            raise

    @classmethod
    def close_relay(cls):
        cls.sink.close()
        if cls.authority:
            cls.authority.close()

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.close_relay()

    def setUp(self):
        sink = self.sink
        sink.rcpt, sink.mail, sink.data, sink.final, sink.cut, sink.gate = {}, None, None, None, None, None
        sink.at_gate.clear()
        with sink.changed:
            sink.messages.clear()
            sink.attempts.clear()

    def tearDown(self):
        for row in self.queue():
            self.server.bellhop("queue", "drop", str(row["mail"]), "--yes", check=False)

    def send(self, device, mime, save=False, client_id=None):
        if not device.since("14.0"):
            return device.post("SendMail", body=mime, content_type="message/rfc822", params={"SaveInSent": "T"} if save else {})
        RelayCase.numbers += 1
        return device.post("SendMail", E("ComposeMail:SendMail", E("ClientId", client_id or f"relay-{RelayCase.numbers}"),
                                         E("SaveInSentItems") if save else None, E("Mime", mime)))

    def assert_sent(self, answer):
        self.assertEqual((answer.code, answer.http.body), (200, b""), answer)

    def queue(self):
        return json.loads(self.server.bellhop("queue", "list", "--json").stdout)

    def assert_queue_empty(self):
        eventually(lambda: not self.queue(), what="an empty queue")

    def inbox(self, device):
        options = device.options(body=[("4",)], mime_support="2")
        return list(device.prime(options=options).values())

    def raw(self, data):
        return email.message_from_bytes(data.find("AirSyncBase:Body/Data").data, policy=email.policy.default)

    def refused(self, device, pieces, to=FAR):
        (data,) = eventually(lambda: self.inbox(device))
        self.assertEqual(data.get("Email:MessageClass"), "REPORT.IPM.NOTE.NDR")
        report = self.raw(data)
        self.assertEqual(report.get_content_type(), "multipart/report")
        self.assertEqual(report["Auto-Submitted"], "auto-replied")
        text, facts, head = list(report.iter_parts())
        self.assertEqual(facts.get_content_type(), "message/delivery-status")
        self.assertEqual(head.get_content_type(), "text/rfc822-headers")
        everything = text.get_content() + facts.as_string()
        for piece in pieces + [to]:
            self.assertIn(piece, everything)
        self.assert_queue_empty()
        return report
