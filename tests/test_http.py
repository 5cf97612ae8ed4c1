"""The HTTP layer: OPTIONS, logins, header rules, both query forms, codings, TLS."""

import base64
import gzip
import os
import shutil
import socket
import ssl
import subprocess
import unittest

from eas import query, wbxml
from eas.client import WBXML_TYPE, basic
from eas.http import Closed, chunked, tls_client_context
from lib.case import E, ServerCase, every_form, forms
from lib.server import eventually

PATH = query.PATH
PING_WITHOUT_CHILDREN = wbxml.encode(E("Ping:Ping"))


class Options(ServerCase):
    def test_headers(self):
        user = self.user()
        with self.server.connect() as connection:
            for target in (PATH, PATH + "?Cmd=OPTIONS&User=x&DeviceId=y&DeviceType=z", PATH + "/", PATH.lower()):
                connection.request("OPTIONS", target, {"Authorization": basic(user.address, user.password)})
                answer = connection.response()
                self.assertEqual(answer.status, 200, target)
                self.assertEqual(answer.body, b"")
                self.assertEqual(answer.header("MS-ASProtocolVersions"), "2.5,12.0,12.1,14.0,14.1,16.0,16.1")
                commands = answer.header("MS-ASProtocolCommands").split(",")
                for command in ("Sync", "SendMail", "FolderSync", "GetItemEstimate", "Ping", "ItemOperations",
                                "Provision"):
                    self.assertIn(command, commands)
                self.assertIsNotNone(answer.header("MS-Server-ActiveSync"))
                self.assertIn("POST", answer.header("Allow"))
                self.assertEqual(answer.header("Content-Length"), "0")

    def test_only_what_works_is_advertised(self):
        """Each command of the list is understood, each other one is not (501 or 137)."""
        user = self.user()
        with self.server.connect() as connection:
            connection.request("OPTIONS", PATH, {"Authorization": basic(user.address, user.password)})
            listed = set(connection.response().header("MS-ASProtocolCommands").split(","))
        for version, form in (("12.1", "plain"), ("14.1", "plain"), ("16.1", "base64")):
            device = self.phone(version, form, user=user)
            for command in list(query.COMMANDS) + ["Nonsense"]:
                if form == "base64" and command not in query.COMMANDS:
                    continue
                if command == "GetAttachment" and command in listed:
                    continue
                answer = device.post(command)
                status = answer.status
                if command == "MeetingResponse" and answer.document is not None:
                    status = answer.document.get("Result/Status")  # its root has none of its own
                known = answer.code != 501 and status != "137"
                self.assertEqual(known, command in listed, f"{version} {command}: {answer}")

    def test_needs_a_login(self):
        with self.server.connect() as connection:
            connection.request("OPTIONS", PATH)
            self.assertEqual(connection.response().status, 401)

    def test_other_methods_and_paths(self):
        user = self.user()
        fields = {"Authorization": basic(user.address, user.password)}
        for method, target, expected in (
                ("GET", PATH, (405, 501, 400)), ("PUT", PATH, (405, 501, 400)), ("POST", "/", (404,)),
                ("OPTIONS", "/elsewhere", (404,)), ("POST", "/Microsoft-Server-ActiveSyncX?Cmd=Ping", (404,))):
            with self.server.connect() as connection:
                connection.request(method, target, fields)
                self.assertIn(connection.response().status, expected, f"{method} {target}")


