"""The processes: configuration errors, reload, systemd's socket activation and notification, privileges, the command line."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

from eas import query
from eas.client import basic
from eas.http import Connection
from lib import mail
from lib.case import ServerCase
from lib.lmtp import Lmtp
from lib.server import BUILD, Server, ServerError, descendants, eventually, free_port, program, wait_exit


def check(text, *verb):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bellhop.conf")
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        return subprocess.run([program("bellhop"), "-c", path, *(verb or ("config", "check"))], capture_output=True,
                              text=True, check=False, timeout=20)


class Configuration(unittest.TestCase):
    """bellhop config check and dump, without a server."""

    def test_errors_name_file_line_and_range(self):
        for text, line, *expected in (
                ("[push]\nheartbeat_min_s = 0\n", 2, "heartbeat_min_s", "1", "3540"),
                ("[push]\n\n# c\nheartbeat_min_s = 9999\n", 4, "heartbeat_min_s", "1 to 3540"),
                ("[push]\nheartbeat_min_s = abc\n", 2, "heartbeat_min_s"),
                ("[push]\nheartbeat_min_s = -1\n", 2, "1 to 3540"),
                ("[push]\nheartbeat_min_s = 18446744073709551617\n", 2, "1 to 3540"),
                ("[push]\nnonsense = 1\n", 2, "nonsense"),
                ("[nonsense]\nx = 1\n", 1, "nonsense"),
                ("heartbeat_min_s = 60\n", 1, "section"),
                ("[push]\nheartbeat_min_s\n", 2),
                ("[push\nheartbeat_min_s = 60\n", 1),
                ("[server]\nlog_level = loud\n", 2, "error", "warn", "info", "debug"),
                ("[policy]\nrequired = perhaps\n", 2, "yes", "no"),
                ("[listen]\nhttp = nonsense\n", 2, "http"),
                ("[push]\nheartbeat_min_s = 60\nheartbeat_min_s = 61\n", 3, "heartbeat_min_s")):
            with self.subTest(text):
                done = check(text)
                self.assertNotEqual(done.returncode, 0)
                output = done.stdout + done.stderr
                self.assertRegex(output, rf"bellhop\.conf:{line}: ")
                for word in expected:
                    self.assertIn(word, output)

    def test_all_errors_at_once(self):
        done = check("[push]\nheartbeat_min_s = 0\nheartbeat_max_s = 0\nnonsense = 1\n")
        for line in (2, 3, 4):
            self.assertIn(f"bellhop.conf:{line}: ", done.stdout + done.stderr)

    def test_missing_file(self):
        done = subprocess.run([program("bellhop"), "-c", "/nonexistent/bellhop.conf", "config", "check"],
                              capture_output=True, text=True, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/nonexistent/bellhop.conf", done.stdout + done.stderr)

    def test_good(self):
        for text in ("", "# only a comment\n", "[push]\nheartbeat_min_s = 60 # seconds\n\n[server]\r\nhostname = x.example\r\n",
                     "[policy]\nrequired = no\n"):
            done = check(text)
            self.assertEqual(done.returncode, 0, (text, done))

    def test_dump_is_a_configuration(self):
        """Every setting with its text; the dump of the dump is the same."""
        first = check("[push]\nheartbeat_min_s = 77\n", "config", "dump")
        self.assertEqual(first.returncode, 0)
        self.assertIn("heartbeat_min_s = 77", first.stdout)
        names = re.findall(r"SETTING_\w+\(\w+, (\w+),", read(os.path.join(
            os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src", "conf", "settings.def")))
        self.assertGreater(len(names), 40)
        for name in names:
            self.assertRegex(first.stdout, rf"(?m)^#?\s*{name} =")
        again = check(first.stdout, "config", "dump")
        self.assertEqual(again.stdout, first.stdout)

    def test_certificate(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("c.pem", "k.pem"):
                with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                    file.write("junk\n")
            done = check(f"[tls]\ncertificate = {folder}/c.pem\nkey = {folder}/k.pem\n")
            self.assertEqual(done.returncode, 4, done)
            self.assertIn(f"{folder}/c.pem", done.stderr)

    def test_server_refuses_a_bad_file(self):
        server = Server(settings={"push.heartbeat_min_s": "0"})
        try:
            with self.assertRaisesRegex(ServerError, r"(?s)bellhopd ended with [1-9].*bellhop\.conf:\d+: "):
                server.start()
        finally:
            server.close()


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Reload(ServerCase):
    https = True

    def version_list(self):
        user = getattr(self, "reader", None) or self.user()
        self.reader = user
        with self.server.connect() as connection:
            connection.request("OPTIONS", query.PATH, {"Authorization": basic(user.address, user.password)})
            return connection.response().header("MS-ASProtocolVersions")

    def test_sighup(self):
        """New values hold for new requests; a bad file changes nothing; parked phones notice nothing."""
        device = self.phone("14.1")
        device.prime()
        waiting = device.ping_send()
        self.addCleanup(waiting.close)
        self.assert_parked(waiting)
        pids = self.server.pids()
        self.server.write_config(eas_versions="12.1 14.1")
        self.server.process.send_signal(signal.SIGHUP)
        self.server.wait_notify("READY=1")
        eventually(lambda: self.version_list() == "12.1,14.1", what="the new list")
        self.assert_ping(device.ping(heartbeat=59, connection=device.connection), "5")
        self.server.write_config(push_heartbeat_min_s="30")
        self.server.bellhop("reload")
        def short():
            answer = device.ping(heartbeat=10, connection=device.connection)
            return answer.document.get("HeartbeatInterval") == "30"
        eventually(short, what="the new bound")
        self.server.write_config(push_heartbeat_min_s="0")
        mark = self.server.log_mark()
        self.server.process.send_signal(signal.SIGHUP)
        self.server.wait_log(r"bellhop\.conf:\d+", mark)
        done = self.server.bellhop("reload", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stdout + done.stderr, r"bellhop\.conf:\d+: ")
        self.assertTrue(short())
        self.server.write_config(push_heartbeat_min_s="60", eas_versions="2.5 12.0 12.1 14.0 14.1 16.0 16.1")
        self.server.bellhop("reload")
        self.assertEqual(self.server.pids(), pids, "no process was replaced")
        self.assertEqual(device.folder_sync("0").status, "1")
        other = self.phone("14.1")
        other.prime()


    def test_reload_is_done_when_the_command_returns(self):
        for versions in ("12.1", "14.1 16.1", "2.5 12.0 12.1 14.0 14.1 16.0 16.1"):
            self.server.write_config(eas_versions=versions)
            self.server.bellhop("reload")
            self.assertEqual(self.version_list(), versions.replace(" ", ","))

    def test_reload_says_what_is_wrong_with_the_certificate(self):
        folder = self.server.folder
        for name in ("bad.pem", "bad.key"):
            with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                file.write("junk\n")
        self.server.write_config(tls_certificate=f"{folder}/bad.pem", tls_key=f"{folder}/bad.key")
        done = self.server.bellhop("reload", check=False)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("bad.pem", done.stderr)
        self.server.write_config(tls_certificate="", tls_key="")
        self.server.bellhop("reload")

    def test_restart_is_done_when_the_command_returns(self):
        for _ in range(3):
            before = self.server.status()["engine_pid"]
            self.server.bellhop("restart", "engine")
            self.assertNotEqual(self.server.status()["engine_pid"], before)


class Systemd(unittest.TestCase):
    def test_socket_activation(self):
        """LISTEN_FDS: the sockets that systemd opened are served, told apart by their names."""
        server = Server()
        names, sockets = [], []
        try:
            for name, kind in (("http", "tcp"), ("https", "tcp"), ("lmtp", "unix")):
                if kind == "tcp":
                    one = socket.socket()
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    one.bind(("127.0.0.1", 0))
                    one.listen(64)
                    port = one.getsockname()[1]
                    if name == "http":
                        server.http_port = port
                    else:
                        server.https_port = port
                else:
                    one = socket.socket(socket.AF_UNIX)
                    server.lmtp_path = os.path.join(server.folder, "activated.sock")
                    one.bind(server.lmtp_path)
                    one.listen(64)
                names.append(name)
                sockets.append(one)
            for section in ("listen.http", "listen.https", "listen.lmtp"):
                server.settings[section] = ""
            server.write_config()
            start_activated(server, names, sockets)
            for one in sockets:
                one.close()
            server.add_domain("example.org")
            user = server.add_user()
            for tls in (False, True):
                device = user.device("14.1", tls=tls).ready()
                device.prime()
                waiting = device.ping_send()
                assert waiting.is_silent()
                with Lmtp(server.lmtp_path) as lmtp:
                    self.assertTrue(lmtp.deliver(user.address, mail.message())[0].startswith("250"))
                self.assertEqual(device.receive(waiting).status, "2")
                waiting.close()
                device.close()
        finally:
            server.close()

    def test_notifications(self):
        """READY=1 when everything listens, RELOADING=1 and READY=1 around a reload, STOPPING=1 at the end."""
        server = Server()
        try:
            server.start()
            with server.connect() as connection:
                connection.request("OPTIONS", query.PATH)
                self.assertEqual(connection.response().status, 401)
            server.process.send_signal(signal.SIGHUP)
            server.wait_notify("RELOADING=1")
            server.wait_notify("READY=1")
            notify, process = server.notify, server.process
            process.send_signal(signal.SIGTERM)
            server.wait_notify("STOPPING=1")
            self.assertEqual(process.wait(20), 0)
            self.assertIsNotNone(notify)
        finally:
            server.close()


def start_activated(server, names, sockets):
    """Execs bellhopd with the sockets as descriptors 3, 4, ..., LISTEN_PID being its own pid."""
    script = ("import os, sys\n"
              "fds = [int(n) for n in sys.argv[1].split(',')]\n"
              "high = [os.dup2(fd, 100 + at, inheritable=True) for at, fd in enumerate(fds)]\n"
              "for at, fd in enumerate(high):\n"
              "    os.dup2(fd, 3 + at, inheritable=True)\n"
              "    os.close(fd)\n"
              "os.environ['LISTEN_PID'] = str(os.getpid())\n"
              "os.execv(sys.argv[2], sys.argv[2:])\n")
    path = os.path.join(server.folder, "activate.py")
    with open(path, "w", encoding="ascii") as file:
        file.write(script)
    wrapper = os.path.join(server.folder, "bellhopd.sh")
    fds = ",".join(str(s.fileno()) for s in sockets)
    with open(wrapper, "w", encoding="ascii") as file:
        file.write(f"#!/bin/sh\nexec /usr/bin/python3 {path} {fds} {program('bellhopd')} \"$@\"\n")
    os.chmod(wrapper, 0o755)
    server.start(executable=wrapper, pass_fds=[s.fileno() for s in sockets],
                 env={"LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": ":".join(names)})


class Privileges(unittest.TestCase):
    def test_user(self):
        """Started by root, every process that reads a client's octets runs as the user named."""
        server = Server(settings={"server.user": "nobody"})
        try:
            os.chmod(server.folder, 0o755)
            for folder in (server.data, server.runtime):
                os.chown(folder, 65534, 65534)
            # The build folder may be one that only root can enter.
            bellhopd = shutil.copy(program("bellhopd"), os.path.join(server.folder, "bellhopd"))
            server.start(executable=bellhopd)
            for pid in server.front_pids() + [server.engine_pid()]:
                with open(f"/proc/{pid}/status", encoding="ascii") as file:
                    status = file.read()
                self.assertRegex(status, r"Uid:\t65534\t65534\t65534\t65534")
                self.assertRegex(status, r"CapEff:\t0000000000000000")
            server.add_domain("example.org")
            device = server.add_user().device("14.1").ready()
            device.prime()
            device.close()
            self.signer_is_for_root(server, bellhopd)
        finally:
            server.close()

    def signer_is_for_root(self, server, bellhopd):
        """A key for profiles that only root can read is told of by reload, by the doctor, and at the start, which goes on."""
        certificate, key = (os.path.join(server.folder, name) for name in ("signer.pem", "signer.key"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", "/CN=signer", "-keyout", key, "-out", certificate], check=True, capture_output=True)
        os.chmod(key, 0o600)
        server.write_config(web_profile_certificate=certificate, web_profile_key=key)
        refused = server.bellhop("reload", check=False)
        self.assertNotEqual(refused.returncode, 0)
        for text in (refused.stderr, server.bellhop("doctor", check=False).stdout):
            self.assertIn(f"web.profile_key: {key}: the user nobody cannot read it", " ".join(text.split()))
            self.assertIn("chgrp nobody", text)
        server.stop()
        server.start(executable=bellhopd)
        self.assertRegex(server.log_text(), f"profile_certificate_unusable .*{key}.*chgrp nobody")
        os.chown(key, 65534, 65534)
        server.bellhop("reload")
        self.assertIn("what signs them can be read", server.bellhop("doctor", check=False).stdout)

    def test_descriptors_stay_inside(self):
        """No descriptor of ours leaks into the fronts: neither the database nor the other's listeners."""
        server = Server(https=True)
        try:
            server.start()
            for pid in server.front_pids():
                links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
                self.assertFalse([link for link in links if "bellhop.db" in link], links)
        finally:
            server.close()


class Supervision(unittest.TestCase):
    def test_orderly_stop_leaves_nothing(self):
        server = Server()
        try:
            server.start()
            pids = descendants(server.process.pid)
            self.assertGreaterEqual(len(pids), 2)
            server.stop()
            for pid in pids:
                self.assertTrue(wait_exit(pid, 5))
            self.assertFalse(os.path.exists(os.path.join(server.runtime, "admin.sock")))
            server.start()
        finally:
            server.close()

    def test_supervisor_killed(self):
        """kill -9 of the supervisor: its children end by themselves, and a new start works at once."""
        server = Server()
        try:
            server.start()
            pids = descendants(server.process.pid)
            server.process.kill()
            server.process.wait(10)
            for pid in pids:
                self.assertTrue(wait_exit(pid, 20), f"{pid} lives on")
            server.notify.close()
            server.process = None
            server.start()
        finally:
            server.close()

    def test_second_server_on_the_same_data(self):
        """Refused with words, and the first goes on."""
        server = Server()
        try:
            server.start()
            second = Server(folder=tempfile.mkdtemp(prefix="bellhop-test-"))
            second.owns_folder = True
            second.settings["server.data_dir"] = server.data
            second.settings["server.runtime_dir"] = server.runtime
            second.write_config()
            with self.assertRaises(ServerError):
                second.start(timeout=20)
            second.close()
            self.assertEqual(server.bellhop("status").returncode, 0)
        finally:
            server.close()

    def test_both_families(self):
        """*:port is every IPv4 and IPv6 address."""
        port = free_port()
        server = Server(settings={"listen.http": f"*:{port}"})
        try:
            server.start()
            for host in ("127.0.0.1", "::1"):
                with Connection(port, host=host) as connection:
                    connection.request("OPTIONS", query.PATH)
                    self.assertEqual(connection.response().status, 401)
        finally:
            server.close()

    def test_port_in_use(self):
        with socket.socket() as blocker:
            blocker.bind(("127.0.0.1", free_port()))
            blocker.listen(1)
            port = blocker.getsockname()[1]
            server = Server(settings={"listen.http": f"127.0.0.1:{port}"})
            try:
                with self.assertRaisesRegex(ServerError, str(port)):
                    server.start()
            finally:
                server.close()


class CommandLine(ServerCase):
    def test_users(self):
        user = self.server.add_user("clerk")
        listed = json.loads(self.server.bellhop("user", "list", "--json").stdout)
        self.assertIn("clerk@example.org", json.dumps(listed))
        for arguments in (("user", "add", "clerk@example.org"), ("user", "add", "nodomain"), ("user", "add", "@"),
                          ("user", "add", "a b@example.org"), ("user", "passwd", "nobody@example.org")):
            done = self.server.bellhop(*arguments, "--password-file", self.server.password_file("x"), check=False)
            self.assertNotEqual(done.returncode, 0, arguments)
            self.assertTrue(done.stderr or done.stdout)
        for content, said in ((b"", "no password"), (b"\n", "no password"), (b"a\0b\n", "NUL"), (b"a" * 2000, "too long")):
            path = self.server.password_file("x")
            with open(path, "wb") as file:
                file.write(content)
            done = self.server.bellhop("user", "passwd", user.address, "--password-file", path, check=False)
            self.assertEqual(done.returncode, 2, content[:10])
            self.assertIn(said, done.stderr)
        self.server.bellhop("user", "disable", user.address)
        self.server.bellhop("user", "enable", user.address)
        self.server.bellhop("user", "del", user.address, "--yes")
        self.assertNotIn("clerk", self.server.bellhop("user", "list").stdout)

    def test_domains_and_aliases(self):
        self.server.bellhop("domain", "add", "second.example")
        self.server.add_user("two", domain="second.example")
        self.assertIn("second.example", self.server.bellhop("domain", "list").stdout)
        self.assertNotEqual(self.server.bellhop("domain", "del", "second.example", check=False).returncode, 0)
        self.server.bellhop("alias", "add", "zwei@second.example", "two@second.example")
        self.assertIn("zwei@second.example", self.server.bellhop("alias", "list").stdout)
        taken = self.server.bellhop("alias", "add", "two@second.example", "two@second.example", check=False)
        self.assertNotEqual(taken.returncode, 0)
        self.server.bellhop("alias", "del", "zwei@second.example")
        self.server.bellhop("user", "del", "two@second.example", "--yes")
        self.server.bellhop("domain", "del", "second.example")

    def test_status_and_log(self):
        device = self.phone("14.1")
        device.prime()
        before = self.server.status()["parked"]
        waiting = device.ping_send()
        self.assert_parked(waiting)
        eventually(lambda: self.server.status()["parked"] == before + 1, what="one more is parked")
        waiting.close()
        eventually(lambda: self.server.status()["parked"] == before, what="it is forgotten")
        self.assertIn(device.device_id, self.server.bellhop("device", "list").stdout)
        log = self.server.bellhop("log", "list", "--json").stdout
        self.assertIn("user add", log)
        self.assertNotIn(device.password, log)

    def test_unknown_verbs(self):
        for arguments in (("nonsense",), ("user",), ("user", "nonsense"), ("user", "add"), ("user", "list", "--nonsense")):
            done = self.server.bellhop(*arguments, check=False)
            self.assertNotEqual(done.returncode, 0, arguments)
            self.assertNotEqual(done.stderr + done.stdout, "")
        self.assertEqual(self.server.bellhop("--help").returncode, 0)
        self.assertIn("user", self.server.bellhop("--help").stdout)

    def test_versions(self):
        for name in ("bellhop", "bellhopd", "bellhop-phone"):
            done = subprocess.run([program(name), "--version"], capture_output=True, text=True, check=False, timeout=10)
            self.assertEqual(done.returncode, 0, name)
            self.assertRegex(done.stdout, r"\d+\.\d+\.\d+")
        self.assertTrue(os.path.isdir(BUILD))

    def test_not_for_this_user(self):
        """Nobody is told that there is no server because the socket is not for him."""
        socket_path = os.path.join(self.server.runtime, "admin.sock")
        mine = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
        os.chmod(socket_path, 0)
        try:
            done = subprocess.run([*mine, program("bellhop"), "-c", self.server.config, "status"], capture_output=True, text=True,
                                  timeout=30, check=False)
        finally:
            os.chmod(socket_path, 0o600)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{socket_path} is not for this user", done.stderr)
        self.server.status()

    def test_no_server(self):
        server = Server()
        try:
            done = server.bellhop("status", check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("admin.sock", done.stdout + done.stderr)
        finally:
            server.close()


if __name__ == "__main__":
    unittest.main()
