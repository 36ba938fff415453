"""Who gets into the embedded broker."""

import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from device_sdk.wire.login import make_token
from gateway.access import Client, Role
from gateway.login import Doorkeeper, operator_password, own_credentials
from gateway.parts import Parts
from tests.support.envelopes import NOW, Fleet
from tests.unit.gateway.edges import Clocks, open_parts


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
async def parts(fleet: Fleet, tmp_path: Path, clocks: Clocks) -> AsyncIterator[Parts]:
    fleet.admit("lost")
    fleet.revoke("lost")
    async with open_parts(fleet, tmp_path, clocks) as parts:
        yield parts


@pytest.fixture
def door(parts: Parts) -> Doorkeeper:
    return Doorkeeper(parts.keeper, "operator's password")


def token(fleet: Fleet, name: str, *, signer: str = "", audience: str = "", now: int = NOW) -> str:
    return make_token(
        name,
        audience=audience or fleet.pin.fingerprint,
        now=now,
        signer=fleet.members[signer or name].identity,
        aad=fleet.pin.aad,
    )


async def test_devices_the_gateway_and_the_operator_get_in_with_their_roles(
    fleet: Fleet, parts: Parts, door: Doorkeeper
) -> None:
    assert door("hub", "hub", token(fleet, "hub")) == Client(name="hub", role=Role.DEVICE)
    own = own_credentials(parts.keeper, "gw-1")
    assert door("gw-1", own.user, own.password) == Client(name="gw-1", role=Role.GATEWAY)
    operator = Client(name="operator", role=Role.OPERATOR)
    assert door("any", "operator", "operator's password") == operator


async def test_whoever_wants_to_join_gets_in_under_the_name_it_asks_for(door: Doorkeeper) -> None:
    assert door("lamp", "join", "anything") == Client(name="lamp", role=Role.JOINER)
    assert door("a/+", "join", "anything") is None


async def test_nobody_else_gets_in(fleet: Fleet, door: Doorkeeper) -> None:
    stranger = Fleet()
    stranger.admit("hub")
    wrong = [
        ("hub", token(fleet, "hub", signer="phone")),
        ("hub", token(fleet, "phone")),
        ("hub", token(fleet, "hub", audience="0" * 64)),
        ("hub", token(stranger, "hub")),
        ("hub", token(fleet, "hub", now=NOW - 3600)),
        ("hub", token(fleet, "hub", now=NOW + 3600)),
        ("hub", token(fleet, "hub")[:-2]),
        ("hub", "operator's password"),
        ("hub", ""),
        ("nobody", token(fleet, "hub")),
        ("lost", token(fleet, "lost")),
        ("operator", "operators password"),
        ("operator", token(fleet, "hub")),
        ("Hub", token(fleet, "hub")),
        ("hüb", "ü"),
    ]
    assert [door(user, user, password) for user, password in wrong] == [None] * len(wrong)


async def test_a_token_is_good_for_five_minutes_and_five_more_of_clock_difference(
    fleet: Fleet, door: Doorkeeper, clocks: Clocks
) -> None:
    password = token(fleet, "hub")
    clocks.now = NOW + 590
    assert door("hub", "hub", password) is not None
    clocks.now = NOW + 610
    assert door("hub", "hub", password) is None


def test_the_operators_password_is_made_once_and_for_its_owners_eyes(tmp_path: Path) -> None:
    password = operator_password(tmp_path)
    assert len(password) > 30
    assert operator_password(tmp_path) == password
    assert stat.S_IMODE((tmp_path / "operator-password").stat().st_mode) == 0o600
