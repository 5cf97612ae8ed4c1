"""
Renewals from memory and the device's epoch (ARCHITECTURE.md, Renewal from memory): each event that must end a renewal, injected while the phone is parked,
between status 1 and the renewal, and between the wake and the next Ping, takes effect at that Ping.
"""

import unittest

from lib.case import ServerCase, forms
from lib.server import eventually

TWO_FORMS = (("14.1", "plain"), ("12.1", "base64"))


def counter(server, name):
    """The sum of the fronts' counter of this name."""
    return sum(value for key, value in flatten(server.stats()) if key.split(".")[-1] == name)


def renewals(server, least):
    """Renewals from memory so far; waits until the fronts have reported at least so many."""
    return eventually(lambda: counter(server, "renewals_memory") >= least, what=f"{least} renewals from memory")


def flatten(value, path=""):
    if isinstance(value, dict):
        if set(value) >= {"name", "value"}:
            yield value["name"], value["value"]
            return
        for key, inner in value.items():
            yield from flatten(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from flatten(inner, path)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield path, value


class EpochCase(ServerCase):
    """The server's clock runs eight times as fast: a heartbeat of a second is over in an eighth of one."""

    clock = {"rate": 8}
    settings = {"push.heartbeat_min_s": "1"}

    def parked_phone(self, version, form, heartbeat=1):
        """A phone whose inbox is up to date, parked."""
        device = self.phone(version, form)
        self.deliver(self.owner, "known")
        device.prime()
        device.waiting = device.ping_send(heartbeat=heartbeat)
        self.addCleanup(device.waiting.close)
        self.assert_parked(device.waiting, 0.1)
        return device

    def renew(self, device, heartbeat=1):
        """The identical Ping on the same connection."""
        device.ping_send(device.waiting, heartbeat=heartbeat)
        return device.receive(device.waiting, timeout=10)


class Renewals(EpochCase):
    @forms(*TWO_FORMS)
    def test_from_memory(self, version, form):
        """Identical Pings of a clean watch never reach the engine."""
        device = self.parked_phone(version, form)
        self.assert_ping(device.receive(device.waiting), "1")
        before = counter(self.server, "renewals_memory")
        for _ in range(2):
            self.assert_ping(self.renew(device), "1")
        renewals(self.server, before + 2)
        # And a delivery still reaches it.
        device.ping_send(device.waiting, heartbeat=1)
        self.deliver(self.owner, "after renewals")
        self.assert_ping(device.receive(device.waiting), "2", [device.inbox])

    @forms(*TWO_FORMS)
    def test_delivery_between_expiry_and_renewal(self, version, form):
        device = self.parked_phone(version, form)
        self.assert_ping(device.receive(device.waiting), "1")
        self.deliver(self.owner, "in the gap")
        self.assert_ping(self.renew(device), "2", [device.inbox])
        self.assertEqual(device.sync().subjects(), ["in the gap"])

    @forms(*TWO_FORMS)
    def test_different_bytes_are_no_renewal(self, version, form):
        device = self.parked_phone(version, form)
        self.assert_ping(device.receive(device.waiting), "1")
        before = counter(self.server, "renewals_memory")
        self.assert_ping(self.renew(device, heartbeat=2), "1")
        device.authorization = device.authorization[:-2] + "=="
        answer = self.renew(device)
        self.assertEqual(answer.code, 401, answer)
        self.assertEqual(counter(self.server, "renewals_memory"), before)

    def test_on_a_new_connection(self):
        device = self.parked_phone("14.1", "plain")
        self.assert_ping(device.receive(device.waiting), "1")
        device.waiting.close()
        device.waiting = device.connect()
        self.assert_ping(self.renew(device), "1")


class Events:
    """What happens to a device, and how it must show at a Ping from then on."""

    @staticmethod
    def password(case, device):
        path = case.server.password_file("changed")
        case.server.bellhop("user", "passwd", device.user, "--password-file", path)

    @staticmethod
    def disabled(case, device):
        case.server.bellhop("user", "disable", device.user)

    @staticmethod
    def policy(case, device):
        case.policies = getattr(type(case), "policies", 4) + 1
        type(case).policies = case.policies
        case.server.bellhop("policy", "set", '{"DevicePasswordEnabled": 1, "MinDevicePasswordLength": %d}'
                            % (1 + case.policies % 15))

    @staticmethod
    def wipe(case, device):
        case.server.bellhop("device", "wipe", device.user, device.device_id, "--yes")

    @staticmethod
    def command(case, device):
        """Another command of the device: Sync starts over at key 0, so that everything is pending."""
        answer = device.sync(key="0")
        case.assertEqual(answer.collection_status, "1")


class Epochs(EpochCase):
    def check(self, event, device, answer):
        """This answer to a Ping shows the event."""
        if event == "password":
            self.assertEqual(answer.code, 401, answer)
        elif event == "disabled":
            self.assertTrue(answer.code in (401, 403) or answer.status == "126", answer)
        elif event == "policy":
            self.assert_ping(answer, "7")
            self.assertIn(device.folder_sync("0").code if not device.since("14.0") else device.folder_sync("0").status,
                          (449, "142", "144"))
        elif event == "wipe":
            self.assertIn(answer.status, ("7", "140"), answer)
            meets = device.folder_sync("0")
            self.assertTrue(meets.code == 449 or meets.status == "140", meets)
        elif event == "command":
            self.assert_ping(answer, "2", [device.inbox])

    def between_expiry_and_renewal(self, event, version, form):
        device = self.parked_phone(version, form)
        self.assert_ping(device.receive(device.waiting), "1")
        before = counter(self.server, "renewals_memory")
        self.assert_ping(self.renew(device), "1")
        renewals(self.server, before + 1)
        getattr(Events, event)(self, device)
        self.check(event, device, self.renew(device))

    def between_wake_and_next_ping(self, event, version, form):
        device = self.parked_phone(version, form, heartbeat=60)
        self.deliver(self.owner, "wake")
        self.assert_ping(device.receive(device.waiting), "2", [device.inbox])
        self.assertEqual(device.sync().subjects(), ["wake"])
        getattr(Events, event)(self, device)
        self.check(event, device, self.renew(device, heartbeat=60))

    def while_parked(self, event, version, form):
        """It may end the wait at once, or show at the next Ping at the latest."""
        device = self.parked_phone(version, form, heartbeat=2)
        getattr(Events, event)(self, device)
        answer = device.receive(device.waiting, timeout=10)
        if answer.status == "1":
            answer = self.renew(device, heartbeat=2)
        elif event in ("policy", "wipe"):
            self.assertIn(answer.status, ("7", "140"))
        elif event == "command":
            self.assertIn(answer.status, ("2",))
        else:
            self.assertTrue(answer.code in (401, 403) or answer.status in ("7", "8", "126"), answer)
            if answer.http.header("Connection") == "close":
                device.waiting.close()
                device.waiting = device.connect()
            answer = self.renew(device, heartbeat=2)
        self.check(event, device, answer)


    def test_forgotten_while_parked(self):
        """A phone whose partnership the administrator deletes is to begin anew; its password is as good as before."""
        for wait, status in (("ping", "7"), ("sync", "12")):
            with self.subTest(wait=wait):
                device = self.phone("14.1")
                device.prime()
                connection = device.connect()
                self.addCleanup(connection.close)
                if wait == "ping":
                    device.ping_send(connection, heartbeat=600)
                else:
                    device.send("Sync", device.sync_request(device.collection(device.inbox), heartbeat=600), connection=connection)
                self.assert_parked(connection, 0.1)
                self.server.bellhop("device", "del", device.user, device.device_id, "--yes")
                answer = device.receive(connection)
                self.assertEqual((answer.code, answer.status), (200, status), answer)


def _expand():
    for event in ("password", "disabled", "policy", "wipe", "command"):
        for point in ("between_expiry_and_renewal", "between_wake_and_next_ping", "while_parked"):
            for version, form in TWO_FORMS:
                def test(self, event=event, point=point, version=version, form=form):
                    getattr(self, point)(event, version, form)
                name = f"test_{event}_{point}__{version.replace('.', '_')}_{form}"
                setattr(Epochs, name, test)


_expand()


class Pending(EpochCase):
    def test_policy_pending(self):
        """Answered 7 at once three times, then held for the shortest heartbeat; never parked from memory."""
        device = self.parked_phone("14.1", "plain", heartbeat=60)
        Events.policy(self, device)
        self.assert_ping(device.receive(device.waiting), "7")
        expired = counter(self.server, "heartbeats_expired")
        for _ in range(3):
            self.assert_ping(self.renew(device, heartbeat=60), "7")
        self.assertEqual(counter(self.server, "heartbeats_expired"), expired, "answered at once")
        for _ in range(2):
            self.assert_ping(self.renew(device, heartbeat=60), "1")
        self.assertEqual(counter(self.server, "heartbeats_expired"), expired + 2, "held")
        self.assertEqual(counter(self.server, "renewals_memory"), 0)
        # After provisioning all is as before.
        device.provision()
        device.ping_send(device.waiting, heartbeat=60)
        self.assert_parked(device.waiting)
        self.deliver(self.owner, "fine again")
        self.assert_ping(device.receive(device.waiting), "2", [device.inbox])


class Lease(EpochCase):
    settings = {"push.heartbeat_min_s": "1", "push.renew_lease_s": "0"}

    def test_never_from_memory(self):
        device = self.parked_phone("14.1", "plain")
        self.assert_ping(device.receive(device.waiting), "1")
        self.assert_ping(self.renew(device), "1")
        self.assertEqual(counter(self.server, "renewals_memory"), 0)


if __name__ == "__main__":
    unittest.main()
