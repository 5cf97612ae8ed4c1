"""
Bad input on every listener: the right status each time, memory and time stay bounded, and another user's Ping is answered meanwhile.
"""

import gzip
import os
import random
import select
import socket
import ssl
import time
import unittest

from eas import query, wbxml
from eas.client import WBXML_TYPE, basic
from eas.http import Closed, tls_client_context
from eas.wbxml import E
from lib import mail
from lib.case import ServerCase, every_form
from lib.lmtp import LmtpError
from lib.server import eventually

PATH = query.PATH
MEGABYTE = 1 << 20


class HostileCase(ServerCase):
    https = True
    settings = {"auth.fail_limit_address": "1000000", "auth.fail_limit_user": "100000",
                "http.request_timeout_s": "2"}

    @classmethod
    def prepare(cls):
        cls.bystander_user = cls.server.add_user("bystander")
        cls.bystander = cls.bystander_user.device("14.1").ready()
        cls.bystander.prime()

    def setUp(self):
        self.engine = self.server.engine_pid()
        self.fronts = sorted(self.server.front_pids())
        self.waiting = self.bystander.ping_send(heartbeat=600)
        self.assert_parked(self.waiting, 0.05)

    def tearDown(self):
        """Another user's phone is told of its mail, by the same processes."""
        self.assert_bystander_wakes()
        self.waiting.close()
        self.assertEqual(self.server.engine_pid(), self.engine, "the engine died")
        self.assertEqual(sorted(self.server.front_pids()), self.fronts, "a front died")

    def assert_bystander_wakes(self, within=2):
        started = time.monotonic()
        self.server.deliver(self.bystander_user, mail.message("still fine"))
        self.assert_ping(self.bystander.receive(self.waiting), "2", [self.bystander.inbox])
        self.assertLess(time.monotonic() - started, within)
        self.assertEqual(self.bystander.sync().subjects(), ["still fine"])
        self.bystander.ping_send(self.waiting, heartbeat=600)
        self.assert_parked(self.waiting, 0.05)


