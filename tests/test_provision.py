"""Provision: both phases in every version, the checks of the key on other commands, remote wipe."""

import unittest
import xml.etree.ElementTree as ET

from eas.wbxml import E
from lib.case import ServerCase, every_form, forms

NOT_PROVISIONED, INVALID_KEY, WIPE = "142", "144", "140"


class ProvisionCase(ServerCase):
    def folder_sync(self, device):
        return device.post("FolderSync", E("FolderHierarchy:FolderSync", E("SyncKey", "0")))

    def assert_demands_provision(self, device, *statuses):
        """449 without a body up to 12.1, one of the statuses from 14.0 on."""
        answer = self.folder_sync(device)
        if device.since("14.0"):
            self.assertEqual(answer.code, 200, answer)
            self.assertIn(answer.status, statuses, answer)
            self.assertEqual(answer.document.name, "FolderSync")
        else:
            self.assertEqual(answer.code, 449, answer)
            self.assertEqual(answer.http.body, b"")

    def assert_open(self, device):
        answer = self.folder_sync(device)
        self.assertEqual((answer.code, answer.status), (200, "1"), answer)


class Phases(ProvisionCase):
    @every_form
    def test_two_phases(self, version, form):
        device = self.user().device(version, form)
        self.assert_demands_provision(device, NOT_PROVISIONED)

        first = device.post("Provision", device.provision_request())
        self.assertEqual((first.code, first.status), (200, "1"), first)
        policy = first.document.find("Policies/Policy")
        self.assertEqual(policy.get("Status"), "1")
        self.assertEqual(policy.get("PolicyType"), device.policy_type())
        temporary = policy.get("PolicyKey")
        self.assertTrue(0 < int(temporary) < 1 << 32)
        self.assertEqual(policy.names()[-1], "Data")
        self.assertEqual(first.document.has("Settings:DeviceInformation"), device.since("14.1"))
        if device.since("12.0"):
            document = policy.find("Data/EASProvisionDoc")
            self.assertIsNotNone(document)
            self.assertTrue(document.has("DevicePasswordEnabled"))
        else:
            self.check_wap(policy.get("Data"))

        # The temporary key opens nothing else.
        device.policy_key = temporary
        self.assert_demands_provision(device, NOT_PROVISIONED, INVALID_KEY)

        second = device.post("Provision", device.provision_acknowledgment(temporary))
        self.assertEqual((second.code, second.status), (200, "1"), second)
        policy = second.document.find("Policies/Policy")
        self.assertEqual(policy.get("Status"), "1")
        self.assertFalse(policy.has("Data"))
        final = policy.get("PolicyKey")
        self.assertNotIn(final, (temporary, "0"))

        # A lost answer: the same acknowledgment gives the same key.
        again = device.post("Provision", device.provision_acknowledgment(temporary))
        self.assertEqual(again.document.get("Policies/Policy/PolicyKey"), final)

        device.policy_key = final
        self.assert_open(device)
        for wrong in (temporary, str(int(final) ^ 1)):
            device.policy_key = wrong
            self.assert_demands_provision(device, NOT_PROVISIONED, INVALID_KEY)
        device.policy_key = final
        self.assert_open(device)

    def check_wap(self, text):
        root = ET.fromstring(text)
        self.assertEqual(root.tag, "wap-provisioningdoc")
        types = [c.get("type") for c in root.findall("characteristic")]
        self.assertEqual(types[0], "SecurityPolicy")
        parms = {p.get("name"): p.get("value") for p in root.iter("parm")}
        self.assertIn(parms["4131"], ("0", "1"))

    @every_form
    def test_keys_of_devices_differ(self, version, form):
        user = self.user()
        one, other = user.device(version, form).provision(), user.device(version, form).provision()
        self.assertNotEqual(one.policy_key, other.policy_key)
        one.policy_key, other.policy_key = other.policy_key, one.policy_key
        self.assert_demands_provision(one, INVALID_KEY)

    @every_form
    def test_bad_acknowledgments(self, version, form):
        device = self.user().device(version, form)
        first = device.post("Provision", device.provision_request())
        temporary = first.document.get("Policies/Policy/PolicyKey")
        device.policy_key = temporary
        answer = device.post("Provision", device.provision_acknowledgment(str(int(temporary) ^ 1)))
        self.assertEqual(answer.document.get("Policies/Policy/Status"), "5", answer)
        self.assertFalse(answer.document.has("Policies/Policy/PolicyKey"))
        # Status before PolicyKey.
        swapped = E("Provision:Provision", E("Policies", E("Policy", E("PolicyType", device.policy_type()), E(
            "Status", "1"), E("PolicyKey", temporary))))
        self.assertEqual(device.post("Provision", swapped).status, "2")
        # What became of it is not said.
        silent = E("Provision:Provision", E("Policies", E("Policy", E("PolicyType", device.policy_type()), E("PolicyKey", temporary))))
        answer = device.post("Provision", silent)
        self.assertEqual((answer.status, answer.document.has("Policies/Policy/PolicyKey")), ("2", False), answer)
        # The good one still works.
        good = device.post("Provision", device.provision_acknowledgment(temporary))
        self.assertEqual(good.document.get("Policies/Policy/Status"), "1")

    @every_form
    def test_policy_types(self, version, form):
        device = self.user().device(version, form)
        other = "MS-WAP-Provisioning-XML" if device.since("12.0") else "MS-EAS-Provisioning-WBXML"
        for type_ in ("Nonsense", other):
            answer = device.post("Provision", device.provision_request(policy_type=type_))
            self.assertEqual(answer.document.get("Policies/Policy/Status"), "3", type_)
            self.assertFalse(answer.document.has("Policies/Policy/Data"))
        missing = E("Provision:Provision", device.provision_request().elements[0] if device.since("14.1") else None,
                    E("Policies", E("Policy")))
        self.assertEqual(device.post("Provision", missing).status, "2")

    @every_form
    def test_device_information(self, version, form):
        """Demanded from 14.1 on (165)."""
        device = self.user().device(version, form)
        answer = device.post("Provision", device.provision_request(information=False))
        self.assertEqual(answer.status, "165" if device.since("14.1") else "1")
        if device.since("14.1"):
            answer = device.post("Provision", device.provision_request())
            self.assertEqual(answer.document.get("Settings:DeviceInformation/Status"), "1")
            listed = self.server.bellhop("device", "list").stdout
            self.assertIn(device.device_id, listed)

    @every_form
    def test_empty_provision(self, version, form):
        """An empty element or no body at all: no wipe is ordered, so nothing but a status."""
        device = self.user().device(version, form).provision()
        answer = device.post("Provision", E("Provision:Provision"))
        self.assertEqual((answer.code, answer.status), (200, "1"), answer)
        self.assertFalse(answer.document.has("RemoteWipe"))
        answer = device.post("Provision")
        self.assertEqual(answer.code, 200, answer)
        self.assertIn(answer.status, ("1", "2"))

    @every_form
    def test_client_reports(self, version, form):
        """Partly applied: fine, as non-provisionable devices are allowed. Third party: 145."""
        device = self.user().device(version, form)
        temporary = device.post("Provision", device.provision_request()).document.get("Policies/Policy/PolicyKey")
        device.policy_key = temporary
        answer = device.post("Provision", device.provision_acknowledgment(temporary, status="2"))
        self.assertEqual(answer.status, "1", answer)
        device.policy_key = answer.document.get("Policies/Policy/PolicyKey")
        self.assert_open(device)

    def test_keys_survive_a_restart(self):
        devices = [self.user().device(version).provision() for version in ("2.5", "14.1")]
        self.server.stop()
        self.server.start()
        for device in devices:
            device.close()
            self.assert_open(device)

    def test_command_without_key(self):
        """
        A client of 2.5 which sends no key is told to provision; when it comes again all the same it cannot, and is let in,
        because such devices are allowed here. Later versions have to provision.
        """
        device = self.user().device("2.5")
        device.policy_key = None
        codes = [self.folder_sync(device).code for _ in range(8)]
        self.assertEqual((codes[0], codes[-1]), (449, 200), codes)
        self.assertEqual(codes, sorted(codes, reverse=True))
        for version in ("12.1", "14.1"):
            device = self.user().device(version)
            device.policy_key = None
            answer = self.folder_sync(device)
            if device.since("14.0"):
                self.assertIn(answer.status, ("141", "142"))
            else:
                self.assertIn(answer.code, (449, 403))

    def test_malformed(self):
        device = self.user().device("14.1")
        for document in (
                E("Provision:Provision", E("Policies")),
                E("Provision:Provision", E("Policies", E("Policy", E("PolicyType", "x")), E("Policies"))),
                E("AirSync:Sync"), E("Provision:Provision", E("AirSync:Collections"))):
            answer = device.post("Provision", document)
            self.assertEqual(answer.code, 200)
            self.assertIn(answer.status, ("2", "103", "165"), document)


