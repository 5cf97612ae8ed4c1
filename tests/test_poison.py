"""
Poison: what crashes the engine. A server built to crash on words in a message or a request (bellhopd-crash): the phone concerned goes on
with a placeholder, everybody else sees next to nothing of it, and the administrator gives the message back.
"""

import json
import re
import threading
import time
import unittest

from eas.client import SyncAnswer
from eas.http import Closed
from eas.wbxml import E
from lib import mail
from lib.case import ServerCase, forms, retry
from lib.lmtp import LmtpError
from lib.server import Server, ServerError, eventually, program

ENCODER = "bellhop-crash-encoder"   # abort() while it is encoded
LOADER = "bellhop-crash-loader"     # SIGSEGV while it is loaded
BAD = "bellhop-bad-encoder"         # an error of the encoder, no crash
PARSER = "bellhop-crash-parser"     # SIGSEGV while LMTP reads it
DELIVERY = "bellhop-crash-delivery" # abort() on the way in, also when it is taken unread
REQUEST = "bellhop-crash-request"   # SIGSEGV before a request is parsed


class PoisonCase(ServerCase):
    settings = {"server.fronts": "1"}

    @classmethod
    def setUpClass(cls):
        start = Server.start
        Server.start = lambda self, *args, **kwargs: start(self, *args, **dict(kwargs, executable=program("bellhopd-crash")))
        try:
            super().setUpClass()
        finally:
            Server.start = start

    def patiently(self, action):
        """As a phone does: again after a 503 or a lost connection, but not for ever. Returns (answer, refusals)."""
        refusals = []
        deadline = time.monotonic() + 20
        while True:
            answer = action()
            if answer.code != 503:
                return answer, refusals
            self.assertTrue(answer.http.header("Retry-After").isdigit(), answer)
            refusals.append(answer)
            self.assertLess(time.monotonic(), deadline, "503 for ever")

    def log(self, action):
        rows = json.loads(self.server.bellhop("log", "list", "--json").stdout)
        return [row for row in rows if row["action"] == action]

    def items(self, *arguments):
        return json.loads(retry_bellhop(self.server, "item", "list", *arguments, "--json"))


def retry_bellhop(server, *arguments):
    """The administrator's command while the engine comes back."""
    return eventually(
        lambda: (lambda done: done.stdout if done.returncode == 0 else None)(server.bellhop(*arguments, check=False)), what=arguments)


class Encoder(PoisonCase):
    def crash_story(self, version, form, word):
        phone = self.phone(version, form)
        owner = self.owner
        phone.prime()
        before = self.server.engine_pid()
        for subject in ("first", f"Offer {word}", "last"):
            self.deliver(owner, subject)
        mark = self.server.log_mark()
        answer, refusals = self.patiently(phone.sync)
        # Twice it crashed, then everything comes, with a placeholder in the place of one.
        self.assertEqual(len(refusals), 2)
        self.assertNotEqual(self.server.engine_pid(), before)
        self.server.wait_log("engine_crash_counted.*set aside", mark)
        subjects = answer.subjects()
        self.assertEqual(len(subjects), 3, answer)
        self.assertEqual([s for s in subjects if s in ("first", "last")], ["first", "last"])
        (guilty,) = [i for i, data in answer.added.items() if data.get("Email:Subject") not in ("first", "last")]
        data = answer.added[guilty]
        self.assertNotIn("bellhop-crash", str(data))
        self.assertIn("cannot be shown", data.get("Email:Subject"))
        self.assertIn("postmaster@example.org", data.get("Email:From"))
        others = [d.get("Email:DateReceived") for i, d in answer.added.items() if i != guilty]
        self.assertTrue(min(others) <= data.get("Email:DateReceived") <= max(others))
        # The phone can work with it like with any other.
        change = phone.sync(commands=[E("Change", E("ServerId", guilty), E("ApplicationData", E("Email:Read", "1")))])
        self.assertEqual(change.code, 200)
        self.assert_empty_sync(phone.sync())
        (event,) = [row for row in self.log("item set aside") if row["user"] == owner.address]
        self.assertEqual((event["result"], event["device"]), (guilty, phone.device_id))
        #ROW
        # Another phone gets the placeholder too, and nothing crashes any more.
        pid = self.server.engine_pid()
        other = owner.device("14.1").ready()
        self.assertIn("cannot be shown", other.prime()[guilty].get("Email:Subject"))
        self.assertEqual(self.server.engine_pid(), pid)
        return phone, owner, guilty

    @forms("2.5", "12.1", ("14.1", "base64"), "16.1")
    def test_encoder_aborts(self, version, form):
        self.crash_story(version, form, ENCODER)

    @forms("14.0")
    def test_loader_faults(self, version, form):
        self.crash_story(version, form, LOADER)

    def test_every_body_type(self):
        """The placeholder as text, HTML and MIME, and fetched; it has no attachments."""
        phone, _, guilty = self.crash_story("14.1", "plain", ENCODER)
        for kind in ("1", "2", "4"):
            options = phone.options(body=[(kind,)], mime_support="2" if kind == "4" else None)
            body = phone.prime(options=options)[guilty].find("AirSyncBase:Body")
            self.assertEqual(body.get("Type"), kind)
            text = body.get("Data") or body.find("Data").data.decode()
            self.assertIn("item release", text)
        answer = phone.post("ItemOperations", E("ItemOperations:ItemOperations",
            E("Fetch", E("Store", "Mailbox"), E("AirSyncBase:FileReference", guilty + ":0")),
            E("Fetch", E("Store", "Mailbox"), E("AirSync:CollectionId", phone.inbox), E("AirSync:ServerId", guilty))))
        first, second = answer.document.all("Response/Fetch")
        self.assertEqual(first.get("Status"), "15")
        self.assertIn("cannot be shown", second.get("Properties/Email:Subject"))


if __name__ == "__main__":
    unittest.main()
