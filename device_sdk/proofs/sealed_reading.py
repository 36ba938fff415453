"""The proof that a message's sealed reading is in its range, for this message only (PROTOCOL 17).

Gateway and device share it: what the device proves and the gateway verifies is the same statement,
made of the header, the digest and the fleet.
"""

from device_sdk.proofs import pedersen, range_proof
from device_sdk.proofs.errors import ProofError
from device_sdk.wire import cbor
from device_sdk.wire.header import Header
from device_sdk.wire.reading_policy import Committed

_TAG = "sealgate 1 reading"


def prove(header: Header, digest: bytes, fleet_id: bytes, *, steps: int, blinding: bytes) -> bytes:
    """Return the proof, 128n + 64 bytes for a range of n bits (PROTOCOL 17.3).

    ``steps`` and ``blinding`` open the header's commitment; ``digest`` is the message's.
    Raises ProofError if the header has no reading, or ``steps`` is not in its range.
    """
    reading = _reading_of(header)
    return range_proof.prove(
        steps,
        blinding,
        low=reading.policy.low,
        high=reading.policy.high,
        tag=_tag(header, digest, fleet_id),
    )


def verify(header: Header, digest: bytes, fleet_id: bytes, proof: bytes) -> None:
    """Raise ProofError unless the header's commitment holds a number of its policy's range."""
    reading = _reading_of(header)
    range_proof.verify(
        proof,
        reading.commitment,
        low=reading.policy.low,
        high=reading.policy.high,
        tag=_tag(header, digest, fleet_id),
    )


def opens(header: Header, *, steps: int, blinding: bytes) -> bool:
    """Tell whether this opens the header's commitment, to a number of its range (PROTOCOL 17.4)."""
    reading = header.reading
    if reading is None or not reading.policy.low <= steps <= reading.policy.high:
        return False
    # Nobody honest has an identity for a commitment, or hides nothing (PROTOCOL 20.1).
    if not pedersen.is_commitment(reading.commitment) or not any(blinding):
        return False
    return pedersen.opens(reading.commitment, steps, blinding)


def _reading_of(header: Header) -> Committed:
    if header.reading is None:
        raise ProofError("expected a header with a reading, got one without")
    return header.reading


def _tag(header: Header, digest: bytes, fleet_id: bytes) -> bytes:
    """Return what ties a proof to its message: an array, so that no two lists give one tag."""
    reading = _reading_of(header)
    fields = [fleet_id, header.channel, reading.policy.to_cbor(), header.sender, header.sequence]
    return cbor.encode([_TAG, *fields, digest])
