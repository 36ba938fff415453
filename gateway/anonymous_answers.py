"""Answers what became of anonymous messages, to everybody, so that nobody need say who asks.

Anybody may ask who has seen a message's digest, and every sender hears the answer. So one message
is told about at most once a second, all of them no faster than a pace, and only so many questions
wait (PROTOCOL 19.5). A question that has no answer costs a look, and nobody else's place.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial

from device_sdk.wire.query import AnonymousQuery
from gateway import answer
from gateway.effects import NOTHING, Effects
from gateway.keeper import Keeper
from gateway.store.port import Reading

PAUSE = 1.0
"""Seconds after an answer in which the same question is passed over."""
MOST = 1000
"""Questions that wait, and answers that are remembered: of more than a second, by the pace."""
EVERY = 0.02
"""Seconds between two answers, whatever they are about: everybody hears each."""


class AnonymousAnswers:
    """The questions that wait. One for each connection."""

    def __init__(
        self,
        keeper: Keeper,
        carry_out: Callable[[Effects], object],
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keeper = keeper
        self._carry_out = carry_out
        self._tick = tick
        self._waiting: dict[AnonymousQuery, None] = {}
        self._answered: dict[AnonymousQuery, float] = {}
        self._wake = asyncio.Event()

    def ask(self, query: AnonymousQuery) -> None:
        """Take a question; one that was answered a moment ago, or is too much, is passed over."""
        answered = self._answered.get(query)
        if answered is not None and self._tick() < answered + PAUSE:
            return
        if len(self._waiting) < MOST:
            self._waiting[query] = None
            self._wake.set()

    async def run(self) -> None:
        """Answer as long as the connection lasts."""
        while True:
            self._wake.clear()
            while self._waiting:
                query = next(iter(self._waiting))
                del self._waiting[query]
                await self._answer(query)
            await self._wake.wait()

    async def _answer(self, query: AnonymousQuery) -> None:
        effects = await self._keeper.read(partial(_look_up, query))
        if effects == NOTHING:
            return  # not to be remembered: made-up questions would push out the real ones
        self._carry_out(effects)
        self._remember(query)
        await asyncio.sleep(EVERY)

    def _remember(self, query: AnonymousQuery) -> None:
        self._answered.pop(query, None)
        self._answered[query] = self._tick()
        if len(self._answered) > MOST:
            del self._answered[next(iter(self._answered))]


def _look_up(query: AnonymousQuery, tx: Reading) -> Effects:
    return answer.answer_anonymous(tx, query)
