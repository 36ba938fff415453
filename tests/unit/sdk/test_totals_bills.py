"""A device tells the total of its own readings once, and only totals that its owner allows."""

from dataclasses import replace
from decimal import Decimal

import pytest

from device_sdk.proofs import pedersen
from device_sdk.proofs.totals import check_bill
from device_sdk.proofs.totals_signed import open_bill_answer, open_request
from device_sdk.trust import UnknownDeviceError
from device_sdk.wire import cbor, cose
from device_sdk.wire.errors import MalformedError, SignatureError
from device_sdk.wire.totals_bill import MAX_WEIGHT, BillAnswer, BillItem, BillRequest
from device_sdk.wire.totals_errors import (
    CommitmentDiffersError,
    EpochError,
    ForeignReadingError,
    NotAllowedError,
    OtherRequestError,
    OverlapError,
    RequestError,
    TooFewError,
    WrongTotalError,
)
from device_sdk.wire.totals_rule import TotalsRule
from tests.support.envelopes import NOW
from tests.support.totals import EPOCH, POLICY, START, Metering

STEPS = (100, 250, 75, 0, 60_000, 1)
WEIGHTS = (30, 30, 30, 20, 20, 20)
TOTAL = sum(step * weight for step, weight in zip(STEPS, WEIGHTS, strict=True))


@pytest.fixture
def items(metering: Metering) -> tuple[BillItem, ...]:
    return metering.items("meter-1", metering.consume("meter-1", *STEPS), WEIGHTS)


def answered(metering: Metering, request: BillRequest) -> BillAnswer:
    data = metering.billing("meter-1").answer(metering.sign(request), metering.roster, NOW)
    return open_bill_answer(data, request, metering.roster, metering.aad)


def refused(metering: Metering, request: BillRequest, error: type[RequestError]) -> RequestError:
    """Let the device refuse a request; afterwards it still answers the right one."""
    with pytest.raises(error) as caught:
        metering.billing("meter-1").answer(metering.sign(request), metering.roster, NOW)
    return caught.value


def test_a_bill_is_the_weighted_total_and_opens_the_sum_of_commitments(
    metering: Metering, items: tuple[BillItem, ...]
) -> None:
    request = metering.bill("meter-1", items)
    answer = answered(metering, request)
    assert check_bill(request, answer) == TOTAL
    assert request.scale.value_of(answer.total) == Decimal(TOTAL) / 1000


def test_a_request_reads_as_it_was_written(metering: Metering, items: tuple[BillItem, ...]) -> None:
    request = metering.bill("meter-1", items)
    opened = open_request(BillRequest, metering.sign(request), metering.roster, metering.aad)
    assert opened == request


@pytest.mark.parametrize("change", ["total", "blinding"])
def test_a_device_that_tells_a_wrong_total_or_blinding_is_named(
    metering: Metering, items: tuple[BillItem, ...], change: str
) -> None:
    request = metering.bill("meter-1", items)
    answer = answered(metering, request)
    wrong: dict[str, BillAnswer] = {
        "total": replace(answer, total=answer.total - 1),
        "blinding": replace(answer, blinding=pedersen.random_blinding()),
    }
    with pytest.raises(WrongTotalError) as caught:
        check_bill(request, wrong[change])
    assert caught.value.who == "meter-1"


def test_a_total_beside_the_order_of_the_group_is_wrong(
    metering: Metering, items: tuple[BillItem, ...]
) -> None:
    request = metering.bill("meter-1", items)
    answer = answered(metering, request)
    with pytest.raises(WrongTotalError):
        check_bill(request, replace(answer, total=-answer.total))


def test_an_answer_to_another_request_does_not_pass(
    metering: Metering, items: tuple[BillItem, ...]
) -> None:
    request = metering.bill("meter-1", items)
    data = metering.sign(answered(metering, request), "meter-1")
    with pytest.raises(OtherRequestError):
        open_bill_answer(data, replace(request, price="euro"), metering.roster, metering.aad)


