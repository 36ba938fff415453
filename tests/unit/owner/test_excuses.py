"""The owner's excuses: whom they can name, and how long they stay in the bundle."""

from pathlib import Path

import pytest

from device_sdk.trust import verify_excuse
from device_sdk.wire.excuse import Excuse, excuse_file
from device_sdk.wire.limits import DAY, MAX_EXCUSES, MAX_LIFETIME
from gateway.owner import changes
from gateway.owner.errors import NotChangedError
from gateway.owner.fleet import Fleet

from .conftest import NOW, MakeRequest

ID, OTHER = b"m" * 16, b"n" * 16


@pytest.fixture
def fleet(tmp_path: Path, device_request: MakeRequest, gateway_request: MakeRequest) -> Fleet:
    fleet = Fleet.create(tmp_path / "fleet", name="home", passphrase=None, now=NOW)
    for name in ("hub", "phone", "thermo"):
        fleet.admit(device_request(name), now=NOW)
    fleet.admit(gateway_request("gw-1"), role="gateway", now=NOW)
    return fleet


def read(fleet: Fleet, message_id: bytes = ID) -> Excuse:
    path = fleet.public.excuses / excuse_file("thermo", message_id)
    return verify_excuse(path.read_bytes(), fleet.roster(), fleet.pin.aad)


def test_an_excuse_in_the_bundle_verifies_as_every_sender_will(fleet: Fleet) -> None:
    made = fleet.excuse("thermo", ID, ["hub"], now=NOW)
    assert read(fleet) == made == Excuse(sender="thermo", message_id=ID, readers=("hub",), time=NOW)


def test_a_second_excuse_of_a_message_keeps_the_first_ones_readers(fleet: Fleet) -> None:
    fleet.excuse("thermo", ID, ["phone"], now=NOW)
    fleet.excuse("thermo", ID, ["hub", "phone"], now=NOW + 1)
    assert read(fleet).readers == ("hub", "phone")
    with pytest.raises(NotChangedError, match="already"):
        fleet.excuse("thermo", ID, ["hub"], now=NOW)


@pytest.mark.parametrize(
    ("sender", "readers", "reason"),
    [
        ("thermo", [], "at least one"),
        ("thermo", ["hubb"], "no device named hubb"),
        ("thermo", ["gw-1"], "a gateway"),
        ("thermos", ["hub"], "no device named thermos"),
        ("../thermo", ["hub"], "no device named"),
    ],
)
def test_an_excuse_names_devices_of_the_fleet(
    fleet: Fleet, sender: str, readers: list[str], reason: str
) -> None:
    with pytest.raises(NotChangedError, match=reason):
        fleet.excuse(sender, ID, readers, now=NOW)
    assert not fleet.public.excuses.exists()


def test_an_excuse_goes_when_its_message_can_not_be_alive_any_more(fleet: Fleet) -> None:
    fleet.excuse("thermo", ID, ["hub"], now=NOW)
    (fleet.public.excuses / excuse_file("thermo", b"x" * 16)).write_bytes(b"nonsense")
    fleet.excuse("thermo", OTHER, ["hub"], now=NOW + MAX_LIFETIME)
    names = {path.name for path in fleet.public.excuses.iterdir()}
    assert names == {excuse_file("thermo", ID), excuse_file("thermo", OTHER)}
    fleet.excuse("thermo", b"y" * 16, ["hub"], now=NOW + MAX_LIFETIME + DAY)
    assert excuse_file("thermo", ID) not in {path.name for path in fleet.public.excuses.iterdir()}


def test_more_excuses_than_a_gateway_looks_at_are_not_made(fleet: Fleet) -> None:
    folder = fleet.register.excuses()
    for number in range(MAX_EXCUSES):
        excuse = Excuse(sender="thermo", message_id=number.to_bytes(16), readers=("hub",), time=NOW)
        folder.sign(excuse, fleet.root)
    with pytest.raises(NotChangedError, match="revoke"):
        fleet.excuse("thermo", ID, ["hub"], now=NOW)
    fleet.excuse("thermo", (0).to_bytes(16), ["phone"], now=NOW)


def test_the_next_roster_takes_old_excuses_out_as_well(fleet: Fleet) -> None:
    fleet.excuse("thermo", ID, ["hub"], now=NOW)
    fleet.change(changes.renew, now=NOW + MAX_LIFETIME)
    assert read(fleet).readers == ("hub",)
    fleet.change(changes.renew, now=NOW + MAX_LIFETIME + DAY)
    assert list(fleet.public.excuses.iterdir()) == []
