"""A fleet to test with: an owner, devices, rosters, and everything they sign, made from the wire.

Nothing here is needed to use Sealgate, and nothing here checks anything: tests bend and cross what
it makes. Reader keys are made up unless a test gives real ones: anybody can seal to a made-up key,
and nobody can open what is sealed to it, which is all that a gateway ever sees of any key.
"""

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from device_sdk.identity import Identity
from device_sdk.trust import Pin, Roster, complete_roster, verify_head
from device_sdk.wire import content_key, cose, merkle
from device_sdk.wire.envelope import Body, Copy, Envelope, Reader, countersign
from device_sdk.wire.excuse import Excuse
from device_sdk.wire.header import Header
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.limits import DAY
from device_sdk.wire.names import DIRECT
from device_sdk.wire.padding import pad
from device_sdk.wire.query import Query, Seen, Sent, Wanted
from device_sdk.wire.read_ack import NOT_OPENED, READ, UNREADABLE, ReadAck
from device_sdk.wire.reading_policy import Committed
from device_sdk.wire.roster_head import RosterHead
from device_sdk.wire.roster_page import (
    ROLE_DEVICE,
    ChannelEntry,
    DeviceEntry,
    RosterPage,
    page_hash,
    page_index,
)
from device_sdk.wire.suites import load_wrap_key
from device_sdk.wire.topics import Topics

NOW = 1_800_000_000
YEAR = 365 * DAY
TOPICS = Topics()
Prove = Callable[[Header, bytes], bytes]
"""From header and digest to the proof of a reading."""


def public_bytes(key: rsa.RSAPublicKey) -> bytes:
    """Return SubjectPublicKeyInfo DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def made_up_key(bits: int = 2048) -> bytes:
    """Return the SubjectPublicKeyInfo of an RSA key that nobody has the private half of."""
    modulus = random.getrandbits(bits) | 1 << (bits - 1) | 1
    return public_bytes(rsa.RSAPublicNumbers(65537, modulus).public_key())


@dataclass(frozen=True, kw_only=True)
class Member:
    """A device (or gateway) with its identity and its one reader key."""

    name: str
    identity: Identity
    reader_spki: bytes
    statement: bytes
    """The signed statement of its reader key."""

    @property
    def reader_kid(self) -> bytes:
        """16 bytes."""
        return load_wrap_key(self.reader_spki).kid

    def state_key(
        self,
        spki: bytes,
        *,
        serial: int,
        device: str = "",
        not_before: int = NOW - DAY,
        not_after: int = NOW + 90 * DAY,
    ) -> bytes:
        """Return another signed reader-key statement."""
        return _statement(self.identity, device or self.name, spki, serial, not_before, not_after)


@dataclass(frozen=True, kw_only=True)
class SealedMessage:
    """An envelope with the secrets its sender knows."""

    sender: str
    message_id: bytes
    envelope: Envelope
    digest: bytes
    cek: bytes

    @property
    def data(self) -> bytes:
        """What is published under `topic`."""
        return self.envelope.encode()

    @property
    def topic(self) -> str:
        """The envelope's own topic."""
        return TOPICS.send(self.sender, self.message_id)

    def copy(self, reader: str) -> Copy:
        """Return one reader's copy."""
        return next(c for c in self.envelope.copies() if c.reader.reader == reader)

    def open_token(self, reader: str) -> bytes:
        """Return what a reader shows to have had the message's key."""
        kid = next(r.kid for r in self.envelope.readers if r.reader == reader)
        return content_key.open_token(self.cek, self.message_id, kid, reader)


