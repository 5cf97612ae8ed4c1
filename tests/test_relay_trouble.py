"""A relay that is away or slow to decide; an engine that dies; what the administrator can do."""

import email
import email.policy
import threading
import unittest

from lib.case import retry
from lib.relay import FAR, RelayCase, message
from lib.server import eventually


class Trouble(RelayCase):
    def test_gives_up(self):
        device = self.phone()
        try:
            self.server.write_config(relay_give_up_s="2")
            self.server.bellhop("reload")
            self.sink.final = "452 4.3.1 disk full"
            self.assert_sent(self.send(device, message(FAR)))
            self.refused(device, ["4.3.1 disk full", "Status: 4.4.7"])
            self.assertGreaterEqual(len(self.sink.attempts), 2)
        finally:
            self.server.write_config(relay_give_up_s="3600")
            self.server.bellhop("reload")

    def test_disconnects(self):
        """In the middle of a message, and before the answer: tried again, with the same Message-ID."""
        device = self.phone()
        for cut in ("data", "final"):
            self.sink.cut = cut
            self.assert_sent(self.send(device, message(FAR, cut)))
            eventually(lambda: [r for r in self.queue() if r["attempts"]])
            self.assertEqual(self.sink.messages, [])
            self.sink.cut = None
            (sent,) = self.sink.wait()
            self.assertIn(b"Message-ID: <", sent.octets)
            self.assert_queue_empty()
            self.setUp()

    def test_slow_relay(self):
        """One that never answers a message: cut after relay.timeout_s, and tried again."""
        device = self.phone()
        self.server.write_config(relay_timeout_s="1")
        self.server.bellhop("reload")
        self.sink.gate = threading.Event()
        try:
            self.assert_sent(self.send(device, message(FAR)))
            (row,) = eventually(lambda: [r for r in self.queue() if r["attempts"]])
            self.assertEqual(row["state"], "waiting")
            self.assertEqual(self.sink.messages, [])
        finally:
            self.sink.gate.set()
            self.server.write_config(relay_timeout_s="300")
            self.server.bellhop("reload")
        self.sink.gate = None
        self.sink.wait()
        self.assert_queue_empty()

    def test_stop(self):
        """An orderly stop of the engine waits for the answer to a message that is out: it is not sent again."""
        device = self.phone()
        self.sink.gate = threading.Event()
        self.assert_sent(self.send(device, message(FAR)))
        self.assertTrue(self.sink.at_gate.wait(20))
        mark = self.server.log_mark()
        restart = threading.Thread(target=self.server.bellhop, args=("restart", "engine"))
        restart.start()
        self.server.wait_log("engine_stopping", mark)
        self.sink.gate.set()
        restart.join()
        retry(lambda: device.folder_sync("0"))
        self.assert_queue_empty()
        self.assertEqual(len(self.sink.messages), 1)

    def test_relay_down(self):
        device = self.phone()
        self.sink.stop_listening()
        try:
            self.assert_sent(self.send(device, message(FAR)))
            (row,) = eventually(lambda: [r for r in self.queue() if r["attempts"]])
            self.assertNotEqual(row["answer"], "")
            self.assertGreater(self.server.stats()["relay_trouble"], 0)
        finally:
            self.sink.listen_again()
        self.server.bellhop("queue", "retry")
        self.sink.wait()
        self.assert_queue_empty()

    def test_killed_engine(self):
        """kill -9 while the relay thinks about it: nothing is lost; this one may come twice, with the same Message-ID."""
        device = self.phone()
        self.sink.gate = threading.Event()
        subjects = [f"kill {n}" for n in range(6)]
        for subject in subjects:
            self.assert_sent(self.send(device, message(FAR, subject)))
        self.assertTrue(self.sink.at_gate.wait(20))
        self.server.kill_engine()
        self.sink.gate.set()
        retry(lambda: device.folder_sync("0"))
        self.assert_queue_empty()
        came = {}
        for one in self.sink.messages:
            mail = email.message_from_bytes(one.octets, policy=email.policy.default)
            came.setdefault(mail["Subject"], []).append(mail["Message-ID"])
        self.assertEqual(sorted(came), subjects)
        for ids in came.values():
            self.assertEqual(len(set(ids)), 1)
        repeated = [ids for ids in came.values() if len(ids) > 1]
        self.assertLessEqual(len(repeated), 2, "only what was at the relay")

    def test_administration(self):
        device = self.phone()
        self.sink.mail = "451 4.0.0 not now"
        self.server.write_config(relay_retry_min_s="3600", relay_retry_max_s="3600")
        self.server.bellhop("reload")
        try:
            self.assert_sent(self.send(device, message(f"{FAR}, two@far.example")))
            rows = eventually(lambda: [r for r in self.queue() if r["attempts"]])
            self.assertEqual([r["recipient"] for r in rows], [FAR, "two@far.example"])
            number = str(rows[0]["mail"])
            status = self.server.status()
            self.assertEqual((status["queue_messages"], status["queue_recipients"]), (1, 2))
            self.assertIn(FAR, self.server.bellhop("queue", "list").stdout)
            self.assertEqual(self.server.bellhop("queue", "list", self.owner.address, "--json").stdout.count(FAR), 1)
            self.assertNotEqual(self.server.bellhop("queue", "retry", "999999", check=False).returncode, 0)
            self.server.bellhop("queue", "drop", number, "two@far.example", "--yes")
            self.assertEqual([r["recipient"] for r in self.queue()], [FAR])
            self.sink.mail = None
            self.server.bellhop("queue", "retry", number)
            self.sink.wait()
            self.assert_queue_empty()
        finally:
            self.server.write_config(relay_retry_min_s="1", relay_retry_max_s="1")
            self.server.bellhop("reload")


if __name__ == "__main__":
    unittest.main()