def test_an_answer_that_another_device_signed_does_not_pass(
    metering: Metering, items: tuple[BillItem, ...]
) -> None:
    request = metering.bill("meter-1", items)
    data = metering.sign(answered(metering, request), "meter-2")
    with pytest.raises(UnknownDeviceError, match="meter-1"):
        open_bill_answer(data, request, metering.roster, metering.aad)


def test_the_same_request_is_answered_the_same_again_also_after_a_restart(
    metering: Metering, items: tuple[BillItem, ...]
) -> None:
    signed = metering.sign(metering.bill("meter-1", items))
    first = metering.billing("meter-1").answer(signed, metering.roster, NOW)
    assert metering.billing("meter-1").answer(signed, metering.roster, NOW + 60) == first


def test_overlapping_sets_are_refused_whatever_they_share(
    metering: Metering, items: tuple[BillItem, ...]
) -> None:
    answered(metering, metering.bill("meter-1", items))
    fewer = metering.bill("meter-1", items[:-1])
    other_part = metering.bill("meter-1", items, hours=2, start=START + EPOCH)
    longer = metering.bill("meter-1", items, hours=25, start=START - EPOCH)
    for request in (fewer, other_part, longer):
        assert refused(metering, request, OverlapError).who == "gw-1"


def test_the_readings_of_a_bill_are_gone_once_it_is_answered(
    metering: Metering, items: tuple[BillItem, ...]
) -> None:
    answered(metering, metering.bill("meter-1", items))
    assert metering.meters["meter-1"].store.own("bills", 0, 2**62) == {}


def test_one_reading_is_no_bill(metering: Metering, items: tuple[BillItem, ...]) -> None:
    refused(metering, metering.bill("meter-1", items[:1]), TooFewError)


def test_weights_cannot_be_chosen_to_tell_readings_apart(
    metering: Metering, items: tuple[BillItem, ...]
) -> None:
    # With a weight over the range for one reading the total would contain it digit by digit.
    telling = (replace(items[0], weight=MAX_WEIGHT), *(replace(i, weight=1) for i in items[1:]))
    refused(metering, metering.bill("meter-1", telling), TooFewError)
    assert answered(metering, metering.bill("meter-1", items)).total == TOTAL


def test_a_repeated_reading_makes_a_request_malformed(
    metering: Metering, items: tuple[BillItem, ...]
) -> None:
    with pytest.raises(MalformedError, match="each once"):
        refused(metering, metering.bill("meter-1", (items[0], *items)), TooFewError)


@pytest.mark.parametrize("weight", [0, -1, MAX_WEIGHT + 1, 2**64])
def test_a_weight_of_nothing_below_it_or_beyond_all_prices_makes_a_request_malformed(
    metering: Metering, items: tuple[BillItem, ...], weight: int
) -> None:
    request = metering.bill("meter-1", (replace(items[0], weight=weight), *items[1:]))
    with pytest.raises(MalformedError):
        BillRequest.parse(cbor.decode(request.encode(), "request", limit=10_000))


def test_a_reading_of_another_device_is_refused(
    metering: Metering, items: tuple[BillItem, ...]
) -> None:
    (foreign,) = metering.items("meter-2", metering.consume("meter-2", 5), (30,))
    request = metering.bill("meter-1", tuple(sorted((*items, foreign), key=lambda i: i.message_id)))
    refused(metering, request, ForeignReadingError)
    assert answered(metering, metering.bill("meter-1", items)).total == TOTAL


def test_a_commitment_that_the_gateway_swapped_is_refused(
    metering: Metering, items: tuple[BillItem, ...]
) -> None:
    swapped = (replace(items[0], commitment=items[1].commitment), *items[1:])
    error = refused(metering, metering.bill("meter-1", swapped), CommitmentDiffersError)
    assert error.who == "gw-1"


