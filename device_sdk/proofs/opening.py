"""Knows the opening of a commitment (PROTOCOL 20.3): Okamoto's proof, of sigma-protocols 3.4.

    Relation PedersenOpening(H, C):   Witness: m, r   Equations: C = m * G + r * H

A proof is ``challenge || m's response || r's response``: 96 bytes.
"""

from device_sdk.proofs.errors import MalformedProofError
from device_sdk.proofs.group import RISTRETTO255
from device_sdk.proofs.linear_relation import Equation, LinearRelation
from device_sdk.proofs.pedersen import G, H, commit
from device_sdk.proofs.sigma import Draw, prove_compact, verify_compact
from device_sdk.proofs.tags import argument_tag

OPENING_PROOF_SIZE = 96
_ARGUMENT = "PEDERSEN_OPENING"


def relation(commitment: bytes) -> LinearRelation:
    """Return PedersenOpening(H, commitment)."""
    equation = Equation(image=((2, 1),), terms=((0, 0, 1), (1, 1, 1)))
    return LinearRelation(elements=(G, H, commitment), equations=(equation,))


def prove_opening(value: int, blinding: bytes, *, tag: bytes, draw: Draw | None = None) -> bytes:
    """Return 96 bytes that show knowledge of what ``commit(value, blinding)`` is to.

    Raises:
        ProofError: the blinding is not canonical, or both are zero, which hides nothing.
    """
    statement = relation(commit(value, blinding))
    witness = [RISTRETTO255.scalar(value), blinding]
    return prove_compact(RISTRETTO255, argument_tag(_ARGUMENT, tag), statement, witness, draw)


def verify_opening(proof: bytes, commitment: bytes, *, tag: bytes) -> None:
    """Raise ProofError unless whoever made the proof for this tag can open the commitment."""
    if len(proof) != OPENING_PROOF_SIZE:
        raise MalformedProofError("opening proof", expected=f"{OPENING_PROOF_SIZE} bytes")
    verify_compact(RISTRETTO255, argument_tag(_ARGUMENT, tag), relation(commitment), proof)
