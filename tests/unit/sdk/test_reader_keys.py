"""Other devices' reader keys: whose they are, which one is used, and that old ones stay old."""

from pathlib import Path

import pytest

from device_sdk.identity import Identity
from device_sdk.keys.reader_keys import ReaderKeys
from device_sdk.state.state_file import StateFile
from device_sdk.trust import RollbackError
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.key_statement import encode_key_list
from device_sdk.wire.limits import DAY
from tests.support.fleet import NOW, Fleet


@pytest.fixture
def keys(tmp_path: Path) -> ReaderKeys:
    return ReaderKeys(StateFile(tmp_path / "state.sqlite"))


def key_list(fleet: Fleet, *serials: int, name: str = "hub") -> bytes:
    return encode_key_list([fleet.key_statement(name, serial=serial) for serial in serials])


def newest(keys: ReaderKeys, fleet: Fleet, *, until: int = NOW + DAY) -> int:
    statement = keys.newest("hub", fleet.roster(), now=NOW, until=until)
    return statement.serial if statement else 0


def test_damaged_keys_in_the_file_cost_a_download(tmp_path: Path, device_fleet: Fleet) -> None:
    state = StateFile(tmp_path / "state.sqlite")
    listed = key_list(device_fleet, 5)
    ReaderKeys(state).take_list("hub", listed, device_fleet.roster())
    state.execute("UPDATE reader_key_list SET statements = x'00'")
    keys = ReaderKeys(state)
    assert newest(keys, device_fleet) == 0
    keys.take_list("hub", listed, device_fleet.roster())
    assert newest(keys, device_fleet) == 5


def test_the_newest_key_is_used(keys: ReaderKeys, device_fleet: Fleet) -> None:
    keys.take_list("hub", key_list(device_fleet, 5, 7, 6), device_fleet.roster())
    assert newest(keys, device_fleet) == 7


def test_nothing_is_known_of_a_device_that_never_announced_a_key(
    keys: ReaderKeys, device_fleet: Fleet
) -> None:
    assert newest(keys, device_fleet) == 0


def test_a_key_must_be_valid_until_the_message_expires(
    keys: ReaderKeys, device_fleet: Fleet
) -> None:
    keys.take_list("hub", key_list(device_fleet, 5), device_fleet.roster())
    assert newest(keys, device_fleet, until=NOW + 90 * DAY) == 5
    assert newest(keys, device_fleet, until=NOW + 90 * DAY + 1) == 0


def test_keys_are_there_after_a_restart(device_fleet: Fleet, tmp_path: Path) -> None:
    with StateFile(tmp_path / "s") as state:
        ReaderKeys(state).take_list("hub", key_list(device_fleet, 5), device_fleet.roster())
    with StateFile(tmp_path / "s") as state:
        assert newest(ReaderKeys(state), device_fleet) == 5


def test_a_list_whose_highest_serial_went_down_is_refused_also_after_a_restart(
    device_fleet: Fleet, tmp_path: Path
) -> None:
    with StateFile(tmp_path / "s") as state:
        keys = ReaderKeys(state)
        keys.take_list("hub", key_list(device_fleet, 5, 7), device_fleet.roster())
    with StateFile(tmp_path / "s") as state:
        keys = ReaderKeys(state)
        with pytest.raises(RollbackError):
            keys.take_list("hub", key_list(device_fleet, 5, 6), device_fleet.roster())
        assert newest(keys, device_fleet) == 7


def test_a_serial_may_be_as_large_as_the_wire_allows(keys: ReaderKeys, device_fleet: Fleet) -> None:
    keys.take_list("hub", key_list(device_fleet, 2**64 - 1), device_fleet.roster())
    assert newest(keys, device_fleet) == 2**64 - 1


def test_another_devices_key_announced_as_ones_own_is_left_out(
    keys: ReaderKeys, device_fleet: Fleet
) -> None:
    foreign = device_fleet.key_statement("stranger", serial=9)
    mixed = encode_key_list([foreign, device_fleet.key_statement("hub", serial=5)])
    keys.take_list("hub", mixed, device_fleet.roster())
    assert newest(keys, device_fleet) == 5
    keys.take_list("hub", encode_key_list([foreign]), device_fleet.roster())
    assert newest(keys, device_fleet) == 5


def test_a_key_signed_by_an_identity_that_the_owner_withdrew_is_not_used_any_more(
    keys: ReaderKeys, device_fleet: Fleet
) -> None:
    keys.take_list("hub", key_list(device_fleet, 2**40), device_fleet.roster())
    device_fleet.identities["hub"] = Identity.generate()
    device_fleet.admit("hub")
    assert newest(keys, device_fleet) == 0
    # Nor does its serial stand in the way of the new identity's keys.
    keys.take_list("hub", key_list(device_fleet, 5), device_fleet.roster())
    assert newest(keys, device_fleet) == 5


def test_what_is_no_key_list_is_refused(keys: ReaderKeys, device_fleet: Fleet) -> None:
    with pytest.raises(MalformedError):
        keys.take_list("hub", b"rubbish", device_fleet.roster())
