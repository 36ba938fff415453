"""A device's own reader keys: announced, renewed and erased in time."""

import threading
import time
from pathlib import Path

import pytest

from device_sdk.keys.keystore import KeyStore
from device_sdk.keys.own_keys import OwnKeys
from device_sdk.keys.reader_key import ReaderKey
from device_sdk.wire import cose
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.limits import CLOCK_SKEW, DAY
from device_sdk.wire.topics import Topics
from tests.support.hub_fleet import HubFleet


@pytest.fixture
def keystore(hub_fleet: HubFleet) -> KeyStore:
    return KeyStore.open(hub_fleet.directory / "hub", None)


@pytest.fixture
def start(keystore: KeyStore) -> int:
    return keystore.reader_keys[0].statement.not_before


def serials(keystore: KeyStore) -> list[int]:
    return [own.statement.serial for own in keystore.reader_keys]


def tend(own: OwnKeys, now: int, known_serial: int = 0) -> bool:
    """Tend, and wait for a key if one is being made; tell whether one was."""
    made = threading.Event()
    own.tend(now, known_serial, made.set, sure=now)
    own.close()
    return made.is_set()


def test_unexpired_statements_are_announced_oldest_first(keystore: KeyStore, start: int) -> None:
    keystore.add_reader_key(now=start + 30 * DAY)
    own = OwnKeys(keystore, Topics())
    announced = [
        cose.parse_signed(KeyStatement, publish.payload).claims.serial
        for publish in own.announcements(start)
    ]
    assert announced == serials(keystore)
    assert [p.topic for p in own.announcements(start)] == ["sealgate/1/announce/hub"] * 2
    assert len(own.announcements(start + 90 * DAY)) == 1


def test_a_key_is_renewed_after_thirty_days_and_not_before(keystore: KeyStore, start: int) -> None:
    own = OwnKeys(keystore, Topics())
    assert not tend(own, start + 30 * DAY - 1)
    assert tend(own, start + 30 * DAY)
    assert len(serials(keystore)) == 2
    assert not tend(own, start + 30 * DAY)


def test_a_key_is_erased_once_nothing_valid_can_need_it(
    keystore: KeyStore, start: int, hub_fleet: HubFleet
) -> None:
    keystore.add_reader_key(now=start + 80 * DAY)
    own = OwnKeys(keystore, Topics())
    tend(own, start + 90 * DAY + CLOCK_SKEW)
    assert len(serials(keystore)) == 2
    tend(own, start + 90 * DAY + CLOCK_SKEW + 1)
    assert len(serials(keystore)) == 1
    assert len(list((hub_fleet.directory / "hub").glob("reader-*.pem"))) == 1


def test_a_restored_device_makes_a_key_above_the_one_that_others_know(
    keystore: KeyStore, start: int
) -> None:
    own = OwnKeys(keystore, Topics())
    assert tend(own, start, known_serial=start + 500)
    assert serials(keystore)[-1] > start + 500
    assert not tend(own, start, known_serial=start + 500)


def test_a_device_announces_its_keys_at_every_connect(hub_fleet: HubFleet) -> None:
    link = hub_fleet.hub.link("hub")
    with hub_fleet.open("hub", link):
        hub_fleet.hub.wait_for("sealgate/1/announce/hub")
        link.lose()
        link.connect()
        first, second = hub_fleet.hub.wait_for("sealgate/1/announce/hub", 2)
    assert first.payload == second.payload


def test_a_device_whose_backup_was_restored_is_written_to_with_a_new_key(
    hub_fleet: HubFleet, made_devices: Path
) -> None:
    del made_devices
    with KeyStore.open(hub_fleet.directory / "hub", None) as keystore:
        newer = keystore.add_reader_key(now=int(time.time()))
        hub_fleet.desk.statements["hub"].append(newer.signed)
        hub_fleet.desk.publish_keys("hub")
    for path in (hub_fleet.directory / "hub").glob(f"reader-{newer.statement.serial}.*"):
        path.unlink()  # the backup was made before
    with hub_fleet.open("hub") as reader, hub_fleet.open("thermo-1") as sender:
        # Its old statement twice (two kinds of them are known), then the one it makes now.
        announced = hub_fleet.hub.wait_for("sealgate/1/announce/hub", 3, timeout=60)
        latest = cose.parse_signed(KeyStatement, announced[-1].payload).claims
        assert latest.serial > newer.statement.serial
        sender.send("a", to=["hub"]).wait_held(10)
        with next(reader.inbox(timeout=10)) as message:
            assert message.payload == b"a"


def test_a_message_is_sent_and_held_while_a_key_is_being_made(
    hub_fleet: HubFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = threading.Event(), threading.Event()
    generate = ReaderKey.generate

    def slowly() -> ReaderKey:
        begun.set()
        assert may_end.wait(60)
        return generate()

    monkeypatch.setattr("device_sdk.keys.reader_key.ReaderKey.generate", slowly)
    with hub_fleet.open("thermo-1") as device:
        parts = device._parts
        later = parts.keystore.reader_keys[-1].statement.not_before + 30 * DAY
        try:
            with device._courier.changed:
                parts.own_keys.tend(later, 0, device._courier._key_made, sure=later)
            assert begun.wait(10)
            device.send("21.5", to=["hub"]).wait_held(10)
            assert hub_fleet.read("hub") == [b"21.5"]
            assert len(parts.keystore.reader_keys) == 1
        finally:
            may_end.set()


def test_a_renewed_key_is_announced_at_once_and_the_old_one_still_opens_until_it_is_erased(
    hub_fleet: HubFleet,
) -> None:
    with hub_fleet.open("hub") as hub, hub_fleet.open("thermo-1") as thermo:
        first = hub._parts.keystore.reader_keys[0]
        now = first.statement.not_before + 30 * DAY
        thermo.send("to the old key", to=["hub"]).wait_held(10)
        with hub._courier.changed:
            hub._parts.own_keys.tend(now, 0, hub._courier._key_made, sure=now)
        hub._parts.own_keys.close()
        second = hub._parts.keystore.reader_keys[-1]
        assert second.statement.serial > first.statement.serial
        hub_fleet.hub.wait_for("sealgate/1/announce/hub", 3)
        assert second.signed in hub_fleet.desk.statements["hub"]
        with next(hub.inbox(timeout=10)) as message:
            assert message.payload == b"to the old key"
        end = first.statement.not_after + CLOCK_SKEW
        for moment, is_kept in ((end, True), (end + 1, False)):
            with hub._courier.changed:
                hub._parts.own_keys.tend(moment, 0, hub._courier._key_made, sure=moment)
            hub._parts.own_keys.close()
            kept = {own.key.kid for own in hub._parts.keystore.reader_keys}
            assert (first.key.kid in kept) is is_kept
        assert not (hub._keystore.directory / f"reader-{first.statement.serial}.pem").exists()
