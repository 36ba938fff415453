"""What a device does with a ticket before it connects: it believes one that its owner has made."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from device_sdk.enrolment.enrol import create_device, trust_root
from device_sdk.enrolment.joining import prepare
from device_sdk.errors import RootMismatchError, TicketError
from device_sdk.identity import Identity
from device_sdk.wire.ticket import Ticket
from gateway.owner.fleet import Fleet
from gateway.owner.invites import invite
from tests.support.certificates import authority_of, to_der, unreadable

NOW = int(time.time())
BROKER = "mqtts://broker.example"


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet.create(tmp_path / "fleet", name="home", passphrase=None, now=NOW)


@pytest.fixture
def ticket(fleet: Fleet) -> Ticket:
    return Ticket.decode(invite(fleet, "hub", broker=BROKER, now=NOW, validity=1000))


def authority() -> bytes:
    """Return an authority of nobody's."""
    return to_der(authority_of(Identity.generate(), now=NOW).chain)[0]


def files(directory: Path) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


@pytest.mark.parametrize("ca", [authority, lambda: b"rubbish", lambda: unreadable()["version-5"]])
def test_a_ticket_whose_authority_is_not_its_roots_makes_no_device(
    ticket: Ticket, tmp_path: Path, ca: Callable[[], bytes]
) -> None:
    with pytest.raises(TicketError, match="contradicts itself"):
        prepare(tmp_path / "hub", replace(ticket, ca=ca()), None, now=NOW)
    assert not (tmp_path / "hub").exists()


def test_what_was_cut_off_can_be_repeated(ticket: Ticket, tmp_path: Path) -> None:
    prepare(tmp_path / "hub", ticket, None, now=NOW)
    before = files(tmp_path / "hub")
    prepare(tmp_path / "hub", ticket, None, now=NOW)
    assert files(tmp_path / "hub") == before


class TestADeviceThatIsEnrolled:
    """A ticket changes neither its owner nor its broker."""

    @pytest.fixture
    def hub(self, fleet: Fleet, ticket: Ticket, tmp_path: Path) -> Path:
        request = create_device(tmp_path / "hub", "hub", None, now=NOW)
        fleet.admit(request.read_bytes(), now=NOW)
        trust_root(tmp_path / "hub", tmp_path / "fleet/public", broker="mqtts://right.example")
        return tmp_path / "hub"

    def test_a_ticket_with_another_authority_changes_nothing(
        self, ticket: Ticket, hub: Path
    ) -> None:
        before = files(hub)
        with pytest.raises(TicketError, match="contradicts itself"):
            prepare(hub, replace(ticket, ca=authority()), None, now=NOW)
        assert files(hub) == before

    def test_another_owners_ticket_changes_nothing(self, hub: Path, tmp_path: Path) -> None:
        (hub / "certificate.pem").unlink()  # it has none where its broker asks for none
        other = Fleet.create(tmp_path / "other", name="other", passphrase=None, now=NOW)
        theirs = Ticket.decode(invite(other, "hub", broker=BROKER, now=NOW, validity=1000))
        before = files(hub)
        with pytest.raises(RootMismatchError):
            prepare(hub, theirs, None, now=NOW)
        assert files(hub) == before

    def test_a_ticket_by_a_root_that_was_replaced_changes_nothing(
        self, fleet: Fleet, ticket: Ticket, hub: Path
    ) -> None:
        fleet.rotate(None, now=NOW + 1, stolen=True)
        trust_root(hub, fleet.directory / "public")
        before = files(hub)
        with pytest.raises(TicketError, match="another root"):
            prepare(hub, ticket, None, now=NOW)
        assert files(hub) == before
