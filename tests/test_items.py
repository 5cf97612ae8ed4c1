"""GetItemEstimate with all its statuses; ItemOperations Fetch of messages and attachments."""

import base64
import email
import email.policy
import struct
import unittest

from eas import wbxml
from eas.client import SENT
from eas.wbxml import E
from lib import mail
from lib.case import ServerCase, every_form, forms

FROM_12_0 = ("12.0", "12.1", "14.0", "14.1", "16.0", "16.1", ("12.1", "base64"), ("14.1", "base64"),
             ("16.1", "base64"))


class Estimates(ServerCase):
    def estimate(self, device, key, collection_id=None, filter_type=None, options=None):
        collection_id = collection_id or device.inbox
        if device.since("14.0"):
            if options is None and filter_type is not None:
                options = E("AirSync:Options", E("FilterType", filter_type))
            collection = E("Collection", E("AirSync:SyncKey", key), E("CollectionId", collection_id), options)
        else:
            collection = E("Collection", E("Class", "Email"), E("CollectionId", collection_id),
                           E("AirSync:FilterType", filter_type or "0"), E("AirSync:SyncKey", key))
        answer = device.post("GetItemEstimate", E("GetItemEstimate:GetItemEstimate", E("Collections", collection)))
        self.assertEqual(answer.code, 200, answer)
        found = answer.document.find("Response")
        return found.get("Status") if found else answer.status, found and found.get("Collection/Estimate"), answer

    @every_form
    def test_counts(self, version, form):
        device = self.phone(version, form)
        with self.server.lmtp() as lmtp:
            for _ in range(5):
                lmtp.deliver(self.owner.address, mail.message())
        self.assertEqual(self.estimate(device, "0")[0], "3", "not primed")
        device.sync(key="0")
        key = device.keys[device.inbox]
        status, count, answer = self.estimate(device, key)
        self.assertEqual((status, count), ("1", "5"), answer)
        self.assertEqual(answer.document.get("Response/Collection/CollectionId"), device.inbox)
        self.assertEqual(answer.document.has("Response/Collection/Class"), not device.since("14.0"))
        self.assertEqual(self.estimate(device, key, filter_type="1")[1], "5")
        device.sync(window="2")
        self.assertEqual(self.estimate(device, device.keys[device.inbox])[1], "3")
        device.sync_rest()
        self.assertEqual(self.estimate(device, device.keys[device.inbox])[:2], ("1", "0"))
        # The key is not moved by any of this.
        self.deliver(self.owner, "one more")
        self.assertEqual(self.estimate(device, device.keys[device.inbox])[1], "1")
        self.assertEqual(device.sync().subjects(), ["one more"])

    @every_form
    def test_statuses(self, version, form):
        device = self.phone(version, form)
        device.prime()
        key = device.keys[device.inbox]
        self.assertEqual(self.estimate(device, "987654321")[0], "4")
        self.assertEqual(self.estimate(device, "abc")[0], "4")
        self.assertEqual(self.estimate(device, key, collection_id="99999")[0], "2")
        self.assertIn(self.estimate(device, "5", collection_id=device.folders[SENT])[0], ("3", "4"))
        if device.since("14.0"):
            self.assertEqual(self.estimate(device, key, filter_type="7")[0], "110")
            self.assertIn(self.estimate(device, key, filter_type="9")[0], ("103",))
            self.assertEqual(self.estimate(device, key, options=E("AirSync:Options"))[0], "103")
            self.assertEqual(self.estimate(device, key, options=E("AirSync:Options", E("MaxItems", "5")))[0], "2")
        self.assertEqual(self.estimate(device, key)[0], "1")

    @every_form
    def test_malformed(self, version, form):
        device = self.phone(version, form)
        device.prime()
        for document in (E("GetItemEstimate:GetItemEstimate"), E("GetItemEstimate:GetItemEstimate", E("Collections")),
                         E("GetItemEstimate:GetItemEstimate", E("Collections", E("Collection", E("CollectionId", "1")))),
                         E("AirSync:Sync")):
            answer = device.post("GetItemEstimate", document)
            if device.since("14.0"):
                self.assertEqual((answer.code, answer.status), (200, "103"), document)
            else:
                self.assertEqual((answer.code, answer.http.body), (400, b""), document)

    def test_too_many(self):
        device = self.phone("14.1")
        device.prime()
        one = E("Collection", E("AirSync:SyncKey", "1"), E("CollectionId", "1"))
        answer = device.post("GetItemEstimate", E("GetItemEstimate:GetItemEstimate", E("Collections", [one] * 1001)))
        self.assertEqual(answer.status, "103")


