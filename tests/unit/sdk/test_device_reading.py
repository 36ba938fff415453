"""A device that reads: on a broker in memory, with a gateway that is played by hand."""

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from device_sdk import (
    BrokenReaderKeyError,
    BrokerUnavailableError,
    ContentError,
    Device,
    GatewaySilentError,
    Message,
    NotFlushedError,
)
from device_sdk.keystore import KeyStore
from device_sdk.reader_key import ReaderKey
from device_sdk.wire.envelope import Copy
from tests.support.hub_fleet import HubFleet

ACKS = "sealgate/1/read/hub/thermo-1/+"


class HandlerError(Exception):
    """What goes wrong in an application."""


def send(fleet: HubFleet, *payloads: bytes | str, to: str = "hub") -> list[str]:
    with fleet.open("thermo-1") as device:
        ids = []
        for payload in payloads:
            sent = device.send(payload, to=[to])
            sent.wait_held(10)
            ids.append(sent.message_id)
        return ids


def read(device: Device, fail: Callable[[bytes], bool] = lambda payload: False) -> list[bytes]:
    """Read what there is; a handler that fails goes on with the next message."""
    payloads = []
    for message in device.inbox(timeout=10, until_empty=True):
        payloads.append(message.payload)
        try:
            with message:
                if fail(message.payload):
                    raise HandlerError
        except HandlerError:
            continue
    return payloads


def read_in_new_process(fleet: HubFleet) -> list[bytes]:
    with fleet.open("hub") as device:
        return read(device)


# ------------------------------ messages


def test_a_message_says_who_sent_it_when_and_what(hub_fleet: HubFleet) -> None:
    (message_id,) = send(hub_fleet, "21.5")
    with hub_fleet.open("hub") as device:
        with next(device.inbox(timeout=10)) as message:
            assert (message.sender, message.channel) == ("thermo-1", "direct")
            assert (message.text(), message.json()) == ("21.5", 21.5)
            assert message.message_id == message_id
            assert message.sent_at.tzinfo is not None
            assert (message.expires_at - message.sent_at).days == 7
            assert message.sequence == 1
        assert "21.5" not in repr(message)


def test_a_payload_that_is_no_text_or_json_is_a_clear_error_without_the_payload(
    hub_fleet: HubFleet,
) -> None:
    send(hub_fleet, b"\xff\xfe secret")
    with hub_fleet.open("hub") as device, next(device.inbox(timeout=10)) as message:
        for convert in (message.text, message.json):
            with pytest.raises(ContentError) as caught:
                convert()
            assert "secret" not in str(caught.value)


def test_reading_ends_after_a_while_without_a_message(hub_fleet: HubFleet) -> None:
    with hub_fleet.open("hub") as device:
        assert list(device.inbox(timeout=0.05)) == []


def test_reading_until_empty_ends_when_the_gateway_says_that_nothing_waits(
    hub_fleet: HubFleet,
) -> None:
    send(hub_fleet, b"1", b"2", b"3")
    with hub_fleet.open("hub") as device:
        assert read(device) == [b"1", b"2", b"3"]
        assert read(device) == []


def test_a_message_that_comes_while_somebody_waits_is_shown(hub_fleet: HubFleet) -> None:
    with hub_fleet.open("hub") as device:
        messages = device.inbox(timeout=20)
        sender = threading.Thread(target=send, args=(hub_fleet, b"live"))
        sender.start()
        with next(messages) as message:
            assert message.payload == b"live"
        sender.join()


def test_everything_is_read_from_a_broker_that_replays_only_a_part(hub_fleet: HubFleet) -> None:
    payloads = [b"%d" % number for number in range(60)]
    send(hub_fleet, *payloads)
    hub_fleet.hub.replay_most = 20
    with hub_fleet.open("hub") as device:
        assert sorted(read(device)) == sorted(payloads)


def test_a_few_copies_that_a_broker_kept_back_are_fetched_as_the_gateway_counts_them(
    hub_fleet: HubFleet,
) -> None:
    send(hub_fleet, b"1", b"2", b"3")
    hub_fleet.hub.replay_most = 1
    with hub_fleet.open("hub") as device:
        assert read(device) == [b"1", b"2", b"3"]


# ------------------------------ read acks


def test_leaving_the_block_sends_the_read_ack_and_clears_the_copy(hub_fleet: HubFleet) -> None:
    send(hub_fleet, b"1")
    with hub_fleet.open("hub") as device:
        for message in device.inbox(timeout=10):
            assert not [one for one in hub_fleet.hub.carried if "/read/" in one.topic]
            with message:
                pass
            break
        hub_fleet.hub.wait_for(ACKS)
        assert device.waiting() == 0
        device.flush()


