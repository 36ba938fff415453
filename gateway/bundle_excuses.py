"""The owner's excuses in a bundle: carried out for as long as their messages may be there.

A message may come, or be found at the broker, after its excuse. So each is tried again from time to
time; what was done once changes nothing the next time. What does not verify is logged once and left
alone until it, or the roster that says who may sign, is another one.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from device_sdk.wire.excuse import Excuse, is_excuse_file
from device_sdk.wire.limits import MAX_EXCUSES
from gateway import expire
from gateway.effects import NOTHING, Effects, merged
from gateway.expire import ExcuseResult
from gateway.files import Stamp, stamp_of
from gateway.keeper import Keeper
from gateway.store.port import Transaction

_AT_A_TIME = 50
"""In one transaction: others want to write, too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Refusal:
    """An excuse that did not verify, and by which roster."""

    stamp: Stamp
    roster_version: int


class BundleExcuses:
    """The directory ``excuses`` of the owner's bundle."""

    def __init__(self, directory: Path, keeper: Keeper) -> None:
        self._directory = directory
        self._keeper = keeper
        self._refused: dict[str, _Refusal] = {}
        self._too_many = False
        self._log = structlog.get_logger("gateway.bundle")

    def paths(self) -> list[Path]:
        """Return the files that can be excuses: the first thousand by their names."""
        try:
            found = [path for path in self._directory.iterdir() if is_excuse_file(path.name)]
        except OSError:  # none yet, or the bundle is away for a moment
            return []
        too_many = len(found) > MAX_EXCUSES
        if too_many and not self._too_many:
            self._log.error("too_many_excuses", count=len(found), most=MAX_EXCUSES)
        self._too_many = too_many
        return sorted(found)[:MAX_EXCUSES]

    async def take(self) -> Effects:
        """Carry out what is there and verifies."""
        files = list(self._due())
        effects = []
        for at in range(0, len(files), _AT_A_TIME):
            some = files[at : at + _AT_A_TIME]
            payloads = [payload for _, _, payload in some]
            results = await self._keeper.write(partial(self._take_some, payloads))
            for (name, stamp, _), (result, done) in zip(some, results, strict=True):
                self._note(name, stamp, result)
                effects.append(done)
        return merged(effects) if effects else NOTHING

    def _due(self) -> Iterator[tuple[str, Stamp, bytes]]:
        paths = self.paths()
        names = {path.name for path in paths}
        self._refused = {name: one for name, one in self._refused.items() if name in names}
        for path in paths:
            stamp, known = stamp_of(path), self._refused.get(path.name)
            if stamp is None or known == _Refusal(stamp=stamp, roster_version=self._version):
                continue
            with contextlib.suppress(OSError), path.open("rb") as file:
                yield path.name, stamp, file.read(Excuse.LIMIT + 1)

    @property
    def _version(self) -> int:
        roster = self._keeper.situation.roster
        return 0 if roster is None else roster.version

    def _take_some(
        self, payloads: Sequence[bytes], tx: Transaction
    ) -> list[tuple[ExcuseResult, Effects]]:
        situation = self._keeper.situation
        return [expire.excuse(tx, payload, situation) for payload in payloads]

    def _note(self, name: str, stamp: Stamp, result: ExcuseResult) -> None:
        if result is ExcuseResult.EXCUSED:
            sender, _, message_id = name.rpartition("-")
            self._log.info("excused", sender=sender, message=message_id[:8])
        if result is not ExcuseResult.REFUSED:
            self._refused.pop(name, None)
            return
        known = self._refused.get(name)
        if known is None or known.stamp != stamp:
            self._log.error("excuse_refused", file=name, reason="it is not signed by the owner")
        self._refused[name] = _Refusal(stamp=stamp, roster_version=self._version)
