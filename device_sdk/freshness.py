"""Is the roster that this device goes by the newest one, and for how long? (PROTOCOL 8.7)

An operator cannot forge a roster, but it can withhold one until the old one expires, and so keep a
revoked device in the fleet. Every gateway signs which version it goes by: in its state, in each
notice, and in the heads of its log that other devices' messages carry. A device compares them with
its own. Nothing here refuses anything: the roster's own expiry does, and a gateway's word is no
ground for it.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from device_sdk.state.state_file import StateFile
from device_sdk.times import as_datetime
from device_sdk.trust import Roster
from device_sdk.wire import cbor
from device_sdk.wire.errors import WireError
from device_sdk.wire.limits import DAY, KIB, MAX_ID, ROSTER_WARNING
from device_sdk.wire.roster_page import ROLE_GATEWAY
from device_sdk.wire.state import State

PATIENCE = 300
"""Seconds that a roster may be on its way: a gateway looks for one every second and publishes it at
once, so that minutes mean that somebody or something holds it back."""
SAID_EVERY = DAY
"""Seconds between two lines in the log about the same concern."""
OWNER = "the owner"
"""Whoever has signed a newer head, where no gateway says so: no gateway's name has a space."""
_HEARD, _SAID = "rosters-heard", "concern-said-"
_HEARD_LIMIT = 64 * KIB
"""Bytes of what is kept: a hundred bytes for each of the fleet's gateways."""

logger = logging.getLogger(__name__)


class Concern(StrEnum):
    """What may be wrong with the roster."""

    EXPIRED = "roster-expired"
    """Nothing is sealed any more until the owner renews it."""
    EXPIRES_SOON = "roster-expires-soon"
    """Within 14 days."""
    WITHHELD = "roster-withheld"
    """A gateway signs that it goes by a newer one, which has not come here."""
    GATEWAY_BEHIND = "gateway-behind"
    """A gateway goes by an older one than this device: it may not act on the latest revocations."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RosterWarning:
    """One concern, with its facts."""

    concern: Concern
    text: str
    """For people: what is wrong, and what to do."""
    version: int
    """Of this device's roster."""
    expires: int
    """Unix seconds: when it does."""
    gateway: str = ""
    """Whose roster is another one; empty if it is the owner's own head that tells."""
    gateway_version: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Heard:
    version: int
    since: int
    """Unix seconds: when a version was first heard of that is newer than the own one."""


