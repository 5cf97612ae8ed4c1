"""Mobile services: each switch, for whom it is laid down, and that phones which wait notice at once."""

import datetime
import json

from eas.wbxml import E
from lib import mail
from lib.case import ServerCase, forms
from lib.server import eventually


class ServiceCase(ServerCase):
    def bellhop(self, *arguments):
        return json.loads(self.server.bellhop(*arguments, "--json").stdout)

    def scope(self, user):
        return ["--address", user.address] if user else []

    def set(self, user, service, value):
        row = self.bellhop("service", "set", service, str(value), *self.scope(user))
        self.addCleanup(self.server.bellhop, "service", "unset", service, *self.scope(user), check=False)
        return row

    def parked(self, device, **kwargs):
        waiting = device.ping_send(**kwargs)
        eventually(lambda: self.server.stats()["parked"] >= 1, what="the phone waits")
        return waiting

    def options(self, device):
        connection = device.connect()
        connection.request("OPTIONS", "/Microsoft-Server-ActiveSync", {
            "Authorization": device.authorization, "User-Agent": "BellhopTest/1.0"}, b"")
        answer = connection.response()
        connection.close()
        return answer


class Switches(ServiceCase):
    @forms("12.1", "14.1")
    def test_sync_off(self, version, form):
        user = self.user()
        device = user.device(version, form).ready()
        device.prime()
        waiting = self.parked(device)
        self.set(user, "sync", "off")
        answer = device.receive(waiting, 10)
        again = device.folder_sync()
        if device.since("14.0"):
            self.assertEqual((answer.status, again.status), ("126", "126"))
        else:
            self.assertEqual((answer.code, again.code), (403, 403))
        self.assertEqual(self.options(device).status, 403)
        self.bellhop("service", "set", "sync", "on", "--address", user.address)
        self.assertEqual(device.folder_sync().status, "1")

    @forms("12.1", "14.1")
    def test_direct_push_off(self, version, form):
        user = self.user()
        device = user.device(version, form).ready()
        device.prime()
        waiting = self.parked(device)
        self.set(user, "direct_push", "off")
        answers = device.receive(waiting, 10), device.ping()
        for answer in answers:
            if device.since("14.0"):
                self.assertEqual(answer.status, "137", answer)
            else:
                self.assertEqual(answer.code, 501, answer)
        self.assertNotIn("Ping", self.options(device).header("MS-ASProtocolCommands").split(","))
        # A Sync that wants to wait is told to come back; one with news is answered as ever.
        held = device.post("Sync", device.sync_request(device.collection(device.inbox), wait="2"))
        self.assertEqual((held.code, held.http.header("Retry-After")), (503, "900"))
        self.server.deliver(user, mail.message(subject="news"))
        self.assertEqual(len(device.sync(wait="2").added), 1)

    def test_plain_http_off(self):
        user = self.user()
        device = user.device("14.1").ready()
        device.prime()
        waiting = self.parked(device)
        self.set(user, "plain_http", "off")
        self.assertEqual(device.receive(waiting, 10).code, 403)
        self.assertEqual(device.folder_sync().code, 403)
        device.extra_headers["X-Forwarded-Proto"] = "https"
        self.assertEqual(device.folder_sync().status, "1")

    def test_versions(self):
        user = self.user()
        device = user.device("14.1").ready()
        old = user.device("12.1").ready()
        self.set(user, "versions", "2.5,12.1")
        self.assertEqual(self.options(device).header("MS-ASProtocolVersions"), "2.5,12.1")
        self.assertEqual(device.folder_sync().status, "138")
        self.assertEqual(old.folder_sync().status, "1")

    def test_ceiling(self):
        user = self.user()
        device = user.device("16.1").ready()
        self.bellhop("device", "ceiling", user.address, device.device_id, "14.1")
        self.assertEqual(device.folder_sync().status, "138")
        self.assertEqual(self.options(device).header("MS-ASProtocolVersions"), "2.5,12.0,12.1,14.0,14.1")
        device.version = "14.1"
        device.provision()
        self.assertEqual(device.folder_sync("0").status, "1")
        self.bellhop("device", "ceiling", user.address, device.device_id, "none")
        self.assertIn("16.1", self.options(device).header("MS-ASProtocolVersions"))

    def test_heartbeats(self):
        user = self.user()
        device = user.device("14.1").ready()
        device.prime()
        waiting = self.parked(device, heartbeat=900)
        self.set(user, "heartbeat_max_s", 600)
        answer = device.receive(waiting, 10)
        self.assertEqual((answer.status, answer.document.get("HeartbeatInterval")), ("5", "600"))
        mark = self.server.log_mark()
        self.assertEqual(self.warned(user), [])
        row = self.set(user, "heartbeat_min_s", 700)
        self.assertEqual(self.warned(user), ["heartbeat_min_s", "heartbeat_max_s"])
        self.assertIn("exceeds", row["warning"])
        self.assertEqual(row["value"], str(self.default("heartbeat_min_s")))
        self.server.wait_log("heartbeat_bounds_reverted", since=mark)
        logged = self.bellhop("log", "list", "--limit", "5")
        self.assertTrue(any("exceeds" in r["result"] for r in logged), logged)
        self.assertEqual(device.ping(heartbeat=1).document.get("HeartbeatInterval"), row["value"])

    def warned(self, user):
        """Of whoever looks later: one bound may be the user's, the other the organisation's."""
        return [row["service"] for row in self.bellhop("service", "list", *self.scope(user)) if row["warning"]]

    def reload(self, **changes):
        mark = self.server.log_mark()
        self.server.write_config(**changes)
        self.server.bellhop("reload")
        for who in ("front 0", "front 1"):
            self.server.wait_log(rf'reload_finished .*process="{who}".*result=ok', since=mark)

    def test_heartbeats_of_the_configuration(self):
        """A reload reaches phones that wait as a service that is set does: nobody goes on for a lease with bounds of before."""
        user = self.user()
        device = user.device("14.1").ready()
        device.prime()
        waiting, other = self.parked(device, heartbeat=900), user.device("14.1").ready()
        other.prime()
        short = self.parked(other, heartbeat=300)
        try:
            self.reload(push_heartbeat_max_s=600)
            answer = device.receive(waiting, 10)
            self.assertEqual((answer.status, answer.document.get("HeartbeatInterval")), ("5", "600"))
            self.assert_parked(short, 0.05)
        finally:
            self.reload(push_heartbeat_max_s=3540)
        self.assert_parked(device.ping_send(heartbeat=3540), 0.05)
        self.assert_parked(short, 0.05)

    def default(self, service):
        return int(self.bellhop("service", "show", service)["value"])

    def test_folders_per_ping(self):
        user = self.user()
        device = user.device("14.1").ready()
        self.set(user, "folders_per_ping", 1)
        answer = device.ping(folders=["2", "4"])
        self.assertEqual((answer.status, answer.document.get("MaxFolders")), ("6", "1"))

    @forms("2.5", "12.1", "14.1", "16.1")
    def test_folders_per_ping_at_once(self, version, form):
        """A phone that waits with too many folders is answered, and may not go on with the same Ping from memory."""
        user = self.user()
        device = user.device(version, form).ready()
        folders = [device.inbox, device.folders["4"]]
        waiting = self.parked(device, folders=folders)
        self.set(user, "folders_per_ping", 1)
        for answer in (device.receive(waiting, 10), device.ping(folders=folders, timeout=10)):
            self.assertEqual((answer.status, answer.document.get("MaxFolders")), ("6", "1"))
        self.set(user, "folders_per_ping", 2)
        self.assert_parked(device.ping_send(folders=folders), 0.05)

    def held(self, device, connection=None, document=True, **wait):
        connection = connection or device.connect()
        device.send("Sync", device.sync_request(device.collection(device.inbox), **wait) if document else None, connection=connection)
        return connection

    @forms("12.1", "14.1", "16.1")
    def test_held_syncs_out_of_bounds(self, version, form):
        """Whose wait is too short or too long now is answered, and told the bound when it asks again, also by an empty request."""
        user = self.user()
        device = user.device(version, form).ready()
        device.prime()
        waiting = self.held(device, wait="1")
        self.assert_parked(waiting, 0.05)
        self.set(user, "heartbeat_min_s", 70)
        answer = device.receive(waiting, 10)
        self.assertEqual((answer.code, answer.document), (200, None))
        answer = device.receive(self.held(device, waiting, wait="1"), 10)
        self.assertEqual((answer.status, answer.document.get("Limit")), ("14", "2"))
        self.assertEqual(device.receive(self.held(device, waiting, document=False), 10).status, "13")
        # No shorter wait in minutes is allowed: it is held for the longest heartbeat, not answered at once for ever.
        self.assert_parked(self.held(device, waiting, wait="2"), 0.05)
        self.set(user, "heartbeat_max_s", 100)
        answer = device.receive(waiting, 10)
        self.assertEqual((answer.code, answer.document), (200, None))
        for document in (True, False):
            self.assert_parked(self.held(device, document=document, wait="2"), 0.05)
        waiting.close()

    def test_devices_per_user(self):
        user = self.user()
        user.device("14.1").ready()
        self.set(user, "devices_per_user", 1)
        second = user.device("14.1")
        self.assertEqual(second.post("Provision", second.provision_request()).status, "177")

    def test_items_per_day(self):
        user = self.user()
        for n in range(4):
            self.server.deliver(user, mail.message(subject=f"number {n}"))
        self.set(user, "items_per_day", 3)
        device = user.device("14.1").ready()
        self.assertEqual(len(device.prime()), 3)
        self.assertEqual(device.sync_rest(), {})
        fetched = device.post("ItemOperations", E("ItemOperations:ItemOperations", E(
            "Fetch", E("Store", "Mailbox"), E("AirSync:CollectionId", "2"), E("AirSync:ServerId", "2:1"))))
        self.assertEqual(fetched.code, 503)
        self.assertGreater(int(fetched.http.header("Retry-After")), 0)
        waiting = self.parked(device)
        self.bellhop("service", "unset", "items_per_day", "--address", user.address)
        self.assertEqual(device.receive(waiting, 10).status, "2")
        self.assertEqual(len(device.sync_rest()), 1)

    @forms("12.0", "12.1", "14.1", "16.1")
    def test_item_operations_beyond_the_limit(self, version, form):
        """What a phone does to its folders is taken; only what brings it something is refused."""
        user = self.user()
        self.server.deliver(user, mail.message(subject="the first"))
        self.set(user, "items_per_day", 1)
        device = user.device(version, form).ready()
        device.prime()
        empty = E("EmptyFolderContents", E("AirSync:CollectionId", device.folders["4"]))
        fetch = E("Fetch", E("Store", "Mailbox"), E("AirSync:CollectionId", device.inbox), E("AirSync:ServerId", device.inbox + ":1"))
        for operations, code in (((empty,), 200), ((fetch,), 503), ((empty, fetch), 503)):
            answer = device.post("ItemOperations", E("ItemOperations:ItemOperations", *operations))
            self.assertEqual(answer.code, code, answer)
            if code == 503:
                self.assertTrue(0 < int(answer.http.header("Retry-After")) <= 86400)
            else:
                self.assertEqual(answer.document.get("Response/EmptyFolderContents/Status"), "1")

    @forms("2.5", "12.0", "12.1", "14.1", "16.1")
    def test_sync_fetches_nothing_beyond_the_limit(self, version, form):
        """A Fetch within a Sync is to come again later; what the phone sends beside it is taken."""
        user = self.user()
        self.server.deliver(user, mail.message(subject="the first"))
        self.set(user, "items_per_day", 1)
        device = user.device(version, form).ready()
        (item, _), = device.prime().items()
        commands = [E("Change", E("ServerId", item), E("ApplicationData", E("Email:Read", "1"))), E("Fetch", E("ServerId", item))]
        answer = device.sync(commands=commands)
        (fetched,) = answer.responses("Fetch")
        self.assertEqual(fetched.get("Status"), "16" if device.since("12.1") else "5", answer)
        self.assertFalse(fetched.has("ApplicationData"))
        self.bellhop("service", "unset", "items_per_day", "--address", user.address)
        (fetched,) = device.sync(commands=commands[1:]).responses("Fetch")
        self.assertEqual((fetched.get("Status"), fetched.get("ApplicationData/Email:Read")), ("1", "1"), fetched)


