"""
The description of the API against the server, both ways: what is described can be called, and answers as described; what the server has is
described. STEPS says with what each operation is called; one that is not there is called with made-up arguments, and must at least be known.
"""

import re
import unittest

from lib import mail
from lib.case import E, ServerCase
from lib.schema import faults
from lib.web import Web

METHODS = ("get", "post", "put", "delete")

# Not tried here: they end the engine which is to answer, or want a phone that has erased itself; the tests of wipes have those.
DISRUPTIVE = {"restart", "upgrade", "device_clear", "me_device_clear"}

ANNA, BERT = "anna@example.org", "bert@example.org"
PHONE, OTHER = "PHONEOFANNA", "SECONDOFANNA"

# Operation, arguments: in this order, one builds on the other. What begins with me_ is asked by the user.
STEPS = [
    ("domain_add", {"domain": "example.net"}),
    ("domain_list", {}),
    ("user_add", {"address": "carl@example.net", "password": "secret", "name": "Carl"}),
    ("user_list", {}),
    ("user_show", {"address": ANNA}),
    ("user_passwd", {"address": "carl@example.net", "password": "another"}),
    ("user_quota", {"address": "carl@example.net", "size": "10M"}),
    ("user_expiry", {"address": "carl@example.net", "junk": "30"}),
    ("user_disable", {"address": "carl@example.net"}),
    ("user_enable", {"address": "carl@example.net"}),
    ("user_admin", {"address": "carl@example.net", "on": True}),
    ("alias_add", {"alias": "karl@example.net", "address": "carl@example.net"}),
    ("alias_list", {}),
    ("alias_list", {"address": "carl@example.net"}),
    ("alias_del", {"alias": "karl@example.net"}),
    ("group_add", {"group": "sales", "rank": 5}),
    ("group_rank", {"group": "sales", "rank": 6}),
    ("group_join", {"group": "sales", "address": ANNA}),
    ("group_list", {}),
    ("group_show", {"group": "sales"}),
    ("group_leave", {"group": "sales", "address": ANNA}),
    ("group_del", {"group": "sales", "yes": True}),
    ("device_list", {}),
    ("device_list", {"address": ANNA}),
    ("device_show", {"address": ANNA, "device": PHONE}),
    ("device_check", {"address": ANNA, "device": PHONE}),
    ("device_repair", {"address": ANNA, "device": PHONE, "all": True}),
    ("device_resync", {"address": ANNA, "device": OTHER, "all": True}),
    ("device_folders", {"address": ANNA, "device": PHONE}),
    ("device_waits", {"address": ANNA, "device": PHONE}),
    ("device_errors", {"address": ANNA, "device": PHONE}),
    ("trace", {"address": ANNA, "device": PHONE}),
    ("device_block", {"address": ANNA, "device": PHONE}),
    ("device_unblock", {"address": ANNA, "device": PHONE}),
    ("device_quarantine", {"address": ANNA, "device": PHONE}),
    ("device_allow", {"address": ANNA, "device": PHONE}),
    ("device_ceiling", {"address": ANNA, "device": PHONE, "version": "14.1"}),
    ("device_ceiling", {"address": ANNA, "device": PHONE, "version": "none"}),
    ("access_set", {"access": "quarantine", "domain": "example.net"}),
    ("access_set", {"access": "allow", "address": ANNA, "device": "NEVERSEEN"}),
    ("access_list", {}),
    ("access_add", {"access": "block", "rule": 'type = Old and version < "12.0"', "note": "too old"}),
    ("access_add", {"access": "allow", "rule": "model = New*", "position": 1}),
    ("access_move", {"id": 1, "position": 1}),
    ("access_rules", {}),
    ("access_test", {"address": ANNA, "type": "Old", "protocol": "2.5"}),
    ("access_del", {"id": 1, "yes": True}),
    ("access_set_message", {"subject": "Wait, {device}", "text": "We look at your {model}."}),
    ("access_message", {}),
    ("service_set", {"service": "folders_per_ping", "value": "40", "address": BERT}),
    ("service_list", {}),
    ("service_list", {"address": BERT}),
    ("service_show", {"service": "folders_per_ping", "address": BERT}),
    ("service_unset", {"service": "folders_per_ping", "address": BERT}),
    ("item_list", {}),
    ("item_list", {"address": ANNA}),
    ("queue_list", {}),
    ("queue_retry", {}),
    ("queue_drop", {"mail": 1, "yes": True}),
    ("policy_settings", {}),
    ("policy_create", {"policy": "strict", "settings": {"DevicePasswordEnabled": True}, "description": "for sales"}),
    ("policy_set", {"policy": "strict", "settings": {"MinDevicePasswordLength": 6}, "merge": True}),
    ("policy_list", {}),
    ("policy_show", {"policy": "strict"}),
    ("policy_copy", {"policy": "strict", "new": "stricter"}),
    ("policy_assign", {"policy": "strict", "address": BERT}),
    ("policy_assignments", {}),
    ("policy_unassign", {"address": BERT}),
    ("policy_except", {"address": BERT}),
    ("policy_exceptions", {}),
    ("policy_unexcept", {"address": BERT}),
    ("policy_effective", {"address": ANNA, "device": PHONE}),
    ("policy_delete", {"policy": "stricter", "yes": True}),
    ("log_list", {}),
    ("log_list", {"limit": 2}),
    ("log_export", {"format": "jsonl"}),
    ("log_csv", {}),
    ("log_lines", {}),
    ("status", {}),
    ("stats", {}),
    ("metrics", {}),
    ("overview", {}),
    ("settings", {}),
    ("reload", {}),
    ("app_password_add", {"address": ANNA, "name": "tablet"}),
    ("app_password_list", {"address": ANNA}),
    ("app_password_revoke", {"address": ANNA, "id": 1}),
    ("oof_set", {"address": ANNA, "settings": {"state": "on", "internal": {"enabled": True, "text": "Away."}}}),
    ("oof_show", {"address": ANNA}),
    ("session_list", {"address": ANNA}),
    ("token_add", {"name": "monitor", "scopes": "read metrics", "days": 5}),
    ("token_list", {}),
    ("token_revoke", {"name": "monitor"}),
    ("log_actions", {}),
    ("me", {}),
    ("me_setup", {}),
    ("me_setup_code", {}),
    ("me_profile", {}),
    ("me_profile_with_app_password", {"name": "phone"}),
    ("me_user_show", {}),
    ("me_device_list", {}),
    ("me_device_show", {"device": PHONE}),
    ("me_app_password_add", {"name": "telephone", "first_use": True}),
    ("me_app_password_list", {}),
    ("me_app_password_revoke", {"id": 3}),
    ("me_oof_show", {}),
    ("me_oof_set", {"settings": {"state": "off"}}),
    ("me_session_list", {}),
    ("device_wipe", {"address": ANNA, "device": OTHER, "account": False, "yes": True}),
    ("device_wipes", {}),
    ("device_wipes", {"address": ANNA}),
    ("device_show", {"address": ANNA, "device": OTHER}),
    ("device_cancel", {"address": ANNA, "device": OTHER}),
    ("me_device_wipe", {"device": OTHER, "account": False, "yes": True}),
    ("me_device_cancel", {"device": OTHER}),
    ("me_device_del", {"device": OTHER, "yes": True}),
    ("device_del", {"address": ANNA, "device": PHONE, "yes": True}),
    ("me_password", {"old": "secret of anna", "password": "secret of anna"}),
    ("me_session_end", {}),
    ("session_end", {"address": ANNA}),
    ("user_del", {"address": "carl@example.net", "yes": True}),
    ("domain_del", {"domain": "example.net"}),
    ("openapi", {}),
    ("healthz", {}),
    ("readyz", {}),
    ("prometheus", {}),
]

