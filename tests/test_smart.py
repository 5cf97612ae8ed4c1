"""SmartReply and SmartForward: the original below the phone's words, its attachments, its mark; in every version."""

import email
import email.policy
import threading
import unittest

from eas.client import SENT
from eas.wbxml import E
from lib import mail
from lib.case import ServerCase, every_form, forms, retry

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def words(to, text="My words.\r\n", html=None, subject="Re: it", **headers):
    """What a phone writes: no From, no threading."""
    message = email.message.EmailMessage()
    message["To"] = to
    message["Subject"] = subject
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    return message.as_bytes(policy=email.policy.SMTP)


def original(**kwargs):
    return mail.message("The original", "Original text\r\nsecond line\r\n",
                        html='<html><body><p>Original <b>HTML</b></p><img src="cid:pic1"></body></html>',
                        sender="Bob Author <bob@example.net>", attachments=[("notes.pdf", "application/pdf", b"%PDF\x00\xff\n")], **kwargs)


class Smart(ServerCase):
    numbers = 0

    def smart(self, device, command, item, mime, save=False, replace=False, client_id=None, source=None):
        if not device.since("14.0"):
            params = {"CollectionId": device.inbox, "ItemId": item}
            if save:
                params["SaveInSent"] = "T"
            return device.post(command, body=mime, content_type="message/rfc822", params=params)
        Smart.numbers += 1
        return device.post(command, E(f"ComposeMail:{command}", E("ClientId", client_id or f"smart-{Smart.numbers}"),
                                      source or E("Source", E("FolderId", device.inbox), E("ItemId", item)),
                                      E("SaveInSentItems") if save else None, E("ReplaceMime") if replace else None, E("Mime", mime)))

    def assert_sent(self, answer):
        self.assertEqual((answer.code, answer.http.body), (200, b""), answer)

    def assert_refused(self, device, answer, status):
        if device.since("14.0"):
            self.assertEqual((answer.code, answer.status), (200, status), answer)
        else:
            self.assertEqual((answer.code, answer.http.body), (500 if status == "150" else 400, b""), answer)

    def begin(self, version, form="plain", source=None):
        """A phone that holds one message, the id of that, and whom to write to."""
        user = self.user()
        self.server.deliver(user, source or original(to=user.address))
        device = self.phone(version, form, user=user)
        (item,) = device.prime()
        return device, item, self.user()

    def got(self, user):
        device = user.device("14.1").ready()
        options = device.options(body=[("4",)], mime_support="2")
        (data,) = device.prime(options=options).values()
        return email.message_from_bytes(data.find("AirSyncBase:Body/Data").data, policy=email.policy.default)

    def assert_mark(self, device, item, verb):
        """The phone that replied is told."""
        changed = device.sync().changed
        self.assertEqual(list(changed), [item])
        if device.since("14.0"):
            self.assertEqual(changed[item].get("Email2:LastVerbExecuted"), verb)
            self.assertRegex(changed[item].get("Email2:LastVerbExecutionTime"), r"^\d{4}-\d\d-\d\dT")

    @every_form
    def test_reply(self, version, form):
        device, item, friend = self.begin(version, form)
        self.assert_sent(self.smart(device, "SmartReply", item, words(friend.address), save=True))
        message = self.got(friend)
        self.assertEqual(message.get_content_type(), "text/plain")
        text = message.get_content().replace("\r\n", "\n")
        self.assertTrue(text.startswith("My words.\n"), text)
        self.assertIn("\nFrom: \"Bob Author\" <bob@example.net>\n", text)
        self.assertIn("\nSubject: The original\n", text)
        self.assertIn("\n> Original text\n> second line\n", text)
        source_id = message["In-Reply-To"]
        self.assertTrue(source_id.endswith("@example.net>"))
        self.assertEqual(message["References"], source_id)
        self.assertIn(device.user, message["From"])
        if device.since("14.0"):
            self.assert_mark(device, item, "1")
        else:
            self.assert_empty_sync(device.sync())
        (copy,) = device.prime(device.folders[SENT]).values()
        self.assertEqual(copy.get("Email:Subject"), "Re: it")

    @every_form
    def test_forward(self, version, form):
        device, item, friend = self.begin(version, form)
        self.assert_sent(self.smart(device, "SmartForward", item, words(friend.address, html="<html><body>My <i>HTML</i></body></html>")))
        message = self.got(friend)
        self.assertEqual(message.get_content_type(), "multipart/mixed")
        self.assertIn("Original text", message.get_body(("plain",)).get_content())
        html = message.get_body(("html",)).get_content()
        self.assertLess(html.index("My <i>HTML</i>"), html.index("Original <b>HTML</b>"))
        names = [part.get_filename() for part in message.iter_attachments()]
        self.assertIn("notes.pdf", names)
        (pdf,) = [part for part in message.walk() if part.get_filename() == "notes.pdf"]
        self.assertEqual(pdf.get_content(), b"%PDF\x00\xff\n")
        if device.since("14.0"):
            self.assert_mark(device, item, "3")

    @forms("14.0", "14.1", "16.0", "16.1")
    def test_replace(self, version, form):
        device, item, friend = self.begin(version, form)
        self.assert_sent(self.smart(device, "SmartForward", item, words(friend.address, "Mine alone.\r\n"), replace=True))
        message = self.got(friend)
        self.assertEqual(message.get_content().strip(), "Mine alone.")
        self.assertTrue(message["In-Reply-To"])
        self.assert_mark(device, item, "3")

    @forms("2.5", "12.1", "14.0", "16.1", ("14.1", "base64"))
    def test_gone(self, version, form):
        device, item, friend = self.begin(version, form)
        mime = words(friend.address)
        for other in (item.rsplit(":", 1)[0] + ":999", "junk"):
            self.assert_refused(device, self.smart(device, "SmartReply", other, mime), "150")
        self.assertEqual(friend.device("14.1").ready().prime(), {})

    @forms("2.5", "12.1", "14.0", "16.1")
    def test_repeated(self, version, form):
        """Also when the source is gone by then."""
        device, item, friend = self.begin(version, form)
        mime = words(friend.address)
        self.assert_sent(self.smart(device, "SmartReply", item, mime, client_id="same"))
        for delete in (False, True):
            if delete:
                device.sync()
                device.sync(commands=[E("Delete", E("ServerId", item))], deletes_as_moves="0")
            answer = self.smart(device, "SmartReply", item, mime, client_id="same")
            if device.since("14.0"):
                self.assert_refused(device, answer, "118")
            else:
                self.assert_sent(answer)
        self.assertEqual(len(friend.device("14.1").ready().prime()), 1)

    @forms("12.1", "16.1")
    def test_killed_while_sending(self, version, form):
        """The phone repeats what was not answered: one mail, one copy in Sent, and the mark."""
        device, item, friend = self.begin(version, form)
        for n in range(2):
            mime = words(friend.address, subject=f"kill {n}")
            killer = threading.Thread(target=self.server.kill_engine)
            killer.start()
            answers = [self.smart(device, "SmartReply", item, mime, save=True, client_id=f"kill-{version}-{n}")]
            killer.join()
            answers.append(retry(lambda: self.smart(device, "SmartReply", item, mime, save=True, client_id=f"kill-{version}-{n}")))
            self.assertIn(answers[0].code, (200, 503))
            self.assertIn(answers[1].status, (None, "118"))
        subjects = sorted(data.get("Email:Subject") for data in friend.device("14.1").ready().prime().values())
        self.assertEqual(subjects, ["kill 0", "kill 1"])
        self.assertEqual(len(device.prime(device.folders[SENT])), 2)
        if device.since("14.0"):
            self.assert_mark(device, item, "1")

    @forms("14.0", "16.1")
    def test_reply_to_all(self, version, form):
        third = self.user()
        user = self.user()
        self.server.deliver(user, mail.message("to two", sender=self.user().address, to=f"{user.address}, {third.address}"))
        device = self.phone(version, form, user=user)
        (item,) = device.prime()
        friend = self.user()
        self.assert_sent(self.smart(device, "SmartReply", item, words(f"{friend.address}, {third.address}")))
        self.assert_mark(device, item, "2")
        self.assert_sent(self.smart(device, "SmartReply", item, words(f"{friend.address}")))
        self.assert_mark(device, item, "1")

    @forms("14.1", "16.1")
    def test_sources(self, version, form):
        device, item, friend = self.begin(version, form)
        good = [E("Source", E("ItemId", item)), E("Source", E("LongId", item)),
                E("Source", E("FolderId", device.inbox), E("ItemId", item), E("InstanceId", "2024-01-01T10:00:00.000Z"))]
        for source in good:
            self.assert_sent(self.smart(device, "SmartReply", item, words(friend.address), source=source))
        bad = [(E("Source", E("LongId", item), E("ItemId", item)), "105"), (E("Source", E("LongId", "junk")), "150"),
               (E("Source", E("FolderId", "999"), E("ItemId", item)), "150"), (E("Source", E("FolderId", device.inbox)), "103"),
               (E("Source", E("ItemId", item), E("InstanceId", "never")), "104")]
        for source, status in bad:
            answer = self.smart(device, "SmartReply", item, words(friend.address), source=source)
            self.assertEqual(answer.status, status, source)
        self.assertEqual(len(friend.device("14.1").ready().prime()), len(good))

    @forms("14.1")
    def test_refusals(self, version, form):
        device, item, friend = self.begin(version, form)
        for mime, status in ((words(friend.address, From="x@elsewhere.example"), "120"), (b"\0\1 no message", "107"),
                             (words("nobody@example.org"), "116"), (b"Subject: x\r\n\r\nx", "119")):
            self.assertEqual(self.smart(device, "SmartForward", item, mime).status, status, mime)
        self.assertEqual(device.sync().changed, {}, "no mark without a mail")

    @forms("16.0", "16.1")
    def test_forwardees(self, version, form):
        device, item, friend = self.begin(version, form)
        answer = device.post("SmartForward", E(
            "ComposeMail:SmartForward", E("ClientId", f"people-{version}"), E("Source", E("FolderId", device.inbox), E("ItemId", item)),
            E("Forwardees", E("Forwardee", E("Name", 'A "friend"'), E("Email", friend.address))),
            E("AirSyncBase:Body", E("AirSyncBase:Type", "1"), E("AirSyncBase:Data", "For you."))))
        self.assert_sent(answer)
        message = self.got(friend)
        self.assertEqual(message["Subject"], "Fwd: The original")
        self.assertEqual(message["To"].addresses[0].display_name, 'A "friend"')
        text = message.get_body(("plain",)).get_content()
        self.assertTrue(text.startswith("For you."))
        self.assertIn("Original text", text)
        self.assertIn("notes.pdf", [part.get_filename() for part in message.iter_attachments()])
        self.assert_mark(device, item, "3")

    @forms("12.1", "14.1")
    def test_inline_pictures(self, version, form):
        """They come along with the HTML that shows them, also in a reply."""
        source = email.message.EmailMessage()
        source["From"], source["To"], source["Subject"], source["Message-ID"] = "bob@example.net", "x@example.org", "pic", "<p@example.net>"
        source.set_content("<html><body><img src='cid:pic1'></body></html>", subtype="html")
        source.add_related(PICTURE, "image", "png", cid="<pic1>")
        device, item, friend = self.begin(version, form, source=source.as_bytes(policy=email.policy.SMTP))
        self.assert_sent(self.smart(device, "SmartReply", item, words(friend.address, html="<p>Look</p>")))
        message = self.got(friend)
        (picture,) = [part for part in message.walk() if part.get_content_type() == "image/png"]
        self.assertEqual((picture["Content-ID"], picture.get_content()), ("<pic1>", PICTURE))


if __name__ == "__main__":
    unittest.main()
