"""
Golden renderings: what phones of several versions are sent for a message, as a few lines of text. Bodies are the mail of other people,
so of each only its size, a hash and the first lines are kept.

A file of tests/golden is the messages of one set of the corpus, each headed by its name and the hash of its bytes.
"""

import datetime
import difflib
import hashlib
import json
import os
import re

from eas import email_order
from eas.client import since

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden")

# What is asked for in each listing; `plain`, `html`, `mime` and `best` name the body that comes.
LISTINGS = {
    "plain": ("14.1", {"body": [("1",)]}),
    "html": ("14.1", {"body": [("2", None, None, "120")]}),
    "mime": ("14.1", {"body": [("4",)], "mime_support": "2"}),
    "2.5": ("2.5", {}),
    "12.1": ("12.1", {"body": [("1",)]}),
    "best": ("16.1", {"body": [("1", "500"), ("2", "1000")]}),
}
VALUE_CHARS, LINE_CHARS = 200, 90
PLAIN_LINES, HTML_LINES = 3, 2
# Elements that hold a body, or bytes.
APART = ("AirSyncBase:Body", "AirSyncBase:Attachments", "Email:Attachments", "Email:Body", "Email:BodySize", "Email:BodyTruncated",
         "Email2:ConversationId", "Email2:ConversationIndex", "Email2:ReceivedAsBcc")
# What nearly every message has goes without saying; that it is missing does not.
USUAL = {"Email:Importance": "1", "Email:Read": "0", "Email:MessageClass": "IPM.Note", "Email:ContentClass": "urn:content-classes:message",
         "Email:Flag": "", "Email2:ConversationIndex": "5 bytes"}
OURS = re.compile(rb"\AReturn-Path:[^\n]*\nReceived:[^\n]*\n(?:[ \t][^\n]*\n)*")


def short_hash(octets):
    return hashlib.sha256(octets).hexdigest()[:16]


def one_line(text, limit=VALUE_CHARS):
    if len(text) > limit:
        text = f"{text[:limit]}... ({len(text)} characters, {short_hash(text.encode())})"
    return json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"')


def excerpt(text, lines):
    shown = [line for line in text.split("\r\n") if line.strip()][:lines]
    return ["  | " + one_line(line, LINE_CHARS) for line in shown]


def is_now(date):
    at = datetime.datetime.strptime(date, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc)
    return abs(datetime.datetime.now(datetime.timezone.utc) - at) < datetime.timedelta(hours=1)


def properties(data):
    """What is not of the body: {element: one line}."""
    found = {}
    for element in data.elements:
        name = f"{element.namespace}:{element.name}"
        if name == "Email:DateReceived" and is_now(element.text):
            found[name] = "(arrival)"
        elif name not in APART:
            found[name] = one_line(repr(element) if element.elements else element.text)
    index = data.find("Email2:ConversationIndex")
    if index is not None:
        found["Email2:ConversationIndex"] = f"{len(index.data)} bytes"
    return found


def attachments(data):
    """Each attachment as one line, in either form."""
    lines = []
    for a in data.all("AirSyncBase:Attachments/Attachment"):
        words = [a.get("DisplayName"), f"method {a.get('Method')}", f"{a.get('EstimatedDataSize')} bytes"]
        words += [f"{key} {a.get(name)}" for key, name in (("cid", "ContentId"), ("location", "ContentLocation")) if a.has(name)]
        lines.append(one_line(", ".join(words + (["inline"] if a.get("IsInline") == "1" else []))))
    return lines


def attachments_25(data):
    lines = []
    for a in data.all("Email:Attachments/Attachment"):
        words = [a.get("DisplayName"), f"method {a.get('AttMethod')}", f"{a.get('AttSize')} bytes"]
        lines.append(one_line(", ".join(words + ([f"cid {a.get('AttOid')}"] if a.has("AttOid") else []))))
    return lines


