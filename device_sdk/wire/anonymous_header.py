"""The header of a message that does not say who sent it (PROTOCOL 19.4)."""

from dataclasses import dataclass
from typing import Any, Self

from device_sdk.wire import cbor, cose
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.limits import (
    ANONYMOUS_STEP,
    HASH_SIZE,
    IV_SIZE,
    KID_SIZE,
    MAX_CONTENT_TYPE,
    MAX_HEADER,
    MAX_READERS,
    MESSAGE_ID_SIZE,
)
from device_sdk.wire.names import ANONYMOUS, DIRECT, as_name
from device_sdk.wire.suites import A256GCM

TYP = "application/sealgate-anon+cose"

_READER_ROOT, _CEK_COMMITMENT, _TOKEN_KEY = -70001, -70002, -70010
_CHANNEL, _EXP, _IAT, _ID = 3, 4, 6, 7
"""CWT claims (RFC 8392): aud, exp, iat, cti; there is no iss."""

_CLAIM_KEYS = (_CHANNEL, _EXP, _IAT, _ID)
_HEADER_KEYS = (
    cose.ALG,
    cose.CONTENT_TYPE,
    cose.IV,
    cose.CWT_CLAIMS,
    cose.TYP,
    _READER_ROOT,
    _CEK_COMMITMENT,
    _TOKEN_KEY,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class AnonymousHeader:
    """What an anonymous message says to everybody: nothing that another member would not say."""

    content_type: str
    """Media type of the payload, at most 128 bytes."""
    iv: bytes
    """12 random bytes."""
    channel: str
    expires: int
    """Unix seconds, a multiple of `ANONYMOUS_STEP`."""
    issued: int
    """Unix seconds by the sender's clock, a multiple of `ANONYMOUS_STEP`."""
    message_id: bytes
    """16 random bytes."""
    reader_root: bytes
    reader_count: int
    cek_commitment: bytes
    key_id: bytes
    """16 bytes: the `EpochKey` of the token. It stands here so that a reader learns it from the
    sender, and can compare it with the key that it was shown itself."""

    @property
    def sender(self) -> str:
        """What stands where a sender's name would."""
        return ANONYMOUS

    @property
    def reading(self) -> None:
        """It is none: a proof about a reading names its sender (PROTOCOL 19.1)."""
        return None

    @property
    def sequence(self) -> int:
        """There are no numbers: they would tell which messages are of one device."""
        return 0

    @property
    def tree_head(self) -> bytes:
        """There is no head either: heads differ from device to device."""
        return b""

    def encode(self) -> bytes:
        """Return the protected header bytes."""
        return cbor.encode(
            {
                cose.ALG: A256GCM,
                cose.CONTENT_TYPE: self.content_type,
                cose.IV: self.iv,
                cose.CWT_CLAIMS: {
                    _CHANNEL: self.channel,
                    _EXP: self.expires,
                    _IAT: self.issued,
                    _ID: self.message_id,
                },
                cose.TYP: TYP,
                _READER_ROOT: [self.reader_root, self.reader_count],
                _CEK_COMMITMENT: self.cek_commitment,
                _TOKEN_KEY: self.key_id,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode protected header bytes. Raises MalformedError, TooLargeError."""
        what = "anonymous-header"
        fields = cbor.as_map(cbor.decode(data, what, limit=MAX_HEADER), what, _HEADER_KEYS)
        if fields[cose.ALG] != A256GCM:
            raise MalformedError(f"{what}.alg", expected="A256GCM (3)", got="another algorithm")
        if fields[cose.TYP] != TYP:
            raise MalformedError(f"{what}.typ", expected=TYP, got="another type")
        claims = cbor.as_map(fields[cose.CWT_CLAIMS], f"{what}.claims", _CLAIM_KEYS)
        root, count = cbor.as_array(fields[_READER_ROOT], f"{what}.reader-root", length=2)
        return cls(
            content_type=cbor.as_text(
                fields[cose.CONTENT_TYPE], f"{what}.content-type", most=MAX_CONTENT_TYPE
            ),
            iv=cbor.as_bytes(fields[cose.IV], f"{what}.iv", size=IV_SIZE),
            channel=_parse_channel(claims[_CHANNEL], f"{what}.channel"),
            expires=_parse_time(claims[_EXP], f"{what}.exp"),
            issued=_parse_time(claims[_IAT], f"{what}.iat"),
            message_id=cbor.as_bytes(claims[_ID], f"{what}.message-id", size=MESSAGE_ID_SIZE),
            reader_root=cbor.as_bytes(root, f"{what}.reader-root", size=HASH_SIZE),
            reader_count=cbor.as_uint(count, f"{what}.reader-count", most=MAX_READERS),
            cek_commitment=cbor.as_bytes(
                fields[_CEK_COMMITMENT], f"{what}.cek-commitment", size=HASH_SIZE
            ),
            key_id=cbor.as_bytes(fields[_TOKEN_KEY], f"{what}.token-key", size=KID_SIZE),
        )


def _parse_channel(value: Any, what: str) -> str:
    channel = as_name(value, what)
    if channel == DIRECT:
        raise MalformedError(what, expected="a channel", got="a direct message")
    return channel


def _parse_time(value: Any, what: str) -> int:
    time = cbor.as_uint(value, what)
    if time % ANONYMOUS_STEP:
        raise MalformedError(what, expected=f"a multiple of {ANONYMOUS_STEP}", got="another time")
    return time