# For operations that no step knows.
MADE_UP = {"integer": 1, "boolean": True, "object": {}, "string": "x"}


class Operation:
    def __init__(self, path, method, description):
        self.path, self.method, self.description = path, method.upper(), description
        self.id = description["operationId"]
        self.parameters = description.get("parameters", [])
        body = description.get("requestBody")
        self.body = body["content"]["application/json"]["schema"] if body else None

    def send(self, web, arguments):
        arguments = dict(arguments)
        path = re.sub(r"\{(\w+)\}", lambda match: str(arguments.pop(match[1])).replace("@", "%40"), self.path)
        if path.startswith("/api/v1"):
            if self.body is not None:
                return web.api(self.method, path.removeprefix("/api/v1"), arguments)
            query = {name: str(value).lower() if isinstance(value, bool) else value for name, value in arguments.items()}
            return web.api(self.method, path.removeprefix("/api/v1"), query=query)
        return web.raw(self.method, path)

    def made_up(self):
        names = {p["name"]: MADE_UP[p["schema"]["type"]] for p in self.parameters if p["required"]}
        if self.body:
            names.update({name: MADE_UP[part["type"]] for name, part in self.body["properties"].items() if name in self.body["required"]})
        return {name: ANNA if name == "address" else PHONE if name == "device" else value for name, value in names.items()}

    def known(self):
        """The arguments that it is described to have."""
        return {p["name"] for p in self.parameters} | set(self.body["properties"] if self.body else ())


