"""Sharing commits changes nothing for those who share them."""

import asyncio
from pathlib import Path

import pytest

from gateway.group_commit import GroupCommit
from gateway.store.port import Transaction
from gateway.store.sqlite import SqliteLedger


@pytest.fixture
def commits() -> list[int]:
    return []


@pytest.fixture
async def group(tmp_path: Path, commits: list[int]):  # type: ignore[no-untyped-def]
    ledger = SqliteLedger.open(tmp_path / "ledger.sqlite")

    async def run(work):  # type: ignore[no-untyped-def]
        commits.append(1)
        await ledger.run(work)

    group = GroupCommit(run)
    yield group
    await group.stop()
    await ledger.close()


async def test_what_is_asked_for_during_a_commit_shares_the_next(
    group: GroupCommit, commits: list[int]
) -> None:
    results = await asyncio.gather(
        *(group.do(lambda tx, n=n: (n, tx.take_counters(1))) for n in range(50))  # type: ignore[misc]
    )
    assert [number for number, _ in results] == list(range(50))
    assert [counter for _, counter in results] == list(range(1, 51))
    assert len(commits) <= 2


async def test_one_that_fails_fails_alone_and_undoes_only_its_own(group: GroupCommit) -> None:
    def bad(tx: Transaction) -> None:
        tx.take_counters(1000)
        raise ValueError("the test wants it")

    outcomes = await asyncio.gather(
        group.do(lambda tx: tx.take_counters(1)),
        group.do(bad),
        group.do(lambda tx: tx.take_counters(1)),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], ValueError)
    assert (outcomes[0], outcomes[2]) == (1, 2)


async def test_giving_up_waiting_harms_nobody(group: GroupCommit) -> None:
    given_up = asyncio.ensure_future(group.do(lambda tx: tx.take_counters(1)))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await group.do(lambda tx: tx.take_counters(1)) in (1, 2)
