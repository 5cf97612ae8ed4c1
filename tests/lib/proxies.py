"""
Real reverse proxies in front of a server, with the examples of docs/PROXIES.md as they stand there, and what must hold behind any of
them.

The usual time-out of 60 s is scaled down: the same example with short ones cuts the Ping. BELLHOP_PROXY_HOLD=70 takes the real one.
"""

import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile

from eas.client import Device, basic
from eas.http import Connection, tls_client_context
from eas.query import PATH
from lib import mail
from lib.case import E
from lib.server import eventually, free_port

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "PROXIES.md")
HOLD = float(os.environ.get("BELLHOP_PROXY_HOLD", "3"))
REAL = HOLD > 60  # of the proxy's own defaults


def example(language):
    with open(DOCS, encoding="utf-8") as file:
        return re.search(rf"```{language}\n(.*?)```", file.read(), re.S)[1]


def changed(text, *changes):
    for old, new in changes:
        if not re.search(old, text):
            raise AssertionError(f"the example has no {old!r}")
        text = re.sub(old, new, text)
    return text


class Proxy:
    """One program in front of a server; has what a Device wants of a server."""

    command = None
    cut = 504  # what a phone is told when the time is over

    def __init__(self, server, *changes):
        self.folder = tempfile.mkdtemp(prefix="bellhop-test-")
        self.port = free_port()
        self.server = server
        self.make_certificate()
        self.log = open(os.path.join(self.folder, "log"), "wb")
        with open(os.path.join(self.folder, "conf"), "w", encoding="utf-8") as file:
            file.write(self.config(*changes))
        self.process = subprocess.Popen(self.command_line(), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        try:
            eventually(self.is_up, what=f"{self.command} listens")
        except BaseException:
            with open(self.log.name, encoding="utf-8") as file:
                print(file.read())
            self.close()
            raise

    def make_certificate(self):
        self.key, self.certificate, both = (os.path.join(self.folder, name) for name in ("key.pem", "cert.pem", "both.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-keyout", self.key, "-out", self.certificate], check=True, capture_output=True)
        with open(both, "wb") as out:
            for name in (self.certificate, self.key):
                with open(name, "rb") as file:
                    shutil.copyfileobj(file, out)

    def is_up(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.command} ended with {self.process.returncode}")
        try:
            with self.connect() as connection:
                connection.request("GET", "/healthz")
                return connection.response().status == 200
        except (OSError, ssl.SSLError):
            return False

    def connect(self, tls=True, context=None, source="127.0.0.1", **kwargs):
        connection = Connection.__new__(Connection)
        connection.timeout, connection.host, connection.pending = 20, "127.0.0.1", b""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=20, source_address=(source, 0))
        connection.socket = (context or tls_client_context()).wrap_socket(plain, server_hostname="localhost")
        return connection

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Nginx(Proxy):
    command = "nginx"
    usual = [(r"proxy_read_timeout 3660s;", "" if REAL else "proxy_read_timeout 1s;")]

    def config(self, *changes):
        site = changed(example("nginx"), (r"127\.0\.0\.1:8080", f"127.0.0.1:{self.server.http_port}"),
                       (r"listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl"), (r"/etc/ssl/mail\.pem", self.certificate),
                       (r"/etc/ssl/mail\.key", self.key), *changes)
        temporary = "".join(f"{name}_temp_path {self.folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return (("user root;\n" if os.geteuid() == 0 else "") +
                f"daemon off;\npid {self.folder}/pid;\nerror_log stderr warn;\nworker_processes 1;\nevents {{ worker_connections 512; }}\n"
                f"http {{\naccess_log off;\n{temporary}{site}}}\n")

    def command_line(self):
        return [shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin") or "nginx", "-p", self.folder, "-e", "stderr",
                "-c", os.path.join(self.folder, "conf")]


class Haproxy(Proxy):
    command = "haproxy"
    usual = [(r"timeout server 3660s", "timeout server 60s" if REAL else "timeout server 1s")]

    def config(self, *changes):
        return changed(example("haproxy"), (r"127\.0\.0\.1:8080", f"127.0.0.1:{self.server.http_port}"),
                       (r"bind :443", f"bind 127.0.0.1:{self.port}"),
                       (r"/etc/ssl/mail-with-key\.pem", os.path.join(self.folder, "both.pem")), *changes)

    def command_line(self):
        return [shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin") or "haproxy", "-db", "-f",
                os.path.join(self.folder, "conf")]


