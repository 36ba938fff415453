"""One suite for every store. A store to be tested is named here once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.store.port import Ledger
from gateway.store.sqlite import SqliteLedger


@pytest.fixture(params=["sqlite"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    """A new, empty ledger."""
    assert request.param == "sqlite"
    ledger = SqliteLedger.open(tmp_path / "ledger.sqlite")
    yield ledger
    await ledger.close()
