"""
Who may do what, for every operation of the API: nobody, a user about himself and about another, an administrator, tokens with and without
the scope, forged requests. The operations come from the server's own description, so a new one is tried without being told here.

Nothing is changed by it: whoever may, sends an argument that no verb has, and is told so (400); all others must not get as far.
"""

import itertools
import json
import re
import unittest

from lib.case import ServerCase
from lib.web import Web, at

SCOPES = ("read", "users", "devices", "wipe", "policies", "access", "queue", "server", "metrics", "self")
METHODS = ("get", "post", "put", "delete")


class Operation:
    def __init__(self, path, method, description):
        self.path = path.removeprefix("/api/v1")
        self.method = method.upper()
        self.scope = description.get("x-scope")
        self.id = description["operationId"]

    @property
    def is_self(self):
        return self.path == "/me" or self.path.startswith("/me/")

    @property
    def changes(self):
        return self.method != "GET"

    def send(self, web, address, headers=None):
        """With an argument that is none."""
        path = re.sub(r"\{(\w+)\}", lambda match: address.replace("@", "%40") if match[1] == "address" else "1", self.path)
        if self.changes and self.method != "DELETE":
            return web.api(self.method, path, {"nonsense": 1}, headers=headers)
        return web.api(self.method, path, query={"nonsense": "1"}, headers=headers)


