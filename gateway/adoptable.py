"""Bytes found under ``inbox/``: a copy that verifies, a hopeless one, or one to wait with. Pure."""

from dataclasses import dataclass

from device_sdk.trust import TrustError
from device_sdk.wire.anonymous import AnonymousCopy, AnyCopy
from device_sdk.wire.envelope import Copy
from device_sdk.wire.errors import WireError
from device_sdk.wire.limits import CLOCK_SKEW
from device_sdk.wire.names import ANONYMOUS
from gateway.situation import Situation
from gateway.store.records import CopyRef, MessageKey


@dataclass(frozen=True, kw_only=True, slots=True)
class Adoptable:
    """A copy that its sender signed for exactly this reader, and that has not expired.

    Of an anonymous one nobody signed anything: its token is verified as far as its key is known.
    """

    copy: AnyCopy
    digest: bytes
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Hopeless:
    """Expired, or nothing that any roster could make valid."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Undecided:
    """The roster does not list its sender or that sender's key, or exp is too far away."""

    until: int
    """Unix seconds: exp, but at most the longest lifetime from now."""


def recognise(
    ref: CopyRef, payload: bytes, situation: Situation
) -> Adoptable | Hopeless | Undecided:
    """Tell what a retained message under the copy's topic is (PROTOCOL 13.6)."""
    decoder = AnonymousCopy if ref.key.sender == ANONYMOUS else Copy
    try:
        copy: AnyCopy = decoder.decode(payload)
        copy.check_inclusion()
    except WireError:
        return Hopeless()
    header = copy.body.header
    named = CopyRef(MessageKey(header.sender, header.message_id), copy.reader.reader)
    if named != ref or header.expires <= situation.now:
        return Hopeless()
    if isinstance(copy, AnonymousCopy):
        return _recognise_anonymous(copy, len(payload), situation)
    return _verify(copy, len(payload), situation)


def _recognise_anonymous(
    copy: AnonymousCopy, size: int, situation: Situation
) -> Adoptable | Undecided:
    header, roster = copy.body.header, situation.roster
    latest = situation.now + situation.limits.max_lifetime + CLOCK_SKEW
    channel = None if roster is None else roster.channels.get(header.channel)
    # It need not be anonymous still: what was held before the rule went stays readable.
    if channel is None or copy.reader.reader not in channel.readers or header.expires > latest:
        return Undecided(until=min(header.expires, latest))  # a newer roster may have it
    return Adoptable(copy=copy, digest=copy.body.digest(situation.pin.aad), size=size)


def _verify(copy: Copy, size: int, situation: Situation) -> Adoptable | Hopeless | Undecided:
    header, roster = copy.body.header, situation.roster
    latest = situation.now + situation.limits.max_lifetime + CLOCK_SKEW
    undecided = Undecided(until=min(header.expires, latest))
    if roster is None or header.expires > latest:
        return undecided
    try:
        # Also of a revoked sender: its message is adopted, so that it ends in good order.
        key = roster.identity(header.sender, header.sender_kid)
        digest = copy.body.verify(key, situation.pin.aad)
    except TrustError:
        return undecided
    except WireError:
        return Hopeless()
    return Adoptable(copy=copy, digest=digest, size=size)
