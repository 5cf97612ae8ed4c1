"""The Email class property by property, in every version: what a phone is told of a message (docs/MAIL.md)."""

import unittest

from eas.client import SENT
from eas.wbxml import E, VERSIONS
from lib import mail
from lib.case import forms
from lib.email_case import EmailCase, raw

every_version = forms(*VERSIONS)


class Versions(EmailCase):
    """Which properties there are in which version."""

    ALWAYS = {"To", "Cc", "From", "Subject", "ReplyTo", "DateReceived", "DisplayTo", "ThreadTopic", "Importance", "Read", "MessageClass",
              "InternetCPID", "Attachments"}
    ONLY_25 = {"Body", "BodySize", "BodyTruncated"}
    SINCE = {"12.0": {"Body", "NativeBodyType", "ContentClass", "Flag"},
             "14.0": {"Sender", "ReceivedAsBcc", "ConversationId", "ConversationIndex", "Categories", "LastVerbExecuted",
                      "LastVerbExecutionTime"},
             "16.0": {"IsDraft"}}

    @every_version
    def test_sets_of_properties(self, version, form):
        """A message that has all of them shows those of the version, and no other."""
        device = self.phone(version, form)
        message = mail.message("Re: all", Cc="c@example.net", Reply_To="r@example.net", Sender="s@example.net",
                               attachments=[("a.txt", "text/plain", b"x")])
        self.server.deliver(self.owner, message)
        helper = self.phone("14.1", user=self.owner)
        (server_id,) = helper.prime()
        helper.sync(commands=[E("Change", E("ServerId", server_id), E(
            "ApplicationData", E("Email:Categories", E("Category", "blue"))))])
        helper.post("SmartReply", E("ComposeMail:SmartReply", E("ClientId", "versions-1"), E(
            "Source", E("FolderId", helper.inbox), E("ItemId", server_id)), E("Mime", raw("To: " + self.owner.address, "Subject: x"))))
        data = self.listed(device)["Re: all"]
        wanted = set(self.ALWAYS) | (self.ONLY_25 if version == "2.5" else set())
        for first, names in self.SINCE.items():
            wanted |= names if device.since(first) else set()
        self.assertEqual(set(data.names()), wanted)
        self.assertEqual(data.has("Email:Body"), version == "2.5")
        self.assertEqual(data.has("AirSyncBase:Body"), version != "2.5")
        self.assertEqual(data.has("Email:Attachments"), version == "2.5")
        self.assertEqual(data.get("Email2:LastVerbExecuted"), "1" if device.since("14.0") else None)


