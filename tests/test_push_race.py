"""
No lost wake-up: deliveries race Pings many thousand times over real sockets. A delivery comes just before, while or just after a Ping is
registered, checked and parked, or around the end of its heartbeat. After every delivery the current Ping or the next one must answer 2, and the
Sync must bring the message; a Ping that stays silent is a lost wake-up. No wake may be false either: each 2 is followed by a message.
"""

import random
import select
import threading
import time
import unittest

from eas import wbxml
from lib import mail
from lib.case import ServerCase

SECONDS = 25  # at most
ROUNDS = 6000  # with so many the race is over before
ROUNDS_AT_LEAST = 3000
WAKES, EXPIRIES = 600, 200
SPEED = 4  # of the clock, where heartbeats end


def race(threads, stop, is_enough):
    """Until it is enough or the time is over; each must end well."""
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and not is_enough() and all(thread.is_alive() for thread in threads):
        threads[0].join(0.2)
    stop.set()
    for thread in threads:
        thread.join(30)
        if thread.is_alive():
            raise AssertionError("a phone hangs")
    errors = [thread.error for thread in threads if thread.error]
    if errors:
        raise AssertionError(errors)


class Rider(threading.Thread):
    """One phone and its own LMTP sender, round after round."""

    def __init__(self, case, device, seed, stop):
        super().__init__(daemon=True)
        self.device = device
        self.random = random.Random(seed)
        self.stop = stop
        self.rounds = 0
        self.error = None
        self.lmtp = case.server.lmtp(timeout=20)
        self.connection = device.ping_send(heartbeat=600)
        case.assert_parked(self.connection, 0.02)
        self.ping_target = device.target("Ping")
        self.ping_headers = device.headers("Ping", "application/vnd.ms-sync.wbxml")
        self.ping_body = wbxml.encode(device.ping_request([device.inbox], 600))

    def run(self):
        try:
            self.one_round(parked=True)
            while not self.stop.is_set():
                self.one_round()
        except Exception as error:  # noqa: BLE001 - shown by the test
            self.error = error

    def begin_delivery(self, subject):
        lmtp = self.lmtp
        lmtp.command("MAIL FROM:<a@example.net>", "250")
        lmtp.command(f"RCPT TO:<{self.device.user}>", "250")
        lmtp.command("DATA", "354")
        return f"From: a@example.net\r\nSubject: {subject}\r\n\r\nx\r\n.\r\n".encode()

    def ping(self):
        self.connection.request("POST", self.ping_target, self.ping_headers, self.ping_body)

    def one_round(self, parked=False):
        """The last octets of the message and the Ping leave within a fraction of a millisecond of each other."""
        subject = f"round {self.rounds}"
        last = self.begin_delivery(subject)
        gap = self.random.choice((0, 0, 50e-6, 150e-6, 300e-6, 600e-6, 1e-3, 2e-3))
        if parked:
            self.lmtp.send(last)
        elif self.random.random() < 0.5:
            self.lmtp.send(last)
            spin(gap)
            self.ping()
        else:
            self.ping()
            spin(gap)
            self.lmtp.send(last)
        self.lmtp.expect("250")
        try:
            answer = self.device.receive(self.connection, timeout=15)
        except TimeoutError:
            raise AssertionError(f"lost wake-up in round {self.rounds}, gap {gap}") from None
        if answer.status != "2":
            raise AssertionError(f"round {self.rounds}: {answer}")
        synced = self.device.sync()
        if synced.is_empty or subject not in synced.subjects():
            raise AssertionError(f"round {self.rounds}: woken, but Sync brings {synced}")
        if len(synced.added) != 1:
            raise AssertionError(f"round {self.rounds}: doubled: {synced.subjects()}")
        self.rounds += 1


