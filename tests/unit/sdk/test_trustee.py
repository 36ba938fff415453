"""Trustees tell the sum of one exact set, and who has lied is named before anything is told."""

import secrets
from dataclasses import replace

import pytest

from device_sdk.proofs import pedersen
from device_sdk.proofs.group import RISTRETTO255
from device_sdk.proofs.sharing import Part, add_up, total_of
from device_sdk.proofs.totals import check_reports, check_sum, lacking
from device_sdk.proofs.totals_signed import open_from_trustees
from device_sdk.wire import cose
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.totals_errors import (
    EpochError,
    InconsistentSharesError,
    LacksReadingsError,
    NotAllowedError,
    OtherRequestError,
    OverlapError,
    RequestError,
    TooFewError,
    WrongTotalError,
)
from device_sdk.wire.totals_share import Split
from device_sdk.wire.totals_sum import (
    MISSING,
    OTHER_COMMITMENT,
    OTHER_EPOCH,
    WRONG_SHARE,
    SumAnswer,
    SumItem,
    SumReport,
    SumRequest,
)
from tests.support.envelopes import NOW
from tests.support.totals import EPOCH, START, TRUSTEES, Metering

STEPS = (100, 60_000, 7)


@pytest.fixture
def items(metering: Metering) -> list[SumItem]:
    return metering.measured(*STEPS)


def answers(metering: Metering, request: SumRequest) -> list[bytes]:
    signed = metering.sign(request)
    reports = metering.reports(signed)
    return [t.answer(signed, reports, metering.roster, NOW) for t in metering.trustees.values()]


def opened(metering: Metering, request: SumRequest, data: list[bytes]) -> dict[str, SumAnswer]:
    return open_from_trustees(SumAnswer, data, request, metering.roster, metering.aad)


def splits(metering: Metering, request: SumRequest, reports: list[bytes]) -> tuple[Split, ...]:
    found = open_from_trustees(SumReport, reports, request, metering.roster, metering.aad)
    return check_reports(request, found, metering.roster, metering.aad)


def entries(metering: Metering, request: SumRequest, trustee: str = "ann") -> list[str]:
    """Return what a trustee says about each item; "" where it has its share."""
    data = metering.trustees[trustee].report(metering.sign(request), metering.roster, NOW)
    found = cose.parse_signed(SumReport, data).claims.entries
    return [entry if isinstance(entry, str) else "" for entry in found]


def refused(metering: Metering, request: SumRequest, error: type[RequestError]) -> None:
    signed = metering.sign(request)
    with pytest.raises(error):
        metering.trustees["ann"].report(signed, metering.roster, NOW)
    with pytest.raises(error):
        metering.trustees["ann"].answer(signed, [], metering.roster, NOW)


def test_all_trustees_together_tell_the_sum_and_it_is_verified(
    metering: Metering, items: list[SumItem]
) -> None:
    request = metering.sum_of(*items)
    reports = metering.reports(metering.sign(request))
    told = opened(metering, request, answers(metering, request))
    assert check_sum(request, splits(metering, request, reports), told) == sum(STEPS)


def test_parts_of_a_reading_say_nothing_without_the_last_one() -> None:
    """Whatever reading one trustee guesses, there is a part of the other one that makes it true."""
    mine = Part(value=RISTRETTO255.random_scalar(), blinding=RISTRETTO255.random_scalar())
    for guess in (0, 1, 60_000, -5):
        rest = RISTRETTO255.scalar_subtract(RISTRETTO255.scalar(guess), mine.value)
        assert total_of([mine, Part(value=rest, blinding=mine.blinding)]) == guess


def test_parts_add_up_to_what_was_shared_out_and_are_the_same_every_time(
    metering: Metering,
) -> None:
    for steps in (0, 1, 60_000):
        (message_id,) = metering.consume("meter-1", steps, channel="load")
        shares = metering.shares("meter-1", message_id)
        parts = [part for _, part in shares.values()]
        assert total_of(parts) == steps
        commitment = metering.sum_item("meter-1", message_id).commitment
        assert pedersen.opens(commitment, steps, add_up(parts).blinding)
        assert metering.shares("meter-1", message_id) == shares


