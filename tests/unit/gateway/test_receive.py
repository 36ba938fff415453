"""What the gateway accepts, and why it refuses the rest (PROTOCOL 13.1)."""

from dataclasses import replace

import cbor2
import pytest

from device_sdk.identity import Identity
from device_sdk.wire import cose
from device_sdk.wire.envelope import Envelope
from device_sdk.wire.limits import CLOCK_SKEW, DAY, MAX_ENVELOPE, MAX_LIFETIME
from device_sdk.wire.reasons import Reason
from device_sdk.wire.roster_page import ROLE_GATEWAY, ChannelEntry
from gateway.receive import Accepted, Refused, check, unpack
from gateway.situation import Limits, Situation
from gateway.store.records import StoredKey
from tests.support.envelopes import NOW, TOPICS, Fleet, SealedMessage

KEYS_UNTIL = NOW + 90 * DAY


class Desk:
    """Receives for one fleet, with its members' key statements unless a test changes them."""

    def __init__(self) -> None:
        self.fleet = Fleet()
        self.fleet.admit("thermo", "hub", "phone", "wall")
        self.situation = Situation(pin=self.fleet.pin, roster=self.fleet.roster(), now=NOW)
        self.keys = {
            (name, member.reader_kid): StoredKey(
                device=name,
                kid=member.reader_kid,
                serial=1,
                not_before=NOW - DAY,
                not_after=KEYS_UNTIL,
                statement=member.statement,
            )
            for name, member in self.fleet.members.items()
        }

    def change(self, **changes: object) -> None:
        """Renew the roster and change the situation."""
        self.situation = replace(self.situation, roster=self.fleet.roster())
        self.situation = replace(self.situation, **changes)  # type: ignore[arg-type]

    def receive(
        self, message: SealedMessage, data: bytes = b"", topic: str = ""
    ) -> Accepted | Refused:
        """Receive a message, or other bytes under its or another topic."""
        parsed = TOPICS.parse(topic or message.topic)
        unpacked = unpack(parsed, data or message.data, self.situation)
        if isinstance(unpacked, Refused):
            return unpacked
        return check(unpacked, self.situation, lambda *named: self.keys.get(named))

    def reason(self, message: SealedMessage, data: bytes = b"", topic: str = "") -> Reason:
        """Return why a message is refused."""
        refused = self.receive(message, data, topic)
        assert isinstance(refused, Refused)
        return refused.reason


@pytest.fixture
def desk() -> Desk:
    return Desk()


