"""Sweeps: everything retained is met, judged, and put right."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from device_sdk.wire.key_statement import encode_key_list
from device_sdk.wire.limits import DAY
from device_sdk.wire.roster_page import encode_bundle, page_hash
from gateway import replay
from gateway.bundle import BundleWatch, Taken
from gateway.decide import Decision, decide
from gateway.link.port import Arrival
from gateway.parts import Parts
from gateway.reconcile import Sweeper
from tests.support.broker_double import BrokerDouble
from tests.support.envelopes import NOW, TOPICS, YEAR, Fleet, SealedMessage
from tests.unit.gateway.edges import Clocks, open_parts

MARKER, STATE = TOPICS.notice("gw-1"), TOPICS.state("gw-1")


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
async def parts(fleet: Fleet, tmp_path: Path, clocks: Clocks) -> AsyncIterator[Parts]:
    async with open_parts(fleet, tmp_path, clocks) as parts:
        yield parts


class Broker(BrokerDouble):
    """Replays what is retained to the sweeper, and its marker last unless told to drop it."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts = parts
        self.sweeper = Sweeper(self, parts.keeper, TOPICS, parts.deliverer, "gw-1")
        self.markers_dropped = 0
        self.most = 10_000
        """Messages of one replay, as its queue takes no more: the same ones every time."""
        self.asked: list[list[str]] = []
        """The filters of each question."""
        self._replaying: list[str] = []
        self.retained[STATE] = b"online"

    async def subscribe(self, filters: Sequence[str]) -> None:
        await super().subscribe(filters)
        self.asked.append(list(filters))
        # In the order of the filters, as brokers do it.
        for one in filters:
            found = [topic for topic, data in self.retained.items() if data and _fits(topic, one)]
            self._replaying += found[: self.most - len(self._replaying)]

    async def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expiry: int | None = None
    ) -> None:
        await super().publish(topic, payload, retain=retain, expiry=expiry)
        if topic != MARKER:
            return
        if self.markers_dropped:
            self.markers_dropped -= 1
            return
        replaying, self._replaying = self._replaying, []
        for one in replaying:
            if one == STATE:
                self.sweeper.replays.note_state()
            else:
                arrival = Arrival(topic=one, payload=self.retained[one], retained=True)
                await self._replay(arrival)
        self.sweeper.replays.note_marker(payload)

    async def _replay(self, arrival: Arrival) -> None:
        keeper = self._parts.keeper
        decision: Decision = await keeper.write(
            lambda tx: decide(tx, arrival, TOPICS, keeper.situation)
        )
        self.sweeper.note_retained(arrival, decision)
        self._parts.carry_out(decision.effects)
        self._parts.deliverer.visit(decision.visit)


def _fits(topic: str, topic_filter: str) -> bool:
    levels, wanted = topic.split("/"), topic_filter.split("/")
    if wanted[-1] == "#":
        wanted.pop()
        levels = levels[: len(wanted)]
    fits = (one in (level, "+") for level, one in zip(levels, wanted, strict=False))
    return len(levels) == len(wanted) and all(fits)


@pytest.fixture
async def broker(parts: Parts) -> AsyncIterator[Broker]:
    broker = Broker(parts)
    running = asyncio.ensure_future(parts.deliverer.run(broker))
    yield broker
    running.cancel()
    await asyncio.wait([running])


def inbox(message: SealedMessage, reader: str) -> str:
    return TOPICS.inbox(reader, message.sender, message.message_id)


async def settled(parts: Parts) -> None:
    """Wait for every visit asked for so far."""
    await parts.deliverer.visit([TOPICS.query("hub")]).wait()
    await parts.deliverer.visit([TOPICS.query("hub")]).wait()


async def test_an_empty_broker_gets_roster_pages_keys_and_the_head_after_its_pages(
    parts: Parts, broker: Broker
) -> None:
    await broker.sweeper.sweep()
    await settled(parts)
    topics = [topic for topic, _ in broker.published if topic != MARKER]
    roster = parts.keeper.roster
    pages = [TOPICS.roster_page(digest) for digest in roster.head.head.page_hashes]
    assert {*pages, TOPICS.roster(), *map(TOPICS.keys, ("thermo", "hub"))} <= set(topics)
    assert topics.index(pages[0]) < topics.index(TOPICS.roster())
    assert broker.retained[TOPICS.roster()] == roster.head.data


async def test_what_is_right_is_not_published_again(parts: Parts, broker: Broker) -> None:
    await broker.sweeper.sweep()
    await settled(parts)
    broker.published.clear()
    await broker.sweeper.sweep()
    await settled(parts)
    assert {topic for topic, _ in broker.published} == {MARKER, TOPICS.query("hub")}


async def test_a_marker_that_the_broker_dropped_is_sent_again(
    parts: Parts, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "_MARKER_SECONDS", 0.01)
    broker.markers_dropped = 3
    await broker.sweeper.sweep(just_subscribed=True)
    assert [topic for topic, _ in broker.published].count(MARKER) >= 4
    assert set(broker.subscribed) == {MARKER}


async def test_a_marker_that_the_broker_refused_is_sent_again(
    parts: Parts, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "_MARKER_SECONDS", 0.01)
    broker.refusals = 2
    await broker.sweeper.sweep(just_subscribed=True)
    assert set(broker.subscribed) == {MARKER}


