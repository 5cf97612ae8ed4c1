"""
Each client of the table of docs/CLIENTS.md, as it calls itself: it sets its account up, gets mail, waits, is told, and gets more. What it
is sent is held against what clients choke on (lib/habits.py).
"""

from eas.client import basic
from eas.query import PATH
from eas.wbxml import E
from lib.case import ServerCase
from lib.habits import CLIENTS, Client
from lib.server import eventually


class Fingerprints(ServerCase):
    def life(self, name):
        habits = CLIENTS[name]
        user = self.user()
        client = Client(self.server, user, habits)
        self.addCleanup(client.close)
        client.options_request()
        client.ready()
        self.deliver(user, "first", attachments=[("a b.txt", "text/plain", b"attached")])
        added = client.prime(options=client.options(body=[("1", 100)]))
        self.assertEqual([d.get("Email:Subject") for d in added.values()], ["first"])
        connection = client.ping_send()
        self.assert_parked(connection)
        self.deliver(user, "second")
        answer = client.receive(connection)
        self.assert_ping(answer, "2", [client.inbox])
        if habits.get("ping_closes"):
            self.assertTrue(connection.is_closed())
        self.assertEqual(client.sync().subjects(), ["second"])
        self.assert_empty_sync(client.sync())
        self.assertEqual(client.folder_sync().status, "1")
        again = client.ping_send()
        self.addCleanup(again.close)
        self.assert_parked(again)
        (row,) = [line for line in self.server.bellhop("device", "list", user.address).stdout.splitlines() if "@" in line]
        self.assertIn(habits["device_type"], row)
        return client

    def test_agent_left_out_later(self):
        """Windows Phone leaves the User-Agent out at times: what is known stays known."""
        user = self.user()
        client = Client(self.server, user, dict(CLIENTS["windows_phone"], agent="MSFT-WP/8.10.14157"))
        client.ready()
        client.habits = CLIENTS["windows_phone"]
        self.assertEqual(client.folder_sync().status, "1")
        shown = self.server.bellhop("device", "show", user.address, client.device_id).stdout
        self.assertIn("MSFT-WP/8.10.14157", shown)

    def test_binary_device_id_is_shown_as_hex(self):
        user = self.user()
        client = Client(self.server, user, CLIENTS["windows_mobile_6"]).ready()
        self.assertIn(client.device_id.hex().upper(), self.server.bellhop("device", "list", user.address).stdout.upper())


class Outlook(ServerCase):
    """Of Windows, and the one of phones, which comes from Microsoft's cloud."""

    def test_outlook_window_of_512(self):
        user = self.user()
        client = Client(self.server, user, CLIENTS["outlook"]).ready()
        with self.server.lmtp() as lmtp:
            for number in range(150):
                lmtp.deliver(user.address, f"From: <a@example.net>\r\nSubject: {number}\r\n\r\nx\r\n".encode())
        client.sync(key="0")
        answer = client.sync(window="512")
        self.assertEqual((len(answer.added), answer.more), (150, False))

    def test_outlook_password_in_iso_8859_1(self):
        user = self.user(password="Grüße, Zoë")
        client = Client(self.server, user, CLIENTS["outlook"])
        client.authorization = basic(user.address, user.password, "latin-1")
        client.ready()

    def test_outlook_wants_crlf(self):
        """In bodies of every type, also of mail that was imported with bare line feeds, and of HTML shown as text."""
        user = self.user()
        path = f"{self.server.folder}/crlf.mbox"
        html = "<html><body><p>one</p>\n<p>two<br>three</p>\n</body></html>\n"
        with open(path, "w", encoding="ascii") as file:
            file.write("From a@example.net Sun Nov 22 10:00:00 2026\nFrom: <a@example.net>\nSubject: text\n\none\ntwo\n\n"
                       "From a@example.net Sun Nov 22 10:00:00 2026\nFrom: <a@example.net>\nSubject: html\n"
                       f"MIME-Version: 1.0\nContent-Type: text/html\n\n{html}\n")
        self.server.bellhop("import", user.address, path)
        self.deliver(user, "both", text="one\r\ntwo\r\n", html=html)
        client = Client(self.server, user, CLIENTS["outlook"]).ready()
        for preference in ("1", "2", "4"):
            for subject, data in ((d.get("Email:Subject"), d.get("AirSyncBase:Body/Data")) for d in client.prime(
                    options=client.options(body=[(preference,)], mime_support="2")).values()):
                self.assertIn("\r\n", data, (preference, subject))
                self.assertNotRegex(data, r"[^\r]\n|^\n", (preference, subject))

    def test_outlook_asks_no_settings(self):
        """It never sends Settings, nor DeviceInformation with Provision before 14.1."""
        client = Client(self.server, self.user(), CLIENTS["outlook"])
        answer = client.post("Provision", client.provision_request(information=False))
        self.assertEqual(answer.status, "1")
        client.ready()

    def test_outlook_mobile_needs_a_challenge(self):
        with self.server.connect() as connection:
            connection.request("OPTIONS", PATH, {"User-Agent": "Outlook-iOS-Android/1.0"})
            answer = connection.response()
        self.assertEqual(answer.status, 401)
        self.assertRegex(answer.header("WWW-Authenticate"), r'^Basic realm="')

    def test_windows_mail_options_with_a_query(self):
        client = Client(self.server, self.user(), CLIENTS["windows_mail"])
        answer = client.options_request()
        self.assertIn("14.1", answer.header("MS-ASProtocolVersions"))
        self.assertNotIn(client.device_id, self.server.bellhop("device", "list").stdout)


