"""Which authorities a gateway believes about its broker: those of its bundle, and for how long."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from device_sdk.identity import Identity
from device_sdk.wire.certificates import from_pem, key_of, to_pem
from device_sdk.wire.limits import CLOCK_SKEW, DAY
from gateway.keeper import Keeper
from gateway.own_certificate import OwnCertificate
from tests.support.certificates import authority_of, to_der
from tests.support.envelopes import NOW, Fleet
from tests.unit.gateway.edges import open_parts

ROOT, THIEF = Identity.generate(), Identity.generate()
MADE = NOW - CLOCK_SKEW


@pytest.fixture
async def keeper(fleet: Fleet, tmp_path: Path) -> AsyncIterator[Keeper]:
    """A gateway whose roster says that ``ROOT`` has taken the first root's place."""
    (tmp_path / "data").mkdir()
    (tmp_path / "public").mkdir()
    async with open_parts(fleet, tmp_path / "data") as parts:
        roster = fleet.roster()
        head = replace(roster.head, root=ROOT.public, former=(fleet.root.spki,))
        later = replace(roster, head=head)
        parts.keeper._situation = replace(parts.keeper.situation, roster=later)
        yield parts.keeper


def write(path: Path, *keys: Identity) -> None:
    path.write_bytes(b"".join(to_pem(to_der(authority_of(key, now=NOW).chain)) for key in keys))


def believed(own: OwnCertificate, keeper: Keeper, now: int = NOW) -> list[bytes]:
    """Return whose keys are believed at a time."""
    keeper._situation = replace(keeper.situation, now=now)
    path = own.authorities()
    assert path is not None
    return [key_of(one) for one in from_pem(path.read_bytes())]


async def test_what_the_bundle_lists_takes_the_place_of_what_was_believed(
    fleet: Fleet, keeper: Keeper, tmp_path: Path
) -> None:
    own = OwnCertificate(tmp_path / "data", tmp_path / "public", keeper)
    write(tmp_path / "data/ca.pem", fleet.root, THIEF)
    write(tmp_path / "public/ca.pem", ROOT, fleet.root, THIEF)
    assert believed(own, keeper) == [ROOT.spki, fleet.root.spki]
    write(tmp_path / "public/ca.pem", ROOT)
    assert believed(own, keeper) == [ROOT.spki]


async def test_a_bundle_without_the_present_root_changes_nothing(
    fleet: Fleet, keeper: Keeper, tmp_path: Path
) -> None:
    own = OwnCertificate(tmp_path / "data", tmp_path / "public", keeper)
    write(tmp_path / "data/ca.pem", fleet.root)
    write(tmp_path / "public/ca.pem", THIEF)
    assert believed(own, keeper) == [fleet.root.spki]


@pytest.mark.parametrize("bundle", ["public", ""])
async def test_a_root_before_is_believed_for_thirty_days_with_a_bundle_or_without(
    fleet: Fleet, keeper: Keeper, tmp_path: Path, bundle: str
) -> None:
    own = OwnCertificate(tmp_path / "data", tmp_path / bundle if bundle else None, keeper)
    write(tmp_path / (bundle or "data") / "ca.pem", ROOT, fleet.root)
    assert believed(own, keeper, MADE + 30 * DAY - 1) == [ROOT.spki, fleet.root.spki]
    assert believed(own, keeper, MADE + 30 * DAY) == [ROOT.spki]