class Description(ServerCase):
    settings = {"server.hostname": "mail.example.org", "relay.host": "127.0.0.1", "relay.port": "1", "relay.tls": "none",
                "wipe.device": "yes", "wipe.users_device": "yes"}

    @classmethod
    def prepare(cls):
        cls.anna = cls.server.add_user("anna")
        cls.server.add_user("bert")
        root = cls.server.add_user("root")
        cls.server.bellhop("user", "admin", root.address, "--on")
        cls.admin = Web(cls.server)
        cls.admin.sign_in(root)
        cls.user = Web(cls.server)
        cls.user.sign_in(cls.anna)
        for name in (PHONE, OTHER):
            cls.phone = cls.anna.device(device_id=name)
            cls.phone.ready()
            cls.phone.prime()
            cls.phone.sync()
        outgoing = mail.message(to="somebody@elsewhere.example", sender=ANNA)
        answer = cls.phone.post("SendMail", E("ComposeMail:SendMail", E("ClientId", "1"), E("Mime", outgoing)))
        assert answer.code == 200, answer
        cls.document = cls.admin.get("/openapi.json").json
        cls.operations = {}
        for path, item in cls.document["paths"].items():
            for method in METHODS:
                if method in item:
                    operation = Operation(path, method, item[method])
                    assert operation.id not in cls.operations, operation.id
                    cls.operations[operation.id] = operation

    def web(self, operation):
        return self.user if (operation.path + "/").startswith("/api/v1/me/") else self.admin

    def check(self, operation, answer):
        described = operation.description["responses"].get(str(answer.status))
        self.assertIsNotNone(described, f"{operation.id}: {answer.status} is not described: {answer}")
        if "$ref" in described:
            described = self.document["components"]["responses"][described["$ref"].rsplit("/", 1)[1]]
        kind = answer.header("Content-Type").split(";")[0]
        self.assertIn(kind, described["content"], f"{operation.id}: {answer}")
        if kind == "application/json":
            wrong = faults(self.document, described["content"][kind]["schema"], answer.json)
            self.assertEqual(wrong, [], f"{operation.id}: {answer}")

    def walk(self):
        """Every step, then every other operation."""
        tried = set(DISRUPTIVE)
        for name, arguments in STEPS:
            operation = self.operations.get(name)
            if operation is None:
                self.fail(f"{name} is not described")
            answer = operation.send(self.web(operation), arguments)
            if name == "me_password":
                self.user.csrf = answer.json["csrf"]
            tried.add(name)
            yield operation, answer, True
        for name, operation in self.operations.items():
            if name not in tried and operation.path != "/api/v1/session":
                yield operation, operation.send(self.admin, operation.made_up()), False

    def test_server_answers_as_described(self):
        for operation, answer, works in self.walk():
            if works:
                self.assertEqual(answer.status, 200, f"{operation.id}: {answer}")
            if answer.status != 405:
                self.check(operation, answer)
        session = Web(self.server)
        for name, send in (("session_begin", lambda: session.sign_in(self.anna)), ("session_show", lambda: session.get("/session")),
                           ("session_end_own", lambda: session.delete("/session"))):
            answer = send()
            self.assertEqual(answer.status, 200, name)
            self.check(self.operations[name], answer)

    def test_every_verb_is_described(self):
        """What the command knows, but the steps of others and what it does by itself."""
        text = self.server.bellhop("--help").stdout
        words = {re.match(r"[a-z-]+(?: [a-z-]+(?= |$))?", line)[0] for line in re.findall(r"^  ([a-z].*)$", text, re.M)}
        described = {name.removeprefix("me_") for name in self.operations}
        names = {word.replace(" ", "_").replace("-", "_") for word in words}
        found = names & described
        self.assertGreater(len(found), 40)
        local = {"backup", "restore", "check", "import", "export", "doctor", "config"}
        self.assertEqual({name for name in names - described if name.split("_")[0] not in local | described}, set())

    def test_described_arguments_are_known(self):
        """An argument that is described is never called unknown."""
        for operation in self.operations.values():
            if operation.id in DISRUPTIVE or not operation.path.startswith("/api/v1/") or operation.path == "/api/v1/session":
                continue
            for name in operation.known():
                arguments = {n: v for n, v in operation.made_up().items() if "{" + n + "}" in operation.path}
                if name not in arguments and operation.method == "GET":
                    answer = operation.send(self.web(operation), {**arguments, name: "\x7f"})
                    self.assertNotIn("has no argument", answer.body.decode("utf-8", "replace"), f"{operation.id} {name}")

    def test_document_is_sound(self):
        self.assertEqual(self.document["openapi"], "3.1.0")
        for operation in self.operations.values():
            names = re.findall(r"\{(\w+)\}", operation.path)
            described = [p["name"] for p in operation.parameters if p["in"] == "path"]
            self.assertEqual(sorted(names), sorted(described), operation.id)
            self.assertTrue(operation.description["summary"].endswith("."), operation.id)
            self.assertIn("200", operation.description["responses"], operation.id)
            for response in operation.description["responses"].values():
                if "$ref" in response:
                    self.assertIn(response["$ref"].rsplit("/", 1)[1], self.document["components"]["responses"])


if __name__ == "__main__":
    unittest.main()
