"""A device that reads: on a broker in memory, with a gateway that is played by hand."""

import contextlib
import itertools
import math
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from device_sdk import ContentError, Device, NotFlushedError, StateFileError
from tests.support.hub_fleet import HandlerError, HubFleet, read

ACKS = "sealgate/1/read/hub/thermo-1/+"


# ------------------------------ messages


def test_a_message_says_who_sent_it_when_and_what(hub_fleet: HubFleet) -> None:
    (message_id,) = hub_fleet.send("21.5")
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
    hub_fleet.send(b"\xff\xfe secret")
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
    hub_fleet.send(b"1", b"2", b"3")
    with hub_fleet.open("hub") as device:
        assert read(device) == [b"1", b"2", b"3"]
        assert read(device) == []


def test_a_message_that_comes_while_somebody_waits_is_shown(hub_fleet: HubFleet) -> None:
    with hub_fleet.open("hub") as device:
        messages = device.inbox(timeout=20)
        sender = threading.Thread(target=hub_fleet.send, args=(b"live",))
        sender.start()
        with next(messages) as message:
            assert message.payload == b"live"
        sender.join()


def test_a_device_waits_as_long_as_it_is_told_also_for_ever(hub_fleet: HubFleet) -> None:
    with hub_fleet.open("hub") as device:
        messages = device.inbox(timeout=math.inf)
        reader = threading.Thread(target=lambda: next(messages))
        reader.start()
        hub_fleet.send(b"live")
        reader.join()
        assert device.waiting(timeout=math.inf) == 1


def test_everything_is_read_from_a_broker_that_replays_only_a_part(hub_fleet: HubFleet) -> None:
    payloads = [b"%d" % number for number in range(60)]
    hub_fleet.send(*payloads)
    hub_fleet.hub.replay_most = 20
    with hub_fleet.open("hub") as device:
        assert sorted(read(device)) == sorted(payloads)


def test_a_few_copies_that_a_broker_kept_back_are_fetched_as_the_gateway_counts_them(
    hub_fleet: HubFleet,
) -> None:
    hub_fleet.send(b"1", b"2", b"3")
    hub_fleet.hub.replay_most = 1
    with hub_fleet.open("hub") as device:
        assert read(device) == [b"1", b"2", b"3"]


# ------------------------------ what did not come


def test_a_copy_that_the_gateway_withholds_is_missed_by_every_later_message_until_it_comes(
    hub_fleet: HubFleet,
) -> None:
    with hub_fleet.open("thermo-1") as sender:
        for number in range(1, 6):
            sender.send(str(number), to=["hub"]).wait_held(10)
            sender.send("between", to=["phone"]).wait_held(10)
    second, third = hub_fleet.desk.owed("hub")[1:3]
    withheld = {topic: hub_fleet.hub.retained.pop(topic) for topic in (second, third)}
    with hub_fleet.open("hub") as device:
        assert missed(device) == {"1": (), "4": (range(2, 4),), "5": (range(2, 4),)}
    hub_fleet.hub.retained.update(withheld)
    with hub_fleet.open("hub") as device:
        assert missed(device) == {"2": (), "3": ()}
    hub_fleet.send("6")
    with hub_fleet.open("hub") as device:
        assert missed(device) == {"6": ()}


def missed(device: Device) -> dict[str, tuple[range, ...]]:
    """Read what there is; return what each message says is missing."""
    found = {}
    for message in device.inbox(timeout=10, until_empty=True):
        with message:
            found[message.text()] = message.missed
    return found


def test_messages_that_several_threads_send_leave_no_gap(hub_fleet: HubFleet) -> None:
    with hub_fleet.open("thermo-1") as sender, ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: sender.send(str(number), to=["hub"]), range(20)))
        sender.refresh()
    with hub_fleet.open("hub") as device:
        numbers = []
        for message in device.inbox(timeout=10, until_empty=True):
            with message:
                numbers.append((message.sequence, message.missed))
    assert sorted(numbers) == [(number, ()) for number in range(1, 21)]


# ------------------------------ read acks


def test_leaving_the_block_sends_the_read_ack_and_clears_the_copy(hub_fleet: HubFleet) -> None:
    hub_fleet.send(b"1")
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
    hub_fleet.send(b"1")
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
    hub_fleet.send(b"1", b"2")
    with hub_fleet.open("hub") as device:
        seen = [message.payload for message in device.inbox(timeout=10, until_empty=True)]
        assert seen == [b"1", b"2"]
        assert device.waiting() == 2
    assert hub_fleet.read() == [b"1", b"2"]


def test_a_message_whose_handler_failed_comes_first_the_next_time(hub_fleet: HubFleet) -> None:
    hub_fleet.send(b"1", b"2", b"3")
    with hub_fleet.open("hub") as device:
        assert read(device, fail=lambda payload: payload == b"2") == [b"1", b"2", b"3"]
        hub_fleet.send(b"4")
        assert read(device) == [b"2", b"4"]
        assert read(device) == []


