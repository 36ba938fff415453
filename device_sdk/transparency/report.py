"""What a device has to say about a gateway's log (PROTOCOL 8.6), for people and scripts."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class ReportKind(StrEnum):
    """What was found. Only the first is a proof that anybody can check."""

    SPLIT_VIEW = "split-view"
    """The gateway signed two histories: two heads of one log and size, with different roots."""
    UNPROVEN = "unproven"
    """The gateway did not show that two heads belong to one history."""
    NEW_LOG = "new-log"
    """The gateway's log does not go on where it was: it was lost or put back, or it is another."""
    NOT_LOGGED = "not-logged"
    """A roster or key in use here is not in the log that the gateway shows."""
    SECOND_KEY = "second-key"
    """There are two keys for tokens of one period: the gateway could tell senders apart by them."""
    UNSHOWN_KEY = "unshown-key"
    """An anonymous message was made with a key for tokens that no gateway has shown here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LogReport:
    """One finding, with the signed heads that it is about."""

    kind: ReportKind
    gateway: str
    about: str
    """unproven, split-view: the device in whose message the second head came; empty if it was shown
    to this one. not-logged: what is missing. second-key, unshown-key: channel and period."""
    at: datetime
    """When it was found, by this device's clock."""
    first: bytes = field(repr=False)
    """The signed head (second-key: list of keys) that this device had."""
    second: bytes = field(repr=False)
    """The one that does not go with it; empty for not-logged, and for a second-key that came in a
    message, where it is no more than its sender's word."""

    def __str__(self) -> str:
        shown_to = f" (one was shown to {self.about})" if self.about else ""
        return {
            ReportKind.SPLIT_VIEW: (
                f"{self.gateway} has signed two different histories{shown_to}: tell the owner"
            ),
            ReportKind.UNPROVEN: (
                f"{self.gateway} does not show that two heads of its log{shown_to} belong to one "
                "history"
            ),
            ReportKind.NEW_LOG: f"{self.gateway} has begun a new log: the old one is not in it",
            ReportKind.SECOND_KEY: (
                f"{self.gateway} has more than one key for tokens ({self.about}): anonymous "
                "messages may not be anonymous to it"
            ),
            ReportKind.UNSHOWN_KEY: (
                f"an anonymous message ({self.about}) was made with a key for tokens that this "
                "device was never shown: such messages may not be anonymous to the gateway"
            ),
            ReportKind.NOT_LOGGED: f"{self.about} is not in the log that {self.gateway} shows",
        }[self.kind]
