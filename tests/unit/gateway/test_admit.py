"""Rosters and reader keys: what is taken, what is refused (PROTOCOL 8)."""

from dataclasses import replace

import pytest

from device_sdk.identity import Identity
from device_sdk.trust import ForkError, Pin, RollbackError, TrustError
from device_sdk.wire.errors import SealgateError, SignatureError, WireError
from device_sdk.wire.key_statement import decode_key_list, encode_key_list
from device_sdk.wire.limits import DAY, MAX_KEY_STATEMENTS
from gateway import admit
from gateway.admit import KeyResult
from tests.support.envelopes import NOW, YEAR, Fleet, made_up_key
from tests.support.mailroom import Mailroom


async def _take(room: Mailroom, head: bytes, pages: list[bytes], pin: Pin | None = None) -> bool:
    taken = await room.run(lambda tx: admit.take_roster(tx, head, pages, pin or room.fleet.pin))
    return taken is not None


async def _version(room: Mailroom) -> int:
    roster = await room.read(lambda tx: admit.stored_roster(tx, room.fleet.pin))
    assert roster is not None
    return roster.version


# ---------------------------------------------------------------- rosters


async def test_a_newer_roster_is_taken_and_the_same_one_is_nothing_new(room: Mailroom) -> None:
    head, pages = room.fleet.signed_roster(pages=3)
    assert await _take(room, head, pages)
    assert not await _take(room, head, pages)
    assert await _version(room) == room.fleet.version


async def test_an_older_roster_is_a_rollback(room: Mailroom) -> None:
    older = room.fleet.signed_roster()
    newer = room.fleet.signed_roster()
    await _take(room, *newer)
    with pytest.raises(RollbackError):
        await _take(room, *older)
    assert await _version(room) == room.fleet.version


async def test_another_roster_of_the_same_version_is_a_fork(room: Mailroom) -> None:
    await _take(room, *room.fleet.signed_roster())
    room.fleet.version -= 1
    room.fleet.admit("new")
    with pytest.raises(ForkError):
        await _take(room, *room.fleet.signed_roster())


async def test_a_roster_without_all_its_pages_is_not_taken(room: Mailroom) -> None:
    head, pages = room.fleet.signed_roster(pages=2)
    with pytest.raises(TrustError):
        await _take(room, head, pages[:1])
    with pytest.raises(TrustError):
        await _take(room, head, [pages[0], pages[1] + b"\0"])


async def test_a_roster_that_the_owner_did_not_sign_is_not_taken(room: Mailroom) -> None:
    before = await _version(room)
    with pytest.raises(SignatureError):
        await _take(room, *room.fleet.signed_roster(signer=Identity.generate()))
    with pytest.raises(SealgateError):
        await _take(room, *Fleet().signed_roster())
    with pytest.raises(WireError):
        await _take(room, b"\xa0", [])
    assert await _version(room) == before


async def test_a_ledger_of_another_fleet_takes_nothing(room: Mailroom) -> None:
    other = Fleet()
    other.admit("hub")
    with pytest.raises(SignatureError):
        await _take(room, *other.signed_roster(), pin=other.pin)


async def test_a_version_that_no_ledger_could_store_is_refused(room: Mailroom) -> None:
    room.fleet.version = 2**63 - 1
    with pytest.raises(WireError):
        await _take(room, *room.fleet.signed_roster())


# ---------------------------------------------------------------- reader keys


def _state(
    room: Mailroom, device: str, serial: int, spki: bytes = b"", *, not_after: int = NOW + 90 * DAY
) -> bytes:
    member = room.fleet.members[device]
    return member.state_key(spki or made_up_key(), serial=serial, not_after=not_after)


async def _listed(room: Mailroom, device: str) -> list[bytes]:
    data = await room.read(lambda tx: admit.key_list(tx, device, room.situation.now))
    return decode_key_list(data) if data else []


async def test_a_new_statement_joins_the_devices_list(room: Mailroom) -> None:
    statement = _state(room, "hub", NOW)
    taken = await room.announce("hub", statement)
    assert taken.result is KeyResult.NEW
    assert taken.effects.keys == ("hub",)
    assert await _listed(room, "hub") == [room.fleet.members["hub"].statement, statement]


async def test_a_known_statement_changes_nothing(room: Mailroom) -> None:
    taken = await room.announce("hub")
    assert taken.result is KeyResult.KNOWN
    assert taken.effects.keys == ()


async def test_a_lower_serial_is_refused_also_after_its_successor_has_run_out(
    room: Mailroom,
) -> None:
    await room.announce("hub", _state(room, "hub", NOW + 5, not_after=NOW + DAY))
    assert (await room.announce("hub", _state(room, "hub", NOW + 4))).result is KeyResult.OLDER
    assert (await room.announce("hub", _state(room, "hub", NOW + 5))).result is KeyResult.OLDER
    room.change(now=NOW + 100 * DAY)
    await room.sweep()
    late = _state(room, "hub", NOW + 4, not_after=NOW + YEAR)
    assert (await room.announce("hub", late)).result is KeyResult.OLDER
    later = _state(room, "hub", NOW + 6, not_after=NOW + YEAR)
    assert (await room.announce("hub", later)).result is KeyResult.NEW


