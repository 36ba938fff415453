"""Questions and their answers (PROTOCOL 10.1, 10.2)."""

import os

import pytest

from device_sdk.identity import Identity
from device_sdk.wire import cose
from device_sdk.wire.notice import MAX_EVENTS, Event, EventKind, Notice
from device_sdk.wire.query import Query, Sent
from device_sdk.wire.read_ack import UNREADABLE
from device_sdk.wire.suites import Signer
from gateway.answer import Distrust, open_query, open_seen, pieces, split_events
from gateway.store.records import CopyRef
from tests.support.envelopes import NOW, TOPICS, Fleet, SealedMessage
from tests.support.mailroom import Mailroom, key_of, kinds


@pytest.fixture
async def message(room: Mailroom) -> SealedMessage:
    """Held for hub, phone and wall, all copies standing."""
    message = room.fleet.seal("thermo", ["hub", "phone", "wall"])
    await room.send(message)
    await room.publish()
    return message


# ---------------------------------------------------------------- what became of it


async def test_a_sender_is_told_everything_that_is_settled(
    room: Mailroom, message: SealedMessage
) -> None:
    assert await room.told(message) == [("held", "")]
    read = room.fleet.read_ack(message, "hub")
    unreadable = room.fleet.read_ack(message, "phone", verdict=UNREADABLE)
    await room.ack(message, "hub", read)
    await room.ack(message, "phone", unreadable)
    events = (await room.query("thermo", sent=[message])).events
    assert kinds(events) == ["held", "read", "unreadable"]
    assert [event.ack for event in events] == [b"", read, unreadable]
    assert {event.digest for event in events} == {message.digest}


async def test_a_sender_is_told_what_has_ended_also_unasked(
    room: Mailroom, message: SealedMessage
) -> None:
    ended = room.fleet.seal("thermo", ["hub"])
    await room.send(ended)
    await room.ack(ended, "hub", room.fleet.read_ack(ended, "hub"))
    answer = await room.query("thermo", sent=[message])
    assert kinds(answer.events) == ["held", "held", "read"]
    assert {event.message_id for event in answer.events[1:]} == {ended.message_id}
    assert kinds((await room.query("thermo", sent=[ended])).events) == ["held", "read"]
    assert kinds((await room.query("lock")).events) == []


async def test_an_unknown_message_is_unknown(room: Mailroom) -> None:
    assert await room.told(room.fleet.seal("thermo", ["hub"])) == [("unknown", "")]


async def test_a_forgotten_message_is_finished(room: Mailroom) -> None:
    message = room.fleet.seal("thermo", ["hub"])
    await room.forget(message)
    assert await room.told(message) == [("held", "finished")]


async def test_an_id_that_the_ledger_has_for_other_content_is_reused(
    room: Mailroom, message: SealedMessage
) -> None:
    other = room.fleet.seal("thermo", ["hub"], message_id=message.message_id)
    assert await room.told(other) == [("refused", "id-reused")]
    forgotten = room.fleet.seal("thermo", ["hub"])
    await room.forget(forgotten)
    other = room.fleet.seal("thermo", ["hub"], message_id=forgotten.message_id)
    assert await room.told(other) == [("refused", "id-reused")]


async def test_nobody_is_told_about_another_senders_message(
    room: Mailroom, message: SealedMessage
) -> None:
    answer = await room.query("lock", sent=[message])
    assert kinds(answer.events) == ["unknown"]


# ---------------------------------------------------------------- copies


async def test_a_reader_is_told_how_many_copies_it_owes(
    room: Mailroom, message: SealedMessage
) -> None:
    assert (await room.query("hub")).owed == 1
    await room.send(room.fleet.seal("lock", ["hub"]))
    assert (await room.query("hub")).owed == 2
    await room.ack(message, "hub")
    assert (await room.query("hub")).owed == 1
    assert (await room.query("lock")).owed == 0


async def test_a_wanted_copy_is_published_again_while_it_is_owed(
    room: Mailroom, message: SealedMessage
) -> None:
    ref = CopyRef(key_of(message), "hub")
    wanted = await room.query("hub", wanted=[message])
    assert wanted.effects.publish == (ref,)
    await room.ack(message, "hub")
    settled = await room.query("hub", wanted=[message])
    assert settled.effects.publish == ()
    assert settled.effects.clear == (ref,)


async def test_only_a_reader_gets_a_copy(room: Mailroom, message: SealedMessage) -> None:
    wanted = await room.query("lock", wanted=[message])
    assert wanted.effects.publish == ()
    assert wanted.effects.clear == ()


async def test_a_wanted_copy_of_an_unknown_message_brings_nothing(room: Mailroom) -> None:
    wanted = await room.query("hub", wanted=[room.fleet.seal("thermo", ["hub"])])
    assert wanted.effects.publish == ()
    assert wanted.effects.clear == ()


# ---------------------------------------------------------------- seen


