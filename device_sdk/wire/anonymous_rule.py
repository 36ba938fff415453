"""What the owner asks of a channel whose senders are not to be known (PROTOCOL 19.1)."""

from dataclasses import dataclass
from typing import Any, Self

from device_sdk.wire import cbor
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.limits import MAX_TOKENS, TOKEN_PERIODS


@dataclass(frozen=True, kw_only=True, slots=True)
class AnonymousRule:
    """How often whoever may send to the channel may do so."""

    epoch: int
    """Seconds of a period, for each of which tokens are issued."""
    tokens: int
    """What one device gets for a period: one for each message."""

    def period(self, now: int, ahead: int = 0) -> tuple[int, int]:
        """Return begin and end of the period of ``now``, or so many later; all Unix seconds."""
        begins = (now // self.epoch + ahead) * self.epoch
        return begins, begins + self.epoch

    def has_period(self, begins: int, ends: int) -> bool:
        """Tell whether a period that begins and ends so is one of the rule's."""
        return begins % self.epoch == 0 and ends - begins == self.epoch

    def to_cbor(self) -> list[int]:
        """Return the rule as it stands in a channel's entry."""
        return [self.epoch, self.tokens]

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Return the rule from decoded CBOR. Raises MalformedError."""
        what = "roster.channel.anonymous"
        epoch, tokens = cbor.as_array(value, what, length=2)
        rule = cls(
            epoch=cbor.as_uint(epoch, f"{what}.epoch"),
            tokens=cbor.as_uint(tokens, f"{what}.tokens", most=MAX_TOKENS),
        )
        if rule.epoch not in TOKEN_PERIODS:
            raise MalformedError(
                f"{what}.epoch",
                expected=f"{TOKEN_PERIODS.start} to {TOKEN_PERIODS.stop - 1} seconds",
                got=str(rule.epoch),
            )
        if rule.tokens == 0:
            raise MalformedError(f"{what}.tokens", expected="at least 1", got="0")
        return rule