class Login(ServerCase):
    settings = {"auth.fail_limit_user": "5", "auth.fail_limit_address": "1000"}

    def options(self, authorization):
        with self.server.connect() as connection:
            connection.request("OPTIONS", PATH, {"Authorization": authorization} if authorization else {})
            return connection.response()

    def test_forms_of_the_name(self):
        user = self.server.add_user("forms")
        for name in ("forms", "forms@example.org", "FORMS@Example.ORG", "EXAMPLE\\forms", "example.org\\forms",
                     "Forms"):
            self.assertEqual(self.options(basic(name, user.password)).status, 200, name)
        for name in ("form", "forms@example.com", "forms@", "@example.org", "\\", ""):
            self.assertEqual(self.options(basic(name, user.password)).status, 401, name)

    def test_alias(self):
        user = self.server.add_user("original")
        self.server.bellhop("alias", "add", "other@example.org", "original@example.org")
        self.assertEqual(self.options(basic("other@example.org", user.password)).status, 200)

    def test_challenge(self):
        self.server.add_user("challenged")
        for authorization in (None, "Basic", "Basic ====", "Basic !!!", "Basic " + "A" * 3000, "Bearer abc",
                              "Basic " + base64.b64encode(b"nocolon").decode(), basic("challenged", "wrong"),
                              basic("nobody", "wrong"), basic("challenged", ""), "basic", "Nonsense"):
            answer = self.options(authorization)
            self.assertEqual(answer.status, 401, authorization)
            self.assertRegex(answer.header("WWW-Authenticate", ""), r'^Basic realm="[^"]+"', authorization)

    def test_charsets(self):
        """UTF-8 from phones, ISO-8859-1 from Outlook."""
        user = self.server.add_user("jose", password="pässwörd ñ: mit:Doppelpunkt")
        self.assertEqual(self.options(basic(user.address, user.password, "utf-8")).status, 200)
        self.assertEqual(self.options(basic(user.address, user.password, "iso-8859-1")).status, 200)

    def test_long_password(self):
        user = self.server.add_user("long", password="x" * 200)
        self.assertEqual(self.options(basic(user.address, user.password)).status, 200)
        self.assertEqual(self.options(basic(user.address, "x" * 199)).status, 401)

    def test_failure_is_logged_for_fail2ban(self):
        self.server.add_user("logged")
        mark = self.server.log_mark()
        self.options(basic("logged", "very secret mistake"))
        line = self.server.wait_log("login_failed", mark)
        self.assertIn("user=", line)
        self.assertRegex(line, r"address=\"?127\.0\.0\.1\b")
        self.assertNotIn("very secret mistake", self.server.log_text())

    def test_throttled_per_user(self):
        throttled = self.server.add_user("throttled")
        free = self.server.add_user("free")
        for _ in range(5):
            self.assertEqual(self.options(basic("throttled", "wrong")).status, 401)
        # Over the limit nothing is checked any more, not even the right password.
        answer = self.options(basic("throttled", throttled.password))
        self.assertIn(answer.status, (401, 429, 503))
        self.assertEqual(self.options(basic("free", free.password)).status, 200)

    def test_password_change_and_disabling(self):
        user = self.server.add_user("changing")
        self.assertEqual(self.options(basic(user.address, user.password)).status, 200)
        self.server.bellhop("user", "passwd", user.address, "--password-file", self.server.password_file("new one"))
        self.assertEqual(self.options(basic(user.address, user.password)).status, 401)
        self.assertEqual(self.options(basic(user.address, "new one")).status, 200)
        user.password = "new one"
        self.server.bellhop("user", "disable", user.address)
        for version, expected in (("12.1", (403, None)), ("14.1", (200, "126"))):
            device = user.device(version)
            answer = device.post("FolderSync", E("FolderHierarchy:FolderSync", E("SyncKey", "0")))
            self.assertIn((answer.code, answer.status), (expected, (401, None), (403, None)), version)
        self.server.bellhop("user", "del", user.address, "--yes")
        self.assertEqual(self.options(basic(user.address, "new one")).status, 401)

    def test_good_password_is_remembered(self):
        """A second login costs no password hash: a hundred requests take less time than five hashes would."""
        user = self.server.add_user("cached")
        self.assertEqual(self.options(basic(user.address, user.password)).status, 200)
        before = cpu_seconds(self.server)
        for _ in range(100):
            self.assertEqual(self.options(basic(user.address, user.password)).status, 200)
        self.assertLess(cpu_seconds(self.server) - before, 0.5)


def cpu_seconds(server):
    total = 0
    for pid in server.pids():
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