def flipped(data: bytes, at: int) -> bytes:
    """Return the bytes with one bit changed."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_a_good_envelope_is_accepted_with_a_copy_for_every_reader(desk: Desk) -> None:
    message = desk.fleet.seal("thermo", ["hub", "phone", "wall"])
    accepted = desk.receive(message)
    assert isinstance(accepted, Accepted)
    assert accepted.digest == message.digest
    assert [copy.reader.reader for copy in accepted.copies] == ["hub", "phone", "wall"]
    assert list(accepted.copies) == message.envelope.copies()
    assert accepted.excused == {}


def test_an_empty_payload_is_as_good_as_any(desk: Desk) -> None:
    assert isinstance(desk.receive(desk.fleet.seal("thermo", ["hub"], b"")), Accepted)


def test_a_refusal_names_the_digest_of_what_was_refused(desk: Desk) -> None:
    message = desk.fleet.seal("thermo", ["hub"], expires=NOW - 1)
    refused = desk.receive(message)
    assert isinstance(refused, Refused)
    assert refused.digest == message.digest
    garbage = desk.receive(message, b"garbage")
    assert isinstance(garbage, Refused)
    assert garbage.digest == b""


# ---------------------------------------------------------------- bytes


@pytest.mark.parametrize(
    "data",
    [
        b"\xa0",
        b"\xd8\x60\x80",
        cbor2.dumps([1.5]),
        b"\xd8\x60" + cbor2.dumps([b"", {}, b"", [1.0]]),
        b"\xd8\x60" + b"\xa2\x01\x01\x01\x01",
    ],
    ids=["map", "empty array", "no tag", "float", "duplicate key"],
)
def test_what_is_no_envelope_is_malformed(desk: Desk, data: bytes) -> None:
    message = desk.fleet.seal("thermo", ["hub"])
    assert desk.reason(message, data) is Reason.MALFORMED


def test_truncated_and_trailing_bytes_are_malformed(desk: Desk) -> None:
    message = desk.fleet.seal("thermo", ["hub"])
    assert desk.reason(message, message.data[:-1]) is Reason.MALFORMED
    assert desk.reason(message, message.data + b"\0") is Reason.MALFORMED


def test_an_empty_reader_list_is_malformed(desk: Desk) -> None:
    assert desk.reason(desk.fleet.seal("thermo", [])) is Reason.MALFORMED


def test_readers_in_another_order_or_twice_are_malformed(desk: Desk) -> None:
    message = desk.fleet.seal("thermo", ["hub", "phone"])
    hub, phone = message.envelope.readers
    for readers in [(phone, hub), (hub, hub, phone)]:
        data = Envelope(body=message.envelope.body, readers=readers).encode()
        assert desk.reason(message, data) is Reason.MALFORMED


def test_more_bytes_than_any_envelope_has_are_too_large(desk: Desk) -> None:
    message = desk.fleet.seal("thermo", ["hub"])
    data = message.data.ljust(MAX_ENVELOPE + 3, b"\0")
    assert desk.reason(message, data) is Reason.TOO_LARGE


def test_the_operator_may_set_lower_limits(desk: Desk) -> None:
    large = desk.fleet.seal("thermo", ["hub"], bytes(2000))
    wide = desk.fleet.seal("thermo", ["hub", "phone", "wall"])
    desk.change(limits=Limits(max_payload=1000, max_readers=2))
    assert desk.reason(large) is Reason.TOO_LARGE
    assert desk.reason(wide) is Reason.TOO_LARGE
    assert isinstance(desk.receive(desk.fleet.seal("thermo", ["hub"], bytes(1000))), Accepted)


# ---------------------------------------------------------------- who and where


def test_a_topic_that_is_not_the_senders_own_is_refused(desk: Desk) -> None:
    message = desk.fleet.seal("thermo", ["hub"])
    theirs = TOPICS.send("phone", message.message_id)
    assert desk.reason(message, topic=theirs) is Reason.TOPIC_MISMATCH


def test_a_topic_with_another_message_id_is_refused(desk: Desk) -> None:
    message = desk.fleet.seal("thermo", ["hub"])
    other = TOPICS.send("thermo", bytes(16))
    assert desk.reason(message, topic=other) is Reason.TOPIC_MISMATCH


def test_an_unknown_sender_may_try_again_when_the_roster_lists_it(desk: Desk) -> None:
    desk.fleet.admit("new")
    message = desk.fleet.seal("new", ["hub"])
    assert desk.reason(message) is Reason.SENDER_UNKNOWN
    assert not Reason.SENDER_UNKNOWN.final
    desk.change()
    assert isinstance(desk.receive(message), Accepted)


def test_a_sender_with_an_identity_that_the_roster_does_not_list_is_unknown(desk: Desk) -> None:
    message = desk.fleet.seal("thermo", ["hub"], signer=Identity.generate())
    assert desk.reason(message) is Reason.SENDER_UNKNOWN


def test_a_revoked_sender_is_inactive(desk: Desk) -> None:
    desk.fleet.revoke("thermo")
    desk.change()
    assert desk.reason(desk.fleet.seal("thermo", ["hub"])) is Reason.SENDER_INACTIVE


def test_a_sender_whose_admission_has_ended_is_inactive(desk: Desk) -> None:
    desk.fleet.admit("guest", not_after=NOW)
    desk.change()
    assert desk.reason(desk.fleet.seal("guest", ["hub"])) is Reason.SENDER_INACTIVE


def test_a_gateway_is_no_sender(desk: Desk) -> None:
    desk.fleet.admit("gw", roles=[ROLE_GATEWAY])
    desk.change()
    assert desk.reason(desk.fleet.seal("gw", ["hub"])) is Reason.SENDER_INACTIVE


# ---------------------------------------------------------------- readers


def test_a_reader_that_is_not_in_the_roster_is_unknown(desk: Desk) -> None:
    desk.fleet.admit("stranger")
    assert desk.reason(desk.fleet.seal("thermo", ["hub", "stranger"])) is Reason.READER_UNKNOWN


def test_a_revoked_reader_is_excused_and_no_ground_for_refusal(desk: Desk) -> None:
    desk.fleet.revoke("hub")
    desk.change()
    accepted = desk.receive(desk.fleet.seal("thermo", ["hub", "phone"]))
    assert isinstance(accepted, Accepted)
    assert accepted.excused == {"hub": desk.fleet.version}


def test_a_reader_key_without_a_statement_may_still_come(desk: Desk) -> None:
    message = desk.fleet.seal("thermo", ["hub"])
    desk.keys.clear()
    assert desk.reason(message) is Reason.READER_KEY_UNKNOWN
    assert not Reason.READER_KEY_UNKNOWN.final


def test_another_readers_key_is_not_the_readers_key(desk: Desk) -> None:
    desk.fleet.members["hub"] = replace(
        desk.fleet.members["hub"], reader_spki=desk.fleet.members["phone"].reader_spki
    )
    assert desk.reason(desk.fleet.seal("thermo", ["hub"])) is Reason.READER_KEY_UNKNOWN


def test_a_reader_key_that_is_not_valid_yet_is_unknown_but_clocks_may_differ(desk: Desk) -> None:
    message = desk.fleet.seal("thermo", ["hub"])
    (name, kid), key = next(iter(desk.keys.items()))
    name, kid = "hub", desk.fleet.members["hub"].reader_kid
    desk.keys[name, kid] = replace(key, not_before=NOW + CLOCK_SKEW)
    assert isinstance(desk.receive(message), Accepted)
    desk.keys[name, kid] = replace(key, not_before=NOW + CLOCK_SKEW + 1)
    assert desk.reason(message) is Reason.READER_KEY_UNKNOWN


def test_no_message_outlives_a_reader_key(desk: Desk) -> None:
    key = desk.keys["hub", desk.fleet.members["hub"].reader_kid]
    desk.keys["hub", key.kid] = replace(key, not_after=NOW + DAY)
    within = desk.fleet.seal("thermo", ["hub", "phone"], expires=NOW + DAY)
    assert isinstance(desk.receive(within), Accepted)
    beyond = desk.fleet.seal("thermo", ["hub", "phone"], expires=NOW + DAY + 1)
    assert desk.reason(beyond) is Reason.READER_KEY_EXPIRES


# ---------------------------------------------------------------- channels


def test_a_channel_has_its_senders_and_readers(desk: Desk) -> None:
    desk.fleet.channels["climate"] = ChannelEntry(
        readers=("hub", "phone"), senders=("thermo",), lifetime=DAY
    )
    desk.change()
    seal = desk.fleet.seal
    assert isinstance(desk.receive(seal("thermo", ["hub"], channel="climate")), Accepted)
    assert desk.reason(seal("hub", ["phone"], channel="climate")) is Reason.NOT_PERMITTED
    assert desk.reason(seal("thermo", ["wall"], channel="climate")) is Reason.READER_UNKNOWN
    assert desk.reason(seal("thermo", ["hub"], channel="power")) is Reason.CHANNEL_UNKNOWN


# ---------------------------------------------------------------- time


def test_exp_must_lie_ahead_and_within_the_longest_lifetime(desk: Desk) -> None:
    seal = desk.fleet.seal
    assert desk.reason(seal("thermo", ["hub"], expires=NOW)) is Reason.EXPIRED
    assert isinstance(desk.receive(seal("thermo", ["hub"], expires=NOW + 1)), Accepted)
    latest = NOW + MAX_LIFETIME + CLOCK_SKEW
    assert isinstance(desk.receive(seal("thermo", ["hub"], expires=latest)), Accepted)
    assert desk.reason(seal("thermo", ["hub"], expires=latest + 1)) is Reason.LIFETIME


def test_an_expired_roster_admits_nothing(desk: Desk) -> None:
    message = desk.fleet.seal("thermo", ["hub"])
    desk.situation = replace(desk.situation, roster=desk.fleet.roster(expires=NOW))
    assert desk.reason(message) is Reason.ROSTER_EXPIRED
    desk.situation = replace(desk.situation, roster=None)
    assert desk.reason(message) is Reason.ROSTER_EXPIRED


def test_a_paused_gateway_admits_nothing(desk: Desk) -> None:
    desk.change(paused=True)
    assert desk.reason(desk.fleet.seal("thermo", ["hub"])) is Reason.PAUSED
    assert not Reason.PAUSED.final


# ---------------------------------------------------------------- changed on the way


def test_a_changed_ciphertext_or_header_does_not_verify(desk: Desk) -> None:
    message = desk.fleet.seal("thermo", ["hub"])
    ciphertext = message.envelope.body.ciphertext
    at = message.data.index(ciphertext)
    assert desk.reason(message, flipped(message.data, at)) is Reason.BAD_SIGNATURE
    commitment = message.envelope.body.header.cek_commitment
    at = message.data.index(commitment)
    assert desk.reason(message, flipped(message.data, at)) is Reason.BAD_SIGNATURE


def test_a_signature_by_another_key_in_the_senders_name_does_not_verify(desk: Desk) -> None:
    thief, thermo = Identity.generate(), desk.fleet.members["thermo"].identity
    stolen = replace(thief, public=replace(thief.public, kid=thermo.kid))
    message = desk.fleet.seal("thermo", ["hub"], signer=stolen)
    assert desk.reason(message) is Reason.BAD_SIGNATURE


def test_an_envelope_of_another_fleet_does_not_verify(desk: Desk) -> None:
    message = desk.fleet.seal("thermo", ["hub"])
    other = Fleet(members=desk.fleet.members)
    foreign = other.seal("thermo", ["hub"], message_id=message.message_id)
    assert desk.reason(foreign) is Reason.BAD_SIGNATURE


def test_two_different_sender_keys_in_one_envelope_are_malformed(desk: Desk) -> None:
    message = desk.fleet.seal("thermo", ["hub"], sender_kid=bytes(16))
    assert desk.reason(message) is Reason.MALFORMED


def test_a_changed_wrapped_key_or_open_hash_is_a_changed_reader_list(desk: Desk) -> None:
    message = desk.fleet.seal("thermo", ["hub", "phone"])
    for part in (message.envelope.readers[0].wrapped_cek, message.envelope.readers[1].open_hash):
        at = message.data.index(part)
        assert desk.reason(message, flipped(message.data, at)) is Reason.READERS_CHANGED


def test_nobody_can_add_remove_or_swap_readers(desk: Desk) -> None:
    message = desk.fleet.seal("thermo", ["hub", "phone"])
    body, (hub, phone) = message.envelope.body, message.envelope.readers
    wall = desk.fleet.seal("thermo", ["wall"]).envelope.readers[0]
    for readers in [(hub,), (hub, phone, wall), (hub, wall), (replace(hub, reader="a"), phone)]:
        data = Envelope(body=body, readers=readers).encode()
        assert desk.reason(message, data) is Reason.READERS_CHANGED


def test_a_readdressed_message_is_not_the_one_its_sender_signed(desk: Desk) -> None:
    # Somebody who has the content key wraps it again, to a reader of its own choice.
    message = desk.fleet.seal("thermo", ["hub"])
    readdressed = desk.fleet._wrap("wall", message.cek, message.message_id)
    data = Envelope(body=message.envelope.body, readers=(readdressed,)).encode()
    assert desk.reason(message, data) is Reason.READERS_CHANGED


def test_a_countersignature_for_another_purpose_is_malformed(desk: Desk) -> None:
    message = desk.fleet.seal("thermo", ["hub"])
    signature = message.envelope.body.countersignature
    other = cose.signer_header(signature.alg, signature.kid, "application/sealgate-ack+cose")
    body = replace(message.envelope.body, countersignature=replace(signature, protected=other))
    data = Envelope(body=body, readers=message.envelope.readers).encode()
    assert desk.reason(message, data) is Reason.MALFORMED
