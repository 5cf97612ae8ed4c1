"""The tests' own WBXML codec, against itself and against libwbxml's converter, so that the other tests can lean on it."""

import os
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as ET

from eas import query, wbxml
from eas.tokens import PAGES
from eas.wbxml import E, WbxmlError


def convert(program, octets, *options):
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "in"), os.path.join(folder, "out")
        with open(source, "wb") as file:
            file.write(octets)
        done = subprocess.run([program, *options, "-o", target, source], capture_output=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{program}: {done.stdout} {done.stderr}")
        with open(target, "rb") as file:
            return file.read()


class Codec(unittest.TestCase):
    def test_published_example(self):
        """The bytes of a FolderSync with key 0, known from [MS-ASWBXML] 4."""
        document = E("FolderHierarchy:FolderSync", E("SyncKey", "0"))
        octets = bytes.fromhex("03016a000007565203300001") + b"\x01"
        self.assertEqual(wbxml.encode(document), octets)
        self.assertEqual(wbxml.decode(octets), document)

    def test_every_token_round_trip(self):
        for page, (namespace, elements) in PAGES.items():
            names = {}
            for token, (name, _, _) in elements.items():
                names.setdefault(name, token)
            root = E(f"{namespace}:{next(iter(names))}", [E(name, "x") for name in names])
            self.assertEqual(wbxml.decode(wbxml.encode(root)).names(), list(names), f"page {page}")

    def test_pages_text_and_opaque(self):
        document = E("AirSync:Sync", E("Collections", E("Collection", E("SyncKey", "é €"), E(
            "Commands", E("Add", E("ApplicationData", E("Email:Subject", "a"), E("AirSyncBase:Body", E("Type", 1), E(
                "Data", b"\0\xff")), E("Email:Read", "1")))))))
        again = wbxml.decode(wbxml.encode(document))
        self.assertEqual(again.get("Collections/Collection/SyncKey"), "é €")
        data = again.find("Collections/Collection/Commands/Add/ApplicationData")
        self.assertEqual(data.names(), ["Subject", "Body", "Read"])
        self.assertEqual(data.find("AirSyncBase:Body/Data").data, b"\0\xff")
        self.assertEqual(wbxml.mb_u_int32(0x81234), bytes.fromhex("a0a434"))

    def test_refuses(self):
        good = wbxml.encode(E("Ping:Ping", E("HeartbeatInterval", "60")))
        for at in range(len(good)):
            with self.assertRaises(WbxmlError, msg=f"cut at {at}"):
                wbxml.decode(good[:at])
        for bad in (good + b"\0", b"\x02" + good[1:], good[:4] + b"\0\x1f" + good[6:], good[:6] + b"\x3f" + good[7:],
                    good[:4] + b"\xc3\xff\xff\xff\xff\x7f"):
            with self.assertRaises(WbxmlError):
                wbxml.decode(bad)

    def test_versions(self):
        octets = wbxml.encode(E("AirSync:Sync", E("Wait", "5")))
        wbxml.decode(octets, "12.1")
        with self.assertRaises(WbxmlError):
            wbxml.decode(octets, "12.0")

    def test_against_libwbxml(self):
        """wbxml2xml reads what we write; xml2wbxml writes what we read."""
        document = E("AirSync:Sync", E("Collections", E("Collection", E("SyncKey", "17"), E("CollectionId", "5"), E(
            "Options", E("FilterType", "3"), E("AirSyncBase:BodyPreference", E("Type", "2"), E(
                "TruncationSize", "512")))), E("Collection", E("SyncKey", "0"), E("CollectionId", "6"))))
        xml = ET.fromstring(convert("wbxml2xml", wbxml.encode(document), "-l", "ACTIVESYNC"))
        bare = [(e.tag.split("}")[-1], (e.text or "").strip()) for e in xml.iter()]
        self.assertEqual(bare, [(e.name, e.text) for e in document.walk()])

        ping = (b'<?xml version="1.0"?><!DOCTYPE AirSync PUBLIC "-//AIRSYNC//DTD AirSync//EN" '
                b'"http://www.microsoft.com/"><Ping xmlns="Ping:"><HeartbeatInterval>80</HeartbeatInterval>'
                b'<Folders><Folder><Id>5</Id><Class>Email</Class></Folder></Folders></Ping>')
        octets = convert("xml2wbxml", ping)
        self.assertEqual(octets[:1], b"\x03")
        # libwbxml fills in a string table and another public id; what follows it is ours to read.
        body = octets[3:]
        table = body[1]
        root = wbxml.decode(wbxml.HEADER + body[2 + table:])
        self.assertEqual((root.get("HeartbeatInterval"), root.get("Folders/Folder/Id")), ("80", "5"))


class Query(unittest.TestCase):
    def test_worked_example(self):
        self.assertEqual(
            query.encoded("Sync", "14.0", "v140Device", "SmartPhone"), "jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l")


if __name__ == "__main__":
    unittest.main()