def at(hour, minute=0):
    return datetime.datetime(2026, 6, 1, hour, minute, tzinfo=datetime.timezone.utc)


class Days(ServiceCase):
    """What a phone may get in a day, over restarts and midnight (UTC)."""

    clock = {"wall": at(12)}
    LIMIT = {"items_per_day": (3, 5, 100), "megabytes_per_day": (1, 3, 600_000)}  # limit, mails, bytes of each

    def restart(self, **clock):
        self.server.stop()
        self.server.clock = clock
        self.server.start()
        for device in self.devices:
            device.close()

    def sync(self, device):
        """What it gets until there is no more, with the bodies."""
        return device.sync_rest(window="1", options=device.options(body=[("1", "1000000")]))

    def assert_over(self, device):
        self.assertEqual(self.sync(device), {})
        fetched = device.post("ItemOperations", E("ItemOperations:ItemOperations", E(
            "Fetch", E("Store", "Mailbox"), E("AirSync:CollectionId", "2"), E("AirSync:ServerId", "2:1"))))
        self.assertEqual(fetched.code, 503)
        return int(fetched.http.header("Retry-After"))

    def test_reached_and_over_at_midnight(self):
        self.devices, got = [], {}
        for service, (limit, mails, size) in self.LIMIT.items():
            user = self.user()
            for number in range(mails):
                self.server.deliver(user, mail.message(subject=f"number {number}", text="x" * 70 + "\r\n" + "y" * size))
            self.set(user, service, limit)
            device = user.device("14.1").ready()
            device.sync(key="0")
            got[device] = len(self.sync(device))
            self.devices.append(device)
        self.assertEqual(list(got.values()), [3, 2])
        other = self.phone("14.1")
        for device in self.devices:
            self.assertTrue(0 < self.assert_over(device) <= 12 * 3600)
        # A restart gives nothing anew.
        self.restart(wall=at(18))
        for device in self.devices:
            self.assertTrue(0 < self.assert_over(device) <= 6 * 3600)
        self.restart(wall=at(23, 59), rate=40)
        waiting = [device.ping_send(heartbeat=3000) for device in self.devices]
        for device, connection in zip(self.devices, waiting):
            answer = device.receive(connection, 20)
            self.assertIn(answer.status, ("1", "2"), answer)
            self.assert_ping(device.ping(), "2", [device.inbox])
            self.assertEqual(len(self.sync(device)), {3: 2, 2: 1}[got[device]])
        other.close()


