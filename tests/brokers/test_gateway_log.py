"""The gateway's log, on every broker: its head stands, is proved, and is not to be written over."""

from pathlib import Path

from device_sdk.wire import cose, log_tree
from device_sdk.wire.log_proof import LogProof, Prove
from device_sdk.wire.topics import Kind
from device_sdk.wire.tree_head import TreeHead
from tests.brokers.gateway_bench import GatewayBench
from tests.brokers.mosquitto import Mosquitto
from tests.support.envelopes import TOPICS, made_up_key

LOGS = TOPICS.all_of(Kind.LOG)


def opened(bench: GatewayBench, data: bytes) -> TreeHead:
    return cose.parse_signed(TreeHead, data).verify(bench.identity.public, bench.fleet.pin.aad)


async def head(bench: GatewayBench) -> TreeHead:
    """Return the head that stands; there is no other."""
    standing = await bench.retained(LOGS)
    assert list(standing) == [TOPICS.log(bench.name)]
    return opened(bench, standing[TOPICS.log(bench.name)])


async def test_the_log_grows_with_what_devices_announce_and_a_device_is_shown_that_it_only_grew(
    bench: GatewayBench,
) -> None:
    async with bench.running():
        first = await head(bench)
        own = (TOPICS.log(bench.name), TOPICS.proof("hub"))
        hub = await bench.device("hub", *own)
        member = bench.fleet.members["hub"]
        newer = member.state_key(made_up_key(), serial=2**40)
        await hub.publish(TOPICS.announce("hub"), newer)
        told = await hub.until(
            lambda m: m.topic == own[0] and opened(bench, m.payload).size > first.size and m
        )
        second = opened(bench, told.payload)
        question = Prove(device="hub", gateway=bench.name, first=first.size, second=second.size)
        data = cose.sign(question, member.identity, bench.fleet.pin.aad)
        await hub.publish(TOPICS.prove("hub"), data)
        answered = await hub.until(lambda m: m.topic == own[1] and m)
        proof = LogProof.decode(answered.payload)
        assert proof.consistency is not None
        log_tree.check_consistency(
            first.size, first.root, second.size, second.root, proof.consistency
        )
        assert not answered.retain


async def test_a_gateway_goes_on_with_its_log_when_it_starts_again(bench: GatewayBench) -> None:
    async with bench.running():
        before = await head(bench)
    async with bench.running():
        after = await head(bench)
    assert (before.size, before.root) == (after.size, after.root)
    assert before.log_id != after.log_id


async def test_what_others_write_under_log_and_proof_does_not_stay(
    tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        bench = GatewayBench(tmp_path, broker)
        async with bench.running(sweep=0.2):
            honest = (await bench.retained(LOGS))[TOPICS.log(bench.name)]
            intruder = await bench.device("hub", LOGS, TOPICS.all_of(Kind.PROOF))
            stray, proof, own = TOPICS.log("gw-9"), TOPICS.proof("hub"), TOPICS.log(bench.name)
            for topic in (stray, proof, own):
                await intruder.publish(topic, b"anything", retain=True)
            for topic in (stray, proof):
                await intruder.until(lambda m, t=topic: m.topic == t and not m.payload)  # type: ignore[misc]
            # The same bytes as before, if it is signed within the same second.
            mended = await intruder.until(
                lambda m: m.topic == own and not m.retain and m.payload != b"anything" and m
            )
            assert opened(bench, mended.payload).size == opened(bench, honest).size
            assert (await head(bench)).size == opened(bench, honest).size
