"""Somebody who sees every copy at the broker come and go, and knows what to look for afterwards."""

import asyncio
import contextlib

from device_sdk.wire.envelope import Copy
from device_sdk.wire.topics import Kind, Topics
from tests.brokers.raw_client import RawClient, Received
from tests.faults.history import Pen, What

_AGAIN = 0.1
_ALL = Topics().all_of(Kind.INBOX)
_PIECE = 24
"""Bytes of a ciphertext or a wrapped key that are looked for: no two messages share them."""


class Watcher:
    """Watches until it is cancelled; it connects again whenever the broker was away."""

    def __init__(self, port: int, user: str, password: str, pen: Pen) -> None:
        self._port, self._user, self._password = port, user, password
        self._pen = pen
        self.copies: set[str] = set()
        """Topics of the copies that were ever seen."""
        self.pieces: dict[bytes, str] = {}
        """Parts of messages, and what each one is."""

    async def run(self) -> None:
        """Watch."""
        while True:
            with contextlib.suppress(OSError, AssertionError, TimeoutError):
                await self._watch()
            await asyncio.sleep(_AGAIN)

    async def standing(self) -> list[str]:
        """Return the topics of the copies that stand at the broker now."""
        async with await RawClient.dial(self._port) as client:
            await client.connect(f"{self._user}-2", self._user, self._password)
            await client.subscribe(_ALL)
            # Gateways' states always stand there, and are asked for last.
            await client.subscribe(Topics().all_of(Kind.STATE))
            found = []
            while (message := await client.next()) is not None:
                if message.topic.startswith(Topics().state("")):
                    break
                found += [message.topic] if message.payload else []
            return found

    async def _watch(self) -> None:
        async with await RawClient.dial(self._port) as client:
            answer = await client.connect(self._user, self._user, self._password, keep_alive=0)
            if answer is None or answer[1]:
                return
            await client.subscribe(_ALL)
            while True:
                with contextlib.suppress(TimeoutError):  # a long silence is nothing wrong
                    message = await client.next()
                    if message is None:
                        return
                    self._note(message)

    def _note(self, message: Received) -> None:
        *_, reader, sender, message_id = message.topic.split("/")
        name = {"reader": reader, "sender": sender, "message": message_id}
        if not message.payload:
            self._pen.write(What.CLEARED, **name)
        elif message.topic not in self.copies:
            self.copies.add(message.topic)
            self._pen.write(What.COPY, **name)
            self._learn(message.payload, f"{sender}'s {message_id[:8]}")

    def _learn(self, payload: bytes, name: str) -> None:
        copy = Copy.decode(payload)
        self.pieces[copy.body.ciphertext[:_PIECE]] = f"ciphertext of {name}"
        self.pieces[copy.reader.wrapped_cek[:_PIECE]] = f"wrapped key of {name}"
        self.pieces[copy.reader.open_hash[:_PIECE]] = f"open-hash of {name}"
        self.pieces[copy.body.header.message_id] = f"id of {name}"


def search(pieces: dict[bytes, str], data: bytes) -> list[str]:
    """Return which pieces occur in some bytes."""
    found = []
    for size in {len(piece) for piece in pieces}:
        windows = {data[at : at + size] for at in range(len(data) - size + 1)}
        found += [pieces[piece] for piece in windows & pieces.keys()]
    return found
