"""The present situation: clocks that leap, disks that fail, and what is promised meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from gateway import keeper as keeper_module
from gateway.errors import LedgerUnavailableError
from gateway.hold import Held, Holding, take_in
from gateway.keeper import Keeper
from gateway.situation import Limits
from gateway.store.port import Transaction
from gateway.store.sqlite import SqliteLedger
from tests.support.envelopes import TOPICS, Fleet
from tests.support.mailroom import open_mailroom
from tests.unit.gateway.edges import Clocks, gateway_identity

T = TypeVar("T")
YEAR = 365 * 24 * 3600


class FailingLedger(SqliteLedger):
    """The real ledger on a disk that is full while the test says so."""

    full = False
    refused = 0

    async def run(self, work: Callable[[Transaction], T]) -> T:
        if self.full:
            self.refused += 1
            raise LedgerUnavailableError("the test's disk is full")
        return await super().run(work)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
async def ledger(fleet: Fleet, tmp_path: Path) -> AsyncIterator[FailingLedger]:
    gateway_identity(fleet)
    async with open_mailroom(fleet, tmp_path):
        pass
    ledger = FailingLedger.open(tmp_path / "ledger.sqlite")
    yield ledger
    await ledger.close()


def new_keeper(fleet: Fleet, ledger: SqliteLedger, clocks: Clocks) -> Keeper:
    return Keeper(
        ledger,
        fleet.pin,
        gateway_identity(fleet),
        Limits(),
        wall=clocks,
        monotonic=lambda: clocks.uptime,
    )


@pytest.fixture
async def keeper(
    fleet: Fleet, ledger: FailingLedger, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Keeper]:
    monkeypatch.setattr(keeper_module, "_FIRST_PAUSE", 0.01)
    keeper = new_keeper(fleet, ledger, clocks)
    await keeper.start()
    yield keeper
    await keeper.stop()


async def hold_one(fleet: Fleet, keeper: Keeper) -> Held:
    message = fleet.seal("thermo", ["hub"])
    topic = TOPICS.parse(message.topic)
    return await keeper.write(lambda tx: take_in(tx, topic, message.data, keeper.situation))


async def test_while_the_disk_is_full_nothing_is_confirmed_or_refused_and_then_it_is_held(
    fleet: Fleet, ledger: FailingLedger, keeper: Keeper
) -> None:
    changes: list[bool] = []
    keeper.on_change = lambda: changes.append(keeper.is_paused)
    ledger.full = True
    holding = asyncio.ensure_future(hold_one(fleet, keeper))
    while ledger.refused < 3:  # noqa: ASYNC110 - the ledger tells nobody
        await asyncio.sleep(0.005)
    assert not holding.done()
    assert keeper.is_paused
    ledger.full = False
    assert (await holding).holding is Holding.NEW
    assert not keeper.is_paused
    assert changes == [True, False]


async def test_an_erasure_for_which_the_disk_has_no_room_pauses_nothing(
    ledger: FailingLedger, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = asyncio.Event()

    async def erase() -> bool:
        if failed.is_set():
            return True
        failed.set()
        raise LedgerUnavailableError("the test's disk is full")

    monkeypatch.setattr(ledger, "erase", erase)
    erasing = asyncio.ensure_future(keeper.erase())
    await failed.wait()
    await asyncio.sleep(0)
    assert not keeper.is_paused
    assert await erasing


async def test_while_the_clock_has_leapt_what_is_signed_goes_on_from_the_time_before(
    keeper: Keeper, clocks: Clocks
) -> None:
    before = keeper.wall
    clocks.now += YEAR
    clocks.uptime += 3
    assert keeper.wall == before + 3  # at once, not only from the next tick on
    await keeper.tick()
    assert keeper.wall == before + 3
    clocks.now -= YEAR - 4
    assert keeper.wall == before + 4


async def test_a_leap_of_the_clock_pauses_until_the_operator_confirms_it(
    fleet: Fleet, ledger: FailingLedger, keeper: Keeper, clocks: Clocks
) -> None:
    await hold_one(fleet, keeper)
    before = keeper.situation.now
    clocks.now += YEAR
    await keeper.tick()
    assert keeper.situation.paused
    assert keeper.situation.now == before
    restarted = new_keeper(fleet, ledger, clocks)
    await restarted.start()
    assert restarted.situation.paused
    await restarted.start(confirm_clock=True)
    assert not restarted.situation.paused
    assert restarted.situation.now == before + YEAR


async def test_a_clock_that_goes_back_changes_nothing(keeper: Keeper, clocks: Clocks) -> None:
    before = keeper.situation.now
    clocks.now -= YEAR
    await keeper.tick()
    assert (keeper.situation.now, keeper.situation.paused) == (before, False)
