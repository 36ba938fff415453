"""Join requests that came through the broker, kept for the operator to hand to the owner.

They are nobody's word: a gateway looks at their shape alone, and the owner at the rest. So what
strangers can leave here is bounded, and nothing depends on it: devices ask again.
"""

import hashlib
import shutil
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

    def __init__(self, data: Path) -> None:
        self._directory = data / DIRECTORY

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
