"""
Poison: what crashes the engine. A server built to crash on words in a message or a request (bellhopd-crash): the phone concerned goes on
with a placeholder, everybody else sees next to nothing of it, and the administrator gives the message back.
"""

import json
import threading
import time
import unittest

from eas.client import SyncAnswer
from eas.http import Closed
from eas.wbxml import E
from lib import mail
from lib.case import ServerCase, forms
from lib.lmtp import LmtpError
from lib.server import Server, eventually, program

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

    def other_than(self, item):
        """A neighbour of it that is fine."""
        folder, number = item.split(":")
        return f"{folder}:{int(number) - 1}"

    def items(self, *arguments):
        return json.loads(retry_bellhop(self.server, "item", "list", *arguments, "--json"))


def retry_bellhop(server, *arguments):
    """The administrator's command while the engine comes back."""
    def once():
        done = server.bellhop(*arguments, check=False)
        return done.stdout if done.returncode == 0 else None
    return eventually(once, what=arguments)


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
        (row,) = self.items(owner.address)
        self.assertEqual((row["address"], row["item"], row["kind"], row["folder"]),
                         (owner.address, guilty, "set aside", "Inbox"))
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


    def test_released(self):
        """The administrator gives it to every phone; while it still crashes, it is set aside again."""
        phone, owner, guilty = self.crash_story("14.1", "plain", ENCODER)
        waiting = phone.ping_send(heartbeat=600)
        self.addCleanup(waiting.close)
        self.assert_parked(waiting)
        self.server.bellhop("item", "release", owner.address, guilty)
        self.assertEqual(self.items(owner.address), [])
        # What is not set aside, or not any more, is not released: neither another message nor this one once more.
        for item in (guilty, self.other_than(guilty), f"{phone.inbox}:4711"):
            done = self.server.bellhop("item", "release", owner.address, item, check=False)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(f"nothing is set aside, withheld or refused as {item} for {owner.address}", done.stderr)
        (event,) = [row for row in self.log("item release") if row["user"] == owner.address]
        self.assertEqual(event["result"], guilty)
        self.assert_ping(phone.receive(waiting), "2", [phone.inbox])
        answer, refusals = self.patiently(phone.sync)
        self.assertEqual(len(refusals), 2)
        self.assertIn("cannot be shown", answer.changed[guilty].get("Email:Subject"))
        self.assertEqual(len(self.items(owner.address)), 1)

    def test_released_to_a_mended_server(self):
        """The same data under a server that does not crash: the true message comes as a Change."""
        phone, owner, guilty = self.crash_story("16.1", "plain", ENCODER)
        other = owner.device("2.5").ready()
        other.prime()
        self.server.stop()
        self.server.start()
        try:
            pid = self.server.engine_pid()
            for one in (phone, other):
                one.close()
                self.assert_empty_sync(one.sync())
            self.server.bellhop("item", "release", owner.address, guilty)
            for one in (phone, other):
                answer = one.sync()
                self.assertEqual(list(answer.changed), [guilty])
                self.assertEqual(answer.changed[guilty].get("Email:Subject"), f"Offer {ENCODER}")
                self.assert_empty_sync(one.sync())
            self.assertEqual(self.server.engine_pid(), pid)
        finally:
            self.server.stop()
            self.server.start(executable=program("bellhopd-crash"))

    def test_moved(self):
        """Nobody gets around it by another way to the message: it stays set aside in another folder."""
        phone, owner, guilty = self.crash_story("14.1", "plain", ENCODER)
        deleted = phone.sync(deletes_as_moves="1", commands=[E("Delete", E("ServerId", guilty))])
        self.assertEqual(deleted.code, 200)
        pid = self.server.engine_pid()
        items = phone.prime(phone.folders["4"])
        (data,) = items.values()
        self.assertIn("cannot be shown", data.get("Email:Subject"))
        self.assertEqual(self.server.engine_pid(), pid)
        (row,) = self.items(owner.address)
        self.assertEqual(row["item"], list(items)[0])

    def test_held_sync(self):
        """The phone waits in a held Sync when the message comes: the answer is made for a wake, and it crashes."""
        phone = self.phone("14.1")
        owner = self.owner
        phone.prime()
        phone.send("Sync", phone.sync_request(phone.collection(phone.inbox), heartbeat="600"))
        self.assert_parked(phone.connection)
        mark = self.server.log_mark()
        try:
            self.deliver(owner, f"held {ENCODER}")
        except (LmtpError, OSError):
            pass  # committed and published; the engine may die before its 250 is on the way
        # The phone keeps waiting; the new engine finds the news for it, crashes once more, and the next one answers.
        answer = SyncAnswer(phone.receive(), phone.inbox)
        if answer.key:
            phone.keys[phone.inbox] = answer.key
        self.server.wait_log("engine_crash_counted.*set aside", mark)
        if answer.code != 200 or answer.is_empty:
            phone.close()
            answer, _ = self.patiently(phone.sync)
        (subject,) = answer.subjects()
        self.assertIn("cannot be shown", subject)


