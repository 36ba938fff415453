"""What two signed heads of a gateway's log prove to the owner, and what they do not."""

from pathlib import Path

import pytest

from device_sdk.identity import Identity
from device_sdk.trust import UnknownDeviceError
from device_sdk.wire.errors import MalformedError, SignatureError
from device_sdk.wire.limits import DAY
from gateway.owner.fleet import Fleet
from gateway.owner.judge import judge
from tests.support.gateway_log import GatewayLog
from tests.unit.owner.conftest import NOW, MakeRequest


@pytest.fixture
def gateways() -> dict[str, Identity]:
    return {"gw-1": Identity.generate(), "gw-2": Identity.generate()}


@pytest.fixture
def fleet(tmp_path: Path, gateways: dict[str, Identity], gateway_request: MakeRequest) -> Fleet:
    fleet = Fleet.create(tmp_path / "fleet", name="home", passphrase=None, now=NOW)
    for name, identity in gateways.items():
        fleet.admit(gateway_request(name, identity), role="gateway", now=NOW, validity=365 * DAY)
    return fleet


@pytest.fixture
def log(fleet: Fleet, gateways: dict[str, Identity]) -> GatewayLog:
    return GatewayLog(gateways["gw-1"], fleet.pin.aad, time=NOW)


@pytest.mark.parametrize("where", [".", "public"])
def test_two_roots_for_one_size_of_one_log_are_a_proof(
    tmp_path: Path, log: GatewayLog, where: str
) -> None:
    other = log.fork()
    log.grow()
    other.grow()
    judged = judge(tmp_path / "fleet" / where, log.head(), other.head())
    assert judged.is_proof
    assert judged.gateways == ("gw-1", "gw-1")


def test_what_an_honest_gateway_may_sign_proves_nothing(
    tmp_path: Path, log: GatewayLog, gateways: dict[str, Identity]
) -> None:
    directory = tmp_path / "fleet"
    first = log.head()
    assert "the same" in judge(directory, first, log.head()).why_not
    log.grow()
    assert "two sizes" in judge(directory, first, log.head()).why_not
    log.restart(size=2)
    log.grow()
    restored = judge(directory, first, log.head())
    assert "backup" in restored.why_not
    assert not restored.is_proof
    other = log.fork()
    other.leaves[0] = bytes(32)
    by_another = other.head(signer=gateways["gw-2"])
    assert "two gateways" in judge(directory, log.head(), by_another).why_not


def test_what_no_gateway_of_the_fleet_signed_is_no_evidence(
    tmp_path: Path, log: GatewayLog
) -> None:
    directory, head = tmp_path / "fleet", log.head()
    with pytest.raises(UnknownDeviceError):
        judge(directory, head, log.head(signer=Identity.generate()))
    with pytest.raises(SignatureError):
        judge(directory, head[:-1] + bytes([head[-1] ^ 1]), head)
    with pytest.raises(MalformedError):
        judge(directory, head, b"?")
