"""
WBXML as EAS uses it ([MS-ASWBXML]): version 1.3, UTF-8, no string table; SWITCH_PAGE, END, STR_I and OPAQUE only.

An element is an `E`. Its name carries the namespace where it differs from the parent's: E("Sync", E("Collections"), namespace="AirSync"),
or shorter E("AirSync:Sync", E("Collections", ...)). Children are elements, text (str) or bytes (written as OPAQUE).
"""

from eas.tokens import PAGES

HEADER = b"\x03\x01\x6a\x00"
SWITCH_PAGE, END, STR_I, OPAQUE = 0x00, 0x01, 0x03, 0xC3

VERSIONS = ["2.5", "12.0", "12.1", "14.0", "14.1", "16.0", "16.1"]

_PAGE_OF = {namespace: page for page, (namespace, _) in PAGES.items()}
_TOKEN_OF = {
    (namespace, element[0]): token
    for _, (namespace, elements) in PAGES.items()
    for token, element in sorted(elements.items(), reverse=True)
}


class WbxmlError(Exception):
    """The bytes are no document that EAS allows."""


class E:
    """One element: namespace, name, children in order; text is joined from its strings."""

    __slots__ = ("namespace", "name", "children")

    def __init__(self, name, *children, namespace=None):
        if ":" in name:
            namespace, name = name.split(":")
        self.namespace = namespace
        self.name = name
        self.children = []
        for child in children:
            self.add(child)

    def add(self, child):
        if child is None:
            return self
        if isinstance(child, (list, tuple)):
            for one in child:
                self.add(one)
            return self
        if isinstance(child, int):
            child = str(child)
        self.children.append(child)
        if isinstance(child, E):
            child._inherit(self.namespace)
        return self

    def _inherit(self, namespace):
        if self.namespace is None and namespace is not None:
            self.namespace = namespace
            for child in self.elements:
                child._inherit(namespace)

    @property
    def text(self):
        parts = [c for c in self.children if not isinstance(c, E)]
        return "".join(p.decode("utf-8") if isinstance(p, bytes) else p for p in parts)

    @property
    def data(self):
        """The content as bytes, whether it came as OPAQUE or as a string."""
        parts = [c for c in self.children if not isinstance(c, E)]
        return b"".join(p if isinstance(p, bytes) else p.encode("utf-8") for p in parts)

    @property
    def elements(self):
        return [c for c in self.children if isinstance(c, E)]

    def all(self, path):
        """Every element under the path, names separated by blanks or slashes: all("Collections/Collection")."""
        found = [self]
        for step in path.replace("/", " ").split():
            found = [c for e in found for c in e.elements if c.is_named(step)]
        return found

    def find(self, path):
        found = self.all(path)
        return found[0] if found else None

    def get(self, path, default=None):
        """The text at the path, or the default when there is no such element."""
        found = self.find(path)
        return default if found is None else found.text

    def has(self, path):
        return self.find(path) is not None

    def is_named(self, name):
        if ":" in name:
            return f"{self.namespace}:{self.name}" == name
        return self.name == name

    def walk(self):
        yield self
        for child in self.elements:
            yield from child.walk()

    def names(self):
        return [c.name for c in self.elements]

    def __eq__(self, other):
        return (
            isinstance(other, E)
            and (self.namespace, self.name) == (other.namespace, other.name)
            and self.children == other.children
        )

    def __repr__(self):
        inside = "".join(repr(c) if isinstance(c, E) else repr(c) for c in self.children)
        return f"<{self.namespace}:{self.name}>{inside}</>"


def encode(root):
    out = bytearray(HEADER)
    page = [0]

    def put(element):
        namespace = element.namespace
        if (namespace, element.name) not in _TOKEN_OF:
            raise WbxmlError(f"no token for {namespace}:{element.name}")
        if page[0] != _PAGE_OF[namespace]:
            page[0] = _PAGE_OF[namespace]
            out.extend((SWITCH_PAGE, page[0]))
        token = _TOKEN_OF[namespace, element.name]
        if not element.children:
            out.append(token)
            return
        out.append(token | 0x40)
        for child in element.children:
            if isinstance(child, E):
                put(child)
            elif isinstance(child, bytes):
                out.append(OPAQUE)
                out.extend(mb_u_int32(len(child)))
                out.extend(child)
            else:
                out.append(STR_I)
                out.extend(child.encode("utf-8"))
                out.append(0)
        out.append(END)

    put(root)
    return bytes(out)


def mb_u_int32(value):
    septets = [value & 0x7F]
    value >>= 7
    while value:
        septets.append((value & 0x7F) | 0x80)
        value >>= 7
    return bytes(reversed(septets))


class _Reader:
    def __init__(self, octets):
        self.octets = octets
        self.at = 0

    def octet(self):
        if self.at >= len(self.octets):
            raise WbxmlError("the document ends in the middle")
        self.at += 1
        return self.octets[self.at - 1]

    def length(self):
        value = 0
        for _ in range(5):
            octet = self.octet()
            value = value << 7 | octet & 0x7F
            if not octet & 0x80:
                return value
        raise WbxmlError("length of more than five octets")

    def take(self, count):
        if self.at + count > len(self.octets):
            raise WbxmlError("opaque data reaches beyond the end")
        self.at += count
        return self.octets[self.at - count : self.at]

    def string(self):
        end = self.octets.find(b"\0", self.at)
        if end < 0:
            raise WbxmlError("a string does not end")
        text = self.octets[self.at : end]
        self.at = end + 1
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise WbxmlError(f"a string is not UTF-8: {error}") from error


def decode(octets, version=None):
    """The root element. With a version, every element must be one of that version."""
    if octets[:4] != HEADER:
        raise WbxmlError(f"does not begin with 03 01 6A 00 but {octets[:4].hex()}")
    reader = _Reader(octets)
    reader.at = 4
    page = 0
    root = None
    open_elements = []
    while root is None or open_elements:
        token = reader.octet()
        if token == SWITCH_PAGE:
            page = reader.octet()
            if page not in PAGES:
                raise WbxmlError(f"there is no page {page}")
        elif token == END:
            if not open_elements:
                raise WbxmlError("END without an open element")
            open_elements.pop()
        elif token in (STR_I, OPAQUE):
            if not open_elements:
                raise WbxmlError("content outside the root")
            content = reader.string() if token == STR_I else reader.take(reader.length())
            open_elements[-1].children.append(content)
        else:
            namespace, elements = PAGES[page]
            if token & 0x80 or token & 0x3F not in elements:
                raise WbxmlError(f"token {token:#04x} of page {page} ({namespace}) is not known")
            name, first, last = elements[token & 0x3F]
            _check_version(namespace, name, first, last, version)
            element = E(name, namespace=namespace)
            if root is None:
                root = element
            else:
                open_elements[-1].children.append(element)
            if token & 0x40:
                open_elements.append(element)
    if reader.at != len(octets):
        raise WbxmlError(f"{len(octets) - reader.at} octets follow the end of the document")
    return root


def _check_version(namespace, name, first, last, version):
    if version is None:
        return
    if not first or not (
        VERSIONS.index(first) <= VERSIONS.index(version) <= VERSIONS.index(last)
    ):
        raise WbxmlError(f"{namespace}:{name} does not exist in version {version}")
