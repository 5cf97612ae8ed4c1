"""LMTP: extensions, an answer for each recipient, limits, refusals, trouble in the store."""

import email
import email.policy
import os
import resource
import unittest

from lib import mail
from lib.case import ServerCase
from lib.lmtp import Lmtp, LmtpError, dot_stuffed
from lib.server import Server, eventually


class LmtpCase(ServerCase):
    def texts(self, device):
        items = device.prime(options=device.options(body=[("1",)]))
        return {d.get("Email:Subject"): d.get("AirSyncBase:Body/Data") for d in items.values()}


class Session(LmtpCase):
    settings = {"lmtp.message_max_bytes": "200000", "lmtp.recipients_max": "5"}

    def test_greeting(self):
        with self.server.lmtp() as lmtp:
            words = [e.split()[0].upper() for e in lmtp.extensions[1:]] + [lmtp.extensions[0].split()[0]]
            for word in ("8BITMIME", "SMTPUTF8", "PIPELINING", "SIZE", "ENHANCEDSTATUSCODES"):
                self.assertIn(word, words)
            self.assertIn("SIZE 200000", lmtp.extensions)
            self.assertTrue(lmtp.command("NOOP")[0].startswith("250"))
            self.assertTrue(lmtp.command("RSET")[0].startswith("250"))
            self.assertTrue(lmtp.command("VRFY x")[0].startswith(("252", "502")))
            self.assertTrue(lmtp.command("QUIT")[0].startswith("221"))
            self.assertEqual(lmtp.socket.recv(1), b"")

    def test_unix_socket(self):
        device = self.phone("14.1")
        with Lmtp(self.server.lmtp_path) as lmtp:
            answer = lmtp.deliver(self.owner.address, mail.message("by unix socket"))
        self.assertTrue(answer[0].startswith("250"), answer)
        self.assertIn("by unix socket", self.texts(device))

    def test_wrong_commands(self):
        with self.server.lmtp(greet=False) as lmtp:
            lmtp.expect("220")
            for command, code in (("MAIL FROM:<a@b.example>", "503"), ("HELO x", "500"), ("EHLO x", "500"),
                                  ("NONSENSE", "500"), ("DATA", "503"), ("RCPT TO:<x>", "503"), ("", "500"),
                                  ("LHLO", "501")):
                answer = lmtp.command(command)[-1]
                self.assertTrue(answer[0] == "5", (command, answer, code))
            lmtp.command("LHLO x", "250")
            for command in ("MAIL", "MAIL FROM:", "MAIL FROM:<", "MAIL TO:<x@y>", "RCPT TO:<a@b>",
                            "MAIL FROM:<a@b.example> BODY=NONSENSE", "MAIL FROM:<a@b.example> SIZE=abc",
                            "MAIL FROM:<a@b.example> UNKNOWN=1"):
                self.assertEqual(lmtp.command(command)[-1][0], "5", command)
            lmtp.command("MAIL FROM:<>", "250")
            self.assertEqual(lmtp.command("MAIL FROM:<a@b.example>")[-1][:3], "503")
            self.assertEqual(lmtp.command("DATA")[-1][:1], "5")

    def test_each_recipient(self):
        """Unknown ones 550 at RCPT; after DATA one answer for each that was taken."""
        one, other = self.phone("14.1"), self.phone("14.1")
        with self.server.lmtp() as lmtp:
            lmtp.command("MAIL FROM:<a@example.net>", "250")
            self.assertEqual(lmtp.command(f"RCPT TO:<{one.user}>")[-1][:3], "250")
            answer = lmtp.command("RCPT TO:<nobody@example.org>")[-1]
            self.assertTrue(answer.startswith("550 5.1.1"), answer)
            self.assertEqual(lmtp.command("RCPT TO:<x@elsewhere.example>")[-1][:3], "550")
            self.assertEqual(lmtp.command(f"RCPT TO:<{other.user.upper()}>")[-1][:3], "250")
            lmtp.command("DATA", "354")
            answers = lmtp.data(mail.message("to two"), 2)
            self.assertTrue(all(a.startswith("250") for a in answers), answers)
            # The session goes on.
            lmtp.deliver(one.user, mail.message("and more"))
        self.assertEqual(set(self.texts(one)), {"to two", "and more"})
        self.assertEqual(set(self.texts(other)), {"to two"})

    def test_same_recipient_twice(self):
        device = self.phone("14.1")
        with self.server.lmtp() as lmtp:
            answers = lmtp.deliver([device.user, device.user], mail.message("twice named"))
        self.assertEqual([a[:3] for a in answers], ["250", "250"])
        self.assertEqual(len(device.prime()), 1)

    def test_alias_and_null_sender(self):
        device = self.phone("14.1")
        self.server.bellhop("alias", "add", "postbox@example.org", device.user)
        with self.server.lmtp() as lmtp:
            lmtp.deliver("postbox@example.org", mail.message("a bounce"), sender="")
        self.assertIn("a bounce", self.texts(device))

    def test_too_many_recipients(self):
        user = self.user()
        with self.server.lmtp() as lmtp:
            lmtp.command("MAIL FROM:<a@example.net>", "250")
            answers = [lmtp.command(f"RCPT TO:<{user.address}>")[-1][:3] for _ in range(6)]
            self.assertEqual(answers, ["250"] * 5 + ["452"])

    def test_pipelining(self):
        """A whole envelope in one segment, then two messages in one segment."""
        device = self.phone("14.1")
        with self.server.lmtp() as lmtp:
            lmtp.send(f"MAIL FROM:<a@example.net>\r\nRCPT TO:<nobody@example.org>\r\nRCPT TO:<{device.user}>\r\n"
                      f"DATA\r\n".encode())
            self.assertEqual([lmtp.answer()[-1][:3] for _ in range(4)], ["250", "550", "250", "354"])
            lmtp.send(dot_stuffed(mail.message("piped 1"))
                      + f"MAIL FROM:<a@example.net>\r\nRCPT TO:<{device.user}>\r\nDATA\r\n".encode())
            self.assertEqual([lmtp.answer()[-1][:3] for _ in range(4)], ["250", "250", "250", "354"])
            lmtp.send(dot_stuffed(mail.message("piped 2")) + b"QUIT\r\n")
            self.assertEqual([lmtp.answer()[-1][:3] for _ in range(2)], ["250", "221"])
        self.assertEqual(set(self.texts(device)), {"piped 1", "piped 2"})

    def test_eight_bit(self):
        device = self.phone("14.1")
        message = ("From: a@example.net\r\nSubject: acht\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                   "Content-Transfer-Encoding: 8bit\r\n\r\nGrüße €\r\n").encode()
        with self.server.lmtp() as lmtp:
            lmtp.deliver(device.user, message, options=" BODY=8BITMIME")
        self.assertEqual(self.texts(device)["acht"], "Grüße €\r\n")

    def test_smtputf8(self):
        """UTF-8 in the envelope and in header lines."""
        user = self.server.add_user("jürgen")
        device = user.device("14.1").ready()
        message = ("From: Łukasz <łukasz@example.net>\r\nTo: jürgen@example.org\r\nSubject: ünïcode 日本\r\n\r\n"
                   "x\r\n").encode()
        with self.server.lmtp() as lmtp:
            lmtp.deliver("jürgen@example.org", message, sender="łukasz@example.net", options=" SMTPUTF8 BODY=8BITMIME")
        (data,) = device.prime().values()
        self.assertEqual(data.get("Email:Subject"), "ünïcode 日本")
        self.assertIn("Łukasz", data.get("Email:From"))

    def test_size(self):
        device = self.phone("14.1")
        big = mail.message("too big", text="x" * 70 + "\r\n" + "y" * 70 + "\r\n" * 100000)
        with self.server.lmtp() as lmtp:
            answer = lmtp.command("MAIL FROM:<a@example.net> SIZE=200001")[-1]
            self.assertEqual(answer[:3], "552")
            answers = lmtp.deliver(device.user, big, options=" SIZE=100")
            self.assertEqual([a[:3] for a in answers], ["552"])
            lmtp.deliver(device.user, mail.message("small"), options=" SIZE=500")
        self.assertEqual(set(self.texts(device)), {"small"})

    def test_dots_and_octets(self):
        """Dot stuffing both ways; every octet of the message is kept; bare line ends do not end it."""
        device = self.phone("14.1")
        message = (b"From: a@example.net\r\nSubject: dots\r\n\r\n.\r\n..\r\n...dots\r\n.x\r\n"
                   b"bare\nline\n.\nfeeds\r\n\r.\r\r\nend\r\n")
        with self.server.lmtp() as lmtp:
            answers = lmtp.deliver(device.user, message)
        self.assertEqual(len(answers), 1)
        if not answers[0].startswith("250"):
            self.assertEqual(answers[0][0], "5", "bare line feeds may be refused, but not taken for an end")
            return
        (data,) = device.prime(options=device.options(body=[("4",)], mime_support="2")).values()
        octets = data.find("AirSyncBase:Body/Data").data
        self.assertIn(b"\r\n.\r\n..\r\n...dots\r\n.x\r\n", octets)
        self.assertIn(b"feeds", octets)

    def test_byte_by_byte(self):
        device = self.phone("14.1")
        with self.server.lmtp() as lmtp:
            for octet in f"MAIL FROM:<a@example.net>\r\nRCPT TO:<{device.user}>\r\nDATA\r\n".encode():
                lmtp.send(bytes([octet]))
            self.assertEqual([lmtp.answer()[-1][:3] for _ in range(3)], ["250", "250", "354"])
            for octet in dot_stuffed(mail.message("drop by drop")):
                lmtp.send(bytes([octet]))
            self.assertTrue(lmtp.answer()[-1].startswith("250"))
        self.assertIn("drop by drop", self.texts(device))

    def test_aborted(self):
        """A connection that ends in the middle of the data delivers nothing."""
        device = self.phone("14.1")
        lmtp = self.server.lmtp()
        lmtp.command("MAIL FROM:<a@example.net>", "250")
        lmtp.command(f"RCPT TO:<{device.user}>", "250")
        lmtp.command("DATA", "354")
        lmtp.send(mail.message("half"))
        lmtp.close()
        self.deliver(self.owner, "whole")
        self.assertEqual(set(self.texts(device)), {"whole"})

    def test_long_lines(self):
        with self.server.lmtp() as lmtp:
            answer = lmtp.command("MAIL FROM:<" + "a" * 100000 + "@example.net>")
            self.assertEqual(answer[-1][0], "5")

    def test_disabled_user_still_gets_mail(self):
        user = self.user()
        self.server.bellhop("user", "disable", user.address)
        self.deliver(user, "waits for you")
        self.server.bellhop("user", "enable", user.address)
        device = user.device("14.1").ready()
        self.assertIn("waits for you", self.texts(device))

    def test_received_header_and_return_path(self):
        device = self.phone("14.1")
        self.deliver(self.owner, "traced")
        (data,) = device.prime(options=device.options(body=[("4",)], mime_support="2")).values()
        raw = email.message_from_bytes(data.find("AirSyncBase:Body/Data").data, policy=email.policy.default)
        self.assertEqual(raw["Subject"], "traced")


class StoreTrouble(LmtpCase):
    """A data folder which cannot be written to any more: file sizes are limited as on a full disk."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server(settings={"store.body_inline_max": "1024"})
        cls.server.start()
        try:
            cls.server.add_domain("example.org")
        except BaseException:
            cls.server.close()
            raise

    def test_full_disk(self):
        """451 or 452, no crash, a parked phone stays parked; with room again deliveries go on."""
        device = self.phone("14.1")
        device.prime()
        waiting = device.ping_send()
        self.addCleanup(waiting.close)
        self.assert_parked(waiting)
        engine = self.server.engine_pid()
        old = resource.prlimit(engine, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        with self.server.lmtp() as lmtp:
            for number in range(3):
                answer = lmtp.deliver(device.user, mail.message("no room", text="x" * 70 + "\r\n" * 3000))
                self.assertRegex(answer[0], "^45[12]", answer)
        self.assert_parked(waiting)
        self.assertEqual(self.server.engine_pid(), engine, "the engine lives")
        resource.prlimit(engine, resource.RLIMIT_FSIZE, (old[1], old[1]))
        self.deliver(self.owner, "room again")
        self.assert_ping(device.receive(waiting), "2", [device.inbox])
        self.assertEqual(device.sync().subjects(), ["room again"])

    def test_no_bodies_folder(self):
        """Large bodies cannot be written: a file stands where the folder should be."""
        device = self.phone("14.1")
        device.prime()
        bodies = os.path.join(self.server.data, "bodies")
        hidden = bodies + ".hidden"
        exists = os.path.isdir(bodies)
        if exists:
            os.rename(bodies, hidden)
        with open(bodies, "w", encoding="ascii"):
            pass
        try:
            with self.server.lmtp() as lmtp:
                answer = lmtp.deliver(device.user, mail.message("large", text="line\r\n" * 2000))
                self.assertRegex(answer[0], "^45[12]", answer)
        finally:
            os.unlink(bodies)
            if exists:
                os.rename(hidden, bodies)
        self.deliver(self.owner, "fine")
        self.assertEqual(device.sync().subjects(), ["fine"])


class Limits(ServerCase):
    settings = {"lmtp.connections_max": "3", "lmtp.timeout_s": "5"}

    def test_connections(self):
        held = [self.server.lmtp() for _ in range(3)]
        try:
            extra = Lmtp(self.server.lmtp_port, greet=False)
            try:
                self.assertTrue(extra.line().startswith("421"))
            except (LmtpError, ConnectionError):
                pass
            extra.close()
        finally:
            for one in held:
                one.close()
        user = self.user()
        def again():
            try:
                self.deliver(user)
                return True
            except (LmtpError, OSError, AssertionError):
                return False
        eventually(again, what="a free connection")

    def test_silence(self):
        with self.server.lmtp() as lmtp:
            try:
                self.assertTrue(lmtp.line().startswith("421"))
            except (LmtpError, ConnectionError):
                pass


if __name__ == "__main__":
    unittest.main()
