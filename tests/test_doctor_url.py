"""bellhop doctor from outside: through a real reverse proxy, whose time-out it finds by holding a request."""

import datetime
import json
import os
import socket
from unittest import mock

from lib.case import ServerCase
from lib.proxies import Nginx
from lib.server import fast_clock, free_port


def days(count):
    """The environment of somebody whose clock shows another day."""
    return fast_clock(wall=datetime.datetime.now() + datetime.timedelta(days=count))


class OtherDay(Nginx):
    """With a certificate for two days that was made on another day."""

    day = 0

    def make_certificate(self):
        with mock.patch.dict(os.environ, days(self.day)):
            super().make_certificate()


class Outside(ServerCase):
    settings = {**ServerCase.settings, "http.hold_max_s": "5", "http.holds_max": "1", "server.fronts": "1"}

    def doctor(self, *words, day=0):
        """What it says, by check: the rows."""
        with mock.patch.dict(os.environ, days(day) if day else {}):
            done = self.server.bellhop("doctor", "--json", *words, check=False)
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, 1 if report["findings"] else 0, done.stderr)
        rows = {}
        for row in report["checks"]:
            rows.setdefault(row["check"], []).append(row)
        return rows

    def behind(self, *changes, day=0):
        proxy = type("Proxy", (OtherDay,), {"day": day})(self.server, *changes)
        self.addCleanup(proxy.close)
        return ("--url", f"https://localhost:{proxy.port}/", "--ca", proxy.certificate)

    def test_short_timeout(self):
        """A proxy that ends silent requests after a second is found, with the time and what to change."""
        (url, *_), (proxy,) = (lambda rows: (rows["url"], rows["proxy"]))(self.doctor(*self.behind(*Nginx.usual), "--hold", "4"))
        self.assertEqual(url["result"], "ok", url)
        self.assertEqual(proxy["result"], "problem", proxy)
        self.assertIn("after 1 s", proxy["text"])
        self.assertIn("504", proxy["text"])
        self.assertIn("proxy_read_timeout", proxy["advice"])

    def test_example(self):
        """The example of docs/PROXIES.md lets silence be."""
        rows = self.doctor(*self.behind(), "--hold", "2")
        self.assertEqual(rows["url"][0]["result"], "ok", rows)
        self.assertEqual(rows["proxy"][0]["result"], "ok", rows)
        self.assertIn("survives 2 s", rows["proxy"][0]["text"])
        # The proxy's own certificate, which no file of the server tells of: made for two days.
        soon, = rows["url"][1:]
        self.assertEqual(soon["result"], "warning", soon)
        self.assertRegex(soon["text"], r"expires on \d{4}-\d\d-\d\d, in (1 day|2 days)$")

    def test_untrusted(self):
        """What phones would refuse, the doctor refuses."""
        words = self.behind()
        rows = self.doctor(*words[:2])
        self.assertEqual(rows["url"][0]["result"], "problem")
        self.assertIn("trust", rows["url"][0]["advice"])
        self.assertIn("no authority", rows["url"][0]["text"])
        self.assertNotIn("proxy", rows)
        # Trusted, but reached by another name.
        url, = self.doctor("--url", words[1].replace("localhost", "127.0.0.1"), *words[2:])["url"]
        self.assertEqual(url["result"], "problem")
        self.assertIn("for another name", url["text"])
        self.assertIn("the name that phones have", url["advice"])
        # Good, but for a clock that is two years ahead, or a month behind: it is the clock that is to be set.
        for day, said, skew in ((730, "expired on", "behind"), (-30, "is not valid yet, but from", "ahead of")):
            rows = self.doctor(*words, day=day)
            url, = rows["url"]
            self.assertEqual(url["result"], "problem")
            self.assertIn(said, url["text"])
            self.assertIn("set this system's clock", url["advice"])
            self.assertTrue([row for row in rows["clock"] if row["result"] == "problem" and f"s {skew} this one's" in row["text"]], rows["clock"])

    def test_dates(self):
        """A certificate that is too old, or too young, by everybody's clock: since when, and not a word of clocks."""
        for day, said, advice in ((-10, r"its certificate expired on \d{4}-\d\d-\d\d, 8 days ago$", "renew it"),
                                  (10, r"its certificate is not valid yet, but from \d{4}-\d\d-\d\d, in (9|10) days$", "wait")):
            rows = self.doctor(*self.behind(day=day))
            url, = rows["url"]
            self.assertEqual(url["result"], "problem")
            self.assertRegex(url["text"], said)
            self.assertIn(advice, url["advice"])
            self.assertFalse([row for row in rows["clock"] if "this one's" in row["text"]], rows["clock"])
            self.assertNotIn("proxy", rows)

    def test_no_answer(self):
        """What ends a silent request without an answer is said to do so."""
        proxy, = self.doctor(*self.behind((r"location / {", "location @none { return 444; }\nlocation / { error_page 504 @none;"), *Nginx.usual), "--hold", "3")["proxy"]
        self.assertEqual(proxy["result"], "problem")
        self.assertTrue(proxy["text"].endswith("(no answer)"), proxy)

    def test_nobody_there(self):
        rows = self.doctor("--url", f"http://127.0.0.1:{free_port()}")
        self.assertEqual(rows["url"][0]["result"], "problem")
        self.assertIn("open the port", rows["url"][0]["advice"])
        # Any other name than this machine's own: phones would send passwords in the clear.
        first, _ = self.doctor("--url", f"http://[::1]:{free_port()}")["url"]
        self.assertEqual(first["result"], "problem")
        self.assertIn("without TLS", first["text"])

    def test_longer_than_allowed(self):
        """The server holds no longer than its settings say, and says so."""
        rows = self.doctor("--url", f"http://127.0.0.1:{self.server.http_port}", "--hold", "6")
        self.assertEqual(rows["proxy"][0]["result"], "warning", rows)
        self.assertIn("http.hold_max_s", rows["proxy"][0]["text"])

    def test_few_at_once(self):
        """One hold more than http.holds_max is refused at once; one that goes away makes room."""
        first, second = self.server.connect(), self.server.connect()
        self.addCleanup(first.close)
        self.addCleanup(second.close)
        first.request("GET", "/healthz?hold=5")
        self.assertTrue(first.is_silent(0.2))
        second.request("GET", "/healthz?hold=1")
        self.assertEqual(second.response().status, 503)
        first.close()
        third = self.server.connect()
        self.addCleanup(third.close)
        for _ in range(50):
            third.request("GET", "/healthz?hold=1")
            status = third.response().status
            if status == 200:
                break
        self.assertEqual(status, 200)
        third.request("GET", "/healthz?other=1")
        self.assertEqual(third.response().status, 200)

    def test_wrong_words(self):
        for words, said in ((("--url", "mail.example.org"), "https://"), (("--url", "https://"), "https://name"), (("--hold", "5"), "--url"),
                            (("--url", "http://localhost", "--hold", "0"), "hold"),
                            (("--ca", "/nowhere/ca.pem"), "ca: /nowhere/ca.pem is not there"),
                            (("--ca", self.server.config), "holds no certificate")):
            done = self.server.bellhop("doctor", *words, check=False)
            self.assertEqual(done.returncode, 1, done)
            self.assertIn(said, done.stderr)

    def test_inside(self):
        """Names and clock are looked at without a URL, too."""
        rows = self.doctor()
        self.assertTrue(rows["dns"])
        self.assertTrue(rows["clock"])
        self.assertNotIn("url", rows)
        for words, said in (((), True), (("--url", f"http://127.0.0.1:{self.server.http_port}", "--hold", "1"), False)):
            self.assertEqual("Not tried" in self.server.bellhop("doctor", *words, check=False).stdout, said, words)
        self.assertIn(socket.gethostname() if self.settings.get("server.hostname") is None else "",
                      " ".join(row["text"] for row in rows["dns"]))
