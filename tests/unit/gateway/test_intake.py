"""The main loop where the broker lets it down."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.decide import Decision
from gateway.intake import Intake
from gateway.link.port import Arrival, LinkLostError
from tests.support.broker_double import BrokerDouble
from tests.support.envelopes import TOPICS, Fleet
from tests.unit.gateway.edges import open_parts


class BreakingAtPuback(BrokerDouble):
    """A connection that turns out to be lost when the first PUBACK is due."""

    def ack(self, arrivals: Sequence[Arrival]) -> None:
        raise LinkLostError("the test wants it")


class Recorder:
    """Implements `gateway.intake.Sorting`: remembers what it is given."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []

    def on_state(self, arrival: Arrival) -> None:
        raise AssertionError(arrival.topic)

    def on_log_head(self, arrival: Arrival) -> None:
        raise AssertionError(arrival.topic)

    def on_token_keys(self, arrival: Arrival) -> None:
        raise AssertionError("nobody publishes any")

    def on_marker(self, arrival: Arrival) -> None:
        raise AssertionError(arrival.topic)

    def on_decision(self, arrival: Arrival, decision: Decision) -> None:
        self.decisions.append(decision)


async def test_what_a_committed_read_ack_asks_for_is_done_although_its_puback_is_lost(
    fleet: Fleet, tmp_path: Path
) -> None:
    message = fleet.seal("thermo", ["hub"])
    read = TOPICS.read("hub", "thermo", message.message_id)
    sorting = Recorder()
    async with open_parts(fleet, tmp_path) as parts:
        for topic, payload in (
            (message.topic, message.data),
            (read, fleet.read_ack(message, "hub")),
        ):
            broker = BreakingAtPuback()
            await broker.arrivals.put(
                Arrival(topic=topic, payload=payload, retained=False, token=1)
            )
            with pytest.raises(LinkLostError):
                await Intake(broker, parts.keeper, TOPICS, "marker", sorting).run()
    held, acked = (decision.effects for decision in sorting.decisions)
    assert held.publish
    assert acked.erase
