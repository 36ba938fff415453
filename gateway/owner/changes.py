"""What the owner can change apart from admitting: pure functions from members to members.

A revoked entry stays in the roster for ever. The protocol asks for 30 days, but the date would have
to be guessed from a version; the name must not pass to another device while certificates or copies
of the old one may be about; and a gateway that slept longer would never hear of the revocation.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from device_sdk.wire.errors import MalformedError
from device_sdk.wire.limits import DEFAULT_LIFETIME, MAX_LIFETIME, MAX_READERS
from device_sdk.wire.names import DIRECT, as_name
from device_sdk.wire.roster_page import ROLE_DEVICE, ChannelEntry, DeviceEntry
from gateway.owner.errors import NotChangedError
from gateway.owner.signing import Members


def renew(members: Members, _version: int) -> Members:
    """Change nothing: the roster is signed again, for longer."""
    return members


def revoke(members: Members, name: str, version: int) -> Members:
    """Revoke a device or gateway as of a roster's version.

    Its channels go on listing it: so a message to it that is under way is excused from it, not
    refused.

    Raises:
        NotChangedError: nobody of that name, or revoked before.
    """
    entry = members.devices.get(name)
    if entry is None:
        raise NotChangedError(f"the fleet has no device or gateway named {name}")
    if entry.revoked_at:
        raise NotChangedError(f"{name} was revoked before, in roster version {entry.revoked_at}")
    revoked = replace(entry, revoked_at=version)
    return replace(members, devices={**members.devices, name: revoked})


def set_channel(
    members: Members,
    name: str,
    *,
    readers: Iterable[str] = (),
    senders: Iterable[str] = (),
    lifetime: int | None = None,
) -> Members:
    """Make a channel, or give one other readers and senders.

    ``lifetime`` is in seconds; None keeps what it has, or gives a new channel seven days. A channel
    that is there keeps its readers or its senders where none are named.

    Raises:
        NotChangedError: a name that is no channel's, somebody who is not an active device of the
            fleet, nobody to read or send, or more than the protocol allows.
    """
    _check_channel_name(name)
    known = members.channels.get(name)
    if lifetime is None:
        lifetime = DEFAULT_LIFETIME if known is None else known.lifetime
    _check_lifetime(lifetime)
    known = known or ChannelEntry(readers=(), senders=(), lifetime=lifetime)
    named, permitted = set(readers), set(senders)
    if named or not known.readers:
        known = replace(known, readers=_members_of(members.devices, name, "reader", named))
    if permitted or not known.senders:
        known = replace(known, senders=_members_of(members.devices, name, "sender", permitted))
    entry = replace(known, lifetime=lifetime)
    return replace(members, channels={**members.channels, name: entry})


def add_to_channel(
    members: Members, name: str, *, readers: Iterable[str], senders: Iterable[str]
) -> Members:
    """Add readers and senders to a channel; whoever is there already stays.

    Raises:
        NotChangedError: no such channel, nobody to add, or see `set_channel`.
    """
    known = _channel(members, name)
    new_readers, new_senders = set(readers) - {*known.readers}, set(senders) - {*known.senders}
    if not new_readers and not new_senders:
        raise NotChangedError(f"channel {name} has them already")
    _check_active(members.devices, {*new_readers, *new_senders})
    entry = replace(
        known,
        readers=_counted(name, "reader", {*known.readers, *new_readers}),
        senders=_counted(name, "sender", {*known.senders, *new_senders}),
    )
    return replace(members, channels={**members.channels, name: entry})


def remove_from_channel(
    members: Members, name: str, *, readers: Iterable[str], senders: Iterable[str]
) -> Members:
    """Take readers and senders out of a channel; it keeps at least one of each.

    Raises:
        NotChangedError: no such channel, somebody who is not in it, or nobody would be left.
    """
    known = _channel(members, name)
    entry = replace(
        known,
        readers=_without(name, "reader", known.readers, readers),
        senders=_without(name, "sender", known.senders, senders),
    )
    return replace(members, channels={**members.channels, name: entry})


def remove_channel(members: Members, name: str) -> Members:
    """Take a whole channel out of the roster. Raises NotChangedError if there is none."""
    _channel(members, name)
    channels = {other: entry for other, entry in members.channels.items() if other != name}
    return replace(members, channels=channels)


def _channel(members: Members, name: str) -> ChannelEntry:
    known = members.channels.get(name)
    if known is None:
        raise NotChangedError(f"the fleet has no channel named {name}")
    return known


def _check_channel_name(name: str) -> None:
    try:
        as_name(name, "channel name")
    except MalformedError as error:
        raise NotChangedError(str(error)) from error
    if name == DIRECT:
        raise NotChangedError(
            f"no channel can be named {DIRECT}: messages without a channel are called so"
        )


def _check_lifetime(lifetime: int) -> None:
    if not 1 <= lifetime <= MAX_LIFETIME:
        raise NotChangedError(
            f"expected a lifetime of 1 to {MAX_LIFETIME} seconds (30 days), got {lifetime}"
        )


def _members_of(
    devices: Mapping[str, DeviceEntry], channel: str, what: str, names: Iterable[str]
) -> tuple[str, ...]:
    wanted = set(names)
    _check_active(devices, wanted)
    return _counted(channel, what, wanted)


def _check_active(devices: Mapping[str, DeviceEntry], names: Iterable[str]) -> None:
    for name in sorted(names):
        entry = devices.get(name)
        if entry is None:
            raise NotChangedError(f"the fleet has no device named {name}")
        if ROLE_DEVICE not in entry.roles:
            raise NotChangedError(f"{name} is no device but a {' and '.join(entry.roles)}")
        if entry.revoked_at:
            raise NotChangedError(f"{name} was revoked")


def _counted(channel: str, what: str, names: set[str]) -> tuple[str, ...]:
    if not names:
        raise NotChangedError(f"channel {channel} needs at least one {what}")
    if len(names) > MAX_READERS:
        raise NotChangedError(
            f"channel {channel} can have {MAX_READERS} {what}s at most, got {len(names)}"
        )
    return tuple(sorted(names))


def _without(
    channel: str, what: str, known: tuple[str, ...], names: Iterable[str]
) -> tuple[str, ...]:
    gone = set(names)
    for name in sorted(gone - {*known}):
        raise NotChangedError(f"{name} is no {what} of channel {channel}")
    left = {*known} - gone
    if not left:
        raise NotChangedError(
            f"channel {channel} would have no {what} left: set it anew, or name nobody to remove "
            "the whole channel"
        )
    return tuple(sorted(left))
