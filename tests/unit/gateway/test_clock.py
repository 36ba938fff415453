"""Time goes only forward, and not by leaps (PROTOCOL 13.7)."""

from hypothesis import given
from hypothesis import strategies as st

from device_sdk.wire.limits import DAY
from gateway import clock
from gateway.clock import MAX_LEAP, Clock, stated, tick
from tests.support.envelopes import NOW, YEAR
from tests.support.mailroom import Mailroom

SECONDS = st.integers(min_value=0, max_value=4 * NOW)


def at(now: int = NOW, monotonic: float = 1000.0) -> Clock:
    return Clock(now=now, monotonic=monotonic)


def test_time_follows_the_wall_clock() -> None:
    assert tick(at(), wall=NOW + 5, monotonic=1005.0) == at(NOW + 5, 1005.0)


def test_a_wall_clock_that_goes_back_changes_nothing() -> None:
    assert tick(at(), wall=NOW - YEAR, monotonic=1005.0) == at()


def test_a_week_switched_off_is_believed() -> None:
    assert not tick(at(), wall=NOW + 7 * DAY, monotonic=1000.0).paused


def test_a_leap_of_more_than_a_week_pauses_and_moves_nothing() -> None:
    leapt = tick(at(), wall=NOW + YEAR, monotonic=1005.0)
    assert leapt.paused
    assert leapt.now == NOW


def test_time_that_passed_while_running_is_no_leap() -> None:
    slept = tick(at(), wall=NOW + YEAR, monotonic=1000.0 + YEAR)
    assert slept == at(NOW + YEAR, 1000.0 + YEAR)


def test_the_pause_ends_by_itself_when_the_wall_clock_comes_back() -> None:
    leapt = tick(at(), wall=NOW + YEAR, monotonic=1005.0)
    assert tick(leapt, wall=NOW + 10, monotonic=1010.0) == at(NOW + 10, 1010.0)


def test_small_leaps_do_not_add_up_to_a_large_one() -> None:
    """A clock that leaps by six days at every look is believed once, not every time."""
    now = at()
    for look in range(1, 100):
        now = tick(now, wall=NOW + look * 6 * DAY, monotonic=1000.0 + 5 * look)
    assert now.paused
    assert now.now == NOW + 6 * DAY


def test_a_leap_can_be_afforded_again_once_as_much_time_has_passed() -> None:
    leapt = tick(at(), wall=NOW + 6 * DAY, monotonic=1000.0)
    wall, monotonic = NOW + 12 * DAY, 1000.0 + 4 * DAY
    assert tick(leapt, wall=wall + 4 * DAY, monotonic=monotonic).paused
    again = tick(leapt, wall=wall + 5 * DAY, monotonic=1000.0 + 5 * DAY)
    assert (again.now, again.paused) == (wall + 5 * DAY, False)


def test_what_a_slow_clock_falls_behind_is_not_saved_up_for_a_leap() -> None:
    slow = tick(at(), wall=NOW + DAY, monotonic=1000.0 + 30 * DAY)
    assert tick(slow, wall=NOW + 9 * DAY, monotonic=1000.0 + 30 * DAY).paused


def test_steps_to_and_fro_within_some_seconds_cost_nothing_that_lasts() -> None:
    now = at()
    for second in range(1, 10_000):
        now = tick(now, wall=NOW + second + 3 * (second % 2), monotonic=1000.0 + second)
        assert not now.paused
    assert now.leap >= MAX_LEAP - 6


def test_what_is_signed_has_the_wall_clocks_time_unless_that_has_leapt() -> None:
    assert stated(at(), wall=NOW + 7, monotonic=1005.0) == NOW + 7
    assert stated(at(), wall=NOW - YEAR, monotonic=1005.0) == NOW - YEAR
    assert stated(at(), wall=NOW + YEAR, monotonic=1005.0) == NOW + 5
    leapt = tick(at(), wall=NOW + YEAR, monotonic=1005.0)
    assert stated(leapt, wall=NOW + YEAR, monotonic=1010.0) == NOW + 10
    assert stated(leapt, wall=NOW + 11, monotonic=1010.0) == NOW + 11


