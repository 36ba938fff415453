"""Several owners and new roots: who signs, who no longer does, and what devices make of it."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from device_sdk.identity import Identity
from device_sdk.trust import (
    ForkError,
    RollbackError,
    Roster,
    check_successor,
    verify_excuse,
    verify_head,
)
from device_sdk.wire import cose
from device_sdk.wire.errors import SignatureError
from device_sdk.wire.join_request import JoinRequest
from device_sdk.wire.limits import MAX_GRANTS, MAX_SUCCESSIONS
from device_sdk.wire.owner_grant import OwnerGrant, OwnerRequest
from device_sdk.wire.roster_head import RootSuccession
from gateway.owner import changes
from gateway.owner.errors import FleetError, NotAdmittedError, NotChangedError
from gateway.owner.fleet import Fleet
from gateway.owner.owners import examine_request
from gateway.owner.second import REQUEST_FILE, make_owner, open_fleet, pull
from gateway.owner.signing import Members, sign_roster

from .conftest import NOW, MakeRequest

NewOwner = Callable[[str], Fleet]


@pytest.fixture
def fleet(tmp_path: Path, gateway_request: MakeRequest) -> Fleet:
    fleet = Fleet.create(tmp_path / "fleet", name="home", passphrase=None, now=NOW)
    fleet.admit(gateway_request("gw-1"), role="gateway", now=NOW)
    return fleet


@pytest.fixture
def new_owner(fleet: Fleet, tmp_path: Path) -> NewOwner:
    def make(name: str) -> Fleet:
        request = make_owner(tmp_path / name, name, None, now=NOW)
        fleet.add_owner(request, now=NOW)
        open_fleet(tmp_path / name, fleet.directory / "public", now=NOW)
        return Fleet.open(tmp_path / name, None)

    return make


def seen(fleet: Fleet, before: Roster | None = None) -> Roster:
    """What a device makes of a bundle, with the root that it pinned at first."""
    roster = fleet.public.roster()
    check_successor(None if before is None else before.head, roster.head)
    return roster


def signed_by(roster: Roster) -> bytes:
    return cose.parse_signed(type(roster.head.head), roster.head.data).kid


class TestASecondOwner:
    """Two keys of which either may sign."""

    def test_a_roster_by_either_owner_is_accepted_after_one_by_the_other(
        self, fleet: Fleet, new_owner: NewOwner, gateway_request: MakeRequest
    ) -> None:
        at_first = seen(fleet)
        ann = new_owner("ann")
        ann.admit(gateway_request("gw-2"), role="gateway", now=NOW)
        by_ann = seen(ann, at_first)
        assert signed_by(by_ann) == ann.root.kid != fleet.root.kid
        assert by_ann.devices.keys() == {"gw-1", "gw-2"}
        assert pull(fleet.directory, ann.directory / "public", now=NOW).is_new
        fleet.change(changes.renew, now=NOW)
        assert signed_by(seen(fleet, by_ann)) == fleet.root.kid

    def test_an_excuse_by_either_owner_counts_and_no_other(
        self, fleet: Fleet, new_owner: NewOwner, device_request: MakeRequest
    ) -> None:
        for name in ("hub", "thermo"):
            fleet.admit(device_request(name), now=NOW)
        ann = new_owner("ann")
        for number, owner in enumerate((fleet, ann)):
            excuse = owner.excuse("thermo", number.to_bytes(16), ["hub"], now=NOW)
            for signer, counts in ((owner.root, True), (Identity.generate(), False)):
                data = cose.sign(excuse, signer, fleet.pin.aad)
                if counts:
                    assert verify_excuse(data, seen(ann), fleet.pin.aad) == excuse
                    continue
                with pytest.raises(SignatureError):
                    verify_excuse(data, seen(ann), fleet.pin.aad)

    def test_only_the_root_makes_owners(self, fleet: Fleet, new_owner: NewOwner) -> None:
        ann = new_owner("ann")
        bob = OwnerRequest(name="bob", owner_spki=Identity.generate().spki, time=NOW)
        with pytest.raises(NotChangedError, match="only the root"):
            ann.add_owner(bob, now=NOW)
        # And whoever goes round the tools is refused by devices.
        grant = OwnerGrant(fleet_id=fleet.pin.fleet_id, owner_spki=bob.owner_spki, time=NOW)
        forged = sign(ann, grants=(*granted(ann), cose.sign(grant, ann.root, fleet.pin.aad)))
        with pytest.raises(SignatureError):
            verify_head(fleet.pin, forged)

    def test_a_grant_is_for_one_fleet(self, fleet: Fleet, tmp_path: Path) -> None:
        ann = Identity.generate()
        grant = OwnerGrant(fleet_id=b"x" * 16, owner_spki=ann.spki, time=NOW)
        for aad in (fleet.pin.aad, cose.fleet_aad(b"x" * 16)):
            data = cose.sign(grant, fleet.root, aad)
            with pytest.raises(SignatureError):
                verify_head(fleet.pin, sign(fleet, signer=ann, grants=(data,)))

    def test_a_key_without_a_grant_signs_nothing(self, fleet: Fleet, tmp_path: Path) -> None:
        make_owner(tmp_path / "ann", "ann", None, now=NOW)
        open_fleet(tmp_path / "ann", fleet.directory / "public", now=NOW)
        with pytest.raises(FleetError, match="does not sign"):
            Fleet.open(tmp_path / "ann", None).change(changes.renew, now=NOW)

    def test_owners_are_few_and_their_keys_serve_nothing_else(
        self, fleet: Fleet, gateway_request: MakeRequest
    ) -> None:
        identity = Identity.generate()
        fleet.admit(gateway_request("gw-2", identity), role="gateway", now=NOW)
        for spki, reason in ((identity.spki, "gw-2"), (fleet.root.spki, "already")):
            with pytest.raises(NotChangedError, match=reason):
                fleet.add_owner(OwnerRequest(name="ann", owner_spki=spki, time=NOW), now=NOW)
        keys = [Identity.generate() for _ in range(MAX_GRANTS + 1)]
        requests = [OwnerRequest(name="ann", owner_spki=key.spki, time=NOW) for key in keys]
        for request in requests[:-1]:
            fleet.add_owner(request, now=NOW)
        with pytest.raises(NotChangedError, match="8 owners"):
            fleet.add_owner(requests[-1], now=NOW)
        for key in (keys[0], fleet.root):
            with pytest.raises(NotAdmittedError, match="owner's key"):
                fleet.admit(gateway_request("gw-3", key), role="gateway", now=NOW)

    def test_a_gateways_join_request_makes_no_owner(
        self, gateway_request: MakeRequest, tmp_path: Path
    ) -> None:
        with pytest.raises(NotAdmittedError, match="not an owner request"):
            examine_request(gateway_request("gw-9"))
        make_owner(tmp_path / "ann", "ann", None, now=NOW)
        data = (tmp_path / "ann" / REQUEST_FILE).read_bytes()
        assert examine_request(data).name == "ann"
        with pytest.raises(NotAdmittedError, match="key you expect"):
            examine_request(data, "0" * 64)
        with pytest.raises(NotAdmittedError):
            examine_request(data[:-1] + bytes([data[-1] ^ 1]))
        assert JoinRequest.TYP != OwnerRequest.TYP


def granted(fleet: Fleet) -> tuple[bytes, ...]:
    return fleet.roster().head.head.grants


def sign(
    fleet: Fleet,
    *,
    signer: Identity | None = None,
    successions: tuple[bytes, ...] = (),
    grants: tuple[bytes, ...] = (),
) -> bytes:
    """Return a head that a fleet's owner signs without the owner's tools."""
    from device_sdk.wire.roster_page import decode_bundle

    roster = fleet.roster()
    data = sign_roster(
        Members.of(roster),
        root=signer or fleet.root,
        pin=fleet.pin,
        previous=roster.version,
        now=NOW,
        validity=100,
        successions=successions,
        grants=grants,
    )
    return decode_bundle(data)[0]


class TestPulling:
    """What another owner has signed comes in, and nothing older or apart does."""

    def test_an_older_bundle_that_was_here_is_a_rollback(
        self, fleet: Fleet, new_owner: NewOwner, tmp_path: Path
    ) -> None:
        ann = new_owner("ann")
        old = shutil.copytree(ann.directory / "public", tmp_path / "old")
        ann.change(changes.renew, now=NOW)
        with pytest.raises(RollbackError, match="give them yours"):
            pull(ann.directory, old, now=NOW)
        pull(fleet.directory, ann.directory / "public", now=NOW)
        with pytest.raises(RollbackError, match="give them yours"):
            pull(fleet.directory, old, now=NOW)
        assert not pull(fleet.directory, ann.directory / "public", now=NOW).is_new

    def test_what_two_owners_signed_apart_is_said(self, fleet: Fleet, new_owner: NewOwner) -> None:
        ann = new_owner("ann")
        fleet.change(lambda m, v: changes.revoke(m, "gw-1", v), now=NOW + 10)
        ann.change(changes.renew, now=NOW + 20)
        with pytest.raises(ForkError, match="apart"):
            pull(ann.directory, fleet.directory / "public", now=NOW)
        taken = pull(fleet.directory, ann.directory / "public", now=NOW)
        assert taken.taken_back == ("gw-1",)
        assert [str(one) for one in taken.changes] == ["~ gateway gw-1, no longer revoked"]

    def test_two_rosters_with_one_number_are_a_fork(
        self, fleet: Fleet, new_owner: NewOwner
    ) -> None:
        ann = new_owner("ann")
        fleet.change(lambda m, v: changes.revoke(m, "gw-1", v), now=NOW + 10)
        ann.change(changes.renew, now=NOW + 10)
        with pytest.raises(ForkError):
            pull(ann.directory, fleet.directory / "public", now=NOW)

    def test_another_fleets_bundle_is_refused(self, fleet: Fleet, tmp_path: Path) -> None:
        other = Fleet.create(tmp_path / "other", name="other", passphrase=None, now=NOW)
        with pytest.raises(FleetError, match="another fleet"):
            pull(fleet.directory, other.directory, now=NOW)
        with pytest.raises(FleetError, match="already"):
            open_fleet(fleet.directory, other.directory, now=NOW)
        with pytest.raises(FleetError, match="owner init"):
            open_fleet(tmp_path / "nobody", other.directory, now=NOW)

    def test_keys_and_excuses_come_along(
        self, fleet: Fleet, new_owner: NewOwner, device_request: MakeRequest
    ) -> None:
        ann = new_owner("ann")
        for name in ("hub", "thermo"):
            fleet.admit(device_request(name), now=NOW)
        fleet.excuse("thermo", b"m" * 16, ["hub"], now=NOW)
        pull(ann.directory, fleet.directory, now=NOW)
        for part in ("keys", "excuses"):
            mine, theirs = (
                {
                    path.name: path.read_bytes()
                    for path in (one.directory / "public" / part).iterdir()
                }
                for one in (fleet, ann)
            )
            assert mine == theirs != {}


class TestANewRoot:
    """Rotations, by the root itself and by an owner whom it granted to sign."""

    def test_a_device_with_the_old_pin_accepts_the_new_root_and_refuses_the_old_one(
        self, fleet: Fleet
    ) -> None:
        at_first, stolen = seen(fleet), fleet.root
        before = fleet.pin
        fleet.rotate(None, now=NOW)
        rotated = seen(fleet, at_first)
        assert fleet.pin == before
        assert signed_by(rotated) == rotated.head.root.kid != stolen.kid
        by_the_thief = verify_head(fleet.pin, sign(fleet, signer=stolen))
        with pytest.raises(RollbackError, match="replaced"):
            check_successor(rotated.head, by_the_thief)
        with pytest.raises(SignatureError):
            verify_head(
                fleet.pin,
                sign(fleet, signer=stolen, successions=rotated.head.head.successions),
            )
        with pytest.raises(FleetError, match="does not sign"):
            replace(fleet, root=stolen).change(changes.renew, now=NOW)
        Fleet.open(fleet.directory, None).change(changes.renew, now=NOW)

    def test_a_rotation_ends_every_grant(self, fleet: Fleet, new_owner: NewOwner) -> None:
        ann = new_owner("ann")
        old_grants = granted(fleet)
        fleet.rotate(None, now=NOW)
        fleet = Fleet.open(fleet.directory, None)
        assert granted(fleet) == ()
        successions = fleet.roster().head.head.successions
        for grants in ((), old_grants):
            with pytest.raises(SignatureError):
                verify_head(
                    fleet.pin,
                    sign(fleet, signer=ann.root, successions=successions, grants=grants),
                )
        request = examine_request((ann.directory / REQUEST_FILE).read_bytes())
        fleet.add_owner(request, now=NOW)
        pull(ann.directory, fleet.directory, now=NOW)
        ann.change(changes.renew, now=NOW)

    def test_a_granted_owner_replaces_a_root_that_was_lost(
        self, fleet: Fleet, new_owner: NewOwner, gateway_request: MakeRequest
    ) -> None:
        ann = new_owner("ann")
        before = seen(fleet)
        ann.rotate(None, now=NOW)
        ann = Fleet.open(ann.directory, None)
        ann.admit(gateway_request("gw-2"), role="gateway", now=NOW)
        rotated = seen(ann, before)
        assert rotated.head.root.kid == ann.root.kid
        # The owner of the old root learns it, and signs nothing more.
        pull(fleet.directory, ann.directory, now=NOW)
        with pytest.raises(FleetError, match="does not sign"):
            fleet.change(changes.renew, now=NOW)

    def test_nobody_without_a_grant_replaces_the_root(
        self, fleet: Fleet, new_owner: NewOwner
    ) -> None:
        ann, thief = new_owner("ann"), Identity.generate()
        (anns,) = granted(fleet)
        forged = cose.sign(
            OwnerGrant(fleet_id=fleet.pin.fleet_id, owner_spki=thief.spki, time=NOW),
            ann.root,
            fleet.pin.aad,
        )
        for grant in (b"", anns, forged):
            succession = RootSuccession(
                fleet_id=fleet.pin.fleet_id, next_root_spki=thief.spki, time=NOW, grant=grant
            )
            data = cose.sign(succession, thief, fleet.pin.aad)
            with pytest.raises(SignatureError):
                verify_head(fleet.pin, sign(fleet, signer=thief, successions=(data,)))

    def test_a_device_that_slept_through_every_rotation_finds_its_way(self, fleet: Fleet) -> None:
        at_first = seen(fleet)
        for _ in range(MAX_SUCCESSIONS):
            Fleet.open(fleet.directory, None).rotate(None, now=NOW)
        assert len(seen(fleet, at_first).head.head.successions) == MAX_SUCCESSIONS
        files = {path: path.read_bytes() for path in fleet.register.private.iterdir()}
        with pytest.raises(NotChangedError, match="make a new fleet"):
            Fleet.open(fleet.directory, None).rotate(None, now=NOW)
        assert {path: path.read_bytes() for path in fleet.register.private.iterdir()} == files

    def test_excuses_of_an_older_root_leave_the_bundle(
        self, fleet: Fleet, device_request: MakeRequest
    ) -> None:
        for name in ("hub", "thermo"):
            fleet.admit(device_request(name), now=NOW)
        fleet.excuse("thermo", b"m" * 16, ["hub"], now=NOW)
        fleet.rotate(None, now=NOW)
        assert list(fleet.public.excuses.iterdir()) == []

    @pytest.mark.parametrize("step", ["save", "write_roster", "replace", "publish"])
    def test_a_rotation_that_was_cut_short_is_undone_or_finished(
        self, fleet: Fleet, step: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at_first = seen(fleet)

        class Cut(BaseException):
            """The power fails."""

        def cut(*_: object, **__: object) -> None:
            raise Cut

        targets = {
            "save": (Fleet, "_sign"),  # the new key is saved, nothing is signed
            "write_roster": (type(fleet.register), "write_roster"),
            "replace": (type(fleet.register), "finish_rotation"),
            "publish": (Fleet, "_publish"),
        }
        with monkeypatch.context() as patch:
            patch.setattr(*targets[step], cut)
            with pytest.raises(Cut):
                fleet.rotate(None, now=NOW)
        fleet = Fleet.open(fleet.directory, None)
        fleet.change(changes.renew, now=NOW)
        expected = 1 if step in ("replace", "publish") else 0
        assert len(seen(fleet, at_first).head.head.successions) == expected
        assert not list(fleet.register.private.glob("root-*"))