class ThrottledAddress(ServerCase):
    settings = {"auth.fail_limit_user": "1000", "auth.fail_limit_address": "5"}

    def test_throttled_per_address(self):
        user = self.user()
        for number in range(5):
            with self.server.connect() as connection:
                connection.request("OPTIONS", PATH, {"Authorization": basic(f"nobody{number}", "x")})
                self.assertEqual(connection.response().status, 401)
        with self.server.connect() as connection:
            connection.request("OPTIONS", PATH, {"Authorization": basic(user.address, user.password)})
            self.assertIn(connection.response().status, (401, 429, 503))


class BehindAProxy(ServerCase):
    settings = {"auth.fail_limit_user": "1000", "auth.fail_limit_address": "5", "http.trusted_proxies": "127.0.0.1 192.0.2.200"}

    def login(self, name, password, forwarded):
        with self.server.connect() as connection:
            connection.request("OPTIONS", PATH, {"Authorization": basic(name, password), "X-Forwarded-For": forwarded})
            return connection.response().status

    def test_the_phone_is_throttled_not_the_proxy(self):
        user = self.user()
        mark = self.server.log_mark()
        for number in range(5):
            self.assertEqual(self.login(f"nobody{number}", "x", "10.9.9.9, 203.0.113.66, 192.0.2.200"), 401)
        self.server.wait_log(r"login_failed .*address=203\.0\.113\.66 ", mark)
        self.assertIn(self.login(user.address, user.password, "203.0.113.66"), (401, 429, 503))
        self.assertEqual(self.login(user.address, user.password, "203.0.113.66, 203.0.113.67"), 200)


class Codings(ServerCase):
    @every_form
    def test_gzip_answer(self, version, form):
        """Only for those who accept it, from response_gzip_min on."""
        device = self.phone(version, form)
        for _ in range(3):
            self.deliver(self.owner, text="A line of text that repeats itself.\r\n" * 100)
        device.extra_headers = {"Accept-Encoding": "gzip, deflate"}
        options = device.options(body=[("1",)])
        device.sync(key="0", options=options)
        answer = device.sync(keep_key=True)
        self.assertEqual(answer.http.header("Content-Encoding"), "gzip")
        self.assertLess(len(answer.http.raw_body), len(answer.http.body))
        self.assertEqual(len(answer.added), 3)
        for accepts in (None, "identity", "gzip;q=0"):
            device.extra_headers = {"Accept-Encoding": accepts}
            device.sync(key="0", options=options)
            answer = device.sync(keep_key=True)
            self.assertIsNone(answer.http.header("Content-Encoding"), accepts)
            self.assertEqual(len(answer.added), 3)

    def test_small_answers_stay_plain(self):
        device = self.phone("14.1")
        device.extra_headers = {"Accept-Encoding": "gzip"}
        answer = device.post("FolderSync", E("FolderHierarchy:FolderSync", E("SyncKey", "99999")))
        self.assertEqual(answer.status, "9")
        self.assertIsNone(answer.http.header("Content-Encoding"))

    @every_form
    def test_gzip_request(self, version, form):
        device = self.phone(version, form)
        body = gzip.compress(wbxml.encode(E("FolderHierarchy:FolderSync", E("SyncKey", "0"))))
        answer = device.post("FolderSync", body=body, headers={"Content-Encoding": "gzip"})
        self.assertEqual(answer.status, "1", answer)

    def test_bad_gzip_request(self):
        device = self.phone("14.1")
        good = gzip.compress(wbxml.encode(E("FolderHierarchy:FolderSync", E("SyncKey", "0"))))
        for body, coding in ((good[:-6], "gzip"), (b"\x1f\x8b" + b"\xff" * 40, "gzip"), (b"plain", "gzip"),
                             (good, "br"), (good, "gzip, gzip")):
            answer = device.post("FolderSync", body=body, headers={"Content-Encoding": coding})
            self.assertTrue(answer.code in (400, 415) or answer.status in ("101", "102"), (coding, answer))
        self.assertEqual(device.folder_sync("0").status, "1")

    @every_form
    def test_chunked_request(self, version, form):
        device = self.phone(version, form)
        body = wbxml.encode(E("FolderHierarchy:FolderSync", E("SyncKey", "0")))
        for sizes in ((1,), (3, 1, 7), (65536,)):
            fields = device.headers("FolderSync", WBXML_TYPE)
            fields["Transfer-Encoding"] = "chunked"
            device.connection.request("POST", device.target("FolderSync"), fields, chunked(body, sizes),
                                      content_length=False)
            self.assertEqual(device.receive().status, "1", sizes)

    def test_chunked_large_with_extensions_and_trailers(self):
        device = self.phone("14.1")
        text = "x" * 76 + "\r\n"
        mime = (f"From: <{self.owner.address}>\r\nTo: <{self.owner.address}>\r\nSubject: large\r\n\r\n"
                + text * 4000).encode()
        body = wbxml.encode(E("ComposeMail:SendMail", E("ClientId", "large-chunked"), E("Mime", mime)))
        coded = chunked(body, (10000, 1, 65536))
        coded = coded.replace(b"2710\r\n", b"2710;name=value;other=\"quoted\"\r\n")[:-2] + b"Trailer: yes\r\n\r\n"
        fields = device.headers("SendMail", WBXML_TYPE)
        fields["Transfer-Encoding"] = "Chunked"
        device.connection.request("POST", device.target("SendMail"), fields, coded, content_length=False)
        answer = device.receive()
        self.assertEqual((answer.code, answer.http.body), (200, b""))
        self.assertEqual([d.get("Email:Subject") for d in device.prime().values()], ["large"])

    def test_expect_continue(self):
        device = self.phone("14.1")
        body = wbxml.encode(E("FolderHierarchy:FolderSync", E("SyncKey", "0")))
        fields = device.headers("FolderSync", WBXML_TYPE)
        fields.update({"Expect": "100-continue", "Content-Length": len(body)})
        device.connection.request("POST", device.target("FolderSync"), fields)
        self.assertEqual(device.connection.response().status, 100)
        device.connection.send(body)
        self.assertEqual(device.receive().status, "1")

    def test_expect_continue_is_refused_early(self):
        """Wrong credentials or a body beyond the limit: the final answer comes instead of 100."""
        device = self.phone("14.1")
        for changes, expected in (({"Authorization": basic("nobody", "x")}, 401),
                                  ({"Content-Length": 1 << 40}, 413)):
            with device.connect() as connection:
                fields = device.headers("SendMail", WBXML_TYPE)
                fields.update({"Expect": "100-continue", "Content-Length": 50_000_000})
                fields.update(changes)
                connection.request("POST", device.target("SendMail"), fields)
                self.assertEqual(connection.response().status, expected)


