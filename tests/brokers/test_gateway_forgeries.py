"""Read acks and *seen* that nobody should believe, on every broker: nothing is given up."""

from device_sdk.wire.notice import EventKind
from device_sdk.wire.topics import Kind
from tests.brokers.gateway_bench import GatewayBench
from tests.support.envelopes import TOPICS

INBOX = TOPICS.all_of(Kind.INBOX)


async def test_an_ack_for_an_unknown_message_changes_nothing_for_known_ones(
    bench: GatewayBench,
) -> None:
    unknown = bench.fleet.seal("thermo-1", ["hub"])
    first, second = (bench.fleet.seal("thermo-1", ["hub", "phone"]) for _ in range(2))
    async with bench.running():
        thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
        await thermo.send(first)
        await hub.copy(first)
        await hub.read(unknown)
        await thermo.send(second)
        await hub.copy(second)
        await hub.read(second)  # judged after the one before
        await hub.cleared(second)
        assert not bench.in_files(unknown.message_id)
        assert set(await bench.retained(INBOX)) == {
            TOPICS.inbox(reader, "thermo-1", message.message_id)
            for reader, message in (("hub", first), ("phone", first), ("phone", second))
        }


async def test_a_forged_seen_makes_the_gateway_forget_nothing(bench: GatewayBench) -> None:
    fleet = bench.fleet
    finished = fleet.seal("thermo-1", ["hub"])
    async with bench.running():
        thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
        await thermo.send(finished)
        await hub.copy(finished)
        await hub.read(finished)
        await thermo.told(EventKind.READ, finished)
        own = TOPICS.seen("thermo-1")
        genuine = fleet.seen("thermo-1", finished)
        for forged in (
            fleet.seen("thermo-1", finished, signer=fleet.members["phone"].identity),
            fleet.seen("phone", finished),
            genuine[:-1] + bytes([genuine[-1] ^ 1]),
            genuine + b"\0",
            b"nonsense",
        ):
            await thermo.publish(own, forged)
        (told,) = await thermo.answer_to(fleet.query("thermo-1", sent=[finished]))
        assert [event.kind for event in told.events] == [EventKind.HELD, EventKind.READ]
        assert told.events[0].word == ""