class FetchCase(ServerCase):
    def operations(self, device, *fetches, **kwargs):
        return device.post("ItemOperations", E("ItemOperations:ItemOperations", list(fetches)), **kwargs)

    def fetch_item(self, device, server_id, *options, collection_id=None, store="Mailbox"):
        return E("ItemOperations:Fetch", E("Store", store), E("AirSync:CollectionId", collection_id or device.inbox),
                 E("AirSync:ServerId", server_id), E("Options", list(options)) if options else None)

    def fetch_file(self, reference, range_=None):
        return E("ItemOperations:Fetch", E("Store", "Mailbox"), E("AirSyncBase:FileReference", reference),
                 E("Options", E("Range", range_)) if range_ else None)

    def result(self, answer, number=0):
        self.assertEqual((answer.code, answer.status), (200, "1"), answer)
        return answer.document.all("Response/Fetch")[number]


class Items(FetchCase):
    @forms(*FROM_12_0)
    def test_item(self, version, form):
        device = self.phone(version, form)
        text = "".join(f"line {n} ü\r\n" for n in range(500))
        self.deliver(self.owner, "to be fetched", text=text)
        (server_id,) = device.prime(options=device.options(body=[("1", "50")]))
        found = self.result(self.operations(device, self.fetch_item(device, server_id, device.preference("1"))))
        self.assertEqual(found.get("Status"), "1")
        self.assertEqual((found.get("AirSync:CollectionId"), found.get("AirSync:ServerId")), (device.inbox, server_id))
        self.assertEqual(found.get("AirSync:Class"), "Email")
        properties = found.find("Properties")
        self.assertEqual(properties.get("Email:Subject"), "to be fetched")
        self.assertEqual(properties.get("AirSyncBase:Body/Data"), text)
        # Cut, as HTML, as MIME.
        cut = self.operations(device, self.fetch_item(device, server_id, device.preference("1", "20")))
        self.assertEqual(self.result(cut).get("Properties/AirSyncBase:Body/Truncated"), "1")
        html = self.operations(device, self.fetch_item(device, server_id, device.preference("2")))
        self.assertEqual(self.result(html).get("Properties/AirSyncBase:Body/Type"), "2")
        mime = self.operations(device, self.fetch_item(
            device, server_id, E("AirSync:MIMESupport", "2"), device.preference("4")))
        body = self.result(mime).find("Properties/AirSyncBase:Body")
        self.assertEqual(body.get("Type"), "4")
        parsed = email.message_from_bytes(body.find("Data").data, policy=email.policy.default)
        self.assertEqual(parsed["Subject"], "to be fetched")
        # Nothing is marked as read by it.
        self.assertEqual(device.prime()[server_id].get("Email:Read"), "0")

    @forms(*FROM_12_0)
    def test_bad_items(self, version, form):
        """Errors in one operation do not stop the next."""
        device = self.phone(version, form)
        self.deliver(self.owner, "good")
        (server_id,) = device.prime()
        answer = self.operations(
            device, self.fetch_item(device, device.inbox + ":99999"), self.fetch_item(device, "nonsense"),
            self.fetch_item(device, server_id, collection_id="99999"), self.fetch_item(device, server_id, store="Elsewhere"),
            self.fetch_file("nonsense"), self.fetch_item(device, server_id))
        self.assertEqual(answer.status, "1", answer)
        statuses = [f.get("Status") for f in answer.document.all("Response/Fetch")]
        self.assertEqual(statuses, ["6", "6", "6", "9", "15", "1"])

    @forms(*FROM_12_0)
    def test_malformed(self, version, form):
        device = self.phone(version, form)
        for document in (E("ItemOperations:ItemOperations"), E("ItemOperations:ItemOperations", E("Fetch")),
                         E("ItemOperations:ItemOperations", E("Fetch", E("AirSync:ServerId", "1"))), E("AirSync:Sync")):
            answer = device.post("ItemOperations", document)
            self.assertEqual(answer.code, 200, document)
            statuses = [answer.status] + [f.get("Status") for f in answer.document.all("Response/Fetch")]
            self.assertIn("2", statuses, document)

    def test_too_many(self):
        device = self.phone("14.1")
        answer = self.operations(device, *[self.fetch_file("x") for _ in range(101)])
        self.assertEqual(answer.status, "11")

    def test_other_users_mail(self):
        device = self.phone("14.1")
        self.deliver(self.owner, "private", attachments=[("a.txt", "text/plain", b"secret")])
        items = device.prime(options=device.options(body=[("1",)]))
        (server_id,) = items
        reference = items[server_id].get("AirSyncBase:Attachments/Attachment/FileReference")
        thief = self.phone("14.1")
        answer = self.operations(thief, self.fetch_item(thief, server_id, collection_id=device.inbox),
                                 self.fetch_file(reference))
        statuses = [f.get("Status") for f in answer.document.all("Response/Fetch")]
        self.assertEqual(statuses, ["6", "15"], answer)


