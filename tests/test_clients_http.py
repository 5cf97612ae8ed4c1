"""Habits of clients in HTTP, the query, Provision and account set-up (docs/CLIENTS.md): lines 1 to 7."""

import gzip
import os

from eas import query, wbxml
from eas.client import WBXML_TYPE, basic
from eas.query import PATH
from eas.wbxml import E
from lib import mail
from lib.case import ServerCase, every_form, forms
from lib.habits import CLIENTS, Client, check_answer
from test_sync import FAKETIME

FOLDER_SYNC = wbxml.encode(E("FolderHierarchy:FolderSync", E("SyncKey", "0")))


class QueryString(ServerCase):
    def post(self, device, target, headers=None):
        fields = device.headers("FolderSync", WBXML_TYPE)
        fields.update(headers or {})
        with device.connect() as connection:
            connection.request("POST", target, fields, FOLDER_SYNC)
            return device.receive(connection)

    def test_parameters_in_any_order(self):
        device = self.phone("14.1")
        pairs = ["Cmd=FolderSync", "User=u", f"DeviceId={device.device_id}", "DeviceType=TestPhone"]
        for shift in range(len(pairs)):
            for order in (pairs[shift:] + pairs[:shift], list(reversed(pairs[shift:] + pairs[:shift]))):
                self.assertEqual(self.post(device, f"{PATH}?{'&'.join(order)}").status, "1", order)

    def test_base64_unpadded(self):
        """Whatever its length modulo 3."""
        for length in (8, 9, 10):
            device = self.phone("14.1", "base64", device_id="d" * length)
            target = device.target("FolderSync")
            self.assertEqual(self.post(device, target.rstrip("=")).status, "1", target)

    def test_device_id_of_16_octets(self):
        """Binary ones are told apart, and remembered."""
        user = self.user()
        one = user.device("12.1", "base64", device_id=bytes(range(0xF0, 0x100))).ready()
        other = user.device("12.1", "base64", device_id=bytes(range(0xE0, 0xF0))).ready()
        self.assertEqual([one.folder_sync().status, other.folder_sync().status], ["1", "1"])
        self.assertEqual(self.server.bellhop("device", "list", user.address).stdout.count(user.address), 2)

    def test_device_id_of_16_letters(self):
        """The same length in ASCII is text."""
        device = self.phone("12.1", "base64", device_id=b"ABCDEF0123456789")
        self.assertIn("ABCDEF0123456789", self.server.bellhop("device", "list", self.owner.address).stdout)
        self.assertEqual(device.clone(form="plain", device_id="ABCDEF0123456789").folder_sync().status, "1")

    def test_version_octet_0x91(self):
        """An odd octet for 14.1, with and without the header."""
        device = self.phone("14.1", "base64")
        odd = f"{PATH}?{query.encoded('FolderSync', 0x91, device.device_id, device.device_type, device.policy_key)}"
        self.assertEqual(self.post(device, odd, {"MS-ASProtocolVersion": "14.1"}).status, "1")
        self.assertEqual(self.post(device, odd).status, "1")

    def test_version_header_wins(self):
        """Over the octet: a Sync state of 12.1 is good for a request whose octet says 14.1 and whose header says 12.1."""
        device = self.phone("12.1", "base64")
        device.prime()
        body = wbxml.encode(device.sync_request(device.collection(device.inbox)))
        target = f"{PATH}?{query.encoded('Sync', '14.1', device.device_id, device.device_type, device.policy_key)}"
        fields = device.headers("Sync", WBXML_TYPE)
        fields["MS-ASProtocolVersion"] = "12.1"
        with device.connect() as connection:
            connection.request("POST", target, fields, body)
            answer = device.receive(connection)
        self.assertEqual((answer.code, answer.document), (200, None))

    def test_user_field_of_tag_8(self):
        device = self.phone("14.1", "base64")
        for user in ("someone@example.org", "ü", "x" * 255, ""):
            encoded = query.encoded("FolderSync", "14.1", device.device_id, device.device_type, device.policy_key, {"User": user})
            self.assertEqual(self.post(device, f"{PATH}?{encoded}").status, "1", user)

    def test_policy_key_of_length_zero(self):
        """The key of the header counts then."""
        device = self.phone("14.1", "base64")
        target = f"{PATH}?{query.encoded('FolderSync', '14.1', device.device_id, device.device_type)}"
        self.assertEqual(self.post(device, target).status, "142")
        self.assertEqual(self.post(device, target, {"X-MS-PolicyKey": device.policy_key}).status, "1")


