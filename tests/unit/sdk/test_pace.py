"""Pacing: later and later, and only so much at once."""

from device_sdk.pace import Allowance, Backoff, Pace


def test_tries_come_later_and_later_up_to_a_limit() -> None:
    pace, tick, waits = Pace(), 100.0, []
    for _ in range(5):
        pace.tried(tick, Backoff(first=1, most=5))
        waits.append(pace.due - tick)
        tick = pace.due
    assert waits == [1, 2, 4, 5, 5]


def test_an_allowance_is_spent_at_once_and_earned_slowly() -> None:
    allowance = Allowance(burst=2, every=10)
    assert allowance.available_at(100) <= 100
    allowance.spend(100)
    assert allowance.available_at(100) <= 100
    allowance.spend(100)
    assert allowance.available_at(100) == 110
    allowance.spend(110)
    assert allowance.available_at(110) == 120
    assert allowance.available_at(200) <= 200
