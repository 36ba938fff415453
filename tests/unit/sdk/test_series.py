"""Numbered series: what a sender counts, and which numbers a reader knows to be missing. Pure."""

from hypothesis import given
from hypothesis import strategies as st

from device_sdk.series import (
    MOST_GAPS,
    MOST_MISSED,
    MOST_NUMBER,
    Heard,
    Place,
    readers_hash,
)

NOW, LATER = 1000, 2000


def heard(*numbers: int, until: int = LATER) -> Heard:
    """Return a series after some numbers have arrived in this order."""
    first, *others = numbers
    result = Heard(highest=first)
    for number in others:
        result = result.hear(number, until)
    return result


def missed(series: Heard, *, before: int = MOST_NUMBER, now: int = NOW) -> list[int]:
    """Return every number that is missing."""
    return [n for numbers in series.missed(before, arrived=(), now=now) for n in numbers]


# ------------------------------ the sender's side


def test_a_sequence_carries_series_and_number_and_fits_the_header() -> None:
    place = Place(2**32 - 1, MOST_NUMBER)
    assert Place.of(place.sequence) == place
    assert place.sequence == 2**64 - 1


def test_a_series_counts_from_one_under_a_name_that_nobody_else_takes() -> None:
    names = {Place.first().series for _ in range(100)}
    assert len(names) == 100
    assert 0 not in names
    place = Place.first()
    assert place.number == 1
    assert place.next() == Place(place.series, 2)


def test_a_series_that_is_used_up_is_followed_by_another() -> None:
    following = Place(7, MOST_NUMBER).next()
    assert following.number == 1
    assert following.series != 7


def test_a_set_of_readers_is_the_same_in_any_order_and_no_other() -> None:
    assert readers_hash(["hub", "phone"]) == readers_hash(["phone", "hub"])
    sets = [["hub"], ["phone"], ["hub", "phone"], ["hubphone"], ["hub", "phon", "e"]]
    assert len({readers_hash(readers) for readers in sets}) == len(sets)


# ------------------------------ the reader's side


def test_numbers_that_come_one_after_the_other_leave_nothing_out() -> None:
    assert missed(heard(5, 6, 7, 8)) == []


def test_the_first_number_that_ever_arrives_is_no_gap() -> None:
    assert missed(heard(1000)) == []
    assert missed(heard(1000, 3)) == []


def test_a_gap_is_named_until_it_is_filled_in_any_order() -> None:
    series = heard(1, 6)
    assert missed(series) == [2, 3, 4, 5]
    assert missed(series.hear(4, LATER)) == [2, 3, 5]
    assert missed(heard(1, 6, 4, 2, 5, 3)) == []


def test_only_what_went_before_a_message_is_missing_from_its_view() -> None:
    series = heard(1, 5, 10)
    assert missed(series, before=4) == [2, 3]
    assert missed(series, before=2) == []
    assert missed(series, before=8) == [2, 3, 4, 6, 7]


def test_a_gap_is_forgotten_when_what_is_missing_must_have_expired() -> None:
    series = heard(1, 3, until=LATER).hear(5, LATER + 1)
    assert missed(series, now=LATER - 1) == [2, 4]
    assert missed(series, now=LATER) == [4]
    assert missed(series, now=LATER + 1) == []


def test_what_has_arrived_in_the_meantime_is_not_missing() -> None:
    assert heard(1, 9).missed(9, arrived={3, 4, 8}, now=NOW) == (range(2, 3), range(5, 8))


def test_a_number_that_is_used_again_changes_nothing() -> None:
    series = heard(1, 2, 5, 6)
    for number in (1, 2, 5, 6):
        assert series.hear(number, LATER) == series


def test_a_leap_is_one_gap_of_bounded_size() -> None:
    series = heard(1, MOST_NUMBER)
    (numbers,) = series.missed(MOST_NUMBER, arrived=(), now=NOW)
    assert numbers == range(MOST_NUMBER - MOST_MISSED, MOST_NUMBER)


def test_the_oldest_gaps_are_forgotten_when_there_are_too_many() -> None:
    series = heard(*range(1, 200, 2))
    assert len(series.gaps) == MOST_GAPS
    assert missed(series)[-1] == 198


@given(st.lists(st.integers(1, 24), min_size=1, max_size=40))
def test_what_is_missing_is_what_lies_between_and_has_not_arrived(numbers: list[int]) -> None:
    first, arrived = numbers[0], set(numbers)
    expected = [n for n in range(first, max(arrived)) if n not in arrived]
    assert missed(heard(*numbers)) == expected
