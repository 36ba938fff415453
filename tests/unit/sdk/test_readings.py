"""From what an application measures to whole steps, and from opened content to what is shown."""

from dataclasses import replace
from decimal import Decimal, localcontext
from typing import Any

import cbor2
import pytest

from device_sdk import NoReadingRuleError, OutOfRangeError, PayloadError, ReadingRequiredError
from device_sdk.proofs import pedersen
from device_sdk.proofs.group import RISTRETTO255
from device_sdk.readings import (
    CONTENT_TYPE,
    MAX_SIZE,
    CommitmentMismatchError,
    check_is_no_reading,
    check_is_number,
    decode,
    encode,
    open_reading,
    policy_for,
    steps_of,
)
from device_sdk.trust import Roster
from device_sdk.wire.errors import MalformedError, TooLargeError
from device_sdk.wire.header import Header
from device_sdk.wire.reading_policy import MAX_STEPS, OBSERVE, Committed, ReadingPolicy
from device_sdk.wire.roster_page import ChannelEntry
from tests.support.fleet import NOW, Fleet
from tests.support.readings import BLINDING, CELLAR, ORDER, POLICY, committed, content, rule

WIDE = replace(POLICY, exponent=0, mantissa=3, low=MAX_STEPS - 9, high=MAX_STEPS)


class Shown(float):
    """A float that is printed in a way of its own, as those of other libraries are."""

    def __repr__(self) -> str:
        return "Shown(21.5)"


# ------------------------------ numbers and steps


@pytest.mark.parametrize(
    ("value", "steps"),
    [
        (21, 210),
        (21.5, 215),
        (-40, -400),
        (125, 1250),
        (21.26, 213),
        (21.24, 212),
        # Halves go to the even one, on both sides of 0.
        (21.25, 212),
        (21.35, 214),
        (-0.05, 0),
        (-0.15, -2),
        # A float is what it is printed as: these are not what they look like in binary.
        (0.35, 4),
        (1.15, 12),
        (0.1 + 0.2, 3),
        (Shown(21.5), 215),
        # The ends of the range are rounded to before they are compared.
        (125.04, 1250),
        (-40.05, -400),
        (1e-320, 0),
        (-0.0, 0),
        (Decimal("-0"), 0),
        (Decimal("21.5"), 215),
        (Decimal("2.15e1"), 215),
        (Decimal("1e-999999999"), 0),
        (Decimal("21." + "4" * 500), 214),
        # A half and a little more is no half, however little that is.
        (Decimal("21.25" + "0" * 500 + "1"), 213),
        (Decimal("-21.25" + "0" * 500 + "1"), -213),
        (Decimal("21.24" + "9" * 500), 212),
    ],
)
def test_a_number_goes_to_its_nearest_step(value: Any, steps: int) -> None:
    assert steps_of(value, POLICY, CELLAR) == steps


def test_steps_are_exact_where_floats_are_not() -> None:
    for steps in range(WIDE.low, WIDE.high + 1):
        assert steps_of(steps * 3, WIDE, CELLAR) == steps
        assert steps_of(WIDE.value_of(steps), WIDE, CELLAR) == steps
        assert steps_of(steps * 3 + 1, WIDE, CELLAR) == steps


@pytest.mark.parametrize("precision", [1, 3, 28])
def test_what_an_application_does_with_decimals_elsewhere_changes_no_reading(
    precision: int,
) -> None:
    with localcontext(prec=precision):
        assert steps_of(123.4, POLICY, CELLAR) == 1234
        assert POLICY.value_of(1234) == Decimal("123.4")
        assert WIDE.value_of(WIDE.high) == 3 * WIDE.high


@pytest.mark.parametrize(
    "value",
    [
        *(-40.06, -40.1, 125.06, 126, 10**9, -(10**9), MAX_STEPS, 10**4000, -(10**4000)),
        *(1e308, -1e308, Decimal("1e30"), Decimal("1e1000000"), Decimal("-1e999999999999999999")),
    ],
)
def test_what_is_out_of_range_is_an_error_that_names_the_range_and_not_the_number(
    value: Any,
) -> None:
    with pytest.raises(OutOfRangeError) as caught:
        steps_of(value, POLICY, CELLAR)
    error = caught.value
    assert (error.channel, error.unit) == (CELLAR, "celsius")
    assert (error.low, error.high) == (Decimal("-40.0"), Decimal("125.0"))
    assert str(error) == (
        "the channel cellar allows readings from -40.0 to 125.0 celsius: "
        "send what is outside as another kind of message, on another channel"
    )


