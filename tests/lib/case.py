"""What the test classes share: a server for the class, users, and tests that run in every version and form of the query."""

import functools
import time
import unittest

from eas.wbxml import E, VERSIONS
from lib import mail
from lib.server import Server

# The base64 query exists from 12.1 on.
FORMS = [(version, "plain") for version in VERSIONS] + [
    (version, "base64") for version in VERSIONS if version not in ("2.5", "12.0")]


def every_form(test):
    """The test runs once for each version and form of the query, as test(self, version, form)."""
    test.forms = FORMS
    return test


def forms(*chosen):
    """The same for some: forms("12.1", ("14.1", "base64"))."""
    def mark(test):
        test.forms = [one if isinstance(one, tuple) else (one, "plain") for one in chosen]
        return test
    return mark


class ServerCase(unittest.TestCase):
    """A class with one server for all its tests."""

    maxDiff = 4000
    settings = {}
    https = False
    clock = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name, test in list(cls.__dict__.items()):
            for version, form in getattr(test, "forms", ()):
                run = functools.partialmethod(test, version, form)
                run.__doc__ = test.__doc__
                setattr(cls, f"{name}__{version.replace('.', '_')}_{form}", run)
            if hasattr(test, "forms"):
                delattr(cls, name)

    @classmethod
    def setUpClass(cls):
        cls.server = Server(settings=cls.settings, https=cls.https, clock=cls.clock)
        try:
            cls.server.start()
            cls.server.add_domain("example.org")
            cls.prepare()
        except BaseException:
            cls.server.close()
            raise

    @classmethod
    def prepare(cls):
        """Once for the class, with the server running."""

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def run(self, result=None):
        """Shows the server's last words beside a failure."""
        before = len(result.failures) + len(result.errors) if result else 0
        mark = self.server.log_mark() if getattr(self, "server", None) else 0
        done = super().run(result)
        if result and len(result.failures) + len(result.errors) > before and getattr(self, "server", None):
            for kind in (result.failures, result.errors):
                if kind and kind[-1][0] is self:
                    with self.server.changed:
                        words = "\n".join(self.server.lines[mark:][-25:])
                    kind[-1] = (kind[-1][0], kind[-1][1] + "\nthe server said:\n" + words)
        return done

    def user(self, **kwargs):
        return self.server.add_user(**kwargs)

    def phone(self, version="14.1", form="plain", user=None, **kwargs):
        """A provisioned device which knows the folders, of a user of its own unless one is given."""
        self.owner = user or self.user()
        return self.owner.device(version, form, **kwargs).ready()

    def deliver(self, recipient, *args, **kwargs):
        message = mail.message(*args, **kwargs)
        self.server.deliver(recipient, message)
        return message

    # Assertions.

    def assert_empty_sync(self, answer):
        """Nothing changed: no body from 12.1 on; before that a full answer without changes."""
        self.assertEqual(answer.code, 200, answer)
        if not answer.is_empty:
            self.assertEqual(answer.collection_status, "1", answer)
            self.assertEqual((answer.added, answer.changed, answer.deleted, answer.soft_deleted), ({}, {}, [], []))
            self.assertFalse(answer.collection.has("Commands"))

    def assert_parked(self, connection, seconds=0.15):
        """Nothing comes: the phone waits."""
        self.assertTrue(connection.is_silent(seconds), "an answer came")

    def assert_ping(self, answer, status, folders=None):
        self.assertEqual(answer.code, 200, answer)
        self.assertIsNotNone(answer.document, answer)
        self.assertEqual(answer.document.name, "Ping")
        self.assertEqual(answer.status, status, answer)
        if folders is not None:
            self.assertEqual([f.text for f in answer.document.all("Folders/Folder")], folders)


def retry(action, good=lambda answer: answer.code == 200, timeout=20):
    """While the engine comes back fronts answer 503: a phone tries again."""
    deadline = time.monotonic() + timeout
    while True:
        answer = action()
        if good(answer):
            return answer
        assert answer.code == 503 and time.monotonic() < deadline, answer


__all__ = ["E", "FORMS", "ServerCase", "every_form", "forms", "retry"]