class Strict(ProvisionCase):
    settings = {"policy.allow_non_provisionable": "no"}

    @every_form
    def test_partly_applied_is_refused(self, version, form):
        device = self.user().device(version, form)
        for report in ("2", "3"):
            device.policy_key = "0"
            temporary = device.post("Provision", device.provision_request()).document.get("Policies/Policy/PolicyKey")
            device.policy_key = temporary
            answer = device.post("Provision", device.provision_acknowledgment(temporary, status=report))
            if device.since("14.0"):
                self.assertEqual(answer.status, "139", answer)
            else:
                self.assertTrue(answer.code == 403 or answer.status == "139", answer)
            self.assertNotEqual(self.folder_sync(device).status, "1")
        device.provision()
        self.assert_open(device)

    def test_old_devices_are_refused(self):
        device = self.user().device("2.5")
        device.policy_key = None
        for _ in range(8):
            self.assertIn(self.folder_sync(device).code, (403, 449))


class NotRequired(ProvisionCase):
    settings = {"policy.required": "no"}

    @every_form
    def test_commands_without_a_key(self, version, form):
        device = self.user().device(version, form)
        self.assert_open(device)
        device.provision()
        self.assert_open(device)


class PolicyChange(ProvisionCase):
    @every_form
    def test_policy_changed(self, version, form):
        device = self.user().device(version, form).provision()
        self.assert_open(device)
        length = str(4 + len(version) + len(form))
        self.server.bellhop("policy", "set", '{"DevicePasswordEnabled": 1, "MinDevicePasswordLength": %s}' % length)
        self.assert_demands_provision(device, INVALID_KEY)
        first = device.post("Provision", device.provision_request())
        data = first.document.find("Policies/Policy/Data")
        if device.since("12.0"):
            self.assertEqual(data.get("EASProvisionDoc/DevicePasswordEnabled"), "1")
            self.assertEqual(data.get("EASProvisionDoc/MinDevicePasswordLength"), length)
        else:
            parms = {p.get("name"): p.get("value") for p in ET.fromstring(data.text).iter("parm")}
            self.assertEqual(parms["4131"], "0")
            self.assertEqual(parms["MinimumPasswordLength"], length)
        device.provision()
        self.assert_open(device)

    def test_bad_policies_are_refused(self):
        for text in ("{", "[]", '{"Nonsense": 1}', '{"DevicePasswordEnabled": "perhaps"}', '{"MinDevicePasswordLength": 99}'):
            done = self.server.bellhop("policy", "set", text, check=False)
            self.assertNotEqual(done.returncode, 0, text)
            self.assertNotEqual(done.stdout + done.stderr, "")