class Scopes(ServiceCase):
    settings = {"eas.versions": "2.5 12.1 14.1"}

    def test_no_version_is_left(self):
        user = self.user()
        self.assertIn("none of these", self.set(user, "versions", "16.1")["warning"])
        self.assertEqual(user.device("14.1").folder_sync().status, "138")

    def test_precedence(self):
        user = self.user()
        self.bellhop("group", "add", "field")
        self.bellhop("group", "join", "field", user.address)

        def effective():
            row = self.bellhop("service", "show", "folders_per_ping", "--address", user.address)
            return row["value"], row["from"], row["own"]

        self.assertEqual(effective()[1], "settings")
        self.set(None, "folders_per_ping", 50)
        self.assertEqual(effective(), ("50", "organisation", ""))
        self.bellhop("service", "set", "folders_per_ping", "40", "--domain", "example.org")
        self.assertEqual(effective(), ("40", "domain example.org", ""))
        self.bellhop("service", "set", "folders_per_ping", "30", "--group", "field")
        self.assertEqual(effective(), ("30", "group field", ""))
        self.set(user, "folders_per_ping", 20)
        self.assertEqual(effective(), ("20", f"user {user.address}", "20"))
        self.bellhop("service", "unset", "folders_per_ping", "--domain", "example.org")
        self.bellhop("group", "del", "field", "--yes")
        self.bellhop("service", "unset", "folders_per_ping", "--address", user.address)
        self.assertEqual(effective(), ("50", "organisation", ""))

    def test_table(self):
        rows = self.bellhop("service", "list")
        self.assertIn("notifications", [row["service"] for row in rows])
        for row in rows:
            self.assertTrue(row["text"], row)
        refused = self.server.bellhop("service", "set", "folders_per_ping", "0", check=False)
        self.assertIn("1 to 10000", refused.stderr)
