"""What a trustee takes, keeps and goes by: no single device or gateway can spoil or bend a sum."""

from dataclasses import replace
from pathlib import Path

import pytest

from device_sdk.proofs.group import RISTRETTO255
from device_sdk.proofs.sharing import Part
from device_sdk.proofs.totals import check_reports, check_sum, lacking
from device_sdk.proofs.totals_signed import open_from_trustees
from device_sdk.totals import store as totals_store
from device_sdk.wire import cose
from device_sdk.wire.errors import SealgateError
from device_sdk.wire.limits import CLOCK_SKEW, DAY, MAX_LIFETIME
from device_sdk.wire.totals_bill import BillItem
from device_sdk.wire.totals_errors import (
    ForeignReadingError,
    InconsistentSharesError,
    LacksReadingsError,
)
from device_sdk.wire.totals_scale import Scale
from device_sdk.wire.totals_share import Share
from device_sdk.wire.totals_sum import (
    OTHER_TRUSTEES,
    WRONG_SHARE,
    SumAnswer,
    SumItem,
    SumReport,
    SumRequest,
)
from tests.support.envelopes import NOW
from tests.support.totals import POLICY, TRUSTEES, Metering

STEPS = (100, 60_000, 7)


@pytest.fixture
def items(metering: Metering) -> list[SumItem]:
    return metering.measured(*STEPS)


def ask(metering: Metering, request: SumRequest) -> int:
    """Return the sum as `sealgate totals sum` works it out."""
    signed = metering.sign(request)
    reports = metering.reports(signed)
    told = [t.answer(signed, reports, metering.roster, NOW) for t in metering.trustees.values()]
    found = open_from_trustees(SumReport, reports, request, metering.roster, metering.aad)
    splits = check_reports(request, found, metering.roster, metering.aad)
    answers = open_from_trustees(SumAnswer, told, request, metering.roster, metering.aad)
    return check_sum(request, splits, answers)


@pytest.mark.parametrize(
    "scale",
    [
        replace(Scale.of(POLICY), unit="MWh"),
        replace(Scale.of(POLICY), exponent=3),
        replace(Scale.of(POLICY), mantissa=0),
    ],
)
def test_a_gateway_cannot_have_a_sum_verified_in_another_unit_or_step(
    metering: Metering, items: list[SumItem], scale: Scale
) -> None:
    """The readings are thousandths of a kWh by the owner's roster, the gateway says otherwise."""
    with pytest.raises(SealgateError):
        ask(metering, replace(metering.sum_of(*items), scale=scale))


def test_trustees_and_a_gateway_together_cannot_have_another_unit_verified(
    metering: Metering, items: list[SumItem]
) -> None:
    """They report what devices have signed, about a request that says otherwise."""
    right = metering.sum_of(*items)
    reports = open_from_trustees(
        SumReport, metering.reports(metering.sign(right)), right, metering.roster, metering.aad
    )
    wrong = replace(right, scale=replace(right.scale, unit="MWh"))
    with pytest.raises(InconsistentSharesError, match="unit, step and range"):
        check_reports(wrong, reports, metering.roster, metering.aad)
    assert lacking(wrong, reports, metering.roster, metering.aad) == set(items)


def test_an_honest_device_whose_trustees_the_owner_has_changed_is_no_cheat(
    metering: Metering, items: list[SumItem]
) -> None:
    entry = metering.fleet.channels["load"]
    rule = replace(metering.rules["load"], trustees=("ann", "meter-3"))
    metering.fleet.channels["load"] = replace(entry, totals=rule)
    roster = metering.fleet.roster()
    request = metering.sign(replace(metering.sum_of(*items), rule=rule))
    report = cose.parse_signed(SumReport, metering.trustees["ann"].report(request, roster, NOW))
    assert report.claims.entries == (OTHER_TRUSTEES,) * 3


def test_shares_of_who_is_no_sender_of_the_channel_are_not_added_up(
    metering: Metering, items: list[SumItem]
) -> None:
    entry = metering.fleet.channels["load"]
    metering.fleet.channels["load"] = replace(entry, senders=("meter-2", "meter-3"))
    roster = metering.fleet.roster()
    request = metering.sign(metering.sum_of(*items))
    report = cose.parse_signed(SumReport, metering.trustees["ann"].report(request, roster, NOW))
    assert report.claims.entries[0] == WRONG_SHARE
    assert report.claims.is_complete is False


def second_split(metering: Metering, item: SumItem, trustee: str) -> bytes:
    split, part = metering.shares(item.sender, item.message_id)[trustee]
    return metering.payload(replace(split, issued=split.issued + 1), part)


