"""Being the only gateway under a prefix."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from device_sdk.wire import cose
from device_sdk.wire.state import OFFLINE, ONLINE, PAUSED, State
from gateway.hold import take_in
from gateway.link.port import Arrival
from gateway.parts import Parts
from gateway.presence import GatewayConflictError
from tests.support.broker_double import BrokerDouble
from tests.support.envelopes import NOW, TOPICS, Fleet
from tests.unit.gateway.edges import Clocks, gateway_identity, open_parts

OTHER = TOPICS.state("gw-2")


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
async def parts(fleet: Fleet, tmp_path: Path, clocks: Clocks) -> AsyncIterator[Parts]:
    gateway_identity(fleet, "gw-2")
    async with open_parts(fleet, tmp_path, clocks) as parts:
        yield parts


def state(
    fleet: Fleet,
    name: str = "gw-2",
    *,
    ledger: bytes = bytes(16),
    time: int = NOW,
    status: str = ONLINE,
    signer: str = "",
) -> bytes:
    record = State(
        gateway=name,
        ledger_id=ledger,
        instance=bytes(16),
        status=status,
        time=time,
        roster_version=1,
        software="sealgate",
        max_payload=1,
        max_readers=1,
        max_lifetime=1,
    )
    return cose.sign(record, fleet.members[signer or name].identity, fleet.pin.aad)


def opened(fleet: Fleet, data: bytes) -> State:
    key = gateway_identity(fleet).public
    return cose.parse_signed(State, data).verify(key, fleet.pin.aad)


async def test_another_instance_whose_time_advances_stops_us(fleet: Fleet, parts: Parts) -> None:
    parts.presence.note(OTHER, state(fleet))
    parts.presence.note(OTHER, state(fleet))  # the same again is only a replay
    with pytest.raises(GatewayConflictError, match="gw-2"):
        parts.presence.note(OTHER, state(fleet, time=NOW + 1))


async def test_states_that_waited_in_our_session_stop_nobody_but_what_follows_them_does(
    fleet: Fleet, parts: Parts
) -> None:
    parts.presence.note(OTHER, state(fleet, status=OFFLINE))  # a will, signed long before the end
    for time in (NOW + 60, NOW + 30):
        parts.presence.note(OTHER, state(fleet, time=time), backlog=True)
    parts.presence.note(OTHER, state(fleet, time=NOW + 60))
    with pytest.raises(GatewayConflictError, match="gw-2"):
        parts.presence.note(OTHER, state(fleet, time=NOW + 61))


async def test_a_goodbye_or_last_will_is_no_sign_of_life(fleet: Fleet, parts: Parts) -> None:
    parts.presence.note(OTHER, state(fleet))
    assert parts.presence.note(OTHER, state(fleet, time=NOW + 1, status=OFFLINE))


async def test_a_state_that_nobody_vouches_for_stops_nobody(fleet: Fleet, parts: Parts) -> None:
    for time in (NOW, NOW + 1):
        forged = state(fleet, time=time, signer="thermo")
        device = state(fleet, "thermo", time=time)
        crossed = state(fleet, "gw-1", time=time)
        assert parts.presence.note(OTHER, forged)
        assert parts.presence.note(TOPICS.state("thermo"), device)
        assert parts.presence.note(OTHER, crossed)
    assert not parts.presence.note(OTHER, b"nonsense")
    assert not parts.presence.note(f"{OTHER}/deeper", state(fleet))


async def test_our_own_states_are_no_conflict(fleet: Fleet, parts: Parts, clocks: Clocks) -> None:
    broker = BrokerDouble()
    for _ in range(3):
        await parts.presence.say_goodbye(broker)
        clocks.now += 30
        parts.presence.note(*broker.published[-1])
    assert [opened(fleet, data).time for _, data in broker.published] == [
        NOW,
        NOW + 30,
        NOW + 60,
    ]


async def test_the_state_is_published_at_once_and_whenever_it_changes(
    fleet: Fleet, parts: Parts, clocks: Clocks
) -> None:
    broker = BrokerDouble()
    running = asyncio.ensure_future(parts.presence.run(broker, 3600))
    await broker.until(1)
    clocks.now += 400 * 24 * 3600  # as after a flat battery
    message = fleet.seal("thermo", ["hub"])
    await parts.keeper.write(
        lambda tx: take_in(tx, TOPICS.parse(message.topic), message.data, parts.keeper.situation)
    )
    await parts.keeper.tick()
    published = await broker.until(2)
    assert [opened(fleet, data).status for _, data in published] == [ONLINE, PAUSED]
    running.cancel()
    assert opened(fleet, parts.presence.will().payload).status == OFFLINE


async def test_a_state_that_the_broker_refused_is_followed_by_the_next(
    fleet: Fleet, parts: Parts
) -> None:
    broker = BrokerDouble()
    broker.refusals = 1
    running = asyncio.ensure_future(parts.presence.run(broker, 0.01))
    ((_, data),) = (await broker.until(1))[:1]
    assert opened(fleet, data).status == ONLINE
    running.cancel()


# ---------------------------------------------------------------------------- before it starts


async def start(parts: Parts, broker: BrokerDouble, *standing: bytes, seconds: float) -> None:
    for data in standing:
        name = cose.parse_signed(State, data).claims.gateway
        broker.arrivals.put_nowait(
            Arrival(topic=TOPICS.state(name), payload=data, retained=True, token=1)
        )
    waiting = asyncio.ensure_future(parts.presence.await_free_prefix(broker, seconds))
    ((topic, marker),) = await broker.until(1)
    broker.arrivals.put_nowait(Arrival(topic=topic, payload=marker, retained=False, token=2))
    await waiting


async def test_a_free_prefix_is_taken_at_once(parts: Parts) -> None:
    broker = BrokerDouble()
    await start(parts, broker, seconds=3600)
    assert len(broker.pubacked) == 1


async def test_our_own_ledgers_prefix_is_taken_at_once_whoever_else_was_here(
    fleet: Fleet, parts: Parts
) -> None:
    ledger = await parts.keeper.read(lambda tx: tx.ledger_id())
    own = state(fleet, "gw-1", ledger=ledger)
    await start(parts, BrokerDouble(), state(fleet), own, seconds=3600)
    assert parts.presence.left_behind() == []


async def test_a_dead_gateways_prefix_is_taken_after_the_watch_and_its_state_cleared(
    fleet: Fleet, parts: Parts
) -> None:
    await start(parts, BrokerDouble(), state(fleet), seconds=0.01)
    assert parts.presence.left_behind() == [OTHER]
    assert parts.presence.left_behind() == []


async def test_a_living_gateways_prefix_is_left_alone(fleet: Fleet, parts: Parts) -> None:
    broker = BrokerDouble()
    starting = asyncio.ensure_future(start(parts, broker, state(fleet), seconds=3600))
    await broker.until(1)
    later = state(fleet, time=NOW + 30)
    broker.arrivals.put_nowait(Arrival(topic=OTHER, payload=later, retained=False, token=3))
    with pytest.raises(GatewayConflictError):
        await starting
