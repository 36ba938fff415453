"""Excuses: the owner's signed word that readers of one message owe nothing (PROTOCOL 8.5).

Each stands in a file of its own in the bundle until no message that it could be about is alive.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from device_sdk.trust import Roster, verify_excuse
from device_sdk.wire import cose
from device_sdk.wire.errors import WireError
from device_sdk.wire.excuse import Excuse, excuse_file, is_excuse_file
from device_sdk.wire.limits import CLOCK_SKEW, MAX_EXCUSES, MAX_LIFETIME, MAX_READERS
from device_sdk.wire.names import ANONYMOUS
from device_sdk.wire.roster_page import ROLE_DEVICE
from device_sdk.wire.suites import Signer
from gateway.files import write_whole
from gateway.owner.errors import NotChangedError


@dataclass(frozen=True, slots=True)
class ExcuseFolder:
    """The directory ``excuses`` of a bundle."""

    directory: Path
    roster: Roster
    aad: bytes

    def plan(self, sender: str, message_id: bytes, readers: Iterable[str], *, now: int) -> Excuse:
        """Return the excuse that would be signed: with the readers of one that is there already.

        Raises:
            NotChangedError: nobody named, somebody who is no device of the fleet, somebody who is
                excused already, or more than the protocol allows.
        """
        named = set(readers)
        _check_devices(self.roster, sender, named)
        known = self.read(self.directory / excuse_file(sender, message_id))
        excused = {*known.readers} if known is not None else set()
        if named <= excused:
            raise NotChangedError(f"{' and '.join(sorted(named))} is excused from it already")
        every = tuple(sorted(named | excused))
        if len(every) > MAX_READERS:
            raise NotChangedError(f"a message has {MAX_READERS} readers at most, got {len(every)}")
        if known is None and len(list(self.alive(now))) >= MAX_EXCUSES:
            raise NotChangedError(
                f"{MAX_EXCUSES} excuses of the last 30 days are there already: revoke devices that "
                "are lost, which excuses them from everything"
            )
        return Excuse(sender=sender, message_id=message_id, readers=every, time=now)

    def sign(self, excuse: Excuse, signer: Signer) -> Path:
        """Sign an excuse and put it into the bundle; return its path."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / excuse_file(excuse.sender, excuse.message_id)
        write_whole(path, cose.sign(excuse, signer, self.aad))
        return path

    def take_from(self, other: "ExcuseFolder", now: int) -> None:
        """Take another owner's excuses; of two about one message, the one for more readers."""
        for path in other.alive(now):
            theirs, mine = other.read(path), self.read(self.directory / path.name)
            if theirs is not None and (mine is None or len(theirs.readers) > len(mine.readers)):
                self.directory.mkdir(parents=True, exist_ok=True)
                write_whole(self.directory / path.name, path.read_bytes())

    def drop_old(self, now: int) -> None:
        """Remove what is about messages that have expired for sure, or does not verify."""
        alive = set(self.alive(now))
        for path in self._files():
            if path not in alive:
                path.unlink(missing_ok=True)

    def _files(self) -> Iterator[Path]:
        if self.directory.is_dir():
            yield from (path for path in self.directory.iterdir() if is_excuse_file(path.name))

    def alive(self, now: int) -> Iterator[Path]:
        """Return the files that verify and whose messages may be alive."""
        for path in self._files():
            known = self.read(path)
            if known is not None and now <= known.time + MAX_LIFETIME + CLOCK_SKEW:
                yield path

    def read(self, path: Path) -> Excuse | None:
        """Return the excuse in a file; None if there is none that verifies."""
        try:
            return verify_excuse(path.read_bytes(), self.roster, self.aad)
        except (FileNotFoundError, WireError):
            return None


def _check_devices(roster: Roster, sender: str, readers: set[str]) -> None:
    if not readers:
        raise NotChangedError("expected at least one reader to excuse")
    senders = () if sender == ANONYMOUS else (sender,)
    for name in (*senders, *sorted(readers)):
        entry = roster.devices.get(name)
        if entry is None:
            raise NotChangedError(f"the fleet has no device named {name}")
        if ROLE_DEVICE not in entry.roles:
            raise NotChangedError(f"{name} is no device but a {' and '.join(entry.roles)}")
