"""Certificates at a real broker: published from the bundle, mended, cleared, and left alone."""

from device_sdk.wire.certificates import encode_certificates, to_pem
from tests.brokers.gateway_bench import GatewayBench
from tests.support.certificates import authority_of, chain_for
from tests.support.envelopes import NOW, TOPICS


def give(bench: GatewayBench, name: str, now: int = NOW) -> bytes:
    """Put a certificate into the bundle; return what belongs under its topic."""
    chain = chain_for(
        authority_of(bench.fleet.root, now=NOW),
        name,
        bench.fleet.members[name].identity.spki,
        now=now,
    )
    directory = bench.bundle / "certs"
    directory.mkdir(exist_ok=True)
    (directory / "new").write_bytes(to_pem(chain))
    (directory / "new").rename(directory / name)
    return encode_certificates(chain)


async def test_a_member_is_given_its_certificate_and_a_revoked_one_loses_it(
    bench: GatewayBench,
) -> None:
    topic = TOPICS.cert("hub")
    first = give(bench, "hub")
    async with bench.running():
        hub = await bench.device("hub", topic)
        await hub.until(lambda m: (m.topic, m.payload, m.retain) == (topic, first, True))
        second = give(bench, "hub", NOW + 60)
        await hub.until(lambda m: m.payload == second)
        bench.fleet.revoke("hub")
        bench.write_bundle()
        await hub.until(lambda m: (m.topic, m.payload) == (topic, b""))


async def test_what_somebody_else_has_put_there_is_mended(bench: GatewayBench) -> None:
    if bench.mosquitto is None:
        return  # nobody else may retain there
    right = give(bench, "hub")
    watcher = await bench.snooper(TOPICS.cert("hub"), TOPICS.cert("phone"))
    bench.keep(watcher)
    for name in ("hub", "phone"):
        await watcher.publish(TOPICS.cert(name), b"rubbish", retain=True)
    async with bench.running():
        await watcher.until(lambda m: (m.topic, m.payload) == (TOPICS.cert("hub"), right))
        await watcher.until(lambda m: (m.topic, m.payload) == (TOPICS.cert("phone"), b""))
    await watcher.close()


async def test_a_gateway_without_a_bundle_lets_stand_what_stands(bench: GatewayBench) -> None:
    if bench.mosquitto is None:
        return  # the broker ends with the gateway
    right = give(bench, "hub")
    async with bench.running():
        hub = await bench.device("hub", TOPICS.cert("hub"))
        await hub.until(lambda m: m.payload == right)
    async with bench.running(bundle=None):
        assert await bench.retained(TOPICS.cert("hub")) == {TOPICS.cert("hub"): right}
