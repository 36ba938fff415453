"""Questions about anonymous messages: when they are asked, and of what."""

from device_sdk.unnamed import ASK, AT_ONCE, Unnamed
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


def test_what_was_held_before_is_asked_about_at_every_connection_and_then_later_and_later() -> None:
    unnamed, messages = Unnamed(Topics()), held(1, 2)
    assert asked(unnamed, messages) == list(messages)
    assert not unnamed.is_answered
    unnamed.heard(messages)
    assert unnamed.is_answered
    assert asked(unnamed, messages, TICK + ASK.first - 1) == []
    assert unnamed.next_due() == TICK + ASK.first
    assert asked(unnamed, messages, TICK + ASK.first) == list(messages)
    assert asked(unnamed, messages, TICK + 2 * ASK.first) == []
    unnamed.retry_now()
    assert asked(unnamed, messages, TICK + 2 * ASK.first) == list(messages)


def test_what_is_held_since_is_not_asked_about_at_once() -> None:
    unnamed = Unnamed(Topics())
    assert asked(unnamed, {}) == []
    assert asked(unnamed, held(1)) == []
    assert asked(unnamed, held(1), TICK + ASK.first) == list(held(1))


def test_what_is_over_is_not_asked_about() -> None:
    unnamed = Unnamed(Topics())
    asked(unnamed, held(1, 2))
    assert asked(unnamed, held(2), TICK + ASK.first) == list(held(2))
    unnamed.heard(held(2))
    assert unnamed.is_answered


def test_each_question_takes_a_connection_so_only_some_are_asked_at_once() -> None:
    unnamed, messages = Unnamed(Topics()), held(*range(AT_ONCE + 3))
    first, second = asked(unnamed, messages), asked(unnamed, messages)
    assert (len(first), len(second)) == (AT_ONCE, 3)
    assert not set(first) & set(second)
