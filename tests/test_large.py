"""An attachment of 50 MB, with the settings as they come: in by LMTP and SendMail, out by every command that has it, in bounded memory."""

import base64
import os
import unittest

from eas.wbxml import E
from lib.case import ServerCase

MEGABYTE = 1 << 20
SIZE = 50 * MEGABYTE
# The answer, or the message on its way, once, or twice (72 MB each); docs/PERFORMANCE.md has the figures.
ENGINE_MAX = 155 * MEGABYTE
FRONT_MAX = 24 * MEGABYTE


def status_line(pid, name):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    raise AssertionError(f"{pid} has no {name}")


class Large(ServerCase):
    @classmethod
    def prepare(cls):
        cls.content = os.urandom(SIZE)
        cls.owner = cls.server.add_user("reader")
        cls.message = cls.make(cls.owner.address)
        cls.server.deliver(cls.owner, cls.message)

    @classmethod
    def make(cls, recipient):
        boundary = "=_large"
        return (f"To: {recipient}\r\nSubject: large\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n"
                f"--{boundary}\r\n\r\nhere it is\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n"
                "Content-Disposition: attachment; filename=film.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n").encode() + (
                    base64.encodebytes(cls.content).replace(b"\n", b"\r\n") + f"--{boundary}--\r\n".encode())

    def setUp(self):
        self.before = {}
        for pid in [self.server.engine_pid(), *self.server.front_pids()]:
            with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
                file.write("5")
            self.before[pid] = status_line(pid, "VmRSS")

    def tearDown(self):
        """What the processes grew by at their peak."""
        engine = self.server.engine_pid()
        for pid, before in self.before.items():
            grown = status_line(pid, "VmHWM") - before
            self.assertLess(grown, ENGINE_MAX if pid == engine else FRONT_MAX, f"process {pid} of {self._testMethodName}")
            print(f"{self._testMethodName}: {'engine' if pid == engine else 'front'} {grown / MEGABYTE:.0f} MB")

    def reference(self, device):
        (data,) = device.prime(options=device.options(body=[("1", "500")])).values()
        if device.since("12.0"):
            attachment = data.find("AirSyncBase:Attachments/Attachment")
            self.assertEqual(attachment.get("EstimatedDataSize"), str(SIZE))
            return attachment.get("FileReference")
        attachment = data.find("Email:Attachments/Attachment")
        self.assertEqual(attachment.get("AttSize"), str(SIZE))
        return attachment.get("AttName")

    def fetch(self, device, reference, range_=None, **kwargs):
        return device.post("ItemOperations", E("ItemOperations:ItemOperations", E(
            "Fetch", E("Store", "Mailbox"), E("AirSyncBase:FileReference", reference),
            None if range_ is None else E("Options", E("Range", range_)))), timeout=60, **kwargs)

    def test_inline(self):
        device = self.phone("14.1", user=self.owner)
        answer = self.fetch(device, self.reference(device))
        self.assertTrue(base64.b64decode(answer.document.find("Response/Fetch/Properties/Data").data) == self.content)

    def test_multipart(self):
        device = self.phone("16.1", user=self.owner)
        answer = self.fetch(device, self.reference(device), headers={"MS-ASAcceptMultiPart": "T"})
        self.assertTrue(answer.http.body.endswith(self.content))

    def test_ranges(self):
        device = self.phone("12.1", user=self.owner)
        reference = self.reference(device)
        for first in (0, 1, SIZE // 2 + 1, SIZE - 1000):
            found = self.fetch(device, reference, f"{first}-{first + 999_999}").document.find("Response/Fetch/Properties")
            last = min(first + 999_999, SIZE - 1)
            self.assertEqual((found.get("Range"), found.get("Total")), (f"{first}-{last}", str(SIZE)))
            self.assertTrue(base64.b64decode(found.get("Data")) == self.content[first:last + 1])

    def test_get_attachment(self):
        device = self.phone("2.5", user=self.owner)
        answer = device.post("GetAttachment", params={"AttachmentName": self.reference(device)}, timeout=60)
        self.assertTrue(answer.http.body == self.content)

    def test_as_mime(self):
        device = self.phone("14.1", user=self.owner)
        (data,) = device.prime(options=device.options(body=[("4",)], mime_support="2")).values()
        self.assertTrue(data.find("AirSyncBase:Body/Data").data.endswith(self.message.split(b"\r\n\r\n", 1)[1]))

    def test_delivery(self):
        self.server.deliver(self.user(), self.message)

    def send(self, device, command, *more, mime):
        return device.post(command, E(f"ComposeMail:{command}", E("ClientId", f"large{command}{os.getpid()}"), E("SaveInSentItems"), *more,
                                      E("Mime", mime)), timeout=60)

    def test_sent(self):
        device = self.phone("14.1")
        answer = self.send(device, "SendMail", mime=self.make(device.user))
        self.assertTrue(answer.code == 200 and answer.document is None, answer)
        (data,) = device.prime(options=device.options(body=[("1", "500")])).values()
        self.assertEqual(data.get("AirSyncBase:Attachments/Attachment/EstimatedDataSize"), str(SIZE))

    def test_forwarded(self):
        """SmartForward: 100 MB are the bound, and 72 are below it."""
        device = self.phone("14.1", user=self.owner)
        reference = self.reference(device)
        folder, item, _ = reference.split(":")
        reader = self.user()
        answer = self.send(device, "SmartForward", E("Source", E("FolderId", folder), E("ItemId", f"{folder}:{item}")),
                           mime=f"To: {reader.address}\r\nSubject: Fwd\r\nMIME-Version: 1.0\r\n\r\nlook\r\n".encode())
        self.assertTrue(answer.code == 200 and answer.document is None, answer)
        other = reader.device("14.1").ready()
        (data,) = other.prime(options=other.options(body=[("1", "500")])).values()
        self.assertEqual(data.get("AirSyncBase:Attachments/Attachment/EstimatedDataSize"), str(SIZE))

    def test_too_large(self):
        """Beyond the bounds: 413 for a request, 552 for a delivery, and nothing is left of either."""
        device = self.phone("14.1")
        connection = device.connect()
        self.addCleanup(connection.close)
        device.send("SendMail", body=b"", connection=connection, headers={"Content-Length": str(101 * MEGABYTE)})
        self.assertEqual(device.receive(connection).code, 413)
        with self.server.lmtp() as lmtp:
            answer = lmtp.command(f"MAIL FROM:<a@example.net> SIZE={101 * MEGABYTE}")[-1]
            self.assertTrue(answer.startswith("552"), answer)


if __name__ == "__main__":
    unittest.main()