def test_a_trustee_that_lies_is_named(metering: Metering, items: list[SumItem]) -> None:
    request = metering.sum_of(*items)
    reports = metering.reports(metering.sign(request))
    told = opened(metering, request, answers(metering, request))
    one = RISTRETTO255.scalar(1)
    for wrong in (replace(told["bob"], value=one), replace(told["bob"], blinding=one)):
        lying = {**told, "bob": wrong}
        with pytest.raises(WrongTotalError) as caught:
            check_sum(request, splits(metering, request, reports), lying)
        assert caught.value.who == "bob"


def test_a_sum_that_is_no_scalar_names_its_trustee(
    metering: Metering, items: list[SumItem]
) -> None:
    request = metering.sum_of(*items)
    reports = metering.reports(metering.sign(request))
    told = opened(metering, request, answers(metering, request))
    lying = {**told, "ann": replace(told["ann"], value=bytes([255] * 32))}
    with pytest.raises(WrongTotalError) as caught:
        check_sum(request, splits(metering, request, reports), lying)
    assert caught.value.who == "ann"


def test_trustees_who_lie_together_cannot_shift_the_sum(
    metering: Metering, items: list[SumItem]
) -> None:
    """Both tell another number, so that the sum is still one: nothing opens to it."""
    request = metering.sum_of(*items)
    reports = metering.reports(metering.sign(request))
    told = opened(metering, request, answers(metering, request))
    one = RISTRETTO255.scalar(1)
    lying = {
        "ann": replace(told["ann"], value=RISTRETTO255.scalar_add(told["ann"].value, one)),
        "bob": replace(told["bob"], value=RISTRETTO255.scalar_subtract(told["bob"].value, one)),
    }
    with pytest.raises(WrongTotalError):
        check_sum(request, splits(metering, request, reports), lying)


def test_a_sum_of_other_commitments_than_those_that_were_shared_out_is_wrong(
    metering: Metering, items: list[SumItem]
) -> None:
    request = metering.sum_of(*items)
    reports = metering.reports(metering.sign(request))
    agreed = splits(metering, request, reports)
    told = opened(metering, request, answers(metering, request))
    swapped = replace(items[0], commitment=items[1].commitment)
    with pytest.raises(WrongTotalError):
        check_sum(metering.sum_of(swapped, *items[1:]), agreed, told)


def test_a_share_that_its_commitment_does_not_open_is_named_before_anything_is_told(
    metering: Metering, items: list[SumItem]
) -> None:
    (message_id,) = metering.consume("meter-1", 5, channel="load")
    split, part = metering.shares("meter-1", message_id)["ann"]
    wrong = replace(part, value=RISTRETTO255.scalar(secrets.randbits(100)))
    assert not metering.trustees["ann"].take(
        "meter-1", metering.payload(split, wrong), metering.roster, NOW
    )
    item = metering.sum_item("meter-1", message_id)
    request = metering.sum_of(item, *items[1:])
    assert WRONG_SHARE in entries(metering, request)


def test_a_device_that_gives_two_trustees_different_splits_is_named(
    metering: Metering, items: list[SumItem]
) -> None:
    (message_id,) = metering.consume("meter-1", 5, channel="load")
    shares = metering.shares("meter-1", message_id)
    metering.deliver("meter-1", message_id, ["ann"])
    split, part = shares["bob"]
    two = RISTRETTO255.scalar(2)
    # The other split adds up to the same commitment, and its part opens.
    shifted = replace(part, value=RISTRETTO255.scalar_add(part.value, two))
    rest = replace(
        shares["ann"][1], value=RISTRETTO255.scalar_subtract(shares["ann"][1].value, two)
    )
    other = replace(split, shares=(("ann", rest.commitment), ("bob", shifted.commitment)))
    assert metering.trustees["bob"].take(
        "meter-1", metering.payload(other, shifted), metering.roster, NOW
    )
    request = metering.sum_of(metering.sum_item("meter-1", message_id), *items[1:])
    signed = metering.sign(request)
    reports = metering.reports(signed)
    for trustee in metering.trustees.values():
        with pytest.raises(InconsistentSharesError) as caught:
            trustee.answer(signed, reports, metering.roster, NOW)
        assert caught.value.who == "meter-1"
    assert answers(metering, metering.sum_of(*items))  # nothing was told before


