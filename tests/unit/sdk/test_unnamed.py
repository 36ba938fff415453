"""Questions about anonymous messages: when they are asked, and of what."""

from device_sdk.anonymous.unnamed import LATEST, SOONEST, Unnamed
from device_sdk.wire.query import AnonymousQuery
from device_sdk.wire.topics import Topics

TICK = 100.0


def held(*numbers: int) -> dict[bytes, bytes]:
    return {bytes([number]) * 16: bytes([number]) * 32 for number in numbers}


def asked(unnamed: Unnamed, messages: dict[bytes, bytes], tick: float = TICK) -> list[bytes]:
    publishes = unnamed.due(messages, tick)
    assert all(one.apart and one.topic == "sealgate/1/query/anonymous" for one in publishes)
    queries = [AnonymousQuery.decode(one.payload) for one in publishes]
    assert all(messages[query.message_id] == query.digest for query in queries)
    return [query.message_id for query in queries]


def test_each_message_is_asked_about_at_a_time_of_its_own_and_again_at_another() -> None:
    drawn = iter([70.0, 500.0, 1000.0, 2000.0, 3000.0])
    unnamed, messages = Unnamed(Topics(), lambda *_: next(drawn)), held(1, 2)
    first, second = messages
    assert asked(unnamed, messages) == []
    assert unnamed.next_due() == TICK + 70
    assert asked(unnamed, messages, TICK + 69) == []
    assert asked(unnamed, messages, TICK + 70) == [first]
    assert asked(unnamed, messages, TICK + 70) == []
    assert asked(unnamed, messages, TICK + 500) == [second]
    assert unnamed.next_due() == TICK + 70 + 1000


def test_what_became_due_together_is_not_asked_about_together() -> None:
    drawn = iter([60.0, 61.0, 62.0, 100.0, 200.0, 300.0])
    unnamed, messages = Unnamed(Topics(), lambda *_: next(drawn)), held(1, 2, 3)
    asked(unnamed, messages)
    awake = TICK + 5000
    assert len(asked(unnamed, messages, awake)) == 1
    assert asked(unnamed, messages, awake) == []
    assert unnamed.next_due() == awake + 100


def test_times_are_drawn_from_a_minute_to_an_hour() -> None:
    bounds: list[tuple[float, float]] = []

    def draw(least: float, most: float) -> float:
        bounds.append((least, most))
        return least

    unnamed = Unnamed(Topics(), draw)
    asked(unnamed, held(1))
    assert bounds == [(SOONEST, LATEST)] == [(60.0, 3600.0)]


def test_what_is_over_is_not_asked_about() -> None:
    unnamed = Unnamed(Topics())
    asked(unnamed, held(1))
    assert asked(unnamed, {}, TICK + LATEST) == []
    assert unnamed.next_due() is None
