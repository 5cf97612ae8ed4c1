"""
Policies by name: whom they are for, which phones a change makes provision again, acknowledgments, refresh, every setting on the
wire, and what `bellhop policy` says of all that.
"""

import json
import os
import sqlite3
import time
import unittest
import xml.etree.ElementTree as ET

from eas.wbxml import E
from lib.case import ServerCase, forms

VERSIONS = ("2.5", "12.1", "14.1", "16.1")
CLASSIC = {"DevicePasswordEnabled": True, "MinDevicePasswordLength": 6, "AlphanumericDevicePasswordRequired": True,
           "MaxInactivityTimeDeviceLock": 300, "MaxDevicePasswordFailedAttempts": 8}


class PolicyCase(ServerCase):
    settings = {"push.heartbeat_min_s": "1"}
    count = 0

    def ask(self, *arguments):
        return json.loads(self.server.bellhop("policy", *arguments, "--json").stdout)

    def refused(self, *arguments):
        done = self.server.bellhop("policy", *arguments, check=False)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stderr

    def policy(self, settings=None, options=None):
        """A new one; its name."""
        type(self).count += 1
        name = f"{type(self).__name__} {self.count}"
        options = ("--options", json.dumps(options)) if options else ()
        self.ask("create", name, json.dumps(settings if settings is not None else CLASSIC), *options)
        return name

    def set(self, name, settings=None, options=None):
        arguments = [] if settings is None else [json.dumps(settings)]
        arguments += [] if options is None else ["--options", json.dumps(options)]
        return self.ask("set", *arguments, "--policy", name)

    def shown(self, device):
        return json.loads(self.server.bellhop("device", "show", device.user, device.device_id, "--json").stdout)

    def folder_sync(self, device):
        return device.post("FolderSync", E("FolderHierarchy:FolderSync", E("SyncKey", "0")))

    def assert_turned_away(self, device, status="144"):
        answer = self.folder_sync(device)
        if device.since("14.0"):
            self.assertEqual((answer.code, answer.status), (200, status), answer)
        else:
            self.assertEqual(answer.code, 449, answer)

    def assert_open(self, device):
        self.assertEqual(self.folder_sync(device).status, "1")

    def parked(self, device, **kwargs):
        device.prime()
        return self.waiting(device, **kwargs)

    def waiting(self, device, **kwargs):
        device.waiting = device.ping_send(**kwargs)
        self.addCleanup(device.waiting.close)
        self.assert_parked(device.waiting, 0.05)
        return device

    def pair(self, version):
        """Two parked phones of two users: the first is meant, the second must not notice."""
        one, other = self.phone(version), self.phone(version)
        return self.parked(one), self.parked(other)

    def assert_only(self, one, other):
        """The first is woken and must provision, then everything is as it was; the second sleeps on."""
        self.assert_ping(one.receive(one.waiting, timeout=10), "7")
        self.assert_turned_away(one)
        one.provision()
        self.assert_open(one)
        one.ping_send(one.waiting)
        self.assert_parked(one.waiting, 0.05)
        self.assert_parked(other.waiting, 0.01)

    def begin_provisioning(self, device):
        device.policy_key = "0"
        first = device.post("Provision", device.provision_request())
        self.assertEqual((first.code, first.status), (200, "1"), first)
        return first.document.find("Policies/Policy")

    def acknowledge(self, device, status):
        temporary = self.begin_provisioning(device).get("PolicyKey")
        device.policy_key = temporary
        answer = device.post("Provision", device.provision_acknowledgment(temporary, status=status))
        if answer.document is not None and answer.status == "1":
            device.policy_key = answer.document.get("Policies/Policy/PolicyKey")
        return answer


