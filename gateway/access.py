"""Who may do what on which topic: one table.

The embedded broker enforces it as it stands; the access rules of other brokers are written from it.
The topics and who uses them are those of PROTOCOL, section "Topics". Pure: no broker, no sockets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Literal

from device_sdk.wire import names
from device_sdk.wire.names import is_name
from device_sdk.wire.topics import DEFAULT_PREFIX, PREFIX_RULE, is_prefix

# Our deepest topic has five levels below the prefix. Deeper ones only make a broker's tree deep.
_MOST_LEVELS = 32

# MQTT 3.1.1, 1.5.3: a string's length is written in two bytes.
_MOST_BYTES = 65_535

Action = Literal["publish", "subscribe", "receive"]


class Role(StrEnum):
    """What a client is; it decides which rows of the table hold for it."""

    DEVICE = "device"
    GATEWAY = "gateway"
    OPERATOR = names.OPERATOR
    JOINER = names.JOINER
    ANONYMOUS = names.ANONYMOUS


@dataclass(frozen=True, kw_only=True, slots=True)
class Client:
    """An authenticated client.

    Raises ValueError if the name is not 1 to 64 characters of ``a-z 0-9 . _ -``.
    """

    name: str  # a device's id, a gateway's or operator's account name
    role: Role

    def __post_init__(self) -> None:
        # A name becomes a level of a topic. A broker that put "+" or "#" from a user name into its
        # rules was open to everyone (CVE-2017-7650).
        if not is_name(self.name):
            raise ValueError(f"client name: expected 1 to 64 of a-z 0-9 . _ -, got {self.name!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One row: what is not allowed by a row is refused."""

    access: Literal["read", "write"]  # read is to subscribe and to receive, write is to publish
    topics: str  # an MQTT topic filter in which {prefix} and {name} are filled in


# What is published without a name. Nothing can be read without one.
_ANONYMOUSLY = (
    Rule(access="write", topics="{prefix}/send/anonymous/+"),
    Rule(access="write", topics="{prefix}/query/anonymous"),
)

RULES: dict[Role, tuple[Rule, ...]] = {
    Role.DEVICE: (
        Rule(access="write", topics="{prefix}/send/{name}/+"),
        Rule(access="write", topics="{prefix}/read/{name}/+/+"),
        Rule(access="write", topics="{prefix}/query/{name}"),
        Rule(access="write", topics="{prefix}/seen/{name}"),
        Rule(access="write", topics="{prefix}/announce/{name}"),
        Rule(access="write", topics="{prefix}/prove/{name}"),
        Rule(access="write", topics="{prefix}/blind/{name}"),
        # Where a certificate names whoever connects, it does so for anonymous messages as well.
        *_ANONYMOUSLY,
        Rule(access="read", topics="{prefix}/inbox/{name}/#"),
        Rule(access="read", topics="{prefix}/notice/{name}"),
        Rule(access="read", topics="{prefix}/notice/anonymous"),
        Rule(access="read", topics="{prefix}/cert/{name}"),
        Rule(access="read", topics="{prefix}/keys/+"),
        Rule(access="read", topics="{prefix}/roster"),
        Rule(access="read", topics="{prefix}/roster/+"),
        Rule(access="read", topics="{prefix}/state/+"),
        Rule(access="read", topics="{prefix}/log/+"),
        Rule(access="read", topics="{prefix}/proof/{name}"),
        Rule(access="read", topics="{prefix}/tokens/+"),
        Rule(access="read", topics="{prefix}/issue/{name}"),
    ),
    Role.GATEWAY: (
        Rule(access="write", topics="{prefix}/#"),
        Rule(access="read", topics="{prefix}/#"),
    ),
    # The operator looks, and changes nothing: a zero-length publish would clear a message.
    Role.OPERATOR: (
        Rule(access="read", topics="#"),
        Rule(access="read", topics="$SYS/#"),
    ),
    # Whoever holds a ticket. It is not known yet who that is: the owner finds out, by its code.
    Role.JOINER: (
        Rule(access="write", topics="{prefix}/join/+"),
        Rule(access="read", topics="{prefix}/cert/+"),
        Rule(access="read", topics="{prefix}/roster"),
        Rule(access="read", topics="{prefix}/roster/+"),
        Rule(access="read", topics="{prefix}/state/+"),
    ),
    # A device that does not say which: its messages' tokens tell that it is one.
    Role.ANONYMOUS: _ANONYMOUSLY,
}


def may(client: Client, action: Action, topic: str, *, prefix: str = DEFAULT_PREFIX) -> bool:
    """Whether the table allows it.

    ``topic`` is a topic to publish to or receive from, or a filter to subscribe to. A filter is
    allowed only if one row covers every topic that it could ever match; a malformed topic, and
    a wildcard anywhere but in a filter, never is.
    """
    levels = _levels(topic, wildcards=action == "subscribe")
    if levels is None:
        return False
    access = "write" if action == "publish" else "read"
    return any(_covers(row, levels) for row in _rows(client, access, prefix))


def covers(allowed: str, asked: str) -> bool:
    """Whether one well-formed filter matches every topic that another one matches."""
    return _covers(allowed.split("/"), asked.split("/"))


def check_prefix(prefix: str) -> str:
    """Return the prefix of our topics; ValueError if it cannot be one."""
    if not is_prefix(prefix):
        raise ValueError(f"topic prefix: expected {PREFIX_RULE}, got {prefix[:80]!r}")
    return prefix


def _levels(topic: str, *, wildcards: bool) -> list[str] | None:
    """Split a topic, or a filter if wildcards are allowed; None if malformed (MQTT 3.1.1, 4.7)."""
    if not topic or "\0" in topic or len(topic.encode(errors="replace")) > _MOST_BYTES:
        return None
    levels = topic.split("/")
    if len(levels) > _MOST_LEVELS:
        return None
    if "+" not in topic and "#" not in topic:
        return levels
    if not wildcards or "#" in levels[:-1]:
        return None
    if any(len(level) > 1 and ("+" in level or "#" in level) for level in levels):
        return None
    return levels


def _covers(row: Sequence[str], levels: Sequence[str]) -> bool:
    """Whether every topic matched by ``levels`` is matched by ``row`` too."""
    # MQTT 3.1.1, 4.7.2: a leading wildcard does not match topics (nor $share) that begin with $.
    if levels[0].startswith("$") and row[0] != levels[0]:
        return False
    for index, allowed in enumerate(row):
        if allowed == "#":
            return True
        if index == len(levels):
            return False
        asked = levels[index]
        if asked == "#" or (asked != allowed and allowed != "+"):
            # "a/#" also matches "a": of the rows only one that ends in # covers it.
            return False
    return len(levels) == len(row)


@lru_cache(maxsize=4096)
def _rows(client: Client, access: str, prefix: str) -> tuple[tuple[str, ...], ...]:
    # A name holds no braces, so nothing in it is filled in a second time.
    return tuple(
        tuple(rule.topics.format(prefix=prefix, name=client.name).split("/"))
        for rule in RULES[client.role]
        if rule.access == access
    )