@given(st.lists(st.tuples(st.integers(0, 14 * DAY), st.integers(0, 14 * DAY))))
def test_time_runs_ahead_by_no_more_than_a_week_and_as_much_as_has_passed(
    steps: list[tuple[int, int]],
) -> None:
    now, wall, passed = at(), NOW, 0
    for leap, wait in steps:
        wall, passed = wall + wait + leap, passed + wait
        now = tick(now, wall=wall, monotonic=1000.0 + passed)
        assert now.now <= NOW + 2 * passed + MAX_LEAP


@given(st.lists(st.tuples(SECONDS, st.floats(min_value=0, max_value=4e9), st.booleans())))
def test_time_never_goes_back(ticks: list[tuple[int, float, bool]]) -> None:
    now = at()
    for wall, monotonic, trusting in ticks:
        following = tick(now, wall=wall, monotonic=monotonic, trusting=trusting)
        assert following.now >= now.now
        now = following


async def test_a_restart_goes_on_from_the_stored_mark(room: Mailroom) -> None:
    await room.run(lambda tx: clock.confirm(tx, wall=NOW, monotonic=0))
    await room.send(room.fleet.seal("thermo", ["hub"]))
    started = await room.run(lambda tx: clock.start(tx, wall=NOW - YEAR, monotonic=5.0))
    assert started == Clock(now=NOW, monotonic=5.0)
    leapt = await room.run(lambda tx: clock.start(tx, wall=NOW + YEAR, monotonic=5.0))
    assert leapt.paused
    assert stated(leapt, wall=NOW + YEAR, monotonic=9.0) == NOW + 4
    assert await room.read(lambda tx: tx.high_water()) == NOW


async def test_a_gateway_without_messages_believes_any_time_at_its_start_only(
    room: Mailroom,
) -> None:
    started = await room.run(lambda tx: clock.start(tx, wall=NOW, monotonic=0.0))
    assert started == Clock(now=NOW, monotonic=0.0)
    leapt = await room.run(lambda tx: clock.advance(tx, started, wall=NOW + YEAR, monotonic=1.0))
    assert (leapt.now, leapt.paused) == (NOW, True)
    righted = await room.run(lambda tx: clock.advance(tx, leapt, wall=NOW + 2, monotonic=2.0))
    assert righted == Clock(now=NOW + 2, monotonic=2.0)
    after_a_year_off = await room.run(lambda tx: clock.start(tx, wall=NOW + YEAR, monotonic=0.0))
    assert after_a_year_off == Clock(now=NOW + YEAR, monotonic=0.0)


async def test_the_operator_can_confirm_a_leap(room: Mailroom) -> None:
    await room.run(lambda tx: clock.confirm(tx, wall=NOW, monotonic=0))
    await room.send(room.fleet.seal("thermo", ["hub"]))
    confirmed = await room.run(lambda tx: clock.confirm(tx, wall=NOW + YEAR, monotonic=5.0))
    assert confirmed == Clock(now=NOW + YEAR, monotonic=5.0)
    assert await room.read(lambda tx: tx.high_water()) == NOW + YEAR
    back = await room.run(lambda tx: clock.confirm(tx, wall=NOW, monotonic=6.0))
    assert back.now == NOW + YEAR


async def test_the_operator_can_take_a_wrong_year_back_while_nothing_is_held(
    room: Mailroom,
) -> None:
    started = await room.run(lambda tx: clock.start(tx, wall=NOW + 70 * YEAR, monotonic=0.0))
    assert started.now == NOW + 70 * YEAR
    righted = await room.run(lambda tx: clock.confirm(tx, wall=NOW, monotonic=1.0))
    assert righted == Clock(now=NOW, monotonic=1.0)
    assert await room.read(lambda tx: tx.high_water()) == NOW


async def test_the_mark_is_stored_once_a_minute_not_at_every_tick(room: Mailroom) -> None:
    now = await room.run(lambda tx: clock.start(tx, wall=NOW, monotonic=0.0))
    for second in range(1, 70):
        now = await room.run(
            lambda tx, now=now, second=second: clock.advance(  # type: ignore[misc]
                tx, now, wall=NOW + second, monotonic=float(second)
            )
        )
    assert now.now == NOW + 69
    assert await room.read(lambda tx: tx.high_water()) == NOW + 60