class Wipe(ProvisionCase):
    def order(self, device):
        self.server.bellhop("device", "wipe", device.user, device.device_id, "--yes")

    @every_form
    def test_wipe(self, version, form):
        device = self.user().device(version, form).provision()
        self.order(device)
        self.assert_demands_provision(device, WIPE)
        # Other devices of the user are not concerned.
        self.assert_open(device.clone(device_id=device.device_id + "x", policy_key="0").provision())

        directive = device.post("Provision", E("Provision:Provision"))
        self.assertEqual((directive.code, directive.status), (200, "1"))
        self.assertTrue(directive.document.has("RemoteWipe"), directive)
        self.assertEqual(directive.document.find("RemoteWipe").children, [])
        self.assertFalse(directive.document.has("AccountOnlyRemoteWipe"))

        failed = device.post("Provision", E("Provision:Provision", E("RemoteWipe", E("Status", "2"))))
        self.assertEqual(failed.status, "2")
        self.assertTrue(failed.document.has("RemoteWipe"))
        self.assert_demands_provision(device, WIPE)

        # iOS 5 puts a stray Status before RemoteWipe.
        done = device.post("Provision", E("Provision:Provision", E("Status", "1"), E("RemoteWipe", E("Status", "1"))))
        self.assertEqual((done.code, done.status), (200, "1"), done)
        self.assertFalse(done.document.has("RemoteWipe"))
        # The device may not go on as if nothing had been.
        self.assertNotEqual(self.folder_sync(device).status, "1")

    @forms("2.5", "14.1")
    def test_initial_request_meets_the_order(self, version, form):
        device = self.user().device(version, form).provision()
        self.order(device)
        answer = device.post("Provision", device.provision_request())
        self.assertTrue(answer.document.has("RemoteWipe"))

    def test_without_key_header(self):
        device = self.user().device("12.1").provision()
        self.order(device)
        device.policy_key = None
        self.assertEqual(self.folder_sync(device).code, 403)

    def test_taken_back(self):
        device = self.user().device("14.1").provision()
        self.order(device)
        self.assert_demands_provision(device, WIPE)
        self.server.bellhop("device", "cancel", device.user, device.device_id)
        device.provision()
        self.assert_open(device)

    def test_acknowledgment_without_order(self):
        device = self.user().device("14.1").provision()
        answer = device.post("Provision", E("Provision:Provision", E("RemoteWipe", E("Status", "1"))))
        self.assertEqual(answer.status, "2")
        self.assert_open(device)

    def test_needs_yes(self):
        device = self.user().device("14.1").provision()
        done = self.server.bellhop("device", "wipe", device.user, device.device_id, check=False, input="")
        self.assertNotEqual(done.returncode, 0)
        self.assert_open(device)


class Blocked(ProvisionCase):
    @every_form
    def test_blocked(self, version, form):
        device = self.user().device(version, form).provision()
        self.server.bellhop("device", "block", device.user, device.device_id)
        answer = self.folder_sync(device)
        if device.since("14.0"):
            self.assertEqual(answer.status, "129")
        else:
            self.assertEqual(answer.code, 403)
        self.server.bellhop("device", "unblock", device.user, device.device_id)
        self.assert_open(device)


if __name__ == "__main__":
    unittest.main()
