"""A channel whose senders are not to be known: the owner's rule (PROTOCOL 19.1). Pure."""

from dataclasses import dataclass, replace

from device_sdk.wire.anonymous_rule import AnonymousRule
from device_sdk.wire.errors import WireError
from device_sdk.wire.limits import DAY
from gateway.owner.errors import NotChangedError
from gateway.owner.signing import Members

USUAL_EPOCH = DAY
USUAL_TOKENS = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class AnonymityWish:
    """What the owner asks for; None is what is there already, or what is usual."""

    anonymous: bool | None = None
    """False takes the rule away."""
    epoch: int | None = None
    """Seconds of a period; usually a day."""
    tokens: int | None = None
    """Messages of one sender in a period; usually 24."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked for."""
        return self == AnonymityWish()


def set_anonymous_rule(members: Members, name: str, wish: AnonymityWish) -> Members:
    """Make a channel anonymous, change how, or let its senders be known again.

    Raises:
        NotChangedError: no such channel, one for readings, or a rule out of bounds.
    """
    known = members.channels.get(name)
    if known is None:
        raise NotChangedError(f"the fleet has no channel named {name}")
    entry = replace(known, anonymous=_rule(known.anonymous, wish))
    if entry.anonymous is not None and entry.reading is not None:
        raise NotChangedError(
            f"channel {name} takes readings, whose proofs name their sender: make another one for "
            "anonymous messages"
        )
    return replace(members, channels={**members.channels, name: entry})


def _rule(known: AnonymousRule | None, wish: AnonymityWish) -> AnonymousRule | None:
    if wish.anonymous is False:
        return None
    if known is None and wish.anonymous is None:
        raise NotChangedError("tokens and their period are an anonymous channel's: --anonymous")
    before = known or AnonymousRule(epoch=USUAL_EPOCH, tokens=USUAL_TOKENS)
    rule = AnonymousRule(
        epoch=before.epoch if wish.epoch is None else wish.epoch,
        tokens=before.tokens if wish.tokens is None else wish.tokens,
    )
    try:
        return AnonymousRule.parse(rule.to_cbor())
    except WireError as error:
        raise NotChangedError(f"no channel can be anonymous so: {error}") from error
