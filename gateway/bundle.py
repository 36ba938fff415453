"""The owner's public bundle: read at start, watched afterwards, believed only by its signatures.

Its files are ``root.pub``, ``roster``, ``keys/{device}``, ``certs/{name}`` and those in
``excuses/``. The root is pinned at the first start, in the gateway's own directory: from then on a
bundle of another root is another fleet's.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from device_sdk.trust import Pin, Roster
from device_sdk.wire import bundle as bundle_names
from device_sdk.wire.errors import KeyFormatError, SealgateError
from device_sdk.wire.limits import MAX_KEY_STATEMENTS, MAX_STATEMENT
from device_sdk.wire.names import is_name
from device_sdk.wire.roster_page import decode_bundle
from gateway import admit
from gateway.bundle_excuses import BundleExcuses
from gateway.certificates import CERTIFICATES, read_certificates
from gateway.effects import NOTHING, Effects, merged
from gateway.errors import GatewayError
from gateway.files import Stamp, stamp_of, write_whole
from gateway.keeper import Keeper
from gateway.store.port import Transaction

ROOT_FILE = bundle_names.ROOT
_ROSTER_FILE, _KEYS, _EXCUSES = bundle_names.ROSTER, bundle_names.KEYS, bundle_names.EXCUSES
_DEVICES_AT_A_TIME = 100
"""In one transaction: others want to write, too."""
_EXCUSE_AGAIN = 30.0
"""Seconds after which excuses are tried again: their messages may have come meanwhile."""


class BundleError(GatewayError):
    """A bundle that is missing, unreadable, or another fleet's than the pinned root's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What a look at the bundle brought."""

    roster: Roster | None = None
    """A newer one than before."""
    effects: Effects = NOTHING


def pin_root(data: Path, bundle: Path | None) -> Pin:
    """Return the fleet's root: pinned in ``data``, or taken from the bundle at the first start.

    Raises:
        BundleError: no root in either, or the bundle's is another one.
    """
    pinned = data / ROOT_FILE
    offered = None if bundle is None or not bundle.is_dir() else read_root(bundle / ROOT_FILE)
    if pinned.exists():
        known = read_root(pinned)
        if offered is not None and offered.fingerprint != known.fingerprint:
            raise BundleError(
                f"the bundle {bundle} belongs to another owner: its root is "
                f"{offered.fingerprint[:16]}, this gateway is pinned to {known.fingerprint[:16]}"
            )
        return known
    if offered is None:
        raise BundleError(
            f"expected the owner's public bundle (--bundle) at the first start, got {bundle}"
        )
    write_whole(pinned, offered.to_pem(), mode=0o600)
    return offered


def read_root(path: Path) -> Pin:
    """Return the root in a PEM file. Raises BundleError."""
    try:
        return Pin.from_pem(path.read_bytes())
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from error
    except KeyFormatError as error:
        raise BundleError(f"expected a public key in PEM in {path}, got something else") from error


class BundleWatch:
    """Takes the bundle into the ledger, again whenever a file of it changes."""

    def __init__(
        self, directory: Path, keeper: Keeper, excuse_again: float = _EXCUSE_AGAIN
    ) -> None:
        self._directory = directory
        self._keeper = keeper
        self._excuses = BundleExcuses(directory / _EXCUSES, keeper)
        self._excuse_again = excuse_again
        self._stamp: frozenset[Stamp] = frozenset()
        self._problem: SealgateError | None = None
        self._log = structlog.get_logger("gateway.bundle")

    async def changes(self, poll: float) -> AsyncIterator[Taken]:
        """Yield what each change of the bundle brought; a bad one is logged once and refused."""
        clock = asyncio.get_running_loop().time
        excused_at = clock()
        while True:
            await asyncio.sleep(poll)
            if self._look() != self._stamp:
                yield await self.take()
                excused_at = clock()
            elif clock() - excused_at >= self._excuse_again:
                yield Taken(effects=await self._excuses.take())
                excused_at = clock()

    async def take_first(self) -> None:
        """Take the bundle at start. Raises what is wrong with it if there is no roster yet."""
        await self.take()
        if self._problem is not None and self._keeper.situation.roster is None:
            raise self._problem

    async def take(self) -> Taken:
        """Take the bundle as it is now, as far as it can be believed."""
        self._stamp = self._look()
        roster = None
        try:
            self._check_root()
            roster = await self._take_roster()
            taken = [await self._take_keys(), await self._take_certificates()]
            effects = merged([*taken, await self._excuses.take()])
        except (SealgateError, OSError) as error:
            # Also half a bundle, which somebody is just copying: its next change is looked at.
            self._log.error("bundle_refused", reason=str(error))
            self._problem = error if isinstance(error, SealgateError) else BundleError(str(error))
            return Taken(roster=roster)
        self._problem = None
        return Taken(roster=roster, effects=effects)

    def _look(self) -> frozenset[Stamp]:
        paths = [self._directory / ROOT_FILE, self._directory / _ROSTER_FILE]
        for directory in (_KEYS, CERTIFICATES):
            with contextlib.suppress(OSError):  # none yet, or the bundle is away for a moment
                paths += (self._directory / directory).iterdir()
        paths += self._excuses.paths()
        return frozenset(stamp for path in paths if (stamp := stamp_of(path)) is not None)

    def _check_root(self) -> None:
        if read_root(self._directory / ROOT_FILE).fingerprint != self._keeper.pin.fingerprint:
            raise BundleError("the bundle has another root than the one that is pinned")

    async def _take_roster(self) -> Roster | None:
        head, pages = decode_bundle((self._directory / _ROSTER_FILE).read_bytes())
        pin = self._keeper.pin
        roster = await self._keeper.write(lambda tx: admit.take_roster(tx, head, pages, pin))
        if roster is not None:
            self._keeper.take_roster(roster)
            self._log.info("roster", version=roster.version, devices=len(roster.devices))
        return roster

    async def _take_keys(self) -> Effects:
        directory = self._directory / _KEYS
        found = [
            (path.name, path.read_bytes())
            for path in (sorted(directory.iterdir()) if directory.is_dir() else ())
            if is_name(path.name) and path.stat().st_size <= MAX_KEY_STATEMENTS * MAX_STATEMENT
        ]
        taken: list[admit.KeyTaken] = []
        for at in range(0, len(found), _DEVICES_AT_A_TIME):
            some = found[at : at + _DEVICES_AT_A_TIME]
            taken += await self._keeper.write(partial(self._take_some, some))
        return merged(one.effects for one in taken)

    async def _take_certificates(self) -> Effects:
        situation = self._keeper.situation
        if situation.roster is None:
            return NOTHING
        known = situation.certificates or {}
        # In a thread, as thousands take a second.
        found = await asyncio.to_thread(
            read_certificates, self._directory, situation.roster, known, situation.now
        )
        self._keeper.take_certificates(found)
        changed = [name for name in {**known, **found} if known.get(name) != found.get(name)]
        return Effects(certificates=tuple(sorted(changed)))

    def _take_some(
        self, lists: Sequence[tuple[str, bytes]], tx: Transaction
    ) -> list[admit.KeyTaken]:
        situation = self._keeper.situation
        return [
            one
            for device, data in lists
            for one in admit.take_key_list(tx, device, data, situation)
        ]