@pytest.mark.parametrize(
    "value",
    [
        *(True, False, None, "21.5", b"21.5", [21.5], 21.5j),
        *(float("nan"), float("inf"), -float("inf")),
        *map(Decimal, ("nan", "-nan", "snan", "inf", "-inf")),
    ],
)
def test_what_is_no_finite_number_is_no_reading(value: Any) -> None:
    for check in (check_is_number, lambda given: steps_of(given, POLICY, CELLAR)):
        with pytest.raises(PayloadError, match="a reading is a") as caught:
            check(value)
        assert "21.5" not in str(caught.value)


# ------------------------------ what a channel demands


@pytest.fixture
def fleet(device_fleet: Fleet) -> Fleet:
    cellar = ChannelEntry(readers=("hub",), senders=("thermo-1",), lifetime=3600, reading=rule())
    device_fleet.channels = {
        CELLAR: cellar,
        "attic": replace(cellar, reading=rule(OBSERVE)),
        "air": replace(cellar, reading=None),
    }
    return device_fleet


@pytest.fixture
def roster(fleet: Fleet) -> Roster:
    return fleet.roster()


def test_readings_go_by_the_owners_policy_and_only_where_there_is_one(roster: Roster) -> None:
    assert policy_for(roster, CELLAR) == policy_for(roster, "attic") == POLICY
    with pytest.raises(NoReadingRuleError, match="--reading") as caught:
        policy_for(roster, "air")
    assert caught.value.channel == "air"


def test_only_a_channel_that_requires_readings_takes_no_other_messages(roster: Roster) -> None:
    for channel in ("attic", "air", "direct", "unheard-of"):
        check_is_no_reading(roster, channel)
    with pytest.raises(ReadingRequiredError, match="send_reading") as caught:
        check_is_no_reading(roster, CELLAR)
    assert caught.value.channel == CELLAR


# ------------------------------ the payload


@pytest.mark.parametrize("steps", [0, 1, -1, 215, -400, MAX_STEPS, -MAX_STEPS])
def test_a_payload_comes_back_as_it_was_and_is_no_longer_than_said(steps: int) -> None:
    assert decode(encode(steps, BLINDING)) == (steps, BLINDING)
    assert len(encode(steps, BLINDING)) <= MAX_SIZE


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"21.5", b"\x82", cbor2.dumps(215), cbor2.dumps({})),
        cbor2.dumps([]),
        cbor2.dumps([215]),
        cbor2.dumps([215, BLINDING, 0]),
        cbor2.dumps([BLINDING, 215]),
        cbor2.dumps([215, BLINDING[:-1]]),
        cbor2.dumps([215, BLINDING + b"\0"]),
        cbor2.dumps([215, "x" * 32]),
        cbor2.dumps([215, None]),
        *(cbor2.dumps([value, BLINDING]) for value in (True, 21.5, "215", b"215", None, [215])),
        cbor2.dumps([MAX_STEPS + 1, BLINDING]),
        cbor2.dumps([-MAX_STEPS - 1, BLINDING]),
        cbor2.dumps([2**64, BLINDING]),
        b"\x82\x18\x05" + cbor2.dumps(BLINDING),  # longer than needed
        b"\x9f\x05" + cbor2.dumps(BLINDING) + b"\xff",
        encode(5, BLINDING) + b"\0",
        encode(5, BLINDING)[:-1],
        bytes(10**6),
    ],
)
def test_any_other_payload_is_refused(payload: bytes) -> None:
    with pytest.raises((MalformedError, TooLargeError)):
        decode(payload)


# ------------------------------ what a reader shows


def header_of(
    steps: int = 215, policy: ReadingPolicy = POLICY, *, channel: str = CELLAR, **changes: Any
) -> Header:
    header = Header(
        content_type=CONTENT_TYPE,
        sender_kid=bytes(16),
        iv=bytes(12),
        sender="thermo-1",
        channel=channel,
        expires=NOW + 1,
        issued=NOW,
        message_id=bytes(16),
        reader_root=bytes(32),
        reader_count=1,
        cek_commitment=bytes(32),
        sequence=1,
        reading=committed(steps, policy),
    )
    return replace(header, **changes)


@pytest.mark.parametrize(
    ("steps", "text"), [(215, "21.5"), (-400, "-40.0"), (0, "0.0"), (-1, "-0.1"), (1250, "125.0")]
)
def test_a_reading_is_shown_in_its_unit_with_the_decimals_of_its_step(
    roster: Roster, steps: int, text: str
) -> None:
    reading = open_reading(header_of(steps), content(steps), roster)
    assert reading is not None
    assert (reading.value, reading.text(), reading.unit) == (Decimal(text), text, "celsius")
    assert (reading.policy, reading.is_current, reading.is_required) == (POLICY, True, True)


