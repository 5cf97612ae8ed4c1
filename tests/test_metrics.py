"""What is counted: the metrics as Prometheus reads them, the dashboard over them, the overview and its warnings."""

import json
import os
import re
import signal

from eas.client import DELETED
from eas.wbxml import E
from lib.case import ServerCase
from lib.prometheus import Metrics
from lib.server import eventually, wait_exit

DASHBOARD = os.path.join(os.path.dirname(__file__), "..", "packaging", "grafana-dashboard.json")


class Counting(ServerCase):
    settings = {**ServerCase.settings, "server.fronts": "2", "metrics.networks": "127.0.0.0/8", "wipe.device": "yes"}

    pushes = 0

    def metrics(self):
        return Metrics(self.server.bellhop("metrics").stdout)

    def overview(self):
        return json.loads(self.server.bellhop("overview", "--json").stdout)

    def push(self):
        """A phone waits, and is told of mail."""
        device = self.phone()
        device.prime()
        connection = device.connect()
        self.addCleanup(connection.close)
        device.ping_send(connection, folders=[device.inbox], heartbeat=300)
        self.assert_parked(connection)
        self.deliver(self.owner, "news")
        self.assertEqual(device.receive(connection).status, "2")
        Counting.pushes += 1
        return device

    def test_requests(self):
        """What a phone does is found again, under its command, version, class and Status."""
        # Fronts tell their counts when they like: those of other tests must be in.
        before = eventually(lambda: (now := self.metrics()).sum("bellhop_push_latency_seconds_count") >= self.pushes and now,
                            what="the counts of earlier pushes")
        device = self.push()
        device.sync(key="4711")
        after = eventually(lambda: (now := self.metrics()).sum("bellhop_push_latency_seconds_count") >= self.pushes and now,
                           what="the count of this push")

        def grown(name, **labels):
            return after.sum(name, **labels) - before.sum(name, **labels)

        self.assertEqual(grown("bellhop_push_latency_seconds_count"), 1)
        self.assertGreater(grown("bellhop_push_latency_seconds_sum"), 0)
        self.assertEqual(grown("bellhop_heartbeat_asked_seconds_bucket", le="300"), 1)
        self.assertEqual(grown("bellhop_heartbeat_achieved_seconds_bucket", le="120"), 1)
        self.assertEqual(grown("bellhop_waits_woken_total"), 1)
        self.assertGreaterEqual(grown("bellhop_request_duration_seconds_count", command="Sync"), 2)
        self.assertEqual(grown("bellhop_request_duration_seconds_count", command="Ping"), 1)
        self.assertGreaterEqual(grown("bellhop_syncs_total", **{"class": "Email", "version": "14.1"}), 2)
        self.assertEqual(grown("bellhop_eas_answers_total", command="Sync", status="3"), 1)
        self.assertEqual(grown("bellhop_errors_total") - grown("bellhop_eas_answers_total", status="142")
                         - grown("bellhop_eas_answers_total", status="144"), 1)
        self.assertGreaterEqual(grown("bellhop_http_answers_total", code="200"), 3)
        self.assertGreaterEqual(grown("bellhop_authentications_total", result="ok"), 3)
        self.assertGreater(grown("bellhop_store_transactions_total"), 0)
        self.assertGreater(grown("bellhop_store_commit_seconds_count"), 0)
        self.assertEqual(after.value("bellhop_fronts"), 2)
        self.assertGreater(after.value("bellhop_disk_free_bytes"), 0)

    def test_http(self):
        """/metrics is the same, in the type that Prometheus wants."""
        with self.server.connect() as connection:
            connection.request("GET", "/metrics")
            answer = connection.response()
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.header("Content-Type", "").startswith("text/plain; version=0.0.4"), answer.headers)
        self.assertEqual(set(Metrics(answer.body.decode()).families), set(self.metrics().families))

    def test_nothing_personal(self):
        """No label names a user or a phone, however many there are."""
        device = self.push()
        text = self.server.bellhop("metrics").stdout
        self.assertNotIn("example.org", text)
        self.assertNotIn(device.device_id, text)
        self.assertLess(len(Metrics(text).samples), 2000)

    def test_dashboard(self):
        """Each expression asks for metrics that there are, with labels that they have."""
        self.push()
        names = self.metrics().names()
        with open(DASHBOARD, encoding="utf-8") as file:
            dashboard = json.load(file)
        expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        expressions += [variable["query"]["query"] for variable in dashboard["templating"]["list"]
                        if variable["type"] == "query"]
        self.assertGreater(len(expressions), 20)
        # Only where there is one: these servers have no certificate.
        names.add("bellhop_certificate_expiry_time_seconds")
        for expression in expressions:
            used = set(re.findall(r"\bbellhop_\w+", expression))
            self.assertTrue(used, expression)
            self.assertEqual(used - names, set(), expression)
            self.assertEqual(expression.count("("), expression.count(")"), expression)

    def test_counts_outlive_processes(self):
        """What fronts have counted is neither lost nor falls when they are replaced or killed."""
        self.push()
        name = "bellhop_accepted_total"
        before = self.metrics()
        self.assertGreater(before.value(name), 0)
        self.server.bellhop("upgrade", timeout=60)
        after = self.metrics()
        self.assertGreaterEqual(after.value(name), before.value(name))
        self.assertGreaterEqual(
            after.value("bellhop_push_latency_seconds_count"), before.value("bellhop_push_latency_seconds_count"))
        pid = self.server.front_pids()[0]
        os.kill(pid, signal.SIGKILL)
        self.assertTrue(wait_exit(pid, 10))
        eventually(lambda: self.metrics().value("bellhop_fronts") == 2, what="the front is back")
        self.assertGreaterEqual(self.metrics().value(name), after.value(name))
        # The engine remembers what fronts told it; the next one knows only what they still have.
        self.server.bellhop("restart", "engine", timeout=60)
        eventually(lambda: self.metrics().value(name) >= after.value(name), what="the counts are with the new front")

    def test_overview(self):
        device = self.push()
        overview = self.overview()
        self.assertEqual(set(overview), {"now", "series", "warnings"})
        lengths = {len(values) for key, values in overview["series"]["hour"].items() if key != "step_s"}
        self.assertEqual(len(lengths), 1)
        self.assertGreaterEqual(overview["now"]["users"], 1)
        self.assertEqual(overview["series"]["hour"]["step_s"], 10)
        for warning in overview["warnings"]:
            self.assertTrue(warning["text"] and warning["remedy"] and warning["code"])
        self.assertIn("Nothing to look at" if not overview["warnings"] else overview["warnings"][0]["text"],
                      self.server.bellhop("overview").stdout)
        device.close()

    def test_phones_by_state(self):
        """Each is in one state, that which decides; what has to be looked at is said."""
        blocked, waits, failed, done = (self.phone("14.1") for _ in range(4))
        self.server.bellhop("device", "block", blocked.user, blocked.device_id)
        self.server.bellhop("device", "block", waits.user, waits.device_id)
        for device in (waits, failed, done):
            self.server.bellhop("device", "wipe", device.user, device.device_id, "--yes")
        for device, status in ((failed, "2"), (done, "1")):
            device.post("Provision", E("Provision:Provision"))
            device.post("Provision", E("Provision:Provision", E("RemoteWipe", E("Status", status))))
        self.server.bellhop("restart", "engine", timeout=60)  # what it counted is good for a minute
        metrics, overview = self.metrics(), self.overview()
        for state in ("blocked", "wipe_pending", "wipe_failed", "wiped"):
            self.assertEqual(metrics.value("bellhop_devices", state=state), 1, state)
        self.assertEqual(metrics.value("bellhop_devices", state="quarantine"), 0)
        self.assertEqual(overview["now"]["wipes_pending"], 2)
        codes = {warning["code"] for warning in overview["warnings"]}
        self.assertEqual(codes & {"wipe_waits", "wipe_failed", "quarantine"}, {"wipe_waits", "wipe_failed"})


class Cut(ServerCase):
    """Somebody on the way ends what is silent for too long."""

    settings = {**ServerCase.settings, "push.path_min_s": "30"}

    def test_nothing_without_evidence(self):
        codes = {warning["code"] for warning in json.loads(self.server.bellhop("overview", "--json").stdout)["warnings"]}
        self.assertNotIn("connections_cut", codes)
        device = self.phone()
        self.assertIn(DELETED, device.folders)
