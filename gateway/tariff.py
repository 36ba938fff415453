"""A tariff file: what a step of a reading costs at which time of the day. Pure."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from device_sdk.wire.limits import DAY
from device_sdk.wire.totals_bill import MAX_PRICE, MAX_WEIGHT
from gateway.errors import GatewayError

_MINUTE = 60
_MOST_BANDS = 48


class TariffError(GatewayError):
    """A tariff file of another form than expected; one line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """A time of the day with a price of its own, UTC."""

    start: int
    """Seconds from midnight."""
    until: int
    """The same; at or before ``start`` if it goes past midnight."""
    weight: int

    def has(self, second: int) -> bool:
        """Tell whether a second of the day is in it."""
        if self.start < self.until:
            return self.start <= second < self.until
        return second >= self.start or second < self.until


@dataclass(frozen=True, kw_only=True, slots=True)
class Tariff:
    """Prices. The first band that has a reading's time counts."""

    price: str
    """What a weight counts, such as "0.001 cent"."""
    weight: int
    """Outside of all bands."""
    bands: tuple[Band, ...] = ()

    def weight_at(self, time: int) -> int:
        """Return the price of a step at a time, Unix seconds."""
        second = time % DAY
        return next((band.weight for band in self.bands if band.has(second)), self.weight)

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the tariff of a TOML file's text. Raises TariffError."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise TariffError(f"the tariff is not TOML: {error}") from None
        _check_names(table, {"price", "weight", "band"})
        price, bands = table.get("price"), table.get("band", [])
        if type(price) is not str or not (price.isascii() and price.isprintable()):
            raise TariffError('price: expected what a weight counts, such as "0.001 cent"')
        if not 1 <= len(price) <= MAX_PRICE:
            raise TariffError(f"price: expected 1 to {MAX_PRICE} characters, got {len(price)}")
        if type(bands) is not list or len(bands) > _MOST_BANDS:
            raise TariffError(f"band: expected at most {_MOST_BANDS} tables [[band]]")
        return cls(price=price, weight=_weight(table), bands=tuple(map(_band, bands)))


def _band(table: Any) -> Band:
    if type(table) is not dict:
        raise TariffError("band: expected tables [[band]]")
    _check_names(table, {"from", "until", "weight"})
    return Band(start=_time(table, "from"), until=_time(table, "until"), weight=_weight(table))


def _check_names(table: Mapping[str, Any], known: set[str]) -> None:
    for name in table:
        if name not in known:
            raise TariffError(f"{name}: expected one of {', '.join(sorted(known))}")


def _weight(table: Mapping[str, Any]) -> int:
    weight = table.get("weight")
    if type(weight) is not int or not 1 <= weight <= MAX_WEIGHT:
        raise TariffError(f"weight: expected a whole number from 1 to {MAX_WEIGHT}")
    return weight


def _time(table: Mapping[str, Any], name: str) -> int:
    hours, colon, minutes = str(table.get(name)).partition(":")
    digits = hours.isdecimal() and minutes.isdecimal() and len(hours) == len(minutes) == 2
    if not colon or not digits or int(hours) > 23 or int(minutes) > 59:
        raise TariffError(f'{name}: expected a time of the day in UTC, such as "22:00"')
    return (int(hours) * 60 + int(minutes)) * _MINUTE