class Whose(PolicyCase):
    clock = {"rate": 4}

    @forms(*VERSIONS)
    def test_change_and_assignments(self, version, form):
        """A user's policy, its change, a group's, an exception: each makes this phone provision, and no other."""
        one, other = self.pair(version)
        name, group = self.policy(), f"group {version}"
        self.ask("assign", name, "--address", one.user)
        self.assert_only(one, other)
        policy = self.begin_provisioning(one)
        if one.since("12.0"):
            self.assertEqual(policy.get("Data/EASProvisionDoc/MinDevicePasswordLength"), "6")
        else:
            parms = {p.get("name"): p.get("value") for p in ET.fromstring(policy.get("Data")).iter("parm")}
            self.assertEqual((parms["4131"], parms["MinimumPasswordLength"], parms["PasswordComplexity"]), ("0", "6", "0"))
            self.assertEqual((parms["AEFrequencyValue"], parms["DeviceWipeThreshold"]), ("5", "8"))
        one.provision()
        self.set(name, dict(CLASSIC, MinDevicePasswordLength=8))
        self.assert_only(one, other)
        # The same document by another name is no change.
        same = self.policy(dict(CLASSIC, MinDevicePasswordLength=8))
        self.ask("assign", same, "--address", one.user)
        self.assert_parked(one.waiting, 0.05)
        self.ask("unassign", "--address", one.user)
        self.assert_only(one, other)
        self.server.bellhop("group", "add", group)
        self.ask("assign", same, "--group", group)
        self.assert_parked(one.waiting, 0.05)
        self.server.bellhop("group", "join", group, one.user)
        self.assert_only(one, other)
        self.assertEqual(self.shown(one)["policy_from"], "group " + group)
        self.ask("except", one.user, one.device_id, "--policy", self.policy({"AllowCamera": False}))
        self.assert_only(one, other)
        self.assertEqual(self.shown(one)["policy_from"], "exception for the phone")
        self.ask("except", one.user, one.device_id)
        # Exempt: it hears so, and nobody insists.
        self.assert_ping(one.receive(one.waiting, timeout=10), "7")
        one.provision()
        self.assert_open(one)
        self.assertTrue(self.shown(one)["policy_exempt"])
        self.ask("unexcept", one.user, one.device_id)
        self.assert_turned_away(one)
        one.provision()
        self.assert_parked(other.waiting, 0.01)

    def test_domain(self):
        self.server.add_domain("other.example")
        user = self.server.add_user(domain="other.example")
        device, inside = self.phone("14.1", user=user), self.phone("14.1")
        self.ask("assign", self.policy(), "--domain", "other.example")
        self.assert_turned_away(device)
        self.assert_open(inside)
        device.provision()
        self.assert_open(device)
        effective = self.ask("effective", device.user, device.device_id)
        self.assertEqual((effective["policy_from"], effective["policy_status"]), ("domain other.example", "full"))

    def test_exempt_phone_never_provisions(self):
        user = self.user()
        device = user.device("14.1")
        self.ask("except", device.user)
        self.assert_open(device)

    @forms(*VERSIONS)
    def test_exempt_no_more(self, version, form):
        """A phone that never had to provision is woken when it has to, as any other."""
        user = self.user()
        self.ask("except", user.address)
        device = user.device(version)
        self.assertEqual(device.folder_sync("0").status, "1")
        self.parked(device)
        self.ask("unexcept", user.address)
        self.assert_ping(device.receive(device.waiting, timeout=10), "7")
        self.assert_turned_away(device, "142")
        device.provision()
        self.assert_open(device)
        device.ping_send(device.waiting)
        self.assert_parked(device.waiting, 0.05)

    def test_renewals_and_memory_end(self):
        """Between two Pings, on the same connection and on another one: the next is told."""
        device = self.phone("14.1")
        name = self.policy()
        self.parked(device, heartbeat=1)
        self.assert_ping(device.receive(device.waiting), "1")
        self.ask("assign", name, "--address", device.user)
        device.ping_send(device.waiting, heartbeat=1)
        self.assert_ping(device.receive(device.waiting, timeout=10), "7")
        device.provision()
        self.parked(device, heartbeat=1)
        self.assert_ping(device.receive(device.waiting), "1")
        device.waiting.close()
        self.set(name, dict(CLASSIC, AllowCamera=False))
        self.assert_ping(device.ping(heartbeat=1, timeout=10), "7")
        self.assert_turned_away(device)

    def test_restart_of_the_engine(self):
        """A change while the phone sleeps through a restart is told; no change is not."""
        one, other = self.pair("14.1")
        self.server.kill_engine()
        self.ask_again("assign", self.policy(), "--address", one.user)
        self.assert_only(one, other)

    def ask_again(self, *arguments):
        for _ in range(100):
            done = self.server.bellhop("policy", *arguments, check=False)
            if done.returncode == 0:
                return
        self.fail(done.stderr)


