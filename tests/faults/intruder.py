"""Somebody at the broker who says again what others said, and what nobody said.

It has every right there that the broker can give, and no key: it replays envelopes and read acks,
at once (as a broker may that delivers twice) and long after, damages them, moves them to other
topics, and plants retained messages.
"""

import asyncio
import contextlib
import random
import secrets

from device_sdk.wire.topics import Kind, Topics
from tests.brokers import raw_client
from tests.brokers.raw_client import RawClient, Received

_TOPICS = Topics()
_REMEMBERED = 500
_AGAIN = 0.2
_FROM_DEVICES = tuple(
    _TOPICS.all_of(kind) for kind in (Kind.SEND, Kind.READ, Kind.QUERY, Kind.SEEN)
)
_SHARE = 0.2
"""How much of what it hears it answers with mischief."""


class Intruder:
    """At work until it is cancelled; it connects again whenever the broker was away."""

    def __init__(self, port: int, chance: random.Random) -> None:
        self._port, self._chance = port, chance
        self._heard: list[Received] = []
        self.deeds = 0

    async def run(self) -> None:
        """Do mischief."""
        while True:
            with contextlib.suppress(OSError, AssertionError, TimeoutError):
                await self._listen()
            await asyncio.sleep(_AGAIN)

    async def _listen(self) -> None:
        async with await RawClient.dial(self._port) as client:
            if await client.connect("intruder", "intruder", "any", keep_alive=0) is None:
                return
            await client.subscribe(*_FROM_DEVICES, _TOPICS.all_of(Kind.INBOX))
            own: set[bytes] = set()
            while (message := await client.next()) is not None:
                key = message.topic.encode() + message.payload
                if key in own or not message.payload or self._chance.random() > _SHARE:
                    own.discard(key)
                    continue
                topic, payload, retain = self._deed(message)
                own.add(topic.encode() + payload)
                self.deeds += 1
                await client.send(raw_client.publish(topic, payload, retain=retain))

    def _remember(self, message: Received) -> None:
        self._heard.append(message)
        if len(self._heard) > _REMEMBERED:
            self._heard.pop(self._chance.randrange(_REMEMBERED))

    def _deed(self, message: Received) -> tuple[str, bytes, bool]:
        if "/inbox/" in message.topic:  # only a gateway's words stand there
            return message.topic, self._damaged(message.payload), False
        self._remember(message)
        other = self._chance.choice(self._heard)
        return self._chance.choice(
            [
                (message.topic, message.payload, False),  # delivered twice
                (other.topic, other.payload, False),  # long after
                (message.topic, message.payload, True),
                (message.topic, self._damaged(message.payload), False),
                (self._other_id(message.topic), message.payload, False),
                (message.topic, secrets.token_bytes(300), False),
            ]
        )

    def _damaged(self, payload: bytes) -> bytes:
        at = self._chance.randrange(len(payload))
        return (
            payload[:at] + bytes([payload[at] ^ 1 << self._chance.randrange(8)]) + payload[at + 1 :]
        )

    def _other_id(self, topic: str) -> str:
        head, _, last = topic.rpartition("/")
        return f"{head}/{secrets.token_hex(16)}" if len(last) == 32 else topic
