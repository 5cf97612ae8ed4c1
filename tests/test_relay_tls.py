"""A relay behind STARTTLS or TLS, with a login; and one that is not to be trusted."""

import unittest

from lib.relay import FAR, RelayCase, message
from lib.server import eventually


class StartTls(RelayCase):
    mode, users = "starttls", {"bellhop": "pass word"}

    def test_login(self):
        device = self.phone()
        self.assert_sent(self.send(device, message(FAR)))
        (sent,) = self.sink.wait()
        self.assertEqual((sent.tls, sent.user), (True, "bellhop"))

    def trouble(self, device, word, **changes):
        self.server.write_config(**changes)
        self.server.bellhop("reload")
        self.assert_sent(self.send(device, message(FAR)))
        (row,) = eventually(lambda: [r for r in self.queue() if r["attempts"]])
        self.assertIn(word, row["answer"])
        self.assertEqual(self.sink.messages, [])

    def test_wrong_password(self):
        self.sink.users = {"bellhop": "another"}
        try:
            self.trouble(self.phone(), "535")
        finally:
            self.sink.users = dict(self.users)
        self.server.bellhop("queue", "retry")
        self.sink.wait()

    def test_unknown_authority(self):
        """Nothing is sent to whom we do not know; with relay.verify = no it is."""
        ca = self.settings["relay.ca_file"]
        try:
            self.trouble(self.phone(), "certificate", relay_ca_file="")
            self.server.write_config(relay_verify="no")
            self.server.bellhop("reload")
            self.assertTrue(self.sink.wait()[0].tls)
        finally:
            self.server.write_config(relay_ca_file=ca, relay_verify="yes")
            self.server.bellhop("reload")

    def test_no_starttls(self):
        """A relay that does not offer it gets nothing."""
        self.sink.mode = "none"
        try:
            self.trouble(self.phone(), "STARTTLS")
        finally:
            self.sink.mode = "starttls"


class Tls(RelayCase):
    mode, users = "tls", {"bellhop": "pass word"}
    settings = dict(RelayCase.settings, **{"relay.helo": "phones.example"})

    def test_login(self):
        device = self.phone()
        self.assert_sent(self.send(device, message(FAR)))
        (sent,) = self.sink.wait()
        self.assertEqual((sent.tls, sent.user), (True, "bellhop"))
        self.assertEqual(set(self.sink.helos), {"phones.example"})


if __name__ == "__main__":
    unittest.main()