class Acknowledgments(PolicyCase):
    @forms(*VERSIONS)
    def test_statuses(self, version, form):
        """Partial, refused, other: let in or not as the policy says, and seen by the administrator."""
        user = self.user()
        device = user.device(version)
        name = self.policy(options={"allow_partial": True, "allow_refused": False, "allow_other": False})
        self.ask("assign", name, "--address", user.address)
        for report, word, refusal in (("2", "partial", None), ("3", "refused", "139"), ("4", "other", "145"), ("1", "full", None)):
            answer = self.acknowledge(device, report)
            shown = self.shown(device)
            self.assertEqual(shown["policy_status"], word)
            self.assertEqual(shown["policy_current"], refusal is None)
            if refusal is None:
                self.assertEqual(answer.status, "1", answer)
                self.assert_open(device)
            else:
                self.assertTrue(answer.code == 403 if not device.since("14.0") else answer.status == refusal, answer)
                self.assert_turned_away(device, "142")
        listed = json.loads(self.server.bellhop("device", "list", user.address, "--json").stdout)
        self.assertEqual([(row["policy"], row["policy_status"]) for row in listed], [(name, "full")])

    def test_in_part_is_not_enough_any_more(self):
        """The same document, but its policy lets nobody in now who does not obey it all; and back."""
        device = self.phone("14.1")
        name = self.policy(options={"allow_partial": True})
        self.ask("assign", name, "--address", device.user)
        self.assertEqual(self.acknowledge(device, "2").status, "1")
        self.parked(device)
        self.set(name, options={"allow_partial": False})
        self.assert_ping(device.receive(device.waiting, timeout=10), "7")
        self.assert_turned_away(device)
        self.assertEqual(self.acknowledge(device, "2").status, "139")
        log = json.loads(self.server.bellhop("log", "list", "--json", "--limit", "20").stdout)
        self.assertIn(name + ": partial, let in", [row["result"] for row in log if row["action"] == "policy acknowledged"])
        self.set(name, options={"allow_partial": True})
        self.assertEqual(self.acknowledge(device, "2").status, "1")
        self.assert_open(device)

    @forms(*VERSIONS)
    def test_kept_out_until_it_changes(self, version, form):
        """A phone that was kept out waits in peace until its policy is another one, or lets it in."""
        device = self.phone(version)
        device.prime()
        name = self.policy(options={"allow_partial": False})
        self.ask("assign", name, "--address", device.user)
        self.assertNotEqual(self.acknowledge(device, "2").status, "1")
        self.waiting(device)
        self.set(name, dict(CLASSIC, AllowCamera=False))
        self.assert_ping(device.receive(device.waiting, timeout=10), "7")
        self.assert_turned_away(device, "142")
        self.assertNotEqual(self.acknowledge(device, "2").status, "1")
        device.ping_send(device.waiting)
        self.assert_parked(device.waiting, 0.05)
        self.set(name, options={"allow_partial": True})
        self.assert_ping(device.receive(device.waiting, timeout=10), "7")
        self.assertEqual(self.acknowledge(device, "2").status, "1")
        self.assert_open(device)

    def answers(self, name):
        row = next(row for row in self.ask("list") if row["policy"] == name)
        return {word: row[word] for word in ("full", "partial", "refused", "other", "waiting") if row[word]}

    def test_an_answer_is_to_one_document(self):
        """What was said of the policy as it was is no answer to it as it is, though the phone has fetched that."""
        device = self.phone("14.1")
        name = self.policy()
        self.ask("assign", name, "--address", device.user)
        device.provision()
        self.assertEqual(self.answers(name), {"full": 1})
        self.set(name, {"AllowCamera": False})
        self.assertEqual(self.answers(name), {"waiting": 1})
        self.begin_provisioning(device)
        self.assertEqual((self.answers(name), self.shown(device)["policy_status"]), ({"waiting": 1}, "none"))
        self.acknowledge(device, "2")
        # The same document once more.
        self.begin_provisioning(device)
        self.assertEqual((self.answers(name), self.shown(device)["policy_status"]), ({"partial": 1}, "partial"))

    def test_policy_changed_between_the_phases(self):
        device = self.phone("14.1")
        name = self.policy()
        self.ask("assign", name, "--address", device.user)
        temporary = self.begin_provisioning(device).get("PolicyKey")
        self.set(name, {"AllowCamera": False})
        device.policy_key = temporary
        answer = device.post("Provision", device.provision_acknowledgment(temporary))
        device.policy_key = answer.document.get("Policies/Policy/PolicyKey")
        self.assert_turned_away(device)
        device.provision()
        self.assert_open(device)

    def test_not_required(self):
        device = self.user().device("14.1")
        self.ask("assign", self.policy(options={"required": False}), "--address", device.user)
        self.assert_open(device)


