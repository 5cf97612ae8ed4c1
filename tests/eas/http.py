"""
HTTP/1.1 over a socket, kept in the open so that tests can send what a well-behaved library never would, and can leave an answer for later.
Every read has a time-out; a time-out raises TimeoutError.
"""

import gzip
import select
import socket
import ssl


class Closed(Exception):
    """The server closed the connection where an answer was due."""


class Response:
    def __init__(self, status, reason, headers, body, raw_body):
        self.status = status
        self.reason = reason
        self.headers = headers  # list of (name, value)
        self.body = body  # without transfer and content coding
        self.raw_body = raw_body  # without transfer coding only

    def header(self, name, default=None):
        values = [v for n, v in self.headers if n.lower() == name.lower()]
        return values[0] if values else default

    def header_all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def __repr__(self):
        return f"<{self.status} {self.reason} {self.headers} {len(self.body)} bytes>"


def tls_client_context(version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version is not None:
        context.minimum_version = version
        context.maximum_version = version
    return context


class Connection:
    """One TCP connection, with or without TLS."""

    def __init__(self, port, tls=False, context=None, timeout=20, host="127.0.0.1", source=None):
        self.timeout = timeout
        self.host = host
        self.socket = socket.create_connection((host, port), timeout=timeout, source_address=source and (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls or context:
            self.socket = (context or tls_client_context()).wrap_socket(
                self.socket, server_hostname="localhost")
        self.pending = b""

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, octets):
        self.socket.sendall(octets)

    def request(self, method, target, headers=(), body=b"", content_length=True):
        """Sends a whole request. Header values may be str or bytes; None leaves a header out."""
        fields = {"Host": "localhost"}
        fields.update(dict(headers))
        if content_length and (body or method == "POST") and "Content-Length" not in fields:
            fields["Content-Length"] = str(len(body))
        out = f"{method} {target} HTTP/1.1\r\n".encode()
        for name, value in fields.items():
            if value is not None:
                value = value if isinstance(value, bytes) else str(value).encode()
                out += name.encode() + b": " + value + b"\r\n"
        self.send(out + b"\r\n" + body)

    def is_silent(self, seconds=0.2):
        """True when nothing arrives within the time and the connection stays open: what a parked phone sees."""
        if self.pending:
            return False
        if isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
            return False
        readable, _, _ = select.select([self.socket], [], [], seconds)
        if not readable:
            return True
        if isinstance(self.socket, ssl.SSLSocket):  # session tickets are not data
            self.socket.settimeout(seconds)
            try:
                self.pending += self.socket.recv(65536)
            except TimeoutError:
                return True
            return False
        return False

    def _fill(self):
        octets = self.socket.recv(65536)
        if not octets:
            raise Closed("closed by the server")
        self.pending += octets

    def _line(self):
        while b"\r\n" not in self.pending:
            self._fill()
        line, self.pending = self.pending.split(b"\r\n", 1)
        return line

    def _exactly(self, count):
        octets, self.pending = bytearray(self.pending[:count]), self.pending[count:]
        try:
            while len(octets) < count:
                piece = self.socket.recv(min(count - len(octets), 1 << 20))
                if not piece:
                    raise Closed("closed by the server")
                octets += piece
        except TimeoutError:
            self.pending = bytes(octets)
            raise
        return bytes(octets)

    def response(self, timeout=None, method="POST"):
        """Reads one answer (100 Continue counts as one)."""
        self.socket.settimeout(timeout if timeout is not None else self.timeout)
        status_line = self._line().decode("latin-1")
        protocol, status, *reason = status_line.split(" ", 2)
        if not protocol.startswith("HTTP/1."):
            raise AssertionError(f"not a status line: {status_line!r}")
        headers = []
        while True:
            line = self._line().decode("latin-1")
            if not line:
                break
            name, value = line.split(":", 1)
            headers.append((name, value.strip()))
        response = Response(int(status), "".join(reason), headers, b"", b"")
        if 100 <= response.status < 200:
            return response
        response.raw_body = self._body(response)
        response.body = response.raw_body
        if response.header("Content-Encoding") == "gzip":
            response.body = gzip.decompress(response.raw_body)
        return response

    def _body(self, response):
        if "chunked" in (response.header("Transfer-Encoding") or "").lower():
            out = b""
            while True:
                size = int(self._line().split(b";")[0], 16)
                if size == 0:
                    while self._line():
                        pass
                    return out
                out += self._exactly(size)
                self._line()
        length = response.header("Content-Length")
        if length is None:
            raise AssertionError(f"an answer without length: {response}")
        return self._exactly(int(length))

    def is_closed(self, timeout=5):
        """Waits for the end of the connection; False when data comes or nothing happens."""
        self.socket.settimeout(timeout)
        try:
            return self.socket.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True


def chunked(body, sizes=(7,)):
    """The body in chunked transfer coding, chunk sizes taken in turn from `sizes`."""
    out, at, turn = b"", 0, 0
    while at < len(body):
        piece = body[at : at + sizes[turn % len(sizes)]]
        out += b"%x\r\n" % len(piece) + piece + b"\r\n"
        at += len(piece)
        turn += 1
    return out + b"0\r\n\r\n"
