"""A small LMTP client (RFC 2033): keeps every answer line, so that tests can look at each recipient's."""

import socket


class LmtpError(Exception):
    pass


class Lmtp:
    """where: a port on 127.0.0.1 or the path of a Unix socket."""

    def __init__(self, where, timeout=20, greet=True):
        if isinstance(where, int):
            self.socket = socket.create_connection(("127.0.0.1", where), timeout=timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(where)
        self.pending = b""
        self.extensions = []
        if greet:
            self.expect("220")
            self.extensions = [line[4:] for line in self.command("LHLO client.example", "250")]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, octets):
        self.socket.sendall(octets)

    def line(self):
        while b"\n" not in self.pending:
            octets = self.socket.recv(65536)
            if not octets:
                raise LmtpError(f"closed, {self.pending!r} pending")
            self.pending += octets
        line, self.pending = self.pending.split(b"\n", 1)
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def answer(self):
        """The lines of one answer."""
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return lines

    def expect(self, code):
        lines = self.answer()
        if not lines[-1].startswith(code):
            raise LmtpError(f"{code} expected: {lines}")
        return lines

    def command(self, text, code=None):
        self.send(text.encode("utf-8") + b"\r\n" if isinstance(text, str) else text + b"\r\n")
        return self.expect(code) if code else self.answer()

    def deliver(self, recipients, message, sender="anna@example.net", options=""):
        """The answers after DATA, one for each accepted recipient; refused ones raise."""
        recipients = [recipients] if isinstance(recipients, str) else recipients
        self.command(f"MAIL FROM:<{sender}>{options}", "250")
        for recipient in recipients:
            self.command(f"RCPT TO:<{recipient}>", "250")
        self.command("DATA", "354")
        return self.data(message, len(recipients))

    def data(self, message, recipients=1):
        self.send(dot_stuffed(message))
        return [self.answer()[-1] for _ in range(recipients)]


def dot_stuffed(message):
    if not message.endswith(b"\r\n"):
        message += b"\r\n"
    if message.startswith(b"."):
        message = b"." + message
    return message.replace(b"\r\n.", b"\r\n..") + b".\r\n"
