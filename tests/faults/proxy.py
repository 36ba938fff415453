"""A network that fails: a TCP proxy on the loopback interface, in the driver's event loop."""

import asyncio
import contextlib
import socket
import struct

_CHUNK = 64 * 1024
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing sends a reset instead of what is still to be sent."""


class Proxy:
    """Carries bytes between clients and one port, unless told otherwise."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._delay = 0.0
        self._left: int | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End every connection and listen no more."""
        self.cut()
        if self._server is not None:
            self._server.close()

    # ------------------------------------------------------------------ what goes wrong

    def cut(self) -> None:
        """Reset every connection."""
        for writer in list(self._writers):
            raw = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    def cut_after(self, count: int) -> None:
        """Carry so many more bytes, then reset every connection: in the middle of a packet."""
        self._left = count

    def freeze(self) -> None:
        """Carry nothing, and tell nobody: the connections are half open."""
        self._flowing.clear()

    def delay(self, seconds: float) -> None:
        """Hold up every piece for so long."""
        self._delay = seconds

    def mend(self) -> None:
        """Carry everything again."""
        self._delay, self._left = 0.0, None
        self._flowing.set()

    # ------------------------------------------------------------------ how it is carried

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            self._writers.discard(writer)
            writer.close()
            return
        self._writers.add(there[1])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pump(reader, there[1]))
            tasks.create_task(self._pump(there[0], writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self._delay:
                    await asyncio.sleep(self._delay)
                await self._flowing.wait()
                writer.write(self._allowed(data))
                await writer.drain()
        self._writers.discard(writer)
        writer.close()

    def _allowed(self, data: bytes) -> bytes:
        if self._left is None:
            return data
        data, self._left = data[: self._left], self._left - len(data)
        if self._left <= 0:
            self._left = None
            # What is allowed is on its way before the reset.
            asyncio.get_running_loop().call_later(0.01, self.cut)
        return data
