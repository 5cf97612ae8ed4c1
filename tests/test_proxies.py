"""
Behind real reverse proxies, with the examples of docs/PROXIES.md as they stand there (lib/proxies.py): a Ping held for longer than a
proxy's usual time-out, the client's address, large mail, renewal on one connection. Here nginx and HAProxy.
"""

from eas.client import basic
from eas.query import PATH
from lib.case import ServerCase
from lib.proxies import Behind, Haproxy, Nginx


class BehindNginx(Behind, ServerCase):
    proxy = Nginx


class BehindHaproxy(Behind, ServerCase):
    proxy = Haproxy
    settings = {"http.proxy_protocol": "required"}

    def test_version_1(self):
        proxy = self.behind((r"send-proxy-v2", "send-proxy"))
        mark = self.server.log_mark()
        with proxy.connect(source="127.0.0.78") as connection:
            connection.request("OPTIONS", PATH, {"Authorization": basic("nobody", "x")})
            self.assertEqual(connection.response().status, 401)
        self.server.wait_log(r"login_failed .*address=127\.0\.0\.78 ", mark)

    def test_not_without_it(self):
        """A connection that does not say whom it is from is closed."""
        with self.server.connect() as connection:
            connection.request("GET", "/healthz")
            self.assertRaises(Exception, connection.response)
