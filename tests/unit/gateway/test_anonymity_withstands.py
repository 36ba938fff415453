"""What anonymous messages withstand at the gateway."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from device_sdk.wire.anonymous import AnonymousBody
from device_sdk.wire.anonymous_rule import AnonymousRule
from device_sdk.wire.limits import DAY
from device_sdk.wire.merkle import root
from device_sdk.wire.reasons import Reason
from gateway import tokens
from gateway.access import Client, Role, may
from gateway.adopt import Found
from gateway.hold import Held, take_in
from gateway.receive import Refused, check, unpack
from gateway.store.port import Transaction
from gateway.store.records import StoredTokenKey
from tests.support.envelopes import TOPICS, Fleet
from tests.support.mailroom import Mailroom, open_mailroom
from tests.support.tokens import CHANNEL, Wish, open_channel, seal_anonymous


@pytest.fixture
async def room(fleet: Fleet, tmp_path: Path) -> AsyncIterator[Mailroom]:
    open_channel(fleet)
    async with open_mailroom(fleet, tmp_path) as room:
        await room.run(lambda tx: tokens.draw(tx, room.situation))
        yield room


async def key(room: Mailroom) -> StoredTokenKey:
    stored = await room.read(lambda tx: tx.token_keys())
    return min((s for s in stored if s.key.channel == CHANNEL), key=lambda s: s.key.begins)


def test_a_stranger_without_any_credentials_cannot_read_what_became_of_messages() -> None:
    stranger = Client(name="anonymous", role=Role.ANONYMOUS)
    assert not may(stranger, "subscribe", "sealgate/1/notice/anonymous")
    assert not may(stranger, "receive", "sealgate/1/notice/anonymous")


async def test_a_copy_under_a_made_up_key_is_not_adopted_while_the_ledger_has_the_right_one(
    room: Mailroom,
) -> None:
    right = await key(room)
    made_up = replace(right, key=replace(right.key, public=bytes(32)))
    message = seal_anonymous(room.fleet, made_up, mac=bytes(32))
    judged = await room.found(message, "hub")
    assert judged.found is Found.CLEARED
    assert await room.row(message) is None


async def test_made_up_copies_do_not_use_up_the_quota_of_anonymous_senders(
    room: Mailroom,
) -> None:
    right = await key(room)
    made_up = replace(right, key=replace(right.key, public=bytes(32)))
    room.change(limits=replace(room.situation.limits, sender_messages=5))
    for _ in range(6):
        await room.found(seal_anonymous(room.fleet, made_up, mac=bytes(32)), "hub")
    held = await room.send(seal_anonymous(room.fleet, right))
    assert held.reason is None, str(held.reason)


async def test_a_token_that_is_none_costs_no_more_than_looking_at_the_token(
    room: Mailroom,
) -> None:
    """A thousand readers need not be hashed to know that there is none."""
    right = await key(room)
    message = seal_anonymous(room.fleet, right, readers=("hub",), mac=bytes(32))
    entry = message.envelope.readers[0]
    entries = tuple(
        replace(entry, reader=f"r{i:04}", kid=i.to_bytes(16, "big")) for i in range(1000)
    )
    header = replace(
        message.envelope.body.header,
        reader_root=root([e.leaf_hash() for e in entries]),
        reader_count=1000,
    )
    body = replace(message.envelope.body, header=header, protected=header.encode())
    envelope = replace(message.envelope, body=body, readers=entries)
    topic, data = TOPICS.parse(message.topic), envelope.encode()
    unpacked = unpack(topic, data, room.situation)
    assert not isinstance(unpacked, Refused)
    asked: list[bytes] = []

    def look(body: AnonymousBody, digest: bytes) -> bool:
        asked.append(digest)
        return False

    answer = check(unpacked, room.situation, lambda d, k: None, look)
    assert asked
    assert isinstance(answer, Refused)
    assert answer.reason is Reason.TOKEN_INVALID  # and not what is wrong with its readers


async def test_nobody_is_told_about_an_envelope_that_anybody_can_make_up(room: Mailroom) -> None:
    right = await key(room)
    made_up = replace(right, key=replace(right.key, public=bytes(32)))
    held = await room.send(seal_anonymous(room.fleet, made_up))
    assert (held.reason, held.effects.tell) == (Reason.TOKEN_INVALID, ())
    message = seal_anonymous(room.fleet, right)
    topic = TOPICS.parse(message.topic)
    junk = await room.run(lambda tx: take_in(tx, topic, b"junk", room.situation))
    assert (junk.reason, junk.effects.tell) == (Reason.MALFORMED, ())
    wrong = await room.send(seal_anonymous(room.fleet, right, mac=bytes(32)))
    assert [tell.event.word for tell in wrong.effects.tell] == ["token-invalid"]


async def test_a_revoked_sender_does_not_write_after_a_new_rule(
    room: Mailroom,
) -> None:
    """It has had the next period's tokens since the present one began: a new rule ends them."""
    stored = await room.read(lambda tx: tx.token_keys())
    following = max(stored, key=lambda s: s.key.begins)
    request = Wish.of(5).request("thermo", following.key.key_id)
    granted = await room.run(lambda tx: tokens.grant(tx, request, room.situation))
    assert granted.denial == ""
    room.fleet.revoke("thermo")
    open_channel(room.fleet, rule=AnonymousRule(epoch=3600, tokens=1))  # the owner's only lever
    await room.new_roster()
    late = following.key.ends - 1800
    room.change(now=late)
    issued = late // 900 * 900
    message = seal_anonymous(room.fleet, following, issued=issued, expires=issued + DAY)
    held = await room.send(message)
    assert held.reason is Reason.TOKEN_INVALID


async def test_messages_do_not_end_because_a_device_was_once_called_anonymous(
    room: Mailroom,
) -> None:
    """A fleet of the version before may have one: nothing refuses its roster."""
    right = await key(room)
    room.fleet.admit("anonymous")
    await room.new_roster()
    message = seal_anonymous(room.fleet, right)
    assert (await room.send(message)).reason is None
    room.fleet.revoke("anonymous")
    effects = await room.new_roster()
    assert effects.tell == ()
    row = await room.row(message)
    assert row is not None
    assert row.state == "held", row.state


@pytest.mark.parametrize("restored", [False, True])
async def test_one_token_is_spent_once_within_one_transaction(
    room: Mailroom, restored: bool
) -> None:
    right = await key(room)
    one = seal_anonymous(room.fleet, right)
    two = seal_anonymous(room.fleet, right, token=one.token)
    if restored:
        await room.found(one, "hub")
        await room.found(two, "phone")

    def both(tx: Transaction) -> list[Held]:
        return [take_in(tx, TOPICS.parse(m.topic), m.data, room.situation) for m in (one, two)]

    held = await room.run(both)
    assert [str(h.reason) for h in held] == ["None", "token-spent"]
    assert await room.row(two) is None
