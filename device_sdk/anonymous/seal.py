"""Sealing without a sender: a token instead of a countersignature (PROTOCOL 19.4). Pure."""

import os
from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from device_sdk.anonymous.store import Token
from device_sdk.seal import Sealed, WrapTarget, check_targets, new_message_id, wrap_all
from device_sdk.wire import cose, merkle
from device_sdk.wire.anonymous import (
    AnonymousBody,
    AnonymousEnvelope,
    SpentToken,
    anonymous_digest,
    token_mac,
)
from device_sdk.wire.anonymous_header import AnonymousHeader
from device_sdk.wire.content_key import cek_commitment
from device_sdk.wire.limits import ANONYMOUS_STEP, CEK_SIZE, IV_SIZE, MAX_LIFETIME
from device_sdk.wire.padding import pad


def round_expiry(expires: int, now: int) -> int:
    """Return an expiry, in Unix seconds, that does not tell whose clock it was: rounded up."""
    rounded = -(-expires // ANONYMOUS_STEP) * ANONYMOUS_STEP
    return rounded if rounded <= now + MAX_LIFETIME else rounded - ANONYMOUS_STEP


def seal_anonymous(
    payload: bytes,
    *,
    recipients: Sequence[WrapTarget],
    token: Token,
    aad: bytes,
    content_type: str,
    issued: int,
    expires: int,
    threads: int = 1,
) -> Sealed:
    """Seal a payload of at most 256 KiB to 1 to 1,000 readers of the token's channel.

    ``issued`` is Unix seconds, and rounded down; ``expires`` comes from `round_expiry`.

    Raises:
        SealError: no reader, too many, or one named twice.
        TooLargeError: the payload is over its limit.
    """
    targets = sorted(recipients, key=lambda target: target.reader)
    check_targets(targets)
    plaintext = pad(payload)
    cek, iv, message_id = os.urandom(CEK_SIZE), os.urandom(IV_SIZE), new_message_id()
    readers, leaves = wrap_all(targets, cek, message_id, threads)
    header = AnonymousHeader(
        content_type=content_type,
        iv=iv,
        channel=token.key.channel,
        expires=expires,
        issued=issued // ANONYMOUS_STEP * ANONYMOUS_STEP,
        message_id=message_id,
        reader_root=merkle.root(leaves),
        reader_count=len(readers),
        cek_commitment=cek_commitment(cek, message_id),
        key_id=token.key.key_id,
    )
    protected = header.encode()
    ciphertext = AESGCM(cek).encrypt(iv, plaintext, cose.encrypt_structure(protected, aad))
    digest = anonymous_digest(protected, aad, ciphertext)
    spent = SpentToken(token=token.token, mac=token_mac(token.output, message_id, digest))
    body = AnonymousBody(protected=protected, header=header, token=spent, ciphertext=ciphertext)
    return Sealed(
        header=header,
        digest=digest,
        envelope=AnonymousEnvelope(body=body, readers=tuple(readers)).encode(),
        open_hashes={reader.reader: reader.open_hash for reader in readers},
    )
