"""Retained messages are found by filter as MQTT 3.1.1, section 4.7, says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.embedded.packets import Message
from gateway.embedded.retained import Retained


def _message(topic: str, payload: bytes = b"x") -> Message:
    return Message(topic=topic, payload=payload, qos=1, retain=True)


def _holding(*topics: str) -> Retained:
    retained = Retained()
    for topic in topics:
        retained.keep(_message(topic))
    return retained


@pytest.mark.parametrize(
    ("topic_filter", "topics"),
    [
        ("#", ["a", "a/b", "a/b/c", "a//c", "b"]),
        ("a", ["a"]),
        ("a/#", ["a", "a/b", "a/b/c", "a//c"]),
        ("a/+", ["a/b"]),
        ("+", ["a", "b"]),
        ("+/+/c", ["a/b/c", "a//c"]),
        ("a/+/+", ["a/b/c", "a//c"]),
        ("a/b/c/#", ["a/b/c"]),
        ("c", []),
        ("a/c/#", []),
    ],
)
def test_a_filter_finds_the_topics_it_matches(topic_filter: str, topics: list[str]) -> None:
    retained = _holding("a", "a/b", "a/b/c", "a//c", "b")
    found = [message.topic for message in retained.matching(topic_filter)]
    assert sorted(found) == sorted(topics)


def test_a_newer_message_takes_the_place_of_the_older() -> None:
    retained = _holding("a/b")
    retained.keep(_message("a/b", b"new"))
    assert len(retained) == 1
    message = retained.get("a/b")
    assert message is not None
    assert message.payload == b"new"


_topics = st.lists(st.sampled_from(["a", "b", ""]), min_size=1, max_size=4).map("/".join)


@given(st.lists(st.tuples(st.booleans(), _topics), max_size=30))
def test_keeping_and_clearing_leaves_exactly_what_was_kept(steps: list[tuple[bool, str]]) -> None:
    retained, expected = Retained(), set()
    for keep, topic in steps:
        if keep:
            retained.keep(_message(topic))
            expected.add(topic)
        else:
            retained.clear(topic)
            expected.discard(topic)
    assert {message.topic for message in retained.matching("#")} == expected
    assert len(retained) == len(expected)
    for topic in expected:
        retained.clear(topic)
    assert not retained._root.children  # nothing is left behind of cleared topics