class Wbxml(HostileCase):
    def post(self, device, command, octets):
        return device.post(command, body=octets)

    def refused(self, device, command, answer, own=()):
        """102 or 103 or the command's own value from 14.0 on, 400 before."""
        if answer.status in own:
            return True
        if device.since("14.0"):
            return answer.code == 200 and answer.status in ("101", "102", "103")
        return answer.code == 400 and answer.http.body == b""

    @every_form
    def test_garbage(self, version, form):
        device = self.phone(version, form)
        good = wbxml.encode(device.sync_request(device.collection(device.inbox, "0")))
        head = wbxml.HEADER
        samples = [good[:cut] for cut in range(1, len(good), 3)] + [
            b"\0" * 100, b"\xff" * 100, b"garbage", head, head + b"\x45", head + b"\x45" * 200,
            head + b"\x00\x63\x45\x01",  # a page that does not exist
            head + b"\x00\x03\x45\x01", head + b"\x7f\x01", head + b"\xc5\x01",
            head + b"\x45\x4b\xc3\xff\xff\xff\xff\x7f" + b"x",  # OPAQUE of 34 GB
            head + b"\x45\x4b\xc3\xff\xff\xff\xff\xff\xff\xff\xff\x01", head + b"\x45\x4b\xc3",
            head + b"\x45\x4b\x03" + b"x" * 100000, head + b"\x45\x01\x01", head + b"\x45\x01" + good,
            b"\x03\x01\x6a\xff\xff\xff\xff\x7f" + b"x" * 50, b"\x03\x01\x6a\x05hello" + good[4:],
            head + b"\x45\x83\x00\x01", head + b"\x45\x02\x86\x48\x01", b"\x01" + good[1:], b""]
        for octets in samples[:: 1 if (version, form) == ("14.1", "plain") else 4]:
            with self.subTest(octets[:40]):
                for command, own in (("Sync", ("4", "13")), ("FolderSync", ("10",)), ("Provision", ("1", "2", "165")),
                                     ("GetItemEstimate", ())):
                    if command == "Provision" and not octets:
                        continue
                    if command == "Sync" and not octets:
                        continue
                    answer = self.post(device, command, octets)
                    self.assertTrue(self.refused(device, command, answer, own), (command, answer))
        self.assertEqual(device.folder_sync("0").status, "1")

    def test_every_truncation(self):
        device = self.phone("14.1")
        document = device.sync_request(device.collection(device.inbox, "0", options=device.options(
            "3", body=[("1", "500")], mime_support="1")))
        good = wbxml.encode(document)
        for cut in range(1, len(good)):
            answer = self.post(device, "Sync", good[:cut])
            self.assertIn(answer.status, ("4", "102"), cut)
        rng = random.Random(1)
        for _ in range(500):
            octets = bytearray(good)
            for _ in range(rng.randint(1, 4)):
                octets[rng.randrange(len(octets))] = rng.randrange(256)
            answer = self.post(device, "Sync", bytes(octets))
            self.assertEqual(answer.code, 200)

    def test_altered_requests(self):
        """Good requests of every command with a few octets changed: an answer each time, and the processes live."""
        device = self.phone("14.1")
        device.prime()
        inbox = device.inbox
        rng = random.Random(7)
        requests = {
            "Provision": device.provision_request(),
            "FolderSync": E("FolderHierarchy:FolderSync", E("SyncKey", "0")),
            "Ping": device.ping_request([inbox, "nonsense"], 60),
            "GetItemEstimate": E("GetItemEstimate:GetItemEstimate", E("Collections", E("Collection", E(
                "AirSync:SyncKey", device.keys[inbox]), E("CollectionId", inbox)))),
            "ItemOperations": E("ItemOperations:ItemOperations", E("Fetch", E("Store", "Mailbox"), E(
                "AirSync:CollectionId", inbox), E("AirSync:ServerId", inbox + ":1"), E("Options", device.preference("1")))),
            "SendMail": E("ComposeMail:SendMail", E("ClientId", "x"), E("SaveInSentItems"), E("Mime", mail.message())),
            "Sync": device.sync_request(device.collection(inbox, commands=[E("Change", E("ServerId", inbox + ":1"), E(
                "ApplicationData", E("Email:Flag", E("Status", "2"), E("Tasks:DueDate", "2026-01-05T08:00:00.000Z"))))])),
        }
        for command, document in requests.items():
            good = wbxml.encode(document)
            for _ in range(200):
                octets = bytearray(good)
                for _ in range(rng.randint(1, 5)):
                    at = rng.randrange(4, len(octets))
                    what = rng.randrange(3)
                    if what == 0:
                        octets[at] = rng.randrange(256)
                    elif what == 1:
                        del octets[at]
                    else:
                        octets[at:at] = octets[at : at + rng.randrange(8)]
                answer = device.post(command, body=bytes(octets), headers={"X-MS-PolicyKey": device.policy_key})
                self.assertEqual(answer.code, 200, (command, bytes(octets)))
        self.assertEqual(device.provision().folder_sync("0").status, "1")

    def test_nesting_bombs(self):
        device = self.phone("14.1")
        for depth in (33, 1000, 100_000, 5_000_000):
            octets = wbxml.HEADER + b"\x45" * depth + b"\x01" * depth
            started = time.monotonic()
            answer = self.post(device, "Sync", octets)
            self.assertIn(answer.status, ("4", "102", "103"), depth)
            self.assertLess(time.monotonic() - started, 5)
        many = wbxml.HEADER + b"\x45\x5c" + b"\x4f\x01" * 2_000_000 + b"\x01\x01"
        answer = self.post(device, "Sync", many)
        self.assertIn(answer.status, ("4", "15", "102", "103"))
        self.assertLess(self.server.memory(), 700 * MEGABYTE)

    def test_gzip_bomb(self):
        """A body that grows a thousandfold is stopped at the limit."""
        device = self.phone("14.1")
        bomb = gzip.compress(wbxml.HEADER + b"\0" * (300 * MEGABYTE), 9)
        before = self.server.memory()
        answer = device.post("Sync", body=bomb, headers={"Content-Encoding": "gzip"}, timeout=60)
        self.assertTrue(answer.code in (400, 413) or answer.status in ("4", "101", "102", "103"), answer)
        self.assertLess(self.server.memory() - before, 300 * MEGABYTE)

    def test_long_strings(self):
        device = self.phone("14.1")
        for value in ("x" * 1_000_000, "\u20ac" * 100_000, "0" * 100_000):
            answer = device.sync(key=value)
            self.assertIn("3" if answer.collection else answer.status, ("3", "4", "102", "103"))
            answer = device.sync(value, key="0")
            self.assertTrue({"4", "12", "102", "103"} & {answer.status, answer.collection_status}, answer)


