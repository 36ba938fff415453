"""The join request: what a device or gateway hands to the owner to be admitted (PROTOCOL 8.2)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from device_sdk.wire import cbor, cose
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.limits import MAX_STATEMENT
from device_sdk.wire.names import as_name
from device_sdk.wire.suites import SPKI_LIMIT, load_verify_key

_NAME, _IDENTITY, _TIME, _KEY_STATEMENT = range(1, 5)


@dataclass(frozen=True, kw_only=True, slots=True)
class JoinRequest:
    """Signed by the identity it names: who signed it holds the private key."""

    name: str
    identity_spki: bytes
    time: int
    """Unix seconds, by the device's clock."""
    key_statement: bytes = b""
    """A device's first signed reader-key statement; empty for a gateway, which reads nothing."""

    TYP: ClassVar[str] = "application/sealgate-join+cose"
    LIMIT: ClassVar[int] = 2 * MAX_STATEMENT

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        fields: dict[int, Any] = {
            _NAME: self.name,
            _IDENTITY: self.identity_spki,
            _TIME: self.time,
        }
        if self.key_statement:
            fields[_KEY_STATEMENT] = self.key_statement
        return cbor.encode(fields)

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError, KeyFormatError."""
        what = "join-request"
        fields = cbor.as_map(fields, what, (_NAME, _IDENTITY, _TIME), (_KEY_STATEMENT,))
        request = cls(
            name=as_name(fields[_NAME], f"{what}.name"),
            identity_spki=cbor.as_bytes(fields[_IDENTITY], f"{what}.identity", most=SPKI_LIMIT),
            time=cbor.as_uint(fields[_TIME], f"{what}.time"),
            key_statement=b""
            if _KEY_STATEMENT not in fields
            else cbor.as_bytes(
                fields[_KEY_STATEMENT], f"{what}.key-statement", least=1, most=MAX_STATEMENT
            ),
        )
        load_verify_key(request.identity_spki)
        return request


def verify_join_request(data: bytes) -> tuple[JoinRequest, KeyStatement | None]:
    """Return a join request whose signatures hold, and its key statement if it has one.

    Raises:
        MalformedError: another structure, or a key statement of another device.
        SignatureError: not signed by the identity that it names.
    """
    unverified = cose.parse_signed(JoinRequest, data)
    identity = load_verify_key(unverified.claims.identity_spki)
    request = unverified.verify(identity, cose.FLEETLESS_AAD)
    if not request.key_statement:
        return request, None
    signed = cose.parse_signed(KeyStatement, request.key_statement)
    statement = signed.verify(identity, cose.FLEETLESS_AAD)
    if statement.device != request.name:
        raise MalformedError(
            "join-request.key-statement", expected="the same device", got="another device's"
        )
    return request, statement
