"""An operator with root on gateway and broker tries everything, and a real device shows what it is.

SECURITY.md, "What an operator tries", is the table of these attempts. The operator has the
gateway's key, publishes and retains at the broker whatever it likes, and has no other key.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from device_sdk import Device, NoReaderKeyError, UnknownReaderError, create_device, trust_root
from device_sdk.identity import Identity
from device_sdk.key_file import PassphraseError
from device_sdk.keys.reader_key import ReaderKey
from device_sdk.wire import cose
from device_sdk.wire.envelope import Copy
from device_sdk.wire.excuse import Excuse
from device_sdk.wire.key_statement import KeyStatement, encode_key_list
from device_sdk.wire.limits import DAY
from device_sdk.wire.notice import EventKind, Excusal
from device_sdk.wire.read_ack import READ, ReadAck
from device_sdk.wire.roster_head import RosterHead
from device_sdk.wire.roster_page import ChannelEntry, RosterPage, page_hash
from device_sdk.wire.suites import Signer, key_id
from tests.support.desk import TOPICS
from tests.support.hub_fleet import HubFleet

OPERATOR = Identity.generate()


def shown(caplog: pytest.LogCaptureFixture, text: str, seconds: float = 10.0) -> None:
    """Wait until the device's log says so."""
    until = time.monotonic() + seconds
    while text not in caplog.text:
        assert time.monotonic() < until, caplog.text
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="device_sdk")


def statement(signer: Identity, device: str = "hub") -> bytes:
    """Return a statement that says: seal to the operator's key."""
    now = int(time.time())
    claims = KeyStatement(
        device=device,
        spki=ReaderKey.generate(2048).public.spki,
        not_before=now,
        not_after=now + 90 * DAY,
        serial=now + DAY,
    )
    return cose.sign(claims, signer, cose.FLEETLESS_AAD)


@pytest.mark.parametrize("signer", ["operator", "gateway"])
def test_a_reader_key_that_the_operator_swapped_is_not_sealed_to(
    hub_fleet: HubFleet, signer: str
) -> None:
    key = OPERATOR if signer == "operator" else hub_fleet.desk.gateway
    hub_fleet.hub.put(TOPICS.keys("hub"), encode_key_list([statement(key)]), retain=True)
    with (
        hub_fleet.open("thermo-1") as device,
        pytest.raises(NoReaderKeyError, match="no reader key of hub is valid"),
    ):
        device.send("21.5", to=["hub"], timeout=0.5)


def test_a_key_list_that_lacks_the_newest_key_is_a_rollback(
    hub_fleet: HubFleet, caplog: pytest.LogCaptureFixture
) -> None:
    with hub_fleet.open("hub") as hub:
        newer = hub._parts.keystore.add_reader_key(now=int(time.time()), above=int(time.time()))
    older = hub_fleet.desk.statements["hub"][:1]
    hub_fleet.hub.put(TOPICS.keys("hub"), encode_key_list([*older, newer.signed]), retain=True)
    hub_fleet.send("so that the keys are known")
    with hub_fleet.open("thermo-1") as device:
        device.waiting()
        hub_fleet.hub.put(TOPICS.keys("hub"), encode_key_list(older), retain=True)
        device._courier.listening.watch_keys(["hub"])
        device.send("21.5", to=["hub"])
        shown(caplog, "the reader keys of hub end at serial")


def forge_roster(
    fleet: HubFleet, change: Callable[[HubFleet], RosterPage], signer: Identity
) -> None:
    """Publish a newer roster that says what the operator wants."""
    page = change(fleet).encode()
    now = int(time.time())
    head = RosterHead(
        fleet_id=fleet.desk.pin.fleet_id,
        version=fleet.desk.version + 1000,
        issued=now,
        expires=now + DAY,
        page_hashes=(page_hash(page),),
    )
    fleet.hub.put(TOPICS.roster_page(page_hash(page)), page, retain=True)
    fleet.hub.put(TOPICS.roster(), cose.sign(head, signer, fleet.desk.pin.aad), retain=True)


def with_ghost_reader(fleet: HubFleet) -> RosterPage:
    """The operator's own device, as a reader of a channel."""
    channel = ChannelEntry(readers=("ghost", "hub"), senders=("thermo-1",), lifetime=DAY)
    ghost = replace(fleet.desk.devices["hub"], identities=(OPERATOR.spki,))
    devices = {**fleet.desk.devices, "ghost": ghost}
    return RosterPage(devices=devices, channels={"greenhouse": channel})


def with_renamed_device(fleet: HubFleet) -> RosterPage:
    """The name of a reader, for another key."""
    swapped = replace(fleet.desk.devices["hub"], identities=(OPERATOR.spki,))
    return RosterPage(devices={**fleet.desk.devices, "hub": swapped}, channels={})


