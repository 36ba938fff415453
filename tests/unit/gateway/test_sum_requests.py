"""What a sum asks about, whatever single devices have sent (PROTOCOL 18.5)."""

from collections.abc import Callable, Collection
from dataclasses import replace

import pytest

from device_sdk.wire.limits import MAX_TOTALS_ITEMS
from device_sdk.wire.reading_policy import REQUIRE, ReadingRule
from device_sdk.wire.totals_sum import SumItem, SumRequest
from gateway.store.port import Transaction
from gateway.store.records import MessageKey, Registered
from gateway.totals_export import NoTotalError, SumAsked, sum_request
from tests.support.envelopes import NOW, SealedMessage
from tests.support.mailroom import Mailroom
from tests.unit.gateway.test_totals_register import (  # noqa: F401
    POLICY,
    START,
    ask_bill,
    hold,
    measured,
    register,
    room,
)


def _entering(one: Registered) -> Callable[[Transaction], None]:
    return lambda tx: tx.add_registered(one)


async def ask_sum(
    room: Mailroom,  # noqa: F811
    before: SumRequest | None = None,
    without: Collection[SumItem] = (),
) -> SumAsked:
    """Make the request for a sum, after the one before if there was one."""
    roster = room.situation.roster
    assert roster is not None
    return await room.read(
        lambda tx: sum_request(
            tx,
            roster,
            "gw-1",
            channel="load",
            start=START,
            now=NOW,
            before=before,
            without=without,
        )
    )


async def test_one_device_cannot_make_the_sum_of_all_impossible_by_many_readings(
    room: Mailroom,  # noqa: F811
) -> None:
    await hold(room, measured(room, "load", "lock"))
    await hold(room, measured(room, "load", "thermo"))
    await hold(room, measured(room, "load", "wall"))
    one = next(one for one in await register(room, "load") if one.key.sender == "thermo")
    # As it does with 5,000 more messages, of the 10,000 that a device may enter on a day.
    for number in range(MAX_TOTALS_ITEMS):
        key = MessageKey("thermo", number.to_bytes(16))
        await room.run(_entering(replace(one, key=key)))
    asked = await ask_sum(room)
    assert asked.request.senders == {"lock", "wall"}
    assert [why.endswith("have: thermo") for why in asked.left_out] == [True]


async def test_one_device_cannot_make_sums_impossible_by_one_backdated_reading(
    room: Mailroom,  # noqa: F811
) -> None:
    await hold(room, measured(room, "load", "lock"))
    await hold(room, measured(room, "load", "thermo"))
    await ask_sum(room)
    # The owner changes the unit today; yesterday's epochs are still to be summed.
    other = replace(POLICY, version=2, unit="kWh")
    rule = ReadingRule(mode=REQUIRE, policy=other)
    room.fleet.channels["load"] = replace(room.fleet.channels["load"], reading=rule)
    await room.new_roster()
    # A hostile device says that it has measured yesterday, by today's policy.
    await hold(room, measured(room, "load", "thermo", issued=START + 1, policy=other))
    asked = await ask_sum(room)
    assert asked.request.scale.unit == "Wh"
    assert len(asked.request.items) == 2
    assert asked.left_out == ("readings of another unit or scale: thermo",)


async def test_a_reading_of_another_scale_can_be_left_out_of_a_bill(
    room: Mailroom,  # noqa: F811
) -> None:
    kept = measured(room)
    await hold(room, kept)
    other = replace(POLICY, version=2, unit="kWh")
    rule = ReadingRule(mode=REQUIRE, policy=other)
    room.fleet.channels["power"] = replace(room.fleet.channels["power"], reading=rule)
    await room.new_roster()
    odd = measured(room, policy=other)
    await hold(room, odd)
    (item,) = (await ask_bill(room, without=[odd.message_id.hex()[:8]])).items
    assert item.message_id == kept.message_id


async def test_a_request_that_its_device_cannot_even_parse_is_not_made(
    room: Mailroom,  # noqa: F811
) -> None:
    wide = replace(POLICY, version=2, low=2**62 - 5000, high=2**62)
    rule = ReadingRule(mode=REQUIRE, policy=wide)
    room.fleet.channels["load"] = replace(room.fleet.channels["load"], reading=rule)
    await room.new_roster()
    await hold(room, measured(room, "load", "lock", policy=wide))
    await hold(room, measured(room, "load", "thermo", policy=wide))
    with pytest.raises(NoTotalError, match="63 bits"):
        await ask_sum(room)


async def test_what_was_left_out_of_one_request_stays_out_of_the_next(
    room: Mailroom,  # noqa: F811
) -> None:
    """A hostile device lacks its first reading from the start, and signs a second split of its
    other one after the first round. What the one round has left out, the next must not bring back:
    else there is never a request that all can answer."""
    await hold(room, measured(room, "load", "lock"))
    first, second, good = (measured(room, "load", "thermo") for _ in range(3))
    for message in (first, second, good):
        await hold(room, message)

    def named(request: SumRequest, message: SealedMessage) -> set[SumItem]:
        return {one for one in request.items if one.message_id == message.message_id}

    one = (await ask_sum(room)).request
    two = (await ask_sum(room, one, named(one, first))).request  # its reports lack `first`
    three = (await ask_sum(room, two, named(two, second))).request  # its reports lack `second`
    assert len(three.items) == 2
    assert named(three, first) == set()


async def test_a_next_request_asks_about_no_reading_that_the_one_before_did_not(
    room: Mailroom,  # noqa: F811
) -> None:
    """A hostile device sends one backdated reading without shares after every round."""
    for sender in ("lock", "thermo"):
        await hold(room, measured(room, "load", sender))
    bad = measured(room, "load", "thermo")
    await hold(room, bad)
    one = (await ask_sum(room)).request
    await hold(room, measured(room, "load", "thermo", issued=START + 9))
    lacking = {item for item in one.items if item.message_id == bad.message_id}
    two = (await ask_sum(room, one, lacking)).request
    assert set(two.items) == set(one.items) - lacking


async def test_a_request_after_one_about_another_epoch_is_not_made(
    room: Mailroom,  # noqa: F811
) -> None:
    for sender in ("lock", "thermo"):
        await hold(room, measured(room, "load", sender))
    one = (await ask_sum(room)).request
    with pytest.raises(NoTotalError, match="another channel or epoch"):
        await ask_sum(room, replace(one, start=START - one.rule.epoch))


async def test_readings_of_who_is_no_sender_of_the_channel_any_more_are_left_out(
    room: Mailroom,  # noqa: F811
) -> None:
    """Trustees refuse them, by the owner's roster."""
    for sender in ("lock", "thermo", "wall"):
        await hold(room, measured(room, "load", sender))
    room.fleet.channels["load"] = replace(room.fleet.channels["load"], senders=("lock", "thermo"))
    await room.new_roster()
    asked = await ask_sum(room)
    assert asked.request.senders == {"lock", "thermo"}
    assert asked.left_out == ("no senders of the channel any more: wall",)
