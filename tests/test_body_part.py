"""BodyPartPreference and BodyPart (14.1 and later): what a message adds to its conversation."""

import unittest

from eas.wbxml import E
from lib import mail
from lib.case import ServerCase, forms

PARTS = ("14.1", "16.0", "16.1", ("14.1", "base64"))
NEW = "<div>Das Neue: grün</div>"
OLD = "<div class=\"gmail_quote\">Am Montag schrieb x:<blockquote>the old text</blockquote></div>"


class BodyPartCase(ServerCase):
    def deliver_reply(self, html, subject="Re: history"):
        message = mail.message(subject, text="unused", html=f"<html><body>{html}</body></html>",
                               In_Reply_To="<first@example.net>", References="<first@example.net>")
        self.server.deliver(self.owner, message)

    def only(self, device, **options):
        (data,) = device.prime(options=device.options(**options)).values()
        return data


class BodyPart(BodyPartCase):
    @forms(*PARTS)
    def test_new_text_alone(self, version, form):
        device = self.phone(version, form)
        self.deliver_reply(NEW + OLD)
        data = self.only(device, body=[("2",)], part=("2", None, None, "8"))
        part = data.find("AirSyncBase:BodyPart")
        self.assertEqual(part.names(), ["Status", "Type", "EstimatedDataSize", "Data", "Preview"])
        self.assertEqual((part.get("Status"), part.get("Type")), ("1", "2"))
        self.assertIn("Das Neue: grün", part.get("Data"))
        self.assertNotIn("old text", part.get("Data"))
        self.assertEqual(part.get("EstimatedDataSize"), str(len(part.get("Data").encode())))
        self.assertEqual(part.get("Preview"), "Das Neue")
        self.assertIn("old text", data.get("AirSyncBase:Body/Data"), "the body is whole")

    @forms(*PARTS)
    def test_sizes(self, version, form):
        device = self.phone(version, form)
        self.deliver_reply("x" * 500 + OLD)
        part = self.only(device, body=[("2",)], part=("2", "100", None, "255")).find("AirSyncBase:BodyPart")
        self.assertEqual(part.names(), ["Status", "Type", "EstimatedDataSize", "Truncated", "Data", "Preview"])
        self.assertEqual((part.get("Status"), part.get("Truncated"), len(part.get("Data"))), ("1", "1", 100))
        self.assertGreater(int(part.get("EstimatedDataSize")), 500)
        self.assertTrue(part.get("Preview").startswith("x" * 200))
        part = self.only(device, part=("2", "0")).find("AirSyncBase:BodyPart")
        self.assertEqual(part.names(), ["Status", "Type", "EstimatedDataSize", "Truncated"])

    @forms(*PARTS)
    def test_all_or_none_is_too_large(self, version, form):
        """What may not be cut and does not fit: 176, no data."""
        device = self.phone(version, form)
        self.deliver_reply("x" * 500 + OLD)
        part = self.only(device, part=("2", "100", "1")).find("AirSyncBase:BodyPart")
        self.assertEqual(part.names(), ["Status", "Type", "EstimatedDataSize", "Truncated"])
        self.assertEqual(part.get("Status"), "176")
        part = self.only(device, part=("2", "2000", "1")).find("AirSyncBase:BodyPart")
        self.assertEqual((part.get("Status"), part.get("Truncated", "0")), ("1", "0"))

    @forms("14.1", "16.1")
    def test_part_alone(self, version, form):
        """Without a BodyPreference the whole body is only announced."""
        device = self.phone(version, form)
        self.deliver_reply(NEW + OLD)
        data = self.only(device, part=("2",))
        body = data.find("AirSyncBase:Body")
        self.assertEqual(body.names(), ["Type", "EstimatedDataSize", "Truncated"])
        self.assertEqual(data.find("AirSyncBase:BodyPart").get("Status"), "1")

    @forms("14.1", "16.1")
    def test_options_stay(self, version, form):
        """The preference is kept with the others, and goes when a request names Options without it."""
        device = self.phone(version, form)
        device.prime(options=device.options(body=[("2",)], part=("2", None, None, "100")))
        self.deliver_reply(NEW + OLD)
        (data,) = device.sync().added.values()
        self.assertEqual(data.get("AirSyncBase:BodyPart/Preview"), "Das Neue: grün")
        self.deliver_reply(NEW + OLD, "Re: another")
        (data,) = device.sync(options=device.options(body=[("2",)])).added.values()
        self.assertFalse(data.has("AirSyncBase:BodyPart"))

    @forms("14.1", "16.1")
    def test_forward_is_whole(self, version, form):
        device = self.phone(version, form)
        self.deliver_reply(NEW + OLD, "Fwd: history")
        self.assertIn("old text", self.only(device, part=("2",)).get("AirSyncBase:BodyPart/Data"))

    @forms("14.1", "16.1")
    def test_no_text(self, version, form):
        device = self.phone(version, form)
        self.server.deliver(self.owner, b"Subject: a picture\r\nContent-Type: image/png\r\n\r\nx")
        part = self.only(device, part=("2",)).find("AirSyncBase:BodyPart")
        self.assertEqual((part.names(), part.get("EstimatedDataSize")), (["Status", "Type", "EstimatedDataSize"], "0"))

    @forms(*PARTS)
    def test_fetch(self, version, form):
        device = self.phone(version, form)
        self.deliver_reply(NEW + OLD)
        (server_id,) = device.prime()
        for schema in (None, E("ItemOperations:Schema", E("AirSyncBase:BodyPart"))):
            answer = device.post("ItemOperations", E("ItemOperations:ItemOperations", E(
                "Fetch", E("Store", "Mailbox"), E("AirSync:CollectionId", device.inbox), E("AirSync:ServerId", server_id),
                E("Options", schema, device.preference("2", name="BodyPartPreference")))))
            properties = answer.document.find("Response/Fetch/Properties")
            part = properties.find("AirSyncBase:BodyPart")
            self.assertEqual(part.get("Status"), "1", answer)
            self.assertIn("Das Neue", part.get("Data"))
            self.assertNotIn("old text", part.get("Data"))
            self.assertEqual(properties.has("AirSyncBase:Body"), schema is None)


class Refused(BodyPartCase):
    @forms("14.1", "16.1")
    def test_other_types(self, version, form):
        """Only HTML: a common status, whatever else the request asks for."""
        device = self.phone(version, form)
        for type_ in ("1", "3", "4"):
            answer = device.sync(key="0", options=device.options(part=(type_,)))
            self.assertEqual(answer.status, "164", type_)

    @forms("2.5", "12.1", "14.0")
    def test_older_versions(self, version, form):
        device = self.phone(version, form)
        self.deliver_reply(NEW + OLD)
        answer = device.sync(key="0", options=device.options(part=("2",)))
        self.assertIn(answer.key, (None, "0"))
        self.assertNotEqual(answer.collection_status, "1")


if __name__ == "__main__":
    unittest.main()