class Headers(ServerCase):
    @forms("2.5", "14.1", ("16.1", "base64"))
    def test_header_names_in_any_case(self, version, form):
        for case in (str.lower, str.upper, str.swapcase, str.title):
            device = Client(self.server, self.user(), {"version": version, "form": form, "header_case": case, "agent": "x"})
            device.ready()
            device.prime()
            device.close()

    @every_form
    def test_gzip_bodies(self, version, form):
        """Of requests, as Samsung's; and of answers, when they are asked for."""
        user = self.user()
        device = Client(self.server, user, {"version": version, "form": form, "gzip": True, "agent": "x",
                                            "headers": {"Accept-Encoding": "gzip"}}).ready()
        self.deliver(user, "large", text="line\r\n" * 2000)
        device.sync(key="0")
        answer = device.sync(options=device.options(body=[("1",)], truncation="8" if version == "2.5" else None))
        self.assertEqual(answer.subjects(), ["large"])
        self.assertEqual(answer.http.header("Content-Encoding"), "gzip")

    def test_gzip_mail_of_old_versions(self):
        user = self.user()
        device = Client(self.server, user, {"version": "12.1", "agent": "x"}).ready()
        body = gzip.compress(mail.message("zipped", sender=user.address, to=user.address))
        answer = device.post("SendMail", body=body, content_type="message/rfc822", headers={"Content-Encoding": "gzip"})
        self.assertEqual((answer.code, answer.http.body), (200, b""))
        self.assertEqual([d.get("Email:Subject") for d in device.prime().values()], ["zipped"])

    @every_form
    def test_credentials_in_both_charsets(self, version, form):
        user = self.user(password="pâssWörd €"[:8] + "ÿ")
        for charset in ("utf-8", "latin-1"):
            device = user.device(version, form)
            device.authorization = basic(user.address, user.password, charset)
            device.ready()
            device.close()

    def test_versions_ascending(self):
        user = self.user()
        answer = Client(self.server, user, CLIENTS["ios"]).options_request()
        versions = answer.header("MS-ASProtocolVersions").split(",")
        self.assertEqual(versions, sorted(versions, key=float))
        self.assertEqual(versions[-1], "16.1")

    @every_form
    def test_without_options(self, version, form):
        """Some never ask; the first request of all is Provision, or FolderSync."""
        device = self.user().device(version, form)
        self.assertIn(device.folder_sync("0").status, (None, "142"))
        device.ready()
        device.prime()

    @every_form
    def test_android_ping_without_key_closes(self, version, form):
        user = self.user()
        device = Client(self.server, user, {"version": version, "form": form, "agent": "Android/5.0.1-EAS-2.0", "ping_closes": True})
        device.ready().prime()
        device.policy_key = None
        for subject in ("one", "two"):
            connection = device.ping_send()
            self.assert_parked(connection)
            self.deliver(user, subject)
            self.assert_ping(device.receive(connection), "2", [device.inbox])
            self.assertTrue(connection.is_closed())
            keyed = device.clone(policy_key=self.key_of(device, user))
            self.assertEqual(keyed.sync().subjects(), [subject])
            device.keys = keyed.keys
            keyed.close()

    def key_of(self, device, user):
        """What the phone keeps and only leaves out of Ping."""
        again = user.device(device.version, device.form, device_id=device.device_id)
        first = again.post("Provision", again.provision_request())
        key = first.document.get("Policies/Policy/PolicyKey")
        again.policy_key = key
        final = again.post("Provision", again.provision_acknowledgment(key)).document.get("Policies/Policy/PolicyKey")
        again.close()
        return final

    def test_missing_user_agent(self):
        user = self.user()
        for agent in (None, ""):
            device = Client(self.server, user, {"version": "14.1", "agent": agent}).ready()
            self.assertEqual(device.folder_sync().status, "1")

    @every_form
    def test_wbxml_begins_03_01_6a_00(self, version, form):
        """Every document, also those of failures and those that a front or the engine's loop makes by itself."""
        device = self.phone(version, form)
        self.deliver(self.owner, "x")
        answers = [device.post("Provision", device.provision_request()), device.folder_sync("77"), device.folder_sync("0")]
        device = self.phone(version, form, user=self.owner)
        answers += [device.sync(key="0"), device.sync(), device.sync(key="1234"), device.ping(heartbeat=1),
                    device.ping(folders=["999"])]
        answers.append(device.post("MoveItems", E("Move:MoveItems", E("Move", E("SrcMsgId", "1:999"), E("SrcFldId", "1"),
                                                                      E("DstFldId", "2")))))
        answers.append(device.post("GetItemEstimate", E("GetItemEstimate:GetItemEstimate", E("Collections"))))
        connection = device.ping_send()
        self.assert_parked(connection)
        self.deliver(self.owner, "y")
        answers.append(device.receive(connection))
        connection.close()
        for answer in answers:
            if answer.document is not None:
                self.assertEqual(answer.http.body[:4], b"\x03\x01\x6a\x00")
                check_answer(answer)
        self.assertGreater(sum(answer.document is not None for answer in answers), 7)


