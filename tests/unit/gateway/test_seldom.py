"""What anybody can cause is counted, and not said each time."""

from gateway.seldom import SAY_EVERY, Seldom

JUNK = {"event": "refused", "sender": "anonymous", "message": "0f", "reason": "token-invalid"}


def test_what_nobody_in_particular_has_caused_is_said_once_a_minute_with_its_count() -> None:
    tick = 0.0
    seldom = Seldom(lambda: tick)
    said = {"event": "refused", "sender": "anonymous", "reason": "token-invalid"}
    assert seldom.line(JUNK) == {**said, "count": 1}
    assert [seldom.line(JUNK) for _ in range(3)] == [{}] * 3
    tick = SAY_EVERY
    assert seldom.line(JUNK) == {**said, "count": 4}


def test_another_reason_is_said_at_once() -> None:
    seldom = Seldom(lambda: 0.0)
    seldom.line(JUNK)
    assert seldom.line({**JUNK, "reason": "malformed"})["count"] == 1


def test_what_somebody_with_a_name_has_caused_is_said_each_time() -> None:
    seldom, line = Seldom(lambda: 0.0), {**JUNK, "sender": "thermo"}
    assert [seldom.line(line) for _ in range(2)] == [line, line]