class Refresh(PolicyCase):
    def test_interval_over(self):
        """While phones wait their interval ends: they are woken, meet 143, and are good for another one."""
        name, other = self.policy({}, {"refresh_interval_h": 2}), self.parked(self.phone("14.1"))
        devices = [self.phone(version) for version in VERSIONS]
        for device in devices:
            self.ask("assign", name, "--address", device.user)
            device.provision()
            device.prime()
        for device in devices:
            self.provisioned_at(device, int(time.time()) - 2 * 3600 + 2)
            device.waiting = device.ping_send()
            self.addCleanup(device.waiting.close)
        self.assert_parked(devices[0].waiting, 0.05)
        for device in devices:
            self.assert_ping(device.receive(device.waiting, timeout=20), "7")
            self.assert_turned_away(device, "143")
            device.provision()
            self.assert_open(device)
            self.assertGreater(self.shown(device)["policy_refresh_at"], time.time() + 3600)
        devices[0].ping_send(devices[0].waiting)
        self.assert_parked(devices[0].waiting, 0.05)
        self.assert_parked(other.waiting, 0.01)

    def provisioned_at(self, device, at):
        with sqlite3.connect(os.path.join(self.server.data, "bellhop.db"), timeout=10) as db:
            self.assertEqual(db.execute("UPDATE devices SET provisioned_at = ? WHERE device_id = ?",
                                        (at, device.device_id)).rowcount, 1)

    def test_held_sync(self):
        """A Sync that waits is answered as a command would be."""
        name, waiting = self.policy({}, {"refresh_interval_h": 2}), []
        for version, status in (("12.1", "449"), ("14.1", "143"), ("16.1", "143")):
            device = self.phone(version)
            self.ask("assign", name, "--address", device.user)
            device.provision()
            device.prime()
            waiting.append((device, status))
        for device, _ in waiting:
            self.provisioned_at(device, int(time.time()) - 2 * 3600 + 2)
            device.send("Sync", device.sync_request(device.collection(device.inbox), wait="1"))
        for device, status in waiting:
            answer = device.receive()
            self.assertIn(status, (str(answer.code), answer.status), answer)

    def test_shorter_interval_counts_at_once(self):
        device = self.phone("14.1")
        name = self.policy({}, {"refresh_interval_h": 9999})
        self.ask("assign", name, "--address", device.user)
        device.provision()
        self.provisioned_at(device, int(time.time()) - 5000)
        self.parked(device)
        self.set(name, options={"refresh_interval_h": 1})
        self.assert_ping(device.receive(device.waiting, timeout=10), "7")
        self.assert_turned_away(device, "143")


class Document(PolicyCase):
    def document(self, user, version):
        return self.begin_provisioning(user.device(version)).find("Data/EASProvisionDoc")

    def test_every_setting(self):
        """Each setting with a value of its own, in every version which has it and in no other."""
        user = self.user()
        table = self.ask("settings")
        self.assertEqual([row["group"] for row in table[:5]], ["classic"] * 5)
        values = {}
        for row in table:
            if row["type"] == "boolean":
                values[row["setting"]] = not row["default"]
            elif row["type"] == "number":
                values[row["setting"]] = row["maximum"] if row["maximum"] != row["default"] else row["minimum"]
        values.update(DevicePasswordEnabled=True, MinDevicePasswordLength=18, UnapprovedInROMApplicationList=["game.exe", "a<b.exe"],
                      ApprovedApplicationList=["0123456789abcdef0123456789abcdef01234567"])
        self.assertEqual(set(values), {row["setting"] for row in table})
        self.ask("assign", self.policy(values), "--address", user.address)
        for version in ("12.0", "12.1", "14.0", "14.1", "16.0", "16.1"):
            document = self.document(user, version)
            known = {row["setting"] for row in table if row["since"] in ("2.5", "12.0") or version != "12.0"}
            self.assertEqual(set(document.names()), known, version)
            for name in known:
                element = document.find(name)
                if isinstance(values[name], list):
                    self.assertEqual([child.text for child in element.children], values[name])
                elif name == "MinDevicePasswordLength":
                    self.assertEqual(element.text, "16")  # the protocol ends there
                else:
                    self.assertEqual(element.text, str(int(values[name])), name)
        text = self.begin_provisioning(user.device("2.5")).get("Data")
        parms = {p.get("name"): p.get("value") for p in ET.fromstring(text).iter("parm")}
        self.assertEqual(parms["MinimumPasswordLength"], "18")

    def test_nothing_demanded(self):
        user = self.user()
        self.ask("assign", self.policy({}), "--address", user.address)
        document = self.document(user, "16.1")
        for name in ("MinDevicePasswordLength", "MaxAttachmentSize", "ApprovedApplicationList", "UnapprovedInROMApplicationList"):
            self.assertFalse(document.find(name).text or document.find(name).children, name)
        self.assertEqual(document.get("DevicePasswordEnabled"), "0")
        text = self.begin_provisioning(user.device("2.5")).get("Data")
        self.assertEqual({p.get("name"): p.get("value") for p in ET.fromstring(text).iter("parm")}, {"4131": "1", "4133": "1"})


