"""What the gateway has promised survives brokers, restarts, strangers and a second gateway."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from device_sdk.wire.errors import SealgateError
from device_sdk.wire.notice import EventKind
from device_sdk.wire.topics import Kind
from gateway.bundle import BundleError
from gateway.enrolment import NotAdmittedError
from gateway.link.paho import PahoLink
from gateway.presence import GatewayConflictError
from gateway.store.port import Transaction
from gateway.store.sqlite import LEDGER_FILE, SqliteLedger, read_summaries
from tests.brokers.gateway_bench import PATIENCE, GatewayBench, ready
from tests.brokers.mosquitto import Mosquitto
from tests.support.envelopes import TOPICS, Fleet

T = TypeVar("T")
INBOX = TOPICS.all_of(Kind.INBOX)


# ---------------------------------------------------------------------------- restarts


async def test_after_a_restart_of_the_gateway_every_copy_stands_and_can_be_read(
    bench: GatewayBench,
) -> None:
    message = bench.fleet.seal("thermo-1", ["hub", "phone"])
    async with bench.running():
        thermo = await bench.device("thermo-1")
        await thermo.send(message)
        await thermo.told(EventKind.HELD, message)
    async with bench.running():
        thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
        assert await hub.copy(message) == message.copy("hub").encode()
        await hub.read(message)
        await hub.cleared(message)
        await thermo.told(EventKind.READ, message)
        (told,) = await thermo.answer_to(bench.fleet.query("thermo-1", sent=[message]))
        assert [event.kind for event in told.events] == [EventKind.HELD, EventKind.READ]


async def test_a_killed_broker_that_lost_everything_gets_everything_back(
    tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        bench = GatewayBench(tmp_path, broker)
        message = bench.fleet.seal("thermo-1", ["hub", "phone"])
        async with bench.running():
            thermo = await bench.device("thermo-1")
            await thermo.send(message)
            await thermo.told(EventKind.HELD, message)
            before = await bench.retained(TOPICS.all_of(Kind.ROSTER), TOPICS.all_of(Kind.KEYS))
            broker.restart(kill=True)
            hub = await bench.device("hub", TOPICS.inbox_of("hub"), TOPICS.state("gw-1"))
            assert await hub.copy(message) == message.copy("hub").encode()
            await hub.until(lambda m: m.topic == TOPICS.state("gw-1"))
            phone = await bench.device("phone")
            await phone.copy(message)
            watching = await bench.snooper(TOPICS.all_of(Kind.ROSTER), TOPICS.all_of(Kind.KEYS))
            for topic, payload in before.items():
                await watching.until(
                    lambda m, topic=topic, payload=payload: (  # type: ignore[misc]
                        (m.topic, m.payload) == (topic, payload)
                    )
                )


async def test_a_read_ack_published_while_the_gateway_is_away_is_not_lost(
    tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        bench = GatewayBench(tmp_path, broker)
        message = bench.fleet.seal("thermo-1", ["hub"])
        async with bench.running():
            thermo = await bench.device("thermo-1")
            await thermo.send(message)
            await thermo.told(EventKind.HELD, message)
        hub = await bench.device("hub")
        await hub.copy(message)
        await hub.read(message)
        async with bench.running():
            await hub.cleared(message)


async def test_a_broker_that_is_absent_at_start_is_waited_for(
    tmp_path: Path, mosquitto: str
) -> None:
    broker = Mosquitto(tmp_path, program=mosquitto)
    broker.start()
    broker.stop()
    bench = GatewayBench(tmp_path, broker)
    gateway = bench.gateway()
    task = asyncio.ensure_future(gateway.run())
    done, _ = await asyncio.wait([task], timeout=0.5)
    assert not done
    with broker:
        await ready(gateway, task)
        assert TOPICS.roster() in await bench.retained(TOPICS.all_of(Kind.ROSTER))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_gateway_that_is_stopped_just_when_it_loses_its_broker_stops(
    tmp_path: Path, mosquitto: str
) -> None:
    broker = Mosquitto(tmp_path, program=mosquitto)
    with broker:
        bench = GatewayBench(tmp_path, broker)
        for _ in range(3):
            async with bench.running(), asyncio.timeout(PATIENCE):
                thermo = await bench.device("thermo-1")
                message = bench.fleet.seal("thermo-1", ["hub"])
                await thermo.send(message)
                await thermo.told(EventKind.HELD, message)
                # In one turn of the event loop, so that both reach the gateway at once.
                broker.restart()


# ---------------------------------------------------------------------------- a lost ledger


@pytest.mark.parametrize("name", ["gw-1", "gw-2"])
async def test_a_gateway_without_a_ledger_adopts_the_copies_that_stand_at_the_broker(
    tmp_path: Path, mosquitto: str, name: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        bench = GatewayBench(tmp_path, broker)
        other = bench.make_gateway("gw-2")
        bench.write_bundle()
        message = bench.fleet.seal("thermo-1", ["hub", "phone"])
        async with bench.running():
            thermo = await bench.device("thermo-1")
            await thermo.send(message)
            await thermo.told(EventKind.HELD, message)
        hub = await bench.device("hub")
        await hub.copy(message)
        # To the lasting session of the first gateway, which the same identity takes up again.
        await hub.read(message)
        if name == "gw-1":
            for path in bench.data.glob(f"{LEDGER_FILE}*"):
                path.unlink()
        else:
            bench.use(other, name)
        async with bench.running(watch=0):
            thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
            if name == "gw-2":
                await hub.read(message)
            await thermo.told(EventKind.READ, message)
            phone = await bench.device("phone")
            assert await phone.copy(message) == message.copy("phone").encode()
            await phone.read(message)
            await phone.cleared(message)
            assert await bench.retained(INBOX) == {}


@pytest.mark.parametrize("inflight", [1, 20])  # Mosquitto's default is 20
async def test_more_waiting_read_acks_than_the_broker_sends_unpubacked_do_not_block_adoption(
    tmp_path: Path, mosquitto: str, monkeypatch: pytest.MonkeyPatch, inflight: int
) -> None:
    made = PahoLink.__init__

    def without_mqtt5(self: PahoLink, *args: Any, **options: Any) -> None:
        made(self, *args, **options)
        self._version = MQTTProtocolVersion.MQTTv311  # in MQTT 5 we say how much we can take

    monkeypatch.setattr(PahoLink, "__init__", without_mqtt5)
    limits = f"max_inflight_messages {inflight}\n"
    with Mosquitto(tmp_path, program=mosquitto, extra=limits) as broker:
        bench = GatewayBench(tmp_path, broker)
        messages = [bench.fleet.seal("thermo-1", ["hub"]) for _ in range(40)]
        async with bench.running():
            thermo = await bench.device("thermo-1")
            for message in messages:
                await thermo.send(message)
            for message in messages:
                await thermo.told(EventKind.HELD, message)
        hub = await bench.device("hub")
        for message in messages:
            await hub.read(message)
        for path in bench.data.glob(f"{LEDGER_FILE}*"):
            path.unlink()
        async with bench.running(watch=0):
            for message in messages:
                await hub.cleared(message)
            assert await bench.retained(INBOX) == {}


async def test_a_partial_message_is_completed_by_its_envelope(
    tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        bench = GatewayBench(tmp_path, broker)
        message = bench.fleet.seal("thermo-1", ["hub", "phone"])
        hub = await bench.device("hub")
        topic = TOPICS.inbox("hub", "thermo-1", message.message_id)
        await hub.publish(topic, message.copy("hub").encode(), retain=True)
        await hub.copy(message)
        async with bench.running():
            thermo = await bench.device("thermo-1")
            (partial,) = await thermo.answer_to(bench.fleet.query("thermo-1", sent=[message]))
            assert [event.word for event in partial.events if event.word] == ["partial"]
            await thermo.send(message)
            await thermo.told(EventKind.HELD, message)
            phone = await bench.device("phone")
            await phone.copy(message)


# ---------------------------------------------------------------------------- what others leave


async def test_what_others_retain_is_cleared_and_an_envelope_among_it_taken_in(
    tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        bench = GatewayBench(tmp_path, broker)
        message = bench.fleet.seal("thermo-1", ["hub"])
        forged = bench.fleet.seal("thermo-1", ["hub"]).copy("hub")
        forged = replace(forged, body=replace(forged.body, ciphertext=bytes(272)))
        forged_id = forged.body.header.message_id
        planted = {
            message.topic: message.data,
            TOPICS.inbox("hub", "thermo-1", bytes(16)): b"nonsense",
            TOPICS.inbox("hub", "thermo-1", forged_id): forged.encode(),
            f"{TOPICS.prefix}/inbox/hub/no/message": b"misshapen",
            f"{TOPICS.prefix}/inbox/HUB": b"misshapen",
            TOPICS.read("hub", "thermo-1", bytes(16)): b"nonsense",
            TOPICS.query("hub"): b"nonsense",
            TOPICS.seen("hub"): b"nonsense",
            TOPICS.announce("hub"): b"nonsense",
            TOPICS.notice("hub"): b"nonsense",
            TOPICS.state("nobody"): b"nonsense",
            TOPICS.roster_page(bytes(32)): b"nonsense",
        }
        bench.fleet.admit("mallory")
        mallory = await bench.device("mallory", f"{TOPICS.prefix}/#")
        for topic, payload in planted.items():
            await mallory.publish(topic, payload, retain=True)
        for topic in planted:
            await mallory.until(lambda m, topic=topic: m.topic == topic)  # type: ignore[misc]
        async with bench.running():
            hub = await bench.device("hub")
            await hub.copy(message)
            for topic in planted:
                await mallory.until(
                    lambda m, topic=topic: m.topic == topic and not m.payload  # type: ignore[misc]
                )
            assert set(await bench.retained(INBOX)) == {
                TOPICS.inbox("hub", "thermo-1", message.message_id)
            }


async def test_a_damaged_or_cleared_copy_and_a_changed_roster_are_put_right(
    tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        bench = GatewayBench(tmp_path, broker)
        message = bench.fleet.seal("thermo-1", ["hub", "phone"])
        async with bench.running(sweep=0.2):
            thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
            phone = await bench.device("phone")
            await thermo.send(message)
            copies = await hub.copy(message), await phone.copy(message)
            right = (await bench.retained(TOPICS.roster()))[TOPICS.roster()]
            bench.fleet.admit("mallory")
            mallory = await bench.device("mallory", TOPICS.roster())
            hub.received.clear()
            phone.received.clear()
            damaged = copies[0][:-1] + bytes([copies[0][-1] ^ 1])
            await mallory.publish(
                TOPICS.inbox("hub", "thermo-1", message.message_id), damaged, retain=True
            )
            await mallory.publish(
                TOPICS.inbox("phone", "thermo-1", message.message_id), b"", retain=True
            )
            await mallory.publish(TOPICS.roster(), b"another", retain=True)
            await hub.until(lambda m: m.payload == copies[0])
            await phone.until(lambda m: m.payload == copies[1])
            await mallory.until(lambda m: m.payload == b"another")
            await mallory.until(lambda m: not m.retain and m.payload == right)


async def test_a_copy_that_only_a_newer_roster_explains_is_left_until_it_comes(
    tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        bench = GatewayBench(tmp_path, broker)
        bench.fleet.admit("late")
        message = bench.fleet.seal("late", ["hub"])
        hub = await bench.device("hub")
        topic = TOPICS.inbox("hub", "late", message.message_id)
        await hub.publish(topic, message.copy("hub").encode(), retain=True)
        await hub.copy(message)
        async with bench.running():
            assert set(await bench.retained(INBOX)) == {topic}
            await hub.read(message)
            bench.write_bundle()
            late = await bench.device("late")
            watching = await bench.snooper(TOPICS.keys("late"))
            await watching.until(lambda m: m.payload)
            while EventKind.READ not in {
                event.kind
                for notice in await late.answer_to(bench.fleet.query("late", sent=[message]))
                for event in notice.events
            }:
                await hub.read(message)
            assert await bench.retained(INBOX) == {}


async def test_a_thousand_copies_come_back_also_where_replay_is_cut_short(
    tmp_path: Path, mosquitto: str
) -> None:
    limits = "max_queued_messages 100\nmax_inflight_messages 20\n"  # the last word counts
    with Mosquitto(tmp_path, program=mosquitto, extra=limits) as broker:
        bench = GatewayBench(tmp_path, broker)
        names = [f"reader-{number:03}" for number in range(700)]
        bench.fleet.admit(*names)
        bench.write_bundle()
        message = bench.fleet.seal("thermo-1", names)
        async with bench.running():
            thermo = await bench.device("thermo-1")
            await thermo.send(message)
            await thermo.told(EventKind.HELD, message)
        for path in bench.data.glob(f"{LEDGER_FILE}*"):
            path.unlink()
        async with bench.running(watch=0):
            (held,) = read_summaries(bench.data / LEDGER_FILE)
            assert len(held.owing) == len(names)


# ---------------------------------------------------------------------------- order of things


class HeldLedger(SqliteLedger):
    """A ledger whose commits wait for ever once a test wants it; all else is the real one."""

    hold = False
    asked = asyncio.Event()

    async def run(self, work: Callable[[Transaction], T]) -> T:
        if HeldLedger.hold:
            HeldLedger.asked.set()
            await asyncio.Event().wait()
        return await super().run(work)


async def test_what_was_not_committed_was_not_pubacked_so_the_broker_brings_it_again(
    tmp_path: Path, mosquitto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HeldLedger, "hold", False)
    monkeypatch.setattr(HeldLedger, "asked", asyncio.Event())
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        bench = GatewayBench(tmp_path, broker)
        message = bench.fleet.seal("thermo-1", ["hub"])
        with monkeypatch.context() as patch:
            patch.setattr("gateway.service.SqliteLedger", HeldLedger)
            async with bench.running(tick=1000):
                thermo, hub = await bench.device("thermo-1"), await bench.device("hub")
                HeldLedger.hold = True
                await thermo.send(message)
                async with asyncio.timeout(PATIENCE):
                    await HeldLedger.asked.wait()
                assert hub.received == []
        async with bench.running():
            hub = await bench.device("hub")
            await hub.copy(message)  # although its sender has not sent it again


# ---------------------------------------------------------------------------- one gateway


async def test_a_second_gateway_with_another_ledger_refuses_to_start(
    tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        bench = GatewayBench(tmp_path, broker)
        other = bench.make_gateway("gw-2")
        bench.write_bundle()
        async with bench.running(state_interval=0.2) as first:
            second = bench.gateway(data=other, watch=20)
            async with asyncio.timeout(PATIENCE):
                with pytest.raises(GatewayConflictError, match="gw-1"):
                    await second.run()
            assert not first.done()


async def test_after_a_silent_watch_a_dead_gateways_prefix_is_taken_over(
    tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        bench = GatewayBench(tmp_path, broker)
        other = bench.make_gateway("gw-2")
        bench.write_bundle()
        async with bench.running():
            pass
        bench.use(other, "gw-2")
        async with bench.running(watch=0.3):
            assert TOPICS.roster() in await bench.retained(TOPICS.all_of(Kind.ROSTER))


async def test_states_tell_online_and_offline(bench: GatewayBench) -> None:
    from device_sdk.wire import cose
    from device_sdk.wire.state import OFFLINE, ONLINE, State

    def status(data: bytes) -> str:
        state = cose.parse_signed(State, data)
        return state.verify(bench.identity.public, bench.fleet.pin.aad).status

    async with bench.running():
        state = await bench.snooper(TOPICS.state("gw-1"))
        assert status(await state.until(lambda m: m.payload)) == ONLINE
        if bench.mosquitto is None:
            return  # it ends with its gateway
        bench.keep(state)
    await state.until(lambda m: status(m.payload) == OFFLINE)
    await state.close()


# ---------------------------------------------------------------------------- bad starts


async def fails(bench: GatewayBench, kind: type[SealgateError], **options: object) -> str:
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(kind) as caught:
            await bench.gateway(**options).run()
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_password_that_is_no_text_is_refused_at_start(tmp_path: Path) -> None:
    bench = GatewayBench(tmp_path, None)
    bench.write_bundle()
    file = bench.data / "password"
    file.write_bytes(b"\xff\xfe\n")
    broker = "mqtt://gw-1@127.0.0.1:1"
    assert "UTF-8" in await fails(bench, SealgateError, broker=broker, password_file=file)


async def test_a_gateway_that_was_not_admitted_does_not_start(tmp_path: Path) -> None:
    bench = GatewayBench(tmp_path, None)
    del bench.fleet.entries["gw-1"]
    bench.write_bundle()
    assert "fleet admit" in await fails(bench, NotAdmittedError)


async def test_a_gateway_that_is_revoked_stops(tmp_path: Path) -> None:
    bench = GatewayBench(tmp_path, None)
    async with bench.running() as task:
        bench.fleet.revoke("gw-1")
        bench.write_bundle()
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(NotAdmittedError, match="revoked"):
                await task


async def test_another_owners_bundle_is_refused_at_start_and_ignored_later(
    tmp_path: Path,
) -> None:
    bench = GatewayBench(tmp_path, None)
    own, other = bench.fleet, Fleet()
    other.admit("stranger")
    async with bench.running():
        before = await bench.retained(TOPICS.roster())
        bench.fleet = other
        bench.write_bundle()
        bench.fleet = own
        hub = await bench.device("hub", TOPICS.roster())
        own.admit("late")
        bench.write_bundle()
        await hub.until(lambda m: not m.retain)
        assert hub.received[0].payload == before[TOPICS.roster()]
        assert len(hub.received) == 2
    bench.fleet = other
    bench.write_bundle()
    assert "another owner" in await fails(bench, BundleError)


async def test_a_gateway_without_its_bundle_goes_on_with_the_roster_it_knows(
    tmp_path: Path,
) -> None:
    bench = GatewayBench(tmp_path, None)
    assert "--bundle" in await fails(bench, BundleError, bundle=None)
    async with bench.running():
        pass
    async with bench.running(bundle=None):
        assert TOPICS.roster() in await bench.retained(TOPICS.roster())


async def test_an_older_roster_in_the_bundle_is_refused_and_the_newer_one_stays(
    tmp_path: Path,
) -> None:
    bench = GatewayBench(tmp_path, None)
    old = (bench.bundle / "roster").read_bytes()
    bench.write_bundle()
    async with bench.running():
        newer = await bench.retained(TOPICS.roster())
    (bench.bundle / "roster").write_bytes(old)
    async with bench.running():
        assert await bench.retained(TOPICS.roster()) == newer
