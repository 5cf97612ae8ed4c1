"""Flags of mail with all their dates, and categories: what phones may send, what others are shown, what stays."""

import unittest

from eas.wbxml import E, VERSIONS
from lib.case import ServerCase, forms

FROM_12_0, FROM_14_0 = VERSIONS[1:], VERSIONS[3:]
DAY = "2026-03-04T08:00:00.000Z"
DATES = [E("Tasks:StartDate", DAY), E("Tasks:UtcStartDate", "2026-03-04T07:00:00.000Z"), E("Tasks:DueDate", "2026-03-05T08:00:00.000Z"),
         E("Tasks:UtcDueDate", "2026-03-05T07:00:00.000Z")]


class FlagCase(ServerCase):
    def change(self, device, server_id, *properties):
        return device.sync(commands=[E("Change", E("ServerId", server_id), E("ApplicationData", *properties))])

    def two(self, version, form):
        """Two phones of one user that hold the same message."""
        one = self.phone(version, form)
        self.deliver(self.owner, "flagged")
        other = self.phone(version, form, user=self.owner)
        (server_id,) = one.prime()
        other.prime()
        return one, other, server_id

    def flag(self, data):
        return [(e.name, e.text) for e in data.find("Email:Flag").elements]


class Flags(FlagCase):
    @forms(*FROM_12_0)
    def test_all_properties(self, version, form):
        """What one phone sets the other is shown, and a listing from the start, dates in the form of mail."""
        one, other, server_id = self.two(version, form)
        sent = [E("Tasks:Subject", "call back: ü"), E("Status", "2"), E("FlagType", "Flag for follow up"), *DATES,
                E("Tasks:ReminderSet", "1"), E("Tasks:ReminderTime", "20260304T060000Z"), E("Tasks:OrdinalDate", "20260304T050000Z"),
                E("Tasks:SubOrdinalDate", "5555555")]
        self.assertEqual(self.change(one, server_id, E("Email:Flag", *sent)).responses("Change"), [])
        wanted = [(e.name, e.text) for e in sent]
        wanted[wanted.index(("ReminderTime", "20260304T060000Z"))] = ("ReminderTime", "2026-03-04T06:00:00.000Z")
        wanted[wanted.index(("OrdinalDate", "20260304T050000Z"))] = ("OrdinalDate", "2026-03-04T05:00:00.000Z")
        seen = other.sync().changed[server_id]
        self.assertEqual(seen.names(), ["Flag"], "and nothing else")
        self.assertEqual(sorted(self.flag(seen)), sorted(wanted))
        self.assertEqual(sorted(self.flag(self.phone(version, form, user=self.owner).prime()[server_id])), sorted(wanted))

    @forms(*FROM_12_0)
    def test_life_of_a_flag(self, version, form):
        """Set, complete, cleared by Status 0 or by an empty element; a whole one replaces what was there."""
        one, other, server_id = self.two(version, form)
        done = [E("Status", "1"), E("FlagType", "x"), E("Tasks:DateCompleted", DAY), E("CompleteTime", DAY)]
        for properties, wanted in (
                ([E("Status", "2"), E("FlagType", "x"), *DATES], [("Status", "2"), ("FlagType", "x")] + [(e.name, e.text) for e in DATES]),
                (done, [("Status", "1"), ("FlagType", "x"), ("DateCompleted", DAY), ("CompleteTime", DAY)]),
                ([E("Status", "0"), E("FlagType", "x"), *DATES], []), ([E("Status", "2"), E("FlagType", "y")],
                                                                       [("Status", "2"), ("FlagType", "y")]), ([], [])):
            self.change(one, server_id, E("Email:Flag", *properties))
            self.assertEqual(sorted(self.flag(other.sync().changed[server_id])), sorted(wanted))

    @forms(*FROM_12_0)
    def test_name_of_a_flag(self, version, form):
        """One without a name gets one; a flag that says nothing at all but a subject is active."""
        one, other, server_id = self.two(version, form)
        self.change(one, server_id, E("Email:Flag", E("Status", "2")))
        self.assertEqual(self.flag(other.sync().changed[server_id]), [("Status", "2"), ("FlagType", "Flag for follow up")])
        self.change(one, server_id, E("Email:Flag", E("FlagType", "later")))
        self.assertEqual(self.flag(other.sync().changed[server_id]), [("Status", "2"), ("FlagType", "later")])

    @forms(*FROM_12_0)
    def test_other_changes_leave_it(self, version, form):
        one, other, server_id = self.two(version, form)
        self.change(one, server_id, E("Email:Flag", E("Status", "2"), E("FlagType", "x"), *DATES))
        flag = self.flag(other.sync().changed[server_id])
        self.change(one, server_id, E("Email:Read", "1"))
        self.assertEqual(other.sync().changed[server_id].names(), ["Read"])
        self.assertEqual(self.flag(self.phone(version, form, user=self.owner).prime()[server_id]), flag)

    @forms(*FROM_12_0)
    def test_refused(self, version, form):
        """Item status 6, and the flag stays as it was."""
        one, other, server_id = self.two(version, form)
        self.change(one, server_id, E("Email:Flag", E("Status", "2"), E("FlagType", "good")))
        other.sync()
        late = [E("Tasks:StartDate", "2026-03-06T08:00:00.000Z"), *DATES[1:]]
        late_utc = [DATES[0], E("Tasks:UtcStartDate", "2026-03-06T08:00:00.000Z"), *DATES[2:]]
        for bad in ([E("Status", "3")], [E("Status", "-1")], [E("Status", "2"), DATES[0]], [E("Status", "2"), *DATES[:3]],
                    [E("Status", "2"), *late], [E("Status", "2"), *late_utc], [E("Status", "2"), E("Tasks:ReminderSet", "1")],
                    [E("Status", "2"), E("Tasks:ReminderSet", "2")], [E("Status", "1")], [E("Status", "1"), E("CompleteTime", DAY)],
                    [E("Status", "2"), E("Tasks:StartDate", "tomorrow"), *DATES[1:]]):
            (answer,) = self.change(one, server_id, E("Email:Flag", *bad)).responses("Change")
            self.assertEqual(answer.get("Status"), "6", bad)
        self.assert_empty_sync(other.sync())

    @forms("2.5")
    def test_none_in_2_5(self, version, form):
        device = self.phone("14.1")
        self.deliver(self.owner, "x")
        (server_id,) = device.prime()
        self.change(device, server_id, E("Email:Flag", E("Status", "2"), E("FlagType", "x")))
        (data,) = self.phone(version, form, user=self.owner).prime().values()
        self.assertFalse(data.has("Email:Flag"))


