"""The access rules of `gateway.access` as Mosquitto reads them. Pure.

Patterns hold for every user, so that a device which the owner has admitted needs no line of its
own, and the file only changes with gateways and revocations. Whoever is no device is denied what
the patterns would give it.
"""

from collections.abc import Iterable, Iterator

from device_sdk.trust import Roster
from device_sdk.wire.roster_page import ROLE_GATEWAY
from device_sdk.wire.topics import DEFAULT_PREFIX
from gateway.access import RULES, Role, Rule, covers


def acl_of(roster: Roster, *, now: int, prefix: str = DEFAULT_PREFIX) -> str:
    """Return the rules for a fleet: its gateways by name, and its revoked members shut out."""
    gateways = [name for name in roster.devices if roster.is_active(name, now, ROLE_GATEWAY)]
    revoked = [name for name in roster.devices if roster.is_revoked(name)]
    return acl_text(gateways, revoked, prefix=prefix)


def acl_text(
    gateways: Iterable[str], revoked: Iterable[str] = (), *, prefix: str = DEFAULT_PREFIX
) -> str:
    """Return an ``acl_file`` of Mosquitto 2."""
    return "\n".join(_lines(sorted(gateways), sorted(revoked), prefix)) + "\n"


def _lines(gateways: list[str], revoked: list[str], prefix: str) -> Iterator[str]:
    yield "# Who may do what, written by sealgate. %u is the user name, which is the device's name."
    yield ""
    yield "# Every device: its own topics, and what is public in the fleet."
    for rule in RULES[Role.DEVICE]:
        yield f"pattern {rule.access} {_topics(rule, prefix, '%u')}"
    yield ""
    yield "# Gateways: everything below the prefix."
    for name in gateways:
        yield from _user(name, Role.GATEWAY, prefix)
    yield "# The operator looks, and changes nothing."
    yield from _user(Role.OPERATOR, Role.OPERATOR, prefix)
    yield "# Whoever holds a ticket may ask to be admitted."
    yield from _user(Role.JOINER, Role.JOINER, prefix)
    yield "# A device that does not say which."
    yield from _user(Role.ANONYMOUS, Role.ANONYMOUS, prefix)
    if revoked:
        yield "# Revoked by the owner."
    for name in revoked:
        yield f"user {name}"
        yield "topic deny #"
        yield ""


def _user(name: str, role: Role, prefix: str) -> Iterator[str]:
    yield f"user {name}"
    for rule in RULES[role]:
        yield f"topic {rule.access} {_topics(rule, prefix, name)}"
    for rule in RULES[Role.DEVICE]:
        if not _has(role, rule, prefix, name):
            yield f"topic deny {_topics(rule, prefix, name)}"
    yield ""


def _has(role: Role, wanted: Rule, prefix: str, name: str) -> bool:
    return any(
        rule.access == wanted.access
        and covers(_topics(rule, prefix, name), _topics(wanted, prefix, name))
        for rule in RULES[role]
    )


def _topics(rule: Rule, prefix: str, name: str) -> str:
    return rule.topics.format(prefix=prefix, name=name)
