"""Trusted time: it follows the wall clock, but never back, and not over a leap."""

from pathlib import Path

import pytest

from device_sdk.state_file import StateFile
from device_sdk.trusted_time import TrustedTime
from device_sdk.wire.limits import DAY
from tests.support.fleet import NOW


@pytest.fixture
def state(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "state.sqlite")


def test_a_new_device_believes_its_clock(state: StateFile) -> None:
    time = TrustedTime(state)
    time.advance(NOW, None)
    assert time.now == NOW


def test_it_never_goes_back_also_over_a_restart(state: StateFile) -> None:
    time = TrustedTime(state)
    time.advance(NOW, None)
    time.advance(NOW - DAY, None)
    assert time.now == NOW
    assert TrustedTime(state).now == NOW


def test_it_follows_a_week_and_not_a_leap(state: StateFile) -> None:
    time = TrustedTime(state)
    time.advance(NOW, None)
    time.advance(NOW + 7 * DAY, None)
    assert time.now == NOW + 7 * DAY
    time.advance(NOW + 365 * DAY, None)
    assert time.now == NOW + 7 * DAY


def test_it_follows_a_leap_that_a_gateways_signed_time_confirms(state: StateFile) -> None:
    time = TrustedTime(state)
    time.advance(NOW, None)
    time.advance(NOW + 365 * DAY, NOW)
    assert time.now == NOW
    time.advance(NOW + 365 * DAY, NOW + 365 * DAY - 60)
    assert time.now == NOW + 365 * DAY


def test_a_gateways_time_alone_moves_nothing(state: StateFile) -> None:
    time = TrustedTime(state)
    time.advance(NOW, NOW + 365 * DAY)
    assert time.now == NOW


def test_it_is_stored_seldom_and_when_it_matters(state: StateFile) -> None:
    time = TrustedTime(state)
    time.advance(NOW, None)
    time.advance(NOW + 60, None)
    assert TrustedTime(state).now == NOW
    time.save()
    assert TrustedTime(state).now == NOW + 60