@pytest.mark.parametrize("change", [with_ghost_reader, with_renamed_device])
@pytest.mark.parametrize("signer", ["operator", "gateway"])
def test_a_roster_that_the_owner_did_not_sign_is_not_believed(
    hub_fleet: HubFleet,
    caplog: pytest.LogCaptureFixture,
    change: Callable[[HubFleet], RosterPage],
    signer: str,
) -> None:
    with hub_fleet.open("thermo-1") as device:
        device.waiting()
        before = device.status(0).roster_version
        key = OPERATOR if signer == "operator" else hub_fleet.desk.gateway
        forge_roster(hub_fleet, change, key)
        shown(caplog, "not believed")
        assert device.status(0).roster_version == before
        with pytest.raises(UnknownReaderError, match="ghost"):
            device.send("21.5", to=["ghost"], timeout=0.5)


def test_an_older_roster_is_a_rollback(
    hub_fleet: HubFleet, caplog: pytest.LogCaptureFixture
) -> None:
    older = hub_fleet.hub.retained[TOPICS.roster()]
    hub_fleet.desk.revoke("phone")
    hub_fleet.desk.publish_roster()
    with hub_fleet.open("thermo-1") as device:
        device.waiting()
        hub_fleet.hub.put(TOPICS.roster(), older, retain=True)
        shown(caplog, f"is older than the known {hub_fleet.desk.version}")
        with pytest.raises(UnknownReaderError, match="phone"):
            device.send("21.5", to=["phone"], timeout=0.5)


def test_two_rosters_of_one_version_are_a_fork(
    hub_fleet: HubFleet, caplog: pytest.LogCaptureFixture
) -> None:
    with hub_fleet.open("thermo-1") as device:
        device.waiting()
        hub_fleet.desk.admit("other", OPERATOR.spki)
        hub_fleet.desk.publish_roster(version=hub_fleet.desk.version)
        shown(
            caplog, f"two different rosters have version {hub_fleet.desk.version}: tell the owner"
        )


def copy_for(fleet: HubFleet, reader: str) -> tuple[str, Copy]:
    """Return the copy that stands for a reader, and its topic."""
    (topic,) = fleet.desk.owed(reader)
    return topic, Copy.decode(fleet.hub.retained[topic])


def test_a_copy_that_was_addressed_to_another_reader_is_not_shown(
    hub_fleet: HubFleet, caplog: pytest.LogCaptureFixture
) -> None:
    (sent,) = hub_fleet.send("21.5")
    _, copy = copy_for(hub_fleet, "hub")
    topic = TOPICS.inbox("phone", "thermo-1", bytes.fromhex(sent))
    renamed = replace(copy, reader=replace(copy.reader, reader="phone"))
    with hub_fleet.open("phone") as phone:
        for planted in (copy, renamed):
            hub_fleet.hub.put(topic, planted.encode(), retain=True)
            assert [message.payload for message in phone.inbox(timeout=0.5)] == []
    assert "copy.reader-id: expected this device, got another" in caplog.text
    assert "not part of the reader list that the sender signed" in caplog.text
    assert not [one for one in hub_fleet.hub.carried if "/read/phone/" in one.topic]


def test_what_was_planted_in_an_inbox_is_not_shown(
    hub_fleet: HubFleet, caplog: pytest.LogCaptureFixture
) -> None:
    hub_fleet.send("21.5")
    topic, copy = copy_for(hub_fleet, "hub")
    planted = {
        topic: replace(copy, body=replace(copy.body, ciphertext=bytes(272))).encode(),
        TOPICS.inbox("hub", "thermo-1", bytes(16)): copy.encode(),
        TOPICS.inbox("hub", "phone", bytes(16)): b"rubbish",
    }
    for where, payload in planted.items():
        hub_fleet.hub.put(where, payload, retain=True)
    with hub_fleet.open("hub") as hub:
        assert [message.payload for message in hub.inbox(timeout=0.5)] == []
    assert caplog.text.count("it is asked for again") >= len(planted)


def told(device: Device, message_id: str) -> str:
    """Return what the device knows of its message."""
    return device.record(message_id).state.value


def test_a_notice_by_nobody_who_is_a_gateway_says_nothing(
    hub_fleet: HubFleet, caplog: pytest.LogCaptureFixture
) -> None:
    hub_fleet.desk.is_silent = True
    with hub_fleet.open("thermo-1") as device:
        sent = device.send("21.5", to=["hub"])
        hub_fleet.hub.wait_for("sealgate/1/send/thermo-1/+")
        hub_fleet.desk.notice("thermo-1", signer=OPERATOR)
        shown(caplog, "signed by nobody whom the roster lists as a gateway")
        assert told(device, sent.message_id) == "waiting"


def forged_ack(fleet: HubFleet, message_id: bytes, signer: Signer) -> bytes:
    """Return a read ack that the reader did not sign."""
    _, digest = fleet.desk.digests[message_id]
    ack = ReadAck(
        verdict=READ,
        sender="thermo-1",
        message_id=message_id,
        digest=digest,
        reader="hub",
        time=int(time.time()),
        open_token=bytes(32),
    )
    return cose.sign(ack, signer, fleet.desk.pin.aad)