def test_it_also_comes_first_in_a_later_process(hub_fleet: HubFleet) -> None:
    hub_fleet.send(b"1", b"2")
    with hub_fleet.open("hub") as device:
        (message,) = itertools.islice(device.inbox(timeout=10), 1)
        with pytest.raises(HandlerError), message:
            raise HandlerError
    hub_fleet.send(b"3")
    assert hub_fleet.read() == [b"1", b"2", b"3"]


def test_it_comes_again_without_a_broker(hub_fleet: HubFleet) -> None:
    hub_fleet.send(b"1")
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
    hub_fleet.send(b"1")
    (topic,) = hub_fleet.desk.owed("hub")
    copy = hub_fleet.hub.retained[topic]
    assert hub_fleet.read() == [b"1"]
    (first,) = hub_fleet.hub.wait_for(ACKS)
    hub_fleet.hub.put(topic, copy, retain=True)  # replayed by whoever got at the broker
    assert hub_fleet.read() == []
    assert hub_fleet.hub.wait_for(ACKS, 2)[1].payload == first.payload
    assert not hub_fleet.desk.owed("hub")


def test_two_threads_share_the_messages_between_them(hub_fleet: HubFleet) -> None:
    payloads = [b"%d" % number for number in range(20)]
    hub_fleet.send(*payloads)
    found: list[bytes] = []
    with hub_fleet.open("hub") as device:
        threads = [threading.Thread(target=lambda: found.extend(read(device))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found) == sorted(payloads)


# ------------------------------ in whose hands


def test_a_message_in_one_threads_block_is_not_shown_to_another(hub_fleet: HubFleet) -> None:
    hub_fleet.send(b"1")
    with hub_fleet.open("hub") as device:
        with next(device.inbox(timeout=10)):
            assert in_another_thread(lambda: list(device.inbox(timeout=0.05))) == []
        assert device.waiting() == 0


def test_a_message_whose_iteration_has_ended_stays_with_its_thread_until_its_block_is_entered(
    hub_fleet: HubFleet,
) -> None:
    hub_fleet.send(b"1")
    with hub_fleet.open("hub") as device:
        message = next(device.inbox(timeout=10))  # the iteration is over here
        assert in_another_thread(lambda: list(device.inbox(timeout=0.05))) == []
        with message:
            pass
        assert device.waiting() == 0


def test_a_message_that_was_thrown_away_unused_comes_again_in_every_thread(
    hub_fleet: HubFleet,
) -> None:
    hub_fleet.send(b"1")
    with hub_fleet.open("hub") as device:
        next(device.inbox(timeout=10))
        assert in_another_thread(lambda: read(device)) == [b"1"]


def test_a_message_that_its_thread_has_not_used_comes_again_there(hub_fleet: HubFleet) -> None:
    hub_fleet.send(b"1")
    with hub_fleet.open("hub") as device:
        unused = next(device.inbox(timeout=10))
        assert next(device.inbox(timeout=10)).message_id == unused.message_id
        assert read(device) == [b"1"]


def in_another_thread(work: Callable[[], list[Any]]) -> list[Any]:
    """Return what some work returns in a thread of its own."""
    with ThreadPoolExecutor() as threads:
        return threads.submit(work).result()


# ------------------------------ a state file that fails


@pytest.mark.parametrize("is_unfinished", [False, True])
def test_a_message_that_a_full_disk_held_up_is_shown_once_there_is_room(
    hub_fleet: HubFleet, is_unfinished: bool
) -> None:
    payload = b"x" * 200_000
    hub_fleet.send(payload)
    with hub_fleet.open("hub") as device:
        if is_unfinished:
            next(device.inbox(timeout=10))
        with forbidden_to_write(hub_fleet, "hub"), pytest.raises(StateFileError):
            next(device.inbox(timeout=10))
        assert read(device) == [payload]
        assert read(device) == []


def test_a_message_whose_ack_could_not_be_stored_comes_again(hub_fleet: HubFleet) -> None:
    hub_fleet.send(b"1")
    with hub_fleet.open("hub") as device:
        message = next(device.inbox(timeout=10))
        with forbidden_to_write(hub_fleet, "hub"), pytest.raises(StateFileError), message:
            pass
        assert read(device) == [b"1"]


@contextlib.contextmanager
def forbidden_to_write(fleet: HubFleet, name: str) -> Iterator[None]:
    """Let the device's state file refuse what the inbox stores."""
    path = fleet.directory / name / "state.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute(
            "CREATE TRIGGER full BEFORE INSERT ON incoming "
            "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
        try:
            yield
        finally:
            file.execute("DROP TRIGGER full")
