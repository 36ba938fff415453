"""What a client of the embedded broker is owed, in which order, and for whom others wait."""

import pytest

from gateway.access import Client, Role
from gateway.embedded.packets import Message, decode
from gateway.embedded.retained import Retained
from gateway.embedded.session import Session


class QuietLink:
    """A connection that only notes what the session asks of it (implements session.Link)."""

    def __init__(self) -> None:
        self.held_for: set[object] = set()

    def wake(self) -> None:
        pass

    def hold(self, why: object) -> None:
        self.held_for.add(why)

    def release(self, why: object) -> None:
        self.held_for.discard(why)

    def end(self, reason: str) -> None:
        pass


def _message(topic: str, payload: bytes = b"x") -> Message:
    return Message(topic=topic, payload=payload, qos=1, retain=True)


def _session(
    retained: Retained, *, role: Role = Role.DEVICE, allowed: str = "", clean: bool = True
) -> Session:
    client = Client(name="hub", role=role)
    session = Session(
        client, "hub", clean=clean, retained=retained, receives=lambda t: t.startswith(allowed)
    )
    session.attach(QuietLink())
    return session


def _taken(session: Session) -> list[tuple[str, bool]]:
    frames = iter(session.take, None)
    return [(packet.topic_name, packet.retain_flag) for packet in map(decode, frames)]


def test_what_a_client_may_not_receive_is_sent_neither_live_nor_retained() -> None:
    retained = Retained()
    retained.keep(_message("mine/1"))
    retained.keep(_message("yours/1"))
    session = _session(retained, allowed="mine/")
    session.replay([("mine/1", 1), ("yours/1", 1)])
    session.enqueue(_message("yours/2"), 1)
    session.enqueue(_message("mine/2"), 1)
    assert _taken(session) == [("mine/1", True), ("mine/2", False)]


def test_a_message_cleared_before_its_replay_is_not_replayed() -> None:
    retained = Retained()
    retained.keep(_message("a"))
    retained.keep(_message("b"))
    session = _session(retained)
    session.replay([("a", 1), ("b", 1)])
    retained.clear("a")
    assert _taken(session) == [("b", True)]


def test_no_more_is_in_flight_than_allowed_and_each_puback_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.embedded.session.MAX_IN_FLIGHT", 2)
    session = _session(Retained())
    for topic in "abcd":
        session.enqueue(_message(topic), 1)
    assert _taken(session) == [("a", False), ("b", False)]
    session.puback(77)  # never sent
    assert _taken(session) == []
    session.puback(1)
    assert _taken(session) == [("c", False)]


def test_packet_ids_in_flight_are_not_given_again() -> None:
    session = _session(Retained())
    session.enqueue(_message("slow"), 1)
    slow = decode(session.take() or b"").packet_id
    session._last_id = 65_533
    ids = []
    for _ in range(4):
        session.enqueue(_message("fast"), 1)
        ids.append(decode(session.take() or b"").packet_id)
    assert slow == 1
    assert ids == [65_534, 65_535, 2, 3]


def test_a_full_gateway_holds_a_publisher_until_a_quarter_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.embedded.session.GATEWAY_FULL", 8)
    session = _session(Retained(), role=Role.GATEWAY)
    publisher = QuietLink()
    for _ in range(9):
        assert not publisher.held_for
        session.enqueue(_message("a"), 1)
        session.slow_down(publisher)
    assert publisher.held_for == {session}
    assert not session.overflows
    for _ in range(6):
        session.take()
        assert publisher.held_for == {session}
    session.take()
    assert not publisher.held_for


def test_a_publisher_is_let_go_when_the_gateway_it_waits_for_disconnects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.embedded.session.GATEWAY_FULL", 0)
    session = _session(Retained(), role=Role.GATEWAY)
    publisher = QuietLink()
    session.enqueue(_message("a"), 1)
    session.slow_down(publisher)
    assert publisher.held_for
    session.detach()
    assert not publisher.held_for


def test_an_absent_client_is_owed_live_messages_of_qos_1_and_no_replays() -> None:
    retained = Retained()
    retained.keep(_message("kept"))
    session = _session(retained, clean=False)
    session.enqueue(_message("sent"), 1)
    assert _taken(session) == [("sent", False)]
    session.replay([("kept", 1)])
    session.detach()
    session.enqueue(_message("dropped"), 0)
    session.enqueue(_message("owed"), 1)
    session.attach(QuietLink())
    assert _taken(session) == [("sent", False), ("owed", False)]