class Attachments(FetchCase):
    FILES = [("Übersicht.pdf", "application/pdf", bytes(range(256)) * 33), ("empty.bin", "application/octet-stream", b""),
             ("notes.txt", "text/plain", "Zeile mit ü\r\nund mehr\r\n".encode())]

    def with_files(self, version, form):
        device = self.phone(version, form)
        self.deliver(self.owner, "files", attachments=self.FILES)
        (data,) = device.prime(options=device.options(body=[("1",)])).values()
        return device, [a.get("FileReference") for a in data.all("AirSyncBase:Attachments/Attachment")]

    @forms(*FROM_12_0)
    def test_inline(self, version, form):
        device, references = self.with_files(version, form)
        self.assertEqual(len(references), 3)
        answer = self.operations(device, *[self.fetch_file(r) for r in references])
        for number, (_, type_, octets) in enumerate(self.FILES):
            found = self.result(answer, number)
            if not octets:
                self.assertIn(found.get("Status"), ("1", "10"))
                continue
            self.assertEqual(found.get("Status"), "1")
            self.assertEqual(found.get("AirSyncBase:FileReference"), references[number])
            self.assertEqual(found.get("Properties/AirSyncBase:ContentType"), type_)
            got = base64.b64decode(found.get("Properties/Data"), validate=True)
            self.assertEqual(got.replace(b"\r\n", b"\n"), octets.replace(b"\r\n", b"\n"))

    @forms(*FROM_12_0)
    def test_ranges(self, version, form):
        device, references = self.with_files(version, form)
        octets = self.FILES[0][2]
        size = len(octets)
        for first, last in ((0, 0), (0, 99), (100, 4095), (size - 10, size - 1), (size - 10, size + 100)):
            found = self.result(self.operations(device, self.fetch_file(references[0], f"{first}-{last}")))
            self.assertEqual(found.get("Status"), "1", (first, last))
            expected = octets[first : last + 1]
            self.assertEqual(base64.b64decode(found.get("Properties/Data")), expected)
            self.assertEqual(found.get("Properties/Range"), f"{first}-{first + len(expected) - 1}")
            self.assertEqual(found.get("Properties/Total"), str(size))
        for bad in (f"{size}-{size + 5}", "9999999999-99999999999"):
            found = self.result(self.operations(device, self.fetch_file(references[0], bad)))
            self.assertEqual(found.get("Status"), "8", bad)
        for bad in ("5-2", "abc", "-", "1", "-5"):
            answer = self.operations(device, self.fetch_file(references[0], bad))
            statuses = {answer.status} | {f.get("Status") for f in answer.document.all("Response/Fetch")}
            self.assertTrue(statuses & {"2", "8"}, (bad, answer))

    @forms("12.1", "14.0", "14.1", "16.1", ("12.1", "base64"), ("14.1", "base64"), ("16.1", "base64"))
    def test_multipart(self, version, form):
        """PartsCount, offsets and lengths; part 0 is the document; the parts are the raw bytes."""
        device, references = self.with_files(version, form)
        (server_id,) = device.prime()
        kwargs = {"params": {"Options": b"\x02"}} if form == "base64" else {"headers": {"MS-ASAcceptMultiPart": "T"}}
        answer = self.operations(
            device, self.fetch_file(references[0]), self.fetch_item(device, server_id, device.preference("1")),
            self.fetch_file(references[2]), self.fetch_file("bad"), **kwargs)
        self.assertEqual(answer.code, 200)
        self.assertEqual(answer.http.header("Content-Type"), "application/vnd.ms-sync.multipart")
        parts = self.parts(answer.http.body)
        document = wbxml.decode(parts[0], version)
        fetches = document.all("Response/Fetch")
        self.assertEqual([f.get("Status") for f in fetches], ["1", "1", "1", "15"])
        self.assertFalse(fetches[0].has("Properties/Data"))
        self.assertEqual(parts[int(fetches[0].get("Properties/Part"))], self.FILES[0][2])
        body = fetches[1].find("Properties/AirSyncBase:Body")
        self.assertFalse(body.has("Data"))
        self.assertEqual(parts[int(body.get("ItemOperations:Part"))], b"Hello.\r\n")
        self.assertEqual(parts[int(fetches[2].get("Properties/Part"))].replace(b"\r\n", b"\n"),
                         self.FILES[2][2].replace(b"\r\n", b"\n"))
        self.assertEqual(len(parts), 4)

    def parts(self, octets):
        (count,) = struct.unpack_from("<I", octets, 0)
        parts = []
        end = 4 + 8 * count
        for number in range(count):
            offset, length = struct.unpack_from("<II", octets, 4 + 8 * number)
            self.assertEqual(offset, end, "the parts stand one after the other")
            end = offset + length
            parts.append(octets[offset:end])
        self.assertEqual(end, len(octets))
        return parts

    @forms("12.1", ("14.1", "base64"))
    def test_multipart_with_only_the_document(self, version, form):
        device = self.phone(version, form)
        kwargs = {"params": {"Options": b"\x02"}} if form == "base64" else {"headers": {"MS-ASAcceptMultiPart": "T"}}
        answer = self.operations(device, self.fetch_file("bad"), **kwargs)
        (part,) = self.parts(answer.http.body)
        self.assertEqual(wbxml.decode(part, version).get("Response/Fetch/Status"), "15")

    @forms(*FROM_12_0)
    def test_bad_references(self, version, form):
        device, references = self.with_files(version, form)
        for bad in ("", "0", "x" * 64, references[0] + "0", references[0][:-1] + "9", ":::", "../../etc/passwd",
                    "99:99:99", "-1:-1:-1", "18446744073709551616:1:1"):
            answer = self.operations(device, self.fetch_file(bad))
            self.assertEqual(self.result(answer).get("Status"), "15", bad)

    @forms(*FROM_12_0)
    def test_options_that_do_not_fit(self, version, form):
        device, references = self.with_files(version, form)
        fetch = E("ItemOperations:Fetch", E("Store", "Mailbox"), E("AirSyncBase:FileReference", references[0]),
                  E("Options", device.preference("1")))
        answer = self.operations(device, fetch)
        statuses = {answer.status} | {f.get("Status") for f in answer.document.all("Response/Fetch")}
        self.assertIn("2", statuses)

    def test_large_attachment(self):
        """Several megabytes, over both ways of transport."""
        device = self.phone("14.1")
        octets = bytes((n * 7 + n // 251) & 0xFF for n in range(3_000_000))
        self.deliver(self.owner, "big", attachments=[("big.bin", "application/octet-stream", octets)])
        (data,) = device.prime(options=device.options(body=[("1",)])).values()
        reference = data.get("AirSyncBase:Attachments/Attachment/FileReference")
        found = self.result(self.operations(device, self.fetch_file(reference)))
        self.assertEqual(base64.b64decode(found.get("Properties/Data")), octets)
        answer = self.operations(device, self.fetch_file(reference), headers={"MS-ASAcceptMultiPart": "T"})
        self.assertEqual(self.parts(answer.http.body)[1], octets)


class OldAttachments(FetchCase):
    @forms("2.5", "12.0", "12.1", ("12.1", "base64"))
    def test_get_attachment(self, version, form):
        """The attachment itself is the answer's body."""
        device = self.phone(version, form)
        self.deliver(self.owner, "files", attachments=Attachments.FILES)
        ((server_id, data),) = device.prime(options=device.options(body=[("1",)])).items()
        names = ([a.get("FileReference") for a in data.all("AirSyncBase:Attachments/Attachment")]
                 or [a.get("AttName") for a in data.all("Email:Attachments/Attachment")])
        self.assertEqual(len(names), 3)
        for name, (_, type_, octets) in zip(names, Attachments.FILES):
            answer = device.post("GetAttachment", params={"AttachmentName": name})
            self.assertEqual(answer.code, 200, answer)
            self.assertEqual(answer.http.body.replace(b"\r\n", b"\n"), octets.replace(b"\r\n", b"\n"))
            if octets:
                self.assertEqual(answer.http.header("Content-Type"), type_)
        for bad in ("", "x", "nonsense/..", device.inbox + ":99999:1", names[0] + "9", "1:1"):
            answer = device.post("GetAttachment", params={"AttachmentName": bad})
            self.assertEqual((answer.code, answer.http.body), (500, b""), bad)
        self.assertEqual(device.post("GetAttachment").code, 500)
        # Gone with its message; and no one else's.
        thief = self.phone(version, form)
        self.assertEqual(thief.post("GetAttachment", params={"AttachmentName": names[0]}).code, 500)
        device.sync(commands=[E("Delete", E("ServerId", server_id))])
        self.assertEqual(device.post("GetAttachment", params={"AttachmentName": names[0]}).code, 500)

    @forms("14.0", "14.1", "16.1")
    def test_not_from_14_0_on(self, version, form):
        answer = self.phone(version, form).post("GetAttachment", params={"AttachmentName": "1:1:1"})
        self.assertEqual((answer.code, answer.http.body), (400, b""))


if __name__ == "__main__":
    unittest.main()