class Copies(PoisonCase):
    settings = {"server.fronts": "1"}

    def test_one_message_for_many(self):
        """Mail to everybody crashes the engine twice and not twice for each; one release is for all of them."""
        phones = []
        for version in ("2.5", "12.1", "14.1", "16.1"):
            phone = self.phone(version)
            phone.owner = self.owner
            phone.prime()
            phones.append(phone)
        mark = self.server.log_mark()
        with self.server.lmtp() as lmtp:
            answers = lmtp.deliver([p.owner.address for p in phones], mail.message(f"To all: {ENCODER}"))
        self.assertTrue(all(a.startswith("250") for a in answers), answers)
        guilty = {}
        for phone in phones:
            answer, _ = self.patiently(phone.sync)
            ((guilty[phone], data),) = answer.added.items()
            self.assertIn("cannot be shown", data.get("Email:Subject"))
        with self.server.changed:
            deaths = [line for line in self.server.lines[mark:] if "child_ended" in line]
        self.assertEqual(len(deaths), 2, deaths)
        self.assertEqual(len(self.items()), 4)
        self.assertEqual(len(self.log("item set aside")), 4)
        self.server.stop()
        self.server.start()
        try:
            done = self.server.bellhop("item", "release", phones[2].owner.address, guilty[phones[2]], "--json")
            self.assertEqual(json.loads(done.stdout)["released"], 4)
            self.assertEqual(self.items(), [])
            for phone in phones:
                phone.close()
                answer = phone.sync()
                self.assertEqual(answer.changed[guilty[phone]].get("Email:Subject"), f"To all: {ENCODER}")
        finally:
            self.server.stop()
            self.server.start(executable=program("bellhopd-crash"))


class Bystanders(PoisonCase):
    settings = {"server.fronts": "2"}

    def test_everybody_else(self):
        """Others who are at work all the time see at most two 503s each, and lose nothing; who waits goes on waiting."""
        parked = []
        for _ in range(4):
            phone = self.phone("14.1")
            phone.owner = self.owner
            phone.prime()
            phone.waiting = phone.ping_send(heartbeat=600)
            self.addCleanup(phone.waiting.close)
            parked.append(phone)
        busy = [self.phone(version) for version in ("2.5", "14.1", "16.1")]
        for phone in busy:
            phone.owner = self.owner
            phone.prime()
        victim = self.phone("14.1")
        owner = self.owner
        victim.prime()
        stop, refused, broken = threading.Event(), {phone: 0 for phone in busy}, []

        def work(phone):
            while not stop.is_set():
                try:
                    answer = phone.folder_sync("0")
                except (Closed, OSError) as error:
                    broken.append(error)
                    return
                if answer.code == 503:
                    refused[phone] += 1
                    if not (answer.http.header("Retry-After") or "").isdigit():
                        broken.append(answer)
                elif answer.code != 200:
                    broken.append(answer)
        workers = [threading.Thread(target=work, args=(phone,)) for phone in busy]
        for worker in workers:
            worker.start()
        try:
            self.server.deliver(owner, mail.message(f"poison {ENCODER}"))
            answer, refusals = self.patiently(victim.sync)
            self.assertEqual(len(refusals), 2)
            self.assertEqual(len(answer.subjects()), 1)
        finally:
            stop.set()
            for worker in workers:
                worker.join()
        self.assertEqual(broken, [])
        self.assertLessEqual(max(refused.values()), 2, refused)
        for phone in parked:
            self.assert_parked(phone.waiting, 0.02)
            self.deliver(phone.owner, "news")
            self.assert_ping(phone.receive(phone.waiting), "2", [phone.inbox])
        # Whoever was at work beside it is not blamed.
        rows = self.items()
        self.assertEqual([(row["address"], row["kind"]) for row in rows], [(owner.address, "set aside")])

    def test_killed_from_outside(self):
        """kill -9 in the middle of work, again and again, sets nothing aside and refuses nobody."""
        phone = self.phone("14.1")
        owner = self.owner
        phone.prime()
        before = self.items()
        stop = threading.Event()

        def work():
            while not stop.is_set():
                try:
                    phone.prime()
                except (Closed, OSError, AssertionError):
                    phone.close()
        self.deliver(owner, "innocent")
        worker = threading.Thread(target=work)
        worker.start()
        try:
            for _ in range(5):
                old = self.server.kill_engine()
                eventually(lambda: self.server.engine_pid() not in (None, old), what="a new engine")
        finally:
            stop.set()
            worker.join()
        self.assertEqual(self.items(), before)
        phone.close()
        answer, _ = self.patiently(lambda: phone.sync(key="0"))
        answer, _ = self.patiently(phone.sync)
        self.assertEqual(answer.subjects(), ["innocent"])