class Connections(ServerCase):
    def test_keep_alive(self):
        device = self.phone("14.1")
        first = device.connection
        for _ in range(50):
            self.assertEqual(device.folder_sync("0").status, "1")
        self.assertIs(device.connection, first)

    def test_pipelined(self):
        """Two requests in one segment: two answers in order."""
        device = self.phone("14.1")
        for _ in range(2):
            device.send("FolderSync", E("FolderHierarchy:FolderSync", E("SyncKey", "0")))
        answers = [device.receive().status, device.receive().status]
        self.assertEqual(answers, ["1", "1"])

    def test_connection_close(self):
        device = self.phone("14.1")
        connection = device.connect()
        device.send("FolderSync", E("FolderHierarchy:FolderSync", E("SyncKey", "0")), connection=connection,
                    headers={"Connection": "close"})
        self.assertEqual(device.receive(connection).status, "1")
        self.assertTrue(connection.is_closed())

    def test_http_1_0(self):
        user = self.user()
        with self.server.connect() as connection:
            authorization = basic(user.address, user.password)
            connection.send(f"OPTIONS {PATH} HTTP/1.0\r\nAuthorization: {authorization}\r\n\r\n".encode())
            self.assertIn(connection.response().status, (200, 505))
            self.assertTrue(connection.is_closed())

    def test_byte_by_byte(self):
        device = self.phone("14.1")
        body = wbxml.encode(E("FolderHierarchy:FolderSync", E("SyncKey", "0")))
        fields = device.headers("FolderSync", WBXML_TYPE)
        fields.update({"Host": "x", "Content-Length": len(body)})
        head = f"POST {device.target('FolderSync')} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
        for octet in head.encode() + body:
            device.connection.send(bytes([octet]))
        self.assertEqual(device.receive().status, "1")

    def test_header_rules(self):
        """Names in any case, blanks around values, empty lines before a request; smuggling is refused."""
        user = self.user()
        authorization = basic(user.address, user.password)
        good = (
            f"\r\nOPTIONS {PATH} HTTP/1.1\r\nhOST: x\r\naUTHORIZATION:   {authorization}  \r\n\r\n",
            f"OPTIONS {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nX-Empty:\r\n\r\n",
            f"OPTIONS http://localhost{PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n",
        )
        for text in good:
            with self.server.connect() as connection:
                connection.send(text.encode())
                self.assertEqual(connection.response().status, 200, text)
        post = f"POST {PATH}?Cmd=Ping&User=u&DeviceId=d&DeviceType=t HTTP/1.1\r\n"
        login = f"Authorization: {authorization}\r\nMS-ASProtocolVersion: 14.1\r\n"
        bad = (
            "NONSENSE\r\n\r\n",
            "GET\r\n\r\n",
            f"OPTIONS {PATH} HTTP/9.9\r\nHost: x\r\n\r\n",
            f"OPTIONS {PATH} HTTP/1.1\r\n{login}\r\n",  # no Host
            f"OPTIONS {PATH} HTTP/1.1\r\nHost: x\r\nHost: y\r\n{login}\r\n",
            post + f"Host: x\r\n{login}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            post + f"Host: x\r\n{login}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            post + f"Host: x\r\n{login}Content-Length: -5\r\n\r\n",
            post + f"Host: x\r\n{login}Content-Length: 0x5\r\n\r\nhello",
            post + f"Host: x\r\n{login}Content-Length: 99999999999999999999999\r\n\r\n",
            post + f"Host: x\r\n{login}Transfer-Encoding: gzip\r\n\r\n",
            post + f"Host: x\r\n{login}Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            post + f"Host: x\r\n{login}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
            f"OPTIONS {PATH} HTTP/1.1\r\nHost: x\r\nBad Name: x\r\n\r\n",
            f"OPTIONS {PATH} HTTP/1.1\r\nHost: x\r\nName : x\r\n\r\n",
            f"OPTIONS {PATH} HTTP/1.1\r\nHost: x\r\nFolded: a\r\n b\r\n\r\n",
            f"OPTIONS {PATH} HTTP/1.1\r\nHost: x\r\nNul: a\0b\r\n\r\n",
            f"OPTIONS {PATH}\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
        )
        for text in bad:
            with self.server.connect() as connection:
                connection.send(text.encode("latin-1"))
                answer = connection.response()
                self.assertIn(answer.status, (400, 413, 501, 505), text)
                self.assertTrue(connection.is_closed(), text)

    def test_head_limits(self):
        user = self.user()
        authorization = basic(user.address, user.password)
        with self.server.connect() as connection:
            connection.request("OPTIONS", PATH, {"Authorization": authorization, "X-Long": "x" * 8000})
            self.assertEqual(connection.response().status, 200)
        for fields in ({"X-Long": "x" * 20000}, {f"X-{n}": "y" * 10 for n in range(1000)}):
            with self.server.connect() as connection:
                fields["Authorization"] = authorization
                connection.request("OPTIONS", PATH, fields)
                self.assertIn(connection.response().status, (400, 431))


