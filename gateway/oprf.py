"""The gateway's half of the pseudorandom function that makes tokens (PROTOCOL 19.3).

VOPRF(ristretto255, SHA-512) of RFC 9497 by the Rust library of the same name: it calculates with
secrets, on what strangers send. The keys are derived from random seeds (RFC 9497 3.2.1).
"""

from collections.abc import Sequence

from voprf import ristretto

from gateway.errors import GatewayError

_KEY_INFO = b"sealgate 1 tokens"
_PROOF_SIZE = 64
_ELEMENT_SIZE = 32


class BlindedError(GatewayError):
    """Something that was to be evaluated is no element of the group, or its identity."""


def public_of(seed: bytes) -> bytes:
    """Return the public key that belongs to a seed of 32 bytes."""
    return bytes(_evaluator(seed).public_key.serialize())


def output_of(seed: bytes, token: bytes) -> bytes:
    """Return the function's value for a token, 64 bytes (RFC 9497 3.3.2, Evaluate)."""
    return _evaluator(seed).evaluate_known_input(token)


def issue(seed: bytes, blinded: Sequence[bytes]) -> tuple[tuple[bytes, ...], bytes]:
    """Return the evaluated elements and one proof for all of them (RFC 9497 3.3.2, BlindEvaluate).

    Raises:
        BlindedError: one is no canonical element, or the identity.
    """
    try:
        inputs = [ristretto.BlindedInput.deserialize(one) for one in blinded]
    except ValueError as error:
        raise BlindedError("expected elements of ristretto255, got other bytes") from error
    output = bytes(_evaluator(seed).evaluate_batch(inputs).serialize())
    proof, elements = output[:_PROOF_SIZE], output[_PROOF_SIZE:]
    starts = range(0, len(elements), _ELEMENT_SIZE)
    return tuple(elements[start : start + _ELEMENT_SIZE] for start in starts), proof


def _evaluator(seed: bytes) -> ristretto.Evaluator:
    return ristretto.Evaluator.from_seed(seed, _KEY_INFO)