class Envelope(EmailCase):
    @every_version
    def test_addresses(self, version, form):
        """Lists as they stand in the header, decoded; names in quotes where they need them."""
        device = self.phone(version, form)
        self.deliver_raw("From: =?iso-8859-1?q?J=FCrgen?= <j@example.net>", "To: Team: a@example.org, \"B, C\" <b@example.org>;",
                         "Cc: undisclosed-recipients:;", "Subject: =?utf-8?B?w7xiZXI=?= alles")
        data = self.only(device)
        self.assertEqual(data.get("Email:From"), '"Jürgen" <j@example.net>')
        self.assertEqual(data.get("Email:To"), 'a@example.org, "B, C" <b@example.org>')
        self.assertEqual(data.get("Email:DisplayTo"), "a@example.org;B, C")
        self.assertEqual(data.get("Email:Cc"), "undisclosed-recipients:;")
        self.assertEqual(data.get("Email:Subject"), "über alles")

    @every_version
    def test_long_lists(self, version, form):
        """At most 32,768 characters, whole addresses and names."""
        device = self.phone(version, form)
        some = [f"{'recipient ' * 3}{n} <r{n:04d}@example.net>" for n in range(2000)]
        self.deliver_raw("To: " + ",\r\n ".join(some), "Cc: " + ",\r\n ".join(some), "Subject: many")
        data = self.only(device)
        for name in ("Email:To", "Email:Cc"):
            text = data.get(name)
            self.assertTrue(32700 < len(text) <= 32768, len(text))
            addresses = text.split(", ")
            self.assertTrue(all(a.endswith(f"<r{n:04d}@example.net>") for n, a in enumerate(addresses)))
        text = data.get("Email:DisplayTo")
        self.assertTrue(32700 < len(text) <= 32768, len(text))
        self.assertEqual(text.split(";")[-1], "recipient " * 3 + str(text.count(";")))

    @every_version
    def test_reply_to(self, version, form):
        device = self.phone(version, form)
        self.deliver_raw("From: a@example.net", "Reply-To: \"One\" <one@example.net>, two@example.net", "Subject: x")
        self.assertEqual(self.only(device).get("Email:ReplyTo"), '"One" <one@example.net>;two@example.net')

    @every_version
    def test_date_received(self, version, form):
        """When the site took it in; the sender's own date is not believed."""
        device = self.phone(version, form)
        self.deliver_raw("Received: from b by mx.example.org; Wed, 4 Mar 2026 12:00:01 +0100",
                         "Received: from a by b; Wed, 4 Mar 2026 11:00:00 +0100", "Date: Thu, 1 Jan 2032 00:00:00 +0000", "Subject: x")
        self.assertEqual(self.only(device).get("Email:DateReceived"), "2026-03-04T11:00:01.000Z")

    @every_version
    def test_thread_topic(self, version, form):
        device = self.phone(version, form)
        for subject, topic in (("AW: Fwd: Re[2]: plan", "plan"), ("Regen: morgen", "Regen: morgen"), ("plain", "plain")):
            self.deliver_raw("Subject: " + subject)
            self.assertEqual(self.listed(device)[subject].get("Email:ThreadTopic"), topic)
        self.deliver_raw("Subject: own", "Thread-Topic: given by the sender")
        self.assertEqual(self.listed(device)["own"].get("Email:ThreadTopic"), "given by the sender")

    @every_version
    def test_importance(self, version, form):
        device = self.phone(version, form)
        wanted = {}
        for number, (line, value) in enumerate((
                ("X-A: b", "1"), ("Importance: High", "2"), ("Importance: low", "0"), ("Importance: normal\r\nX-Priority: 1", "1"),
                ("X-Priority: 1 (Highest)", "2"), ("X-Priority: 5", "0"), ("X-Priority: 3", "1"), ("Priority: urgent", "2"),
                ("Priority: non-urgent", "0"))):
            self.deliver_raw(line, f"Subject: {number}")
            wanted[str(number)] = value
        self.assertEqual({k: d.get("Email:Importance") for k, d in self.listed(device).items()}, wanted)

    @every_version
    def test_code_page(self, version, form):
        device = self.phone(version, form)
        pages = {"us-ascii": "20127", "utf-8": "65001", "iso-8859-1": "28591", "iso-8859-15": "28605", "windows-1252": "1252",
                 "shift_jis": "932", "iso-2022-jp": "50220", "gb2312": "936", "gb18030": "54936", "euc-kr": "51949", "big5": "950",
                 "koi8-r": "20866", "windows-1251": "1251", "x-nobody": "20127"}
        for charset in pages:
            self.deliver_raw(f"Subject: {charset}", f"Content-Type: text/plain; charset={charset}")
        self.assertEqual({k: d.get("Email:InternetCPID") for k, d in self.listed(device).items()}, pages)

    @every_version
    def test_read(self, version, form):
        device = self.phone(version, form)
        self.deliver_raw("Subject: x")
        (server_id,) = device.prime()
        device.sync(commands=[E("Change", E("ServerId", server_id), E("ApplicationData", E("Email:Read", "1")))])
        self.assertEqual(self.only(self.phone(version, form, user=self.owner)).get("Email:Read"), "1")

    @every_version
    def test_sender(self, version, form):
        """Who sent it for somebody else, from 14.0 on; left out when it is the same mailbox."""
        device = self.phone(version, form)
        self.deliver_raw("From: Boss <boss@example.net>", "Sender: Secretary <sec@example.net>", "Subject: for another")
        self.deliver_raw("From: Boss <boss@example.net>", "Sender: BOSS@example.net", "Subject: the same")
        listed = self.listed(device)
        self.assertEqual(listed["for another"].get("Email2:Sender"),
                         '"Secretary" <sec@example.net>' if device.since("14.0") else None)
        self.assertFalse(listed["the same"].has("Email2:Sender"))

    @every_version
    def test_bcc(self, version, form):
        """Of what oneself sent, from 16.0 on; at most 1,024 characters, whole addresses."""
        device = self.phone(version, form)
        helper = self.phone("14.1", user=self.owner)
        answer = helper.post("SendMail", E("ComposeMail:SendMail", E("ClientId", "bcc-1"), E("SaveInSentItems"), E("Mime", raw(
            "To: " + self.owner.address, "Bcc: \"Blind, Q\" <" + self.owner.address + ">", "Subject: blind"))))
        self.assertEqual((answer.code, answer.http.body), (200, b""), answer)
        (data,) = device.prime(device.folders[SENT]).values()
        self.assertEqual(data.get("Email2:Bcc"), f'"Blind, Q" <{self.owner.address}>' if device.since("16.0") else None)
        self.assertFalse(self.listed(device)["blind"].has("Email2:Bcc"), "not of what came in")


class Copies(EmailCase):
    """ReceivedAsBcc: the user is named in neither To nor Cc, and it is no mailing list."""

    @every_version
    def test_received_as_bcc(self, version, form):
        device = self.phone(version, form)
        me = self.owner.address
        alias = "also-" + me
        self.server.bellhop("alias", "add", alias, me)
        local, domain = me.split("@")
        cases = {"to": f"To: x@example.net, {me.upper()}", "cc": f"To: x@example.net\r\nCc: \"Me\" <{me}>", "alias": f"To: <{alias}>",
                 "tag": f"To: {local}+shop@{domain}", "list": "To: list@example.net\r\nList-Id: <list.example.net>",
                 "bulk": "To: list@example.net\r\nPrecedence: bulk", "resent": "To: x@example.net\r\nResent-To: " + me, "own": "From: " + me,
                 "nobody": "To: undisclosed-recipients:;", "another": "To: x@example.net", "in a name": f"To: \"{me}\" <x@example.net>",
                 "longer": f"To: y{me}, {me}.example.net"}
        for subject, lines in cases.items():
            self.deliver_raw(*lines.split("\r\n"), "Subject: " + subject)
        blind = {"nobody", "another", "in a name", "longer"} if device.since("14.0") else set()
        listed = self.listed(device)
        self.assertEqual({k for k, d in listed.items() if d.has("Email2:ReceivedAsBcc")}, blind)
        self.assertTrue(all(listed[k].get("Email2:ReceivedAsBcc") == "1" for k in blind))

if __name__ == "__main__":
    unittest.main()
