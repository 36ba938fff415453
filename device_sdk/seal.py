"""Sealing: payload and readers in, an envelope out that only they can open (PROTOCOL 5). Pure."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from device_sdk.wire import cose, merkle
from device_sdk.wire.anonymous import AnyHeader
from device_sdk.wire.content_key import cek_commitment, open_hash, open_token
from device_sdk.wire.envelope import Body, Envelope, Reader, countersign
from device_sdk.wire.errors import SealgateError
from device_sdk.wire.header import Header
from device_sdk.wire.limits import CEK_SIZE, IV_SIZE, MAX_READERS, MESSAGE_ID_SIZE
from device_sdk.wire.names import DIRECT
from device_sdk.wire.padding import pad
from device_sdk.wire.reading_policy import Committed
from device_sdk.wire.suites import Signer, WrapKey

_LEAST_PER_THREAD = 8
"""Fewer wraps than this are done before another thread has begun."""


class SealError(SealgateError):
    """A message that cannot be sealed as asked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WrapTarget:
    """Somebody to seal to."""

    reader: str
    key: WrapKey


@dataclass(frozen=True, kw_only=True, slots=True)
class Sealed:
    """A sealed message, and what its sender keeps to check the readers' acks."""

    header: AnyHeader
    digest: bytes
    envelope: bytes
    """To be sent as it is, also on every retry: a content key is never used for other bytes."""
    open_hashes: dict[str, bytes]

    @property
    def message_id(self) -> bytes:
        """16 random bytes."""
        return self.header.message_id


@dataclass(frozen=True, kw_only=True, slots=True)
class CommittedReading:
    """A reading that is committed to before its message is sealed, as its blinding depends on the
    message's id, and proved to be in its range afterwards, as the proof is for the digest."""

    message_id: bytes
    committed: Committed
    prove: Callable[[Header, bytes], bytes] = field(repr=False)
    """From header and digest to the proof."""


def new_message_id() -> bytes:
    """Return 16 random bytes."""
    return os.urandom(MESSAGE_ID_SIZE)


def seal(
    payload: bytes,
    *,
    recipients: Sequence[WrapTarget],
    sender: str,
    signer: Signer,
    aad: bytes,
    content_type: str,
    issued: int,
    expires: int,
    sequence: int,
    channel: str = DIRECT,
    tree_head: bytes = b"",
    threads: int = 1,
    reading: CommittedReading | None = None,
) -> Sealed:
    """Seal a payload of at most 256 KiB to 1 to 1,000 readers.

    ``issued`` and ``expires`` are Unix seconds. ``tree_head`` is the signed head of the gateway's
    log that the sender believes, if any. ``threads`` spreads the RSA wraps of many readers; RSA
    lets go of the interpreter. ``reading`` is what the payload was made of, if it is a reading.

    Raises:
        SealError: no reader, too many, or one named twice.
        TooLargeError: the payload is over its limit.
    """
    targets = sorted(recipients, key=lambda target: target.reader)
    check_targets(targets)
    plaintext = pad(payload)
    cek, iv = os.urandom(CEK_SIZE), os.urandom(IV_SIZE)
    message_id = new_message_id() if reading is None else reading.message_id
    readers, leaves = wrap_all(targets, cek, message_id, threads)
    header = Header(
        content_type=content_type,
        sender_kid=signer.kid,
        iv=iv,
        sender=sender,
        channel=channel,
        expires=expires,
        issued=issued,
        message_id=message_id,
        reader_root=merkle.root(leaves),
        reader_count=len(readers),
        cek_commitment=cek_commitment(cek, message_id),
        sequence=sequence,
        tree_head=tree_head,
        reading=None if reading is None else reading.committed,
    )
    protected = header.encode()
    ciphertext = AESGCM(cek).encrypt(iv, plaintext, cose.encrypt_structure(protected, aad))
    signature, digest = countersign(protected, ciphertext, signer, aad)
    body = Body(
        protected=protected, header=header, countersignature=signature, ciphertext=ciphertext
    )
    proof = b"" if reading is None else reading.prove(header, digest)
    return Sealed(
        header=header,
        digest=digest,
        envelope=Envelope(body=body, readers=tuple(readers), proof=proof).encode(),
        open_hashes={reader.reader: reader.open_hash for reader in readers},
    )


def check_targets(targets: Sequence[WrapTarget]) -> None:
    """Raise SealError unless there are 1 to 1,000 readers, sorted, each once."""
    if not targets:
        raise SealError("a message needs at least one reader, got none")
    if len(targets) > MAX_READERS:
        raise SealError(f"a message has at most {MAX_READERS} readers, got {len(targets)}")
    for left, right in pairwise(targets):
        if left.reader == right.reader:
            raise SealError(f"the reader {left.reader} is named twice")


def wrap_all(
    targets: Sequence[WrapTarget], cek: bytes, message_id: bytes, threads: int
) -> tuple[list[Reader], list[bytes]]:
    """Return the readers' entries and their leaf hashes, in the order of the targets."""
    threads = min(threads, len(targets) // _LEAST_PER_THREAD)
    if threads < 2:
        readers = [_wrap(target, cek, message_id) for target in targets]
    else:
        size = -(-len(targets) // threads)
        chunks = [targets[start : start + size] for start in range(0, len(targets), size)]
        parts = _pool(threads).map(
            lambda chunk: [_wrap(target, cek, message_id) for target in chunk], chunks
        )
        readers = [reader for part in parts for reader in part]
    return readers, [reader.leaf_hash() for reader in readers]


def _wrap(target: WrapTarget, cek: bytes, message_id: bytes) -> Reader:
    token = open_token(cek, message_id, target.key.kid, target.reader)
    return Reader(
        reader=target.reader,
        kid=target.key.kid,
        open_hash=open_hash(token),
        wrapped_cek=target.key.wrap(cek),
    )


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="sealgate-wrap")
