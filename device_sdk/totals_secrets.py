"""What a device computes again for totals, and so need not keep (PROTOCOL 17.2, 18.3, 18.4). Pure.

Everything comes from the device's reading key: ``mac`` is HMAC-SHA512 with it, which the key store
does. The inputs are arrays of different lengths and beginnings, so that none passes for another.
"""

from collections.abc import Callable, Sequence

from device_sdk.proofs import pedersen
from device_sdk.proofs.sharing import Part, complete
from device_sdk.totals_store import OwnReading
from device_sdk.wire import cbor
from device_sdk.wire.reading_policy import ReadingPolicy

Mac = Callable[[bytes], bytes]
"""64 bytes of an input that looks random to whoever does not have the key."""
_MASK = 2**64


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
    masked = (steps + _mask(mac, channel, sequence, message_id)) % _MASK
    return OwnReading(
        message_id=message_id,
        channel=channel,
        sequence=sequence,
        issued=issued,
        masked=masked.to_bytes(8),
        policy=policy,
    )


def steps_of(mac: Mac, own: OwnReading) -> int:
    """Return an own reading."""
    mask = _mask(mac, own.channel, own.sequence, own.message_id)
    number = (int.from_bytes(own.masked) - mask) % _MASK
    return number if number < _MASK // 2 else number - _MASK


def blinding_of(mac: Mac, own: OwnReading) -> bytes:
    """Return the blinding of its commitment (PROTOCOL 17.2)."""
    return pedersen.blinding_of(mac(cbor.encode([own.channel, own.sequence, own.message_id])))


def share_out(mac: Mac, own: OwnReading, trustees: Sequence[str]) -> dict[str, Part]:
    """Return each trustee's part, the same ones every time.

    A device that ends between two of its messages goes on with the next one after a restart.
    """
    *first, last = trustees
    parts = {name: _part(mac, own, name) for name in first}
    rest = complete(steps_of(mac, own), blinding_of(mac, own), list(parts.values()))
    return {**parts, last: rest}


def _part(mac: Mac, own: OwnReading, trustee: str) -> Part:
    value, blinding = (
        mac(
            cbor.encode(
                ["sealgate 1 share", own.channel, own.sequence, own.message_id, trustee, what]
            )
        )
        for what in ("value", "blinding")
    )
    return Part(value=pedersen.blinding_of(value), blinding=pedersen.blinding_of(blinding))


def _mask(mac: Mac, channel: str, sequence: int, message_id: bytes) -> int:
    return int.from_bytes(mac(cbor.encode(["sealgate 1 own", channel, sequence, message_id]))[:8])
