"""A device that reads what cannot be read, and asks a gateway that may not answer."""

import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from device_sdk import (
    BrokenReaderKeyError,
    BrokerUnavailableError,
    Device,
    GatewaySilentError,
    Message,
)
from device_sdk.keys.keystore import KeyStore
from device_sdk.keys.reader_key import ReaderKey
from device_sdk.link.port import Disconnected, Received
from device_sdk.wire.certificates import encode_certificates
from device_sdk.wire.envelope import Copy
from tests.support.certificates import unreadable
from tests.support.desk import TOPICS
from tests.support.hub_fleet import HubFleet, read

UNREADABLE = unreadable()
ACKS = "sealgate/1/read/hub/thermo-1/+"


# ------------------------------ what cannot be read


def test_a_damaged_copy_is_asked_for_again_and_read_then(hub_fleet: HubFleet) -> None:
    hub_fleet.send(b"1")
    (topic,) = hub_fleet.desk.owed("hub")
    copy = Copy.decode(hub_fleet.hub.retained[topic])
    damaged = replace(copy, body=replace(copy.body, ciphertext=bytes(len(copy.body.ciphertext))))
    link = hub_fleet.hub.link("hub")
    with hub_fleet.open("hub", link) as device:
        device.waiting()
        messages = device.inbox(timeout=20)
        hub_fleet.hub.retained[topic] = damaged.encode()
        reader = threading.Thread(target=lambda: done.extend(_handle(messages)))
        done: list[bytes] = []
        reader.start()
        hub_fleet.hub.wait_for("sealgate/1/query/hub", 2)
        hub_fleet.hub.put(topic, copy.encode(), retain=True)
        reader.join()
    assert done == [b"1"]


