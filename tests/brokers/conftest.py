"""One suite, every broker: the embedded one and Mosquitto, behind one small handle."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from gateway.embedded_broker import EmbeddedBroker
from tests.brokers.embedded import authenticate
from tests.brokers.gateway_bench import GatewayBench
from tests.brokers.mosquitto import Mosquitto


class AnyBroker(Protocol):
    """A broker that a test may stop and start again on the same port."""

    @property
    def port(self) -> int: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class EmbeddedTestBroker:
    """The embedded broker with the accounts of `tests.brokers.embedded`."""

    name = "embedded"

    def __init__(self) -> None:
        self.port = 0
        self._broker: EmbeddedBroker | None = None

    async def start(self) -> None:
        self._broker = EmbeddedBroker(host="127.0.0.1", port=self.port, authenticate=authenticate)
        await self._broker.start()
        self.port = self._broker.port

    async def stop(self) -> None:
        if self._broker is not None:
            await self._broker.stop()


class MosquittoTestBroker:
    """Mosquitto with what a test asks for."""

    name = "mosquitto"

    def __init__(self, directory: Path, program: str, extra: str = "") -> None:
        self._mosquitto = Mosquitto(directory, program=program, extra=extra)

    @property
    def port(self) -> int:
        return self._mosquitto.port

    async def start(self) -> None:
        self._mosquitto.start()

    async def stop(self) -> None:
        self._mosquitto.stop()


@pytest.fixture(params=["embedded", "mosquitto"])
async def broker(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[EmbeddedTestBroker | MosquittoTestBroker]:
    """A started broker: the test runs once on each."""
    made: EmbeddedTestBroker | MosquittoTestBroker
    if request.param == "embedded":
        made = EmbeddedTestBroker()
    else:
        made = MosquittoTestBroker(tmp_path, request.getfixturevalue("mosquitto"))
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


@pytest.fixture(params=["embedded", "mosquitto"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GatewayBench]:
    """A fleet and a gateway to run, on each broker."""
    if request.param == "embedded":
        yield GatewayBench(tmp_path, None)
        return
    with Mosquitto(tmp_path, program=request.getfixturevalue("mosquitto")) as mosquitto:
        yield GatewayBench(tmp_path, mosquitto)