class Http(HostileCase):
    def send_garbage(self, octets, tls=False):
        connection = self.server.connect(tls=tls)
        try:
            try:
                connection.send(octets)
                answer = connection.response(timeout=10)
            except (Closed, OSError, AssertionError) as error:
                self.assertNotIsInstance(error, TimeoutError)
                return None
            self.assertIn(answer.status, (400, 401, 404, 405, 408, 413, 414, 431, 501, 505), octets[:60])
            return answer
        finally:
            connection.close()

    def test_binary_garbage(self):
        rng = random.Random(2)
        for size in (1, 10, 100, 5000, 100_000):
            octets = rng.randbytes(size).replace(b"\n", b"") + b"\r\n\r\n"
            self.send_garbage(octets)
            self.send_garbage(octets, tls=True)
            self.raw_tls(octets)

    def raw_tls(self, octets):
        with socket.create_connection(("127.0.0.1", self.server.https_port), timeout=10) as raw:
            raw.sendall(b"\x16\x03\x01" + octets)
            try:
                raw.shutdown(socket.SHUT_WR)
                while raw.recv(65536):
                    pass
            except OSError as error:
                self.assertNotIsInstance(error, TimeoutError)

    def test_header_floods(self):
        for tls in (False, True):
            endless = b"OPTIONS / HTTP/1.1\r\n" + b"X-Flood: yes\r\n" * 1_000_000
            self.assertIn(getattr(self.send_garbage(endless, tls), "status", 431), (400, 431))
            self.send_garbage(b"GET /" + b"a" * 10_000_000 + b" HTTP/1.1\r\n\r\n", tls)
            self.send_garbage(b"A" * 10_000_000, tls)
        self.assertLess(self.server.memory(), 500 * MEGABYTE)

    def test_slow_senders(self):
        """A head which is not complete in time is cut, however steadily octets drip; many at once hinder nobody."""
        connections = [self.server.connect() for _ in range(200)]
        for connection in connections:
            connection.send(b"OPTIONS /Microsoft-Server-ActiveSync HTTP/1.1\r\nHost: x\r\nX: ")
        self.assert_bystander_wakes()
        deadline = time.monotonic() + 20
        open_sockets = {c.socket: c for c in connections}
        while open_sockets:
            self.assertLess(time.monotonic(), deadline, f"{len(open_sockets)} slow senders are still served")
            ready, _, _ = select.select(list(open_sockets), [], [], 0.2)
            for one in ready:
                try:
                    octets = one.recv(4096)
                except OSError:
                    octets = b""
                if not octets:
                    del open_sockets[one]
                else:
                    self.assertIn(b"408", octets[:20])
            for one in open_sockets:
                try:
                    one.send(b"x")
                except OSError:
                    pass
        for connection in connections:
            connection.close()

    def test_slow_bodies(self):
        """A body far below the lowest rate is cut."""
        device = self.phone("14.1")
        device.send("FolderSync", body=b"\x03", headers={"Content-Length": "100000"})
        deadline = time.monotonic() + 30
        one = device.connection.socket
        while True:
            self.assertLess(time.monotonic(), deadline, "a slow sender is still served")
            if select.select([one], [], [], 0.2)[0]:
                octets = one.recv(4096)
                self.assertTrue(octets == b"" or b" 408 " in octets[:20] or b" 400 " in octets[:20], octets)
                break
            try:
                one.send(b"x")
            except OSError:
                break

    def test_silent_connections(self):
        """Half-open TLS handshakes and connections without a word."""
        silent = [socket.create_connection(("127.0.0.1", self.server.https_port)) for _ in range(300)]
        silent += [socket.create_connection(("127.0.0.1", self.server.http_port)) for _ in range(300)]
        for one in silent[:150]:
            one.send(b"\x16\x03\x01\x02\x00\x01")
        self.assert_bystander_wakes()
        self.assertEqual(self.phone("14.1", tls=True).folder_sync("0").status, "1")
        for one in silent:
            one.close()

    def test_reader_that_does_not_read(self):
        """Someone asks for much and takes nothing: memory stays bounded, the phone is cut."""
        device = self.phone("14.1")
        self.server.deliver(self.owner, mail.message("big", attachments=[
            ("big.bin", "application/octet-stream", os.urandom(8 * MEGABYTE))]))
        (data,) = device.prime(options=device.options(body=[("1",)])).values()
        reference = data.get("AirSyncBase:Attachments/Attachment/FileReference")
        fetch = E("ItemOperations:ItemOperations", E(
            "Fetch", E("Store", "Mailbox"), E("AirSyncBase:FileReference", reference)))
        before = self.server.memory()
        hung = []
        for _ in range(10):
            connection = device.connect()
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            device.send("ItemOperations", fetch, connection=connection)
            hung.append(connection)
        self.assert_bystander_wakes(within=10)
        self.assertLess(self.server.memory() - before, 400 * MEGABYTE)
        for connection in hung:
            connection.close()
        eventually(lambda: self.server.memory() - before < 200 * MEGABYTE, what="memory is given back")

    def test_200_uploads_without_login(self):
        """200 bodies of 50 MB at once from people who may not: none is taken in, memory stays where it was."""
        before = self.server.memory()
        peak = before
        size = 50 * MEGABYTE
        piece = b"\0" * 65536
        uploads = {}
        for number in range(200):
            tls = number % 4 == 0
            connection = self.server.connect(tls=tls, timeout=30)
            login = {"Authorization": basic("nobody", "x")} if number % 2 else {}
            head = {"Content-Length": size, "Content-Type": "message/rfc822", "MS-ASProtocolVersion": "12.1", **login}
            target = f"{PATH}?Cmd=SendMail&User=nobody&DeviceId=d{number}&DeviceType=t"
            connection.request("POST", target, head)
            connection.socket.setblocking(False)
            uploads[connection.socket] = [connection, size, b""]
        deadline = time.monotonic() + 60
        statuses = []
        checked = False
        while uploads:
            self.assertLess(time.monotonic(), deadline, f"{len(uploads)} uploads hang")
            readable, writable, _ = select.select(list(uploads), list(uploads), [], 1)
            for one in set(readable):
                entry = uploads.get(one)
                try:
                    octets = one.recv(65536)
                except (BlockingIOError, ssl.SSLWantReadError):
                    continue
                except OSError:
                    octets = b""
                entry[2] += octets
                if not octets or b"\r\n\r\n" in entry[2]:
                    statuses.append(entry[2].split(b" ")[1] if entry[2] else b"cut")
                    del uploads[one]
                    entry[0].close()
            for one in set(writable) & set(uploads):
                entry = uploads[one]
                if entry[1] <= 0:
                    continue
                try:
                    entry[1] -= one.send(piece)
                except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    pass
                except OSError:
                    entry[1] = 0  # the answer may still be there to be read
            peak = max(peak, self.server.memory())
            if not checked and len(uploads) < 150:
                checked = True
                self.assert_bystander_wakes(within=5)
        self.assertEqual(len(statuses), 200)
        self.assertTrue(set(statuses) <= {b"401", b"413", b"503", b"cut"}, set(statuses))
        self.assertGreater(statuses.count(b"401"), 100)
        print(f"200 uploads of 50 MB: memory {before // MEGABYTE} MB before, {peak // MEGABYTE} MB at the peak")
        self.assertLess(peak - before, 200 * MEGABYTE)


