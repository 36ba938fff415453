"""Tickets, and what comes back with their codes: who is admitted, and why others are not."""

import os
import stat
import tracemalloc
from pathlib import Path

import pytest

from device_sdk.identity import Identity
from device_sdk.wire.errors import MalformedError, SealgateError, TooLargeError
from device_sdk.wire.join_offer import JoinOffer
from device_sdk.wire.limits import DAY
from device_sdk.wire.ticket import Ticket
from gateway.owner.errors import FleetError, NotAdmittedError
from gateway.owner.fleet import Fleet
from gateway.owner.invites import (
    InviteExpiredError,
    InviteUsedError,
    NotInvitedError,
    Outcome,
    WrongCodeError,
    admit_offers,
    are_offers,
    invite,
)

from .conftest import NOW, MakeRequest

BROKER = "mqtts://broker.example"


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet.create(tmp_path / "fleet", name="home", passphrase=None, now=NOW)


def make(fleet: Fleet, name: str = "hub", now: int = NOW) -> Ticket:
    return Ticket.decode(invite(fleet, name, broker=BROKER, now=now, validity=7 * DAY))


def offer(ticket: Ticket, request: bytes, fleet: Fleet, device: str = "") -> JoinOffer:
    return JoinOffer.make(
        request,
        code=ticket.code,
        device=device or ticket.device,
        fleet_id=fleet.pin.fleet_id,
    )


def hand_over(fleet: Fleet, *offers: JoinOffer, now: int = NOW) -> list[Outcome]:
    """Give the owner what a gateway has kept."""
    directory = fleet.directory / "requests" / "x"
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.iterdir():
        path.unlink()
    for number, one in enumerate(offers):
        (directory / str(number)).write_bytes(one.encode())
    return list(admit_offers(fleet, directory.parent, now=now, validity=365 * DAY))


def problem(fleet: Fleet, one: JoinOffer, now: int = NOW) -> type[SealgateError]:
    before = fleet.roster()
    (outcome,) = hand_over(fleet, one, now=now)
    assert outcome.problem is not None
    assert fleet.roster() == before
    return type(outcome.problem)


def test_whoever_has_the_ticket_is_admitted(fleet: Fleet, device_request: MakeRequest) -> None:
    identity = Identity.generate()
    (outcome,) = hand_over(fleet, offer(make(fleet), device_request("hub", identity), fleet))
    assert outcome.admitted is not None
    assert outcome.admitted.is_new
    assert fleet.roster().devices["hub"].identities == (identity.spki,)
    assert (fleet.directory / "public/certs/hub").exists()


def test_the_same_request_again_is_no_second_use(fleet: Fleet, device_request: MakeRequest) -> None:
    one = offer(make(fleet), device_request("hub"), fleet)
    hand_over(fleet, one)
    (outcome,) = hand_over(fleet, one, now=NOW + 8 * DAY)
    assert outcome.admitted is not None
    assert not outcome.admitted.is_new


def test_an_expired_ticket(fleet: Fleet, device_request: MakeRequest) -> None:
    one = offer(make(fleet), device_request("hub"), fleet)
    assert problem(fleet, one, now=NOW + 7 * DAY) is InviteExpiredError


def test_a_used_ticket(fleet: Fleet, device_request: MakeRequest) -> None:
    ticket = make(fleet)
    hand_over(fleet, offer(ticket, device_request("hub"), fleet))
    second = offer(ticket, device_request("hub", Identity.generate(), key_of="other"), fleet)
    assert problem(fleet, second) is InviteUsedError


def test_somebody_elses_code(fleet: Fleet, device_request: MakeRequest) -> None:
    lamp = make(fleet, "lamp")
    make(fleet, "hub")
    for device in ("hub", "lamp"):
        assert problem(fleet, offer(lamp, device_request("hub"), fleet, device)) is WrongCodeError


def test_a_request_that_the_operator_has_swapped(fleet: Fleet, device_request: MakeRequest) -> None:
    right = offer(make(fleet), device_request("hub"), fleet)
    swapped = JoinOffer(request=device_request("hub", Identity.generate()), mac=right.mac)
    assert problem(fleet, swapped) is WrongCodeError


def test_a_changed_mac(fleet: Fleet, device_request: MakeRequest) -> None:
    right = offer(make(fleet), device_request("hub"), fleet)
    changed = JoinOffer(request=right.request, mac=bytes([right.mac[0] ^ 1]) + right.mac[1:])
    assert problem(fleet, changed) is WrongCodeError


def test_a_ticket_of_another_fleet(
    fleet: Fleet, device_request: MakeRequest, tmp_path: Path
) -> None:
    other = Fleet.create(tmp_path / "other", name="other", passphrase=None, now=NOW)
    theirs = offer(make(other), device_request("hub"), other)
    assert problem(fleet, theirs) is NotInvitedError
    make(fleet)
    assert problem(fleet, theirs) is WrongCodeError