def body_lines(kind, data, lines):
    body = data.find("AirSyncBase:Body")
    text = body.find("Data").data if body.has("Data") else b""
    if kind == "mime":
        text = OURS.sub(b"", text)
    shown = text.decode("utf-8")
    asked = {"plain": "1", "html": "2", "mime": "4"}[kind]
    note = "" if body.get("Type") == asked else f", type {body.get('Type')}"
    note += ", truncated" if body.get("Truncated", "0") == "1" else ""
    return [f"{kind}: {len(text)} bytes, {short_hash(text)}{note}"] + excerpt(shown, lines)


def differences(version, base, other):
    """Where another version shows something else than 14.1, beyond what the versions are known to differ in."""
    known = email_order.known(version)
    mine, theirs = properties(base), properties(other)
    lines = []
    for name in sorted(set(mine) | set(theirs)):
        if name in mine and name not in known:
            continue
        if name not in mine and not since("14.1", email_order.PROPERTIES.get(name, ("2.5",))[0]):
            continue
        if mine.get(name) != theirs.get(name):
            lines.append(f"{version} {name}: {theirs.get(name, '(absent)')}")
    return lines


def only_25(base, other):
    text, same = other.get("Email:Body", "").encode(), base.find("AirSyncBase:Body")
    lines = []
    if text.decode() != same.get("Data", ""):
        lines.append(f"2.5 body: {len(text)} bytes, {short_hash(text)}")
    expected = [re.sub(r", location .*|, inline$", "", re.sub(r", inline$", "", line)) for line in attachments(base)]
    if expected != attachments_25(other):
        lines += [f"2.5 attachment: {line}" for line in attachments_25(other)]
    return lines


def render(message, by_listing):
    """The lines for one message; by_listing: listing -> ApplicationData."""
    plain, markup = by_listing["plain"], by_listing["html"]
    lines = [f"== {message.name} {message.sha256[:16]}"]
    shown = properties(plain)
    lines += [f"{name.partition(':')[2]}: (absent)" for name in USUAL if name not in shown]
    if shown.get("Email:ThreadTopic") == shown.get("Email:Subject"):
        shown.pop("Email:ThreadTopic", None)
    lines += [f"{name.partition(':')[2]}: {value}" for name, value in shown.items() if USUAL.get(name) != value]
    lines += body_lines("plain", plain, PLAIN_LINES)
    lines += body_lines("html", markup, HTML_LINES)
    if markup.has("AirSyncBase:Body/Preview"):
        lines.append(f"preview: {one_line(markup.get('AirSyncBase:Body/Preview'))}")
    lines += body_lines("mime", by_listing["mime"], 0)
    lines += [f"attachment: {line}" for line in attachments(plain)]
    lines += differences("2.5", plain, by_listing["2.5"]) + only_25(plain, by_listing["2.5"])
    lines += differences("12.1", plain, by_listing["12.1"])
    best = by_listing["best"].find("AirSyncBase:Body")
    size = len(best.get("Data", "").encode())
    lines += differences("16.1", plain, by_listing["best"])
    lines.append(f"16.1 body: type {best.get('Type')}, {size} of {best.get('EstimatedDataSize')} bytes")
    return lines


def path_of(name):
    return os.path.join(FOLDER, f"{name}.txt")


def load(name):
    """The kept renderings of a set: {(message name, hash): lines}."""
    try:
        with open(path_of(name), encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return {}
    found = {}
    for block in re.split(r"^(?=== )", text, flags=re.M)[1:]:
        lines = block.rstrip("\n").split("\n")
        found[key_of(lines)] = lines
    return found


def key_of(lines):
    """Name and hash of a rendering. Names may hold blanks."""
    return lines[0][3:].rpartition(" ")[::2]


def save(name, renderings):
    os.makedirs(FOLDER, exist_ok=True)
    with open(path_of(name), "w", encoding="utf-8") as file:
        file.write("".join("\n".join(lines) + "\n\n" for lines in renderings).rstrip("\n") + "\n")


def difference(kept, new):
    return "\n".join(difflib.unified_diff(kept, new, "kept", "now", lineterm="", n=2))
