"""Asking a gateway to prove something about its log, and its answer (PROTOCOL 10.5)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from device_sdk.wire import cbor
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.limits import HASH_SIZE, MAX_BATCH, MAX_LOG_PATH, MAX_LOG_SIZE, MAX_STATEMENT
from device_sdk.wire.names import as_name

MAX_LEAVES = 32
"""Entries in one question: a device that wants more asks again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prove:
    """ "Show me that your log of ``second`` entries extends that of ``first``, and has these.\""""

    device: str
    gateway: str
    """Whose log is meant: another gateway does not answer."""
    first: int
    """0 asks for no such proof."""
    second: int
    leaves: tuple[bytes, ...] = ()

    TYP: ClassVar[str] = "application/sealgate-prove+cose"
    LIMIT: ClassVar[int] = MAX_STATEMENT

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        return cbor.encode(
            {
                1: self.device,
                2: self.gateway,
                3: self.first,
                4: self.second,
                5: list(self.leaves),
            }
        )

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError."""
        what = "prove"
        fields = cbor.as_map(fields, what, range(1, 6))
        first, second = _sizes(fields[3], fields[4], what)
        leaves = cbor.as_array(fields[5], f"{what}.leaves", most=MAX_LEAVES)
        return cls(
            device=as_name(fields[1], f"{what}.device"),
            gateway=as_name(fields[2], f"{what}.gateway"),
            first=first,
            second=second,
            leaves=tuple(cbor.as_bytes(leaf, f"{what}.leaves", size=HASH_SIZE) for leaf in leaves),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Included:
    """Where one entry stands among the first ``second`` of the log."""

    leaf: bytes
    index: int
    path: tuple[bytes, ...]

    def to_cbor(self) -> list[Any]:
        """Return the entry as it stands in a proof."""
        return [self.leaf, self.index, list(self.path)]

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Return the entry from decoded CBOR. Raises MalformedError."""
        what = "log-proof.included"
        leaf, index, path = cbor.as_array(value, what, length=3)
        return cls(
            leaf=cbor.as_bytes(leaf, what, size=HASH_SIZE),
            index=cbor.as_uint(index, what, most=MAX_LOG_SIZE),
            path=_hashes(path, what),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class LogProof:
    """The answer. It is not signed: it proves itself against signed heads, or nothing."""

    first: int
    second: int
    consistency: tuple[bytes, ...] | None
    """None: not asked for, or the gateway's log has no ``second`` entries."""
    included: tuple[Included, ...]
    """Of the leaves asked for, those that are there."""

    def encode(self) -> bytes:
        """Return the proof's deterministic CBOR."""
        fields: dict[int, Any] = {1: self.first, 2: self.second}
        if self.consistency is not None:
            fields[3] = list(self.consistency)
        fields[4] = [one.to_cbor() for one in self.included]
        return cbor.encode(fields)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a proof. Raises MalformedError, TooLargeError."""
        what = "log-proof"
        fields = cbor.as_map(cbor.decode(data, what, limit=MAX_BATCH), what, (1, 2, 4), (3,))
        first, second = _sizes(fields[1], fields[2], what)
        included = cbor.as_array(fields[4], f"{what}.included", most=MAX_LEAVES)
        return cls(
            first=first,
            second=second,
            consistency=_hashes(fields[3], f"{what}.consistency") if 3 in fields else None,
            included=tuple(Included.parse(one) for one in included),
        )


def _sizes(first: Any, second: Any, what: str) -> tuple[int, int]:
    small = cbor.as_uint(first, f"{what}.first", most=MAX_LOG_SIZE)
    large = cbor.as_uint(second, f"{what}.second", most=MAX_LOG_SIZE)
    if large < max(small, 1):
        raise MalformedError(f"{what}.second", expected=f"at least {max(small, 1)}", got=str(large))
    return small, large


def _hashes(value: Any, what: str) -> tuple[bytes, ...]:
    hashes = cbor.as_array(value, what, most=MAX_LOG_PATH)
    return tuple(cbor.as_bytes(one, what, size=HASH_SIZE) for one in hashes)
