"""Quotas and sizes: every way in honours them, each says so in its own words, and to the byte, also when many deliver at once."""

import concurrent.futures
import json

from eas.client import DELETED, SENT
from eas.wbxml import E
from lib import mail
from lib.case import ServerCase, every_form, forms
from test_sync import delete


class QuotaCase(ServerCase):
    def quota(self, user, size):
        self.server.bellhop("user", "quota", user.address, str(size))

    def used(self, user):
        return json.loads(self.server.bellhop("user", "show", user.address, "--json").stdout)["used_bytes"]

    def answer(self, user, message, options=""):
        with self.server.lmtp() as lmtp:
            lmtp.command(f"MAIL FROM:<anna@example.net>{options}", "250")
            refusal = lmtp.command(f"RCPT TO:<{user.address}>")[-1]
            if not refusal.startswith("250"):
                return refusal
            lmtp.command("DATA", "354")
            return lmtp.data(message)[0]


class CommandLine(QuotaCase):
    def test_set_and_shown(self):
        user = self.user()
        for size, octets in (("5000", 5000), ("3k", 3072), ("500M", 500 << 20), ("2G", 2 << 30), ("1T", 1 << 40), ("none", "none")):
            self.quota(user, size)
            shown = json.loads(self.server.bellhop("user", "show", user.address, "--json").stdout)
            self.assertEqual(shown["quota_bytes"], octets)
            (row,) = [row for row in json.loads(self.server.bellhop("user", "list", "--json").stdout)
                      if row["address"] == user.address]
            self.assertEqual((row["quota_bytes"], row["used_bytes"]), (octets, 0))
        self.assertIn("QUOTA BYTES", self.server.bellhop("user", "list").stdout)

    def test_wrong_sizes(self):
        user = self.user()
        for size in ("0", "-1", "x", "1X", "1.5G", "", "M", "9999999T", "99999999999999999999999999"):
            done = self.server.bellhop("user", "quota", user.address, "--", size, check=False)
            self.assertNotEqual(done.returncode, 0, size)


