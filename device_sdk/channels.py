"""Whom a message to a channel is sealed to: the readers that the owner signed. Pure.

What broker or gateway say about a channel never counts: readers and senders come from the verified
roster alone. A direct message to somebody who cannot be sealed to is an error; on a channel such a
reader is left out and reported, so that one lost device does not silence the others (PROTOCOL 14).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from device_sdk.anonymous.seal import round_expiry
from device_sdk.errors import (
    LifetimeError,
    NoReadersLeftError,
    NoReadingRuleError,
    NotPermittedError,
    UnknownChannelError,
)
from device_sdk.seal import WrapTarget
from device_sdk.sending import Draft, Keys, check_lifetime, check_sender
from device_sdk.trust import Roster
from device_sdk.wire.names import DIRECT, is_name


class LeftOut(StrEnum):
    """Why a reader of a channel does not get a message."""

    NO_KEY = "no-key"
    """No reader key of it is known that is valid until the message expires."""
    REVOKED = "revoked"
    INACTIVE = "inactive"
    """The roster lists no device of this name any more, or its membership has ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelWish:
    """A message to a channel, before the roster has said what that is."""

    channel: str
    lifetime: timedelta | None
    """None is the channel's own."""
    issued: int
    is_reading: bool = False
    """Whether the channel must have a rule for readings; the owner may have made it just now."""

    def draft(self, roster: Roster) -> Draft:
        """Return the message with all of the channel's readers.

        Raises:
            RosterExpiredError: the owner must renew the roster first.
            UnknownChannelError: the roster lists no such channel.
            NoReadingRuleError: a reading, for a channel without a rule for them.
            LifetimeError: less than a second or more than 30 days, or, for an anonymous channel,
                than its own lifetime.
        """
        roster.check_current(self.issued)
        entry = roster.channels.get(self.channel)
        if entry is None:
            raise UnknownChannelError(self.channel)
        if self.is_reading and entry.reading is None:
            raise NoReadingRuleError(self.channel)
        lifetime = timedelta(seconds=entry.lifetime) if self.lifetime is None else self.lifetime
        expires = self.issued + check_lifetime(lifetime)
        if entry.anonymous is not None:
            if lifetime.total_seconds() > entry.lifetime:
                raise LifetimeError(
                    f"anonymous messages live as long as their channel says at most: "
                    f"{timedelta(seconds=entry.lifetime)}, got {lifetime}"
                )
            expires = round_expiry(expires, self.issued)
        return Draft(
            channel=self.channel, readers=entry.readers, issued=self.issued, expires=expires
        )


def channel_wish(channel: object, lifetime: timedelta | None, now: int) -> ChannelWish:
    """Check a channel's name and a lifetime on their own.

    Raises:
        UnknownChannelError: no channel can have this name.
        LifetimeError: less than a second or more than 30 days.
    """
    if not (isinstance(channel, str) and is_name(channel)) or channel == DIRECT:
        raise UnknownChannelError(str(channel))
    if lifetime is not None:
        check_lifetime(lifetime)
    return ChannelWish(channel=channel, lifetime=lifetime, issued=now)


def choose_channel_targets(
    message: Draft, *, sender: str, sender_kid: bytes, roster: Roster, keys: Keys
) -> tuple[list[WrapTarget], Mapping[str, LeftOut]]:
    """Return whom to seal to and with which key, and who is left out.

    Raises:
        NotAdmittedError: the roster does not list this device as active with its present key.
        NotPermittedError: the owner does not list it as a sender of the channel.
        NoReadersLeftError: everybody would be left out.
    """
    check_sender(sender, sender_kid, roster, message.issued)
    if sender not in roster.channels[message.channel].senders:
        raise NotPermittedError(sender, message.channel)
    targets: list[WrapTarget] = []
    left_out: dict[str, LeftOut] = {}
    for reader in message.readers:
        found = _target(reader, message, roster, keys)
        if isinstance(found, LeftOut):
            left_out[reader] = found
        else:
            targets.append(found)
    if not targets:
        raise NoReadersLeftError(message.channel, left_out)
    return targets, left_out


def _target(reader: str, message: Draft, roster: Roster, keys: Keys) -> WrapTarget | LeftOut:
    now = message.issued
    if roster.is_revoked(reader):
        return LeftOut.REVOKED
    if not roster.is_active(reader, now):
        return LeftOut.INACTIVE
    statement = keys.newest(reader, roster, now=now, until=message.expires)
    if statement is None:
        return LeftOut.NO_KEY
    return WrapTarget(reader=reader, key=statement.wrap_key)
