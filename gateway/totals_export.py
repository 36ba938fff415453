"""Requests for totals, made from the register (PROTOCOL 18.3, 18.5). Pure but for the look-ups.

They name what the gateway has verified, and all of it: whoever is asked refuses the rest.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from device_sdk.trust import Roster
from device_sdk.wire.limits import MAX_TOTALS_ITEMS
from device_sdk.wire.totals_bill import BillItem, BillRequest
from device_sdk.wire.totals_rule import TotalsRule
from device_sdk.wire.totals_scale import Scale
from device_sdk.wire.totals_sum import SumItem, SumRequest
from gateway.errors import GatewayError
from gateway.store.port import Reading
from gateway.store.records import Registered
from gateway.tariff import Tariff


class NoTotalError(GatewayError):
    """A total that nobody would answer, or that the register has nothing for."""


def bill_request(
    tx: Reading,
    roster: Roster,
    gateway: str,
    *,
    channel: str,
    device: str,
    start: int,
    until: int,
    tariff: Tariff,
    now: int,
    without: Collection[str] = (),
) -> BillRequest:
    """Return the request for a bill of one device, over whole epochs. Times are Unix seconds.

    ``without`` are first hex digits of message ids that the device does not know any more.

    Raises:
        NoTotalError: the owner does not allow it, the time is wrong, or there is nothing.
    """
    rule = _rule(roster, channel, for_sums=False)
    _check_time(rule, start, until, now)
    found = _registered(tx, channel, start, until, sender=device)
    items = [
        BillItem(
            message_id=one.key.message_id,
            issued=one.issued,
            commitment=one.commitment,
            weight=tariff.weight_at(one.issued),
        )
        for one in found
        if not one.key.message_id.hex().startswith(tuple(without))
    ]
    if not items:
        raise NoTotalError(f"nothing is left of the readings of {device}")
    return BillRequest(
        gateway=gateway,
        device=device,
        channel=channel,
        rule=rule,
        start=start,
        until=until,
        scale=_scale(found),
        price=tariff.price,
        items=tuple(sorted(items, key=lambda item: item.message_id)),
        time=now,
    )


def sum_request(
    tx: Reading,
    roster: Roster,
    gateway: str,
    *,
    channel: str,
    start: int,
    now: int,
    without: Collection[SumItem] = (),
) -> SumRequest:
    """Return the request for the sum of an epoch across devices, but for some readings.

    Raises NoTotalError, as `bill_request`.
    """
    rule = _rule(roster, channel, for_sums=True)
    _check_time(rule, start, start + rule.epoch, now)
    found = _registered(tx, channel, start, start + rule.epoch)
    items = {
        SumItem(
            sender=one.key.sender, message_id=one.key.message_id, commitment=one.commitment
        ): one
        for one in found
    }
    left = sorted(set(items).difference(without))
    if len({item.sender for item in left}) < rule.least:
        raise NoTotalError(
            f"a sum on the channel {channel} needs readings of {rule.least} devices, "
            f"and there are those of {len({item.sender for item in left})}"
        )
    return SumRequest(
        gateway=gateway,
        channel=channel,
        rule=rule,
        start=start,
        scale=_scale([items[item] for item in left]),
        items=tuple(left),
        time=now,
    )


def _rule(roster: Roster, channel: str, *, for_sums: bool) -> TotalsRule:
    entry = roster.channels.get(channel)
    rule = None if entry is None else entry.totals
    if rule is None:
        raise NoTotalError(
            f"the owner allows no totals on the channel {channel}: "
            "sealgate fleet channel set FLEET NAME --totals"
        )
    if bool(rule.trustees) != for_sums:
        kind, other = ("bills", "sums") if for_sums else ("sums", "bills")
        raise NoTotalError(f"the channel {channel} is for {kind}, and so not for {other}")
    return rule


def _check_time(rule: TotalsRule, start: int, until: int, now: int) -> None:
    if start >= until or start % rule.epoch or until % rule.epoch:
        raise NoTotalError(
            f"a total is of whole epochs of {rule.epoch} seconds, counted from 1970-01-01 UTC"
        )
    if until > now:
        raise NoTotalError("a total is of epochs that have ended")


def _registered(
    tx: Reading, channel: str, start: int, until: int, *, sender: str = ""
) -> Sequence[Registered]:
    found = tx.registered(channel, start, until, MAX_TOTALS_ITEMS + 1, sender=sender)
    if not found:
        raise NoTotalError(
            f"the gateway has held no readings of {sender or channel} that were made in this time"
        )
    if len(found) > MAX_TOTALS_ITEMS:
        raise NoTotalError(
            f"a total is of {MAX_TOTALS_ITEMS:,} readings at the most: ask about a shorter time"
        )
    return found


def _scale(found: Sequence[Registered]) -> Scale:
    scales = {replace(Scale.of(one.policy), low=0, high=1) for one in found}
    if len(scales) > 1:
        raise NoTotalError(
            "the owner has changed the unit or scale meanwhile: ask about the time before or after"
        )
    policies = [one.policy for one in found]
    low, high = min(one.low for one in policies), max(one.high for one in policies)
    return replace(scales.pop(), low=low, high=high)