class RosterWatch:
    """Compares the own roster with what gateways sign. ``now`` is Unix seconds."""

    def __init__(self, state: StateFile) -> None:
        self._state = state
        self._newer = self._load()
        self._behind: dict[str, _Heard] = {}

    def _load(self) -> dict[str, _Heard]:
        stored = self._state.fact(_HEARD)
        if stored is None:
            return {}
        try:
            return _decode(stored)
        except WireError as error:
            logger.warning("what gateways said of newer rosters is damaged: %s", error)
            return {}

    def _store(self) -> None:
        rows = [[name, heard.version, heard.since] for name, heard in self._newer.items()]
        self._state.put_fact(_HEARD, cbor.encode(rows))

    def heard(self, gateway: str, version: int, own: int, now: int) -> None:
        """A gateway has signed that it goes by a version, or the `OWNER` a head of it.

        That may be long ago, so that only a newer version than the own one says anything. Kept
        across restarts: a command that runs for a moment finds what the one before it heard.
        """
        known = self._newer.get(gateway, _Heard(version=0, since=now))
        if version <= max(own, known.version):
            return
        # Still behind since then, if it was behind already.
        since = known.since if known.version > own else now
        self._newer[gateway] = _Heard(version=version, since=since)
        self._store()

    def go_by(self, roster: Roster, now: int) -> None:
        """Forget the versions that have come, and what was said by those who are no gateways now:
        one that signs a version which never was is believed until it is revoked."""
        kept = {
            name: heard
            for name, heard in self._newer.items()
            if heard.version > roster.version and _has_a_say(name, roster, now)
        }
        if kept != self._newer:
            self._newer = kept
            self._store()

    def compare(self, online: Iterable[State], own: int, now: int) -> None:
        """Compare with the states of the gateways that are online: by them one may be behind."""
        behind = {state.gateway: state.roster_version for state in online}
        self._behind = {
            name: _Heard(version=version, since=self._since(name, now))
            for name, version in behind.items()
            if version < own
        }

    def _since(self, gateway: str, now: int) -> int:
        known = self._behind.get(gateway)
        return now if known is None else min(known.since, now)

    def warnings(self, roster: Roster | None, now: int) -> tuple[RosterWarning, ...]:
        """Return everything that is of concern now."""
        if roster is None:
            return ()
        found = [*_expiry(roster, now), *self._withheld(roster, now), *self._behind_us(roster, now)]
        return tuple(found)

    def _withheld(self, roster: Roster, now: int) -> Iterable[RosterWarning]:
        found = [
            (heard.version, name, heard)
            for name, heard in self._newer.items()
            if heard.version > roster.version
            and _has_a_say(name, roster, now)
            and not heard.since <= now < heard.since + PATIENCE
        ]
        if not found:
            return
        version, name, heard = max(found, key=lambda one: one[:2])
        yield RosterWarning(
            concern=Concern.WITHHELD,
            text=f"{_said(name, version)} since {_time(heard.since)}, but only version "
            f"{roster.version} has come here: "
            "somebody may be withholding the newer one; ask the owner which is the latest",
            version=roster.version,
            expires=roster.expires,
            gateway="" if name == OWNER else name,
            gateway_version=0 if name == OWNER else version,
        )

    def _behind_us(self, roster: Roster, now: int) -> Iterable[RosterWarning]:
        for name, heard in sorted(self._behind.items()):
            if heard.version < roster.version and now >= heard.since + PATIENCE:
                yield RosterWarning(
                    concern=Concern.GATEWAY_BEHIND,
                    text=f"the gateway {name} goes by roster version {heard.version}, older than "
                    f"version {roster.version} here: its operator must give it the newest bundle",
                    version=roster.version,
                    expires=roster.expires,
                    gateway=name,
                    gateway_version=heard.version,
                )

    def say(self, roster: Roster | None, now: int) -> None:
        """Put what is of concern into the log, each concern once a day at most."""
        for warning in self.warnings(roster, now):
            fact = _SAID + warning.concern
            said = int.from_bytes(self._state.fact(fact) or b"")
            if not said <= now < said + SAID_EVERY:
                logger.warning("%s", warning.text)
                self._state.put_fact(fact, now.to_bytes(8))


def _has_a_say(gateway: str, roster: Roster, now: int) -> bool:
    return gateway == OWNER or roster.is_active(gateway, now, ROLE_GATEWAY)


def _said(name: str, version: int) -> str:
    verb = "has signed" if name == OWNER else "goes by"
    return f"{name} {verb} roster version {version}"


def _decode(data: bytes) -> dict[str, _Heard]:
    what = "rosters-heard"
    heard = {}
    for row in cbor.as_array(cbor.decode(data, what, limit=_HEARD_LIMIT), what):
        name, version, since = cbor.as_array(row, what, length=3)
        heard[cbor.as_text(name, what, most=MAX_ID)] = _Heard(
            version=cbor.as_uint(version, what), since=cbor.as_uint(since, what)
        )
    return heard


def _expiry(roster: Roster, now: int) -> Iterable[RosterWarning]:
    if now >= roster.expires:
        concern, text = Concern.EXPIRED, "expired on {}, and nothing is sealed any more"
    elif now >= roster.expires - ROSTER_WARNING:
        concern, text = Concern.EXPIRES_SOON, "expires on {}, and then nothing is sealed any more"
    else:
        return
    yield RosterWarning(
        concern=concern,
        text=f"the roster {text.format(_time(roster.expires))}: the owner must renew it",
        version=roster.version,
        expires=roster.expires,
    )


def _time(seconds: int) -> str:
    return f"{as_datetime(seconds):%Y-%m-%d %H:%M} UTC"
