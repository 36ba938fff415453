"""Tokens on every broker: keys stand, requests are answered, and what was not issued is refused."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from device_sdk.proofs import oprf as client
from device_sdk.wire import cose
from device_sdk.wire.epoch_key import EpochKey, TokenKeys
from device_sdk.wire.notice import EventKind
from device_sdk.wire.token_request import TokenIssue
from device_sdk.wire.topics import Kind
from gateway.store.records import StoredTokenKey
from tests.brokers.gateway_bench import Device, GatewayBench, eventually
from tests.brokers.mosquitto import Mosquitto
from tests.brokers.raw_client import RawClient, Received
from tests.support.envelopes import TOPICS
from tests.support.tokens import (
    CHANNEL,
    RULE,
    SealedAnonymous,
    Wish,
    open_channel,
    seal_anonymous,
    signed_request,
)

TOKENS = TOPICS.all_of(Kind.TOKENS)
ANONYMOUS = "anonymous"


@pytest.fixture
def open_bench(bench: GatewayBench) -> GatewayBench:
    """A fleet with an anonymous channel: thermo writes, hub and phone read."""
    bench.fleet.admit("thermo", "wall")
    open_channel(bench.fleet)
    bench.write_bundle()
    return bench


def opened(bench: GatewayBench, data: bytes) -> TokenKeys:
    return cose.parse_signed(TokenKeys, data).verify(bench.identity.public, bench.fleet.pin.aad)


async def shown(bench: GatewayBench) -> tuple[EpochKey, ...]:
    """Return the keys that stand; nobody else's do."""
    topic = TOPICS.tokens(bench.name)
    watcher = await bench.snooper(TOKENS)
    message = await watcher.until(lambda m: m.topic == topic and m.payload and m)
    await watcher.close()
    return opened(bench, message.payload).keys


async def issue(bench: GatewayBench, device: Device, key: EpochKey, wish: Wish) -> TokenIssue:
    """Let a device ask for tokens, and return the answer."""
    request = wish.request(device.name, key.key_id)
    await device.publish(TOPICS.blind(device.name), signed_request(bench.fleet, request))
    answered = await device.until(
        lambda m: (
            m.topic == TOPICS.issue(device.name)
            and TokenIssue.decode(m.payload).request == request.digest
            and m
        )
    )
    assert not answered.retain
    return TokenIssue.decode(answered.payload)


async def spendable(bench: GatewayBench) -> tuple[StoredTokenKey, list[bytes], list[bytes]]:
    """Let thermo get tokens; return the key without its secret, tokens and outputs."""
    keys = await shown(bench)
    (key,) = [key for key in keys if key.begins == min(one.begins for one in keys)]
    thermo = await bench.device("thermo", TOPICS.issue("thermo"))
    wish = Wish.of(RULE.tokens)
    answer = await issue(bench, thermo, key, wish)
    outputs = client.finalize(
        wish.tokens, wish.blinds, answer.evaluated, public=key.public, proof=answer.proof
    )
    return StoredTokenKey(key=key, seed=b"", erase_at=0), wish.tokens, outputs


async def anybody(bench: GatewayBench) -> Device:
    """Return somebody who listens, as every member may, and does not say what it sends."""
    device = await bench.device("wall", TOPICS.notice(ANONYMOUS))
    device.name = ANONYMOUS  # whose notices it looks at
    return device


async def post(bench: GatewayBench, message: SealedAnonymous) -> None:
    """Publish a message as devices do: on a connection without a name, which is for this one."""
    async with await RawClient.dial(bench.port) as client:
        await client.connect(f"a-{os.urandom(4).hex()}", ANONYMOUS, ANONYMOUS)
        await client.publish(message.topic, message.data)


async def told(device: Device, message: SealedAnonymous) -> tuple[str, str]:
    """Return the first thing that is said about an anonymous message."""

    def about(received: Received) -> tuple[str, str] | None:
        for event in device.events(received):
            if event.message_id == message.message_id:
                return str(event.kind), event.word
        return None

    found: tuple[str, str] = await device.until(about)
    return found