class QueryForms(ServerCase):
    def folder_sync(self, device, target, headers=None):
        fields = device.headers("FolderSync", WBXML_TYPE)
        fields.update(headers or {})
        body = wbxml.encode(E("FolderHierarchy:FolderSync", E("SyncKey", "0")))
        with device.connect() as connection:
            connection.request("POST", target, fields, body)
            return device.receive(connection)

    def test_plain(self):
        device = self.phone("14.1")
        pairs = f"User=u&DeviceId={device.device_id}&DeviceType=TestPhone"
        for text in (f"Cmd=FolderSync&{pairs}", f"{pairs}&Cmd=FolderSync", f"Cmd=foldersync&{pairs}",
                     f"Cmd=FolderSync&{pairs}&Unknown=1&X", f"Cmd=Folder%53ync&{pairs}", f"&Cmd=FolderSync&{pairs}&"):
            self.assertEqual(self.folder_sync(device, f"{PATH}?{text}").status, "1", text)

    def test_plain_bad(self):
        device = self.phone("14.1")
        device.form = "plain"
        good_id, good_type = f"DeviceId={device.device_id}", "DeviceType=TestPhone"
        for text, status in (
                (f"Cmd=FolderSync&User=u&{good_type}", "108"), (f"Cmd=FolderSync&User=u&DeviceId=&{good_type}", "108"),
                (f"Cmd=FolderSync&User=u&DeviceId={'a' * 33}&{good_type}", "108"),
                (f"Cmd=FolderSync&User=u&DeviceId=a%2Cb&{good_type}", "108"),
                (f"Cmd=FolderSync&User=u&{good_id}", "109"), (f"Cmd=FolderSync&User=u&{good_id}&DeviceType=", "109"),
                (f"Cmd=Nonsense&User=u&{good_id}&{good_type}", "137")):
            answer = self.folder_sync(device, f"{PATH}?{text}")
            self.assertTrue((answer.code, answer.status) == (200, status) or answer.code in (400, 501),
                            (text, answer))
        old = device.clone(version="12.1")
        for text, code in ((f"Cmd=FolderSync&User=u&{good_type}", 400), (f"Cmd=FolderSync&User=u&{good_id}", 400),
                           (f"Cmd=Nonsense&User=u&{good_id}&{good_type}", 501), ("Cmd=", 400), ("", 400),
                           ("%", 400), ("Cmd=%zz", 400)):
            answer = self.folder_sync(old, f"{PATH}?{text}")
            self.assertIn(answer.code, (code, 501 if "Cmd" in text else code), text)
            self.assertEqual(answer.http.body, b"")

    def test_versions(self):
        device = self.phone("14.1")
        target = device.target("FolderSync")
        for version in ("1.0", "13.0", "99", "abc", "", "16.2", "14.1 "):
            answer = self.folder_sync(device, target, {"MS-ASProtocolVersion": version})
            self.assertIn(answer.code, (200,) if version.strip() == "14.1" else (400, 505), version)
        self.assertEqual(self.folder_sync(device, target, {"MS-ASProtocolVersion": None}).code, 400)

    def test_command_not_in_version(self):
        device = self.phone("2.5")
        answer = device.post("ItemOperations", E("ItemOperations:ItemOperations", E("Fetch", E("Store", "Mailbox"))))
        self.assertIn(answer.code, (400, 501))

    def test_base64_odd_cases(self):
        """What clients have been seen to send: unpadded, URL-safe, escaped, binary ids, odd version octets, extra fields."""
        device = self.phone("14.1", "base64")
        raw = query.encoded_bytes("FolderSync", "14.1", device.device_id, device.device_type, device.policy_key)
        text = base64.b64encode(raw).decode()
        for form in (text, text.rstrip("="), text.replace("=", "%3D").replace("+", "%2B").replace("/", "%2F"),
                     base64.urlsafe_b64encode(raw).decode(), text + "\t".strip()):
            self.assertEqual(self.folder_sync(device, f"{PATH}?{form}").status, "1", form)
        with_user = query.encoded("FolderSync", "14.1", device.device_id, device.device_type, device.policy_key,
                                  {"User": "someone", "Options": b"\0"})
        self.assertEqual(self.folder_sync(device, f"{PATH}?{with_user}").status, "1")
        odd = query.encoded("FolderSync", 0x91, device.device_id, device.device_type, device.policy_key)
        answer = self.folder_sync(device, f"{PATH}?{odd}", {"MS-ASProtocolVersion": "14.1"})
        self.assertEqual(answer.status, "1")
        without_key = query.encoded("FolderSync", "14.1", device.device_id, device.device_type)
        answer = self.folder_sync(device, f"{PATH}?{without_key}", {"X-MS-PolicyKey": device.policy_key})
        self.assertEqual(answer.status, "1")
        zero_key = query.encoded("FolderSync", "14.1", device.device_id, device.device_type, "0")
        self.assertEqual(self.folder_sync(device, f"{PATH}?{zero_key}").status, "142")

    def test_base64_binary_device_id(self):
        user = self.user()
        device = user.device("12.1", "base64", device_id=bytes(range(0xF0, 0x100)), device_type="PocketPC")
        device.ready()
        self.deliver(user, "to a binary id")
        self.assertEqual([d.get("Email:Subject") for d in device.prime().values()], ["to a binary id"])

    def test_base64_bad(self):
        device = self.phone("14.1", "base64")
        raw = query.encoded_bytes("FolderSync", "14.1", device.device_id, device.device_type, device.policy_key,
                                  {"User": "someone"})
        for cut in range(1, len(raw) - 1):
            if cut == len(raw) - 2 - len("someone"):
                continue  # the whole without parameters
            answer = self.folder_sync(device, f"{PATH}?{base64.b64encode(raw[:cut]).decode()}")
            self.assertEqual(answer.code, 400, f"cut at {cut}")
        head = bytes([141, 9, 9, 4])
        for octets in (head + b"\0\0\0", head + bytes([5]) + b"abcde" + bytes([3]) + b"abc" + bytes([1]) + b"t",
                       head + bytes([255]) + b"x" * 255 + b"\0\x01t", bytes([25]) + raw[1:], bytes([120]) + raw[1:],
                       bytes([255]) + raw[1:]):
            answer = self.folder_sync(device, f"{PATH}?{base64.b64encode(octets).decode()}")
            self.assertTrue(answer.code == 400 or answer.status == "108", octets)
        for text in ("!!!!", "A", "=", "====", "AAAA=AAA", "*" * 5000):
            self.assertEqual(self.folder_sync(device, f"{PATH}?{text}").code, 400, text)
        for number in (5, 6, 7, 8, 24, 200):
            octets = bytes([141, number]) + raw[2:]
            answer = self.folder_sync(device, f"{PATH}?{base64.b64encode(octets).decode()}")
            self.assertTrue(answer.status == "137" or answer.code in (400, 501), number)

    @forms("2.5", "12.1", "14.1", ("16.1", "base64"))
    def test_content_type(self, version, form):
        device = self.phone(version, form)
        body = wbxml.encode(E("FolderHierarchy:FolderSync", E("SyncKey", "0")))
        for good in ("application/vnd.ms-sync.wbxml", "application/vnd.ms-sync", "Application/VND.ms-sync.WBXML",
                     "application/vnd.ms-sync.wbxml; charset=utf-8"):
            self.assertEqual(device.post("FolderSync", body=body, content_type=good).status, "1", good)
        answer = device.post("FolderSync", body=body, content_type="text/html")
        self.assertTrue(answer.code == 400 or answer.status == "101", answer)

    @every_form
    def test_body_is_missing(self, version, form):
        device = self.phone(version, form)
        answer = device.post("FolderSync")
        if device.since("14.0"):
            self.assertTrue(answer.code == 200 and answer.status in ("101", "10"), answer)
        else:
            self.assertEqual(answer.code, 400)


