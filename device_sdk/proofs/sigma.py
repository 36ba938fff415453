"""Sigma protocols for linear relations, made non-interactive (sigma-protocols 4 and 5).

With M the map of the relation, w its witness and k fresh nonces, a proof is made of

    commitment = M * k,   c = hash of tag, relation and commitment,   response = k + c * w,

and holds if commitment = M * response - c * image. A *compact* string carries (c, response), and
the verifier recomputes the commitment and the hash; a *batchable* one carries (commitment,
response). The tag must name the argument, the suite and the flavour (COMPACT or BATCHABLE).
"""

import hmac
from collections.abc import Callable, Sequence

from device_sdk.proofs.codecs import DECODING_MARGIN
from device_sdk.proofs.errors import MalformedProofError, ProofError
from device_sdk.proofs.group import Group
from device_sdk.proofs.linear_relation import (
    LinearRelation,
    evaluate,
    image,
    serialize,
    validate,
)
from device_sdk.proofs.sponge import Sponge, derive_session

COMPACT, BATCHABLE = "CMPT", "DSFS"
"""The flavours' markers, one of which stands in every tag (sigma-protocols 5.1)."""
Draw = Callable[[], bytes]
"""Draws a scalar. Anything but fresh, secret and uniform ones gives the witness away."""


def derive_challenge(group: Group, tag: bytes, relation: bytes, commitment: bytes) -> bytes:
    """Return DeriveChallenge for a serialized relation and commitment (sigma-protocols 5.2)."""
    sponge = Sponge(derive_session(tag))
    sponge.absorb(relation)
    sponge.absorb(commitment)
    return group.decode_scalar(sponge.squeeze(group.scalar_size + DECODING_MARGIN))


def prove_compact(
    group: Group,
    tag: bytes,
    relation: LinearRelation,
    witness: Sequence[bytes],
    draw: Draw | None = None,
) -> bytes:
    """Return the compact string ``c || response``; ``draw`` is for known answers only."""
    _, challenge, response = _prove(group, tag, relation, witness, draw)
    return challenge + b"".join(response)


def prove_batchable(
    group: Group,
    tag: bytes,
    relation: LinearRelation,
    witness: Sequence[bytes],
    draw: Draw | None = None,
) -> bytes:
    """Return the batchable string ``commitment || response``; ``draw`` as in `prove_compact`."""
    commitment, _, response = _prove(group, tag, relation, witness, draw)
    return commitment + b"".join(response)


def _prove(
    group: Group,
    tag: bytes,
    relation: LinearRelation,
    witness: Sequence[bytes],
    draw: Draw | None,
) -> tuple[bytes, bytes, list[bytes]]:
    validate(group, relation)
    if len(witness) != relation.scalars or not all(map(group.is_scalar, witness)):
        raise ProofError(f"expected a witness of {relation.scalars} canonical scalars")
    draw = draw or group.random_scalar
    nonces = [draw() for _ in witness]
    commitment = _join(group, evaluate(group, relation, nonces))
    challenge = derive_challenge(group, tag, serialize(group, relation), commitment)
    pairs = zip(nonces, witness, strict=True)
    response = [group.scalar_add(k, group.scalar_multiply(challenge, w)) for k, w in pairs]
    return commitment, challenge, response


def verify_compact(group: Group, tag: bytes, relation: LinearRelation, proof: bytes) -> None:
    """Raise ProofError unless the compact string proves the relation (sigma-protocols 5.5)."""
    validate(group, relation)
    challenge, *response = _scalars(group, proof, 1 + relation.scalars)
    commitment = simulate_commitment(group, relation, response, challenge)
    encoded = _join(group, commitment)
    expected = derive_challenge(group, tag, serialize(group, relation), encoded)
    if not hmac.compare_digest(challenge, expected):
        raise ProofError("the proof does not prove this statement")


def verify_batchable(group: Group, tag: bytes, relation: LinearRelation, proof: bytes) -> None:
    """Raise ProofError unless the batchable string proves the relation (sigma-protocols 5.4)."""
    validate(group, relation)
    end = group.element_size * len(relation.equations)
    encoded, rest = proof[:end], proof[end:]
    response = _scalars(group, rest, relation.scalars)
    commitment = [encoded[i : i + group.element_size] for i in range(0, end, group.element_size)]
    if not all(map(group.is_element, commitment)):
        raise MalformedProofError("commitment", expected="canonical points, not the identity")
    challenge = derive_challenge(group, tag, serialize(group, relation), encoded)
    if commitment != simulate_commitment(group, relation, response, challenge):
        raise ProofError("the proof does not prove this statement")


def simulate_commitment(
    group: Group, relation: LinearRelation, response: Sequence[bytes], challenge: bytes
) -> list[bytes]:
    """Return the only commitment that goes with a response and a challenge (sigma-protocols 4.4).

    All of these are public. With random ones it is the simulator, which shows that proofs tell
    nothing about the witness.
    """
    mapped = evaluate(group, relation, response)
    rows = zip(mapped, image(group, relation), strict=True)
    return [group.subtract(row, group.multiply(challenge, im)) for row, im in rows]


def _scalars(group: Group, octets: bytes, count: int) -> list[bytes]:
    size = group.scalar_size
    if len(octets) != size * count:
        raise MalformedProofError("proof", expected=f"exactly {count} scalars at its end")
    scalars = [octets[i : i + size] for i in range(0, len(octets), size)]
    if not all(map(group.is_scalar, scalars)):
        raise MalformedProofError("scalar", expected="a canonical one")
    return scalars


def _join(group: Group, elements: Sequence[bytes]) -> bytes:
    # An honest prover meets the identity with a probability of 2**-252 (sigma-protocols 2.3.1).
    if group.identity in elements:
        raise ProofError("a commitment is the identity")
    return b"".join(elements)
