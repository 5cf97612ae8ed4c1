"""
Somebody who means harm: markup, script and odd letters in everything that others say and the pages show: mail and its senders, folders,
phones, policies, groups, passwords of phones, absences, recipients, rules.
"""

import json

from eas.wbxml import E
from lib import mail

MARK = '"><img src=x onerror="window.harm=1">'
SCRIPT = "</title></script><script>window.harm=2</script>{{7*7}}${7*7}\u202e\u2066evil"
TEXT = MARK + SCRIPT
NAME = "' onfocus=window.harm=4 autofocus &lt;b&gt; {{7*7}}"  # policies and groups take no < and no "
FAR = "'onfocus=window.harm=3{{7*7}}`$@example.net"
ANSWER = "452 4.3.1 <img src=x onerror=window.harm=6>"  # of the relay


def phone_of(user):
    """One that says the worst of itself; in quarantine, so that mail about it is written."""
    device = user.device("14.1", device_id="harm1", device_type="Phone")
    device.extra_headers["User-Agent"] = MARK + SCRIPT.encode("ascii", "ignore").decode()
    device.ready()
    told = {"FriendlyName": TEXT, "Model": TEXT, "OS": TEXT, "IMEI": MARK, "OSLanguage": MARK, "PhoneNumber": MARK, "MobileOperator": TEXT}
    device.post("Settings", E("Settings:Settings", E("DeviceInformation", E("Set", *[E(name, text) for name, text in told.items()]))))
    device.post("FolderCreate", E("FolderHierarchy:FolderCreate", E("SyncKey", device.hierarchy_key), E("ParentId", "0"), E("DisplayName", TEXT), E("Type", "12")))
    device.folder_sync()
    return device


def far_mail(device):
    """It waits in the queue: the recipient is odd, and what the relay says of it, too."""
    octets = f"From: {device.user}\r\nTo: {FAR}\r\nSubject: {MARK}\r\n\r\nHello.\r\n".encode()
    return device.post("SendMail", E("ComposeMail:SendMail", E("ClientId", "harm"), E("Mime", octets)))


def lay_down(server, password_file):
    """Returns where the pages show it."""
    user = server.add_user("stranger")
    server.bellhop("user", "add", "named@example.org", "--name", TEXT, "--password-file", password_file)
    server.deliver(user, mail.message(subject=TEXT, sender="harm@example.net"))
    device = phone_of(user)
    device.prime()
    assert far_mail(device).code == 200
    server.bellhop("policy", "create", NAME, "--description", TEXT)
    server.bellhop("policy", "assign", NAME, "--address", user.address)
    server.bellhop("group", "add", NAME)
    server.bellhop("group", "join", NAME, user.address)
    server.bellhop("app-password", "add", user.address, MARK)
    server.bellhop("access", "add", "allow", 'model = "<img src=x onerror=window.harm=5>*"', "--note", TEXT)
    server.bellhop("oof", "set", user.address, json.dumps({"state": "on", "internal": {"enabled": True, "text": TEXT}}))
    server.bellhop("token", "add", MARK, "read")
    server.bellhop("access", "set", "quarantine", "--address", user.address, "--device", device.device_id)
    device.close()
    return {"address": user.address, "password": user.password, "device": device.device_id, "name": NAME, "mark": MARK, "text": TEXT}