class Mail(HostileCase):
    def arrives(self, octets, timeout=30):
        """The message comes out by Sync in every body type, in bounded time."""
        device = self.phone("14.1")
        started = time.monotonic()
        self.server.deliver(self.owner, octets)
        for type_ in ("1", "2", "4"):
            options = device.options(body=[(type_, "100000")], mime_support="2" if type_ == "4" else None)
            items = device.prime(options=options)
            self.assertEqual(len(items), 1)
        self.assertLess(time.monotonic() - started, timeout)
        return next(iter(items.values())), device

    def test_ten_thousand_parts(self):
        parts = b"".join(b"--b\r\nContent-Type: text/plain; name=f%d.txt\r\nContent-Disposition: attachment\r\n\r\npart %d\r\n"
                         % (n, n) for n in range(10_000))
        octets = (b"From: a@example.net\r\nSubject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b"
                  b"\r\n\r\n" + parts + b"--b--\r\n")
        data, _ = self.arrives(octets)
        self.assertEqual(data.get("Email:Subject"), "parts")
        self.assertLessEqual(len(data.all("AirSyncBase:Attachments/Attachment")), 1000)

    def test_deep_nesting(self):
        for kind in ("multipart", "message"):
            octets = b"From: a@example.net\r\nSubject: deep\r\nMIME-Version: 1.0\r\n"
            for n in range(5000):
                if kind == "multipart":
                    octets += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
                else:
                    octets += b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n"
            self.arrives(octets + b"\r\nthe end\r\n")

    def test_broken_charsets_and_encodings(self):
        for content in (
                b"Content-Type: text/plain; charset=utf-8\r\n\r\n\xff\xfe\xc0\x80 broken\r\n",
                b"Content-Type: text/plain; charset=\"no such thing\"\r\n\r\n\xe4\r\n",
                b"Content-Type: text/html; charset=utf-7\r\n\r\n+ADw-script+AD4-\r\n",
                b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!not base64!!!\r\n",
                b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=ZZ=\r\n=4\r\n",
                b"Content-Type: text/plain\r\nContent-Transfer-Encoding: nonsense\r\n\r\nx\r\n",
                b"Content-Type: multipart/mixed\r\n\r\nno boundary\r\n",
                b"Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\nx\r\n",
                b"Content-Type: \xff\xff/\0\r\n\r\nx\r\n",
                b"Content-Type: text/plain; name*0*=utf-8''%ff%fe; name*2=x\r\n\r\nx\r\n",
                b"Content-Type: text/html\r\n\r\n" + b"<div>" * 200_000 + b"deep",
                b"Content-Type: text/html\r\n\r\n<" + b"a " * 500_000,
                b"Content-Type: text/plain\r\n\r\n" + b"x" * 3_000_000 + b"\r\n",
                b"Content-Type: text/plain\r\n\r\nnul \0 and controls \x01\x02\x1b[31m\r\n",
                b"X: " + b"y" * 1_000_000 + b"\r\n\r\nlong header\r\n",
                b"Subject: =?utf-8?b?" + b"/" * 50_000 + b"?=\r\n\r\nx\r\n",
                b"To: " + b"<a@b>, " * 50_000 + b"\r\n\r\nmany\r\n",
                b"To: " + b"(" * 100_000 + b"\r\n\r\ncomments\r\n",
                b"\r\n", b"no header at all, only text\r\n", b"\0\0\0\0\r\n"):
            with self.subTest(content[:80]):
                self.arrives(b"From: a@example.net\r\nMIME-Version: 1.0\r\n" + content)

    def test_compressed_surprises(self):
        """Random octets as a message."""
        rng = random.Random(3)
        for size in (1, 100, 10_000, 1_000_000):
            self.arrives(rng.randbytes(size).replace(b"\n", b"") + b"\r\n")


