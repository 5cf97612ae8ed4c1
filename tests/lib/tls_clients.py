"""TLS clients of other people's libraries as one kind of object, and a tap that sees what goes over their wires."""

import os
import re
import select
import selectors
import shutil
import socket
import ssl
import subprocess
import threading

SECONDS = 60  # for one answer
SOURCES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tls-clients")
HEAD = re.compile(rb"HTTP/1\.1 (\d+) .*?\r\n\r\n", re.DOTALL)
CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
ALERT_13 = (2 + 1 + 16,)  # lengths of such records: content, its type, tag
KEY_UPDATE_13 = (5 + 1 + 16, 5 + 1 + 16 + 16)  # Java pads


def program(name):
    path = shutil.which(name)
    assert path, f"{name} is not installed (tools/packages)"
    return path


def compiled(folder, source, *flags):
    """A program of C, built; its path."""
    path = os.path.join(folder, os.path.basename(source).removesuffix(".c"))
    subprocess.run([program("cc"), "-o", path, source, *flags], check=True)
    return path


# ---- the wire ----

class Wire:
    """What one connection has shown of itself: (type, length) of each record in either direction."""

    def __init__(self):
        self.records = {"client": [], "server": []}
        self.left = {"client": b"", "server": b""}
        self.suite = None  # what ServerHello chose
        self.random = None  # and said
        self.reset = False  # the server cut it off
        self.ended = {"client": False, "server": False}
        self.changed = threading.Condition()

    def wait(self, check, what):
        with self.changed:
            if not self.changed.wait_for(check, SECONDS):
                raise AssertionError(f"never seen on the wire: {what}; last: {[r[-3:] for r in self.records.values()]}")

    def carried(self, side):
        """Bytes of data records, all told."""
        return sum(length for kind, length in self.records[side] if kind == DATA)

    def follow(self, side, octets):
        octets = self.left[side] + octets
        at = 0
        while len(octets) - at >= 5:
            length = int.from_bytes(octets[at + 3:at + 5])
            if len(octets) - at < 5 + length:
                break
            if side == "server" and self.suite is None and octets[at] == HANDSHAKE:
                after = at + 5 + 4 + 2 + 32  # headers, version, random
                self.random = octets[after - 32:after]
                after += 1 + octets[after]  # session id
                self.suite = int.from_bytes(octets[after:after + 2])
            self.records[side].append((octets[at], length))
            at += 5 + length
        self.left[side] = octets[at:]

    def is_13(self):
        return self.suite >> 8 == 0x13

    def key_updates(self, side):
        return sum(self.is_13() and length in KEY_UPDATE_13 for _, length in self.records[side])

    def said_goodbye(self, side):
        """Its last record is an alert, and nothing of another one came after it."""
        kind, length = self.records[side][-1]
        return not self.left[side] and (length in ALERT_13 if self.is_13() else kind == ALERT)


class Tap:
    """Stands between clients and a port of the server; each wire has a port of its own. One thread."""

    def __init__(self, port):
        self.port = port
        self.selector = selectors.DefaultSelector()
        self.listeners, self.ours = [], set()
        self.wake, self.woken = socket.socketpair()
        self.selector.register(self.woken, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self.run, daemon=True)

    def wire(self):
        """A port for one client, and what will be seen there."""
        listener = socket.create_server(("127.0.0.1", 0))
        wire = Wire()
        self.listeners.append(listener)
        self.selector.register(listener, selectors.EVENT_READ, lambda: self.accept(listener, wire))
        return listener.getsockname()[1], wire

    def start(self):
        self.thread.start()
        return self

    def accept(self, listener, wire):
        near = listener.accept()[0]
        far = socket.create_connection(("127.0.0.1", self.port))
        for source, target, side in ((near, far, "client"), (far, near, "server")):
            self.ours.add(source)
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.selector.register(source, selectors.EVENT_READ, lambda s=source, t=target, d=side: self.move(s, t, d, wire))

    def move(self, source, target, side, wire):
        try:
            octets = source.recv(65536)
        except ConnectionError:
            wire.reset |= side == "server"
            octets = b""
        with wire.changed:
            wire.follow(side, octets)
            wire.changed.notify_all()
        try:
            if octets:
                target.sendall(octets)
            else:
                target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # that one has gone; its own end says how
        if not octets:
            self.selector.unregister(source)
            with wire.changed:
                wire.ended[side] = True
                wire.changed.notify_all()

    def run(self):
        while True:
            for key, _ in self.selector.select():
                if key.data is None:
                    return
                key.data()

    def close(self):
        self.wake.close()
        if self.thread.is_alive():
            self.thread.join()
        for one in (*self.listeners, *self.ours, self.woken):
            one.close()
        self.selector.close()