@dataclass(kw_only=True)
class Fleet:
    """An owner and the devices it admitted. Changes show in the next `roster`."""

    root: Identity = field(default_factory=Identity.generate)
    members: dict[str, Member] = field(default_factory=dict)
    entries: dict[str, DeviceEntry] = field(default_factory=dict)
    channels: dict[str, ChannelEntry] = field(default_factory=dict)
    version: int = NOW - DAY

    @property
    def pin(self) -> Pin:
        """The owner's root, pinned."""
        return Pin.from_spki(self.root.spki)

    def admit(
        self,
        *names: str,
        roles: Sequence[str] = (ROLE_DEVICE,),
        not_after: int = NOW + 2 * YEAR,
        reader_key: rsa.RSAPrivateKey | None = None,
    ) -> Member:
        """Admit devices; return the last one."""
        for name in names:
            identity = Identity.generate()
            spki = public_bytes(reader_key.public_key()) if reader_key else made_up_key()
            signed = _statement(identity, name, spki, NOW - DAY, NOW - DAY, NOW + 90 * DAY)
            self.members[name] = Member(
                name=name, identity=identity, reader_spki=spki, statement=signed
            )
            self.entries[name] = DeviceEntry(
                identities=(identity.spki,), roles=tuple(roles), not_after=not_after
            )
        return self.members[names[-1]]

    def revoke(self, *names: str) -> None:
        """Revoke devices from the next roster version on."""
        for name in names:
            self.entries[name] = replace(self.entries[name], revoked_at=self.version + 1)

    def signed_roster(
        self, *, expires: int = NOW + YEAR, pages: int = 1, signer: Identity | None = None
    ) -> tuple[bytes, list[bytes]]:
        """Return (head, pages) of the next version."""
        self.version += 1
        parts = []
        for index in range(pages):
            page = RosterPage(
                devices={n: e for n, e in self.entries.items() if page_index(n, pages) == index},
                channels={n: e for n, e in self.channels.items() if page_index(n, pages) == index},
            )
            parts.append(page.encode())
        head = RosterHead(
            fleet_id=self.pin.fleet_id,
            version=self.version,
            issued=NOW - DAY,
            expires=expires,
            page_hashes=tuple(page_hash(part) for part in parts),
        )
        return cose.sign(head, signer or self.root, self.pin.aad), parts

    def roster(self, *, expires: int = NOW + YEAR, pages: int = 1) -> Roster:
        """Return the next version, verified."""
        head, parts = self.signed_roster(expires=expires, pages=pages)
        return complete_roster(
            verify_head(self.pin, head), {page_hash(part): part for part in parts}
        )

    def seal(
        self,
        sender: str,
        readers: Sequence[str],
        payload: bytes = b"21.5",
        *,
        message_id: bytes = b"",
        channel: str = DIRECT,
        issued: int = NOW,
        expires: int = NOW + 7 * DAY,
        signer: Identity | None = None,
        sender_kid: bytes = b"",
        reader_root: bytes = b"",
        sequence: int = 1,
        reading: Committed | None = None,
        prove: Prove | None = None,
    ) -> SealedMessage:
        """Seal a message; ``signer`` to ``reader_root`` make it a wrong one.

        ``reading`` says what it commits to, and ``prove`` makes the proof of it.
        """
        signer = signer or self.members[sender].identity
        message_id, cek = message_id or os.urandom(16), os.urandom(32)
        entries = tuple(self._wrap(name, cek, message_id) for name in sorted(readers))
        leaves = [entry.leaf_hash() for entry in entries] or [bytes(32)]
        header = Header(
            content_type="text/plain",
            sender_kid=sender_kid or signer.kid,
            iv=os.urandom(12),
            sender=sender,
            channel=channel,
            expires=expires,
            issued=issued,
            message_id=message_id,
            reader_root=reader_root or merkle.root(leaves),
            reader_count=len(entries),
            cek_commitment=content_key.cek_commitment(cek, message_id),
            sequence=sequence,
            reading=reading,
        )
        protected = header.encode()
        structure = cose.encrypt_structure(protected, self.pin.aad)
        ciphertext = AESGCM(cek).encrypt(header.iv, pad(payload), structure)
        signature, digest = countersign(protected, ciphertext, signer, self.pin.aad)
        body = Body(
            protected=protected, header=header, countersignature=signature, ciphertext=ciphertext
        )
        return SealedMessage(
            sender=sender,
            message_id=message_id,
            envelope=Envelope(
                body=body,
                readers=entries,
                proof=prove(header, digest) if prove is not None else b"",
            ),
            digest=digest,
            cek=cek,
        )

    def _wrap(self, name: str, cek: bytes, message_id: bytes) -> Reader:
        key = load_wrap_key(self.members[name].reader_spki)
        token = content_key.open_token(cek, message_id, key.kid, name)
        return Reader(
            reader=name,
            kid=key.kid,
            open_hash=content_key.open_hash(token),
            wrapped_cek=key.wrap(cek),
        )

    def read_ack(
        self,
        message: SealedMessage,
        reader: str,
        /,
        *,
        verdict: str = READ,
        signer: Identity | None = None,
        **changes: object,
    ) -> bytes:
        """Return a signed read ack; ``changes`` replace fields of it."""
        ack = ReadAck(
            verdict=verdict,
            sender=message.sender,
            message_id=message.message_id,
            digest=message.digest,
            reader=reader,
            time=NOW,
            open_token=message.open_token(reader) if verdict == READ else b"",
            reason=NOT_OPENED if verdict == UNREADABLE else "",
        )
        ack = replace(ack, **changes)  # type: ignore[arg-type]
        return cose.sign(ack, signer or self.members[reader].identity, self.pin.aad)

    def query(
        self,
        device: str,
        *,
        sent: Sequence[SealedMessage] = (),
        wanted: Sequence[SealedMessage] = (),
        signer: Identity | None = None,
    ) -> bytes:
        """Return a signed query."""
        query = Query(
            device=device,
            time=NOW,
            nonce=os.urandom(16),
            sent=tuple(Sent(message_id=m.message_id, digest=m.digest) for m in sent),
            wanted=tuple(Wanted(sender=m.sender, message_id=m.message_id) for m in wanted),
        )
        return cose.sign(query, signer or self.members[device].identity, self.pin.aad)

    def seen(self, device: str, *messages: SealedMessage, signer: Identity | None = None) -> bytes:
        """Return a signed *seen*."""
        noted = tuple(Sent(message_id=m.message_id, digest=m.digest) for m in messages)
        seen = Seen(device=device, time=NOW, messages=noted)
        return cose.sign(seen, signer or self.members[device].identity, self.pin.aad)

    def excuse(
        self, message: SealedMessage, *readers: str, signer: Identity | None = None
    ) -> bytes:
        """Return the owner's signed excuse."""
        excuse = Excuse(
            sender=message.sender, message_id=message.message_id, readers=readers, time=NOW
        )
        return cose.sign(excuse, signer or self.root, self.pin.aad)


def _statement(
    identity: Identity, device: str, spki: bytes, serial: int, not_before: int, not_after: int
) -> bytes:
    statement = KeyStatement(
        device=device, spki=spki, not_before=not_before, not_after=not_after, serial=serial
    )
    return cose.sign(statement, identity, cose.FLEETLESS_AAD)
