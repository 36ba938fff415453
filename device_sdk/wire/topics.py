"""MQTT topics: who says what to whom, and where (PROTOCOL 9). Only the gateway ever sets RETAIN."""

from dataclasses import dataclass
from enum import StrEnum

from device_sdk.wire.errors import TopicError
from device_sdk.wire.names import is_hex_id, is_name

DEFAULT_PREFIX = "sealgate/1"
_MOST_LEVELS, _MOST_BYTES = 8, 512
"""Of a prefix: every topic below it must be a topic still."""
PREFIX_RULE = (
    f"1 to {_MOST_LEVELS} levels in {_MOST_BYTES} bytes, none empty, no + or #, no $ first"
)


def is_prefix(prefix: str) -> bool:
    """Tell whether all our topics can begin with this (PROTOCOL 9)."""
    levels = prefix.split("/")
    return (
        len(levels) <= _MOST_LEVELS
        and len(prefix.encode(errors="replace")) <= _MOST_BYTES
        and "" not in levels
        and not set("+#\0") & set(prefix)
        and not prefix.startswith("$")
    )


class Kind(StrEnum):
    """The first level below the prefix."""

    SEND = "send"
    INBOX = "inbox"
    READ = "read"
    NOTICE = "notice"
    QUERY = "query"
    SEEN = "seen"
    JOIN = "join"
    ANNOUNCE = "announce"
    PROVE = "prove"
    BLIND = "blind"
    ISSUE = "issue"
    TOKENS = "tokens"
    PROOF = "proof"
    LOG = "log"
    CERT = "cert"
    KEYS = "keys"
    ROSTER = "roster"
    STATE = "state"


