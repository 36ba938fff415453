"""The log: what is entered when, and that whatever it says can be checked."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from device_sdk.wire import cose, log_tree, merkle
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.log_proof import LogProof, Prove
from device_sdk.wire.roster_head import RosterHead
from device_sdk.wire.tree_head import leaf_of
from gateway import transparency
from gateway.answer import Distrust, open_prove
from gateway.store.port import Reading, Transaction
from tests.support.envelopes import NOW, TOPICS, Fleet, made_up_key
from tests.support.mailroom import Mailroom, open_mailroom


def leaf_of_key(statement: bytes) -> bytes:
    return leaf_of(cose.parse_signed(KeyStatement, statement).claims)


def leaf_of_roster(head: bytes) -> bytes:
    return leaf_of(cose.parse_signed(RosterHead, head).claims)


def leaves(tx: Reading) -> list[bytes]:
    return [tx.log_node(0, position) for position in range(tx.log_size())]


def question(first: int, second: int, *wanted: bytes) -> Prove:
    return Prove(device="hub", gateway="gw-1", first=first, second=second, leaves=wanted)


def proved(*wanted: bytes, first: int, second: int) -> Callable[[Reading], LogProof]:
    return lambda tx: transparency.answer(tx, question(first, second, *wanted))


async def test_every_roster_and_every_new_statement_is_entered_once_in_order(
    fleet: Fleet, room: Mailroom
) -> None:
    stored = await room.read(lambda tx: tx.roster())
    assert stored is not None
    expected = [leaf_of_roster(stored.head)]
    expected += [leaf_of_key(member.statement) for member in fleet.members.values()]
    assert await room.read(leaves) == expected
    await room.announce("hub")  # which is known
    newer = fleet.members["hub"].state_key(made_up_key(), serial=NOW)
    await room.announce("hub", newer)
    await room.announce("hub", fleet.members["hub"].state_key(made_up_key(), serial=1))  # older
    await room.new_roster()
    roster = room.situation.roster
    assert roster is not None
    assert await room.read(leaves) == [
        *expected,
        leaf_of_key(newer),
        leaf_of_roster(roster.head.data),
    ]


async def test_the_other_form_of_a_signature_makes_no_other_entry(fleet: Fleet) -> None:
    statement = fleet.members["hub"].statement
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    s = order - int.from_bytes(statement[-32:])
    turned = statement[:-32] + s.to_bytes(32)
    assert turned != statement
    cose.parse_signed(KeyStatement, turned).verify(
        fleet.members["hub"].identity.public, cose.FLEETLESS_AAD
    )
    assert leaf_of_key(turned) == leaf_of_key(statement)


async def test_what_is_not_stored_is_not_entered(fleet: Fleet, room: Mailroom) -> None:
    before = await room.read(leaves)

    def fail(tx: Transaction) -> None:
        transparency.enter(
            tx, cose.parse_signed(KeyStatement, fleet.members["hub"].statement).claims
        )
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await room.run(fail)
    assert await room.read(leaves) == before


async def test_a_ledger_from_before_there_were_logs_begins_one_with_all_it_has(
    fleet: Fleet, tmp_path: Path
) -> None:
    async with open_mailroom(fleet, tmp_path) as room:
        expected = await room.read(leaves)
        await room.run(_forget_the_log)
        await room.run(transparency.begin)
        assert sorted(await room.read(leaves)) == sorted(expected)
        await room.run(transparency.begin)  # nothing happens any more
        assert await room.read(lambda tx: tx.log_size()) == len(expected)


async def test_such_a_ledger_begins_it_also_with_a_new_statement(
    fleet: Fleet, room: Mailroom
) -> None:
    expected = await room.read(leaves)
    await room.run(_forget_the_log)
    newer = fleet.members["hub"].state_key(made_up_key(), serial=NOW)
    await room.announce("hub", newer)
    assert sorted(await room.read(leaves)) == sorted([*expected, leaf_of_key(newer)])


def _forget_the_log(tx: Transaction) -> None:
    tx._connection.execute("DELETE FROM log_nodes")  # type: ignore[attr-defined]


async def test_growth_and_entries_are_proved(fleet: Fleet, room: Mailroom) -> None:
    small, small_root = await room.read(transparency.size_and_root)
    for serial in range(NOW, NOW + 20):
        await room.announce("hub", fleet.members["hub"].state_key(made_up_key(), serial=serial))
    large, large_root = await room.read(transparency.size_and_root)
    assert large == small + 20
    wanted = leaf_of_key(fleet.members["phone"].statement)
    proof = await room.read(proved(wanted, bytes(32), first=small, second=large))
    assert proof.consistency is not None
    log_tree.check_consistency(small, small_root, large, large_root, proof.consistency)
    (found,) = proof.included
    merkle.check_inclusion(
        found.leaf, index=found.index, count=large, path=found.path, expected_root=large_root
    )
    assert found.leaf == wanted


async def test_what_came_later_is_not_among_the_first_entries(fleet: Fleet, room: Mailroom) -> None:
    size, _ = await room.read(transparency.size_and_root)
    newer = fleet.members["hub"].state_key(made_up_key(), serial=NOW)
    await room.announce("hub", newer)
    proof = await room.read(proved(leaf_of_key(newer), first=0, second=size))
    assert (proof.consistency, proof.included) == (None, ())
    proof = await room.read(proved(leaf_of_key(newer), first=0, second=size + 1))
    assert len(proof.included) == 1


async def test_of_a_larger_log_than_there_is_nothing_is_proved(room: Mailroom) -> None:
    size, _ = await room.read(transparency.size_and_root)
    proof = await room.read(proved(first=size, second=size + 1))
    assert proof == LogProof(first=size, second=size + 1, consistency=None, included=())


async def test_only_an_active_device_is_answered_and_only_on_its_own_topic(
    fleet: Fleet, room: Mailroom
) -> None:
    def signed(device: str, by: str = "") -> bytes:
        asked = replace(question(1, 2), device=device)
        return cose.sign(asked, fleet.members[by or device].identity, fleet.pin.aad)

    topic = TOPICS.parse(TOPICS.prove("hub"))
    assert open_prove(topic, signed("hub"), room.situation) == question(1, 2)
    assert open_prove(topic, signed("lock"), room.situation) is Distrust.CROSSED
    assert open_prove(topic, signed("hub", "lock"), room.situation) is Distrust.UNKNOWN_DEVICE
    assert open_prove(topic, b"?", room.situation) is Distrust.MALFORMED
    fleet.revoke("hub")
    await room.new_roster()
    assert open_prove(topic, signed("hub"), room.situation) is Distrust.INACTIVE
