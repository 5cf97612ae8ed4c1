"""Cases about what a phone is told of a message."""

from eas import email_order
from lib.case import ServerCase


def raw(*lines, body="text"):
    """A message of header lines and a body, with CRLF."""
    return "\r\n".join((*lines, "", body, "")).encode()


class EmailCase(ServerCase):
    def deliver_raw(self, *lines, body="text"):
        message = raw(*lines, body=body)
        self.server.deliver(self.owner, message)
        return message

    def listed(self, device, **options):
        """{subject: ApplicationData} of the inbox."""
        options.setdefault("body", [("1",)])
        items = device.prime(options=device.options(**options))
        for data in items.values():
            email_order.check(data, device.version)
        return {data.get("Email:Subject"): data for data in items.values()}

    def only(self, device, **options):
        (data,) = self.listed(device, **options).values()
        return data
