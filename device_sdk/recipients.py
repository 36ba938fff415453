"""Whom to seal to, waiting for what the broker may still tell about them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from device_sdk.channels import ChannelWish, LeftOut, choose_channel_targets
from device_sdk.courier import Courier
from device_sdk.errors import (
    AnonymityError,
    ClockError,
    NoReaderKeyError,
    NoReadersLeftError,
    NotSealedError,
    RosterUnknownError,
)
from device_sdk.seal import WrapTarget
from device_sdk.sending import Draft, check_clock, choose_targets
from device_sdk.trust import Roster, RosterExpiredError
from device_sdk.wire.anonymous_rule import AnonymousRule

GRACE = 1.0
"""Seconds to wait for a newer roster and newer keys than the known ones, once per connection."""
ROSTER_GRACE = 5.0
"""Seconds to wait for a roster that lists everybody: an owner who has just admitted a device writes
to it at once, and the gateway looks for new rosters only every few seconds. So long, too, is a
channel's reader waited for whose key has not come, once per connection: then it is left out."""

Wish = Draft | ChannelWish


@dataclass(frozen=True, kw_only=True, slots=True)
class Addressed:
    """A message that may be sealed."""

    message: Draft
    targets: list[WrapTarget]
    roster: Roster
    """The one by which they were chosen."""
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)


def anonymous_rule(addressed: Addressed) -> AnonymousRule | None:
    """Return the rule by which a message must not say who sent it, if there is one."""
    channel = addressed.roster.channels.get(addressed.message.channel)
    return None if channel is None else channel.anonymous


def check_anonymity(addressed: Addressed, wanted: bool | None) -> None:
    """See that a message names its sender as was asked for, if anything was. Raises AnonymityError.

    What has been begun without a name is never sent with one: the owner may end a channel's
    anonymity at any moment, and nobody must be named by that.
    """
    found = anonymous_rule(addressed) is not None
    if wanted is not None and wanted is not found:
        raise AnonymityError(addressed.message.channel, is_anonymous=found)


def find_targets(courier: Courier, wish: Wish, timeout: float) -> Addressed:
    """Return whom to seal to, after up to ``timeout`` seconds. With the device's lock held.

    What is known is used at once where the broker cannot be reached.

    Raises:
        RosterUnknownError: no roster has ever come.
        ClockError: as `device_sdk.sending.check_clock`.
        NotSealedError, RosterExpiredError: as `device_sdk.sending.choose_targets`,
            `device_sdk.channels.choose_channel_targets`, or `ChannelWish.draft`.
    """
    start, listening = time.monotonic(), courier.listening
    until, settled = start + timeout, start + min(timeout, ROSTER_GRACE)
    courier.check_open()
    _watch(courier, wish)
    courier.wait(lambda: _is_fresh(courier, wish), min(until, start + GRACE))
    listening.fresh_keys.update(readers_of(courier, wish))
    listening.is_roster_awaited = True
    while True:
        _watch(courier, wish)
        try:
            addressed = _choose(courier, wish)
        except (NotSealedError, RosterExpiredError) as error:
            if isinstance(error, ClockError):
                raise  # waiting does not make this message any younger
            limit = _patience(courier, error, until, settled)
            if limit <= time.monotonic():
                raise
        else:
            keyless = _not_awaited(courier, addressed)
            if not keyless or courier.has_failed or settled <= time.monotonic():
                listening.keyless.update(keyless)
                return addressed
            limit = settled
        courier.changed.wait(limit - time.monotonic())
        courier.check_open()


def readers_of(courier: Courier, wish: Wish) -> tuple[str, ...]:
    """Return the readers as far as they are known: a channel's are what the roster says now."""
    if isinstance(wish, Draft):
        return wish.readers
    roster = courier.parts.rosters.roster
    entry = roster.channels.get(wish.channel) if roster else None
    return entry.readers if entry else ()


def _watch(courier: Courier, wish: Wish) -> None:
    """Listen to the readers' keys; a newer roster may have given a channel others."""
    if courier.listening.watch_keys(readers_of(courier, wish)):
        courier.pump()


def _is_fresh(courier: Courier, wish: Wish) -> bool:
    """Tell whether what is known is as new as it gets for now."""
    listening = courier.listening
    if courier.has_failed:
        return True
    is_roster_fresh = listening.is_roster_fresh or listening.is_roster_awaited
    if isinstance(wish, ChannelWish):
        _watch(courier, wish)
    return is_roster_fresh and listening.fresh_keys.issuperset(readers_of(courier, wish))


def _patience(courier: Courier, error: Exception, until: float, settled: float) -> float:
    """Return the tick until which it may still turn out otherwise."""
    if isinstance(error, RosterUnknownError | NoReaderKeyError | NoReadersLeftError):
        return until
    if courier.has_failed:
        return 0.0  # no other roster will come soon
    return settled if courier.listening.is_roster_fresh else until


def _not_awaited(courier: Courier, addressed: Addressed) -> set[str]:
    """Return who is left out for want of a key that nobody has waited for yet."""
    keyless = {name for name, why in addressed.left_out.items() if why is LeftOut.NO_KEY}
    return keyless - courier.listening.keyless


def _choose(courier: Courier, wish: Wish) -> Addressed:
    parts = courier.parts
    roster = parts.rosters.roster
    if roster is None:
        raise RosterUnknownError(f"no roster has come from the owner yet: {courier.why()}")
    heard = parts.gateways.latest()
    message = wish if isinstance(wish, Draft) else wish.draft(roster)
    check_clock(message, max(roster.issued, heard.time if heard else 0))
    sender, kid = parts.keystore.name, parts.keystore.identity.kid
    try:
        if isinstance(wish, ChannelWish):
            targets, left_out = choose_channel_targets(
                message, sender=sender, sender_kid=kid, roster=roster, keys=parts.reader_keys
            )
            return Addressed(message=message, targets=targets, roster=roster, left_out=left_out)
        targets = choose_targets(
            message, sender=sender, sender_kid=kid, roster=roster, keys=parts.reader_keys
        )
    except NoReaderKeyError as error:
        if courier.is_ready:
            raise
        raise NoReaderKeyError(error.reader, courier.why()) from None
    return Addressed(message=message, targets=targets, roster=roster)
