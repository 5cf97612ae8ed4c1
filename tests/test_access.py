"""Access: rules, quarantine with its one message, release of waiting phones, blocked phones, devices that were not seen yet."""

import json

from eas.wbxml import E
from lib import mail
from lib.case import ServerCase, forms, retry
from lib.server import eventually
from lib.web import Web

DENIED_HTTP, BLOCKED, NOT_PROVISIONED = 403, "129", "142"


class AccessCase(ServerCase):
    settings = {"access.discovery_s": "900"}

    def bellhop(self, *arguments):
        done = self.server.bellhop(*arguments, "--json")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def lay_down(self, state, address, device=None):
        self.bellhop("access", "set", state, "--address", address, *(["--device", device] if device else []))

    def assert_refused(self, answer, status=BLOCKED):
        if answer.code == 200:
            self.assertEqual(answer.status, status, answer)
        else:
            self.assertEqual(answer.code, DENIED_HTTP, answer)

    def log(self, **wanted):
        rows = self.bellhop("log", "list", "--limit", "200")
        return [row for row in rows if all(row.get(k) == v for k, v in wanted.items())]


def body_of(device, kind="1"):
    (_, item), = device.prime(options=device.options(body=[(kind, "2000")])).items()
    return item.get("AirSyncBase:Body/Data") or item.get("Body/Data")


