"""The read ack: a reader's signed statement that it opened a message (PROTOCOL 7)."""

import hmac
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from device_sdk.wire import cbor
from device_sdk.wire.content_key import open_hash
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.limits import HASH_SIZE, MAX_REASON, MAX_STATEMENT, MESSAGE_ID_SIZE
from device_sdk.wire.names import as_name

READ, UNREADABLE = "read", "unreadable"
KEY_GONE, NOT_OPENED, MISMATCH = "key-gone", "not-opened", "commitment-mismatch"
"""Reasons of *unreadable*: the private key was erased; or one uniform reason for all that can fail
from the RSA operation on, so that the ack is no decryption oracle; or what was opened is not the
reading that the header commits to, which tells nothing of the key."""

_VERDICT, _SENDER, _ID, _DIGEST, _READER, _TIME, _TOKEN, _REASON = range(1, 9)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadAck:
    """What the reader signs. *read* carries the open-token, *unreadable* a reason."""

    verdict: str
    sender: str
    message_id: bytes
    digest: bytes
    reader: str
    time: int
    """Unix seconds, by the reader's clock."""
    open_token: bytes = b""
    reason: str = ""

    TYP: ClassVar[str] = "application/sealgate-ack+cose"
    LIMIT: ClassVar[int] = MAX_STATEMENT

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        fields: dict[int, Any] = {
            _VERDICT: self.verdict,
            _SENDER: self.sender,
            _ID: self.message_id,
            _DIGEST: self.digest,
            _READER: self.reader,
            _TIME: self.time,
        }
        if self.verdict == READ:
            fields[_TOKEN] = self.open_token
        else:
            fields[_REASON] = self.reason
        return cbor.encode(fields)

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError."""
        what = "read-ack"
        fields = cbor.as_map(
            fields,
            what,
            (_VERDICT, _SENDER, _ID, _DIGEST, _READER, _TIME),
            (_TOKEN, _REASON),
        )
        verdict = cbor.as_one_of(fields[_VERDICT], f"{what}.verdict", (READ, UNREADABLE))
        belongs, other = (_TOKEN, _REASON) if verdict == READ else (_REASON, _TOKEN)
        if belongs not in fields or other in fields:
            raise MalformedError(
                what, expected="a token with read, a reason with unreadable", got="otherwise"
            )
        token, reason = fields.get(_TOKEN), fields.get(_REASON)
        return cls(
            verdict=verdict,
            sender=as_name(fields[_SENDER], f"{what}.sender"),
            message_id=cbor.as_bytes(fields[_ID], f"{what}.message-id", size=MESSAGE_ID_SIZE),
            digest=cbor.as_bytes(fields[_DIGEST], f"{what}.digest", size=HASH_SIZE),
            reader=as_name(fields[_READER], f"{what}.reader"),
            time=cbor.as_uint(fields[_TIME], f"{what}.time"),
            open_token=b""
            if token is None
            else cbor.as_bytes(token, f"{what}.token", size=HASH_SIZE),
            reason=""
            if reason is None
            else cbor.as_text(reason, f"{what}.reason", most=MAX_REASON),
        )

    def shows_opening(self, published: bytes) -> bool:
        """Tell whether the open-token is the one whose hash the sender published."""
        return self.verdict == READ and hmac.compare_digest(open_hash(self.open_token), published)