def spin(seconds):
    """Busy: a sleep would be far too coarse to meet the server between its steps."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


class Race(ServerCase):
    https = True
    settings = {"server.log_level": "warn"}

    def test_deliveries_against_pings(self):
        stop = threading.Event()
        riders = []
        for number in range(4):
            device = self.phone("14.1" if number % 2 else "12.1", "plain" if number < 2 else "base64", tls=number % 2 == 1)
            device.prime()
            riders.append(Rider(self, device, number, stop))
        race(riders, stop, lambda: sum(rider.rounds for rider in riders) >= ROUNDS)
        rounds = sum(rider.rounds for rider in riders)
        print(f"{rounds} deliveries raced against Pings, none lost")
        self.assertGreater(rounds, ROUNDS_AT_LEAST)


class Herd(threading.Thread):
    """Several devices of one user whose heartbeats end just when a delivery comes."""

    def __init__(self, case, owner, devices, seed, stop):
        super().__init__(daemon=True)
        self.case, self.owner, self.devices, self.stop = case, owner, devices, stop
        self.random = random.Random(seed)
        self.wakes = self.expiries = 0
        self.error = None
        self.lmtp = case.server.lmtp(timeout=20)

    def run(self):
        try:
            number = 0
            while not self.stop.is_set():
                number += 1
                self.one_round(f"herd {number}")
        except Exception as error:  # noqa: BLE001 - shown by the test
            self.error = error

    def one_round(self, subject):
        waiting = {}
        for device in self.devices:
            device.ping_send(device.waiting, heartbeat=1)
            waiting[device.waiting.socket] = device
        # Heartbeats end within a second of their time: anywhere there, or right when the first of the herd has ended.
        deliver_at = time.monotonic() + self.random.uniform(0.9, 2.1) / SPEED
        at_the_first = self.random.random() < 0.6
        give_up = deliver_at + 15
        delivered = False
        while waiting:
            now = time.monotonic()
            if now > give_up:
                raise AssertionError(f"{subject}: {len(waiting)} phones were not woken")
            if not delivered and now >= deliver_at:
                answer = self.lmtp.deliver(self.owner.address, mail.message(subject))
                if not answer[0].startswith("250"):
                    raise AssertionError(answer)
                delivered = True
            until = give_up if delivered else deliver_at
            ready, _, _ = select.select(list(waiting), [], [], max(until - now, 0))
            for one in ready:
                device = waiting[one]
                answer = device.receive(device.waiting, timeout=5)
                if answer.status == "1":
                    self.expiries += 1
                    device.ping_send(device.waiting, heartbeat=1)
                    if at_the_first and not delivered:
                        deliver_at = time.monotonic()
                elif answer.status == "2":
                    del waiting[one]
                    synced = device.sync()
                    if synced.subjects() != [subject]:
                        raise AssertionError(f"{subject}: woken, but Sync brings {synced}")
                    self.wakes += 1
                else:
                    raise AssertionError(answer)


class RenewalRace(ServerCase):
    clock = {"rate": SPEED}
    https = True
    settings = {"server.log_level": "warn", "push.heartbeat_min_s": "1"}

    def test_deliveries_around_the_end_of_heartbeats(self):
        """Expired, renewed from memory, woken: in every order."""
        stop = threading.Event()
        herds = []
        for number in range(6):
            owner = self.user()
            devices = []
            for _ in range(10):
                device = owner.device("14.1", tls=number % 2 == 1).ready()
                device.prime()
                device.waiting = device.connect()
                self.addCleanup(device.waiting.close)
                devices.append(device)
            herds.append(Herd(self, owner, devices, number, stop))
        race(herds, stop, lambda: sum(herd.wakes for herd in herds) >= WAKES and sum(herd.expiries for herd in herds) >= EXPIRIES)
        wakes, expiries = sum(h.wakes for h in herds), sum(h.expiries for h in herds)
        print(f"{wakes} wakes and {expiries} expiries around deliveries, none lost")
        self.assertGreater(wakes, 50)
        self.assertGreater(expiries, 10)


if __name__ == "__main__":
    unittest.main()
