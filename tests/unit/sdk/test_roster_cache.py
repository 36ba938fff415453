"""The cached roster: verified before it is stored, complete or not at all, never an older one."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from device_sdk.state.roster_cache import RosterCache
from device_sdk.state.state_file import StateFile
from device_sdk.trust import ForkError, RollbackError, TrustError
from device_sdk.wire.errors import WireError
from device_sdk.wire.roster_page import page_hash
from tests.support.fleet import NOW, Fleet


@pytest.fixture
def cache(device_fleet: Fleet, tmp_path: Path) -> RosterCache:
    return RosterCache(StateFile(tmp_path / "state.sqlite"), device_fleet.pin)


def feed(cache: RosterCache, roster: tuple[bytes, list[bytes]]) -> bool:
    head, pages = roster
    is_new = cache.take_head(head)
    for page in pages:
        is_new = cache.take_page(page_hash(page), page) or is_new
    return is_new


def test_a_roster_counts_once_its_last_page_is_there(
    cache: RosterCache, device_fleet: Fleet
) -> None:
    head, (page,) = device_fleet.signed_roster()
    assert not cache.take_head(head)
    assert cache.roster is None
    assert cache.missing_pages == [page_hash(page)]
    assert cache.take_page(page_hash(page), page)
    assert cache.roster is not None
    assert cache.missing_pages == ()
    assert set(cache.roster.devices) == set(device_fleet.devices)


def test_the_roster_is_there_after_a_restart(device_fleet: Fleet, tmp_path: Path) -> None:
    with StateFile(tmp_path / "s") as state:
        feed(RosterCache(state, device_fleet.pin), device_fleet.signed_roster())
    with StateFile(tmp_path / "s") as state:
        roster = RosterCache(state, device_fleet.pin).roster
    assert roster is not None
    assert roster.version == device_fleet.version


def test_a_page_that_did_not_change_is_not_fetched_again(
    cache: RosterCache, device_fleet: Fleet
) -> None:
    feed(cache, device_fleet.signed_roster())
    head, _ = device_fleet.signed_roster()
    assert cache.take_head(head)
    assert cache.roster is not None
    assert cache.roster.version == device_fleet.version


def test_an_older_roster_is_refused(cache: RosterCache, device_fleet: Fleet) -> None:
    old = device_fleet.signed_roster()
    feed(cache, device_fleet.signed_roster())
    with pytest.raises(RollbackError):
        feed(cache, old)
    assert cache.roster is not None
    assert cache.roster.version == device_fleet.version


def test_an_older_roster_is_refused_after_a_restart(device_fleet: Fleet, tmp_path: Path) -> None:
    old = device_fleet.signed_roster()
    with StateFile(tmp_path / "s") as state:
        feed(RosterCache(state, device_fleet.pin), device_fleet.signed_roster())
    with StateFile(tmp_path / "s") as state, pytest.raises(RollbackError):
        feed(RosterCache(state, device_fleet.pin), old)


def test_two_rosters_of_one_version_are_reported(cache: RosterCache, device_fleet: Fleet) -> None:
    feed(cache, device_fleet.signed_roster())
    device_fleet.version -= 1
    device_fleet.admit("one-more")
    with pytest.raises(ForkError):
        feed(cache, device_fleet.signed_roster())


def test_the_same_roster_again_changes_nothing(cache: RosterCache, device_fleet: Fleet) -> None:
    roster = device_fleet.signed_roster()
    assert feed(cache, roster)
    assert not feed(cache, roster)


def test_another_owners_roster_is_refused(
    cache: RosterCache, rsa_keys: list[rsa.RSAPrivateKey]
) -> None:
    with pytest.raises(WireError):
        feed(cache, Fleet(rsa_keys).signed_roster())
    assert cache.roster is None


def test_a_page_other_than_the_one_the_owner_signed_is_refused_and_still_awaited(
    cache: RosterCache, device_fleet: Fleet
) -> None:
    head, (page,) = device_fleet.signed_roster()
    cache.take_head(head)
    device_fleet.admit("intruder")
    _, (other,) = device_fleet.signed_roster()
    with pytest.raises(TrustError):
        cache.take_page(page_hash(page), other)
    assert cache.missing_pages == [page_hash(page)]


def test_a_page_that_nobody_asked_for_is_not_kept(cache: RosterCache) -> None:
    assert not cache.take_page(page_hash(b"rubbish"), b"rubbish")


def test_an_expired_roster_is_kept_as_it_still_verifies_what_is_held(
    cache: RosterCache, device_fleet: Fleet
) -> None:
    assert feed(cache, device_fleet.signed_roster(expires=NOW - 1))


def test_a_damaged_cache_is_fetched_again(device_fleet: Fleet, tmp_path: Path) -> None:
    with StateFile(tmp_path / "s") as state:
        feed(RosterCache(state, device_fleet.pin), device_fleet.signed_roster())
        state.execute("UPDATE roster_page SET page = x'00'")
    with StateFile(tmp_path / "s") as state:
        cache = RosterCache(state, device_fleet.pin)
        assert cache.roster is None
        assert feed(cache, device_fleet.signed_roster())