class Withheld(PoisonCase):
    @forms("2.5", "14.1", ("16.1", "base64"))
    def test_an_error_of_the_encoder(self, version, form):
        """No crash: only this phone does without it, everything else comes, and the administrator sees why."""
        phone = self.phone(version, form)
        owner = self.owner
        phone.prime()
        pid = self.server.engine_pid()
        for subject in ("first", BAD, "last"):
            self.deliver(owner, subject)
        self.assertEqual(sorted(phone.sync().subjects()), ["first", "last"])
        self.assert_empty_sync(phone.sync())
        self.assertEqual(self.server.engine_pid(), pid)
        (row,) = self.items(owner.address)
        self.assertEqual((row["kind"], row["device"]), ("withheld", phone.device_id))
        self.server.stop()
        self.server.start()
        try:
            phone.close()
            self.assert_empty_sync(phone.sync())
            other = self.phone(version, form, user=owner)
            other.prime()
            waiting, parked = phone.ping_send(heartbeat=600), other.ping_send(heartbeat=600)
            self.addCleanup(waiting.close)
            self.addCleanup(parked.close)
            self.assert_parked(waiting)
            done = self.server.bellhop("item", "release", owner.address, row["item"], "--json")
            self.assertEqual(json.loads(done.stdout), {
                "address": owner.address, "item": row["item"], "released": 1, "phones": 1})
            self.assert_ping(phone.receive(waiting), "2", [phone.inbox])
            self.assertEqual(phone.sync().subjects(), [BAD])
            self.assert_empty_sync(phone.sync())
            self.assertEqual(self.items(owner.address), [])
            self.assertEqual(len([row for row in self.log("item release") if row["user"] == owner.address]), 1)
            self.assertEqual(self.server.bellhop("item", "release", owner.address, row["item"], check=False).returncode, 1)
            # Nothing has changed for the phone that had it.
            self.assert_parked(parked)
        finally:
            self.server.stop()
            self.server.start(executable=program("bellhopd-crash"))

    @forms("2.5", "14.1")
    def test_neighbours(self, version, form):
        """Bad ones next to each other: each is set aside once, and wakes nobody again."""
        phone = self.phone(version, form)
        phone.prime()
        for count in (1, 2, 3):
            self.deliver(self.owner, BAD)
            self.assert_empty_sync(phone.sync())
            self.assert_empty_sync(phone.sync())
            rows = [row for row in self.log("item withheld") if row["user"] == self.owner.address]
            self.assertEqual(len(rows), count)
            waiting = phone.ping_send(heartbeat=600)
            self.assert_parked(waiting)
            waiting.close()


