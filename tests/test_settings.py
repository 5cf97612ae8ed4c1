"""Settings: DeviceInformation, UserInformation, Oof, DevicePassword, their statuses and their fields by version."""

import json
import unittest

from eas.wbxml import E
from lib.case import ServerCase, forms

# Bodies do not depend on the form of the query: one version in base64 is enough.
FROM_12_0 = forms("12.0", "12.1", "14.0", "14.1", ("14.1", "base64"), "16.0", "16.1")
AUDIENCES = ("AppliesToInternal", "AppliesToExternalKnown", "AppliesToExternalUnknown")


class SettingsCase(ServerCase):
    def settings_(self, device, *properties):
        return device.post("Settings", E("Settings:Settings", list(properties)))

    def one(self, device, property_):
        """The answer's element of the only property."""
        answer = self.settings_(device, property_)
        self.assertEqual((answer.code, answer.status), (200, "1"), answer)
        self.assertEqual(answer.document.names(), ["Status", property_.name])
        return answer.document.find(property_.name)

    def shown(self, device):
        return json.loads(self.server.bellhop("device", "show", self.owner.address, device.device_id, "--json").stdout)


class Device(SettingsCase):
    def information(self, **fields):
        return E("Settings:DeviceInformation", E("Set", [E(name, *([text] if text else [])) for name, text in fields.items()]))

    @FROM_12_0
    def test_information(self, version, form):
        """Kept field by field: what is absent stays, what is empty is deleted."""
        device = self.phone(version, form)
        fields = {"FriendlyName": "Anna's phone ü", "Model": "Model 1", "IMEI": "123456789012345", "OS": "None 2",
                  "OSLanguage": "de", "PhoneNumber": "+4930123"}
        if device.since("12.1"):
            fields["UserAgent"] = "Other/1.0"
        if device.since("14.0"):
            fields.update(EnableOutboundSMS="1", MobileOperator="Operator")
        self.assertEqual(self.one(device, self.information(**fields)).names(), ["Status"])
        shown = self.shown(device)
        for key, name in (("friendly_name", "FriendlyName"), ("model", "Model"), ("imei", "IMEI"), ("os", "OS"),
                          ("language", "OSLanguage"), ("phone_number", "PhoneNumber")):
            self.assertEqual(shown[key], fields[name])
        self.assertEqual(shown["operator"], "Operator" if device.since("14.0") else "")
        self.assertEqual(self.one(device, self.information(Model="", OS="None 3")).get("Status"), "1")
        shown = self.shown(device)
        self.assertEqual((shown["model"], shown["os"], shown["imei"]), ("", "None 3", fields["IMEI"]))

    @FROM_12_0
    def test_bad_information(self, version, form):
        device = self.phone(version, form)
        bad = [E("Settings:DeviceInformation"), E("Settings:DeviceInformation", E("Get")),
               E("Settings:DeviceInformation", E("Set")), self.information(Model="x" * 1025),
               E("Settings:DeviceInformation", E("Set", E("Model", "a"), E("Model", "b")))]
        if not device.since("12.1"):
            bad.append(self.information(UserAgent="x"))
        if not device.since("14.0"):
            bad.append(self.information(MobileOperator="x"))
        for one in bad:
            answer = self.settings_(device, one)
            self.assertEqual((answer.code, answer.status), (200, "2"), one)
        self.assertEqual(self.one(device, self.information(Model="x" * 1024)).get("Status"), "1")

    @FROM_12_0
    def test_password(self, version, form):
        """Only where the policy has it; the administrator can read it."""
        device = self.phone(version, form)
        password = lambda text: E("Settings:DevicePassword", E("Set", E("Password", *([text] if text else []))))
        self.assertEqual(self.one(device, password("1234")).get("Status"), "7")
        self.assertEqual(self.shown(device)["recovery_password"], "")
        self.server.bellhop("policy", "set", '{"PasswordRecoveryEnabled": 1}')
        try:
            device.provision()
            self.assertEqual(self.one(device, password("1234 ü")).get("Status"), "1")
            self.assertEqual(self.shown(device)["recovery_password"], "1234 ü")
            self.assertEqual(self.one(device, password("x" * 256)).get("Status"), "5")
            self.assertEqual(self.shown(device)["recovery_password"], "1234 ü")
            self.assertEqual(self.one(device, password("")).get("Status"), "1")
            self.assertEqual(self.shown(device)["recovery_password"], "")
        finally:
            self.server.bellhop("policy", "set", "{}")


