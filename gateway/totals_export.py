"""Requests for totals, made from the register (PROTOCOL 18.3, 18.5). Pure but for the look-ups.

They name what the gateway has verified, and all of it: whoever is asked refuses the rest.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from device_sdk.trust import Roster
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.limits import MAX_TOTALS_ITEMS
from device_sdk.wire.totals_bill import BillItem, BillRequest
from device_sdk.wire.totals_rule import TotalsRule
from device_sdk.wire.totals_scale import Scale, check_reach
from device_sdk.wire.totals_sum import SumItem, SumRequest
from gateway.errors import GatewayError
from gateway.store.port import Reading
from gateway.store.records import Registered
from gateway.tariff import Tariff
from gateway.totals_choice import choose, steps_of

_NOTHING = "the gateway has held no readings of {} that were made in this time"


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
    found = [
        one
        for one in _registered(tx, channel, start, until, device)
        if not one.key.message_id.hex().startswith(tuple(without))
    ]
    if not found:
        raise NoTotalError(f"nothing is left of the readings of {device}")
    items = [
        BillItem(
            message_id=one.key.message_id,
            issued=one.issued,
            commitment=one.commitment,
            weight=tariff.weight_at(one.issued),
        )
        for one in found
    ]
    scale = _scale(found)
    _check_reach(scale, sum(item.weight for item in items))
    return BillRequest(
        gateway=gateway,
        device=device,
        channel=channel,
        rule=rule,
        start=start,
        until=until,
        scale=scale,
        price=tariff.price,
        items=tuple(sorted(items, key=lambda item: item.message_id)),
        time=now,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class SumAsked:
    """A request for a sum, and what is not in it."""

    request: SumRequest
    left_out: tuple[str, ...]
    """For people: whose readings are not in it, and why."""


def sum_request(
    tx: Reading,
    roster: Roster,
    gateway: str,
    *,
    channel: str,
    start: int,
    now: int,
    before: SumRequest | None = None,
    without: Collection[SumItem] = (),
) -> SumAsked:
    """Return the request for the sum of an epoch across devices, but for some readings.

    One about the same epoch ``before`` it bounds what it asks about: each round takes away, so that
    no device can bring in anything after trustees have reported, and rounds end.

    Raises NoTotalError, as `bill_request`.
    """
    rule = _rule(roster, channel, for_sums=True)
    _check_time(rule, start, start + rule.epoch, now)
    if before is not None and (before.channel, before.start) != (channel, start):
        raise NoTotalError("the request before is about another channel or epoch")
    allowed = None if before is None else set(before.items)
    found = {
        item: one
        for item, one in _of_each(tx, channel, start, start + rule.epoch).items()
        if item not in without and (allowed is None or item in allowed)
    }
    chosen = choose(found, roster.channels[channel])
    senders = {item.sender for item in chosen.items}
    if len(senders) < rule.least:
        raise NoTotalError(
            f"a sum on the channel {channel} needs readings of {rule.least} devices, "
            f"and there are those of {len(senders)}"
        )
    scale = _scale([found[item] for item in chosen.items])
    _check_reach(scale, len(chosen.items))
    request = SumRequest(
        gateway=gateway,
        channel=channel,
        rule=rule,
        start=start,
        scale=scale,
        items=chosen.items,
        time=now,
    )
    return SumAsked(request=request, left_out=chosen.left_out)


def _of_each(tx: Reading, channel: str, start: int, until: int) -> dict[SumItem, Registered]:
    found = tx.registered_of_each(channel, start, until, MAX_TOTALS_ITEMS + 1)
    if not found:
        raise NoTotalError(_NOTHING.format(channel))
    return {
        SumItem(
            sender=one.key.sender, message_id=one.key.message_id, commitment=one.commitment
        ): one
        for one in found
    }


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
    tx: Reading, channel: str, start: int, until: int, sender: str
) -> Sequence[Registered]:
    found = tx.registered(channel, start, until, MAX_TOTALS_ITEMS + 1, sender=sender)
    if not found:
        raise NoTotalError(_NOTHING.format(sender))
    if len(found) > MAX_TOTALS_ITEMS:
        raise NoTotalError(
            f"a total is of {MAX_TOTALS_ITEMS:,} readings at the most: ask about a shorter time"
        )
    return found


def _check_reach(scale: Scale, weights: int) -> None:
    """Raise NoTotalError for a request that whoever is asked could not even read."""
    try:
        check_reach(scale, weights, "the request")
    except MalformedError as error:
        raise NoTotalError(f"{error}: ask about a shorter time") from None


def _scale(found: Sequence[Registered]) -> Scale:
    scales = {steps_of(one.policy) for one in found}
    if len(scales) > 1:
        raise NoTotalError(
            "the owner has changed the unit or scale meanwhile: ask about the time before or after"
        )
    policies = [one.policy for one in found]
    low, high = min(one.low for one in policies), max(one.high for one in policies)
    return replace(scales.pop(), low=low, high=high)
