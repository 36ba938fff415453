"""Tokens are issued in answers that cost time and space, and so not to the same request at once."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from device_sdk.wire.token_request import TokenIssue
from gateway import token_office, tokens
from gateway.keeper import Keeper
from gateway.token_office import ISSUE_EVERY, TokenOffice
from gateway.tokens import Grant
from tests.support.broker_double import BrokerDouble
from tests.support.envelopes import TOPICS, Fleet
from tests.support.tokens import Wish, open_channel
from tests.unit.gateway.edges import open_parts


@dataclass
class Desk:
    """An office at work, and what it publishes."""

    keeper: Keeper
    office: TokenOffice
    broker: BrokerDouble
    tick: float = 0.0

    async def grant(self, device: str) -> Grant:
        """Decide about a device's request for two tokens."""
        (key, *_) = await self.keeper.read(lambda tx: tx.token_keys())
        request, situation = Wish.of(2).request(device, key.key.key_id), self.keeper.situation
        return await self.keeper.write(lambda tx: tokens.grant(tx, request, situation))

    async def answered(self, grant: Grant) -> None:
        """Ask, and wait for the answer: what was asked before is answered by then."""
        before = self.answers(grant)
        self.office.ask(grant)
        await self.broker.until_counted(TOPICS.issue(grant.request.device), before + 1)

    def answers(self, grant: Grant) -> int:
        """Return how often a device has been answered."""
        return self.broker.count(TOPICS.issue(grant.request.device))


@pytest.fixture
async def desk(fleet: Fleet, tmp_path: Path) -> AsyncIterator[Desk]:
    open_channel(fleet)
    async with open_parts(fleet, tmp_path) as parts:
        keeper, broker = parts.keeper, BrokerDouble()
        await keeper.write(lambda tx: tokens.draw(tx, keeper.situation))
        office = TokenOffice(keeper, TOPICS, "gw-1", parts.log_head, lambda: at_work.tick)
        at_work = Desk(keeper, office, broker)
        running = asyncio.ensure_future(office.run(broker))
        yield at_work
        running.cancel()


async def test_a_request_that_is_repeated_is_answered_once_in_a_while(desk: Desk) -> None:
    thermo, wall = await desk.grant("thermo"), await desk.grant("wall")
    await desk.answered(thermo)
    for _ in range(20):
        desk.office.ask(thermo)
    await desk.answered(wall)
    assert desk.answers(thermo) == 1
    desk.tick = ISSUE_EVERY
    await desk.answered(thermo)


async def test_everything_else_goes_on_while_tokens_are_made(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, goes_on = asyncio.Event(), threading.Event()
    loop, answer = asyncio.get_running_loop(), token_office._answer

    def slow(grant: Grant) -> TokenIssue:
        loop.call_soon_threadsafe(begun.set)
        assert goes_on.wait(5), "nobody else could do anything meanwhile"
        return answer(grant)

    monkeypatch.setattr(token_office, "_answer", slow)
    answered = asyncio.ensure_future(desk.answered(await desk.grant("thermo")))
    await begun.wait()
    goes_on.set()
    await answered