class Quarantine(AccessCase):
    @forms("2.5", "12.1", ("14.1", "base64"), "16.1")
    def test_message_and_release(self, version, form):
        """Folders and one message; nothing else; everything at the release, with the keys that the phone has."""
        user = self.user()
        self.server.deliver(user, mail.message(subject="waits for the release"))
        self.lay_down("quarantine", user.address)
        device = user.device(version, form).ready()
        items = device.prime()
        self.assertEqual(len(items), 1, items)
        (notice_id, notice), = items.items()
        subject = notice.get("Email:Subject") or notice.get("Subject")
        self.assertIn("released", subject)
        self.assertEqual(device.prime(device.folders["4"]), {})
        self.assertEqual(device.sync_rest(), {})
        # It is nobody's mail: no phone that may look finds it.
        self.lay_down("allow", user.address, "other1")
        other = user.device(version, form, device_id="other1").ready()
        found = other.prime()
        self.assertEqual(len(found), 1, found)
        self.assertNotIn(notice_id, found)
        # Nothing gets out, nothing comes in.
        answer = device.post("SendMail", *self.outgoing(device, user))
        self.assert_refused(answer)

        waiting = device.ping_send()
        eventually(lambda: self.server.stats()["parked"] >= 1, what="the phone waits")
        self.lay_down("allow", user.address)
        woken = device.receive(waiting, 10)
        self.assertEqual((woken.code, woken.status), (200, "2"), woken)
        answer = device.sync()
        self.assertIn(notice_id, answer.deleted)
        self.assertEqual(len(answer.added), 1, answer)
        self.assertTrue(self.log(action="access", user=user.address))

    def outgoing(self, device, user):
        raw = mail.message(subject="out", to=user.address)
        raw = raw if isinstance(raw, bytes) else raw.encode()
        if not device.since("14.0"):
            return ()
        return (E("ComposeMail:SendMail", E("ClientId", "one"), E("Mime", raw)),)

    def test_waiting_phone_is_told(self):
        """One that waits when its quarantine begins gets the message, and no mail that comes then."""
        user = self.user()
        device = user.device("14.1").ready()
        device.prime()
        waiting = device.ping_send()
        eventually(lambda: self.server.stats()["parked"] >= 1, what="the phone waits")
        self.lay_down("quarantine", user.address, device.device_id)
        self.assertEqual(device.receive(waiting, 10).status, "2")
        (notice, _), = device.sync_rest().items()
        waiting = device.ping_send()
        eventually(lambda: self.server.stats()["parked"] >= 1, what="the phone waits")
        self.server.deliver(user, mail.message(subject="unseen"))
        # What the phone does with the message is its own affair; with anything else it has to wait.
        changed = device.sync(commands=[E("Delete", E("ServerId", notice))])
        self.assertEqual(changed.collection_status, "1", changed)
        self.assertEqual(device.post("MoveItems", E("Move:MoveItems", E(
            "Move", E("SrcMsgId", "2:1"), E("SrcFldId", "2"), E("DstFldId", "4")))).status, BLOCKED)
        self.bellhop("device", "allow", user.address, device.device_id)
        self.assertEqual(len(device.sync_rest()), 1)

    def test_nobody_is_told(self):
        """access.notify is empty: the message does not say that administrators have been told."""
        user = self.user()
        self.lay_down("quarantine", user.address)
        body = body_of(user.device("14.1").ready())
        self.assertIn("please ask an administrator", body)
        self.assertNotIn("are told", body)
        self.assertIn("please ask an administrator", self.bellhop("access", "message")["text"])

    def test_text(self):
        user = self.user()
        self.bellhop("access", "set-message", "--subject", "Halt, {device}", "--text", "Frag {{Otto}} wegen {user}")
        self.addCleanup(self.bellhop, "access", "set-message", "--subject", "", "--text", "")
        self.lay_down("quarantine", user.address)
        device = user.device("14.1").ready()
        (_, item), = device.prime(options=device.options(body=[("1", "2000")])).items()
        self.assertEqual(item.get("Email:Subject") or item.get("Subject"), f"Halt, {device.device_id}")
        body = item.get("AirSyncBase:Body/Data") or item.get("Body/Data")
        self.assertIn("Frag {Otto}", body)
        self.assertIn(user.address, body)
        refused = self.server.bellhop("access", "set-message", "--text", "{nobody}", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("{nobody}", refused.stderr)


class Blocked(AccessCase):
    @forms("2.5", "12.1", "14.1", "16.1")
    def test_blocked(self, version, form):
        user = self.user()
        device = user.device(version, form).ready()
        device.prime()
        waiting = device.ping_send()
        eventually(lambda: self.server.stats()["parked"] >= 1, what="the phone waits")
        self.lay_down("block", user.address)
        answer = device.receive(waiting, 10)
        self.assert_refused(answer)
        if device.since("14.0"):
            self.assertEqual(device.folder_sync().status, BLOCKED)
        else:
            self.assertEqual(device.folder_sync().code, DENIED_HTTP)
        self.lay_down("none", user.address)
        self.assertEqual(device.folder_sync().status, "1")

    def test_whom(self):
        """One of user, group and domain; a device is a user's."""
        user = self.user()
        self.bellhop("group", "add", "whom")
        self.addCleanup(self.server.bellhop, "group", "del", "whom", "--yes", check=False)
        device, group = ["--device", "whomdevice"], ["--group", "whom"]
        for words, says in ((["--address", user.address, *device, *group], "one of them"), ([*device, *group], "user of the device"),
                            (device, "user of the device"), (["--address", user.address, "--domain", "example.org"], "one of them")):
            refused = self.server.bellhop("access", "set", "block", *words, check=False)
            self.assertEqual(refused.returncode, 1, words)
            self.assertIn(says, refused.stderr)
        self.assertNotIn("whomdevice", self.server.bellhop("access", "list").stdout)

    def test_before_it_was_seen(self):
        user = self.user()
        self.lay_down("block", user.address, "comeslater")
        listed = [row for row in self.bellhop("access", "list") if row["device"] == "comeslater"]
        self.assertEqual((listed[0]["access"], listed[0]["seen"]), ("block", False))
        tried = self.bellhop("access", "test", user.address, "--device", "comeslater")
        self.assertEqual((tried["access"], tried["by"]), ("block", "the device"))
        device = user.device("14.1", device_id="comeslater")
        self.assert_refused(device.post("Provision", device.provision_request()))
        listed = [row for row in self.bellhop("access", "list") if row["device"] == "comeslater"]
        self.assertEqual(listed[0]["seen"], True)
        self.bellhop("device", "allow", user.address, "comeslater")
        device.ready()

    def test_its_user_removes_it(self):
        """On his page: what keeps the phone out is laid down still, and what lets it in is gone with it."""
        for state, status in (("block", BLOCKED), ("quarantine", "1"), ("allow", "1")):
            device = self.phone("14.1")
            self.lay_down(state, device.user, device.device_id)
            web = Web(self.server)
            self.addCleanup(web.close)
            self.assertEqual(web.sign_in(self.owner).status, 200)
            self.assertEqual(web.delete("/me/devices/" + device.device_id, yes="true").status, 200)
            listed = [row for row in self.bellhop("access", "list") if row["device"] == device.device_id]
            self.assertEqual([(row["access"], row["seen"]) for row in listed], [] if state == "allow" else [(state, False)])
            device.policy_key = "0"
            self.assertEqual(device.post("Provision", device.provision_request()).status, status)
            shown = self.bellhop("device", "show", device.user, device.device_id)
            self.assertEqual(shown["access"], state)

    def test_its_user_cannot_drop_its_policy(self):
        """A phone with a policy of its own is removed by administrators only; one that is exempt by its user, too."""
        device = self.phone("14.1")
        self.bellhop("policy", "create", "Stricter", '{"DevicePasswordEnabled": true}')
        self.addCleanup(self.server.bellhop, "policy", "delete", "Stricter", "--yes", check=False)
        web = Web(self.server)
        self.addCleanup(web.close)
        self.assertEqual(web.sign_in(self.owner).status, 200)
        self.bellhop("policy", "except", device.user, device.device_id, "--policy", "Stricter")
        answer = web.delete("/me/devices/" + device.device_id, yes="true")
        self.assertEqual(answer.status, 409)
        self.assertIn("policy of its own (Stricter)", answer.body.decode())
        self.assertEqual(self.bellhop("device", "show", device.user, device.device_id)["policy"], "Stricter")
        self.bellhop("policy", "except", device.user, device.device_id)
        self.assertEqual(web.delete("/me/devices/" + device.device_id, yes="true").status, 200)


class Rules(AccessCase):
    def add(self, state, rule, *more):
        row = self.bellhop("access", "add", state, rule, *more)
        self.addCleanup(self.server.bellhop, "access", "del", str(row["id"]), "--yes", check=False)
        return row

    def test_order_and_test(self):
        user = self.user()
        block = self.add("block", "type = Gadget*")
        allow = self.add("allow", 'type = "Gadget One" and version >= 14.0', "--position", "1")
        self.assertEqual([row["id"] for row in self.bellhop("access", "rules")], [allow["id"], block["id"]])

        def test(**facts):
            options = [word for name, value in facts.items() for word in ("--" + name, value)]
            row = self.bellhop("access", "test", user.address, "--model", "m", *options)
            return row["access"], row["by"]

        self.assertEqual(test(type="Gadget One", protocol="14.1"), ("allow", f"rule {allow['id']}"))
        self.assertEqual(test(type="Gadget One", protocol="12.1"), ("block", f"rule {block['id']}"))
        self.assertEqual(test(type="Phone", protocol="12.1"), ("allow", "the default"))
        self.bellhop("access", "move", str(block["id"]), "--position", "1")
        self.assertEqual(test(type="Gadget One", protocol="14.1"), ("block", f"rule {block['id']}"))

        # A rule about what is not known yet is the one that is named, not one which holds behind it; who cannot tell, has told.
        first = self.add("quarantine", "os = Old*", "--position", "1")
        for device, protocol, expected in (("NEW1", "14.1", "undecided"), ("NEW1", "12.1", "undecided"), ("NEW1", "2.5", "block")):
            row = self.bellhop("access", "test", user.address, "--device", device, "--type", "Gadget", "--protocol", protocol)
            self.assertEqual((row["access"], row["rule"]), (expected, block["id"] if expected == "block" else first["id"]))
            self.assertIn(f"rule {row['rule']}", row["by"])
        user = self.user().address
        for wrong in ("bad id!", "A" * 33, ""):
            for verb in (("access", "set", "allow", "--address", user, "--device", wrong), ("app-password", "add", user, "Tablet", "--bind", wrong)):
                refused = self.server.bellhop(*verb, check=False)
                self.assertIn("1 to 32 letters and digits", refused.stderr, verb)
        refused = self.server.bellhop("access", "add", "block", "version = 15", check=False)
        self.assertIn('"15" is no protocol version', refused.stderr)
        refused = self.server.bellhop("access", "add", "block", "colour = red", check=False)
        self.assertIn("expected type, model", refused.stderr)

    def test_model_is_told_by_provision(self):
        """14.1: nothing but Provision until the phone has said what it is; then the rule holds."""
        user = self.user()
        self.add("block", "model = Tester")
        self.lay_down("none", user.address)
        device = user.device("14.1")
        device.policy_key = "0"
        self.assertEqual(device.folder_sync("0").status, NOT_PROVISIONED)
        # The first phase tells the model; the rule holds from then on.
        first = device.post("Provision", device.provision_request())
        self.assertEqual((first.code, first.status), (200, "1"), first)
        self.assert_refused(device.post("Provision", device.provision_request()))
        self.assertEqual(self.log(action="access", user=user.address)[0]["result"].split(":")[0], "block")

    def test_model_is_told_by_settings(self):
        """12.1: folders and nothing else for as long as it has not said what it is."""
        user = self.user()
        self.add("quarantine", "model = Tester")
        self.server.deliver(user, mail.message(subject="later"))
        device = user.device("12.1").ready()
        self.assertEqual(device.prime(), {})
        device.post("Settings", E("Settings:Settings", E("DeviceInformation", E("Set", E("Model", "Other")))))
        self.assertEqual(len(device.sync_rest()), 1)

    def test_message_names_a_stranger(self):
        """What a phone says of itself is text in the message, also where the phone asks for HTML."""
        user = self.user()
        evil = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
        device = user.device("14.1").ready()
        device.post("Settings", E("Settings:Settings", E("DeviceInformation", E("Set", E("Model", evil)))))
        self.lay_down("quarantine", user.address)
        self.assertIn(evil, body_of(device))
        page = body_of(device, "2")
        self.assertIn("&lt;img src=x", page)
        self.assertNotIn("<img", page)
        self.assertNotIn("<script", page)

    def test_user_agent_that_changes(self):
        user = self.user()
        self.add("quarantine", "agent = Evil*")
        device = user.device("14.1").ready()
        self.assertEqual(device.prime(), {})
        device.extra_headers["User-Agent"] = "EvilAgent/1"
        self.assertEqual(len(device.sync_rest()), 1)
        device.extra_headers["User-Agent"] = "GoodAgent/1"
        self.assertEqual(len(device.sync().deleted), 1)


class OverRestarts(AccessCase):
    def test_quarantine_stays(self):
        """Also when the engine is killed and the server restarted; the message is the same one."""
        user = self.user()
        self.server.deliver(user, mail.message(subject="waits for the release"))
        self.lay_down("quarantine", user.address)
        devices = [user.device(version, device_id="q" + version.replace(".", "")).ready() for version in ("2.5", "12.1", "14.1", "16.1")]
        notices = {}
        for device in devices:
            (notices[device],) = device.prime().items()

        def look():
            for device in devices:
                device.close()
                answer = retry(lambda: device.sync())  # noqa: B023 - called at once
                self.assertEqual((answer.added, answer.changed, answer.deleted), ({}, {}, []), "the message is where it was")
                rows = self.bellhop("device", "list", user.address)
                self.assertEqual({row["state"] for row in rows}, {"quarantine"})
                # Once more from the start: the same id, and the same words.
                fresh = device.clone()
                (again,) = fresh.prime().items()
                self.assertEqual((again[0], repr(again[1])), (notices[device][0], repr(notices[device][1])))
                device.keys = fresh.keys
                fresh.close()

        look()
        self.server.kill_engine()
        look()
        self.server.stop()
        self.server.start()
        look()
        waiting = devices[2].ping_send()
        self.addCleanup(waiting.close)
        self.assert_parked(waiting)
        self.server.kill_engine()
        eventually(lambda: self.server.stats().get("parked") == 1, what="the phone waits with the new engine")
        self.server.deliver(user, mail.message(subject="unseen"))
        self.assert_parked(waiting)
        self.lay_down("allow", user.address)
        self.assertEqual(devices[2].receive(waiting, 10).status, "2")
        for device in devices:
            answer = device.sync()
            self.assertEqual(answer.deleted, [notices[device][0]])
            self.assertEqual(len(answer.added), 2)


class Facts(AccessCase):
    """Each thing that a rule can ask for, with a phone that has it and one that has not; what a group is given."""

    def add(self, state, rule):
        row = self.bellhop("access", "add", state, rule)
        self.addCleanup(self.server.bellhop, "access", "del", str(row["id"]), "--yes", check=False)
        return row

    def told(self, user, number, agent="GoodAgent/1", model="Model One", os="Os 7", version="14.1", type_="Phone"):
        """A phone that has said what it is."""
        device = user.device(version, device_id=f"f{number}", device_type=type_)
        device.extra_headers["User-Agent"] = agent
        device.provision()
        device.post("Settings", E("Settings:Settings", E("DeviceInformation", E("Set", E("Model", model), E("OS", os)))))
        return device

    def test_each_fact(self):
        user = self.user()
        plain = self.told(user, 0)
        table = (("agent = Evil*", {"agent": "EvilAgent/2"}), ('model = "Model Two"', {"model": "Model Two"}),
                 ('os = "OS 6*"', {"os": "Os 6.1"}), ("version < 14.0", {"version": "12.1"}), ("version = 16.1", {"version": "16.1"}),
                 ("type = Gadget", {"type_": "Gadget"}), ("device = f6", {}),
                 ('agent = Evil* and os = "OS 5"', {"agent": "EvilAgent/3", "os": "Os 5"}))
        for number, (rule, facts) in enumerate(table, 0):
            device = self.told(user, number if not facts else number + 100, **facts)
            half = self.told(user, 200 + number, **dict(list(facts.items())[:1])) if len(facts) > 1 else None
            self.assertEqual(device.folder_sync("0").status, "1", rule)
            row = self.add("block", rule)
            self.assert_refused(device.folder_sync())
            self.assertEqual(plain.folder_sync("0").status, "1", rule)
            if half:
                self.assertEqual(half.folder_sync("0").status, "1", rule)
            self.bellhop("access", "del", str(row["id"]), "--yes")
            self.assertEqual(device.folder_sync("0").status, "1", rule)

    @forms("2.5", "12.1", "14.1", "16.1")
    def test_group(self, version, form):
        """Who joins is concerned at once, who leaves is not any more; the user's own word and a rule go before it."""
        group = f"group {version}"
        self.bellhop("group", "add", group)
        user = self.user()
        device, other = self.told(user, 1, version=version), self.told(self.user(), 1, version=version)
        device.folder_sync("0")
        device.prime()
        self.bellhop("access", "set", "block", "--group", group)
        self.assertEqual(device.folder_sync().status, "1")
        waiting = device.ping_send()
        self.addCleanup(waiting.close)
        self.assert_parked(waiting)
        self.bellhop("group", "join", group, user.address)
        self.assert_refused(device.receive(waiting, 10))
        self.assert_refused(device.folder_sync())
        self.assertEqual(other.folder_sync("0").status, "1")
        self.lay_down("allow", user.address)
        self.assertEqual(device.folder_sync().status, "1")
        self.lay_down("none", user.address)
        self.assert_refused(device.folder_sync())
        row = self.add("allow", "type = Phone")
        self.assertEqual(device.folder_sync().status, "1")
        self.bellhop("access", "del", str(row["id"]), "--yes")
        self.assert_refused(device.folder_sync())
        self.bellhop("group", "leave", group, user.address)
        self.assertEqual(device.folder_sync().status, "1")


class Report(AccessCase):
    settings = {"access.notify": "boss@example.org", "access.notify_interval_s": "10"}

    @classmethod
    def prepare(cls):
        cls.boss = cls.server.add_user("boss")

    def test_mail_to_the_administrator(self):
        user = self.user()
        self.lay_down("quarantine", user.address)
        one = user.device("14.1").ready()
        for text in body_of(one), self.bellhop("access", "message")["text"]:
            self.assertIn("Administrators are told", text)
            self.assertNotIn("please ask", text)
        reader = self.boss.device("14.1").ready()
        reader.prime()
        found = eventually(reader.sync_rest, timeout=20, what="the mail")
        (_, item), = found.items()
        self.assertIn("quarantine", item.get("Email:Subject") or item.get("Subject"))
        one.folder_sync()
        rows = self.bellhop("device", "list", user.address)
        self.assertEqual([row["state"] for row in rows], ["quarantine"])
