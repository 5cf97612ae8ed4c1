"""
A small ActiveSync server for testing bellhop-phone against servers that are not ours: one mailbox in memory, every answer can be
replaced by what a test wants. It shares no code with the product but the tests' own WBXML.
"""

import base64
import http.server
import ssl
import threading
import urllib.parse

from eas.wbxml import E, decode, encode

VERSIONS = "2.5,12.0,12.1,14.0,14.1,16.0,16.1"


class FakeServer:
    """Folders: {id: (name, type)}. Messages: {folder id: {server id: dict(mime, read)}}."""

    def __init__(self, certificate=None):
        self.versions = VERSIONS
        self.folders = {"1": ("Inbox", 2), "2": ("Sent Items", 5), "3": ("Calendar", 8), "4": ("Entwürfe & mehr", 12)}
        self.messages = {folder: {} for folder in self.folders}
        self.sent = {}          # (device, folder, key number) -> server ids with their read flag, as the phone has them
        self.keys = {}          # folder -> number of its newest key
        self.policy_key = None  # what commands must carry; None: anything
        self.requests = []      # (command, document or body, headers)
        self.hooks = {}         # command -> list of functions(server, document) -> answer or None
        self.mail = []
        self.changed = threading.Condition()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_OPTIONS(self):
                outer.answer(self, (200, {"MS-ASProtocolVersions": outer.versions, "MS-ASProtocolCommands": "Sync"}, b""))

            def do_POST(self):
                outer.handle(self)

            def log_message(self, *args):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                pass  # a phone that hangs up is no news here

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
            self.url = f"https://localhost:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    # What tests use.

    def add(self, folder, server_id, mime, read=False):
        with self.changed:
            self.messages[folder][server_id] = {"mime": mime, "read": read}
            self.changed.notify_all()

    def on(self, command, *hooks):
        """The next answers to that command; a hook that gives None leaves the answer to the server."""
        self.hooks.setdefault(command, []).extend(hooks)

    def commands(self):
        return [command for command, _, _ in self.requests]

    # One request.

    def handle(self, handler):
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        query = urllib.parse.urlsplit(handler.path).query
        values = urllib.parse.parse_qs(query)
        if "Cmd" in values:
            command, version = values["Cmd"][0], handler.headers["MS-ASProtocolVersion"]
            key = handler.headers.get("X-MS-PolicyKey")
        else:
            raw = base64.b64decode(urllib.parse.unquote(query))
            command = {0: "Sync", 1: "SendMail", 9: "FolderSync", 18: "Ping", 19: "ItemOperations", 20: "Provision"}[raw[1]]
            version = f"{raw[0] // 10}.{raw[0] % 10}"
            at = 5 + raw[4]
            key = str(int.from_bytes(raw[at + 1:at + 5], "little")) if raw[at] == 4 else None
        self.version = float(version)
        is_wbxml = handler.headers.get("Content-Type") == "application/vnd.ms-sync.wbxml"
        document = decode(body) if is_wbxml and body else body
        self.requests.append((command, document, handler.headers))
        hooks = self.hooks.get(command, [])
        reply = hooks.pop(0)(self, document) if hooks else None
        if reply is None:
            if self.policy_key and command not in ("Provision", "Ping") and \
                    key != self.policy_key:
                reply = (449, {}, b"") if self.version < 14 else E(
                    command if ":" in command else self.root_of(command), E("Status", "142"))
            else:
                reply = getattr(self, "do_" + command)(document)
        if reply == "cut":
            handler.close_connection = True
            handler.connection.close()
            return
        self.answer(handler, reply)

    def root_of(self, command):
        return {"Sync": "AirSync:Sync", "FolderSync": "FolderHierarchy:FolderSync", "Ping": "Ping:Ping",
                "ItemOperations": "ItemOperations:ItemOperations", "SendMail": "ComposeMail:SendMail"}[command]

    def answer(self, handler, reply):
        if isinstance(reply, E):
            reply = (200, {"Content-Type": "application/vnd.ms-sync.wbxml"}, encode(reply))
        status, headers, body = reply
        try:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError, ValueError):
            pass

    def do_Provision(self, document):
        policy = document.find("Policies/Policy")
        kind = policy.get("PolicyType")
        if policy.has("Status"):
            self.policy_key = "200"
            return E("Provision:Provision", E("Status", "1"), E("Policies", E("Policy", E("PolicyType", kind), E(
                "Status", "1"), E("PolicyKey", "200"))))
        content = "<wap-provisioningdoc/>" if self.version < 12 else E(
            "EASProvisionDoc", E("DevicePasswordEnabled", "0"))
        return E("Provision:Provision", E("Status", "1"), E("Policies", E("Policy", E("PolicyType", kind), E(
            "Status", "1"), E("PolicyKey", "100"), E("Data", content))))

    def do_FolderSync(self, document):
        first = document.get("SyncKey") == "0"
        adds = [E("Add", E("ServerId", i), E("ParentId", "0"), E("DisplayName", name), E("Type", str(kind)))
                for i, (name, kind) in self.folders.items()] if first else []
        return E("FolderHierarchy:FolderSync", E("Status", "1"), E("SyncKey", "f1"), E(
            "Changes", E("Count", str(len(adds))), *adds))

    def do_Ping(self, document):
        with self.changed:
            self.changed.wait_for(lambda: self.pending(document), 30)
            found = self.pending(document)
        return E("Ping:Ping", E("Status", "2" if found else "1"), *([E("Folders", *[E("Folder", f) for f in found])] if found else []))

    def pending(self, document):
        return [i for i in (f.get("Id") for f in document.all("Folders/Folder"))
                if {k: m["read"] for k, m in self.messages[i].items()} != self.sent.get((i, self.keys.get(i)), {})]

    def do_Sync(self, document):
        collection = document.find("Collections/Collection")
        folder, key = collection.get("CollectionId"), collection.get("SyncKey")
        number = self.keys.get(folder, 0)
        if key == "0":
            self.keys[folder] = 1
            self.sent[folder, 1] = {}
            return self.sync_answer(folder, 1)
        if key not in (f"k{number}", f"k{number - 1}") or (folder, int(key[1:])) not in self.sent:
            return E("AirSync:Sync", E("Collections", E("Collection", E("SyncKey", "0"), E("CollectionId", folder), E("Status", "3"))))
        known = dict(self.sent[folder, int(key[1:])])
        responses = self.take_commands(folder, collection, known)
        window = int(collection.get("WindowSize", "100"))
        changes, more = self.changes(folder, known, window)
        self.keys[folder] = int(key[1:]) + 1
        self.sent[folder, self.keys[folder]] = known
        return self.sync_answer(folder, self.keys[folder], changes, more, responses)

    def take_commands(self, folder, collection, known):
        responses = []
        for command in collection.all("Commands/Change"):
            server_id = command.get("ServerId")
            read = command.get("ApplicationData/Email:Read")
            if server_id not in self.messages[folder]:
                responses.append(E("Change", E("ServerId", server_id), E("Status", "8")))
            elif read is not None:
                self.messages[folder][server_id]["read"] = known[server_id] = read == "1"
        for command in collection.all("Commands/Delete"):
            self.messages[folder].pop(command.get("ServerId"), None)
            known.pop(command.get("ServerId"), None)
        for command in collection.all("Commands/Fetch"):
            responses.append(E("Fetch", E("ServerId", command.get("ServerId")), E("Status", "1"), E(
                "ApplicationData", *self.properties(self.messages[folder][command.get("ServerId")], False))))
        return responses

    def changes(self, folder, known, window):
        found = []
        for server_id in [i for i in known if i not in self.messages[folder]]:
            found.append(E("Delete", E("ServerId", server_id)))
            del known[server_id]
        more = False
        for server_id, message in self.messages[folder].items():
            if len(found) >= window:
                more = True
                break
            if server_id not in known:
                found.append(E("Add", E("ServerId", server_id), E("ApplicationData", *self.properties(message, True))))
            elif known[server_id] != message["read"]:
                found.append(E("Change", E("ServerId", server_id), E("ApplicationData", E(
                    "Email:Read", "1" if message["read"] else "0"))))
            known[server_id] = message["read"]
        return found, more

    cut_at = None  # messages longer than this come cut in Sync

    def properties(self, message, may_cut):
        mime = message["mime"]
        cut = may_cut and self.cut_at is not None and len(mime) > self.cut_at
        content = mime[:self.cut_at] if cut else mime
        head = [E("Email:Subject", "listed"), E("Email:DateReceived", "2024-05-01T10:00:00.000Z"),
                E("Email:Read", "1" if message["read"] else "0")]
        if self.version < 12:
            return head + [E("Email:MIMETruncated", "1" if cut else "0"), E("Email:MIMESize", str(len(mime))),
                           E("Email:MIMEData", content)]
        return head + [E("AirSyncBase:Body", E("Type", "4"), E("EstimatedDataSize", str(len(mime))), E(
            "Truncated", "1" if cut else "0"), E("Data", content))]

    def sync_answer(self, folder, number, changes=(), more=False, responses=()):
        head = [E("Class", "Email")] if self.version < 14 else []
        return E("AirSync:Sync", E("Collections", E(
            "Collection", *head, E("SyncKey", f"k{number}"), E("CollectionId", folder), E("Status", "1"),
            *([E("MoreAvailable")] if more else []), *([E("Commands", *changes)] if changes else []),
            *([E("Responses", *responses)] if responses else []))))

    def do_ItemOperations(self, document):
        fetch = document.find("Fetch")
        folder, server_id = fetch.get("AirSync:CollectionId"), fetch.get("AirSync:ServerId")
        return E("ItemOperations:ItemOperations", E("Status", "1"), E("Response", E(
            "Fetch", E("Status", "1"), E("AirSync:CollectionId", folder), E("AirSync:ServerId", server_id), E(
                "Properties", *self.properties(self.messages[folder][server_id], False)))))

    def do_SendMail(self, document):
        self.mail.append(document if isinstance(document, bytes) else document.find("Mime").data)
        return (200, {}, b"")
