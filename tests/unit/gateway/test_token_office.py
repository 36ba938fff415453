"""Tokens are issued in answers that cost time and space, and so not to the same request at once."""

import asyncio
from pathlib import Path

from gateway import tokens
from gateway.token_office import ISSUE_EVERY, TokenOffice
from gateway.tokens import Grant
from tests.support.broker_double import BrokerDouble
from tests.support.envelopes import TOPICS, Fleet
from tests.support.tokens import Wish, open_channel
from tests.unit.gateway.edges import open_parts


async def test_a_request_that_is_repeated_is_answered_once_in_a_while(
    fleet: Fleet, tmp_path: Path
) -> None:
    open_channel(fleet)
    async with open_parts(fleet, tmp_path) as parts:
        keeper, broker, tick = parts.keeper, BrokerDouble(), 0.0
        await keeper.write(lambda tx: tokens.draw(tx, keeper.situation))
        (key, *_) = await keeper.read(lambda tx: tx.token_keys())
        office = TokenOffice(keeper, TOPICS, "gw-1", parts.log_head, lambda: tick)
        running = asyncio.ensure_future(office.run(broker))

        async def granted(device: str) -> Grant:
            request = Wish.of(2).request(device, key.key.key_id)
            return await keeper.write(lambda tx: tokens.grant(tx, request, keeper.situation))

        async def answered(grant: Grant) -> None:
            """Ask, and wait for the answer: what was asked before is answered by then."""
            topic = TOPICS.issue(grant.request.device)
            before = broker.count(topic)
            office.ask(grant)
            await broker.until_counted(topic, before + 1)

        thermo, wall = await granted("thermo"), await granted("wall")
        await answered(thermo)
        for _ in range(20):
            office.ask(thermo)
        await answered(wall)
        assert broker.count(TOPICS.issue("thermo")) == 1
        tick = ISSUE_EVERY
        await answered(thermo)
        running.cancel()
