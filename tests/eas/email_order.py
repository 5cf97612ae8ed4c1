"""
What the specifications say about the shape of a message in a Sync answer, checked on the decoded document: which elements a version
knows, how often each may come, their order where it is prescribed, and the form of their values ([MS-ASEMAIL] 2.2.2, [MS-ASAIRS]
2.2.2, [MS-ASCMD] 2.2.3.3).
"""

import re

from eas.client import since

DATE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
NUMBER = r"\d+"
FLAG = r"[01]"

# Child of ApplicationData: first version, form of its text (None: anything, "": children or opaque bytes).
PROPERTIES = {
    "Email:To": ("2.5", None), "Email:Cc": ("2.5", None), "Email:From": ("2.5", None), "Email:Subject": ("2.5", None),
    "Email:ReplyTo": ("2.5", None), "Email:DateReceived": ("2.5", DATE), "Email:DisplayTo": ("2.5", None),
    "Email:ThreadTopic": ("2.5", None), "Email:Importance": ("2.5", "[012]"), "Email:Read": ("2.5", FLAG),
    "Email:MessageClass": ("2.5", r"(IPM|REPORT)\.[A-Za-z.]+"), "Email:InternetCPID": ("2.5", NUMBER),
    "Email:MeetingRequest": ("2.5", ""), "Email:ContentClass": ("12.0", "urn:content-classes:[a-z]+"),
    "Email:Flag": ("12.0", ""), "Email:Categories": ("14.0", ""), "AirSyncBase:NativeBodyType": ("12.0", "[123]"),
    "AirSyncBase:Body": ("12.0", ""), "AirSyncBase:BodyPart": ("14.1", ""), "AirSyncBase:Attachments": ("12.0", ""),
    "Email2:ConversationId": ("14.0", ""), "Email2:ConversationIndex": ("14.0", ""), "Email2:Sender": ("14.0", None),
    "Email2:LastVerbExecuted": ("14.0", "[0123]"), "Email2:LastVerbExecutionTime": ("14.0", DATE),
    "Email2:ReceivedAsBcc": ("14.0", FLAG), "Email2:UmCallerID": ("14.0", None), "Email2:IsDraft": ("16.0", FLAG), "Email2:Bcc": ("16.0", None),
}
# 2.5 has its own.
PROPERTIES_25 = {
    "Email:Body": None, "Email:BodySize": NUMBER, "Email:BodyTruncated": FLAG, "Email:MIMEData": None, "Email:MIMESize": NUMBER,
    "Email:MIMETruncated": FLAG, "Email:Attachments": "",
}
ALWAYS = ("Email:DateReceived", "Email:Read", "Email:MessageClass", "Email:InternetCPID")

# A sequence: names in their order, those with "?" may be missing.
BODY = ("Type", "EstimatedDataSize", "Truncated?", "Data?", "Part?", "Preview?")
# In any order.
ATTACHMENT = {"DisplayName": None, "FileReference": r"\d+:\d+:\d+", "Method": "[156]", "EstimatedDataSize": NUMBER, "ContentId": None,
              "ContentLocation": None, "IsInline": FLAG, "UmAttDuration": NUMBER, "UmAttOrder": NUMBER}
ATTACHMENT_25 = {"AttMethod": "[156]", "AttSize": NUMBER, "DisplayName": None, "AttName": r"\d+:\d+:\d+", "AttOid": None}
COLLECTION = ("Class?", "SyncKey", "CollectionId", "Status", "MoreAvailable?", "Commands?", "Responses?")


def in_order(element, sequence):
    names = element.names()
    wanted = [name.rstrip("?") for name in sequence]
    assert len(names) == len(set(names)), f"{element.name}: twice: {names}"
    assert names == [name for name in wanted if name in names], f"{element.name}: {names} instead of {wanted}"
    missing = [name for name in sequence if not name.endswith("?") and name not in names]
    assert not missing, f"{element.name} without {missing}"


def of_form(element, form):
    assert form is None or element.elements or re.fullmatch(form, element.text), f"{element.name}: {element.text!r} is no {form}"


def check_collection(collection):
    in_order(collection, COLLECTION)
    for command in collection.all("Commands/Add"):
        in_order(command, ("ServerId", "ApplicationData"))


def known(version):
    found = {name: form for name, (first, form) in PROPERTIES.items() if since(version, first)}
    if version == "2.5":
        found.update(PROPERTIES_25)
    return found


def check_attachments(data, version):
    path, element, forms = (("Email:Attachments", "Attachment", ATTACHMENT_25) if version == "2.5"
                            else ("AirSyncBase:Attachments", "Attachment", ATTACHMENT))
    for attachment in data.all(f"{path}/{element}"):
        names = attachment.names()
        assert len(names) == len(set(names)), f"twice: {names}"
        assert set(names) <= set(forms), f"not in {version}: {set(names) - set(forms)}"
        for child in attachment.elements:
            of_form(child, forms[child.name])
        assert attachment.get("DisplayName"), "an attachment without a name"


def check(data, version):
    """The ApplicationData of a message that is sent whole."""
    allowed = known(version)
    names = [f"{e.namespace}:{e.name}" for e in data.elements]
    assert len(names) == len(set(names)), f"twice: {names}"
    assert set(names) <= set(allowed), f"not in {version}: {set(names) - set(allowed)}"
    missing = set(ALWAYS) - set(names)
    assert not missing, f"without {missing}"
    for name, element in zip(names, data.elements):
        if allowed[name]:
            of_form(element, allowed[name])
    if version != "2.5":
        body = data.find("AirSyncBase:Body")
        in_order(body, BODY)
        assert body.has("Data") or body.get("EstimatedDataSize") == "0" or body.get("Truncated") == "1", "an empty body of some size"
    check_attachments(data, version)
