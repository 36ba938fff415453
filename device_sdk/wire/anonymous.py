"""An anonymous message: a token stands where a sealed message has its sender (PROTOCOL 19.4).

The token binds message and topic: whoever has not the token's key can neither move it to another
message nor make one. Readers and their tree are those of every message.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from device_sdk.wire import cbor, merkle
from device_sdk.wire.anonymous_header import AnonymousHeader
from device_sdk.wire.envelope import (
    ENCRYPT_TAG,
    Copy,
    Envelope,
    Inclusion,
    Reader,
    check_reader_list,
    copy_reader_to_cbor,
    inclusions_of,
    parse_copy_reader,
    parse_readers,
)
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.header import Header
from device_sdk.wire.limits import (
    HASH_SIZE,
    MAX_CIPHERTEXT,
    MAX_COPY,
    MAX_ENVELOPE,
    MAX_READERS,
    MIN_PADDED,
    TAG_SIZE,
)
from device_sdk.wire.names import ANONYMOUS

TOKEN_SIZE = 32
"""Random bytes of a token: what goes into the pseudorandom function."""
_TOKEN = -70011
_MAC_LABEL = b"sealgate 1 anonymous"


@dataclass(frozen=True, kw_only=True, slots=True)
class SpentToken:
    """A token in the message that it was spent for."""

    token: bytes
    """32 bytes that nobody has seen before."""
    mac: bytes
    """32 bytes, see `token_mac`."""

    def to_cbor(self) -> list[bytes]:
        """Return the token as it stands beside the header."""
        return [self.token, self.mac]

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Return the token from decoded CBOR. Raises MalformedError."""
        what = "token"
        token, mac = cbor.as_array(value, what, length=2)
        return cls(
            token=cbor.as_bytes(token, what, size=TOKEN_SIZE),
            mac=cbor.as_bytes(mac, f"{what}.mac", size=HASH_SIZE),
        )


def token_mac(output: bytes, message_id: bytes, digest: bytes) -> bytes:
    """Return what binds a token to one message and its topic: 32 bytes.

    ``output`` is the pseudorandom function's value for the token, 64 bytes.
    """
    topic = f"send/{ANONYMOUS}/{message_id.hex()}"
    return hmac.digest(output, _MAC_LABEL + topic.encode() + digest, hashlib.sha256)


@dataclass(frozen=True, kw_only=True, slots=True)
class AnonymousBody:
    """What envelope and copies of an anonymous message have in common."""

    protected: bytes
    header: AnonymousHeader
    token: SpentToken
    ciphertext: bytes

    def digest(self, aad: bytes) -> bytes:
        """Return the message's digest, 32 bytes. It does not cover the token."""
        return anonymous_digest(self.protected, aad, self.ciphertext)


def anonymous_digest(protected: bytes, aad: bytes, ciphertext: bytes) -> bytes:
    """Return SHA-256 of the encoded Anonymous_structure: an anonymous message's digest."""
    structure = cbor.encode(["Anonymous", protected, aad, ciphertext])
    return hashlib.sha256(structure).digest()


@dataclass(frozen=True, kw_only=True, slots=True)
class AnonymousEnvelope:
    """An anonymous message with all its readers, as it is published."""

    body: AnonymousBody
    readers: tuple[Reader, ...]
    """Sorted by reader id, each once."""

    @property
    def proof(self) -> bytes:
        """There is none: no channel takes both readings and anonymous messages."""
        return b""

    def encode(self) -> bytes:
        """Return the tagged COSE_Encrypt."""
        body = self.body
        readers = [reader.to_cbor() for reader in self.readers]
        return _encode(body.protected, body.token, body.ciphertext, readers)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode an envelope. Raises MalformedError, TooLargeError."""
        body, entries = _decode(
            data, "anonymous-envelope", limit=MAX_ENVELOPE, most_readers=MAX_READERS
        )
        return cls(body=body, readers=parse_readers(entries))

    def copies(self) -> "list[AnonymousCopy]":
        """Cut the envelope into one copy a reader.

        Raises:
            InclusionError: the reader list is not the one that the header names.
        """
        header = self.body.header
        leaves = check_reader_list(self.readers, root=header.reader_root, count=header.reader_count)
        return [
            AnonymousCopy(body=self.body, reader=reader, inclusion=inclusion)
            for reader, inclusion in zip(self.readers, inclusions_of(leaves), strict=True)
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class AnonymousCopy:
    """An anonymous envelope cut down to one reader. It keeps its token: a gateway whose ledger was
    restored from a backup knows by it that the token is spent."""

    body: AnonymousBody
    reader: Reader
    inclusion: Inclusion

    def encode(self) -> bytes:
        """Return the tagged COSE_Encrypt with one recipient."""
        body = self.body
        return encode_anonymous_copy(
            body.protected,
            body.token,
            body.ciphertext,
            reader=self.reader,
            inclusion=self.inclusion,
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a copy. Raises MalformedError, TooLargeError."""
        body, entries = _decode(data, "anonymous-copy", limit=MAX_COPY, most_readers=1)
        reader, inclusion = parse_copy_reader(entries[0])
        return cls(body=body, reader=reader, inclusion=inclusion)

    def check_inclusion(self) -> None:
        """Raise InclusionError unless this reader is one that the header stands for."""
        merkle.check_inclusion(
            self.reader.leaf_hash(),
            index=self.inclusion.index,
            count=self.body.header.reader_count,
            path=self.inclusion.path,
            expected_root=self.body.header.reader_root,
        )


AnyEnvelope = Envelope | AnonymousEnvelope
AnyCopy = Copy | AnonymousCopy
AnyHeader = Header | AnonymousHeader


def encode_anonymous_copy(
    protected: bytes,
    token: SpentToken,
    ciphertext: bytes,
    *,
    reader: Reader,
    inclusion: Inclusion,
) -> bytes:
    """Return a copy's bytes from its parts as they are: none is decoded to be encoded again."""
    return _encode(protected, token, ciphertext, [copy_reader_to_cbor(reader, inclusion)])


def _encode(
    protected: bytes, token: SpentToken, ciphertext: bytes, recipients: Sequence[list[Any]]
) -> bytes:
    unprotected = {_TOKEN: token.to_cbor()}
    return ENCRYPT_TAG + cbor.encode([protected, unprotected, ciphertext, recipients])


def _decode(
    data: bytes, what: str, *, limit: int, most_readers: int
) -> tuple[AnonymousBody, list[Any]]:
    if data[:2] != ENCRYPT_TAG:
        raise MalformedError(what, expected="a COSE_Encrypt (tag 96)", got="something else")
    fields = cbor.as_array(cbor.decode(data[2:], what, limit=limit), what, length=4)
    protected = cbor.as_bytes(fields[0], f"{what}.protected")
    unprotected = cbor.as_map(fields[1], f"{what}.unprotected", (_TOKEN,))
    body = AnonymousBody(
        protected=protected,
        header=AnonymousHeader.decode(protected),
        token=SpentToken.parse(unprotected[_TOKEN]),
        ciphertext=cbor.as_bytes(
            fields[2], f"{what}.ciphertext", least=MIN_PADDED + TAG_SIZE, most=MAX_CIPHERTEXT
        ),
    )
    return body, cbor.as_array(fields[3], f"{what}.readers", least=1, most=most_readers)