class User(SettingsCase):
    @FROM_12_0
    def test_addresses(self, version, form):
        device = self.phone(version, form)
        alias = "alias-" + self.owner.address
        self.server.bellhop("alias", "add", alias, self.owner.address)
        found = self.one(device, E("Settings:UserInformation", E("Get")))
        self.assertEqual(found.get("Status"), "1")
        self.assertEqual(found.names(), ["Status", "Get"])
        if device.since("14.1"):
            self.assertEqual(found.find("Get").names(), ["Accounts"])
            self.assertEqual(len(found.all("Get/Accounts/Account")), 1)
            addresses = found.find("Get/Accounts/Account/EmailAddresses")
            self.assertEqual(addresses.get("PrimarySmtpAddress"), self.owner.address)
            self.assertFalse(found.has("Get/Accounts/Account/AccountId"))
        else:
            self.assertEqual(found.find("Get").names(), ["EmailAddresses"])
            addresses = found.find("Get/EmailAddresses")
            self.assertFalse(addresses.has("PrimarySmtpAddress"))
        self.assertEqual([a.text for a in addresses.all("SMTPAddress")], [self.owner.address, alias])

    @FROM_12_0
    def test_all_at_once(self, version, form):
        """In the order of the request."""
        device = self.phone(version, form)
        information = E("Settings:DeviceInformation", E("Set", E("Model", "M")))
        user, oof = E("Settings:UserInformation", E("Get")), E("Settings:Oof", E("Get", E("BodyType", "Text")))
        for properties in ((information, user, oof), (oof, user), (user, information)):
            answer = self.settings_(device, *properties)
            self.assertEqual((answer.code, answer.status), (200, "1"))
            self.assertEqual(answer.document.names(), ["Status"] + [p.name for p in properties])
            self.assertEqual({answer.document.get(p.name + "/Status") for p in properties}, {"1"})
        self.assertEqual(self.settings_(device).status, "1")
        self.assertEqual(self.settings_(device, user, user).status, "2")
        self.assertEqual(device.post("Settings", E("AirSync:Sync")).status, "2")

    @forms("2.5")
    def test_not_in_2_5(self, version, form):
        device = self.phone(version, form)
        self.assertEqual(self.settings_(device, E("Settings:UserInformation", E("Get"))).code, 400)

    @forms("14.0", "14.1", "16.1")
    def test_rights(self, version, form):
        device = self.phone(version, form)
        rights = E("Settings:RightsManagementInformation", E("Get"))
        if device.since("14.1"):
            self.assertEqual(self.one(device, rights).get("Status"), "168")
        else:
            self.assertEqual(self.settings_(device, rights).status, "2")


