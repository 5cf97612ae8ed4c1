"""
An SMTP server that takes mail and keeps it, and misbehaves when it is told to: the relay of a test. Plain, STARTTLS or TLS, with or without
AUTH. Everything waits for events; `wait()` gives the messages once there are enough.
"""

import base64
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading


class Authority:
    """A certificate authority of its own, and a certificate for localhost by it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="bellhop-ca-")
        self.ca = self.path("ca.pem")
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.path("ca.key"), "-out",
                     self.ca, "-days", "2", "-subj", "/CN=Test Authority")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.path("key.pem"), "-out",
                     self.path("cert.csr"), "-subj", "/CN=localhost")
        with open(self.path("ext"), "w", encoding="ascii") as file:
            file.write("subjectAltName=DNS:localhost\n")
        self.openssl("x509", "-req", "-in", self.path("cert.csr"), "-CA", self.ca, "-CAkey", self.path("ca.key"), "-CAcreateserial", "-days",
                     "2", "-extfile", self.path("ext"), "-out", self.path("cert.pem"))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.path("cert.pem"), self.path("key.pem"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Message:
    def __init__(self, sender, recipients, octets, tls, user, parameters):
        self.sender = sender
        self.recipients = recipients
        self.octets = octets
        self.tls = tls
        self.user = user
        self.parameters = parameters  # of MAIL


class Sink:
    """
    mode: none, starttls or tls. users: {name: password}; None: no AUTH. Answers of the moment:

        sink.rcpt["bob@x"] = "550 5.1.1 no"     for this recipient, until it is taken out
        sink.mail = sink.data = sink.final = "451 later"
        sink.cut = "data"                        drops the connection in the middle of the message ("final": before the answer)
        sink.gate = threading.Event()            the answer to a message waits for it; `sink.at_gate` says that one does
    """

    def __init__(self, mode="none", context=None, users=None, greeting="220 sink ESMTP"):
        self.mode, self.context, self.users, self.greeting = mode, context, users, greeting
        self.rcpt, self.mail, self.data, self.final, self.cut, self.gate = {}, None, None, None, None, None
        self.at_gate = threading.Event()
        self.messages = []
        self.attempts = []  # of MAIL, whatever came of them
        self.helos = []
        self.changed = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = set()
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            Session(self, connection).run()
        except (OSError, ssl.SSLError, EOFError):
            pass
        finally:
            self.open.discard(connection)
            connection.close()

    def add(self, message):
        with self.changed:
            self.messages.append(message)
            self.changed.notify_all()

    def add_attempt(self, sender):
        with self.changed:
            self.attempts.append(sender)
            self.changed.notify_all()

    def wait(self, count=1, timeout=20):
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.messages) >= count, timeout):
                raise AssertionError(f"{len(self.messages)} of {count} messages came")
            return list(self.messages)

    def wait_attempts(self, count=1, timeout=20):
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.attempts) >= count, timeout):
                raise AssertionError(f"{len(self.attempts)} of {count} attempts came")

    def stop_listening(self):
        """Connections are refused from now on."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def listen_again(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def close(self):
        self.stop_listening()
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Session:
    def __init__(self, sink, connection):
        self.sink, self.connection = sink, connection
        self.tls = False
        self.user = None
        if sink.mode == "tls":
            self.start_tls()
        self.file = self.connection.makefile("rb")

    def start_tls(self):
        self.connection = self.sink.context.wrap_socket(self.connection, server_side=True)
        self.tls = True

    def say(self, text):
        self.connection.sendall(text.encode() + b"\r\n")

    def line(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError
        return line[:-2]

    def run(self):
        self.say(self.sink.greeting)
        self.reset()
        while True:
            verb, _, rest = self.line().decode("utf-8", "surrogateescape").partition(" ")
            if verb.upper() == "QUIT":
                self.say("221 bye")
                return
            getattr(self, "do_" + verb.lower(), self.unknown)(rest)

    def unknown(self, _):
        self.say("502 5.5.1 no such command")

    def reset(self):
        self.sender, self.recipients, self.parameters = None, [], ""

    def do_ehlo(self, name):
        self.sink.helos.append(name)
        words = ["sink", "SIZE 60000000", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8"]
        if self.sink.mode == "starttls" and not self.tls:
            words.append("STARTTLS")
        elif self.sink.users is not None:
            words.append("AUTH PLAIN LOGIN")
        for word in words[:-1]:
            self.say("250-" + word)
        self.say("250 " + words[-1])

    def do_starttls(self, _):
        self.say("220 go")
        self.start_tls()
        self.file = self.connection.makefile("rb")

    def do_auth(self, rest):
        kind, _, first = rest.partition(" ")
        if kind.upper() != "PLAIN":
            self.say("504 5.5.4 no")
            return
        if not first:
            self.say("334 ")
            first = self.line().decode()
        _, user, password = base64.b64decode(first).decode().split("\0")
        if self.sink.users.get(user) != password:
            self.say("535 5.7.8 wrong credentials")
            return
        self.user = user
        self.say("235 2.7.0 welcome")

    def do_mail(self, rest):
        address, _, parameters = rest.partition(">")
        sender = address.partition("<")[2]
        self.sink.add_attempt(sender)
        if self.sink.users is not None and self.user is None:
            self.say("530 5.7.0 log in first")
        elif self.sink.mail:
            self.say(self.sink.mail)
        else:
            self.sender, self.parameters = sender, parameters.strip()
            self.say("250 2.1.0 ok")

    def do_rcpt(self, rest):
        address = rest.partition("<")[2].partition(">")[0]
        answer = self.sink.rcpt.get(address, "250 2.1.5 ok")
        if answer.startswith("250"):
            self.recipients.append(address)
        self.say(answer)

    def do_rset(self, _):
        self.reset()
        self.say("250 ok")

    def do_data(self, _):
        if self.sink.data or not self.recipients:
            self.say(self.sink.data or "503 5.5.1 nobody")
            return
        self.say("354 go on")
        lines = []
        while True:
            if self.sink.cut == "data" and len(lines) > 2:
                raise EOFError
            line = self.line()
            if line == b".":
                break
            lines.append(line[1:] if line.startswith(b".") else line)
        if self.sink.cut == "final":
            raise EOFError
        if self.sink.gate:
            self.sink.at_gate.set()
            self.sink.gate.wait(30)
        answer = self.sink.final or "250 2.0.0 taken"
        if answer.startswith("250"):
            self.sink.add(Message(self.sender, self.recipients, b"\r\n".join(lines) + b"\r\n", self.tls, self.user, self.parameters))
        self.reset()
        self.say(answer)
