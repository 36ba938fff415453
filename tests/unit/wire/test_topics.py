"""Topics: everything that is built is parsed, and nothing else is."""

import pytest

from device_sdk.wire.errors import TopicError
from device_sdk.wire.topics import FROM_DEVICES, Kind, Topic, Topics

ID, HASH = bytes(range(16)), bytes(range(32))


@pytest.mark.parametrize("prefix", ["sealgate/1", "home", "a/b/c"])
def test_every_topic_that_is_built_is_taken_apart_again(prefix: str) -> None:
    topics = Topics(prefix)
    built = {
        topics.send("a", ID): Topic(kind=Kind.SEND, owner="a", message_id=ID),
        topics.inbox("b", "a", ID): Topic(kind=Kind.INBOX, owner="b", sender="a", message_id=ID),
        topics.read("b", "a", ID): Topic(kind=Kind.READ, owner="b", sender="a", message_id=ID),
        topics.notice("a"): Topic(kind=Kind.NOTICE, owner="a"),
        topics.query("a"): Topic(kind=Kind.QUERY, owner="a"),
        topics.seen("a"): Topic(kind=Kind.SEEN, owner="a"),
        topics.announce("a"): Topic(kind=Kind.ANNOUNCE, owner="a"),
        topics.join("a"): Topic(kind=Kind.JOIN, owner="a"),
        topics.cert("a"): Topic(kind=Kind.CERT, owner="a"),
        topics.keys("a"): Topic(kind=Kind.KEYS, owner="a"),
        topics.roster(): Topic(kind=Kind.ROSTER),
        topics.roster_page(HASH): Topic(kind=Kind.ROSTER, page_hash=HASH),
        topics.state("gw"): Topic(kind=Kind.STATE, owner="gw"),
        topics.log("gw"): Topic(kind=Kind.LOG, owner="gw"),
        topics.prove("a"): Topic(kind=Kind.PROVE, owner="a"),
        topics.proof("a"): Topic(kind=Kind.PROOF, owner="a"),
        topics.tokens("gw"): Topic(kind=Kind.TOKENS, owner="gw"),
        topics.blind("a"): Topic(kind=Kind.BLIND, owner="a"),
        topics.issue("a"): Topic(kind=Kind.ISSUE, owner="a"),
    }
    assert {topic.kind for topic in built.values()} == set(Kind)
    for text, topic in built.items():
        assert topics.parse(text) == topic
        assert text.startswith(topics.all_of(topic.kind).removesuffix("/#"))


def test_what_devices_publish_is_never_what_others_subscribe_to() -> None:
    sent = {Kind.SEND, Kind.READ, Kind.ANNOUNCE, Kind.QUERY, Kind.SEEN, Kind.PROVE, Kind.JOIN}
    assert set(FROM_DEVICES) == sent | {Kind.BLIND}
    assert Topics().inbox_of("hub") == "sealgate/1/inbox/hub/+/+"


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "sealgate/1",
        "sealgate/1/",
        "sealgate/1/other/a",
        "sealgate/2/notice/a",
        "sealgate/1/notice",
        "sealgate/1/notice/",
        "sealgate/1/notice/a/b",
        "sealgate/1/notice/A",
        "sealgate/1/notice/a+",
        "sealgate/1/notice/#",
        "sealgate/1/notice/" + "a" * 65,
        "/sealgate/1/notice/a",
        "x/sealgate/1/notice/a",
        f"sealgate/1/send/a/{ID.hex().upper()}",
        f"sealgate/1/send/a/{ID.hex()}00",
        f"sealgate/1/send/a/{ID.hex()[:-1]}",
        f"sealgate/1/send/a/{ID.hex()[:-1]}g",
        f"sealgate/1/inbox/a/{ID.hex()}",
        f"sealgate/1/inbox/a/b/{ID.hex()}/c",
        f"sealgate/1/inbox//b/{ID.hex()}",
        f"sealgate/1/read/a/\u0430/{ID.hex()}",
        f"sealgate/1/roster/{HASH.hex()[:-2]}",
        f"sealgate/1/roster/{HASH.hex().upper()}",
        f"sealgate/1/roster/{HASH.hex()}/a",
        "sealgate/1/roster/",
    ],
)
def test_any_other_topic_is_refused(topic: str) -> None:
    with pytest.raises(TopicError):
        Topics().parse(topic)


def test_nothing_is_published_outside_the_prefix_or_to_a_filter() -> None:
    topics = Topics()
    assert topics.may_stand("sealgate/1/left/here/by/somebody")
    for topic in ("", "sealgate/1", "other/settings", "sealgate/1/send/+/x", "sealgate/1/#"):
        assert not topics.may_stand(topic)
