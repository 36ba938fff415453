"""Enrolled after the root was stolen and replaced: nobody believes the thief."""

import time
from pathlib import Path

import pytest

from device_sdk import create_device, trust_root
from device_sdk.enrolment.joining import prepare
from device_sdk.enrolment.settings_file import read_pin
from device_sdk.errors import RootMismatchError
from device_sdk.identity import Identity
from device_sdk.trust import Pin, RollbackError, verify_head
from device_sdk.wire.roster_page import decode_bundle
from device_sdk.wire.ticket import Ticket
from gateway.owner.fleet import Fleet
from gateway.owner.invites import invite
from gateway.owner.signing import Members, sign_roster

NOW = int(time.time())


@pytest.fixture
def rotated(tmp_path: Path) -> tuple[Fleet, Identity]:
    """A fleet whose first root was stolen, and that root."""
    fleet = Fleet.create(tmp_path / "fleet", name="home", passphrase=None, now=NOW)
    fleet.rotate(None, now=NOW + 1, stolen=True)
    return Fleet.open(fleet.directory, None), fleet.root


def forged(fleet: Fleet, thief: Identity) -> bytes:
    """Return the head of a newer roster, signed by the stolen root as if nothing had happened."""
    data = sign_roster(
        Members.of(fleet.roster()),
        root=thief,
        pin=Pin.from_spki(thief.spki),
        previous=fleet.roster().version,
        now=NOW + 1000,
        validity=1000,
    )
    return decode_bundle(data)[0]


def test_a_device_that_was_given_the_bundle_knows_how_the_root_was_replaced(
    rotated: tuple[Fleet, Identity], tmp_path: Path
) -> None:
    fleet, thief = rotated
    create_device(tmp_path / "hub", "hub", None, now=NOW)
    trust_root(tmp_path / "hub", fleet.public.directory)
    pin = read_pin(tmp_path / "hub")
    with pytest.raises(RollbackError, match="a root that the owner has replaced"):
        verify_head(pin, forged(fleet, thief))
    assert verify_head(pin, fleet.roster().head.data).root.spki == fleet.root.spki


def test_a_device_that_joins_by_ticket_knows_it_too(
    rotated: tuple[Fleet, Identity], tmp_path: Path
) -> None:
    fleet, thief = rotated
    text = invite(fleet, "hub", broker="mqtts://localhost", now=NOW, validity=1000)
    prepare(tmp_path / "hub", Ticket.decode(text), None, now=NOW)
    with pytest.raises(RollbackError):
        verify_head(read_pin(tmp_path / "hub"), forged(fleet, thief))


def test_what_is_known_of_successors_is_not_forgotten_and_not_contradicted(
    rotated: tuple[Fleet, Identity], tmp_path: Path
) -> None:
    fleet, _ = rotated
    create_device(tmp_path / "hub", "hub", None, now=NOW)
    trust_root(tmp_path / "hub", fleet.public.directory)
    known = read_pin(tmp_path / "hub").successions
    trust_root(tmp_path / "hub", fleet.public.root_file, broker="mqtt://127.0.0.1")
    assert read_pin(tmp_path / "hub").successions == known
    other = Fleet.open(fleet.directory, None)
    other.rotate(None, now=NOW + 2)
    longer = Fleet.open(fleet.directory, None).roster().head.head.successions
    trust_root(tmp_path / "hub", fleet.public.root_file, successions=longer)
    assert read_pin(tmp_path / "hub").successions == longer
    with pytest.raises(RootMismatchError, match="another successor"):
        trust_root(tmp_path / "hub", fleet.public.root_file, successions=longer[1:])