async def test_a_message_of_nobody_is_held_read_and_cleared(open_bench: GatewayBench) -> None:
    bench = open_bench
    async with bench.running():
        key, tokens, outputs = await spendable(bench)
        hub = await bench.device("hub")
        message = seal_anonymous(bench.fleet, key, ["hub"], token=tokens[0], output=outputs[0])
        sender = await anybody(bench)
        await post(bench, message)
        assert await told(sender, message) == ("held", "")
        assert await hub.copy(message) == message.copy("hub").encode()
        await hub.read(message)
        await hub.cleared(message)
        await sender.told(EventKind.READ, message)
        await eventually(lambda: not bench.in_files(message.envelope.body.ciphertext))


async def test_forged_replayed_and_crossed_tokens_are_refused(open_bench: GatewayBench) -> None:
    bench = open_bench
    async with bench.running():
        key, tokens, outputs = await spendable(bench)
        later = next(one for one in await shown(bench) if one != key.key)
        token, output = tokens[0], outputs[0]
        sent = seal_anonymous(bench.fleet, key, ["hub"], token=token, output=output)
        again = seal_anonymous(bench.fleet, key, ["hub"], token=token, output=output)
        sender = await anybody(bench)
        await post(bench, sent)
        assert await told(sender, sent) == ("held", "")
        for message, reason in (
            (again, "token-spent"),
            (seal_anonymous(bench.fleet, key, ["hub"], output=outputs[1]), "token-invalid"),
            (
                seal_anonymous(
                    bench.fleet,
                    replace(key, key=later),
                    ["hub"],
                    token=tokens[1],
                    output=outputs[1],
                ),
                "token-invalid",
            ),
        ):
            await post(bench, message)
            assert await told(sender, message) == ("refused", reason)
        ordinary = bench.fleet.seal("thermo", ["hub"], channel=CHANNEL)
        thermo = await bench.device("thermo")
        await thermo.send(ordinary)
        refused = await thermo.told(EventKind.REFUSED, ordinary)
        assert refused.word == "token-required"


async def test_a_restarted_gateway_shows_the_same_keys_and_knows_what_is_spent(
    open_bench: GatewayBench,
) -> None:
    bench = open_bench
    async with bench.running():
        key, tokens, outputs = await spendable(bench)
        before = await shown(bench)
        sender = await anybody(bench)
        first = seal_anonymous(bench.fleet, key, ["hub"], token=tokens[0], output=outputs[0])
        await post(bench, first)
        assert await told(sender, first) == ("held", "")
    async with bench.running():
        assert await shown(bench) == before
        sender = await anybody(bench)
        again = seal_anonymous(bench.fleet, key, ["hub"], token=tokens[0], output=outputs[0])
        await post(bench, again)
        assert await told(sender, again) == ("refused", "token-spent")


async def test_the_keys_go_when_the_owner_takes_the_rule_away(open_bench: GatewayBench) -> None:
    bench = open_bench
    async with bench.running():
        await shown(bench)
        watcher = await bench.snooper(TOKENS)
        open_channel(bench.fleet, rule=None)
        bench.write_bundle()
        topic = TOPICS.tokens(bench.name)
        await watcher.until(lambda m: m.topic == topic and not m.payload)


async def test_what_others_write_under_tokens_and_issue_does_not_stay(
    tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        bench = GatewayBench(tmp_path, broker)
        bench.fleet.admit("thermo", "wall")
        open_channel(bench.fleet)
        bench.write_bundle()
        async with bench.running(sweep=0.2):
            honest = await shown(bench)
            intruder = await bench.device("hub", TOKENS, TOPICS.all_of(Kind.ISSUE))
            stray, late, own = TOPICS.tokens("gw-9"), TOPICS.issue("hub"), TOPICS.tokens(bench.name)
            for topic in (stray, late, own):
                await intruder.publish(topic, b"anything", retain=True)
            for topic in (stray, late):
                await intruder.until(lambda m, t=topic: m.topic == t and not m.payload)  # type: ignore[misc]
            mended = await intruder.until(
                lambda m: m.topic == own and not m.retain and m.payload != b"anything" and m
            )
            assert opened(bench, mended.payload).keys == honest