class LmtpGarbage(HostileCase):
    def test_garbage(self):
        rng = random.Random(4)
        for octets in (rng.randbytes(100_000), b"\0" * 100_000, b"A" * 5_000_000, b"\r\n" * 100_000, b"\xff" * 1000 + b"\r\n",
                       b"LHLO x\r\n" * 50_000, b"MAIL FROM:<" + b"<" * 1_000_000, b"RSET\r\n" * 20_000):
            with self.subTest(octets[:20]):
                lmtp = self.server.lmtp(greet=False)
                try:
                    lmtp.expect("220")
                    lmtp.socket.setblocking(False)
                    view = memoryview(octets)
                    deadline = time.monotonic() + 10
                    while view and time.monotonic() < deadline:
                        readable, writable, _ = select.select([lmtp.socket], [lmtp.socket], [], 1)
                        if readable and lmtp.socket.recv(65536) == b"":
                            break
                        if writable:
                            view = view[lmtp.socket.send(view[:65536]) :]
                except (LmtpError, ConnectionError):
                    pass
                finally:
                    lmtp.close()
        self.assertLess(self.server.memory(), 500 * MEGABYTE)
        self.assertTrue(self.server.lmtp().extensions)

    def test_slow_and_many(self):
        held = []
        for _ in range(40):
            lmtp = self.server.lmtp()
            lmtp.command("MAIL FROM:<a@example.net>", "250")
            lmtp.command(f"RCPT TO:<{self.bystander_user.address}>", "250")
            lmtp.command("DATA", "354")
            lmtp.send(b"Subject: half\r\n")
            held.append(lmtp)
        self.assert_bystander_wakes()
        for lmtp in held:
            lmtp.close()


