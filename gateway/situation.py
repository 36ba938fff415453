"""What the gateway knows besides its ledger when it decides: the fleet, the time, its limits."""

from collections.abc import Mapping
from dataclasses import dataclass

from device_sdk.trust import Pin, Roster
from device_sdk.wire import limits as wire_limits
from device_sdk.wire.certificates import MemberCertificate

GIB = 1024**3


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What the operator may set lower than the protocol does. Sizes in bytes, times in seconds."""

    max_payload: int = wire_limits.MAX_PAYLOAD
    max_readers: int = wire_limits.MAX_READERS
    max_lifetime: int = wire_limits.MAX_LIFETIME
    sender_messages: int = 200_000
    """Messages of one sender, until their outcome is seen: against one that has run wild, not
    against a busy one."""
    sender_size: int = 4 * GIB
    """Bytes held for one sender."""
    outcome_grace: int = 7 * wire_limits.DAY
    """How long after exp an outcome waits for its sender to take note of it."""
    totals_kept: int = wire_limits.TOTALS_KEPT
    """How long a reading stays in the register, from when it was held."""
    daily_readings: int = 10_000
    """Readings of one sender that enter the register on one day: one in nine seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """One moment's view. The service makes a new one at every tick of its clock and new roster."""

    pin: Pin
    roster: Roster | None
    """The newest verified roster; it may have expired. None before the first one."""
    now: int
    """The high-water mark of wall time (`clock.Clock.now`): it never goes back."""
    paused: bool = False
    """The clock jumped ahead: nothing is taken in, nothing expires."""
    reconciled: bool = True
    """The first reconcile has ended: only then is *unknown* the truth (PROTOCOL 13.6)."""
    limits: Limits = Limits()
    suspended: frozenset[str] = frozenset()
    """Devices whose latest proofs did not verify: for a while none of them is looked at."""
    certificates: Mapping[str, MemberCertificate] | None = None
    """Those that the owner's bundle has; None without a bundle, when nobody can say."""
