"""Messages to deliver."""

import itertools
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
import datetime

_numbers = itertools.count(1)


def message(subject=None, text="Hello.\r\n", html=None, sender="Anna Sender <anna@example.net>",
            to="bob@example.org", attachments=(), age=None, **headers):
    """A message as bytes with CRLF. attachments: (name, type, bytes); age: a timedelta into the past."""
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = to
    mail["Subject"] = subject if subject is not None else f"Message {next(_numbers)}"
    when = datetime.datetime.now(datetime.timezone.utc) - (age or datetime.timedelta())
    mail["Date"] = format_datetime(when)
    mail["Message-ID"] = make_msgid(domain="example.net")
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    if html is not None:
        mail.add_alternative(html, subtype="html")
    for name, type_, octets in attachments:
        main, sub = type_.split("/")
        mail.add_attachment(octets, maintype=main, subtype=sub, filename=name)
    return mail.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