async def test_a_device_can_state_a_key_anew_with_another_validity(room: Mailroom) -> None:
    spki = room.fleet.members["hub"].reader_spki
    again = _state(room, "hub", NOW, spki, not_after=NOW + 120 * DAY)
    assert (await room.announce("hub", again)).result is KeyResult.NEW
    assert await _listed(room, "hub") == [again]


async def test_a_device_whose_key_another_states_as_its_own_can_still_state_it(
    room: Mailroom,
) -> None:
    hub = room.fleet.members["hub"]
    spki = made_up_key()
    stolen = room.fleet.members["phone"].state_key(spki, serial=NOW)
    assert (await room.announce("phone", stolen)).result is KeyResult.NEW
    own = hub.state_key(spki, serial=NOW)
    assert (await room.announce("hub", own)).result is KeyResult.NEW
    assert await _listed(room, "hub") == [hub.statement, own]


async def test_an_identity_key_is_never_a_reader_key(room: Mailroom) -> None:
    assert room.situation.roster is not None
    spki = made_up_key()
    entry = room.situation.roster.devices["hub"]
    listed = replace(entry, identities=(*entry.identities, spki))
    devices = {**room.situation.roster.devices, "hub": listed}
    room.situation = replace(room.situation, roster=replace(room.situation.roster, devices=devices))
    assert (await room.announce("hub", _state(room, "hub", NOW, spki))).result is (
        KeyResult.IDENTITY_KEY
    )


async def test_another_devices_statement_under_ones_own_topic_is_crossed(room: Mailroom) -> None:
    statement = _state(room, "phone", NOW)
    assert (await room.announce("hub", statement)).result is KeyResult.CROSSED


async def test_nobody_can_state_a_key_for_another_device(room: Mailroom) -> None:
    forged = room.fleet.members["phone"].state_key(made_up_key(), serial=NOW, device="hub")
    assert (await room.announce("hub", forged)).result is KeyResult.UNKNOWN_DEVICE
    good = _state(room, "hub", NOW)
    changed = good[:-1] + bytes([good[-1] ^ 1])
    assert (await room.announce("hub", changed)).result is KeyResult.BAD_SIGNATURE
    assert (await room.announce("hub", good[:-1])).result is KeyResult.MALFORMED


async def test_only_active_devices_state_keys(room: Mailroom) -> None:
    room.fleet.revoke("hub")
    room.fleet.admit("stranger")
    await room.new_roster()
    assert (await room.announce("hub", _state(room, "hub", NOW))).result is (
        KeyResult.UNKNOWN_DEVICE
    )
    room.situation = replace(room.situation, roster=None)
    assert (await room.announce("phone", _state(room, "phone", NOW))).result is (
        KeyResult.UNKNOWN_DEVICE
    )


async def test_a_statement_that_has_run_out_is_refused(room: Mailroom) -> None:
    expired = _state(room, "hub", NOW, not_after=NOW)
    assert (await room.announce("hub", expired)).result is KeyResult.EXPIRED


async def test_numbers_that_no_ledger_could_store_are_malformed(room: Mailroom) -> None:
    for serial, not_after in ((2**63, NOW + DAY), (NOW, 2**63)):
        statement = _state(room, "hub", serial, not_after=not_after)
        assert (await room.announce("hub", statement)).result is KeyResult.MALFORMED


async def test_a_device_cannot_fill_the_ledger_with_keys(room: Mailroom) -> None:
    for serial in range(NOW, NOW + MAX_KEY_STATEMENTS - 1):
        assert (await room.announce("hub", _state(room, "hub", serial))).result is KeyResult.NEW
    more = _state(room, "hub", NOW + YEAR)
    assert (await room.announce("hub", more)).result is KeyResult.TOO_MANY


async def test_a_key_list_is_taken_in_any_order(room: Mailroom) -> None:
    statements = [_state(room, "hub", NOW + serial) for serial in (3, 1, 2)]
    data = encode_key_list([*statements, b"\xa0"])
    taken = await room.run(lambda tx: admit.take_key_list(tx, "hub", data, room.situation))
    assert [str(one.result) for one in taken] == ["malformed", "new", "new", "new"]
    assert len(await _listed(room, "hub")) == 4
    bad = await room.run(lambda tx: admit.take_key_list(tx, "hub", b"\xa0", room.situation))
    assert [one.result for one in bad] == [KeyResult.MALFORMED]


async def test_a_device_without_valid_keys_has_an_empty_list(room: Mailroom) -> None:
    room.change(now=NOW + 90 * DAY)
    assert await room.read(lambda tx: admit.key_list(tx, "hub", room.situation.now)) == b""