class Authorization(ServerCase):
    numbers = itertools.count()
    settings = {"web.admin_networks": "127.0.0.1 10.0.0.0/8"}

    @classmethod
    def prepare(cls):
        cls.anna = cls.server.add_user("anna")
        cls.bert = cls.server.add_user("bert")
        cls.root = cls.server.add_user("root")
        cls.server.bellhop("user", "admin", cls.root.address, "--on")
        cls.stranger = Web(cls.server)
        cls.user = Web(cls.server)
        cls.user.sign_in(cls.anna)
        cls.admin = Web(cls.server)
        assert cls.admin.sign_in(cls.root).json["admin"]
        paths = cls.stranger.get("/openapi.json").json["paths"]
        cls.operations = [Operation(path, method, item[method]) for path, item in paths.items() for method in METHODS
                          if method in item and path.startswith("/api/v1/") and "x-scope" in item[method]]
        cls.tokens = {scope: cls.token(scope, "--for", cls.root.address) for scope in SCOPES}

    @classmethod
    def token(cls, scopes, *more):
        made = cls.admin_json("token", "add", f"token {next(cls.numbers)}", scopes, *more)
        return Web(cls.server, token=made["token"])

    @classmethod
    def admin_json(cls, *words):
        return json.loads(cls.server.bellhop(*words, "--json").stdout)

    def each(self):
        for self.at in self.operations:
            yield self.at

    def allowed(self, answer):
        """He got as far as his arguments."""
        self.assertEqual((answer.status, answer.code), (400, "bad_input"), f"{self.at.id}: {answer}")

    def denied(self, answer):
        self.assertEqual((answer.status, answer.code), (403, "denied"), f"{self.at.id}: {answer}")

    def test_there_are_operations(self):
        self.assertGreater(len(self.operations), 40)
        self.assertTrue(any(operation.is_self for operation in self.operations))

    def test_nothing_is_left_out(self):
        """Whatever is described has a scope, and so is tried here, but for signing in and out, and what anybody may read."""
        paths = self.stranger.get("/openapi.json").json["paths"]
        free = {item[method]["operationId"] for item in paths.values() for method in item
                if isinstance(item[method], dict) and "operationId" in item[method] and "x-scope" not in item[method]}
        self.assertEqual(free, {"session_show", "session_begin", "session_end_own", "openapi", "healthz", "readyz"})
        self.assertEqual({operation.scope for operation in self.operations} - set(SCOPES), set())

    def test_nobody(self):
        for operation in self.each():
            answer = operation.send(self.stranger, self.anna.address)
            self.assertEqual((answer.status, answer.code), (401, "auth"), f"{operation.id}: {answer}")

    def test_user_about_himself(self):
        """By /me; never by the paths of administrators."""
        for operation in self.each():
            answer = operation.send(self.user, self.anna.address)
            (self.allowed if operation.is_self else self.denied)(answer)

    def test_user_about_another(self):
        for operation in self.each():
            if not operation.is_self:
                self.denied(operation.send(self.user, self.bert.address))
        for path in ("/me/devices", "/me/app-passwords", "/me/sessions"):
            self.assertEqual(self.user.get(path, address=self.bert.address).status, 400, path)
            self.assertEqual(self.user.api("POST", path, {"address": self.bert.address, "name": "x"}).status in (400, 405), True, path)

    def test_administrator(self):
        for operation in self.each():
            self.allowed(operation.send(self.admin, self.anna.address))

    def test_administrator_from_elsewhere(self):
        """Only a user there; nets count, too."""
        for address, may in (("192.0.2.1", False), ("10.1.2.3", True), ("2001:db8::1", False), ("127.0.0.1", True)):
            answer = self.admin.api("GET", "/users", headers={"X-Forwarded-For": address})
            self.assertEqual(answer.status, 200 if may else 403, address)
            answer = self.admin.api("GET", "/session", headers={"X-Forwarded-For": address})
            self.assertEqual(answer.json["admin"], may, address)
            token = self.tokens["read"].api("GET", "/users", headers={"X-Forwarded-For": address})
            self.assertEqual(token.status, 200 if may else 403, address)

    def test_tokens(self):
        for operation in self.each():
            for scope, web in self.tokens.items():
                answer = operation.send(web, self.anna.address)
                if scope == operation.scope:
                    self.allowed(answer)
                else:
                    self.denied(answer)

    def test_token_of_a_user_is_no_administrators(self):
        web = self.token(" ".join(SCOPES), "--for", self.anna.address)
        for operation in self.each():
            answer = operation.send(web, self.anna.address)
            (self.allowed if operation.is_self else self.denied)(answer)

    def test_token_of_nobody(self):
        """The machine's own: all that its scopes say, and no /me."""
        web = self.token(" ".join(SCOPES))
        for operation in self.each():
            answer = operation.send(web, self.anna.address)
            (self.denied if operation.is_self else self.allowed)(answer)

    def test_token_becomes_no_administrator(self):
        """By none of the ways that its scopes leave: password, flag, app password; about a user it may all but the flag."""
        some, every = self.token("users server", "--for", self.root.address), self.token(" ".join(SCOPES))
        other = self.server.add_user()
        self.server.bellhop("user", "admin", other.address, "--on")
        password = at("users", other.address, "password")
        for answer in (some.put(password, password="stolen"), some.put(at("users", self.bert.address, "admin"), on=True),
                       some.post(at("users", other.address, "app-passwords"), name="x"),
                       some.post(at("users", other.address, "disable")), some.delete("/tokens/token%200"),
                       some.delete(at("users", other.address), yes="true")):
            self.assertEqual((answer.status, answer.code), (403, "denied"), answer)
        self.assertEqual(Web(self.server).sign_in(other).status, 200)
        self.assertEqual(every.put(password, password="given").status, 200)
        self.assertEqual(some.put(at("users", other.address, "admin"), off=True).status, 403)
        self.assertEqual(every.put(at("users", other.address, "admin"), off=True).status, 200)
        self.assertEqual(some.put(password, password="set").status, 200)

    def test_wrong_tokens(self):
        for token in ("", "x", "bht_" + "a" * 43, self.tokens["read"].token[:-1], self.tokens["read"].token + "x"):
            answer = Web(self.server, token=token or " ").get("/users")
            self.assertEqual(answer.status, 401, token)
        basic = self.stranger.api("GET", "/users", headers={"Authorization": "Basic " + "cm9vdDpzZWNyZXQgb2Ygcm9vdA=="})
        self.assertEqual(basic.status, 401)

    def test_forged(self):
        """The session's cookie alone changes nothing, whatever page sent it."""
        forgeries = (
            {"X-CSRF-Token": None},
            {"X-CSRF-Token": ""},
            {"X-CSRF-Token": "x" * len(self.admin.csrf)},
            {"X-CSRF-Token": self.user.csrf},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"},
        )
        for operation in self.each():
            if not operation.changes:
                continue
            for headers in forgeries:
                answer = operation.send(self.admin, self.anna.address, headers)
                self.assertEqual((answer.status, answer.code), (403, "csrf"), f"{operation.id} {headers}: {answer}")
            own = {"Origin": f"http://127.0.0.1:{self.server.http_port}", "Sec-Fetch-Site": "same-origin"}
            self.allowed(operation.send(self.admin, self.anna.address, own))

    def test_forged_sign_in_and_out(self):
        body = {"address": self.anna.address, "password": self.anna.password}
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = Web(self.server).api("POST", "/session", body, headers=headers)
            self.assertEqual((answer.status, answer.code), (403, "csrf"), headers)
            self.assertIsNone(answer.header("Set-Cookie"))
        web = Web(self.server)
        web.sign_in(self.anna)
        self.assertEqual(web.api("DELETE", "/session", headers={"X-CSRF-Token": None}).code, "csrf")
        self.assertEqual(web.get("/me").status, 200)

    def test_no_other_site_may_ask(self):
        """No preflight is answered, and nothing says that another origin may read."""
        for target in ("/api/v1/users", "/api/v1/session", "/"):
            answer = self.stranger.raw("OPTIONS", target, {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"})
            self.assertGreaterEqual(answer.status, 400, target)
            self.assertIsNone(answer.header("Access-Control-Allow-Origin"), target)

    def test_app_password_opens_no_page(self):
        made = self.user.post("/me/app-passwords", name="tablet").json
        web = Web(self.server)
        self.assertEqual(web.sign_in(self.anna, made["password"]).status, 401)

    def test_own_password(self):
        user, web = self.user_with_session()
        self.assertEqual(web.put("/me/password", old="wrong", password="new one").status, 403)
        self.assertEqual(web.put("/me/password", password="new one").status, 400)
        other = Web(self.server)
        other.sign_in(user)
        answer = web.put("/me/password", old=user.password, password="new one")
        self.assertEqual(answer.status, 200, answer)
        web.csrf = answer.json["csrf"]
        self.assertEqual(web.get("/me").status, 200)
        self.assertEqual(other.get("/me").status, 401)
        self.assertEqual(Web(self.server).sign_in(user).status, 401)
        self.assertEqual(Web(self.server).sign_in(user, "new one").status, 200)

    def user_with_session(self):
        user, web = self.server.add_user(), Web(self.server)
        web.sign_in(user)
        return user, web

    def test_text_of_strangers_is_only_text(self):
        """What a phone says of itself comes back as JSON, which no browser takes for a page."""
        user = self.server.add_user()
        phone = user.device()
        phone.extra_headers["User-Agent"] = "<img src=x onerror=alert(1)>"
        phone.ready()
        answer = self.admin.get(at("users", user.address, "devices", phone.device_id))
        self.assertEqual(answer.header("Content-Type"), "application/json")
        self.assertEqual(answer.header("X-Content-Type-Options"), "nosniff")
        self.assertIn("<img src=x", answer.body.decode())
        self.assertEqual(self.admin.get("/users", nonsense="<b>").header("Content-Type"), "application/json")


if __name__ == "__main__":
    unittest.main()
