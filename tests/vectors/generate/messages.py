"""Makes messages, also such as only a dishonest sender would make."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from device_sdk.wire import cose, merkle
from device_sdk.wire.content_key import cek_commitment, open_hash, open_token
from device_sdk.wire.envelope import Body, Copy, Envelope, Reader, countersign
from device_sdk.wire.header import Header
from device_sdk.wire.padding import pad
from device_sdk.wire.suites import key_id
from tests.vectors.generate.fixed import FixedSigner, fixed_bytes, spki, wrap
from tests.vectors.generate.fleet import AAD, DAY, NOW, READER_KEYS, signer

PAYLOAD = b'{"temperature": 21.5}'
TWO_READERS = {"hub": READER_KEYS["hub"], "lamp": READER_KEYS["lamp"]}


@dataclass(frozen=True)
class Message:
    """A message in the making; `sealed` finishes it."""

    name: str
    """Decides every byte that is random elsewhere."""
    readers: Mapping[str, str]
    """Reader ids and the published keys that the content key is wrapped to."""
    sender: str = "thermo-1"
    signer: FixedSigner | None = None
    aad: bytes = AAD
    plaintext: bytes = b""
    """Given instead of the padded PAYLOAD."""
    cek: bytes = b""
    wrapped: bytes = b""
    """What is wrapped instead of the content key."""
    ciphertext: bytes = b""
    """Given instead of the encrypted plaintext."""
    header: Mapping[str, Any] | None = None
    """Header fields to replace."""
    token_for: str = ""
    """Another reader, for whom the open-tokens are made."""

    @property
    def message_id(self) -> bytes:
        """16 bytes."""
        return fixed_bytes(f"{self.name} id", 16)

    @property
    def content_key(self) -> bytes:
        """The content key that encrypts and commits."""
        return self.cek or fixed_bytes(f"{self.name} cek", 32)

    def reader(self, name: str) -> Reader:
        """Return one reader's entry."""
        cek = self.wrapped or self.content_key
        kid = key_id(spki(self.readers[name]))
        token = open_token(cek, self.message_id, kid, self.token_for or name)
        return Reader(
            reader=name,
            kid=kid,
            open_hash=open_hash(token),
            wrapped_cek=wrap(self.readers[name], cek),
        )

    def make_header(self, readers: list[Reader]) -> Header:
        """Return the header over these readers."""
        header = Header(
            content_type="application/json",
            sender_kid=(self.signer or signer(self.sender)).kid,
            iv=fixed_bytes(f"{self.name} iv", 12),
            sender=self.sender,
            channel="direct",
            expires=NOW + 7 * DAY,
            issued=NOW,
            message_id=self.message_id,
            reader_root=merkle.root([reader.leaf_hash() for reader in readers]),
            reader_count=len(readers),
            cek_commitment=cek_commitment(self.content_key, self.message_id),
            sequence=1,
        )
        return replace(header, **(self.header or {}))

    def sealed(self) -> Envelope:
        """Return the envelope."""
        readers = [self.reader(name) for name in sorted(self.readers)]
        header = self.make_header(readers)
        ciphertext = self.ciphertext or AESGCM(self.content_key).encrypt(
            header.iv,
            self.plaintext or pad(PAYLOAD),
            cose.encrypt_structure(header.encode(), self.aad),
        )
        return assemble(
            header, ciphertext, readers, self.signer or signer(self.sender), aad=self.aad
        )

    def copy(self, reader: str) -> Copy:
        """Return one reader's copy."""
        return next(c for c in self.sealed().copies() if c.reader.reader == reader)


def assemble(
    header: Header, ciphertext: bytes, readers: list[Reader], by: FixedSigner, aad: bytes = AAD
) -> Envelope:
    """Sign header and ciphertext, whatever they are worth."""
    protected = header.encode()
    signature, _ = countersign(protected, ciphertext, by, aad)
    body = Body(
        protected=protected, header=header, countersignature=signature, ciphertext=ciphertext
    )
    return Envelope(body=body, readers=tuple(readers))


def digest(envelope: Envelope | Copy, aad: bytes = AAD) -> bytes:
    """Return the message's digest (PROTOCOL 5.5)."""
    return hashlib.sha256(envelope.body.signed_bytes(aad)).digest()


def topic(copy: Copy, reader: str = "") -> str:
    """Return the topic under which a copy stands."""
    header = copy.body.header
    name = reader or copy.reader.reader
    return f"sealgate/1/inbox/{name}/{header.sender}/{header.message_id.hex()}"
