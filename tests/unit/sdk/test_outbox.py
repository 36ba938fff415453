"""The outbox: what it sends and sends again, what it asks about, and what it forgets."""

import hashlib
import os
from dataclasses import fields

import pytest

from device_sdk.errors import NotSealedError, OutboxFullError
from device_sdk.outbox import outbox
from device_sdk.outbox.limits import OutboxLimits
from device_sdk.outbox.outbox import KEPT, RESEND, WINDOW
from device_sdk.outbox.outgoing import Noted, State
from device_sdk.seal import Sealed
from device_sdk.series import Place
from device_sdk.state import series_store
from device_sdk.wire import cose
from device_sdk.wire.limits import DAY
from device_sdk.wire.notice import FINISHED, PARTIAL, Event, EventKind
from device_sdk.wire.query import Seen
from device_sdk.wire.reasons import Reason
from tests.support.fleet import NOW
from tests.support.sender import HUB, ME, PHONE, TICK, Sender

# ------------------------------ sending


def test_a_message_that_was_added_is_sent_after_a_restart_with_the_same_bytes(
    sender: Sender,
) -> None:
    sealed = sender.send()
    sender.restart()
    assert sender.envelopes() == [sealed.envelope]


def test_an_unanswered_message_is_sent_again_with_the_same_bytes_later_and_later(
    sender: Sender,
) -> None:
    sealed = sender.send()
    tick, pauses = TICK, []
    for _ in range(9):
        assert sender.envelopes(tick) == [sealed.envelope]
        due = sender.box.next_due(tick)
        assert due is not None
        assert sender.envelopes(due - 0.01) == []
        pauses.append(due - tick)
        tick = due
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_a_new_connection_sends_everything_at_once_again(sender: Sender) -> None:
    sealed = sender.send()
    sender.envelopes()
    sender.box.retry_now()
    assert sender.envelopes(TICK + 0.1) == [sealed.envelope]


def test_a_backlog_goes_out_in_portions_as_the_gateway_confirms(sender: Sender) -> None:
    backlog = [sender.send() for _ in range(WINDOW + 2)]
    assert len(sender.envelopes()) == WINDOW
    assert sender.envelopes(TICK + 1) == []
    due = sender.box.next_due(TICK + 1)
    assert due == TICK + RESEND.first  # and not before: nothing more may leave until then
    sender.hear(*(sender.event(EventKind.HELD, sealed) for sealed in backlog[:2]))
    assert sender.envelopes(TICK + 1) == [sealed.envelope for sealed in backlog[WINDOW:]]


def test_messages_that_the_gateway_cannot_take_for_now_do_not_hold_up_the_others(
    sender: Sender,
) -> None:
    stuck = [sender.send("phone") for _ in range(WINDOW)]
    fine = sender.send(HUB)
    assert fine.envelope not in sender.envelopes()
    word = Reason.READER_KEY_UNKNOWN
    sender.hear(*(sender.event(EventKind.REFUSED, sealed, word=word) for sealed in stuck))
    assert sender.box.next_due(TICK + 1) == 0.0
    assert sender.envelopes(TICK + 1) == [fine.envelope]
    # They are tried again in their time, and take their places again until they are answered.
    assert len(sender.envelopes(TICK + RESEND.first)) == WINDOW - 1


def test_messages_that_nobody_answers_do_not_hold_up_the_others(sender: Sender) -> None:
    for _ in range(WINDOW):
        sender.send("phone")
    fine = sender.send(HUB)
    assert fine.envelope not in sender.envelopes()
    assert sender.envelopes(TICK + RESEND.first)[0] == fine.envelope


# ------------------------------ numbers


def number(sender: Sender, *readers: str) -> Place:
    """Send the next message to some readers; return its place."""
    place = sender.box.next_place("direct", readers)
    sender.send(*readers, sequence=place.sequence)
    return place


def test_each_set_of_readers_is_counted_for_itself_also_after_a_restart(sender: Sender) -> None:
    first = [number(sender, HUB), number(sender, PHONE), number(sender, HUB, PHONE)]
    assert [place.number for place in first] == [1, 1, 1]
    assert len({place.series for place in first}) == 3
    assert number(sender, PHONE, HUB) == first[2].next()
    sender.restart()
    assert number(sender, HUB) == first[0].next()
    assert sender.box.next_place("alarms", [HUB]).series != first[0].series


