"""Totals of any readings are right, a wrong one never is, and all records come back whole."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sdk.proofs import pedersen
from device_sdk.proofs.errors import MalformedProofError
from device_sdk.proofs.group import RISTRETTO255
from device_sdk.proofs.sharing import Part, add_up, complete, shares_out, total_of
from device_sdk.proofs.totals import check_bill
from device_sdk.wire import cbor, cose
from device_sdk.wire.reading_policy import MAX_EXPONENT, MAX_MANTISSA, MAX_UNIT
from device_sdk.wire.roster_page import ChannelEntry
from device_sdk.wire.totals_bill import MAX_WEIGHT, BillAnswer, BillItem, BillRequest
from device_sdk.wire.totals_errors import WrongTotalError
from device_sdk.wire.totals_rule import (
    MAX_EPOCH,
    MAX_LEAST,
    MAX_TRUSTEES,
    MIN_LEAST,
    MIN_TRUSTEES,
    TotalsRule,
)
from device_sdk.wire.totals_scale import MAX_TOTAL, Scale
from device_sdk.wire.totals_share import Share, Split
from device_sdk.wire.totals_sum import LACKS, SumAnswer, SumItem, SumReport, SumRequest
from tests.property.test_round_trips import (
    hashes,
    ids,
    is_deterministic,
    names,
    numbers,
    rules,
    sorted_names,
    texts,
)

SPAN = 2**40
"""Of a bound in either direction: so that a total of a few readings fits."""
some_trustees = st.lists(names, min_size=MIN_TRUSTEES, max_size=MAX_TRUSTEES, unique=True)
totals_rules = st.builds(
    TotalsRule,
    epoch=st.integers(1, MAX_EPOCH),
    least=st.integers(MIN_LEAST, MAX_LEAST),
    trustees=st.just(()) | some_trustees.map(lambda found: tuple(sorted(found))),
)
short_texts = texts.filter(lambda text: len(text) <= MAX_UNIT)
scales = st.builds(
    Scale,
    unit=short_texts,
    exponent=st.integers(-MAX_EXPONENT, MAX_EXPONENT),
    mantissa=st.integers(1, MAX_MANTISSA).filter(lambda number: number % 10 != 0),
    low=st.integers(-SPAN, 0),
    high=st.integers(1, SPAN),
)
bill_items = st.lists(
    st.builds(
        BillItem,
        message_id=ids,
        issued=numbers,
        commitment=hashes,
        weight=st.integers(1, MAX_WEIGHT),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda item: item.message_id,
).map(lambda items: tuple(sorted(items, key=lambda item: item.message_id)))
sum_items = st.lists(
    st.builds(SumItem, sender=names, message_id=ids, commitment=hashes),
    min_size=1,
    max_size=5,
    unique_by=lambda item: (item.sender, item.message_id),
).map(lambda items: tuple(sorted(items)))
shares = st.dictionaries(names, hashes, min_size=MIN_TRUSTEES, max_size=MAX_TRUSTEES).map(
    lambda found: tuple(sorted(found.items()))
)
RECORDS: dict[type[cose.Record], st.SearchStrategy[Any]] = {
    BillRequest: st.builds(
        BillRequest,
        gateway=names,
        device=names,
        channel=names,
        rule=totals_rules,
        start=numbers,
        until=numbers,
        scale=scales,
        price=short_texts,
        items=bill_items,
        time=numbers,
    ),
    BillAnswer: st.builds(
        BillAnswer,
        device=names,
        request_hash=hashes,
        total=st.integers(-MAX_TOTAL, MAX_TOTAL),
        blinding=hashes,
        time=numbers,
    ),
    Split: st.builds(
        Split,
        sender=names,
        channel=names,
        message_id=ids,
        issued=numbers,
        shares=shares,
        scale=scales,
    ),
    SumRequest: st.builds(
        SumRequest,
        gateway=names,
        channel=names,
        rule=totals_rules,
        start=numbers,
        scale=scales,
        items=sum_items,
        time=numbers,
    ),
    SumReport: st.builds(
        SumReport,
        trustee=names,
        request_hash=hashes,
        entries=st.lists(
            st.binary(min_size=1, max_size=200) | st.sampled_from(LACKS), min_size=1, max_size=5
        ).map(tuple),
        time=numbers,
    ),
    SumAnswer: st.builds(
        SumAnswer, trustee=names, request_hash=hashes, value=hashes, blinding=hashes, time=numbers
    ),
}


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_a_record_comes_back_as_it_was(kind: type[cose.Record], data: st.DataObject) -> None:
    record = data.draw(RECORDS[kind])
    encoded = record.encode()
    assert is_deterministic(encoded)
    assert kind.parse(cbor.decode(encoded, "record", limit=kind.LIMIT)) == record


@given(share=st.builds(Share, split=st.binary(max_size=500), value=hashes, blinding=hashes))
def test_a_share_comes_back_as_it_was(share: Share) -> None:
    assert Share.decode(share.encode()) == share


@given(readers=sorted_names, reading=rules, totals=totals_rules)
def test_a_channel_with_totals_comes_back_as_it_was(
    readers: tuple[str, ...], reading: Any, totals: TotalsRule
) -> None:
    entry = ChannelEntry(
        readers=readers,
        senders=readers,
        lifetime=7,
        reading=replace(reading, mode="require"),
        totals=totals,
    )
    encoded = cbor.encode(entry.to_cbor())
    assert is_deterministic(encoded)
    assert ChannelEntry.parse(cbor.decode(encoded, "entry", limit=10_000)) == entry


# ------------------------------------------------------------ the equations

readings = st.lists(
    st.tuples(st.integers(-SPAN, SPAN), st.integers(1, MAX_WEIGHT)), min_size=1, max_size=5
)


@settings(max_examples=40)
@given(readings=readings, error=st.integers(-SPAN, SPAN).filter(bool))
def test_a_bill_is_right_if_and_only_if_the_total_is(
    readings: list[tuple[int, int]], error: int
) -> None:
    blindings = [pedersen.random_blinding() for _ in readings]
    request = BillRequest(
        gateway="gw-1",
        device="meter",
        channel="power",
        rule=TotalsRule(epoch=1, least=2),
        start=0,
        until=1,
        scale=Scale(unit="Wh", exponent=0, mantissa=1, low=-SPAN, high=SPAN),
        price="cent",
        items=tuple(
            BillItem(
                message_id=bytes(16),
                issued=0,
                commitment=pedersen.commit(steps, blinding),
                weight=weight,
            )
            for (steps, weight), blinding in zip(readings, blindings, strict=True)
        ),
        time=0,
    )
    weights = [weight for _, weight in readings]
    answer = BillAnswer(
        device="meter",
        request_hash=bytes(32),
        total=sum(steps * weight for steps, weight in readings),
        blinding=pedersen.blinding_sum(zip(blindings, weights, strict=True)),
        time=0,
    )
    assert check_bill(request, answer) == answer.total
    with pytest.raises(WrongTotalError):
        check_bill(request, replace(answer, total=answer.total + error))


@settings(max_examples=40)
@given(steps=st.lists(st.integers(-SPAN, SPAN), min_size=1, max_size=5), k=st.integers(2, 8))
def test_shares_of_many_readings_add_up_to_their_sum(steps: list[int], k: int) -> None:
    of_trustees: list[list[Part]] = [[] for _ in range(k)]
    for value in steps:
        blinding = pedersen.random_blinding()
        parts = [
            Part(value=RISTRETTO255.random_scalar(), blinding=RISTRETTO255.random_scalar())
            for _ in range(k - 1)
        ]
        parts.append(complete(value, blinding, parts))
        assert shares_out((one.commitment for one in parts), pedersen.commit(value, blinding))
        assert not shares_out((one.commitment for one in parts), pedersen.commit(7, blinding)) or (
            value == 7
        )
        for known, part in zip(of_trustees, parts, strict=True):
            known.append(part)
    assert total_of(add_up(known) for known in of_trustees) == sum(steps)


@given(value=hashes, blinding=hashes)
def test_a_part_is_two_canonical_scalars_or_none(value: bytes, blinding: bytes) -> None:
    numbers_are_small = all(
        int.from_bytes(one, "little") < RISTRETTO255.order for one in (value, blinding)
    )
    if numbers_are_small:
        assert Part.parse(value, blinding).value == value
    else:
        with pytest.raises(MalformedProofError):
            Part.parse(value, blinding)
