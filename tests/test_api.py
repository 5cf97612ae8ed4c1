"""The web side: pages, headers, sessions, sign-in, health; what a browser can rely upon."""

import base64
import contextlib
import csv
import http.client
import io
import json
import os
import plistlib
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import unittest

from lib.case import ServerCase
from lib.server import eventually
from lib.web import Web


class Pages(ServerCase):
    def test_page_and_its_files(self):
        web = Web(self.server)
        page = web.raw("GET", "/")
        self.assertEqual(page.status, 200)
        self.assertEqual(page.header("Content-Type"), "text/html; charset=utf-8")
        self.assertEqual(page.header("Cache-Control"), "no-cache")
        names = re.findall(r'(?:src|href)="(/[^"]+)"', page.body.decode())
        self.assertTrue(any(name.startswith("/app.js?v=") for name in names), names)
        for name in names:
            whole = web.raw("GET", name)
            self.assertEqual(whole.status, 200, name)
            self.assertIn("immutable", whole.header("Cache-Control"), name)
            packed = web.raw("GET", name, {"Accept-Encoding": "gzip"})
            if packed.header("Content-Encoding") == "gzip":
                self.assertLess(len(packed.body), len(whole.body), name)
                self.assertEqual(packed.header("Vary"), "Accept-Encoding")
            again = web.raw("GET", name, {"If-None-Match": whole.header("ETag")})
            self.assertEqual((again.status, again.body), (304, b""), name)
            # Without the version, or with another one, it is asked for each time.
            for other in (name.split("?")[0], name.split("?")[0] + "?v=0"):
                self.assertEqual(web.raw("GET", other).header("Cache-Control"), "no-cache", other)

    def test_head_is_get_without_the_body(self):
        web = Web(self.server)
        for target in ("/", "/app.js", "/readyz", "/api/v1/openapi.json", "/nothing", "/api/v1/session"):
            whole, head = web.raw("GET", target), web.raw("HEAD", target)
            self.assertEqual(head.status, whole.status, target)
            self.assertEqual(head.body, b"", target)
            self.assertEqual(head.header("Content-Length"), str(len(whole.body)), target)

    def test_every_answer_is_safe(self):
        web = Web(self.server)
        for target in ("/", "/app.js", "/nothing", "/api/v1/users", "/api/v1/nothing", "/readyz", "/%00", "/api/v1/session"):
            answer = web.raw("GET", target)
            policy = dict(part.strip().split(" ", 1) for part in answer.header("Content-Security-Policy").split(";"))
            self.assertEqual(policy["default-src"], "'none'", target)
            self.assertEqual(policy["script-src"], "'self'", target)
            self.assertEqual(policy["frame-ancestors"], "'none'", target)
            self.assertEqual(policy["base-uri"], "'none'", target)
            self.assertNotIn("unsafe", str(policy), target)
            self.assertEqual(answer.header("X-Content-Type-Options"), "nosniff", target)
            self.assertEqual(answer.header("Referrer-Policy"), "same-origin", target)
            self.assertIn("camera=()", answer.header("Permissions-Policy"), target)
            if target.startswith("/api"):
                self.assertEqual(answer.header("Cache-Control"), "no-store", target)

    def test_what_fronts_answer_is_no_page(self):
        """Also where no engine is asked: what cannot be read, is too long or too large, or asks for health."""
        for request, status in ((b"GET / HTTP/1.1\r\n\r\n", 400), (b"GARBAGE\r\n\r\n", 400), (b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n", 431),
                                (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505), (b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200),
                                (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\nConnection: close\r\n\r\n", 413)):
            with socket.create_connection(("127.0.0.1", self.server.http_port), timeout=10) as connection:
                connection.sendall(request)
                answer = http.client.HTTPResponse(connection)
                answer.begin()
                self.assertEqual(answer.status, status, request[:40])
                self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff", request[:40])
                self.assertIn("default-src 'none'", answer.headers["Content-Security-Policy"], request[:40])

    def test_no_path_leads_out(self):
        web = Web(self.server)
        for target in ("/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd", "/.%2e/etc/passwd",
                       "//etc/passwd", "/app.js/../../etc/passwd", "/..%5c..%5cetc", "/%c0%ae%c0%ae/etc/passwd", "/etc/passwd%00.js",
                       "/index.html%00", "/src/web/package.json", "/.git/config", "/bellhop.conf", "/api/v1/../../etc/passwd",
                       "/api/v1/users/..%2f..%2fetc%2fpasswd", "/app.js%2f..%2fapp.css"):
            answer = web.raw("GET", target)
            self.assertIn(answer.status, (400, 401, 404), target)
            self.assertNotIn(b"root:", answer.body, target)

    def test_what_is_not_there(self):
        web = Web(self.server)
        answer = web.raw("GET", "/nothing/here")
        self.assertEqual(answer.status, 404)
        self.assertIn(b"/api/v1", answer.body)
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            self.assertEqual(web.raw(method, "/", body=b"").status, 404, method)

    def test_large_bodies_are_refused(self):
        web = Web(self.server)
        for length in (65537, 1 << 20, 1 << 40):  # for the engine, by credit, for the front
            answer = web.raw("POST", "/api/v1/session", {"Content-Type": "application/json", "Content-Length": str(length)},
                             b"x" * min(length, 1 << 17))
            self.assertEqual((answer.status, answer.code, answer.header("Content-Type")), (413, "bad_input", "application/json"), length)
            web.close()
        self.assertEqual(web.raw("POST", "/api/v1/session", {"Content-Type": "application/json"}, b"x" * 65536).status, 400)

    def test_monitors(self):
        web = Web(self.server)
        for target in ("/healthz", "/readyz"):
            self.assertEqual(web.raw("GET", target).status, 200, target)
        self.assertEqual(web.raw("GET", "/readyz").body, b"ready\n")

    def test_not_ready_without_the_store(self):
        """Another program keeps the database to itself: alive, and not ready; ready again once it lets go."""
        web = Web(self.server)
        with contextlib.closing(sqlite3.connect(os.path.join(self.server.data, "bellhop.db"), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            # Who looks first may hear it from the front: the look takes as long as a front waits.
            answer = eventually(lambda: (lambda one: one if b"store" in one.body else None)(web.raw("GET", "/readyz")), what="it is not ready")
            self.assertEqual((answer.status, answer.body), (503, b"the store takes no writes\n"))
            self.assertEqual(answer.header("Retry-After"), "5")
            self.assertEqual(web.raw("GET", "/healthz").status, 200)
            other.execute("ROLLBACK")
        eventually(lambda: web.raw("GET", "/readyz").status == 200, what="it is ready again")

    def test_not_ready_while_the_engine_hangs(self):
        """Whoever asks gets an answer, from the front, and another one once the engine goes on."""
        web = Web(self.server)
        self.assertEqual(web.raw("GET", "/readyz").status, 200)
        engine = self.server.engine_pid()
        os.kill(engine, signal.SIGSTOP)
        try:
            answer = web.raw("GET", "/readyz")
        finally:
            os.kill(engine, signal.SIGCONT)
        self.assertEqual(answer.status, 503)
        self.assertGreaterEqual(int(answer.header("Retry-After")), 1)
        self.assertEqual(web.raw("GET", "/healthz").status, 200)
        eventually(lambda: web.raw("GET", "/readyz").status == 200, what="it is ready again")

    def test_metrics_by_address(self):
        web = Web(self.server)
        near = web.raw("GET", "/metrics")
        self.assertEqual(near.status, 200)
        self.assertIn("version=0.0.4", near.header("Content-Type"))
        self.assertRegex(near.body.decode(), r"(?m)^# TYPE bellhop_\w+ (counter|gauge|histogram)$")
        # From elsewhere, as a trusted proxy says: not without a token.
        far = web.raw("GET", "/metrics", {"X-Forwarded-For": "192.0.2.9"})
        self.assertEqual(far.status, 401)
        self.assertEqual(far.header("WWW-Authenticate"), "Bearer")


class Sessions(ServerCase):
    settings = {"web.sessions_per_user": "3", "auth.fail_limit_user": "4", "auth.fail_limit_address": "1000"}

    @classmethod
    def prepare(cls):
        cls.anna = cls.server.add_user("anna")

    def test_sign_in_and_out(self):
        web = Web(self.server)
        self.assertEqual(web.get("/session").status, 401)
        answer = web.sign_in(self.anna)
        self.assertEqual(answer.status, 200)
        self.assertEqual((answer.json["address"], answer.json["admin"]), (self.anna.address, False))
        cookie = answer.header("Set-Cookie")
        self.assertRegex(cookie, r"^bellhop=\S{20,}; Path=/; HttpOnly; SameSite=Strict$")
        again = web.get("/session")
        self.assertEqual((again.status, again.json["csrf"]), (200, answer.json["csrf"]))
        self.assertEqual(web.get("/me").json, {"address": self.anna.address, "admin": False})
        old = dict(web.cookies)
        out = web.delete("/session")
        self.assertEqual(out.status, 200)
        self.assertIn("Max-Age=0", out.header("Set-Cookie"))
        self.assertEqual(web.cookies, {})
        web.cookies = old
        self.assertEqual(web.get("/me").status, 401)

    def test_wrong_password(self):
        web = Web(self.server)
        user = self.user()
        answer = web.sign_in(user, "wrong")
        self.assertEqual((answer.status, answer.code), (401, "auth"))
        unknown = web.api("POST", "/session", {"address": "nobody@example.org", "password": "x"})
        self.assertEqual((unknown.status, unknown.json), (401, answer.json))
        self.assertEqual(web.cookies, {})

    def test_sign_in_is_throttled(self):
        user, web = self.user(), Web(self.server)
        for _ in range(4):
            self.assertEqual(web.sign_in(user, "wrong").status, 401)
        answer = web.sign_in(user)
        self.assertEqual(answer.status, 429)
        self.assertGreater(int(answer.header("Retry-After")), 0)

    def test_what_is_no_sign_in(self):
        web = Web(self.server)
        for body in (b"", b"[]", b"{", b'{"address": 5, "password": "x"}', b'{"address": "anna@example.org"}', b"null"):
            self.assertEqual(web.api("POST", "/session", body).status, 400, body)
        form = web.raw("POST", "/api/v1/session", {"Content-Type": "text/plain"},
                       b'{"address": "anna@example.org", "password": "secret of anna"}')
        self.assertEqual(form.status, 415)
        self.assertEqual(web.api("PUT", "/session", {}).status, 405)

    def test_disabled_user(self):
        user, web = self.user(), Web(self.server)
        self.assertEqual(web.sign_in(user).status, 200)
        self.server.bellhop("user", "disable", user.address)
        self.assertEqual(web.get("/me").status, 401)
        self.assertEqual(web.sign_in(user).status, 401)

    def test_changed_password_ends_sessions(self):
        user, web = self.user(), Web(self.server)
        web.sign_in(user)
        self.assertEqual(web.get("/me").status, 200)
        self.server.bellhop("user", "passwd", user.address, "--password-file", self.server.password_file("another"))
        self.assertEqual(web.get("/me").status, 401)

    def test_signing_in_again_ends_the_session_before(self):
        user, web = self.user(), Web(self.server)
        web.sign_in(user)
        old = Web(self.server)
        old.cookies = dict(web.cookies)
        self.assertEqual(old.get("/me").status, 200)
        self.assertEqual(web.sign_in(user).status, 200)
        self.assertEqual(web.get("/me").status, 200)
        self.assertEqual(old.get("/me").status, 401)

    def test_everywhere(self):
        user = self.user()
        webs = [Web(self.server) for _ in range(3)]
        for web in webs:
            self.assertEqual(web.sign_in(user).status, 200)
        self.assertEqual(webs[0].delete("/session", everywhere="true").json, {"everywhere": True})
        self.assertEqual([web.get("/me").status for web in webs], [401, 401, 401])

    def test_number_of_sessions(self):
        user = self.user()
        webs = [Web(self.server) for _ in range(4)]
        for web in webs:
            self.assertEqual(web.sign_in(user).status, 200)
        self.assertEqual(sorted(web.get("/me").status for web in webs), [200, 200, 200, 401])

    def test_behind_a_proxy_with_tls(self):
        """The proxy says so, or the browser does: the cookie is one of TLS."""
        for headers in ({"X-Forwarded-Proto": "https"}, {"Origin": "https://mail.example.org", "Host": "mail.example.org"},
                        {"Origin": "https://mail.example.org", "X-Forwarded-Host": "mail.example.org"}):
            web = Web(self.server, headers=headers)
            cookie = web.sign_in(self.anna).header("Set-Cookie")
            self.assertRegex(cookie, r"^__Host-bellhop=\S+; Path=/; HttpOnly; SameSite=Strict; Secure$", headers)
            self.assertEqual(web.get("/me").status, 200)

    def test_over_tls_only_its_own_cookie_counts(self):
        web = Web(self.server)
        web.sign_in(self.anna)
        self.assertEqual(web.get("/me").status, 200)
        web.headers["X-Forwarded-Proto"] = "https"
        self.assertEqual(web.get("/me").status, 401)

    def test_event_log_tells(self):
        user, web = self.user(), Web(self.server)
        web.sign_in(user)
        web.delete("/session")
        log = self.server.bellhop("log", "list", "--json").stdout
        self.assertIn(f"web:{user.address}", log)
        self.assertIn("signed in", log)
        self.assertIn("signed out", log)
        self.assertNotIn(user.password, log)


class Exports(ServerCase):
    @classmethod
    def prepare(cls):
        root = cls.server.add_user("root")
        cls.server.bellhop("user", "admin", root.address, "--on")
        cls.web = Web(cls.server)
        cls.web.sign_in(root)

    def test_log(self):
        user = self.user()
        self.server.bellhop("user", "disable", user.address)
        answer = self.web.get("/log.csv", user=user.address)
        self.assertTrue(answer.header("Content-Type").startswith("text/csv"))
        self.assertIn("attachment", answer.header("Content-Disposition"))
        rows = list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))
        self.assertEqual([row["action"] for row in rows], ["user disable", "user add"])
        lines = self.web.get("/log.jsonl", user=user.address)
        self.assertEqual(lines.header("Content-Type"), "application/jsonl")
        rows = [json.loads(line) for line in lines.body.splitlines()]
        self.assertEqual([row["action"] for row in rows], ["user disable", "user add"])
        self.assertEqual([row["id"] for row in rows], [row["id"] for row in self.web.get("/log", user=user.address).json])
        self.assertEqual(self.web.get("/log.csv", format="jsonl").status, 400)

    def test_settings(self):
        rows = {f"{row['section']}.{row['name']}": row for row in self.web.get("/settings").json}
        self.assertEqual(rows["server.workers"]["value"], "8")
        self.assertTrue(rows["server.workers"]["changed"])
        self.assertFalse(rows["web.enabled"]["changed"])
        self.assertTrue(all(row["text"] for row in rows.values()))


class Off(ServerCase):
    settings = {"web.enabled": "no"}

    def test_nothing_is_served(self):
        web = Web(self.server)
        for target in ("/", "/app.js", "/api/v1/session", "/readyz", "/metrics"):
            self.assertEqual(web.raw("GET", target).status, 404, target)
        self.assertEqual(web.raw("GET", "/healthz").status, 200)
        self.phone()


class Times(ServerCase):
    """Sessions that are over; the server's clock is turned on."""
    settings = {"web.session_idle_s": "600", "web.session_max_s": "1200"}

    def test_idle_and_in_all(self):
        user, web = self.user(), Web(self.server)
        begun = web.sign_in(user).json
        self.assertEqual(begun["expires_at"], begun["created_at"] + 600)
        seen = web.get("/session").json
        self.assertEqual(seen["created_at"], begun["created_at"])
        # A shorter time in the configuration counts for the sessions that are.
        self.server.write_config(web_session_idle_s="60", web_session_max_s="60")
        self.server.bellhop("reload")
        self.assertEqual(web.sign_in(user).json["expires_at"] - web.get("/session").json["created_at"], 60)


class Setup(ServerCase):
    https = True
    settings = {"server.hostname": "mail.example.org"}

    @classmethod
    def prepare(cls):
        cls.anna = cls.server.add_user("anna")
        cls.web = Web(cls.server, tls=True)
        cls.web.sign_in(cls.anna)

    def test_setup(self):
        setup = self.web.get("/me/setup").json
        self.assertEqual(setup["server"], "mail.example.org")
        self.assertEqual(setup["port"], self.server.https_port)
        self.assertEqual(setup["user"], self.anna.address)
        self.assertTrue(setup["certificate"]["self_signed"])
        self.assertRegex(setup["certificate"]["sha256"], r"^([0-9A-F]{2}:){31}[0-9A-F]{2}$")
        for steps in ("ios_profile", "ios", "android", "windows_mobile"):
            self.assertGreater(len(setup["steps"][steps]), 2)
            self.assertNotIn("{", "".join(setup["steps"][steps]))
        self.assertIn("mail.example.org", "".join(setup["steps"]["android"]))
        # Where the phone has no field for the port it stands behind the name.
        for steps in ("ios", "windows_mobile"):
            self.assertIn(f"mail.example.org:{self.server.https_port}.", "".join(setup["steps"][steps]))
        self.assertIn("Download the certificate", "".join(setup["steps"]["windows_mobile"]))

    def test_certificate_to_trust(self):
        with open(os.path.join(self.server.data, "self-signed.pem"), encoding="ascii") as file:
            own = file.read()
        answer = self.web.get("/me/certificate.cer")
        self.assertEqual((answer.status, answer.header("Content-Type")), (200, "application/x-x509-ca-cert"))
        self.assertEqual(answer.body, ssl.PEM_cert_to_DER_cert(own))
        # With an authority of the site, whose root comes along: that one.
        root, key = self.make_pair("root")
        leaf, request = os.path.join(self.server.folder, "leaf"), os.path.join(self.server.folder, "leaf.csr")
        subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                        "/CN=mail.example.org", "-keyout", leaf + ".key", "-out", request], check=True, capture_output=True)
        subprocess.run(["openssl", "x509", "-req", "-in", request, "-CA", root, "-CAkey", key, "-CAcreateserial", "-days", "2", "-out",
                        leaf + ".pem"], check=True, capture_output=True)
        with open(leaf + ".pem", encoding="ascii") as file, open(root, encoding="ascii") as authority:
            chain = file.read() + authority.read()
        self.addCleanup(self.server.bellhop, "reload")
        self.addCleanup(self.server.write_config, tls_certificate="", tls_key="")
        for text, want in ((chain, chain[chain.rindex("-----BEGIN"):]), (chain[:chain.rindex("-----BEGIN")], None)):
            with open(leaf + ".chain", "w", encoding="ascii") as file:
                file.write(text)
            self.server.write_config(tls_certificate=leaf + ".chain", tls_key=leaf + ".key")
            self.server.bellhop("reload")
            answer, setup = self.web.get("/me/certificate.cer"), self.web.get("/me/setup").json
            payloads = self.verify(self.web.get("/me/profile.mobileconfig").body)["PayloadContent"]
            if want is None:
                self.assertEqual((answer.status, answer.code, len(payloads)), (404, "not_found", 1))
                self.assertNotIn("certificate_file", setup)
                self.assertNotIn("Download the certificate", "".join(setup["steps"]["windows_mobile"]))
            else:
                self.assertEqual(answer.body, ssl.PEM_cert_to_DER_cert(want))
                self.assertEqual(payloads[1]["PayloadContent"], answer.body)
                self.assertEqual(setup["certificate_file"], "/api/v1/me/certificate.cer")

    def test_profile_of_a_strange_name(self):
        """What means something in XML is text in the profile; without TLS it says so, and the steps as well."""
        user = self.server.add_user("o'neil&sons")
        web = Web(self.server, tls=True)
        web.sign_in(user)
        self.addCleanup(self.server.bellhop, "reload")
        self.addCleanup(self.server.write_config, web_public_url="")
        self.server.write_config(web_public_url="http://mail.example.org:8080")
        self.server.bellhop("reload")
        account = self.verify(web.get("/me/profile.mobileconfig").body)["PayloadContent"][0]
        self.assertEqual((account["UserName"], account["Host"], account["SSL"]), (user.address, "mail.example.org:8080", False))
        steps = web.get("/me/setup").json["steps"]
        self.assertIn("Clear the tick", "".join(steps["windows_mobile"]))
        self.assertIn("security type None", "".join(steps["android"]))
        self.assertNotIn("SSL/TLS", "".join(steps["android"]))

    def test_cookie_of_tls(self):
        self.assertEqual(list(self.web.cookies), ["__Host-bellhop"])

    def test_https_alone_from_now_on(self):
        """Said over TLS, the proxy's included, and never where anybody on the way could have written it."""
        field, plain = "Strict-Transport-Security", Web(self.server)
        for target in ("/", "/app.js", "/nothing", "/%00", "/api/v1/session", "/readyz"):
            self.assertEqual(self.web.raw("GET", target).header(field), "max-age=15552000", target)
            self.assertIsNone(plain.raw("GET", target).header(field), target)
        self.assertEqual(plain.raw("GET", "/", {"X-Forwarded-Proto": "https"}).header(field), "max-age=15552000")
        self.server.write_config(web_require_tls="yes")
        self.server.bellhop("reload")
        for target in ("/", "/app.js", "/api/v1/session", "/api/v1/openapi.json"):
            refused = plain.raw("GET", target)
            self.assertEqual((refused.status, refused.code), (403, "denied"), target)
            self.assertIn("X-Forwarded-Proto", refused.body.decode(), target)
            self.assertIn(plain.raw("GET", target, {"X-Forwarded-Proto": "https"}).status, (200, 401), target)
            self.assertIn(self.web.raw("GET", target).status, (200, 401), target)
        self.assertEqual(plain.raw("POST", "/api/v1/session", {"Content-Type": "application/json"}, json.dumps(
            {"address": self.anna.address, "password": self.anna.password})).status, 403)
        for target in ("/healthz", "/readyz"):
            self.assertEqual(plain.raw("GET", target).status, 200, target)
        self.server.write_config(web_hsts_s="0", web_require_tls="no")
        self.server.bellhop("reload")
        self.assertEqual(self.web.raw("GET", "/").header(field), "max-age=0")

    def test_qr_code(self):
        answer = self.web.get("/me/setup.svg")
        self.assertEqual(answer.header("Content-Type"), "image/svg+xml")
        self.assertTrue(answer.body.startswith(b"<svg ") and answer.body.rstrip().endswith(b"</svg>"))
        self.assertNotIn(b"<script", answer.body)

    def make_pair(self, name):
        certificate, key = (os.path.join(self.server.folder, f"{name}.{kind}") for kind in ("pem", "key"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", f"/CN={name}", "-keyout", key, "-out", certificate], check=True, capture_output=True)
        return certificate, key

    def test_signer_of_the_site(self):
        """Checked when it is configured, with an error that names setting and file; then it signs."""
        certificate, key = self.make_pair("signer")
        _, other = self.make_pair("other")
        junk, missing = os.path.join(self.server.folder, "junk"), os.path.join(self.server.folder, "missing")
        with open(junk, "w", encoding="ascii") as file:
            file.write("junk\n")
        self.addCleanup(self.server.bellhop, "reload")
        self.addCleanup(self.server.write_config, web_profile_certificate="", web_profile_key="")
        for pair, words in (((certificate, ""), ("web.profile_key", "belong together")), (("", key), ("web.profile_certificate", "belong")),
                            ((junk, key), ("web.profile_certificate", junk)), ((missing, key), ("web.profile_certificate", missing)),
                            ((certificate, missing), ("web.profile_key", missing)), ((certificate, other), ("web.profile_key", other))):
            self.server.write_config(web_profile_certificate=pair[0], web_profile_key=pair[1])
            done = self.server.bellhop("reload", check=False)
            self.assertNotEqual(done.returncode, 0, (pair, done))
            for word in words:
                self.assertIn(word, done.stderr, pair)
            # The one from before still signs.
            self.assertEqual(self.web.get("/me/profile.mobileconfig").status, 200)
        self.server.write_config(web_profile_certificate=certificate, web_profile_key=key)
        self.server.bellhop("reload")
        self.assertEqual(self.verify(self.web.get("/me/profile.mobileconfig").body, certificate)["PayloadType"], "Configuration")

    def verify(self, signed, trusted=None):
        """The property list in it, after openssl has found the signature good."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "profile")
            with open(path, "wb") as file:
                file.write(signed)
            done = subprocess.run(
                ["openssl", "cms", "-verify", "-inform", "DER", "-in", path, "-purpose", "any",
                 "-CAfile", trusted or os.path.join(self.server.data, "profile.pem")], capture_output=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            broken = bytearray(signed)
            broken[signed.index(b"EmailAddress")] ^= 1
            with open(path, "wb") as file:
                file.write(broken)
            bad = subprocess.run(["openssl", "cms", "-verify", "-inform", "DER", "-in", path, "-noverify"],
                                 capture_output=True, check=False)
            self.assertNotEqual(bad.returncode, 0)
        return plistlib.loads(done.stdout)

    def test_profile(self):
        answer = self.web.get("/me/profile.mobileconfig")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.header("Content-Type"), "application/x-apple-aspen-config")
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        profile = self.verify(answer.body)
        self.assertEqual(profile["PayloadType"], "Configuration")
        account, certificate = profile["PayloadContent"]
        self.assertEqual(account["PayloadType"], "com.apple.eas.account")
        self.assertEqual(account["Host"], f"mail.example.org:{self.server.https_port}")
        self.assertEqual((account["EmailAddress"], account["UserName"]), (self.anna.address, self.anna.address))
        self.assertTrue(account["SSL"])
        self.assertNotIn("Password", account)
        self.assertEqual(certificate["PayloadType"], "com.apple.security.root")
        with open(os.path.join(self.server.data, "self-signed.pem"), encoding="ascii") as file:
            pem = "".join(file.read().split("-----")[2].split())
        self.assertEqual(certificate["PayloadContent"], base64.b64decode(pem))
        # The same one again takes the place of the first.
        second = self.verify(self.web.get("/me/profile.mobileconfig").body)
        self.assertEqual(second["PayloadUUID"], profile["PayloadUUID"])
        # With an app password in it, which lets a phone in, and opens no page.
        answer = self.web.post("/me/profile.mobileconfig", name="iPhone")
        self.assertEqual(answer.status, 200, answer)
        password = self.verify(answer.body)["PayloadContent"][0]["Password"]
        self.anna.device(password=password).ready()
        self.assertEqual(Web(self.server).sign_in(self.anna, password).status, 401)
        self.assertEqual(self.web.post("/me/profile.mobileconfig", name="iPhone").status, 409)
        self.assertEqual(os.stat(os.path.join(self.server.data, "profile.key")).st_mode & 0o777, 0o600)


if __name__ == "__main__":
    unittest.main()
