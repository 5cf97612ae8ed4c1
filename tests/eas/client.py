"""A phone: one device of one user, speaking one protocol version with one form of the query."""

import base64
import itertools

from eas import query, wbxml
from eas.http import Connection
from eas.wbxml import E, VERSIONS

WBXML_TYPE = "application/vnd.ms-sync.wbxml"
POLICY_TYPE_WAP = "MS-WAP-Provisioning-XML"
POLICY_TYPE_WBXML = "MS-EAS-Provisioning-WBXML"

INBOX, DRAFTS, DELETED, SENT, OUTBOX = "2", "3", "4", "5", "6"
TASKS, CALENDAR, CONTACTS, NOTES = "7", "8", "9", "10"

_numbers = itertools.count(1)


def since(version, first):
    return VERSIONS.index(version) >= VERSIONS.index(first)


def basic(user, password, charset="utf-8"):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode(charset)).decode()


class Answer:
    """An HTTP response and the document in it, if any."""

    def __init__(self, http, document):
        self.http = http
        self.document = document

    @property
    def code(self):
        return self.http.status

    @property
    def status(self):
        """The Status directly under the root."""
        return None if self.document is None else self.document.get("Status")

    def __repr__(self):
        return f"<{self.http.status} {self.document!r}>"


class SyncAnswer(Answer):
    """The part of a Sync answer that is about one collection."""

    def __init__(self, answer, collection_id):
        super().__init__(answer.http, answer.document)
        found = None
        if self.document is not None:
            for collection in self.document.all("Collections/Collection"):
                if collection.get("CollectionId") == collection_id:
                    found = collection
        self.collection = found
        self.is_empty = answer.document is None

    def _items(self, path):
        return [] if self.collection is None else self.collection.all(path)

    @property
    def collection_status(self):
        return None if self.collection is None else self.collection.get("Status")

    @property
    def key(self):
        return None if self.collection is None else self.collection.get("SyncKey")

    @property
    def more(self):
        return self.collection is not None and self.collection.has("MoreAvailable")

    def _by_id(self, name):
        return {e.get("ServerId"): e.find("ApplicationData") for e in self._items("Commands/" + name)}

    @property
    def added(self):
        return self._by_id("Add")

    @property
    def changed(self):
        return self._by_id("Change")

    @property
    def deleted(self):
        return [e.get("ServerId") for e in self._items("Commands/Delete")]

    @property
    def soft_deleted(self):
        return [e.get("ServerId") for e in self._items("Commands/SoftDelete")]

    def responses(self, name):
        return self._items("Responses/" + name)

    def subjects(self):
        return [data.get("Email:Subject") for data in self.added.values()]


