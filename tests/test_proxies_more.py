"""As test_proxies, for Caddy and Apache."""

from lib.case import ServerCase
from lib.proxies import Apache, Behind, Caddy


class BehindCaddy(Behind, ServerCase):
    proxy = Caddy


class BehindApache(Behind, ServerCase):
    proxy = Apache
