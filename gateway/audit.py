"""Is anything left that should be gone? What an audit finds, and when it may be believed.

Beside a running gateway much is under way: a copy is being cleared, a log is about to be folded in.
So whoever looks, looks again, and only what is still there every time is a finding.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from gateway.errors import LedgerDamagedError
from gateway.link.port import LinkLostError

PAUSES = (1.0, 2.0, 3.0, 7.0)
"""Seconds between looks: together longer than a gateway takes to clear and to erase."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that is left, or that is missing."""

    what: str
    where: str
    """A file and a place in it, or a topic, with shortened ids."""
    todo: str
    size: int = 0
    """Bytes."""
    count: int = 1
    leftover: bool = True
    """False: worth knowing, but nothing that should be gone."""
    mark: int = field(default=0, repr=False)
    """Distinguishes findings in one place, and their content between two looks."""

    def __str__(self) -> str:
        """Return it as one line."""
        count = f" ({self.count:,} times)" if self.count > 1 else ""
        size = f", {self.size:,} bytes" if self.size else ""
        return f"{self.what}{count}: {self.where}{size}; {self.todo}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What one look at everything has found."""

    findings: tuple[Finding, ...] = ()
    messages: int = 0
    """Held by the ledger."""
    files: int = 0
    """Looked at."""
    topics: int | None = None
    """Found retained; None if the broker was not looked at."""
    notes: tuple[str, ...] = ()
    """What limits this look."""


async def look_again(look: Callable[[], Awaitable[Look]], pauses: Sequence[float] = PAUSES) -> Look:
    """Look until nothing is found, or until ``pauses`` are over; return what stayed all the time.

    Raises what the last look raises.
    """
    latest, stayed = Look(), None
    for pause in (*pauses, None):
        try:
            latest = await look()
        except (LedgerDamagedError, LinkLostError):
            # Files that a gateway is just making or removing may make no sense for a moment.
            if pause is None:
                raise
        else:
            found = {(one.where, one.mark): one for one in latest.findings}
            stayed = found if stayed is None else {k: v for k, v in found.items() if k in stayed}
            if not stayed or pause is None:
                break
        await asyncio.sleep(pause)
    return replace(latest, findings=merged((stayed or {}).values()))


def merged(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings of the same kind in the same place as one, with the sum of their sizes."""
    found: dict[tuple[str, str, str], Finding] = {}
    for one in findings:
        kind = (one.what, one.where, one.todo)
        before = found.get(kind, replace(one, size=0, count=0))
        found[kind] = replace(one, size=before.size + one.size, count=before.count + one.count)
    return tuple(found.values())
