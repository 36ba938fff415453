"""What waits for a gateway in its lasting session must not keep it from starting."""

from pathlib import Path

from device_sdk.wire import cose
from device_sdk.wire.notice import EventKind
from device_sdk.wire.state import OFFLINE, ONLINE, State
from gateway.store.sqlite import LEDGER_FILE, SqliteLedger
from tests.brokers.gateway_bench import GatewayBench, wall
from tests.brokers.mosquitto import Mosquitto
from tests.brokers.raw_client import RawClient
from tests.support.envelopes import TOPICS


async def ledger_id(bench: GatewayBench) -> bytes:
    ledger = SqliteLedger.open(bench.data / LEDGER_FILE)
    try:
        return await ledger.read(lambda tx: tx.ledger_id())
    finally:
        await ledger.close()


async def state_of_dead_process(bench: GatewayBench, status: str, age: int) -> bytes:
    state = State(
        gateway=bench.name,
        ledger_id=await ledger_id(bench),
        instance=bytes(16),
        status=status,
        time=int(wall()) - age,
        roster_version=1,
        software="sealgate",
        max_payload=1,
        max_readers=1,
        max_lifetime=1,
    )
    return cose.sign(state, bench.identity, bench.fleet.pin.aad)


async def leave_session(bench: GatewayBench) -> None:
    """Leave the lasting session behind that a killed gateway leaves."""
    async with await RawClient.dial(bench.port) as session:
        assert await session.connect(bench.name, None, None, clean=False)
        await session.subscribe(TOPICS.state("+"))


async def test_echoes_of_a_killed_gateways_states_do_not_keep_the_next_one_from_starting(
    tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        bench = GatewayBench(tmp_path, broker)
        message = bench.fleet.seal("thermo-1", ["hub"])
        async with bench.running():
            pass
        topic = TOPICS.state(bench.name)
        await leave_session(bench)
        async with await RawClient.dial(bench.port) as broker_side:
            await broker_side.connect("echo", None, None)
            for age in (60, 30):
                await broker_side.publish(topic, await state_of_dead_process(bench, ONLINE, age))
            will = await state_of_dead_process(bench, OFFLINE, 90)  # signed at connecting
            await broker_side.publish(topic, will, retain=True)
        async with bench.running() as task:
            thermo = await bench.device("thermo-1")
            await thermo.send(message)
            await thermo.told(EventKind.HELD, message)
            assert not task.done()
