"""The peer: whole lifecycles through NATS JetStream, an interest stream with one durable consumer.

``sync_interval: always``, so that what JetStream has acknowledged is on disk, as with our gateway.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nats
from nats.js.api import RetentionPolicy, StorageType

_CONFIG = """
listen: 127.0.0.1:{port}
jetstream {{ store_dir: "{directory}", sync_interval: always }}
"""
_SUBJECT, _STREAM, _READER = "mail.reader", "mail", "reader"


@contextmanager
def _server() -> Iterator[str]:
    program = shutil.which("nats-server", path=Path(sys.executable).parent)
    if program is None:
        raise FileNotFoundError("nats-server: make bench installs it")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "nats.conf"
        config.write_text(_CONFIG.format(port=port, directory=directory))
        process = subprocess.Popen(
            [program, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while not _listens(port):
                time.sleep(0.02)
            yield f"nats://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _lifecycles(url: str, count: int, window: int) -> float:
    client = await nats.connect(url)
    stream = client.jetstream()
    await stream.add_stream(
        name=_STREAM,
        subjects=[_SUBJECT],
        retention=RetentionPolicy.INTEREST,
        storage=StorageType.FILE,
    )
    reader = await stream.pull_subscribe(_SUBJECT, durable=_READER, stream=_STREAM)
    payload, gate = os.urandom(512), asyncio.Semaphore(window)

    async def send() -> None:
        await stream.publish(_SUBJECT, payload)

    async def sender() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                await gate.acquire()
                group.create_task(send())

    async def receive() -> None:
        done = 0
        while done < count:
            messages = await reader.fetch(min(window, count - done), timeout=30)
            # ack_sync waits until the server has it, as a reader of ours waits for its PUBACK.
            await asyncio.gather(*(message.ack_sync() for message in messages))
            for _ in messages:
                gate.release()
            done += len(messages)

    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        group.create_task(sender())
        group.create_task(receive())
    elapsed = time.perf_counter() - start
    await client.close()
    return count / elapsed


def run(*, count: int, window: int) -> float:
    """Return lifecycles (publish, deliver, acknowledge, delete) per second."""
    with _server() as url:
        return asyncio.run(_lifecycles(url, count, window))
