"""bellhop doctor on set-ups that are broken before a phone ever comes: what it says, what to change, and how it ends."""

import datetime
import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading
import unittest
from unittest import mock

from lib.case import ServerCase
from lib.proxies import Nginx
from lib.server import Server, fast_clock


class Authority:
    """A root, an authority under it, and what that issued."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="bellhop-doctor-")
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        self.openssl("req", "-x509", *key, "-keyout", "root.key", "-out", "root.pem", "-days", "400", "-subj", "/CN=Root")
        for name, by, extension in (("between", "root", "basicConstraints=critical,CA:TRUE"), ("leaf", "between", "subjectAltName=DNS:localhost")):
            self.openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
            with open(self.path("extension"), "w", encoding="ascii") as file:
                file.write(extension + "\n")
            self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial", "-days", "90",
                         "-extfile", "extension", "-out", f"{name}.pem")
        self.join("whole", "leaf", "between")
        self.join("swapped", "between", "leaf")

    def openssl(self, *words):
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=self.folder)

    def join(self, name, *parts):
        with open(self.path(f"{name}.pem"), "w", encoding="ascii") as out:
            for part in parts:
                with open(self.path(f"{part}.pem"), encoding="ascii") as file:
                    out.write(file.read())

    def path(self, name):
        return os.path.join(self.folder, name)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def examine(case, server, *words):
    """The rows by check; the exit status is 1 exactly when one of them is a problem."""
    done = server.bellhop("doctor", "--json", *words, check=False)
    case.assertIn(done.returncode, (0, 1), done.stderr)
    rows = {}
    for row in json.loads(done.stdout)["checks"]:
        rows.setdefault(row["check"], []).append(row)
        if row["result"] == "problem":
            case.assertTrue(row["advice"], row)
    case.assertEqual(done.returncode, int(any(row["result"] == "problem" for check in rows.values() for row in check)), rows)
    return rows


class Files(unittest.TestCase):
    """Without a running server: whoever has these may have none that starts."""

    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()

    @classmethod
    def tearDownClass(cls):
        cls.authority.close()

    def certificate(self, certificate="whole.pem", key="leaf.key", hostname="localhost", ca="root.pem"):
        """What is said of the certificate, each as (result, text, advice)."""
        path = self.authority.path
        server = Server(https=True, settings={"server.hostname": hostname, "tls.certificate": path(certificate), "tls.key": path(key)})
        self.addCleanup(server.close)
        rows = examine(self, server, *(("--ca", path(ca)) if ca else ()))
        return [(row["result"], row["text"], row.get("advice", "")) for row in rows["certificate"]]

    def test_well(self):
        (result, text, _), = self.certificate()
        self.assertEqual(result, "ok")
        self.assertIn("2 in its chain", text)

    def test_incomplete_chain(self):
        for certificate, ca in (("leaf.pem", "root.pem"), ("leaf.pem", None), ("whole.pem", None)):
            (result, text, advice), = self.certificate(certificate, ca=ca)
            self.assertEqual(result, "problem")
            self.assertIn("would not trust this file by itself", text)
            self.assertIn("all authorities between it and a root", advice)
            self.assertIn("--ca", advice)

    def test_other_key(self):
        for key, said in (("between.key", "is not that of the certificate"), ("nowhere.key", "is not there")):
            (result, text, advice), = self.certificate(key=key)
            self.assertEqual(result, "problem")
            self.assertIn(self.authority.path(key), text)
            self.assertIn(said, text)
            self.assertIn("tls.key", advice)

    def test_other_name(self):
        (result, text, advice), = self.certificate(hostname="mail.example.org")
        self.assertEqual(result, "problem")
        self.assertIn("does not bear the name mail.example.org", text)
        self.assertIn("subjectAltNames", advice)

    def test_wrong_order(self):
        """The authority's first: that is then the one that phones get."""
        texts = [text for result, text, _ in self.certificate("swapped.pem") if result == "problem"]
        self.assertTrue([text for text in texts if "does not bear the name localhost" in text], texts)

    def test_expired(self):
        with mock.patch.dict(os.environ, fast_clock(wall=datetime.datetime.now() + datetime.timedelta(days=100))):
            (result, text, advice), = self.certificate()
        self.assertEqual(result, "problem")
        self.assertRegex(text, r"expired on \d{4}-\d\d-\d\d, (9|10) days ago: phones refuse")
        self.assertIn("install a new one", advice)

    def test_no_such_name(self):
        """Neither the server's own name nor that of the URL is in the DNS."""
        server = Server(settings={"server.hostname": "mail.bellhop.invalid"})
        self.addCleanup(server.close)
        rows = examine(self, server, "--url", "https://mail.bellhop.invalid")
        dns, = rows["dns"]
        self.assertEqual((dns["result"], dns["text"]), ("problem", "mail.bellhop.invalid leads nowhere"))
        self.assertIn("A and an AAAA record", dns["advice"])
        url, = rows["url"]
        self.assertEqual(url["result"], "problem")
        self.assertIn("resolve host", url["text"])
        self.assertIn("DNS", url["advice"])
        self.assertNotIn("proxy", rows)


class Outside(ServerCase):
    def test_incomplete_chain(self):
        """A proxy that shows its certificate alone."""
        authority = Authority()
        self.addCleanup(authority.close)

        class Alone(Nginx):
            def make_certificate(self):
                self.certificate, self.key = authority.path(self.shown), authority.path("leaf.key")

        for shown in ("leaf.pem", "whole.pem"):
            proxy = type("Proxy", (Alone,), {"shown": shown})(self.server)
            self.addCleanup(proxy.close)
            rows = examine(self, self.server, "--url", f"https://localhost:{proxy.port}", "--ca", authority.path("root.pem"), "--hold", "1")
            url = rows["url"][0]
            if shown == "whole.pem":
                self.assertEqual(url["result"], "ok", url)
                self.assertEqual(rows["proxy"][0]["result"], "ok", rows)
            else:
                self.assertEqual(url["result"], "problem")
                self.assertIn("with its whole chain", url["advice"])
                self.assertNotIn("proxy", rows)

    def test_clocks(self):
        """Ten minutes apart, which no certificate shows."""
        url = ("--url", f"http://127.0.0.1:{self.server.http_port}", "--hold", "1")
        for minutes, said in ((10, "s behind this one's"), (-10, "s ahead of this one's")):
            with mock.patch.dict(os.environ, fast_clock(wall=datetime.datetime.now() + datetime.timedelta(minutes=minutes))):
                rows = examine(self, self.server, *url)
            clock, = [row for row in rows["clock"] if row["result"] == "problem"]
            self.assertIn(said, clock["text"])
            self.assertIn("NTP", clock["advice"])
            self.assertEqual(rows["url"][0]["result"], "ok", rows)
        self.assertEqual([row for row in examine(self, self.server, *url)["clock"] if row["result"] == "problem"], [])

    def test_somebody_else(self):
        """The name leads to another web server, which knows nothing of the path."""
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as other:
            thread = threading.Thread(target=other.serve_forever, daemon=True)
            thread.start()
            rows = examine(self, self.server, "--url", f"http://127.0.0.1:{other.server_port}")
            other.shutdown()
            thread.join()
        url, = rows["url"]
        self.assertEqual(url["result"], "problem")
        self.assertIn("not by this server", url["text"])
        self.assertIn("another server answers", url["advice"])
        self.assertNotIn("proxy", rows)


if __name__ == "__main__":
    unittest.main()
