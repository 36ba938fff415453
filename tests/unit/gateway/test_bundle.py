"""The owner's bundle: pinned once, believed by its signatures, looked at again when it changes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from device_sdk.wire.key_statement import encode_key_list
from device_sdk.wire.roster_page import encode_bundle
from gateway.bundle import BundleError, BundleWatch, pin_root, read_root
from gateway.parts import Parts
from tests.support.envelopes import NOW, Fleet, made_up_key
from tests.unit.gateway.edges import open_parts


@pytest.fixture
async def parts(fleet: Fleet, tmp_path: Path) -> AsyncIterator[Parts]:
    (tmp_path / "data").mkdir()
    async with open_parts(fleet, tmp_path / "data") as parts:
        yield parts


@pytest.fixture
def bundle(fleet: Fleet, tmp_path: Path) -> Path:
    path = tmp_path / "public"
    (path / "keys").mkdir(parents=True)
    write_root(path, fleet)
    return path


def write_root(path: Path, fleet: Fleet) -> None:
    (path / "root.pub").write_bytes(fleet.pin.to_pem())


def move(path: Path, name: str) -> Path:
    return path.rename(path.with_name(name))


def write_roster(path: Path, fleet: Fleet) -> None:
    (path / "roster").write_bytes(encode_bundle(*fleet.signed_roster()))


# ---------------------------------------------------------------------------- the root


def test_the_root_is_pinned_at_the_first_start_and_needs_no_bundle_afterwards(
    fleet: Fleet, bundle: Path, tmp_path: Path
) -> None:
    data = tmp_path / "gateway"
    data.mkdir()
    assert pin_root(data, bundle) == fleet.pin
    assert pin_root(data, None) == fleet.pin
    assert pin_root(data, tmp_path / "gone") == fleet.pin


def test_another_owners_bundle_is_refused_and_changes_no_pin(
    fleet: Fleet, bundle: Path, tmp_path: Path
) -> None:
    data = tmp_path / "gateway"
    data.mkdir()
    pin_root(data, bundle)
    write_root(bundle, Fleet())
    with pytest.raises(BundleError, match="another owner"):
        pin_root(data, bundle)
    assert pin_root(data, None) == fleet.pin


def test_without_a_root_anywhere_there_is_no_start(tmp_path: Path) -> None:
    for bundle in (None, tmp_path / "gone"):
        with pytest.raises(BundleError, match="--bundle"):
            pin_root(tmp_path, bundle)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN PUBLIC KEY-----\nAA==\n"])
def test_a_root_that_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "root.pub").write_bytes(content)
    with pytest.raises(BundleError, match="PEM"):
        read_root(tmp_path / "root.pub")


# ---------------------------------------------------------------------------- the rest


async def test_a_newer_roster_is_taken_and_the_same_one_only_once(
    fleet: Fleet, parts: Parts, bundle: Path
) -> None:
    watch = BundleWatch(bundle, parts.keeper)
    fleet.admit("late")
    write_roster(bundle, fleet)
    taken = await watch.take()
    assert taken.roster is not None
    assert "late" in parts.keeper.roster.devices
    assert (await watch.take()).roster is None


async def test_keys_are_taken_once_their_device_is_in_the_roster(
    fleet: Fleet, parts: Parts, bundle: Path
) -> None:
    watch = BundleWatch(bundle, parts.keeper)
    write_roster(bundle, fleet)
    late = fleet.admit("late")
    (bundle / "keys" / "late").write_bytes(encode_key_list([late.statement]))
    assert (await watch.take()).effects.keys == ()
    write_roster(bundle, fleet)
    assert (await watch.take()).effects.keys == ("late",)


async def test_nonsense_among_the_keys_keeps_no_other_key_out(
    fleet: Fleet, parts: Parts, bundle: Path
) -> None:
    newer = fleet.members["hub"].state_key(made_up_key(), serial=NOW)
    (bundle / "keys" / "hub").write_bytes(encode_key_list([newer]))
    (bundle / "keys" / "aaa").write_bytes(b"nonsense")
    (bundle / "keys" / ".hub.new").write_bytes(b"half")
    (bundle / "keys" / "UPPER").write_bytes(b"not a name")
    (bundle / "keys" / "big").write_bytes(bytes(10_000_000))
    write_roster(bundle, fleet)
    assert (await BundleWatch(bundle, parts.keeper).take()).effects.keys == ("hub",)


async def test_a_bad_bundle_changes_nothing(fleet: Fleet, parts: Parts, bundle: Path) -> None:
    watch = BundleWatch(bundle, parts.keeper)
    write_roster(bundle, fleet)
    old = (bundle / "roster").read_bytes()
    write_roster(bundle, fleet)
    new = (bundle / "roster").read_bytes()
    await watch.take()
    roster = parts.keeper.roster
    stranger = Fleet()
    for content in (
        old,  # a rollback
        encode_bundle(*stranger.signed_roster()),
        encode_bundle(*fleet.signed_roster(signer=stranger.root)),
        new[:-1],
        b"",
    ):
        (bundle / "roster").write_bytes(content)
        assert (await watch.take()).roster is None
    write_root(bundle, stranger)
    write_roster(bundle, fleet)
    assert (await watch.take()).roster is None
    assert parts.keeper.roster == roster


async def test_a_bundle_that_is_away_for_a_moment_is_taken_when_it_is_back(
    fleet: Fleet, parts: Parts, bundle: Path
) -> None:
    watch = BundleWatch(bundle, parts.keeper)
    write_roster(bundle, fleet)
    changes = watch.changes(0.01)
    assert (await anext(changes)).roster is not None
    away = move(bundle, "away")
    assert (await anext(changes)).roster is None
    write_roster(away, fleet)
    move(away, bundle.name)
    assert (await anext(changes)).roster is not None
