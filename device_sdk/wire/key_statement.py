"""The reader-key statement: a device's RSA key, signed by its own identity (PROTOCOL 8.1).

Made before the device knows its fleet, hence signed with the fleetless external_aad.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from device_sdk.wire import cbor
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.limits import MAX_KEY_STATEMENTS, MAX_STATEMENT
from device_sdk.wire.names import as_name
from device_sdk.wire.suites import SPKI_LIMIT, WrapKey, load_wrap_key

_DEVICE, _SPKI, _NOT_BEFORE, _NOT_AFTER, _SERIAL = range(1, 6)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyStatement:
    """ "To me, seal with this key." Times are Unix seconds, the serial never repeats."""

    device: str
    spki: bytes
    not_before: int
    not_after: int
    serial: int
    """max(previous + 1, Unix seconds), so that a restored device does not reuse one."""

    TYP: ClassVar[str] = "application/sealgate-key+cose"
    LIMIT: ClassVar[int] = MAX_STATEMENT

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        return cbor.encode(
            {
                _DEVICE: self.device,
                _SPKI: self.spki,
                _NOT_BEFORE: self.not_before,
                _NOT_AFTER: self.not_after,
                _SERIAL: self.serial,
            }
        )

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError, KeyFormatError."""
        what = "key-statement"
        fields = cbor.as_map(fields, what, (_DEVICE, _SPKI, _NOT_BEFORE, _NOT_AFTER, _SERIAL))
        statement = cls(
            device=as_name(fields[_DEVICE], f"{what}.device"),
            spki=cbor.as_bytes(fields[_SPKI], f"{what}.spki", most=SPKI_LIMIT),
            not_before=cbor.as_uint(fields[_NOT_BEFORE], f"{what}.not-before"),
            not_after=cbor.as_uint(fields[_NOT_AFTER], f"{what}.not-after"),
            serial=cbor.as_uint(fields[_SERIAL], f"{what}.serial"),
        )
        if statement.not_after <= statement.not_before:
            raise MalformedError(what, expected="not-after past not-before", got="the reverse")
        load_wrap_key(statement.spki)
        return statement

    @property
    def wrap_key(self) -> WrapKey:
        """The RSA key itself, already checked by `parse`."""
        return load_wrap_key(self.spki)


def encode_key_list(statements: Sequence[bytes]) -> bytes:
    """Return what stands under ``keys/{device}``: an array of signed statements."""
    return cbor.encode(list(statements))


def decode_key_list(data: bytes) -> list[bytes]:
    """Return the signed statements of a device, each still to be parsed and verified."""
    what = "key-list"
    items = cbor.as_array(
        cbor.decode(data, what, limit=MAX_KEY_STATEMENTS * MAX_STATEMENT),
        what,
        most=MAX_KEY_STATEMENTS,
    )
    return [cbor.as_bytes(item, what, most=MAX_STATEMENT) for item in items]