class Requests(PoisonCase):
    settings = {"server.fronts": "1"}

    @forms("2.5", "12.1", "14.0", ("16.1", "base64"))
    def test_refused(self, version, form):
        """The second crash on the same request refuses it: 110 from 14.0 on, 500 before. Another request is served."""
        phone = self.phone(version, form)
        phone.prime()
        owner = self.owner
        bad = E("GetItemEstimate:GetItemEstimate", E("Collections", E("Collection", E("CollectionId", REQUEST))))
        answer, refusals = self.patiently(lambda: phone.post("GetItemEstimate", bad))
        self.assertEqual(len(refusals), 2)
        if phone.since("14.0"):
            self.assertEqual((answer.code, answer.status), (200, "110"))
        else:
            self.assertEqual(answer.code, 500)
        pid = self.server.engine_pid()
        answer = phone.post("GetItemEstimate", bad)
        self.assertEqual(answer.code, 200 if phone.since("14.0") else 500)
        self.assertEqual(self.server.engine_pid(), pid)
        self.deliver(owner, "still served")
        self.assertEqual(phone.sync().subjects(), ["still served"])
        (event,) = [row for row in self.log("request refused") if row["user"] == owner.address]
        self.assertTrue(event["result"].startswith("GetItemEstimate "), event)
        self.assertEqual(event["device"], phone.device_id)
        (row,) = self.items(owner.address)
        self.assertEqual((row["kind"], row["device"]), ("refused", phone.device_id))
        self.assertRegex(row["item"], "^request:[0-9a-f]{16}$")
        self.server.bellhop("item", "release", owner.address, row["item"])
        self.assertEqual(self.items(owner.address), [])
        answer, refusals = self.patiently(lambda: phone.post("GetItemEstimate", bad))
        self.assertEqual(len(refusals), 2)


class Lmtp(PoisonCase):
    def attempt(self, recipients, message):
        """The answers as a mail server gets them, or None when the connection breaks or nobody is there."""
        try:
            with self.server.lmtp() as lmtp:
                return lmtp.deliver(recipients, message)
        except (LmtpError, OSError):
            return None

    def until_answered(self, recipients, message):
        broken = 0

        def once():
            nonlocal broken
            pid = self.server.engine_pid()
            answers = self.attempt(recipients, message)
            if answers is None and pid is not None and self.server.engine_pid() != pid:
                broken += 1
            return answers
        return eventually(once, what="an answer"), broken

    def test_taken_unread(self):
        """The engine dies on it twice; then it is taken as it is, shown as a placeholder, and read when it is released."""
        phone = self.phone("14.1")
        first = self.owner
        second = self.user()
        phone.prime()
        mark = self.server.log_mark()
        message = mail.message("A true subject", text=f"{PARSER}\r\n")
        answers, _ = self.until_answered([first.address, second.address], message)
        self.assertTrue(all(a.startswith("250") for a in answers), answers)
        with self.server.changed:
            deaths = [line for line in self.server.lines[mark:] if "child_ended" in line]
        self.assertEqual(len(deaths), 2, deaths)
        answer = phone.sync()
        ((guilty, data),) = answer.added.items()
        self.assertIn("cannot be shown", data.get("Email:Subject"))
        events = [row for row in self.log("item set aside") if row["user"] in (first.address, second.address)]
        self.assertEqual(len(events), 2)
        self.assertTrue(self.log("message taken unread"))
        (row,) = self.items(first.address)
        self.assertEqual((row["item"], row["kind"]), (guilty, "set aside"))
        self.assertIn("taken unread", [r["kind"] for r in self.items()])
        # Released, it is read, for both; this reader has no fault.
        self.server.bellhop("item", "release", first.address, guilty)
        released = phone.sync(options=phone.options(body=[("1", "1000")])).changed[guilty]
        self.assertEqual(released.get("Email:Subject"), "A true subject")
        self.assertIn(PARSER, released.get("AirSyncBase:Body/Data"))
        self.assertEqual(self.items(second.address), [])
        # Other mail goes on.
        self.deliver(first, "next")
        self.assertEqual(phone.sync().subjects(), ["next"])

    def test_refused_for_good(self):
        """Whatever is tried it crashes: after four times the sender is told, and no other mail suffers."""
        user = self.user()
        message = mail.message("delivery", text=f"{DELIVERY}\r\n")
        mark = self.server.log_mark()
        (answer,), _ = self.until_answered([user.address], message)
        self.assertTrue(answer.startswith("554 5.6.0"), answer)
        with self.server.changed:
            deaths = [line for line in self.server.lines[mark:] if "child_ended" in line]
        self.assertEqual(len(deaths), 4, deaths)
        (event,) = self.log("message refused")
        self.assertEqual(event["user"], user.address)
        self.deliver(user, "other")
        phone = user.device("14.1").ready()
        self.assertEqual([d.get("Email:Subject") for d in phone.prime().values()], ["other"])


if __name__ == "__main__":
    unittest.main()
