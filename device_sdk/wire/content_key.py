"""What is derived from a content key (CEK): its commitment and the readers' open-tokens.

HKDF-Expand with SHA-256 (RFC 5869 2.3), PROTOCOL 5.3. The CEK is 32 uniformly random bytes, so no
extract step is needed.
"""

import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from device_sdk.wire.limits import HASH_SIZE

_SHA256 = hashes.SHA256()


def cek_commitment(cek: bytes, message_id: bytes) -> bytes:
    """Return the 32 bytes that tie the message to this one CEK. AES-GCM alone does not."""
    return HKDFExpand(_SHA256, HASH_SIZE, b"sealgate 1 commit" + message_id).derive(cek)


def open_token(cek: bytes, message_id: bytes, reader_kid: bytes, reader: str) -> bytes:
    """Return the 32 bytes by which a reader shows that it had this message's CEK."""
    info = b"sealgate 1 open" + message_id + reader_kid + reader.encode()
    return HKDFExpand(_SHA256, HASH_SIZE, info).derive(cek)


def open_hash(token: bytes) -> bytes:
    """Return SHA-256 of an open-token, which the sender publishes and the gateway compares."""
    return hashlib.sha256(token).digest()
