"""What a device computes again for totals, and so need not keep (PROTOCOL 17.2, 18.3, 18.4). Pure.

Everything comes from the device's reading key of the time: ``mac`` is HMAC-SHA512 with it, which
the key store does. The inputs are arrays of different lengths and beginnings, so that none passes
for another.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from device_sdk.proofs import pedersen
from device_sdk.proofs.sharing import Part, complete
from device_sdk.totals.store import HeldShare, OwnReading
from device_sdk.wire import cbor
from device_sdk.wire.limits import POINT_SIZE
from device_sdk.wire.reading_policy import ReadingPolicy

_MASK = 2**64


class Mac(Protocol):
    """`device_sdk.keys.keystore.KeyStore.reading_mac`."""

    def __call__(self, data: bytes, *, issued: int) -> bytes:
        """Return 64 bytes that look random to whoever does not have the key of that time."""


def keep(
    mac: Mac,
    *,
    message_id: bytes,
    channel: str,
    sequence: int,
    issued: int,
    steps: int,
    policy: ReadingPolicy,
) -> OwnReading:
    """Return what a device keeps of a reading that it sends: the steps are masked.

    Why masked: keys may be encrypted at rest, and the state file is not.
    """
    own = OwnReading(
        message_id=message_id,
        channel=channel,
        sequence=sequence,
        issued=issued,
        masked=b"",
        policy=policy,
    )
    return replace(own, masked=((steps + _mask(mac, own)) % _MASK).to_bytes(8))


def steps_of(mac: Mac, own: OwnReading) -> int:
    """Return an own reading."""
    number = (int.from_bytes(own.masked) - _mask(mac, own)) % _MASK
    return number if number < _MASK // 2 else number - _MASK


def blinding_of(mac: Mac, own: OwnReading) -> bytes:
    """Return the blinding of its commitment (PROTOCOL 17.2)."""
    made_of = cbor.encode([own.channel, own.sequence, own.message_id])
    return pedersen.blinding_of(mac(made_of, issued=own.issued))


def share_out(mac: Mac, own: OwnReading, trustees: Sequence[str]) -> dict[str, Part]:
    """Return each trustee's part, the same ones every time.

    A device that ends between two of its messages goes on with the next one after a restart.
    """
    *first, last = trustees
    parts = {name: _part(mac, own, name) for name in first}
    rest = complete(steps_of(mac, own), blinding_of(mac, own), list(parts.values()))
    return {**parts, last: rest}


def _part(mac: Mac, own: OwnReading, trustee: str) -> Part:
    about = ["sealgate 1 share", own.channel, own.sequence, own.message_id, trustee]
    value, blinding = (
        pedersen.blinding_of(mac(cbor.encode([*about, what]), issued=own.issued))
        for what in ("value", "blinding")
    )
    return Part(value=value, blinding=blinding)


def _mask(mac: Mac, own: OwnReading) -> int:
    made_of = cbor.encode(["sealgate 1 own", own.channel, own.sequence, own.message_id])
    return int.from_bytes(mac(made_of, issued=own.issued)[:8])


def mask_part(mac: Mac, held: HeldShare, part: Part) -> bytes:
    """Return a trustee's part of somebody's reading as it is kept: masked, as own readings are."""
    return _exclusive_or(part.value + part.blinding, _part_mask(mac, held))


def held_part(mac: Mac, held: HeldShare) -> Part:
    """Return the part that is kept."""
    both = _exclusive_or(held.masked, _part_mask(mac, held))
    return Part(value=both[:POINT_SIZE], blinding=both[POINT_SIZE:])


def _part_mask(mac: Mac, held: HeldShare) -> bytes:
    """Why the split goes in: a mask must not serve two parts, should one come again."""
    hashed = hashlib.sha256(held.split).digest()
    made_of = cbor.encode(["sealgate 1 held", held.sender, held.message_id, hashed])
    return mac(made_of, issued=held.issued)


def _exclusive_or(data: bytes, mask: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(data, mask, strict=True))
