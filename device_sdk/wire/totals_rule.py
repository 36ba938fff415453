"""What the owner allows to be added up on a channel of readings (PROTOCOL 18.1)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

from device_sdk.wire import cbor
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.limits import DAY
from device_sdk.wire.names import as_name

MIN_EPOCH, MAX_EPOCH = 1, 31 * DAY
"""Seconds: the resolution of all times here, and a month; readings are kept for three."""
MIN_LEAST, MAX_LEAST = 2, 1000
"""One reading is no total."""
MIN_TRUSTEES, MAX_TRUSTEES = 2, 8
"""A single trustee would be shown every reading; each one more costs every reading a message."""

_EPOCH, _LEAST, _TRUSTEES = range(1, 4)


@dataclass(frozen=True, kw_only=True, slots=True)
class TotalsRule:
    """Which totals there may be: bills of one device, or sums across devices, never both.

    Why not both: a bill and a sum that share all readings but one would tell that one.
    """

    epoch: int
    """Seconds. Epochs count from 1970-01-01, UTC; a reading belongs to that of its `iat`."""
    least: int
    """The least number of readings of one price in a bill, and of devices in a sum."""
    trustees: tuple[str, ...] = ()
    """Devices that add up shares, sorted; empty if the channel is for bills."""

    def start_of(self, time: int) -> int:
        """Return when the epoch of a time begins. Both are Unix seconds."""
        return time - time % self.epoch

    def to_cbor(self) -> dict[int, Any]:
        """Return the rule as it stands in a channel's entry, and in requests."""
        return {_EPOCH: self.epoch, _LEAST: self.least, _TRUSTEES: list(self.trustees)}

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Return the rule from decoded CBOR. Raises MalformedError, TooLargeError."""
        what = "totals-rule"
        fields = cbor.as_map(value, what, (_EPOCH, _LEAST, _TRUSTEES))
        epoch = cbor.as_uint(fields[_EPOCH], f"{what}.epoch", most=MAX_EPOCH)
        least = cbor.as_uint(fields[_LEAST], f"{what}.least", most=MAX_LEAST)
        trustees = cbor.as_array(fields[_TRUSTEES], f"{what}.trustees", most=MAX_TRUSTEES)
        names = tuple(as_name(name, f"{what}.trustees") for name in trustees)
        if epoch < MIN_EPOCH:
            raise MalformedError(f"{what}.epoch", expected=f"{MIN_EPOCH} or more", got=str(epoch))
        if least < MIN_LEAST:
            raise MalformedError(f"{what}.least", expected=f"{MIN_LEAST} or more", got=str(least))
        if len(names) == 1:
            raise MalformedError(f"{what}.trustees", expected="none, or two or more", got="one")
        if any(a >= b for a, b in pairwise(names)):
            raise MalformedError(f"{what}.trustees", expected="sorted, each once", got="another")
        return cls(epoch=epoch, least=least, trustees=names)
