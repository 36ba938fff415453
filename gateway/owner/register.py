"""The owner's register: the roster signed last, and what a change would make of it.

It needs no key: whoever may read the fleet's directory can look at what would be signed. A change
is a pure function from members to members, so that what was shown is what is signed.
"""

import contextlib
import fcntl
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from device_sdk.trust import Pin, Roster
from device_sdk.wire import bundle
from device_sdk.wire.errors import KeyFormatError
from gateway.files import write_whole
from gateway.owner.bundle import PublicBundle
from gateway.owner.errors import FleetError
from gateway.owner.excuses import ExcuseFolder
from gateway.owner.signing import Members, next_version, open_roster

_KEY, _NAME, _PIN, _ROSTER = "root.pem", "name", bundle.ROOT, bundle.ROSTER
_HISTORY, _LOCK = "history", "lock"
_MOST_REMEMBERED = 1000
"""Rosters that were once the newest here: by them a pull tells an old one from a foreign one."""

Edit = Callable[[Members, int], Members]
"""From the members to other ones; the number is the version of the roster that will list them.
Raises NotChangedError or NotAdmittedError."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """What the next roster would say; nothing is signed."""

    before: Roster
    after: Members
    version: int


@dataclass(frozen=True, slots=True)
class Register:
    """The directory of a fleet at its owner's: ``private/`` and ``public/``."""

    directory: Path

    @property
    def private(self) -> Path:
        """What stays with the owner."""
        return self.directory / "private"

    @property
    def public(self) -> PublicBundle:
        """What may be given away."""
        return PublicBundle(self.directory / "public")

    @property
    def key_file(self) -> Path:
        """Where this owner's private key is."""
        return self.private / _KEY

    def next_key_file(self, kid: bytes) -> Path:
        """Where a new root's private key is until a roster that names it is signed."""
        return self.private / f"root-{kid.hex()}.pem"

    def write_name(self, name: str) -> None:
        """Write what the owner calls the fleet."""
        write_whole(self.private / _NAME, f"{name}\n".encode(), mode=0o600)

    def write_pin(self, pin: Pin) -> None:
        """Write the fleet's first root; it never changes."""
        write_whole(self.private / _PIN, pin.to_pem(), mode=0o600)

    def finish_rotation(self) -> None:
        """Put a new root's key in its place if a roster names it; a rotation may have been cut.

        Raises: FleetError, TrustError, WireError.
        """
        left = list(self.private.glob("root-*.pem"))
        if not left:
            return
        waiting = self.next_key_file(self.roster().head.root.kid)
        with errors_of(self.directory):
            if waiting in left:
                waiting.replace(self.key_file)
                left.remove(waiting)
            for path in left:
                path.unlink()  # of a rotation that never was

    @property
    def name(self) -> str | None:
        """What the owner calls the fleet; None at whoever has only the bundle."""
        try:
            return (self.private / _NAME).read_text().strip()
        except OSError:
            return None

    @property
    def has_pin(self) -> bool:
        """Whether a fleet's root is pinned here; a second owner's directory begins without one."""
        return (self.private / _PIN).exists()

    @property
    def pin(self) -> Pin:
        """The fleet's first root, as everybody pins it. Raises FleetError."""
        path = self.private / _PIN
        try:
            return Pin.from_pem(path.read_bytes())
        except FileNotFoundError:
            raise FleetError(f"{self.directory} holds no fleet of yours: expected {path}") from None
        except KeyFormatError as error:
            raise FleetError(f"{path} holds no owner's public key: {error}") from error

    def roster(self) -> Roster:
        """Return the roster signed last, verified. Raises FleetError, TrustError, WireError."""
        path = self.private / _ROSTER
        with errors_of(path):
            return open_roster(path.read_bytes(), self.pin)

    def write_roster(self, data: bytes, roster: Roster) -> None:
        """Replace the roster signed last, and remember that it was here."""
        lines = [*self._history(), _line(roster)][-_MOST_REMEMBERED:]
        write_whole(self.private / _HISTORY, "".join(lines).encode(), mode=0o600)
        write_whole(self.private / _ROSTER, data, mode=0o600)

    def remembers(self, roster: Roster) -> bool:
        """Tell whether a roster was once the one signed last here."""
        return _line(roster) in self._history()

    def _history(self) -> list[str]:
        try:
            return (self.private / _HISTORY).read_text().splitlines(keepends=True)
        except FileNotFoundError:
            return []

    def roster_file(self) -> bytes:
        """Return head and pages of the roster signed last, as a bundle's ``roster``."""
        return (self.private / _ROSTER).read_bytes()

    def excuses(self) -> ExcuseFolder:
        """Return the excuses in the bundle. Raises FleetError, TrustError, WireError."""
        return ExcuseFolder(self.public.excuses, self.roster(), self.pin.aad)

    def preview(self, edit: Edit, *, now: int) -> Preview:
        """Return what a change would make of the roster signed last. Raises as `Edit` does."""
        before = self.roster()
        version = next_version(before.version, now)
        return Preview(before=before, after=edit(Members.of(before), version), version=version)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One change after the other: each begins from the roster that the one before signed."""
        with (self.private / _LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _line(roster: Roster) -> str:
    content = hashlib.sha256(roster.head.head.encode()).hexdigest()
    return f"{roster.version} {content}\n"


@contextlib.contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Say which file it was that the owner's tools could not read or write."""
    try:
        yield
    except OSError as error:
        raise FleetError(f"{error.filename or path}: {error.strerror}") from error
