"""What the gateway keeps of readings that can be added up, and for how long (PROTOCOL 18.2)."""

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device_sdk.proofs import pedersen
from device_sdk.wire import cbor
from device_sdk.wire.header import Header
from device_sdk.wire.limits import CLOCK_SKEW, DAY, MAX_LIFETIME
from device_sdk.wire.reading_policy import REQUIRE, Committed, ReadingPolicy, ReadingRule
from device_sdk.wire.roster_page import ChannelEntry
from device_sdk.wire.totals_bill import BillRequest
from device_sdk.wire.totals_rule import TotalsRule
from device_sdk.wire.totals_sum import SumItem
from gateway import totals_register
from gateway.audit_rows import SLACK, overdue_rows
from gateway.hold import Held, Holding, take_in
from gateway.reading_rule import Examined, Finding
from gateway.receive import Accepted, Unpacked, check, unpack
from gateway.situation import Limits
from gateway.store.port import Transaction
from gateway.store.records import Registered
from gateway.store.sqlite import look_into
from gateway.tariff import Band, Tariff, TariffError
from gateway.totals_export import NoTotalError, bill_request, sum_request
from tests.support.envelopes import NOW, TOPICS, Fleet, SealedMessage
from tests.support.mailroom import Mailroom, key_of, open_mailroom

POLICY = ReadingPolicy(version=1, unit="Wh", exponent=0, mantissa=1, low=0, high=5000)
HOUR = 3600
START = NOW - NOW % HOUR - 10 * HOUR
BILLS = TotalsRule(epoch=HOUR, least=2)
SUMS = TotalsRule(epoch=HOUR, least=2, trustees=("hub", "phone"))
TARIFF = Tariff(price="cent", weight=3)


@pytest.fixture
async def room(fleet: Fleet, tmp_path: Path) -> AsyncIterator[Mailroom]:
    rule = ReadingRule(mode=REQUIRE, policy=POLICY)
    channel = ChannelEntry(
        readers=("hub",), senders=("lock", "thermo", "wall"), lifetime=DAY, reading=rule
    )
    fleet.channels |= {
        "power": replace(channel, totals=BILLS),
        "load": replace(channel, totals=SUMS),
        "plain": channel,
    }
    async with open_mailroom(fleet, tmp_path) as room:
        yield room


def looked_at_elsewhere(header: Header, _digest: bytes) -> bytes:
    """What stands for a proof here: whether it verifies is told by hand."""
    assert header.reading is not None
    return bytes(header.reading.policy.proof_size)


def measured(
    room: Mailroom,
    channel: str = "power",
    sender: str = "thermo",
    *,
    issued: int = START,
    policy: ReadingPolicy = POLICY,
    message_id: bytes = b"",
) -> SealedMessage:
    """Return a message with a reading."""
    commitment = pedersen.commit(7, pedersen.random_blinding())
    return room.fleet.seal(
        sender,
        ["hub"],
        channel=channel,
        issued=issued,
        message_id=message_id,
        reading=Committed(policy=policy, commitment=commitment),
        prove=looked_at_elsewhere,
    )


async def hold(room: Mailroom, message: SealedMessage, examined: Examined = Examined.RIGHT) -> Held:
    """Take a message in whose proof was examined."""
    topic = TOPICS.parse(message.topic)
    return await room.run(lambda tx: take_in(tx, topic, message.data, room.situation, examined))


async def register(room: Mailroom, channel: str = "power") -> list[Registered]:
    return await room.read(lambda tx: tx.registered(channel, 0, NOW + DAY, 100))


def commitment_of(message: SealedMessage) -> bytes:
    reading = message.envelope.body.header.reading
    assert reading is not None
    return reading.commitment


async def test_a_proved_reading_is_entered_with_its_message_and_outlives_it(
    room: Mailroom,
) -> None:
    message = measured(room)
    assert (await hold(room, message)).holding is Holding.NEW
    await room.forget(message)
    assert await room.row(message) is None
    assert await register(room) == [
        Registered(
            key=key_of(message),
            channel="power",
            sequence=1,
            issued=START,
            policy=POLICY,
            commitment=commitment_of(message),
            held_at=NOW,
        )
    ]


async def test_a_message_that_was_not_committed_is_not_entered_either(room: Mailroom) -> None:
    message = measured(room)
    topic = TOPICS.parse(message.topic)

    def fail(tx: object) -> None:
        take_in(tx, topic, message.data, room.situation, Examined.RIGHT)  # type: ignore[arg-type]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await room.run(fail)
    assert await register(room) == []


async def test_what_is_not_proved_or_on_another_channel_is_not_entered(room: Mailroom) -> None:
    assert (await hold(room, measured(room), Examined.WRONG)).holding is Holding.REFUSED
    assert (await hold(room, measured(room, "plain"))).holding is Holding.NEW
    for channel in ("power", "load", "plain"):
        assert await register(room, channel) == []