class Categories(FlagCase):
    def names(self, data):
        return [e.text for e in data.find("Email:Categories").elements]

    @forms(*FROM_14_0)
    def test_categories(self, version, form):
        """Up to 300, in their order; replaced as a whole; an empty element takes all away."""
        one, other, server_id = self.two(version, form)
        for wanted in (["Wörk", "Zu Hause"], [f"category {n}" for n in range(300)], ["Wörk"], []):
            self.change(one, server_id, E("Email:Categories", [E("Category", name) for name in wanted]))
            seen = other.sync().changed[server_id]
            self.assertEqual((seen.names(), self.names(seen)), (["Categories"], wanted))
        many = [E("Category", f"category {n}") for n in range(301)]
        (answer,) = self.change(one, server_id, E("Email:Categories", many)).responses("Change")
        self.assertEqual(answer.get("Status"), "6")

    @forms("2.5", "12.0", "12.1")
    def test_none_before_14_0(self, version, form):
        device = self.phone("14.1")
        self.deliver(self.owner, "x")
        (server_id,) = device.prime()
        self.change(device, server_id, E("Email:Categories", E("Category", "blue")))
        (data,) = self.phone(version, form, user=self.owner).prime().values()
        self.assertFalse(data.has("Email:Categories"))


class ReadOnly(FlagCase):
    @forms(*FROM_14_0)
    def test_what_servers_say(self, version, form):
        """A phone that sends what only servers say is refused, and nothing changes ([MS-ASEMAIL] 2.2.2)."""
        one, other, server_id = self.two(version, form)
        for element in (E("Email2:Sender", "x@example.net"), E("Email2:ReceivedAsBcc", "1"), E("Email2:UmCallerID", "+1555"),
                        E("Email2:UmUserNotes", "x"), E("Email2:LastVerbExecuted", "1"), E("Email:MessageClass", "IPM.Note"),
                        E("Email2:ConversationId", "0123456789abcdef"), E("Email:DisplayTo", "x"), E("Email:ThreadTopic", "x")):
            (answer,) = self.change(one, server_id, E("Email:Read", "1"), element).responses("Change")
            self.assertEqual(answer.get("Status"), "6", element)
        self.assert_empty_sync(other.sync())


if __name__ == "__main__":
    unittest.main()
