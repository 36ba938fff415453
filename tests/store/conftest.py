"""One suite for every store. The stores are named in `tests.store.places`."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.store.port import Ledger
from tests.store.places import PLACES, Place


@pytest.fixture(params=sorted(PLACES))
def new_place(request: pytest.FixtureRequest) -> Callable[[Path], Place]:
    """Makes a place for a ledger in a directory of its own; the test runs once for each store."""
    return PLACES[request.param]


@pytest.fixture
async def ledger(new_place: Callable[[Path], Place], tmp_path: Path) -> AsyncIterator[Ledger]:
    """A new, empty ledger."""
    ledger = new_place(tmp_path).open()
    yield ledger
    await ledger.close()