class AdminGarbage(HostileCase):
    def test_garbage(self):
        path = os.path.join(self.server.runtime, "admin.sock")
        rng = random.Random(5)
        for octets in (rng.randbytes(10_000) + b"\n", b"{" * 100_000 + b"\n", b"[" * 200_000 + b"\n", b"\n" * 1000, b"null\n",
                       b'{"verb": "nonsense"}\n', b'{"verb": 5}\n', b'{"verb": "user add", "args": []}\n',
                       b'{"verb": "user add", "args": {"address": "x"}}\n', b'{"verb": "user list", "args": {"x": 1}}\n',
                       b"x" * 1_000_000 + b"\n"):
            with socket.socket(socket.AF_UNIX) as one:
                one.settimeout(10)
                one.connect(path)
                try:
                    one.sendall(octets)
                    answer = one.recv(65536)
                    if answer:
                        self.assertIn(b'"ok":false', answer.replace(b" ", b""))
                except ConnectionError:
                    pass
        self.assertIn("bystander", self.server.bellhop("user", "list").stdout)

    def test_nobody_else_may(self):
        """Peer credentials: another user of the machine is refused."""
        path = os.path.join(self.server.runtime, "admin.sock")
        for folder in (self.server.folder, self.server.runtime):
            os.chmod(folder, 0o755)
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.setgid(65534)
                os.setuid(65534)
                one = socket.socket(socket.AF_UNIX)
                one.settimeout(10)
                try:
                    one.connect(path)
                    one.sendall(b'{"verb": "user list", "args": {}}\n')
                    os.write(writer, one.recv(65536) or b"closed")
                except OSError as error:
                    os.write(writer, b"refused " + type(error).__name__.encode())
            finally:
                os._exit(0)
        os.close(writer)
        os.waitpid(pid, 0)
        answer = os.read(reader, 65536)
        os.close(reader)
        self.assertNotIn(b"bystander", answer)
        self.assertTrue(answer.startswith((b"refused", b"closed")) or b"denied" in answer, answer)


class EngineSocketGarbage(HostileCase):
    def test_garbage(self):
        """A stranger on the socket between front and engine ends only his own connection."""
        path = os.path.join(self.server.runtime, "engine.sock")
        rng = random.Random(6)
        for octets in (rng.randbytes(1000), b"\xff" * 1000, b"\0" * 1000, b"\x01\0\0\0\x01"):
            with socket.socket(socket.AF_UNIX) as one:
                one.settimeout(5)
                one.connect(path)
                try:
                    one.sendall(octets)
                    one.recv(100)
                except (TimeoutError, ConnectionError):
                    pass


class Limits(HostileCase):
    settings = {**HostileCase.settings, "http.connections_per_address": "50", "server.fronts": "1",
                "http.body_max_bytes": "1000000"}

    def test_connections_per_address(self):
        """Beyond the limit connections are refused; afterwards they are taken again."""
        held, refused = [], 0
        for _ in range(80):
            try:
                connection = self.server.connect(timeout=5)
                connection.request("OPTIONS", PATH, {})
                connection.response()
                held.append(connection)
            except (Closed, OSError, AssertionError):
                refused += 1
        self.assertGreaterEqual(refused, 25)
        self.assertLessEqual(len(held), 50)
        for connection in held:
            connection.close()

        def served():
            try:
                with self.server.connect() as connection:
                    connection.request("OPTIONS", PATH, {})
                    return connection.response().status == 401
            except (Closed, OSError, AssertionError):
                return False
        eventually(served, what="served again")

    def test_body_too_large(self):
        device = self.phone("12.1")
        for kwargs in ({"headers": {"Content-Length": "1000001"}},):
            device.send("SendMail", body=b"x", content_type="message/rfc822", **kwargs)
            answer = device.receive()
            self.assertEqual(answer.code, 413)
            device.close()
        fields = device.headers("SendMail", WBXML_TYPE)
        fields["Transfer-Encoding"] = "chunked"
        connection = device.connect()
        connection.request("POST", device.target("SendMail"), fields, content_length=False)
        try:
            for _ in range(40):
                connection.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        except OSError:
            pass
        try:
            self.assertEqual(connection.response().status, 413)
        except (Closed, ConnectionError):
            pass
        connection.close()


if __name__ == "__main__":
    unittest.main()
