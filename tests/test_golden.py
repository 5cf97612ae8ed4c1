"""
What phones are sent for hundreds of messages that no one here wrote (lib/corpus.py) is what it was when somebody looked at it
(golden/*.txt). Delivered by LMTP, listed in 2.5, 12.1, 14.1 and 16.1 with every type of body; the shape of each answer is checked as
well (eas/email_order.py). `tests/update-golden` writes the renderings anew and shows what changed.
"""

import os
import unittest
import xml.etree.ElementTree as ET

from eas import email_order
from lib import corpus, golden
from lib.case import ServerCase
from test_wbxml import convert

# So many must be compared, whatever packages and mirrors lack.
MESSAGES_MIN = 250
# Where update-golden wants the whole renderings of all listings, to be looked at.
WHOLE = os.environ.get("BELLHOP_GOLDEN_WHOLE")
UPDATE = os.environ.get("BELLHOP_GOLDEN_UPDATE") == "1"


def crlf(octets):
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def item_number(server_id):
    return int(server_id.rpartition(":")[2])


class Golden(ServerCase):
    @classmethod
    def prepare(cls):
        cls.sets, cls.missing = {}, []
        for one in corpus.REQUIRED + corpus.FETCHED:
            try:
                cls.sets[one.name] = one.load()
            except corpus.Missing as missing:
                if one in corpus.REQUIRED:
                    raise
                cls.missing.append(str(missing))
        cls.messages = [(name, message) for name, messages in cls.sets.items() for message in messages]
        cls.owner = cls.server.add_user("reader")
        with cls.server.lmtp() as lmtp:
            for name, message in cls.messages:
                answer = lmtp.deliver(cls.owner.address, crlf(message.octets), sender="")[0]
                assert answer.startswith("250"), f"{name} {message.name}: {answer}"
        cls.answers = []
        cls.listings = {name: cls.listing(*what) for name, what in golden.LISTINGS.items()}

    @classmethod
    def listing(cls, version, options):
        """ApplicationData of all messages, in the order in which they were delivered."""
        device = cls.owner.device(version).ready()
        found = {}
        answer = device.sync(key="0", options=device.options(**options))
        while answer.more or not found:
            answer = device.sync(window=100)
            email_order.check_collection(answer.collection)
            found.update(answer.added)
            cls.answers.append((version, answer))
        device.close()
        assert len(found) == len(cls.messages), (len(found), len(cls.messages))
        return [found[server_id] for server_id in sorted(found, key=item_number)]

    def test_shape(self):
        """Every element of every message is one that its version knows, where it may stand, in the form it must have."""
        for listing, (version, _) in golden.LISTINGS.items():
            for (name, message), data in zip(self.messages, self.listings[listing]):
                with self.subTest(f"{listing} {name} {message.name}"):
                    email_order.check(data, version)

    def test_another_decoder(self):
        """libwbxml reads the same text where it knows the elements (2.5 and 12.1)."""
        for version, answer in self.answers:
            if version not in ("2.5", "12.1"):
                continue
            root = ET.fromstring(convert("wbxml2xml", answer.http.body, "-l", "ACTIVESYNC"))
            for name in ("Subject", "From", "DisplayName", "EstimatedDataSize"):
                theirs = [(e.text or "").strip() for e in root.iter() if e.tag.split("}")[-1] == name]
                ours = [e.text.strip() for e in answer.document.walk() if e.name == name]
                self.assertEqual(theirs, ours)

    def test_renderings(self):
        """They are as kept. A message that its package does not have any more is told of; too few of them fail."""
        compared, at = 0, 0
        for name, messages in self.sets.items():
            kept, new = golden.load(name), []
            for message in messages:
                by_listing = {listing: found[at] for listing, found in self.listings.items()}
                at += 1
                new.append(golden.render(message, by_listing))
                if WHOLE:
                    write_whole(name, message, by_listing)
                old = kept.pop(golden.key_of(new[-1]), None)
                if old == new[-1]:
                    compared += 1
                elif UPDATE:
                    print(golden.difference(old or [], new[-1]))
                elif old is None:
                    print(f"{name}: {message.name} has no kept rendering")
                else:
                    with self.subTest(f"{name} {message.name}"):
                        self.fail("\n" + golden.difference(old, new[-1]))
            if UPDATE:
                golden.save(name, new)
            for gone, _ in kept:
                print(f"{name}: {gone} is not in the package any more")
        for missing in self.missing:
            print(f"not compared: {missing}")
        print(f"{compared} of {len(self.messages)} messages as kept")
        self.assertTrue(UPDATE or compared >= MESSAGES_MIN, f"only {compared} messages were compared")


def write_whole(name, message, by_listing):
    folder = os.path.join(WHOLE, name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, message.name.replace("/", "_")), "wb") as file:
        for listing, data in by_listing.items():
            file.write(f"######## {listing}\n".encode())
            for element in data.elements:
                text = element.find("Data") if element.name == "Body" and element.has("Data") else element
                file.write(f"---- {element.name}\n".encode() + (text.data or repr(element).encode()) + b"\n")
        file.write(b"######## message\n" + message.octets)


if __name__ == "__main__":
    unittest.main()
