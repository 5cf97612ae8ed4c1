"""The two forms of the query string ([MS-ASHTTP] 2.2.1.1.1)."""

import base64
import struct
import urllib.parse

PATH = "/Microsoft-Server-ActiveSync"

COMMANDS = {
    "Sync": 0, "SendMail": 1, "SmartForward": 2, "SmartReply": 3, "GetAttachment": 4, "FolderSync": 9,
    "FolderCreate": 10, "FolderDelete": 11, "FolderUpdate": 12, "MoveItems": 13, "GetItemEstimate": 14,
    "MeetingResponse": 15, "Search": 16, "Settings": 17, "Ping": 18, "ItemOperations": 19, "Provision": 20,
    "ResolveRecipients": 21, "ValidateCert": 22, "Find": 23,
}
TAGS = {
    "AttachmentName": 0, "CollectionId": 1, "CollectionName": 2, "ItemId": 3, "LongId": 4, "ParentId": 5,
    "Occurrence": 6, "Options": 7, "User": 8,
}
SAVE_IN_SENT, ACCEPT_MULTIPART = 0x01, 0x02


def plain(command, user, device_id, device_type, extra=()):
    pairs = [("Cmd", command), ("User", user), ("DeviceId", device_id), ("DeviceType", device_type)]
    return urllib.parse.urlencode(pairs + list(dict(extra).items()))


def encoded_bytes(command, version, device_id, device_type, policy_key=None, extra=(), locale=0x0409):
    """The octets before base64. `command` is a name or a number; policy_key None leaves the field empty."""
    def counted(value):
        value = value.encode() if isinstance(value, str) else value
        return bytes([len(value)]) + value

    version_octet = version if isinstance(version, int) else round(float(version) * 10)
    out = bytes([version_octet, COMMANDS.get(command, command)])
    out += struct.pack("<H", locale) + counted(device_id)
    out += counted(b"" if policy_key is None else struct.pack("<I", int(policy_key)))
    out += counted(device_type)
    for name, value in dict(extra).items():
        out += bytes([TAGS.get(name, name)]) + counted(value)
    return out


def encoded(*args, **kwargs):
    return base64.b64encode(encoded_bytes(*args, **kwargs)).decode()
