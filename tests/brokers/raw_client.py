"""An MQTT 3.1.1 client that sends whatever a test wants, written byte by byte.

It shares no code with the broker, and it may be as rude as a test needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections import deque
from dataclasses import dataclass
from typing import Self

PATIENCE = 20.0  # seconds after which a test fails instead of hanging


@dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    """A PUBLISH as it came."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    packet_id: int | None


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("!H", len(data)) + data


def packet(first_byte: int, body: bytes = b"") -> bytes:
    length, size = len(body), b""
    while True:
        length, low = divmod(length, 128)
        size += bytes([low | 0x80 if length else low])
        if not length:
            return bytes([first_byte]) + size + body


def connect(
    client_id: str | bytes,
    username: str | None,
    password: str | None,
    *,
    clean: bool = True,
    keep_alive: int = 60,
    will: tuple[str, bytes] | None = None,
    will_retain: bool = False,
    level: int = 4,
) -> bytes:
    flags = 2 if clean else 0
    body = text(client_id)
    if will is not None:
        flags |= 0x04 | 0x08 | (0x20 if will_retain else 0)
        body += text(will[0]) + text(will[1])
    if username is not None:
        flags |= 0x80
        body += text(username)
    if password is not None:
        flags |= 0x40
        body += text(password)
    return packet(0x10, text("MQTT") + bytes([level, flags]) + struct.pack("!H", keep_alive) + body)


def publish(
    topic: str | bytes, payload: bytes, *, qos: int = 1, retain: bool = False, packet_id: int = 1
) -> bytes:
    first = 0x30 | qos << 1 | int(retain)
    number = struct.pack("!H", packet_id) if qos else b""
    return packet(first, text(topic) + number + payload)


def subscribe(*filters: str, qos: int = 1, packet_id: int = 1) -> bytes:
    body = b"".join(text(topic_filter) + bytes([qos]) for topic_filter in filters)
    return packet(0x82, struct.pack("!H", packet_id) + body)


class RawClient:
    """One connection. Every wait has an end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._early: deque[tuple[int, bytes]] = deque()  # came while another packet was awaited

    @classmethod
    async def dial(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def send(self, data: bytes) -> None:
        """Write; a connection that the broker has closed is noticed when reading."""
        self._writer.write(data)
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(self._writer.drain(), PATIENCE)

    async def read(self) -> tuple[int, bytes] | None:
        """The next packet's first byte and body; None when the broker has closed."""
        return self._early.popleft() if self._early else await self._read_new()

    async def _read_new(self) -> tuple[int, bytes] | None:
        try:
            return await asyncio.wait_for(self._read(), PATIENCE)
        except (asyncio.IncompleteReadError, ConnectionError):  # not OSError: TimeoutError is one
            return None

    async def _read(self) -> tuple[int, bytes]:
        first = (await self._reader.readexactly(1))[0]
        length, shift = 0, 0
        while True:
            byte = (await self._reader.readexactly(1))[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        return first, await self._reader.readexactly(length)

    async def closed(self) -> bool:
        """Wait until the broker has closed the connection, reading over what still comes."""
        while await self.read() is not None:
            pass
        return True

    async def connect(self, *args: object, **kwargs: object) -> bytes | None:
        """Send a CONNECT; the body of the CONNACK: session present, return code."""
        await self.send(connect(*args, **kwargs))  # type: ignore[arg-type]
        answer = await self.read()
        return answer[1] if answer else None

    async def subscribe(self, *filters: str, qos: int = 1) -> list[int]:
        """The SUBACK's codes."""
        await self.send(subscribe(*filters, qos=qos))
        return list((await self._answer(0x90))[2:])

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1 and wait for the PUBACK."""
        await self.send(publish(topic, payload, retain=retain, packet_id=7))
        assert await self._answer(0x40) == b"\0\x07"

    async def _answer(self, first_byte: int) -> bytes:
        """The body of the awaited answer; messages that come before it are kept for `next`."""
        while (came := await self._read_new()) is not None:
            if came[0] == first_byte:
                return came[1]
            self._early.append(came)
        raise AssertionError("the broker closed instead of answering")

    async def next(self, *, puback: bool = True) -> Received | None:
        """The next PUBLISH, answered unless told not to; None when the broker has closed."""
        while (came := await self.read()) is not None:
            first, body = came
            if first >> 4 != 3:
                continue
            message = _received(first, body)
            if puback and message.packet_id is not None:
                await self.send(packet(0x40, struct.pack("!H", message.packet_id)))
            return message
        return None

    async def until(self, topic: str) -> list[Received]:
        """Everything that comes before a message on this topic; the connection must hold."""
        found: list[Received] = []
        while True:
            message = await self.next()
            assert message is not None, f"the broker closed before {topic} came"
            if message.topic == topic:
                return found
            found.append(message)


def _received(first: int, body: bytes) -> Received:
    (size,) = struct.unpack_from("!H", body)
    rest, qos = body[2 + size :], first >> 1 & 3
    return Received(
        topic=body[2 : 2 + size].decode(),
        payload=rest[2:] if qos else rest,
        qos=qos,
        retain=bool(first & 1),
        dup=bool(first & 8),
        packet_id=struct.unpack_from("!H", rest)[0] if qos else None,
    )