class Caddy(Proxy):
    command = "caddy"
    # Caddy itself waits for ever; this is what an example from elsewhere would set.
    usual = [(r"response_header_timeout 3660s", "response_header_timeout 60s" if REAL else "response_header_timeout 1s")]

    def config(self, *changes):
        site = changed(example("caddyfile"), (r"127\.0\.0\.1:8080", f"127.0.0.1:{self.server.http_port}"),
                       (r"mail\.example\.org \{", f":{self.port} {{\n\tbind 127.0.0.1\n\ttls {self.certificate} {self.key}"), *changes)
        return "{\n\tadmin off\n\tauto_https disable_redirects\n\tstorage file_system " + self.folder + "\n}\n" + site

    def command_line(self):
        return ["env", f"HOME={self.folder}", shutil.which("caddy") or "caddy", "run", "--adapter", "caddyfile",
                "--config", os.path.join(self.folder, "conf")]


class Apache(Proxy):
    command = "apache2"
    cut = 502
    modules = "/usr/lib/apache2/modules"
    usual = [(r"timeout=3660", "timeout=60" if REAL else "timeout=1")]

    def config(self, *changes):
        site = changed(example("apache"), (r"127\.0\.0\.1:8080", f"127.0.0.1:{self.server.http_port}"),
                       (r"VirtualHost \*:443", f"VirtualHost 127.0.0.1:{self.port}"), (r"/etc/ssl/mail\.pem", self.certificate),
                       (r"/etc/ssl/mail\.key", self.key), *changes)
        loaded = "".join(f"LoadModule {name}_module {self.modules}/mod_{name}.so\n"
                         for name in ("mpm_event", "authz_core", "ssl", "proxy", "proxy_http"))
        return (f"ServerRoot {self.folder}\nServerName localhost\nPidFile {self.folder}/pid\nDefaultRuntimeDir {self.folder}\n"
                f"ErrorLog /dev/stderr\nLogLevel warn\n{loaded}" + ("User www-data\nGroup www-data\n" if os.geteuid() == 0 else "") +
                f"Mutex file:{self.folder}\nServerLimit 1\nStartServers 1\nThreadsPerChild 25\nMaxRequestWorkers 25\n"
                f"Listen 127.0.0.1:{self.port}\n{site}")

    def command_line(self):
        return [shutil.which("apache2", path=os.environ["PATH"] + ":/usr/sbin") or "apache2", "-D", "FOREGROUND",
                "-f", os.path.join(self.folder, "conf")]


class Behind:
    """What holds behind any of them."""

    def behind(self, *changes):
        proxy = self.proxy(self.server, *changes)
        self.addCleanup(proxy.close)
        return proxy

    def waiting(self, proxy):
        """A phone behind the proxy with a Ping that waits, and its owner."""
        owner = self.user()
        phone = Device(proxy, owner.address, owner.password, "14.1").ready()
        phone.prime()
        connection = phone.ping_send(heartbeat=900)
        self.addCleanup(phone.close)
        return owner, phone, connection

    def test_ping_is_held(self):
        """Longer than usual, woken by mail, and the next one on the same connection."""
        owner, phone, connection = self.waiting(self.behind())
        self.assert_parked(connection, HOLD)
        self.deliver(owner, "through the proxy")
        self.assert_ping(phone.receive(connection), "2", [phone.inbox])
        self.assertEqual(phone.sync().subjects(), ["through the proxy"])
        phone.ping_send(connection, heartbeat=900)
        self.assert_parked(connection)
        self.deliver(owner, "again")
        self.assert_ping(phone.receive(connection), "2", [phone.inbox])

    def test_usual_timeouts_cut(self):
        """What the example is for: with the usual time-out the same Ping fails."""
        _, phone, connection = self.waiting(self.behind(*self.proxy.usual))
        self.assertEqual(phone.receive(connection, timeout=HOLD + 10).code, self.proxy.cut)

    def test_address_of_the_client(self):
        proxy = self.behind()
        mark = self.server.log_mark()
        with proxy.connect(source="127.0.0.77") as connection:
            connection.request("OPTIONS", PATH, {"Authorization": basic("nobody", "x")})
            self.assertEqual(connection.response().status, 401)
        self.server.wait_log(r"login_failed .*address=127\.0\.0\.77 ", mark)

    def test_large_mail(self):
        """Up and down."""
        proxy = self.behind()
        owner, phone, connection = self.waiting(proxy)
        other = self.user()
        sender = Device(proxy, other.address, other.password, "14.1").ready()
        message = mail.message("large", sender=other.address, to=owner.address,
                               attachments=[("a.bin", "application/octet-stream", os.urandom(6_000_000))])
        answer = sender.post("SendMail", E("ComposeMail:SendMail", E("ClientId", "c1"), E("Mime", message)))
        self.assertEqual((answer.code, answer.document), (200, None))
        self.assert_ping(phone.receive(connection), "2", [phone.inbox])
        items = phone.sync(options=phone.options(body=[("4",)], mime_support="2")).added
        self.assertEqual([d.get("Email:Subject") for d in items.values()], ["large"])
        sender.close()
