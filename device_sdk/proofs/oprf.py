"""The device's half of the pseudorandom function that makes tokens (PROTOCOL 19.3). Pure.

VOPRF(ristretto255, SHA-512), the client of RFC 9497 3.3.2 in its notation: an input x is blinded as
r * H(x), evaluated as k * r * H(x), and unblinded by 1/r; one proof (2.2) shows that the k of all
elements is that of the public key k * G. Elements and scalars are canonical encodings of 32 bytes.

The device's half is written here, and not taken from the library that the gateway uses, since a
device must be able to make the same request again after a crash: that library lets nobody keep a
blind. What is secret meets no branch here, and only libsodium's arithmetic.
"""

import hashlib
import hmac
from collections.abc import Sequence

from device_sdk.proofs.errors import ProofError
from device_sdk.proofs.group import RISTRETTO255 as GROUP

SCALAR_SIZE = 32
PROOF_SIZE = 2 * SCALAR_SIZE

_CONTEXT = b"OPRFV1-\x01-ristretto255-SHA512"
_BLOCK = 128
"""Bytes of a block of SHA-512 (RFC 9380 5.3.1)."""
_WIDE = 64
"""Uniform bytes that are reduced to a scalar, or mapped to an element."""


class IssueError(ProofError):
    """An answer that does not show that everything in it was made with one key's private half."""


def blind(token: bytes, blinding: bytes) -> bytes:
    """Return r * H(x): what is sent for a token x with the blind r (RFC 9497 3.3.2, Blind)."""
    return GROUP.multiply(blinding, _hash_to_group(token))


def finalize(
    tokens: Sequence[bytes],
    blinds: Sequence[bytes],
    evaluated: Sequence[bytes],
    *,
    public: bytes,
    proof: bytes,
) -> list[bytes]:
    """Return the function's values for tokens, 64 bytes each (RFC 9497 3.3.2, Finalize).

    Raises:
        IssueError: not one evaluated element for each token, some that is none, or a proof that
            does not verify under ``public``.
    """
    if not len(tokens) == len(blinds) == len(evaluated):
        raise IssueError(f"expected {len(tokens)} evaluated elements, got {len(evaluated)}")
    blinded = [blind(x, r) for x, r in zip(tokens, blinds, strict=True)]
    check_proof(public, blinded, evaluated, proof)
    return [
        _output(x, GROUP.multiply(GROUP.scalar_invert(r), element))
        for x, r, element in zip(tokens, blinds, evaluated, strict=True)
    ]


def check_proof(
    public: bytes, blinded: Sequence[bytes], evaluated: Sequence[bytes], proof: bytes
) -> None:
    """Raise IssueError unless all D_i = k * C_i and B = k * G (RFC 9497 2.2.2, VerifyProof)."""
    if len(proof) != PROOF_SIZE or not all(map(GROUP.is_element, (public, *evaluated))):
        raise IssueError("the answer has bytes in it that are no elements")
    challenge, response = proof[:SCALAR_SIZE], proof[SCALAR_SIZE:]
    if not GROUP.is_scalar(challenge) or not GROUP.is_scalar(response):
        raise IssueError("the answer's proof has bytes in it that are no scalars")
    m, z = _composites(public, blinded, evaluated)
    t2 = GROUP.add(GROUP.multiply_base(response), GROUP.multiply(challenge, public))
    t3 = GROUP.add(GROUP.multiply(response, m), GROUP.multiply(challenge, z))
    expected = _hash_to_scalar(_strings(public, m, z, t2, t3) + b"Challenge")
    if not hmac.compare_digest(expected, challenge):
        raise IssueError("the answer was not made with the key that the gateway shows")


def _composites(
    public: bytes, blinded: Sequence[bytes], evaluated: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """Return M = sum(d_i * C_i) and Z = sum(d_i * D_i) (RFC 9497 2.2.1)."""
    seed = hashlib.sha512(_strings(public, b"Seed-" + _CONTEXT)).digest()
    m = z = GROUP.identity
    for index, (c, d) in enumerate(zip(blinded, evaluated, strict=True)):
        transcript = _strings(seed) + index.to_bytes(2) + _strings(c, d) + b"Composite"
        weight = _hash_to_scalar(transcript)
        m, z = GROUP.add(m, GROUP.multiply(weight, c)), GROUP.add(z, GROUP.multiply(weight, d))
    return m, z


def _output(token: bytes, unblinded: bytes) -> bytes:
    return hashlib.sha512(_strings(token, unblinded) + b"Finalize").digest()


def _hash_to_group(data: bytes) -> bytes:
    return GROUP.from_hash(_expand(data, b"HashToGroup-" + _CONTEXT))


def _hash_to_scalar(data: bytes) -> bytes:
    return GROUP.reduce(_expand(data, b"HashToScalar-" + _CONTEXT))


def _expand(data: bytes, dst: bytes) -> bytes:
    """Return 64 bytes: expand_message_xmd with SHA-512, of which one block suffices (RFC 9380)."""
    suffix = dst + len(dst).to_bytes(1)
    first = hashlib.sha512(bytes(_BLOCK) + data + _WIDE.to_bytes(2) + b"\0" + suffix).digest()
    return hashlib.sha512(first + b"\1" + suffix).digest()


def _strings(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(2) + part for part in parts)