class Device:
    def __init__(self, server, user, password, version="14.1", form="plain", tls=False, device_id=None,
                 device_type="TestPhone", connection=None):
        self.server = server
        self.user = user
        self.password = password
        self.version = version
        self.form = form
        self.tls = tls
        self.device_id = device_id or f"phone{next(_numbers):08d}"
        self.device_type = device_type
        self.authorization = basic(user, password)
        self.policy_key = "0"
        self.hierarchy_key = "0"
        self.folders = {}  # Type -> ServerId, of the default folders
        self.keys = {}  # collection id -> SyncKey
        self.connection = connection
        self.extra_headers = {}

    def since(self, first):
        return since(self.version, first)

    def clone(self, **changes):
        """The same device with something different, on a connection of its own."""
        other = Device(self.server, self.user, self.password, self.version, self.form, self.tls, self.device_id,
                       self.device_type)
        other.policy_key, other.hierarchy_key = self.policy_key, self.hierarchy_key
        other.folders, other.keys = dict(self.folders), dict(self.keys)
        other.authorization = self.authorization
        for name, value in changes.items():
            setattr(other, name, value)
        return other

    # Requests.

    def connect(self):
        return self.server.connect(tls=self.tls)

    def target(self, command, params=None):
        params = dict(params or {})
        if self.form == "plain":
            return query.PATH + "?" + query.plain(command, self.user, self.device_id, self.device_type, params)
        if "SaveInSent" in params:
            params["Options"] = bytes([query.SAVE_IN_SENT]) if params.pop("SaveInSent") == "T" else b"\0"
        key = None if self.policy_key in (None, "0") else self.policy_key
        return query.PATH + "?" + query.encoded(
            command, self.version, self.device_id, self.device_type, key, params)

    def headers(self, command, content_type=None):
        headers = {"Authorization": self.authorization, "User-Agent": "BellhopTest/1.0"}
        if content_type:
            headers["Content-Type"] = content_type
        if self.form == "plain":
            headers["MS-ASProtocolVersion"] = self.version
            if command != "Ping" and self.policy_key is not None:
                headers["X-MS-PolicyKey"] = self.policy_key
        headers.update(self.extra_headers)
        return headers

    def send(self, command, document=None, body=None, params=None, headers=None, content_type=WBXML_TYPE,
             connection=None):
        """Sends one request, on the connection given or the device's own; returns the connection."""
        if body is None:
            body = b"" if document is None else wbxml.encode(document)
        if connection is None:
            if self.connection is None:
                self.connection = self.connect()
            connection = self.connection
        fields = self.headers(command, content_type if body else None)
        fields.update(headers or {})
        connection.request("POST", self.target(command, params), fields, body)
        return connection

    def receive(self, connection=None, timeout=None):
        connection = connection or self.connection
        response = connection.response(timeout)
        document = None
        if response.body and (response.header("Content-Type") or "").startswith("application/vnd.ms-sync.wbxml"):
            document = wbxml.decode(response.body, self.version)
        if (response.header("Connection") or "").lower() == "close" and connection is self.connection:
            self.connection.close()
            self.connection = None
        return Answer(response, document)

    def post(self, command, document=None, timeout=None, **kwargs):
        return self.receive(self.send(command, document, **kwargs), timeout)

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    # Provision.

    def policy_type(self):
        return POLICY_TYPE_WBXML if self.since("12.0") else POLICY_TYPE_WAP

    def provision_request(self, policy_type=None, information=None):
        if information is None:
            information = self.since("14.1")
        details = None
        if information:
            details = E("Settings:DeviceInformation", E("Set", E("Model", "Tester"), E("OS", "None 1.0")))
        return E("Provision:Provision", details,
                 E("Provision:Policies", E("Policy", E("PolicyType", policy_type or self.policy_type()))))

    def provision_acknowledgment(self, key, status="1"):
        return E("Provision:Provision", E("Policies", E(
            "Policy", E("PolicyType", self.policy_type()), E("PolicyKey", key), E("Status", status))))

    def provision(self):
        """Both phases; afterwards the device may use every command."""
        self.policy_key = "0"
        first = self.post("Provision", self.provision_request())
        assert first.code == 200 and first.status == "1", first
        key = first.document.get("Policies/Policy/PolicyKey")
        assert key and key != "0", first
        self.policy_key = key
        second = self.post("Provision", self.provision_acknowledgment(key))
        assert second.code == 200 and second.status == "1", second
        self.policy_key = second.document.get("Policies/Policy/PolicyKey")
        return self

    # FolderSync.

    def folder_sync(self, key=None):
        answer = self.post("FolderSync", E("FolderHierarchy:FolderSync", E(
            "SyncKey", self.hierarchy_key if key is None else key)))
        if answer.code == 200 and answer.status == "1":
            self.hierarchy_key = answer.document.get("SyncKey")
            for folder in answer.document.all("Changes/Add"):
                if folder.get("Type") in ("2", "3", "4", "5", "6", "7", "8", "9", "10", "11"):
                    self.folders[folder.get("Type")] = folder.get("ServerId")
        return answer

    def ready(self):
        """Provisioned, the folders known."""
        self.provision()
        answer = self.folder_sync("0")
        assert answer.status == "1", answer
        return self

    @property
    def inbox(self):
        return self.folders[INBOX]

    # Sync.

    def preference(self, type_, truncation=None, all_or_none=None, preview=None, name="BodyPreference"):
        return E("AirSyncBase:" + name, E("Type", type_),
                 None if truncation is None else E("TruncationSize", truncation),
                 None if all_or_none is None else E("AllOrNone", all_or_none),
                 None if preview is None else E("Preview", preview))

    def options(self, filter_type=None, body=(), mime_support=None, mime_truncation=None, truncation=None,
                conflict=None, part=None):
        """`body`: tuples of preference(), `part`: one for BodyPartPreference. Truncation is 2.5 only, BodyPreference 12.0 and later."""
        return E("AirSync:Options",
                 None if filter_type is None else E("FilterType", filter_type),
                 None if truncation is None else E("Truncation", truncation),
                 [self.preference(*one) for one in body] if self.since("12.0") else None,
                 None if part is None else self.preference(*part, name="BodyPartPreference"),
                 None if conflict is None else E("Conflict", conflict),
                 None if mime_support is None else E("MIMESupport", mime_support),
                 None if mime_truncation is None else E("MIMETruncation", mime_truncation))

    def collection(self, collection_id, key=None, class_="Email", deletes_as_moves=None, get_changes=None,
                   window=None, conversation_mode=None, options=None, commands=()):
        key = self.keys.get(collection_id, "0") if key is None else key
        if get_changes is None and key != "0" and not self.since("12.1"):
            get_changes = ""
        return E("AirSync:Collection",
                 None if self.since("14.0") else E("Class", class_),
                 E("SyncKey", key), E("CollectionId", collection_id),
                 None if deletes_as_moves is None else E("DeletesAsMoves", deletes_as_moves),
                 None if get_changes is None else E("GetChanges", *([get_changes] if get_changes else [])),
                 None if window is None else E("WindowSize", window),
                 None if conversation_mode is None else E("ConversationMode", conversation_mode),
                 options, E("Commands", list(commands)) if commands else None)

    def sync_request(self, *collections, wait=None, heartbeat=None, window=None, partial=False):
        return E("AirSync:Sync", E("Collections", list(collections)) if collections else None,
                 None if wait is None else E("Wait", wait),
                 None if heartbeat is None else E("HeartbeatInterval", heartbeat),
                 None if window is None else E("WindowSize", window),
                 E("Partial") if partial else None)

    def sync(self, collection_id=None, key=None, keep_key=False, wait=None, heartbeat=None, **kwargs):
        """One Sync of one collection. The new key is remembered unless keep_key."""
        collection_id = collection_id or self.inbox
        document = self.sync_request(self.collection(collection_id, key, **kwargs), wait=wait, heartbeat=heartbeat)
        answer = SyncAnswer(self.post("Sync", document), collection_id)
        if answer.key and answer.collection_status == "1" and not keep_key:
            self.keys[collection_id] = answer.key
        return answer

    def prime(self, collection_id=None, **kwargs):
        """Key 0, then everything that is there; returns {server id: ApplicationData}."""
        collection_id = collection_id or self.inbox
        options = kwargs.pop("options", None)
        first = self.sync(collection_id, key="0", options=options)
        assert first.collection_status == "1" and first.key not in (None, "0"), first
        return self.sync_rest(collection_id, **kwargs)

    def sync_rest(self, collection_id=None, **kwargs):
        """Syncs until nothing more is available; returns what was added."""
        items = {}
        for _ in range(10000):
            answer = self.sync(collection_id, **kwargs)
            if answer.is_empty:
                return items
            assert answer.collection_status == "1", answer
            again = set(items) & set(answer.added)
            assert not again, f"sent twice: {again}"
            items.update(answer.added)
            if not answer.more:
                return items
        raise AssertionError("MoreAvailable never ends")

    # Ping.

    def ping_request(self, folders=None, heartbeat=None):
        return E("Ping:Ping",
                 None if heartbeat is None else E("HeartbeatInterval", heartbeat),
                 None if folders is None else E("Folders", [
                     E("Folder", E("Id", folder), E("Class", "Email")) for folder in folders]))

    def ping_send(self, connection=None, folders=None, heartbeat=60, body=None):
        """Sends a Ping on a connection of its own (or the one given) and leaves the answer for later."""
        connection = connection or self.connect()
        if body is None:
            body = wbxml.encode(self.ping_request([self.inbox] if folders is None else folders, heartbeat))
        self.send("Ping", body=body, connection=connection)
        return connection

    def ping(self, folders=None, heartbeat=60, timeout=None, connection=None):
        connection = self.ping_send(connection, folders, heartbeat)
        return self.receive(connection, timeout)
