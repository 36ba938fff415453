"""The gateway on every broker: a message's whole life, as devices at the broker see it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from device_sdk.wire.notice import EventKind
from tests.brokers.gateway_bench import GatewayBench
from tests.brokers.mosquitto import Mosquitto
from tests.support.envelopes import TOPICS


@pytest.fixture(params=["embedded", "mosquitto"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[GatewayBench]:
    if request.param == "embedded":
        yield GatewayBench(tmp_path, None)
        return
    with Mosquitto(tmp_path, program=request.getfixturevalue("mosquitto")) as mosquitto:
        yield GatewayBench(tmp_path, mosquitto)


async def test_a_message_is_held_until_everybody_has_read_it_and_then_gone(
    bench: GatewayBench,
) -> None:
    message = bench.fleet.seal("thermo-1", ["hub", "phone"])
    async with bench.running():
        thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
        await thermo.send(message)
        held = await thermo.told(EventKind.HELD, message)
        assert held.digest == message.digest
        assert len(await bench.retained(TOPICS.all_of("inbox"))) == 2
        assert await hub.copy(message) == message.copy("hub").encode()
        await hub.read(message)
        await hub.cleared(message)
        await thermo.told(EventKind.READ, message)
        phone = await bench.device("phone")  # comes late: its copy has waited
        assert await phone.copy(message) == message.copy("phone").encode()
        await phone.read(message)
        await phone.cleared(message)
        assert await bench.retained(TOPICS.all_of("inbox")) == {}