async def test_seen_forgets_only_what_its_sender_names_with_its_digest(room: Mailroom) -> None:
    message = room.fleet.seal("thermo", ["hub"])
    await room.send(message)
    await room.ack(message, "hub")
    await room.clear_all()
    other = room.fleet.seal("thermo", ["hub"], message_id=message.message_id)
    await room.seen(other)
    foreign = room.fleet.seal("lock", ["hub"], message_id=message.message_id)
    await room.seen(foreign)
    assert await room.row(message) is not None
    assert (await room.seen(message)).erase
    assert await room.row(message) is None


async def test_seen_again_changes_nothing(room: Mailroom) -> None:
    message = room.fleet.seal("thermo", ["hub"])
    await room.forget(message)
    assert not (await room.seen(message)).erase
    assert await room.told(message) == [("held", "finished")]


# ---------------------------------------------------------------- whom to believe


async def test_a_forged_query_or_seen_is_not_listened_to(room: Mailroom) -> None:
    message, fleet, s = room.fleet.seal("thermo", ["hub"]), room.fleet, room.situation
    query, seen = TOPICS.parse(TOPICS.query("thermo")), TOPICS.parse(TOPICS.seen("thermo"))
    for thief in (Identity.generate(), fleet.members["lock"].identity):
        forged = fleet.query("thermo", sent=[message], signer=thief)
        assert open_query(query, forged, s) is Distrust.UNKNOWN_DEVICE
        assert open_seen(seen, fleet.seen("thermo", message, signer=thief), s) is (
            Distrust.UNKNOWN_DEVICE
        )
    good = fleet.seen("thermo", message)
    assert open_seen(seen, good[:-1] + bytes([good[-1] ^ 1]), s) is Distrust.BAD_SIGNATURE
    assert open_seen(seen, good[:-1], s) is Distrust.MALFORMED
    assert open_seen(seen, fleet.query("thermo"), s) is Distrust.MALFORMED


async def test_a_query_or_seen_under_another_devices_topic_is_crossed(room: Mailroom) -> None:
    fleet, s = room.fleet, room.situation
    query, seen = TOPICS.parse(TOPICS.query("lock")), TOPICS.parse(TOPICS.seen("lock"))
    assert open_query(query, fleet.query("thermo"), s) is Distrust.CROSSED
    assert open_seen(seen, fleet.seen("thermo"), s) is Distrust.CROSSED


async def test_a_word_signed_for_another_fleet_does_not_verify(room: Mailroom) -> None:
    other = Fleet(members=room.fleet.members)
    query = TOPICS.parse(TOPICS.query("thermo"))
    assert open_query(query, other.query("thermo"), room.situation) is Distrust.BAD_SIGNATURE


async def test_a_revoked_device_gets_no_answers_but_may_have_seen_its_outcomes(
    room: Mailroom,
) -> None:
    room.fleet.revoke("thermo")
    await room.new_roster()
    query, seen = TOPICS.parse(TOPICS.query("thermo")), TOPICS.parse(TOPICS.seen("thermo"))
    assert open_query(query, room.fleet.query("thermo"), room.situation) is Distrust.INACTIVE
    assert not isinstance(open_seen(seen, room.fleet.seen("thermo"), room.situation), Distrust)


# ---------------------------------------------------------------- sizes


def _query(sent: int) -> Query:
    messages = tuple(Sent(message_id=os.urandom(16), digest=bytes(32)) for _ in range(sent))
    return Query(device="hub", time=NOW, nonce=bytes(range(16)), sent=messages)


def test_a_long_query_is_answered_in_pieces_of_the_same_nonce() -> None:
    query = _query(100)
    parts = pieces(query, size=32)
    assert [len(part.sent) for part in parts] == [32, 32, 32, 4]
    assert tuple(sent for part in parts for sent in part.sent) == query.sent
    assert {part.nonce for part in parts} == {query.nonce}


def test_a_query_about_nothing_is_one_piece() -> None:
    assert pieces(_query(0)) == [_query(0)]


def test_asking_twice_about_a_message_in_one_query_is_answered_once() -> None:
    sent = Sent(message_id=bytes(16), digest=bytes(32))
    query = Query(device="hub", time=NOW, nonce=bytes(16), sent=(sent, sent))
    assert pieces(query)[0].sent == (sent,)


def _event(ack: bytes = b"") -> Event:
    kind = EventKind.READ if ack else EventKind.HELD
    return Event(kind=kind, sender="s" * 64, message_id=bytes(16), digest=bytes(32), ack=ack)


@pytest.mark.parametrize(
    "events",
    [
        [_event() for _ in range(2 * MAX_EVENTS + 1)],
        [_event(bytes(8000)) for _ in range(100)],
        [_event(bytes(300)) for _ in range(1500)],
    ],
    ids=["many", "large", "both"],
)
def test_every_group_of_events_fits_into_one_notice(events: list[Event]) -> None:
    groups = split_events(events)
    assert [event for group in groups for event in group] == events
    signer: Signer = Identity.generate()
    for group in groups:
        notice = Notice(
            device="d" * 64,
            ledger_id=bytes(16),
            counter=2**40,
            time=NOW,
            roster_version=2**40,
            events=group,
            query_nonce=bytes(16),
            owed=2**40,
        )
        signed = cose.sign(notice, signer, b"aad")
        assert cose.parse_signed(Notice, signed).claims == notice


def test_no_events_make_no_group() -> None:
    assert split_events([]) == []