def test_a_code_that_was_replaced(fleet: Fleet, device_request: MakeRequest) -> None:
    first = make(fleet)
    make(fleet)
    assert problem(fleet, offer(first, device_request("hub"), fleet)) is WrongCodeError


def test_a_request_with_a_broken_signature_is_none_even_with_the_code(
    fleet: Fleet, device_request: MakeRequest
) -> None:
    request = device_request("hub")
    changed = request[:-1] + bytes([request[-1] ^ 1])
    assert problem(fleet, offer(make(fleet), changed, fleet)) is NotAdmittedError


def test_rubbish_is_passed_over_and_the_others_are_admitted(
    fleet: Fleet, device_request: MakeRequest
) -> None:
    one = offer(make(fleet), device_request("hub"), fleet)
    directory = fleet.directory / "requests"
    directory.mkdir()
    (directory / "a").write_bytes(b"rubbish")
    (directory / "b").write_bytes(one.encode())
    outcomes = list(admit_offers(fleet, directory, now=NOW, validity=365 * DAY))
    assert [outcome.admitted is not None for outcome in outcomes] == [False, True]


def test_a_file_that_cannot_be_read_does_not_keep_the_others_out(
    fleet: Fleet, device_request: MakeRequest
) -> None:
    directory = fleet.directory / "requests"
    directory.mkdir()
    one = offer(make(fleet), device_request("hub"), fleet)
    for name, content in (("a", b"rubbish"), ("b", b""), ("c", one.encode())):
        (directory / name).write_bytes(content)
    outcomes = admit_offers(fleet, directory, now=NOW, validity=365 * DAY)
    next(outcomes)
    (directory / "b").unlink()  # the gateway tidies up meanwhile
    gone, last = outcomes
    assert isinstance(gone.problem, FleetError)
    assert last.admitted is not None


def test_links_and_what_is_no_file_are_left_out(
    fleet: Fleet, device_request: MakeRequest, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "one").write_bytes(offer(make(fleet), device_request("hub"), fleet).encode())
    directory = fleet.directory / "requests"
    directory.mkdir()
    (directory / "file").symlink_to(elsewhere / "one")
    (directory / "directory").symlink_to(elsewhere)
    (directory / "gone").symlink_to(elsewhere / "two")
    os.mkfifo(directory / "pipe")
    assert list(admit_offers(fleet, directory, now=NOW, validity=365 * DAY)) == []


def test_no_more_of_a_file_is_read_than_an_offer_may_have(fleet: Fleet, tmp_path: Path) -> None:
    directory = tmp_path / "requests"
    directory.mkdir()
    with (directory / "huge").open("wb") as file:
        file.truncate(300 * 2**20)
    tracemalloc.start()
    (outcome,) = admit_offers(fleet, directory, now=NOW, validity=365 * DAY)
    assert not are_offers(directory / "huge")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(outcome.problem, TooLargeError)
    assert peak < 10 * 2**20


def test_a_name_that_is_taken_or_reserved_gets_no_ticket(
    fleet: Fleet, device_request: MakeRequest
) -> None:
    fleet.admit(device_request("hub"), now=NOW)
    for name in ("hub", "operator", "join", ".."):
        with pytest.raises(NotAdmittedError):
            make(fleet, name)
    with pytest.raises(MalformedError):
        make(fleet, "a/b")


@pytest.mark.parametrize("url", ["broker.example", "http://x", "mqtts://", "mqtts://me@x"])
def test_a_ticket_needs_a_broker_that_anybody_may_try(fleet: Fleet, url: str) -> None:
    with pytest.raises(FleetError, match="broker URL"):
        invite(fleet, "hub", broker=url, now=NOW, validity=DAY)


def test_only_the_owner_may_look_at_codes_and_damage_is_named(
    fleet: Fleet, device_request: MakeRequest
) -> None:
    one = offer(make(fleet), device_request("hub"), fleet)
    kept = fleet.directory / "private/invites/hub"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    kept.write_text("{}")
    assert problem(fleet, one) is FleetError


def test_a_ticket_is_short_enough_to_be_pasted(fleet: Fleet) -> None:
    text = invite(fleet, "n" * 64, broker=BROKER, now=NOW, validity=DAY)
    assert len(text) < 2000


def test_a_single_join_request_is_not_taken_for_an_offer(
    fleet: Fleet, device_request: MakeRequest, tmp_path: Path
) -> None:
    (tmp_path / "request").write_bytes(device_request("hub"))
    (tmp_path / "offer").write_bytes(offer(make(fleet), device_request("hub"), fleet).encode())
    assert not are_offers(tmp_path / "request")
    assert are_offers(tmp_path / "offer")
    assert are_offers(tmp_path)
