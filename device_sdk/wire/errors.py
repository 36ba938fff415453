"""Every way in which bytes can be wrong, as one small tree of exceptions.

Messages say what was expected and what came. They never quote plaintext, keys or tokens.
"""


class SealgateError(Exception):
    """The root of everything that Sealgate raises on purpose."""


class WireError(SealgateError):
    """Bytes that are not what PROTOCOL says they must be."""


class MalformedError(WireError):
    """A structure of another shape, type, order or length than PROTOCOL fixes.

    Attributes:
        what: the structure or field, such as ``envelope.header.exp``.
        expected: what PROTOCOL asks for there.
        got: what came, described by type and size, never by content.
    """

    def __init__(self, what: str, *, expected: str, got: str) -> None:
        super().__init__(f"{what}: expected {expected}, got {got}")
        self.what = what
        self.expected = expected
        self.got = got


class TooLargeError(MalformedError):
    """More bytes, readers or entries than the limits allow (PROTOCOL 11)."""


class KeyFormatError(MalformedError):
    """A public key of a kind, size or encoding that version 1 does not allow."""


class SignatureError(WireError):
    """A signature that does not verify, or one by another key than it must be."""


class InclusionError(WireError):
    """A reader that is not part of the reader list its sender signed."""


class ConsistencyError(WireError):
    """A log's tree that cannot be shown to extend an earlier one of the same log."""


class TopicError(WireError):
    """A topic that is none of PROTOCOL 9, or names somebody or something else than its payload."""
