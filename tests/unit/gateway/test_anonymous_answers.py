"""Answers about anonymous messages go to everybody, and so not too often."""

import asyncio
import os
from pathlib import Path

from device_sdk.wire.query import AnonymousQuery
from gateway import tokens
from gateway.anonymous_answers import MOST, PAUSE, AnonymousAnswers
from gateway.effects import Effects
from gateway.hold import take_in
from gateway.keeper import Keeper
from gateway.store.records import StoredTokenKey
from tests.support.envelopes import TOPICS, Fleet
from tests.support.tokens import open_channel, seal_anonymous
from tests.unit.gateway.edges import open_parts


async def held(keeper: Keeper, fleet: Fleet, key: StoredTokenKey) -> AnonymousQuery:
    """Hold a message, and return the question about it."""
    message = seal_anonymous(fleet, key)
    topic = TOPICS.parse(message.topic)
    await keeper.write(lambda tx: take_in(tx, topic, message.data, keeper.situation))
    return AnonymousQuery(message_id=message.message_id, digest=message.digest)


async def test_one_message_is_told_about_once_in_a_while_however_often_it_is_asked_for(
    fleet: Fleet, tmp_path: Path
) -> None:
    open_channel(fleet)
    async with open_parts(fleet, tmp_path) as parts:
        keeper, told = parts.keeper, asyncio.Queue[Effects]()
        await keeper.write(lambda tx: tokens.draw(tx, keeper.situation))
        (key, *_) = reversed(await keeper.read(lambda tx: tx.token_keys()))
        query, third, last = [await held(keeper, fleet, key) for _ in range(3)]
        tick = 0.0
        answers = AnonymousAnswers(keeper, told.put_nowait, lambda: tick)
        running = asyncio.ensure_future(answers.run())
        answers.ask(query)
        answers.ask(query)
        assert [tell.event.kind for tell in (await told.get()).tell] == ["held"]
        for _ in range(MOST - 1):  # made-up ones do not push it out
            answers.ask(AnonymousQuery(message_id=os.urandom(16), digest=os.urandom(32)))
        answers.ask(third)
        assert (await told.get()).tell[0].event.message_id == third.message_id
        answers.ask(query)
        answers.ask(last)
        assert (await told.get()).tell[0].event.message_id == last.message_id
        tick = PAUSE
        answers.ask(query)
        assert (await told.get()).tell[0].event.message_id == query.message_id
        assert told.empty()
        running.cancel()
