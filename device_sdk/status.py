"""How a device is doing, for people and scripts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from device_sdk.freshness import RosterWarning
from device_sdk.transparency.report import LogReport


@dataclass(frozen=True, kw_only=True, slots=True)
class ReaderKeyStatus:
    """One of the device's own reader keys."""

    serial: int
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class GatewayStatus:
    """A gateway, by the latest state that it signed."""

    name: str
    status: str
    """"online", "offline" or "paused"; "silent" if it has not been heard for too long."""
    heard_at: datetime
    """By the gateway's clock."""
    software: str
    roster_version: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LogStatus:
    """A gateway's log of rosters and keys, as far as this device believes it."""

    gateway: str
    size: int
    """Entries."""
    at: datetime
    """When its head was signed, by the gateway's clock."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """One moment's view from the device."""

    name: str
    fleet: str
    """Fingerprint of the owner's root, 64 hex digits."""
    broker: str
    """URL without user and password."""
    is_connected: bool
    problem: str
    """Why it is not connected, or what else is wrong; empty if nothing is."""
    roster_version: int
    """0 if no roster has ever come."""
    roster_expires: datetime | None
    is_roster_valid: bool
    is_admitted: bool
    """Whether the roster lists this device as active with its present identity."""
    reading_channels: tuple[str, ...]
    """Channels for readings that this device sends to or reads."""
    tokens: Mapping[str, int]
    """Tokens for anonymous messages that are left in the present period, by channel to send to."""
    reader_keys: tuple[ReaderKeyStatus, ...]
    """Oldest first."""
    gateway: GatewayStatus | None
    """None if none was ever heard."""
    log: LogStatus | None
    """None before the first head of a log has come."""
    log_reports: tuple[LogReport, ...]
    """What was found about the gateway's log, oldest first."""
    copies_waiting: int | None
    """Messages for this device that the gateway holds; None if it did not say."""
    messages_waiting: int
    """Own messages that the gateway has not confirmed yet."""
    messages_held: int
    """Own messages that some reader still has to read."""
    warnings: tuple[RosterWarning, ...]
    """What is of concern about the roster: it expires soon, or a gateway goes by another one."""