@pytest.mark.parametrize("der", UNREADABLE.values(), ids=UNREADABLE)
def test_a_device_works_whatever_stands_for_its_certificate(
    hub_fleet: HubFleet, der: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("thermo-1", "hub"):
        topic = TOPICS.cert(name)
        hub_fleet.hub.put(topic, encode_certificates([der, der]), retain=True)
    hub_fleet.send(b"1")
    assert hub_fleet.read() == [b"1"]
    assert "could not be handled" not in caplog.text


def test_what_cannot_be_handled_does_not_take_what_follows_with_it(
    hub_fleet: HubFleet, caplog: pytest.LogCaptureFixture
) -> None:
    nonsense = Received(topic=cast(str, None), payload=b"", retained=False)
    with hub_fleet.open("hub") as device, device._courier.changed:
        device._courier._handle([nonsense, Disconnected(problem="it went away")])
        assert device._courier.problem == "it went away"
    assert "could not be handled" in caplog.text


def _handle(messages: Iterator[Message]) -> list[bytes]:
    with next(messages) as message:
        return [message.payload]


def test_what_nobody_could_have_sent_is_not_shown(hub_fleet: HubFleet) -> None:
    hub_fleet.send(b"1")
    (topic,) = hub_fleet.desk.owed("hub")
    hub_fleet.hub.put("sealgate/1/inbox/hub/phone/" + "ab" * 16, b"rubbish", retain=True)
    elsewhere = topic.replace("thermo-1", "phone")
    hub_fleet.hub.put(elsewhere, hub_fleet.hub.retained[topic], retain=True)
    with hub_fleet.open("hub") as device:
        assert [message.payload for message in _few(device)] == [b"1"]


def _few(device: Device) -> list[Message]:
    return list(device.inbox(timeout=0.3))


def test_a_message_to_a_key_that_is_gone_releases_its_sender(
    hub_fleet: HubFleet, made_devices: Path
) -> None:
    with hub_fleet.open("thermo-1") as sender:
        sent = sender.send("a", to=["hub"])
        sent.wait_held(10)
        _lose_reader_keys(hub_fleet.directory / "hub", made_devices / "phone")
        assert hub_fleet.read() == []
        assert sent.wait_read(10).unreadable == {"hub": "key-gone"}


def _lose_reader_keys(directory: Path, other: Path) -> None:
    """Leave the device with another reader key than the one that was sealed to."""
    with KeyStore.open(directory, None) as keystore:
        keystore.add_reader_key(now=keystore.reader_keys[-1].statement.not_before + 1)
    oldest, *_ = sorted(directory.glob("reader-*.statement"))
    oldest.unlink()
    oldest.with_suffix(".pem").unlink()


def test_a_damaged_reader_key_is_a_local_failure_and_the_message_stays_owed(
    hub_fleet: HubFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_fleet.send(b"1")
    with hub_fleet.open("hub") as device:
        with monkeypatch.context() as patch:
            patch.setattr(ReaderKey, "unwrap", lambda self, wrapped: bytes(32))
            with pytest.raises(BrokenReaderKeyError):
                next(device.inbox(timeout=10))
        assert device.waiting() == 1
        assert read(device) == [b"1"]


def test_a_copy_by_a_sender_of_a_newer_roster_is_read_once_that_roster_comes(
    hub_fleet: HubFleet,
) -> None:
    hub_fleet.send(b"1")
    desk = hub_fleet.desk
    entry = desk.devices.pop("thermo-1")
    desk.publish_roster()
    with hub_fleet.open("hub") as device:
        messages = device.inbox(timeout=20)
        done: list[bytes] = []
        reader = threading.Thread(target=lambda: done.extend(_handle(messages)))
        reader.start()
        hub_fleet.hub.wait_for("sealgate/1/query/hub", 2)  # the copy has been asked for
        desk.devices["thermo-1"] = entry
        desk.publish_roster()
        reader.join()
    assert done == [b"1"]


def test_an_expired_roster_stops_neither_reading_nor_acking(hub_fleet: HubFleet) -> None:
    hub_fleet.send(b"1")
    hub_fleet.desk.publish_roster(expires_in=-1)
    with hub_fleet.open("hub") as device:
        assert read(device) == [b"1"]
        assert device.waiting() == 0


# ------------------------------ asking the gateway


def test_a_gateway_that_does_not_answer_is_told_from_a_broker_that_is_not_there(
    hub_fleet: HubFleet,
) -> None:
    hub_fleet.desk.is_silent = True
    link = hub_fleet.hub.link("hub")
    with hub_fleet.open("hub", link) as device:
        with pytest.raises(GatewaySilentError):
            device.waiting(timeout=0.2)
        link.lose("the cable was cut")
        with pytest.raises(BrokerUnavailableError, match="the cable was cut"):
            device.waiting(timeout=0.1)


def test_the_status_says_how_the_device_is_doing(hub_fleet: HubFleet) -> None:
    hub_fleet.send(b"1")
    with hub_fleet.open("hub") as device:
        status = device.status()
    assert (status.name, status.is_connected, status.problem) == ("hub", True, "")
    assert (status.is_admitted, status.is_roster_valid) == (True, True)
    assert status.roster_version == hub_fleet.desk.version
    assert status.copies_waiting == 1
    assert status.gateway is not None
    assert (status.gateway.name, status.gateway.status) == ("gw-1", "online")
    assert len(status.reader_keys) == 1


def test_the_status_of_a_device_that_is_cut_off_says_so(hub_fleet: HubFleet) -> None:
    link = hub_fleet.hub.link("hub")
    link.is_absent = True
    with hub_fleet.open("hub", link) as device:
        status = device.status(timeout=0.1)
    assert (status.is_connected, status.copies_waiting, status.roster_version) == (False, None, 0)
    assert status.problem == "the hub is not there"


def test_a_paused_gateway_is_named_as_the_reason(hub_fleet: HubFleet) -> None:
    hub_fleet.desk.is_silent = True
    hub_fleet.desk.publish_state("paused")
    with (
        hub_fleet.open("hub") as device,
        pytest.raises(GatewaySilentError, match="paused"),
    ):
        device.waiting(timeout=0.2)


def test_a_last_will_shows_the_gateway_offline(hub_fleet: HubFleet) -> None:
    hub_fleet.desk.publish_state("offline")
    with hub_fleet.open("hub") as device:
        gateway = device.status().gateway
    assert gateway is not None
    assert gateway.status == "offline"


# ------------------------------ a state file that fails


class Complaints(logging.Handler):
    """Keeps what the device logs, and tells when it has."""

    def __init__(self) -> None:
        super().__init__()
        self.records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()

    def emit(self, record: logging.LogRecord) -> None:
        """Take in a record."""
        self.records.put(record)


def test_a_state_file_that_fails_is_one_line_without_a_trace_however_often_it_fails(
    hub_fleet: HubFleet,
) -> None:
    complaints = Complaints()
    logger = logging.getLogger("device_sdk")
    logger.addHandler(complaints)
    try:
        with hub_fleet.open("hub") as device:
            device.waiting()
            path = hub_fleet.directory / "hub" / "state.sqlite"
            with contextlib.closing(sqlite3.connect(path)) as file:
                file.execute(
                    "CREATE TRIGGER full BEFORE INSERT ON roster_page "
                    "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
                )
            for _ in range(3):
                hub_fleet.desk.publish_roster()
            device.waiting()  # what came before the answer has been looked at
            complaint = complaints.records.get(timeout=10)
    finally:
        logger.removeHandler(complaints)
    assert "disk is full" in complaint.getMessage()
    assert complaint.exc_info is None
    assert complaints.records.empty()
