"""The table of who may do what: what it grants, and that it grants nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access import Action, Client, Role, check_prefix, may

THERMO = Client(name="thermo-1", role=Role.DEVICE)
GATEWAY = Client(name="gw-1", role=Role.GATEWAY)
OPERATOR = Client(name="operator", role=Role.OPERATOR)
ID = "0f" * 16


@pytest.mark.parametrize(
    "topic",
    [
        f"send/thermo-1/{ID}",
        f"read/thermo-1/hub/{ID}",
        "query/thermo-1",
        "seen/thermo-1",
        "announce/thermo-1",
        "prove/thermo-1",
    ],
)
def test_a_device_publishes_on_its_own_topics_only(topic: str) -> None:
    assert may(THERMO, "publish", f"sealgate/1/{topic}")
    others = f"sealgate/1/{topic}".replace("thermo-1", "thermo-2")
    assert not may(THERMO, "publish", others)
    assert not may(THERMO, "subscribe", f"sealgate/1/{topic}")
    assert not may(THERMO, "publish", f"other/1/{topic}")
    assert not may(THERMO, "publish", f"sealgate/1/{topic}/more")


@pytest.mark.parametrize(
    "topic",
    [
        f"inbox/thermo-1/hub/{ID}",
        "notice/thermo-1",
        "keys/hub",
        "roster",
        "roster/0a0a",
        "state/gw-1",
        "log/gw-1",
        "proof/thermo-1",
    ],
)
def test_a_device_reads_what_is_meant_for_it_and_for_all_and_publishes_none_of_it(
    topic: str,
) -> None:
    assert may(THERMO, "receive", f"sealgate/1/{topic}")
    assert may(THERMO, "subscribe", f"sealgate/1/{topic}")
    assert not may(THERMO, "publish", f"sealgate/1/{topic}")


@pytest.mark.parametrize(
    "topic_filter",
    ["inbox/thermo-1/#", "inbox/thermo-1/+/+", "inbox/thermo-1/hub/+", "keys/+", "roster/+"],
)
def test_a_filter_is_granted_when_one_rule_covers_all_it_matches(topic_filter: str) -> None:
    assert may(THERMO, "subscribe", f"sealgate/1/{topic_filter}")


@pytest.mark.parametrize(
    "topic_filter",
    [
        "#",
        "+/#",
        "+",
        "$SYS/#",
        "sealgate/1/#",
        "sealgate/#",
        "sealgate/+/inbox/thermo-1/#",
        "+/1/inbox/thermo-1/#",
        "sealgate/1/+/thermo-1/#",
        "sealgate/1/inbox/#",
        "sealgate/1/inbox/+/#",
        "sealgate/1/inbox/+/hub/+",
        "sealgate/1/inbox/hub/#",
        "sealgate/1/notice/+",
        "sealgate/1/notice/thermo-1/#",
        "sealgate/1/keys/#",
        "sealgate/1/keys/hub/+",
        "sealgate/1/roster/#",
        "sealgate/1/send/thermo-1/+",
        "$share/group/sealgate/1/inbox/thermo-1/#",
    ],
)
def test_a_filter_that_could_match_anything_else_is_refused(topic_filter: str) -> None:
    assert not may(THERMO, "subscribe", topic_filter)


@pytest.mark.parametrize("client", [THERMO, GATEWAY, OPERATOR])
@pytest.mark.parametrize(
    "malformed",
    [
        "",
        "sealgate/1/#/x",
        "sealgate/1/inbox/thermo-1/#/",
        "sealgate/1/inbox/thermo-1/x#",
        "sealgate/1/inbox/thermo-1/x+",
        "sealgate/1/keys/\0",
        "/".join("x" * 40),
        "x" * 65_536,
    ],
)
def test_a_malformed_filter_is_refused_to_everyone(client: Client, malformed: str) -> None:
    assert not may(client, "subscribe", malformed)


def test_a_gateway_does_everything_below_the_prefix_and_nothing_beside_it() -> None:
    for action in ("publish", "subscribe", "receive"):
        assert may(GATEWAY, action, "sealgate/1/inbox/hub/thermo-1/x")
        assert not may(GATEWAY, action, "sealgate/2/inbox/hub/thermo-1/x")
        assert not may(GATEWAY, action, "$SYS/broker/uptime")
    assert may(GATEWAY, "subscribe", "sealgate/1/#")
    assert not may(GATEWAY, "subscribe", "#")
    assert not may(GATEWAY, "subscribe", "$share/g/sealgate/1/send/#")
    assert not may(GATEWAY, "publish", "sealgate/1/inbox/+")


def test_the_operator_reads_everything_and_publishes_nothing() -> None:
    for topic_filter in ("#", "+/#", "$SYS/#", "sealgate/1/#", "other", "$SYS/broker/+"):
        assert may(OPERATOR, "subscribe", topic_filter)
    assert may(OPERATOR, "receive", "sealgate/1/inbox/hub/thermo-1/x")
    assert not may(OPERATOR, "publish", "sealgate/1/inbox/hub/thermo-1/x")
    assert not may(OPERATOR, "subscribe", "$share/g/#")


def test_a_wildcard_is_allowed_in_a_filter_only() -> None:
    for action in ("publish", "receive"):
        assert not may(THERMO, action, "sealgate/1/keys/+")
        assert not may(OPERATOR, action, "#")


@pytest.mark.parametrize("name", ["", "+", "#", "a/b", "$sys", "Thermo", "a" * 65, "a\n", "ä"])
def test_a_name_that_could_become_more_than_one_topic_level_is_no_client(name: str) -> None:
    with pytest.raises(ValueError, match="client name"):
        Client(name=name, role=Role.DEVICE)


@pytest.mark.parametrize("prefix", ["", "/", "a//b", "+", "a/#", "$SYS", "a/", "\0"])
def test_a_prefix_that_is_no_topic_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="topic prefix"):
        check_prefix(prefix)


_levels = st.lists(
    st.sampled_from(["sealgate", "1", "inbox", "thermo-1", "hub", "keys", "+", "roster", "$SYS"]),
    min_size=1,
    max_size=6,
)


def _matches(topic_filter: list[str], topic: list[str]) -> bool:
    """MQTT 3.1.1, 4.7, written another way than the table's."""
    if topic[0].startswith("$") and topic_filter[0] in "+#":
        return False
    if topic_filter == ["#"]:
        return True
    if not topic or not topic_filter:
        return topic == topic_filter
    if topic_filter[0] not in ("+", topic[0]):
        return False
    rest = topic_filter[1:]
    if not topic[1:]:
        return rest in ([], ["#"])
    return bool(rest) and _matches(rest, ["x", *topic[1:]][1:])


@given(st.sampled_from([THERMO, GATEWAY, OPERATOR]), _levels, st.booleans(), _levels)
def test_whatever_a_granted_filter_matches_may_be_received(
    client: Client, levels: list[str], hashed: bool, topic: list[str]
) -> None:
    topic_filter = [*levels, "#"] if hashed else levels
    action: Action = "subscribe"
    if "+" in topic or not may(client, action, "/".join(topic_filter)):
        return
    if _matches(topic_filter, topic):
        assert may(client, "receive", "/".join(topic))