async def test_wrong_and_stale_trust_is_put_right(
    fleet: Fleet, parts: Parts, broker: Broker
) -> None:
    fleet.admit("stranger")
    other, pages = Fleet().signed_roster()
    broker.retained |= {
        TOPICS.roster(): other,
        TOPICS.roster_page(bytes(32)): pages[0],
        TOPICS.keys("hub"): b"nonsense",
        TOPICS.keys("nobody"): b"nonsense",
    }
    await broker.sweeper.sweep()
    await settled(parts)
    assert broker.retained[TOPICS.roster()] == parts.keeper.roster.head.data
    assert broker.retained[TOPICS.roster_page(bytes(32))] == b""
    assert fleet.members["hub"].statement in broker.retained[TOPICS.keys("hub")]
    assert broker.retained[TOPICS.keys("nobody")] == b""


async def test_keys_of_a_device_that_only_a_newer_roster_lists_are_left(
    fleet: Fleet, parts: Parts, broker: Broker
) -> None:
    late = encode_key_list([fleet.admit("late").statement])
    broker.retained |= {TOPICS.keys("late"): late}
    await broker.sweeper.sweep()
    await settled(parts)
    assert broker.retained[TOPICS.keys("late")] == late


async def test_a_newer_roster_of_our_owner_at_the_broker_is_not_rolled_back(
    fleet: Fleet, parts: Parts, broker: Broker
) -> None:
    fleet.admit("late")
    head, pages = fleet.signed_roster()
    newer = {TOPICS.roster(): head, TOPICS.roster_page(page_hash(pages[0])): pages[0]}
    broker.retained |= dict(newer)
    await broker.sweeper.sweep()
    await settled(parts)
    assert {topic: broker.retained[topic] for topic in newer} == newer


class OneLook(BundleWatch):
    """Looks at the bundle once."""

    async def changes(self, poll: float) -> AsyncIterator[Taken]:
        yield await self.take()


async def test_a_bundle_that_is_newer_but_older_than_the_brokers_roster_rolls_nothing_back(
    fleet: Fleet, parts: Parts, broker: Broker, tmp_path: Path
) -> None:
    bundle = tmp_path / "public"
    bundle.mkdir()
    (bundle / "root.pub").write_bytes(fleet.pin.to_pem())
    rosters = [fleet.signed_roster() for _ in range(2)]
    head, pages = rosters[-1]
    newest = {TOPICS.roster(): head, TOPICS.roster_page(page_hash(pages[0])): pages[0]}
    broker.retained |= dict(newest)
    await broker.sweeper.sweep()
    parts.keeper.end_reconcile()
    for roster in rosters:
        (bundle / "roster").write_bytes(encode_bundle(*roster))
        await parts.follow(OneLook(bundle, parts.keeper), 0)
        await settled(parts)
        assert {topic: broker.retained[topic] for topic in newest} == newest
    assert parts.keeper.roster.head.data == head


async def test_what_nobody_can_judge_is_cleared_after_the_longest_lifetime_at_the_latest(
    parts: Parts, broker: Broker, clocks: Clocks
) -> None:
    stranger = Fleet()
    stranger.admit("nobody", "hub")
    planted = stranger.seal("nobody", ["hub"], expires=NOW + 10 * YEAR)
    topic = inbox(planted, "hub")
    broker.retained |= {topic: planted.copy("hub").encode()}
    for _ in range(3):  # each sweep meets it again
        await broker.sweeper.sweep()
        broker.sweeper.clear_overdue()
        await settled(parts)
        assert broker.retained[topic]
        clocks.now += 14 * DAY
        clocks.uptime += 14 * DAY
        await parts.keeper.tick()
    broker.sweeper.clear_overdue()
    await settled(parts)
    assert broker.retained[topic] == b""


async def test_a_lost_connection_gives_nobody_more_time(parts: Parts, broker: Broker) -> None:
    topic = TOPICS.inbox("hub", "nobody", bytes(16))
    arrival = Arrival(topic=topic, payload=b"x", retained=True)
    parts.begin(broker).sweeper.note_retained(arrival, Decision(left=NOW))
    parts.end()
    sweeper = parts.begin(broker).sweeper
    sweeper.note_retained(arrival, Decision(left=NOW + DAY))
    broker.retained |= {topic: b"x"}
    sweeper.clear_overdue()
    await settled(parts)
    assert broker.retained[topic] == b""


async def test_a_copy_that_nobody_can_judge_is_cleared_at_its_expiry(
    fleet: Fleet, parts: Parts, broker: Broker, clocks: Clocks
) -> None:
    fleet.admit("late")
    message = fleet.seal("late", ["hub"], expires=NOW + 3600)
    copy = message.copy("hub").encode()
    broker.retained |= {inbox(message, "hub"): copy}
    await broker.sweeper.sweep()
    broker.sweeper.clear_overdue()
    await settled(parts)
    assert broker.retained[inbox(message, "hub")] == copy
    clocks.now += 3601
    clocks.uptime += 3601
    await parts.keeper.tick()
    broker.sweeper.clear_overdue()
    await settled(parts)
    assert broker.retained[inbox(message, "hub")] == b""


async def test_what_a_broker_brings_from_outside_the_prefix_is_left_alone(
    parts: Parts, broker: Broker
) -> None:
    foreign = {"other/application/settings": b"theirs", "sealgate/1/send/+/x": b"?", "": b"?"}
    broker.retained |= dict(foreign)
    await broker.sweeper.sweep()
    await settled(parts)
    assert {topic: broker.retained[topic] for topic in foreign} == foreign
