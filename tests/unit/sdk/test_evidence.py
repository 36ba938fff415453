"""What a sender believes about its readers, and what it does not."""

import os
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from device_sdk.identity import Identity
from device_sdk.outbox.outgoing import State, Verdict
from device_sdk.seal import Sealed
from device_sdk.wire import cose
from device_sdk.wire.excuse import Excuse
from device_sdk.wire.limits import CLOCK_SKEW, DAY
from device_sdk.wire.notice import SENDER_REVOKED, Event, EventKind, Excusal
from device_sdk.wire.read_ack import NOT_OPENED, READ, UNREADABLE, ReadAck
from tests.support.fleet import NOW, Fleet
from tests.support.sender import HUB, ME, PHONE, Sender

# ------------------------------ read


def test_a_message_that_all_have_read_is_settled_with_their_acks_as_evidence(
    sender: Sender,
) -> None:
    sealed = sender.held(HUB, PHONE)
    acks = {reader: sender.ack(sealed, reader) for reader in (HUB, PHONE)}
    sender.hear(sender.read(sealed, HUB, acks[HUB]))
    assert sender.get(sealed).owing == [PHONE]
    sender.hear(sender.read(sealed, PHONE, acks[PHONE]))
    message = sender.get(sealed)
    assert message.state is State.SETTLED
    assert {slot.reader: slot.evidence for slot in message.slots} == acks
    assert {slot.at for slot in message.slots} == {NOW + 5}


def test_read_acks_count_after_a_restart_and_before_held_was_heard(sender: Sender) -> None:
    sealed = sender.send(HUB)
    sender.restart()
    sender.hear(sender.read(sealed, HUB))
    assert sender.get(sealed).state is State.SETTLED
    assert sender.envelopes() == []


def test_an_unreadable_copy_releases_its_reader_and_says_why(sender: Sender) -> None:
    sealed = sender.held(HUB)
    ack = sender.ack(sealed, HUB, verdict=UNREADABLE)
    sender.hear(sender.event(EventKind.UNREADABLE, sealed, ack=ack))
    slot = sender.get(sealed).slot(HUB)
    assert slot is not None
    assert (slot.verdict, slot.detail) == (Verdict.UNREADABLE, NOT_OPENED)
    assert sender.get(sealed).state is State.SETTLED