class Verbs(PolicyCase):
    def test_life_of_a_policy(self):
        first = self.ask("show")
        self.assertEqual((first["policy"], first["default"]), ("default", True))
        name = self.policy(dict(CLASSIC), {"required": True})
        copy = name + " copy"
        self.assertEqual(self.ask("copy", name, copy)["policy"], copy)
        shown = self.ask("show", copy.upper())
        self.assertEqual((shown["settings"]["MinDevicePasswordLength"], shown["options"]["required"]), (6, True))
        self.assertIn("default policy", self.refused("delete", "default", "--yes"))
        self.ask("default", copy)
        self.assertTrue(self.ask("show")["policy"] == copy)
        self.assertEqual(self.ask("list")[0]["policy"], copy)
        self.ask("default", "default")
        user = self.user()
        self.ask("assign", copy, "--address", user.address)
        self.assertIn("has 1 assignment or exception: take it away", self.refused("delete", copy, "--yes"))
        self.assertEqual(self.ask("show", copy)["assignments"], [{"kind": "user", "name": user.address}])
        self.ask("unassign", "--address", user.address)
        self.ask("delete", copy, "--yes")
        self.assertIn("there is no policy", self.refused("show", copy))
        self.assertIn(name, [row["policy"] for row in self.ask("list")])

    def test_merge(self):
        name = self.policy()
        self.ask("set", '{"AllowCamera": false, "MinDevicePasswordLength": null}', "--policy", name, "--merge")
        settings = self.ask("show", name)["settings"]
        self.assertEqual((settings["AllowCamera"], settings["DevicePasswordEnabled"], settings["MinDevicePasswordLength"]),
                         (False, True, None))

    def test_refusals(self):
        name, user = self.policy(), self.user()
        for arguments, word in (
                (("create", name), "already"), (("create", "a/b"), "name of a policy"), (("create", "a\u202eb"), "does not show"), (("show", "nothing"), "there is no policy"),
                (("set", "--policy", name), "needs settings"), (("set", '{"MinDevicePasswordLength": 19}'), "1 to 18"),
                (("set", "--policy", name, "--options", '{"requird": true}'), "requird"), (("assign", name), "one of"),
                (("assign", name, "--address", user.address, "--group", "x"), "one of"),
                (("assign", name, "--group", "nothing"), "there is no group"), (("assign", name, "--domain", "no.example"), "there is no domain"),
                (("except", user.address, "nophone"), "has no phone"), (("unexcept", user.address), "there is no such exception"),
                (("unassign", "--address", user.address), "there is no such assignment")):
            self.assertIn(word, self.refused(*arguments), arguments)

    def test_lists_and_effects(self):
        user = self.user()
        device = user.device("14.1", device_type="iPhone")
        name = self.policy({"DevicePasswordEnabled": True, "AllowBluetooth": 0, "AllowCamera": False})
        self.ask("except", user.address, "--policy", name)
        self.assertIn({"kind": "user", "name": user.address, "policy": name, "exempt": False}, self.ask("exceptions"))
        device.provision()
        effective = self.ask("effective", user.address, device.device_id)
        self.assertEqual((effective["platform"], effective["policy"], effective["policy_from"]), ("ios", name, "exception for the user"))
        effects = {row["setting"]: row["effect"] for row in effective["settings"]}
        self.assertEqual(effects, {"DevicePasswordEnabled": "enforced", "AllowBluetooth": "ignored", "AllowCamera": "enforced"})
        confirmed = {row["setting"]: (row["confirmed"], bool(row["source"])) for row in effective["settings"]}
        self.assertEqual(confirmed, {"DevicePasswordEnabled": (True, True), "AllowBluetooth": (False, False), "AllowCamera": (False, False)})
        self.assertTrue(all(row["android_confirmed"] and row["android_source"] for row in self.ask("settings")))
        self.assertEqual(self.shown(device)["policy_settings"], effective["settings"])
        everything = self.ask("effective", user.address, "--all")["settings"]
        self.assertEqual(len(everything), len(self.ask("settings")))
        self.assertLessEqual({"ios", "android", "windows_mobile"}, set(everything[0]))
        for arguments in (("list",), ("show", name), ("settings",), ("effective", user.address, device.device_id), ("exceptions",)):
            self.assertTrue(self.server.bellhop("policy", *arguments).stdout)


if __name__ == "__main__":
    unittest.main()