class OutlookMobile(ServerCase):
    settings = {"auth.fail_limit_address": "5", "auth.fail_limit_user": "3"}

    def test_outlook_mobile_many_users_of_one_address(self):
        """A wrong password of some does not lock out those who are in already, though they come from the same address."""
        clients = [Client(self.server, self.user(), CLIENTS["outlook_mobile"]).ready() for _ in range(3)]
        strangers = [self.user() for _ in range(4)]
        with self.server.connect() as connection:
            for stranger in strangers:
                for _ in range(2):
                    connection.request("OPTIONS", PATH, {"Authorization": basic(stranger.address, "wrong")})
                    self.assertIn(connection.response().status, (401, 503))
        for client in clients:
            self.assertEqual(client.folder_sync("0").status, "1")


class NeverProvisions(ServerCase):
    def test_zz_connectivity_test_needs_no_policy(self):
        """Microsoft's connectivity test cannot provision: let in as long as such clients are."""
        user = self.user()
        habits = {"version": "14.0", "agent": "TestActiveSyncConnectivity", "device_type": "TestActiveSyncConnectivity"}
        client = Client(self.server, user, habits)
        client.policy_key = None
        self.assertEqual(client.folder_sync("0").status, "1")
        self.deliver(user, "probe")
        self.assertEqual([d.get("Email:Subject") for d in client.prime().values()], ["probe"])
        self.server.settings["policy.allow_non_provisionable"] = "no"
        self.server.write_config()
        self.server.bellhop("reload")
        eventually(lambda: client.folder_sync("0").status == "141", what="it is refused")

    def test_windows_mobile_5_without_its_feature_pack(self):
        """No X-MS-PolicyKey ever: told to provision three times, then let in."""
        user = self.user()
        client = Client(self.server, user, CLIENTS["windows_mobile_5"])
        client.policy_key = None
        codes = [client.post("FolderSync", E("FolderHierarchy:FolderSync", E("SyncKey", "0"))).code for _ in range(5)]
        self.assertEqual(codes, [449, 449, 449, 200, 200])
        self.assertEqual(client.folder_sync("0").status, "1")
        self.deliver(user, "old")
        self.assertEqual([d.get("Email:Subject") for d in client.prime().values()], ["old"])


def _add_tests():
    for name in CLIENTS:
        def test(self, name=name):
            self.life(name)
        test.__doc__ = f"The life of {name}."
        setattr(Fingerprints, f"test_life_of_{name}", test)


_add_tests()
