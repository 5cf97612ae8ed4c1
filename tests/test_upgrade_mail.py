"""
Mail that comes all the time while the engine is replaced: by bellhop upgrade, bellhop restart engine, again and again. No
connection is refused or dropped, every message is answered 250, and each is there once. The administrator's commands, pages
and autodiscover are answered all the time, too.
"""

import json
import threading

from lib import mail
from lib.case import ServerCase
from lib.lmtp import Lmtp
from lib.server import eventually

ROUNDS = 4


class Worker(threading.Thread):
    """Does something again and again until the end; the first trouble ends it."""

    def __init__(self, work):
        super().__init__(daemon=True)
        self.work = work
        self.over = threading.Event()
        self.done = 0
        self.trouble = None

    def run(self):
        try:
            while not self.over.is_set():
                self.work(self.done)
                self.done += 1
        except Exception as error:  # pylint: disable=broad-except
            self.trouble = f"{self.work.__name__}, {self.done} done: {error!r}"


class Mail(ServerCase):
    settings = {"server.fronts": "2", "http.requests_per_device": "0"}

    def replace_all_the_time(self, *works):
        workers = [Worker(work) for work in works]
        for worker in workers:
            worker.start()
        try:
            for number in range(ROUNDS):
                before = [worker.done for worker in workers]
                self.server.bellhop("upgrade" if number % 2 == 0 else "restart", *([] if number % 2 == 0 else ["engine"]), timeout=60)
                for worker, done in zip(workers, before):
                    eventually(lambda w=worker, d=done: w.done > d + 2 or w.trouble, what=f"{worker.work.__name__} goes on")
        finally:
            for worker in workers:
                worker.over.set()
            for worker in workers:
                worker.join(30)
        self.assertEqual([worker.trouble for worker in workers if worker.trouble], [])
        return workers

    def subjects(self, phone):
        """Of all mail in the Inbox, sorted."""
        found = []
        while True:
            answer = phone.sync(window=100)
            found += answer.subjects()
            if not answer.more:
                return sorted(found)

    def test_mail_and_everything_else(self):
        phone = self.phone()
        phone.prime()
        address = phone.user if isinstance(phone.user, str) else self.owner.address
        kept = Lmtp(self.server.lmtp_path)
        self.addCleanup(kept.close)
        subjects = []

        def deliver(lmtp, subject):
            answer = lmtp.deliver(address, mail.message(subject))
            assert answer[0].startswith("250"), answer
            subjects.append(subject)

        def one_session(number):
            deliver(kept, f"kept {number:05}")

        def new_sessions(number):
            with self.server.lmtp() as lmtp:
                deliver(lmtp, f"new {number:05}")
                lmtp.command("QUIT", "221")

        def in_pieces(number):
            """A message whose bytes come as slowly as the server is replaced."""
            with self.server.lmtp() as lmtp:
                lmtp.command("MAIL FROM:<anna@example.net>", "250")
                lmtp.command(f"RCPT TO:<{address}>", "250")
                lmtp.command("DATA", "354")
                octets = mail.message(f"pieces {number:05}") + b"\r\n.\r\n"
                for at in range(0, len(octets), 100):
                    lmtp.send(octets[at:at + 100])
                    self.server.stats()
                answer = lmtp.answer()
                assert answer[-1].startswith("250"), answer
                subjects.append(f"pieces {number:05}")

        def administrator(_):
            assert json.loads(self.server.bellhop("user", "list", "--json").stdout)

        def pages(number):
            with self.server.connect(timeout=20) as connection:
                connection.request("GET", ("/", "/api/v1/status", "/autodiscover/autodiscover.xml")[number % 3])
                status = connection.response().status
                assert status < 500, status

        self.replace_all_the_time(one_session, new_sessions, in_pieces, administrator, pages)
        self.assertEqual(self.subjects(phone), sorted(subjects))
        self.assertEqual(self.server.stats()["lmtp_connections"], 1)

    def test_stop_says_so(self):
        """When no engine follows, a session in mid-message hears 421, and nothing of it is there."""
        phone = self.phone()
        phone.prime()
        idle, half = self.server.lmtp(), self.server.lmtp()
        self.addCleanup(idle.close)
        self.addCleanup(half.close)
        half.command("MAIL FROM:<anna@example.net>", "250")
        half.command(f"RCPT TO:<{self.owner.address}>", "250")
        half.command("DATA", "354")
        half.send(b"Subject: half\r\n\r\nText")
        self.server.stop()
        for lmtp in (idle, half):
            self.assertTrue(lmtp.line().startswith("421"))
        self.server.start()
        phone.close()
        self.assert_empty_sync(phone.sync())
