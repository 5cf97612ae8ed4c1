"""Sync with Wait or HeartbeatInterval: held while nothing changes, answered by what comes."""

import unittest

from eas.client import DELETED, SyncAnswer
from lib.case import ServerCase, forms


class HeldSync(ServerCase):
    def held(self, device, collection=None, **kwargs):
        """A Sync that is held, on a connection of its own."""
        document = None if collection is None else device.sync_request(collection, **kwargs)
        connection = device.connect()
        self.addCleanup(connection.close)
        device.send("Sync", document, connection=connection)
        self.assert_parked(connection)
        return connection

    @forms("12.1", "14.0", "14.1", "16.1")
    def test_mail_ends_the_wait(self, version, form):
        device = self.phone(version, form)
        device.prime()
        connection = self.held(device, device.collection(device.inbox), wait="1")
        self.deliver(self.owner, "news")
        answer = SyncAnswer(device.receive(connection), device.inbox)
        self.assertEqual(answer.subjects(), ["news"])
        device.keys[device.inbox] = answer.key
        self.assert_empty_sync(device.sync())

    @forms("14.1")
    def test_empty_request_repeats_the_last(self, version, form):
        device = self.phone(version, form)
        device.prime()
        self.held(device, device.collection(device.inbox), heartbeat="60").close()
        connection = self.held(device)
        self.deliver(self.owner, "news")
        answer = SyncAnswer(device.receive(connection), device.inbox)
        self.assertEqual(answer.subjects(), ["news"])

    @forms("14.1")
    def test_only_what_it_asked_for(self, version, form):
        device = self.phone(version, form)
        device.prime()
        device.prime(device.folders[DELETED])
        connection = self.held(device, device.collection(device.folders[DELETED]), heartbeat="60")
        self.deliver(self.owner, "not in this folder")
        self.assert_parked(connection)

    @forms("14.1")
    def test_large_answer(self, version, form):
        """More than one frame between engine and front holds."""
        device = self.phone(version, form)
        options = device.options(body=[("1",)])
        device.prime(options=options)
        connection = self.held(device, device.collection(device.inbox), heartbeat="60")
        text = "A line of a long message.\r\n" * 20000
        self.deliver(self.owner, "long", text=text)
        answer = SyncAnswer(device.receive(connection), device.inbox)
        (item,) = answer.added.values()
        self.assertEqual(item.get("AirSyncBase:Body/Data") or item.get("Body/Data"), text)
        device.keys[device.inbox] = answer.key
        self.assert_empty_sync(device.sync())

    @forms("14.1")
    def test_bounds(self, version, form):
        device = self.phone(version, form)
        device.prime()
        for kwargs, limit in (({"wait": "60"}, "59"), ({"wait": "0"}, "1"), ({"heartbeat": "30"}, "60"),
                              ({"heartbeat": "4000"}, "3540")):
            answer = device.post("Sync", device.sync_request(device.collection(device.inbox), **kwargs))
            self.assertEqual((answer.status, answer.document.get("Limit")), ("14", limit), kwargs)

    @forms("14.1")
    def test_engine_killed(self, version, form):
        device = self.phone(version, form)
        device.prime()
        connection = self.held(device, device.collection(device.inbox), heartbeat="60")
        self.server.kill_engine()
        self.deliver(self.owner, "afterwards")
        answer = SyncAnswer(device.receive(connection), device.inbox)
        self.assertEqual(answer.subjects(), ["afterwards"])


if __name__ == "__main__":
    unittest.main()