class Oof(SettingsCase):
    settings = {"eas.oof_max_bytes": "1024"}

    def get(self, device, body_type="Text"):
        found = self.one(device, E("Settings:Oof", E("Get", E("BodyType", body_type))))
        self.assertEqual(found.get("Status"), "1")
        self.assertEqual([m.names()[0] for m in found.all("Get/OofMessage")], list(AUDIENCES))
        return found.find("Get")

    def set(self, device, *children):
        return self.one(device, E("Settings:Oof", E("Set", list(children)))).get("Status")

    def message(self, audience, text=None, enabled="1", body_type="Text"):
        return E("Settings:OofMessage", E(audience), E("Enabled", enabled),
                 [E("ReplyMessage", text), E("BodyType", body_type)] if text is not None else None)

    def messages(self, get):
        return [(m.get("Enabled"), m.get("ReplyMessage"), m.get("BodyType")) for m in get.all("OofMessage")]

    @FROM_12_0
    def test_kept(self, version, form):
        device = self.phone(version, form)
        found = self.get(device)
        self.assertEqual((found.get("OofState"), found.has("StartTime"), self.messages(found)),
                         ("0", False, [("0", None, None)] * 3))
        self.assertEqual(self.set(
            device, E("OofState", "1"), self.message(AUDIENCES[0], "Am Meer ü & <weg>"),
            self.message(AUDIENCES[1], "<html><body><p>Away <b>now</b></p></body></html>", body_type="HTML"),
            self.message(AUDIENCES[2], "Nobody", enabled="0")), "1")
        # Another phone of the user, in another version, sees the same.
        other = self.owner.device("16.1").ready()
        for phone in (device, other):
            found = self.get(phone)
            self.assertEqual(found.get("OofState"), "1")
            (inside, known, unknown) = self.messages(found)
            self.assertEqual(inside, ("1", "Am Meer ü & <weg>", "Text"))
            self.assertEqual((known[0], known[1].strip(), known[2]), ("1", "Away now", "Text"))
            self.assertEqual(unknown, ("0", "Nobody", "Text"))
            (inside, known, _) = self.messages(self.get(phone, "HTML"))
            self.assertIn("Am Meer ü &amp; &lt;weg&gt;", inside[1])
            self.assertEqual(known, ("1", "<html><body><p>Away <b>now</b></p></body></html>", "HTML"))
        # What is not named stays; an empty message is none.
        self.assertEqual(self.set(device, E("OofState", "0")), "1")
        self.assertEqual(self.set(device, self.message(AUDIENCES[0], enabled="0"), self.message(AUDIENCES[2], "")), "1")
        found = self.get(device)
        self.assertEqual(found.get("OofState"), "0")
        self.assertEqual([self.messages(found)[0], self.messages(found)[2]],
                         [("0", "Am Meer ü & <weg>", "Text"), ("1", None, None)])

    @FROM_12_0
    def test_time(self, version, form):
        device = self.phone(version, form)
        start, end = "2030-01-02T03:04:05.000Z", "2030-02-03T04:05:06.000Z"
        times = [E("StartTime", start), E("EndTime", end)]
        self.assertEqual(self.set(device, E("OofState", "2")), "5")
        self.assertEqual(self.set(device, E("OofState", "2"), E("StartTime", end), E("EndTime", start)), "6")
        self.assertEqual(self.get(device).get("OofState"), "0")
        self.assertEqual(self.set(device, E("OofState", "2"), *times), "1")
        found = self.get(device)
        self.assertEqual((found.get("OofState"), found.get("StartTime"), found.get("EndTime")), ("2", start, end))
        self.assertEqual(found.names()[:3], ["OofState", "StartTime", "EndTime"])
        # Accepted beside another state, and not kept.
        self.assertEqual(self.set(device, E("OofState", "1"), E("StartTime", "2031-01-02T03:04:05.000Z"),
                                  E("EndTime", "2031-02-03T04:05:06.000Z")), "1")
        self.assertEqual(self.get(device).has("StartTime"), False)
        self.assertEqual(self.set(device, E("OofState", "2")), "1")
        self.assertEqual(self.get(device).get("StartTime"), start)

    @FROM_12_0
    def test_statuses(self, version, form):
        device = self.phone(version, form)
        self.assertEqual(self.set(device, E("StartTime", "2030-01-02T03:04:05.000Z")), "2")
        self.assertEqual(self.set(device, E("EndTime", "2030-01-02T03:04:05.000Z")), "2")
        self.assertEqual(self.set(device, self.message(AUDIENCES[0], "x" * 1025)), "5")
        self.assertEqual(self.set(device, self.message(AUDIENCES[0], "x" * 1024)), "1")
        for bad in (E("Settings:Oof"), E("Settings:Oof", E("Get")), E("Settings:Oof", E("Get", E("BodyType", "RTF"))),
                    E("Settings:Oof", E("Set", E("OofState", "3"))),
                    E("Settings:Oof", E("Set", E("OofMessage", E("Enabled", "1")))),
                    E("Settings:Oof", E("Set", E("OofMessage", E(AUDIENCES[0]), E(AUDIENCES[1])))),
                    E("Settings:Oof", E("Set", E("OofMessage", E(AUDIENCES[0]), E("ReplyMessage", "x"))))):
            answer = self.settings_(device, bad)
            self.assertEqual(answer.code, 200)
            self.assertIn("2", (answer.status, answer.document.get("Oof/Status")), bad)
        self.assertEqual(self.messages(self.get(device))[0][1], "x" * 1024)
        # In any case of letters.
        self.assertEqual(self.messages(self.get(device, "TEXT"))[0][2], "Text")


if __name__ == "__main__":
    unittest.main()