FROM_DEVICES = (
    Kind.SEND,
    Kind.READ,
    Kind.ANNOUNCE,
    Kind.QUERY,
    Kind.SEEN,
    Kind.PROVE,
    Kind.BLIND,
    Kind.JOIN,
)
"""What devices publish; a retained message there is a mistake or malice and is cleared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Topic:
    """A topic taken apart. Fields that its kind does not have are empty."""

    kind: Kind
    owner: str = ""
    """send: the sender, or "anonymous"; inbox and read: the reader; else the device or gateway."""
    sender: str = ""
    """inbox, read: the sender of the message."""
    message_id: bytes = b""
    """send, inbox, read: 16 bytes."""
    page_hash: bytes = b""
    """roster pages: 32 bytes; empty for the head."""


_LEVELS = {Kind.SEND: 2, Kind.INBOX: 3, Kind.READ: 3}
_PAGE_HASH_DIGITS = 64
_KINDS = frozenset(kind.value for kind in Kind)


@dataclass(frozen=True, slots=True)
class Topics:
    """Builds and parses the topics below one prefix."""

    prefix: str = DEFAULT_PREFIX

    def send(self, sender: str, message_id: bytes) -> str:
        """Device to gateway: an envelope with all readers."""
        return f"{self.prefix}/send/{sender}/{message_id.hex()}"

    def inbox(self, reader: str, sender: str, message_id: bytes) -> str:
        """Gateway to reader, retained: that reader's copy."""
        return f"{self.prefix}/inbox/{reader}/{sender}/{message_id.hex()}"

    def read(self, reader: str, sender: str, message_id: bytes) -> str:
        """Device to gateway: a read ack."""
        return f"{self.prefix}/read/{reader}/{sender}/{message_id.hex()}"

    def notice(self, device: str) -> str:
        """Gateway to device: a signed batch of events."""
        return f"{self.prefix}/notice/{device}"

    def query(self, device: str) -> str:
        """Device to gateway: what became of my messages, and what waits for me?"""
        return f"{self.prefix}/query/{device}"

    def seen(self, device: str) -> str:
        """Device to gateway: outcomes that the sender has taken note of."""
        return f"{self.prefix}/seen/{device}"

    def join(self, device: str) -> str:
        """A device that is not admitted yet to gateway: its join request, by its ticket."""
        return f"{self.prefix}/join/{device}"

    def announce(self, device: str) -> str:
        """Device to gateway: the device's reader-key statement."""
        return f"{self.prefix}/announce/{device}"

    def cert(self, name: str) -> str:
        """Gateway to a member, retained: the certificate with which it connects."""
        return f"{self.prefix}/cert/{name}"

    def keys(self, device: str) -> str:
        """Gateway to all, retained: the device's unexpired reader-key statements."""
        return f"{self.prefix}/keys/{device}"

    def roster(self) -> str:
        """Gateway to all, retained: the owner-signed head."""
        return f"{self.prefix}/roster"

    def roster_page(self, page_hash: bytes) -> str:
        """Gateway to all, retained: one page of the roster."""
        return f"{self.prefix}/roster/{page_hash.hex()}"

    def state(self, gateway: str) -> str:
        """Gateway to all, retained, and its last will."""
        return f"{self.prefix}/state/{gateway}"

    def log(self, gateway: str) -> str:
        """Gateway to all, retained: the signed head of its log."""
        return f"{self.prefix}/log/{gateway}"

    def prove(self, device: str) -> str:
        """Device to gateway: show me that your log has only grown."""
        return f"{self.prefix}/prove/{device}"

    def proof(self, device: str) -> str:
        """Gateway to device: what was to be proved about its log."""
        return f"{self.prefix}/proof/{device}"

    def tokens(self, gateway: str) -> str:
        """Gateway to all, retained: the keys under which tokens are issued."""
        return f"{self.prefix}/tokens/{gateway}"

    def blind(self, device: str) -> str:
        """Device to gateway: blinded tokens to be issued."""
        return f"{self.prefix}/blind/{device}"

    def issue(self, device: str) -> str:
        """Gateway to device: what makes tokens of them."""
        return f"{self.prefix}/issue/{device}"

    def all_of(self, kind: Kind) -> str:
        """Return the filter for every topic of one kind."""
        return f"{self.prefix}/{kind}/#"

    def inbox_of(self, reader: str) -> str:
        """Return the filter for every copy of one reader."""
        return f"{self.prefix}/inbox/{reader}/+/+"

    def may_stand(self, topic: str) -> bool:
        """Tell whether something may be published there: below the prefix, without wildcards."""
        return topic.startswith(f"{self.prefix}/") and not set("+#\0") & set(topic)

    def parse(self, topic: str) -> Topic:
        """Take a topic apart. Raises TopicError if it is none of PROTOCOL 9 under this prefix."""
        head, levels = f"{self.prefix}/", topic.split("/")[self.prefix.count("/") + 1 :]
        if not topic.startswith(head) or not levels or levels[0] not in _KINDS:
            raise TopicError(f"expected a topic under {self.prefix}, got another")
        kind, names = Kind(levels[0]), levels[1:]
        if kind is Kind.ROSTER:
            return _parse_roster(names)
        if len(names) != _LEVELS.get(kind, 1) or not all(map(is_name, names[:2])):
            raise TopicError(f"a {kind} topic of the wrong shape: see PROTOCOL 9")
        if kind not in _LEVELS:
            return Topic(kind=kind, owner=names[0])
        if not is_hex_id(names[-1]):
            raise TopicError(f"a {kind} topic whose last level is not a message id")
        sender = names[1] if kind is not Kind.SEND else ""
        return Topic(kind=kind, owner=names[0], sender=sender, message_id=bytes.fromhex(names[-1]))


def _parse_roster(names: list[str]) -> Topic:
    if not names:
        return Topic(kind=Kind.ROSTER)
    digits = names[0]
    well_formed = len(digits) == _PAGE_HASH_DIGITS and not set(digits) - set("0123456789abcdef")
    if len(names) != 1 or not well_formed:
        raise TopicError("a roster page topic ends in the page's SHA-256 in lower-case hex")
    return Topic(kind=Kind.ROSTER, page_hash=bytes.fromhex(digits))
