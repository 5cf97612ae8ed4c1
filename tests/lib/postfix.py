"""A real Postfix with a configuration, queue and log of its own below a temp folder; loopback only."""

import grp
import os
import pwd
import shutil
import smtplib
import subprocess
import tempfile

from lib.server import ServerError, free_port, wait_exit

MAIN = """\
compatibility_level = 3.6
config_directory = {folder}/etc
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}
myhostname = relay.example.net
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
virtual_mailbox_domains = {domain}
virtual_transport = {transport}
local_header_rewrite_clients =
smtputf8_enable = yes
message_size_limit = 60000000
mailbox_size_limit = 0
lmtp_line_length_limit = 0
lmtp_destination_concurrency_limit = 4
lmtp_tls_security_level = none
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
"""

MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 1 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
lmtp      unix  - - n - - lmtp
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """transport: lmtp:inet:127.0.0.1:PORT or lmtp:unix:PATH."""

    def __init__(self, transport, domain="example.org"):
        if shutil.which("postfix", path="/usr/sbin:/usr/bin") is None:
            raise ServerError("the package postfix is missing")
        self.folder = tempfile.mkdtemp(prefix="bellhop-postfix-")
        os.chmod(self.folder, 0o755)
        self.port = free_port()
        for name in ("etc", "queue", "data", "log"):
            os.mkdir(os.path.join(self.folder, name), 0o755)
        os.chown(os.path.join(self.folder, "data"), pwd.getpwnam("postfix").pw_uid, grp.getgrnam("postfix").gr_gid)
        self.etc = os.path.join(self.folder, "etc")
        values = {"folder": self.folder, "domain": domain, "transport": transport, "port": self.port}
        for name, text in (("main.cf", MAIN), ("master.cf", MASTER)):
            with open(os.path.join(self.etc, name), "w", encoding="ascii") as file:
                file.write(text.format(**values))

    def command(self, verb):
        done = subprocess.run(["/usr/sbin/postfix", "-c", self.etc, verb], capture_output=True, text=True, check=False,
                              timeout=60)
        if done.returncode != 0:
            raise ServerError(f"postfix {verb}: {done.stdout}{done.stderr}{self.log()}")

    def start(self):
        self.command("start")
        return self

    def log(self):
        try:
            with open(os.path.join(self.folder, "log", "mail.log"), encoding="utf-8", errors="replace") as file:
                return file.read()[-5000:]
        except FileNotFoundError:
            return ""

    def send(self, sender, recipients, octets, options=()):
        with smtplib.SMTP("127.0.0.1", self.port, timeout=30) as smtp:
            smtp.sendmail(sender, recipients, octets, mail_options=options)

    def stop(self):
        try:
            with open(os.path.join(self.folder, "queue", "pid", "master.pid"), encoding="ascii") as file:
                pid = int(file.read())
        except (FileNotFoundError, ValueError):
            pid = None
        if pid is not None:
            self.command("stop")
            if not wait_exit(pid, 20):
                raise ServerError("postfix does not stop")
        shutil.rmtree(self.folder, ignore_errors=True)