# ---- the clients ----

class Client:
    """Bytes go in by send(); answer() takes one HTTP answer from what the client shows."""

    updates = False  # update() gives both sides new keys
    waits = True  # for our requests; else it sends them by itself, as it was told at its start

    def __init__(self):
        self.text = b""

    def answer(self):
        """(status code, body)"""
        while True:
            found = HEAD.search(self.text)
            if found:
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", found.group(0))
                end = found.end() + (int(length.group(1)) if length else 0)
                if len(self.text) >= end:
                    body, self.text = self.text[found.end():end], self.text[end:]
                    return int(found.group(1)), body
            self.more()

    def expect(self, pattern):
        while True:
            found = re.search(pattern, self.text)
            if found:
                self.text = self.text[found.end():]
                return
            self.more()

    def more(self):
        octets = self.read()
        if not octets:
            raise AssertionError(f"the client has ended; it said {self.text[-400:]!r}")
        self.text += octets

    def update(self, number):
        raise NotImplementedError


class Program(Client):
    """A client as a program, with standard input and output."""

    def __init__(self, *argv, updates=False, env=None):
        super().__init__()
        self.updates = updates
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        bufsize=0, env=dict(os.environ, **(env or {})))

    def read(self):
        pipe = self.process.stdout
        if not select.select([pipe], [], [], SECONDS)[0]:
            raise AssertionError(f"nothing came; what was said before: {self.text[-400:]!r}")
        return pipe.read(65536)

    def send(self, octets):
        self.process.stdin.write(octets)

    def end(self):
        """Its input ends; then it takes its leave of the server, and is gone."""
        self.process.stdin.close()
        while octets := self.read():
            self.text += octets
        if self.process.wait(SECONDS) != 0:
            raise AssertionError(f"exit status {self.process.returncode}: {self.text[-400:]!r}")

    def close(self):
        self.process.stdin.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Ordered(Program):
    """One of ours: see tls-clients/orders.h."""

    def send(self, octets):
        super().send(len(octets).to_bytes(4) + octets)

    def update(self, number):
        super().send(bytes(4))

    def end(self):
        super().end()
        if not self.text.endswith(b"closed\n"):
            raise AssertionError(f"the server did not take leave: {self.text[-400:]!r}")


class OpenSSL(Program):
    """s_client: K asks the server for new keys, too; k has its own only."""

    def __init__(self, port, *options, updates=False):
        super().__init__(program("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", *options, updates=updates)

    def update(self, number):
        self.send(b"k\n" if number % 20 == 5 else b"K\n")


class GnuTLS(Program):
    def __init__(self, port, priority):
        super().__init__(program("gnutls-cli"), "--no-ca-verification", "--port", str(port), "--priority", priority, "localhost")
        self.expect(rb"Simple Client Mode:\s*")


class Curl(Program):
    """Has all its requests from its command line: (method, body, times, more options)."""

    waits = False

    def __init__(self, port, options, requests):
        argv = [program("curl")]
        for number, (method, target, headers, body, times) in enumerate(requests):
            argv += ["--next"] if number else []
            argv += ["-skiN", "--max-time", str(SECONDS), *options, "-X", method]
            for line in headers:
                argv += ["-H", line]
            argv += ["--data-binary", f"@{body}"] if body else []
            argv += [f"https://127.0.0.1:{port}{target}"] * times
        super().__init__(*argv)

    def send(self, octets):
        pass


class Python(Client):
    """Python's ssl module, in this process."""

    def __init__(self, port, context):
        super().__init__()
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=SECONDS))

    def send(self, octets):
        self.socket.sendall(octets)

    def read(self):
        return self.socket.recv(65536)

    def end(self):
        self.socket.unwrap().close()  # our close_notify for theirs

    def close(self):
        self.socket.close()
