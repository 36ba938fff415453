"""The sealed message: readers, envelope, and a reader's copy of it (PROTOCOL 5, 6).

A message's way: the sender makes an `Envelope` with all readers; the gateway checks it and cuts it
into one `Copy` a reader; the reader checks its copy and opens it. Nothing here can open anything.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

from device_sdk.wire import cbor, cose, merkle
from device_sdk.wire.errors import InclusionError, MalformedError
from device_sdk.wire.header import TYP, Header
from device_sdk.wire.limits import (
    HASH_SIZE,
    KID_SIZE,
    MAX_CIPHERTEXT,
    MAX_COPY,
    MAX_COUNTERSIGNATURE,
    MAX_ENVELOPE,
    MAX_PROOF,
    MAX_READERS,
    MAX_SIGNATURE,
    MIN_PADDED,
    TAG_SIZE,
)
from device_sdk.wire.names import as_name
from device_sdk.wire.suites import RSA_OAEP_SHA256, Signer, VerifyKey

_INCLUSION_PATH, _OPEN_HASH, _READER_ID, _PROOF = -70004, -70005, -70007, -70008
_READER_KEYS = (cose.ALG, cose.KID, _OPEN_HASH, _READER_ID)

ENCRYPT_TAG = b"\xd8\x60"
_MAX_PATH = (MAX_READERS - 1).bit_length()


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """One reader's entry: the content key, wrapped for it (PROTOCOL 5.2)."""

    reader: str
    kid: bytes
    """Of the reader key that the content key is wrapped to."""
    open_hash: bytes
    wrapped_cek: bytes

    def leaf_hash(self) -> bytes:
        """Return this reader's leaf in the tree under the header's reader-root."""
        return merkle.leaf_hash(
            cbor.encode([RSA_OAEP_SHA256, self.reader, self.kid, self.wrapped_cek, self.open_hash])
        )

    def to_cbor(self) -> list[Any]:
        """Return the COSE_recipient."""
        return [b"", _reader_header(self), self.wrapped_cek]


@dataclass(frozen=True, kw_only=True, slots=True)
class Inclusion:
    """Where a copy's reader stands in the sender's reader list."""

    index: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Countersignature:
    """The sender's signature over header and ciphertext (RFC 9338 3.1)."""

    protected: bytes
    alg: int
    kid: bytes
    signature: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """What envelope and copies have in common, and what the sender signs."""

    protected: bytes
    header: Header
    countersignature: Countersignature
    ciphertext: bytes

    def signed_bytes(self, aad: bytes) -> bytes:
        """Return the encoded Countersign_structure."""
        return cose.countersign_structure(
            self.protected, self.countersignature.protected, aad, self.ciphertext
        )

    def verify(self, key: VerifyKey, aad: bytes) -> bytes:
        """Return the message's digest, 32 bytes (PROTOCOL 5.5).

        Raises:
            SignatureError: not countersigned by ``key``, or for another fleet than ``aad`` names.
        """
        cose.check_signer(self.countersignature.alg, self.countersignature.kid, key)
        signed = self.signed_bytes(aad)
        key.verify(self.countersignature.signature, signed)
        return digest(signed)


def digest(signed_bytes: bytes) -> bytes:
    """Return SHA-256 of the encoded Countersign_structure: the message's digest."""
    return hashlib.sha256(signed_bytes).digest()


