"""
Phones that come back: the same Ping on a new connection (Android closes after each, reverse proxies pool theirs) is parked from the
engine's memory, and whatever happened meanwhile is told at once all the same.
"""

import unittest

from eas.wbxml import E
from lib.case import ServerCase, forms
from lib.server import eventually
from test_push_epoch import TWO_FORMS, Events, counter


class ReturnCase(ServerCase):
    settings = {"push.heartbeat_min_s": "1"}

    def parked_phone(self, version="14.1", form="plain", heartbeat=600):
        device = self.phone(version, form)
        self.deliver(self.owner, "known")
        device.prime()
        device.waiting = device.ping_send(heartbeat=heartbeat)
        self.addCleanup(device.waiting.close)
        self.assert_parked(device.waiting, 0.1)
        return device

    def known(self):
        return counter(self.server, "pings_known")

    def leave(self, device):
        """The phone closes; the engine has noticed."""
        before = counter(self.server, "watches_remembered")
        device.waiting.close()
        eventually(lambda: counter(self.server, "watches_remembered") == before + 1, what="a phone that is away")

    def come_back(self, device, heartbeat=600):
        device.waiting = device.ping_send(heartbeat=heartbeat)
        self.addCleanup(device.waiting.close)

    def answered(self, device):
        return device.receive(device.waiting, timeout=10)


class Return(ReturnCase):
    @forms("2.5", "12.1", ("14.1", "base64"), "16.1")
    def test_from_memory(self, version, form):
        device = self.parked_phone(version, form)
        known = self.known()
        for times in (1, 2, 3):
            self.leave(device)
            self.come_back(device)
            self.assert_parked(device.waiting, 0.1)
            self.assertEqual(self.known(), known + times)
        self.deliver(self.owner, "news")
        self.assert_ping(self.answered(device), "2", [device.inbox])
        self.assertEqual(device.sync().subjects(), ["news"])
        # The Sync in between: looked at in earnest, and remembered from then on.
        self.come_back(device)
        self.assert_parked(device.waiting, 0.1)
        self.assertEqual(self.known(), known + 3)
        self.leave(device)
        self.come_back(device)
        self.assert_parked(device.waiting, 0.1)
        self.assertEqual(self.known(), known + 4)

    @forms("14.1")
    def test_heartbeats(self, version, form):
        """A whole life of an Android: heartbeat over, connection closed, again."""
        device = self.parked_phone(version, form, heartbeat=1)
        known = self.known()
        for _ in range(2):
            self.assert_ping(self.answered(device), "1")
            self.leave(device)
            self.come_back(device, heartbeat=1)
        self.assert_ping(self.answered(device), "1")
        self.assertEqual(self.known(), known + 2)

    @forms(*TWO_FORMS)
    def test_news_while_it_was_away(self, version, form):
        device = self.parked_phone(version, form)
        self.leave(device)
        away = counter(self.server, "watches_remembered")
        self.deliver(self.owner, "missed")
        self.assertEqual(counter(self.server, "watches_remembered"), away - 1)
        self.come_back(device)
        self.assert_ping(self.answered(device), "2", [device.inbox])
        self.assertEqual(device.sync().subjects(), ["missed"])

    def test_before_the_old_connection_ends(self):
        device = self.parked_phone()
        known, old = self.known(), device.waiting
        self.come_back(device)
        self.assert_ping(device.receive(old, timeout=10), "1")
        self.assert_parked(device.waiting, 0.1)
        self.assertEqual(self.known(), known + 1)
        self.deliver(self.owner, "news")
        self.assert_ping(self.answered(device), "2", [device.inbox])

    def test_another_heartbeat(self):
        """Another Ping is another Ping."""
        device = self.parked_phone()
        known = self.known()
        self.leave(device)
        self.come_back(device, heartbeat=500)
        self.assert_parked(device.waiting, 0.1)
        self.assertEqual(self.known(), known)

    def test_a_new_folder(self):
        device = self.parked_phone()
        self.leave(device)
        other = self.owner.device("14.1").ready()
        other.post("FolderCreate", E("FolderHierarchy:FolderCreate", E("SyncKey", other.hierarchy_key), E("ParentId", "0"),
                                     E("DisplayName", "New"), E("Type", "12")))
        self.come_back(device)
        self.assert_ping(self.answered(device), "7")

    def administrator(self, event, version, form):
        """What he did while the phone was away holds for its next Ping."""
        device = self.parked_phone(version, form)
        self.leave(device)
        getattr(Events, event)(self, device)
        self.come_back(device)
        answer = self.answered(device)
        if event == "password":
            self.assertEqual(answer.code, 401)
        elif event == "disabled":
            self.assertTrue(answer.code in (401, 403) or answer.status == "126", answer)
        else:
            self.assertIn(answer.status, ("7", "140"))

    @forms(*TWO_FORMS)
    def test_password(self, version, form):
        self.administrator("password", version, form)

    @forms(*TWO_FORMS)
    def test_disabled(self, version, form):
        self.administrator("disabled", version, form)

    @forms(*TWO_FORMS)
    def test_policy(self, version, form):
        self.administrator("policy", version, form)

    @forms(*TWO_FORMS)
    def test_wipe(self, version, form):
        self.administrator("wipe", version, form)

    def test_the_wrong_password(self):
        """Who knows all of a Ping but the password is not let in by it."""
        device = self.parked_phone()
        self.leave(device)
        stranger = device.clone()
        stranger.authorization = device.authorization[:-2] + "=="
        stranger.waiting = stranger.ping_send(heartbeat=600)
        self.addCleanup(stranger.waiting.close)
        self.assertEqual(self.answered(stranger).code, 401)
        self.come_back(device)
        self.assert_parked(device.waiting, 0.1)

    def test_another_engine(self):
        device = self.parked_phone()
        self.leave(device)
        self.server.bellhop("restart", "engine")
        eventually(lambda: counter(self.server, "engine_pid") > 0 and counter(self.server, "watches_remembered") == 0)
        self.come_back(device)
        self.assert_parked(device.waiting)
        self.deliver(self.owner, "news")
        self.assert_ping(self.answered(device), "2", [device.inbox])


class Forgetful(ReturnCase):
    settings = {"push.heartbeat_min_s": "1", "push.remember_max": "0"}

    def test_never_from_memory(self):
        device = self.parked_phone()
        device.waiting.close()
        self.come_back(device)
        self.assert_parked(device.waiting)
        device.waiting.close()
        eventually(lambda: counter(self.server, "watches") == 0, what="nobody waits")
        self.assertEqual(counter(self.server, "watches_remembered"), 0)
        self.come_back(device)
        self.assert_parked(device.waiting)


if __name__ == "__main__":
    unittest.main()
