"""A reverse proxy, as far as phones on a path with an idle time-out need one: it passes bytes on, and ends what was silent for so long."""

import select
import socket
import threading
import time

from eas.http import Connection

FORWARDED = b"X-Forwarded-For: 192.0.2.7\r\n"


class IdleProxy:
    """
    `header` goes into each request's head; `first` goes before the connection's first byte. A silence of `idle_s` ends both of its
    connections. Has what a Device wants of a server.
    """

    def __init__(self, server, idle_s, header=FORWARDED, first=b""):
        self.server, self.idle_s, self.header, self.first = server, idle_s, header, first
        self.cuts = 0
        self.changed = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def connect(self, **kwargs):
        return Connection(self.port)

    def accept(self):
        while True:
            try:
                phone, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(phone,), daemon=True).start()

    def serve(self, phone):
        with phone, socket.create_connection(("127.0.0.1", self.server.http_port)) as server:
            for one in (phone, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.sendall(self.first)
            while self.pass_on(phone, server):
                pass

    def pass_on(self, phone, server):
        ready, _, _ = select.select([phone, server], [], [], self.idle_s)
        for one in ready:
            try:
                octets = one.recv(65536)
            except OSError:
                return False
            if not octets:
                return False
            if one is phone and octets.startswith(b"POST "):
                line, _, rest = octets.partition(b"\r\n")
                octets = line + b"\r\n" + self.header + rest
            (server if one is phone else phone).sendall(octets)
        if not ready:
            with self.changed:
                self.cuts += 1
                self.changed.notify_all()
        return bool(ready)

    def wait_cuts(self, count, timeout=20):
        deadline = time.monotonic() + timeout
        with self.changed:
            while self.cuts < count:
                if not self.changed.wait(max(deadline - time.monotonic(), 0)):
                    raise AssertionError(f"{self.cuts} of {count} connections were cut")

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # which ends accept()
        self.thread.join(5)
        self.listener.close()
