"""What a reader is told of messages that did not come, with a real state file."""

import pytest

from device_sdk.seal import Sealed
from device_sdk.series import Place
from device_sdk.state import series_store
from device_sdk.unseal import open_copy
from device_sdk.wire.limits import DAY, MAX_LIFETIME
from device_sdk.wire.read_ack import NOT_OPENED
from tests.support.fleet import NOW
from tests.support.reader import ME, SENDER, Reader


def send(reader: Reader, number: int, series: int = 7) -> Sealed:
    return reader.send(b"%d" % number, sequence=Place(series, number).sequence)


def see(reader: Reader, *numbers: int, series: int = 7) -> list[int]:
    """Let messages come and be handled one by one; return what the last one missed."""
    for number in numbers:
        reader.deliver(send(reader, number, series))
        reader.handle()
    return flat(reader.missed)


def flat(missed: tuple[range, ...]) -> list[int]:
    return [number for numbers in missed for number in numbers]


def test_a_withheld_message_is_missed_by_those_after_it_until_it_comes(reader: Reader) -> None:
    withheld = send(reader, 2)
    assert see(reader, 1) == []
    assert see(reader, 3) == [2]
    assert see(reader, 4) == [2]
    reader.deliver(withheld)
    reader.handle()
    assert flat(reader.missed) == []
    assert see(reader, 5) == []


def test_what_is_missing_is_known_after_a_restart(reader: Reader) -> None:
    assert see(reader, 1, 4) == [2, 3]
    reader.restart()
    assert see(reader, 5) == [2, 3]
    assert see(reader, 3, 6) == [2]


def test_a_message_that_waits_in_memory_or_is_being_opened_has_arrived(reader: Reader) -> None:
    assert see(reader, 1) == []
    for number in (2, 5, 4):
        reader.deliver(send(reader, number))
    parcel = reader.take()  # by another thread, which is slow
    assert parcel is not None
    reader.show()
    assert flat(reader.missed) == [3]
    reader.box.put_back(parcel)
    assert see(reader, 6) == [3]


def test_what_was_in_memory_when_the_device_died_is_missing_until_it_comes_again(
    reader: Reader,
) -> None:
    see(reader, 1)
    second = send(reader, 2)
    for sealed in (send(reader, 3), second):
        reader.deliver(sealed)
    reader.handle()
    reader.restart()
    assert see(reader, 4) == [2]
    reader.deliver(second)
    reader.handle()
    assert see(reader, 5) == []


def test_each_series_counts_for_itself(reader: Reader) -> None:
    assert see(reader, 1, 2, series=7) == []
    assert see(reader, 9, 10, series=8) == []
    assert see(reader, 3, series=7) == []


def test_senders_that_keep_no_series_miss_nothing(reader: Reader) -> None:
    assert see(reader, 1, 5, 9, series=0) == []


def test_a_message_whose_handler_failed_has_arrived_and_keeps_its_view(reader: Reader) -> None:
    see(reader, 1)
    reader.deliver(send(reader, 3))
    reader.show()
    reader.restart()
    (key,) = reader.unfinished()
    parcel = reader.again(key)
    assert parcel is not None
    assert flat(reader.box.show(parcel, NOW)) == [2]


def test_a_message_that_does_not_open_has_arrived(reader: Reader) -> None:
    see(reader, 1)
    reader.deliver(send(reader, 2))
    parcel = reader.take()
    assert parcel is not None
    reader.unreadable(parcel, NOT_OPENED)
    assert see(reader, 3) == []


def test_a_gap_is_forgotten_thirty_days_after_it_was_found_by_the_trusted_time(
    reader: Reader,
) -> None:
    see(reader, 1, 3)
    for trusted, expected in ((NOW + MAX_LIFETIME - 1, [2]), (NOW + MAX_LIFETIME, [])):
        reader.deliver(send(reader, 4))
        parcel = reader.take()
        assert parcel is not None
        opened = open_copy(parcel.checked, reader.fleet.reader_keys[ME])
        assert flat(reader.box.show(parcel, trusted)) == expected
        reader.box.handled(parcel, opened, NOW)


def test_a_reader_that_does_not_know_the_time_keeps_a_gap_by_its_senders_clock(
    reader: Reader,
) -> None:
    see(reader, 1)
    reader.deliver(send(reader, 3))
    parcel = reader.take()
    assert parcel is not None
    assert flat(reader.box.show(parcel, 0)) == [2]
    assert see(reader, 4) == [2]


def test_a_sender_cannot_fill_the_file_with_series_and_forgets_only_its_own(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series_store, "MOST_HEARD", 3)
    quiet = reader.fleet.seal(
        b"", sender="phone", to=[ME], expires=NOW + DAY, sequence=Place(1, 1).sequence
    )
    reader.deliver(quiet, topic=f"sealgate/1/inbox/{ME}/phone/{quiet.message_id.hex()}")
    reader.handle()
    for series in range(1, 9):
        see(reader, 1, 3, series=series)
    (senders,) = zip(*reader.state.rows("SELECT sender FROM heard ORDER BY sender"), strict=True)
    assert senders == ("phone", SENDER, SENDER, SENDER)
    assert reader.state.row("SELECT count(*) FROM gap") == (3,)
    assert see(reader, 4, series=8) == [2]
    assert see(reader, 4, series=1) == []  # forgotten, and begun anew


def test_the_largest_number_a_header_can_say_can_be_stored(reader: Reader) -> None:
    reader.deliver(reader.send(sequence=Place(2**32 - 1, 1).sequence))
    reader.handle()
    reader.deliver(reader.send(sequence=2**64 - 1))
    reader.handle()
    (numbers,) = reader.missed
    assert numbers.stop == 2**32 - 1
