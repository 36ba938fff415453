"""A large fleet at its owner, its gateway and one device: how big its roster is, and what it costs.

``python -m tests.bench.fleet_size --devices 5000 --channels 200`` runs this alone. Every step is
done as the tools do it, on files; identities are ES256.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from device_sdk.identity import Identity
from device_sdk.state.roster_cache import RosterCache
from device_sdk.state.state_file import StateFile
from device_sdk.trust import Roster
from device_sdk.wire import cose
from device_sdk.wire.join_request import JoinRequest
from device_sdk.wire.key_statement import KeyStatement, encode_key_list
from device_sdk.wire.limits import DAY, READER_KEY_VALIDITY
from device_sdk.wire.roster_page import (
    ROLE_DEVICE,
    ROLE_GATEWAY,
    ChannelEntry,
    DeviceEntry,
    decode_bundle,
    page_hash,
)
from device_sdk.wire.suites import load_verify_key
from gateway.bundle import BundleWatch, pin_root
from gateway.enrolment import init_gateway, load_identity
from gateway.keeper import Keeper
from gateway.owner import changes
from gateway.owner.fleet import Fleet
from gateway.owner.signing import Members, open_roster
from gateway.situation import Limits
from gateway.store.sqlite import LEDGER_FILE, SqliteLedger
from tests.support.envelopes import made_up_key

T = TypeVar("T")
DEVICES, CHANNELS = 5000, 200
READERS, SENDERS = 20, 10
"""Of each channel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One figure, and the budget that it is to keep."""

    what: str
    figure: str
    budget: str = ""


def run(devices: int, channels: int, directory: Path) -> list[Line]:
    """Make a fleet of a size, and measure everybody's part."""
    now = int(time.time())
    fleet = _make(devices, channels, directory, now)
    first = fleet.register.roster_file()
    admitted = _timed(lambda: fleet.admit(_request("newcomer", now), now=now))
    renewed = _timed(lambda: fleet.change(changes.renew, now=now))
    second = fleet.register.roster_file()
    verified = _timed(lambda: _open(fleet, second))
    gateway = asyncio.run(_into_gateway(fleet, directory, now))
    return [
        *_sizes(second, verified[1]),
        Line(what="owner: admit one more device", figure=_seconds(admitted[0])),
        Line(what="owner: sign again (renew)", figure=_seconds(renewed[0])),
        Line(what="verify all of it", figure=_seconds(verified[0]), budget="1 s"),
        Line(what="gateway: the whole bundle into a new ledger", figure=_seconds(gateway)),
        *_on_a_device(fleet, directory, first, second),
    ]


def _make(devices: int, channels: int, directory: Path, now: int) -> Fleet:
    fleet = Fleet.create(directory / "fleet", name="bench", passphrase=None, now=now)
    request = init_gateway(directory / "data", "gw-1", None, now).read_bytes()
    fleet.admit(request, role=ROLE_GATEWAY, now=now)
    names = [f"device-{number:05}" for number in range(devices)]
    identities = {name: Identity.generate() for name in names}
    for name, identity in identities.items():
        (fleet.public.keys / name).write_bytes(encode_key_list([_statement(name, identity, now)]))
    fleet.change(lambda members, _: _crowd(members, identities, channels, now), now=now)
    return fleet


def _crowd(members: Members, identities: dict[str, Identity], channels: int, now: int) -> Members:
    names = list(identities)

    def some(start: int, count: int) -> tuple[str, ...]:
        return tuple(sorted({names[(start + step) % len(names)] for step in range(count)}))

    crowd = {
        name: DeviceEntry(
            identities=(identity.spki,), roles=(ROLE_DEVICE,), not_after=now + 3650 * DAY
        )
        for name, identity in identities.items()
    }
    named = {
        f"channel-{number:03}": ChannelEntry(
            readers=some(number * READERS, READERS),
            senders=some(number * SENDERS, SENDERS),
            lifetime=DAY,
        )
        for number in range(channels)
    }
    return Members(devices={**members.devices, **crowd}, channels=named)


