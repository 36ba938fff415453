"""Provers that lie about a range: any digits, any commitment, the best responses they can give."""

from collections.abc import Sequence

from device_sdk.proofs import range_proof, sigma
from device_sdk.proofs.digits import weights
from device_sdk.proofs.group import RISTRETTO255 as GROUP
from device_sdk.proofs.linear_relation import evaluate, serialize
from device_sdk.proofs.pedersen import G, H, commit
from device_sdk.proofs.tags import argument_tag


def forge(
    value: int, blinding: bytes, digits: Sequence[int], *, low: int, high: int, tag: bytes
) -> bytes:
    """Return a proof for any value and digits, by the generic prover, which checks no witness."""
    blindings = [GROUP.random_scalar() for _ in digits]
    points = [
        GROUP.add(GROUP.multiply_base(GROUP.scalar(digit)), GROUP.multiply(r, H))
        for digit, r in zip(digits, blindings, strict=True)
    ]
    rest = blinding
    for weight, r in zip(weights(high - low), blindings, strict=True):
        rest = GROUP.scalar_subtract(rest, GROUP.scalar_multiply(GROUP.scalar(weight), r))
    ones = [GROUP.scalar(digit) for digit in digits]
    products = [
        GROUP.scalar_multiply(r, GROUP.scalar(1 - digit))
        for digit, r in zip(digits, blindings, strict=True)
    ]
    relation = range_proof.relation(commit(value, blinding), points, low, high)
    witness = [*ones, *blindings, *products, rest]
    full_tag = argument_tag("RANGE", tag)
    return b"".join(points) + sigma.prove_compact(GROUP, full_tag, relation, witness)


def forge_without_binding(low: int, high: int, tag: bytes) -> tuple[bytes, bytes]:
    """Return a proof and a commitment chosen after the challenge (weak Fiat-Shamir).

    All rows but the last are honest, for digits of zero. The last row's commitment is chosen first,
    then the challenge is derived with any commitment at all in the statement, then C is what makes
    the last equation hold: C = low*G + sum(w_i*C_i) + (t*H - row)/challenge.
    """
    of = weights(high - low)
    draws = [GROUP.random_scalar() for _ in range(len(of))]
    nonces = [GROUP.random_scalar() for _ in range(3 * len(of))]
    points = [GROUP.multiply(r, H) for r in draws]
    relation = range_proof.relation(G, points, low, high)
    first = evaluate(GROUP, relation, [*nonces, GROUP.random_scalar()])[:-1]
    row, t = GROUP.multiply_base(GROUP.random_scalar()), GROUP.random_scalar()
    challenge = sigma.derive_challenge(
        GROUP,
        argument_tag("RANGE", tag),
        serialize(GROUP, relation),
        b"".join([*first, row]),
    )
    number = int.from_bytes(challenge, "little")
    part = GROUP.subtract(GROUP.multiply(t, H), row)
    inverse = pow(number, -1, GROUP.order).to_bytes(32, "little")
    rest = GROUP.multiply(inverse, part)
    chosen = GROUP.add(rest, GROUP.multiply_base(GROUP.scalar(low)))
    for weight, point in zip(of, points, strict=True):
        chosen = GROUP.add(chosen, GROUP.multiply(GROUP.scalar(weight), point))
    zero = GROUP.scalar(0)
    witness = [*[zero] * len(of), *draws, *draws]
    response = [
        GROUP.scalar_add(k, GROUP.scalar_multiply(challenge, w))
        for k, w in zip(nonces, witness, strict=True)
    ]
    return b"".join([*points, challenge, *response, t]), chosen
