"""Sealed mail to play with: made once, as RSA is slow. Everything else is signed when needed."""

import os
from dataclasses import dataclass, replace
from functools import cache
from typing import Self

from device_sdk.wire.limits import DAY
from gateway.store.records import MessageKey
from tests.support.envelopes import NOW, Fleet, SealedMessage
from tests.support.mailroom import key_of

SENDERS = ("lock", "thermo")
READERS = ("hub", "phone", "wall")
DEVICES = (*SENDERS, *READERS)


@dataclass(frozen=True, kw_only=True, eq=False)
class Mail:
    """One message of the pool. Some share their name with another one, and nothing else."""

    sealed: SealedMessage
    data: bytes
    copies: dict[str, bytes]
    """By reader."""

    @property
    def key(self) -> MessageKey:
        """Its name."""
        return key_of(self.sealed)

    @property
    def expires(self) -> int:
        """Unix seconds."""
        return self.sealed.envelope.body.header.expires

    @property
    def readers(self) -> tuple[str, ...]:
        """All that it is sealed to."""
        return tuple(self.copies)

    def __deepcopy__(self, memo: object) -> Self:
        """It never changes, and is known by its identity."""
        return self

    def content(self) -> list[bytes]:
        """Return pieces of what must go with the last read ack."""
        return [self.sealed.envelope.body.ciphertext[:24]]

    def wrap(self, reader: str) -> list[bytes]:
        """Return pieces of what must go when one reader's slot is settled."""
        entry = next(one for one in self.sealed.envelope.readers if one.reader == reader)
        return [entry.wrapped_cek[:24], entry.open_hash]


@cache
def pool() -> tuple[Fleet, tuple[Mail, ...]]:
    """Return the fleet, which nobody may change, and its mail."""
    fleet = Fleet()
    fleet.admit(*DEVICES)
    first, second = os.urandom(16), os.urandom(16)
    return fleet, (
        _mail(fleet, "thermo", ["hub"], NOW + 3600),
        _mail(fleet, "thermo", ["hub", "phone"], NOW + DAY, first),
        _mail(fleet, "thermo", ["hub", "wall"], NOW + DAY, first),
        _mail(fleet, "thermo", ["hub", "phone", "wall"], NOW + 7 * DAY, second),
        _mail(fleet, "thermo", ["wall"], NOW + 20 * DAY, second),
        _mail(fleet, "lock", ["phone", "wall"], NOW + 20 * DAY),
        _mail(fleet, "lock", ["hub", "thermo"], NOW + DAY),
    )


def own_fleet() -> Fleet:
    """Return the pool's fleet, so that changes of its roster stay with the caller."""
    fleet, _ = pool()
    return replace(fleet, entries=dict(fleet.entries))


def _mail(
    fleet: Fleet, sender: str, readers: list[str], expires: int, message_id: bytes = b""
) -> Mail:
    payload = os.urandom(40)
    sealed = fleet.seal(sender, readers, payload, expires=expires, message_id=message_id)
    copies = {copy.reader.reader: copy.encode() for copy in sealed.envelope.copies()}
    return Mail(sealed=sealed, data=sealed.data, copies=copies)
