"""Trusted time: it follows the wall clock, once a gateway agreed, and not over a leap."""

from pathlib import Path

import pytest

from device_sdk.state.state_file import StateFile
from device_sdk.state.trusted_time import TrustedTime
from device_sdk.wire.limits import DAY
from tests.support.fleet import NOW


@pytest.fixture
def state(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "state.sqlite")


@pytest.fixture
def agreed(state: StateFile) -> TrustedTime:
    """Return a time to which a gateway agreed at NOW and at tick 0."""
    time = TrustedTime(state)
    time.advance(NOW, 0, NOW)
    return time


def test_a_new_device_believes_its_clock_only_once_a_gateway_agrees(state: StateFile) -> None:
    time = TrustedTime(state)
    time.advance(NOW, 0, None)
    assert time.now == 0
    time.advance(NOW + 400 * DAY, 1, NOW)
    assert time.now == 0
    time.advance(NOW, 2, NOW + 60)
    assert time.now == NOW


def test_it_does_not_go_back_with_the_wall_clock_also_over_a_restart(
    state: StateFile, agreed: TrustedTime
) -> None:
    agreed.advance(NOW - DAY, 1, None)
    assert agreed.now == NOW
    again = TrustedTime(state)
    again.advance(NOW - DAY, 1, None)
    assert again.now == NOW


def test_it_follows_a_week_and_not_a_leap(agreed: TrustedTime) -> None:
    agreed.advance(NOW + 7 * DAY, 0, None)
    assert agreed.now == NOW + 7 * DAY
    agreed.advance(NOW + 365 * DAY, 0, None)
    assert agreed.now == NOW + 7 * DAY


def test_a_leap_cannot_be_taken_in_steps_of_a_week(state: StateFile, agreed: TrustedTime) -> None:
    for step in range(1, 5):
        agreed.advance(NOW + step * 6 * DAY, step, None)
        agreed.save()
    assert agreed.now == NOW + 6 * DAY
    again = TrustedTime(state)
    again.advance(NOW + 12 * DAY, 9, None)
    assert again.now == NOW + 6 * DAY


def test_it_follows_a_clock_that_runs_for_weeks_without_a_gateway(agreed: TrustedTime) -> None:
    agreed.advance(NOW + 100 * DAY, 100 * DAY, None)
    assert agreed.now == NOW + 100 * DAY


def test_it_follows_a_leap_that_a_gateways_signed_time_confirms(agreed: TrustedTime) -> None:
    agreed.advance(NOW + 365 * DAY, 1, NOW)
    assert agreed.now == NOW
    agreed.advance(NOW + 365 * DAY, 2, NOW + 365 * DAY - 60)
    assert agreed.now == NOW + 365 * DAY


def test_a_gateways_time_alone_moves_nothing(agreed: TrustedTime) -> None:
    agreed.advance(NOW, 1, NOW + 365 * DAY)
    assert agreed.now == NOW


def test_a_gateway_corrects_what_a_clock_that_was_ahead_had_left(agreed: TrustedTime) -> None:
    agreed.advance(NOW + 6 * DAY, 1, NOW)
    assert agreed.now == NOW + 6 * DAY
    agreed.advance(NOW + 60, 2, NOW + 60)
    assert agreed.now == NOW + 60


def test_an_old_state_and_a_clock_set_back_undo_nothing_that_a_gateway_agreed_to(
    agreed: TrustedTime,
) -> None:
    agreed.advance(NOW - 30 * DAY, 1, NOW - 30 * DAY)
    assert agreed.now == NOW


def test_it_is_stored_seldom_and_when_it_matters(state: StateFile, agreed: TrustedTime) -> None:
    agreed.advance(NOW + 60, 60, None)
    assert TrustedTime(state).now == NOW
    agreed.save()
    assert TrustedTime(state).now == NOW + 60