def test_a_second_split_of_one_reading_is_a_wrong_share(
    metering: Metering, items: list[SumItem]
) -> None:
    item = items[0]
    split, part = metering.shares("meter-1", item.message_id)["ann"]
    other = replace(split, issued=split.issued + 1)
    assert not metering.trustees["ann"].take(
        "meter-1", metering.payload(other, part), metering.roster, NOW
    )
    assert entries(metering, metering.sum_of(*items)).count(WRONG_SHARE) == 1


def test_the_same_share_again_changes_nothing(metering: Metering, items: list[SumItem]) -> None:
    metering.deliver("meter-1", items[0].message_id)
    assert entries(metering, metering.sum_of(*items)) == ["", "", ""]


def test_shares_in_anothers_name_are_not_kept(metering: Metering) -> None:
    (message_id,) = metering.consume("meter-1", 5, channel="load")
    split, part = metering.shares("meter-1", message_id)["ann"]
    trustee = metering.trustees["ann"]
    for sender, payload in (
        ("meter-2", metering.payload(split, part)),
        ("meter-1", metering.payload(split, part, signer="meter-2")),
        ("meter-1", b"no share"),
    ):
        assert not trustee.take(sender, payload, metering.roster, NOW)
    assert trustee.take("meter-1", metering.payload(split, part), metering.roster, NOW)


def test_a_swapped_commitment_is_found_by_the_trustees(
    metering: Metering, items: list[SumItem]
) -> None:
    swapped = replace(items[0], commitment=items[1].commitment)
    found = entries(metering, metering.sum_of(swapped, *items[1:]))
    assert found == [OTHER_COMMITMENT, "", ""]


def test_a_meter_that_is_missing_at_one_trustee_is_left_out_by_a_new_request(
    metering: Metering, items: list[SumItem]
) -> None:
    (message_id,) = metering.consume("meter-1", 5, channel="load")
    metering.deliver("meter-1", message_id, ["ann"])
    late = metering.sum_item("meter-1", message_id)
    signed = metering.sign(metering.sum_of(late, *items))
    reports = metering.reports(signed)
    for trustee in metering.trustees.values():
        with pytest.raises(LacksReadingsError, match=r"meter-1 \(missing\)") as caught:
            trustee.answer(signed, reports, metering.roster, NOW)
        assert caught.value.who == "bob"
    request = metering.sum_of(*items)
    told = opened(metering, request, answers(metering, request))
    assert total_of(Part.parse(a.value, a.blinding) for a in told.values()) == sum(STEPS)


def test_what_any_trustee_lacks_or_was_told_differently_is_what_a_next_request_leaves_out(
    metering: Metering, items: list[SumItem]
) -> None:
    first, second = (
        metering.consume("meter-1", 5, channel="load"),
        metering.consume("meter-2", 6, channel="load"),
    )
    metering.deliver("meter-1", first[0], ["bob"])
    split, part = metering.shares("meter-2", second[0])["bob"]
    metering.deliver("meter-2", second[0], ["ann"])
    other = replace(split, shares=(("ann", part.commitment), split.shares[1]))
    metering.trustees["bob"].take("meter-2", metering.payload(other, part), metering.roster, NOW)
    missing, differs = (
        metering.sum_item("meter-1", first[0]),
        metering.sum_item("meter-2", second[0]),
    )
    request = metering.sum_of(*items, missing, differs)
    reports = metering.reports(metering.sign(request))
    found = open_from_trustees(SumReport, reports, request, metering.roster, metering.aad)
    assert lacking(request, found, metering.roster, metering.aad) == {missing, differs}
    shorter = {"bob": replace(found["bob"], entries=("missing",)), "ann": found["ann"]}
    for check in (lacking, check_reports):
        with pytest.raises(OtherRequestError) as caught:
            check(request, shorter, metering.roster, metering.aad)
        assert caught.value.who == "bob"