def test_a_number_is_taken_only_by_a_message_that_is_stored(sender: Sender) -> None:
    place = number(sender, HUB)
    assert sender.box.next_place("direct", [HUB]) == place.next()
    assert sender.box.next_place("direct", [HUB]) == place.next()


def test_the_set_of_readers_used_longest_ago_begins_a_new_series(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series_store, "MOST_OWN", 2)
    hub, phone = number(sender, HUB), number(sender, PHONE)
    hub = number(sender, HUB)
    number(sender, HUB, PHONE)
    assert number(sender, HUB) == hub.next()
    assert number(sender, PHONE).series != phone.series


# ------------------------------ room


def limited(sender: Sender, **limits: int) -> None:
    """Give the outbox other limits."""
    sender.limits = OutboxLimits(**limits)
    sender.restart()


def test_an_outbox_takes_so_many_messages_until_some_are_held(sender: Sender) -> None:
    limited(sender, messages=2)
    first, _ = sender.send(), sender.send()
    with pytest.raises(OutboxFullError, match="2 messages are not held yet, of 2") as caught:
        sender.send()
    error = caught.value
    assert (error.limit, error.most, error.used, error.needed) == ("messages", 2, 2, 1)
    sender.restart()
    with pytest.raises(OutboxFullError):
        sender.send()
    sender.hear(sender.event(EventKind.HELD, first))
    sender.send()


def test_an_outbox_takes_so_many_bytes_until_some_are_held_or_expired(sender: Sender) -> None:
    size = len(sender.send(expires=NOW + 60).envelope)
    limited(sender, bytes=2 * size)
    sender.send()
    with pytest.raises(OutboxFullError, match="bytes are not held yet") as caught:
        sender.send()
    error = caught.value
    assert (error.limit, error.most, error.used, error.needed) == (
        "bytes",
        2 * size,
        2 * size,
        size,
    )
    sender.box.expire(NOW + 60)
    sender.send()


def test_a_message_for_which_there_is_no_room_leaves_nothing(sender: Sender) -> None:
    limited(sender, messages=1)
    place = number(sender, HUB)
    with pytest.raises(OutboxFullError):
        number(sender, HUB)
    assert len(sender.box.latest(9)) == 1
    assert sender.box.next_place("direct", [HUB]) == place.next()