def _statement(name: str, identity: Identity, now: int) -> bytes:
    statement = KeyStatement(
        device=name,
        spki=made_up_key(3072),
        not_before=now - 60,
        not_after=now + READER_KEY_VALIDITY,
        serial=now,
    )
    return cose.sign(statement, identity, cose.FLEETLESS_AAD)


def _request(name: str, now: int) -> bytes:
    identity = Identity.generate()
    request = JoinRequest(
        name=name,
        identity_spki=identity.spki,
        time=now,
        key_statement=_statement(name, identity, now),
    )
    return cose.sign(request, identity, cose.FLEETLESS_AAD)


def _open(fleet: Fleet, data: bytes) -> Roster:
    load_verify_key.cache_clear()  # as in a process that has just begun
    return open_roster(data, fleet.pin)


def _sizes(data: bytes, roster: Roster) -> Iterable[Line]:
    yield Line(what="roster, head and pages", figure=f"{len(data) / 1000:,.0f} kB", budget="1 MB")
    largest = max(map(len, roster.pages))
    yield Line(what="pages, the largest", figure=f"{len(roster.pages)}, {largest / 1000:.0f} kB")


def _on_a_device(fleet: Fleet, directory: Path, first: bytes, second: bytes) -> Iterable[Line]:
    """Take in a roster over the link: everything at first, then what one admission changed."""
    (directory / "device").mkdir(mode=0o700)
    with StateFile(directory / "device" / "state.sqlite") as state:
        cache = RosterCache(state, fleet.pin)
        for what, data in (("everything", first), ("one more device", second)):
            load_verify_key.cache_clear()
            spent, fetched = _timed(lambda data=data: _take(cache, data))  # type: ignore[misc]
            yield Line(
                what=f"device: a new version, {what} ({fetched / 1000:,.0f} kB to fetch)",
                figure=_seconds(spent),
                budget="1 s",
            )


def _take(cache: RosterCache, data: bytes) -> int:
    """Return the bytes that had to come: the head, and the pages that were missing."""
    head, pages = decode_bundle(data)
    by_hash = {page_hash(page): page for page in pages}
    taken, fetched = cache.take_head(head), len(head)
    for digest in tuple(cache.missing_pages):
        fetched += len(by_hash[digest])
        taken = cache.take_page(digest, by_hash[digest])
    if not taken:
        raise RuntimeError("the device did not take the roster")
    return fetched


async def _into_gateway(fleet: Fleet, directory: Path, now: int) -> float:
    data, bundle = directory / "data", fleet.public.directory
    pin, identity = pin_root(data, bundle), load_identity(data, None)
    ledger = SqliteLedger.open(data / LEDGER_FILE)
    keeper = Keeper(ledger, pin, identity, Limits(), wall=lambda: float(now))
    try:
        await keeper.start()
        load_verify_key.cache_clear()
        began = time.perf_counter()
        await BundleWatch(bundle, keeper).take_first()
        return time.perf_counter() - began
    finally:
        await keeper.stop()
        await ledger.close()


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def _seconds(spent: float) -> str:
    return f"{spent:.2f} s"


def table(devices: int = DEVICES, channels: int = CHANNELS) -> Table:
    """Return the figures as they are printed."""
    made = Table(title=f"A fleet of {devices:,} devices and {channels} channels")
    made.add_column("what")
    made.add_column("figure", justify="right")
    made.add_column("budget", justify="right")
    with tempfile.TemporaryDirectory() as name:
        for line in run(devices, channels, Path(name)):
            made.add_row(line.what, line.figure, line.budget)
    return made


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=DEVICES)
    parser.add_argument("--channels", type=int, default=CHANNELS)
    given = parser.parse_args()
    Console(width=120).print(table(given.devices, given.channels))


if __name__ == "__main__":
    main()
