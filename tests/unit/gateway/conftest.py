"""A small fleet and a mailroom for it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.envelopes import Fleet
from tests.support.mailroom import Mailroom, open_mailroom
from tests.unit.gateway.counter import Counter, open_counter


@pytest.fixture
def fleet() -> Fleet:
    """A sender "thermo", readers "hub", "phone" and "wall", and a bystander "lock"."""
    fleet = Fleet()
    fleet.admit("thermo", "hub", "phone", "wall", "lock")
    return fleet


@pytest.fixture
async def room(fleet: Fleet, tmp_path: Path) -> AsyncIterator[Mailroom]:
    """The gateway's verbs on a new ledger, with roster and reader keys in it."""
    async with open_mailroom(fleet, tmp_path) as room:
        yield room


@pytest.fixture
async def counter(fleet: Fleet, tmp_path: Path) -> AsyncIterator[Counter]:
    """An examiner at work, on a channel that requires readings."""
    async with open_counter(fleet, tmp_path) as counter:
        yield counter
