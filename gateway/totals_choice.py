"""Which readings of an epoch can be added up with each other (PROTOCOL 18.2). Pure.

One device must not keep the sum of all others from being asked for: neither by more readings than
go into a request, nor by some of another unit, as it may send after a change of the owner's.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from device_sdk.wire.limits import MAX_TOTALS_ITEMS
from device_sdk.wire.reading_policy import ReadingPolicy
from device_sdk.wire.roster_page import ChannelEntry
from device_sdk.wire.totals_scale import Scale
from device_sdk.wire.totals_sum import SumItem
from gateway.store.records import Registered


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """What goes into a request, in its order."""

    items: tuple[SumItem, ...]
    left_out: tuple[str, ...]
    """For people."""


def steps_of(policy: ReadingPolicy) -> Scale:
    """Return what must be the same of all readings in a total: unit and step, and no range."""
    return replace(Scale.of(policy), low=0, high=1)


def choose(found: Mapping[SumItem, Registered], channel: ChannelEntry) -> Chosen:
    """Return the readings of most devices that can be added up, and say whose are not in it."""
    said = []
    strangers = {item.sender for item in found}.difference(channel.senders)
    items = [item for item in found if item.sender not in strangers]
    if strangers:
        said.append(f"no senders of the channel any more: {_named(strangers)}")
    scale = _commonest({item: steps_of(found[item].policy) for item in items}, channel)
    others = {item.sender for item in items if steps_of(found[item].policy) != scale}
    items = [item for item in items if steps_of(found[item].policy) == scale]
    if others:
        said.append(f"readings of another unit or scale: {_named(others)}")
    busiest = _busiest(items)
    if busiest:
        said.append(
            f"a sum is of {MAX_TOTALS_ITEMS:,} readings at the most, and more than their part of "
            f"it have: {_named(busiest)}"
        )
    items = [item for item in items if item.sender not in busiest]
    return Chosen(items=tuple(sorted(items)), left_out=tuple(said))


def _commonest(scales: Mapping[SumItem, Scale], channel: ChannelEntry) -> Scale | None:
    """Return the scale that most devices have; of two, the owner's present one.

    Devices count, and not readings: one device can make many.
    """
    devices: dict[Scale, set[str]] = {}
    for item, scale in scales.items():
        devices.setdefault(scale, set()).add(item.sender)
    present = None if channel.reading is None else steps_of(channel.reading.policy)

    def weight(scale: Scale) -> tuple[int, bool, tuple[str, int, int]]:
        return len(devices[scale]), scale == present, (scale.unit, scale.exponent, scale.mantissa)

    return max(devices, key=weight, default=None)


def _busiest(items: list[SumItem]) -> set[str]:
    """Return whom to leave out until the rest fits: who has most readings goes first."""
    counts, left_out = Counter(item.sender for item in items), set()
    for sender, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
        if counts.total() <= MAX_TOTALS_ITEMS:
            break
        counts.subtract({sender: count})
        left_out.add(sender)
    return left_out


def _named(senders: set[str]) -> str:
    return ", ".join(sorted(senders))