def test_a_large_step_is_shown_without_an_exponent(fleet: Fleet) -> None:
    policy = replace(POLICY, version=6, exponent=3, mantissa=25, low=0, high=9, unit="W")
    reading = open_reading(header_of(4, policy), content(4), fleet.roster())
    assert reading is not None
    assert reading.text() == "100000"


def test_any_other_message_has_no_reading(roster: Roster) -> None:
    other = header_of(reading=None, content_type="text/plain")
    for payload in (b"21.5", content(), b""):
        assert open_reading(other, payload, roster) is None


def test_a_reading_by_another_policy_than_the_present_one_is_not_current(fleet: Fleet) -> None:
    for version in (POLICY.version - 1, POLICY.version + 1):
        older = header_of(policy=replace(POLICY, version=version, high=1000))
        reading = open_reading(older, content(), fleet.roster())
        assert reading is not None
        assert not reading.is_current
        assert not reading.is_required


def test_a_channel_that_only_observes_lets_through_what_nobody_has_proved(fleet: Fleet) -> None:
    fleet.channels[CELLAR] = replace(fleet.channels[CELLAR], reading=rule(OBSERVE))
    reading = open_reading(header_of(), content(), fleet.roster())
    assert reading is not None
    assert (reading.is_current, reading.is_required) == (True, False)


def test_a_commitment_that_hides_nothing_is_no_honest_one(roster: Roster) -> None:
    bare = Committed(policy=POLICY, commitment=pedersen.commit(215, bytes(32)))
    identity = Committed(policy=POLICY, commitment=bytes(32))
    for made, steps in ((bare, 215), (identity, 0)):
        with pytest.raises(CommitmentMismatchError):
            open_reading(replace(header_of(), reading=made), encode(steps, bytes(32)), roster)


@pytest.mark.parametrize("channel", ["air", "direct", "unheard-of"])
def test_where_the_owner_has_made_no_rule_a_message_is_no_reading(
    roster: Roster, channel: str
) -> None:
    # Nobody but its sender has said what unit, step and range are.
    assert open_reading(header_of(channel=channel), content(), roster) is None
    other = replace(POLICY, unit="bar")
    assert open_reading(header_of(policy=other, channel=channel), content(), roster) is None


SWAPPED = {
    "version": replace(POLICY, high=1251),
    "unit": replace(POLICY, unit="kelvin"),
    "exponent": replace(POLICY, exponent=0),
    "mantissa": replace(POLICY, mantissa=2),
    "low": replace(POLICY, low=-401),
}
MISMATCHES: dict[str, tuple[Header, bytes]] = {
    "a reading in a message that says that it is none": (header_of(reading=None), content()),
    "a commitment in a message of another type": (header_of(content_type="text/plain"), b"21.5"),
    "a reading of another type": (header_of(content_type="text/plain"), content()),
    "another type by one letter": (header_of(content_type=CONTENT_TYPE.upper()), content()),
    "no reading at all": (header_of(), b"21.5"),
    "nothing": (header_of(), b""),
    "another value": (header_of(), content(216)),
    "the value with the other sign": (header_of(), content(-215)),
    "another blinding": (header_of(), content(215, (6).to_bytes(32, "little"))),
    "no blinding": (header_of(), content(215, bytes(32))),
    "a blinding that is the same by the group's order": (
        header_of(),
        content(215, (5 + ORDER).to_bytes(32, "little")),
    ),
    "a value that is the same by the group's order": (
        header_of(),
        cbor2.dumps([215 - ORDER, BLINDING]),
    ),
    "a byte more": (header_of(), content() + b"\0"),
    "a byte less": (header_of(), content()[:-1]),
    "below the range, as committed": (header_of(-401), content(-401)),
    "above the range, as committed": (header_of(1251), content(1251)),
    "a commitment that is no point": (
        header_of(reading=replace(committed(), commitment=b"\xff" * 32)),
        content(),
    ),
    "a commitment that is nothing": (
        header_of(reading=replace(committed(), commitment=RISTRETTO255.identity)),
        content(),
    ),
    **{
        f"a policy of the owner's version with another {what}": (
            header_of(policy=policy),
            content(),
        )
        for what, policy in SWAPPED.items()
    },
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_whatever_is_not_what_was_committed_to_is_not_shown(roster: Roster, name: str) -> None:
    header, payload = MISMATCHES[name]
    with pytest.raises(CommitmentMismatchError) as caught:
        open_reading(header, payload, roster)
    # It may be half a reading: neither the error nor its cause quotes it.
    assert "21.5" not in str(caught.value)
    assert "215" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_an_observing_channel_shows_no_less_strictly(fleet: Fleet) -> None:
    roster = fleet.roster()
    with pytest.raises(CommitmentMismatchError):
        open_reading(header_of(channel="attic"), content(216), roster)
