"""Many fronts: limits that hold over all of them, whichever a connection comes to, and also when one is killed."""

import json
import os
import resource
import signal
import subprocess

from eas.http import Closed
from eas.query import PATH
from lib.case import ServerCase
from lib.server import eventually, program, wait_exit


class Many(ServerCase):
    settings = {**ServerCase.settings, "server.fronts": "6"}

    def ask(self, connection):
        """The status, or 0 when the connection was closed."""
        try:
            connection.request("OPTIONS", PATH, {})
            return connection.response().status
        except (Closed, OSError, AssertionError):
            return 0

    def open(self, count):
        """So many connections: those that were served, and the statuses of the others."""
        held, others = [], []
        for _ in range(count):
            try:
                connection = self.server.connect(timeout=5)
            except OSError:
                others.append(0)
                continue
            status = self.ask(connection)
            if status == 401:
                held.append(connection)
            else:
                others.append(status)
                connection.close()
        self.addCleanup(lambda: [connection.close() for connection in held])
        return held, others

    def kill_front(self):
        pid = self.server.front_pids()[0]
        mark = self.server.log_mark()
        os.kill(pid, signal.SIGKILL)
        self.assertTrue(wait_exit(pid, 10))
        self.server.wait_log(r"child_ended .*child=.front", since=mark)
        eventually(lambda: self.server.stats()["fronts"] == 6, what="the front is back")

    def settle(self, level):
        eventually(lambda: self.server.stats()["connections"] == level, what=f"{level} connections")


class Address(Many):
    settings = {**Many.settings, "http.connections_per_address": "20"}

    def test_exact(self):
        held, others = self.open(60)
        self.assertEqual(len(held), 20)
        self.assertEqual(set(others), {0})
        for connection in held[:7]:
            connection.close()
        self.settle(13)
        self.assertEqual(len(self.open(20)[0]), 7)

    def test_killed(self):
        """What a front counted is given back when it dies."""
        self.settle(0)
        held, _ = self.open(30)
        self.assertEqual(len(held), 20)
        self.kill_front()
        dead = [connection for connection in held if self.ask(connection) != 401]
        self.assertGreater(len(held), len(dead))
        self.assertEqual(len(self.open(40)[0]), len(dead))

    def tearDown(self):
        self.doCleanups()
        self.settle(0)
        super().tearDown()


class Exceptions(Many):
    settings = {**Many.settings, "http.connections_per_address": "3", "http.address_exceptions": "192.0.2.0/24 127.0.0.0/8"}

    def test_exception(self):
        self.assertEqual(len(self.open(30)[0]), 30)


class User(Many):
    settings = {**Many.settings, "http.connections_per_user": "4", "http.requests_per_device": "5", "http.requests_burst": "50"}

    @staticmethod
    def status(device):
        """Of a request that the engine answers."""
        return device.post("FolderSync").code

    def test_connections(self):
        """So many connections of one user on all fronts; others are not touched by it."""
        user, other = self.user(), self.user()
        held, statuses, served = [], [], 200
        for _ in range(20):
            device = user.device("14.1")
            statuses.append(self.status(device))
            held.append(device)
        self.assertEqual(statuses.count(served), 4)
        self.assertEqual(statuses.count(503), 16)
        self.assertEqual(self.status(other.device("14.1")), served)
        for device in held:
            device.close()

    def test_rate(self):
        """A device that sends without end is held back on whichever front it comes to."""
        device = self.user().device("14.1")
        statuses, served = [], 200
        for _ in range(80):
            statuses.append(self.status(device))
            device.close()
        self.assertEqual(set(statuses), {served, 503})
        self.assertGreaterEqual(statuses.count(served), 50)
        self.assertGreater(self.server.stats()["refused_rate"], 0)