class Tls(ServerCase):
    https = True

    def test_versions(self):
        user = self.user()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = tls_client_context(version)
            with self.server.connect(context=context) as connection:
                self.assertEqual(connection.socket.version(), version.name.replace("v1_", "v1."))
                connection.request("OPTIONS", PATH, {"Authorization": basic(user.address, user.password)})
                self.assertEqual(connection.response().status, 200)

    def test_old_versions_are_refused(self):
        context = tls_client_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises((ssl.SSLError, OSError)):
            self.server.connect(context=context)

    def test_self_signed_certificate(self):
        """Made at the first start, and said so; the same one after a restart."""
        self.server.wait_log("(?i)self.?signed")
        pem = ssl.get_server_certificate(("127.0.0.1", self.server.https_port))
        text = subprocess.run(["openssl", "x509", "-noout", "-text"], input=pem, capture_output=True, text=True,
                              check=True).stdout
        self.assertIn("prime256v1", text)
        self.server.stop()
        self.server.start()
        self.assertEqual(ssl.get_server_certificate(("127.0.0.1", self.server.https_port)), pem)

    @every_form
    def test_whole_path(self, version, form):
        """A phone over TLS: provisions, waits, is told, syncs."""
        device = self.phone(version, form, tls=True)
        device.prime()
        waiting = device.ping_send()
        self.assert_parked(waiting)
        self.deliver(self.owner, "over TLS")
        self.assert_ping(device.receive(waiting), "2", [device.inbox])
        self.assertEqual(device.sync().subjects(), ["over TLS"])
        waiting.close()

    def test_large_bodies(self):
        device = self.phone("14.1", tls=True)
        text = "".join(f"line {n} of many\r\n" for n in range(60000))
        self.deliver(self.owner, "large", text=text)
        added = list(device.prime(options=device.options(body=[("1",)])).values())
        self.assertEqual(added[0].get("AirSyncBase:Body/Data"), text)

    def test_session_resumption(self):
        user = self.user()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = tls_client_context(version)
            first = self.server.connect(context=context)
            first.request("OPTIONS", PATH, {"Authorization": basic(user.address, user.password)})
            first.response()
            session = first.socket.session

            raw = socket.create_connection(("127.0.0.1", self.server.https_port), timeout=10)
            with context.wrap_socket(raw, server_hostname="localhost", session=session) as again:
                self.assertEqual(again.version(), version.name.replace("v1_", "v1."))
            first.close()

    def test_plain_text_on_the_tls_port(self):
        with self.server.connect() as ok, self.server.connect(timeout=10) as connection:
            connection.close()

            raw = socket.create_connection(("127.0.0.1", self.server.https_port), timeout=10)
            raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            with self.assertRaises((OSError, Closed)):
                while True:
                    octets = raw.recv(4096)
                    if not octets:
                        raise Closed
                    self.assertNotIn(b"200 OK", octets)
            raw.close()
            self.assertTrue(ok.is_silent(0.05))