def test_a_device_cannot_spoil_the_sum_of_all_after_everybody_has_reported(
    metering: Metering, items: list[SumItem]
) -> None:
    request = metering.sum_of(*items)
    signed = metering.sign(request)
    reports = metering.reports(signed)
    ann, bob = metering.trustees["ann"], metering.trustees["bob"]
    ann.answer(signed, reports, metering.roster, NOW)
    # One hostile meter signs a second split, to bob alone, who collects before he answers.
    bob.take(items[0].sender, second_split(metering, items[0], "bob"), metering.roster, NOW)
    bob.answer(signed, reports, metering.roster, NOW)  # ann will never answer another one


def test_what_was_reported_is_reported_again_though_another_split_has_come(
    metering: Metering, items: list[SumItem]
) -> None:
    signed = metering.sign(metering.sum_of(*items))
    before = metering.reports(signed)[1]
    bob = metering.trustees["bob"]
    bob.take(items[0].sender, second_split(metering, items[0], "bob"), metering.roster, NOW)
    again = bob.report(signed, metering.roster, NOW)
    assert cose.parse_signed(SumReport, again).claims == cose.parse_signed(SumReport, before).claims


def test_a_trustee_that_has_another_split_than_it_has_reported_does_not_answer(
    metering: Metering, items: list[SumItem]
) -> None:
    """As after a restore from a backup: what it would tell does not fit what others rely on."""
    signed = metering.sign(metering.sum_of(*items))
    reports = metering.reports(signed)
    ann = metering.trustees["ann"]
    ann._store._state.execute("DELETE FROM held_share WHERE sender = ?", (items[0].sender,))
    assert ann.take(items[0].sender, second_split(metering, items[0], "ann"), metering.roster, NOW)
    with pytest.raises(LacksReadingsError, match="has reported"):
        ann.answer(signed, reports, metering.roster, NOW)


