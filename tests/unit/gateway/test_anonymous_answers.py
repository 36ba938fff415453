"""Answers about anonymous messages go to everybody, and so not too often."""

import asyncio
from pathlib import Path

from device_sdk.wire.query import AnonymousQuery
from gateway import tokens
from gateway.anonymous_answers import PAUSE, AnonymousAnswers
from gateway.effects import Effects
from gateway.hold import take_in
from tests.support.envelopes import TOPICS, Fleet
from tests.support.tokens import open_channel, seal_anonymous
from tests.unit.gateway.edges import open_parts


async def test_one_message_is_told_about_once_in_a_while_however_often_it_is_asked_for(
    fleet: Fleet, tmp_path: Path
) -> None:
    open_channel(fleet)
    async with open_parts(fleet, tmp_path) as parts:
        keeper, told = parts.keeper, asyncio.Queue[Effects]()
        await keeper.write(lambda tx: tokens.draw(tx, keeper.situation))
        (key, *_) = reversed(await keeper.read(lambda tx: tx.token_keys()))
        message = seal_anonymous(fleet, key)
        topic = TOPICS.parse(message.topic)
        await keeper.write(lambda tx: take_in(tx, topic, message.data, keeper.situation))
        tick = 0.0
        answers = AnonymousAnswers(keeper, told.put_nowait, lambda: tick)
        running = asyncio.ensure_future(answers.run())
        query = AnonymousQuery(message_id=message.message_id, digest=message.digest)
        answers.ask(query)
        answers.ask(query)
        assert [tell.event.kind for tell in (await told.get()).tell] == ["held"]
        answers.ask(query)
        tick = PAUSE
        answers.ask(query)
        await told.get()
        await asyncio.sleep(0)
        assert told.empty()
        running.cancel()