class All(Many):
    settings = {**Many.settings, "server.max_connections": "30"}

    def test_exact(self):
        """Beyond the limit phones are told when to come back."""
        held, others = self.open(45)
        self.assertEqual(len(held), 30)
        self.assertEqual(others, [503] * 15)
        self.assertGreaterEqual(self.server.stats()["refused"], 15)
        held[0].close()
        self.settle(29)
        self.assertEqual(len(self.open(2)[0]), 1)

    def test_retry_after(self):
        self.open(31)
        connection = self.server.connect(timeout=5)
        connection.request("OPTIONS", PATH, {})
        answer = connection.response()
        self.assertEqual(answer.status, 503)
        self.assertGreater(int(answer.header("Retry-After")), 0)
        self.assertEqual(connection.socket.recv(1), b"")
        connection.close()

    def tearDown(self):
        self.doCleanups()
        self.settle(0)
        super().tearDown()


class Auto(ServerCase):
    """`fronts = 0` starts as many as the descriptors of a process demand, with 5 % to spare."""

    settings = {**ServerCase.settings, "server.fronts": "0", "server.max_connections": "2000"}

    def test_head_room(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        server = self.server
        server.stop()
        try:
            server.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 592), min(hard, 592))))
            fronts = len(server.front_pids())
            # 592 descriptors: 400 phones, 380 with head-room. Root may raise the limit, and needs fewer.
            self.assertIn(fronts, {6, max(1, os.cpu_count())})
        finally:
            server.stop()
            server.start()



class Doctor(Many):
    settings = {**Many.settings, "server.max_connections": "3000"}

    def test_running(self):
        """What the limits of the running server allow."""
        done = self.server.bellhop("doctor", "--json", check=False)
        report = json.loads(done.stdout)
        said = {row["check"]: row for row in report["checks"]}
        self.assertEqual(report["max_connections"], 3000)
        self.assertEqual(said["server"]["result"], "ok", report)
        self.assertEqual(said["descriptors"]["result"], "ok", report)
        self.assertGreaterEqual(report["phones"], 1)
        self.assertEqual(done.returncode, 1 if report["findings"] else 0)
        text = self.server.bellhop("doctor", check=False).stdout
        self.assertIn("server.max_connections is 3000.", text)

    def test_too_few(self):
        """Two fronts with few descriptors: what is wrong, and what to change."""
        server = self.server
        server.stop()
        server.write_config(server_fronts="2")
        try:
            done = subprocess.run(
                ["prlimit", "--nofile=600:600", program("bellhop"), "-c", server.config, "doctor", "--json"],
                capture_output=True, text=True, check=False)
            said = {row["check"]: row for row in json.loads(done.stdout)["checks"]}
            self.assertEqual(said["server"]["result"], "warning")
            # Who may raise the limit is not short of descriptors.
            if said["descriptors"]["result"] != "ok":
                self.assertIn("server.fronts", said["descriptors"]["advice"])
                self.assertEqual(done.returncode, 1)
        finally:
            server.write_config(server_fronts="6")
            server.start()


class Heartbeats(Many):
    settings = {**Many.settings, "push.short_window": "20", "push.short_threshold_s": "540"}

    def test_short(self):
        """Many short heartbeats: a warning in the log, the event log and the status, which says what to do."""
        server = self.server
        device = self.user().device("14.1").ready()
        self.assertNotIn("warning", server.bellhop("status").stdout)
        mark = server.log_mark()
        for heartbeat in range(100, 120):
            connection = device.ping_send(heartbeat=heartbeat)
            eventually(lambda: server.stats()["parked"] == 1, what="parked")
            connection.close()
            eventually(lambda: server.stats()["parked"] == 0, what="gone")
        server.wait_log("heartbeats_short", since=mark)
        eventually(lambda: "idle TCP connections" in server.bellhop("status").stdout, what="the status says it")
        eventually(lambda: "heartbeats short" in server.bellhop("log", "list").stdout, what="the event log has it")
        self.assertEqual(server.stats()["waits_to_120"], 20)
