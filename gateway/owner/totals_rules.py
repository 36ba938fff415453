"""What the owner allows to be added up on a channel (PROTOCOL 18.1). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from device_sdk.wire.errors import WireError
from device_sdk.wire.limits import DAY
from device_sdk.wire.reading_policy import REQUIRE
from device_sdk.wire.roster_page import ROLE_DEVICE, ChannelEntry
from device_sdk.wire.totals_rule import TotalsRule
from gateway.owner.errors import NotChangedError
from gateway.owner.signing import Members

USUAL_LEAST = 10
"""Readings or devices of a total, unless the owner says otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TotalsWish:
    """What the owner asks for; None is what is there already, or what is usual."""

    allowed: bool | None = None
    epoch: int | None = None
    """Seconds; usually a day."""
    least: int | None = None
    trustees: Sequence[str] = ()
    """None named: those that are there already; a channel without any is for bills."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked for."""
        return self == TotalsWish()


def set_totals_rule(members: Members, name: str, wish: TotalsWish) -> Members:
    """Allow totals on a channel, others than before, or none.

    Called after every change of a channel: one whose readings need no proof can have no totals.

    Raises:
        NotChangedError: no such channel, a trustee that is no active device, a rule that nobody
            can keep to, or a channel that does not require proofs.
    """
    known = members.channels.get(name)
    if known is None:
        raise NotChangedError(f"the fleet has no channel named {name}")
    entry = known if wish.is_empty else replace(known, totals=_rule(known, wish))
    if entry.totals is not None:
        _check_proved(name, entry)
        _check_trustees(members, entry.totals)
    return replace(members, channels={**members.channels, name: entry})


def entrusted(channels: Mapping[str, ChannelEntry], name: str) -> list[str]:
    """Return the channels whose sums a device is a trustee of, sorted."""
    return sorted(
        channel
        for channel, entry in channels.items()
        if entry.totals is not None and name in entry.totals.trustees
    )


def _rule(known: ChannelEntry, wish: TotalsWish) -> TotalsRule | None:
    if wish.allowed is False:
        return None
    if known.totals is None and not wish.allowed:
        raise NotChangedError("the channel has no totals: allow them with --totals")
    before = known.totals or TotalsRule(epoch=DAY, least=USUAL_LEAST)
    rule = TotalsRule(
        epoch=wish.epoch or before.epoch,
        least=wish.least or before.least,
        trustees=tuple(sorted(set(wish.trustees))) or before.trustees,
    )
    try:
        return TotalsRule.parse(rule.to_cbor())
    except WireError as error:
        raise NotChangedError(f"no rule for totals can be so: {error}") from error


def _check_proved(name: str, entry: ChannelEntry) -> None:
    if entry.reading is None or entry.reading.mode != REQUIRE:
        raise NotChangedError(
            f"totals on the channel {name} need readings whose range is proved: "
            "--reading UNIT --range=LOW..HIGH --mode require, or --no-totals"
        )


def _check_trustees(members: Members, rule: TotalsRule) -> None:
    for trustee in rule.trustees:
        entry = members.devices.get(trustee)
        if entry is None or ROLE_DEVICE not in entry.roles:
            raise NotChangedError(f"the fleet has no device named {trustee}")
        if entry.revoked_at:
            raise NotChangedError(f"the trustee {trustee} was revoked: name others")