def test_no_second_total_of_an_epoch_and_none_that_overlaps(
    metering: Metering, items: list[SumItem]
) -> None:
    (message_id,) = metering.consume("meter-1", 5, channel="load")
    metering.deliver("meter-1", message_id)
    late = metering.sum_item("meter-1", message_id)
    answers(metering, metering.sum_of(*items))
    again = metering.sign(metering.sum_of(late, *items))
    for trustee in metering.trustees.values():
        with pytest.raises(OverlapError):
            trustee.answer(again, [], metering.roster, NOW)


def test_the_same_request_is_answered_the_same_again_and_the_shares_are_gone(
    metering: Metering, items: list[SumItem]
) -> None:
    request = metering.sum_of(*items)
    first = answers(metering, request)
    signed = metering.sign(request)
    again = [metering.trustee(n).answer(signed, [], metering.roster, NOW) for n in TRUSTEES]
    assert again == first
    assert entries(metering, metering.sum_of(*items)) == [MISSING] * 3


def test_a_trustee_tells_nothing_before_all_of_them_have_reported(
    metering: Metering, items: list[SumItem]
) -> None:
    signed = metering.sign(metering.sum_of(*items))
    own, other = metering.reports(signed)
    for reports in ([own], [own, own], [own, other, other]):
        with pytest.raises(OtherRequestError):
            metering.trustees["ann"].answer(signed, reports, metering.roster, NOW)


def test_reports_about_another_set_do_not_count(metering: Metering, items: list[SumItem]) -> None:
    signed = metering.sign(metering.sum_of(*items))
    about_other = metering.reports(metering.sign(replace(metering.sum_of(*items), time=NOW - 1)))
    with pytest.raises(OtherRequestError):
        metering.trustees["ann"].answer(signed, about_other, metering.roster, NOW)


def test_a_trustee_that_reports_what_no_device_signed_is_named(
    metering: Metering, items: list[SumItem]
) -> None:
    request = metering.sum_of(*items)
    signed = metering.sign(request)
    reports = metering.reports(signed)
    lying = cose.parse_signed(SumReport, reports[1]).claims
    forged = cose.parse_signed(Split, bytes(lying.entries[0])).claims  # type: ignore[arg-type]
    entry = metering.sign(forged, "bob")
    wrong = metering.sign(replace(lying, entries=(entry, *lying.entries[1:])), "bob")
    with pytest.raises(InconsistentSharesError) as caught:
        metering.trustees["ann"].answer(signed, [reports[0], wrong], metering.roster, NOW)
    assert caught.value.who == "bob"


def test_fewer_devices_than_the_owner_demands_are_refused(
    metering: Metering, items: list[SumItem]
) -> None:
    ids = metering.consume("meter-1", 5, channel="load")
    more = metering.sum_item("meter-1", ids[0])
    refused(metering, metering.sum_of(items[0], more, items[1]), TooFewError)
    refused(metering, metering.sum_of(items[0]), TooFewError)


def test_a_repeated_reading_makes_a_request_malformed(
    metering: Metering, items: list[SumItem]
) -> None:
    signed = metering.sign(metering.sum_of(items[0], *items))
    with pytest.raises(MalformedError, match="each once"):
        metering.trustees["ann"].report(signed, metering.roster, NOW)


def test_a_reading_of_another_epoch_is_not_added_up(
    metering: Metering, items: list[SumItem]
) -> None:
    _, later = metering.consume("meter-1", 5, 6, channel="load")
    metering.deliver("meter-1", later)
    item = metering.sum_item("meter-1", later)
    assert OTHER_EPOCH in entries(metering, metering.sum_of(item, *items[1:]))


def test_an_epoch_that_has_not_ended_and_a_rule_that_is_not_the_owners_are_refused(
    metering: Metering, items: list[SumItem]
) -> None:
    request = metering.sum_of(*items)
    refused(metering, replace(request, start=NOW - NOW % EPOCH), EpochError)
    refused(metering, replace(request, start=START + 1), EpochError)
    refused(metering, replace(request, rule=replace(request.rule, least=2)), NotAllowedError)
    refused(metering, replace(request, channel="bills"), NotAllowedError)
