"""What ``sealgate audit`` finds at a broker while no gateway is there to clear it."""

from pathlib import Path

from gateway.cli.audit_look import look_at
from gateway.settings import load_settings
from tests.brokers.gateway_bench import GatewayBench
from tests.brokers.mosquitto import Mosquitto
from tests.support.envelopes import TOPICS, SealedMessage


async def owed_to_phone(bench: GatewayBench) -> SealedMessage:
    """Run a gateway until a message is read by one of its two readers."""
    message = bench.fleet.seal("thermo-1", ["hub", "phone"])
    async with bench.running():
        thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
        await thermo.send(message)
        await hub.copy(message)
        await hub.read(message)
        await hub.cleared(message)
    return message


async def test_whatever_stands_at_the_broker_and_in_no_row_is_found(
    tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        bench = GatewayBench(tmp_path, broker)
        message, unknown = await owed_to_phone(bench), bench.fleet.seal("thermo-1", ["hub"])
        planted = {
            TOPICS.inbox("hub", "thermo-1", message.message_id): "no longer owed",
            TOPICS.inbox("hub", "thermo-1", unknown.message_id): "does not know",
            message.topic: "under send",
            TOPICS.read("hub", "thermo-1", message.message_id): "under read",
            TOPICS.seen("thermo-1"): "under seen",
            TOPICS.notice("thermo-1"): "under notice",
            TOPICS.announce("thermo-1"): "under announce",
            TOPICS.query("thermo-1"): "under query",
            TOPICS.keys("stranger"): "of a device that has none",
            f"{TOPICS.prefix}/roster/{'ab' * 32}": "another roster",
            f"{TOPICS.prefix}/odd/topic": "no topic of the protocol",
        }
        watcher = await bench.snooper(f"{TOPICS.prefix}/#")
        for topic in planted:
            await watcher.publish(topic, b"ghost", retain=True)
        owed = TOPICS.inbox("phone", "thermo-1", message.message_id)
        await watcher.publish(owed, b"", retain=True)
        await watcher.until(lambda m: m.topic == owed and not m.payload)  # the last of them
        await watcher.close()
        look = await look_at(load_settings(data=bench.data, broker=bench.url))
    left = [one.what for one in look.findings if one.leftover]
    assert len(left) == len(planted)
    for what in planted.values():
        assert sum(what in one for one in left) == 1, what
    assert [one.what for one in look.findings if not one.leftover] == [
        "an owed copy does not stand at the broker"
    ]
    assert not any(message.message_id.hex() in one.where for one in look.findings)


async def test_a_missing_copy_is_no_leftover(tmp_path: Path, mosquitto: str) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        bench = GatewayBench(tmp_path, broker)
        await owed_to_phone(bench)
        broker.restart()  # it keeps nothing
        look = await look_at(load_settings(data=bench.data, broker=bench.url))
    assert [(one.what, one.leftover) for one in look.findings] == [
        ("an owed copy does not stand at the broker", False)
    ]
    assert look.topics == 0
