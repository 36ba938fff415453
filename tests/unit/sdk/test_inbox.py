"""The inbox: what is shown, once, in which order, and what is signed about it."""

import pytest

from device_sdk.inbox import waiting
from device_sdk.unseal import open_copy
from device_sdk.wire.limits import DAY
from device_sdk.wire.read_ack import READ
from tests.support.fleet import NOW
from tests.support.reader import ME, SENDER, TICK, Reader

# ------------------------------ the way of a message


def test_a_handled_message_is_answered_with_a_read_ack_that_shows_its_opening(
    reader: Reader,
) -> None:
    sealed = reader.send()
    assert reader.deliver(sealed) == []
    publish = reader.handle()
    ack = reader.verified(publish)
    assert publish.topic == f"sealgate/1/read/{ME}/{SENDER}/{sealed.message_id.hex()}"
    assert (ack.verdict, ack.digest, ack.time) == (READ, sealed.digest, NOW + 1)
    assert ack.shows_opening(sealed.open_hashes[ME])


def test_messages_are_shown_in_the_order_in_which_they_came(reader: Reader) -> None:
    for text in (b"1", b"2", b"3"):
        reader.deliver(reader.send(text))
    shown = [reader.show()[1].payload for _ in range(3)]
    assert shown == [b"1", b"2", b"3"]
    assert reader.take() is None


def test_a_copy_that_comes_twice_is_shown_once(reader: Reader) -> None:
    sealed = reader.send()
    reader.deliver(sealed)
    reader.deliver(sealed)
    reader.show()
    reader.deliver(sealed)
    assert reader.take() is None


def test_a_handled_copy_that_comes_back_is_acked_again_with_the_same_bytes_and_not_shown(
    reader: Reader,
) -> None:
    sealed = reader.send()
    reader.deliver(sealed)
    first = reader.handle()
    reader.restart()
    assert reader.deliver(sealed) == [first]
    assert reader.take() is None


def test_handling_one_of_two_copies_of_a_message_leaves_no_second(reader: Reader) -> None:
    sealed = reader.send()
    reader.deliver(sealed)
    parcel = reader.take()
    assert parcel is not None
    reader.deliver(sealed)
    assert reader.take() is None


def test_the_sealed_copy_leaves_the_file_once_it_is_handled(reader: Reader) -> None:
    sealed = reader.send()
    reader.deliver(sealed)
    parcel, opened = reader.show()
    part = parcel.data[200:300]
    assert part in _content(reader)
    assert b"21.5" not in _content(reader)
    reader.box.handled(parcel, opened, NOW)
    assert part not in _content(reader)


def _content(reader: Reader) -> bytes:
    reader.state.sweep()
    return b"".join(path.read_bytes() for path in reader.path.parent.iterdir())


# ------------------------------ what failed comes first


def test_a_message_whose_handler_failed_waits_for_the_next_time(reader: Reader) -> None:
    failed, other = reader.send(b"1"), reader.send(b"2")
    reader.deliver(failed)
    parcel, _ = reader.show()
    assert reader.unfinished() == []  # still in somebody's hands
    reader.box.hands.let_go(parcel.key)
    reader.deliver(other)
    assert reader.unfinished() == [(SENDER, failed.message_id)]
    assert reader.box.unconfirmed(10) == []


def test_a_message_that_a_crash_cut_off_comes_first_and_from_the_file(reader: Reader) -> None:
    sealed = reader.send()
    reader.deliver(sealed)
    reader.show()
    reader.restart()
    (key,) = reader.unfinished()
    parcel = reader.again(key)
    assert parcel is not None
    opened = open_copy(parcel.checked, reader.fleet.reader_keys[ME])
    assert opened.payload == b"21.5"
    reader.box.handled(parcel, opened, NOW)
    reader.restart()
    assert reader.unfinished() == []


def test_failed_messages_come_in_the_order_in_which_they_were_shown(reader: Reader) -> None:
    sent = [reader.send() for _ in range(3)]
    for sealed in sent:
        reader.deliver(sealed)
        reader.show()
    reader.restart()
    assert reader.unfinished() == [(SENDER, sealed.message_id) for sealed in sent]


def test_a_failed_message_whose_time_is_over_is_not_shown_again(reader: Reader) -> None:
    reader.deliver(reader.send(expires=NOW + 60))
    reader.show()
    reader.restart()
    (key,) = reader.unfinished()
    assert reader.again(key, now=NOW + 60) is None
    assert reader.unfinished() == []


def test_a_failed_message_whose_sender_was_revoked_is_not_shown_again(reader: Reader) -> None:
    reader.deliver(reader.send())
    reader.show()
    reader.restart()
    reader.fleet.revoke(SENDER)
    reader.roster = reader.fleet.roster()
    (key,) = reader.unfinished()
    assert reader.again(key) is None


# ------------------------------ read acks on their way


