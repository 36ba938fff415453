"""The inbox and copies that are damaged, planted, or made not to open."""

import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from device_sdk.inbox.inbox import UNREADABLE_BURST
from device_sdk.inbox.waiting import MOST_OF_ONE
from device_sdk.seal import Sealed
from device_sdk.unseal import UnreadableError, open_copy
from device_sdk.wire.content_key import cek_commitment
from device_sdk.wire.envelope import Copy, Envelope, countersign
from device_sdk.wire.read_ack import KEY_GONE, NOT_OPENED, UNREADABLE
from device_sdk.wire.suites import OAEP
from device_sdk.wire.topics import Topics
from tests.support.fleet import NOW
from tests.support.reader import ME, SENDER, TICK, Reader

# ------------------------------ damage, for which the sender is not to blame


def _swap_ciphertext(copy: Copy) -> bytes:
    other = bytes(len(copy.body.ciphertext))
    return replace(copy, body=replace(copy.body, ciphertext=other)).encode()


def _swap_wrapped(copy: Copy) -> bytes:
    other = bytes(len(copy.reader.wrapped_cek))
    return replace(copy, reader=replace(copy.reader, wrapped_cek=other)).encode()


DAMAGE: dict[str, Callable[[Copy], bytes]] = {
    "cut short": lambda copy: copy.encode()[:-1],
    "with trailing bytes": lambda copy: copy.encode() + b"\0",
    "of rubbish": lambda copy: os.urandom(500),
    "with another ciphertext": _swap_ciphertext,
    "with another wrapped key": _swap_wrapped,
    "with another index": lambda copy: replace(
        copy, inclusion=replace(copy.inclusion, index=1 - copy.inclusion.index)
    ).encode(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_nothing_is_signed_about_a_damaged_copy_and_it_is_asked_for_again(
    reader: Reader, damage: str
) -> None:
    sealed = reader.send()
    assert reader.deliver(sealed, DAMAGE[damage](reader.copy(sealed))) == []
    assert reader.take() is None
    assert reader.box.count_unconfirmed() == 0
    assert reader.wanted() == [sealed.message_id]
    reader.deliver(sealed)
    assert reader.wanted(TICK + 1000) == []
    assert reader.take() is not None


def test_a_damaged_copy_is_asked_for_less_and_less_often_and_not_for_ever(reader: Reader) -> None:
    sealed = reader.send()
    reader.deliver(sealed, b"rubbish")
    tick, pauses = TICK, []
    while reader.wanted(tick):
        due = reader.box.wanted.next_due()
        if due is None:
            break
        pauses.append(due - tick)
        tick = due
    assert pauses == sorted(pauses)
    assert pauses[0] == 2
    assert len(reader.box.wanted) == 0


def test_copies_planted_under_made_up_names_do_not_fill_the_memory(reader: Reader) -> None:
    for _ in range(300):
        topic = Topics().inbox(ME, SENDER, os.urandom(16))
        reader.deliver(reader.send(), b"rubbish", topic=topic)
    assert len(reader.box.wanted) == 256


@pytest.mark.parametrize("sender", ["phone", "stranger"])
def test_a_copy_under_another_senders_or_messages_topic_is_not_shown(
    reader: Reader, sender: str
) -> None:
    sealed = reader.send()
    topic = Topics().inbox(ME, sender, os.urandom(16))
    reader.deliver(sealed, topic=topic)
    assert reader.take() is None
    assert reader.box.count_unconfirmed() == 0


def test_another_readers_copy_is_not_shown(reader: Reader) -> None:
    sealed = reader.send()
    other = next(c for c in Envelope.decode(sealed.envelope).copies() if c.reader.reader == "phone")
    reader.deliver(sealed, other.encode())
    assert reader.take() is None


def test_a_copy_by_a_sender_whom_the_roster_does_not_list_is_asked_for_until_it_does(
    reader: Reader,
) -> None:
    sealed = reader.send()
    full = reader.roster
    del reader.fleet.devices[SENDER]
    reader.roster = reader.fleet.roster()
    reader.deliver(sealed)
    assert reader.take() is None
    reader.roster = full
    reader.deliver(sealed)
    assert reader.take() is not None


def test_an_expired_copy_is_dropped_and_not_asked_for(reader: Reader) -> None:
    sealed = reader.send(expires=NOW + 60)
    reader.deliver(sealed, now=NOW + 60)
    assert reader.take() is None
    assert reader.wanted() == []


def test_a_copy_that_expires_while_it_waits_is_not_shown(reader: Reader) -> None:
    reader.deliver(reader.send(expires=NOW + 60))
    assert reader.take(now=NOW + 60) is None
    assert reader.box.is_drained


# ------------------------------ what does not open, for which it is


def _forge(reader: Reader, sealed: Sealed, cek: bytes, commitment: bytes | None = None) -> bytes:
    """Return a copy that the sender really signed, around a content key of its choosing."""
    envelope = Envelope.decode(sealed.envelope)
    body = envelope.body
    entry = next(r for r in envelope.readers if r.reader == ME)
    wrapped = reader.fleet.reader_keys[ME].public.key.encrypt(cek, OAEP)
    entry = replace(entry, wrapped_cek=wrapped)
    header = replace(body.header, reader_root=entry.leaf_hash(), reader_count=1)
    if commitment is not None:
        header = replace(header, cek_commitment=commitment)
    protected = header.encode()
    signature, _ = countersign(
        protected, body.ciphertext, reader.fleet.identities[SENDER], reader.fleet.aad
    )
    body = replace(body, protected=protected, header=header, countersignature=signature)
    (copy,) = replace(envelope, body=body, readers=(entry,)).copies()
    return copy.encode()


@pytest.mark.parametrize("attack", ["salamander", "16-byte key"])
def test_what_a_dishonest_sender_made_unreadable_is_answered_so_and_never_shown(
    reader: Reader, attack: str
) -> None:
    sealed = reader.send()
    if attack == "salamander":
        data = _forge(reader, sealed, os.urandom(32))  # opens to something else, if at all
    else:
        short = os.urandom(16)
        commitment = cek_commitment(short.ljust(32, b"\0"), sealed.message_id)
        data = _forge(reader, sealed, short, commitment)
    reader.deliver(sealed, data)
    parcel = reader.take()
    assert parcel is not None
    with pytest.raises(UnreadableError):
        open_copy(parcel.checked, reader.fleet.reader_keys[ME])
    publish = reader.unreadable(parcel, NOT_OPENED, TICK)
    ack = reader.verified(publish)
    assert (ack.verdict, ack.reason, ack.open_token) == (UNREADABLE, NOT_OPENED, b"")
    assert reader.deliver(sealed, data) == [publish]
    assert reader.take() is None


def test_a_copy_for_a_key_that_is_gone_is_answered_so(reader: Reader) -> None:
    sealed = reader.send()
    reader.deliver(sealed)
    parcel = reader.take()
    assert parcel is not None
    ack = reader.verified(reader.unreadable(parcel, KEY_GONE, TICK))
    assert (ack.verdict, ack.reason) == (UNREADABLE, KEY_GONE)


def test_a_sender_who_probes_with_unreadable_copies_is_answered_ever_more_slowly(
    reader: Reader,
) -> None:
    for _ in range(12):
        reader.deliver(reader.send())
    for _ in range(10):
        parcel = reader.take()
        assert parcel is not None
        reader.unreadable(parcel, NOT_OPENED, TICK)
    assert reader.take() is None
    assert reader.box.held_up_until(TICK) == TICK + 6
    parcel = reader.take(tick=TICK + 6)
    assert parcel is not None
    reader.unreadable(parcel, NOT_OPENED, TICK + 6)
    assert reader.take(tick=TICK + 6) is None


def test_other_senders_are_not_held_up_by_one_who_probes(reader: Reader) -> None:
    for _ in range(11):
        reader.deliver(reader.send())
    for _ in range(10):
        parcel = reader.take()
        assert parcel is not None
        reader.unreadable(parcel, NOT_OPENED, TICK)
    honest = reader.fleet.seal(b"honest", sender="phone", to=[ME])
    copy = Envelope.decode(honest.envelope).copies()[0]
    topic = Topics().inbox(ME, "phone", honest.message_id)
    reader.deliver(honest, copy.encode(), topic=topic)
    parcel = reader.take()
    assert parcel is not None
    assert parcel.key == ("phone", honest.message_id)


def test_a_copy_that_could_not_be_tried_waits_again(reader: Reader) -> None:
    reader.deliver(reader.send())
    parcel = reader.take()
    assert parcel is not None
    reader.box.put_back(parcel)
    assert reader.take() == parcel


def test_a_sender_of_copies_that_do_not_open_keeps_nobody_elses_mail_away(reader: Reader) -> None:
    for _ in range(MOST_OF_ONE + 1):
        sealed = reader.fleet.seal(b"x", sender="stranger", to=[ME])
        reader.deliver(sealed, topic=Topics().inbox(ME, "stranger", sealed.message_id))
    for _ in range(UNREADABLE_BURST):
        parcel = reader.take()
        assert parcel is not None
        reader.unreadable(parcel, NOT_OPENED, TICK)
    honest = reader.send()
    reader.deliver(honest)
    parcel = reader.take()
    assert parcel is not None
    assert parcel.key == (SENDER, honest.message_id)
    # What may not be opened yet does not keep the reader from looking for more.
    assert reader.take() is None
    assert reader.box.is_drained
