"""Access: what the gate decides from memory follows each change of rules, groups, users and devices at the next request."""

import json

from lib.case import ServerCase

BLOCKED = "129"


class AtOnce(ServerCase):
    """What is decided from memory ends with what it was decided by: each change counts for the very next request."""

    settings = {"access.discovery_s": "900"}

    def bellhop(self, *arguments):
        done = self.server.bellhop(*arguments, "--json")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def assert_refused(self, answer):
        self.assertEqual((answer.code, answer.status), (200, BLOCKED), answer)

    def assert_turns(self, device, *steps):
        """Steps: a command of the administrator, from a process of its own, and whether the phone may go on then."""
        for command, may in steps:
            self.bellhop(*command)
            answer = device.sync()
            if may:
                self.assertEqual(answer.code, 200, (command, answer))
                self.assertNotEqual(answer.status, BLOCKED, command)
            else:
                self.assert_refused(answer)

    def ready(self):
        user = self.user()
        device = user.device("14.1").ready()
        device.prime()
        return user, device

    def test_rule(self):
        user, device = self.ready()
        agent = "AtOnce/" + user.address
        device.extra_headers["User-Agent"] = agent
        row = self.bellhop("access", "add", "block", f'agent = "{agent}"')
        self.assert_refused(device.sync())
        self.assert_turns(device,
            (("access", "add", "allow", f'agent = "{agent}"', "--position", "1"), True),
            (("access", "move", str(row["id"]), "--position", "1"), False),
            (("access", "del", str(row["id"]), "--yes"), True))
        # The rules stayed, the phone became another one.
        row = self.bellhop("access", "add", "block", f'agent = "{agent} turned"', "--position", "1")
        self.addCleanup(self.server.bellhop, "access", "del", str(row["id"]), "--yes", check=False)
        device.extra_headers["User-Agent"] = agent + " turned"
        self.assert_refused(device.sync())
        device.extra_headers["User-Agent"] = agent
        self.assertEqual(device.sync().code, 200)

    def test_membership(self):
        user, device = self.ready()
        self.bellhop("group", "add", "closed")
        self.addCleanup(self.server.bellhop, "group", "del", "closed", "--yes", check=False)
        self.bellhop("access", "set", "block", "--group", "closed")
        self.assert_turns(device,
            (("group", "join", "closed", user.address), False),
            (("group", "leave", "closed", user.address), True),
            (("group", "join", "closed", user.address), False),
            (("access", "set", "allow", "--group", "closed"), True),
            (("access", "set", "block", "--group", "closed"), False),
            (("group", "del", "closed", "--yes"), True))

    def test_device_and_user(self):
        user, device = self.ready()
        name = ("--address", user.address)
        self.assert_turns(device,
            (("access", "set", "block", *name, "--device", device.device_id), False),
            (("access", "set", "none", *name, "--device", device.device_id), True),
            (("access", "set", "block", *name), False),
            (("access", "set", "allow", *name, "--device", device.device_id), True),
            (("access", "set", "none", *name), True))