def test_a_block_that_is_entered_twice_acks_once(hub_fleet: HubFleet) -> None:
    send(hub_fleet, b"1")
    with hub_fleet.open("hub") as device:
        message = next(device.inbox(timeout=10))
        for _ in range(2):
            with message:
                pass
        device.waiting()
    assert len(hub_fleet.hub.wait_for(ACKS)) == 1


def test_a_message_that_was_never_used_as_a_context_manager_is_not_acked_and_comes_again(
    hub_fleet: HubFleet,
) -> None:
    send(hub_fleet, b"1", b"2")
    with hub_fleet.open("hub") as device:
        seen = [message.payload for message in device.inbox(timeout=10, until_empty=True)]
        assert seen == [b"1", b"2"]
        assert device.waiting() == 2
    assert read_in_new_process(hub_fleet) == [b"1", b"2"]


def test_a_message_whose_handler_failed_comes_first_the_next_time(hub_fleet: HubFleet) -> None:
    send(hub_fleet, b"1", b"2", b"3")
    with hub_fleet.open("hub") as device:
        assert read(device, fail=lambda payload: payload == b"2") == [b"1", b"2", b"3"]
        send(hub_fleet, b"4")
        assert read(device) == [b"2", b"4"]
        assert read(device) == []


def test_it_also_comes_first_in_a_later_process(hub_fleet: HubFleet) -> None:
    send(hub_fleet, b"1", b"2")
    with hub_fleet.open("hub") as device:
        (message,) = itertools.islice(device.inbox(timeout=10), 1)
        with pytest.raises(HandlerError), message:
            raise HandlerError
    send(hub_fleet, b"3")
    assert read_in_new_process(hub_fleet) == [b"1", b"2", b"3"]


def test_it_comes_again_without_a_broker(hub_fleet: HubFleet) -> None:
    send(hub_fleet, b"1")
    with hub_fleet.open("hub") as device:
        next(device.inbox(timeout=10))
    link = hub_fleet.hub.link("hub")
    link.is_absent = True
    with hub_fleet.open("hub", link) as device:
        with next(device.inbox(timeout=10)) as message:
            assert message.payload == b"1"
        with pytest.raises(NotFlushedError) as caught:
            device.flush(timeout=0)
        assert caught.value.count == 1
    with hub_fleet.open("hub") as device:
        device.flush()
        assert device.waiting() == 0


def test_a_handled_message_is_not_shown_again_and_its_ack_is_sent_again(
    hub_fleet: HubFleet,
) -> None:
    send(hub_fleet, b"1")
    (topic,) = hub_fleet.desk.owed("hub")
    copy = hub_fleet.hub.retained[topic]
    assert read_in_new_process(hub_fleet) == [b"1"]
    (first,) = hub_fleet.hub.wait_for(ACKS)
    hub_fleet.hub.put(topic, copy, retain=True)  # replayed by whoever got at the broker
    assert read_in_new_process(hub_fleet) == []
    assert hub_fleet.hub.wait_for(ACKS, 2)[1].payload == first.payload
    assert not hub_fleet.desk.owed("hub")


def test_two_threads_share_the_messages_between_them(hub_fleet: HubFleet) -> None:
    payloads = [b"%d" % number for number in range(20)]
    send(hub_fleet, *payloads)
    found: list[bytes] = []
    with hub_fleet.open("hub") as device:
        threads = [threading.Thread(target=lambda: found.extend(read(device))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found) == sorted(payloads)


# ------------------------------ what cannot be read


def test_a_damaged_copy_is_asked_for_again_and_read_then(hub_fleet: HubFleet) -> None:
    send(hub_fleet, b"1")
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


def _handle(messages: Iterator[Message]) -> list[bytes]:
    with next(messages) as message:
        return [message.payload]


def test_what_nobody_could_have_sent_is_not_shown(hub_fleet: HubFleet) -> None:
    send(hub_fleet, b"1")
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
        assert read_in_new_process(hub_fleet) == []
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
    send(hub_fleet, b"1")
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
    send(hub_fleet, b"1")
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
    send(hub_fleet, b"1")
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
    send(hub_fleet, b"1")
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


def test_a_last_will_shows_the_gateway_offline(hub_fleet: HubFleet) -> None:
    hub_fleet.desk.publish_state("offline")
    with hub_fleet.open("hub") as device:
        gateway = device.status().gateway
    assert gateway is not None
    assert gateway.status == "offline"