def test_a_reading_under_another_time_than_its_own_is_refused(
    metering: Metering, items: tuple[BillItem, ...]
) -> None:
    moved = (replace(items[0], issued=items[0].issued + 1), *items[1:])
    refused(metering, metering.bill("meter-1", moved), ForeignReadingError)


def test_a_reading_outside_of_the_time_of_the_bill_is_refused(
    metering: Metering, items: tuple[BillItem, ...]
) -> None:
    refused(metering, metering.bill("meter-1", items, hours=2), ForeignReadingError)


def test_readings_of_another_scale_are_refused(
    metering: Metering, items: tuple[BillItem, ...]
) -> None:
    request = metering.bill("meter-1", items)
    other = replace(request, scale=replace(request.scale, exponent=-2))
    refused(metering, other, ForeignReadingError)


def test_a_bill_of_another_device_is_not_answered(
    metering: Metering, items: tuple[BillItem, ...]
) -> None:
    signed = metering.sign(metering.bill("meter-1", items))
    with pytest.raises(NotAllowedError, match="one of meter-2"):
        metering.billing("meter-2").answer(signed, metering.roster, NOW)


def test_epochs_that_have_not_ended_or_are_not_whole_are_refused(
    metering: Metering, items: tuple[BillItem, ...]
) -> None:
    refused(metering, metering.bill("meter-1", items, hours=26), EpochError)
    refused(metering, replace(metering.bill("meter-1", items), start=START + 1), EpochError)
    refused(metering, metering.bill("meter-1", items, hours=0), EpochError)


def test_a_channel_for_sums_has_no_bills_and_the_other_way_round(
    metering: Metering, items: tuple[BillItem, ...]
) -> None:
    request = metering.bill("meter-1", items)
    on_sums = replace(request, channel="load", rule=metering.rules["load"])
    refused(metering, on_sums, NotAllowedError)


def test_another_rule_than_the_owners_is_refused(
    metering: Metering, items: tuple[BillItem, ...]
) -> None:
    request = metering.bill("meter-1", items)
    refused(metering, replace(request, rule=TotalsRule(epoch=EPOCH, least=2)), NotAllowedError)
    refused(metering, replace(request, channel="nowhere"), NotAllowedError)


def test_a_request_by_nobody_who_is_a_gateway_is_refused(
    metering: Metering, items: tuple[BillItem, ...]
) -> None:
    request = metering.bill("meter-1", items)
    billing = metering.billing("meter-1")
    broken = bytearray(metering.sign(request))
    broken[-1] ^= 1
    with pytest.raises(SignatureError):
        billing.answer(bytes(broken), metering.roster, NOW)
    forged = metering.sign(request, "meter-2")
    with pytest.raises(UnknownDeviceError, match="identity key"):
        billing.answer(forged, metering.roster, NOW)
    stranger = metering.sign(replace(request, gateway="meter-2"), "meter-2")
    with pytest.raises(UnknownDeviceError, match="no gateway"):
        billing.answer(stranger, metering.roster, NOW)


def test_a_revoked_gateway_gets_no_answer(metering: Metering, items: tuple[BillItem, ...]) -> None:
    metering.fleet.revoke("gw-1")
    metering.roster = metering.fleet.roster()
    refused(metering, metering.bill("meter-1", items), NotAllowedError)


def test_a_total_beyond_64_bits_makes_a_request_malformed(metering: Metering) -> None:
    policy = replace(POLICY, low=2**62 - 10, high=2**62)
    meter = metering.meters["meter-1"]
    ids = [meter.read(2**62 - 1, START + 60 * n, "bills", policy) for n in range(3)]
    request = metering.bill("meter-1", metering.items("meter-1", ids, (1, 1, 1)))
    scale = replace(request.scale, low=policy.low, high=policy.high)
    with pytest.raises(MalformedError, match="63 bits"):
        cose.parse_signed(BillRequest, metering.sign(replace(request, scale=scale)))