class Pretender:
    """Signs with the operator's key, and claims that it is the reader's."""

    def __init__(self, spki: bytes) -> None:
        self.alg, self.kid, self.spki = OPERATOR.alg, key_id(spki), spki

    def sign(self, message: bytes) -> bytes:
        """Return a signature that does not verify."""
        return OPERATOR.sign(message)


@pytest.mark.parametrize("signer", ["operator", "gateway", "pretender"])
def test_a_read_notice_without_the_readers_own_ack_is_not_believed(
    hub_fleet: HubFleet, caplog: pytest.LogCaptureFixture, signer: str
) -> None:
    with hub_fleet.open("thermo-1") as device:
        sent = device.send("21.5", to=["hub"])
        sent.wait_held(10)
        message_id = bytes.fromhex(sent.message_id)
        signers: dict[str, Signer] = {
            "operator": OPERATOR,
            "gateway": hub_fleet.desk.gateway,
            "pretender": Pretender(hub_fleet.desk.devices["hub"].identities[0]),
        }
        ack = forged_ack(hub_fleet, message_id, signers[signer])
        hub_fleet.desk.notice("thermo-1", hub_fleet.desk.event(EventKind.READ, message_id, ack=ack))
        shown(caplog, "its ack does not verify")
        assert told(device, sent.message_id) == "held"


def test_a_read_ack_of_another_message_does_not_pass_for_this_one(
    hub_fleet: HubFleet, caplog: pytest.LogCaptureFixture
) -> None:
    hub_fleet.send("first")
    assert hub_fleet.read() == [b"first"]
    ack = hub_fleet.hub.wait_for("sealgate/1/read/hub/thermo-1/+")[0].payload
    with hub_fleet.open("thermo-1") as device:
        sent = device.send("second", to=["hub"])
        sent.wait_held(10)
        event = hub_fleet.desk.event(EventKind.READ, bytes.fromhex(sent.message_id), ack=ack)
        hub_fleet.desk.notice("thermo-1", event)
        shown(caplog, "its ack is about another message")
        assert told(device, sent.message_id) == "held"


def test_an_excuse_that_the_owner_did_not_sign_releases_nobody(
    hub_fleet: HubFleet, caplog: pytest.LogCaptureFixture
) -> None:
    with hub_fleet.open("thermo-1") as device:
        sent = device.send("21.5", to=["hub"])
        sent.wait_held(10)
        message_id = bytes.fromhex(sent.message_id)
        excuse = Excuse(
            sender="thermo-1", message_id=message_id, readers=("hub",), time=int(time.time())
        )
        signed = cose.sign(excuse, hub_fleet.desk.gateway, hub_fleet.desk.pin.aad)
        excusal = Excusal(readers=("hub",), excuse=signed)
        event = hub_fleet.desk.event(EventKind.EXCUSED, message_id, excusal=excusal)
        hub_fleet.desk.notice("thermo-1", event)
        shown(caplog, "its excuse is not the owner's")
        assert told(device, sent.message_id) == "held"


def test_a_message_is_not_ended_before_its_time(
    hub_fleet: HubFleet, caplog: pytest.LogCaptureFixture
) -> None:
    with hub_fleet.open("thermo-1") as device:
        sent = device.send("21.5", to=["hub"])
        sent.wait_held(10)
        event = hub_fleet.desk.event(EventKind.EXPIRED, bytes.fromhex(sent.message_id))
        hub_fleet.desk.notice("thermo-1", event)
        shown(caplog, "the message has not expired by this device's clock")
        assert told(device, sent.message_id) == "held"


def test_a_stolen_directory_does_not_open_without_its_passphrase(hub_fleet: HubFleet) -> None:
    directory = hub_fleet.directory / "safe"
    create_device(directory, "safe", b"correct horse", now=int(time.time()))
    trust_root(directory, hub_fleet.root)
    for wrong in (None, "battery staple"):
        with pytest.raises(PassphraseError, match=r"is encrypted|does not open"):
            Device.open(directory, passphrase=wrong, link=hub_fleet.hub.link("safe"))


def test_what_an_operator_can_still_do_is_to_withhold_and_that_shows(hub_fleet: HubFleet) -> None:
    hub_fleet.send("1")
    assert hub_fleet.read() == [b"1"]
    hub_fleet.send("2", "3")
    withheld = next(
        topic
        for topic in hub_fleet.desk.owed("hub")
        if Copy.decode(hub_fleet.hub.retained[topic]).body.header.sequence & 0xFFFFFFFF == 2
    )
    hub_fleet.hub.put(withheld, b"", retain=True)
    with hub_fleet.open("hub") as hub, next(hub.inbox(timeout=10)) as message:
        assert message.payload == b"3"
        assert [len(gap) for gap in message.missed] == [1]
