"""Out of office: the answers that senders get, and who gets none."""

import email
import email.policy
import json
import unittest

from lib import mail
from lib.relay import FAR, RelayCase, message


class OofReplies(RelayCase):
    def away(self, user, **audiences):
        texts = {"internal": "Inside", "external_unknown": "<p>Weg bis Montag, Grüße</p>"}
        texts.update(audiences)
        oof = {"state": "on"}
        for audience, text in texts.items():
            oof[audience] = {"enabled": bool(text), "html": text.startswith("<"), "text": text}
        self.server.bellhop("oof", "set", user.address, json.dumps(oof))

    def lmtp(self, user, sender=FAR, to=None, **headers):
        with self.server.lmtp() as lmtp:
            answers = lmtp.deliver(user.address, mail.message("Zeit für Tee?", to=to or user.address, **headers), sender=sender)
        self.assertTrue(answers[0].startswith("250"), answers)

    def test_far_sender(self):
        user = self.user()
        self.away(user)
        # None of these is answered; what is answered after them shows it.
        self.lmtp(user, sender="")
        self.lmtp(user, sender="noreply@far.example")
        self.lmtp(user, sender="list@far.example", List_Id="<list.far.example>")
        self.lmtp(user, sender="robot@far.example", Auto_Submitted="auto-generated")
        self.lmtp(user, sender="blind@far.example", to="others@far.example")
        self.lmtp(user, References="<first@far.example>")
        self.lmtp(user)
        self.lmtp(user, sender="two@far.example")
        self.sink.wait(2)
        self.assert_queue_empty()
        answer, second = sorted(self.sink.messages, key=lambda m: m.recipients)
        self.assertEqual((answer.sender, answer.recipients), ("", [FAR]))
        self.assertEqual(second.recipients, ["two@far.example"])
        reply = email.message_from_bytes(answer.octets, policy=email.policy.default)
        self.assertEqual(reply["Subject"], "Automatic reply: Zeit für Tee?")
        self.assertEqual(reply["Auto-Submitted"], "auto-replied")
        self.assertIn(user.address, reply["From"])
        self.assertEqual(reply["To"], FAR)
        self.assertEqual(reply["References"].split(), ["<first@far.example>", reply["In-Reply-To"]])
        self.assertEqual(reply.get_content_type(), "text/html")
        self.assertEqual(reply.get_content().strip(), "<p>Weg bis Montag, Grüße</p>")

    def test_once_also_after_a_kill(self):
        user = self.user()
        self.away(user)
        self.lmtp(user)
        self.sink.wait()
        self.assert_queue_empty()
        self.server.kill_engine()
        self.lmtp(user)
        self.lmtp(user, sender="two@far.example")
        self.assertEqual(self.sink.wait(2)[1].recipients, ["two@far.example"])

    def test_two_away(self):
        """A colleague's answer arrives as mail, once, and is not answered."""
        anna = self.phone("14.1")
        self.away(self.owner)
        bert = self.user()
        self.away(bert)
        for _ in range(2):
            self.assert_sent(self.send(anna, message(bert.address)))
        (data,) = self.inbox(anna)
        reply = self.raw(data)
        self.assertEqual((reply["Return-Path"], reply["Subject"]), ("<>", "Automatic reply: far"))
        self.assertEqual(reply.get_content().strip(), "Inside")
        self.assertEqual(len(self.inbox(bert.device("14.1").ready())), 2)
        self.assertEqual(self.queue(), [])


if __name__ == "__main__":
    unittest.main()
