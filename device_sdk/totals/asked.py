"""Which requests for totals a device or trustee answers, by the owner's roster (PROTOCOL 18). Pure.

The gateway that asks is not trusted: what it may learn is bounded here, before anything is told.
"""

from collections.abc import Sequence

from device_sdk.totals.store import Totalled
from device_sdk.trust import Roster
from device_sdk.wire.roster_page import ROLE_GATEWAY
from device_sdk.wire.totals_bill import BillRequest
from device_sdk.wire.totals_errors import (
    EpochError,
    NotAllowedError,
    OverlapError,
    TooFewError,
)
from device_sdk.wire.totals_rule import TotalsRule
from device_sdk.wire.totals_sum import SumRequest

Request = BillRequest | SumRequest


def check_rule(request: Request, roster: Roster, now: int) -> TotalsRule:
    """Return the owner's rule, which must be the request's.

    Raises:
        NotAllowedError: by a gateway that is not active, or not what the owner demands now.
    """
    channel = roster.channels.get(request.channel)
    rule = None if channel is None else channel.totals
    if not roster.is_active(request.gateway, now, ROLE_GATEWAY):
        raise NotAllowedError(
            "the request",
            expected="an active gateway's",
            got=f"one by {request.gateway}",
            todo="ask the owner whether it was revoked",
            who=request.gateway,
        )
    if rule is None or rule != request.rule or bool(rule.trustees) != _is_sum(request):
        raise NotAllowedError(
            f"totals of the channel {request.channel}",
            expected="what the owner's roster allows",
            got="another rule, another kind of total, or nothing is allowed",
            todo="let everybody have the same roster, and make the request anew",
            who=request.gateway,
        )
    return rule


def _is_sum(request: Request) -> bool:
    return isinstance(request, SumRequest)


def trustees_of(roster: Roster, channel: str) -> tuple[str, ...]:
    """Return to whom readings of a channel are shared out; nobody if they are not."""
    entry = roster.channels.get(channel)
    return () if entry is None or entry.totals is None else entry.totals.trustees


def check_epochs(request: Request, now: int) -> None:
    """Raise EpochError unless the request is about whole epochs that have ended."""
    epoch, times = request.rule.epoch, (request.start, request.until)
    if request.start >= request.until or any(time % epoch for time in times):
        raise EpochError(
            "the time of the request",
            expected=f"whole epochs of {epoch} seconds, counted from 1970-01-01 UTC",
            got=f"{request.start} to {request.until}",
            todo="make the request for whole epochs",
            who=request.gateway,
        )
    if request.until > now:
        raise EpochError(
            "the time of the request",
            expected="epochs that have ended",
            got=f"one that ends at {request.until}, and here it is {now}",
            todo="ask again when it has ended, or set this device's clock",
            who=request.gateway,
        )


def earlier_answer(request: Request, hashed: bytes, totalled: Sequence[Totalled]) -> bytes:
    """Return the answer that was given to this very request; empty if nothing was answered yet.

    Why not twice: the difference of two totals is a total that nobody has allowed.

    Raises:
        OverlapError: another request about a part of this time was answered.
    """
    for one in totalled:
        if one.request_hash == hashed:
            return one.answer
    if totalled:
        raise OverlapError(
            f"the total of the channel {request.channel}",
            expected="one total of each epoch",
            got=f"another request about {totalled[0].start} to {totalled[0].until} was answered",
            todo="use that total, and ask about later epochs",
            who=request.gateway,
        )
    return b""


def check_prices(request: BillRequest) -> None:
    """Raise TooFewError if fewer readings than the owner demands have one and the same weight.

    Weights can be chosen so that the total tells the sum of each price apart (1 and a million). So
    every such sum must be one that may be told. What it tells is a function of these sums.
    """
    counts: dict[int, int] = {}
    for item in request.items:
        counts[item.weight] = counts.get(item.weight, 0) + 1
    weight, fewest = min(counts.items(), key=lambda one: one[1])
    if fewest < request.rule.least:
        raise TooFewError(
            "the bill",
            expected=f"{request.rule.least} readings of every price",
            got=f"{fewest} of the price {weight}",
            todo="bill a longer time, or with fewer prices",
            who=request.gateway,
        )


def check_devices(request: SumRequest) -> None:
    """Raise TooFewError if the set has readings of fewer devices than the owner demands."""
    if len(request.senders) < request.rule.least:
        raise TooFewError(
            "the sum",
            expected=f"readings of {request.rule.least} devices",
            got=f"of {len(request.senders)}",
            todo="wait for more devices, or sum longer epochs",
            who=request.gateway,
        )