async def test_only_a_verified_proof_lets_a_reading_in(room: Mailroom) -> None:
    message = measured(room)
    unpacked = unpack(TOPICS.parse(message.topic), message.data, room.situation)
    assert isinstance(unpacked, Unpacked)

    def enter(finding: Finding) -> Callable[[Transaction], None]:
        def work(tx: Transaction) -> None:
            accepted = check(unpacked, room.situation, tx.key_statement)
            assert isinstance(accepted, Accepted)
            totals_register.enter(tx, accepted, finding, room.situation)

        return work

    for finding in set(Finding) - {Finding.PROVED}:
        await room.run(enter(finding))
        assert await register(room) == []
    await room.run(enter(Finding.PROVED))
    assert len(await register(room)) == 1


@pytest.mark.parametrize(
    ("issued", "entered"),
    [
        (NOW + CLOCK_SKEW, True),
        (NOW + CLOCK_SKEW + 1, False),
        (NOW - MAX_LIFETIME - CLOCK_SKEW, True),
        (NOW - MAX_LIFETIME - CLOCK_SKEW - 1, False),
        (2**64 - 1, False),
    ],
)
async def test_a_time_that_cannot_be_true_keeps_a_reading_out(
    room: Mailroom, issued: int, entered: bool
) -> None:
    assert (await hold(room, measured(room, issued=issued))).holding is Holding.NEW
    assert len(await register(room)) == entered


async def test_a_message_id_counts_once_also_when_it_is_used_again_later(room: Mailroom) -> None:
    message_id = os.urandom(16)
    first = measured(room, message_id=message_id)
    await hold(room, first)
    await room.forget(first)
    room.change(now=NOW + 8 * DAY)
    await room.sweep()
    again = room.fleet.seal(
        "thermo",
        ["hub"],
        channel="power",
        issued=NOW + 8 * DAY,
        expires=NOW + 9 * DAY,
        message_id=message_id,
        reading=Committed(policy=POLICY, commitment=bytes(32)),
        prove=looked_at_elsewhere,
    )
    assert (await hold(room, again)).holding is Holding.NEW
    (entered,) = await room.read(lambda tx: tx.registered("power", 0, NOW + 99 * DAY, 100))
    assert entered.commitment == commitment_of(first)


async def test_a_sender_that_has_run_wild_fills_no_more_than_its_days(room: Mailroom) -> None:
    room.change(limits=Limits(daily_readings=2))
    for _ in range(3):
        await hold(room, measured(room))
    await hold(room, measured(room, sender="lock"))
    assert [one.key.sender for one in await register(room)] == ["lock", "thermo", "thermo"]
    room.change(now=NOW + DAY)
    await hold(room, measured(room, issued=NOW))
    assert len(await register(room)) == 4


async def test_a_reading_goes_after_its_time_and_its_bytes_leave_the_files(
    room: Mailroom,
) -> None:
    message = measured(room)
    await hold(room, message)
    await room.forget(message)
    kept = Limits().totals_kept
    room.change(now=NOW + kept - 1)
    await room.sweep()
    assert len(await register(room)) == 1
    with look_into(room.path) as connection:
        late = list(overdue_rows(connection, NOW + kept + SLACK))
    assert [one.what for one in late] == ["a reading that is kept for totals for too long"]
    room.change(now=NOW + kept)
    assert (await room.sweep()).erase
    assert await register(room) == []
    await room.erase()
    assert not room.holds_bytes(commitment_of(message))


async def test_readings_go_with_the_owners_rule_and_those_of_other_channels_stay(
    room: Mailroom,
) -> None:
    await hold(room, measured(room))
    await hold(room, measured(room, "load"))
    room.fleet.channels["power"] = replace(room.fleet.channels["power"], totals=None)
    await room.new_roster()
    assert await register(room) == []
    assert len(await register(room, "load")) == 1
    del room.fleet.channels["load"]
    await room.new_roster()
    assert await register(room, "load") == []


# ------------------------------------------------------------ requests


async def ask_bill(room: Mailroom, **changes: Any) -> BillRequest:
    """Make the request for a bill."""
    roster = room.situation.roster
    assert roster is not None
    asked: dict[str, Any] = {
        "channel": "power",
        "device": "thermo",
        "start": START,
        "until": START + 2 * HOUR,
        "tariff": TARIFF,
        "now": NOW,
        **changes,
    }
    return await room.read(lambda tx: bill_request(tx, roster, "gw-1", **asked))


async def test_a_bill_names_all_readings_of_the_device_in_the_time_and_no_others(
    room: Mailroom,
) -> None:
    inside = [measured(room, issued=START + at) for at in (0, HOUR, 2 * HOUR - 1)]
    outside = [measured(room, issued=START + at) for at in (-1, 2 * HOUR)]
    for message in (*inside, *outside, measured(room, sender="lock")):
        await hold(room, message)
    request = await ask_bill(room)
    expected = {message.message_id: commitment_of(message) for message in inside}
    assert {item.message_id: item.commitment for item in request.items} == expected
    assert {item.weight for item in request.items} == {3}
    fields = cbor.decode(request.encode(), "request", limit=request.LIMIT)
    assert BillRequest.parse(fields) == request