class ShortExpiry(ServerCase):
    settings = {"push.heartbeat_min_s": "1"}

    def test_wbxml_of_an_expired_ping(self):
        """Written by the front."""
        device = self.phone("14.1")
        device.prime()
        answer = device.ping(heartbeat=1)
        self.assert_ping(answer, "1")
        self.assertEqual(answer.http.body[:4], b"\x03\x01\x6a\x00")
        check_answer(answer)


class LongSync(ServerCase):
    """A clock that runs a thousand times as fast stands for a slow machine: ten seconds are over after ten milliseconds."""

    settings = {"sync.response_max_bytes": "67108864", "http.request_timeout_s": "600", "http.keepalive_timeout_s": "3600"}

    @classmethod
    def prepare(cls):
        cls.owner = cls.server.add_user("slow")
        html = "<html><body>" + "<p>some <b>bold</b> words &amp; others</p>\r\n" * 2000 + "</body></html>"
        cls.count = 200
        with cls.server.lmtp() as lmtp:
            for number in range(cls.count):
                lmtp.deliver(cls.owner.address, mail.message(str(number), html=html))
        cls.server.stop()
        cls.server.start(env={"LD_PRELOAD": FAKETIME, "FAKETIME": "+0 x1000"})

    def test_long_sync_is_broken_with_more_available(self):
        if not os.path.exists(FAKETIME):
            raise AssertionError("the package faketime is missing")
        device = self.owner.device("14.1").ready()
        device.sync(key="0")
        seen, answers = [], 0
        while True:
            answer = device.sync(window="512", options=device.options(body=[("2",)]))
            self.assertEqual(answer.collection_status, "1")
            seen += answer.subjects()
            answers += 1
            check_answer(answer)
            if not answer.more:
                break
            self.assertTrue(answer.added, "a part without anything in it")
        self.assertEqual(sorted(seen, key=int), [str(n) for n in range(self.count)])
        self.assertGreater(answers, 1, "one answer took all the time it wanted")


