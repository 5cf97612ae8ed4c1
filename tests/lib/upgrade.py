"""Servers whose programs are replaced while phones wait: a fleet, and a program file that becomes another one."""

import os
import shutil

from lib import mail
from lib.case import FORMS, ServerCase, retry
from lib.server import Server, program, wait_exit


class UpgradeCase(ServerCase):
    https = True
    settings = {**ServerCase.settings, "server.fronts": "2", "http.requests_per_device": "0"}

    forms = FORMS[::3]

    def fleet(self, heartbeat=600):
        """A parked phone in each of these versions and forms, half of them over TLS; each of a user of its own."""
        phones = []
        for number, (version, form) in enumerate(self.forms):
            phone = self.phone(version, form, tls=number % 2 == 1)
            phone.owner = self.owner
            phone.prime()
            phone.waiting = phone.ping_send(heartbeat=heartbeat)
            self.addCleanup(phone.waiting.close)
            phones.append(phone)
        for phone in phones:
            self.assert_parked(phone.waiting, 0.05)
        return phones

    def hand_over(self, owner, message):
        self.server.deliver(owner, message)

    def assert_reached(self, phones, subject):
        """The next delivery reaches each of them, and the Sync brings it."""
        for phone in phones:
            self.assert_parked(phone.waiting, 0.02)
        for phone in phones:
            self.hand_over(phone.owner, mail.message(subject))
        for phone in phones:
            self.assert_ping(phone.receive(phone.waiting), "2", [phone.inbox])
            phone.close()
            self.assertEqual(retry(phone.sync).subjects(), [subject], (phone.version, phone.form))
            phone.close()
            phone.ping_send(phone.waiting, heartbeat=600)
        for phone in phones:
            self.assert_parked(phone.waiting, 0.02)

    def settle(self, old):
        """The old processes have nothing left and are gone."""
        for pid in old:
            self.assertTrue(wait_exit(pid, 15), f"process {pid} stays")


class CopyCase(UpgradeCase):
    """The server runs from a file of its own, over which another program is installed."""

    first = "bellhopd"

    @classmethod
    def setUpClass(cls):
        cls.server = Server(settings=cls.settings, https=cls.https, clock=cls.clock)
        cls.copy = os.path.join(cls.server.folder, "bellhopd")
        shutil.copy(program(cls.first), cls.copy)
        try:
            cls.server.start(executable=cls.copy)
            cls.server.add_domain("example.org")
        except BaseException:
            cls.server.close()
            raise

    def install(self, name):
        """As a package does: the running program's file is another one from now on."""
        shutil.copy(program(name), self.copy + ".new")
        os.rename(self.copy + ".new", self.copy)

    def upgrade_to(self, name):
        old = [self.server.engine_pid(), *self.server.front_pids()]
        self.install(name)
        self.server.bellhop("upgrade", timeout=60)
        self.settle(old)