async def test_a_reading_that_its_device_does_not_know_is_left_out_of_a_bill(
    room: Mailroom,
) -> None:
    known, lost = measured(room), measured(room)
    await hold(room, known)
    await hold(room, lost)
    (item,) = (await ask_bill(room, without=[lost.message_id.hex()[:8]])).items
    assert item.message_id == known.message_id
    with pytest.raises(NoTotalError, match="nothing is left"):
        await ask_bill(room, without=[one.message_id.hex() for one in (known, lost)])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"channel": "plain"}, "allows no totals"),
        ({"channel": "load"}, "is for sums"),
        ({"start": START + 1}, "whole epochs"),
        ({"until": START}, "whole epochs"),
        ({"until": NOW - NOW % HOUR + HOUR}, "have ended"),
        ({"device": "lock"}, "held no readings of lock"),
    ],
)
async def test_a_bill_that_nobody_would_answer_is_not_asked_for(
    room: Mailroom, changes: dict[str, Any], reason: str
) -> None:
    await hold(room, measured(room))
    with pytest.raises(NoTotalError, match=reason):
        await ask_bill(room, **changes)


async def test_readings_of_two_scales_are_not_added_up(room: Mailroom) -> None:
    await hold(room, measured(room))
    other = replace(POLICY, version=2, unit="kWh")
    rule = ReadingRule(mode=REQUIRE, policy=other)
    room.fleet.channels["power"] = replace(room.fleet.channels["power"], reading=rule)
    await room.new_roster()
    await hold(room, measured(room, policy=other))
    with pytest.raises(NoTotalError, match="unit or scale"):
        await ask_bill(room)


async def test_readings_of_two_ranges_are_added_up_in_the_wider_one(room: Mailroom) -> None:
    await hold(room, measured(room))
    other = replace(POLICY, version=2, low=-10, high=10)
    rule = ReadingRule(mode=REQUIRE, policy=other)
    room.fleet.channels["power"] = replace(room.fleet.channels["power"], reading=rule)
    await room.new_roster()
    await hold(room, measured(room, policy=other))
    request = await ask_bill(room)
    assert (request.scale.low, request.scale.high) == (-10, 5000)


async def test_a_sum_names_the_readings_of_all_devices_but_those_that_are_left_out(
    room: Mailroom,
) -> None:
    messages = [measured(room, "load", name) for name in ("thermo", "lock", "thermo")]
    for message in messages:
        await hold(room, message)
    roster = room.situation.roster
    assert roster is not None
    items = [
        SumItem(sender=m.sender, message_id=m.message_id, commitment=commitment_of(m))
        for m in messages
    ]
    asked = await room.read(
        lambda tx: sum_request(
            tx, roster, "gw-1", channel="load", start=START, now=NOW, without=items[2:]
        )
    )
    assert set(asked.request.items) == set(items[:2])
    with pytest.raises(NoTotalError, match="of 2 devices"):
        await room.read(
            lambda tx: sum_request(
                tx, roster, "gw-1", channel="load", start=START, now=NOW, without=items[1:2]
            )
        )


# ------------------------------------------------------------ tariffs


def test_a_tariff_has_other_prices_in_bands_also_past_midnight() -> None:
    tariff = Tariff.read(
        'price = "0.001 cent"\nweight = 30\n'
        '[[band]]\nfrom = "22:00"\nuntil = "06:00"\nweight = 20\n'
    )
    assert tariff.bands == (Band(start=22 * HOUR, until=6 * HOUR, weight=20),)
    midnight = START - START % DAY
    hours = {hour: tariff.weight_at(midnight + hour * HOUR) for hour in (0, 5, 6, 21, 22, 23)}
    assert hours == {0: 20, 5: 20, 6: 30, 21: 30, 22: 20, 23: 20}


@pytest.mark.parametrize(
    "text",
    [
        "",
        'price = "cent"',
        'price = ""\nweight = 1',
        'price = "cent"\nweight = 0',
        'price = "cent"\nweight = true',
        'price = "cent"\nweight = 1000001',
        'price = "cent"\nweight = 1\nother = 1',
        'price = "cent"\nweight = 1\nband = 7',
        'price = "cent"\nweight = 1\n[[band]]\nfrom = "24:00"\nuntil = "06:00"\nweight = 1',
        'price = "cent"\nweight = 1\n[[band]]\nfrom = "22:00"\nweight = 1',
        "price = ",
    ],
)
def test_another_tariff_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(TariffError) as caught:
        Tariff.read(text)
    assert "\n" not in str(caught.value)
