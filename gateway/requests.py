"""Join requests that came through the broker, kept for the operator to hand to the owner.

They are nobody's word: a gateway looks at their shape alone, and the owner at the rest. So what
strangers can leave here is bounded, and nothing depends on it: devices ask again.
"""

import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from device_sdk.trust import Roster
from device_sdk.wire.errors import WireError
from device_sdk.wire.join_offer import JoinOffer
from gateway.files import write_whole

DIRECTORY = "requests"
MOST_NAMES = 1000
MOST_OF_ONE = 4
"""Different requests for one name: its own, and some of whoever wants to stand in its way."""
SAY_EVERY = 60.0
"""Seconds between lines in the log about requests that come to nothing for the same reason."""


class RequestResult(StrEnum):
    """What became of a request."""

    NEW = "new"
    KNOWN = "known"
    LISTED = "listed"
    """The roster lists its name already."""
    MALFORMED = "malformed"
    FULL = "full"
    UNWRITABLE = "unwritable"


class Requests:
    """The directory ``requests/{name}`` in a gateway's data directory."""

    def __init__(self, data: Path, tick: Callable[[], float] = time.monotonic) -> None:
        """``tick`` is a monotonic clock in seconds."""
        self._directory = data / DIRECTORY
        self._tick = tick
        self._unsaid: Counter[RequestResult] = Counter()
        self._said: dict[RequestResult, float] = {}

    def take(self, name: str, payload: bytes, roster: Roster | None) -> RequestResult:
        """Keep a request from ``join/{name}``. It never raises over what came."""
        if name.startswith(".") or not _is_request(payload, name):
            return RequestResult.MALFORMED
        if roster is not None and name in roster.devices:
            return RequestResult.LISTED
        directory = self._directory / name
        path = directory / hashlib.sha256(payload).hexdigest()[:32]
        try:
            if path.exists():
                return RequestResult.KNOWN
            self._directory.mkdir(mode=0o700, exist_ok=True)
            if not directory.exists() and _count(self._directory) >= MOST_NAMES:
                return RequestResult.FULL
            directory.mkdir(mode=0o700, exist_ok=True)
            if _count(directory) >= MOST_OF_ONE:
                return RequestResult.FULL
            write_whole(path, payload, mode=0o600)
        except OSError:
            return RequestResult.UNWRITABLE
        return RequestResult.NEW

    def to_say(self, result: RequestResult) -> int:
        """Count a result; return how many like it belong into the log now, 0 for none yet.

        What is kept is bounded, and said at once. The rest anybody can cause as often as it likes.
        """
        if result is RequestResult.KNOWN:  # a device asks again and again
            return 0
        self._unsaid[result] += 1
        now, before = self._tick(), self._said.get(result)
        if result is not RequestResult.NEW and before is not None and now < before + SAY_EVERY:
            return 0
        self._said[result] = now
        return self._unsaid.pop(result)

    def tidy(self, roster: Roster) -> None:
        """Forget what the owner has decided about."""
        try:
            names = [path.name for path in self._directory.iterdir()]
        except OSError:
            return
        for name in names:
            if name in roster.devices:
                shutil.rmtree(self._directory / name, ignore_errors=True)


def _is_request(payload: bytes, name: str) -> bool:
    try:
        return JoinOffer.decode(payload).name == name
    except WireError:
        return False


def _count(directory: Path) -> int:
    return sum(1 for _ in directory.iterdir())
