"""
Messages that no one here wrote: the test data of other mail programs, as Debian carries it. None of it is kept in the project. Packages
of tools/packages are there when the tests run; pinned source archives (a few hundred KB each) are fetched once by apt's own downloader,
which checks their SHA-256, into BELLHOP_CORPUS (default ~/.cache/bellhop/corpus).
"""

import fnmatch
import glob
import hashlib
import os
import subprocess
import tarfile

CACHE = os.environ.get("BELLHOP_CORPUS") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "bellhop", "corpus")
APT_HELPER = "/usr/lib/apt/apt-helper"
MIRROR = "http://deb.debian.org/debian"
FETCH_SECONDS = 60


class Missing(Exception):
    """A set that is not to be had; the text says what and why."""


class Message:
    def __init__(self, name, octets):
        self.name = name
        self.octets = octets
        self.sha256 = hashlib.sha256(octets).hexdigest()


class Installed:
    """Files of a package that is in tools/packages."""

    def __init__(self, name, package, folder, *patterns):
        self.name, self.package, self.folder, self.patterns = name, package, folder, patterns

    def load(self):
        found = []
        for path in sorted(path for pattern in self.patterns for path in glob.glob(os.path.join(self.folder, pattern))):
            with open(path, "rb") as file:
                found.append(Message(os.path.relpath(path, self.folder), file.read()))
        if not found:
            raise Missing(f"{self.name}: no {' '.join(self.patterns)} in {self.folder}: is the package {self.package} installed?")
        return found


class Archive:
    """Files below a folder of a source archive, which comes from the pool of a Debian mirror."""

    def __init__(self, name, path, sha256, folder, *patterns):
        self.name, self.path, self.sha256, self.folder, self.patterns = name, path, sha256, folder, patterns

    def fetch(self):
        place = os.path.join(CACHE, self.sha256[:16] + "-" + os.path.basename(self.path))
        if not os.path.exists(place):
            os.makedirs(CACHE, exist_ok=True)
            partial = f"{place}.{os.getpid()}"
            url = f"{mirror()}/{self.path}".replace("+", "%2b").replace("~", "%7e")
            try:
                done = subprocess.run([APT_HELPER, "download-file", url, partial, f"SHA256:{self.sha256}"], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=FETCH_SECONDS, check=False)
                if done.returncode != 0:
                    raise Missing(f"{self.name}: {url}: {done.stdout.strip()}")
                os.rename(partial, place)
            except (FileNotFoundError, subprocess.TimeoutExpired) as error:
                raise Missing(f"{self.name}: {url}: {error}") from None
            finally:
                if os.path.exists(partial):
                    os.unlink(partial)
        return place

    def load(self):
        found = []
        with tarfile.open(self.fetch()) as archive:
            for member in archive:
                _, inside, name = member.name.partition(f"/{self.folder}/")
                if member.isfile() and inside and any(fnmatch.fnmatch(name, pattern) for pattern in self.patterns):
                    found.append(Message(name, archive.extractfile(member).read()))
        if not found:
            raise Missing(f"{self.name}: nothing like {' '.join(self.patterns)} in {self.path}")
        return sorted(found, key=lambda message: message.name)


def mirror():
    """The Debian mirror that this machine uses for the release."""
    try:
        done = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Codename: bookworm", "Component: main"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
        lines = done.stdout.split()
    except (FileNotFoundError, subprocess.TimeoutExpired):
        lines = []
    return (lines[0] if lines else MIRROR).rstrip("/")


# Without one of these the tests fail.
REQUIRED = [
    Installed("python", "libpython3.11-testsuite", "/usr/lib/python3.11/test/test_email/data", "msg_*.txt"),
    Installed("enmime", "golang-github-jhillyerd-enmime-dev", "/usr/share/gocode/src/github.com/jhillyerd/enmime/testdata",
              "mail/*.raw", "parts/*.raw", "low-quality/*.raw", "encode/part-*.golden"),
    Installed("flufl.bounce", "python3-flufl.bounce", "/usr/lib/python3/dist-packages/flufl/bounce/tests/data", "*.txt"),
]
# A mirror may have given these up.
FETCHED = [
    Archive("notmuch", "pool/main/n/notmuch/notmuch_0.37.orig.tar.xz",
            "0e766df28b78bf4eb8235626ab1f52f04f1e366649325a8ce8d3c908602786f6",
            "test/corpora", "*:2,*", "lkml/*", "[!dlR]*/*"),
    Archive("gmime", "pool/main/g/gmime/gmime_3.2.13+dfsg.orig.tar.xz",
            "4b868eb152b83ccbc593340560c1fd1cc497e43e14104c85869de6f2101675e0",
            "tests/data", "mbox/input/*", "partial/input/*", "mime-part/*.txt", "pgp/*.txt"),
    Archive("kmime", "pool/main/k/kmime/kmime_22.12.3.orig.tar.xz",
            "9b3c1f1f664eae671244dd755db03129b0f16abbcd03245a07856a15db28c3d8", "autotests/data/mails", "*.mbox"),
    Archive("horde", "pool/main/p/php-horde-mime/php-horde-mime_2.11.2.orig.tar.gz",
            "51c987ac90d4b2c7098eedea7f8ee4980d4dc31815dd89bdb34a1761f3e5036b", "test/Horde/Mime/fixtures", "*.txt"),
    Archive("bounceparser", "pool/main/libm/libmail-deliverystatus-bounceparser-perl/"
            "libmail-deliverystatus-bounceparser-perl_1.543+repacked.orig.tar.xz",
            "01f89040426ab6de77f9f0bcdce61a938ef6a24179efbfdb4f7a1f68c5263282", "t/corpus", "*.msg"),
]
