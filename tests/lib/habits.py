"""
Real clients, as far as their habits matter to a server: what they call themselves, which form of query and which headers they send.
docs/CLIENTS.md names each habit and its test.
"""

import gzip

from eas import wbxml
from eas.client import Device
from eas.query import PATH, plain


class Client(Device):
    """One of CLIENTS, of a user. Every document that it gets is held against what some client or other chokes on."""

    def __init__(self, server, user, habits, **kwargs):
        options = {key: habits[key] for key in ("version", "form", "device_type", "device_id") if key in habits}
        options.update(kwargs)
        super().__init__(server, user.address, user.password, **options)
        self.habits = habits
        self.pinging = False

    def headers(self, command, content_type=None):
        headers = super().headers(command, content_type)
        headers["User-Agent"] = self.habits.get("agent")
        headers.update(self.habits.get("headers", {}))
        if command == "Ping" and self.habits.get("ping_closes"):
            headers["Connection"] = "close"
        if self.habits.get("header_case"):
            headers = {self.habits["header_case"](name): value for name, value in headers.items()}
        return headers

    def target(self, command, params=None):
        target = super().target(command, params)
        if self.form == "base64" and self.habits.get("unpadded"):
            return target.rstrip("=")
        if self.form == "plain" and self.habits.get("cmd_last"):
            path, query = target.split("?", 1)
            pairs = query.split("&")
            return path + "?" + "&".join(pairs[1:] + pairs[:1])
        return target

    def send(self, command, document=None, body=None, headers=None, **kwargs):
        if self.habits.get("gzip") and (document is not None or body):
            body = gzip.compress(wbxml.encode(document) if body is None else body)
            headers = dict(headers or {}, **{"Content-Encoding": "gzip"})
        return super().send(command, document, body=body, headers=headers, **kwargs)

    def receive(self, connection=None, timeout=None):
        answer = super().receive(connection, timeout)
        check_answer(answer)
        return answer

    def options_request(self):
        """Asks OPTIONS the way this client does; its headers."""
        query = self.habits.get("options_query")
        target = PATH
        if query:
            target += "?" + plain(None, self.user, self.device_id, self.device_type).split("&", 1)[1]
        with self.connect() as connection:
            connection.request("OPTIONS", target, {"Authorization": self.authorization, "User-Agent": self.habits.get("agent")})
            response = connection.response(method="OPTIONS")
        assert response.status == 200, response
        return response


def check_answer(answer):
    """What no client may ever get, whatever it asked for."""
    body = answer.http.body
    if answer.document is None:
        return
    assert body[:4] == b"\x03\x01\x6a\x00", body[:8]
    for element in answer.document.walk():
        name = f"{element.namespace}:{element.name}"
        if name in ("AirSync:Collections", "AirSync:Responses", "AirSync:Commands", "Ping:Folders", "AirSyncBase:Attachments"):
            assert element.elements, f"an empty {name}: {answer}"
        if name == "AirSyncBase:Truncated":
            assert element.text == "1", f"{name} is {element.text}: {answer}"
        if element.name == "Status":
            assert name not in [f"{e.namespace}:{e.name}" for e in element.elements]
        if name == "AirSyncBase:FileReference" or name == "Email:AttName":
            assert "/" not in element.text, element.text
        if name in ("AirSync:CollectionId", "FolderHierarchy:ServerId"):
            assert element.text.isdigit() and len(element.text) < 10, element.text
    for parent in answer.document.walk():
        names = [f"{e.namespace}:{e.name}" for e in parent.elements]
        assert names.count(f"{parent.namespace}:Status") <= 1, f"two Status in {parent.name}: {answer}"
        if parent.name == "Collection":
            order = [n for n in parent.names() if n in ("Status", "MoreAvailable", "Commands", "Responses")]
            assert order == sorted(order, key=("Status", "MoreAvailable", "Commands", "Responses").index), order


def lower(name):
    return name.lower()


CLIENTS = {
    "ios": {"version": "16.1", "agent": "Apple-iPhone11C8/2007.75", "device_type": "iPhone", "cmd_last": True,
            "device_id": "ABCDEFGH1234567890ABCDEF12345678", "headers": {"Accept-Encoding": "gzip"}},
    "ios_old": {"version": "14.1", "agent": "Apple-iPod2C1/705.018", "device_type": "iPod", "cmd_last": True},
    "ipad": {"version": "14.1", "agent": "iOS/1002.329", "device_type": "iPad", "cmd_last": True},
    "android_25": {"version": "2.5", "agent": "Android/0.3", "device_type": "Android", "device_id": "android1183475983",
                   "ping_closes": True},
    "android_51": {"version": "14.1", "agent": "Android/5.0.1-EAS-2.0", "device_type": "LGEVS980", "ping_closes": True,
                   "device_id": "androidc1234567890"},
    "gmail": {"version": "14.1", "agent": "Android-Mail/7.5.21.156911250.release", "device_type": "Android", "ping_closes": True},
    "gmail_161": {"version": "16.1", "agent": "Android-Mail/2025.11.02", "device_type": "Android", "ping_closes": True},
    "samsung": {"version": "14.1", "agent": "SAMSUNG-SM-N900V/101.403", "device_type": "SAMSUNGSGHI317M",
                "device_id": "SEC1A2B3C4D5E6F7A8B", "gzip": True},
    "samsung_new": {"version": "14.1", "agent": "SAMSUNG-SM-G900H/101.60001", "device_type": "samsungSMG900H"},
    "nine": {"version": "16.0", "form": "base64", "agent": "", "device_type": "Android", "device_id": "Nine0123456789abcdef",
             "unpadded": True},
    "nine_silent": {"version": "14.1", "form": "base64", "agent": None, "device_type": "Android"},
    "outlook": {"version": "14.0", "agent": "Outlook/16.0 (16.0.7167.2040; C2R; x86)", "device_type": "WindowsOutlook15",
                "options_query": True},
    "outlook_mobile": {"version": "14.1", "agent": "Outlook-iOS-Android/1.0", "device_type": "Outlook"},
    "windows_mail": {"version": "14.1", "form": "base64", "agent": "MSFT-WIN-3/10.0.10586", "device_type": "WindowsMail",
                     "options_query": True},
    "windows_phone": {"version": "14.1", "form": "base64", "agent": None, "device_type": "WP8"},
    "windows_mobile_5": {"version": "2.5", "agent": "MSFT-PPC/5.1.2301", "device_type": "PocketPC"},
    "windows_mobile_6": {"version": "12.1", "form": "base64", "agent": "MSFT-PPC/5.2.5082", "device_type": "PPC",
                         "device_id": bytes(range(0xE0, 0xF0))},
    "smartphone": {"version": "12.1", "form": "base64", "agent": "MSFT-SPhone/5.2.5082", "device_type": "SmartPhone",
                   "device_id": bytes(range(0x80, 0x90)), "unpadded": True},
    "thunderbird_25": {"version": "2.5", "agent": "Thunderbird ActiveSync", "device_type": "Thunderbird",
                       "device_id": "MZTB1234567890123"},
    "thunderbird": {"version": "14.0", "agent": "Thunderbird ActiveSync", "device_type": "Thunderbird", "header_case": lower},
    "thunderbird_161": {"version": "16.1", "agent": "Thunderbird ActiveSync", "device_type": "Thunderbird"},
    "blackberry": {"version": "14.1", "agent": "RIM-Q10-SQN100-3/10.3.2.2876", "device_type": "BlackBerry",
                   "header_case": str.upper},
    "touchdown": {"version": "12.1", "agent": "TouchDown(MSRPC)/8.1.00055", "device_type": "TouchDown"},
}