def test_wrong_shares_of_one_device_are_few_and_push_out_no_right_one(
    metering: Metering, items: list[SumItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals_store, "MOST_WRONG", 2)
    name, trustee = items[0].sender, metering.trustees["ann"]
    for message_id in metering.consume(name, 1, 2, 3, 4, channel="load"):
        split, part = metering.shares(name, message_id)["ann"]
        wrong = replace(part, value=RISTRETTO255.random_scalar())
        assert not trustee.take(name, metering.payload(split, wrong), metering.roster, NOW)
    rows = trustee._store._state.rows("SELECT problem FROM held_share WHERE sender = ?", (name,))
    assert sorted(rows) == [("",), (WRONG_SHARE,), (WRONG_SHARE,)]


@pytest.mark.parametrize(
    ("after", "is_taken"),
    [
        (CLOCK_SKEW, True),
        (CLOCK_SKEW + 1, False),
        (-MAX_LIFETIME - CLOCK_SKEW, True),
        (-MAX_LIFETIME - CLOCK_SKEW - 1, False),
    ],
)
def test_a_share_of_a_time_that_cannot_be_is_not_kept(
    metering: Metering, after: int, is_taken: bool
) -> None:
    message_id = metering.meters["meter-1"].read(1, NOW + after, "load")
    payload = metering.payload(*metering.shares("meter-1", message_id)["ann"])
    trustee = metering.trustees["ann"]
    assert trustee.take("meter-1", payload, metering.roster, NOW) is is_taken
    assert (trustee._store.share("meter-1", message_id) is not None) is is_taken


def test_a_trustee_answers_by_the_split_that_it_has_reported(
    metering: Metering, items: list[SumItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device pushes its own share out, and gives another one: the honest trustee is blamed."""
    monkeypatch.setattr(totals_store, "MOST_SHARES", 3)  # 40,000 really: so many messages
    request = metering.sum_of(*items)
    signed = metering.sign(request)
    reports = metering.reports(signed)
    name, victim = items[0].sender, metering.trustees["ann"]
    meter = metering.meters[name]
    split, part = metering.shares(name, items[0].message_id)["ann"]
    shifted = Part(
        value=RISTRETTO255.scalar_add(part.value, RISTRETTO255.scalar(2)), blinding=part.blinding
    )
    other = metering.shares(name, items[0].message_id)["bob"][1]
    rest = Part(
        value=RISTRETTO255.scalar_subtract(other.value, RISTRETTO255.scalar(2)),
        blinding=other.blinding,
    )
    for _ in range(3):
        junk = meter.read(1, split.issued + 5, "load")
        metering.deliver(name, junk, ["ann"])
    again = replace(
        split,
        issued=split.issued + 60,
        shares=(("ann", shifted.commitment), ("bob", rest.commitment)),
    )
    assert not victim.take(name, metering.payload(again, shifted), metering.roster, NOW)
    told = [t.answer(signed, reports, metering.roster, NOW) for t in metering.trustees.values()]
    found = open_from_trustees(SumReport, reports, request, metering.roster, metering.aad)
    splits = check_reports(request, found, metering.roster, metering.aad)
    answers = open_from_trustees(SumAnswer, told, request, metering.roster, metering.aad)
    assert check_sum(request, splits, answers) == sum(STEPS)


def test_an_honest_share_that_is_ahead_of_the_trustees_roster_is_not_lost(
    metering: Metering,
) -> None:
    """The meter has the owner's new rule, the trustee (for some seconds, or as long as a hostile
    gateway likes) the roster before it."""
    entry = metering.fleet.channels["load"]
    metering.fleet.channels["load"] = replace(entry, totals=None)
    before = metering.fleet.roster()
    metering.fleet.channels["load"] = entry
    metering.roster = metering.fleet.roster()
    items = []
    for name, steps in zip(metering.meters, STEPS, strict=True):
        (message_id,) = metering.consume(name, steps, channel="load")
        shares = metering.shares(name, message_id)
        for one in TRUSTEES:
            roster = before if (one, name) == ("bob", "meter-1") else metering.roster
            metering.trustees[one].take(name, metering.payload(*shares[one]), roster, NOW)
        items.append(metering.sum_item(name, message_id))
    # The gateway delivers it again, by now the roster is there: too late.
    metering.trustees["bob"].take(
        "meter-1",
        metering.payload(*metering.shares("meter-1", items[0].message_id)["bob"]),
        metering.roster,
        NOW,
    )
    signed = metering.sign(metering.sum_of(*items))
    report = cose.parse_signed(SumReport, metering.reports(signed)[1]).claims
    assert WRONG_SHARE not in report.entries  # an honest device is named as one that cheats


def test_a_share_of_an_epoch_that_was_answered_is_not_kept_again(
    metering: Metering, items: list[SumItem]
) -> None:
    """After a crash, or with a trustee's key missing, devices send the same share several times."""
    ask(metering, metering.sum_of(*items))
    copies = {
        one: metering.payload(*metering.shares(items[0].sender, items[0].message_id)[one])
        for one in TRUSTEES
    }
    parts = []
    for one, payload in copies.items():
        metering.trustees[one].take(items[0].sender, payload, metering.roster, NOW)
        held = metering.trustees[one]._store.share(items[0].sender, items[0].message_id)
        parts.append(held)
    assert [part for part in parts if part is not None] == []


def test_shares_that_no_rule_is_about_are_not_kept_for_ever(metering: Metering) -> None:
    """A member of the fleet that sends on no channel fills a trustee's file, and it stays."""
    trustee, store = metering.trustees["bob"], metering.trustees["bob"]._store
    (message_id,) = metering.consume("meter-1", 5, channel="load")
    split, part = metering.shares("meter-1", message_id)["bob"]
    junk = replace(split, sender="ann", channel="no-such", issued=2**64 - 1)
    trustee.take("ann", metering.payload(junk, part), metering.roster, NOW)
    store.forget(NOW + 100 * 365 * DAY)
    assert store.share("ann", message_id) is None


def test_shares_are_not_readable_at_rest(
    metering: Metering, items: list[SumItem], tmp_path: Path
) -> None:
    split, part = metering.shares(items[0].sender, items[0].message_id)["ann"]
    assert Share.decode(metering.payload(split, part)).value == part.value
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.name[:3] == "ann")
    assert part.value not in files


def test_a_sum_that_was_answered_leaves_no_share_in_the_files(
    metering: Metering, items: list[SumItem], tmp_path: Path
) -> None:
    part = metering.shares(items[0].sender, items[0].message_id)["ann"][1]
    ask(metering, metering.sum_of(*items))
    metering._states["ann"].sweep()
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.name[:3] == "ann")
    assert part.value not in files
    assert part.blinding not in files


def test_no_reading_stands_in_a_bill_and_in_a_sum(metering: Metering) -> None:
    """The meter ends after its shares are on their way and before it has noted that; the owner
    tries bills on the channel for a while, and goes back to sums."""
    sums, entry = metering.rules["load"], metering.fleet.channels["load"]
    items = metering.measured(*STEPS)
    own = [
        metering.sum_item("meter-1", one)
        for one in metering.consume("meter-1", 5, 6, channel="load")
    ]
    ids = [items[0].message_id, *(one.message_id for one in own)]
    bills = replace(sums, trustees=())
    metering.fleet.channels["load"] = replace(entry, totals=bills)
    asked = tuple(
        BillItem(
            message_id=one,
            issued=metering.meters["meter-1"].own("load", one).issued,
            commitment=metering.sum_item("meter-1", one).commitment,
            weight=1,
        )
        for one in sorted(ids)
    )
    bill = replace(metering.bill("meter-1", asked), channel="load", rule=bills)
    with pytest.raises(ForeignReadingError):
        metering.billing("meter-1").answer(metering.sign(bill), metering.fleet.roster(), NOW)
    assert ask(metering, metering.sum_of(*items)) == sum(STEPS)
