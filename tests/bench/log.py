"""The log of rosters and keys: what entering costs, and proving over a hundred thousand entries."""

import asyncio
import hashlib
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from device_sdk.wire import log_tree
from device_sdk.wire.log_proof import Prove
from gateway import transparency
from gateway.store.port import Reading, Transaction
from gateway.store.sqlite import LEDGER_FILE, SqliteLedger

T = TypeVar("T")
_AT_ONCE = 100
"""Entries in one transaction, as with a bundle of many devices."""
_TIMES = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One figure."""

    what: str
    figure: str


def run(*, appended: int, size: int) -> list[Line]:
    """Measure on a ledger in a temporary directory."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / LEDGER_FILE
        lines = asyncio.run(_measure(path, appended, size))
        took = f"{path.stat().st_size / 1e6:,.1f} MB"
        return [*lines, Line(what=f"ledger with {size + appended:,} entries", figure=took)]


async def _measure(path: Path, appended: int, size: int) -> list[Line]:
    ledger = SqliteLedger.open(path)
    try:
        first = await _append(ledger, 0, appended)
        await _append(ledger, appended, size - appended)
        last = await _append(ledger, size, appended)
        root = await _time(ledger, lambda tx, _: transparency.size_and_root(tx))
        growth = await _time(ledger, lambda tx, at: _prove(tx, 1 + at % (size - 1), size, ()))
        leaves = tuple(_leaf(at) for at in random.sample(range(size), 32))
        found = await _time(ledger, lambda tx, _: _prove(tx, 0, size, leaves))
    finally:
        await ledger.close()
    return [
        Line(what=f"enter {appended:,}, from none on", figure=f"{first * 1e6:,.0f} us each"),
        Line(what=f"enter {appended:,} behind {size:,}", figure=f"{last * 1e6:,.0f} us each"),
        Line(what=f"root over {size + appended:,}", figure=f"{root * 1e6:,.0f} us"),
        Line(what=f"prove growth to {size:,}", figure=f"{growth * 1e6:,.0f} us"),
        Line(what=f"prove 32 entries of {size:,}", figure=f"{found * 1e3:,.1f} ms"),
    ]


def _leaf(index: int) -> bytes:
    return hashlib.sha256(index.to_bytes(8)).digest()


async def _append(ledger: SqliteLedger, start: int, count: int) -> float:
    """Return seconds for each entry, commits included."""
    began = time.perf_counter()
    for first in range(start, start + count, _AT_ONCE):
        indices = range(first, min(first + _AT_ONCE, start + count))
        await ledger.run(lambda tx, indices=indices: _enter(tx, indices))  # type: ignore[misc]
    return (time.perf_counter() - began) / count


def _enter(tx: Transaction, indices: range) -> None:
    for index in indices:
        for level, position, hashed in log_tree.grown(tx.log_size(), _leaf(index), tx.log_node):
            tx.add_log_node(level, position, hashed)


async def _time(ledger: SqliteLedger, work: Callable[[Reading, int], T]) -> float:
    """Return seconds for each of several look-ups."""
    began = time.perf_counter()
    for number in range(_TIMES):
        at = number * 7919
        await ledger.read(lambda tx, at=at: work(tx, at))  # type: ignore[misc]
    return (time.perf_counter() - began) / _TIMES


def _prove(tx: Reading, first: int, second: int, leaves: tuple[bytes, ...]) -> bytes:
    question = Prove(device="d", gateway="g", first=first, second=second, leaves=leaves)
    return transparency.answer(tx, question).encode()
