"""
One bellhopd of its own for a test: temp folder, configuration, free loopback ports, started and stopped by pid.

Everything waits for events: readiness is sd_notify's READY=1, a process's end is its pidfd, what it says is read from a pipe.
"""

import itertools
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from eas.client import Device
from eas.http import Connection
from lib.lmtp import Lmtp

BUILD = os.environ.get("BELLHOP_BUILD", "build")
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"

# What every test's server is started with; a test class names what it wants otherwise.
DEFAULTS = {
    "server.fronts": "2",
    "server.workers": "8",
    "server.log_level": "info",
    "auth.default_domain": "example.org",
    "wipe.device": "yes",
}


class ServerError(AssertionError):
    pass


def program(name):
    """The program from the build folder, wherever meson put it."""
    for folder in ("src/daemon", "src/ctl", "src/phone", "src/fleet", "src", "bin", "."):
        path = os.path.join(BUILD, folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise ServerError(f"there is no program {name} in {BUILD}")


# Below those that the kernel gives to outgoing connections, so that none of these takes a port before its server does.
PORTS = range(10000, 32000)


def free_port():
    while True:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", random.choice(PORTS)))
            except OSError:
                continue
            return probe.getsockname()[1]


def wait_exit(pid, timeout):
    """True when the process ended in time. Works for processes which are not our children."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], timeout)[0])
    finally:
        os.close(handle)


def eventually(check, timeout=15, what="condition"):
    """Asks again and again (each question is a round trip to the server) until the answer is true; returns it."""
    deadline = time.monotonic() + timeout
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise ServerError(f"{what}: not within {timeout} s; last answer {answer!r}")


def fast_clock(rate=1, wall=None, role=""):
    """
    The environment of processes whose clocks run so many times as fast, and show `wall` (a datetime) at first. Unlike those of faketime
    they are one for all processes, or for those of the role ("front") alone.
    """
    at = time.time_ns() if wall is None else int(wall.timestamp()) * 1000000000
    return {"LD_PRELOAD": os.path.abspath(os.path.join(BUILD, "tests", "clock", "fastclock.so")),
            "FAST_CLOCK": f"{rate} {time.monotonic_ns()} {at} {role}"}


class User:
    def __init__(self, server, login, domain, password):
        self.server = server
        self.login = login
        self.domain = domain
        self.password = password

    @property
    def address(self):
        return f"{self.login}@{self.domain}"

    def device(self, version="14.1", form="plain", **kwargs):
        return Device(self.server, kwargs.pop("user", self.address), kwargs.pop("password", self.password), version,
                      form, **kwargs)


class Server:
    def __init__(self, settings=None, folder=None, https=False, clean_listen=True, clock=None):
        """clock: what fast_clock() is given when the server starts."""
        self.clock = clock
        self.folder = folder or tempfile.mkdtemp(prefix="bellhop-test-")
        self.owns_folder = folder is None
        self.data = os.path.join(self.folder, "data")
        self.runtime = os.path.join(self.folder, "run")
        os.makedirs(self.data, exist_ok=True)
        os.makedirs(self.runtime, exist_ok=True)
        self.config = os.path.join(self.folder, "bellhop.conf")
        self.http_port = free_port()
        self.https_port = free_port() if https else None
        self.lmtp_port = free_port()
        self.lmtp_path = os.path.join(self.runtime, "lmtp.sock")
        self.settings = dict(DEFAULTS)
        self.settings.update({
            "server.data_dir": self.data,
            "server.runtime_dir": self.runtime,
            "listen.http": f"127.0.0.1:{self.http_port}",
            "listen.https": f"127.0.0.1:{self.https_port}" if https else "",
            "listen.lmtp": f"127.0.0.1:{self.lmtp_port} unix:lmtp.sock",
        })
        self.settings.update(settings or {})
        self.process = None
        self.lines = []
        self.changed = threading.Condition()
        self.notify_path = os.path.join(self.folder, "notify.sock")
        self.users = itertools.count(1)
        self.write_config()

    # Life.

    def write_config(self, **changes):
        """Writes the configuration file; changes: section_name="value" (the first _ ends the section)."""
        for name, value in changes.items():
            self.settings[name.replace("_", ".", 1)] = str(value)
        sections = {}
        for name, value in self.settings.items():
            section, key = name.split(".", 1)
            sections.setdefault(section, []).append(f"{key} = {value}")
        with open(self.config, "w", encoding="utf-8") as file:
            for section, lines in sections.items():
                file.write(f"[{section}]\n" + "\n".join(lines) + "\n\n")

    def start(self, timeout=30, **popen):
        environment = dict(os.environ, NOTIFY_SOCKET=self.notify_path)
        if self.clock:
            environment.update(fast_clock(**self.clock))
        environment.update(popen.pop("env", {}))
        if os.path.exists(self.notify_path):
            os.unlink(self.notify_path)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(self.notify_path)
        self.process = subprocess.Popen(
            [popen.pop("executable", None) or program("bellhopd"), "-c", self.config], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, env=environment, **popen)
        self.reader = threading.Thread(target=self._read_log, args=(self.process.stderr,), daemon=True)
        self.reader.start()
        self.wait_notify("READY=1", timeout)
        return self

    def wait_notify(self, word, timeout=30):
        """Waits for this state on NOTIFY_SOCKET, or for the end of the process."""
        handle = os.pidfd_open(self.process.pid)
        deadline = time.monotonic() + timeout
        seen = []
        try:
            while True:
                left = deadline - time.monotonic()
                ready, _, _ = select.select([self.notify, handle], [], [], max(left, 0))
                if self.notify in ready:
                    states = self.notify.recv(4096).decode().split("\n")
                    seen += states
                    if word in states:
                        return
                elif handle in ready:
                    self.reader.join(5)
                    process, self.process = self.process, None
                    self.notify.close()
                    raise ServerError(f"bellhopd ended with {process.wait()}:\n{self.log_text()}")
                else:
                    raise ServerError(f"no {word} within {timeout} s, only {seen}:\n{self.log_text()}")
        finally:
            os.close(handle)

    def _read_log(self, pipe):
        for line in pipe:
            with self.changed:
                self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self.changed.notify_all()
        pipe.close()

    def log_text(self):
        with self.changed:
            return "\n".join(self.lines[-200:])

    def log_mark(self):
        with self.changed:
            return len(self.lines)

    def wait_log(self, pattern, since=0, timeout=15):
        """The first log line after `since` (see log_mark) that matches."""
        deadline = time.monotonic() + timeout
        at = since
        with self.changed:
            while True:
                for line in self.lines[at:]:
                    if re.search(pattern, line):
                        return line
                at = len(self.lines)
                left = deadline - time.monotonic()
                if left <= 0:
                    raise ServerError(f"no log line {pattern!r} within {timeout} s:\n" + "\n".join(self.lines[-60:]))
                self.changed.wait(left)

    def stop(self, timeout=30):
        """An orderly stop; a server which does not end in time, or ends with an error, fails the test."""
        if self.process is None:
            return
        process, self.process = self.process, None
        pids = [process.pid] + descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        late = False
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            late = True
        for pid in pids:
            if not wait_exit(pid, 5 if not late else 0):
                late = True
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        process.wait(5)
        self.reader.join(5)
        self.notify.close()
        if late:
            raise ServerError(f"bellhopd did not stop within {timeout} s of SIGTERM:\n{self.log_text()}")
        if process.returncode != 0:
            raise ServerError(f"bellhopd stopped with {process.returncode}:\n{self.log_text()}")

    def close(self):
        """Stops and removes the folder."""
        try:
            self.stop()
        finally:
            if self.owns_folder:
                shutil.rmtree(self.folder, ignore_errors=True)

    # The administrator.

    def bellhop(self, *arguments, check=True, input=None, timeout=30):
        done = subprocess.run(
            [program("bellhop"), "-c", self.config, *arguments], capture_output=True, text=True, input=input,
            timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise ServerError(f"bellhop {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def status(self):
        return json.loads(self.bellhop("status", "--json").stdout)

    def stats(self):
        return json.loads(self.bellhop("stats", "--json").stdout)

    def add_domain(self, domain):
        self.bellhop("domain", "add", domain)

    def add_user(self, login=None, domain="example.org", password=None):
        login = login or f"user{next(self.users)}"
        password = password or f"secret of {login}"
        self.bellhop("user", "add", f"{login}@{domain}", "--password-file", self.password_file(password))
        return User(self, login, domain, password)

    def password_file(self, password):
        path = os.path.join(self.folder, f"password{next(self.users)}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(password + "\n")
        return path

    # Traffic.

    def connect(self, tls=False, context=None, **kwargs):
        return Connection(self.https_port if tls or context else self.http_port, tls, context, **kwargs)

    def lmtp(self, **kwargs):
        return Lmtp(self.lmtp_port, **kwargs)

    def deliver(self, recipient, message):
        """Delivers to a user (or address) by LMTP and demands 250."""
        recipient = recipient.address if isinstance(recipient, User) else recipient
        with self.lmtp() as lmtp:
            answer = lmtp.deliver(recipient, message)[0]
        if not answer.startswith("250"):
            raise ServerError(f"delivery to {recipient}: {answer}")

    # Processes.

    def pids(self):
        return [self.process.pid] + descendants(self.process.pid)

    def engine_pid(self):
        for pid in descendants(self.process.pid):
            if process_role(pid) == "engine":
                return pid
        return None

    def front_pids(self):
        return [pid for pid in descendants(self.process.pid) if process_role(pid) == "front"]

    def kill_engine(self):
        """kill -9, and waits for the end of that process; returns its pid."""
        pid = self.engine_pid()
        if pid is None:
            raise ServerError("no engine is running")
        os.kill(pid, signal.SIGKILL)
        if not wait_exit(pid, 10):
            raise ServerError("the engine survives SIGKILL")
        return pid

    def memory(self):
        """Proportional resident bytes of all processes, swap included."""
        total = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                    for line in file:
                        if line.startswith(("Pss:", "SwapPss:")):
                            total += int(line.split()[1]) * 1024
            except (FileNotFoundError, ProcessLookupError):
                pass
        return total


def descendants(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                for child in file.read().split():
                    found.append(int(child))
                    found += descendants(int(child))
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def process_role(pid):
    """"engine" or "front", by the title that the process gave itself."""
    text = ""
    for name in ("cmdline", "comm"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                text += file.read().replace(b"\0", b" ").decode("utf-8", "replace")
        except (FileNotFoundError, ProcessLookupError):
            pass
    for role in ("engine", "front"):
        if role in text:
            return role
    return None