def _with_last_byte_changed(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


FORGERIES: dict[str, Callable[[Sender, Sealed], bytes]] = {
    "signed by another device": lambda s, m: s.ack(m, HUB, signer=s.fleet.identities["stranger"]),
    "signed by the gateway": lambda s, m: s.ack(m, HUB, signer=s.fleet.admit("gw-1", "gateway")),
    "with a made-up token": lambda s, m: s.ack(m, HUB, open_token=os.urandom(32)),
    "with another reader's token": lambda s, m: s.ack(m, HUB, open_token=s.token(m, PHONE)),
    "about other content": lambda s, m: s.ack(m, HUB, digest=os.urandom(32)),
    "about another message": lambda s, m: s.ack(m, HUB, message_id=os.urandom(16)),
    "about another sender's message": lambda s, m: s.ack(m, HUB, sender="stranger"),
    "by somebody who is no reader": lambda s, m: s.ack(m, "stranger", open_token=s.token(m, HUB)),
    "saying unreadable": lambda s, m: s.ack(m, HUB, verdict=UNREADABLE),
    "that is no ack": lambda s, m: os.urandom(100),
    "with a byte changed": lambda s, m: _with_last_byte_changed(s.ack(m, HUB)),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_read_event_counts_for_nothing_with_an_ack(sender: Sender, forgery: str) -> None:
    sealed = sender.held(HUB, PHONE)
    ack = FORGERIES[forgery](sender, sealed)
    sender.hear(sender.read(sealed, HUB, ack))
    assert sender.get(sealed).owing == [HUB, PHONE]


def test_an_ack_of_one_message_does_not_pass_for_another(sender: Sender) -> None:
    first, second = sender.held(HUB), sender.held(HUB)
    ack = sender.ack(first, HUB)
    sender.hear(sender.read(second, HUB, ack))
    assert sender.verdict(second, HUB) is Verdict.OWED


def test_a_read_ack_for_another_fleet_counts_for_nothing(
    sender: Sender, rsa_keys: list[rsa.RSAPrivateKey]
) -> None:
    sealed = sender.held(HUB)
    ack = ReadAck(
        verdict=READ,
        sender=ME,
        message_id=sealed.message_id,
        digest=sealed.digest,
        reader=HUB,
        time=NOW,
        open_token=sender.token(sealed, HUB),
    )
    foreign = cose.sign(ack, sender.fleet.identities[HUB], Fleet(rsa_keys).aad)
    sender.hear(sender.read(sealed, HUB, foreign))
    assert sender.verdict(sealed, HUB) is Verdict.OWED


def test_one_forged_event_does_not_spoil_the_others_of_its_notice(sender: Sender) -> None:
    sealed = sender.held(HUB, PHONE)
    forged = sender.read(sealed, PHONE, os.urandom(64))
    sender.hear(forged, sender.read(sealed, HUB), forged)
    assert sender.get(sealed).owing == [PHONE]


def test_a_read_that_crosses_an_excusal_counts_and_is_not_taken_back(sender: Sender) -> None:
    sealed = sender.held(HUB, PHONE)
    sender.hear(_excused(sender, sealed, HUB))
    sender.hear(sender.read(sealed, HUB))
    assert sender.verdict(sealed, HUB) is Verdict.READ
    sender.hear(_excused(sender, sealed, HUB))
    unreadable = sender.ack(sealed, HUB, verdict=UNREADABLE)
    sender.hear(sender.event(EventKind.UNREADABLE, sealed, ack=unreadable))
    assert sender.verdict(sealed, HUB) is Verdict.READ


def test_an_ack_from_the_far_future_is_stored(sender: Sender) -> None:
    sealed = sender.held(HUB)
    sender.hear(sender.read(sealed, HUB, sender.ack(sealed, HUB, time=2**64 - 1)))
    assert sender.get(sealed).state is State.SETTLED


# ------------------------------ excused


def _excused(
    sender: Sender,
    sealed: Sealed,
    *readers: str,
    signer: Identity | None = None,
    message_id: bytes = b"",
    really: tuple[str, ...] = (),
) -> Event:
    """Excuse some readers, with an excuse that may be for another message or others ``really``."""
    excuse = Excuse(
        sender=ME,
        message_id=message_id or sealed.message_id,
        readers=really or readers,
        time=NOW,
    )
    data = cose.sign(excuse, signer or sender.fleet.root, sender.fleet.aad)
    return sender.event(EventKind.EXCUSED, sealed, excusal=Excusal(readers=readers, excuse=data))


def test_the_owners_excuse_releases_a_reader(sender: Sender) -> None:
    sealed = sender.held(HUB, PHONE)
    sender.hear(_excused(sender, sealed, HUB))
    assert sender.get(sealed).owing == [PHONE]
    sender.hear(sender.read(sealed, PHONE))
    assert sender.get(sealed).state is State.SETTLED


def test_an_excuse_by_anybody_but_the_owner_releases_nobody(sender: Sender) -> None:
    sealed = sender.held(HUB)
    gateway = sender.fleet.admit("gw-1", "gateway")
    sender.hear(_excused(sender, sealed, HUB, signer=gateway))
    assert sender.get(sealed).owing == [HUB]


def test_an_excuse_for_another_message_or_reader_releases_nobody(sender: Sender) -> None:
    sealed = sender.held(HUB, PHONE)
    sender.hear(_excused(sender, sealed, HUB, message_id=os.urandom(16)))
    sender.hear(_excused(sender, sealed, HUB, really=(PHONE,)))
    assert sender.get(sealed).owing == [HUB, PHONE]


def _revoked(sender: Sender, sealed: Sealed, version: int, *readers: str) -> Event:
    return sender.event(
        EventKind.EXCUSED, sealed, excusal=Excusal(readers=readers, roster_version=version)
    )


def test_a_revocation_releases_a_reader_once_its_roster_is_known_here(sender: Sender) -> None:
    sealed = sender.held(HUB, PHONE)
    sender.fleet.revoke(HUB)
    new = sender.fleet.roster()
    sender.hear(_revoked(sender, sealed, new.version, HUB))
    assert sender.get(sealed).owing == [HUB, PHONE]
    sender.roster = new
    sender.hear(_revoked(sender, sealed, new.version, HUB))
    assert sender.get(sealed).owing == [PHONE]


def test_a_revocation_that_the_roster_does_not_show_releases_nobody(sender: Sender) -> None:
    sealed = sender.held(HUB)
    sender.hear(_revoked(sender, sealed, sender.roster.version, HUB))
    assert sender.get(sealed).owing == [HUB]


# ------------------------------ expired


def test_what_nobody_reads_in_time_is_closed_by_this_devices_own_clock(sender: Sender) -> None:
    sealed = sender.held(HUB, PHONE, expires=NOW + 60)
    sender.hear(sender.read(sealed, HUB))
    sender.box.expire(NOW + 59)
    assert sender.get(sealed).state is State.HELD
    sender.box.expire(NOW + 60)
    assert sender.get(sealed).state is State.EXPIRED
    assert sender.get(sealed).owing == [PHONE]


def test_a_message_that_was_never_held_expires_too_and_is_not_sent_any_more(
    sender: Sender,
) -> None:
    sealed = sender.send(HUB, expires=NOW + 60)
    sender.box.expire(NOW + 60)
    assert sender.get(sealed).state is State.EXPIRED
    assert sender.envelopes() == []
    # The gateway may hold it all the same, and wait for its sender to take note.
    assert len(sender.box.seen(NOW + 60)) == 1


def test_a_gateway_cannot_end_a_message_before_its_time(sender: Sender) -> None:
    sealed = sender.held(HUB)
    expired = sender.event(EventKind.EXPIRED, sealed)
    sender.hear(expired, now=NOW + DAY - CLOCK_SKEW - 1)
    assert sender.get(sealed).state is State.HELD
    sender.hear(expired, now=NOW + DAY - CLOCK_SKEW)
    assert sender.get(sealed).state is State.EXPIRED


def test_a_gateway_can_end_a_message_early_only_if_the_owner_revoked_the_sender(
    sender: Sender,
) -> None:
    sealed = sender.held(HUB)
    expired = sender.event(EventKind.EXPIRED, sealed, word=SENDER_REVOKED)
    sender.hear(expired)
    assert sender.get(sealed).state is State.HELD
    sender.fleet.revoke(ME)
    sender.roster = sender.fleet.roster()
    sender.hear(expired)
    assert (sender.get(sealed).state, sender.get(sealed).detail) == (State.EXPIRED, SENDER_REVOKED)


def test_a_late_read_ack_still_turns_an_expired_message_into_a_read_one(sender: Sender) -> None:
    sealed = sender.held(HUB, expires=NOW + 60)
    sender.box.expire(NOW + 60)
    sender.hear(sender.read(sealed, HUB), now=NOW + 61)
    assert sender.get(sealed).state is State.SETTLED
