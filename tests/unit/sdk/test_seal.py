"""Sealing and unsealing: only the named readers read, and damage is told from malice."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from device_sdk.keys.reader_key import BrokenReaderKeyError, ReaderKey
from device_sdk.seal import SealError, WrapTarget
from device_sdk.unseal import (
    CopyDamagedError,
    CopyDroppedError,
    Opened,
    UnreadableError,
    check_copy,
    open_copy,
)
from device_sdk.wire.content_key import open_hash
from device_sdk.wire.envelope import Copy, Envelope
from device_sdk.wire.errors import TooLargeError
from device_sdk.wire.limits import DAY, MAX_PAYLOAD, MAX_READERS
from device_sdk.wire.topics import Kind, Topic
from tests.support.fleet import NOW, Fleet

READERS = ["hub", "phone", "tablet"]


@pytest.fixture
def fleet(rsa_keys: list[rsa.RSAPrivateKey]) -> Fleet:
    fleet = Fleet(rsa_keys)
    for name in ["thermo-1", "stranger", *READERS]:
        fleet.admit(name)
    return fleet


def topic_of(copy: Copy, reader: str | None = None) -> Topic:
    return Topic(
        kind=Kind.INBOX,
        owner=reader or copy.reader.reader,
        sender=copy.body.header.sender,
        message_id=copy.body.header.message_id,
    )


def copies_of(envelope: bytes) -> dict[str, Copy]:
    return {copy.reader.reader: copy for copy in Envelope.decode(envelope).copies()}


def read(fleet: Fleet, copy: Copy, reader: str, *, now: int = NOW) -> Opened:
    checked = check_copy(
        copy.encode(),
        topic=topic_of(copy, reader),
        reader=reader,
        roster=fleet.roster(),
        aad=fleet.aad,
        now=now,
    )
    return open_copy(checked, fleet.reader_keys[reader])


@pytest.mark.parametrize("payload", [b"", b"21.5", b"\0" * 300, bytes(range(256)) * 1024])
def test_every_named_reader_reads_the_payload(fleet: Fleet, payload: bytes) -> None:
    sealed = fleet.seal(payload, sender="thermo-1", to=READERS)
    for reader, copy in copies_of(sealed.envelope).items():
        opened = read(fleet, copy, reader)
        assert opened.payload == payload
        assert open_hash(opened.open_token) == sealed.open_hashes[reader]


def test_sealing_with_threads_gives_an_envelope_every_reader_opens(fleet: Fleet) -> None:
    from device_sdk.seal import seal

    key = fleet.reader_keys["hub"].public
    sealed = seal(
        b"21.5",
        recipients=[WrapTarget(reader=f"r{index}", key=key) for index in range(50)],
        sender="thermo-1",
        signer=fleet.identities["thermo-1"],
        aad=fleet.aad,
        content_type="text/plain",
        issued=NOW,
        expires=NOW + DAY,
        sequence=1,
        threads=2,
    )
    copies = copies_of(sealed.envelope)
    assert sorted(copies) == sorted(f"r{index}" for index in range(50))
    for name in ("r0", "r31", "r49"):
        fleet.reader_keys[name] = fleet.reader_keys["hub"]
        assert read(fleet, copies[name], name).payload == b"21.5"


def test_the_payload_is_nowhere_in_the_envelope_and_small_payloads_all_look_alike(
    fleet: Fleet,
) -> None:
    on = fleet.seal(b"marker-on", sender="thermo-1", to=["hub"])
    off = fleet.seal(b"marker-off!", sender="thermo-1", to=["hub"])
    assert b"marker" not in on.envelope
    assert len(on.envelope) == len(off.envelope)


def test_no_two_messages_share_an_id_a_key_or_bytes(fleet: Fleet) -> None:
    one = fleet.seal(b"21.5", sender="thermo-1", to=["hub"])
    other = fleet.seal(b"21.5", sender="thermo-1", to=["hub"])
    assert one.message_id != other.message_id
    assert one.header.cek_commitment != other.header.cek_commitment
    assert one.header.iv != other.header.iv


def test_a_message_to_nobody_or_to_somebody_twice_is_refused(fleet: Fleet) -> None:
    with pytest.raises(SealError, match="at least one reader"):
        fleet.seal(b"", sender="thermo-1", to=[])
    with pytest.raises(SealError, match="hub is named twice"):
        fleet.seal(b"", sender="thermo-1", to=["hub", "phone", "hub"])
    with pytest.raises(SealError, match=f"at most {MAX_READERS}"):
        fleet.seal(b"", sender="thermo-1", to=["hub"] * (MAX_READERS + 1))


def test_a_payload_over_the_limit_is_refused(fleet: Fleet) -> None:
    with pytest.raises(TooLargeError, match="at most 262144 bytes"):
        fleet.seal(b"x" * (MAX_PAYLOAD + 1), sender="thermo-1", to=["hub"])


def test_a_copy_for_another_reader_is_not_ours_to_judge(fleet: Fleet) -> None:
    copy = copies_of(fleet.seal(b"21.5", sender="thermo-1", to=READERS).envelope)["phone"]
    with pytest.raises(CopyDamagedError):
        read(fleet, copy, "hub")


def test_a_copy_on_another_messages_topic_is_asked_for_again(fleet: Fleet) -> None:
    copy = copies_of(fleet.seal(b"21.5", sender="thermo-1", to=READERS).envelope)["hub"]
    for topic in (
        replace(topic_of(copy), sender="stranger"),
        replace(topic_of(copy), message_id=b"x" * 16),
        replace(topic_of(copy), owner="phone"),
    ):
        with pytest.raises(CopyDamagedError):
            check_copy(
                copy.encode(),
                topic=topic,
                reader="hub",
                roster=fleet.roster(),
                aad=fleet.aad,
                now=NOW,
            )


def test_a_sender_that_the_owner_never_admitted_is_not_believed(fleet: Fleet) -> None:
    copy = copies_of(fleet.seal(b"21.5", sender="thermo-1", to=["hub"]).envelope)["hub"]
    del fleet.devices["thermo-1"]
    with pytest.raises(CopyDamagedError, match="thermo-1"):
        read(fleet, copy, "hub")


def test_a_sender_that_the_owner_revoked_is_not_read_any_more(fleet: Fleet) -> None:
    copy = copies_of(fleet.seal(b"21.5", sender="thermo-1", to=["hub"]).envelope)["hub"]
    fleet.revoke("thermo-1")
    with pytest.raises(CopyDroppedError, match="revoked"):
        read(fleet, copy, "hub")


def test_another_fleets_message_is_not_believed(
    fleet: Fleet, rsa_keys: list[rsa.RSAPrivateKey]
) -> None:
    other = Fleet(rsa_keys)
    other.identities = fleet.identities
    for name in ("thermo-1", "hub"):
        other.admit(name)
    copy = copies_of(other.seal(b"21.5", sender="thermo-1", to=["hub"]).envelope)["hub"]
    with pytest.raises(CopyDamagedError):
        read(fleet, copy, "hub")


def test_an_expired_copy_is_dropped_from_the_very_second_on(fleet: Fleet) -> None:
    sealed = fleet.seal(b"21.5", sender="thermo-1", to=["hub"], expires=NOW + 10)
    copy = copies_of(sealed.envelope)["hub"]
    assert read(fleet, copy, "hub", now=NOW + 9).payload == b"21.5"
    with pytest.raises(CopyDroppedError, match="expired"):
        read(fleet, copy, "hub", now=NOW + 10)


def test_a_channel_message_is_believed_only_from_a_sender_the_owner_permits(fleet: Fleet) -> None:
    from device_sdk.seal import seal
    from device_sdk.wire.roster_page import ChannelEntry

    sealed = seal(
        b"21.5",
        recipients=[fleet.target("hub")],
        sender="thermo-1",
        signer=fleet.identities["thermo-1"],
        aad=fleet.aad,
        content_type="text/plain",
        issued=NOW,
        expires=NOW + DAY,
        sequence=1,
        channel="cellar",
    )
    copy = copies_of(sealed.envelope)["hub"]
    for senders, permitted in ((("thermo-1",), True), (("stranger",), False)):
        fleet.channels["cellar"] = ChannelEntry(readers=("hub",), senders=senders, lifetime=DAY)
        if permitted:
            assert read(fleet, copy, "hub").payload == b"21.5"
        else:
            with pytest.raises(CopyDamagedError, match="channel"):
                read(fleet, copy, "hub")


def test_a_genuine_copy_that_does_not_open_is_unreadable(fleet: Fleet) -> None:
    sealed = fleet.seal(b"21.5", sender="thermo-1", to=["hub"])
    copy = copies_of(sealed.envelope)["hub"]
    checked = check_copy(
        copy.encode(),
        topic=topic_of(copy),
        reader="hub",
        roster=fleet.roster(),
        aad=fleet.aad,
        now=NOW,
    )
    with pytest.raises(UnreadableError):
        open_copy(checked, fleet.reader_keys["phone"])


def test_our_own_broken_key_is_never_blamed_on_the_sender(
    fleet: Fleet, rsa_keys: list[rsa.RSAPrivateKey]
) -> None:
    sealed = fleet.seal(b"21.5", sender="thermo-1", to=["hub"])
    copy = copies_of(sealed.envelope)["hub"]
    checked = check_copy(
        copy.encode(),
        topic=topic_of(copy),
        reader="hub",
        roster=fleet.roster(),
        aad=fleet.aad,
        now=NOW,
    )
    halves_of_two_keys = ReaderKey(rsa_keys[3], ReaderKey.from_key(rsa_keys[0]).public)
    with pytest.raises(BrokenReaderKeyError):
        open_copy(checked, halves_of_two_keys)
