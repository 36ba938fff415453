"""The signed head of a gateway's log, and what the log's entries are (PROTOCOL 8.6)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from device_sdk.wire import cbor, merkle
from device_sdk.wire.epoch_key import EpochKey
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.limits import HASH_SIZE, MAX_LOG_SIZE, MAX_TREE_HEAD
from device_sdk.wire.roster_head import RosterHead

LOG_ID_SIZE = 16

_LOG, _SIZE, _ROOT, _TIME, _ROSTER = range(1, 6)


Logged = RosterHead | KeyStatement | EpochKey
"""What a gateway's log is about."""
_KINDS: dict[type, str] = {RosterHead: "roster", KeyStatement: "key", EpochKey: "token"}


def leaf_of(record: Logged) -> merkle.Hash:
    """Return the leaf hash of a roster, a key statement or a key for tokens.

    An entry is what was stated, without its signature, whose bytes have a second form (PROTOCOL 3).
    """
    return merkle.leaf_hash(cbor.encode([_KINDS[type(record)], record.encode()]))


@dataclass(frozen=True, kw_only=True, slots=True)
class TreeHead:
    """What a gateway signs about its whole log, at least one entry."""

    log_id: bytes
    """16 random bytes of one process: while it runs, it only adds to its log."""
    size: int
    """Entries."""
    root: bytes
    time: int
    """Unix seconds, by the gateway's clock."""
    roster_version: int

    TYP: ClassVar[str] = "application/sealgate-log+cose"
    LIMIT: ClassVar[int] = MAX_TREE_HEAD

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        return cbor.encode(
            {
                _LOG: self.log_id,
                _SIZE: self.size,
                _ROOT: self.root,
                _TIME: self.time,
                _ROSTER: self.roster_version,
            }
        )

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError."""
        what = "tree-head"
        fields = cbor.as_map(fields, what, range(1, 6))
        size = cbor.as_uint(fields[_SIZE], f"{what}.size", most=MAX_LOG_SIZE)
        if size == 0:
            raise MalformedError(f"{what}.size", expected="at least 1 entry", got="none")
        return cls(
            log_id=cbor.as_bytes(fields[_LOG], f"{what}.log-id", size=LOG_ID_SIZE),
            size=size,
            root=cbor.as_bytes(fields[_ROOT], f"{what}.root", size=HASH_SIZE),
            time=cbor.as_uint(fields[_TIME], f"{what}.time"),
            roster_version=cbor.as_uint(fields[_ROSTER], f"{what}.roster-version"),
        )

    def contradicts(self, other: "TreeHead") -> bool:
        """Tell whether an honest gateway cannot have signed both: one log and size, two roots."""
        return (self.log_id, self.size) == (other.log_id, other.size) and self.root != other.root
