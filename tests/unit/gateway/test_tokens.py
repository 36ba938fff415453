"""Tokens at the gateway: drawing keys, issuing, spending once, erasing."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from device_sdk.proofs import oprf as client
from device_sdk.wire.anonymous import AnonymousCopy, SpentToken
from device_sdk.wire.anonymous_rule import AnonymousRule
from device_sdk.wire.epoch_key import EpochKey
from device_sdk.wire.limits import ANONYMOUS_STEP, DAY
from device_sdk.wire.names import ANONYMOUS
from device_sdk.wire.query import AnonymousQuery
from device_sdk.wire.token_request import TokenRequest
from device_sdk.wire.topics import Topics
from device_sdk.wire.tree_head import leaf_of
from gateway import oprf, tokens
from gateway.adopt import Found
from gateway.answer import answer_anonymous
from gateway.cli.audit_look import look_at
from gateway.hold import Held, Holding, take_in
from gateway.settings import load_settings
from gateway.store.port import Transaction
from gateway.store.records import StoredTokenKey
from tests.support.envelopes import NOW, Fleet
from tests.support.mailroom import Mailroom, key_of, kinds, open_mailroom, told_of
from tests.support.tokens import (
    CHANNEL,
    RULE,
    SealedAnonymous,
    Wish,
    open_channel,
    seal_anonymous,
)

TOPICS = Topics()


@pytest.fixture
async def room(fleet: Fleet, tmp_path: Path) -> AsyncIterator[Mailroom]:
    """A gateway of a fleet with an anonymous channel, whose keys are drawn."""
    open_channel(fleet)
    async with open_mailroom(fleet, tmp_path) as room:
        await room.run(lambda tx: tokens.draw(tx, room.situation))
        yield room


async def keys(room: Mailroom) -> list[StoredTokenKey]:
    """Return the channel's keys, this period's first."""
    stored = await room.read(lambda tx: tx.token_keys())
    return sorted(
        (one for one in stored if one.key.channel == CHANNEL), key=lambda one: one.key.begins
    )


async def refused(room: Mailroom, message: SealedAnonymous, data: bytes = b"") -> str:
    """Send a message that must not be held, and return why not."""
    held = await room.send(message, data)
    assert held.holding is Holding.REFUSED
    assert await room.row(message) is None
    return str(held.reason)


# ---------------------------------------------------------------- keys


async def test_this_periods_key_and_the_next_ones_are_drawn_and_logged(room: Mailroom) -> None:
    now, later = await keys(room)
    assert (now.key.begins, now.key.ends) == RULE.period(NOW)
    assert (later.key.begins, later.key.ends) == RULE.period(NOW, 1)
    assert now.seed != later.seed
    for stored in (now, later):
        assert stored.key.public == oprf.public_of(stored.seed)
        leaf = leaf_of(stored.key)
        assert await room.read(lambda tx, leaf=leaf: tx.log_index(leaf)) is not None  # type: ignore[misc]
    assert await room.read(lambda tx: tokens.shown(tx, room.situation)) == (later.key, now.key)


async def test_a_key_is_drawn_once_and_a_new_period_brings_one_more(room: Mailroom) -> None:
    before = await keys(room)
    assert not await room.run(lambda tx: tokens.draw(tx, room.situation))
    room.change(now=NOW + DAY)
    assert await room.run(lambda tx: tokens.draw(tx, room.situation))
    after = await keys(room)
    assert after[:2] == before
    assert len(after) == 3
    shown = await room.read(lambda tx: tokens.shown(tx, room.situation))
    assert shown == (after[2].key, after[1].key)


async def test_nothing_is_drawn_while_the_clock_is_paused_or_for_ordinary_channels(
    fleet: Fleet, tmp_path: Path
) -> None:
    open_channel(fleet, rule=None)
    async with open_mailroom(fleet, tmp_path) as room:
        assert not await room.run(lambda tx: tokens.draw(tx, room.situation))
        open_channel(fleet)
        await room.new_roster()
        room.change(paused=True)
        assert not await room.run(lambda tx: tokens.draw(tx, room.situation))
        room.change(paused=False)
        assert await room.run(lambda tx: tokens.draw(tx, room.situation))


async def test_a_period_of_another_length_has_keys_of_its_own(room: Mailroom) -> None:
    open_channel(room.fleet, rule=AnonymousRule(epoch=3600, tokens=1))
    await room.new_roster()
    await room.run(lambda tx: tokens.draw(tx, room.situation))
    assert {one.key.ends - one.key.begins for one in await keys(room)} == {3600, DAY}


# ---------------------------------------------------------------- issuing


async def ask(room: Mailroom, request: TokenRequest) -> tokens.Grant:
    """Ask for tokens."""
    return await room.run(lambda tx: tokens.grant(tx, request, room.situation))


async def test_a_device_gets_tokens_that_the_gateway_takes(room: Mailroom) -> None:
    key, wish = (await keys(room))[0], Wish.of(RULE.tokens)
    request = wish.request("thermo", key.key.key_id)
    granted = await ask(room, request)
    assert granted.denial == ""
    evaluated, proof = oprf.issue(granted.seed, request.blinded)
    outputs = client.finalize(
        wish.tokens, wish.blinds, evaluated, public=key.key.public, proof=proof
    )
    assert outputs == [oprf.output_of(key.seed, token) for token in wish.tokens]


async def test_the_same_request_is_answered_again_and_another_one_is_not(room: Mailroom) -> None:
    key_id = (await keys(room))[0].key.key_id
    request = Wish.of(2).request("thermo", key_id)
    assert (await ask(room, request)).denial == ""
    assert (await ask(room, request)).denial == ""
    assert (await ask(room, Wish.of(1).request("thermo", key_id))).denial == "taken"
    assert (await ask(room, Wish.of(1).request("wall", key_id))).denial == ""


async def test_nobody_gets_more_tokens_than_the_owner_allows(room: Mailroom) -> None:
    key_id = (await keys(room))[0].key.key_id
    assert (await ask(room, Wish.of(6).request("thermo", key_id))).denial == "too-many"
    assert (await ask(room, Wish.of(5).request("thermo", key_id))).denial == ""


async def test_only_active_senders_of_the_channel_get_tokens(room: Mailroom) -> None:
    key_id = (await keys(room))[0].key.key_id
    assert (await ask(room, Wish.of(1).request("hub", key_id))).denial == "not-permitted"
    room.fleet.revoke("thermo")
    await room.new_roster()
    assert (await ask(room, Wish.of(1).request("thermo", key_id))).denial == "not-permitted"


async def test_no_tokens_of_unknown_or_past_keys_nor_by_an_expired_roster(room: Mailroom) -> None:
    stranger = Wish.of(1).request("thermo", bytes(16))
    assert (await ask(room, stranger)).denial == "unknown-key"
    request = Wish.of(1).request("thermo", (await keys(room))[0].key.key_id)
    room.change(now=NOW + DAY)
    assert (await ask(room, request)).denial == "unknown-key"
    await room.new_roster(expires=NOW + 1)
    assert (await ask(room, request)).denial == "roster-expired"


# ---------------------------------------------------------------- spending


async def test_an_anonymous_message_is_held_read_and_gone(room: Mailroom) -> None:
    message = seal_anonymous(room.fleet, (await keys(room))[0])
    held = await room.send(message)
    assert (held.holding, held.key.sender) == (Holding.NEW, ANONYMOUS)
    assert [tell.device for tell in held.effects.tell] == [ANONYMOUS]
    copies = await room.publish()
    assert {ref.reader for ref, _ in copies} == {"hub", "phone"}
    for ref, data in copies:
        copy = AnonymousCopy.decode(data)
        assert copy.encode() == message.copy(ref.reader).encode()
        copy.check_inclusion()
    assert (await room.ack(message, "hub")).result == "read"
    acked = await room.ack(message, "phone")
    assert [tell.device for tell in acked.effects.tell] == [ANONYMOUS]
    await room.clear_all()
    await room.erase()
    ciphertext = message.envelope.body.ciphertext
    assert not room.holds_bytes(ciphertext, message.envelope.body.token.mac)


async def test_a_message_that_comes_again_is_answered_again(room: Mailroom) -> None:
    message = seal_anonymous(room.fleet, (await keys(room))[0])
    await room.send(message)
    assert (await room.send(message)).holding is Holding.AGAIN


async def test_a_token_is_spent_once(room: Mailroom) -> None:
    key = (await keys(room))[0]
    first = seal_anonymous(room.fleet, key)
    await room.send(first)
    second = seal_anonymous(room.fleet, key, token=first.token)
    assert await refused(room, second) == "token-spent"
    for reader in ("hub", "phone"):
        await room.ack(first, reader)
    await room.clear_all()
    assert await refused(room, second) == "token-spent"


async def test_a_refused_message_does_not_spend_its_token(room: Mailroom) -> None:
    key = (await keys(room))[0]
    room.change(limits=replace(room.situation.limits, sender_messages=0))
    message = seal_anonymous(room.fleet, key)
    assert await refused(room, message) == "quota"
    room.change(limits=replace(room.situation.limits, sender_messages=1))
    assert (await room.send(message)).holding is Holding.NEW


async def test_what_was_not_issued_is_invalid(room: Mailroom) -> None:
    now, later = await keys(room)
    made_up = seal_anonymous(room.fleet, now, seed=os.urandom(32))
    assert await refused(room, made_up) == "token-invalid"
    other = seal_anonymous(room.fleet, now, seed=later.seed)
    assert await refused(room, other) == "token-invalid"
    unknown = replace(now, key=replace(now.key, public=bytes(32)))
    assert await refused(room, seal_anonymous(room.fleet, unknown)) == "token-invalid"


async def test_a_token_is_for_its_channel_and_its_period(room: Mailroom) -> None:
    open_channel(room.fleet, "other")
    await room.new_roster()
    now, later = await keys(room)
    crossed = seal_anonymous(room.fleet, now, channel="other")
    assert await refused(room, crossed) == "token-invalid"
    early = seal_anonymous(room.fleet, later)
    assert await refused(room, early) == "token-invalid"
    late = seal_anonymous(room.fleet, now, issued=now.key.ends + ANONYMOUS_STEP)
    assert await refused(room, late) == "token-invalid"
    room.change(now=later.key.begins)
    kept = seal_anonymous(room.fleet, now, issued=now.key.ends - ANONYMOUS_STEP)
    assert (await room.send(kept)).holding is Holding.NEW  # it was on its way for a while


async def test_a_token_cannot_be_moved_to_another_message(room: Mailroom) -> None:
    key = (await keys(room))[0]
    seen, own = seal_anonymous(room.fleet, key), seal_anonymous(room.fleet, key)
    stolen = replace(own.envelope, body=replace(own.envelope.body, token=seen.envelope.body.token))
    assert await refused(room, own, stolen.encode()) == "token-invalid"
    assert (await room.send(own)).holding is Holding.NEW  # its digest is the same


async def test_no_byte_of_a_token_can_be_another(room: Mailroom) -> None:
    message = seal_anonymous(room.fleet, (await keys(room))[0])
    body = message.envelope.body
    for index in range(64):
        both = bytearray(body.token.token + body.token.mac)
        both[index] ^= 1
        token = SpentToken(token=bytes(both[:32]), mac=bytes(both[32:]))
        forged = replace(message.envelope, body=replace(body, token=token))
        assert await refused(room, message, forged.encode()) == "token-invalid"


async def test_no_byte_of_an_anonymous_envelope_can_be_another(room: Mailroom) -> None:
    message = seal_anonymous(room.fleet, (await keys(room))[0])
    topic, held = TOPICS.parse(message.topic), []

    def send_all(tx: Transaction) -> None:
        for position in range(len(message.data)):
            changed = bytearray(message.data)
            changed[position] ^= 1 << position % 8
            answer = take_in(tx, topic, bytes(changed), room.situation)
            if answer.holding is not Holding.REFUSED:
                held.append(position)

    await room.run(send_all)
    assert held == []
    assert (await room.send(message)).holding is Holding.NEW


async def test_an_ordinary_envelope_is_refused_on_an_anonymous_channel(room: Mailroom) -> None:
    message = room.fleet.seal("thermo", ["hub", "phone"], channel=CHANNEL)
    assert (await room.send(message)).reason == "token-required"


async def test_an_anonymous_envelope_is_refused_everywhere_else(room: Mailroom) -> None:
    key = (await keys(room))[0]
    open_channel(room.fleet, "open", rule=None)
    await room.new_roster()
    assert await refused(room, seal_anonymous(room.fleet, key, channel="open")) == "not-permitted"
    unlisted = seal_anonymous(room.fleet, key, channel="attic")
    assert await refused(room, unlisted) == "channel-unknown"


async def test_a_message_lives_no_longer_than_its_channel_says(room: Mailroom) -> None:
    key = (await keys(room))[0]
    longest = NOW + 7 * DAY + 2 * ANONYMOUS_STEP
    message = seal_anonymous(room.fleet, key, expires=longest + ANONYMOUS_STEP)
    assert await refused(room, message) == "lifetime"
    assert (await room.send(seal_anonymous(room.fleet, key, expires=longest))).reason is None


async def test_neither_kind_passes_for_the_other(room: Mailroom) -> None:
    message = seal_anonymous(room.fleet, (await keys(room))[0])
    held: Held = await room.send(message, topic=TOPICS.send("thermo", message.message_id))
    assert held.reason == "malformed"
    ordinary = room.fleet.seal("thermo", ["hub"])
    held = await room.send(ordinary, topic=TOPICS.send(ANONYMOUS, ordinary.message_id))
    assert held.reason == "malformed"


async def test_a_revoked_reader_is_excused_and_an_unlisted_one_is_refused(room: Mailroom) -> None:
    key = (await keys(room))[0]
    room.fleet.revoke("phone")
    await room.new_roster()
    message = seal_anonymous(room.fleet, key)
    assert told_of((await room.send(message)).effects) == ["held", "excused"]
    assert await refused(room, seal_anonymous(room.fleet, key, ["thermo"])) == "reader-unknown"


# ---------------------------------------------------------------- what is told


async def test_who_knows_the_digest_is_told_the_outcome_again(room: Mailroom) -> None:
    message = seal_anonymous(room.fleet, (await keys(room))[0])
    await room.send(message)
    await room.ack(message, "hub")
    asked = AnonymousQuery(message_id=message.message_id, digest=message.digest)
    told = await room.read(lambda tx: answer_anonymous(tx, asked))
    assert {tell.device for tell in told.tell} == {ANONYMOUS}
    assert kinds([tell.event for tell in told.tell]) == ["held", "read"]
    for other in (replace(asked, digest=bytes(32)), replace(asked, message_id=bytes(16))):
        nothing = await room.read(lambda tx, other=other: answer_anonymous(tx, other))  # type: ignore[misc]
        assert nothing.tell == ()


# ---------------------------------------------------------------- found at the broker


async def test_a_genuine_copy_is_adopted_and_its_token_is_spent(room: Mailroom) -> None:
    key = (await keys(room))[0]
    message = seal_anonymous(room.fleet, key)
    assert (await room.found(message, "hub")).found is Found.ADOPTED
    again = seal_anonymous(room.fleet, key, token=message.token)
    assert await refused(room, again) == "token-spent"
    assert (await room.send(message)).holding is Holding.COMPLETED


async def test_a_copy_without_a_genuine_token_is_cleared(room: Mailroom) -> None:
    key = (await keys(room))[0]
    forged = seal_anonymous(room.fleet, key, mac=os.urandom(32))
    assert (await room.found(forged, "hub")).found is Found.CLEARED
    first = seal_anonymous(room.fleet, key)
    await room.send(first)
    again = seal_anonymous(room.fleet, key, token=first.token)
    assert (await room.found(again, "hub")).found is Found.CLEARED


async def test_a_copy_whose_key_is_lost_is_adopted_as_it_stands(
    fleet: Fleet, tmp_path: Path
) -> None:
    open_channel(fleet)
    begins, ends = RULE.period(NOW)
    key = EpochKey(channel=CHANNEL, begins=begins, ends=ends, public=oprf.public_of(bytes(32)))
    lost = StoredTokenKey(key=key, seed=bytes(32), erase_at=ends + 8 * DAY)
    async with open_mailroom(fleet, tmp_path) as room:  # before it draws keys of its own
        message = seal_anonymous(room.fleet, lost)
        assert (await room.found(message, "hub")).found is Found.ADOPTED
        assert (await room.ack(message, "hub")).result == "read"
        early = seal_anonymous(room.fleet, lost, issued=NOW + DAY, expires=NOW + 2 * DAY)
        assert (await room.found(early, "hub")).found is Found.CLEARED


async def test_a_copy_of_no_anonymous_channel_waits_for_a_roster_that_has_it(
    room: Mailroom,
) -> None:
    key = (await keys(room))[0]
    message = seal_anonymous(room.fleet, key, channel="attic")
    judged = await room.found(message, "hub")
    assert (judged.found, judged.until) == (Found.LEFT, NOW + DAY)
    stranger = seal_anonymous(room.fleet, key, ["thermo"])
    assert (await room.found(stranger, "thermo")).found is Found.LEFT


# ---------------------------------------------------------------- what is kept


async def test_nothing_that_is_kept_ties_what_was_issued_to_what_was_spent(room: Mailroom) -> None:
    key, wish = (await keys(room))[0], Wish.of(1)
    request = wish.request("thermo", key.key.key_id)
    await ask(room, request)
    message = seal_anonymous(room.fleet, key, token=wish.tokens[0])
    await room.send(message)

    def rows(tx: object) -> dict[str, list[dict[str, object]]]:
        connection = tx._connection  # type: ignore[attr-defined]
        found = {}
        for table in ("tokens_issued", "tokens_spent", "messages", "slots", "usage"):
            cursor = connection.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in cursor.description]
            found[table] = [dict(zip(names, row, strict=True)) for row in cursor]
        return found

    found = await room.read(rows)
    assert found["tokens_issued"] == [{"key": 1, "device": "thermo", "request": request.digest}]
    (spent,) = found["tokens_spent"]
    assert set(spent) == {"key", "token", "digest_mark"}
    spending = [spent, *found["messages"], *found["slots"], *found["usage"]]
    values = {value for row in spending for value in row.values() if value != key.key.begins}
    assert not values & {"thermo", request.digest, request.blinded[0], wish.blinds[0]}
    assert message.message_id in values  # it looked at the right rows


async def test_a_key_goes_with_all_that_was_issued_and_spent_under_it(room: Mailroom) -> None:
    key = (await keys(room))[0]
    request = Wish.of(1).request("thermo", key.key.key_id)
    await ask(room, request)
    message = seal_anonymous(room.fleet, key)
    await room.send(message)
    await room.run(lambda tx: tx.drop_message(key_of(message)))
    room.change(now=key.erase_at - 1)
    assert not (await room.sweep()).erase
    assert await room.read(lambda tx: tx.token_key(key.key.key_id)) is not None
    room.change(now=key.erase_at)
    assert (await room.sweep()).erase
    assert await room.read(lambda tx: tx.token_key(key.key.key_id)) is None
    await room.erase()
    assert not room.holds_bytes(key.seed, message.token, request.digest)


async def test_an_audit_finds_nothing_while_tokens_are_used_nor_after(
    fleet: Fleet, tmp_path: Path
) -> None:
    open_channel(fleet)
    async with open_mailroom(fleet, tmp_path) as room:
        await room.run(lambda tx: tokens.draw(tx, room.situation))
        key = (await keys(room))[0]
        await ask(room, Wish.of(3).request("thermo", key.key.key_id))
        for _ in range(20):
            message = seal_anonymous(room.fleet, key)
            await room.send(message)
            for reader in ("hub", "phone"):
                await room.ack(message, reader)
        await room.clear_all()
        await room.run(lambda tx: tx.set_high_water(NOW))
        await room.erase()
        assert (await look_at(load_settings(data=tmp_path))).findings == ()
        room.change(now=key.erase_at)
        await room.sweep()
        await room.erase()
    assert (await look_at(load_settings(data=tmp_path))).findings == ()


async def test_a_key_is_kept_as_long_as_a_message_of_its_period_can_come(room: Mailroom) -> None:
    key = (await keys(room))[0]
    issued = key.key.ends  # by a clock that is five minutes fast
    message = seal_anonymous(
        room.fleet, key, issued=issued, expires=issued + 7 * DAY + 2 * ANONYMOUS_STEP
    )
    room.change(now=message.envelope.body.header.expires - 1)
    await room.sweep()
    assert (await room.send(message)).reason in (None, "reader-key-expires")