def test_records_of_what_is_over_make_room_the_oldest_first(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_DROPPED_AT_ONCE", 1)
    limited(sender, records=3)
    older, newer = sender.held(HUB, PHONE), sender.held(HUB)
    sender.hear(sender.read(newer, HUB), now=NOW + 1)
    sender.hear(*(sender.read(older, reader) for reader in (HUB, PHONE)), now=NOW)
    new = sender.send(HUB)
    assert sender.box.get(older.message_id) is None
    assert sender.get(newer).state is State.SETTLED
    assert sender.get(new).state is State.WAITING
    assert [item.message_id for item in sender.box.tracked()] == [new.message_id, newer.message_id]
    (seen,) = sender.box.seen(NOW)
    assert older.message_id not in seen.payload
    assert newer.message_id in seen.payload


def test_messages_that_are_not_over_fill_an_outbox_by_their_readers(sender: Sender) -> None:
    limited(sender, records=3)
    held = sender.held(HUB, PHONE)
    sender.send(HUB)
    with pytest.raises(OutboxFullError, match="messages to 3 readers are not over") as caught:
        sender.send(HUB)
    assert (caught.value.limit, caught.value.used, caught.value.needed) == ("records", 3, 1)
    sender.restart()
    with pytest.raises(OutboxFullError):
        sender.send(HUB)
    sender.hear(sender.read(held, HUB), sender.read(held, PHONE))
    sender.send(HUB, PHONE)


def test_every_limit_is_named_and_says_what_to_do() -> None:
    for limit in fields(OutboxLimits):
        error = OutboxFullError(limit.name, most=1, used=1, needed=1)
        assert "Let this device reach its gateway" in str(error)
        assert isinstance(error, NotSealedError)


# ------------------------------ held


def test_a_confirmed_message_is_held_and_its_bytes_leave_the_file(sender: Sender) -> None:
    sealed = sender.send()
    assert sealed.envelope[600:700] in _content(sender)
    sender.hear(sender.event(EventKind.HELD, sealed))
    assert sender.get(sealed).state is State.HELD
    assert sender.envelopes(TICK + 1000) == []
    assert sealed.envelope[600:700] not in _content(sender)


def _content(sender: Sender) -> bytes:
    sender.state.sweep()
    return b"".join(path.read_bytes() for path in sender.path.parent.iterdir())


def test_held_for_other_content_confirms_nothing(sender: Sender) -> None:
    sealed = sender.send()
    sender.hear(sender.event(EventKind.HELD, sealed, digest=os.urandom(32)))
    assert sender.get(sealed).state is State.WAITING


def test_held_for_another_senders_message_of_the_same_id_confirms_nothing(sender: Sender) -> None:
    sealed = sender.send()
    sender.hear(sender.event(EventKind.HELD, sealed, sender="stranger"))
    assert sender.get(sealed).state is State.WAITING


def test_an_event_about_an_unknown_message_is_passed_over(sender: Sender) -> None:
    sealed = sender.send()
    sender.hear(sender.event(EventKind.HELD, sealed, message_id=os.urandom(16)))
    assert sender.get(sealed).state is State.WAITING


def test_a_finished_tombstone_ends_an_unknown_outcome_as_forgotten(sender: Sender) -> None:
    sealed = sender.send()
    sender.hear(sender.event(EventKind.HELD, sealed, word=FINISHED))
    assert sender.get(sealed).state is State.FORGOTTEN
    assert sender.envelopes() == []


# ------------------------------ refused


def test_a_final_refusal_of_this_content_ends_the_message(sender: Sender) -> None:
    sealed = sender.send()
    sender.hear(sender.event(EventKind.REFUSED, sealed, word=Reason.NOT_PERMITTED))
    assert (sender.get(sealed).state, sender.get(sealed).detail) == (State.REFUSED, "not-permitted")
    assert sender.envelopes() == []


def test_a_refusal_for_now_is_remembered_and_the_message_goes_on_being_sent(
    sender: Sender,
) -> None:
    sealed = sender.send()
    sender.envelopes()
    sender.hear(sender.event(EventKind.REFUSED, sealed, word=Reason.QUOTA))
    assert sender.get(sealed).state is State.WAITING
    assert sender.box.refusal(sealed.message_id) == "quota"
    assert sender.envelopes(TICK + RESEND.first) == [sealed.envelope]


@pytest.mark.parametrize("digest", [b"", bytes(32)])
def test_a_refusal_of_bytes_that_were_damaged_on_their_way_does_not_end_the_message(
    sender: Sender, digest: bytes
) -> None:
    sealed = sender.send()
    refusal = sender.event(EventKind.REFUSED, sealed, digest=digest, word=Reason.MALFORMED)
    sender.hear(refusal)
    assert sender.get(sealed).state is State.WAITING
    assert sender.box.refusal(sealed.message_id) == "malformed"


@pytest.mark.parametrize("word", [Reason.BAD_SIGNATURE, Reason.READERS_CHANGED])
def test_a_refusal_for_what_the_digest_does_not_cover_does_not_end_the_message(
    sender: Sender, word: Reason
) -> None:
    sealed = sender.send()
    sender.envelopes()
    sender.hear(sender.event(EventKind.REFUSED, sealed, word=word))
    assert sender.get(sealed).state is State.WAITING
    assert sender.envelopes(TICK + RESEND.first) == [sealed.envelope]


def test_held_overrides_an_earlier_refusal_and_is_not_overridden_by_a_later_one(
    sender: Sender,
) -> None:
    sealed = sender.send()
    refused = sender.event(EventKind.REFUSED, sealed, word=Reason.ID_REUSED)
    sender.hear(refused)
    sender.hear(sender.event(EventKind.HELD, sealed))
    assert sender.get(sealed).state is State.HELD
    sender.hear(refused)
    assert sender.get(sealed).state is State.HELD


# ------------------------------ unknown


def unknown(sender: Sender, sealed: Sealed, word: str = "") -> Event:
    return sender.event(EventKind.UNKNOWN, sealed, digest=b"", word=word)


def test_a_waiting_message_that_the_gateway_does_not_know_is_sent_again_at_once(
    sender: Sender,
) -> None:
    sealed = sender.send()
    sender.envelopes()
    sender.hear(unknown(sender, sealed), asked={sealed.message_id: State.WAITING})
    assert sender.envelopes(TICK + 0.1) == [sealed.envelope]
    sender.hear(unknown(sender, sealed), asked={sealed.message_id: State.WAITING})
    assert sender.envelopes(TICK + 0.2) == []  # a gateway that keeps losing it gets no flood


def test_a_held_message_that_the_gateway_does_not_know_is_lost_loudly(
    sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    sealed = sender.held()
    sender.hear(unknown(sender, sealed), asked={sealed.message_id: State.HELD})
    assert sender.get(sealed).state is State.LOST
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_an_unknown_that_answers_no_query_of_ours_changes_nothing(sender: Sender) -> None:
    sealed = sender.held()
    sender.hear(unknown(sender, sealed))
    assert sender.get(sealed).state is State.HELD


def test_an_unknown_that_answers_a_query_from_before_held_changes_nothing(sender: Sender) -> None:
    sealed = sender.held()
    sender.hear(unknown(sender, sealed), asked={sealed.message_id: State.WAITING})
    assert sender.get(sealed).state is State.HELD


def test_a_partly_known_message_is_waited_for(sender: Sender) -> None:
    sealed = sender.held()
    sender.hear(unknown(sender, sealed, PARTIAL), asked={sealed.message_id: State.HELD})
    assert sender.get(sealed).state is State.HELD


def test_an_unknown_after_its_time_is_no_loss(sender: Sender) -> None:
    sealed = sender.held(HUB, expires=NOW + 60)
    asked = {sealed.message_id: State.HELD}
    sender.hear(unknown(sender, sealed), asked=asked, now=NOW + 60)
    assert sender.get(sealed).state is State.HELD


# ------------------------------ taking note


def test_the_gateway_is_told_once_that_an_outcome_was_noted_and_again_if_it_did_not_hear(
    sender: Sender,
) -> None:
    sealed = sender.held(HUB)
    assert sender.box.seen(NOW) == []
    sender.hear(sender.read(sealed, HUB))
    (publish,) = sender.box.seen(NOW)
    seen = cose.parse_signed(Seen, publish.payload).verify(
        sender.fleet.identities[ME].public, sender.fleet.aad
    )
    assert publish.topic == f"sealgate/1/seen/{ME}"
    assert [(item.message_id, item.digest) for item in seen.messages] == [
        (sealed.message_id, sealed.digest)
    ]
    assert sender.box.seen(NOW) == []
    sender.hear(sender.event(EventKind.HELD, sealed), sender.read(sealed, HUB))
    assert len(sender.box.seen(NOW)) == 1


def test_an_outcome_is_told_after_a_restart_until_the_gateway_has_forgotten_it(
    sender: Sender,
) -> None:
    sealed = sender.held(HUB)
    sender.hear(sender.read(sealed, HUB))
    sender.restart()
    assert len(sender.box.seen(NOW)) == 1
    assert [item.message_id for item in sender.box.tracked()] == [sealed.message_id]
    sender.hear(sender.event(EventKind.HELD, sealed, word=FINISHED))
    assert sender.get(sealed).noted is Noted.DONE
    assert sender.get(sealed).state is State.SETTLED
    assert sender.box.tracked() == {}
    sender.restart()
    assert sender.box.seen(NOW) == []


def noted(sender: Sender, *readers: str) -> Sealed:
    """Take a message all its way, until the gateway has forgotten it."""
    sealed = sender.held(*readers)
    sender.hear(*(sender.read(sealed, reader) for reader in readers))
    sender.box.seen(NOW)
    sender.hear(sender.event(EventKind.HELD, sealed, word=FINISHED))
    assert sender.get(sealed).noted is Noted.DONE
    return sealed


def test_a_gateway_that_has_its_outcome_again_is_told_again_until_it_has_forgotten_it(
    sender: Sender,
) -> None:
    sealed = noted(sender, HUB)
    sender.hear(sender.event(EventKind.HELD, sealed))  # its ledger is that of yesterday
    assert sender.box.seen(NOW) == []  # for it the message is not over
    sender.hear(sender.read(sealed, HUB))
    sender.restart()
    assert len(sender.box.seen(NOW)) == 1
    assert [item.message_id for item in sender.box.tracked()] == [sealed.message_id]
    sender.hear(sender.event(EventKind.HELD, sealed, word=FINISHED))
    assert sender.box.seen(NOW) == []
    assert sender.box.tracked() == {}
    assert sender.get(sealed).state is State.SETTLED


@pytest.mark.parametrize("kind", [EventKind.READ, EventKind.EXPIRED])
def test_any_outcome_shows_that_the_gateway_keeps_one(sender: Sender, kind: EventKind) -> None:
    sealed = noted(sender, HUB)
    event = sender.read(sealed, HUB) if kind is EventKind.READ else sender.event(kind, sealed)
    sender.hear(event)
    assert len(sender.box.seen(NOW)) == 1


def test_a_forgotten_outcome_that_the_gateway_has_after_all_is_noted(sender: Sender) -> None:
    sealed = sender.held(HUB)
    sender.hear(sender.event(EventKind.HELD, sealed, word=FINISHED))
    assert sender.get(sealed).state is State.FORGOTTEN
    sender.hear(sender.read(sealed, HUB))
    assert len(sender.box.seen(NOW)) == 1


def test_a_forged_ack_does_not_bring_an_outcome_back(sender: Sender) -> None:
    sealed = noted(sender, HUB)
    forged = sender.ack(sealed, HUB, signer=sender.fleet.identities["phone"])
    sender.hear(sender.read(sealed, HUB, forged))
    assert sender.get(sealed).noted is Noted.DONE
    assert sender.box.seen(NOW) == []


def test_old_notices_that_somebody_plays_again_are_answered_only_so_often(sender: Sender) -> None:
    sealed = noted(sender, HUB)
    said = 0
    for _ in range(30):
        sender.hear(sender.read(sealed, HUB))
        said += len(sender.box.seen(NOW))
        sender.hear(sender.event(EventKind.HELD, sealed, word=FINISHED))
    assert said == 10


def test_open_messages_are_asked_about_and_settled_ones_only_so_often(sender: Sender) -> None:
    waiting, held, settled = sender.send(), sender.held(), sender.held(HUB)
    everything = {waiting.message_id, held.message_id, settled.message_id}
    read = sender.read(settled, HUB)
    sender.hear(read)
    for _ in range(100):  # nobody answers
        assert {item.message_id for item in sender.box.tracked()} == everything
    for _ in range(10):
        assert {item.message_id for item in sender.box.tracked()} == everything
        sender.hear(read, asked={settled.message_id: State.SETTLED})
    assert {item.message_id for item in sender.box.tracked()} == {
        waiting.message_id,
        held.message_id,
    }


def test_records_are_forgotten_long_after_they_ended_and_not_before(sender: Sender) -> None:
    done, held = sender.held(HUB), sender.held(HUB, expires=NOW + 2 * DAY)
    sender.hear(sender.read(done, HUB))
    sender.box.forget(NOW + DAY + KEPT)
    assert sender.box.get(done.message_id)
    sender.box.forget(NOW + DAY + KEPT + 1)
    assert sender.box.get(done.message_id) is None
    assert sender.get(held).state is State.HELD


def test_a_message_is_found_by_the_first_digits_of_its_id(sender: Sender) -> None:
    first, second = sender.send(), sender.send()
    for digits in (1, 2, 7, 8, 31, 32):
        prefix = second.message_id.hex()[:digits]
        expected = {
            sealed.message_id
            for sealed in (first, second)
            if sealed.message_id.hex().startswith(prefix)
        }
        assert {message.message_id for message in sender.box.find(prefix, 5)} == expected


def test_open_hashes_are_all_that_is_kept_of_the_readers_tokens(sender: Sender) -> None:
    sealed = sender.held(HUB)
    token = sender.token(sealed, HUB)
    assert token not in _content(sender)
    assert hashlib.sha256(token).digest() in _content(sender)
