"""The signed header of a message: what its sender says about it to everybody (PROTOCOL 5.1)."""

from dataclasses import dataclass
from typing import Any, Self

from device_sdk.wire import cbor, cose
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.limits import (
    HASH_SIZE,
    IV_SIZE,
    KID_SIZE,
    MAX_CONTENT_TYPE,
    MAX_HEADER,
    MAX_READERS,
    MAX_TREE_HEAD,
    MESSAGE_ID_SIZE,
)
from device_sdk.wire.names import as_name
from device_sdk.wire.reading_policy import Committed
from device_sdk.wire.suites import A256GCM

TYP = "application/sealgate-msg+cose"

_READER_ROOT, _CEK_COMMITMENT, _SEQUENCE, _READING, _TREE_HEAD = (
    -70001,
    -70002,
    -70003,
    -70006,
    -70009,
)
_SENDER, _CHANNEL, _EXP, _IAT, _ID = 1, 3, 4, 6, 7
"""CWT claims (RFC 8392): iss, aud, exp, iat, cti."""

_CLAIM_KEYS = (_SENDER, _CHANNEL, _EXP, _IAT, _ID)
_HEADER_KEYS = (
    cose.ALG,
    cose.CONTENT_TYPE,
    cose.KID,
    cose.IV,
    cose.CWT_CLAIMS,
    cose.TYP,
    _READER_ROOT,
    _CEK_COMMITMENT,
    _SEQUENCE,
)
_OPTIONAL_KEYS = (_READING, _TREE_HEAD)


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """One message's header. Its encoding is the envelope's protected bucket."""

    content_type: str
    """Media type of the payload, at most 128 bytes."""
    sender_kid: bytes
    iv: bytes
    """12 random bytes."""
    sender: str
    channel: str
    """A channel's name, or "direct"."""
    expires: int
    """Unix seconds."""
    issued: int
    """Unix seconds, by the sender's clock."""
    message_id: bytes
    """16 random bytes."""
    reader_root: bytes
    reader_count: int
    cek_commitment: bytes
    sequence: int
    """The series in the upper 32 bits, the number in it in the lower 32 (PROTOCOL 5.1)."""
    tree_head: bytes = b""
    """The newest signed head of the gateway's log that the sender believes; empty before the first
    one. Whoever cannot verify it passes over it, so that only its length is checked here."""
    reading: Committed | None = None
    """The commitment to the sealed reading; None if the message is none (PROTOCOL 17)."""

    def encode(self) -> bytes:
        """Return the protected header bytes."""
        fields: dict[int, Any] = {
            cose.ALG: A256GCM,
            cose.CONTENT_TYPE: self.content_type,
            cose.KID: self.sender_kid,
            cose.IV: self.iv,
            cose.CWT_CLAIMS: {
                _SENDER: self.sender,
                _CHANNEL: self.channel,
                _EXP: self.expires,
                _IAT: self.issued,
                _ID: self.message_id,
            },
            cose.TYP: TYP,
            _READER_ROOT: [self.reader_root, self.reader_count],
            _CEK_COMMITMENT: self.cek_commitment,
            _SEQUENCE: self.sequence,
        }
        if self.reading is not None:
            fields[_READING] = self.reading.to_cbor()
        if self.tree_head:
            fields[_TREE_HEAD] = self.tree_head
        return cbor.encode(fields)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode protected header bytes. Raises MalformedError, TooLargeError."""
        fields = cbor.as_map(
            cbor.decode(data, "header", limit=MAX_HEADER), "header", _HEADER_KEYS, _OPTIONAL_KEYS
        )
        if fields[cose.ALG] != A256GCM:
            raise MalformedError("header.alg", expected="A256GCM (3)", got="another algorithm")
        if fields[cose.TYP] != TYP:
            raise MalformedError("header.typ", expected=TYP, got="another type")
        claims = cbor.as_map(fields[cose.CWT_CLAIMS], "header.claims", _CLAIM_KEYS)
        reader_root, reader_count = cbor.as_array(
            fields[_READER_ROOT], "header.reader-root", length=2
        )
        return cls(
            content_type=cbor.as_text(
                fields[cose.CONTENT_TYPE], "header.content-type", most=MAX_CONTENT_TYPE
            ),
            sender_kid=cbor.as_bytes(fields[cose.KID], "header.kid", size=KID_SIZE),
            iv=cbor.as_bytes(fields[cose.IV], "header.iv", size=IV_SIZE),
            sender=as_name(claims[_SENDER], "header.sender"),
            channel=as_name(claims[_CHANNEL], "header.channel"),
            expires=cbor.as_uint(claims[_EXP], "header.exp"),
            issued=cbor.as_uint(claims[_IAT], "header.iat"),
            message_id=cbor.as_bytes(claims[_ID], "header.message-id", size=MESSAGE_ID_SIZE),
            reader_root=cbor.as_bytes(reader_root, "header.reader-root", size=HASH_SIZE),
            reader_count=cbor.as_uint(reader_count, "header.reader-count", most=MAX_READERS),
            cek_commitment=cbor.as_bytes(
                fields[_CEK_COMMITMENT], "header.cek-commitment", size=HASH_SIZE
            ),
            sequence=cbor.as_uint(fields[_SEQUENCE], "header.sequence"),
            tree_head=_parse_tree_head(fields),
            reading=Committed.parse(fields[_READING]) if _READING in fields else None,
        )


def _parse_tree_head(fields: dict[int, Any]) -> bytes:
    if _TREE_HEAD not in fields:
        return b""
    return cbor.as_bytes(fields[_TREE_HEAD], "header.tree-head", least=1, most=MAX_TREE_HEAD)
