"""Sealed readings to test with: a policy, and what stands in a header that commits to a number."""

from collections.abc import Callable

from device_sdk import readings
from device_sdk.proofs import pedersen, sealed_reading
from device_sdk.wire.header import Header
from device_sdk.wire.reading_policy import REQUIRE, Committed, ReadingPolicy, ReadingRule

CELLAR = "cellar"
POLICY = ReadingPolicy(version=7, unit="celsius", exponent=-1, mantissa=1, low=-400, high=1250)
"""Tenths of a degree, from -40 to 125: a proof of 11 bits."""
PROOF_SIZE = 128 * 11 + 64
ORDER = 2**252 + 27742317777372353535851937790883648493
"""How many elements the group has: blindings are below it."""
BLINDING = (5).to_bytes(32, "little")


def rule(mode: str = REQUIRE, policy: ReadingPolicy = POLICY) -> ReadingRule:
    """Return a channel's rule."""
    return ReadingRule(mode=mode, policy=policy)


def committed(steps: int = 215, policy: ReadingPolicy = POLICY) -> Committed:
    """Return what a header says of a reading with the blinding of all tests."""
    return Committed(policy=policy, commitment=pedersen.commit(steps, BLINDING))


def content(steps: int = 215, blinding: bytes = BLINDING) -> bytes:
    """Return the payload that goes with it."""
    return readings.encode(steps, blinding)


def prover(fleet_id: bytes, steps: int = 215) -> Callable[[Header, bytes], bytes]:
    """Return what proves it, for one message."""
    return lambda header, digest: sealed_reading.prove(
        header, digest, fleet_id, steps=steps, blinding=BLINDING
    )
