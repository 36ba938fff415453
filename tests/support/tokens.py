"""Anonymous messages and requests for tokens, made from the wire: tests bend and cross them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from device_sdk.identity import Identity
from device_sdk.proofs import oprf as client
from device_sdk.proofs.group import RISTRETTO255
from device_sdk.wire import content_key, cose, merkle
from device_sdk.wire.anonymous import (
    AnonymousBody,
    AnonymousEnvelope,
    SpentToken,
    anonymous_digest,
    token_mac,
)
from device_sdk.wire.anonymous_header import AnonymousHeader
from device_sdk.wire.anonymous_rule import AnonymousRule
from device_sdk.wire.limits import DAY
from device_sdk.wire.names import ANONYMOUS
from device_sdk.wire.padding import pad
from device_sdk.wire.roster_page import ChannelEntry
from device_sdk.wire.token_request import TokenRequest
from gateway import oprf
from gateway.store.records import StoredTokenKey
from tests.support.envelopes import NOW, Fleet, SealedMessage

CHANNEL = "suggestions"
RULE = AnonymousRule(epoch=DAY, tokens=5)


def open_channel(fleet: Fleet, name: str = CHANNEL, rule: AnonymousRule | None = RULE) -> None:
    """Let thermo and wall write to hub and phone, without saying which of them it was."""
    fleet.channels[name] = ChannelEntry(
        readers=("hub", "phone"), senders=("thermo", "wall"), lifetime=7 * DAY, anonymous=rule
    )


@dataclass(frozen=True, kw_only=True)
class SealedAnonymous(SealedMessage):
    """An anonymous envelope with the secrets its sender knows."""

    envelope: Any

    @property
    def token(self) -> bytes:
        """The token that it spends."""
        return bytes(self.envelope.body.token.token)


def seal_anonymous(
    fleet: Fleet,
    stored: StoredTokenKey,
    readers: Sequence[str] = ("hub", "phone"),
    payload: bytes = b"more tea",
    *,
    token: bytes = b"",
    seed: bytes = b"",
    output: bytes = b"",
    channel: str = "",
    issued: int = NOW,
    expires: int = NOW + DAY,
    message_id: bytes = b"",
    mac: bytes = b"",
) -> SealedAnonymous:
    """Spend a token: one with its ``output``, or one that is calculated from the gateway's own key
    as if it had been issued."""
    message_id, cek = message_id or os.urandom(16), os.urandom(32)
    entries = tuple(fleet._wrap(name, cek, message_id) for name in sorted(readers))
    header = AnonymousHeader(
        content_type="text/plain",
        iv=os.urandom(12),
        channel=channel or stored.key.channel,
        expires=expires,
        issued=issued,
        message_id=message_id,
        reader_root=merkle.root([entry.leaf_hash() for entry in entries]),
        reader_count=len(entries),
        cek_commitment=content_key.cek_commitment(cek, message_id),
        key_id=stored.key.key_id,
    )
    protected, aad = header.encode(), fleet.pin.aad
    structure = cose.encrypt_structure(protected, aad)
    ciphertext = AESGCM(cek).encrypt(header.iv, pad(payload), structure)
    digest, token = anonymous_digest(protected, aad, ciphertext), token or os.urandom(32)
    output = output or oprf.output_of(seed or stored.seed, token)
    spent = SpentToken(token=token, mac=mac or token_mac(output, message_id, digest))
    body = AnonymousBody(protected=protected, header=header, token=spent, ciphertext=ciphertext)
    return SealedAnonymous(
        sender=ANONYMOUS,
        message_id=message_id,
        envelope=AnonymousEnvelope(body=body, readers=entries),
        digest=digest,
        cek=cek,
    )


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Tokens that a device would like to have, and their blinds."""

    tokens: list[bytes]
    blinds: list[bytes]

    @classmethod
    def of(cls, count: int) -> "Wish":
        """Return so many."""
        return cls(
            tokens=[os.urandom(32) for _ in range(count)],
            blinds=[RISTRETTO255.random_scalar() for _ in range(count)],
        )

    def request(self, device: str, key_id: bytes) -> TokenRequest:
        """Ask for them."""
        blinded = [client.blind(x, r) for x, r in zip(self.tokens, self.blinds, strict=True)]
        return TokenRequest(device=device, key_id=key_id, blinded=tuple(blinded))


def signed_request(fleet: Fleet, request: TokenRequest, signer: Identity | None = None) -> bytes:
    """Return what a device publishes."""
    return cose.sign(request, signer or fleet.members[request.device].identity, fleet.pin.aad)