class Delivery(QuotaCase):
    def test_full_mailbox_is_452(self):
        user = self.user()
        self.quota(user, 1500)
        self.assertRegex(self.answer(user, mail.message(text="x" * 700)), "^250")
        self.assertRegex(self.answer(user, mail.message(text="x" * 2000)), "^452 4.2.2 ")
        # Where the size is announced, before the data.
        with self.server.lmtp() as lmtp:
            lmtp.command("MAIL FROM:<anna@example.net> SIZE=2000", "250")
            self.assertRegex(lmtp.command(f"RCPT TO:<{user.address}>")[-1], "^452 4.2.2 ")

    def test_each_recipient_has_its_own_answer(self):
        full, other = self.user(), self.user()
        self.quota(full, 10)
        with self.server.lmtp() as lmtp:
            answers = lmtp.deliver([other.address, full.address], mail.message("for two"))
        self.assertEqual([answer[:9] for answer in answers], ["250 2.0.0", "452 4.2.2"])
        self.assertEqual((self.used(full), self.used(other) > 0), (0, True))

    def test_exact_under_concurrent_deliveries(self):
        """Eight at once, until it is full: not a byte too many, none counted twice; room again after deletions."""
        user = self.user()
        message = mail.message("same size", text="x" * 1000)
        self.assertRegex(self.answer(user, message), "^250")
        one = self.used(user)
        room = 17
        self.quota(user, one * (room + 1) + one // 2)

        def many(_):
            with self.server.lmtp() as lmtp:
                return [lmtp.deliver(user.address, message)[0][:9] for _ in range(6)]

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = [answer for answers in pool.map(many, range(8)) for answer in answers]
        self.assertEqual((answers.count("250 2.0.0"), answers.count("452 4.2.2")), (room, 48 - room))
        self.assertEqual(self.used(user), one * (room + 1))
        phone = self.phone("14.1", user=user)
        items = list(phone.prime())
        self.assertEqual(len(items), room + 1)
        # To Deleted Items it is no byte less, and needs no room; gone for good it is.
        phone.sync(commands=[delete(items[0])])
        self.assertEqual(self.used(user), one * (room + 1))
        self.assertRegex(self.answer(user, message), "^452")
        phone.sync(commands=[delete(item) for item in items[1:3]], deletes_as_moves="0")
        self.assertEqual(self.used(user), one * (room - 1))
        phone.post("ItemOperations", E("ItemOperations:ItemOperations", E("EmptyFolderContents", E(
            "AirSync:CollectionId", phone.folders[DELETED]))))
        self.assertEqual(self.used(user), one * (room - 2))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = [answer for answers in pool.map(many, range(8)) for answer in answers]
        self.assertEqual(answers.count("250 2.0.0"), 3)
        self.server.bellhop("check", "--quick")

    def test_move_needs_no_room(self):
        user = self.user()
        phone = self.phone("14.1", user=user)
        self.deliver(user, "x")
        (item,) = phone.prime()
        self.quota(user, 1)
        answer = phone.post("MoveItems", E("Move:MoveItems", E("Move", E("SrcMsgId", item), E("SrcFldId", phone.inbox),
                                                               E("DstFldId", phone.folders[SENT]))))
        self.assertEqual(answer.document.get("Response/Status"), "3")

    def test_warned_once(self):
        user = self.user()
        message = mail.message("one", text="x" * 1000)
        self.assertRegex(self.answer(user, message), "^250")
        one = self.used(user)
        self.quota(user, one * 10)
        for count, warnings in ((7, 0), (1, 1), (1, 1)):
            for _ in range(count):
                self.assertRegex(self.answer(user, message), "^250")
            rows = json.loads(self.server.bellhop("log", "list", "--user", user.address, "--json").stdout)
            found = [row["result"] for row in rows if row["action"] == "mailbox nearly full"]
            self.assertEqual(len(found), warnings)
        self.assertEqual(found, [f"{one * 9} of {one * 10} bytes"])

    def test_import(self):
        user = self.user()
        path = f"{self.server.folder}/quota.mbox"
        with open(path, "w", encoding="ascii") as file:
            for number in range(5):
                file.write(f"From a@b Sun Nov 22 10:00:00 2026\nSubject: {number}\n\n{'x' * 900}\n\n")
        self.quota(user, 2500)
        done = self.server.bellhop("import", user.address, path, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("the mailbox is full", done.stdout + done.stderr)
        self.assertTrue(1800 < self.used(user) <= 2500, self.used(user))


class Rejecting(QuotaCase):
    settings = {"lmtp.full_mailbox": "reject"}

    def test_full_mailbox_is_552(self):
        user = self.user()
        self.quota(user, 1500)
        self.assertRegex(self.answer(user, mail.message(text="x" * 2000)), "^552 5.2.2 ")
        self.assertRegex(self.answer(user, b"", " SIZE=2000"), "^552 5.2.2 ")


class Sending(QuotaCase):
    def send(self, phone, message, save=True, command="SendMail", source=None):
        if phone.since("14.0"):
            return phone.post(command, E(f"ComposeMail:{command}", E("ClientId", f"c{id(message)}{save}"), source,
                                         E("SaveInSentItems") if save else None, E("Mime", message)))
        params = {"SaveInSent": "T"} if save else {}
        if source is not None:
            params.update({"ItemId": source.get("ItemId"), "CollectionId": source.get("FolderId")})
        return phone.post(command, body=message, content_type="message/rfc822", params=params)

    def assert_full(self, answer, phone):
        if phone.since("14.0"):
            self.assertEqual((answer.code, answer.status), (200, "113"), answer)
        else:
            self.assertEqual((answer.code, answer.http.body), (507, b""), answer)

    @every_form
    def test_no_room_for_the_copy_in_sent(self, version, form):
        """113, or 507: nothing is sent. Without a copy it is."""
        phone = self.phone(version, form)
        owner, other = self.owner, self.user()
        self.quota(owner, 100)
        message = mail.message("out", sender=owner.address, to=other.address)
        self.assert_full(self.send(phone, message), phone)
        self.assertEqual(self.used(other), 0)
        answer = self.send(phone, message, save=False)
        self.assertEqual((answer.code, answer.document), (200, None), answer)
        self.assertGreater(self.used(other), 0)

    @every_form
    def test_recipient_is_full(self, version, form):
        """The others get it, the sender a report; the phone is not told that the mailbox of its own is full."""
        phone = self.phone(version, form)
        owner, full, other = self.owner, self.user(), self.user()
        self.quota(full, 100)
        phone.prime()
        message = mail.message("to both", sender=owner.address, to=f"{full.address}, {other.address}")
        answer = self.send(phone, message)
        self.assertEqual((answer.code, answer.document), (200, None), answer)
        self.assertEqual((self.used(full), self.used(other) > 0), (0, True))
        connection = phone.ping_send()
        self.assert_ping(phone.receive(connection), "2", [phone.inbox])
        connection.close()
        answer = phone.sync(options=phone.options(body=[("1",)]))
        self.assertEqual(answer.subjects(), ["Undelivered mail returned to sender"])
        (data,) = answer.added.values()
        text = data.get("AirSyncBase:Body/Data") or data.get("Email:Body")
        self.assertIn(full.address, text)
        self.assertIn("5.2.2 Mailbox full", text)
        self.assertNotIn(other.address, text)
        self.assertNotIn(full.address, self.server.bellhop("queue", "list").stdout)

    @forms("14.1")
    def test_to_oneself_is_full(self, version, form):
        phone = self.phone(version, form)
        self.quota(self.owner, 100)
        message = mail.message("to me", sender=self.owner.address, to=self.owner.address)
        self.assert_full(self.send(phone, message, save=False), phone)

    @forms("2.5", "12.1", "14.1", ("16.1", "base64"))
    def test_forward(self, version, form):
        """The forwarded one is in the copy: too large for what is left."""
        phone = self.phone(version, form)
        owner, other = self.owner, self.user()
        self.deliver(owner, "large", text="line\r\n" * 500)
        (item,) = phone.prime()
        self.quota(owner, self.used(owner) + 1500)
        source = E("ComposeMail:Source", E("FolderId", phone.inbox), E("ItemId", item))
        message = mail.message("Fwd: large", sender=owner.address, to=other.address)
        self.assert_full(self.send(phone, message, command="SmartForward", source=source), phone)
        self.assertEqual(self.used(other), 0)
        answer = self.send(phone, message)
        self.assertEqual((answer.code, answer.document), (200, None), answer)


class Sizes(QuotaCase):
    settings = {"lmtp.message_max_bytes": "65536", "relay.message_max_bytes": "65536", "http.body_max_bytes": "200000",
                "relay.host": "127.0.0.1", "relay.port": "9", "relay.tls": "none"}

    def test_lmtp_size(self):
        """Announced, and refused before the data; not announced, after them; the next one is taken."""
        user = self.user()
        large = mail.message(text="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 1000)
        with self.server.lmtp() as lmtp:
            self.assertIn("SIZE 65536", lmtp.extensions)
            self.assertRegex(lmtp.command("MAIL FROM:<a@example.net> SIZE=65537")[-1], "^552 5.3.4 ")
            lmtp.command("MAIL FROM:<a@example.net>", "250")
            lmtp.command(f"RCPT TO:<{user.address}>", "250")
            lmtp.command("DATA", "354")
            self.assertRegex(lmtp.data(large)[0], "^552 5.3.4 ")
            self.assertRegex(lmtp.deliver(user.address, mail.message())[0], "^250")

    @forms("2.5", "12.1", "14.1", "16.1")
    def test_send_mail(self, version, form):
        """Too large for the relay: 122, or 500; too large for HTTP: 413."""
        phone = self.phone(version, form)
        for size, code, status in ((80_000, 500, "122"), (300_000, 413, None)):
            message = mail.message("large", sender=self.owner.address, to="far@example.net",
                                   attachments=[("a.bin", "application/octet-stream", b"x" * size)])
            if phone.since("14.0"):
                answer = phone.post("SendMail", E("ComposeMail:SendMail", E("ClientId", str(size)), E("Mime", message)))
            else:
                answer = phone.post("SendMail", body=message, content_type="message/rfc822")
            expected = (200, status) if status and phone.since("14.0") else (code, None)
            self.assertEqual((answer.code, answer.status), expected, answer)
            phone.close()
        self.assertEqual(self.server.bellhop("queue", "list").stdout.count("far@example.net"), 0)