class CertificateReload(ServerCase):
    https = True

    @classmethod
    def setUpClass(cls):
        cls.settings = {}
        super().setUpClass()

    def make(self, name):
        certificate = os.path.join(self.server.folder, f"{name}.pem")
        key = os.path.join(self.server.folder, f"{name}.key")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", f"/CN={name}.example.org", "-keyout", key, "-out", certificate], check=True,
            capture_output=True)
        return certificate, key

    def served(self):
        return ssl.get_server_certificate(("127.0.0.1", self.server.https_port))

    def test_reload(self):
        """A new certificate is served after a reload; parked and idle connections live on; a bad one changes nothing."""
        certificate, key = self.make("first")
        self.server.write_config(tls_certificate=certificate, tls_key=key)
        self.server.bellhop("reload")
        with open(certificate, encoding="ascii") as file:
            first = file.read()

        eventually(lambda: self.served() == first, what="the first certificate is served")

        device = self.phone("14.1", tls=True)
        device.prime()
        waiting = device.ping_send()
        self.assert_parked(waiting)
        idle = device.connection

        second, second_key = self.make("second")
        shutil.copy(second, certificate)
        shutil.copy(second_key, key)
        self.server.bellhop("reload")
        with open(second, encoding="ascii") as file:
            text = file.read()
        eventually(lambda: self.served() == text, what="the second certificate is served")
        self.assertEqual(device.folder_sync("0").status, "1")
        self.assertIs(device.connection, idle)
        self.assert_parked(waiting)
        self.deliver(self.owner, "still here")
        self.assert_ping(device.receive(waiting), "2", [device.inbox])
        waiting.close()

        with open(certificate, "w", encoding="ascii") as file:
            file.write("this is no certificate\n")
        mark = self.server.log_mark()
        self.server.bellhop("reload", check=False)
        self.server.wait_log("certificate|first.pem", mark)
        self.assertEqual(self.served(), text)
        self.assertEqual(device.folder_sync("0").status, "1")


if __name__ == "__main__":
    unittest.main()