def test_read_acks_are_published_again_until_the_broker_confirms_them(reader: Reader) -> None:
    for text in (b"1", b"2"):
        reader.deliver(reader.send(text))
    acks = [reader.handle(), reader.handle()]
    reader.restart()
    assert list(reader.box.unconfirmed(10)) == acks
    assert acks[0].confirms is not None
    reader.box.confirm([acks[0].confirms])
    assert list(reader.box.unconfirmed(10)) == acks[1:]
    assert reader.box.count_unconfirmed() == 1


def test_what_was_handled_is_remembered_until_its_time_is_over(reader: Reader) -> None:
    sealed = reader.send(expires=NOW + 60)
    reader.deliver(sealed)
    reader.handle()
    assert not reader.box.has_expired(NOW + 59)
    reader.box.forget(NOW + 59)
    assert len(reader.deliver(sealed)) == 1
    assert reader.box.has_expired(NOW + 60)
    reader.box.forget(NOW + 60)
    assert reader.deliver(sealed, now=NOW + 60) == []
    assert reader.take() is None


def test_a_copy_that_has_expired_is_asked_for_again_only_if_a_clock_may_be_ahead(
    reader: Reader,
) -> None:
    over, early = NOW + DAY, NOW + DAY - 1
    sealed = reader.send(expires=over)
    reader.deliver(sealed, now=over, trusted=over)
    assert reader.wanted() == []
    reader.deliver(sealed, now=over, trusted=early)
    assert reader.wanted() == [sealed.message_id]
    reader.deliver(sealed, now=early)
    assert reader.wanted(TICK + 999) == []
    assert reader.take(now=over, trusted=early) is None  # it ran ahead while the copy waited here
    assert reader.wanted() == [sealed.message_id]


def test_a_stored_copy_outlives_a_clock_that_is_ahead(reader: Reader) -> None:
    sealed = reader.send(expires=NOW + DAY)
    reader.deliver(sealed)
    reader.show()
    reader.restart()
    (key,) = reader.unfinished()
    assert reader.again(key, now=NOW + DAY, trusted=NOW) is None
    assert reader.unfinished() == [key]
    assert reader.again(key, now=NOW + DAY, trusted=NOW + DAY) is None
    assert reader.unfinished() == []


def test_a_message_with_an_absurd_expiry_can_be_stored(reader: Reader) -> None:
    reader.deliver(reader.send(expires=2**64 - 1))
    reader.handle()
    assert reader.box.count_unconfirmed() == 1


# ------------------------------ how complete the picture is


def test_copies_beyond_what_memory_is_given_are_left_at_the_broker_and_fetched_later(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MOST_WAITING", 2)
    sent = [reader.send() for _ in range(3)]
    for sealed in sent:
        reader.deliver(sealed)
    assert reader.box.replay.is_due(TICK)
    reader.handle()
    reader.handle()
    assert reader.take() is None
    reader.box.replay.subscribed(TICK)
    for sealed in sent:
        reader.deliver(sealed)
    assert reader.handle().confirms == (SENDER, sent[2].message_id)


def test_a_large_replay_is_asked_for_again_and_a_small_one_makes_the_reader_ask(
    reader: Reader,
) -> None:
    reader.deliver(reader.send())
    assert not reader.box.replay.is_due(TICK)
    assert reader.box.replay.take_doubt()
    assert not reader.box.replay.take_doubt()
    for _ in range(16):
        reader.deliver(reader.send())
    assert reader.box.replay.is_due(TICK)
    reader.box.replay.subscribed(TICK)
    assert not reader.box.replay.is_due(TICK)


def test_live_copies_give_no_reason_to_doubt_the_replay(reader: Reader) -> None:
    for _ in range(20):
        reader.deliver(reader.send(), retained=False)
    assert not reader.box.replay.is_due(TICK)
    assert not reader.box.replay.take_doubt()


def test_the_broker_is_asked_again_while_the_gateway_says_that_more_is_owed(
    reader: Reader,
) -> None:
    reader.deliver(reader.send())
    reader.deliver(reader.send())
    reader.handle()
    assert reader.box.accounted() == 2  # one waits, one is acked but not cleared
    reader.box.replay.compare(2, reader.box.accounted())
    assert not reader.box.replay.is_due(TICK)
    reader.box.replay.compare(3, reader.box.accounted())
    assert reader.box.replay.is_due(TICK)
    reader.box.replay.subscribed(TICK)
    reader.box.replay.compare(3, 2)
    assert not reader.box.replay.is_due(TICK)
    assert reader.box.replay.is_due(TICK + 2)


def test_an_empty_payload_says_that_a_copy_was_cleared(reader: Reader) -> None:
    sealed = reader.send()
    reader.deliver(sealed)
    reader.handle()
    assert reader.box.accounted() == 1
    reader.deliver(sealed, b"", retained=False)
    assert reader.box.accounted() == 0