def countersign(
    protected: bytes, ciphertext: bytes, signer: Signer, aad: bytes
) -> tuple[Countersignature, bytes]:
    """Sign header and ciphertext; return the countersignature and the message's digest."""
    sign_protected = cose.signer_header(signer.alg, signer.kid, TYP)
    signed = cose.countersign_structure(protected, sign_protected, aad, ciphertext)
    signature = Countersignature(
        protected=sign_protected, alg=signer.alg, kid=signer.kid, signature=signer.sign(signed)
    )
    return signature, digest(signed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """A sealed message with all its readers, as the sender publishes it."""

    body: Body
    readers: tuple[Reader, ...]
    """Sorted by reader id, each once."""
    proof: bytes = b""
    """That the committed reading is in its range (PROTOCOL 17.3); empty if there is none. No digest
    covers it, and no copy has it."""

    def encode(self) -> bytes:
        """Return the tagged COSE_Encrypt."""
        body, signature = self.body, self.body.countersignature
        return _encode(
            body.protected,
            signature.protected,
            signature.signature,
            body.ciphertext,
            [reader.to_cbor() for reader in self.readers],
            proof=self.proof,
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode an envelope. Raises MalformedError, TooLargeError.

        Readers in order, each once, is part of the shape; that they are the readers the sender
        signed is `check_readers`.
        """
        body, proof, entries = _decode(
            data, "envelope", limit=MAX_ENVELOPE, most_readers=MAX_READERS, optional=(_PROOF,)
        )
        return cls(body=body, readers=parse_readers(entries), proof=proof)

    def check_readers(self) -> list[bytes]:
        """Return the leaf hashes after comparing their root and count with the signed header.

        Raises:
            InclusionError: the reader list is not the one the sender signed.
        """
        header = self.body.header
        return check_reader_list(self.readers, root=header.reader_root, count=header.reader_count)

    def copies(self) -> "list[Copy]":
        """Cut the envelope into one copy a reader. Raises InclusionError as `check_readers`."""
        inclusions = inclusions_of(self.check_readers())
        return [
            Copy(body=self.body, reader=reader, inclusion=inclusion)
            for reader, inclusion in zip(self.readers, inclusions, strict=True)
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """The envelope cut down to one reader, as that reader receives it."""

    body: Body
    reader: Reader
    inclusion: Inclusion

    def encode(self) -> bytes:
        """Return the tagged COSE_Encrypt with one recipient."""
        body, signature = self.body, self.body.countersignature
        return encode_copy(
            body.protected,
            signature.protected,
            signature.signature,
            body.ciphertext,
            reader=self.reader,
            inclusion=self.inclusion,
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a copy. Raises MalformedError, TooLargeError."""
        body, _, entries = _decode(data, "copy", limit=MAX_COPY, most_readers=1)
        reader, inclusion = parse_copy_reader(entries[0])
        return cls(body=body, reader=reader, inclusion=inclusion)

    def check_inclusion(self) -> None:
        """Raise InclusionError unless this reader is one that the sender signed for."""
        merkle.check_inclusion(
            self.reader.leaf_hash(),
            index=self.inclusion.index,
            count=self.body.header.reader_count,
            path=self.inclusion.path,
            expected_root=self.body.header.reader_root,
        )


def encode_copy(
    protected: bytes,
    sign_protected: bytes,
    signature: bytes,
    ciphertext: bytes,
    *,
    reader: Reader,
    inclusion: Inclusion,
) -> bytes:
    """Return a copy's bytes from its parts as they are: none is decoded to be encoded again."""
    entry = copy_reader_to_cbor(reader, inclusion)
    return _encode(protected, sign_protected, signature, ciphertext, [entry])


def copy_reader_to_cbor(reader: Reader, inclusion: Inclusion) -> list[Any]:
    """Return the COSE_recipient of a copy."""
    return [b"", _reader_header(reader, inclusion), reader.wrapped_cek]


def _encode(
    protected: bytes,
    sign_protected: bytes,
    signature: bytes,
    ciphertext: bytes,
    recipients: Sequence[list[Any]],
    *,
    proof: bytes = b"",
) -> bytes:
    unprotected: dict[int, Any] = {cose.COUNTERSIGNATURE: [sign_protected, {}, signature]}
    if proof:
        unprotected[_PROOF] = proof
    return ENCRYPT_TAG + cbor.encode([protected, unprotected, ciphertext, recipients])


def _reader_header(reader: Reader, inclusion: Inclusion | None = None) -> dict[int, Any]:
    header: dict[int, Any] = {cose.ALG: RSA_OAEP_SHA256, cose.KID: reader.kid}
    if inclusion is not None:
        header[_INCLUSION_PATH] = [inclusion.index, list(inclusion.path)]
    header[_OPEN_HASH] = reader.open_hash
    header[_READER_ID] = reader.reader
    return header


def check_reader_list(readers: Sequence[Reader], *, root: bytes, count: int) -> list[bytes]:
    """Return the leaf hashes of a reader list; InclusionError unless it has this root and count."""
    leaves = [reader.leaf_hash() for reader in readers]
    if len(leaves) != count or merkle.root(leaves) != root:
        raise InclusionError("the reader list is not the one that the sender signed")
    return leaves


def inclusions_of(leaves: list[bytes]) -> list[Inclusion]:
    """Return each reader's place in the list whose leaf hashes these are."""
    return [
        Inclusion(index=index, path=tuple(path)) for index, path in enumerate(merkle.paths(leaves))
    ]


def _decode(
    data: bytes, what: str, *, limit: int, most_readers: int, optional: tuple[int, ...] = ()
) -> tuple[Body, bytes, list[Any]]:
    """Return what envelope and copies have in common, the proof, and the readers' entries."""
    if data[:2] != ENCRYPT_TAG:
        raise MalformedError(what, expected="a COSE_Encrypt (tag 96)", got="something else")
    fields = cbor.as_array(cbor.decode(data[2:], what, limit=limit), what, length=4)
    protected = cbor.as_bytes(fields[0], f"{what}.protected")
    unprotected = cbor.as_map(fields[1], f"{what}.unprotected", (cose.COUNTERSIGNATURE,), optional)
    header = Header.decode(protected)
    body = Body(
        protected=protected,
        header=header,
        countersignature=_parse_countersignature(unprotected[cose.COUNTERSIGNATURE], header),
        ciphertext=cbor.as_bytes(
            fields[2], f"{what}.ciphertext", least=MIN_PADDED + TAG_SIZE, most=MAX_CIPHERTEXT
        ),
    )
    proof = b""
    if _PROOF in unprotected:
        proof = cbor.as_bytes(unprotected[_PROOF], f"{what}.proof", least=1, most=MAX_PROOF)
    return body, proof, cbor.as_array(fields[3], f"{what}.readers", least=1, most=most_readers)


def _parse_countersignature(value: Any, header: Header) -> Countersignature:
    what = "countersignature"
    protected, unprotected, signature = cbor.as_array(value, what, length=3)
    cbor.as_map(unprotected, f"{what}.unprotected", ())
    protected = cbor.as_bytes(protected, what, most=MAX_COUNTERSIGNATURE - MAX_SIGNATURE)
    alg, kid = cose.parse_signer_header(protected, what, typ=TYP)
    if kid != header.sender_kid:
        raise MalformedError(f"{what}.kid", expected="the header's sender kid", got="another kid")
    signature = cbor.as_bytes(signature, what, most=MAX_SIGNATURE)
    return Countersignature(protected=protected, alg=alg, kid=kid, signature=signature)


def parse_readers(entries: Sequence[Any]) -> tuple[Reader, ...]:
    """Return an envelope's readers from decoded CBOR, in order. Raises MalformedError."""
    readers = tuple(_parse_reader(entry, _READER_KEYS)[0] for entry in entries)
    names = [reader.reader for reader in readers]
    if any(a >= b for a, b in pairwise(names)):
        raise MalformedError(
            "envelope.readers", expected="readers sorted, each once", got="another order"
        )
    return readers


def parse_copy_reader(entry: Any) -> tuple[Reader, Inclusion]:
    """Return a copy's reader and its place from decoded CBOR. Raises MalformedError."""
    reader, fields = _parse_reader(entry, (*_READER_KEYS, _INCLUSION_PATH))
    return reader, _parse_inclusion(fields[_INCLUSION_PATH])


def _parse_reader(entry: Any, keys: tuple[int, ...]) -> tuple[Reader, dict[int, Any]]:
    what = "reader"
    protected, fields, wrapped = cbor.as_array(entry, what, length=3)
    cbor.as_bytes(protected, f"{what}.protected", size=0)
    fields = cbor.as_map(fields, what, keys)
    if fields[cose.ALG] != RSA_OAEP_SHA256:
        raise MalformedError(f"{what}.alg", expected="RSAES-OAEP (-41)", got="another algorithm")
    reader = Reader(
        reader=as_name(fields[_READER_ID], f"{what}.reader-id"),
        kid=cbor.as_bytes(fields[cose.KID], f"{what}.kid", size=KID_SIZE),
        open_hash=cbor.as_bytes(fields[_OPEN_HASH], f"{what}.open-hash", size=HASH_SIZE),
        wrapped_cek=cbor.as_bytes(wrapped, f"{what}.wrapped-cek", least=256, most=512),
    )
    return reader, fields


def _parse_inclusion(value: Any) -> Inclusion:
    what = "reader.inclusion-path"
    index, path = cbor.as_array(value, what, length=2)
    return Inclusion(
        index=cbor.as_uint(index, what, most=MAX_READERS - 1),
        path=tuple(
            cbor.as_bytes(item, what, size=HASH_SIZE)
            for item in cbor.as_array(path, what, most=_MAX_PATH)
        ),
    )
