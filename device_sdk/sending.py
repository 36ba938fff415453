"""What must be known before a message is sealed. Pure: checks, and the readers' keys.

Everything here happens before anything is stored, so that a refusal leaves nothing behind.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from device_sdk.errors import (
    ClockError,
    LifetimeError,
    NoReaderKeyError,
    NotAdmittedError,
    ReadersError,
    UnknownReaderError,
)
from device_sdk.seal import WrapTarget
from device_sdk.times import as_datetime
from device_sdk.trust import Roster
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.limits import (
    CLOCK_SKEW,
    DAY,
    DEFAULT_LIFETIME,
    MAX_LIFETIME,
    MAX_READERS,
)
from device_sdk.wire.names import DIRECT, is_name
from device_sdk.wire.suites import key_id

LIFETIME = timedelta(seconds=DEFAULT_LIFETIME)


class Keys(Protocol):
    """Where readers' keys are known: `device_sdk.keys.reader_keys.ReaderKeys`."""

    def newest(self, device: str, roster: Roster, *, now: int, until: int) -> KeyStatement | None:
        """Return the newest key of a device that is valid from ``now`` to ``until``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A message that has not been sealed yet, with its readers' names checked."""

    readers: tuple[str, ...]
    """Sorted, each once."""
    issued: int
    expires: int
    channel: str = DIRECT


def draft(to: Iterable[object], lifetime: timedelta, now: int) -> Draft:
    """Check readers and lifetime on their own; a reader named twice counts once.

    Raises:
        ReadersError: nobody, more than 1,000, or something that is no device id.
        LifetimeError: less than a second or more than 30 days.
    """
    if isinstance(to, str):
        raise ReadersError(f"readers are a list of device ids, got one text: to=[{to!r:.70}]")
    readers = list(to)
    for reader in readers:
        if not (isinstance(reader, str) and is_name(reader)):
            raise ReadersError(
                f"a reader is a device id, 1 to 64 of a-z 0-9 . _ -, got {reader!r:.70}"
            )
    unique = sorted({str(reader) for reader in readers})
    if not 1 <= len(unique) <= MAX_READERS:
        raise ReadersError(f"a message has 1 to {MAX_READERS} readers, got {len(unique)}")
    return Draft(readers=tuple(unique), issued=now, expires=now + check_lifetime(lifetime))


def check_lifetime(lifetime: timedelta) -> int:
    """Return a lifetime in seconds. Raises LifetimeError outside a second to 30 days."""
    seconds = int(lifetime.total_seconds())
    if not 1 <= seconds <= MAX_LIFETIME:
        raise LifetimeError(
            f"a message lives for a second to {MAX_LIFETIME // DAY} days, got {lifetime}"
        )
    return seconds


def check_clock(message: Draft, past: int) -> None:
    """See that a message is not born expired: its clock may never have been set.

    ``past`` is a time, in Unix seconds, that somebody with a clock has signed.

    Raises:
        ClockError: the message would have expired by then.
    """
    if message.expires + CLOCK_SKEW <= past:
        raise ClockError(
            f"a message made now would have expired already: here it is "
            f"{as_datetime(message.issued):%Y-%m-%d %H:%M}, and owner or gateway have signed "
            f"something at {as_datetime(past):%Y-%m-%d %H:%M} UTC. Set this device's clock"
        )


def choose_targets(
    message: Draft, *, sender: str, sender_kid: bytes, roster: Roster, keys: Keys
) -> list[WrapTarget]:
    """Return whom to seal to, and with which key.

    Raises:
        RosterExpiredError: the owner must renew the roster first.
        NotAdmittedError: the roster does not list this device as active with its present key.
        UnknownReaderError: a reader that is no active device of the fleet.
        NoReaderKeyError: a reader without a known key that is valid until the message expires.
    """
    now = message.issued
    roster.check_current(now)
    check_sender(sender, sender_kid, roster, now)
    for reader in message.readers:
        if not roster.is_active(reader, now):
            raise UnknownReaderError(reader)
    targets = []
    for reader in message.readers:
        statement = keys.newest(reader, roster, now=now, until=message.expires)
        if statement is None:
            raise NoReaderKeyError(reader)
        targets.append(WrapTarget(reader=reader, key=statement.wrap_key))
    return targets


def check_sender(sender: str, kid: bytes, roster: Roster, now: int) -> None:
    """Raise NotAdmittedError unless the roster lists this device as active with its key ``kid``."""
    if roster.is_revoked(sender):
        raise NotAdmittedError(f"the owner has revoked this device, {sender}")
    if not roster.is_active(sender, now):
        raise NotAdmittedError(f"the owner has not admitted this device, {sender}, or not for now")
    if all(key_id(spki) != kid for spki in roster.devices[sender].identities):
        raise NotAdmittedError(f"the owner has admitted another device as {sender}: make new keys")