class Provision(ServerCase):
    """What clients stumble over; the rest of Provision is in test_provision."""

    @every_form
    def test_policy_that_demands_nothing(self, version, form):
        """Status 1 and a key other than 0 all the same, in both phases: several clients stumble over "no policy"."""
        device = self.user().device(version, form)
        for answer in (device.post("Provision", device.provision_request()), ):
            policy = answer.document.find("Policies/Policy")
            self.assertEqual((answer.status, policy.get("Status")), ("1", "1"))
            self.assertTrue(0 < int(policy.get("PolicyKey")) < 1 << 32)
            self.assertTrue(policy.has("Data"))
        device.policy_key = policy.get("PolicyKey")
        answer = device.post("Provision", device.provision_acknowledgment(device.policy_key))
        policy = answer.document.find("Policies/Policy")
        self.assertEqual((answer.status, policy.get("Status")), ("1", "1"))
        self.assertTrue(0 < int(policy.get("PolicyKey")) < 1 << 32)

    @every_form
    def test_449_or_142_to_144(self, version, form):
        """The trigger, for a key that is missing, 0, and wrong."""
        device = self.user().device(version, form).provision()
        good = device.policy_key
        for key, status in (("0", "142"), (str(int(good) ^ 3), "144")):
            device.policy_key = key
            answer = device.post("FolderSync", body=FOLDER_SYNC)
            if device.since("14.0"):
                self.assertEqual((answer.code, answer.status), (200, status))
            else:
                self.assertEqual((answer.code, answer.http.body), (449, b""))
        self.server.bellhop("policy", "set", '{"MinDevicePasswordLength": %d}' % (1 + len(version + form)))
        self.addCleanup(self.server.bellhop, "policy", "set", "{}")
        device.policy_key = good
        answer = device.post("FolderSync", body=FOLDER_SYNC)
        self.assertTrue(answer.code == 449 or answer.status == "144", answer)

    @every_form
    def test_empty_provision_body(self, version, form):
        device = self.user().device(version, form).provision()
        for kwargs in ({}, {"document": E("Provision:Provision")}):
            answer = device.post("Provision", **kwargs)
            self.assertEqual((answer.code, answer.status), (200, "1"), answer)
        self.assertEqual(device.folder_sync("0").status, "1")

    @forms("2.5", "12.1", "14.1")
    def test_ios_5_stray_status_before_remote_wipe(self, version, form):
        device = self.user().device(version, form).provision()
        self.server.bellhop("device", "wipe", device.user, device.device_id, "--yes")
        answer = device.post("Provision", E("Provision:Provision", E("Status", "1"), E("RemoteWipe", E("Status", "1"))))
        self.assertEqual((answer.code, answer.status), (200, "1"))
        self.assertIn("acknowledged", self.server.bellhop("log", "list").stdout)

    def test_wap_policy_type_at_2_5(self):
        device = self.user().device("2.5")
        answer = device.post("Provision", device.provision_request(policy_type="MS-WAP-Provisioning-XML"))
        self.assertEqual(answer.document.get("Policies/Policy/Status"), "1")
        self.assertTrue(answer.document.get("Policies/Policy/Data").startswith("<wap-provisioningdoc>"))


class Validate(ServerCase):
    """Android's mail programs try an account out with the DeviceId `validate`: nothing is kept for it."""

    @every_form
    def test_validate_keeps_no_state(self, version, form):
        user = self.user()
        device = user.device(version, form, device_id="validate", device_type="Android")
        answer = device.post("FolderSync", body=FOLDER_SYNC)
        self.assertTrue(answer.code == 449 or answer.status == "142", answer)
        device.provision()
        for _ in range(2):
            answer = device.folder_sync("0")
            self.assertEqual(answer.status, "1")
            self.assertGreater(len(answer.document.all("Changes/Add")), 5)
        self.assertEqual(device.folder_sync(answer.document.get("SyncKey")).status, "9")
        if device.since("12.0"):
            answer = device.post("Settings", E("Settings:Settings", E("DeviceInformation", E("Set", E("Model", "M")))))
            self.assertEqual(answer.document.get("DeviceInformation/Status"), "1")
        self.assertNotIn("validate", self.server.bellhop("device", "list").stdout)
        self.assertEqual(self.server.bellhop("device", "list", user.address).stdout.count(user.address), 0)

    @every_form
    def test_validate_gets_no_mail(self, version, form):
        """Nothing is synchronized without a device, so that nobody gets past the policy this way."""
        user = self.user()
        real = user.device(version, form).ready()
        device = user.device(version, form, device_id="validate")
        device.provision()
        device.folders = real.folders
        answers = [device.sync(key="0"), device.ping()]
        for answer in answers:
            self.assertTrue(answer.code == 400 or answer.status == "108", answer)

    def test_validate_of_two_users(self):
        """They have nothing in common."""
        one, other = (self.user().device("14.1", device_id="validate").provision() for _ in range(2))
        self.assertNotEqual(one.policy_key, other.policy_key)
        one.policy_key = other.policy_key
        self.assertEqual(one.folder_sync("0").status, "144")
        real = self.phone("14.1")
        self.assertEqual(real.folder_sync().status, "1")
